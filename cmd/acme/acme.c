/*
 * acme: the client of one account at one CA, and its operations.
 */
#include "dns01/acme.h"

#include "acme_internal.h"

struct acme *acme_new(const struct acme_args *args)
{
	struct acme *acme = xcalloc(1, sizeof(*acme));

	acme->world = args->world;
	acme->directory_url = xstrdup(args->directory);
	acme->ca_file = xstrdup(args->ca_file);
	acme->proxy = xstrdup(args->proxy);
	acme->key = args->key;
	acme->account_url = xstrdup(args->account_url);
	acme->host = acme_url_host(args->directory);
	TAILQ_INIT(&acme->calls);
	TAILQ_INIT(&acme->requests);
	return acme;
}

void acme_free(struct acme *acme)
{
	struct acme_call *call;

	if (!acme) {
		return;
	}
	acme_requests_cancel(acme, NULL); /* first, so that none takes another's slot */
	while ((call = TAILQ_FIRST(&acme->calls))) {
		acme_call_cancel(call);
	}
	acme_nonces_clear(acme);
	acme_directory_clear(acme);
	free(acme->directory_url);
	free(acme->ca_file);
	free(acme->proxy);
	free(acme->account_url);
	free(acme->host);
	free(acme);
}

unsigned acme_requests(const struct acme *acme)
{
	return acme->request_count;
}

const char *acme_account_url(const struct acme *acme)
{
	return acme->account_url;
}

void acme_use_key(struct acme *acme, const struct key *key)
{
	acme->key = key;
}

const struct acme_directory *acme_directory(const struct acme *acme)
{
	return &acme->directory;
}

enum err_code acme_ready(const struct acme *acme, bool with_account, struct err *err)
{
	if (!acme->directory_known) {
		return err_set(err, ERR_INTERNAL, acme->host,
			       "the CA's directory was not read before it is used");
	}
	if (with_account && !acme->account_url) {
		return err_set(err, ERR_INTERNAL, acme->host, "there is no account at this CA yet");
	}
	return ERR_NONE;
}

/* ---- operations ---- */

void acme_call_init(struct acme_call *call, struct acme *acme, acme_done *done, void *arg)
{
	call->acme = acme;
	call->done = done;
	call->arg = arg;
	TAILQ_INSERT_TAIL(&acme->calls, call, link);
}

void acme_call_cancel(struct acme_call *call)
{
	struct acme *acme;

	if (!call) {
		return;
	}
	acme = call->acme;
	TAILQ_REMOVE(&acme->calls, call, link);
	acme_requests_cancel(acme, call);
	world_timer_cancel(acme->world, call->timer);
	if (call->release) {
		call->release(call);
	}
	free(call);
}

void acme_call_finish(struct acme_call *call, const struct err *err)
{
	acme_done *done = call->done;
	void *arg = call->arg;
	struct err copy = { 0 };

	if (err) {
		copy = *err;
	}
	acme_call_cancel(call);
	done(arg, copy.code == ERR_NONE ? NULL : &copy);
}

static void on_finish_soon(void *arg)
{
	struct acme_call *call = arg;

	call->timer = NULL;
	acme_call_finish(call, &call->result);
}

void acme_call_finish_soon(struct acme_call *call, const struct err *err)
{
	if (err) {
		call->result = *err;
	}
	call->timer = world_timer_start(call->acme->world, 0, on_finish_soon, call);
}

struct acme_call *acme_call_refused(struct acme *acme, const struct err *err, acme_done *done,
				    void *arg)
{
	struct acme_call *call = xcalloc(1, sizeof(*call));

	acme_call_init(call, acme, done, arg);
	acme_call_finish_soon(call, err);
	return call;
}

/*
 * The other end of the fake CA in the tests of acme: one client, one order, and
 * the steps of an issuance, each run to its end.
 */
#ifndef DNS01_TEST_ACME_CLIENT_H
#define DNS01_TEST_ACME_CLIENT_H

#include "acme/fake_ca.h"

#define WAIT_MAX_US ((int64_t)600 * 1000000)

/* The end of one operation. */
struct outcome {
	unsigned times;
	struct err err; /* ERR_NONE: it went well */
};

struct client {
	struct ca ca;
	struct key *key;
	struct acme *acme;
	struct acme_order *order;
	struct buf pem;
	struct outcome outcome;
};

static inline void on_outcome(void *arg, const struct err *err)
{
	struct outcome *outcome = arg;

	outcome->times++;
	err_clear(&outcome->err);
	if (err) {
		assert_int_not_equal(err->code, ERR_NONE);
		outcome->err = *err;
	}
}

static inline struct acme *client_acme(struct client *client, const char *account_url)
{
	return acme_new(&(struct acme_args){
		.world = &client->ca.fake.world,
		.directory = CA "/dir",
		.key = client->key,
		.account_url = account_url,
	});
}

static inline void client_init(struct client *client)
{
	struct err err;

	memset(client, 0, sizeof(*client));
	assert_int_equal(key_generate(KEY_P256, &client->key, &err), ERR_NONE);
	ca_init(&client->ca, client->key);
	client->acme = client_acme(client, CA_ACCOUNT);
	client->order = acme_order_new();
	buf_init(&client->pem, CHAIN_PEM_MAX);
}

static inline void client_clear(struct client *client)
{
	acme_free(client->acme);
	acme_order_free(client->order);
	buf_clear(&client->pem);
	key_free(client->key);
	ca_clear(&client->ca);
}

/* Runs call until it told its end, exactly once and not from inside of its start. */
static inline enum err_code client_run(struct client *client, struct acme_call *call)
{
	struct outcome *outcome = &client->outcome;
	size_t steps = 0;

	assert_non_null(call);
	assert_int_equal(outcome->times, 0);
	while (outcome->times == 0) {
		assert_true(fake_step(&client->ca.fake));
		assert_true(++steps < 100000);
	}
	assert_int_equal(outcome->times, 1);
	outcome->times = 0;
	return outcome->err.code;
}

static inline void client_settle(struct client *client)
{
	while (fake_step(&client->ca.fake)) {
	}
	assert_int_equal(client->outcome.times, 0);
}

static inline enum err_code do_directory(struct client *client)
{
	return client_run(client, acme_directory_start(client->acme, on_outcome, &client->outcome));
}

static inline enum err_code do_order(struct client *client, const struct strlist *names)
{
	const struct acme_order_args args = { .names = names };

	return client_run(client, acme_order_start(client->acme, &args, client->order, on_outcome,
						   &client->outcome));
}

static inline enum err_code do_load(struct client *client)
{
	return client_run(client, acme_order_load_start(client->acme, client->order, on_outcome,
							&client->outcome));
}

static inline enum err_code do_authz(struct client *client)
{
	return client_run(client, acme_authz_load_start(client->acme, client->order, on_outcome,
							&client->outcome));
}

static inline enum err_code do_respond(struct client *client)
{
	return client_run(client, acme_respond_start(client->acme, client->order, on_outcome,
						     &client->outcome));
}

static inline enum err_code do_wait(struct client *client, int64_t time_us)
{
	return client_run(client, acme_order_wait_start(client->acme, client->order,
							client->ca.fake.now_us + time_us,
							on_outcome, &client->outcome));
}

static inline enum err_code do_finalize(struct client *client)
{
	struct buf csr = BUF_INIT(64);
	enum err_code code;

	buf_add_str(&csr, "a certificate request");
	code = client_run(client, acme_finalize_start(client->acme, client->order, &csr, on_outcome,
						      &client->outcome));
	buf_clear(&csr);
	return code;
}

static inline enum err_code do_download(struct client *client)
{
	return client_run(client, acme_download_start(client->acme, client->order, &client->pem,
						      on_outcome, &client->outcome));
}

/* "a.test b.test" */
static inline void names_of(struct strlist *names, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		strlist_take(names, xstrndup(text, len));
		text += len + strspn(text + len, " ");
	}
}

/* The directory and an order; authorizations are not read yet. */
static inline enum err_code do_begin(struct client *client, const char *text)
{
	struct strlist names = { 0 };
	enum err_code code = do_directory(client);

	names_of(&names, text);
	if (code == ERR_NONE) {
		code = do_order(client, &names);
	}
	strlist_clear(&names);
	return code;
}

/* On to the certificate; the first step that fails ends it. */
static inline enum err_code do_rest(struct client *client)
{
	enum err_code code = do_authz(client);

	if (code == ERR_NONE) {
		code = do_respond(client);
	}
	if (code == ERR_NONE) {
		code = do_wait(client, WAIT_MAX_US);
	}
	if (code == ERR_NONE) {
		code = do_finalize(client);
	}
	if (code == ERR_NONE && client->order->status != ACME_VALID) {
		code = do_wait(client, WAIT_MAX_US);
	}
	return code == ERR_NONE ? do_download(client) : code;
}

static inline void assert_says(const struct err *err, const char *words)
{
	if (!strstr(err->text, words)) {
		fail_msg("\"%s\" is not in: %s", words, err->text);
	}
}

#endif

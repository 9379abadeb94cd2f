/*
 * broker: what stands when the daemon runs, and how it begins, reloads and ends.
 *
 *   new (listeners are open, privileges may be dropped) -> start: RECOVERING -> READY
 *   READY -> stop: STOPPING (who waits is refused, what was published for them leaves) -> stopped
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <sys/stat.h>

#define HOUSEKEEPING_US ((int64_t)10 * 1000000)
#define SWEEP_EVERY_US ((int64_t)3600 * 1000000)
#define SWEEP_AGAIN_US ((int64_t)60 * 1000000) /* after a failure */
#define STOP_US ((int64_t)10 * 1000000)
#define STOP_LOOK_US 5000
/* A client that removes a value often asks for the next one at once: both go in one UPDATE. */
#define LINGER_MS 20
#define SECRET_FILE "broker.key"

/* ---- eras ------------------------------------------------------------------------------- */

struct seen_route {
	char *name, *view;
	const struct route *route;
	int64_t at_us;
};

static int by_name_and_view(const void *a, const void *b)
{
	const struct seen_route *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : strcmp(x->view, y->view);
}

static void free_seen(void *node)
{
	struct seen_route *seen = node;

	free(seen->name);
	free(seen->view);
	free(seen);
}

static struct seen_route *find_seen(struct era *era, const char *name, const char *view)
{
	struct seen_route key = { .name = (char *)(uintptr_t)name,
				  .view = (char *)(uintptr_t)view };
	struct seen_route **found = tfind(&key, &era->seen, by_name_and_view);

	return found ? *found : NULL;
}

const struct route *era_route(struct era *era, const char *name, const char *view)
{
	int64_t now_us = world_mono_us(era->generation->broker->world);
	struct seen_route *seen = find_seen(era, name, view);

	return seen && now_us - seen->at_us < (int64_t)ROUTE_S * 1000000 ? seen->route : NULL;
}

void era_note_route(struct era *era, const char *name, const char *view, const struct route *route)
{
	struct seen_route *seen = find_seen(era, name, view);

	if (!seen) {
		seen = xcalloc(1, sizeof(*seen));
		seen->name = xstrdup(name);
		seen->view = xstrdup(view);
		tsearch(seen, &era->seen, by_name_and_view);
	}
	seen->route = route;
	seen->at_us = world_mono_us(era->generation->broker->world);
}

static void era_free(struct era *era)
{
	tdestroy(era->seen, free_seen);
	watcher_free(era->watcher);
	router_free(era->router);
	free(era);
}

static struct era *era_new(struct generation *generation)
{
	struct broker *broker = generation->broker;
	struct era *era = xcalloc(1, sizeof(*era));

	era->generation = generation;
	era->born_us = world_mono_us(broker->world);
	era->users = 1; /* the generation's own */
	era->router = router_new(&(struct router_args){
		.world = broker->world,
		.dns = broker->dns,
		.conf = generation->conf,
		.pool = generation->pool,
	});
	era->watcher =
		watcher_new(&(struct watcher_args){ .world = broker->world, .dns = broker->dns });
	return era;
}

static void bury_eras(void *arg)
{
	struct broker *broker = arg;

	broker->burial = NULL;
	while (broker->dead) {
		struct era *era = broker->dead;
		struct generation *generation = era->generation;

		broker->dead = era->next;
		era_free(era);
		generation_drop(generation);
	}
}

void era_drop(struct era *era)
{
	struct broker *broker = era->generation->broker;

	if (--era->users > 0) {
		return;
	}
	era->next = broker->dead;
	broker->dead = era;
	if (!broker->burial) {
		broker->burial = world_timer_start(broker->world, 0, bury_eras, broker);
	}
}

struct era *era_hold(struct generation *generation)
{
	int64_t now_us = world_mono_us(generation->broker->world);
	struct era *era = generation->era;

	if (!era || now_us - era->born_us > (int64_t)ERA_S * 1000000) {
		generation_hold(generation);
		generation->era = era_new(generation);
		if (era) {
			era_drop(era);
		}
		era = generation->era;
	}
	era->users++;
	return era;
}

/* ---- generations ---------------------------------------------------------------- */

static void on_progress(void *arg, const struct progress *progress)
{
	struct broker *broker = arg;

	if (progress->kind == PROGRESS_BATCH) {
		metrics_size(&broker->metrics.batches, progress->count);
	}
}

/* Takes conf. NULL with err. */
static struct generation *generation_new(struct broker *broker, struct conf *conf, struct err *err)
{
	struct generation *generation = xcalloc(1, sizeof(*generation));

	generation->keys = tsig_keys_load(conf, err);
	if (!generation->keys) {
		conf_free(conf);
		free(generation);
		return NULL;
	}
	generation->broker = broker;
	generation->conf = conf;
	generation->users = 1;
	generation->pool = provider_pool_new(broker->world, broker->dns, conf);
	return generation;
}

static void generation_open(struct generation *generation)
{
	struct broker *broker = generation->broker;

	generation->publisher = publisher_new(&(struct publisher_args){
		.world = broker->world,
		.journal = broker->journal,
		.state = broker->args.state,
		.pool = generation->pool,
		.linger_ms = LINGER_MS,
		.progress = on_progress,
		.progress_arg = broker,
	});
}

void generation_hold(struct generation *generation)
{
	generation->users++;
}

void generation_drop(struct generation *generation)
{
	if (--generation->users > 0) {
		return;
	}
	publisher_free(generation->publisher);
	provider_pool_free(generation->pool);
	tsig_keys_free(generation->keys);
	conf_free(generation->conf);
	free(generation);
}

/* It is not the present one any more: it goes when its last claim does. */
static void generation_retire(struct generation *generation)
{
	struct era *era = generation->era;

	generation->era = NULL;
	if (era) {
		era_drop(era);
	}
	generation_drop(generation);
}

/* ---- sweeping ------------------------------------------------------------------- */

void broker_sweep_within(struct broker *broker, int64_t delay_us)
{
	int64_t due_us = world_mono_us(broker->world) + delay_us;

	if (due_us < broker->sweep_due_us) {
		broker->sweep_due_us = due_us;
	}
}

static void on_swept(void *arg, const struct err *err, size_t removed)
{
	struct broker *broker = arg;

	broker->sweep = NULL;
	broker_sweep_within(broker, err ? SWEEP_AGAIN_US : SWEEP_EVERY_US);
	generation_drop(broker->sweeping);
	broker->sweeping = NULL;
	if (err) {
		log_warn("%s: %s; what nobody holds is removed later", err->subject, err->text);
	} else if (removed > 0) {
		log_info("%zu records that nobody held were removed", removed);
	}
}

static void sweep(struct broker *broker)
{
	broker->sweep_due_us = INT64_MAX;
	broker->sweeping = broker->generation;
	generation_hold(broker->sweeping);
	broker->sweep = sweep_start(broker->generation->publisher, on_swept, broker);
}

/* ---- certificates --------------------------------------------------------------- */

static int64_t changed_at(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec
				    : 0;
}

static void look_at_certificate(struct listener *listener)
{
	int64_t seen = listener->tls ? changed_at(listener->cert_file) : 0;
	struct err err;

	if (!listener->tls || seen == 0 || seen == listener->cert_seen) {
		return;
	}
	if (tls_server_reload(listener->tls, &err) == ERR_NONE) {
		listener->cert_seen = seen;
		log_info("%s: the certificate was read again", listener->cert_file);
	} else {
		/* Certificate and key may be switched one after the other: tried again soon. */
		log_warn("%s: %s; the certificate in use stays", err.subject, err.text);
	}
}

static void on_flushed(void *arg, const struct err *err, const struct journal_row *rows,
		       size_t count)
{
	struct broker *broker = arg;

	(void)err; /* a plan that fails says so */
	(void)rows;
	(void)count;
	broker->flushing = NULL;
}

/* Where nothing is published for a while, what the servers acknowledged is written all the same:
 * a list, here of nothing, does that. */
static void flush_journal(struct broker *broker)
{
	if (broker->ready && !broker->flushing) {
		broker->flushing =
			journal_list_start(broker->journal, &(struct journal_match){ .owner = "" },
					   on_flushed, broker);
	}
}

static void on_housekeeping(void *arg)
{
	struct broker *broker = arg;

	token_flush_uses(broker);
	flush_journal(broker);
	for (struct listener *at = broker->listeners; at; at = at->next) {
		look_at_certificate(at);
	}
	if (broker->ready && !broker->sweep &&
	    world_mono_us(broker->world) >= broker->sweep_due_us) {
		sweep(broker);
	}
	broker->housekeeping =
		world_timer_start(broker->world, HOUSEKEEPING_US, on_housekeeping, broker);
}

/* ---- listeners ------------------------------------------------------------------ */

static int inherited(const struct broker *broker, const struct listen_at *at, int type)
{
	return broker->args.inherited ? broker->args.inherited(at, type) : -1;
}

/* Its export as files, which is there so that our user can read it; else the lineage. Gives. */
static char *folder_of_certificate(const struct broker *broker, const char *name)
{
	const struct conf_certificate *certificate =
		conf_find_certificate(broker->generation->conf, name);

	for (size_t i = 0; certificate && i < certificate->export_count; i++) {
		if (strcmp(certificate->export[i].layout, "files") == 0) {
			return conf_export_path(&certificate->export[i], NULL);
		}
	}
	return xasprintf("%s/certs/%s/current", broker->args.state, name);
}

static enum err_code open_tls(struct listener *listener, struct err *err)
{
	const struct conf_listener *settings = listener->settings;
	char *folder;

	if (settings->certificate) {
		folder = folder_of_certificate(listener->broker, settings->certificate);
		listener->cert_file = path_join(folder, "fullchain.pem");
		listener->key_file = path_join(folder, "privkey.pem");
		free(folder);
	} else {
		listener->cert_file = xstrdup(settings->cert_file);
		listener->key_file = xstrdup(settings->key_file);
	}
	listener->cert_seen = changed_at(listener->cert_file);
	return tls_server_new(
		&(struct tls_files){
			.chain_file = listener->cert_file,
			.key_file = listener->key_file,
			.client_ca_file = settings->client_ca_file,
		},
		&listener->tls, err);
}

/* Port 0 is written ":0", which addr_parse takes for a mistake. */
static bool parse_address(const char *text, struct addr *out)
{
	size_t len = strlen(text);
	bool any_port = len > 2 && strcmp(text + len - 2, ":0") == 0;
	char *host = xstrndup(text, any_port ? len - 2 : len);
	bool parsed;

	if (any_port && host[0] == '[') {
		memmove(host, host + 1, strlen(host));
		host[strcspn(host, "]")] = '\0';
	}
	parsed = addr_parse(host, 0, out);
	free(host);
	return parsed;
}

static enum err_code open_listener(struct listener *listener, struct err *err)
{
	struct broker *broker = listener->broker;
	const struct conf_listener *settings = listener->settings;
	const char *text = settings->https ? settings->https
			   : settings->dns ? settings->dns
					   : settings->http;
	struct addr addr;
	struct listen_at at = { .addr = &addr, .unix_path = settings->unix_path, .fd = -1 };

	if (text && !parse_address(text, &addr)) {
		return err_set(err, ERR_CONFIG, settings->where, "\"%s\" is no address", text);
	}
	if (settings->https && open_tls(listener, err) != ERR_NONE) {
		return err->code;
	}
	if (settings->dns) {
		struct listen_at udp = at, tcp = at;

		udp.fd = inherited(broker, &at, SOCK_DGRAM);
		tcp.fd = inherited(broker, &at, SOCK_STREAM);
		listener->dns = dns_door_open(broker, &udp, &tcp, err);
		return listener->dns ? ERR_NONE : err->code;
	}
	at.fd = inherited(broker, &at, SOCK_STREAM);
	listener->http = broker->world->ops->http_listen(broker->world,
							 &(struct http_listen){
								 .at = at,
								 .tls = listener->tls,
								 .serve = broker_serve_http,
								 .arg = listener,
							 },
							 err);
	return listener->http ? ERR_NONE : err->code;
}

static enum err_code open_listeners(struct broker *broker, struct err *err)
{
	struct conf *conf = broker->generation->conf;
	struct listener **end = &broker->listeners;
	enum err_code code = ERR_NONE;

	if (conf->listener_count == 0) {
		return err_set(err, ERR_CONFIG, conf->path ? conf->path : "",
			       "there is nothing to listen on; write listeners = ( { unix = "
			       "\"/run/dns01/socket\"; doors = [ \"api\" ]; } );");
	}
	for (size_t i = 0; i < conf->listener_count && code == ERR_NONE; i++) {
		struct listener *listener = xcalloc(1, sizeof(*listener));

		listener->broker = broker;
		listener->settings = &conf->listener[i];
		*end = listener;
		end = &listener->next;
		code = open_listener(listener, err);
	}
	return code;
}

char *broker_describe(const struct broker *broker)
{
	struct buf out = BUF_INIT(64 * 1024);

	for (const struct listener *at = broker->listeners; at; at = at->next) {
		const struct conf_listener *settings = at->settings;
		char *doors = strlist_join(&settings->doors, ", ");
		char text[ADDR_TEXT_MAX];
		struct addr addr;

		if (settings->unix_path) {
			buf_addf(&out, "unix %s (%s)\n", settings->unix_path, doors);
		} else {
			addr = at->dns ? dns_door_addr(at->dns)
				       : broker->world->ops->listener_addr(at->http);
			addr_format(text, &addr, 0);
			buf_addf(&out, "%s %s (%s)\n",
				 settings->https ? "https"
				 : settings->dns ? "dns"
						 : "http",
				 text, doors);
		}
		free(doors);
	}
	return buf_detach(&out);
}

static void close_listeners(struct broker *broker)
{
	for (struct listener *at = broker->listeners; at; at = at->next) {
		broker->world->ops->listener_close(at->http);
		dns_door_close(at->dns);
		at->http = NULL;
	}
}

/* ---- the whole ------------------------------------------------------------------ */

/* At the start, and with each reload: the file may have been moved away meanwhile. */
static enum err_code open_audit(struct broker *broker, struct err *err)
{
	const char *path = broker->generation->conf->audit;
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640)
		      : STDOUT_FILENO;

	if (fd < 0) {
		return err_set(err, ERR_IO, path, "cannot be written: %s", strerror(errno));
	}
	audit_flush(broker);
	if (broker->audit_fd > STDERR_FILENO) {
		close(broker->audit_fd);
	}
	broker->audit_fd = fd;
	return ERR_NONE;
}

enum err_code broker_new(const struct broker_args *args, struct broker **out, struct err *err)
{
	struct broker *broker = xcalloc(1, sizeof(*broker));
	enum err_code code = ERR_NONE;

	broker->args = *args;
	broker->world = args->world;
	broker->dns = args->dns;
	broker->audit_fd = -1;
	buf_init(&broker->audit, JSON_TEXT_MAX);
	broker->generation = generation_new(broker, args->conf, err);
	if (!broker->generation) {
		free(broker);
		return err->code;
	}
	broker->first = broker->generation;
	generation_hold(broker->first);
	code = open_listeners(broker, err);
	if (code != ERR_NONE) {
		broker_free(broker);
		return code;
	}
	*out = broker;
	return ERR_NONE;
}

static bool is_ours(const struct journal_row *row)
{
	/* "hook certbot" and "issue NAME" are not clients: a client's name has no space. */
	return row->requester[0] && !strchr(row->requester, ' ') &&
	       row->state != JOURNAL_RETRACTING;
}

static bool same_claim(const struct journal_row *a, const struct journal_row *b)
{
	return strcmp(a->requester, b->requester) == 0 && strcmp(a->owner, b->owner) == 0 &&
	       strcmp(a->value, b->value) == 0;
}

static void on_listed(void *arg, const struct err *err, const struct journal_row *rows,
		      size_t count)
{
	struct broker *broker = arg;

	broker->recovering = NULL;
	if (err) {
		log_error("%s: %s; nothing is published before the journal can be read",
			  err->subject, err->text);
		broker->recovering = journal_leases_start(broker->journal, on_listed, broker);
		return;
	}
	for (size_t i = 0, next; i < count; i = next) {
		for (next = i + 1; next < count && same_claim(&rows[i], &rows[next]);) {
			next++;
		}
		if (is_ours(&rows[i])) {
			claim_recover(broker, &rows[i], next - i);
		}
	}
	broker->ready = true;
	sweep(broker);
}

static enum err_code read_secret(struct broker *broker, struct err *err)
{
	char *path = path_join(broker->args.state, SECRET_FILE);
	struct buf text = BUF_INIT(0);
	enum err_code code;

	if (access(path, F_OK) != 0) {
		world_random(broker->world, broker->secret, sizeof(broker->secret));
		code = file_write_durable(path, broker->secret, sizeof(broker->secret), 0600, err);
		free(path);
		return code;
	}
	code = file_read_secret(path, sizeof(broker->secret), &text, err);
	if (code == ERR_NONE && text.len != sizeof(broker->secret)) {
		code = err_set(err, ERR_IO, path,
			       "it has %zu octets, not %zu; restore it from a "
			       "backup, or remove it (accounts of acme-dns are then made anew)",
			       text.len, sizeof(broker->secret));
	}
	if (code == ERR_NONE) {
		memcpy(broker->secret, text.data, sizeof(broker->secret));
	}
	buf_wipe(&text);
	free(path);
	return code;
}

enum err_code broker_start(struct broker *broker, struct journal *journal, struct clients *clients,
			   struct err *err)
{
	enum err_code code = open_audit(broker, err);

	if (code == ERR_NONE) {
		code = read_secret(broker, err);
	}
	if (code != ERR_NONE) {
		return code;
	}
	broker->journal = journal;
	broker->clients = clients;
	generation_open(broker->generation);
	broker->recovering = journal_leases_start(journal, on_listed, broker);
	broker->housekeeping =
		world_timer_start(broker->world, HOUSEKEEPING_US, on_housekeeping, broker);
	return ERR_NONE;
}

static bool same_listeners(const struct conf *a, const struct conf *b)
{
	bool same = a->listener_count == b->listener_count;

	for (size_t i = 0; i < a->listener_count && same; i++) {
		const struct conf_listener *x = &a->listener[i], *y = &b->listener[i];
		const char *const pairs[][2] = { { x->unix_path, y->unix_path },
						 { x->https, y->https },
						 { x->dns, y->dns },
						 { x->http, y->http },
						 { x->certificate, y->certificate },
						 { x->cert_file, y->cert_file },
						 { x->client_ca_file, y->client_ca_file } };
		char *doors_x = strlist_join(&x->doors, " "),
		     *doors_y = strlist_join(&y->doors, " ");

		same = strcmp(doors_x, doors_y) == 0;
		for (size_t k = 0; k < ARRAY_LEN(pairs); k++) {
			const char *left = pairs[k][0] ? pairs[k][0] : "";
			const char *right = pairs[k][1] ? pairs[k][1] : "";

			same = same && strcmp(left, right) == 0;
		}
		free(doors_x);
		free(doors_y);
	}
	return same;
}

enum err_code broker_reload(struct broker *broker, struct conf *conf, struct err *err)
{
	struct generation *old = broker->generation;
	struct generation *fresh;
	struct err unwritable;

	if (!same_listeners(broker->first->conf, conf)) {
		log_warn("the listeners of the configuration changed; they are opened by a restart "
			 "alone");
	}
	fresh = generation_new(broker, conf, err);
	if (!fresh) {
		return err->code;
	}
	generation_open(fresh);
	broker->generation = fresh;
	generation_retire(old);
	if (open_audit(broker, &unwritable) != ERR_NONE) {
		log_error("%s: %s; audit lines go where they went", unwritable.subject,
			  unwritable.text);
	}
	for (struct listener *at = broker->listeners; at; at = at->next) {
		at->cert_seen = 0;
		look_at_certificate(at);
	}
	return ERR_NONE;
}

/* ---- the end -------------------------------------------------------------------- */

static void count_leaving(void *arg, struct claim *claim)
{
	size_t *count = arg;

	*count += claim->publish && (claim->state == CLAIM_LEAVING || claim->state == CLAIM_FAILED);
}

static void on_stop_look(void *arg)
{
	struct broker *broker = arg;
	size_t leaving = 0;

	broker->housekeeping = NULL;
	claim_for_each(broker, NULL, count_leaving, &leaving);
	if (leaving > 0 && world_mono_us(broker->world) < broker->stop_by_us) {
		broker->housekeeping =
			world_timer_start(broker->world, STOP_LOOK_US, on_stop_look, broker);
		return;
	}
	if (leaving > 0) {
		log_warn("%zu records could not be removed in time; the next start, or `dns01 "
			 "sweep`, removes them",
			 leaving);
	}
	broker->stopped(broker->stopped_arg);
}

static void end_waiting(void *arg, struct claim *claim)
{
	(void)arg;
	claim_stop(claim);
}

void broker_stop(struct broker *broker, void (*done)(void *arg), void *arg)
{
	broker->stopping = true;
	broker->stopped = done;
	broker->stopped_arg = arg;
	broker->stop_by_us = world_mono_us(broker->world) + STOP_US;
	close_listeners(broker);
	claim_for_each(broker, NULL, end_waiting, NULL);
	world_timer_cancel(broker->world, broker->housekeeping);
	broker->housekeeping = world_timer_start(broker->world, STOP_LOOK_US, on_stop_look, broker);
}

void broker_free(struct broker *broker)
{
	if (!broker) {
		return;
	}
	close_listeners(broker);
	api_cancel_all(broker);
	singles_cancel_all(broker);
	checks_cancel_all(broker);
	while (broker->listeners) {
		struct listener *listener = broker->listeners;

		broker->listeners = listener->next;
		dns_door_free(listener->dns);
		tls_server_free(listener->tls);
		free(listener->cert_file);
		free(listener->key_file);
		free(listener);
	}
	journal_call_cancel(broker->recovering);
	journal_call_cancel(broker->flushing);
	world_timer_cancel(broker->world, broker->housekeeping);
	claims_free(broker);
	if (broker->clients) {
		token_flush_uses(broker);
	}
	generation_retire(broker->generation);
	world_timer_cancel(broker->world, broker->burial);
	bury_eras(broker);
	if (broker->sweeping) {
		generation_drop(broker->sweeping);
	}
	generation_drop(broker->first);
	world_timer_cancel(broker->world, broker->audit_due);
	audit_flush(broker);
	buf_clear(&broker->audit);
	store_forget(broker);
	if (broker->audit_fd > STDERR_FILENO) {
		close(broker->audit_fd);
	}
	wipe(broker->secret, sizeof(broker->secret));
	free(broker);
}

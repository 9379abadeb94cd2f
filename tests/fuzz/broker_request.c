/*
 * Whatever a stranger, or a client gone wrong, sends to a door of the broker: it is answered or
 * hung up on, and nothing is published, for no name server answers here.
 *
 *   input: "METHOD /path?query\nheader: value\n...\n\nbody", through every HTTP door;
 *          "\0" and a DNS message, as it is; "\1" and one that is then signed with a good key
 *
 * The world is a small one: time that passes at once, timers, and peers that are silent.
 */
#include "dns01/broker.h"

#include "dns01/crypto.h"

#include <fcntl.h>

#define NOW_US ((int64_t)1800000000 * 1000000)
#define REST_US ((int64_t)20 * 60 * 1000000) /* then all that was asked is over */
#define STEPS_MAX 20000
#define HEADERS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "t" and "Basic web:t" are web's; X-Api-User ACCOUNT with X-Api-Key 40 x "a" is its account. */
#define ACCOUNT "00000000-0000-4000-8000-000000000000"
static const char configuration[] =
	"providers = ( { name = \"p\"; type = \"rfc2136\"; server = \"192.0.2.1\";"
	"                unsigned = true; } );"
	"zones = ( { suffix = \"example.com\"; providers = [ \"p\" ];"
	"            resolvers = [ \"192.0.2.53\" ]; },"
	"          { suffix = \"acme.example.net\"; providers = [ \"p\" ]; target = true; } );"
	"listeners = ( { unix = \"/http\";"
	"                doors = [ \"api\", \"httpreq\", \"acmedns\", \"metrics\" ]; },"
	"              { dns = \"127.0.0.1:0\"; doors = [ \"update\" ]; } );"
	"clients = ( { name = \"web\"; names = [ \"www.example.com\" ];"
	"              under = [ \"example.com\" ];"
	"              token_sha256 = [ "
	"\"e3b98a4da31a127d4bde6e43033f66ba274cab0eb7eb1c70ec41402bf6273dd8\" ]; },"
	"            { name = \"user\"; auth = \"unix\"; user = \"root\"; role = \"admin\"; } );"
	"requests_max = 50; audit = \"/dev/null\";";

/* ---- the world -------------------------------------------------------------------------- */

struct world_timer {
	int64_t at_us;
	world_fire *fire;
	void *arg;
	struct world_timer *next;
};

struct world_exchange {
	bool over;
	world_fire *gone;
	void *gone_arg;
};

struct world_listener {
	world_http_serve *http;
	world_dgram_serve *dgram;
	world_stream_serve *stream;
	void *arg;
};

struct world_dgram {
	char unused;
};

struct small {
	struct world world;
	int64_t now_us;
	uint64_t draw;
	struct world_timer *timers; /* the next one first */
	struct world_listener *http, *dgram;
};

static struct small small;

static int64_t mono_us(struct world *world)
{
	(void)world;
	return small.now_us;
}

static int64_t wall_us(struct world *world)
{
	(void)world;
	return NOW_US + small.now_us;
}

static void draw(struct world *world, void *out, size_t len)
{
	uint8_t *octets = out;

	(void)world;
	for (size_t i = 0; i < len; i++) {
		small.draw = small.draw * 6364136223846793005u + 1442695040888963407u;
		octets[i] = (uint8_t)(small.draw >> 56);
	}
}

static struct world_timer *timer_start(struct world *world, int64_t delay_us, world_fire *fire,
				       void *arg)
{
	struct world_timer *timer = xcalloc(1, sizeof(*timer));
	struct world_timer **at = &small.timers;

	(void)world;
	*timer = (struct world_timer){ small.now_us + delay_us, fire, arg, NULL };
	while (*at && (*at)->at_us <= timer->at_us) {
		at = &(*at)->next;
	}
	timer->next = *at;
	*at = timer;
	return timer;
}

static void timer_cancel(struct world_timer *timer)
{
	struct world_timer **at = &small.timers;

	while (*at && *at != timer) {
		at = &(*at)->next;
	}
	if (*at) {
		*at = timer->next;
		free(timer);
	}
}

static struct world_dgram *dgram_open(struct world *world, const struct addr *peer,
				      world_dgram_in *in, void *arg)
{
	(void)world;
	(void)peer;
	(void)in;
	(void)arg;
	return xcalloc(1, sizeof(struct world_dgram));
}

static void dgram_send(struct world_dgram *dgram, const void *data, size_t len)
{
	(void)dgram;
	(void)data;
	(void)len;
}

static void dgram_close(struct world_dgram *dgram)
{
	free(dgram);
}

static struct world_stream *stream_open(struct world *world, const struct addr *peer,
					world_stream_cb *cb, void *arg)
{
	(void)world;
	(void)peer;
	(void)cb;
	(void)arg;
	return xcalloc(1, 1);
}

static void stream_write(struct world_stream *stream, const void *data, size_t len)
{
	(void)stream;
	(void)data;
	(void)len;
}

static void stream_close(struct world_stream *stream)
{
	free(stream);
}

static struct world_listener *listener_new(void *arg)
{
	struct world_listener *listener = xcalloc(1, sizeof(*listener));

	listener->arg = arg;
	return listener;
}

static struct world_listener *http_listen(struct world *world, const struct http_listen *args,
					  struct err *err)
{
	(void)world;
	(void)err;
	small.http = listener_new(args->arg);
	small.http->http = args->serve;
	return small.http;
}

static struct world_listener *dgram_listen(struct world *world, const struct listen_at *at,
					   world_dgram_serve *serve, void *arg, struct err *err)
{
	(void)world;
	(void)at;
	(void)err;
	small.dgram = listener_new(arg);
	small.dgram->dgram = serve;
	return small.dgram;
}

static struct world_listener *stream_listen(struct world *world, const struct listen_at *at,
					    world_stream_serve *serve, void *arg, struct err *err)
{
	struct world_listener *listener = listener_new(arg);

	(void)world;
	(void)at;
	(void)err;
	listener->stream = serve;
	return listener;
}

static void listener_close(struct world_listener *listener)
{
	free(listener);
}

static struct addr listener_addr(const struct world_listener *listener)
{
	struct addr addr = { .len = 0 };

	(void)listener;
	if (!addr_parse("127.0.0.1:8053", 0, &addr)) {
		abort();
	}
	return addr;
}

static void dgram_reply(struct world_listener *listener, const struct dgram_from *to,
			const void *data, size_t len)
{
	(void)listener;
	(void)to;
	/* A reply has a header, and says that it is one. */
	if (len < 12 || !(((const uint8_t *)data)[2] & 0x80)) {
		abort();
	}
}

static void answered_once(struct world_exchange *exchange)
{
	if (exchange->over) {
		abort();
	}
	exchange->over = true;
}

static void exchange_reply(struct world_exchange *exchange, const struct http_answer_out *answer)
{
	const char *body = answer->body;

	answered_once(exchange);
	if (answer->status < 200 || answer->status > 599 || answer->status == 500 ||
	    (answer->body_len > 0 && !memchr(body, '\n', answer->body_len) && body[0] == '{')) {
		abort();
	}
}

static void exchange_stream(struct world_exchange *exchange, const struct http_answer_out *head)
{
	(void)exchange;
	(void)head;
}

static void exchange_part(struct world_exchange *exchange, const void *data, size_t len)
{
	(void)exchange;
	(void)data;
	(void)len;
}

static void exchange_on_gone(struct world_exchange *exchange, world_fire *gone, void *arg)
{
	exchange->gone = gone;
	exchange->gone_arg = arg;
}

static bool has_route(struct world *world, const struct addr *peer)
{
	(void)world;
	(void)peer;
	return true;
}

static const struct world_ops small_ops = {
	.mono_us = mono_us,
	.wall_us = wall_us,
	.random = draw,
	.timer_start = timer_start,
	.timer_cancel = timer_cancel,
	.dgram_open = dgram_open,
	.dgram_send = dgram_send,
	.dgram_close = dgram_close,
	.stream_open = stream_open,
	.stream_write = stream_write,
	.stream_close = stream_close,
	.http_listen = http_listen,
	.dgram_listen = dgram_listen,
	.stream_listen = stream_listen,
	.listener_close = listener_close,
	.listener_addr = listener_addr,
	.dgram_reply = dgram_reply,
	.exchange_reply = exchange_reply,
	.exchange_stream = exchange_stream,
	.exchange_part = exchange_part,
	.exchange_end = answered_once,
	.exchange_on_gone = exchange_on_gone,
	.has_route = has_route,
};

static void pass_time(int64_t by_us)
{
	int64_t until_us = small.now_us + by_us;

	for (int i = 0; i < STEPS_MAX && small.timers && small.timers->at_us <= until_us; i++) {
		struct world_timer timer = *small.timers;

		free(small.timers);
		small.timers = timer.next;
		small.now_us = timer.at_us;
		timer.fire(timer.arg);
	}
	small.now_us = until_us;
}

/* ---- the broker ------------------------------------------------------------------------------ */

static char folder[] = "/tmp/dns01-fuzz-XXXXXX";
static struct tsig_key *key;

static void remove_folder(void)
{
	static const char *const files[] = { "journal.db",   "journal.db-wal",  "journal.db-shm",
					     "clients.db",   "clients.db-wal",  "clients.db-shm",
					     "holders",      "zones.lock",      "broker.key",
					     "mishaps.json", "mishaps.json.old" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *path = path_join(folder, files[i]);

		unlink(path);
		free(path);
	}
	rmdir(folder);
}

static void must(enum err_code code, const struct err *err)
{
	if (code != ERR_NONE) {
		fprintf(stderr, "%s: %s\n", err->subject, err->text);
		abort();
	}
}

static void add_credentials(struct clients *clients)
{
	static char statement[] = "key \"host\" { algorithm hmac-sha256; secret "
				  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"; };\n";
	struct tsig_key_text text = { .text = statement, .len = strlen(statement), .source = "" };
	struct token_row account = { .id = (char[]){ ACCOUNT },
				     .client = (char[]){ "web" },
				     .kind = (char[]){ "acmedns" },
				     .bound = (char[]){ "www.example.com" } };
	struct token_row tsig = { .id = (char[]){ "host" },
				  .client = (char[]){ "web" },
				  .kind = (char[]){ "tsig" },
				  .secret = statement };
	struct err err;

	sha256("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40, account.hash);
	must(clients_add(clients, "web", "{}", 1, &err), &err);
	must(tokens_add(clients, &account, &err), &err);
	must(tokens_add(clients, &tsig, &err), &err);
	must(tsig_key_parse(&text, &key, &err), &err);
}

static void begin(void)
{
	struct conf *conf = NULL;
	struct broker *broker = NULL;
	struct journal *journal = NULL;
	struct clients *clients = NULL;
	struct err err;

	small.world.ops = &small_ops;
	log_set_level(LOG_ERROR_LEVEL + 1);
	if (!mkdtemp(folder)) {
		abort();
	}
	atexit(remove_folder);
	must(conf_parse(configuration, "fuzz", provider_rows, &conf, &err), &err);
	must(broker_new(&(struct broker_args){ .world = &small.world,
					       .dns = dns_client_new(&small.world),
					       .state = folder,
					       .conf = conf },
			&broker, &err),
	     &err);
	must(journal_open(&small.world, folder, &journal, &err), &err);
	must(clients_open(folder, &clients, &err), &err);
	add_credentials(clients);
	must(broker_start(broker, journal, clients, &err), &err);
	pass_time(1000000);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Cuts a line off; gives it. */
static char *next_line(char **at)
{
	char *line = *at;

	*at += strcspn(line, "\n");
	if (**at) {
		*(*at)++ = '\0';
	}
	return line;
}

static size_t read_headers(char **at, struct http_header headers[HEADERS_MAX])
{
	size_t count = 0;

	while (**at && **at != '\n') {
		char *line = next_line(at);
		char *colon = strchr(line, ':');

		for (char *c = line; colon && c < colon; c++) {
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
		}
		if (colon && count < HEADERS_MAX) {
			*colon = '\0';
			headers[count++] =
				(struct http_header){ line, colon + 1 + strspn(colon + 1, " ") };
		}
	}
	*at += **at == '\n';
	return count;
}

static void ask(char *text, const char *end)
{
	struct http_header headers[HEADERS_MAX];
	struct world_exchange exchange = { .over = false };
	struct peer peer = { .is_unix = true, .uid = 65534, .gid = 65534 };
	char *at = text;
	char *line = next_line(&at);
	char *path = line + strcspn(line, " ");
	struct http_incoming incoming = { .method = line, .peer = &peer, .headers = headers };
	char *query;

	if (*path) {
		*path++ = '\0';
	}
	query = path + strcspn(path, "?");
	incoming.query = *query ? query + 1 : "";
	*query = '\0';
	incoming.path = path;
	if (path[0] != '/') {
		return; /* no such request reaches a door */
	}
	incoming.header_count = read_headers(&at, headers);
	incoming.body = at;
	incoming.body_len = (size_t)(end - at);
	small.http->http(small.http->arg, &exchange, &incoming);
	pass_time(REST_US / 2);
	if (!exchange.over && exchange.gone) {
		exchange.gone(exchange.gone_arg);
	}
	pass_time(REST_US / 2);
	if (!exchange.over) {
		abort();
	}
}

static void send_message(const uint8_t *data, size_t len, bool sign)
{
	struct dgram_from from = { .peer = listener_addr(NULL), .local = listener_addr(NULL) };
	struct buf wire = BUF_INIT(65535);
	struct tsig_mac mac;
	struct err err;

	buf_add(&wire, data, len);
	if (!sign ||
	    (len >= 12 && tsig_sign(&wire, key, wall_us(NULL) / 1000000, &mac, &err) == ERR_NONE)) {
		small.dgram->dgram(small.dgram->arg, &from, (const uint8_t *)buf_str(&wire),
				   wire.len);
	}
	buf_clear(&wire);
	pass_time(REST_US);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!small.world.ops) {
		begin();
	}
	if (size == 0) {
		return 0;
	}
	if (data[0] <= 1) {
		send_message(data + 1, size - 1, data[0] == 1);
		return 0;
	}
	if (size > HTTP_INCOMING_BODY_MAX) {
		return 0;
	}
	text = xmalloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	ask(text, text + size);
	free(text);
	return 0;
}

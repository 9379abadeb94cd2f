/*
 * load: clients of the broker over kept-open connections, and what a primary takes when it is
 * asked directly.
 *
 *   load broker SOCKET TOKENFILE CLIENTS SECONDS [CAFILE]   each: publish, visible, retract, again;
 *       with CAFILE SOCKET is ADDRESS:PORT and TLS is spoken
 *   load direct ADDRESS KEYFILE ZONE PER_MESSAGE SECONDS   one connection: add, delete, again
 *
 * Prints one line of JSON: challenges, seconds, CPU of this program, and the latencies of
 * publishing, for `direct` those of each UPDATE. Connections are made before the clock starts.
 */
#include "dns01/dns.h"
#include "dns01/json.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/un.h>

#define VALUE_LEN 43
#define ANSWER_MAX 65536
#define PER_MESSAGE_MAX 400

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static double cpu_s(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void random_value(char out[VALUE_LEN + 1])
{
	uint8_t draw[SHA256_LEN];

	crypto_random(draw, sizeof(draw));
	base64url_encode(out, VALUE_LEN + 1, draw, sizeof(draw));
}

struct latencies {
	int64_t *us;
	size_t count, cap;
};

static void note_latency(struct latencies *all, int64_t us)
{
	if (all->count == all->cap) {
		all->cap = all->cap ? 2 * all->cap : 1024;
		all->us = xreallocarray(all->us, all->cap, sizeof(int64_t));
	}
	all->us[all->count++] = us;
}

static int compare_i64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double percentile_ms(const struct latencies *all, double share)
{
	return all->count == 0 ? 0
			       : (double)all->us[(size_t)((double)(all->count - 1) * share)] / 1e3;
}

struct result {
	uint64_t challenges, failures;
	double seconds, cpu_s;
	struct latencies latencies;
};

static void print_result(struct result *result)
{
	struct latencies *all = &result->latencies;

	if (all->count > 0) {
		qsort(all->us, all->count, sizeof(int64_t), compare_i64);
	}
	printf("{\"challenges\":%llu,\"failures\":%llu,\"seconds\":%.3f,\"cpu_s\":%.3f,"
	       "\"p50_ms\":%.2f,\"p95_ms\":%.2f,\"p99_ms\":%.2f}\n",
	       (unsigned long long)result->challenges, (unsigned long long)result->failures,
	       result->seconds, result->cpu_s, percentile_ms(all, 0.5), percentile_ms(all, 0.95),
	       percentile_ms(all, 0.99));
	free(all->us);
}

/* ---- through the broker --------------------------------------------------------------- */

struct client {
	int fd;
	SSL *tls; /* NULL: plain */
	size_t number;
	bool deleting;
	char id[17];
	char answer[ANSWER_MAX];
	size_t len;
	int64_t started_us;
};

struct run {
	const char *token;
	int64_t end_us, begin_us;
	size_t active;
	struct result result;
};

static void send_text(struct client *client, const char *text)
{
	ssize_t len = (ssize_t)strlen(text);
	ssize_t sent = client->tls ? SSL_write(client->tls, text, (int)len)
				   : send(client->fd, text, (size_t)len, MSG_NOSIGNAL);

	if (sent != len) {
		die("send");
	}
}

static void publish(struct run *run, struct client *client)
{
	char value[VALUE_LEN + 1], body[300], request[1000];

	random_value(value);
	snprintf(body, sizeof(body),
		 "{\"name\":\"c%zu.bench.example.com\",\"value\":\"%s\",\"wait\":\"visible\"}",
		 client->number, value);
	snprintf(request, sizeof(request),
		 "POST /v1/challenges HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer %s\r\n"
		 "Content-Length: %zu\r\n\r\n%s",
		 run->token, strlen(body), body);
	client->deleting = false;
	client->started_us = now_us();
	send_text(client, request);
}

static void retract(struct run *run, struct client *client)
{
	char request[600];

	snprintf(request, sizeof(request),
		 "DELETE /v1/challenges/%s HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer %s\r\n\r\n",
		 client->id, run->token);
	client->deleting = true;
	send_text(client, request);
}

/* The body's start once the whole answer is there; NULL: not yet. */
static const char *whole_answer(struct client *client)
{
	char *end = strstr(client->answer, "\r\n\r\n");
	char *length = strcasestr(client->answer, "Content-Length:");
	size_t want;

	if (!end || !length || length > end) {
		return NULL;
	}
	want = (size_t)(end + 4 - client->answer) + strtoul(length + 15, NULL, 10);
	return client->len >= want ? end + 4 : NULL;
}

static void take_answer(struct run *run, struct client *client, const char *body)
{
	const char *id = strstr(body, "\"id\":\"");
	bool good = strncmp(client->answer, "HTTP/1.1 200", 12) == 0;

	if (!good) {
		if (run->result.failures++ == 0) {
			fprintf(stderr, "load: %s\n", client->answer);
		}
	}
	if (!client->deleting && good && id) {
		note_latency(&run->result.latencies, now_us() - client->started_us);
		snprintf(client->id, sizeof(client->id), "%.16s", id + 6);
		client->len = 0;
		retract(run, client);
		return;
	}
	run->result.challenges += client->deleting && good;
	client->len = 0;
	if (now_us() < run->end_us) {
		publish(run, client);
	} else {
		run->active--;
	}
}

/* Octets; 0: none now. */
static size_t read_some(struct client *client)
{
	char *to = client->answer + client->len;
	size_t room = ANSWER_MAX - 1 - client->len;
	ssize_t len = client->tls ? SSL_read(client->tls, to, (int)room)
				  : recv(client->fd, to, room, MSG_DONTWAIT);

	if (len > 0) {
		return (size_t)len;
	}
	if (client->tls ? SSL_get_error(client->tls, (int)len) != SSL_ERROR_WANT_READ
			: len == 0 || errno != EAGAIN) {
		die("the broker closed a connection");
	}
	return 0;
}

static void on_readable(struct run *run, struct client *client)
{
	size_t len = read_some(client);
	const char *body;

	client->len += len;
	client->answer[client->len] = '\0';
	body = len > 0 ? whole_answer(client) : NULL;
	if (body) {
		take_answer(run, client, body);
	}
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (strlen(path) >= sizeof(address.sun_path)) {
		die(path);
	}
	memcpy(address.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		die(path);
	}
	return fd;
}

static int connect_tcp(const char *place)
{
	struct addr addr;
	int fd;

	if (!addr_parse(place, 0, &addr)) {
		die(place);
	}
	fd = socket(addr.u.sa.sa_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, &addr.u.sa, addr.len) != 0) {
		die(place);
	}
	return fd;
}

static SSL_CTX *tls_begin(const char *ca_file)
{
	SSL_CTX *ctx = ca_file ? SSL_CTX_new(TLS_client_method()) : NULL;

	if (ca_file && (!ctx || SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)) {
		die(ca_file);
	}
	if (ctx) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	}
	return ctx;
}

/* The first of a thousand handshakes must not wait for the last one without having asked: the
 * broker closes what brings no request for some seconds. */
static void ask_once(const struct run *run, struct client *client)
{
	char request[600];

	snprintf(request, sizeof(request),
		 "GET /v1/challenges/none HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer %s\r\n\r\n",
		 run->token);
	send_text(client, request);
	while (!whole_answer(client)) {
		client->len += read_some(client);
		client->answer[client->len] = '\0';
	}
	client->len = 0;
}

static void open_client(const struct run *run, struct client *client, const char *place,
			SSL_CTX *ctx)
{
	client->fd = ctx ? connect_tcp(place) : connect_unix(place);
	if (!ctx) {
		return;
	}
	client->tls = SSL_new(ctx);
	if (!client->tls || SSL_set_fd(client->tls, client->fd) != 1 ||
	    SSL_connect(client->tls) != 1) {
		die("TLS");
	}
	ask_once(run, client);
	if (fcntl(client->fd, F_SETFL, fcntl(client->fd, F_GETFL) | O_NONBLOCK) != 0) {
		die("TLS");
	}
}

static void turn(struct run *run, int epoll)
{
	struct epoll_event events[256];
	int ready = epoll_wait(epoll, events, 256, 60000);

	if (ready <= 0) {
		die("no answer for a minute");
	}
	for (int i = 0; i < ready; i++) {
		on_readable(run, events[i].data.ptr);
	}
}

static int through_broker(char **argv)
{
	size_t count = strtoul(argv[2], NULL, 10);
	struct client *clients = xcalloc(count, sizeof(*clients));
	struct run run = { .active = count };
	SSL_CTX *ctx = tls_begin(argv[4]);
	int epoll = epoll_create1(0);
	struct buf token;
	struct err err;
	double used_s;

	if (file_read_secret(argv[1], 1000, &token, &err) != ERR_NONE) {
		die(err.text);
	}
	token.data[strcspn(token.data, "\r\n")] = '\0';
	run.token = token.data;
	for (size_t i = 0; i < count; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = &clients[i] };

		clients[i].number = i;
		open_client(&run, &clients[i], argv[0], ctx);
		epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event);
	}
	used_s = cpu_s();
	run.begin_us = now_us();
	run.end_us = run.begin_us + (int64_t)(strtod(argv[3], NULL) * 1e6);
	for (size_t i = 0; i < count; i++) {
		publish(&run, &clients[i]);
	}
	while (run.active > 0) {
		turn(&run, epoll);
	}
	run.result.cpu_s = cpu_s() - used_s;
	run.result.seconds = (double)(now_us() - run.begin_us) / 1e6;
	print_result(&run.result);
	for (size_t i = 0; i < count; i++) {
		SSL_free(clients[i].tls);
	}
	SSL_CTX_free(ctx);
	free(clients);
	buf_wipe(&token);
	return 0;
}

/* ---- straight to the primary ---------------------------------------------------------------- */

struct direct {
	struct world *world;
	struct dns_client *dns;
	struct tsig_key *key;
	struct addr server;
	const char *zone;
	size_t count;
	struct dns_change changes[PER_MESSAGE_MAX];
	char owner[PER_MESSAGE_MAX][64];
	char value[PER_MESSAGE_MAX][VALUE_LEN + 1];
	int64_t end_us, sent_us;
	struct result result;
};

static void send_update(struct direct *direct, bool add);

static void on_updated(void *arg, const struct err *err)
{
	struct direct *direct = arg;
	bool added = direct->changes[0].add;

	if (err) {
		fprintf(stderr, "load: %s\n", err->text);
		exit(1);
	}
	note_latency(&direct->result.latencies, now_us() - direct->sent_us);
	if (!added) {
		direct->result.challenges += direct->count;
		if (now_us() >= direct->end_us) {
			world_real_stop(direct->world);
			return;
		}
	}
	send_update(direct, !added);
}

static void send_update(struct direct *direct, bool add)
{
	for (size_t i = 0; i < direct->count; i++) {
		if (add) {
			random_value(direct->value[i]);
		}
		direct->changes[i] = (struct dns_change){ .add = add,
							  .owner = direct->owner[i],
							  .value = direct->value[i],
							  .ttl_s = 60 };
	}
	direct->sent_us = now_us();
	dns_update_start(direct->dns,
			 &(struct dns_update){ .server = direct->server,
					       .zone = direct->zone,
					       .changes = direct->changes,
					       .count = direct->count,
					       .key = direct->key,
					       .transport = DNS_TCP },
			 on_updated, direct);
}

static int straight(char **argv)
{
	static struct direct direct;
	struct err err;
	int64_t begin_us = now_us();

	direct.world = world_real_new(&err);
	direct.dns = direct.world ? dns_client_new(direct.world) : NULL;
	direct.zone = argv[2];
	direct.count = strtoul(argv[3], NULL, 10);
	direct.end_us = begin_us + (int64_t)(strtod(argv[4], NULL) * 1e6);
	if (!direct.dns || direct.count == 0 || direct.count > PER_MESSAGE_MAX ||
	    !addr_parse(argv[0], DNS_PORT, &direct.server) ||
	    tsig_key_load(argv[1], false, &direct.key, &err) != ERR_NONE) {
		die("arguments");
	}
	for (size_t i = 0; i < direct.count; i++) {
		snprintf(direct.owner[i], sizeof(direct.owner[i]), "_acme-challenge.d%zu.%.20s", i,
			 direct.zone);
	}
	send_update(&direct, true);
	world_real_run(direct.world);
	direct.result.cpu_s = cpu_s();
	direct.result.seconds = (double)(now_us() - begin_us) / 1e6;
	print_result(&direct.result);
	tsig_key_free(direct.key);
	dns_client_free(direct.dns);
	world_real_free(direct.world);
	return 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if ((argc == 6 || argc == 7) && strcmp(argv[1], "broker") == 0) {
		return through_broker(argv + 2);
	}
	if (argc == 7 && strcmp(argv[1], "direct") == 0) {
		return straight(argv + 2);
	}
	fprintf(stderr, "usage: load broker SOCKET TOKENFILE CLIENTS SECONDS [CAFILE]\n"
			"       load direct ADDRESS KEYFILE ZONE PER_MESSAGE SECONDS\n");
	return 64;
}

/* listen: the listeners of processes, and those who come to them. */
#include "sim/listen.h"

#include "sim/world_internal.h"

enum listener_kind { LISTENER_HTTP, LISTENER_DGRAM, LISTENER_STREAM };

struct world_listener {
	struct sim_process *process;
	enum listener_kind kind;
	char *path; /* of HTTP */
	struct addr addr;
	world_http_serve *serve_http;
	world_dgram_serve *serve_dgram;
	world_stream_serve *serve_stream;
	void *arg;
	struct world_listener *next;
};

struct outside_call {
	struct sim *sim;
	char *place, *method, *path, *query, *body, *authorization;
	outside_answered *sent, *arrived;
	void *arg;
	bool left; /* its client has */
	bool over; /* its answer is on its way */
	struct world_exchange *exchange;
	size_t refs; /* its client, events on their way */
};

struct world_exchange {
	struct sim_process *process;
	struct outside_call *call; /* NULL: its client has gone */
	struct peer peer;
	int status; /* of a stream */
	struct buf body;
	world_fire *gone;
	void *gone_arg;
	struct world_exchange *next;
};

#define BODY_MAX (4 * 1024 * 1024)

/* ---- listeners ---- */

static struct world_listener *listener_new(struct world *world, enum listener_kind kind, void *arg)
{
	struct world_listener *listener = xcalloc(1, sizeof(*listener));
	struct sim_process *process = process_of(world);

	listener->process = process;
	listener->kind = kind;
	listener->arg = arg;
	listener->next = process->listeners;
	process->listeners = listener;
	process->handles++;
	return listener;
}

static struct world_listener *http_listen(struct world *world, const struct http_listen *args,
					  struct err *err)
{
	struct world_listener *listener;

	if (!args->at.unix_path) {
		err_set(err, ERR_IO, "", "the simulation has HTTP by Unix sockets alone");
		return NULL;
	}
	listener = listener_new(world, LISTENER_HTTP, args->arg);
	listener->path = xstrdup(args->at.unix_path);
	listener->serve_http = args->serve;
	return listener;
}

static struct world_listener *dgram_listen(struct world *world, const struct listen_at *at,
					   world_dgram_serve *serve, void *arg, struct err *err)
{
	struct world_listener *listener = listener_new(world, LISTENER_DGRAM, arg);

	(void)err;
	listener->addr = *at->addr;
	listener->serve_dgram = serve;
	return listener;
}

static struct world_listener *stream_listen(struct world *world, const struct listen_at *at,
					    world_stream_serve *serve, void *arg, struct err *err)
{
	struct world_listener *listener = listener_new(world, LISTENER_STREAM, arg);

	(void)err;
	listener->addr = *at->addr;
	listener->serve_stream = serve;
	return listener;
}

static void listener_close(struct world_listener *listener)
{
	if (listener) {
		UNLINK(listener->process->listeners, listener)
		listener->process->handles--;
		free(listener->path);
		free(listener);
	}
}

static struct addr listener_addr(const struct world_listener *listener)
{
	return listener->addr;
}

/* Whoever lives and listens there; path or addr. */
static struct world_listener *find_listener(struct sim *sim, enum listener_kind kind,
					    const char *path, const struct addr *addr)
{
	for (struct sim_process *process = sim->processes; process; process = process->next) {
		struct world_listener *at = process->dead ? NULL : process->listeners;

		while (at && (at->kind != kind || (path && strcmp(at->path, path) != 0) ||
			      (addr && !addr_equal(&at->addr, addr)))) {
			at = at->next;
		}
		if (at) {
			return at;
		}
	}
	return NULL;
}

/* ---- HTTP: the way there ---- */

static void call_drop(struct outside_call *call)
{
	if (--call->refs > 0) {
		return;
	}
	free(call->place);
	free(call->method);
	free(call->path);
	free(call->query);
	free(call->body);
	free(call->authorization);
	free(call);
}

struct call_packet {
	struct outside_call *call;
	int status;
	bool reached;
	size_t len;
	char body[];
};

static void call_later(struct outside_call *call, int64_t delay_us, sim_fire *fire)
{
	struct call_packet *packet = xcalloc(1, sizeof(*packet));

	packet->call = call;
	call->refs++;
	sim_at(call->sim, NULL, delay_us, fire, packet);
}

static void on_answer(struct sim *sim, void *arg)
{
	struct call_packet *packet = arg;
	struct outside_call *call = packet->call;
	struct outside_answer answer = { packet->status, packet->reached, packet->body,
					 packet->len };

	if (!call->left) {
		call->left = true;
		call->arrived(sim, call->arg, &answer);
		call_drop(call); /* its client's */
	}
	call_drop(call);
}

static void answer(struct outside_call *call, const struct outside_answer *what)
{
	struct call_packet *packet = xcalloc(1, sizeof(*packet) + what->body_len + 1);

	call->over = true;
	call->refs++;
	packet->call = call;
	packet->status = what->status;
	packet->reached = what->reached;
	packet->len = what->body_len;
	if (what->body_len > 0) {
		memcpy(packet->body, what->body, what->body_len);
	}
	sim_at(call->sim, NULL, sim_latency(call->sim), on_answer, packet);
}

/* The client's end is gone: the process is told, if it wants to be. */
static void exchange_cut(struct world_exchange *exchange)
{
	exchange->call->exchange = NULL;
	exchange->call = NULL;
	exchange->process->steps++;
	if (exchange->gone) {
		exchange->gone(exchange->gone_arg);
	}
}

static void on_break(struct sim *sim, void *arg)
{
	struct outside_call *call = ((struct call_packet *)arg)->call;

	(void)sim;
	if (!call->over && !call->left) {
		answer(call, &(struct outside_answer){ .reached = true });
	}
	if (call->exchange) {
		exchange_cut(call->exchange);
	}
	call_drop(call);
}

static void serve(struct world_listener *listener, struct outside_call *call)
{
	struct world_exchange *exchange = xcalloc(1, sizeof(*exchange));
	struct http_header header = { "authorization", call->authorization };
	struct http_incoming incoming = {
		.method = call->method,
		.path = call->path,
		.query = call->query ? call->query : "",
		.headers = &header,
		.header_count = call->authorization ? 1 : 0,
		.body = call->body ? call->body : "",
		.body_len = call->body ? strlen(call->body) : 0,
		.peer = &exchange->peer,
	};

	exchange->process = listener->process;
	exchange->call = call;
	exchange->peer = (struct peer){ .is_unix = true, .uid = 65533, .gid = 65533 };
	buf_init(&exchange->body, BODY_MAX);
	exchange->next = listener->process->exchanges;
	listener->process->exchanges = exchange;
	listener->process->handles++;
	listener->process->steps++;
	call->exchange = exchange;
	listener->serve_http(listener->arg, exchange, &incoming);
}

static void on_request(struct sim *sim, void *arg)
{
	struct outside_call *call = ((struct call_packet *)arg)->call;
	struct world_listener *listener = find_listener(sim, LISTENER_HTTP, call->place, NULL);

	if (call->left) {
		call_drop(call); /* it never came */
		return;
	}
	if (!listener) {
		answer(call, &(struct outside_answer){ .status = 0 });
	} else {
		if (sim_chance(sim, sim->faults.reset)) {
			call_later(call, (int64_t)sim_below(sim, 5000000), on_break);
		}
		serve(listener, call);
	}
	call_drop(call);
}

struct outside_call *outside_ask(struct sim *sim, const struct outside_request *request)
{
	struct outside_call *call = xcalloc(1, sizeof(*call));

	*call = (struct outside_call){
		.sim = sim,
		.place = xstrdup(request->place),
		.method = xstrdup(request->method),
		.path = xstrdup(request->path),
		.query = xstrdup(request->query),
		.body = xstrdup(request->body),
		.authorization = xstrdup(request->authorization),
		.sent = request->sent,
		.arrived = request->arrived,
		.arg = request->arg,
		.refs = 1,
	};
	call_later(call, sim_latency(sim), on_request);
	return call;
}

static void on_left(struct sim *sim, void *arg)
{
	struct outside_call *call = ((struct call_packet *)arg)->call;

	(void)sim;
	if (call->exchange) {
		exchange_cut(call->exchange);
	}
	call_drop(call);
}

void outside_leave(struct outside_call *call)
{
	call->left = true;
	call_later(call, sim_latency(call->sim), on_left);
	call_drop(call); /* its client's */
}

/* ---- HTTP: the way back ---- */

static void exchange_free(struct world_exchange *exchange)
{
	UNLINK(exchange->process->exchanges, exchange)
	exchange->process->handles--;
	if (exchange->call) {
		exchange->call->exchange = NULL;
	}
	buf_clear(&exchange->body);
	free(exchange);
}

static void tell_sent(const struct outside_call *call, const struct outside_answer *what)
{
	if (call->sent) { /* even where its client is about to be gone */
		call->sent(call->sim, call->arg, what);
	}
}

static void exchange_reply(struct world_exchange *exchange, const struct http_answer_out *out)
{
	struct outside_answer what = { out->status, true, out->body, out->body_len };
	struct outside_call *call = exchange->call;

	if (call && !call->over) {
		tell_sent(call, &what);
		answer(call, &what);
	}
	exchange_free(exchange);
}

static void exchange_stream(struct world_exchange *exchange, const struct http_answer_out *head)
{
	exchange->status = head->status;
}

static void exchange_part(struct world_exchange *exchange, const void *data, size_t len)
{
	struct outside_answer what = { exchange->status, true, data, len };

	buf_add(&exchange->body, data, len);
	if (exchange->call) {
		tell_sent(exchange->call, &what);
	}
}

static void exchange_end(struct world_exchange *exchange)
{
	struct outside_answer what = { exchange->status, true, buf_str(&exchange->body),
				       exchange->body.len };

	if (exchange->call && !exchange->call->over) {
		answer(exchange->call, &what);
	}
	exchange_free(exchange);
}

static void exchange_on_gone(struct world_exchange *exchange, world_fire *gone, void *arg)
{
	exchange->gone = gone;
	exchange->gone_arg = arg;
}

/* ---- datagrams ---- */

struct datagram {
	struct addr to, from;
	size_t len;
	uint8_t data[];
};

static struct datagram *pack(const struct outside_packet *packet)
{
	struct datagram *datagram = xcalloc(1, sizeof(*datagram) + packet->len);

	datagram->to = *packet->to;
	datagram->from = *packet->from;
	datagram->len = packet->len;
	memcpy(datagram->data, packet->data, packet->len);
	return datagram;
}

static void send_datagram(struct sim *sim, const struct outside_packet *packet, sim_fire *fire)
{
	unsigned copies = 1U + sim_chance(sim, sim->faults.duplicate);

	if (sim_chance(sim, sim->faults.loss)) {
		return;
	}
	for (unsigned i = 0; i < copies; i++) {
		sim_at(sim, NULL, sim_latency(sim), fire, pack(packet));
	}
}

static void on_datagram(struct sim *sim, void *arg)
{
	struct datagram *datagram = arg;
	struct world_listener *listener = find_listener(sim, LISTENER_DGRAM, NULL, &datagram->to);
	struct dgram_from from = { .peer = datagram->from };

	if (listener) {
		listener->process->steps++;
		listener->serve_dgram(listener->arg, &from, datagram->data, datagram->len);
	}
}

void outside_datagram(struct sim *sim, const struct outside_packet *packet)
{
	send_datagram(sim, packet, on_datagram);
}

static void on_datagram_back(struct sim *sim, void *arg)
{
	struct datagram *datagram = arg;

	sim->outside_heard(sim, &datagram->to,
			   &(struct outside_in){ .event = WORLD_STREAM_DATA,
						 .data = datagram->data,
						 .len = datagram->len });
}

static void dgram_reply(struct world_listener *listener, const struct dgram_from *to,
			const void *data, size_t len)
{
	struct sim *sim = listener->process->sim;

	sim->outside_heard(sim, &to->peer,
			   &(struct outside_in){ .event = WORLD_STREAM_DATA,
						 .sent = true,
						 .data = data,
						 .len = len });
	send_datagram(sim,
		      &(struct outside_packet){
			      .to = &to->peer, .from = &listener->addr, .data = data, .len = len },
		      on_datagram_back);
}

/* ---- streams ---- */

struct outside_conn {
	struct sim *sim;
	struct addr to, from;
	struct world_stream *stream; /* the process's end; NULL: none yet, or no more */
	bool closed;                 /* by its client */
	bool broken;
	int64_t there_us, back_us; /* when the latest octets are due, each way */
	outside_stream *in;
	void *arg;
	size_t refs;
};

struct conn_packet {
	struct outside_conn *conn;
	enum world_stream_event event;
	bool broken;
	size_t len;
	uint8_t data[];
};

static void conn_drop(struct outside_conn *conn)
{
	if (--conn->refs == 0) {
		free(conn);
	}
}

static void conn_send(struct outside_conn *conn, sim_fire *fire, int64_t *last_us,
		      const struct outside_in *what)
{
	struct conn_packet *packet = xcalloc(1, sizeof(*packet) + what->len);
	int64_t due_us = conn->sim->now_us + sim_latency(conn->sim);

	packet->conn = conn;
	packet->event = what->event;
	packet->broken = what->broken;
	packet->len = what->len;
	if (what->len > 0) {
		memcpy(packet->data, what->data, what->len);
	}
	conn->refs++;
	*last_us = due_us > *last_us ? due_us : *last_us;
	sim_at(conn->sim, NULL, *last_us - conn->sim->now_us, fire, packet);
}

static void on_back(struct sim *sim, void *arg)
{
	struct conn_packet *packet = arg;
	struct outside_conn *conn = packet->conn;

	if (!conn->closed) {
		conn->in(sim, conn->arg,
			 &(struct outside_in){ .event = packet->event,
					       .broken = packet->broken,
					       .data = packet->data,
					       .len = packet->len });
	}
	conn_drop(conn);
}

static void conn_ends(struct outside_conn *conn, bool broken)
{
	conn_send(conn, on_back, &conn->back_us,
		  &(struct outside_in){ .event = WORLD_STREAM_END, .broken = broken });
}

static void on_there(struct sim *sim, void *arg)
{
	struct conn_packet *packet = arg;
	struct world_stream *stream = packet->conn->stream;
	struct world_stream_in in = { .event = packet->event,
				      .data = packet->data,
				      .len = packet->len };

	(void)sim;
	if (stream && !stream->ended && stream->cb) {
		stream->ended = packet->event == WORLD_STREAM_END;
		stream->process->steps++;
		stream->cb(stream->arg, &in);
	}
	conn_drop(packet->conn);
}

static void on_connect(struct sim *sim, void *arg)
{
	struct outside_conn *conn = ((struct conn_packet *)arg)->conn;
	struct world_listener *listener = find_listener(sim, LISTENER_STREAM, NULL, &conn->to);
	struct peer peer = { .addr = conn->from };
	struct world_stream *stream;

	if (!listener) {
		conn_ends(conn, true);
		conn_drop(conn);
		return;
	}
	stream = xcalloc(1, sizeof(*stream));
	*stream = (struct world_stream){ .process = listener->process,
					 .id = sim->next_id++,
					 .peer = conn->from,
					 .outside = conn,
					 .next = listener->process->streams };
	conn->refs++; /* the stream's */
	conn->stream = stream;
	listener->process->streams = stream;
	listener->process->handles++;
	listener->process->steps++;
	listener->serve_stream(listener->arg, stream, &peer);
	conn_drop(conn);
}

struct outside_conn *outside_connect(struct sim *sim, const struct addr *to,
				     const struct addr *from, outside_stream *in, void *arg)
{
	struct outside_conn *conn = xcalloc(1, sizeof(*conn));

	*conn = (struct outside_conn){
		.sim = sim, .to = *to, .from = *from, .in = in, .arg = arg, .refs = 1
	};
	conn_send(conn, on_connect, &conn->there_us,
		  &(struct outside_in){ .event = WORLD_STREAM_OPEN });
	return conn;
}

static void break_off(struct outside_conn *conn)
{
	conn->broken = true;
	conn_send(conn, on_there, &conn->there_us,
		  &(struct outside_in){ .event = WORLD_STREAM_END });
	conn_ends(conn, true);
}

/* In one piece or in two, as TCP likes. */
void outside_write(struct outside_conn *conn, const void *data, size_t len)
{
	struct sim *sim = conn->sim;
	size_t cut = len > 1 && sim_below(sim, 4) == 0 ? 1 + sim_below(sim, len - 1) : len;
	struct outside_in part = { .event = WORLD_STREAM_DATA, .data = data, .len = cut };

	if (conn->broken) {
		return;
	}
	conn_send(conn, on_there, &conn->there_us, &part);
	if (cut < len) {
		part.data += cut;
		part.len = len - cut;
		conn_send(conn, on_there, &conn->there_us, &part);
	}
	if (sim_chance(sim, sim->faults.reset)) {
		break_off(conn);
	}
}

void outside_close(struct outside_conn *conn)
{
	if (conn) {
		conn->closed = true;
		conn_send(conn, on_there, &conn->there_us,
			  &(struct outside_in){ .event = WORLD_STREAM_END });
		conn_drop(conn);
	}
}

void listen_stream_write(struct world_stream *stream, const void *data, size_t len)
{
	struct outside_conn *conn = stream->outside;
	struct outside_in what = {
		.event = WORLD_STREAM_DATA, .sent = true, .data = data, .len = len
	};

	if (!conn->broken) {
		if (!conn->closed) {
			conn->in(conn->sim, conn->arg, &what);
		}
		conn_send(conn, on_back, &conn->back_us, &what);
	}
}

void listen_stream_close(struct world_stream *stream)
{
	struct outside_conn *conn = stream->outside;

	conn->stream = NULL;
	conn_ends(conn, stream->process->dead);
	conn_drop(conn);
}

static void stream_accept(struct world_stream *stream, world_stream_cb *cb, void *arg)
{
	stream->cb = cb;
	stream->arg = arg;
}

/* ---- the whole ---- */

void listen_drop(struct sim_process *process)
{
	while (process->exchanges) {
		struct world_exchange *exchange = process->exchanges;

		if (!process->dead) {
			sim_violated(process->sim, "once: %s leaves a request without an answer",
				     process->name);
		}
		if (exchange->call && !exchange->call->over) {
			answer(exchange->call, &(struct outside_answer){ .reached = true });
		}
		exchange_free(exchange);
	}
}

void listen_ops(struct world_ops *ops)
{
	ops->http_listen = http_listen;
	ops->dgram_listen = dgram_listen;
	ops->stream_listen = stream_listen;
	ops->listener_close = listener_close;
	ops->listener_addr = listener_addr;
	ops->dgram_reply = dgram_reply;
	ops->stream_accept = stream_accept;
	ops->exchange_reply = exchange_reply;
	ops->exchange_stream = exchange_stream;
	ops->exchange_part = exchange_part;
	ops->exchange_end = exchange_end;
	ops->exchange_on_gone = exchange_on_gone;
}

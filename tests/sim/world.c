#include "sim/world.h"

#include "sim/ca.h"
#include "sim/net.h"
#include "sim/world_internal.h"

struct sim_event {
	int64_t at_us;
	uint64_t seq;
	struct sim_process *process;
	sim_fire *fire; /* NULL: forgotten */
	void *arg;
};

/* ---- chance: xoshiro256** by way of splitmix64 ---- */

static uint64_t splitmix(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, int by)
{
	return (x << by) | (x >> (64 - by));
}

static uint64_t draw(struct sim *sim)
{
	uint64_t *s = sim->chance;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
	return draw(sim) % bound;
}

bool sim_chance(struct sim *sim, unsigned per_mille)
{
	return per_mille > 0 && sim_below(sim, 1000) < per_mille;
}

int64_t sim_latency(struct sim *sim)
{
	return 100 + (int64_t)sim_below(sim, (uint64_t)sim->faults.latency_max_us + 1);
}

void sim_random(struct sim *sim, void *out, size_t len)
{
	uint8_t *at = out;

	for (size_t i = 0; i < len; i++) {
		at[i] = (uint8_t)(draw(sim) >> 32);
	}
}

/* ---- words ---- */

void sim_violated(struct sim *sim, const char *fmt, ...)
{
	va_list args;

	if (sim->violation[0]) {
		return;
	}
	va_start(args, fmt);
	vsnprintf(sim->violation, sizeof(sim->violation), fmt, args);
	va_end(args);
	sim_say(sim, "VIOLATED: %s", sim->violation);
}

void sim_say(const struct sim *sim, const char *fmt, ...)
{
	va_list args;

	if (!sim->verbose) {
		return;
	}
	printf("# %10.6f  ", (double)sim->now_us / 1e6);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

/* ---- events: a binary heap ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

static void swap(struct sim *sim, size_t i, size_t k)
{
	struct sim_event *event = sim->heap[i];

	sim->heap[i] = sim->heap[k];
	sim->heap[k] = event;
}

static void rise(struct sim *sim, size_t i)
{
	while (i > 0 && is_before(sim->heap[i], sim->heap[(i - 1) / 2])) {
		swap(sim, i, (i - 1) / 2);
		i = (i - 1) / 2;
	}
}

static void sink(struct sim *sim, size_t i)
{
	for (;;) {
		size_t least = i;

		for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < sim->heap_len; k++) {
			least = is_before(sim->heap[k], sim->heap[least]) ? k : least;
		}
		if (least == i) {
			return;
		}
		swap(sim, i, least);
		i = least;
	}
}

struct sim_event *sim_at(struct sim *sim, struct sim_process *process, int64_t delay_us,
			 sim_fire *fire, void *arg)
{
	struct sim_event *event = xcalloc(1, sizeof(*event));

	*event = (struct sim_event){
		.at_us = sim->now_us + (delay_us > 0 ? delay_us : 0),
		.seq = sim->next_seq++,
		.process = process,
		.fire = fire,
		.arg = arg,
	};
	if (sim->heap_len == sim->heap_cap) {
		sim->heap_cap = sim->heap_cap ? 2 * sim->heap_cap : 64;
		sim->heap = xreallocarray(sim->heap, sim->heap_cap, sizeof(struct sim_event *));
	}
	sim->heap[sim->heap_len++] = event;
	rise(sim, sim->heap_len - 1);
	return event;
}

static struct sim_event *pop(struct sim *sim)
{
	struct sim_event *event = sim->heap[0];

	sim->heap[0] = sim->heap[--sim->heap_len];
	sink(sim, 0);
	return event;
}

bool sim_step(struct sim *sim)
{
	struct sim_event *event;

	if (sim->heap_len == 0) {
		return false;
	}
	event = pop(sim);
	if (event->fire && !(event->process && event->process->dead)) {
		sim->now_us = event->at_us;
		if (event->process) {
			event->process->steps++;
		}
		event->fire(sim, event->arg);
	}
	free(event->arg);
	free(event);
	return true;
}

struct sim *sim_new(uint64_t seed)
{
	struct sim *sim = xcalloc(1, sizeof(*sim));
	uint64_t state = seed;

	sim->seed = seed;
	sim->now_us = 1000000;
	sim->next_id = 1;
	for (size_t i = 0; i < ARRAY_LEN(sim->chance); i++) {
		sim->chance[i] = splitmix(&state);
	}
	return sim;
}

void sim_free(struct sim *sim)
{
	while (sim->heap_len > 0) {
		struct sim_event *event = pop(sim);

		free(event->arg);
		free(event);
	}
	free(sim->heap);
	free(sim);
}

/* ---- a process: clocks, chance, timers ---- */

static int64_t world_mono(struct world *world)
{
	return process_of(world)->sim->now_us;
}

int64_t sim_wall_us(const struct sim *sim)
{
	return sim->now_us + (int64_t)SIM_WALL_S * 1000000;
}

static int64_t world_wall(struct world *world)
{
	return sim_wall_us(process_of(world)->sim) + process_of(world)->wall_ahead_us;
}

static void world_chance(struct world *world, void *out, size_t len)
{
	sim_random(process_of(world)->sim, out, len);
}

struct world_timer {
	struct sim_process *process;
	struct sim_event *event;
	world_fire *fire;
	void *arg;
};

struct timer_arg {
	struct world_timer *timer;
};

static void on_timer(struct sim *sim, void *arg)
{
	struct world_timer timer = *((struct timer_arg *)arg)->timer;

	(void)sim;
	free(((struct timer_arg *)arg)->timer);
	timer.process->handles--;
	timer.fire(timer.arg);
}

/* All that are due within one turn of the loop fire at its end, in the order of their times. */
static int64_t lateness(const struct sim *sim, int64_t delay_us)
{
	int64_t turn_us = sim->faults.turn_us;
	int64_t into_us = turn_us > 0 ? (sim->now_us + delay_us) % turn_us : 0;

	return turn_us > 0 ? turn_us - into_us + into_us / 1000 : 0;
}

static struct world_timer *timer_start(struct world *world, int64_t delay_us, world_fire *fire,
				       void *arg)
{
	struct world_timer *timer = xcalloc(1, sizeof(*timer));
	struct timer_arg *fired = xcalloc(1, sizeof(*fired));

	fired->timer = timer;
	*timer = (struct world_timer){ process_of(world), NULL, fire, arg };
	timer->process->handles++;
	delay_us = delay_us > 0 ? delay_us : 0;
	timer->event = sim_at(timer->process->sim, timer->process,
			      delay_us + lateness(timer->process->sim, delay_us), on_timer, fired);
	return timer;
}

static void timer_cancel(struct world_timer *timer)
{
	timer->process->handles--;
	if (!timer->process->dead) {
		timer->event->fire = NULL;
	}
	free(timer);
}

/* ---- sockets ---- */

struct world_dgram {
	struct sim_process *process;
	uint64_t id;
	struct addr peer;
	world_dgram_in *in;
	void *arg;
	struct world_dgram *next;
};

struct world_http {
	struct sim_process *process;
	uint64_t id;
	world_http_done *done;
	void *arg;
	struct world_http *next;
};

/* Finds one by its number, where its process lives and has not closed it. */
#define FIND(sim_, list_, id_, found_)                                                            \
	for (struct sim_process *at_ = (sim_)->processes; at_ && !(found_); at_ = at_->next) {    \
		for ((found_) = at_->dead ? NULL : at_->list_; (found_) && (found_)->id != (id_); \
		     (found_) = (found_)->next) {                                                 \
		}                                                                                 \
	}

static struct world_dgram *dgram_open(struct world *world, const struct addr *peer,
				      world_dgram_in *in, void *arg)
{
	struct sim_process *process = process_of(world);
	struct world_dgram *dgram = xcalloc(1, sizeof(*dgram));

	*dgram = (struct world_dgram){ process, process->sim->next_id++, *peer, in,
				       arg,     process->dgrams };
	process->dgrams = dgram;
	process->handles++;
	return dgram;
}

static void dgram_send(struct world_dgram *dgram, const void *data, size_t len)
{
	net_datagram(dgram->process->sim, dgram->id, &dgram->peer,
		     &(struct net_octets){ data, len });
}

static void dgram_close(struct world_dgram *dgram)
{
	if (dgram) {
		UNLINK(dgram->process->dgrams, dgram)
		dgram->process->handles--;
		free(dgram);
	}
}

struct packet {
	uint64_t id;
	size_t len;
	uint8_t data[];
};

void sim_dgram_arrives(struct sim *sim, uint64_t id, const void *data, size_t len)
{
	struct world_dgram *dgram = NULL;

	FIND(sim, dgrams, id, dgram)
	if (dgram) {
		dgram->process->steps++;
		dgram->in(dgram->arg, data, len, NULL);
	}
}

static struct world_stream *stream_open(struct world *world, const struct addr *peer,
					world_stream_cb *cb, void *arg)
{
	struct sim_process *process = process_of(world);
	struct world_stream *stream = xcalloc(1, sizeof(*stream));

	*stream = (struct world_stream){ .process = process,
					 .id = process->sim->next_id++,
					 .peer = *peer,
					 .cb = cb,
					 .arg = arg,
					 .next = process->streams };
	process->streams = stream;
	process->handles++;
	net_connect(process->sim, stream->id, peer);
	return stream;
}

static void stream_write(struct world_stream *stream, const void *data, size_t len)
{
	if (stream->outside) {
		listen_stream_write(stream, data, len);
	} else if (!stream->ended) {
		net_stream(stream->process->sim, stream->id, &stream->peer,
			   &(struct net_octets){ data, len });
	}
}

static void stream_close(struct world_stream *stream)
{
	if (stream) {
		if (stream->outside) {
			listen_stream_close(stream);
		}
		UNLINK(stream->process->streams, stream)
		stream->process->handles--;
		free(stream);
	}
}

struct stream_packet {
	uint64_t id;
	enum world_stream_event event;
	bool broken;
	size_t len;
	uint8_t data[];
};

static void on_stream_packet(struct sim *sim, void *arg)
{
	struct stream_packet *packet = arg;
	struct world_stream *stream = NULL;
	struct world_stream_in in = { .event = packet->event,
				      .data = packet->data,
				      .len = packet->len };
	struct err err;

	FIND(sim, streams, packet->id, stream)
	if (!stream || stream->ended) {
		return;
	}
	if (packet->broken) {
		err_set(&err, ERR_NETWORK, "", "the TCP connection broke");
		in.err = &err;
	}
	stream->ended = packet->event == WORLD_STREAM_END;
	stream->process->steps++;
	stream->cb(stream->arg, &in);
}

void sim_stream_arrives(struct sim *sim, const struct sim_arrival *arrival, int64_t delay_us)
{
	struct world_stream *stream = NULL;
	struct stream_packet *packet;

	FIND(sim, streams, arrival->id, stream)
	if (!stream) {
		return;
	}
	packet = xcalloc(1, sizeof(*packet) + arrival->len);
	packet->id = arrival->id;
	packet->event = arrival->event;
	packet->broken = arrival->broken;
	packet->len = arrival->len;
	if (arrival->len > 0) {
		memcpy(packet->data, arrival->data, arrival->len);
	}
	if (sim->now_us + delay_us < stream->last_us) {
		delay_us = stream->last_us - sim->now_us;
	}
	stream->last_us = sim->now_us + delay_us;
	sim_at(sim, NULL, delay_us, on_stream_packet, packet);
}

/* ---- HTTPS ---- */

static struct world_http *http_start(struct world *world, const struct http_request *request,
				     world_http_done *done, void *arg)
{
	struct sim_process *process = process_of(world);
	struct world_http *http = xcalloc(1, sizeof(*http));

	*http = (struct world_http){ process, process->sim->next_id++, done, arg, process->https };
	process->https = http;
	process->handles++;
	ca_request(process->sim, http->id, request);
	return http;
}

static void http_end(struct world_http *http)
{
	UNLINK(http->process->https, http)
	http->process->handles--;
	free(http);
}

static void http_cancel(struct world_http *http)
{
	if (http) {
		http_end(http);
	}
}

struct answer_packet {
	uint64_t id;
	struct sim_answer answer;
};

static void on_answer(struct sim *sim, void *arg)
{
	struct answer_packet *packet = arg;
	struct sim_answer *answer = &packet->answer;
	struct world_http *http = NULL;
	struct http_response response = { .status = answer->status };
	world_http_done *done;
	void *done_arg;
	struct err err;

	FIND(sim, https, packet->id, http)
	if (http) {
		http->process->steps++;
		done = http->done;
		done_arg = http->arg;
		http_end(http);
		err_set(&err, ERR_NETWORK, "ca.test", "the connection broke");
		response.headers = answer->header;
		response.header_count = answer->header_count;
		response.body = buf_str(&answer->body);
		response.body_len = answer->body.len;
		done(done_arg, answer->status ? NULL : &err, answer->status ? &response : NULL);
	}
	buf_clear(&answer->body);
}

static void add_header(struct sim_answer *answer, const char *name, const char *value)
{
	if (value[0]) {
		answer->header[answer->header_count++] = (struct http_header){ name, value };
	}
}

void sim_http_arrives(struct sim *sim, uint64_t id, struct sim_answer *answer, int64_t delay_us)
{
	struct answer_packet *packet = xcalloc(1, sizeof(*packet));

	packet->id = id;
	packet->answer = *answer;
	answer = &packet->answer;
	add_header(answer, "content-type", answer->type ? answer->type : "");
	add_header(answer, "location", answer->location);
	add_header(answer, "replay-nonce", answer->nonce);
	add_header(answer, "retry-after", answer->retry_after);
	sim_at(sim, NULL, delay_us, on_answer, packet);
}

/* ---- commands ---- */

struct world_child {
	struct sim_process *process;
	uint64_t id;
	world_spawn_done *done;
	void *arg;
	struct world_child *next;
};

static void spawn_cancel(struct world_child *child)
{
	if (child) {
		UNLINK(child->process->children, child)
		child->process->handles--;
		free(child);
	}
}

struct child_end {
	uint64_t id;
	struct sim_command command;
};

static void on_child_end(struct sim *sim, void *arg)
{
	const struct child_end *end = arg;
	const struct sim_command *command = &end->command;
	struct spawn_result result = { .timed_out = command->timed_out,
				       .exit_status = command->exit_status,
				       .output = "" };
	struct world_child *child = NULL;

	FIND(sim, children, end->id, child)
	command->ended(sim, command->arg, child != NULL);
	free(command->arg);
	if (child) {
		struct world_child told = *child;

		child->process->steps++;
		spawn_cancel(child);
		told.done(told.arg, NULL, &result);
	}
}

static struct world_child *spawn_start(struct world *world, const struct spawn_request *request,
				       world_spawn_done *done, void *arg)
{
	struct sim_process *process = process_of(world);
	struct sim *sim = process->sim;
	struct world_child *child = xcalloc(1, sizeof(*child));
	struct child_end *end = xcalloc(1, sizeof(*end));

	if (!sim->spawned) {
		sim_violated(sim, "a child process was started: %s", request->argv[0]);
		abort();
	}
	*child = (struct world_child){ process, sim->next_id++, done, arg, process->children };
	process->children = child;
	process->handles++;
	end->id = child->id;
	sim->spawned(sim, process, request, &end->command);
	sim_at(sim, NULL, end->command.takes_us, on_child_end, end);
	return child;
}

/* ---- the table ---- */

static bool has_route(struct world *world, const struct addr *peer)
{
	(void)world;
	return peer->u.sa.sa_family == AF_INET;
}

static struct world_ops ops = {
	.mono_us = world_mono,
	.wall_us = world_wall,
	.random = world_chance,
	.timer_start = timer_start,
	.timer_cancel = timer_cancel,
	.dgram_open = dgram_open,
	.dgram_send = dgram_send,
	.dgram_close = dgram_close,
	.stream_open = stream_open,
	.stream_write = stream_write,
	.stream_close = stream_close,
	.http_start = http_start,
	.http_cancel = http_cancel,
	.spawn_start = spawn_start,
	.spawn_cancel = spawn_cancel,
	.has_route = has_route,
};

void sim_process_init(struct sim_process *process, struct sim *sim, const char *name)
{
	*process = (struct sim_process){
		.world.ops = &ops, .sim = sim, .name = name, .next = sim->processes
	};
	sim->processes = process;
	listen_ops(&ops);
}

void sim_process_clear(struct sim_process *process)
{
	listen_drop(process);
	if (process->handles > 0) {
		sim_violated(process->sim, "%s left %zu timers, sockets or requests behind",
			     process->name, process->handles);
	}
	UNLINK(process->sim->processes, process)
}

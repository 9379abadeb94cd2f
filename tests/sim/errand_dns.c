/* errand_dns: errands by the UPDATE door, as signed messages by UDP or TCP. */
#include "sim/crowd.h"

#define CHALLENGE "_acme-challenge."
#define UDP_WAIT_US 3000000
#define UDP_SENDS_MAX 6 /* of one message */
#define TCP_WAIT_US ((int64_t)200 * 1000000)
#define TAPE_AGE_US 30000000 /* its sender has heard its own answer */
#define ATTACKER "10.66.6.6:6666"

/* ---- messages ---- */

static void owner_of(const struct ask *ask, bool by_owner, char out[2 * WIRE_TEXT_MAX])
{
	snprintf(out, 2 * WIRE_TEXT_MAX, "%s%s", by_owner ? "" : CHALLENGE, ask->name);
}

static void add_changes(struct errand *errand)
{
	bool lego = sim_below(errand->crowd->sim, 3) == 0;
	char owner[2 * WIRE_TEXT_MAX];

	for (size_t i = 0; i < errand->ask_count; i++) {
		owner_of(errand->ask[i], errand->by_owner, owner);
		if (lego) { /* it deletes the RRset first: that is the add */
			wire_update_add(&errand->message,
					&(struct wire_change){ owner, TYPE_TXT, CLASS_ANY, NULL });
		}
		wire_update_add(&errand->message, &(struct wire_change){ owner, TYPE_TXT, CLASS_IN,
									 errand->ask[i]->value });
	}
}

static void add_removals(struct errand *errand, struct ask *const *asks, size_t count)
{
	uint64_t way = sim_below(errand->crowd->sim, 4);
	char owner[2 * WIRE_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		struct wire_change change = { owner, TYPE_TXT, CLASS_NONE, asks[i]->value };

		owner_of(asks[i], errand->by_owner && asks == errand->ask, owner);
		if (way == 0 || way == 1) { /* all of its own that is there */
			change = (struct wire_change){ owner, way == 0 ? TYPE_TXT : TYPE_ANY,
						       CLASS_ANY, NULL };
			asks_disturb(errand->crowd, errand->member, asks[i]->name, NULL);
		}
		wire_update_add(&errand->message, &change);
	}
}

static void sign(struct errand *errand)
{
	struct sim *sim = errand->crowd->sim;
	uint64_t now_s = (uint64_t)(sim_wall_us(sim) / 1000000);
	uint8_t wrong[WIRE_SECRET_LEN] = { 1 };
	const struct member *member = errand->member;
	uint64_t way = errand->impostor ? sim_below(sim, 3) : 3;

	wire_update_sign(&errand->message, way == 0 ? "nobody.key" : member->key,
			 way == 1 ? wrong : member->secret, way == 2 ? now_s - 3600 : now_s);
}

static void build(struct errand *errand)
{
	struct sim *sim = errand->crowd->sim;
	const struct ask *first = errand->state == ERRAND_STEALING ? errand->prey : errand->ask[0];
	const struct net_zone *zone = net_zone_of(sim->net, first->name);

	errand->id = (uint16_t)sim_below(sim, 65536);
	errand->answered = false;
	errand->sends = 0;
	errand->restarts = errand->crowd->restarts;
	wire_update_begin(&errand->message, errand->id,
			  zone && errand->ask_count == 1 ? zone->name : "test");
	if (errand->state == ERRAND_ASKING) {
		add_changes(errand);
	} else if (errand->state == ERRAND_REMOVING) {
		add_removals(errand, errand->ask, errand->ask_count);
	} else {
		add_removals(errand, &errand->prey, 1);
	}
	sign(errand);
}

/* ---- answers ---- */

static void released(struct errand *errand, bool retried)
{
	for (size_t i = 0; i < errand->ask_count; i++) {
		errand_release(errand, errand->ask[i], retried);
	}
}

static void violated(struct errand *errand, unsigned rcode, const char *what)
{
	sim_violated(errand->crowd->sim, "%s: %s: rcode %u to the UPDATE for %s",
		     errand->member->name, what, rcode, errand->ask[0]->name);
}

static void on_asked(struct errand *errand, unsigned rcode)
{
	if (rcode == RCODE_OK) {
		errand_asked(errand, true);
		return;
	}
	released(errand, errand->asked_again);
	if (rcode == RCODE_SERVFAIL) { /* it starts, or stops, or cannot just now */
		errand_again(errand, 1000000);
		return;
	}
	if (errand_must_go_well(errand)) {
		violated(errand, rcode, "answered: it is refused though nothing is wrong");
	}
	errand_asked(errand, false);
}

static void on_removed(struct errand *errand, unsigned rcode)
{
	if (rcode == RCODE_SERVFAIL) {
		errand_again(errand, 1000000);
		return;
	}
	if (rcode == RCODE_OK) {
		released(errand, false);
		errand->crowd->removed++;
	}
	errand_over(errand);
}

/* An answer has arrived. */
static void on_answer(struct errand *errand, unsigned rcode)
{
	sim_say(errand->crowd->sim, "%s is answered rcode %u", errand->member->name, rcode);
	errand->serial++;
	outside_close(errand->conn);
	errand->conn = NULL;
	errand->in.len = 0;
	if (errand->impostor) {
		if (rcode != RCODE_NOTAUTH) {
			violated(errand, rcode, "granted: nobody knows him");
		}
		released(errand, false);
		errand_over(errand);
	} else if (errand->state == ERRAND_ASKING) {
		on_asked(errand, rcode);
	} else if (errand->state == ERRAND_REMOVING) {
		on_removed(errand, rcode);
	} else {
		errand->state = ERRAND_REMOVING;
		errand_again(errand, 0);
	}
}

/* Only what the broker has seen: what it never saw is late, and no replay. */
static void keep_tape(struct errand *errand)
{
	struct crowd *crowd = errand->crowd;
	struct tape *tape = &crowd->tape[crowd->tapes++ % TAPES_MAX];

	tape->len = 0;
	if (errand->message.len <= sizeof(tape->data) && !errand->impostor) {
		memcpy(tape->data, errand->message.data, errand->message.len);
		tape->len = errand->message.len;
		tape->restarts = crowd->restarts;
		tape->at_us = crowd->sim->now_us;
		tape->member = errand->member;
	}
}

/* What the broker just said, if it is the first that it says to this. */
static void on_sent(struct errand *errand, const uint8_t *data)
{
	if (errand->answered) {
		return;
	}
	errand->answered = true;
	keep_tape(errand);
	if (errand->state != ERRAND_ASKING) { /* it may remove whatever is there of its own */
		asks_disturb(errand->crowd, errand->member, NULL, NULL);
	}
	if (errand->state == ERRAND_ASKING && (data[3] & 0xf) == RCODE_OK) {
		for (size_t i = 0; i < errand->ask_count; i++) {
			ask_published(errand->crowd, errand->ask[i]);
		}
	}
}

static bool is_answer(const struct errand *errand, const uint8_t *data, size_t len)
{
	return len >= 12 && (data[0] << 8 | data[1]) == errand->id && (data[2] & 0x80);
}

/* ---- UDP ---- */

static void send_udp(struct errand *errand);

struct wait {
	struct errand *errand;
	unsigned serial;
};

static void wait_for(struct errand *errand, int64_t delay_us, sim_fire *fire)
{
	struct wait *wait = xcalloc(1, sizeof(*wait));

	*wait = (struct wait){ errand, ++errand->serial };
	sim_at(errand->crowd->sim, NULL, delay_us, fire, wait);
}

static void on_udp_silence(struct sim *sim, void *arg)
{
	struct wait *wait = arg;
	struct errand *errand = wait->errand;

	(void)sim;
	if (wait->serial != errand->serial) {
		return;
	}
	if (errand->sends < UDP_SENDS_MAX) {
		send_udp(errand);
	} else {
		errand->serial++;
		errand_again(errand, 0);
	}
}

static void address(const struct errand *errand, struct addr *out)
{
	*out = errand->member->addr;
	addr_set_port(out, errand->port);
}

static struct addr door(void)
{
	struct addr addr;

	if (!addr_parse(CROWD_DNS, 53, &addr)) {
		abort();
	}
	return addr;
}

static void send_udp(struct errand *errand)
{
	struct addr from, to = door();

	address(errand, &from);
	errand->sends++;
	errand->member->sent_us = errand->crowd->sim->now_us;
	wait_for(errand, UDP_WAIT_US, on_udp_silence);
	outside_datagram(errand->crowd->sim,
			 &(struct outside_packet){ .to = &to,
						   .from = &from,
						   .data = errand->message.data,
						   .len = errand->message.len });
}

void errand_dns_heard(struct sim *sim, const struct addr *to, const struct outside_in *in)
{
	struct crowd *crowd = sim->house;

	for (struct errand *errand = crowd->errands; errand; errand = errand->next) {
		struct addr addr;

		address(errand, &addr);
		if (!errand->member->by_key || !addr_equal(&addr, to) ||
		    errand->state == ERRAND_OVER || !is_answer(errand, in->data, in->len)) {
			continue;
		}
		if (in->sent) {
			on_sent(errand, in->data);
		} else {
			errand->id++; /* a second copy is of no interest */
			on_answer(errand, in->data[3] & 0xf);
		}
		return;
	}
}

/* ---- TCP ---- */

static void on_tcp_silence(struct sim *sim, void *arg)
{
	struct wait *wait = arg;
	struct errand *errand = wait->errand;

	if (wait->serial == errand->serial) {
		errand->serial++;
		if (errand->restarts == errand->crowd->restarts) {
			sim_violated(sim, "once: %s waits for ever", errand->member->name);
		}
		outside_close(errand->conn);
		errand->conn = NULL;
		errand_again(errand, 0);
	}
}

static void on_stream(struct sim *sim, void *arg, const struct outside_in *in)
{
	struct errand *errand = arg;
	struct buf *buf = &errand->in;
	const uint8_t *data;

	if (in->sent) { /* one message a write */
		on_sent(errand, in->data + 2);
		return;
	}
	if (in->event == WORLD_STREAM_END) {
		if (!in->broken) {
			sim_violated(sim, "once: %s waits for an answer, and is hung up on",
				     errand->member->name);
		}
		errand->serial++;
		outside_close(errand->conn);
		errand->conn = NULL;
		buf->len = 0;
		errand_again(errand, 200000);
		return;
	}
	buf_add(buf, in->data, in->len);
	data = (const uint8_t *)buf->data;
	if (buf->len < 2 || buf->len < 2U + (size_t)(data[0] << 8 | data[1])) {
		return;
	}
	if (!is_answer(errand, data + 2, buf->len - 2)) {
		sim_violated(sim, "answered: %s gets the answer to something else",
			     errand->member->name);
	}
	on_answer(errand, data[5] & 0xf);
}

static void send_tcp(struct errand *errand)
{
	struct addr from, to = door();
	struct buf framed = BUF_INIT(65537);

	address(errand, &from);
	errand->member->sent_us = errand->crowd->sim->now_us;
	errand->in.len = 0;
	errand->conn = outside_connect(errand->crowd->sim, &to, &from, on_stream, errand);
	buf_add_u16(&framed, (uint16_t)errand->message.len);
	buf_add(&framed, errand->message.data, errand->message.len);
	outside_write(errand->conn, framed.data, framed.len);
	buf_clear(&framed);
	wait_for(errand, TCP_WAIT_US, on_tcp_silence);
}

/* ---- the whole ---- */

void errand_dns_act(struct errand *errand)
{
	if (errand->state == ERRAND_STEALING) {
		asks_disturb(errand->crowd, errand->member, NULL, NULL);
	}
	build(errand);
	if (errand->kind == ERRAND_UPDATE_UDP) {
		send_udp(errand);
	} else {
		send_tcp(errand);
	}
}

void crowd_replay(struct crowd *crowd)
{
	const struct tape *tape = &crowd->tape[sim_below(crowd->sim, TAPES_MAX)];
	struct addr from, to = door();

	if (tape->len == 0 || tape->restarts != crowd->restarts ||
	    tape->at_us + TAPE_AGE_US > crowd->sim->now_us || !addr_parse(ATTACKER, 53, &from)) {
		return;
	}
	crowd->member[tape->member->index].sent_us = crowd->sim->now_us;
	outside_datagram(crowd->sim,
			 &(struct outside_packet){
				 .to = &to, .from = &from, .data = tape->data, .len = tape->len });
}

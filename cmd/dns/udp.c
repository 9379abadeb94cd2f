#include "client.h"

#define SECOND_US 1000000

static void next_try(struct dns_call *call);

/* At most DNS_UDP_PER_S in any second: the oldest of the last that many has to
 * be a second old. */
static bool within_budget(struct dns_peer *peer, int64_t now_us)
{
	return !peer->sent_all || now_us - peer->sent_us[peer->sent_at] >= SECOND_US;
}

static void count_datagram(struct dns_peer *peer, int64_t now_us)
{
	peer->sent_us[peer->sent_at] = now_us;
	peer->sent_at = (peer->sent_at + 1) % DNS_UDP_PER_S;
	peer->sent_all = peer->sent_all || peer->sent_at == 0;
}

void udp_stop(struct dns_call *call)
{
	if (call->dgram) {
		call->client->world->ops->dgram_close(call->dgram);
		call->dgram = NULL;
	}
}

static void to_tcp(struct dns_call *call)
{
	udp_stop(call);
	tcp_start(call);
}

static void on_reply(struct dns_call *call, const uint8_t *data, size_t len)
{
	struct err err = { .code = ERR_NONE };

	switch (call_judge(call, data, len, &err)) {
	case VERDICT_STRANGER:
		return;
	case VERDICT_TRUNCATED:
		to_tcp(call);
		return;
	case VERDICT_NO_EDNS:
		call->edns = false;
		call->udp_tries--;
		next_try(call);
		return;
	case VERDICT_UNBELIEVED:
		/* RFC 8945 s.5.3: go on waiting, the true reply may come. */
		call_set_hint(call, &err);
		call->hint_counts = call->hint_counts || err.code == ERR_DENIED;
		return;
	case VERDICT_HOPELESS:
		/* Anyone who saw the query could have said so; TCP is harder
		 * to speak on for another. */
		call_set_hint(call, &err);
		to_tcp(call);
		return;
	case VERDICT_REFUSED:
		call_finish(call, &err);
		return;
	case VERDICT_ACCEPTED:
		call_finish(call, NULL);
		return;
	}
}

static void on_dgram(void *arg, const uint8_t *data, size_t len, const struct err *err)
{
	struct dns_call *call = arg;

	if (data) {
		on_reply(call, data, len);
		return;
	}
	/* A closed port or no route: no other try will fare better, TCP might. */
	if (!call->hint) {
		call_set_hint(call, err);
	}
	to_tcp(call);
}

static void on_try_over(void *arg)
{
	struct dns_call *call = arg;

	call->timer = NULL;
	if (call_left_us(call) <= 0) {
		call_give_up(call);
	} else if (call->udp_tries < UDP_TRIES && !call->hint_counts) {
		next_try(call);
	} else {
		to_tcp(call);
	}
}

/* A fresh socket and ID for every try: a forger has to start anew. */
static void next_try(struct dns_call *call)
{
	struct world *world = call->client->world;
	struct buf message = BUF_INIT(WIRE_MSG_MAX);
	int64_t now_us = world_mono_us(world);
	int64_t wait_us = (int64_t)UDP_FIRST_MS * 1000 << call->udp_tries;
	uint16_t id;

	udp_stop(call);
	if (!within_budget(call->peer, now_us)) {
		to_tcp(call);
		return;
	}
	world_random(world, &id, sizeof(id));
	if (!call_message(call, id, &message)) {
		call_fail_later(call);
		goto out;
	}
	call->state = CALL_UDP;
	call->udp_tries++;
	count_datagram(call->peer, now_us);
	call->dgram = world->ops->dgram_open(world, &call->peer->addr, on_dgram, call);
	world->ops->dgram_send(call->dgram, message.data, message.len);
	call_set_timer(call, wait_us < call_left_us(call) ? wait_us : call_left_us(call),
		       on_try_over);
out:
	buf_clear(&message);
}

void udp_start(struct dns_call *call)
{
	next_try(call);
}

/*
 * watch_server: one address, on its own schedule. One UPDATE becomes visible
 * as a whole, so one owner (the sentinel) is polled; when it shows its values all others are
 * asked for once.
 *
 *   WAITING --sentinel shows--> the rest is asked --all show--> SEEN
 *     ^  \--REFUSED, no authority--> REFUSING --\       \--some do not: the first of
 *     |   \--no answer--> UNREACHABLE -----------+--> asked again      them is polled
 *     +------------------------------------------+
 */
#include "watch_internal.h"

#define POLL_MIN_US 20000
#define POLL_MAX_US 5000000
#define POLL_SHARE 10 /* the next poll comes after this part of the time waited */
#define UDP_MAX 10    /* more questions at once go over one TCP connection */

static void ask_owner(struct watch_server *server, size_t owner, enum dns_transport transport);

static struct world *world_of(const struct watch_server *server)
{
	return server->zone->watch->args.world;
}

static void set_state(struct watch_server *server, enum server_state state)
{
	struct timeline *timeline = server->timeline;
	const struct watch_args *args = &server->zone->watch->args;
	struct progress progress = { .kind = PROGRESS_SERVER, .timeline = timeline };

	if (timeline->state == state) {
		return;
	}
	log_debug("%s %s: %s -> %s (%s)", timeline->zone, timeline->server,
		  server_state_name(timeline->state), server_state_name(state), timeline->said);
	timeline->state = state;
	timeline->state_since_us = world_mono_us(args->world);
	if (state == SERVER_SEEN) {
		timeline->seen_us = timeline->state_since_us;
	}
	if (args->progress) {
		args->progress(args->progress_arg, &progress);
	}
}

static bool is_wanted(const struct watch_server *server, size_t owner)
{
	return !server->shown[owner] && server->zone->owners[owner].values.count > 0;
}

static size_t first_unshown(const struct watch_server *server)
{
	for (size_t i = 0; i < server->zone->owner_count; i++) {
		if (is_wanted(server, i)) {
			return i;
		}
	}
	return server->zone->owner_count;
}

static void turn_over(struct watch_server *server);

static void on_timer(void *arg)
{
	struct watch_server *server = arg;
	size_t owner = first_unshown(server);

	server->timer = NULL;
	if (owner < server->zone->owner_count) {
		ask_owner(server, owner, DNS_AUTO);
	} else {
		turn_over(server); /* who waited for the rest has left */
	}
}

static void poll_later(struct watch_server *server)
{
	int64_t waited = world_mono_us(world_of(server)) - server->timeline->first_asked_us;
	int64_t delay = waited / POLL_SHARE;

	delay = delay < POLL_MIN_US ? POLL_MIN_US : delay > POLL_MAX_US ? POLL_MAX_US : delay;
	server->timer = world_timer_start(world_of(server), delay, on_timer, server);
}

/* All answers of this turn are in. */
static void turn_over(struct watch_server *server)
{
	size_t owner = first_unshown(server);
	bool all = owner == server->zone->owner_count;

	if (all) {
		set_state(server, SERVER_SEEN);
	} else {
		poll_later(server);
	}
	watch_zone_look(server->zone); /* last: it may end the watch's work */
}

/* Read back at this very address, which is not asked twice (but by `settle`). */
static bool was_read_back(const struct watch_server *server, size_t owner)
{
	const struct addr *at = &server->zone->owners[owner].shown_at;

	return !server->zone->settling && at->len > 0 && server->timeline->addr.len > 0 &&
	       addr_equal(at, &server->timeline->addr);
}

/*
 * The sentinel shows. Reading back is signed, and a key may choose a view of the zone; that the
 * sentinel, which was read back too, shows to whoever asks says that it is this one.
 */
static void take_read_back(struct watch_server *server)
{
	for (size_t i = 0; i < server->zone->owner_count; i++) {
		server->shown[i] = server->shown[i] || was_read_back(server, i);
	}
}

static void ask_rest(struct watch_server *server)
{
	size_t unshown = 0;

	for (size_t i = 0; i < server->zone->owner_count; i++) {
		unshown += is_wanted(server, i) ? 1 : 0;
	}
	for (size_t i = 0; i < server->zone->owner_count; i++) {
		if (is_wanted(server, i)) {
			ask_owner(server, i, unshown > UDP_MAX ? DNS_TCP : DNS_AUTO);
		}
	}
}

static size_t values_shown(const struct watch_owner *owner, const struct dns_msg *msg)
{
	size_t count = 0;

	for (size_t i = 0; i < owner->values.count; i++) {
		count += dns_msg_has_txt(msg, owner->name, owner->values.item[i]) ? 1 : 0;
	}
	return count;
}

/* A resolver answers an alias with the chain: the TXT stands at its end, which is owner. */
static void take_answer(struct watch_server *server, size_t index, const struct dns_msg *msg)
{
	const struct watch_owner *owner = &server->zone->owners[index];
	struct timeline *timeline = server->timeline;
	bool recursive = server->resolver.resolver_count + server->resolver.doh_count > 0;
	size_t shown = values_shown(owner, msg);

	if (msg->rcode != DNS_NOERROR && msg->rcode != DNS_NXDOMAIN) {
		snprintf(timeline->said, sizeof(timeline->said), "%s", dns_rcode_name(msg->rcode));
		set_state(server, SERVER_REFUSING);
		return;
	}
	if (!msg->aa && !recursive) {
		snprintf(timeline->said, sizeof(timeline->said),
			 "answers without authority for zone %s", timeline->zone);
		set_state(server, SERVER_REFUSING);
		return;
	}
	server->shown[index] = shown == owner->values.count;
	if (msg->rcode == DNS_NXDOMAIN) {
		snprintf(timeline->said, sizeof(timeline->said), "NXDOMAIN for %s", owner->name);
	} else {
		snprintf(timeline->said, sizeof(timeline->said), "%zu of %zu values at %s", shown,
			 owner->values.count, owner->name);
	}
	if (!server->shown[index]) {
		set_state(server, SERVER_WAITING);
	}
}

static void on_answer(void *arg, const struct err *err, const struct dns_msg *msg)
{
	struct watch_question *question = arg;
	struct watch_server *server = question->server;
	bool sentinel = server->left == 1 && !server->shown[question->owner];

	question->call = NULL;
	question->lookup = NULL;
	if (err) {
		snprintf(server->timeline->said, sizeof(server->timeline->said), "%.150s",
			 err->text);
		set_state(server, SERVER_UNREACHABLE);
	} else {
		take_answer(server, question->owner, msg);
	}
	if (--server->left > 0) {
		return;
	}
	if (sentinel && server->shown[question->owner] && was_read_back(server, question->owner)) {
		take_read_back(server);
	}
	if (sentinel && server->shown[question->owner] &&
	    first_unshown(server) < server->zone->owner_count && !server->timer) {
		ask_rest(server);
		return;
	}
	turn_over(server);
}

static void ask_owner(struct watch_server *server, size_t owner, enum dns_transport transport)
{
	struct watch_question *question = &server->questions[owner];
	struct dns_client *dns = server->zone->watch->args.dns;
	const char *name = server->zone->owners[owner].name;
	struct timeline *timeline = server->timeline;

	timeline->last_asked_us = world_mono_us(world_of(server));
	if (timeline->first_asked_us == 0) {
		timeline->first_asked_us = timeline->last_asked_us;
	}
	timeline->questions++;
	server->left++;
	if (server->resolver.resolver_count + server->resolver.doh_count > 0) {
		question->lookup = dns_lookup_start(dns, &server->resolver,
						    &(struct dns_question){ name, DNS_TYPE_TXT },
						    on_answer, question);
		return;
	}
	question->call = dns_ask_start(dns,
				       &(struct dns_ask){
					       .server = timeline->addr,
					       .name = name,
					       .type = DNS_TYPE_TXT,
					       .transport = transport,
				       },
				       on_answer, question);
}

/* The one that is polled, of those who are waited for. */
static size_t sentinel_of(const struct watch_server *server)
{
	for (size_t i = 0; i < server->zone->owner_count; i++) {
		if (was_read_back(server, i) && is_wanted(server, i)) {
			return i;
		}
	}
	return 0;
}

void watch_server_begin(struct watch_server *server)
{
	size_t owners = server->zone->owner_count;

	if (server->timeline->state == SERVER_NO_ROUTE ||
	    server->timeline->state == SERVER_IGNORED ||
	    (server->timeline->addr.len == 0 && server->resolver.doh_count == 0)) {
		return; /* left out, or without an address to ask */
	}
	watch_server_end(server);
	free(server->questions);
	free(server->shown);
	server->questions = xcalloc(owners, sizeof(*server->questions));
	server->shown = xcalloc(owners, sizeof(*server->shown));
	for (size_t i = 0; i < owners; i++) {
		server->questions[i] = (struct watch_question){ .server = server, .owner = i };
	}
	if (server->timeline->state == SERVER_SEEN) {
		server->timeline->state = SERVER_WAITING;
	}
	ask_owner(server, sentinel_of(server), DNS_AUTO);
}

void watch_server_drop(struct watch_server *server, size_t owner)
{
	if (server->shown && server->timer && first_unshown(server) > owner) {
		/* It may have been the last one: look soon, from the loop. */
		world_timer_cancel(world_of(server), server->timer);
		server->timer = world_timer_start(world_of(server), 0, on_timer, server);
	}
}

void watch_server_end(struct watch_server *server)
{
	world_timer_cancel(world_of(server), server->timer);
	server->timer = NULL;
	server->left = 0;
	for (size_t i = 0; server->questions && i < server->zone->owner_count; i++) {
		dns_call_cancel(server->questions[i].call);
		dns_lookup_cancel(server->questions[i].lookup);
		server->questions[i].call = NULL;
		server->questions[i].lookup = NULL;
	}
}

void watch_server_clear(struct watch_server *server)
{
	watch_server_end(server);
	free(server->questions);
	free(server->shown);
	free(server->resolver.resolver);
	free(server->resolver.doh_url);
}

/*
 * listen: those who come to a process. Outside of all processes stand clients, who send HTTP
 * requests, datagrams and streams to places where a process may listen. On the way they are
 * late, lost or doubled, and connections break, as net.c does it for what processes send.
 */
#ifndef DNS01_SIM_LISTEN_H
#define DNS01_SIM_LISTEN_H

#include "sim/world.h"

/* ---- HTTP ---- */

struct outside_call;

struct outside_answer {
	int status;   /* 0: nobody listens there, or the connection broke */
	bool reached; /* a process heard it: it may have had its effect */
	const char *body;
	size_t body_len;
};
typedef void outside_answered(struct sim *sim, void *arg, const struct outside_answer *answer);

struct outside_request {
	const char *place; /* the path of the listener's Unix socket */
	const char *method, *path, *query, *body;
	const char *authorization; /* NULL: none */
	outside_answered *sent;    /* at the instant of the answer, or of each part of it */
	outside_answered *arrived; /* once, unless its client leaves; the call is gone then */
	void *arg;
};
struct outside_call *outside_ask(struct sim *sim, const struct outside_request *request);
void outside_leave(struct outside_call *call); /* it is gone */

/* ---- DNS ---- */

/* By UDP; sim->outside_heard gets what is replied. */
struct outside_packet {
	const struct addr *to, *from;
	const void *data;
	size_t len;
};
void outside_datagram(struct sim *sim, const struct outside_packet *packet);

/* By TCP: what comes back, at the instant it is sent (sent: true) and when it arrives. */
struct outside_in {
	enum world_stream_event event;
	bool sent;
	bool broken; /* an end that is nobody's wish */
	const uint8_t *data;
	size_t len;
};
typedef void outside_stream(struct sim *sim, void *arg, const struct outside_in *in);
struct outside_conn *outside_connect(struct sim *sim, const struct addr *to,
				     const struct addr *from, outside_stream *in, void *arg);
void outside_write(struct outside_conn *conn, const void *data, size_t len);
void outside_close(struct outside_conn *conn); /* nothing is heard of it any more */

#endif

/*
 * holder: who is alive, without process ids. A process that holds process leases keeps one
 * byte of state/holders locked; the lock dies with it, whatever happens. Private to store.
 */
#ifndef DNS01_STORE_HOLDER_H
#define DNS01_STORE_HOLDER_H

#include "dns01/base.h"

#define HOLDER_BYTE_MAX 65536

struct holder {
	int fd;       /* holds our byte */
	int probe_fd; /* another open file description: our own byte shows as locked through it */
	int64_t byte; /* 0: none yet */
};

#define HOLDER_INIT                      \
	{                                \
		.fd = -1, .probe_fd = -1 \
	}

enum err_code holder_open(struct holder *holder, const char *state, struct err *err) MUST_CHECK;
void holder_close(struct holder *holder); /* our byte is free from here on */
/* True and the byte is ours, or false: another has it. Only while no byte is ours. */
bool holder_try(struct holder *holder, int64_t byte);
/* Somebody alive, maybe we, has this byte. In doubt true: a value too long in DNS is the
 * lesser harm. */
bool holder_alive(const struct holder *holder, int64_t byte);

/* A write lock on len octets from start (len 0: all). False: another has it, or errno is not
 * EAGAIN. */
bool ofd_try_lock(int fd, int64_t start, int64_t len);

#endif

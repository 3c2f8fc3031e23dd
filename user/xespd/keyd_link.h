/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyd_link.h - xespd's end of the socket over which keyd hands it tunnels, SAs and leases.
 *
 * Connects to keyd, again and again while there is none, and applies what keyd says to the SAD.
 * While keyd is away everything stays in force: only the end of a new synchronisation removes what
 * keyd no longer names. The peer is checked by its credentials, and each message by its length,
 * type, version and counts; one that is malformed ends the connection. Buffers that held a key are
 * wiped after use. Main thread only.
 */
#ifndef XESP_KEYD_LINK_H
#define XESP_KEYD_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/keymsg.h"

struct event_base;
struct fault;
struct keyd_link;
struct sad;

#define KEYD_LINK_ALL UINT32_MAX

struct keyd_link_opts {
	const char *path; /* of keyd's socket; borrowed, as is all here */
	struct sad *sad;
	/* This tunnel or an SA of it is another than before; 0: something else, KEYD_LINK_ALL: all may be */
	void (*changed)(void *ctx, uint32_t tunnel);
	void (*spread)(void *ctx, enum xesp_spread mode); /* NULL: nothing is to be spread */
	void *ctx;
};

/* The first attempt to connect is made at once, from the event loop. -ENOMEM, -ENAMETOOLONG */
int keyd_link_open(struct keyd_link **out, struct event_base *base, const struct keyd_link_opts *o,
		   struct fault *f);
void keyd_link_close(struct keyd_link *l);

/* Peers that moved: keyd is told now, or as soon as it is there. */
void keyd_link_tell_peers(struct keyd_link *l);

/* Dead-peer probing has found it so; when keyd is away nobody hears it. */
void keyd_link_tell_alive(struct keyd_link *l, uint32_t tunnel, bool alive);

/* keyd is there and its whole state is ours. */
bool keyd_link_connected(const struct keyd_link *l);

/*
 * Is this packet of `len` bytes a message that keyd may send? -EPROTO with a sentence. For the
 * link itself and for tests.
 */
int keyd_link_check(const void *packet, size_t len, struct fault *f);

#endif /* XESP_KEYD_LINK_H */

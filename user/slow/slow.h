/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slow.h - the door of the slow path: what the fast path cannot finish, the kernel finishes.
 *
 * Four ways, all of them correct and none of them fast:
 *   xesp0 out  a decapsulated packet for this machine, or one whose next hop the mirror does not
 *              know, is written to the TUN device and routed by the kernel
 *   xesp0 in   what the kernel routes into xesp0 (the gateway's own traffic) is matched against
 *              the SPD in user space, encapsulated on the main thread and sent by a raw socket
 *   raw out    an encapsulated packet whose next hop is not resolved goes out by a raw socket,
 *              so that the kernel resolves it; ICMP errors to inner senders too (slow/icmp.h)
 *   raw in     ESP that arrived in outer fragments: XDP passes them, the kernel reassembles, a raw
 *              ESP socket receives; decapsulated on the main thread
 * The TUN device is persistent: when xespd ends, routes into it stay and what they carry is
 * dropped by the kernel, not sent in clear.
 */
#ifndef XESP_SLOW_H
#define XESP_SLOW_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/pkt.h"
#include "slow/echo.h"

struct esp_worker;
struct event_base;
struct fault;
struct fib;
struct pins;
struct sad;
struct slow;

struct slow_opts {
	const char *tun_name; /* "xesp0" */
	const struct pins *pins; /* for the SPD of packets from xesp0 */
	struct sad *sad;
	struct fib *fib;
	struct esp_worker *esp; /* the slow path's own: the last worker */
	uint32_t worker;        /* its number */
};

/* -EPERM needs CAP_NET_ADMIN and CAP_NET_RAW; -EBUSY another xespd has the device. */
int slow_open(struct slow **out, struct event_base *base, const struct slow_opts *o,
	      struct fault *f);
void slow_close(struct slow *s);

/*
 * Any thread, not blocking. Takes a copy of the packet; false: not taken, count
 * XESP_DROP_SLOW_PATH_FULL.
 */
bool slow_to_tun(struct slow *s, const struct pkt *p);  /* inner packet, routed by the kernel */
bool slow_to_wire(struct slow *s, const struct pkt *p); /* outer packet, sent by a raw socket */

/* Any thread: an inner IPv4 packet with pkt.fragment: fragmented, encapsulated and sent there. */
bool slow_to_tunnel(struct slow *s, const struct pkt *p);

/* Any thread: p was dropped with TTL_EXPIRED or TOO_BIG: tell its sender, rate-limited. */
void slow_tell_sender(struct slow *s, const struct pkt *p);

/* Main thread: a whole outer packet of this machine's own making, by a raw socket. -errno of it */
int slow_send_own(struct slow *s, const uint8_t *ip, uint32_t len);

/*
 * Once a second for each tunnel there is, and after changes: `link` is the MTU of the way to its
 * remote end, 0 while not known. Returns the path MTU that holds: slow/pmtu.h. Main thread.
 */
uint32_t slow_path_mtu(struct slow *s, uint32_t tunnel, uint32_t link);
/* Ten times a second: probes that are due. Main thread. */
void slow_tick(struct slow *s);

/*
 * Main thread: a dummy packet (esp/dummy.h) of `size` bytes of payload through the tunnel. False: not
 * sent; a drop is counted.
 */
bool slow_dummy_send(struct slow *s, uint32_t tunnel, uint32_t size);
/* Main thread: UDP ports where tunnels receive ESP, for what comes in outer fragments. -errno */
int slow_set_natt_ports(struct slow *s, const __be16 *ports, uint32_t n);

/* Largest inner packet the device takes without fragmentation; main thread. */
int slow_set_mtu(struct slow *s, uint32_t mtu, struct fault *f);

/*
 * Pings through tunnels: echo.h. `answered` is called for each answer to one of this kind.
 * Main thread.
 */
struct slow_echo_calls {
	void (*answered)(void *ctx, const struct echo *e);
	void *ctx;
};
void slow_echo_on(struct slow *s, enum echo_kind kind, const struct slow_echo_calls *calls);

/*
 * Sends one of len inner bytes by e->tunnel, past the SPD and any group. An unset e->local is what
 * the kernel would send from. False: not sent, for want of a source, an SA or room; a drop is counted.
 */
bool slow_echo_send(struct slow *s, const struct echo *e, uint32_t len);

#endif /* XESP_SLOW_H */

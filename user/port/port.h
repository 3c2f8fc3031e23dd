/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - one queue of one interface: its AF_XDP socket.
 *
 * Opened and closed by the main thread; in between its rings belong to one worker, the one whose
 * pool it was opened with. The order is port_open(), the worker adopts it, port_serve(); and back:
 * port_unserve(), the worker lets go of it, port_close(). In between the frames that are in
 * the kernel's hands are the worker's to give up: umem_abandon().
 */
#ifndef XESP_PORT_H
#define XESP_PORT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <xdp/xsk.h>
#include "port/gather.h"
#include "port/umem.h"

struct fault;
struct share;
struct share_group;

#define PORT_RING 2048u /* descriptors of each of the four rings */

/* Frames a worker's pool needs for each port: a full fill ring, and half of a transmit ring. */
#define PORT_FRAMES (PORT_RING + PORT_RING / 2)

enum port_zero_copy { PORT_ZC_AUTO, PORT_ZC_OFF, PORT_ZC_REQUIRE };

struct port_spec {
	char name[IF_NAMESIZE];
	uint32_t ifindex;
	uint32_t mtu;          /* now; it may change */
	uint32_t number;       /* struct xesp_iface.port */
	uint32_t role;         /* enum xesp_role */
	uint32_t queue;
	bool receives, sends;  /* the interface has a receive and a transmit queue of this number */
	int xsks_fd;           /* map xesp_xsks */
	enum port_zero_copy zero_copy;
	uint32_t busy_poll_us; /* 0: no busy polling */
	uint32_t batch;
};

/* Visible because ring.c and the worker use it per packet. */
struct port {
	struct xsk_ring_cons rx, comp;
	struct xsk_ring_prod tx, fill;
	struct umem_pool *pool;
	int fd;
	uint32_t number;
	uint32_t rx_out;      /* frames given to the fill ring and not yet received */
	uint32_t tx_out;      /* frames given to the transmit ring and not yet completed */
	uint32_t fill_target; /* rx_out is kept at this, frames permitting */
	int tx_errno;         /* of the last send that failed for more than want of room */
	uint32_t starved;     /* atomic: times the worker could not fill up for want of frames */
	uint32_t napi;        /* of the queue, with busy polling; 0: not known yet, or never */
	uint32_t napi_rounds; /* so often it was not known */
	struct gather gather; /* the frame that is being received, if it comes in pieces */
	bool zero_copy;
	bool multi_buffer;    /* frames may come and go in several descriptors */
	bool dead;            /* atomic: set by the worker when the interface is gone */
	struct port_spec spec;
	struct share *share;
	struct xsk_socket *xsk;
	struct share_group *group;
	struct xdp_statistics seen; /* main thread: what port_lost() has already told */
	uint32_t starved_seen;      /* main thread, the same */
};

/*
 * Zero-copy is tried first, unless spec says otherwise.
 * -EBUSY       another process has this queue
 * -EOPNOTSUPP  zero-copy required, and the driver has none
 * -errno       of the socket calls
 */
int port_open(struct port **out, struct share *s, struct umem_pool *pool,
	      const struct port_spec *spec, struct fault *f);
void port_close(struct port *p);

/* From now on, and no longer, XDP redirects this queue's packets here. */
int port_serve(struct port *p, struct fault *f);
void port_unserve(struct port *p);

/* The interface under the socket is gone: true at least once; main thread. */
bool port_dead(const struct port *p);

/*
 * Packets that the kernel lost since the last call, by cause: the worker had no frame left to give,
 * had not yet come to those received, or they were larger than a chunk and the socket takes no
 * others; and descriptors of ours that it would not send.
 */
struct port_lost { uint64_t no_frame, ring_full, too_big, not_sent; };
void port_lost(struct port *p, struct port_lost *out);

#endif /* XESP_PORT_H */

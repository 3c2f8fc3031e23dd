/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * room.h - what the files of this room share: the parts of the open slow path, and the ways out.
 *
 * slow.c makes and ends them and takes what comes in; out.c lets packets go, tell.c tells senders.
 * Main thread only.
 */
#ifndef XESP_SLOW_ROOM_H
#define XESP_SLOW_ROOM_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/pkt.h"
#include "slow/esp_in.h"
#include "slow/icmp.h"
#include "slow/icmp_in.h"
#include "slow/probe.h"
#include "slow/raw.h"
#include "slow/slow.h"
#include "xesp/log.h"

struct event;
struct pmtu;
struct queue;
struct spd;

#define BATCH      32  /* packets in one turn of the event loop, from each source */
#define HEADROOM   128 /* outer IPv6 header, ESP header and IV; a round number */
#define TAILROOM   64  /* padding, trailer, ICV */
#define PACKET_MAX 65535
#define BUF_BYTES  (HEADROOM + PACKET_MAX + TAILROOM)
#define SLOT_BYTES (9216 + HEADROOM + TAILROOM) /* the largest frame the ports take, encapsulated \
						 */
#define DATA_SLOTS 256
#define TELL_SLOTS 64

_Static_assert(ESP_IN_ROOM <= BUF_BYTES, "an inbound packet fits a buffer");

struct slow {
	struct slow_opts o;
	char tun_name[16];
	int tun;
	struct raw raw;   /* what is protected: marked, so that it does not come back */
	struct raw clear; /* what the SPD lets pass in clear: marked; the kernel's own policies may protect it */
	struct raw plain; /* our own ICMP: routed like any packet of this machine */
	uint32_t frag_id; /* of the last IPv6 packet that was fragmented */
	struct esp_in in, in_ah, in_udp;
	uint32_t in_lost, in_ah_lost, in_udp_lost; /* of what they lost, how many are counted */
	struct spd *spd;
	/* Cleartext and ESP wait apart: a flood to this machine must not hold up the tunnels. */
	struct queue *to_tun, *to_wire, *to_tell;
	struct event *on_tun, *on_esp4, *on_esp6, *on_ah4, *on_ah6, *on_udp4, *on_udp6;
	struct event *on_to_tun, *on_to_wire, *on_to_tell, *on_resync;
	struct probe probe;
	struct pmtu *pmtu;
	struct icmp_in icmp;
	struct event *on_icmp4, *on_icmp6;
	struct icmp_limit limit;
	struct log_limit complain;
	struct batch batch;  /* of the handler that runs */
	struct batch pieces; /* of one packet of it that is fragmented */
	struct batch onward; /* of what came in: out of one tunnel, into another */
	uint8_t *buf;        /* [BATCH][BUF_BYTES], for batch */
	uint8_t *piece_buf;  /* [BATCH][SLOT_BYTES], for pieces */
	uint8_t *cut_buf;    /* [PACKET_MAX], for one piece of what goes out */
};


/* Around everything that may hold an SA: in between the slow worker is idle, so that the SAD, on
 * this same thread, never waits for it. */
void slow_hold_sas(struct slow *s);
void slow_let_sas_go(struct slow *s);

/* ---- out.c */

/* A counter of the slow worker's row: one writer, this thread. */
void out_count(__u64 *counter, uint64_t n);
struct xesp_worker_stats *out_stats(struct slow *s);
void out_drop(struct slow *s, struct pkt *p, enum xesp_drop why);

/* Outer packet, by a raw socket; in pieces when it is larger than p->mtu, which is not 0. */
void out_to_wire(struct slow *s, struct pkt *p);
/*
 * What policy lets out of xesp0 in clear, by the main table's route. That must lead to an attached
 * interface, or the packet could come back for ever.
 */
void out_in_clear(struct slow *s, struct pkt *p);
void out_to_tun(struct slow *s, struct pkt *p);  /* inner packet, for the kernel to route */

/* ---- tell.c */

/*
 * The sender of a packet that was on its way into a tunnel is told along the kernel's route. That
 * of one which came out of a tunnel is told through a tunnel or not at all: the error quotes
 * decrypted text.
 */
void tell_sender(struct slow *s, const struct icmp_cause *c, bool outbound);

/* ---- path.c */

/* What routers and probes say of the paths to the tunnels' far ends. xesp0 is there already. */
int path_open(struct slow *s, struct event_base *base, struct fault *f);
void path_close(struct slow *s);

/* ---- resync.c */

/* Copies of packets that workers leave in sad/resync.h. -ENOMEM */
int slow_follow_failed(struct slow *s, struct event_base *base);

#endif /* XESP_SLOW_ROOM_H */

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tunnel.h - a tunnel as a worker sees it: its ends, and how its outer header is made.
 *
 * RFC 4301 section 5.1.2. The struct is visible because encap and decap read it per run of packets.
 * Constant once published, but for the MTU; good until the worker's sad_quiescent().
 */
#ifndef XESP_TUNNEL_H
#define XESP_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sad/epoch.h"
#include "xesp/keymsg.h"

struct fault;
struct sad;

#define TUNNEL_UDP_LEN 8

enum tunnel_udp {
	TUNNEL_UDP_NONE,
	TUNNEL_UDP_ZERO, /* ESP in UDP, with checksum 0 */
	TUNNEL_UDP_SUM,  /* with one that is computed once the packet is encrypted */
};

struct tunnel {
	uint32_t sa_out;   /* 0 none */
	uint32_t mtu;      /* outer bytes; atomic, see tunnel_set_path_mtu() */
	uint32_t tfc;      /* least bytes of a payload, 0 off; XESP_TFC_MTU: all that fit */
	uint16_t sum;      /* IPv4: one's complement sum of `header`, in memory order */
	uint8_t header_len; /* 20 or 40, and 8 for UDP */
	uint8_t df;        /* enum xesp_df */
	uint8_t dscp;      /* enum xesp_dscp */
	uint8_t dscp_in;   /* enum xesp_dscp_in */
	uint8_t flow_label; /* enum xesp_flow_label */
	uint8_t dscp_value;
	uint8_t ecn;       /* enum xesp_ecn */
	uint8_t icmp_check; /* RFC 4301 section 6.2 */
	uint16_t mss;       /* XESP_MSS_OFF, XESP_MSS_AUTO, or a value */
	uint8_t mode;      /* enum xesp_mode */
	uint8_t udp;       /* enum tunnel_udp */
	uint8_t pfp;       /* bits of enum xesp_pfp: its outbound SAs are unique ones, see sad/unique.h */
	uint8_t has_cpus;  /* 1: look at by_worker */
	struct xesp_addr local;
	uint8_t header[48]; /* outer headers without length, TOS, ID, DF, checksum, flow label */
	/* not for every packet */
	uint8_t cpu_acquire; /* 1: who has none there asks for one */
	uint32_t *by_worker; /* SA ids by worker, see sad/cpus.h; 0: it sends on sa_out. Owned */
	uint8_t dscp_map[64];  /* with XESP_DSCP_MAP */
	uint64_t label_secret; /* with XESP_FLOW_LABEL_FLOW */
	uint16_t oa_sum; /* of the NAT original addresses, in memory order; 0: not known */
	struct epoch_item retire;
	uint32_t named_in; /* main thread: number of the last synchronisation that named it */
	struct xesp_keymsg_tunnel as_told; /* but natt.peer is where the peer is now, whoever said so */
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct tunnel, header) + 20 <= 64,
	       "what every packet reads, an IPv4 header too, is one cache line");

#define TUNNEL_MTU_UNKNOWN 1500 /* until the route to the remote address is known */

/* Workers. NULL: no such tunnel. */
const struct tunnel *sad_tunnel(const struct sad *s, uint32_t id);

/* The id of what this worker sends on, if that may still send: RFC 9611. 0 none. */
static inline uint32_t tunnel_out(const struct tunnel *t, uint32_t worker)
{
	return __builtin_expect(t->has_cpus, 0) && t->by_worker[worker] ? t->by_worker[worker] : t->sa_out;
}

/* Without UDP and options: 20 or 40. */
static inline uint8_t tunnel_ip_len(const struct tunnel *t)
{
	return (uint8_t)(t->header_len - (t->udp == TUNNEL_UDP_NONE ? 0 : TUNNEL_UDP_LEN));
}

/* Where the remote end is: as configured, unless it moved. */
const struct xesp_addr *tunnel_peer(const struct xesp_keymsg_tunnel *m);

/* As configured, the two are one tunnel to one place, from which its peer may move. */
bool tunnel_same_place(const struct xesp_keymsg_tunnel *a, const struct xesp_keymsg_tunnel *b);

/* Main thread. Every value of the message is checked; -EINVAL with a sentence, -ENOMEM. */
int tunnel_open(struct tunnel **out, const struct xesp_keymsg_tunnel *m, struct fault *f);
void tunnel_close(struct tunnel *t); /* NULL is allowed */
/* Before it is published: what each worker sends on, by sad/cpus.h; NULL: all on sa_out. Takes it. */
void tunnel_give(struct tunnel *t, uint32_t *by_worker);
/* path_mtu 0: not known. The smaller of it and the configured one holds. */
void tunnel_set_path_mtu(struct tunnel *t, uint32_t path_mtu);

#endif /* XESP_TUNNEL_H */

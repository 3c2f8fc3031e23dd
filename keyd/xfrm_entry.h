/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_entry.h - the kernel's XFRM states and policies as keyd keeps them, and how they are read.
 *
 * Pure: from one netlink message to one entry, every length checked. What we have no place for is
 * said in `unserved`, in words for `xesp sa --unserved`: such an entry stays with the kernel.
 * States hold keys: who keeps one wipes it. Main thread.
 */
#ifndef XESP_KEYD_XFRM_ENTRY_H
#define XESP_KEYD_XFRM_ENTRY_H

#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

#define XFRM_ATTR_SA_PCPU 35 /* XFRMA_SA_PCPU, newer than the headers that we build with */
#define XFRM_ALG_NAME_MAX 64
#define XFRM_KEY_MAX 96
#define XFRM_REASON_MAX 96
#define XFRM_PCPU_ALL UINT32_MAX
#define XFRM_TMPLS_MAX 6 /* the kernel's XFRM_MAX_DEPTH */

enum xfrm_entry_dir { XFRM_ENTRY_IN, XFRM_ENTRY_OUT, XFRM_ENTRY_FWD, XFRM_ENTRY_UNKNOWN };

struct xfrm_state_entry {
	struct xesp_addr src, dst; /* outer */
	uint32_t spi;              /* host byte order */
	uint32_t reqid, if_id, mark;
	uint8_t proto;             /* IPPROTO_ESP, IPPROTO_AH or another */
	uint8_t mode;              /* XFRM_MODE_TUNNEL, XFRM_MODE_TRANSPORT */
	uint8_t dir;               /* IN, OUT, or UNKNOWN before kernel 6.10 */
	bool esn;
	bool noecn;         /* outbound: Not-ECT outside */
	bool decap_dscp;    /* inbound: the outer DSCP becomes the inner one */
	bool nopmtudisc;    /* outbound: no DF outside */
	bool no_encap_dscp; /* outbound: DSCP 0 outside */
	bool encap;                /* UDP, with the ports below, host byte order */
	uint16_t encap_sport, encap_dport;
	uint32_t pcpu;             /* outbound: sent on by this CPU alone; XFRM_PCPU_ALL, and before kernel 6.13 */
	uint32_t window;           /* packets; 0 none */
	uint64_t oseq, seq;        /* last number sent; highest received */
	uint64_t add_time;         /* seconds since 1970: which of two is newer */
	uint64_t bytes, packets;   /* as the kernel counts them: its own and what it was told */
	uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets; /* 0: no limit */
	char alg[XFRM_ALG_NAME_MAX];  /* AEAD or cipher, as the kernel spells it; "" none */
	char auth[XFRM_ALG_NAME_MAX]; /* "" none */
	uint16_t icv_bits;         /* AEAD, or the truncation of auth; 0: not said */
	uint16_t key_len, auth_key_len; /* bytes; the key with its salt */
	uint8_t key[XFRM_KEY_MAX], auth_key[XFRM_KEY_MAX];
	char unserved[XFRM_REASON_MAX];
};

struct xfrm_tmpl_entry {
	struct xesp_addr src, dst;
	uint32_t spi, reqid;
	uint8_t proto, mode;
	bool optional;
};

struct xfrm_policy_entry {
	uint32_t index, priority;
	uint32_t if_id, mark;
	uint8_t dir;    /* IN, OUT, FWD */
	uint8_t block;  /* 1: discard */
	bool cpu_acquire; /* outbound: each CPU is to have an SA of its own, RFC 9611 */
	uint8_t family; /* 4 or 6 */
	uint8_t proto;  /* 0 any */
	struct xesp_addr src, dst; /* network byte order, mapped form */
	uint8_t src_len, dst_len;  /* bits of the mapped form */
	uint16_t sport_first, sport_last, dport_first, dport_last; /* host; 0..65535 any */
	uint8_t tmpls_n;
	struct xfrm_tmpl_entry tmpl[XFRM_TMPLS_MAX];
	char unserved[XFRM_REASON_MAX];
};

/* The kernel's form of an address; `family` is AF_INET, or it is IPv6. */
void xfrm_entry_addr(struct xesp_addr *out, const xfrm_address_t *a, uint16_t family);

/* XFRM_MSG_NEWSA. False: the message is too short to be one. */
bool xfrm_entry_state(const struct nlmsghdr *h, struct xfrm_state_entry *s);

/* XFRM_MSG_NEWPOLICY. False: too short, or not one that packets are held against (a sub policy). */
bool xfrm_entry_policy(const struct nlmsghdr *h, struct xfrm_policy_entry *p);

#endif /* XESP_KEYD_XFRM_ENTRY_H */

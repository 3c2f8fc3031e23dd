/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xfrm_tell.h - what the kernel is told about its states that xesp serves: numbers, lifetimes, expiry.
 *
 * Why it exists: kernel and xesp may both send under one key, when one stands in for the other, and
 * must never use one number twice. So the kernel's counter is moved past the end of each lease before
 * the lease is used (XFRM_MSG_NEWAE), and a lease begins above what the kernel has sent. Back goes what
 * IKE daemons look at: bytes and packets, the time of use, the highest number received; and soft and
 * hard expiry by bytes and packets, which the kernel cannot see. Synchronous, one round trip a call.
 * Main thread.
 */
#ifndef XESP_KEYD_XFRM_TELL_H
#define XESP_KEYD_XFRM_TELL_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/steer.h"

struct fault;
struct nlmsghdr;
struct xfrm_tell;

/* One state of the kernel: RFC 4301 section 4.1's triple. */
struct xfrm_name {
	struct xesp_addr dst, src;
	uint32_t spi; /* host byte order */
	uint32_t reqid;
	uint8_t proto;
};

int xfrm_tell_open(struct xfrm_tell **out, struct fault *f);
void xfrm_tell_close(struct xfrm_tell *x);

/* What the kernel counts. -ESRCH: no such state (any more); -errno */
struct xfrm_counts {
	uint64_t oseq, seq;      /* last number sent, highest received */
	uint64_t bytes, packets;
};
int xfrm_tell_ask(struct xfrm_tell *x, const struct xfrm_name *name, struct xfrm_counts *counts,
		  struct fault *f);

/*
 * Raises what is below. What is not raised is not written at all: the kernel may send between our
 * question and our answer, and its counter written back as it was would make it send numbers twice.
 * Where oseq is raised the kernel is told to say at each packet of its own how far it got: xfrm_rival.h.
 * add_bytes and add_packets come on top of what it has. `used` (seconds since 1970, 0: not) says when
 * it was used. -EAGAIN: the kernel has sent oseq_free or more; nothing was told. -ESRCH, -errno
 */
struct xfrm_news {
	uint64_t oseq, seq;
	uint64_t oseq_free; /* with oseq: the kernel must not have got so far; 0: it may have */
	uint64_t add_bytes, add_packets;
	uint64_t used;
	uint64_t added; /* when the kernel got the state, seconds since 1970: another one is none of ours (-ESRCH); 0: whichever */
	struct xfrm_counts *all; /* gets what the kernel has then, its own and ours; NULL: not asked */
};
int xfrm_tell_news(struct xfrm_tell *x, const struct xfrm_name *name, const struct xfrm_news *news,
		   struct fault *f);

/* A notification of the kernel's about a state's numbers (XFRM_MSG_NEWAE). False: it is none. */
bool xfrm_tell_read(const struct nlmsghdr *h, struct xfrm_name *name, struct xfrm_counts *counts);

/* Soft: the IKE daemon is told to rekey. Hard: the kernel deletes the state, and tells it. */
int xfrm_tell_expired(struct xfrm_tell *x, const struct xfrm_name *name, bool hard, struct fault *f);

/*
 * Asks the IKE daemon, in the kernel's name, for an SA of this CPU: XFRM_MSG_ACQUIRE, as the kernel would say it of a
 * packet that the policy covers. -EINVAL: the kernel has no such CPU; -errno
 */
struct xfrm_want {
	struct xfrm_name name; /* the tunnel's ends, reqid and protocol */
	uint8_t mode;          /* XFRM_MODE_TUNNEL, XFRM_MODE_TRANSPORT */
	uint32_t cpu;
	/* the policy's selector, addresses in the mapped form, lengths of it */
	uint8_t family; /* 4 or 6 */
	uint8_t proto;  /* 0 any */
	struct xesp_addr src, dst;
	uint8_t src_len, dst_len;
};
int xfrm_tell_want(struct xfrm_tell *x, const struct xfrm_want *w, struct fault *f);

/*
 * Has this kernel ESP? By a state that no kernel installs: one with ESP misses its cipher (-EINVAL), and loads a module
 * for it where it has one. -EPROTONOSUPPORT: it has none. 0: it has, or it cannot be told. `family` is AF_INET or AF_INET6.
 */
int xfrm_tell_esp(struct xfrm_tell *x, int family);

#endif /* XESP_KEYD_XFRM_TELL_H */

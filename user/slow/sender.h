/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender.h - the SAs that tunnels send on, by SPI, and what each has sent lately.
 *
 * Why it exists: a router's ICMP error quotes an SPI and a sequence number, and is believed only about a packet
 * that was sent within the last seconds (slow/pmtu.h). A tunnel has a sender, and one more for each worker that
 * has an SA of its own (RFC 9611). Main thread.
 */
#ifndef XESP_SLOW_SENDER_H
#define XESP_SLOW_SENDER_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

struct sa;

/* How long ago a packet may have been sent that an ICMP error is about, and how many since. */
#define SENDER_SENT_S    10
#define SENDER_SENT_PKTS (UINT64_C(1) << 24)

/* Embedded where its tunnel is; it does not move while it is followed. */
struct sender {
	struct sender *next; /* in its list of the index */
	uint32_t tunnel;     /* the owner's to set */
	uint32_t sa;         /* id; 0: none */
	__be32 spi;          /* of that SA, and in the index under it; 0: it is not in there */
	uint32_t at;
	uint64_t fingerprint; /* of that SA */
	/* seq_next as it was, once a second; sent[at] is the oldest */
	uint64_t sent[SENDER_SENT_S];
	uint64_t sampled_ms;
};

#define SENDERS_LISTS 4096 /* a power of two */

struct senders {
	struct sender *list[SENDERS_LISTS];
};

/* Once a second, and whenever it may be another: this is the SA now; NULL: none, and it is out of the index. */
void sender_follow(struct senders *all, struct sender *s, const struct sa *sa, uint64_t now_ms);

/* The first that may have this SPI, and on by `next`: others are among them. */
struct sender *sender_first(const struct senders *all, __be32 spi);

/* Is the 32-bit number that of a packet of this SA, the one that is followed, sent lately? */
bool sender_sent_lately(const struct sender *s, const struct sa *sa, uint32_t seq);

#endif /* XESP_SLOW_SENDER_H */

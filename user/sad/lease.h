/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lease.h - sequence numbers left in the current block, and asking for the next in time.
 *
 * Why it exists: the IV is the sequence number, so a number used twice under a key breaks AES-GCM
 * (RFC 4106 section 3.1). A number may only be taken out of a block that keyd has on disk as spent:
 * seq_next .. lease_end of the mapped state. Workers take; the main thread adds blocks. Both work
 * on the mapping directly, so a worker killed at any instruction has lost numbers, never repeated
 * one.
 */
#ifndef XESP_SAD_LEASE_H
#define XESP_SAD_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct fault;
struct sa;

/* Who wants a lease; one per SAD. Bits by SA id. */
struct lease_desk {
	int fd;           /* eventfd: readable when a bit of `want` was set */
	uint32_t words_n;
	uint64_t *want;   /* set by workers, cleared by the main thread; atomic */
	uint64_t *asked;  /* main thread: keyd was asked and has not answered */
	uint64_t refused_until_ns; /* main thread: some of `asked` were refused; 0 none */
	uint64_t *refused; /* main thread */
};

/* -errno of eventfd() or -ENOMEM. */
int lease_desk_open(struct lease_desk *d, uint32_t max_sas, struct fault *f);
void lease_desk_close(struct lease_desk *d);

/*
 * Any worker. Takes up to n numbers in a row, *first and behind it; returns how many, 0 .. n.
 * Short of n: lease_is_spent() says whether for good.
 */
uint32_t lease_take(struct lease_desk *d, const struct sa *sa, uint32_t n, uint64_t *first);

/* Has the SA used its last number ever (RFC 4303 section 3.3.3)? Then only a rekey helps. */
bool lease_is_spent(const struct sa *sa);

/*
 * Main thread. Adds first .. last. A block that is granted already changes nothing; one that does
 * not follow the present one directly abandons what is left of that.
 * -EINVAL  number 0, or beyond the SA's last number, or first above last
 */
int lease_grant(struct lease_desk *d, const struct sa *sa, uint64_t first, uint64_t last,
		struct fault *f);

/* Main thread. keyd said no: ask again in a second at the earliest, if packets still want it. */
void lease_refuse(struct lease_desk *d, uint32_t id);
void lease_retry_refused(struct lease_desk *d);

/* Main thread. An SA without numbers: ask before its first packet does. */
void lease_want_if_empty(struct lease_desk *d, const struct sa *sa);

/* Main thread: forgets what was asked (keyd is another now, or the SA is gone) */
void lease_forget(struct lease_desk *d, uint32_t id);
void lease_forget_all(struct lease_desk *d);

/* Main thread, when fd is readable. `find` and `ask` get ctx; find may return NULL. */
struct lease_asker {
	void *ctx;
	const struct sa *(*find)(void *ctx, uint32_t id);
	void (*ask)(void *ctx, uint32_t id);
};
void lease_ask(struct lease_desk *d, const struct lease_asker *a);

#endif /* XESP_SAD_LEASE_H */

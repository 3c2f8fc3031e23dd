/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grants.h - which numbers an outbound SA may use next: the book and the mapped memory together.
 *
 * Numbers that a former xespd left in xesp_sa_state go on being used; when there are none, or the
 * memory is fresh (a reboot), a new block behind the book's end is leased. Whatever cannot be
 * granted for sure is refused, with a sentence for `xesp sa`. Main thread.
 */
#ifndef XESP_KEYD_GRANTS_H
#define XESP_KEYD_GRANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/fault.h"
#include "xesp/log.h"

struct lease_book;
struct maps;
struct publish_worker;
struct sa;
struct sad;
struct xesp_sa_in_key;

/*
 * Of SAs that the kernel has too, and may send on while xespd does not: xfrm_source.h. `sent` says
 * how far the kernel has got; `pass_over` moves its counter past a block that was leased, and refuses
 * when the kernel has come near its beginning meanwhile: the book is on disk only after a while.
 * `received`: the highest number that it has accepted under an inbound SA. `give`: this one is the kernel's from
 * now on, and no worker has it: the kernel is told how far it was, and what was counted.
 * Each: 0, -ESRCH it has no such SA, -errno.
 */
struct grants_kernel {
	void *ctx;
	int (*sent)(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t *last);
	int (*pass_over)(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t first,
			 uint64_t last);
	int (*received)(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t *last);
	int (*give)(void *ctx, const struct xesp_sa_in_key *key, uint32_t sa_id);
	bool gone_is_fine; /* grants_first() does not mind SAs that the kernel has no more */
};

/*
 * No lease is longer while the kernel sends itself beside xesp: what is left of it is lost with each of the
 * kernel's packets, and without ESN there are 2^32 numbers.
 */
#define GRANTS_RIVAL_LEASE 65536

/* So far above the kernel's last number a lease begins: what it may send while we ask and tell. */
#define GRANTS_KERNEL_MARGIN 65536

struct grants {
	const struct grants_kernel *kernel; /* NULL: no SA is the kernel's too */
	struct lease_book *book; /* NULL: there is none that could be trusted */
	char problem[FAULT_TEXT_MAX]; /* why not */
	uint32_t *wants; /* SA ids that asked, until grants_flush() */
	size_t wants_n, wants_room;
	struct log_limit failed_log;
};

void grants_fini(struct grants *g);

/*
 * Before the worker is told of these SAs. What the kernel has received under inbound ones is not to be
 * received again (replay_floor.h). Sets lease_first and lease_last of the outbound SAs among sas[which[0 .. n - 1]], with one write
 * to disk at most, or their standing to SA_REFUSED. Both are 0 when the disk failed: xespd will ask. Returns an outbound
 * SA that the kernel has no more, so that no number can be had for it; NULL: there is none.
 */
const struct sa *grants_first(struct grants *g, const struct maps *m, struct sad *sad, const uint32_t *which,
		  size_t n);

/*
 * Of a new inbound SA, when the workers have it and before packets of it go to them: what the kernel has received under it, or was
 * let through to it by XDP (enum xesp_holder), is not to be received again. GRANTS_AGAIN: XDP let through
 * numbers far above what the kernel has received, which may be forged; the SA is held, and in GRANTS_GRACE_NS, when
 * nothing can be on its way any more, the kernel's word is enough: call it again. -errno: the kernel does not answer,
 * and the SA must stay its.
 */
#define GRANTS_AGAIN 1
#define GRANTS_GRACE_NS 5000000
int grants_take_over(const struct grants *g, const struct maps *m, const struct sad *sad, const struct sa *sa);

/* xespd asks for the next block of an SA. Collected, for one write to disk serves many. */
void grants_want(struct grants *g, uint32_t sa_id);

/*
 * The kernel's last number is `sent`: true when it has sent itself since it was moved past the last
 * lease. The peer's window is there now, so what is left of the lease is old, and a new one is wanted.
 */
bool grants_kernel_sent(struct grants *g, struct sa *sa, uint64_t sent);

/* Grants or refuses what was collected, and tells the worker. */
void grants_flush(struct grants *g, struct sad *sad, struct publish_worker *w);

#endif /* XESP_KEYD_GRANTS_H */

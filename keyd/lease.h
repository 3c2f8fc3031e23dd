/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lease.h - blocks of sequence numbers that survive a crash.
 *
 * Why it exists: AES-GCM loses all its security when a (key, nonce) pair repeats (RFC 4106
 * section 3.1), and xesp makes the IV of the ESP sequence number. So a worker may only use numbers
 * of a block that is on disk as spent already. After a crash what was left of it is lost, or goes
 * on in the mapped memory; nothing is ever given twice.
 *
 * The book remembers, for the SHA-256 digest of every key that was ever leased, the last number
 * granted; it never forgets one, for a key may come back. It knows its own inode number and its
 * machine, so that a book that was copied or restored, and so may be older than what went over the
 * wire, is refused. It is made once, by lease_create(), which is the administrator's word that no
 * configured key was used before. Main thread; no call blocks for longer than two fsync().
 */
#ifndef XESP_KEYD_LEASE_H
#define XESP_KEYD_LEASE_H

#include <stddef.h>
#include <stdint.h>

struct fault;
struct lease_book;
struct state_dir;

#define LEASE_DIGEST_LEN 32

/* Numbers first .. last, both included; RFC 4303 section 3.3.3. */
struct lease_want {
	const uint8_t *digest; /* [LEASE_DIGEST_LEN], borrowed */
	uint64_t count;        /* numbers wanted, at least 1; fewer are granted before `max` */
	uint64_t max;          /* the last number that may ever be sent */
	uint64_t above;        /* nothing up to it is granted: somebody else has sent it; 0 usually */
	/* out, with err == 0 */
	uint64_t first;
	uint64_t last;
	int err; /* 0; -ENOSPC: the key has no number left: rekey. Never wraps */
};

/*
 * Reads the book in `dir`, which stays the caller's and must outlive it.
 * -ENOENT   there is none: lost, or never made
 * -EUCLEAN  damaged, or copied from another place, or another version's
 * -errno    of reading
 * The sentence says what to do.
 */
int lease_open(struct lease_book **book, struct state_dir *dir, struct fault *f);

/* Makes an empty book. -EEXIST there is one: to remove it means to give its keys up. */
int lease_create(struct state_dir *dir, struct fault *f);

/*
 * Grants all wants with one write to disk. An error means that nothing was granted to anyone;
 * otherwise each want's `err` tells. -errno of write(), fsync() or rename()
 */
int lease_grant(struct lease_book *book, struct lease_want *wants, size_t n, struct fault *f);

/* The last number granted under this key, 0 if none. */
uint64_t lease_end(const struct lease_book *book, const uint8_t digest[LEASE_DIGEST_LEN]);

/* NULL is allowed. */
void lease_close(struct lease_book *book);

#endif /* XESP_KEYD_LEASE_H */

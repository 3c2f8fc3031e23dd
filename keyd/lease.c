/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lease.c - see lease.h.
 *
 * The file "leases": a header, one record a key, and the SHA-256 of all before it. Numbers are in
 * host byte order: the book is bound to its machine anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyd/index.h"
#include "keyd/lease.h"
#include "keyd/state_dir.h"
#include "xesp/fault.h"

#define BOOK_NAME "leases"
#define BOOK_MAGIC "xesp leases\n"
#define BOOK_VERSION 1
#define SUM_LEN 32
#define MACHINE_LEN 32

struct header {
	char magic[12];
	uint32_t version;
	uint64_t inode;
	uint64_t records_n;
	uint8_t machine[MACHINE_LEN]; /* SHA-256 of /etc/machine-id; zeroes: there is none */
};

struct record {
	uint8_t digest[LEASE_DIGEST_LEN];
	uint64_t end;
};

_Static_assert(sizeof(struct header) == 64 && sizeof(struct record) == 40, "layout on disk");

struct lease_book {
	struct state_dir *dir;
	size_t n, room;
	struct record *records;
	struct index by_digest; /* borrows from records: rebuilt when they move */
	bool broken; /* the index misses keys: nothing may be granted any more */
};

static int sum_bytes(uint8_t out[SUM_LEN], const void *data, size_t len)
{
	unsigned int out_len;

	return EVP_Digest(data, len, out, &out_len, EVP_sha256(), NULL) ? 0 : -EIO;
}

/* Not the machine id itself, which machine-id(5) asks to keep from others. */
static int sum_machine(uint8_t out[MACHINE_LEN])
{
	char id[64];
	int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	memset(out, 0, MACHINE_LEN);
	if (fd < 0)
		return 0;
	n = read(fd, id, sizeof(id));
	close(fd);
	return n > 0 ? sum_bytes(out, id, (size_t)n) : 0;
}

/* ---- reading */

static const char remedy[] =
	"outbound SAs are refused: put new keys into the configuration of both ends, remove the book, and run `xesp-keyd --new-state`";

static int check_book(const struct state_dir *d, const uint8_t *data, size_t len, uint64_t inode,
		      struct fault *f)
{
	uint8_t sum[SUM_LEN], machine[MACHINE_LEN];
	struct header h;

	if (len < sizeof(h) + SUM_LEN || memcmp(data, BOOK_MAGIC, sizeof(h.magic)))
		return fault_set(f, -EUCLEAN, "%s/%s is damaged; %s", d->path, BOOK_NAME, remedy);
	memcpy(&h, data, sizeof(h));
	if (sum_bytes(sum, data, len - SUM_LEN) || sum_machine(machine))
		return fault_set(f, -EIO, "libcrypto refused to check %s/%s", d->path, BOOK_NAME);
	if (CRYPTO_memcmp(sum, data + len - SUM_LEN, SUM_LEN) ||
	    h.records_n != (len - sizeof(h) - SUM_LEN) / sizeof(struct record) ||
	    (len - sizeof(h) - SUM_LEN) % sizeof(struct record))
		return fault_set(f, -EUCLEAN, "%s/%s is damaged; %s", d->path, BOOK_NAME, remedy);
	if (h.version != BOOK_VERSION)
		return fault_set(f, -EUCLEAN, "%s/%s has version %u, this program knows %d; %s",
				 d->path, BOOK_NAME, h.version, BOOK_VERSION, remedy);
	if (h.inode != inode || memcmp(h.machine, machine, MACHINE_LEN))
		return fault_set(f, -EUCLEAN, "%s/%s was copied or restored; %s", d->path, BOOK_NAME,
				 remedy);
	return 0;
}

static int index_records(struct lease_book *b)
{
	uint32_t found;
	int err = 0;

	index_fini(&b->by_digest);
	for (uint32_t i = 0; i < b->n && !err; i++)
		err = index_add(&b->by_digest, b->records[i].digest, i, &found);
	/* A key that is not found would be taken for a new one and start at 1: fail closed. */
	b->broken = err != 0;
	return err;
}

int lease_open(struct lease_book **book, struct state_dir *dir, struct fault *f)
{
	struct lease_book *b;
	uint8_t *data;
	struct stat st;
	size_t len;
	int err;

	err = state_dir_read(dir, BOOK_NAME, &data, &len, &st, f);
	if (err == -ENOENT)
		return fault_set(f, err,
				 "%s/%s is missing; outbound SAs are refused: if no configured key was ever used, run `xesp-keyd --new-state`, otherwise change the keys first",
				 dir->path, BOOK_NAME);
	if (err)
		return err;
	err = check_book(dir, data, len, st.st_ino, f);
	if (err)
		goto free_data;
	err = -ENOMEM;
	b = calloc(1, sizeof(*b));
	if (!b)
		goto free_data;
	b->dir = dir;
	b->n = (len - sizeof(struct header) - SUM_LEN) / sizeof(struct record);
	b->room = b->n;
	index_init(&b->by_digest, LEASE_DIGEST_LEN);
	b->records = malloc((b->n + 1) * sizeof(*b->records));
	if (!b->records)
		goto close_book;
	memcpy(b->records, data + sizeof(struct header), b->n * sizeof(*b->records));
	err = index_records(b);
	if (err)
		goto close_book;
	free(data);
	*book = b;
	return 0;

close_book:
	lease_close(b);
free_data:
	free(data);
	return err == -ENOMEM ? fault_set(f, err, "out of memory") : err;
}

void lease_close(struct lease_book *book)
{
	if (!book)
		return;
	index_fini(&book->by_digest);
	free(book->records);
	free(book);
}

/* ---- writing */

static int write_book(struct state_dir *dir, const struct record *records, size_t n,
		      struct fault *f)
{
	struct header h = { .version = BOOK_VERSION, .records_n = n };
	size_t len = sizeof(h) + n * sizeof(*records) + SUM_LEN;
	uint8_t *data;
	struct stat st;
	int fd, err;

	memcpy(h.magic, BOOK_MAGIC, sizeof(h.magic));
	data = malloc(len);
	if (!data)
		return fault_set(f, -ENOMEM, "out of memory");
	err = state_dir_begin(dir, BOOK_NAME, &fd, &st, f);
	if (err)
		goto free_data;
	h.inode = st.st_ino;
	err = sum_machine(h.machine);
	memcpy(data, &h, sizeof(h));
	if (n)
		memcpy(data + sizeof(h), records, n * sizeof(*records));
	if (!err)
		err = sum_bytes(data + len - SUM_LEN, data, len - SUM_LEN);
	if (err) {
		close(fd);
		fault_set(f, err, "libcrypto refused to sum the book");
		goto free_data;
	}
	err = state_dir_commit(dir, BOOK_NAME, fd, data, len, f);
free_data:
	free(data);
	return err;
}

int lease_create(struct state_dir *dir, struct fault *f)
{
	struct stat st;

	if (!fstatat(dir->fd, BOOK_NAME, &st, AT_SYMLINK_NOFOLLOW))
		return fault_set(f, -EEXIST,
				 "%s/%s exists and was left alone; remove it by hand only when every key it was used with has been replaced at both ends",
				 dir->path, BOOK_NAME);
	return write_book(dir, NULL, 0, f);
}

uint64_t lease_end(const struct lease_book *book, const uint8_t digest[LEASE_DIGEST_LEN])
{
	uint32_t i;

	if (book->broken)
		return UINT64_MAX;
	i = index_find(&book->by_digest, digest);
	return i == INDEX_NONE ? 0 : book->records[i].end;
}

static int make_room(struct lease_book *b, size_t more)
{
	struct record *r;

	if (b->n + more <= b->room)
		return 0;
	r = realloc(b->records, (b->n + more) * 2 * sizeof(*r));
	if (!r)
		return -ENOMEM;
	b->records = r;
	b->room = (b->n + more) * 2;
	return index_records(b);
}

/* Puts the new end into `ends`, a copy: the book itself changes when the disk has. */
static int plan_one(struct lease_book *b, struct lease_want *w, uint64_t *ends)
{
	uint32_t i = (uint32_t)b->n, found;
	int err;

	/* There is room behind the last one, and the index borrows from there. */
	memcpy(b->records[i].digest, w->digest, LEASE_DIGEST_LEN);
	err = index_add(&b->by_digest, b->records[i].digest, i, &found);
	if (err)
		return err;
	if (found == INDEX_NONE) {
		b->records[i].end = 0;
		ends[i] = 0;
		b->n++;
	} else {
		i = found;
	}
	w->err = 0;
	if (ends[i] < w->above)
		ends[i] = w->above;
	if (ends[i] >= w->max) {
		ends[i] = w->max;
		w->err = -ENOSPC;
		return 0;
	}
	w->first = ends[i] + 1;
	w->last = w->count > w->max - ends[i] ? w->max : ends[i] + w->count;
	ends[i] = w->last;
	return 0;
}

static int write_plan(struct lease_book *b, const uint64_t *ends, struct fault *f)
{
	struct record *planned = malloc((b->n + 1) * sizeof(*planned));
	int err;

	if (!planned)
		return fault_set(f, -ENOMEM, "out of memory");
	for (size_t i = 0; i < b->n; i++) {
		planned[i] = b->records[i];
		planned[i].end = ends[i];
	}
	err = write_book(b->dir, planned, b->n, f);
	free(planned);
	return err;
}

int lease_grant(struct lease_book *book, struct lease_want *wants, size_t n, struct fault *f)
{
	size_t n_before = book->n;
	uint64_t *ends;
	int err;

	if (!n)
		return 0;
	if (book->broken)
		return fault_set(f, -ENOMEM, "out of memory earlier: restart xesp-keyd");
	err = make_room(book, n);
	ends = err ? NULL : calloc(book->n + n, sizeof(*ends));
	if (!ends)
		return fault_set(f, -ENOMEM, "out of memory");
	for (size_t i = 0; i < book->n; i++)
		ends[i] = book->records[i].end;
	for (size_t i = 0; i < n && !err; i++)
		err = plan_one(book, &wants[i], ends);
	if (!err)
		err = write_plan(book, ends, f);
	else
		fault_set(f, err, "out of memory");
	if (err) {
		/* Whatever the disk has now, nobody got a number above the old ends. */
		book->n = n_before;
		index_records(book); /* without what was added; if that fails, the book is broken, and says so */
	} else {
		for (size_t i = 0; i < book->n; i++)
			book->records[i].end = ends[i];
	}
	free(ends);
	return err;
}

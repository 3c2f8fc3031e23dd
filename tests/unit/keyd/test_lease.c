/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_lease.c - no number is ever given twice: over crashes at every step of a write, torn, lost,
 * copied and restored books. A "crash" is a call that fails and all calls after it failing too, as
 * for a process that was killed; what reached the disk before stays.
 */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyd/lease.h"
#include "keyd/state_dir.h"
#include "xesp/fault.h"

static const uint8_t key_a[LEASE_DIGEST_LEN] = { 1 }, key_b[LEASE_DIGEST_LEN] = { 2 };

struct fixture {
	char path[64];
	struct state_dir dir;
	struct lease_book *book;
};

static void remove_all(const char *path)
{
	char pattern[128];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*", path);
	if (!glob(pattern, 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	rmdir(path);
}

static int reopen(struct fixture *x, struct fault *f)
{
	lease_close(x->book);
	x->book = NULL;
	state_dir_close(&x->dir);
	CU_ASSERT_EQUAL_FATAL(state_dir_open(&x->dir, x->path, STATE_DIR_EXISTS, f), 0);
	return lease_open(&x->book, &x->dir, f);
}

static void setup(struct fixture *x)
{
	*x = (struct fixture){ .path = "/tmp/xesp-test-lease-XXXXXX" };
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(x->path));
	CU_ASSERT_EQUAL_FATAL(state_dir_open(&x->dir, x->path, STATE_DIR_CREATE, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(lease_create(&x->dir, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(reopen(x, NULL), 0);
}

static void finish(struct fixture *x)
{
	lease_close(x->book);
	state_dir_close(&x->dir);
	remove_all(x->path);
}

static int grant(struct fixture *x, const uint8_t *key, uint64_t count, struct lease_want *w)
{
	*w = (struct lease_want){ .digest = key, .count = count, .max = UINT32_MAX };
	return lease_grant(x->book, w, 1, NULL);
}

/* ---- without accidents */

static void test_blocks_follow_each_other(void)
{
	struct lease_want w;
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL(lease_end(x.book, key_a), 0);
	CU_ASSERT_EQUAL(grant(&x, key_a, 100, &w), 0);
	CU_ASSERT(w.first == 1 && w.last == 100);
	CU_ASSERT_EQUAL(grant(&x, key_b, 10, &w), 0);
	CU_ASSERT(w.first == 1 && w.last == 10);
	CU_ASSERT_EQUAL(grant(&x, key_a, 1, &w), 0);
	CU_ASSERT(w.first == 101 && w.last == 101);
	CU_ASSERT_EQUAL_FATAL(reopen(&x, NULL), 0);
	CU_ASSERT_EQUAL(lease_end(x.book, key_a), 101);
	CU_ASSERT_EQUAL(lease_end(x.book, key_b), 10);
	CU_ASSERT_EQUAL(grant(&x, key_a, 5, &w), 0);
	CU_ASSERT(w.first == 102 && w.last == 106);
	finish(&x);
}

static void test_one_write_serves_many(void)
{
	struct lease_want w[3] = {
		{ .digest = key_a, .count = 5, .max = UINT64_MAX },
		{ .digest = key_b, .count = 7, .max = UINT64_MAX },
		{ .digest = key_a, .count = 5, .max = UINT64_MAX }, /* the same key again */
	};
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL(lease_grant(x.book, w, 3, NULL), 0);
	CU_ASSERT(w[0].first == 1 && w[0].last == 5);
	CU_ASSERT(w[1].first == 1 && w[1].last == 7);
	CU_ASSERT(w[2].first == 6 && w[2].last == 10);
	finish(&x);
}

static void test_many_keys(void)
{
	enum { KEYS = 3000 };
	uint8_t (*keys)[LEASE_DIGEST_LEN] = calloc(KEYS, sizeof(*keys));
	struct lease_want w;
	struct fixture x;
	int wrong = 0;

	setup(&x);
	for (uint32_t i = 0; i < KEYS; i++) {
		memcpy(keys[i], &i, sizeof(i));
		/* Many at once and then one by one, so that the records move. */
		if (i < KEYS - 50)
			continue;
		wrong += grant(&x, keys[i], i + 1, &w) != 0 || w.first != 1;
	}
	CU_ASSERT_EQUAL_FATAL(reopen(&x, NULL), 0);
	for (uint32_t i = KEYS - 50; i < KEYS; i++)
		wrong += lease_end(x.book, keys[i]) != i + 1;
	CU_ASSERT_EQUAL(wrong, 0);
	free(keys);
	finish(&x);
}

static void test_the_last_number(void)
{
	static const struct {
		const char *what;
		uint64_t max, before, count, first, last;
		int err;
	} rows[] = {
		{ "well before", UINT32_MAX, 10, 10, 11, 20, 0 },
		{ "up to it", UINT32_MAX, UINT32_MAX - 10ull, 10, UINT32_MAX - 9ull, UINT32_MAX, 0 },
		{ "cut off at it", UINT32_MAX, UINT32_MAX - 3ull, 10, UINT32_MAX - 2ull, UINT32_MAX,
		  0 },
		{ "spent", UINT32_MAX, UINT32_MAX, 1, 0, 0, -ENOSPC },
		{ "spent beyond, for ESN was on", UINT32_MAX, UINT32_MAX + 5ull, 1, 0, 0, -ENOSPC },
		{ "with ESN the same is nothing", UINT64_MAX, UINT32_MAX, 1, UINT32_MAX + 1ull,
		  UINT32_MAX + 1ull, 0 },
		{ "64 bits do not wrap", UINT64_MAX, UINT64_MAX - 2, 100, UINT64_MAX - 1, UINT64_MAX,
		  0 },
		{ "64 bits spent", UINT64_MAX, UINT64_MAX, 100, 0, 0, -ENOSPC },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lease_want w = { .digest = key_a, .count = rows[i].before,
					.max = UINT64_MAX };
		struct fixture x;

		setup(&x);
		CU_ASSERT_EQUAL(lease_grant(x.book, &w, 1, NULL), 0);
		w = (struct lease_want){ .digest = key_a, .count = rows[i].count,
					 .max = rows[i].max };
		CU_ASSERT_EQUAL(lease_grant(x.book, &w, 1, NULL), 0);
		if (w.err != rows[i].err ||
		    (!w.err && (w.first != rows[i].first || w.last != rows[i].last))) {
			printf("  %s: err %d\n", rows[i].what, w.err);
			CU_FAIL("another grant");
		}
		finish(&x);
	}
}

/* ---- crashes */

static struct {
	int calls_left; /* before everything fails; negative: never */
	bool torn;      /* the write that fails writes half */
	int calls;
	char journal[64]; /* o w f r, in the order of the calls */
} accident;

static bool fails(char call)
{
	size_t n = strlen(accident.journal);

	/* Pieces of one write are one entry. */
	if (n + 1 < sizeof(accident.journal) && !(n && call == 'w' && accident.journal[n - 1] == 'w'))
		accident.journal[n] = call;
	accident.calls++;
	return accident.calls_left >= 0 && accident.calls > accident.calls_left;
}

static int openat_or_die(int dirfd, const char *path, int flags, mode_t mode)
{
	if (fails('o')) {
		errno = EIO;
		return -1;
	}
	return openat(dirfd, path, flags, mode);
}

/* In small pieces, so that there are several steps to die at. */
static ssize_t write_or_die(int fd, const void *buf, size_t len)
{
	if (len > 48)
		len = 48;
	if (fails('w')) {
		if (accident.torn && write(fd, buf, len / 2) < 0)
			return -1;
		errno = ENOSPC;
		return -1;
	}
	return write(fd, buf, len);
}

static int fsync_or_die(int fd)
{
	if (fails('f')) {
		errno = EIO;
		return -1;
	}
	return fsync(fd);
}

static int renameat_or_die(int from_fd, const char *from, int to_fd, const char *to)
{
	if (fails('r')) {
		errno = EIO;
		return -1;
	}
	return renameat(from_fd, from, to_fd, to);
}

static const struct state_dir_calls deadly = {
	.openat = openat_or_die,
	.write = write_or_die,
	.fsync = fsync_or_die,
	.renameat = renameat_or_die,
};

/* Steps of one grant, counted by letting it succeed. */
static int count_steps(void)
{
	struct lease_want w;
	struct fixture x;

	setup(&x);
	x.dir.calls = &deadly;
	accident.calls_left = -1;
	accident.calls = 0;
	memset(accident.journal, 0, sizeof(accident.journal));
	CU_ASSERT_EQUAL(grant(&x, key_a, 10, &w), 0);
	finish(&x);
	return accident.calls;
}

static void crash_at(int step, bool torn)
{
	uint64_t given = 0;
	struct lease_want w;
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL(grant(&x, key_a, 10, &w), 0);
	given = w.last;
	x.dir.calls = &deadly;
	accident.calls_left = step;
	accident.torn = torn;
	accident.calls = 0;
	if (!grant(&x, key_a, 10, &w))
		given = w.last;
	else
		CU_ASSERT_EQUAL(lease_end(x.book, key_a), given); /* nothing was granted */

	/* The process is gone; another one looks at what is on disk. */
	CU_ASSERT_EQUAL_FATAL(reopen(&x, NULL), 0);
	CU_ASSERT(lease_end(x.book, key_a) >= given);
	CU_ASSERT_EQUAL(grant(&x, key_a, 10, &w), 0);
	CU_ASSERT(w.first > given);
	finish(&x);
}

/* A crash of the process cannot tell a missing fsync(): so its place is looked at. */
static void test_durable_before_and_after_the_rename(void)
{
	count_steps();
	CU_ASSERT_STRING_EQUAL(accident.journal, "owfrf");
}

static void test_crash_at_every_step(void)
{
	int steps = count_steps();

	CU_ASSERT(steps >= 7); /* open, several writes, fsync, rename, fsync */
	for (int step = 0; step <= steps; step++) {
		crash_at(step, false);
		crash_at(step, true);
	}
}

/* The process lives on after an error, as with a full disk, and must not think it has granted. */
static void test_error_at_every_step_and_on(void)
{
	int steps = count_steps();

	for (int step = 0; step < steps; step++) {
		uint64_t given = 0;
		struct lease_want w;
		struct fixture x;

		setup(&x);
		for (int i = 0; i < 4; i++) {
			x.dir.calls = i % 2 ? &deadly : &state_dir_system;
			accident.calls_left = step;
			accident.torn = true;
			accident.calls = 0;
			if (grant(&x, key_a, 10, &w))
				continue;
			CU_ASSERT(w.first > given);
			given = w.last;
		}
		CU_ASSERT(given >= 20);
		CU_ASSERT_EQUAL_FATAL(reopen(&x, NULL), 0);
		CU_ASSERT(lease_end(x.book, key_a) >= given);
		finish(&x);
	}
}

/* A first grant that fails must not leave the key in the book's memory as known. */
static void test_failed_first_grant_is_forgotten(void)
{
	struct lease_want w;
	struct fixture x;

	setup(&x);
	x.dir.calls = &deadly;
	accident.calls_left = 0;
	accident.calls = 0;
	CU_ASSERT_EQUAL(grant(&x, key_a, 10, &w), -EIO);
	CU_ASSERT_EQUAL(lease_end(x.book, key_a), 0);
	x.dir.calls = &state_dir_system;
	CU_ASSERT_EQUAL(grant(&x, key_b, 5, &w), 0);
	CU_ASSERT_EQUAL(grant(&x, key_a, 10, &w), 0);
	CU_ASSERT(w.first == 1 && w.last == 10);
	CU_ASSERT_EQUAL(lease_end(x.book, key_b), 5);
	finish(&x);
}

/* ---- books that cannot be trusted */

static void book_path(const struct fixture *x, char path[128])
{
	snprintf(path, 128, "%s/leases", x->path);
}

static void test_every_flipped_bit_is_seen(void)
{
	struct lease_want w;
	struct fixture x;
	char path[128];
	struct stat st;
	int wrong = 0;

	setup(&x);
	CU_ASSERT_EQUAL(grant(&x, key_a, 10, &w), 0);
	book_path(&x, path);
	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	for (off_t i = 0; i < st.st_size; i++) {
		int fd = open(path, O_RDWR);
		uint8_t byte, bad;

		CU_ASSERT_EQUAL_FATAL(pread(fd, &byte, 1, i), 1);
		bad = byte ^ (uint8_t)(1 << i % 8);
		CU_ASSERT_EQUAL_FATAL(pwrite(fd, &bad, 1, i), 1);
		wrong += reopen(&x, NULL) != -EUCLEAN;
		CU_ASSERT_EQUAL_FATAL(pwrite(fd, &byte, 1, i), 1);
		close(fd);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(reopen(&x, NULL), 0);
	finish(&x);
}

static void test_every_truncation_is_seen(void)
{
	struct lease_want w;
	struct fixture x;
	char path[128];
	struct stat st;
	int wrong = 0;

	setup(&x);
	CU_ASSERT_EQUAL(grant(&x, key_a, 10, &w), 0);
	book_path(&x, path);
	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	for (off_t len = st.st_size; len-- > 0;) {
		CU_ASSERT_EQUAL_FATAL(truncate(path, len), 0);
		wrong += reopen(&x, NULL) != -EUCLEAN;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	finish(&x);
}

static void copy_file(const char *from, const char *to)
{
	char data[4096];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n = read(in, data, sizeof(data));

	CU_ASSERT_EQUAL_FATAL(write(out, data, (size_t)n), n);
	close(in);
	close(out);
}

static void test_a_restored_copy_is_refused(void)
{
	struct fault f = { "" };
	struct lease_want w;
	struct fixture x;
	char path[128], backup[144];

	setup(&x);
	book_path(&x, path);
	snprintf(backup, sizeof(backup), "%s.backup", path);
	CU_ASSERT_EQUAL(grant(&x, key_a, 10, &w), 0);
	copy_file(path, backup);
	CU_ASSERT_EQUAL(grant(&x, key_a, 10, &w), 0);
	CU_ASSERT_EQUAL_FATAL(rename(backup, path), 0);
	CU_ASSERT_EQUAL(reopen(&x, &f), -EUCLEAN);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "copied or restored"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "--new-state"));
	finish(&x);
}

static void test_a_lost_book_is_refused(void)
{
	struct fault f = { "" };
	struct fixture x;
	char path[128];

	setup(&x);
	book_path(&x, path);
	CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
	CU_ASSERT_EQUAL(reopen(&x, &f), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "--new-state"));
	finish(&x);
}

static void test_new_state_spares_a_book(void)
{
	struct fault f = { "" };
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL(lease_create(&x.dir, &f), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "left alone"));
	finish(&x);
}

static void test_one_keyd_at_a_time(void)
{
	struct state_dir second;
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL(state_dir_open(&second, x.path, STATE_DIR_EXISTS, NULL), -EBUSY);
	finish(&x);
}

static void test_the_book_is_private(void)
{
	struct fixture x;
	char path[128];
	struct stat st;

	setup(&x);
	book_path(&x, path);
	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	finish(&x);
}

CU_TestInfo lease_tests[] = {
	{ "blocks follow each other, also over a restart", test_blocks_follow_each_other },
	{ "one write grants to several, and to one key twice", test_one_write_serves_many },
	{ "many keys", test_many_keys },
	{ "at the end of the numbers: cut off, then spent, never a wrap", test_the_last_number },
	{ "the file is synced before its rename, the directory after",
	  test_durable_before_and_after_the_rename },
	{ "a crash at every step: no number twice", test_crash_at_every_step },
	{ "an error at every step: nothing granted, the next grant is above all",
	  test_error_at_every_step_and_on },
	{ "a first grant that fails leaves nothing behind", test_failed_first_grant_is_forgotten },
	{ "one flipped bit anywhere: damaged", test_every_flipped_bit_is_seen },
	{ "cut off anywhere: damaged", test_every_truncation_is_seen },
	{ "an older copy put back: refused, with what to do", test_a_restored_copy_is_refused },
	{ "no book: refused, with what to do", test_a_lost_book_is_refused },
	{ "--new-state leaves a book alone", test_new_state_spares_a_book },
	{ "a second keyd is refused", test_one_keyd_at_a_time },
	{ "only root reads the book", test_the_book_is_private },
	CU_TEST_INFO_NULL,
};

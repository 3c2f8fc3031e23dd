/* SPDX-License-Identifier: BSD-2-Clause */
/* map_walk.c - see map_walk.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/map_walk.h"

#define KEY_MAX 64
#define CHUNK 1024

int map_walk_size(int fd, uint32_t *max_entries)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	*max_entries = info.max_entries;
	return 0;
}

int map_walk_read_array(int fd, void *values, size_t value_size, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (bpf_map_lookup_elem(fd, &i, (char *)values + i * value_size))
			return -errno;
	return 0;
}

static int write_each(int fd, const char *keys, size_t key_size, const char *values,
		      size_t value_size, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (bpf_map_update_elem(fd, keys + i * key_size, values + i * value_size, BPF_ANY))
			return -errno;
	return 0;
}

int map_walk_write(int fd, const void *keys, size_t key_size, const void *values,
		   size_t value_size, uint32_t n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	__u32 count = n;

	if (!bpf_map_update_batch(fd, keys, values, &count, &opts) && count == n)
		return 0;
	if (errno == E2BIG)
		return -E2BIG;
	/* No batches for this map, or out of memory midway: one by one says which it is. */
	return write_each(fd, keys, key_size, values, value_size, n);
}

/* Keys collected in one pass, so that deleting does not upset the walk. */
struct found {
	char *keys;
	size_t n, room, key_size;
	bool (*chosen)(const void *key, const void *ctx);
	const void *ctx;
	int err;
};

static void collect(const void *key, void *arg)
{
	struct found *f = arg;

	if (f->err || !f->chosen(key, f->ctx))
		return;
	if (f->n == f->room) {
		size_t room = f->room ? f->room * 2 : CHUNK;
		char *more = realloc(f->keys, room * f->key_size);

		if (!more) {
			f->err = -ENOMEM;
			return;
		}
		f->keys = more;
		f->room = room;
	}
	memcpy(f->keys + f->n++ * f->key_size, key, f->key_size);
}

static int delete_keys(int fd, const struct found *f)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	size_t at = 0;

	while (at < f->n) {
		__u32 count = (__u32)(f->n - at < CHUNK ? f->n - at : CHUNK);
		__u32 want = count;

		if (!bpf_map_delete_batch(fd, f->keys + at * f->key_size, &count, &opts)) {
			at += want;
			continue;
		}
		/* A key that is gone already ends the batch: step over it. */
		for (__u32 i = 0; i < want; i++)
			if (bpf_map_delete_elem(fd, f->keys + (at + i) * f->key_size) &&
			    errno != ENOENT)
				return -errno;
		at += want;
	}
	return 0;
}

int map_walk_delete(int fd, size_t key_size, bool (*chosen)(const void *key, const void *ctx),
		    const void *ctx)
{
	struct found f = { .key_size = key_size, .chosen = chosen, .ctx = ctx };
	int err;

	err = map_walk_keys(fd, key_size, collect, &f);
	if (!err)
		err = f.err;
	if (!err)
		err = delete_keys(fd, &f);
	free(f.keys);
	return err;
}

int map_walk_keys(int fd, size_t key_size, void (*visit)(const void *key, void *ctx), void *ctx)
{
	char key[KEY_MAX], next[KEY_MAX];
	void *at = NULL;

	if (key_size > KEY_MAX)
		return -EINVAL;
	/* keyd alone deletes from these maps, and not during a walk, so it does not start over. */
	while (!bpf_map_get_next_key(fd, at, next)) {
		visit(next, ctx);
		memcpy(key, next, key_size);
		at = key;
	}
	return errno == ENOENT ? 0 : -errno;
}

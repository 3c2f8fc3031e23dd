/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map_walk.h - whole BPF maps at a time: sizes, arrays, batches, deletion by condition.
 *
 * Why it exists: 100 000 entries one system call each take too long. Every call falls back to
 * single elements where the kernel has no batches for a map. Returns 0 or -errno of bpf(2). Main
 * thread.
 */
#ifndef XESP_KEYD_MAP_WALK_H
#define XESP_KEYD_MAP_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int map_walk_size(int fd, uint32_t *max_entries);

/* Reads elements 0 .. n - 1 of an ARRAY. value_size is a multiple of 8. */
int map_walk_read_array(int fd, void *values, size_t value_size, uint32_t n);

/* Adds or replaces n elements. -E2BIG: the map is full */
int map_walk_write(int fd, const void *keys, size_t key_size, const void *values,
		   size_t value_size, uint32_t n);

/* Deletes the keys of a HASH for which `chosen` says so. Nobody else may change it meanwhile. */
int map_walk_delete(int fd, size_t key_size, bool (*chosen)(const void *key, const void *ctx),
		    const void *ctx);

/* Calls `visit` for every key of a HASH; it must not change the map. */
int map_walk_keys(int fd, size_t key_size, void (*visit)(const void *key, void *ctx), void *ctx);

#endif /* XESP_KEYD_MAP_WALK_H */

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pins.h - the pinned maps of one gateway, opened and checked.
 *
 * `xesp attach` creates and pins them; everyone else opens them here, once, and so everyone
 * finds out in the same words that they are missing or of another ABI. Main thread only; the
 * file descriptors and mappings may then be used by any thread.
 */
#ifndef XESP_PINS_H
#define XESP_PINS_H

#include <stddef.h>
#include "xesp/steer.h"

struct fault;

enum pins_map {
	PINS_CONF,
	PINS_IFACES,
	PINS_XSKS,
	PINS_LOCAL,
	PINS_ENDPOINTS,
	PINS_NATT_PORT,
	PINS_SPD_HEAD,
	PINS_SPD_TUPLE,
	PINS_SPD_SLOT,
	PINS_SPD_ENTRY,
	PINS_SPD_RULE,
	PINS_FLOWS,
	PINS_FRAGMENTS,
	PINS_POLICIES,
	PINS_POLICY_HITS,
	PINS_POLICY_DROPS,
	PINS_TUNNELS,
	PINS_SA_IN,
	PINS_SA_STATE,
	PINS_REPLAY,
	PINS_DROPS,
	PINS_WORKER_STATS,
	/* may be missing, in pins of before they were: fd -1 */
	PINS_LAST_XDP,
	PINS_LAST_WORKERS,
	PINS_MAX
};

struct pins {
	char dir[128];
	int fd[PINS_MAX];
	struct xesp_conf conf; /* as read at open: sizes and ABI */
};

/* The map's name, which is also its file name under the pin directory: "xesp_conf", ... */
const char *pins_name(enum pins_map map);

/*
 * Opens all maps under `dir` (XESP_PIN_DIR by default). On success the caller ends *p with
 * pins_close().
 * -ENOENT   not attached: run `xesp attach`
 * -EPROTO   pinned by another version of xesp (struct xesp_conf.abi)
 * -errno    of bpf(2)
 */
int pins_open(struct pins *p, const char *dir, struct fault *f);

/* Closes what is open. A struct of zeroes after pins_open() failed is allowed. */
void pins_close(struct pins *p);

/*
 * Maps an mmapable array (SPD_*, POLICY_DROPS, SA_STATE, REPLAY, WORKER_STATS, LAST_WORKERS) shared, for reading and,
 * with `writable`, for writing. *len gets the bytes; end with munmap(). NULL on failure.
 */
void *pins_mmap(const struct pins *p, enum pins_map map, int writable, size_t *len,
		struct fault *f);

/* How many elements a map has; 0 when the kernel does not say. */
__u32 pins_entries(const struct pins *p, enum pins_map map);

#endif /* XESP_PINS_H */

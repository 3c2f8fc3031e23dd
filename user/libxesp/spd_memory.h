/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spd_memory.h - the SPD of the pinned maps, mapped into this process and searched without a
 * system call, by the code that XDP has too (xesp/spd_search.h).
 *
 * keyd maps it for writing (keyd/spd_table.c), xespd for reading: its slow path looks outbound
 * policies up, its workers inbound ones. Searches may be made by any thread.
 */
#ifndef XESP_SPD_MEMORY_H
#define XESP_SPD_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/steer.h"

struct fault;
struct pins;

/* Open to keyd/spd_table.c and to tests, which make one without maps. */
struct spd_memory {
	struct xesp_conf *conf;        /* .generation is what counts */
	struct xesp_spd_head *head;    /* [2] */
	struct xesp_spd_tuple *tuples; /* [2 * XESP_DIR_MAX * XESP_TUPLES_MAX] */
	struct xesp_spd_slot *slots;
	struct xesp_spd_entry *entries;
	struct xesp_spd_rule *rules;
	uint32_t slots_n;   /* a power of two; behind them the words of XESP_SPD_ROOM() */
	uint32_t entries_n; /* entry 0 is never used */
	uint32_t rules_n;   /* policy 0 is none */
	/* what spd_memory_unmap() gives back; zero in memory of other origin */
	size_t conf_len, head_len, tuples_len, slots_len, entries_len, rules_len;
};

int spd_memory_map(struct spd_memory *m, const struct pins *pins, bool writable, struct fault *f);
void spd_memory_unmap(struct spd_memory *m);

/* What a packet offers to selectors. ICMP: type and code in place of ports, see xesp/steer.h. */
struct spd_query {
	struct xesp_addr local, remote;
	__be16 local_port, remote_port;
	uint8_t proto;
	uint8_t family; /* 4 or 6 */
	uint8_t fields; /* enum xesp_fields */
	uint8_t dir;    /* enum xesp_dir */
};

/*
 * The first policy that matches; its id is 0 when none does and the action is the default. Action
 * FRAGMENT: a later fragment, and that policy looks at what only the first one shows.
 * XESP_DROP_NOT_LOADED, XESP_DROP_STALE_MAPS: nothing is known about the packet. *generation gets
 * the one that the answer is of.
 */
enum xesp_drop spd_memory_find(const struct spd_memory *m, const struct spd_query *q,
			       struct xesp_spd_val *found, uint32_t *generation);

/* The generation in force, 0 none yet; acquires what was committed with it. */
uint32_t spd_memory_generation(const struct spd_memory *m);

#endif /* XESP_SPD_MEMORY_H */

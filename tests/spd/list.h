/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.h - an ordered list of policies, published as keyd does, for tests that have no keyd.
 *
 * Rows become struct policy, and keyd/spd_diff.c and spd_table.c write them into shared memory:
 * that of BPF maps, or of this process alone.
 */
#ifndef XESP_TEST_LIST_H
#define XESP_TEST_LIST_H

#include <stdbool.h>
#include <stdint.h>
#include "libxesp/spd_memory.h"
#include "xesp/steer.h"

/* Position is order. Zero is any. */
struct list_row {
	uint32_t id; /* of the policy */
	enum xesp_action action;
	uint32_t tunnel;
	const char *local; /* "10.1.0.0/16"; NULL any */
	const char *remote;
	uint8_t proto;
	uint16_t local_port, remote_port; /* host byte order; or ICMP type and code, or MH type */
	uint16_t local_port_last, remote_port_last; /* 0: the one port */
	bool has_local, has_remote; /* number 0 is meant, not any */
	bool opaque;
	bool in_only, out_only;
};

struct list;

/* `m` must outlive it. Exits with a message when it cannot, as all functions here. */
struct list *list_open(struct spd_memory *m);
void list_close(struct list *l);

/* Commits the rows as the next generation after what the memory says. 0, or as spd_table_commit(). */
int list_commit(struct list *l, const struct list_row *row, uint32_t n,
		enum xesp_action default_action);

/* Memory of this process, without maps. */
void list_memory_open(struct spd_memory *m, uint32_t entries, uint32_t policies);
void list_memory_close(struct spd_memory *m);

#endif /* XESP_TEST_LIST_H */

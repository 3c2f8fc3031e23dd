/* SPDX-License-Identifier: BSD-2-Clause */
/* maps.c - see maps.h. */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/spd/list.h"
#include "tests/unit/user/maps.h"

#define SLOTS 4096
#define ROWS 8

/* What is to be committed: rows by place. One at a time is enough. */
static struct spd_memory memory;
static struct list *list;
static struct list_row rows[ROWS];

static const struct {
	enum pins_map map;
	enum bpf_map_type type;
	__u32 key, value, max, flags;
} made[] = {
	{ PINS_CONF, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_conf), 1, BPF_F_MMAPABLE },
	{ PINS_IFACES, BPF_MAP_TYPE_HASH, 4, sizeof(struct xesp_iface), 8, 0 },
	{ PINS_ENDPOINTS, BPF_MAP_TYPE_HASH, sizeof(struct xesp_addr), 4, 8, 0 },
	{ PINS_NATT_PORT, BPF_MAP_TYPE_HASH, sizeof(__be16), 4, 8, 0 },
	{ PINS_SPD_HEAD, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_head), 2, BPF_F_MMAPABLE },
	{ PINS_SPD_TUPLE, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_tuple),
	  2 * XESP_DIR_MAX *XESP_TUPLES_MAX, BPF_F_MMAPABLE },
	{ PINS_SPD_SLOT, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_slot), XESP_SPD_ROOM(SLOTS),
	  BPF_F_MMAPABLE },
	{ PINS_SPD_ENTRY, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_entry), SLOTS / 4,
	  BPF_F_MMAPABLE },
	{ PINS_SPD_RULE, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_rule), 64, BPF_F_MMAPABLE },
	{ PINS_FRAGMENTS, BPF_MAP_TYPE_LRU_HASH, sizeof(struct xesp_fragment_key),
	  sizeof(struct xesp_fragment), 64, 0 },
	{ PINS_SA_IN, BPF_MAP_TYPE_HASH, sizeof(struct xesp_sa_in_key),
	  sizeof(struct xesp_sa_in_val), 8, 0 },
};

void maps_open(struct pins *p)
{
	const struct xesp_conf conf = { .abi = XESP_STEER_ABI, .spd_slots = SLOTS };
	const __u32 zero = 0;

	memset(p, 0, sizeof(*p));
	for (int i = 0; i < PINS_MAX; i++)
		p->fd[i] = -1;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = made[i].flags);

		p->fd[made[i].map] = bpf_map_create(made[i].type, pins_name(made[i].map),
						    made[i].key, made[i].value, made[i].max, &o);
		if (p->fd[made[i].map] < 0) {
			perror("cannot make a BPF map (run the tests as root)");
			exit(1);
		}
	}
	maps_set(p, PINS_CONF, &zero, &conf);
	if (spd_memory_map(&memory, p, true, NULL))
		exit(1);
	list = list_open(&memory);
}

void maps_close(struct pins *p)
{
	list_close(list);
	spd_memory_unmap(&memory);
	for (int i = 0; i < PINS_MAX; i++) {
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	}
}

void maps_set(const struct pins *p, enum pins_map map, const void *key, const void *value)
{
	if (bpf_map_update_elem(p->fd[map], key, value, BPF_ANY)) {
		perror(pins_name(map));
		exit(1);
	}
}

void maps_del(const struct pins *p, enum pins_map map, const void *key)
{
	if (bpf_map_delete_elem(p->fd[map], key)) {
		perror(pins_name(map));
		exit(1);
	}
}

void maps_policy(const struct pins *p, __u16 i, const struct maps_policy *m)
{
	(void)p;
	rows[i] = (struct list_row){ .id = m->policy,
				     .action = m->action,
				     .tunnel = m->tunnel,
				     .local = m->local,
				     .remote = m->remote,
				     .proto = m->proto,
				     .remote_port = m->remote_port,
				     .remote_port_last = m->remote_port_last,
				     .out_only = true };
}

void maps_commit(const struct pins *p, __u32 rows_n, __u32 default_action)
{
	(void)p;
	if (list_commit(list, rows, rows_n, (enum xesp_action)default_action))
		exit(1);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* maps.c - see maps.h. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libxesp/addr.h"
#include "tests/unit/user/maps.h"

static const struct {
	enum pins_map map;
	enum bpf_map_type type;
	__u32 key, value, max, flags;
} made[] = {
	{ PINS_CONF, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_conf), 1, 0 },
	{ PINS_IFACES, BPF_MAP_TYPE_HASH, 4, sizeof(struct xesp_iface), 8, 0 },
	{ PINS_ENDPOINTS, BPF_MAP_TYPE_HASH, sizeof(struct xesp_addr), 4, 8, 0 },
	{ PINS_NATT_PORT, BPF_MAP_TYPE_HASH, sizeof(__be16), 4, 8, 0 },
	{ PINS_SPD_HEAD, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_head), 2, 0 },
	{ PINS_SPD_TUPLE, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct xesp_spd_tuple),
	  2 * XESP_DIR_MAX *XESP_TUPLES_MAX, 0 },
	{ PINS_SPD, BPF_MAP_TYPE_HASH, sizeof(struct xesp_spd_key), sizeof(struct xesp_spd_val),
	  1024, BPF_F_NO_PREALLOC },
	{ PINS_SA_IN, BPF_MAP_TYPE_HASH, sizeof(struct xesp_sa_in_key),
	  sizeof(struct xesp_sa_in_val), 8, 0 },
};

void maps_open(struct pins *p)
{
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
}

void maps_close(struct pins *p)
{
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

void maps_policy(const struct pins *p, __u32 generation, __u16 i, const struct maps_policy *m)
{
	__u32 index = ((generation & 1) * XESP_DIR_MAX + XESP_DIR_OUT) * XESP_TUPLES_MAX + i;
	struct xesp_spd_tuple t = { .generation = generation, .best_rank = m->rank };
	struct xesp_spd_key k = { .generation = generation,
				  .tuple = i,
				  .dir = XESP_DIR_OUT,
				  .proto = m->proto,
				  .remote_port = htons(m->remote_port) };
	struct xesp_spd_val v = {
		.rank = m->rank, .policy = m->policy, .tunnel = m->tunnel, .action = m->action
	};
	uint8_t local_len, remote_len;

	if (addr_parse_prefix(&k.local, &local_len, m->local, NULL) ||
	    addr_parse_prefix(&k.remote, &remote_len, m->remote, NULL))
		abort();
	t.family = addr_is_ip4(&k.remote) ? 4 : 6;
	addr_mask(&t.local_mask, local_len);
	addr_mask(&t.remote_mask, remote_len);
	t.proto_mask = m->proto ? 0xff : 0;
	t.remote_port_mask = m->remote_port ? 0xffff : htons(m->port_mask);
	maps_set(p, PINS_SPD_TUPLE, &index, &t);
	maps_set(p, PINS_SPD, &k, &v);
}

void maps_commit(const struct pins *p, __u32 generation, __u32 tuples_n, __u32 default_action)
{
	struct xesp_spd_head head = { .generation = generation,
				      .tuples_n = { [XESP_DIR_OUT] = tuples_n },
				      .default_action = default_action };
	struct xesp_conf conf = { .abi = XESP_STEER_ABI, .generation = generation };
	__u32 half = generation & 1, zero = 0;

	maps_set(p, PINS_SPD_HEAD, &half, &head);
	maps_set(p, PINS_CONF, &zero, &conf);
}

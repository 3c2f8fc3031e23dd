/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * maps.h - the maps that the slow path reads, unpinned and small, filled by hand.
 */
#ifndef XESP_TEST_MAPS_H
#define XESP_TEST_MAPS_H

#include "libxesp/pins.h"

/* PINS_CONF, IFACES, ENDPOINTS, SPD_HEAD, SPD_TUPLE, SPD and SA_IN; the others are -1. Exits with a
 * message when it cannot (needs root). */
void maps_open(struct pins *p);
void maps_close(struct pins *p);

void maps_set(const struct pins *p, enum pins_map map, const void *key, const void *value);
void maps_del(const struct pins *p, enum pins_map map, const void *key);

/*
 * One outbound policy that is a prefix each way, as the only entry of tuple `i` of this
 * generation; prefixes of both ends in the mapped form.
 */
struct maps_policy {
	const char *local, *remote;
	__u32 rank, policy, tunnel, action;
	__u16 remote_port; /* 0: any, unless port_mask says otherwise */
	__u8 proto;        /* 0: any */
	__u16 port_mask;   /* of remote_port 0: the bits that must be 0 */
};
void maps_policy(const struct pins *p, __u32 generation, __u16 i, const struct maps_policy *m);

/* Head of the generation, with so many tuples, and the commit. */
void maps_commit(const struct pins *p, __u32 generation, __u32 tuples_n, __u32 default_action);

#endif /* XESP_TEST_MAPS_H */

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * maps.h - the maps that the slow path reads, unpinned and small, filled by hand.
 */
#ifndef XESP_TEST_MAPS_H
#define XESP_TEST_MAPS_H

#include "libxesp/pins.h"

/* PINS_CONF, IFACES, ENDPOINTS, SPD_*, FRAGMENTS and SA_IN; the others are -1. Exits with a
 * message when it cannot (needs root). */
void maps_open(struct pins *p);
void maps_close(struct pins *p);

void maps_set(const struct pins *p, enum pins_map map, const void *key, const void *value);
void maps_del(const struct pins *p, enum pins_map map, const void *key);

/* One outbound policy, the i-th in order, a prefix each way. */
struct maps_policy {
	const char *local, *remote;
	__u32 policy, tunnel, action;
	__u16 remote_port; /* 0: any, or the first of a range */
	__u8 proto;        /* 0: any */
	__u16 remote_port_last; /* of a range */
};
void maps_policy(const struct pins *p, __u16 i, const struct maps_policy *m);

/* The first `rows_n` policies as the next generation. */
void maps_commit(const struct pins *p, __u32 rows_n, __u32 default_action);

#endif /* XESP_TEST_MAPS_H */

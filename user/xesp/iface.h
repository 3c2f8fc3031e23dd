/* SPDX-License-Identifier: BSD-2-Clause */
/* iface.h - the interfaces of this network namespace, as far as attaching needs them. */
#ifndef XESP_IFACE_H
#define XESP_IFACE_H

#include <net/if.h>
#include <stdint.h>

struct fault;
struct pins;

struct iface {
	char name[IF_NAMESIZE];
	uint32_t index;
	uint32_t mtu;
	uint32_t role; /* enum xesp_role */
};

/* "inner", "outer", "both"; "?" for another value. */
const char *iface_role_name(uint32_t role);

/*
 * Fills name, index and mtu.
 * -ENODEV  no interface has this name
 */
int iface_find(struct iface *i, const char *name, struct fault *f);

/*
 * Puts all addresses of this machine's interfaces, broadcast addresses of IPv4 included, into the
 * map xesp_local. keyd keeps it current afterwards.
 * -E2BIG  more addresses than the map has room for
 */
int iface_publish_local(const struct pins *pins, struct fault *f);

#endif /* XESP_IFACE_H */

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * occupant.h - what is on an interface's XDP hook now, whoever put it there.
 */
#ifndef XESP_OCCUPANT_H
#define XESP_OCCUPANT_H

#include <stdint.h>

struct fault;

enum occupant_kind {
	OCCUPANT_NONE,
	OCCUPANT_DISPATCHER, /* made by libxdp: there is room for more programs */
	OCCUPANT_OTHER,      /* one program, ours or not, that fills the hook */
};

enum occupant_mode { OCCUPANT_UNATTACHED, OCCUPANT_NATIVE, OCCUPANT_GENERIC, OCCUPANT_OFFLOADED };

struct occupant {
	enum occupant_kind kind;
	enum occupant_mode mode;
	uint32_t prog_id;
	uint32_t link_id; /* 0: attached by netlink */
	char name[16];
};

/* "native", "generic", "offloaded"; NULL when nothing is attached. */
const char *occupant_mode_name(enum occupant_mode mode);

int occupant_find(struct occupant *o, uint32_t ifindex, struct fault *f);

/*
 * -EBUSY  a program that no dispatcher made fills the hook; the sentence names it and says how to
 *         remove it
 */
int occupant_check(const struct occupant *o, const char *ifname, struct fault *f);

#endif /* XESP_OCCUPANT_H */

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan.h - what `xesp attach` is asked to do, checked against the machine before anything changes.
 */
#ifndef XESP_PLAN_H
#define XESP_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/attachment.h"
#include "xesp/fault.h"
#include "xesp/iface.h"
#include "xesp/program.h"
#include "xesp/steer.h"

struct plan_step {
	struct iface iface;
	struct occupant occupant;  /* the interface before we came */
	struct attachment *before; /* ours, attached or dead; NULL: none */
	/* what was done, for the report and for taking it back */
	struct attachment at;
	bool row_made, attached, updated;
	int old_prog_fd;
	char native_refused[FAULT_TEXT_MAX]; /* why it is generic mode */
	char alone_because[FAULT_TEXT_MAX];  /* why it is not in a dispatcher */
};

struct plan {
	char pins[128];
	enum occupant_mode mode; /* UNATTACHED: native if possible */
	uint32_t max_sas;        /* 0: not given */
	uint32_t max_policies;
	bool replace;
	unsigned int n;
	struct plan_step steps[XESP_PORTS_MAX];
	struct attachment_list attached;
	struct program_maps maps; /* sizes to use */
	bool maps_are_new;
};

/*
 * Names an interface for a role; named for both it is a one-armed gateway's.
 * -ENODEV, -ENOSPC
 */
int plan_add(struct plan *p, const char *ifname, uint32_t role, struct fault *f);

/* Rights of this process, AF_XDP, and what the interfaces are. Needs no pins. */
int plan_check_machine(struct plan *p, struct fault *f);

/*
 * What is pinned and attached already, under the lock of the pin directory: fills `attached`, the
 * steps' `before` and `occupant`, and `maps`.
 */
int plan_check_pins(struct plan *p, struct fault *f);

#endif /* XESP_PLAN_H */

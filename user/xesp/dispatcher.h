/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dispatcher.h - our programs in libxdp's dispatcher, where other XDP programs have their place
 * too.
 *
 * libxdp changes what is attached by building a new dispatcher and swapping it in, so an interface
 * is never without the programs that stay. Needs a kernel that takes freplace programs, see
 * program_probe_freplace(). Interfaces of this network namespace only.
 */
#ifndef XESP_DISPATCHER_H
#define XESP_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>
#include "xesp/occupant.h"

struct fault;
struct iface;
struct program_maps;

/* Is this program one of the dispatcher's on this interface? */
bool dispatcher_holds(uint32_t ifindex, uint32_t prog_id);

/*
 * Loads the program of the interface's role, adds it, and pins it at `pin`.
 * -EOPNOTSUPP  libxdp would attach it without a dispatcher; it does not stay attached then
 * -ERANGE      the interface's MTU is too large for it
 * -errno       else
 */
int dispatcher_add(const struct iface *i, const struct program_maps *maps, enum occupant_mode mode,
		   const char *pin, struct fault *f);

/* Takes it out; with the last program the dispatcher goes too. */
int dispatcher_remove(uint32_t ifindex, uint32_t prog_id, struct fault *f);

#endif /* XESP_DISPATCHER_H */

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

#include <stdint.h>
#include "xesp/attachment.h"

struct fault;
struct iface;
struct program_maps;

/*
 * Appends the programs in this network namespace's dispatchers that use the maps pinned in `pins`.
 */
int dispatcher_read(struct attachment_list *l, const char *pins, struct fault *f);

/*
 * Loads the program of the interface's role and adds it. It is loaded anew here, because its place
 * in the dispatcher is part of the loaded program.
 * -EOPNOTSUPP  libxdp would attach it without a dispatcher; it does not stay attached then
 * -ERANGE      the interface's MTU is too large for it
 * -errno       else, with the driver's words if there were any
 */
int dispatcher_add(struct attachment *a, const struct iface *i, const struct program_maps *maps,
		   enum occupant_mode mode, struct fault *f);

/*
 * Exchanges ours for a new one: that is in before the old is out, each by one swap of the
 * dispatcher. Also takes out what an exchange that was killed had left; `l` is all that is ours.
 */
int dispatcher_replace(struct attachment *a, const struct attachment_list *l, const struct iface *i,
		       const struct program_maps *maps, struct fault *f);

/* Takes a program out; with the last program the dispatcher goes too. */
int dispatcher_remove(uint32_t ifindex, uint32_t prog_id, struct fault *f);

#endif /* XESP_DISPATCHER_H */

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish_inbound.h - map xesp_sa_in: which inbound SA an SPI and destination mean.
 *
 * Why it exists: what the map says of each SA is remembered (maps.inbound), so that a change of one of
 * 100 000 takes one call and not 100 000. The steps are those of publish_maps.h. Main thread.
 */
#ifndef XESP_KEYD_PUBLISH_INBOUND_H
#define XESP_KEYD_PUBLISH_INBOUND_H

#include <stdint.h>

struct fault;
struct grants_kernel;
struct maps;
struct sad;

/* What a former keyd wrote; entries that no SA can have go. -errno of bpf(2) */
int publish_inbound_read(struct maps *m);

/*
 * For SAs that the kernel has too, before anything else: those that are new go on being the kernel's, but XDP notes
 * what it lets through to it (enum xesp_holder). grants_take_over() ends it.
 */
int publish_inbound_watch(struct maps *m, const struct sad *sad, struct fault *f);

/* SPIs that nobody has become these SAs'; one that is another SA's stays so for now. */
int publish_inbound_prepare(struct maps *m, const struct sad *sad, struct fault *f);

/* All of them become these SAs'. */
int publish_inbound_switch(struct maps *m, const struct sad *sad, struct fault *f);

/*
 * For SAs that the kernel has too: packets of those that are not in `sad` are dropped (handover) until they have gone, for no
 * worker is to accept one after the kernel has heard how far they were. Returns how many there are.
 */
uint32_t publish_inbound_hold(struct maps *m, const struct sad *sad);

/*
 * Those of SAs that are not in `sad` go. `kernel` (NULL: it has none of them) hears of each that was held how far it
 * was; when it cannot be told the SA stays held.
 */
int publish_inbound_settle(struct maps *m, const struct sad *sad, const struct grants_kernel *kernel,
			   struct fault *f);

#endif /* XESP_KEYD_PUBLISH_INBOUND_H */

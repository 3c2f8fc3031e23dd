/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish_inbound.h - map xesp_sa_in: which inbound SA an SPI and destination mean.
 *
 * Why it exists: what the map says of each SA is remembered (maps.inbound), so that a change of one of
 * 100 000 takes one call and not 100 000. The steps are those of publish_maps.h. Main thread.
 */
#ifndef XESP_KEYD_PUBLISH_INBOUND_H
#define XESP_KEYD_PUBLISH_INBOUND_H

struct fault;
struct maps;
struct sad;

/* What a former keyd wrote; entries that no SA can have go. -errno of bpf(2) */
int publish_inbound_read(struct maps *m);

/* SPIs that nobody has become these SAs'; one that is another SA's stays so for now. */
int publish_inbound_prepare(struct maps *m, const struct sad *sad, struct fault *f);

/* All of them become these SAs'. */
int publish_inbound_switch(struct maps *m, const struct sad *sad, struct fault *f);

/* Those of SAs that are not in `sad` go. */
int publish_inbound_settle(struct maps *m, const struct sad *sad, struct fault *f);

#endif /* XESP_KEYD_PUBLISH_INBOUND_H */

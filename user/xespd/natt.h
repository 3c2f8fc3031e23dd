/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * natt.h - what ESP in UDP needs between packets: keepalives to peers that nothing was sent to for
 * a while (RFC 3948 section 4), and peers that moved. Main thread.
 */
#ifndef XESP_XESPD_NATT_H
#define XESP_XESPD_NATT_H

#include <stdint.h>

struct daemon;
struct fault;
struct natt;

int natt_open(struct natt **out, struct daemon *d, struct fault *f);
void natt_close(struct natt *n);

/* Ten times a second: sends the keepalives that are due. */
void natt_tick(struct natt *n);

/* For status. */
struct natt_counts {
	uint64_t keepalives; /* sent */
	uint64_t moves;      /* of peers */
};
void natt_count(const struct natt *n, struct natt_counts *out);

#endif /* XESP_XESPD_NATT_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sa_match.h - step 2 of the walk for ciphertext: is this ESP or AH for us, and under which SA?
 *
 * RFC 4301 section 4.1: an inbound SA is found by destination, SPI and protocol. ESP to an
 * address that is no tunnel's end is somebody else's and goes on like any other packet.
 */
#ifndef XESP_BPF_SA_MATCH_H
#define XESP_BPF_SA_MATCH_H

#include "maps.h"
#include "parse.h"

#define SPI_RESERVED_LAST 255 /* RFC 4303 section 2.1 */

/*
 * AH under an SPI that we do not know stays the kernel's, which may have SAs of its own (OSPFv3 uses it);
 * it can be nothing but dropped there when it has not.
 */
static __always_inline bool sa_is_ours(const struct packet *p)
{
	struct xesp_sa_in_key key = { .dst = p->dst, .spi = p->spi, .proto = IPPROTO_AH };

	if (p->proto == IPPROTO_ESP)
		return bpf_map_lookup_elem(&xesp_endpoints, &p->dst);
	return p->proto == IPPROTO_AH && p->spi && bpf_map_lookup_elem(&xesp_sa_in, &key);
}

/* Only for ESP and AH that is ours and no fragment. NONE: *found is set. */
static __always_inline enum xesp_drop sa_match(const struct packet *p, struct xesp_sa_in_val *found)
{
	struct xesp_sa_in_key key = { .dst = p->dst, .spi = p->spi, .proto = p->proto };
	const struct xesp_sa_in_val *sa;

	if (p->flaw)
		return p->flaw;
	if (bpf_ntohl(p->spi) <= SPI_RESERVED_LAST)
		return XESP_DROP_BAD_SPI;
	sa = bpf_map_lookup_elem(&xesp_sa_in, &key);
	if (!sa || !sa->sa_id)
		return XESP_DROP_NO_SA;
	*found = *sa;
	return XESP_DROP_NONE;
}

#endif /* XESP_BPF_SA_MATCH_H */

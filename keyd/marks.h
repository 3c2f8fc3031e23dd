/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * marks.h - what a tunnel shows of its traffic to those on the way: DSCP, TTL, flow label, sizes and
 * dummy packets. RFC 4301 section 5.1.2, RFC 2983, RFC 6437, RFC 4303 sections 2.6 and 2.7.
 */
#ifndef XESP_KEYD_MARKS_H
#define XESP_KEYD_MARKS_H

#include <stdint.h>
#include <stdio.h>

struct problems;
struct raw_tunnel;
struct tunnel;

#define MARKS_DSCPS 64

/* Of struct tunnel; compared as bytes. */
struct marks {
	uint8_t ttl;        /* 0: the inner one */
	uint8_t dscp;       /* enum xesp_dscp */
	uint8_t dscp_value;
	uint8_t dscp_in;    /* enum xesp_dscp_in */
	uint8_t flow_label; /* enum xesp_flow_label */
	uint8_t pad[3];
	uint32_t tfc;       /* as in struct xesp_keymsg_tunnel */
	uint32_t dummy_pps;
	uint8_t dscp_map[MARKS_DSCPS]; /* with XESP_DSCP_MAP */
};

/* t's addresses are known already. -EINVAL with problems below `path`. */
int marks_take(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
	       struct problems *ps);
void marks_print(const struct tunnel *t, FILE *out);

#endif /* XESP_KEYD_MARKS_H */

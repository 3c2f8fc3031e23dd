/* SPDX-License-Identifier: BSD-2-Clause */
/* ecn.c - see ecn.h. */
#include "esp/ecn.h"
#include "xesp/keymsg.h"

uint8_t ecn_encap(uint8_t mode, uint8_t inner)
{
	return mode == XESP_ECN_NORMAL ? inner : ECN_NOT_ECT;
}

/* RFC 6040 figure 4. A mark the path may not have made on its own leaves the inner field alone. */
static const uint8_t forwarded[4][4] = {
	/* inner        outer: Not-ECT    ECT(1)       ECT(0)       CE */
	[ECN_NOT_ECT] = { ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT, ECN_DROP },
	[ECN_ECT1] = { ECN_ECT1, ECN_ECT1, ECN_ECT1, ECN_CE },
	[ECN_ECT0] = { ECN_ECT0, ECN_ECT1, ECN_ECT0, ECN_CE },
	[ECN_CE] = { ECN_CE, ECN_CE, ECN_CE, ECN_CE },
};

/* Figure 4's exclamation marks, by inner; bits by outer. */
static const uint8_t alarming[4] = {
	[ECN_NOT_ECT] = 1 << ECN_ECT0 | 1 << ECN_ECT1 | 1 << ECN_CE, /* (!!!) */
	[ECN_ECT1] = 1 << ECN_ECT0,                                  /* (!) */
	[ECN_CE] = 1 << ECN_ECT1,                                    /* (!!!) */
};

bool ecn_is_alarming(uint8_t outer, uint8_t inner)
{
	return alarming[inner & ECN_MASK] >> (outer & ECN_MASK) & 1;
}

uint8_t ecn_decap(uint8_t outer, uint8_t inner)
{
	return forwarded[inner & ECN_MASK][outer & ECN_MASK];
}

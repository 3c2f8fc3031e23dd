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

uint8_t ecn_decap(uint8_t outer, uint8_t inner)
{
	return forwarded[inner & ECN_MASK][outer & ECN_MASK];
}

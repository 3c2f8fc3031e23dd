/* SPDX-License-Identifier: BSD-2-Clause */
/* ecn.c - the tables of RFC 6040: see ecn.h. */
#include "esp/ecn.h"

const uint8_t ecn_forwarded[4][4] = {
	/* inner        outer: Not-ECT    ECT(1)       ECT(0)       CE */
	[ECN_NOT_ECT] = { ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT, ECN_DROP },
	[ECN_ECT1] = { ECN_ECT1, ECN_ECT1, ECN_ECT1, ECN_CE },
	[ECN_ECT0] = { ECN_ECT0, ECN_ECT1, ECN_ECT0, ECN_CE },
	[ECN_CE] = { ECN_CE, ECN_CE, ECN_CE, ECN_CE },
};

const uint8_t ecn_alarming[4] = {
	[ECN_NOT_ECT] = 1 << ECN_ECT0 | 1 << ECN_ECT1 | 1 << ECN_CE, /* (!!!) */
	[ECN_ECT1] = 1 << ECN_ECT0,                                  /* (!) */
	[ECN_CE] = 1 << ECN_ECT1,                                    /* (!!!) */
};

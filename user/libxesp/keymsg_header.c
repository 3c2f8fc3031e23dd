/* SPDX-License-Identifier: BSD-2-Clause */
/* keymsg_header.c - see keymsg_header.h. */
#include <errno.h>

#include "libxesp/keymsg_header.h"
#include "xesp/fault.h"
#include "xesp/keymsg.h"

int keymsg_check_header(const void *packet, size_t len, struct fault *f)
{
	const struct xesp_keymsg *h = packet;

	if (len < sizeof(*h))
		return fault_set(f, -EPROTO, "message of %zu bytes, shorter than its header", len);
	if (h->version != XESP_KEYMSG_VERSION)
		return fault_set(f, -EPROTO,
				 "message version %u, ours is %d: xespd and xesp-keyd are of different versions, restart both",
				 h->version, XESP_KEYMSG_VERSION);
	if (h->len != len)
		return fault_set(f, -EPROTO, "message of %zu bytes that claims %u", len, h->len);
	return 0;
}

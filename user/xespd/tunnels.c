/* SPDX-License-Identifier: BSD-2-Clause */
/* tunnels.c - see tunnels.h. */
#include "crypto/transform.h"
#include "esp/size.h"
#include "fib/fib.h"
#include "sad/sa.h"
#include "sad/tunnel.h"
#include "slow/slow.h"
#include "xesp/fault.h"
#include "xesp/log.h"
#include "xespd/daemon.h"
#include "xespd/dpd.h"
#include "xespd/pool.h"
#include "xespd/tunnels.h"

#define MTU_MIN 1280u /* IPv6's least, RFC 8200 section 5 */

/* Largest inner packet whose ESP packet fits `mtu`; without an SA, the costliest algorithm's. */
static uint32_t inner_mtu(const struct daemon *d, uint32_t id, uint32_t mtu)
{
	const struct tunnel *t = sad_tunnel(d->sad, id);
	const struct sa *sa = t->sa_out ? sad_find(d->sad, t->sa_out) : NULL;
	const struct transform *x = sa ? sa->transform :
					 transform_find(XESP_ALG_AES_CBC, XESP_AUTH_HMAC_SHA2_512_256);
	const struct geometry g = size_of(t, x);
	uint32_t fits = size_fits(&g, mtu);

	return fits < MTU_MIN ? MTU_MIN : fits;
}

static uint32_t path_mtu(struct daemon *d, uint32_t id, const struct xesp_keymsg_tunnel *t)
{
	struct fib_hop hop;

	fib_want(d->fib, tunnel_peer(t));
	if (fib_lookup(d->fib, pool_slow_worker(d->pool), tunnel_peer(t), FIB_OURS, &hop) !=
	    FIB_SEND)
		hop.mtu = 0; /* not known, for the next hop is not */
	return slow_path_mtu(d->slow, id, hop.mtu);
}

static void set_tun_mtu(struct daemon *d, uint32_t mtu)
{
	struct fault f = { "" };

	if (mtu < MTU_MIN)
		mtu = MTU_MIN;
	if (mtu == d->tun_mtu)
		return;
	if (slow_set_mtu(d->slow, mtu, &f)) {
		log_warn("tunnels: %s", f.text);
		return;
	}
	d->tun_mtu = mtu;
	log_debug("tunnels: %s has MTU %u", d->o.tun_name, mtu);
}

void tunnels_refresh(struct daemon *d)
{
	uint32_t smallest = 0;

	for (uint32_t id = 0; id < sad_tunnels_max(d->sad); id++) {
		struct xesp_keymsg_tunnel t;
		uint32_t inner;

		if (!sad_tunnel_get(d->sad, id, &t))
			continue;
		inner = inner_mtu(d, id, path_mtu(d, id, &t));
		if (!smallest || inner < smallest)
			smallest = inner;
	}
	if (smallest)
		set_tun_mtu(d, smallest);
	dpd_refresh(d->dpd);
	d->tunnels_changed = false;
}

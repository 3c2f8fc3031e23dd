/* SPDX-License-Identifier: BSD-2-Clause */
/* tunnels.c - see tunnels.h. */
#include <netinet/ip.h>
#include <netinet/ip6.h>

#include "crypto/transform.h"
#include "fib/fib.h"
#include "libxesp/addr.h"
#include "sad/sa.h"
#include "slow/slow.h"
#include "xesp/fault.h"
#include "xesp/log.h"
#include "xespd/daemon.h"
#include "xespd/pool.h"
#include "xespd/tunnels.h"

#define MTU_ETHERNET 1500u
#define MTU_MIN 1280u /* IPv6's least, RFC 8200 section 5 */
#define ESP_HDR_LEN 8u
#define ESP_TRAILER_LEN 2u

/* Largest inner packet whose ESP packet fits `mtu`; without an SA, the costliest algorithm's. */
static uint32_t inner_mtu(const struct daemon *d, const struct xesp_keymsg_tunnel *t, uint32_t mtu)
{
	const struct sa *sa = t->sa_out ? sad_find(d->sad, t->sa_out) : NULL;
	const struct transform *x = sa ? sa->transform :
					 transform_find(XESP_ALG_AES_CBC, XESP_AUTH_HMAC_SHA2_512_256);
	const uint32_t outer = (uint32_t)(addr_is_ip4(&t->remote) ? sizeof(struct ip) :
								    sizeof(struct ip6_hdr)) +
			       ESP_HDR_LEN + x->iv_len + x->icv_len;

	if (mtu < outer + MTU_MIN)
		return MTU_MIN;
	return (mtu - outer) / x->align * x->align - ESP_TRAILER_LEN;
}

/* 0: not known, for the next hop is not. */
static uint32_t path_mtu(struct daemon *d, uint32_t id, const struct xesp_keymsg_tunnel *t)
{
	struct fib_hop hop;

	fib_want(d->fib, &t->remote);
	if (fib_lookup(d->fib, pool_slow_worker(d->pool), &t->remote, &hop) != FIB_SEND)
		return 0;
	sad_tunnel_mtu(d->sad, id, hop.mtu);
	return hop.mtu;
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
		uint32_t mtu, inner;

		if (!sad_tunnel_get(d->sad, id, &t))
			continue;
		mtu = path_mtu(d, id, &t);
		if (!mtu)
			mtu = MTU_ETHERNET;
		if (t.mtu && t.mtu < mtu)
			mtu = t.mtu;
		inner = inner_mtu(d, &t, mtu);
		if (!smallest || inner < smallest)
			smallest = inner;
	}
	if (smallest)
		set_tun_mtu(d, smallest);
	d->tunnels_changed = false;
}

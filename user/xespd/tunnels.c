/* SPDX-License-Identifier: BSD-2-Clause */
/* tunnels.c - see tunnels.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
#define TICKS 10u     /* a second: each looks at its part of all tunnels */
#define FEW 1000u     /* so many are looked at in a moment */

struct tunnels {
	struct daemon *d;
	uint32_t max;
	uint32_t *changed;   /* [max] ids, each once */
	uint8_t *is_changed; /* [max] */
	uint32_t changed_n;
	bool all;            /* something changed that all tunnels hang on */
	bool few;            /* there were few, when last all had been looked at */
	/* the round under way */
	uint32_t at, there_n, smallest;
};

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

static uint32_t path_mtu(struct daemon *d, uint32_t id, const struct xesp_addr *peer)
{
	struct fib_hop hop;

	fib_want(d->fib, peer);
	if (fib_lookup(d->fib, pool_slow_worker(d->pool), peer, FIB_OURS, &hop) != FIB_SEND)
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

/* The largest inner packet that fits this tunnel; UINT32_MAX: there is no such tunnel. */
static uint32_t refresh(struct tunnels *t, uint32_t id)
{
	const struct tunnel *tunnel = sad_tunnel(t->d->sad, id);

	dpd_refresh(t->d->dpd, id);
	if (!tunnel)
		return UINT32_MAX;
	return inner_mtu(t->d, id, path_mtu(t->d, id, tunnel_peer(&tunnel->as_told)));
}

/* Goes on with all tunnels where it was, and sets the MTU when it is round. */
static void go_on(struct tunnels *t, uint32_t n)
{
	for (; n && t->at < t->max; n--) {
		const uint32_t inner = refresh(t, t->at++);

		if (inner == UINT32_MAX)
			continue;
		t->there_n++;
		if (inner < t->smallest)
			t->smallest = inner;
	}
	if (t->at < t->max)
		return;
	if (t->there_n)
		set_tun_mtu(t->d, t->smallest);
	t->few = t->there_n <= FEW;
	t->at = t->there_n = 0;
	t->smallest = UINT32_MAX;
}

void tunnels_refresh(struct tunnels *t)
{
	t->at = t->there_n = 0;
	t->smallest = UINT32_MAX;
	t->changed_n = 0;
	t->all = false;
	memset(t->is_changed, 0, t->max);
	go_on(t, t->max);
}

void tunnels_change(struct tunnels *t, uint32_t id)
{
	if (id == TUNNELS_ALL)
		t->all = true;
	if (id >= t->max || t->is_changed[id])
		return;
	t->is_changed[id] = 1;
	t->changed[t->changed_n++] = id;
}

static void refresh_changed(struct tunnels *t)
{
	for (uint32_t i = 0; i < t->changed_n; i++) {
		const uint32_t id = t->changed[i], inner = refresh(t, id);

		t->is_changed[id] = 0;
		if (inner < t->smallest)
			t->smallest = inner; /* of the round under way, which may be past it */
		if (inner < t->d->tun_mtu)
			set_tun_mtu(t->d, inner);
	}
	t->changed_n = 0;
}

void tunnels_tick(struct tunnels *t)
{
	/* Where there are few, all of them at once: what grows is seen at once, too. */
	if (t->all || (t->changed_n && t->few && t->changed_n <= FEW)) {
		tunnels_refresh(t);
		return;
	}
	refresh_changed(t);
	go_on(t, t->max / TICKS + 1);
}

int tunnels_open(struct tunnels **out, struct daemon *d, struct fault *f)
{
	struct tunnels *t = calloc(1, sizeof(*t));

	if (t) {
		t->d = d;
		t->max = sad_tunnels_max(d->sad);
		t->smallest = UINT32_MAX;
		t->all = true;
		t->is_changed = calloc(t->max, sizeof(*t->is_changed));
		t->changed = calloc(t->max, sizeof(*t->changed));
	}
	if (!t || !t->is_changed || !t->changed) {
		tunnels_close(t);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	*out = t;
	return 0;
}

void tunnels_close(struct tunnels *t)
{
	if (!t)
		return;
	free(t->is_changed);
	free(t->changed);
	free(t);
}

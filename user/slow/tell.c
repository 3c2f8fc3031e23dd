/* SPDX-License-Identifier: BSD-2-Clause */
/* tell.c - an inner sender hears why its packet went nowhere: see room.h. */
#include <bpf/bpf.h>

#include "esp/esp.h"
#include "fib/fib.h"
#include "libxesp/pins.h"
#include "slow/room.h"
#include "slow/spd.h"
#include "xesp/clock.h"

/*
 * Is the sender on the cleartext side? An ICMP error quotes what policy protects, so it must not
 * leave by an interface that is for ciphertext only. Where the mirror does not know, the kernel's
 * route decides, as for all of this machine's own traffic.
 */
static bool may_go_in_clear(struct slow *s, const struct xesp_addr *sender)
{
	int fd = s->o.pins->fd[PINS_IFACES];
	struct xesp_iface iface;
	__u32 ifindex, *from = NULL;
	uint32_t port;

	/* Not fib_lookup(): the way may not be clear yet, and the kernel would clear it. */
	if (!fib_port_of(s->o.fib, sender, &port))
		return true;
	for (int i = 0; i < XESP_PORTS_MAX && !bpf_map_get_next_key(fd, from, &ifindex); i++) {
		if (!bpf_map_lookup_elem(fd, &ifindex, &iface) && iface.port == port)
			return iface.role & XESP_ROLE_INNER;
		from = &ifindex;
	}
	return false; /* detached just now */
}

/*
 * The tunnel that policy names for it; or, since none need be there for this machine's own packets, that of the answers to
 * what it quotes: RFC 4301 section 6.2.
 */
static bool find_tunnel(struct slow *s, const uint8_t *ip, uint32_t len, struct xesp_spd_val *found)
{
	struct spd_key key;

	if (!spd_key(&key, ip, len) && !spd_find(s->spd, &key, found) &&
	    found->action == XESP_ACTION_PROTECT)
		return true;
	return spd_key_of_quote(&key, ip, len) && !spd_find(s->spd, &key, found) &&
	       found->action == XESP_ACTION_PROTECT;
}

static void tell_through_tunnel(struct slow *s, uint8_t *buf, uint32_t len)
{
	struct batch *b = &s->pieces;
	struct xesp_spd_val found;

	if (!find_tunnel(s, buf + HEADROOM, len, &found))
		return;
	b->n = 1;
	b->pkt[0] = (struct pkt){ .l3 = buf + HEADROOM,
				  .len = len,
				  .id = found.tunnel,
				  .head = buf,
				  .end = buf + SLOT_BYTES,
				  .policy = found.policy,
				  .local = true };
	esp_encap(s->o.esp, b);
	if (!b->pkt[0].drop)
		out_to_wire(s, &b->pkt[0]);
}

void tell_sender(struct slow *s, const struct icmp_cause *c, bool outbound)
{
	uint8_t *buf = s->piece_buf;
	struct xesp_addr sender, src;
	uint32_t len;

	if (!icmp_may_tell(c, &sender) || !fib_source(s->o.fib, &sender, &src) ||
	    !icmp_limit_take(&s->limit, c->error, clock_ms()))
		return;
	len = icmp_make(c, &src, buf + HEADROOM);
	if (!outbound)
		tell_through_tunnel(s, buf, len);
	else if (may_go_in_clear(s, &sender))
		raw_send(&s->plain, buf + HEADROOM, len); /* unreliable by nature, RFC 792 */
}

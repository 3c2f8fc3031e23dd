/* SPDX-License-Identifier: BSD-2-Clause */
/* transport.c - see transport.h. */
#include <netinet/in.h>
#include <string.h>

#include "esp/inner.h"
#include "esp/transport.h"
#include "esp/wire.h"
#include "libxesp/addr.h"
#include "sad/tunnel.h"

#define IP4_HDR_MIN 20
#define IP4_PROTO 9
#define IP4_FRAGMENT 0x3fff /* MF and the offset */
#define IP6_HDR 40
#define IP6_NEXT 6
#define EXT_MAX 8 /* as bpf/parse.h follows */

/* Bytes of the extension header at `off`; 0: it does not fit before `end`. */
static uint32_t ext_len(const uint8_t *ip, uint32_t off, uint32_t end)
{
	uint32_t len;

	if (end < off || end - off < 8)
		return 0;
	len = (ip[off + 1] + 1u) * 8;
	return len <= end - off ? len : 0;
}

/* Destination options are for the nodes of a routing header when one follows, RFC 8200 section 4.1. */
static bool goes_before(const uint8_t *ip, uint8_t next, uint32_t off)
{
	switch (next) {
	case IPPROTO_HOPOPTS:
		return off == IP6_HDR;
	case IPPROTO_ROUTING:
		return true;
	case IPPROTO_DSTOPTS:
		return ip[off] == IPPROTO_ROUTING;
	default:
		return false;
	}
}

static bool find_place6(struct transport_place *pl, const uint8_t *ip, const struct inner *in)
{
	*pl = (struct transport_place){ .len = IP6_HDR, .next_at = IP6_NEXT, .next = ip[IP6_NEXT] };
	for (int i = 0; i < EXT_MAX; i++) {
		uint32_t len;

		if (pl->next == IPPROTO_FRAGMENT)
			return false;
		if (pl->next != IPPROTO_HOPOPTS && pl->next != IPPROTO_ROUTING &&
		    pl->next != IPPROTO_DSTOPTS)
			return true;
		len = ext_len(ip, pl->len, in->len);
		if (!len)
			return false;
		if (!goes_before(ip, pl->next, pl->len))
			return true;
		pl->next_at = pl->len;
		pl->next = ip[pl->len];
		pl->len = (uint16_t)(pl->len + len);
	}
	return false;
}

bool transport_find_place(struct transport_place *pl, const uint8_t *ip, const struct inner *in)
{
	if (in->version == 6)
		return find_place6(pl, ip, in);
	*pl = (struct transport_place){ .len = in->hdr_len, .next_at = IP4_PROTO,
					.next = ip[IP4_PROTO] };
	return !(wire_get16(ip + 6) & IP4_FRAGMENT);
}

bool transport_find_header(struct transport_place *pl, const uint8_t *ip, uint32_t off)
{
	uint32_t at = IP6_HDR, len;

	*pl = (struct transport_place){ .len = (uint16_t)off, .next_at = IP4_PROTO,
					.next = ip[IP4_PROTO] };
	if (ip[0] >> 4 == 4)
		return off >= IP4_HDR_MIN && (ip[0] & 0xfu) * 4 == off;
	pl->next_at = IP6_NEXT;
	pl->next = ip[IP6_NEXT];
	for (int i = 0; i < EXT_MAX && at < off; i++) {
		/* An atomic fragment, RFC 6946, has no length byte: its reserved one is 0 in good faith. */
		len = ext_len(ip, at, off);
		if (!len)
			return false;
		pl->next_at = (uint16_t)at;
		pl->next = ip[at];
		at += len;
	}
	return at == off;
}

void transport_move(uint8_t *to, const uint8_t *ip, const struct transport_place *pl, uint8_t next,
		    uint32_t len)
{
	uint8_t word[2];

	memmove(to, ip, pl->len);
	if (to[0] >> 4 == 6) {
		wire_put16(to + 4, (uint16_t)(len - IP6_HDR));
		to[pl->next_at] = next;
		return;
	}
	word[0] = to[8];
	word[1] = next;
	wire_replace16(to + 10, to + 8, wire_raw16(word));
	wire_put16(word, (uint16_t)len);
	wire_replace16(to + 10, to + 2, wire_raw16(word));
}

bool transport_is_between(const uint8_t *ip, const struct tunnel *t)
{
	struct xesp_addr src, dst;

	if (ip[0] >> 4 == 4) {
		addr_from_ip4(&src, ip + 12);
		addr_from_ip4(&dst, ip + 16);
	} else {
		addr_from_ip6(&src, ip + 8);
		addr_from_ip6(&dst, ip + 24);
	}
	return addr_equal(&src, &t->local) && addr_equal(&dst, &t->as_told.remote);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* inner.c - see inner.h. */
#include <netinet/in.h>

#include "esp/inner.h"
#include "esp/wire.h"
#include "sad/selector.h"
#include "xesp/steer.h"

#define IP4_HDR_MIN 20
#define IP4_OFFSET 0x1fff
#define IP4_MORE 0x2000
#define IP6_HDR 40
#define IP6_LABEL 0xfffffu
#define IP6_FRAG_OFFSET 0xfff8
#define IP6_FRAG_MORE 0x0001
#define EXT_MAX 16 /* headers followed; the packet of a sane sender has fewer than 8 */

static bool parse_ip4(struct inner *in, const uint8_t *ip, uint32_t room)
{
	uint32_t hdr_len, len, sum = 0;

	if (room < IP4_HDR_MIN)
		return false;
	hdr_len = (ip[0] & 0xfu) * 4;
	len = wire_get16(ip + 2);
	if (hdr_len < IP4_HDR_MIN || len < hdr_len || len > room)
		return false;
	for (uint32_t i = 0; i < hdr_len; i += 2)
		sum += wire_raw16(ip + i);
	if (wire_fold(sum) != 0xffff)
		return false;
	*in = (struct inner){
		.len = (uint16_t)len,
		.hdr_len = (uint16_t)hdr_len,
		.version = 4,
		.tos = ip[1],
		.ttl = ip[8],
		.df = wire_get16(ip + 6) & INNER_IP4_DF,
	};
	return true;
}

static bool parse_ip6(struct inner *in, const uint8_t *ip, uint32_t room)
{
	uint32_t payload;

	if (room < IP6_HDR)
		return false;
	payload = wire_get16(ip + 4);
	if (payload > room - IP6_HDR || payload > UINT16_MAX - IP6_HDR)
		return false;
	if (!payload && ip[6] == IPPROTO_HOPOPTS)
		return false; /* a jumbogram, RFC 2675 */
	*in = (struct inner){
		.len = (uint16_t)(IP6_HDR + payload),
		.hdr_len = IP6_HDR,
		.version = 6,
		.tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4),
		.ttl = ip[7],
		.label = wire_get32(ip) & IP6_LABEL,
		.df = true,
	};
	return true;
}

bool inner_parse_other(struct inner *in, const uint8_t *ip, uint32_t room)
{
	if (!room)
		return false;
	if (ip[0] >> 4 == 4)
		return parse_ip4(in, ip, room);
	return ip[0] >> 4 == 6 && parse_ip6(in, ip, room);
}

void inner_decrement_ttl(uint8_t *ip, const struct inner *in)
{
	uint8_t word[2];

	if (in->version == 6) {
		ip[7]--;
		return;
	}
	word[0] = (uint8_t)(ip[8] - 1);
	word[1] = ip[9];
	wire_replace16(ip + 10, ip + 8, wire_raw16(word));
}

void inner_set_tos(uint8_t *ip, const struct inner *in, uint8_t tos)
{
	uint8_t word[2];

	if (in->version == 6) {
		ip[0] = (uint8_t)(0x60 | tos >> 4);
		ip[1] = (uint8_t)((ip[1] & 0xfu) | (unsigned int)tos << 4);
		return;
	}
	word[0] = ip[0];
	word[1] = tos;
	wire_replace16(ip + 10, ip, wire_raw16(word));
}

/* RFC 4301 section 4.4.1.1: ICMP has type and code, a mobility header its type, in their place. */
static void set_ports(struct selector_key *k, const uint8_t *l4, uint32_t len)
{
	k->fields = XESP_FIELDS_NONE;
	if (len < 4)
		return;
	switch (k->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		k->remote_port = wire_get16(l4);
		k->local_port = wire_get16(l4 + 2);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		k->local_port = l4[0];
		k->remote_port = l4[1];
		break;
	case IPPROTO_MH:
		k->local_port = l4[2];
		break;
	default:
		return;
	}
	k->fields = XESP_FIELDS_KNOWN;
}

static bool key_ip4(struct selector_key *k, const uint8_t *ip, const struct inner *in)
{
	*k = (struct selector_key){
		.family = 4,
		.remote = selector_addr_of_ip4(ip + 12),
		.local = selector_addr_of_ip4(ip + 16),
		.proto = ip[9],
	};
	k->frag_id = wire_raw16(ip + 4); /* as on the wire, and as bpf/parse.h has it */
	k->first = (wire_get16(ip + 6) & (IP4_OFFSET | IP4_MORE)) == IP4_MORE;
	k->fields = XESP_FIELDS_LATER;
	/* Behind the first fragment there are no ports, RFC 4301 section 7.2. */
	if (!(wire_get16(ip + 6) & IP4_OFFSET))
		set_ports(k, ip + in->hdr_len, (uint32_t)in->len - in->hdr_len);
	return true;
}

/* Such an address would be taken for the IPv4 one, by selectors and by the FIB; see bpf/parse.h. */
static bool is_mapped(const uint8_t *ip6)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(ip6, prefix, sizeof(prefix));
}

static bool key_ip6(struct selector_key *k, const uint8_t *ip, const struct inner *in)
{
	uint32_t off = IP6_HDR, ext_len;

	if (is_mapped(ip + 8) || is_mapped(ip + 24))
		return false;
	*k = (struct selector_key){
		.family = 6,
		.remote = selector_addr_of(ip + 8),
		.local = selector_addr_of(ip + 24),
		.proto = ip[6],
	};
	for (int i = 0; i < EXT_MAX; i++) {
		const uint8_t *ext = ip + off;

		switch (k->proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if ((uint32_t)in->len - off < 8)
				return false;
			ext_len = (ext[1] + 1u) * 8;
			break;
		case IPPROTO_FRAGMENT:
			if ((uint32_t)in->len - off < 8)
				return false;
			ext_len = 8;
			/* A second such header only adds, as bpf/parse.h has it: it hides nothing. */
			k->frag_id |= htobe32(wire_get32(ext + 4));
			k->first |= wire_get16(ext + 2) & IP6_FRAG_MORE;
			if (wire_get16(ext + 2) & IP6_FRAG_OFFSET) {
				k->first = false;
				k->fields = XESP_FIELDS_LATER;
				k->proto = ext[0];
				return true; /* a later fragment: what follows is no header */
			}
			break;
		default:
			set_ports(k, ext, in->len - off);
			return true;
		}
		if (ext_len > in->len - off)
			return false;
		k->proto = ext[0];
		off += ext_len;
	}
	return false;
}

bool inner_selector_key(struct selector_key *k, const uint8_t *ip, const struct inner *in)
{
	return in->version == 4 ? key_ip4(k, ip, in) : key_ip6(k, ip, in);
}

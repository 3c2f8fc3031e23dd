/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_parse.c - the parser that all XDP programs share, and user space's reading of the same packet.
 *
 * Targets: parse_frame() and the reading of what an ICMP error quotes, as XDP runs them, and
 * inner_selector_key(). XDP judges a packet before ESP and user space one that comes out of it: where
 * the two read one packet differently, a policy can be got round. The frame lies at 2 modulo 4 and
 * ends where the input does, so that AddressSanitizer sees any step beyond.
 */
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/icmp_quote.h"
#include "esp/inner.h"
#include "sad/selector.h"

#define INPUT_MAX 4000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_parse: %s\n", what);
	abort();
}

static void check_offsets(const struct packet *p, uint32_t size)
{
	const bool later = p->fragment == FRAGMENT_LATER;

	if (p->l3_off + p->l3_len > size || p->l4_off > p->l3_len)
		broken("an offset outside of the frame");
	if (p->ports_known && (p->flaw || later || p->l4_off + 4u > p->l3_len))
		broken("ports that are not there");
	if (p->spi && (p->flaw || p->fragment || p->l4_off + 8u > p->l3_len))
		broken("an SPI that is not there");
}

static enum xesp_fields fields_of(const struct packet *p)
{
	if (p->fragment == FRAGMENT_LATER)
		return XESP_FIELDS_LATER;
	return p->ports_known ? XESP_FIELDS_KNOWN : XESP_FIELDS_NONE;
}

static bool same_addr(const struct xesp_addr *a, const struct selector_addr *b)
{
	const struct selector_addr n = selector_addr_of(a);

	return n.hi == b->hi && n.lo == b->lo;
}

/* Both see an arriving packet: its source is remote. ICMP's type is the sender's: local here. */
static void check_same(const struct packet *p, const struct selector_key *k)
{
	const bool icmp = p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6 ||
			  p->proto == PARSE_PROTO_MH;
	const uint16_t local = bpf_ntohs(icmp ? p->sport : p->dport);
	const uint16_t remote = bpf_ntohs(icmp ? p->dport : p->sport);

	if (p->family != k->family || !same_addr(&p->src, &k->remote) ||
	    !same_addr(&p->dst, &k->local))
		broken("other addresses");
	if (p->proto != k->proto)
		broken("another protocol");
	if (fields_of(p) != k->fields)
		broken("ports for one and none for the other");
	if (p->ports_known && (local != k->local_port || remote != k->remote_port))
		broken("other ports");
	if ((p->fragment == FRAGMENT_FIRST) != k->first)
		broken("a first fragment for one");
	if (p->fragment && p->frag_id != k->frag_id)
		broken("another fragment id");
}

/* The IPv4 checksum is made right: XDP leaves it to whoever forwards the packet. */
static void fix_checksum(uint8_t *ip, uint32_t hdr_len)
{
	uint32_t sum = 0;

	ip[10] = ip[11] = 0;
	for (uint32_t i = 0; i < hdr_len; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

static void check_quote(uint8_t *frame, uint32_t size, const struct packet *p)
{
	struct quote q = { 0 };

	if (quote_is_error(p) && quote_from(frame, frame + size, p, &q) && q.ports_known &&
	    (uint32_t)p->l3_off + p->l4_off + ICMP_HDR_LEN + 20 + 4 > size)
		broken("a quote with ports outside of the frame");
}

static void look(uint8_t *frame, uint32_t size)
{
	struct packet p = { 0 };
	struct selector_key key;
	struct inner in;

	if (parse_frame(frame, frame + size, size, &p) || !p.family)
		return;
	check_offsets(&p, size);
	check_quote(frame, size, &p);
	if (p.flaw)
		return;
	if (p.family == 4)
		fix_checksum(frame + p.l3_off, (frame[p.l3_off] & 0xfu) * 4u);
	if (inner_parse(&in, frame + p.l3_off, size - p.l3_off) &&
	    inner_selector_key(&key, frame + p.l3_off, &in))
		check_same(&p, &key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *buf;

	if (size > INPUT_MAX)
		return 0;
	buf = malloc(size + 2);
	if (!buf)
		exit(70);
	memcpy(buf + 2, data, size);
	look(buf + 2, (uint32_t)size);
	free(buf);
	return 0;
}

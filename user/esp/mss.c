/* SPDX-License-Identifier: BSD-2-Clause */
/* mss.c - see mss.h. */
#include <netinet/in.h>

#include "esp/inner.h"
#include "esp/mss.h"
#include "esp/size.h"
#include "esp/stage.h"
#include "esp/wire.h"
#include "sad/sa.h"
#include "sad/tunnel.h"

#define IP4_HDR     20u
#define IP4_FRAG    0x3fff /* MF and the offset: the option may be elsewhere, or the sum incomplete */
#define IP6_HDR     40u
#define EXT_MAX     16
#define TCP_HDR     20u
#define TCP_OFF     12
#define TCP_FLAGS   13
#define TCP_SYN     0x02
#define TCP_CHECK   16
#define OPT_END     0
#define OPT_NOP     1
#define OPT_MSS     2
#define OPT_MSS_LEN 4
#define OPT_AO      29 /* RFC 5925 section 2.2 */

uint32_t mss_of_mtu(uint32_t mtu, uint8_t version)
{
	const uint32_t headers = (version == 4 ? IP4_HDR : IP6_HDR) + TCP_HDR;

	return mtu > headers ? mtu - headers : 0;
}

/* Bytes from `ip` to the TCP header; 0: no TCP, or a fragment of it. */
static uint32_t find_tcp6(const uint8_t *ip, const struct inner *in)
{
	uint32_t off = IP6_HDR;
	uint8_t next = ip[6];

	for (int i = 0; i < EXT_MAX; i++) {
		switch (next) {
		case IPPROTO_TCP:
			return off;
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			if (off + 8 > in->len)
				return 0;
			next = ip[off];
			off += (ip[off + 1] + 1u) * 8;
			break;
		default:
			return 0;
		}
	}
	return 0;
}

static uint32_t find_tcp(const uint8_t *ip, const struct inner *in)
{
	if (in->version == 6)
		return find_tcp6(ip, in);
	return ip[9] == IPPROTO_TCP && !(wire_get16(ip + 6) & IP4_FRAG) ? in->hdr_len : 0;
}

/* The place of the MSS option among the options; 0: none, or not to be touched. */
static uint32_t find_option(const uint8_t *tcp, uint32_t hdr_len)
{
	uint32_t at = TCP_HDR, found = 0;

	while (at < hdr_len && tcp[at] != OPT_END) {
		uint32_t len;

		if (tcp[at] == OPT_NOP) {
			at++;
			continue;
		}
		if (at + 2 > hdr_len)
			return 0;
		len = tcp[at + 1];
		if (len < 2 || at + len > hdr_len || tcp[at] == OPT_AO)
			return 0;
		if (tcp[at] == OPT_MSS && len == OPT_MSS_LEN && !found)
			found = at;
		at += len;
	}
	return found;
}

/* RFC 1624 equation 3. At an odd offset the value's two bytes belong to two words of the sum. */
static void replace(uint8_t *tcp, uint32_t at, uint16_t value)
{
	uint16_t was = wire_get16(tcp + at), is = value;
	uint32_t sum = (uint16_t)~wire_get16(tcp + TCP_CHECK);

	if (at % 2) {
		was = __builtin_bswap16(was);
		is = __builtin_bswap16(is);
	}
	sum += (uint16_t)~was + (uint32_t)is;
	wire_put16(tcp + TCP_CHECK, (uint16_t)~wire_fold(sum));
	wire_put16(tcp + at, value);
}

/* From the TCP header to the value of the MSS option of a packet that opens a connection; 0: nothing there. */
static uint32_t find_value(const uint8_t *ip, const struct inner *in, uint32_t *tcp_off)
{
	uint32_t off = find_tcp(ip, in), hdr_len, at;
	const uint8_t *tcp = ip + off;

	if (!off || off + TCP_HDR > in->len || !(tcp[TCP_FLAGS] & TCP_SYN))
		return 0;
	hdr_len = (tcp[TCP_OFF] >> 4) * 4u;
	if (hdr_len < TCP_HDR || off + hdr_len > in->len)
		return 0;
	at = find_option(tcp, hdr_len);
	*tcp_off = off;
	return at ? at + 2 : 0;
}

static bool lower(uint8_t *tcp, uint32_t at, uint32_t most)
{
	if (most > UINT16_MAX || wire_get16(tcp + at) <= most)
		return false;
	replace(tcp, at, (uint16_t)most);
	return true;
}

bool mss_clamp(uint8_t *ip, const struct inner *in, uint32_t most)
{
	uint32_t tcp_off, at = find_value(ip, in, &tcp_off);

	return at && lower(ip + tcp_off, at, most);
}

/* What may come next in the chain that leads to a TCP header: all others are let go at once. */
static bool may_be_tcp(const uint8_t *ip, uint8_t version)
{
	const uint8_t next = version == 4 ? ip[9] : ip[6];

	return next == IPPROTO_TCP ||
	       (version == 6 && (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
				 next == IPPROTO_DSTOPTS));
}

/* 0: not known. Not rounded up to what IPv6 is promised: smaller segments fit without that. */
static uint32_t most_for(const struct esp_worker *w, const struct tunnel *t, uint8_t version)
{
	const struct sa *sa = t->sa_out ? sad_find(w->sad, t->sa_out) : NULL;
	struct geometry g;

	if (t->mss > XESP_MSS_AUTO)
		return t->mss;
	if (!sa || sa->dir != XESP_DIR_OUT)
		return 0;
	g = size_of(t, sa->transform);
	return mss_of_mtu(size_fits(&g, __atomic_load_n(&t->mtu, __ATOMIC_RELAXED)), version);
}

void mss_clamp_batch(struct esp_worker *w, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		const struct stage_pkt *x = &w->x[i];
		struct pkt *p = &b->pkt[i];
		uint32_t tcp_off, at, most;

		if (stage_skips(p) || x->tunnel->mss == XESP_MSS_OFF ||
		    !may_be_tcp(p->l3, x->inner.version))
			continue;
		at = find_value(p->l3, &x->inner, &tcp_off);
		most = at ? most_for(w, x->tunnel, x->inner.version) : 0;
		if (most)
			lower(p->l3 + tcp_off, at, most);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parser that the XDP programs share, compiled for the host: bpf/parse.h.
 *
 * BPF_PROG_TEST_RUN takes no frame under 14 bytes and hides reads behind the end; here every
 * length from 0 on is tried before a page that may not be touched.
 */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/parse.h"
#include "frame.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define A4 "10.1.0.5"
#define B4 "10.2.0.9"
#define A6 "2001:db8:1::5"
#define B6 "2001:db8:2::9"

/* The frame's end lies at most 3 bytes before the forbidden page: parse.h wants its alignment. */
static enum xesp_drop parse_guarded(const struct frame *f, uint32_t len, struct packet *p)
{
	static uint8_t *pages;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *start;

	if (!pages) {
		pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
		if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE))
			abort();
	}
	start = pages + (page - len - 2) / 4 * 4 + 2;
	memcpy(start, f->bytes, len);
	memset(p, 0, sizeof(*p));
	return parse_frame(start, start + len, len, p);
}

static const struct {
	const char *what;
	struct frame_spec frame;
	uint8_t family, proto;
	enum fragment fragment;
	bool ports_known;
	enum xesp_drop flaw;
} cases[] = {
	{ "ARP is not IP", { 0 }, 0, 0, FRAGMENT_NONE, false, 0 },
	{ "three tags are not IP",
	  { .src = A4, .dst = B4, .proto = 17, .vlans = 3 }, 0, 0, FRAGMENT_NONE, false, 0 },
	{ "TCP", { .src = A4, .dst = B4, .proto = 6 }, 4, 6, FRAGMENT_NONE, true, 0 },
	{ "UDP", { .src = A6, .dst = B6, .proto = 17 }, 6, 17, FRAGMENT_NONE, true, 0 },
	{ "SCTP", { .src = A4, .dst = B4, .proto = 132 }, 4, 132, FRAGMENT_NONE, true, 0 },
	{ "DCCP", { .src = A4, .dst = B4, .proto = 33 }, 4, 33, FRAGMENT_NONE, true, 0 },
	{ "UDP-Lite", { .src = A4, .dst = B4, .proto = 136 }, 4, 136, FRAGMENT_NONE, true, 0 },
	{ "GRE has no ports", { .src = A4, .dst = B4, .proto = 47 }, 4, 47, 0, false, 0 },
	{ "ESP", { .src = A4, .dst = B4, .proto = 50, .spi = 300 }, 4, 50, 0, false, 0 },
	{ "AH is a next layer protocol, RFC 4301 section 4.4.1.1",
	  { .src = A6, .dst = B6, .proto = 51 }, 6, 51, 0, false, 0 },
	{ "no next header", { .src = A6, .dst = B6, .proto = 59 }, 6, 59, 0, false, 0 },
	{ "40 bytes of options",
	  { .src = A4, .dst = B4, .proto = 17, .options = 40 }, 4, 17, 0, true, 0 },
	{ "all skipped headers",
	  { .src = A6, .dst = B6, .proto = 6, .ext = { 0, 60, 43, 60 }, .ext_n = 4 },
	  6, 6, FRAGMENT_NONE, true, 0 },
	{ "long headers",
	  { .src = A6, .dst = B6, .proto = 6, .ext = { 0, 60 }, .ext_n = 2, .ext_units = 100 },
	  6, 6, FRAGMENT_NONE, true, 0 },
	{ "eight headers are followed",
	  { .src = A6, .dst = B6, .proto = 17, .ext = { 0, 60, 60, 60, 60, 60, 60, 60 },
	    .ext_n = 8 }, 6, 17, FRAGMENT_NONE, true, 0 },
	{ "nine are not",
	  { .src = A6, .dst = B6, .proto = 17, .ext = { 0, 60, 60, 60, 60, 60, 60, 60, 60 },
	    .ext_n = 9 }, 6, 60, FRAGMENT_NONE, false, XESP_DROP_EXTHDR_DEPTH },
	{ "atomic fragment is whole, RFC 6946",
	  { .src = A6, .dst = B6, .proto = 17, .ext = { 44 }, .ext_n = 1 },
	  6, 17, FRAGMENT_NONE, true, 0 },
	{ "first fragment", { .src = A4, .dst = B4, .proto = 17, .fragment = FIRST },
	  4, 17, FRAGMENT_FIRST, true, 0 },
	{ "middle fragment", { .src = A4, .dst = B4, .proto = 17, .fragment = MIDDLE },
	  4, 17, FRAGMENT_LATER, false, 0 },
	{ "last fragment", { .src = A4, .dst = B4, .proto = 17, .fragment = LAST },
	  4, 17, FRAGMENT_LATER, false, 0 },
	{ "first fragment, IPv6", { .src = A6, .dst = B6, .proto = 17, .fragment = FIRST },
	  6, 17, FRAGMENT_FIRST, true, 0 },
	{ "middle fragment, IPv6", { .src = A6, .dst = B6, .proto = 17, .fragment = MIDDLE },
	  6, 17, FRAGMENT_LATER, false, 0 },
	{ "last fragment, IPv6", { .src = A6, .dst = B6, .proto = 17, .fragment = LAST },
	  6, 17, FRAGMENT_LATER, false, 0 },
	{ "first fragment with a header behind",
	  { .src = A6, .dst = B6, .proto = 17, .fragment = FIRST, .behind_fragment = 60 },
	  6, 17, FRAGMENT_FIRST, true, 0 },
	{ "what a later fragment begins with is data",
	  { .src = A6, .dst = B6, .proto = 17, .fragment = LAST, .behind_fragment = 60 },
	  6, 60, FRAGMENT_LATER, false, 0 },
	{ "a second fragment header does not hide the first",
	  { .src = A6, .dst = B6, .proto = 17, .fragment = FIRST, .behind_fragment = 44 },
	  6, 17, FRAGMENT_FIRST, true, 0 },
	{ "TCP header cut off",
	  { .src = A4, .dst = B4, .proto = 6, .cut = true, .cut_at = 19 },
	  4, 6, 0, false, XESP_DROP_MALFORMED_L4 },
	{ "first fragment with ports only, RFC 1858",
	  { .src = A4, .dst = B4, .proto = 6, .fragment = FIRST, .cut = true, .cut_at = 8 },
	  4, 6, FRAGMENT_FIRST, true, 0 },
	{ "first fragment without ports",
	  { .src = A4, .dst = B4, .proto = 6, .fragment = FIRST, .cut = true, .cut_at = 3 },
	  4, 6, FRAGMENT_FIRST, false, XESP_DROP_MALFORMED_L4 },
};

static void rows(void)
{
	for (size_t i = 0; i < LEN(cases); i++) {
		const bool later = cases[i].fragment == FRAGMENT_LATER;
		struct frame_spec s = cases[i].frame;
		struct packet p;
		struct frame f;

		s.sport = 1234;
		s.dport = 80;
		frame_build(&f, &s);
		CU_ASSERT_EQUAL(parse_guarded(&f, f.len, &p), XESP_DROP_NONE);
		if (p.family != cases[i].family || p.proto != cases[i].proto ||
		    p.fragment != cases[i].fragment || p.ports_known != cases[i].ports_known ||
		    p.flaw != cases[i].flaw) {
			fprintf(stderr,
				"parse: %s: family %u proto %u fragment %u ports_known %d flaw %u\n",
				cases[i].what, p.family, p.proto, p.fragment, p.ports_known,
				p.flaw);
			CU_FAIL();
		}
		if (!p.family)
			continue;
		CU_ASSERT_EQUAL(p.l3_off, f.l3_off);
		CU_ASSERT_EQUAL(p.l3_len, f.l3_len);
		if (!later && p.flaw != XESP_DROP_EXTHDR_DEPTH)
			CU_ASSERT_EQUAL(p.l3_off + p.l4_off, f.l4_off);
		CU_ASSERT_EQUAL(p.sport, p.ports_known ? bpf_htons(1234) : 0);
		CU_ASSERT_EQUAL(p.dport, p.ports_known ? bpf_htons(80) : 0);
		CU_ASSERT_EQUAL(p.spi, bpf_htonl(s.spi));
	}
}

static const struct frame_spec stacks[] = {
	{ .src = A4, .dst = B4, .proto = 6 },
	{ .src = A4, .dst = B4, .proto = 50, .spi = 300, .vlans = 1 },
	{ .src = A4, .dst = B4, .proto = 17, .vlans = 2, .options = 24 },
	{ .src = A6, .dst = B6, .proto = 6 },
	{ .src = A6, .dst = B6, .proto = 58, .vlans = 2, .ext = { 0, 43, 60 }, .ext_n = 3,
	  .ext_units = 1 },
	{ .src = A6, .dst = B6, .proto = 17, .fragment = FIRST, .behind_fragment = 60 },
};

/* The frame ends early and the IP header does not know: nothing but the tags can be to blame. */
static void every_length(void)
{
	for (size_t i = 0; i < LEN(stacks); i++) {
		struct packet p;
		struct frame f;

		frame_build(&f, &stacks[i]);
		for (uint32_t len = 0; len < f.len; len++) {
			enum xesp_drop want = len < f.l3_off ? XESP_DROP_MALFORMED_ETH :
							       XESP_DROP_MALFORMED_IP;

			if (parse_guarded(&f, len, &p) != want) {
				fprintf(stderr, "parse: stack %zu cut to %u bytes\n", i, len);
				CU_FAIL();
			}
		}
		CU_ASSERT_EQUAL(parse_guarded(&f, f.len, &p), XESP_DROP_NONE);
	}
}

/* Any byte wrong, any value: the parser may answer what it likes, but reads only the frame. */
static void every_byte_changed(void)
{
	static const uint8_t values[] = { 0, 1, 0x2c, 0x3c, 0x45, 0x60, 0x7f, 0x80, 0xff };

	for (size_t i = 0; i < LEN(stacks); i++) {
		struct packet p;
		struct frame f;

		frame_build(&f, &stacks[i]);
		for (uint32_t at = 12; at < f.len; at++) {
			const uint8_t kept = f.bytes[at];

			for (size_t v = 0; v < LEN(values); v++) {
				f.bytes[at] = values[v];
				if (parse_guarded(&f, f.len, &p) || !p.family)
					continue;
				CU_ASSERT_TRUE(p.l3_off + p.l3_len <= f.len);
				CU_ASSERT_TRUE(p.l4_off <= p.l3_len);
			}
			f.bytes[at] = kept;
		}
	}
}

static const struct {
	const char *what;
	const char *dst;
	bool stays;
} destinations[] = {
	{ "multicast", "224.0.0.5", true },
	{ "last multicast", "239.255.255.255", true },
	{ "one below multicast", "223.255.255.255", false },
	{ "reserved", "240.0.0.1", false },
	{ "limited broadcast", "255.255.255.255", true },
	{ "link-local", "169.254.3.4", true },
	{ "one above link-local", "169.255.0.1", false },
	{ "IPv6 multicast", "ff02::1", true },
	{ "IPv6 link-local", "fe80::1", true },
	{ "end of IPv6 link-local", "febf:ffff::1", true },
	{ "one above", "fec0::1", false },
	{ "unique local", "fd00::1", false },
};

static void destination_rows(void)
{
	for (size_t i = 0; i < LEN(destinations); i++) {
		const bool ip6 = strchr(destinations[i].dst, ':');
		const struct frame_spec s = { .src = ip6 ? A6 : A4,
					      .dst = destinations[i].dst,
					      .proto = 17 };
		struct packet p;
		struct frame f;

		frame_build(&f, &s);
		CU_ASSERT_EQUAL(parse_guarded(&f, f.len, &p), XESP_DROP_NONE);
		if (packet_stays_on_link(&p) != destinations[i].stays) {
			fprintf(stderr, "parse: %s\n", destinations[i].what);
			CU_FAIL();
		}
	}
}

CU_TestInfo parse_tests[] = {
	{ "protocols, fragments, extension headers, row by row", rows },
	{ "every length from 0 on", every_length },
	{ "every byte changed", every_byte_changed },
	{ "destinations that stay on the link", destination_rows },
	CU_TEST_INFO_NULL,
};

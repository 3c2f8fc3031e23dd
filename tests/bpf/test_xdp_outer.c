/* SPDX-License-Identifier: BSD-2-Clause */
/* The ciphertext side: each verdict of xdp_outer and the counters that must go with it. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#include "gateway.h"

#define G4 "192.0.2.1" /* our end of the tunnels */
#define G6 "2001:db8:ffff::1"
#define PEER4 "198.51.100.2"
#define PEER6 "2001:db8:fffe::2"
#define HOST4 "203.0.113.7" /* an address of ours that is no tunnel's end */
#define SPI 0x10001
#define SPI_AH 0x20001
#define SA4 21
#define SA6 22

enum { P_NET = 31, P_DISCARD, P_BYPASS, P_NET6, P_SELF, P_SELF6, P_NO_IKE };

/* local is ours, as in the configuration; inbound it is compared with the destination */
static const struct gateway_policy policies[] = {
	{ .id = P_NO_IKE, .action = XESP_ACTION_DISCARD,
	  .local = G4, .remote = "198.51.100.66", .proto = 17, .local_port = 500 },
	{ .id = P_NET, .action = XESP_ACTION_PROTECT, .tunnel = 1,
	  .local = "10.1.0.0/16", .remote = "10.2.0.0/16" },
	{ .id = P_DISCARD, .action = XESP_ACTION_DISCARD,
	  .local = "10.1.0.0/16", .remote = "10.3.0.0/16" },
	{ .id = P_BYPASS, .action = XESP_ACTION_BYPASS,
	  .local = "10.1.0.0/16", .remote = "10.4.0.0/16" },
	{ .id = P_NET6, .action = XESP_ACTION_PROTECT, .tunnel = 1,
	  .local = "2001:db8:1::/48", .remote = "2001:db8:2::/48" },
	{ .id = P_SELF, .action = XESP_ACTION_PROTECT, .tunnel = 1, .local = G4, .remote = PEER4 },
	{ .id = P_SELF6, .action = XESP_ACTION_PROTECT, .tunnel = 1, .local = G6, .remote = PEER6 },
};

static void set_up(struct gateway *g)
{
	gateway_open(g, "xdp_outer");
	gateway_endpoint(g, G4);
	gateway_endpoint(g, G6);
	gateway_local(g, HOST4);
	gateway_local(g, "10.1.0.1");
	gateway_sa(g, G4, SPI, SA4);
	gateway_sa(g, G4, 255, SA4); /* reserved, so never used, whatever the table holds */
	gateway_sa(g, G4, SPI + 9, 0); /* id 0 is no SA */
	gateway_sa(g, G6, SPI, SA6);
	gateway_sa_ah(g, G4, SPI_AH, SA4);
	gateway_sa_ah(g, G6, SPI_AH, SA6);
	gateway_sa_ah(g, G4, SPI_AH + 1, 0); /* id 0 is no SA */
	gateway_worker_add(g);
	gateway_policies(g, GATEWAY_GENERATION, policies, LEN(policies), XESP_ACTION_DISCARD);
}

#define PASS { XDP_PASS, 0, 0 }
#define DROP(why_, policy_) { XDP_DROP, XESP_DROP_##why_, policy_ }
#define WORKER { XDP_REDIRECT, 0, 0 }
#define BYPASS(policy_) { XDP_PASS, 0, policy_ }

#define TO_G4(...) { .src = PEER4, .dst = G4, __VA_ARGS__ }
#define TO_G6(...) { .src = PEER6, .dst = G6, __VA_ARGS__ }
#define ESP .proto = 50, .spi = SPI
#define AH .proto = 51, .spi = SPI_AH
#define EIGHT .ext = { 0, 60, 60, 60, 60, 60, 60, 60 }, .ext_n = 8
#define NINE .ext = { 0, 60, 60, 60, 60, 60, 60, 60, 60 }, .ext_n = 9

static const struct row {
	const char *what;
	struct frame_spec frame;
	struct expect expect;
} cases[] = {
	{ "ARP", { 0 }, PASS },
	{ "three tags", TO_G4(ESP, .vlans = 3), PASS },
	/* ESP for us */
	{ "ESP", TO_G4(ESP), WORKER },
	{ "ESP, 802.1Q", TO_G4(ESP, .vlans = 1), WORKER },
	{ "ESP, QinQ", TO_G4(ESP, .vlans = 2), WORKER },
	{ "ESP, padded frame", TO_G4(ESP, .padding = 10), WORKER },
	{ "ESP from another source", { .src = "198.51.100.9", .dst = G4, ESP }, WORKER },
	{ "ESP, IPv6", TO_G6(ESP), WORKER },
	{ "ESP, IPv6, QinQ", TO_G6(ESP, .vlans = 2), WORKER },
	{ "ESP behind eight extension headers", TO_G6(ESP, EIGHT), WORKER },
	{ "ESP behind nine", TO_G6(ESP, NINE), DROP(EXTHDR_DEPTH, 0) },
	{ "ESP behind as many bytes as the metadata can count",
	  TO_G6(ESP, .ext = { 60, 60 }, .ext_n = 2, .ext_units = 60), WORKER },
	{ "ESP behind more", TO_G6(ESP, .ext = { 60, 60 }, .ext_n = 2, .ext_units = 62),
	  DROP(EXTHDR_DEPTH, 0) },
	{ "ESP in an atomic fragment", TO_G6(ESP, .ext = { 44 }, .ext_n = 1), WORKER },
	{ "unknown SPI", TO_G4(.proto = 50, .spi = SPI + 1), DROP(NO_SA, 0) },
	{ "SPI of the other family", TO_G6(.proto = 50, .spi = SPI + 9), DROP(NO_SA, 0) },
	{ "an SA without id", TO_G4(.proto = 50, .spi = SPI + 9), DROP(NO_SA, 0) },
	{ "SPI 0", TO_G4(.proto = 50, .spi = 0), DROP(BAD_SPI, 0) },
	{ "SPI 255", TO_G4(.proto = 50, .spi = 255), DROP(BAD_SPI, 0) },
	{ "SPI 256 is not reserved", TO_G4(.proto = 50, .spi = 256), DROP(NO_SA, 0) },
	{ "SPI 0, IPv6", TO_G6(.proto = 50, .spi = 0), DROP(BAD_SPI, 0) },
	{ "ESP header cut off", TO_G4(ESP, .cut = true, .cut_at = 7), DROP(MALFORMED_L4, 0) },
	{ "ESP header and no more", TO_G4(ESP, .cut = true, .cut_at = 8), WORKER },
	/* AH */
	{ "AH of ours", TO_G4(AH), WORKER },
	{ "AH of ours, QinQ", TO_G4(AH, .vlans = 2), WORKER },
	{ "AH of ours from another source", { .src = "198.51.100.9", .dst = G4, AH }, WORKER },
	{ "AH of ours behind options", TO_G4(AH, .options = 40), WORKER },
	{ "AH of ours, IPv6", TO_G6(AH), WORKER },
	{ "AH of ours behind eight extension headers", TO_G6(AH, EIGHT), WORKER },
	{ "AH under the SPI of an ESP SA", TO_G4(.proto = 51, .spi = SPI), BYPASS(P_SELF) },
	{ "ESP under the SPI of an AH SA", TO_G4(.proto = 50, .spi = SPI_AH), DROP(NO_SA, 0) },
	{ "an AH SA without id", TO_G4(.proto = 51, .spi = SPI_AH + 1), DROP(NO_SA, 0) },
	{ "AH header cut off", TO_G4(AH, .cut = true, .cut_at = 11), DROP(MALFORMED_L4, 0) },
	{ "AH header and no more", TO_G4(AH, .cut = true, .cut_at = 12), WORKER },
	{ "first fragment of AH", TO_G4(AH, .fragment = FIRST), BYPASS(P_SELF) },
	{ "last fragment of AH", TO_G4(AH, .fragment = LAST), BYPASS(P_SELF) },
	{ "AH to an address that is no tunnel's end", { .src = PEER4, .dst = HOST4, AH }, PASS },
	/* outer fragments: the kernel's */
	{ "first fragment", TO_G4(ESP, .fragment = FIRST), PASS },
	{ "middle fragment", TO_G4(ESP, .fragment = MIDDLE), PASS },
	{ "last fragment", TO_G4(ESP, .fragment = LAST), PASS },
	{ "first fragment, IPv6", TO_G6(ESP, .fragment = FIRST), PASS },
	{ "middle fragment, IPv6", TO_G6(ESP, .fragment = MIDDLE), PASS },
	{ "last fragment, IPv6", TO_G6(ESP, .fragment = LAST), PASS },
	{ "first fragment of an unknown SPI", TO_G4(.proto = 50, .spi = 1, .fragment = FIRST),
	  PASS },
	/* ESP of others */
	{ "ESP to an address that is no tunnel's end", { .src = PEER4, .dst = HOST4, ESP }, PASS },
	{ "ESP in transit, protected", { .src = "10.2.0.9", .dst = "10.1.0.5", ESP },
	  DROP(CLEAR_PROTECTED, P_NET) },
	{ "ESP in transit", { .src = PEER4, .dst = "192.0.2.77", ESP }, DROP(NO_POLICY, 0) },
	/* cleartext: stays on the link */
	{ "multicast", { .src = PEER4, .dst = "224.0.0.5", .proto = 89 }, PASS },
	{ "multicast from a protected net", { .src = "10.2.0.9", .dst = "239.1.1.1", .proto = 17 },
	  PASS },
	{ "broadcast", { .src = PEER4, .dst = "255.255.255.255", .proto = 17 }, PASS },
	{ "link-local", { .src = "169.254.1.1", .dst = "169.254.1.2", .proto = 17 }, PASS },
	{ "router advertisement", { .src = "fe80::2", .dst = "ff02::1", .proto = 58,
				    .icmp_type = 134 }, PASS },
	{ "multicast listener report", { .src = "fe80::2", .dst = "ff02::16", .proto = 58,
					 .icmp_type = 143, .ext = { 0 }, .ext_n = 1 }, PASS },
	{ "multicast behind nine extension headers",
	  { .src = PEER6, .dst = "ff02::1", .proto = 17, NINE }, PASS },
	/* cleartext through the gateway */
	{ "protected", { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 6 },
	  DROP(CLEAR_PROTECTED, P_NET) },
	{ "protected, QinQ", { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 6, .vlans = 2 },
	  DROP(CLEAR_PROTECTED, P_NET) },
	{ "protected, last fragment",
	  { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 6, .fragment = LAST },
	  DROP(CLEAR_PROTECTED, P_NET) },
	{ "protected, IPv6", { .src = "2001:db8:2::9", .dst = "2001:db8:1::5", .proto = 6 },
	  DROP(CLEAR_PROTECTED, P_NET6) },
	{ "protected, the other way round", { .src = "10.1.0.5", .dst = "10.2.0.9", .proto = 6 },
	  DROP(NO_POLICY, 0) },
	{ "IKE through the gateway is as protected as the rest",
	  { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 17, .dport = 500 },
	  DROP(CLEAR_PROTECTED, P_NET) },
	{ "an ICMP error too", { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 1,
				 .icmp_type = 3 }, DROP(CLEAR_PROTECTED, P_NET) },
	{ "discard", { .src = "10.3.0.9", .dst = "10.1.0.5", .proto = 6 },
	  DROP(DISCARD, P_DISCARD) },
	{ "bypass", { .src = "10.4.0.9", .dst = "10.1.0.5", .proto = 6 }, BYPASS(P_BYPASS) },
	{ "no policy", { .src = PEER4, .dst = "10.1.0.5", .proto = 6 }, DROP(NO_POLICY, 0) },
	{ "nine extension headers", { .src = "2001:db8:2::9", .dst = "2001:db8:1::5", .proto = 17,
				      NINE }, DROP(EXTHDR_DEPTH, 0) },
	{ "cut-off TCP", { .src = "10.4.0.9", .dst = "10.1.0.5", .proto = 6, .cut = true },
	  DROP(MALFORMED_L4, 0) },
	/* to the gateway, no policy */
	{ "ssh to the gateway", { .src = "198.51.100.9", .dst = G4, .proto = 6, .dport = 22 },
	  PASS },
	{ "ping", { .src = "198.51.100.9", .dst = G4, .proto = 1, .icmp_type = 8 }, PASS },
	{ "IKE", { .src = "198.51.100.9", .dst = G4, .proto = 17, .dport = 500 }, PASS },
	{ "IKE and ESP in UDP", { .src = "198.51.100.9", .dst = G4, .proto = 17, .dport = 4500 },
	  PASS },
	{ "AH", { .src = "198.51.100.9", .dst = G4, .proto = 51 }, PASS },
	{ "later fragment", { .src = "198.51.100.9", .dst = G4, .proto = 17, .fragment = LAST },
	  PASS },
	/* to the gateway, though policy covers it */
	{ "protected net to the gateway", { .src = "10.2.0.9", .dst = "10.1.0.1", .proto = 6 },
	  DROP(CLEAR_PROTECTED, P_NET) },
	{ "ssh", TO_G4(.proto = 6, .dport = 22), DROP(CLEAR_PROTECTED, P_SELF) },
	{ "UDP", TO_G4(.proto = 17, .dport = 501), DROP(CLEAR_PROTECTED, P_SELF) },
	{ "UDP from port 500", TO_G4(.proto = 17, .sport = 500), DROP(CLEAR_PROTECTED, P_SELF) },
	{ "TCP to port 500", TO_G4(.proto = 6, .dport = 500), DROP(CLEAR_PROTECTED, P_SELF) },
	{ "IKE is exempt", TO_G4(.proto = 17, .dport = 500), BYPASS(P_SELF) },
	{ "port 4500 is exempt", TO_G4(.proto = 17, .dport = 4500), BYPASS(P_SELF) },
	{ "IKE's first fragment", TO_G4(.proto = 17, .dport = 500, .fragment = FIRST),
	  BYPASS(P_SELF) },
	{ "IKE's later fragment", TO_G4(.proto = 17, .fragment = LAST), BYPASS(P_SELF) },
	{ "first fragment of other UDP", TO_G4(.proto = 17, .dport = 53, .fragment = FIRST),
	  DROP(CLEAR_PROTECTED, P_SELF) },
	{ "later fragment of TCP", TO_G4(.proto = 6, .fragment = LAST),
	  DROP(CLEAR_PROTECTED, P_SELF) },
	{ "IKE, IPv6", TO_G6(.proto = 17, .dport = 500), BYPASS(P_SELF6) },
	{ "AH is exempt", TO_G4(.proto = 51), BYPASS(P_SELF) },
	{ "echo request", TO_G4(.proto = 1, .icmp_type = 8), DROP(CLEAR_PROTECTED, P_SELF) },
	{ "echo reply", TO_G4(.proto = 1, .icmp_type = 0), DROP(CLEAR_PROTECTED, P_SELF) },
	{ "redirect", TO_G4(.proto = 1, .icmp_type = 5), DROP(CLEAR_PROTECTED, P_SELF) },
	{ "fragmentation needed", TO_G4(.proto = 1, .icmp_type = 3), BYPASS(P_SELF) },
	{ "time exceeded", TO_G4(.proto = 1, .icmp_type = 11), BYPASS(P_SELF) },
	{ "parameter problem", TO_G4(.proto = 1, .icmp_type = 12), BYPASS(P_SELF) },
	{ "later fragment of ICMP", TO_G4(.proto = 1, .icmp_type = 3, .fragment = LAST),
	  DROP(CLEAR_PROTECTED, P_SELF) },
	{ "ICMPv6 in IPv4", TO_G4(.proto = 58, .icmp_type = 2), DROP(CLEAR_PROTECTED, P_SELF) },
	{ "packet too big", TO_G6(.proto = 58, .icmp_type = 2), BYPASS(P_SELF6) },
	{ "parameter problem, IPv6", TO_G6(.proto = 58, .icmp_type = 4), BYPASS(P_SELF6) },
	{ "ICMPv6 type 5", TO_G6(.proto = 58, .icmp_type = 5), DROP(CLEAR_PROTECTED, P_SELF6) },
	{ "router solicitation", TO_G6(.proto = 58, .icmp_type = 133), BYPASS(P_SELF6) },
	{ "neighbour advertisement", TO_G6(.proto = 58, .icmp_type = 136), BYPASS(P_SELF6) },
	{ "ICMPv6 type 138", TO_G6(.proto = 58, .icmp_type = 138),
	  DROP(CLEAR_PROTECTED, P_SELF6) },
	{ "echo request, IPv6", TO_G6(.proto = 58, .icmp_type = 128),
	  DROP(CLEAR_PROTECTED, P_SELF6) },
	{ "ICMP in IPv6", TO_G6(.proto = 1, .icmp_type = 3), DROP(CLEAR_PROTECTED, P_SELF6) },
	{ "a discard policy is stronger than the exemption",
	  { .src = "198.51.100.66", .dst = G4, .proto = 17, .dport = 500 },
	  DROP(DISCARD, P_NO_IKE) },
	/* what cannot be read cannot be judged: fail closed, for our addresses too */
	{ "to us behind nine extension headers", TO_G6(.proto = 17, .dport = 500, NINE),
	  DROP(EXTHDR_DEPTH, 0) },
	{ "to us, cut-off TCP", { .src = "198.51.100.9", .dst = G4, .proto = 6, .cut = true },
	  DROP(MALFORMED_L4, 0) },
};

static void rows(void)
{
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(cases); i++) {
		frame_build(&f, &cases[i].frame);
		CU_ASSERT_TRUE(gateway_expect(&g, cases[i].what, &f, f.len, &cases[i].expect));
	}
	gateway_close(&g);
}

static const struct frame_spec esp_stacks[] = {
	TO_G4(ESP),
	TO_G4(ESP, .vlans = 1, .options = 4),
	TO_G4(ESP, .vlans = 2, .options = 40),
	TO_G6(ESP),
	TO_G6(ESP, .vlans = 2, .ext = { 0, 43, 60 }, .ext_n = 3, .ext_units = 3),
	TO_G6(ESP, .ext = { 44, 60 }, .ext_n = 2),
	TO_G6(ESP, .ext = { 60, 60 }, .ext_n = 2, .ext_units = 60),
	TO_G4(AH, .vlans = 1, .options = 8),
	TO_G6(AH, .ext = { 0, 43 }, .ext_n = 2),
};

static void metadata(void)
{
	static const struct expect worker = WORKER;
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(esp_stacks); i++) {
		struct xesp_meta meta = {
			.magic = XESP_META_MAGIC,
			.kind = esp_stacks[i].proto == 51 ? XESP_KIND_AH : XESP_KIND_ESP,
		};

		frame_build(&f, &esp_stacks[i]);
		meta.id = f.bytes[f.l3_off] >> 4 == 6 ? SA6 : SA4;
		meta.l3_off = (uint16_t)f.l3_off;
		meta.l4_off = (uint8_t)((f.l4_off - f.l3_off) / 4);
		CU_ASSERT_TRUE(gateway_expect_meta(&g, "ESP", &f, &worker, &meta));
	}
	gateway_close(&g);
}

static void cut_frames(void)
{
	static const struct expect eth = DROP(MALFORMED_ETH, 0), ip = DROP(MALFORMED_IP, 0),
				   worker = WORKER;
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(esp_stacks); i++) {
		frame_build(&f, &esp_stacks[i]);
		for (uint32_t len = 14; len < f.len; len++)
			CU_ASSERT_TRUE(gateway_expect(&g, "frame cut short", &f, len,
						      len < f.l3_off ? &eth : &ip));
		CU_ASSERT_TRUE(gateway_expect(&g, "whole frame", &f, f.len, &worker));
	}
	gateway_close(&g);
}

/* The IP length agrees with the frame. */
static void cut_packets(void)
{
	static const struct expect ip = DROP(MALFORMED_IP, 0), l4 = DROP(MALFORMED_L4, 0),
				   worker = WORKER;
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (size_t i = 0; i < LEN(esp_stacks); i++) {
		const uint32_t least = esp_stacks[i].proto == 51 ? 12 : 8;
		uint32_t ip_hdr_len;

		frame_build(&f, &esp_stacks[i]);
		ip_hdr_len = f.bytes[f.l3_off] >> 4 == 6 ? 40 : 20;
		for (uint32_t len = f.l3_off + ip_hdr_len; len <= f.len; len++) {
			const struct expect *e = len < f.l4_off	    ? &ip :
						 len < f.l4_off + least ? &l4 :
									  &worker;

			frame_set_end(&f, len);
			CU_ASSERT_TRUE(gateway_expect(&g, "packet cut short", &f, len, e));
		}
	}
	gateway_close(&g);
}

static void options(void)
{
	static const struct expect worker = WORKER;
	struct gateway g;
	struct frame f;

	set_up(&g);
	for (uint8_t bytes = 0; bytes <= 40; bytes += 4) {
		frame_build(&f, &(struct frame_spec)TO_G4(ESP, .options = bytes));
		CU_ASSERT_TRUE(gateway_expect(&g, "ESP behind options", &f, f.len, &worker));
	}
	gateway_close(&g);
}

static void no_worker(void)
{
	static const struct expect none = DROP(NO_WORKER, 0), no_sa = DROP(NO_SA, 0), pass = PASS;
	struct gateway g;
	struct frame f;

	set_up(&g);
	gateway_worker_del(&g);
	frame_build(&f, &(struct frame_spec)TO_G4(ESP));
	CU_ASSERT_TRUE(gateway_expect(&g, "ESP", &f, f.len, &none));
	frame_build(&f, &(struct frame_spec)TO_G4(.proto = 50, .spi = SPI + 1));
	CU_ASSERT_TRUE(gateway_expect(&g, "unknown SPI", &f, f.len, &no_sa));
	frame_build(&f, &(struct frame_spec){ .src = PEER4, .dst = HOST4, .proto = 6 });
	CU_ASSERT_TRUE(gateway_expect(&g, "to the gateway", &f, f.len, &pass));
	gateway_close(&g);
}

/* `xesp attach` alone, keyd not yet started: ssh goes on, nothing goes through. */
static void nothing_loaded(void)
{
	static const struct row empty[] = {
		{ "ARP", { 0 }, PASS },
		{ "ssh to the gateway", TO_G4(.proto = 6, .dport = 22), PASS },
		{ "even what cannot be read", TO_G6(.proto = 17, NINE), PASS },
		{ "multicast", { .src = PEER4, .dst = "224.0.0.1", .proto = 2 }, PASS },
		{ "ESP to the gateway: no tunnel ends here yet", TO_G4(ESP), PASS },
		{ "through the gateway", { .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 6 },
		  DROP(NOT_LOADED, 0) },
		{ "through the gateway, IPv6",
		  { .src = "2001:db8:2::9", .dst = "2001:db8:1::5", .proto = 6 },
		  DROP(NOT_LOADED, 0) },
	};
	struct gateway g;
	struct frame f;

	gateway_open(&g, "xdp_outer");
	gateway_local(&g, G4);
	gateway_local(&g, G6);
	for (size_t i = 0; i < LEN(empty); i++) {
		frame_build(&f, &empty[i].frame);
		CU_ASSERT_TRUE(gateway_expect(&g, empty[i].what, &f, f.len, &empty[i].expect));
	}
	gateway_close(&g);
}

static void default_bypass(void)
{
	static const struct expect pass = PASS, protect = DROP(CLEAR_PROTECTED, P_NET);
	struct gateway g;
	struct frame f;

	set_up(&g);
	gateway_policies(&g, GATEWAY_GENERATION + 1, policies, LEN(policies), XESP_ACTION_BYPASS);
	frame_build(&f, &(struct frame_spec){ .src = PEER4, .dst = "10.1.0.5", .proto = 6 });
	CU_ASSERT_TRUE(gateway_expect(&g, "no policy, bypass by default", &f, f.len, &pass));
	frame_build(&f, &(struct frame_spec){ .src = "10.2.0.9", .dst = "10.1.0.5", .proto = 6 });
	CU_ASSERT_TRUE(gateway_expect(&g, "protected all the same", &f, f.len, &protect));
	gateway_close(&g);
}

CU_TestInfo xdp_outer_tests[] = {
	{ "verdicts and counters, row by row", rows },
	{ "metadata for the worker", metadata },
	{ "frames cut at every length", cut_frames },
	{ "packets cut at every length", cut_packets },
	{ "IPv4 options of 0 to 40 bytes", options },
	{ "without a worker ESP is dropped", no_worker },
	{ "with empty maps only the gateway is reached", nothing_loaded },
	{ "default action bypass", default_bypass },
	CU_TEST_INFO_NULL,
};

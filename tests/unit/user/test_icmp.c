/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP errors byte by byte, when none may be sent, and how many. */
#include <CUnit/CUnit.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/wire.h"
#include "libxesp/addr.h"
#include "slow/check.h"
#include "slow/icmp.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static uint32_t unhex(const char *text, uint8_t *out)
{
	uint32_t n = 0;

	for (; *text; text++) {
		unsigned int byte;

		if (*text == ' ')
			continue;
		sscanf(text, "%2x", &byte);
		out[n++] = (uint8_t)byte;
		text++;
	}
	return n;
}

/* Checksums are those that scapy 2.5 computes for these messages. */
static const struct {
	const char *what;
	enum icmp_error error;
	uint32_t mtu;
	const char *src, *cause, *icmp;
} messages[] = {
	{ "IPv4, fragmentation needed", ICMP_ERROR_TOO_BIG, 1410, "10.1.0.1",
	  "4500 001c 1234 4000 4011 13c8 0a010002 0a020002 1000 2000 0008 0000",
	  "45c0 0038 0000 0000 4001 6601 0a010001 0a010002"
	  "0304 c840 0000 0582"
	  "4500 001c 1234 4000 4011 13c8 0a010002 0a020002 1000 2000 0008 0000" },
	{ "IPv4, time exceeded, and the frame's padding is not quoted", ICMP_ERROR_TIME_EXCEEDED, 0,
	  "10.1.0.1",
	  "4500 001c 1234 4000 0111 52c8 0a010002 0a020002 1000 2000 0008 0000 ffff ffff ffff",
	  "45c0 0038 0000 0000 4001 6601 0a010001 0a010002"
	  "0b00 c5c6 0000 0000"
	  "4500 001c 1234 4000 0111 52c8 0a010002 0a020002 1000 2000 0008 0000" },
	{ "IPv6, packet too big", ICMP_ERROR_TOO_BIG, 1400, "2001:db8:1::1",
	  "60000000 0008 11 40 20010db8000100000000000000000002 20010db8000200000000000000000002"
	  "1000 2000 0008 0000",
	  "60000000 0038 3a 40 20010db8000100000000000000000001 20010db8000100000000000000000002"
	  "0200 9fd4 0000 0578"
	  "60000000 0008 11 40 20010db8000100000000000000000002 20010db8000200000000000000000002"
	  "1000 2000 0008 0000" },
	{ "IPv6, time exceeded", ICMP_ERROR_TIME_EXCEEDED, 0, "2001:db8:1::1",
	  "60000000 0008 11 01 20010db8000100000000000000000002 20010db8000200000000000000000002"
	  "1000 2000 0008 0000",
	  "60000000 0038 3a 40 20010db8000100000000000000000001 20010db8000100000000000000000002"
	  "0300 a48b 0000 0000"
	  "60000000 0008 11 01 20010db8000100000000000000000002 20010db8000200000000000000000002"
	  "1000 2000 0008 0000" },
};

static void message_rows(void)
{
	for (size_t i = 0; i < LEN(messages); i++) {
		uint8_t cause[128], want[256], got[ICMP_LEN_MAX];
		struct icmp_cause c = { .ip = cause,
					.mtu = messages[i].mtu,
					.error = messages[i].error };
		uint32_t want_len = unhex(messages[i].icmp, want), len;
		struct xesp_addr src, sender;

		c.have = unhex(messages[i].cause, cause);
		CU_ASSERT_EQUAL_FATAL(addr_parse(&src, messages[i].src, NULL), 0);
		CU_ASSERT_TRUE(icmp_may_tell(&c, &sender));
		len = icmp_make(&c, &src, got);
		if (len != want_len || memcmp(got, want, len)) {
			fprintf(stderr, "%s: ", messages[i].what);
			for (uint32_t b = 0; b < len; b++)
				fprintf(stderr, "%02x", got[b]);
			fprintf(stderr, "\n");
		}
		CU_ASSERT_EQUAL(len, want_len);
		CU_ASSERT_EQUAL(memcmp(got, want, want_len), 0);
	}
}

#define UDP4 "4500 001c 1234 4000 4011 0000"
#define TO4  "0a020002"
#define UDP  "1000 2000 0008 0000"
#define SRC6 "20010db8000100000000000000000002"
#define DST6 "20010db8000200000000000000000002"
#define ANY  ICMP_ERRORS /* the same for both */

static const struct {
	const char *what;
	enum icmp_error error;
	bool may;
	const char *cause;
} suppressed[] = {
	{ "UDP", ANY, true, UDP4 "0a010002" TO4 UDP },
	{ "a first fragment", ANY, true, "4500 001c 1234 2000 4011 0000 0a010002" TO4 UDP },
	{ "a later fragment", ANY, false, "4500 001c 1234 2001 4011 0000 0a010002" TO4 UDP },
	{ "the last fragment", ANY, false, "4500 001c 1234 0001 4011 0000 0a010002" TO4 UDP },
	{ "from 0.0.0.0", ANY, false, UDP4 "00000000" TO4 UDP },
	{ "from loopback", ANY, false, UDP4 "7f000001" TO4 UDP },
	{ "from multicast", ANY, false, UDP4 "e0000005" TO4 UDP },
	{ "from class E", ANY, false, UDP4 "f0000001" TO4 UDP },
	{ "from broadcast", ANY, false, UDP4 "ffffffff" TO4 UDP },
	{ "from link-local", ANY, false, UDP4 "a9fe0101" TO4 UDP },
	{ "to multicast", ANY, false, UDP4 "0a010002 e0000005" UDP },
	{ "to broadcast", ANY, false, UDP4 "0a010002 ffffffff" UDP },
	{ "echo request", ANY, true, "4500 001c 1234 4000 4001 0000 0a010002" TO4 "0800 0000" UDP },
	{ "echo reply", ANY, true, "4500 001c 1234 4000 4001 0000 0a010002" TO4 "0000 0000" UDP },
	{ "unreachable", ANY, false, "4500 001c 1234 4000 4001 0000 0a010002" TO4 "0304 0000" UDP },
	{ "source quench", ANY, false,
	  "4500 001c 1234 4000 4001 0000 0a010002" TO4 "0400 0000" UDP },
	{ "redirect", ANY, false, "4500 001c 1234 4000 4001 0000 0a010002" TO4 "0500 0000" UDP },
	{ "time exceeded", ANY, false,
	  "4500 001c 1234 4000 4001 0000 0a010002" TO4 "0b00 0000" UDP },
	{ "parameter problem", ANY, false,
	  "4500 001c 1234 4000 4001 0000 0a010002" TO4 "0c00 0000" },
	{ "unreachable behind options", ANY, false,
	  "4600 0020 1234 4000 4001 0000 0a010002" TO4 "01010100 0304 0000" },
	{ "ICMP that is cut off", ANY, false, "4500 001c 1234 4000 4001 0000 0a010002" TO4 },
	{ "a header that is cut off", ANY, false, "4500 001c 1234 4000 4011 0000 0a010002 0a0200" },
	{ "a header length below 5", ANY, false, "4400 001c 1234 4000 4011 0000 0a010002" TO4 UDP },
	{ "options that are cut off", ANY, false,
	  "4f00 001c 1234 4000 4011 0000 0a010002" TO4 UDP },
	{ "neither IPv4 nor IPv6", ANY, false, "5500 001c 1234 4000 4011 0000 0a010002" TO4 UDP },
	{ "nothing", ANY, false, "" },
	{ "IPv6 UDP", ANY, true, "60000000 0008 11 40" SRC6 DST6 UDP },
	{ "from ::", ANY, false, "60000000 0008 11 40 00000000000000000000000000000000" DST6 UDP },
	{ "from ::1", ANY, false, "60000000 0008 11 40 00000000000000000000000000000001" DST6 UDP },
	{ "from ::ffff:10.1.0.2", ANY, false,
	  "60000000 0008 11 40 00000000000000000000ffff0a010002" DST6 UDP },
	{ "from fe80::1", ANY, false,
	  "60000000 0008 11 40 fe800000000000000000000000000001" DST6 UDP },
	{ "from ff02::1", ANY, false,
	  "60000000 0008 11 40 ff020000000000000000000000000001" DST6 UDP },
	{ "too big, to multicast", ICMP_ERROR_TOO_BIG, true,
	  "60000000 0008 11 40" SRC6 "ff0e0000000000000000000000000001" UDP },
	{ "time exceeded, to multicast", ICMP_ERROR_TIME_EXCEEDED, false,
	  "60000000 0008 11 40" SRC6 "ff0e0000000000000000000000000001" UDP },
	{ "ICMPv6 echo", ANY, true, "60000000 0008 3a 40" SRC6 DST6 "8000 0000 0000 0000" },
	{ "ICMPv6 error", ANY, false, "60000000 0008 3a 40" SRC6 DST6 "0100 0000 0000 0000" },
	{ "the last of ICMPv6 errors", ANY, false,
	  "60000000 0008 3a 40" SRC6 DST6 "7f00 0000 0000 0000" },
	{ "ICMPv6 redirect", ANY, false, "60000000 0008 3a 40" SRC6 DST6 "8900 0000 0000 0000" },
	{ "ICMPv6 that is cut off", ANY, false, "60000000 0008 3a 40" SRC6 DST6 },
	{ "ICMPv6 error behind destination options", ANY, false,
	  "60000000 0018 3c 40" SRC6 DST6 "3a01 0000 00000000 00000000 00000000 0300 0000" },
	{ "ICMPv6 echo behind destination options", ANY, true,
	  "60000000 0018 3c 40" SRC6 DST6 "3a01 0000 00000000 00000000 00000000 8000 0000" },
	{ "ICMPv6 error in a first fragment", ANY, false,
	  "60000000 0010 2c 40" SRC6 DST6 "3aff 0001 00000001 0100 0000" },
	{ "a first fragment of UDP", ANY, true,
	  "60000000 0010 2c 40" SRC6 DST6 "11ff 0001 00000001" UDP },
	{ "a later fragment of UDP", ANY, false,
	  "60000000 0010 2c 40" SRC6 DST6 "11ff 0009 00000001" UDP },
	{ "extension headers that are cut off", ANY, false,
	  "60000000 0010 00 40" SRC6 DST6 "3a00 0000" },
	{ "an IPv6 header that is cut off", ANY, false, "60000000 0010 11 40" SRC6 "20010db8" },
};

/* The cause is on the heap with nothing behind it, so that ASan sees a byte read too many. */
static void suppressed_rows(void)
{
	for (size_t i = 0; i < LEN(suppressed); i++) {
		for (int e = 0; e < ICMP_ERRORS; e++) {
			struct xesp_addr sender;
			uint8_t text[256];
			struct icmp_cause c = { .mtu = 1400, .error = (enum icmp_error)e };
			uint8_t *exact;
			bool got;

			if (suppressed[i].error != ANY && (int)suppressed[i].error != e)
				continue;
			c.have = unhex(suppressed[i].cause, text);
			exact = malloc(c.have ? c.have : 1);
			CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
			memcpy(exact, text, c.have);
			c.ip = exact;
			got = icmp_may_tell(&c, &sender);
			if (got != suppressed[i].may)
				fprintf(stderr, "icmp about '%s': %d\n", suppressed[i].what, got);
			CU_ASSERT_EQUAL(got, suppressed[i].may);
			free(exact);
		}
	}
}

/* As much as possible is quoted, and not more: 576 bytes in IPv4, 1280 in IPv6. */
static void quote_lengths(void)
{
	uint32_t wrong = 0;
	uint8_t ip[2000], out[ICMP_LEN_MAX];
	struct xesp_addr src4, src6;

	addr_parse(&src4, "10.1.0.1", NULL);
	addr_parse(&src6, "2001:db8:1::1", NULL);
	for (uint32_t len = 40; len <= sizeof(ip); len++) {
		struct icmp_cause c = { .ip = ip, .have = len, .error = ICMP_ERROR_TIME_EXCEEDED };
		uint32_t got, want = len + 28 > 576 ? 576 : len + 28;

		unhex(UDP4 "0a010002" TO4, ip);
		for (uint32_t i = 20; i < len; i++)
			ip[i] = (uint8_t)(i * 3);
		wire_put16(ip + 2, (uint16_t)len);
		got = icmp_make(&c, &src4, out);
		wrong += got != want || check_fold(check_add(0, out + 20, got - 20)) ||
			 wire_get16(out + 2) != got || memcmp(out + 28, ip, got - 28);

		want = len + 48 > 1280 ? 1280 : len + 48;
		unhex("60000000 0000 11 40" SRC6 DST6, ip);
		wire_put16(ip + 4, (uint16_t)(len - 40));
		got = icmp_make(&c, &src6, out);
		wrong += got != want || wire_get16(out + 4) != got - 40 ||
			 check_fold(check_add(check_add(got - 40 + 58, out + 8, 32), out + 40,
					      got - 40)) ||
			 memcmp(out + 48, ip, got - 48);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void limit(void)
{
	struct icmp_limit l;
	uint32_t n = 0;

	icmp_limit_init(&l, 1000);
	while (n < 1000 && icmp_limit_take(&l, ICMP_ERROR_TOO_BIG, 1000))
		n++;
	CU_ASSERT_EQUAL(n, ICMP_LIMIT_BURST);
	/* The other kind has a bucket of its own. */
	CU_ASSERT_TRUE(icmp_limit_take(&l, ICMP_ERROR_TIME_EXCEEDED, 1000));
	CU_ASSERT_FALSE(icmp_limit_take(&l, ICMP_ERROR_TOO_BIG, 1000));
	for (n = 0; icmp_limit_take(&l, ICMP_ERROR_TOO_BIG, 1010); n++)
		;
	CU_ASSERT_EQUAL(n, 10 * ICMP_LIMIT_PER_S / 1000);
	for (n = 0; icmp_limit_take(&l, ICMP_ERROR_TOO_BIG, 3600000); n++)
		;
	CU_ASSERT_EQUAL(n, ICMP_LIMIT_BURST);
}

CU_TestInfo icmp_tests[] = {
	{ "messages byte by byte", message_rows },
	{ "about which packets, to which senders", suppressed_rows },
	{ "how much is quoted", quote_lengths },
	{ "a token bucket for each kind", limit },
	CU_TEST_INFO_NULL,
};

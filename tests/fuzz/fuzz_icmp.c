/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_icmp.c - ICMP from anybody: errors about our ESP, errors out of a tunnel, answers to probes,
 * and packets that an error of our own is to quote.
 *
 * Targets: icmp_in_parse(), icmp_quote_of(), mss_clamp(), echo_read(), echo_look(), icmp_may_tell(),
 * icmp_make(), frag_*(). The first byte says which, and which IP version. Buffers are as long as the
 * input, so that AddressSanitizer sees any step beside it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/icmp_quote.h"
#include "esp/inner.h"
#include "esp/mss.h"
#include "esp/wire.h"
#include "sad/selector.h"
#include "slow/check.h"
#include "slow/echo.h"
#include "slow/frag.h"
#include "slow/icmp.h"
#include "slow/icmp_in.h"
#include "tests/pair/pair.h"

#define INPUT_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *what)
{
	fprintf(stderr, "fuzz_icmp: %s\n", what);
	abort();
}

static void fuzz_in(uint8_t *icmp, uint32_t len, uint8_t version)
{
	struct icmp_in_msg m;

	if (version == 4 && len >= 8) {
		/* Else the checksum would hide the rest. */
		wire_put16(icmp + 2, 0);
		wire_put16(icmp + 2, check_fold(check_add(0, icmp, len)));
	}
	if (icmp_in_parse(&m, icmp, len, version) && m.has_numbers && len < 36)
		broken("numbers out of nowhere");
}

static void fuzz_inner(uint8_t *ip, uint32_t len)
{
	struct selector_key key;
	struct inner in;
	struct echo e;
	uint16_t id;

	if (len >= 20 && ip[0] == 0x45)
		pair_checksum(ip);
	echo_look(ip, len, &id);
	echo_read(ip, len, 0, &e);
	if (!inner_parse(&in, ip, len))
		return;
	if (icmp_quote_of(&key, ip, &in) == ICMP_QUOTE_KEY && key.family != in.version)
		broken("a quote of another family");
	mss_clamp(ip, &in, 1000);
	if (!inner_parse(&in, ip, len))
		broken("MSS clamping broke the packet");
}

static void fuzz_tell(const uint8_t *ip, uint32_t len)
{
	static uint8_t out[ICMP_LEN_MAX];
	const struct xesp_addr src = { 0 };
	struct icmp_cause c = { .ip = ip, .have = len, .mtu = 1400, .error = ICMP_ERROR_TOO_BIG };
	struct xesp_addr sender;

	if (icmp_may_tell(&c, &sender) && icmp_make(&c, &src, out) > sizeof(out))
		broken("an error larger than its buffer");
}

static void fuzz_frag(const uint8_t *ip, uint32_t len)
{
	static uint8_t out[UINT16_MAX];
	uint32_t mtu = len ? 68 + ip[len - 1] * 4u : 68, n, pieces = 0;
	struct frag f;

	if (frag_begin(&f, ip, len, mtu))
		return;
	while ((n = frag_next(&f, out))) {
		if (n > mtu && n > 60 + 8)
			broken("a piece larger than the MTU");
		if (++pieces > UINT16_MAX / 8)
			broken("pieces without end");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;
	uint32_t len;

	if (size < 1 || size > INPUT_MAX)
		return 0;
	len = (uint32_t)size - 1;
	copy = malloc(len ? len : 1);
	if (!copy)
		exit(70);
	memcpy(copy, data + 1, len);
	switch (data[0] % 5) {
	case 0:
		fuzz_in(copy, len, 4);
		break;
	case 1:
		fuzz_in(copy, len, 6);
		break;
	case 2:
		fuzz_inner(copy, len);
		break;
	case 3:
		fuzz_tell(copy, len);
		break;
	case 4:
		fuzz_frag(copy, len);
		break;
	}
	free(copy);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.c - see addr.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libxesp/addr.h"
#include "xesp/fault.h"

#define IP4_MAPPED_LEN 96 /* bits before the IPv4 address in its mapped form */

bool addr_is_unset(const struct xesp_addr *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

int addr_cmp(const struct xesp_addr *a, const struct xesp_addr *b)
{
	for (int i = 0; i < 4; i++) {
		uint32_t x = ntohl(a->w[i]), y = ntohl(b->w[i]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

int addr_parse(struct xesp_addr *a, const char *text, struct fault *f)
{
	uint8_t raw[16];

	if (inet_pton(AF_INET, text, raw) == 1)
		addr_from_ip4(a, raw);
	else if (inet_pton(AF_INET6, text, raw) == 1)
		addr_from_ip6(a, raw);
	else
		return fault_set(f, -EINVAL, "'%s' is not an IPv4 or IPv6 address", text);
	return 0;
}

void addr_mask(struct xesp_addr *mask, uint8_t len)
{
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int bits = len > 32 * i ? len - 32 * i : 0;

		if (bits >= 32)
			mask->w[i] = UINT32_MAX;
		else
			mask->w[i] = bits ? htonl(UINT32_MAX << (32 - bits)) : 0;
	}
}

void addr_range(const struct xesp_addr *prefix, uint8_t len, struct xesp_addr *first,
		struct xesp_addr *last)
{
	struct xesp_addr mask;

	addr_mask(&mask, len);
	for (int i = 0; i < 4; i++) {
		__be32 low = prefix->w[i] & mask.w[i];

		last->w[i] = prefix->w[i] | ~mask.w[i];
		first->w[i] = low;
	}
}

int addr_parse_prefix(struct xesp_addr *a, uint8_t *len, const char *text, struct fault *f)
{
	const char *slash = strchr(text, '/');
	char host[ADDR_TEXT_MAX], meant[ADDR_TEXT_MAX];
	struct xesp_addr first, last;
	unsigned long bits, most;
	char *end;
	int err;

	snprintf(host, sizeof(host), "%.*s", slash ? (int)(slash - text) : (int)strlen(text), text);
	err = addr_parse(a, host, NULL);
	if (err)
		return fault_set(f, err, "'%s' is not a prefix such as 10.1.0.0/24 or 2001:db8::/32",
				 text);
	most = addr_is_ip4(a) ? 32 : 128;
	bits = most;
	if (slash) {
		errno = 0;
		bits = strtoul(slash + 1, &end, 10);
		if (end == slash + 1 || *end || errno || bits > most || slash[1] < '0' ||
		    slash[1] > '9')
			return fault_set(f, -EINVAL, "'%s': the prefix length must be 0 to %lu",
					 text, most);
	}
	*len = (uint8_t)(most == 32 ? bits + IP4_MAPPED_LEN : bits);
	addr_range(a, *len, &first, &last);
	if (!addr_equal(&first, a))
		return fault_set(f, -EINVAL, "'%s' has host bits set; did you mean %s?", text,
				 addr_print_prefix(&first, *len, meant));
	return 0;
}

const char *addr_print(const struct xesp_addr *a, char buf[ADDR_TEXT_MAX])
{
	if (addr_is_ip4(a))
		inet_ntop(AF_INET, &a->w[3], buf, ADDR_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a->w, buf, ADDR_TEXT_MAX);
	return buf;
}

const char *addr_print_prefix(const struct xesp_addr *a, uint8_t len, char buf[ADDR_TEXT_MAX])
{
	bool ip4 = addr_is_ip4(a) && len >= IP4_MAPPED_LEN;
	size_t used;

	addr_print(a, buf);
	used = strlen(buf);
	snprintf(buf + used, ADDR_TEXT_MAX - used, "/%u", ip4 ? len - IP4_MAPPED_LEN : len);
	return buf;
}

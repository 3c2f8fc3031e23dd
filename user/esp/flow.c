/* SPDX-License-Identifier: BSD-2-Clause */
/* flow.c - see flow.h. */
#include <netinet/in.h>
#include <stdbool.h>

#include "esp/flow.h"
#include "esp/inner.h"
#include "esp/wire.h"
#include "sad/selector.h"
#include "xesp/steer.h"

#define IP4_FRAGMENT 0x3fff /* the offset, and more to come */
#define IP6_HDR 40
#define EXT_MIN 8
#define EXT_MAX 16 /* headers followed, as inner.c does */

static bool is_fragment(const uint8_t *ip, const struct inner *in)
{
	uint32_t off = IP6_HDR;
	uint8_t next;

	if (in->version == 4)
		return wire_get16(ip + 6) & IP4_FRAGMENT;
	next = ip[6];
	for (int i = 0; i < EXT_MAX; i++) {
		if (next == IPPROTO_FRAGMENT)
			return true;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			return false;
		if (off + EXT_MIN > in->len)
			return false;
		next = ip[off];
		off += (ip[off + 1] + 1u) * 8;
	}
	return false;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

uint32_t flow_hash(const uint8_t *ip, const struct inner *in)
{
	struct selector_key k;
	uint64_t hash = 0;

	if (!inner_selector_key(&k, ip, in))
		return 0;
	hash = mix(hash, k.local.hi);
	hash = mix(hash, k.local.lo);
	hash = mix(hash, k.remote.hi);
	hash = mix(hash, k.remote.lo);
	hash = mix(hash, k.proto);
	if (k.fields == XESP_FIELDS_KNOWN && !is_fragment(ip, in))
		hash = mix(hash, (uint64_t)k.local_port << 16 | k.remote_port);
	return (uint32_t)(hash >> 32);
}

uint32_t flow_label(const uint8_t *ip, const struct inner *in, uint64_t secret)
{
	uint32_t label = (uint32_t)(mix(mix(secret, flow_hash(ip, in)), secret) >> 44);

	return label ? label : 1;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* spd_key.c - see spd_key.h. */
#include <arpa/inet.h>

#include "esp/icmp_quote.h"
#include "esp/inner.h"
#include "esp/spd_key.h"
#include "libxesp/spd_memory.h"
#include "sad/selector.h"

/* `k` sees a packet from the end that receives it: its remote is our local. */
static void turn_round(struct spd_key *out, struct selector_key *k)
{
	selector_turn(k);
	*out = (struct spd_key){
		.local_port = htons(k->local_port),
		.remote_port = htons(k->remote_port),
		.proto = k->proto,
		.family = k->family,
		.fields = k->fields,
		.first = k->first,
		.frag_id = k->frag_id,
	};
	selector_addr_put(&out->local, &k->local);
	selector_addr_put(&out->remote, &k->remote);
}

enum xesp_drop spd_key(struct spd_key *k, const uint8_t *ip, uint32_t len)
{
	struct selector_key inbound;
	struct inner in;

	if (!inner_parse(&in, ip, len) || !inner_selector_key(&inbound, ip, &in))
		return XESP_DROP_MALFORMED_IP;
	turn_round(k, &inbound);
	return XESP_DROP_NONE;
}

bool spd_key_of_quote(struct spd_key *k, const uint8_t *ip, uint32_t len)
{
	struct selector_key quoted;
	struct inner in;

	if (!inner_parse(&in, ip, len) || icmp_quote_of(&quoted, ip, &in) != ICMP_QUOTE_KEY)
		return false;
	turn_round(k, &quoted);
	return true;
}

void spd_key_query(struct spd_query *q, const struct spd_key *k)
{
	*q = (struct spd_query){
		.local = k->local,
		.remote = k->remote,
		.local_port = k->local_port,
		.remote_port = k->remote_port,
		.proto = k->proto,
		.family = k->family,
		.fields = k->fields,
		.dir = XESP_DIR_OUT,
	};
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* explain_packet.c - see explain_packet.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/explain_packet.h"
#include "keyd/problems.h"
#include "keyd/selector.h"
#include "libxesp/addr.h"
#include "xesp/fault.h"

#define ECHO4 8   /* RFC 792 */
#define ECHO6 128 /* RFC 4443 */

/* NULL: not given. */
static const char *text_of(struct json_object *params, const char *key)
{
	struct json_object *value = NULL;

	if (!params || !json_object_object_get_ex(params, key, &value) || !value)
		return NULL;
	return json_object_get_string(value);
}

static int take_addr(struct xesp_addr *a, struct json_object *params, const char *key,
		     struct fault *f)
{
	const char *text = text_of(params, key);

	if (!text)
		return fault_set(f, -EINVAL, "params.%s is missing: an address", key);
	return addr_parse(a, text, f) ? fault_in(f, -EINVAL, "params.%s", key) : 0;
}

/* *n stays as it is when the key is not given. */
static int take_number(__be16 *n, struct json_object *params, const char *key, unsigned long max,
		       struct fault *f)
{
	const char *text = text_of(params, key);
	unsigned long number;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || number > max)
		return fault_set(f, -EINVAL, "params.%s is a number from 0 to %lu", key, max);
	*n = htons((uint16_t)number);
	return 0;
}

/* What a protocol does not have is refused: it would be ignored. */
static int refuse(struct json_object *params, const char *const *keys, uint8_t proto, struct fault *f)
{
	char name[8];

	for (; *keys; keys++)
		if (text_of(params, *keys))
			return fault_set(f, -EINVAL, "params.%s: a packet of protocol %s has none", *keys,
					 selector_print_proto(proto, name));
	return 0;
}

static int take_fields(struct spd_query *q, struct json_object *params, struct fault *f)
{
	static const char *const no_ports[] = { "local_port", "remote_port", NULL };
	static const char *const no_icmp[] = { "icmp_type", "icmp_code", NULL };
	static const char *const no_mh[] = { "mh_type", NULL };
	const enum selector_fields fields = selector_fields(q->proto);
	int err = 0;

	if (fields != SELECTOR_PORTS)
		err = refuse(params, no_ports, q->proto, f);
	if (!err && fields != SELECTOR_ICMP)
		err = refuse(params, no_icmp, q->proto, f);
	if (!err && fields != SELECTOR_MH)
		err = refuse(params, no_mh, q->proto, f);
	if (err)
		return err;
	q->fields = fields == SELECTOR_NO_FIELDS ? XESP_FIELDS_NONE : XESP_FIELDS_KNOWN;
	switch (fields) {
	case SELECTOR_NO_FIELDS:
		return 0;
	case SELECTOR_PORTS:
		q->local_port = q->remote_port = htons(EXPLAIN_PORT);
		err = take_number(&q->local_port, params, "local_port", UINT16_MAX, f);
		return err ? err : take_number(&q->remote_port, params, "remote_port", UINT16_MAX, f);
	case SELECTOR_ICMP:
		q->local_port = htons(q->family == 6 ? ECHO6 : ECHO4);
		err = take_number(&q->local_port, params, "icmp_type", UINT8_MAX, f);
		return err ? err : take_number(&q->remote_port, params, "icmp_code", UINT8_MAX, f);
	case SELECTOR_MH:
		return take_number(&q->local_port, params, "mh_type", UINT8_MAX, f);
	}
	return 0;
}

static int take_direction(uint8_t *dir, struct json_object *params, struct fault *f)
{
	const char *text = text_of(params, "direction");

	if (text && strcmp(text, "out") != 0 && strcmp(text, "in") != 0)
		return fault_set(f, -EINVAL, "params.direction is out or in");
	*dir = text && !strcmp(text, "in") ? XESP_DIR_IN : XESP_DIR_OUT;
	return 0;
}

int explain_packet_take(struct spd_query *q, struct json_object *params, struct fault *f)
{
	const char *proto = text_of(params, "protocol");
	struct problems ps = { 0 };
	int err;

	*q = (struct spd_query){ 0 };
	err = take_direction(&q->dir, params, f);
	if (!err)
		err = take_addr(&q->local, params, "local", f);
	if (!err)
		err = take_addr(&q->remote, params, "remote", f);
	if (err)
		return err;
	if (addr_is_ip4(&q->local) != addr_is_ip4(&q->remote))
		return fault_set(f, -EINVAL, "one address is IPv4 and the other IPv6: no packet has both");
	q->family = addr_is_ip4(&q->local) ? 4 : 6;
	q->proto = q->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	if (proto && !strcmp(proto, "any"))
		return fault_set(f, -EINVAL, "params.protocol: a packet has one protocol: name it");
	if (selector_parse_proto(&q->proto, proto, "params.protocol", &ps))
		return fault_set(f, -EINVAL, "%s: %s", ps.problem[0].path, ps.problem[0].text);
	return take_fields(q, params, f);
}

static void put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void put_number(struct json_object *o, const char *key, __be16 n)
{
	json_object_object_add(o, key, json_object_new_int(ntohs(n)));
}

struct json_object *explain_packet_json(const struct spd_query *q)
{
	struct json_object *o = json_object_new_object();
	char text[ADDR_TEXT_MAX], name[8];

	put_text(o, "direction", q->dir == XESP_DIR_IN ? "in" : "out");
	put_text(o, "local", addr_print(&q->local, text));
	put_text(o, "remote", addr_print(&q->remote, text));
	put_text(o, "protocol", selector_print_proto(q->proto, name));
	json_object_object_add(o, "proto", json_object_new_int(q->proto));
	switch (selector_fields(q->proto)) {
	case SELECTOR_NO_FIELDS:
		break;
	case SELECTOR_PORTS:
		put_number(o, "local_port", q->local_port);
		put_number(o, "remote_port", q->remote_port);
		break;
	case SELECTOR_ICMP:
		put_number(o, "icmp_type", q->local_port);
		put_number(o, "icmp_code", q->remote_port);
		break;
	case SELECTOR_MH:
		put_number(o, "mh_type", q->local_port);
		break;
	}
	return o;
}

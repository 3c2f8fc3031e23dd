/* SPDX-License-Identifier: BSD-2-Clause */
/* natt.c - see natt.h. From top to bottom: the keys, the peer, the ports. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/map_walk.h"
#include "keyd/natt.h"
#include "keyd/numbers.h"
#include "keyd/publish_maps.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "libxesp/addr.h"
#include "xesp/fault.h"
#include "xesp/keymsg.h"
#include "xesp/log.h"

#define PORT_IKE 500
#define PORT_DEFAULT 4500
#define KEEPALIVE_DEFAULT 20 /* RFC 3948 section 4 */
#define KEEPALIVE_MAX 3600
#define PORTS_ALL 65536

static const char *const encaps[] = { "none", "udp" };
static const char *const checksums[] = { "auto", "zero", "compute" };

/* ---- the keys */

/* A key that would change nothing is a misunderstanding: say so. */
static int refuse_alone(const struct raw_tunnel *raw, const char *path, struct problems *ps)
{
	const struct {
		const char *key;
		bool given;
	} keys[] = {
		{ "remote_port", raw->remote_port != NULL },
		{ "keepalive", raw->keepalive != NULL },
		{ "follow_peer", raw->follow_peer != 0 },
		{ "udp_checksum", raw->udp_checksum != 0 },
		{ "local_port", raw->local_port && raw->encap_accept != RAW_ENCAP_ACCEPT_ANY },
	};
	char where[PROBLEMS_PATH_MAX];
	int err = 0;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!keys[i].given)
			continue;
		problems_below(where, path, keys[i].key);
		err = problems_add(ps, where, "means something only with encap: udp");
	}
	return err;
}

/* Port 500 carries IKE without a marker, RFC 3948 section 2.2: nothing tells ESP from it there. */
static int take_port(__be16 *port, const char *text, const char *key, const char *path,
		     struct problems *ps)
{
	const struct number_range ports = { 1, UINT16_MAX, NULL };
	char where[PROBLEMS_PATH_MAX];
	uint64_t n = PORT_DEFAULT;

	problems_below(where, path, key);
	if (numbers_take(&n, text, &ports, where, ps))
		return -EINVAL;
	if (n == PORT_IKE)
		return problems_add(ps, where,
				    "500 is IKE's port without encapsulation: take 4500 or another");
	*port = htons((uint16_t)n);
	return 0;
}

/*
 * RFC 3947 section 5.2: as the peer sees it. In tunnel mode the inner packet's addresses are the
 * ones its sender summed up, and without UDP no NAT was passed.
 */
static int take_original(struct xesp_addr *out, const char *text, const char *key,
			 const struct raw_tunnel *raw, const struct tunnel *t, const char *path,
			 struct problems *ps)
{
	char where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];

	if (!text)
		return 0;
	problems_below(where, path, key);
	if (t->mode != XESP_MODE_TRANSPORT || raw->encap != RAW_ENCAP_UDP)
		return problems_add(ps, where,
				    "means something only with mode: transport and encap: udp");
	if (addr_parse(out, text, NULL))
		return problems_add(ps, where, "%s is not an IPv4 or IPv6 address",
				    problems_shown(text, shown));
	if (addr_is_ip4(out) != addr_is_ip4(&t->local))
		return problems_add(ps, where, "%s is not of the IP version of local and remote",
				    problems_shown(text, shown));
	return 0;
}

int natt_take(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
	      struct problems *ps)
{
	static const uint8_t checksum[] = { XESP_UDP_CHECKSUM_AUTO, XESP_UDP_CHECKSUM_AUTO,
					    XESP_UDP_CHECKSUM_ZERO, XESP_UDP_CHECKSUM_COMPUTE };
	const struct number_range seconds = { 0, KEEPALIVE_MAX, NULL };
	uint64_t keepalive = KEEPALIVE_DEFAULT;
	char where[PROBLEMS_PATH_MAX];
	struct xesp_natt *n = &t->natt;
	int err;

	if (take_original(&t->oa_local, raw->nat_oa_local, "nat_oa_local", raw, t, path, ps) |
	    take_original(&t->oa_remote, raw->nat_oa_remote, "nat_oa_remote", raw, t, path, ps))
		return -EINVAL;
	*n = (struct xesp_natt){ .accept_any = raw->encap_accept == RAW_ENCAP_ACCEPT_ANY };
	if (raw->encap != RAW_ENCAP_UDP) {
		err = refuse_alone(raw, path, ps);
		if (n->accept_any)
			err |= take_port(&n->local_port, raw->local_port, "local_port", path, ps);
		return err;
	}
	problems_below(where, path, "keepalive");
	err = numbers_take(&keepalive, raw->keepalive, &seconds, where, ps);
	err |= take_port(&n->local_port, raw->local_port, "local_port", path, ps);
	err |= take_port(&n->remote_port, raw->remote_port, "remote_port", path, ps);
	n->encap = XESP_ENCAP_UDP;
	n->keepalive_s = (__u16)keepalive;
	n->follow_peer = raw->follow_peer == RAW_YES ? XESP_FOLLOW_PEER : XESP_FOLLOW_NOT;
	n->checksum = checksum[raw->udp_checksum];
	n->peer = t->remote;
	n->peer_port = n->remote_port;
	return err;
}

static void print_original(const struct xesp_addr *a, const char *end, FILE *out)
{
	char text[ADDR_TEXT_MAX];

	if (!addr_is_unset(a))
		fprintf(out, "    nat_oa_%s: %s\n", end, addr_print(a, text));
}

void natt_print(const struct tunnel *t, FILE *out)
{
	const struct xesp_natt *n = &t->natt;

	fprintf(out, "    encap: %s\n", encaps[n->encap]);
	fprintf(out, "    encap_accept: %s\n", n->accept_any ? "any" : "configured");
	if (n->local_port)
		fprintf(out, "    local_port: %u\n", ntohs(n->local_port));
	if (n->encap == XESP_ENCAP_NONE)
		return;
	fprintf(out, "    remote_port: %u\n", ntohs(n->remote_port));
	fprintf(out, "    keepalive: %u\n", n->keepalive_s);
	fprintf(out, "    follow_peer: %s\n", n->follow_peer == XESP_FOLLOW_PEER ? "yes" : "no");
	fprintf(out, "    udp_checksum: %s\n", checksums[n->checksum]);
	print_original(&t->oa_local, "local", out);
	print_original(&t->oa_remote, "remote", out);
}

/* ---- the peer */

const struct xesp_addr *natt_peer(const struct tunnel *t)
{
	return t->natt.encap == XESP_ENCAP_UDP ? &t->natt.peer : &t->remote;
}

bool natt_has_moved(const struct tunnel *t)
{
	return t->natt.encap == XESP_ENCAP_UDP &&
	       (!addr_equal(&t->natt.peer, &t->remote) || t->natt.peer_port != t->natt.remote_port);
}

const char *natt_print_place(const struct xesp_addr *a, __be16 port, char buf[NATT_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];

	snprintf(buf, NATT_TEXT_MAX, "%s port %u", addr_print(a, text), ntohs(port));
	return buf;
}

static const char *print_place(const struct tunnel *t, const struct xesp_addr *a, __be16 port,
			       char buf[NATT_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];

	if (t->natt.encap == XESP_ENCAP_UDP)
		return natt_print_place(a, port, buf);
	snprintf(buf, NATT_TEXT_MAX, "%s", addr_print(a, text));
	return buf;
}

const char *natt_print_peer(const struct tunnel *t, char buf[NATT_TEXT_MAX])
{
	return print_place(t, natt_peer(t), t->natt.peer_port, buf);
}

const char *natt_print_remote(const struct tunnel *t, char buf[NATT_TEXT_MAX])
{
	return print_place(t, &t->remote, t->natt.remote_port, buf);
}

/* As configured, the two are one tunnel to one place. */
static bool is_same_place(const struct tunnel *t, const struct xesp_tunnel *was)
{
	return t->natt.follow_peer == XESP_FOLLOW_PEER && was->natt.follow_peer == XESP_FOLLOW_PEER &&
	       !strncmp(t->name, was->name, sizeof(was->name)) &&
	       addr_equal(&t->local, &was->local) && addr_equal(&t->remote, &was->remote) &&
	       t->natt.encap == was->natt.encap && t->natt.local_port == was->natt.local_port &&
	       t->natt.remote_port == was->natt.remote_port;
}

void natt_carry_over(const struct maps *m, struct sad *sad)
{
	for (uint32_t i = 0; i < sad->tunnels_n; i++) {
		struct tunnel *t = &sad->tunnels[i];
		const struct xesp_tunnel *was = &m->tunnels[t->id];

		if (!is_same_place(t, was) || addr_is_ip4(&was->natt.peer) != addr_is_ip4(&t->remote) ||
		    !was->natt.peer_port)
			continue;
		t->natt.peer = was->natt.peer;
		t->natt.peer_port = was->natt.peer_port;
	}
}

bool natt_peer_moved(struct sad *sad, const struct xesp_keymsg_peer *m)
{
	char from[NATT_TEXT_MAX], to[NATT_TEXT_MAX];

	for (uint32_t i = 0; i < sad->tunnels_n; i++) {
		struct tunnel *t = &sad->tunnels[i];

		if (t->id != m->tunnel || t->natt.follow_peer != XESP_FOLLOW_PEER || !m->port ||
		    addr_is_ip4(&m->addr) != addr_is_ip4(&t->remote))
			continue;
		natt_print_peer(t, from);
		t->natt.peer = m->addr;
		t->natt.peer_port = m->port;
		if (strcmp(from, natt_print_peer(t, to)))
			log_info("tunnel '%s': peer moved from %s to %s", t->name, from, to);
		return true;
	}
	return false;
}

/* ---- the ports */

static uint32_t *count_ports(const struct sad *sad)
{
	uint32_t *n = calloc(PORTS_ALL, sizeof(*n));

	for (uint32_t i = 0; n && i < sad->tunnels_n; i++)
		n[sad->tunnels[i].natt.local_port] += sad->tunnels[i].natt.local_port != 0;
	return n;
}

int natt_add_ports(const struct maps *m, const struct sad *sad, struct fault *f)
{
	uint32_t *n = count_ports(sad);
	int err = n ? 0 : fault_set(f, -ENOMEM, "out of memory");

	for (uint32_t i = 0; !err && i < sad->tunnels_n; i++) {
		const struct tunnel *t = &sad->tunnels[i];

		if (t->natt.local_port &&
		    bpf_map_update_elem(m->pins.fd[PINS_NATT_PORT], &t->natt.local_port,
					&n[t->natt.local_port], BPF_ANY))
			err = fault_set(f, -errno, "cannot add port %u of tunnel '%s' to the maps: %s",
					ntohs(t->natt.local_port), t->name, strerror(errno));
	}
	free(n);
	return err;
}

static bool is_nobodys(const void *key, const void *ctx)
{
	const uint32_t *n = ctx;
	__be16 port;

	memcpy(&port, key, sizeof(port));
	return !n[port];
}

int natt_settle_ports(const struct maps *m, const struct sad *sad, struct fault *f)
{
	uint32_t *n = count_ports(sad);
	int err;

	if (!n)
		return fault_set(f, -ENOMEM, "out of memory");
	err = map_walk_delete(m->pins.fd[PINS_NATT_PORT], sizeof(__be16), is_nobodys, n);
	free(n);
	if (err)
		return fault_set(f, err, "cannot clear UDP ports from the maps: %s", strerror(-err));
	return natt_add_ports(m, sad, f);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* tunnel.c - see tunnel.h. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "libxesp/addr.h"
#include "libxesp/arena.h"
#include "sad/tunnel.h"
#include "xesp/fault.h"

#define MTU_MIN_IP4 128  /* so that 68 bytes fit inside, RFC 791 */
#define MTU_MIN_IP6 1280 /* RFC 8200 section 5 */
#define MTU_MAX 65535
#define DSCP_MAX 63

static uint32_t mtu_min(const struct xesp_keymsg_tunnel *m)
{
	return addr_is_ip4(&m->local) ? MTU_MIN_IP4 : MTU_MIN_IP6;
}

const struct xesp_addr *tunnel_peer(const struct xesp_keymsg_tunnel *m)
{
	if (m->natt.encap == XESP_ENCAP_NONE || addr_is_unset(&m->natt.peer))
		return &m->remote;
	return &m->natt.peer;
}

bool tunnel_same_place(const struct xesp_keymsg_tunnel *a, const struct xesp_keymsg_tunnel *b)
{
	return a->natt.follow_peer == XESP_FOLLOW_PEER && b->natt.follow_peer == XESP_FOLLOW_PEER &&
	       a->natt.encap == b->natt.encap &&
	       a->natt.local_port == b->natt.local_port &&
	       a->natt.remote_port == b->natt.remote_port && addr_equal(&a->local, &b->local) &&
	       addr_equal(&a->remote, &b->remote);
}

static int check_marks(const struct xesp_keymsg_tunnel *m, struct fault *f)
{
	if (m->dscp_in > XESP_DSCP_IN_COPY || m->flow_label > XESP_FLOW_LABEL_FLOW)
		return fault_set(f, -EINVAL, "DSCP inwards %u, flow label %u: no such value",
				 m->dscp_in, m->flow_label);
	for (size_t i = 0; m->dscp == XESP_DSCP_MAP && i < sizeof(m->dscp_map); i++)
		if (m->dscp_map[i] > DSCP_MAX)
			return fault_set(f, -EINVAL, "DSCP %zu is mapped to %u", i, m->dscp_map[i]);
	return 0;
}

static int check(const struct xesp_keymsg_tunnel *m, struct fault *f)
{
	bool ip4 = addr_is_ip4(&m->local);
	uint32_t least = mtu_min(m);

	if (memchr(m->name, 0, sizeof(m->name)) == NULL)
		return fault_set(f, -EINVAL, "its name has no end");
	if (ip4 != addr_is_ip4(&m->remote))
		return fault_set(f, -EINVAL, "one end is IPv4, the other IPv6");
	if (m->mtu && (m->mtu < least || m->mtu > MTU_MAX))
		return fault_set(f, -EINVAL, "MTU %u; %u to %u are possible, 0 is the interface's",
				 m->mtu, least, MTU_MAX);
	if (m->pmtu > XESP_PMTU_FIXED || m->pmtu_probe > 1 || m->icmp_check > 1 ||
	    (m->mss > XESP_MSS_AUTO && m->mss < XESP_MSS_MIN))
		return fault_set(f, -EINVAL, "PMTU %u/%u, ICMP check %u, MSS %u: no such value",
				 m->pmtu, m->pmtu_probe, m->icmp_check, m->mss);
	if (m->pmtu_probe && addr_is_unset(&m->probe_remote))
		return fault_set(f, -EINVAL, "probing without an address that answers");
	if (m->natt.encap > XESP_ENCAP_UDP || m->natt.accept_any > 1 || m->natt.follow_peer > XESP_FOLLOW_TELL ||
	    m->natt.checksum > XESP_UDP_CHECKSUM_COMPUTE)
		return fault_set(f, -EINVAL, "encapsulation %u/%u/%u, checksum %u: no such value",
				 m->natt.encap, m->natt.accept_any, m->natt.follow_peer,
				 m->natt.checksum);
	if (m->pfp & ~XESP_PFP_ALL)
		return fault_set(f, -EINVAL, "populate from packet 0x%x: no such selectors", m->pfp);
	if (m->natt.encap == XESP_ENCAP_UDP &&
	    (!m->natt.local_port || !m->natt.remote_port || !m->natt.peer_port))
		return fault_set(f, -EINVAL, "encapsulated in UDP without ports");
	if ((!addr_is_unset(&m->oa_local) && addr_is_ip4(&m->oa_local) != ip4) ||
	    (!addr_is_unset(&m->oa_remote) && addr_is_ip4(&m->oa_remote) != ip4))
		return fault_set(f, -EINVAL, "NAT original addresses of another IP version");
	if (addr_is_ip4(tunnel_peer(m)) != ip4)
		return fault_set(f, -EINVAL, "its peer moved to another IP version");
	if (m->df > XESP_DF_CLEAR || m->dscp > XESP_DSCP_MAP || m->dscp_value > DSCP_MAX ||
	    m->ecn > XESP_ECN_COMPATIBILITY || m->mode > XESP_MODE_TRANSPORT)
		return fault_set(f, -EINVAL, "DF %u, DSCP %u/%u, ECN %u, mode %u: no such value",
				 m->df, m->dscp, m->dscp_value, m->ecn, m->mode);
	return 0;
}

/* RFC 1071, in memory order: the sum of the words as they lie there needs no swapping. */
static uint16_t sum_words(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;
	uint16_t w;

	for (uint32_t i = 0; i < len; i += 2) {
		memcpy(&w, p + i, sizeof(w));
		sum += w;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void make_header_ip4(struct tunnel *t, const struct xesp_keymsg_tunnel *m)
{
	uint8_t *h = t->header;

	h[0] = 0x45;
	h[8] = m->ttl;
	h[9] = m->natt.encap == XESP_ENCAP_UDP ? IPPROTO_UDP : IPPROTO_ESP;
	memcpy(h + 12, &m->local.w[3], 4);
	memcpy(h + 16, &tunnel_peer(m)->w[3], 4);
	t->header_len = 20;
	t->sum = sum_words(h, 20);
}

static void make_header_ip6(struct tunnel *t, const struct xesp_keymsg_tunnel *m)
{
	uint8_t *h = t->header;

	h[0] = 0x60;
	h[6] = m->natt.encap == XESP_ENCAP_UDP ? IPPROTO_UDP : IPPROTO_ESP;
	h[7] = m->ttl;
	memcpy(h + 8, &m->local, 16);
	memcpy(h + 24, tunnel_peer(m), 16);
	t->header_len = 40;
}

/*
 * RFC 3948 section 2.1: zero on IPv4. RFC 6935 section 5 lets a tunnel do so on IPv6 too, where
 * both ends agree to it: only when asked.
 */
static enum tunnel_udp udp_checksum(const struct xesp_keymsg_tunnel *m)
{
	switch (m->natt.checksum) {
	case XESP_UDP_CHECKSUM_ZERO:
		return TUNNEL_UDP_ZERO;
	case XESP_UDP_CHECKSUM_COMPUTE:
		return TUNNEL_UDP_SUM;
	default:
		return addr_is_ip4(&m->local) ? TUNNEL_UDP_ZERO : TUNNEL_UDP_SUM;
	}
}

static void add_header_udp(struct tunnel *t, const struct xesp_keymsg_tunnel *m)
{
	uint8_t *h = t->header + t->header_len;

	memcpy(h, &m->natt.local_port, 2);
	memcpy(h + 2, &m->natt.peer_port, 2);
	t->header_len += TUNNEL_UDP_LEN;
	t->udp = (uint8_t)udp_checksum(m);
}

/* RFC 3948 section 3.1.2: an address that no NAT changed is its own original. */
static uint16_t sum_originals(const struct xesp_keymsg_tunnel *m)
{
	const uint32_t at = addr_is_ip4(&m->local) ? 12 : 0;
	struct xesp_addr both[2] = { m->oa_local, m->oa_remote };
	uint32_t sum;

	if (addr_is_unset(&both[0]) && addr_is_unset(&both[1]))
		return 0;
	if (addr_is_unset(&both[0]))
		both[0] = m->local;
	if (addr_is_unset(&both[1]))
		both[1] = m->remote;
	sum = (uint32_t)sum_words((const uint8_t *)&both[0] + at, 16 - at) +
	      sum_words((const uint8_t *)&both[1] + at, 16 - at);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* All tunnels of the process; main thread. */
static struct arena arena = ARENA_OF(sizeof(struct tunnel));

void tunnel_close(struct tunnel *t)
{
	if (t)
		free(t->by_worker);
	arena_put(&arena, t);
}

void tunnel_give(struct tunnel *t, uint32_t *by_worker)
{
	t->by_worker = by_worker;
	t->has_cpus = by_worker != NULL;
}

int tunnel_open(struct tunnel **out, const struct xesp_keymsg_tunnel *m, struct fault *f)
{
	struct tunnel *t;
	int err;

	err = check(m, f);
	if (!err)
		err = check_marks(m, f);
	if (err)
		return err;
	t = arena_take(&arena);
	if (!t)
		return fault_set(f, -ENOMEM, "out of memory");
	*t = (struct tunnel){
		.sa_out = m->sa_out,
		.df = m->df,
		.dscp = m->dscp,
		.dscp_value = m->dscp_value,
		.ecn = m->ecn,
		.tfc = m->tfc,
		.dscp_in = m->dscp_in,
		.flow_label = m->flow_label,
		.icmp_check = m->icmp_check,
		.mss = m->mss,
		.mode = m->mode,
		.pfp = m->pfp,
		.cpu_acquire = m->cpu_acquire,
		.local = m->local,
		.as_told = *m,
	};
	memcpy(t->dscp_map, m->dscp_map, sizeof(t->dscp_map));
	if (m->flow_label == XESP_FLOW_LABEL_FLOW &&
	    getrandom(&t->label_secret, sizeof(t->label_secret), 0) < 0) {
		err = fault_set(f, -errno, "no random numbers: %s", strerror(errno));
		tunnel_close(t);
		return err;
	}
	if (addr_is_ip4(&m->local))
		make_header_ip4(t, m);
	else
		make_header_ip6(t, m);
	if (m->natt.encap == XESP_ENCAP_UDP)
		add_header_udp(t, m);
	t->oa_sum = sum_originals(m);
	tunnel_set_path_mtu(t, 0);
	*out = t;
	return 0;
}

void tunnel_set_path_mtu(struct tunnel *t, uint32_t path_mtu)
{
	uint32_t mtu = t->as_told.mtu;

	if (path_mtu && (!mtu || path_mtu < mtu))
		mtu = path_mtu;
	if (!mtu)
		mtu = TUNNEL_MTU_UNKNOWN;
	if (mtu > MTU_MAX)
		mtu = MTU_MAX;
	if (mtu < mtu_min(&t->as_told))
		mtu = mtu_min(&t->as_told);
	__atomic_store_n(&t->mtu, mtu, __ATOMIC_RELAXED);
}

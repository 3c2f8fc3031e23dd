/* SPDX-License-Identifier: BSD-2-Clause */
/* compose.c - see compose.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "keyd/compose.h"
#include "keyd/config.h"
#include "libxesp/keymsg_header.h"
#include "xesp/fault.h"

static size_t fill_header(struct xesp_keymsg *h, enum xesp_keymsg_type type, size_t len)
{
	*h = (struct xesp_keymsg){ .len = (uint32_t)len,
				   .type = (uint16_t)type,
				   .version = XESP_KEYMSG_VERSION };
	return len;
}

size_t compose_bare(void *buf, enum xesp_keymsg_type type)
{
	return fill_header(buf, type, sizeof(struct xesp_keymsg));
}

size_t compose_hello(void *buf)
{
	struct xesp_keymsg_hello *m = buf;

	*m = (struct xesp_keymsg_hello){ .steer_abi = XESP_STEER_ABI, .pid = (uint32_t)getpid() };
	return fill_header(&m->h, XESP_KEYMSG_HELLO, sizeof(*m));
}

size_t compose_id(void *buf, enum xesp_keymsg_type type, uint32_t id, uint32_t wait)
{
	struct xesp_keymsg_id *m = buf;

	*m = (struct xesp_keymsg_id){ .id = id, .wait = wait };
	return fill_header(&m->h, type, sizeof(*m));
}

size_t compose_lease(void *buf, uint32_t id, uint64_t first, uint64_t last)
{
	struct xesp_keymsg_lease *m = buf;

	*m = (struct xesp_keymsg_lease){ .id = id, .first = first, .last = last };
	return fill_header(&m->h, XESP_KEYMSG_LEASE_GRANT, sizeof(*m));
}

size_t compose_group(void *buf, const struct config *c, uint32_t group)
{
	const struct tunnel *g = &c->sad.tunnels[group];
	struct xesp_keymsg_group *m = buf;

	*m = (struct xesp_keymsg_group){ .id = g->id, .n = g->members_n };
	memcpy(m->name, g->name, sizeof(m->name));
	for (uint32_t i = 0; i < g->members_n; i++)
		m->member[i] = c->sad.tunnels[g->members[i]].id;
	return fill_header(&m->h, XESP_KEYMSG_GROUP_SET, sizeof(*m));
}

static bool is_wanted(const struct sa *sa, enum compose_out out)
{
	return out == COMPOSE_OUT_CONFIGURED || (out == COMPOSE_OUT && sa->standing != SA_REFUSED);
}

/* Behind the message what single CPUs send on; returns its length. */
static size_t put_out(struct xesp_keymsg_tunnel *m, const struct sad *sad, const struct tunnel *t,
		      enum compose_out out)
{
	struct xesp_keymsg_cpu *cpu = (void *)(m + 1);

	if (t->sa_out != SAD_NONE && is_wanted(&sad->sas[t->sa_out], out))
		m->sa_out = sad->sas[t->sa_out].id;
	for (uint32_t i = t->sa_cpu; i != SAD_NONE; i = sad->sas[i].cpu_next)
		if (is_wanted(&sad->sas[i], out))
			cpu[m->cpus_n++] = (struct xesp_keymsg_cpu){ sad->sas[i].cpu, sad->sas[i].id };
	return sizeof(*m) + m->cpus_n * sizeof(*cpu);
}

size_t compose_tunnel(void *buf, const struct config *c, uint32_t tunnel, enum compose_out out)
{
	const struct tunnel *t = &c->sad.tunnels[tunnel];
	struct xesp_keymsg_tunnel *m = buf;

	*m = (struct xesp_keymsg_tunnel){
		.id = t->id,
		.local = t->local,
		.remote = t->remote,
		.mtu = t->mtu,
		.ttl = t->marks.ttl,
		.df = t->df,
		.dscp = t->marks.dscp,
		.dscp_value = t->marks.dscp_value,
		.dscp_in = t->marks.dscp_in,
		.flow_label = t->marks.flow_label,
		.tfc = t->marks.tfc,
		.dummy_pps = t->marks.dummy_pps,
		.ecn = t->ecn,
		.pmtu = t->pmtu,
		.pmtu_probe = t->pmtu_probe,
		.icmp_check = t->icmp_check,
		.mss = t->mss,
		.pmtu_floor = t->pmtu_floor,
		.pmtu_age = t->pmtu_age,
		.probe_local = t->probe_local,
		.probe_remote = t->probe_remote,
		.mode = t->mode,
		.pfp = t->pfp,
		.cpu_acquire = t->cpu_acquire,
		.natt = t->natt,
		.oa_local = t->oa_local,
		.oa_remote = t->oa_remote,
		.dpd_ms = t->dpd_ms,
		.dpd_misses = t->dpd_misses,
	};
	memcpy(m->name, t->name, sizeof(m->name));
	memcpy(m->dscp_map, t->marks.dscp_map, sizeof(m->dscp_map));
	return fill_header(&m->h, XESP_KEYMSG_TUNNEL_SET, put_out(m, &c->sad, t, out));
}

/* A soft limit alone is told as a hard one that is never met: xespd counts only towards limits. */
static uint64_t hard_or_soft(uint64_t hard, uint64_t soft)
{
	return hard || !soft ? hard : INT64_MAX;
}

static uint64_t hard_ns(const struct sa *s)
{
	return s->limits.hard_seconds ? s->born_ns + s->limits.hard_seconds * 1000000000u : 0;
}

size_t compose_sa(void *buf, const struct config *c, uint32_t sa)
{
	const struct sa *s = &c->sad.sas[sa];
	const struct sa_key *k = &c->sad.keys[sa];
	struct xesp_keymsg_sa *m = buf;

	*m = (struct xesp_keymsg_sa){
		.id = s->id,
		.tunnel = c->sad.tunnels[s->tunnel].id,
		.spi = htonl(s->spi),
		.dir = s->dir,
		.esn = s->esn,
		.alg = s->alg,
		.auth = s->auth,
		.key_len = s->key_len,
		.auth_key_len = s->auth_key_len,
		.salt_len = s->salt_len,
		.proto = s->proto,
		.window = s->window,
		.lease_first = s->lease_first,
		.lease_last = s->lease_last,
		.hard_packets = hard_or_soft(s->limits.hard_packets, s->limits.soft_packets),
		.hard_bytes = hard_or_soft(s->limits.hard_bytes, s->limits.soft_bytes),
		.hard_ns = hard_ns(s),
		.seq_max = s->dir == XESP_DIR_OUT ? sad_last_number(s) : 0,
		.over = s->over,
		.values = s->values,
	};
	if (s->over) { /* its key is no more */
		m->lease_first = m->lease_last = 0;
	} else {
		memcpy(m->key, k->key, (size_t)s->key_len + s->auth_key_len);
		memcpy(m->salt, k->salt, sizeof(k->salt));
	}
	return fill_header(&m->h, XESP_KEYMSG_SA_ADD, sizeof(*m));
}

int compose_check_reply(const void *packet, size_t len, struct fault *f)
{
	static const size_t lens[] = {
		[XESP_KEYMSG_HELLO] = sizeof(struct xesp_keymsg_hello),
		[XESP_KEYMSG_LEASE_REQUEST] = sizeof(struct xesp_keymsg_id),
		[XESP_KEYMSG_ACK] = sizeof(struct xesp_keymsg_ack),
		[XESP_KEYMSG_PEER_MOVED] = sizeof(struct xesp_keymsg_peer),
		[XESP_KEYMSG_PEER_DEAD] = sizeof(struct xesp_keymsg_id),
		[XESP_KEYMSG_PEER_ALIVE] = sizeof(struct xesp_keymsg_id),
		[XESP_KEYMSG_ACQUIRE] = sizeof(struct xesp_keymsg_acquire),
	};
	const struct xesp_keymsg *h = packet;
	int err = keymsg_check_header(packet, len, f);

	if (err)
		return err;
	if (h->type >= sizeof(lens) / sizeof(lens[0]) || !lens[h->type])
		return fault_set(f, -EPROTO, "message type %u is not xespd's to send", h->type);
	if (len != lens[h->type])
		return fault_set(f, -EPROTO, "message of type %u has %zu bytes instead of %zu", h->type,
				 len, lens[h->type]);
	return 0;
}

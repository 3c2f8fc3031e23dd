/* SPDX-License-Identifier: BSD-2-Clause */
/* publish_maps.c - see publish_maps.h. From top to bottom: opening, preparing, committing, settling. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "keyd/ids.h"
#include "keyd/index.h"
#include "keyd/map_walk.h"
#include "keyd/natt.h"
#include "keyd/publish_inbound.h"
#include "keyd/publish_maps.h"
#include "keyd/spd_diff.h"
#include "keyd/spd_table.h"
#include "libxesp/addr.h"
#include "xesp/fault.h"
#include "xesp/log.h"

_Static_assert(offsetof(struct policy, name) == 0 && offsetof(struct tunnel, name) == 0,
	       "ids.c takes names from there");

/* ---- opening */

static int read_sizes(struct maps *m, struct fault *f)
{
	static const enum pins_map which[] = { PINS_SA_STATE, PINS_POLICIES, PINS_TUNNELS,
					       PINS_REPLAY,   PINS_SA_IN,    PINS_ENDPOINTS };
	uint32_t *const out[] = { &m->max_sas,	    &m->max_policies, &m->max_tunnels,
				  &m->replay_words, &m->max_sa_in,    &m->max_endpoints };

	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
		int err = map_walk_size(m->pins.fd[which[i]], out[i]);

		if (err)
			return fault_set(f, err, "map %s: %s", pins_name(which[i]), strerror(-err));
	}
	return 0;
}

static int map_memory(struct maps *m, struct fault *f)
{
	int err = spd_memory_map(&m->spd, &m->pins, true, f);

	if (!err)
		err = spd_table_open(&m->table, &m->spd, f);
	if (err)
		return err;
	m->conf = m->spd.conf;
	m->sa = pins_mmap(&m->pins, PINS_SA_STATE, 1, &m->sa_len, f);
	if (m->sa)
		m->replay = pins_mmap(&m->pins, PINS_REPLAY, 1, &m->replay_len, f);
	if (m->replay)
		m->drops = pins_mmap(&m->pins, PINS_POLICY_DROPS, 0, &m->drops_len, f);
	if (m->drops)
		m->hits = pins_mmap(&m->pins, PINS_POLICY_HITS, 1, &m->hits_len, f);
	m->hits_cpus = pins_entries(&m->pins, PINS_POLICY_HITS) / XESP_HITS_OF_CPU(m->max_policies);
	return m->hits ? 0 : -EIO;
}

static int read_names(struct maps *m, struct fault *f)
{
	int err;

	m->policies = calloc(m->max_policies, sizeof(*m->policies));
	m->tunnels = calloc(m->max_tunnels, sizeof(*m->tunnels));
	m->retired_ns = calloc(m->max_sas, sizeof(*m->retired_ns));
	m->inbound = calloc(m->max_sas, sizeof(*m->inbound));
	if (!m->policies || !m->tunnels || !m->retired_ns || !m->inbound)
		return fault_set(f, -ENOMEM, "out of memory");
	err = map_walk_read_array(m->pins.fd[PINS_POLICIES], m->policies, sizeof(*m->policies),
				  m->max_policies);
	if (!err)
		err = map_walk_read_array(m->pins.fd[PINS_TUNNELS], m->tunnels, sizeof(*m->tunnels),
					  m->max_tunnels);
	if (!err)
		err = publish_inbound_read(m);
	return err ? fault_set(f, err, "cannot read the maps: %s", strerror(-err)) : 0;
}

int maps_adopt(struct maps **out, const struct pins *pins, struct fault *f)
{
	struct maps *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return fault_set(f, -ENOMEM, "out of memory");
	m->pins = *pins;
	err = read_sizes(m, f);
	if (!err)
		err = map_memory(m, f);
	if (!err)
		err = read_names(m, f);
	if (err) {
		maps_close(m);
		return err;
	}
	*out = m;
	return 0;
}

int maps_open(struct maps **out, const char *pin_dir, struct fault *f)
{
	struct pins pins;
	int err = pins_open(&pins, pin_dir, f);

	return err ? err : maps_adopt(out, &pins, f);
}

static void unmap(void *p, size_t len)
{
	if (p)
		munmap(p, len);
}

void maps_close(struct maps *m)
{
	if (!m)
		return;
	spd_table_close(m->table);
	spd_memory_unmap(&m->spd);
	unmap(m->sa, m->sa_len);
	unmap(m->replay, m->replay_len);
	unmap(m->drops, m->drops_len);
	unmap(m->hits, m->hits_len);
	pins_close(&m->pins);
	free(m->policies);
	free(m->tunnels);
	free(m->retired_ns);
	free(m->inbound);
	free(m);
}

/* ---- preparing */

static void init_sa(struct maps *m, const struct sa *sa)
{
	struct xesp_sa_state *st = &m->sa[sa->id];

	if (sa->dir == XESP_DIR_IN)
		memset(m->replay + sa->replay_off, 0, sa->replay_words * sizeof(*m->replay));
	/* Nobody reads the element yet, but people with bpftool: in_use comes last. */
	memset(st, 0, sizeof(*st));
	memcpy(st->name, sa->name, sizeof(st->name));
	st->fingerprint = sad_fingerprint(sa);
	st->spi = htonl(sa->spi);
	st->dir = sa->dir;
	st->esn = sa->esn;
	st->proto = sa->proto;
	st->replay_off = sa->replay_off;
	st->replay_words = sa->replay_words;
	st->window = sa->window;
	st->born_ns = sa->born_ns;
	st->seq_next = sa->dir == XESP_DIR_OUT; /* number 0 is never sent; lease_end 0: no number */
	__atomic_store_n(&st->in_use, 1, __ATOMIC_RELEASE);
}

static int write_element(struct maps *m, enum pins_map map, uint32_t id, const void *value,
			 struct fault *f)
{
	if (bpf_map_update_elem(m->pins.fd[map], &id, value, BPF_ANY))
		return fault_set(f, -errno, "cannot write %s[%u]: %s", pins_name(map), id,
				 strerror(errno));
	return 0;
}

static struct xesp_policy policy_value(const struct sad *sad, const struct spd *spd, uint32_t i)
{
	const struct policy *p = &spd->policies[i];
	struct xesp_policy v = {
		.rank = spd->ranks[i],
		.tunnel = p->tunnel == SAD_NONE ? 0 : sad->tunnels[p->tunnel].id,
		.action = p->action,
		.dirs = p->dirs,
	};

	memcpy(v.name, p->name, sizeof(v.name));
	return v;
}

static struct xesp_tunnel tunnel_value(const struct sad *sad, const struct tunnel *t)
{
	struct xesp_tunnel v = { .local = t->local,
				 .remote = t->remote,
				 .sa_out = sad_out_id(sad, t),
				 .mode = t->mode,
				 .natt = t->natt };

	memcpy(v.name, t->name, sizeof(v.name));
	return v;
}

/* Another policy had this id before: its counters end here. */
static struct xesp_policy_hits *hits_of(const struct maps *m, uint32_t cpu, uint32_t id)
{
	return &m->hits[(size_t)cpu * XESP_HITS_OF_CPU(m->max_policies) + id];
}

/* Of an id that no policy has, so that nobody counts meanwhile. */
static int clear_counters(struct maps *m, uint32_t id, struct fault *f)
{
	static const struct xesp_policy_drops none;

	for (uint32_t cpu = 0; cpu < m->hits_cpus; cpu++)
		*hits_of(m, cpu, id) = (struct xesp_policy_hits){ 0 };
	return write_element(m, PINS_POLICY_DROPS, id, &none, f);
}

static int write_policy(struct maps *m, uint32_t id, const struct xesp_policy *v, struct fault *f)
{
	int err;

	if (!memcmp(&m->policies[id], v, sizeof(*v)))
		return 0;
	err = write_element(m, PINS_POLICIES, id, v, f);
	if (!err)
		m->policies[id] = *v;
	return err;
}

static int write_tunnel(struct maps *m, uint32_t id, const struct xesp_tunnel *v, struct fault *f)
{
	int err;

	if (!memcmp(&m->tunnels[id], v, sizeof(*v)))
		return 0;
	err = write_element(m, PINS_TUNNELS, id, v, f);
	if (!err)
		m->tunnels[id] = *v;
	return err;
}

static int prepare_policy(struct maps *m, const struct sad *sad, const struct spd *spd, uint32_t i,
			  struct fault *f)
{
	const uint32_t id = spd->ids[i];
	struct xesp_policy v = policy_value(sad, spd, i);
	int err;

	if (m->policies[id].name[0])
		return 0;
	err = clear_counters(m, id, f);
	if (!err)
		err = write_policy(m, id, &v, f);
	m->policy_cursor = id;
	return err;
}

int maps_prepare_policies(struct maps *m, const struct sad *sad, const struct spd *spd,
			  const struct spd_diff *d, struct fault *f)
{
	const uint32_t n = d->whole ? spd->n : d->added_n;
	int err = 0;

	for (uint32_t i = 0; i < n && !err; i++)
		err = prepare_policy(m, sad, spd, d->whole ? i : d->added[i], f);
	return err;
}

static int prepare_names(struct maps *m, const struct sad *sad, const struct spd *spd,
			 const struct spd_diff *d, struct fault *f)
{
	int err = maps_prepare_policies(m, sad, spd, d, f);

	for (uint32_t i = 0; i < sad->tunnels_n && !err; i++) {
		struct xesp_tunnel v = tunnel_value(sad, &sad->tunnels[i]);

		if (m->tunnels[sad->tunnels[i].id].name[0])
			continue;
		err = write_tunnel(m, sad->tunnels[i].id, &v, f);
		m->tunnel_cursor = sad->tunnels[i].id;
	}
	return err;
}

static int write_endpoints(struct maps *m, const struct sad *sad, struct fault *f)
{
	const struct xesp_addr *last = NULL;

	for (uint32_t i = 0; i < sad->tunnels_n; i++) {
		const struct tunnel *t = &sad->tunnels[i];

		/* A group has no ends; a gateway's tunnels mostly have one local end. */
		if (t->members_n || (last && addr_equal(last, &t->local)))
			continue;
		last = &t->local;
		if (bpf_map_update_elem(m->pins.fd[PINS_ENDPOINTS], &t->local, &t->id, BPF_ANY))
			return fault_set(f, -errno, "cannot add tunnel '%s' to the maps: %s",
					 t->name, strerror(errno));
	}
	return 0;
}

/* Their words belong to others from now on: should such an SA come back, it begins anew. */
static int evict_parked(struct maps *m, const struct sad *sad)
{
	uint8_t *wanted = calloc(m->max_sas, 1);

	if (!wanted)
		return -ENOMEM;
	for (uint32_t i = 0; i < sad->sas_n; i++)
		wanted[sad->sas[i].id] = 1;
	for (uint32_t id = 1; id < m->max_sas; id++)
		if (!wanted[id] && ids_is_retired(m, id))
			memset(&m->sa[id], 0, sizeof(m->sa[id]));
	free(wanted);
	return 0;
}

int maps_prepare(struct maps *m, const struct sad *sad, const struct spd *spd,
		 const struct spd_diff *d, struct fault *f)
{
	int err;

	if (sad->evict_parked && evict_parked(m, sad))
		return fault_set(f, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < sad->sas_n; i++) {
		const struct sa *sa = &sad->sas[i];

		if (sa->fresh)
			init_sa(m, sa);
		else /* it may have been parked */
			__atomic_store_n(&m->sa[sa->id].in_use, 1, __ATOMIC_RELEASE);
		m->retired_ns[sa->id] = 0;
	}
	err = prepare_names(m, sad, spd, d, f);
	if (!err)
		err = write_endpoints(m, sad, f);
	return err ? err : natt_add_ports(m, sad, f);
}

/* ---- committing */

int maps_admit(struct maps *m, const struct sad *sad, struct fault *f)
{
	return publish_inbound_prepare(m, sad, f);
}

int maps_commit(struct maps *m, const struct spd_change *c, struct fault *f)
{
	return spd_table_commit(m->table, c, f);
}

/* ---- settling */

static bool is_not_wanted(const void *key, const void *ctx)
{
	return index_find(ctx, key) == INDEX_NONE;
}

static int settle_endpoints(struct maps *m, const struct sad *sad, struct fault *f)
{
	struct index wanted;
	uint32_t found;
	int err = 0;

	index_init(&wanted, sizeof(struct xesp_addr));
	for (uint32_t i = 0; i < sad->tunnels_n && !err; i++)
		if (!sad->tunnels[i].members_n)
			err = index_add(&wanted, &sad->tunnels[i].local, i, &found);
	if (!err)
		err = map_walk_delete(m->pins.fd[PINS_ENDPOINTS], sizeof(struct xesp_addr),
				      is_not_wanted, &wanted);
	index_fini(&wanted);
	return err ? fault_set(f, err, "cannot clear tunnel ends from the maps: %s", strerror(-err)) :
		     0;
}

static int settle_all_policies(struct maps *m, const struct sad *sad, const struct spd *spd,
			       struct fault *f)
{
	static const struct xesp_policy no_policy;
	uint8_t *wanted = calloc(m->max_policies, 1);
	int err = wanted ? 0 : fault_set(f, -ENOMEM, "out of memory");

	for (uint32_t i = 0; i < spd->n && !err; i++) {
		struct xesp_policy v = policy_value(sad, spd, i);

		wanted[spd->ids[i]] = 1;
		err = write_policy(m, spd->ids[i], &v, f);
	}
	for (uint32_t id = 1; id < m->max_policies && !err; id++)
		if (!wanted[id])
			err = write_policy(m, id, &no_policy, f);
	free(wanted);
	return err;
}

static int write_policies(struct maps *m, const struct spd_change *c, const uint32_t *at, uint32_t n,
			  struct fault *f)
{
	int err = 0;

	for (uint32_t i = 0; i < n && !err; i++) {
		struct xesp_policy v = policy_value(c->sad, c->next, at[i]);

		err = write_policy(m, c->next->ids[at[i]], &v, f);
	}
	return err;
}

/* What has only other selectors is among the dropped as well as the added: so these come last. */
int maps_settle_policies(struct maps *m, const struct spd_change *c, struct fault *f)
{
	static const struct xesp_policy no_policy;
	const struct spd_diff *d = c->diff;
	int err = 0;

	if (d->whole)
		return settle_all_policies(m, c->sad, c->next, f);
	for (uint32_t i = 0; i < d->dropped_n && !err; i++)
		err = write_policy(m, c->now->ids[d->dropped[i]], &no_policy, f);
	if (!err)
		err = write_policies(m, c, d->added, d->added_n, f);
	return err ? err : write_policies(m, c, d->moved, d->moved_n, f);
}

static int settle_tunnels(struct maps *m, const struct sad *sad, struct fault *f)
{
	static const struct xesp_tunnel no_tunnel;
	uint8_t *wanted = calloc(m->max_tunnels, 1);
	int err = wanted ? 0 : fault_set(f, -ENOMEM, "out of memory");

	for (uint32_t i = 0; i < sad->tunnels_n && !err; i++) {
		struct xesp_tunnel v = tunnel_value(sad, &sad->tunnels[i]);

		wanted[sad->tunnels[i].id] = 1;
		err = write_tunnel(m, sad->tunnels[i].id, &v, f);
	}
	for (uint32_t id = 1; id < m->max_tunnels && !err; id++)
		if (!wanted[id])
			err = write_tunnel(m, id, &no_tunnel, f);
	free(wanted);
	return err;
}

static int settle_sas(struct maps *m, const struct sad *sad, struct fault *f)
{
	uint8_t *wanted = calloc(m->max_sas, 1);

	if (!wanted)
		return fault_set(f, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < sad->sas_n; i++) {
		const struct sa *sa = &sad->sas[i];
		struct xesp_sa_state *st = &m->sa[sa->id];

		wanted[sa->id] = 1;
		if (memcmp(st->name, sa->name, sizeof(st->name)))
			memcpy(st->name, sa->name, sizeof(st->name));
		st->window = sa->window;
	}
	/* Parked, not cleared: the window still counts should the SA come back. See ids.c. */
	for (uint32_t id = 1; id < m->max_sas; id++)
		if (!wanted[id] && m->sa[id].in_use)
			__atomic_store_n(&m->sa[id].in_use, 0, __ATOMIC_RELEASE);
	free(wanted);
	return 0;
}

int maps_settle(struct maps *m, const struct spd_change *c, struct fault *f)
{
	const struct sad *sad = c->sad;
	int first, err;

	/* An SPI that now means another SA, and tunnels that moved. */
	first = publish_inbound_switch(m, sad, f);
	err = maps_settle_policies(m, c, first ? NULL : f);
	first = first ? first : err;
	err = settle_tunnels(m, sad, first ? NULL : f);
	first = first ? first : err;
	err = settle_sas(m, sad, first ? NULL : f);
	return first ? first : err;
}

int maps_let_go(struct maps *m, const struct sad *sad, const struct grants_kernel *kernel, struct fault *f)
{
	int first = publish_inbound_settle(m, sad, kernel, f), err;

	/* Without its end an SA that is still held would be nobody's, and so the kernel's. */
	if (first)
		return first;
	first = settle_endpoints(m, sad, f);
	err = natt_settle_ports(m, sad, first ? NULL : f);
	return first ? first : err;
}

void maps_undo_policies(struct maps *m, const uint32_t *fresh, uint32_t n)
{
	static const struct xesp_policy no_policy;

	for (uint32_t i = 0; i < n; i++)
		write_policy(m, fresh[i], &no_policy, NULL);
}

void maps_undo(struct maps *m, const struct sad *sad, const struct spd *spd)
{
	static const struct sad no_sad;
	static const struct spd no_spd;

	if (!sad || !spd) {
		sad = &no_sad;
		spd = &no_spd;
	}
	/* Identities that were new are parked, not cleared: numbers may have been taken. */
	settle_sas(m, sad, NULL);
	write_endpoints(m, sad, NULL);
	settle_all_policies(m, sad, spd, NULL);
	settle_tunnels(m, sad, NULL);
}

void maps_show_tunnel(struct maps *m, const struct sad *sad, const struct tunnel *t)
{
	struct xesp_tunnel v = tunnel_value(sad, t);

	write_tunnel(m, t->id, &v, NULL);
}

void maps_set_kernel(struct maps *m, uint32_t kernel)
{
	/* One aligned store; bpf/steer.h reads it, and nothing else depends on it. */
	__atomic_store_n(&m->conf->kernel, kernel, __ATOMIC_RELAXED);
}

struct xesp_policy_hits maps_policy_hits(const struct maps *m, uint32_t id)
{
	struct xesp_policy_hits sum = { 0 };

	for (uint32_t cpu = 0; cpu < m->hits_cpus; cpu++) {
		sum.packets += hits_of(m, cpu, id)->packets;
		sum.bytes += hits_of(m, cpu, id)->bytes;
	}
	return sum;
}

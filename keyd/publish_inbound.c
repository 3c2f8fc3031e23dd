/* SPDX-License-Identifier: BSD-2-Clause */
/* publish_inbound.c - see publish_inbound.h. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "keyd/grants.h"
#include "keyd/map_walk.h"
#include "keyd/publish_inbound.h"
#include "keyd/publish_maps.h"
#include "xesp/fault.h"

/* What a former keyd wrote. Entries that name no SA id of ours, or one twice, go. */
static bool note_inbound(const void *key, const void *ctx)
{
	struct maps *m = (struct maps *)(uintptr_t)ctx;
	struct xesp_sa_in_val val;

	if (bpf_map_lookup_elem(m->pins.fd[PINS_SA_IN], key, &val))
		return false;
	if (!val.sa_id || val.sa_id >= m->max_sas || m->inbound[val.sa_id].there)
		return true;
	m->inbound[val.sa_id] = (struct maps_inbound){ .tunnel = val.tunnel, .there = true, .handover = val.handover };
	memcpy(&m->inbound[val.sa_id].key, key, sizeof(m->inbound[val.sa_id].key));
	return false;
}

int publish_inbound_read(struct maps *m)
{
	return map_walk_delete(m->pins.fd[PINS_SA_IN], sizeof(struct xesp_sa_in_key), note_inbound, m);
}

static struct xesp_sa_in_key sa_in_key(const struct sad *sad, const struct sa *sa)
{
	return (struct xesp_sa_in_key){ .dst = sad->tunnels[sa->tunnel].local,
					.spi = htonl(sa->spi),
					.proto = sa->proto };
}

/* Or is the SPI another SA's by now? */
static bool is_its(const struct maps *m, uint32_t id)
{
	struct xesp_sa_in_val val;

	return !bpf_map_lookup_elem(m->pins.fd[PINS_SA_IN], &m->inbound[id].key, &val) && val.sa_id == id;
}

static int drop_sa_in(struct maps *m, uint32_t id)
{
	struct maps_inbound *in = &m->inbound[id];
	int err = 0;

	if (is_its(m, id) && bpf_map_delete_elem(m->pins.fd[PINS_SA_IN], &in->key) && errno != ENOENT)
		err = -errno;
	in->there = in->handover = false;
	return err;
}

static bool is_there(const struct maps *m, const struct sad *sad, const struct sa *sa)
{
	const struct maps_inbound *in = &m->inbound[sa->id];
	const struct xesp_sa_in_key key = sa_in_key(sad, sa);

	return in->there && in->tunnel == sad->tunnels[sa->tunnel].id &&
	       !memcmp(&in->key, &key, sizeof(key));
}

static int write_sa_in(struct maps *m, const struct sad *sad, uint64_t flags, struct fault *f)
{
	for (uint32_t i = 0; i < sad->sas_n; i++) {
		const struct sa *sa = &sad->sas[i];
		struct xesp_sa_in_val val = { .sa_id = sa->id, .tunnel = sad->tunnels[sa->tunnel].id };
		struct xesp_sa_in_key key = sa_in_key(sad, sa);
		bool same = is_there(m, sad, sa);

		if (sa->dir != XESP_DIR_IN || (same && !m->inbound[sa->id].handover))
			continue;
		/* Under another address, or of another tunnel: that is switched. */
		if (m->inbound[sa->id].there && !same && flags == BPF_NOEXIST)
			continue;
		if (bpf_map_update_elem(m->pins.fd[PINS_SA_IN], &key, &val, same ? BPF_ANY : flags)) {
			if (errno == EEXIST)
				continue;
			return fault_set(f, -errno, "cannot add inbound SA '%s' to the maps: %s",
					 sa->name, strerror(errno));
		}
		if (m->inbound[sa->id].there && memcmp(&m->inbound[sa->id].key, &key, sizeof(key)))
			drop_sa_in(m, sa->id);
		m->inbound[sa->id] = (struct maps_inbound){ .key = key, .tunnel = val.tunnel, .there = true };
	}
	return 0;
}

int publish_inbound_prepare(struct maps *m, const struct sad *sad, struct fault *f)
{
	return write_sa_in(m, sad, BPF_NOEXIST, f);
}

int publish_inbound_switch(struct maps *m, const struct sad *sad, struct fault *f)
{
	return write_sa_in(m, sad, BPF_ANY, f);
}

/* The number first, then the holder: XDP must not add to what an earlier one left. */
static void set_holder(struct maps *m, uint32_t id, enum xesp_holder holder)
{
	__atomic_store_n(&m->sa[id].kernel_top, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&m->sa[id].holder, holder, __ATOMIC_SEQ_CST);
}

int publish_inbound_watch(struct maps *m, const struct sad *sad, struct fault *f)
{
	for (uint32_t i = 0; i < sad->sas_n; i++) {
		const struct sa *sa = &sad->sas[i];
		struct xesp_sa_in_val val = { sa->id, sad->tunnels[sa->tunnel].id, 1 };
		struct xesp_sa_in_key key = sa_in_key(sad, sa);

		if (sa->dir != XESP_DIR_IN || m->inbound[sa->id].there)
			continue;
		set_holder(m, sa->id, XESP_HOLDER_KERNEL);
		if (bpf_map_update_elem(m->pins.fd[PINS_SA_IN], &key, &val, BPF_NOEXIST)) {
			if (errno == EEXIST)
				continue; /* another SA's until the switch */
			return fault_set(f, -errno, "cannot add inbound SA '%s' to the maps: %s",
					 sa->name, strerror(errno));
		}
		m->inbound[sa->id] = (struct maps_inbound){ key, val.tunnel, true, true };
	}
	return 0;
}

static bool goes(const struct maps *m, const struct sad *sad, uint32_t id)
{
	uint32_t at = m->inbound[id].there ? sad_find(sad, id) : SAD_NONE;

	return m->inbound[id].there && (at == SAD_NONE || sad->sas[at].dir != XESP_DIR_IN);
}

uint32_t publish_inbound_hold(struct maps *m, const struct sad *sad)
{
	uint32_t n = 0;

	for (uint32_t id = 1; id < m->max_sas; id++) {
		struct maps_inbound *in = &m->inbound[id];
		const struct xesp_sa_in_val val = { id, in->tunnel, 1 };

		if (!goes(m, sad, id) || !is_its(m, id))
			continue;
		set_holder(m, id, XESP_HOLDER_NOBODY);
		/* Should it fail, packets still go to the workers, who will have no such SA. */
		bpf_map_update_elem(m->pins.fd[PINS_SA_IN], &in->key, &val, BPF_EXIST);
		in->handover = true;
		n++;
	}
	return n;
}

int publish_inbound_settle(struct maps *m, const struct sad *sad, const struct grants_kernel *kernel,
			   struct fault *f)
{
	int err = 0;

	for (uint32_t id = 1; id < m->max_sas; id++) {
		int bad = 0;

		if (!goes(m, sad, id))
			continue;
		/* While it has not heard of them it does not get the packets: the next change tries again. */
		if (kernel && m->inbound[id].handover && is_its(m, id))
			bad = kernel->give(kernel->ctx, &m->inbound[id].key, id);
		if (!bad || bad == -ESRCH)
			bad = drop_sa_in(m, id);
		err = err ? err : bad;
	}
	return err ? fault_set(f, err, "cannot clear inbound SAs from the maps: %s", strerror(-err)) :
		     0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* publish_inbound.c - see publish_inbound.h. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

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
	m->inbound[val.sa_id] = (struct maps_inbound){ .tunnel = val.tunnel, .there = true };
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

/* Unless the SPI is another SA's by now. */
static int drop_sa_in(struct maps *m, uint32_t id)
{
	struct maps_inbound *in = &m->inbound[id];
	struct xesp_sa_in_val val;
	int err = 0;

	if (!bpf_map_lookup_elem(m->pins.fd[PINS_SA_IN], &in->key, &val) && val.sa_id == id &&
	    bpf_map_delete_elem(m->pins.fd[PINS_SA_IN], &in->key) && errno != ENOENT)
		err = -errno;
	in->there = false;
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
		struct xesp_sa_in_val val = { sa->id, sad->tunnels[sa->tunnel].id };
		struct xesp_sa_in_key key = sa_in_key(sad, sa);

		if (sa->dir != XESP_DIR_IN || is_there(m, sad, sa))
			continue;
		/* Under another address, or of another tunnel: that is switched. */
		if (m->inbound[sa->id].there && flags == BPF_NOEXIST)
			continue;
		if (bpf_map_update_elem(m->pins.fd[PINS_SA_IN], &key, &val, flags)) {
			if (errno == EEXIST)
				continue;
			return fault_set(f, -errno, "cannot add inbound SA '%s' to the maps: %s",
					 sa->name, strerror(errno));
		}
		if (m->inbound[sa->id].there && memcmp(&m->inbound[sa->id].key, &key, sizeof(key)))
			drop_sa_in(m, sa->id);
		m->inbound[sa->id] = (struct maps_inbound){ key, val.tunnel, true };
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

int publish_inbound_settle(struct maps *m, const struct sad *sad, struct fault *f)
{
	int err = 0;

	for (uint32_t id = 1; id < m->max_sas; id++) {
		uint32_t at = m->inbound[id].there ? sad_find(sad, id) : SAD_NONE;
		int bad;

		if (!m->inbound[id].there || (at != SAD_NONE && sad->sas[at].dir == XESP_DIR_IN))
			continue;
		bad = drop_sa_in(m, id);
		err = err ? err : bad;
	}
	return err ? fault_set(f, err, "cannot clear inbound SAs from the maps: %s", strerror(-err)) :
		     0;
}

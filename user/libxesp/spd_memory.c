/* SPDX-License-Identifier: BSD-2-Clause */
/* spd_memory.c - see spd_memory.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "libxesp/pins.h"
#include "libxesp/spd_memory.h"
#include "xesp/fault.h"

static inline const struct xesp_spd_slot *spd_slot_at(const struct spd_memory *m, uint32_t i)
{
	return &m->slots[i]; /* below XESP_SPD_ROOM(slots_n): masked */
}

static inline const struct xesp_spd_entry *spd_entry_at(const struct spd_memory *m, uint32_t i)
{
	return i < m->entries_n ? &m->entries[i] : NULL;
}

static inline const struct xesp_spd_rule *spd_rule_at(const struct spd_memory *m, uint32_t i)
{
	return i < m->rules_n ? &m->rules[i] : NULL;
}

#include "xesp/spd_search.h"

static int map_one(const struct pins *pins, enum pins_map map, bool writable, void **at,
		   size_t *len, struct fault *f)
{
	*at = pins_mmap(pins, map, writable, len, f);
	return *at ? 0 : -EIO;
}

int spd_memory_map(struct spd_memory *m, const struct pins *pins, bool writable, struct fault *f)
{
	int err;

	*m = (struct spd_memory){ 0 };
	err = map_one(pins, PINS_CONF, writable, (void **)&m->conf, &m->conf_len, f);
	if (!err)
		err = map_one(pins, PINS_SPD_HEAD, writable, (void **)&m->head, &m->head_len, f);
	if (!err)
		err = map_one(pins, PINS_SPD_TUPLE, writable, (void **)&m->tuples, &m->tuples_len,
			      f);
	if (!err)
		err = map_one(pins, PINS_SPD_SLOT, writable, (void **)&m->slots, &m->slots_len, f);
	if (!err)
		err = map_one(pins, PINS_SPD_ENTRY, writable, (void **)&m->entries,
			      &m->entries_len, f);
	if (!err)
		err = map_one(pins, PINS_SPD_RULE, writable, (void **)&m->rules, &m->rules_len, f);
	if (!err) {
		m->slots_n = m->conf->spd_slots;
		m->entries_n = pins_entries(pins, PINS_SPD_ENTRY);
		m->rules_n = pins_entries(pins, PINS_SPD_RULE);
		if (!m->slots_n || m->slots_n & (m->slots_n - 1) ||
		    pins_entries(pins, PINS_SPD_SLOT) != XESP_SPD_ROOM(m->slots_n))
			err = fault_set(f, -EPROTO,
					"map xesp_spd_slot has %u entries, which is not right for the %u slots of xesp_conf: run `xesp detach --purge` and attach again",
					pins_entries(pins, PINS_SPD_SLOT), m->slots_n);
	}
	if (err)
		spd_memory_unmap(m);
	return err;
}

static void unmap(void *at, size_t len)
{
	if (at && len)
		munmap(at, len);
}

void spd_memory_unmap(struct spd_memory *m)
{
	unmap(m->conf, m->conf_len);
	unmap(m->head, m->head_len);
	unmap(m->tuples, m->tuples_len);
	unmap(m->slots, m->slots_len);
	unmap(m->entries, m->entries_len);
	unmap(m->rules, m->rules_len);
	*m = (struct spd_memory){ 0 };
}

uint32_t spd_memory_generation(const struct spd_memory *m)
{
	/* The other end is the release store in keyd/spd_table.c. */
	return __atomic_load_n(&m->conf->generation, __ATOMIC_ACQUIRE);
}

static bool search(struct spd_search *s)
{
	const struct spd_memory *m = s->memory;
	__u32 tuples_n;

	if (!spd_begin(s, &m->head[s->generation & 1], &tuples_n))
		return false;
	for (__u32 i = 0; i < tuples_n; i++)
		if (spd_try_tuple(s, &m->tuples[s->first_tuple + i]))
			break;
	return !s->stale;
}

enum xesp_drop spd_memory_find(const struct spd_memory *m, const struct spd_query *q,
			       struct xesp_spd_val *found, uint32_t *generation)
{
	struct spd_search s = {
		.memory = m,
		.slot_mask = m->slots_n - 1,
		.local_port = q->local_port,
		.remote_port = q->remote_port,
		.dir = q->dir,
		.proto = q->proto,
		.packet_class = (__u8)XESP_CLASS(q->family, q->fields),
	};

	memcpy(s.local, &q->local, sizeof(s.local));
	memcpy(s.remote, &q->remote, sizeof(s.remote));
	for (int try = 0; try < 2; try++) {
		bool whole;

		s.generation = spd_memory_generation(m);
		if (!s.generation)
			return XESP_DROP_NOT_LOADED;
		whole = search(&s);
		/* What was read is read before the generation is looked at again. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (whole && spd_memory_generation(m) == s.generation) {
			*found = s.best;
			*generation = s.generation;
			return XESP_DROP_NONE;
		}
	}
	return XESP_DROP_STALE_MAPS;
}

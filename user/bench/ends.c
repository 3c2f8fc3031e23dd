/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ends.c - see ends.h. Memory that xespd has from BPF maps is mapped here in pages of the same size, for what
 * the TLB makes of it is part of the cost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/ends.h"
#include "crypto/engine.h"
#include "esp/esp.h"
#include "libxesp/addr.h"
#include "libxesp/line.h"
#include "libxesp/secret.h"
#include "xesp/fault.h"

/* How xesp/spd_search.h reaches memory; here for its hash alone. */
#define spd_slot_at(m, i) (&(m)->slots[i])
#define spd_entry_at(m, i) (&(m)->entries[i])
#define spd_rule_at(m, i) (&(m)->rules[i])
#include "xesp/spd_search.h"

#define SPI_FIRST 0x1000u
#define REPLAY_WORDS (ENDS_WINDOW / 64)
#define GENERATION 1u
#define TUPLE 1u

uint32_t ends_host(uint32_t pair)
{
	return htonl(10u << 24 | (pair + 1));
}

uint32_t ends_other(void)
{
	return htonl(192u << 24 | 168u << 16 | 1);
}

static void *map(size_t n, size_t size)
{
	void *p = mmap(NULL, n * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, size_t n, size_t size)
{
	if (p)
		munmap(p, n * size);
}

/* ---- the inbound SPD: one kind of policies, host to host, written as keyd/spd_table.c does */

static int open_spd(struct spd_memory *m, uint32_t pairs)
{
	m->slots_n = 64;
	while (m->slots_n < 4 * pairs)
		m->slots_n *= 2;
	m->entries_n = m->rules_n = pairs + 1;
	m->conf = calloc(1, sizeof(*m->conf));
	m->head = calloc(2, sizeof(*m->head));
	m->tuples = calloc(2 * XESP_DIR_MAX * XESP_TUPLES_MAX, sizeof(*m->tuples));
	m->slots = map(XESP_SPD_ROOM(m->slots_n), sizeof(*m->slots));
	m->entries = map(m->entries_n, sizeof(*m->entries));
	m->rules = map(m->rules_n, sizeof(*m->rules));
	return m->conf && m->head && m->tuples && m->slots && m->entries && m->rules ? 0 : -ENOMEM;
}

static void close_spd(struct spd_memory *m)
{
	free(m->conf);
	free(m->head);
	free(m->tuples);
	unmap(m->slots, XESP_SPD_ROOM(m->slots_n), sizeof(*m->slots));
	unmap(m->entries, m->entries_n, sizeof(*m->entries));
	unmap(m->rules, m->rules_n, sizeof(*m->rules));
}

/* The filter behind the slots says that there is something with this hash. */
static void set_home(struct spd_memory *m, uint64_t h)
{
	const uint32_t home = (uint32_t)h & (m->slots_n - 1);
	spd_word *words = (spd_word *)&m->slots[m->slots_n];

	words[home / 64] |= 1ull << (home & 63);
}

static void add_policy(struct spd_memory *m, uint32_t pair)
{
	const uint32_t host = ends_host(pair), other = ends_other(), n = pair + 1;
	struct xesp_spd_entry *e = &m->entries[n];
	spd_word w[SPD_KEY_WORDS];
	uint64_t h;
	uint32_t at;

	addr_from_ip4(&e->key.remote, &host);
	addr_from_ip4(&e->key.local, &other);
	e->key.tuple = TUPLE;
	e->key.dir = XESP_DIR_IN;
	e->generation[0] = GENERATION;
	e->rule[0] = n;
	m->rules[n].generation[0] = GENERATION;
	m->rules[n].val[0] = (struct xesp_spd_val){ .rank = n, .policy = n, .tunnel = ends_in(pair),
						    .action = XESP_ACTION_PROTECT };
	memcpy(w, &e->key, sizeof(w));
	set_home(m, spd_hash_addrs(w));
	h = spd_hash(w);
	set_home(m, h);
	for (at = (uint32_t)h; m->slots[at & (m->slots_n - 1)].entry; at++)
		;
	m->slots[at & (m->slots_n - 1)] = (struct xesp_spd_slot){ .tag = (uint32_t)(h >> 32), .entry = n };
}

static int make_spd(struct ends *e)
{
	struct spd_memory *m = &e->spd;
	struct xesp_spd_tuple *t;

	if (open_spd(m, e->pairs))
		return -ENOMEM;
	m->head[GENERATION & 1] = (struct xesp_spd_head){ .generation = GENERATION,
							  .tuples_n[XESP_DIR_IN] = 1,
							  .default_action = XESP_ACTION_DISCARD };
	t = &m->tuples[((GENERATION & 1) * XESP_DIR_MAX + XESP_DIR_IN) * XESP_TUPLES_MAX];
	*t = (struct xesp_spd_tuple){ .generation = GENERATION, .best_rank = 1, .id = TUPLE,
				      .classes = (uint8_t)XESP_CLASS(4, XESP_FIELDS_KNOWN) };
	memset(&t->local_mask, 0xff, sizeof(t->local_mask));
	memset(&t->remote_mask, 0xff, sizeof(t->remote_mask));
	for (uint32_t k = 0; k < e->pairs; k++)
		add_policy(m, k);
	m->conf->generation = GENERATION;
	return 0;
}

/* ---- SAs */

static struct xesp_addr gateway(uint8_t last)
{
	const uint8_t ip[4] = { 192, 0, 2, last };
	struct xesp_addr a;

	addr_from_ip4(&a, ip);
	return a;
}

static void identify(struct ends *e, const struct xesp_keymsg_sa *m)
{
	struct xesp_sa_state *st = &e->st.sa[m->id];
	uint8_t fingerprint[SECRET_FINGERPRINT_LEN] = { 0 };

	secret_fingerprint(fingerprint, m->key, m->key_len, m->salt, m->salt_len);
	*st = (struct xesp_sa_state){ .name = "bench", .spi = m->spi, .dir = m->dir, .in_use = 1,
				      .esn = m->esn, .proto = m->proto, .window = m->window };
	if (m->dir == XESP_DIR_IN) {
		st->replay_off = m->id / 2 * REPLAY_WORDS;
		st->replay_words = REPLAY_WORDS;
	}
	memcpy(&st->fingerprint, fingerprint, sizeof(fingerprint));
}

static int add_pair(struct ends *e, uint32_t pair, struct fault *f)
{
	const struct xesp_addr a = gateway(1), b = gateway(2);
	struct xesp_keymsg_tunnel t = { .id = ends_out(pair), .sa_out = ends_out(pair), .name = "bench",
					.local = a, .remote = b, .mtu = 9216, .ttl = 64 };
	struct xesp_keymsg_sa sa = { .id = ends_out(pair), .tunnel = ends_out(pair),
				     .spi = htonl(SPI_FIRST + pair), .dir = XESP_DIR_OUT, .esn = 1,
				     .alg = XESP_ALG_AES_GCM_16, .key_len = 16, .salt_len = 4,
				     .proto = IPPROTO_ESP, .lease_first = 1, .lease_last = UINT32_MAX };
	int err;

	memcpy(sa.key, "a key of a bench", 16);
	memcpy(sa.key, &pair, sizeof(pair));
	identify(e, &sa);
	err = sad_tunnel_set(e->sad, &t, f);
	if (!err)
		err = sad_add(e->sad, &sa, f);
	t.id = ends_in(pair);
	t.sa_out = 0;
	t.local = b;
	t.remote = a;
	sa.id = sa.tunnel = t.id;
	sa.dir = XESP_DIR_IN;
	sa.lease_first = sa.lease_last = 0;
	sa.window = ENDS_WINDOW;
	identify(e, &sa);
	if (!err)
		err = sad_tunnel_set(e->sad, &t, f);
	return err ? err : sad_add(e->sad, &sa, f);
}

int ends_open(struct ends *e, uint32_t pairs, const struct engine *engine, struct fault *f)
{
	int err;

	*e = (struct ends){ .pairs = pairs };
	e->st = (struct sad_state){ .max_sas = 2 * pairs + 1, .max_policies = 1,
				    .replay_words = (pairs + 2) * REPLAY_WORDS, .spd = &e->spd };
	e->st.sa = map(e->st.max_sas, sizeof(*e->st.sa));
	e->st.replay = map(e->st.replay_words, sizeof(*e->st.replay));
	e->st.policy = line_alloc(sizeof(*e->st.policy));
	e->st.worker = line_alloc(XESP_WORKERS_MAX * sizeof(*e->st.worker)); /* as the map is mapped */
	if (!e->st.sa || !e->st.replay || !e->st.policy || !e->st.worker || make_spd(e))
		return fault_set(f, -ENOMEM, "out of memory");
	err = sad_open(&e->sad, &e->st, ENDS_WORKERS, engine, f);
	for (uint32_t k = 0; !err && k < pairs; k++)
		err = add_pair(e, k, f);
	return err ? err : esp_worker_open(&e->w, e->sad, 0, f);
}

void ends_close(struct ends *e)
{
	esp_worker_close(e->w);
	sad_close(e->sad);
	close_spd(&e->spd);
	unmap(e->st.sa, e->st.max_sas, sizeof(*e->st.sa));
	unmap(e->st.replay, e->st.replay_words, sizeof(*e->st.replay));
	free(e->st.policy);
	free(e->st.worker);
}

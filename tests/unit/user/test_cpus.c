/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Outbound SAs that are one CPU's own, RFC 9611: which worker sends on which, and that what a CPU has not, or has no
 * more, goes by the tunnel's SA for all.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp/wire.h"
#include "libxesp/addr.h"
#include "sad/acquire.h"
#include "sad/cpus.h"
#include "sad/peer.h"
#include "sad/sa.h"
#include "sad/tunnel.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SPI_OF(id) (0x1000u + (id))
#define NONE 0xffffffffu
#define SA_MAX 16

static const struct pair_opts defaults;

/* ---- the table */

static void resolves(void)
{
	static const struct {
		const char *what;
		uint32_t n;
		struct xesp_keymsg_cpu cpu[3];
		int err;
		uint32_t want[4]; /* with the slow path's; all zero: no table */
	} rows[] = {
		{ "no CPU", 0, { { 0, 0 } }, 0, { 0 } },
		{ "one", 1, { { 4, 7 } }, 0, { 0, 7 } },
		{ "all, in any order", 3, { { 9, 3 }, { 2, 1 }, { 4, 2 } }, 0, { 1, 2, 3 } },
		{ "CPUs that no worker is on", 2, { { 0, 1 }, { 3, 2 } }, 0, { 0 } },
		{ "one of them, and one of ours", 2, { { 0, 1 }, { 9, 2 } }, 0, { 0, 0, 2 } },
		{ "the slow path's index is no CPU", 1, { { 3, 1 } }, 0, { 0 } },
		{ "one CPU twice", 2, { { 4, 1 }, { 4, 2 } }, -EINVAL, { 0 } },
		{ "twice, and nobody's", 2, { { 7, 1 }, { 7, 2 } }, -EINVAL, { 0 } },
		{ "an SA id of 0", 1, { { 4, 0 } }, -EINVAL, { 0 } },
		{ "an SA id beyond the last", 1, { { 4, SA_MAX } }, -EINVAL, { 0 } },
	};
	struct cpus c;

	cpus_init(&c, 3);
	CU_ASSERT_TRUE(c.of[0] == 0 && c.of[1] == 1 && c.of[2] == 2);
	c.of[0] = 2;
	c.of[1] = 4;
	c.of[2] = 9;
	for (size_t i = 0; i < LEN(rows); i++) {
		uint32_t *table = NULL, *copy = NULL, sum = 0;
		struct fault f = { "" };
		struct xesp_keymsg_tunnel_set m = { .tunnel = { .cpus_n = (uint8_t)rows[i].n } };
		int err;

		memcpy(m.cpu, rows[i].cpu, sizeof(rows[i].cpu));
		err = cpus_resolve(&c, &m.tunnel, SA_MAX, &table, &f);
		for (uint32_t w = 0; w < 4; w++)
			sum += rows[i].want[w];
		if (err != rows[i].err || !table != !sum || (table && memcmp(table, rows[i].want, 16))) {
			fprintf(stderr, "%s: %d %s\n", rows[i].what, err, f.text);
			CU_FAIL("table");
		}
		CU_ASSERT_EQUAL(cpus_copy(&c, table, &copy), 0);
		CU_ASSERT_TRUE(!copy == !table && (!copy || !memcmp(copy, table, 16)));
		free(table);
		free(copy);
	}
}

static void takes_so_many(void)
{
	struct {
		struct xesp_keymsg_tunnel tunnel;
		struct xesp_keymsg_cpu cpu[XESP_CPUS_MAX + 1];
	} m = { .tunnel = { .cpus_n = XESP_CPUS_MAX + 1 } };
	struct fault f = { "" };
	uint32_t *table;
	struct cpus c;

	cpus_init(&c, XESP_QUEUES_MAX);
	for (uint32_t i = 0; i < LEN(m.cpu); i++)
		m.cpu[i] = (struct xesp_keymsg_cpu){ i, i + 1 };
	CU_ASSERT_EQUAL(cpus_resolve(&c, &m.tunnel, 1000, &table, &f), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "65 CPUs; 64"));
	m.tunnel.cpus_n = XESP_CPUS_MAX;
	CU_ASSERT_EQUAL_FATAL(cpus_resolve(&c, &m.tunnel, 1000, &table, &f), 0);
	for (uint32_t w = 0; w < XESP_QUEUES_MAX; w++)
		CU_ASSERT_EQUAL(table[w], w + 1);
	CU_ASSERT_EQUAL(table[XESP_QUEUES_MAX], 0);
	free(table);
}

/* ---- packets */

static void add_sa(struct pair *p, uint32_t id, uint64_t hard_packets)
{
	struct xesp_keymsg_sa sa = p->out;

	sa.id = id;
	sa.spi = htonl(SPI_OF(id));
	sa.key[0] ^= (uint8_t)id;
	sa.hard_packets = hard_packets;
	pair_identify(p, &sa, 0, 0);
	CU_ASSERT_EQUAL_FATAL(sad_add(p->sad, &sa, NULL), 0);
}

/* Tunnel 1 sends on SA 1, and CPUs on these. */
static int tell(struct pair *p, const struct xesp_keymsg_cpu *cpu, uint8_t n)
{
	struct xesp_keymsg_tunnel_set m = { .tunnel = p->tunnel_out };

	m.tunnel.cpus_n = n;
	memcpy(m.cpu, cpu, n * sizeof(*cpu));
	return sad_tunnel_set(p->sad, &m.tunnel, NULL);
}

/* The SPI under which this worker sends a packet; NONE: it dropped it. */
static uint32_t sends(struct pair *p, uint32_t worker)
{
	struct esp_worker *w = p->w;
	struct frame *f = calloc(1, sizeof(*f));
	struct batch *b = calloc(1, sizeof(*b));
	uint32_t spi;

	if (worker != PAIR_MAIN)
		CU_ASSERT_EQUAL_FATAL(esp_worker_open(&w, p->sad, worker, NULL), 0);
	b->n = 1;
	b->pkt[0] = pair_make(f, 4, 100);
	esp_encap(w, b);
	spi = b->pkt[0].drop ? NONE : wire_get32(b->pkt[0].l3 + b->pkt[0].l4_off);
	if (worker != PAIR_MAIN)
		esp_worker_close(w);
	free(b);
	free(f);
	return spi;
}

static void each_its_own(void)
{
	static const struct xesp_keymsg_cpu both[] = { { 0, 5 }, { 1, 6 } }, next[] = { { 0, 7 }, { 1, 6 } };
	struct pair p;

	pair_open(&p, &defaults);
	for (uint32_t id = 5; id <= 7; id++)
		add_sa(&p, id, 0);
	for (uint32_t w = 0; w < PAIR_WORKERS; w++)
		CU_ASSERT_EQUAL(sends(&p, w), PAIR_SPI); /* they are there, and not in use yet */
	CU_ASSERT_EQUAL_FATAL(tell(&p, both, 2), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), SPI_OF(5));
	CU_ASSERT_EQUAL(sends(&p, 1), SPI_OF(6));
	CU_ASSERT_EQUAL(sends(&p, 2), PAIR_SPI);
	CU_ASSERT_EQUAL(sends(&p, PAIR_MAIN), PAIR_SPI); /* the slow path is on no CPU */
	/* Each counts by itself. */
	CU_ASSERT_EQUAL(sends(&p, 0), SPI_OF(5));
	CU_ASSERT_EQUAL(p.st.sa[5].seq_next, 3);
	CU_ASSERT_EQUAL(p.st.sa[6].seq_next, 2);
	CU_ASSERT_EQUAL(p.st.sa[5].packets, 2);
	/* Make before break, of one CPU alone. */
	CU_ASSERT_EQUAL_FATAL(tell(&p, next, 2), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), SPI_OF(7));
	CU_ASSERT_EQUAL(sends(&p, 1), SPI_OF(6));
	/* And back to one for all. */
	CU_ASSERT_EQUAL_FATAL(tell(&p, next, 0), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), PAIR_SPI);
	CU_ASSERT_EQUAL(sends(&p, 1), PAIR_SPI);
	pair_close(&p);
}

/* Whatever keeps one's own SA from sending, the one for all does. */
static void falls_back(void)
{
	static const struct xesp_keymsg_cpu cpu[] = { { 0, 5 }, { 1, 6 }, { 2, 7 } };
	struct xesp_keymsg_tunnel no_common;
	struct pair p;

	pair_open(&p, &defaults);
	CU_ASSERT_EQUAL_FATAL(tell(&p, cpu, 3), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), PAIR_SPI); /* not there yet */
	add_sa(&p, 5, 0);
	add_sa(&p, 6, 2);
	add_sa(&p, 7, 0);
	CU_ASSERT_EQUAL(sends(&p, 0), SPI_OF(5));
	CU_ASSERT_EQUAL(sad_del(p.sad, 5, NULL), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), PAIR_SPI);
	/* The end of its life. */
	CU_ASSERT_EQUAL(sends(&p, 1), SPI_OF(6));
	CU_ASSERT_EQUAL(sends(&p, 1), SPI_OF(6));
	CU_ASSERT_EQUAL(sends(&p, 1), NONE); /* the packet by which it is seen */
	CU_ASSERT_EQUAL(sends(&p, 1), PAIR_SPI);
	/* The end of its numbers. */
	p.st.sa[7].lease_end = 0xffffffff;
	p.st.sa[7].seq_next = 0xffffffff;
	CU_ASSERT_EQUAL(sends(&p, 2), SPI_OF(7));
	CU_ASSERT_EQUAL(sends(&p, 2), PAIR_SPI);
	/* An id that went to an SA of another tunnel, and to an inbound one. */
	add_sa(&p, 5, 0);
	p.out.tunnel = PAIR_TUNNEL_IN;
	add_sa(&p, 5, 0);
	p.out.tunnel = PAIR_TUNNEL_OUT;
	CU_ASSERT_EQUAL(sends(&p, 0), PAIR_SPI);
	CU_ASSERT_EQUAL_FATAL(tell(&p, &(struct xesp_keymsg_cpu){ 0, PAIR_SA_IN }, 1), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), PAIR_SPI);
	/* One's own does without the one for all; who has none drops. */
	no_common = p.tunnel_out;
	p.tunnel_out.sa_out = 0;
	add_sa(&p, 8, 0);
	CU_ASSERT_EQUAL_FATAL(tell(&p, &(struct xesp_keymsg_cpu){ 0, 8 }, 1), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), SPI_OF(8));
	CU_ASSERT_EQUAL(sends(&p, 1), NONE);
	p.tunnel_out = no_common;
	pair_close(&p);
}

/* The number of a CPU that a worker is pinned to, instead of its own. */
static void pinned_elsewhere(void)
{
	static const struct xesp_keymsg_cpu cpu[] = { { 0, 5 }, { 9, 6 } };
	struct pair p;

	pair_open(&p, &defaults);
	sad_set_cpu(p.sad, 0, 8);
	sad_set_cpu(p.sad, 1, 9);
	add_sa(&p, 5, 0);
	add_sa(&p, 6, 0);
	CU_ASSERT_EQUAL_FATAL(tell(&p, cpu, 2), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), PAIR_SPI);
	CU_ASSERT_EQUAL(sends(&p, 1), SPI_OF(6));
	CU_ASSERT_EQUAL(tell(&p, &(struct xesp_keymsg_cpu){ 1, PAIR_SAS }, 1), -EINVAL);
	CU_ASSERT_EQUAL(sends(&p, 1), SPI_OF(6)); /* as before */
	pair_close(&p);
}

/* A thread that helps with the crypto takes its own context of the key, and the SA is its owner's. */
static void helped_by_another(void)
{
	struct frame *f = calloc(1, sizeof(*f));
	struct batch *b = calloc(1, sizeof(*b));
	struct esp_worker *w;
	struct xesp_keymsg_sa in;
	struct pair p;

	pair_open(&p, &defaults);
	add_sa(&p, 5, 0);
	add_sa(&p, 6, 0);
	CU_ASSERT_EQUAL_FATAL(tell(&p, (const struct xesp_keymsg_cpu[]){ { 0, 5 }, { 1, 6 } }, 2), 0);
	CU_ASSERT_EQUAL_FATAL(esp_worker_open(&w, p.sad, 0, NULL), 0);
	b->n = 1;
	b->pkt[0] = pair_make(f, 4, 100);
	esp_prepare(w, b, XESP_DIR_OUT);
	esp_crypt(w, b, XESP_DIR_OUT, 1);
	esp_finish(w, b);
	CU_ASSERT_EQUAL(b->pkt[0].drop, XESP_DROP_NONE);
	CU_ASSERT_EQUAL(wire_get32(b->pkt[0].l3 + b->pkt[0].l4_off), SPI_OF(5));
	/* It is under that SA's key. */
	in = p.in;
	in.id = 9; /* for the worker may hold what has another id */
	in.spi = htonl(SPI_OF(5));
	in.key[0] ^= 5;
	pair_identify(&p, &in, 16, 2);
	CU_ASSERT_EQUAL_FATAL(sad_add(p.sad, &in, NULL), 0);
	pair_turn(&b->pkt[0]);
	b->pkt[0].id = in.id;
	CU_ASSERT_EQUAL(pair_decap(&p, &b->pkt[0]), XESP_DROP_NONE);
	esp_worker_close(w);
	pair_close(&p);
	free(b);
	free(f);
}

static void note(void *ctx, const struct acquire_note *n)
{
	char *told = ctx;
	size_t used = strlen(told);

	snprintf(told + used, 64 - used, "tunnel %u policy %u worker %u;", n->tunnel, n->policy, n->worker);
}

/* A worker whose CPU has no SA of its own asks, where the tunnel says so; its packets do not wait. */
static void asks_for_its_own(void)
{
	const struct xesp_keymsg_cpu cpu = { 0, 5 };
	char told[64] = "";
	struct pair p;

	pair_open(&p, &defaults);
	p.tunnel_out.cpu_acquire = 1;
	add_sa(&p, 5, 1);
	CU_ASSERT_EQUAL_FATAL(tell(&p, &cpu, 1), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), SPI_OF(5));
	CU_ASSERT_EQUAL(sends(&p, PAIR_MAIN), PAIR_SPI);
	CU_ASSERT_EQUAL(sends(&p, 0), NONE);
	CU_ASSERT_EQUAL(sends(&p, 0), PAIR_SPI); /* at its end: who rekeys knows already */
	sad_tell_acquires(p.sad, note, told);
	CU_ASSERT_STRING_EQUAL(told, "");
	CU_ASSERT_EQUAL(sends(&p, 2), PAIR_SPI);
	CU_ASSERT_EQUAL(sends(&p, 2), PAIR_SPI);
	sad_tell_acquires(p.sad, note, told);
	CU_ASSERT_STRING_EQUAL(told, "tunnel 1 policy 3 worker 2;");
	told[0] = '\0';
	/* Nobody has one yet. */
	CU_ASSERT_EQUAL_FATAL(tell(&p, &cpu, 0), 0);
	CU_ASSERT_EQUAL(sends(&p, 0), PAIR_SPI);
	sad_tell_acquires(p.sad, note, told);
	CU_ASSERT_STRING_EQUAL(told, "tunnel 1 policy 3 worker 0;");
	told[0] = '\0';
	p.tunnel_out.cpu_acquire = 0;
	CU_ASSERT_EQUAL_FATAL(tell(&p, &cpu, 1), 0);
	CU_ASSERT_EQUAL(sends(&p, 1), PAIR_SPI);
	sad_tell_acquires(p.sad, note, told);
	CU_ASSERT_STRING_EQUAL(told, "");
	pair_close(&p);
}

/* A tunnel that follows its peer elsewhere is built anew: CPUs keep their SAs. */
static void follows_its_peer(void)
{
	const struct pair_opts o = { .natt = { .encap = XESP_ENCAP_UDP, .local_port = htons(4500),
					       .remote_port = htons(4500), .peer_port = htons(4500),
					       .follow_peer = 1 } };
	struct xesp_addr moved;
	struct pair p;

	pair_open(&p, &o);
	add_sa(&p, 5, 0);
	addr_parse(&p.tunnel_out.natt.peer, "192.0.2.2", NULL);
	CU_ASSERT_EQUAL_FATAL(tell(&p, &(struct xesp_keymsg_cpu){ 0, 5 }, 1), 0);
	addr_parse(&moved, "192.0.2.77", NULL);
	peer_see(sad_peers(p.sad), PAIR_TUNNEL_OUT, &moved, htons(1234));
	CU_ASSERT_EQUAL(sad_move_peers(p.sad), 1);
	CU_ASSERT_EQUAL(sad_tunnel(p.sad, PAIR_TUNNEL_OUT)->as_told.natt.peer_port, htons(1234));
	CU_ASSERT_EQUAL(sends(&p, 0), SPI_OF(5));
	CU_ASSERT_EQUAL(sends(&p, 1), PAIR_SPI);
	pair_close(&p);
}

CU_TestInfo cpus_tests[] = {
	{ "CPUs become a table by worker", resolves },
	{ "64 CPUs, and no more", takes_so_many },
	{ "each worker sends on its CPU's SA, the others and the slow path on the one for all", each_its_own },
	{ "one's own SA that is gone or at its end leaves its packets to the one for all", falls_back },
	{ "a worker's number is its CPU's", pinned_elsewhere },
	{ "who helps with the crypto changes nothing", helped_by_another },
	{ "a CPU without one asks for one, where that is wanted", asks_for_its_own },
	{ "a peer that moves", follows_its_peer },
	CU_TEST_INFO_NULL,
};

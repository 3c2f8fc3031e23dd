/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker's SAD: what is refused, what replaces what, and what is freed when. */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "crypto/engine.h"
#include "sad/sa.h"
#include "sad/tunnel.h"
#include "tests/pair/pair.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct pair_opts defaults;

/* One thing wrong with a message that is otherwise good, the state's identity following it. */
enum wrong {
	W_ID_ZERO, W_ID_HIGH, W_TUNNEL_ZERO, W_TUNNEL_HIGH, W_SPI, W_ALG, W_ALG_NONE, W_KEY_LEN,
	W_SALT_LEN, W_DIR, W_ESN, W_PROTO, W_WINDOW_SMALL, W_WINDOW_LARGE, W_WINDOW_RING,
	W_NO_CIPHER_NO_ICV, W_CIPHER_NO_ICV, W_AEAD_AND_ICV, W_AUTH_KEY_LEN, W_KEYS_LONG, W_AH,
	W_LEASE_ZERO, W_LEASE_ORDER, W_LEASE_END
};

static const struct {
	enum wrong wrong;
	const char *said;
} wrongs[] = {
	{ W_ID_ZERO, "SA id 0" }, { W_ID_HIGH, "SA id 64" }, { W_TUNNEL_ZERO, "tunnel id 0" },
	{ W_TUNNEL_HIGH, "tunnel id 64" }, { W_SPI, "SPI 255 is reserved" },
	{ W_ALG, "algorithm 99" }, { W_ALG_NONE, "algorithm 0" }, { W_KEY_LEN, "keys of 20 and 0" },
	{ W_SALT_LEN, "salt of 8" }, { W_DIR, "direction 2" }, { W_ESN, "ESN 2" },
	{ W_PROTO, "protocol 17" },
	{ W_WINDOW_SMALL, "window of 31" }, { W_WINDOW_LARGE, "window of 65537" },
	{ W_WINDOW_RING, "do not hold a window of 129" },
	{ W_NO_CIPHER_NO_ICV, "with integrity 0" }, { W_CIPHER_NO_ICV, "with integrity 0" },
	{ W_AEAD_AND_ICV, "with integrity 1" }, { W_AUTH_KEY_LEN, "keys of 16 and 31" },
	{ W_KEYS_LONG, "keys of 16 and 255" }, { W_AH, "algorithm 0" },
	{ W_LEASE_ZERO, "numbers 0 to 9" }, { W_LEASE_ORDER, "numbers 9 to 8" },
	{ W_LEASE_END, "numbers 1 to 4294967296" },
};

static void spoil(struct pair *p, struct xesp_keymsg_sa *m, enum wrong wrong)
{
	bool out = wrong >= W_LEASE_ZERO;

	*m = out ? p->out : p->in;
	m->id = 9; /* an id that nobody has yet */
	switch (wrong) {
	case W_ID_ZERO: m->id = 0; break;
	case W_ID_HIGH: m->id = PAIR_SAS; break;
	case W_TUNNEL_ZERO: m->tunnel = 0; break;
	case W_TUNNEL_HIGH: m->tunnel = PAIR_SAS; break;
	case W_SPI: m->spi = htonl(255); break;
	case W_ALG: m->alg = 99; break;
	case W_ALG_NONE: m->alg = 0; break;
	case W_KEY_LEN: m->key_len = 20; break;
	case W_SALT_LEN: m->salt_len = 8; break;
	case W_NO_CIPHER_NO_ICV: m->alg = XESP_ALG_NULL; m->key_len = m->salt_len = 0; break;
	case W_CIPHER_NO_ICV: m->alg = XESP_ALG_AES_CBC; m->salt_len = 0; break;
	case W_AEAD_AND_ICV: m->auth = XESP_AUTH_HMAC_SHA2_256_128; break;
	case W_AUTH_KEY_LEN: m->alg = XESP_ALG_AES_CTR; m->auth = 1; m->auth_key_len = 31; break;
	case W_KEYS_LONG: m->alg = XESP_ALG_AES_CTR; m->auth = 1; m->auth_key_len = 255; break;
	case W_AH: m->alg = 0; m->auth = 1; m->key_len = 0; m->auth_key_len = 32; break;
	case W_DIR: m->dir = 2; break;
	case W_ESN: m->esn = 2; break;
	case W_PROTO: m->proto = IPPROTO_UDP; break;
	case W_WINDOW_SMALL: m->window = 31; break;
	case W_WINDOW_LARGE: m->window = 65537; break;
	case W_WINDOW_RING: m->window = 129; break;
	case W_LEASE_ZERO: m->lease_first = 0; m->lease_last = 9; break;
	case W_LEASE_ORDER: m->lease_first = 9; m->lease_last = 8; break;
	case W_LEASE_END: m->lease_first = 1; m->lease_last = 0x100000000; break;
	}
	if (m->id && m->id < PAIR_SAS && wrong != W_KEYS_LONG) /* such a key is in no buffer */
		pair_identify(p, m, 32, 2);
}

static void refuses_values(void)
{
	struct xesp_keymsg_sa m;
	struct pair p;

	pair_open(&p, &defaults);
	for (size_t i = 0; i < LEN(wrongs); i++) {
		struct fault f = { "" };
		int err;

		spoil(&p, &m, wrongs[i].wrong);
		err = sad_add(p.sad, &m, &f);
		if (err != -EINVAL || !strstr(f.text, wrongs[i].said))
			fprintf(stderr, "%s: %d '%s'\n", wrongs[i].said, err, f.text);
		CU_ASSERT_EQUAL(err, -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(f.text, wrongs[i].said));
		CU_ASSERT_PTR_NULL(sad_find(p.sad, 9));
	}
	CU_ASSERT_EQUAL(sad_count(p.sad), 2);
	pair_close(&p);
}

/*
 * What an SA takes beside the engine's key schedules, for a worker, the slow path and a helper: below 1 KiB with a window of
 * 2048, and on average of a tunnel's two with keyd's default. Not only as it is said: SAs lie that far from each other.
 */
static void takes_little_memory(void)
{
	const struct sa *a, *b;
	struct pair p;

	CU_ASSERT(sa_bytes(3, 2048 / 64) < 1024);
	CU_ASSERT(sa_bytes(3, 0) + sa_bytes(3, XESP_WINDOW_DEFAULT / 64) < 2 * 1024);
	CU_ASSERT_EQUAL(sa_bytes(3, 0), 704);
	pair_open(&p, &defaults);
	a = sad_find(p.sad, PAIR_SA_IN);
	b = sad_find(p.sad, PAIR_SA_OUT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
#if !defined(__SANITIZE_ADDRESS__)
	/* The two are neighbours in their arena. */
	CU_ASSERT_EQUAL((size_t)(a > b ? (const char *)a - (const char *)b : (const char *)b - (const char *)a),
			sa_bytes(PAIR_WORKERS, 0) - sizeof(struct sa_shared) - sizeof(struct xesp_sa_state));
#endif
	CU_ASSERT_EQUAL((uintptr_t)&a->state % 64, 0);
	CU_ASSERT_EQUAL((uintptr_t)a->shared % 64, 0);
	CU_ASSERT_EQUAL(&a->shared[b->id] - &a->shared[a->id], (ptrdiff_t)b->id - a->id);
	pair_close(&p);
}

static void refuses_ring_outside(void)
{
	static const struct {
		uint32_t off, words;
		int err;
	} rings[] = {
		{ PAIR_WORDS - 2, 2, 0 }, { PAIR_WORDS - 1, 2, -EINVAL }, { PAIR_WORDS, 2, -EINVAL },
		{ UINT32_MAX, 2, -EINVAL }, { 0, 0, -EINVAL }, { 0, 3, -EINVAL }, { 0, 1, 0 },
		{ 0, 0x80000000, -EINVAL }, { 0, PAIR_WORDS, 0 },
	};
	struct pair p;

	pair_open(&p, &defaults);
	for (size_t i = 0; i < LEN(rings); i++) {
		struct xesp_keymsg_sa m = p.in;

		m.id = 9;
		pair_identify(&p, &m, rings[i].off, rings[i].words);
		CU_ASSERT_EQUAL(sad_add(p.sad, &m, NULL), rings[i].err);
	}
	pair_close(&p);
}

static void refuses_identities(void)
{
	struct pair p;

	pair_open(&p, &defaults);
	for (int i = 0; i < 7; i++) {
		struct xesp_keymsg_sa m = p.in;
		struct xesp_sa_state *st = &p.st.sa[9];
		struct fault f = { "" };

		m.id = 9;
		pair_identify(&p, &m, 32, 2);
		st->in_use = i != 0;
		st->spi ^= i == 1 ? htonl(1) : 0;
		st->dir ^= i == 2;
		st->esn ^= i == 3;
		st->proto ^= i == 6;
		st->fingerprint ^= i == 4;
		m.salt[0] ^= i == 5; /* the salt is of the key: it is in the fingerprint */
		CU_ASSERT_EQUAL(sad_add(p.sad, &m, &f), -EEXIST);
		CU_ASSERT_PTR_NOT_NULL(strstr(f.text, "of another SA"));
	}
	pair_close(&p);
}

/* An engine that counts the keys that are open. */
static int keys_open;

static struct engine_key *counting_open(const struct engine_key_spec *spec, struct fault *f)
{
	struct engine_key *k = engine_openssl.key_open(spec, f);

	__atomic_fetch_add(&keys_open, k != NULL, __ATOMIC_RELAXED);
	return k;
}

static void counting_close(struct engine_key *key)
{
	__atomic_fetch_sub(&keys_open, key != NULL, __ATOMIC_RELAXED);
	engine_openssl.key_close(key);
}

static struct engine counting(void)
{
	struct engine e = engine_openssl;

	keys_open = 0;
	e.key_open = counting_open;
	e.key_close = counting_close;
	return e;
}

static void freed_when_let_go(void)
{
	struct engine e = counting();
	struct sad *s;
	struct pair p;

	pair_open(&p, &defaults);
	CU_ASSERT_EQUAL_FATAL(sad_open(&s, &p.st, 3, &e, NULL), 0);
	CU_ASSERT_EQUAL(sad_add(s, &p.in, NULL), 0);
	CU_ASSERT_EQUAL(keys_open, 3);
	sad_idle(s, 0, false);
	CU_ASSERT_EQUAL(sad_add(s, &p.in, NULL), 0); /* by itself: nobody need wait */
	sad_reclaim(s);
	CU_ASSERT_EQUAL(keys_open, 6); /* worker 0 may hold the old one */
	sad_quiescent(s, 1);           /* idle: says nothing */
	sad_reclaim(s);
	CU_ASSERT_EQUAL(keys_open, 6);
	sad_quiescent(s, 0);
	sad_reclaim(s);
	CU_ASSERT_EQUAL(keys_open, 3);
	CU_ASSERT_EQUAL(sad_del(s, PAIR_SA_IN, NULL), 0);
	CU_ASSERT_EQUAL(sad_del(s, PAIR_SA_IN, NULL), -ENOENT);
	CU_ASSERT_PTR_NULL(sad_find(s, PAIR_SA_IN));
	sad_reclaim(s);
	CU_ASSERT_EQUAL(keys_open, 3);
	CU_ASSERT_EQUAL(sad_wait(s), -EBUSY);
	sad_idle(s, 0, true); /* asleep: holds nothing */
	CU_ASSERT_EQUAL(sad_wait(s), 0);
	sad_reclaim(s);
	CU_ASSERT_EQUAL(keys_open, 0);
	CU_ASSERT_EQUAL(sad_add(s, &p.in, NULL), 0);
	sad_close(s);
	CU_ASSERT_EQUAL(keys_open, 0);
	pair_close(&p);
}

/* A worker holds the SA until told: the id goes to another key only then. */
struct holder {
	struct sad *s;
	bool let_go, gone;
	pthread_t thread;
};

static void *hold(void *arg)
{
	struct holder *h = arg;

	while (!__atomic_load_n(&h->let_go, __ATOMIC_ACQUIRE))
		;
	__atomic_store_n(&h->gone, true, __ATOMIC_RELEASE);
	sad_quiescent(h->s, 0);
	return NULL;
}

static void *let_go_later(void *arg)
{
	struct holder *h = arg;

	/* The main thread has taken the SA away, and may not come back before `gone`. */
	while (sad_find(h->s, PAIR_SA_OUT))
		sched_yield();
	__atomic_store_n(&h->let_go, true, __ATOMIC_RELEASE);
	return NULL;
}

static void id_waits_for_holders(void)
{
	struct xesp_keymsg_sa other;
	struct holder h = { 0 };
	struct fault f = { "" };
	pthread_t timer;
	struct pair p;

	pair_open(&p, &defaults);
	h.s = p.sad;
	sad_idle(p.sad, 0, false);
	other = p.out;
	other.key[0] ^= 1;
	pair_identify(&p, &other, 0, 0);
	pthread_create(&h.thread, NULL, hold, &h);
	pthread_create(&timer, NULL, let_go_later, &h);
	CU_ASSERT_EQUAL(sad_add(p.sad, &other, &f), 0);
	CU_ASSERT_TRUE(__atomic_load_n(&h.gone, __ATOMIC_ACQUIRE));
	pthread_join(h.thread, NULL);
	pthread_join(timer, NULL);

	/* One that never lets go: refused, and the old SA is out of service all the same. */
	other.key[0] ^= 2;
	pair_identify(&p, &other, 0, 0);
	CU_ASSERT_EQUAL(sad_add(p.sad, &other, &f), -EBUSY);
	CU_ASSERT_PTR_NULL(sad_find(p.sad, PAIR_SA_OUT));
	pair_close(&p);
}

/* Packets through an SA that is replaced, deleted and added again beside them. */
struct sender {
	struct pair *p;
	bool stop;
	uint64_t sent, last;
	bool repeated;
	pthread_t thread;
};

static void *send_packets(void *arg)
{
	static struct frame f;
	static struct batch b;
	struct sender *t = arg;
	struct esp_worker *w;

	if (esp_worker_open(&w, t->p->sad, 0, NULL))
		return NULL;
	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		b.n = 1;
		b.pkt[0] = pair_make(&f, 4, 60);
		esp_encap(w, &b);
		if (b.pkt[0].drop == XESP_DROP_NONE) {
			t->repeated |= b.pkt[0].seq <= t->last;
			t->last = b.pkt[0].seq;
			__atomic_fetch_add(&t->sent, 1, __ATOMIC_RELAXED);
		}
		sad_quiescent(t->p->sad, 0);
	}
	esp_worker_close(w);
	return NULL;
}

static void replaced_under_traffic(void)
{
	/* As many numbers as there are: a busy machine may let the sender alone for seconds. */
	const struct pair_opts o = { .lease = UINT32_MAX };
	struct sender t = { 0 };
	struct pair p;

	pair_open(&p, &o);
	t.p = &p;
	pthread_create(&t.thread, NULL, send_packets, &t);
	for (int i = 0; i < 300; i++) {
		uint64_t before = __atomic_load_n(&t.sent, __ATOMIC_RELAXED);

		if (i % 10 == 0)
			CU_ASSERT_EQUAL(sad_del(p.sad, PAIR_SA_OUT, NULL), 0);
		CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, NULL), 0);
		CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_out, NULL), 0);
		sad_reclaim(p.sad);
		while (__atomic_load_n(&t.sent, __ATOMIC_RELAXED) < before + 3)
			sched_yield();
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	pthread_join(t.thread, NULL);
	CU_ASSERT_FALSE(t.repeated);
	CU_ASSERT_TRUE(t.sent > 900);
	CU_ASSERT_EQUAL(p.st.sa[PAIR_SA_OUT].packets, t.sent);
	pair_close(&p);
}

/* xespd restarts: the maps hold numbers and windows; keyd sends the same SAs again. */
static void goes_on_after_restart(void)
{
	static struct frame f, replay;
	struct pkt pkt, again;
	struct fault fault = { "" };
	struct pair p;
	uint64_t last;

	pair_open(&p, &defaults);
	pkt = pair_make(&f, 4, 60);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
	replay = f;
	again = pkt;
	again.l3 = replay.bytes + (pkt.l3 - f.bytes);
	again.head = replay.bytes;
	again.end = replay.bytes + sizeof(replay.bytes);
	pair_turn(&pkt);
	pair_turn(&again);
	CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
	last = p.st.sa[PAIR_SA_OUT].seq_next;

	esp_worker_close(p.w);
	sad_close(p.sad);
	CU_ASSERT_EQUAL(sad_open(&p.sad, &p.st, PAIR_WORKERS, &engine_openssl, &fault), 0);
	CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_out, NULL), 0);
	CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_in, NULL), 0);
	CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, NULL), 0);
	CU_ASSERT_EQUAL(sad_add(p.sad, &p.in, NULL), 0);
	CU_ASSERT_EQUAL(esp_worker_open(&p.w, p.sad, PAIR_MAIN, NULL), 0);
	CU_ASSERT_EQUAL(pair_decap(&p, &again), XESP_DROP_REPLAY_DUPLICATE);
	pkt = pair_make(&f, 4, 60);
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(pkt.seq, last);
	pair_close(&p);
}

static void sync_removes_the_rest(void)
{
	struct xesp_keymsg_tunnel got;
	struct pair p;

	pair_open(&p, &defaults);
	sad_sync_begin(p.sad);
	CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &p.tunnel_out, NULL), 0);
	CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(sad_find(p.sad, PAIR_SA_IN)); /* until the end */
	sad_sync_end(p.sad);
	CU_ASSERT_PTR_NOT_NULL(sad_find(p.sad, PAIR_SA_OUT));
	CU_ASSERT_PTR_NULL(sad_find(p.sad, PAIR_SA_IN));
	CU_ASSERT_TRUE(sad_tunnel_get(p.sad, PAIR_TUNNEL_OUT, &got));
	CU_ASSERT_EQUAL(memcmp(&got, &p.tunnel_out, sizeof(got)), 0);
	CU_ASSERT_FALSE(sad_tunnel_get(p.sad, PAIR_TUNNEL_IN, &got));
	CU_ASSERT_EQUAL(sad_count(p.sad), 1);
	pair_close(&p);
}

static void count_asked(void *ctx, uint32_t id)
{
	CU_ASSERT_EQUAL(id, PAIR_SA_OUT);
	(*(int *)ctx)++;
}

/* The keyd that was asked for a lease is gone; the next one is asked again. */
static void sync_asks_again(void)
{
	struct pair p;
	int asked = 0;

	pair_open(&p, &defaults);
	p.st.sa[PAIR_SA_OUT].seq_next = p.out.lease_last + 1;
	p.out.lease_first = p.out.lease_last = 0;
	CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, NULL), 0);
	sad_lease_wanted(p.sad, count_asked, &asked);
	sad_lease_wanted(p.sad, count_asked, &asked);
	CU_ASSERT_EQUAL(asked, 1);
	sad_sync_begin(p.sad);
	CU_ASSERT_EQUAL(sad_add(p.sad, &p.out, NULL), 0);
	sad_sync_end(p.sad);
	sad_lease_wanted(p.sad, count_asked, &asked);
	CU_ASSERT_EQUAL(asked, 2);
	pair_close(&p);
}

static void refuses_tunnels(void)
{
	struct pair p;

	pair_open(&p, &defaults);
	for (int i = 0; i < 12; i++) {
		struct xesp_keymsg_tunnel m = p.tunnel_out;

		switch (i) {
		case 0: m.id = 0; break;
		case 1: m.id = PAIR_SAS; break;
		case 2: m.sa_out = PAIR_SAS; break;
		case 3: m.dscp_in = 2; break;
		case 4: m.df = 3; break;
		case 5: m.dscp = 3; break;
		case 6: m.dscp_value = 64; break;
		case 7: m.ecn = 2; break;
		case 8: m.mtu = 127; break;
		case 9: m.mtu = 65536; break;
		case 10: memset(m.name, 'x', sizeof(m.name)); break;
		case 11: m.remote.w[0] = htonl(0x20010db8); break;
		}
		CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &m, NULL), -EINVAL);
	}
	CU_ASSERT_EQUAL(sad_tunnel_del(p.sad, 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(sad_tunnel_del(p.sad, 5, NULL), -ENOENT);
	CU_ASSERT_EQUAL(sad_tunnel_del(p.sad, PAIR_TUNNEL_OUT, NULL), 0);
	pair_close(&p);
}

static void mtu_rows(void)
{
	static const struct {
		uint32_t told, path, want;
	} rows[] = {
		{ 0, 0, TUNNEL_MTU_UNKNOWN }, { 0, 9000, 9000 }, { 1400, 0, 1400 },
		{ 1400, 1500, 1400 }, { 1400, 1300, 1300 }, { 0, 60, 128 }, { 0, 100000, 65535 },
	};
	struct pair p;

	pair_open(&p, &defaults);
	for (size_t i = 0; i < LEN(rows); i++) {
		struct xesp_keymsg_tunnel m = p.tunnel_out;

		m.mtu = rows[i].told;
		sad_tunnel_mtu(p.sad, m.id, rows[i].path);
		CU_ASSERT_EQUAL(sad_tunnel_set(p.sad, &m, NULL), 0); /* keeps the path's */
		CU_ASSERT_EQUAL(sad_tunnel(p.sad, m.id)->mtu, rows[i].want);
		sad_tunnel_mtu(p.sad, m.id, 0);
		sad_tunnel_mtu(p.sad, m.id, rows[i].path);
		CU_ASSERT_EQUAL(sad_tunnel(p.sad, m.id)->mtu, rows[i].want);
	}
	sad_tunnel_mtu(p.sad, PAIR_SAS, 1000);
	pair_close(&p);
}

CU_TestInfo sad_tests[] = {
	{ "values of an SA, one wrong at a time", refuses_values },
	{ "replay rings outside the map", refuses_ring_outside },
	{ "below 1 KiB of memory an SA", takes_little_memory },
	{ "a state of another SA is not touched", refuses_identities },
	{ "a replaced SA is freed when its last reader let go", freed_when_let_go },
	{ "an id goes to another key when nobody holds the old one", id_waits_for_holders },
	{ "an SA replaced under traffic repeats no number", replaced_under_traffic },
	{ "a restart goes on with numbers and windows", goes_on_after_restart },
	{ "a synchronisation removes what it did not name", sync_removes_the_rest },
	{ "a synchronisation asks for leases again", sync_asks_again },
	{ "values of a tunnel, one wrong at a time", refuses_tunnels },
	{ "the smaller MTU holds", mtu_rows },
	CU_TEST_INFO_NULL,
};

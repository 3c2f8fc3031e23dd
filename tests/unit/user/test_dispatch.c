/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One queue over many threads: order of the queue and of each flow, no packet lost, and keys that live as
 * long as a helper may use them. Real ESP both ways; the engine is openssl's, made slow at random.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "crypto/engine.h"
#include "tests/pair/pair.h"
#include "worker/crew.h"
#include "worker/dispatch.h"
#include "xesp/fault.h"

#define HELPERS 2 /* members 1 .. HELPERS, keys alike; member 0 is the owner */
#define CHUNKS 8
#define FRAMES 512
#define FLOWS 7
#define SIZE 120
#define PACKETS 30000u
#define BURST 32

/* ---- an engine that counts its keys, dawdles, and can be stopped at a gate */

static int keys_open; /* atomic */
static int gate;      /* atomic: 1 closed */
static int at_gate;   /* atomic: how many wait there */

static void nap(void)
{
	const struct timespec t = { .tv_nsec = 20000 };

	nanosleep(&t, NULL);
}

static void dawdle(const struct engine_job *jobs, size_t n)
{
	if (__atomic_load_n(&gate, __ATOMIC_ACQUIRE)) {
		__atomic_fetch_add(&at_gate, 1, __ATOMIC_ACQ_REL);
		while (__atomic_load_n(&gate, __ATOMIC_ACQUIRE))
			sched_yield();
		__atomic_fetch_sub(&at_gate, 1, __ATOMIC_ACQ_REL);
	}
	if (n && jobs[0].nonce[11] % 16 == 3)
		nap();
	else if (n && jobs[0].nonce[11] % 4 == 1)
		sched_yield();
}

static struct engine_key *slow_open(const struct engine_key_spec *spec, struct fault *f)
{
	__atomic_fetch_add(&keys_open, 1, __ATOMIC_RELAXED);
	return engine_openssl.key_open(spec, f);
}

static void slow_close(struct engine_key *key)
{
	if (key)
		__atomic_fetch_sub(&keys_open, 1, __ATOMIC_RELAXED);
	engine_openssl.key_close(key);
}

static void slow_encrypt(struct engine_job *jobs, size_t n)
{
	dawdle(jobs, n);
	engine_openssl.encrypt(jobs, n);
}

static void slow_decrypt(struct engine_job *jobs, size_t n)
{
	dawdle(jobs, n);
	engine_openssl.decrypt(jobs, n);
}

static const struct engine slow_engine = {
	.name = "slow", .version = "", .key_open = slow_open, .key_close = slow_close,
	.encrypt = slow_encrypt, .decrypt = slow_decrypt,
};

/* ---- helpers and owner */

struct helper {
	struct crew *crew;
	uint32_t member;
	int wake_fd;
	bool *stop;
	pthread_t thread;
};

struct bed {
	struct pair pair;
	struct crew *crew;
	struct lane *lane;
	struct dispatch d;
	struct esp_worker *esp; /* worker 0's */
	struct helper helper[HELPERS];
	bool stop; /* atomic */
	struct frame *frame;
	struct frame *free[FRAMES];
	uint32_t free_n;
};

static void *help(void *arg)
{
	struct helper *h = arg;
	struct pollfd p = { .fd = h->wake_fd, .events = POLLIN };
	uint64_t n;

	while (!__atomic_load_n(h->stop, __ATOMIC_ACQUIRE)) {
		if (crew_help(h->crew, h->member) || !crew_lie_down(h->crew, h->member))
			continue;
		if (poll(&p, 1, 100) > 0 && read(h->wake_fd, &n, sizeof(n)) < 0)
			abort();
		crew_get_up(h->crew, h->member);
	}
	return NULL;
}

static void bed_open(struct bed *b)
{
	const struct pair_opts o = { .lease = 10 * PACKETS };
	struct crew_member_opts m = { .wake_fd = -1 };
	struct dispatch_opts d = { .chunks_n = CHUNKS };

	memset(b, 0, sizeof(*b));
	keys_open = gate = at_gate = 0;
	pair_engine = &slow_engine;
	pair_open(&b->pair, &o);
	CU_ASSERT_EQUAL_FATAL(esp_worker_open(&b->esp, b->pair.sad, 0, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(crew_open(&b->crew, NULL), 0);
	b->lane = aligned_alloc(64, sizeof(*b->lane));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->lane);
	memset(b->lane, 0, sizeof(*b->lane));
	m.lane = b->lane;
	m.wake_fd = eventfd(0, EFD_NONBLOCK);
	CU_ASSERT_EQUAL(crew_join(b->crew, &m), 0);
	close(m.wake_fd); /* the owner never sleeps here */
	d.crew = b->crew;
	d.sad = b->pair.sad;
	d.esp = b->esp;
	d.lane = b->lane;
	CU_ASSERT_EQUAL_FATAL(dispatch_init(&b->d, &d, NULL), 0);
	b->frame = calloc(FRAMES, sizeof(*b->frame));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->frame);
	for (b->free_n = 0; b->free_n < FRAMES; b->free_n++)
		b->free[b->free_n] = &b->frame[b->free_n];
	for (uint32_t i = 0; i < HELPERS; i++) {
		struct helper *h = &b->helper[i];

		h->crew = b->crew;
		h->stop = &b->stop;
		h->wake_fd = eventfd(0, EFD_NONBLOCK);
		m = (struct crew_member_opts){ .keys = i + 1, .wake_fd = h->wake_fd };
		h->member = (uint32_t)crew_join(b->crew, &m);
		CU_ASSERT_EQUAL(h->member, i + 1);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&h->thread, NULL, help, h), 0);
	}
}

static void bed_close(struct bed *b)
{
	const uint64_t one = 1;

	CU_ASSERT_EQUAL(b->free_n, FRAMES); /* none lost, none twice */
	CU_ASSERT_EQUAL(b->d.free_n, CHUNKS);
	__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < HELPERS; i++) {
		if (write(b->helper[i].wake_fd, &one, sizeof(one)) < 0)
			abort();
		pthread_join(b->helper[i].thread, NULL);
		close(b->helper[i].wake_fd);
	}
	dispatch_fini(&b->d);
	crew_close(b->crew);
	free(b->lane);
	free(b->frame);
	esp_worker_close(b->esp);
	pair_close(&b->pair);
	pair_engine = &engine_openssl;
	CU_ASSERT_EQUAL(keys_open, 0);
}

static struct frame *frame_of(const struct pkt *p)
{
	return (struct frame *)p->head;
}

/* ---- flows: a packet says which it is of, and its place in it */

struct flows {
	uint32_t sent_all, done_all, dropped;
	uint32_t sent[FLOWS], due[FLOWS]; /* next number to be sent, and to come out */
	uint64_t seq;                     /* the last on the wire */
	uint32_t wrong;
	const bool *go_on; /* atomic; NULL: PACKETS are enough. Else more, while it says so */
};

static struct pkt make(struct bed *b, struct flows *f, struct frame *at)
{
	static struct frame model;
	static struct pkt p;
	const uint32_t flow = (f->sent_all * 2654435761u >> 16) % FLOWS;
	uint8_t *ip = at->bytes + PAIR_HEADROOM;

	(void)b;
	if (!p.len)
		p = pair_make(&model, 4, SIZE);
	memcpy(ip, model.bytes + PAIR_HEADROOM, SIZE);
	ip[21] = (uint8_t)flow;
	memcpy(ip + 28, &f->sent[flow], 4);
	f->sent[flow]++;
	f->sent_all++;
	return pair_clear(at, SIZE);
}

static bool is_enough(const struct flows *f)
{
	return f->sent_all >= PACKETS &&
	       (!f->go_on || !__atomic_load_n(f->go_on, __ATOMIC_ACQUIRE) || f->sent_all >= 9 * PACKETS);
}

static bool send_some(struct bed *b, struct flows *f)
{
	uint32_t n = 1 + f->sent_all * 7 % BURST;
	struct chunk *c;

	if (is_enough(f) || b->free_n < BURST)
		return false;
	c = dispatch_take(&b->d);
	if (!c)
		return false;
	c->dir = XESP_DIR_OUT;
	while (n--)
		c->batch.pkt[c->batch.n++] = make(b, f, b->free[--b->free_n]);
	dispatch_submit(&b->d, c);
	return true;
}

static void drop(struct bed *b, struct flows *f, const struct pkt *p)
{
	b->free[b->free_n++] = frame_of(p);
	f->done_all++;
	f->dropped++;
}

/* What came out of encapsulation comes in at the other end. */
static void turn_round(struct bed *b, struct flows *f, struct batch *from)
{
	struct chunk *c = dispatch_take(&b->d);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	c->dir = XESP_DIR_IN;
	for (uint32_t i = 0; i < from->n; i++) {
		struct pkt p = from->pkt[i];

		if (p.drop) {
			drop(b, f, &p);
			continue;
		}
		f->wrong += p.seq <= f->seq;
		f->seq = p.seq;
		pair_turn(&p);
		c->batch.pkt[c->batch.n++] = p;
	}
	if (c->batch.n)
		dispatch_submit(&b->d, c);
	else
		dispatch_put(&b->d, c);
}

static void come_out(struct bed *b, struct flows *f, const struct batch *from)
{
	for (uint32_t i = 0; i < from->n; i++) {
		const struct pkt *p = &from->pkt[i];
		uint32_t flow = p->l3[21], number;

		if (p->drop) {
			drop(b, f, p);
			continue;
		}
		memcpy(&number, p->l3 + 28, 4);
		/* Dropped ones are missing; none comes late. */
		f->wrong += p->len != SIZE || flow >= FLOWS || number < f->due[flow];
		f->due[flow] = number + 1;
		f->wrong += p->l3[SIZE - 1] != (uint8_t)((SIZE - 1) * 31);
		b->free[b->free_n++] = frame_of(p);
		f->done_all++;
	}
}

static bool finish_some(struct bed *b, struct flows *f)
{
	struct chunk *c = dispatch_finish(&b->d);
	struct batch batch;

	if (!c)
		return false;
	batch = c->batch;
	dispatch_put(&b->d, c);
	if (c->dir == XESP_DIR_OUT)
		turn_round(b, f, &batch);
	else
		come_out(b, f, &batch);
	return true;
}

static void quiesce(struct bed *b)
{
	if (dispatch_in_flight(&b->d))
		sad_quiescent_at(b->pair.sad, 0, dispatch_epoch(&b->d));
	else
		sad_quiescent(b->pair.sad, 0);
}

static void run_flows(struct bed *b, struct flows *f)
{
	uint32_t spins = 0;

	while (!is_enough(f) || f->done_all < f->sent_all) {
		bool any = finish_some(b, f);

		any |= send_some(b, f);
		quiesce(b);
		if (!any && !dispatch_work(&b->d))
			dispatch_wait(&spins);
	}
	sad_idle(b->pair.sad, 0, true);
}

static void test_order(void)
{
	static struct bed b;
	struct crew_counts help;
	struct flows f = { 0 };

	bed_open(&b);
	run_flows(&b, &f);
	CU_ASSERT_EQUAL(f.wrong, 0);
	CU_ASSERT_EQUAL(f.dropped, 0); /* a window of 64, hundreds under way: committed in order */
	CU_ASSERT_EQUAL(f.sent_all, f.done_all);
	CU_ASSERT_EQUAL(b.pair.st.sa[PAIR_SA_IN].packets, f.done_all);
	CU_ASSERT_EQUAL(b.pair.st.sa[PAIR_SA_IN].replay_top, f.done_all);
	CU_ASSERT_EQUAL(b.pair.st.sa[PAIR_SA_IN].lost, 0);
	for (uint32_t i = 1; i <= HELPERS; i++) {
		crew_count(b.crew, i, &help);
		CU_ASSERT(help.chunks > 0 && help.packets >= help.chunks);
	}
	CU_ASSERT(b.d.counts.own < b.d.counts.chunks);
	bed_close(&b);
}

/* ---- SAs come and go meanwhile */

struct owner {
	struct bed *b;
	struct flows f;
	bool go_on, done; /* atomic */
};

static void *own(void *arg)
{
	struct owner *o = arg;

	run_flows(o->b, &o->f);
	__atomic_store_n(&o->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void test_reload(void)
{
	static struct bed b;
	static struct owner o;
	uint32_t replaced = 0, deleted = 0;
	struct fault f = { "" };
	pthread_t thread;

	bed_open(&b);
	o = (struct owner){ .b = &b, .go_on = true, .f.go_on = &o.go_on };
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, own, &o), 0);
	while (!__atomic_load_n(&o.done, __ATOMIC_ACQUIRE)) {
		/* This one is the main thread now. Every seventh time they are gone for a while. */
		if (replaced % 7 == 3) {
			CU_ASSERT_EQUAL(sad_del(b.pair.sad, PAIR_SA_IN, &f), 0);
			CU_ASSERT_EQUAL(sad_del(b.pair.sad, PAIR_SA_OUT, &f), 0);
			deleted++;
			nap();
		}
		b.pair.out.lease_first = b.pair.out.lease_last = 0; /* goes on behind what it had */
		CU_ASSERT_EQUAL(sad_add(b.pair.sad, &b.pair.out, &f), 0);
		CU_ASSERT_EQUAL(sad_add(b.pair.sad, &b.pair.in, &f), 0);
		CU_ASSERT_EQUAL(sad_tunnel_set(b.pair.sad, &b.pair.tunnel_out, &f), 0);
		CU_ASSERT_EQUAL(sad_tunnel_set(b.pair.sad, &b.pair.tunnel_in, &f), 0);
		sad_reclaim(b.pair.sad);
		if (++replaced == 30)
			__atomic_store_n(&o.go_on, false, __ATOMIC_RELEASE);
		nap();
	}
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(o.f.wrong, 0);
	CU_ASSERT_EQUAL(o.f.sent_all, o.f.done_all);
	CU_ASSERT(o.f.dropped < o.f.sent_all);
	CU_ASSERT_EQUAL(b.pair.st.worker[0].drops[XESP_DROP_NO_SA_OUT] +
			b.pair.st.worker[0].drops[XESP_DROP_NO_SA], o.f.dropped);
	CU_ASSERT(replaced > 10 && deleted > 0);
	sad_reclaim(b.pair.sad);
	CU_ASSERT_EQUAL(keys_open, 2 * PAIR_WORKERS); /* all replaced ones are wiped */
	bed_close(&b);
}

/* An SA is deleted while a helper is in the midst of its packets. */
static void test_key_in_use(void)
{
	static struct bed b;
	static struct flows f;
	struct chunk *c;
	uint32_t before;

	bed_open(&b);
	memset(&f, 0, sizeof(f));
	before = (uint32_t)keys_open;
	__atomic_store_n(&gate, 1, __ATOMIC_RELEASE);
	CU_ASSERT(send_some(&b, &f));
	while (!__atomic_load_n(&at_gate, __ATOMIC_ACQUIRE))
		sched_yield(); /* a helper has it */
	CU_ASSERT_EQUAL(sad_del(b.pair.sad, PAIR_SA_OUT, NULL), 0);
	for (int i = 0; i < 50; i++) {
		quiesce(&b); /* the owner goes on, with other packets */
		sad_reclaim(b.pair.sad);
	}
	CU_ASSERT_EQUAL((uint32_t)keys_open, before);
	CU_ASSERT_PTR_NULL(dispatch_finish(&b.d));
	/* The next chunk finds no SA. It does not let go of the first one's. */
	CU_ASSERT(send_some(&b, &f));
	quiesce(&b);
	sad_reclaim(b.pair.sad);
	CU_ASSERT_EQUAL((uint32_t)keys_open, before);
	__atomic_store_n(&gate, 0, __ATOMIC_RELEASE);
	while (!(c = dispatch_finish(&b.d)))
		sched_yield();
	CU_ASSERT_EQUAL(c->batch.pkt[0].drop, XESP_DROP_NONE);
	b.free[b.free_n++] = frame_of(&c->batch.pkt[0]);
	dispatch_put(&b.d, c);
	quiesce(&b); /* what is left was looked up after the deletion */
	sad_reclaim(b.pair.sad);
	CU_ASSERT_EQUAL((uint32_t)keys_open, before - PAIR_WORKERS);
	while (!(c = dispatch_finish(&b.d)))
		dispatch_work(&b.d);
	for (uint32_t i = 0; i < c->batch.n; i++) {
		CU_ASSERT_EQUAL(c->batch.pkt[i].drop, XESP_DROP_NO_SA_OUT);
		b.free[b.free_n++] = frame_of(&c->batch.pkt[i]);
	}
	dispatch_put(&b.d, c);
	bed_close(&b);
}

/* A number twice among packets that are under way together: both pass the first look. */
static void test_duplicate_under_way(void)
{
	static struct bed b;
	static struct flows f;
	struct batch esp;
	struct chunk *c;
	uint32_t good = 0, twice = 0;

	bed_open(&b);
	memset(&f, 0, sizeof(f));
	CU_ASSERT(send_some(&b, &f));
	while (!(c = dispatch_finish(&b.d)))
		dispatch_work(&b.d);
	esp = c->batch;
	dispatch_put(&b.d, c);
	CU_ASSERT_EQUAL_FATAL(esp.n, 1);
	pair_turn(&esp.pkt[0]);
	for (int i = 0; i < 2; i++) {
		struct pkt p = esp.pkt[0];
		struct frame *copy = b.free[--b.free_n];

		*copy = *frame_of(&p);
		p.l3 = copy->bytes + (p.l3 - p.head);
		p.head = copy->bytes;
		p.end = copy->bytes + sizeof(copy->bytes);
		c = dispatch_take(&b.d);
		c->dir = XESP_DIR_IN;
		c->batch.pkt[c->batch.n++] = p;
		dispatch_submit(&b.d, c);
	}
	for (int i = 0; i < 2; i++) {
		while (!(c = dispatch_finish(&b.d)))
			dispatch_work(&b.d);
		good += c->batch.pkt[0].drop == XESP_DROP_NONE && !i;
		twice += c->batch.pkt[0].drop == XESP_DROP_REPLAY_DUPLICATE && i;
		b.free[b.free_n++] = frame_of(&c->batch.pkt[0]);
		dispatch_put(&b.d, c);
	}
	CU_ASSERT_EQUAL(good, 1);
	CU_ASSERT_EQUAL(twice, 1);
	b.free[b.free_n++] = frame_of(&esp.pkt[0]);
	bed_close(&b);
}

CU_TestInfo dispatch_tests[] = {
	{ "both ways over three threads: order of queue and flows, none lost", test_order },
	{ "SAs and tunnels replaced and deleted under load: none lost, keys wiped", test_reload },
	{ "a key is not wiped while a helper uses it", test_key_in_use },
	{ "a number twice among packets under way together is accepted once", test_duplicate_under_way },
	CU_TEST_INFO_NULL,
};

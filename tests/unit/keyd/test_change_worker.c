/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_change_worker.c - changes while xespd is connected: the order in which it is told (make
 * before break), what a refusal of its takes back, and what an unchanged SA is spared.
 * xespd is a thread here that answers everything, and refuses the SPI it was told to.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keyd/lease.h"
#include "keyd/publish_worker.h"
#include "tests/unit/keyd/keyd.h"

struct xespd {
	struct peer peer;
	pthread_t thread;
	uint32_t refuse_spi; /* host byte order */
	uint32_t die_at_spi; /* hang up when this one comes */
	bool holds;          /* a worker does not let go of what was deleted */
	pthread_mutex_t lock;
	char story[2048]; /* "T1>2,0:5 A3 D4 ...": what it was told, ids behind the letters; 0:5: CPU 0 on SA 5; W: a D that waits */
};

struct fixture {
	struct keyd k;
	struct event_base *base;
	struct xespd d;
	char path[96];
};

static void tell(struct xespd *d, const char *fmt, uint32_t id, uint32_t more)
{
	size_t used;

	pthread_mutex_lock(&d->lock);
	used = strlen(d->story);
	snprintf(d->story + used, sizeof(d->story) - used, "%s", used ? " " : "");
	used = strlen(d->story);
	if (!strcmp(fmt, "T"))
		snprintf(d->story + used, sizeof(d->story) - used, "T%u>%u", id, more);
	else
		snprintf(d->story + used, sizeof(d->story) - used, "%s%u", fmt, id);
	pthread_mutex_unlock(&d->lock);
}

static void tell_cpus(struct xespd *d, const struct xesp_keymsg_tunnel_set *t)
{
	pthread_mutex_lock(&d->lock);
	for (uint32_t i = 0; i < t->tunnel.cpus_n; i++) {
		size_t used = strlen(d->story);

		snprintf(d->story + used, sizeof(d->story) - used, ",%u:%u", t->cpu[i].cpu, t->cpu[i].sa);
	}
	pthread_mutex_unlock(&d->lock);
}

/* False: it hangs up. */
static bool answer(struct xespd *d)
{
	const struct xesp_keymsg *h = peer_header(&d->peer);
	const struct xesp_keymsg_tunnel *t = (const void *)d->peer.buf;
	const struct xesp_keymsg_sa *sa = (const void *)d->peer.buf;
	const struct xesp_keymsg_id *id = (const void *)d->peer.buf;

	switch (h->type) {
	case XESP_KEYMSG_TUNNEL_SET:
		tell(d, "T", t->id, t->sa_out);
		tell_cpus(d, (const void *)t);
		return peer_ack(&d->peer, h->seq, 0, "");
	case XESP_KEYMSG_TUNNEL_DEL:
		tell(d, "X", id->id, 0);
		return true;
	case XESP_KEYMSG_SA_ADD:
		tell(d, "A", sa->id, 0);
		if (ntohl(sa->spi) == __atomic_load_n(&d->die_at_spi, __ATOMIC_RELAXED))
			return false;
		if (ntohl(sa->spi) == __atomic_load_n(&d->refuse_spi, __ATOMIC_RELAXED))
			return peer_ack(&d->peer, h->seq, -EINVAL, "I will not");
		return peer_ack(&d->peer, h->seq, 0, "");
	case XESP_KEYMSG_SA_DEL:
		tell(d, id->wait ? "W" : "D", id->id, 0);
		if (id->wait && __atomic_load_n(&d->holds, __ATOMIC_RELAXED))
			return peer_ack(&d->peer, h->seq, -EBUSY, "a worker has it");
		return peer_ack(&d->peer, h->seq, id->wait ? -ENOENT : 0, id->wait ? "deleted before" : "");
	case XESP_KEYMSG_LEASE_GRANT:
		tell(d, "L", (uint32_t)((const struct xesp_keymsg_lease *)h)->first, 0);
		return peer_ack(&d->peer, h->seq, 0, "");
	default:
		return true;
	}
}

static void *live(void *arg)
{
	struct xespd *d = arg;

	for (;;) {
		ssize_t n = recv(d->peer.fd, d->peer.buf, sizeof(d->peer.buf), 0);

		if (n <= 0 || !answer(d))
			break;
	}
	shutdown(d->peer.fd, SHUT_RDWR);
	return NULL;
}

static void lease_wanted(void *ctx, uint32_t sa_id)
{
	grants_want(((struct change *)ctx)->grants, sa_id);
}

static void turn(struct fixture *x, bool until_connected)
{
	for (int i = 0; i < 2000; i++) {
		event_base_loop(x->base, EVLOOP_NONBLOCK);
		if (publish_worker_connected(x->k.change.worker) == until_connected)
			return;
		usleep(1000);
	}
	CU_FAIL("the worker is not as expected within 2 s");
}

static void start_xespd(struct fixture *x)
{
	CU_ASSERT_FATAL(peer_connect(&x->d.peer, x->path));
	CU_ASSERT_FATAL(peer_hello(&x->d.peer, XESP_STEER_ABI));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&x->d.thread, NULL, live, &x->d), 0);
	turn(x, true);
	CU_ASSERT(publish_worker_drain(x->k.change.worker, 2000));
}

static void stop_xespd(struct fixture *x)
{
	shutdown(x->d.peer.fd, SHUT_RDWR);
	pthread_join(x->d.thread, NULL);
	peer_close(&x->d.peer);
	turn(x, false);
}

static void setup(struct fixture *x)
{
	const struct publish_worker_calls calls = {
		.ctx = &x->k.change,
		.present = change_present,
		.lease_wanted = lease_wanted,
		.acked = change_acked,
		.peer_moved = change_peer_moved,
		.in_step = change_in_step,
		.gone = change_gone,
	};

	*x = (struct fixture){ .d.lock = PTHREAD_MUTEX_INITIALIZER };
	keyd_setup(&x->k, 16, 1024);
	x->base = event_base_new();
	snprintf(x->path, sizeof(x->path), "%s/s", x->k.path);
	CU_ASSERT_EQUAL_FATAL(
		publish_worker_open(&x->k.change.worker, x->base, x->path, &calls, NULL), 0);
}

static void finish(struct fixture *x)
{
	stop_xespd(x);
	publish_worker_close(x->k.change.worker);
	x->k.change.worker = NULL;
	event_base_free(x->base);
	keyd_finish(&x->k);
}

static bool is_story(struct fixture *x, const char *story)
{
	bool same;

	pthread_mutex_lock(&x->d.lock);
	same = !strcmp(x->d.story, story);
	pthread_mutex_unlock(&x->d.lock);
	return same;
}

/* Not every message is answered, so xespd may be reading the last one still. */
static void expect_story(struct fixture *x, const char *story)
{
	for (int i = 0; i < 1000 && !is_story(x, story); i++)
		usleep(1000);
	pthread_mutex_lock(&x->d.lock);
	if (strcmp(x->d.story, story)) {
		printf("  got      %s\n  expected %s\n", x->d.story, story);
		CU_FAIL("another story");
	}
	x->d.story[0] = '\0';
	pthread_mutex_unlock(&x->d.lock);
}

static const char lan[] =
	"  - {name: lan, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n";
static const char lan_and_more[] =
	"  - {name: lan, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n"
	"  - {name: more, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.3.0.0/24}\n";

static int apply(struct fixture *x, struct change_result *r, unsigned int out_key,
		 unsigned int in_key, const char *policies)
{
	char o[256], i[256], both[512];

	snprintf(both, sizeof(both), "%s%s",
		 fixture_sa(o, "o", "out", 4096 + out_key, out_key, ", lease: 100"),
		 fixture_sa(i, "i", "in", 8192 + in_key, in_key, ", replay_window: 64"));
	return keyd_apply(&x->k, r, both, policies);
}

static void test_connecting_and_unchanged_reloads(void)
{
	struct change_result r;
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, lan), 0);
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "o")->standing, SA_WAITING);
	start_xespd(&x);
	expect_story(&x, "T1>1 A1 A2");
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "o")->standing, SA_ACTIVE);
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "i")->standing, SA_ACTIVE);
	/* The same again: xespd hears nothing, and everything stays active. */
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, lan), 0);
	CU_ASSERT(r.added == 0 && r.kept == 2 && r.removed == 0);
	expect_story(&x, "");
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "o")->standing, SA_ACTIVE);
	/* Another policy is in the maps, which xespd reads itself. */
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, lan_and_more), 0);
	expect_story(&x, "");
	finish(&x);
}

/* The same key, so the same SA and numbers that go on; but xespd must hear how it is used now. */
static void test_another_algorithm_under_the_same_key(void)
{
	char sa[256], other[256];
	struct change_result r;
	struct fixture x;
	char *at;

	setup(&x);
	fixture_sa(sa, "o", "out", 4097, 1, ", lease: 100");
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x.k, &r, sa, lan), 0);
	start_xespd(&x);
	expect_story(&x, "T1>1 A1");
	at = strstr(sa, "aes-gcm-128");
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	snprintf(other, sizeof(other), "%.*saes-gcm-128-8%s", (int)(at - sa), sa,
		 at + strlen("aes-gcm-128"));
	CU_ASSERT_EQUAL_FATAL(keyd_apply(&x.k, &r, other, lan), 0);
	CU_ASSERT(r.added == 0 && r.kept == 1 && r.removed == 0);
	expect_story(&x, "A1");
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "o")->alg, XESP_ALG_AES_GCM_8);
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "o")->standing, SA_ACTIVE);
	finish(&x);
}

static void test_make_before_break(void)
{
	struct change_result r;
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, lan), 0);
	start_xespd(&x);
	expect_story(&x, "T1>1 A1 A2");
	/* New keys in both directions: the new SAs, the switch, and then the old ones go. */
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 3, 4, lan), 0);
	CU_ASSERT(r.added == 2 && r.kept == 0 && r.removed == 2);
	expect_story(&x, "A3 A4 T1>3 D1 D2");
	CU_ASSERT_EQUAL(x.k.change.maps->sa[1].in_use, 0);
	CU_ASSERT_NOT_EQUAL(x.k.change.maps->retired_ns[1], 0); /* xespd has said so */
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "o")->standing, SA_ACTIVE);
	finish(&x);
}

static void test_a_refusal_takes_all_back(void)
{
	struct change_result r;
	struct xesp_policy pol;
	struct fixture x;
	uint32_t id;

	setup(&x);
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, lan), 0);
	start_xespd(&x);
	expect_story(&x, "T1>1 A1 A2");
	__atomic_store_n(&x.d.refuse_spi, 8192 + 4, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL(apply(&x, &r, 3, 4, lan_and_more), -EREMOTEIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(x.k.f.text, "xespd refused SA 'i': I will not"));
	expect_story(&x, "A3 A4 D3 D4");
	CU_ASSERT_EQUAL(x.k.change.maps->conf->generation, 1);
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "o")->id, 1);
	CU_ASSERT_EQUAL(x.k.change.maps->sa[1].in_use, 1);
	CU_ASSERT_EQUAL(x.k.change.maps->sa[3].in_use, 0);
	for (id = 1; id < 16; id++) {
		CU_ASSERT_EQUAL(bpf_map_lookup_elem(x.k.pins.fd[PINS_POLICIES], &id, &pol), 0);
		CU_ASSERT_EQUAL(pol.name[0] != 0, id == 1); /* "more" is gone again */
	}
	/* And it goes on from there. */
	__atomic_store_n(&x.d.refuse_spi, 0, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL(apply(&x, &r, 1, 2, lan), 0);
	expect_story(&x, "");
	finish(&x);
}

static char refusals[64];

static void note_refused(struct change *c, const struct sad *sad, const struct sa *sa)
{
	size_t used = strlen(refusals);

	(void)c;
	(void)sad;
	snprintf(refusals + used, sizeof(refusals) - used, "%s:%s;", sa->name, sa->reason);
}

/* Whose source goes on without it hears which, in a change and when xespd is told all anew. */
static void test_refusals_are_named_one_by_one(void)
{
	struct change_result r;
	struct fixture x;

	setup(&x);
	x.k.change.refused = note_refused;
	refusals[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, lan), 0);
	__atomic_store_n(&x.d.refuse_spi, 4096 + 1, __ATOMIC_RELAXED);
	start_xespd(&x);
	CU_ASSERT_STRING_EQUAL(refusals, "o:I will not;");
	refusals[0] = '\0';
	__atomic_store_n(&x.d.refuse_spi, 8192 + 4, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL(apply(&x, &r, 3, 4, lan), -EREMOTEIO);
	CU_ASSERT_STRING_EQUAL(refusals, "i:I will not;");
	finish(&x);
}

static void test_a_worker_that_dies_midway(void)
{
	struct change_result r;
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, lan), 0);
	start_xespd(&x);
	expect_story(&x, "T1>1 A1 A2");
	__atomic_store_n(&x.d.die_at_spi, 8192 + 4, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 3, 4, lan), 0); /* the file is right: it holds */
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "i")->standing, SA_WAITING);
	__atomic_store_n(&x.d.die_at_spi, 0, __ATOMIC_RELAXED);
	stop_xespd(&x);
	x.d.story[0] = '\0';
	start_xespd(&x);
	/* The present state, and one question more about what it may still have held. */
	expect_story(&x, "T1>3 A3 A4 D1");
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "i")->standing, SA_ACTIVE);
	CU_ASSERT_NOT_EQUAL(x.k.change.maps->retired_ns[1], 0);
	CU_ASSERT_NOT_EQUAL(x.k.change.maps->retired_ns[2], 0);
	finish(&x);
}

static int kernel_err; /* of a kernel that has the SAs too */

static int kernel_sent(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t *last)
{
	(void)ctx;
	(void)sad;
	*last = 0;
	return !strcmp(sa->name, "o") ? kernel_err : 0;
}

static int kernel_passes(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t first, uint64_t last)
{
	(void)ctx;
	(void)sad;
	(void)sa;
	return first <= last ? 0 : -EINVAL;
}

static int kernel_received(void *ctx, const struct sad *sad, const struct sa *sa, uint64_t *last)
{
	(void)ctx;
	(void)sad;
	(void)sa;
	*last = 0;
	return 0;
}

/* Of an inbound SA that goes back to the kernel: where it was when the kernel was told. */
struct given {
	struct fixture *x;
	uint32_t id, n;
	int err;
	struct xesp_sa_in_val val;
	uint32_t holder;
};

static int note_given(void *ctx, const struct xesp_sa_in_key *key, uint32_t sa_id)
{
	struct given *g = ctx;

	if (!g)
		return -ESRCH;
	g->id = sa_id;
	g->n++;
	g->holder = g->x->k.change.maps->sa[sa_id].holder;
	CU_ASSERT_EQUAL(bpf_map_lookup_elem(g->x->k.pins.fd[PINS_SA_IN], key, &g->val), 0);
	expect_story(g->x, "D2 W2"); /* every worker has let go of it before */
	return g->err;
}

/*
 * An IKE daemon took its newest SA back while the tables were applied: two rekeyings had met. Switched to it, the
 * tunnel would have no numbers.
 */
static void test_an_sa_that_is_gone_is_not_switched_to(void)
{
	struct grants_kernel kernel = { .sent = kernel_sent, .pass_over = kernel_passes,
					.received = kernel_received, .give = note_given };
	struct change_result r;
	struct fixture x;

	setup(&x);
	x.k.grants.kernel = &kernel;
	kernel_err = 0;
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, lan), 0);
	start_xespd(&x);
	expect_story(&x, "T1>1 A1 A2");
	kernel_err = -ESRCH;
	CU_ASSERT_EQUAL(apply(&x, &r, 3, 4, lan_and_more), -ESTALE);
	CU_ASSERT_PTR_NOT_NULL(strstr(x.k.f.text, "SA 'o' is gone"));
	expect_story(&x, "D3 D4 W4"); /* of which it was not told yet */
	CU_ASSERT_EQUAL(x.k.change.maps->conf->generation, 1);
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "o")->id, 1);
	CU_ASSERT_EQUAL(keyd_sa(&x.k, "o")->standing, SA_ACTIVE);
	/* A kernel that does not answer is another thing: the SA is there, and will ask for numbers. */
	kernel_err = -ETIMEDOUT;
	CU_ASSERT_EQUAL(apply(&x, &r, 5, 6, lan), 0);
	expect_story(&x, "A5 A6 T1>5 D1 D2 W2");
	/* And when it is so again and again, the rest must not wait for ever. */
	kernel_err = -ESRCH;
	kernel.gone_is_fine = true;
	CU_ASSERT_EQUAL(apply(&x, &r, 7, 8, lan), 0);
	expect_story(&x, "A7 A8 T1>7 D5 D6 W6");
	finish(&x);
}

/*
 * Nobody has it while it passes to the kernel; and it does not pass before the kernel can be told. Of another SA that has its
 * SPI the kernel hears nothing.
 */
static void test_an_sa_goes_back_to_the_kernel(void)
{
	static const struct {
		bool holds;
		int err;
		uint32_t told;
		bool stays; /* held in the maps */
		bool again; /* another SA has its SPI */
	} rows[] = { { false, 0, 1, false, false }, { false, -ESRCH, 1, false, false }, { false, -ETIMEDOUT, 1, true, false },
		     { true, 0, 0, true, false }, { false, 0, 0, false, true } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct given g = { .err = rows[i].err };
		struct grants_kernel kernel = { .ctx = &g, .sent = kernel_sent, .pass_over = kernel_passes,
						.received = kernel_received, .give = note_given };
		struct xesp_sa_in_key key;
		struct xesp_sa_in_val val;
		struct change_result r;
		struct fixture x;
		char both[512];

		setup(&x);
		g.x = &x;
		kernel_err = 0;
		x.k.grants.kernel = &kernel;
		CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, ""), 0);
		start_xespd(&x);
		expect_story(&x, "T1>1 A1 A2");
		key = x.k.change.maps->inbound[2].key;
		CU_ASSERT_EQUAL_FATAL(bpf_map_lookup_elem(x.k.pins.fd[PINS_SA_IN], &key, &val), 0);
		CU_ASSERT_EQUAL(val.handover, 0);
		x.d.holds = rows[i].holds;
		fixture_sa(both, "o", "out", 4097, 1, ", lease: 100");
		if (rows[i].again)
			fixture_sa(both + strlen(both), "i", "in", 8194, 3, "");
		CU_ASSERT_EQUAL(keyd_apply(&x.k, &r, both, ""), 0);
		CU_ASSERT_EQUAL(g.n, rows[i].told);
		CU_ASSERT(!g.n || (g.id == 2 && g.val.handover && g.holder == XESP_HOLDER_NOBODY));
		CU_ASSERT_EQUAL(!bpf_map_lookup_elem(x.k.pins.fd[PINS_SA_IN], &key, &val), rows[i].stays || rows[i].again);
		CU_ASSERT(!rows[i].again || (val.sa_id == 3 && !val.handover));
		CU_ASSERT(!rows[i].stays || (val.handover && x.k.change.maps->sa[2].holder == XESP_HOLDER_NOBODY));
		finish(&x);
	}
}

static void test_leases_are_granted_and_refused(void)
{
	struct change_result r;
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL_FATAL(apply(&x, &r, 1, 2, lan), 0);
	start_xespd(&x);
	expect_story(&x, "T1>1 A1 A2");
	grants_want(&x.k.grants, 1);
	grants_want(&x.k.grants, 1); /* once is enough */
	grants_want(&x.k.grants, 2); /* inbound: no */
	grants_want(&x.k.grants, 9); /* nobody */
	grants_flush(&x.k.grants, &x.k.change.now->sad, x.k.change.worker);
	CU_ASSERT(publish_worker_drain(x.k.change.worker, 2000));
	expect_story(&x, "L101");
	finish(&x);
}

/* SA "o", and for CPUs 3 and 1 the SAs `c` and `d`, as their keys are numbered; 0: not there. */
static int apply_cpus(struct fixture *x, unsigned int c, unsigned int d, const char *d_cpu)
{
	char o[256], one[256] = "", two[256] = "", all[800], more[64];
	struct change_result r;

	fixture_sa(o, "o", "out", 4097, 1, ", lease: 100");
	if (c)
		fixture_sa(one, "c", "out", 4096 + c, c, ", lease: 100, cpu: 3");
	snprintf(more, sizeof(more), ", lease: 100, cpu: %s", d_cpu);
	if (d)
		fixture_sa(two, "d", "out", 4096 + d, d, more);
	snprintf(all, sizeof(all), "%s%s%s", one, o, two);
	return keyd_apply(&x->k, &r, all, lan);
}

/* RFC 9611: each CPU's is switched to by itself, and all in the one message with the tunnel. */
static void test_cpus_are_switched_one_by_one(void)
{
	struct fixture x;

	setup(&x);
	CU_ASSERT_EQUAL_FATAL(apply_cpus(&x, 2, 3, "1"), 0); /* ids: c 1, o 2, d 3 */
	start_xespd(&x);
	expect_story(&x, "T1>2,1:3,3:1 A1 A2 A3");
	CU_ASSERT_EQUAL_FATAL(apply_cpus(&x, 2, 3, "1"), 0);
	expect_story(&x, "");
	/* A new key for CPU 3. */
	CU_ASSERT_EQUAL_FATAL(apply_cpus(&x, 4, 3, "1"), 0);
	expect_story(&x, "A4 T1>2,1:3,3:4 D1");
	/* An SA for another CPU is the same SA. */
	CU_ASSERT_EQUAL_FATAL(apply_cpus(&x, 4, 3, "7"), 0);
	expect_story(&x, "T1>2,3:4,7:3");
	/* Away: the tunnel is told first. */
	CU_ASSERT_EQUAL_FATAL(apply_cpus(&x, 0, 3, "7"), 0);
	expect_story(&x, "T1>2,7:3 D4");
	/* One that xespd refuses takes all back, and that tunnel was not touched. */
	__atomic_store_n(&x.d.refuse_spi, 4096 + 6, __ATOMIC_RELAXED);
	CU_ASSERT_EQUAL(apply_cpus(&x, 6, 3, "7"), -EREMOTEIO);
	expect_story(&x, "A5 D5");
	CU_ASSERT_EQUAL_FATAL(apply_cpus(&x, 0, 0, ""), 0);
	expect_story(&x, "T1>2 D3");
	finish(&x);
}

/* What xespd would not have is not named to it when it is told all anew. */
static void test_a_cpu_whose_sa_is_refused(void)
{
	struct fixture x;

	setup(&x);
	lease_close(x.k.grants.book);
	x.k.grants.book = NULL;
	snprintf(x.k.grants.problem, sizeof(x.k.grants.problem), "no book");
	CU_ASSERT_EQUAL_FATAL(apply_cpus(&x, 2, 3, "1"), 0);
	start_xespd(&x);
	expect_story(&x, "T1>0");
	finish(&x);
}

CU_TestInfo change_worker_tests[] = {
	{ "an SA goes back to the kernel: nobody has it until that is told", test_an_sa_goes_back_to_the_kernel },
	{ "a reload that changes nothing tells xespd nothing", test_connecting_and_unchanged_reloads },
	{ "another algorithm under the same key", test_another_algorithm_under_the_same_key },
	{ "new keys: make before break", test_make_before_break },
	{ "xespd refuses an SA: everything is taken back", test_a_refusal_takes_all_back },
	{ "xespd's refusals are named one by one", test_refusals_are_named_one_by_one },
	{ "xespd dies midway: the new configuration holds", test_a_worker_that_dies_midway },
	{ "the kernel's SA is gone: not switched to", test_an_sa_that_is_gone_is_not_switched_to },
	{ "SAs of single CPUs: each is switched by itself", test_cpus_are_switched_one_by_one },
	{ "SAs of single CPUs that have no numbers", test_a_cpu_whose_sa_is_refused },
	{ "leases: granted once, refused to others", test_leases_are_granted_and_refused },
	CU_TEST_INFO_NULL,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fib.c - see fib.h. Lookups by workers, and the snapshots' publishing and reclaim.
 *
 * Each view (snapshot.h) has its own generation; a worker's destination cache holds answers of one
 * generation only, so publishing a view empties all caches without touching them.
 *
 * Reclaim is quiescent-state based: a view that was replaced gets the epoch of its replacement and
 * is freed when every worker has either seen that epoch at a quiescent point or is idle.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "fib/fib.h"
#include "fib/hash.h"
#include "fib/link.h"
#include "fib/mirror.h"
#include "fib/neigh.h"
#include "fib/nexthop.h"
#include "fib/route.h"
#include "fib/snapshot.h"
#include "fib/source.h"
#include "libxesp/addr.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define CACHE_SETS 512 /* a worker remembers twice as many destinations; a power of two */
#define WANTS_MAX  64  /* unknown neighbours a worker can note between two looks */
#define LOOK_MS    100 /* how often the main thread looks at what workers noted */
#define IDLE       UINT64_MAX

struct cached {
	struct xesp_addr dst;
	uint64_t generation; /* 0: empty */
	struct fib_hop hop;
	uint32_t neigh; /* index + 1 of a neighbour that is stale, else 0 */
	uint8_t verdict;
	uint8_t from; /* enum fib_from */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct cached) == 64, "the usual packet costs one cache line");

/* The newer first. Two, because with one a pair of busy destinations that meet in it would take
 * turns on the long way. */
struct cached_set {
	struct cached way[2];
};

/* One producer (the worker), one consumer (the main thread). */
struct wants {
	uint32_t head; /* written by the worker */
	uint32_t tail; /* written by the main thread */
	struct neigh_key keys[WANTS_MAX];
};

struct fib_worker {
	uint64_t seen; /* epoch at the last quiescent point, or IDLE */
	struct cached_set *cache;
	struct wants wants __attribute__((aligned(64)));
} __attribute__((aligned(64)));

struct fib {
	struct view *view; /* what workers read */
	uint64_t epoch;
	uint64_t seed;
	uint32_t workers_n;
	struct fib_worker *workers;

	/* main thread only */
	struct mirror *mirror;
	struct neigh_book *book;
	struct mirror_model model;
	struct link_ports ports;
	struct view *retired;
	struct event *look;
	bool aged; /* the neighbour table should follow the book at the next look */
	uint32_t rebuilds;
	struct source source;
	struct log_limit complain;
};

/* ---- workers */

/* As addr_equal(), inlined: it runs once a packet. */
static inline bool addr_same(const struct xesp_addr *a, const struct xesp_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) |
		 (a->w[3] ^ b->w[3]));
}

static void note_want(struct fib_worker *w, const struct neigh_key *k)
{
	uint32_t head = w->wants.head;

	/* Acquire with the release of take_wants(): the slot has been read. Full: the packet goes
	 * to the kernel, which resolves too; the note only makes it sooner. */
	if (head - __atomic_load_n(&w->wants.tail, __ATOMIC_ACQUIRE) == WANTS_MAX)
		return;
	w->wants.keys[head % WANTS_MAX] = *k;
	__atomic_store_n(&w->wants.head, head + 1, __ATOMIC_RELEASE);
}

/* The next hop's Ethernet address, or the way to it noted. */
static enum fib_verdict resolve_neigh(struct fib_worker *w, const struct view *v,
				      const struct nexthop *h, struct cached *c)
{
	struct neigh_table *t = v->neighs->table;
	struct neigh_key k;
	uint8_t mac[6];
	uint32_t index;

	nexthop_neigh(h, &c->dst, &k);
	switch (neigh_table_lookup(t, &k, mac, &index)) {
	case NEIGH_STALE:
		c->neigh = index + 1;
		break;
	case NEIGH_READY:
		break;
	case NEIGH_FAILED:
		neigh_table_use(t, index);
		return FIB_SLOW;
	default:
		note_want(w, &k);
		return FIB_SLOW;
	}
	nexthop_finish(h, &c->dst, mac, &c->hop);
	c->generation = v->generation;
	return FIB_SEND;
}

/* What the address alone says. True: *verdict is the answer. */
static bool classify(const struct xesp_addr *a, const struct paths *p, enum fib_verdict *verdict)
{
	const uint8_t *b = (const uint8_t *)a->w;

	if (addr_is_ip4(a)) {
		*verdict = FIB_LOCAL;
		if ((b[12] & 0xf0) == 0xe0 || a->w[3] == INADDR_BROADCAST)
			return true;
		*verdict = FIB_NO_ROUTE; /* RFC 1122 section 3.2.1.3: 0/8 is nobody's destination */
		if (!b[12])
			return true;
		*verdict = FIB_SLOW;
		return p->policy4;
	}
	*verdict = FIB_LOCAL;
	if (b[0] == 0xff)
		return true;
	*verdict = FIB_NO_ROUTE;
	if (!a->w[0] && !a->w[1] && !a->w[2] && !a->w[3])
		return true;
	*verdict = FIB_SLOW;
	return p->policy6 || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

/* The long way; c->generation is set when the answer may be remembered. */
static enum fib_verdict resolve(struct fib_worker *w, const struct view *v, struct cached *c)
{
	const struct paths *p = v->paths;
	const struct nexthop *h;
	const struct route *r;
	enum fib_verdict verdict;

	c->generation = 0;
	c->neigh = 0;
	c->hop.role = 0;
	if (!classify(&c->dst, p, &verdict)) {
		r = route_table_lookup(p->routes, &c->dst, c->from == FIB_OURS);
		if (r && r->kind == ROUTE_FORWARD) {
			h = &p->hops[route_table_pick(p->routes, r, &c->dst)];
			c->hop.role = h->role;
			if (h->ready)
				return resolve_neigh(w, v, h, c);
			verdict = h->tunnels ? FIB_TUNNELS : FIB_SLOW;
		} else if (!r || r->kind == ROUTE_NONE) {
			verdict = FIB_NO_ROUTE;
		} else {
			verdict = r->kind == ROUTE_LOCAL ? FIB_LOCAL : FIB_SLOW;
		}
	}
	c->generation = v->generation;
	return verdict;
}

static bool is_cached(const struct cached *c, const struct view *v, const struct xesp_addr *dst,
		      enum fib_from from)
{
	return c->generation == v->generation && addr_same(&c->dst, dst) && c->from == from;
}

/* Apart from fib_lookup(), so that the usual packet does not pay for its registers. */
static __attribute__((noinline)) const struct cached *look_up(struct fib_worker *w,
							      const struct view *v,
							      struct cached_set *set,
							      const struct xesp_addr *dst,
							      enum fib_from from)
{
	set->way[1] = set->way[0];
	set->way[0].dst = *dst;
	set->way[0].from = (uint8_t)from;
	set->way[0].verdict = (uint8_t)resolve(w, v, &set->way[0]);
	return &set->way[0];
}

enum fib_verdict fib_lookup(struct fib *f, uint32_t worker, const struct xesp_addr *dst,
			    enum fib_from from, struct fib_hop *hop)
{
	struct fib_worker *w = &f->workers[worker];
	const struct cached *c;
	const struct view *v;
	struct cached_set *set;

	if (__builtin_expect(w->seen == IDLE, 0))
		fib_idle(f, worker, false);
	v = __atomic_load_n(&f->view, __ATOMIC_SEQ_CST); /* partners: publish(), fib_idle() */
	set = &w->cache[hash_addr(dst, 0, f->seed) % CACHE_SETS];
	if (is_cached(&set->way[0], v, dst, from))
		c = &set->way[0];
	else if (is_cached(&set->way[1], v, dst, from))
		c = &set->way[1];
	else
		c = look_up(w, v, set, dst, from);
	if (c->neigh)
		neigh_table_use(v->neighs->table, c->neigh - 1);
	if (__builtin_expect(c->verdict == FIB_SEND, 1))
		*hop = c->hop;
	else if (c->verdict == FIB_SLOW)
		hop->role = c->hop.role;
	return (enum fib_verdict)c->verdict;
}

void fib_quiescent(struct fib *f, uint32_t worker)
{
	struct fib_worker *w = &f->workers[worker];
	/* Acquire with the epoch's release in publish(): who has seen this epoch reads the view of
	 * it or a later one from now on. Release: all reads of older views are done. */
	uint64_t epoch = __atomic_load_n(&f->epoch, __ATOMIC_ACQUIRE);

	if (w->seen != IDLE)
		__atomic_store_n(&w->seen, epoch, __ATOMIC_RELEASE);
}

void fib_idle(struct fib *f, uint32_t worker, bool idle)
{
	uint64_t epoch = idle ? IDLE : __atomic_load_n(&f->epoch, __ATOMIC_ACQUIRE);

	/* Sequentially consistent, as are the load of the view in fib_lookup(), its store in
	 * publish() and the load in reclaim(): either reclaim() sees that this worker is back, or
	 * the worker's next lookup sees the view that was published before. */
	__atomic_store_n(&f->workers[worker].seen, epoch, __ATOMIC_SEQ_CST);
}

/* ---- main thread: snapshots */

static void reclaim(struct fib *f)
{
	struct view **at = &f->retired;
	uint64_t oldest = IDLE;

	for (uint32_t i = 0; i < f->workers_n; i++) {
		/* Partners: fib_quiescent(), whose reads are over, and fib_idle(). */
		uint64_t seen = __atomic_load_n(&f->workers[i].seen, __ATOMIC_SEQ_CST);

		if (seen < oldest)
			oldest = seen;
	}
	while (*at) {
		struct view *v = *at;

		if (v->epoch > oldest) {
			at = &v->next;
			continue;
		}
		*at = v->next;
		snapshot_free(v);
	}
}

/* Takes over one reference of each; out of memory the old view stays, and the caller says so. */
static int publish(struct fib *f, struct paths *p, struct neighs *n)
{
	struct view *old = f->view, *v = p && n ? calloc(1, sizeof(*v)) : NULL;
	uint64_t suppressed;

	if (!v) {
		snapshot_put_paths(p);
		snapshot_put_neighs(n);
		if (log_allowed(&f->complain, &suppressed))
			log_error("fib: out of memory: routes and neighbours stay as they were");
		return -ENOMEM;
	}
	v->generation = old ? old->generation + 1 : 1;
	v->paths = p;
	v->neighs = n;
	f->rebuilds++;
	/* Not a release: reclaim() below must not look at who is idle before this can be seen. Partners:
	 * fib_lookup(), fib_idle(). */
	__atomic_store_n(&f->view, v, __ATOMIC_SEQ_CST);
	__atomic_store_n(&f->epoch, f->epoch + 1, __ATOMIC_RELEASE); /* partner: fib_quiescent() */
	if (old) {
		old->epoch = f->epoch;
		old->next = f->retired;
		f->retired = old;
	}
	reclaim(f);
	return 0;
}

static struct neighs *same_neighs(struct fib *f)
{
	if (!f->view)
		return snapshot_make_neighs(f->book);
	f->view->neighs->refs++;
	return f->view->neighs;
}

static struct paths *same_paths(struct fib *f)
{
	if (!f->view)
		return snapshot_make_paths(&f->model, &f->ports, f->seed);
	f->view->paths->refs++;
	return f->view->paths;
}

static void take_routes(void *ctx, struct mirror_model *fresh)
{
	struct fib *f = ctx;

	mirror_model_fini(&f->model);
	f->model = *fresh;
	publish(f, snapshot_make_paths(&f->model, &f->ports, f->seed), same_neighs(f));
}

static void take_neighbours(void *ctx, enum neigh_change change)
{
	struct fib *f = ctx;

	if (change == NEIGH_AGED) {
		f->aged = true;
		return;
	}
	f->aged = false;
	publish(f, same_paths(f), snapshot_make_neighs(f->book));
}

/* ---- main thread: asking the kernel for neighbours */

static void ask(void *ctx, const struct neigh_key *k)
{
	struct fib *f = ctx;

	if (neigh_book_may_ask(f->book, k, clock_ms()))
		mirror_ask(f->mirror, k);
}

static void take_wants(struct fib *f, struct wants *w)
{
	/* Acquire with note_want()'s release: the keys below head are written. */
	uint32_t head = __atomic_load_n(&w->head, __ATOMIC_ACQUIRE), tail = w->tail, index;
	uint8_t mac[6];

	for (; tail != head; tail++) {
		const struct neigh_key *k = &w->keys[tail % WANTS_MAX];

		/* Several packets want the same one: the answer may be here already. */
		if (neigh_table_lookup(f->view->neighs->table, k, mac, &index) == NEIGH_UNKNOWN)
			ask(f, k);
	}
	__atomic_store_n(&w->tail, tail, __ATOMIC_RELEASE);
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
	struct fib *f = ctx;

	(void)fd;
	(void)what;
	neigh_table_used(f->view->neighs->table, ask, f);
	for (uint32_t i = 0; i < f->workers_n; i++)
		take_wants(f, &f->workers[i].wants);
	if (f->aged) {
		f->aged = false;
		publish(f, same_paths(f), snapshot_make_neighs(f->book));
	}
	reclaim(f);
}

/* NULL: the mirror names no attached interface for it. */
static const struct nexthop *find_hop(const struct fib *f, const struct xesp_addr *dst,
				      enum fib_from from)
{
	const struct paths *p = f->view->paths;
	enum fib_verdict verdict;
	const struct nexthop *h;
	const struct route *r;

	if (classify(dst, p, &verdict))
		return NULL;
	r = route_table_lookup(p->routes, dst, from == FIB_OURS);
	if (!r || r->kind != ROUTE_FORWARD)
		return NULL;
	h = &p->hops[route_table_pick(p->routes, r, dst)];
	return h->ready ? h : NULL;
}

bool fib_port_of(const struct fib *f, const struct xesp_addr *dst, uint32_t *port)
{
	const struct nexthop *h = find_hop(f, dst, FIB_FORWARDED);

	if (h)
		*port = h->out.port;
	return h != NULL;
}

void fib_want(struct fib *f, const struct xesp_addr *dst)
{
	const struct nexthop *h = find_hop(f, dst, FIB_OURS);
	struct neigh_key k;
	uint8_t mac[6];
	uint32_t index;

	if (!h)
		return;
	nexthop_neigh(h, dst, &k);
	if (neigh_table_lookup(f->view->neighs->table, &k, mac, &index) != NEIGH_READY)
		ask(f, &k);
}

/* ---- main thread: the rest of the door */

static int publish_ports(struct fib *f)
{
	return publish(f, snapshot_make_paths(&f->model, &f->ports, f->seed), same_neighs(f));
}

int fib_tunnels_set(struct fib *f, uint32_t ifindex, struct fault *fault)
{
	f->ports.tunnels = ifindex;
	return publish_ports(f) ? fault_set(fault, -ENOMEM, "out of memory for the routes") : 0;
}

int fib_port_set(struct fib *f, uint32_t ifindex, int32_t port, uint8_t role, struct fault *fault)
{
	if (!ifindex || port >= XESP_PORTS_MAX || port < -1)
		return fault_set(fault, -EINVAL,
				 "interface %u cannot be port %d: ports are 0 to %d", ifindex, port,
				 XESP_PORTS_MAX - 1);
	for (int i = 0; i < XESP_PORTS_MAX; i++) {
		if (f->ports.ifindex[i] == ifindex)
			f->ports.ifindex[i] = 0;
	}
	if (port >= 0) {
		f->ports.ifindex[port] = ifindex;
		f->ports.role[port] = role;
	}
	if (publish_ports(f))
		return fault_set(fault, -ENOMEM, "out of memory for the routes of port %d", port);
	return 0;
}

void fib_count(const struct fib *f, struct fib_counts *out)
{
	out->routes = route_table_count(f->view->paths->routes);
	out->neighbours = neigh_book_count(f->book);
	out->rebuilds = f->rebuilds;
	out->policy_rules = f->view->paths->policy4 || f->view->paths->policy6;
}

bool fib_source(const struct fib *f, const struct xesp_addr *dst, struct xesp_addr *src)
{
	return source_find(&f->source, dst, src);
}

static int make_workers(struct fib *f, uint32_t workers_n)
{
	f->workers = aligned_alloc(64, workers_n * sizeof(*f->workers));
	if (!f->workers)
		return -ENOMEM;
	memset(f->workers, 0, workers_n * sizeof(*f->workers));
	f->workers_n = workers_n;
	for (uint32_t i = 0; i < workers_n; i++) {
		f->workers[i].seen = IDLE;
		f->workers[i].cache = aligned_alloc(64, CACHE_SETS * sizeof(struct cached_set));
		if (!f->workers[i].cache)
			return -ENOMEM;
		memset(f->workers[i].cache, 0, CACHE_SETS * sizeof(struct cached_set));
	}
	return 0;
}

static int start_looking(struct fib *f, struct event_base *base)
{
	struct timeval tv = { .tv_usec = LOOK_MS * 1000 };

	f->look = event_new(base, -1, EV_PERSIST, on_look, f);
	return f->look && !event_add(f->look, &tv) ? 0 : -ENOMEM;
}

int fib_open(struct fib **out, struct event_base *base, uint32_t workers_n, struct fault *fault)
{
	static const struct mirror_calls calls = { .routes = take_routes,
						   .neighbours = take_neighbours };
	struct fib *f = calloc(1, sizeof(*f));
	int err = -ENOMEM;

	if (!f)
		return fault_set(fault, err, "out of memory");
	mirror_model_init(&f->model);
	source_open(&f->source);
	/* Short only before the machine's pool is ready; a weaker seed is no error. */
	if (getrandom(&f->seed, sizeof(f->seed), GRND_NONBLOCK) != (ssize_t)sizeof(f->seed))
		f->seed = clock_ms();
	f->book = neigh_book_open(f->seed);
	if (!f->book || make_workers(f, workers_n) || start_looking(f, base))
		fault_set(fault, err, "out of memory for the routes of %u workers", workers_n);
	else
		err = mirror_open(&f->mirror, base, f->book, &calls, f, fault);
	if (err || !f->view) {
		fib_close(f);
		return err ? err : fault_set(fault, -ENOMEM, "out of memory for the routes");
	}
	*out = f;
	return 0;
}

void fib_close(struct fib *f)
{
	if (!f)
		return;
	mirror_close(f->mirror);
	if (f->look)
		event_free(f->look);
	while (f->retired) {
		struct view *v = f->retired;

		f->retired = v->next;
		snapshot_free(v);
	}
	snapshot_free(f->view);
	mirror_model_fini(&f->model);
	neigh_book_close(f->book);
	for (uint32_t i = 0; i < f->workers_n; i++)
		free(f->workers[i].cache);
	free(f->workers);
	source_close(&f->source);
	free(f);
}

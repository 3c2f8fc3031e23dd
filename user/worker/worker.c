/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c - see worker.h. From top to bottom: helping others, the idle sleep, the instructions of the main
 * thread, start and end. What it does with packets is in round.c.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "esp/esp.h"
#include "fib/fib.h"
#include "libxesp/line.h"
#include "port/port.h"
#include "port/ring.h"
#include "sad/sad.h"
#include "worker/crew.h"
#include "worker/round.h"
#include "worker/worker.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define STACK_BYTES (512u << 10)
#define SLEEP_MS 1000
#define SLEEP_UNSENT_MS 1 /* the kernel would not take all: ask it again soon */
#define ANSWER_MS 10000
#define DRAIN_TRIES 100
#define DRAIN_PAUSE_NS 200000
#define HELP_SPIN_NS 50000 /* after helping it looks for more for so long before it sleeps */

enum order { ORDER_ADOPT, ORDER_RELEASE, ORDER_RECLAIM, ORDER_SPREAD, ORDER_STOP };

struct instruction {
	enum order order;
	struct port *port;
	enum load_mode mode; /* of ORDER_SPREAD */
	uint32_t retired; /* answer of ORDER_RELEASE */
};

struct worker {
	struct worker_opts o;
	struct esp_worker *esp; /* NULL in a helper */
	struct round round;
	struct lane *lane; /* NULL: a helper, or no crew */
	uint32_t member;   /* of the crew, if there is one */
	uint64_t helped_ns;
	struct pollfd poll[XESP_PORTS_MAX + 1]; /* the last entry in use is wake_fd */
	/* Written by the main thread (release), taken by the worker (acquire) and set to NULL. */
	struct instruction *instruction;
	int wake_fd, done_fd; /* eventfds: main -> worker, worker -> main */
	bool stopping;
	pthread_t thread;
};

/* Nothing was received: what was sent is completed, and what was not is sent. True: some is left. */
static bool tidy_up(struct worker *w)
{
	bool unsent = false;

	for (uint32_t i = 0; i < w->round.list_n; i++) {
		struct port *p = w->round.list[i];

		ring_complete(p);
		if (ring_unsent(p)) {
			ring_kick(p);
			ring_complete(p);
			unsent |= ring_unsent(p);
		}
		ring_fill(p);
	}
	return unsent;
}

/* The interface is gone. Its socket would be ready for ever: it is not asked again. */
static void set_dead(struct worker *w, uint32_t i)
{
	w->poll[i].fd = -1;
	/* Partner: port_dead(), main thread; nothing but the flag is passed. */
	__atomic_store_n(&w->round.list[i]->dead, true, __ATOMIC_RELAXED);
}

/* A helper holds nothing of its own: whose work it does holds it. */
static void set_idle(struct worker *w, bool idle)
{
	if (!w->esp)
		return;
	sad_idle(w->o.sad, w->o.index, idle);
	fib_idle(w->o.fib, w->o.index, idle);
}

/* A chunk of another worker's, if one waits. True also for a while afterwards: don't sleep yet. */
static bool help(struct worker *w)
{
	if (!w->o.crew)
		return false;
	if (crew_help(w->o.crew, w->member)) {
		w->helped_ns = clock_ns();
		return true;
	}
	if (!w->helped_ns)
		return false;
	if (clock_ns() - w->helped_ns < HELP_SPIN_NS)
		return true;
	w->helped_ns = 0;
	return false;
}

static void sleep_until_work(struct worker *w, bool unsent)
{
	uint64_t count;

	int n;

	if (w->o.crew && !crew_lie_down(w->o.crew, w->member))
		return;
	set_idle(w, true);
	n = poll(w->poll, w->round.list_n + 1, unsent ? SLEEP_UNSENT_MS : SLEEP_MS);
	set_idle(w, false);
	if (w->o.crew)
		crew_get_up(w->o.crew, w->member);
	if (n <= 0)
		return;
	if (w->poll[w->round.list_n].revents && read(w->wake_fd, &count, sizeof(count)) < 0)
		count = 0; /* nothing to read is as good as read */
	for (uint32_t i = 0; i < w->round.list_n; i++)
		if (w->poll[i].revents & POLLERR)
			set_dead(w, i);
}

static void poll_devices(struct worker *w)
{
	for (uint32_t i = 0; i < w->round.list_n; i++)
		ring_busy_poll(w->round.list[i]);
}

static void list_ports(struct worker *w)
{
	uint32_t n = 0, most;

	for (int i = 0; i < XESP_PORTS_MAX; i++)
		if (w->round.ports[i])
			w->round.list[n++] = w->round.ports[i];
	w->round.list_n = n;
	/* A third of the pool is for transmission; the rest is shared among the fill rings. */
	most = n ? w->o.pool->frames_n / 3 * 2 / n : 0;
	for (uint32_t i = 0; i < n; i++) {
		w->round.list[i]->fill_target = most < PORT_RING ? most : PORT_RING;
		w->poll[i] = (struct pollfd){ .fd = w->round.list[i]->fd, .events = POLLIN };
	}
	w->poll[n] = (struct pollfd){ .fd = w->wake_fd, .events = POLLIN };
}

static void adopt(struct worker *w, struct port *p)
{
	w->round.ports[p->number] = p;
	w->round.forward.may[p->number] = (uint8_t)((p->spec.sends ? FORWARD_MAY_SEND : 0) |
					      (p->multi_buffer ? FORWARD_MAY_SPLIT : 0) |
					      (p->spec.role & XESP_ROLE_INNER ? FORWARD_MAY_CLEAR : 0));
	list_ports(w);
	ring_fill(p);
}

static uint32_t let_go(struct worker *w, struct port *p)
{
	const struct timespec pause = { .tv_nsec = DRAIN_PAUSE_NS };

	/* XDP sends nothing more here; what has arrived is still served. */
	round_release(&w->round, p);
	for (int i = 0; i < DRAIN_TRIES && p->tx_out; i++) {
		ring_kick(p);
		ring_complete(p);
		if (p->tx_out)
			nanosleep(&pause, NULL);
	}
	gather_abandon(&p->gather, w->o.pool);
	w->round.ports[p->number] = NULL;
	w->round.forward.may[p->number] = 0;
	list_ports(w);
	return umem_abandon(w->o.pool, p->number);
}

static void follow_instruction(struct worker *w)
{
	struct instruction *in = __atomic_load_n(&w->instruction, __ATOMIC_ACQUIRE);
	const uint64_t one = 1;

	if (!in)
		return;
	round_flush(&w->round);
	switch (in->order) {
	case ORDER_ADOPT:
		adopt(w, in->port);
		break;
	case ORDER_RELEASE:
		in->retired = let_go(w, in->port);
		break;
	case ORDER_RECLAIM:
		umem_reclaim(w->o.pool);
		break;
	case ORDER_SPREAD:
		load_set_mode(&w->round.load, in->mode);
		break;
	case ORDER_STOP:
		w->stopping = true;
		break;
	}
	__atomic_store_n(&w->instruction, NULL, __ATOMIC_RELEASE);
	if (write(w->done_fd, &one, sizeof(one)) < 0)
		log_fatal("worker %u: cannot answer: %s", w->o.index, strerror(errno));
}

static void *run(void *arg)
{
	struct worker *w = arg;
	char name[16];

	/* By the thread itself: for another one it takes a file opened for writing. */
	snprintf(name, sizeof(name), w->esp ? "xespd-w%u" : "xespd-h%u", w->o.index);
	pthread_setname_np(pthread_self(), name);
	set_idle(w, false);
	for (;;) {
		bool unsent;

		follow_instruction(w);
		if (w->stopping) /* at once, not after one more sleep */
			break;
		if (w->esp) {
			uint32_t n = round_serve(&w->round);

			round_quiescent(&w->round);
			if (n)
				continue;
		}
		unsent = tidy_up(w);
		if (w->o.busy_poll)
			poll_devices(w);
		if (!help(w) && !w->o.busy_poll)
			sleep_until_work(w, unsent);
	}
	set_idle(w, true);
	return NULL;
}

/* ---- main thread */

static uint32_t instruct(struct worker *w, struct instruction in)
{
	struct pollfd done = { .fd = w->done_fd, .events = POLLIN };
	uint64_t count = 1;
	int n;

	__atomic_store_n(&w->instruction, &in, __ATOMIC_RELEASE);
	if (write(w->wake_fd, &count, sizeof(count)) < 0)
		log_fatal("worker %u: cannot wake it: %s", w->o.index, strerror(errno));
	do
		n = poll(&done, 1, ANSWER_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0 || read(w->done_fd, &count, sizeof(count)) < 0)
		log_fatal("worker %u: no answer within %d s", w->o.index, ANSWER_MS / 1000);
	return in.retired;
}

void worker_adopt(struct worker *w, struct port *p)
{
	instruct(w, (struct instruction){ .order = ORDER_ADOPT, .port = p });
}

uint32_t worker_release(struct worker *w, struct port *p)
{
	return instruct(w, (struct instruction){ .order = ORDER_RELEASE, .port = p });
}

void worker_reclaim(struct worker *w)
{
	instruct(w, (struct instruction){ .order = ORDER_RECLAIM });
}

void worker_set_spread(struct worker *w, enum load_mode mode)
{
	if (w->lane)
		instruct(w, (struct instruction){ .order = ORDER_SPREAD, .mode = mode });
}

void worker_spread(const struct worker *w, struct worker_spread *out)
{
	const struct dispatch_counts *own = &w->round.dispatch.counts;

	*out = (struct worker_spread){
		.may = w->lane != NULL,
		.now = __atomic_load_n(&w->round.load.phase, __ATOMIC_RELAXED) >= LOAD_TRIAL,
		.switches = __atomic_load_n(&w->round.load.switches, __ATOMIC_RELAXED),
		.given = __atomic_load_n(&own->packets, __ATOMIC_RELAXED),
	};
	if (w->o.crew)
		crew_count(w->o.crew, w->member, &out->helped);
}

static int start_thread(struct worker *w)
{
	pthread_attr_t attr;
	sigset_t all, before;
	cpu_set_t cpu;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (w->o.cpu >= 0) {
		CPU_ZERO(&cpu);
		CPU_SET((size_t)w->o.cpu, &cpu);
		pthread_attr_setaffinity_np(&attr, sizeof(cpu), &cpu);
	}
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&w->thread, &attr, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

static void free_worker(struct worker *w)
{
	round_fini(&w->round);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	if (w->done_fd >= 0)
		close(w->done_fd);
	esp_worker_close(w->esp);
	free(w);
}

static int open_round(struct worker *w, struct fault *f)
{
	const struct worker_opts *o = &w->o;
	struct round_opts round = {
		.index = o->index, .batch = o->batch, .pool = o->pool, .sad = o->sad, .fib = o->fib,
		.slow = o->slow, .lane = o->lane,
	};
	int err = esp_worker_open(&w->esp, o->sad, o->index, f);

	if (err)
		return err;
	round.esp = w->esp;
	err = round_init(&w->round, &round, f);
	if (!err && w->lane)
		err = round_join(&w->round, o->crew, o->members_n, f);
	return err;
}

static int join_crew(struct worker *w, struct fault *f)
{
	const struct crew_member_opts o = { .keys = w->o.index, .wake_fd = w->wake_fd,
					    .lane = w->lane };
	int member = crew_join(w->o.crew, &o);

	if (member < 0)
		return fault_set(f, member, "more than %d threads", CREW_MAX);
	w->member = (uint32_t)member;
	return 0;
}

int worker_open(struct worker **out, const struct worker_opts *o, struct fault *f)
{
	struct worker *w = line_alloc(sizeof(*w));
	int err = 0;

	if (!w)
		return fault_set(f, -ENOMEM, "out of memory");
	w->o = *o;
	w->lane = o->crew ? o->lane : NULL;
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->done_fd = eventfd(0, EFD_CLOEXEC);
	if (w->wake_fd < 0 || w->done_fd < 0)
		err = fault_set(f, -errno, "eventfd: %s", strerror(errno));
	if (!err && o->pool)
		err = open_round(w, f);
	if (!err && o->crew)
		err = join_crew(w, f);
	if (err)
		goto free_worker;
	list_ports(w);
	err = start_thread(w);
	if (err) {
		fault_set(f, err, "cannot start a thread: %s", strerror(-err));
		goto free_worker;
	}
	*out = w;
	return 0;

free_worker:
	free_worker(w);
	return fault_in(f, err, "worker %u", o->index);
}

static bool count_frames(const struct worker *w)
{
	uint32_t by_owner[UMEM_OWNERS];
	bool sound = umem_census(w->o.pool, by_owner);
	const uint32_t known = by_owner[UMEM_FREE] + by_owner[UMEM_QUARANTINE] +
			       by_owner[UMEM_RETIRED];

	sound = sound && known == umem_chunks(w->o.pool);
	if (sound)
		log_debug("worker %u: %u frames, all accounted for", w->o.index, known);
	else
		log_error("worker %u: %u frames, but %u free, %u quarantined, %u retired, %u in hand",
			  w->o.index, umem_chunks(w->o.pool), by_owner[UMEM_FREE],
			  by_owner[UMEM_QUARANTINE], by_owner[UMEM_RETIRED], by_owner[UMEM_HAND]);
	return sound;
}

bool worker_close(struct worker *w)
{
	bool sound;

	if (!w)
		return true;
	instruct(w, (struct instruction){ .order = ORDER_STOP });
	pthread_join(w->thread, NULL);
	sound = !w->o.pool || count_frames(w);
	free_worker(w);
	return sound;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* lifetime.c - see lifetime.h. From top to bottom: measuring, judging, the timer, showing. */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keyd/change.h"
#include "keyd/config.h"
#include "keyd/lifetime.h"
#include "keyd/publish_maps.h"
#include "keyd/publish_worker.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define LOOK_S 1
#define LOOKS_TO_TRUST 5   /* a rate of fewer is no rate yet */
#define RATE_KEEP 0.9      /* of the old rate a second: half of it is of the last seven */
#define PROBLEMS_MAX_SHOWN 8
#define NEVER UINT64_MAX
#define JUMP_LEAST 65536

/* What was seen of one SA id; begins anew with each other SA under it. */
struct watch {
	uint64_t born_ns; /* of the SA it is about; 0 none */
	uint64_t at_ns;   /* of the last look */
	uint64_t numbers, packets, bytes, ecn_alarms;
	double numbers_rate, bytes_rate; /* a second */
	uint32_t looks;
	bool warned; /* that it will be used up soon */
};

struct lifetime {
	struct change *change;
	struct event *timer;
	struct watch *watch; /* [max_sas] */
	struct log_limit ecn_log;
};

/* The workers' ends of these are in user/sad/lifetime.c, lease.c and esp/. */
static uint64_t get(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static const struct xesp_sa_state *state_of(const struct lifetime *l, const struct sa *sa)
{
	return &l->change->maps->sa[sa->id];
}

/* ---- measuring */

/* Sequence numbers used so far: RFC 4303 section 3.3.3 outbound, the highest seen inbound. */
static uint64_t numbers_used(const struct sa *sa, const struct xesp_sa_state *st)
{
	uint64_t next;

	if (sa->dir == XESP_DIR_IN)
		return get(&st->replay_top);
	next = get(&st->seq_next);
	return next ? next - 1 : 0;
}

static uint64_t packets_used(const struct xesp_sa_state *st)
{
	uint64_t life = get(&st->life_packets), all = get(&st->packets);

	return life > all ? life : all;
}

static uint64_t bytes_used(const struct xesp_sa_state *st)
{
	uint64_t life = get(&st->life_bytes), all = get(&st->bytes);

	return life > all ? life : all;
}

static double smooth(double rate, uint64_t grew, double seconds, uint32_t looks)
{
	double keep = looks < LOOKS_TO_TRUST ? 0.5 : RATE_KEEP, now = (double)grew / seconds;

	return looks ? rate * keep + now * (1 - keep) : now;
}

/*
 * Numbers that were used since the last look. One that is far above what was sent has jumped to a
 * new lease, whose former one is lost: that is no rate.
 */
static uint64_t numbers_grew(const struct watch *w, const struct sa *sa, uint64_t numbers,
			     uint64_t packets)
{
	const uint64_t sent = packets > w->packets ? packets - w->packets : 0;

	if (sa->dir == XESP_DIR_OUT && numbers - w->numbers > 2 * sent + JUMP_LEAST)
		return sent;
	return numbers - w->numbers;
}

static void measure(struct watch *w, const struct sa *sa, const struct xesp_sa_state *st,
		    uint64_t now_ns)
{
	uint64_t numbers = numbers_used(sa, st), bytes = bytes_used(st), packets = packets_used(st);
	double seconds;

	if (w->born_ns != sa->born_ns) {
		*w = (struct watch){ .born_ns = sa->born_ns,
				     .ecn_alarms = get(&st->ecn_alarms) };
	} else if (now_ns > w->at_ns && numbers >= w->numbers && bytes >= w->bytes) {
		seconds = (double)(now_ns - w->at_ns) / 1e9;
		w->numbers_rate = smooth(w->numbers_rate, numbers_grew(w, sa, numbers, packets),
					 seconds, w->looks);
		w->bytes_rate = smooth(w->bytes_rate, bytes - w->bytes, seconds, w->looks);
		w->looks++;
	}
	w->numbers = numbers;
	w->packets = packets;
	w->bytes = bytes;
	w->at_ns = now_ns;
}

static uint64_t seconds_left(uint64_t left, double rate)
{
	double s;

	if (rate < 0.001)
		return NEVER;
	s = (double)left / rate;
	return s >= 9e18 ? NEVER : (uint64_t)s;
}

static uint64_t rest(uint64_t limit, uint64_t used)
{
	return limit > used ? limit - used : 0;
}

static uint64_t numbers_left(const struct sa *sa, const struct xesp_sa_state *st)
{
	return rest(sad_last_number(sa), numbers_used(sa, st));
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Until its numbers are used up, or its hard limits of packets and bytes met, at these rates. */
static uint64_t used_up_in(const struct watch *w, const struct sa *sa,
			   const struct xesp_sa_state *st)
{
	uint64_t in;

	if (!numbers_left(sa, st))
		return 0;
	if (w->born_ns != sa->born_ns || w->looks < LOOKS_TO_TRUST)
		return NEVER;
	in = seconds_left(rest(sad_last_number(sa), w->numbers), w->numbers_rate);
	if (sa->limits.hard_packets)
		in = least(in, seconds_left(rest(sa->limits.hard_packets, packets_used(st)),
					    w->numbers_rate));
	if (sa->limits.hard_bytes)
		in = least(in, seconds_left(rest(sa->limits.hard_bytes, bytes_used(st)),
					    w->bytes_rate));
	return in;
}

static uint64_t age_s(const struct sa *sa, uint64_t now_ns)
{
	return now_ns > sa->born_ns ? (now_ns - sa->born_ns) / 1000000000u : 0;
}

/* Seconds until its hard limit of time; NEVER: it has none. */
static uint64_t time_left(const struct sa *sa, uint64_t now_ns)
{
	return sa->limits.hard_seconds ? rest(sa->limits.hard_seconds, age_s(sa, now_ns)) : NEVER;
}

/* ---- judging */

struct usage {
	const char *unit;
	uint64_t used, soft, hard;
};

static void fill_usage(struct usage u[3], const struct sa *sa, const struct xesp_sa_state *st,
		       uint64_t now_ns)
{
	const struct limits *l = &sa->limits;

	u[0] = (struct usage){ "seconds", age_s(sa, now_ns), l->soft_seconds, l->hard_seconds };
	u[1] = (struct usage){ "bytes", bytes_used(st), l->soft_bytes, l->hard_bytes };
	u[2] = (struct usage){ "packets", packets_used(st), l->soft_packets, l->hard_packets };
}

/* "its soft limit of 900 packets is reached"; the limit that is furthest exceeded by time first. */
static void print_limit(char *buf, size_t len, const struct usage u[3], bool hard)
{
	for (int i = 0; i < 3; i++) {
		uint64_t limit = hard ? u[i].hard : u[i].soft;

		/* A packet that does not fit ends an SA before the last byte is used. */
		if (limit && (u[i].used >= limit || (hard && i == 1 && limit - u[i].used < 65536))) {
			snprintf(buf, len, "its %s limit of %" PRIu64 " %s is reached",
				 hard ? "hard" : "soft", limit, u[i].unit);
			return;
		}
	}
	snprintf(buf, len, "its lifetime has ended");
}

static bool is_beyond_soft(const struct usage u[3])
{
	for (int i = 0; i < 3; i++)
		if (u[i].soft && u[i].used >= u[i].soft)
			return true;
	return false;
}

static void end_sa(struct lifetime *l, uint32_t at, const struct usage u[3])
{
	struct config *c = l->change->now;
	struct sa *sa = &c->sad.sas[at];
	char why[96];

	/* Release with user/sad/lifetime.c: also the next keyd must find it ended. */
	__atomic_store_n(&l->change->maps->sa[sa->id].expired, XESP_EXPIRED_HARD,
			 __ATOMIC_RELEASE);
	sad_end(&c->sad, at);
	if (l->change->worker)
		publish_worker_sa(l->change->worker, c, at);
	print_limit(why, sizeof(why), u, true);
	log_warn("SA '%s': %s: it carries nothing any more; give it a new key", sa->name, why);
	change_happened(l->change, CHANGE_SA_HARD, &c->sad, sa, why);
}

static void warn_soft(struct lifetime *l, struct xesp_sa_state *st, const struct sa *sa,
		      const struct usage u[3])
{
	__u32 not_yet = XESP_EXPIRED_NOT;
	char why[96];

	/* A worker may have found the hard limit in between. */
	if (!__atomic_compare_exchange_n(&st->expired, &not_yet, XESP_EXPIRED_SOFT, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	print_limit(why, sizeof(why), u, false);
	log_warn("SA '%s': %s: give it a new key", sa->name, why);
	change_happened(l->change, CHANGE_SA_SOFT, &l->change->now->sad, sa, why);
}

static const char *print_seconds(char buf[32], uint64_t s)
{
	if (s < 120)
		snprintf(buf, 32, "%" PRIu64 " s", s);
	else if (s < 7200)
		snprintf(buf, 32, "%" PRIu64 " min", s / 60);
	else if (s < 2 * 86400)
		snprintf(buf, 32, "%" PRIu64 " h", s / 3600);
	else
		snprintf(buf, 32, "%" PRIu64 " days", s / 86400);
	return buf;
}

static bool is_soon_used_up(const struct watch *w, const struct sa *sa,
			    const struct xesp_sa_state *st, uint64_t now_ns, uint64_t *in)
{
	*in = used_up_in(w, sa, st);
	if (!*in)
		return true; /* it is now */
	return *in != NEVER && *in < sa->limits.warn_seconds && *in < time_left(sa, now_ns);
}

static const char *print_used_up(char buf[96], const struct watch *w, uint64_t in)
{
	char span[32];

	if (in)
		snprintf(buf, 96, "used up in %s at the present rate of %.0f packets/s",
			 print_seconds(span, in), w->numbers_rate);
	else
		snprintf(buf, 96, "its sequence numbers are used up");
	return buf;
}

static void warn_used_up(struct lifetime *l, struct watch *w, const struct sa *sa, const struct xesp_sa_state *st,
			 uint64_t now_ns)
{
	char buf[96];
	uint64_t in;

	if (w->warned || !is_soon_used_up(w, sa, st, now_ns, &in))
		return;
	w->warned = true;
	log_warn("SA '%s': %s: give it a new key", sa->name, print_used_up(buf, w, in));
	change_happened(l->change, CHANGE_SA_USED_UP, &l->change->now->sad, sa, buf);
}

/* RFC 6040 section 4.2: combinations that no path makes are to be logged, at a limited rate. */
static void warn_ecn(struct lifetime *l, struct watch *w, const struct sa *sa,
		     const struct xesp_sa_state *st)
{
	uint64_t alarms = get(&st->ecn_alarms), left_out;

	if (alarms == w->ecn_alarms || !log_allowed(&l->ecn_log, &left_out))
		return;
	log_warn("SA '%s': %" PRIu64 " packets whose outer ECN does not fit their inner one (RFC 6040 section 4.2): something on the path alters it",
		 sa->name, alarms - w->ecn_alarms);
	w->ecn_alarms = alarms;
}

static void look_at(struct lifetime *l, uint32_t at, uint64_t now_ns)
{
	struct sa *sa = &l->change->now->sad.sas[at];
	struct xesp_sa_state *st = &l->change->maps->sa[sa->id];
	struct watch *w = &l->watch[sa->id];
	struct usage u[3];

	measure(w, sa, st, now_ns);
	warn_ecn(l, w, sa, st);
	if (sa->over)
		return;
	fill_usage(u, sa, st, now_ns);
	if (__atomic_load_n(&st->expired, __ATOMIC_ACQUIRE) == XESP_EXPIRED_HARD ||
	    (u[0].hard && u[0].used >= u[0].hard)) {
		end_sa(l, at, u);
		return;
	}
	if (is_beyond_soft(u))
		warn_soft(l, st, sa, u);
	warn_used_up(l, w, sa, st, now_ns);
}

void lifetime_look(struct lifetime *l, uint64_t now_ns)
{
	/* During a change the SAs are another's, and the next look is soon. */
	if (!l->change->now || l->change->next)
		return;
	for (uint32_t i = 0; i < l->change->now->sad.sas_n; i++)
		look_at(l, i, now_ns);
}

/* ---- the timer */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	lifetime_look(arg, clock_boot_ns());
}

int lifetime_open(struct lifetime **out, struct event_base *base, struct change *change,
		  struct fault *f)
{
	const struct timeval every = { .tv_sec = LOOK_S };
	struct lifetime *l = calloc(1, sizeof(*l));

	if (l)
		l->watch = calloc(change->maps->max_sas, sizeof(*l->watch));
	if (l && base)
		l->timer = event_new(base, -1, EV_PERSIST, on_timer, l);
	if (!l || !l->watch || (base && (!l->timer || event_add(l->timer, &every)))) {
		lifetime_close(l);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	l->change = change;
	*out = l;
	return 0;
}

void lifetime_close(struct lifetime *l)
{
	if (!l)
		return;
	if (l->timer)
		event_free(l->timer);
	free(l->watch);
	free(l);
}

/* ---- showing */

static void put(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, n == NEVER ? NULL : json_object_new_uint64(n));
}

static struct json_object *usage_json(const struct usage *u)
{
	struct json_object *o = json_object_new_object();

	put(o, "used", u->used);
	put(o, "soft", u->soft ? u->soft : NEVER);
	put(o, "hard", u->hard ? u->hard : NEVER);
	return o;
}

/* Only what happened; the key is how far behind the packets were at least. */
static struct json_object *late_json(const struct xesp_sa_state *st)
{
	struct json_object *o = json_object_new_object();
	char key[24];

	for (uint32_t k = 0; k < XESP_LATE_BUCKETS; k++) {
		uint64_t n = get(&st->late[k]);

		if (!n)
			continue;
		snprintf(key, sizeof(key), "%" PRIu64, (uint64_t)1 << k);
		json_object_object_add(o, key, json_object_new_uint64(n));
	}
	return o;
}

static const char *life_state(const struct sa *sa, const struct usage u[3])
{
	if (sa->over)
		return "expired";
	return is_beyond_soft(u) ? "soft" : "good";
}

void lifetime_show(const struct lifetime *l, const struct sa *sa, struct json_object *o)
{
	const struct xesp_sa_state *st = state_of(l, sa);
	const struct watch *w = &l->watch[sa->id];
	struct json_object *life = json_object_new_object(), *seq;
	uint64_t now_ns = clock_boot_ns();
	struct usage u[3];
	char why[96];

	fill_usage(u, sa, st, now_ns);
	json_object_object_add(life, "state", json_object_new_string(life_state(sa, u)));
	for (int i = 0; i < 3; i++)
		json_object_object_add(life, u[i].unit, usage_json(&u[i]));
	put(life, "ends_in_s", least(used_up_in(w, sa, st), time_left(sa, now_ns)));
	json_object_object_add(o, "lifetime", life);
	if (sa->over) {
		print_limit(why, sizeof(why), u, true);
		json_object_object_add(o, "state", json_object_new_string("expired"));
		json_object_object_add(o, "reason", json_object_new_string(why));
	}
	if (json_object_object_get_ex(o, "sequence", &seq)) {
		put(seq, "left", numbers_left(sa, st));
		json_object_object_add(seq, "per_s",
				       json_object_new_double((double)(uint64_t)(w->numbers_rate *
										10) / 10));
		put(seq, "used_up_in_s",
		    w->born_ns == sa->born_ns && w->looks >= LOOKS_TO_TRUST ?
			    seconds_left(rest(sad_last_number(sa), w->numbers), w->numbers_rate) :
			    NEVER);
	}
	if (sa->dir == XESP_DIR_IN) {
		json_object_object_add(o, "late", late_json(st));
		put(o, "ecn_alarms", get(&st->ecn_alarms));
	}
}

static void add_sentence(struct json_object *list, uint32_t *n, const char *text)
{
	if ((*n)++ < PROBLEMS_MAX_SHOWN)
		json_object_array_add(list, json_object_new_string(text));
}

void lifetime_problems(const struct lifetime *l, struct json_object *list)
{
	const struct config *c = l->change->now;
	uint64_t now_ns = clock_boot_ns(), in;
	char text[256], why[96];
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->sad.sas_n; i++) {
		const struct sa *sa = &c->sad.sas[i];
		const struct xesp_sa_state *st = state_of(l, sa);
		struct usage u[3];

		fill_usage(u, sa, st, now_ns);
		if (sa->over || is_beyond_soft(u)) {
			print_limit(why, sizeof(why), u, sa->over);
			snprintf(text, sizeof(text), "SA '%s': %s: give it a new key", sa->name,
				 why);
			add_sentence(list, &n, text);
		} else if (is_soon_used_up(&l->watch[sa->id], sa, st, now_ns, &in)) {
			snprintf(text, sizeof(text), "SA '%s': %s: give it a new key", sa->name,
				 print_used_up(why, &l->watch[sa->id], in));
			add_sentence(list, &n, text);
		}
	}
	if (n <= PROBLEMS_MAX_SHOWN)
		return;
	snprintf(text, sizeof(text), "and %u more SAs that need new keys: `xesp sa`",
		 n - PROBLEMS_MAX_SHOWN);
	json_object_array_add(list, json_object_new_string(text));
}

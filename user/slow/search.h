/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * search.h - the search for a path's MTU by probes, RFC 8899 section 5.
 *
 * Sizes are of outer packets. What the tunnel uses is not touched before there is evidence: the
 * largest size is tried first, since most paths carry it; when it fails, the base. Only a base that
 * is answered, while the larger size is not, tells a black hole from a peer that is not there. Pure:
 * the caller has the clock and sends.
 */
#ifndef XESP_SLOW_SEARCH_H
#define XESP_SLOW_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#define SEARCH_PROBE_MS   1100  /* PROBE_TIMER, RFC 8899 section 5.1.1: above a second */
#define SEARCH_PROBES     3     /* MAX_PROBES, section 5.1.2 */
#define SEARCH_CONFIRM_MS 30000 /* CONFIRMATION_TIMER: how long a black hole may go unseen */
#define SEARCH_RETRY_MS   10000 /* nobody answers at all: until the next try */
#define SEARCH_BASE       1280  /* BASE_PLPMTU: what any IPv6 link carries */

enum search_state {
	SEARCH_MAX,      /* probing the largest size, or confirming the present one */
	SEARCH_FLOOR,    /* probing the base, then the floor */
	SEARCH_BETWEEN,  /* a size was confirmed, a larger one failed */
	SEARCH_COMPLETE,
	SEARCH_SILENT,   /* no size is answered: nothing is known */
};

struct search_limits {
	uint32_t max;    /* what the link carries, or the administrator allows */
	uint32_t floor;
	uint32_t step;   /* sizes nearer than this make no difference: the cipher's alignment */
	uint32_t raise_s; /* PMTU_RAISE_TIMER */
};

struct search {
	struct search_limits l;
	uint8_t state;   /* enum search_state */
	uint8_t lost;    /* probes of this size without an answer */
	bool waiting;    /* for an answer */
	uint16_t first, seq; /* of the probes of this size, the first and the latest */
	uint32_t low;    /* the largest size that was answered; 0: none */
	uint32_t high;   /* the smallest that failed; above l.max: none */
	uint32_t size;   /* probed now */
	uint32_t found;  /* what was concluded last; 0: no less than l.max */
	uint64_t due_ms; /* of the next probe, or of giving this one up */
	uint64_t raise_ms; /* when larger sizes are tried again */
	uint64_t confirmed_ms; /* when a probe was answered last; 0: never */
};

void search_init(struct search *s, const struct search_limits *l, uint64_t now_ms);
/* Begins anew when the limits are others; what was found holds until then. */
void search_limit(struct search *s, const struct search_limits *l, uint64_t now_ms);

/* The size to probe now, under s->seq; 0: none yet. Call it ten times a second. */
uint32_t search_next(struct search *s, uint64_t now_ms);
void search_answered(struct search *s, uint16_t seq, uint64_t now_ms);
/* A believed ICMP error: no more than mtu passes, RFC 8899 section 4.6.2. */
void search_too_big(struct search *s, uint32_t mtu, uint64_t now_ms);

/* What probes have shown that the path carries, when that is less than the most; 0: no limit. */
uint32_t search_result(const struct search *s);

#endif /* XESP_SLOW_SEARCH_H */

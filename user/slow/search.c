/* SPDX-License-Identifier: BSD-2-Clause */
/* search.c - see search.h. */
#include "slow/search.h"

static void probe(struct search *s, enum search_state state, uint32_t size, uint64_t due_ms)
{
	s->state = (uint8_t)state;
	s->size = size;
	s->lost = 0;
	s->waiting = false;
	s->due_ms = due_ms;
}

static uint32_t base_of(const struct search *s)
{
	uint32_t base = SEARCH_BASE < s->l.floor ? s->l.floor : SEARCH_BASE;

	return base < s->l.max ? base : s->l.max;
}

void search_init(struct search *s, const struct search_limits *l, uint64_t now_ms)
{
	*s = (struct search){ .l = *l, .high = l->max + 1 };
	s->raise_ms = now_ms + l->raise_s * UINT64_C(1000);
	probe(s, SEARCH_MAX, l->max, now_ms);
}

void search_limit(struct search *s, const struct search_limits *l, uint64_t now_ms)
{
	uint32_t found = s->found;
	uint16_t seq = s->seq;

	if (l->max == s->l.max && l->floor == s->l.floor) {
		s->l = *l;
		return;
	}
	search_init(s, l, now_ms);
	s->seq = seq;
	s->found = found < l->max ? found : 0;
}

/* Between what passes and what does not: the next size, or the end. */
static void go_on(struct search *s, uint64_t now_ms)
{
	s->found = s->low < s->l.max ? s->low : 0;
	if (s->low < s->l.max && s->high - s->low > s->l.step) {
		probe(s, SEARCH_BETWEEN, s->low + (s->high - s->low) / 2, now_ms);
		return;
	}
	if (s->state != SEARCH_COMPLETE)
		s->raise_ms = now_ms + s->l.raise_s * UINT64_C(1000);
	probe(s, SEARCH_COMPLETE, s->low, now_ms + SEARCH_CONFIRM_MS);
}

/* What was probed does not pass, though it may have once: does anything? */
static void ask_base(struct search *s, uint64_t now_ms)
{
	uint32_t base = base_of(s);

	s->low = 0;
	probe(s, SEARCH_FLOOR, base < s->size ? base : s->l.floor, now_ms);
}

/* MAX_PROBES of a size went unanswered. */
static void failed(struct search *s, uint64_t now_ms)
{
	if (s->size < s->high)
		s->high = s->size;
	switch ((enum search_state)s->state) {
	case SEARCH_MAX:
		if (s->low && s->low < s->size)
			go_on(s, now_ms);
		else
			ask_base(s, now_ms);
		return;
	case SEARCH_COMPLETE: /* a black hole, or nobody is there any more: section 4.3 */
		ask_base(s, now_ms);
		return;
	case SEARCH_BETWEEN:
		go_on(s, now_ms);
		return;
	case SEARCH_FLOOR:
		if (s->size > s->l.floor) {
			probe(s, SEARCH_FLOOR, s->l.floor, now_ms);
			return;
		}
		break;
	case SEARCH_SILENT:
		break;
	}
	/* Nothing passes, so size is not the matter, and what was found before still is the best guess. */
	s->high = s->l.max + 1;
	probe(s, SEARCH_SILENT, base_of(s), now_ms + SEARCH_RETRY_MS);
}

uint32_t search_next(struct search *s, uint64_t now_ms)
{
	if (now_ms < s->due_ms)
		return 0;
	if (s->waiting) {
		s->waiting = false;
		if (++s->lost >= SEARCH_PROBES)
			failed(s, now_ms);
		if (now_ms < s->due_ms)
			return 0;
	}
	s->seq++;
	if (!s->lost)
		s->first = s->seq;
	s->waiting = true;
	s->due_ms = now_ms + SEARCH_PROBE_MS;
	return s->size;
}

void search_answered(struct search *s, uint16_t seq, uint64_t now_ms)
{
	/* A late answer counts, as long as its size is the one in question. */
	if (!s->waiting || (uint16_t)(seq - s->first) > (uint16_t)(s->seq - s->first))
		return;
	s->waiting = false;
	s->confirmed_ms = now_ms;
	if (s->size > s->low)
		s->low = s->size;
	if (s->state == SEARCH_SILENT && s->low < s->l.max) {
		/* Somebody is there again: from the top. */
		probe(s, SEARCH_MAX, s->l.max, now_ms);
		return;
	}
	/* Not before the present size is confirmed: a search above one that has failed finds nothing. */
	if (s->state == SEARCH_COMPLETE && now_ms >= s->raise_ms && s->low < s->l.max) {
		s->raise_ms = now_ms + s->l.raise_s * UINT64_C(1000);
		s->high = s->l.max + 1;
		probe(s, SEARCH_MAX, s->l.max, now_ms);
		return;
	}
	go_on(s, now_ms);
}

void search_too_big(struct search *s, uint32_t mtu, uint64_t now_ms)
{
	if (mtu >= s->l.max)
		return;
	if (mtu + 1 < s->high)
		s->high = mtu + 1;
	if (s->low > mtu)
		s->low = 0;
	probe(s, SEARCH_MAX, mtu, now_ms);
}

uint32_t search_result(const struct search *s)
{
	return s->found;
}

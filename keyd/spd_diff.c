/* SPDX-License-Identifier: BSD-2-Clause */
/* spd_diff.c - see spd_diff.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/index.h"
#include "keyd/spd.h"
#include "keyd/spd_diff.h"

/* Ranks are 1 .. RANK_END - 1; the classifier's "none" lies above them. */
#define RANK_END 0xfffffffeu
#define GAP_MIN 64 /* what a neighbourhood is spread to, at least */

#define NO_RANK 0 /* in ranks[] while it is being found */

struct work {
	const struct spd *now;
	struct spd *next;
	struct spd_diff *d;
	uint32_t head, tail; /* policies at both ends that are the same */
	uint32_t *was;       /* [middle of next] place in now, or INDEX_NONE */
	uint8_t *same;       /* [middle of next] and with the same digest */
};

static uint32_t middle_n(const struct work *w, const struct spd *spd)
{
	return spd->n - w->head - w->tail;
}

static bool same_digest(const struct spd *a, uint32_t i, const struct spd *b, uint32_t k)
{
	return !memcmp(a->digests[i], b->digests[k], SPD_DIGEST_LEN);
}

static void trim(struct work *w)
{
	const uint32_t a = w->now->n, b = w->next->n, least = a < b ? a : b;

	while (w->head < least && same_digest(w->now, w->head, w->next, w->head))
		w->head++;
	while (w->head + w->tail < least &&
	       same_digest(w->now, a - 1 - w->tail, w->next, b - 1 - w->tail))
		w->tail++;
}

/* Ends keep their ids and ranks. */
static void copy_ends(struct work *w)
{
	const struct spd *now = w->now;
	struct spd *next = w->next;
	const uint32_t from = now->n - w->tail, to = next->n - w->tail;

	memcpy(next->ids, now->ids, w->head * sizeof(*next->ids));
	memcpy(next->ranks, now->ranks, w->head * sizeof(*next->ranks));
	memcpy(next->ids + to, now->ids + from, w->tail * sizeof(*next->ids));
	memcpy(next->ranks + to, now->ranks + from, w->tail * sizeof(*next->ranks));
}

static int find_names(struct work *w)
{
	const uint32_t n = middle_n(w, w->next), now_n = middle_n(w, w->now);
	struct index by_name;
	uint32_t found;
	int err = 0;

	w->was = malloc((n + 1) * sizeof(*w->was));
	w->same = calloc(n + 1, 1);
	if (!w->was || !w->same)
		return -ENOMEM;
	index_init(&by_name, XESP_NAME_MAX);
	for (uint32_t i = w->head; i < w->head + now_n && !err; i++)
		err = index_add(&by_name, w->now->policies[i].name, i, &found);
	for (uint32_t i = 0; i < n && !err; i++) {
		const uint32_t at = w->head + i;

		w->was[i] = index_find(&by_name, w->next->policies[at].name);
		w->next->ids[at] = 0;
		if (w->was[i] == INDEX_NONE)
			continue;
		w->next->ids[at] = w->now->ids[w->was[i]];
		w->same[i] = same_digest(w->now, w->was[i], w->next, at);
	}
	index_fini(&by_name);
	return err;
}

/*
 * Of the kept ones those that stand in the same order as before, as many as possible, keep their
 * ranks: the longest increasing subsequence of their former places.
 */
static int keep_ranks(struct work *w)
{
	const uint32_t n = middle_n(w, w->next);
	uint32_t *best = malloc((n + 1) * sizeof(*best)); /* of each length the lowest last one */
	uint32_t *before = malloc((n + 1) * sizeof(*before));
	uint32_t length = 0;

	for (uint32_t i = 0; i < n && best && before; i++) {
		uint32_t low = 0, high = length;

		w->next->ranks[w->head + i] = NO_RANK;
		if (!w->same[i])
			continue;
		while (low < high) {
			uint32_t mid = (low + high) / 2;

			if (w->was[best[mid]] < w->was[i])
				low = mid + 1;
			else
				high = mid;
		}
		before[i] = low ? best[low - 1] : INDEX_NONE;
		best[low] = i;
		length += low == length;
	}
	if (best && before)
		for (uint32_t i = length ? best[length - 1] : INDEX_NONE; i != INDEX_NONE;
		     i = before[i])
			w->next->ranks[w->head + i] = w->now->ranks[w->was[i]];
	length = best && before;
	free(before);
	free(best);
	return length ? 0 : -ENOMEM;
}

/* Ranks of places first .. end - 1, evenly between those of their neighbours. */
static void spread(struct spd *spd, uint32_t first, uint32_t end)
{
	const uint64_t low = first ? spd->ranks[first - 1] : 0;
	const uint64_t high = end < spd->n ? spd->ranks[end] : RANK_END;
	const uint64_t n = end - first;

	for (uint64_t i = 0; i < n; i++)
		spd->ranks[first + i] = (uint32_t)(low + (high - low) * (i + 1) / (n + 1));
}

static uint64_t gap(const struct spd *spd, uint32_t first, uint32_t end)
{
	const uint64_t low = first ? spd->ranks[first - 1] : 0;
	const uint64_t high = end < spd->n ? spd->ranks[end] : RANK_END;

	return (high - low) / (end - first + 1);
}

/*
 * Places first .. end - 1 have no ranks. Where there is no room between their neighbours these
 * move apart as well, twice as many each time: each insertion moves few on average.
 */
static bool give_ranks(struct spd *spd, uint32_t first, uint32_t end)
{
	uint32_t more = 1;

	if (gap(spd, first, end) >= 2) {
		spread(spd, first, end);
		return false;
	}
	while (gap(spd, first, end) < GAP_MIN && (first || end < spd->n)) {
		first -= first < more ? first : more;
		end = spd->n - end < more ? spd->n : end + more;
		/* What follows without a rank is no bound. */
		while (end < spd->n && spd->ranks[end] == NO_RANK)
			end++;
		more *= 2;
	}
	spread(spd, first, end);
	return true;
}

static bool rank_between(struct spd *spd, uint32_t at, uint32_t end)
{
	bool moved = false;

	while (at < end) {
		uint32_t first = at;

		while (at < end && spd->ranks[at] == NO_RANK)
			at++;
		if (at > first)
			moved |= give_ranks(spd, first, at);
		else
			at++;
	}
	return moved;
}

bool spd_diff_rank(struct spd *spd)
{
	return rank_between(spd, 0, spd->n);
}

static int list_differences(struct work *w)
{
	const struct spd *now = w->now, *next = w->next;
	const uint32_t n = middle_n(w, next), now_n = middle_n(w, now);
	struct spd_diff *d = w->d;
	uint8_t *kept = calloc(now_n + 1, 1);

	d->dropped = malloc((now_n + 1) * sizeof(*d->dropped));
	d->added = malloc((n + 1) * sizeof(*d->added));
	d->moved = malloc((next->n + 1) * sizeof(*d->moved));
	if (!kept || !d->dropped || !d->added || !d->moved) {
		free(kept);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!w->same[i]) {
			d->added[d->added_n++] = w->head + i;
			continue;
		}
		kept[w->was[i] - w->head] = 1;
		if (next->ranks[w->head + i] != now->ranks[w->was[i]])
			d->moved[d->moved_n++] = w->head + i;
	}
	for (uint32_t i = 0; i < now_n; i++)
		if (!kept[i])
			d->dropped[d->dropped_n++] = w->head + i;
	/* Neighbours that were moved apart. */
	for (uint32_t i = 0; i < w->head; i++)
		if (next->ranks[i] != now->ranks[i])
			d->moved[d->moved_n++] = i;
	for (uint32_t i = 1; i <= w->tail; i++)
		if (next->ranks[next->n - i] != now->ranks[now->n - i])
			d->moved[d->moved_n++] = next->n - i;
	free(kept);
	return 0;
}

int spd_diff(struct spd_diff *d, const struct spd *now, struct spd *next)
{
	struct work w = { .now = now, .next = next, .d = d };
	int err;

	*d = (struct spd_diff){ 0 };
	if (!now) {
		d->whole = true;
		memset(next->ids, 0, next->n * sizeof(*next->ids));
		if (next->n)
			spread(next, 0, next->n);
		return 0;
	}
	trim(&w);
	copy_ends(&w);
	err = find_names(&w);
	if (!err)
		err = keep_ranks(&w);
	if (!err) {
		rank_between(w.next, w.head, w.next->n - w.tail);
		err = list_differences(&w);
	}
	free(w.was);
	free(w.same);
	if (err)
		spd_diff_fini(d);
	return err;
}

void spd_diff_fini(struct spd_diff *d)
{
	free(d->dropped);
	free(d->added);
	free(d->moved);
	*d = (struct spd_diff){ 0 };
}

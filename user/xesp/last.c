/* SPDX-License-Identifier: BSD-2-Clause */
/* last.c - see last.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "xesp/fault.h"
#include "xesp/last.h"

/* The writer may be at it: twice is patience enough, another packet took the place. */
#define TRIES 2

static int add(struct last_list *l, const struct last *one)
{
	if (l->n == l->room) {
		uint32_t room = l->room ? l->room * 2 : 64;
		struct last *more = reallocarray(l->at, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->at = more;
		l->room = room;
	}
	l->at[l->n++] = *one;
	return 0;
}

/* Is it whole, and new? Whole: see dropped.h. */
static bool is_news(const struct xesp_dropped *d, uint32_t why, const uint64_t *seen)
{
	return d->number && d->number == d->check && d->reason == why && d->number > *seen;
}

/* What was read of a source and reason is seen; with a gap where more came than there are places. */
static int take(struct last_list *l, const struct last *one, uint32_t why, uint64_t seen, uint64_t *highest)
{
	if (!is_news(&one->d, why, &seen))
		return 0;
	if (one->d.number > *highest)
		*highest = one->d.number;
	return add(l, one);
}

static int read_xdp(struct last_list *l, int fd, uint32_t cpus, uint64_t *seen)
{
	struct xesp_dropped *values = calloc(cpus, sizeof(*values));
	uint64_t *highest = calloc(LAST_SEEN(cpus), sizeof(*highest));
	int err = values && highest ? 0 : -ENOMEM;

	for (__u32 at = 0; at < XESP_LAST_RECORDS && !err; at++) {
		const __u32 why = at / XESP_LAST;

		if (bpf_map_lookup_elem(fd, &at, values)) {
			err = -errno;
			break;
		}
		for (uint32_t cpu = 0; cpu < cpus && !err; cpu++) {
			const size_t slot = (size_t)cpu * XESP_DROP_SLOTS + why;
			const struct last one = { .d = values[cpu], .xdp = true, .place = cpu };

			err = take(l, &one, why, seen[slot], &highest[slot]);
		}
	}
	for (size_t i = 0; !err && i < (size_t)cpus * XESP_DROP_SLOTS; i++)
		if (highest[i])
			seen[i] = highest[i];
	free(highest);
	free(values);
	return err;
}

/* The other end of record_drop() in esp/record.c. False: it was being written. */
static bool copy(struct xesp_dropped *to, const struct xesp_dropped *from)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t number = __atomic_load_n(&from->number, __ATOMIC_ACQUIRE);

		memcpy(to, from, sizeof(*to));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (number == __atomic_load_n(&from->check, __ATOMIC_RELAXED)) {
			to->number = to->check = number;
			return true;
		}
	}
	return false;
}

static int read_workers(struct last_list *l, const struct pins *p, uint32_t cpus, uint64_t *seen, struct fault *f)
{
	struct xesp_dropped *map;
	size_t len;
	int err = 0;

	map = pins_mmap(p, PINS_LAST_WORKERS, 0, &len, f);
	if (!map)
		return -EIO;
	for (uint32_t w = 0; w < XESP_WORKERS_MAX && !err; w++) {
		for (uint32_t why = 1; why < XESP_DROP_MAX && !err; why++) {
			const size_t slot = (size_t)(cpus + w) * XESP_DROP_SLOTS + why;
			uint64_t highest = 0;

			for (uint32_t i = 0; i < XESP_LAST && !err; i++) {
				struct last one = { .place = w };

				if (copy(&one.d, &map[w * XESP_LAST_RECORDS + XESP_LAST_AT(why, i)]))
					err = take(l, &one, why, seen[slot], &highest);
			}
			if (highest)
				seen[slot] = highest;
		}
	}
	munmap(map, len);
	return err;
}

static int by_time(const void *a, const void *b)
{
	const uint64_t x = ((const struct last *)a)->d.time_ns, y = ((const struct last *)b)->d.time_ns;

	return x < y ? -1 : x > y;
}

int last_read(struct last_list *l, const struct pins *p, uint32_t cpus, uint64_t *seen, struct fault *f)
{
	int err;

	*l = (struct last_list){ 0 };
	if (p->fd[PINS_LAST_XDP] < 0 || p->fd[PINS_LAST_WORKERS] < 0)
		return fault_set(f, -ENOENT, "%s has no maps for it: `xesp attach --replace` makes them, and xespd wants a restart then",
				 p->dir);
	err = read_xdp(l, p->fd[PINS_LAST_XDP], cpus, seen);
	if (err)
		return fault_set(f, err, "cannot read xesp_last_xdp: %s", strerror(-err));
	err = read_workers(l, p, cpus, seen, f);
	if (err)
		return err == -ENOMEM ? fault_set(f, err, "out of memory") : err;
	if (l->n)
		qsort(l->at, l->n, sizeof(*l->at), by_time);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - the two clocks that everything measures time by. Read in the vDSO, without a system call.
 */
#ifndef XESP_CLOCK_H
#define XESP_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC, which is also that of bpf_ktime_get_ns(). */
static inline uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

/* CLOCK_BOOTTIME: of lifetimes and of last use, for the time that a machine sleeps counts. */
static inline uint64_t clock_boot_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage.h - CPU time by the scheduler's account: of a process, of the softirq thread of its CPU, and
 * of everybody else. What softirq did in a process's context is in the process's time; the ticks that
 * fell into it tell how large that part was.
 */
#ifndef XESP_BENCH_USAGE_H
#define XESP_BENCH_USAGE_H

#include <stdint.h>
#include <sys/types.h>

struct usage {
	uint64_t process_ns;   /* all threads of the process */
	uint64_t softirqd_ns;  /* ksoftirqd of its CPU */
	uint64_t user_ticks, system_ticks, softirq_ticks; /* of its CPU */
	uint64_t busy_ticks;   /* of all CPUs, by anybody */
	uint64_t self_ns;      /* of this process */
	uint64_t other_softirqd_ns;
};

void usage_read(struct usage *u, pid_t pid, int cpu);

#endif /* XESP_BENCH_USAGE_H */

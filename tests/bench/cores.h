/* SPDX-License-Identifier: BSD-2-Clause */
/* cores.h - what cores.c and queues.c share. */
#ifndef XESP_BENCH_CORES_H
#define XESP_BENCH_CORES_H

#include <pthread.h>
#include <stdint.h>

/*
 * A thread on the index'th CPU that this process may have, from the beginning: a run is too short for the scheduler to find
 * one. Exits when there can be none.
 */
void cores_start_thread(pthread_t *thread, uint32_t index, void *(*run)(void *), void *arg);

#endif /* XESP_BENCH_CORES_H */

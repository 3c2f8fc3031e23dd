/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steps.h - instructions of a piece of code, counted one by one.
 *
 * Why it exists: virtual machines have no hardware counters as a rule, and times wander; a count repeats
 * exactly. A child of this process runs the code in single steps, so it takes a hundred to a
 * thousand times as long, changes nothing here, and needs no rights.
 */
#ifndef XESP_BENCH_STEPS_H
#define XESP_BENCH_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#define STEPS_PARTS_MAX 32

/* In the child, from within steps_count(): what follows belongs to `part`; STEPS_NONE: to nothing. */
#define STEPS_NONE UINT32_MAX
void steps_part(uint32_t part);

/*
 * Runs `run` in a child and adds the instructions of each part to count[STEPS_PARTS_MAX]. False: this
 * process may not trace its child, or the child failed.
 */
bool steps_count(void (*run)(void *ctx), void *ctx, uint64_t *count);

#endif /* XESP_BENCH_STEPS_H */

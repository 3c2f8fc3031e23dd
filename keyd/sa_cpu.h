/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sa_cpu.h - outbound SAs that are one CPU's own, RFC 9611 (IKEv2 per-resource Child SAs).
 *
 * A tunnel has one outbound SA for all, and may have up to XESP_CPUS_MAX more, each for the CPU that its `cpu`
 * names: the worker on that CPU sends on it alone, and no two count numbers of one SA. Inbound there is nothing
 * to keep apart: an SA is taken on every CPU. A tunnel's SAs of this kind are a list by CPU: tunnel.sa_cpu,
 * sa.cpu_next. Main thread.
 */
#ifndef XESP_KEYD_SA_CPU_H
#define XESP_KEYD_SA_CPU_H

#include <stdint.h>
#include "keyd/problems.h"

struct raw_sa;
struct sa;
struct sad;

#define SA_CPU_MAX 8191 /* Linux has no more CPUs than 8192 */

/* The key `cpu`; sets sa->cpu, SAD_NONE without it. -EINVAL with a problem; `path` is the SA's in all calls. */
int sa_cpu_take(struct sa *sa, const struct raw_sa *raw, const char *path, struct problems *ps);

/* Puts the SA, which has a cpu and is outbound, into its tunnel's list. -EINVAL: another has this CPU, too many */
int sa_cpu_join(struct sad *sad, uint32_t sa, const char *path, struct problems *ps);

/* Once all have joined: with a cpu only beside one for all, for what is sent on no such CPU. -EINVAL */
int sa_cpu_check(const struct sad *sad, uint32_t sa, const char *path, struct problems *ps);

#endif /* XESP_KEYD_SA_CPU_H */

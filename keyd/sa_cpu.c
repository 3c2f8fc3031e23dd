/* SPDX-License-Identifier: BSD-2-Clause */
/* sa_cpu.c - see sa_cpu.h. */
#include <errno.h>

#include "keyd/numbers.h"
#include "keyd/sa_cpu.h"
#include "keyd/sad.h"
#include "keyd/schema.h"

#define BAD (SA_CPU_MAX + 1) /* a cpu that is none */

int sa_cpu_take(struct sa *sa, const struct raw_sa *raw, const char *path, struct problems *ps)
{
	static const struct number_range cpus = { 0, SA_CPU_MAX, NULL };
	char where[PROBLEMS_PATH_MAX];
	int err;
	uint64_t cpu = BAD;

	sa->cpu = sa->cpu_next = SAD_NONE;
	if (!raw->cpu)
		return 0;
	problems_below(where, path, "cpu");
	if (sa->dir == XESP_DIR_IN)
		return problems_add(ps, where, "an inbound SA is taken on every CPU");
	if (raw->selector)
		return problems_add(ps, where, "an SA with a selector is found by that, on every CPU");
	err = numbers_take(&cpu, raw->cpu, &cpus, where, ps);
	sa->cpu = (uint32_t)cpu;
	return err;
}

int sa_cpu_join(struct sad *sad, uint32_t i, const char *path, struct problems *ps)
{
	struct sa *sa = &sad->sas[i];
	struct tunnel *t = &sad->tunnels[sa->tunnel];
	char where[PROBLEMS_PATH_MAX];
	uint32_t *at = &t->sa_cpu, n = 1;

	if (sa->cpu == BAD)
		return -EINVAL; /* said already */
	problems_below(where, path, "cpu");
	for (uint32_t k = *at; k != SAD_NONE; k = sad->sas[k].cpu_next) {
		n++;
		if (sad->sas[k].cpu == sa->cpu)
			return problems_add(ps, where,
					    "tunnel '%s' has an outbound SA for CPU %u already, '%s'",
					    t->name, sa->cpu, sad->sas[k].name);
		if (sad->sas[k].cpu < sa->cpu)
			at = &sad->sas[k].cpu_next;
	}
	if (n > XESP_CPUS_MAX)
		return problems_add(ps, where, "tunnel '%s' has such SAs for %d CPUs already, which is the most",
				    t->name, XESP_CPUS_MAX);
	sa->cpu_next = *at;
	*at = i;
	return 0;
}

int sa_cpu_check(const struct sad *sad, uint32_t i, const char *path, struct problems *ps)
{
	const struct sa *sa = &sad->sas[i];
	char where[PROBLEMS_PATH_MAX];

	if (sa->cpu == SAD_NONE || sad->tunnels[sa->tunnel].sa_out != SAD_NONE)
		return 0;
	problems_below(where, path, "cpu");
	return problems_add(ps, where,
			    "tunnel '%s' has no outbound SA without cpu, which CPUs without one of their own send on",
			    sad->tunnels[sa->tunnel].name);
}

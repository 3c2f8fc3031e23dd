/* SPDX-License-Identifier: BSD-2-Clause */
/* cpus.c - see cpus.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sad/cpus.h"
#include "xesp/fault.h"

void cpus_init(struct cpus *c, uint32_t workers_n)
{
	*c = (struct cpus){ .workers_n = workers_n };
	for (uint32_t w = 0; w < workers_n && w < XESP_WORKERS_MAX; w++)
		c->of[w] = w;
}

static int check(const struct xesp_keymsg_cpu *cpu, uint32_t n, uint32_t max_sas, struct fault *f)
{
	if (n > XESP_CPUS_MAX)
		return fault_set(f, -EINVAL, "SAs of %u CPUs; %d are possible", n, XESP_CPUS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		if (!cpu[i].sa || cpu[i].sa >= max_sas)
			return fault_set(f, -EINVAL, "SA id %u of CPU %u; 1 to %u are possible",
					 cpu[i].sa, cpu[i].cpu, max_sas - 1);
		for (uint32_t k = 0; k < i; k++)
			if (cpu[k].cpu == cpu[i].cpu)
				return fault_set(f, -EINVAL, "CPU %u has two SAs", cpu[i].cpu);
	}
	return 0;
}

static int make_table(const struct cpus *c, uint32_t **out)
{
	*out = calloc(c->workers_n + 1u, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

int cpus_resolve(const struct cpus *c, const struct xesp_keymsg_tunnel *m, uint32_t max_sas, uint32_t **out,
		 struct fault *f)
{
	const struct xesp_keymsg_cpu *cpu = (const void *)(m + 1);
	const uint32_t n = m->cpus_n;
	int err = check(cpu, n, max_sas, f);

	*out = NULL;
	if (!err && m->cpu_acquire && make_table(c, out))
		err = fault_set(f, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < n && !err; i++) {
		for (uint32_t w = 0; w < c->workers_n && !err; w++) {
			if (c->of[w] != cpu[i].cpu)
				continue;
			if (!*out && make_table(c, out))
				err = fault_set(f, -ENOMEM, "out of memory");
			else
				(*out)[w] = cpu[i].sa;
		}
	}
	return err;
}

int cpus_copy(const struct cpus *c, const uint32_t *by_worker, uint32_t **out)
{
	*out = NULL;
	if (!by_worker)
		return 0;
	if (make_table(c, out))
		return -ENOMEM;
	memcpy(*out, by_worker, c->workers_n * sizeof(**out));
	return 0;
}

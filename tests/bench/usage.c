/* SPDX-License-Identifier: BSD-2-Clause */
/* usage.c - see usage.h. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/usage.h"

static uint64_t first_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long n = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%llu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

static uint64_t process_ns(pid_t pid)
{
	char path[300];
	struct dirent *e;
	uint64_t sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	if (!d)
		return 0;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, e->d_name);
		sum += first_number(path);
	}
	closedir(d);
	return sum;
}

/* Kernel threads are few, and come first. */
static pid_t find_softirqd(int cpu)
{
	char want[32], path[64], comm[32];

	snprintf(want, sizeof(want), "ksoftirqd/%d\n", cpu);
	for (pid_t pid = 2; pid < 2000; pid++) {
		bool found;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		f = fopen(path, "re");
		if (!f)
			continue;
		found = fgets(comm, sizeof(comm), f) && !strcmp(comm, want);
		fclose(f);
		if (found)
			return pid;
	}
	return 0;
}

static void read_ticks(struct usage *u, int cpu)
{
	FILE *f = fopen("/proc/stat", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long user, nice, system, idle, iowait, irq, softirq;
		int n;

		if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu", &n, &user, &nice,
			   &system, &idle, &iowait, &irq, &softirq) != 8)
			continue;
		u->busy_ticks += user + nice + system + irq + softirq;
		if (n != cpu)
			continue;
		u->user_ticks = user + nice;
		u->system_ticks = system;
		u->softirq_ticks = irq + softirq;
	}
	if (f)
		fclose(f);
}

void usage_read(struct usage *u, pid_t pid, int cpu)
{
	static pid_t softirqd[8];
	const int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);

	memset(u, 0, sizeof(*u));
	u->process_ns = process_ns(pid);
	u->self_ns = process_ns(getpid());
	for (int i = 0; i < cpus && i < 8; i++) {
		char path[64];
		uint64_t ns;

		if (!softirqd[i])
			softirqd[i] = find_softirqd(i);
		snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)softirqd[i]);
		ns = first_number(path);
		if (i == cpu)
			u->softirqd_ns = ns;
		else
			u->other_softirqd_ns += ns;
	}
	read_ticks(u, cpu);
}

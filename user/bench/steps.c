/* SPDX-License-Identifier: BSD-2-Clause */
/* steps.c - see steps.h. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/steps.h"

/* Seen by both; the child writes it, and stops whenever counting begins. */
static volatile uint32_t *current;

void steps_part(uint32_t part)
{
	const bool begins = *current == STEPS_NONE && part != STEPS_NONE;

	*current = part;
	if (begins)
		raise(SIGTRAP);
}

static void run_child(void (*run)(void *ctx), void *ctx)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	run(ctx);
	_exit(0);
}

static bool follow(pid_t child, uint64_t *count)
{
	int status;

	for (;;) {
		if (waitpid(child, &status, 0) != child)
			return false;
		if (WIFEXITED(status))
			return !WEXITSTATUS(status);
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
			return false;
		if (*current < STEPS_PARTS_MAX)
			count[*current]++;
		if (ptrace(*current == STEPS_NONE ? PTRACE_CONT : PTRACE_SINGLESTEP, child, NULL, NULL))
			return false;
	}
}

bool steps_count(void (*run)(void *ctx), void *ctx, uint64_t *count)
{
	bool good = false;
	pid_t child;

	current = mmap(NULL, sizeof(*current), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (current == MAP_FAILED)
		return false;
	*current = STEPS_NONE;
	child = fork();
	if (!child)
		run_child(run, ctx);
	if (child > 0) {
		good = follow(child, count);
		if (!good) {
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
		}
	}
	munmap((void *)current, sizeof(*current));
	return good;
}

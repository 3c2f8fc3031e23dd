/* SPDX-License-Identifier: BSD-2-Clause */
/* bench.c - see bench.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "xesp/bench.h"
#include "xesp/fault.h"

#define PROGRAM "xesp-bench"
#define ARGS_MAX 64

/* Where it was built, or where it was installed. */
static bool find_program(char *path, size_t size)
{
	static const char *const beside[] = { "", "../lib/xesp/" };
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return false;
	self[n] = '\0';
	*(strrchr(self, '/') + 1) = '\0';
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(path, size, "%s%s" PROGRAM, self, beside[i]);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

int bench_command(const struct settings *s, int argc, char **argv)
{
	char path[512], *args[ARGS_MAX + 2], json[] = "--json";
	struct fault f;
	int n = 0;

	if (argc < 2)
		return command_misused("bench", "what is to be measured must follow");
	if (argc > ARGS_MAX)
		return command_misused("bench", "too many arguments");
	if (!find_program(path, sizeof(path))) {
		fault_set(&f, -ENOENT, PROGRAM " is neither beside this program nor in ../lib/xesp");
		return command_refused("bench", &f);
	}
	args[n++] = path;
	for (int i = 1; i < argc; i++)
		args[n++] = argv[i];
	if (s->json)
		args[n++] = json;
	args[n] = NULL;
	execv(path, args);
	fault_set(&f, -errno, "%s: %s", path, strerror(errno));
	return command_refused("bench", &f);
}

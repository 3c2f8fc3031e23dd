/* SPDX-License-Identifier: BSD-2-Clause */
/* namespace.c - see namespace.h. */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/user/namespace.h"

bool namespace_sh(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd) == 0;
}

bool namespace_run(int (*body)(void))
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNET) || !namespace_sh("ip link set lo up")) {
			perror("no network namespace (run the tests as root)");
			_exit(1);
		}
		exit(body());
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel_said.c - see kernel_said.h. */
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "xesp/kernel_said.h"

/* What stands before the kernel's words (kept: what follows), or begins them (kept with it): libbpf's line
 * for a netlink extended acknowledgement, and the verifier about a program in libxdp's dispatcher. */
static const struct {
	const char *text;
	bool kept;
} marks[] = {
	{ "Kernel error message: ", false },
	{ "Extension program ", true },
};

static bool loud;
static char said[128];

__attribute__((format(printf, 1, 0))) static int keep(const char *fmt, va_list ap)
{
	const char *start;
	char line[1024];
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	if (loud) /* not from line[]: a verifier log is longer */
		vfprintf(stderr, fmt, again);
	va_end(again);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		start = strstr(line, marks[i].text);
		if (!start)
			continue;
		snprintf(said, sizeof(said), "%s", start + (marks[i].kept ? 0 : strlen(marks[i].text)));
		said[strcspn(said, "\n")] = '\0';
	}
	return n;
}

__attribute__((format(printf, 2, 0))) static int from_libbpf(enum libbpf_print_level level,
							     const char *fmt, va_list ap)
{
	return level == LIBBPF_DEBUG ? 0 : keep(fmt, ap);
}

__attribute__((format(printf, 2, 0))) static int from_libxdp(enum libxdp_print_level level,
							     const char *fmt, va_list ap)
{
	return level == LIBXDP_DEBUG ? 0 : keep(fmt, ap);
}

void kernel_said_open(bool verbose)
{
	loud = verbose;
	libbpf_set_print(from_libbpf);
	libxdp_set_print(from_libxdp);
}

void kernel_said_forget(void)
{
	said[0] = '\0';
}

const char *kernel_said(void)
{
	return said;
}

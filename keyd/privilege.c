/* SPDX-License-Identifier: BSD-2-Clause */
/* privilege.c - see privilege.h; libxesp/confine.c has what every daemon may do. */
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <seccomp.h>

#include "keyd/privilege.h"
#include "libxesp/confine.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/*
 * NET_ADMIN  routes into xesp0, and map updates where unprivileged BPF is off
 * BPF        bpf(2) on maps where kernel.unprivileged_bpf_disabled is set, as everywhere today
 * Not DAC_OVERRIDE: configuration and key files must be ours or root's to read.
 */
static const int caps[] = { CAP_NET_ADMIN, CAP_BPF };

static const int calls[] = {
	/* configuration, key files, /etc/localtime */
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(pread64), SCMP_SYS(readlink),
	/* the lease book: written beside, made durable, renamed */
	SCMP_SYS(fsync), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(flock),
};

static const struct confine_rule rules[] = {
	{ SCMP_SYS(bpf), 0, CONFINE_WHOLE, BPF_MAP_UPDATE_BATCH },
	{ SCMP_SYS(bpf), 0, CONFINE_WHOLE, BPF_MAP_DELETE_BATCH },
	/* The new lease book is the only file that is made, and then it is new. */
	{ SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC, O_WRONLY | O_CREAT | O_EXCL },
};

/* One thread, one process. */
static const int deadly[] = { SCMP_SYS(clone), SCMP_SYS(clone3) };

int privilege_drop(bool verbose, struct fault *f)
{
	static const struct confine keyd = {
		.program = "xesp-keyd",
		.caps = caps, .caps_n = LEN(caps),
		.calls = calls, .calls_n = LEN(calls),
		.rules = rules, .rules_n = LEN(rules),
		.deadly = deadly, .deadly_n = LEN(deadly),
	};

	return confine_apply(&keyd, verbose, f);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* privilege.c - see privilege.h; libxesp/confine.c has what every daemon may do. */
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <seccomp.h>

#include "libxesp/confine.h"
#include "xespd/privilege.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static const int caps[] = { CAP_NET_RAW, CAP_NET_ADMIN }; /* privilege.h says why */

static const int calls[] = {
	/* packets */
	SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg), SCMP_SYS(dup3),
	/* threads */
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(membarrier),
};

static const struct confine_rule rules[] = {
	/* Queues and MTU of interfaces; the MTU of xesp0 */
	{ SCMP_SYS(ioctl), 1, CONFINE_WHOLE, SIOCGIFMTU },
	{ SCMP_SYS(ioctl), 1, CONFINE_WHOLE, SIOCSIFMTU },
	{ SCMP_SYS(ioctl), 1, CONFINE_WHOLE, SIOCGIFFLAGS },
	{ SCMP_SYS(ioctl), 1, CONFINE_WHOLE, SIOCETHTOOL },
	{ SCMP_SYS(bpf), 0, CONFINE_WHOLE, BPF_MAP_LOOKUP_BATCH },
	/* Threads, not processes. glibc falls back to clone() when clone3() says ENOSYS. */
	{ SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD },
};

int privilege_drop(bool verbose, struct fault *f)
{
	static const struct confine xespd = {
		.program = "xespd",
		.caps = caps, .caps_n = LEN(caps),
		.calls = calls, .calls_n = LEN(calls),
		.rules = rules, .rules_n = LEN(rules),
	};

	return confine_apply(&xespd, verbose, f);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* confine.c - see confine.h. */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "libxesp/confine.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The everyday calls of an event loop, of glibc's allocator, libevent, libnl and libcrypto. */
static const int calls[] = {
	/* sockets, netlink */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(close),
	SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
	SCMP_SYS(socket), SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(accept), SCMP_SYS(accept4),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(shutdown), SCMP_SYS(fcntl), SCMP_SYS(eventfd2), SCMP_SYS(pipe2),
	/* waiting, time */
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(restart_syscall),
	/* signals, the end */
	SCMP_SYS(futex), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), SCMP_SYS(tgkill), SCMP_SYS(exit), SCMP_SYS(exit_group),
	/* who am I; random numbers of libcrypto */
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(getrandom), SCMP_SYS(uname), SCMP_SYS(sysinfo),
	SCMP_SYS(prlimit64), SCMP_SYS(getrlimit), SCMP_SYS(sched_getaffinity),
	/* memory; pages that may be executed are another matter, see below */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(mlock),
	SCMP_SYS(mlock2), SCMP_SYS(munlock),
	/* reading files: opening is another matter; removing our sockets */
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek), SCMP_SYS(getdents64),
	SCMP_SYS(unlink), SCMP_SYS(unlinkat),
};

static const struct confine_rule rules[] = {
	/* Names of interfaces; is stderr a terminal? */
	{ SCMP_SYS(ioctl), 1, CONFINE_WHOLE, SIOCGIFINDEX },
	{ SCMP_SYS(ioctl), 1, CONFINE_WHOLE, SIOCGIFNAME },
	{ SCMP_SYS(ioctl), 1, CONFINE_WHOLE, FIONREAD },
	{ SCMP_SYS(ioctl), 1, CONFINE_WHOLE, TCGETS },
	/* Elements of maps that are open; programs are neither loaded nor attached. */
	{ SCMP_SYS(bpf), 0, CONFINE_WHOLE, BPF_MAP_LOOKUP_ELEM },
	{ SCMP_SYS(bpf), 0, CONFINE_WHOLE, BPF_MAP_UPDATE_ELEM },
	{ SCMP_SYS(bpf), 0, CONFINE_WHOLE, BPF_MAP_DELETE_ELEM },
	{ SCMP_SYS(bpf), 0, CONFINE_WHOLE, BPF_MAP_GET_NEXT_KEY },
	{ SCMP_SYS(bpf), 0, CONFINE_WHOLE, BPF_OBJ_GET_INFO_BY_FD },
	/* No new code: libraries are loaded by now. */
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
	/* Files are read. */
	{ SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
	{ SCMP_SYS(prctl), 0, CONFINE_WHOLE, PR_SET_NAME },
};

/* The process ends: no daemon has any use for these. */
static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(init_module),
	SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root),
	SCMP_SYS(chroot), SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(reboot),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup),
	SCMP_SYS(open_by_handle_at), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
};

static int keep_capabilities(const struct confine *c, struct fault *f)
{
	struct rlimit memlock;
	int err = 0;

	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < c->caps_n; i++)
		err |= capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
				    (unsigned int)c->caps[i]);
	/* All memory is locked, that of later too: where the limit was not lifted it takes this. */
	if (getrlimit(RLIMIT_MEMLOCK, &memlock) || memlock.rlim_cur != RLIM_INFINITY)
		err |= capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_IPC_LOCK);
	if (err || capng_apply(CAPNG_SELECT_BOTH))
		return fault_set(f, -EPERM, "cannot give up capabilities; start %s as root",
				 c->program);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fault_set(f, -errno, "no_new_privs: %s", strerror(errno));
	return 0;
}

static int add_calls(scmp_filter_ctx ctx, uint32_t action, const int *call, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = seccomp_rule_add(ctx, action, call[i], 0);
	return err;
}

static int add_rules(scmp_filter_ctx ctx, const struct confine_rule *rule, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		const struct scmp_arg_cmp cmp = {
			.arg = rule[i].arg,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = rule[i].mask,
			.datum_b = rule[i].value,
		};

		err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rule[i].call, 1, &cmp);
	}
	return err;
}

static int load_filter(const struct confine *c, bool verbose, struct fault *f)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int err;

	if (!ctx)
		return fault_set(f, -ENOMEM, "seccomp: out of memory");
	err = add_calls(ctx, SCMP_ACT_ALLOW, calls, LEN(calls));
	if (!err)
		err = add_calls(ctx, SCMP_ACT_ALLOW, c->calls, c->calls_n);
	if (!err)
		err = add_rules(ctx, rules, LEN(rules));
	if (!err)
		err = add_rules(ctx, c->rules, c->rules_n);
	if (!err)
		err = add_calls(ctx, SCMP_ACT_KILL_PROCESS, deadly, LEN(deadly));
	if (!err)
		err = add_calls(ctx, SCMP_ACT_KILL_PROCESS, c->deadly, c->deadly_n);
	if (!err && verbose)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	if (err)
		return fault_set(f, err, "cannot load the seccomp filter: %s", strerror(-err));
	return 0;
}

int confine_apply(const struct confine *c, bool verbose, struct fault *f)
{
	int err = keep_capabilities(c, f);

	return err ? err : load_filter(c, verbose, f);
}

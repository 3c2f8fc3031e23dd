/* SPDX-License-Identifier: BSD-2-Clause */
/* privilege.c - see privilege.h. */
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

#include "keyd/privilege.h"
#include "xesp/fault.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The everyday calls of the loop, of glibc's allocator, libevent, libnl and libcrypto. */
static const int allowed[] = {
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
	/* configuration, key files, /etc/localtime: opening is another matter */
	SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(lseek), SCMP_SYS(pread64), SCMP_SYS(getdents64), SCMP_SYS(readlink),
	/* the lease book: written beside, made durable, renamed; sockets removed at the end */
	SCMP_SYS(fsync), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink),
	SCMP_SYS(unlinkat), SCMP_SYS(flock),
};

/* The process ends: no part of it has any use for these. */
static const int deadly[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone),
	SCMP_SYS(clone3), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(setns),
	SCMP_SYS(unshare), SCMP_SYS(reboot), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup), SCMP_SYS(open_by_handle_at), SCMP_SYS(keyctl),
	SCMP_SYS(add_key), SCMP_SYS(request_key),
};

/* Calls that are allowed by what they ask for: (argument & mask) == value. */
#define WHOLE UINT32_MAX /* of the argument: the kernel looks at 32 bits of these */
static const struct {
	int call;
	unsigned int arg;
	uint64_t mask, value;
} narrow[] = {
	/* Is xesp0 there; is stderr a terminal? */
	{ SCMP_SYS(ioctl), 1, WHOLE, SIOCGIFINDEX },
	{ SCMP_SYS(ioctl), 1, WHOLE, SIOCGIFNAME },
	{ SCMP_SYS(ioctl), 1, WHOLE, FIONREAD },
	{ SCMP_SYS(ioctl), 1, WHOLE, TCGETS },
	/* Elements of maps that are open; programs are neither loaded nor attached. */
	{ SCMP_SYS(bpf), 0, WHOLE, BPF_MAP_LOOKUP_ELEM },
	{ SCMP_SYS(bpf), 0, WHOLE, BPF_MAP_UPDATE_ELEM },
	{ SCMP_SYS(bpf), 0, WHOLE, BPF_MAP_DELETE_ELEM },
	{ SCMP_SYS(bpf), 0, WHOLE, BPF_MAP_GET_NEXT_KEY },
	{ SCMP_SYS(bpf), 0, WHOLE, BPF_MAP_UPDATE_BATCH },
	{ SCMP_SYS(bpf), 0, WHOLE, BPF_MAP_DELETE_BATCH },
	{ SCMP_SYS(bpf), 0, WHOLE, BPF_OBJ_GET_INFO_BY_FD },
	/* No new code: libraries are loaded by now. */
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
	/* Files are read; the new lease book is the only one that is made, and then it is new. */
	{ SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
	{ SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC, O_WRONLY | O_CREAT | O_EXCL },
	{ SCMP_SYS(prctl), 0, WHOLE, PR_SET_NAME },
};

/*
 * NET_ADMIN  routes into xesp0, and map updates where unprivileged BPF is off
 * BPF        bpf(2) on maps where kernel.unprivileged_bpf_disabled is set, as everywhere today
 * IPC_LOCK   locked memory for new keys, only where the limit could not be lifted
 * Not DAC_OVERRIDE: configuration and key files must be ours or root's to read.
 */
static int keep_capabilities(struct fault *f)
{
	struct rlimit memlock;
	int err;

	capng_clear(CAPNG_SELECT_BOTH);
	err = capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN, CAP_BPF,
			    -1);
	if (getrlimit(RLIMIT_MEMLOCK, &memlock) || memlock.rlim_cur != RLIM_INFINITY)
		err |= capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_IPC_LOCK);
	if (err || capng_apply(CAPNG_SELECT_BOTH))
		return fault_set(f, -EPERM, "cannot give up capabilities; start xesp-keyd as root");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fault_set(f, -errno, "no_new_privs: %s", strerror(errno));
	return 0;
}

static int add_plain_rules(scmp_filter_ctx ctx)
{
	int err = 0;

	for (size_t i = 0; i < LEN(allowed) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < LEN(deadly) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	return err;
}

static int add_narrow_rules(scmp_filter_ctx ctx)
{
	int err = 0;

	for (size_t i = 0; i < LEN(narrow) && !err; i++) {
		const struct scmp_arg_cmp cmp = {
			.arg = narrow[i].arg,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = narrow[i].mask,
			.datum_b = narrow[i].value,
		};

		err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, narrow[i].call, 1, &cmp);
	}
	return err;
}

static int load_filter(bool verbose, struct fault *f)
{
	/* ENOSYS: what a library finds missing, it does in an older way. */
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int err;

	if (!ctx)
		return fault_set(f, -ENOMEM, "seccomp: out of memory");
	err = add_plain_rules(ctx);
	if (!err)
		err = add_narrow_rules(ctx);
	if (!err && verbose)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	if (err)
		return fault_set(f, err, "cannot load the seccomp filter: %s", strerror(-err));
	return 0;
}

int privilege_drop(bool verbose, struct fault *f)
{
	int err = keep_capabilities(f);

	return err ? err : load_filter(verbose, f);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege.h - what xespd may still do once its sockets exist, and why.
 *
 * Capabilities kept:
 *   CAP_NET_RAW    AF_XDP sockets on interfaces that are attached later
 *   CAP_NET_ADMIN  asking the kernel to resolve a neighbour (NTF_USE), the MTU of xesp0, busy polling
 *   CAP_IPC_LOCK   only where RLIMIT_MEMLOCK could not be lifted: memory of later sockets is locked
 * Not kept: CAP_BPF, for maps that are open already need none; CAP_SYS_ADMIN, CAP_DAC_OVERRIDE and
 * all the rest. No program executed later can get more (no_new_privs), and none can be executed:
 * a seccomp filter allows the system calls that the daemon uses, answers ENOSYS to others, and
 * ends the process at those that only an intruder would try.
 */
#ifndef XESP_PRIVILEGE_H
#define XESP_PRIVILEGE_H

#include <stdbool.h>

struct fault;

/*
 * From the main thread, before any other thread exists: they inherit it. With `verbose` the kernel
 * logs what the filter refuses. -errno when a right cannot be given up: then better not run.
 */
int privilege_drop(bool verbose, struct fault *f);

#endif /* XESP_PRIVILEGE_H */

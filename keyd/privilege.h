/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege.h - what xesp-keyd may still do once everything is open, and why.
 *
 * Whoever takes over keyd has its keys; the filter keeps him from taking the machine as well: no
 * new programs, processes or code, no writing to files but in the state directory's way, no BPF
 * beyond the elements of maps. Main thread, once.
 */
#ifndef XESP_KEYD_PRIVILEGE_H
#define XESP_KEYD_PRIVILEGE_H

#include <stdbool.h>

struct fault;

/* With `verbose`, the kernel's log says what was refused. -EPERM; -errno of seccomp(2) */
int privilege_drop(bool verbose, struct fault *f);

#endif /* XESP_KEYD_PRIVILEGE_H */

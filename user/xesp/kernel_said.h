/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_said.h - libbpf and libxdp kept quiet, and the kernel's own words kept for our sentence.
 *
 * Why: the libraries print to stderr, several lines for one failure, and the reason a driver gave
 * (netlink's extended acknowledgement) exists nowhere else. Single-threaded.
 */
#ifndef XESP_KERNEL_SAID_H
#define XESP_KERNEL_SAID_H

#include <stdbool.h>

/* From now on the libraries print only if `verbose`. */
void kernel_said_open(bool verbose);

/* Forgets what was said; call before the attempt whose words are wanted. */
void kernel_said_forget(void);

/* The driver's or the kernel's reason for the last failure; empty when it gave none. */
const char *kernel_said(void);

#endif /* XESP_KERNEL_SAID_H */

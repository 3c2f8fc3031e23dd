/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tun.h - xesp0, the TUN device between this process and the kernel's routing.
 *
 * Persistent: when xespd ends, the device and the routes into it stay, and what they carry is
 * dropped by the kernel. It has no IPv6 link-local address and no multicast, so that the kernel
 * sends nothing into it that nobody asked for. Main thread.
 */
#ifndef XESP_SLOW_TUN_H
#define XESP_SLOW_TUN_H

#include <stdint.h>

struct fault;

/*
 * Takes the device `name`, making it if it is missing, and sets it up. Returns its file descriptor
 * (not blocking), or
 * -EBUSY   another process has it
 * -EPERM   needs CAP_NET_ADMIN
 * -EINVAL  a device of another kind has the name
 */
int tun_open(const char *name, struct fault *f);

/* Bytes of the largest packet that the kernel hands over without fragmenting it. */
int tun_set_mtu(const char *name, uint32_t mtu, struct fault *f);

#endif /* XESP_SLOW_TUN_H */

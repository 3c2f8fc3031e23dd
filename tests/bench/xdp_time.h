/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_time.h - how long an interface's XDP program runs, by the kernel's own clock around each run.
 *
 * On a veth it runs on the CPU of who sent the frame, so no account of the gateway's CPU holds it. While it is watched a run
 * costs some 40 ns more, of all BPF programs of the machine; about half of that is in the figure.
 */
#ifndef XESP_BENCH_XDP_TIME_H
#define XESP_BENCH_XDP_TIME_H

#include <stdint.h>

struct xdp_time {
	int prog_fd, stats_fd;
};

/*
 * Watches the program of an interface of the present network namespace, until the process ends. 0, or -errno: -ENOENT
 * there is none.
 */
int xdp_time_open(struct xdp_time *t, const char *ifname);

/* Since it was loaded, whoever watched: nanoseconds, and runs. Zero when it cannot be read. */
void xdp_time_read(const struct xdp_time *t, uint64_t *ns, uint64_t *runs);

#endif /* XESP_BENCH_XDP_TIME_H */

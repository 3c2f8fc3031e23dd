/* SPDX-License-Identifier: BSD-2-Clause */
/* xdp_time.c - see xdp_time.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <unistd.h>

#include "tests/bench/xdp_time.h"

int xdp_time_open(struct xdp_time *t, const char *ifname)
{
	uint32_t id = 0;
	int err;

	*t = (struct xdp_time){ -1, -1 };
	err = bpf_xdp_query_id((int)if_nametoindex(ifname), 0, &id);
	if (err)
		return err;
	if (!id)
		return -ENOENT;
	t->prog_fd = bpf_prog_get_fd_by_id(id);
	if (t->prog_fd < 0)
		return -errno;
	t->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (t->stats_fd >= 0)
		return 0;
	err = -errno;
	close(t->prog_fd);
	return err;
}

void xdp_time_read(const struct xdp_time *t, uint64_t *ns, uint64_t *runs)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	*ns = *runs = 0;
	if (t->prog_fd < 0 || bpf_obj_get_info_by_fd(t->prog_fd, &info, &len))
		return;
	*ns = info.run_time_ns;
	*runs = info.run_cnt;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* pins.c - see pins.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libxesp/pins.h"
#include "xesp/fault.h"

static const char *const map_names[PINS_MAX] = {
	[PINS_CONF] = "xesp_conf",
	[PINS_IFACES] = "xesp_ifaces",
	[PINS_XSKS] = "xesp_xsks",
	[PINS_LOCAL] = "xesp_local",
	[PINS_ENDPOINTS] = "xesp_endpoints",
	[PINS_NATT_PORT] = "xesp_natt_port",
	[PINS_SPD_HEAD] = "xesp_spd_head",
	[PINS_SPD_TUPLE] = "xesp_spd_tuple",
	[PINS_SPD_SLOT] = "xesp_spd_slot",
	[PINS_SPD_ENTRY] = "xesp_spd_entry",
	[PINS_SPD_RULE] = "xesp_spd_rule",
	[PINS_FLOWS] = "xesp_flows",
	[PINS_FRAGMENTS] = "xesp_fragments",
	[PINS_POLICIES] = "xesp_policies",
	[PINS_POLICY_HITS] = "xesp_pol_hits",
	[PINS_POLICY_DROPS] = "xesp_pol_drops",
	[PINS_TUNNELS] = "xesp_tunnels",
	[PINS_SA_IN] = "xesp_sa_in",
	[PINS_SA_STATE] = "xesp_sa_state",
	[PINS_REPLAY] = "xesp_replay",
	[PINS_DROPS] = "xesp_drops",
	[PINS_WORKER_STATS] = "xesp_wkr_stats",
	[PINS_LAST_XDP] = "xesp_last_xdp",
	[PINS_LAST_WORKERS] = "xesp_last_wkr",
};

const char *pins_name(enum pins_map map)
{
	return map_names[map];
}

static int open_one(struct pins *p, enum pins_map map, struct fault *f)
{
	char path[sizeof(p->dir) + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", p->dir, map_names[map]);
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == ENOENT && map >= PINS_LAST_XDP)
		return 0;
	if (fd < 0 && errno == ENOENT)
		return fault_set(f, -ENOENT, "%s is missing: run `xesp attach` first", path);
	if (fd < 0)
		return fault_set(f, -errno, "cannot open %s: %s", path, strerror(errno));
	p->fd[map] = fd;
	return 0;
}

int pins_open(struct pins *p, const char *dir, struct fault *f)
{
	const __u32 zero = 0;
	int err, i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < PINS_MAX; i++)
		p->fd[i] = -1;
	if ((size_t)snprintf(p->dir, sizeof(p->dir), "%s", dir) >= sizeof(p->dir))
		return fault_set(f, -ENAMETOOLONG, "pin directory '%s' is too long", dir);

	/* The ABI first: the layouts of the other maps mean nothing before it is known. */
	err = open_one(p, PINS_CONF, f);
	if (err)
		goto close_all;
	if (bpf_map_lookup_elem(p->fd[PINS_CONF], &zero, &p->conf)) {
		err = fault_set(f, -errno, "cannot read %s/xesp_conf: %s", dir, strerror(errno));
		goto close_all;
	}
	if (p->conf.abi != XESP_STEER_ABI) {
		err = fault_set(f, -EPROTO,
				"maps in %s have ABI %u and this program ABI %u: run `xesp detach --purge` and attach again",
				dir, p->conf.abi, XESP_STEER_ABI);
		goto close_all;
	}
	for (i = 0; i < PINS_MAX; i++) {
		if (p->fd[i] >= 0)
			continue;
		err = open_one(p, (enum pins_map)i, f);
		if (err)
			goto close_all;
	}
	return 0;

close_all:
	pins_close(p);
	return err;
}

void pins_close(struct pins *p)
{
	if (!p->dir[0])
		return;
	for (int i = 0; i < PINS_MAX; i++)
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	memset(p, 0, sizeof(*p));
}

__u32 pins_entries(const struct pins *p, enum pins_map map)
{
	struct bpf_map_info info = { 0 };
	__u32 info_len = sizeof(info);

	return bpf_obj_get_info_by_fd(p->fd[map], &info, &info_len) ? 0 : info.max_entries;
}

void *pins_mmap(const struct pins *p, enum pins_map map, int writable, size_t *len,
		struct fault *f)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct bpf_map_info info = { 0 };
	__u32 info_len = sizeof(info);
	void *mem;

	if (bpf_obj_get_info_by_fd(p->fd[map], &info, &info_len)) {
		fault_set(f, -errno, "map %s: %s", map_names[map], strerror(errno));
		return NULL;
	}
	/* The kernel lays elements out in multiples of 8 bytes and rounds the whole to pages. */
	*len = ((size_t)((info.value_size + 7) & ~7u) * info.max_entries + page - 1) / page * page;
	mem = mmap(NULL, *len, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
		   p->fd[map], 0);
	if (mem == MAP_FAILED) {
		fault_set(f, -errno, "cannot map %s: %s", map_names[map], strerror(errno));
		return NULL;
	}
	return mem;
}

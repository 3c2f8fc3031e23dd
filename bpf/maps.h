/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * maps.h - every map of xesp/steer.h, with BTF types, defined once for all programs.
 *
 * Each XDP object defines all of them and pins by name, so that whichever `xesp attach` loads
 * first creates them and the others, like the daemons, find the same ones. The numbers here are
 * defaults: the loader may resize with bpf_map__set_max_entries() and writes into xesp_conf what
 * it chose. Before each map: who writes it. XDP programs write counters, and what else is said there.
 *
 * A hash that is not preallocated takes memory by what is in it. An element that was deleted may
 * be given to another key at once, while a program still holds its value.
 */
#ifndef XESP_BPF_MAPS_H
#define XESP_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "xesp/dropped.h"
#include "xesp/steer.h"

#define MAPS_SAS 16384        /* SA ids; tunnels and policies are as many */
#define MAPS_SPD_ENTRIES (MAPS_SAS * 8) /* a policy takes several where ranges are cut */
#define MAPS_SPD_SLOTS (MAPS_SPD_ENTRIES * 4) /* a power of two; a quarter full at most */
#define MAPS_FRAGMENTS 16384
#define MAPS_REPLAY_WORDS (1 << 19)
#define MAPS_ADDRS 4096

/* `xesp attach`: abi and sizes. keyd: generation, and nothing else. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* so that a generation is one aligned store */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xesp_conf);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_conf SEC(".maps");

/* `xesp attach` and `xesp detach`. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XESP_PORTS_MAX);
	__type(key, __u32);
	__type(value, struct xesp_iface);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_ifaces SEC(".maps");

/* xespd; the kernel takes a socket out when it is closed. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XESP_PORTS_MAX * XESP_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_xsks SEC(".maps");

/* `xesp attach` at first, then keyd. Value: ifindex. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAPS_ADDRS);
	__type(key, struct xesp_addr);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_local SEC(".maps");

/* keyd. Value: tunnel id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAPS_ADDRS);
	__type(key, struct xesp_addr);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_endpoints SEC(".maps");

/*
 * The SPD. keyd, by stores into the mapped memory; what a reader of the committed generation sees
 * never changes under it: xesp/steer.h says how.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct xesp_spd_head);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_spd_head SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * XESP_DIR_MAX * XESP_TUPLES_MAX);
	__type(key, __u32);
	__type(value, struct xesp_spd_tuple);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_spd_tuple SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, XESP_SPD_ROOM(MAPS_SPD_SLOTS));
	__type(key, __u32);
	__type(value, struct xesp_spd_slot);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_spd_slot SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAPS_SPD_ENTRIES);
	__type(key, __u32);
	__type(value, struct xesp_spd_entry);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_spd_entry SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAPS_SAS);
	__type(key, __u32);
	__type(value, struct xesp_spd_rule);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_spd_rule SEC(".maps");

/* The XDP programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XESP_FLOWS_MIN);
	__type(key, __u32);
	__type(value, struct xesp_flow);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_flows SEC(".maps");

/* The XDP programs. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAPS_FRAGMENTS);
	__type(key, struct xesp_fragment_key);
	__type(value, struct xesp_fragment);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_fragments SEC(".maps");

/* keyd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAPS_SAS);
	__type(key, __u32);
	__type(value, struct xesp_policy);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_policies SEC(".maps");

/* The XDP programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAPS_SAS);
	__type(key, __u32);
	__type(value, struct xesp_policy_hits);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_pol_hits SEC(".maps");

/* The XDP programs and xespd's workers, by atomic adds. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAPS_SAS);
	__type(key, __u32);
	__type(value, struct xesp_policy_drops);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_pol_drops SEC(".maps");

/* keyd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAPS_SAS);
	__type(key, __u32);
	__type(value, struct xesp_tunnel);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_tunnels SEC(".maps");

/* keyd. Value: how many tunnels receive there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAPS_ADDRS);
	__type(key, __be16);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_natt_port SEC(".maps");

/* keyd. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAPS_SAS);
	__type(key, struct xesp_sa_in_key);
	__type(value, struct xesp_sa_in_val);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_sa_in SEC(".maps");

/* keyd when it gives an id to an SA, afterwards xespd's workers; XDP kernel_top alone. XDP reads it for handover.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAPS_SAS);
	__type(key, __u32);
	__type(value, struct xesp_sa_state);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_sa_state SEC(".maps");

/* As xesp_sa_state. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAPS_REPLAY_WORDS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_replay SEC(".maps");

/* The XDP programs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XESP_DROP_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_drops SEC(".maps");

/* xespd: each worker its own element. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, XESP_WORKERS_MAX);
	__type(key, __u32);
	__type(value, struct xesp_worker_stats);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_wkr_stats SEC(".maps");

/* The XDP programs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XESP_LAST_RECORDS);
	__type(key, __u32);
	__type(value, struct xesp_dropped);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_last_xdp SEC(".maps");

/* xespd: each worker XESP_LAST_RECORDS elements of its own. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, XESP_WORKERS_MAX * XESP_LAST_RECORDS);
	__type(key, __u32);
	__type(value, struct xesp_dropped);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xesp_last_wkr SEC(".maps");

#endif /* XESP_BPF_MAPS_H */

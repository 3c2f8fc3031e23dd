/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * steer.h - layout of the maps pinned under /sys/fs/bpf/xesp.
 *
 * bpf/ reads them; keyd writes policies and SAs; xesp writes interfaces; xespd
 * writes sockets, sequence state and counters. All sides include this file and
 * nothing of each other. Only types of <linux/types.h>: it compiles for the BPF
 * target and for the host. Addresses, ports and SPIs are in network byte order,
 * as they stand on the wire; everything else is in host byte order.
 * No field may hold key material. Map names have at most 15 characters (the kernel's limit).
 */
#ifndef XESP_STEER_H
#define XESP_STEER_H

#include <linux/types.h>
#include "xesp/drop.h"

/* Goes up by one with any change below; attach and the daemons refuse pins of another value. */
#define XESP_STEER_ABI 4

#define XESP_PIN_DIR "/sys/fs/bpf/xesp"

/*
 * keyd's marks on the kernel's routing: its routes and rules carry this protocol number; routes
 * into xesp0 to the far ends of transport mode lie in a table of their own, which rules ask for
 * what this machine sends itself, but for packets with xespd's mark: those are ESP already.
 */
#define XESP_ROUTE_PROTOCOL 120
#define XESP_ROUTE_TABLE 120
#define XESP_ROUTE_MARK 0x65730000 /* "es", the lower half is for others */
#define XESP_ROUTE_MARK_MASK 0xffff0000

#define XESP_PORTS_MAX 64   /* attached interfaces */
#define XESP_QUEUES_MAX 64  /* receive queues of one interface */
#define XESP_TUPLES_MAX 256 /* distinct mask combinations among the policies of one direction */
#define XESP_WORKERS_MAX 65 /* one per queue, and the slow path (the last) */
#define XESP_NAME_MAX 32    /* with the terminating zero */

/*
 * Bytes of the largest IP packet that an attached interface may carry; of the largest one that a zero-copy
 * socket takes whose driver hands over no frame in several buffers; and of the largest one that comes in one
 * buffer where the kernel copies it (before 6.6 it hands over no other): there a page also holds the kernel's
 * struct skb_shared_info of 320 bytes, and veth, for one, cuts what is larger.
 */
#define XESP_MTU_MAX 9216
#define XESP_MTU_ONE_BUFFER (4096 - 256 - 14 - 8) /* chunk, headroom, Ethernet, two VLAN tags */
#define XESP_MTU_ONE_PAGE (XESP_MTU_ONE_BUFFER - 320)

/* IPv4 is kept as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2): one key serves both. */
struct xesp_addr {
	__be32 w[4];
};

enum xesp_role {
	XESP_ROLE_INNER = 1, /* cleartext side */
	XESP_ROLE_OUTER = 2, /* ciphertext side */
	XESP_ROLE_BOTH = 3,  /* one-armed gateway */
};

enum xesp_action {
	XESP_ACTION_NONE,
	XESP_ACTION_DISCARD,
	XESP_ACTION_BYPASS,
	XESP_ACTION_PROTECT,
	XESP_ACTION_FRAGMENT, /* only as the result of a search: see XESP_RULE_FRAGMENT */
};

/* RFC 4301 section 3.2. */
enum xesp_mode {
	XESP_MODE_TUNNEL,    /* whole packets, under an outer header of ours */
	XESP_MODE_TRANSPORT, /* what is behind the packet's own IP header */
};

enum xesp_dir {
	XESP_DIR_OUT, /* cleartext side to tunnel: RFC 4301's SPD-S and SPD-O */
	XESP_DIR_IN,  /* tunnel side to cleartext: RFC 4301's SPD-I and the check of SPD-S */
	XESP_DIR_MAX
};

/* What is the kernel's, because it has the same policies and SAs (`source: xfrm`). */
enum xesp_kernel {
	XESP_KERNEL_SPIS = 1,     /* ESP and AH to us under an SPI that is not in xesp_sa_in */
	XESP_KERNEL_FALLBACK = 2, /* what needs a worker while none serves the queue */
};

/*
 * Map xesp_conf, ARRAY of 1. `generation` is what keyd commits a whole new SPD with: one
 * aligned store. 0 means that no policies were ever loaded: fail closed.
 */
struct xesp_conf {
	__u32 abi; /* XESP_STEER_ABI, written once by `xesp attach` */
	__u32 generation;
	__u32 max_sas; /* entries of xesp_sa_state: SA ids are 1 .. max_sas - 1 */
	__u32 max_policies; /* entries of xesp_policies: policy ids are 1 .. max_policies - 1 */
	__u32 replay_words; /* entries of xesp_replay */
	__u32 spd_slots;    /* slots in xesp_spd_slot, a power of two */
	__u32 kernel; /* keyd: bit of enum xesp_kernel */
	__u32 flows;  /* of each CPU in xesp_flows, a power of two, 2 at least */
};

/* Map xesp_ifaces, HASH by ifindex (__u32). Written by `xesp attach` and `xesp detach`. */
struct xesp_iface {
	__u32 port; /* 0 .. XESP_PORTS_MAX - 1, this interface's row in xesp_xsks */
	__u32 role; /* enum xesp_role */
};

/* Map xesp_xsks, XSKMAP: key = port * XESP_QUEUES_MAX + queue. Written by xespd. */

/* Map xesp_local, HASH: key struct xesp_addr, an address of this machine (broadcast ones too);
 * value __u32, its ifindex. Written by `xesp attach` at first and kept current by keyd. */

/* Map xesp_endpoints, HASH: key struct xesp_addr, a tunnel's local address; value __u32 tunnel id
 * (any one of them). ESP to such an address is for us: an unknown SPI there is dropped. */

/*
 * The SPD: xesp_spd_head, _tuple, _slot, _entry and _rule, all mmapable arrays that only keyd
 * writes, by stores into mapped memory, and that XDP, xespd and keyd search with one piece of code:
 * spd_search.h. What a reader may see is tagged with generations; a reader of generation g takes
 * the newest of two versions that is not newer than g. keyd changes only versions that no reader of
 * the committed generation takes, then commits the next generation by one store to xesp_conf.
 * Generation 0 tags nothing.
 */

/* Map xesp_spd_head, ARRAY of 2, index generation & 1. Of another generation: stale, drop. */
struct xesp_spd_head {
	__u32 generation;
	__u32 tuples_n[XESP_DIR_MAX];
	__u32 default_action; /* enum xesp_action: DISCARD or BYPASS, when no policy matches */
	__u32 fragments; /* bit 1 << dir: there are policies that a later fragment cannot be held against */
	__u32 kernel;    /* 1: what a policy bypasses the kernel holds against policies of its own */
};

/*
 * What a packet offers to selectors, RFC 4301 section 4.4.1.1. A tuple names the classes of packets
 * that it is for; the others skip it.
 */
enum xesp_fields {
	XESP_FIELDS_KNOWN, /* ports, ICMP type and code, or mobility header type are there */
	XESP_FIELDS_NONE,  /* a whole packet of a protocol without them, or encrypted: OPAQUE */
	XESP_FIELDS_LATER, /* not the first fragment: OPAQUE, and of IPv6 the protocol is hearsay */
	XESP_FIELDS_MAX
};

#define XESP_CLASS(family, fields) (1u << ((family) == 6 ? XESP_FIELDS_MAX + (fields) : (fields)))

/*
 * Map xesp_spd_tuple, ARRAY, index ((generation & 1) * XESP_DIR_MAX + dir) * XESP_TUPLES_MAX + i.
 * One combination of masks that occurs among the policies of a direction (tuple-space search).
 * A policy with ranges is cut into prefixes, so a packet matches at most one entry per tuple,
 * and that entry belongs to the first of the policies that share its key: exact first match.
 * Sorted by best_rank: the search ends at the first tuple that cannot beat what was found.
 */
struct xesp_spd_tuple {
	__u32 generation;
	__u32 best_rank; /* no entry of this tuple has a lower rank */
	struct xesp_addr local_mask;
	struct xesp_addr remote_mask;
	__be16 local_port_mask;
	__be16 remote_port_mask;
	__u8 proto_mask; /* 0 any, 0xff exact */
	__u8 classes;    /* XESP_CLASS() of the packets that it may match */
	__u16 id;        /* stays while the tuple does, over generations: part of the key */
	__u8 pair;       /* number of its two address masks among those of the direction */
	__u8 pad[7];
} __attribute__((aligned(8)));

/*
 * Bytes outside the tuple's masks are zero. ICMP: type in local_port, code in remote_port; mobility
 * header: type in local_port; in both directions, as numbers in network byte order.
 */
struct xesp_spd_key {
	struct xesp_addr local;
	struct xesp_addr remote;
	__be16 local_port;
	__be16 remote_port;
	__u16 tuple; /* id of xesp_spd_tuple */
	__u8 dir;    /* enum xesp_dir */
	__u8 proto;  /* inner protocol, RFC 4301 section 4.4.1.1; 0 when not looked at */
} __attribute__((aligned(8)));

#define XESP_SPD_PAIRS 63 /* are told apart; the others have this number in common */

/*
 * Map xesp_spd_slot, ARRAY of XESP_SPD_ROOM(a power of two): open addressing with linear probing, at most
 * XESP_SPD_PROBES from the key's hash on. Read and written as one aligned word.
 */
#define XESP_SPD_PROBES 48

struct xesp_spd_slot {
	__u32 tag;   /* the hash's other half, so that few entries are looked at in vain */
	__u32 entry; /* index into xesp_spd_entry; 0: the run ends here */
} __attribute__((aligned(8)));

/*
 * Behind the slots a bit for each, 64 a word. Where it is 0 no key has this hash, and no key has
 * these masked addresses with this hash (spd_hash_addrs()): most look-ups are of what is not there,
 * and cost a load out of memory that is small enough to lie in a cache.
 */
#define XESP_SPD_ROOM(slots) ((slots) + (slots) / 64)

#define XESP_SPD_SLOT_GONE 0xffffffff /* in .entry: was used, the run goes on */

/* Map xesp_spd_entry, ARRAY: one cache line, key and whose it is. */
struct xesp_spd_entry {
	struct xesp_spd_key key;
	__u32 generation[2];
	__u32 rule[2]; /* policy id, perhaps with XESP_RULE_FRAGMENT; 0: nobody's */
	__u32 pad[2];
};

/*
 * The entry stands for a policy that looks at what a later fragment does not show. When it is the
 * first to match, the verdict is the first fragment's (RFC 4301 section 7.3), else a drop.
 */
#define XESP_RULE_FRAGMENT 0x80000000

struct xesp_spd_val {
	__u32 rank;   /* order in the SPD, lowest first; with gaps, so that one can be put between */
	__u32 policy; /* policy id: index into xesp_policies */
	__u32 tunnel; /* tunnel id with PROTECT, else 0 */
	__u32 action; /* enum xesp_action */
};

/* Map xesp_spd_rule, ARRAY by policy id: what a policy says. */
struct xesp_spd_rule {
	__u32 generation[2];
	struct xesp_spd_val val[2];
};

/*
 * Map xesp_fragments, LRU_HASH: the verdict on a first fragment, for the later ones of the same
 * datagram. Written by XDP. Valid for its generation and XESP_FRAGMENT_NS.
 */
#define XESP_FRAGMENT_NS 2000000000ull

struct xesp_fragment_key {
	struct xesp_addr src;
	struct xesp_addr dst;
	__be32 id;  /* of IPv4 16 bits */
	__u8 proto; /* IPv4: part of what reassembly goes by, RFC 791; IPv6: 0 */
	__u8 dir;   /* enum xesp_dir */
	__u8 pad[2];
};

struct xesp_fragment {
	__u32 generation;
	__u32 pad;
	__u64 seen_ns; /* CLOCK_MONOTONIC */
	struct xesp_spd_val val;
};

/*
 * Map xesp_flows, ARRAY of xesp_conf.flows for each CPU, one CPU's behind the other's: the last answers for flows, in
 * two neighbours by the hash of what was asked. Written by XDP, each CPU its own. Good for its generation only, so a
 * commit empties it. Not a PERCPU_ARRAY: that one costs two cache misses, for it leads over a pointer an element.
 */
#define XESP_FLOWS_MIN 4096u       /* of a CPU */
#define XESP_FLOWS_MAX (1u << 18)
#define XESP_FLOWS_ALL (1u << 22)  /* of all CPUs: 256 MB; fewer for each where there are many */

struct xesp_flow {
	__u64 asked[5]; /* struct spd_search: local, remote, and ports, protocol, direction, class */
	__u32 generation;
	__u32 pad;
	struct xesp_spd_val val;
};

/* Map xesp_policies, ARRAY by policy id: who a policy is, for people with bpftool. */
struct xesp_policy {
	char name[XESP_NAME_MAX];
	__u32 rank; /* as in struct xesp_spd_val */
	__u32 tunnel;
	__u8 action; /* enum xesp_action; NONE: the slot is free */
	__u8 dirs;   /* bit 1 << enum xesp_dir */
	__u8 pad[6];
};

/*
 * Map xesp_pol_hits, ARRAY (mmapable): packets that matched, counted by XDP, each CPU for itself: of policy id on CPU c at
 * c * XESP_HITS_OF_CPU(xesp_conf.max_policies) + id, so that no line is two CPUs'. Why no PERCPU_ARRAY: see xesp_flows.
 */
#define XESP_HITS_OF_CPU(policies) (((policies) + 3) & ~3u)

struct xesp_policy_hits {
	__u64 packets;
	__u64 bytes; /* IP length */
};

/* Map xesp_pol_drops, ARRAY (mmapable) by policy id; atomic adds by XDP and workers. */
struct xesp_policy_drops {
	__u64 by_reason[XESP_DROP_SLOTS]; /* index enum xesp_drop */
};

enum xesp_encap {
	XESP_ENCAP_NONE, /* ESP stands behind the IP header */
	XESP_ENCAP_UDP,  /* ESP in UDP, RFC 3948 */
};

enum xesp_udp_checksum {
	XESP_UDP_CHECKSUM_AUTO,    /* computed on IPv6, zero on IPv4 as RFC 3948 section 2.1 says */
	XESP_UDP_CHECKSUM_ZERO,    /* also on IPv6, RFC 6935 */
	XESP_UDP_CHECKSUM_COMPUTE, /* also on IPv4 */
};

/* What an authenticated newest packet that came from elsewhere does. */
enum xesp_follow {
	XESP_FOLLOW_NOT,
	XESP_FOLLOW_PEER, /* the remote end is there from now on */
	XESP_FOLLOW_TELL, /* keyd is told: it is for an IKE daemon to say */
};

/* How a tunnel passes NATs. Ports are as on the wire, and 0 where nothing is encapsulated. */
struct xesp_natt {
	struct xesp_addr peer; /* where the remote end is: it may have moved. All zero: at `remote` */
	__be16 local_port;
	__be16 remote_port; /* as configured */
	__be16 peer_port;   /* where it is, with `peer` */
	__u16 keepalive_s;  /* 0 none are sent */
	__u8 encap;       /* enum xesp_encap */
	__u8 accept_any;  /* inbound, 1: ESP with and without UDP; 0: as `encap` says */
	__u8 follow_peer; /* enum xesp_follow */
	__u8 checksum;    /* enum xesp_udp_checksum */
	__u8 pad[4];
};

/*
 * Map xesp_natt_port, HASH: key __be16, a UDP port at which tunnels of ours receive ESP in UDP;
 * value __u32, how many do. UDP to a tunnel's end and to such a port is looked into.
 */

/* Map xesp_tunnels, ARRAY by tunnel id: who a tunnel is. */
struct xesp_tunnel {
	char name[XESP_NAME_MAX];
	struct xesp_addr local;
	struct xesp_addr remote;
	__u32 sa_out; /* SA id that outbound packets take now, of CPUs without one of their own; 0 none */
	__u8 mode;    /* enum xesp_mode */
	__u8 pad[3];
	struct xesp_natt natt;
};

/* Map xesp_sa_in, HASH: inbound SAs, RFC 4301 section 4.1. */
struct xesp_sa_in_key {
	struct xesp_addr dst; /* outer destination: an address of this gateway */
	__be32 spi;
	__u8 proto;  /* IPPROTO_ESP or IPPROTO_AH */
	__u8 pad[3]; /* zero: the key is hashed and compared as bytes */
};

struct xesp_sa_in_val {
	__u32 sa_id; /* index into xesp_sa_state; 0 is never valid */
	__u32 tunnel;
	__u32 handover; /* 1: its `holder` says whose the packets are; 0: the workers' */
};

/*
 * Whose the packets of an inbound SA are that the kernel has too (`source: xfrm`), while it passes between
 * the two: who takes it over must know every number that the other one has accepted.
 */
enum xesp_holder {
	XESP_HOLDER_WORKERS,
	XESP_HOLDER_KERNEL, /* XDP notes how far the numbers went that it let through */
	XESP_HOLDER_NOBODY, /* dropped as `handover` */
};

enum xesp_expired { XESP_EXPIRED_NOT, XESP_EXPIRED_SOFT, XESP_EXPIRED_HARD };

/*
 * How far behind the highest number a packet came: bucket 0 holds 1 behind, bucket k from 2^k to
 * 2^(k+1) - 1 behind; the last one everything beyond. What came in order is in no bucket.
 */
#define XESP_LATE_BUCKETS 17

/* Packets of a replay window, if nothing else is said: with it the two SAs of a tunnel take less than 2 KiB, see sad/sa.h. */
#define XESP_WINDOW_DEFAULT 4096

/*
 * Why packets of an SA were dropped, and how often. An SA has few of all reasons, so that they get their places in
 * the order in which they first happen; n[0] counts those that find no place any more.
 */
#define XESP_SA_DROPS 13
struct xesp_sa_drops {
	__u8 why[16]; /* enum xesp_drop; [0] and those behind the last one are 0 */
	__u64 n[XESP_SA_DROPS];
};

/*
 * Map xesp_sa_state, ARRAY (mmapable) by SA id: what must outlive xespd. keyd clears an element
 * and sets the identity when it gives the id to another SA; after that only xespd's workers
 * write, with atomic operations, for they may share an SA.
 */
struct xesp_sa_state {
	/* identity, by keyd */
	char name[XESP_NAME_MAX];
	__u64 fingerprint; /* of the key, not the key: two SAs with one fingerprint share a key */
	__be32 spi;
	__u8 dir;     /* enum xesp_dir */
	__u8 in_use;
	__u8 esn;
	__u8 proto;   /* IPPROTO_ESP or IPPROTO_AH */
	__u32 replay_off;   /* inbound: first word of its window in xesp_replay */
	__u32 replay_words; /* inbound: words, a power of two; the window is 64 * words at most */
	__u32 window;       /* inbound: packets, 0 no anti-replay */
	__u32 holder;       /* inbound, by keyd: enum xesp_holder, see struct xesp_sa_in_val */
	/* hot: a cache line, for elements begin at one. Outbound: numbers seq_next .. lease_end may be used,
	 * RFC 4303 section 3.3.3 */
	__u64 seq_next;
	__u64 lease_end;
	/* inbound: highest number accepted, RFC 4303 section 3.4.3 */
	__u64 replay_top;
	/* counters: authenticated packets in, sent packets out; bytes are inner IP bytes */
	__u64 packets;
	__u64 bytes;
	__u64 lost;         /* inbound: numbers that left the window unseen */
	__u64 last_used_ns; /* CLOCK_BOOTTIME */
	/* lifetime, RFC 4301 section 4.4.2.1 */
	__u32 expired;      /* enum xesp_expired: only ever goes up; by keyd and workers */
	__u32 kernel_top;   /* low half of the highest number that XDP let through to a holder KERNEL; 0 none */
	/* cold from here on */
	__u64 born_ns;      /* CLOCK_BOOTTIME, by keyd with the identity */
	__u64 life_packets; /* authenticated in, numbered out: counted while the SA has a limit */
	__u64 life_bytes;   /* that the cipher was applied to, padding included */
	/* outbound, by xespd: RFC 4301 section 4.4.2.1, the observed path MTU and its age */
	__u64 path_mtu_ns;   /* CLOCK_BOOTTIME when it was learned or confirmed; 0: not learned */
	__u32 path_mtu;      /* outer bytes in force; 0 not known */
	__u16 inner_mtu;     /* the largest inner packet that fits it */
	__u8 path_mtu_from;  /* enum xesp_pmtu_from */
	__u8 pad2;
	__u64 ecn_alarms;   /* inbound: outer ECN that should not be: RFC 6040 section 4.2 */
	/* `source: xfrm`, by keyd: of packets and bytes, what the kernel was told; outlives keyd */
	__u64 told_packets;
	__u64 told_bytes;
	struct xesp_sa_drops drops;
	/* inbound; counted when the ICV was good, but for what lies left of the window */
	__u64 late[XESP_LATE_BUCKETS];
};

enum xesp_pmtu_from {
	XESP_PMTU_FROM_LINK,   /* the outgoing route or interface */
	XESP_PMTU_FROM_CONFIG, /* `mtu` of the tunnel */
	XESP_PMTU_FROM_ICMP,   /* a router on the path said so */
	XESP_PMTU_FROM_PROBE,  /* the largest probe that was answered */
};

/* Map xesp_replay, ARRAY (mmapable) of __u64: the bits of all replay windows, see esp/replay.h. */

/* Map xesp_drops, PERCPU_ARRAY of __u64 by enum xesp_drop: what XDP dropped. */

/* Map xesp_wkr_stats, ARRAY (mmapable) by worker: what each worker did; only it writes. */
struct xesp_worker_stats {
	__u64 rx_packets;
	__u64 rx_bytes;
	__u64 tx_packets;
	__u64 tx_bytes;
	__u64 encap_packets;
	__u64 decap_packets;
	__u64 slow_packets; /* handed to the kernel, through xesp0 or a raw socket */
	__u64 batches;
	__u64 drops[XESP_DROP_SLOTS];
};

/* What XDP found, laid before the frame with bpf_xdp_adjust_meta(). The worker checks it. */
#define XESP_META_MAGIC 0x78657370 /* "xesp" */

enum xesp_kind {
	XESP_KIND_CLEAR = 1, /* cleartext that a policy protects: encapsulate */
	XESP_KIND_ESP,       /* ESP for us: decapsulate */
	XESP_KIND_AH,        /* AH for us: check and take off; the rest as with KIND_ESP */
	XESP_KIND_ESP_UDP,   /* the same, behind a UDP header of 8 bytes */
};

struct xesp_meta {
	__u32 magic;
	__u32 id;     /* KIND_CLEAR: tunnel id. Others: SA id */
	__u32 policy; /* KIND_CLEAR: policy id. Others: 0 */
	__u16 l3_off; /* bytes from the start of the frame to the IP header */
	__u8 kind;    /* enum xesp_kind */
	__u8 l4_off;  /* ESP, AH: in 4-byte units from the IP header to theirs; else 0 */
};

_Static_assert(sizeof(struct xesp_addr) == 16, "layout");
_Static_assert(sizeof(struct xesp_conf) == 32, "layout");
_Static_assert(sizeof(struct xesp_iface) == 8, "layout");
_Static_assert(sizeof(struct xesp_spd_head) == 24, "layout");
_Static_assert(sizeof(struct xesp_spd_tuple) == 56, "layout");
_Static_assert(sizeof(struct xesp_spd_key) == 40, "hashed and compared as words");
_Static_assert(sizeof(struct xesp_spd_slot) == 8, "one word");
_Static_assert(sizeof(struct xesp_spd_entry) == 64, "one cache line");
_Static_assert(sizeof(struct xesp_spd_rule) == 40, "layout");
_Static_assert(sizeof(struct xesp_flow) == 64, "one cache line");
_Static_assert(sizeof(struct xesp_fragment_key) == 40, "map key has implicit padding");
_Static_assert(sizeof(struct xesp_fragment) == 32, "layout");
_Static_assert(sizeof(struct xesp_spd_val) == 16, "layout");
_Static_assert(sizeof(struct xesp_policy) == 48, "layout");
_Static_assert(sizeof(struct xesp_natt) == 32, "layout");
_Static_assert(sizeof(struct xesp_tunnel) == 72 + 32, "layout");
_Static_assert(sizeof(struct xesp_sa_in_key) == 24, "map key has implicit padding");
_Static_assert(sizeof(struct xesp_sa_in_val) == 12, "layout");
_Static_assert(sizeof(struct xesp_sa_drops) == 120, "layout");
_Static_assert(__builtin_offsetof(struct xesp_sa_state, seq_next) == 64, "the hot line");
_Static_assert(sizeof(struct xesp_sa_state) == 7 * 64, "layout, and each begins a cache line");
_Static_assert(sizeof(struct xesp_worker_stats) == 64 + XESP_DROP_SLOTS * 8, "layout");
_Static_assert(sizeof(struct xesp_worker_stats) % 64 == 0, "no two workers count in one cache line");
_Static_assert(sizeof(struct xesp_meta) == 16, "metadata must be a multiple of 4");

#endif /* XESP_STEER_H */

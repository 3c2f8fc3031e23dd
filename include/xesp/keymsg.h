/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keymsg.h - messages between xesp-keyd and xespd.
 *
 * Over a SOCK_SEQPACKET Unix socket (<run>/keymsg.sock) on which keyd listens and xespd
 * connects; each side checks the other's SO_PEERCRED. One message is one packet and starts with
 * struct xesp_keymsg. Host byte order, but addresses, ports and SPIs, which are as on the wire.
 * This is the only way a key travels; both ends wipe the buffer after use.
 *
 * On connect: xespd sends HELLO; keyd answers HELLO, then SYNC_BEGIN, all TUNNEL_SET and SA_ADD,
 * and SYNC_END: xespd deletes every SA and tunnel that was not named in between, so that no key
 * outlives keyd's deletion of it. Later changes come one by one. xespd answers SA_ADD, SA_DEL,
 * TUNNEL_SET, GROUP_SET and LEASE_GRANT with ACK: one for each that is refused, and for those that are
 * not one for as many as it finds at a time. A message that is malformed ends the connection.
 */
#ifndef XESP_KEYMSG_H
#define XESP_KEYMSG_H

#include <linux/types.h>
#include "xesp/steer.h"

#define XESP_KEYMSG_VERSION 6
#define XESP_KEYMSG_MAX 16384 /* bytes of the largest message */

enum xesp_keymsg_type {
	XESP_KEYMSG_HELLO = 1,     /* both: struct xesp_keymsg_hello */
	XESP_KEYMSG_SYNC_BEGIN,    /* keyd: header only */
	XESP_KEYMSG_SYNC_END,      /* keyd: header only */
	XESP_KEYMSG_TUNNEL_SET,    /* keyd: struct xesp_keymsg_tunnel_set, cut off behind cpus_n: add or replace */
	XESP_KEYMSG_TUNNEL_DEL,    /* keyd: struct xesp_keymsg_id */
	XESP_KEYMSG_SA_ADD = 7,    /* keyd: struct xesp_keymsg_sa: add or replace by id */
	XESP_KEYMSG_SA_DEL,        /* keyd: struct xesp_keymsg_id */
	XESP_KEYMSG_LEASE_GRANT,   /* keyd: struct xesp_keymsg_lease */
	XESP_KEYMSG_LEASE_REFUSED, /* keyd: struct xesp_keymsg_id: number space spent, or disk error */
	XESP_KEYMSG_LEASE_REQUEST, /* xespd: struct xesp_keymsg_id: grant the next block */
	XESP_KEYMSG_ACK,           /* xespd: struct xesp_keymsg_ack */
	XESP_KEYMSG_GROUP_SET,     /* keyd: struct xesp_keymsg_group: add or replace */
	XESP_KEYMSG_PEER_MOVED,    /* xespd: struct xesp_keymsg_peer: no answer */
	XESP_KEYMSG_PEER_DEAD,     /* xespd: struct xesp_keymsg_id of a tunnel: no answer any more; none */
	XESP_KEYMSG_PEER_ALIVE,    /* xespd: struct xesp_keymsg_id of a tunnel: it answers again; none */
	XESP_KEYMSG_SPREAD,        /* keyd: struct xesp_keymsg_id, id: enum xesp_spread; no answer */
	XESP_KEYMSG_ACQUIRE,       /* xespd: struct xesp_keymsg_acquire: no answer */
};

/* One queue over many cores, or not; OWN: as xespd was told when it was started. */
enum xesp_spread { XESP_SPREAD_OWN, XESP_SPREAD_AUTO, XESP_SPREAD_NEVER, XESP_SPREAD_ALWAYS };

struct xesp_keymsg {
	__u32 len;  /* of the whole message, this header included */
	__u16 type; /* enum xesp_keymsg_type */
	__u16 version;
	__u32 seq; /* counts up per sender; ACK names it */
	__u32 pad;
};

struct xesp_keymsg_hello {
	struct xesp_keymsg h;
	__u32 steer_abi;
	__u32 pid;
};

struct xesp_keymsg_id {
	struct xesp_keymsg h;
	__u32 id; /* SA id or tunnel id, as the type says */
	__u32 wait; /* SA_DEL, 1: answered when no worker holds any SA that was deleted up to here; -EBUSY: one does */
};

enum xesp_df { XESP_DF_COPY, XESP_DF_SET, XESP_DF_CLEAR };
enum xesp_pmtu { XESP_PMTU_LEARN, XESP_PMTU_FIXED }; /* RFC 4301 section 8.2 */
enum xesp_dscp { XESP_DSCP_COPY, XESP_DSCP_SET, XESP_DSCP_MAP };
enum xesp_ecn { XESP_ECN_NORMAL, XESP_ECN_COMPATIBILITY }; /* RFC 6040 section 4.1 */
/* At decapsulation, RFC 2983 section 3.1: the inner packet's own (pipe), or the outer one (uniform). */
enum xesp_dscp_in { XESP_DSCP_IN_KEEP, XESP_DSCP_IN_COPY };
/* Of outer IPv6 headers, RFC 6437: one of each SA, the inner one, none, one of each inner flow. */
enum xesp_flow_label { XESP_FLOW_LABEL_SA, XESP_FLOW_LABEL_COPY, XESP_FLOW_LABEL_ZERO,
		       XESP_FLOW_LABEL_FLOW };
#define XESP_TFC_MTU 0xffffffffu

/*
 * Selectors that an SA has from the packet it was made for: populate from packet, RFC 4301 sections
 * 4.4.1 and 4.4.2.2. A tunnel whose policies say so has unique SAs, one for each combination of values.
 */
enum xesp_pfp {
	XESP_PFP_LOCAL = 1,
	XESP_PFP_REMOTE = 2,
	XESP_PFP_PROTO = 4,
	XESP_PFP_LOCAL_PORT = 8,   /* of ICMP and of a mobility header its type */
	XESP_PFP_REMOTE_PORT = 16, /* of ICMP its code */
	XESP_PFP_ALL = 31,
};

#define XESP_PFP_PORTS (XESP_PFP_LOCAL_PORT | XESP_PFP_REMOTE_PORT)

/* Such values, as struct xesp_spd_key has them. What is not in the mask is zero. */
struct xesp_values {
	struct xesp_addr local;
	struct xesp_addr remote;
	__be16 local_port;
	__be16 remote_port;
	__u8 mask;   /* bits of enum xesp_pfp; 0: the SA is not a unique one */
	__u8 proto;
	__u8 pad[2];
};

/* A tunnel: RFC 4301 section 5.1.2, how the outer header is made. */
struct xesp_keymsg_tunnel {
	struct xesp_keymsg h;
	__u32 id;
	__u32 sa_out; /* outbound SA to use from now on; 0 none. The switch of make-before-break */
	char name[XESP_NAME_MAX];
	struct xesp_addr local;
	struct xesp_addr remote;
	__u32 mtu;  /* of the outer path in bytes; 0: that of the outgoing interface */
	__u8 ttl;   /* outer TTL or hop limit; 0: the inner one */
	__u8 df;    /* enum xesp_df */
	__u8 dscp;  /* enum xesp_dscp */
	__u8 dscp_value; /* 0 to 63, with XESP_DSCP_SET */
	__u8 ecn;   /* enum xesp_ecn */
	__u8 pmtu;  /* enum xesp_pmtu: is what the path says believed */
	__u8 pmtu_probe; /* 1: RFC 8899, by echo requests to probe_remote */
	__u8 icmp_check; /* 1: an ICMP error out of the tunnel must quote what the tunnel may carry */
	__u16 mss;  /* XESP_MSS_OFF, XESP_MSS_AUTO, or the largest that a SYN may announce */
	__u16 pmtu_floor; /* bytes: no path MTU below it is believed */
	__u32 pmtu_age;   /* seconds that a learned path MTU holds */
	__u8 mode;  /* enum xesp_mode */
	__u8 dpd_misses; /* so many unanswered in a row: the peer is dead */
	__u16 dpd_ms;    /* between two echo requests to probe_remote; 0: no dead-peer probing */
	struct xesp_addr probe_local;  /* inner source of echo requests; ::: the kernel's choice */
	struct xesp_addr probe_remote; /* inner address behind the peer that answers; ::: none */
	__u8 dscp_in;    /* enum xesp_dscp_in */
	__u8 flow_label; /* enum xesp_flow_label */
	__u8 pfp;        /* bits of enum xesp_pfp that each of its SAs has values of its own for; 0: its
			  * SAs are for all that goes through it */
	__u8 cpus_n;     /* struct xesp_keymsg_cpu behind this: 0 to XESP_CPUS_MAX */
	__u8 cpu_acquire; /* 1: a worker that has none of these says so, by ACQUIRE, and sends on sa_out */
	__u8 pad2[3];
	/* traffic flow confidentiality, RFC 4303 sections 2.6 and 2.7 */
	__u32 tfc; /* every payload has at least so many bytes; 0 off; XESP_TFC_MTU: as many as fit */
	__u32 dummy_pps; /* dummy packets a second; 0 none */
	__u8 dscp_map[64]; /* with XESP_DSCP_MAP: inner to outer */
	struct xesp_natt natt;
	/* transport mode in UDP, RFC 3948 section 3.1.2: what the peer takes our and its own address for */
	struct xesp_addr oa_local;  /* ::: with the other set `local`, else checksums are computed anew */
	struct xesp_addr oa_remote; /* likewise `remote` */
};

#define XESP_CPUS_MAX 64

/* RFC 9611: the outbound SA that one CPU alone sends on. CPUs without one send on sa_out. */
struct xesp_keymsg_cpu {
	__u32 cpu; /* what a worker matches: the CPU that it is pinned to, else its queue's number */
	__u32 sa;  /* SA id */
};

/* The longest TUNNEL_SET: no CPU is named twice. They switch with sa_out, in one message. */
struct xesp_keymsg_tunnel_set {
	struct xesp_keymsg_tunnel tunnel;
	struct xesp_keymsg_cpu cpu[XESP_CPUS_MAX];
};

/* A tunnel's remote end was seen elsewhere, by an authenticated packet, and is followed there. */
struct xesp_keymsg_peer {
	struct xesp_keymsg h;
	__u32 tunnel;
	__be16 port;
	__u16 pad;
	struct xesp_addr addr;
};

#define XESP_CPU_NONE 0xffffffffu

/*
 * A packet found no SA of its own in a tunnel of unique ones: RFC 4301 section 5.1 step 3b. Or a CPU has none of its own,
 * RFC 9611, and the packet went by the one for all.
 */
struct xesp_keymsg_acquire {
	struct xesp_keymsg h;
	__u32 tunnel;
	__u32 policy; /* by which it got there */
	struct xesp_values values;
	__u32 cpu; /* whose own is wanted; XESP_CPU_NONE: one with these values */
	__u32 pad;
};

#define XESP_MSS_OFF 0
#define XESP_MSS_AUTO 1 /* what fits the tunnel's path MTU */
#define XESP_MSS_MIN 88 /* RFC 791's least packet of 68 would leave 28; nobody goes that low */

#define XESP_GROUP_MAX 16 /* tunnels of one group */

/*
 * Equal tunnels to one place: packets of one inner flow take one of them. A group has an id among
 * those of tunnels, so that a policy may name either; TUNNEL_DEL deletes it.
 */
struct xesp_keymsg_group {
	struct xesp_keymsg h;
	__u32 id;
	__u32 n; /* 1 to XESP_GROUP_MAX */
	char name[XESP_NAME_MAX];
	__u32 member[XESP_GROUP_MAX]; /* ids of tunnels, none twice */
};

enum xesp_alg { /* the key length is in key_len; numbers are IANA's ESP transforms */
	XESP_ALG_NONE, /* AH: integrity alone */
	XESP_ALG_AES_GCM_16, /* RFC 4106, 16-byte ICV: 20 */
	XESP_ALG_AES_GCM_12, /* the same, 12-byte ICV: 19 */
	XESP_ALG_AES_GCM_8,  /* the same, 8-byte ICV: 18 */
	XESP_ALG_CHACHA20_POLY1305, /* RFC 7634: 28 */
	XESP_ALG_AES_GCM_16_IIV,    /* RFC 8750, the IV is the sequence number: 30 */
	XESP_ALG_CHACHA20_POLY1305_IIV, /* RFC 8750: 31 */
	XESP_ALG_AES_CCM_8_IIV, /* RFC 8750: 29 */
	XESP_ALG_AES_CCM_16,    /* RFC 4309, 16-byte ICV: 16 */
	XESP_ALG_AES_CCM_12,    /* 15 */
	XESP_ALG_AES_CCM_8,     /* 14 */
	XESP_ALG_AES_GMAC,      /* RFC 4543, ENCR_NULL_AUTH_AES_GMAC: 21 */
	/* These need an integrity algorithm beside them: */
	XESP_ALG_NULL,    /* RFC 2410: 11 */
	XESP_ALG_AES_CBC, /* RFC 3602: 12 */
	XESP_ALG_AES_CTR, /* RFC 3686: 13 */
	XESP_ALG_MAX
};

enum xesp_auth { /* numbers are IANA's integrity transforms */
	XESP_AUTH_NONE, /* the algorithm has its own ICV */
	XESP_AUTH_HMAC_SHA2_256_128, /* RFC 4868: 12 */
	XESP_AUTH_HMAC_SHA2_384_192, /* 13 */
	XESP_AUTH_HMAC_SHA2_512_256, /* 14 */
	XESP_AUTH_AES_GMAC, /* AH alone, RFC 4543: 9, 10, 11 by auth_key_len */
	XESP_AUTH_MAX
};

#define XESP_KEY_MAX 96 /* AES-256 and HMAC-SHA-512 */

struct xesp_keymsg_sa {
	struct xesp_keymsg h;
	__u32 id; /* index into xesp_sa_state, where the identity is already written */
	__u32 tunnel;
	__be32 spi;
	__u8 dir; /* enum xesp_dir */
	__u8 esn; /* 1: 64-bit sequence numbers */
	__u8 alg; /* enum xesp_alg */
	__u8 key_len;  /* bytes of the encryption key in key[], without the salt */
	__u8 salt_len; /* bytes of salt[] */
	__u8 auth;     /* enum xesp_auth */
	__u8 auth_key_len; /* bytes of the integrity key, in key[] behind the encryption key */
	__u8 proto;    /* IPPROTO_ESP or IPPROTO_AH */
	__u32 window; /* inbound: packets */
	__u64 lease_first; /* outbound: the first block, see struct xesp_keymsg_lease; 0 and 0: none
			    * now, xespd asks */
	__u64 lease_last;
	__u8 key[XESP_KEY_MAX];
	__u8 salt[8];
	/* hard limits, RFC 4301 section 4.4.2.1; 0 none */
	__u64 hard_packets;
	__u64 hard_bytes;
	__u64 hard_ns; /* CLOCK_BOOTTIME: no packet from then on */
	__u64 seq_max; /* outbound: the last number that may be sent; 0: the last there is */
	__u8 over;     /* 1: its lifetime has ended. No key; its packets are dropped as LIFETIME */
	__u8 pad2[7];
	struct xesp_values values; /* of a unique SA */
};

/*
 * Numbers first .. last, both included, are on disk as spent and are xespd's to use. When first
 * follows the SA's lease_end directly the lease grows; otherwise what is left of the old one is
 * abandoned. Never overlaps with an earlier grant under the same key.
 */
struct xesp_keymsg_lease {
	struct xesp_keymsg h;
	__u32 id;
	__u32 pad;
	__u64 first;
	__u64 last;
};

/* Its error is that of the message named; what was sent before that, and has no answer yet, is accepted. */
struct xesp_keymsg_ack {
	struct xesp_keymsg h;
	__u32 acked_seq; /* h.seq of the message answered */
	__s32 error;     /* 0 or -errno */
	char text[120];  /* what was wrong, with error */
};

_Static_assert(sizeof(struct xesp_keymsg) == 16, "layout");
_Static_assert(sizeof(struct xesp_keymsg_tunnel) == 16 + 8 + 32 + 32 + 16 + 8 + 32 +
		       8 + 8 + 64 + 32 + 32, "layout");
_Static_assert(sizeof(struct xesp_keymsg_tunnel_set) == sizeof(struct xesp_keymsg_tunnel) +
		       XESP_CPUS_MAX * 8, "no gap between the two");
_Static_assert(sizeof(struct xesp_keymsg_group) == 16 + 8 + 32 + 64, "layout");
_Static_assert(sizeof(struct xesp_keymsg_peer) == 16 + 8 + 16, "layout");
_Static_assert(sizeof(struct xesp_keymsg_sa) == 16 + 12 + 8 + 4 + 16 + 104 + 40 + 40, "layout");
_Static_assert(sizeof(struct xesp_values) == 40, "hashed and compared as words");
_Static_assert(sizeof(struct xesp_keymsg_acquire) == 16 + 8 + 40 + 8, "layout");
_Static_assert(sizeof(struct xesp_keymsg_ack) == 144, "layout");

#endif /* XESP_KEYMSG_H */

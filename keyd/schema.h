/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schema.h - what keys the configuration has: the schema is the parser.
 *
 * struct raw_* is the file as written, typed but not yet judged; config.c, sad.c and selector.c
 * make the model of it. Words start at 1, so that 0 says "not given". Numbers are text still,
 * because libcyaml takes 0x10o1 for 0x10: numbers.h reads them. All memory is libcyaml's
 * and ours to wipe: schema_free(). docs/configuration.md describes each key. Main thread.
 */
#ifndef XESP_KEYD_SCHEMA_H
#define XESP_KEYD_SCHEMA_H

#include <stddef.h>
#include <stdint.h>
#include "keyd/problems.h"

struct source;

#define SCHEMA_DSCP_MAX 64
#define SCHEMA_LIST_MAX 1024 /* prefixes or port ranges of one policy */

enum raw_default { RAW_DEFAULT_DISCARD = 1, RAW_DEFAULT_BYPASS };
enum raw_routes { RAW_ROUTES_INSTALL = 1, RAW_ROUTES_NONE };
enum raw_source { RAW_SOURCE_FILE = 1, RAW_SOURCE_XFRM, RAW_SOURCE_CONTROL };
enum raw_fallback { RAW_FALLBACK_DROP = 1, RAW_FALLBACK_KERNEL };
enum raw_spread { RAW_SPREAD_AUTO = 1, RAW_SPREAD_NEVER, RAW_SPREAD_ALWAYS };
enum raw_role { RAW_ROLE_INNER = 1, RAW_ROLE_OUTER, RAW_ROLE_BOTH };
enum raw_df { RAW_DF_COPY = 1, RAW_DF_SET, RAW_DF_CLEAR };
enum raw_pmtu { RAW_PMTU_LEARN = 1, RAW_PMTU_FIXED };
enum raw_dscp_in { RAW_DSCP_IN_KEEP = 1, RAW_DSCP_IN_COPY };
enum raw_flow_label {
	RAW_FLOW_LABEL_SA = 1,
	RAW_FLOW_LABEL_COPY,
	RAW_FLOW_LABEL_ZERO,
	RAW_FLOW_LABEL_FLOW
};
enum raw_ecn { RAW_ECN_NORMAL = 1, RAW_ECN_COMPATIBILITY };
enum raw_mode { RAW_MODE_TUNNEL = 1, RAW_MODE_TRANSPORT };
enum raw_protocol { RAW_PROTOCOL_ESP = 1, RAW_PROTOCOL_AH };
enum raw_encap { RAW_ENCAP_NONE = 1, RAW_ENCAP_UDP };
enum raw_encap_accept { RAW_ENCAP_ACCEPT_CONFIGURED = 1, RAW_ENCAP_ACCEPT_ANY };
enum raw_udp_checksum { RAW_UDP_CHECKSUM_AUTO = 1, RAW_UDP_CHECKSUM_ZERO, RAW_UDP_CHECKSUM_COMPUTE };
enum raw_direction { RAW_DIRECTION_OUT = 1, RAW_DIRECTION_IN, RAW_DIRECTION_BOTH };
enum raw_switch { RAW_YES = 1, RAW_NO };
enum raw_action { RAW_ACTION_DISCARD = 1, RAW_ACTION_BYPASS, RAW_ACTION_PROTECT };
struct raw_interface {
	char *name;
	enum raw_role role;
};

struct raw_tunnel {
	char *name;
	char *local;
	char *remote;
	char *ttl; /* "copy" or a number */
	enum raw_df df;
	char *dscp; /* "copy", "map" or a number */
	char **dscp_map;
	unsigned int dscp_map_count;
	enum raw_dscp_in dscp_in;
	enum raw_flow_label flow_label;
	char *tfc; /* "off", "mtu" or a number */
	char *dummy;
	enum raw_ecn ecn;
	char *mtu;
	enum raw_pmtu pmtu;
	char *pmtu_floor;
	char *pmtu_age;
	enum raw_switch dpd;
	char *dpd_interval;
	char *dpd_misses;
	enum raw_switch pmtu_probe;
	char *probe_local;
	char *probe_remote;
	char *mss; /* "off", "auto" or a number */
	enum raw_switch icmp_check;
	enum raw_mode mode;
	/* NAT traversal: natt.c */
	char *nat_oa_local, *nat_oa_remote;
	enum raw_encap encap;
	enum raw_encap_accept encap_accept;
	char *local_port;
	char *remote_port;
	char *keepalive;
	enum raw_switch follow_peer;
	enum raw_udp_checksum udp_checksum;
};

struct raw_group {
	char *name;
	char **tunnels;
	unsigned int tunnels_count;
};

struct raw_lifetime {
	char *soft_seconds, *hard_seconds;
	char *soft_bytes, *hard_bytes;
	char *soft_packets, *hard_packets;
	char *warn_seconds;
};

/* One value of each: see pfp.h. */
struct raw_selector {
	char *local, *remote;
	char *protocol;
	char *local_port, *remote_port;
	char *icmp_type, *icmp_code;
	char *mh_type;
};

struct raw_sa {
	char *name;
	char *tunnel;
	enum raw_direction direction;
	enum raw_protocol protocol;
	char *spi;
	char *algorithm;
	char *integrity;
	char *key; /* wiped by schema_free(), as integrity_key */
	char *key_file;
	char *integrity_key;
	char *integrity_key_file;
	enum raw_switch esn;
	char *replay_window;
	char *lease;
	char *cpu;
	struct raw_lifetime *lifetime; /* NULL: not given */
	struct raw_selector *selector; /* NULL: not given */
};

struct raw_policy {
	char *name;
	enum raw_action action;
	char *tunnel;
	enum raw_direction direction;
	char **local;
	unsigned int local_count;
	char **remote;
	unsigned int remote_count;
	char *protocol;
	char **local_ports;
	unsigned int local_ports_count;
	char **remote_ports;
	unsigned int remote_ports_count;
	char **icmp_type;
	unsigned int icmp_type_count;
	char **icmp_code;
	unsigned int icmp_code_count;
	char **mh_type;
	unsigned int mh_type_count;
	char **pfp;
	unsigned int pfp_count;
	/* of transactions, not of the file: the policy that it is to stand before, or after */
	char *before, *after;
};

struct raw_config {
	char *version;
	enum raw_source source;
	enum raw_fallback fallback;
	enum raw_default default_action;
	enum raw_routes routes;
	enum raw_spread spread;
	struct raw_interface *interfaces;
	unsigned int interfaces_count;
	struct raw_tunnel *tunnels;
	unsigned int tunnels_count;
	struct raw_group *groups;
	unsigned int groups_count;
	struct raw_sa *sas;
	unsigned int sas_count;
	struct raw_policy *policies;
	unsigned int policies_count;
};

/* The keys that take one value or a list, for source_prepare(). */
extern const char *const schema_list_paths[];

/* Loads the prepared source. -EINVAL with problems (without lines: source_locate()). */
int schema_load(const struct source *s, struct raw_config **out, struct problems *ps);

/* Wipes and frees. NULL is allowed. */
void schema_free(struct raw_config *raw);

#endif /* XESP_KEYD_SCHEMA_H */

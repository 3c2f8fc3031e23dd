/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sad.h - the Security Association Database as configured: tunnels and SAs, RFC 4301 section 4.4.2.
 *
 * keyd owns the truth; xespd has a copy. Key bytes of a whole SAD lie in one block of locked
 * memory and have no printer; everything else refers to a key by its SHA-256 digest (the lease
 * book), its fingerprint (8 bytes, which people compare), or not at all.
 * Arrays are in the configuration's order; ids are set later, by ids.c. Main thread.
 */
#ifndef XESP_KEYD_SAD_H
#define XESP_KEYD_SAD_H

#include <stdbool.h>
#include <stdint.h>
#include "keyd/algorithm.h"
#include "keyd/index.h"
#include "keyd/limits.h"
#include "keyd/marks.h"
#include "keyd/problems.h"
#include "libxesp/secret.h"
#include "xesp/keymsg.h"
#include "xesp/steer.h"

struct raw_config;

/* A tunnel, or a group of equal tunnels (group.h), which has a name, an id and members only. */
struct tunnel {
	char name[XESP_NAME_MAX];
	uint32_t id; /* index into xesp_tunnels; 0 not yet */
	uint32_t members_n; /* of a group; 0: a tunnel */
	uint32_t *members;  /* indices into sad.tunnels; owned */
	struct xesp_addr local, remote;
	uint32_t mtu; /* bytes of the outer path; 0: the outgoing interface's */
	struct marks marks;
	uint8_t df;   /* enum xesp_df */
	uint8_t ecn;     /* enum xesp_ecn */
	uint8_t pmtu;    /* enum xesp_pmtu */
	bool pmtu_probe;
	bool icmp_check;
	uint16_t mss;    /* XESP_MSS_OFF, XESP_MSS_AUTO or a value */
	uint16_t pmtu_floor;
	uint32_t pmtu_age; /* seconds */
	uint16_t dpd_ms;    /* 0: no dead-peer probing */
	uint8_t dpd_misses;
	struct xesp_addr probe_local, probe_remote; /* zero: none */
	uint8_t mode;    /* enum xesp_mode */
	uint8_t pfp;       /* bits of enum xesp_pfp: its SAs are unique ones, see pfp.h */
	uint8_t pfp_proto; /* with pfp: what the ports of its policies are of; 0 any */
	struct xesp_natt natt; /* natt.h; `peer` is set when it is encapsulated */
	bool cpu_acquire;  /* `source: xfrm`: CPUs without an SA of their own ask for one, xfrm_want.h */
	uint32_t reqid;    /* `source: xfrm`: the kernel's */
	struct xesp_addr oa_local, oa_remote; /* NAT original addresses; zero: not known */
	uint32_t sa_out;         /* index into sad.sas; SAD_NONE. Of unique ones the first */
	uint32_t sa_cpu;         /* likewise: the first of those for a CPU each, sa_cpu.h */
};

#define SAD_NONE UINT32_MAX

struct sa_key {
	uint8_t key[XESP_KEY_MAX]; /* encryption key, then integrity key */
	uint8_t salt[ALGORITHM_SALT_MAX];
};

enum sa_standing {
	SA_WAITING, /* no worker has it yet */
	SA_ACTIVE,  /* the worker acknowledged it */
	SA_REFUSED, /* `reason` says why */
};

struct sa {
	char name[XESP_NAME_MAX];
	uint32_t id;     /* index into xesp_sa_state; 0 not yet */
	uint32_t tunnel; /* index into sad.tunnels */
	uint32_t spi;    /* host byte order */
	uint32_t window; /* inbound: packets */
	uint64_t lease;  /* outbound: numbers a durable lease covers */
	bool rival;      /* outbound: the kernel sends beside xesp, so that leases are cut short: grants.h */
	uint8_t dir;     /* enum xesp_dir */
	uint8_t proto;   /* IPPROTO_ESP or IPPROTO_AH */
	bool esn;
	uint8_t alg;     /* enum xesp_alg */
	uint8_t auth;    /* enum xesp_auth */
	uint8_t key_len; /* bytes of the encryption key in sa_key.key */
	uint8_t auth_key_len; /* and of the integrity key behind it */
	uint8_t salt_len;
	struct limits limits;
	struct xesp_values values; /* of a unique SA */
	uint8_t values_fields;     /* enum selector_fields: what the ports among them are */
	uint32_t cpu;      /* outbound: that alone sends on it, sa_cpu.h; SAD_NONE: for all */
	uint32_t cpu_next; /* index into sad.sas: the tunnel's next one with a cpu; SAD_NONE */
	uint8_t fingerprint[SECRET_FINGERPRINT_LEN]; /* SHA-256("xesp fingerprint" || keys || salt) */
	uint8_t digest[SECRET_DIGEST_LEN]; /* the whole, or without the integrity key: sa_key.h */
	uint64_t kernel_added; /* `source: xfrm`: when the kernel got it, seconds since 1970 */
	/* as it runs */
	uint64_t born_ns; /* CLOCK_BOOTTIME of its first use here, kept over restarts */
	bool over;  /* its lifetime has ended, and its key is wiped */
	bool fresh; /* ids.c gave it an id it did not have before */
	uint32_t replay_off, replay_words; /* inbound: its part of xesp_replay */
	enum sa_standing standing;
	char *reason;             /* with SA_REFUSED; owned */
	uint64_t lease_first;     /* outbound: what the next SA_ADD grants */
	uint64_t lease_last;
};

struct sad {
	uint32_t tunnels_n, sas_n; /* groups count as tunnels and come last */
	struct tunnel *tunnels;
	struct sa *sas;
	struct sa_key *keys; /* secret_alloc(), [keys_room], more than sas_n */
	uint32_t keys_room;
	uint32_t *by_id;     /* [by_id_n], index into sas; made by ids.c. See sad_find() */
	uint32_t by_id_n;
	bool evict_parked;   /* ids.c took replay words of SAs that are no longer configured */
};

/*
 * Makes the SAD of the configuration; `dir` is where relative key_file paths start. On failure
 * problems are added; sad_fini() anyway.
 */
int sad_init(struct sad *sad, const struct raw_config *raw, const char *dir, struct problems *ps);
void sad_fini(struct sad *sad);

/*
 * The parts of sad_init(), for a transaction's entries: one tunnel or SA as written, which tunnel an
 * SA names and whether it can have it (sets tunnel.sa_out), and what no two SAs may share. `path` is
 * the entry's. -EINVAL with problems
 */
struct raw_sa;
struct raw_tunnel;
int sad_take_tunnel(struct tunnel *t, const struct raw_tunnel *raw, const char *path,
		    struct problems *ps);
int sad_take_sa(struct sa *sa, struct sa_key *key, const struct raw_sa *raw, const char *dir,
		const char *path, struct problems *ps);
int sad_find_tunnel(struct sa *sa, const char *tunnel, const struct index *tunnels,
		    const char *path, struct problems *ps);
int sad_join_tunnel(struct sad *sad, uint32_t sa, const char *path, struct problems *ps);

struct sad_spots {
	struct sad_spi {
		struct xesp_addr dst;
		uint32_t spi;
		uint32_t proto; /* AH and ESP count their SPIs apart, RFC 4301 section 4.1 */
		uint32_t port; /* outbound: hosts behind one NAT choose their SPIs by themselves */
	} *spis; /* [sas_n], calloc'ed by the caller: what by_spi borrows */
	struct index by_name, by_spi, by_key;
};

/* For some `n` SAs. */
void sad_spots_init(struct sad_spots *spots, uint32_t n);
void sad_spots_fini(struct sad_spots *spots);
int sad_take_spots(const struct sad *sad, uint32_t sa, struct sad_spots *spots, const char *path,
		   struct problems *ps);
/*
 * For a few newcomers among many that agree with each other: the newcomers' spots were taken, and those of SA `old` are
 * held against them. The newcomer that it is at odds with, or SAD_NONE; sad_say_spots() says why, at the newcomer's path.
 */
uint32_t sad_meet_spots(const struct sad *sad, uint32_t old, const struct sad_spots *spots);
int sad_say_spots(const struct sad *sad, uint32_t sa, uint32_t other, const char *path, struct problems *ps);

/* Its lifetime has ended: the key goes, here and with the next message to xespd. */
void sad_end(struct sad *sad, uint32_t sa);

/* The index of the SA with this id; SAD_NONE: none. */
uint32_t sad_find(const struct sad *sad, uint32_t id);

/* Sets standing and reason (NULL: none). */
void sad_stand(struct sa *sa, enum sa_standing standing, const char *reason);

/* The largest sequence number that may be sent, RFC 4303 section 3.3.3. */
uint64_t sad_last_number(const struct sa *sa);

/* The SA id that a tunnel's outbound packets take now; 0 none, or refused. */
uint32_t sad_out_id(const struct sad *sad, const struct tunnel *t);

/* The fingerprint as the maps keep it, and as people read it (16 hex digits). Returns buf. */
uint64_t sad_fingerprint(const struct sa *sa);
const char *sad_print_fingerprint(const struct sa *sa, char buf[20]);

struct algorithm sad_algorithm(const struct sa *sa);

/* Checks a name (1 to 31 printable characters, no spaces, no slashes) and copies it. */
int sad_take_name(char out[XESP_NAME_MAX], const char *name, const char *path,
		  struct problems *ps);

#endif /* XESP_KEYD_SAD_H */

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pair.h - both ends of one tunnel in one process, without maps, rings or a kernel.
 *
 * For unit tests, fuzz targets and the bench. One SAD holds SA 1 (outbound, tunnel 1) and SA 2
 * (inbound, tunnel 2) with the same SPI and key, so what is encapsulated to tunnel 1 can be given
 * back as SA 2's. Hosts 10.1.0.2 and 2001:db8:1::2 are behind the sending end, 10.2.0.2 and
 * 2001:db8:2::2 behind the receiving one; the SPD lets just these networks into tunnel 2.
 */
#ifndef XESP_TEST_PAIR_H
#define XESP_TEST_PAIR_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/esp.h"
#include "sad/sad.h"
#include "tests/spd/list.h"
#include "xesp/keymsg.h"

#define PAIR_SA_OUT 1
#define PAIR_SA_IN 2
#define PAIR_TUNNEL_OUT 1
#define PAIR_TUNNEL_IN 2
#define PAIR_POLICY 3
#define PAIR_SPI 0x12345678
#define PAIR_SAS 64
#define PAIR_WORDS 4096
#define PAIR_WORKERS 4
#define PAIR_MAIN 3 /* the last, as the slow path is xespd's */

struct pair_opts {
	bool outer6;
	bool esn;
	uint8_t alg;      /* enum xesp_alg; 0: XESP_ALG_AES_GCM_16 */
	uint8_t auth;     /* enum xesp_auth */
	uint8_t key_len;  /* 0: the shortest of the algorithm */
	uint32_t window;  /* 0: 64 */
	uint32_t mtu;     /* of tunnel 1, 0: 1500 */
	uint8_t df, dscp, dscp_value, ecn, ttl; /* of tunnel 1; ttl 0: 64 */
	uint8_t mode;     /* enum xesp_mode, of both tunnels; with transport the ends are allowed in */
	bool ah;          /* alg is then XESP_ALG_NONE, and auth says which */
	struct xesp_natt natt; /* of tunnel 1; tunnel 2's is its mirror image */
	uint64_t lease;   /* numbers of SA 1; 0: 1 .. 1000000 */
	uint32_t tfc;     /* of tunnel 1, in bytes */
	bool ttl_copy;    /* of tunnel 1 */
	uint8_t flow_label; /* of tunnel 1 */
	uint8_t dscp_in;  /* of tunnel 2 */
	const uint8_t *dscp_map; /* of tunnel 1, [64] */
};

struct pair {
	struct sad_state st;
	struct spd_memory spd;
	struct list *list;
	struct sad *sad;
	struct esp_worker *w;  /* PAIR_MAIN, of the thread that opened it */
	struct xesp_keymsg_sa out, in; /* as they were added */
	struct xesp_keymsg_tunnel tunnel_out, tunnel_in;
};

/* What ESP transforms and key lengths there are, each transform with each of its lengths. */
struct pair_cipher {
	uint8_t alg, auth, key_len, auth_key_len, salt_len, iv_len, icv_len, align;
};
#define PAIR_CIPHERS 50
extern const struct pair_cipher pair_ciphers[PAIR_CIPHERS];
/* pair_opts of a cipher, to be written into an initialiser. */
#define PAIR_OF(c) .alg = (c)->alg, .auth = (c)->auth, .key_len = (c)->key_len

/*
 * The engine of pair_open() and pair_seal(): openssl, or after pair_use_ipsecmb() that wherever it has the
 * algorithm, until pair_use_openssl(). False: it cannot be had here, which is said.
 */
extern const struct engine *pair_engine;
bool pair_use_ipsecmb(void);
void pair_use_openssl(void);
/* Where this build's programs are, and so the shared objects of engines. */
const char *pair_build_dir(void);

/* Exits with a message when it cannot. */
void pair_open(struct pair *p, const struct pair_opts *o);
void pair_close(struct pair *p);

/* Writes an SA's identity where keyd would. */
void pair_identify(struct pair *p, const struct xesp_keymsg_sa *m, uint32_t replay_off,
		   uint32_t replay_words);

/*
 * The inbound SPD from now on: these rows, in order. A row without an action protects, by `tunnel`
 * unless it names another.
 */
void pair_allow(struct pair *p, uint32_t tunnel, const struct list_row *row, uint16_t n);

/* A buffer with room before and behind, as a UMEM frame has it. */
#define PAIR_FRAME 10240
#define PAIR_HEADROOM 256
struct frame {
	uint8_t bytes[PAIR_FRAME];
};

/* The packet of len bytes that stands at the frame's headroom, for esp_encap() or esp_decap(). */
struct pkt pair_clear(struct frame *f, uint32_t len);
struct pkt pair_esp(struct frame *f, uint32_t len, uint16_t l4_off);

/* Makes a UDP packet of `len` bytes there, from port 1000 to 2000, and its struct pkt. */
struct pkt pair_make(struct frame *f, int version, uint32_t len);
/* Repairs the IPv4 header checksum after a change. */
void pair_checksum(uint8_t *ip);
/* Sets the TOS octet or traffic class of either family. */
void pair_set_tos(uint8_t *ip, uint8_t tos);

/*
 * An authentic ESP packet over IPv4 around any text: `len` bytes stand at frame + PAIR_TEXT already.
 * Without ESN. For insides that esp_encap() would never make.
 */
#define PAIR_TEXT (PAIR_HEADROOM + 20 + 16)
struct pkt pair_seal(struct pair *p, struct frame *f, uint32_t seq, uint32_t len);

/* One packet through; returns its drop reason. */
enum xesp_drop pair_encap(struct pair *p, struct pkt *pkt);
enum xesp_drop pair_decap(struct pair *p, struct pkt *pkt);
/* Makes a packet that came out of encap one for decap. */
void pair_turn(struct pkt *pkt);

#endif /* XESP_TEST_PAIR_H */

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calls_mb.h - the ways through libipsec-mb, for calls.c. One thread.
 *
 *   direct   one call a packet, or what takes its place: init, update, finalize
 *   job      IMB_SUBMIT_JOB_NOCHECK for each packet, and IMB_FLUSH_JOB behind the last
 *   burst    the same jobs by IMB_SUBMIT_BURST_NOCHECK
 *   halves   all ciphers of the batch by IMB_SUBMIT_CIPHER_BURST_NOCHECK, all hashes by IMB_SUBMIT_HASH_BURST_NOCHECK
 */
#ifndef XESP_BENCH_CALLS_MB_H
#define XESP_BENCH_CALLS_MB_H

#include <intel-ipsec-mb.h>
#include <stdbool.h>
#include <stdint.h>

#define BATCH 64u
#define MAC_MAX 64u

enum way { DIRECT, JOB, BURST, HALVES, WAYS };
enum dir { SEAL, OPEN, DIRS };

extern const char *const call_names[WAYS];

struct suite {
	const char *name; /* NULL: behind the last one */
	IMB_CIPHER_MODE cipher;
	IMB_HASH_ALG hash;
	uint8_t key_len, tag_len, aad_len; /* bytes */
	enum way engine; /* what user/crypto/ipsecmb does */
};
extern const struct suite calls_suites[];

struct packet {
	uint8_t *text, *aad, *tag; /* under HMAC and GMAC the aad stands before the text */
	uint32_t len;
	bool ok;
	uint8_t nonce[16], made[12], mac[MAC_MAX];
};

/* A batch, and the key of its suite. */
struct calls {
	IMB_MGR *mgr;
	const struct suite *s;
	struct packet packet[BATCH];
	IMB_JOB mb[BATCH];
	struct gcm_key_data gcm __attribute__((aligned(64)));
	uint8_t enc[240] __attribute__((aligned(16))), dec[240] __attribute__((aligned(16)));
	uint8_t ipad[MAC_MAX], opad[MAC_MAX]; /* the hash's states after the pads */
};

/* The library of this version has halves for CBC, CTR and HMAC, and no direct calls for these and CCM. */
bool calls_has_way(const struct suite *s, enum way way);
/* The aad must stand before the text. */
bool calls_cover_packet(const struct suite *s);
/* Of c->s, always the same. */
void calls_open_key(struct calls *c);
/* The batch there and tags written, or back and tags compared in constant time: packet.ok. */
void calls_run(struct calls *c, enum way way, enum dir dir);

#endif /* XESP_BENCH_CALLS_MB_H */

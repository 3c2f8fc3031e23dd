/* SPDX-License-Identifier: BSD-2-Clause */
/* calls_mb.c - see calls_mb.h. */
#include <openssl/crypto.h>
#include <string.h>

#include "tests/bench/calls_mb.h"

#define TAIL 4u /* the upper half of a sequence number, behind the text under HMAC */
#define HASH_BLOCK_MAX 128u

const char *const call_names[WAYS] = { "direct", "job", "burst", "halves" };

const struct suite calls_suites[] = {
	{ "aes-gcm-16/128", IMB_CIPHER_GCM, IMB_AUTH_AES_GMAC, 16, 16, 12, DIRECT },
	{ "aes-gcm-16/256", IMB_CIPHER_GCM, IMB_AUTH_AES_GMAC, 32, 16, 12, DIRECT },
	{ "aes-gmac/128", IMB_CIPHER_NULL, IMB_AUTH_AES_GMAC_128, 16, 16, 16, DIRECT },
	{ "aes-gmac/256", IMB_CIPHER_NULL, IMB_AUTH_AES_GMAC_256, 32, 16, 16, DIRECT },
	{ "chacha20-poly1305/256", IMB_CIPHER_CHACHA20_POLY1305, IMB_AUTH_CHACHA20_POLY1305, 32, 16, 12, BURST },
	{ "aes-ccm-16/128", IMB_CIPHER_CCM, IMB_AUTH_AES_CCM, 16, 16, 12, BURST },
	{ "aes-ccm-16/256", IMB_CIPHER_CCM, IMB_AUTH_AES_CCM, 32, 16, 12, BURST },
	{ "aes-cbc/128+hmac-sha2-256", IMB_CIPHER_CBC, IMB_AUTH_HMAC_SHA_256, 16, 16, 24, HALVES },
	{ "aes-cbc/256+hmac-sha2-512", IMB_CIPHER_CBC, IMB_AUTH_HMAC_SHA_512, 32, 32, 24, HALVES },
	{ "aes-ctr/128+hmac-sha2-256", IMB_CIPHER_CNTR, IMB_AUTH_HMAC_SHA_256, 16, 16, 16, HALVES },
	{ "aes-ctr/256+hmac-sha2-512", IMB_CIPHER_CNTR, IMB_AUTH_HMAC_SHA_512, 32, 32, 16, HALVES },
	{ "null+hmac-sha2-256", IMB_CIPHER_NULL, IMB_AUTH_HMAC_SHA_256, 0, 16, 8, HALVES },
	{ "null+hmac-sha2-512", IMB_CIPHER_NULL, IMB_AUTH_HMAC_SHA_512, 0, 32, 8, HALVES },
	{ .name = NULL },
};

static const uint8_t raw_key[64] = { 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233 };

static bool has_hmac(const struct suite *s)
{
	return s->hash == IMB_AUTH_HMAC_SHA_256 || s->hash == IMB_AUTH_HMAC_SHA_512;
}

static bool is_gmac(const struct suite *s)
{
	return s->hash == IMB_AUTH_AES_GMAC_128 || s->hash == IMB_AUTH_AES_GMAC_256;
}

bool calls_cover_packet(const struct suite *s)
{
	return has_hmac(s) || is_gmac(s);
}

bool calls_has_way(const struct suite *s, enum way way)
{
	if (way == DIRECT)
		return !has_hmac(s) && s->cipher != IMB_CIPHER_CCM;
	return way != HALVES || has_hmac(s);
}

/* ---- keys */

static void open_hmac(struct calls *b)
{
	uint8_t block[HASH_BLOCK_MAX];

	for (int outer = 0; outer < 2; outer++) {
		uint8_t *state = outer ? b->opad : b->ipad;

		memset(block, outer ? 0x5c : 0x36, sizeof(block));
		for (size_t i = 0; i < sizeof(raw_key); i++)
			block[i] ^= raw_key[i];
		if (b->s->hash == IMB_AUTH_HMAC_SHA_256)
			IMB_SHA256_ONE_BLOCK(b->mgr, block, state);
		else
			IMB_SHA512_ONE_BLOCK(b->mgr, block, state);
	}
}

void calls_open_key(struct calls *b)
{
	IMB_MGR *m = b->mgr;

	if (b->s->key_len == 32) {
		IMB_AES256_GCM_PRE(m, raw_key, &b->gcm);
		IMB_AES_KEYEXP_256(m, raw_key, b->enc, b->dec);
	} else {
		IMB_AES128_GCM_PRE(m, raw_key, &b->gcm);
		IMB_AES_KEYEXP_128(m, raw_key, b->enc, b->dec);
	}
	if (has_hmac(b->s))
		open_hmac(b);
}

/* The tail stands where the tag is, while HMAC runs: put(), and take back what was there. */
static void put_tails(struct calls *b, uint8_t kept[BATCH][TAIL])
{
	static const uint8_t tail[TAIL] = { 0, 0, 0, 1 };

	for (uint32_t i = 0; i < BATCH && has_hmac(b->s); i++) {
		memcpy(kept[i], b->packet[i].tag, TAIL);
		memcpy(b->packet[i].tag, tail, TAIL);
	}
}

static void put_back(struct calls *b, uint8_t kept[BATCH][TAIL])
{
	for (uint32_t i = 0; i < BATCH && has_hmac(b->s); i++)
		memcpy(b->packet[i].tag, kept[i], TAIL);
}

static void settle(struct calls *b, enum dir dir)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		struct packet *p = &b->packet[i];

		if (dir == SEAL)
			memcpy(p->tag, p->mac, b->s->tag_len);
		else
			p->ok &= !CRYPTO_memcmp(p->mac, p->tag, b->s->tag_len);
	}
}

/* ---- jobs */

static void describe_aead(const struct calls *b, IMB_JOB *mb, struct packet *p)
{
	switch (b->s->cipher) {
	case IMB_CIPHER_GCM:
		mb->enc_keys = mb->dec_keys = &b->gcm;
		mb->u.GCM.aad = p->aad;
		mb->u.GCM.aad_len_in_bytes = b->s->aad_len;
		return;
	case IMB_CIPHER_CHACHA20_POLY1305:
		mb->enc_keys = mb->dec_keys = raw_key;
		mb->u.CHACHA20_POLY1305.aad = p->aad;
		mb->u.CHACHA20_POLY1305.aad_len_in_bytes = b->s->aad_len;
		return;
	default: /* CCM */
		mb->dec_keys = b->enc;
		mb->iv_len_in_bytes = 11;
		mb->chain_order = mb->cipher_direction == IMB_DIR_ENCRYPT ? IMB_ORDER_HASH_CIPHER :
									     IMB_ORDER_CIPHER_HASH;
		mb->u.CCM.aad = p->aad;
		mb->u.CCM.aad_len_in_bytes = b->s->aad_len;
	}
}

/* What stands together is covered: headers, text, and of HMAC the tail. */
static void describe_hash(const struct calls *b, IMB_JOB *mb, struct packet *p)
{
	mb->src = p->aad;
	mb->msg_len_to_hash_in_bytes = b->s->aad_len + p->len;
	mb->auth_tag_output = p->mac;
	mb->auth_tag_output_len_in_bytes = b->s->tag_len;
	if (is_gmac(b->s)) {
		mb->u.GMAC._key = &b->gcm;
		mb->u.GMAC._iv = p->nonce;
		mb->u.GMAC.iv_len_in_bytes = 12;
		return;
	}
	mb->msg_len_to_hash_in_bytes += TAIL;
	mb->u.HMAC._hashed_auth_key_xor_ipad = b->ipad;
	mb->u.HMAC._hashed_auth_key_xor_opad = b->opad;
}

static void describe(const struct calls *b, IMB_JOB *mb, struct packet *p, enum dir dir)
{
	*mb = (IMB_JOB){
		.cipher_mode = b->s->cipher,
		.hash_alg = b->s->hash,
		.cipher_direction = dir == SEAL ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT,
		.chain_order = dir == SEAL ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER,
		.enc_keys = b->enc,
		.dec_keys = b->dec,
		.key_len_in_bytes = b->s->key_len,
		.src = p->text,
		.dst = p->text,
		.msg_len_to_cipher_in_bytes = p->len,
		.msg_len_to_hash_in_bytes = p->len,
		.iv = p->nonce,
		.iv_len_in_bytes = has_hmac(b->s) ? 16 : 12,
		.auth_tag_output = p->mac,
		.auth_tag_output_len_in_bytes = b->s->tag_len,
		.user_data = p,
	};
	if (!has_hmac(b->s) && !is_gmac(b->s)) {
		describe_aead(b, mb, p);
		return;
	}
	describe_hash(b, mb, p);
	mb->cipher_start_src_offset_in_bytes = b->s->aad_len;
}

static void take_back(const IMB_JOB *mb)
{
	((struct packet *)mb->user_data)->ok = mb->status == IMB_STATUS_COMPLETED;
}

static void by_jobs(struct calls *b, enum dir dir)
{
	IMB_MGR *m = b->mgr;
	IMB_JOB *mb;

	for (uint32_t i = 0; i < BATCH; i++) {
		describe(b, IMB_GET_NEXT_JOB(m), &b->packet[i], dir);
		mb = IMB_SUBMIT_JOB_NOCHECK(m);
		for (; mb; mb = IMB_GET_COMPLETED_JOB(m))
			take_back(mb);
	}
	while ((mb = IMB_FLUSH_JOB(m)))
		take_back(mb);
}

static void by_burst(struct calls *b, enum dir dir)
{
	IMB_JOB *mb[BATCH];
	uint32_t n = IMB_GET_NEXT_BURST(b->mgr, BATCH, mb);

	if (n != BATCH)
		return; /* the check finds the packets as they were */
	for (uint32_t i = 0; i < BATCH; i++)
		describe(b, mb[i], &b->packet[i], dir);
	n = IMB_SUBMIT_BURST_NOCHECK(b->mgr, BATCH, mb);
	for (uint32_t i = 0; i < n; i++)
		take_back(mb[i]);
	while ((n = IMB_FLUSH_BURST(b->mgr, BATCH, mb)))
		for (uint32_t i = 0; i < n; i++)
			take_back(mb[i]);
}

/* ---- halves */

static void take_back_all(struct calls *b)
{
	for (uint32_t i = 0; i < BATCH; i++)
		b->packet[i].ok = b->mb[i].status == IMB_STATUS_COMPLETED;
}

static void ciphers(struct calls *b, enum dir dir)
{
	if (b->s->cipher == IMB_CIPHER_NULL)
		return;
	for (uint32_t i = 0; i < BATCH; i++) {
		struct packet *p = &b->packet[i];
		IMB_JOB *mb = &b->mb[i];

		memset(mb, 0, sizeof(*mb));
		mb->enc_keys = b->enc;
		mb->dec_keys = b->dec;
		mb->key_len_in_bytes = b->s->key_len;
		mb->src = mb->dst = p->text;
		mb->msg_len_to_cipher_in_bytes = p->len;
		mb->iv = p->nonce;
		mb->iv_len_in_bytes = 16;
	}
	IMB_SUBMIT_CIPHER_BURST_NOCHECK(b->mgr, b->mb, BATCH, b->s->cipher,
					dir == SEAL ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT,
					(IMB_KEY_SIZE_BYTES)b->s->key_len);
	take_back_all(b);
}

static void hashes(struct calls *b)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		memset(&b->mb[i], 0, sizeof(b->mb[i]));
		describe_hash(b, &b->mb[i], &b->packet[i]);
	}
	IMB_SUBMIT_HASH_BURST_NOCHECK(b->mgr, b->mb, BATCH, b->s->hash);
	take_back_all(b);
}

static void by_halves(struct calls *b, enum dir dir)
{
	if (dir == SEAL)
		ciphers(b, dir);
	hashes(b);
	if (dir == OPEN)
		ciphers(b, dir);
}

/* ---- direct calls */

static void direct_gcm(struct calls *b, struct packet *p, enum dir dir)
{
	struct gcm_context_data c;
	IMB_MGR *m = b->mgr;
	const struct suite *s = b->s;

	if (s->key_len == 16)
		(dir == SEAL ? m->gcm128_enc : m->gcm128_dec)(&b->gcm, &c, p->text, p->text, p->len, p->nonce, p->aad,
								 s->aad_len, p->mac, s->tag_len);
	else
		(dir == SEAL ? m->gcm256_enc : m->gcm256_dec)(&b->gcm, &c, p->text, p->text, p->len, p->nonce, p->aad,
								 s->aad_len, p->mac, s->tag_len);
}

static void direct_gmac(struct calls *b, struct packet *p)
{
	const uint64_t len = b->s->aad_len + p->len;
	struct gcm_context_data c;
	IMB_MGR *m = b->mgr;

	if (b->s->key_len == 16) {
		m->gmac128_init(&b->gcm, &c, p->nonce, 12);
		m->gmac128_update(&b->gcm, &c, p->aad, len);
		m->gmac128_finalize(&b->gcm, &c, p->mac, b->s->tag_len);
	} else {
		m->gmac256_init(&b->gcm, &c, p->nonce, 12);
		m->gmac256_update(&b->gcm, &c, p->aad, len);
		m->gmac256_finalize(&b->gcm, &c, p->mac, b->s->tag_len);
	}
}

static void direct_chacha(struct calls *b, struct packet *p, enum dir dir)
{
	struct chacha20_poly1305_context_data c;
	IMB_MGR *m = b->mgr;

	IMB_CHACHA20_POLY1305_INIT(m, raw_key, &c, p->nonce, p->aad, b->s->aad_len);
	if (dir == SEAL) {
		IMB_CHACHA20_POLY1305_ENC_UPDATE(m, raw_key, &c, p->text, p->text, p->len);
		IMB_CHACHA20_POLY1305_ENC_FINALIZE(m, &c, p->mac, b->s->tag_len);
	} else {
		IMB_CHACHA20_POLY1305_DEC_UPDATE(m, raw_key, &c, p->text, p->text, p->len);
		IMB_CHACHA20_POLY1305_DEC_FINALIZE(m, &c, p->mac, b->s->tag_len);
	}
}

static void by_direct_calls(struct calls *b, enum dir dir)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		struct packet *p = &b->packet[i];

		if (is_gmac(b->s))
			direct_gmac(b, p);
		else if (b->s->cipher == IMB_CIPHER_GCM)
			direct_gcm(b, p, dir);
		else
			direct_chacha(b, p, dir);
		p->ok = true;
	}
}

void calls_run(struct calls *b, enum way way, enum dir dir)
{
	static void (*const by[WAYS])(struct calls *b, enum dir dir) = { by_direct_calls, by_jobs, by_burst, by_halves };
	uint8_t kept[BATCH][TAIL];

	put_tails(b, kept);
	by[way](b, dir);
	put_back(b, kept);
	settle(b, dir);
}


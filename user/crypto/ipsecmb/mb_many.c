/* SPDX-License-Identifier: BSD-2-Clause */
/* mb_many.c - see mb_many.h. Jobs of one class, one algorithm with one key length, go together. */
#include <openssl/crypto.h>
#include <string.h>

#include "crypto/ipsecmb/mb_key.h"
#include "crypto/ipsecmb/mb_many.h"

#pragma GCC poison strcpy strcat gets memcmp

#define CHUNK 64 /* jobs at once: the library takes up to 128 */

struct chunk {
	uint32_t n;
	struct engine_job *job[CHUNK];
	IMB_JOB mb[CHUNK];
	uint8_t mac[CHUNK][MAC_MAX];
};

static void describe_cipher(IMB_JOB *mb, const struct engine_job *j)
{
	const struct mb_key *k = mb_key_of(j);

	mb->enc_keys = k->blocks.enc;
	mb->dec_keys = k->blocks.dec;
	mb->key_len_in_bytes = k->key_len;
	mb->src = j->text;
	mb->dst = j->text;
	mb->msg_len_to_cipher_in_bytes = j->len;
	mb->iv = j->nonce;
	mb->iv_len_in_bytes = 16;
}

/* All jobs that are still ok. Those that the library did not finish are not any more. */
static void run_ciphers(struct chunk *c, enum xesp_dir dir)
{
	const struct mb_key *k = mb_key_of(c->job[0]);
	struct engine_job *of[CHUNK];
	uint32_t n = 0;

	if (k->kind != KIND_CIPHER)
		return;
	for (uint32_t i = 0; i < c->n; i++) {
		if (!c->job[i]->ok || !c->job[i]->len)
			continue;
		memset(&c->mb[n], 0, sizeof(c->mb[n]));
		describe_cipher(&c->mb[n], c->job[i]);
		of[n++] = c->job[i];
	}
	if (!n)
		return;
	IMB_SUBMIT_CIPHER_BURST_NOCHECK(k->mgr, c->mb, n, k->blocks.mode,
					dir == XESP_DIR_OUT ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT,
					(IMB_KEY_SIZE_BYTES)k->key_len);
	for (uint32_t i = 0; i < n; i++)
		of[i]->ok = c->mb[i].status == IMB_STATUS_COMPLETED;
}

static void describe_hash(IMB_JOB *mb, const struct engine_job *j, uint8_t *mac)
{
	const struct mb_key *k = mb_key_of(j);

	mb->src = j->aad;
	mb->msg_len_to_hash_in_bytes = (uint64_t)j->aad_len + j->len + j->tail_len;
	mb->auth_tag_output = mac;
	mb->auth_tag_output_len_in_bytes = j->tag_len;
	mb->u.HMAC._hashed_auth_key_xor_ipad = k->blocks.ipad;
	mb->u.HMAC._hashed_auth_key_xor_opad = k->blocks.opad;
}

/*
 * c->mac gets the codes of all jobs that are ok. The library hashes what stands together, so the
 * tail stands where the tag is, or will be, for as long as that takes.
 */
static void run_hashes(struct chunk *c)
{
	const struct mb_key *k = mb_key_of(c->job[0]);
	uint8_t kept[CHUNK][ENGINE_TAIL_MAX];
	uint32_t at[CHUNK], n = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		struct engine_job *j = c->job[i];

		if (!j->ok)
			continue;
		memcpy(kept[i], j->tag, sizeof(kept[i]));
		memcpy(j->tag, j->tail, j->tail_len);
		memset(&c->mb[n], 0, sizeof(c->mb[n]));
		describe_hash(&c->mb[n], j, c->mac[i]);
		at[n++] = i;
	}
	if (n)
		IMB_SUBMIT_HASH_BURST_NOCHECK(k->mgr, c->mb, n, k->blocks.hash);
	for (uint32_t m = 0; m < n; m++) {
		struct engine_job *j = c->job[at[m]];

		memcpy(j->tag, kept[at[m]], j->tail_len);
		j->ok = c->mb[m].status == IMB_STATUS_COMPLETED;
	}
}

/* The contract of engine.h for these: aad, text and tag stand together, a text of blocks. */
static bool is_sound(const struct engine_job *j)
{
	const struct mb_key *k = mb_key_of(j);

	return j->aad + j->aad_len == j->text && j->tag == j->text + j->len &&
	       j->tag_len >= ENGINE_TAIL_MAX && j->tag_len <= ENGINE_TAG_MAX &&
	       j->aad_len + j->len && /* of nothing the library makes no code, and no later one either */
	       (k->kind != KIND_CIPHER || k->blocks.mode != IMB_CIPHER_CBC || !(j->len % 16));
}

/* Of those that went well so far. */
static void write_or_compare_tags(struct chunk *c, enum xesp_dir dir)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct engine_job *j = c->job[i];

		if (!j->ok)
			continue;
		if (dir == XESP_DIR_OUT)
			memcpy(j->tag, c->mac[i], j->tag_len);
		else
			j->ok = !CRYPTO_memcmp(c->mac[i], j->tag, j->tag_len);
	}
}

static void run_with_hmac(struct chunk *c, enum xesp_dir dir)
{
	for (uint32_t i = 0; i < c->n; i++)
		c->job[i]->ok = is_sound(c->job[i]);
	if (dir == XESP_DIR_OUT)
		run_ciphers(c, dir);
	run_hashes(c);
	write_or_compare_tags(c, dir);
	if (dir == XESP_DIR_IN)
		run_ciphers(c, dir);
}

static void describe_ccm(IMB_JOB *mb, const struct engine_job *j, enum xesp_dir dir)
{
	const struct mb_key *k = mb_key_of(j);

	mb->cipher_mode = IMB_CIPHER_CCM;
	mb->hash_alg = IMB_AUTH_AES_CCM;
	mb->chain_order = dir == XESP_DIR_OUT ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
	mb->enc_keys = mb->dec_keys = k->blocks.enc;
	mb->iv_len_in_bytes = 11; /* RFC 4309 section 4 */
	mb->u.CCM.aad = j->aad;
	mb->u.CCM.aad_len_in_bytes = j->aad_len;
}

static void describe_chacha(IMB_JOB *mb, const struct engine_job *j, enum xesp_dir dir)
{
	mb->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	mb->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	mb->chain_order = dir == XESP_DIR_OUT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	mb->enc_keys = mb->dec_keys = mb_key_of(j)->chacha;
	mb->iv_len_in_bytes = 12; /* RFC 7634 section 2 */
	mb->u.CHACHA20_POLY1305.aad = j->aad;
	mb->u.CHACHA20_POLY1305.aad_len_in_bytes = j->aad_len;
}

static void describe_aead(IMB_JOB *mb, struct engine_job *j, enum xesp_dir dir, uint8_t *mac)
{
	const struct mb_key *k = mb_key_of(j);

	*mb = (IMB_JOB){
		.cipher_direction = dir == XESP_DIR_OUT ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT,
		.key_len_in_bytes = k->key_len,
		.src = j->text,
		.dst = j->text,
		.msg_len_to_cipher_in_bytes = j->len,
		.msg_len_to_hash_in_bytes = j->len,
		.iv = j->nonce,
		.auth_tag_output = mac,
		.auth_tag_output_len_in_bytes = j->tag_len,
		.user_data = j,
	};
	if (k->kind == KIND_CCM)
		describe_ccm(mb, j, dir);
	else
		describe_chacha(mb, j, dir);
}

static bool aead_is_sound(const struct engine_job *j)
{
	if (!j->tag_len || j->tag_len > 16 || j->tail_len)
		return false;
	return mb_key_of(j)->kind != KIND_CCM || (j->tag_len >= 4 && !(j->tag_len % 2) && j->aad_len <= 46);
}

/* Those that are not stay as they are, not ok. */
static void keep_sound_ones(struct chunk *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		c->job[i]->ok = false;
		if (aead_is_sound(c->job[i]))
			c->job[n++] = c->job[i];
	}
	c->n = n;
}

static void take_back(IMB_JOB *const *mb, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		((struct engine_job *)mb[i]->user_data)->ok = mb[i]->status == IMB_STATUS_COMPLETED;
}

static void run_aead(struct chunk *c, enum xesp_dir dir)
{
	IMB_MGR *m = mb_key_of(c->job[0])->mgr;
	IMB_JOB *mb[CHUNK];
	uint32_t got, done;

	keep_sound_ones(c);
	for (uint32_t at = 0; at < c->n; at += got) {
		got = IMB_GET_NEXT_BURST(m, c->n - at, mb);
		if (!got)
			break;
		for (uint32_t i = 0; i < got; i++)
			describe_aead(mb[i], c->job[at + i], dir, c->mac[at + i]);
		done = IMB_SUBMIT_BURST_NOCHECK(m, got, mb);
		take_back(mb, done);
		while ((done = IMB_FLUSH_BURST(m, CHUNK, mb)))
			take_back(mb, done);
	}
	write_or_compare_tags(c, dir);
}

/* Takes up to CHUNK jobs of the class of jobs[from], marks them taken. */
static void gather(struct chunk *c, struct engine_job *jobs, size_t n, size_t from, bool *taken)
{
	const uint32_t class = mb_key_of(&jobs[from])->class;

	c->n = 0;
	for (size_t i = from; i < n && c->n < CHUNK; i++) {
		if (taken[i] || mb_key_of(&jobs[i])->class != class)
			continue;
		taken[i] = true;
		c->job[c->n++] = &jobs[i];
	}
}

void mb_many(struct engine_job *jobs, size_t n, enum xesp_dir dir)
{
	bool taken[MB_MANY_MAX] = { false };
	struct chunk c;

	for (size_t i = 0; i < n; i++) {
		if (mb_key_is_direct(mb_key_of(&jobs[i])))
			taken[i] = true;
	}
	for (size_t i = 0; i < n; i++) {
		if (taken[i])
			continue;
		gather(&c, jobs, n, i, taken);
		if (mb_key_of(c.job[0])->kind <= KIND_CCM)
			run_aead(&c, dir);
		else
			run_with_hmac(&c, dir);
	}
}

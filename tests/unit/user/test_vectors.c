/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Published vectors and packets of another implementation, through engine, decap and encap.
 * Sources are named on top of the files in tests/vectors.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/engine.h"
#include "crypto/transform.h"
#include "tests/pair/pair.h"
#include "tests/pair/vector.h"
#include "xesp/fault.h"

struct row {
	int number;
	uint8_t key[32], nonce[12], aad[12], text[256], sealed[272];
	uint32_t key_len, aad_len, text_len;
};

static void read_row(struct row *r, char **field)
{
	uint32_t len;

	r->number = atoi(field[0]);
	r->key_len = vector_hex(r->key, sizeof(r->key), field[1]);
	vector_hex(r->nonce, 4, field[2]);
	vector_hex(r->nonce + 4, 8, field[3]);
	r->aad_len = vector_hex(r->aad, sizeof(r->aad), field[4]);
	r->text_len = vector_hex(r->text, sizeof(r->text), field[5]);
	len = vector_hex(r->sealed, sizeof(r->sealed), field[6]);
	CU_ASSERT_EQUAL(len, r->text_len);
	CU_ASSERT_EQUAL(vector_hex(r->sealed + len, 16, field[7]), 16);
}

struct counted {
	enum xesp_alg alg;
	uint8_t icv_len; /* the vectors' own is 16; a shorter one is its beginning, SP 800-38D section 7.1 */
	int done;
};

static void engine_row(char **field, void *ctx)
{
	struct counted *c = ctx;
	struct engine_key_spec spec = { .alg = c->alg, .dir = XESP_DIR_OUT };
	uint8_t buf[272];
	struct engine_key *out, *in;
	struct engine_job j;
	struct row r;

	read_row(&r, field);
	spec.key = r.key;
	spec.key_len = r.key_len;
	out = pair_engine->key_open(&spec, NULL);
	spec.dir = XESP_DIR_IN;
	in = pair_engine->key_open(&spec, NULL);
	memcpy(buf, r.text, r.text_len);
	j = (struct engine_job){ .key = out, .text = buf, .len = r.text_len,
				 .aad_len = (uint8_t)r.aad_len, .tag = buf + r.text_len,
				 .tag_len = c->icv_len };
	memcpy(j.nonce, r.nonce, 12);
	j.aad = j.made;
	memcpy(j.made, r.aad, r.aad_len);
	pair_engine->encrypt(&j, 1);
	CU_ASSERT_TRUE(j.ok);
	CU_ASSERT_EQUAL(memcmp(buf, r.sealed, r.text_len + c->icv_len), 0);
	j.key = in;
	pair_engine->decrypt(&j, 1);
	CU_ASSERT_TRUE(j.ok);
	CU_ASSERT_EQUAL(memcmp(buf, r.text, r.text_len), 0);
	pair_engine->key_close(out);
	pair_engine->key_close(in);
	c->done++;
}

static struct counted gcms[] = {
	{ XESP_ALG_AES_GCM_16, 16, 0 }, { XESP_ALG_AES_GCM_12, 12, 0 }, { XESP_ALG_AES_GCM_8, 8, 0 },
};

static void engine_rows(void)
{
	struct counted chacha = { XESP_ALG_CHACHA20_POLY1305, 16, 0 };

	for (int i = 0; i < 3; i++) {
		gcms[i].done = 0;
		CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_gcm.txt", 8, engine_row, &gcms[i]), 14);
		CU_ASSERT_EQUAL(gcms[i].done, 14);
	}
	CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_chacha20.txt", 8, engine_row, &chacha), 2);
	CU_ASSERT_EQUAL(chacha.done, 2);
}

/* ---- rows of any algorithm: engine alone */

#define LONGEST 1024

struct any_row {
	const struct transform *t;
	uint8_t key[64], auth_key[64], nonce[16], aad[LONGEST], text[LONGEST], sealed[LONGEST], tag[32];
	uint32_t key_len, auth_key_len, nonce_len, aad_len, text_len, tag_len;
	bool valid;
};

static int rows_done[2]; /* refused, accepted */

static uint32_t hex_or_none(uint8_t *out, size_t room, const char *field)
{
	return strcmp(field, "-") ? vector_hex(out, room, field) : 0;
}

/* A cipher alone is one with HMAC, whose tag then is not looked at. */
static const struct transform *transform_named(const char *name)
{
	for (unsigned int i = 0; transform_at(i); i++) {
		const char *its = transform_at(i)->name;

		if (!strcmp(its, name) || (!strncmp(its, name, strlen(name)) &&
					   its[strlen(name)] == '+'))
			return transform_at(i);
	}
	return NULL;
}

static void read_any(struct any_row *r, char **field)
{
	*r = (struct any_row){ .t = transform_named(field[0]) };
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->t);
	r->key_len = hex_or_none(r->key, sizeof(r->key), field[2]);
	r->auth_key_len = hex_or_none(r->auth_key, sizeof(r->auth_key), field[3]);
	r->nonce_len = hex_or_none(r->nonce, sizeof(r->nonce), field[4]);
	r->aad_len = hex_or_none(r->aad, sizeof(r->aad), field[5]);
	r->text_len = hex_or_none(r->text, sizeof(r->text), field[6]);
	CU_ASSERT_EQUAL(hex_or_none(r->sealed, sizeof(r->sealed), field[7]), r->text_len);
	r->tag_len = hex_or_none(r->tag, sizeof(r->tag), field[8]);
	r->valid = !strcmp(field[9], "valid");
	if (!r->auth_key_len && r->t->auth)
		r->auth_key_len = r->t->auth_key_len;
}

static struct engine_key *open_any(const struct any_row *r, enum xesp_dir dir)
{
	const struct engine_key_spec spec = {
		.alg = r->t->alg, .auth = r->t->auth, .dir = dir, .key = r->key,
		.key_len = r->key_len, .auth_key = r->auth_key, .auth_key_len = r->auth_key_len,
	};
	struct engine_key *k = pair_engine->key_open(&spec, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	return k;
}

static void any_row(char **field, void *ctx)
{
	static struct any_row r;
	static uint8_t buf[2 * LONGEST + 32];
	struct engine_job j;
	uint8_t *text;

	(void)ctx;
	read_any(&r, field);
	if (r.t->auth && !r.aad_len && !r.text_len && pair_engine != &engine_openssl) {
		rows_done[r.valid]++; /* engine.h leaves it out */
		return;
	}
	text = buf + r.aad_len;
	memcpy(buf, r.aad, r.aad_len);
	memcpy(text, r.text, r.text_len);
	j = (struct engine_job){ .text = text, .len = r.text_len, .aad = buf,
				 .aad_len = (uint16_t)r.aad_len, .tag = text + r.text_len,
				 .tag_len = r.t->icv_len };
	memcpy(j.nonce, r.nonce, r.nonce_len);
	if (r.valid) {
		j.key = open_any(&r, XESP_DIR_OUT);
		pair_engine->encrypt(&j, 1);
		pair_engine->key_close(j.key);
		CU_ASSERT_TRUE(j.ok);
		CU_ASSERT_EQUAL(memcmp(text, r.sealed, r.text_len), 0);
		CU_ASSERT_EQUAL(memcmp(j.tag, r.tag, r.tag_len), 0);
	}
	memcpy(text, r.sealed, r.text_len);
	if (r.tag_len) {
		CU_ASSERT_EQUAL(r.tag_len, r.t->icv_len);
		memcpy(j.tag, r.tag, r.tag_len);
	}
	j.key = open_any(&r, XESP_DIR_IN);
	pair_engine->decrypt(&j, 1);
	pair_engine->key_close(j.key);
	if (j.ok != r.valid)
		fprintf(stderr, "vector %s %s: %s\n", field[0], field[1], j.ok ? "accepted" : "refused");
	CU_ASSERT_EQUAL(j.ok, r.valid);
	CU_ASSERT_TRUE(!j.ok || !memcmp(text, r.text, r.text_len));
	rows_done[r.valid]++;
}

static void any_rows(void)
{
	rows_done[0] = rows_done[1] = 0;
	CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_algorithms.txt", 10, any_row, NULL), 25);
	CU_ASSERT_EQUAL(rows_done[1], 25);
	CU_ASSERT_EQUAL(vector_each("tests/vectors/wycheproof.txt", 10, any_row, NULL), 1048);
	CU_ASSERT_EQUAL(rows_done[0] + rows_done[1], 1073);
	CU_ASSERT_TRUE(rows_done[0] > 400); /* forged tags and odd lengths among them */
}

/* An inbound SA with this SPI and key that stands just before the number. */
static int open_inbound(struct pair *p, const struct pair_opts *o, const uint8_t *spi,
			const uint8_t *key, const uint8_t *salt, uint64_t seq)
{
	struct fault f = { "" };

	pair_open(p, o);
	memcpy(&p->in.spi, spi, 4);
	memcpy(p->in.key, key, (size_t)p->in.key_len + p->in.auth_key_len);
	memcpy(p->in.salt, salt, p->in.salt_len);
	pair_identify(p, &p->in, 16, 2);
	p->st.sa[PAIR_SA_IN].replay_top = seq - 1;
	return sad_add(p->sad, &p->in, &f);
}

static struct pkt esp_packet(struct pair *p, struct frame *fr, const uint8_t *esp, uint32_t len)
{
	uint8_t *ip = fr->bytes + PAIR_HEADROOM;
	bool ip6 = p->tunnel_in.local.w[0] != 0;

	memset(fr, 0, sizeof(*fr));
	if (ip6) {
		ip[0] = 0x60;
		ip[4] = (uint8_t)(len >> 8);
		ip[5] = (uint8_t)len;
		ip[6] = 50;
		ip[7] = 64;
		memcpy(ip + 8, &p->tunnel_in.remote, 16);
		memcpy(ip + 24, &p->tunnel_in.local, 16);
		memcpy(ip + 40, esp, len);
		return pair_esp(fr, len + 40, 40);
	}
	ip[0] = 0x45;
	ip[2] = (uint8_t)((len + 20) >> 8);
	ip[3] = (uint8_t)(len + 20);
	ip[8] = 64;
	ip[9] = 50;
	memcpy(ip + 12, &p->tunnel_in.remote.w[3], 4);
	memcpy(ip + 16, &p->tunnel_in.local.w[3], 4);
	pair_checksum(ip);
	memcpy(ip + 20, esp, len);
	return pair_esp(fr, len + 20, 20);
}

static uint64_t number(const uint8_t *p, uint32_t len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

/*
 * The draft's cases as ESP packets. Their next header is 1 (transport mode), so an authentic one is
 * refused as BAD_INNER, and that reason shows that it was found authentic. RFC 7634's packet is
 * between addresses that no selector here names.
 */
static void esp_row(char **field, void *ctx)
{
	struct counted *c = ctx;
	struct pair_opts o = { .alg = (uint8_t)c->alg };
	uint8_t esp[8 + 8 + 272];
	struct pair p;
	static struct frame fr;
	struct pkt pkt;
	struct row r;
	uint32_t len;
	int err;

	read_row(&r, field);
	if (r.text_len % 4)
		return; /* RFC 8439's text was never an ESP packet's */
	o.key_len = (uint8_t)r.key_len;
	o.esn = r.aad_len == 12;
	err = open_inbound(&p, &o, r.aad, r.key, r.nonce, number(r.aad + 4, r.aad_len - 4));
	/* Case 4 has SPI 0, which RFC 4303 section 2.1 keeps off the wire. */
	CU_ASSERT_EQUAL(err, r.number == 4 && c->alg != XESP_ALG_CHACHA20_POLY1305 ? -EINVAL : 0);
	if (!err) {
		memcpy(esp, r.aad, 4);
		memcpy(esp + 4, r.aad + r.aad_len - 4, 4);
		memcpy(esp + 8, r.nonce + 4, 8);
		memcpy(esp + 16, r.sealed, r.text_len + c->icv_len);
		len = 16 + r.text_len + c->icv_len;
		pkt = esp_packet(&p, &fr, esp, len);
		pkt.l3[20 + len - 1] ^= 1;
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_BAD_ICV);
		pkt = esp_packet(&p, &fr, esp, len);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), c->alg == XESP_ALG_CHACHA20_POLY1305 ?
							      XESP_DROP_SELECTOR_MISMATCH :
							      XESP_DROP_BAD_INNER);
		CU_ASSERT_EQUAL(pkt.seq, number(r.aad + 4, r.aad_len - 4));
		pkt = esp_packet(&p, &fr, esp, len);
		CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_REPLAY_DUPLICATE);
		c->done++;
	}
	pair_close(&p);
}

static void esp_rows(void)
{
	struct counted chacha = { XESP_ALG_CHACHA20_POLY1305, 16, 0 };

	for (int i = 0; i < 3; i++) {
		gcms[i].done = 0;
		CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_gcm.txt", 8, esp_row, &gcms[i]), 14);
		CU_ASSERT_EQUAL(gcms[i].done, 13);
	}
	CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_chacha20.txt", 8, esp_row, &chacha), 2);
	CU_ASSERT_EQUAL(chacha.done, 1);
}

struct tunnel_row {
	uint8_t spi[4], key[XESP_KEY_MAX], salt[4], inner[200], esp[300];
	uint32_t inner_len, esp_len;
	uint64_t seq;
	struct pair_opts o;
};

/* The files: each row has nine fields, or more, as `ctx` says. */
enum tunnel_file {
	ALL_GCM,
	WITH_ALGORITHM, /* its name behind */
	WITH_INTEGRITY_KEY, /* and that key in the middle */
};
static enum tunnel_file all_gcm = ALL_GCM, aead = WITH_ALGORITHM, algorithms = WITH_INTEGRITY_KEY;

static void read_tunnel_row(struct tunnel_row *r, char **field, const enum tunnel_file *file)
{
	const struct transform *t = transform_find(XESP_ALG_AES_GCM_16, XESP_AUTH_NONE);
	char **at = *file == WITH_INTEGRITY_KEY ? field + 1 : field; /* of all behind the first key */

	*r = (struct tunnel_row){ .o = { .outer6 = field[1][0] == '6', .esn = at[5][0] == '1' } };
	if (*file != ALL_GCM)
		t = transform_named(at[9]);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	r->o.alg = t->alg;
	r->o.auth = t->auth;
	vector_hex(r->spi, 4, field[2]);
	r->o.key_len = (uint8_t)hex_or_none(r->key, 32, field[3]);
	if (*file == WITH_INTEGRITY_KEY)
		CU_ASSERT_EQUAL(hex_or_none(r->key + r->o.key_len, 64, field[4]), t->auth_key_len);
	hex_or_none(r->salt, 4, at[4]);
	r->seq = strtoull(at[6], NULL, 16);
	r->inner_len = vector_hex(r->inner, sizeof(r->inner), at[7]);
	r->esp_len = vector_hex(r->esp, sizeof(r->esp), at[8]);
}

static void decap_row(char **field, void *ctx)
{
	static struct frame fr;
	struct tunnel_row r;
	struct pair p;
	struct pkt pkt;

	read_tunnel_row(&r, field, ctx);
	CU_ASSERT_EQUAL(open_inbound(&p, &r.o, r.spi, r.key, r.salt, r.seq), 0);
	pkt = esp_packet(&p, &fr, r.esp, r.esp_len);
	CU_ASSERT_EQUAL(pair_decap(&p, &pkt), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(pkt.len, r.inner_len);
	CU_ASSERT_EQUAL(memcmp(pkt.l3, r.inner, r.inner_len), 0);
	pair_close(&p);
}

static void decap_rows(void)
{
	CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_tunnel.txt", 9, decap_row, &all_gcm), 16);
	CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_tunnel_aead.txt", 10, decap_row, &aead), 32);
	CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_tunnel_algorithms.txt", 12, decap_row,
				    &algorithms), 48);
}

/* Encap makes the other implementation's packet, byte for byte from SPI to ICV. */
static void encap_row(char **field, void *ctx)
{
	static struct frame fr;
	struct xesp_keymsg_sa *m;
	struct tunnel_row r;
	struct pair p;
	struct pkt pkt;

	read_tunnel_row(&r, field, ctx);
	pair_open(&p, &r.o);
	m = &p.out;
	memcpy(&m->spi, r.spi, 4);
	memcpy(m->key, r.key, (size_t)m->key_len + m->auth_key_len);
	memcpy(m->salt, r.salt, m->salt_len);
	m->lease_first = m->lease_last = r.seq;
	pair_identify(&p, m, 0, 0);
	CU_ASSERT_EQUAL(sad_add(p.sad, m, NULL), 0);
	memcpy(fr.bytes + PAIR_HEADROOM, r.inner, r.inner_len);
	pkt = pair_clear(&fr, r.inner_len);
	pkt.local = true; /* the vector's TTL is that inside the tunnel */
	CU_ASSERT_EQUAL(pair_encap(&p, &pkt), XESP_DROP_NONE);
	CU_ASSERT_EQUAL(pkt.len - pkt.l4_off, r.esp_len);
	/* The IV of AES-CBC is ours alone: the same up to there, and see decap_row(). */
	CU_ASSERT_EQUAL(memcmp(pkt.l3 + pkt.l4_off, r.esp,
			       r.o.alg == XESP_ALG_AES_CBC ? 8 : r.esp_len), 0);
	pair_close(&p);
}

static void encap_rows(void)
{
	CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_tunnel.txt", 9, encap_row, &all_gcm), 16);
	CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_tunnel_aead.txt", 10, encap_row, &aead), 32);
	CU_ASSERT_EQUAL(vector_each("tests/vectors/esp_tunnel_algorithms.txt", 12, encap_row,
				    &algorithms), 48);
}

static void all_by_ipsecmb(void)
{
	if (!pair_use_ipsecmb())
		return;
	engine_rows();
	any_rows();
	esp_rows();
	decap_rows();
	encap_rows();
	pair_use_openssl();
}

CU_TestInfo vectors_tests[] = {
	{ "draft-mcgrew-gcm-test-01, RFC 7634, RFC 8439 by the engine, both directions", engine_rows },
	{ "RFC 3602, 3686, 4868, draft-mcgrew-gcm-test-01 and Wycheproof by the engine", any_rows },
	{ "draft-mcgrew-gcm-test-01 and RFC 7634 as ESP packets by decap", esp_rows },
	{ "scapy's and cryptography's tunnel packets are decapsulated", decap_rows },
	{ "scapy's and cryptography's tunnel packets are made, byte for byte", encap_rows },
	{ "ipsec-mb: all of these", all_by_ipsecmb },
	CU_TEST_INFO_NULL,
};

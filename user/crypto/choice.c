/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * choice.c - see choice.h.
 *
 * Why "auto" measures: which engine is faster depends on the algorithm (multi-buffer helps AES-CBC with HMAC, not
 * AES-GCM), the CPU (SHA-NI, VAES) and the versions of both libraries, and a list of preferences would be wrong
 * somewhere. A measurement takes about two milliseconds an algorithm; the shortest of several rounds is not moved by
 * what else the machine does. ipsec-mb must be a tenth faster than openssl to be taken, so that equals do not
 * change places from start to start.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/choice.h"
#include "crypto/module.h"
#include "crypto/transform.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

#define TRANSFORMS_MAX 48
#define BATCH 64
#define BYTES 512
#define AAD 24
#define ROUNDS 5
#define FASTER_PERCENT 110

enum { OPENSSL, IPSECMB, ENGINES };

struct choice {
	void *handle;
	const struct engine_module *module;
	const struct engine *ipsecmb; /* loaded and sound; NULL: none */
	const struct engine *of[TRANSFORMS_MAX][TRANSFORM_KEY_LENS];
	uint32_t ns[TRANSFORMS_MAX][TRANSFORM_KEY_LENS][ENGINES];
	char name[32];
	struct fault remark;
};

static struct choice choice;

/* ---- the engine that it all is */

static int place_of(size_t key_len)
{
	return key_len == 24 ? 1 : key_len == 32 ? 2 : 0;
}

const struct engine *choice_of(unsigned int alg, unsigned int auth, size_t key_len)
{
	const struct transform *t = transform_find(alg, auth);

	for (unsigned int i = 0; t && i < TRANSFORMS_MAX && transform_at(i); i++)
		if (transform_at(i) == t)
			return choice.of[i][place_of(key_len)];
	return NULL;
}

static struct engine_key *chosen_key_open(const struct engine_key_spec *spec, struct fault *f)
{
	const struct engine *e = choice_of(spec->alg, spec->auth,
					   spec->alg ? spec->key_len : spec->auth_key_len);

	/* openssl knows what to say of what is not there. */
	return (e ? e : &engine_openssl)->key_open(spec, f);
}

static void chosen_key_close(struct engine_key *key)
{
	if (key)
		key->engine->key_close(key);
}

/* Where the jobs of one engine that begin at i end. */
static size_t run_end(const struct engine_job *jobs, size_t n, size_t i)
{
	const struct engine *e = jobs[i].key->engine;

	while (++i < n && jobs[i].key->engine == e)
		;
	return i;
}

static void chosen_encrypt(struct engine_job *jobs, size_t n)
{
	for (size_t i = 0, end; i < n; i = end) {
		end = run_end(jobs, n, i);
		jobs[i].key->engine->encrypt(jobs + i, end - i);
	}
}

static void chosen_decrypt(struct engine_job *jobs, size_t n)
{
	for (size_t i = 0, end; i < n; i = end) {
		end = run_end(jobs, n, i);
		jobs[i].key->engine->decrypt(jobs + i, end - i);
	}
}

/* Of two engines one has it, see engine.h. */
static void chosen_fetch(const struct engine_key *key, uint32_t len)
{
	if (choice.ipsecmb->fetch)
		choice.ipsecmb->fetch(key, len);
}

static const struct engine engine_chosen = {
	.name = "auto",
	.version = "",
	.key_open = chosen_key_open,
	.key_close = chosen_key_close,
	.encrypt = chosen_encrypt,
	.decrypt = chosen_decrypt,
	.fetch = chosen_fetch,
};

const struct engine *choice_engine(void)
{
	/* Without a second engine there is nothing to look up per batch. */
	return choice.ipsecmb ? &engine_chosen : &engine_openssl;
}

/* ---- loading */

static bool load(const char *path, struct fault *f)
{
	choice.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!choice.handle) {
		fault_set(f, -ENOTSUP, "engine ipsec-mb: %s", dlerror());
		return false;
	}
	choice.module = dlsym(choice.handle, ENGINE_MODULE_SYMBOL);
	if (!choice.module || choice.module->abi != ENGINE_MODULE_ABI) {
		fault_set(f, -ENOTSUP, "engine ipsec-mb: %s is of another version of xesp", path);
		choice.module = NULL;
		return false;
	}
	choice.ipsecmb = choice.module->open(f);
	return choice.ipsecmb != NULL;
}

/* The place of the shared object: the first of these that is there. */
static bool find_object(char *path, size_t len, const char *dir)
{
	static const char *const beside[] = { "", "../lib/xesp/" };
	char self[256];
	ssize_t n;

	if (dir) {
		snprintf(path, len, "%s/" CHOICE_IPSECMB_SO, dir);
		return !access(path, R_OK);
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return false;
	self[n] = '\0';
	*(strrchr(self, '/') + 1) = '\0';
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(path, len, "%s%s" CHOICE_IPSECMB_SO, self, beside[i]);
		if (!access(path, R_OK))
			return true;
	}
	return false;
}

static int load_ipsecmb(const char *dir, struct fault *f)
{
	char path[512];

	if (!find_object(path, sizeof(path), dir))
		return fault_set(f, -ENOTSUP, "engine ipsec-mb: no " CHOICE_IPSECMB_SO
				 " here: it was built without libipsec-mb-dev, or not installed");
	if (!load(path, f))
		return -ENOTSUP;
	if (engine_selftest(choice.ipsecmb, ENGINE_SELFTEST_WHAT_IS_THERE, f))
		return -EBADMSG;
	return 0;
}

static void unload(void)
{
	choice.ipsecmb = NULL;
	if (choice.module)
		choice.module->close();
	choice.module = NULL;
	if (choice.handle)
		dlclose(choice.handle);
	choice.handle = NULL;
}

/* ---- measuring */

struct measured {
	struct engine_job job[BATCH];
	uint8_t bytes[BATCH][AAD + BYTES + ENGINE_TAG_MAX];
};

static void set_jobs(struct measured *m, const struct transform *t, struct engine_key *k)
{
	for (int i = 0; i < BATCH; i++) {
		struct engine_job *j = &m->job[i];

		*j = (struct engine_job){
			.key = k, .aad = m->bytes[i], .text = m->bytes[i] + 8 + t->iv_len, .len = BYTES,
			.aad_len = (uint16_t)(t->covers_packet ? 8 + t->iv_len : 8),
			.tag_len = t->icv_len, .nonce = { (uint8_t)i },
		};
		j->tag = j->text + BYTES;
		if (!t->covers_packet)
			j->aad = j->text - 8;
	}
}

/* ns a packet, both directions together; 0: the engine has no such algorithm. */
static uint32_t measure(const struct engine *e, const struct transform *t, size_t key_len)
{
	static const uint8_t key[XESP_KEY_MAX];
	static struct measured m;
	struct engine_key_spec spec = {
		.alg = (enum xesp_alg)t->alg, .auth = (enum xesp_auth)t->auth, .key = key,
		.key_len = t->alg ? key_len : 0, .auth_key = key,
		.auth_key_len = t->auth == XESP_AUTH_AES_GMAC ? key_len : t->auth_key_len,
	};
	struct engine_key *k[2];
	uint64_t best = 0;

	for (int dir = 0; dir < 2; dir++) {
		spec.dir = dir ? XESP_DIR_IN : XESP_DIR_OUT;
		k[dir] = e->key_open(&spec, NULL);
	}
	for (int r = 0; k[0] && k[1] && r < ROUNDS; r++) {
		uint64_t t0, took;

		set_jobs(&m, t, k[0]);
		t0 = clock_ns();
		e->encrypt(m.job, BATCH);
		took = clock_ns() - t0;
		for (int i = 0; i < BATCH; i++)
			m.job[i].key = k[1];
		t0 = clock_ns();
		e->decrypt(m.job, BATCH);
		took += clock_ns() - t0;
		best = !best || took < best ? took : best;
	}
	for (int dir = 0; dir < 2; dir++)
		e->key_close(k[dir]);
	return best ? (uint32_t)(best / BATCH) + 1 : 0;
}

static const struct engine *choose(unsigned int i, size_t key_len, bool by_speed)
{
	const struct transform *t = transform_at(i);
	uint32_t *ns = choice.ns[i][place_of(key_len)];

	if (!choice.ipsecmb)
		return &engine_openssl;
	ns[IPSECMB] = measure(choice.ipsecmb, t, key_len);
	if (!ns[IPSECMB])
		return &engine_openssl;
	if (!by_speed)
		return choice.ipsecmb;
	ns[OPENSSL] = measure(&engine_openssl, t, key_len);
	return (uint64_t)ns[IPSECMB] * FASTER_PERCENT < (uint64_t)ns[OPENSSL] * 100 ? choice.ipsecmb :
										      &engine_openssl;
}

static void name_choice(void)
{
	bool used[ENGINES] = { false };

	for (unsigned int i = 0; transform_at(i); i++)
		for (int k = 0; k < TRANSFORM_KEY_LENS; k++)
			if (choice.of[i][k])
				used[choice.of[i][k] == choice.ipsecmb] = true;
	snprintf(choice.name, sizeof(choice.name), "%s%s%s", used[IPSECMB] ? "ipsec-mb" : "",
		 used[IPSECMB] && used[OPENSSL] ? "+" : "", used[OPENSSL] ? "openssl" : "");
}

static void choose_all(bool by_speed)
{
	for (unsigned int i = 0; transform_at(i); i++) {
		const struct transform *t = transform_at(i);

		if (!t->key_len[0])
			choice.of[i][0] = choose(i, 0, by_speed);
		for (int k = 0; k < TRANSFORM_KEY_LENS && t->key_len[k]; k++)
			choice.of[i][place_of(t->key_len[k])] = choose(i, t->key_len[k], by_speed);
	}
	name_choice();
}

/* ---- the whole */

int choice_open(const char *wanted, const char *dir, struct fault *f)
{
	const bool alone = !strcmp(wanted, "openssl"), by_name = !strcmp(wanted, "ipsec-mb");
	int err;

	choice = (struct choice){ 0 };
	if (!alone && !by_name && strcmp(wanted, "auto"))
		return fault_set(f, -EINVAL, "no engine is named %s: auto, openssl and ipsec-mb are",
				 wanted);
	err = engine_selftest(&engine_openssl, ENGINE_SELFTEST_ALL, f);
	if (err)
		return err;
	err = alone ? 0 : load_ipsecmb(dir, &choice.remark);
	if (err)
		unload();
	if (err && by_name)
		return fault_set(f, err, "%s", choice.remark.text);
	choose_all(!by_name);
	return 0;
}

void choice_close(void)
{
	unload();
}

const char *choice_name(void)
{
	return choice.name;
}

const char *choice_remark(void)
{
	return choice.remark.text;
}

const char *choice_version(void)
{
	return choice.ipsecmb ? choice.ipsecmb->version : "";
}

void choice_each(void (*row)(void *ctx, const struct choice_row *r), void *ctx)
{
	for (unsigned int i = 0; transform_at(i); i++)
		for (int k = 0; k < TRANSFORM_KEY_LENS; k++) {
			const struct transform *t = transform_at(i);
			struct choice_row r = { .transform = t->name };

			if (!choice.of[i][k])
				continue;
			r.key_bits = t->key_len[0] ? (uint32_t)(16 + 8 * k) * 8 : 0;
			r.engine = choice.of[i][k]->name;
			memcpy(r.ns, choice.ns[i][k], sizeof(r.ns));
			row(ctx, &r);
		}
}

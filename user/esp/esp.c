/* SPDX-License-Identifier: BSD-2-Clause */
/* esp.c - a worker's ESP state, and the counters: see esp.h and stage.h. */
#include <errno.h>
#include <stddef.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "esp/admit.h"
#include "esp/esp.h"
#include "esp/onward.h"
#include "esp/populate.h"
#include "esp/record.h"
#include "esp/stage.h"
#include "libxesp/drops.h"
#include "libxesp/line.h"
#include "libxesp/secret.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

int esp_worker_open(struct esp_worker **out, struct sad *sad, uint32_t worker, struct fault *f)
{
	struct esp_worker *w = line_alloc(sizeof(*w));

	if (!w)
		return fault_set(f, -ENOMEM, "out of memory");
	if (admit_open(&w->admit, sad_mapped(sad)->max_sas) || onward_open(&w->onward) ||
	    populate_open(&w->populate)) {
		admit_close(w->admit);
		onward_close(w->onward);
		free(w);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	w->sad = sad;
	w->st = sad_mapped(sad);
	w->engine = sad_engine(sad);
	w->desk = sad_desk(sad);
	w->groups = sad_groups(sad);
	w->uniques = sad_uniques(sad);
	w->acquires = sad_acquires(sad);
	w->stats = &w->st->worker[worker];
	w->worker = worker;
	sad_idle(sad, worker, false);
	*out = w;
	return 0;
}

int esp_worker_open_beside(struct esp_worker **out, const struct esp_worker *first, struct fault *f)
{
	struct esp_worker *w = line_alloc(sizeof(*w));

	if (!w)
		return fault_set(f, -ENOMEM, "out of memory");
	/* What it works with; what it works on, from `x` on, is its own. */
	memcpy(w, first, offsetof(struct esp_worker, x));
	w->jobs_n = 0;
	w->beside = true;
	*out = w;
	return 0;
}

void esp_worker_close(struct esp_worker *w)
{
	if (!w)
		return;
	secret_wipe(w->job, sizeof(w->job)); /* nonces hold salts */
	secret_wipe(&w->ivs, sizeof(w->ivs));
	if (!w->beside) {
		sad_idle(w->sad, w->worker, true);
		admit_close(w->admit);
		onward_close(w->onward);
		populate_close(w->populate);
	}
	free(w);
}

void esp_prepare(struct esp_worker *w, struct batch *b, enum xesp_dir dir)
{
	const struct esp_stage *s = dir == XESP_DIR_OUT ? esp_encap_stages : esp_decap_stages;

	for (; strcmp(s->name, ESP_STAGE_CRYPTO); s++)
		s->run(w, b);
	w->behind = s + 1;
}

void esp_finish(struct esp_worker *w, struct batch *b)
{
	for (const struct esp_stage *s = w->behind; s->run; s++)
		s->run(w, b);
}

void esp_crypt(struct esp_worker *w, const struct batch *b, enum xesp_dir dir, uint32_t by)
{
	if (by != w->worker)
		for (uint32_t k = 0; k < w->jobs_n; k++)
			w->job[k].key = b->pkt[w->job_pkt[k]].sa->key[by];
	if (dir == XESP_DIR_OUT)
		w->engine->encrypt(w->job, w->jobs_n);
	else
		w->engine->decrypt(w->job, w->jobs_n);
}

struct xesp_worker_stats *esp_worker_stats(struct esp_worker *w)
{
	return w->stats;
}

void stage_drop(struct esp_worker *w, struct pkt *p, enum xesp_drop why)
{
	p->drop = why;
	if (w->dry)
		return;
	stage_add_own(&w->stats->drops[why], 1);
	record_drop(w, p, why, w->stats->drops[why]);
	/* Other workers may serve the same SA and policy; xespd's predecessor's counts go on. */
	if (p->sa)
		drops_count(&p->sa->state->drops, why);
	if (p->policy && p->policy < w->st->max_policies)
		__atomic_fetch_add(&w->st->policy[p->policy].by_reason[why], 1, __ATOMIC_RELAXED);
}

void stage_wipe_and_drop(struct esp_worker *w, struct pkt *p, const struct stage_pkt *x,
			 enum xesp_drop why)
{
	stage_drop(w, p, why); /* its headers are looked at */
	OPENSSL_cleanse(x->text, x->text_len);
}

void esp_count_drop(struct esp_worker *w, struct pkt *p, enum xesp_drop why)
{
	stage_drop(w, p, why);
}

void stage_begin(struct esp_worker *w)
{
	w->now_ns = clock_boot_ns();
}

void esp_begin(struct esp_worker *w)
{
	stage_begin(w);
}

static void add_run(struct sa *sa, uint64_t packets, uint64_t bytes, uint64_t now)
{
	if (!sa || !packets)
		return;
	/* All who count here hold the lock: one locked instruction, where two sums would be two. */
	sa_lock(sa->shared);
	stage_add_own(&sa->state->packets, packets);
	stage_add_own(&sa->state->bytes, bytes);
	__atomic_store_n(&sa->state->last_used_ns, now, __ATOMIC_RELAXED);
	sa_unlock(sa->shared);
}

uint32_t stage_count_good(const struct esp_worker *w, const struct batch *b)
{
	uint64_t now = w->now_ns, packets = 0, bytes = 0;
	struct sa *sa = NULL;
	uint32_t good = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		const struct pkt *p = &b->pkt[i];

		if (stage_skips(p))
			continue;
		if (p->sa != sa) {
			add_run(sa, packets, bytes, now);
			sa = p->sa;
			packets = bytes = 0;
		}
		packets++;
		bytes += p->inner_len;
		good++;
	}
	add_run(sa, packets, bytes, now);
	return good;
}

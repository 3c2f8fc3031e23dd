/* SPDX-License-Identifier: BSD-2-Clause */
/* spd.c - see spd.h. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyd/index.h"
#include "keyd/pfp.h"
#include "keyd/sad.h"
#include "keyd/schema.h"
#include "keyd/spd.h"
#include "keyd/spd_cut.h"
#include "keyd/transport.h"
#include "xesp/fault.h"

/* ---- text to list */

static int take_tunnel(struct policy *p, const struct raw_policy *raw, const char *path,
		       const struct index *tunnels, struct problems *ps)
{
	char name[XESP_NAME_MAX] = "", where[PROBLEMS_PATH_MAX], shown[PROBLEMS_SHOWN_MAX];

	p->tunnel = SAD_NONE;
	problems_below(where, path, "tunnel");
	if (p->action != XESP_ACTION_PROTECT)
		return raw->tunnel ? problems_add(ps, where, "only action protect has a tunnel") : 0;
	if (!raw->tunnel)
		return problems_add(ps, where, "action protect needs a tunnel");
	if (strlen(raw->tunnel) < sizeof(name))
		memcpy(name, raw->tunnel, strlen(raw->tunnel));
	p->tunnel = index_find(tunnels, name);
	if (p->tunnel == INDEX_NONE)
		return problems_add(ps, where, "no tunnel is named %s",
				    problems_shown(raw->tunnel, shown));
	return 0;
}

int spd_take_policy(struct policy *p, const struct raw_policy *raw, const char *path,
		    const struct sad *sad, const struct index *tunnels, struct problems *ps)
{
	static const uint8_t actions[] = { 0, XESP_ACTION_DISCARD, XESP_ACTION_BYPASS,
					   XESP_ACTION_PROTECT };
	int err;

	p->action = actions[raw->action];
	p->dirs = 1 << XESP_DIR_OUT | 1 << XESP_DIR_IN;
	if (raw->direction == RAW_DIRECTION_OUT)
		p->dirs = 1 << XESP_DIR_OUT;
	if (raw->direction == RAW_DIRECTION_IN)
		p->dirs = 1 << XESP_DIR_IN;
	err = sad_take_name(p->name, raw->name, path, ps);
	err |= take_tunnel(p, raw, path, tunnels, ps);
	err |= selector_init(&p->sel, raw, path, ps);
	if (!err && p->tunnel != SAD_NONE)
		err = transport_narrow(&p->sel, &sad->tunnels[p->tunnel], path, ps);
	if (!err)
		err = pfp_take_policy(p, raw, path, ps);
	return err;
}

static int init_policies(struct spd *spd, const struct raw_config *raw, const struct sad *sad,
			 const struct index *tunnels, struct index *names, struct problems *ps)
{
	int err = 0;

	for (uint32_t i = 0; i < raw->policies_count; i++) {
		struct policy *p = &spd->policies[i];
		char path[PROBLEMS_PATH_MAX];
		uint32_t found;

		spd->n = i + 1;
		snprintf(path, sizeof(path), "policies[%u]", i);
		if (spd_take_policy(p, &raw->policies[i], path, sad, tunnels, ps)) {
			err = -EINVAL;
			continue;
		}
		spd->has_pfp |= p->pfp != 0;
		if (index_add(names, p->name, i, &found))
			return problems_add(ps, path, "out of memory");
		snprintf(path, sizeof(path), "policies[%u].name", i);
		if (found != INDEX_NONE)
			err = problems_add(ps, path, "'%s' is also the name of policies[%u]",
					   p->name, found);
	}
	return err;
}

/* Everything that a policy's entries and its rule are made of, but for its rank. */
static int digest_policy(EVP_MD_CTX *ctx, const EVP_MD *md, const struct policy *p,
			 const char tunnel[XESP_NAME_MAX], uint8_t out[SPD_DIGEST_LEN])
{
	const struct selector *s = &p->sel;
	const uint32_t fixed[] = { p->action,	 p->dirs,     s->family,	s->proto,
				   s->opaque,	 s->local_n,  s->remote_n, s->local_ports_n,
				   s->remote_ports_n, p->pfp,     s->hidden };
	uint8_t whole[EVP_MAX_MD_SIZE];
	bool ok;

	ok = EVP_DigestInit_ex(ctx, md, NULL) && EVP_DigestUpdate(ctx, p->name, sizeof(p->name)) &&
	     EVP_DigestUpdate(ctx, tunnel, XESP_NAME_MAX) &&
	     EVP_DigestUpdate(ctx, fixed, sizeof(fixed)) &&
	     EVP_DigestUpdate(ctx, s->local, s->local_n * sizeof(*s->local)) &&
	     EVP_DigestUpdate(ctx, s->remote, s->remote_n * sizeof(*s->remote)) &&
	     EVP_DigestUpdate(ctx, s->local_ports, s->local_ports_n * sizeof(*s->local_ports)) &&
	     EVP_DigestUpdate(ctx, s->remote_ports, s->remote_ports_n * sizeof(*s->remote_ports)) &&
	     EVP_DigestFinal_ex(ctx, whole, NULL);
	memcpy(out, whole, SPD_DIGEST_LEN);
	return ok ? 0 : -ENOMEM;
}

int spd_digest(const struct policy *p, const struct sad *sad, uint8_t out[SPD_DIGEST_LEN])
{
	static const char none[XESP_NAME_MAX];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int err = -ENOMEM;

	if (ctx)
		err = digest_policy(ctx, EVP_sha256(), p,
				    p->tunnel == SAD_NONE ? none : sad->tunnels[p->tunnel].name, out);
	EVP_MD_CTX_free(ctx);
	return err;
}

static int digest_policies(struct spd *spd, const struct sad *sad)
{
	static const char none[XESP_NAME_MAX];
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int err = md && ctx ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < spd->n && !err; i++) {
		const struct policy *p = &spd->policies[i];

		err = digest_policy(ctx, md, p,
				    p->tunnel == SAD_NONE ? none : sad->tunnels[p->tunnel].name,
				    spd->digests[i]);
	}
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return err;
}

int spd_init(struct spd *spd, const struct raw_config *raw, struct sad *sad,
	     struct problems *ps)
{
	struct index tunnels, names;
	uint32_t found;
	int err = 0;

	*spd = (struct spd){ .default_action = raw->default_action == RAW_DEFAULT_BYPASS ||
							       (!raw->default_action && raw->source == RAW_SOURCE_XFRM) ?
						       XESP_ACTION_BYPASS :
						       XESP_ACTION_DISCARD,
			     .kernel = raw->source == RAW_SOURCE_XFRM };
	/* With room to grow: more would move the whole list when the first policy is added. */
	spd->room = raw->policies_count + raw->policies_count / 8 + 64;
	spd->policies = calloc(spd->room, sizeof(*spd->policies));
	spd->ids = calloc(spd->room, sizeof(*spd->ids));
	spd->ranks = calloc(spd->room, sizeof(*spd->ranks));
	spd->digests = calloc(spd->room, sizeof(*spd->digests));
	if (!spd->policies || !spd->ids || !spd->ranks || !spd->digests)
		return problems_add(ps, "policies", "out of memory");
	index_init(&tunnels, XESP_NAME_MAX);
	index_init(&names, XESP_NAME_MAX);
	index_expect(&tunnels, sad->tunnels_n);
	index_expect(&names, raw->policies_count);
	for (uint32_t i = 0; i < sad->tunnels_n && !err; i++)
		err = index_add(&tunnels, sad->tunnels[i].name, i, &found);
	if (err)
		problems_add(ps, "policies", "out of memory");
	else
		err = init_policies(spd, raw, sad, &tunnels, &names, ps);
	index_fini(&tunnels);
	index_fini(&names);
	if (!err && digest_policies(spd, sad))
		err = problems_add(ps, "policies", "out of memory");
	return err ? -EINVAL : 0;
}

void spd_fini(struct spd *spd)
{
	for (uint32_t i = 0; i < spd->n; i++)
		selector_fini(&spd->policies[i].sel);
	free(spd->policies);
	free(spd->ids);
	free(spd->ranks);
	free(spd->digests);
	*spd = (struct spd){ 0 };
}

/* ---- what the classifier can hold */

struct census {
	struct xesp_spd_tuple tuples[XESP_DIR_MAX][XESP_TUPLES_MAX];
	uint32_t tuples_n[XESP_DIR_MAX];
	uint32_t last[XESP_DIR_MAX]; /* where the one before was found: neighbours are alike */
	uint64_t entries_n;
};

static int count_piece(void *ctx, const struct spd_piece *piece)
{
	struct census *c = ctx;
	struct xesp_spd_tuple *t = c->tuples[piece->key.dir];
	uint32_t *n = &c->tuples_n[piece->key.dir], *last = &c->last[piece->key.dir];

	if (++c->entries_n > SPD_ENTRIES_MAX)
		return -E2BIG;
	if (*last < *n && !memcmp(&t[*last], &piece->tuple, sizeof(*t)))
		return 0;
	for (*last = 0; *last < *n; ++*last)
		if (!memcmp(&t[*last], &piece->tuple, sizeof(*t)))
			return 0;
	if (*n == XESP_TUPLES_MAX)
		return -E2BIG;
	t[(*n)++] = piece->tuple;
	return 0;
}

int spd_check(const struct spd *spd, struct fault *f)
{
	struct census *c = calloc(1, sizeof(*c));
	int err = c ? 0 : fault_set(f, -ENOMEM, "out of memory");

	for (uint32_t i = 0; i < spd->n && !err; i++) {
		err = spd_cut(&spd->policies[i], count_piece, c);
		if (err == -E2BIG)
			fault_set(f, err,
				  "policies[%u] '%s' is too much for the classifier: at most %d combinations of prefix lengths and port masks in one direction (ranges that are powers of two need fewest), and %u entries",
				  i, spd->policies[i].name, XESP_TUPLES_MAX, SPD_ENTRIES_MAX);
		else if (err)
			fault_set(f, err, "policies[%u]: out of memory", i);
	}
	free(c);
	return err;
}

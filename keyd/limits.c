/* SPDX-License-Identifier: BSD-2-Clause */
/* limits.c - see limits.h. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>

#include "keyd/limits.h"
#include "keyd/numbers.h"
#include "keyd/sad.h"
#include "keyd/schema.h"

#define SECONDS_MAX (100ull * 366 * 86400) /* a century; it is added to a clock in nanoseconds */
#define WARN_DEFAULT 86400
#define SOFT_OF_HARD(hard) ((hard) - (hard) / 10) /* 90%, as IKE daemons have it */

uint64_t limits_key_bound(const struct sa *sa)
{
	switch ((enum xesp_alg)sa->alg) {
	case XESP_ALG_AES_GCM_8:
		return LIMITS_GCM_8_PACKETS;
	case XESP_ALG_AES_GCM_16:
	case XESP_ALG_AES_GCM_12:
	case XESP_ALG_AES_GCM_16_IIV:
	case XESP_ALG_AES_GMAC:
	case XESP_ALG_AES_CBC:
	case XESP_ALG_AES_CTR:
		return LIMITS_AES_PACKETS;
	case XESP_ALG_AES_CCM_16:
	case XESP_ALG_AES_CCM_12:
	case XESP_ALG_AES_CCM_8:
	case XESP_ALG_AES_CCM_8_IIV:
		return LIMITS_CCM_PACKETS;
	case XESP_ALG_CHACHA20_POLY1305:
	case XESP_ALG_CHACHA20_POLY1305_IIV:
	case XESP_ALG_NULL:
	case XESP_ALG_NONE: /* AH */
	case XESP_ALG_MAX:
		break;
	}
	return sa->auth == XESP_AUTH_AES_GMAC ? LIMITS_AES_PACKETS : UINT64_MAX;
}

/* A pair of them: the soft one is 90% of the hard one unless it is given. */
struct pair {
	const char *soft_key, *hard_key;
	const char *soft_text, *hard_text;
	uint64_t max;
};

static int take_pair(uint64_t *soft, uint64_t *hard, const struct pair *p, const char *path,
		     struct problems *ps)
{
	const struct number_range range = { 1, p->max, NULL };
	char where[PROBLEMS_PATH_MAX];

	problems_below(where, path, p->hard_key);
	if (numbers_take(hard, p->hard_text, &range, where, ps))
		return -EINVAL;
	if (*hard)
		*soft = SOFT_OF_HARD(*hard);
	problems_below(where, path, p->soft_key);
	if (numbers_take(soft, p->soft_text, &range, where, ps))
		return -EINVAL;
	if (*hard && *soft > *hard)
		return problems_add(ps, where, "%" PRIu64 " is beyond the hard limit of %" PRIu64,
				    *soft, *hard);
	return 0;
}

int limits_take(struct sa *sa, const struct raw_sa *raw, const char *path, struct problems *ps)
{
	static const struct raw_lifetime none;
	const struct raw_lifetime *r = raw->lifetime ? raw->lifetime : &none;
	const struct number_range warn = { 0, SECONDS_MAX, NULL };
	struct limits *l = &sa->limits;
	const struct pair seconds = { "soft_seconds", "hard_seconds", r->soft_seconds,
				      r->hard_seconds, SECONDS_MAX };
	const struct pair bytes = { "soft_bytes", "hard_bytes", r->soft_bytes, r->hard_bytes,
				    UINT64_MAX / 2 };
	const struct pair packets = { "soft_packets", "hard_packets", r->soft_packets,
				      r->hard_packets, UINT64_MAX / 2 };
	char below[PROBLEMS_PATH_MAX], where[PROBLEMS_PATH_MAX];
	int err;

	problems_below(below, path, "lifetime");
	l->warn_seconds = WARN_DEFAULT;
	err = take_pair(&l->soft_seconds, &l->hard_seconds, &seconds, below, ps);
	err |= take_pair(&l->soft_bytes, &l->hard_bytes, &bytes, below, ps);
	err |= take_pair(&l->soft_packets, &l->hard_packets, &packets, below, ps);
	problems_below(where, below, "warn_seconds");
	err |= numbers_take(&l->warn_seconds, r->warn_seconds, &warn, where, ps);
	return err;
}

void limits_print(const struct sa *sa, FILE *out)
{
	const struct limits *l = &sa->limits;
	const struct {
		const char *key;
		uint64_t value;
	} rows[] = {
		{ "soft_seconds", l->soft_seconds }, { "hard_seconds", l->hard_seconds },
		{ "soft_bytes", l->soft_bytes },     { "hard_bytes", l->hard_bytes },
		{ "soft_packets", l->soft_packets }, { "hard_packets", l->hard_packets },
	};

	fprintf(out, "    lifetime:\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value)
			fprintf(out, "      %s: %" PRIu64 "\n", rows[i].key, rows[i].value);
	fprintf(out, "      warn_seconds: %" PRIu64 "\n", l->warn_seconds);
}

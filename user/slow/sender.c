/* SPDX-License-Identifier: BSD-2-Clause */
/* sender.c - see sender.h. */
#include "sad/sa.h"
#include "slow/sender.h"

#define FIRST_SIGHT_PKTS 65536 /* sent before an SA was first looked at: recent enough */

static struct sender **list_of(struct senders *all, __be32 spi)
{
	return &all->list[(spi * 0x9e3779b1u) >> 20 & (SENDERS_LISTS - 1)];
}

static void list_under(struct senders *all, struct sender *s, __be32 spi)
{
	struct sender **at;

	if (s->spi) {
		for (at = list_of(all, s->spi); *at && *at != s; at = &(*at)->next)
			;
		if (*at)
			*at = s->next;
	}
	s->spi = spi;
	if (spi) {
		at = list_of(all, spi);
		s->next = *at;
		*at = s;
	}
}

static void remember_sent(struct sender *s, const struct sa *sa, uint64_t now_ms)
{
	uint64_t next = __atomic_load_n(&sa->state->seq_next, __ATOMIC_RELAXED);

	if (s->fingerprint != sa->state->fingerprint) {
		uint64_t first = next > FIRST_SIGHT_PKTS ? next - FIRST_SIGHT_PKTS : 1;

		s->fingerprint = sa->state->fingerprint;
		for (int i = 0; i < SENDER_SENT_S; i++)
			s->sent[i] = first;
	} else if (now_ms - s->sampled_ms < 1000) {
		return;
	}
	s->sampled_ms = now_ms;
	s->sent[s->at] = next;
	s->at = (s->at + 1) % SENDER_SENT_S;
}

void sender_follow(struct senders *all, struct sender *s, const struct sa *sa, uint64_t now_ms)
{
	if (s->spi != (sa ? sa->spi : 0))
		list_under(all, s, sa ? sa->spi : 0);
	s->sa = sa ? sa->id : 0;
	if (sa)
		remember_sent(s, sa, now_ms);
}

struct sender *sender_first(const struct senders *all, __be32 spi)
{
	return *list_of((struct senders *)(uintptr_t)all, spi);
}

/* Its upper half is inferred, RFC 4303 A2. */
bool sender_sent_lately(const struct sender *s, const struct sa *sa, uint32_t seq)
{
	uint64_t next = __atomic_load_n(&sa->state->seq_next, __ATOMIC_RELAXED);
	uint64_t behind = (uint32_t)((uint32_t)next - 1 - seq); /* numbers sent after it */

	return s->fingerprint == sa->state->fingerprint && behind < SENDER_SENT_PKTS &&
	       next > 1 + behind && next - 1 - behind >= s->sent[s->at];
}

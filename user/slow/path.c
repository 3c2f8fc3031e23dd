/* SPDX-License-Identifier: BSD-2-Clause */
/* path.c - ICMP errors about our ESP, and probes: what comes in and goes out for slow/pmtu.c. */
#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>

#include "libxesp/pins.h"
#include "slow/pmtu.h"
#include "slow/room.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

/* About ESP or AH from an address of a tunnel: somebody wants it to be ours. */
static bool claims_to_be_ours(const struct slow *s, const struct icmp_in_msg *m)
{
	__u32 tunnel;

	return m->proto != IPPROTO_UDP &&
	       !bpf_map_lookup_elem(s->o.pins->fd[PINS_ENDPOINTS], &m->local, &tunnel);
}

static void on_icmp(evutil_socket_t fd, short what, void *ctx)
{
	struct slow *s = ctx;
	struct icmp_in_msg m;
	bool ours;

	(void)what;
	for (uint32_t i = 0; i < BATCH && icmp_in_read(&s->icmp, fd, &m, &ours); i++) {
		enum pmtu_verdict v = ours ? pmtu_hear(s->pmtu, &m, clock_ms()) : PMTU_OLD_NEWS;

		if (v == PMTU_UNBELIEVED || (v == PMTU_NOT_OURS && claims_to_be_ours(s, &m)))
			out_count(&out_stats(s)->drops[XESP_DROP_ICMP_UNBELIEVED], 1);
	}
}

static bool send_probe(void *ctx, const struct echo *e, uint32_t len)
{
	return slow_echo_send(ctx, e, len);
}

static void on_answer(void *ctx, const struct echo *e)
{
	struct slow *s = ctx;

	pmtu_answered(s->pmtu, e, clock_ms());
}

static int follow(struct event **out, struct event_base *base, int fd, struct slow *s)
{
	if (fd < 0)
		return 0; /* the kernel lacks this family */
	*out = event_new(base, fd, EV_READ | EV_PERSIST, on_icmp, s);
	return *out && !event_add(*out, NULL) ? 0 : -ENOMEM;
}

int path_open(struct slow *s, struct event_base *base, struct fault *f)
{
	const struct slow_echo_calls calls = { .answered = on_answer, .ctx = s };
	int err = pmtu_open(&s->pmtu, s->o.sad, send_probe, s, f);

	if (!err)
		err = icmp_in_open(&s->icmp, s->tun_name, f);
	if (err)
		return err;
	slow_echo_on(s, ECHO_PMTU, &calls);
	if (follow(&s->on_icmp4, base, s->icmp.fd4, s) ||
	    follow(&s->on_icmp6, base, s->icmp.fd6, s))
		return fault_set(f, -ENOMEM, "out of memory for the slow path's events");
	return 0;
}

void path_close(struct slow *s)
{
	if (s->on_icmp4)
		event_free(s->on_icmp4);
	if (s->on_icmp6)
		event_free(s->on_icmp6);
	icmp_in_close(&s->icmp);
	pmtu_close(s->pmtu);
}

uint32_t slow_path_mtu(struct slow *s, uint32_t tunnel, uint32_t link)
{
	return pmtu_refresh(s->pmtu, tunnel, link, clock_ms());
}

void slow_tick(struct slow *s)
{
	pmtu_tick(s->pmtu, clock_ms());
}

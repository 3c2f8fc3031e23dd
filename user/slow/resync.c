/* SPDX-License-Identifier: BSD-2-Clause */
/* resync.c - SAs whose numbers ran away, RFC 4303 appendix A3: the main thread's half of sad/resync.h. */
#include <errno.h>
#include <event2/event.h>

#include "esp/esp.h"
#include "sad/resync.h"
#include "sad/sa.h"
#include "slow/room.h"
#include "xesp/clock.h"
#include "xesp/fault.h"

static void on_failed(evutil_socket_t fd, short what, void *ctx)
{
	struct resync_desk *desk;
	struct resync_packet p;
	struct slow *s = ctx;
	struct esp_resync r;
	uint64_t suppressed;

	(void)fd;
	(void)what;
	desk = sad_resync(s->o.sad);
	if (!resync_take(desk, &p))
		return;
	slow_hold_sas(s);
	r = (struct esp_resync){ .scratch = s->cut_buf, .batch = &s->pieces };
	if (esp_resync(s->o.esp, &p, &r) && log_allowed(&s->complain, &suppressed))
		log_warn("slow: SA with SPI 0x%08x: its peer's numbers are at %llu, ours were at %llu: 2^32 packets or more were lost; in step again",
			 r.spi, (unsigned long long)r.now, (unsigned long long)r.was);
	slow_let_sas_go(s);
	resync_done(desk, clock_boot_ns());
}

int slow_follow_failed(struct slow *s, struct event_base *base)
{
	s->on_resync = event_new(base, sad_resync(s->o.sad)->fd, EV_READ | EV_PERSIST, on_failed, s);
	return s->on_resync && !event_add(s->on_resync, NULL) ? 0 : -ENOMEM;
}

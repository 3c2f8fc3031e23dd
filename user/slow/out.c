/* SPDX-License-Identifier: BSD-2-Clause */
/* out.c - the ways out of the slow path, and its counters: see room.h. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "esp/esp.h"
#include "slow/room.h"

uint64_t slow_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void out_count(__u64 *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

struct xesp_worker_stats *out_stats(struct slow *s)
{
	return esp_worker_stats(s->o.esp);
}

void out_drop(struct slow *s, struct pkt *p, enum xesp_drop why)
{
	esp_count_drop(s->o.esp, p, why);
}

void out_to_wire(struct slow *s, struct pkt *p)
{
	if (raw_send(&s->raw, p->l3, p->len)) {
		out_drop(s, p, XESP_DROP_TX_ERROR);
		return;
	}
	out_count(&out_stats(s)->tx_packets, 1);
	out_count(&out_stats(s)->tx_bytes, p->len);
}

int slow_send_own(struct slow *s, const uint8_t *ip, uint32_t len)
{
	int err = raw_send(&s->raw, ip, len);

	if (err)
		return err;
	out_count(&out_stats(s)->tx_packets, 1);
	out_count(&out_stats(s)->tx_bytes, len);
	return 0;
}

void out_to_tun(struct slow *s, struct pkt *p)
{
	ssize_t n;

	if (probe_takes(s, p))
		return;
	n = write(s->tun, p->l3, p->len);
	if (n < 0) {
		out_drop(s, p, errno == EAGAIN ? XESP_DROP_SLOW_PATH_FULL : XESP_DROP_TX_ERROR);
		return;
	}
	out_count(&out_stats(s)->tx_packets, 1);
	out_count(&out_stats(s)->tx_bytes, p->len);
}

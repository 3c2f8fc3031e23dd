/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resync.h - an SA whose peer's extended sequence numbers ran away from ours: from workers to the main thread.
 *
 * RFC 4303 appendix A3, RFC 4302 appendix B3: when 2^32 packets or more were lost in a row, no packet
 * authenticates under the upper half that the receiver infers. After so many failures in a row a worker leaves a copy of
 * one such packet here; the main thread tries it under larger upper halves (esp/esp.h), in the background and seldom, so
 * that whoever sends us forged packets gains nothing: one packet is tried a second, whatever arrives.
 */
#ifndef XESP_RESYNC_H
#define XESP_RESYNC_H

#include <stdbool.h>
#include <stdint.h>

struct fault;
struct sa;

#define RESYNC_AFTER 64   /* packets in a row that do not authenticate */
#define RESYNC_TRIES 64   /* upper halves that one packet is tried under: losses below 64 * 2^32 */
#define RESYNC_EVERY_NS 1000000000ull
#define RESYNC_ROOM 10240 /* bytes of the largest packet a port takes */

struct resync_packet {
	const uint8_t *at; /* outer IP header */
	uint32_t len;
	uint32_t sa;       /* id */
	uint16_t l4_off;   /* as struct pkt has them */
	bool udp;
};

struct resync_desk {
	int fd;                 /* eventfd */
	uint32_t state;         /* atomic, see resync.c */
	uint64_t not_before_ns; /* CLOCK_BOOTTIME; atomic */
	struct resync_packet packet; /* of `copy` */
	uint8_t copy[RESYNC_ROOM];
};

int resync_open(struct resync_desk *d, struct fault *f);
void resync_close(struct resync_desk *d);

/* Workers, for packets of an SA with ESN: one did not authenticate; one did. */
void resync_failed(struct sa *sa);
void resync_authentic(struct sa *sa);
/* Have so many failed in a row? */
bool resync_is_due(const struct sa *sa);

/*
 * Any worker, before it decrypts in place: leaves a copy, unless the place is taken or the last try was just now. False: it
 * did not. The one system call, when it did.
 */
bool resync_offer(struct resync_desk *d, const struct resync_packet *p, uint64_t now_ns);

/* Main thread. False: nothing was left. The copy is the caller's until resync_done(). */
bool resync_take(struct resync_desk *d, struct resync_packet *out);
void resync_done(struct resync_desk *d, uint64_t now_ns);

#endif /* XESP_RESYNC_H */

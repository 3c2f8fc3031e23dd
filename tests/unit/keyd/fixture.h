/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fixture.h - what several suites of keyd need: configurations from text, BPF maps of their own,
 * and a xespd that does as it is told.
 */
#ifndef XESP_TEST_KEYD_FIXTURE_H
#define XESP_TEST_KEYD_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libxesp/pins.h"
#include "xesp/keymsg.h"

struct config;
struct event_base;

/* The configuration in `text` (printf-like); NULL when it is refused, after printing why. */
struct config *fixture_config(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One SA: "  - {name: ..., ...}\n" with a key made of `seed`. Returns buf. */
const char *fixture_sa(char buf[256], const char *name, const char *direction, unsigned int spi,
		       unsigned int seed, const char *more);

/* All maps of xesp/steer.h, not pinned and small. False: this process may not use bpf(2). */
bool fixture_pins(struct pins *p, uint32_t max_sas, uint32_t replay_words);

/* ---- the other end of keymsg.sock */

struct peer {
	int fd;
	uint32_t seq;
	uint8_t buf[XESP_KEYMSG_MAX];
	size_t len; /* of the message in buf; 0: none */
};

bool peer_connect(struct peer *p, const char *path);
void peer_close(struct peer *p);
bool peer_send(struct peer *p, void *message, enum xesp_keymsg_type type, size_t len);
bool peer_hello(struct peer *p, uint32_t steer_abi);
bool peer_request_lease(struct peer *p, uint32_t id);
bool peer_ack(struct peer *p, uint32_t seq, int error, const char *text);

/* Runs the loop until a message has come (its type) or, after 2 s or the end, 0. */
enum xesp_keymsg_type peer_receive(struct peer *p, struct event_base *base);
/* Runs the loop until keyd has closed the connection. */
bool peer_sees_end(struct peer *p, struct event_base *base);

const struct xesp_keymsg *peer_header(const struct peer *p);

#endif /* XESP_TEST_KEYD_FIXTURE_H */

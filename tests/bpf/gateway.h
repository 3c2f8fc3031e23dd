/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway.h - one XDP program and its maps, filled as `xesp attach`, keyd and xespd would.
 *
 * Nothing is pinned. Everything happens in a network namespace of this process, whose loopback
 * is the interface from which BPF_PROG_TEST_RUN lets frames come: ifindex 1, queue 0, port 3.
 * Failures of the ground itself (a program that does not load) end the process with a sentence.
 */
#ifndef XESP_TEST_GATEWAY_H
#define XESP_TEST_GATEWAY_H

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "libxesp/pins.h"
#include "tests/spd/list.h"
#include "xesp/steer.h"

#define GATEWAY_PORT 3    /* of loopback in xesp_xsks */
#define GATEWAY_IDS 64    /* policies that have counters, and SAs */
#define GATEWAY_FLOWS 16u /* remembered by XDP for each CPU */
#define GATEWAY_GENERATION 7
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

struct gateway {
	struct bpf_object *obj;
	int prog;
	int map[PINS_MAX];
	struct spd_memory spd;
	struct list *list;
	int worker; /* AF_XDP socket, -1 none */
	int cpus;
	/* A test may change how frames come; all zero: from loopback, nothing before the frame. */
	uint32_t ifindex;
	uint32_t queue;
	uint32_t foreign_meta_len; /* metadata that somebody laid before us */
	uint32_t linear_len; /* bytes that the program may read; the rest comes as fragments */
};

/* A row of the SPD: position is order. */
#define gateway_policy list_row

/* What a frame must lead to; all counters that are not named must stay as they are. */
struct expect {
	int verdict;
	enum xesp_drop why; /* with XDP_DROP */
	uint32_t policy;    /* hit, and charged with the drop; 0 none */
};

/* `program` is xdp_outer, xdp_inner or xdp_onearm. No policies, no addresses, no worker yet. */
void gateway_open(struct gateway *g, const char *program);
void gateway_close(struct gateway *g);

void gateway_local(struct gateway *g, const char *addr);
void gateway_endpoint(struct gateway *g, const char *addr);
void gateway_natt_port(struct gateway *g, uint16_t port); /* ESP in UDP is received there */
/* The same of AH. */
void gateway_sa_ah(struct gateway *g, const char *dst, uint32_t spi, uint32_t id);
void gateway_sa(struct gateway *g, const char *dst, uint32_t spi, uint32_t id);
void gateway_policies(struct gateway *g, uint32_t generation, const struct gateway_policy *p,
		      unsigned int n, enum xesp_action default_action);
void gateway_generation(struct gateway *g, uint32_t generation);

/* A real AF_XDP socket at GATEWAY_PORT, queue 0; del takes it out again. */
void gateway_worker_add(struct gateway *g);
void gateway_worker_del(struct gateway *g);

/* The same socket at another place too; deleting it takes it out of there as well. */
void gateway_worker_also_at(struct gateway *g, uint32_t port, uint32_t queue);

void gateway_iface(struct gateway *g, uint32_t ifindex, uint32_t port);

/* Runs the program over the first `len` bytes of the frame; says what differs on stderr. */
bool gateway_expect(struct gateway *g, const char *what, const struct frame *f, uint32_t len,
		    const struct expect *e);

/*
 * Whatever the verdict: a dropped frame is counted under exactly one reason and charged to one policy at
 * most, any other under none.
 */
bool gateway_accounts(struct gateway *g, const char *what, const struct frame *f);

/* As gateway_expect() for an XDP_REDIRECT, whose metadata must be *meta. */
bool gateway_expect_meta(struct gateway *g, const char *what, const struct frame *f,
			 const struct expect *e, const struct xesp_meta *meta);

#endif /* XESP_TEST_GATEWAY_H */

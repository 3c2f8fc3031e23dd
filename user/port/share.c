/* SPDX-License-Identifier: BSD-2-Clause */
/* share.c - see share.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "port/port.h"
#include "port/share.h"
#include "port/umem.h"
#include "xesp/fault.h"
#include "xesp/steer.h"

/* Newer than Debian 12's headers. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif

/* The kernel frees the sockets of a killed predecessor a little after its end. */
#define BUSY_TRIES 50
#define BUSY_PAUSE_NS 20000000

struct mode { bool zero_copy, multi_buffer; };

struct share_group {
	struct share_group *next;
	struct xsk_umem *xsk;
	struct port *first; /* the socket that registered; NULL when it is gone: nobody can join */
	uint32_t members_n;
	struct mode mode;
};

struct share {
	struct umem *umem;
	struct share_group *groups;
};

int share_open(struct share **out, struct umem *u, struct fault *f)
{
	struct share *s = calloc(1, sizeof(*s));

	if (!s)
		return fault_set(f, -ENOMEM, "out of memory");
	s->umem = u;
	*out = s;
	return 0;
}

void share_close(struct share *s)
{
	free(s);
}

uint32_t share_groups(const struct share *s)
{
	uint32_t n = 0;

	for (const struct share_group *g = s->groups; g; g = g->next)
		n++;
	return n;
}

static int bind_port(struct share_group *g, struct port *p)
{
	const struct xsk_socket_config cfg = {
		.rx_size = PORT_RING,
		.tx_size = PORT_RING,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		/* Only looked at for the first of a group; the others get the same. */
		.bind_flags = (__u16)(XDP_USE_NEED_WAKEUP |
				      (g->mode.zero_copy ? XDP_ZEROCOPY : XDP_COPY) |
				      (g->mode.multi_buffer ? XDP_USE_SG : 0)),
	};
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE_NS };
	int err = -EBUSY;

	for (int i = 0; i < BUSY_TRIES && err == -EBUSY; i++) {
		if (i)
			nanosleep(&pause, NULL);
		err = xsk_socket__create_shared(&p->xsk, p->spec.name, p->spec.queue, g->xsk,
						&p->rx, &p->tx, &p->fill, &p->comp, &cfg);
	}
	return err;
}

static void unlink_group(struct share *s, struct share_group *g)
{
	struct share_group **at = &s->groups;

	while (*at && *at != g)
		at = &(*at)->next;
	if (*at)
		*at = g->next;
}

static int register_for(struct share *s, struct port *p, struct mode mode)
{
	const struct xsk_umem_config cfg = {
		.fill_size = PORT_RING,
		.comp_size = PORT_RING,
		.frame_size = UMEM_CHUNK,
	};
	struct share_group *g = calloc(1, sizeof(*g));
	size_t len;
	void *area = umem_area(s->umem, &len);
	int err;

	if (!g)
		return -ENOMEM;
	g->mode = mode;
	err = xsk_umem__create(&g->xsk, area, len, &p->fill, &p->comp, &cfg);
	if (err)
		goto free_group;
	err = bind_port(g, p);
	if (err)
		goto delete_umem;
	g->first = p;
	g->members_n = 1;
	g->next = s->groups;
	s->groups = g;
	p->group = g;
	return 0;

delete_umem:
	xsk_umem__delete(g->xsk);
free_group:
	free(g);
	return err;
}

static int join_mode(struct share *s, struct port *p, struct mode mode)
{
	/* What an attempt in another mode left behind. */
	memset(&p->fill, 0, sizeof(p->fill));
	memset(&p->comp, 0, sizeof(p->comp));
	for (struct share_group *g = s->groups; g; g = g->next) {
		int err;

		if (!g->first || g->mode.zero_copy != mode.zero_copy ||
		    g->mode.multi_buffer != mode.multi_buffer)
			continue;
		err = bind_port(g, p);
		/* EBADF: the interface of the group's first socket is gone, though not yet closed. */
		if (err == -EBADF)
			continue;
		if (!err) {
			g->members_n++;
			p->group = g;
		}
		return err;
	}
	return register_for(s, p, mode);
}

/*
 * Zero-copy where it is to be had, and several descriptors a frame. A driver may have the one
 * without the other: then the larger frames count, for they would be lost.
 */
static bool may_try(const struct port_spec *spec, struct mode mode)
{
	if (!mode.zero_copy)
		return spec->zero_copy != PORT_ZC_REQUIRE;
	if (spec->zero_copy == PORT_ZC_OFF)
		return false;
	return mode.multi_buffer || spec->mtu <= XESP_MTU_ONE_BUFFER ||
	       spec->zero_copy == PORT_ZC_REQUIRE;
}

int share_join(struct share *s, struct port *p, struct fault *f)
{
	static const struct mode modes[] = { { true, true }, { true, false }, { false, true },
					     { false, false } };
	int err = -EOPNOTSUPP;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]) && err && err != -EBUSY; i++) {
		if (!may_try(&p->spec, modes[i]))
			continue;
		err = join_mode(s, p, modes[i]);
		p->zero_copy = modes[i].zero_copy;
		p->multi_buffer = modes[i].multi_buffer;
	}
	if (err == -EOPNOTSUPP && p->spec.zero_copy == PORT_ZC_REQUIRE)
		return fault_set(f, err,
				 "the driver has no zero-copy AF_XDP; leave out --zero-copy require");
	if (err == -EBUSY)
		return fault_set(f, err,
				 "queue %u already has an AF_XDP socket; is another xespd or AF_XDP program running?",
				 p->spec.queue);
	if (err)
		return fault_set(f, err, "AF_XDP socket on queue %u: %s", p->spec.queue,
				 strerror(-err));
	p->fd = xsk_socket__fd(p->xsk);
	return 0;
}

/*
 * libxdp closes the first socket's descriptor only with its xsk_umem, and that not before all
 * members have left; until then the kernel would hold the queue. An unbound AF_XDP socket takes
 * the descriptor's place: the real one is released, and libxdp can go on asking it for offsets.
 */
static void release_first(struct share_group *g)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	g->first = NULL;
	if (fd < 0)
		return;
	dup3(fd, xsk_umem__fd(g->xsk), O_CLOEXEC);
	close(fd);
}

void share_leave(struct share *s, struct port *p)
{
	struct share_group *g = p->group;

	xsk_socket__delete(p->xsk);
	p->xsk = NULL;
	p->group = NULL;
	if (--g->members_n == 0) {
		unlink_group(s, g);
		xsk_umem__delete(g->xsk);
		free(g);
	} else if (g->first == p) {
		release_first(g);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* natt.c - see natt.h. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "esp/natt.h"
#include "sad/sa.h"
#include "sad/tunnel.h"
#include "slow/natt_filter.h"
#include "slow/slow.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"
#include "xespd/daemon.h"
#include "xespd/keyd_link.h"
#include "xespd/natt.h"
#include "xespd/tunnels.h"

#define SECOND_NS 1000000000ull

struct natt {
	struct daemon *d;
	struct event *seen;
	uint64_t *quiet_since_ns; /* by tunnel; 0: not looked at yet */
	uint64_t due_ns;          /* no keepalive is due before */
	struct natt_counts counts;
	struct log_limit complain;
	/* Where tunnels receive; one more than the filter takes says: too many. */
	__be16 ports[NATT_FILTER_PORTS + 1];
	uint32_t ports_n;
};

static void send_keepalive(struct natt *n, const struct tunnel *t)
{
	uint8_t packet[NATT_KEEPALIVE_MAX];
	uint32_t len = natt_make_keepalive(t, packet);
	uint64_t suppressed;
	int err = slow_send_own(n->d->slow, packet, len);

	if (!err)
		n->counts.keepalives++;
	else if (log_allowed(&n->complain, &suppressed))
		log_warn("natt: tunnel '%s': keepalive not sent: %s", t->as_told.name,
			 strerror(-err));
}

/* On whichever SA: workers store it, esp/esp.c. */
static uint64_t last_used(const struct natt *n, const struct tunnel *t)
{
	uint64_t last = 0;

	for (uint32_t w = 0; w <= sad_workers(n->d->sad); w++) {
		const struct sa *sa = sad_find(n->d->sad, tunnel_out(t, w));
		uint64_t used = sa ? __atomic_load_n(&sa->state->last_used_ns, __ATOMIC_RELAXED) : 0;

		if (used > last)
			last = used;
		if (!t->has_cpus)
			break;
	}
	return last;
}

/* Sends when due; returns when the tunnel has to be looked at again. */
static uint64_t serve(struct natt *n, uint32_t id, const struct tunnel *t, uint64_t now)
{
	const uint64_t after = t->as_told.natt.keepalive_s * SECOND_NS;
	uint64_t *since = &n->quiet_since_ns[id], used = 0;
	const struct sa *sa;

	/* RFC 3948 section 4: only while there is an SA between the two. */
	sa = t->udp != TUNNEL_UDP_NONE && after && t->sa_out ? sad_find(n->d->sad, t->sa_out) : NULL;
	if (!sa) {
		*since = 0;
		return UINT64_MAX;
	}
	/* Of a new SA it is 0: what the one before had sent counts. */
	used = last_used(n, t);
	if (used > *since)
		*since = used;
	if (!*since)
		*since = now;
	if (now >= *since && now - *since >= after) {
		send_keepalive(n, t);
		*since = now;
	}
	return *since + after;
}

static void note_port(__be16 *ports, uint32_t *ports_n, __be16 port)
{
	if (!port || *ports_n > NATT_FILTER_PORTS)
		return;
	for (uint32_t i = 0; i < *ports_n; i++)
		if (ports[i] == port)
			return;
	ports[(*ports_n)++] = port;
}

static void set_ports(struct natt *n, const __be16 *ports, uint32_t ports_n)
{
	int err;

	if (n->ports_n == ports_n && !memcmp(n->ports, ports, ports_n * sizeof(*ports)))
		return;
	err = slow_set_natt_ports(n->d->slow, ports, ports_n);
	if (err)
		log_warn("natt: ESP in UDP in fragments will not be received: %s", strerror(-err));
	memcpy(n->ports, ports, ports_n * sizeof(*ports));
	n->ports_n = ports_n;
}

void natt_tick(struct natt *n)
{
	__be16 ports[NATT_FILTER_PORTS + 1];
	struct sad *sad = n->d->sad;
	uint64_t now = clock_boot_ns();
	uint32_t ports_n = 0;

	/* Packets sent meanwhile only put it off; tunnels told meanwhile are looked at in time. */
	if (now < n->due_ns)
		return;
	n->due_ns = now + SECOND_NS;
	for (uint32_t id = 0; id < sad_tunnels_max(sad); id++) {
		const struct tunnel *t = sad_tunnel(sad, id);
		uint64_t due = t ? serve(n, id, t, now) : UINT64_MAX;

		if (t)
			note_port(ports, &ports_n, t->as_told.natt.local_port);
		if (due < n->due_ns)
			n->due_ns = due;
	}
	set_ports(n, ports, ports_n);
}

static void on_seen(evutil_socket_t fd, short what, void *arg)
{
	struct natt *n = arg;
	uint32_t moved = sad_move_peers(n->d->sad);

	(void)fd;
	(void)what;
	if (!moved)
		return;
	n->counts.moves += moved;
	/* The next hop and the MTU of where they are now. */
	tunnels_refresh(n->d->tunnels);
	keyd_link_tell_peers(n->d->link);
}

void natt_count(const struct natt *n, struct natt_counts *out)
{
	*out = n->counts;
}

int natt_open(struct natt **out, struct daemon *d, struct fault *f)
{
	struct natt *n = calloc(1, sizeof(*n));

	if (!n)
		return fault_set(f, -ENOMEM, "out of memory");
	n->d = d;
	n->quiet_since_ns = calloc(sad_tunnels_max(d->sad), sizeof(*n->quiet_since_ns));
	n->seen = event_new(d->base, sad_peer_fd(d->sad), EV_READ | EV_PERSIST, on_seen, n);
	if (!n->quiet_since_ns || !n->seen || event_add(n->seen, NULL)) {
		natt_close(n);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	*out = n;
	return 0;
}

void natt_close(struct natt *n)
{
	if (!n)
		return;
	if (n->seen)
		event_free(n->seen);
	free(n->quiet_since_ns);
	free(n);
}

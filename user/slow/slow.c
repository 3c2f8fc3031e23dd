/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slow.c - see slow.h. The main thread's half of the packet's walk: queues, xesp0 and raw sockets
 * come together here; each handler takes a bounded number of packets and then lets the loop go on.
 */
#include <errno.h>
#include <event2/event.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "esp/esp.h"
#include "esp/onward.h"
#include "fib/fib.h"
#include "libxesp/addr.h"
#include "libxesp/pins.h"
#include "sad/sad.h"
#include "slow/frag.h"
#include "slow/queue.h"
#include "slow/room.h"
#include "slow/slow.h"
#include "slow/spd.h"
#include "slow/tun.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

enum way { WAY_TUN, WAY_WIRE, WAY_TUNNEL, WAY_TELL };

void slow_hold_sas(struct slow *s)
{
	sad_idle(s->o.sad, s->o.worker, false);
	esp_begin(s->o.esp);
}

void slow_let_sas_go(struct slow *s)
{
	sad_idle(s->o.sad, s->o.worker, true);
}

static enum icmp_error error_for(enum xesp_drop drop)
{
	return drop == XESP_DROP_TOO_BIG ? ICMP_ERROR_TOO_BIG : ICMP_ERROR_TIME_EXCEEDED;
}

/* ---- into a tunnel */

/* What is good goes out; the senders of what is not are told. Pieces are not cut again. */
static void encap_and_send(struct slow *s, struct batch *b,
			   void (*cut)(struct slow *, struct pkt *))
{
	esp_encap(s->o.esp, b);
	for (uint32_t i = 0; i < b->n; i++) {
		struct pkt *p = &b->pkt[i];
		struct icmp_cause c = { .ip = p->l3, .have = p->len, .mtu = p->mtu };

		if (!p->drop) {
			out_to_wire(s, p);
		} else if (p->drop == XESP_DROP_TOO_BIG && p->fragment) {
			if (cut)
				cut(s, p);
			else
				out_drop(s, p, XESP_DROP_TOO_BIG);
		} else if (cut &&
			   (p->drop == XESP_DROP_TOO_BIG || p->drop == XESP_DROP_TTL_EXPIRED)) {
			c.error = error_for(p->drop);
			tell_sender(s, &c, true);
		}
	}
}

static void cut_and_send(struct slow *s, struct pkt *p)
{
	const uint32_t most = SLOT_BYTES - HEADROOM - TAILROOM;
	struct batch *b = &s->pieces;
	struct frag f;

	if (frag_begin(&f, p->l3, p->len, p->mtu < most ? p->mtu : most)) {
		out_drop(s, p, XESP_DROP_TOO_BIG);
		return;
	}
	do {
		for (b->n = 0; b->n < BATCH; b->n++) {
			uint8_t *buf = s->piece_buf + (size_t)b->n * SLOT_BYTES;
			uint32_t len = frag_next(&f, buf + HEADROOM);

			if (!len)
				break;
			b->pkt[b->n] = (struct pkt){ .l3 = buf + HEADROOM,
						     .len = len,
						     .id = p->id,
						     .head = buf,
						     .end = buf + SLOT_BYTES,
						     .policy = p->policy,
						     .local = p->local };
		}
		encap_and_send(s, b, NULL);
	} while (b->n == BATCH);
}

/* ---- xesp0 in */

/* ESP in UDP from a port of ours, not IKE and no keepalive. What we make has no options. */
static bool is_own_udp(const struct slow *s, const struct spd_key *k, const struct pkt *p)
{
	const uint32_t marker_off = (k->family == 4 ? 20 : 40) + 8;
	static const uint8_t ike[4];
	__u32 n;

	return k->proto == IPPROTO_UDP && k->fields == XESP_FIELDS_KNOWN &&
	       p->len >= marker_off + sizeof(ike) &&
	       memcmp(p->l3 + marker_off, ike, sizeof(ike)) != 0 &&
	       !bpf_map_lookup_elem(s->o.pins->fd[PINS_NATT_PORT], &k->local_port, &n);
}

/*
 * Our own ESP or AH comes back when the route to a tunnel's far end leads into xesp0. Encapsulated again
 * it would come back again, longer each time.
 */
static bool is_own_esp(const struct slow *s, const struct spd_key *k, const struct pkt *p)
{
	__u32 tunnel;

	return (k->proto == IPPROTO_ESP || k->proto == IPPROTO_AH || is_own_udp(s, k, p)) &&
	       !bpf_map_lookup_elem(s->o.pins->fd[PINS_ENDPOINTS], &k->local, &tunnel);
}

/*
 * Keys are exchanged in clear, as they are where the tunnel's end is not inside the tunnel: what
 * leaves our own IKE ports for the far end of transport mode.
 */
static bool is_own_ike(const struct slow *s, const struct spd_key *k, uint32_t tunnel)
{
	struct xesp_keymsg_tunnel t;

	return k->proto == IPPROTO_UDP && k->fields == XESP_FIELDS_KNOWN &&
	       (k->local_port == htons(500) || k->local_port == htons(4500)) &&
	       sad_tunnel_get(s->o.sad, tunnel, &t) && t.mode == XESP_MODE_TRANSPORT;
}

/*
 * RFC 4301 section 5.1 for one packet; sets p->id and p->policy, or the drop. p->id 0 without a drop:
 * it goes on in clear.
 */
static enum xesp_drop apply_policy(struct slow *s, struct pkt *p)
{
	struct xesp_spd_val found;
	struct spd_key key;
	enum xesp_drop why = spd_key(&key, p->l3, p->len);

	if (why)
		return why;
	if (is_own_esp(s, &key, p))
		return XESP_DROP_NO_ROUTE;
	why = spd_find(s->spd, &key, &found);
	if (why)
		return why;
	p->policy = found.policy;
	p->id = probe_way_back(s, p, found.tunnel);
	switch (found.action) {
	case XESP_ACTION_PROTECT:
		if (is_own_ike(s, &key, found.tunnel))
			p->id = 0;
		return XESP_DROP_NONE;
	case XESP_ACTION_DISCARD:
		return found.policy ? XESP_DROP_DISCARD : XESP_DROP_NO_POLICY;
	default:
		p->id = 0;
		return XESP_DROP_NONE;
	}
}

/* Removed by hand. It would be ready for ever, with nothing to read; the workers go on without. */
static void lose_tun(struct slow *s)
{
	log_error("slow: %s was removed: what needs the kernel is dropped until xespd is restarted",
		  s->tun_name);
	event_free(s->on_tun);
	s->on_tun = NULL;
	close(s->tun);
	s->tun = -1; /* a write to it fails and is counted */
}

static bool read_tun(struct slow *s, uint8_t *buf, struct pkt *p)
{
	ssize_t n = read(s->tun, buf + HEADROOM, PACKET_MAX);

	if (n < 0 && errno == EBADFD)
		lose_tun(s);
	if (n <= 0)
		return false;
	*p = (struct pkt){ .l3 = buf + HEADROOM,
			   .len = (uint32_t)n,
			   .head = buf,
			   .end = buf + BUF_BYTES,
			   .local = true };
	out_count(&out_stats(s)->rx_packets, 1);
	out_count(&out_stats(s)->rx_bytes, (uint64_t)n);
	return true;
}

static void on_tun(evutil_socket_t fd, short what, void *ctx)
{
	struct slow *s = ctx;
	struct batch *b = &s->batch;
	enum xesp_drop why;

	(void)fd;
	(void)what;
	slow_hold_sas(s);
	b->n = 0;
	for (uint32_t i = 0; i < BATCH; i++) {
		struct pkt *p = &b->pkt[b->n];

		if (!read_tun(s, s->buf + (size_t)b->n * BUF_BYTES, p))
			break;
		why = apply_policy(s, p);
		if (why)
			out_drop(s, p, why);
		else if (!p->id)
			out_in_clear(s, p);
		else
			b->n++;
	}
	if (b->n)
		encap_and_send(s, b, cut_and_send);
	slow_let_sas_go(s);
}

/* ---- raw in */

/* As worker/forward.c has it for what came in by a ring. */
static void go_on(struct slow *s, struct pkt *p)
{
	struct xesp_addr dst;
	struct fib_hop hop;
	enum fib_verdict verdict;
	enum xesp_drop why;

	if (p->l3[0] >> 4 == 4)
		addr_from_ip4(&dst, p->l3 + 16);
	else
		addr_from_ip6(&dst, p->l3 + 24);
	verdict = fib_lookup(s->o.fib, s->o.worker, &dst, FIB_FORWARDED, &hop);
	if (verdict != FIB_TUNNELS &&
	    ((verdict != FIB_SEND && verdict != FIB_SLOW) || !(hop.role & XESP_ROLE_OUTER))) {
		out_to_tun(s, p);
		return;
	}
	switch (onward_to(s->o.esp, p, verdict == FIB_TUNNELS, hop.role, &why)) {
	case ONWARD_PROTECT:
		s->onward.pkt[s->onward.n++] = *p;
		break;
	case ONWARD_DROP:
		out_drop(s, p, why);
		break;
	case ONWARD_CLEAR:
	default:
		out_to_tun(s, p);
	}
}

static void read_esp(struct slow *s, int fd, struct esp_in *in, uint32_t *lost)
{
	struct batch *b = &s->batch;

	slow_hold_sas(s);
	b->n = 0;
	for (uint32_t i = 0; i < BATCH; i++) {
		struct pkt *p = &b->pkt[b->n];

		if (!esp_in_read(in, fd, s->buf + (size_t)b->n * BUF_BYTES, p))
			break;
		if (!p->len)
			continue;
		out_count(&out_stats(s)->rx_packets, 1);
		out_count(&out_stats(s)->rx_bytes, p->len);
		if (p->drop)
			out_drop(s, p, p->drop);
		else
			b->n++;
	}
	out_count(&out_stats(s)->drops[XESP_DROP_SLOW_PATH_FULL], esp_in_lost(in, lost));
	if (b->n)
		esp_decap(s->o.esp, b);
	s->onward.n = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		if (!b->pkt[i].drop)
			go_on(s, &b->pkt[i]);
	}
	if (s->onward.n)
		encap_and_send(s, &s->onward, cut_and_send);
	slow_let_sas_go(s);
}

static void on_esp(evutil_socket_t fd, short what, void *ctx)
{
	struct slow *s = ctx;

	(void)what;
	read_esp(s, fd, &s->in, &s->in_lost);
}

static void on_ah(evutil_socket_t fd, short what, void *ctx)
{
	struct slow *s = ctx;

	(void)what;
	read_esp(s, fd, &s->in_ah, &s->in_ah_lost);
}

static void on_udp(evutil_socket_t fd, short what, void *ctx)
{
	struct slow *s = ctx;

	(void)what;
	read_esp(s, fd, &s->in_udp, &s->in_udp_lost);
}

/* ---- from workers */

static struct pkt pkt_of(const struct queue_item *i)
{
	return (struct pkt){ .l3 = i->data,
			     .len = i->len,
			     .id = i->id,
			     .policy = i->policy,
			     .mtu = (uint16_t)i->mtu,
			     .fragment = i->fragment };
}

static void tell_about(struct slow *s, const struct queue_item *i)
{
	const struct icmp_cause c = {
		.ip = i->data, .have = i->have, .mtu = i->mtu, .error = error_for(i->drop)
	};

	tell_sender(s, &c, i->policy != 0);
}

static void take_item(struct slow *s, const struct queue_item *i)
{
	struct pkt p = pkt_of(i);

	switch ((enum way)i->way) {
	case WAY_TUN:
		out_to_tun(s, &p);
		break;
	case WAY_WIRE:
		out_to_wire(s, &p);
		break;
	case WAY_TUNNEL:
		cut_and_send(s, &p);
		break;
	case WAY_TELL:
		tell_about(s, i);
		break;
	}
}

static void drain(struct slow *s, struct queue *q, struct event *e)
{
	struct queue_item *i = NULL;

	slow_hold_sas(s);
	queue_sleep(q);
	for (int n = 0; n < BATCH; n++) {
		i = queue_get(q);
		if (!i)
			break;
		take_item(s, i);
		queue_done(q);
	}
	/* More than a turn's worth: the next turn, after the other events. */
	if (i)
		event_active(e, EV_READ, 0);
	slow_let_sas_go(s);
}

static void on_to_tun(evutil_socket_t fd, short what, void *ctx)
{
	struct slow *s = ctx;

	(void)fd;
	(void)what;
	drain(s, s->to_tun, s->on_to_tun);
}

static void on_to_wire(evutil_socket_t fd, short what, void *ctx)
{
	struct slow *s = ctx;

	(void)fd;
	(void)what;
	drain(s, s->to_wire, s->on_to_wire);
}

static void on_to_tell(evutil_socket_t fd, short what, void *ctx)
{
	struct slow *s = ctx;

	(void)fd;
	(void)what;
	drain(s, s->to_tell, s->on_to_tell);
}

bool slow_to_tun(struct slow *s, const struct pkt *p)
{
	return queue_put(s->to_tun, WAY_TUN, p, UINT32_MAX);
}

bool slow_to_wire(struct slow *s, const struct pkt *p)
{
	return queue_put(s->to_wire, WAY_WIRE, p, UINT32_MAX);
}

bool slow_to_tunnel(struct slow *s, const struct pkt *p)
{
	return queue_put(s->to_wire, WAY_TUNNEL, p, UINT32_MAX);
}

void slow_tell_sender(struct slow *s, const struct pkt *p)
{
	/* The drop is counted; that the queue of errors is full changes nothing for the packet. */
	if (!queue_put(s->to_tell, WAY_TELL, p, ICMP_QUOTE_MAX))
		return;
}

int slow_set_natt_ports(struct slow *s, const __be16 *ports, uint32_t n)
{
	return esp_in_set_ports(&s->in_udp, ports, n);
}

int slow_set_mtu(struct slow *s, uint32_t mtu, struct fault *f)
{
	return tun_set_mtu(s->tun_name, mtu, f);
}

/* ---- opening */

static int follow(struct event **out, struct event_base *base, int fd, event_callback_fn call,
		  struct slow *s)
{
	if (fd < 0)
		return 0; /* the kernel lacks this family */
	*out = event_new(base, fd, EV_READ | EV_PERSIST, call, s);
	return *out && !event_add(*out, NULL) ? 0 : -ENOMEM;
}

static int open_queues(struct slow *s, struct fault *f)
{
	int err = queue_open(&s->to_tun, DATA_SLOTS, SLOT_BYTES, f);

	if (!err)
		err = queue_open(&s->to_wire, DATA_SLOTS, SLOT_BYTES, f);
	if (!err)
		err = queue_open(&s->to_tell, TELL_SLOTS, ICMP_QUOTE_MAX, f);
	return err;
}

static int open_devices(struct slow *s, struct fault *f)
{
	int err = raw_open(&s->raw, FIB_MARK, true, f);

	/* RFC 7739: where the numbers of fragments begin is nobody's business. */
	if (!err && RAND_bytes((unsigned char *)&s->frag_id, sizeof(s->frag_id)) != 1)
		err = fault_set(f, -EIO, "libcrypto has no random numbers");
	if (!err)
		err = raw_open(&s->clear, FIB_MARK, false, f);
	if (!err)
		err = raw_open(&s->plain, 0, false, f);
	if (!err)
		err = esp_in_open(&s->in, IPPROTO_ESP, s->o.pins, f);
	if (!err)
		err = esp_in_open(&s->in_ah, IPPROTO_AH, s->o.pins, f);
	if (!err)
		err = esp_in_open(&s->in_udp, IPPROTO_UDP, s->o.pins, f);
	if (err)
		return err;
	/* Last: from here on the kernel routes packets to us. */
	s->tun = tun_open(s->o.tun_name, f);
	return s->tun < 0 ? s->tun : fib_tunnels_set(s->o.fib, if_nametoindex(s->o.tun_name), f);
}

static int follow_all(struct slow *s, struct event_base *base, struct fault *f)
{
	if (follow(&s->on_tun, base, s->tun, on_tun, s) ||
	    follow(&s->on_esp4, base, s->in.fd4, on_esp, s) ||
	    follow(&s->on_esp6, base, s->in.fd6, on_esp, s) ||
	    follow(&s->on_ah4, base, s->in_ah.fd4, on_ah, s) ||
	    follow(&s->on_ah6, base, s->in_ah.fd6, on_ah, s) ||
	    follow(&s->on_udp4, base, s->in_udp.fd4, on_udp, s) ||
	    follow(&s->on_udp6, base, s->in_udp.fd6, on_udp, s) ||
	    follow(&s->on_to_tun, base, queue_fd(s->to_tun), on_to_tun, s) ||
	    follow(&s->on_to_wire, base, queue_fd(s->to_wire), on_to_wire, s) ||
	    follow(&s->on_to_tell, base, queue_fd(s->to_tell), on_to_tell, s) ||
	    slow_follow_failed(s, base))
		return fault_set(f, -ENOMEM, "out of memory for the slow path's events");
	return 0;
}

int slow_open(struct slow **out, struct event_base *base, const struct slow_opts *o,
	      struct fault *f)
{
	struct slow *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return fault_set(f, -ENOMEM, "out of memory");
	s->o = *o;
	s->tun = s->raw.fd4 = s->raw.fd6 = s->in.fd4 = s->in.fd6 = -1;
	s->clear.fd4 = s->clear.fd6 = s->plain.fd4 = s->plain.fd6 = s->in_ah.fd4 = s->in_ah.fd6 = -1;
	s->icmp.fd4 = s->icmp.fd6 = -1;
	s->in_udp.fd4 = s->in_udp.fd6 = -1;
	snprintf(s->tun_name, sizeof(s->tun_name), "%s", o->tun_name);
	s->buf = calloc(BATCH, BUF_BYTES);
	s->piece_buf = calloc(BATCH, SLOT_BYTES);
	s->cut_buf = malloc(PACKET_MAX);
	icmp_limit_init(&s->limit, clock_ms());
	err = s->buf && s->piece_buf && s->cut_buf ? spd_open(&s->spd, o->pins, f)
				     : fault_set(f, -ENOMEM, "out of memory");
	if (!err && probe_init(&s->probe))
		err = fault_set(f, -EIO, "libcrypto has no random numbers");
	if (!err)
		err = open_queues(s, f);
	if (!err)
		err = open_devices(s, f);
	if (!err)
		err = follow_all(s, base, f);
	if (!err)
		err = path_open(s, base, f);
	if (err) {
		slow_close(s);
		return err;
	}
	slow_let_sas_go(s);
	*out = s;
	return 0;
}

static void free_event(struct event *e)
{
	if (e)
		event_free(e);
}

void slow_close(struct slow *s)
{
	if (!s)
		return;
	free_event(s->on_tun);
	free_event(s->on_esp4);
	free_event(s->on_esp6);
	free_event(s->on_ah4);
	free_event(s->on_ah6);
	free_event(s->on_udp4);
	free_event(s->on_udp6);
	free_event(s->on_to_tun);
	free_event(s->on_to_wire);
	free_event(s->on_to_tell);
	free_event(s->on_resync);
	path_close(s);
	if (s->tun >= 0)
		close(s->tun);
	esp_in_close(&s->in);
	esp_in_close(&s->in_ah);
	esp_in_close(&s->in_udp);
	raw_close(&s->raw);
	raw_close(&s->clear);
	raw_close(&s->plain);
	spd_close(s->spd);
	queue_close(s->to_tun);
	queue_close(s->to_wire);
	queue_close(s->to_tell);
	free(s->buf);
	free(s->piece_buf);
	free(s->cut_buf);
	free(s);
}

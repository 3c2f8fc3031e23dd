/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * publish_worker.c - see publish_worker.h. From top to bottom: what waits, what was sent, what
 * comes in, the connection, the socket.
 */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keyd/compose.h"
#include "keyd/config.h"
#include "keyd/publish_maps.h"
#include "keyd/publish_worker.h"
#include "keyd/seqpacket.h"
#include "libxesp/secret.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define PATIENCE_MS 10000
#define MESSAGES_AT_ONCE 256 /* before other events get their turn */

enum item_kind {
	ITEM_BARE,   /* id: the message's type */
	ITEM_HELLO,
	ITEM_TUNNEL, /* id: index; first: enum compose_out */
	ITEM_GROUP,  /* id: index */
	ITEM_SA,     /* id: index */
	ITEM_ID,     /* id; first: the message's type; last: its wait */
	ITEM_GRANT,
};

/* Something to say; made a message when the socket takes it. */
struct item {
	enum item_kind kind;
	uint32_t id;
	const struct config *config;
	uint64_t first, last;
};

/* A message that xespd has yet to answer. */
struct sent {
	uint32_t seq;
	uint32_t id;
	enum xesp_keymsg_type type;
};

struct fifo {
	char *base;
	size_t head, n, room; /* in elements */
};

enum state { AWAY, WAIT_HELLO, SYNCING, IN_STEP };

struct publish_worker {
	struct publish_worker_calls calls;
	struct event_base *base;
	struct seqpacket door;
	int fd;
	enum state state;
	uint32_t pid, seq;
	uint32_t patience_ms;
	uint64_t moved_ns; /* when something was last sent or received */
	struct event *acceptable, *readable, *writable, *timer;
	struct fifo items, sent;
	uint8_t *out, *in;         /* XESP_KEYMSG_MAX each, locked */
	struct log_limit second_log;
};

static void hang_up(struct publish_worker *w, const char *why);

/* ---- what waits */

static void *fifo_push(struct fifo *q, size_t size)
{
	if (q->head + q->n == q->room) {
		size_t room = q->n * 2 + 64;
		char *fresh = malloc(room * size);

		if (!fresh)
			return NULL;
		if (q->n)
			memcpy(fresh, q->base + q->head * size, q->n * size);
		free(q->base);
		*q = (struct fifo){ fresh, 0, q->n, room };
	}
	return q->base + (q->head + q->n++) * size;
}

static void *fifo_first(const struct fifo *q, size_t size)
{
	return q->n ? q->base + q->head * size : NULL;
}

static void fifo_pop(struct fifo *q)
{
	q->head++;
	if (!--q->n)
		q->head = 0;
}

static void add_item(struct publish_worker *w, struct item it)
{
	struct item *at;

	if (w->state < SYNCING)
		return;
	at = fifo_push(&w->items, sizeof(it));
	if (!at) {
		hang_up(w, "out of memory");
		return;
	}
	*at = it;
	event_add(w->writable, NULL);
}

void publish_worker_tunnel(struct publish_worker *w, const struct config *c, uint32_t tunnel,
			   enum publish_out out)
{
	const struct tunnel *t = &c->sad.tunnels[tunnel];
	const enum compose_out what = out == PUBLISH_OUT_SA ? COMPOSE_OUT : COMPOSE_NO_OUT;

	if (t->members_n) {
		add_item(w, (struct item){ .kind = ITEM_GROUP, .config = c, .id = tunnel });
		return;
	}
	add_item(w, (struct item){ .kind = ITEM_TUNNEL, .config = c, .id = tunnel, .first = what });
}

void publish_worker_sa(struct publish_worker *w, const struct config *c, uint32_t sa)
{
	add_item(w, (struct item){ .kind = ITEM_SA, .config = c, .id = sa });
}

static void add_id(struct publish_worker *w, enum xesp_keymsg_type type, uint32_t id)
{
	add_item(w, (struct item){ .kind = ITEM_ID, .id = id, .first = type });
}

void publish_worker_sa_del(struct publish_worker *w, uint32_t id)
{
	add_id(w, XESP_KEYMSG_SA_DEL, id);
}

void publish_worker_sa_del_last(struct publish_worker *w, uint32_t id)
{
	add_item(w, (struct item){ .kind = ITEM_ID, .id = id, .first = XESP_KEYMSG_SA_DEL, .last = 1 });
}

void publish_worker_tunnel_del(struct publish_worker *w, uint32_t id)
{
	add_id(w, XESP_KEYMSG_TUNNEL_DEL, id);
}

void publish_worker_refuse(struct publish_worker *w, uint32_t id)
{
	add_id(w, XESP_KEYMSG_LEASE_REFUSED, id);
}

void publish_worker_grant(struct publish_worker *w, uint32_t id, uint64_t first, uint64_t last)
{
	add_item(w, (struct item){ .kind = ITEM_GRANT, .id = id, .first = first, .last = last });
}

void publish_worker_spread(struct publish_worker *w, const struct config *c)
{
	add_id(w, XESP_KEYMSG_SPREAD, c->spread);
}

/* ---- what is sent */

static size_t compose(struct publish_worker *w, const struct item *it)
{
	switch (it->kind) {
	case ITEM_BARE:
		return compose_bare(w->out, (enum xesp_keymsg_type)it->id);
	case ITEM_HELLO:
		return compose_hello(w->out);
	case ITEM_SA:
		return compose_sa(w->out, it->config, it->id);
	case ITEM_GROUP:
		return compose_group(w->out, it->config, it->id);
	case ITEM_ID:
		return compose_id(w->out, (enum xesp_keymsg_type)it->first, it->id, (uint32_t)it->last);
	case ITEM_GRANT:
		return compose_lease(w->out, it->id, it->first, it->last);
	default:
		return compose_tunnel(w->out, it->config, it->id, (enum compose_out)it->first);
	}
}

static uint32_t wire_id(const struct item *it)
{
	if (it->kind == ITEM_SA)
		return it->config->sad.sas[it->id].id;
	if (it->kind == ITEM_TUNNEL || it->kind == ITEM_GROUP)
		return it->config->sad.tunnels[it->id].id;
	return it->id;
}

static bool is_answered(uint16_t type)
{
	return type == XESP_KEYMSG_SA_ADD || type == XESP_KEYMSG_SA_DEL ||
	       type == XESP_KEYMSG_TUNNEL_SET || type == XESP_KEYMSG_GROUP_SET ||
	       type == XESP_KEYMSG_LEASE_GRANT;
}

/* True: it is out. False: the worker does not take it now, or is gone. */
static bool send_out(struct publish_worker *w, size_t len, uint32_t id)
{
	struct xesp_keymsg *h = (void *)w->out;
	uint16_t type = h->type;
	struct sent *s;
	ssize_t n;
	int err;

	h->seq = w->seq + 1;
	n = send(w->fd, w->out, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	err = errno;
	secret_wipe(w->out, len);
	if (n < 0 && (err == EAGAIN || err == EWOULDBLOCK || err == ENOBUFS || err == EINTR))
		return false;
	if (n < 0) {
		hang_up(w, strerror(err));
		return false;
	}
	w->seq++;
	w->moved_ns = clock_ns();
	if (!is_answered(type))
		return true;
	s = fifo_push(&w->sent, sizeof(*s));
	if (!s) {
		hang_up(w, "out of memory");
		return false;
	}
	*s = (struct sent){ .seq = w->seq, .id = id, .type = (enum xesp_keymsg_type)type };
	return true;
}

/* The first item; false when it did not go out. */
static bool send_next(struct publish_worker *w, const struct item *it)
{
	if (!send_out(w, compose(w, it), wire_id(it)))
		return false;
	fifo_pop(&w->items);
	return true;
}

static void finish_sync(struct publish_worker *w)
{
	if (w->state != SYNCING || w->items.n)
		return;
	w->state = IN_STEP;
	w->calls.in_step(w->calls.ctx);
}

static void send_waiting(struct publish_worker *w)
{
	const struct item *it;

	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		it = fifo_first(&w->items, sizeof(*it));
		if (!it || !send_next(w, it))
			break;
	}
	if (w->items.n)
		event_add(w->writable, NULL);
	else
		finish_sync(w);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_waiting(arg);
}

/* ---- what comes in */

static void start_sync(struct publish_worker *w)
{
	const struct config *c = w->calls.present(w->calls.ctx);

	w->state = SYNCING;
	add_item(w, (struct item){ .kind = ITEM_HELLO });
	add_item(w, (struct item){ .kind = ITEM_BARE, .id = XESP_KEYMSG_SYNC_BEGIN });
	if (c)
		publish_worker_spread(w, c);
	for (uint32_t i = 0; c && i < c->sad.tunnels_n; i++)
		publish_worker_tunnel(w, c, i, PUBLISH_OUT_SA);
	for (uint32_t i = 0; c && i < c->sad.sas_n; i++)
		if (c->sad.sas[i].standing != SA_REFUSED)
			publish_worker_sa(w, c, i);
	add_item(w, (struct item){ .kind = ITEM_BARE, .id = XESP_KEYMSG_SYNC_END });
}

static int greet(struct publish_worker *w, const struct xesp_keymsg_hello *m, struct fault *f)
{
	if (w->state != WAIT_HELLO)
		return fault_set(f, -EPROTO, "a second HELLO");
	if (m->steer_abi != XESP_STEER_ABI)
		return fault_set(f, -EPROTO,
				 "xespd has map ABI %u, ours is %d: xespd and xesp-keyd are of different versions, restart both",
				 m->steer_abi, XESP_STEER_ABI);
	log_info("worker: xespd, pid %u, connected", w->pid);
	start_sync(w);
	return 0;
}

/* Whether a message with this number waits for its answer: they are in order, some numbers are none's. */
static bool waits_for(const struct fifo *q, uint32_t seq)
{
	const struct sent *s = fifo_first(q, sizeof(*s));

	for (size_t i = 0; i < q->n; i++)
		if (s[i].seq == seq)
			return true;
	return false;
}

static int take_ack(struct publish_worker *w, const struct xesp_keymsg_ack *m, struct fault *f)
{
	char text[sizeof(m->text) + 1];
	const struct sent *s;
	struct sent answered;

	if (!waits_for(&w->sent, m->acked_seq))
		return fault_set(f, -EPROTO, "an answer to message %u, which waits for none",
				 m->acked_seq);
	memcpy(text, m->text, sizeof(m->text));
	text[sizeof(m->text)] = '\0';
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?'; /* it goes into logs and listings */
	do {
		s = fifo_first(&w->sent, sizeof(*s));
		if (!s)
			return 0; /* who was told hung up */
		answered = *s;
		fifo_pop(&w->sent);
		if (answered.seq != m->acked_seq)
			w->calls.acked(w->calls.ctx, answered.type, answered.id, 0, "");
	} while (answered.seq != m->acked_seq);
	w->calls.acked(w->calls.ctx, answered.type, answered.id, m->error > 0 ? -EPROTO : m->error,
		       text);
	return 0;
}

static int take_message(struct publish_worker *w, size_t len, struct fault *f)
{
	const struct xesp_keymsg *h = (const void *)w->in;
	int err = compose_check_reply(w->in, len, f);

	if (err)
		return err;
	if (h->type == XESP_KEYMSG_HELLO)
		return greet(w, (const void *)h, f);
	if (w->state == WAIT_HELLO)
		return fault_set(f, -EPROTO, "message type %u before HELLO", h->type);
	if (h->type == XESP_KEYMSG_ACK)
		return take_ack(w, (const void *)h, f);
	if (h->type == XESP_KEYMSG_PEER_MOVED) {
		w->calls.peer_moved(w->calls.ctx, (const void *)h);
		return 0;
	}
	if (h->type == XESP_KEYMSG_PEER_DEAD || h->type == XESP_KEYMSG_PEER_ALIVE) {
		if (w->calls.peer_alive)
			w->calls.peer_alive(w->calls.ctx, ((const struct xesp_keymsg_id *)h)->id,
					    h->type == XESP_KEYMSG_PEER_ALIVE);
		return 0;
	}
	if (h->type == XESP_KEYMSG_ACQUIRE) {
		w->calls.acquire(w->calls.ctx, (const void *)h);
		return 0;
	}
	w->calls.lease_wanted(w->calls.ctx, ((const struct xesp_keymsg_id *)h)->id);
	return 0;
}

static void receive_waiting(struct publish_worker *w)
{
	const int fd = w->fd;

	for (int i = 0; i < MESSAGES_AT_ONCE && w->fd == fd && fd >= 0; i++) {
		struct fault f = { "" };
		/* MSG_TRUNC: the real length, so that a message too long is seen to be. */
		ssize_t n = recv(fd, w->in, XESP_KEYMSG_MAX, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (n <= 0) {
			hang_up(w, n ? strerror(errno) : "it is gone");
			return;
		}
		w->moved_ns = clock_ns();
		if (n > XESP_KEYMSG_MAX)
			fault_set(&f, -EPROTO, "message of %zd bytes, more than %d", n,
				  XESP_KEYMSG_MAX);
		else
			take_message(w, (size_t)n, &f);
		if (f.text[0])
			hang_up(w, f.text);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	receive_waiting(arg);
}

/* ---- the connection */

static void hang_up(struct publish_worker *w, const char *why)
{
	bool was_there = w->state >= SYNCING;

	if (w->fd < 0)
		return;
	log_info("worker: xespd, pid %u: %s; connection closed", w->pid, why);
	event_del(w->readable);
	event_del(w->writable);
	event_del(w->timer);
	close(w->fd);
	w->fd = -1;
	w->state = AWAY;
	w->pid = 0;
	w->items.n = w->items.head = 0;
	w->sent.n = w->sent.head = 0;
	if (was_there)
		w->calls.gone(w->calls.ctx);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct publish_worker *w = arg;
	uint64_t still_ms = (clock_ns() - w->moved_ns) / 1000000;
	bool owed = w->state == WAIT_HELLO || w->items.n || w->sent.n;

	(void)fd;
	(void)what;
	if (owed && still_ms >= w->patience_ms)
		hang_up(w, w->state == WAIT_HELLO ? "said no HELLO" : "does not read or answer");
}

/* A worker that was killed may be gone without our having read it. */
static void notice_end(struct publish_worker *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };

	if (w->fd >= 0 && poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
		hang_up(w, "it is gone");
}

static void set_timer(struct publish_worker *w)
{
	const struct timeval tv = { .tv_sec = w->patience_ms / 4000,
				    .tv_usec = (suseconds_t)(w->patience_ms / 4 % 1000) * 1000 };

	event_add(w->timer, &tv);
}

static void on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
	struct publish_worker *w = arg;
	struct fault f = { "" };
	uint64_t suppressed;
	uint32_t pid;
	int fd = seqpacket_accept(&w->door, &pid, &f);

	(void)listen_fd;
	(void)what;
	notice_end(w);
	if (fd >= 0 && w->fd >= 0) {
		fault_set(&f, -EBUSY, "pid %u was refused: xespd, pid %u, is connected", pid, w->pid);
		close(fd);
		fd = -1;
	}
	if (f.text[0] && log_allowed(&w->second_log, &suppressed))
		log_warn("worker: %s", f.text);
	if (fd < 0)
		return;
	w->fd = fd;
	w->pid = pid;
	w->state = WAIT_HELLO;
	w->seq = 0;
	w->moved_ns = clock_ns();
	event_assign(w->readable, w->base, fd, EV_READ | EV_PERSIST, on_readable, w);
	event_assign(w->writable, w->base, fd, EV_WRITE, on_writable, w);
	event_add(w->readable, NULL);
	set_timer(w);
}

bool publish_worker_connected(const struct publish_worker *w)
{
	return w->state == IN_STEP;
}

uint32_t publish_worker_pid(const struct publish_worker *w)
{
	return w->pid;
}

void publish_worker_set_patience(struct publish_worker *w, uint32_t ms)
{
	w->patience_ms = ms;
}

bool publish_worker_drain(struct publish_worker *w, int timeout_ms)
{
	const uint64_t patience_ns = (uint64_t)timeout_ms * 1000000u, began = clock_ns();

	while (w->fd >= 0 && w->state >= SYNCING && (w->items.n || w->sent.n)) {
		struct pollfd p = { .fd = w->fd, .events = POLLIN };
		/* 100 000 SAs may take long on a busy machine: what counts is that it goes on. */
		const uint64_t until = (w->moved_ns > began ? w->moved_ns : began) + patience_ns;
		const uint64_t now = clock_ns();

		if (now >= until) {
			hang_up(w, "does not read or answer in time");
			return false;
		}
		if (w->items.n)
			p.events |= POLLOUT;
		if (poll(&p, 1, (int)((until - now) / 1000000) + 1) < 0 && errno != EINTR)
			break;
		if (p.revents & ~POLLOUT)
			receive_waiting(w);
		if (w->fd >= 0 && p.revents & POLLOUT)
			send_waiting(w);
	}
	return w->fd >= 0 && w->state >= SYNCING;
}

/* ---- the socket */

int publish_worker_open(struct publish_worker **out, struct event_base *base, const char *path,
			const struct publish_worker_calls *calls, struct fault *f)
{
	struct publish_worker *w;
	int err;

	w = calloc(1, sizeof(*w));
	if (!w)
		return fault_set(f, -ENOMEM, "out of memory");
	w->calls = *calls;
	w->base = base;
	w->fd = -1;
	w->patience_ms = PATIENCE_MS;
	w->out = secret_alloc(XESP_KEYMSG_MAX);
	w->in = secret_alloc(XESP_KEYMSG_MAX);
	err = seqpacket_listen(&w->door, path, f);
	if (err) {
		publish_worker_close(w);
		return err;
	}
	w->acceptable = event_new(base, w->door.fd, EV_READ | EV_PERSIST, on_acceptable, w);
	w->readable = event_new(base, -1, 0, on_readable, w);
	w->writable = event_new(base, -1, 0, on_writable, w);
	w->timer = event_new(base, -1, EV_PERSIST, on_timer, w);
	if (!w->out || !w->in || !w->acceptable || !w->readable || !w->writable || !w->timer ||
	    event_add(w->acceptable, NULL)) {
		publish_worker_close(w);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	*out = w;
	return 0;
}

static void free_event(struct event *e)
{
	if (e)
		event_free(e);
}

void publish_worker_close(struct publish_worker *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		hang_up(w, "xesp-keyd ends");
	free_event(w->acceptable);
	free_event(w->readable);
	free_event(w->writable);
	free_event(w->timer);
	seqpacket_close(&w->door);
	secret_free(w->out, XESP_KEYMSG_MAX);
	secret_free(w->in, XESP_KEYMSG_MAX);
	free(w->items.base);
	free(w->sent.base);
	free(w);
}

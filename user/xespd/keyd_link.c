/* SPDX-License-Identifier: BSD-2-Clause */
/* keyd_link.c - see keyd_link.h. From top to bottom: checks, what each message does, the socket. */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libxesp/keymsg_header.h"
#include "libxesp/secret.h"
#include "sad/acquire.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "xesp/fault.h"
#include "xesp/keymsg.h"
#include "xesp/log.h"
#include "xespd/keyd_link.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 2000
#define HELLO_MS 5000        /* keyd must have answered by then */
#define MESSAGES_AT_ONCE 256 /* before other events get their turn */

enum state { AWAY, WAIT_HELLO, WAIT_SYNC, IN_SYNC, SYNCED };

/* What goes out is small and rare: it waits here only while keyd does not read. */
struct outgoing {
	struct outgoing *next;
	size_t len;
	uint8_t bytes[sizeof(struct xesp_keymsg_ack)];
};

struct keyd_link {
	struct keyd_link_opts o;
	struct event_base *base;
	struct sockaddr_un addr;
	enum state state;
	int fd;
	uint32_t seq;
	uint32_t accepted; /* number of the last message that was, and that keyd does not know of; 0 none */
	uint32_t backoff_ms;
	bool told; /* that keyd is away: once, not with every attempt */
	struct event *readable, *writable, *timer, *lease, *acquire;
	struct outgoing *first, **last;
	uint8_t *buf; /* XESP_KEYMSG_MAX, locked */
};

static void hang_up(struct keyd_link *l);

/* ---- checks */

static const struct {
	size_t len; /* exact, but TUNNEL_SET's is without what cpus_n counts; 0: not for keyd to send */
	const char *name;
} messages[] = {
	[XESP_KEYMSG_HELLO] = { sizeof(struct xesp_keymsg_hello), "HELLO" },
	[XESP_KEYMSG_SYNC_BEGIN] = { sizeof(struct xesp_keymsg), "SYNC_BEGIN" },
	[XESP_KEYMSG_SYNC_END] = { sizeof(struct xesp_keymsg), "SYNC_END" },
	[XESP_KEYMSG_TUNNEL_SET] = { sizeof(struct xesp_keymsg_tunnel), "TUNNEL_SET" },
	[XESP_KEYMSG_TUNNEL_DEL] = { sizeof(struct xesp_keymsg_id), "TUNNEL_DEL" },
	[XESP_KEYMSG_SA_ADD] = { sizeof(struct xesp_keymsg_sa), "SA_ADD" },
	[XESP_KEYMSG_SA_DEL] = { sizeof(struct xesp_keymsg_id), "SA_DEL" },
	[XESP_KEYMSG_LEASE_GRANT] = { sizeof(struct xesp_keymsg_lease), "LEASE_GRANT" },
	[XESP_KEYMSG_LEASE_REFUSED] = { sizeof(struct xesp_keymsg_id), "LEASE_REFUSED" },
	[XESP_KEYMSG_SPREAD] = { sizeof(struct xesp_keymsg_id), "SPREAD" },
	[XESP_KEYMSG_GROUP_SET] = { sizeof(struct xesp_keymsg_group), "GROUP_SET" },
};
#define MESSAGES_N (sizeof(messages) / sizeof(messages[0]))

int keyd_link_check(const void *packet, size_t len, struct fault *f)
{
	const struct xesp_keymsg_tunnel *tunnel = packet;
	const struct xesp_keymsg *h = packet;
	int err = keymsg_check_header(packet, len, f);
	size_t want;

	if (err)
		return err;
	want = h->type < MESSAGES_N ? messages[h->type].len : 0;
	if (!want)
		return fault_set(f, -EPROTO, "message type %u is not keyd's to send", h->type);
	if (h->type == XESP_KEYMSG_TUNNEL_SET && len >= want)
		want += tunnel->cpus_n * sizeof(struct xesp_keymsg_cpu);
	if (len != want)
		return fault_set(f, -EPROTO, "%s of %zu bytes instead of %zu",
				 messages[h->type].name, len, want);
	if (h->type == XESP_KEYMSG_TUNNEL_SET &&
	    !memchr(tunnel->name, 0, sizeof(tunnel->name)))
		return fault_set(f, -EPROTO, "TUNNEL_SET whose name does not end");
	return 0;
}

/* ---- out */

static void enqueue(struct keyd_link *l, const struct xesp_keymsg *m)
{
	struct outgoing *o = calloc(1, sizeof(*o));

	if (!o) { /* keyd says it all again on the next connection */
		log_error("keyd link: out of memory");
		hang_up(l);
		return;
	}
	o->len = m->len;
	memcpy(o->bytes, m, m->len);
	*l->last = o;
	l->last = &o->next;
	event_add(l->writable, NULL);
}

/* True: gone, or gone for good with the connection; false: keyd does not read just now. */
static bool try_send(struct keyd_link *l, const void *bytes, size_t len)
{
	if (send(l->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return true;
	return errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS;
}

/* A failure shows up at the next recv(), which ends the connection. */
static void send_message(struct keyd_link *l, struct xesp_keymsg *m, enum xesp_keymsg_type type,
			 size_t len)
{
	if (l->fd < 0)
		return;
	m->len = (uint32_t)len;
	m->type = (uint16_t)type;
	m->version = XESP_KEYMSG_VERSION;
	m->seq = ++l->seq;
	if (l->first || !try_send(l, m, len))
		enqueue(l, m);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct keyd_link *l = arg;
	struct outgoing *o;

	(void)fd;
	(void)what;
	while ((o = l->first)) {
		if (!try_send(l, o->bytes, o->len)) {
			event_add(l->writable, NULL);
			return;
		}
		l->first = o->next;
		if (!l->first)
			l->last = &l->first;
		free(o);
	}
}

/* Accepted is what came before; keyd hears of it with the next refusal, or by tell_accepted(). */
static void refuse(struct keyd_link *l, const struct xesp_keymsg *h, int err, const struct fault *f)
{
	struct xesp_keymsg_ack ack = { .acked_seq = h->seq, .error = err };

	snprintf(ack.text, sizeof(ack.text), "%.*s", (int)sizeof(ack.text) - 1, f->text);
	l->accepted = 0;
	send_message(l, &ack.h, XESP_KEYMSG_ACK, sizeof(ack));
}

/* One answer to many: of 100 000 SAs, each would cost both ends as much as the SA itself. */
static void tell_accepted(struct keyd_link *l)
{
	struct xesp_keymsg_ack ack = { .acked_seq = l->accepted };

	if (!l->accepted)
		return;
	l->accepted = 0;
	send_message(l, &ack.h, XESP_KEYMSG_ACK, sizeof(ack));
}

static void ask_lease(void *ctx, uint32_t sa_id)
{
	struct xesp_keymsg_id m = { .id = sa_id };

	send_message(ctx, &m.h, XESP_KEYMSG_LEASE_REQUEST, sizeof(m));
}

static void tell_peer(void *ctx, const struct xesp_keymsg_peer *seen)
{
	struct xesp_keymsg_peer m = *seen;

	send_message(ctx, &m.h, XESP_KEYMSG_PEER_MOVED, sizeof(m));
}

void keyd_link_tell_peers(struct keyd_link *l)
{
	if (l->state == SYNCED)
		sad_tell_peers(l->o.sad, tell_peer, l);
}

void keyd_link_tell_alive(struct keyd_link *l, uint32_t tunnel, bool alive)
{
	struct xesp_keymsg_id m = { .id = tunnel };

	if (l->state == SYNCED)
		send_message(l, &m.h, alive ? XESP_KEYMSG_PEER_ALIVE : XESP_KEYMSG_PEER_DEAD,
			     sizeof(m));
}

static void on_lease(evutil_socket_t fd, short what, void *arg)
{
	struct keyd_link *l = arg;

	(void)fd;
	(void)what;
	if (l->state == SYNCED)
		sad_lease_wanted(l->o.sad, ask_lease, l);
}

static void tell_acquire(void *ctx, const struct acquire_note *n)
{
	struct xesp_keymsg_acquire m = { .tunnel = n->tunnel,
					 .policy = n->policy,
					 .values = n->values,
					 .cpu = XESP_CPU_NONE };
	struct keyd_link *l = ctx;

	if (n->worker != ACQUIRE_VALUES)
		m.cpu = sad_cpu(l->o.sad, n->worker);
	send_message(l, &m.h, XESP_KEYMSG_ACQUIRE, sizeof(m));
}

static void on_acquire(evutil_socket_t fd, short what, void *arg)
{
	struct keyd_link *l = arg;

	(void)fd;
	(void)what;
	if (l->state == SYNCED)
		sad_tell_acquires(l->o.sad, tell_acquire, l);
}

/* ---- in */

static int greet(struct keyd_link *l, const struct xesp_keymsg_hello *m, struct fault *f)
{
	if (l->state != WAIT_HELLO)
		return fault_set(f, -EPROTO, "a second HELLO");
	if (m->steer_abi != XESP_STEER_ABI)
		return fault_set(f, -EPROTO,
				 "xesp-keyd has map ABI %u, ours is %d: xespd and xesp-keyd are of different versions, restart both",
				 m->steer_abi, XESP_STEER_ABI);
	l->state = WAIT_SYNC;
	event_del(l->timer);
	return 0;
}

static int sync_begin(struct keyd_link *l, struct fault *f)
{
	if (l->state == IN_SYNC)
		return fault_set(f, -EPROTO, "SYNC_BEGIN within a synchronisation");
	l->state = IN_SYNC;
	event_del(l->lease);
	event_del(l->acquire);
	sad_sync_begin(l->o.sad);
	return 0;
}

static int sync_end(struct keyd_link *l, struct fault *f)
{
	if (l->state != IN_SYNC)
		return fault_set(f, -EPROTO, "SYNC_END without a SYNC_BEGIN");
	sad_sync_end(l->o.sad);
	l->state = SYNCED;
	l->told = false;
	/* Not at HELLO: a keyd whose messages are refused is not asked ten times a second. */
	l->backoff_ms = BACKOFF_FIRST_MS;
	log_info("keyd link: in step with xesp-keyd, %u SAs", sad_count(l->o.sad));
	event_add(l->lease, NULL);
	event_add(l->acquire, NULL);
	tell_accepted(l);
	/* Requests that were made while keyd was away. */
	sad_lease_wanted(l->o.sad, ask_lease, l);
	keyd_link_tell_peers(l);
	l->o.changed(l->o.ctx, KEYD_LINK_ALL);
	return 0;
}

/* What the message is about, as it stands before it is followed; 0: no tunnel that there is. */
static uint32_t tunnel_of(const struct sad *sad, const struct xesp_keymsg *h)
{
	const struct xesp_keymsg_id *id = (const void *)h;
	const struct sa *sa;

	switch (h->type) {
	case XESP_KEYMSG_TUNNEL_SET:
		return ((const struct xesp_keymsg_tunnel *)(const void *)h)->id;
	case XESP_KEYMSG_SA_ADD:
		return ((const struct xesp_keymsg_sa *)(const void *)h)->tunnel;
	case XESP_KEYMSG_TUNNEL_DEL:
		return id->id;
	case XESP_KEYMSG_SA_DEL:
		sa = sad_find(sad, id->id);
		return sa ? sa->tunnel : 0;
	default:
		return 0;
	}
}

/* What the SAD refuses is keyd's to know, and no reason to hang up. */
static void apply(struct keyd_link *l, const struct xesp_keymsg *h)
{
	const struct xesp_keymsg_id *id = (const void *)h;
	const uint32_t tunnel = tunnel_of(l->o.sad, h);
	struct sad *sad = l->o.sad;
	struct fault f = { "" };
	bool answer = true;
	int err = 0;

	switch (h->type) {
	case XESP_KEYMSG_TUNNEL_SET:
		err = sad_tunnel_set(sad, (const void *)h, &f);
		break;
	case XESP_KEYMSG_GROUP_SET:
		err = sad_group_set(sad, (const void *)h, &f);
		break;
	case XESP_KEYMSG_TUNNEL_DEL:
		err = sad_tunnel_del(sad, id->id, &f);
		answer = false;
		break;
	case XESP_KEYMSG_SA_ADD:
		err = sad_add(sad, (const void *)h, &f);
		break;
	case XESP_KEYMSG_SA_DEL:
		err = sad_del(sad, id->id, &f);
		if (id->wait && sad_wait(sad))
			err = fault_set(&f, -EBUSY, "a worker still holds an SA that was deleted");
		break;
	case XESP_KEYMSG_LEASE_GRANT:
		err = sad_lease_grant(sad, (const void *)h, &f);
		break;
	case XESP_KEYMSG_LEASE_REFUSED:
		sad_lease_refused(sad, id->id);
		return;
	case XESP_KEYMSG_SPREAD:
		if (id->id > XESP_SPREAD_ALWAYS)
			log_warn("keyd link: SPREAD %u: no such way; things stay as they are", id->id);
		else if (l->o.spread)
			l->o.spread(l->o.ctx, (enum xesp_spread)id->id);
		return;
	default:
		return;
	}
	if (err)
		log_warn("keyd link: %s refused: %s", messages[h->type].name, f.text);
	if (answer && err)
		refuse(l, h, err, &f);
	else if (answer)
		l->accepted = h->seq;
	if (l->state == SYNCED && h->type != XESP_KEYMSG_LEASE_GRANT)
		l->o.changed(l->o.ctx, tunnel);
}

static int take_message(struct keyd_link *l, size_t len, struct fault *f)
{
	const struct xesp_keymsg *h = (const void *)l->buf;
	int err = keyd_link_check(l->buf, len, f);

	if (err)
		return err;
	if (l->state == WAIT_HELLO && h->type != XESP_KEYMSG_HELLO)
		return fault_set(f, -EPROTO, "%s before HELLO", messages[h->type].name);
	switch (h->type) {
	case XESP_KEYMSG_HELLO:
		return greet(l, (const void *)h, f);
	case XESP_KEYMSG_SYNC_BEGIN:
		return sync_begin(l, f);
	case XESP_KEYMSG_SYNC_END:
		return sync_end(l, f);
	default:
		break;
	}
	if (l->state == WAIT_SYNC)
		return fault_set(f, -EPROTO, "%s before SYNC_BEGIN", messages[h->type].name);
	apply(l, h);
	return 0;
}

static void receive_waiting(struct keyd_link *l, int fd)
{
	for (int i = 0; i < MESSAGES_AT_ONCE && l->fd == fd; i++) {
		struct fault f = { "" };
		/* MSG_TRUNC: the real length, so that a message too long is seen to be. */
		ssize_t n = recv(fd, l->buf, XESP_KEYMSG_MAX, MSG_DONTWAIT | MSG_TRUNC);
		int err;

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (n <= 0) {
			hang_up(l);
			return;
		}
		if (n > XESP_KEYMSG_MAX)
			err = fault_set(&f, -EPROTO, "message of %zd bytes, more than %d", n,
					XESP_KEYMSG_MAX);
		else
			err = take_message(l, (size_t)n, &f);
		secret_wipe(l->buf, n < XESP_KEYMSG_MAX ? (size_t)n : XESP_KEYMSG_MAX);
		if (err) {
			log_warn("keyd link: %s; connection closed", f.text);
			hang_up(l);
		}
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct keyd_link *l = arg;

	(void)what;
	receive_waiting(l, fd);
	tell_accepted(l);
}

/* ---- the socket */

static void set_timer(struct keyd_link *l, uint32_t ms)
{
	const struct timeval tv = {
		.tv_sec = ms / 1000,
		.tv_usec = (suseconds_t)(ms % 1000) * 1000,
	};

	event_add(l->timer, &tv);
}

static void hang_up(struct keyd_link *l)
{
	struct outgoing *o;

	if (l->fd < 0)
		return;
	if (l->state == SYNCED || l->state == IN_SYNC)
		log_warn("keyd link: xesp-keyd is gone; SAs stay in force, leases last while they last");
	event_del(l->readable);
	event_del(l->writable);
	event_del(l->lease);
	event_del(l->acquire);
	close(l->fd);
	l->fd = -1;
	l->accepted = 0;
	l->state = AWAY;
	while ((o = l->first)) {
		l->first = o->next;
		free(o);
	}
	l->last = &l->first;
	set_timer(l, l->backoff_ms);
	l->backoff_ms = l->backoff_ms * 2 < BACKOFF_MAX_MS ? l->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static int check_peer(int fd, struct fault *f)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return fault_set(f, -errno, "SO_PEERCRED: %s", strerror(errno));
	if (peer.uid && peer.uid != geteuid())
		return fault_set(f, -EPERM, "uid %u serves xesp-keyd's socket: keys from it are not taken",
				 peer.uid);
	return 0;
}

static int dial(struct keyd_link *l, struct fault *f)
{
	int err, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fault_set(f, -errno, "socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&l->addr, sizeof(l->addr))) {
		err = fault_set(f, -errno, "%s: %s; is xesp-keyd running?", l->o.path,
				strerror(errno));
		goto close_fd;
	}
	err = check_peer(fd, f);
	if (err)
		goto close_fd;
	l->fd = fd;
	return 0;

close_fd:
	close(fd);
	return err;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct keyd_link *l = arg;
	struct xesp_keymsg_hello hello = { .steer_abi = XESP_STEER_ABI, .pid = (uint32_t)getpid() };
	struct fault f = { "" };

	(void)fd;
	(void)what;
	if (l->fd >= 0) {
		log_warn("keyd link: no HELLO from xesp-keyd within %d s", HELLO_MS / 1000);
		hang_up(l);
		return;
	}
	if (dial(l, &f)) {
		if (!l->told)
			log_info("keyd link: %s (trying on)", f.text);
		l->told = true;
		set_timer(l, l->backoff_ms);
		l->backoff_ms =
			l->backoff_ms * 2 < BACKOFF_MAX_MS ? l->backoff_ms * 2 : BACKOFF_MAX_MS;
		return;
	}
	l->state = WAIT_HELLO;
	l->seq = 0;
	event_assign(l->readable, l->base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
	event_assign(l->writable, l->base, l->fd, EV_WRITE, on_writable, l);
	event_add(l->readable, NULL);
	set_timer(l, HELLO_MS);
	send_message(l, &hello.h, XESP_KEYMSG_HELLO, sizeof(hello));
}

int keyd_link_open(struct keyd_link **out, struct event_base *base, const struct keyd_link_opts *o,
		   struct fault *f)
{
	struct keyd_link *l;

	if (strlen(o->path) >= sizeof(l->addr.sun_path))
		return fault_set(f, -ENAMETOOLONG, "socket path '%s' is too long", o->path);
	l = calloc(1, sizeof(*l));
	if (!l)
		return fault_set(f, -ENOMEM, "out of memory");
	l->o = *o;
	l->base = base;
	l->fd = -1;
	l->backoff_ms = BACKOFF_FIRST_MS;
	l->last = &l->first;
	l->addr.sun_family = AF_UNIX;
	snprintf(l->addr.sun_path, sizeof(l->addr.sun_path), "%s", o->path);
	l->buf = secret_alloc(XESP_KEYMSG_MAX);
	l->readable = event_new(base, -1, 0, on_readable, l);
	l->writable = event_new(base, -1, 0, on_writable, l);
	l->timer = event_new(base, -1, 0, on_timer, l);
	l->lease = event_new(base, sad_lease_fd(o->sad), EV_READ | EV_PERSIST, on_lease, l);
	l->acquire = event_new(base, sad_acquire_fd(o->sad), EV_READ | EV_PERSIST, on_acquire, l);
	if (!l->buf || !l->readable || !l->writable || !l->timer || !l->lease || !l->acquire) {
		keyd_link_close(l);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	set_timer(l, 0);
	*out = l;
	return 0;
}

void keyd_link_close(struct keyd_link *l)
{
	if (!l)
		return;
	l->state = AWAY; /* our own end is nothing to warn of */
	if (l->timer)
		hang_up(l);
	if (l->readable)
		event_free(l->readable);
	if (l->writable)
		event_free(l->writable);
	if (l->timer)
		event_free(l->timer);
	if (l->lease)
		event_free(l->lease);
	if (l->acquire)
		event_free(l->acquire);
	secret_free(l->buf, XESP_KEYMSG_MAX);
	free(l);
}

bool keyd_link_connected(const struct keyd_link *l)
{
	return l->state == SYNCED;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc.c - see rpc.h: the server. From the bottom up: listener, client, events, line, answer.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libxesp/rpc.h"
#include "libxesp/rpc_json.h"
#include "libxesp/rpc_listen.h"
#include "libxesp/secret.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define RPC_LINGER_S   5 /* how long a client may take to read its last answer */
#define RPC_PRINT      (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
#define RPC_ROOM_FIRST 4096
#define RPC_ROOM_STEP_MS 10 /* between two looks for a client that may make room */

struct rpc_client {
	TAILQ_ENTRY(rpc_client) link;
	struct rpc_server *server;
	struct bufferevent *bev;  /* writes; what is read goes into `in`, for it may hold keys */
	struct event *readable;
	struct event *deadline;   /* a line has begun and must end by then */
	char *in;                 /* secret_alloc() */
	size_t in_len, in_room, searched; /* no line ends in the first `searched` bytes */
	uint64_t missed;          /* events that it was too slow for */
	uint64_t since_ms;        /* it was accepted then */
	bool subscriber;
	bool closing; /* its last answer is being written */
};

struct rpc_server {
	struct evconnlistener *listener;
	struct event *room; /* one more than there are places for was accepted: somebody must go */
	struct event_base *base;
	const struct rpc_method *table;
	void *ctx;
	TAILQ_HEAD(, rpc_client) clients; /* the one that was silent longest is the first */
	unsigned int clients_n, subscribers_n;
	size_t line_max;
	uint32_t patience_ms;
	struct rpc_client *caller; /* whose request is being answered */
	struct rpc_client *large;  /* the one that may send more than RPC_LINE_MAX bytes just now */
	struct rpc_place place;
};

static void free_client(struct rpc_client *c)
{
	struct rpc_server *s = c->server;

	TAILQ_REMOVE(&s->clients, c, link);
	s->clients_n--;
	s->subscribers_n -= c->subscriber;
	if (s->large == c)
		s->large = NULL;
	if (c->readable)
		event_free(c->readable);
	if (c->deadline)
		event_free(c->deadline);
	if (c->bev)
		bufferevent_free(c->bev);
	secret_free(c->in, c->in_room);
	free(c);
}

/* Lets the client read what was answered, then ends it. */
static void close_when_written(struct rpc_client *c)
{
	const struct timeval linger = { .tv_sec = RPC_LINGER_S };

	if (!evbuffer_get_length(bufferevent_get_output(c->bev))) {
		free_client(c);
		return;
	}
	c->closing = true;
	event_del(c->readable);
	event_del(c->deadline);
	bufferevent_set_timeouts(c->bev, NULL, &linger);
}

static void write_line(struct rpc_client *c, struct json_object *o)
{
	size_t len = 0;
	const char *text = json_object_to_json_string_length(o, RPC_PRINT, &len);

	/* Out of memory here loses an answer; the client's time-out tells its user. */
	if (text) {
		bufferevent_write(c->bev, text, len);
		bufferevent_write(c->bev, "\n", 1);
	}
}

static void write_answer(struct rpc_client *c, struct json_object *answer)
{
	write_line(c, answer);
	json_object_put(answer);
}

static struct json_object *new_answer(struct json_object *id, bool ok)
{
	struct json_object *answer = json_object_new_object();

	if (id)
		json_object_object_add(answer, "id", json_object_get(id));
	json_object_object_add(answer, "ok", json_object_new_boolean(ok));
	return answer;
}

static void refuse(struct rpc_client *c, struct json_object *id, int err, const char *text)
{
	struct json_object *answer = new_answer(id, false);
	const char *name = strerrorname_np(-err);

	json_object_object_add(answer, "error",
			       json_object_new_string(text[0] ? text : strerror(-err)));
	json_object_object_add(answer, "errno", json_object_new_string(name ? name : "EIO"));
	write_answer(c, answer);
}

static const struct rpc_method *find_method(const struct rpc_server *s, const char *name)
{
	for (const struct rpc_method *m = s->table; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

static void answer_request(struct rpc_client *c, struct json_object *request)
{
	struct json_object *id = json_object_object_get(request, "id");
	struct json_object *name = json_object_object_get(request, "request");
	struct json_object *params = json_object_object_get(request, "params");
	struct json_object *result = NULL, *answer;
	const struct rpc_method *m;
	struct fault f = { "" };
	int err;

	if (!json_object_is_type(name, json_type_string)) {
		refuse(c, id, -EINVAL, "the member 'request' is missing or not a string");
		return;
	}
	if (params && !json_object_is_type(params, json_type_object)) {
		refuse(c, id, -EINVAL, "the member 'params' is not an object");
		return;
	}
	m = find_method(c->server, json_object_get_string(name));
	if (!m) {
		err = fault_set(&f, -EOPNOTSUPP, "no request is called '%.64s'",
				json_object_get_string(name));
		refuse(c, id, err, f.text);
		return;
	}
	c->server->caller = c;
	err = m->handle(c->server->ctx, params, &result, &f);
	c->server->caller = NULL;
	if (err) {
		refuse(c, id, err, f.text);
		json_object_put(result);
		return;
	}
	answer = new_answer(id, true);
	json_object_object_add(answer, "result", result ? result : json_object_new_object());
	write_answer(c, answer);
}

/* False: the line was not a request, and nothing after it can be trusted to be one. */
static bool take_line(struct rpc_client *c, const char *line, size_t len)
{
	struct json_object *request;

	if (len && line[len - 1] == '\r')
		len--;
	request = rpc_parse(line, len);
	if (!request) {
		refuse(c, NULL, -EBADMSG, "the line is not a JSON object");
		return false;
	}
	answer_request(c, request);
	rpc_wipe(request);
	json_object_put(request);
	return true;
}

/* What was read away is wiped; what follows moves to the front. */
static void consume(struct rpc_client *c, size_t len)
{
	memmove(c->in, c->in + len, c->in_len - len);
	secret_wipe(c->in + c->in_len - len, len);
	c->in_len -= len;
	c->searched = 0;
}

/* False: the client is gone, or reads its last answer. */
static bool take_lines(struct rpc_client *c)
{
	struct fault f = { "" };
	char *end;

	while ((end = memchr(c->in + c->searched, '\n', c->in_len - c->searched))) {
		const size_t len = (size_t)(end - c->in);

		if (evbuffer_get_length(bufferevent_get_output(c->bev)) > RPC_BACKLOG_MAX) {
			free_client(c);
			return false;
		}
		if (len > c->server->line_max)
			break;
		if (!take_line(c, c->in, len)) {
			close_when_written(c);
			return false;
		}
		consume(c, len + 1);
	}
	c->searched = c->in_len;
	if (!end && c->in_len <= c->server->line_max)
		return true;
	fault_set(&f, -EMSGSIZE, "the line is longer than %zu bytes", c->server->line_max);
	refuse(c, NULL, -EMSGSIZE, f.text);
	close_when_written(c);
	return false;
}

static void set_deadline(struct rpc_client *c)
{
	const struct timeval tv = { .tv_sec = c->server->patience_ms / 1000,
				    .tv_usec = (suseconds_t)(c->server->patience_ms % 1000) * 1000 };

	if (!c->in_len)
		event_del(c->deadline);
	else if (!event_pending(c->deadline, EV_TIMEOUT, NULL))
		event_add(c->deadline, &tv);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	struct rpc_client *c = ctx;

	(void)fd;
	(void)what;
	refuse(c, NULL, -ETIMEDOUT, "the line was begun and not ended in time");
	close_when_written(c);
}

/* Room for one byte more than a line and its end: enough to see that it is too long. */
static int make_room(struct rpc_client *c)
{
	struct rpc_server *s = c->server;
	size_t room = c->in_room * 2;
	char *more;

	if (c->in_len < c->in_room)
		return 0;
	if (c->in_room > RPC_LINE_MAX && s->large && s->large != c)
		return -EBUSY;
	if (c->in_room > RPC_LINE_MAX)
		s->large = c;
	if (room > s->line_max + 2)
		room = s->line_max + 2;
	more = secret_alloc(room);
	if (!more)
		return -ENOMEM;
	memcpy(more, c->in, c->in_len);
	secret_free(c->in, c->in_room);
	c->in = more;
	c->in_room = room;
	return 0;
}

/* A long line is over: its room is not kept for the next, short one. */
static void give_room_back(struct rpc_client *c)
{
	char *small;

	if (c->in_len || c->in_room <= 2 * RPC_LINE_MAX)
		return;
	small = secret_alloc(RPC_ROOM_FIRST);
	if (!small)
		return;
	secret_free(c->in, c->in_room);
	c->in = small;
	c->in_room = RPC_ROOM_FIRST;
	if (c->server->large == c)
		c->server->large = NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct rpc_client *c = ctx;
	int err = make_room(c);
	ssize_t n;

	(void)what;
	if (err) {
		refuse(c, NULL, err, err == -EBUSY ?
			       "another client sends a request of more than 64 KiB: try again" :
			       "no locked memory for so long a line");
		close_when_written(c);
		return;
	}
	n = read(fd, c->in + c->in_len, c->in_room - c->in_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A client may shut down its writing side and still read the answer. */
	if (!n && !c->subscriber) {
		close_when_written(c);
		return;
	}
	if (n <= 0) {
		free_client(c);
		return;
	}
	TAILQ_REMOVE(&c->server->clients, c, link);
	TAILQ_INSERT_TAIL(&c->server->clients, c, link);
	c->in_len += (size_t)n;
	if (!take_lines(c))
		return;
	give_room_back(c);
	set_deadline(c);
}

/* ---- events */

int rpc_server_subscribe(struct rpc_server *s, struct fault *f)
{
	struct rpc_client *c = s->caller;

	if (!c || c->subscriber)
		return 0;
	if (s->subscribers_n == RPC_SUBSCRIBERS_MAX)
		return fault_set(f, -EUSERS, "%d clients are told of events already",
				 RPC_SUBSCRIBERS_MAX);
	c->subscriber = true;
	s->subscribers_n++;
	return 0;
}

unsigned int rpc_server_subscribers(const struct rpc_server *s)
{
	return s ? s->subscribers_n : 0;
}

static void tell_missed(struct rpc_client *c)
{
	struct json_object *o;

	if (!c->missed)
		return;
	o = json_object_new_object();
	json_object_object_add(o, "event", json_object_new_string("missed"));
	json_object_object_add(o, "count", json_object_new_uint64(c->missed));
	c->missed = 0;
	write_answer(c, o);
}

void rpc_server_publish(struct rpc_server *s, struct json_object *event)
{
	struct rpc_client *c;

	TAILQ_FOREACH(c, &s->clients, link) {
		const size_t waiting = evbuffer_get_length(bufferevent_get_output(c->bev));

		if (!c->subscriber || c->closing)
			continue;
		if (waiting > RPC_EVENTS_MAX || (c->missed && waiting)) {
			c->missed++;
			continue;
		}
		tell_missed(c);
		write_line(c, event);
	}
	json_object_put(event);
}

/* ---- clients */

static void on_written(struct bufferevent *bev, void *ctx)
{
	struct rpc_client *c = ctx;

	if (evbuffer_get_length(bufferevent_get_output(bev)))
		return;
	if (c->closing)
		free_client(c);
	else
		tell_missed(c);
}

/* Only what is written goes through it: an error there, or a last answer that nobody took. */
static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	(void)bev;
	(void)what;
	free_client(ctx);
}

static bool may_connect(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

/*
 * One too many was accepted: whoever said nothing for longest makes room, so hung clients cannot lock the
 * server. One that has only just come has not been heard yet; were it to go, a hundred that say nothing
 * would cut off everyone who connects among them. Meanwhile the kernel keeps those who connect.
 */
static void on_room(evutil_socket_t fd, short what, void *ctx)
{
	const struct timeval step = { .tv_usec = RPC_ROOM_STEP_MS * 1000 };
	struct rpc_server *s = ctx;
	const uint64_t now = clock_ms();
	struct rpc_client *c;

	(void)fd;
	(void)what;
	if (s->clients_n > RPC_CLIENTS_MAX) {
		TAILQ_FOREACH(c, &s->clients, link)
			if (!c->subscriber && now - c->since_ms >= RPC_GRACE_MS)
				break;
		if (!c) {
			event_add(s->room, &step);
			return;
		}
		free_client(c);
	}
	evconnlistener_enable(s->listener);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
		      int addr_len, void *ctx)
{
	static const struct timeval next_turn = { 0, 0 }; /* after all who have sent were heard */
	struct rpc_server *s = ctx;
	struct rpc_client *c;

	(void)addr;
	(void)addr_len;
	if (!may_connect(fd)) {
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->server = s;
	c->since_ms = clock_ms();
	TAILQ_INSERT_TAIL(&s->clients, c, link);
	s->clients_n++;
	c->in_room = RPC_ROOM_FIRST;
	c->in = secret_alloc(c->in_room);
	c->readable = event_new(s->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->deadline = event_new(s->base, -1, 0, on_deadline, c);
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		close(fd);
	if (!c->in || !c->readable || !c->deadline || !c->bev || event_add(c->readable, NULL)) {
		free_client(c);
		return;
	}
	bufferevent_setcb(c->bev, NULL, on_written, on_event, c);
	bufferevent_disable(c->bev, EV_READ);
	bufferevent_enable(c->bev, EV_WRITE);
	if (s->clients_n > RPC_CLIENTS_MAX) {
		evconnlistener_disable(listener);
		event_add(s->room, &next_turn);
	}
}

static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
	static struct log_limit limit;
	struct rpc_server *s = ctx;
	int err = EVUTIL_SOCKET_ERROR();
	uint64_t suppressed;

	(void)listener;
	if (log_allowed(&limit, &suppressed))
		log_warn("rpc: %s: accept: %s", s->place.addr.sun_path, strerror(err));
}

int rpc_server_open(struct rpc_server **out, struct event_base *base, const char *path,
		    const struct rpc_method *table, void *ctx, struct fault *f)
{
	struct rpc_server *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return fault_set(f, -ENOMEM, "out of memory");
	s->base = base;
	s->table = table;
	s->ctx = ctx;
	s->line_max = RPC_LINE_MAX;
	s->patience_ms = RPC_PATIENCE_MS;
	TAILQ_INIT(&s->clients);

	s->room = evtimer_new(base, on_room, s);
	if (!s->room) {
		err = fault_set(f, -ENOMEM, "cannot watch %s: out of memory", path);
		goto free_server;
	}
	err = rpc_listen(&s->place, path, f);
	if (err)
		goto free_server;
	/* libevent writes with writev(2): a client that left must not end the daemon. */
	signal(SIGPIPE, SIG_IGN);

	s->listener = evconnlistener_new(base, on_accept, s,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0,
					s->place.fd);
	if (!s->listener) {
		err = fault_set(f, -ENOMEM, "cannot watch %s: out of memory", path);
		goto remove_socket;
	}
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	*out = s;
	return 0;

remove_socket:
	rpc_unlisten(&s->place);
	close(s->place.fd);
free_server:
	if (s->room)
		event_free(s->room);
	free(s);
	return err;
}

void rpc_server_set_limits(struct rpc_server *s, size_t line_max, uint32_t patience_ms)
{
	s->line_max = line_max;
	s->patience_ms = patience_ms;
}

void rpc_server_close(struct rpc_server *s)
{
	if (!s)
		return;
	while (!TAILQ_EMPTY(&s->clients))
		free_client(TAILQ_FIRST(&s->clients));
	rpc_unlisten(&s->place);
	event_free(s->room);
	evconnlistener_free(s->listener);
	free(s);
}

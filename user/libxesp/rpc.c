/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rpc.c - see rpc.h: the server. From the bottom up: listener, client, line, answer.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libxesp/rpc.h"
#include "xesp/fault.h"
#include "xesp/log.h"

#define RPC_JSON_DEPTH 16
#define RPC_LINGER_S   5 /* how long a client may take to read its last answer */
#define RPC_PRINT      (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct rpc_client {
	TAILQ_ENTRY(rpc_client) link;
	struct rpc_server *server;
	struct bufferevent *bev;
	bool closing; /* its last answer is being written */
};

struct rpc_server {
	struct evconnlistener *listener;
	struct event_base *base;
	const struct rpc_method *table;
	void *ctx;
	TAILQ_HEAD(, rpc_client) clients; /* the one that was silent longest is the first */
	unsigned int clients_n;
	struct sockaddr_un addr;
	dev_t dev; /* of the socket file, to remove only our own */
	ino_t ino;
};

static void free_client(struct rpc_client *c)
{
	TAILQ_REMOVE(&c->server->clients, c, link);
	c->server->clients_n--;
	bufferevent_free(c->bev);
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
	bufferevent_disable(c->bev, EV_READ);
	bufferevent_set_timeouts(c->bev, NULL, &linger);
}

static void write_answer(struct rpc_client *c, struct json_object *answer)
{
	size_t len = 0;
	const char *text = json_object_to_json_string_length(answer, RPC_PRINT, &len);

	/* Out of memory here loses an answer; the client's time-out tells its user. */
	if (text) {
		bufferevent_write(c->bev, text, len);
		bufferevent_write(c->bev, "\n", 1);
	}
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
	err = m->handle(c->server->ctx, params, &result, &f);
	if (err) {
		refuse(c, id, err, f.text);
		json_object_put(result);
		return;
	}
	answer = new_answer(id, true);
	json_object_object_add(answer, "result", result ? result : json_object_new_object());
	write_answer(c, answer);
}

/* A new object, or NULL when the line is anything but one JSON object. */
static struct json_object *parse_line(const char *line, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(RPC_JSON_DEPTH);
	struct json_object *o = NULL;

	if (!tok)
		return NULL;
	/* Strict: also refuses what follows the object, and comments. */
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (len <= RPC_LINE_MAX)
		o = json_tokener_parse_ex(tok, line, (int)len);
	/* A zero byte ends json-c's reading early, and must not hide what follows it. */
	if (o &&
	    (json_tokener_get_parse_end(tok) != len || !json_object_is_type(o, json_type_object))) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return o;
}

/* False: the line was not a request, and nothing after it can be trusted to be one. */
static bool take_line(struct rpc_client *c, const char *line, size_t len)
{
	struct json_object *request = parse_line(line, len);

	if (!request) {
		refuse(c, NULL, -EBADMSG, "the line is not a JSON object");
		return false;
	}
	answer_request(c, request);
	json_object_put(request);
	return true;
}

static void on_read(struct bufferevent *bev, void *ctx)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct rpc_client *c = ctx;
	bool good = true;
	size_t len;
	char *line;

	if (c->closing)
		return;
	TAILQ_REMOVE(&c->server->clients, c, link);
	TAILQ_INSERT_TAIL(&c->server->clients, c, link);

	while (good && (line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF))) {
		if (evbuffer_get_length(bufferevent_get_output(bev)) > RPC_BACKLOG_MAX) {
			free(line);
			free_client(c);
			return;
		}
		if (len && line[len - 1] == '\r')
			len--;
		good = take_line(c, line, len);
		free(line);
	}
	if (good && evbuffer_get_length(in) > RPC_LINE_MAX) {
		refuse(c, NULL, -EMSGSIZE, "the line is longer than 65536 bytes");
		good = false;
	}
	if (!good)
		close_when_written(c);
}

static void on_written(struct bufferevent *bev, void *ctx)
{
	struct rpc_client *c = ctx;

	if (c->closing && !evbuffer_get_length(bufferevent_get_output(bev)))
		free_client(c);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct rpc_client *c = ctx;

	(void)bev;
	/* A client may shut down its writing side and still read the answer. */
	if ((what & BEV_EVENT_EOF) && !c->closing)
		close_when_written(c);
	else
		free_client(c);
}

static bool may_connect(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
		      int addr_len, void *ctx)
{
	struct rpc_server *s = ctx;
	struct rpc_client *c;

	(void)listener;
	(void)addr;
	(void)addr_len;
	if (!may_connect(fd)) {
		close(fd);
		return;
	}
	/* Full: whoever said nothing for longest makes room, so hung clients cannot lock it. */
	if (s->clients_n >= RPC_CLIENTS_MAX)
		free_client(TAILQ_FIRST(&s->clients));

	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->server = s;
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev) {
		close(fd);
		free(c);
		return;
	}
	TAILQ_INSERT_TAIL(&s->clients, c, link);
	s->clients_n++;
	/* One byte more than a line and its end: enough to see that it is too long. */
	bufferevent_setwatermark(c->bev, EV_READ, 0, RPC_LINE_MAX + 1);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
	static struct log_limit limit;
	struct rpc_server *s = ctx;
	int err = EVUTIL_SOCKET_ERROR();
	uint64_t suppressed;

	(void)listener;
	if (log_allowed(&limit, &suppressed))
		log_warn("rpc: %s: accept: %s", s->addr.sun_path, strerror(err));
}

/* Removes a socket file that no process serves; other files are not ours to touch. */
static int remove_stale(const struct sockaddr_un *addr, struct fault *f)
{
	struct stat st;
	int fd, err;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT
			       ? 0
			       : fault_set(f, -errno, "%s: %s", addr->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return fault_set(f, -EEXIST, "%s exists and is not a socket: remove it",
				 addr->sun_path);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fault_set(f, -errno, "socket: %s", strerror(errno));
	err = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? errno : 0;
	close(fd);
	/* A full backlog (EAGAIN) is a live server too. */
	if (err != ECONNREFUSED)
		return fault_set(f, -EADDRINUSE,
				 "%s is served by another process: is it running already?",
				 addr->sun_path);
	if (unlink(addr->sun_path))
		return fault_set(f, -errno, "cannot remove the old socket %s: %s", addr->sun_path,
				 strerror(errno));
	return 0;
}

/* Returns a listening socket or -errno. */
static int bind_socket(struct rpc_server *s, struct fault *f)
{
	struct stat st;
	int fd, err;

	err = remove_stale(&s->addr, f);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fault_set(f, -errno, "socket: %s", strerror(errno));
	/* bind() gives the file the socket's mode, so there is no moment with a wider one. */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&s->addr, sizeof(s->addr)) ||
	    lstat(s->addr.sun_path, &st) || listen(fd, SOMAXCONN)) {
		err = fault_set(f, -errno, "cannot listen at %s: %s", s->addr.sun_path,
				strerror(errno));
		close(fd);
		return err;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return fd;
}

/* The same under a lock on the directory: of two daemons that start at once, one is refused. */
static int bind_locked(struct rpc_server *s, struct fault *f)
{
	char copy[sizeof(s->addr.sun_path)];
	const char *dir;
	int lock, fd;

	memcpy(copy, s->addr.sun_path, sizeof(copy));
	dir = dirname(copy);
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return fault_set(f, -errno, "cannot open the run directory %s: %s", dir,
				 strerror(errno));
	if (flock(lock, LOCK_EX))
		fd = fault_set(f, -errno, "cannot lock %s: %s", dir, strerror(errno));
	else
		fd = bind_socket(s, f);
	close(lock);
	return fd;
}

int rpc_server_open(struct rpc_server **out, struct event_base *base, const char *path,
		    const struct rpc_method *table, void *ctx, struct fault *f)
{
	struct rpc_server *s = calloc(1, sizeof(*s));
	int fd, err;

	if (!s)
		return fault_set(f, -ENOMEM, "out of memory");
	s->base = base;
	s->table = table;
	s->ctx = ctx;
	TAILQ_INIT(&s->clients);

	err = rpc_addr(&s->addr, path, f);
	if (err)
		goto free_server;
	fd = bind_locked(s, f);
	if (fd < 0) {
		err = fd;
		goto free_server;
	}
	/* libevent writes with writev(2): a client that left must not end the daemon. */
	signal(SIGPIPE, SIG_IGN);

	s->listener = evconnlistener_new(base, on_accept, s,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!s->listener) {
		err = fault_set(f, -ENOMEM, "cannot watch %s: out of memory", path);
		goto remove_socket;
	}
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	*out = s;
	return 0;

remove_socket:
	unlink(path);
	close(fd);
free_server:
	free(s);
	return err;
}

void rpc_server_close(struct rpc_server *s)
{
	struct stat st;

	if (!s)
		return;
	while (!TAILQ_EMPTY(&s->clients))
		free_client(TAILQ_FIRST(&s->clients));
	if (!lstat(s->addr.sun_path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->addr.sun_path);
	evconnlistener_free(s->listener);
	free(s);
}

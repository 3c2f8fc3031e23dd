/* SPDX-License-Identifier: BSD-2-Clause */
/* rpc_call.c - see rpc.h: the client, which blocks, but no longer than it was told. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "libxesp/rpc.h"
#include "xesp/fault.h"

int rpc_addr(struct sockaddr_un *addr, const char *path, struct fault *f)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if ((size_t)snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", path) >=
	    sizeof(addr->sun_path))
		return fault_set(f, -ENAMETOOLONG,
				 "socket path '%s' is longer than %zu bytes: give a shorter --run",
				 path, sizeof(addr->sun_path) - 1);
	return 0;
}

struct deadline {
	struct timespec end;
};

static void deadline_set(struct deadline *d, int timeout_ms)
{
	clock_gettime(CLOCK_MONOTONIC, &d->end);
	d->end.tv_sec += timeout_ms / 1000;
	d->end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (d->end.tv_nsec >= 1000000000) {
		d->end.tv_nsec -= 1000000000;
		d->end.tv_sec++;
	}
}

static int deadline_left_ms(const struct deadline *d)
{
	struct timespec now;
	int64_t left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = (d->end.tv_sec - now.tv_sec) * 1000 + (d->end.tv_nsec - now.tv_nsec) / 1000000;
	return left > 0 ? (int)left : 0;
}

/* Waits until the socket is ready for `events`. */
static int wait_for(int fd, short events, const struct deadline *d, struct fault *f)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n, left;

	do {
		left = deadline_left_ms(d);
		n = left ? poll(&p, 1, left) : 0;
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return fault_set(f, -errno, "poll: %s", strerror(errno));
	if (!n)
		return fault_set(f, -ETIMEDOUT, "no answer in time");
	return 0;
}

static int connect_to(const char *path, int timeout_ms, struct fault *f)
{
	const struct timeval tv = { .tv_sec = timeout_ms / 1000,
				    .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000 };
	struct sockaddr_un addr;
	int fd, err;

	err = rpc_addr(&addr, path, f);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fault_set(f, -errno, "socket: %s", strerror(errno));
	/* A full backlog blocks connect(); poll() cannot wait for that, a send time-out can. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) || fcntl(fd, F_SETFL, O_NONBLOCK)) {
		err = -errno;
		close(fd);
		if (err == -EAGAIN)
			return fault_set(f, -ETIMEDOUT, "no answer in time");
		if (err == -ENOENT || err == -ECONNREFUSED)
			return fault_set(f, err, "nobody listens: is the daemon running?");
		return fault_set(f, err, "cannot connect: %s", strerror(-err));
	}
	return fd;
}

static int send_request(int fd, const char *name, struct json_object *params,
			const struct deadline *d, struct fault *f)
{
	struct json_object *request = json_object_new_object();
	const char *text;
	int err = 0;
	size_t len;
	ssize_t n;

	json_object_object_add(request, "id", json_object_new_int(1));
	json_object_object_add(request, "request", json_object_new_string(name));
	if (params)
		json_object_object_add(request, "params", json_object_get(params));
	text = json_object_to_json_string_length(request, JSON_C_TO_STRING_PLAIN, &len);
	for (size_t sent = 0; sent < len + 1 && !err; sent += n > 0 ? (size_t)n : 0) {
		n = sent < len ? send(fd, text + sent, len - sent, MSG_NOSIGNAL)
			       : send(fd, "\n", 1, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			err = wait_for(fd, POLLOUT, d, f);
		else if (n < 0 && errno != EINTR)
			err = fault_set(f, -errno, "cannot send: %s", strerror(errno));
	}
	json_object_put(request);
	return err;
}

static int receive_answer(int fd, struct json_object **answer, const struct deadline *d,
			  struct fault *f)
{
	struct json_tokener *tok = json_tokener_new();
	char buf[16384];
	int err = 0;
	ssize_t n;

	if (!tok)
		return fault_set(f, -ENOMEM, "out of memory");
	*answer = NULL;
	while (!*answer && !err) {
		err = wait_for(fd, POLLIN, d, f);
		if (err)
			break;
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			err = fault_set(f, -errno, "cannot receive: %s", strerror(errno));
		else if (!n)
			err = fault_set(f, -ECONNRESET, "the daemon hung up without an answer");
		if (err || n <= 0)
			continue;
		*answer = json_tokener_parse_ex(tok, buf, (int)n);
		if (!*answer && json_tokener_get_error(tok) != json_tokener_continue)
			err = fault_set(f, -EPROTO, "the answer is not JSON");
	}
	json_tokener_free(tok);
	return err;
}

/* Takes the result out of the answer, or the daemon's sentence. */
static int open_answer(struct json_object *answer, struct json_object **result, struct fault *f)
{
	struct json_object *text, *value;

	if (!json_object_is_type(answer, json_type_object))
		return fault_set(f, -EPROTO, "the answer is not a JSON object");
	if (json_object_get_boolean(json_object_object_get(answer, "ok"))) {
		value = json_object_object_get(answer, "result");
		*result = value ? json_object_get(value) : json_object_new_object();
		return 0;
	}
	text = json_object_object_get(answer, "error");
	return fault_set(f, -EREMOTEIO, "%s",
			 text ? json_object_get_string(text) : "refused without a reason");
}

int rpc_call(const char *path, const char *request, struct json_object *params, int timeout_ms,
	     struct json_object **result, struct fault *f)
{
	struct json_object *answer = NULL;
	struct deadline d;
	int fd, err;

	deadline_set(&d, timeout_ms);
	fd = connect_to(path, timeout_ms, f);
	if (fd < 0)
		return fault_in(f, fd, "%s", path);
	err = send_request(fd, request, params, &d, f);
	/* A server that refused the line may close before all was sent: its answer says why. */
	if (!err || err == -EPIPE || err == -ECONNRESET)
		err = receive_answer(fd, &answer, &d, f);
	close(fd);
	if (err)
		return fault_in(f, err, "%s", path);
	err = open_answer(answer, result, f);
	json_object_put(answer);
	return err;
}

/* ---- events */

struct follower {
	int fd;
	bool answered;
	bool (*line)(void *ctx, struct json_object *o);
	void *ctx;
};

/* 1: go on; 0: enough; or an error. */
static int take_followed(struct follower *w, struct json_object *o, struct fault *f)
{
	struct json_object *result;
	bool more;
	int err;

	if (w->answered)
		return w->line(w->ctx, o);
	err = open_answer(o, &result, f);
	if (err)
		return err;
	w->answered = true;
	more = w->line(w->ctx, result);
	json_object_put(result);
	return more;
}

/* All that are whole in what was read; the tokener keeps what is not. */
static int take_text(struct follower *w, struct json_tokener *tok, const char *text, size_t len,
		     struct fault *f)
{
	size_t used = 0;
	int more = 1;

	while (used < len && more > 0) {
		struct json_object *o = json_tokener_parse_ex(tok, text + used, (int)(len - used));

		if (!o && json_tokener_get_error(tok) == json_tokener_continue)
			return 1;
		if (!o)
			return fault_set(f, -EPROTO, "what comes is not JSON");
		used += json_tokener_get_parse_end(tok);
		while (used < len && text[used] == '\n')
			used++;
		more = take_followed(w, o, f);
		json_object_put(o);
	}
	return more;
}

static int follow(struct follower *w, const struct deadline *d, struct fault *f)
{
	struct json_tokener *tok = json_tokener_new();
	char buf[16384];
	int more = 1;
	ssize_t n;

	if (!tok)
		return fault_set(f, -ENOMEM, "out of memory");
	while (more > 0) {
		struct pollfd p = { .fd = w->fd, .events = POLLIN };

		if (!w->answered)
			more = wait_for(w->fd, POLLIN, d, f);
		else if (poll(&p, 1, -1) < 0 && errno != EINTR)
			more = fault_set(f, -errno, "poll: %s", strerror(errno));
		if (more < 0)
			break;
		more = 1;
		n = recv(w->fd, buf, sizeof(buf), 0);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			more = fault_set(f, -ECONNRESET, "the daemon has ended");
		else
			more = take_text(w, tok, buf, (size_t)n, f);
	}
	json_tokener_free(tok);
	return more;
}

int rpc_follow(const char *path, const char *request, int timeout_ms,
	       bool (*line)(void *ctx, struct json_object *o), void *ctx, struct fault *f)
{
	struct follower w = { .line = line, .ctx = ctx };
	struct deadline d;
	int err;

	deadline_set(&d, timeout_ms);
	w.fd = connect_to(path, timeout_ms, f);
	if (w.fd < 0)
		return fault_in(f, w.fd, "%s", path);
	err = send_request(w.fd, request, NULL, &d, f);
	if (!err)
		err = follow(&w, &d, f);
	close(w.fd);
	return err && err != -EREMOTEIO ? fault_in(f, err, "%s", path) : err;
}

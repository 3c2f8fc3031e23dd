/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control sockets: what a server answers to good and bad lines, and that no client can disturb
 * another. The server runs on a thread of its own; the request "stop" ends it.
 */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libxesp/rpc.h"
#include "xesp/fault.h"

#define LEN(a)      (sizeof(a) / sizeof((a)[0]))
#define PATIENCE_MS 10000

static struct {
	char dir[64];
	char path[96];
	struct event_base *base;
	struct rpc_server *server;
	pthread_t thread;
} t;

static int echo(void *ctx, struct json_object *params, struct json_object **result, struct fault *f)
{
	(void)ctx;
	(void)f;
	*result = params ? json_object_get(params) : NULL;
	return 0;
}

static int refuse(void *ctx, struct json_object *params, struct json_object **result,
		  struct fault *f)
{
	(void)ctx;
	(void)params;
	(void)result;
	return fault_set(f, -EINVAL, "tunnel \"a\" has no SA");
}

static int big(void *ctx, struct json_object *params, struct json_object **result, struct fault *f)
{
	size_t len = 4u << 20;
	char *text = malloc(len);

	(void)ctx;
	(void)params;
	(void)f;
	memset(text, 'x', len);
	*result = json_object_new_object();
	json_object_object_add(*result, "text", json_object_new_string_len(text, (int)len));
	free(text);
	return 0;
}

static int subscribe(void *ctx, struct json_object *params, struct json_object **result,
		     struct fault *f)
{
	(void)ctx;
	(void)params;
	(void)result;
	return rpc_server_subscribe(t.server, f);
}

/* So many events of 1 KiB. */
static int publish(void *ctx, struct json_object *params, struct json_object **result,
		   struct fault *f)
{
	char text[1024];
	int n = json_object_get_int(json_object_object_get(params, "n"));

	(void)ctx;
	(void)f;
	memset(text, 'e', sizeof(text));
	for (int i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "event", json_object_new_string("test"));
		json_object_object_add(o, "text", json_object_new_string_len(text, sizeof(text)));
		rpc_server_publish(t.server, o);
	}
	*result = json_object_new_object();
	json_object_object_add(*result, "subscribers",
			       json_object_new_int((int)rpc_server_subscribers(t.server)));
	return 0;
}

static int stop(void *ctx, struct json_object *params, struct json_object **result, struct fault *f)
{
	(void)ctx;
	(void)params;
	(void)result;
	(void)f;
	event_base_loopexit(t.base, NULL);
	return 0;
}

static const struct rpc_method methods[] = {
	{ "echo", echo }, { "refuse", refuse }, { "big", big }, { "stop", stop },
	{ "subscribe", subscribe }, { "publish", publish }, { NULL, NULL }
};

static void *serve(void *arg)
{
	event_base_dispatch(t.base);
	return arg;
}

static void make_dir(void)
{
	snprintf(t.dir, sizeof(t.dir), "/tmp/xesp-rpc-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/s.sock", t.dir);
}

static int open_server(struct fault *f)
{
	return rpc_server_open(&t.server, t.base, t.path, methods, NULL, f);
}

/* Those who connect and send wait until it is up. */
static void server_ready(void)
{
	struct fault f = { "" };

	t.base = event_base_new();
	CU_ASSERT_EQUAL_FATAL(open_server(&f), 0);
}

static void server_up(void)
{
	if (!t.server)
		server_ready();
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t.thread, NULL, serve, NULL), 0);
}

static int connect_raw(void)
{
	const struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", t.path);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

static void server_down(void)
{
	int fd;

	/* The loop ends before the answer is written, so nobody waits for it. */
	fd = connect_raw();
	CU_ASSERT_EQUAL(send(fd, "{\"request\":\"stop\"}\n", 19, 0), 19);
	close(fd);
	pthread_join(t.thread, NULL);
	rpc_server_close(t.server);
	t.server = NULL;
	event_base_free(t.base);
	CU_ASSERT_NOT_EQUAL(access(t.path, F_OK), 0);
}

static void remove_dir(void)
{
	unlink(t.path);
	CU_ASSERT_EQUAL(rmdir(t.dir), 0);
}

/* One line into buf, without its end; false when the server hung up (or said nothing in time). */
static bool read_line(int fd, char *buf, size_t size)
{
	size_t used = 0;

	while (used < size - 1 && recv(fd, buf + used, 1, 0) == 1) {
		if (buf[used] == '\n') {
			buf[used] = '\0';
			return true;
		}
		used++;
	}
	buf[used] = '\0';
	return false;
}

static void round_trip(void)
{
	struct json_object *params = json_object_new_object(), *result = NULL;
	struct fault f = { "" };
	struct stat st;

	make_dir();
	server_up();
	CU_ASSERT_EQUAL(stat(t.path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);

	json_object_object_add(params, "text", json_object_new_string("a/b\n\"c\""));
	CU_ASSERT_EQUAL_FATAL(rpc_call(t.path, "echo", params, PATIENCE_MS, &result, &f), 0);
	CU_ASSERT_TRUE(json_object_equal(params, result));
	json_object_put(result);
	json_object_put(params);

	CU_ASSERT_EQUAL_FATAL(rpc_call(t.path, "echo", NULL, PATIENCE_MS, &result, &f), 0);
	CU_ASSERT_EQUAL(json_object_object_length(result), 0);
	json_object_put(result);

	CU_ASSERT_EQUAL_FATAL(rpc_call(t.path, "big", NULL, PATIENCE_MS, &result, &f), 0);
	CU_ASSERT_EQUAL(json_object_get_string_len(json_object_object_get(result, "text")),
			4 << 20);
	json_object_put(result);
	server_down();
	remove_dir();
}

static const struct {
	const char *what;
	const char *line;
	size_t len;           /* 0: that of the string */
	const char *parts[3]; /* what the answer must contain */
	bool hangs_up;
} lines[] = {
	{ "id comes back",
	  "{\"id\": 7, \"request\": \"echo\"}\n",
	  0,
	  { "\"id\":7", "\"ok\":true", "\"result\":{}" },
	  false },
	{ "id may be any value",
	  "{\"id\":\"x\",\"request\":\"echo\"}\n",
	  0,
	  { "\"id\":\"x\"", "\"ok\":true" },
	  false },
	{ "no id, none in the answer", "{\"request\":\"echo\"}\r\n", 0, { "{\"ok\":true" }, false },
	{ "the handler's sentence and errno",
	  "{\"request\":\"refuse\"}\n",
	  0,
	  { "\"ok\":false", "\"error\":\"tunnel \\\"a\\\" has no SA\"", "\"errno\":\"EINVAL\"" },
	  false },
	{ "unknown request",
	  "{\"id\":1,\"request\":\"nope\"}\n",
	  0,
	  { "\"id\":1", "'nope'", "\"EOPNOTSUPP\"" },
	  false },
	{ "no request at all", "{}\n", 0, { "'request' is missing", "\"EINVAL\"" }, false },
	{ "request of another type", "{\"request\":[]}\n", 0, { "not a string" }, false },
	{ "params of another type",
	  "{\"request\":\"echo\",\"params\":[1]}\n",
	  0,
	  { "'params' is not an object" },
	  false },
	{ "null params are none",
	  "{\"request\":\"echo\",\"params\":null}\n",
	  0,
	  { "\"ok\":true" },
	  false },
	{ "malformed", "{\"request\":\n", 0, { "not a JSON object", "\"EBADMSG\"" }, true },
	{ "empty line", "\n", 0, { "not a JSON object" }, true },
	{ "an array", "[1]\n", 0, { "not a JSON object" }, true },
	{ "a bare word", "echo\n", 0, { "not a JSON object" }, true },
	{ "something after the object",
	  "{\"request\":\"echo\"} x\n",
	  0,
	  { "not a JSON object" },
	  true },
	{ "a zero byte hides nothing",
	  "{\"request\":\"echo\"}\0{}\n",
	  22,
	  { "not a JSON object" },
	  true },
	{ "deeper than 16",
	  "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
	  "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}}}}}}}}}\n",
	  0,
	  { "not a JSON object" },
	  true },
};

static void line_rows(void)
{
	char buf[1024];

	make_dir();
	server_up();
	for (size_t i = 0; i < LEN(lines); i++) {
		size_t len = lines[i].len ? lines[i].len : strlen(lines[i].line);
		int fd = connect_raw();
		bool good = true;

		CU_ASSERT_EQUAL(send(fd, lines[i].line, len, 0), (ssize_t)len);
		good = read_line(fd, buf, sizeof(buf));
		for (size_t k = 0; k < LEN(lines[i].parts) && lines[i].parts[k]; k++)
			good = good && strstr(buf, lines[i].parts[k]);
		if (!good)
			fprintf(stderr, "rpc: %s: answered '%s'\n", lines[i].what, buf);
		CU_ASSERT_TRUE(good);

		if (lines[i].hangs_up) {
			CU_ASSERT_FALSE(read_line(fd, buf, sizeof(buf)));
			CU_ASSERT_EQUAL(buf[0], '\0');
		} else {
			CU_ASSERT_EQUAL(send(fd, "{\"request\":\"echo\"}\n", 19, 0), 19);
			CU_ASSERT_TRUE(read_line(fd, buf, sizeof(buf)));
		}
		close(fd);
	}
	server_down();
	remove_dir();
}

/* A line of `len` bytes, its end not counted, that is a good request but for its length. */
static char *long_line(size_t len)
{
	static const char head[] = "{\"request\":\"echo\",\"params\":{\"a\":\"";
	static const char tail[] = "\"}}";
	char *line = malloc(len + 1);

	memset(line, 'x', len);
	memcpy(line, head, sizeof(head) - 1);
	memcpy(line + len - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
	line[len] = '\n';
	return line;
}

static void line_lengths(void)
{
	size_t size = RPC_LINE_MAX + 256;
	char *buf = malloc(size);

	make_dir();
	server_up();
	for (size_t over = 0; over < 3; over++) {
		size_t len = RPC_LINE_MAX + over;
		char *line = long_line(len);
		int fd = connect_raw();

		/* The server may hang up before it has taken all of a long line. */
		CU_ASSERT_TRUE(send(fd, line, len + 1, MSG_NOSIGNAL) > 0);
		CU_ASSERT_TRUE(read_line(fd, buf, size));
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, over ? "longer than 65536" : "\"ok\":true"));
		CU_ASSERT(!over == !strstr(buf, "EMSGSIZE"));
		if (over)
			CU_ASSERT_FALSE(read_line(fd, buf, size));
		close(fd);
		free(line);
	}
	server_down();
	remove_dir();
	free(buf);
}

/* More hung clients than the server has places for: the next one is served all the same. */
static void hung_clients_disturb_nobody(void)
{
	struct json_object *result = NULL;
	int fds[RPC_CLIENTS_MAX + 8];
	struct fault f = { "" };
	char byte;

	make_dir();
	server_up();
	for (size_t i = 0; i < LEN(fds); i++) {
		fds[i] = connect_raw();
		CU_ASSERT_EQUAL(send(fds[i], "{\"request\":", 11, MSG_NOSIGNAL), 11);
		if (i % 16)
			continue;
		CU_ASSERT_EQUAL(rpc_call(t.path, "echo", NULL, PATIENCE_MS, &result, &f), 0);
		json_object_put(result);
	}
	CU_ASSERT_EQUAL(rpc_call(t.path, "echo", NULL, PATIENCE_MS, &result, &f), 0);
	json_object_put(result);

	/* The one silent longest made room. */
	CU_ASSERT_EQUAL(recv(fds[0], &byte, 1, 0), 0);

	/* One that asks for much and reads nothing is cut off, and the others never wait. */
	for (int i = 0; i < 64; i++)
		if (send(fds[LEN(fds) - 1], i ? "{\"request\":\"big\"}\n" : "\"big\"}\n",
			 i ? 18 : 7, MSG_NOSIGNAL) < 0)
			break;
	CU_ASSERT_EQUAL(rpc_call(t.path, "echo", NULL, PATIENCE_MS, &result, &f), 0);
	json_object_put(result);

	for (size_t i = 0; i < LEN(fds); i++)
		close(fds[i]);
	server_down();
	remove_dir();
}

/* One who asks in the midst of more silent ones than there are places is answered. */
static void a_crowd_cuts_nobody_off(void)
{
	static const char ask[] = "{\"request\":\"echo\"}\n";
	int fds[2 * RPC_CLIENTS_MAX];
	char buf[64];

	make_dir();
	server_ready();
	for (size_t i = 0; i < LEN(fds); i++) {
		fds[i] = connect_raw();
		if (i % 32 == 0)
			CU_ASSERT_EQUAL(send(fds[i], ask, sizeof(ask) - 1, 0), (ssize_t)sizeof(ask) - 1);
	}
	server_up();
	for (size_t i = 0; i < LEN(fds); i += 32)
		CU_ASSERT_TRUE(read_line(fds[i], buf, sizeof(buf)) && strstr(buf, "\"ok\":true"));
	for (size_t i = 0; i < LEN(fds); i++)
		close(fds[i]);
	server_down();
	remove_dir();
}

/* Long lines for who allows them: one client at a time, and no longer than they must take. */
static void long_lines_one_at_a_time(void)
{
	const size_t most = 1u << 20;
	struct json_object *result = NULL;
	struct fault f = { "" };
	char *line = long_line(most), *buf = malloc(most + 256);
	int first, second;

	make_dir();
	server_up();
	rpc_server_set_limits(t.server, most, 500);
	first = connect_raw();
	/* All but the end: the place for a long line is taken. */
	CU_ASSERT_EQUAL(send(first, line, most - 1, 0), (ssize_t)most - 1);
	CU_ASSERT_EQUAL(rpc_call(t.path, "echo", NULL, PATIENCE_MS, &result, &f), 0);
	json_object_put(result);
	second = connect_raw();
	CU_ASSERT_TRUE(send(second, line, 4 * RPC_LINE_MAX, MSG_NOSIGNAL) > 0);
	CU_ASSERT_TRUE(read_line(second, buf, most));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "EBUSY"));
	close(second);
	CU_ASSERT_EQUAL(send(first, line + most - 1, 2, 0), 2);
	CU_ASSERT_TRUE(read_line(first, buf, most + 256));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"ok\":true"));
	/* It has given the place back, though it is still there. */
	second = connect_raw();
	CU_ASSERT_EQUAL(send(second, line, most + 1, 0), (ssize_t)most + 1);
	CU_ASSERT_TRUE(read_line(second, buf, most + 256));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"ok\":true"));
	close(second);
	/* And who begins a line and does not end it hears so. */
	CU_ASSERT_EQUAL(send(first, "{", 1, 0), 1);
	CU_ASSERT_TRUE(read_line(first, buf, most));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "ETIMEDOUT"));
	CU_ASSERT_FALSE(read_line(first, buf, most));
	close(first);
	server_down();
	remove_dir();
	free(line);
	free(buf);
}

/* A subscriber that does not read misses events and hears how many; the others get all. */
static void slow_subscribers_miss_some(void)
{
	static const char hello[] = "{\"request\":\"subscribe\"}\n";
	const int n = 2000;
	struct json_object *params = json_object_new_object(), *result = NULL;
	struct fault f = { "" };
	int slow, quick, got = 0, missed = 0;
	char buf[2048], *at;

	make_dir();
	server_up();
	slow = connect_raw();
	quick = connect_raw();
	CU_ASSERT_TRUE(send(slow, hello, sizeof(hello) - 1, 0) > 0);
	CU_ASSERT_TRUE(read_line(slow, buf, sizeof(buf)));
	CU_ASSERT_TRUE(send(quick, hello, sizeof(hello) - 1, 0) > 0);
	CU_ASSERT_TRUE(read_line(quick, buf, sizeof(buf)));
	json_object_object_add(params, "n", json_object_new_int(100));
	for (int i = 0; i < n / 100; i++) {
		CU_ASSERT_EQUAL_FATAL(rpc_call(t.path, "publish", params, PATIENCE_MS, &result, &f), 0);
		CU_ASSERT_EQUAL(json_object_get_int(json_object_object_get(result, "subscribers")), 2);
		json_object_put(result);
		for (int k = 0; k < 100; k++) {
			CU_ASSERT_TRUE_FATAL(read_line(quick, buf, sizeof(buf)));
			CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"event\":\"test\""));
		}
	}
	while (got + missed < n && read_line(slow, buf, sizeof(buf))) {
		at = strstr(buf, "\"count\":");
		got += !at;
		missed += at ? atoi(at + strlen("\"count\":")) : 0;
	}
	CU_ASSERT_EQUAL(got + missed, n);
	CU_ASSERT_TRUE(missed > 0 && got > 0);
	close(slow);
	close(quick);
	json_object_put(params);
	server_down();
	remove_dir();
}

static void answer_after_half_close(void)
{
	char buf[256];
	int fd;

	make_dir();
	server_up();
	fd = connect_raw();
	CU_ASSERT_EQUAL(send(fd, "{\"request\":\"refuse\"}\n", 21, 0), 21);
	CU_ASSERT_EQUAL(shutdown(fd, SHUT_WR), 0);
	CU_ASSERT_TRUE(read_line(fd, buf, sizeof(buf)));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "EINVAL"));
	close(fd);
	server_down();
	remove_dir();
}

static void sockets_of_others(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct rpc_server *second = NULL;
	struct fault f = { "" };
	FILE *file;
	int fd;

	make_dir();
	/* Bound and left behind, as after kill -9. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", t.path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	server_up();

	CU_ASSERT_EQUAL(rpc_server_open(&second, t.base, t.path, methods, NULL, &f), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, t.path));
	CU_ASSERT_EQUAL(access(t.path, F_OK), 0);
	server_down();

	file = fopen(t.path, "w");
	fclose(file);
	t.base = event_base_new();
	CU_ASSERT_EQUAL(open_server(&f), -EEXIST);
	CU_ASSERT_EQUAL(access(t.path, F_OK), 0);
	event_base_free(t.base);
	remove_dir();
}

static void client_faults(void)
{
	struct json_object *result = NULL;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char longer[200];
	struct fault f = { "" };
	int fd;

	make_dir();
	CU_ASSERT_EQUAL(rpc_call(t.path, "echo", NULL, 100, &result, &f), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.text, t.path));

	/* Bound but not listening; then listening, but nobody answers. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", t.path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL(rpc_call(t.path, "echo", NULL, 100, &result, &f), -ECONNREFUSED);
	CU_ASSERT_EQUAL(listen(fd, 1), 0);
	CU_ASSERT_EQUAL(rpc_call(t.path, "echo", NULL, 100, &result, &f), -ETIMEDOUT);
	close(fd);
	unlink(t.path);

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CU_ASSERT_EQUAL(rpc_call(longer, "echo", NULL, 100, &result, &f), -ENAMETOOLONG);

	server_up();
	CU_ASSERT_EQUAL(rpc_call(t.path, "refuse", NULL, PATIENCE_MS, &result, &f), -EREMOTEIO);
	CU_ASSERT_STRING_EQUAL(f.text, "tunnel \"a\" has no SA");
	CU_ASSERT_PTR_NULL(result);
	server_down();
	remove_dir();
}

CU_TestInfo rpc_tests[] = {
	{ "round trip, small and large", round_trip },
	{ "good and bad lines, row by row", line_rows },
	{ "the longest line and one byte more", line_lengths },
	{ "hung clients disturb nobody", hung_clients_disturb_nobody },
	{ "a crowd of silent clients cuts nobody off", a_crowd_cuts_nobody_off },
	{ "long lines: one client at a time, and in time", long_lines_one_at_a_time },
	{ "a slow subscriber misses events and hears how many", slow_subscribers_miss_some },
	{ "an answer reaches a client that closed its writing side", answer_after_half_close },
	{ "a stale socket is replaced, a live one and a file are not", sockets_of_others },
	{ "what the client says when nobody answers", client_faults },
	CU_TEST_INFO_NULL,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/* xespd's end of the key socket, with this test in the role of keyd, and of something worse. */
#include <netinet/in.h>
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypto/engine.h"
#include "libxesp/secret.h"
#include "sad/sad.h"
#include "xesp/clock.h"
#include "xesp/fault.h"
#include "xesp/log.h"
#include "xespd/keyd_link.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SAS 16u
#define WORDS 256u
#define DEADLINE_MS 5000
#define TUNNEL 3u
#define SA_OUT 5u
#define SA_IN 6u

static struct {
	struct event_base *base;
	struct sad_state state;
	struct sad *sad;
	struct keyd_link *link;
	char dir[32], path[64];
	int listener, fd; /* keyd's */
	uint32_t seq;
	int changes;
	uint32_t changed;
} t;

/* ---- a keyd of our own */

static void on_change(void *ctx, uint32_t tunnel)
{
	(void)ctx;
	t.changed = tunnel;
	t.changes++;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 1) == 1;
}

/* Runs the link's event loop until keyd's socket has something to read. */
static bool link_spoke(int fd)
{
	int64_t end = (int64_t)clock_ms() + DEADLINE_MS;

	while ((int64_t)clock_ms() < end) {
		event_base_loop(t.base, EVLOOP_NONBLOCK);
		if (readable(fd))
			return true;
	}
	return false;
}

static void listen_as_keyd(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", t.path);
	t.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(t.listener >= 0);
	CU_ASSERT_EQUAL_FATAL(bind(t.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(t.listener, 4), 0);
}

static void open_link(void)
{
	struct keyd_link_opts o = { .path = t.path, .changed = on_change };
	struct fault f = { "" };

	memset(&t, 0, sizeof(t));
	t.listener = t.fd = -1;
	log_open("test", LOG_LEVEL_ERROR);
	snprintf(t.dir, sizeof(t.dir), "/tmp/xesp-link-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(t.dir));
	snprintf(t.path, sizeof(t.path), "%s/keymsg.sock", t.dir);
	t.state = (struct sad_state){
		.sa = calloc(SAS, sizeof(*t.state.sa)),
		.replay = calloc(WORDS, sizeof(*t.state.replay)),
		.policy = calloc(4, sizeof(*t.state.policy)),
		.worker = calloc(XESP_WORKERS_MAX, sizeof(*t.state.worker)),
		.max_sas = SAS,
		.replay_words = WORDS,
		.max_policies = 4,
	};
	t.base = event_base_new();
	CU_ASSERT_EQUAL_FATAL(sad_open(&t.sad, &t.state, 2, &engine_openssl, &f), 0);
	o.sad = t.sad;
	CU_ASSERT_EQUAL_FATAL(keyd_link_open(&t.link, t.base, &o, &f), 0);
}

static void close_link(void)
{
	keyd_link_close(t.link);
	sad_close(t.sad);
	event_base_free(t.base);
	if (t.fd >= 0)
		close(t.fd);
	if (t.listener >= 0)
		close(t.listener);
	unlink(t.path);
	rmdir(t.dir);
	free(t.state.sa);
	free(t.state.replay);
	free(t.state.policy);
	free(t.state.worker);
}

static void keyd_sends(void *m, enum xesp_keymsg_type type, size_t len)
{
	struct xesp_keymsg *h = m;

	h->len = (uint32_t)len;
	h->type = (uint16_t)type;
	h->version = XESP_KEYMSG_VERSION;
	h->seq = ++t.seq;
	CU_ASSERT_EQUAL(send(t.fd, m, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* The next message of the link must be of this type; copied to *m. */
static bool link_says(void *m, enum xesp_keymsg_type type, size_t len)
{
	uint8_t buf[XESP_KEYMSG_MAX];
	const struct xesp_keymsg *h = (const void *)buf;
	ssize_t n;

	if (!link_spoke(t.fd))
		return false;
	n = recv(t.fd, buf, sizeof(buf), 0);
	if (n != (ssize_t)len || h->len != len || h->type != type ||
	    h->version != XESP_KEYMSG_VERSION) {
		fprintf(stderr, "keyd link: %zd bytes of type %u, not %zu of type %u\n", n,
			n > 0 ? h->type : 0, len, type);
		return false;
	}
	memcpy(m, buf, len);
	return true;
}

static bool link_hangs_up(void)
{
	char c;

	return link_spoke(t.fd) && recv(t.fd, &c, 1, 0) <= 0;
}

static void accept_link(void)
{
	CU_ASSERT_TRUE_FATAL(link_spoke(t.listener));
	t.fd = accept(t.listener, NULL, NULL);
	CU_ASSERT_FATAL(t.fd >= 0);
}

static void say_hello(void)
{
	struct xesp_keymsg_hello hello = { .steer_abi = XESP_STEER_ABI };
	struct xesp_keymsg_hello got;

	CU_ASSERT_TRUE_FATAL(link_says(&got, XESP_KEYMSG_HELLO, sizeof(got)));
	CU_ASSERT_EQUAL(got.steer_abi, XESP_STEER_ABI);
	CU_ASSERT_EQUAL(got.pid, (uint32_t)getpid());
	keyd_sends(&hello, XESP_KEYMSG_HELLO, sizeof(hello));
}

static void sends_sync(enum xesp_keymsg_type type)
{
	struct xesp_keymsg m = { 0 };

	keyd_sends(&m, type, sizeof(m));
}

/* As keyd does before it tells of an SA: its identity is in the mapped state. */
static void write_identity(const struct xesp_keymsg_sa *m)
{
	struct xesp_sa_state *st = &t.state.sa[m->id];
	uint8_t fingerprint[SECRET_FINGERPRINT_LEN];

	CU_ASSERT_EQUAL(secret_fingerprint(fingerprint, m->key, m->key_len, m->salt, m->salt_len),
			0);
	memcpy(&st->fingerprint, fingerprint, sizeof(st->fingerprint));
	st->in_use = 1;
	st->dir = m->dir;
	st->spi = m->spi;
	st->esn = m->esn;
	st->proto = m->proto;
	if (m->dir == XESP_DIR_IN) {
		st->window = m->window;
		st->replay_words = 2;
		st->replay_off = 8;
	}
}

static struct xesp_keymsg_tunnel a_tunnel(void)
{
	return (struct xesp_keymsg_tunnel){
		.id = TUNNEL,
		.sa_out = SA_OUT,
		.name = "site",
		.local = { { 0, 0, htonl(0xffff), htonl(0xc0000201) } },
		.remote = { { 0, 0, htonl(0xffff), htonl(0xc0000202) } },
		.ttl = 64,
	};
}

static struct xesp_keymsg_sa an_sa(uint32_t id, uint8_t dir)
{
	struct xesp_keymsg_sa m = {
		.id = id,
		.tunnel = TUNNEL,
		.spi = htonl(0x1000 + id),
		.dir = dir,
		.esn = 1,
		.alg = XESP_ALG_AES_GCM_16,
		.key_len = 16,
		.salt_len = 4,
		.proto = IPPROTO_ESP,
		.window = dir == XESP_DIR_IN ? 64 : 0,
		.lease_first = dir == XESP_DIR_OUT ? 1 : 0,
		.lease_last = dir == XESP_DIR_OUT ? 1000 : 0,
	};

	memset(m.key, 0x42, 16);
	write_identity(&m);
	return m;
}

static void expect_ack(int error)
{
	struct xesp_keymsg_ack ack;

	CU_ASSERT_TRUE_FATAL(link_says(&ack, XESP_KEYMSG_ACK, sizeof(ack)));
	if (ack.error != error)
		fprintf(stderr, "keyd link: ACK %d '%s'\n", ack.error, ack.text);
	CU_ASSERT_EQUAL(ack.error, error);
	CU_ASSERT_EQUAL(ack.acked_seq, t.seq);
	CU_ASSERT_EQUAL(ack.text[0] != 0, error != 0);
}

static void send_tunnel_and_sas(void)
{
	struct xesp_keymsg_tunnel tunnel = a_tunnel();
	struct xesp_keymsg_sa out = an_sa(SA_OUT, XESP_DIR_OUT), in = an_sa(SA_IN, XESP_DIR_IN);

	keyd_sends(&tunnel, XESP_KEYMSG_TUNNEL_SET, sizeof(tunnel));
	expect_ack(0);
	keyd_sends(&out, XESP_KEYMSG_SA_ADD, sizeof(out));
	expect_ack(0);
	keyd_sends(&in, XESP_KEYMSG_SA_ADD, sizeof(in));
	expect_ack(0);
}

static bool comes_in_step(void)
{
	int64_t end = (int64_t)clock_ms() + DEADLINE_MS;

	while ((int64_t)clock_ms() < end && !keyd_link_connected(t.link))
		event_base_loop(t.base, EVLOOP_NONBLOCK);
	return keyd_link_connected(t.link);
}

static void synchronise(void)
{
	accept_link();
	say_hello();
	sends_sync(XESP_KEYMSG_SYNC_BEGIN);
	send_tunnel_and_sas();
	sends_sync(XESP_KEYMSG_SYNC_END);
	CU_ASSERT_TRUE_FATAL(comes_in_step());
}

/* ---- tests */

static void sync_and_changes(void)
{
	struct xesp_keymsg_id del = { .id = SA_IN };
	struct xesp_keymsg_tunnel got;

	open_link();
	listen_as_keyd();
	synchronise();
	CU_ASSERT_EQUAL(sad_count(t.sad), 2);
	CU_ASSERT_TRUE(sad_tunnel_get(t.sad, TUNNEL, &got));
	CU_ASSERT_STRING_EQUAL(got.name, "site");
	CU_ASSERT_TRUE(t.changes > 0);
	CU_ASSERT_EQUAL(t.state.sa[SA_OUT].seq_next, 1);
	CU_ASSERT_EQUAL(t.state.sa[SA_OUT].lease_end, 1000);

	keyd_sends(&del, XESP_KEYMSG_SA_DEL, sizeof(del));
	expect_ack(0);
	CU_ASSERT_EQUAL(sad_count(t.sad), 1);
	del.wait = 1; /* no worker is awake, so there is nothing to wait for */
	keyd_sends(&del, XESP_KEYMSG_SA_DEL, sizeof(del));
	expect_ack(-ENOENT);
	CU_ASSERT_TRUE(keyd_link_connected(t.link));
	close_link();
}

/* DESIGN: SAs stay in force while keyd is away; the next synchronisation removes what it omits. */
static void keyd_goes_and_comes(void)
{
	struct xesp_keymsg_tunnel tunnel = a_tunnel();

	open_link();
	listen_as_keyd();
	synchronise();
	close(t.fd);
	t.fd = -1;
	accept_link(); /* it comes again by itself */
	CU_ASSERT_FALSE(keyd_link_connected(t.link));
	CU_ASSERT_EQUAL(sad_count(t.sad), 2);
	say_hello();
	sends_sync(XESP_KEYMSG_SYNC_BEGIN);
	keyd_sends(&tunnel, XESP_KEYMSG_TUNNEL_SET, sizeof(tunnel));
	expect_ack(0);
	CU_ASSERT_EQUAL(sad_count(t.sad), 2);
	sends_sync(XESP_KEYMSG_SYNC_END);
	CU_ASSERT_TRUE_FATAL(comes_in_step());
	CU_ASSERT_EQUAL(sad_count(t.sad), 0);
	CU_ASSERT_TRUE(sad_tunnel_get(t.sad, TUNNEL, &tunnel));
	close_link();
}

/* The connection breaks in the middle of a synchronisation: nothing is removed. */
static void half_a_synchronisation_removes_nothing(void)
{
	open_link();
	listen_as_keyd();
	synchronise();
	close(t.fd);
	accept_link();
	say_hello();
	sends_sync(XESP_KEYMSG_SYNC_BEGIN);
	close(t.fd);
	accept_link();
	CU_ASSERT_EQUAL(sad_count(t.sad), 2);
	close_link();
}

static void keyd_comes_later(void)
{
	open_link();
	for (int i = 0; i < 3; i++) /* some vain attempts */
		event_base_loop(t.base, EVLOOP_ONCE);
	CU_ASSERT_FALSE(keyd_link_connected(t.link));
	listen_as_keyd();
	synchronise();
	close_link();
}

static void leases(void)
{
	struct xesp_keymsg_id request;
	struct xesp_keymsg_lease grant = { .id = SA_OUT, .first = 1001, .last = 2000 };
	struct xesp_keymsg_sa empty;

	open_link();
	listen_as_keyd();
	synchronise();
	/* An SA that comes without numbers is asked for at once. */
	empty = an_sa(7, XESP_DIR_OUT);
	empty.lease_first = empty.lease_last = 0;
	keyd_sends(&empty, XESP_KEYMSG_SA_ADD, sizeof(empty));
	expect_ack(0);
	CU_ASSERT_TRUE_FATAL(link_says(&request, XESP_KEYMSG_LEASE_REQUEST, sizeof(request)));
	CU_ASSERT_EQUAL(request.id, 7);
	keyd_sends(&grant, XESP_KEYMSG_LEASE_GRANT, sizeof(grant));
	expect_ack(0);
	CU_ASSERT_EQUAL(t.state.sa[SA_OUT].lease_end, 2000);
	close_link();
}

static void malformed_ends_the_connection(void)
{
	uint8_t *buf = calloc(1, XESP_KEYMSG_MAX + 1);
	struct xesp_keymsg *h = (void *)buf;

	open_link();
	listen_as_keyd();
	synchronise();
	*h = (struct xesp_keymsg){ sizeof(*h), 65535, XESP_KEYMSG_VERSION, 1, 0 };
	CU_ASSERT_EQUAL(send(t.fd, buf, sizeof(*h), MSG_NOSIGNAL), (ssize_t)sizeof(*h));
	CU_ASSERT_TRUE(link_hangs_up());
	close(t.fd);
	CU_ASSERT_EQUAL(sad_count(t.sad), 2);

	/* Longer than the buffer: cut off by the kernel, and not taken for what is left. */
	accept_link();
	say_hello();
	memset(buf, 0, XESP_KEYMSG_MAX + 1);
	*h = (struct xesp_keymsg){ XESP_KEYMSG_MAX, XESP_KEYMSG_TUNNEL_SET, 1, 1, 0 };
	CU_ASSERT_EQUAL(send(t.fd, buf, XESP_KEYMSG_MAX + 1, MSG_NOSIGNAL), XESP_KEYMSG_MAX + 1);
	CU_ASSERT_TRUE(link_hangs_up());
	free(buf);
	close_link();
}

/* Messages that are well formed and out of turn. */
static void order_rows(void)
{
	static const struct {
		const char *what;
		enum xesp_keymsg_type say[4];
	} orders[] = {
		{ "sync before hello", { XESP_KEYMSG_SYNC_BEGIN } },
		{ "hello twice", { XESP_KEYMSG_HELLO, XESP_KEYMSG_HELLO } },
		{ "end without begin", { XESP_KEYMSG_HELLO, XESP_KEYMSG_SYNC_END } },
		{ "delete before sync", { XESP_KEYMSG_HELLO, XESP_KEYMSG_SA_DEL } },
		{ "begin twice",
		  { XESP_KEYMSG_HELLO, XESP_KEYMSG_SYNC_BEGIN, XESP_KEYMSG_SYNC_BEGIN } },
		{ "end twice",
		  { XESP_KEYMSG_HELLO, XESP_KEYMSG_SYNC_BEGIN, XESP_KEYMSG_SYNC_END,
		    XESP_KEYMSG_SYNC_END } },
	};

	open_link();
	listen_as_keyd();
	for (size_t i = 0; i < LEN(orders); i++) {
		struct xesp_keymsg_hello hello = { .steer_abi = XESP_STEER_ABI }, got;
		struct xesp_keymsg_id id = { .id = 1 };
		struct xesp_keymsg bare = { 0 };
		bool ended;

		accept_link();
		CU_ASSERT_TRUE(link_says(&got, XESP_KEYMSG_HELLO, sizeof(got)));
		for (int k = 0; k < 4 && orders[i].say[k]; k++) {
			if (orders[i].say[k] == XESP_KEYMSG_HELLO)
				keyd_sends(&hello, XESP_KEYMSG_HELLO, sizeof(hello));
			else if (orders[i].say[k] == XESP_KEYMSG_SA_DEL)
				keyd_sends(&id, XESP_KEYMSG_SA_DEL, sizeof(id));
			else
				keyd_sends(&bare, orders[i].say[k], sizeof(bare));
		}
		ended = link_hangs_up();
		if (!ended)
			fprintf(stderr, "keyd link: %s: still connected\n", orders[i].what);
		CU_ASSERT_TRUE(ended);
		close(t.fd);
		t.fd = -1;
	}
	close_link();
}

static void another_abi_is_refused(void)
{
	struct xesp_keymsg_hello hello = { .steer_abi = XESP_STEER_ABI + 1 }, got;

	open_link();
	listen_as_keyd();
	accept_link();
	CU_ASSERT_TRUE(link_says(&got, XESP_KEYMSG_HELLO, sizeof(got)));
	keyd_sends(&hello, XESP_KEYMSG_HELLO, sizeof(hello));
	CU_ASSERT_TRUE(link_hangs_up());
	close_link();
}

/* keyd sends much and reads little: no answer is lost, and their order is kept. */
static void answers_wait_for_a_slow_keyd(void)
{
	struct xesp_keymsg_id del = { .id = 9 };
	uint32_t next, last;
	struct xesp_keymsg_ack ack;

	open_link();
	listen_as_keyd();
	synchronise();
	next = t.seq + 1;
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 5; i++)
			keyd_sends(&del, XESP_KEYMSG_SA_DEL, sizeof(del));
		event_base_loop(t.base, EVLOOP_NONBLOCK);
		event_base_loop(t.base, EVLOOP_NONBLOCK);
		/* Some room, so that new answers could overtake those that wait. */
		for (int i = 0; i < 2 && readable(t.fd); i++) {
			CU_ASSERT_TRUE_FATAL(link_says(&ack, XESP_KEYMSG_ACK, sizeof(ack)));
			CU_ASSERT_EQUAL_FATAL(ack.acked_seq, next++);
		}
	}
	for (last = t.seq; next <= last; next++) {
		CU_ASSERT_TRUE_FATAL(link_says(&ack, XESP_KEYMSG_ACK, sizeof(ack)));
		CU_ASSERT_EQUAL_FATAL(ack.acked_seq, next);
	}
	close_link();
}

/* What is accepted is answered together, what is refused on its own; and who changed is told. */
static void one_answer_for_many(void)
{
	struct xesp_keymsg_id none = { .id = 9 }, del = { .id = SA_IN };
	struct xesp_keymsg_tunnel tunnel = a_tunnel();
	struct xesp_keymsg_ack ack;
	uint32_t refused;

	open_link();
	listen_as_keyd();
	synchronise();
	for (int i = 0; i < 3; i++)
		keyd_sends(&tunnel, XESP_KEYMSG_TUNNEL_SET, sizeof(tunnel));
	keyd_sends(&none, XESP_KEYMSG_SA_DEL, sizeof(none));
	refused = t.seq;
	for (int i = 0; i < 3; i++)
		keyd_sends(&tunnel, XESP_KEYMSG_TUNNEL_SET, sizeof(tunnel));
	keyd_sends(&del, XESP_KEYMSG_SA_DEL, sizeof(del));
	CU_ASSERT_TRUE_FATAL(link_says(&ack, XESP_KEYMSG_ACK, sizeof(ack)));
	CU_ASSERT_EQUAL(ack.acked_seq, refused);
	CU_ASSERT_EQUAL(ack.error, -ENOENT);
	expect_ack(0);
	CU_ASSERT_FALSE(readable(t.fd));
	CU_ASSERT_EQUAL(t.changed, TUNNEL); /* that of the SA which is gone by now */
	close_link();
}

CU_TestInfo keyd_link_tests[] = {
	{ "synchronisation, changes, refusals", sync_and_changes },
	{ "keyd goes and comes: what it does not name again is removed", keyd_goes_and_comes },
	{ "half a synchronisation removes nothing", half_a_synchronisation_removes_nothing },
	{ "keyd comes later than xespd", keyd_comes_later },
	{ "leases are asked for and taken", leases },
	{ "a malformed message ends the connection", malformed_ends_the_connection },
	{ "messages out of turn, row by row", order_rows },
	{ "keyd of another ABI is refused", another_abi_is_refused },
	{ "one answer for many messages", one_answer_for_many },
	{ "answers wait for a keyd that does not read", answers_wait_for_a_slow_keyd },
	CU_TEST_INFO_NULL,
};

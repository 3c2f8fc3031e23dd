/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_publish_worker.c - the socket to xespd: what a worker is told, and what a worker that is
 * malformed, of another version, second, or deaf gets: nothing, and nobody else is disturbed.
 */
#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/keyd/fixture.h"
#include "keyd/config.h"
#include "keyd/publish_worker.h"
#include "xesp/log.h"

struct fixture {
	struct event_base *base;
	struct publish_worker *w;
	struct config *config;
	char path[64];
	/* what the callbacks saw */
	uint32_t wanted, acks, errors, in_step, gone;
	int last_error;
	uint32_t last_id;
	char last_text[128];
};

static struct config *present(void *ctx)
{
	return ((struct fixture *)ctx)->config;
}

static void lease_wanted(void *ctx, uint32_t sa_id)
{
	struct fixture *x = ctx;

	x->wanted++;
	publish_worker_grant(x->w, sa_id, 101, 200);
}

static void acked(void *ctx, enum xesp_keymsg_type type, uint32_t id, int error, const char *text)
{
	struct fixture *x = ctx;

	(void)type;
	x->acks++;
	x->errors += error != 0;
	x->last_error = error;
	x->last_id = id;
	snprintf(x->last_text, sizeof(x->last_text), "%s", text);
}

static void in_step(void *ctx)
{
	((struct fixture *)ctx)->in_step++;
}

static void gone(void *ctx)
{
	((struct fixture *)ctx)->gone++;
}

static const char two_sas[] =
	"version: 1\n"
	"tunnels:\n"
	"  - {name: t, local: 192.0.2.1, remote: 192.0.2.2, ttl: 9, mtu: 1400}\n"
	"sas:\n"
	"  - {name: o, tunnel: t, direction: out, spi: 4097, algorithm: aes-gcm-128-8,"
	"     key: 000102030405060708090a0b0c0d0e0f10111213}\n"
	"  - {name: i, tunnel: t, direction: in, spi: 4098, algorithm: chacha20poly1305, esn: no,"
	"     key: 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40414243}\n"
	"policies:\n"
	"  - {name: p, action: protect, tunnel: t, local: 10.1.0.0/24, remote: 10.2.0.0/24}\n";

static void setup(struct fixture *x)
{
	const struct publish_worker_calls calls = {
		.ctx = x, .present = present, .lease_wanted = lease_wanted, .acked = acked,
		.in_step = in_step, .gone = gone,
	};
	char dir[] = "/tmp/xesp-test-worker-XXXXXX";
	struct fault f = { "" };

	log_open("test", LOG_LEVEL_ERROR);
	*x = (struct fixture){ 0 };
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(x->path, sizeof(x->path), "%s/s", dir);
	x->base = event_base_new();
	x->config = fixture_config("%s", two_sas);
	CU_ASSERT_PTR_NOT_NULL_FATAL(x->config);
	x->config->sad.tunnels[0].id = 3;
	x->config->sad.sas[0].id = 11;
	x->config->sad.sas[0].lease_first = 1;
	x->config->sad.sas[0].lease_last = 100;
	x->config->sad.sas[1].id = 12;
	CU_ASSERT_EQUAL_FATAL(publish_worker_open(&x->w, x->base, x->path, &calls, &f), 0);
}

static void finish(struct fixture *x)
{
	struct stat st;

	publish_worker_close(x->w);
	CU_ASSERT(stat(x->path, &st) && errno == ENOENT);
	config_free(x->config);
	event_base_free(x->base);
	*strrchr(x->path, '/') = '\0';
	rmdir(x->path);
}

/* Takes messages and answers them until SYNC_END. */
static bool sync_up(struct fixture *x, struct peer *p)
{
	CU_ASSERT_FATAL(peer_connect(p, x->path));
	CU_ASSERT(peer_hello(p, XESP_STEER_ABI));
	for (;;) {
		enum xesp_keymsg_type type = peer_receive(p, x->base);

		if (!type)
			return false;
		if (type == XESP_KEYMSG_SYNC_END)
			return true;
		if (type == XESP_KEYMSG_SA_ADD || type == XESP_KEYMSG_TUNNEL_SET)
			CU_ASSERT(peer_ack(p, peer_header(p)->seq, 0, ""));
	}
}

static void check_tunnel(const struct peer *p)
{
	const struct xesp_keymsg_tunnel *m = (const void *)p->buf;

	CU_ASSERT_EQUAL(p->len, sizeof(*m));
	CU_ASSERT_EQUAL(m->id, 3);
	CU_ASSERT_EQUAL(m->sa_out, 11);
	CU_ASSERT_STRING_EQUAL(m->name, "t");
	CU_ASSERT_EQUAL(m->ttl, 9);
	CU_ASSERT_EQUAL(m->mtu, 1400);
	CU_ASSERT_EQUAL(m->remote.w[3], inet_addr("192.0.2.2"));
}

static void check_sa(const struct peer *p, int which)
{
	const struct xesp_keymsg_sa *m = (const void *)p->buf;

	CU_ASSERT_EQUAL_FATAL(p->len, sizeof(*m));
	CU_ASSERT_EQUAL(m->tunnel, 3);
	CU_ASSERT_EQUAL(m->alg, which ? XESP_ALG_CHACHA20_POLY1305 : XESP_ALG_AES_GCM_8);
	CU_ASSERT_EQUAL(m->salt_len, 4);
	if (which == 0) {
		CU_ASSERT(m->id == 11 && m->dir == XESP_DIR_OUT && m->esn == 1);
		CU_ASSERT(m->spi == htonl(4097) && m->key_len == 16);
		CU_ASSERT(m->lease_first == 1 && m->lease_last == 100);
		CU_ASSERT(m->key[0] == 0 && m->key[15] == 15 && m->salt[0] == 16 && m->salt[3] == 19);
	} else {
		CU_ASSERT(m->id == 12 && m->dir == XESP_DIR_IN && m->esn == 0);
		CU_ASSERT(m->spi == htonl(4098) && m->key_len == 32 && m->window == 4096);
		CU_ASSERT(m->key[31] == 0x3f && m->salt[0] == 0x40);
	}
}

static void test_a_worker_is_told_everything(void)
{
	static const enum xesp_keymsg_type order[] = {
		XESP_KEYMSG_HELLO,  XESP_KEYMSG_SYNC_BEGIN, XESP_KEYMSG_SPREAD, XESP_KEYMSG_TUNNEL_SET,
		XESP_KEYMSG_SA_ADD,    XESP_KEYMSG_SA_ADD,
		XESP_KEYMSG_SYNC_END,
	};
	struct fixture x;
	struct peer p;

	setup(&x);
	CU_ASSERT_FATAL(peer_connect(&p, x.path));
	CU_ASSERT(peer_hello(&p, XESP_STEER_ABI));
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(peer_receive(&p, x.base), order[i]);
		CU_ASSERT_EQUAL(peer_header(&p)->len, p.len);
		CU_ASSERT_EQUAL(peer_header(&p)->seq, i + 1);
		if (order[i] == XESP_KEYMSG_TUNNEL_SET)
			check_tunnel(&p);
		if (order[i] == XESP_KEYMSG_SA_ADD)
			check_sa(&p, (int)i - 4);
	}
	CU_ASSERT(publish_worker_connected(x.w));
	CU_ASSERT_EQUAL(x.in_step, 1);
	CU_ASSERT_EQUAL(publish_worker_pid(x.w), (uint32_t)getpid());
	peer_close(&p);
	finish(&x);
}

static void test_refused_sas_are_not_told(void)
{
	struct fixture x;
	struct peer p;
	int sas = 0;

	setup(&x);
	sad_stand(&x.config->sad.sas[0], SA_REFUSED, "for the test");
	CU_ASSERT_FATAL(peer_connect(&p, x.path));
	CU_ASSERT(peer_hello(&p, XESP_STEER_ABI));
	for (;;) {
		enum xesp_keymsg_type type = peer_receive(&p, x.base);

		sas += type == XESP_KEYMSG_SA_ADD;
		if (type == XESP_KEYMSG_TUNNEL_SET)
			CU_ASSERT_EQUAL(((const struct xesp_keymsg_tunnel *)p.buf)->sa_out, 0);
		if (!type || type == XESP_KEYMSG_SYNC_END)
			break;
	}
	CU_ASSERT_EQUAL(sas, 1);
	peer_close(&p);
	finish(&x);
}

static void test_answers_and_leases(void)
{
	struct fixture x;
	struct peer p;

	setup(&x);
	CU_ASSERT_FATAL(sync_up(&x, &p));
	CU_ASSERT(peer_request_lease(&p, 11));
	CU_ASSERT_EQUAL(peer_receive(&p, x.base), XESP_KEYMSG_LEASE_GRANT);
	CU_ASSERT_EQUAL(((const struct xesp_keymsg_lease *)p.buf)->first, 101);
	CU_ASSERT_EQUAL(((const struct xesp_keymsg_lease *)p.buf)->last, 200);
	CU_ASSERT_EQUAL(x.acks, 3); /* the tunnel and two SAs */
	CU_ASSERT(peer_ack(&p, peer_header(&p)->seq, -EINVAL, "no \033[31m thanks"));
	CU_ASSERT(publish_worker_drain(x.w, 1000));
	CU_ASSERT_EQUAL(x.last_error, -EINVAL);
	CU_ASSERT_EQUAL(x.last_id, 11);
	CU_ASSERT_STRING_EQUAL(x.last_text, "no ?[31m thanks"); /* nothing for the terminal */
	publish_worker_refuse(x.w, 11);
	CU_ASSERT_EQUAL(peer_receive(&p, x.base), XESP_KEYMSG_LEASE_REFUSED);
	publish_worker_sa_del(x.w, 12);
	CU_ASSERT_EQUAL(peer_receive(&p, x.base), XESP_KEYMSG_SA_DEL);
	CU_ASSERT_EQUAL(((const struct xesp_keymsg_id *)p.buf)->id, 12);
	publish_worker_tunnel_del(x.w, 3);
	CU_ASSERT_EQUAL(peer_receive(&p, x.base), XESP_KEYMSG_TUNNEL_DEL);
	peer_close(&p);
	finish(&x);
}

/* One answer accepts all before it; a refusal is that of one message. A number of none is no answer. */
static void test_one_answer_for_many(void)
{
	struct fixture x;
	struct peer p;
	uint32_t seq;

	setup(&x);
	CU_ASSERT_FATAL(sync_up(&x, &p));
	for (int i = 0; i < 5; i++)
		publish_worker_sa_del(x.w, 20u + (uint32_t)i);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL_FATAL(peer_receive(&p, x.base), XESP_KEYMSG_SA_DEL);
	seq = peer_header(&p)->seq;
	CU_ASSERT(peer_ack(&p, seq - 2, 0, ""));
	CU_ASSERT(peer_ack(&p, seq, -ENOENT, "no such SA"));
	CU_ASSERT(publish_worker_drain(x.w, 1000));
	CU_ASSERT_EQUAL(x.acks, 3 + 5);
	CU_ASSERT_EQUAL(x.errors, 1);
	CU_ASSERT_EQUAL(x.last_id, 24);
	CU_ASSERT_EQUAL(x.last_error, -ENOENT);
	/* TUNNEL_DEL has no answer, so that its number is not one to accept others by. */
	publish_worker_sa_del(x.w, 30);
	publish_worker_tunnel_del(x.w, 3);
	CU_ASSERT_EQUAL(peer_receive(&p, x.base), XESP_KEYMSG_SA_DEL);
	CU_ASSERT_EQUAL(peer_receive(&p, x.base), XESP_KEYMSG_TUNNEL_DEL);
	CU_ASSERT(peer_ack(&p, peer_header(&p)->seq, 0, ""));
	CU_ASSERT(peer_sees_end(&p, x.base));
	CU_ASSERT_EQUAL(x.acks, 3 + 5);
	peer_close(&p);
	finish(&x);
}

/* ---- workers that are not */

static void send_raw(struct peer *p, const struct xesp_keymsg *h, size_t len)
{
	uint8_t bytes[2 * XESP_KEYMSG_MAX] = { 0 };

	memcpy(bytes, h, sizeof(*h));
	CU_ASSERT_EQUAL(send(p->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void test_malformed_messages_end_the_connection(void)
{
	enum { V = XESP_KEYMSG_VERSION, HELLO = sizeof(struct xesp_keymsg_hello),
	       ID = sizeof(struct xesp_keymsg_id), ACK = sizeof(struct xesp_keymsg_ack),
	       PEER = sizeof(struct xesp_keymsg_peer) };
	static const struct {
		const char *what;
		struct xesp_keymsg h;
		size_t len;
	} rows[] = {
		{ "one byte", { .len = 1 }, 1 },
		{ "a header cut off", { .len = 15, .type = XESP_KEYMSG_ACK, .version = V }, 15 },
		{ "another version", { .len = ID, .type = XESP_KEYMSG_LEASE_REQUEST, .version = V + 1 },
		  ID },
		{ "longer than it says", { .len = ID, .type = XESP_KEYMSG_LEASE_REQUEST, .version = V },
		  ID + 8 },
		{ "shorter than it says", { .len = ID + 8, .type = XESP_KEYMSG_LEASE_REQUEST,
					    .version = V }, ID },
		{ "a request too long", { .len = ID + 8, .type = XESP_KEYMSG_LEASE_REQUEST,
					  .version = V }, ID + 8 },
		{ "an answer too short", { .len = ACK - 8, .type = XESP_KEYMSG_ACK, .version = V },
		  ACK - 8 },
		{ "a sighting too short", { .len = PEER - 8, .type = XESP_KEYMSG_PEER_MOVED, .version = V },
		  PEER - 8 },
		{ "a sighting too long", { .len = PEER + 8, .type = XESP_KEYMSG_PEER_MOVED, .version = V },
		  PEER + 8 },
		{ "type 0", { .len = ID, .type = 0, .version = V }, ID },
		{ "a type of the future", { .len = ID, .type = 999, .version = V }, ID },
		{ "keyd's own type", { .len = ID, .type = XESP_KEYMSG_SA_DEL, .version = V }, ID },
		{ "a second HELLO", { .len = HELLO, .type = XESP_KEYMSG_HELLO, .version = V }, HELLO },
		{ "an answer to nothing", { .len = ACK, .type = XESP_KEYMSG_ACK, .version = V }, ACK },
		{ "larger than any message", { .len = XESP_KEYMSG_MAX + 8, .type = XESP_KEYMSG_ACK,
					       .version = V }, XESP_KEYMSG_MAX + 8 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture x;
		struct peer p;

		setup(&x);
		CU_ASSERT_FATAL(sync_up(&x, &p));
		send_raw(&p, &rows[i].h, rows[i].len);
		if (!peer_sees_end(&p, x.base) || x.gone != 1) {
			printf("  %s\n", rows[i].what);
			CU_FAIL("still connected");
		}
		CU_ASSERT_FALSE(publish_worker_connected(x.w));
		peer_close(&p);
		/* and the next one is served */
		CU_ASSERT(sync_up(&x, &p));
		peer_close(&p);
		finish(&x);
	}
}

static void test_an_answer_to_another_message(void)
{
	struct fixture x;
	struct peer p;

	setup(&x);
	CU_ASSERT_FATAL(sync_up(&x, &p));
	publish_worker_sa(x.w, x.config, 0);
	CU_ASSERT_EQUAL_FATAL(peer_receive(&p, x.base), XESP_KEYMSG_SA_ADD);
	CU_ASSERT(peer_ack(&p, peer_header(&p)->seq + 1, 0, ""));
	CU_ASSERT(peer_sees_end(&p, x.base));
	CU_ASSERT_EQUAL(x.acks, 3); /* those of the beginning */
	peer_close(&p);
	finish(&x);
}

static void test_nothing_before_hello(void)
{
	struct fixture x;
	struct peer p;

	setup(&x);
	CU_ASSERT_FATAL(peer_connect(&p, x.path));
	CU_ASSERT(peer_request_lease(&p, 11));
	CU_ASSERT(peer_sees_end(&p, x.base));
	CU_ASSERT_EQUAL(x.wanted, 0);
	peer_close(&p);
	CU_ASSERT_FATAL(peer_connect(&p, x.path));
	CU_ASSERT(peer_hello(&p, XESP_STEER_ABI + 1));
	CU_ASSERT(peer_sees_end(&p, x.base));
	CU_ASSERT_EQUAL(x.in_step, 0);
	peer_close(&p);
	CU_ASSERT_FATAL(sync_up(&x, &p));
	CU_ASSERT(peer_hello(&p, XESP_STEER_ABI));
	CU_ASSERT(peer_sees_end(&p, x.base)); /* it was told everything already */
	peer_close(&p);
	finish(&x);
}

static void test_a_second_worker_is_refused(void)
{
	struct fixture x;
	struct peer first, second;

	setup(&x);
	CU_ASSERT_FATAL(sync_up(&x, &first));
	CU_ASSERT_FATAL(peer_connect(&second, x.path));
	CU_ASSERT(peer_sees_end(&second, x.base));
	peer_close(&second);
	CU_ASSERT(publish_worker_connected(x.w));
	CU_ASSERT(peer_request_lease(&first, 11));
	CU_ASSERT_EQUAL(peer_receive(&first, x.base), XESP_KEYMSG_LEASE_GRANT);
	/* When the first is gone the next is served, even if keyd hears of both at once. */
	peer_close(&first);
	CU_ASSERT(sync_up(&x, &second));
	peer_close(&second);
	finish(&x);
}

static void test_a_deaf_worker_is_disconnected(void)
{
	struct fixture x;
	struct peer p;
	const int small = 4096;

	setup(&x);
	publish_worker_set_patience(x.w, 200);
	CU_ASSERT_FATAL(peer_connect(&p, x.path));
	setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	CU_ASSERT(peer_hello(&p, XESP_STEER_ABI));
	for (int i = 0; i < 2000 && !x.gone; i++) {
		if (publish_worker_pid(x.w))
			for (int k = 0; k < 100; k++)
				publish_worker_sa(x.w, x.config, 0);
		event_base_loop(x.base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	CU_ASSERT_EQUAL(x.gone, 1);
	peer_close(&p);
	finish(&x);
}

static void test_a_silent_worker_is_disconnected(void)
{
	struct fixture x;
	struct peer p;

	setup(&x);
	publish_worker_set_patience(x.w, 100);
	CU_ASSERT_FATAL(peer_connect(&p, x.path));
	CU_ASSERT(peer_sees_end(&p, x.base));
	peer_close(&p);
	finish(&x);
}

static void test_drain_does_not_wait_for_ever(void)
{
	struct fixture x;
	struct peer p;

	setup(&x);
	CU_ASSERT_FATAL(sync_up(&x, &p));
	publish_worker_sa(x.w, x.config, 0);
	CU_ASSERT_FALSE(publish_worker_drain(x.w, 100)); /* it never answers */
	CU_ASSERT_EQUAL(x.gone, 1);
	peer_close(&p);
	finish(&x);
}

static void test_stale_and_live_sockets(void)
{
	const struct publish_worker_calls calls = { .present = present };
	struct publish_worker *second;
	struct fault f = { "" };
	struct fixture x;
	struct stat st;

	setup(&x);
	CU_ASSERT_EQUAL_FATAL(stat(x.path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(publish_worker_open(&second, x.base, x.path, &calls, &f), -EADDRINUSE);
	CU_ASSERT_EQUAL(stat(x.path, &st), 0);
	event_base_loop(x.base, EVLOOP_NONBLOCK); /* it was asked whether it lives */
	finish(&x);
}

CU_TestInfo publish_worker_tests[] = {
	{ "on connect a worker is told everything, in order", test_a_worker_is_told_everything },
	{ "refused SAs are not told", test_refused_sas_are_not_told },
	{ "answers and lease requests reach keyd", test_answers_and_leases },
	{ "one answer for many messages", test_one_answer_for_many },
	{ "malformed messages end the connection, the next one is served",
	  test_malformed_messages_end_the_connection },
	{ "an answer to another message ends the connection", test_an_answer_to_another_message },
	{ "nothing before HELLO, nothing for another ABI, one HELLO", test_nothing_before_hello },
	{ "a second worker is refused while the first lives", test_a_second_worker_is_refused },
	{ "a worker that does not read is disconnected", test_a_deaf_worker_is_disconnected },
	{ "a worker that says nothing is disconnected", test_a_silent_worker_is_disconnected },
	{ "waiting for answers ends", test_drain_does_not_wait_for_ever },
	{ "a live socket is not taken over", test_stale_and_live_sockets },
	CU_TEST_INFO_NULL,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/* xfrm_tell.c - see xfrm_tell.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "keyd/xfrm_entry.h"
#include "keyd/xfrm_tell.h"
#include "libxesp/addr.h"
#include "libxesp/secret.h"
#include "xesp/fault.h"

#define RECV_BYTES 16384
#define ANSWER_MS 1000
#define BITMAP_WORDS_MAX 2048 /* the kernel's XFRMA_REPLAY_ESN_MAX is 4096 bits */

struct xfrm_tell {
	struct nl_sock *sk;
	uint8_t buf[RECV_BYTES];
};

int xfrm_tell_open(struct xfrm_tell **out, struct fault *f)
{
	struct xfrm_tell *x = calloc(1, sizeof(*x));
	int err;

	if (x)
		x->sk = nl_socket_alloc();
	if (!x || !x->sk) {
		xfrm_tell_close(x);
		return fault_set(f, -ENOMEM, "out of memory");
	}
	err = nl_connect(x->sk, NETLINK_XFRM);
	if (err) {
		xfrm_tell_close(x);
		return fault_set(f, -EPROTONOSUPPORT, "no XFRM netlink in this kernel: %s",
				 nl_geterror(err));
	}
	*out = x;
	return 0;
}

void xfrm_tell_close(struct xfrm_tell *x)
{
	if (!x)
		return;
	nl_socket_free(x->sk);
	free(x);
}

/* ---- messages */

static uint16_t family_of(const struct xesp_addr *a)
{
	return addr_is_ip4(a) ? AF_INET : AF_INET6;
}

static void put_addr(xfrm_address_t *out, const struct xesp_addr *a)
{
	memset(out, 0, sizeof(*out));
	if (addr_is_ip4(a))
		out->a4 = a->w[3];
	else
		memcpy(out->a6, a->w, 16);
}

static struct xfrm_aevent_id aevent_of(const struct xfrm_name *n, uint32_t flags)
{
	struct xfrm_aevent_id id = { .sa_id = { .spi = htonl(n->spi),
						.family = family_of(&n->dst),
						.proto = n->proto },
				     .flags = flags,
				     .reqid = n->reqid };

	put_addr(&id.sa_id.daddr, &n->dst);
	put_addr(&id.saddr, &n->src);
	return id;
}

/* Sends, and waits for the one message that answers; *h is in x->buf. */
static int exchange(struct xfrm_tell *x, struct nl_msg *msg, const struct nlmsghdr **h)
{
	struct pollfd p = { .fd = nl_socket_get_fd(x->sk), .events = POLLIN };
	uint32_t seq;

	if (nl_send_auto(x->sk, msg) < 0)
		return -EIO;
	seq = nlmsg_hdr(msg)->nlmsg_seq;
	while (poll(&p, 1, ANSWER_MS) > 0) {
		ssize_t n = recv(p.fd, x->buf, sizeof(x->buf), 0);
		const struct nlmsghdr *got = (const void *)x->buf;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!nlmsg_ok(got, (int)n) || got->nlmsg_seq != seq)
			continue; /* the answer to one that was given up */
		if (got->nlmsg_type == NLMSG_ERROR && got->nlmsg_len >= NLMSG_LENGTH(sizeof(int)))
			return ((const struct nlmsgerr *)NLMSG_DATA(got))->error;
		*h = got;
		return 0;
	}
	return -ETIMEDOUT;
}

static int fail(struct fault *f, int err, const struct xfrm_name *name, const char *what)
{
	char to[ADDR_TEXT_MAX];

	return fault_set(f, err, "the kernel's SA 0x%08x towards %s: %s: %s", name->spi,
			 addr_print(&name->dst, to), what, strerror(-err));
}

/* ---- asking */

/* struct xfrm_replay_state_esn without the bitmap behind it. */
struct esn_head {
	uint32_t bmp_len, oseq, seq, oseq_hi, seq_hi, replay_window;
};

_Static_assert(sizeof(struct esn_head) == sizeof(struct xfrm_replay_state_esn), "as the kernel has it");

/* What the kernel has, in the form in which it wants it back. */
struct known {
	bool esn_form;
	struct xfrm_replay_state old;
	struct esn_head esn;
	uint32_t bitmap[BITMAP_WORDS_MAX];
	struct xfrm_lifetime_cur life;
};

static int take_known(struct known *k, const struct nlmsghdr *h)
{
	struct nlattr *tb[XFRMA_MAX + 1], *a;

	memset(k, 0, sizeof(*k));
	if (h->nlmsg_type != XFRM_MSG_NEWAE ||
	    (int)h->nlmsg_len < NLMSG_LENGTH((int)sizeof(struct xfrm_aevent_id)) ||
	    nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, sizeof(struct xfrm_aevent_id), tb, XFRMA_MAX,
			NULL))
		return -EPROTO;
	a = tb[XFRMA_REPLAY_ESN_VAL];
	if (a && nla_len(a) >= (int)sizeof(k->esn)) {
		memcpy(&k->esn, nla_data(a), sizeof(k->esn));
		if (k->esn.bmp_len > BITMAP_WORDS_MAX ||
		    (size_t)nla_len(a) < sizeof(k->esn) + k->esn.bmp_len * sizeof(uint32_t))
			return -EPROTO;
		memcpy(k->bitmap, (const char *)nla_data(a) + sizeof(k->esn),
		       k->esn.bmp_len * sizeof(uint32_t));
		k->esn_form = true;
	} else if (tb[XFRMA_REPLAY_VAL] && nla_len(tb[XFRMA_REPLAY_VAL]) >= (int)sizeof(k->old)) {
		memcpy(&k->old, nla_data(tb[XFRMA_REPLAY_VAL]), sizeof(k->old));
	} else {
		return -EPROTO;
	}
	if (tb[XFRMA_LTIME_VAL] && nla_len(tb[XFRMA_LTIME_VAL]) >= (int)sizeof(k->life))
		memcpy(&k->life, nla_data(tb[XFRMA_LTIME_VAL]), sizeof(k->life));
	return 0;
}

static int ask(struct xfrm_tell *x, const struct xfrm_name *name, struct known *k)
{
	struct xfrm_aevent_id id = aevent_of(name, XFRM_AE_RVAL | XFRM_AE_LVAL);
	struct nl_msg *msg = nlmsg_alloc_simple(XFRM_MSG_GETAE, NLM_F_REQUEST);
	const struct nlmsghdr *h = NULL;
	int err = msg ? nlmsg_append(msg, &id, sizeof(id), NLMSG_ALIGNTO) : -ENOMEM;

	if (!err)
		err = exchange(x, msg, &h);
	nlmsg_free(msg);
	return err ? err : h ? take_known(k, h) : -EPROTO;
}

static uint64_t oseq_of(const struct known *k)
{
	return k->esn_form ? (uint64_t)k->esn.oseq_hi << 32 | k->esn.oseq : k->old.oseq;
}

static uint64_t seq_of(const struct known *k)
{
	return k->esn_form ? (uint64_t)k->esn.seq_hi << 32 | k->esn.seq : k->old.seq;
}

static struct xfrm_counts counts_of(const struct known *k)
{
	return (struct xfrm_counts){ .oseq = oseq_of(k),
				     .seq = seq_of(k),
				     .bytes = k->life.bytes,
				     .packets = k->life.packets };
}

int xfrm_tell_ask(struct xfrm_tell *x, const struct xfrm_name *name, struct xfrm_counts *counts,
		  struct fault *f)
{
	struct known k;
	int err = ask(x, name, &k);

	if (err)
		return fail(f, err, name, "cannot ask for its numbers");
	*counts = counts_of(&k);
	return 0;
}

bool xfrm_tell_read(const struct nlmsghdr *h, struct xfrm_name *name, struct xfrm_counts *counts)
{
	struct xfrm_aevent_id id;
	struct known k;

	if (take_known(&k, h))
		return false;
	memcpy(&id, NLMSG_DATA(h), sizeof(id));
	*name = (struct xfrm_name){ .spi = ntohl(id.sa_id.spi), .reqid = id.reqid, .proto = id.sa_id.proto };
	xfrm_entry_addr(&name->dst, &id.sa_id.daddr, id.sa_id.family);
	xfrm_entry_addr(&name->src, &id.saddr, id.sa_id.family);
	*counts = counts_of(&k);
	return true;
}

/* ---- telling */

/* True: a number was raised. */
static bool raise(struct known *k, const struct xfrm_news *n)
{
	bool raised = false;

	if (n->oseq > oseq_of(k)) {
		raised = true;
		k->esn.oseq = k->old.oseq = (uint32_t)n->oseq;
		k->esn.oseq_hi = (uint32_t)(n->oseq >> 32);
	}
	if (n->seq > seq_of(k)) {
		raised = true;
		k->esn.seq = k->old.seq = (uint32_t)n->seq;
		k->esn.seq_hi = (uint32_t)(n->seq >> 32);
		/* What is below was for us to judge: to the kernel all of it was seen. */
		memset(k->bitmap, 0xff, sizeof(k->bitmap));
		k->old.bitmap = UINT32_MAX;
	}
	k->life.bytes += n->add_bytes;
	k->life.packets += n->add_packets;
	if (n->used > k->life.use_time)
		k->life.use_time = n->used;
	return raised;
}

static int put_numbers(struct nl_msg *msg, const struct known *k)
{
	struct nlattr *a;

	if (k->esn_form) {
		size_t bitmap = k->esn.bmp_len * sizeof(uint32_t);

		a = nla_reserve(msg, XFRMA_REPLAY_ESN_VAL, (int)(sizeof(k->esn) + bitmap));
		if (!a)
			return -ENOMEM;
		memcpy(nla_data(a), &k->esn, sizeof(k->esn));
		memcpy((char *)nla_data(a) + sizeof(k->esn), k->bitmap, bitmap);
		return 0;
	}
	return nla_put(msg, XFRMA_REPLAY_VAL, sizeof(k->old), &k->old);
}

int xfrm_tell_news(struct xfrm_tell *x, const struct xfrm_name *name, const struct xfrm_news *news,
		   struct fault *f)
{
	struct xfrm_aevent_id id = aevent_of(name, 0);
	const struct nlmsghdr *h = NULL;
	const uint32_t each_packet = 1;
	struct nl_msg *msg;
	struct known k;
	int err = ask(x, name, &k);
	bool raised;

	if (err)
		return fail(f, err, name, "cannot ask for its numbers");
	if (news->added && k.life.add_time && news->added != k.life.add_time)
		return fail(f, -ESRCH, name, "it is another one of this name");
	if (news->oseq_free && oseq_of(&k) >= news->oseq_free)
		return fail(f, -EAGAIN, name, "the kernel has sent numbers of the lease's beginning");
	raised = raise(&k, news);
	msg = nlmsg_alloc_simple(XFRM_MSG_NEWAE, NLM_F_REQUEST | NLM_F_REPLACE | NLM_F_ACK);
	err = msg ? nlmsg_append(msg, &id, sizeof(id), NLMSG_ALIGNTO) : -ENOMEM;
	if (!err && raised)
		err = put_numbers(msg, &k);
	if (!err && news->oseq)
		err = nla_put(msg, XFRMA_REPLAY_THRESH, sizeof(each_packet), &each_packet);
	if (!err)
		err = nla_put(msg, XFRMA_LTIME_VAL, sizeof(k.life), &k.life);
	if (!err)
		err = exchange(x, msg, &h);
	nlmsg_free(msg);
	if (!err && news->all)
		*news->all = counts_of(&k);
	return err ? fail(f, err, name, "cannot move its numbers") : 0;
}

int xfrm_tell_expired(struct xfrm_tell *x, const struct xfrm_name *name, bool hard, struct fault *f)
{
	struct xfrm_user_expire e = { .state = { .id = { .spi = htonl(name->spi), .proto = name->proto },
						 .family = family_of(&name->dst) },
				      .hard = hard };
	struct nl_msg *msg = nlmsg_alloc_simple(XFRM_MSG_EXPIRE, NLM_F_REQUEST | NLM_F_ACK);
	const struct nlmsghdr *h = NULL;
	int err;

	put_addr(&e.state.id.daddr, &name->dst);
	put_addr(&e.state.saddr, &name->src);
	err = msg ? nlmsg_append(msg, &e, sizeof(e), NLMSG_ALIGNTO) : -ENOMEM;
	if (!err)
		err = exchange(x, msg, &h);
	nlmsg_free(msg);
	return err ? fail(f, err, name, "cannot tell that it expired") : 0;
}

static void put_selector(struct xfrm_selector *sel, const struct xfrm_want *w)
{
	const uint8_t mapped = w->family == 4 ? 96 : 0;

	*sel = (struct xfrm_selector){ .family = w->family == 4 ? AF_INET : AF_INET6, .proto = w->proto };
	put_addr(&sel->saddr, &w->src);
	put_addr(&sel->daddr, &w->dst);
	sel->prefixlen_s = (uint8_t)(w->src_len - mapped);
	sel->prefixlen_d = (uint8_t)(w->dst_len - mapped);
}

int xfrm_tell_want(struct xfrm_tell *x, const struct xfrm_want *w, struct fault *f)
{
	struct xfrm_user_acquire a = { .id = { .proto = w->name.proto },
				       .policy = { .dir = XFRM_POLICY_OUT },
				       .aalgos = UINT32_MAX, .ealgos = UINT32_MAX, .calgos = UINT32_MAX };
	struct xfrm_user_tmpl t = { .id = { .proto = w->name.proto }, .family = family_of(&w->name.dst),
				    .reqid = w->name.reqid, .mode = w->mode,
				    .aalgos = UINT32_MAX, .ealgos = UINT32_MAX, .calgos = UINT32_MAX };
	struct nl_msg *msg = nlmsg_alloc_simple(XFRM_MSG_ACQUIRE, NLM_F_REQUEST | NLM_F_ACK);
	const struct nlmsghdr *h = NULL;
	int err;

	put_addr(&a.id.daddr, &w->name.dst);
	put_addr(&a.saddr, &w->name.src);
	put_addr(&t.id.daddr, &w->name.dst);
	put_addr(&t.saddr, &w->name.src);
	put_selector(&a.sel, w);
	a.policy.sel = a.sel;
	err = msg ? nlmsg_append(msg, &a, sizeof(a), NLMSG_ALIGNTO) : -ENOMEM;
	if (!err)
		err = nla_put(msg, XFRMA_TMPL, sizeof(t), &t);
	if (!err)
		err = nla_put_u32(msg, XFRM_ATTR_SA_PCPU, w->cpu);
	if (!err)
		err = exchange(x, msg, &h);
	nlmsg_free(msg);
	return err ? fail(f, err, &w->name, "no SA of a CPU can be asked for") : 0;
}

/* ---- what the kernel can do */

int xfrm_tell_esp(struct xfrm_tell *x, int family)
{
	struct xfrm_usersa_info sa = { .family = (uint16_t)family,
				       .id = { .proto = IPPROTO_ESP, .spi = htonl(0x100) },
				       .lft = { .soft_byte_limit = XFRM_INF, .hard_byte_limit = XFRM_INF,
						.soft_packet_limit = XFRM_INF, .hard_packet_limit = XFRM_INF },
				       .mode = XFRM_MODE_TUNNEL };
	_Alignas(struct xfrm_algo) char hmac[sizeof(struct xfrm_algo) + 32] = { 0 }; /* a key of zeros behind it */
	struct xfrm_algo *algo = (struct xfrm_algo *)(void *)hmac;
	struct nl_msg *msg = nlmsg_alloc_simple(XFRM_MSG_NEWSA, NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL);
	const struct nlmsghdr *h = NULL;
	int err;

	snprintf(algo->alg_name, sizeof(algo->alg_name), "hmac(sha256)");
	algo->alg_key_len = 256;
	/* The loopback addresses, of which nobody has a tunnel. */
	if (family == AF_INET)
		sa.id.daddr.a4 = sa.saddr.a4 = htonl(INADDR_LOOPBACK);
	else
		sa.id.daddr.a6[3] = sa.saddr.a6[3] = htonl(1);
	err = msg ? nlmsg_append(msg, &sa, sizeof(sa), NLMSG_ALIGNTO) : -ENOMEM;
	if (!err)
		err = nla_put(msg, XFRMA_ALG_AUTH, sizeof(hmac), hmac);
	if (!err)
		err = exchange(x, msg, &h);
	nlmsg_free(msg);
	return err == -EPROTONOSUPPORT ? err : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* esp_in.c - see esp_in.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "esp/wire.h"
#include "libxesp/addr.h"
#include "libxesp/pins.h"
#include "slow/esp_in.h"
#include "slow/natt_filter.h"
#include "xesp/fault.h"

#define IP4_HDR_MIN      20
#define IP6_HDR          40
#define AH_HDR           12 /* all of it before the ICV, RFC 4302 section 2 */
#define ESP_HDR          8   /* SPI and sequence number */
#define UDP_HDR          8
#define UDP_DPORT_AT     2
#define SPI_RESERVED_MAX 255 /* RFC 4303 section 2.1 */
#define RECV_BYTES       (4 << 20)

static int open_one(int family, int proto)
{
	const int bytes = RECV_BYTES, one = 1;
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, proto), err;

	if (fd < 0)
		return -errno;
	err = proto == IPPROTO_UDP ? natt_filter_attach(fd, family == AF_INET, NULL, 0) : 0;
	if (err) {
		close(fd);
		return err;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	/* What overflows it is told of with the packets behind, so that it can be counted. */
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &one, sizeof(one));
	/* IPv6 raw sockets give no header: what it said comes beside the packet. */
	if (family == AF_INET6 &&
	    (setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)) ||
	     setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(one)) ||
	     setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof(one)))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int esp_in_open(struct esp_in *e, uint8_t proto, const struct pins *pins, struct fault *f)
{
	int err;

	e->pins = pins;
	e->proto = proto;
	e->lost4 = e->lost6 = 0;
	e->fd6 = -1;
	e->fd4 = open_one(AF_INET, proto);
	if (e->fd4 < 0)
		return fault_set(f, e->fd4, "cannot open a raw IPsec socket: %s: run xespd as root",
				 strerror(-e->fd4));
	e->fd6 = open_one(AF_INET6, proto);
	if (e->fd6 < 0 && e->fd6 != -EAFNOSUPPORT) {
		err = e->fd6;
		esp_in_close(e);
		return fault_set(f, err, "cannot open a raw IPv6 IPsec socket: %s", strerror(-err));
	}
	return 0;
}

void esp_in_close(struct esp_in *e)
{
	if (e->fd4 >= 0)
		close(e->fd4);
	if (e->fd6 >= 0)
		close(e->fd6);
	e->fd4 = e->fd6 = -1;
}

int esp_in_set_ports(struct esp_in *e, const __be16 *ports, uint32_t n)
{
	int err = natt_filter_attach(e->fd4, true, ports, n);

	if (!err && e->fd6 >= 0)
		err = natt_filter_attach(e->fd6, false, ports, n);
	return err;
}

static void note_lost(uint32_t *lost, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL &&
		    c->cmsg_len >= CMSG_LEN(sizeof(*lost)))
			memcpy(lost, CMSG_DATA(c), sizeof(*lost));
}

uint32_t esp_in_lost(const struct esp_in *e, uint32_t *before)
{
	uint32_t now = e->lost4 + e->lost6, lost = now - *before;

	*before = now;
	return lost;
}

/* The header as it was, from what the kernel says of it; extension headers are gone. */
static bool rebuild_ip6(uint8_t *ip, struct msghdr *msg, uint32_t payload, uint8_t proto)
{
	const struct sockaddr_in6 *from = msg->msg_name;
	int tclass = 0, hops = 0;
	bool has_dst = false;

	memset(ip, 0, IP6_HDR);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != IPPROTO_IPV6)
			continue;
		if (c->cmsg_type == IPV6_PKTINFO &&
		    c->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo))) {
			memcpy(ip + 24, CMSG_DATA(c), 16); /* ipi6_addr, its first member */
			has_dst = true;
		} else if (c->cmsg_type == IPV6_TCLASS && c->cmsg_len >= CMSG_LEN(sizeof(int))) {
			memcpy(&tclass, CMSG_DATA(c), sizeof(tclass));
		} else if (c->cmsg_type == IPV6_HOPLIMIT && c->cmsg_len >= CMSG_LEN(sizeof(int))) {
			memcpy(&hops, CMSG_DATA(c), sizeof(hops));
		}
	}
	if (!has_dst || payload > UINT16_MAX)
		return false;
	ip[0] = (uint8_t)(0x60 | (tclass >> 4 & 0xf));
	ip[1] = (uint8_t)(tclass << 4);
	wire_put16(ip + 4, (uint16_t)payload);
	ip[6] = proto;
	ip[7] = (uint8_t)hops;
	memcpy(ip + 8, &from->sin6_addr, 16);
	return true;
}

/* With the same SAs the kernel has received it already: what XDP passes is its own. */
static bool is_kernels(const struct esp_in *e)
{
	struct xesp_conf conf;
	const __u32 zero = 0;

	return !bpf_map_lookup_elem(e->pins->fd[PINS_CONF], &zero, &conf) &&
	       conf.kernel & XESP_KERNEL_SPIS;
}

/* Whose it is: RFC 4301 section 4.1. */
static void find_sa(const struct esp_in *e, struct pkt *p, const struct xesp_addr *dst)
{
	struct xesp_sa_in_key key = { .dst = *dst, .proto = p->udp ? IPPROTO_ESP : e->proto };
	struct xesp_sa_in_val sa;
	const uint8_t *spi;
	__u32 tunnel;

	if (bpf_map_lookup_elem(e->pins->fd[PINS_ENDPOINTS], dst, &tunnel) || is_kernels(e)) {
		p->len = 0;
		return;
	}
	if (p->len < (uint32_t)p->l4_off + (e->proto == IPPROTO_AH ? AH_HDR : ESP_HDR)) {
		p->drop = e->proto == IPPROTO_AH ? XESP_DROP_BAD_AH : XESP_DROP_ESP_SHORT;
		return;
	}
	spi = p->l3 + p->l4_off + (e->proto == IPPROTO_AH ? 4 : 0);
	memcpy(&key.spi, spi, sizeof(key.spi));
	if (wire_get32(spi) <= SPI_RESERVED_MAX)
		p->drop = XESP_DROP_BAD_SPI;
	else if (bpf_map_lookup_elem(e->pins->fd[PINS_SA_IN], &key, &sa) || !sa.sa_id)
		p->drop = XESP_DROP_NO_SA;
	else
		p->id = sa.sa_id;
}

/* The filter lets through more than is ours while it is changed, or when it has too many ports. */
static bool is_our_port(const struct esp_in *e, const struct pkt *p)
{
	__be16 port;
	__u32 n;

	if (p->len < (uint32_t)p->l4_off + UDP_HDR)
		return false;
	memcpy(&port, p->l3 + p->l4_off + UDP_DPORT_AT, sizeof(port));
	return !bpf_map_lookup_elem(e->pins->fd[PINS_NATT_PORT], &port, &n);
}

static void look_at(const struct esp_in *e, struct pkt *p, bool ip4)
{
	struct xesp_addr dst;

	if (ip4) {
		if (p->len < IP4_HDR_MIN || (p->l3[0] & 0xfu) * 4u > p->len) {
			p->len = 0;
			return;
		}
		p->l4_off = (uint16_t)((p->l3[0] & 0xfu) * 4u);
		addr_from_ip4(&dst, p->l3 + 16);
	} else {
		p->l4_off = IP6_HDR;
		addr_from_ip6(&dst, p->l3 + 24);
	}
	if (e->proto == IPPROTO_UDP) {
		if (!is_our_port(e, p)) {
			p->len = 0;
			return;
		}
		p->l4_off += UDP_HDR;
		p->udp = true;
	}
	find_sa(e, p, &dst);
}

bool esp_in_read(struct esp_in *e, int fd, uint8_t *buf, struct pkt *p)
{
	bool ip4 = fd == e->fd4;
	struct sockaddr_in6 from = { .sin6_family = AF_INET6 };
	union {
		struct cmsghdr align;
		char room[256];
	} control;
	struct iovec iov = { .iov_base = buf + IP6_HDR, .iov_len = ESP_IN_ROOM - IP6_HDR };
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (n < 0)
		return false;
	note_lost(ip4 ? &e->lost4 : &e->lost6, &msg);
	*p = (struct pkt){ .head = buf, .end = buf + ESP_IN_ROOM };
	if (msg.msg_flags & MSG_TRUNC)
		return true;
	p->l3 = ip4 ? buf + IP6_HDR : buf;
	p->len = (uint32_t)n + (ip4 ? 0 : IP6_HDR);
	if (!ip4 && !rebuild_ip6(buf, &msg, (uint32_t)n, e->proto))
		p->len = 0;
	else
		look_at(e, p, ip4);
	return true;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* source.c - see source.h. Connecting a UDP socket sends nothing; it makes the kernel choose. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fib/source.h"
#include "libxesp/addr.h"

#define DISCARD_PORT 9 /* any but 0 will do: nothing is sent */

union sockaddr_ip {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

void source_open(struct source *s)
{
	s->fd4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	s->fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void source_close(struct source *s)
{
	if (s->fd4 >= 0)
		close(s->fd4);
	if (s->fd6 >= 0)
		close(s->fd6);
}

static socklen_t to_sockaddr(const struct xesp_addr *a, union sockaddr_ip *to)
{
	memset(to, 0, sizeof(*to));
	if (addr_is_ip4(a)) {
		to->in.sin_family = AF_INET;
		to->in.sin_port = htons(DISCARD_PORT);
		to->in.sin_addr.s_addr = a->w[3];
		return sizeof(to->in);
	}
	to->in6.sin6_family = AF_INET6;
	to->in6.sin6_port = htons(DISCARD_PORT);
	memcpy(&to->in6.sin6_addr, a->w, sizeof(a->w));
	return sizeof(to->in6);
}

bool source_find(const struct source *s, const struct xesp_addr *dst, struct xesp_addr *src)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int fd = addr_is_ip4(dst) ? s->fd4 : s->fd6;
	union sockaddr_ip to, got;
	socklen_t len = to_sockaddr(dst, &to), got_len = sizeof(got);
	bool found;

	found = fd >= 0 && !connect(fd, &to.any, len) && !getsockname(fd, &got.any, &got_len);
	if (found && addr_is_ip4(dst))
		addr_from_ip4(src, &got.in.sin_addr);
	else if (found)
		addr_from_ip6(src, &got.in6.sin6_addr);
	/* Otherwise the address chosen now would be kept for the next one. */
	return !connect(fd, &nobody, sizeof(nobody)) && found;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* natt_filter.c - see natt_filter.h. In the kernel's classic BPF. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "slow/natt_filter.h"

#define PORT_AT   2 /* in the UDP header: the destination */
#define MARKER_AT 8 /* RFC 3948 section 2: behind it, zero before IKE */
#define ALL_OF_IT 0xffffffff
#define REST_N    4 /* instructions behind the ports */

/* A load beyond the packet ends the program as `return 0` does: runts and keepalives go with that. */
int natt_filter_attach(int fd, bool ip4, const __be16 *ports, uint32_t n)
{
	struct sock_filter code[NATT_FILTER_PORTS + REST_N + 3];
	struct sock_fprog program = { .filter = code };
	/* IPv4 raw sockets see the IP header, those of IPv6 do not. */
	const uint16_t mode = ip4 ? BPF_IND : BPF_ABS;
	uint16_t at = 0;

	if (ip4)
		code[at++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0);
	if (n <= NATT_FILTER_PORTS) {
		code[at++] = (struct sock_filter)BPF_STMT((uint16_t)(BPF_LD | BPF_H | mode), PORT_AT);
		for (uint32_t i = 0; i < n; i++)
			code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
								  ntohs(ports[i]),
								  (uint8_t)(n - i), 0);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	}
	code[at++] = (struct sock_filter)BPF_STMT((uint16_t)(BPF_LD | BPF_W | mode), MARKER_AT);
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ALL_OF_IT);
	program.len = at;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}

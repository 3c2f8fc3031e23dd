/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * esp_in.h - ESP or AH that arrived in outer fragments: whole again, by raw sockets.
 *
 * XDP passes fragments; the kernel puts them together (RFC 4303 section 3.4.1 wants that done
 * before ESP) and hands the packet to every raw ESP socket. So do interfaces that xesp is not
 * attached to. What is not to an address of a tunnel of ours is somebody else's, and left alone.
 * Main thread.
 */
#ifndef XESP_SLOW_ESP_IN_H
#define XESP_SLOW_ESP_IN_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/pkt.h"

struct fault;
struct pins;

struct esp_in {
	int fd4, fd6; /* -1: the kernel lacks the family */
	uint8_t proto; /* IPPROTO_ESP, IPPROTO_AH, or IPPROTO_UDP for ESP in UDP, RFC 3948 */
	const struct pins *pins;
	uint32_t lost4, lost6; /* as the kernel last said: since the socket was opened */
};

/* A socket for ESP in UDP gets nothing before esp_in_set_ports(). */
int esp_in_open(struct esp_in *e, uint8_t proto, const struct pins *pins, struct fault *f);
void esp_in_close(struct esp_in *e);

/* The UDP ports where tunnels receive. -errno of setsockopt() */
int esp_in_set_ports(struct esp_in *e, const __be16 *ports, uint32_t n);

/*
 * How many packets the kernel had no room for since `before`, as known from the packets that came
 * behind them; sets *before. Others' ESP is among them: nobody has looked at it.
 */
uint32_t esp_in_lost(const struct esp_in *e, uint32_t *before);

#define ESP_IN_ROOM (40 + 65535) /* an IPv6 header made here, and the largest packet */

/*
 * One packet from fd (one of the two) into buf of ESP_IN_ROOM bytes. False: nothing there. p->l3,
 * len and l4_off are set; p->len 0: not for us. p->drop: NO_SA, BAD_SPI, ESP_SHORT, BAD_AH, for the caller
 * to count; else p->id is the SA's.
 */
bool esp_in_read(struct esp_in *e, int fd, uint8_t *buf, struct pkt *p);

#endif /* XESP_SLOW_ESP_IN_H */

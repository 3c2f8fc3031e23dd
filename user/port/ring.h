/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - the four rings of a port, a batch at a time. Only the worker that adopted the port.
 *
 * Frames go round: pool -> ring_fill() -> kernel -> ring_receive() -> the worker's hand ->
 * ring_send() -> kernel -> ring_complete() -> pool. A frame in hand that is not sent goes back by
 * umem_put(..., UMEM_HAND).
 * A descriptor with XDP_PKT_CONTD is not the last of its frame, see gather.h.
 */
#ifndef XESP_RING_H
#define XESP_RING_H

#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stdint.h>

struct port;

/* Tops the fill ring up from the pool; wakes the driver if it has stopped for want of frames. */
void ring_fill(struct port *p);

/* Takes at most `max` received descriptors into hand; a frame may go on in the next ones. */
uint32_t ring_receive(struct port *p, struct xdp_desc *desc, uint32_t max);

/*
 * Sends frames in hand, in order, and returns how many descriptors were taken, from the first on and
 * of whole frames; the others stay in hand: the ring is full, even after the kernel was given the
 * chance to empty it.
 */
uint32_t ring_send(struct port *p, const struct xdp_desc *desc, uint32_t n);

/* Puts frames that the kernel has sent back into the pool. */
void ring_complete(struct port *p);

/* Frames are waiting in the transmit ring that the kernel has not taken. */
bool ring_unsent(struct port *p);

/* Makes the kernel go on with them. */
void ring_kick(struct port *p);

/* Makes the kernel poll the device now. */
void ring_poll(struct port *p);

/*
 * The same for a worker that polls in a loop, at most with one system call, and with none as long as the
 * socket knows no NAPI: then the kernel would do nothing but cost time. True: the kernel was called.
 */
bool ring_busy_poll(struct port *p);

#endif /* XESP_RING_H */

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cover.h - cover traffic: dummy packets of RFC 4303 section 2.6 through the tunnels that ask for it.
 *
 * So many a second on average, at random intervals and of random sizes, beside the real traffic and
 * whether there is any or not: who looks on cannot tell whether a tunnel is idle. They are sent by
 * the main thread as the slow path's own packets are. What a tunnel does not get out (no SA, no
 * lease) is a counted drop. Main thread.
 */
#ifndef XESP_COVER_H
#define XESP_COVER_H

struct cover;
struct daemon;
struct fault;

/* -ENOMEM */
int cover_open(struct cover **out, struct daemon *d, struct fault *f);
void cover_close(struct cover *c); /* NULL is allowed */

#endif /* XESP_COVER_H */

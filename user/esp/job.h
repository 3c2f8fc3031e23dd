/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * job.h - from ESP packets to the engine's jobs: nonce, associated data, text and tag of each.
 *
 * Why it exists: the two directions must agree on these to the byte, so both call this. The IV is
 * read from the packet in both: encap.c wrote it there.
 */
#ifndef XESP_JOB_H
#define XESP_JOB_H

struct batch;
struct esp_worker;

/*
 * Makes the jobs of all packets of the batch that are not dropped, in w->job and w->job_pkt. Before:
 * l3 + l4_off is the ESP header, the IV stands behind it and x->text, x->text_len behind that; the
 * tag is, or will be, behind the text.
 */
void job_make(struct esp_worker *w, struct batch *b);

#endif /* XESP_JOB_H */

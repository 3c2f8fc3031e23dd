/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crew.h - the threads of the process that may do each other's crypto, and the lanes they look at.
 *
 * Members are the workers, which help while their own queues are silent, and helpers, which have no
 * queue. A member that finds nothing to do for a while sleeps; who pushes into a lane wakes one that
 * sleeps. Opened before the first of them, closed by the main thread after the last has ended: then nobody looks
 * at a lane any more.
 */
#ifndef XESP_CREW_H
#define XESP_CREW_H

#include <stdbool.h>
#include <stdint.h>

struct crew;
struct fault;
struct lane;

#define CREW_MAX 64

/* What a member did for the others; its own line, atomic. */
struct crew_counts {
	uint64_t chunks, packets;
	uint64_t wakes; /* times it was woken for it */
};

/* -ENOMEM */
int crew_open(struct crew **out, struct fault *f);
void crew_close(struct crew *c);

/* ---- main thread, before the member's thread starts */

struct crew_member_opts {
	uint32_t keys;     /* whose keys of each SA it uses: an index of its own, sad/sad.h */
	int wake_fd;       /* eventfd, borrowed */
	struct lane *lane; /* NULL: a helper has none. Borrowed until crew_close() */
};
/* Returns the member's number, or -ENOSPC. */
int crew_join(struct crew *c, const struct crew_member_opts *o);

uint32_t crew_members(const struct crew *c);
void crew_count(const struct crew *c, uint32_t member, struct crew_counts *out);

/* ---- a member's thread */

/* Does one chunk of another member's. False: there was none. */
bool crew_help(struct crew *c, uint32_t member);

/*
 * Before and after sleeping on its wake_fd. crew_lie_down() returns false when there is work after
 * all; the member is then awake.
 */
bool crew_lie_down(struct crew *c, uint32_t member);
void crew_get_up(struct crew *c, uint32_t member);

/* After lane_push(): wakes a sleeping member, if there is one. At most one system call. */
void crew_wake(struct crew *c);

#endif /* XESP_CREW_H */

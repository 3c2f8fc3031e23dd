/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attachment.h - our program on one interface: made, replaced, found again, taken away.
 *
 * Two kinds. Alone: a bpf_link, pinned as <pins>/links/<interface> (dots become colons, see
 * pin_dir.h). Beside other programs: a program in libxdp's dispatcher, which libxdp pins and the
 * kernel keeps; ours is the one that uses our pinned maps, so it is found also when the command
 * that attached it was killed. Nothing is remembered elsewhere.
 */
#ifndef XESP_ATTACHMENT_H
#define XESP_ATTACHMENT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "xesp/occupant.h"
#include "xesp/pin_dir.h"

struct fault;
struct iface;

struct attachment {
	char label[IF_NAMESIZE];    /* the interface's name when it was attached */
	char name[IF_NAMESIZE];     /* its name now; the label when it is gone */
	char pin[PIN_DIR_PATH_MAX]; /* empty in a dispatcher */
	uint32_t ifindex;           /* 0: the interface is gone */
	uint32_t prog_id;
	bool dispatcher;
	enum occupant_mode mode;
};

#define ATTACHMENT_MAX 128 /* pins we look at: XESP_PORTS_MAX, and those of interfaces now gone */

struct attachment_list {
	unsigned int n;
	struct attachment at[ATTACHMENT_MAX];
};

/*
 * Finds what is attached with the pins in this directory: all links, and of the dispatchers those
 * of this network namespace. A missing directory is an empty list.
 */
int attachment_read(struct attachment_list *l, const char *pins, struct fault *f);

/* By the name now or the one at attach time; NULL: none. */
struct attachment *attachment_find(struct attachment_list *l, const char *ifname);

/*
 * Attaches a loaded program alone, by a bpf_link, and pins that. `mode` is NATIVE or GENERIC.
 * -ERANGE      the interface's MTU is too large for it in this mode
 * -EBUSY       something is attached already
 * -errno       else, with the driver's words if there were any
 */
int attachment_alone(struct attachment *a, const struct iface *i, const char *pins, int prog_fd,
		     enum occupant_mode mode, struct fault *f);

/* Exchanges the program of a link in one step; the link stays. */
int attachment_update(struct attachment *a, int prog_fd, struct fault *f);

/* The sentence for an attach that was refused with `err`; also in dispatcher.c. */
int attachment_refused(int err, const struct iface *i, struct fault *f);

/* Takes the program off the interface, if that is still there, and removes its pin. */
int attachment_remove(const struct attachment *a, struct fault *f);

#endif /* XESP_ATTACHMENT_H */

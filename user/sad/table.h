/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - the tables of the SAD, by id. Visible to sad.c, which writes them, and to fetch.c.
 *
 * What belongs to an SA's id (struct sa_shared, struct xesp_sa_state) is found by arithmetic alone,
 * so that all of it can be asked for at once.
 */
#ifndef XESP_SAD_TABLE_H
#define XESP_SAD_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include "sad/acquire.h"
#include "sad/cpus.h"
#include "sad/epoch.h"
#include "sad/group.h"
#include "sad/lease.h"
#include "sad/peer.h"
#include "sad/resync.h"
#include "sad/sa.h"
#include "sad/sad.h"
#include "sad/unique.h"

struct tunnel_slot {
	struct tunnel *tunnel;       /* published */
	uint32_t path_mtu;           /* main thread; outlives a replaced tunnel */
	bool moved;                  /* main thread: keyd does not know yet where the peer is */
	struct xesp_keymsg_peer seen; /* main thread, with moved: where, without a header */
};

struct sad {
	struct sad_state st;
	const struct engine *engine;
	struct sa_home home;
	struct sa_shared *shared;  /* [max_sas] */
	struct tunnel_slot *tunnel; /* [tunnels_max] */
	uint32_t tunnels_max;
	struct groups groups;
	struct uniques uniques;
	struct cpus cpus;
	struct epoch epoch;
	struct lease_desk desk;
	struct peer_desk peers;
	struct resync_desk resync;
	struct acquire_desk acquires;
	/* main thread */
	uint32_t count;
	uint32_t sync; /* number of the synchronisation that runs or ran last */
	bool syncing;
};

#endif /* XESP_SAD_TABLE_H */

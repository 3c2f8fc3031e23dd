/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.h - what transactions wrote, for the next xesp-keyd.
 *
 * Why it exists: with `source: control` nothing but the orchestrator knows the SAs, and a keyd that
 * ends, is killed or upgraded must not take them with it. They are kept where the maps' state is
 * kept: until a reboot. The journal lies in the run directory, which is a file system in memory, so
 * that keys reach no disk (a problem is said when it is not one). It is a file of mode 0600: a
 * configuration with keys, and behind it one line a transaction. Numbers that were leased are another
 * matter, and durable: lease.h. Main thread.
 */
#ifndef XESP_KEYD_JOURNAL_H
#define XESP_KEYD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xesp/fault.h"

struct config;
struct journal;
struct json_object;

/*
 * Opens the journal in `dir`. *out is the configuration that it holds, with what the file says beside
 * it; it is the caller's, and `file` stays so.
 * -EUCLEAN  it is damaged: the sentence says what to do; -errno of reading and writing
 */
int journal_open(struct journal **j, const char *dir, const struct config *file,
		 struct config **out, struct fault *f);
void journal_close(struct journal *j);

/*
 * Adds the params of a transaction that was made. `now` is what it led to: when the lines have become
 * many it is written down in their place. After an error the journal is not used any more until
 * all is written anew, and journal_problem() says why.
 */
int journal_add(struct journal *j, struct json_object *params, const struct config *now);

/* All of it anew, for what came not by a transaction: the file has changed. */
int journal_rewrite(struct journal *j, const struct config *now);

const char *journal_problem(const struct journal *j); /* "" none */

#endif /* XESP_KEYD_JOURNAL_H */

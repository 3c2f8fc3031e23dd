/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module.h - an engine in a shared object of its own, as xespd loads it.
 *
 * Why it exists: a library that not every machine has must not be one that xespd is linked with. The
 * object exports one struct engine_module under the name ENGINE_MODULE_SYMBOL. Main thread.
 */
#ifndef XESP_ENGINE_MODULE_H
#define XESP_ENGINE_MODULE_H

#include <stdint.h>
#include "crypto/engine.h"

#define ENGINE_MODULE_SYMBOL "xesp_engine_module"
/* Goes up with any change of engine.h; the sizes notice most that one forgets. */
#define ENGINE_MODULE_ABI ((uint32_t)(3 << 24 | sizeof(struct engine_job) << 12 | sizeof(struct engine_key_spec)))

struct engine_module {
	uint32_t abi;
	/* NULL with a sentence: the library or the CPU is not what it needs. */
	const struct engine *(*open)(struct fault *f);
	/* After the last key was closed. */
	void (*close)(void);
};

#endif /* XESP_ENGINE_MODULE_H */

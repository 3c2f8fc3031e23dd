/* SPDX-License-Identifier: BSD-2-Clause */
/* engine_of_yesterday.c - a shared object that says it is of another version: for test_choice.c. */
#include <stdlib.h>

#include "crypto/module.h"

static const struct engine *open_module(struct fault *f)
{
	(void)f;
	abort(); /* its layouts are others: whoever calls this has not looked */
}

__attribute__((visibility("default"))) const struct engine_module xesp_engine_module = {
	.abi = ENGINE_MODULE_ABI - 1,
	.open = open_module,
};

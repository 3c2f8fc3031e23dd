/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - the program xesp-bench, which `xesp bench` becomes: a table of measurements. */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"

/* What a script puts above its own figures. */
static int bench_about_only(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--json"))
		bench_print_json(bench_about("about"));
	else
		bench_print_about();
	return BENCH_DONE;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} benches[] = {
	{ "crypto", bench_crypto },
	{ "pipeline", bench_pipeline },
	{ "about", bench_about_only },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(benches) / sizeof(benches[0]); i++)
		if (!strcmp(argv[1], benches[i].name))
			return benches[i].run(argc - 1, argv + 1);
	fprintf(stderr, "xesp: bench: %s cannot be measured; see `xesp help bench`\n",
		argc > 1 ? argv[1] : "nothing");
	return BENCH_USAGE;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - the command xesp: one table of subcommands, which is also the help.
 *
 * Global options may stand before or after the subcommand; they are taken out of argv here.
 */
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "xesp/attach.h"
#include "xesp/bench.h"
#include "xesp/command.h"
#include "xesp/counters.h"
#include "xesp/detach.h"
#include "xesp/drops.h"
#include "xesp/events.h"
#include "xesp/explain.h"
#include "xesp/fault.h"
#include "xesp/kernel_said.h"
#include "xesp/set.h"
#include "xesp/show.h"
#include "xesp/steer.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static int version_command(const struct settings *s, int argc, char **argv);
static int help_command(const struct settings *s, int argc, char **argv);

static const struct command {
	const char *name;
	command_fn run;
	const char *arguments;
	const char *summary;
	const char *details; /* lines for `xesp help NAME`, or NULL */
} commands[] = {
	{ "attach", attach_command, "--outer IF --inner IF [OPTION]...",
	  "attach the XDP programs, create and pin the maps",
	  "  --outer IF        ciphertext side; may be given several times\n"
	  "  --inner IF        cleartext side; may be given several times.\n"
	  "                    The same interface as both: a one-armed gateway\n"
	  "  --mode MODE       auto (default: native, else generic), native or generic\n"
	  "  --max-sas N       size of new maps: SA ids and tunnels (default 16384)\n"
	  "  --max-policies N  size of new maps: policies (default 16384)\n"
	  "  --replace         exchange the programs of attached interfaces in one step each;\n"
	  "                    without interfaces: of all that are attached\n" },
	{ "detach", detach_command, "[IF]... [--purge]",
	  "detach the XDP programs (of all interfaces, unless some are named)",
	  "  --purge           remove the pinned maps too: sequence and replay state, counters.\n"
	  "                    Refused while a daemon runs or another interface is attached\n" },
	{ "status", show_status_command, "", "interfaces, daemons, problems, workers", NULL },
	{ "sa", show_sa_command, "[NAME | --unserved]",
	  "security associations, or the one (or tunnel) named",
	  "  --unserved        with `source: xfrm`: what stays with the kernel, and why\n" },
	{ "policy", show_policy_command, "[NAME]",
	  "policies in order, or the one (or tunnel) named", NULL },
	{ "counters", counters_command, "[--all]",
	  "dropped packets by reason; works without daemons",
	  "  --all             also the reasons that never happened\n" },
	{ "drops", drops_command, "[--last N] [--reason NAME] [--follow]",
	  "the last packets that were dropped, and why; works without daemons",
	  "  --last N          so many of the newest (default 20)\n"
	  "  --reason NAME     only of this reason, as `xesp counters` has it\n"
	  "  --follow          go on with new ones until interrupted\n" },
	{ "explain", explain_command, "[--in] [--size N] LOCAL REMOTE [PROTOCOL [NUMBER [NUMBER]]]",
	  "what would happen to a packet, and why; sends none",
	  "  LOCAL, REMOTE     inner addresses, as in policies, in both directions\n"
	  "  PROTOCOL          as in policies (default: icmp or ipv6-icmp, an echo request)\n"
	  "  NUMBER            the destination's port; or local and remote port; ICMP: type and code\n"
	  "  --out             it goes from LOCAL to REMOTE (default)\n"
	  "  --in              it comes from REMOTE: out of a tunnel, and in clear from outside\n"
	  "  --size N          bytes of the IP packet (default 84); it may not be fragmented\n"
	  "  --verbose         also why the policies before do not match\n" },
	{ "reload", show_reload_command, "[FILE]",
	  "have xesp-keyd read its configuration (or FILE) and take it over as a whole", NULL },
	{ "set", set_command, "[--dry-run] [--whole] FILE",
	  "add, replace and delete tunnels, SAs and policies as one transaction",
	  "  FILE              JSON as docs/control.md has it; -: standard input\n"
	  "  --dry-run         judge it, change nothing\n"
	  "  --whole           what FILE does not name goes\n" },
	{ "events", events_command, "[--count N] [EVENT]...",
	  "print what happens, as it happens: SAs, peers, drops (or the named events)",
	  "  --count N         end after so many\n" },
	{ "bench", bench_command, "crypto|pipeline [OPTION]...",
	  "what this machine can do, without touching its network",
	  "crypto: the engines alone, over packet buffers\n"
	  "  --engine NAME     all (default), openssl, ipsec-mb, or auto: what xespd would take\n"
	  "  --suite NAME      one suite, as aes-gcm-16 or aes-gcm-16/128 (default: all)\n"
	  "  --sizes N,N...    inner packets in bytes (default 64,256,512,1420,9000)\n"
	  "  --batch N         packets at once, 1 to 256 (default 64)\n"
	  "  --rounds N        rounds, 1 to 101 (default 5)\n"
	  "pipeline: frames in memory through xespd's stages, each with its time and instructions\n"
	  "  --tunnels N,N...  up to 8 numbers of tunnels (default 1,1000,100000)\n"
	  "  --sizes N,N...    inner packets in bytes (default 64,512,1420,9000)\n"
	  "  --engine NAME     auto (default), openssl or ipsec-mb\n"
	  "  --batch N         packets at once, 1 to 256 (default 64)\n"
	  "  --rounds N        rounds, 1 to 101 (default 5)\n"
	  "  --no-instructions do not count them\n" },
	{ "version", version_command, "", "print the version", NULL },
	{ "help", help_command, "[COMMAND]", "this text, or that of one command", NULL },
};

static const char global_options[] =
	"Options of every command:\n"
	"  --pins DIR        where maps and links are pinned (default " XESP_PIN_DIR ")\n"
	"  --run DIR         where the daemons' sockets are (default " COMMAND_RUN_DIR ")\n"
	"  --json            print JSON (docs/control.md) instead of tables\n"
	"  --verbose         show what libbpf and libxdp say\n"
	"  --help            this text, or that of the command\n"
	"  --version         print the version\n";

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < LEN(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_help(FILE *to)
{
	fputs("usage: xesp [OPTION]... COMMAND [ARGUMENT]...\n\n"
	      "Attaches xesp's XDP programs and shows what the gateway does.\n\nCommands:\n",
	      to);
	for (size_t i = 0; i < LEN(commands); i++)
		fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "\n%s\n`xesp help COMMAND` tells more; so does xesp(8).\n", global_options);
}

static void print_command_help(const struct command *c)
{
	printf("usage: xesp [OPTION]... %s %s\n\n%s%s%s\n%s", c->name, c->arguments, c->summary,
	       c->details ? "\n\n" : "\n", c->details ? c->details : "", global_options);
}

static int version_command(const struct settings *s, int argc, char **argv)
{
	struct json_object *o;

	(void)argv;
	if (argc > 1)
		return command_misused("version", "takes no arguments");
	if (!s->json) {
		puts("xesp " XESP_VERSION);
		return COMMAND_DONE;
	}
	o = json_object_new_object();
	json_object_object_add(o, "version", json_object_new_string(XESP_VERSION));
	json_object_object_add(o, "steer_abi", json_object_new_int(XESP_STEER_ABI));
	command_print_json(o);
	return COMMAND_DONE;
}

static int help_command(const struct settings *s, int argc, char **argv)
{
	const struct command *c;

	(void)s;
	if (argc == 1) {
		print_help(stdout);
		return COMMAND_DONE;
	}
	c = find_command(argv[1]);
	if (!c || argc > 2)
		return command_misused("help", "'%s' is not a command", argv[argc - 1]);
	print_command_help(c);
	return COMMAND_DONE;
}

int command_refused(const char *command, const struct fault *f)
{
	fprintf(stderr, "xesp: %s: %s\n", command, f->text);
	return COMMAND_REFUSED;
}

int command_misused(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "xesp: %s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see `xesp help%s%s`\n", find_command(command) ? " " : "",
		find_command(command) ? command : "");
	return COMMAND_USAGE;
}

void command_print_json(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

struct globals {
	struct settings settings;
	bool help, version;
};

/*
 * Takes the value of `name` out of "--name VALUE" or "--name=VALUE" at argv[*i]. 1: taken;
 * 0: another argument; -1: the value is missing.
 */
static int take_value(const char *name, int argc, char **argv, int *i, const char **value)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len))
		return 0;
	if (argv[*i][len] == '=') {
		*value = argv[*i] + len + 1;
		return 1;
	}
	if (argv[*i][len])
		return 0;
	if (*i + 1 >= argc)
		return -1;
	*value = argv[++*i];
	return 1;
}

static bool take_flag(const char *name, const char *arg, bool *flag)
{
	if (strcmp(arg, name))
		return false;
	*flag = true;
	return true;
}

/* Moves what is not a global option to the front of argv and returns how many are left; -1:
 * misused. */
static int take_globals(struct globals *g, int argc, char **argv)
{
	struct settings *s = &g->settings;
	int left = 1, pins, run;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--")) {
			while (i < argc)
				argv[left++] = argv[i++];
			break;
		}
		pins = take_value("--pins", argc, argv, &i, &s->pins);
		run = pins ? 0 : take_value("--run", argc, argv, &i, &s->run);
		if (pins < 0 || run < 0) {
			command_misused(argv[i], "a directory must follow");
			return -1;
		}
		if (pins || run || take_flag("--json", argv[i], &s->json) ||
		    take_flag("--verbose", argv[i], &s->verbose) ||
		    take_flag("--help", argv[i], &g->help) || take_flag("-h", argv[i], &g->help) ||
		    take_flag("--version", argv[i], &g->version))
			continue;
		argv[left++] = argv[i];
	}
	argv[left] = NULL;
	return left;
}

int main(int argc, char **argv)
{
	struct globals g = { .settings = { .pins = XESP_PIN_DIR, .run = COMMAND_RUN_DIR } };
	const struct command *c;

	argc = take_globals(&g, argc, argv);
	if (argc < 0)
		return COMMAND_USAGE;
	kernel_said_open(g.settings.verbose);
	if (g.version)
		return version_command(&g.settings, 1, argv);
	if (argc < 2) {
		print_help(g.help ? stdout : stderr);
		return g.help ? COMMAND_DONE : COMMAND_USAGE;
	}
	c = find_command(argv[1]);
	if (!c)
		return command_misused(argv[1], "no such command");
	if (g.help) {
		print_command_help(c);
		return COMMAND_DONE;
	}
	return c->run(&g.settings, argc - 1, argv + 1);
}

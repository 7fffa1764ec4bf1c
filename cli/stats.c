/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c: `immure stats`: what the processes of running VMs have counted. */
#include "cli/stats.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/run_dir.h"
#include "cli/run_values.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VMS = 4096 };

struct options {
	const char *name;	/* NULL: all */
	bool json, prom, help;
};

static int parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .name = NULL };
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			o->json = true;
		else if (strcmp(argv[i], "--prom") == 0)
			o->prom = true;
		else if (strcmp(argv[i], "--help") == 0)
			o->help = true;
		else if (argv[i][0] == '-' || o->name != NULL) {
			say_error("stats: unexpected '%s'", argv[i]);
			say_hint("immure stats [NAME] [--json|--prom]");
			return -1;
		} else
			o->name = argv[i];
	}
	if (o->json && o->prom) {
		say_error("stats: --json or --prom, not both");
		return -1;
	}
	if (o->name != NULL && !value_name(o->name)) {
		say_error("stats %s: not the name of a machine", o->name);
		return -1;
	}
	return 0;
}

static int read_one(struct stats_vm *vm, const char *name)
{
	int fd = stats_open(name, O_RDONLY), rc;

	if (fd < 0)
		return -1;
	rc = stats_read(vm, name, fd);
	close(fd);
	return rc;
}

/* Those that end while they are looked for are left out. */
static unsigned read_all(struct stats_vm *vm, char (*names)[RUN_NAME], unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++)
		if (run_dir_has(names[i], PAGES_NAME) && read_one(&vm[kept], names[i]) == 0)
			kept++;
	return kept;
}

/* With a name, one object; without, a list of them. */
static void print_json(const struct options *o, const struct stats_vm *vm, unsigned n)
{
	json_t *list = json_array(), *all;

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, stats_json(&vm[i]));
	all = o->name != NULL ? json_incref(json_array_get(list, 0)) : json_pack("{s:O}", "vms", list);
	json_dumpf(all, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(all);
	json_decref(list);
}

static int print(const struct options *o, const struct stats_vm *vm, unsigned n)
{
	if (o->json)
		print_json(o, vm, n);
	else if (o->prom)
		stats_prom(stdout, vm, n);
	for (unsigned i = 0; !o->json && !o->prom && i < n; i++) {
		if (o->name == NULL)
			printf("%s%s:\n", i > 0 ? "\n" : "", vm[i].name);
		stats_print(&vm[i]);
	}
	if (!o->json && !o->prom && n == 0)
		printf("(none runs here)\n");
	return fflush(stdout) == 0 ? 0 : say_error("cannot write: %s", strerror(errno));
}

static int stats(const struct options *o)
{
	char (*names)[RUN_NAME] = o->name == NULL ? calloc(VMS, sizeof(*names)) : NULL;
	unsigned n = o->name != NULL ? 1 : names != NULL ? run_dir_names(names, VMS) : 0;
	struct stats_vm *vm = calloc(n > 0 ? n : 1, sizeof(*vm));
	int status = EXIT_IMMURE;

	if (vm == NULL || (o->name == NULL && names == NULL))
		say_error("out of memory");
	else if (o->name == NULL)
		status = print(o, vm, read_all(vm, names, n));
	else if (read_one(vm, o->name) == 0)
		status = print(o, vm, 1);
	free(vm);
	free(names);
	return status;
}

int cmd_stats(int argc, char **argv)
{
	struct options o;

	if (parse(&o, argc, argv) < 0)
		return EXIT_IMMURE;
	return o.help ? help_print("stats") : stats(&o);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* walls.c: `immure walls`: what confines the processes of running VMs.
 *
 * A VM that is being started has walls that do not stand yet, and one that ends has fewer
 * processes: what looks weaker is looked at again before it is reported. */
#include "cli/walls.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/say.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOKS = 5, LOOK_MS = 100 };

struct options {
	const char *name;	/* NULL: all */
	bool json;
	bool help;
};

static int parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .name = NULL };
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			o->json = true;
		else if (strcmp(argv[i], "--help") == 0)
			o->help = true;
		else if (argv[i][0] == '-' || o->name != NULL) {
			say_error("walls: unexpected '%s'", argv[i]);
			say_hint("immure walls [NAME] [--json]");
			return -1;
		} else
			o->name = argv[i];
	}
	return 0;
}

/* Reads and judges the VM of @supervisor.  False when it ended meanwhile. */
static bool look(const struct walls_host *h, pid_t supervisor, struct walls_vm *vm)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };

	for (unsigned i = 0; ; i++) {
		walls_read(h, supervisor, vm);
		if (vm->proc[0].program != PROGRAM_SUPERVISOR)
			return false;
		walls_judge(h, vm);
		if ((!vm->gone && vm->weaker.n == 0) || i == LOOKS)
			return true;
		walls_free(vm);
		nanosleep(&pause, NULL);
	}
}

static void print_head(void)
{
	printf("%-24s %-10s %-9s %9s %8s  %s\n", "NAME", "SUPERVISOR", "MODE", "PROCESSES", "THREADS",
	       "WALLS");
}

/* What the loop over all VMs has gathered. */
struct tally {
	unsigned vms, weaker;
	json_t *list;		/* NULL: text */
};

static void tell(const struct walls_host *h, const struct options *o, const struct walls_vm *vm,
		 struct tally *t)
{
	t->vms++;
	t->weaker += vm->weaker.n > 0;
	if (t->list != NULL)
		json_array_append_new(t->list, walls_json(h, vm));
	else if (o->name != NULL)
		walls_print(h, vm);
	else
		walls_print_line(vm);
}

/* With a name, one object; without, a list of them. */
static void print_json(const struct options *o, const struct tally *t)
{
	json_t *all = o->name != NULL ? json_incref(json_array_get(t->list, 0))
		    : json_pack("{s:b, s:O}", "ok", t->weaker == 0, "vms", t->list);

	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
}

static int finish(const struct options *o, const struct tally *t)
{
	if (o->name != NULL && t->vms == 0) {
		say_error("no VM named %s runs here, or it is not yours to see", o->name);
		say_hint("`immure walls` lists those that run");
		return EXIT_IMMURE;
	}
	if (t->list != NULL)
		print_json(o, t);
	else if (t->vms == 0)
		printf("(none runs here)\n");
	if (fflush(stdout) != 0)
		return say_error("cannot write: %s", strerror(errno));
	return t->weaker > 0 ? 1 : 0;
}

static int walls_of(const struct walls_host *h, const struct options *o, pid_t *pid,
		    struct walls_vm *vm)
{
	struct tally t = { 0, 0, o->json ? json_array() : NULL };
	int n = walls_supervisors(h, pid, WALLS_VMS), status;

	if (n < 0)
		return say_error("/proc: %s", strerror(-n));
	if (o->name != NULL)
		n = walls_select(h, o->name, pid, n, vm);
	if (o->name != NULL && n > 1) {
		say_error("%d VMs are named %s", n, o->name);
		say_hint("name one by its supervisor, as in: immure walls pid-%d", (int)pid[0]);
		return EXIT_IMMURE;
	}
	if (!o->json && o->name == NULL)
		print_head();
	for (int i = 0; i < n; i++) {
		if (look(h, pid[i], vm))
			tell(h, o, vm, &t);
		walls_free(vm);
	}
	status = finish(o, &t);
	json_decref(t.list);
	return status;
}

static int walls(const struct options *o)
{
	struct walls_vm *vm = calloc(1, sizeof(*vm));
	pid_t *pid = calloc(WALLS_VMS, sizeof(*pid));
	struct walls_host h;
	int status = EXIT_IMMURE;

	if (vm == NULL || pid == NULL)
		say_error("out of memory");
	else if (walls_host(&h) == 0)
		status = walls_of(&h, o, pid, vm);
	free(vm);
	free(pid);
	return status;
}

int cmd_walls(int argc, char **argv)
{
	struct options o;

	if (parse(&o, argc, argv) < 0)
		return EXIT_IMMURE;
	return o.help ? help_print("walls") : walls(&o);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* net.c: `immure net denied`: what the packet wall of a running VM has refused. */
#include "cli/net.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/say.h"
#include "cli/walls.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *name;
	bool json, help;
};

static int parse(struct options *o, int argc, char **argv)
{
	bool denied = false;

	*o = (struct options){ .name = NULL };
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			o->json = true;
		else if (strcmp(argv[i], "--help") == 0)
			o->help = true;
		else if (!denied && strcmp(argv[i], "denied") == 0)
			denied = true;
		else if (denied && argv[i][0] != '-' && o->name == NULL)
			o->name = argv[i];
		else {
			say_error("net: unexpected '%s'", argv[i]);
			say_hint("immure net denied NAME [--json]");
			return -1;
		}
	}
	if (o->help || o->name != NULL)
		return 0;
	say_error(denied ? "net denied: of which machine?" : "net: what of it?");
	say_hint("immure net denied NAME [--json]");
	return -1;
}

/* Reads the VM called @name; @vm is walls_free()d in any case.  Returns 0, or -1 after an error
 * message. */
static int find_vm(const struct walls_host *h, const char *name, pid_t *pid, struct walls_vm *vm)
{
	int n = walls_supervisors(h, pid, WALLS_VMS);

	if (n < 0) {
		say_error("/proc: %s", strerror(-n));
		return -1;
	}
	n = walls_select(h, name, pid, n, vm);
	if (n > 1) {
		say_error("%d VMs are named %s", n, name);
		say_hint("name one by its supervisor, as in: immure net denied pid-%d", (int)pid[0]);
		return -1;
	}
	if (n == 1)
		walls_read(h, pid[0], vm);
	if (n == 1 && !vm->gone)
		return 0;
	say_error("no VM named %s runs here, or it is not yours to see", name);
	say_hint("`immure walls` lists those that run");
	return -1;
}

static int read_denied(pid_t pid, struct net_denied *d)
{
	unsigned ifindex;
	int sock = net_tap_open(pid, d, &ifindex), rc;

	if (sock < 0)
		return -1;
	rc = net_wall_read(sock, ifindex, d);
	close(sock);
	return rc;
}

/* The interface of @vm into @d.  Returns 0, or -1 after an error message. */
static int read_vm(const struct walls_vm *vm, struct net_denied *d)
{
	for (unsigned i = 1; i < vm->n; i++)
		if (vm->proc[i].program == PROGRAM_PASST) {
			say_error("the packet wall of %s cannot be read here", vm->name);
			say_hint("it was started with wall=off, with --vsock, or by another user");
			return -1;
		}
	for (unsigned i = 1; i < vm->n; i++)
		if (vm->proc[i].program == PROGRAM_NET)
			return read_denied(vm->proc[i].pid, d);
	say_error("the VM %s has no network interface", vm->name);
	say_hint("--net of `immure run` gives it one");
	return -1;
}

static int print_denied(const struct options *o, const char *name, const struct net_denied *d)
{
	json_t *all;

	if (o->json) {
		all = json_pack("{s:s}", "name", name);
		json_object_update_new(all, net_json(d));
		json_dumpf(all, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
		putchar('\n');
		json_decref(all);
	} else {
		net_print(d);
	}
	return fflush(stdout) == 0 ? 0 : say_error("cannot write: %s", strerror(errno));
}

/* Finds the process of the interface among those of all VMs here, and asks the kernel. */
static int ask_kernel(const struct options *o, struct walls_vm *vm, pid_t *pid, struct net_denied *d)
{
	int status = EXIT_IMMURE;
	struct walls_host h;

	if (walls_host(&h) != 0)
		return status;
	if (find_vm(&h, o->name, pid, vm) == 0 && read_vm(vm, d) == 0)
		status = print_denied(o, vm->name, d);
	walls_free(vm);
	return status;
}

static int denied(const struct options *o)
{
	struct walls_vm *vm = calloc(1, sizeof(*vm));
	struct net_denied *d = calloc(1, sizeof(*d));
	pid_t *pid = calloc(WALLS_VMS, sizeof(*pid));
	int status = EXIT_IMMURE, own;

	if (vm == NULL || pid == NULL || d == NULL)
		say_error("out of memory");
	else if ((own = net_user_read(o->name, d)) != 0)
		status = own > 0 ? print_denied(o, o->name, d) : EXIT_IMMURE;
	else
		status = ask_kernel(o, vm, pid, d);
	free(vm);
	free(d);
	free(pid);
	return status;
}

int cmd_net(int argc, char **argv)
{
	struct options o;

	if (parse(&o, argc, argv) < 0)
		return EXIT_IMMURE;
	return o.help ? help_print("net") : denied(&o);
}

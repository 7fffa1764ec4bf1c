/* SPDX-License-Identifier: Apache-2.0 */
/* net.c: `immure net denied`: what the packet walls of a running VM have refused. */
#include "cli/net.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/say.h"
#include "cli/walls.h"
#include "core/fdplan.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *name;
	bool json, help;
	unsigned printed;	/* interfaces, so far */
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

/* Prints the next interface of the VM @name. */
static int print_denied(struct options *o, const char *name, const struct net_denied *d)
{
	json_t *all;

	if (o->printed++ > 0 && !o->json)
		putchar('\n');
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

static bool has_passt(const struct walls_vm *vm)
{
	for (unsigned i = 1; i < vm->n; i++)
		if (vm->proc[i].program == PROGRAM_PASST)
			return true;
	return false;
}

/* Is the other side of @p's interface passt, and not a tap? */
static bool is_passts(const struct walls_process *p)
{
	for (size_t f = 0; f < p->nfds; f++)
		if (p->fd[f].number == NET_TAP0)
			return p->fd[f].kind == KIND_SOCKET;
	return false;
}

/* Prints the interfaces of @vm that the kernel counts for.  Returns 0, or -1 after an error message;
 * one that cannot be read does not keep the others from being printed. */
static int print_vm(struct options *o, const struct walls_vm *vm, struct net_denied *d)
{
	const bool unread = has_passt(vm) && o->printed == 0;
	int status = 0, n = 0;

	if (unread) {
		say_error("the packet wall of %s cannot be read here", vm->name);
		say_hint("it was started with wall=off, with --vsock, or by another user");
		status = -1;
	}
	for (unsigned i = 1; i < vm->n; i++) {
		const struct walls_process *p = &vm->proc[i];

		if (p->program != PROGRAM_NET || (has_passt(vm) && is_passts(p)) || (unread && p->nfds == 0))
			continue;
		n++;
		memset(d, 0, sizeof(*d));
		if (read_denied(p->pid, d) != 0 || print_denied(o, vm->name, d) != 0)
			status = -1;
	}
	if (n > 0 || has_passt(vm))
		return status;
	say_error("the VM %s has no network interface", vm->name);
	say_hint("--net of `immure run` gives it one");
	return -1;
}

/* Finds the processes of the interfaces among those of all VMs here, and asks the kernel. */
static int ask_kernel(struct options *o, struct walls_vm *vm, pid_t *pid, struct net_denied *d)
{
	int status = EXIT_IMMURE;
	struct walls_host h;

	if (walls_host(&h) != 0)
		return status;
	if (find_vm(&h, o->name, pid, vm) == 0 && print_vm(o, vm, d) == 0)
		status = 0;
	walls_free(vm);
	return status;
}

static int denied(struct options *o)
{
	struct walls_vm *vm = calloc(1, sizeof(*vm));
	struct net_denied *d = calloc(1, sizeof(*d));
	pid_t *pid = calloc(WALLS_VMS, sizeof(*pid));
	int status = EXIT_IMMURE, own = -1;

	if (vm == NULL || pid == NULL || d == NULL)
		say_error("out of memory");
	else if ((own = net_user_read(o->name, d)) >= 0)
		status = own > 0 && print_denied(o, o->name, d) != 0 ? EXIT_IMMURE : 0;
	if (status == 0 && own != 1)
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

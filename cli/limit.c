/* SPDX-License-Identifier: Apache-2.0 */
/* limit.c: `immure limit`: shows and changes the rate limits of a running VM.
 *
 * They are written into the page that the device looks at (core/limits.h), under a lock, so that
 * two who change them do not mix; the device's process takes them when it next looks. */
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/limit_spec.h"
#include "cli/run_values.h"
#include "cli/say.h"
#include "cli/stats.h"
#include "jailer/config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

struct options {
	const char *name, *device;	/* device NULL: show */
	char *spec;
	bool json, help;
};

static int parse(struct options *o, int argc, char **argv)
{
	int n = 0;

	*o = (struct options){ .name = NULL };
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			o->json = true;
		else if (strcmp(argv[i], "--help") == 0)
			o->help = true;
		else if (n == 0 && argv[i][0] != '-' && ++n)
			o->name = argv[i];
		else if (n == 1 && argv[i][0] != '-' && ++n)
			o->device = argv[i];
		else if (n == 2 && argv[i][0] != '-' && ++n)
			o->spec = argv[i];
		else
			n = 4;
	}
	if (o->help || n == 1 || n == 3)
		return 0;
	say_error(n == 4 ? "limit: too many words, or an unknown option" :
		  n == 2 ? "limit: which limits for %s?" : "limit: of which machine?", o->device);
	say_hint("immure limit NAME [DEVICE bw=SIZE,iops=N,burst=SIZE]");
	return -1;
}

/* ---- show ---- */

static void show_json(const struct stats_vm *vm)
{
	json_t *all = json_object();

	for (unsigned d = 0; d + 1 < vm->n; d++) {
		const struct limit_values *v = vm->limit[d].direction;
		const struct stats_process *p = &vm->process[1 + d];

		if (p->kind == VM_DEVICE_BLK)
			json_object_set_new(all, p->name,
					    json_pack("{s:o}", "rate_limiter", limit_json(&v[0])));
		else
			json_object_set_new(all, p->name,
					    json_pack("{s:o, s:o}", "tx_rate_limiter",
						      limit_json(&v[LIMITS_OUT]), "rx_rate_limiter",
						      limit_json(&v[LIMITS_IN])));
	}
	json_dumpf(all, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(all);
}

static int show(const struct options *o, const struct stats_vm *vm)
{
	char text[256];

	if (o->json)
		show_json(vm);
	for (unsigned d = 0; d + 1 < vm->n && !o->json; d++) {
		const struct stats_process *p = &vm->process[1 + d];

		limit_spec_print(text, sizeof(text), p->kind != VM_DEVICE_BLK,
				 vm->limit[d].direction);
		printf("%-10s %s\n", p->name, vm->limit[d].sequence % 2 != 0 ?
		       "(being written; a new one repairs it)" : text);
	}
	return fflush(stdout) == 0 ? 0 : say_error("cannot write: %s", strerror(errno));
}

/* ---- change ---- */

static int device_of(const struct stats_vm *vm, const char *name)
{
	for (unsigned d = 0; d + 1 < vm->n; d++)
		if (strcmp(vm->process[1 + d].name, name) == 0)
			return (int)d;
	say_error("limit: %s has no device %s", vm->name, name);
	say_hint("`immure limit %s` lists its devices", vm->name);
	return -1;
}

/* "bw=..,iops=.." over what is in force, or one of Firecracker's rate limiters instead of it. */
static int apply(const char *device, char *spec, bool directions,
		 struct limit_values v[LIMITS_DIRECTIONS])
{
	struct failure f = { "" };
	char *save = NULL;

	if (spec[0] == '{') {
		if (config_limiter(&v[LIMITS_OUT], spec, &f) != 0) {
			say_error("limit %s: %s", device, f.text);
			return -1;
		}
		if (directions)
			v[LIMITS_IN] = v[LIMITS_OUT];
		return 0;
	}
	for (char *word = strtok_r(spec, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		const char *wrong = limit_spec_word(word, directions, v);

		if (wrong) {
			say_error("limit %s: %s: %s", device, word, wrong);
			return -1;
		}
	}
	return 0;
}

static int write_limits(const struct options *o, const struct stats_vm *vm, int fd)
{
	struct limit_values v[LIMITS_DIRECTIONS];
	struct limits_page *page;
	int d = device_of(vm, o->device);

	if (d < 0)
		return EXIT_IMMURE;
	memcpy(v, vm->limit[d].direction, sizeof(v));
	if (apply(o->device, o->spec, vm->process[1 + d].kind != VM_DEVICE_BLK, v) < 0)
		return EXIT_IMMURE;
	page = mmap(NULL, LIMITS_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return say_error("limit %s: %s", o->device, strerror(errno));
	limits_write(&page->device[d], v);
	munmap(page, LIMITS_PAGE);
	return 0;
}

static int limit(const struct options *o)
{
	static struct stats_vm vm;
	int fd = stats_open(o->name, o->device != NULL ? O_RDWR : O_RDONLY), status = EXIT_IMMURE;

	if (fd < 0)
		return EXIT_IMMURE;
	if (o->device != NULL && flock(fd, LOCK_EX) < 0)
		say_error("limit %s: lock: %s", o->name, strerror(errno));
	else if (stats_read(&vm, o->name, fd) == 0)
		status = o->device != NULL ? write_limits(o, &vm, fd) : show(o, &vm);
	close(fd);
	return status;
}

int cmd_limit(int argc, char **argv)
{
	struct options o;

	if (parse(&o, argc, argv) < 0)
		return EXIT_IMMURE;
	if (o.help)
		return help_print("limit");
	if (!value_name(o.name))
		return say_error("limit %s: not the name of a machine", o.name);
	return limit(&o);
}

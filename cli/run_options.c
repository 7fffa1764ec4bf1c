/* SPDX-License-Identifier: Apache-2.0 */
/* run_options.c: one table, one loop.
 *
 * Options end at the first word that is not one, so that the command's own options are never
 * taken for ours: it is ROOTFS.  "--" may stand before ROOTFS, before the command, or both. */
#include "cli/run_options.h"
#include "cli/limit_spec.h"
#include "cli/run_overlay.h"
#include "cli/run_values.h"
#include "cli/say.h"
#include "core/guestmem.h"
#include "core/overlay.h"
#include "core/vmconfig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct option_row {
	char letter;		/* 0: none */
	const char *name;
	bool takes_value;
	bool value_optional;	/* only as --name=value */
	/* Returns false after saying why @value will not do. */
	bool (*set)(struct run_options *o, char *value);
};

static bool refuse(const char *option, const char *value, const char *wanted)
{
	say_error("%s %s: %s", option, value, wanted);
	return false;
}

static bool set_memory(struct run_options *o, char *v)
{
	if (!value_size(v, &o->memory))
		return refuse("--memory", v, "not a size; try 512M or 2G");
	if (o->memory < GUESTMEM_MIN || o->memory > GUESTMEM_MAX)
		return refuse("--memory", v, "a machine has 16M to 1T of memory");
	if (o->memory % GUESTMEM_PAGE)
		return refuse("--memory", v, "not a multiple of 4K");
	return true;
}

static bool set_cpus(struct run_options *o, char *v)
{
	uint64_t n;

	if (!value_count(v, 1, PLAN_VCPUS, &n))
		return refuse("--cpus", v, "a machine has 1 to 32 processors");
	o->cpus = (unsigned)n;
	return true;
}

static bool set_env(struct run_options *o, char *v)
{
	if (v[0] == '=' || v[0] == '\0')
		return refuse("--env", v, "wanted NAME=VALUE");
	if (!strchr(v, '=')) {
		/* As elsewhere: a bare name passes our own variable on, when there is one. */
		const char *own = getenv(v);

		if (!own)
			return true;
		/* The environment block holds "NAME=VALUE" and lives as long as we do. */
		v = (char *)(uintptr_t)own - strlen(v) - 1;
	}
	if (o->nenv >= array_len(o->env))
		return refuse("--env", v, "too many variables");
	o->env[o->nenv++] = v;
	return true;
}

static bool set_dir(struct run_options *o, char *v)
{
	o->dir = v;
	return v[0] == '/' || refuse("--workdir", v, "not an absolute path");
}

static bool set_user(struct run_options *o, char *v)
{
	o->user = v;
	return v[0] || refuse("--user", "''", "wanted NAME, UID, NAME:GROUP or UID:GID");
}

/* "block=4096", or "block=4K". */
static bool disk_block(struct run_disk *d, const char *word)
{
	uint64_t n;

	if (strncmp(word, "block=", 6) != 0 || !value_size(word + 6, &n) ||
	    n < VM_BLOCK_MIN || n > VM_BLOCK_MAX || !is_power_of_2(n))
		return false;
	d->block = (uint32_t)n;
	return true;
}

static bool disk_queues(struct run_disk *d, const char *word)
{
	uint64_t n;

	if (strncmp(word, "queues=", 7) != 0 || !value_count(word + 7, 1, PLAN_BLK_QUEUES, &n))
		return false;
	d->queues = (uint32_t)n;
	return true;
}

static bool disk_grow(struct run_disk *d, const char *word)
{
	return strncmp(word, "grow=", 5) == 0 && value_size(word + 5, &d->grow) &&
	       d->grow >= VM_BLOCK_MAX && d->grow <= OVERLAY_BASE_MAX;
}

/* Takes one word behind a comma of --disk.  False: it is none of ours, but part of the name. */
static bool disk_word(struct run_disk *d, char *word)
{
	static const struct {
		const char *word;
		size_t offset;
		bool value;
	} words[] = {
		{ "ro", offsetof(struct run_disk, readonly), true },
		{ "rw", offsetof(struct run_disk, readonly), false },
		{ "discard=on", offsetof(struct run_disk, keep), false },
		{ "discard=off", offsetof(struct run_disk, keep), true },
		{ "cache=host", offsetof(struct run_disk, direct), false },
		{ "cache=direct", offsetof(struct run_disk, direct), true },
	};

	for (size_t i = 0; i < array_len(words); i++) {
		if (strcmp(word, words[i].word) == 0) {
			*(bool *)((char *)d + words[i].offset) = words[i].value;
			return true;
		}
	}
	return disk_block(d, word) || disk_queues(d, word) || disk_grow(d, word) ||
	       run_overlay_word(d, word);
}

/* Why @word, which disk_word() did not take, cannot be part of a name; NULL: it can. */
static const char *disk_word_wrong(const char *word)
{
	if (strncmp(word, "discard=", 8) == 0)
		return "discard is on or off";
	if (strncmp(word, "cache=", 6) == 0)
		return "cache is host or direct";
	if (strncmp(word, "block=", 6) == 0)
		return "a block has 512, 1024, 2048 or 4096 bytes";
	if (strncmp(word, "queues=", 7) == 0)
		return "a disk has 1 to 4 queues";
	if (strncmp(word, "grow=", 5) == 0)
		return "an image grows to a size between 4K and 1T";
	return run_overlay_wrong(word);
}

static bool set_disk(struct run_options *o, char *v)
{
	struct run_disk *d = &o->disk[o->ndisks];
	char *comma;

	if (o->ndisks >= RUN_DISKS)
		return refuse("--disk", v, "a machine has at most 6 disks beside the root");
	d->path = v;
	while ((comma = strrchr(v, ',')) != NULL &&
	       (limit_spec_is(comma + 1) || disk_word(d, comma + 1))) {
		const char *wrong = limit_spec_is(comma + 1)
				    ? limit_spec_word(comma + 1, false, d->limit) : NULL;

		if (wrong)
			return refuse("--disk", v, wrong);
		*comma = '\0';
	}
	if (!v[0])
		return refuse("--disk", "''", "wanted FILE or FILE,ro");
	if (comma && disk_word_wrong(comma + 1))
		return refuse("--disk", v, disk_word_wrong(comma + 1));
	if (run_overlay_clash(d))
		return refuse("--disk", v, run_overlay_clash(d));
	o->ndisks++;
	return true;
}

static bool set_timeout(struct run_options *o, char *v)
{
	return (value_time(v, &o->timeout_ms) && o->timeout_ms > 0) ||
	       refuse("--timeout", v, "not a time; try 500ms, 30s, 5m or 1h");
}

static bool set_boot_timeout(struct run_options *o, char *v)
{
	return (value_time(v, &o->boot_timeout_ms) && o->boot_timeout_ms > 0) ||
	       refuse("--boot-timeout", v, "not a time; try 500ms, 30s, 5m or 1h");
}

static bool set_kernel(struct run_options *o, char *v)
{
	o->kernel = v;
	return v[0] || refuse("--kernel", "''", "wanted a NAME (see `immure kernel list`) or a path");
}

static bool set_append(struct run_options *o, char *v)
{
	o->append = v;
	return strlen(v) < RUN_APPEND || refuse("--append", "…", "longer than 1023 bytes");
}

static bool set_entry(struct run_options *o, char *v)
{
	o->entry = v;
	return strcmp(v, "auto") == 0 || strcmp(v, "pvh") == 0 || strcmp(v, "linux64") == 0 ||
	       refuse("--entry", v, "one of auto, pvh, linux64");
}

static bool set_speculation(struct run_options *o, char *v)
{
	o->speculation = v;
	return strcmp(v, "host") == 0 || strcmp(v, "restrict") == 0 ||
	       refuse("--speculation", v, "one of host, restrict");
}

static bool set_core_scheduling(struct run_options *o, char *v)
{
	(void)v;
	return o->core_scheduling = true;
}

/* "150%", or "none". */
static bool set_cpu_limit(struct run_options *o, char *v)
{
	char *percent = strchr(v, '%');
	uint64_t n = 0;
	bool none = strcmp(v, "none") == 0, good;

	if (percent && percent[1] == '\0')
		*percent = '\0';
	else
		percent = NULL;
	good = none || (percent && value_count(v, 1, 100 * 1024, &n));
	if (percent)
		*percent = '%';
	o->limits.cpu_percent = (uint32_t)n;
	return good || refuse("--cpu-limit", v, "wanted a share of one processor, as in 150%, or none");
}

static bool set_io_limit(struct run_options *o, char *v)
{
	if (!value_size(v, &o->limits.io) || o->limits.io == 0)
		return refuse("--io-limit", v, "not a number of bytes a second; try 100M");
	return true;
}

static bool set_pids_limit(struct run_options *o, char *v)
{
	uint64_t n;

	if (!value_count(v, 1, 4096, &n))
		return refuse("--pids-limit", v, "wanted 1 to 4096 processes and threads of the host");
	o->limits.pids = (uint32_t)n;
	return true;
}

static bool set_memory_overhead(struct run_options *o, char *v)
{
	if (!value_size(v, &o->limits.overhead) || o->limits.overhead < 1 << 20 ||
	    o->limits.overhead > GUESTMEM_MAX)
		return refuse("--memory-overhead", v, "wanted 1M to 1T beyond the machine's memory");
	return true;
}

static bool set_name(struct run_options *o, char *v)
{
	o->name = v;
	return value_name(v) ||
	       refuse("--name", v, "1 to 64 letters, digits, '.', '_' or '-', not first");
}

static bool set_vsock(struct run_options *o, char *v)
{
	static const char word[] = ",connections=";
	char *comma = strrchr(v, ',');
	uint64_t n = PLAN_VSOCK_CONNS;

	if (comma && strncmp(comma, word, sizeof(word) - 1) == 0) {
		if (!value_count(comma + sizeof(word) - 1, RUN_CONNECTIONS, PLAN_VSOCK_CONNS, &n))
			return refuse("--vsock", v, "6 to 2048 connections at a time");
		*comma = '\0';
	}
	o->vsock = v;
	o->vsock_connections = (unsigned)n;
	return v[0] || refuse("--vsock", "''", "wanted a path");
}

static bool set_net(struct run_options *o, char *v)
{
	const bool none = strcmp(v, "none") == 0;

	if (o->no_net ? !none : none && o->nnets > 0) {
		say_error("--net: none goes with no other --net");
		return false;
	}
	o->no_net = none;
	if (none)
		return true;
	if (o->nnets == RUN_NETS)
		return refuse("--net", v, "a machine has at most 6 network interfaces");
	return run_net_parse(&o->net[o->nnets++], v) && run_nets_fit(o->net, o->nnets);
}

static bool set_json(struct run_options *o, char *v)
{
	uint64_t fd;
	int flags;

	o->json = true;
	if (!v)
		return true;
	if (!value_count(v, 0, 1 << 20, &fd))
		return refuse("--json", v, "not the number of a descriptor");
	/* Now, before there are any of our own. */
	flags = fcntl((int)fd, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return refuse("--json", v, "not a descriptor that is open for writing");
	o->json_fd = (int)fd;
	return true;
}

static bool set_tty(struct run_options *o, char *v)
{
	(void)v;
	return o->tty = true;
}

static bool set_no_tty(struct run_options *o, char *v)
{
	(void)v;
	return o->no_tty = true;
}

static bool set_console(struct run_options *o, char *v)
{
	(void)v;
	return o->console = true;
}

static bool set_help(struct run_options *o, char *v)
{
	(void)v;
	return o->help = true;
}

static const struct option_row options[] = {
	{ 'm', "memory", true, false, set_memory },
	{ 'c', "cpus", true, false, set_cpus },
	{ 'e', "env", true, false, set_env },
	{ 'w', "workdir", true, false, set_dir },
	{ 'u', "user", true, false, set_user },
	{ 't', "tty", false, false, set_tty },
	{ 'T', "no-tty", false, false, set_no_tty },
	{ 0, "disk", true, false, set_disk },
	{ 0, "timeout", true, false, set_timeout },
	{ 0, "boot-timeout", true, false, set_boot_timeout },
	{ 'k', "kernel", true, false, set_kernel },
	{ 0, "append", true, false, set_append },
	{ 0, "entry", true, false, set_entry },
	{ 0, "console", false, false, set_console },
	{ 0, "core-scheduling", false, false, set_core_scheduling },
	{ 0, "speculation", true, false, set_speculation },
	{ 0, "cpu-limit", true, false, set_cpu_limit },
	{ 0, "io-limit", true, false, set_io_limit },
	{ 0, "pids-limit", true, false, set_pids_limit },
	{ 0, "memory-overhead", true, false, set_memory_overhead },
	{ 0, "name", true, false, set_name },
	{ 0, "vsock", true, false, set_vsock },
	{ 0, "net", true, false, set_net },
	{ 0, "json", false, true, set_json },
	{ 'h', "help", false, false, set_help },
};

/* The row for the word @w ("-m", "-m512M", "--memory", "--memory=512M"); *@value is what is
 * attached to it, or NULL. */
static const struct option_row *find_option(char *w, char **value)
{
	char *equals;

	*value = NULL;
	if (w[1] != '-') {
		for (size_t i = 0; i < array_len(options); i++) {
			if (!options[i].letter || options[i].letter != w[1])
				continue;
			*value = w[2] ? w + 2 : NULL;
			return &options[i];
		}
		return NULL;
	}
	equals = strchrnul(w, '=');
	for (size_t i = 0; i < array_len(options); i++) {
		size_t len = strlen(options[i].name);

		if (len != (size_t)(equals - w) - 2 || memcmp(options[i].name, w + 2, len) != 0)
			continue;
		*value = *equals ? equals + 1 : NULL;
		return &options[i];
	}
	return NULL;
}

static int unknown(const char *command, const char *word)
{
	say_error("unknown option %s", word);
	say_hint("Options of the command go behind ROOTFS. `immure %s --help` lists immure's.",
		 command);
	return -1;
}

/* Takes the option at @argv[*i] and its value. */
static int take_option(struct run_options *o, int argc, char **argv, int *i)
{
	char *value;
	const struct option_row *row = find_option(argv[*i], &value);

	if (!row)
		return unknown(argv[0], argv[*i]);
	if (value && !row->takes_value && !row->value_optional) {
		say_error("option --%s takes no value", row->name);
		return -1;
	}
	if (!value && row->takes_value) {
		if (*i + 1 >= argc) {
			say_error("option --%s needs a value", row->name);
			say_hint("`immure %s --help` has an example.", argv[0]);
			return -1;
		}
		value = argv[++*i];
	}
	return row->set(o, value) ? 0 : -1;
}

/* Something before word @i was refused: whether that is to be said as JSON may come behind it. */
static void look_for_json(struct run_options *o, int argc, char **argv, int i)
{
	for (; i < argc && argv[i][0] == '-' && argv[i][1] && strcmp(argv[i], "--") != 0; i++) {
		char *value;
		const struct option_row *row = find_option(argv[i], &value);

		if (row && row->set == set_json && !o->json && !row->set(o, value))
			return;
		if (row && row->takes_value && !value)
			i++;
	}
}

int run_options_parse(struct run_options *o, int argc, char **argv)
{
	int i = 1;

	memset(o, 0, sizeof(*o));
	o->memory = RUN_MEMORY_DEFAULT;
	o->boot_timeout_ms = RUN_BOOT_TIMEOUT_MS;
	o->cpus = 1;
	o->dir = o->user = o->append = "";
	o->entry = "auto";
	o->speculation = "host";
	o->json_fd = 2;
	o->vsock_connections = RUN_CONNECTIONS;
	o->limits.cpu_percent = RUN_LIMIT_DEFAULT;
	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (take_option(o, argc, argv, &i) < 0) {
			look_for_json(o, argc, argv, i + 1);
			return -1;
		}
		if (o->help)
			return 0;
	}
	if (i >= argc) {
		say_error("no ROOTFS given: a directory or an ext4, squashfs or erofs image");
		say_hint("`immure %s --help` has examples.", argv[0]);
		return -1;
	}
	if (o->nnets > 0 && o->ndisks + o->nnets > RUN_DISKS) {
		say_error("--net: beside %u network interface%s a machine has at most %u more disks",
			  o->nnets, o->nnets > 1 ? "s" : "", RUN_DISKS - o->nnets);
		return -1;
	}
	o->rootfs = argv[i++];
	if (i < argc && strcmp(argv[i], "--") == 0)
		i++;
	o->argc = (unsigned)(argc - i);
	o->argv = o->argc ? argv + i : NULL;
	if (o->argc > PROTO_ARGS_MAX) {
		say_error("more than %d words in the command", PROTO_ARGS_MAX);
		return -1;
	}
	return 0;
}

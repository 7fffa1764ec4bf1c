/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c: `immure kernel import | list | rm`, and finding a kernel for `immure run`. */
#include "cli/kernel.h"

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/kernel_import.h"
#include "cli/kernel_store.h"
#include "cli/say.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { KERNELS_MAX = 1024, MODULES_CPIO_MAX = 256 << 20 };

/* ---- what there is ---- */

struct kernels {
	size_t count;
	struct kernel *list;
	char root[PATH_MAX - 128];
};

static int by_name(const void *a, const void *b)
{
	const struct kernel *x = a, *y = b;

	return strverscmp(x->name, y->name);
}

static void add_kernel(struct kernels *all, const char *name)
{
	struct kernel k = { 0 }, *grown;
	char dir[PATH_MAX], init[IMPORT_STAMP];

	if (!store_name_valid(name) || all->count >= KERNELS_MAX)
		return;
	snprintf(dir, sizeof(dir), "%s/%s", all->root, name);
	if (!store_meta_read(dir, &k, init, sizeof(init)) || strcmp(k.name, name) != 0)
		return;
	grown = reallocarray(all->list, all->count + 1, sizeof(k));
	if (grown == NULL)
		return;
	all->list = grown;
	all->list[all->count++] = k;
}

static int list_all(struct kernels *all)
{
	struct dirent *e;
	DIR *d;

	*all = (struct kernels){ 0 };
	if (store_root(all->root, sizeof(all->root)) != 0)
		return -1;
	d = opendir(all->root);
	if (d == NULL) {
		say_error("%s: %s", all->root, strerror(errno));
		return -1;
	}
	while ((e = readdir(d)) != NULL)
		add_kernel(all, e->d_name);
	closedir(d);
	if (all->count != 0)
		qsort(all->list, all->count, sizeof(all->list[0]), by_name);
	return 0;
}

/* ---- immure run ---- */

/* In the store everything is ours; still, nothing but a file is taken for one. */
static int read_modules(const char *path, struct blob *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else
		err = S_ISREG(st.st_mode) ? blob_read(fd, MODULES_CPIO_MAX, out) : -EINVAL;
	close(fd);
	return err;
}

static int renew(const char *dir, const struct kernel *k, const char *init, const char *stamp)
{
	struct blob archive = { 0 }, modules = { 0 };
	char path[PATH_MAX], *meta = store_meta_text(k, stamp);
	int err = -ENAMETOOLONG;

	if (snprintf(path, sizeof(path), "%s/modules.cpio", dir) < (int)sizeof(path))
		err = read_modules(path, &modules);
	if (err == 0)
		err = import_init_archive(init, &archive);
	if (err == 0)
		err = blob_append(&archive, modules.data, modules.len);
	if (err == 0)
		err = store_replace(dir, "initramfs", archive.data, archive.len);
	if (err == 0 && meta != NULL)
		err = store_replace(dir, "meta.json", meta, strlen(meta));
	free(meta);
	blob_free(&archive);
	blob_free(&modules);
	return err;
}

void kernel_renew(const struct kernel *k)
{
	char init[PATH_MAX], stamp[IMPORT_STAMP], inside[IMPORT_STAMP];
	struct kernel now = { 0 };
	int err;

	if (k->store_dir[0] == '\0' ||
	    !store_meta_read(k->store_dir, &now, inside, sizeof(inside)) ||
	    !import_find_init(init, sizeof(init), stamp, sizeof(stamp)) ||
	    strcmp(stamp, inside) == 0 || access(k->store_dir, W_OK) != 0)
		return;
	err = renew(k->store_dir, &now, init, stamp);
	if (err != 0)
		say_error("kernel %s: its initramfs has another build's immure-init, and cannot be "
			  "renewed: %s", k->store_dir, strerror(-err));
}

static int need_file(const char *dir, const char *file, char *path, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", dir, file);

	if (n > 0 && n < PATH_MAX && access(path, R_OK) == 0)
		return 0;
	say_error("kernel %s: %s/%s: %s", name, dir, file, strerror(errno));
	return -1;
}

static int find_in(const char *dir, const char *name, struct kernel *out)
{
	if (need_file(dir, "vmlinux", out->vmlinux, name) != 0 ||
	    need_file(dir, "initramfs", out->initramfs, name) != 0)
		return -1;
	return 0;
}

static int find_stored(const char *root, const char *name, struct kernel *out)
{
	char init[IMPORT_STAMP];

	snprintf(out->store_dir, sizeof(out->store_dir), "%s/%s", root, name);
	/* Kernels that were put there by hand say nothing about themselves. */
	if (!store_meta_read(out->store_dir, out, init, sizeof(init)))
		out->name[0] = '\0';
	return find_in(out->store_dir, name, out);
}

static int find_path(const char *path, struct kernel *out)
{
	char dir[PATH_MAX];

	if (realpath(path, dir) == NULL) {
		say_error("kernel %s: %s", path, strerror(errno));
		return -1;
	}
	return find_in(dir, path, out);
}

static int find_latest(struct kernel *out)
{
	const struct kernel *best = NULL;
	struct kernels all;
	int rc = -1;

	if (list_all(&all) != 0)
		return -1;
	for (size_t i = 0; i < all.count; i++) {
		if (best == NULL || all.list[i].created >= best->created)
			best = &all.list[i];
	}
	if (best == NULL) {
		say_error("no kernel has been imported yet");
		say_hint("make one bootable first: immure kernel import");
	} else {
		rc = find_stored(all.root, best->name, out);
	}
	free(all.list);
	return rc;
}

int kernel_find(const char *name, struct kernel *out)
{
	char root[PATH_MAX - 128], dir[PATH_MAX];

	*out = (struct kernel){ 0 };
	if (name == NULL)
		return find_latest(out);
	if (strchr(name, '/') != NULL)
		return find_path(name, out);
	if (store_root(root, sizeof(root)) != 0)
		return -1;
	snprintf(dir, sizeof(dir), "%s/%s", root, name);
	if (!store_name_valid(name) || access(dir, F_OK) != 0) {
		say_error("no kernel \"%s\" has been imported", name);
		say_hint("see: immure kernel list");
		return -1;
	}
	return find_stored(root, name, out);
}

/* ---- the commands ---- */

static int usage(const char *problem, const char *word)
{
	say_error("kernel: %s %s", problem, word);
	say_hint("see: immure help kernel");
	return EXIT_IMMURE;
}

/* getopt_long() said '?' or ':' about the word before optind. */
static int bad_option(int c, char **argv)
{
	return usage(c == ':' ? "no value for" : "unknown option", argv[optind - 1]);
}

static int import_command(int argc, char **argv)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "bzimage", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct import what = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		if (c == 'n')
			what.name = optarg;
		else if (c == 'b')
			what.bzimage = true;
		else if (c == 'h')
			return help_print("kernel");
		else
			return bad_option(c, argv);
	}
	if (argc - optind > 1)
		return usage("import takes one kernel at a time, not also", argv[optind + 1]);
	what.path = argv[optind];
	return kernel_import(&what) == 0 ? 0 : EXIT_IMMURE;
}

static void print_table(const struct kernels *all)
{
	int width = 4;

	for (size_t i = 0; i < all->count; i++) {
		if ((int)strlen(all->list[i].name) > width)
			width = (int)strlen(all->list[i].name);
	}
	printf("%-*s  %-10s  %-7s  %s\n", width, "NAME", "IMPORTED", "FORMAT", "VERSION");
	for (size_t i = 0; i < all->count; i++) {
		const struct kernel *k = &all->list[i];
		const time_t when = (time_t)k->created;
		char date[16] = "";
		struct tm tm;

		if (localtime_r(&when, &tm) != NULL)
			strftime(date, sizeof(date), "%Y-%m-%d", &tm);
		printf("%-*s  %-10s  %-7s  %s\n", width, k->name, date,
		       k->bzimage ? "bzimage" : "elf", k->version);
	}
}

static void print_json(const struct kernels *all)
{
	json_t *list = json_array();

	for (size_t i = 0; i < all->count; i++) {
		const struct kernel *k = &all->list[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:I}", "name", k->name,
						      "version", k->version, "format",
						      k->bzimage ? "bzimage" : "elf", "sha256",
						      k->sha256, "created",
						      (json_int_t)k->created));
	}
	json_dumpf(list, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(list);
}

static int list_command(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool json = false;
	struct kernels all;
	int c;

	while ((c = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		if (c == 'h')
			return help_print("kernel");
		if (c != 'j')
			return bad_option(c, argv);
		json = true;
	}
	if (optind != argc)
		return usage("list takes no name, not", argv[optind]);
	if (list_all(&all) != 0)
		return EXIT_IMMURE;
	if (json)
		print_json(&all);
	else if (all.count != 0)
		print_table(&all);
	else
		say_hint("no kernel has been imported yet; see: immure kernel import");
	free(all.list);
	return fflush(stdout) == 0 ? 0 : EXIT_IMMURE;
}

static int rm_command(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return help_print("kernel");
	if (argc != 2)
		return usage("rm takes", argc < 2 ? "a name" : "one name at a time");
	return store_remove(argv[1]) == 0 ? 0 : EXIT_IMMURE;
}

int cmd_kernel(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {
		{ "import", import_command },
		{ "list", list_command },
		{ "rm", rm_command },
	};

	for (size_t i = 0; argc > 1 && i < array_len(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			optind = 0;
			opterr = 0;
			return commands[i].run(argc - 1, argv + 1);
		}
	}
	if (argc == 1 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help_print("kernel") + (argc == 1 ? EXIT_IMMURE : 0);
	return usage("there is no subcommand", argv[1]);
}

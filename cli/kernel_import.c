/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_import.c: makes a bootable pair of a kernel and immure-init.
 *
 * In order: find the kernel (unpacking a package first), take the vmlinux out of it, collect the
 * modules, write everything into a work directory, put that in place.  SIGINT, SIGTERM and SIGHUP
 * are noted and looked at between the steps, so that the work directory always goes. */
#include "cli/kernel_import.h"

#include "cli/kernel_initramfs.h"
#include "cli/kernel_modules.h"
#include "cli/kernel_source.h"
#include "cli/kernel_store.h"
#include "cli/kernel_vmlinux.h"
#include "cli/programs.h"
#include "cli/say.h"

#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { INIT_MAX = 16 << 20 };

/* ---- signals ---- */

static volatile sig_atomic_t caught;

static void on_signal(int signo)
{
	caught = signo;
}

static const int watched[] = { SIGINT, SIGTERM, SIGHUP };

static void watch_signals(struct sigaction *old)
{
	const struct sigaction sa = { .sa_handler = on_signal };

	caught = 0;
	for (size_t i = 0; i < array_len(watched); i++) {
		sigaction(watched[i], NULL, &old[i]);
		/* What nohup ignores stays ignored. */
		if (old[i].sa_handler != SIG_IGN)
			sigaction(watched[i], &sa, NULL);
	}
}

/* Back to what it was; a signal that came in between now takes effect. */
static void unwatch_signals(const struct sigaction *old)
{
	for (size_t i = 0; i < array_len(watched); i++)
		sigaction(watched[i], &old[i], NULL);
	if (caught != 0)
		raise(caught);
}

/* ---- immure-init ---- */

bool import_find_init(char *path, size_t path_size, char *stamp, size_t stamp_size)
{
	struct stat st;

	if (!program_find("immure-init", path, path_size) || stat(path, &st) != 0)
		return false;
	snprintf(stamp, stamp_size, "%lld bytes of %lld", (long long)st.st_size,
		 (long long)st.st_mtime);
	return true;
}

int import_init_archive(const char *path, struct blob *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct blob init = { 0 };
	int err = fd < 0 ? -errno : blob_read(fd, INIT_MAX, &init);

	if (fd >= 0)
		close(fd);
	if (err == 0)
		err = initramfs_init(out, &init);
	blob_free(&init);
	return err;
}

/* ---- steps ---- */

static void progress(const char *what, const char *of)
{
	if (say_to_terminal())
		say_hint("%s %s", what, of);
}

static bool interrupted(void)
{
	return caught != 0;
}

static int open_source(const struct import *what, struct store_work *w, struct kernel_source *s)
{
	if (what->path == NULL || !kernel_source_is_deb(what->path))
		return kernel_source_open(what->path, s);
	progress("unpacking", what->path);
	if (mkdir(w->unpacked, 0700) != 0) {
		say_error("%s: %s", w->unpacked, strerror(errno));
		return -1;
	}
	if (kernel_source_unpack(what->path, w->unpacked) != 0 || interrupted())
		return -1;
	return kernel_source_open(w->unpacked, s);
}

static int put_kernel(const struct store_work *w, const struct kernel_source *s, bool bzimage)
{
	struct blob elf = { 0 };
	enum unpack_err detail;
	enum vmlinux_err err;
	int rc;

	if (bzimage)
		return store_put(w, "vmlinux", s->image.data, s->image.len);
	progress("extracting vmlinux from", s->vmlinuz);
	err = vmlinux_extract(&s->image, &elf, &detail);
	if (err != VMLINUX_OK) {
		say_error("kernel %s: %s%s%s", s->vmlinuz, vmlinux_err_text(err),
			  detail != UNPACK_OK ? ": " : "",
			  detail != UNPACK_OK ? unpack_err_text(detail) : "");
		return -1;
	}
	rc = store_put(w, "vmlinux", elf.data, elf.len);
	blob_free(&elf);
	return rc;
}

static int put_initramfs(const struct store_work *w, const struct kernel_source *s, char *stamp)
{
	struct modules *m = calloc(1, sizeof(*m));
	struct blob archive = { 0 }, modules = { 0 };
	char init[PATH_MAX];
	int rc = -1, err;

	if (m == NULL || !import_find_init(init, sizeof(init), stamp, IMPORT_STAMP)) {
		say_error("immure-init is not beside immure, nor in ../lib/immure");
		say_hint("install all of immure's programs in one place");
		free(m);
		return -1;
	}
	if (s->modules[0] != '\0')
		progress("collecting modules from", s->modules);
	if (modules_collect(s->modules[0] != '\0' ? s->modules : NULL, m) == 0) {
		err = initramfs_modules(&modules, m);
		if (err == 0)
			err = import_init_archive(init, &archive);
		if (err == 0)
			err = blob_append(&archive, modules.data, modules.len);
		if (err != 0)
			say_error("initramfs: %s: %s", init, strerror(-err));
		else
			rc = store_put(w, "modules.cpio", modules.data, modules.len);
		if (rc == 0)
			rc = store_put(w, "initramfs", archive.data, archive.len);
	}
	blob_free(&archive);
	blob_free(&modules);
	modules_free(m);
	free(m);
	return rc;
}

static int put_meta(const struct store_work *w, const struct kernel_source *s, struct kernel *k,
		    const char *stamp)
{
	char *text;
	int rc;

	snprintf(k->version, sizeof(k->version), "%s", s->version);
	k->created = time(NULL);
	SHA256Data(s->image.data, s->image.len, k->sha256);
	text = store_meta_text(k, stamp);
	rc = text == NULL ? -1 : store_put(w, "meta.json", text, strlen(text));
	free(text);
	return rc;
}

static int set_name(const struct import *what, const struct kernel_source *s, struct kernel *k)
{
	const char *name = what->name != NULL ? what->name : s->version;

	if (!store_name_valid(name)) {
		say_error("\"%s\" cannot be the name of a kernel", name);
		say_hint("give one with --name: letters, digits and . _ + -, at most %d",
			 KERNEL_NAME - 1);
		return -1;
	}
	memcpy(k->name, name, strlen(name) + 1);
	return 0;
}

static int import_in(const struct import *what, struct store_work *w, struct kernel_source *s)
{
	struct kernel k = { .bzimage = what->bzimage };
	char stamp[IMPORT_STAMP];

	if (open_source(what, w, s) != 0 || interrupted() || set_name(what, s, &k) != 0)
		return -1;
	if (put_kernel(w, s, what->bzimage) != 0 || interrupted())
		return -1;
	if (put_initramfs(w, s, stamp) != 0 || interrupted())
		return -1;
	if (put_meta(w, s, &k, stamp) != 0 || store_commit(w, k.name) != 0)
		return -1;
	printf("%s\n", k.name);
	return fflush(stdout) == 0 ? 0 : -1;
}

int kernel_import(const struct import *what)
{
	struct sigaction old[array_len(watched)];
	struct kernel_source source = { 0 };
	struct store_work work;
	int rc;

	if (what->name != NULL && set_name(what, &source, &(struct kernel){ 0 }) != 0)
		return -1;
	watch_signals(old);
	rc = store_begin(&work);
	if (rc == 0)
		rc = import_in(what, &work, &source);
	kernel_source_free(&source);
	store_end(&work);
	unwatch_signals(old);
	return rc;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_modules.c: which modules a guest needs, and in which order.
 *
 * Dependencies are taken from the modules themselves ("depends=" in .modinfo, what depmod reads
 * for modules.dep too), because a package that was only unpacked has no modules.dep.  Names are
 * as in the kernel: file name without suffixes, '-' and '_' alike.
 *
 * The files are the user's and may be damaged: their contents are only searched, with every
 * offset compared with the size of the file first. */
#include "cli/kernel_modules.h"

#include "cli/say.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MODULE_MAX = 32 << 20,		/* bytes of a module file, unpacked */
	FILES_MAX = 20000,
	BUILTIN_MAX = 4 << 20,
};

/* What to load.  A guest cannot live without those that are needed; of the file systems it is
 * the root image that decides, and a network driver is for guests with an interface. */
static const struct {
	const char *name;
	bool needed;
} wanted[] = {
	{ "virtio_mmio", true },
	{ "virtio_blk", true },
	{ "vmw_vsock_virtio_transport", true },
	{ "overlay", true },
	{ "virtio_net", false },
	/* The checksum erofs and ext4 ask the crypto layer for by name, so that no dependency
	 * leads there (libcrc32c, until 6.13). */
	{ "crc32c_generic", false },
	{ "erofs", false },
	{ "squashfs", false },
	{ "ext4", false },
};

/* ---- names and where their files are ---- */

struct entry {
	char name[MODULE_NAME];
	char *path;
};

struct index {
	size_t count;
	struct entry *entry;
	char *builtin;			/* modules.builtin: a path a line; NULL: not there */
};

/* "virtio-blk.ko.xz" → "virtio_blk"; false when it is no module file. */
static bool module_name(const char *file, char *name)
{
	const char *dot = strstr(file, ".ko");
	size_t len = dot == NULL ? 0 : (size_t)(dot - file);

	if (len == 0 || len >= MODULE_NAME || (dot[3] != '\0' && dot[3] != '.'))
		return false;
	for (size_t i = 0; i < len; i++)
		name[i] = file[i] == '-' ? '_' : file[i];
	name[len] = '\0';
	return true;
}

static int index_add(struct index *x, const char *name, const char *path)
{
	struct entry *grown;

	if (x->count >= FILES_MAX)
		return -EFBIG;
	if (x->count % 256 == 0) {
		grown = reallocarray(x->entry, x->count + 256, sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		x->entry = grown;
	}
	snprintf(x->entry[x->count].name, MODULE_NAME, "%s", name);
	x->entry[x->count].path = strdup(path);
	if (x->entry[x->count].path == NULL)
		return -ENOMEM;
	x->count++;
	return 0;
}

static int index_files(struct index *x, const char *dir)
{
	char *const roots[] = { (char *)(uintptr_t)dir, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	char name[MODULE_NAME];
	int err = 0;
	FTSENT *e;

	if (fts == NULL)
		return -errno;
	while (err == 0 && (errno = 0, e = fts_read(fts)) != NULL) {
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR)
			err = -e->fts_errno;
		/* "build" and "source" lead out of the tree; they are links, not followed. */
		if ((e->fts_info == FTS_F || e->fts_info == FTS_NSOK) &&
		    module_name(e->fts_name, name))
			err = index_add(x, name, e->fts_path);
	}
	if (err == 0 && errno != 0)
		err = -errno;
	fts_close(fts);
	return err;
}

static int index_builtin(struct index *x, const char *dir)
{
	char path[PATH_MAX];
	struct blob text = { 0 };
	int fd, err;

	snprintf(path, sizeof(path), "%s/modules.builtin", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = blob_read(fd, BUILTIN_MAX, &text);
	close(fd);
	if (err == 0)
		err = blob_append(&text, "", 1);
	x->builtin = (char *)text.data;
	return err;
}

static const char *index_find(const struct index *x, const char *name)
{
	for (size_t i = 0; i < x->count; i++) {
		if (strcmp(x->entry[i].name, name) == 0)
			return x->entry[i].path;
	}
	return NULL;
}

static bool index_has_builtin(const struct index *x, const char *name)
{
	const char *line = x->builtin;
	char file[256], found[MODULE_NAME];

	while (line != NULL && *line != '\0') {
		const char *end = strchrnul(line, '\n');
		const char *base = memrchr(line, '/', (size_t)(end - line));

		base = base == NULL ? line : base + 1;
		snprintf(file, sizeof(file), "%.*s", (int)(end - base), base);
		if (module_name(file, found) && strcmp(found, name) == 0)
			return true;
		line = *end == '\0' ? end : end + 1;
	}
	return false;
}

static void index_free(struct index *x)
{
	for (size_t i = 0; i < x->count; i++)
		free(x->entry[i].path);
	free(x->entry);
	free(x->builtin);
}

/* ---- one module ---- */

static bool elf_section(const struct blob *elf, const Elf64_Ehdr *eh, unsigned int i,
			Elf64_Shdr *out)
{
	if (eh->e_shentsize != sizeof(*out) || i >= eh->e_shnum || eh->e_shoff > elf->len ||
	    !range_fits(eh->e_shoff + i * sizeof(*out), sizeof(*out), elf->len))
		return false;
	memcpy(out, elf->data + eh->e_shoff + i * sizeof(*out), sizeof(*out));
	return out->sh_type == SHT_NOBITS ||
	       range_fits(out->sh_offset, out->sh_size, elf->len);
}

static bool find_section(const struct blob *elf, const char *name, Elf64_Shdr *out)
{
	size_t len = strlen(name) + 1;
	Elf64_Shdr strings;
	Elf64_Ehdr eh;

	if (elf->len < sizeof(eh))
		return false;
	memcpy(&eh, elf->data, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    !elf_section(elf, &eh, eh.e_shstrndx, &strings) || strings.sh_type == SHT_NOBITS)
		return false;
	for (unsigned int i = 0; i < eh.e_shnum && elf_section(elf, &eh, i, out); i++) {
		if (out->sh_type != SHT_NOBITS && range_fits(out->sh_name, len, strings.sh_size) &&
		    memcmp(elf->data + strings.sh_offset + out->sh_name, name, len) == 0)
			return true;
	}
	return false;
}

bool modules_info(const struct blob *elf, const char *key, char *value, size_t size)
{
	size_t key_len = strlen(key), at = 0;
	const char *info;
	Elf64_Shdr sh;

	if (!find_section(elf, ".modinfo", &sh))
		return false;
	info = (const char *)elf->data + sh.sh_offset;
	while (at < sh.sh_size) {
		size_t len = strnlen(info + at, sh.sh_size - at);

		if (len > key_len && info[at + key_len] == '=' &&
		    memcmp(info + at, key, key_len) == 0) {
			size_t n = len - key_len - 1;

			if (n >= size)
				return false;
			memcpy(value, info + at + key_len + 1, n);
			value[n] = '\0';
			return true;
		}
		at += len + 1;
	}
	return false;
}

/* Reads the file at @path and unpacks it into @m, whose name is set. */
static int load_module(struct module *m, const char *path)
{
	struct blob packed = { 0 };
	enum unpack_err why;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : blob_read(fd, MODULE_MAX, &packed);
	if (fd >= 0)
		close(fd);
	if (err != 0) {
		say_error("module %s: %s: %s", m->name, path, strerror(-err));
		return -1;
	}
	why = unpack(packed.data, packed.len, MODULE_MAX, &m->file);
	blob_free(&packed);
	if (why != UNPACK_OK) {
		say_error("module %s: %s: %s", m->name, path, unpack_err_text(why));
		return -1;
	}
	if (!modules_info(&m->file, "depends", m->depends, sizeof(m->depends))) {
		say_error("module %s: %s: not a kernel module (no \"depends\" in .modinfo)", m->name,
			  path);
		return -1;
	}
	return 0;
}

/* ---- all of them ---- */

static bool listed(const struct modules *m, const char *name)
{
	for (unsigned int i = 0; i < m->count; i++) {
		if (strcmp(m->list[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Adds module @name.  Returns 0 also when it is already there or built in; 1: it does not
 * exist; -1 after a message. */
static int add(struct modules *m, const struct index *x, const char *name)
{
	const char *path = index_find(x, name);

	if (listed(m, name))
		return 0;
	if (path == NULL)
		return index_has_builtin(x, name) ? 0 : 1;
	if (m->count >= MODULES_MAX) {
		say_error("more than %d modules are needed: this is no kernel we know",
			  MODULES_MAX);
		return -1;
	}
	snprintf(m->list[m->count].name, MODULE_NAME, "%s", name);
	return load_module(&m->list[m->count++], path);
}

/* Calls add() for each name in the "depends" of module @i.  It may not exist as a file when the
 * dependency is built in; then the module does not name it. */
static int add_depends(struct modules *m, const struct index *x, unsigned int i)
{
	char names[sizeof(m->list[i].depends)], wanted_by[MODULE_NAME], name[MODULE_NAME];
	char *rest = names, *word;

	memcpy(names, m->list[i].depends, sizeof(names));
	memcpy(wanted_by, m->list[i].name, sizeof(wanted_by));
	while ((word = strsep(&rest, ",")) != NULL) {
		int rc;

		if (*word == '\0')
			continue;
		if (strlen(word) >= sizeof(name))
			rc = 1;
		else {
			for (size_t c = 0; c <= strlen(word); c++)
				name[c] = word[c] == '-' ? '_' : word[c];
			rc = add(m, x, name);
		}
		if (rc > 0)
			say_error("module %s needs %s, which is not there", wanted_by, word);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int add_wanted(struct modules *m, const struct index *x)
{
	for (size_t i = 0; i < array_len(wanted); i++) {
		int rc = add(m, x, wanted[i].name);

		if (rc < 0)
			return -1;
		/* Without the list of what is built in, absence says nothing. */
		if (rc > 0 && wanted[i].needed && x->builtin != NULL) {
			say_error("this kernel has no %s, neither as a module nor built in",
				  wanted[i].name);
			say_hint("take another one, for example Debian's linux-image-cloud-amd64");
			return -1;
		}
	}
	for (unsigned int i = 0; i < m->count; i++) {
		if (add_depends(m, x, i) != 0)
			return -1;
	}
	return 0;
}

/* Is every dependency of @mod among the first @done of the list? */
static bool satisfied(const struct modules *m, unsigned int done, const struct module *mod)
{
	char names[sizeof(mod->depends)];
	char *rest = names, *word;

	memcpy(names, mod->depends, sizeof(names));
	while ((word = strsep(&rest, ",")) != NULL) {
		bool before = false, exists = false;

		for (char *c = word; *c != '\0'; c++)
			*c = *c == '-' ? '_' : *c;
		for (unsigned int i = 0; i < m->count; i++) {
			bool same = strcmp(m->list[i].name, word) == 0;

			exists |= same;
			before |= same && i < done;
		}
		if (exists && !before)
			return false;
	}
	return true;
}

bool modules_sort(struct modules *m)
{
	for (unsigned int done = 0; done < m->count; done++) {
		unsigned int i = done;
		struct module next;

		while (i < m->count && !satisfied(m, done, &m->list[i]))
			i++;
		if (i == m->count)
			return false;
		next = m->list[i];
		memmove(&m->list[done + 1], &m->list[done], (i - done) * sizeof(next));
		m->list[done] = next;
	}
	return true;
}

int modules_collect(const char *dir, struct modules *out)
{
	struct index x = { 0 };
	int err;

	*out = (struct modules){ 0 };
	if (dir == NULL)
		return 0;
	err = index_files(&x, dir);
	if (err == 0)
		err = index_builtin(&x, dir);
	if (err != 0) {
		say_error("modules in %s: %s", dir, strerror(-err));
	} else {
		err = add_wanted(out, &x);
		if (err == 0 && !modules_sort(out)) {
			say_error("modules in %s depend on each other in a circle", dir);
			err = -1;
		}
	}
	index_free(&x);
	return err == 0 ? 0 : -1;
}

void modules_free(struct modules *m)
{
	for (unsigned int i = 0; i < m->count; i++)
		blob_free(&m->list[i].file);
	m->count = 0;
}

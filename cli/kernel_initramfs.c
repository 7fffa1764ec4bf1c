/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_initramfs.c: cpio "newc" (Documentation/driver-api/early-userspace/buffer-format.rst):
 * a header of 13 hexadecimal numbers, the name, the file, each padded to 4 bytes; the end is an
 * entry named TRAILER!!!.  Archives may follow one another, so the part that changes with
 * immure (/init) and the part that changes with the kernel (modules) are two. */
#include "cli/kernel_initramfs.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int pad4(struct blob *out)
{
	static const char zero[3] = "";

	return blob_append(out, zero, (4 - out->len % 4) % 4);
}

static int entry(struct blob *out, const char *name, unsigned int mode, const void *data,
		 size_t len)
{
	char header[111];
	size_t named = strlen(name) + 1;
	int rc;

	/* inode, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, name, check */
	snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 0u, mode, 0u, 0u, 1u, 0u, (unsigned int)len, 0u, 0u, 0u, 0u,
		 (unsigned int)named, 0u);
	rc = blob_append(out, header, 110);
	if (rc == 0)
		rc = blob_append(out, name, named);
	if (rc == 0)
		rc = pad4(out);
	if (rc == 0 && len > 0)
		rc = blob_append(out, data, len);
	return rc == 0 ? pad4(out) : rc;
}

static int trailer(struct blob *out)
{
	return entry(out, "TRAILER!!!", 0, NULL, 0);
}

int initramfs_init(struct blob *out, const struct blob *init)
{
	int rc = entry(out, "init", S_IFREG | 0755, init->data, init->len);

	return rc == 0 ? trailer(out) : rc;
}

int initramfs_modules(struct blob *out, const struct modules *m)
{
	struct blob order = { NULL, 0 };
	char name[sizeof("modules/000-.ko\n") + MODULE_NAME];
	int rc = entry(out, "modules", S_IFDIR | 0755, NULL, 0);

	for (unsigned int i = 0; i < m->count && rc == 0; i++) {
		snprintf(name, sizeof(name), "modules/%03u-%s.ko", i, m->list[i].name);
		rc = entry(out, name, S_IFREG | 0644, m->list[i].file.data,
			   m->list[i].file.len);
		if (rc == 0)
			rc = blob_append(&order, name + strlen("modules/"),
					 strlen(name) - strlen("modules/"));
		if (rc == 0)
			rc = blob_append(&order, "\n", 1);
	}
	if (rc == 0)
		rc = entry(out, "modules/order", S_IFREG | 0644, order.data, order.len);
	blob_free(&order);
	return rc == 0 ? trailer(out) : rc;
}

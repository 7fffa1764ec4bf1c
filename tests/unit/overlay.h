/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h: a disk over a base, both in memory, for the overlay tests.
 *
 * The calls that change the overlay's file go through a host that counts, fails on order, and
 * remembers them. */
#ifndef IMMURE_TESTS_UNIT_OVERLAY_H
#define IMMURE_TESTS_UNIT_OVERLAY_H

#include "core/log.c"
#include "core/overlay.c"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum host_call { HOST_WRITE, HOST_SYNC, HOST_PUNCH };

/* One change of the file. */
struct host_event {
	enum host_call call;
	uint64_t at, len;
	uint8_t *data;		/* HOST_WRITE */
};

enum { HOST_EVENTS = 4096 };

static struct {
	int fail_after;		/* the change after so many fails with error; -1: none */
	int error;
	bool no_punch;
	enum { HOST_BLIND, HOST_COLD, HOST_WARM } cache;	/* what RWF_NOWAIT finds */
	int begun;		/* reads to come that it was told of */
	bool remembers;
	int reads, calls[3];
	struct host_event event[HOST_EVENTS];
	size_t nevents;
} host;

static bool host_fails(void)
{
	errno = host.error;
	return host.fail_after >= 0 && host.fail_after-- == 0;
}

static void remember(enum host_call call, uint64_t at, uint64_t len, const struct iovec *iov, int n)
{
	struct host_event *e = &host.event[host.nevents];
	size_t done = 0;

	host.calls[call]++;
	if (!host.remembers)
		return;
	cr_assert_lt(host.nevents, (size_t)HOST_EVENTS);
	host.nevents++;
	*e = (struct host_event){ call, at, len, call == HOST_WRITE ? malloc(len) : NULL };
	for (int i = 0; i < n; i++) {
		memcpy(e->data + done, iov[i].iov_base, iov[i].iov_len);
		done += iov[i].iov_len;
	}
}

static inline void host_forget(void)
{
	for (size_t i = 0; i < host.nevents; i++)
		free(host.event[i].data);
	host = (typeof(host)){ .fail_after = -1 };
}

static ssize_t host_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	if ((flags & RWF_NOWAIT) != 0 && host.cache != HOST_WARM) {
		errno = host.cache == HOST_COLD ? EAGAIN : EOPNOTSUPP;
		return -1;
	}
	host.reads++;
	return preadv2(fd, iov, n, at, flags & ~RWF_NOWAIT);
}

static int host_fadvise(int fd, off_t at, off_t len, int advice)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert(advice == POSIX_FADV_WILLNEED && at + len <= st.st_size);
	host.begun++;
	return 0;
}

static ssize_t host_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	uint64_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	cr_assert_eq(flags, 0, "an overlay is flushed, not written through");
	if (host_fails())
		return -1;
	remember(HOST_WRITE, (uint64_t)at, len, iov, n);
	return pwritev2(fd, iov, n, at, flags);
}

static int host_fdatasync(int fd)
{
	(void)fd;
	if (host_fails())
		return -1;
	remember(HOST_SYNC, 0, 0, NULL, 0);
	return 0;
}

static int host_fallocate(int fd, int mode, off_t at, off_t len)
{
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) || host.no_punch) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (host_fails())
		return -1;
	remember(HOST_PUNCH, (uint64_t)at, (uint64_t)len, NULL, 0);
	return fallocate(fd, mode, at, len);
}

#define preadv2 host_preadv2
#define pwritev2 host_pwritev2
#define fdatasync host_fdatasync
#define fallocate host_fallocate
#define posix_fadvise host_fadvise
#include "devices/blk/disk.c"
#undef preadv2
#undef pwritev2
#undef fdatasync
#undef fallocate
#undef posix_fadvise
#include "devices/blk/overlay.c"

static struct disk disk;		/* what a guest sees */
static struct overlay over;
static int base_fd = -1, store_fd = -1;
static const struct vm_blocks blocks = { 512, 512, 0, 0 };

/* How an overlay is opened, besides its files. */
struct how {
	bool memory;
	bool keep;		/* discard=off */
	uint64_t limit;
	uint64_t base_size;	/* as told; 0: what it has */
};

/* A base of @size bytes, the same in all descriptors; byte i of sector s is its own. */
static inline void make_base(uint64_t size, bool filled)
{
	static uint8_t sector[SECTOR];
	int fd = memfd_create("base", MFD_CLOEXEC);
	char path[32];

	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	for (uint64_t s = 0; filled && s < size / SECTOR; s++) {
		const uint64_t id = 1000000 + s;

		for (size_t i = 0; i < SECTOR; i += sizeof(id))
			memcpy(sector + i, &id, sizeof(id));
		cr_assert_eq(pwrite(fd, sector, SECTOR, (off_t)(s * SECTOR)), SECTOR);
	}
	close(base_fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	base_fd = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	cr_assert_geq(base_fd, 0);
}

static inline uint64_t base_bytes(void)
{
	return (uint64_t)lseek(base_fd, 0, SEEK_END);
}

/* The file that the jailer makes for it. */
static inline void make_store(void)
{
	struct overlay_layout l;
	struct overlay_header h;

	cr_assert(overlay_layout(&l, base_bytes()));
	overlay_header(&h, &l);
	close(store_fd);
	store_fd = memfd_create("overlay", MFD_CLOEXEC);
	cr_assert_eq(pwrite(store_fd, &h, sizeof(h), 0), (ssize_t)sizeof(h));
	cr_assert_eq(ftruncate(store_fd, (off_t)l.size), 0);
}

/* Opens the store over the base as the device does.  What overlay_load() says. */
static inline bool open_disk(const struct how *how)
{
	const struct overlay_terms t = {
		.base = base_fd, .limit = how->limit, .kept = !how->memory,
		.base_size = how->base_size != 0 ? how->base_size : base_bytes(),
	};

	if (over.map != NULL)
		munmap(over.map, over.layout.map_len);
	cr_assert_eq(disk_open(&disk, store_fd, how->keep ? 0 : DISK_DISCARD, &blocks), 0);
	cr_assert_eq(overlay_open(&over, &disk, &t), 0);
	return overlay_load(&over);
}

/* A new one over a new base of @size bytes. */
static inline void fresh_disk(uint64_t size, const struct how *how)
{
	host_forget();
	make_base(size, true);
	make_store();
	cr_assert(open_disk(how));
}

/* Transfers @len bytes in up to @pieces spans. */
static inline bool move_bytes(bool write, uint64_t at, uint8_t *p, uint32_t len, unsigned pieces)
{
	struct iovec iov[16];
	uint32_t left = len;
	int n = 0;

	for (; n + 1 < (int)pieces && left > 1; n++) {
		iov[n] = (struct iovec){ p + (len - left), 1 + (unsigned)rand() % left };
		left -= (uint32_t)iov[n].iov_len;
	}
	iov[n++] = (struct iovec){ p + (len - left), left };
	if (write)
		return disk_write(&disk, at, iov, n, len, false);
	return disk_read(&disk, at, iov, n, len) == len;
}

/* Storage that the file takes, in whole clusters of data. */
static inline uint64_t stored_clusters(void)
{
	static uint8_t buf[OVERLAY_CLUSTER];
	static const uint8_t none[OVERLAY_CLUSTER];
	uint64_t n = 0;

	for (uint64_t c = 0; c < over.layout.clusters; c++) {
		cr_assert_eq(pread(store_fd, buf, sizeof(buf), (off_t)(over.layout.data +
			     c * OVERLAY_CLUSTER)), (ssize_t)sizeof(buf));
		n += memcmp(buf, none, sizeof(buf)) != 0;
	}
	return n;
}

#endif

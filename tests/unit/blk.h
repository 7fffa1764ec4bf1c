/* SPDX-License-Identifier: Apache-2.0 */
/* blk.h: a disk in memory, a device on it and a driver that talks to it, for the blk tests.
 *
 * The host's three calls go through fakes that count, cut transfers short and fail on order; transfers may come
 * from several threads. */
#ifndef IMMURE_TESTS_UNIT_BLK_H
#define IMMURE_TESTS_UNIT_BLK_H

#include "core/bucket.c"
#include "core/clock.h"
#include "core/guestmem.c"
#include "core/limits.c"
#include "core/log.c"
#include "core/overlay.c"
#include "core/virtqueue.c"

#include "core/seal.h"
#include "tests/unit/driver.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/uio.h>

static struct {
	size_t most;		/* bytes a transfer may move; 0: all */
	int interrupts;		/* so many calls fail with EINTR first */
	int fail_after;		/* the call after so many fails with error; -1: none */
	int error;
	size_t align;		/* of what a transfer takes; 0: anything */
	int reads, writes, syncs;
	int durable;		/* of the writes: with RWF_DSYNC */
	int punched, zeroed;	/* calls of fallocate */
	enum { HOST_BLIND, HOST_COLD, HOST_WARM } cache;	/* what RWF_NOWAIT finds */
	int asked, begun;	/* with it in vain, and told of reads to come */
	off_t begin_at[VQ_SIZE_MAX];
	bool no_punch, zero_range;	/* what it can; as a file in tmpfs: not zero_range */
	off_t bad_at;		/* transfers at this byte fail with error, so many times */
	int bad;
	int party, present;	/* a transfer waits until so many are under way; those that are */
	bool unsealable;
	int sealed;		/* threads */
} host;

static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t host_met = PTHREAD_COND_INITIALIZER;

static bool host_fails(void)
{
	if (host.interrupts > 0) {
		host.interrupts--;
		errno = EINTR;
		return true;
	}
	errno = host.error;
	return host.fail_after >= 0 && host.fail_after-- == 0;
}

/* As the kernel does with O_DIRECT. */
static bool host_refuses(const struct iovec *iov, int n, off_t at)
{
	uintptr_t bits = (uintptr_t)at;

	for (int i = 0; i < n; i++)
		bits |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	errno = EINVAL;
	return host.align != 0 && (bits & (host.align - 1)) != 0;
}

/* The first @host.most bytes of @iov, in @cut. */
static int host_cut(const struct iovec *iov, int n, struct iovec *cut)
{
	size_t left = host.most;
	int used = 0;

	for (; used < n && (host.most == 0 || left > 0); used++) {
		cut[used] = iov[used];
		if (host.most != 0 && cut[used].iov_len > left)
			cut[used].iov_len = left;
		left -= cut[used].iov_len;
	}
	return used;
}

/* With host_lock: does transfer @at fail? */
static bool host_transfer_fails(const struct iovec *iov, int n, off_t at)
{
	struct timespec end;

	host.present++;
	pthread_cond_broadcast(&host_met);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	while (host.present < host.party)
		cr_assert_eq(pthread_cond_timedwait(&host_met, &host_lock, &end), 0, "only %d came",
			     host.present);
	if (host_refuses(iov, n, at))
		return true;
	if (host.bad > 0 && at == host.bad_at) {
		host.bad--;
		errno = host.error;
		return true;
	}
	return host_fails();
}

static int host_seal(const struct seal_filter *f)
{
	(void)f;
	pthread_mutex_lock(&host_lock);
	host.sealed++;
	pthread_mutex_unlock(&host_lock);
	return host.unsealable && host.sealed == 3 ? -EACCES : 0;
}

static ssize_t host_preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	struct iovec cut[VQ_SPANS_MAX];
	bool fails;

	if ((flags & RWF_NOWAIT) != 0 && host.cache != HOST_WARM) {
		host.asked++;
		errno = host.cache == HOST_COLD ? EAGAIN : EOPNOTSUPP;
		return -1;
	}
	flags &= ~RWF_NOWAIT;
	pthread_mutex_lock(&host_lock);
	host.reads++;
	fails = host_transfer_fails(iov, n, at);
	pthread_mutex_unlock(&host_lock);
	return fails ? -1 : preadv2(fd, cut, host_cut(iov, n, cut), at, flags);
}

static ssize_t host_pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	struct iovec cut[VQ_SPANS_MAX];
	bool fails;

	pthread_mutex_lock(&host_lock);
	host.writes++;
	host.durable += (flags & RWF_DSYNC) != 0;
	fails = host_transfer_fails(iov, n, at);
	pthread_mutex_unlock(&host_lock);
	return fails ? -1 : pwritev2(fd, cut, host_cut(iov, n, cut), at, flags);
}

static int host_fdatasync(int fd)
{
	host.syncs++;
	return host_fails() ? -1 : fdatasync(fd);
}

static int host_fadvise(int fd, off_t at, off_t len, int advice)
{
	cr_assert_eq(advice, POSIX_FADV_WILLNEED);
	cr_assert_lt(host.begun, VQ_SIZE_MAX);
	host.begin_at[host.begun++] = at;
	return posix_fadvise(fd, at, len, advice);
}

static int host_fallocate(int fd, int mode, off_t at, off_t len)
{
	static const uint8_t zeroes[1 << 20];
	bool punch = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);

	cr_assert(punch || mode == FALLOC_FL_ZERO_RANGE);
	host.punched += punch;
	host.zeroed += !punch;
	if (host_fails())
		return -1;
	errno = EOPNOTSUPP;
	if (punch)
		return host.no_punch ? -1 : fallocate(fd, mode, at, len);
	return host.zero_range && pwrite(fd, zeroes, (size_t)len, at) == len ? 0 : -1;
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
#define seal host_seal
#include "devices/blk/pool.c"
#undef seal
#include "devices/blk/request.c"
#include "devices/blk/blk.c"

static uint64_t clock_now;	/* ns; time passes when a test says so */

static uint64_t test_clock(void)
{
	return clock_now;
}

#define clock_ns test_clock
#include "devices/blk/meter.c"
#undef clock_ns

enum { SECTORS = 4096, QUEUE = 0x10000, TABLE = 0x20000, HEADER = 0x30000, STATUS = 0x31000,
       DATA = 0x100000 };
enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2, UNTOUCHED = 0xee };

static struct ram ram;
static struct driver drv;
static struct blk dev;
static int image;
static uint32_t used_len;
static struct stats_page counted;
static struct pages pages = { .stats = &counted };
static struct vm_device configured;	/* its rate limit */
static struct vm_blocks blocks = { 512, 512, 0, 0 };
static uint32_t disk_queues = 1;
static unsigned int disk_may;	/* of a writable disk: enum disk_flags */

static const uint64_t usual = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC |
			      VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE;

static inline bool start(uint64_t features)
{
	struct link_activate a = { .features = features };
	uint32_t reason;

	driver_init(&drv, &ram, QUEUE, 256, features);
	a.queue[0] = (struct link_queue){ drv.desc, drv.avail, drv.used, drv.size, 1, 0 };
	return blk_activate(&dev, &a, &reason);
}

/* A disk of SECTORS sectors, byte i of sector s is (s + i) & 0xff, and a driver that accepted
 * @features. */
static inline void disk_of(bool readonly, uint64_t features)
{
	static uint8_t bytes[SECTORS * SECTOR];
	char path[32];
	struct disk d;

	host = (typeof(host)){ .fail_after = -1, .no_punch = host.no_punch };
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i / SECTOR + i % SECTOR);
	image = memfd_create("image", MFD_CLOEXEC);
	cr_assert_eq(write(image, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
	if (readonly) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
		image = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (ram.mem.nregions == 0)
		ram_init(&ram, 64 << 20);
	cr_assert_eq(disk_open(&d, image, readonly ? DISK_READONLY : disk_may, &blocks), 0);
	blk_init(&dev, &ram.mem, &d, disk_queues, "serial-of-20-bytes..");
	meter_init(&dev.meter, &pages, &configured);
	cr_assert(start(features));
}

/* Puts the header of a request at HEADER and marks the status byte. */
static inline void header(uint32_t type, uint64_t sector)
{
	const struct blk_header h = { to_le32(type), to_le32(0), to_le64(sector) };

	memcpy(ram_at(&ram, HEADER), &h, sizeof(h));
	memset(ram_at(&ram, STATUS), UNTOUCHED, 1);
}

/* Serves what is available until the device would sleep. */
static inline enum blk_stop serve(void)
{
	enum blk_stop stop;
	uint32_t reason;
	bool interrupt;

	do
		stop = blk_serve(&dev, &interrupt, &reason);
	while (stop == BLK_MORE);
	return stop;
}

/* Offers @n buffers as one request, has it served, and returns the byte at STATUS. */
static inline int ask(const struct buf *b, uint16_t n)
{
	uint16_t head = driver_add(&drv, b, n), got;

	cr_assert_eq(serve(), BLK_IDLE);
	cr_assert(driver_used(&drv, &got, &used_len));
	cr_assert_eq(got, head);
	return *(uint8_t *)ram_at(&ram, STATUS);
}

/* One request of the usual shape: header, @len bytes at DATA, status. */
static inline int request_of(uint32_t type, uint64_t sector, uint32_t len)
{
	const struct buf b[] = { { HEADER, 16, false }, { DATA, len, type == IN || type == GET_ID },
				 { STATUS, 1, true } };
	const struct buf none[] = { b[0], b[2] };

	header(type, sector);
	return len == 0 ? ask(none, 2) : ask(b, 3);
}

#endif

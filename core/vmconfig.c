/* SPDX-License-Identifier: Apache-2.0 */
/* vmconfig.c: reads and checks what the jailer says about the VM.
 *
 * The writer is trusted and the memfd sealed; the checks are there so that a mistake in the
 * jailer ends with a message at start and not with a strange machine later. */
#include "core/vmconfig.h"
#include "core/guestmem.h"
#include "core/overlay.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SERIAL_BYTES = 20,	/* virtio 1.3 §5.2.6: the rest of serial[] is NUL */
	MTU_MIN = 68,		/* virtio 1.3 §5.1.4.1 */
};

/* Of a disk alone: serial, blocks, base_size, overlay_limit, grow; of an interface: mac, mtu. */
enum {
	BLK_BYTES = offsetof(struct vm_device, limit) - offsetof(struct vm_device, serial),
	NET_BYTES = offsetof(struct vm_device, serial) - offsetof(struct vm_device, mac),
};

__attribute__((noinline)) static bool all_zero(const void *p, size_t len)
{
	const unsigned char *b = p;
	unsigned char any = 0;

	for (size_t i = 0; i < len; i++)
		any |= b[i];
	return any == 0;
}

static bool blk_flags_valid(uint32_t flags)
{
	return (flags & ~(uint32_t)(VM_BLK_READONLY | VM_BLK_DISCARD | VM_BLK_KEPT)) == 0 &&
	       ((flags & VM_BLK_READONLY) == 0 || flags == VM_BLK_READONLY);
}

static bool overlay_valid(const struct vm_device *d)
{
	if (d->base_size == 0)
		return (d->flags & VM_BLK_KEPT) == 0 && d->overlay_limit == 0;
	return (d->flags & VM_BLK_READONLY) == 0 && d->grow == 0 && d->base_size % VM_BLOCK_MIN == 0 &&
	       d->base_size <= OVERLAY_BASE_MAX &&
	       (d->overlay_limit == 0 || d->overlay_limit >= OVERLAY_CLUSTER);
}

static bool block_size_valid(uint32_t n, uint32_t min, uint32_t max)
{
	return n >= min && n <= max && is_power_of_2(n);
}

static bool blocks_valid(const struct vm_blocks *b)
{
	return block_size_valid(b->logical, VM_BLOCK_MIN, VM_BLOCK_MAX) &&
	       block_size_valid(b->physical, b->logical, VM_BLOCK_PHYSICAL_MAX) &&
	       b->offset < b->physical && b->offset % b->logical == 0 &&
	       b->optimal % b->physical == 0;
}

static bool blk_valid(const struct vm_device *d)
{
	return d->nqueues >= 1 && d->nqueues <= PLAN_BLK_QUEUES && blk_flags_valid(d->flags) &&
	       blocks_valid(&d->blocks) && d->grow <= OVERLAY_BASE_MAX && overlay_valid(d) &&
	       all_zero(&d->limit[1], sizeof(d->limit[1])) &&
	       all_zero(d->serial + SERIAL_BYTES, sizeof(d->serial) - SERIAL_BYTES);
}

static bool net_flags_valid(uint32_t flags)
{
	return flags == 0 || flags == VM_NET_OFFLOADS || flags == (VM_NET_OFFLOADS | VM_NET_USO) ||
	       flags == VM_NET_USER || flags == (VM_NET_USER | VM_NET_WALL);
}

static bool net_valid(const struct vm_device *d)
{
	const uint32_t pairs = d->nqueues / 2;

	return pairs >= 1 && pairs <= PLAN_NET_PAIRS &&
	       d->nqueues == 2 * pairs + (pairs > 1 ? 1 : 0) && net_flags_valid(d->flags) &&
	       (pairs == 1 || (d->flags & VM_NET_USER) == 0) && (d->mac[0] & 1) == 0 &&
	       !all_zero(d->mac, sizeof(d->mac)) && d->mtu >= MTU_MIN;
}

static bool vsock_valid(const struct vm_device *d)
{
	return d->nqueues == 3 && d->flags == 0 && d->connections <= PLAN_VSOCK_CONNS &&
	       d->connections != 0 && d->guest_cid >= 3 && d->guest_cid < UINT32_MAX;
}

/* Zero in all that only other kinds have. */
static bool is_of_its_kind(const struct vm_device *d)
{
	const unsigned char *bytes = (const unsigned char *)d;
	const unsigned char *net = bytes + offsetof(struct vm_device, mac);

	return (d->kind == VM_DEVICE_VSOCK || (d->connections | d->guest_cid) == 0) &&
	       (d->kind == VM_DEVICE_NET || all_zero(net, NET_BYTES)) &&
	       (d->kind == VM_DEVICE_BLK || all_zero(net + NET_BYTES, BLK_BYTES));
}

static bool device_valid(const struct vm_device *d)
{
	if (!is_of_its_kind(d) ||
	    !limit_values_ok(&d->limit[0]) || !limit_values_ok(&d->limit[1]))
		return false;
	switch ((enum vm_device_kind)d->kind) {
	case VM_DEVICE_BLK: return blk_valid(d);
	case VM_DEVICE_NET: return net_valid(d);
	case VM_DEVICE_VSOCK: return vsock_valid(d);
	case VM_DEVICE_NONE: return false;
	}
	return false;
}

static bool devices_valid(const struct vm_config *c)
{
	if (c->ndevices > PLAN_DEVICES)
		return false;
	for (uint32_t i = 0; i < c->ndevices; i++)
		if (!device_valid(&c->device[i]))
			return false;
	return all_zero(&c->device[c->ndevices],
			(PLAN_DEVICES - c->ndevices) * sizeof(c->device[0]));
}

bool vmconfig_valid(const struct vm_config *c)
{
	if (c->magic != VMCONFIG_MAGIC || c->zero != 0)
		return false;
	if ((c->flags & ~(uint32_t)(VM_CONSOLE | VM_CMDLINE_DEVICES | VM_PAGES)) != 0)
		return false;
	if (c->ram < GUESTMEM_MIN || c->ram > GUESTMEM_MAX || c->ram % GUESTMEM_PAGE != 0)
		return false;
	if (c->vcpus < 1 || c->vcpus > PLAN_VCPUS || c->entry > VM_ENTRY_FLAT)
		return false;
	if (c->kernel_size == 0 || c->kernel_size > INT64_MAX || c->initrd_size > INT64_MAX)
		return false;
	return devices_valid(c) && memchr(c->cmdline, 0, sizeof(c->cmdline)) != NULL;
}

static int read_exactly(int fd, void *dst, size_t len)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size != (off_t)len)
		return -EINVAL;
	n = pread(fd, dst, len, 0);	/* the file position is shared with other processes */
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EINVAL;
}

int vmconfig_read(struct vm_config *c)
{
	int rc = read_exactly(FD_CONFIG, c, sizeof(*c));

	close(FD_CONFIG);
	if (rc == 0 && !vmconfig_valid(c))
		rc = -EINVAL;
	return rc;
}

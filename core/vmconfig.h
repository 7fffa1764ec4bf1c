/* SPDX-License-Identifier: Apache-2.0 */
/* vmconfig.h: what the jailer tells the programs it starts.
 *
 * One fixed struct in a sealed memfd (FD_CONFIG), the same for every process of a VM; a device
 * process is told by argv[1] (a decimal number) which entry of device[] it is.  It comes from
 * the jailer, which is trusted, but every reader checks it all the same. */
#ifndef IMMURE_CORE_VMCONFIG_H
#define IMMURE_CORE_VMCONFIG_H

#include "core/base.h"
#include "core/fdplan.h"
#include "core/limits.h"
#include "policy/bpf/wall.h"

enum {
	VMCONFIG_MAGIC = 0x496d6d31,	/* "Imm1" */
	VMCONFIG_CMDLINE = 2048,	/* kernel command line, with its NUL */
};

enum vm_device_kind { VM_DEVICE_NONE, VM_DEVICE_BLK, VM_DEVICE_NET, VM_DEVICE_VSOCK };

enum vm_device_flags {
	VM_BLK_READONLY = 1u << 0,
	VM_BLK_DISCARD = 1u << 1,	/* the guest may give storage back; not with READONLY */
	VM_BLK_KEPT = 1u << 2,		/* its overlay is a file that outlives the VM */
	VM_NET_OFFLOADS = 1u << 16,	/* the taps take and give open checksums and TCP segments */
	VM_NET_USO = 1u << 17,		/* and UDP segments */
	VM_NET_USER = 1u << 18,		/* no tap but the socket of passt; neither of the above */
	VM_NET_WALL = 1u << 19,		/* of these: frames from the guest are judged by user_wall */
};

enum {
	VM_BLOCK_MIN = 512,
	VM_BLOCK_MAX = 4096,		/* beyond a page many a guest refuses the disk */
	VM_BLOCK_PHYSICAL_MAX = 65536,
};

/* The blocks of a disk, in bytes.  Requests name sectors of 512 bytes, whatever these are. */
struct vm_blocks {
	uint32_t logical;	/* what a guest is to write at least: a power of two, see above */
	uint32_t physical;	/* what the host writes at least: a power of two, logical or more */
	uint32_t offset;	/* of the disk in its first physical block, in whole logical ones */
	uint32_t optimal;	/* the best request, in whole physical blocks; 0: not known */
};

struct vm_device {
	uint32_t kind;		/* enum vm_device_kind */
	uint32_t flags;		/* enum vm_device_flags */
	uint32_t nqueues;	/* kick descriptors it has: blk 1 to 4, net 2 or 2 * pairs + 1, vsock 3 */
	uint32_t connections;	/* vsock: how many at a time, 1..PLAN_VSOCK_CONNS */
	uint64_t guest_cid;	/* vsock: 3..2^32-2 */
	uint8_t mac[6];		/* net: the guest's address */
	uint16_t mtu;		/* net: 68..65535 */
	char serial[24];	/* blk: what GET_ID returns, NUL padded (virtio 1.3 §5.2.6: 20 bytes) */
	struct vm_blocks blocks;	/* blk */
	uint64_t base_size;	/* blk: bytes of BLK_BASE, whole sectors; 0: no overlay */
	uint64_t overlay_limit;	/* bytes that the overlay may keep; 0: as many as the disk has */
	uint64_t grow;		/* blk: bytes that the image may come to; 0: it is fixed */
	struct limit_values limit[LIMITS_DIRECTIONS];	/* at the start; blk: the first */
};

enum vm_boot_entry { VM_ENTRY_AUTO, VM_ENTRY_PVH, VM_ENTRY_LINUX64, VM_ENTRY_FLAT };

enum vm_flags {
	VM_CONSOLE = 1u << 0,		/* 16550 at 0x3f8, transmit only, to VMM_CONSOLE */
	VM_CMDLINE_DEVICES = 1u << 1,	/* devices on the command line instead of in ACPI */
	VM_PAGES = 1u << 2,		/* FD_PAGES is there: core/pages.h */
};

struct vm_config {
	uint32_t magic;
	uint32_t flags;		/* enum vm_flags */
	uint64_t ram;		/* bytes, page aligned, GUESTMEM_MIN..GUESTMEM_MAX */
	uint32_t vcpus;		/* 1..PLAN_VCPUS */
	uint32_t ndevices;	/* 0..PLAN_DEVICES; device i is entry i of device[], at MMIO slot i */
	uint32_t entry;		/* enum vm_boot_entry; FLAT: raw code at 1 MiB, tests and bench */
	uint32_t zero;
	uint64_t kernel_size;	/* bytes of the file at VMM_KERNEL */
	uint64_t initrd_size;	/* bytes of the file at VMM_INITRD; 0: none, descriptor absent */
	uint8_t rng_seed[32];	/* handed to the guest: SETUP_RNG_SEED */
	uint8_t vmgenid[16];
	struct vm_device device[PLAN_DEVICES];
	struct wall_config user_wall;	/* of the one interface with VM_NET_WALL, which looks at it */
	char cmdline[VMCONFIG_CMDLINE];
	uint8_t padding[4];
};

_Static_assert(sizeof(struct vm_device) == 192, "shared layout");
_Static_assert(sizeof(struct vm_config) == 2048 + 8 * 192 + 2612 + 4 + 96, "shared layout");

/* Reads the struct from FD_CONFIG, checks every field (vmconfig_valid) and closes it.  Returns
 * 0 or -errno (-EINVAL: not a valid configuration). */
must_check int vmconfig_read(struct vm_config *c);

/* Every field in range, every string terminated, every reserved field zero. */
must_check bool vmconfig_valid(const struct vm_config *c);

#endif

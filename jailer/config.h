/* SPDX-License-Identifier: Apache-2.0 */
/* config.h: the description of one VM, as the caller wrote it.
 *
 * JSON, one object.  Unknown keys, duplicate keys, wrong types and values out of range are
 * refused with a message that names the key; what is not given has the default below.
 *
 *   name      "vm"          [a-zA-Z0-9][a-zA-Z0-9._-]{0,63}; required
 *   kernel    "/path"       required
 *   initrd    "/path"
 *   cmdline   "..."         printable ASCII, at most 2047 bytes
 *   entry     "auto" | "pvh" | "linux64" | "flat"
 *   memory    bytes         multiple of 4096, 16 MiB..1 TiB; default 256 MiB
 *   vcpus     1..32         default 1
 *   console   bool          debug console, to descriptor 5 of the jailer
 *   cmdline_devices bool    announce devices on the command line instead of in ACPI
 *   timeout_ms 0..          0: none
 *   disks     [{ path, readonly (default true), serial (<= 20 printable),
 *             overlay bool (default false; true, with readonly false: the image is only read and
 *             what is written kept in overlay_path "/path", made when it is not there, or without
 *             one in memory; at most overlay_limit bytes of it, default 256 MiB in memory, in a
 *             file as many as the disk has),
 *             discard (default true: what the guest discards, the image gives back),
 *             block_size 512, 1024, 2048 or 4096 that the guest sees (default: a block device's
 *             own, which it cannot be below; of a file 512; the image is of whole ones),
 *             direct (default false: by way of the host's page cache; true: past it, in blocks
 *             of the size above or what the file system asks for, which then is the least),
 *             queues 1..4 (default 1),
 *             grow: bytes that the image may come to while the VM runs (default: it is fixed),
 *             rate_limiter }], in slot order
 *   net       [{ tap name or user { address "10.0.2.15/24" the guest's, gateway "10.0.2.2", dns: the
 *             address at which it finds this host's resolver (default: none) },
 *             mac "52:54:00:12:34:56" (default: from the VM's name),
 *             mtu 68..65535 (default: the tap's; user: 68..32000, default 1500), queues 1..4 (default 1,
 *             user: 1), offload bool (default true; user: false), tx_rate_limiter, rx_rate_limiter,
 *             wall "auto" | "on" | "off", addresses ["10.9.0.2/24", ...] the guest's (default: not
 *             known, any will do), allow ["10.0.0.0/8:443", ...] (default: everything; see
 *             wall_text.h), frame_rate a second from the guest }], behind the disks
 *   vsock     { cid 3..2^32-2, path, connections 1..2048 at a time (default 2048),
 *             tx_rate_limiter, rx_rate_limiter }
 *   *rate_limiter  { bandwidth, ops }, each { size, one_time_burst (default 0), refill_time }:
 *             tokens (bytes, operations) and milliseconds, as in Firecracker; a size or time of 0
 *             is no limit.  tx: from the guest
 *   run_dir   "/path"       removed at the end; vsock.path lies directly in it
 *   limits    { memory_overhead bytes, cpu_percent, pids, io_bytes_per_sec }; 0: see plan.h
 *   uid_base  first of the user ids that root mode uses; default 2000000000
 *   id        this VM uses uid_base + id * 16 + 0..15; default 0
 *   cgroup    "auto" | "off"
 *   speculation "host" | "restrict"  restrict: no process of the VM may speculate past stores or
 *             on indirect branches others trained, for good; costs speed; default "host"
 *   core_scheduling bool    no other program runs on the sibling hyperthread of a CPU that runs
 *             this VM; default false
 * What the last two ask for is refused where the kernel cannot do it, unless the processor has
 * nothing to restrict. */
#ifndef IMMURE_JAILER_CONFIG_H
#define IMMURE_JAILER_CONFIG_H

#include "core/base.h"
#include "core/vmconfig.h"
#include "jailer/failure.h"
#include "jailer/mac.h"
#include "policy/bpf/wall.h"

#define CONFIG_OVERLAY_MEMORY (256ull << 20)	/* of an overlay in memory, if nothing is said */

enum {
	CONFIG_BYTES_MAX = 64 * 1024,	/* of JSON */
	CONFIG_UIDS = 16,		/* user ids per VM: one per process, some spare */
	CONFIG_UID_BASE = 2000000000,	/* the first of all, unless the configuration says otherwise */
};

struct config_disk {
	const char *path;
	bool overlay;			/* what is written goes elsewhere, the image is shared */
	const char *overlay_path;	/* a file; NULL: memory */
	uint64_t overlay_limit;		/* bytes, whole clusters; 0: as many as the disk has */
	const char *serial;		/* "" when not given */
	bool readonly;
	bool discard;			/* means nothing on a read-only disk */
	uint32_t block_size;		/* 0: the image's own */
	bool direct;			/* past the host's page cache */
	uint32_t queues;
	uint64_t grow;			/* bytes that the image may come to; 0: it is fixed */
	struct limit_values limit;
};

/* Whether the packet wall stands before a tap.  Auto: where the jailer may load it, and always
 * when there is an allow-list or a rate to keep. */
enum config_wall { CONFIG_WALL_AUTO, CONFIG_WALL_ON, CONFIG_WALL_OFF };

/* The network that passt makes for the guest.  Texts, of which config.c has seen to it that passt
 * reads them as we do. */
struct config_user {
	const char *address, *gateway, *dns;	/* "a.b.c.d", dns: or NULL */
	char host[16];				/* address without its prefix */
	uint32_t prefix;			/* 1..31 */
};

struct config_net {
	const char *tap;		/* NULL: passt, as user says */
	struct config_user user;
	const char *mac_text;		/* NULL: derived */
	uint8_t mac[MAC_BYTES];
	uint32_t mtu;			/* 0: the tap's */
	uint32_t queues;
	bool offload;
	struct limit_values limit[LIMITS_DIRECTIONS];
	uint32_t wall_mode;		/* enum config_wall */
	uint32_t frame_rate;		/* frames a second from the guest; 0: no limit */
	struct wall_config wall;
};

struct config_limits {
	uint64_t memory_overhead;	/* bytes beyond guest RAM; 0: default */
	uint64_t io_bytes_per_sec;	/* per disk and direction; 0: no limit */
	uint32_t cpu_percent;		/* of one CPU; 0: no limit */
	uint32_t pids;			/* 0: default */
};

/* Strings belong to @json and live as long as the struct.  Optional ones are NULL when not
 * given, except cmdline, which is "". */
struct config {
	const char *name, *kernel, *initrd, *cmdline;
	uint64_t memory;
	uint64_t timeout_ms;
	uint32_t vcpus;
	uint32_t entry;			/* enum vm_boot_entry */
	bool console;
	bool cmdline_devices;
	bool cgroup_off;
	bool speculation_restrict;
	bool core_scheduling;
	uint32_t ndisks;
	struct config_disk disk[PLAN_DEVICES];
	uint32_t nnets;
	struct config_net net[PLAN_DEVICES];
	const char *vsock_path;		/* NULL: no vsock */
	uint64_t vsock_cid;
	uint32_t vsock_connections;
	struct limit_values vsock_limit[LIMITS_DIRECTIONS];
	const char *run_dir;
	struct config_limits limits;
	uint32_t uid_base;
	uint32_t id;
	void *json;
};

/* Parses @len bytes of JSON at @text.  Returns 0, or -1 with @f filled; @c may be freed in
 * either case.  Uses no privilege and opens nothing. */
must_check int config_parse(struct config *c, const char *text, size_t len, struct failure *f);

void config_free(struct config *c);

/* Reads one rate limiter alone, as above: @text into @out.  Returns 0, or -1 with @f filled. */
must_check int config_limiter(struct limit_values *out, const char *text, struct failure *f);

/* Devices of the VM: the disks, then the network interfaces, then vsock when there is one. */
uint32_t config_devices(const struct config *c);

/* What device @index (< config_devices()) is. */
enum vm_device_kind config_kind(const struct config *c, uint32_t index);

/* The rate limit of device @index (< config_devices()) in @direction (enum limits_direction). */
const struct limit_values *config_limit(const struct config *c, uint32_t index, unsigned direction);
/* The device whose other side is passt, or -1: at most one is. */
int config_user_net(const struct config *c);

/* Is the other side of an interface a tap? */
bool config_has_tap(const struct config *c);

/* The interface that is device @device, or NULL. */
const struct config_net *config_net(const struct config *c, uint32_t device);

#endif

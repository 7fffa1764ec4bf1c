/* SPDX-License-Identifier: Apache-2.0 */
/* open.c: opens what the plan names.
 *
 * Paths come from the caller and are opened with the caller's own rights; but the directories
 * on the way may be somebody else's, so symbolic links are followed with care (path.c).  What
 * was opened is then looked at through the descriptor, never through the path again. */
#include "jailer/open.h"
#include "core/guestmem.h"
#include "core/log.h"
#include "jailer/blocks.h"
#include "jailer/memfd.h"
#include "jailer/overlay.h"
#include "jailer/passt.h"
#include "jailer/path.h"
#include "jailer/tap.h"
#include "jailer/wall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

void opened_init(struct opened *o)
{
	*o = (struct opened){ 0 };
	memset(o->fd, 0xff, sizeof(o->fd));
	memset(o->kick, 0xff, sizeof(o->kick));
	memset(o->tap, 0xff, sizeof(o->tap));
	memset(o->cgroup, 0xff, sizeof(o->cgroup));
	memset(o->program, 0xff, sizeof(o->program));
	o->rundir_in = -1;
}

int *opened_at(struct opened *o, enum plan_object object, unsigned index)
{
	if (object == OBJ_KICK)
		return &o->kick[index];
	if (object == OBJ_TAP)
		return &o->tap[index];
	if (object == OBJ_CGROUP)
		return &o->cgroup[index];
	return &o->fd[object][index];
}

static int open_kvm(struct opened *o, struct failure *f)
{
	int fd = path_open_named("/dev/kvm", O_RDWR);

	if (fd < 0)
		return fail(f, -fd, fd == -EACCES ? "join the group that owns it (kvm)"
			    : "load the module (kvm_amd, kvm_intel) or run `immure doctor`",
			    "open /dev/kvm");
	o->fd[OBJ_KVM][0] = fd;
	return 0;
}

/* Kernel and initramfs: a regular file that is not empty. */
static int open_image(const char *what, const char *path, int *fd, uint64_t *size,
		      struct failure *f)
{
	struct stat st;

	*fd = path_open_named(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0 || fstat(*fd, &st) < 0) {
		int err = *fd < 0 ? -*fd : errno;

		return fail(f, err, path_advice(err, NULL), "open %s %s", what, path);
	}
	if (!S_ISREG(st.st_mode))
		return fail(f, 0, NULL, "%s %s: not a regular file", what, path);
	if (st.st_size == 0)
		return fail(f, 0, NULL, "%s %s: empty", what, path);
	*size = (uint64_t)st.st_size;
	return 0;
}

/* What lies below an overlay is not written either. */
static bool only_read(const struct config_disk *disk)
{
	return disk->readonly || disk->overlay;
}

/* Two VMs that write one image, or one that reads what another writes, would be corruption;
 * the lock lives as long as the block device process holds the descriptor. */
static int lock_disk(const struct config_disk *disk, int fd, struct failure *f)
{
	if (flock(fd, (only_read(disk) ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return fail(f, 0, "stop it, or attach the image read-only in both",
			    "disk %s: in use by another VM", disk->path);
	return fail(f, errno, NULL, "lock disk %s", disk->path);
}

/* What the disk's device process writes lies over the image @fd, of which @st is what fstat()
 * says. */
static int open_overlay(struct opened *o, unsigned i, const struct config_disk *disk, int fd,
			const struct stat *st, struct failure *f)
{
	int rc = blocks_size(&o->base_size[i], fd, st);

	if (rc < 0)
		return fail(f, -rc, NULL, "disk %s: ask for its size", disk->path);
	o->base_size[i] -= o->base_size[i] % o->disk_blocks[i].logical;
	o->fd[OBJ_OVERLAY][i] = overlay_make(disk, o->base_size[i], &o->disk_size[i],
					     &o->overlay_dev[i], f);
	return o->fd[OBJ_OVERLAY][i] < 0 ? -1 : 0;
}

static int open_disk(struct opened *o, const struct plan *p, unsigned i, struct failure *f)
{
	const struct config_disk *disk = &p->config->disk[i];
	int fd = path_open_named(disk->path, (only_read(disk) ? O_RDONLY : O_RDWR) |
						(disk->direct ? O_DIRECT : 0) |
						O_NONBLOCK | O_NOCTTY);
	int err = fd < 0 ? -fd : 0;
	struct stat st;

	if (err == 0 && fstat(fd, &st) < 0)
		err = errno;
	if (err == EINVAL && disk->direct)
		return blocks_no_direct(disk, f);
	if (err != 0)
		return fail(f, err, path_advice(err, err == EACCES && !only_read(disk) ?
			    "attach it read-only, or make it writable" : NULL),
			    "open disk %s", disk->path);
	o->fd[OBJ_DISK][i] = fd;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail(f, 0, "make an image file of it first",
			    "disk %s: neither a regular file nor a block device", disk->path);
	o->disk_size[i] = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	o->disk_dev[i] = S_ISREG(st.st_mode) ? st.st_dev : st.st_rdev;
	if (disk->grow != 0 && disk->grow < o->disk_size[i])
		return fail(f, 0, NULL, "disk %s: is larger than what it may grow to, %llu bytes",
			    disk->path, (unsigned long long)disk->grow);
	/* What may be written, from now on. */
	if (S_ISREG(st.st_mode) && disk->grow != 0)
		o->disk_size[i] = disk->grow;
	if (blocks_find(&o->disk_blocks[i], fd, &st, disk, f) != 0 || lock_disk(disk, fd, f) != 0)
		return -1;
	return disk->overlay ? open_overlay(o, i, disk, fd, &st, f) : 0;
}

/* Puts the packet wall before the tap, while the VM's processes are not there yet. */
static int wall_it(const struct config_net *net, bool root, struct failure *f)
{
	const unsigned ifindex = if_nametoindex(net->tap);

	if (root && net->wall_mode == CONFIG_WALL_OFF)
		return wall_detach(ifindex, net->tap, f);
	if (root)
		return wall_attach(ifindex, net->tap, &net->wall, f);
	if (net->wall_mode == CONFIG_WALL_OFF)
		return 0;
	if (net->wall_mode == CONFIG_WALL_ON)
		return fail(f, EPERM, "an allow-list or a frame rate takes root",
			    "packet wall of tap %s", net->tap);
	log_line("net: no packet wall before tap %s: loading it takes root", net->tap);
	return 0;
}

static int open_net(struct opened *o, const struct plan *p, unsigned d, struct failure *f)
{
	const struct config_net *net = config_net(p->config, d);
	struct tap t = {
		.name = net->tap, .queues = net->queues, .offload = net->offload,
		.mtu = (uint16_t)net->mtu,
	};

	if (net->tap == NULL) {
		o->net_mtu[d] = t.mtu;
		o->net_flags[d] = VM_NET_USER | (net->wall_mode != CONFIG_WALL_OFF ? VM_NET_WALL : 0u);
		return passt_open(o, p, f);
	}
	if (tap_open(&t, &o->tap[d * PLAN_NET_PAIRS], f) != 0 || wall_it(net, p->root, f) != 0)
		return -1;
	o->net_mtu[d] = t.mtu;
	o->net_flags[d] = ((t.flags & TAP_OFFLOADS) != 0 ? VM_NET_OFFLOADS : 0u) |
			  ((t.flags & TAP_USO) != 0 ? VM_NET_USO : 0u);
	return 0;
}

static int make_memory(struct opened *o, const struct plan *p, struct failure *f)
{
	uint64_t ram = p->config->memory;
	struct sysinfo si;
	int fd;

	if (sysinfo(&si) == 0 && ram / si.mem_unit > si.totalram)
		return fail(f, 0, "ask for less", "memory: %llu MiB asked, the host has %llu",
			    (unsigned long long)(ram >> 20),
			    (unsigned long long)si.totalram * si.mem_unit >> 20);
	fd = memfd_make("immure-ram");
	if (fd < 0 || ftruncate(fd, (off_t)guestmem_file_size(ram)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return fail(f, errno, NULL, "make guest memory");
	o->fd[OBJ_MEM][0] = fd;
	return 0;
}

static uint32_t disk_flags(const struct config_disk *disk)
{
	if (disk->readonly)
		return VM_BLK_READONLY;
	return (disk->discard ? VM_BLK_DISCARD : 0u) | (disk->overlay_path != NULL ? VM_BLK_KEPT : 0u);
}

static void fill_devices(struct vm_config *vc, const struct config *c, const struct opened *o)
{
	vc->ndevices = config_devices(c);
	for (uint32_t i = 0; i < c->ndisks; i++) {
		struct vm_device *d = &vc->device[i];

		d->kind = VM_DEVICE_BLK;
		d->flags = disk_flags(&c->disk[i]);
		d->nqueues = plan_queues(c, i);
		d->blocks = o->disk_blocks[i];
		d->base_size = o->base_size[i];
		d->overlay_limit = c->disk[i].overlay_limit;
		d->grow = c->disk[i].grow;
		memcpy(d->serial, c->disk[i].serial, strlen(c->disk[i].serial));
	}
	for (uint32_t i = c->ndisks; i < c->ndisks + c->nnets; i++) {
		struct vm_device *d = &vc->device[i];

		*d = (struct vm_device){
			.kind = VM_DEVICE_NET, .nqueues = plan_queues(c, i),
			.flags = o->net_flags[i], .mtu = o->net_mtu[i],
		};
		memcpy(d->mac, config_net(c, i)->mac, sizeof(d->mac));
		if ((d->flags & VM_NET_WALL) != 0)
			vc->user_wall = config_net(c, i)->wall;
	}
	if (c->vsock_path != NULL)
		vc->device[c->ndisks + c->nnets] = (struct vm_device){
			.kind = VM_DEVICE_VSOCK, .nqueues = 3, .guest_cid = c->vsock_cid,
			.connections = c->vsock_connections,
		};
	for (uint32_t i = 0; i < vc->ndevices; i++)
		for (unsigned d = 0; d < LIMITS_DIRECTIONS; d++)
			vc->device[i].limit[d] = *config_limit(c, i, d);
}

static int make_config(struct opened *o, const struct plan *p, struct failure *f)
{
	const struct config *c = p->config;
	static struct vm_config vc;
	int fd = memfd_make("immure-config");

	vc = (struct vm_config){
		.magic = VMCONFIG_MAGIC, .ram = c->memory, .vcpus = c->vcpus,
		.entry = c->entry,
		.flags = (c->console ? VM_CONSOLE : 0u) |
			 (c->cmdline_devices ? VM_CMDLINE_DEVICES : 0u) |
			 (c->run_dir != NULL ? VM_PAGES : 0u),
		.kernel_size = o->kernel_size, .initrd_size = o->initrd_size,
	};
	fill_devices(&vc, c, o);
	memcpy(vc.cmdline, c->cmdline, strlen(c->cmdline));
	if (getrandom(vc.rng_seed, sizeof(vc.rng_seed), 0) != sizeof(vc.rng_seed) ||
	    getrandom(vc.vmgenid, sizeof(vc.vmgenid), 0) != sizeof(vc.vmgenid))
		return fail(f, errno, NULL, "get random bytes");
	if (fd < 0 || write(fd, &vc, sizeof(vc)) != (ssize_t)sizeof(vc) ||
	    fcntl(fd, F_ADD_SEALS,
		  F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return fail(f, errno, NULL, "make the configuration");
	o->fd[OBJ_CONFIG][0] = fd;
	return 0;
}

static int make_eventfd(int *fd, int flags, struct failure *f)
{
	*fd = eventfd(0, EFD_CLOEXEC | flags);
	return *fd < 0 ? fail(f, errno, "raise the limit of open files", "eventfd") : 0;
}

static int make_pair(int *a, int *b, struct failure *f)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		return fail(f, errno, "raise the limit of open files", "socketpair");
	*a = sv[0];
	*b = sv[1];
	return 0;
}

static int make_pipe(int *reader, int *writer, struct failure *f)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail(f, errno, "raise the limit of open files", "pipe");
	*reader = fds[0];
	*writer = fds[1];
	return 0;
}

static int make_device(struct opened *o, const struct plan *p, unsigned d, struct failure *f)
{
	unsigned nqueues = plan_queues(p->config, d);

	if (make_pair(&o->fd[OBJ_LINK_VMM][d], &o->fd[OBJ_LINK_DEVICE][d], f) != 0 ||
	    make_eventfd(&o->fd[OBJ_CALL][d], EFD_NONBLOCK, f) != 0)
		return -1;
	for (unsigned q = 0; q < nqueues; q++)
		if (make_eventfd(&o->kick[d * PLAN_QUEUES + q], EFD_NONBLOCK, f) != 0)
			return -1;
	if (d >= p->config->ndisks || !p->config->disk[d].direct)
		return 0;
	/* Its threads sleep in reading them. */
	if (make_eventfd(&o->fd[OBJ_WORK][d], EFD_SEMAPHORE, f) != 0)
		return -1;
	return make_eventfd(&o->fd[OBJ_DONE][d], 0, f);
}

/* The wiring between the processes. */
static int make_channels(struct opened *o, const struct plan *p, struct failure *f)
{
	const struct config *c = p->config;

	if (make_pair(&o->fd[OBJ_CTL_VMM][0], &o->fd[OBJ_CTL_SUPERVISOR][0], f) != 0 ||
	    make_eventfd(&o->fd[OBJ_ACK][0], EFD_NONBLOCK, f) != 0 ||
	    make_eventfd(&o->fd[OBJ_WAKE][0], EFD_NONBLOCK, f) != 0)
		return -1;
	if (c->console && make_pipe(&o->fd[OBJ_CONSOLE_READ][0],
				    &o->fd[OBJ_CONSOLE_WRITE][0], f) != 0)
		return -1;
	if (c->vsock_path != NULL && make_pair(&o->fd[OBJ_DIAL_VSOCK][0],
					       &o->fd[OBJ_DIAL_SUPERVISOR][0], f) != 0)
		return -1;
	for (unsigned i = 0; i < p->nprocs; i++)
		if (make_pipe(&o->fd[OBJ_LOG_READ][i], &o->fd[OBJ_LOG_WRITE][i], f) != 0)
			return -1;
	for (unsigned d = 0; d + 1 < p->nprocs; d++)
		if (make_device(o, p, d, f) != 0)
			return -1;
	return 0;
}

/* The directory the jailer lies in, or -errno. */
static int own_directory(char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	if (n < 0)
		return -errno;
	path[n] = 0;
	*strrchr(path, '/') = 0;
	return path_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, PATH_HOST_DIRECT);
}

/* The programs lie beside the jailer; a copy of it elsewhere finds none and says so. */
static int open_programs(struct opened *o, const struct plan *p, struct failure *f)
{
	char path[PATH_MAX] = "";
	int dir = own_directory(path, sizeof(path));

	if (dir < 0)
		return fail(f, -dir, "mount /proc", "find the jailer's own directory");
	for (unsigned i = 0; i < p->nprocs; i++) {
		const char *name = plan_program_name(p->proc[i].program);
		int *fd = &o->program[p->proc[i].program];

		if (*fd < 0)
			*fd = path_open(dir, name, O_PATH, PATH_BELOW);
		if (*fd < 0)
			return fail(f, -*fd, "install all of immure's programs in one place",
				    "open %s/%s", path, name);
	}
	close(dir);
	return 0;
}

int open_all(struct opened *o, const struct plan *p, struct failure *f)
{
	const struct config *c = p->config;

	if (open_kvm(o, f) != 0 || open_programs(o, p, f) != 0)
		return -1;
	if (open_image("kernel", c->kernel, &o->fd[OBJ_KERNEL][0], &o->kernel_size, f) != 0)
		return -1;
	if (c->initrd != NULL &&
	    open_image("initramfs", c->initrd, &o->fd[OBJ_INITRD][0], &o->initrd_size, f) != 0)
		return -1;
	for (unsigned i = 0; i < c->ndisks; i++)
		if (open_disk(o, p, i, f) != 0)
			return -1;
	for (unsigned d = c->ndisks; d < c->ndisks + c->nnets; d++)
		if (open_net(o, p, d, f) != 0)
			return -1;
	if (make_memory(o, p, f) != 0 || make_config(o, p, f) != 0)
		return -1;
	return make_channels(o, p, f);
}

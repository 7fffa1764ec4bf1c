/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* A plan is what the design says, for every configuration. */
#include "core/guestmem.c"
#include "jailer/config.c"
#include "jailer/config_user.c"
#include "jailer/config_wall.c"
#include "jailer/wall_text.c"
#include "jailer/mac.c"
#include "jailer/failure.c"
#include "jailer/plan.c"

#include <criterion/criterion.h>

static struct config c;
static struct failure f;
static struct plan p;

static void plan_for(const char *text, uid_t uid)
{
	struct plan_caller who = { .uid = uid, .gid = uid };

	cr_assert_eq(config_parse(&c, text, strlen(text), &f), 0, "%s", f.text);
	plan_make(&p, &c, &who);
}

#define VM "\"name\":\"v\",\"kernel\":\"/k\",\"memory\":134217728"
#define ONE_DISK_AND_VSOCK "{" VM ",\"initrd\":\"/i\",\"vcpus\":4,\"id\":3," \
	"\"disks\":[{\"path\":\"/d\"}],\"vsock\":{\"cid\":3,\"path\":\"/r/v.sock\"}}"

/* "number:object.index ..." in the order of the plan. */
static const char *fds(const struct plan_process *pp)
{
	static char text[2048];
	size_t n = 0;

	text[0] = 0;
	for (unsigned i = 0; i < pp->nfds; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u:%u.%u ",
				      pp->fd[i].number, pp->fd[i].object, pp->fd[i].index);
	return text;
}

static const struct plan_fd *find(const struct plan_process *pp, unsigned number)
{
	for (unsigned i = 0; i < pp->nfds; i++)
		if (pp->fd[i].number == number)
			return &pp->fd[i];
	return NULL;
}

Test(plan, the_vmm_starts_first_and_devices_follow_in_slot_order)
{
	plan_for(ONE_DISK_AND_VSOCK, 0);
	cr_assert_eq(p.nprocs, 3);
	cr_assert_str_eq(p.proc[0].name, "vmm");
	cr_assert_str_eq(p.proc[1].name, "blk0");
	cr_assert_str_eq(p.proc[2].name, "vsock");
	cr_assert(p.proc[1].device == 0 && p.proc[2].device == 1);
}

Test(plan, each_process_gets_exactly_its_descriptors)
{
	char want[256];

	plan_for(ONE_DISK_AND_VSOCK, 0);
	snprintf(want, sizeof(want), "2:%d.1 3:%d.0 4:%d.0 5:%d.0 6:%d.0 7:%d.0 13:%d.0 ",
		 OBJ_LOG_WRITE, OBJ_CONFIG, OBJ_MEM, OBJ_LINK_DEVICE, OBJ_CALL, OBJ_KICK,
		 OBJ_DISK);
	cr_assert_str_eq(fds(&p.proc[1]), want);
	snprintf(want, sizeof(want), "2:%d.2 3:%d.0 4:%d.0 5:%d.1 6:%d.1 7:%d.16 8:%d.17 "
		 "9:%d.18 10:%d.0 11:%d.1 12:%d.0 ", OBJ_LOG_WRITE, OBJ_CONFIG, OBJ_MEM,
		 OBJ_LINK_DEVICE, OBJ_CALL, OBJ_KICK, OBJ_KICK, OBJ_KICK, OBJ_LISTEN, OBJ_LISTEN,
		 OBJ_DIAL_VSOCK);
	cr_assert_str_eq(fds(&p.proc[2]), want);
	cr_assert_eq(find(&p.proc[0], VMM_INITRD)->object, OBJ_INITRD);
	cr_assert_null(find(&p.proc[0], VMM_CONSOLE));
	cr_assert_eq(find(&p.proc[0], VMM_KICK0 + PLAN_QUEUES + 2)->index, PLAN_QUEUES + 2);
	cr_assert_null(find(&p.proc[0], VMM_KICK0 + 1));
}

Test(plan, an_overlay_is_written_and_its_base_only_read)
{
	char want[256];

	plan_for("{" VM ",\"disks\":[{\"path\":\"/a\",\"readonly\":false,\"overlay\":true}]}", 0);
	snprintf(want, sizeof(want), "2:%d.1 3:%d.0 4:%d.0 5:%d.0 6:%d.0 7:%d.0 13:%d.0 14:%d.0 ",
		 OBJ_LOG_WRITE, OBJ_CONFIG, OBJ_MEM, OBJ_LINK_DEVICE, OBJ_CALL, OBJ_KICK,
		 OBJ_OVERLAY, OBJ_DISK);
	cr_assert_str_eq(fds(&p.proc[1]), want);
	cr_assert(p.proc[1].limits.nofile == BLK_BASE + 1 && p.proc[1].limits.fsize == PLAN_FSIZE_DISK);
	cr_assert_eq(plan_when(&p, &p.proc[1]) & (WHEN_OVERLAY | WHEN_WRITABLE | WHEN_DISCARD),
		     WHEN_OVERLAY | WHEN_WRITABLE | WHEN_DISCARD);
	plan_for("{" VM ",\"disks\":[{\"path\":\"/a\",\"readonly\":false}]}", 0);
	cr_assert_eq(plan_when(&p, &p.proc[1]) & WHEN_OVERLAY, 0);
}

Test(plan, a_disk_past_the_cache_has_threads)
{
	uint64_t memory;
	char want[256];

	plan_for("{" VM ",\"disks\":[{\"path\":\"/a\"}]}", 0);
	cr_assert_eq(plan_when(&p, &p.proc[1]) & WHEN_DIRECT, 0);
	memory = p.cgroup.memory_max;
	plan_for("{" VM ",\"disks\":[{\"path\":\"/a\",\"direct\":true},"
		 "{\"path\":\"/b\",\"direct\":true,\"readonly\":false}]}", 0);
	snprintf(want, sizeof(want), "2:%d.1 3:%d.0 4:%d.0 5:%d.0 6:%d.0 7:%d.0 13:%d.0 15:%d.0 16:%d.0 ",
		 OBJ_LOG_WRITE, OBJ_CONFIG, OBJ_MEM, OBJ_LINK_DEVICE, OBJ_CALL, OBJ_KICK,
		 OBJ_DISK, OBJ_WORK, OBJ_DONE);
	cr_assert_str_eq(fds(&p.proc[1]), want);
	cr_assert_eq(find(&p.proc[2], BLK_DONE)->index, 1);
	cr_assert(p.proc[1].limits.nofile == BLK_NFDS && p.proc[1].limits.nproc == 1 + PLAN_BLK_THREADS);
	cr_assert_eq(plan_when(&p, &p.proc[1]) & (WHEN_DIRECT | WHEN_WRITABLE | WHEN_DISCARD), WHEN_DIRECT);
	cr_assert_eq(plan_when(&p, &p.proc[2]) & (WHEN_DIRECT | WHEN_WRITABLE | WHEN_DISCARD),
		     WHEN_DIRECT | WHEN_WRITABLE | WHEN_DISCARD);
	cr_assert_eq(p.cgroup.pids_max, 1 + 3 + 2 * (1 + PLAN_BLK_THREADS));
	cr_assert_eq(p.cgroup.memory_max, memory + (192u << 10) + 2 * (640u << 10));
}

/* Nobody but the VMM holds KVM, nobody but its own process a disk or the sockets. */
Test(plan, no_process_holds_what_another_one_serves)
{
	plan_for(ONE_DISK_AND_VSOCK, 0);
	for (unsigned i = 0; i < p.nprocs; i++) {
		for (unsigned n = 0; n < p.proc[i].nfds; n++) {
			unsigned object = p.proc[i].fd[n].object;

			if (object == OBJ_KVM || object == OBJ_CTL_VMM || object == OBJ_KERNEL)
				cr_assert_eq(i, 0);
			if (object == OBJ_DISK)
				cr_assert_eq(i, 1);
			if (object == OBJ_LISTEN || object == OBJ_DIAL_VSOCK)
				cr_assert_eq(i, 2);
			cr_assert(object != OBJ_CLIENT && object != OBJ_RUNDIR &&
				  object != OBJ_PID && object != OBJ_CGROUP);
		}
	}
}

Test(plan, numbers_are_unique_and_below_the_limit)
{
	plan_for("{" VM ",\"console\":true,\"vcpus\":32,\"disks\":[{\"path\":\"/0\"},"
		 "{\"path\":\"/1\"},{\"path\":\"/2\"},{\"path\":\"/3\"},{\"path\":\"/4\"},"
		 "{\"path\":\"/5\"},{\"path\":\"/6\"}],"
		 "\"vsock\":{\"cid\":3,\"path\":\"/r/v\"}}", 0);
	for (unsigned i = 0; i <= p.nprocs; i++) {
		const struct plan_process *pp = i < p.nprocs ? &p.proc[i] : &p.supervisor;
		bool seen[256] = { false };

		for (unsigned n = 0; n < pp->nfds; n++) {
			cr_assert(!seen[pp->fd[n].number]);
			seen[pp->fd[n].number] = true;
			cr_assert(pp->fd[n].number < pp->limits.nofile);
		}
		for (unsigned n = 0; n < pp->nborn; n++)
			cr_assert(!seen[pp->born[n]] && pp->born[n] < pp->limits.nofile);
	}
}

/* Behind the disks and before vsock; with several pairs a control queue. */
Test(plan, network_interfaces)
{
	plan_for("{" VM ",\"disks\":[{\"path\":\"/a\"}],\"net\":[{\"tap\":\"t0\"},"
		 "{\"tap\":\"t1\",\"queues\":4}],\"vsock\":{\"cid\":3,\"path\":\"/r/v\"}}", 0);
	cr_assert_eq(p.nprocs, 5);
	cr_assert_eq(p.proc[2].program, PROGRAM_NET);
	cr_assert_str_eq(p.proc[2].name, "net0");
	cr_assert_str_eq(p.proc[3].name, "net1");
	cr_assert_eq(p.proc[4].program, PROGRAM_VSOCK);
	cr_assert(find(&p.proc[2], NET_KICK0 + 1) != NULL && find(&p.proc[2], NET_KICK0 + 2) == NULL);
	cr_assert(find(&p.proc[2], NET_TAP0) != NULL && find(&p.proc[2], NET_TAP0 + 1) == NULL);
	cr_assert_eq(find(&p.proc[3], NET_KICK0 + 8)->index, 2 * PLAN_QUEUES + 8);
	cr_assert_eq(find(&p.proc[3], NET_TAP0 + 3)->index, 2 * PLAN_NET_PAIRS + 3);
	cr_assert_eq(find(&p.proc[0], VMM_KICK0 + 2 * PLAN_QUEUES + 8)->object, OBJ_KICK);
	cr_assert(p.proc[3].limits.nofile == NET_NFDS && p.proc[3].limits.nproc == 1 &&
		  p.proc[3].limits.fsize == 0);
	for (unsigned i = 0; i < p.nprocs; i++)
		for (unsigned n = 0; n < p.proc[i].nfds; n++)
			cr_assert(p.proc[i].fd[n].object != OBJ_TAP || i == 2 || i == 3);
}

#define USER "{\"user\":{\"address\":\"10.0.2.15/24\",\"gateway\":\"10.0.2.2\",\"dns\":\"10.0.2.2\"}}"

Test(plan, a_network_through_passt)
{
	const struct plan_process *passt = &p.passt;
	uint64_t memory;
	uint32_t tasks;

	plan_for("{" VM ",\"net\":[{\"tap\":\"t0\"}]}", 0);
	memory = p.cgroup.memory_max;
	tasks = p.cgroup.pids_max;
	cr_assert(passt->name[0] == 0 && find(&p.supervisor, SUP_PASST) == NULL);
	plan_for("{" VM ",\"net\":[" USER "]}", 0);
	cr_assert_eq(p.nprocs, 2, "passt is none of the VM's processes");
	cr_assert_eq(find(&p.proc[1], NET_TAP0)->object, OBJ_PASST_NET);
	cr_assert_null(find(&p.proc[1], NET_TAP0 + 1));
	cr_assert_str_eq(passt->name, "passt");
	cr_assert_eq(find(passt, PASST_NET)->object, OBJ_PASST);
	cr_assert_eq(passt->nfds, 4);
	cr_assert_eq(passt->uid, 2000000000 + CONFIG_UIDS - 1, "nobody else's");
	cr_assert_eq(passt->gid, passt->uid);
	for (unsigned i = 0; i < p.nprocs; i++)
		cr_assert_neq(p.proc[i].uid, passt->uid);
	cr_assert(passt->limits.nproc == 1 && passt->limits.fsize == 0);
	cr_assert_eq(find(&p.supervisor, SUP_PASST)->object, OBJ_PASST_PID);
	cr_assert_eq(find(&p.supervisor, SUP_PASST_LOG)->object, OBJ_PASST_LOG_READ);
	cr_assert_eq(p.cgroup.pids_max, tasks + 1);
	cr_assert_eq(p.cgroup.memory_max, memory + (64 << 20));
	plan_for("{" VM ",\"net\":[" USER "]}", 1000);
	cr_assert_eq(passt->uid, 1000);
}

Test(plan, eight_interfaces_of_four_pairs_have_room)
{
	plan_for("{" VM ",\"console\":true,\"initrd\":\"/i\",\"net\":["
		 "{\"tap\":\"a\",\"queues\":4},{\"tap\":\"b\",\"queues\":4},{\"tap\":\"c\",\"queues\":4},"
		 "{\"tap\":\"d\",\"queues\":4},{\"tap\":\"e\",\"queues\":4},{\"tap\":\"f\",\"queues\":4},"
		 "{\"tap\":\"g\",\"queues\":4},{\"tap\":\"h\",\"queues\":4}]}", 0);
	cr_assert(p.nprocs == 9 && p.proc[0].nfds == 10 + 8 * (2 + 9) && p.proc[0].nfds <= PLAN_FDS);
}

Test(plan, as_root_every_process_has_ids_of_its_own)
{
	plan_for(ONE_DISK_AND_VSOCK, 0);
	cr_assert(p.root);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(p.proc[i].uid, 2000000000u + 3 * 16 + i);
		cr_assert_eq(p.proc[i].gid, 2000000000u + 3 * 16 + i);
	}
	cr_assert_eq(p.namespaces & CLONE_NEWUSER, 0);
}

Test(plan, rootless_all_have_the_callers_id_in_a_user_namespace)
{
	plan_for(ONE_DISK_AND_VSOCK, 1000);
	cr_assert(!p.root);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(p.proc[i].uid == 1000 && p.proc[i].gid == 1000);
	cr_assert_neq(p.namespaces & CLONE_NEWUSER, 0);
}

Test(plan, all_namespaces_are_new)
{
	int all = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
		  CLONE_NEWPID | CLONE_NEWTIME;

	plan_for("{" VM "}", 0);
	cr_assert_eq(p.namespaces, all);
}

Test(plan, limits_fit_what_a_process_is)
{
	plan_for("{" VM ",\"vcpus\":4,\"disks\":[{\"path\":\"/a\"},"
		 "{\"path\":\"/b\",\"readonly\":false}]}", 0);
	cr_assert_eq(p.proc[0].limits.nproc, 6);
	cr_assert_eq(p.proc[0].limits.fsize, 0);
	cr_assert(p.proc[1].limits.nproc == 1 && p.proc[1].limits.nofile == BLK_BASE);
	cr_assert_eq(p.proc[1].limits.fsize, 0);
	cr_assert_eq(p.proc[2].limits.fsize, PLAN_FSIZE_DISK);
	cr_assert_eq(p.cgroup.pids_max, 1 + 6 + 1 + 1);
}

/* The guest's RAM and its dirty bitmap; 3.5 MiB; 192 KiB a disk; 160 KiB a vCPU; a 128th of the RAM for page tables;
 * and with vsock what unread streams may hold. */
Test(plan, the_memory_limit_is_what_a_vm_needs)
{
	uint64_t without;

	plan_for("{" VM ",\"vcpus\":4}", 0);
	without = p.cgroup.memory_max;
	cr_assert_eq(without, (128ull << 20) + 4096 + (3584u << 10) + 4 * (160u << 10) + (1u << 20));
	plan_for("{" VM ",\"vcpus\":4,\"disks\":[{\"path\":\"/a\"},{\"path\":\"/b\"}]}", 0);
	cr_assert_eq(p.cgroup.memory_max, without + 2 * (192u << 10));
	plan_for("{\"name\":\"v\",\"kernel\":\"/k\",\"disks\":[{\"path\":\"/a\"}],\"vsock\":{\"cid\":3,"
		 "\"path\":\"/r/v\",\"connections\":6}}", 0);
	cr_assert_leq(p.cgroup.memory_max, (256 << 20) + (8 << 20), "what `immure run` asks for");
	plan_for("{" VM ",\"vcpus\":4,\"vsock\":{\"cid\":3,\"path\":\"/r/v\"}}", 0);
	cr_assert_eq(p.cgroup.memory_max, without + BACKLOG_BYTES);
	cr_assert_leq(BACKLOG_BYTES, 34 << 20);
	plan_for("{" VM ",\"vcpus\":4,\"vsock\":{\"cid\":3,\"path\":\"/r/v\",\"connections\":6}}", 0);
	cr_assert_eq(p.cgroup.memory_max, without + 6 * (BACKLOG_LARGE + BACKLOG_ENTRY + BACKLOG_WINDOW + 512));
	cr_assert_eq(p.proc[1].limits.nofile, VSOCK_CONN0 + 6 + 1);
	plan_for("{" VM ",\"vcpus\":4,\"vsock\":{\"cid\":3,\"path\":\"/r/v\"}}", 0);
	cr_assert_eq(p.proc[1].limits.nofile, VSOCK_CONN0 + PLAN_VSOCK_CONNS + 1);
}

/* Its limit and a 32nd of that, where it is memory; 4 MiB of map each. */
Test(plan, the_memory_limit_has_room_for_overlays)
{
	uint64_t without;

	plan_for("{" VM ",\"disks\":[{\"path\":\"/a\"},{\"path\":\"/b\"}]}", 0);
	without = p.cgroup.memory_max;
	plan_for("{" VM ",\"disks\":[{\"path\":\"/a\",\"readonly\":false,\"overlay\":true},"
		 "{\"path\":\"/b\",\"readonly\":false,\"overlay\":true,\"overlay_path\":\"/o\","
		 "\"overlay_limit\":1073741824}]}", 0);
	cr_assert_eq(p.cgroup.memory_max, without + (256u << 20) + (8u << 20) + 2 * (4u << 20));
	plan_for("{" VM ",\"disks\":[{\"path\":\"/a\",\"readonly\":false,\"overlay\":true,"
		 "\"overlay_limit\":1099511627776}],\"limits\":{\"memory_overhead\":1048576}}", 0);
	cr_assert_eq(p.cgroup.memory_max, (128ull << 20) + 4096 + 1048576 + (4u << 20) +
		     (1ull << 40) + (1ull << 35), "beside what the caller says");
}

Test(plan, limits_of_the_caller_are_taken_over)
{
	plan_for("{" VM ",\"limits\":{\"memory_overhead\":1048576,\"cpu_percent\":50,"
		 "\"pids\":40,\"io_bytes_per_sec\":7}}", 0);
	cr_assert(p.cgroup.wanted);
	cr_assert_eq(p.cgroup.memory_max, (128ull << 20) + 4096 + 1048576);
	cr_assert(p.cgroup.pids_max == 40 && p.cgroup.cpu_percent == 50 &&
		  p.cgroup.io_bytes_per_sec == 7);
	plan_for("{" VM ",\"cgroup\":\"off\"}", 0);
	cr_assert(!p.cgroup.wanted && find(&p.supervisor, SUP_CGROUP0) == NULL);
}

Test(plan, the_supervisor_keeps_what_cleaning_up_needs)
{
	plan_for("{" VM ",\"run_dir\":\"/r/x\",\"vsock\":{\"cid\":3,\"path\":\"/r/x/v\"}}", 0);
	cr_assert_eq(find(&p.supervisor, SUP_RUNDIR)->object, OBJ_RUNDIR);
	cr_assert_eq(find(&p.supervisor, SUP_RUNPARENT)->object, OBJ_RUNPARENT);
	cr_assert_eq(find(&p.supervisor, SUP_DIAL)->object, OBJ_DIAL_SUPERVISOR);
	cr_assert_eq(find(&p.supervisor, SUP_PID0 + 1)->index, 1);
	cr_assert_eq(find(&p.supervisor, SUP_LOG0 + 1)->index, 1);
	cr_assert_null(find(&p.supervisor, SUP_CONSOLE));
	plan_for("{" VM "}", 0);
	cr_assert_null(find(&p.supervisor, SUP_RUNDIR));
	cr_assert_null(find(&p.supervisor, SUP_DIAL));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* `immure plan` says what the plan says: for people as below, for machines as JSON. */
#include "core/guestmem.c"
#include "jailer/capabilities.c"
#include "jailer/config.c"
#include "jailer/config_user.c"
#include "jailer/config_wall.c"
#include "jailer/wall_text.c"
#include "jailer/mac.c"
#include "jailer/failure.c"
#include "jailer/plan.c"
#include "jailer/plan_print.c"

#include <criterion/criterion.h>

static const char vm[] =
	"{\"name\":\"v\",\"kernel\":\"/k\",\"memory\":134217728,"
	"\"disks\":[{\"path\":\"/d \\\"1\\\"\",\"readonly\":false}],"
	"\"vsock\":{\"cid\":3,\"path\":\"/r/v.sock\"},\"limits\":{\"cpu_percent\":50}}";

static const char golden[] =
	"VM v: 128 MiB, 1 vCPU, 2 devices, as root\n"
	"namespaces: mnt pid net ipc uts cgroup time; a user namespace per process\n"
	"root directory: empty, read-only\n"
	"capabilities: none; the jailer's, until each was used last: setpcap dac_override setuid "
	"setgid sys_admin\n"
	"speculation: as the host's; hyperthreads: shared\n"
	"cgroup immure/v: memory 166 MiB, no swap, 6 tasks, 50% of a CPU\n"
	"\n"
	"process vmm: immure-vmm, uid 2000000000, gid 2000000000\n"
	"  filters: jail, vmm-main+devices, vmm-vcpu+devices\n"
	"  limits: 192 descriptors, 3 tasks, file size 0, no core dump, no locked memory\n"
	"     2  FD_LOG           log, write end\n"
	"     3  FD_CONFIG        configuration, sealed\n"
	"     4  FD_MEM           guest memory\n"
	"     5  VMM_CTL          reports to the supervisor\n"
	"     6  VMM_KVM          /dev/kvm\n"
	"     7  VMM_KERNEL       kernel /k, read-only\n"
	"    10  VMM_ACK          interrupt acknowledgements\n"
	"    11  VMM_WAKE         vCPU wakes main thread\n"
	"    16  VMM_LINK0        link to device 0\n"
	"    24  VMM_CALL0        interrupt 0\n"
	"    32  VMM_KICK0        queue notification, device 0 queue 0\n"
	"    17  VMM_LINK0+1      link to device 1\n"
	"    25  VMM_CALL0+1      interrupt 1\n"
	"    48  VMM_KICK0+16     queue notification, device 1 queue 0\n"
	"    49  VMM_KICK0+17     queue notification, device 1 queue 1\n"
	"    50  VMM_KICK0+18     queue notification, device 1 queue 2\n"
	"    12  VMM_VM           made by itself before it seals\n"
	"   160  VMM_VCPU0        made by itself before it seals\n"
	"\n"
	"process blk0: immure-blk, uid 2000000001, gid 2000000001\n"
	"  filters: jail, blk+writable+discard\n"
	"  limits: 14 descriptors, 1 tasks, file size image size, no core dump, "
	"no locked memory\n"
	"     2  FD_LOG           log, write end\n"
	"     3  FD_CONFIG        configuration, sealed\n"
	"     4  FD_MEM           guest memory\n"
	"     5  BLK_LINK         link to VMM\n"
	"     6  BLK_CALL         interrupt 0\n"
	"     7  BLK_KICK0        queue notification, device 0 queue 0\n"
	"    13  BLK_DISK         disk image /d \"1\", read-write\n"
	"\n"
	"process vsock: immure-vsock, uid 2000000002, gid 2000000002\n"
	"  filters: jail, vsock\n"
	"  limits: 2063 descriptors, 1 tasks, file size 0, no core dump, no locked memory\n"
	"     2  FD_LOG           log, write end\n"
	"     3  FD_CONFIG        configuration, sealed\n"
	"     4  FD_MEM           guest memory\n"
	"     5  VSOCK_LINK       link to VMM\n"
	"     6  VSOCK_CALL       interrupt 1\n"
	"     7  VSOCK_KICK0      queue notification, device 1 queue 0\n"
	"     8  VSOCK_KICK1      queue notification, device 1 queue 1\n"
	"     9  VSOCK_KICK2      queue notification, device 1 queue 2\n"
	"    10  VSOCK_LISTEN     listening socket /r/v.sock\n"
	"    11  VSOCK_LISTEN_SEQ listening socket /r/v.sock.seq\n"
	"    12  VSOCK_DIAL       asks supervisor to connect\n"
	"    13  VSOCK_EPOLL      made by itself before it seals\n"
	"     0  0                made by itself before it seals\n"
	"     1  FD_PAGES         made by itself before it seals\n"
	"    14..                 connections, as they come\n"
	"\n"
	"process supervisor: what the jailer becomes, uid 0, gid 0\n"
	"  filters: jailer, supervisor+vsock+cgroup\n"
	"  limits: 1024 descriptors, 1 tasks, file size any, no core dump, no locked memory\n"
	"     3  SUP_CLIENT       the caller\n"
	"     4  SUP_CTL          reports of the VMM\n"
	"     6  SUP_SIGNAL       signals\n"
	"     7  SUP_DIAL         vsock asks to connect\n"
	"     9  SUP_TIMER        timer\n"
	"    10  SUP_RUNDIR       directory of the sockets\n"
	"    12  SUP_CGROUP0      parent of the cgroup, if the host has it\n"
	"    16  SUP_PID0         to kill it\n"
	"    17  SUP_PID0+1       to kill it\n"
	"    18  SUP_PID0+2       to kill it\n"
	"    32  SUP_LOG0         log, read end\n"
	"    33  SUP_LOG0+1       log, read end\n"
	"    34  SUP_LOG0+2       log, read end\n"
	"    48  SUP_MEMORY       events of the memory limit, if the host has it\n"
	"    49  SUP_LOCK0        the caller's lock of a name or number, held as long as the VM exists\n"
	"    50  SUP_LOCK0+1      the caller's lock of a name or number, held as long as the VM exists\n";

static struct config c;
static struct plan p;

static char *printed_of(const char *config, void (*print)(FILE *, const struct plan *))
{
	struct plan_caller who = { 0 };
	struct failure f;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert_eq(config_parse(&c, config, strlen(config), &f), 0, "%s", f.text);
	plan_make(&p, &c, &who);
	print(out, &p);
	fclose(out);
	return text;
}

static char *printed(void (*print)(FILE *, const struct plan *))
{
	return printed_of(vm, print);
}

Test(plan_print, a_disk_past_the_cache_is_called_direct)
{
	char *text = printed_of("{\"name\":\"v\",\"kernel\":\"/k\",\"disks\":[{\"path\":\"/d\","
				"\"direct\":true},{\"path\":\"/e\",\"direct\":false},"
				"{\"path\":\"/f\",\"grow\":1048576}]}", plan_print);

	cr_assert_not_null(strstr(text, "disk image /d, read-only, direct\n"
				  "    15  BLK_WORK         transfers to do, for its threads\n"
				  "    16  BLK_DONE         transfers done, by its threads\n"), "%s", text);
	cr_assert_not_null(strstr(text, "  filters: jail, blk+direct\n  limits: 17 descriptors, 9 tasks,"));
	cr_assert_not_null(strstr(text, "disk image /e, read-only\n"), "%s", text);
	cr_assert_not_null(strstr(text, "disk image /f, read-only, may grow to 1024 KiB\n"), "%s", text);
	free(text);
}

Test(plan_print, an_overlay_and_what_lies_below_it)
{
	char *text = printed_of("{\"name\":\"v\",\"kernel\":\"/k\",\"disks\":[{\"path\":\"/d\","
				"\"readonly\":false,\"overlay\":true,\"overlay_path\":\"/o\"},"
				"{\"path\":\"/d\",\"readonly\":false,\"overlay\":true,"
				"\"discard\":false,\"overlay_limit\":1048576}]}", plan_print);

	cr_assert_not_null(strstr(text, "  filters: jail, blk+writable+discard+overlay\n"), "%s", text);
	cr_assert_not_null(strstr(text, "    13  BLK_DISK         overlay /o, read-write\n"
				  "    14  BLK_BASE         disk image /d, read-only\n"), "%s", text);
	cr_assert_not_null(strstr(text, "  filters: jail, blk+writable+overlay\n"), "%s", text);
	cr_assert_not_null(strstr(text, "    13  BLK_DISK         overlay in memory, read-write, at most "
				  "1024 KiB\n"), "%s", text);
	free(text);
}

Test(plan_print, people_get_the_whole_plan)
{
	char *text = printed(plan_print);

	cr_assert_str_eq(text, golden);
	free(text);
}

Test(plan_print, machines_get_the_same_as_json)
{
	char *text = printed(plan_print_json);
	json_t *root = json_loads(text, 0, NULL);
	json_t *processes = json_object_get(root, "processes");
	json_t *blk = json_array_get(processes, 1), *disk;

	cr_assert_not_null(root);
	cr_assert_eq(json_array_size(processes), 4);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(root, "cgroup"),
							"memory_max")), 174567424);
	cr_assert_str_eq(json_string_value(json_object_get(blk, "name")), "blk0");
	cr_assert_eq(json_integer_value(json_object_get(blk, "uid")), 2000000001);
	disk = json_array_get(json_object_get(blk, "descriptors"), 6);
	cr_assert_eq(json_integer_value(json_object_get(disk, "fd")), BLK_DISK);
	cr_assert_str_eq(json_string_value(json_object_get(disk, "name")), "BLK_DISK");
	cr_assert_str_eq(json_string_value(json_object_get(disk, "is")),
			 "disk image /d \"1\", read-write");
	json_decref(root);
	free(text);
}

Test(plan_print, a_descriptor_has_the_name_the_policies_use)
{
	char buf[32];

	cr_assert_str_eq(plan_fd_name(PROGRAM_BLK, BLK_DISK, buf, sizeof(buf)), "BLK_DISK");
	cr_assert_str_eq(plan_fd_name(PROGRAM_VMM, VMM_KICK0 + 127, buf, sizeof(buf)),
			 "VMM_KICK0+127");
	cr_assert_str_eq(plan_fd_name(PROGRAM_VSOCK, 0, buf, sizeof(buf)), "0");
	cr_assert_str_eq(plan_fd_name(PROGRAM_VSOCK, 1, buf, sizeof(buf)), "FD_PAGES");
}

static void print_both(FILE *out, const struct plan *plan)
{
	plan_print(out, plan);
	plan_print_json(out, plan);
}

Test(plan_print, a_network_interface_and_what_it_takes)
{
	static const char text[] = "{\"name\":\"v\",\"kernel\":\"/k\",\"net\":[{\"tap\":\"t0\","
		"\"queues\":2,\"mac\":\"52:54:00:00:00:01\",\"offload\":false}]}";
	char *out = printed_of(text, plan_print);

	cr_assert_not_null(strstr(out, "setpcap net_admin dac_override"));
	cr_assert_not_null(strstr(out, "process net0: immure-net, uid"));
	cr_assert_not_null(strstr(out, "  filters: jail, net\n"));
	cr_assert_not_null(strstr(out, "    11  NET_KICK1+3      queue notification, device 0 queue 4\n"));
	cr_assert_not_null(strstr(out, "    17  NET_TAP0+1       tap t0, queue 1, the guest is "
				  "52:54:00:00:00:01, MTU the tap's, no offloads\n"));
	free(out);
	config_free(&c);
}

Test(plan_print, a_network_through_passt)
{
	static const char text[] = "{\"name\":\"v\",\"kernel\":\"/k\",\"net\":[{\"mac\":\"52:54:00:00:00:01\","
		"\"user\":{\"address\":\"10.0.2.15/24\",\"gateway\":\"10.0.2.2\"}}]}";
	char *out = printed_of(text, print_both);

	cr_assert_null(strstr(out, "net_admin"), "without a tap it is given up at once");
	cr_assert_not_null(strstr(out, "    16  NET_TAP0         passt, a frame after the other; the guest is "
				  "52:54:00:00:00:01, 10.0.2.15/24, gateway 10.0.2.2, host's resolver at none, "
				  "MTU 1500\n"));
	cr_assert_not_null(strstr(out, "process passt: the host's passt, which sees the host's network, uid"));
	cr_assert_not_null(strstr(out, "  filters: its own\n"));
	cr_assert_not_null(strstr(out, "     3  PASST_NET        frames of immure-net\n"));
	cr_assert_not_null(strstr(out, "    31  SUP_PASST        to kill passt\n"));
	cr_assert_not_null(strstr(out, "\"name\": \"passt\", \"program\": \"passt\""));
	free(out);
	config_free(&c);
}

/* The words that lines of a policy file use, read as text. */
static unsigned words_of(const char *name)
{
	char path[64], line[512];
	unsigned when = 0;
	FILE *f;

	snprintf(path, sizeof(path), "policy/%s.policy", name);
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s: run in the top directory", path);
	while (fgets(line, sizeof(line), f) != NULL) {
		const char *at = line[0] == '#' ? NULL : strstr(line, " when ");

		line[strcspn(line, "#")] = 0;
		for (size_t w = 0; at != NULL && w < array_len(whens); w++)
			if (strstr(at, whens[w].name + 1) != NULL)
				when |= whens[w].number;
	}
	fclose(f);
	return when;
}

Test(plan_print, the_named_filters_are_those_of_the_policy_files)
{
	for (size_t i = 0; i < PROGRAMS; i++)
		for (size_t k = 0; k < 2 && programs[i].policy[k].name != NULL; k++)
			cr_assert_eq(programs[i].policy[k].when,
				     words_of(programs[i].policy[k].name), "%s",
				     programs[i].policy[k].name);
}

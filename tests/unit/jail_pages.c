/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The file of counters and limits of a real VM: who made it, who sees what of it, and that it
 * goes when the VM does. */
#include "jail_rig.h"

#include "core/pages.h"

enum { FILE_PAGES = 4 };	/* limits, VMM, disk, vsock */

static const char *pages_path(const struct rig *r)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/parent/run/%s", r->dir, PAGES_NAME);
	return path;
}

static const uint8_t *map_file(const struct rig *r)
{
	int fd = open(pages_path(r), O_RDONLY | O_CLOEXEC);
	const uint8_t *at;
	struct stat st;

	cr_assert(fd >= 0 && fstat(fd, &st) == 0);
	cr_assert_eq(st.st_size, FILE_PAGES * STATS_PAGE);
	cr_assert_eq(st.st_mode, S_IFREG | 0600);
	cr_assert_eq(st.st_uid, r->uid);
	at = mmap(NULL, FILE_PAGES * STATS_PAGE, PROT_READ, MAP_SHARED, fd, 0);
	cr_assert(at != MAP_FAILED && close(fd) == 0);
	return at;
}

static const struct stats_page *stats_of(const uint8_t *file, unsigned process)
{
	return (const void *)(file + (1 + process) * STATS_PAGE);
}

/* "rw 3,r 0": the pages of the file that @pid has mapped. */
static const char *mapped(pid_t pid)
{
	static char list[64];
	char path[32], line[512], how[8];
	unsigned long offset;
	size_t n = 0;
	FILE *f;

	list[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, "/" PAGES_NAME "\n") != NULL &&
		    sscanf(line, "%*s %7s %lx", how, &offset) == 2)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%.4s %lu,", how,
					      offset / STATS_PAGE);
	fclose(f);
	return list;
}

Test(pages, each_process_sees_its_own, .timeout = 60)
{
	struct rig r = rig_make(0);
	const struct limits_page *limits;
	const uint8_t *file;

	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	file = map_file(&r);
	limits = (const void *)file;
	cr_assert(limits->magic == LIMITS_MAGIC && limits->devices == 2);
	cr_assert(limits->device[0].kind == VM_DEVICE_BLK &&
		  limits->device[1].kind == VM_DEVICE_VSOCK);
	cr_assert_eq(stats_of(file, 0)->kind, VM_DEVICE_NONE);
	cr_assert_eq(stats_of(file, 1)->kind, VM_DEVICE_BLK);
	cr_assert_eq(stats_of(file, 2)->kind, VM_DEVICE_VSOCK);
	for (unsigned i = 0; i < 3; i++)
		cr_assert(stats_of(file, i)->magic == STATS_MAGIC &&
			  stats_of(file, i)->version == STATS_VERSION);
	cr_assert_eq(stats_of(file, 0)->vcpus, 1);
	cr_assert_str_eq(mapped(r.pid[0]), "rw-s 1,");
	cr_assert(strcmp(mapped(r.pid[1]), "r--s 0,rw-s 2,") == 0 ||
		  strcmp(mapped(r.pid[1]), "rw-s 2,r--s 0,") == 0, "%s", mapped(r.pid[1]));
	cr_assert(strcmp(mapped(r.pid[2]), "r--s 0,rw-s 3,") == 0 ||
		  strcmp(mapped(r.pid[2]), "rw-s 3,r--s 0,") == 0, "%s", mapped(r.pid[2]));
	cr_assert_str_eq(mapped(r.jailer), "");
	cr_assert_eq(send(r.client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(&r, "stopped", 0));
	rig_nothing_left(&r);
	rig_remove(&r);
}

Test(pages, the_limits_of_the_configuration_are_in_it, .timeout = 60)
{
	struct rig r = rig_make(0);
	const struct limits_page *limits;
	char config[1024];

	snprintf(config, sizeof(config), "{\"name\":\"%s\",\"id\":5,\"kernel\":\"%s/idle\","
		 "\"entry\":\"flat\",\"memory\":33554432,\"run_dir\":\"%s/parent/run\","
		 "\"disks\":[{\"path\":\"%s/disk\"},{\"path\":\"%s/disk\",\"rate_limiter\":{\"ops\":"
		 "{\"size\":70,\"one_time_burst\":3,\"refill_time\":1000}}}]}", r.name, r.dir, r.dir,
		 r.dir, r.dir);
	rig_start(&r, config);
	rig_running(&r);
	limits = (const void *)map_file(&r);
	cr_assert_eq(limits->device[0].direction[0].ops.size, 0);
	cr_assert_eq(limits->device[1].direction[0].ops.size, 70);
	cr_assert_eq(limits->device[1].direction[0].ops.burst, 3);
	cr_assert_eq(limits->device[1].direction[0].ops.refill_ms, 1000);
	cr_assert_eq(send(r.client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(&r, "stopped", 0));
	rig_nothing_left(&r);
	rig_remove(&r);
}

/* A VM that was killed with its supervisor has left one, which may say anything. */
Test(pages, one_that_a_dead_vm_left_is_replaced, .timeout = 60)
{
	struct rig r = rig_make(0);
	int fd = open(pages_path(&r), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	cr_assert(fd >= 0 && write(fd, "old", 3) == 3 && close(fd) == 0);
	rig_start(&r, rig_config(&r, "idle", ""));
	rig_running(&r);
	cr_assert_eq(stats_of(map_file(&r), 1)->magic, STATS_MAGIC);
	cr_assert_eq(send(r.client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(&r, "stopped", 0));
	rig_nothing_left(&r);
	rig_remove(&r);
}

Test(pages, what_is_in_the_way_and_no_file_is_not_touched, .timeout = 60)
{
	struct rig r = rig_make(0);
	char path[96];

	snprintf(path, sizeof(path), "%s", pages_path(&r));
	cr_assert_eq(mkdir(path, 0700), 0);
	rig_start(&r, rig_config(&r, "idle", ""));
	json_decref(rig_end(&r, "setup", 125));
	cr_assert_eq(rmdir(path), 0);
	rig_remove(&r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* Overlays of real VMs, in their jails: what is held, how far it goes, and what is refused. */
#include "core/overlay.c"

#include "tests/unit/jail_rig.h"

#include <sys/resource.h>

/* A VM with one disk, an overlay over @r's image; @more says of which kind. */
static const char *over(const struct rig *r, const struct rig *base, const char *more)
{
	static char text[1024];

	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"id\":5,\"kernel\":\"%s/idle\",\"entry\":\"flat\","
		 "\"memory\":33554432,\"run_dir\":\"%s/parent/run\",\"disks\":[{\"path\":\"%s/disk\","
		 "\"readonly\":false,\"overlay\":true%s}]}", r->name, r->dir, r->dir, base->dir, more);
	return text;
}

/* The same in the file "overlay" beside the image. */
static const char *over_file(const struct rig *r, const struct rig *base)
{
	char more[64];

	snprintf(more, sizeof(more), ",\"overlay_path\":\"%s/overlay\"", base->dir);
	return over(r, base, more);
}

static void expect_fd(pid_t pid, int number, const char *dir, const char *name)
{
	char path[64], want[64], got[128] = "";

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, number);
	snprintf(want, sizeof(want), "%s%s", dir, name);
	cr_assert_gt(readlink(path, got, sizeof(got) - 1), 0);
	cr_assert_str_eq(got, want);
}

static void remove_overlay(const struct rig *r)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/overlay", r->dir);
	cr_assert_eq(unlink(path), 0);
}

Test(jail_overlay, two_vms_hold_one_base_and_an_overlay_each, .timeout = 60)
{
	struct rig file = rig_make(0), memory = rig_make(0), third = rig_make(0);
	struct overlay_layout l;
	struct rlimit fsize;

	cr_assert(overlay_layout(&l, 1 << 20));
	rig_start(&file, over_file(&file, &file));
	rig_running(&file);
	rig_start(&memory, over(&memory, &file, ",\"overlay_limit\":1048576"));
	rig_running(&memory);
	expect_fd(file.pid[1], BLK_DISK, file.dir, "/overlay");
	expect_fd(file.pid[1], BLK_BASE, file.dir, "/disk");
	expect_fd(memory.pid[1], BLK_DISK, "", "/memfd:immure-overlay (deleted)");
	expect_fd(memory.pid[1], BLK_BASE, file.dir, "/disk");
	cr_assert_eq(prlimit(file.pid[1], RLIMIT_FSIZE, NULL, &fsize), 0);
	cr_assert(fsize.rlim_max == l.size && fsize.rlim_cur == l.size);
	cr_assert_eq(prlimit(memory.pid[1], RLIMIT_FSIZE, NULL, &fsize), 0);
	cr_assert_eq(fsize.rlim_max, l.size);
	rig_start(&third, over_file(&third, &file));
	json_decref(rig_end(&third, "setup", 125));
	rig_stop(&file);
	rig_stop(&memory);
	remove_overlay(&file);
	rig_remove(&third);
	rig_remove(&memory);
	rig_remove(&file);
}

/* The log line that says why, and the end. */
static void refused(struct rig *r, const char *why)
{
	bool said = false;
	json_t *e;

	while ((e = rig_event(r)) != NULL && strcmp(rig_word(e, "event"), "end") != 0) {
		said |= strstr(rig_word(e, "text"), why) != NULL;
		cr_assert_str_neq(rig_word(e, "event"), "running");
		json_decref(e);
	}
	cr_assert(said, "no line with '%s'", why);
	cr_assert_str_eq(rig_word(e, "reason"), "device-died", "%s", rig_word(e, "text"));
	json_decref(e);
	cr_assert_eq(waitpid(r->jailer, NULL, 0), r->jailer);
	close(r->client);
	r->client = -1;
}

Test(jail_overlay, what_is_none_is_found_out_in_the_jail, .timeout = 60)
{
	struct rig r = rig_make(0), again = rig_make(0);
	char path[64];
	int fd;

	rig_start(&r, over_file(&r, &r));
	rig_running(&r);
	rig_stop(&r);
	snprintf(path, sizeof(path), "%s/overlay", r.dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "\x0f", 1, OVERLAY_HEADER), 1);
	rig_start(&again, over_file(&again, &r));
	refused(&again, "its map is damaged");
	close(fd);
	remove_overlay(&r);
	rig_remove(&again);
	rig_remove(&r);
}

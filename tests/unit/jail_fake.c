/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* A jailed process that misbehaves, in a real jail: fake_jailed.c stands in for the programs. */
#include "tests/unit/jail_fakes.h"

#include <sys/un.h>

enum { RELAYED_A_SECOND = 100 };	/* RELAY_LINES of jailer/relay.h */

static struct rig r;

static void make_programs(void)
{
	r = rig_make(0);
	rig_fakes(&r, "fake_jailed");
}

static void remove_programs(void)
{
	rig_remove_fakes(&r);
	rig_nothing_left(&r);
	rig_remove(&r);
}

TestSuite(fake, .init = make_programs, .fini = remove_programs, .timeout = 60);

static void start(const char *what)
{
	char more[64];

	snprintf(more, sizeof(more), ",\"cmdline\":\"%s\"", what);
	rig_start(&r, rig_config(&r, "idle", more));
}

Test(fake, a_refused_call_is_reported_with_process_and_name)
{
	json_t *end;

	start("open");
	end = rig_end(&r, "violation", 1);
	cr_assert_str_eq(rig_word(end, "process"), "vsock");
	cr_assert_str_eq(rig_word(end, "syscall"), "openat");
	cr_assert_eq(json_integer_value(json_object_get(end, "detail")), 257);
	json_decref(end);
}

/* A disk past the host's cache may have some. */
Test(fake, a_refused_call_of_a_devices_thread_is_the_devices)
{
	int fd = open(r.dir, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	json_t *end;

	close(fd);
	if (fd < 0)
		cr_skip("NO DIRECT I/O in /tmp: not tried");
	r.direct = true;
	start("thread");
	end = rig_end(&r, "violation", 1);
	cr_assert_str_eq(rig_word(end, "process"), "blk0");
	cr_assert_str_eq(rig_word(end, "syscall"), "openat");
	json_decref(end);
}

Test(fake, a_device_that_leaves_ends_the_vm)
{
	json_t *end;

	start("exit");
	end = rig_end(&r, "device-died", 1);
	cr_assert_str_eq(rig_word(end, "process"), "blk0");
	cr_assert(strstr(rig_word(end, "text"), "status 3") != NULL);
	json_decref(end);
}

Test(fake, a_vmm_that_talks_nonsense_ends_the_vm)
{
	start("lie");
	json_decref(rig_end(&r, "vmm-died", 1));
}

/* For ever, and the supervisor listens to others all the same. */
Test(fake, a_vmm_that_repeats_itself_ends_the_vm)
{
	json_t *e;

	start("repeat");
	json_decref(rig_expect(&r, "running"));
	e = rig_end(&r, "vmm-died", 1);
	json_decref(e);
}

/* It may not put words into the supervisor's mouth: the VM goes on until it is stopped. */
Test(fake, a_vmm_cannot_report_a_violation)
{
	start("accuse");
	rig_running(&r);
	cr_assert_eq(send(r.client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(&r, "stopped", 0));
}

Test(fake, the_supervisor_connects_for_the_guest)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int ears = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	char got[6] = "";

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/parent/run/v.sock_7", r.dir);
	cr_assert_eq(bind(ears, (struct sockaddr *)&un, sizeof(un)), 0);
	cr_assert_eq(listen(ears, 1), 0);
	start("dial");
	fd = accept(ears, NULL, NULL);
	cr_assert_eq(recv(fd, got, 5, MSG_WAITALL), 5);
	cr_assert_str_eq(got, "hello");
	cr_assert_eq(send(r.client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(&r, "stopped", 0));
}

Test(fake, a_port_nobody_listens_on_is_refused)
{
	json_t *e;

	start("dial");
	e = rig_expect(&r, "log");
	cr_assert_str_eq(rig_word(e, "process"), "vsock");
	cr_assert_str_eq(rig_word(e, "text"), "refused");
	json_decref(e);
	cr_assert_eq(send(r.client, "x", 1, 0), 1);	/* whatever is said means stop */
	json_decref(rig_end(&r, "stopped", 0));
}

static void await_log(const char *text)
{
	json_t *e = rig_expect(&r, "log");

	cr_assert_str_eq(rig_word(e, "text"), text);
	json_decref(e);
}

static void stop(void)
{
	cr_assert_eq(send(r.client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(&r, "stopped", 0));
}

/* Nanoseconds of processor time that the supervisor has used. */
static unsigned long long supervisor_time(void)
{
	unsigned long long ns = 0;
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)r.jailer);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	cr_assert_eq(fscanf(f, "%llu", &ns), 1);
	fclose(f);
	return ns;
}

Test(fake, an_asker_that_does_not_listen_costs_the_supervisor_nothing)
{
	unsigned long long before;

	start("deaf");
	await_log("asking");
	usleep(200000);
	before = supervisor_time();
	usleep(1000000);
	cr_assert_leq(supervisor_time() - before, 20000000, "it spins");
	stop();
}

/* 3500 answers at 1000 a second: the first second and two more are over. */
Test(fake, connections_are_made_at_a_bounded_rate)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	start("often");
	await_log("answered");
	clock_gettime(CLOCK_MONOTONIC, &to);
	cr_assert_geq((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000,
		      2900, "too fast");
	stop();
}

/* What a caller sees of it: the lines, harmless, and the count of those it did not read in
 * time. */
static bool is_flood(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return strcmp(text, "?[31mflood") == 0 ||
	       (digits > 0 && strcmp(text + digits, " lines dropped") == 0);
}

Test(fake, a_flood_of_lines_reaches_the_caller_as_a_trickle)
{
	struct timespec from, to;
	unsigned lines = 0;
	double seconds;
	json_t *e;

	clock_gettime(CLOCK_MONOTONIC, &from);
	start("flood");
	do {
		e = rig_expect(&r, "log");
		cr_assert(is_flood(rig_word(e, "text")), "%s", rig_word(e, "text"));
		json_decref(e);
		lines++;
		clock_gettime(CLOCK_MONOTONIC, &to);
		seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)to.tv_nsec;
		seconds -= 1e-9 * (double)from.tv_nsec;
	} while (seconds < 1.5);
	/* Two processes flood; two windows may have begun, and the chunk read last is whole. */
	cr_assert_leq(lines, 2 * 2 * (RELAYED_A_SECOND + 200));
	cr_assert_eq(kill(r.jailer, SIGTERM), 0);
	while ((e = rig_event(&r)) != NULL)
		json_decref(e);
	waitpid(r.jailer, NULL, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The built `immure net denied` asks after real VMs, from a network namespace that is not theirs. */
#include "core/fdplan.h"
#include "tests/unit/command.h"
#include "tests/unit/jail_rig.h"

#include <sys/syscall.h>

enum { HEADER = 12, FRAME = 60, NET = 2 };	/* NET: the disk's is 1, vsock's 3 */

static char output[64 << 10];

static bool in_another_network(void)
{
	return unshare(CLONE_NEWNET) == 0;
}

/* Runs `immure net denied NAME --json` as user @uid; its exit status. */
static int ask_denied(uid_t uid, const char *name)
{
	const struct command c = {
		.uid = uid, .errors = true, .before = in_another_network,
		.argv = { "immure", "net", "denied", name, "--json" },
	};

	return command_run(&c, output, sizeof(output));
}

static struct rig start_vm(uid_t uid, const char *more)
{
	struct rig r = rig_make(uid);

	if (unshare(CLONE_NEWNET) < 0 || access("/dev/net/tun", F_OK) != 0)
		cr_skip("no tap can be made here");
	rig_start(&r, rig_config(&r, "idle", more));
	rig_running(&r);
	return r;
}

static void end_vm(struct rig *r)
{
	cr_assert_eq(send(r->client, "{\"op\":\"stop\"}", 13, 0), 13);
	json_decref(rig_end(r, "stopped", 0));
	rig_nothing_left(r);
	rig_remove(r);
}

/* Frames from a MAC address that is not the VM's, as if its process had been taken over. */
static void forge(const struct rig *r, unsigned times)
{
	const uint8_t frame[HEADER + FRAME] = { [HEADER + 6] = 0x02, 0xee, [HEADER + 12] = 8 };
	int process = (int)syscall(SYS_pidfd_open, r->pid[NET], 0);
	int tap = (int)syscall(SYS_pidfd_getfd, process, NET_TAP0, 0);

	cr_assert_geq(tap, 0, "%s", strerror(errno));
	while (times-- > 0)
		cr_assert_eq(write(tap, frame, sizeof(frame)), (ssize_t)sizeof(frame), "%s", strerror(errno));
	close(tap);
	close(process);
}

Test(jail_denied, what_a_running_vm_was_refused, .timeout = 60)
{
	struct rig r = start_vm(0, ",\"net\":[{\"tap\":\"t0\"}]");
	json_t *o, *rules;

	forge(&r, 7);
	cr_assert_eq(ask_denied(0, r.name), 0, "%s", output);
	o = json_loads(output, 0, NULL);
	cr_assert_not_null(o, "not JSON: %s", output);
	cr_assert_str_eq(rig_word(o, "name"), r.name);
	cr_assert_str_eq(rig_word(o, "tap"), "t0");
	rules = json_object_get(o, "rules");
	cr_assert_eq(json_integer_value(json_object_get(rules, "MAC")), 7, "%s", output);
	cr_assert_eq(json_integer_value(json_object_get(o, "refused")), 7, "%s", output);
	json_decref(o);
	cr_assert_eq(ask_denied(12345, r.name), 125);
	cr_assert_not_null(strstr(output, "only root"), "%s", output);
	end_vm(&r);
}

Test(jail_denied, a_vm_without_a_wall_and_one_without_a_network, .timeout = 60)
{
	struct rig r = start_vm(0, ",\"net\":[{\"tap\":\"t0\",\"wall\":\"off\"}]");

	cr_assert_eq(ask_denied(0, r.name), 125);
	cr_assert_not_null(strstr(output, "there is no packet wall before tap t0"), "%s", output);
	end_vm(&r);
	r = start_vm(0, "");
	cr_assert_eq(ask_denied(0, r.name), 125);
	cr_assert_not_null(strstr(output, "has no network interface"), "%s", output);
	end_vm(&r);
	cr_assert_eq(ask_denied(0, "no-such-machine"), 125);
	cr_assert_not_null(strstr(output, "no VM named no-such-machine"), "%s", output);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* `immure net denied` of a VM whose network process is the test itself: a real tap in a network
 * namespace of its own, the packet wall before it, and frames through it. */
#include "bpf/wall.c"
#include "cli/net.c"
#include "cli/net_print.c"
#include "cli/net_tap.c"
#include "cli/net_user.c"
#include "cli/net_wall.c"
#include "cli/run_values.c"
#include "cli/say.c"
#include "jailer/bpf.c"
#include "jailer/failure.c"
#include "jailer/wall.c"
#include "policy/bpf/wall_model.c"

#include "tests/unit/wall.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static unsigned ifindex;
static struct wall_config config;
static char output[64 << 10];

/* ---- the VMs that `immure walls` would find ---- */

static unsigned vms = 1;
static int program = PROGRAM_NET;
static pid_t second;			/* process of another interface, or 0 */
static struct stats_vm *counting;	/* NULL: they have taps, none counts by itself */
static bool passt;			/* the first interface is the one that counts */

bool run_dir_has(const char *name, const char *file)
{
	(void)name, (void)file;
	return counting != NULL;
}

int stats_open(const char *name, int flags)
{
	(void)name;
	return open("/dev/null", flags | O_CLOEXEC);
}

int stats_read(struct stats_vm *vm, const char *name, int fd)
{
	(void)name, (void)fd;
	*vm = *counting;
	return 0;
}

int walls_host(struct walls_host *h)
{
	*h = (struct walls_host){ .proc = -1, .cgroup = -1 };
	return 0;
}

int walls_supervisors(const struct walls_host *h, pid_t *pid, int max)
{
	(void)h;
	cr_assert_geq(max, 2);
	pid[0] = pid[1] = 1;
	return (int)vms;
}

int walls_select(const struct walls_host *h, const char *name, pid_t *pid, int n, struct walls_vm *vm)
{
	(void)h, (void)pid, (void)vm;
	return strcmp(name, "web") == 0 ? n : 0;
}

void walls_read(const struct walls_host *h, pid_t supervisor, struct walls_vm *vm)
{
	(void)h;
	*vm = (struct walls_vm){ .n = 3, .name = "web" };
	vm->proc[0] = (struct walls_process){ .pid = supervisor, .program = PROGRAM_SUPERVISOR };
	vm->proc[1] = (struct walls_process){ .pid = supervisor, .program = PROGRAM_VMM };
	vm->proc[2] = (struct walls_process){ .pid = getpid(), .program = program };
	if (second != 0) {
		static struct walls_fd fd = { .number = NET_TAP0, .kind = KIND_CHAR };

		vm->proc[vm->n++] = (struct walls_process){
			.pid = second, .program = PROGRAM_NET, .fd = &fd, .nfds = 1,
		};
	}
	if (passt) {
		static struct walls_fd fd = { .number = NET_TAP0, .kind = KIND_SOCKET };

		vm->proc[2].fd = &fd;
		vm->proc[2].nfds = 1;
		vm->proc[vm->n++] = (struct walls_process){ .pid = 1, .program = PROGRAM_PASST };
	}
}

void walls_free(struct walls_vm *vm)
{
	(void)vm;
}

int help_print(const char *command)
{
	cr_assert_str_eq(command, "net");
	return 0;
}

/* ---- the tap ---- */

/* Makes the tap @name that is up, at descriptor @fd. */
static void make_tap(const char *name, int fd)
{
	struct ifreq req = { .ifr_name = "" };
	int opened = open("/dev/net/tun", O_RDWR | O_NONBLOCK), sock = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	if (opened < 0)
		cr_skip("needs /dev/net/tun");
	req.ifr_flags = IFF_TAP | IFF_NO_PI;
	cr_assert_eq(ioctl(opened, TUNSETIFF, &req), 0, "%s", strerror(errno));
	req.ifr_flags = IFF_UP;
	cr_assert_eq(ioctl(sock, SIOCSIFFLAGS, &req), 0, "%s", strerror(errno));
	cr_assert_eq(dup2(opened, fd), fd);
	close(opened);
	close(sock);
}

static void start(void)
{
	if (geteuid() != 0)
		cr_skip("needs root");
	if (unshare(CLONE_NEWNET) != 0)
		cr_skip("needs network namespaces");
	make_tap("walled", NET_TAP0);
	ifindex = if_nametoindex("walled");
	config = usual;
	config.flags |= WALL_HAS_ALLOW;
}

TestSuite(net_denied, .init = start);

static void attach_it(void)
{
	struct failure f = { "" };

	cr_assert_eq(wall_attach(ifindex, "walled", &config, &f), 0, "%s", f.text);
}

/* Puts the wall's program there in the form of @b. */
static void attach_image(const struct bpf_image *b)
{
	struct bpf_loaded l;

	cr_assert_eq(bpf_load(b, NULL, &l), 0);
	cr_assert_eq(install(ifindex, l.program[0]), 0);
	bpf_close(b, &l);
}

static void send_it(struct frame f, unsigned times)
{
	while (times-- > 0)
		cr_assert_eq(write(NET_TAP0, f.b, f.len), (ssize_t)f.len, "%s", strerror(errno));
}

/* 3 that pass, and 1 + 2 + 5 + 7 + 4 that do not. */
static void send_some(void)
{
	struct frame foreign = arp(1, VM_IP4);

	config.allow[0] = (struct wall_allow){ .version = 4, .port_last = 0 };
	inet_pton(AF_INET, "192.0.2.9", config.allow[0].addr);
	config.allow[0].mask[0] = UINT32_MAX;
	attach_it();
	foreign.b[11] ^= 1;
	send_it(arp(1, VM_IP4), 1);
	send_it(ports(ip4(VM_IP4, "192.0.2.9", IPPROTO_TCP), 1000, 443), 2);
	send_it(foreign, 1);
	send_it(arp(1, "10.9.0.7"), 2);
	send_it(ports(ip4(VM_IP4, "169.254.169.254", IPPROTO_TCP), 1000, 80), 5);
	send_it(ports(ip6(VM_IP6, "2001:db8::7", IPPROTO_UDP), 1000, 5300), 7);
	send_it(ip4(VM_IP4, "192.0.2.8", 47), 4);
}

/* ---- the command ---- */

static int run_net(const char *a, const char *b, const char *c)
{
	char *argv[] = { (char *)"net", (char *)a, (char *)b, (char *)c, NULL };
	int out = memfd_create("output", MFD_CLOEXEC), argc = 1, old = dup(1), status;
	ssize_t n;

	while (argv[argc] != NULL)
		argc++;
	fflush(stdout);
	cr_assert_eq(dup2(out, 1), 1);
	status = cmd_net(argc, argv);
	fflush(stdout);
	cr_assert_eq(dup2(old, 1), 1);
	n = pread(out, output, sizeof(output) - 1, 0);
	cr_assert_geq(n, 0);
	output[n] = 0;
	close(old);
	close(out);
	return status;
}

/* It ends with an error of which @word is part, and prints nothing else. */
static void fails(const char *word)
{
	cr_assert_eq(run_net("denied", "web", NULL), EXIT_IMMURE);
	cr_assert_not_null(strstr(say_last(), word), "no '%s' in: %s", word, say_last());
	cr_assert_str_eq(output, "");
}

static json_t *succeeds_with(size_t flags)
{
	json_t *o;

	cr_assert_eq(run_net("denied", "web", "--json"), 0, "%s", say_last());
	o = json_loads(output, flags, NULL);
	cr_assert_not_null(o, "not JSON: %s", output);
	return o;
}

static json_t *succeeds(void)
{
	return succeeds_with(0);
}

static json_int_t value(const json_t *o, const char *key)
{
	cr_assert(json_is_integer(json_object_get(o, key)), "no %s in: %s", key, output);
	return json_integer_value(json_object_get(o, key));
}

/* A line of the text that is these words, whatever lies between them. */
static bool has_line(const char *words)
{
	char line[256], *to;

	for (const char *p = output; *p != 0; p += strcspn(p, "\n"), p += *p != 0) {
		to = line;
		for (const char *c = p; *c != '\n' && *c != 0 && to < line + sizeof(line) - 1; c++)
			if (*c != ' ' || (to > line && to[-1] != ' '))
				*to++ = *c;
		*to = 0;
		if (strcmp(line, words) == 0)
			return true;
	}
	return false;
}

Test(net_denied, the_text_has_every_rule_and_where_the_frames_were_to_go)
{
	send_some();
	cr_assert_eq(run_net("denied", "web", NULL), 0, "%s", say_last());
	cr_assert(has_line("tap walled: 3 frames passed, 19 refused"), "%s", output);
	cr_assert(has_line("MAC 1 from a MAC address that is not the VM's"), "%s", output);
	cr_assert(has_line("ARP 2 of ARP that is malformed or claims another's address"), "%s", output);
	cr_assert(has_line("METADATA 5 to link-local IPv4 or a cloud's metadata service"), "%s", output);
	cr_assert(has_line("EGRESS 11 to where the allow-list does not lead"), "%s", output);
	cr_assert(has_line("RATE 0 beyond the frames a second that the VM may send"), "%s", output);
	cr_assert(has_line("EGRESS 7 2001:db8::7 port 5300 udp"), "%s", output);
	cr_assert(has_line("METADATA 5 169.254.169.254 port 80 tcp"), "%s", output);
	cr_assert(has_line("EGRESS 4 192.0.2.8 protocol 47"), "%s", output);
	cr_assert(has_line("ARP 2 (not IP)") && has_line("MAC 1 (not IP)"), "%s", output);
}

Test(net_denied, json_has_the_same)
{
	json_t *o, *rules, *targets, *t;
	json_int_t before = INT64_MAX;
	size_t i;

	send_some();
	o = succeeds();
	cr_assert_str_eq(json_string_value(json_object_get(o, "name")), "web");
	cr_assert_str_eq(json_string_value(json_object_get(o, "tap")), "walled");
	cr_assert(value(o, "passed") == 3 && value(o, "refused") == 19, "%s", output);
	rules = json_object_get(o, "rules");
	cr_assert_eq(json_object_size(rules), WALL_NRULES - 1);
	cr_assert(value(rules, "MAC") == 1 && value(rules, "ARP") == 2 && value(rules, "METADATA") == 5 &&
		  value(rules, "EGRESS") == 11 && value(rules, "SOURCE") == 0, "%s", output);
	targets = json_object_get(o, "targets");
	cr_assert_eq(json_array_size(targets), 5, "%s", output);
	json_array_foreach(targets, i, t) {
		cr_assert_leq(value(t, "frames"), before, "%s", output);
		before = value(t, "frames");
	}
	t = json_array_get(targets, 0);
	cr_assert_str_eq(json_string_value(json_object_get(t, "rule")), "EGRESS");
	cr_assert_str_eq(json_string_value(json_object_get(t, "address")), "2001:db8::7");
	cr_assert(value(t, "frames") == 7 && value(t, "port") == 5300 && value(t, "protocol") == IPPROTO_UDP);
	t = json_array_get(targets, 2);
	cr_assert(value(t, "protocol") == 47 && json_is_null(json_object_get(t, "port")), "%s", output);
	t = json_array_get(targets, 4);
	cr_assert(json_is_null(json_object_get(t, "address")) && json_is_null(json_object_get(t, "protocol")));
	json_decref(o);
}

Test(net_denied, a_wall_that_refused_nothing_says_so)
{
	json_t *o;

	attach_it();
	o = succeeds();
	cr_assert(value(o, "passed") == 0 && value(o, "refused") == 0);
	cr_assert_eq(json_array_size(json_object_get(o, "targets")), 0);
	json_decref(o);
	cr_assert_eq(run_net("denied", "web", NULL), 0);
	cr_assert_null(strstr(output, "OF LATE"), "%s", output);
}

Test(net_denied, more_targets_than_the_kernel_keeps_are_counted_by_their_rule)
{
	char to[INET_ADDRSTRLEN];
	json_t *o;

	attach_it();
	for (unsigned i = 0; i < 3 * WALL_DENIED_MAX; i++) {
		snprintf(to, sizeof(to), "192.0.%u.%u", i / 250, 1 + i % 250);
		send_it(ip4(VM_IP4, to, IPPROTO_TCP), 1);
	}
	o = succeeds();
	cr_assert_eq(value(json_object_get(o, "rules"), "EGRESS"), 3 * WALL_DENIED_MAX);
	cr_assert_gt(json_array_size(json_object_get(o, "targets")), 0);
	cr_assert_leq(json_array_size(json_object_get(o, "targets")), WALL_DENIED_MAX);
	json_decref(o);
}

Test(net_denied, a_tap_of_the_same_name_elsewhere_is_not_mistaken_for_it)
{
	json_t *o;

	send_some();
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	make_tap("walled", NET_TAP0 + 1);
	o = succeeds();
	cr_assert_eq(value(o, "refused"), 19);
	json_decref(o);
}

Test(net_denied, what_stands_before_the_tap_and_is_no_wall_is_not_read)
{
	struct failure f = { "" };
	struct bpf_program_image other = bpf_wall.program[0];
	struct bpf_image image = bpf_wall;

	fails("there is no packet wall before tap walled");
	attach_it();
	cr_assert_eq(wall_detach(ifindex, "walled", &f), 0, "%s", f.text);
	fails("there is no packet wall before tap walled");
	snprintf(other.name, sizeof(other.name), "immure_other");
	image.program = &other;
	attach_image(&image);
	fails("there is no packet wall before tap walled");
}

/* Each of the two maps, with every part of its form changed. */
Test(net_denied, a_wall_of_another_version_is_refused)
{
	struct bpf_map_image map[BPF_MAPS_MAX];
	struct bpf_image image = bpf_wall;
	unsigned changed = 0;

	image.map = map;
	for (uint32_t i = 0; i < image.nmaps; i++) {
		if (strcmp(bpf_wall.map[i].name, "wall_counts") != 0 &&
		    strcmp(bpf_wall.map[i].name, "wall_denied") != 0)
			continue;
		memcpy(map, bpf_wall.map, image.nmaps * sizeof(map[0]));
		map[i].max_entries *= 2;
		attach_image(&image);
		fails("not in the form that this immure knows");
		memcpy(map, bpf_wall.map, image.nmaps * sizeof(map[0]));
		map[i].value_size *= 2;
		attach_image(&image);
		fails("not in the form that this immure knows");
		memcpy(map, bpf_wall.map, image.nmaps * sizeof(map[0]));
		snprintf(map[i].name, sizeof(map[i].name), "other");
		attach_image(&image);
		fails("not in the form that this immure knows");
		changed++;
	}
	cr_assert_eq(changed, 2);
	attach_it();
	json_decref(succeeds());
}

Test(net_denied, who_is_not_root_is_told_what_is_missing)
{
	int err[2], n;

	attach_it();
	cr_assert_eq(pipe(err), 0);
	cr_assert_eq(dup2(err[1], 2), 2);
	cr_assert_eq(setresuid(65534, 65534, 65534), 0);
	fails("the tap of process");
	n = (int)read(err[0], output, sizeof(output) - 1);
	cr_assert_gt(n, 0);
	output[n] = 0;
	cr_assert_not_null(strstr(output, "only root"), "%s", output);
	cr_assert_not_null(strstr(output, "CAP_NET_ADMIN"), "%s", output);
}

Test(net_denied, a_vm_without_network_interface_or_tap)
{
	program = PROGRAM_BLK;
	fails("the VM web has no network interface");
	program = PROGRAM_NET;
	close(NET_TAP0);
	fails("the tap of process");
	cr_assert_eq(dup2(1, NET_TAP0), NET_TAP0);
	fails("the tap of process");
}

/* The pages of a VM whose interface counts by itself. */
static struct stats_vm user_vm(void)
{
	struct stats_vm own = { .n = 3, .name = "web" };

	own.process[1] = (struct stats_process){ .kind = VM_DEVICE_BLK, .trusted = true, .page = { .walled = 1 } };
	own.process[2] = (struct stats_process){ .kind = VM_DEVICE_NET, .trusted = true, .page = { .walled = 1 } };
	return own;
}

/* Another process with another tap, before which there is a wall or none. */
static void second_interface(bool walled)
{
	struct failure f = { "" };
	int ready[2];
	char c;

	cr_assert_eq(pipe(ready), 0);
	second = fork();
	if (second == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		make_tap("other", NET_TAP0);
		if (walled && wall_attach(if_nametoindex("other"), "other", &config, &f) != 0)
			_exit(1);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
}

Test(net_denied, every_interface_is_printed)
{
	json_error_t error;
	json_t *o[2];

	second_interface(true);
	send_some();
	cr_assert_eq(run_net("denied", "web", NULL), 0, "%s", say_last());
	cr_assert(has_line("tap walled: 3 frames passed, 19 refused"), "%s", output);
	cr_assert(has_line("tap other: 0 frames passed, 0 refused"), "%s", output);
	cr_assert_not_null(strstr(output, "\n\ntap other"), "%s", output);
	o[0] = succeeds_with(JSON_DISABLE_EOF_CHECK);
	o[1] = json_loads(strchr(output, '\n') + 1, 0, &error);
	cr_assert_str_eq(json_string_value(json_object_get(o[0], "tap")), "walled");
	cr_assert_str_eq(json_string_value(json_object_get(o[1], "tap")), "other");
	cr_assert_str_eq(json_string_value(json_object_get(o[1], "name")), "web");
	json_decref(o[0]);
	json_decref(o[1]);
}

Test(net_denied, one_that_has_no_wall_hides_no_other)
{
	second_interface(false);
	send_some();
	cr_assert_eq(run_net("denied", "web", NULL), EXIT_IMMURE);
	cr_assert_not_null(strstr(say_last(), "no packet wall before tap other"), "%s", say_last());
	cr_assert(has_line("tap walled: 3 frames passed, 19 refused"), "%s", output);
}

Test(net_denied, passt_and_a_tap_are_each_asked_where_they_count)
{
	static struct stats_vm own;

	own = user_vm();
	own.process[2].page.u.wall.count[WALL_PASS] = 7;
	own.process[own.n++] = (struct stats_process){ .kind = VM_DEVICE_NET, .trusted = true };
	counting = &own;
	passt = true;
	second_interface(true);
	cr_assert_eq(run_net("denied", "web", NULL), 0, "%s", say_last());
	cr_assert(has_line("user: 7 frames passed, 0 refused"), "%s", output);
	cr_assert(has_line("tap other: 0 frames passed, 0 refused"), "%s", output);
	cr_assert_null(strstr(output, "walled"), "%s", output);
	own.process[2].page.walled = 0;
	cr_assert_eq(run_net("denied", "web", NULL), EXIT_IMMURE);
	cr_assert_not_null(strstr(say_last(), "the packet wall of web cannot be read here"), "%s", say_last());
	cr_assert(has_line("tap other: 0 frames passed, 0 refused"), "%s", output);
}

Test(net_denied, names_must_lead_to_one_vm)
{
	cr_assert_eq(run_net("denied", "db", NULL), EXIT_IMMURE);
	cr_assert_not_null(strstr(say_last(), "no VM named db runs here"));
	vms = 0;
	fails("no VM named web runs here");
	vms = 2;
	fails("2 VMs are named web");
}

Test(net_denied, other_words_are_refused)
{
	cr_assert_eq(run_net(NULL, NULL, NULL), EXIT_IMMURE);
	cr_assert_eq(run_net("denied", NULL, NULL), EXIT_IMMURE);
	cr_assert_eq(run_net("web", NULL, NULL), EXIT_IMMURE);
	cr_assert_eq(run_net("denied", "web", "db"), EXIT_IMMURE);
	cr_assert_eq(run_net("denied", "web", "--prom"), EXIT_IMMURE);
	cr_assert_eq(run_net("--help", NULL, NULL), 0);
}

/* What an answer of the kernel is not: it ends where it ends. */
Test(net_denied, attributes_that_do_not_fit_are_not_read)
{
	uint8_t b[32] = { 0 };
	struct rtattr a = { .rta_len = 12, .rta_type = TCA_KIND };

	memcpy(b, &a, sizeof(a));
	cr_assert_eq(attribute((struct span){ b, 12 }, TCA_KIND).n, 8);
	for (size_t n = 0; n < 12; n++)
		cr_assert_null(attribute((struct span){ b, n }, TCA_KIND).p, "%zu", n);
	for (a.rta_len = 0; a.rta_len < 4; a.rta_len++) {
		memcpy(b, &a, sizeof(a));
		cr_assert_null(attribute((struct span){ b, sizeof(b) }, TCA_KIND).p);
	}
	cr_assert_null(attribute((struct span){ NULL, 0 }, TCA_KIND).p);
}

Test(net_denied, messages_that_do_not_fit_are_errors)
{
	uint8_t b[64] = { 0 };
	struct nlmsghdr h = { .nlmsg_len = 40, .nlmsg_type = RTM_NEWTFILTER };
	uint32_t id[FILTERS];
	unsigned have = 0;

	memcpy(b, &h, sizeof(h));
	cr_assert_eq(take_answer(b, 39, id, &have), -EPROTO);
	cr_assert_eq(take_answer(b, 40, id, &have), 1);
	h.nlmsg_len = 15;
	memcpy(b, &h, sizeof(h));
	cr_assert_eq(take_answer(b, 40, id, &have), -EPROTO);
	h.nlmsg_len = 16;
	h.nlmsg_type = NLMSG_DONE;
	memcpy(b, &h, sizeof(h));
	cr_assert_eq(take_answer(b, 16, id, &have), 0);
	cr_assert_eq(have, 0);
}

/* ---- without a tap: the page of the process itself, whose bytes may be hostile ---- */

Test(net_user, what_the_process_counted)
{
	struct stats_vm own = user_vm();
	struct stats_wall *w = &own.process[2].page.u.wall;
	static struct net_denied d;
	json_t *o;

	w->count[WALL_PASS] = 7;
	w->count[WALL_EGRESS] = 3;
	w->denied[0].what = (struct wall_denied){ WALL_EGRESS, { .addr = { 10, 1, 1, 1 }, .port = 80, .version = 4,
								  .proto = IPPROTO_TCP } };
	w->denied[0].frames = 1;
	w->denied[5].what = w->denied[0].what;
	w->denied[5].what.target.port = 81;
	w->denied[5].frames = 2;
	cr_assert(net_user_take(&d, &own));
	cr_assert(d.user && d.n == 2);
	cr_assert(d.target[0].frames == 2 && d.target[0].what.target.port == 81, "most frames first");
	o = net_json(&d);
	cr_assert(json_is_null(json_object_get(o, "tap")));
	cr_assert_eq(json_integer_value(json_object_get(o, "refused")), 3);
	cr_assert_eq(json_integer_value(json_object_get(o, "passed")), 7);
	json_decref(o);
}

Test(net_user, what_has_no_place_in_a_table_is_left_out)
{
	struct stats_vm own = user_vm();
	static struct net_denied d;

	memset(&own.process[2].page.u.wall, 0xff, sizeof(own.process[2].page.u.wall));
	cr_assert(net_user_take(&d, &own));
	cr_assert_eq(d.n, 0);
	net_print(&d);
	json_decref(net_json(&d));
}

Test(net_user, a_page_that_is_not_what_it_should_be_says_nothing)
{
	struct stats_vm own = user_vm();
	static struct net_denied d;

	own.process[2].trusted = false;
	cr_assert(!net_user_take(&d, &own));
	own.process[2].trusted = true;
	own.process[2].page.walled = 0;
	cr_assert(!net_user_take(&d, &own));
	cr_assert_eq(net_user_read("../web", &d), 0);
}

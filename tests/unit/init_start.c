/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's parsers: START, small control frames, image kinds, users. */
#include <criterion/criterion.h>

#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/control.c"
#include "guest/fail.c"
#include "guest/modules.c"
#include "guest/mounts.c"
#include "guest/rootfs.c"
#include "guest/start.c"
#include "guest/users.c"

/* A START frame under construction. */
struct body {
	size_t len;
	char bytes[4096];
};

static struct body head(uint32_t version, uint32_t flags, uint32_t argc, uint32_t envc)
{
	const struct proto_start h = {
		.version = to_le32(version), .flags = to_le32(flags), .argc = to_le32(argc),
		.envc = to_le32(envc), .winsize = { to_le16(24), to_le16(80) },
	};
	struct body b = { .len = sizeof(h) };

	memcpy(b.bytes, &h, sizeof(h));
	return b;
}

static void add(struct body *b, const char *s)
{
	memcpy(b->bytes + b->len, s, strlen(s) + 1);
	b->len += strlen(s) + 1;
}

static struct body good(void)
{
	struct body b = head(PROTO_VERSION, PROTO_TTY, 2, 1);

	add(&b, "echo");
	add(&b, "");
	add(&b, "K=v=w");
	add(&b, "/tmp");
	add(&b, "nobody:users");
	return b;
}

static struct start s;

static int parse_it(struct body *b)
{
	const char *why;
	char *copy = malloc(b->len);
	int ret;

	/* Exactly as large as the frame, so that a sanitizer sees a read behind it. */
	memcpy(copy, b->bytes, b->len);
	ret = start_parse(&s, copy, b->len, &why);
	cr_assert(ret == 0 ? !why : !!why);
	if (ret < 0)
		free(copy);
	return ret;
}

Test(start, a_whole_frame_is_taken_apart)
{
	struct body b = good();

	cr_assert_eq(parse_it(&b), 0);
	cr_assert(s.tty);
	cr_assert_eq(s.rows, 24);
	cr_assert_eq(s.cols, 80);
	cr_assert_eq(s.argc, 2);
	cr_assert_str_eq(s.argv[0], "echo");
	cr_assert_str_eq(s.argv[1], "");
	cr_assert_null(s.argv[2]);
	cr_assert_str_eq(s.env[0], "K=v=w");
	cr_assert_null(s.env[1]);
	cr_assert_str_eq(s.dir, "/tmp");
	cr_assert_str_eq(s.user, "nobody:users");
}

Test(start, every_truncation_is_refused)
{
	struct body b = good();

	for (size_t len = b.len; len-- > 0;) {
		b.len = len;
		cr_assert_eq(parse_it(&b), -1, "%zu bytes were taken", len);
	}
}

Test(start, bytes_behind_the_last_string_are_refused)
{
	struct body b = good();

	add(&b, "");
	cr_assert_eq(parse_it(&b), -1);
}

Test(start, another_version_is_refused)
{
	struct body b = good();

	b.bytes[0]++;
	cr_assert_eq(parse_it(&b), -1);
}

/* good(), with @n network interfaces. */
static struct body with_nets(const struct proto_net *net, uint32_t n)
{
	struct body b = head(PROTO_VERSION, 0, 1, 0);

	memcpy(b.bytes + offsetof(struct proto_start, nets), &n, 4);
	memcpy(b.bytes + b.len, net, n * sizeof(*net));
	b.len += n * sizeof(*net);
	add(&b, "echo");
	add(&b, "/tmp");
	add(&b, "");
	return b;
}

static const struct proto_net net_good[PROTO_NETS_MAX + 1] = {
	{ .mac = { 2, 1 }, .address = { 10, 0, 0, 2 }, .gateway = { 10, 0, 0, 1 }, .prefix = 24,
	  .dns = { { 0xfd, [15] = 1 } } },
	{ .mac = { 2, 2 }, .address6 = { 0xfd, [15] = 2 }, .prefix6 = 64 },
	{ .mac = { 2, 3 } }, { .mac = { 2, 4 } }, { .mac = { 2, 5 } }, { .mac = { 2, 6 } }, { .mac = { 2, 7 } },
};

Test(start, networks_are_taken_over)
{
	for (uint32_t n = 0; n <= PROTO_NETS_MAX; n++) {
		struct body b = with_nets(net_good, n);

		cr_assert_eq(parse_it(&b), 0, "%u", n);
		cr_assert_eq(s.nets, n);
		cr_assert_eq(memcmp(s.net, net_good, n * sizeof(net_good[0])), 0);
		cr_assert_str_eq(s.argv[0], "echo");
		cr_assert_str_eq(s.dir, "/tmp");
		for (size_t len = b.len; len-- > 0;) {
			b.len = len;
			cr_assert_eq(parse_it(&b), -1, "%zu bytes were taken", len);
		}
	}
}

/* A machine with two interfaces, the first of which is @net. */
static int parse_beside(const struct proto_net *net)
{
	const struct proto_net two[2] = { *net, net_good[1] };
	struct body b = with_nets(two, 2);

	return parse_it(&b);
}

Test(start, networks_that_cannot_be_are_refused)
{
	struct proto_net net = net_good[0];
	struct body b = with_nets(net_good, PROTO_NETS_MAX + 1);

	cr_assert_eq(parse_it(&b), -1, "too many");
	b = with_nets(net_good, 1);
	memset(b.bytes + offsetof(struct proto_start, nets), 0xff, 4);
	cr_assert_eq(parse_it(&b), -1, "far too many");
	net.prefix = 33;
	cr_assert_eq(parse_beside(&net), -1, "prefix");
	net.prefix = 32;
	net.prefix6 = 129;
	cr_assert_eq(parse_beside(&net), -1, "prefix of IPv6");
	net.prefix6 = 128;
	net.address6[0] = 0xfd;
	cr_assert_eq(parse_beside(&net), 0);
	net.prefix6 = 0;
	cr_assert_eq(parse_beside(&net), -1, "an address without a prefix");
	net = net_good[0];
	memset(net.mac, 0, sizeof(net.mac));
	cr_assert_eq(parse_beside(&net), -1, "no hardware address");
	memcpy(net.mac, net_good[1].mac, sizeof(net.mac));
	cr_assert_eq(parse_beside(&net), -1, "that of the other");
}

Test(start, an_unknown_flag_is_refused)
{
	struct body b = good();

	b.bytes[4] |= 4;
	cr_assert_eq(parse_it(&b), -1);
}

Test(start, lying_counts_are_refused)
{
	static const uint32_t argc[] = { 0, 1, 3, 4, PROTO_ARGS_MAX, PROTO_ARGS_MAX + 1,
					 0x7fffffff, 0xffffffff };
	struct body b = good();

	for (size_t i = 0; i < array_len(argc); i++) {
		memcpy(b.bytes + 8, &argc[i], 4);
		cr_assert_eq(parse_it(&b), -1, "argc %u", argc[i]);
	}
	b = good();
	for (size_t i = 0; i < array_len(argc); i++) {
		if (argc[i] == 1)
			continue;
		memcpy(b.bytes + 12, &argc[i], 4);
		cr_assert_eq(parse_it(&b), -1, "envc %u", argc[i]);
	}
}

Test(start, an_empty_command_name_is_refused)
{
	struct body b = head(PROTO_VERSION, 0, 1, 0);

	add(&b, "");
	add(&b, "");
	add(&b, "");
	cr_assert_eq(parse_it(&b), -1);
}

Test(start, an_environment_entry_needs_a_name)
{
	static const char *const bad[] = { "", "K", "=v" };

	for (size_t i = 0; i < array_len(bad); i++) {
		struct body b = head(PROTO_VERSION, 0, 1, 1);

		add(&b, "x");
		add(&b, bad[i]);
		add(&b, "");
		add(&b, "");
		cr_assert_eq(parse_it(&b), -1, "'%s'", bad[i]);
	}
}

Test(start, a_relative_directory_is_refused)
{
	struct body b = head(PROTO_VERSION, 0, 1, 0);

	add(&b, "x");
	add(&b, "tmp");
	add(&b, "");
	cr_assert_eq(parse_it(&b), -1);
}

/* ---- small frames ---- */

static struct control c;
static int host;

static void connect_pair(void)
{
	int p[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	c = (struct control){ .fd = p[0] };
	host = p[1];
}

static void say(uint32_t type, uint32_t len, const void *body, size_t bytes)
{
	const struct proto_frame h = { to_le32(type), to_le32(len) };

	cr_assert_eq(write(host, &h, sizeof(h)), sizeof(h));
	if (bytes)
		cr_assert_eq(write(host, body, bytes), (ssize_t)bytes);
}

Test(orders, signals_and_sizes_arrive_in_order, .init = connect_pair)
{
	const uint32_t sig = 15;
	const uint16_t win[2] = { 50, 100 };
	struct order o;

	say(PROTO_SIGNAL, 4, &sig, 4);
	say(PROTO_WINSIZE, 4, win, 4);
	cr_assert_eq(control_order(&c, &o), 1);
	cr_assert(o.type == PROTO_SIGNAL && o.signo == 15);
	cr_assert_eq(control_order(&c, &o), 1);
	cr_assert(o.type == PROTO_WINSIZE && o.rows == 50 && o.cols == 100);
	cr_assert_eq(control_order(&c, &o), 0);
	close(host);
	cr_assert_eq(control_order(&c, &o), -1);
}

Test(orders, a_frame_may_arrive_byte_by_byte, .init = connect_pair)
{
	const uint32_t words[] = { PROTO_SIGNAL, 4, 2 };
	const char *bytes = (const char *)words;
	struct order o;

	for (size_t i = 0; i < sizeof(words); i++) {
		cr_assert_eq(control_order(&c, &o), 0);
		cr_assert_eq(write(host, bytes + i, 1), 1);
	}
	cr_assert_eq(control_order(&c, &o), 1);
	cr_assert_eq(o.signo, 2);
}

Test(orders, what_is_not_an_order_ends_the_connection)
{
	static const struct {
		uint32_t type, len, value;
	} bad[] = {
		{ PROTO_SIGNAL, 4, 0 }, { PROTO_SIGNAL, 4, 65 }, { PROTO_SIGNAL, 4, 0xffffffff },
		{ PROTO_SIGNAL, 3, 1 }, { PROTO_SIGNAL, 0xffffffff, 1 }, { PROTO_START, 4, 1 },
		{ PROTO_EXIT, 8, 0 }, { 0, 4, 1 }, { 99, 0, 1 }, { PROTO_WINSIZE, 5, 1 },
	};

	for (size_t i = 0; i < array_len(bad); i++) {
		struct order o;

		connect_pair();
		say(bad[i].type, bad[i].len, &bad[i].value, 4);
		cr_assert_eq(control_order(&c, &o), -1, "case %zu", i);
		close(host);
		close(c.fd);
	}
}

Test(orders, start_is_demanded_first, .init = connect_pair)
{
	const uint32_t sig = 15;
	struct fail f;
	char body[64];

	say(PROTO_SIGNAL, 4, &sig, 4);
	cr_assert_eq(control_start(&c, body, sizeof(body), &f), -1);
	cr_assert_eq(f.kind, PROTO_FAIL_SETUP);
}

Test(orders, a_start_longer_than_the_limit_is_refused, .init = connect_pair)
{
	struct fail f;
	char body[64];

	say(PROTO_START, PROTO_FRAME_MAX + 1, NULL, 0);
	cr_assert_eq(control_start(&c, body, sizeof(body), &f), -1);
}

Test(orders, a_failure_is_one_bounded_frame, .init = connect_pair)
{
	char got[1024];
	struct fail f;
	ssize_t n;

	memset(got, 'x', sizeof(got));
	got[sizeof(got) - 1] = '\0';
	fail(&f, PROTO_FAIL_NOEXEC, "%s", got);
	cr_assert(control_fail(&c, &f));
	n = read(host, got, sizeof(got));
	cr_assert_eq(n, 8 + 4 + FAIL_TEXT - 1);
	cr_assert_eq(got[0], PROTO_FAILED);
	cr_assert_eq(got[8], PROTO_FAIL_NOEXEC);
}

/* ---- images ---- */

Test(images, kinds_are_told_by_their_magic)
{
	static uint8_t image[ROOTFS_HEAD];

	cr_assert_eq(rootfs_kind(image), ROOTFS_UNKNOWN);
	memcpy(image, "hsqs", 4);
	cr_assert_eq(rootfs_kind(image), ROOTFS_SQUASHFS);
	memset(image, 0, sizeof(image));
	memcpy(image + 1024, "\xe2\xe1\xf5\xe0", 4);
	cr_assert_eq(rootfs_kind(image), ROOTFS_EROFS);
	memset(image, 0, sizeof(image));
	memcpy(image + 1024 + 0x38, "\x53\xef", 2);
	cr_assert_eq(rootfs_kind(image), ROOTFS_EXT4);
}

/* ---- modules ---- */

Test(modules, only_the_file_systems_wait_for_the_image)
{
	cr_assert(is_filesystem("007-erofs.ko"));
	cr_assert(is_filesystem("123-squashfs.ko"));
	cr_assert(is_filesystem("000-ext4.ko"));
	cr_assert_not(is_filesystem("006-overlay.ko"));
	cr_assert_not(is_filesystem("006-erofs_helper.ko"));
	cr_assert_not(is_filesystem("006-virtio-ext4.ko"));
	cr_assert(is_module("vsock.ko", "vsock"));
	cr_assert_not(is_module("001-vsock.ko", "vsoc"));
	cr_assert_not(is_module("001-vsock", "vsock"));
}

static char seen[64];

static void remember(int dir, const char *name, const void *arg)
{
	(void)dir;
	(void)arg;
	strncat(seen, name, sizeof(seen) - strlen(seen) - 2);
	strncat(seen, "|", sizeof(seen) - strlen(seen) - 1);
}

Test(modules, the_order_is_read_line_by_line)
{
	char path[] = "/tmp/immure-modules-XXXXXX";
	int dir, fd;

	cr_assert_not_null(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY);
	for_each_module(dir, remember, NULL);
	cr_assert_str_eq(seen, "", "a kernel without modules");
	fd = openat(dir, "order", O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(write(fd, "a\n\nb b\nlast", 11), 11);
	for_each_module(dir, remember, NULL);
	cr_assert_str_eq(seen, "a|b b|last|");
	unlinkat(dir, "order", 0);
	rmdir(path);
}

/* ---- users ---- */

#define PASSWD                                                                      \
	"root:x:0:0:root:/root:/bin/sh\n"                                           \
	"broken line\n"                                                             \
	"minus:x:-1:0::/:/bin/sh\n"                                                 \
	"1000:x:7:8:a name that is a number:/seven:/bin/sh\n"                       \
	"alice:x:1000:1001:Alice:/home/alice:/bin/sh\n"                             \
	"huge:x:4294967295:1:::\n"                                                  \
	"al:x:1002:1002::relative:/bin/sh"
#define GROUP "root:x:0:\nalice:x:1001:\nadm:x:4:root,alice\nvideo:x:44:alicex,malice\n" \
	"users:x:100:bob,alice\nempty::\n"

static int look_up(const char *spec, struct identity *id)
{
	struct fail f = { 0 };
	int ret = resolve(id, spec, (struct text){ PASSWD, strlen(PASSWD) },
			  (struct text){ GROUP, strlen(GROUP) }, &f);

	cr_assert(ret == 0 || (f.kind == PROTO_FAIL_SETUP && f.text[0]));
	return ret;
}

Test(users, a_name_brings_its_ids_home_and_groups)
{
	struct identity id;

	cr_assert_eq(look_up("alice", &id), 0);
	cr_assert(id.uid == 1000 && id.gid == 1001);
	cr_assert_str_eq(id.home, "/home/alice");
	cr_assert_eq(id.ngroups, 2);
	cr_assert(id.groups[0] == 4 && id.groups[1] == 100);
}

Test(users, nothing_given_is_root)
{
	struct identity id;

	cr_assert_eq(look_up("", &id), 0);
	cr_assert(id.uid == 0 && id.gid == 0);
	cr_assert_str_eq(id.home, "/root");
}

Test(users, a_number_needs_no_entry)
{
	struct identity id;

	cr_assert_eq(look_up("4242", &id), 0);
	cr_assert(id.uid == 4242 && id.gid == 0 && id.ngroups == 0);
	cr_assert_str_eq(id.home, "/");
}

Test(users, a_name_made_of_digits_wins_over_the_number)
{
	struct identity id;

	cr_assert_eq(look_up("1000", &id), 0);
	cr_assert(id.uid == 7 && id.gid == 8);
}

Test(users, names_match_whole)
{
	struct identity id;

	cr_assert_eq(look_up("al", &id), 0);
	cr_assert_eq(id.uid, 1002);
	cr_assert_str_eq(id.home, "/", "a relative home is not used");
	cr_assert_eq(look_up("ali", &id), -1);
	cr_assert_eq(look_up("alice2", &id), -1);
}

Test(users, a_group_replaces_the_groups)
{
	struct identity id;

	cr_assert_eq(look_up("alice:users", &id), 0);
	cr_assert(id.uid == 1000 && id.gid == 100 && id.ngroups == 0);
	cr_assert_eq(look_up("5:6", &id), 0);
	cr_assert(id.uid == 5 && id.gid == 6);
	cr_assert_eq(look_up(":44", &id), 0);
	cr_assert(id.uid == 0 && id.gid == 44);
	cr_assert_eq(look_up("alice:nobody", &id), -1);
}

Test(users, what_is_no_id_is_refused)
{
	static const char *const bad[] = { "minus", "huge", "-1", "4294967295", "99999999999", "0x0",
					   "broken line", "1:", "1:2:3", " 1" };
	struct identity id;

	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_eq(look_up(bad[i], &id), -1, "'%s'", bad[i]);
}

Test(users, missing_files_leave_numbers)
{
	struct fail f;
	struct identity id;
	const struct text none = { "", 0 };

	cr_assert_eq(resolve(&id, "", none, none, &f), 0);
	cr_assert(id.uid == 0 && id.gid == 0);
	cr_assert_eq(resolve(&id, "root", none, none, &f), -1);
}

/* ---- what the command left behind ---- */

static bool put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	close(fd);
	return ok;
}

/* Mounts of our own, whoever we are. */
static bool own_mounts(void)
{
	char user[32], group[32];

	if (geteuid() == 0)
		return unshare(CLONE_NEWNS) == 0;
	snprintf(user, sizeof(user), "0 %u 1", geteuid());
	snprintf(group, sizeof(group), "0 %u 1", getegid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put_text("/proc/self/setgroups", "deny") &&
	       put_text("/proc/self/uid_map", user) && put_text("/proc/self/gid_map", group);
}

/* True when @f returns although the file system at @top, which is the test's own, has a pipe as
 * @file. */
static bool returns_beside_pipe(void (*f)(void), const char *top, const char *dir, const char *file)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(5);
		if (!own_mounts() ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("pipes", top, "tmpfs", 0, NULL) < 0 ||
		    (dir && mkdir(dir, 0755) < 0) || mkfifo(file, 0600) < 0)
			_exit(1);
		f();
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(!WIFEXITED(status) || WEXITSTATUS(status) == 0, "no file system of its own");
	return WIFEXITED(status);
}

static void note_something(void)
{
	note("something");
}

Test(ending, a_pipe_over_the_list_of_mounts_does_not_hold_it_up)
{
	cr_assert(returns_beside_pipe(mounts_undo, "/proc", "/proc/self", "/proc/self/mounts"));
}

Test(ending, a_pipe_as_the_kernel_log_does_not_hold_it_up)
{
	cr_assert(returns_beside_pipe(note_something, "/dev", NULL, "/dev/kmsg"));
}

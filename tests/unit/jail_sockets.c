/* SPDX-License-Identifier: Apache-2.0 */
/* LIBS: -ljansson */
/* The host's side of the VM's sockets: listening, connecting for the guest, removing. */
#include "core/guestmem.c"
#include "core/log.c"
#include "core/overlay.c"
#include "bpf/wall.c"
#include "jailer/blocks.c"
#include "jailer/direct.c"
#include "jailer/bpf.c"
#include "jailer/config.c"
#include "jailer/config_user.c"
#include "jailer/config_wall.c"
#include "jailer/wall_text.c"
#include "jailer/wall.c"
#include "jailer/mac.c"
#include "jailer/dial.c"
#include "jailer/failure.c"
#include "jailer/memfd.c"
#include "jailer/open.c"
#include "jailer/overlay.c"
#include "jailer/path.c"
#include "jailer/plan.c"
#include "jailer/rundir.c"
#include "jailer/tap.c"

#include <criterion/criterion.h>

/* No interface of these tests is passt's. */
int passt_open(struct opened *opened, const struct plan *plan, struct failure *why)
{
	(void)opened, (void)plan, (void)why;
	return -1;
}

static struct config c;
static struct plan p;
static struct opened o;
static struct failure f;
static char dir[32];

static void make_dir(void)
{
	struct plan_caller who = { 0 };
	char text[256];

	snprintf(dir, sizeof(dir), "/tmp/jail-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(text, sizeof(text), "{\"name\":\"v\",\"kernel\":\"/k\",\"run_dir\":\"%s\","
		 "\"vsock\":{\"cid\":3,\"path\":\"%s/v.sock\"}}", dir, dir);
	cr_assert_eq(config_parse(&c, text, strlen(text), &f), 0, "%s", f.text);
	plan_make(&p, &c, &who);
	opened_init(&o);
}

static void remove_dir(void)
{
	cr_assert_eq(chdir("/"), 0);
	rundir_remove(o.fd[OBJ_RUNDIR][0], o.fd[OBJ_RUNPARENT][0], &c);
	cr_assert(access(dir, F_OK) < 0 && errno == ENOENT);
}

TestSuite(sockets, .init = make_dir, .fini = remove_dir, .timeout = 20);

static void make_file(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert(fd >= 0 && close(fd) == 0);
}

static int listen_there(void)
{
	int rc = rundir_find(&o, &p, &f);

	if (rc == 0)
		rc = rundir_open(&o, &p, &f);

	return rc == 0 ? rundir_listen(&o, &c, &f) : rc;
}

/* A listening socket "v.sock<suffix>" in the directory. */
static int listener(const char *suffix)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/v.sock%s", dir, suffix);
	cr_assert_eq(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	return fd;
}

Test(sockets, a_dead_vms_socket_is_replaced)
{
	close(listener(""));
	close(listener(".seq"));
	cr_assert_eq(listen_there(), 0, "%s", f.text);
	cr_assert_geq(o.fd[OBJ_LISTEN][0], 0);
	cr_assert_geq(o.fd[OBJ_LISTEN][1], 0);
}

static int type_of(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len), 0);
	return type;
}

Test(sockets, there_is_one_for_streams_and_one_for_messages)
{
	cr_assert_eq(listen_there(), 0, "%s", f.text);
	cr_assert_eq(type_of(o.fd[OBJ_LISTEN][0]), SOCK_STREAM);
	cr_assert_eq(type_of(o.fd[OBJ_LISTEN][1]), SOCK_SEQPACKET);
}

/* Half of the pair in the way: nothing is made. */
Test(sockets, a_live_one_for_messages_is_refused)
{
	int live = listener(".seq");

	cr_assert_eq(listen_there(), -1);
	cr_assert(strstr(f.text, ".seq: exists and is in use") != NULL, "%s", f.text);
	cr_assert_eq(faccessat(o.fd[OBJ_RUNDIR][0], "v.sock", F_OK, 0), -1);
	close(live);
}

Test(sockets, a_live_ones_is_refused)
{
	int live = listener("");

	cr_assert_eq(listen_there(), -1);
	cr_assert(strstr(f.text, "in use") != NULL, "%s", f.text);
	close(live);
}

Test(sockets, another_file_in_the_way_is_not_removed)
{
	make_file("v.sock");
	cr_assert_eq(listen_there(), -1);
	cr_assert(strstr(f.text, "in use") != NULL, "%s", f.text);
	cr_assert_eq(faccessat(o.fd[OBJ_RUNDIR][0], "v.sock", F_OK, 0), 0);
}

Test(sockets, only_what_belongs_to_the_vm_is_removed)
{
	char path[64];

	cr_assert_eq(listen_there(), 0, "%s", f.text);
	make_file("v.sock_1024");
	make_file("v.sock_x");
	make_file("other_1");
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "v.sock_%d", 5000 + i);
		make_file(path);
	}
	rundir_remove(o.fd[OBJ_RUNDIR][0], o.fd[OBJ_RUNPARENT][0], &c);
	snprintf(path, sizeof(path), "%s/v.sock_x", dir);
	cr_assert_eq(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/other_1", dir);
	cr_assert_eq(unlink(path), 0);
}

Test(sockets, the_kept_directory_has_no_way_out)
{
	struct stat inside, up;

	cr_assert_eq(listen_there(), 0, "%s", f.text);
	cr_assert_eq(fstatat(o.fd[OBJ_RUNDIR][0], ".", &inside, 0), 0);
	cr_assert_eq(fstatat(o.fd[OBJ_RUNDIR][0], "../..", &up, 0), 0);
	if (geteuid() != 0)
		cr_skip("needs root: the kernel detaches no mounts for others");
	cr_assert_eq(inside.st_ino, up.st_ino);
}

static int pair[2];

static void open_and_dial(void)
{
	cr_assert_eq(listen_there(), 0, "%s", f.text);
	cr_assert_eq(fchdir(o.fd[OBJ_RUNDIR][0]), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
}

/* Asks for @port; returns the descriptor, or -1 with *@error set. */
static int ask_type(uint32_t port, uint32_t type, int *error)
{
	struct dial_request request = { .cookie = 0xc0de, .port = port, .type = type };
	struct dial_reply reply = { 0 };
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &reply, sizeof(reply) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	cr_assert_eq(write(pair[1], &request, sizeof(request)), (ssize_t)sizeof(request));
	cr_assert(dial_serve(pair[0], "v.sock"));
	cr_assert_eq(recvmsg(pair[1], &msg, 0), (ssize_t)sizeof(reply));
	cr_assert_eq(reply.cookie, 0xc0de);
	*error = reply.error;
	if (CMSG_FIRSTHDR(&msg) == NULL)
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static int ask(uint32_t port, int *error)
{
	return ask_type(port, SOCK_STREAM, error);
}

Test(sockets, a_connection_to_a_port_is_handed_over)
{
	int ears, fd, error, accepted;
	char c2;

	open_and_dial();
	ears = listener("_4294967295");
	fd = ask(UINT32_MAX, &error);
	cr_assert(fd >= 0 && error == 0);
	accepted = accept(ears, NULL, NULL);
	cr_assert(write(fd, "x", 1) == 1 && read(accepted, &c2, 1) == 1 && c2 == 'x');
	cr_assert_neq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

Test(sockets, a_connection_is_of_the_type_that_was_asked_for)
{
	int error, fd;

	open_and_dial();
	listener("_5");
	cr_assert_eq(ask_type(5, SOCK_SEQPACKET, &error), -1);
	cr_assert_eq(error, EPROTOTYPE);
	cr_assert_eq(ask_type(5, SOCK_DGRAM, &error), -1);
	cr_assert_eq(error, EPROTOTYPE);
	cr_assert_eq(ask_type(5, SOCK_STREAM | SOCK_NONBLOCK, &error), -1);
	cr_assert_eq(error, EPROTOTYPE);
	fd = ask_type(5, SOCK_STREAM, &error);
	cr_assert(fd >= 0 && type_of(fd) == SOCK_STREAM);
}

Test(sockets, a_port_nobody_listens_on_is_an_error_without_descriptor)
{
	int error;

	open_and_dial();
	cr_assert_eq(ask(1, &error), -1);
	cr_assert_eq(error, ENOENT);
	close(listener("_2"));
	cr_assert_eq(ask(2, &error), -1);
	cr_assert_eq(error, ECONNREFUSED);
}

/* A listener that does not accept: the answer is an error, never a wait. */
Test(sockets, a_full_backlog_is_an_error_too)
{
	int error = 0;

	open_and_dial();
	listener("_3");
	for (int i = 0; i < 8 && error == 0; i++)
		ask(3, &error);
	cr_assert_eq(error, EAGAIN);
}

Test(sockets, a_request_of_another_size_ends_the_conversation)
{
	char junk[64] = { 0 };

	open_and_dial();
	cr_assert_eq(write(pair[1], junk, 7), 7);
	cr_assert(!dial_serve(pair[0], "v.sock"));
	cr_assert_eq(write(pair[1], junk, 9), 9);
	cr_assert(!dial_serve(pair[0], "v.sock"));
	cr_assert(dial_serve(pair[0], "v.sock"));	/* nothing there */
	close(pair[1]);
	cr_assert(!dial_serve(pair[0], "v.sock"));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The little that stands in for what musl lacks behaves as glibc's own, and refuses to write
 * beyond an object. */
#include <criterion/criterion.h>
#include <errno.h>
#include <features.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *(*const glibc_name)(int) = strerrorname_np;
static const char *(*const glibc_signal)(int) = sigabbrev_np;

#undef __GLIBC__
#define strerrorname_np musl_strerrorname_np
#define strerrordesc_np musl_strerrordesc_np
#define sigabbrev_np musl_sigabbrev_np
#define __snprintf_chk musl_snprintf_chk
#define __vsnprintf_chk musl_vsnprintf_chk
#define __strncpy_chk musl_strncpy_chk
#define preadv2 musl_preadv2
#define pwritev2 musl_pwritev2
#define close_range musl_close_range
#include "core/musl.c"
#undef ioctl
#undef fcntl

Test(musl, errno_names_are_those_of_glibc)
{
	for (int err = 1; err < 200; err++) {
		const char *want = glibc_name(err);

		cr_expect_str_eq(strerrorname_np(err), want ? want : "?", "%d", err);
	}
	cr_expect_str_eq(strerrorname_np(-1), "?");
	cr_expect_str_eq(strerrorname_np(0), "?");
	cr_expect_str_eq(strerrorname_np(1 << 30), "?");
}

Test(musl, signal_names_are_those_of_glibc)
{
	for (int sig = 1; sig < 32; sig++)
		cr_expect_str_eq(sigabbrev_np(sig), glibc_signal(sig), "%d", sig);
	cr_expect_str_eq(sigabbrev_np(0), "?");
	cr_expect_str_eq(sigabbrev_np(-1), "?");
	cr_expect_str_eq(sigabbrev_np(64), "?");
}

Test(musl, directories_are_read)
{
	char buf[1024];
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_gt(getdents64(fd, buf, sizeof(buf)), 0);
	cr_assert_eq(getdents64(-1, buf, sizeof(buf)), -1);
	cr_assert_eq(errno, EBADF);
}

Test(musl, vectored_transfers_go_to_their_offset)
{
	char in[8] = "abcdefg", out[8] = "";
	const struct iovec from = { in, 8 }, to = { out, 8 };
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert_eq(pwritev2(fd, &from, 1, 0x100000001, 0), 8);
	cr_assert_eq(lseek(fd, 0, SEEK_END), 0x100000009);
	cr_assert_eq(preadv2(fd, &to, 1, 0x100000001, 0), 8);
	cr_assert_str_eq(out, in);
	cr_assert_eq(preadv2(-1, &to, 1, 0, 0), -1);
	cr_assert_eq(errno, EBADF);
}

Test(musl, close_range_closes_the_range)
{
	for (int fd = 500; fd < 504; fd++)
		cr_assert_eq(dup2(2, fd), fd);
	cr_assert_eq(close_range(501, 502, 0), 0);
	cr_assert_geq(fcntl(500, F_GETFD), 0);
	cr_assert_lt(fcntl(501, F_GETFD), 0);
	cr_assert_lt(fcntl(502, F_GETFD), 0);
	cr_assert_geq(fcntl(503, F_GETFD), 0);
}

Test(musl, ioctl_takes_requests_with_the_top_bit)
{
	int p[2], n = 0;

	cr_assert_eq(pipe(p), 0);
	cr_assert_eq(write(p[1], "abc", 3), 3);
	cr_assert_eq(wide_ioctl(p[0], FIONREAD, &n), 0);
	cr_assert_eq(n, 3);
	cr_assert_eq(wide_ioctl(p[0], 0x80045430, &n), -1);	/* TIOCGPTN */
	cr_assert_eq(errno, ENOTTY);
}

Test(musl, fcntl_takes_nothing_a_number_or_a_pointer)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = memfd_create("locked", 0), other;

	cr_assert_eq(plain_fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
	cr_assert_eq(plain_fcntl(fd, F_GETFD), FD_CLOEXEC);
	other = plain_fcntl(fd, F_DUPFD_CLOEXEC, 300);
	cr_assert_eq(other, 300);
	cr_assert_eq(plain_fcntl(fd, F_GETLK, &lock), 0);
	cr_assert_eq(lock.l_type, F_UNLCK);
	cr_assert_eq(plain_fcntl(999, F_GETFD), -1);
	cr_assert_eq(errno, EBADF);
}

/* How a child that runs @f with @n ends: 0, or the signal that killed it. */
static int in_child(void (*f)(size_t), size_t n)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		f(n);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

struct object { char bytes[16], behind[16]; };

static void copy(size_t n)
{
	struct object *o = calloc(1, sizeof(*o));
	char from[64] = "";

	memcpy(o->bytes + 16, from, n);
	free(o);
}

static void move(size_t n)
{
	struct object o = { "", "" };

	memmove(&o, o.bytes + 1, n);
}

static void set(size_t n)
{
	struct object o;

	memset(&o, 0, n);
}

static void format(size_t n)
{
	char buf[8];

	musl_snprintf_chk(buf, n, 1, sizeof(buf), "%s-%d", "abcdefgh", 5);
	if (strcmp(buf, "abcdefg") != 0)
		abort();
}

static void copy_string(size_t n)
{
	char buf[8] = "";

	musl_strncpy_chk(buf, "abc", n, sizeof(buf));
	if (strcmp(buf, "abc") != 0)
		abort();
}

Test(musl, what_jansson_calls_checks_its_room)
{
	cr_expect_eq(in_child(format, 8), 0);
	cr_expect_eq(in_child(format, 9), SIGILL);
	cr_expect_eq(in_child(copy_string, 8), 0);
	cr_expect_eq(in_child(copy_string, 9), SIGILL);
}

Test(musl, memory_functions_stop_at_the_end_of_an_object)
{
	cr_expect_eq(in_child(copy, 16), 0);
	cr_expect_eq(in_child(copy, 17), SIGILL);
	cr_expect_eq(in_child(move, 31), 0);
	cr_expect_eq(in_child(move, 32), SIGILL);
	cr_expect_eq(in_child(set, 32), 0);
	cr_expect_eq(in_child(set, 33), SIGILL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The formatter against printf, and lines against their bounds. */
#include "core/log.c"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/wait.h>

#define SAME(...) do { \
	char ours[128], theirs[128]; \
	size_t n = log_format(ours, sizeof(ours), __VA_ARGS__); \
	int m = snprintf(theirs, sizeof(theirs), __VA_ARGS__); \
	cr_assert_str_eq(ours, theirs); \
	cr_assert_eq(n, (size_t)m); \
} while (0)

Test(log, formats_as_printf_does)
{
	SAME("plain");
	SAME("%s|%5s|%2s", "ab", "ab", "abc");
	SAME("%d %d %d", 0, INT_MAX, INT_MIN);
	SAME("%5d|%05d|%5d|%05d|%1d", 42, 42, -42, -42, -42);
	SAME("%u %u %08u", 0u, UINT_MAX, 77u);
	SAME("%x %04x %8x", 0xdeadbeefu, 10u, 10u);
	SAME("%ld %ld %lu %lx", LONG_MIN, LONG_MAX, ULONG_MAX, ULONG_MAX);
	SAME("%lld %llu %016llx", LLONG_MIN, ULLONG_MAX, 0x123456789abcdefull);
	SAME("%zu %zx", (size_t)SIZE_MAX, (size_t)255);
	SAME("%c%c 100%%", 'o', 'k');
	SAME("%d%s%d", 1, "", 2);
}

Test(log, a_null_string_is_survived)
{
	const char *volatile nothing = NULL;
	char buf[16];

	log_format(buf, sizeof(buf), "%s", nothing);
	cr_assert_str_eq(buf, "(null)");
}

Test(log, output_never_passes_its_buffer)
{
	for (size_t size = 0; size < 40; size++) {
		char buf[64];

		memset(buf, '#', sizeof(buf));
		size_t n = log_format(buf, size, "%030d and %s", 7, "a longer tail");
		cr_assert_eq(n, size == 0 ? 0 : size - 1);
		cr_assert_eq(buf[n], size == 0 ? '#' : 0);
		cr_assert_eq(buf[size], '#');
	}
}

Test(log, an_absurd_width_is_bounded)
{
	char buf[LOG_LINE];

	cr_assert_eq(log_format(buf, sizeof(buf), "%0255d", 1), 255);
}

/* Descriptor 2 becomes a pipe, as in a jailed process; returns its read end. */
static int catch_log(void)
{
	int p[2];

	cr_assert_eq(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	cr_assert_eq(dup2(p[1], FD_LOG), FD_LOG);
	close(p[1]);
	return p[0];
}

static ssize_t caught(int fd, char *buf, size_t size)
{
	ssize_t n = read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	return n;
}

Test(log, a_line_is_one_write_of_bounded_length)
{
	char text[1000], got[1100];
	int fd = catch_log();

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	log_line("%s", text);
	cr_assert_eq(caught(fd, got, sizeof(got)), LOG_LINE);
	cr_assert_eq(got[LOG_LINE - 1], '\n');
}

Test(log, what_a_terminal_would_obey_is_replaced)
{
	char got[300];
	int fd = catch_log();

	log_line("a\nb\033[31m%s\x7f\xff", "\r\x9b\x01");
	cr_assert_eq(caught(fd, got, sizeof(got)), 14);
	cr_assert_str_eq(got, "a?b?[31m?????\n");
}

Test(log, errors_have_names)
{
	char got[300];
	int fd = catch_log();

	log_errno(2, "open %s", "/x");
	log_errno(9999, "odd");
	caught(fd, got, sizeof(got));
	cr_assert_str_eq(got, "open /x: ENOENT\nodd: error 9999\n");
}

Test(log, a_guest_s_complaints_thin_out)
{
	struct log_limit limit = { 0 };
	char got[2000];
	int fd = catch_log();
	int lines = 0;

	for (int i = 1; i <= 1000; i++)
		log_limited(&limit, "again %d", i);
	caught(fd, got, sizeof(got));
	for (char *c = got; *c != 0; c++)
		lines += *c == '\n';
	cr_assert_eq(lines, 4 + 7);	/* 1..4; 8, 16 .. 512 */
	cr_assert_not_null(strstr(got, "again 3\nagain 4\nagain 8 (8 times)\n"));
	cr_assert_eq(limit.count, 1000);
}

Test(log, a_full_pipe_drops_lines_and_says_so_later, .timeout = 10)
{
	char got[4096];
	int fd = catch_log();
	ssize_t n;

	for (int i = 0; i < 20000; i++)
		log_line("line %d of many that nobody reads", i);
	while ((n = caught(fd, got, sizeof(got))) > 0)
		;
	log_line("the next");
	caught(fd, got, sizeof(got));
	cr_assert_not_null(strstr(got, " lines lost\nthe next\n"), "%s", got);
	log_line("and one more");
	caught(fd, got, sizeof(got));
	cr_assert_str_eq(got, "and one more\n");
}

Test(log, die_says_why_and_exits_with_1)
{
	char got[100];
	int fd = catch_log(), status;
	pid_t pid = fork();

	if (pid == 0)
		die_errno(13, "open %s", "x");
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	caught(fd, got, sizeof(got));
	cr_assert_str_eq(got, "open x: EACCES\n");
	pid = fork();
	if (pid == 0)
		die("no");
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

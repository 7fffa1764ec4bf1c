/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of jailed processes: clean, whole, and so many a second. */
#include "core/log.c"
#include "jailer/relay.c"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>

/* What reached the caller, one line a message. */
static struct {
	unsigned n;
	bool full;
	char last[512];
} caller;

bool message_log(int client, const char *process, const char *text, size_t len)
{
	(void)client;
	(void)process;
	if (caller.full)
		return false;
	cr_assert(len < sizeof(caller.last));
	memcpy(caller.last, text, len);
	caller.last[len] = 0;
	caller.n++;
	return true;
}

static int fds[2];
static struct relay r;

static void start(void)
{
	cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
	relay_init(&r, fds[0], "blk0", 1000);
}

static void put(const char *text)
{
	cr_assert_eq(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
}

TestSuite(relay, .init = start);

Test(relay, a_line_is_passed_on_when_it_is_whole)
{
	put("one\ntw");
	relay_read(&r, 0, 1000);
	cr_assert_eq(caller.n, 1);
	cr_assert_str_eq(caller.last, "one");
	put("o\n\nthree");
	relay_read(&r, 0, 1000);
	cr_assert_eq(caller.n, 2);
	cr_assert_str_eq(caller.last, "two");
	close(fds[1]);
	relay_read(&r, 0, 1000);
	cr_assert_eq(caller.n, 3);
	cr_assert_str_eq(caller.last, "three");
	cr_assert_eq(r.fd, -1);
}

Test(relay, what_a_terminal_would_obey_becomes_a_question_mark)
{
	put("a\x1b[2J\x07\x7f\xc3\xa9\tz\n");
	relay_read(&r, 0, 1000);
	cr_assert_str_eq(caller.last, "a?[2J?????z");
}

Test(relay, a_line_without_end_comes_in_pieces)
{
	char text[3 * RELAY_LINE + 1];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	put(text);
	relay_read(&r, 0, 1000);
	cr_assert_eq(caller.n, 3);
	cr_assert_eq(strlen(caller.last), RELAY_LINE);
}

Test(relay, a_flood_is_not_listened_to_until_the_second_is_over)
{
	unsigned reads = 0;

	while (relay_wait(&r, 1500) == 0) {
		cr_assert(++reads < 1000);
		put("x\n");
		relay_read(&r, 0, 1500);
	}
	cr_assert_eq(caller.n, RELAY_LINES);
	cr_assert_eq(relay_wait(&r, 1500), 500);
	cr_assert_eq(relay_wait(&r, 2000), 0);
	put("again\n");
	relay_read(&r, 0, 2000);
	cr_assert_str_eq(caller.last, "again");
	cr_assert_eq(relay_wait(&r, 2000), 0);
}

Test(relay, bytes_are_bounded_like_lines)
{
	char text[CHUNK + 1];
	unsigned reads = 0;

	memset(text, '.', CHUNK);
	text[CHUNK] = 0;
	for (; relay_wait(&r, 1000) == 0; reads++) {
		put(text);
		relay_read(&r, 0, 1000);
		cr_assert(reads < 100);
	}
	cr_assert_leq(reads * CHUNK, RELAY_BYTES + CHUNK);
}

Test(relay, lines_the_caller_does_not_take_are_counted)
{
	caller.full = true;
	put("1\n2\n3\n");
	relay_read(&r, 0, 1000);
	cr_assert_eq(r.dropped, 3);
	caller.full = false;
	put("4\n");
	relay_read(&r, 0, 1000);
	cr_assert_eq(caller.n, 2);
	cr_assert_str_eq(caller.last, "4");
	cr_assert_eq(r.dropped, 0);
}

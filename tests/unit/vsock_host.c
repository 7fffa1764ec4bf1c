/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_host.c: host clients, the CONNECT line, and the supervisor; all of them hostile. */
#include "tests/unit/vsock.h"

#include <sys/syscall.h>

/* In place of the C library's: fails once with this error. */
static int refuse_send;

ssize_t sendto(int fd, const void *data, size_t n, int flags, const struct sockaddr *to,
	       socklen_t len)
{
	if (refuse_send != 0) {
		errno = refuse_send;
		refuse_send = 0;
		return -1;
	}
	return syscall(SYS_sendto, fd, data, n, flags, to, len);
}

/* The same: fails while it is set, and counts. */
static int refuse_accept, accepts;

int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
	accepts++;
	if (refuse_accept != 0) {
		errno = refuse_accept;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, from, len, flags);
}

TestSuite(vsock_host, .init = device_init, .timeout = 120);

/* A client whose connection the guest accepted; returns its descriptor and the host port. */
static int accepted(uint32_t guest_port, uint32_t *host_port)
{
	int fd = client();
	char line[64];
	struct say s;

	snprintf(line, sizeof(line), "CONNECT %u\n", guest_port);
	client_says(fd, line);
	cr_assert(guest_hears(&s));
	cr_assert_eq(le16(s.h.op), VSOCK_OP_REQUEST);
	cr_assert_eq(le32(s.h.dst_port), guest_port);
	*host_port = le32(s.h.src_port);
	guest_op(VSOCK_OP_RESPONSE, guest_port, *host_port);
	snprintf(line, sizeof(line), "OK %u\n", *host_port);
	client_reads(fd, line);
	return fd;
}

/* ---- the line ---- */

Test(vsock_host, the_line_is_what_firecracker_takes)
{
	static const struct { const char *line; uint32_t port; } good[] = {
		{ "CONNECT 52\n", 52 },
		{ "connect 52\n", 52 },
		{ "Connect 52\n", 52 },
		{ "CONNECT 0\n", 0 },
		{ "CONNECT 4294967295\n", UINT32_MAX },
		{ "CONNECT 0000000000000000000052\n", 52 },
		{ "CONNECT \t 52\n", 52 },
		{ "CONNECT 52\r\n", 52 },
		{ "CONNECT 52 \n", 52 },
	};
	uint32_t port;

	for (size_t i = 0; i < array_len(good); i++) {
		uint32_t len = (uint32_t)strlen(good[i].line);

		port = 99;
		cr_assert(host_parse_line(good[i].line, len, &port), "%s", good[i].line);
		cr_assert_eq(port, good[i].port);
		cr_assert_not(host_parse_line(good[i].line, len - 1, &port), "no end of line");
	}
}

Test(vsock_host, any_other_line_is_refused)
{
	static const char *const bad[] = {
		"\n", " \n", "CONNECT\n", "CONNECT \n", "CONNECT52\n", "CONNECT a\n",
		"CONNECT -1\n", "CONNECT +1\n", "CONNECT 0x10\n", "CONNECT 1 2\n",
		"CONNECT 4294967296\n", "CONNECT 18446744073709551668\n",
		"CONNECT 99999999999999999999999\n", "CONNECTED 1\n", "CONNEC 1\n",
		" CONNECT 1\n",
		"GET / HTTP/1.1\n", "CONNECT 1\v\n", "c\x0fnnect 1\n", "\x03ONNECT 1\n",
		"CONNECT \xb2\n",
	};
	uint32_t port;

	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(host_parse_line(bad[i], (uint32_t)strlen(bad[i]), &port), "%s",
			      bad[i]);
	cr_assert_not(host_parse_line("CONNECT 1\0\n", 11, &port));
	cr_assert_not(host_parse_line("", 0, &port));
}

Test(vsock_host, a_client_gets_ok_with_the_port_that_the_guest_sees)
{
	uint32_t port;
	int fd = accepted(52, &port);

	cr_assert_geq(port, PORT_FIRST);
	cr_assert_leq(port, PORT_LAST);
	guest_sends("hello", 5, 52, port);
	client_reads(fd, "hello");
	client_says(fd, "world");
	struct say s = expect(VSOCK_OP_RW, 52, port);
	cr_assert_eq(s.size, 5);
	cr_assert_arr_eq(s.data, "world", 5);
}

Test(vsock_host, nothing_is_said_before_the_guest_accepts_and_nothing_when_it_refuses)
{
	int fd = client();

	client_says(fd, "CONNECT 52\n");
	expect(VSOCK_OP_REQUEST, 52, PORT_FIRST);
	cr_assert_eq(recv(fd, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
	guest_op(VSOCK_OP_RST, 52, PORT_FIRST);
	cr_assert(is_closed(fd));
	expect_nothing();
	cr_assert_eq(dev.table.used, 0);
}

Test(vsock_host, a_line_may_come_byte_by_byte)
{
	static const char line[] = "CONNECT 52\n";
	int fd = client();

	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		expect_nothing();
		client_says(fd, (char[]){ line[i], 0 });
	}
	expect(VSOCK_OP_REQUEST, 52, PORT_FIRST);
}

Test(vsock_host, bytes_behind_the_line_are_the_guests)
{
	int fd = client();

	client_says(fd, "CONNECT 52\nfirst bytes\nCONNECT 53\n");
	expect(VSOCK_OP_REQUEST, 52, PORT_FIRST);
	expect_nothing();
	guest_op(VSOCK_OP_RESPONSE, 52, PORT_FIRST);
	struct say s = expect(VSOCK_OP_RW, 52, PORT_FIRST);
	cr_assert_eq(s.size, 23);
	cr_assert_arr_eq(s.data, "first bytes\nCONNECT 53\n", 23);
	client_reads(fd, "OK 1073741824\n");
}

Test(vsock_host, a_line_too_long_or_wrong_closes_the_connection)
{
	static const char *const bad[] = {
		"CONNECT 52                      ",	/* 32 bytes and no end */
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
		"HELLO\n", "\n",
	};

	for (size_t i = 0; i < array_len(bad); i++) {
		int fd = client();

		client_says(fd, bad[i]);
		cr_assert(is_closed(fd), "%s", bad[i]);
		close(fd);
		expect_nothing();
		cr_assert_eq(dev.table.used, 0);
	}
}

Test(vsock_host, a_client_that_leaves_at_any_moment_is_forgotten)
{
	static const char *const said[] = { "", "CONN", "CONNECT 52", "CONNECT 52\n" };
	int before = open_descriptors();
	uint32_t port;
	struct say s;

	for (size_t i = 0; i < array_len(said); i++) {
		int fd = client();

		if (said[i][0] != '\0')
			client_says(fd, said[i]);
		pump();
		close(fd);
		pump();
		while (guest_hears(&s))
			guest_op(VSOCK_OP_RST, 52, le32(s.h.src_port));
		cr_assert_eq(dev.table.used, 0, "%s", said[i]);
	}
	/* Line and end in one piece, before the device looks. */
	int fd = client();
	cr_assert_eq(send(fd, "CONNECT 52\n", 11, 0), 11);
	close(fd);
	expect_nothing();
	cr_assert_eq(dev.table.used, 0);
	/* And between the guest's answer and the OK. */
	fd = accepted(52, &port);
	close(fd);
	pump();
	expect(VSOCK_OP_SHUTDOWN, 52, port);
	guest_op(VSOCK_OP_RST, 52, port);
	cr_assert_eq(dev.table.used, 0);
	cr_assert_eq(open_descriptors(), before);
}

Test(vsock_host, a_guest_that_does_not_answer_costs_the_client_its_connection)
{
	int fd = client();

	client_says(fd, "CONNECT 52\n");
	expect(VSOCK_OP_REQUEST, 52, PORT_FIRST);
	cr_assert_eq(vsock_timeout(&dev), VSOCK_PATIENCE);
	later(VSOCK_PATIENCE - 1);
	cr_assert_eq(vsock_timeout(&dev), 1);
	expect_nothing();
	later(1);
	cr_assert(is_closed(fd));
	expect(VSOCK_OP_RST, 52, PORT_FIRST);
	cr_assert_eq(vsock_timeout(&dev), -1);
	/* Too late. */
	guest_op(VSOCK_OP_RESPONSE, 52, PORT_FIRST);
	expect(VSOCK_OP_RST, 52, PORT_FIRST);
}

Test(vsock_host, a_client_that_never_says_connect_is_closed_in_the_end)
{
	int fd = client();

	client_says(fd, "CONNEC");
	later(VSOCK_LINE_PATIENCE - 1);
	cr_assert_not(is_closed(fd));
	later(1);
	cr_assert(is_closed(fd));
	cr_assert_eq(dev.table.used, 0);
}

Test(vsock_host, silent_clients_do_not_keep_others_out)
{
	static int fd[PLAN_VSOCK_CONNS / 2 + 10];
	uint32_t port;

	for (size_t i = 0; i < array_len(fd); i++) {
		fd[i] = client();
		if (i % 64 == 0)
			pump();
	}
	pump();
	cr_assert_eq(dev.table.used, PLAN_VSOCK_CONNS / 2);
	for (size_t i = 0; i < array_len(fd); i++)
		cr_assert_eq(is_closed(fd[i]), i < 10, "the oldest make room");
	guest_connects(1, 2);
	accepted(52, &port);
}

Test(vsock_host, clients_wait_while_the_table_is_full)
{
	static uint32_t port[PLAN_VSOCK_CONNS];
	char line[32];
	int late;

	for (int i = 0; i < PLAN_VSOCK_CONNS; i++)
		accepted(52, &port[i]);
	late = client();
	client_says(late, "CONNECT 52\n");
	expect_nothing();
	cr_assert_eq(dev.table.used, PLAN_VSOCK_CONNS);
	guest_op(VSOCK_OP_RST, 52, port[7]);
	struct say s;
	cr_assert(guest_hears(&s), "the one that waited");
	cr_assert_eq(le16(s.h.op), VSOCK_OP_REQUEST);
	guest_op(VSOCK_OP_RESPONSE, 52, le32(s.h.src_port));
	snprintf(line, sizeof(line), "OK %u\n", le32(s.h.src_port));
	client_reads(late, line);
	for (int i = 0; i < PLAN_VSOCK_CONNS; i++)
		for (int k = 0; i % 97 == 0 && k < i; k++)
			cr_assert_neq(port[i], port[k], "no port twice");
}

Test(vsock_host, clients_wait_for_a_driver)
{
	int fd;

	vsock_reset(&dev);
	fd = client();
	client_says(fd, "CONNECT 52\n");
	cr_assert_eq(dev.table.used, 0);
	activate(VSOCK_FEATURES);
	give_buffers();
	pump();
	expect(VSOCK_OP_REQUEST, 52, PORT_FIRST);
}

Test(vsock_host, clients_that_the_host_has_no_file_for_are_tried_again_and_cost_no_turns)
{
	static const int full[] = { ENFILE, EMFILE, ENOMEM, ECONNABORTED };

	for (size_t i = 0; i < array_len(full); i++) {
		int fd = client(), tried;
		struct say s;

		refuse_accept = full[i];
		accepts = 0;
		/* Each pump() comes to rest. */
		client_says(fd, "CONNECT 52\n");
		tried = accepts;
		cr_assert(tried > 0 && tried <= HOST_KINDS, "%d", tried);
		cr_assert_eq(vsock_timeout(&dev), HOST_RETRY);
		later(HOST_RETRY - 1);
		cr_assert_eq(accepts, tried, "too early");
		cr_assert_eq(vsock_timeout(&dev), 1);
		later(1);
		cr_assert(accepts > tried && accepts <= tried + HOST_KINDS, "%d", accepts);
		refuse_accept = 0;
		expect_nothing();
		later(HOST_RETRY);
		cr_assert(guest_hears(&s));
		cr_assert_eq(le16(s.h.op), VSOCK_OP_REQUEST);
		guest_op(VSOCK_OP_RST, 52, le32(s.h.src_port));
		cr_assert(is_closed(fd));
		cr_assert_eq(vsock_timeout(&dev), -1, "nobody waits any more");
		close(fd);
	}
}

/* ---- the supervisor ---- */

Test(vsock_host, a_port_nobody_listens_on_is_refused)
{
	struct dial_request r;
	struct dial_reply a = { .error = ECONNREFUSED };

	guest_op(VSOCK_OP_REQUEST, 1, 2);
	cr_assert(next_dial(&r));
	a.cookie = r.cookie;
	send_answer(&a, sizeof(a), NULL, 0);
	pump();
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0);
	cr_assert_eq(dev.host.dials, 0);
}

Test(vsock_host, failing_connects_do_not_use_up_the_dials)
{
	for (uint32_t i = 0; i < 10 * HOST_DIALS_MAX; i++) {
		struct dial_request r;
		struct dial_reply a = { .error = ENOENT };

		guest_op(VSOCK_OP_REQUEST, i, 2);
		cr_assert(next_dial(&r));
		a.cookie = r.cookie;
		send_answer(&a, sizeof(a), NULL, 0);
		pump();
		expect(VSOCK_OP_RST, i, 2);
	}
	cr_assert_eq(dev.host.dials, 0);
}

Test(vsock_host, requests_beyond_what_the_supervisor_holds_wait_their_turn)
{
	struct dial_request r;
	uint32_t n = 0;

	for (uint32_t i = 0; i < 500; i++)
		guest_op(VSOCK_OP_REQUEST, i, 1000 + i);
	cr_assert_eq(dev.host.dials, HOST_DIALS_MAX);
	while (next_dial(&r)) {
		struct dial_reply a = { .cookie = r.cookie, .error = ENOENT };

		cr_assert_eq(r.port, 1000 + n++, "in order");
		send_answer(&a, sizeof(a), NULL, 0);
		pump();
		expect(VSOCK_OP_RST, r.port - 1000, r.port);
	}
	cr_assert_eq(n, 500);
}

Test(vsock_host, a_supervisor_that_does_not_answer_is_not_waited_for)
{
	struct dial_request r;
	int fd;

	guest_op(VSOCK_OP_REQUEST, 1, 2);
	later(VSOCK_PATIENCE);
	expect(VSOCK_OP_RST, 1, 2);
	cr_assert_eq(dev.table.used, 0);
	/* It comes late, for an entry that somebody else has now. */
	cr_assert(next_dial(&r));
	guest_op(VSOCK_OP_REQUEST, 3, 4);
	fd = answer_dial(&r);
	expect_nothing();
	cr_assert(is_closed(fd));
	cr_assert(next_dial(&r));
	fd = answer_dial(&r);
	pump();
	expect(VSOCK_OP_RESPONSE, 3, 4);
}

/* A malformed answer: nothing of it stays, and the supervisor is asked no more. */
static void expect_disbelief(int before)
{
	pump();
	cr_assert_eq(open_descriptors(), before, "a descriptor stayed");
	cr_assert(dev.host.dial_dead);
	guest_op(VSOCK_OP_REQUEST, 7, 8);
	expect(VSOCK_OP_RST, 7, 8);
}

Test(vsock_host, an_answer_with_two_descriptors_is_not_believed)
{
	struct dial_request r;
	struct dial_reply a = { 0 };
	int before = open_descriptors();

	guest_op(VSOCK_OP_REQUEST, 1, 2);
	cr_assert(next_dial(&r));
	a.cookie = r.cookie;
	send_answer(&a, sizeof(a), (int[]){ super, dev.host.epoll }, 2);
	expect_disbelief(before);
}

Test(vsock_host, an_answer_without_descriptor_or_error_is_not_believed)
{
	struct dial_request r;
	struct dial_reply a = { 0 };
	int before = open_descriptors();

	guest_op(VSOCK_OP_REQUEST, 1, 2);
	cr_assert(next_dial(&r));
	a.cookie = r.cookie;
	send_answer(&a, sizeof(a), NULL, 0);
	expect_disbelief(before);
}

Test(vsock_host, an_answer_with_descriptor_and_error_is_not_believed)
{
	struct dial_request r;
	struct dial_reply a = { .error = ECONNREFUSED };
	int before = open_descriptors();

	guest_op(VSOCK_OP_REQUEST, 1, 2);
	cr_assert(next_dial(&r));
	a.cookie = r.cookie;
	send_answer(&a, sizeof(a), &super, 1);
	expect_disbelief(before);
}

Test(vsock_host, an_answer_of_another_size_is_not_believed)
{
	static const size_t size[] = { 1, 7, 9, 64 };

	for (size_t i = 0; i < array_len(size); i++) {
		char bytes[64] = { 0 };
		int before = open_descriptors();

		dev.host.dial_dead = false;
		guest_op(VSOCK_OP_REQUEST, 1, 2);
		send_answer(bytes, size[i], &super, 1);
		expect_disbelief(before);
		guest_op(VSOCK_OP_RST, 1, 2);
	}
}

Test(vsock_host, an_answer_nobody_asked_for_is_not_believed)
{
	struct dial_reply a = { .cookie = 0 };
	int before = open_descriptors();

	send_answer(&a, sizeof(a), &super, 1);
	expect_disbelief(before);
}

Test(vsock_host, an_answer_with_a_wrong_cookie_helps_nobody)
{
	struct dial_request r;
	struct dial_reply a;
	int before = open_descriptors();

	guest_op(VSOCK_OP_REQUEST, 1, 2);
	cr_assert(next_dial(&r));
	a = (struct dial_reply){ .cookie = r.cookie + (1 << COOKIE_BITS) };
	send_answer(&a, sizeof(a), &super, 1);
	expect_nothing();
	cr_assert_eq(open_descriptors(), before);
	later(VSOCK_PATIENCE);
	expect(VSOCK_OP_RST, 1, 2);
}

Test(vsock_host, a_descriptor_that_is_no_socket_is_a_refusal)
{
	struct dial_request r;
	int file = memfd_create("file", MFD_CLOEXEC);
	int pipes[2];

	cr_assert_eq(pipe(pipes), 0);
	for (int i = 0; i < 2; i++) {
		struct dial_reply a = { 0 };

		guest_op(VSOCK_OP_REQUEST, 1, 2);
		cr_assert(next_dial(&r));
		a.cookie = r.cookie;
		send_answer(&a, sizeof(a), i == 0 ? &file : &pipes[0], 1);
		pump();
		expect(VSOCK_OP_RST, 1, 2);
	}
	cr_assert_eq(dev.table.used, 0);
}

Test(vsock_host, a_request_there_is_no_memory_for_is_refused_and_the_next_is_not)
{
	static const int no_memory[] = { ENOBUFS, ENOMEM };

	for (size_t i = 0; i < array_len(no_memory); i++) {
		refuse_send = no_memory[i];
		guest_op(VSOCK_OP_REQUEST, 1, 2);
		expect(VSOCK_OP_RST, 1, 2);
		cr_assert_eq(refuse_send, 0);
		cr_assert_eq(dev.table.used, 0);
		close(guest_connects(1, 2));
		pump();
		expect(VSOCK_OP_SHUTDOWN, 1, 2);
		guest_op(VSOCK_OP_RST, 1, 2);
	}
}

Test(vsock_host, without_a_supervisor_the_guest_is_refused_and_clients_are_not)
{
	uint32_t port;

	close(super);
	pump();
	guest_op(VSOCK_OP_REQUEST, 1, 2);
	expect(VSOCK_OP_RST, 1, 2);
	accepted(52, &port);
}

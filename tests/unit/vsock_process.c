/* SPDX-License-Identifier: Apache-2.0 */
/* vsock_process.c: what the real immure-vsock is, holds, says, and when it ends. */
#include "tests/unit/vsock_rig.h"

#include <dirent.h>

TestSuite(vsock_process, .timeout = 120);

Test(vsock_process, is_sealed_before_it_says_hello)
{
	uint64_t cid = 0;

	start();
	cr_assert_eq(process_status(&p, "Seccomp"), 2);
	cr_assert_eq(process_status(&p, "NoNewPrivs"), 1);
	cr_assert_eq(process_status(&p, "Threads"), 1);
	cr_assert_eq(m.u.hello.device_id, VSOCK_DEVICE_ID);
	cr_assert_eq(m.u.hello.nqueues, 3);
	cr_assert_eq(m.u.hello.config_len, 8);
	memcpy(&cid, m.u.hello.config, sizeof(cid));
	cr_assert_eq(cid, CID);
	quit();
}

Test(vsock_process, holds_the_descriptors_of_its_plan_and_no_other)
{
	char path[40], target[100] = "";
	uint32_t seen = 0;
	struct dirent *e;
	DIR *d;

	plan();
	p.from[1] = p.from[13] = p.from[15] = ram.fd;
	process_start(&p, "immure-vsock", "0");
	process_expect(&p, LINK_HELLO, &m);
	snprintf(path, sizeof(path), "/proc/%d/fd", p.pid);
	d = opendir(path);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		seen |= 1u << atol(e->d_name);
		/* What fills the gaps is the log. */
		if (strchr("0134", e->d_name[0]) != NULL && e->d_name[1] == '\0') {
			cr_assert_gt(readlinkat(dirfd(d), e->d_name, target,
						sizeof(target) - 1), 0);
			cr_assert_eq(strncmp(target, "pipe:", 5), 0, "%s", target);
		}
	}
	closedir(d);
	cr_assert_eq(seen, (1u << VSOCK_CONN0) - 1, "0x%x", seen);
	quit();
}

Test(vsock_process, both_directions_connect_with_the_exact_bytes)
{
	uint32_t port;
	int guests, hosts;

	up();
	hosts = host_opens(52, &port);
	guests = guest_opens(1000, 52);
	sends("to the client", 52, port);
	reads_text(hosts, "to the client");
	sends("to the server", 1000, 52);
	reads_text(guests, "to the server");
	dprintf(hosts, "from the client");
	struct say s = hears_op(VSOCK_OP_RW, 52, port);
	cr_assert_eq(s.size, 15);
	cr_assert_arr_eq(s.data, "from the client", 15);
	quit();
	cr_assert(ends(hosts) && ends(guests));
}

/* A message of the guest in two packets, one of the host in three: the sealed process may do what
 * that needs. */
Test(vsock_process, messages_connect_both_ways)
{
	static char block[10000], back[10001];
	struct say s = said_by(VSOCK_OP_REQUEST, 1, 2);
	struct dial_request r;
	int fd, from_host;

	up();
	s.h.type = to_le16(VSOCK_TYPE_SEQPACKET);
	says(&s);
	cr_assert(readable_soon(super), "%s", process_log(&p));
	cr_assert(next_dial(&r));
	cr_assert_eq(r.type, SOCK_SEQPACKET);
	fd = answer_dial(&r);
	hears_op(VSOCK_OP_RESPONSE, 1, 2);
	s.h.op = to_le16(VSOCK_OP_RW);
	memset(block, 'm', sizeof(block));
	s.data = block;
	s.size = 5000;
	s.h.len = to_le32(s.size);
	says(&s);
	s.h.flags = to_le32(VSOCK_SEQ_EOM);
	says(&s);
	cr_assert(readable_soon(fd), "%s", process_log(&p));
	cr_assert_eq(recv(fd, back, sizeof(back), 0), 10000);
	cr_assert_arr_eq(back, block, 10000);
	cr_assert_eq(send(fd, block, 10000, 0), 10000);
	for (int left = 10000; left > 0; left -= (int)s.size) {
		s = hears_op(VSOCK_OP_RW, 1, 2);
		cr_assert_eq(le32(s.h.flags), (int)s.size == left ? VSOCK_SEQ_EOM : 0);
	}
	from_host = client_seq();
	cr_assert_eq(send(from_host, "CONNECT 9\n", 10, 0), 10);
	s = hears();
	cr_assert_eq(le16(s.h.type), VSOCK_TYPE_SEQPACKET);
	cr_assert_eq(le16(s.h.op), VSOCK_OP_REQUEST);
	quit();
}

Test(vsock_process, half_close_and_reset_travel)
{
	uint32_t port;
	struct say s;
	int fd;

	up();
	fd = host_opens(52, &port);
	shutdown(fd, SHUT_WR);
	s = hears_op(VSOCK_OP_SHUTDOWN, 52, port);
	cr_assert_eq(le32(s.h.flags), VSOCK_SHUT_SEND);
	sends("late", 52, port);
	reads_text(fd, "late");
	s = said_by(VSOCK_OP_SHUTDOWN, 52, port);
	s.h.flags = to_le32(VSOCK_SHUT_BOTH);
	says(&s);
	hears_op(VSOCK_OP_RST, 52, port);
	cr_assert(ends(fd));
	fd = guest_opens(7, 8);
	op(VSOCK_OP_RST, 7, 8);
	cr_assert(ends(fd));
	quit();
}

/* ---- the VMM's orders, and its end ---- */

Test(vsock_process, a_reset_closes_everything_and_the_next_driver_starts_afresh)
{
	uint32_t port;

	up();
	for (int i = 0; i < 50; i++) {
		int a = host_opens(52, &port), b = guest_opens(5, 6), c = client();

		process_tell(&p, &(struct link_msg){ .type = LINK_RESET });
		process_expect(&p, LINK_RESET_DONE, &m);
		cr_assert(ends(a) && ends(b));
		close(a);
		close(b);
		/* It had said nothing, and whether it was accepted yet nobody knows. */
		close(c);
		ready();
	}
	quit();
}

Test(vsock_process, a_broken_queue_needs_a_reset_and_gets_one)
{
	int fd;

	up();
	fd = guest_opens(1, 2);
	driver_desc(&tx, 0, TX_AT, 64, DRV_NEXT, QLEN);
	driver_offer(&tx, 0);
	process_kick(&p, 1);
	process_expect(&p, LINK_NEEDS_RESET, &m);
	cr_assert_eq(m.u.needs_reset.reason, VQ_E_NEXT);
	cr_assert_eq(m.u.needs_reset.queue, 1);
	cr_assert(ends(fd));
	process_kick(&p, 0);
	process_kick(&p, 1);
	settles(5);
	process_tell(&p, &(struct link_msg){ .type = LINK_RESET });
	process_expect(&p, LINK_RESET_DONE, &m);
	ready();
	fd = guest_opens(1, 2);
	sends("healed", 1, 2);
	reads_text(fd, "healed");
	quit();
}

Test(vsock_process, complaints_in_the_log_are_limited)
{
	const char *text;
	int lines = 0;

	up();
	for (int i = 0; i < 100; i++) {
		driver_desc(&tx, 0, TX_AT, 64, DRV_NEXT, QLEN);
		driver_offer(&tx, 0);
		process_kick(&p, 1);
		process_expect(&p, LINK_NEEDS_RESET, &m);
		process_tell(&p, &(struct link_msg){ .type = LINK_RESET });
		process_expect(&p, LINK_RESET_DONE, &m);
		ready();
	}
	text = process_log(&p);
	for (const char *c = text; *c != 0; c++)
		lines += *c == '\n';
	cr_assert_eq(lines, 4 + 4, "%s", text);	/* 1..4, 8, 16, 32, 64 */
	cr_assert_not_null(strstr(text, "the driver must reset"));
	quit();
}

Test(vsock_process, ends_with_the_vmm)
{
	up();
	close(p.vmm.fd);
	cr_assert(exited(process_end(&p), 0));
}

Test(vsock_process, ends_when_the_vmm_breaks_the_protocol)
{
	start();
	cr_assert_eq(write(p.vmm.fd, "nonsense", 8), 8);
	cr_assert(exited(process_end(&p), 1));
}

Test(vsock_process, goes_on_without_a_supervisor)
{
	uint32_t port;

	up();
	close(super);
	op(VSOCK_OP_REQUEST, 1, 2);
	hears_op(VSOCK_OP_RST, 1, 2);
	host_opens(52, &port);
	settles(5);
	quit();
}

Test(vsock_process, does_not_start_for_a_device_that_is_none)
{
	static const char *const index[] = { "1", "x", "", "-1", "99999999999999999999" };

	for (size_t i = 0; i < array_len(index); i++) {
		plan();
		process_start(&p, "immure-vsock", index[i]);
		cr_assert(exited(process_end(&p), 1), "%s", index[i]);
	}
}

Test(vsock_process, costs_little_when_idle)
{
	up();
	usleep(100000);
#ifndef __SANITIZE_ADDRESS__
	cr_assert_leq(process_status(&p, "RssAnon"), 256, "KiB");
#endif
	settles(0);
	quit();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* wall.c: the packet wall's program as a tc classifier of a tap's ingress, by rtnetlink.
 *
 * A clsact qdisc is what classifiers hang on; it delays nothing.  Two requests, each answered with
 * an error number. */
#include "jailer/wall.h"
#include "jailer/bpf.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Before all others; a handle by which it is known as ours. */
enum { PRIORITY = 1, HANDLE = 0x494d };

/* One request; room for the attributes that are put here and no more. */
struct request {
	struct nlmsghdr head;
	struct tcmsg tc;
	uint8_t attributes[128];
};

/* Appends an attribute; nested ones are put with @len 0 and closed with end_nest(). */
static struct rtattr *add_attribute(struct request *r, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len > 0)
		memcpy(RTA_DATA(a), data, len);
	r->head.nlmsg_len = NLMSG_ALIGN(r->head.nlmsg_len) + (uint32_t)RTA_ALIGN(a->rta_len);
	return a;
}

static void end_nest(struct request *r, struct rtattr *a)
{
	a->rta_len = (unsigned short)((uint8_t *)r + r->head.nlmsg_len - (uint8_t *)a);
}

static void begin_request(struct request *r, unsigned short type, unsigned short flags, unsigned ifindex)
{
	memset(r, 0, sizeof(*r));
	r->head.nlmsg_len = NLMSG_LENGTH(sizeof(r->tc));
	r->head.nlmsg_type = type;
	r->head.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags);
	r->tc.tcm_family = AF_UNSPEC;
	r->tc.tcm_ifindex = (int)ifindex;
}

/* Sends @r and returns what the kernel says of it: 0 or -errno. */
static int exchange(int sock, const struct request *r)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		uint8_t rest[512];
	} answer;
	ssize_t n = send(sock, r, r->head.nlmsg_len, 0);

	if (n < 0)
		return -errno;
	n = recv(sock, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(answer.error)) || answer.head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.error.error;
}

static int add_qdisc(int sock, unsigned ifindex)
{
	struct request r;
	int rc;

	begin_request(&r, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex);
	r.tc.tcm_parent = TC_H_CLSACT;
	r.tc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	add_attribute(&r, TCA_KIND, "clsact", sizeof("clsact"));
	rc = exchange(sock, &r);
	return rc == -EEXIST ? 0 : rc;
}

/* A request about our classifier. */
static void begin_filter(struct request *r, unsigned short type, unsigned short flags, unsigned ifindex)
{
	begin_request(r, type, flags, ifindex);
	r->tc.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	r->tc.tcm_handle = HANDLE;
	r->tc.tcm_info = TC_H_MAKE(PRIORITY << 16, __builtin_bswap16(ETH_P_ALL));
	add_attribute(r, TCA_KIND, "bpf", sizeof("bpf"));
}

static int add_filter(int sock, unsigned ifindex, int program)
{
	const uint32_t fd = (uint32_t)program, flags = TCA_BPF_FLAG_ACT_DIRECT;
	struct rtattr *options;
	struct request r;

	begin_filter(&r, RTM_NEWTFILTER, NLM_F_CREATE, ifindex);
	options = add_attribute(&r, TCA_OPTIONS, NULL, 0);
	add_attribute(&r, TCA_BPF_FD, &fd, sizeof(fd));
	add_attribute(&r, TCA_BPF_NAME, "immure_wall", sizeof("immure_wall"));
	add_attribute(&r, TCA_BPF_FLAGS, &flags, sizeof(flags));
	end_nest(&r, options);
	return exchange(sock, &r);
}

/* Can the program tell where the kernel will store a checksum?  It asks two helpers, whose answers were
 * seen to be right on Linux 6.12 and 6.18, and on 6.1 to refuse the frames of every guest. */
static bool tells_checksums(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 12));
}

static int install(unsigned ifindex, int program)
{
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), rc;

	if (sock < 0)
		return -errno;
	rc = add_qdisc(sock, ifindex);
	if (rc == 0)
		rc = add_filter(sock, ifindex, program);
	close(sock);
	return rc;
}

int wall_attach(unsigned ifindex, const char *tap, const struct wall_config *c, struct failure *f)
{
	struct wall_config here = *c;
	const struct bpf_constant rules = { "wall_config", &here };
	struct bpf_loaded l;
	int rc;

	if (!tells_checksums())
		here.flags |= WALL_ANY_CHECKSUM;
	rc = bpf_load(&bpf_wall, &rules, &l);
	if (rc < 0)
		return fail(f, -rc, "the kernel has no BPF, or it is not allowed here",
			    "packet wall of tap %s", tap);
	rc = install(ifindex, l.program[0]);
	bpf_close(&bpf_wall, &l);
	if (rc < 0)
		return fail(f, -rc, "load the modules sch_ingress and cls_bpf", "packet wall of tap %s", tap);
	return 0;
}

int wall_detach(unsigned ifindex, const char *tap, struct failure *f)
{
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), rc;
	struct request r;

	if (sock < 0)
		return fail(f, errno, NULL, "take the packet wall from tap %s", tap);
	begin_filter(&r, RTM_DELTFILTER, 0, ifindex);
	rc = exchange(sock, &r);
	close(sock);
	/* No such classifier, or nothing that one could hang on. */
	if (rc == 0 || rc == -ENOENT || rc == -EINVAL)
		return 0;
	return fail(f, -rc, NULL, "take the packet wall from tap %s", tap);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* net_wall.c: from an interface to the numbers of the packet wall before it.
 *
 * The classifiers of its ingress by rtnetlink, the program of one by its id, its maps by theirs; each
 * must be of the form that jailer/wall.c gave it, or is not taken for ours. */
#include "cli/net.h"
#include "cli/say.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILTERS = 32, MAPS = 16, ANSWER = 32 << 10 };

/* ---- rtnetlink: the programs at the ingress ---- */

struct span {
	const uint8_t *p;
	size_t n;
};

/* What is in the attribute @type of @in; none: { NULL, 0 }. */
static struct span attribute(struct span in, unsigned type)
{
	struct rtattr a;

	while (in.n >= sizeof(a)) {
		memcpy(&a, in.p, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > in.n)
			break;
		if ((a.rta_type & NLA_TYPE_MASK) == type)
			return (struct span){ in.p + sizeof(a), a.rta_len - sizeof(a) };
		if (RTA_ALIGN(a.rta_len) >= in.n)
			break;
		in.p += RTA_ALIGN(a.rta_len);
		in.n -= RTA_ALIGN(a.rta_len);
	}
	return (struct span){ NULL, 0 };
}

/* The program of the classifier that @m, a message of @n bytes, tells of; 0: it has none. */
static uint32_t program_of_filter(const uint8_t *m, size_t n)
{
	const size_t head = NLMSG_LENGTH(sizeof(struct tcmsg));
	struct span all, kind, id;
	uint32_t value;

	if (n < head)
		return 0;
	all = (struct span){ m + head, n - head };
	kind = attribute(all, TCA_KIND);
	id = attribute(attribute(all, TCA_OPTIONS), TCA_BPF_ID);
	if (kind.n != sizeof("bpf") || memcmp(kind.p, "bpf", sizeof("bpf")) != 0 || id.n != sizeof(value))
		return 0;
	memcpy(&value, id.p, sizeof(value));
	return value;
}

/* The programs in @n bytes of answer, behind the *@have in @id.  1: it goes on; 0: that was all; or
 * -errno. */
static int take_answer(const uint8_t *answer, size_t n, uint32_t id[FILTERS], unsigned *have)
{
	struct nlmsghdr h;
	int err = 0;

	for (; n >= sizeof(h); answer += NLMSG_ALIGN(h.nlmsg_len), n -= NLMSG_ALIGN(h.nlmsg_len)) {
		memcpy(&h, answer, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || NLMSG_ALIGN(h.nlmsg_len) > n)
			return -EPROTO;
		if (h.nlmsg_type == NLMSG_DONE || h.nlmsg_type == NLMSG_ERROR) {
			if (h.nlmsg_len >= NLMSG_LENGTH(sizeof(err)))
				memcpy(&err, answer + NLMSG_HDRLEN, sizeof(err));
			return err < 0 ? err : 0;
		}
		if (h.nlmsg_type != RTM_NEWTFILTER)
			continue;
		id[*have] = program_of_filter(answer, h.nlmsg_len);
		if (id[*have] != 0 && ++*have == FILTERS)
			return -E2BIG;
	}
	return 1;
}

/* The programs that are asked about what comes in at @ifindex.  Returns how many, or -errno. */
static int list_programs(int sock, unsigned ifindex, uint32_t id[FILTERS])
{
	struct {
		struct nlmsghdr head;
		struct tcmsg tc;
	} r = { .head = { .nlmsg_len = sizeof(r), .nlmsg_type = RTM_GETTFILTER,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	uint8_t *answer = malloc(ANSWER);
	unsigned have = 0;
	int rc = answer != NULL ? 1 : -ENOMEM;

	r.tc.tcm_family = AF_UNSPEC;
	r.tc.tcm_ifindex = (int)ifindex;
	r.tc.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	if (rc > 0 && send(sock, &r, sizeof(r), 0) < 0)
		rc = -errno;
	while (rc > 0) {
		ssize_t n = recv(sock, answer, ANSWER, MSG_TRUNC);

		rc = n < 0 ? -errno : n > ANSWER ? -EMSGSIZE : take_answer(answer, (size_t)n, id, &have);
	}
	free(answer);
	return rc < 0 ? rc : (int)have;
}

/* ---- bpf(2): the wall among them, and its maps ---- */

static int ask_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long rc = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return rc < 0 ? -errno : (int)rc;
}

/* Opens the program or map @id, and has the kernel tell of it.  Returns a descriptor or -errno. */
static int open_object(enum bpf_cmd cmd, uint32_t id, void *info, uint32_t size)
{
	union bpf_attr attr = { .prog_id = id };
	int fd = ask_bpf(cmd, &attr), rc;

	if (fd < 0)
		return fd;
	attr = (union bpf_attr){ .info = { .bpf_fd = (uint32_t)fd, .info_len = size } };
	attr.info.info = (uint64_t)(uintptr_t)info;
	rc = ask_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
	if (rc >= 0)
		return fd;
	close(fd);
	return rc;
}

/* The ids of the maps of program @id.  Returns how many, -ENOENT when it is not the wall, or -errno. */
static int maps_of_wall(uint32_t id, uint32_t map[MAPS])
{
	struct bpf_prog_info info = { .nr_map_ids = MAPS };
	int fd;

	info.map_ids = (uint64_t)(uintptr_t)map;
	fd = open_object(BPF_PROG_GET_FD_BY_ID, id, &info, sizeof(info));
	if (fd < 0)
		return fd;
	close(fd);
	/* Only who may load programs can give one this name. */
	if (info.type != BPF_PROG_TYPE_SCHED_CLS || strncmp(info.name, "immure_wall", sizeof(info.name)) != 0)
		return -ENOENT;
	return (int)(info.nr_map_ids < MAPS ? info.nr_map_ids : MAPS);
}

/* Opens the one of @n maps that is called @wanted->name, when it has the shape of @wanted.  Returns a
 * descriptor, -EPROTO when there is none, or -errno. */
static int open_map(const uint32_t *id, int n, const struct bpf_map_info *wanted)
{
	for (int i = 0; i < n; i++) {
		struct bpf_map_info m = { .type = 0 };
		int fd = open_object(BPF_MAP_GET_FD_BY_ID, id[i], &m, sizeof(m));

		if (fd < 0)
			return fd;
		if (strncmp(m.name, wanted->name, sizeof(m.name)) == 0 && m.type == wanted->type &&
		    m.key_size == wanted->key_size && m.value_size == wanted->value_size &&
		    m.max_entries == wanted->max_entries)
			return fd;
		close(fd);
	}
	return -EPROTO;
}

/* Returns 0 or -errno, as the next. */
static int read_counts(const uint32_t *id, int n, struct net_denied *d)
{
	const struct bpf_map_info wanted = {
		.name = "wall_counts", .type = BPF_MAP_TYPE_ARRAY, .key_size = sizeof(uint32_t),
		.value_size = sizeof(d->count[0]), .max_entries = WALL_NRULES,
	};
	int fd = open_map(id, n, &wanted), rc = fd;

	for (uint32_t i = 0; i < WALL_NRULES && rc >= 0; i++) {
		union bpf_attr attr = { .map_fd = (uint32_t)fd };

		attr.key = (uint64_t)(uintptr_t)&i;
		attr.value = (uint64_t)(uintptr_t)&d->count[i];
		rc = ask_bpf(BPF_MAP_LOOKUP_ELEM, &attr);
	}
	if (fd >= 0)
		close(fd);
	return rc < 0 ? rc : 0;
}

/* All at once: a walk from key to key would begin anew whenever the VM pushed one out under it. */
static int read_targets(const uint32_t *id, int n, struct net_denied *d)
{
	const struct bpf_map_info wanted = {
		.name = "wall_denied", .type = BPF_MAP_TYPE_LRU_HASH, .key_size = sizeof(struct wall_denied),
		.value_size = sizeof(uint64_t), .max_entries = WALL_DENIED_MAX,
	};
	struct wall_denied key[WALL_DENIED_MAX];
	uint64_t frames[WALL_DENIED_MAX];
	int fd = open_map(id, n, &wanted), rc;
	union bpf_attr attr = { 0 };
	uint32_t next = 0;

	if (fd < 0)
		return fd;
	attr.batch.map_fd = (uint32_t)fd;
	attr.batch.out_batch = (uint64_t)(uintptr_t)&next;
	attr.batch.keys = (uint64_t)(uintptr_t)key;
	attr.batch.values = (uint64_t)(uintptr_t)frames;
	attr.batch.count = WALL_DENIED_MAX;
	rc = ask_bpf(BPF_MAP_LOOKUP_BATCH, &attr);
	close(fd);
	/* ENOENT: these were the last. */
	if (rc < 0 && rc != -ENOENT)
		return rc;
	for (uint32_t i = 0; i < attr.batch.count && i < WALL_DENIED_MAX; i++)
		if (net_target_ok(&key[i]))
			d->target[d->n++] = (struct net_target){ key[i], frames[i] };
	net_sort(d);
	return 0;
}

/* ---- together ---- */

static int read_wall(int sock, unsigned ifindex, struct net_denied *d)
{
	uint32_t program[FILTERS], map[MAPS];
	int n = list_programs(sock, ifindex, program), nmaps = -ENOENT, rc;

	if (n < 0)
		return n;
	for (int i = 0; i < n && nmaps == -ENOENT; i++)
		nmaps = maps_of_wall(program[i], map);
	if (nmaps < 0)
		return nmaps;
	rc = read_counts(map, nmaps, d);
	return rc < 0 ? rc : read_targets(map, nmaps, d);
}

int net_wall_read(int sock, unsigned ifindex, struct net_denied *d)
{
	int rc;

	memset(d->count, 0, sizeof(d->count));
	d->n = 0;
	rc = read_wall(sock, ifindex, d);
	if (rc == 0)
		return 0;
	if (rc == -ENOENT) {
		say_error("there is no packet wall before tap %s", d->tap);
		say_hint("the machine was started with wall=off, or by a user who may not load one");
	} else if (rc == -EPROTO) {
		say_error("the packet wall before tap %s is not in the form that this immure knows", d->tap);
		say_hint("was the machine started by another version?");
	} else {
		say_error("the packet wall before tap %s: %s", d->tap, strerror(-rc));
		net_hint_root(-rc);
	}
	return -1;
}

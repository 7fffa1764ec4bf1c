/* SPDX-License-Identifier: Apache-2.0 */
/* run_config.c: one JSON object, and the checks that can name an option.
 *
 * The jailer checks everything again; what is checked here is what a person gets wrong, so
 * that the message can say which option it was. */
#include "cli/run_config.h"
#include "cli/cmdline.h"
#include "cli/limit_spec.h"
#include "cli/run_overlay.h"
#include "cli/say.h"
#include "core/vmconfig.h"
#include "jailer/mac.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { GUEST_CID = 3 };

/* A console is shown to be read: it undoes the "quiet" of the default.  Without one the kernel
 * need not look for serial ports. */
#define CONSOLE_WORDS " console=ttyS0 loglevel=7"
#define NO_CONSOLE_WORDS " 8250.nr_uarts=0"

/* A Debian kernel takes 42 to 48 MiB before it has given its boot code back.  In a machine of 64
 * there is no room for the files of tracefs (9 MiB before Linux 6.6) and /sys/kernel/slab, nor for
 * the reserve that huge pages ask for, nor for the 4 MiB in which memory control groups account for
 * a chunk of per-CPU memory as large as a huge page: chunks of pages are a tenth of that. */
#define SMALL_WORDS " initcall_blacklist=tracer_init_tracefs,slab_sysfs_init" \
		    " transparent_hugepage=never percpu_alloc=page"
#define SMALL_BYTES (96ull << 20)

int run_cmdline(const struct run_options *o, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s%s%s%s%s", DEFAULT_CMDLINE,
			 o->console ? CONSOLE_WORDS : NO_CONSOLE_WORDS,
			 o->memory < SMALL_BYTES ? SMALL_WORDS : "", o->append[0] ? " " : "",
			 o->append);

	if (n < 0 || (size_t)n >= size) {
		say_error("--append: the kernel command line would be longer than %zu bytes",
			  size - 1);
		return -1;
	}
	for (const char *c = o->append; *c; c++)
		if (*c < ' ' || *c > '~') {
			say_error("--append: only printable ASCII can be on a kernel command line");
			return -1;
		}
	return 0;
}

static bool only_read(const struct run_disk *d)
{
	return d->readonly || d->overlay;
}

/* One disk, written by one device process, would be another's changing under it. */
static bool given_before(const struct run_options *o, const struct stat *st, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct stat *was = &st[i], *now = &st[n];
		bool same = S_ISBLK(now->st_mode) ?
				    S_ISBLK(was->st_mode) && was->st_rdev == now->st_rdev :
				    was->st_dev == now->st_dev && was->st_ino == now->st_ino;

		if (same && !(only_read(&o->disk[i]) && only_read(&o->disk[n])))
			return true;
	}
	return false;
}

int run_disks(const struct run_options *o, char (*paths)[4096])
{
	struct stat st[RUN_DISKS];

	for (unsigned i = 0; i < o->ndisks; i++) {
		if (!realpath(o->disk[i].path, paths[i]) || stat(paths[i], &st[i]) < 0) {
			say_error("--disk %s: %s", o->disk[i].path, strerror(errno));
			return -1;
		}
		if (!S_ISREG(st[i].st_mode) && !S_ISBLK(st[i].st_mode)) {
			say_error("--disk %s: neither a regular file nor a block device",
				  o->disk[i].path);
			return -1;
		}
		if (given_before(o, st, i)) {
			say_error("--disk %s: given twice", o->disk[i].path);
			say_hint("only with ,ro or ,overlay both times may it be");
			return -1;
		}
	}
	return 0;
}

/* "NAME_123" is where a guest's connections to port 123 go when its sockets are at "NAME". */
static bool ends_like_a_port(const char *base)
{
	const char *last = strrchr(base, '_');

	return last && last[1] && last[1 + strspn(last + 1, "0123456789")] == '\0';
}

int run_vsock_path(const char *given, char *path, size_t size)
{
	const char *slash = strrchr(given, '/'), *base = slash ? slash + 1 : given;
	char dir[PATH_MAX], real[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(base - given) : 1,
			 slash ? given : ".");

	if (!base[0] || n < 0 || (size_t)n >= sizeof(dir)) {
		say_error("--vsock %s: not the path of a socket", given);
		return -1;
	}
	if (ends_like_a_port(base)) {
		say_error("--vsock %s: the name must not end in _ and a number", given);
		say_hint("that is where another machine's connections to that port would go");
		return -1;
	}
	if (!realpath(dir, real)) {
		say_error("--vsock %s: directory %s: %s", given, dir, strerror(errno));
		return -1;
	}
	n = snprintf(path, size, "%s/%s", strcmp(real, "/") == 0 ? "" : real, base);
	if (n < 0 || (size_t)n >= size) {
		say_error("--vsock %s: longer than %zu bytes, too long for a socket", given, size - 1);
		return -1;
	}
	return 0;
}

static json_t *disk(const char *path, const struct run_disk *d, const char *overlay,
		    const char *serial)
{
	json_t *j = json_pack("{s:s, s:b, s:b, s:b, s:s, s:o}", "path", path, "readonly",
			      (int)d->readonly, "discard", (int)!d->keep, "direct",
			      (int)d->direct, "serial", serial, "rate_limiter", limit_json(&d->limit[0]));

	if ((d->grow != 0 && json_object_set_new(j, "grow", json_integer((json_int_t)d->grow)) < 0) ||
	    (d->queues != 0 && json_object_set_new(j, "queues", json_integer(d->queues)) < 0) ||
	    (d->block != 0 && json_object_set_new(j, "block_size", json_integer(d->block)) < 0) ||
	    !run_overlay_json(j, d, overlay)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static json_t *disks(const struct run_options *o, const struct run_parts *p)
{
	static const struct run_disk root = { .readonly = true };
	json_t *list = json_array();

	json_array_append_new(list, disk(p->image, &root, NULL, "root"));
	for (unsigned i = 0; i < o->ndisks; i++) {
		char serial[16];

		snprintf(serial, sizeof(serial), "disk%u", i);
		json_array_append_new(list, disk(p->disk[i], &o->disk[i], p->overlay[i], serial));
	}
	/* An element that could not be made (a path that is not UTF-8) was not appended. */
	if (json_array_size(list) != o->ndisks + 1) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *text_of(const uint8_t address[static 4], const char *behind)
{
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, address, text, sizeof(text));
	return json_sprintf("%s%s", text, behind);
}

static json_t *text_of6(const uint8_t address[static 16], const char *before, const char *behind)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, address, text, sizeof(text));
	return json_sprintf("%s%s%s", before, text, behind);
}

/* The line of the allow-list for a name server of either kind; NULL: there is none. */
static json_t *allow_dns(const uint8_t dns[static 16])
{
	struct in6_addr a;

	memcpy(&a, dns, sizeof(a));
	if (IN6_IS_ADDR_UNSPECIFIED(&a))
		return NULL;
	return IN6_IS_ADDR_V4MAPPED(&a) ? text_of(dns + 12, ":53") : text_of6(dns, "[", "]:53");
}

/* The allow-list, and with it the name servers that the guest was told of. */
static json_t *allow_list(const struct run_net *n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n->nallow; i++)
		json_array_append_new(list, json_string(n->allow[i]));
	for (size_t i = 0; i < PROTO_DNS_MAX; i++)
		json_array_append_new(list, allow_dns(n->guest.dns[i]));
	return list;
}

/* What the packet wall has to know. */
static void add_wall(json_t *net, const struct run_net *n)
{
	json_t *addresses = json_array();

	json_object_set_new(net, "wall", json_string(n->wall));
	if (n->guest.prefix != 0 && !n->user)
		json_array_append_new(addresses, text_of(n->guest.address, ""));
	if (n->guest.prefix6 != 0)
		json_array_append_new(addresses, text_of6(n->guest.address6, "", ""));
	json_object_set_new(net, "addresses", addresses);
	if (n->nallow > 0)
		json_object_set_new(net, "allow", allow_list(n));
	if (n->frame_rate > 0)
		json_object_set_new(net, "frame_rate", json_integer(n->frame_rate));
}

/* The network that passt makes for the guest. */
static json_t *user_net(const struct run_net *n)
{
	char prefix[8];
	json_t *user;

	snprintf(prefix, sizeof(prefix), "/%u", n->guest.prefix);
	user = json_pack("{s:o, s:o}", "address", text_of(n->guest.address, prefix), "gateway",
			 text_of(n->guest.gateway, ""));
	if (!n->dns_given)
		json_object_set_new(user, "dns", text_of(n->guest.dns[0] + 12, ""));
	return user;
}

static json_t *interface(const struct run_net *n)
{
	static const uint8_t none[MAC_BYTES];
	json_t *net = json_pack("{s:i, s:b}", "queues", (int)n->queues, "offload", (int)n->offload);
	char mac[MAC_TEXT];

	if (n->user)
		json_object_set_new(net, "user", user_net(n));
	else
		json_object_set_new(net, "tap", json_string(n->tap));
	if (memcmp(n->guest.mac, none, sizeof(none)) != 0)
		json_object_set_new(net, "mac", json_string(mac_format(n->guest.mac, mac)));
	if (n->mtu)
		json_object_set_new(net, "mtu", json_integer(n->mtu));
	add_wall(net, n);
	return net;
}

/* Adds the network interfaces, if there are any.  False: no memory. */
static bool add_nets(json_t *root, const struct run_options *o)
{
	json_t *list;

	if (o->nnets == 0)
		return true;
	list = json_array();
	for (unsigned i = 0; i < o->nnets; i++)
		json_array_append_new(list, interface(&o->net[i]));
	return json_array_size(list) == o->nnets && json_object_set_new(root, "net", list) == 0;
}

/* What the machine's processes may take of the host together.  Its processors cannot ask for more
 * than themselves; one more serves them, whatever runs in the processes that do. */
static json_t *limits_of(const struct run_options *o)
{
	const struct run_limits *l = &o->limits;
	uint32_t cpu = l->cpu_percent == RUN_LIMIT_DEFAULT ? 100 * (o->cpus + 1) : l->cpu_percent;

	return json_pack("{s:I, s:I, s:I, s:I}", "cpu_percent", (json_int_t)cpu, "pids", (json_int_t)l->pids,
			 "io_bytes_per_sec", (json_int_t)l->io, "memory_overhead", (json_int_t)l->overhead);
}

/* Says which path is not UTF-8, as JSON must be. */
static bool say_unfit(const char *what, const char *path)
{
	json_t *text = path ? json_string(path) : NULL;

	if (path && !text)
		say_error("%s %s: the path is not UTF-8, immure cannot pass it on", what, path);
	json_decref(text);
	return path && !text;
}

static void explain(const struct run_options *o, const struct run_parts *p)
{
	bool said = say_unfit("kernel", p->kernel) || say_unfit("kernel", p->initrd) ||
		    say_unfit("root file system", p->image) || say_unfit("--vsock", p->vsock) ||
		    say_unfit("run directory", p->run_dir);

	for (unsigned i = 0; i < o->ndisks && !said; i++)
		said = say_unfit("--disk", p->disk[i]) || say_unfit("--disk: overlay", p->overlay[i]);
	if (!said)
		say_error("the configuration: %s", strerror(ENOMEM));
	else
		say_hint("give it a name in UTF-8, or move it to where it has one");
}

char *run_config(const struct run_options *o, const struct run_parts *p)
{
	char cmdline[VMCONFIG_CMDLINE], *text = NULL;
	json_t *root;

	if (run_cmdline(o, cmdline, sizeof(cmdline)) < 0)
		return NULL;
	root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:b, s:b, s:s, s:I, s:I, s:o, s:o, "
			 "s:{s:i, s:s, s:i}}",
			 "name", p->name, "kernel", p->kernel, "initrd", p->initrd, "cmdline",
			 cmdline, "entry", o->entry, "memory", (json_int_t)o->memory, "vcpus",
			 (int)o->cpus, "console", (int)o->console, "core_scheduling",
			 (int)o->core_scheduling, "speculation", o->speculation, "timeout_ms",
			 (json_int_t)o->timeout_ms, "id", (json_int_t)p->id, "disks",
			 disks(o, p), "limits", limits_of(o), "vsock", "cid", GUEST_CID, "path", p->vsock,
			 "connections", (int)o->vsock_connections);
	if (root && add_nets(root, o) && (!p->run_dir ||
		     json_object_set_new(root, "run_dir", json_string(p->run_dir)) == 0))
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (!text)
		explain(o, p);
	return text;
}

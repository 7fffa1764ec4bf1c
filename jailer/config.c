/* SPDX-License-Identifier: Apache-2.0 */
/* config.c: JSON to struct config.
 *
 * The text comes from whoever may start VMs, which in root mode may be a program that passes
 * on parts of what its own users wrote.  So: bounded before it is parsed, every key looked up
 * in a table that states type and range, everything else refused by name; and all of it before
 * the jailer has used any privilege.  Paths are only looked at as strings here. */
#include "jailer/config.h"
#include "core/guestmem.h"
#include "core/overlay.h"
#include "jailer/config_user.h"
#include "jailer/config_wall.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum kind {
	NAME,		/* const char *, [a-zA-Z0-9][a-zA-Z0-9._-]* */
	PATH,		/* const char *, absolute */
	TEXT,		/* const char *, printable ASCII */
	U64,		/* uint64_t */
	U32,		/* uint32_t */
	BOOL,		/* bool */
	WORD,		/* uint32_t, index in words[] */
	FLAG,		/* bool, true for the second of words[] */
	LIMITER,	/* struct limit_values */
	OBJECT,		/* read by the caller */
	ARRAY,		/* read by the caller */
};

struct field {
	const char *key;
	enum kind kind;
	bool required;
	size_t offset;		/* of the value in the struct */
	uint64_t min, max;	/* numbers: the value; strings: the length */
	const char *words[5];
};

enum { TAP_NAME_MAX = 15 };	/* IFNAMSIZ, with its NUL, is 16 */

/* JSON integers of jansson are long long; nothing of ours is larger. */
#define NUMBER_MAX ((uint64_t)LLONG_MAX)
#define AT(type, member) .offset = offsetof(struct type, member)

static const struct field vm_fields[] = {
	{ "name", NAME, true, AT(config, name), 1, 64 },
	{ "kernel", PATH, true, AT(config, kernel), 1, PATH_MAX - 1 },
	{ "initrd", PATH, false, AT(config, initrd), 1, PATH_MAX - 1 },
	{ "cmdline", TEXT, false, AT(config, cmdline), 0, VMCONFIG_CMDLINE - 1 },
	{ "entry", WORD, false, AT(config, entry),
	  .words = { "auto", "pvh", "linux64", "flat" } },
	{ "memory", U64, false, AT(config, memory), GUESTMEM_MIN, GUESTMEM_MAX },
	{ "vcpus", U32, false, AT(config, vcpus), 1, PLAN_VCPUS },
	{ "console", BOOL, false, AT(config, console) },
	{ "cmdline_devices", BOOL, false, AT(config, cmdline_devices) },
	{ "timeout_ms", U64, false, AT(config, timeout_ms), 0, NUMBER_MAX / 1000000 },
	{ .key = "disks", .kind = ARRAY },
	{ .key = "net", .kind = ARRAY },
	{ .key = "vsock", .kind = OBJECT },
	{ "run_dir", PATH, false, AT(config, run_dir), 2, PATH_MAX - 1 },
	{ .key = "limits", .kind = OBJECT },
	{ "uid_base", U32, false, AT(config, uid_base), 1, UINT32_MAX - CONFIG_UIDS },
	{ "id", U32, false, AT(config, id), 0, UINT32_MAX },
	{ "cgroup", FLAG, false, AT(config, cgroup_off), .words = { "auto", "off" } },
	{ "speculation", FLAG, false, AT(config, speculation_restrict),
	  .words = { "host", "restrict" } },
	{ "core_scheduling", BOOL, false, AT(config, core_scheduling) },
};

static const struct field disk_fields[] = {
	{ "path", PATH, true, AT(config_disk, path), 1, PATH_MAX - 1 },
	{ "readonly", BOOL, false, AT(config_disk, readonly) },
	{ "discard", BOOL, false, AT(config_disk, discard) },
	{ "serial", TEXT, false, AT(config_disk, serial), 0, 20 },
	{ "overlay", BOOL, false, AT(config_disk, overlay) },
	{ "overlay_path", PATH, false, AT(config_disk, overlay_path), 2, PATH_MAX - 1 },
	{ "overlay_limit", U64, false, AT(config_disk, overlay_limit), OVERLAY_CLUSTER,
	  OVERLAY_BASE_MAX },
	{ "direct", BOOL, false, AT(config_disk, direct) },
	{ "queues", U32, false, AT(config_disk, queues), 1, PLAN_BLK_QUEUES },
	{ "grow", U64, false, AT(config_disk, grow), VM_BLOCK_MAX, OVERLAY_BASE_MAX },
	{ "block_size", U32, false, AT(config_disk, block_size), VM_BLOCK_MIN, VM_BLOCK_MAX },
	{ "rate_limiter", LIMITER, false, AT(config_disk, limit) },
};

static const struct field net_fields[] = {
	{ "tap", NAME, false, AT(config_net, tap), 1, TAP_NAME_MAX },
	{ .key = "user", .kind = OBJECT },
	{ "mac", TEXT, false, AT(config_net, mac_text), MAC_TEXT - 1, MAC_TEXT - 1 },
	{ "mtu", U32, false, AT(config_net, mtu), 68, UINT16_MAX },
	{ "queues", U32, false, AT(config_net, queues), 1, PLAN_NET_PAIRS },
	{ "offload", BOOL, false, AT(config_net, offload) },
	{ "tx_rate_limiter", LIMITER, false, AT(config_net, limit[LIMITS_OUT]) },
	{ "rx_rate_limiter", LIMITER, false, AT(config_net, limit[LIMITS_IN]) },
	{ "wall", WORD, false, AT(config_net, wall_mode), .words = { "auto", "on", "off" } },
	{ .key = "addresses", .kind = ARRAY },
	{ .key = "allow", .kind = ARRAY },
	{ "frame_rate", U32, false, AT(config_net, frame_rate), 0, UINT32_MAX - 10 },
};

static const struct field user_fields[] = {
	{ "address", TEXT, true, AT(config_user, address), 9, 18 },
	{ "gateway", TEXT, true, AT(config_user, gateway), 7, 15 },
	{ "dns", TEXT, false, AT(config_user, dns), 7, 15 },
};

static const struct field vsock_fields[] = {
	{ "cid", U64, true, AT(config, vsock_cid), 3, UINT32_MAX - 1 },
	{ "path", PATH, true, AT(config, vsock_path), 2, PATH_MAX - 1 },
	{ "connections", U32, false, AT(config, vsock_connections), 1, PLAN_VSOCK_CONNS },
	{ "tx_rate_limiter", LIMITER, false, AT(config, vsock_limit[LIMITS_OUT]) },
	{ "rx_rate_limiter", LIMITER, false, AT(config, vsock_limit[LIMITS_IN]) },
};

static const struct field bucket_fields[] = {
	{ "size", U64, true, AT(bucket_limit, size), 0, BUCKET_TOKENS_MAX },
	{ "one_time_burst", U64, false, AT(bucket_limit, burst), 0, BUCKET_TOKENS_MAX },
	{ "refill_time", U64, true, AT(bucket_limit, refill_ms), 0, BUCKET_REFILL_MS_MAX },
};

static const struct field limit_fields[] = {
	{ "memory_overhead", U64, false, AT(config_limits, memory_overhead), 0, GUESTMEM_MAX },
	{ "cpu_percent", U32, false, AT(config_limits, cpu_percent), 0, 100 * 1024 },
	{ "pids", U32, false, AT(config_limits, pids), 0, 4096 },
	{ "io_bytes_per_sec", U64, false, AT(config_limits, io_bytes_per_sec), 0, NUMBER_MAX },
};

/* Where in the text we are, for messages: "disks[1].rate_limiter.ops", or "". */
struct place {
	char prefix[48];
	struct failure *f;
};

static int bad(const struct place *p, const char *key, const char *must)
{
	const char *dot = p->prefix[0] != 0 && key[0] != 0 ? "." : "";

	return fail(p->f, 0, NULL, "config: %s%s%s: %s", p->prefix, dot, key, must);
}

static int bad_range(const struct place *p, const struct field *fd, const char *unit)
{
	char must[96];

	snprintf(must, sizeof(must), "must be %s%llu to %llu", unit,
		 (unsigned long long)fd->min, (unsigned long long)fd->max);
	return bad(p, fd->key, must);
}

static bool all_printable(const char *s)
{
	for (; *s != 0; s++)
		if (*s < ' ' || *s > '~')
			return false;
	return true;
}

static bool valid_name(const char *s)
{
	if (!isalnum((unsigned char)*s))
		return false;
	for (; *s != 0; s++)
		if (!isalnum((unsigned char)*s) && strchr("._-", *s) == NULL)
			return false;
	return true;
}

static int read_string(const struct place *p, const struct field *fd, const json_t *v,
		       const char **out)
{
	const char *s = json_string_value(v);

	if (s == NULL)
		return bad(p, fd->key, "must be a string");
	if (strlen(s) < fd->min || strlen(s) > fd->max)
		return bad_range(p, fd, "a string of length ");
	if (fd->kind == NAME && !valid_name(s))
		return bad(p, fd->key, "must be letters, digits, '.', '_', '-', not first");
	if (fd->kind == PATH && s[0] != '/')
		return bad(p, fd->key, "must be an absolute path");
	if (fd->kind == TEXT && !all_printable(s))
		return bad(p, fd->key, "must be printable ASCII");
	*out = s;
	return 0;
}

static int read_number(const struct place *p, const struct field *fd, const json_t *v,
		       uint64_t *out)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		return bad(p, fd->key, "must be an integer");
	if (n < 0 || (uint64_t)n < fd->min || (uint64_t)n > fd->max)
		return bad_range(p, fd, "");
	*out = (uint64_t)n;
	return 0;
}

static int read_word(const struct place *p, const struct field *fd, const json_t *v,
		     uint32_t *out)
{
	const char *s = json_string_value(v);
	char must[64] = "must be one of:";

	for (uint32_t i = 0; fd->words[i] != NULL; i++) {
		size_t used = strlen(must);

		if (s != NULL && strcmp(s, fd->words[i]) == 0) {
			*out = i;
			return 0;
		}
		snprintf(must + used, sizeof(must) - used, " %s", fd->words[i]);
	}
	return bad(p, fd->key, must);
}

static const struct field *field_of(const struct field *fields, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(key, fields[i].key) == 0)
			return &fields[i];
	return NULL;
}

static int check_required(const struct place *p, const json_t *object, const struct field *fields,
			  size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fields[i].required && json_object_get(object, fields[i].key) == NULL)
			return bad(p, fields[i].key, "is required");
	return 0;
}

/* Firecracker prints null for what is not limited. */
static int read_bucket(const struct place *p, json_t *object, struct bucket_limit *out)
{
	const char *key;
	json_t *v;

	if (json_is_null(object))
		return 0;
	if (!json_is_object(object))
		return bad(p, "", "must be an object");
	json_object_foreach(object, key, v) {
		const struct field *fd = field_of(bucket_fields, array_len(bucket_fields), key);

		if (fd == NULL)
			return bad(p, key, "unknown key");
		if (json_is_null(v) && !fd->required)
			continue;
		if (read_number(p, fd, v, (uint64_t *)(void *)((char *)out + fd->offset)) != 0)
			return -1;
	}
	return check_required(p, object, bucket_fields, array_len(bucket_fields));
}

static int read_limiter(const struct place *p, const struct field *fd, json_t *limiter,
			struct limit_values *out)
{
	const char *key;
	json_t *v;

	if (json_is_null(limiter))
		return 0;
	if (!json_is_object(limiter))
		return bad(p, fd->key, "must be an object");
	json_object_foreach(limiter, key, v) {
		struct place in = { .f = p->f };
		bool bytes = strcmp(key, "bandwidth") == 0;

		snprintf(in.prefix, sizeof(in.prefix), "%.16s%s%s%s", p->prefix,
			 p->prefix[0] != 0 ? "." : "", fd->key,
			 bytes ? ".bandwidth" : strcmp(key, "ops") == 0 ? ".ops" : "");
		if (!bytes && strcmp(key, "ops") != 0)
			return bad(&in, key, "unknown key");
		if (read_bucket(&in, v, bytes ? &out->bytes : &out->ops) != 0)
			return -1;
	}
	return 0;
}

static int read_value(const struct place *p, const struct field *fd, json_t *v, void *base)
{
	void *at = (char *)base + fd->offset;
	uint64_t n = 0;
	uint32_t word = 0;
	int rc = 0;

	switch (fd->kind) {
	case NAME:
	case PATH:
	case TEXT:
		return read_string(p, fd, v, at);
	case U64:
		return read_number(p, fd, v, at);
	case U32:
		rc = read_number(p, fd, v, &n);
		if (rc == 0)
			*(uint32_t *)at = (uint32_t)n;
		return rc;
	case BOOL:
		if (!json_is_boolean(v))
			return bad(p, fd->key, "must be true or false");
		*(bool *)at = json_is_true(v);
		return 0;
	case WORD:
		return read_word(p, fd, v, at);
	case FLAG:
		rc = read_word(p, fd, v, &word);
		*(bool *)at = word == 1;
		return rc;
	case LIMITER:
		return read_limiter(p, fd, v, at);
	case OBJECT:
		return json_is_object(v) ? 0 : bad(p, fd->key, "must be an object");
	case ARRAY:
		return json_is_array(v) ? 0 : bad(p, fd->key, "must be an array");
	}
	return -1;
}

/* Reads @object by @fields into the struct at @base. */
static int read_object(const struct place *p, json_t *object, const struct field *fields,
		       size_t n, void *base)
{
	const char *key;
	json_t *v;

	if (!json_is_object(object))
		return bad(p, "", "must be an object");
	json_object_foreach(object, key, v) {
		const struct field *fd = field_of(fields, n, key);

		if (fd == NULL)
			return bad(p, key, "unknown key");
		if (read_value(p, fd, v, base) != 0)
			return -1;
	}
	return check_required(p, object, fields, n);
}

static int check_overlay(const struct place *p, struct config_disk *d)
{
	if (!d->overlay)
		return d->overlay_path == NULL && d->overlay_limit == 0 ? 0
		     : bad(p, "overlay", "must be true where more is said about one");
	if (d->readonly)
		return bad(p, "overlay", "must be false on a disk that is read-only");
	if (d->direct)
		return bad(p, "overlay", "must be false on a disk that is direct");
	if (d->grow != 0)
		return bad(p, "overlay", "must be false on a disk that grows");
	if (d->overlay_limit == 0 && d->overlay_path == NULL)
		d->overlay_limit = CONFIG_OVERLAY_MEMORY;
	d->overlay_limit -= d->overlay_limit % OVERLAY_CLUSTER;
	return 0;
}

static int read_disks(struct config *c, const json_t *disks, struct failure *f)
{
	size_t n = json_array_size(disks);

	if (n > PLAN_DEVICES)
		return fail(f, 0, NULL, "config: disks: at most %d", PLAN_DEVICES);
	for (size_t i = 0; i < n; i++) {
		struct place p = { .f = f };

		snprintf(p.prefix, sizeof(p.prefix), "disks[%zu]", i);
		c->disk[i] = (struct config_disk){
			.serial = "", .readonly = true, .discard = true, .queues = 1,
		};
		if (read_object(&p, json_array_get(disks, i), disk_fields,
				array_len(disk_fields), &c->disk[i]) != 0)
			return -1;
		if (c->disk[i].block_size != 0 && !is_power_of_2(c->disk[i].block_size))
			return bad(&p, "block_size", "must be 512, 1024, 2048 or 4096");
		if (check_overlay(&p, &c->disk[i]) != 0)
			return -1;
	}
	c->ndisks = (uint32_t)n;
	return 0;
}

/* Two interfaces cannot be one tap's ends; and of passt there is one process. */
static bool given_before(const struct config *c, size_t n)
{
	const char *tap = c->net[n].tap;

	for (size_t i = 0; i < n; i++)
		if (tap == NULL || c->net[i].tap == NULL ? tap == c->net[i].tap
							 : strcmp(c->net[i].tap, tap) == 0)
			return true;
	return false;
}

/* Where the other side of the interface is. */
static int read_side(struct config_net *net, json_t *user, const struct place *p)
{
	struct place in = { .f = p->f };

	if ((net->tap == NULL) == (user == NULL))
		return bad(p, "tap", user == NULL ? "is required" : "not together with user");
	if (user == NULL)
		return 0;
	snprintf(in.prefix, sizeof(in.prefix), "%.40s.user", p->prefix);
	if (read_object(&in, user, user_fields, array_len(user_fields), &net->user) != 0)
		return -1;
	return config_user_check(net, p->prefix, p->f);
}

static int read_nets(struct config *c, const json_t *nets, struct failure *f)
{
	size_t n = json_array_size(nets);

	if (n > PLAN_DEVICES)
		return fail(f, 0, NULL, "config: net: at most %d", PLAN_DEVICES);
	for (size_t i = 0; i < n; i++) {
		struct config_net *net = &c->net[i];
		struct place p = { .f = f };

		snprintf(p.prefix, sizeof(p.prefix), "net[%zu]", i);
		*net = (struct config_net){ .queues = 1, .offload = true };
		if (read_object(&p, json_array_get(nets, i), net_fields, array_len(net_fields),
				net) != 0)
			return -1;
		if (read_side(net, json_object_get(json_array_get(nets, i), "user"), &p) != 0)
			return -1;
		if (given_before(c, i))
			return bad(&p, net->tap != NULL ? "tap" : "user", "given twice");
		if (net->mac_text == NULL)
			mac_derive(c->name, (unsigned)i, net->mac);
		else if (!mac_parse(net->mac_text, net->mac))
			return bad(&p, "mac", "must be the address of one interface, like "
				   "52:54:00:12:34:56");
		if (config_wall_read(net, json_array_get(nets, i), p.prefix, f) != 0)
			return -1;
	}
	c->nnets = (uint32_t)n;
	return 0;
}

static int read_all(struct config *c, json_t *root, struct failure *f)
{
	struct place top = { .prefix = "", .f = f };
	struct place vsock = { .prefix = "vsock", .f = f };
	struct place limits = { .prefix = "limits", .f = f };
	json_t *v;

	if (read_object(&top, root, vm_fields, array_len(vm_fields), c) != 0)
		return -1;
	if (read_disks(c, json_object_get(root, "disks"), f) != 0)
		return -1;
	if (read_nets(c, json_object_get(root, "net"), f) != 0)
		return -1;
	v = json_object_get(root, "vsock");
	if (v != NULL && read_object(&vsock, v, vsock_fields, array_len(vsock_fields), c) != 0)
		return -1;
	v = json_object_get(root, "limits");
	if (v == NULL)
		return 0;
	return read_object(&limits, v, limit_fields, array_len(limit_fields), &c->limits);
}

/* The guest's connection to port N becomes "<name>_N" in the socket's directory: the longest
 * must still be a socket address. */
static int check_vsock(const struct config *c, struct failure *f)
{
	enum { SUFFIX = sizeof("_4294967295") - 1 };
	const struct sockaddr_un *un = NULL;
	const char *slash = strrchr(c->vsock_path, '/');
	size_t dir = (size_t)(slash - c->vsock_path);
	size_t name = strlen(slash + 1);

	if (name == 0 || name + SUFFIX >= sizeof(un->sun_path))
		return fail(f, 0, NULL, "config: vsock.path: the name after the last '/' must "
			    "be of length 1 to %zu", sizeof(un->sun_path) - SUFFIX - 1);
	if (c->run_dir != NULL &&
	    (strlen(c->run_dir) != dir || strncmp(c->run_dir, c->vsock_path, dir) != 0))
		return fail(f, 0, NULL, "config: vsock.path: must lie directly in run_dir");
	return 0;
}

static int check_together(const struct config *c, struct failure *f)
{
	uint64_t top = (uint64_t)c->uid_base + ((uint64_t)c->id + 1) * CONFIG_UIDS;

	if (c->memory % GUESTMEM_PAGE != 0)
		return fail(f, 0, NULL, "config: memory: must be a multiple of %d",
			    GUESTMEM_PAGE);
	if (top > UINT32_MAX)
		return fail(f, 0, NULL, "config: id: uid_base + (id + 1) * %d exceeds %u",
			    CONFIG_UIDS, UINT32_MAX);
	if (config_devices(c) > PLAN_DEVICES)
		return fail(f, 0, NULL, "config: disks: at most %d devices, network "
			    "interfaces and vsock among them", PLAN_DEVICES);
	if (c->run_dir != NULL && c->run_dir[strlen(c->run_dir) - 1] == '/')
		return fail(f, 0, NULL, "config: run_dir: must not end with '/'");
	return c->vsock_path != NULL ? check_vsock(c, f) : 0;
}

int config_parse(struct config *c, const char *text, size_t len, struct failure *f)
{
	json_error_t error;
	json_t *root;

	*c = (struct config){
		.cmdline = "", .memory = 256u << 20, .vcpus = 1, .uid_base = CONFIG_UID_BASE,
		.vsock_connections = PLAN_VSOCK_CONNS,
	};
	if (len > CONFIG_BYTES_MAX)
		return fail(f, 0, NULL, "config: longer than %d bytes", CONFIG_BYTES_MAX);
	/* A fixed seed saves reading /dev/urandom; hash collisions that the caller builds
	 * cost the caller's own time, on at most CONFIG_BYTES_MAX. */
	json_object_seed(1);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return fail(f, 0, NULL, "config: line %d: %s", error.line, error.text);
	c->json = root;
	if (!json_is_object(root))
		return fail(f, 0, NULL, "config: must be an object");
	if (read_all(c, root, f) != 0)
		return -1;
	return check_together(c, f);
}

int config_limiter(struct limit_values *out, const char *text, struct failure *f)
{
	static const struct field field = { .key = "rate_limiter", .kind = LIMITER };
	const struct place top = { .f = f };
	struct limit_values v = { 0 };
	json_error_t error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	int rc;

	if (root == NULL)
		return fail(f, 0, NULL, "rate_limiter: %s", error.text);
	rc = read_limiter(&top, &field, root, &v);
	json_decref(root);
	if (rc == 0)
		*out = v;
	return rc;
}

void config_free(struct config *c)
{
	json_decref(c->json);
	*c = (struct config){ 0 };
}

enum vm_device_kind config_kind(const struct config *c, uint32_t index)
{
	if (index < c->ndisks)
		return VM_DEVICE_BLK;
	return config_net(c, index) != NULL ? VM_DEVICE_NET : VM_DEVICE_VSOCK;
}

const struct limit_values *config_limit(const struct config *c, uint32_t index, unsigned direction)
{
	static const struct limit_values none;

	if (index < c->ndisks)
		return direction == 0 ? &c->disk[index].limit : &none;
	if (config_net(c, index) != NULL)
		return &config_net(c, index)->limit[direction];
	return &c->vsock_limit[direction];
}

uint32_t config_devices(const struct config *c)
{
	return c->ndisks + c->nnets + (c->vsock_path != NULL ? 1 : 0);
}

int config_user_net(const struct config *c)
{
	for (uint32_t i = 0; i < c->nnets; i++)
		if (c->net[i].tap == NULL)
			return (int)(c->ndisks + i);
	return -1;
}

bool config_has_tap(const struct config *c)
{
	return c->nnets > (config_user_net(c) >= 0 ? 1u : 0u);
}

const struct config_net *config_net(const struct config *c, uint32_t device)
{
	return device >= c->ndisks && device - c->ndisks < c->nnets ? &c->net[device - c->ndisks]
								    : NULL;
}

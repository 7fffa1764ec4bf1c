/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_cpu.c: what processors share between guests, and what the kernel does about it. */
#include "cli/doctor_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62		/* Linux 5.14 */
#define PR_SCHED_CORE_GET 0
#endif
#define VULNERABILITIES "devices/system/cpu/vulnerabilities"

enum { NAMES_MAX = 64, NAME_MAX_BYTES = 32 };

/* The kernel can keep strangers off the other thread of a core: it has cookies to read. */
static bool core_scheduling(void)
{
	uint64_t cookie = 0;

	return prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 0L, 0L, (unsigned long)&cookie) == 0;
}

static void smt(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "two guests on one core can measure each other";
	static const char fix[] =
		"echo off > /sys/devices/system/cpu/smt/control; for ever: boot with nosmt; or start "
		"machines with --core-scheduling";
	char active[16], control[32];
	int err = doctor_line(h->sys, "devices/system/cpu/smt/active", active, sizeof(active));

	if (doctor_line(h->sys, "devices/system/cpu/smt/control", control, sizeof(control)) != 0)
		control[0] = 0;
	if (err != 0)
		advise(to, "SMT", ADVICE_UNKNOWN, why, fix, "%s", strerror(err));
	else if (strcmp(active, "0") == 0)
		advise(to, "SMT", ADVICE_OK, why, fix, "one thread a core (%s)", control);
	else
		advise(to, "SMT", ADVICE_GIVEN, why, fix, "several threads a core; core scheduling: %s",
		       core_scheduling() ? "this kernel has it" : "not in this kernel");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The names in the kernel's directory, sorted.  Returns how many, or -errno. */
static int vulnerability_names(const struct doctor_host *h, char (*names)[NAME_MAX_BYTES])
{
	int fd = openat(h->sys, VULNERABILITIES, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL)
		return fd < 0 ? -errno : -ENOMEM;
	while ((e = readdir(d)) != NULL && n < NAMES_MAX)
		if (e->d_name[0] != '.' && strlen(e->d_name) < NAME_MAX_BYTES)
			snprintf(names[n++], NAME_MAX_BYTES, "%.*s", NAME_MAX_BYTES - 1, e->d_name);
	closedir(d);
	qsort(names, (size_t)n, sizeof(names[0]), by_name);
	return n;
}

/* "Not affected", "Mitigation: ..." are good; "Vulnerable", "...; SMT vulnerable", "KVM: Vulnerable"
 * and "Unknown: ..." are not, wherever the word stands.  Anything else nobody can judge. */
static enum advice_result judge_vulnerability(const char *text)
{
	if (strcasestr(text, "vulnerable") != NULL || strcasestr(text, "unknown") != NULL)
		return ADVICE_GIVEN;
	if (strncmp(text, "Not affected", strlen("Not affected")) == 0 ||
	    strstr(text, "Mitigation:") != NULL)
		return ADVICE_OK;
	return ADVICE_UNKNOWN;
}

/* Flaws that let a guest read more than its own.  A kernel without a file for one of them is older
 * than what is known of it, and does nothing about it. */
static void unheard_of(char (*names)[NAME_MAX_BYTES], int n, struct advices *to, const char *why)
{
	static const char *const known[] = {
		"gather_data_sampling", "l1tf", "mds", "meltdown", "mmio_stale_data", "retbleed",
		"spec_rstack_overflow", "spec_store_bypass", "spectre_v1", "spectre_v2", "tsx_async_abort",
		"vmscape",
	};
	static const char fix[] = "update the kernel";

	for (size_t k = 0; k < array_len(known); k++) {
		bool there = false;

		for (int i = 0; i < n; i++)
			there |= strcmp(names[i], known[k]) == 0;
		if (!there)
			advise(to, known[k], ADVICE_UNKNOWN, why, fix, "this kernel does not know of it");
	}
}

static void vulnerabilities(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "a guest could read what the host or others have in the processor";
	static const char fix[] = "update kernel and microcode; boot without mitigations=off, for "
				  "\"SMT vulnerable\" with mitigations=auto,nosmt";
	static const char ssb[] = "boot with spec_store_bypass_disable=on";
	static char names[NAMES_MAX][NAME_MAX_BYTES];
	int n = vulnerability_names(h, names);

	if (n < 0)
		advise(to, "processor vulnerabilities", ADVICE_UNKNOWN, why, fix, "%s", strerror(-n));
	for (int i = 0; i < n; i++) {
		char path[96], text[ADVICE_STATE];
		int err;

		snprintf(path, sizeof(path), VULNERABILITIES "/%.31s", names[i]);
		err = doctor_line(h->sys, path, text, sizeof(text));
		advise(to, names[i], err != 0 ? ADVICE_UNKNOWN : judge_vulnerability(text), why,
		       strcmp(names[i], "spec_store_bypass") == 0 ? ssb : fix, "%s",
		       err != 0 ? strerror(err) : text);
	}
	if (n >= 0)
		unheard_of(names, n, to, why);
}

#define FIX_NESTED(module) "echo 'options " module " nested=0' > /etc/modprobe.d/immure.conf; " \
			   "rmmod " module "; modprobe " module

static void nested(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "code of KVM that only guests with guests of their own need; immure "
				  "hides it from its guests, this turns it off";
	static const char *const modules[] = { "kvm_intel", "kvm_amd" };
	static const char *const fix[] = { FIX_NESTED("kvm_intel"), FIX_NESTED("kvm_amd") };
	char path[64], text[16];

	for (size_t i = 0; i < array_len(modules); i++) {
		bool off;

		snprintf(path, sizeof(path), "module/%s/parameters/nested", modules[i]);
		if (doctor_line(h->sys, path, text, sizeof(text)) != 0)
			continue;
		off = strcmp(text, "N") == 0 || strcmp(text, "0") == 0;
		advise(to, "nested virtualization", off ? ADVICE_OK : ADVICE_GIVEN, why, fix[i],
		       "%s: nested=%s", modules[i], text);
		return;
	}
	advise(to, "nested virtualization", ADVICE_UNKNOWN, why, fix[0],
	       "neither kvm_intel nor kvm_amd is loaded");
}

static void nx_huge_pages(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "on affected processors a guest can stop the host by executing a huge "
				  "page that changes (CVE-2018-12207)";
	static const char fix[] = "echo force > /sys/module/kvm/parameters/nx_huge_pages; for ever: boot "
				  "with kvm.nx_huge_pages=force";
	char text[16], affected[ADVICE_STATE];
	int err = doctor_line(h->sys, "module/kvm/parameters/nx_huge_pages", text, sizeof(text));

	if (err != 0) {
		advise(to, "kvm nx_huge_pages", ADVICE_UNKNOWN, why, fix, "%s", strerror(err));
		return;
	}
	if (doctor_line(h->sys, VULNERABILITIES "/itlb_multihit", affected, sizeof(affected)) != 0)
		affected[0] = 0;
	if (strcmp(text, "Y") == 0)
		advise(to, "kvm nx_huge_pages", ADVICE_OK, why, fix, "on");
	else if (strcmp(affected, "Not affected") == 0)
		advise(to, "kvm nx_huge_pages", ADVICE_OK, why, fix, "%s; this processor does not need it",
		       text);
	else
		advise(to, "kvm nx_huge_pages", ADVICE_GIVEN, why, fix, "%s", text);
}

/* Value of @key of the first processor in /proc/cpuinfo, from the first 8 KiB. */
static bool cpuinfo(const struct doctor_host *h, const char *key, char *value, size_t size)
{
	int fd = openat(h->proc, "cpuinfo", O_RDONLY | O_CLOEXEC);
	char text[8192];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	at = strstr(text, key);
	at = at != NULL ? strchr(at, ':') : NULL;
	if (at == NULL)
		return false;
	at += 1 + strspn(at + 1, " \t");
	snprintf(value, size, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

/* Newer kernels know which revisions are old (vulnerabilities/old_microcode). */
static void microcode(const struct doctor_host *h, struct advices *to)
{
	static const char why[] = "many mitigations are microcode; an old one makes them do nothing";
	static const char fix[] = "apt install intel-microcode or amd64-microcode, and reboot; on a virtual "
				  "machine ask its host";
	char revision[32], flags[4096];
	bool guest = cpuinfo(h, "flags", flags, sizeof(flags)) && strstr(flags, " hypervisor") != NULL;

	if (!cpuinfo(h, "microcode", revision, sizeof(revision)))
		advise(to, "microcode", ADVICE_UNKNOWN, why, fix, "the kernel does not tell its revision");
	else if (guest)
		advise(to, "microcode", ADVICE_UNKNOWN, why, fix, "revision %s, says a hypervisor", revision);
	else if (faccessat(h->sys, VULNERABILITIES "/old_microcode", F_OK, 0) == 0)
		advise(to, "microcode", ADVICE_OK, why, fix, "revision %s; see old_microcode above",
		       revision);
	else
		advise(to, "microcode", ADVICE_UNKNOWN, why, fix,
		       "revision %s; this kernel does not know which is old", revision);
}

void advise_cpu(const struct doctor_host *h, struct advices *to)
{
	smt(h, to);
	vulnerabilities(h, to);
	microcode(h, to);
	nested(h, to);
	nx_huge_pages(h, to);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What are the processes of the test host doing? Asked for when a command ran into the time
 * limit: a list from /proc, made by the agent itself because nothing else may be able to
 * start any more.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

size_t read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size);

	if (fd >= 0)
		close(fd);
	return n < 0 ? 0 : (size_t)n;
}

/* Reads /proc/PID/NAME as one line of text: NULs and newlines become blanks. */
static size_t read_proc(const char *pid, const char *name, char *buf, size_t size)
{
	char path[64];
	size_t n;

	snprintf(path, sizeof(path), "/proc/%.16s/%.16s", pid, name);
	n = read_text(path, buf, size - 1);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)buf[i] < ' ')
			buf[i] = ' ';
	while (n > 0 && buf[n - 1] == ' ')
		n--;
	buf[n] = '\0';
	return n;
}

static int describe(const char *pid, char *buf, size_t size)
{
	char stat[512], wait[64], command[160];
	unsigned long user = 0, system = 0;
	char state = '?';
	const char *rest;

	/* proc(5): state is the field after the last ')', utime and stime are 11 further on */
	if (read_proc(pid, "stat", stat, sizeof(stat)) == 0)
		return 0;
	rest = strrchr(stat, ')');
	if (!rest || sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &state, &user, &system) != 3)
		return 0;
	if (read_proc(pid, "cmdline", command, sizeof(command)) == 0) {
		if (state == 'S' || state == 'I')
			return 0;
		read_proc(pid, "comm", command, sizeof(command));
	}
	if (read_proc(pid, "wchan", wait, sizeof(wait)) == 0 || strcmp(wait, "0") == 0)
		snprintf(wait, sizeof(wait), "-");
	return snprintf(buf, size, "%5s %c %7.1f s  %-24s %s\n", pid, state,
			(double)(user + system) / (double)sysconf(_SC_CLK_TCK), wait, command);
}

size_t report(char *buf, size_t size)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	size_t used = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		int n;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		n = describe(entry->d_name, buf + used, size - used);
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
	}
	closedir(dir);
	return used;
}

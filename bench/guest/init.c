/* SPDX-License-Identifier: Apache-2.0 */
/* init.c: process 1 of a measured guest: reads `ops` blocks of 4 KiB of the first disk, one after the
 * other and past its own cache, and resets the machine.
 *
 * Statically linked, with only the kernel around it: what is measured is the machine. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 4096 };

static void read_blocks(long ops)
{
	static char block[BLOCK] __attribute__((aligned(BLOCK)));
	int disk;

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	disk = open("/dev/vda", O_RDONLY | O_DIRECT);
	for (long i = 0; i < ops; i++)
		if (pread(disk, block, BLOCK, i % BLOCKS * BLOCK) != BLOCK)
			pause();	/* the machine never ends: whoever measures will notice */
}

int main(void)
{
	const char *ops = getenv("ops");	/* from the kernel's command line */

	if (ops != NULL && ops[0] != '0')
		read_blocks(strtol(ops, NULL, 10));
	reboot(RB_AUTOBOOT);
	return 1;
}

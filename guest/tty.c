/* SPDX-License-Identifier: Apache-2.0 */
/* tty.c: openpty() without the C library's look-ups in the image. */
#include "guest/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

int tty_open(struct tty *t, uint16_t rows, uint16_t cols, uint32_t uid, struct fail *f)
{
	int unlock = 0;

	t->slave = -1;
	t->master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->master < 0)
		return fail_errno(f, errno, "open /dev/pts/ptmx");
	if (ioctl(t->master, TIOCSPTLCK, &unlock) == 0)
		t->slave = ioctl(t->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->slave < 0) {
		fail_errno(f, errno, "open a pseudo-terminal");
		close(t->master);
		return -1;
	}
	/* Programs reopen their terminal by name; they are not root then. */
	if (fchown(t->slave, uid, (gid_t)-1) < 0)
		note("owner of the terminal is not changed");
	tty_resize(t, rows, cols);
	return 0;
}

void tty_resize(const struct tty *t, uint16_t rows, uint16_t cols)
{
	const struct winsize size = { .ws_row = rows, .ws_col = cols };

	ioctl(t->master, TIOCSWINSZ, &size);
}

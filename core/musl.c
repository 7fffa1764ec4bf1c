/* SPDX-License-Identifier: Apache-2.0 */
/* musl.c: system calls and names that musl 1.2.3 has no function for; empty with glibc. */
#include <features.h>
#ifndef __GLIBC__

#include "core/musl.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Arguments are widened here: syscall() takes longs whatever it is given.  The kernel takes
 * the offset in two halves; on 64-bit machines the second is ignored. */
ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	return syscall(SYS_preadv2, (long)fd, iov, (long)n, at, 0l, (long)flags);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	return syscall(SYS_pwritev2, (long)fd, iov, (long)n, at, 0l, (long)flags);
}

int close_range(unsigned int first, unsigned int last, int flags)
{
	return (int)syscall(SYS_close_range, (long)first, (long)last, (long)flags);
}

int wide_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	return (int)syscall(SYS_ioctl, (long)fd, request, arg);
}

/* With a long, which is what the kernel takes: a number or a pointer. */
int plain_fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return (int)syscall(SYS_fcntl, (long)fd, (long)cmd, arg);
}

int plain_fstat(int fd, struct stat *st)
{
	return (int)syscall(SYS_fstat, (long)fd, st);
}

ssize_t getdents64(int fd, void *buf, size_t size)
{
	return syscall(SYS_getdents64, (long)fd, buf, size);
}

int __vsnprintf_chk(char *to, size_t n, int flag, size_t size, const char *fmt, va_list ap)
{
	(void)flag;
	if (n > size)
		__builtin_trap();
	return vsnprintf(to, n, fmt, ap);
}

int __snprintf_chk(char *to, size_t n, int flag, size_t size, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = __vsnprintf_chk(to, n, flag, size, fmt, ap);
	va_end(ap);
	return len;
}

char *__strncpy_chk(char *to, const char *from, size_t n, size_t size)
{
	if (n > size)
		__builtin_trap();
	return strncpy(to, from, n);
}

#define ERRNO_NAMES(X) \
	X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(ENOEXEC) \
	X(EBADF) X(ECHILD) X(EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(ENOTBLK) X(EBUSY) \
	X(EEXIST) X(EXDEV) X(ENODEV) X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) \
	X(ENOTTY) X(ETXTBSY) X(EFBIG) X(ENOSPC) X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) \
	X(EDOM) X(ERANGE) X(EDEADLK) X(ENAMETOOLONG) X(ENOLCK) X(ENOSYS) X(ENOTEMPTY) \
	X(ELOOP) X(ENOMSG) X(EIDRM) X(ECHRNG) X(EL2NSYNC) X(EL3HLT) X(EL3RST) X(ELNRNG) \
	X(EUNATCH) X(ENOCSI) X(EL2HLT) X(EBADE) X(EBADR) X(EXFULL) X(ENOANO) X(EBADRQC) \
	X(EBADSLT) X(EBFONT) X(ENOSTR) X(ENODATA) X(ETIME) X(ENOSR) X(ENONET) X(ENOPKG) \
	X(EREMOTE) X(ENOLINK) X(EADV) X(ESRMNT) X(ECOMM) X(EPROTO) X(EMULTIHOP) \
	X(EDOTDOT) X(EBADMSG) X(EOVERFLOW) X(ENOTUNIQ) X(EBADFD) X(EREMCHG) X(ELIBACC) \
	X(ELIBBAD) X(ELIBSCN) X(ELIBMAX) X(ELIBEXEC) X(EILSEQ) X(ERESTART) X(ESTRPIPE) \
	X(EUSERS) X(ENOTSOCK) X(EDESTADDRREQ) X(EMSGSIZE) X(EPROTOTYPE) X(ENOPROTOOPT) \
	X(EPROTONOSUPPORT) X(ESOCKTNOSUPPORT) X(EOPNOTSUPP) X(EPFNOSUPPORT) \
	X(EAFNOSUPPORT) X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETDOWN) X(ENETUNREACH) \
	X(ENETRESET) X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) X(EISCONN) X(ENOTCONN) \
	X(ESHUTDOWN) X(ETOOMANYREFS) X(ETIMEDOUT) X(ECONNREFUSED) X(EHOSTDOWN) \
	X(EHOSTUNREACH) X(EALREADY) X(EINPROGRESS) X(ESTALE) X(EUCLEAN) X(ENOTNAM) \
	X(ENAVAIL) X(EISNAM) X(EREMOTEIO) X(EDQUOT) X(ENOMEDIUM) X(EMEDIUMTYPE) \
	X(ECANCELED) X(ENOKEY) X(EKEYEXPIRED) X(EKEYREVOKED) X(EKEYREJECTED) \
	X(EOWNERDEAD) X(ENOTRECOVERABLE) X(ERFKILL) X(EHWPOISON)

/* The names one behind the other, in the order of ERRNO_NAMES(): no pointers to relocate at
 * start, and half of what a table with equal rows would take. */
const char *strerrorname_np(int err)
{
#define ERRNO_NUMBER(e) e,
#define ERRNO_NAME(e) #e "\0"
	static const uint8_t number[] = { ERRNO_NAMES(ERRNO_NUMBER) };
	static const char names[] = ERRNO_NAMES(ERRNO_NAME);
	const char *name = names;

	for (size_t i = 0; i < sizeof(number); i++, name += strlen(name) + 1)
		if (number[i] == err)
			return name;
	return "?";
}

const char *strerrordesc_np(int err)
{
	return strerror(err);
}

const char *sigabbrev_np(int sig)
{
	static const char name[][8] = {
#define SIGNAL_NAME(s) [SIG##s] = #s
		SIGNAL_NAME(HUP), SIGNAL_NAME(INT), SIGNAL_NAME(QUIT), SIGNAL_NAME(ILL),
		SIGNAL_NAME(TRAP), SIGNAL_NAME(ABRT), SIGNAL_NAME(BUS), SIGNAL_NAME(FPE),
		SIGNAL_NAME(KILL), SIGNAL_NAME(USR1), SIGNAL_NAME(SEGV), SIGNAL_NAME(USR2),
		SIGNAL_NAME(PIPE), SIGNAL_NAME(ALRM), SIGNAL_NAME(TERM), SIGNAL_NAME(STKFLT),
		SIGNAL_NAME(CHLD), SIGNAL_NAME(CONT), SIGNAL_NAME(STOP), SIGNAL_NAME(TSTP),
		SIGNAL_NAME(TTIN), SIGNAL_NAME(TTOU), SIGNAL_NAME(URG), SIGNAL_NAME(XCPU),
		SIGNAL_NAME(XFSZ), SIGNAL_NAME(VTALRM), SIGNAL_NAME(PROF),
		SIGNAL_NAME(WINCH), SIGNAL_NAME(POLL), SIGNAL_NAME(PWR), SIGNAL_NAME(SYS),
	};

	if (sig < 1 || (size_t)sig >= sizeof(name) / sizeof(name[0]))
		return "?";
	return name[sig];
}

#endif

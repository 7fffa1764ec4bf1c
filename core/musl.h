/* SPDX-License-Identifier: Apache-2.0 */
/* musl.h: what the C library of the jailed programs lacks; included before everything else.
 *
 * immure-jailer, -vmm, -blk and -vsock are linked with musl: a process starts in a third of
 * the time and shares its few pages, and there is a tenth of the code to know.  Debian 12's
 * musl 1.2.3 has no wrapper for some system calls, a narrow ioctl(), fewer names and no
 * FORTIFY_SOURCE.  In a glibc build (the sanitizers', the command line) this file is not
 * included. */
#ifndef IMMURE_CORE_MUSL_H
#define IMMURE_CORE_MUSL_H

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>		/* declares memcpy() too */
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags);
ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags);
int close_range(unsigned int first, unsigned int last, int flags);

/* musl's takes an int and sign-extends it, which a filter that compares the whole argument
 * would not recognise. */
int wide_ioctl(int fd, unsigned long request, ...);
#define ioctl wide_ioctl

/* musl's takes 400 bytes for locks and owners, which nobody here asks it about: F_GETOWN and
 * F_DUPFD_CLOEXEC on kernels without them. */
int plain_fcntl(int fd, int cmd, ...);
#define fcntl plain_fcntl

/* musl's takes 550 bytes for kernels that have only statx().  Its struct is the kernel's. */
int plain_fstat(int fd, struct stat *st);
#define fstat plain_fstat

#undef getdents64
ssize_t getdents64(int fd, void *buf, size_t size);

/* "ENOENT" of ENOENT, "No such file or directory" of it, "KILL" of SIGKILL; "?" where there is
 * no name. */
const char *strerrorname_np(int err);
const char *strerrordesc_np(int err);
const char *sigabbrev_np(int sig);

/* FORTIFY_SOURCE for the calls that move memory: where the compiler can tell how large an
 * object is, at build time or at run time, going beyond it is a trap. */
#define FORTIFY_FITS(object, n) \
	(__builtin_dynamic_object_size((object), 0) >= (n) ? (void)0 : __builtin_trap())
#define memcpy(to, from, n) __extension__ ({                                            \
	void *to_ = (to);                                                               \
	const void *from_ = (from);                                                     \
	size_t n_ = (n);                                                                \
	FORTIFY_FITS(to_, n_);                                                          \
	FORTIFY_FITS(from_, n_);                                                        \
	__builtin_memcpy(to_, from_, n_); })
#define memmove(to, from, n) __extension__ ({                                           \
	void *to_ = (to);                                                               \
	const void *from_ = (from);                                                     \
	size_t n_ = (n);                                                                \
	FORTIFY_FITS(to_, n_);                                                          \
	FORTIFY_FITS(from_, n_);                                                        \
	__builtin_memmove(to_, from_, n_); })
#define memset(to, byte, n) __extension__ ({                                            \
	void *to_ = (to);                                                               \
	size_t n_ = (n);                                                                \
	FORTIFY_FITS(to_, n_);                                                          \
	__builtin_memset(to_, (byte), n_); })

/* Debian's libjansson.a, which the jailer reads its configuration with, was compiled with
 * glibc's FORTIFY_SOURCE.  These are all it needs of glibc beyond standard C. */
int __snprintf_chk(char *to, size_t n, int flag, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
int __vsnprintf_chk(char *to, size_t n, int flag, size_t size, const char *fmt, va_list ap)
	__attribute__((format(printf, 5, 0)));
char *__strncpy_chk(char *to, const char *from, size_t n, size_t size);

#endif

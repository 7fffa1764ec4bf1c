/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IMMURE_TESTS_TESTHOST_REPORT_H
#define IMMURE_TESTS_TESTHOST_REPORT_H

#include <stddef.h>

/*
 * Writes one line per process of the test host into BUF (at most SIZE bytes): process id,
 * state, CPU seconds, where it waits in the kernel, command line. Kernel threads only when
 * they run or hang. Returns the number of bytes.
 */
size_t report(char *buf, size_t size);

/* Reads at most SIZE bytes of a (proc) file; 0 when it cannot be read. */
size_t read_text(const char *path, char *buf, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_call.h: one KVM request during set-up. */
#ifndef IMMURE_VMM_KVM_CALL_H
#define IMMURE_VMM_KVM_CALL_H

#include "core/base.h"

#include <errno.h>
#include <sys/ioctl.h>

/* ioctl(), again after a signal.  Returns its result, or -errno with "@name: ERROR" logged. */
must_check int kvm_call(int fd, unsigned long request, unsigned long arg, const char *name);

#define KVM_CALL(fd, request, arg) kvm_call(fd, request, (unsigned long)(arg), #request)

#endif

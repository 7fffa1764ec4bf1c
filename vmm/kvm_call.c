/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_call.c: ioctl() with a name. */
#include "vmm/kvm_call.h"

#include "core/log.h"

int kvm_call(int fd, unsigned long request, unsigned long arg, const char *name)
{
	int rc;

	do
		rc = ioctl(fd, request, arg);
	while (rc < 0 && errno == EINTR);
	if (rc >= 0)
		return rc;
	rc = -errno;
	log_errno(-rc, "%s", name);
	return rc;
}

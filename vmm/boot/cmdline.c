/* SPDX-License-Identifier: Apache-2.0 */
/* cmdline.c: the kernel command line.
 *
 * Kernels without ACPI find their devices by virtio_mmio.device=SIZE@ADDRESS:GSI words (Linux
 * Documentation/admin-guide/kernel-parameters.txt); those are ours and come behind the
 * configured words, but before a lone "--": what follows that belongs to init. */
#include "vmm/boot/cmdline.h"

#include "core/log.h"
#include "vmm/x86_64/layout.h"

#include <string.h>

/* Where the kernel's own words end: at " -- " or at the end. */
static size_t kernel_words(const char *s, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		bool before = i == 0 || s[i - 1] == ' ';
		bool after = i + 2 == len || s[i + 2] == ' ';

		if (before && after && s[i] == '-' && s[i + 1] == '-')
			return i == 0 ? 0 : i - 1;
	}
	return len;
}

int cmdline_build(const struct vm_config *c, uint32_t max, char out[CMDLINE_BYTES])
{
	size_t len = strnlen(c->cmdline, sizeof(c->cmdline));
	size_t head = kernel_words(c->cmdline, len);
	size_t at = head;

	if (len >= sizeof(c->cmdline) || c->ndevices > PLAN_DEVICES)
		return -1;
	memcpy(out, c->cmdline, head);
	if (c->flags & VM_CMDLINE_DEVICES) {
		for (uint32_t i = 0; i < c->ndevices; i++)
			at += log_format(out + at, CMDLINE_BYTES - at,
					 " virtio_mmio.device=4K@0x%llx:%u",
					 LAYOUT_MMIO + i * LAYOUT_MMIO_SIZE, LAYOUT_GSI0 + i);
	}
	memcpy(out + at, c->cmdline + head, len - head);
	at += len - head;
	out[at] = '\0';
	return at <= max ? (int)at : -1;
}

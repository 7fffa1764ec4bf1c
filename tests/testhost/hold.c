/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold: keep one VM with a vCPU open for as long as the test host lives.
 *
 * KVM flips static keys, that is it patches the kernel's own text, when the first VM appears
 * and when the last one goes. Under QEMU's emulation a CPU may execute the half-patched
 * instruction, and the test host dies of "Oops: int3". With one idle VM open the keys never
 * flip again. Runs from the initramfs before any command; reports and exits 1 without KVM.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0) {
		perror("hold: /dev/kvm");
		return 1;
	}
	if (fork() != 0)
		return 0;
	setsid();
	close(0);
	close(1);
	close(2);
	for (;;)
		pause();
}

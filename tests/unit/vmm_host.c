/* SPDX-License-Identifier: Apache-2.0 */
/* vmm_host.c: vmm/kvm.c on hosts that lack something, played by a fake ioctl(). */
#include <stdarg.h>

static int fake_ioctl(int fd, unsigned long request, ...);
#include <sys/ioctl.h>
#define ioctl fake_ioctl
#include "vmm/kvm.c"
#include "vmm/kvm_call.c"
#undef ioctl

#include "core/fdplan.c"
#include "core/log.c"
#include "core/musl.c"

#include <criterion/criterion.h>
#include <fcntl.h>

/* What the fake host answers. */
static struct {
	int version;
	int max_vcpus;
	unsigned long lacks;	/* a capability; 0: none */
	unsigned long fails;	/* a request */
	int interruptions;	/* EINTR before the answer */
} host;

static unsigned long requests[64];
static size_t nrequests;
static int log_pipe[2];

static int fake_ioctl(int fd, unsigned long request, ...)
{
	unsigned long arg;
	va_list ap;

	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	(void)fd;
	if (nrequests < array_len(requests))
		requests[nrequests++] = request;
	if (request == KVM_GET_API_VERSION)
		return host.version;
	if (request == KVM_CHECK_EXTENSION && arg == KVM_CAP_MAX_VCPUS)
		return host.max_vcpus;
	if (request == KVM_CHECK_EXTENSION)
		return arg == host.lacks ? 0 : 4096;
	errno = EINTR;
	if (host.interruptions-- > 0)
		return -1;
	errno = ENOMEM;
	return request == host.fails ? -1 : 0;
}

int cpuid_set(int vcpu, uint32_t index, uint32_t total)
{
	(void)vcpu, (void)index, (void)total;
	return 0;
}

int state_create_vm(void)
{
	return 0;
}

int state_create_irqchip(void)
{
	return 0;
}

int state_create_vcpu(int vcpu, uint32_t index)
{
	(void)vcpu, (void)index;
	return 0;
}

static void init(void)
{
	memset(&host, 0, sizeof(host));
	host.version = KVM_API_VERSION;
	host.max_vcpus = 8;
	nrequests = 0;
	cr_assert_eq(pipe2(log_pipe, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(log_pipe[1], FD_LOG);
}

TestSuite(vmm_host, .init = init);

static const char *logged(void)
{
	static char text[4096];
	ssize_t n = read(log_pipe[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

Test(vmm_host, a_complete_host_passes_without_a_word)
{
	cr_assert_eq(kvm_check_host(8), 0);
	cr_assert_str_eq(logged(), "");
}

Test(vmm_host, every_missing_capability_is_named_with_the_linux_that_has_it)
{
	for (size_t i = 0; i < array_len(needs); i++) {
		const char *text;

		host.lacks = needs[i].capability;
		cr_assert_lt(kvm_check_host(1), 0);
		text = logged();
		cr_assert_not_null(strstr(text, needs[i].name), "%s", text);
		cr_assert_not_null(strstr(text, needs[i].since), "%s", text);
	}
}

Test(vmm_host, a_device_that_is_not_kvm_is_recognized)
{
	host.version = -1;
	cr_assert_lt(kvm_check_host(1), 0);
	cr_assert_not_null(strstr(logged(), "is it KVM?"));
}

Test(vmm_host, too_many_vcpus_are_refused_with_both_numbers)
{
	const char *text;

	cr_assert_lt(kvm_check_host(9), 0);
	text = logged();
	cr_assert(strstr(text, "at most 8") != NULL && strstr(text, "9 were asked") != NULL);
}

Test(vmm_host, a_request_that_fails_is_named_with_its_error)
{
	host.fails = KVM_IRQFD;
	cr_assert_eq(KVM_CALL(7, KVM_IRQFD, 0), -ENOMEM);
	cr_assert_str_eq(logged(), "KVM_IRQFD: ENOMEM\n");
}

Test(vmm_host, a_request_that_was_interrupted_is_made_again)
{
	host.interruptions = 3;
	cr_assert_eq(KVM_CALL(7, KVM_CREATE_VM, 0), 0);
	cr_assert_eq(nrequests, 4);
	cr_assert_str_eq(logged(), "");
}

Test(vmm_host, the_wiring_is_the_devices_queues_and_one_acknowledgement_each)
{
	struct vm_config c = { .ndevices = 2, .device = { { .nqueues = 1 }, { .nqueues = 3 } } };
	size_t ioeventfds = 0, irqfds = 0;

	cr_assert_eq(kvm_wire(&c), 0);
	for (size_t i = 0; i < nrequests; i++) {
		ioeventfds += requests[i] == KVM_IOEVENTFD;
		irqfds += requests[i] == KVM_IRQFD;
	}
	cr_assert_eq(ioeventfds, 1 + 1 + 3 + 1);
	cr_assert_eq(irqfds, 2);
	host.fails = KVM_IOEVENTFD;
	cr_assert_eq(kvm_wire(&c), -ENOMEM);
}

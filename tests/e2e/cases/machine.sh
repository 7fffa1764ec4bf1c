# shellcheck shell=bash
# The machine: processors, memory, kernels, images, and the ways a guest can end.

cpus() { expect "$1" "$(run --cpus "$1" "$ROOTFS" -- nproc)" "processors"; }

memory() {
	local kib
	kib=$(MEM=$1 guest "sed -n 's/MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo")
	echo "MemTotal $kib KiB"
	[ "$kib" -gt "$2" ] && [ "$kib" -lt "$3" ]
}
boots_kernel() { # ENTRY KERNEL
	expect ok "$(run --kernel "$2" --entry "$1" "$ROOTFS" -- echo ok)" "$1 entry"
}
boots_image() { expect ok "$(run "$BUILD/e2e/root.$1" -- echo ok)" "$1 image"; }

ends_with() { # REASON COMMAND-IN-GUEST
	reason_of "$ROOTFS" -- sh -c "$2; sleep 100"
	expect "$1" "$REASON" "end reason"
}
triple_fault() {
	# The kernel's own way to reset by an invalid interrupt table.
	reason_of --append reboot=t "$ROOTFS" -- sh -c 'reboot -f; sleep 100'
	expect guest-triple-fault "$REASON" "end reason"
}
console_works() {
	run --console "$ROOTFS" -- sh -c 'echo seen-on-console > /dev/console; sleep 1' > "$WORK/c.out" 2> "$WORK/c.err"
	cat "$WORK/c.out" "$WORK/c.err" | grep -q seen-on-console
}
has_no_legacy_devices() {
	local out
	out=$(guest 'cat /proc/interrupts; ls /dev | grep ^rtc
		for bus in pci serio; do ls -A /sys/bus/$bus/devices 2> /dev/null | sed "s/^/$bus: /"; done; true')
	echo "$out"
	! grep -qE 'XT-PIC|i8042|timer$|^rtc|^pci:|^serio:' <<< "$out"
}
features_masked() {
	local flags
	flags=$(guest 'grep -m1 flags /proc/cpuinfo')
	for f in vmx svm rtm hle mpx; do
		! grep -qw $f <<< "$flags" || { echo "$f is shown to the guest"; return 1; }
	done
}

# A guest that has touched nearly all of its memory: what its VM takes of the host beyond that, without
# pages of files, which are given back when they are wanted elsewhere.
within_eight_mebibytes() {
	start -m 256M "$ROOTFS" -- sh -c 'mkdir /f && mount -t tmpfs -o size=90% none /f && dd if=/dev/zero of=/f/f bs=1M count=160 && echo filled
		sleep 1000' > "$WORK/f.log" 2> "$WORK/f.err" &
	local pid=$! group
	wait_for 300 grep -q filled "$WORK/f.log"
	group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(pids vmm)/cgroup")
	status_of awk -v max="$(cat "$group/memory.max")" '
		$1 == "anon" || $1 == "kernel" || $1 == "sock" { beyond += $2 }
		$1 == "shmem" { ram = $2 }
		END {
			printf "of %d KiB beyond 256 MiB %d KiB are used, with %d MiB of RAM\n",
				(max - 268435456) / 1024, beyond / 1024, ram / 1048576
			exit !(ram > 160 * 1048576 && max <= 264 * 1048576 && beyond < max - 268435456)
		}' "$group/memory.stat"
	local result=$STATUS
	kill -TERM $pid
	status_of wait $pid
	return "$result"
}

claim "what a VM of 256 MiB takes beyond them, and may take, is below 8 MiB" within_eight_mebibytes
shared "1 processor" cpus 1
shared "2 processors" cpus 2
shared "4 processors" cpus 4
shared "64 MiB of memory" memory 64M 20000 65536
shared "512 MiB of memory" memory 512M 400000 524288
shared "4 GiB of memory, across the device hole" memory 4G 3700000 4194304
shared "vmlinux by its PVH entry" boots_kernel pvh "$GUEST"
shared "vmlinux by its 64-bit entry" boots_kernel linux64 "$GUEST"
shared "bzImage" boots_kernel linux64 "$GUEST-bzimage"
shared "root file system: ext4 image" boots_image ext4
shared "root file system: squashfs image" boots_image squashfs
shared "root file system: erofs image" boots_image erofs
shared "poweroff is reported as such" ends_with guest-poweroff 'poweroff -f'
shared "reboot is reported as such" ends_with guest-reboot 'reboot -f'
shared "a panic is reported as such" ends_with guest-panic 'echo c > /proc/sysrq-trigger'
shared "a triple fault is reported as such" triple_fault
shared "the debug console shows what the guest writes" console_works
shared "no PIC, PIT, RTC, keyboard controller or PCI" has_no_legacy_devices
shared "virtualization and transactional memory are not offered" features_masked

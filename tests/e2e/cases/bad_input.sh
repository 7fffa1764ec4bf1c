# shellcheck shell=bash
# Bad input: a clear error that names the thing, exit status 125, nothing left behind.

KDIR=$IMMURE_CACHE/kernels/$GUEST

refused() { # PATTERN ARGS-OF-RUN...
	local pattern=$1
	shift
	status_of timeout 400 "$IMMURE" run "$@" > "$WORK/bad.out" 2> "$WORK/bad.err"
	cat "$WORK/bad.err"
	expect 125 "$STATUS" "exit status"
	grep -qiE -- "$pattern" "$WORK/bad.err" || { echo "no '$pattern' in the error"; return 1; }
	nothing_left
}
kernel_refused() { # PATTERN COMMAND-THAT-MAKES $WORK/k/vmlinux WORSE
	rm -rf "$WORK/k"
	cp -r "$KDIR" "$WORK/k"
	(cd "$WORK/k" && eval "$2")
	refused "$1" --kernel "$WORK/k" -m 128M "$ROOTFS" -- true
}
device_missing_kvm() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to hide /dev/kvm"
	unshare -m sh -c "mount --bind /dev/null /dev/kvm && exec $IMMURE run --kernel $GUEST -m 128M $ROOTFS -- true" \
		> "$WORK/bad.out" 2> "$WORK/bad.err" || STATUS=$?
	cat "$WORK/bad.err"
	expect 125 "$STATUS" "exit status"
	grep -q kvm "$WORK/bad.err"
}
no_hello() {
	# A kernel whose initramfs never connects: /init just sleeps.
	rm -rf "$WORK/n" "$WORK/tree"
	cp -r "$KDIR" "$WORK/n"
	mkdir -p "$WORK/tree/bin"
	cp "$ROOTFS/bin/busybox" "$WORK/tree/bin/"
	printf '#!/bin/busybox sh\nwhile :; do /bin/busybox sleep 1000; done\n' > "$WORK/tree/init"
	chmod 755 "$WORK/tree/init"
	(cd "$WORK/tree" && find . | cpio -o -H newc --quiet) > "$WORK/n/initramfs"
	refused 'did not (connect|answer|say hello)|boot' --kernel "$WORK/n" --boot-timeout 15s -m 128M "$ROOTFS" -- true
}

claim "unknown option" refused 'unknown.*--frobnicate' --frobnicate "$ROOTFS" -- true
claim "no command" refused 'command' --kernel "$GUEST" "$ROOTFS"
claim "root file system missing" refused '/no/such/rootfs' --kernel "$GUEST" /no/such/rootfs -- true
claim "image of no known kind" refused 'ext4|squashfs|erofs' --kernel "$GUEST" /bin/ls -- true
claim "disk missing" refused '/no/such/disk' --kernel "$GUEST" --disk /no/such/disk "$ROOTFS" -- true
claim "disk is a directory" refused 'regular|directory' --kernel "$GUEST" --disk /tmp "$ROOTFS" -- true
claim "memory too small" refused 'memory|16' --kernel "$GUEST" -m 1M "$ROOTFS" -- true
claim "memory not a size" refused 'size|memory' --kernel "$GUEST" -m lots "$ROOTFS" -- true
claim "too many processors" refused 'cpus|32' --kernel "$GUEST" --cpus 33 "$ROOTFS" -- true
claim "kernel unknown" refused 'no-such-kernel' --kernel no-such-kernel "$ROOTFS" -- true
claim "kernel truncated" kernel_refused 'kernel' 'truncate -s 100000 vmlinux'
claim "kernel empty" kernel_refused 'kernel' ': > vmlinux'
claim "kernel of random bytes" kernel_refused 'kernel' 'head -c 1000000 /dev/urandom > vmlinux'
claim "kernel whose program headers lie" kernel_refused 'kernel' \
	'printf "\377\377\377\377\377\377\377\177" | dd of=vmlinux bs=1 seek=32 conv=notrunc'
claim "initramfs larger than memory" kernel_refused 'initramfs|initrd' 'truncate -s 200M initramfs'
claim "initramfs truncated" kernel_refused 'panic|guest' 'truncate -s 4096 initramfs'
claim "no KVM" device_missing_kvm
claim "a guest that never says hello" no_hello

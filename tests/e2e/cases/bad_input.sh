# shellcheck shell=bash
# Bad input: a clear error that names the thing, exit status 125, nothing left behind.

KDIR=$IMMURE_CACHE/kernels/$GUEST

kernel_refused() { # PATTERN COMMAND-THAT-MAKES $WORK/k/vmlinux WORSE
	rm -rf "$WORK/k"
	cp -r "$KDIR" "$WORK/k"
	(cd "$WORK/k" && eval "$2")
	refused "$1" --kernel "$WORK/k" -m 128M "$ROOTFS" -- true
}
image_refused() { # PATTERN IMAGE COMMAND-THAT-MAKES-IT-WORSE
	cp "$BUILD/e2e/$2" "$WORK/bad.image"
	(cd "$WORK" && eval "$3")
	refused "$1" --kernel "$GUEST" --boot-timeout 5m -m 128M "$WORK/bad.image" -- true
	rm -f "$WORK/bad.image"
}
long_words() { head -c "$1" /dev/zero | tr '\0' a; }
config_refused() { # PATTERN CONFIGURATION: straight to the jailer, as another client would
	local status=0
	printf '%s' "$2" > "$WORK/config"
	"$BUILD/bin/immure-jailer" --config-fd 3 --client-fd 4 3< "$WORK/config" 4> "$WORK/client" \
		2> "$WORK/bad.err" || status=$?
	cat "$WORK/client" "$WORK/bad.err"
	expect 125 "$status" "exit status"
	nothing_left
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

shared "unknown option" refused 'unknown.*--frobnicate' --frobnicate "$ROOTFS" -- true
shared "no command" refused 'command' --kernel "$GUEST" "$ROOTFS"
shared "root file system missing" refused '/no/such/rootfs' --kernel "$GUEST" /no/such/rootfs -- true
shared "image of no known kind" refused 'ext4|squashfs|erofs' --kernel "$GUEST" /bin/ls -- true
shared "disk missing" refused '/no/such/disk' --kernel "$GUEST" --disk /no/such/disk "$ROOTFS" -- true
shared "disk is a directory" refused 'regular|directory' --kernel "$GUEST" --disk /tmp "$ROOTFS" -- true
shared "disk larger than it may grow to" refused 'larger than what it may grow to' --kernel "$GUEST" \
	--disk "$BUILD/e2e/random,ro,grow=1M" "$ROOTFS" -- true
shared "memory too small" refused 'memory|16' --kernel "$GUEST" -m 1M "$ROOTFS" -- true
shared "memory not a size" refused 'size|memory' --kernel "$GUEST" -m lots "$ROOTFS" -- true
shared "too many processors" refused 'cpus|32' --kernel "$GUEST" --cpus 33 "$ROOTFS" -- true
shared "kernel unknown" refused 'no-such-kernel' --kernel no-such-kernel "$ROOTFS" -- true
shared "kernel truncated" kernel_refused 'kernel' 'truncate -s 100000 vmlinux'
shared "kernel empty" kernel_refused 'kernel' ': > vmlinux'
shared "kernel of random bytes" kernel_refused 'kernel' 'head -c 1000000 /dev/urandom > vmlinux'
shared "kernel whose program headers lie" kernel_refused 'kernel' \
	'printf "\377\377\377\377\377\377\377\177" | dd of=vmlinux bs=1 seek=32 conv=notrunc'
shared "initramfs larger than memory" kernel_refused 'initramfs|initrd' 'truncate -s 200M initramfs'
shared "initramfs truncated" kernel_refused 'panic|guest' 'truncate -s 4096 initramfs'
claim "no KVM" device_missing_kvm
shared "a guest that never says hello" no_hello
shared "kernel larger than memory" refused 'kernel|memory|fit' --kernel "$GUEST" -m 16M "$ROOTFS" -- true
shared "kernel cut in the middle of a segment" kernel_refused 'kernel' 'truncate -s 8M vmlinux'
shared "command line too long" refused 'command line|append' --kernel "$GUEST" --append "$(long_words 5000)" "$ROOTFS" -- true
shared "environment larger than the guest takes" refused 'environment|argument|too (large|long|big)' \
	--kernel "$GUEST" -e "K=$(long_words 100000)" -e "L=$(long_words 100000)" -e "M=$(long_words 100000)" \
	"$ROOTFS" -- true
shared "more memory than the host has" refused 'memory' --kernel "$GUEST" -m 100T "$ROOTFS" -- true
shared "root image truncated" image_refused 'root|mount|image' root.erofs 'truncate -s 8192 bad.image'
shared "root image with a superblock and nothing else" image_refused 'root|mount|image' root.ext4 \
	'dd if=/dev/urandom of=bad.image bs=4096 seek=1 count=8191 conv=notrunc status=none'
shared "configuration empty" config_refused . ''
shared "configuration truncated" config_refused . '{ "name": "x", "kern'
shared "configuration with an unknown word" config_refused . '{ "name": "x", "kernel": "/k", "surprise": 1 }'
shared "configuration oversized" config_refused . "{ \"name\": \"$(long_words 100000)\" }"

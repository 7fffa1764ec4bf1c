# shellcheck shell=bash
# Files that the caller may not read; for the rootless suite, because root reads everything.

unreadable() { # THING ARGS-OF-RUN...
	local thing=$1
	shift
	refused "$thing.*(denied|permission)" "$@"
}
unreadable_disk() {
	truncate -s 1M "$WORK/secret"
	chmod 000 "$WORK/secret"
	unreadable "$WORK/secret" --kernel "$GUEST" --disk "$WORK/secret" "$ROOTFS" -- true
	unreadable "$WORK/secret" --kernel "$GUEST" "$WORK/secret" -- true
}
unreadable_kernel() {
	rm -rf "$WORK/k"
	cp -r "$IMMURE_CACHE/kernels/$GUEST" "$WORK/k"
	chmod 000 "$WORK/k/vmlinux"
	unreadable vmlinux --kernel "$WORK/k" -m 128M "$ROOTFS" -- true
}

claim "disk unreadable" unreadable_disk
claim "kernel unreadable" unreadable_kernel

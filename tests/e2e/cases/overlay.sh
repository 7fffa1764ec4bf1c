# shellcheck shell=bash
# Disks over a base that is shared: what is written is one VM's own, kept or forgotten, and whole.

SOURCE=$BUILD/e2e/random
BASE=$WORK/base.img
head -c 8388608 "$SOURCE" > "$BASE"
SUM=$(sha256sum < "$BASE")

base_unchanged() { expect "$SUM" "$(sha256sum < "$BASE")" "the base"; }

# Says what the disk begins with, writes $W there, and after a line on stdin says it again.
# shellcheck disable=SC2016 # for the shell in the guest
WRITER='head -c 4 /dev/vdb | od -An -tx1; printf "$W" | dd of=/dev/vdb conv=fsync 2>/dev/null; echo written
	read x; dd if=/dev/vdb bs=4k count=1 iflag=direct 2>/dev/null | head -c 3; echo'
two_at_once() {
	local first pid
	first=$(head -c 4 "$BASE" | od -An -tx1)
	mkfifo "$WORK/go"
	exec 9<> "$WORK/go"
	start -e W=one --disk "$BASE,overlay" "$ROOTFS" -- sh -c "$WRITER" < "$WORK/go" > "$WORK/one" &
	pid=$!
	wait_for 500 grep -q written "$WORK/one"
	echo | run -e W=two --disk "$BASE,overlay=$WORK/two.img" "$ROOTFS" -- sh -c "$WRITER" > "$WORK/two"
	echo >&9
	status_of wait "$pid"
	exec 9>&-
	expect 0 "$STATUS" "exit status of the first"
	expect "$first written one" "$(paste -sd' ' "$WORK/one")" "what the first one saw"
	expect "$first written two" "$(paste -sd' ' "$WORK/two")" "what the second one saw"
	base_unchanged
}
power_cut() {
	start --disk "$BASE,overlay=$WORK/cut.img" --disk "$SOURCE,ro" "$ROOTFS" -- \
		sh -c 'dd if=/dev/vdc of=/dev/vdb bs=1M skip=100 count=3 seek=2 iflag=direct oflag=direct conv=fsync &&
			echo synced; sleep 1000' > "$WORK/cut" &
	local pid=$!
	wait_for 500 grep -q synced "$WORK/cut"
	for p in $(pids blk); do kill -KILL "$p"; done
	status_of wait "$pid"
	expect 125 "$STATUS" "exit status of the run whose disks were killed"
	{
		head -c 2097152 "$BASE"
		tail -c +104857601 "$SOURCE" | head -c 3145728
		tail -c +5242881 "$BASE"
	} | sha256sum | cut -c1-64 > "$WORK/want"
	expect "$(cat "$WORK/want")" "$(run --disk "$BASE,overlay=$WORK/cut.img" "$ROOTFS" -- \
		sha256sum /dev/vdb | cut -c1-64)" "the disk in the next run"
	base_unchanged
}
jailer_dies() {
	local disk=$BASE,overlay=$WORK/own.img pid
	start --disk "$disk" "$ROOTFS" -- \
		sh -c 'printf own | dd of=/dev/vdb conv=fsync && echo up; sleep 1000' > "$WORK/up" &
	pid=$!
	wait_for 500 grep -q up "$WORK/up"
	status_of run --disk "$disk" "$ROOTFS" -- true 2> "$WORK/second.err"
	expect 125 "$STATUS" "exit status of the second"
	grep 'own.img: in use by another VM' "$WORK/second.err"
	kill -KILL "$(pids jailer)"
	status_of wait "$pid"
	expect own "$(run --disk "$disk" "$ROOTFS" -- head -c 3 /dev/vdb)" "in the run after it"
}
memory_forgets() {
	run --disk "$BASE,overlay" "$ROOTFS" -- sh -c 'printf gone | dd of=/dev/vdb conv=fsync && head -c 4 /dev/vdb' \
		| grep -q gone
	run --disk "$BASE,overlay" "$ROOTFS" -- sha256sum /dev/vdb > "$WORK/sum"
	expect "${SUM%% *}" "$(cut -c1-64 "$WORK/sum")" "the disk of the next run"
}
limited() {
	run --disk "$BASE,overlay,limit=1M" "$ROOTFS" -- sh -c \
		'dd if=/dev/zero of=/dev/vdb bs=64k count=16 oflag=direct && echo first
		dd if=/dev/zero of=/dev/vdb bs=64k seek=64 count=1 oflag=direct || echo full
		blkdiscard -l 65536 /dev/vdb && dd if=/dev/zero of=/dev/vdb bs=64k seek=64 count=1 oflag=direct && echo again' \
		> "$WORK/limited"
	expect "first full again" "$(paste -sd' ' "$WORK/limited")" "what the guest saw"
}
trimmed() {
	local before after
	rm -f "$WORK/trim.img"
	run --disk "$BASE,overlay=$WORK/trim.img" "$ROOTFS" -- \
		dd if=/dev/urandom of=/dev/vdb bs=1M count=4 conv=fsync
	before=$(du -k "$WORK/trim.img" | cut -f1)
	run --disk "$BASE,overlay=$WORK/trim.img" "$ROOTFS" -- sh -c 'blkdiscard /dev/vdb && sync'
	after=$(du -k "$WORK/trim.img" | cut -f1)
	echo "$before KiB, and $after after the discard"
	[ "$before" -ge 4096 ] && [ "$after" -lt 256 ]
}
no_overlay() {
	local file=$WORK/none.img sum
	head -c 1000000 "$SOURCE" > "$file"
	sum=$(sha256sum < "$file")
	refused 'not an overlay of' --kernel "$GUEST" --disk "$BASE,overlay=$file" "$ROOTFS" -- true
	expect "$sum" "$(sha256sum < "$file")" "the file"
	head -c $((8388608 + 65536)) "$SOURCE" > "$file"	# as many bytes as it would have
	sum=$(sha256sum < "$file")
	refused 'it is not an overlay' --kernel "$GUEST" --disk "$BASE,overlay=$file" "$ROOTFS" -- true
	expect "$sum" "$(sha256sum < "$file")" "the file of the same size"
	rm "$file"
	ln -s "$WORK/elsewhere" "$file"
	refused 'symbolic link' --kernel "$GUEST" --disk "$BASE,overlay=$file" "$ROOTFS" -- true
	[ ! -e "$WORK/elsewhere" ]
	rm "$file"
}

shared "two VMs at once each write their own over one base" two_at_once
shared "what a guest flushed to an overlay survives the death of its process" power_cut
shared "an overlay is one VM's, and free again when its jailer was killed" jailer_dies
shared "an overlay in memory forgets" memory_forgets
shared "an overlay's limit is the guest's error, and what it discards makes room" limited
shared "what a guest discards leaves the overlay's file" trimmed
shared "what is no overlay of the base is refused and stays as it is" no_overlay
rm -f "$BASE" "$WORK"/*.img

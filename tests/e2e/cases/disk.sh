# shellcheck shell=bash
# Disks: durability across a power cut, read-only, sizes, and who touches the data path.

DISKS=$WORK
SOURCE=$BUILD/e2e/random

make_target() {
	truncate -s 0 "$DISKS/target"
	truncate -s 268435456 "$DISKS/target"
}
power_cut() {
	make_target
	# The target lies in tmpfs, whose pages count as the VM's memory: so a larger machine, and no
	# second copy in the guest's page cache.
	start -m 512M --disk "$SOURCE,ro" --disk "$DISKS/target" "$ROOTFS" -- \
		sh -c 'dd if=/dev/vdb of=/dev/vdc bs=1M iflag=direct oflag=direct conv=fsync && echo synced
			sleep 1000' > "$WORK/cut" &
	local pid=$!
	wait_for 400 grep -q synced "$WORK/cut"
	kill -KILL "$(pids vmm)"
	status_of wait "$pid"
	expect 125 "$STATUS" "exit status of the run whose VM was killed"
	cmp "$SOURCE" "$DISKS/target"
	run --disk "$SOURCE,ro" --disk "$DISKS/target,ro" "$ROOTFS" -- cmp /dev/vdb /dev/vdc
}
read_only_disk() {
	local before
	before=$(head -c 1048576 "$SOURCE" | sha256sum)
	status_of run --disk "$SOURCE,ro" "$ROOTFS" -- \
		sh -c 'cat /sys/block/vdb/ro; dd if=/dev/zero of=/dev/vdb bs=4k count=1 conv=fsync'
	[ "$STATUS" -ne 0 ] || { echo "the write succeeded"; return 1; }
	expect "$before" "$(head -c 1048576 "$SOURCE" | sha256sum)" "first MiB of the image"
}
capacity() {
	truncate -s 10485761 "$DISKS/odd"
	expect 20480 "$(run --disk "$DISKS/odd" "$ROOTFS" -- cat /sys/block/vdb/size)" "sectors"
}
image_magic_stays_raw() {
	truncate -s 1048576 "$DISKS/raw"
	run --disk "$DISKS/raw" "$ROOTFS" -- sh -c 'printf "QFI\373\0\0\0\3" | dd of=/dev/vdb conv=fsync 2>/dev/null'
	expect "51 46 49 fb" "$(run --disk "$DISKS/raw,ro" "$ROOTFS" -- head -c 4 /dev/vdb | od -An -tx1 | xargs)" "first bytes"
}
one_writer() {
	truncate -s 1048576 "$DISKS/shared"
	start --disk "$DISKS/shared" "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/first" &
	local pid=$!
	wait_for 300 grep -q up "$WORK/first"
	status_of run --disk "$DISKS/shared" "$ROOTFS" -- true
	kill -TERM "$pid"
	expect 125 "$STATUS" "exit status of the second writer"
	status_of wait "$pid"
}
memory_limit() {
	# The image's pages in tmpfs are charged to the VM that writes them, and outgrow its limit.  Those of its
	# programs could be given back, and read again from a slow file system: the VM would never end.
	local IMMURE=$BUILD/bin/immure
	make_target
	reason_of --disk "$DISKS/target" "$ROOTFS" -- dd if=/dev/zero of=/dev/vdb bs=1M oflag=direct
	expect memory-limit "$REASON" "end reason"
	expect 125 "$STATUS" "exit status"
	grep -q 'memory limit of' "$WORK/json.err"
}
exits_of() { # MIB: prints "user-exits requests"
	run --json --disk "$SOURCE,ro" "$ROOTFS" -- \
		sh -c "dd if=/dev/vdb of=/dev/null bs=4k count=$(($1 * 256)) iflag=direct 2>/dev/null; cut -c1-9 /sys/block/vdb/stat" \
		2> "$WORK/j.err" > "$WORK/j.out"
	echo "$(grep -o '"user_exits": *[0-9]*' "$WORK/j.err" | grep -o '[0-9]*$') $(xargs < "$WORK/j.out")"
}
no_exit_per_request() {
	local few many
	few=$(exits_of 1)
	many=$(exits_of 65)
	echo "user-space exits and requests: $few for 1 MiB, $many for 65 MiB"
	local exits=$((${many% *} - ${few% *})) requests=$((${many#* } - ${few#* }))
	awk -v e=$exits -v r=$requests 'BEGIN { printf "%.4f user-space exits a request (%d requests)\n", e / r, r }' \
		| tee /dev/fd/3
	[ "$requests" -gt 16000 ] && [ "$exits" -lt $((requests / 100)) ]
}

grows() {
	local pid
	head -c 4194304 "$SOURCE" > "$DISKS/grows"
	# shellcheck disable=SC2016 # expanded there
	start --disk "$DISKS/grows,grow=16M" "$ROOTFS" -- sh -c '
		sectors() { cat /sys/block/vdb/size; }
		sectors; while [ $(sectors) = 8192 ]; do sleep 0.2; done; sectors
		dd if=/dev/zero bs=512 count=1 seek=16383 of=/dev/vdb oflag=direct 2> /dev/null && echo written' > "$WORK/grows.log" &
	pid=$!
	wait_for 300 grep -q 8192 "$WORK/grows.log"
	truncate -s 8388608 "$DISKS/grows"
	status_of wait $pid
	expect "8192 16384 written" "$(paste -sd' ' "$WORK/grows.log")" "what the guest saw"
	expect 8388608 "$(stat -c %s "$DISKS/grows")" "bytes of the image"
}
queues() {
	head -c 16777216 "$SOURCE" > "$DISKS/queues"
	# shellcheck disable=SC2016 # expanded there
	run --cpus 2 --disk "$DISKS/queues,queues=2,ro" "$ROOTFS" -- sh -c '
		ls /sys/block/vdb/mq | tr "\n" " "
		for cpu in 0 1; do taskset $((1 << cpu)) sha256sum /dev/vdb & done; wait' > "$WORK/queues.log"
	expect "0 1" "$(head -n 1 "$WORK/queues.log" | grep -o '^0 1')" "queues that the guest has"
	expect 2 "$(grep -c "$(sha256sum < "$DISKS/queues" | cut -d' ' -f1)" "$WORK/queues.log")" "readers who saw it right"
}

shared "256 MiB written and flushed survive a power cut" power_cut
shared "a read-only disk is refused to the writer and stays as it was" read_only_disk
shared "capacity is whole sectors of the file" capacity
shared "an image's bytes never choose a format" image_magic_stays_raw
shared "two VMs never write one image" one_writer
shared "an image that grows is a disk that grows" grows
shared "two processors read by a queue each" queues
claim "a VM that outgrows its memory limit is told so" memory_limit
shared "reading 64 MiB causes no user-space exit a request" no_exit_per_request 3>&1
rm -f "$DISKS/target" "$DISKS/odd" "$DISKS/raw" "$DISKS/shared" "$DISKS/queues" "$DISKS/grows"

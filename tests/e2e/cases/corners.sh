# shellcheck shell=bash
# What Linux and its host ask of a VM only now and then; each is a rule that a policy has for it.

# A guest that does with vdb what BODY says when it reads "go", as job $!; then descriptor 9 tells it.
with_disk() { # IMAGE BODY
	rm -f "$WORK/d.in"
	mkfifo "$WORK/d.in"
	start --disk "$1" "$ROOTFS" -- sh -c "echo up; read go; $2" \
		< "$WORK/d.in" > "$WORK/d.out" 2> "$WORK/d.err" &
	disk_pid=$!
	exec 9> "$WORK/d.in"
	wait_for 300 grep -q up "$WORK/d.out"
}
ends_well() {
	exec 9>&-
	status_of wait "$disk_pid"
	cat "$WORK/d.out" "$WORK/d.err"
	expect 0 "$STATUS" "exit status"
}
# What its processes have said is shown when a machine dies.
dies() { # PID ERRORS SAID
	kill -KILL "$(pids vmm)"
	status_of wait "$1"
	cat "$2"
	expect 125 "$STATUS" "exit status"
	grep -q "$3" "$2"
}
# device_process INDEX: of the VM's blk processes the one of disk INDEX.
device_process() {
	local p
	for p in $(pids blk); do
		[ "$(tr '\0' ' ' < "/proc/$p/cmdline")" != "immure-blk $1 " ] || echo "$p"
	done
}

block_device() {
	[ "$MODE" = root ] || skip "needs root to make a loop device"
	local loop result=0
	head -c 4194304 "$BUILD/e2e/random" > "$WORK/loop.img"
	loop=$(losetup --find --show "$WORK/loop.img")
	expect 8192 "$(run --disk "$loop" "$ROOTFS" -- sh -c \
		'cat /sys/block/vdb/size
		printf written | dd of=/dev/vdb bs=512 seek=1 conv=fsync 2> /dev/null')" \
		"sectors" || result=1
	losetup -d "$loop"
	expect written "$(head -c 519 "$WORK/loop.img" | tail -c 7)" "what was written" || result=1
	return $result
}
# Blocks of 4096 bytes, as the device has them, and no page of the host's between it and the guest, who reads
# the same from several places at once.
large_blocks() {
	[ "$MODE" = root ] || skip "needs root to make a loop device"
	local loop result=0
	head -c 4194304 "$BUILD/e2e/random" > "$WORK/loop.img"
	loop=$(losetup --sector-size 4096 --find --show "$WORK/loop.img")
	# shellcheck disable=SC2016 # expanded there
	expect $'4096\n4096\nsame\ntogether' "$(run --disk "$loop,cache=direct" "$ROOTFS" -- sh -c \
		'cat /sys/block/vdb/queue/logical_block_size /sys/block/vdb/queue/physical_block_size
		dd if=/dev/vdb of=/dev/vdb bs=64k count=16 seek=32 iflag=direct oflag=direct conv=fsync 2> /dev/null
		head -c 1048576 /dev/vdb > /first; dd if=/dev/vdb bs=1M skip=2 count=1 2> /dev/null | cmp - /first && echo same
		for at in 0 1 2 3; do
			dd if=/dev/vdb of=/part$at bs=4k count=64 skip=$((at * 64)) iflag=direct 2> /dev/null &
		done; wait; cat /part0 /part1 /part2 /part3 | cmp - /first && echo together')" \
		"what the guest saw" || result=1
	losetup -d "$loop"
	cmp <(head -c 1048576 "$BUILD/e2e/random") <(tail -c 2097152 "$WORK/loop.img" | head -c 1048576) || result=1
	return $result
}
gives_back() {
	head -c 4194304 "$BUILD/e2e/random" > "$WORK/d.img"
	expect 8192 "$(stat -c %b "$WORK/d.img")" "blocks of the image before"
	run --disk "$WORK/d.img" "$ROOTFS" -- sh -c \
		'/bin/blkdiscard -l 1M /dev/vdb && /bin/blkdiscard -z -o 2M -l 1M /dev/vdb'
	{
		head -c 1048576 /dev/zero
		head -c 2097152 "$BUILD/e2e/random" | tail -c 1048576
		head -c 1048576 /dev/zero
		head -c 4194304 "$BUILD/e2e/random" | tail -c 1048576
	} | cmp - "$WORK/d.img"
	# What was discarded; what was to read as zeroes keeps its storage.
	expect 6144 "$(stat -c %b "$WORK/d.img")" "blocks of the image afterwards"
}
shrinks() {
	head -c 4194304 "$BUILD/e2e/random" > "$WORK/d.img"
	with_disk "$WORK/d.img" 'dd if=/dev/vdb of=/dev/null bs=4k skip=768 count=1 iflag=direct || echo refused
		sleep 1000'
	truncate -s 2M "$WORK/d.img"
	echo go >&9
	exec 9>&-
	wait_for 60 grep -q '^refused$' "$WORK/d.out"
	dies "$disk_pid" "$WORK/d.err" 'blk1: disk read failed at sector 6144'
}

messages() {
	"$BUILD/e2e/bin/vsockload" -m echo-unix "$WORK/v.sock_9000" > "$WORK/echo.log" 2>&1 &
	local server=$!
	wait_for 60 grep -q listening "$WORK/echo.log"
	start --vsock "$WORK/v.sock" "$ROOTFS" -- sh -c \
		'/bin/vsockload -m load-vsock 9000 1 61000 && /bin/vsockload -m echo-vsock 7000' \
		> "$WORK/m.log" 2>&1 &
	local pid=$!
	status_of wait_for 300 grep -q listening "$WORK/m.log"
	cat "$WORK/m.log"
	[ "$STATUS" -ne 0 ] ||
		status_of "$BUILD/e2e/bin/vsockload" -m load-unix "$WORK/v.sock.seq" 7000 1 61000
	local result=$STATUS
	kill $server
	kill -TERM $pid
	status_of wait $pid
	return "$result"
}
no_connect_line() {
	start --vsock "$WORK/v.sock" "$ROOTFS" -- sh -c 'echo up; sleep 1000' \
		> "$WORK/n.log" 2> "$WORK/n.err" &
	local pid=$! answer
	wait_for 300 grep -q up "$WORK/n.log"
	answer=$(printf 'GET / HTTP/1.0\n' | timeout 60 socat -t 50 - "UNIX-CONNECT:$WORK/v.sock" 2>&1)
	expect "" "$answer" answer
	dies $pid "$WORK/n.err" 'vsock: client without a CONNECT line'
}

# Nothing is at that address: the guest writes into the void, is heard, and goes on.
writes_into_the_void() {
	start "$ROOTFS" -- sh -c 'devmem 0xe0000000 32 1; echo still here; sleep 1000' \
		> "$WORK/void.log" 2> "$WORK/void.err" &
	local pid=$!
	wait_for 300 grep -q 'still here' "$WORK/void.log"
	dies $pid "$WORK/void.err" 'write of 4 bytes to 0xe0000000, where nothing is'
}

vcpu_waits() {
	grep -qs '^202 ' "/proc/$1"/task/*/syscall
}
is_stopped() { grep -qE '^State:.[tT]' "/proc/$1/status"; }
# Stopped and continued, a VMM goes on with the waiting that it was at: for a device that has to end
# what it was at before its driver goes.
stopped_meanwhile() {
	[ "$MODE" = root ] || skip "needs root to see what a thread waits for"
	local vmm blk
	truncate -s 1M "$WORK/d.img"
	# shellcheck disable=SC2016 # expanded by the guest
	with_disk "$WORK/d.img" 'd=$(readlink -f /sys/block/vdb/device)
		echo ${d##*/} > /sys/bus/virtio/drivers/virtio_blk/unbind; echo unbound'
	vmm=$(pids vmm) blk=$(device_process 1)
	kill -STOP "$blk"
	wait_for 60 is_stopped "$blk"
	echo go >&9
	wait_for 60 vcpu_waits "$vmm"
	kill -STOP "$vmm"
	wait_for 60 is_stopped "$vmm"
	kill -CONT "$vmm"
	sleep 1
	expect up "$(cat "$WORK/d.out")" "what the guest said before its device answered"
	kill -CONT "$blk"
	ends_well
	grep -q unbound "$WORK/d.out"
}

ends_by_sigsys() {
	start "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/y.log" 2> "$WORK/y.err" &
	local pid=$!
	wait_for 300 grep -q up "$WORK/y.log"
	kill -SYS "$(pids blk)"
	status_of wait $pid
	cat "$WORK/y.err"
	expect 125 "$STATUS" "exit status"
	grep -q 'process blk0 was killed by its policy: system call unknown' "$WORK/y.err"
	nothing_left
}

shared "a disk may be a block device ($MODE)" block_device
shared "blocks of 4096 bytes reach the guest, and its data the device, past the host's cache" large_blocks
shared "what is discarded is given back, what is zeroed is not" gives_back
shared "an image that shrinks is an I/O error to the guest, and said" shrinks
shared "messages of up to 61,000 bytes, guest to host and host to guest" messages
shared "who does not say CONNECT is turned away, and that is said" no_connect_line
shared "a write to where nothing is harms nobody, and is said" writes_into_the_void
shared "a machine stopped and continued while a device resets goes on" stopped_meanwhile
shared "a process that ends by SIGSYS is taken for one that broke its policy" ends_by_sigsys
rm -f "$WORK/d.img" "$WORK/loop.img"

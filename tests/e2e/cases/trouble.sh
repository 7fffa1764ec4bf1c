# shellcheck shell=bash
# Disks of the host that stall or fail, made with the device mapper: what else the machine does must not wait
# for them, and what they say is the guest's error.  Root only.

TROUBLE_NET=tap=trouble0,ip=10.78.0.2/24
TROUBLE_MIB=16

# device NAME TABLE: /dev/mapper/NAME; | in TABLE ends a line, LOOP is a device of random bytes, those of
# $WORK/NAME.
device() {
	local loop
	modprobe -q loop
	modprobe -q dm_mod
	head -c $((TROUBLE_MIB << 20)) "$BUILD/e2e/random" > "$WORK/$1"
	loop=$(losetup -f --show "$WORK/$1")
	tr "|" "\n" <<< "${2//LOOP/$loop}" > "$WORK/$1.table"
	DM_DISABLE_UDEV=1 dmsetup create --noudevsync "$1" "$WORK/$1.table"
}

gone() { # NAME
	local loop
	DM_DISABLE_UDEV=1 dmsetup remove --noudevsync "$1"
	loop=$(losetup -j "$WORK/$1" | cut -d: -f1)
	losetup -d "$loop"
	rm "$WORK/$1" "$WORK/$1.table"
}

stalled() {
	local pid
	device stalled "0 $((TROUBLE_MIB << 11)) linear LOOP 0"
	device below "0 $((TROUBLE_MIB << 11)) linear LOOP 0"
	ip tuntap add trouble0 mode tap
	ip address add 10.78.0.1/24 dev trouble0
	ip link set trouble0 up
	mkfifo "$WORK/stalled.go"
	# shellcheck disable=SC2016 # expanded there
	start --net "$TROUBLE_NET" --vsock "$WORK/s.sock" --disk /dev/mapper/stalled,ro \
		--disk /dev/mapper/below,overlay "$ROOTFS" -- sh -c '/bin/vsockload echo-vsock 7000 & read go
		for d in vdb vdc; do for at in 1 2 3 4; do
			dd if=/dev/$d of=/dev/null bs=64k count=1 skip=$((at * 50)) iflag=direct 2> /dev/null & all="$all $!"
		done; done
		wait $all; sha256sum < /dev/vdb; sha256sum < /dev/vdc; echo finished; sleep 1000' \
		< "$WORK/stalled.go" > "$WORK/stalled.log" &
	pid=$!
	exec 8> "$WORK/stalled.go"
	wait_for 300 grep -q listening "$WORK/stalled.log"
	dmsetup suspend --nolockfs --noudevsync stalled
	dmsetup suspend --nolockfs --noudevsync below
	echo go >&8
	# Four requests wait for each, and none of it comes.
	wait_for 60 blocked
	ping -c 3 10.78.0.2
	"$BUILD/e2e/bin/vsockload" load-unix "$WORK/s.sock" 7000 20 65536
	blocked
	expect 0 "$(grep -c finished "$WORK/stalled.log")" "reads that came to an end"
	dmsetup resume --noudevsync stalled
	dmsetup resume --noudevsync below
	wait_for 60 grep -q finished "$WORK/stalled.log"
	# Both hold the same.
	expect 2 "$(grep -c "^$(sha256sum < "$WORK/stalled")" "$WORK/stalled.log")" "disks that were read right"
	exec 8>&-
	kill -TERM "$pid"
	status_of wait "$pid"
	ip link delete trouble0
	gone stalled
	gone below
}

# A process of a disk waits for its host.
blocked() {
	local p
	for p in $(pids blk); do
		! grep -q '^State:.D' "/proc/$p/status" || return 0
	done
	return 1
}

# 4 KiB in the middle can be neither read nor written.
failing() {
	block() { dd if="$WORK/failing" bs=4096 count=1 skip="$1" status=none | sha256sum; }
	device failing "0 8192 linear LOOP 0|8192 8 error|8200 $(((TROUBLE_MIB << 11) - 8200)) linear LOOP 8200"
	{
		block 1023
		sha256sum < /dev/null
		block 1025
		echo not written
		head -c 4096 /dev/zero | sha256sum
		echo flushed
	} > "$WORK/wanted"
	# shellcheck disable=SC2016 # expanded there
	run --disk /dev/mapper/failing,cache=direct "$ROOTFS" -- sh -c '
		get() { dd if=/dev/vdb bs=4096 count=1 skip=$1 iflag=direct 2> /dev/null | sha256sum; }
		put() { dd if=/dev/zero of=/dev/vdb bs=4096 count=1 seek=$1 oflag=direct 2> /dev/null; }
		get 1023; get 1024; get 1025
		put 1024 || echo not written
		put 1025 && get 1025 && sync /dev/vdb && echo flushed' > "$WORK/got"
	diff "$WORK/wanted" "$WORK/got"
	gone failing
}

# By way of the host's cache it is the flush that fails, and every one after it: what was lost is lost.
lost() {
	device lost "0 8192 linear LOOP 0|8192 8 error|8200 $(((TROUBLE_MIB << 11) - 8200)) linear LOOP 8200"
	# shellcheck disable=SC2016 # expanded there
	run --disk /dev/mapper/lost "$ROOTFS" -- sh -c '
		put() { dd if=/dev/zero of=/dev/vdb bs=4096 count=1 seek=$1 oflag=direct 2> /dev/null; }
		put 1025 && sync /dev/vdb && echo flushed
		put 1024; sync /dev/vdb || echo lost
		put 1025; sync /dev/vdb || echo still lost' > "$WORK/got"
	expect "flushed lost still lost" "$(paste -sd' ' "$WORK/got")" "what the guest saw"
	gone lost
}

shared "a disk that stalls holds up neither network nor sockets, and goes on" stalled
shared "what the host cannot read or write is an I/O error there, and only there" failing
shared "a write that the host has lost is told by every flush after it" lost

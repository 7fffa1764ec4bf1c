# shellcheck shell=bash
# Programs that others wrote, as users have them: ext4 on a disk, socat and ncat on sockets.

# A root file system of their own: their libraries would make everybody's larger.
CLIENTS=$WORK/clients
with_clients() {
	[ -d "$CLIENTS" ] || scripts/make-rootfs "$CLIENTS" "$(command -v socat)" "$(command -v ncat)"
}

# ---- ext4, and the power cut from under it ----

# Files /f1, /f2, ... from number $1 on, each synced before it is announced: "N HASH".
writer() {
	cat <<- END
		mkdir /mnt && mount -t ext4 /dev/vdb /mnt || exit 1
		n=$1
		while :; do
			dd if=/dev/urandom of=/mnt/f\$n bs=1000 count=\$((n * 37 % 90 + 1)) conv=fsync 2> /dev/null
			sync
			echo \$n \$(sha1sum < /mnt/f\$n)
			n=\$((n + 1))
		done
	END
}
announced() { [ "$(grep -c ' ' "$WORK/ext4.log")" -ge "$1" ]; }
# What was announced is there and whole, and the file system is without a fault.
as_announced() {
	status_of e2fsck -p "$WORK/ext4.img"
	[ "$STATUS" -le 1 ]
	e2fsck -fn "$WORK/ext4.img"
	local n hash rest
	while read -r n hash rest; do
		expect "$hash" "$(debugfs -R "cat /f$n" "$WORK/ext4.img" 2> /dev/null | sha1sum | cut -d' ' -f1)" "file $n"
	done < <(grep -- ' -$' "$WORK/ext4.all")
}
ext4_survives() {
	local victim pid first=1
	truncate -s 67108864 "$WORK/ext4.img"
	mke2fs -q -t ext4 "$WORK/ext4.img"
	: > "$WORK/ext4.all"
	for victim in blk vmm jailer; do
		: > "$WORK/ext4.log"
		start -m 256M --disk "$WORK/ext4.img" "$ROOTFS" -- sh -c "$(writer $first)" > "$WORK/ext4.log" &
		pid=$!
		wait_for 400 announced 8 || { cat "$WORK/ext4.log"; return 1; }
		kill -KILL "$(pids $victim | head -n 1)"
		status_of wait $pid
		expect 125 "$STATUS" "exit status"
		cat "$WORK/ext4.log" >> "$WORK/ext4.all"
		as_announced
		first=$((first + 1000))
	done
	nothing_left
}

# ---- fio, which checks what it wrote; once more after the power was cut ----

# fio_line OPTION...: every size and order in an area of its own, on a disk of 16 MiB.
fio_line() {
	local way rw bs size at more
	echo "fio --filename=/dev/vdb --thread --ioengine=libaio --iodepth=32 --direct=1 --minimal" \
		"--verify=crc32c --verify_fatal=1 --verify_state_save=0 --randrepeat=1 --allrandrepeat=1 $*"
	for way in randwrite:512:64k:0 randwrite:4k:4m:1 randwrite:64k:4m:5 write:512:64k:9 write:256k:4m:10 \
		randwrite:4k:1m:14:--fsync=8; do
		IFS=: read -r rw bs size at more <<< "$way"
		echo "--name=at$at --stonewall --rw=$rw --bs=$bs --size=$size --offset=${at}m $more"
	done
}
fio_verifies() {
	local pid
	truncate -s 16777216 "$WORK/fio.img"
	MEM=256M start --disk "$WORK/fio.img" "$BUILD/e2e/fio.erofs" -- \
		sh -c "$(fio_line --end_fsync=1 | paste -sd' ') && echo verified; sleep 1000" > "$WORK/fio.log" 2>&1 &
	pid=$!
	wait_for 500 grep -q verified "$WORK/fio.log" || { cat "$WORK/fio.log"; return 1; }
	kill -KILL "$(pids blk | tail -n 1)"
	status_of wait $pid
	MEM=256M run --disk "$WORK/fio.img" "$BUILD/e2e/fio.erofs" -- sh -c "$(fio_line --verify_only | paste -sd' ')"
}

# ---- sockets ----

SAMPLE=1000003
sample() { head -c $SAMPLE "$BUILD/e2e/random"; }

# PORT COMMAND: the guest sends a sample through COMMAND, which also takes what comes back from the host.
sends_to_host() {
	local server
	with_clients
	socat "UNIX-LISTEN:$WORK/v.sock_$1" EXEC:cat &
	server=$!
	wait_for 60 test -S "$WORK/v.sock_$1"
	expect "$(sample | sha1sum)" "$(sample | run --vsock "$WORK/v.sock" "$CLIENTS" -- sh -c "$2 | sha1sum")" \
		"what came back"
	wait $server
}
socat_to_host() { sends_to_host 9100 'socat -t 1000 - VSOCK-CONNECT:2:9100'; }
ncat_to_host() { sends_to_host 9101 'ncat --vsock 2 9101'; }

# PORT COMMAND: COMMAND in the guest listens at PORT and sends back what it gets.
answers_host() {
	local pid
	with_clients
	start --vsock "$WORK/v.sock" "$CLIENTS" -- sh -c "$2" &
	pid=$!
	wait_for 400 reaches "$1"
	{ echo "CONNECT $1"; sample; } | timeout 300 socat -t 1000 - "UNIX-CONNECT:$WORK/v.sock" > "$WORK/back"
	head -n 1 "$WORK/back" | grep -qE '^OK [0-9]+$'
	expect "$(sample | sha1sum)" "$(tail -n +2 "$WORK/back" | sha1sum)" "what came back"
	kill -TERM $pid
	status_of wait $pid
}
reaches() { # PORT
	{ echo "CONNECT $1" | timeout 60 socat -t 50 - "UNIX-CONNECT:$WORK/v.sock" | grep -q '^OK '; } 2> /dev/null
}
socat_answers_host() { answers_host 7000 'socat VSOCK-LISTEN:7000,fork EXEC:cat'; }
# Of what comes back ncat loses the end, when its peer has closed its half: so one way.
# It takes one connection and is started again: between the two nobody listens.
sample_arrives() {
	{ { echo "CONNECT 7001"; sample; } | timeout 60 socat -t 30 - "UNIX-CONNECT:$WORK/v.sock"; } > /dev/null 2>&1
	sleep 1
	grep -qF "$(sample | sha1sum)" "$WORK/sums"
}
ncat_takes_from_host() {
	local pid
	with_clients
	start --vsock "$WORK/v.sock" "$CLIENTS" -- \
		sh -c 'while :; do ncat --vsock -l 7001 --recv-only | sha1sum; done' > "$WORK/sums" &
	pid=$!
	wait_for 400 sample_arrives
	kill -TERM $pid
	status_of wait $pid
}

shared "what ext4 had synced is there after its VM was killed, and e2fsck finds no fault" ext4_survives
shared "fio finds all that it wrote, of every size, and again after its VM was killed" fio_verifies
shared "socat in the guest reaches the host" socat_to_host
shared "socat on the host reaches one in the guest" socat_answers_host
shared "ncat in the guest reaches the host" ncat_to_host
shared "socat on the host reaches ncat in the guest" ncat_takes_from_host

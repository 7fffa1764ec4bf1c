# shellcheck shell=bash
# A host without a vDSO: each look at a clock is a system call there.

has_no_vdso() { ! grep -q '\[vdso\]' /proc/self/maps; }

timed() {
	ip tuntap add timed0 mode tap
	ip address add 10.76.0.1/24 dev timed0
	ip link set timed0 up
	truncate -s 1M "$WORK/t.img"
	rm -f "$WORK/t.in"
	mkfifo "$WORK/t.in"
	start --name timed --disk "$WORK/t.img,iops=1000" --net tap=timed0,ip=10.76.0.2/24 "$ROOTFS" -- \
		sh -c 'echo up; read go; ping -c 3 10.76.0.1 > /dev/null && echo pong
			dd if=/dev/vdb of=/dev/null bs=64k iflag=direct && echo read' \
		< "$WORK/t.in" > "$WORK/t.out" 2> "$WORK/t.err" &
	local pid=$!
	exec 9> "$WORK/t.in"
	wait_for 300 grep -q up "$WORK/t.out"
	"$IMMURE" limit timed net0 bw=1M
	"$IMMURE" limit timed vsock bw=1M
	echo go >&9
	exec 9>&-
	status_of wait $pid
	ip tuntap del timed0 mode tap
	cat "$WORK/t.out" "$WORK/t.err"
	expect 0 "$STATUS" "exit status"
	expect "up pong read" "$(xargs < "$WORK/t.out")" "what the guest said"
}

claim "this host has no vDSO" has_no_vdso
claim "disk, network and sockets with rate limits work without a vDSO" timed
rm -f "$WORK/t.img" "$WORK/t.in"

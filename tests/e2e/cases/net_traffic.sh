# shellcheck shell=bash disable=SC2034,SC2154
# Traffic on the interface of net.sh, which runs before it: tests/e2e/run build net net_traffic.

given

# iperf OPTION...: the guest is the client; prints what it printed.
iperf() {
	iperf3 -s -1 --forceflush -B 10.77.0.1 > "$WORK/iperf.log" 2>&1 &
	local server=$!
	wait_for 60 grep -q listening "$WORK/iperf.log"
	net "$ROOTFS" -- iperf3 -c 10.77.0.1 -t 3 --connect-timeout 60000 "$@" || { kill $server; return 1; }
	wait $server
}
tcp() {
	iperf "$@" | tee "$WORK/tcp"
	# Bytes arrived, and the summary says so.
	grep -qE '[1-9][0-9.]* [KMG]Bytes .* receiver' "$WORK/tcp"
}
udp() {
	iperf -u -b 1M "$@" | tee "$WORK/udp"
	grep -qE '[1-9][0-9.]* [KMG]Bytes .* receiver' "$WORK/udp"
}

# download OPTION-OF-NET: of 16 MiB, what an emulated machine moves in seconds when it is alone, and in
# minutes when it is not; DOWNLOAD_MIB=1024 makes it a GiB, and takes its time.
download_mib=${DOWNLOAD_MIB:-16}
content() {
	head -c "${download_mib}M" < <(while cat "$BUILD/e2e/random"; do :; done 2> /dev/null)
}
download() {
	local want got
	content | socat -u STDIN TCP4-LISTEN:8080,bind=10.77.0.1,reuseaddr &
	want=$(content | md5sum)
	got=$(run --net "$NET,$1" "$ROOTFS" -- sh -c 'nc 10.77.0.1 8080 < /dev/null | md5sum')
	expect "$want" "$got" "checksum of the download"
}
upload() {
	local want
	socat -u TCP4-LISTEN:8081,bind=10.77.0.1,reuseaddr STDOUT > "$WORK/uploaded" &
	local server=$!
	want=$(net "$ROOTFS" -- sh -c 'head -c 4000000 /dev/urandom > /tmp/up; md5sum < /tmp/up
		nc 10.77.0.1 8081 < /tmp/up')
	wait $server
	expect "$want" "$(md5sum < "$WORK/uploaded")" "checksum of the upload"
	rm "$WORK/uploaded"
}

# A host that sends without end while the guest stands still; then all is as before.
resumes() {
	idle &
	local pid=$! vmm
	up "$WORK/idle.log"
	ping -c 1 10.77.0.2
	vmm=$(pids vmm)
	kill -STOP "$vmm"
	for _ in 1 2 3 4; do
		head -c 2000000 /dev/zero | socat -u -b 1400 STDIN UDP4-SENDTO:10.77.0.2:9
	done
	status_of ping -c 1 -W 1 10.77.0.2
	[ "$STATUS" -ne 0 ]
	kill -CONT "$vmm"
	wait_for 60 ping -c 1 -W 1 10.77.0.2
	ping -c 5 10.77.0.2
	ends $pid
}

made_while_it_runs() { # SIGNAL WHOM
	start --net tap=made0,mtu=2000 "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/made.log" &
	local pid=$!
	up "$WORK/made.log"
	ip link show made0 | grep 'UP.* mtu 2000'
	if [ "$2" = all ]; then
		for p in net blk vsock vmm jailer; do
			for q in $(pids $p); do kill -KILL "$q"; done
		done 2> /dev/null
	else
		kill "-$1" "$pid"
	fi
	status_of wait $pid
	wait_for 60 test ! -e /sys/class/net/made0
}

pairs() {
	ip tuntap add given1 mode tap multi_queue
	ip address add 10.78.0.1/24 dev given1
	ip link set given1 up
	run --cpus 2 --net tap=given1,queues=2,ip=10.78.0.2/24 "$ROOTFS" -- sh -c \
		'ls /sys/class/net/eth0/queues | tr "\n" " "; ping -c 5 10.78.0.1 > /dev/null && echo pong' > "$WORK/pairs"
	cat "$WORK/pairs"
	expect "rx-0 rx-1 tx-0 tx-1 pong" "$(cat "$WORK/pairs")" "queues"
	ip tuntap del given1 mode tap multi_queue
}

in_use() {
	idle &
	local pid=$!
	up "$WORK/idle.log"
	status_of net "$ROOTFS" -- true 2> "$WORK/in_use"
	cat "$WORK/in_use"
	expect 125 "$STATUS" "exit status"
	grep -q 'tap given0.*another program' "$WORK/in_use"
	ends $pid
}

shared "iperf3, TCP, guest to host" tcp
shared "iperf3, TCP, host to guest" tcp -R
shared "iperf3, UDP, guest to host" udp
shared "iperf3, UDP, host to guest" udp -R
shared "$download_mib MiB to the guest, checksum agrees" download offload=on
shared "the same without offloads" download offload=off
shared "4 MB from the guest, checksum agrees" upload
shared "traffic resumes after a flood while the guest stood still" resumes
shared "a tap that does not exist is made, and goes with the machine" made_while_it_runs TERM immure
shared "it goes also when everything is killed" made_while_it_runs KILL all
shared "two pairs of queues" pairs
shared "a tap in use is refused by name" in_use
shared "what is no tap is refused" refused 'attach to tap lo' --kernel "$GUEST" --net tap=lo "$ROOTFS" -- true
ip tuntap del given0 mode tap

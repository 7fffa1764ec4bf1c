# shellcheck shell=bash
# Stream sockets between guest and host, through the user's own --vsock PATH.

vsock_run() { run --vsock "$WORK/v.sock" "$@"; }
vsock_start() { start --vsock "$WORK/v.sock" "$@"; }

guest_to_host() {
	"$BUILD/e2e/bin/vsockload" echo-unix "$WORK/v.sock_9000" > "$WORK/echo.log" 2>&1 &
	local server=$!
	wait_for 60 test -S "$WORK/v.sock_9000"
	vsock_run "$ROOTFS" -- /bin/vsockload load-vsock 9000 1000 16384
	kill $server
}
host_to_guest() {
	vsock_start "$ROOTFS" -- sh -c '/bin/vsockload echo-vsock 7000' > "$WORK/h.log" &
	local pid=$!
	wait_for 300 grep -q listening "$WORK/h.log"
	"$BUILD/e2e/bin/vsockload" load-unix "$WORK/v.sock" 7000 1000 16384
	kill -TERM $pid
	status_of wait $pid
}
handshake_bytes() {
	vsock_start "$ROOTFS" -- sh -c '/bin/vsockload echo-vsock 7000' > "$WORK/b.log" &
	local pid=$! reply
	wait_for 300 grep -q listening "$WORK/b.log"
	reply=$(printf 'CONNECT 7000\n' | timeout 120 socat -t 100 - "UNIX-CONNECT:$WORK/v.sock" | head -n 1)
	kill -TERM $pid
	status_of wait $pid
	grep -qE '^OK [0-9]+$' <<< "$reply"
}
refused_port() {
	vsock_start "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/r.log" &
	local pid=$! turned_away
	wait_for 300 grep -q up "$WORK/r.log"
	status_of timeout 120 socat -t 100 - "UNIX-CONNECT:$WORK/v.sock" <<< 'CONNECT 7001' > "$WORK/r.out" 2>&1
	turned_away=$STATUS
	kill -TERM $pid
	status_of wait $pid
	expect "" "$(cat "$WORK/r.out")" "bytes from a port nobody listens on"
	[ "$turned_away" -ne 124 ]
}

shared "1,000 connections at once, guest to host, checksums agree" guest_to_host
shared "1,000 connections at once, host to guest, checksums agree" host_to_guest
shared "CONNECT is answered OK and the port, nothing else" handshake_bytes
shared "a port nobody listens on closes the connection" refused_port

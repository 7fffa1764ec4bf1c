# shellcheck shell=bash
# A network interface on a tap: a host at 10.77.0.1, a guest at 10.77.0.2.

NET=tap=given0,ip=10.77.0.2/24,gw=10.77.0.1,dns=10.77.0.1

given() {
	ip tuntap add given0 mode tap
	ip address add 10.77.0.1/24 dev given0
	ip link set given0 up
}
given

net() { run --net "$NET" "$@"; }
net_start() { start --net "$NET" "$@"; }

# up LOG PID: the guest that logs to LOG said "up".
up() { wait_for 300 grep -q '^up$' "$1"; }

# idle OPTION-OF-NET: a guest that only exists, as job $!.
idle() { net_start "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/idle.log"; }

ends() { # PID
	kill -TERM "$1"
	status_of wait "$1"
}

configured() {
	local out
	out=$(run --name net-e2e --net "$NET,mtu=1400" "$ROOTFS" -- sh -c \
		'ip address show eth0; ip route; cat /etc/resolv.conf')
	echo "$out"
	grep -q 'inet 10.77.0.2/24' <<< "$out"
	grep -q 'mtu 1400' <<< "$out"
	grep -q '^default via 10.77.0.1 dev eth0' <<< "$out"
	grep -q '^nameserver 10.77.0.1$' <<< "$out"
	grep -qE 'link/ether .[26ae]:' <<< "$out"
	# The same name, the same address.
	expect "$(grep -o 'link/ether [0-9a-f:]*' <<< "$out")" \
		"$(run --name net-e2e --net "$NET" "$ROOTFS" -- ip link show eth0 | grep -o 'link/ether [0-9a-f:]*')" \
		"the address of the second machine"
}
no_network() { expect lo "$(guest 'ls /sys/class/net')" "interfaces"; }

pings() {
	net "$ROOTFS" -- ping -c 3 10.77.0.1
	idle &
	local pid=$!
	up "$WORK/idle.log"
	ping -c 3 10.77.0.2
	# As fast as they come back; then some whose answers are not waited for.
	ping -q -f -c 300 10.77.0.2
	ping -q -c 200 -i 0.002 -s 1400 10.77.0.2
	ends $pid
}

# The packet wall: a guest that takes another address, and one that may only reach one port.
spoofs() { # OPTION-OF-NET: the guest asks as 10.77.0.9; prints how many answers there were
	run --net "$NET,$1" "$ROOTFS" -- sh -c \
		'ip address add 10.77.0.9/24 dev eth0; ping -c 3 -W 5 -I 10.77.0.9 10.77.0.1' > "$WORK/spoof" || true
	cat "$WORK/spoof" >&2
	sed -nE 's/.* ([0-9]+) packets received.*/\1/p' "$WORK/spoof"
}
no_spoofing() {
	# On a busy host busybox does not wait for the last of them.
	[ "$(spoofs wall=off)" -ge 1 ]
	expect 0 "$(spoofs wall=on)" "answers with it"
}
allow_list() {
	local out
	socat TCP4-LISTEN:8088,bind=10.77.0.1,reuseaddr,fork SYSTEM:'echo in' &
	local server=$!
	socat TCP4-LISTEN:8089,bind=10.77.0.1,reuseaddr,fork SYSTEM:'echo in' &
	local other=$!
	out=$(run --net "$NET,allow=10.77.0.1:8088/tcp" "$ROOTFS" -- sh -c \
		'nc -w 15 10.77.0.1 8088 < /dev/null; nc -w 15 10.77.0.1 8089 < /dev/null || echo out
		ping -c 1 -W 5 10.77.0.1 > /dev/null || echo no ping') || true
	kill $server $other
	expect "in out no ping" "$(tr '\n' ' ' <<< "$out" | sed 's/ $//')" "what the guest reached"
}

gone() {
	ip tuntap add given2 mode tap
	ip link set given2 up
	start --net tap=given2,ip=10.79.0.2/24 "$ROOTFS" -- sh -c 'echo up
		until [ "$(cat /sys/class/net/eth0/carrier)" = 0 ]; do sleep 1; done; echo down' > "$WORK/gone.log" &
	local pid=$!
	up "$WORK/gone.log"
	ip link delete given2
	wait $pid
	grep -q '^down$' "$WORK/gone.log"
}

# Two interfaces of IPv4 and IPv6, of which the second has the default routes.
several() {
	local out
	ip tuntap add given3 mode tap
	ip address add 10.80.0.1/24 dev given3
	ip -6 address add fd00:80::1/64 dev given3 nodad
	ip link set given3 up
	ip -6 address add fd00:77::1/64 dev given0 nodad
	out=$(run --net tap=given3,ip=fd00:80::2/64,ip=10.80.0.2/24,wall=on \
		--net tap=given0,ip=10.77.0.2/24,gw=10.77.0.1,ip=fd00:77::2/64,gw=fd00:77::1,dns=fd00:77::1,wall=on \
		"$ROOTFS" -- sh -c 'ip address show eth0; echo; ip address show eth1; ip route; ip -6 route
		cat /etc/resolv.conf; ls /sys/class/net | tr "\n" " "; echo
		for to in 10.80.0.1 10.77.0.1; do ping -c 2 $to > /dev/null && echo "pong $to"; done
		for to in fd00:80::1 fd00:77::1; do ping -6 -c 2 $to > /dev/null && echo "pong $to"; done')
	echo "$out"
	ip link delete given3
	expect "10.80.0.2/24 fd00:80::2/64" "$(addresses "${out%%$'\n\n'*}")" "addresses of eth0"
	expect "10.77.0.2/24 fd00:77::2/64" "$(addresses "${out#*$'\n\n'}")" "addresses of eth1"
	expect "default via 10.77.0.1 dev eth1" "$(grep -o '^default via 10[^ ]* dev [^ ]*' <<< "$out")" "routes"
	expect "default via fd00:77::1 dev eth1" "$(grep -o '^default via fd[^ ]* dev [^ ]*' <<< "$out")" "IPv6 routes"
	grep -q '^nameserver fd00:77::1$' <<< "$out"
	grep -q '^eth0 eth1 lo ' <<< "$out"
	expect "10.80.0.1 10.77.0.1 fd00:80::1 fd00:77::1 " "$(sed -n 's/^pong //p' <<< "$out" | tr '\n' ' ')" pings
	! grep -q 'scope global.*tentative' <<< "$out"
}
addresses() { # TEXT: those of ip address that are not link-local
	sed -nE 's/.*inet6? ([^ ]*) .*scope global.*/\1/p' <<< "$1" | tr '\n' ' ' | sed 's/ $//'
}

claim "without --net a guest has no interface but lo" no_network
claim "address, route, name server, MTU and MAC are what the host says" configured
claim "ping both ways, and a flood of them" pings
claim "the packet wall lets no guest speak as another" no_spoofing
claim "an allow-list lets nothing else out" allow_list
claim "two interfaces are in their order, with IPv4 and IPv6, and both are answered" several
claim "a tap that is deleted is a link that goes down" gone
ip tuntap del given0 mode tap

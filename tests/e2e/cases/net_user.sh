# shellcheck shell=bash disable=SC2016 # expanded where it runs
# A network through passt, as root and as a user: on the host's only interface, at 198.51.100.1, there
# are a name server and an HTTPS server.
HOST=198.51.100.1

# What a host has that is not of this suite's making: an interface with a default route, a resolver.
# A user makes it in namespaces of its own, in which it is root, and comes into them as itself.
host_network='ip link set lo up; ip tuntap add up0 mode tap; ip address add 198.51.100.1/24 dev up0
	ip address add 169.254.169.254/32 dev up0; ip link set up0 up
	ip route add default via 198.51.100.254 dev up0
	mount --bind "$0" /etc/resolv.conf'
echo "nameserver $HOST" > "$WORK/resolv.conf"
AS_HOST=() AS_CALLER=()
if [ "$MODE" = root ]; then
	bash -ec "$host_network" "$WORK/resolv.conf"
else
	unshare -r -n -m bash -ec "$host_network"'; echo ready; exec sleep 100000' "$WORK/resolv.conf" \
		> "$WORK/network" &
	network=$!
	wait_for 60 grep -q ready "$WORK/network"
	AS_HOST=(nsenter -t "$network" -U -n -m --preserve-credentials)
	AS_CALLER=("${AS_HOST[@]}" unshare "--map-user=$(id -u)" "--map-group=$(id -g)")
fi

# serve COMMAND...: a server of the host, until the end of the case.
servers=()
serve() {
	"${AS_HOST[@]}" "$@" > "$WORK/server.log" 2>&1 &
	servers+=($!)
}
user_run() { "${AS_CALLER[@]}" "$IMMURE" run --kernel "$GUEST" -m 128M --boot-timeout 5m "$@"; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 -subj /CN=server.test \
	-addext subjectAltName=DNS:server.test -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2> /dev/null
mkdir "$WORK/www"
echo 'a page' > "$WORK/www/page"
serve python3 "$PWD/tests/e2e/programs/names.py" $HOST 53 server.test $HOST
serve sh -c 'cd "$1" && exec openssl s_server -quiet -accept "$2:443" -key ../key.pem -cert ../cert.pem -WWW' \
	sh "$WORK/www" $HOST
for place in $HOST:8088 $HOST:8089 127.0.0.1:8088 169.254.169.254:8088; do
	serve python3 -m http.server --bind "${place%:*}" --directory "$WORK/www" "${place#*:}"
done

passts() { pgrep '^passt' || true; }

# Everything that one guest can tell.
fetches() {
	local out
	out=$(user_run --net user "$ROOTFS-tls" -- sh -c 'cat > /tmp/ca
		ip address show eth0; ip route; cat /etc/resolv.conf
		nslookup -type=a server.test
		printf "GET /page HTTP/1.0\r\n\r\n" | openssl s_client -quiet -verify_return_error -CAfile /tmp/ca \
			-verify_hostname server.test -connect server.test:443 2>&1
		timeout 10 wget -q -O - http://10.0.2.2:8088/page || echo no loopback
		timeout 10 wget -q -O - http://169.254.169.254:8088/page || echo no metadata' < "$WORK/cert.pem")
	echo "$out"
	grep -q 'inet 10.0.2.15/24' <<< "$out"
	grep -q '^default via 10.0.2.2 dev eth0' <<< "$out"
	grep -q '^nameserver 10.0.2.2$' <<< "$out"
	grep -q "^Address: $HOST" <<< "$out"
	grep -q '^a page' <<< "$out"
	grep -q '^no loopback' <<< "$out"
	grep -q '^no metadata' <<< "$out"
	expect '' "$(passts)" "passt after the machine"
}

confined() {
	"${AS_CALLER[@]}" "$IMMURE" run --kernel "$GUEST" -m 128M --boot-timeout 5m --name user-e2e \
		--net "user,allow=$HOST:8088/tcp" "$ROOTFS" -- sh -c "
		wget -q -O - http://$HOST:8088/page; timeout 15 wget -q -O - http://$HOST:8089/page || echo out
		echo up
		until [ \"\$(cat /sys/class/net/eth0/carrier)\" = 0 ]; do sleep 1; done; echo down" > "$WORK/allow.log" &
	local pid=$!
	wait_for 300 grep -q '^up$' "$WORK/allow.log" || { cat "$WORK/allow.log"; kill $pid; return 1; }
	expect "a page out up" "$(tr '\n' ' ' < "$WORK/allow.log" | sed 's/ $//')" "what the guest reached"
	"${AS_CALLER[@]}" "$IMMURE" net denied user-e2e | tee "$WORK/denied"
	grep -qE '^EGRESS +[1-9]' "$WORK/denied"
	grep -qE "^EGRESS +[1-9][0-9]* +$HOST port 8089 tcp" "$WORK/denied"
	if [ "$MODE" = root ]; then
		"$IMMURE" walls user-e2e
		# Its own user id, and the machine's cgroup.
		ps -o uid= -p "$(passts)" | grep -q '^ *2000000'
		grep -q /immure/user-e2e "/proc/$(passts)/cgroup"
	fi
	# Without it the machine goes on, and its link is down.
	kill -KILL "$(passts)"
	wait $pid
	grep -q '^down$' "$WORK/allow.log"
}

shared "a guest has names and HTTPS through passt, and neither the host's loopback nor its metadata" fetches
shared "its allow-list holds, what it refused is shown, and without passt the link is down" confined
kill "${servers[@]}" 2> /dev/null
if [ "$MODE" = root ]; then
	umount /etc/resolv.conf
	ip tuntap del up0 mode tap
else
	kill "$network"
fi

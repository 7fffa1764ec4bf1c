# shellcheck shell=bash
# Counters and rate limits of running VMs.

# A VM named "counted" whose disk blk1 is $WORK/c.img with OPTIONS; it waits for lines: a number of
# KiB to read, direct; "end".
counted() { # OPTIONS
	truncate -s 16777216 "$WORK/c.img"
	rm -f "$WORK/c.in"
	mkfifo "$WORK/c.in"
	start --name counted --disk "$WORK/c.img$1" "$ROOTFS" -- sh -c 'echo up
		while read n && [ "$n" != end ]; do
			dd if=/dev/vdb of=/dev/null bs=4k count=$((n / 4)) iflag=direct 2> /dev/null
			echo "read $n"
		done' < "$WORK/c.in" > "$WORK/c.out" &
	counted_pid=$!
	exec 9> "$WORK/c.in"
	wait_for "$CASE_LIMIT" grep -q up "$WORK/c.out"
}
ask() { # KIB
	echo "$1" >&9
	wait_for "$CASE_LIMIT" grep -q "read $1" "$WORK/c.out"
}
end_counted() {
	echo end >&9
	exec 9>&-
	status_of wait "$counted_pid"
	expect 0 "$STATUS" "exit status"
}
# value METRIC LABELS: the number of a line of Prometheus's, or nothing.
value() {
	"$IMMURE" stats counted --prom | grep -F "$1{vm=\"counted\",process=$2" | sed 's/.* //'
}
exits() {
	"$IMMURE" stats counted --prom | grep '^immure_vcpu_exits_total' | sed 's/.* //' |
		awk '{ sum += $1 } END { print sum }'
}

counters_count() {
	counted ""
	ask 4
	local reads bytes exits_before exits_after kicks interrupts
	reads=$(value immure_blk_requests_total '"blk1",op="read"')
	bytes=$(value immure_blk_bytes_total '"blk1",op="read"')
	exits_before=$(exits)
	ask 8192
	exits_after=$(exits)
	kicks=$(value immure_device_kicks_total '"blk1"')
	interrupts=$(value immure_device_interrupts_total '"blk1"')
	expect 2048 $(($(value immure_blk_requests_total '"blk1",op="read"') - reads)) "requests"
	expect 8388608 $(($(value immure_blk_bytes_total '"blk1",op="read"') - bytes)) "bytes"
	echo "2048 requests: $kicks kicks, $interrupts interrupts, $((exits_after - exits_before)) exits to the VMM" |
		tee /dev/fd/3
	# A handful; a kernel that complains of a slow host does so by one exit a letter.
	[ $((exits_after - exits_before)) -lt 1024 ]
	[ "$kicks" -ge 2048 ]
	[ "$interrupts" -ge 2048 ]
	"$IMMURE" stats counted | tee "$WORK/people"
	grep -q '^blk1 *requests read' "$WORK/people"
	"$IMMURE" stats --json | python3 -c 'import json, sys
vms = json.load(sys.stdin)["vms"]
assert [v["name"] for v in vms] == ["counted"], vms
names = [p["name"] for p in vms[0]["processes"]]
assert names[:3] == ["vmm", "blk0", "blk1"] and "vsock" in names, names
assert all(p["trusted"] for p in vms[0]["processes"])
blk = vms[0]["processes"][2]
assert blk["latency"]["read"]["count"] == blk["counters"]["requests"]["read"], blk'
	end_counted
	nothing_left
}
limits_limit() {
	counted ",iops=50"
	ask 4
	local from to requests
	requests=$(value immure_blk_requests_total '"blk1",op="read"')
	from=$(date +%s%N)
	ask 1200
	to=$(date +%s%N)
	requests=$(($(value immure_blk_requests_total '"blk1",op="read"') - requests))
	echo "$requests requests in $(((to - from) / 1000000)) ms"
	# Never more than what was saved up and what time gave, which nobody can hurry.
	[ "$requests" -le $((50 + 1 + 50 * (to - from) / 1000000000)) ]
	[ "$(value immure_device_throttles_total '"blk1",direction="out"')" -ge 1 ]
	end_counted
}
limits_change() {
	counted ",bw=4K"
	ask 4
	expect "blk1 bw=4096" "$("$IMMURE" limit counted | grep blk1 | tr -s ' ')" "the limit"
	echo 4096 >&9	# would take a quarter of an hour
	wait_for "$CASE_LIMIT" is_throttled
	"$IMMURE" limit counted blk1 bw=0
	wait_for "$CASE_LIMIT" grep -q "read 4096" "$WORK/c.out"
	expect "blk1 none" "$("$IMMURE" limit counted | grep blk1 | tr -s ' ')" "the limit"
	"$IMMURE" limit counted blk1 '{"ops":{"size":7,"refill_time":500}}'
	"$IMMURE" limit counted --json | grep -qF '"blk1":{"rate_limiter":{"bandwidth":null,"ops":{"size":7,"one_time_burst":0,"refill_time":500}}}'
	status_of "$IMMURE" limit counted blk9 bw=1
	expect 125 "$STATUS" "a device that is not there"
	status_of "$IMMURE" limit counted blk1 bw=fast
	expect 125 "$STATUS" "a limit that is none"
	end_counted
}
is_throttled() {
	local n
	n=$(value immure_device_throttles_total '"blk1",direction="out"')
	[ "${n:-0}" -ge 1 ]
}
garbage_is_seen() {
	counted ""
	# The page of the third process; its magic number goes.
	printf 'garbage!' | dd of="$RUN_PARENT/counted/pages" bs=1 seek=$((3 * 4096)) conv=notrunc 2> /dev/null
	"$IMMURE" stats counted > "$WORK/people"
	grep -q '^blk1 *untrusted' "$WORK/people"
	grep -q '^vmm *exits' "$WORK/people"
	ask 4
	end_counted
}
nobody_there() {
	status_of "$IMMURE" stats nobody
	expect 125 "$STATUS" "exit status"
	status_of "$IMMURE" stats ../x
	expect 125 "$STATUS" "exit status"
	expect "(none runs here)" "$("$IMMURE" stats)" "without a VM"
}

shared "requests, bytes, kicks and interrupts are counted, and no request exits to the VMM" counters_count 3>&1
shared "a disk is never faster than its limit" limits_limit
shared "limits change while a request waits for them" limits_change
shared "a page that is garbage is said to be so, and harms nobody" garbage_is_seen
shared "of a VM that does not run nothing is said" nobody_there
rm -f "$WORK/c.img" "$WORK/c.in"

# shellcheck shell=bash
# What confines each process of a running VM, read from the kernel.

walls() {
	truncate -s 1048576 "$WORK/w.img"
	start --disk "$WORK/w.img" "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/w.log" &
	local pid=$!
	wait_for 300 grep -q up "$WORK/w.log"
	"$IMMURE" plan --json --kernel "$GUEST" --disk "$WORK/w.img" "$ROOTFS" > "$WORK/plan.json"
	status_of python3 tests/e2e/walls.py "$WORK/plan.json" "$MODE"
	kill -TERM $pid
	local result=$STATUS
	status_of wait $pid
	return "$result"
}
walls_command() {
	truncate -s 1048576 "$WORK/w.img"
	start --name seen --disk "$WORK/w.img" "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/s.log" &
	local pid=$!
	wait_for 300 grep -q up "$WORK/s.log"
	status_of "$IMMURE" walls seen
	local result=$STATUS
	kill -TERM $pid
	status_of wait $pid
	return "$result"
}
speculation() {
	# Either everything is restricted, or the run is refused, on a host that cannot.
	start --name seen --speculation restrict --core-scheduling "$ROOTFS" -- \
		sh -c 'echo up; sleep 1000' > "$WORK/p.log" 2> "$WORK/p.err" &
	local pid=$! result=0
	wait_for 300 ended_or_up $pid
	if grep -q up "$WORK/p.log"; then
		"$IMMURE" walls seen --json > "$WORK/p.json" || result=$?
		python3 - "$WORK/p.json" <<- 'END' || result=1
			import json, sys
			for p in json.load(open(sys.argv[1]))["processes"]:
			    for kind, words in p["speculation"].items():
			        if "enabled" in words or words.endswith("vulnerable") and "not" not in words:
			            sys.exit(f"{p['name']}: {kind}: {words}")
		END
		kill -TERM $pid
		status_of wait $pid
		return "$result"
	fi
	status_of wait $pid
	cat "$WORK/p.err"
	expect 125 "$STATUS" "exit status"
	grep -q 'cannot keep a process from speculating' "$WORK/p.err"
	grep -q mitigations=off /proc/cmdline
	nothing_left
}
ended_or_up() { # PID
	grep -q up "$WORK/p.log" || ! kill -0 "$1" 2> /dev/null
}
killed() { # PROCESS
	start "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/k.log" 2> "$WORK/k.err" &
	local pid=$!
	wait_for 300 grep -q up "$WORK/k.log"
	kill -KILL "$(pids "$1" | head -n 1)"
	status_of wait $pid
	expect 125 "$STATUS" "exit status"
	cat "$WORK/k.err"
	nothing_left
}
client_killed() {
	start "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/q.log" &
	local pid=$!
	wait_for 300 grep -q up "$WORK/q.log"
	kill -KILL $pid
	status_of wait $pid
	wait_for 10 no_vm
	# The run directory belongs to the next run to sweep: start one.
	guest true
	nothing_left
}
no_vm() { [ -z "$(pids jailer)$(pids vmm)$(pids blk)$(pids vsock)" ]; }
limits_bite() {
	# Read back from the kernel, not from our configuration.
	start --cpus 2 "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/l.log" &
	local pid=$! group
	wait_for 300 grep -q up "$WORK/l.log"
	group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(pids vmm)/cgroup")
	for f in memory.max pids.max cpu.max; do echo "$f: $(cat "$group/$f")"; done
	[ "$(cat "$group/memory.max")" != max ] && [ "$(cat "$group/pids.max")" != max ]
	local result=$?
	kill -TERM $pid
	status_of wait $pid
	return $result
}
# A process put into the VM's cgroup from outside cannot open a device; without root nobody may
# load the program that refuses it, and that is said beside what went wrong.
devices_denied() {
	start "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/v.log" 2> "$WORK/v.err" &
	local pid=$! group result=0
	wait_for 300 grep -q up "$WORK/v.log"
	group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(pids vmm)/cgroup")
	if [ "$MODE" = root ]; then
		: > /dev/null || result=1
		(echo "$BASHPID" > "$group/cgroup.procs" && : > /dev/null) 2> "$WORK/v.sh" && result=1
		grep -q '/dev/null: Operation not permitted' "$WORK/v.sh" || result=1
		cat "$WORK/v.sh"
	else
		kill -KILL "$(pids vmm)"
	fi
	kill -TERM $pid 2> /dev/null
	status_of wait $pid
	[ "$MODE" = root ] || grep 'not limited:.*devices' "$WORK/v.err" || result=1
	return $result
}

claim "every thread: two filters, no privileges, empty root, only its plan ($MODE)" walls
claim "\`immure walls\` finds the VM by name and every wall standing ($MODE)" walls_command
claim "what must not speculate does not, or does not start ($MODE)" speculation
for p in vmm blk vsock jailer; do
	claim "immure-$p killed: the VM ends within seconds with 125 ($MODE)" killed $p
done
claim "the client killed: nothing is left behind ($MODE)" client_killed
claim "the VM's cgroup has limits ($MODE)" limits_bite
claim "no device can be opened in the VM's cgroup ($MODE)" devices_denied

# shellcheck shell=bash
# What confines each process of a running VM, read from the kernel.

# One machine for all that is only looked at.
truncate -s 1048576 "$WORK/w.img"
SEEN_OPTIONS=(--cpus 2 --disk "$WORK/w.img")
# A tap that is made and goes with the machine is root's.
PROCESSES='vmm blk vsock jailer'
NET=()
[ "$MODE" != root ] || NET=(--net tap=made0) PROCESSES='vmm blk net vsock jailer'
SEEN_OPTIONS+=("${NET[@]}")
start --name seen "${SEEN_OPTIONS[@]}" "$ROOTFS" -- sh -c 'echo up; sleep 1000' > "$WORK/seen.log" 2> "$WORK/seen.err" &
seen=$!

seen_up() { wait_for 300 grep -q up "$WORK/seen.log"; }
seen_group() { echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(pids vmm)/cgroup")"; }

walls() {
	seen_up
	"$IMMURE" plan --json --kernel "$GUEST" "${SEEN_OPTIONS[@]}" "$ROOTFS" > "$WORK/plan.json"
	python3 tests/e2e/walls.py "$WORK/plan.json" "$MODE"
}
walls_command() {
	seen_up
	"$IMMURE" walls seen
}
limits_bite() {
	# Read back from the kernel, not from our configuration.
	local group
	seen_up
	group=$(seen_group)
	for f in memory.max pids.max cpu.max; do echo "$f: $(cat "$group/$f")"; done
	[ "$(cat "$group/memory.max")" != max ]
	[ "$(cat "$group/pids.max")" != max ]
	# Two processors, and one for what serves them.
	expect "300000 100000" "$(cat "$group/cpu.max")" "cpu.max"
}
# A process put into the VM's cgroup from outside cannot open a device; without root nobody may
# load the program that refuses it, and that is said beside what went wrong.
devices_denied() {
	local group
	seen_up
	if [ "$MODE" = root ]; then
		group=$(seen_group)
		: > /dev/null
		if (echo "$BASHPID" > "$group/cgroup.procs" && : > /dev/null) 2> "$WORK/v.sh"; then
			echo "/dev/null was opened"
			return 1
		fi
		cat "$WORK/v.sh"
		grep -q '/dev/null: Operation not permitted' "$WORK/v.sh"
	else
		kill -KILL "$(pids vmm)"
		wait_for 60 grep 'not limited:.*devices' "$WORK/seen.err"
	fi
}
seen_ends() {
	kill -TERM $seen 2> /dev/null || true
	wait_for 60 no_vm
	nothing_left
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
# All of them exist, and the guest boots.
whole_vm() { local p; for p in $PROCESSES; do [ -n "$(pids "$p")" ] || return 1; done; }
killed() { # PROCESS
	start "${NET[@]}" "$ROOTFS" -- sleep 1000 > "$WORK/k.log" 2> "$WORK/k.err" &
	local pid=$!
	wait_for 300 whole_vm
	sleep 1
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
	wait_for 60 no_vm
	# The run directory belongs to the next run to sweep: start one.
	guest true
	nothing_left
}
no_vm() { [ -z "$(pids 'jailer|vmm|blk|net|vsock')" ]; }

claim "every thread: two filters, no privileges, empty root, only its plan ($MODE)" walls
claim "\`immure walls\` finds the VM by name and every wall standing ($MODE)" walls_command
claim "the VM's cgroup has limits ($MODE)" limits_bite
claim "no device can be opened in the VM's cgroup ($MODE)" devices_denied
claim "the VM that was looked at ends, and nothing of it is left ($MODE)" seen_ends
wait $seen 2> /dev/null
claim "what must not speculate does not, or does not start ($MODE)" speculation
for p in $PROCESSES; do
	shared "immure-$p killed: the VM ends within seconds with 125 ($MODE)" killed $p
done
shared "the client killed: nothing is left behind ($MODE)" client_killed

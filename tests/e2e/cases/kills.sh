# shellcheck shell=bash
# Processes of a VM with a Linux guest, and the client, killed while it is built, boots and runs.

a_vm() { [ -n "$(pids jailer)" ]; }
# Somebody dies while the VM is being built, boots, or runs: a few milliseconds to a few seconds.
some_moment() { sleep "$((RANDOM % $1)).$(printf %03d $((RANDOM % 1000)))"; }
killed_at_any_moment() { # ROUNDS
	local pid victim who
	for _ in $(seq "$1"); do
		start "$ROOTFS" -- sleep 1000 > "$WORK/any.out" 2> "$WORK/any.err" &
		pid=$!
		wait_for 60 a_vm
		some_moment 4
		read -r victim who < <(for p in jailer vmm blk vsock; do pids $p | sed "s/$/ $p/"; done | shuf -n 1)
		echo "killing $who"
		kill -KILL "$victim" || true
		status_of wait $pid
		cat "$WORK/any.err"
		expect 125 "$STATUS" "exit status after $who was killed"
		[ -s "$WORK/any.err" ]
		nothing_left
	done
}
client_killed_at_any_moment() { # ROUNDS
	local pid
	for _ in $(seq "$1"); do
		start "$ROOTFS" -- sleep 1000 > "$WORK/any.out" 2>&1 &
		pid=$!
		some_moment 3
		kill -KILL $pid
		status_of wait $pid
		wait_for 15 no_process
	done
	# The next run sweeps what a client that was killed could not remove.
	guest true
	nothing_left
}
no_process() { [ -z "$(pids 'jailer|vmm|blk|vsock')" ]; }

shared "any process killed at any moment ($MODE)" killed_at_any_moment 12
shared "the client killed at any moment ($MODE)" client_killed_at_any_moment 6

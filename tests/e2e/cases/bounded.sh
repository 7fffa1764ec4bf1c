# shellcheck shell=bash
# What a hostile process can waste, on a host with cgroup v2: tests/unit/jail_bounded.c.

bounded() {
	status_of "$BUILD/unit/jail_bounded" --jobs 1 --verbose=1 > "$WORK/bounded.log" 2>&1
	cat "$WORK/bounded.log"
	expect 0 "$STATUS" "exit status"
	grep -E 'of CPU in|bytes in' "$WORK/bounded.log" >&3
	! grep -E 'SKIP' "$WORK/bounded.log"
}

claim "CPU, memory, tasks and disk bandwidth are bounded, and a neighbour goes on" bounded 3>&1

# shellcheck shell=bash
# What a hostile process can waste, on a host with cgroup v2: tests/unit/jail_bounded.c.

wasteful() { # [HOSTILE_UID=UID]
	local test
	for test in jail_bounded jail_bounded_io; do
		status_of env "$@" "$BUILD/unit/$test" --jobs 1 --verbose=1
		expect 0 "$STATUS" "exit status of $test"
	done
}

# ask QUESTION: the guest at descriptors 7 and 8 answers.
ask() {
	local answer
	echo "$1" >&7
	read -r -t 300 -u 8 answer
	expect "re $1" "$answer" "answer"
}

bounded() { # [HOSTILE_UID=UID]
	local vm pid n=0
	rm -f "$WORK/questions" "$WORK/answers"
	mkfifo "$WORK/questions" "$WORK/answers"
	# shellcheck disable=SC2016 # expanded by the guest
	start "$ROOTFS" -- sh -c 'while read -r q; do echo "re $q"; done' \
		< "$WORK/questions" > "$WORK/answers" &
	vm=$!
	exec 7> "$WORK/questions" 8< "$WORK/answers"
	ask "are you there"
	wasteful "$@" > "$WORK/bounded.log" 2>&1 7>&- 8<&- &
	pid=$!
	while kill -0 $pid 2> /dev/null; do
		n=$((n + 1))
		ask $n
		sleep 0.2
	done
	status_of wait $pid
	cat "$WORK/bounded.log"
	exec 7>&- 8<&-
	expect 0 "$STATUS" "hostile processes"
	wait $vm
	grep -E 'of CPU in|bytes in|took|children|offered' "$WORK/bounded.log" >&3
	if grep -E 'SKIP' "$WORK/bounded.log"; then return 1; fi
	echo "$n answers" >&3
	[ $n -ge 20 ]
}

CASE_LIMIT=1800 shared "CPU, memory, tasks, disk bandwidth and log are bounded, and a guest beside it answers all the while" bounded 3>&1
CASE_LIMIT=1800 shared "so they are in a machine of an ordinary user's, by a cgroup that was delegated" bounded HOSTILE_UID=1000 3>&1

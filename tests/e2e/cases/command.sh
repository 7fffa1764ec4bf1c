# shellcheck shell=bash
# The command: arguments, environment, streams, exit status.

hello() {
	expect "Linux" "$(guest 'uname -s')" "uname in the guest"
}
exit_code() {
	status_of guest "exit $1"
	expect "$1" "$STATUS" "exit status"
}
not_found() {
	status_of run "$ROOTFS" -- /no/such/program
	expect 127 "$STATUS" "exit status"
}
not_executable() {
	status_of run "$ROOTFS" -- /etc/passwd
	expect 126 "$STATUS" "exit status"
}
killed_by_signal() {
	status_of guest 'kill -TERM $$'
	expect 143 "$STATUS" "exit status"
}
arguments() {
	expect $'[a b]\n[*]\n[]\n["x"]' "$(run "$ROOTFS" -- printf '[%s]\n' 'a b' '*' '' '"x"')" arguments
}
environment() {
	expect "v1 /tmp 1000" \
		"$(run -e K=v1 -w /tmp -u 1000:1000 "$ROOTFS" -- sh -c 'echo $K $PWD $(id -u)')" \
		"environment, directory, user"
}
streams_apart() {
	guest 'echo out; echo err >&2' > "$WORK/out" 2> "$WORK/err"
	expect out "$(cat "$WORK/out")" stdout
	# Rootless, immure itself has to say which limits it could not set.
	expect err "$(grep -v '^immure: note: not limited: ' "$WORK/err")" stderr
}
eof_reaches_the_command() {
	expect 5 "$(printf hello | run "$ROOTFS" -- wc -c)" "bytes of standard input"
}
random_bytes_unchanged() {
	head -c 67108864 /dev/urandom > "$WORK/random"
	run "$ROOTFS" -- cat < "$WORK/random" > "$WORK/back"
	cmp "$WORK/random" "$WORK/back"
	rm -f "$WORK/random" "$WORK/back"
}
stdout_closed_early() {
	# `yes | head` must end: the guest's writer gets SIGPIPE or an error, not silence.
	expect 3 "$(run "$ROOTFS" -- yes | head -n 3 | wc -l)" "lines"
}
timeout_ends_it() {
	status_of run --timeout 20s "$ROOTFS" -- sleep 1000
	expect 124 "$STATUS" "exit status"
}
signal_is_passed() {
	start "$ROOTFS" -- sh -c 'trap "echo got; exit 9" TERM; echo ready; while :; do sleep 1; done' \
		> "$WORK/sig" &
	local pid=$!
	wait_for 300 grep -q ready "$WORK/sig"
	kill -TERM "$pid"
	status_of wait "$pid"
	expect 9 "$STATUS" "exit status of the trap"
	grep -q got "$WORK/sig"
}
terminal() {
	local out
	out=$(script -qec "stty rows 33 cols 77; $IMMURE run --kernel $GUEST -m 128M -t $ROOTFS -- sh -c 'tty; stty size'" /dev/null < /dev/null)
	grep -q /dev/pts/0 <<< "$out"
	grep -q '33 77' <<< "$out"
}

claim "a command runs in an unmodified Debian kernel" hello
shared "exit status 0 is passed on" exit_code 0
shared "exit status 7 is passed on" exit_code 7
shared "a program that does not exist is 127" not_found
shared "a file that cannot be executed is 126" not_executable
shared "a signal is 128 + its number" killed_by_signal
shared "arguments arrive as they were given" arguments
shared "environment, directory and user are set" environment
shared "standard output and standard error stay apart" streams_apart
shared "end of file on standard input reaches the command" eof_reaches_the_command
shared "64 MiB of random bytes come back unchanged" random_bytes_unchanged
shared "a reader that leaves early ends the run" stdout_closed_early
shared "--timeout ends the VM with 124" timeout_ends_it
shared "SIGTERM reaches the command" signal_is_passed
shared "a terminal has its size" terminal

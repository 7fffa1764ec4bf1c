# shellcheck shell=bash disable=SC2034
# The words the end-to-end cases are written in.  Sourced by tests/e2e/suite, inside the host.
#
# A case file calls `claim "sentence" COMMAND...` once for each thing it shows; COMMAND is
# usually a function of the file.  Everything a command prints is kept and shown when it fails.

passed=0 failed=0 skipped=0
WORK=$(mktemp -d "${TMPDIR:-/tmp}/immure-e2e.XXXXXX")
HOST_KERNEL=$(uname -r)
# In memory: the host reads its 9p slowly.
mkdir "$WORK/bin"
cp "$BUILD"/bin/immure* "$WORK/bin/"
IMMURE=$WORK/bin/immure
# Generous: the host is emulated and shares two cores with another one.
CASE_LIMIT=${CASE_LIMIT:-600}
SHARE=${SHARE:-0/1}

# claim SENTENCE COMMAND...: runs it in a subshell with a time limit, prints one TAP line.
claim() {
	local sentence=$1 log=$WORK/claim.log start=$SECONDS status watchdog
	shift
	(
		set -eE
		trap 'echo "failed: line ${BASH_LINENO[0]}: $BASH_COMMAND (status $?)" >&2' ERR
		"$@"
	) > "$log" 2>&1 < /dev/null &
	local pid=$!
	( sleep "$CASE_LIMIT" && echo "time limit of $CASE_LIMIT s" >> "$log" && kill -KILL $pid ) 2> /dev/null &
	watchdog=$!
	wait $pid
	status=$?
	kill $watchdog 2> /dev/null
	wait $watchdog 2> /dev/null
	if [ $status -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok - $sentence ($((SECONDS - start)) s)"
	elif [ $status -eq 77 ]; then
		skipped=$((skipped + 1))
		echo "ok - $sentence # SKIP $(tail -n 1 "$log")"
	else
		failed=$((failed + 1))
		echo "not ok - $sentence ($((SECONDS - start)) s, status $status)"
		tail -n 40 "$log" | sed 's/^/    | /'
		stop_all
	fi
}

# shared SENTENCE COMMAND...: a claim that no version of the host's kernel decides: one host of a run
# makes it, in turns.  Root and an ordinary user begin with another host, so what both do is seen in
# both.  SHARE is "INDEX/HOSTS"; without it all is done.
shared_turn=0
shared() {
	local index=${SHARE%/*} hosts=${SHARE#*/} first=0
	[ "$MODE" = root ] || first=1
	shared_turn=$((shared_turn + 1))
	[ $(((shared_turn + first) % ${hosts:-1})) -ne "${index:-0}" ] || claim "$@"
}

# After a failure: what it left running must not fail the next claim too.  Elsewhere than in a test host
# others have machines as well.
stop_all() {
	local p
	[ -n "${IMMURE_TESTHOST:-}" ] || return 0
	for p in $(pids jailer); do kill -KILL "$p"; done 2> /dev/null
	pkill -KILL -f "^$IMMURE run" || true
}

skip() { echo "$*"; exit 77; }

# run ARGS...: immure run with the suite's kernel and memory unless ARGS say otherwise.
run() { "$IMMURE" run --kernel "$GUEST" -m "${MEM:-128M}" --boot-timeout 5m "$@"; }

# start ARGS...: the same for a background job (`start ... &`): $! is immure itself.
start() { exec "$IMMURE" run --kernel "$GUEST" -m "${MEM:-128M}" --boot-timeout 5m "$@"; }

# guest CMD...: runs a shell line in a busybox guest; stdout is the line's.
guest() { run "$ROOTFS" -- sh -c "$*"; }

# expect WANTED GOT WHAT
expect() {
	[ "$1" = "$2" ] || { echo "$3: expected '$1', got '$2'" >&2; return 1; }
}

# status_of COMMAND...: sets STATUS instead of failing.
status_of() {
	STATUS=0
	"$@" || STATUS=$?
}

# reason_of COMMAND...: runs it with --json and sets STATUS and REASON (the end reason).
# The run's own arguments follow `immure run`.
reason_of() {
	STATUS=0
	run --json "$@" 2> "$WORK/json.err" > "$WORK/json.out" || STATUS=$?
	cat "$WORK/json.err"
	REASON=$(grep -o '"reason": *"[^"]*"' "$WORK/json.err" | tail -n 1 | cut -d'"' -f4)
}

# wait_for SECONDS COMMAND...: polls until it succeeds.
wait_for() {
	local until=$((SECONDS + $1))
	shift
	while ! "$@"; do
		[ $SECONDS -lt $until ] || { echo "never happened: $*" >&2; return 1; }
		sleep 0.2
	done
}

# pids NAME: the processes whose program is immure-NAME; a regular expression.  One look at all of
# /proc: a loop over it takes seconds where everything is emulated.
pids() {
	{ grep -lzxE "(.*/)?immure-($1)" /proc/[0-9]*/cmdline 2> /dev/null || true; } | cut -d/ -f3
}

# What immure may leave on a host: processes, cgroups, mounts, run directories.
leftovers() {
	pids 'jailer|vmm|blk|net|vsock' | sed 's/^/process of immure /'
	pgrep '^passt' | sed 's/^/passt /'
	find /sys/fs/cgroup -type d -path '*immure*/*' 2> /dev/null | sed 's/^/cgroup /'
	grep immure /proc/self/mounts | grep -v " $PWD" | sed 's/^/mount /'
	find "${RUN_PARENT:?}" -mindepth 1 2> /dev/null | sed 's/^/file /'
	find /sys/class/net -name 'made*' | sed 's/^/tap /'
}

nothing_left() {
	local left
	for _ in $(seq 50); do
		left=$(leftovers)
		[ -n "$left" ] || return 0
		sleep 0.2
	done
	echo "$left" >&2
	return 1
}

# refused PATTERN ARGS-OF-RUN...: immure refuses with status 125 and a message, leaving nothing.
refused() { # PATTERN ARGS-OF-RUN...
	local pattern=$1
	shift
	status_of timeout 400 "$IMMURE" run "$@" > "$WORK/bad.out" 2> "$WORK/bad.err"
	cat "$WORK/bad.err"
	expect 125 "$STATUS" "exit status"
	grep -qiE -- "$pattern" "$WORK/bad.err" || { echo "no '$pattern' in the error"; return 1; }
	nothing_left
}

# shellcheck shell=bash
# Jobs in the background of which nothing is left when their script returns, however it ends.
# For scripts that start emulated hosts:
#
#	trap end_jobs EXIT
#	trap 'exit 130' INT TERM
#	job COMMAND...		starts it in a session of its own; $! is its process and group
#	wait_job PID		its exit status; a signal's trap does not have to wait for it
#
# COMMAND is a program, not a function.

declare -A jobs_running=()
# Seconds that a job has for its own end, which may be the end of jobs of its own.
JOBS_PATIENCE=${JOBS_PATIENCE:-60}

job() {
	setsid "$@" < /dev/null &
	jobs_running[$!]=1
}

# job_lives PID: it, or a process of its group.  Before it has a group there is only itself.
job_lives() { kill -0 "$1" 2> /dev/null || kill -0 -- "-$1" 2> /dev/null; }

wait_job() {
	local status
	wait "$1"
	status=$?
	# As long as its group is there, nobody else can get the number.
	job_lives "$1" || unset "jobs_running[$1]"
	return $status
}

end_jobs() {
	local pid until=$((SECONDS + JOBS_PATIENCE))
	for pid in "${!jobs_running[@]}"; do
		kill -TERM "$pid" "-$pid" 2> /dev/null
	done
	for pid in "${!jobs_running[@]}"; do
		while job_lives "$pid" && [ $SECONDS -lt $until ]; do sleep 0.05; done
		kill -KILL "$pid" "-$pid" 2> /dev/null
		wait "$pid" 2> /dev/null
		unset "jobs_running[$pid]"
	done
}

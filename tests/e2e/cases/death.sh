# shellcheck shell=bash
# Processes of VMs that need no Linux guest, killed at random moments; the host has cgroup v2.

killed_at_random() { # ROUNDS
	"$BUILD/death/death" "$BUILD/bin" "$1" > "$WORK/death.log"
	grep -v '^#' "$WORK/death.log" | head -n 2 >&3
}

claim "any process killed at 60 random moments is named, and nothing is left" killed_at_random 60 3>&1

# shellcheck shell=bash
# The shortest way round: a guest boots, runs a command, hands back output and status.

round_trip() {
	expect "in 7" "$(printf in | run "$ROOTFS" -- sh -c 'cat; echo " 7"')" "output"
	status_of guest 'exit 7'
	expect 7 "$STATUS" "exit status"
}
claim "a command runs in an unmodified Debian kernel ($MODE)" round_trip

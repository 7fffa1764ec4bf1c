# shellcheck shell=bash
# The breakout suite on a kernel of its users: a few attempts of each with every wall, and with the filters
# left out all that something else must stop.  The whole of it takes hours in an emulated host.

no_way_out() {
	"$BUILD/escape/escape" "$BUILD/escape/bin" tests/escape/open-rows --sample > "$WORK/escape.log" || {
		cat "$WORK/escape.log"
		return 1
	}
	grep -E '^[0-9]+ (attempts|layers)\b' "$WORK/escape.log" | sed 's/^/# /' >&3
}

claim "no process breaks out, and what stops it without its filters is there" no_way_out 3>&1

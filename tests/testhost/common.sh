# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of the test host share: messages, the cache, one lock per job.

# Name of the script that sourced this file, for messages.
th_self=${0##*/}

# say TEXT...: one line of progress on stderr, so that stdout stays the command's own.
say() {
	printf 'testhost: %s\n' "$*" >&2
}

# die TEXT...: the test host itself failed. 125 is the status no command inside should use.
die() {
	say "$th_self: $*"
	exit 125
}

# The cache: kernels, initramfs images, the compiled agent. It only ever grows by whole,
# renamed files, so a reader never sees half of one.
th_cache() {
	local caches=${XDG_CACHE_HOME:-$HOME/.cache}
	printf '%s\n' "${IMMURE_TESTHOST_CACHE:-$caches/immure/testhost}"
}

# need PROGRAM PACKAGE: say what to install when a program is missing.
need() {
	command -v "$1" >/dev/null 2>&1 ||
		die "$1 not found: install package $2 (scripts/install-packages test)"
}

# th_compile ARGS...: how the test host's own programs are compiled.
th_compile() {
	gcc -std=gnu17 -O1 -D_FORTIFY_SOURCE=2 -Wall -Wextra -Werror "$@" ||
		die "cannot compile: ${*: -1}"
}

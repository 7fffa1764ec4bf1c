# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Packages of another Debian suite than the machine's, without a trace in the machine's own apt: resolved,
# downloaded and verified with a private state directory, from the mirror the machine uses.
# Whoever sources this has $cache, a directory, and say and die, which take a sentence.

# mirror ARCHIVE: base URI of that Debian archive (debian, debian-security) among the sources
# of this machine's apt.
mirror() {
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
		awk -v end="/$1/?\$" '$1 ~ end { print $1; exit }'
}

# apt_private SUITE: refresh a private package index below $cache/apt; sets apt_opts.
# shellcheck disable=SC2154 # cache: see above
apt_private() {
	local suite=$1 state=$cache/apt/$1 main security signed
	main=$(mirror debian)
	security=$(mirror debian-security)
	[ -n "$main" ] || die "no Debian mirror in apt's sources (see apt-get indextargets)"
	signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
	mkdir -p "$state/sources" "$state/lists/partial" "$state/cache/archives/partial"
	{
		echo "deb $signed $main $suite main"
		case $suite in
		*-backports) ;;
		*) [ -z "$security" ] || echo "deb $signed $security $suite-security main" ;;
		esac
	} >"$state/sources/private.list"
	# the machine's proxies and certificates stay, its hooks are for its own state
	printf '#clear %s;\n' APT::Update::Post-Invoke APT::Update::Post-Invoke-Success \
		>"$state/hooks"
	apt_opts=(-c "$state/hooks" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=true
		-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$state/sources"
		-o Dir::Etc::preferencesparts=/dev/null -o Dir::State::lists="$state/lists"
		-o Dir::Cache="$state/cache" -o Acquire::Languages=none -o Acquire::Retries=3)
	say "reading the package index of $suite from $main"
	apt-get -q=2 "${apt_opts[@]}" -o APT::Update::Error-Mode=any update >&2 ||
		die "apt cannot read $suite from $main: no network? (the cache is $cache)"
}

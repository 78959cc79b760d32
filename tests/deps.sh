#!/bin/bash
# Puts in place what nightferry needs to be built and tested on Debian 12.
#
#   tests/deps.sh [build] [demo] [test] [lint] [fuzz] [bench]      (no group: build test lint)
#
# Packages come by apt-get (as root, or by sudo where it asks for no password). No installed package is ever removed: the
# installation is simulated first, and a removal is an error. What cannot be installed beside our packages (libetpan-dev wants another
# libcurl; Cyrus, Courier and Dovecot exclude each other; nghttp2-proxy would start a service) is downloaded and unpacked into build/deps
# and never installed.
# Where everything is there already, nothing is done and no network is used.
set -euo pipefail
cd "$(dirname "$0")/.."
trees=build/deps

declare -A group=(
	[build]="gcc make pkg-config libssl-dev libcurl4-openssl-dev libsqlite3-dev libjansson-dev libgmime-3.0-dev
		libmicrohttpd-dev libsasl2-dev libsasl2-modules libidn-dev liblockfile-dev ca-certificates"
	[demo]="dovecot-imapd python3 openssl"
	[test]="dovecot-imapd python3 openssl libcmocka-dev python3-pytest python3-pytest-xdist python3-jsonschema procps util-linux strace binutils groff-base"
	[lint]="clang-format cppcheck"
	[fuzz]="clang libclang-rt-14-dev"
	[bench]="isync"
)
# Unpacked, not installed: the server and the libraries that a small machine lacks.
declare -A unpack=(
	[libetpan]="libetpan-dev"
	[cyrus]="cyrus-imapd cyrus-common sasl2-bin libclamav12 libmspack0 libical3 libxapian30 libzephyr4 libwrap0 libpq5 libpcre3
		libicu72 libxml2 libldap-2.5-0 libkrb5-3 libgssapi-krb5-2 libk5crypto3 libkrb5support0 libkeyutils1 libcom-err2 libjansson4"
	[courier]="courier-imap courier-base courier-authlib courier-authdaemon courier-authlib-userdb libcourier-unicode4 libgamin0
		libgdbm6 libidn12 libltdl7 libpcre3"
	[http2]="nghttp2-proxy libc-ares2 libev4 libjemalloc2"
)

say() { echo "deps: $*" >&2; }
fail() { say "$*"; exit 1; }

groups=("$@")
[ ${#groups[@]} -gt 0 ] || groups=(build test lint)
packages=()
wanted_trees=()
for g in "${groups[@]}"; do
	[ -n "${group[$g]:-}" ] || fail "unknown group '$g' (known: ${!group[*]})"
	# shellcheck disable=SC2206
	packages+=(${group[$g]})
	[ "$g" != build ] || wanted_trees+=(libetpan)
	[ "$g" != test ] || wanted_trees+=(cyrus courier http2)
done

missing=()
installed=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package} ' "${packages[@]}" 2>/dev/null || true)"
for p in "${packages[@]}"; do
	[[ "$installed" == *" ii $p "* ]] || missing+=("$p")
done

as_root=()
if [ "$(id -u)" != 0 ]; then
	if sudo -n true 2>/dev/null; then as_root=(sudo -n); else as_root=(no); fi
fi
updated=
update() { # the package lists, once a run, if we may
	[ -z "$updated" ] || return 0
	updated=yes
	[ "${as_root[*]}" = no ] || "${as_root[@]}" apt-get -q update >&2 || say "apt-get update failed; trying with the lists that are there"
}

install_packages() {
	local options=(-q -y --no-install-recommends -o Dpkg::Options::=--force-confold)
	local steps
	if [ "${as_root[*]}" = no ]; then
		say "these packages are missing, and installing them needs root:"
		fail "  apt-get install --no-install-recommends ${missing[*]}"
	fi
	update
	steps=$(apt-get -s "${options[@]}" install "${missing[@]}" 2>&1) || { echo "$steps" >&2; fail "apt-get cannot install: ${missing[*]}"; }
	if grep -q '^Remv ' <<<"$steps"; then
		grep '^Remv ' <<<"$steps" >&2
		fail "installing ${missing[*]} would remove the packages above; nothing was changed. Remove them yourself if you agree."
	fi
	say "installing ${missing[*]}"
	DEBIAN_FRONTEND=noninteractive "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get "${options[@]}" install "${missing[@]}" >&2
}

unpack_tree() { # NAME
	local name=$1 tree=$trees/$1 work
	if [ "$name" = libetpan ] && [ -f /usr/include/libetpan/libetpan.h ]; then
		return # the system's is used
	fi
	[ ! -f "$tree/.complete" ] || return 0
	update
	say "unpacking $name into $tree (not installed)"
	mkdir -p "$tree"
	work=$(mktemp -d)
	chmod 755 "$work"
	# shellcheck disable=SC2086
	(cd "$work" && apt-get -q -o APT::Sandbox::User="$(id -un)" download ${unpack[$name]} >"$work/log" 2>&1) ||
		{ cat "$work/log" >&2; rm -rf "$work"; fail "cannot download: ${unpack[$name]}"; }
	for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$tree"; done
	rm -rf "$work" "$tree"/usr/share/{doc,locale,man}
	touch "$tree/.complete"
}

[ ${#missing[@]} -eq 0 ] || install_packages
for t in "${wanted_trees[@]}"; do unpack_tree "$t"; done

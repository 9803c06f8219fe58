# shellcheck shell=sh
# What the build scripts share; sourced by them after `set -eu`.

# fail TEXT: one line on stderr, and the end
fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# begin_bundle OUTDIR: make the bundle's directory, which must not hold a bundle yet; sets $out, absolute
begin_bundle() {
	[ "$#" -ge 1 ] || fail "usage: build OUTDIR"
	[ ! -e "$1/config.json" ] || fail "$1 holds a bundle already; remove it or name another directory"
	mkdir -p "$1/rootfs"
	# shellcheck disable=SC2034  # the build scripts use it
	out=$(cd "$1" && pwd)
}

# busybox_rootfs DIR: a root file system that is one static program and a link for each of its names
busybox_rootfs() {
	busybox=$(command -v busybox) || fail "no busybox here; install it: apt install busybox-static"
	if ldd "$busybox" >/dev/null 2>&1; then
		fail "$busybox needs shared libraries, which the bundle has not; apt install busybox-static"
	fi
	empty_rootfs "$1"
	mkdir -p "$1/bin" "$1/etc" "$1/root"
	cp "$busybox" "$1/bin/busybox"
	for name in $("$busybox" --list); do
		[ "$name" = busybox ] || ln -s busybox "$1/bin/$name"
	done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
	echo 'root:x:0:' >"$1/etc/group"
}

# empty_rootfs DIR: only the directories that are mounted over
empty_rootfs() {
	mkdir -p "$1/proc" "$1/dev" "$1/sys" "$1/tmp"
}

# put_config FILE: the bundle's config.json, with @BUNDLE@ in it replaced by the bundle's directory
put_config() {
	case $out in
	*[\&\|\\\"]*) fail "this bundle cannot lie in $out: its name goes into config.json" ;;
	esac
	sed "s|@BUNDLE@|$out|g" "$1" >"$out/config.json"
}

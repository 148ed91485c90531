#!/usr/bin/env bash
# build-cross.sh - builds the x86_64-elf toolchain (binutils, and gcc for C with
# libgcc, no C library) from Debian's packages binutils-source and gcc-12-source.
# About half an hour on two cores.
#
#	PREFIX=$HOME/opt/cross   where it is installed; the Makefile looks there
#	WORK=/tmp/anyctx-cross   where it is built; removed at the end unless KEEP=1
#	JOBS=2
set -euo pipefail

TARGET=x86_64-elf
PREFIX=${PREFIX:-$HOME/opt/cross}
WORK=${WORK:-/tmp/anyctx-cross}
JOBS=${JOBS:-2}

say() { echo "build-cross: $*" >&2; }
die() {
	say "$*"
	exit 1
}

mkdir -p "$WORK" "$PREFIX"
export PATH="$PREFIX/bin:$PATH"

# step NAME COMMAND...: its output to a log, shown if it fails
step() {
	local name=$1
	shift
	say "$name"
	"$@" >"$WORK/$name.log" 2>&1 || {
		tail -n 30 "$WORK/$name.log" >&2
		die "$name failed: $WORK/$name.log"
	}
}

# ---- the sources, and what building them needs
gcc_package=$(apt-cache pkgnames gcc-1 2>/dev/null | grep -E '^gcc-1[0-9]-source$' | sort -V | grep -x gcc-12-source ||
	apt-cache pkgnames gcc-1 2>/dev/null | grep -E '^gcc-1[0-9]-source$' | sort -V | tail -n 1)
[ -n "$gcc_package" ] || die "apt knows no gcc-NN-source package: this wants Debian or Ubuntu, after apt-get update"
gcc_number=${gcc_package#gcc-}
gcc_number=${gcc_number%-source}
need=()
for package in binutils-source "$gcc_package" gcc g++ make bison flex libgmp-dev libmpfr-dev libmpc-dev \
	zlib1g-dev xz-utils bzip2 patch; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || need+=("$package")
done
if [ ${#need[@]} != 0 ]; then
	say "installing: ${need[*]}"
	sudo=""
	[ "$(id -u)" = 0 ] || sudo=sudo
	step apt-update $sudo apt-get -q update
	step apt-install $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${need[@]}"
fi

# unpack NAME ARCHIVES...: into $WORK/NAME, unless it is there
unpack() {
	local name=$1 archive
	shift
	[ -d "$WORK/$name" ] && return
	for archive in "$@"; do
		[ -e "$archive" ] || continue
		mkdir -p "$WORK/$name.tmp"
		tar -xf "$archive" -C "$WORK/$name.tmp" --strip-components=1
		mv "$WORK/$name.tmp" "$WORK/$name"
		return
	done
	die "no source archive among: $*"
}
unpack binutils /usr/src/binutils/binutils-*.tar.xz
unpack gcc /usr/src/gcc-"$gcc_number"/gcc-*.tar.*

# ---- binutils
mkdir -p "$WORK/build-binutils"
cd "$WORK/build-binutils"
step binutils-configure ../binutils/configure --target=$TARGET --prefix="$PREFIX" --with-sysroot \
	--disable-nls --disable-werror --disable-gdb --disable-gprofng
step binutils-make make -j"$JOBS" MAKEINFO=true
step binutils-install make install MAKEINFO=true

# ---- gcc: the compiler and libgcc
mkdir -p "$WORK/build-gcc"
cd "$WORK/build-gcc"
step gcc-configure ../gcc/configure --target=$TARGET --prefix="$PREFIX" --enable-languages=c \
	--without-headers --disable-nls --disable-shared --disable-threads --disable-libssp \
	--disable-libquadmath --disable-multilib --disable-bootstrap --with-system-zlib
step gcc-make make -j"$JOBS" MAKEINFO=true all-gcc
step libgcc-make make -j"$JOBS" MAKEINFO=true all-target-libgcc
# The manual's source is newer in this archive than what is made from it; without
# this, the install stops and asks for the manual to be compared by hand.
touch gcc/s-tm-texi
step gcc-install make install-gcc install-target-libgcc MAKEINFO=true

cd /
[ "${KEEP:-0}" = 1 ] || rm -rf "$WORK"
say "done: $("$PREFIX/bin/$TARGET-gcc" --version | head -n 1)"
say "the Makefile finds it in \$HOME/opt/cross or on PATH; else: CROSS_DIR=$PREFIX"

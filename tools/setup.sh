#!/usr/bin/env bash
# setup.sh - installs what building and running anyctx needs, and only what is
# missing, on Debian 12 and 13 and Ubuntu 22.04 and 24.04. Asks no questions.
#
#	tools/setup.sh                  install what is missing
#	tools/setup.sh --check [build]  only say what is missing (build: of what
#	                                compiling needs); status 1 if anything is
#	tools/setup.sh model            what checking the models needs, and no more
#	tools/setup.sh fuzz             what `make fuzz` needs besides: clang, AFL++
#	tools/setup.sh native           what make bench-native needs
#	tools/setup.sh valgrind         only Valgrind, for SAN=valgrind
#	tools/setup.sh mutants          also what `make mutants` needs
#
# Where the distribution's QEMU is unfit (tools/qemu-version.sh) a newer one is
# taken from Debian's backports of the same mirror that apt uses already. One named
# by QEMU= has to be fit: else nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/qemu-version.sh
. tools/qemu-version.sh

named=${QEMU:-}
QEMU=${QEMU:-qemu-system-x86_64}
scope=all
check=no
for arg in "$@"; do
	case $arg in
	--check) check=yes ;;
	build | all | model | fuzz | native | valgrind | mutants) scope=$arg ;;
	*)
		sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
		exit 1 ;;
	esac
done

say() { echo "setup: $*" >&2; }
die() {
	say "$*"
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
have_cross() { have x86_64-elf-gcc || [ -x "${CROSS_DIR:-${HOME:-/root}/opt/cross}/bin/x86_64-elf-gcc" ]; }
have_any() {
	local f
	for f in "$@"; do [ -e "$f" ] && return 0; done
	return 1
}
have_qemu() {
	local version
	version=$(qemu_version "$QEMU")
	[ -n "$version" ] && ! qemu_unfit "$version" >/dev/null
}

# The package with libFuzzer and the sanitizers: clang's own before it was split.
fuzzer_runtime() {
	if apt-cache show libclang-rt-dev >/dev/null 2>&1; then echo libclang-rt-dev; else echo clang; fi
}
# shellcheck disable=SC2086 # the name may be a pattern
have_lib() { have_any /usr/lib/x86_64-linux-gnu/$1 /usr/lib64/$1 /usr/lib/$1; }
# The first of these packages that apt knows: their names change with the release.
known() {
	local package
	for package in "$@"; do
		! apt-cache show "$package" >/dev/null 2>&1 || break
	done
	echo "$package"
}

# The packages that are missing, by what they are needed for, one a line.
missing_native() {
	have gcc || echo gcc
	have python3 || echo python3
	have_lib 'libmimalloc.so.[23]*' || known libmimalloc2.0 libmimalloc3
	have_lib libjemalloc.so.2 || echo libjemalloc2
	have_lib libtcmalloc_minimal.so.4 || known libtcmalloc-minimal4t64 libtcmalloc-minimal4
}
missing() {
	if [ "$scope" = model ]; then
		have gcc || echo gcc
		have python3 || echo python3
		have spin || echo spin
		return 0
	fi
	if [ "$scope" = fuzz ]; then
		have clang || echo clang
		have_any /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a || fuzzer_runtime
		have afl-clang-fast || echo afl++
		return 0
	fi
	[ "$scope" != native ] || {
		missing_native
		return 0
	}
	if [ "$scope" = valgrind ]; then
		have valgrind && have_any /usr/include/valgrind/memcheck.h || echo valgrind
		return 0
	fi
	have gcc || have_cross || echo gcc
	have objcopy || have_cross || echo binutils
	have nasm || echo nasm
	have xz || echo xz-utils
	have python3 || echo python3
	have xorriso || echo xorriso
	have grub-mkrescue || echo grub-common
	have_any /usr/lib/grub/i386-pc/moddep.lst || echo grub-pc-bin
	have_any /usr/lib/grub/x86_64-efi/moddep.lst || echo grub-efi-amd64-bin
	have mformat || echo mtools
	[ "$scope" != mutants ] || have patch || echo patch
	[ "$scope" != build ] || return 0
	# The process is the host's own: its compiler (the sanitizers come with it) and C library.
	have gcc || ! have_cross || echo gcc
	have_any /usr/include/stdio.h || echo libc6-dev
	have_any /usr/share/OVMF/OVMF_CODE*.fd /usr/share/ovmf/OVMF.fd || echo ovmf
	have_qemu || echo qemu-system-x86
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}
# apt-get, told in one line; all it says only if it fails.
apt() {
	local output
	say "apt-get $*"
	output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" 2>&1 </dev/null) || {
		printf '%s\n' "$output" | tail -n 40 >&2
		die "apt-get failed"
	}
}
install() { apt install --no-install-recommends "$@"; }

# Is there a fit QEMU among the packages apt knows by the given options?
candidate_fit() {
	local version
	version=$(apt-cache "$@" policy qemu-system-x86 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}//p')
	[ -n "$version" ] && [ "$version" != "(none)" ] && ! qemu_unfit "$version" >/dev/null
}

# The apt entries of suite $1, component main, rewritten for suite $2: the
# one-line form, or else the deb822 form with its keys and options kept.
derive_oneline() {
	{ cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true; } |
		awk -v suite="$1" -v new="$2" '
		$1 == "deb" {
			line = $0
			sub(/#.*/, "", line)
			options = ""
			if (match(line, /\[[^]]*\]/)) {
				options = substr(line, RSTART, RLENGTH) " "
				line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
			}
			split(line, w, " ")
			if (w[3] == suite) { print "deb " options w[2] " " new " main"; exit }
		}'
}
derive_deb822() {
	local file
	for file in /etc/apt/sources.list.d/*.sources; do
		[ -e "$file" ] || continue
		awk -v RS= -v suite="$1" -v new="$2" '
		{
			n = split($0, lines, "\n"); found = 0; enabled = 1; out = ""; field = ""
			for (i = 1; i <= n; i++) {
				line = lines[i]
				if (line ~ /^#/) continue
				if (line !~ /^[ \t]/) { field = tolower(line); sub(/:.*/, "", field) }
				if (field == "enabled" && tolower(line) ~ /no|false/) enabled = 0
				if (field == "suites") {
					words = line; sub(/^[^:]*:/, "", words)
					m = split(words, w, " ")
					for (j = 1; j <= m; j++) if (w[j] == suite) found = 1
				} else if (field != "components" && field != "types")
					out = out line "\n"
			}
			if (found && enabled) {
				printf "Types: deb\n%sSuites: %s\nComponents: main\n", out, new
				exit
			}
		}' "$file" | grep . && return 0
	done
	return 1
}

# Adds suite $2 of the mirror that serves suite $1.
add_suite() {
	local entry file tmp
	if entry=$(derive_deb822 "$1" "$2"); then
		file=/etc/apt/sources.list.d/anyctx-$2.sources
	elif entry=$(derive_oneline "$1" "$2") && [ -n "$entry" ]; then
		file=/etc/apt/sources.list.d/anyctx-$2.list
	else
		die "found no apt source for suite '$1' to derive '$2' from: add $2 to apt's sources by hand"
	fi
	say "adding $file:"
	printf '%s\n' "$entry" >&2
	tmp=$(mktemp)
	printf '# Added by tools/setup.sh of anyctx, for a fit QEMU.\n%s\n' "$entry" >"$tmp"
	as_root cp "$tmp" "$file"
	as_root chmod 644 "$file"
	rm -f "$tmp"
	apt update
}

install_qemu() {
	local backports
	# shellcheck disable=SC1091
	. /etc/os-release
	if candidate_fit; then
		install qemu-system-x86
		return
	fi
	case ${ID:-}:${VERSION_CODENAME:-} in
	debian:?*)
		backports=$VERSION_CODENAME-backports
		candidate_fit -t "$backports" || add_suite "$VERSION_CODENAME" "$backports"
		candidate_fit -t "$backports" || die "$backports has no fit QEMU either"
		install -t "$backports" qemu-system-x86 ;;
	ubuntu:jammy)
		# The Ubuntu Cloud Archive carries QEMU 8.2 for 22.04.
		install ubuntu-cloud-keyring
		echo "deb http://ubuntu-cloud.archive.canonical.com/ubuntu jammy-updates/caracal main" |
			as_root tee /etc/apt/sources.list.d/anyctx-cloud-archive.list >/dev/null
		apt update
		candidate_fit || die "the Ubuntu Cloud Archive has no fit QEMU"
		install qemu-system-x86 ;;
	*)
		die "no fit QEMU ($QEMU_OLDEST_SOUND or later) for ${PRETTY_NAME:-this system}: install one, or name it by QEMU=/path/qemu-system-x86_64" ;;
	esac
}

# One that was named is taken or refused; no other is installed in its place.
if [ -n "$named" ] && [ "$named" != qemu-system-x86_64 ] && [ "$scope" = all ] && ! have_qemu; then
	version=$(qemu_version "$QEMU")
	[ -n "$version" ] || die "QEMU=$QEMU does not run"
	die "QEMU=$QEMU: $(qemu_unfit "$version")"
fi

need=$(missing | tr '\n' ' ')
need=${need% }
if [ -z "$need" ]; then
	[ "$check$scope" != yesall ] || say "nothing is missing"
	exit 0
fi
say "missing: $need"
case " $need " in
*" qemu-system-x86 "*) have "$QEMU" && say "$(qemu_unfit "$(qemu_version "$QEMU")")" ;;
esac
[ "$check" = no ] || exit 1

have apt-get || die "no apt-get here: install by this system's means: $need"
if [ "$(id -u)" != 0 ]; then
	have sudo || die "neither root nor sudo: run as root: tools/setup.sh"
	as_root true || die "sudo asks for a password: run in a terminal, or as root: tools/setup.sh"
fi

apt update
others=()
for package in $need; do
	[ "$package" = qemu-system-x86 ] || others+=("$package")
done
[ ${#others[@]} = 0 ] || install "${others[@]}"
case " $need " in
*" qemu-system-x86 "*) install_qemu ;;
esac

need=$(missing | tr '\n' ' ')
[ -z "$need" ] || die "still missing: $need"
say "all there"

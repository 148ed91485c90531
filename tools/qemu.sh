#!/usr/bin/env bash
# qemu.sh - boots build/anyctx.iso in QEMU, the serial console on stdout and in a
# log, and says by its exit status how that went:
#
#	0    the kernel says it passed
#	1    the kernel says something failed
#	2    the kernel panicked
#	3    the machine reset (a triple fault), or QEMU was told to quit
#	4    QEMU could not run, or ended in an unknown way
#	124  no end within the time limit: a hang
#	130  interrupted (Ctrl-C)
#
# Settings come from the environment (or as NAME=value arguments):
#
#	SMP=4           CPUs; a list "1,2,16" boots one after the other
#	MEM=512M        memory
#	ARGS=""         kernel arguments, in place of the menu entry's
#	FIRMWARE=bios   or uefi
#	MACHINE=q35     or pc
#	CPU=max         CPU model
#	NUMA=""         "2": that many equal nodes; or a list of CPUS:MEM, one a
#	                node, either of which may be empty: "0-2:512M 3:" (sets MEM)
#	TIMEOUT=        seconds; 0 is none. Without: by SMP and ARGS; none for a shell
#	LOG=            file; without: build/logs/run-smpN.log
#	EXTRA=""        more options for QEMU
#	ACCEL=tcg,thread=multi
#	QEMU=qemu-system-x86_64, ISO=build/anyctx.iso
#	REPLAY=         "yes": one host thread, time by instructions, no disk: the same
#	                image and settings print the same, to the last byte
#	REPLAY_IMG=build/replay.img
#	ELF=            the symbols for gdb; without: anyctx.elf beside ISO
#
#	--debug         wait for gdb before the first instruction, and start gdb on
#	                a terminal (or with GDB_ARGS="-batch -ex ...")
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/qemu-version.sh
. tools/qemu-version.sh

debug=no
for arg in "$@"; do
	case $arg in
	--debug) debug=yes ;;
	SMP=* | MEM=* | ARGS=* | FIRMWARE=* | MACHINE=* | CPU=* | NUMA=* | TIMEOUT=* | LOG=* | EXTRA=* | ACCEL=* | QEMU=* | ISO=* | ELF=* | REPLAY=*)
		declare "$arg" ;;
	*)
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
		exit 4 ;;
	esac
done
SMP=${SMP:-4} MEM=${MEM:-512M} ARGS=${ARGS:-} FIRMWARE=${FIRMWARE:-bios} MACHINE=${MACHINE:-q35}
CPU=${CPU:-max} NUMA=${NUMA:-} TIMEOUT=${TIMEOUT:-} LOG=${LOG:-} EXTRA=${EXTRA:-}
ACCEL=${ACCEL:-tcg,thread=multi} QEMU=${QEMU:-qemu-system-x86_64} ISO=${ISO:-build/anyctx.iso}
REPLAY=${REPLAY:-} REPLAY_IMG=${REPLAY_IMG:-build/replay.img}
ELF=${ELF:-$(dirname "$ISO")/anyctx.elf} GDB_ARGS=${GDB_ARGS:-} GDB_PORT=${GDB_PORT:-1234}

say() { echo "qemu.sh: $*" >&2; }
die() {
	say "$*"
	exit 4
}

[[ $MEM =~ ^[1-9][0-9]*[mMgG]?$ ]] || die "MEM=$MEM: not a size of memory, such as 512M or 2G"
[[ $TIMEOUT =~ ^[0-9]*$ ]] || die "TIMEOUT=$TIMEOUT: not a number of seconds (0: no limit)"

# ---- a list of SMP values: one boot each, whatever the others did
if [[ $SMP == *,* ]]; then
	failed=""
	for n in ${SMP//,/ }; do
		say "---- SMP=$n ----"
		SMP=$n MEM=$MEM ARGS=$ARGS FIRMWARE=$FIRMWARE MACHINE=$MACHINE CPU=$CPU NUMA=$NUMA TIMEOUT=$TIMEOUT \
			LOG="" EXTRA=$EXTRA ACCEL=$ACCEL QEMU=$QEMU ISO=$ISO REPLAY=$REPLAY tools/qemu.sh || {
			[ $? != 130 ] || exit 130
			failed="$failed $n"
		}
	done
	[ -z "$failed" ] || { say "failed with SMP =$failed"; exit 1; }
	say "all passed: SMP=$SMP"
	exit 0
fi
[[ $SMP =~ ^[1-9][0-9]*$ ]] || die "SMP=$SMP: not a number of CPUs"

# ---- a fit QEMU
version=$(qemu_version "$QEMU")
[ -n "$version" ] || die "$QEMU does not run; tools/setup.sh installs it"
if reason=$(qemu_unfit "$version"); then
	say "$reason"
	die "tools/setup.sh fetches a sound one (or name one: QEMU=/path/qemu-system-x86_64)"
fi
[ -r "$ISO" ] || die "no $ISO: make iso"
[ -z "$REPLAY" ] || [ -r "$REPLAY_IMG" ] || die "no $REPLAY_IMG: make replay builds it"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- firmware
case $FIRMWARE in
bios) firmware=() ;;
uefi)
	firmware=()
	for size in _4M ""; do
		code=/usr/share/OVMF/OVMF_CODE$size.fd
		vars=/usr/share/OVMF/OVMF_VARS$size.fd
		if [ ! -r "$code" ] || [ ! -r "$vars" ]; then continue; fi
		cp "$vars" "$work/vars.fd"
		firmware=(-drive "if=pflash,format=raw,unit=0,readonly=on,file=$code"
			-drive "if=pflash,format=raw,unit=1,file=$work/vars.fd")
		break
	done
	if [ ${#firmware[@]} = 0 ]; then
		[ -r /usr/share/ovmf/OVMF.fd ] || die "no OVMF found; tools/setup.sh installs it"
		firmware=(-bios /usr/share/ovmf/OVMF.fd)
	fi ;;
*) die "FIRMWARE=$FIRMWARE: bios or uefi" ;;
esac

# ---- memory, in MiB, and NUMA nodes
mib() {
	case $1 in
	*[gG]) echo $((${1%?} * 1024)) ;;
	*[mM]) echo "${1%?}" ;;
	*) echo "$1" ;;
	esac
}
numa=()
if [[ $NUMA =~ ^[0-9]+$ ]]; then # equal nodes
	if [ "$NUMA" -lt 1 ] || [ "$NUMA" -gt "$SMP" ]; then die "NUMA=$NUMA with SMP=$SMP"; fi
	nodes=""
	for ((i = 0; i < NUMA; i++)); do
		nodes+=" $((i * SMP / NUMA))-$(((i + 1) * SMP / NUMA - 1)):$(($(mib "$MEM") / NUMA))M"
	done
	NUMA=$nodes
fi
node=0
total=0
for spec in $NUMA; do
	[[ $spec =~ ^([0-9]+(-[0-9]+)?)?:([0-9]+[mMgG]?)?$ ]] || die "NUMA: '$spec' is not CPUS:MEM"
	cpus=${BASH_REMATCH[1]} size=${BASH_REMATCH[3]}
	option="node,nodeid=$node"
	[ -z "$cpus" ] || option+=",cpus=$cpus"
	if [ -n "$size" ]; then
		numa+=(-object "memory-backend-ram,id=node$node,size=$(mib "$size")M")
		option+=",memdev=node$node"
		total=$((total + $(mib "$size")))
	fi
	numa+=(-numa "$option")
	node=$((node + 1))
done
for ((i = 0; i < node; i++)); do
	for ((j = 0; j < node; j++)); do
		[ $i = $j ] || numa+=(-numa "dist,src=$i,dst=$j,val=$((20 + 10 * (i > j ? i - j - 1 : j - i - 1)))")
	done
done
[ $total = 0 ] || MEM=${total}M
[[ $MEM =~ ^[0-9]+$ ]] && MEM=${MEM}M

# ---- time limit, log, console
shell=no
[[ " $ARGS " =~ \ shell(=1)?\  ]] && shell=yes
if [ -z "$TIMEOUT" ]; then
	seconds=10
	[[ " $ARGS " =~ \ seconds=([0-9]+)\  ]] && seconds=${BASH_REMATCH[1]}
	TIMEOUT=$((120 + 4 * SMP + 3 * seconds))
	[ -z "$REPLAY" ] || TIMEOUT=$((120 + 8 * SMP + 60 * seconds))
	if [ $debug = yes ] || { [ $shell = yes ] && [ -t 0 ]; }; then TIMEOUT=0; fi
fi
LOG=${LOG:-build/logs/run-smp$SMP.log}
mkdir -p "$(dirname "$LOG")"
rm -f "$LOG" "$LOG.reset"

# A disk answers when the host likes, and so may whoever reads the console: a replay
# boots from memory and writes to a file.
if [ -n "$REPLAY" ]; then
	ACCEL=tcg,thread=single
	boot=(-kernel "$REPLAY_IMG" -icount "shift=0,sleep=off" -seed 1 -rtc "base=2026-01-01,clock=vm")
	console=(-serial "file:$LOG" -monitor none)
else
	boot=(-cdrom "$ISO" -smbios "type=1,serial=anyctx-at-once")
	console=(-chardev "stdio,id=console,mux=on,signal=on,logfile=$LOG"
		-serial chardev:console -mon chardev=console)
fi
args=(-machine "$MACHINE" -cpu "$CPU" -accel "$ACCEL" -smp "$SMP" -m "$MEM"
	"${numa[@]}" "${firmware[@]}" "${boot[@]}" -display none -nic none -no-reboot
	-device "isa-debug-exit,iobase=0xf4,iosize=0x04" "${console[@]}"
	-d cpu_reset -D "$LOG.reset")
[ -z "$ARGS" ] || args+=(-fw_cfg "name=opt/anyctx/cmdline,string=${ARGS//,/,,}")
# shellcheck disable=SC2206  # EXTRA holds words
args+=($EXTRA)

# ---- gdb
if [ $debug = yes ]; then
	args+=(-gdb "tcp:127.0.0.1:$GDB_PORT" -S)
	# shellcheck disable=SC2054  # no array elements, gdb's words
	gdb_start=(-q "$ELF" -ex "target remote 127.0.0.1:$GDB_PORT")
	if command -v gdb >/dev/null && { [ -n "$GDB_ARGS" ] || [ -t 0 ]; }; then
		say "the console goes to $LOG; in gdb: break kernel_main, continue"
		setsid "$QEMU" "${args[@]}" </dev/null >/dev/null 2>"$work/errors" &
		pid=$!
		trap 'kill $pid 2>/dev/null || true; rm -rf "$work"' EXIT
		trap '' INT
		for ((i = 0; i < 50; i++)); do
			[ -e "$LOG" ] && break
			sleep 0.1
		done
		sleep 0.3
		# shellcheck disable=SC2086
		eval "gdb $(printf '%q ' "${gdb_start[@]}") $GDB_ARGS" || exit 4
		cat "$work/errors" >&2
		exit 0
	fi
	say "stopped before the first instruction; in another terminal:"
	say "    gdb $ELF -ex 'target remote 127.0.0.1:$GDB_PORT' -ex 'break kernel_main' -ex continue"
fi

# ---- run
if [ $shell = yes ] || [ $debug = yes ]; then
	[ ! -t 0 ] || say "Ctrl-C ends QEMU; Ctrl-A C switches to its monitor and back"
	exec 3<&0
else
	exec 3</dev/null
fi
interrupted=no
trap interrupted=yes INT
status=0
timeout --foreground -k 5 "$TIMEOUT" "$QEMU" "${args[@]}" <&3 || status=$?
[ -z "$REPLAY" ] || [ ! -r "$LOG" ] || cat "$LOG"
[ $interrupted = no ] || { say "interrupted"; exit 130; }
case $status in
33) say "passed (QEMU status 33)"; exit 0 ;;
35) say "FAILED: the kernel reports a failure (QEMU status 35; log: $LOG)"; exit 1 ;;
37) say "PANIC: the kernel panicked (QEMU status 37; log: $LOG)"; exit 2 ;;
124 | 137) say "HANG: no end within $TIMEOUT s (log: $LOG)"; exit 124 ;;
130 | 143) say "QEMU was stopped by a signal"; exit 130 ;;
0)
	if grep -qi 'triple fault' "$LOG.reset" 2>/dev/null; then
		say "TRIPLE FAULT: registers in $LOG.reset (log: $LOG)"
	elif [ $shell = yes ]; then
		say "the machine was rebooted or QEMU told to quit"
		exit 0
	else
		say "RESET: the machine reset or QEMU was told to quit, without a verdict (log: $LOG)"
	fi
	exit 3 ;;
*) die "QEMU ended with status $status, which means nothing here (log: $LOG)" ;;
esac

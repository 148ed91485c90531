# shellcheck shell=bash
# qemu-version.sh - which QEMU is fit to run anyctx. Sourced by setup.sh and qemu.sh.
#
# Before 8.0, TCG's cmpxchg16b was a helper that computed RFLAGS from a stale
# condition-code state: it leaves garbage in RFLAGS (TF, AC, IOPL...), and the
# next interrupt frame pushes that. Seen on 7.2; 8.0 replaced the helper by
# inline code. The kernel tests the instruction itself, early in its boot, so a
# bad emulator that this list does not know is named there.

QEMU_OLDEST_SOUND=8.0
QEMU_KNOWN_BAD=""  # later versions found bad, as shell patterns: "9.9.* 10.7.1"

# The version of a QEMU binary, "10.0.2"; nothing if it does not run.
qemu_version() {
	{ "$1" --version 2>/dev/null || true; } | sed -n 's/.*version \([0-9][0-9.]*\).*/\1/p' | head -n 1
}

# qemu_unfit VERSION: says why it is unfit and returns 0, or returns 1.
qemu_unfit() {
	local version=${1%%[!0-9.]*} pattern oldest
	oldest=$(printf '%s\n' "$version" "$QEMU_OLDEST_SOUND" | sort -V | head -n 1)
	if [ "$oldest" != "$QEMU_OLDEST_SOUND" ]; then
		echo "QEMU $version has a broken cmpxchg16b (it corrupts RFLAGS); $QEMU_OLDEST_SOUND and later are sound"
		return 0
	fi
	for pattern in $QEMU_KNOWN_BAD; do
		# shellcheck disable=SC2254  # a pattern it is
		case $version in
		$pattern)
			echo "QEMU $version is known to be unfit ($pattern)"
			return 0 ;;
		esac
	done
	return 1
}

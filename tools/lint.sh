#!/usr/bin/env bash
# lint.sh - checks of the sources beyond what the compiler refuses: scripts,
# white space, who may include whom, and (where installed) shellcheck and cppcheck.
# A compile of everything with warnings as errors comes first. Status 1 if
# anything is wrong; what is only reported says so.
set -euo pipefail
cd "$(dirname "$0")/.."

bad=0
complain() {
	echo "lint: $*" >&2
	bad=1
}
have() { command -v "$1" >/dev/null 2>&1; }

mapfile -t c_files < <(git ls-files --cached --others --exclude-standard -- '*.c' '*.h')
mapfile -t asm_files < <(git ls-files --cached --others --exclude-standard -- '*.asm' '*.inc')
mapfile -t shell_files < <(git ls-files --cached --others --exclude-standard -- 'tools/*.sh' .ci/run)
mapfile -t python_files < <(git ls-files --cached --others --exclude-standard -- '*.py')
mapfile -t text_files < <(git ls-files --cached --others --exclude-standard -- Makefile linker.ld '*.ld' '*.cfg' '*.md')

# ---- the compiler
make --no-print-directory all CROSS="${CROSS-}" || complain "the build fails"

# ---- each header compiles on its own
for header in "${c_files[@]}"; do
	[[ $header == *.h ]] || continue
	"${CROSS-}gcc" -std=gnu11 -ffreestanding -fsyntax-only -Wall -Wextra -Werror -mgeneral-regs-only -mcx16 -fno-pic -fno-pie \
		-mcmodel=kernel -I. -Iinclude -Iarch/x86_64/include -include "$header" -x c /dev/null ||
		complain "$header does not compile on its own"
done

# ---- layers: includes FILES ALLOWED: quoted and angled includes of the project
includes() {
	local allowed=$1 file line
	shift
	for file in "$@"; do
		[ -e "$file" ] || continue
		while read -r line; do
			[[ $line =~ $allowed ]] || complain "$file includes $line, which its layer may not"
		done < <(sed -n 's/^[ \t]*#[ \t]*include[ \t]*[<"]\([^>"]*\)[>"].*/\1/p' "$file" |
			grep -E '^(anyctx|arch|kernel|mm|lib|tests|bench|boot)/|^[a-z0-9_]+\.h$' || true)
	done
}
std='std(arg|bool|def|int)\.h'
includes "^(anyctx/types\.h|lib/.*|kernel/printk\.h|string\.h|$std)\$" lib/*.c lib/*.h
includes "^(anyctx/.*|arch/.*|lib/.*|mm/.*|internal\.h|early\.h|kernel/(printk|panic|context|cmdline|rcu)\.h|$std)\$" mm/*.c mm/*.h
includes "^(anyctx/.*|arch/(cpu|debug|insn)\.h|kernel/.*|lib/.*|mm/.*|bench/.*|tests/(step|ballast)\.h|$std)\$" bench/*.c bench/*.h
includes "^(anyctx/.*|arch/.*|$std)\$" include/anyctx/*.h arch/x86_64/include/arch/*.h

# ---- white space, and a purpose at the top
for file in "${c_files[@]}" "${asm_files[@]}" "${shell_files[@]}" "${python_files[@]}" "${text_files[@]}"; do
	[ -s "$file" ] || continue
	! grep -nE '[ 	]+$' "$file" /dev/null || complain "$file: white space at the end of a line"
	[ -z "$(tail -c 1 "$file")" ] || complain "$file: no newline at its end"
done
for file in "${c_files[@]}" "${asm_files[@]}"; do
	head -n 3 "$file" | grep -qF "$(basename "$file")" || complain "$file does not open with its name and purpose"
done

# ---- what differs from Linux is told of every public call
python3 tools/check-differences.py || complain "docs/differences.md"

# ---- and each kernel argument has its row
python3 tools/check-arguments.py || complain "the kernel arguments in docs/building.md"

# ---- scripts
if have shellcheck; then
	shellcheck -x "${shell_files[@]}" || complain "shellcheck"
else
	echo "lint: no shellcheck here, left out"
fi
for file in "${python_files[@]}"; do
	python3 - "$file" <<<'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' || complain "$file"
done

# ---- the deliberate bugs apply to the tree as it is
if have patch; then
	python3 tools/mutants.py --check || complain "tests/mutants"
else
	echo "lint: no patch here, tests/mutants left out"
fi

# ---- cppcheck
run_cppcheck() {
	cppcheck --quiet --std=c11 --platform=unix64 --enable=warning,portability --error-exitcode=1 \
		--inline-suppr --suppress=missingInclude --suppress=missingIncludeSystem --suppress=unknownMacro \
		--suppress='legacyUninitvar:*/arch/local.h' --suppress='legacyUninitvar:*/arch/frame.h' --suppress=internalAstError --suppress=comparePointers --suppress=subtractPointers \
		--template='{file}:{line}: {severity}: {message} [{id}]' -D__x86_64__ -I. -Iinclude "$@"
}
if have cppcheck; then
	run_cppcheck --suppress='*:tests/ubsan/ubsan.c' -Iarch/x86_64/include arch/x86_64 kernel mm lib tests bench || complain "cppcheck"
	run_cppcheck -Iarch/hosted/include -Iarch/x86_64/include arch/hosted fuzz || complain "cppcheck of arch/hosted and fuzz"
else
	echo "lint: no cppcheck here, left out"
fi

# ---- for information: size by directory, long files, long lines
echo "lint: lines by directory"
for dir in boot arch kernel mm lib include tests bench fuzz tools; do
	n=$(git ls-files --cached --others --exclude-standard -- "$dir" | while read -r f; do cat "$f"; done 2>/dev/null | wc -l)
	printf '    %-8s %6d\n' "$dir" "$n"
done
for file in "${c_files[@]}" "${asm_files[@]}"; do
	n=$(wc -l <"$file")
	[ "$n" -le 800 ] || echo "lint: $file is long: $n lines (reported only)"
	n=$(expand "$file" | awk 'length > 110 { n++ } END { print n + 0 }')
	[ "$n" = 0 ] || echo "lint: $file: $n lines over 110 columns (reported only)"
done

[ "$bad" = 0 ] && echo "lint: nothing wrong"
exit "$bad"

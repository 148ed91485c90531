"""presets.py - the variants of the kernel that the matrix runs, and what it runs of each.

A preset is a line in PRESETS: a build (CONFIG=, config/NAME.mk), kernel arguments, a machine, or
some of these. Each is booted on 1, 2 and 4 CPUs and runs the cases of tests/matrix.c, one for
each context; presets whose allocation and free are other code run the injection sweep as well, a
nested call at every instruction. tools/run-tests.py boots them (--matrix, make test-matrix) and
prints the table: preset by CPUs by context, with the milliseconds.
"""
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent
CPUS = (1, 2, 4)
CONTEXTS = ("thread", "irq_off", "irq", "nmi", "breakpoint")  # the cases of tests/matrix.c


def any_machine(smp):
    return {}


def no_cx16(smp):
    return {"CPU": "max,-cx16"}


def memoryless(smp):
    """Nodes, of which the last CPU's has no memory; for one CPU two others."""
    return {"NUMA": {1: "0: :256M :256M", 2: "0:512M 1:"}.get(smp, f"0-{smp - 2}:512M {smp - 1}:")}


@dataclass(frozen=True)
class Preset:
    name: str
    config: str = ""     # the build; "": the default one
    args: str = ""       # kernel arguments
    machine: Callable = any_machine
    tests: str = "matrix.*"
    sweep: str = ""      # "full": its calls are other code, swept at every instruction; "cut": by samples, as it is slow;
                         # or the cases that do it
    slow: int = 1        # times as long as the default may take
    cpus: int = 64       # that it uses at most


PRESETS = (
    Preset("default", sweep="full"),
    Preset("debug", args="slab_debug=FZPU", sweep="cut", slow=4),
    Preset("hardened", config="hardened", sweep="cut", slow=2),
    Preset("kasan", config="kasan", sweep="cut", slow=6),
    Preset("lockdep", config="lockdep", sweep="cut", slow=3),
    Preset("rt", config="rt", tests="matrix.*,hotplug.*", sweep="full", slow=2),
    Preset("tiny", config="tiny", sweep="full"),
    Preset("up", config="up", sweep="full", cpus=1),
    Preset("no-cx16", machine=no_cx16),
    Preset("memcg", tests="matrix_memcg.*", sweep="inject.memcg*", slow=2),
    Preset("numa", machine=memoryless, sweep="inject.node*,inject.alloc_node inject_full=1"),
)


def arguments_known():
    """The kernel arguments there are: KPARAM_...(variable, "name", ...)."""
    sources = [p for d in ("arch", "kernel", "mm", "tests") for p in (ROOT / d).rglob("*.c")]
    return {name for p in sources for name in re.findall(r'KPARAM_\w+\([^"\n]*"(\w+)"', p.read_text(errors="replace"))}


def present():
    """Those that this tree has: their build's settings, and all their arguments. A build without
    a line is a preset as well."""
    known, builds = arguments_known(), {p.stem for p in (ROOT / "config").glob("*.mk")}
    listed = [p for p in PRESETS if (not p.config or p.config in builds)
              and all(word.split("=")[0] in known for word in p.args.split())]
    return listed + [Preset(b, config=b, sweep="cut", slow=6) for b in sorted(builds - {p.config for p in PRESETS})]


def has_replay(config):
    """Does the build of that name, with its tests, have an image that a clock by instructions can boot?"""
    return not config or "CONFIG_NO_REPLAY" not in (ROOT / "config" / f"{config}.mk").read_text()


def directory(config, tests=True):
    """Where make puts a build; tests: it has its test cases."""
    return "build" + (f"/{config}" if config else "") + ("" if tests else "/bench-only")


def images(config, tests=True):
    """What tools/qemu.sh is told of a build."""
    build = directory(config, tests)
    return {"ISO": f"{build}/anyctx.iso", "REPLAY_IMG": f"{build}/replay.img"} if config or not tests else {}


def runs(full, cut, only=None):
    """(name, seconds, kernel arguments, machine) of each boot; cut: 2 CPUs, and no full sweep. only: of one build."""
    todo = []
    for p in present():
        if only is not None and p.config != only:
            continue
        for smp in (2,) if cut else CPUS:
            machine = {"SMP": smp} | p.machine(smp) | images(p.config)
            todo.append((f"matrix-{p.name}-smp{smp}", 300 * p.slow, f"test={p.tests} {p.args}".strip(), machine))
        if p.sweep and not cut:
            sweep = {"full": full, "cut": full.replace(" inject_full=1", "")}.get(p.sweep, f"test={p.sweep}")
            machine = {"SMP": 1} | p.machine(1) | images(p.config)
            todo.append((f"sweep-{p.name}", 900 * p.slow, f"{sweep} {p.args}".strip(), machine))
    return todo


# ---- the table ----

ROW = re.compile(r"^matrix-(.+)-smp(\d+)$")
MS = re.compile(r"^  # (\d+) ms$")
CASE = re.compile(r"^  (ok|not ok) \d+ (\w+)( # SKIP)?")


def cells(text):
    """{context: "ms", "FAIL" or "skip"} of a boot's console."""
    found, ms = {}, "?"
    for line in text.splitlines():
        time, case = MS.match(line), CASE.match(line)
        if time:
            ms = time[1]
        if case and case[2] in CONTEXTS:
            found[case[2]] = "FAIL" if case[1] != "ok" else "skip" if case[3] else ms
    return found


def table(results):
    """results: (boot's name, passed, console, seconds). Lines for people."""
    rows = [(m[1], m[2], passed, cells(text), seconds) for name, passed, text, seconds in results
            for m in [ROW.match(name)] if m]
    sweeps = {name[len("sweep-"):]: (passed, seconds) for name, passed, _, seconds in results if name.startswith("sweep-")}
    if not rows:
        return []
    lines = ["", "milliseconds by preset, CPUs and context; sweep: a nested call at each instruction of each call, seconds",
             f"{'preset':12} {'CPUs':>4}" + "".join(f" {c:>10}" for c in CONTEXTS) + f" {'boot':>8} {'sweep':>8}"]
    for name, smp, passed, found, seconds in rows:
        swept = sweeps.get(name) if smp == "1" else None
        end = "" if not swept else f"{swept[1]:.0f} s" if swept[0] else "FAIL"
        lines.append(f"{name:12} {smp:>4}" + "".join(f" {found.get(c, 'FAIL'):>10}" for c in CONTEXTS)
                     + f" {'ok' if passed else 'FAIL':>8} {end:>8}")
    return lines

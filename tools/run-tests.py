#!/usr/bin/env python3
"""run-tests.py - boots the ISO on many machines and judges what each boot says.

Four kinds of boot, each a line in boots() below:

  suite    runs the kernel's test cases; the KTAP on the console is parsed
  job      runs the main job; the figures at its end are checked
  outcome  provokes an end (a panic, a hang, ...) and checks that it is told
           apart: the exit status of tools/qemu.sh and words in the log
  replay   the main job twice with the same seed, under a clock that counts
           instructions: all of the console has to be the same; and once with
           another seed, which has to differ

A boot passes only if the kernel's own exit status says so AND its report is
complete AND it booted exactly once; nothing is tried twice. tools/test-judge.py
tests the judges. The last line is
"N passed, N failed", counting cases, jobs and outcomes; the status is 0 only if
none failed. Logs stay in build/logs/.

  run-tests.py                 the default machines
  run-tests.py --long          more machines, longer runs
  run-tests.py --only PATTERN  the boots whose name matches
  run-tests.py --list          their names
  run-tests.py --hosted COMMAND  suites and jobs of the program that is a process
  run-tests.py --matrix        every preset (tools/presets.py) on 1, 2 and 4 CPUs in each
                               context; --preset NAME: one build's matrix, suites and job
With T, SMP, MEM, ARGS, FIRMWARE, NUMA, MACHINE or CPU in the environment: only
the test cases that match T ("suite.case,suite.*"), on that machine, in TIMEOUT seconds
(0: no limit). With --hosted T, SMP, ARGS and TIMEOUT count. TIMEOUT alone asks for nothing
and changes no limit: each boot of a matrix has its own.
"""
import argparse
import fnmatch
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import presets

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "logs"
REPLAY_MARK = "\n==== next run ====\n"
TAIL = 60  # lines of the log shown for what failed

# Exit statuses of tools/qemu.sh.
PASS, FAIL, PANIC, RESET, NO_QEMU, HANG = 0, 1, 2, 3, 4, 124
STATUS_NAMES = {PASS: "passed", FAIL: "failed", PANIC: "panic", RESET: "reset or triple fault",
                NO_QEMU: "QEMU did not run", HANG: "hang: no end within the limit"}


@dataclass
class Boot:
    name: str
    kind: str  # suite, job, outcome, replay
    args: str
    timeout: int
    machine: dict = field(default_factory=dict)  # SMP, MEM, FIRMWARE, NUMA, CPU, MACHINE, QEMU; HOSTED: a command
    statuses: tuple = (PASS,)   # outcome: the statuses that are right
    expect: tuple = ()          # outcome, suite: regular expressions that must be in the log
    check: object = None        # outcome: a function of the log, which returns what is wrong
    nmi_floor: int = 0          # job: NMI operations in all

    @property
    def smp(self):
        return int(self.machine.get("SMP", 4))


def suite(name, timeout, args="test=*", **machine):
    return Boot("suite-" + name, "suite", args, timeout, machine)


def told(name, timeout, line, args, **machine):
    """A suite whose console has to hold this line."""
    return Boot("suite-" + name, "suite", args, timeout, machine, expect=(line,))


def exact(name, timeout, args):
    """NMIs at every instruction: where a tick is one, and the tests have seen that it is."""
    return Boot("suite-" + name, "suite", args, timeout, {"SMP": 1, "REPLAY": "yes"},
                expect=(r"every instruction", r"\A((?!\(a sample\))[\s\S])*\Z"))


def job(name, timeout, seconds, nmi_floor=0, args="", **machine):
    return Boot("job-" + name, "job", f"seconds={seconds} {args}".strip(), timeout, machine, nmi_floor=nmi_floor)


# The calls that allocate and free, in every state at every instruction with every nested call.
FULL = ("test=inject.alloc*,inject.free*,inject.page*,inject.order*,inject.kmalloc*,inject.serve,inject.trim,"
        "inject.close,inject.flush,inject.last_object,inject.table inject_full=1 inject_deep=20")


def million():
    """A million allocations in NMIs that interrupted the allocator, on two CPUs."""
    return job("million", 1500, 10, args="nmi_inside=1000000", SMP=2)


# The main job with failures injected: in refills, while everybody caches; and in all calls.
FAIL_REFILLS = "fail_at_hand=0 failslab_ppm=20000 fail_page_ppm=200000 fail_seed=11"
FAIL_ALL = "failslab_ppm=50000 fail_page_ppm=50000 fail_seed=12"


def matrix(full, only=None):
    """The presets' boots, suites all of them."""
    return [Boot(name, "suite", args, timeout, machine) for name, timeout, args, machine in presets.runs(FULL, not full, only)]


def preset_boots(config):
    """All suites and the job of one build, as the kernel and as a process, and its part of the matrix."""
    preset = next((p for p in presets.PRESETS if p.config == config), presets.Preset(config, config))
    given = presets.images(config)
    program = f"build/{config}/hosted/anyctx"
    todo = [suite(f"{config}-smp{n}", 400 * preset.slow, SMP=n, **given) for n in presets.CPUS]
    todo.append(job(f"{config}-smp2", 300 * preset.slow, 3, SMP=min(2, preset.cpus), **given))
    if preset.cpus > 1:
        todo.append(job(f"{config}-hotplug", 300 * preset.slow, 3, args="hotplug=50", SMP=4, **given))
    todo += matrix(True, config)
    if (ROOT / program).exists():
        cpus = min(4, preset.cpus)
        todo.append(suite(f"{config}-hosted", 600 * preset.slow, fast(program), SMP=cpus, HOSTED=program))
        todo.append(job(f"{config}-hosted", 300 * preset.slow, 3, SMP=cpus, HOSTED=program))
    return todo


def outcome(name, args, statuses, expect, timeout=90, check=None, **machine):
    machine.setdefault("SMP", 2)
    return Boot("outcome-" + name, "outcome", args, timeout, machine, tuple(statuses), tuple(expect), check)


# A panic of crash_context.c: what the allocator's walk found before it, and what its counters told in it.
TOLD_BEFORE = r"^walk: (\d+) pages free, (\d+) of them private; in slabs (\d+), in kmalloc blocks (\d+), in page blocks (\d+)$"
TOLD_AFTER = (r"^memory: \d+ pages managed \(\d+ MiB\), (\d+) free, (\d+) of them private to a CPU\n"
              r"  pages in slabs (\d+), in kmalloc blocks (\d+), in page blocks (\d+)$")


def panic_figures(text, slack):
    """Each figure of pages is at most that far from the walk's; with 0, so are those of slabs and objects."""
    before, after = re.findall(TOLD_BEFORE, text, re.M), re.findall(TOLD_AFTER, text, re.M)
    used = re.findall(r"^crash: (\d+) objects are in use$", text, re.M)
    out = re.findall(r"^walk: (\d+) objects are not in their slabs$", text, re.M)
    kept = re.findall(r"^  CPU \d+ keeps (\d+) pages, (\d+) objects, 0 frees for later; in hand: \d+ slabs", text, re.M)
    if not (len(before) == len(after) == len(used) == len(out) == 1 and kept):
        return ["the allocator's figures are not told, or not once"]
    before, after = [[int(n) for n in row[0]] for row in (before, after)]
    problems = []
    if not all(before[i] for i in (0, 2, 3, 4)) or any(abs(a - b) > slack for a, b in zip(before, after)):
        problems.append(f"pages free, private, in slabs, kmalloc blocks, page blocks: {before} by the walk, {after} told")
    if sum(int(pages) for pages, _ in kept) != after[1]:
        problems.append(f"CPUs keep {kept}, {after[1]} pages in all")
    wanted = int(out[0]) - int(used[0])
    if not slack and (sum(int(objects) for _, objects in kept) != wanted or not wanted):
        problems.append(f"CPUs keep {kept}, {wanted} objects by the walk")
    slabs = [dict(re.findall(rf"^{begin}cache (\S+): (\d+) slabs", text, re.M)) for begin in ("walk: ", "  ")]
    if not slack and (slabs[0] != slabs[1] or not slabs[0]):
        problems.append(f"slabs {slabs[0]} by the walk, {slabs[1]} told")
    return problems


# What names a panic's context, by the words of crash_in=.
PANIC_CONTEXTS = {"thread": "thread", "irqoff": "thread", "irq": "irq", "nmi": "nmi", "debug": "debug"}


def panic_told(where, cpu, message, by, context=None, on=None, endless=False):
    """What a panic has to tell, whatever it is of: where, the registers, a backtrace from there down to the thread with
    the function that did it, where the other CPU is, the end, and nothing after it. on: the CPU, if any may be it.
    endless: the bottom of the stack is too far."""
    told = [rf"^PANIC on CPU {on or cpu} in {context or PANIC_CONTEXTS[where]} context: {message}",
            r"^rip ([0-9a-f]{16}) [\s\S]*^backtrace:\n  \1 ", rf"^backtrace:\n(  .*\n)*  [0-9a-f]{{16}} {by}",
            r"^  not tight: little memory is below \d+ pages", r"^  CPU [01] stopped at \w+\+0x", r"^end of panic$",
            r"\A((?!panic in panic)[\s\S])*\Z"]
    if by.startswith("crash_"):
        told.append(rf"^rip [0-9a-f]{{16}} {by}\+0x")
    if not endless:
        told.append(r"^  [0-9a-f]{16} (setup_on_stack|ap_main|run_thread)\+0x\S+$")
    if by == "crash_panic":
        told.append(rf"^rsp \S+ rbp \S+ rflags {'2' if where == 'thread' else ''}[0-9a-f]{{2}} cs 8 ")
    return told


INTERRUPTS = ("irq", "nmi", "debug")
NO_THREAD, NO_IRQS = "in an interrupt or exception$", "in a thread with interrupts off"


def thread_call(call, thread=None, off=NO_IRQS):
    """By place: what a call says that is a thread's alone. None: there it is no error."""
    return {"thread": thread, "irqoff": off and (off if off != NO_IRQS else f"{call} {off}")} | dict.fromkeys(INTERRUPTS, f"{call} {NO_THREAD}")


def everywhere(message):
    return dict.fromkeys(PANIC_CONTEXTS, message)


# crash=: what it says in each place, CPUNR and CONTEXT filled in; the function that did it. It is where RIP is if
# its name begins with crash_; a call may have called another that finds the error.
CRASHES = {
    "panic": (everywhere("as asked for by crash=panic$"), "crash_panic"),
    "wild": (everywhere(r"page fault: write to address ffffa00000001000 \(not mapped\)$"), "crash_wild"),
    "null": (everywhere(r"page fault: read of address 0000000000000000 \(not mapped\)$"), "crash_null"),
    "readonly": (everywhere(r"page fault: write to address f[0-9a-f]{15} \(not permitted\)$"), "crash_readonly"),
    "execute": (everywhere(r"page fault: execution at address f[0-9a-f]{15} \(not permitted\)$"), ""),
    "division": (everywhere(r"division error \(vector 0, error 0\)$"), "crash_division"),
    "opcode": (everywhere(r"invalid opcode \(vector 6, error 0\)$"), "crash_opcode"),
    "protection": (everywhere(r"general protection \(vector 13, error 0\)$"), "crash_protection"),
    "breakpoint": (everywhere(r"breakpoint nobody set \(vector 3, error 0\)$"), "crash_breakpoint"),
    "debugtrap": (everywhere(r"debug exception nobody asked for \(vector 1, error 0\)$"), "crash_debug"),
    "overflow": (everywhere(r"overflow \(vector 4, error 0\)$"), "crash_overflow"),
    "stack": (everywhere("kernel stack overflow on CPU CPUNR, thread cpu: access to the guard page at ffffc9"), "crash_stack"),
    "threadstack": (thread_call("kthread_create", "kernel stack overflow on CPU [01], thread called: access to the guard page at ffffc9", None), ""),
    "deadlock": (everywhere(r"spin_lock\(0x[0-9a-f]{16}\): CPU CPUNR holds it already and would wait for ever$"), "spin_lock"),
    "unheld": (everywhere(r"spin_unlock\(0x[0-9a-f]{16}\) on CPU CPUNR: owner is 0$"), "spin_unlock"),
    "badfree": (everywhere(r"mm: bad call: kfree(_nolock)?\(1000\) on CPU CPUNR in CONTEXT: "), "mm_report"),
    "nocache": (thread_call("kmem_cache_create", *2 * [r"kmem_cache_create\(no-cache\): object size"]), ""),
    "rcu": (everywhere("synchronize_rcu inside a reader: it would wait for itself$"), "synchronize_rcu"),
    "rcuwait": (thread_call("synchronize_rcu"), "synchronize_rcu"),
    "rcubarrier": (everywhere("rcu_barrier inside a reader: it would wait for itself$"), "rcu_barrier"),
    "rcubarrierwait": (thread_call("rcu_barrier"), "rcu_barrier"),
    "rcuoffline": (thread_call("cpu_down", "cpu_down inside a reader: it may wait for threads that wait for it$"), "cpu_down"),
    "offline": (thread_call("cpu_down", "cpu_down on CPU 1: it is a call of CPU 0's$"), "cpu_down"),
    "callwait": (thread_call("smp_call_function"), "smp_call_function"),
    "cpuslock": (thread_call("cpus_read_lock"), "cpus_read_lock"),
    "cacheend": (thread_call("kmem_cache_destroy"), "kmem_cache_destroy"),
    "shrink": (thread_call("kmem_cache_shrink"), "kmem_cache_shrink"),
    "freebarrier": (thread_call("defer_free_barrier"), "defer_free_barrier"),
    "pool": (thread_call("mempool_create"), "mempool_create"),
    "poolsize": (thread_call("mempool_resize"), "mempool_resize"),
    "poolend": (thread_call("mempool_destroy"), "mempool_destroy"),
    "circle": (thread_call("rt_mutex_lock", r"rt_mutex_lock\(0x[0-9a-f]{16}\): thread cpu would wait for itself$", None), "rt_mutex_lock"),
    "mutex": (thread_call("rt_mutex_lock", r"rt_mutex_lock\(0x[0-9a-f]{16}\): thread cpu would wait for itself$"), "rt_mutex_lock"),
    "mutextry": (thread_call("rt_mutex_trylock", None, None), "rt_mutex_trylock"),
    "mutexfree": (thread_call("rt_mutex_unlock", *2 * [r"rt_mutex_unlock\(0x[0-9a-f]{16}\) by thread cpu: owner is nobody$"]), "rt_mutex_unlock"),
    "unlock": ({"thread": r"rt_mutex_unlock\(0x[0-9a-f]{16}\) by thread other: owner is cpu$"}, ""),
    "end": (thread_call("kthread_create", "thread other ends with interrupts off, or holding its CPU$", None), ""),
    "sleep": (thread_call("park", *2 * ["park in a thread that keeps its CPU$"]), "park"),
    "timeout": (thread_call("schedule_timeout"), "schedule_timeout"),
    "yield": (thread_call("yield"), "yield"),
}
ARGS_OF = {"badfree": "panic_on_bad_free=1"}
OF_DEBUG = ("breakpoint", "debugtrap")             # these are a breakpoint's context, whatever was there before
BY_OTHERS = ("threadstack", "unlock", "end")        # in a thread that may be on any CPU
IN_ALLOCATOR = ("badfree", "nocache", "cacheend", "shrink", "freebarrier", "pool", "poolsize", "poolend")


def crash(kind, where, cpu):
    """One bad end in one context of one CPU."""
    messages, rip = CRASHES[kind]
    if kind == "rcuoffline" and where == "thread" and cpu:
        messages = messages | {where: "cpu_down on CPU 1: it is a call of CPU 0's$"}
    told = panic_told(where, cpu, messages[where].replace("CPUNR", str(cpu)).replace("CONTEXT", PANIC_CONTEXTS[where]), rip,
                      "debug" if kind in OF_DEBUG else None, "[01]" if kind in BY_OTHERS and where == "thread" else None,
                      kind == "stack" or (kind == "threadstack" and where == "thread"))
    told.append(r"^this CPU is in the allocator: at " if kind in IN_ALLOCATOR else r"^this CPU is not in the allocator$")
    return outcome(f"crash-{kind}-{where}-cpu{cpu}", f"crash={kind} crash_in={where} crash_cpu={cpu} {ARGS_OF.get(kind, '')}".strip(), [PANIC],
                   told, check=lambda text: panic_figures(text, 0))


def crash_inside(where, cpu):
    """A panic in the middle of a call of the allocator, with a CPU offline."""
    told = panic_told(where, cpu, "as asked for by crash=panic$", "crash_panic")
    return outcome(f"panic-{where}-inside-cpu{cpu}", f"crash=panic crash_in={where} crash_cpu={cpu} crash_inside=1 crash_offline=2", [PANIC],
                   told + [r"^this CPU is in the allocator: at \w+\+0x\S+, called by go_inside\+0x", r"^  CPU 2 is offline$",
                           r"^  CPU 2 keeps 0 pages, 0 objects, 0 frees for later; in hand: 0 slabs$"],
                   check=lambda text: panic_figures(text, 96), SMP=3)


def crash_places(kind):
    """(place, CPU) of each where it is an error; what only CPU 0 may call is none in its thread."""
    return [(where, cpu) for where, message in CRASHES[kind][0].items() if message for cpu in (0, 1)
            if (kind, where, cpu) != ("offline", "thread", 0)]


def crashes(long):
    """All, or each kind once, the contexts and CPUs in turn; a panic itself in each context, and inside the allocator."""
    todo = []
    for turn, kind in enumerate(CRASHES):
        places = crash_places(kind)
        if not long:
            places = [(w, c) for w, c in places if kind == "panic" and c == list(PANIC_CONTEXTS).index(w) % 2] or [places[turn * 3 % len(places)]]
        todo += [crash(kind, where, cpu) for where, cpu in places]
    for turn, where in enumerate(PANIC_CONTEXTS):
        todo += [crash_inside(where, cpu) for cpu in (0, 1) if long or cpu != turn % 2]
    return todo


def lockups(long):
    """A CPU that spins: it tells that itself, in the watchdog's NMIs; or the other CPU does, if it takes none."""
    todo = []
    for turn, where in enumerate(("irqoff", "irq", "debug", "nmi", "held")):
        for cpu in (0, 1):
            if not long and cpu != (turn + 1) % 2:
                continue
            args = f"lockup={cpu} lockup_in={where}"
            if where in ("nmi", "held"):
                told = [rf"^watchdog: CPU {cpu} is SILENT, sees CPU {1 - cpu}: no check for \d{{4}} ms: it takes no NMI, .*; last seen at (\w+\+0x|no place yet)",
                        rf"^PANIC on CPU {1 - cpu} in irq context: CPU {cpu} is silent: it takes no NMI", rf"^  CPU {cpu} did not stop$"]
                args += " watchdog=500 watchdog_silent=2000"
            else:
                told = [rf"^watchdog: hard LOCKUP on CPU {cpu}: no timer interrupt for \d{{4}} ms, interrupts off$",
                        rf"^PANIC on CPU {cpu} in nmi context: hard lockup on CPU {cpu}$", rf"^  CPU {1 - cpu} stopped at ",
                        r"^rip [0-9a-f]{16} (spin_with_interrupts_off|cpu_relax)\+0x"]
            todo.append(outcome(f"lockup-{where}-cpu{cpu}", args, [PANIC], told + [r"^end of panic$"], timeout=120))
    return todo


def replay(name, timeout, args, **machine):
    """{seed} in the arguments stands for the seed."""
    return Boot("replay-" + name, "replay", args, timeout, machine | {"REPLAY": "yes"})


def steady(program):
    """The program's command; ThreadSanitizer's runtime of Debian 12 dies of where a host with more random bits of
    address may put its libraries."""
    bits = Path("/proc/sys/vm/mmap_rnd_bits")
    if "tsan" in program and bits.exists() and int(bits.read_text()) > 28:
        return f"setarch -R {program}"
    return program


# The program that is a process, plain and watched; `make test` builds them. A process that
# ThreadSanitizer or Valgrind watches is slow: they have fewer boots.
HOSTED = {"plain": "build/hosted/anyctx", "asan": "build/hosted-asan-ubsan/anyctx",
          "tsan": steady("build/hosted-tsan/anyctx"),
          "valgrind": "valgrind -q --error-exitcode=9 --fair-sched=yes build/hosted-valgrind/anyctx"}


# As many bytes as the kernel takes, CMDLINE_MAX - 1.
LONGEST = "test=cmdline.* seconds=" + "0" * (2047 - len("test=cmdline.* seconds=1")) + "1"


# Of four nodes, row by row, no two alike; as QEMU is told, and as the kernel is to find them.
DISTANCES = [[10, 15, 20, 40], [15, 10, 30, 22], [20, 30, 10, 25], [40, 22, 25, 10]]
DIST_ARGS = ",".join(str(d) for row in DISTANCES for d in row)
DIST_QEMU = " ".join(f"-numa dist,src={a},dst={b},val={DISTANCES[a][b]}" for a in range(4) for b in range(4) if a != b)
NODES = "test=numa.*,args.*,oom.*,oom_others.*,inject.node*"


# The sweeps go the same way there, and the watchdog waits the same time; --long runs all.
ELSEWHERE = "test=*,-inject.*,-watchdog.*"


def boots(long):
    todo = [
        suite("smp2", 400, SMP=2),
        suite("smp1", 400, SMP=1),
        suite("smp4", 400, SMP=4),
        suite("smp16", 900, "test=*,-inject.*,inject.two_cpus*", SMP=16),
        suite("inject-full", 600, FULL, SMP=1),
        suite("pairs", 400, "test=inject.two_cpus* pair_places=24 pair_both=3", SMP=2),
        suite("uefi-smp4", 450, ELSEWHERE, SMP=4, FIRMWARE="uefi"),
        suite("64M-smp2", 400, "test=*,-watchdog.*", SMP=2, MEM="64M"),
        suite("8G-smp4", 500, ELSEWHERE, SMP=4, MEM="8G"),
        suite("numa-smp4", 400, ELSEWHERE, SMP=4, NUMA="0-2:512M 3:"),
        suite("distances-smp4", 300, f"{NODES} distances_are={DIST_ARGS}", SMP=4, NUMA="0:128M 1: 2:128M 3:128M",
              EXTRA=DIST_QEMU),
        suite("numa-home", 100, "test=numa.home", SMP=4, NUMA="2"),  # alone: what a CPU takes first
        told("no-cx16", 200, r"^cpu: no cmpxchg16b; the allocator uses it nowhere",
             "test=kmalloc.*,slab.*,cache.*,pages*,anyfree.*,rseq.*", SMP=2, CPU="max,-cx16"),
        exact("every-instruction", 200, "test=entry_*,inject.nmi_*"),
        suite("slab-debug", 500, "test=*,-inject.*,-watchdog.*,inject.debug* slab_debug=FZPU", SMP=2),
        job("slab-debug", 200, 3, args="slab_debug=FZPU", SMP=4),
        outcome("slab-debug-letter", "slab_debug=FX", [FAIL], [r"^error: kernel argument 'slab_debug': 'X' is none of"]),
        job("smp1", 150, 3, SMP=1),
        job("smp2", 150, 3, SMP=2),
        job("smp4", 200, 10, SMP=4, nmi_floor=100_000),
        job("smp16", 300, 3, SMP=16),
        job("uefi-smp2", 200, 3, SMP=2, FIRMWARE="uefi"),
        job("fail-refills", 200, 5, args=FAIL_REFILLS, SMP=4),
        job("fail-all", 200, 5, args=FAIL_ALL, SMP=2),
        job("hotplug", 200, 5, args="hotplug=20", SMP=4),
        job("memcg", 200, 5, args="memcg=6", SMP=4),
        job("memcg-refused", 200, 5, args="memcg=6 memcg_percent=50", SMP=2),
        replay("smp2", 150, "seconds=1 seed={seed}", SMP=2),
        hosted(suite, "plain", 4), hosted(suite, "asan", 2), hosted(suite, "tsan", 2),
        suite("hosted-inject-full", 600, FULL, SMP=1, HOSTED=HOSTED["plain"]),
        hosted(job, "plain", 4), hosted(job, "asan", 2), hosted(job, "tsan", 2),
        outcome("unknown-argument", "no_such_word=1", [FAIL], [r"no_such_word", r"\bseconds\b", r"\btest\b"]),
        outcome("argument-of-hardened", "init_on_free=1", [FAIL], [r"^error: kernel argument 'init_on_free': 0 alone .*CONFIG=hardened"]),
        outcome("no-such-test", "test=no.such", [FAIL], [r"no\.such"]),
        outcome("crash-on-none", "crash=panic crash_cpu=1 crash_offline=1", [FAIL],
                [r"^error: crash_offline=1 and crash_cpu=1: nothing can be made to crash"], SMP=2),
        outcome("watchdog-too-short", "watchdog=99 test=lib.*", [FAIL], [r"^error: .*watchdog.*100 to 60000"]),
        outcome("panic-everywhere", "crash=everywhere", [PANIC], [r"^PANIC on CPU [0-3] ", r"^end of panic$"], SMP=4),
        outcome("triple-fault", "crash=triple", [RESET], []),
        outcome("hang", "crash=hang", [HANG], [], timeout=25),
        outcome("little-memory-usable", "test=*", [FAIL], [r"^anyctx: \d+ KiB of usable memory; at least \d+ MiB is needed\.$"], MEM="10M"),
        outcome("little-memory-early", "test=*", [PANIC], [r"^PANIC .*: early memory: \d+ KiB wanted, .* Give the machine more memory \(MEM=\)\.$"],
                SMP=32, MEM="13M"),
        outcome("little-memory-left", "test=*", [PANIC], [r"^PANIC .*: only \d+ KiB of memory left after boot, \d+ needed\. Give the machine more"],
                MEM="13M"),
        outcome("bad-frees", "crash=badfree", [FAIL], [r"bad call: kfree\(1000\)", r"further reports are counted"]),
        outcome("no-nx", "test=*", [FAIL, PANIC], [r"(?i)\bnx\b|execute"], CPU="qemu64,-nx"),
        outcome("arguments-too-long", LONGEST + "0", [FAIL], [r"^error: the kernel arguments are longer than 2047 bytes"]),
        outcome("arguments-longest", LONGEST, [PASS], [r"^# anyctx: result PASS"]),
        outcome("no-qemu", "", [NO_QEMU], [r"does not run", r"tools/setup\.sh"], QEMU="tools/no-such-qemu"),
        outcome("bad-qemu", "", [NO_QEMU], [r"cmpxchg16b", r"tools/setup\.sh"], QEMU="tools/fake-qemu-7.2.sh"),
    ]
    todo += crashes(long) + lockups(long) + matrix(False)
    if long:
        todo += [replace(boot, name=boot.name.replace("hosted", f"hosted-{name}"))
                 for name, program in HOSTED.items() for boot in hosted_boots(program, True)]
        todo += [
            suite("inject-all", 3000, "test=inject.*,-inject.two_cpus* inject_full=1 inject_deep=300", SMP=2),
            suite("pairs-all", 7200, "test=inject.two_cpus* inject_full=1 pair_both=32", SMP=2),
            suite("hosted-inject-all", 3000, "test=inject.*,-inject.two_cpus* inject_full=1 inject_deep=300", SMP=2,
                  HOSTED=HOSTED["plain"]),
            suite("slab-debug-smp1", 900, "test=*,-inject.*,inject.debug* slab_debug=FZPU", SMP=1),
            suite("slab-debug-smp4", 900, "test=*,-inject.*,inject.debug* slab_debug=FZPU", SMP=4),
            suite("slab-debug-smp2", 900, "test=*,-inject.*,inject.debug* slab_debug=FZPU", SMP=2),
            suite("uefi-all-smp4", 450, SMP=4, FIRMWARE="uefi"),
            suite("8G-all-smp4", 500, SMP=4, MEM="8G"),
            suite("numa-all-smp4", 500, SMP=4, NUMA="0-2:512M 3:"),
            suite("all-smp16", 1200, SMP=16),
            suite("64M-all-smp2", 500, SMP=2, MEM="64M"),
            suite("smp3", 400, SMP=3),
            suite("smp8", 600, SMP=8),
            suite("smp64", 1800, SMP=64, MEM="1G"),
            suite("pc-smp4", 400, SMP=4, MACHINE="pc"),
            suite("uefi-smp1", 450, SMP=1, FIRMWARE="uefi"),
            suite("uefi-smp16", 700, SMP=16, FIRMWARE="uefi"),
            suite("64M-smp1", 400, SMP=1, MEM="64M"),
            suite("16G-smp2", 900, SMP=2, MEM="16G"),
            suite("numa2-smp4", 600, SMP=4, NUMA="2"),
            suite("numa4-smp8", 600, f"test=* distances_are={DIST_ARGS}", SMP=8,
                  NUMA="0-1:256M 2-3:256M 4-5:256M 6-7:256M", EXTRA=DIST_QEMU),
            suite("numa-empty-middle", 500, SMP=4, NUMA="0:256M 1-2: 3:256M"),
            replay("smp4", 400, "seconds=2 seed={seed}", SMP=4),
            replay("smp8-fail", 400, "seconds=2 seed={seed} failslab_ppm=9999 fail_page_ppm=99999 fail_at_hand=0", SMP=8,
                   MEM="128M"),
            million(),
            job("smp4-long", 600, 120, SMP=4, nmi_floor=1_000_000),
            job("smp64", 600, 10, SMP=64),
            job("64M-smp4", 300, 30, SMP=4, MEM="64M"),
            job("8G-smp16", 400, 10, SMP=16, MEM="8G"),
            job("uefi-smp64", 700, 10, SMP=64, FIRMWARE="uefi"),
        ]
    return todo


# Millions of single steps; each is two system calls, and on a virtual machine 10 us.
STEPPING = ["printk.every_instruction", "inject.two_cpus*", "inject.last_block"]


def fast(program):
    """All suites but for those. What ThreadSanitizer's runtime does between two steps is not the same each time, so
    no schedule repeats to the instruction there; and its steps are three times as long, so fewer places of each sweep."""
    tsan = "tsan" in program
    left_out = STEPPING + ["inject.replay", "irq_work.one_instruction"] * tsan
    return ",-".join(["test=*"] + left_out) + f" inject_sample={12 if tsan else 30}"


def hosted(make, name, smp):
    """All suites but for the slow cases, or the main job, in one of those programs."""
    args = fast(HOSTED[name]) if make == suite else 3
    return make(f"hosted-{name}", 1500, args, SMP=smp, HOSTED=HOSTED[name]) # tsan: 7 minutes on a quiet machine


def given_limit(seconds):
    """TIMEOUT, of boots that the environment asks for; 0: none."""
    return int(os.environ.get("TIMEOUT") or seconds)


def hosted_boots(program, long):
    """The same suites and jobs as a process; every machine by arguments."""
    def one(make, name, smp, *args):
        return make(f"hosted-{name}", 1800, *args, SMP=smp, HOSTED=program)
    extra = os.environ.get("ARGS", "")
    if os.environ.get("T") or os.environ.get("SMP") or extra:
        args = f"test={os.environ.get('T') or '*'} {extra}".strip()
        return [replace(one(suite, f"given-cpus{n}", n, args), timeout=given_limit(1800))
                for n in (os.environ.get("SMP") or "4").split(",")]
    todo = [one(suite, f"cpus{n}", n, fast(program)) for n in (2, 1, 4)]
    todo.append(one(suite, "holes-nodes", 3, fast(program) + " mem=96M holes=20M-24M,0x3001000-0x3003000 nodes=2"))
    todo.append(one(suite, "distances", 4, f"{NODES} nodes=4 memless=2 distances={DIST_ARGS} distances_are={DIST_ARGS}"))
    if "valgrind" in program: # it does not single-step, which the job waits for
        return todo[:2]
    todo.append(one(job, "cpus4", 4, 3))
    todo.append(Boot("job-hosted-fail", "job", f"seconds=3 {FAIL_REFILLS}", 300, {"SMP": 4, "HOSTED": program}))
    if long:
        todo.append(one(suite, "stepping", 1, "test=" + ",".join(STEPPING)))
        todo.append(one(suite, "cpus16", 16, fast(program) + " mem=1G"))
        todo.append(one(suite, "memless", 8, fast(program) + " nodes=4 memless=2"))
        todo.append(one(job, "cpus2-long", 2, 60))
    return todo


# ---- KTAP ----

SUBTEST = re.compile(r"^ +# Subtest: (\S+)$")
RESULT = re.compile(r"^( *)(ok|not ok) (\d+)(?: -)? ([^#]*?)(?: *# *(SKIP|TODO)\b *(.*))?$")
PLAN = re.compile(r"^( *)1\.\.(\d+)$")


class Ktap:
    """Parses KTAP 1 strictly: every level needs its plan, the plan's number of
    results in order, names that come once, and a parent that agrees with its
    children. Cases are named suite.case."""

    def __init__(self, lines):
        self.passed, self.failed, self.skipped = [], [], []
        self.errors = []
        self.details = {}  # failed case -> the diagnostics above it
        self.suite, self.seen = "", set()
        levels = []        # one a nesting depth: [plan, results seen, failed]
        notes = []
        if not any(line.strip() == "KTAP version 1" for line in lines):
            self.errors.append("no 'KTAP version 1' line")
        for line in lines:
            plan, result = PLAN.match(line), RESULT.match(line)
            if SUBTEST.match(line):
                self.suite = SUBTEST.match(line)[1]
            if line.lstrip().startswith("# "):
                notes.append(line.strip())
            if plan:
                depth = len(plan[1]) // 2
                self.close(levels, depth + 1, "a plan")
                while len(levels) <= depth:
                    levels.append([None, 0, 0])
                if levels[depth][0] is not None:
                    self.errors.append(f"a second plan at depth {depth}: {line.strip()}")
                levels[depth] = [int(plan[2]), 0, 0]
                notes = []
            elif result:
                self.result(levels, result, notes)
                notes = []
        self.close(levels, 0, "the end")
        if not levels and not (self.passed or self.failed or self.skipped):
            self.errors.append("no test results")

    def result(self, levels, result, notes):
        depth, ok, number, name = len(result[1]) // 2, result[2] == "ok", int(result[3]), result[4].strip()
        if len(levels) <= depth:
            self.errors.append(f"a result without a plan: {result[0].strip()}")
            return
        parent = len(levels) > depth + 1
        if not parent and self.suite:
            name = f"{self.suite}.{name}"
        if (depth, name) in self.seen:
            self.errors.append(f"'{name}' came before")
        self.seen.add((depth, name))
        child_failed = self.close(levels, depth + 1, name)
        level = levels[depth]
        level[1] += 1
        if number != level[1]:
            self.errors.append(f"result {number} where {level[1]} was due: {name}")
            level[1] = number
        if not ok:
            level[2] += 1
        if parent:
            if ok and child_failed:
                self.errors.append(f"'{name}' says ok over {child_failed} failed")
            elif not ok and not child_failed:
                self.failed.append(name)
                self.details[name] = notes
        elif result[5] == "SKIP":
            self.skipped.append(f"{name} ({result[6]})")
        elif ok:
            self.passed.append(name)
        else:
            self.failed.append(name)
            self.details[name] = notes

    def close(self, levels, depth, where):
        """Ends all levels from depth on; returns how many failed in that one."""
        failed = levels[depth][2] if len(levels) > depth else 0
        while len(levels) > depth:
            plan, seen, _ = levels.pop()
            if plan is None:
                self.errors.append(f"results without a plan before {where}")
            elif plan != seen:
                self.errors.append(f"short plan: {seen} of {plan} results before {where} (a crash)")
        return failed


# ---- judging a boot ----

class Verdict:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0
        self.problems = []   # what is wrong with the boot as a whole
        self.cases = []      # failed cases, with their diagnostics
        self.skips = []      # skipped cases, with their reasons

    def text(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


# What no boot says that passes.
FATAL = re.compile(r"^PANIC on|^panic on CPU|^panic in panic|^printk: \d+ lines dropped|^Bail out!", re.M)
BAD_CALL = "mm: bad call:"


def status_problems(boot, status, text):
    """The status, and lines that do not go with one that says "passed"."""
    problems = []
    if status not in boot.statuses:
        wanted = " or ".join(STATUS_NAMES[s] for s in boot.statuses)
        problems.append(f"ended with {status} ({STATUS_NAMES.get(status, 'unknown')}), wanted: {wanted}")
    if boot.statuses == (PASS,):
        problems += [f"the log holds: {text[m.start():].splitlines()[0]}" for m in FATAL.finditer(text)]
    return problems


def common_problems(boot, status, text):
    """What every boot that should pass has to show."""
    problems = status_problems(boot, status, text)
    banners = text.count("anyctx: boot,")
    if banners != 1:
        problems.append(f"{banners} boot banners, wanted 1" + (" (it rebooted)" if banners > 1 else ""))
    return problems


def bad_calls_outside(lines):
    """Reports of bad use that no case is charged with. A case begins with the line
    that says what it proves, the first after a plan or a result; its result ends it."""
    found, inside = [], False
    for line in lines:
        if line.startswith("  # ") and not SUBTEST.match(line):
            inside = True
        elif RESULT.match(line):
            inside = False
        elif line.startswith(BAD_CALL) and not inside:
            found.append(f"outside of a case: {line}")
    return found


def missing(boot, text):
    return [f"the log does not hold: {p}" for p in boot.expect if not re.search(p, text, re.M)]


def end_problems(ktap, text):
    """The two lines at the end of a suite boot: once, and as the cases say."""
    problems = []
    wanted = "FAIL" if ktap.failed else "PASS"
    results = re.findall(r"^# anyctx: result (.*)$", text, re.M)
    if results != [wanted]:
        problems.append(f"'# anyctx: result' lines: {results}, wanted one: {wanted}")
    totals = re.findall(r"^# totals: (.*)$", text, re.M)
    counted = f"pass:{len(ktap.passed)} fail:{len(ktap.failed)} skip:{len(ktap.skipped)}"
    if totals != [counted]:
        problems.append(f"'# totals:' lines: {totals}, the cases are {counted}")
    return problems


def judge_suite(boot, status, text):
    verdict = Verdict()
    ktap = Ktap(text.splitlines())
    verdict.passed, verdict.failed, verdict.skipped = len(ktap.passed), len(ktap.failed), len(ktap.skipped)
    verdict.cases = [(name, ktap.details.get(name, [])) for name in ktap.failed]
    verdict.skips = ktap.skipped
    report = ktap.errors + end_problems(ktap, text) + bad_calls_outside(text.splitlines())
    problems = common_problems(boot, status, text) + report + missing(boot, text)
    if not ktap.passed:
        problems.append("no case passed")
    # With failed cases, a status that says "failed" is no problem of its own.
    told = ktap.failed and status == FAIL and not report and len(problems) == 1
    if problems and not told:
        verdict.problems = problems
        verdict.failed += 1
    return verdict


def judge_job(boot, status, text):
    verdict = Verdict()
    problems = common_problems(boot, status, text)
    if not re.search(r"^main job: passed$", text, re.M) or re.search(r"^main job: FAILED", text, re.M):
        problems.append("no line 'main job: passed', or one that says FAILED")
    errors = re.findall(r"^errors in blocks: .*$", text, re.M)
    if errors != ["errors in blocks: 0; reports of bad use: 0; counters unlike the walk: 0"]:
        problems.append(f"errors: {errors or 'not told'}")
    if BAD_CALL in text:
        problems.append(f"the log holds: {BAD_CALL}")
    failures = re.findall(r"failures while memory was free: (\d+)", text)
    if not failures or int(failures[-1]) != 0:
        problems.append(f"failures while memory was free: {failures[-1] if failures else 'not told'}")
    pages = re.findall(r"pages at boot (\d+), pages now (\d+)", text)
    if not pages or pages[-1][0] != pages[-1][1]:
        problems.append(f"pages at boot and now: {pages[-1] if pages else 'not told'}")
    deferred = re.findall(r"(\d+) frees deferred, (\d+) served", text)
    # Deferral, while nobody keeps anything, or of caches that have nothing to keep it in.
    unused = ("fail_" in boot.args and "fail_at_hand=0" not in boot.args) or "memcg=" in boot.args \
        or "slab_debug=F" in boot.args or "anyctx: config tiny\n" in text
    if not deferred or (int(deferred[-1][0]) == 0 and not unused) or deferred[-1][0] != deferred[-1][1]:
        problems.append(f"frees deferred and served: {deferred[-1] if deferred else 'not told'}")
    if "memcg=" in boot.args and not re.search(r"^paid by groups: .* [1-9]\d* KiB charged", text, re.M):
        problems.append("what groups have paid is not told, or nothing")
    injected = re.findall(r"^failures injected, .*: (\d+) of", text, re.M)
    if ("fail_" in boot.args or "failslab_" in boot.args) and (not injected or "0" in injected):
        problems.append(f"failures injected: {injected or 'not told'}")
    inside = re.findall(r"^NMIs that interrupted the allocator: (\d+) .* NULL, (\d+) of them while", text, re.M)
    wanted = int((re.findall(r"nmi_inside=(\d+)", boot.args) or [1])[0])
    if len(inside) != 1 or int(inside[0][0]) < wanted or inside[0][1] != "0":
        problems.append(f"NMIs in the allocator, and NULLs: {inside or 'not told'}, wanted {wanted} or more, and 0")
    rows = {}
    for cpu, rest in re.findall(r"^ *cpu +(\d+) +((?:[a-z_]+ +\d+ *)+)\r?$", text, re.M):
        rows[int(cpu)] = {name: int(n) for name, n in re.findall(r"([a-z_]+) +(\d+)", rest)}
    if sorted(rows) != list(range(boot.smp)):
        problems.append(f"the table has {len(rows)} CPUs of {boot.smp}")
    for cpu, counts in sorted(rows.items()):
        for name in ("thread", "irq", "nmi", "debug", "ticks", "nmis"):
            if counts.get(name, 0) <= 0:
                problems.append(f"cpu {cpu}: {name} count is {counts.get(name, 'not there')}")
    nmis = sum(counts.get("nmi", 0) for counts in rows.values())
    if nmis < boot.nmi_floor:
        problems.append(f"{nmis} operations in NMIs, wanted {boot.nmi_floor} or more")
    verdict.problems = problems
    verdict.passed, verdict.failed = int(not problems), int(bool(problems))
    return verdict


def judge_outcome(boot, status, text):
    verdict = Verdict()
    problems = status_problems(boot, status, text) + missing(boot, text) + (boot.check(text) if boot.check else [])
    verdict.problems = problems
    verdict.passed, verdict.failed = int(not problems), int(bool(problems))
    return verdict


def judge_replay(boot, status, text):
    """text: three consoles, one after the other, of seeds 1, 1 and 2."""
    verdict = Verdict()
    first, second, other = text.split(REPLAY_MARK)
    problems = [p for part in (first, second, other) for p in common_problems(boot, status, part)]
    if first != second:
        pairs = list(zip(first.splitlines(), second.splitlines()))
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        problems.append(f"the second run differs from line {at + 1} on: " + repr(pairs[at:at + 1]))
    if first == other:
        problems.append("another seed makes no difference")
    verdict.problems = problems
    verdict.passed, verdict.failed = int(not problems), int(bool(problems))
    return verdict


JUDGES = {"suite": judge_suite, "job": judge_job, "outcome": judge_outcome, "replay": judge_replay}


# ---- running ----

def host_limit(boot, more=0):
    """Seconds that the boot may take here; None: as long as it wants."""
    return boot.timeout + more if boot.timeout else None


def start_hosted(boot):
    """Runs it as a process; its status means what the wrapper's does."""
    log = LOGS / (boot.name + ".log")
    words = shlex.split(boot.machine["HOSTED"]) + [f"cpus={boot.smp}"] + shlex.split(boot.args)
    with open(log, "wb") as out:
        try:
            status = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                    timeout=host_limit(boot), check=False).returncode
        except subprocess.TimeoutExpired:
            status = HANG
    return status, log.read_text(errors="replace"), ""


def start_replay(boot):
    """Three boots; the worst status, and their consoles with marks between."""
    runs = [start_qemu(replace(boot, name=f"{boot.name}-{i}", args=boot.args.format(seed=seed)))
            for i, seed in enumerate((1, 1, 2), 1)]
    status = next((s for s, _, _ in runs if s != PASS), PASS)
    return status, REPLAY_MARK.join(text for _, text, _ in runs), "".join(errors for _, _, errors in runs)


def start(boot):
    """Runs it; returns the wrapper's status and the text of log and wrapper."""
    if "HOSTED" in boot.machine:
        return start_hosted(boot)
    return start_replay(boot) if boot.kind == "replay" else start_qemu(boot)


def start_qemu(boot):
    log = LOGS / (boot.name + ".log")
    log.unlink(missing_ok=True)
    env = {k: v for k, v in os.environ.items()
           if k not in ("REPLAY", "SMP", "MEM", "ARGS", "FIRMWARE", "NUMA", "MACHINE", "CPU", "T", "TIMEOUT", "LOG")}
    env.update({k: str(v) for k, v in boot.machine.items()})
    env.update(ARGS=boot.args, TIMEOUT=str(boot.timeout), LOG=str(log.relative_to(ROOT)))
    process = subprocess.Popen([ROOT / "tools" / "qemu.sh"], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                               start_new_session=True)
    try:
        _, errors = process.communicate(timeout=host_limit(boot, 60))
        status = process.returncode
    except BaseException as e:  # the wrapper's own limit did not work, or Ctrl-C
        os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        if not isinstance(e, subprocess.TimeoutExpired):
            raise
        status = HANG
    text = log.read_text(errors="replace").replace("\r", "") if log.exists() else ""
    return status, text, errors


def report_failure(boot, verdict, text, errors):
    for problem in verdict.problems:
        print(f"        {problem}")
    for name, notes in verdict.cases:
        print(f"        not ok: {name}")
        for note in notes[-12:]:
            print(f"            {note}")
    print(f"        again: {command(boot)}")
    lines = (text + errors).splitlines()
    print(f"    ---- the last {min(TAIL, len(lines))} lines of build/logs/{boot.name}.log")
    for line in lines[-TAIL:]:
        print("    | " + "".join(c if c.isprintable() or c == "\t" else "?" for c in line))
    print("    ----")


def command(boot):
    if "HOSTED" in boot.machine:
        return f"{boot.machine['HOSTED']} cpus={boot.smp} {boot.args}"
    words = [f'{k}="{v}"' if " " in str(v) else f"{k}={v}" for k, v in boot.machine.items()]
    return " ".join(words + [f'ARGS="{boot.args}"', "tools/qemu.sh"])


def selected(options):
    """The boots asked for: by the environment one of their own, else the matrix."""
    if options.matrix:
        return [b for b in matrix(True) if fnmatch.fnmatch(b.name, options.only)]
    if options.preset:
        return [b for b in preset_boots(options.preset) if fnmatch.fnmatch(b.name, options.only)]
    if options.hosted:
        return [b for b in hosted_boots(steady(options.hosted), options.long) if fnmatch.fnmatch(b.name, options.only)]
    given = {k: os.environ[k] for k in ("SMP", "MEM", "FIRMWARE", "NUMA", "MACHINE", "CPU") if os.environ.get(k)}
    pattern, extra = os.environ.get("T", ""), os.environ.get("ARGS", "")
    if not (given or pattern or extra):
        todo = boots(options.long)
        return [b for b in todo if fnmatch.fnmatch(b.name, options.only)]
    args = f"test={pattern or '*'} {extra}".strip()
    todo = []
    for smp in given.pop("SMP", "4").split(","):
        todo.append(suite(f"given-smp{smp}", given_limit(400 + 20 * int(smp)), args, SMP=smp, **given))
    return todo


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="*", metavar="PATTERN")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--hosted", metavar="COMMAND")
    parser.add_argument("--matrix", action="store_true")
    parser.add_argument("--preset", metavar="NAME")
    options = parser.parse_args()
    todo = selected(options)
    if options.list:
        for boot in todo:
            print(f"{boot.name:24} {command(boot)}")
        return 0
    LOGS.mkdir(parents=True, exist_ok=True)
    passed = failed = skipped = 0
    bad, results = [], []
    begin = time.monotonic()
    for number, boot in enumerate(todo, 1):
        print(f"[{number:2}/{len(todo)}] {boot.name:24} ", end="", flush=True)
        t = time.monotonic()
        status, text, errors = start(boot)
        verdict = JUDGES[boot.kind](boot, status, text + ("\n" + errors if boot.kind == "outcome" else ""))
        results.append((boot.name, not verdict.failed, text, time.monotonic() - t))
        print(f"{results[-1][3]:6.1f} s  {verdict.text()}{'' if not verdict.failed else '  FAILED'}", flush=True)
        if verdict.failed:
            bad.append(boot.name)
            report_failure(boot, verdict, text, errors)
        for skip in verdict.skips:
            print(f"        skipped: {skip}")
        passed, failed, skipped = passed + verdict.passed, failed + verdict.failed, skipped + verdict.skipped
    for line in presets.table(results):
        print(line)
    print(f"{len(todo)} boots in {time.monotonic() - begin:.0f} s; {skipped} cases skipped"
          + (f"; failed: {' '.join(bad)}" if bad else ""))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)

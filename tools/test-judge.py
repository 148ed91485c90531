#!/usr/bin/env python3
"""test-judge.py - tests of the judges in run-tests.py, on logs made up here.

A good log of each kind has to pass; then each way to spoil it has to fail, and
for the reason that it was spoilt. And what the environment asks for is what is booted.
Status 0 if all is so.
"""
import argparse
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import bench

SPEC = importlib.util.spec_from_file_location("run_tests", Path(__file__).with_name("run-tests.py"))
judge = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = judge
SPEC.loader.exec_module(judge)

SUITE_LOG = """\
memory: 509 MiB usable in 1 ranges
anyctx: boot, 2 CPUs, 505 MiB
KTAP version 1
1..2
  KTAP version 1
  # Subtest: irq_work
  1..2
  # every_cpu: work queued on a CPU runs there once
  # 0 ms
  ok 1 every_cpu
  # requeue: work is never lost
mm: bad call: kfree of ffff888000000008 on CPU 0: told inside of a case
  # 0 ms
  ok 2 requeue # SKIP needs two CPUs
ok 1 irq_work
  KTAP version 1
  # Subtest: lib
  1..1
  # every_cpu: the same name in another suite is another case
  # 1 ms
  ok 1 every_cpu
ok 2 lib
# totals: pass:2 fail:0 skip:1
# anyctx: result PASS
"""
FAILED_LOG = (SUITE_LOG.replace("  ok 1 every_cpu\nok 2 lib", "  not ok 1 every_cpu\nnot ok 2 lib")
              .replace("pass:2 fail:0", "pass:1 fail:1").replace("result PASS", "result FAIL"))

JOB_LOG = """\
anyctx: boot, 2 CPUs, 505 MiB
main job: 3 s on 2 CPUs, 1000 timer interrupts a second each, at most 126 of 505 MiB held
cpu  0  thread 100 irq 20 nmi 30 debug 40 ticks 50 nmis 60 ipis 7
cpu  1  thread 100 irq 20 nmi 30 debug 40 ticks 50 nmis 60 ipis 0
NMIs that interrupted the allocator: 25 allocations (20 at an instruction of it), 1 NULL, 0 of them while memory was free
NMIs by pit, 20 a second asked for, and by the CPUs; 12 frees deferred, 12 served
failures while memory was free: 0
pages at boot 129604, pages now 129604
errors in blocks: 0; reports of bad use: 0; counters unlike the walk: 0
main job: passed
"""
REPLAY_LOG = JOB_LOG + judge.REPLAY_MARK + JOB_LOG + judge.REPLAY_MARK + JOB_LOG.replace("thread 100", "thread 101")

SUITE = judge.suite("x", 1, SMP=2)
EXACT = judge.exact("x", 1, "test=x")
EXACT_LOG = SUITE_LOG.replace("  # 1 ms", "  # int3: 9 NMIs, every instruction\n  # fault: 9 NMIs, every instruction\n  # 1 ms")
JOB = judge.job("x", 1, 3, nmi_floor=60, SMP=2)
REPLAY = judge.replay("x", 1, "seconds=1 seed={seed}", SMP=2)
GOOD_END = judge.outcome("x", "", [judge.PASS], [r"^# anyctx: result PASS"])
BAD_END = judge.outcome("x", "", [judge.FAIL, judge.PANIC], [r"(?i)memory"])

PANIC_LINES = ("PANIC on CPU 1 in NMI context: x", "panic on CPU 1 as well: x", "panic in panic on CPU 1: x",
               "printk: 3 lines dropped", "Bail out! x")


def spoilt(log, old, new):
    assert log.count(old) >= 1, old
    return log.replace(old, new, 1)


def after(log, line, more):
    return spoilt(log, line + "\n", line + "\n" + more + "\n")


def without_line(log, n):
    lines = log.splitlines(True)
    return "".join(lines[:n] + lines[n + 1:])


def suite_cases():
    yield "complete", SUITE_LOG, 0, ""
    yield "wrong status", SUITE_LOG, judge.FAIL, "ended with 1"
    yield "hang", SUITE_LOG, judge.HANG, "hang"
    yield "nothing", "", 0, "no 'KTAP version 1'"
    for n in range(2, len(SUITE_LOG.splitlines())):
        yield f"cut after line {n}", "".join(SUITE_LOG.splitlines(True)[:n]), 0, "result' lines: []"
    for n, line in enumerate(SUITE_LOG.splitlines()):
        if judge.RESULT.match(line) or judge.PLAN.match(line):
            yield f"without '{line.strip()}'", without_line(SUITE_LOG, n), 0, "."
    yield "two banners", after(SUITE_LOG, "1..2", "anyctx: boot, 2 CPUs, 505 MiB"), 0, "2 boot banners"
    yield "no banner", spoilt(SUITE_LOG, "anyctx: boot,", "anyctx:"), 0, "0 boot banners"
    yield "two results", SUITE_LOG + "# anyctx: result PASS\n", 0, "wanted one"
    yield "result FAIL", spoilt(SUITE_LOG, "result PASS", "result FAIL"), 0, "wanted one: PASS"
    yield "result of two words", spoilt(SUITE_LOG, "result PASS", "result PASSABLE"), 0, "wanted one: PASS"
    yield "totals differ", spoilt(SUITE_LOG, "pass:2", "pass:3"), 0, "the cases are pass:2"
    yield "no totals", spoilt(SUITE_LOG, "# totals: pass:2 fail:0 skip:1\n", ""), 0, "'# totals:' lines: []"
    yield "a case twice", spoilt(SUITE_LOG, "ok 2 requeue", "ok 2 every_cpu"), 0, "came before"
    yield "a suite twice", spoilt(spoilt(SUITE_LOG, "Subtest: lib", "Subtest: irq_work"), "ok 2 lib", "ok 2 irq_work"), 0, \
        "came before"
    yield "wrong number", spoilt(SUITE_LOG, "ok 2 requeue", "ok 3 requeue"), 0, "result 3 where 2 was due"
    yield "bad call between cases", after(SUITE_LOG, "  ok 1 every_cpu", "mm: bad call: x"), 0, "outside of a case"
    yield "bad call before cases", after(SUITE_LOG, "  1..2", "mm: bad call: x"), 0, "outside of a case"
    yield "bad call at the end", after(SUITE_LOG, "# anyctx: result PASS", "mm: bad call: x"), 0, "outside of a case"
    for line in PANIC_LINES:
        yield f"'{line}'", after(SUITE_LOG, "  1..2", line), 0, "the log holds: " + line


def failed_suite_cases():
    """One case failed: it counts, and nothing else, unless something else is wrong."""
    yield "a failed case", FAILED_LOG, judge.FAIL, "", 1
    yield "a failed case, status passed", FAILED_LOG, 0, "", 1
    yield "a suite that hides a failure", spoilt(FAILED_LOG, "not ok 2 lib", "ok 2 lib"), judge.FAIL, "says ok over 1", 2
    yield "a failed case, and a panic", after(FAILED_LOG, "ok 1 irq_work", PANIC_LINES[0]), judge.FAIL, "PANIC on", 2
    yield "a failed case, and a short plan", spoilt(FAILED_LOG, "1..2", "1..3"), judge.FAIL, "short plan", 2
    yield "a failed case, result PASS", spoilt(FAILED_LOG, "result FAIL", "result PASS"), judge.FAIL, "wanted one: FAIL", 2


def exact_cases():
    yield "every instruction", EXACT_LOG, 0, ""
    yield "not told", SUITE_LOG, 0, "does not hold"
    yield "one a sample", spoilt(EXACT_LOG, "9 NMIs, every instruction", "9 NMIs (a sample)"), 0, "does not hold"


def job_cases():
    yield "complete", JOB_LOG, 0, ""
    yield "wrong status", JOB_LOG, judge.PANIC, "ended with 2"
    yield "two banners", JOB_LOG + JOB_LOG.splitlines()[0], 0, "2 boot banners"
    for n, line in enumerate(JOB_LOG.splitlines()):
        if n != 1:
            yield f"without '{line[:30]}'", without_line(JOB_LOG, n), 0, "."
    for column in ("thread 100", "irq 20", "nmi 30", "debug 40", "ticks 50", "nmis 60"):
        name = column.split()[0]
        yield f"no {name}", spoilt(JOB_LOG, f" {column}", f" {name} 0"), 0, f"cpu 0: {name} count is 0"
        yield f"{name} not there", spoilt(JOB_LOG, f" {column}", ""), 0, f"cpu 0: {name} count is not there"
    yield "too few NMIs", spoilt(JOB_LOG, "nmi 30", "nmi 29"), 0, "59 operations in NMIs"
    yield "NULL in the allocator", spoilt(JOB_LOG, "NULL, 0 of them", "NULL, 1 of them"), 0, "NMIs in the allocator"
    yield "none in the allocator", spoilt(JOB_LOG, "allocator: 25", "allocator: 0"), 0, "NMIs in the allocator"
    yield "a failure", spoilt(JOB_LOG, "free: 0", "free: 1"), 0, "failures while memory was free: 1"
    yield "a page lost", spoilt(JOB_LOG, "now 129604", "now 129603"), 0, "pages at boot and now"
    yield "a free not served", spoilt(JOB_LOG, "12 served", "11 served"), 0, "frees deferred and served"
    yield "nothing deferred", spoilt(JOB_LOG, "12 frees deferred, 12", "0 frees deferred, 0"), 0, "frees deferred and served"
    yield "an error in a block", spoilt(JOB_LOG, "blocks: 0", "blocks: 1"), 0, "errors: "
    yield "bad use", spoilt(JOB_LOG, "use: 0", "use: 1"), 0, "errors: "
    yield "a difference", spoilt(JOB_LOG, "walk: 0", "walk: 10"), 0, "errors: "
    yield "failed", spoilt(JOB_LOG, "job: passed", "job: FAILED"), 0, "main job: passed"
    yield "bad call", JOB_LOG + "mm: bad call: x\n", 0, "mm: bad call:"
    for line in PANIC_LINES:
        yield f"'{line}'", JOB_LOG + line + "\n", 0, "the log holds: " + line


def replay_cases():
    yield "the same", REPLAY_LOG, 0, ""
    yield "a difference", spoilt(REPLAY_LOG, "ipis 7", "ipis 8"), 0, "the second run differs from line 3 on"
    yield "the seed is not used", REPLAY_LOG.replace("thread 101", "thread 100"), 0, "another seed makes no difference"
    yield "panic of the third", REPLAY_LOG + PANIC_LINES[0] + "\n", 0, "PANIC on"


def outcome_cases():
    yield "as wanted", GOOD_END, SUITE_LOG, 0, ""
    yield "words missing", GOOD_END, "", 0, "does not hold"
    yield "passed, with a panic", GOOD_END, SUITE_LOG + PANIC_LINES[1], 0, "panic on CPU"
    yield "a panic that is wanted", BAD_END, "memory\n" + PANIC_LINES[0], judge.PANIC, ""
    yield "passed where it should not", BAD_END, "memory", 0, "ended with 0"
    yield "hung where it should not", BAD_END, "memory", judge.HANG, "wanted: failed or panic"


def check(name, boot, log, status, reason, failures=None):
    """reason: in one of the problems; ".": any; "": there are none; failures: how many."""
    verdict = judge.JUDGES[boot.kind](boot, status, log)
    reasons = "\n".join(verdict.problems)
    wanted = failures if failures is not None else int(bool(reason))
    if verdict.failed == wanted and (reason in (".", "") or reason in reasons):
        return True
    print(f"{boot.kind}: {name}: {verdict.failed} failed, wanted {wanted}, by '{reason}': {reasons or 'no reasons'}")
    return False


MATRIX_LOG = """\
  # Subtest: matrix
  # thread: all calls in threads
  # 3188 ms
  ok 1 thread
  # 12 ms
  not ok 2 irq_off
  # 0 ms
  ok 3 irq # SKIP not here
  # nmi: the same in NMIs
"""


def check_table():
    """The table of the matrix tells what failed, was skipped, or never came; and its sweep."""
    rows = judge.presets.table([("matrix-up-smp1", False, MATRIX_LOG, 1.0), ("sweep-up", True, "", 61.2),
                                ("job-smp2", True, "", 2.0)])
    good = rows and rows[-1].split() == ["up", "1", "3188", "FAIL", "skip", "FAIL", "FAIL", "FAIL", "61", "s"]
    if not good:
        print(f"the table of the matrix: {rows[-1:]}")
    return bool(good) and not judge.presets.table([("job-smp2", True, "", 2.0)])


def check_tiny_job():
    """Without magazines nothing is deferred; elsewhere that is wrong."""
    none = JOB_LOG.replace("12 frees deferred, 12 served", "0 frees deferred, 0 served")
    tiny = none.replace("anyctx: boot", "anyctx: config tiny\nanyctx: boot", 1)
    good = judge.judge_job(JOB, 0, tiny).passed == 1 and judge.judge_job(JOB, 0, none).failed == 1
    if not good:
        print("a job without deferral is judged wrongly")
    return good


SETTINGS = ("T", "SMP", "MEM", "ARGS", "FIRMWARE", "NUMA", "MACHINE", "CPU", "TIMEOUT")


def asked(setting, hosted=None):
    """The boots that these settings ask for."""
    options = argparse.Namespace(matrix=False, preset=None, hosted=hosted, long=False, only="*")
    with mock.patch.dict(os.environ, dict.fromkeys(SETTINGS, "") | setting):
        return judge.selected(options)


def check_limits():
    """TIMEOUT=0 is no limit, here and in the wrapper; any other is that; without it boots have their own."""
    limits = [(judge.host_limit(b), judge.host_limit(b, 60)) for seconds in ("0", "7", "")
              for hosted in (None, "build/hosted/anyctx") for b in asked({"T": "lib.*", "TIMEOUT": seconds}, hosted)]
    good = limits == [(None, None)] * 2 + [(7, 67)] * 2 + [(480, 540), (1800, 1860)]
    if not good:
        print(f"limits of boots: {limits}")
    return good


def check_given():
    """Each setting that run-tests.py names asks for one boot, on that machine."""
    given = {"SMP": "2", "MEM": "2G", "FIRMWARE": "uefi", "NUMA": "2", "MACHINE": "pc", "CPU": "host"}
    wrong = [k for k, v in given.items() for todo in [asked({k: v})] if len(todo) != 1 or todo[0].machine.get(k) != v]
    if wrong or len(asked({})) < 2:
        print(f"boots asked for by {wrong}")
    return not wrong and len(asked({})) > 1


def load(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), Path(__file__).with_name(name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_arguments():
    """A kernel argument without a row, a row without one, two rows, the other's table, an empty cell."""
    tool = load("check-arguments")
    text = "## Kernel arguments\n| `a`, `b` | 0 | 0 | x |\n### The process\n| `cpus` | 1 | 4 | CPUs |\n## End\n| `c` | | |\n"
    known = {"a": False, "b": False, "cpus": True}
    wrongs = [tool.check(known, text), tool.check(known | {"c": False}, text), tool.check({"a": False, "cpus": True}, text),
              tool.check(known, text.replace("`b`", "`a`")), tool.check(known | {"cpus": False}, text), tool.check(known, text.replace("4", ""))]
    good = [len(w) for w in wrongs] == [0, 1, 1, 2, 1, 1] and len(tool.arguments(tool.sources())) > 50
    if not good:
        print(f"kernel arguments: {wrongs}")
    return good


def check_costs():
    """A row that was measured replaces the one that was there; the others, in both tables, stay as they were."""
    costs = load("costs")
    size = {"code": 1, "data": 2, "allocator": 3, "a CPU": 4}
    one = {"figures": {}, "bytes": size, "MiB": 5}
    everything = costs.rewritten(f"a\n{costs.BEGIN}\n{costs.END}\nz\n", {"default": one, "tiny": one, "memcg": one, "gone": one})
    again = costs.rewritten(everything, {"tiny": one | {"MiB": 77}})
    changed = [(a, b) for a, b in zip(everything.splitlines(), again.splitlines()) if a != b]
    good = costs.rewritten(everything, {}) == everything and everything.count("\n| default |") == 2 and "gone" not in everything \
        and len(changed) == 1 and changed[0][0].endswith("| 5 |") and changed[0][1].endswith("| 77 |")
    if not good:
        print(f"costs: {changed}\n{again}")
    return good


def recipe(*words):
    """What make would do."""
    env = {k: v for k, v in os.environ.items() if k not in (*SETTINGS, "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CONFIG")}
    done = subprocess.run(["make", "-n", *words], cwd=bench.ROOT, env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def check_make():
    """A variant runs all of its boots, or those that any one setting asks for."""
    line = "tools/run-tests.py"
    all_of_it = re.findall(rf"{line}.*", recipe("test", "CONFIG=rt"))
    given = [re.findall(rf"{line}.*", recipe("test", "CONFIG=rt", f"{s}=x"))[-1:] for s in SETTINGS if s != "TIMEOUT"]
    good = all_of_it[-1:] == [f"{line} --preset rt"] and all(g[0].strip() == line for g in given)
    if not good:
        print(f"make test CONFIG=rt: {all_of_it}, with a setting: {given}")
    refused = "CONFIG=kasan is too large for the replay image" in recipe("build/kasan/replay.img", "CONFIG=kasan")
    taken = "too large" not in recipe("build/kasan/bench-only/replay.img", "CONFIG=kasan", "TESTS=no")
    if not (refused and taken):
        print(f"the replay image of kasan: with tests {'refused' if refused else 'taken'}, without {'taken' if taken else 'refused'}")
    return good and refused and taken


def check_elf():
    """The sizes are those of the image that is booted."""
    with mock.patch.dict(os.environ, {"REPLAY_IMG": "build/up/replay.img"}):
        variant = bench.elf()
    with mock.patch.dict(os.environ, {"REPLAY_IMG": ""}):
        good = (variant, bench.elf()) == (bench.ROOT / "build/up/anyctx.elf", bench.ROOT / "build/anyctx.elf")
    if not good:
        print(f"the image of a variant: {variant}")
    return good


def main():
    results = [check(name, SUITE, log, status, reason) for name, log, status, reason in suite_cases()]
    results += [check(name, SUITE, log, status, reason, n) for name, log, status, reason, n in failed_suite_cases()]
    results += [check(name, EXACT, log, status, reason) for name, log, status, reason in exact_cases()]
    results += [check(name, JOB, log, status, reason) for name, log, status, reason in job_cases()]
    results += [check(name, REPLAY, log, status, reason) for name, log, status, reason in replay_cases()]
    results += [check(name, boot, log, status, reason) for name, boot, log, status, reason in outcome_cases()]
    results += [check_table(), check_tiny_job(), check_limits(), check_given(), check_make(), check_elf(), check_arguments(), check_costs()]
    print(f"judges: {len(results)} logs, {results.count(False)} judged wrongly")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

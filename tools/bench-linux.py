#!/usr/bin/env python3
"""bench-linux.py - the same operations in Linux, in the same QEMU, beside ours.

Fetches Debian kernels with apt (into build/linux, once; nothing is installed),
builds bench/linux/module.c and init.c for each, boots it with -icount as our own
benchmarks are, and prints both with the ratio. Needs build/bench/latest.json for
our side: `make bench BENCH=main` first.

  bench-linux.py [--kernel PATTERN] [--storm] [--kept] [--ours FILE]

--kernel names versions (default: the newest 6.18, and the newest there is);
--kept boots nothing and compares the figures of last time; --storm sends NMIs from a second CPU instead, without -icount: hangs, and NULLs
while memory was free.
"""
import argparse
import fnmatch
import json
import lzma
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "linux"
OUT = ROOT / "build" / "bench"
SOURCES = ROOT / "bench" / "linux"
SUITE = "trixie-backports"
FIGURE = re.compile(r"@ ([^|]+)\|([^|]+)\|([^|]+)\|(-?[0-9.]+)\s*$")
COMMAND_LINE = ("console=ttyS0 quiet loglevel=4 printk.time=0 panic=-1 mitigations=off init_on_alloc=0 "
                "init_on_free=0 nowatchdog isolcpus=1 rdinit=/init")
CFLAGS = ["-O2", "-ffreestanding", "-Wall", "-Wextra", "-Werror", "-mno-red-zone", "-fno-pic", "-fno-pie",
          "-fcf-protection=none", "-fno-stack-protector", "-fno-asynchronous-unwind-tables",
          "-fno-tree-loop-distribute-patterns"]


class Failure(Exception):
    pass


def output(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, words))}\n{done.stderr[-2000:]}")
    return done.stdout


# ---- packages: apt with lists of its own, so that the system's sources stay as they are

def apt_options():
    return ["-o", f"Dir::Etc::SourceList={WORK}/apt/sources.list", "-o", "Dir::Etc::SourceParts=-",
            "-o", f"Dir::State::Lists={WORK}/apt/lists", "-o", f"Dir::Cache={WORK}/apt/cache",
            "-o", "APT::Sandbox::User=root"]


def mirror():
    """The Debian mirror that apt uses here."""
    for line in output("apt-get", "indextargets", "--format", "$(SITE) $(ORIGIN)").splitlines():
        site, _, origin = line.partition(" ")
        if origin == "Debian" and not site.rstrip("/").endswith("security"):
            return site
    raise Failure("apt has no Debian mirror here: bench-linux takes its kernels from Debian")


def apt_ready():
    for part in ("lists/partial", "cache/archives/partial"):
        (WORK / "apt" / part).mkdir(parents=True, exist_ok=True)
    sources = WORK / "apt" / "sources.list"
    if not sources.exists():
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        sources.write_text(f"deb [signed-by={keys}] {mirror()} {SUITE} main\n")
        output("apt-get", *apt_options(), "-q", "update")


def version_key(version):
    return [int(n) for n in re.findall(r"\d+", version.split("+")[0])]


def offered():
    """The versions of the plain amd64 kernels in the suite, oldest first."""
    found = set()
    for line in output("apt-cache", *apt_options(), "search", "--names-only", r"^linux-image-[0-9].*-amd64$").splitlines():
        m = re.match(r"linux-image-([0-9.]+\+deb\d+)-amd64 ", line)
        if m:
            found.add(m.group(1))
    return sorted(found, key=version_key)


def packages(version):
    """What holds the kernel and its modules: one package, or since 7.x two more."""
    names = [f"linux-image-{version}-amd64"]
    depends = output("apt-cache", *apt_options(), "depends", "--important", names[0])
    names += re.findall(rf"Depends: (linux-(?:binary|modules)-{re.escape(version)}-amd64)", depends)
    return names


def fetched(version):
    """The folder with the kernel's files."""
    folder = WORK / version
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"fetching Linux {version}", flush=True)
        output("apt-get", *apt_options(), "-q", "download", *packages(version), cwd=folder)
        for deb in folder.glob("*.deb"):
            output("dpkg-deb", "-x", str(deb), str(folder / "files"))
            deb.unlink()
        (folder / "done").touch()
    return folder


# ---- ELF, as much as is needed

def sections(elf):
    """{name: (index, offset, size, info)}"""
    offset, = struct.unpack_from("<Q", elf, 0x28)
    count, names_at = struct.unpack_from("<HH", elf, 0x3c)
    heads = [struct.unpack_from("<IIQQQQIIQQ", elf, offset + 64 * i) for i in range(count)]
    names = heads[names_at][4]
    return {elf[names + h[0]:elf.index(b"\0", names + h[0])].decode(): (i, h[4], h[5], h[7])
            for i, h in enumerate(heads)}


def frame_of(folder):
    """Of a module of this kernel: descriptor size, where init's address is in it, version text."""
    path = next(p for p in sorted(folder.glob("files/**/kernel/drivers/block/*/*.ko.xz")))
    elf = lzma.decompress(path.read_bytes())
    parts = sections(elf)
    _, at, size, _ = parts[".rela.gnu.linkonce.this_module"]
    init = min(struct.unpack_from("<Q", elf, at + 24 * i)[0] for i in range(size // 24))
    _, at, length, _ = parts[".modinfo"]
    info = dict(word.split(b"=", 1) for word in elf[at:at + length].split(b"\0") if b"=" in word)
    return parts[".gnu.linkonce.this_module"][2], init, info[b"vermagic"].decode()


# ---- build

def cpio(files):
    """A newc archive of (name, mode, content)."""
    out = b""
    for inode, (name, mode, content) in enumerate([*files, ("TRAILER!!!", 0, b"")], 1):
        fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
        out += head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)
    return out


def initrd(version, storm):
    folder = fetched(version)
    size, init, vermagic = frame_of(folder)
    module, program = folder / "module.ko", folder / "init"
    output("gcc", *CFLAGS, "-mcmodel=kernel", "-mgeneral-regs-only", f"-DFRAME_SIZE={size}", f"-DFRAME_INIT={init}",
           f'-DVERMAGIC="{vermagic}"', f"-DSTORM={int(storm)}", "-c", "-o", str(module), str(SOURCES / "module.c"))
    _, at, length, _ = sections(module.read_bytes())[".anyctx.symbols"]
    output("gcc", *CFLAGS, "-static", "-nostdlib", f"-DSYMBOLS_AT={at}", f"-DNR_SYMBOLS={length // 56}",
           "-o", str(program), str(SOURCES / "init.c"))
    image = folder / "initrd"
    console = ("dev/console", 0o020600, b"")
    image.write_bytes(cpio([("proc", 0o040755, b""), ("dev", 0o040755, b""), ("init", 0o100755, program.read_bytes()),
                            ("module.ko", 0o100644, module.read_bytes()), console]))
    return image


def boot(version, storm):
    image = initrd(version, storm)
    kernel = next(p for p in (WORK / version).glob("files/**/vmlinuz*") if p.is_file())
    log = WORK / f"{version}{'-storm' if storm else ''}.log"
    for old in (log, log.with_suffix(".said")):
        old.unlink(missing_ok=True)
    accel = ["-accel", "tcg,thread=multi", "-smp", "2"] if storm else \
        ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1"]
    said = log.with_suffix(".said")
    print(f"booting Linux {version}", flush=True)
    command = [os.environ.get("QEMU", "qemu-system-x86_64"), "-machine", "q35", "-cpu", "max", "-m", "2G", *accel,
               "-kernel", str(kernel), "-initrd", str(image), "-append", COMMAND_LINE, "-display", "none",
               "-nic", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
               "-serial", f"file:{log}", "-debugcon", f"file:{said}"]
    try:
        status = subprocess.run(command, timeout=900, stdin=subprocess.DEVNULL, check=False).returncode
    except subprocess.TimeoutExpired:
        status = None
    text = "".join(p.read_text(errors="replace") for p in (log, said) if p.exists())
    figures = {}
    for line in text.splitlines():
        m = FIGURE.search(line)
        if m:
            case, row, column, value = m.groups()
            figures.setdefault(case, {}).setdefault(row, {})[column] = float(value)
    if status is None and storm:
        print("   not done within 15 minutes: slow or hung")
    elif status not in ((33, 35) if storm else (33,)):
        raise Failure(f"Linux {version} ended with status {status}:\n" + "\n".join(text.splitlines()[-20:]))
    for line in text.splitlines():
        if line.startswith("bench:"):
            print("   " + line)
    return figures


# ---- side by side

def side_by_side(ours, theirs):
    """ours: figures; theirs: {version: figures}. Lines for each row and column that two have."""
    out = []
    cases = dict.fromkeys(case for figures in theirs.values() for case in figures)
    for case in cases:
        out.append(f"\n{case}: instructions, and how many times ours that is")
        out.append(f"  {'':44}{'':>7}{'anyctx':>9}" + "".join(f"{'Linux ' + v.split('+')[0]:>22}" for v in theirs))
        rows = dict.fromkeys(row for figures in theirs.values() for row in figures.get(case, {}))
        for row in rows:
            columns = dict.fromkeys(c for f in theirs.values() for c in f.get(case, {}).get(row, {}))
            for column in columns:
                mine = ours.get(case, {}).get(row, {}).get(column)
                cells = ""
                for figures in theirs.values():
                    value = figures.get(case, {}).get(row, {}).get(column)
                    ratio = f"{value / mine:8.1f} x" if value is not None and mine else f"{'':10}"
                    cells += f"{value:12.1f}{ratio}" if value is not None else f"{'-':>12}{'':10}"
                out.append(f"  {row:44}{column:>7}" + (f"{mine:9.1f}" if mine is not None else f"{'-':>9}") + cells)
    return "\n".join(out)


def storm_table(theirs):
    out = ["\nNMIs from CPU 1 while CPU 0 allocates and frees rows of 4,096; the NMI's own kmalloc_nolock"]
    for version, figures in theirs.items():
        out.append(f"  Linux {version}")
        for row, columns in figures.get("storm.nmi", {}).items():
            out.append(f"    {row:24}" + "".join(f"{c + ' B: ' + format(v, '.0f'):>16}" for c, v in columns.items()))
    return "\n".join(out)


def ours_from(path):
    if not path.exists():
        print(f"bench-linux.py: no {path}: make bench BENCH=main gives our side", file=sys.stderr)
        return {}
    boots = json.loads(path.read_text())["boots"]
    figures = boots.get("main", {}).get("figures", {})
    constant = figures.get("pair.constant", {}).get("kmalloc + kfree")
    if constant:
        figures["pair.objects"]["kmalloc + kfree, constant size"] = constant
    return figures


def chosen(pattern):
    all_of_them = offered()
    if pattern:
        return [v for v in all_of_them if fnmatch.fnmatch(v, pattern)]
    old = [v for v in all_of_them if v.startswith("6.18.")]
    return list(dict.fromkeys(old[-1:] + all_of_them[-1:]))


def measured(options):
    apt_ready()
    versions = chosen(options.kernel)
    if not versions:
        raise Failure(f"{SUITE} offers no such kernel; it has: {' '.join(offered())}")
    return {v: boot(v, options.storm) for v in versions}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="", metavar="PATTERN")
    parser.add_argument("--storm", action="store_true")
    parser.add_argument("--kept", action="store_true")
    parser.add_argument("--ours", default=str(OUT / "latest.json"), metavar="FILE")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    stem = "linux-storm" if options.storm else "linux"
    if options.kept:
        theirs = json.loads((OUT / f"{stem}.json").read_text())
    else:
        theirs = measured(options)
        (OUT / f"{stem}.json").write_text(json.dumps(theirs, indent=1) + "\n")
    text = storm_table(theirs) if options.storm else side_by_side(ours_from(Path(options.ours)), theirs)
    (OUT / f"{stem}.txt").write_text(text + "\n")
    print(text)
    print(f"kept in build/bench/{stem}.json and .txt")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as e:
        print(f"bench-linux.py: {e}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)

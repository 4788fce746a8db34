#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the sandbox probe for every box and compares it with expected.txt.

As root: every role with a user of its own, then everything again as an ordinary user. Without
root: only the latter. Usage: run.py [PROBE]; PROBE defaults to tests/sandbox/probe.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ORDINARY = 65534
LIVE_AT_LEAST = 20

passed = failed = 0


def check(ok, what, detail=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {what}: {detail}")


def read_table():
    with open(os.path.join(HERE, "expected.txt"), encoding="ascii") as f:
        rows = [line.split() for line in f if line.strip() and line[0] != "#"]
    boxes = rows[0][1:]
    return boxes, {r[0]: dict(zip(boxes, r[1:], strict=True)) for r in rows[1:]}


class Runner:
    """The probe as one user."""

    def __init__(self, probe, user):
        self.probe = probe
        self.root = user == 0
        self.name = "root" if self.root else "user"
        self.prefix = []
        if not self.root and os.geteuid() == 0:
            self.prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
                           "--bounding-set=-all", "--inh-caps=-all"]

    def run(self, mode, box):
        env = {"PATH": "/usr/bin:/bin", "PROBE_CANARY": "in-the-environment"}
        return subprocess.run(self.prefix + [self.probe, mode, box], env=env, timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)

    def lines(self, mode, box):
        p = self.run(mode, box)
        pairs = [line.split(": ", 1) for line in p.stdout.splitlines() if ": " in line]
        return p, dict(pairs)


def holds(cell, fate, level):
    """Is what happened what the table says?"""
    if cell == "?":
        return True
    if cell in ("R1", "R4", "R6") and level["landlock"] < int(cell[1]):
        return True
    if cell == "RH" and not level["hidden"]:
        return True
    word = {"K": "killed SIGSYS", "R": "refused", "S": "succeeded"}[cell[0]]
    return fate.startswith(word)


def check_level(r, box):
    """The level text and what the kernel says of the process."""
    p = r.run("level", box)
    where = f"{r.name} {box} level"
    text = p.stdout.split("\n", 1)[0]
    m = re.fullmatch(r"seccomp=(enforce|log) landlock=(\d+) nnp=1 caps=0 user=(own|caller) "
                     r"memlock=(none|ok|hidden)", text)
    check(m is not None, where, text + p.stderr)
    if m is None:
        return {"enforce": True, "landlock": 0, "hidden": False}
    check(m[3] == ("own" if r.root else "caller"), where, text)
    status = dict(re.findall(r"^(\w+):[ \t]*(.*)$", p.stdout, re.M))
    check(status.get("Seccomp") == "2", where, "Seccomp")
    check(status.get("NoNewPrivs") == "1", where, "NoNewPrivs")
    for cap in ("CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"):
        check(int(status.get(cap, "1"), 16) == 0, where, f"{cap} {status.get(cap)}")
    uids = set(status.get("Uid", "0").split())
    check(len(uids) == 1 and "0" not in uids, where, f"Uid {uids}")
    if r.root or r.prefix:
        check(status.get("Groups") == "", where, f"Groups {status.get('Groups')}")
    return {"enforce": m[1] == "enforce", "landlock": int(m[2]), "hidden": m[4] == "hidden"}


def check_needs(r, box):
    p, got = r.lines("needs", box)
    check(len(got) >= 6 and p.returncode == 0, f"{r.name} {box} needs",
          f"exit {p.returncode} {p.stderr[-300:]}")
    for name, fate in got.items():
        check(fate == "ok", f"{r.name} {box} need {name}", fate)


def check_attempts(r, box, table, level):
    p, got = r.lines("attack", box)
    check(p.returncode == 0, f"{r.name} {box} attack", p.stderr[-300:])
    check(got.keys() == table.keys(), f"{r.name} {box} attempts are those of the table",
          got.keys() ^ table.keys())
    for name in table:
        fate = got.get(name, "missing")
        check(holds(table[name][box], fate, level), f"{r.name} {box} {name}",
              f"{fate}, expected {table[name][box]}")
    return sum(fate == "succeeded" for fate in got.values())


def run_as(r, boxes, table):
    free = ("same-uid", "guarded", "root")
    level = {"enforce": True, "landlock": 0, "hidden": False}
    for box in boxes:
        if box in free:
            continue
        level = check_level(r, box)
        check_needs(r, box)
        if not level["enforce"]:
            print(f"{r.name} {box}: a sanitizer build logs only, attempts are not judged")
            continue
        count = check_attempts(r, box, table, level)
        print(f"{r.name} {box}: {count} of {len(table)} succeeded")
    for box in free:
        if box == "root" and not r.root:
            continue
        count = check_attempts(r, box, table, level)
        print(f"{r.name} {box}, not boxed: {count} of {len(table)} succeeded")
        if box != "guarded":
            check(count >= LIVE_AT_LEAST, f"{r.name} {box}: the attempts are live", count)


def main():
    probe = sys.argv[1] if len(sys.argv) > 1 else "tests/sandbox/probe"
    boxes, table = read_table()
    # Where every user can run it.
    with tempfile.TemporaryDirectory() as tmp:
        os.chmod(tmp, 0o755)
        copy = shutil.copy(probe, os.path.join(tmp, "probe"))
        os.chmod(copy, 0o755)
        if os.geteuid() == 0:
            run_as(Runner(copy, 0), boxes, table)
            run_as(Runner(copy, ORDINARY), boxes, table)
        else:
            run_as(Runner(copy, os.geteuid()), boxes, table)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Search for planted secrets: in the memory of processes, in files, in plain and encoded."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote


def forms(secret):
    """Every spelling in which the secret would still be the secret."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "percent": quote(secret, safe="").encode(),
        "percent-all": "".join(f"%{b:02X}" for b in raw).encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "json-slash": json.dumps(secret)[1:-1].replace("/", "\\/").encode(),
        "utf-16": secret.encode("utf-16-le"),
        "reversed": raw[::-1],
    }
    for shift in range(3):
        # base64 at each alignment: the characters that the secret alone decides
        text = base64.b64encode(b"\0" * shift + raw + b"\0\0")
        text = text[-(-8 * shift // 6):8 * (shift + len(raw)) // 6]
        found[f"base64-{shift}"] = text
        found[f"base64url-{shift}"] = text.replace(b"+", b"-").replace(b"/", b"_")
    return {name: f for name, f in found.items() if len(f) >= 8}


WHOLE = 1 << 28  # larger mappings are read in steps, so that a step's edge may hide a hit


def scan_process(pid, needles, marks=()):
    """{needle name: copies} in all readable memory of a process. Needs root. marks: octets of
    which every needle has one; mappings without any of them are not searched further."""
    hits = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)\s*(.*)", line)
            at, end = int(m[1], 16), int(m[2], 16)
            if "r" not in m[3] or m[5] in ("[vvar]", "[vsyscall]"):
                continue
            if m[5].startswith("/") and "w" not in m[3] and not m[5].endswith("(deleted)"):
                continue  # a file's own octets, which are searched as files
            while at < end:
                size = min(end - at, WHOLE)
                try:
                    mem.seek(at)
                    data = mem.read(size)
                except OSError:
                    break  # memfd_secret: nobody reads it this way
                if not marks or any(x in data for x in marks):
                    for name, needle in needles.items():
                        n = data.count(needle)
                        if n:
                            hits[name] = hits.get(name, 0) + n
                at += size
    for name in ("environ", "cmdline"):
        with open(f"/proc/{pid}/{name}", "rb") as f:
            data = f.read()
        hits.update({f"{name}: {n}": data.count(x) for n, x in needles.items() if x in data})
    return hits


class NeedsRoot(Exception):
    pass


def scan_processes(pids, needles, marks=()):
    """{pid: hits}; by way of sudo when we are not root, NeedsRoot when that does not work."""
    if os.geteuid() == 0:
        return {pid: scan_process(pid, needles, marks) for pid in pids}
    try:
        done = subprocess.run(
            ["sudo", "-n", sys.executable, __file__], capture_output=True, text=True,
            input=json.dumps([list(pids), {n: x.hex() for n, x in needles.items()},
                              [x.hex() for x in marks]]))
        problem = done.stderr if done.returncode != 0 else ""
    except FileNotFoundError as e:
        problem = str(e)
    if problem:
        raise NeedsRoot(f"to look into memory takes root, or sudo without a password: {problem}")
    return {int(pid): hits for pid, hits in json.loads(done.stdout).items()}


def scan_files(root, needles):
    hits = {}
    for path in Path(root).rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            for name, needle in needles.items():
                if needle in data:
                    hits.setdefault(str(path), []).append(name)
    return hits


if __name__ == "__main__":
    wanted, texts, marked = json.load(sys.stdin)
    texts = {n: bytes.fromhex(x) for n, x in texts.items()}
    marked = [bytes.fromhex(x) for x in marked]
    json.dump({pid: scan_process(pid, texts, marked) for pid in wanted}, sys.stdout)

# SPDX-License-Identifier: Apache-2.0
"""Search for planted secrets: in the memory of processes, in files, in plain and encoded."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import quote

import root


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


def _scan(pids, needles, marks):
    needles = {n: bytes.fromhex(x) for n, x in needles.items()}
    marks = [bytes.fromhex(x) for x in marks]
    return {str(pid): scan_process(pid, needles, marks) for pid in pids}


def scan_processes(pids, needles, marks=()):
    """{pid: hits}, see scan_process."""
    found = root.call(_scan, list(pids), {n: x.hex() for n, x in needles.items()},
                      [x.hex() for x in marks])
    return {int(pid): hits for pid, hits in found.items()}


def scan_files(top, needles):
    hits = {}
    for path in Path(top).rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            for name, needle in needles.items():
                if needle in data:
                    hits.setdefault(str(path), []).append(name)
    return hits

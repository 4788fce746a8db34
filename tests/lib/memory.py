# SPDX-License-Identifier: Apache-2.0
"""Search for planted secrets: in the memory of processes, in files, in plain and encoded."""

import base64
import json
import os
import re
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


def scan_process(pid, needles):
    """{needle name: copies} in all readable memory of a process. Needs root."""
    hits = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
            if "r" not in m[3] or m[4] in ("[vvar]", "[vsyscall]"):
                continue
            at, end = int(m[1], 16), int(m[2], 16)
            while at < end:
                size = min(end - at, 1 << 24)
                try:
                    mem.seek(at)
                    data = mem.read(size)
                except OSError:
                    break
                for name, needle in needles.items():
                    n = data.count(needle)
                    if n:
                        hits[name] = hits.get(name, 0) + n
                at += size
    return hits


def scan_files(root, needles):
    hits = {}
    for path in Path(root).rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            for name, needle in needles.items():
                if needle in data:
                    hits.setdefault(str(path), []).append(name)
    return hits


def readable():
    return os.geteuid() == 0

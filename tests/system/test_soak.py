# SPDX-License-Identifier: Apache-2.0
"""Many SEAL sessions and calls without growth. AEGIS_SOAK=SESSIONS,CALLS for the long run
(10000,1000000); every run of the tests makes a short one, of the same shape."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from lab import Lab

TOP = Path(__file__).resolve().parents[2]
SESSIONS, CALLS = (int(n) for n in os.environ.get("AEGIS_SOAK", "1000,60000").split(","))
CONNECTIONS = 50
WINDOW_S = 65  # an envelope is remembered this long, so that it cannot be used again
MARK = 128  # octets that may take: 16 in a table that doubles when three quarters are taken, as
# many again in a buffer that doubles, until the batch that a restart reads is written


def compiled(directory, name, *sources):
    out = directory / name
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-I", str(TOP), "-o", str(out),
                    *(str(TOP / "tests" / "bench" / s) for s in sources), "-lsodium"], check=True)
    out.chmod(0o755)
    return out


def used(pid):
    """Private memory in KiB, shared pages of programs and libraries not counted; descriptors."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", text, re.M))
    return private, len(os.listdir(f"/proc/{pid}/fd"))


def usage(lab):
    return {title: used(pid) for pid, title in lab.children().items()}


@pytest.fixture
def soaked(prefix, place):
    tool = compiled(place, "quick_tool", "quick_tool.c")
    lab = Lab(prefix, place / "aegis", log_level="warn",
              gate="  max_connections_per_agent: 1000",
              tools=f"tools:\n  mcp_servers:\n    - name: quick\n      executable: {tool}\n"
                    "      capabilities: [noop]\n",
              contexts="contexts:\n  - name: soak\n    capabilities: [{tool_pattern: noop}]\n",
              extra="seal:\n  attest_per_minute: 100000\n").init()
    lab.start()
    yield lab
    lab.stop()


def test_calls_of_many_sessions_leave_nothing_behind(soaked, place):
    lab = soaked
    loader = compiled(place, "seal_load", "seal_load.c", "seal_sessions.c")
    token = lab.agent("soak", contexts=["soak"])
    with subprocess.Popen([str(loader), "127.0.0.1", str(lab.port), str(CONNECTIONS),
                           str(SESSIONS), "soak"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:

        def step(line):
            p.stdin.write(f"{line}\n")
            p.stdin.flush()
            r = json.loads(p.stdout.readline())
            assert r["bad"] == 0, r["example"]
            return r

        attested = step(token)
        assert attested["calls"] == SESSIONS
        began = time.monotonic()
        step(CALLS // 2)  # every cache and pool as full as it will be
        full = time.monotonic() - began > WINDOW_S  # and as many calls remembered
        before = usage(lab)
        r = step(CALLS - CALLS // 2)
        after = usage(lab)
        p.stdin.close()
    print(json.dumps({"attested_per_s": attested["rate"], **r,
                      "private_kib": {t: (b[0], after[t][0]) for t, b in before.items()}}))
    rows = sum(b'"kind":"decision"' in line and b'"tool":"noop"' in line
               for f in lab.data.glob("judge/ledger/*.jsonl") for line in open(f, "rb"))
    assert rows == CALLS, "a row for each call, and no other"
    assert before.keys() == after.keys(), "somebody was started anew"
    for title, (memory, descriptors) in before.items():
        assert after[title][1] <= descriptors, (title, "descriptors", descriptors, after[title][1])
        more = 1024
        if title == "keymasterd: judge":  # the index: some fifty octets for every 256 rows
            more += (MARK if not full else 1) * r["calls"] // 1024
        assert after[title][0] <= memory + more, (title, "KiB", memory, after[title][0])

# SPDX-License-Identifier: Apache-2.0
"""The rest of the benchmark: big bodies, idle connections, a ledger that survives power cuts.
Used by bench.py; the same rules: side by side, interleaved, ratios within a round."""

import re
import socket
import statistics
import subprocess
import time
from pathlib import Path

GIB = 1 << 30


def pss(pid):
    return int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])


def peak_while(pids, run):
    """What run() gives, and the greatest PSS of each process meanwhile, in KiB."""
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as p:
        most = {}
        while p.poll() is None:
            for pid in pids():
                try:
                    most[pid] = max(most.get(pid, 0), pss(pid))
                except (FileNotFoundError, ProcessLookupError):
                    pass
            time.sleep(0.05)
        out = p.stdout.read()
    if p.returncode != 0:
        raise RuntimeError(f"{run}: exit {p.returncode}")
    return out, most


def curl(url, headers, *more):
    args = ["curl", "-s", "-S", "-f", "-o", "/dev/null", "-w", "%{time_total} %{size_download} %{size_upload}"]
    for h in headers:
        args += ["-H", h]
    return [*args, *more, url]


def big_bodies(targets, directory, rounds, size=GIB):
    """targets: {name: (url, headers, pids())}; below url are `big`, a file of that size in
    `directory`, and `put/`, which takes one."""
    body = directory / "big"
    rates, peaks = {}, {}
    subprocess.run(["truncate", "-s", str(size), str(body)], check=True)
    for _ in range(rounds):
        for way, more in (("down", ()), ("up", ("-T", str(body), "-X", "PUT"))):
            for name, (url, headers, pids) in targets.items():
                out, most = peak_while(pids, curl(f"{url}/{'big' if way == 'down' else 'put/sink'}", headers, *more))
                took, down, up = out.split()
                if int(down if way == "down" else up) != size:
                    raise RuntimeError(f"{name} {way}: {out}")
                rates.setdefault((way, name), []).append(size / float(took) / 1e6)
                for pid, kib in most.items():
                    peaks[name, pid] = max(peaks.get((name, pid), 0), kib)
    lines = [f"| {size >> 20} MiB | nginx MB/s | Aegis MB/s | ratio |", "|---|---|---|---|"]
    for way in ("down", "up"):
        n, a = rates[way, "nginx"], rates[way, "aegis"]
        ratio = statistics.median(x / y for x, y in zip(a, n))
        lines.append(f"| {way} | {statistics.median(n):,.0f} | {statistics.median(a):,.0f} | **{ratio:.2f}** |")
    most = max(kib for (name, _), kib in peaks.items() if name == "aegis")
    return "\n".join(lines) + f"\n\nNo process of Aegis had more than {most / 1024:.1f} MB meanwhile.\n"


def idle_connections(port, pids, count, request):
    """KiB a connection that has made one request and then says nothing."""
    before = sum(pss(p) for p in pids())
    held = []
    try:
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", port), 10)
            s.sendall(request)
            held.append(s)
        for s in held:
            if not s.recv(65536).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("an idle connection got no answer")
        time.sleep(1)
        return (sum(pss(p) for p in pids()) - before) / count
    finally:
        for s in held:
            s.close()

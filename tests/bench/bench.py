# SPDX-License-Identifier: Apache-2.0
"""The benchmark: Aegis beside nginx, in one run, interleaved. Figures are medians of rounds
and ratios to nginx in the same round; CPU is what all processes of a target used, from
/proc/PID/schedstat. Target on one core, load and upstream on the other.

	bench.py --prefix DIR [--rounds 5] [--seconds 3] [--markdown FILE]
"""

import argparse
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

TOP = Path(__file__).resolve().parent
sys.path.insert(0, str(TOP.parent / "lib"))
from lab import Lab, Nginx, TestCA, free_port, wait_port  # noqa: E402
from seal_client import SealClient  # noqa: E402

TARGET, LOAD = 0, 1
BODY = "x" * 1024


def pin(pid, cpu):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {cpu})


def cpu_ns(pids):
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total


def tree(pid):
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        for t in os.listdir(f"/proc/{p}/task"):
            todo += [int(c) for c in Path(f"/proc/{p}/task/{t}/children").read_text().split()]
    return found


def wrk(url, connections, seconds, headers=(), script=None):
    args = ["taskset", "-c", str(LOAD), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
            "--latency", "--timeout", "10s"]
    for h in headers:
        args += ["-H", h]
    if script:
        args += ["-s", str(script)]
    out = subprocess.run([*args, url], capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", out)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])
    unit = {"us": 1, "ms": 1000, "s": 1e6}

    def percentile(p):
        m = re.search(rf"{p}%\s+([\d.]+)(us|ms|s)", out)
        return float(m[1]) * unit[m[2]]

    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    socket_errors = re.search(r"Socket errors: (.*)", out)
    if errors or socket_errors:
        raise RuntimeError(f"{url}: {out}")
    return {"requests": requests, "rate": rate, "p50": percentile(50), "p99": percentile(99)}


class NginxProxy:
    """The comparator: one reverse-proxy worker that injects the header, keep-alive."""

    def __init__(self, directory, upstream, key, ca):
        directory.mkdir()
        self.port_plain, self.port_tls = free_port(), free_port()
        user = "user root;" if os.getuid() == 0 else ""
        (directory / "nginx.conf").write_text(f"""
{user} daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log {directory}/access.log; keepalive_requests 10000000; client_max_body_size 0;
  client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  upstream plain {{ server 127.0.0.1:{upstream.plain}; keepalive 128; keepalive_requests 10000000; }}
  upstream tls {{ server 127.0.0.1:{upstream.tls}; keepalive 128; keepalive_requests 10000000; }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Authorization "Bearer {key}";
  server {{ listen 127.0.0.1:{self.port_plain}; location / {{ proxy_pass http://plain; }} }}
  server {{ listen 127.0.0.1:{self.port_tls}; location / {{ proxy_pass https://tls;
    proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca.ca}; proxy_ssl_name localhost;
    proxy_ssl_server_name on; proxy_ssl_session_reuse on; }} }}
}}
""")
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_port(self.port_plain, process=self.process)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def measure(url, connections, seconds, pids, headers=()):
    before = cpu_ns(pids)
    r = wrk(url, connections, seconds, headers)
    r["cpu_us"] = (cpu_ns(pids) - before) / 1000 / r["requests"]
    return r


def proxy_rounds(lab, proxy, token, rounds, seconds):
    header = (f"X-Aegis-Agent: {token}",)
    results = {}
    targets = {
        ("nginx", "plain"): (f"http://127.0.0.1:{proxy.port_plain}/x", ()),
        ("aegis", "plain"): (f"{lab.url}/plain/x", header),
        ("nginx", "tls"): (f"http://127.0.0.1:{proxy.port_tls}/x", ()),
        ("aegis", "tls"): (f"{lab.url}/tls/x", header),
    }
    for url, headers in targets.values():
        wrk(url, 50, 1, headers)
    for pid in tree(lab.process.pid) + tree(proxy.process.pid):
        pin(pid, TARGET)
    for n in range(rounds):
        for connections in (1, 10, 50):
            for (who, kind), (url, headers) in targets.items():
                pids = tree(lab.process.pid if who == "aegis" else proxy.process.pid)
                r = measure(url, connections, seconds, pids, headers)
                results.setdefault((kind, connections, who), []).append(r)
                print(f"  round {n + 1} {kind:5} c={connections:<3} {who:5} {r['rate']:>9.0f}/s "
                      f"p50 {r['p50']:>7.0f} p99 {r['p99']:>8.0f} us  cpu {r['cpu_us']:.1f} us",
                      file=sys.stderr)
    return results


def median_ratio(a, b, what):
    return statistics.median(x[what] / y[what] for x, y in zip(a, b))


def proxy_table(results):
    lines = ["| upstream | connections | nginx req/s | Aegis req/s | ratio | p50 ratio | p99 ratio "
             "| CPU/request nginx | CPU/request Aegis | CPU ratio |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for kind in ("plain", "tls"):
        for c in (1, 10, 50):
            a, n = results[kind, c, "aegis"], results[kind, c, "nginx"]

            def med(rows, what):
                return statistics.median(r[what] for r in rows)

            lines.append(
                f"| {kind} | {c} | {med(n, 'rate'):,.0f} | {med(a, 'rate'):,.0f} | "
                f"**{median_ratio(a, n, 'rate'):.2f}** | {median_ratio(a, n, 'p50'):.2f} | "
                f"{median_ratio(a, n, 'p99'):.2f} | {med(n, 'cpu_us'):.1f} µs | "
                f"{med(a, 'cpu_us'):.1f} µs | {median_ratio(a, n, 'cpu_us'):.2f} |")
    return "\n".join(lines)


def seal_round(lab, token, connections, count, directory):
    """`count` fresh envelopes, signed beforehand, as fast as they are answered."""
    client = SealClient(lab.url, token, "bench")
    client.attest()
    file = directory / "envelopes"
    with open(file, "w") as f:
        for _ in range(count):
            f.write(json.dumps(client.envelope("tools/call", {"name": "noop", "arguments":
                    {"n": secrets.token_hex(4)}}, datetime.now(timezone.utc))) + "\n")
    before = {p: cpu_ns([p]) for p in tree(lab.process.pid)}
    began = time.monotonic()
    out = subprocess.run(["taskset", "-c", str(LOAD), str(lab.loader), "127.0.0.1", str(lab.port),
                          str(connections), str(file)],
                         capture_output=True, text=True, check=True, timeout=60).stdout
    took = time.monotonic() - began
    r = json.loads(out)
    if r["bad"]:
        raise RuntimeError(f"{r['bad']} of {count} calls failed: {r['example']}")
    titles = lab.children()
    r["cpu_us"] = {titles.get(p, str(p)): (cpu_ns([p]) - b) / 1000 / count
                   for p, b in before.items() if Path(f"/proc/{p}").exists()}
    r["took"] = took
    return r


def openssl_verifies():
    out = subprocess.run(["taskset", "-c", str(TARGET), "openssl", "speed", "-seconds", "1",
                          "ed25519"], capture_output=True, text=True, check=True).stdout
    return float(out.split()[-1])


def memory(lab):
    lines = ["| process | PSS |", "|---|---|"]
    total = 0
    for pid, title in sorted(lab.children().items()):
        try:
            pss = int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
        except FileNotFoundError:
            continue
        if "node" in title or "quick_tool" in title:
            continue
        total += pss
        title = title.removeprefix(str(lab.prefix / "bin") + "/")
        lines.append(f"| `{title[:40]}` | {pss / 1024:.1f} MB |")
    lines.append(f"| all | {total / 1024:.1f} MB |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True, help="where quick_tool and seal_load were built")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=40000)
    parser.add_argument("--only", choices=["proxy", "seal"])
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    out = []
    with tempfile.TemporaryDirectory(prefix="aegis-bench-") as d:
        d = Path(d)
        d.chmod(0o711)
        key = secrets.token_hex(20)
        ca = TestCA(d / "ca")
        upstream = Nginx(d / "upstream", ca, key, body=BODY)
        for pid in tree(upstream.process.pid):
            pin(pid, LOAD)
        proxy = NginxProxy(d / "proxy", upstream, key, ca)
        tool = d / "quick_tool"
        tool.write_bytes((args.build / "tests/bench/quick_tool").read_bytes())
        tool.chmod(0o755)
        lab = Lab(args.prefix, d / "aegis", ca=ca, log_level="warn",
                  gate="  workers: 1\n  max_connections_per_agent: 1000",
                  tools=f"tools:\n  mcp_servers:\n    - name: quick\n      executable: {tool}\n"
                        "      capabilities: [noop]\n",
                  contexts="contexts:\n  - name: bench\n    capabilities: [{tool_pattern: noop}]\n")
        lab.loader = args.build / "tests/bench/seal_load"
        try:
            lab.init()
            for name, port, scheme in (("plain", upstream.plain, "http"), ("tls", upstream.tls, "https")):
                lab.credential(name, name, key, f"localhost:{port}", "--upstream",
                               f"{scheme}://localhost:{port}", "--allow-private")
            began = time.monotonic()
            lab.start()
            out.append(f"Start to ready: {(time.monotonic() - began) * 1000:.0f} ms.\n")
            token = lab.agent("bench", "plain", "tls", contexts=["bench"])
            out += ["Idle:\n", memory(lab), ""]
            if args.only != "seal":
                results = proxy_rounds(lab, proxy, token, args.rounds, args.seconds)
                out += ["## Proxied requests\n", proxy_table(results), ""]
            if args.only != "proxy":
                for pid in tree(lab.process.pid):
                    pin(pid, TARGET)
                rows = ["| connections | calls/s | p50 | p99 | openssl verifies/s | ratio | CPU per call by process |",
                        "|---|---|---|---|---|---|---|"]
                for c in (1, 10, 50):
                    rs, ops = [], []
                    for _ in range(args.rounds):
                        ops.append(openssl_verifies())
                        rs.append(seal_round(lab, token, c, args.calls if c > 1 else args.calls // 4, d))
                        print(f"  seal c={c} {rs[-1]['rate']:.0f}/s", file=sys.stderr)
                    cpu = rs[-1]["cpu_us"]
                    rows.append(
                        f"| {c} | {statistics.median(r['rate'] for r in rs):,.0f} | "
                        f"{statistics.median(r['p50'] for r in rs):.0f} µs | "
                        f"{statistics.median(r['p99'] for r in rs):.0f} µs | "
                        f"{statistics.median(ops):,.0f} | "
                        f"{statistics.median(r['rate'] / o for r, o in zip(rs, ops)):.2f} | "
                        + ", ".join(f"{t.split(':')[0].split('/')[-1]}{':' + t.split(':')[1] if ':' in t else ''} {v:.1f}"
                                    for t, v in cpu.items() if v > 0.2) + " |")
                out += ["## SEAL calls through a stdio tool server\n", "\n".join(rows), ""]
            out += ["After the load:\n", memory(lab), ""]
        finally:
            lab.stop()
            proxy.stop()
            upstream.stop()
    text = "\n".join(out)
    print(text)
    if args.markdown:
        args.markdown.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

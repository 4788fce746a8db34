# SPDX-License-Identifier: Apache-2.0
"""The benchmark: Aegis beside nginx, in one run, interleaved. Figures are medians of rounds
and ratios to nginx in the same round; CPU is what all processes of a target used, from
/proc/PID/schedstat. Target on one core, load and upstream on the other.

	bench.py --prefix DIR --build DIR --cache DIR [--rounds 5] [--seconds 3] [--markdown FILE]
"""

import argparse
import json
import os
import re
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

TOP = Path(__file__).resolve().parent
sys.path.insert(0, str(TOP.parent / "lib"))
from lab import Lab, Nginx, TestCA, free_port, wait_port  # noqa: E402
from seal_client import SealClient  # noqa: E402

import features  # noqa: E402
from more import big_bodies, idle_connections  # noqa: E402
from peers import peers_table  # noqa: E402

TARGET, LOAD = 0, 1
BODY = "x" * 1024
AHEAD = timedelta(seconds=20)


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
  proxy_request_buffering off; proxy_max_temp_file_size 0;
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


def measure(url, connections, seconds, pids, headers=(), script=None):
    before = cpu_ns(pids)
    r = wrk(url, connections, seconds, headers, script)
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


def ledger_table(build, results, rounds):
    """What the ledger costs: the judge's code with its rows written and not written, in turns as
    long as they are at 1, 10 and 50 connections; beside the CPU of a whole request."""
    lines = ["| connections | requests a turn | judge without rows | with | a row | of a request's CPU without it |",
             "|---|---|---|---|---|---|"]
    for c, turn in ((1, 1), (10, 4), (50, 16)):
        rs = [json.loads(subprocess.run(
            ["taskset", "-c", str(TARGET), str(build / "tests/bench/judge_hot"), "100000", str(turn)],
            capture_output=True, text=True, check=True).stdout) for _ in range(rounds)]

        def med(what):
            return statistics.median(what(r) for r in rs)

        row = med(lambda r: r["row"])
        request = statistics.median(r["cpu_us"] for r in results["plain", c, "aegis"])
        lines.append(
            f"| {c} | {turn} | {med(lambda r: r['decision_off'] + r['completion_off']):.1f} µs | "
            f"{med(lambda r: r['decision'] + r['completion'] + r['sync']):.1f} µs | **{row:.1f} µs** | "
            f"**+{200 * row / (request - 2 * row):.0f} %** |")
    return ("What the ledger costs the judge, without sockets, `fdatasync` thread included "
            "(`tests/bench/judge_hot`; two rows a request):\n\n" + "\n".join(lines))


def seal_round(lab, token, connections, count, directory, tool="noop"):
    """`count` fresh envelopes, signed beforehand, as fast as they are answered."""
    client = SealClient(lab.url, token, "bench")
    client.attest()
    file = directory / "envelopes"
    with open(file, "w") as f:
        for _ in range(count):
            # ahead of the time by less than is allowed: the last ones wait for their turn
            f.write(json.dumps(client.envelope("tools/call", {"name": tool, "arguments":
                    {"message": secrets.token_hex(4)}}, datetime.now(timezone.utc) + AHEAD)) + "\n")
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


def seal_row(lab, token, connections, args, directory, tool):
    count = args.calls if connections > 1 and tool == "noop" else args.calls // 4
    rs, ops, sodium = [], openssl_verifies(), []
    for _ in range(args.rounds):
        sodium.append(sodium_verifies(lab.loader))
        rs.append(seal_round(lab, token, connections, count, directory, tool))
        print(f"  seal {tool} c={connections} {rs[-1]['rate']:.0f}/s", file=sys.stderr)

    def med(what):
        return statistics.median(r[what] for r in rs)

    def short(title):
        return ":".join(part.split("/")[-1] for part in title.split(":")[:2])

    ratio = statistics.median(r["rate"] / s for r, s in zip(rs, sodium))
    rest = statistics.median(sum(r["cpu_us"].values()) - 1e6 / s for r, s in zip(rs, sodium))
    cpu = ", ".join(f"{short(t)} {v:.1f}" for t, v in rs[-1]["cpu_us"].items() if v > 0.2)
    return (f"| {connections} | {med('rate'):,.0f} | {med('p50'):.0f} µs | {med('p99'):.0f} µs | "
            f"{ops:,.0f} | {statistics.median(sodium):,.0f} | **{ratio:.2f}** | "
            f"**{rest:.0f} µs** | {cpu} |")


def strict_table(lab, strict, tokens, rounds, seconds):
    """A ledger that is on the disk before every answer, beside the default."""
    ratios = []
    for _ in range(rounds):
        a = wrk(f"{lab.url}/plain/x", 50, seconds, (f"X-Aegis-Agent: {tokens[0]}",))
        b = wrk(f"{strict.url}/plain/x", 50, seconds, (f"X-Aegis-Agent: {tokens[1]}",))
        ratios.append(b["rate"] / a["rate"])
    return (f"`ledger.sync: full` at 50 connections: **{statistics.median(ratios):.2f}** of the "
            "default's requests per second.")


IDLE = 10000


def more_table(lab, proxy, token, directory, rounds):
    header = (f"X-Aegis-Agent: {token}",)
    targets = {
        "nginx": (f"http://127.0.0.1:{proxy.port_plain}", (), lambda: tree(proxy.process.pid)),
        "aegis": (f"{lab.url}/plain", header, lambda: own_pids(lab)),
    }
    text = big_bodies(targets, directory, rounds)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * IDLE, hard), hard))
    request = f"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    kib = idle_connections(lab.port, lambda: tree(lab.process.pid), IDLE, request)
    return text + f"\n{IDLE:,} idle connections that have made a request: {kib:.1f} KiB each, all processes together.\n"


def features_part(args, directory, upstream, key):
    """On a gate of its own, with policies. Slices of a second: in turns it is the same processes."""
    lab = Lab(args.prefix, directory / "features", log_level="warn",
              gate="  workers: 1\n  max_connections_per_agent: 1000\n" + features.settings(directory / "policies"))

    def one(url, connections, headers, script):
        pids = tree(lab.process.pid)
        for pid in pids:
            pin(pid, TARGET)
        return measure(url, connections, 1, pids, headers, script)

    lab.init().start()
    try:
        return features.features_table(lab, upstream, key, directory, args.rounds, one)
    finally:
        lab.stop()


def start_line(lab, rounds):
    """The gate is left running."""
    took = []
    for _ in range(2 * rounds + 1):
        lab.stop()
        began = time.monotonic()
        lab.start()
        took.append((time.monotonic() - began) * 1000)
    return f"Start to ready: {statistics.median(took):.0f} ms (median of {len(took)}, {min(took):.0f} to {max(took):.0f}).\n"


def openssl_verifies():
    out = subprocess.run(["taskset", "-c", str(TARGET), "openssl", "speed", "-seconds", "1",
                          "ed25519"], capture_output=True, text=True, check=True).stdout
    return float(out.split()[-1])


def sodium_verifies(loader):
    out = subprocess.run(["taskset", "-c", str(TARGET), str(loader), "verify"],
                         capture_output=True, text=True, check=True).stdout
    return float(out)


def own_pids(lab):
    """Without the tool servers, which are somebody else's programs."""
    return [p for p, title in lab.children().items() if "node" not in title and "quick_tool" not in title]


def memory(lab):
    lines = ["| process | PSS |", "|---|---|"]
    total = 0
    titles = lab.children()
    for pid in sorted(own_pids(lab)):
        title = titles.get(pid, "")
        try:
            pss = int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
        except (FileNotFoundError, ProcessLookupError):
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
    parser.add_argument("--cache", type=Path, required=True, help="of contrib/setup")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=40000)
    parser.add_argument("--only", choices=["proxy", "features", "seal", "more"])
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    out = []
    with tempfile.TemporaryDirectory(prefix="aegis-bench-") as d:
        d = Path(d)
        d.chmod(0o711)
        key = secrets.token_hex(20)
        ca = TestCA(d / "ca")
        shm = Path(tempfile.mkdtemp(prefix="aegis-bench-", dir="/dev/shm"))  # big bodies: no disk
        shm.chmod(0o711)
        upstream = Nginx(d / "upstream", ca, key, body=BODY, workers=1, extra=f"""
    client_body_temp_path {shm}/b;
    location /big {{ root {shm}; }}
    location /put/ {{ root {shm}; dav_methods PUT; create_full_put_path on; }}""" + features.place(BODY))
        for pid in tree(upstream.process.pid):
            pin(pid, LOAD)
        proxy = NginxProxy(d / "proxy", upstream, key, ca)
        tool = d / "quick_tool"
        tool.write_bytes((args.build / "tests/bench/quick_tool").read_bytes())
        tool.chmod(0o755)
        modules = args.cache / "node/node_modules/@modelcontextprotocol"

        def aegis(name, extra=""):
            return Lab(args.prefix, d / name, ca=ca, log_level="warn", extra=extra,
                       gate="  workers: 1\n  max_connections: 20000\n  max_connections_per_agent: 20000\n"
                            "  max_body_size: 2147483648\n  idle_timeout: 5m",
                       tools=f"tools:\n  mcp_servers:\n    - name: quick\n      executable: {tool}\n"
                             f"      capabilities: [noop]\n    - name: everything\n"
                             f"      executable: {args.cache}/bin/node\n"
                             f"      args: [{modules}/server-everything/dist/index.js]\n"
                             f"      capabilities: [echo]\n      paths: [{modules.parent}]\n"
                             "      resource_limits: {memory_mb: 2048}\n",
                       contexts="contexts:\n  - name: bench\n    capabilities: "
                                "[{tool_pattern: noop}, {tool_pattern: echo}]\n")

        lab, strict = aegis("aegis"), aegis("strict", "ledger:\n  sync: full\n")
        lab.loader = args.build / "tests/bench/seal_load"
        try:
            for one in (lab, strict):
                one.init()
                for name, port, scheme in (("plain", upstream.plain, "http"), ("tls", upstream.tls, "https")):
                    one.credential(name, name, key, f"localhost:{port}", "--upstream",
                                   f"{scheme}://localhost:{port}", "--allow-private")
            out.append(start_line(lab, args.rounds))
            token = lab.agent("bench", "plain", "tls", contexts=["bench"])
            out += ["Idle:\n", memory(lab), ""]
            if args.only in (None, "proxy"):
                results = proxy_rounds(lab, proxy, token, args.rounds, args.seconds)
                ours = {c: median_ratio(results["plain", c, "aegis"], results["plain", c, "nginx"], "rate")
                        for c in (10, 50)}
                out += ["## Proxied requests\n", proxy_table(results), "", ledger_table(args.build, results, args.rounds),
                        "", peers_table(ours), ""]
            if args.only in (None, "features"):
                out += ["## What the features cost\n", features_part(args, d, upstream, key), ""]
            if args.only in (None, "more"):
                for pid in tree(lab.process.pid) + tree(proxy.process.pid):
                    os.sched_setaffinity(pid, {TARGET})
                out += ["## Big bodies and idle connections\n",
                        more_table(lab, proxy, token, shm, args.rounds), ""]
                strict.start()
                for pid in tree(strict.process.pid):
                    os.sched_setaffinity(pid, {TARGET})
                strict_token = strict.agent("bench", "plain")
                out += [strict_table(lab, strict, (token, strict_token), args.rounds, args.seconds), ""]
                strict.stop()
            if args.only in (None, "seal"):
                for pid in tree(lab.process.pid):
                    pin(pid, TARGET)
                rows = ["| tool server | connections | calls/s | p50 | p99 | openssl verifies/s | libsodium verifies/s "
                        "| calls over the latter | CPU but for the signature | CPU per call by process |",
                        "|---|---|---|---|---|---|---|---|---|---|"]
                for tool, server in (("noop", "quick_tool, answers at once"),
                                     ("echo", "server-everything, on Node")):
                    for c in (1, 10, 50):
                        rows.append(f"| {server} " + seal_row(lab, token, c, args, d, tool))
                out += ["## SEAL calls through a stdio tool server\n", "\n".join(rows), ""]
            out += ["After the load:\n", memory(lab), ""]
        finally:
            lab.stop()
            strict.stop()
            proxy.stop()
            upstream.stop()
            shutil.rmtree(shm)
    done = subprocess.run([sys.executable, str(Path(__file__).parent / "openbao.py"), str(args.prefix),
                           str(args.cache)], capture_output=True, text=True, timeout=300)
    out += ["## Tokens by OpenBao's Transit, database users by its leases\n", "```",
            (done.stdout or done.stderr).rstrip(), "```", ""]
    text = "\n".join(out)
    print(text)
    if args.markdown:
        args.markdown.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

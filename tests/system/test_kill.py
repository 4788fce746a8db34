# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each process under load (goals R1, R2, R3), of all at once, and SIGTERM.

AEGIS_KILLS is the number of kills of each kind of process; 8 unless set, 100 for the
figure in the documentation."""

import os
import random
import re
import signal
import socket
import statistics
import subprocess
import threading
import time
from collections import Counter

import ledgerdb
import procs
import pytest
import requests
from conftest import SECRET, tools_yaml
from lab import Lab, Nginx
from load import DEADLINE, Load
from seal_client import SealClient

KILLS = int(os.environ.get("AEGIS_KILLS", "8"))
PROXY, BIG, CHUNKED, POST, SEAL = "proxy", "big", "chunked", "post", "seal"
BIG_BODY = bytes(i * 31 % 251 for i in range(700_000))

# Who is killed; in this order the memory of restarts that toolhost and dispatcher keep is
# lost again before it makes them wait on purpose.
VICTIMS = ("gate", "judge", "worker", "vault", "dispatcher", "server", "toolexec", "toolhost")
# Who may go with it: a tool server lives and dies with its room and with toolhost.
TOGETHER = {"server": {"toolexec", "reaper"}, "toolexec": {"server", "reaper"},
            "toolhost": {"server", "toolexec", "reaper"}}
GOAL_S, LIMIT_S = 0.5, 2.0  # serving again: the goal, and what a busy machine is given
STEADY_S = 5.2  # who lived so long is started again at once; who did not waits on purpose
TOOL_LIMIT_S = 15.0  # a tool server of node's begins slowly, and is given a pause first

ONE_CONTEXT = """\
contexts:
  - name: adder
    capabilities:
      - tool_pattern: get-sum
"""


def nginx_for(directory, ca):
    directory.mkdir(parents=True)
    (directory / "body.bin").write_bytes(BIG_BODY)
    guard = f'if ($http_authorization != "Bearer {SECRET}") {{ return 403; }}'
    return Nginx(directory, ca, SECRET, body="you asked for $request_uri", extra=f"""
    access_log {directory}/access.log;
    location /big/ {{ {guard} rewrite ^ /body.bin break; root {directory}; }}
    location /chunked/ {{ {guard} ssi on; ssi_types *; rewrite ^ /body.bin break; root {directory}; }}
""")


def one_tool(cache):
    text = tools_yaml(cache, "/nowhere")
    return ("tools:\n  mcp_servers:\n" +
            text[text.index("    - name: everything"):])


@pytest.fixture
def site(prefix, cache, ca, place):
    """One gate process, one tool server, nginx that keeps a record; not started."""
    nginx = nginx_for(place / "nginx", ca)
    lab = Lab(prefix, place / "aegis", ca=ca, tools=one_tool(cache), contexts=ONE_CONTEXT,
              gate="  workers: 1\n").init()
    lab.credential("api", "api", SECRET, f"localhost:{nginx.tls}",
                   "--upstream", f"https://localhost:{nginx.tls}", "--allow-private")
    lab.nginx = nginx
    yield lab
    lab.stop()
    nginx.stop()


def received(lab):
    """What nginx was asked for: {path: times}."""
    time.sleep(0.3)  # it writes a line when a request is over
    log = (lab.nginx.dir / "access.log").read_text()
    return Counter(re.findall(r'"[A-Z]+ (/\S+) HTTP', log))


def verify(lab):
    """The chain by our own reading; and by the program's, from an export."""
    count = ledgerdb.check_chain(lab)
    out = lab.dir / "ledger.jsonl"
    out.unlink(missing_ok=True)
    key = lab.dir / "ledger.pub"
    key.write_text(lab.aegis("ledger", "key").stdout)
    lab.aegis("ledger", "export", "--format", "jsonl", "--output", out)
    done = lab.aegis("ledger", "verify", out, "--key", key)
    assert done.returncode == 0
    return count


def ready_for_tools(client, seconds=20):
    end = time.monotonic() + seconds
    while True:
        try:
            client.call("get-sum", {"a": 1, "b": 1})
            return
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def summary(name, values):
    values = sorted(values)
    p99 = values[min(len(values) - 1, int(len(values) * 0.99))]
    return (f"  {name:<22} {len(values):>4}x  median {statistics.median(values) * 1000:6.0f}"
            f"  p99 {p99 * 1000:6.0f}  max {values[-1] * 1000:6.0f} ms"), p99


def victim_of(found, role):
    return found[role][0]


def test_kill_each_process_under_load(site, capsys):
    site.start()
    token = site.agent("bot", "api", contexts=["adder"])
    client = SealClient(site.url, token, "adder")
    client.attest()
    ready_for_tools(client)
    load = Load(site)

    def echo(path):
        return f"you asked for {path}".encode()

    load.start(
        load.proxied(token, "api", echo, kind=PROXY),
        load.proxied(token, "api", lambda p: BIG_BODY, kind=BIG),
        load.proxied(token, "api", lambda p: BIG_BODY, kind=CHUNKED),
        load.proxied(token, "api", echo, "POST", b"p" * 40_000, kind=POST),
        load.sums(client, SEAL), load.sums(client, SEAL))
    every = {PROXY, BIG, CHUNKED, POST, SEAL}
    assert set(load.wait_good(every, time.monotonic(), 15)) == every, load.calls[-8:]

    proxied_again, tools_again, last = {}, {}, {}
    for turn in range(KILLS):
        for role in VICTIMS:
            time.sleep(max(last.get(role, 0) + STEADY_S - time.monotonic(), 0) +
                       random.uniform(0.02, 0.2))
            before = procs.by_role(site)
            pid = victim_of(before, role)
            os.kill(pid, signal.SIGKILL)
            killed = last[role] = time.monotonic()
            again = load.wait_good(every, killed, TOOL_LIMIT_S)
            where = f"turn {turn}, {role}: {again}\n{load.calls[-3:]}\n{site.log.read_text()[-2000:]}"
            assert set(again) == every, where
            proxied_again.setdefault(role, []).append(max(again[k] for k in every - {SEAL}))
            tools_again.setdefault(role, []).append(again[SEAL])
            assert proxied_again[role][-1] < LIMIT_S, where
            assert role in ("server", "toolexec", "toolhost") or again[SEAL] < LIMIT_S, where
            # one like it is there again, and nobody else went with it
            now = procs.by_role(site)
            while pid in now.get(role, ()) or len(now.get(role, ())) < len(before[role]):
                assert time.monotonic() < killed + LIMIT_S + TOOL_LIMIT_S, where
                time.sleep(0.01)
                now = procs.by_role(site)
            for other, pids in before.items():
                if other != role and other not in TOGETHER.get(role, ()):
                    assert now.get(other) == pids, (role, other)
    load.stop()

    calls = load.calls
    bad = [c for c in calls if not c.good]
    lines, worst = [], 0.0
    for title, times in (("proxied, after", proxied_again), ("tools, after", tools_again)):
        for role, values in times.items():
            line, p99 = summary(f"{title} {role}", values)
            lines.append(line)
            if times is proxied_again:
                worst = max(worst, p99)
    with capsys.disabled():
        print(f"\n  {len(calls)} calls, {len(bad)} failed (the slowest of them "
              f"{max([c.took for c in bad], default=0) * 1000:.0f} ms); serving again:")
        print("\n".join(lines))
        if worst >= GOAL_S:
            print(f"  the goal of {GOAL_S * 1000:.0f} ms was missed")

    # never silence, never half an answer for a whole one
    silent = [c for c in calls if c.took > DEADLINE or "timed out" in c.error]
    assert not silent, silent[:5]
    assert not [c for c in calls if c.wrong], [c for c in calls if c.wrong][:5]
    assert {c.status for c in calls} <= {0, 200, 429, 499, 502, 503, 504}, Counter(
        c.status for c in calls)
    assert len(bad) >= KILLS, "the kills were not felt: is there load at all?"

    # R1: what was acknowledged has its row; R3: nothing went out before its row
    rows = ledgerdb.rows(site)
    allowed = ledgerdb.requests_of(rows)
    acknowledged = [c for c in calls if c.status == 200]
    lost = [c for c in acknowledged if c.request not in allowed]
    assert not lost, (len(lost), lost[:3])
    assert len({c.request for c in acknowledged}) == len(acknowledged)
    paths = Counter(r["path"] for r in allowed.values() if r.get("service") == "api")
    came = received(site)
    assert not [p for p in came if came[p] > paths[p]], "the upstream saw what no row tells"
    assert sum(came.values()) <= sum(paths.values())
    assert sum(came.values()) >= sum(1 for c in acknowledged if c.kind != SEAL)
    assert not [p for p in came if came[p] > 1], "a request was repeated"
    # one outcome of each request, whatever the gate adds about what it told the agent; and
    # the worker's own word may come after the judge gave it up
    ended = Counter(r["request"] for r in rows if r["kind"] == "completion"
                    and "decision" not in r and r.get("code") != "late_or_unknown")
    odd = {i for i, n in ended.items() if n > 1 or i not in allowed}
    assert not odd, "\n".join(str(r) for r in rows if r.get("request") in odd)
    assert verify(site) >= len(rows)


@pytest.mark.parametrize("round_", range(5))
def test_kill_everything_at_once(site, round_):
    """What was answered is written, though nobody was left to write it."""
    site.start()
    token = site.agent("bot", "api", contexts=["adder"])
    client = SealClient(site.url, token, "adder")
    client.attest()
    if round_ % 2:
        ready_for_tools(client)
    session, ids = requests.Session(), []
    for i in range(20):
        if round_ % 2 and i % 4 == 3:
            answer = client.post(client.envelope("tools/call", {
                "name": "get-sum", "arguments": {"a": i, "b": i}}))
        else:
            answer = session.get(f"{site.url}/api/{i}", headers={"X-Aegis-Agent": token}, timeout=10)
        assert answer.status_code == 200, answer.text
        ids.append(answer.headers["X-Aegis-Request-Id"])
    pids = list(site.children())
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the master's children die with it
    site.process.wait(10)
    end = time.monotonic() + 5
    while any(procs.alive(p) for p in pids):
        assert time.monotonic() < end, "somebody outlived its master"
        time.sleep(0.01)
    site.start()
    allowed = ledgerdb.requests_of(ledgerdb.rows(site))
    assert [i for i in ids if i in allowed] == ids
    answer = requests.get(f"{site.url}/api/again", headers={"X-Aegis-Agent": token}, timeout=10)
    assert answer.status_code == 200, answer.text
    verify(site)


def test_sigterm_lets_what_is_under_way_finish(fresh, upstream):
    begun, go_on = threading.Event(), threading.Event()

    def respond(r):
        if r.path == "/slow":
            begun.set()
            go_on.wait(8)
        r.answer(200, b"done")

    u, lab = upstream(respond), fresh()
    lab.credential("one", "one", SECRET, f"127.0.0.1:{u.port}", "--upstream",
                   f"http://127.0.0.1:{u.port}", "--allow-private")
    token = lab.agent("bot", "one")
    lab.start()
    url, headers = lab.url, {"X-Aegis-Agent": token}
    kept = requests.Session()
    assert kept.get(url + "/one/x", headers=headers, timeout=5).status_code == 200
    answers = []
    slow = threading.Thread(target=lambda: answers.append(
        requests.get(url + "/one/slow", headers=headers, timeout=15)))
    slow.start()
    assert begun.wait(5)
    lab.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert lab.process.poll() is None and not answers, "it does not wait"
    seen = len(u.seen)
    for get in (kept.get, requests.get):  # on a connection that is there, and on a new one
        try:
            late = get(url + "/one/late", headers=headers, timeout=3)
            assert late.status_code == 503, late.text
        except requests.exceptions.ConnectionError:
            pass
    assert len(u.seen) == seen, "a request that came after SIGTERM went out"
    go_on.set()
    slow.join(10)
    assert answers and answers[0].status_code == 200 and answers[0].content == b"done"
    assert lab.process.wait(10) == 0
    rows = ledgerdb.rows(lab)
    done = [r for r in rows if r.get("request") == answers[0].headers["X-Aegis-Request-Id"]]
    assert [r["kind"] for r in done] == ["decision", "completion"]
    assert rows[-1]["kind"] == "system" and rows[-1]["event"] == "stop", rows[-1]
    ledgerdb.check_chain(lab)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", lab.port), 1)
    assert not lab.admin.exists()


def test_sigterm_twice_does_not_wait(fresh, upstream):
    begun, u_go = threading.Event(), threading.Event()

    def respond(r):
        begun.set()
        u_go.wait(20)

    u, lab = upstream(respond), fresh()
    lab.credential("one", "one", SECRET, f"127.0.0.1:{u.port}", "--upstream",
                   f"http://127.0.0.1:{u.port}", "--allow-private")
    token = lab.agent("bot", "one")
    lab.start()
    agent = subprocess.Popen(["curl", "-s", "-m", "15", "-H", f"X-Aegis-Agent: {token}",
                              lab.url + "/one/x"], stdout=subprocess.DEVNULL)
    assert begun.wait(5)
    began = time.monotonic()
    lab.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    lab.process.send_signal(signal.SIGTERM)
    lab.process.wait(5)
    assert time.monotonic() - began < 3
    u_go.set()
    agent.wait(10)
    lab.start()
    ledgerdb.check_chain(lab)

# SPDX-License-Identifier: Apache-2.0
"""A tool server that does its worst: its caller hears so in time, another server goes on
answering, and when Aegis has stopped nothing of it is left."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from lab import Lab
from seal_client import SealClient, SealError

KEY = "hostile-secret-0f1e2d3c4b5a"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHostileHostileHostile\nsecondlineofthekey==\n-----END PRIVATE KEY-----\n"
DEADLINE = 1.0


def groups(master):
    """Control groups of its tool servers."""
    found = subprocess.run(["find", "/sys/fs/cgroup", "-name", f"aegis-tool-{master}-*"],
                           capture_output=True, text=True)
    return set(found.stdout.split())


def processes_about(text):
    found = {}
    for p in Path("/proc").iterdir():
        try:
            if p.name.isdigit() and int(p.name) != os.getpid() and text in (p / "cmdline").read_text():
                found[int(p.name)] = (p / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


@pytest.fixture(scope="module")
def site(prefix, module_place):
    program = module_place / "odd_tool.py"
    shutil.copy(Path(__file__).parent.parent / "lib" / "odd_tool.py", program)
    good = module_place / "good_tool.py"
    good.write_text(program.read_text().replace('"odd.', '"good.').replace('f"odd.', 'f"good.'))
    lab = Lab(prefix, module_place / "aegis", tools=f"""\
tools:
  mcp_servers:
    - name: hostile
      executable: /usr/bin/python3
      args: ["{program}", "--deaf"]
      paths: ["{program}"]
      capabilities: ["odd.*"]
      call_timeout: {int(DEADLINE * 1000)}
      health_check: {{interval_seconds: 1, timeout_seconds: 1, method: ping}}
      resource_limits: {{memory_mb: 96, processes: 24, cpu_millicores: 400}}
      credentials: {{SECRET_KEY: "secret:key", SECRET_PEM: "secret:pem"}}
    - name: good
      executable: /usr/bin/python3
      args: ["{good}"]
      paths: ["{good}"]
      capabilities: ["good.*"]
""", contexts="""\
contexts:
  - name: all
    capabilities: [{tool_pattern: "odd.*"}, {tool_pattern: "good.*"}]
""").init()
    lab.credential("key", "key", KEY, "tools.invalid")
    lab.credential("pem", "pem", PEM, "tools.invalid")
    lab.start()
    lab.client = SealClient(lab.url, lab.agent("bot", contexts=["all"]), "all")
    lab.client.attest()
    yield lab
    master = lab.process.pid
    lab.stop()
    assert not processes_about(str(module_place)), "processes are left"
    assert not groups(master), "control groups are left"
    assert str(module_place) not in Path("/proc/self/mountinfo").read_text(), "mounts are left"


def works_again(lab, seconds=15):
    end = time.monotonic() + seconds
    while True:
        try:
            return lab.client.call("odd.cancelled", {})
        except SealError:
            assert time.monotonic() < end, lab.log.read_text()[-3000:]
            time.sleep(0.05)


class Others:
    """Calls of the good server, all the time."""

    def __init__(self, lab):
        self.lab, self.bad, self.slowest, self.count = lab, [], 0.0, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self.lab.client.call("good.cancelled", {})
            except Exception as e:  # noqa: BLE001
                self.bad.append(e)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.count += 1
            time.sleep(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


@pytest.mark.parametrize("how", ["line", "endless", "garbage", "ids", "notes", "utf8", "stderr", "closes",
                                 "hog", "bomb", "holds", "stops"])
def test_contained(site, how):
    works_again(site)
    with Others(site) as others:
        began = time.monotonic()
        with pytest.raises(SealError) as e:
            site.client.call(f"odd.bad_{how}", {})
        took = time.monotonic() - began
        works_again(site)
    assert e.value.status in (403, 502, 504), e.value
    assert took < DEADLINE + 0.5, took
    assert not others.bad and others.count > 10
    assert others.slowest < DEADLINE, others.slowest


def test_who_leaves_its_server_goes_with_it(site):
    works_again(site)
    before = int(site.client.call("odd.count", {})["content"][0]["text"])
    site.client.call("odd.bad_daemon", {})
    assert int(site.client.call("odd.count", {})["content"][0]["text"]) == before + 1
    hostile = [p for p, c in site.children().items() if "--deaf" in c and "toolexec" not in c]
    assert hostile
    with pytest.raises(SealError):
        site.client.call("odd.die", {})
    works_again(site)
    assert not [p for p in hostile if Path(f"/proc/{p}").exists()]
    assert int(site.client.call("odd.count", {})["content"][0]["text"]) == before


def test_descriptors_of_others(site):
    works_again(site)
    assert site.client.call("odd.bad_fds", {})["content"][0]["text"] == "done"
    assert site.client.call("good.cancelled", {})


def test_error_output(site):
    works_again(site)
    site.client.call("odd.bad_split", {})
    time.sleep(0.2)
    log = site.log.read_text(errors="replace")
    for secret in (KEY, KEY[:9], KEY[9:], *PEM.splitlines()[1:3]):
        assert secret not in log, secret
    lines = [line for line in log.splitlines() if "event=tool.stderr " in line]
    assert [line for line in lines if "[REDACTED]" in line] and max(map(len, lines)) < 6000
    # a flood is summed up: test_contained[stderr] wrote some hundred thousand lines
    assert "event=tool.stderr_dropped" in log and len(lines) < 5000


def test_states_are_visible(site):
    works_again(site)
    row = next(t for t in site.json("tool", "list") if t["server"] == "hostile")
    assert row["state"] == "running" and row["restarts"] >= 5 and row["last_error"] and row["tool_count"] > 10
    assert Path(f"/proc/{row['pid']}/cmdline").read_text().startswith("toolhostd: toolexec hostile")
    shown = site.aegis("tool", "show", "hostile").stdout
    assert "running" in shown and "seccomp=deny" in shown and row["last_error"].split(";")[0] in shown
    status = next(t for t in site.json("status")["tool_servers"] if t["server"] == "hostile")
    assert status["state"] == "running" and status["restarts"] >= row["restarts"]
    events = [(r["event"], r.get("reason", "")) for r in site.ledger("--system") if r.get("server") == "hostile"]
    assert ("ServerUnhealthy", "it floods its output") in events
    assert ("ServerUnhealthy", "it failed its health check") in events
    assert [e for e, _ in events].count("ServerStarted") >= 5
    assert site.aegis("tool", "show", "nobody", check=False).returncode == 3


def test_limits_of_control_groups(site):
    if not groups(site.process.pid):
        assert "cgroup=none" in site.aegis("tool", "show", "hostile").stdout
        return
    assert "cgroup=memory,pids,cpu" in site.aegis("tool", "show", "hostile").stdout
    pid = next(t for t in site.json("tool", "list") if t["server"] == "hostile")["pid"]
    mine = [g for g in groups(site.process.pid) if str(pid) in Path(g, "cgroup.procs").read_text().split()]
    said = {f.name: f.read_text().strip() for g in mine for f in Path(g).iterdir()
            if f.name in ("pids.max", "memory.limit_in_bytes", "memory.max", "cpu.max", "cpu.cfs_quota_us")}
    assert said.get("pids.max") == "26"
    assert str(96 << 20) in (said.get("memory.max"), said.get("memory.limit_in_bytes"))
    assert said.get("cpu.max", said.get("cpu.cfs_quota_us")) in ("40000 100000", "40000")

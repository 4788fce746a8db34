# SPDX-License-Identifier: Apache-2.0
"""The tool host: calls at once, time-outs, cancelling, restarts, and tool servers that
misbehave while another one goes on."""

import concurrent.futures
import json
import os
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest
import requests
from lab import Lab
from seal_client import SealClient, SealError

KEY = "tool-secret-9f8e7d6c5b4a+/x="


def tool(name, program, args="", more=""):
    return f"""\
    - name: {name}
      executable: /usr/bin/python3
      args: ["{program}"{args}]
      paths: ["{program}"]
{more}"""


@pytest.fixture(scope="module")
def tools(prefix, cache, module_place):
    program = module_place / "odd_tool.py"
    shutil.copy(Path(__file__).parent.parent / "lib" / "odd_tool.py", program)
    program.chmod(0o755)
    good = module_place / "other_tool.py"
    good.write_text(program.read_text().replace('"odd.', '"good.').replace('f"odd.', 'f"good.'))
    good.chmod(0o755)
    plain = module_place / "plain_tool.py"
    plain.write_text(program.read_text().replace('"odd.', '"plain.').replace('f"odd.', 'f"plain.'))
    lab = Lab(prefix, module_place / "aegis", tools="tools:\n  mcp_servers:\n" +
              tool("odd", program, more="""\
      capabilities: ["odd.*"]
      call_timeout: 3s
      max_output: 2000000
      environment: {PLAIN: "literal:visible"}
      credentials: {SECRET_KEY: "secret:toolkey"}
""") + tool("good", good, more="""\
      capabilities: ["good.sleep", "good.env", "good.attempt"]
      credentials: {SECRET_OTHER: "secret:otherkey"}
""") + tool("plain", plain, more="""\
      capabilities: ["plain.*"]
      start: on_demand
      max_output: 2000000
"""), contexts="""\
contexts:
  - name: all
    capabilities: [{tool_pattern: "odd.*"}, {tool_pattern: "good.*"}, {tool_pattern: "plain.*"}]
  - name: small
    capabilities: [{tool_pattern: "odd.*", max_response_size: 2000}, {tool_pattern: "plain.*", max_response_size: 2000}]
""")
    lab.init()
    for name, value in (("toolkey", KEY), ("otherkey", KEY[::-1])):
        lab.credential(name, name, value, "tools.invalid")
    lab.start()
    lab.token = lab.agent("bot", contexts=["all", "small"])
    yield lab
    lab.stop()


@pytest.fixture
def client(tools):
    c = SealClient(tools.url, tools.token, "all")
    c.attest()
    end = time.monotonic() + 10
    while time.monotonic() < end:  # an earlier test may have ended the server
        try:
            c.call("odd.cancelled", {})
            break
        except SealError:
            time.sleep(0.1)
    return c


def said(result):
    return result["content"][0]["text"]


def test_calls_at_once_find_their_answers(client):
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(
            lambda i: said(client.call("odd.sleep", {"seconds": 1 - i * 0.04, "tag": i})), range(20)))
    assert time.monotonic() - began < 2.5, "one after the other"
    assert all(a.endswith(f"tag {i}") for i, a in enumerate(answers))


def test_the_same_id_twice_at_once(tools, client):
    other = SealClient(tools.url, tools.token, "all")
    other.attest()

    def go(c, tag, seconds):
        e = c.envelope("tools/call", {"name": "odd.sleep", "arguments": {"seconds": seconds, "tag": tag}},
                       identifier="same")
        body = c.post(e).json()
        return body["payload"]["id"], said(body["payload"]["result"])

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        a, b = pool.submit(go, client, "a", 0.6), pool.submit(go, other, "b", 0.2)
        assert a.result() == ("same", "slept 0.6 tag a") and b.result() == ("same", "slept 0.2 tag b")


def test_a_slow_tool_times_out(tools, client):
    began = time.monotonic()
    answer = client.post(client.envelope("tools/call", {"name": "odd.never", "arguments": {}}))
    assert answer.status_code == 504 and 2.5 < time.monotonic() - began < 5
    assert answer.json()["status"] == "error" and answer.json()["error"]["message"]
    rows = tools.rows_of(answer.headers["X-Aegis-Request-Id"])
    assert rows[0]["kind"] == "decision" and all(r["status"] == 504 for r in rows[1:])
    # toolhost and gate tell the judge, each over its own door
    assert {r.get("event", r["reason"]) for r in rows[1:]} == {"tool_timeout", "gate.answer"}


def test_an_agent_that_goes_away_cancels(client):
    before = int(said(client.call("odd.cancelled", {})))
    e = client.envelope("tools/call", {"name": "odd.sleep", "arguments": {"seconds": 2.5}})
    with pytest.raises(requests.exceptions.Timeout):
        client.post(e, timeout=0.3)
    end = time.monotonic() + 2
    while int(said(client.call("odd.cancelled", {}))) <= before:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_errors_of_the_tool_come_through(client):
    with pytest.raises(SealError) as e:
        client.call("odd.fail", {})
    assert e.value.status == 200 and e.value.body["error"]["code"] == -32050


def test_routing(client):
    names = {t["name"] for t in client.invoke("tools/list")["tools"]}
    assert "odd.sleep" in names and {"good.sleep", "good.env"} <= names
    assert "good.die" not in names, "not among the capabilities of its server"
    with pytest.raises(SealError):
        client.call("good.die", {})


def test_garbage_is_passed_over(client):
    assert said(client.call("odd.garbage", {})) == "after garbage"


@pytest.mark.parametrize("size", [40_000, 60_000, 1_000_000])
def test_large_answers(client, size):
    assert len(said(client.call("odd.huge", {"bytes": size}))) == size


def test_too_large_an_answer_ends_only_that_server(client):
    with pytest.raises(SealError) as e:
        client.call("odd.huge", {"bytes": 5_000_000})
    assert e.value.status in (403, 502)
    assert "slept" in said(client.call("good.sleep", {"seconds": 0}))


def test_longer_than_the_context_allows(tools, client):
    """The error comes when the limit is passed, not with the end of the line, unless the line says
    only there whose it is; no more of it is kept, and what follows finds its caller."""
    small = SealClient(tools.url, tools.token, "small")
    small.attest()

    def refused(tool="plain", **arguments):
        began = time.monotonic()
        with pytest.raises(SealError) as e:
            small.call(f"{tool}.long", arguments)
        assert (e.value.status, e.value.code) == (403, 2006), e.value
        return time.monotonic() - began

    pid = next(p for p, c in tools.children().items() if c.startswith("toolhostd: toolhost"))
    peak = Path(f"/proc/{pid}/clear_refs")
    count = said(client.call("plain.pid", {}))
    peak.write_text("5")
    before = int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])
    assert refused(bytes=100_000, seconds=1.5) < 1
    assert refused(bytes=1_900_000, seconds=0.01, behind=True) < 3
    assert int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) < before + 600
    assert len(said(small.call("plain.huge", {"bytes": 1000}))) == 1000
    assert refused("odd", bytes=100_000, seconds=0.01) < 3, "one whose lines are searched for secrets first"
    with concurrent.futures.ThreadPoolExecutor() as pool:  # beside a call that may have all of it
        other = pool.submit(lambda: said(client.call("plain.huge", {"bytes": 900_000})))
        mine = [pool.submit(refused, bytes=90_000, seconds=0.01, behind=b) for b in (True, False)]
        assert len(other.result()) == 900_000 and [m.result() for m in mine]
    assert said(client.call("plain.pid", {})).split()[0] == count.split()[0]
    assert int(said(client.call("plain.pid", {})).split()[1]) > int(count.split()[1]), "it was not started anew"


def test_a_dead_server_comes_back_and_others_go_on(client):
    stop, bad = threading.Event(), []

    def others():
        while not stop.is_set():
            try:
                client.call("good.sleep", {"seconds": 0})
            except Exception as e:  # noqa: BLE001
                bad.append(e)

    t = threading.Thread(target=others)
    t.start()
    with pytest.raises(SealError) as e:
        client.call("odd.die", {})
    assert e.value.status == 502
    end = time.monotonic() + 5
    while True:
        try:
            client.call("odd.cancelled", {})
            break
        except SealError:
            assert time.monotonic() < end
            time.sleep(0.05)
    stop.set()
    t.join()
    assert not bad


def test_output_closed(client):
    with pytest.raises(SealError) as e:
        client.call("odd.close", {})
    assert e.value.status in (502, 504)


def test_secrets_of_a_tool_server(tools, client):
    env = json.loads(said(client.call("odd.env", {})))
    assert env["SECRET_KEY"] == "set" and env["PLAIN"] == "visible"
    assert "SECRET_OTHER" not in env and not [k for k in env if k.startswith("AEGIS")]
    other = json.loads(said(client.call("good.env", {})))
    assert other["SECRET_OTHER"] == "set" and "SECRET_KEY" not in other
    answer = client.post(client.envelope("tools/call", {"name": "odd.leak", "arguments": {}}))
    assert KEY not in answer.text and "withheld" in answer.text
    client.call("odd.flood", {"lines": 300})
    time.sleep(0.3)
    log = tools.log.read_text(errors="replace")
    assert KEY not in log and "[REDACTED]" in log
    assert KEY not in (tools.log.read_text() + str(tools.ledger()))


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    s = socket.socket(family)
    s.bind(address)
    s.listen()
    return s


def test_what_a_tool_server_can_reach(tools, client):
    """S6: nothing of others, of Aegis and of the host but what was named."""
    other = json.loads(said(client.call("good.attempt", {})))
    pids = [p for p, c in tools.children().items() if p != tools.process.pid]
    with listening() as loopback, listening(socket.AF_INET6, ("::1", 0)) as six, \
            listening(socket.AF_UNIX, "\0aegis-test-host") as abstract:
        assert abstract.fileno() >= 0
        reached = json.loads(said(client.call("odd.attempt", {
            "read": ["/etc/shadow", "/etc/hostname", "/proc/kcore", str(tools.config), str(tools.log),
                     str(tools.dir / "other_tool.py"), str(tools.data / "judge" / "judge.db")],
            "list": [str(tools.data), str(tools.dir), "/home", "/root", "/run", "/var/lib", "/srv", "/sys"],
            "write": ["/here", "/usr/here", "/etc/here", "/var/empty/here", "here",
                      str(tools.dir / "here"), str(tools.dir.parent / "odd_tool.py"), "/tmp/here"],
            "connect": [["127.0.0.1", loopback.getsockname()[1]], ["::1", six.getsockname()[1]],
                        ["127.0.0.1", tools.port], ["169.254.169.254", 80], ["10.0.0.1", 443]],
            "local": [str(tools.admin), "@aegis-test-host"], "pids": [1, *pids]})))
    done = {k: v for k, v in reached.items() if str(v).startswith("done")}
    # signalling its own first process is asking whether it lives; that one is of its user
    assert set(done) <= {"write /tmp/here", "signal 1"}, done
    assert "write /tmp/here" in done
    # descriptors: the standard ones
    assert reached["fds"] == [0, 1, 2]
    assert len(reached["pids"]) == 2 and not set(pids) & set(reached["pids"])
    assert set(reached["root"]) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin",
                                    "tmp", "usr", "var", *Path(tools.dir).parts[1:2]}
    assert not {"shadow", "hosts.allow", "ssh", "resolv.conf"} & set(reached["etc"])
    assert reached["tmp"] in ([], [Path(tools.dir).parts[2]]), "a /tmp of its own"
    if os.getuid() == 0:
        assert reached["uid"] not in (0, other["uid"]) and other["uid"] >= 61100
        # nor may an ordinary user of the host look
        pid = next(p for p, c in tools.children().items() if "odd_tool.py" in c and "python3" in c)
        assert os.stat(f"/proc/{pid}/environ").st_mode & 0o077 == 0


def test_paths_that_are_named(fresh, prefix, place):
    program = place / "odd_tool.py"
    shutil.copy(Path(__file__).parent.parent / "lib" / "odd_tool.py", program)
    place.chmod(0o711)
    (place / "read").mkdir()
    (place / "read" / "file").write_text("to be read")
    (place / "read" / "write").mkdir()
    (place / "read" / "write").chmod(0o777)
    (place / "forgotten").write_text("")
    lab = fresh(tools=f"""\
tools:
  mcp_servers:
    - name: odd
      executable: /usr/bin/python3
      args: ["{program}", "{place}/forgotten"]
      working_directory: {place}/read
      paths: ["{program}", {{path: "{place}/read/write", mode: rw}}, {{path: "{place}", mode: ro}}]
      capabilities: ["odd.*"]
    - name: bare
      executable: /usr/bin/python3
      args: ["{program}", "{place}/forgotten"]
      paths: ["{program}"]
      capabilities: ["bare.*"]
""", contexts="contexts:\n  - name: all\n    capabilities: [{tool_pattern: \"odd.*\"}]\n").start()
    c = SealClient(lab.url, lab.agent("bot", contexts=["all"]), "all")
    c.attest()
    found = json.loads(said(c.call("odd.attempt", {
        "read": ["file", str(lab.config)], "write": ["file", "write/new", f"{place}/new"],
        "list": [str(lab.data)], "local": [str(lab.admin)]})))
    assert found["read file"] == "done: b'to be read'" and found["write write/new"].startswith("done")
    assert found["write file"] == found[f"write {place}/new"] == "Read-only file system"
    assert (place / "read" / "write" / "new").read_text() == "was here"
    # what is Aegis' own stays hidden, also within a path that was named
    assert found[f"read {lab.config}"] == "done: b''" or "denied" in found[f"read {lab.config}"]
    assert found[f"list {lab.data}"] in ("done: []", "Permission denied")
    assert "done" not in found[f"local {lab.admin}"]
    hidden = [line for line in lab.log.read_text().splitlines() if "event=tool.hidden" in line]
    assert len(hidden) == 1 and "server=bare" in hidden[0] and f"{place}/forgotten" in hidden[0]


def test_no_network_unless_allowed(tools, client):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        answer = said(client.call("odd.connect", {"host": "127.0.0.1", "port": s.getsockname()[1]}))
    assert answer.startswith("refused")
    assert said(client.call("odd.connect", {"host": "169.254.169.254", "port": 80})).startswith("refused")


def test_a_deaf_server_is_killed_after_five_seconds(fresh, prefix, place):
    program = place / "odd_tool.py"
    shutil.copy(Path(__file__).parent.parent / "lib" / "odd_tool.py", program)
    program.chmod(0o755)
    lab = fresh(tools="tools:\n  mcp_servers:\n" +
                tool("deaf", program, ', "--deaf"', "      capabilities: [\"odd.*\"]\n") +
                tool("dead", program, ', "--dead"', "      capabilities: [\"dead.*\"]\n")).start()
    end = time.monotonic() + 5
    while not (found := [p for p, c in lab.children().items() if "--deaf" in c]):
        assert time.monotonic() < end
        time.sleep(0.05)
    states = {t["server"]: t["state"] for t in lab.json("tool", "list")}
    assert states["dead"] in ("failed", "starting", "unhealthy")
    began = time.monotonic()
    lab.stop()
    took = time.monotonic() - began
    assert not any(Path(f"/proc/{p}").exists() for p in found)
    assert took < 9, took


def test_a_process_for_each_session(fresh, place):
    program = place / "odd_tool.py"
    shutil.copy(Path(__file__).parent.parent / "lib" / "odd_tool.py", program)
    lab = fresh(tools="tools:\n  mcp_servers:\n" + tool("odd", program, more="""\
      capabilities: ["odd.*"]
      instances: session
      max_instances: 2
      instance_idle: 2s
"""), contexts='contexts:\n  - name: all\n    capabilities: [{tool_pattern: "odd.*"}]\n').start()
    token = lab.agent("bot", contexts=["all"])

    def session():
        c = SealClient(lab.url, token, "all")
        c.attest()
        return c

    def mine(c):
        uid, count = said(c.call("odd.pid", {})).split()
        return int(uid), int(count)

    def parent(pid):
        try:
            return Path(f"/proc/{pid}/status").read_text().split("PPid:\t")[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""  # it ended meanwhile

    def processes():
        return [p for p, c in lab.children().items() if c.startswith("toolhostd: toolexec odd") and
                parent(p) == str(lab.process.pid)]

    def only(n, seconds=5):
        end = time.monotonic() + seconds
        while len(processes()) != n:
            assert time.monotonic() < end, lab.log.read_text()[-2000:]
            time.sleep(0.05)

    assert processes() == [], "there is none without a session"
    a, b, c = session(), session(), session()
    assert mine(a)[1] == 1 and mine(a)[1] == 2, "one process for all calls of a session"
    assert mine(b)[1] == 1, "another session has its own"
    if os.getuid() == 0:
        assert mine(a)[0] != mine(b)[0] >= 61200
    with pytest.raises(SealError) as e:
        mine(c)
    assert e.value.status == 503
    row = next(t for t in lab.json("tool", "list") if t["server"] == "odd")
    assert (row["state"], row["processes"], row["instances"]) == ("running", 2, "session")
    # it ends with its session, and another may have its place
    one = next(s for s in lab.json("session", "list") if s["state"] == "active")
    lab.aegis("session", "revoke", one["session"])
    only(1)
    # one that dies comes back with the next call
    alive = next(s for s in (a, b, c) if s.post(s.envelope("ping")).status_code == 200)
    with pytest.raises(SealError):
        alive.call("odd.die", {})
    assert mine(alive)[1] == 1
    only(0, 8)  # nobody used it
    started = [r["detail"] for r in lab.ledger("--system") if r.get("event") == "ServerStarted"]
    assert len(started) >= 3 and all(d.startswith("execution ") for d in started)


def test_calls_are_counted(tools, client):
    def row():
        return next(t for t in tools.json("tool", "list") if t["server"] == "odd")

    def settled(**wanted):
        end = time.monotonic() + 5
        while {k: row()[k] for k in wanted} != wanted:
            assert time.monotonic() < end, row()

    client.call("odd.cancelled", {})
    settled(in_flight=0)
    before = row()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = [pool.submit(client.call, "odd.sleep", {"seconds": 1}) for _ in range(2)]
        settled(in_flight=2)
        [s.result() for s in slow]
    with pytest.raises(SealError):
        client.call("odd.die", {})
    settled(in_flight=0, calls=before["calls"] + 3, failed=before["failed"] + 1)
    settled(state="running")  # again, for those who come next
    shown = tools.aegis("tool", "list").stdout
    assert "CALLS" in shown and "FAILED" in shown


def test_tool_test(tools):
    found = tools.json("tool", "test", "odd")
    assert found["starts"] and "odd.sleep" in found["tools"] and "seccomp=deny" in found["room"]
    reached = {a["attempt"]: a["reached"] for a in found["attempts"]}
    program = next(a for a in reached if a.startswith("read ") and a.endswith("odd_tool.py"))
    assert {a for a, yes in reached.items() if yes} <= {program, "read /etc/passwd", "write /tmp"}
    assert len(reached) > 25 and f"read {tools.data}" in reached and "ptrace 1" in reached
    shown = tools.aegis("tool", "test", "odd").stdout
    assert "From inside its room" in shown and "odd.sleep" in shown
    assert tools.aegis("tool", "test", "nobody", check=False).returncode == 3
    assert [p for p, c in tools.children().items() if c.startswith("toolhostd: toolexec odd")], "it still runs"

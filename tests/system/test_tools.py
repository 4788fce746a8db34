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
{more}"""


@pytest.fixture(scope="module")
def tools(prefix, cache, module_place):
    program = module_place / "odd_tool.py"
    shutil.copy(Path(__file__).parent.parent / "lib" / "odd_tool.py", program)
    program.chmod(0o755)
    good = module_place / "other_tool.py"
    good.write_text(program.read_text().replace('"odd.', '"good.').replace('f"odd.', 'f"good.'))
    good.chmod(0o755)
    lab = Lab(prefix, module_place / "aegis", tools="tools:\n  mcp_servers:\n" +
              tool("odd", program, more="""\
      capabilities: ["odd.*"]
      call_timeout: 3s
      max_output: 2000000
      environment: {PLAIN: "literal:visible"}
      credentials: {SECRET_KEY: "secret:toolkey"}
""") + tool("good", good, more="""\
      capabilities: ["good.sleep", "good.env", "good.see"]
      credentials: {SECRET_OTHER: "secret:otherkey"}
"""), contexts="""\
contexts:
  - name: all
    capabilities: [{tool_pattern: "odd.*"}, {tool_pattern: "good.*"}]
""")
    lab.init()
    for name, value in (("toolkey", KEY), ("otherkey", KEY[::-1])):
        lab.credential(name, name, value, "tools.invalid")
    lab.start()
    lab.token = lab.agent("bot", contexts=["all"])
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
    assert [(r["kind"], r.get("reason")) for r in rows[:2]] == [("decision", None), ("completion", "tool_timeout")]
    assert rows[2]["event"] == "gate.answer" and all(r["status"] == 504 for r in rows[1:])


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


def test_what_a_tool_server_can_reach(tools, client):
    own = json.loads(said(client.call("odd.see", {"paths": [
        str(tools.data), str(tools.config), "/etc/shadow", "/proc/1/environ", ".", "etc/passwd"]})))
    assert own["."] == [] and own["etc/passwd"] == "No such file or directory"
    assert own[str(tools.data)] in ([], "Permission denied")
    assert own[str(tools.config)] in ("", "Permission denied")
    assert set(own["fds"]) - {0, 1, 2} <= {3, 4, 5}, own["fds"]  # the listing's own
    if os.getuid() == 0:
        assert own["/etc/shadow"] == "Permission denied" and own["uid"] not in (0, os.getuid())
    assert len(own["pids"]) <= 4, "it sees only its own PID namespace"
    other = json.loads(said(client.call("good.see", {"paths": []})))
    if os.getuid() == 0:
        assert other["uid"] != own["uid"]
    # its environment cannot be read by another server, nor by an ordinary user
    pid = next(p for p, c in tools.children().items() if "odd_tool.py" in c)
    assert os.stat(f"/proc/{pid}/environ").st_mode & 0o077 == 0


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

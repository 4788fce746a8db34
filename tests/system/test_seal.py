# SPDX-License-Identifier: Apache-2.0
"""SEAL through the whole system, on official MCP tool servers."""

import concurrent.futures
import json
import os
import time
from datetime import datetime, timedelta, timezone

import pytest
import requests
from conftest import SECRET, WORKSPACE_NOTE
from seal_client import SealClient, SealError


@pytest.fixture
def client(system):
    c = SealClient(system.url, system.token, "reader")
    c.attest()
    return c


def test_attest_and_call(system, client):
    assert client.token.count(".") == 2 and client.session_id
    result = client.call("get-sum", {"a": 2, "b": 40})
    assert "42" in json.dumps(result)
    result = client.call("read_text_file", {"path": str(system.workspace / "note.txt")})
    assert WORKSPACE_NOTE.strip() in json.dumps(result)


def test_rows_carry_the_signature(system, client):
    envelope = client.envelope("tools/call", {"name": "echo", "arguments": {"message": "hi"}})
    answer = client.post(envelope)
    assert answer.status_code == 200
    decision, completion = system.rows_of(answer.headers["X-Aegis-Request-Id"])
    assert decision["proof"] == envelope["signature"] and decision["tool"] == "echo"
    assert decision["server"] == "everything" and decision["context"] == "reader"
    assert completion["status"] == 200


def test_initialize_ping_and_list(client):
    result = client.invoke("initialize", {})
    assert result["extensions"]["seal"]["version"] == "v1"
    assert client.invoke("ping") == {}
    names = {t["name"] for t in client.invoke("tools/list")["tools"]}
    assert {"read_text_file", "echo", "get-sum"} <= names
    assert "write_file" not in names, "the context denies it"
    answer = client.post(client.envelope("no/such"))
    assert answer.status_code == 200 and answer.json()["payload"]["error"]["code"] == -32601


@pytest.mark.parametrize("tool,arguments,code", [
    ("write_file", {"path": "{w}/x", "content": "x"}, 2001),
    ("read_text_file", {"path": "/etc/passwd"}, 2002),
    ("read_text_file", {"path": "{w}/../../../etc/passwd"}, 2002),
    ("read_text_file", {}, 2002),
    ("list_directory", {"path": "{w}"}, 2000),
    ("nosuch", {}, 2000),
])
def test_outside_the_context(system, client, tool, arguments, code):
    arguments = {k: v.format(w=system.workspace) for k, v in arguments.items()}
    with pytest.raises(SealError) as e:
        client.call(tool, arguments)
    assert e.value.status == 403 and e.value.code == code
    assert e.value.body["status"] == "error" and e.value.body["protocol"] == "seal/v1"


def test_tampered(client):
    e = client.envelope("tools/call", {"name": "get-sum", "arguments": {"a": 1, "b": 2}})
    e["payload"]["params"]["arguments"]["b"] = 3
    answer = client.post(e)
    assert answer.status_code == 401 and answer.json()["error"]["code"] == 1001


def test_replayed_once_only(client):
    e = client.envelope("tools/call", {"name": "get-sum", "arguments": {"a": 1, "b": 2}})
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.post(e), range(32)))
    assert [a.status_code for a in answers].count(200) == 1
    refused = next(a for a in answers if a.status_code != 200)
    assert refused.status_code == 401 and refused.json()["error"]["code"] == 1003


@pytest.mark.parametrize("seconds,good", [(-25, True), (-40, False), (25, True), (40, False)])
def test_freshness(client, seconds, good):
    e = client.envelope("tools/call", {"name": "get-sum", "arguments": {"a": 1, "b": 2}},
                        now=datetime.now(timezone.utc) + timedelta(seconds=seconds))
    answer = client.post(e)
    if good:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 401 and answer.json()["error"]["code"] == 1003


def test_malformed(system, client):
    good = client.envelope("tools/call", {"name": "get-sum", "arguments": {"a": 1, "b": 2}})
    text = json.dumps(good)
    for bad in ("", "{", "[]", "null", text + "x", text[:-5], text.replace('"seal/v1"', '"seal/v9"'),
                text.replace('"payload"', '"payload":1,"payload"'),
                "[" * 5000, '{"payload":' * 500, text.replace('"method"', '"\\ud800"')):
        answer = requests.post(system.url + "/v1/seal/invoke", data=bad.encode(),
                               headers={"Content-Type": "application/json"}, timeout=10)
        assert answer.status_code == 401, (bad[:60], answer.status_code, answer.text)
        body = answer.json()
        assert body["status"] == "error" and body["error"]["code"] == 1000 and body["error"]["message"]


def test_attest_refusals(system):
    unknown = SealClient(system.url, "aegis_nobody", "reader")
    with pytest.raises(SealError) as e:
        unknown.attest()
    assert e.value.status == 401 and e.value.body["error_code"] == 3000
    for context in ("no-such-context", "unrestricted"):
        c = SealClient(system.url, system.token, context)
        with pytest.raises(SealError) as e:
            c.attest()
        assert e.value.status == 401 and e.value.body["error_code"] in (3001, 3002)
        assert e.value.body["error"]["message"]


def test_another_sessions_token(system, client):
    other = SealClient(system.url, system.token, "reader")
    other.attest()
    e = client.envelope("tools/call", {"name": "echo", "arguments": {"message": "x"}})
    e["security_token"] = other.token
    assert client.post(e).status_code == 401


def test_a_tool_that_prints_its_secret(system, client):
    """get-env of the official server shows its environment: the secret must not come through."""
    answer = client.post(client.envelope("tools/call", {"name": "get-env", "arguments": {}}))
    assert SECRET not in answer.text
    assert answer.status_code == 200 and "error" in answer.json()["payload"], answer.text


def test_tool_servers_are_apart(system):
    """Own user (or user namespace), descriptors 0 to 2, no capabilities, no new privileges."""
    everybody = system.children()
    servers = [p for p, c in everybody.items() if "server-" in c]
    assert len(servers) == 2
    own = set()
    for pid in servers:
        status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines()
                      if ":\t" in line)
        assert status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0
        assert status["Seccomp"] == "2"
        own.add((status["Uid"].split()[0], os.readlink(f"/proc/{pid}/ns/user")))
        assert os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    assert len(own) == 2
    if os.getuid() == 0:
        assert len({u for u, _ in own}) == 2 and "0" not in {u for u, _ in own}


def test_a_killed_tool_server_comes_back(system, client):
    pid = next(p for p, c in system.children().items() if "server-everything" in c)
    os.kill(pid, 9)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        try:
            if "7" in json.dumps(client.call("get-sum", {"a": 3, "b": 4})):
                return
        except SealError:
            time.sleep(0.2)
    raise AssertionError("it did not come back")


def test_errors_on_other_paths_and_methods(system):
    for method, path, status in (("GET", "/v1/seal/invoke", 405), ("POST", "/v1/seal/nosuch", 404),
                                 ("DELETE", "/v1/seal/attest", 405)):
        answer = requests.request(method, system.url + path, json={}, timeout=5)
        assert answer.status_code == status, (path, answer.text)
        assert answer.json()["status"] == "error" and answer.json()["error"]["message"]
    answer = requests.post(system.url + "/v1/seal/invoke", data=b"x=1", timeout=5,
                           headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 415 and answer.json()["error"]["message"]

# SPDX-License-Identifier: Apache-2.0
"""POST /mcp: the official SDKs as clients, official servers behind the gate, and the MCP
conformance suite against it."""

import asyncio
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import requests
from lab import Lab
from mcp.client import Client
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

LIB = Path(__file__).parent.parent / "lib"
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def hub(prefix, cache, module_place):
    """everything, filesystem and the conformance server behind one gate, legacy mode on."""
    workspace = module_place / "workspace"
    workspace.mkdir()
    workspace.chmod(0o777)
    (workspace / "note.txt").write_text("a note\n")
    program = module_place / "conformance_server.mjs"
    shutil.copy(LIB / "conformance_server.mjs", program)
    program.chmod(0o644)
    modules = cache / "node/node_modules/@modelcontextprotocol"
    lab = Lab(prefix, module_place / "aegis", tools=f"""\
tools:
  mcp_servers:
    - name: conformance
      executable: {cache}/bin/node
      args: ["{program}", "{modules}/sdk"]
      capabilities: ["*"]
      paths: ["{modules.parent}", "{program}"]
      call_timeout: 4s
    - name: filesystem
      executable: {cache}/bin/node
      args: ["{modules}/server-filesystem/dist/index.js", "{workspace}"]
      capabilities: [read_text_file, write_file, list_directory]
      paths: ["{modules.parent}", {{path: "{workspace}", mode: rw}}]
    - name: everything
      executable: {cache}/bin/node
      args: ["{modules}/server-everything/dist/index.js", stdio]
      capabilities: [echo, get-sum]
      paths: ["{modules.parent}"]
seal: {{required: false, legacy_security_context: open}}
""", contexts="""\
contexts:
  - name: open
    capabilities: [{tool_pattern: "*"}]
    deny_list: [write_file]
  - name: narrow
    capabilities:
      - tool_pattern: read_text_file
        path_allowlist: [/nowhere]
      - tool_pattern: echo
      - {tool_pattern: get-sum, rate_limit: {calls: 2, per_seconds: 3600}}
      - {tool_pattern: slow, max_concurrent: 2}
      - tool_pattern: test_sampling
      - tool_pattern: mcp.conformance.prompts.get
""")
    lab.workspace = workspace
    lab.init()
    lab.start()
    lab.token = lab.agent("bot", contexts=["open"])
    lab.narrow = lab.agent("small", contexts=["narrow"])
    end = time.monotonic() + 20
    while any(s["state"] != "running" for s in lab.json("tool", "list")):
        assert time.monotonic() < end, lab.log.read_text()[-3000:]
        time.sleep(0.05)
    yield lab
    lab.stop()


@asynccontextmanager
async def session(lab, token, headers=(), **callbacks):
    """A session of the official Python SDK."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}", **dict(headers)},
                                  timeout=20) as http:
        async with streamable_http_client(f"{lab.url}/mcp", http_client=http) as streams:
            async with ClientSession(streams[0], streams[1], **callbacks) as s:
                s.hello = await s.initialize()
                yield s


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def said(result):
    return result.content[0].text


def test_the_python_sdk(hub):
    async def go():
        async with session(hub, hub.token) as s:
            assert s.hello.server_info.name == "aegis"
            names = [t.name for t in (await s.list_tools()).tools]
            assert {"echo", "read_text_file", "test_simple_text"} <= set(names)
            assert "write_file" not in names
            assert "from Python" in said(await s.call_tool("echo", {"message": "from Python"}))
            path = str(hub.workspace / "note.txt")
            assert said(await s.call_tool("read_text_file", {"path": path})) == "a note\n"
            with pytest.raises(MCPError) as e:
                await s.call_tool("write_file", {"path": path, "content": "x"})
            assert e.value.error.code == 2001
    run(go())


def test_the_typescript_sdk(hub, cache):
    sdk = cache / "node/node_modules/@modelcontextprotocol/sdk"
    done = subprocess.run([cache / "bin/node", LIB / "mcp_client.mjs", sdk, f"{hub.url}/mcp", hub.token,
                           hub.workspace], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)
    assert saw["version"] == "2025-11-25" and saw["server"]["name"] == "aegis"
    assert {"tools", "resources", "prompts", "completions", "logging"} <= set(saw["capabilities"])
    assert saw["echo"] == "Echo: from TypeScript" and saw["file"] == "a note\n"
    assert saw["progress"] == [0, 50, 100]
    assert saw["logs"] == ["Tool execution started", "Tool processing data", "Tool execution completed"]
    assert saw["sampled"] == 1 and saw["sampling"] == "LLM response: sampled"
    assert saw["elicited"] == 1 and "action=accept" in saw["elicitation"]
    assert saw["large"] == 200000 and saw["refused"] == 2001
    assert saw["prompt"] == "Prompt with arguments: arg1='a', arg2='b'"
    assert saw["resource"] == "This is the content of the static text resource."
    assert saw["changed"] >= 1


PASSES = {
    "server-initialize", "logging-set-level", "ping", "completion-complete", "tools-list",
    "tools-call-simple-text", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource",
    "tools-call-mixed-content", "tools-call-with-logging", "tools-call-error", "tools-call-with-progress",
    "tools-call-sampling", "tools-call-elicitation", "json-schema-2020-12", "elicitation-sep1034-defaults",
    "server-sse-polling", "server-sse-multiple-streams", "elicitation-sep1330-enums", "resources-list",
    "resources-read-text", "resources-read-binary", "resources-templates-read", "resources-subscribe",
    "resources-unsubscribe", "prompts-list", "prompts-get-simple", "prompts-get-with-args",
    "prompts-get-embedded-resource", "prompts-get-with-image", "dns-rebinding-protection",
}


def test_the_conformance_suite(hub, cache, tmp_path):
    """It cannot send a token, so it comes as a client without one."""
    program = cache / "node/node_modules/@modelcontextprotocol/conformance/dist/index.js"
    listed = subprocess.run([cache / "bin/node", program, "list", "--server"], capture_output=True, text=True)
    every = set(re.findall(r"^  - (\S+)", listed.stdout.partition("Client scenarios")[0], re.M))
    done = subprocess.run([cache / "bin/node", program, "server", "--url", f"{hub.url}/mcp", "--suite", "all",
                           "-o", tmp_path], capture_output=True, text=True, timeout=120)
    passed, checks = set(), 0
    for name in every:
        results = [json.loads(p.read_text()) for p in tmp_path.glob(f"*{name}-2*/checks.json")]
        if results and all(c["status"] in ("SUCCESS", "INFO") for r in results for c in r):
            passed.add(name)
        checks += sum(c["status"] == "SUCCESS" for r in results for c in r)
    assert passed == PASSES, done.stdout[-6000:]
    assert every - passed == set() and checks >= 40


# -- the transport, octet by octet --

class Raw:
    """A client that says exactly what a test wants."""

    def __init__(self, lab, token, version="2025-11-25"):
        self.url, self.http, self.number = f"{lab.url}/mcp", requests.Session(), 0
        self.http.headers.update(ACCEPT)
        if token:
            self.http.headers["Authorization"] = f"Bearer {token}"
        self.version = version

    def post(self, message, **more):
        body = message if isinstance(message, (bytes, str)) else json.dumps(message)
        return self.http.post(self.url, data=body, timeout=20, **more)

    def message(self, method, params=None, identifier=None):
        self.number += 1
        return {"jsonrpc": "2.0", "id": identifier or self.number, "method": method, "params": params or {}}

    def initialize(self, capabilities=None, **more):
        r = self.post(self.message("initialize", {
            "protocolVersion": self.version, "capabilities": capabilities or {},
            "clientInfo": {"name": "raw", "version": "1"}}), **more)
        if r.status_code == 200:
            self.http.headers["Mcp-Session-Id"] = r.headers["Mcp-Session-Id"]
            self.http.headers["MCP-Protocol-Version"] = r.json()["result"]["protocolVersion"]
        return r

    def ask(self, method, params=None, **more):
        return self.post(self.message(method, params), **more)

    def result(self, method, params=None):
        r = self.ask(method, params)
        assert r.status_code == 200 and "result" in r.json(), r.text
        return r.json()["result"]

    def call(self, tool, **arguments):
        return self.ask("tools/call", {"name": tool, "arguments": arguments})


@pytest.fixture
def raw(hub):
    c = Raw(hub, hub.token)
    c.initialize()
    return c


@pytest.fixture
def small(hub):
    c = Raw(hub, hub.narrow)
    c.initialize({"sampling": {}, "elicitation": {}})
    return c


def events(response):
    """The messages of a stream of events."""
    for line in response.iter_lines(chunk_size=1):
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


@pytest.mark.parametrize("asked, given", [
    ("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("2025-03-26", "2025-03-26"),
    ("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-11-25")])
def test_versions_are_negotiated(hub, asked, given):
    answer = Raw(hub, hub.token, asked).initialize()
    result = answer.json()["result"]
    assert result["protocolVersion"] == given
    assert result["extensions"]["seal"] == {
        "supported": True, "version": "v1", "attestation_endpoint": "/v1/seal/attest"}
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["Mcp-Session-Id"])


def refused(response, status, code):
    assert response.status_code == status, response.text
    body = response.json()
    assert body["jsonrpc"] == "2.0" and body["error"]["code"] == code and body["error"]["message"]
    return body


def test_what_the_transport_demands(hub, raw):
    ping = raw.message("ping")
    assert raw.post(ping).json()["result"] == {}
    for accept in ("application/json", "text/event-stream", "", "text/html", "application/json, text/event-stream;q=0"):
        refused(raw.post(ping, headers={"Accept": accept}), 406, -32000)
    for accept in ("*/*", "application/*, text/*", "text/event-stream;q=0.1,application/json"):
        assert raw.post(ping, headers={"Accept": accept}).status_code == 200
    for kind in ("text/plain", "application/jsonx", ""):
        refused(raw.post(ping, headers={"Content-Type": kind}), 415, -32000)
    assert raw.post(ping, headers={"Content-Type": "application/json; charset=utf-8"}).status_code == 200
    body = refused(raw.post(ping, headers={"MCP-Protocol-Version": "1999-01-01"}), 400, -32022)
    assert "2025-06-18" in body["error"]["data"]["supported"]
    assert raw.post(ping, headers={"MCP-Protocol-Version": "2025-03-26"}).status_code == 200
    assert raw.post(ping, headers={"MCP-Protocol-Version": None}).status_code == 200
    refused(raw.post(ping, headers={"Mcp-Session-Id": None}), 400, -32600)
    refused(raw.post(ping, headers={"Mcp-Session-Id": "0" * 32}), 404, -32001)
    other = Raw(hub, hub.narrow)
    other.initialize()
    stolen = {"Mcp-Session-Id": raw.http.headers["Mcp-Session-Id"]}
    refused(other.post(ping, headers=stolen), 404, -32001)
    answer = raw.http.put(raw.url, timeout=5)
    refused(answer, 405, -32000)
    assert answer.headers["Allow"] == "GET, POST, DELETE"
    refused(raw.http.get(raw.url, headers={"Accept": "application/json"}, timeout=5), 406, -32000)
    refused(raw.http.post(raw.url + "/x", data="{}", timeout=5), 404, -32000)


@pytest.mark.parametrize("text, code", [
    ("", -32700), ("{", -32700), ("[]", -32600), ("3", -32600), ("{}", -32600), ('{"jsonrpc":"2.0"}', -32600),
    ('[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600), ('{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
    ('{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600), ('{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
    ('{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32700), ('{"jsonrpc":"2.0","id":1,"method":3}', -32600),
    ('{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32600),
    ('{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', -32600),
    ('{"jsonrpc":"2.0","id":"%s","method":"ping"}' % ("x" * 300), -32600),
    ('{"jsonrpc":"2.0","id":1,"method":"a\\u0000b"}', -32700), ("[" * 200, -32700)])
def test_malformed_messages(raw, text, code):
    refused(raw.post(text), 400, code)
    assert raw.result("ping") == {}


def test_who_may_come(hub):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for headers in ({"Authorization": "Bearer aegis_nonsense"}, {"Authorization": "Basic eDp5"},
                    {"X-Aegis-Agent": "nonsense"}):
        answer = Raw(hub, None).post(ping, headers=headers)
        refused(answer, 401, -32000)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    other_header = Raw(hub, None)
    other_header.http.headers["X-Aegis-Agent"] = hub.token
    assert other_header.initialize().status_code == 200
    for origin, status in (("https://evil.example", 403), ("null", 403), ("http://localhost.evil.example", 403),
                           ("http://localhost:5173", 200), ("http://127.0.0.1", 200), ("http://[::1]:8080", 200)):
        assert Raw(hub, hub.token).initialize(headers={"Origin": origin}).status_code == status
    # only somebody without a token can be a page that does not know where it is
    assert Raw(hub, None).initialize(headers={"Host": "evil.example"}).status_code == 403
    assert Raw(hub, None).initialize(headers={"Host": f"localhost:{hub.port}"}).status_code == 200
    assert Raw(hub, hub.token).initialize(headers={"Host": "gate.internal"}).status_code == 200


def test_contexts_of_an_agent(hub):
    nobody = hub.agent("nobody")
    body = refused(Raw(hub, nobody).initialize(), 403, -32000)
    assert "aegis agent context --agent nobody" in body["error"]["message"]
    both = hub.agent("both", contexts=["open", "narrow"])
    assert "X-Aegis-Context" in refused(Raw(hub, both).initialize(), 403, -32000)["error"]["message"]
    c = Raw(hub, both)
    assert c.initialize(headers={"X-Aegis-Context": "narrow"}).status_code == 200
    assert [t["name"] for t in c.result("tools/list")["tools"]] == [
        "test_sampling", "slow", "read_text_file", "echo", "get-sum"]
    refused(Raw(hub, both).initialize(headers={"X-Aegis-Context": "none"}), 403, -32000)
    c = Raw(hub, both)
    r = c.post(c.message("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                        "_meta": {"aegis/context": "open"}}))
    assert hub.rows_of(r.headers["X-Aegis-Request-Id"])[0]["context"] == "open"
    # withdrawn from the agent: its session ends
    c = Raw(hub, both)
    c.initialize(headers={"X-Aegis-Context": "narrow"})
    hub.aegis("agent", "context", "--agent", "both", "--context", "narrow", "--revoke")
    refused(c.ask("ping"), 404, -32001)


def test_a_client_without_a_token(hub):
    c = Raw(hub, None)
    assert c.initialize().status_code == 200
    answer = c.call("echo", message="plain")
    assert "plain" in answer.json()["result"]["content"][0]["text"]
    row = hub.rows_of(answer.headers["X-Aegis-Request-Id"])[0]
    assert (row["agent"], row["context"], row["tool"], row["server"]) == ("legacy", "open", "echo", "everything")
    refused(Raw(hub, None).initialize(headers={"X-Aegis-Context": "narrow"}), 403, -32000)


def test_sessions_end(hub):
    c = Raw(hub, hub.token)
    c.initialize()
    assert c.http.delete(c.url, timeout=5).status_code == 204
    refused(c.ask("ping"), 404, -32001)
    refused(c.http.delete(c.url, timeout=5), 404, -32001)
    token = hub.agent("changing", contexts=["open"])
    c = Raw(hub, token)
    c.initialize()
    stream = c.http.get(c.url, stream=True, timeout=10)
    new = hub.json("agent", "regenerate", "--name", "changing")["token"]
    assert stream.raw.read().startswith(b": open"), "the stream ends with its session"
    assert c.ask("ping").status_code == 401
    c.http.headers["Authorization"] = f"Bearer {new}"
    refused(c.ask("ping"), 404, -32001)


def test_policy_and_rows(hub, small):
    for tool, arguments, code in (("read_text_file", {"path": "/etc/passwd"}, 2002),
                                  ("read_text_file", {"path": str(hub.workspace / "note.txt")}, 2002),
                                  ("list_directory", {"path": "/nowhere"}, 2000), ("no_tool", {}, 2000)):
        answer = small.call(tool, **arguments)
        body = refused(answer, 200, code)
        request = answer.headers["X-Aegis-Request-Id"]
        assert body["error"]["data"]["request_id"] == request and body["id"] == small.number
        row = hub.rows_of(request)[0]
        assert row["decision"] == "blocked" and row["code"] == str(code) and row["tool"] == tool
        assert row["session"] == small.http.headers["Mcp-Session-Id"] and row["method"] == "tools/call"
        assert row["event"] == "PolicyViolationBlocked"
    answer = small.call("echo", message="x")
    rows = hub.rows_of(answer.headers["X-Aegis-Request-Id"])
    assert [(r["kind"], r.get("decision")) for r in rows] == [("decision", "allowed"), ("completion", None)]
    assert rows[0]["judged"] and rows[1]["reason"] == "ok"
    assert rows[0]["event"] == "ToolCallAuthorized" and json.loads(rows[0]["arguments"]) == {"message": "x"}
    # a limit holds over all sessions of the agent in the context
    again = Raw(hub, hub.narrow)
    again.initialize()
    for c in (small, again):
        assert "result" in c.call("get-sum", a=1, b=2).json()
    third = refused(again.call("get-sum", a=1, b=2), 200, 2005)
    assert third["error"]["data"]["retry_after"] > 3000


def test_so_many_at_once(hub):
    clients = [Raw(hub, hub.narrow) for _ in range(3)]
    for c in clients:
        c.initialize()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        two = [pool.submit(c.call, "slow", ms=700) for c in clients[:2]]
        time.sleep(0.3)
        refused(clients[2].call("slow", ms=1), 200, 2005)
        assert all("result" in r.result().json() for r in two)
    assert "result" in clients[2].call("slow", ms=1).json()


def test_what_is_not_named_is_refused(hub, small):
    """Not tools: mcp.SERVER.METHOD."""
    assert small.result("resources/list")["resources"] == []
    assert small.result("resources/templates/list")["resourceTemplates"] == []
    assert len(small.result("prompts/list")["prompts"]) == 4
    refused(small.ask("resources/read", {"uri": "test://static-text"}), 200, -32002)
    refused(small.ask("resources/subscribe", {"uri": "test://static-text"}), 200, -32002)
    refused(small.ask("completion/complete", {"ref": {"type": "ref/prompt", "name": "test_simple_prompt"},
                                              "argument": {"name": "a", "value": "b"}}), 200, -32602)
    answer = small.ask("prompts/get", {"name": "test_simple_prompt"})
    assert answer.json()["result"]["messages"]
    row = hub.rows_of(answer.headers["X-Aegis-Request-Id"])[0]
    assert row["tool"] == "mcp.conformance.prompts.get" and row["decision"] == "allowed"
    refused(small.ask("prompts/get", {"name": "none"}), 200, -32602)
    refused(small.ask("roots/list"), 200, -32601)
    refused(small.ask("tasks/get", {"taskId": "1"}), 200, -32601)
    # the tool is allowed, its question is not
    answer = small.call("test_sampling", prompt="p")
    assert answer.headers["Content-Type"] == "application/json"
    assert "does not permit" in answer.text
    asked = [r for r in hub.rows_of(answer.headers["X-Aegis-Request-Id"]) if r.get("event") == "mcp.question"]
    assert [(r["decision"], r["tool"], r["method"]) for r in asked] == [
        ("blocked", "mcp.conformance.sampling.createMessage", "sampling/createMessage")]


def test_questions_to_the_agent(hub):
    c = Raw(hub, hub.token)
    c.initialize({"sampling": {}})
    asked = c.post(c.message("tools/call", {"name": "test_sampling", "arguments": {"prompt": "p"}}), stream=True)
    assert asked.headers["Content-Type"] == "text/event-stream"
    stream = events(asked)
    question = next(stream)
    assert question["method"] == "sampling/createMessage" and question["id"].startswith("aegis-")
    answer = {"jsonrpc": "2.0", "id": question["id"], "result": {
        "role": "assistant", "model": "m", "content": {"type": "text", "text": "mine"}}}
    thief = Raw(hub, hub.token)
    thief.initialize({"sampling": {}})
    stolen = thief.post(answer)  # of another session: nobody waits for it
    assert stolen.status_code == 202
    assert hub.rows_of(stolen.headers["X-Aegis-Request-Id"])[0]["code"] == "unknown_response"
    given = c.post(answer)
    assert given.status_code == 202 and given.content == b""
    assert next(stream)["result"]["content"][0]["text"] == "LLM response: mine"
    rows = hub.rows_of(given.headers["X-Aegis-Request-Id"])
    assert [(r["kind"], r.get("event"), r.get("tool")) for r in rows] == [
        ("decision", "mcp.response", "sampling/createMessage"), ("completion", None, "sampling/createMessage")]
    # a client that cannot is not asked
    assert "cannot be elicited" in c.call("test_elicitation", message="m").text


def test_a_question_needs_a_call_that_is_alone(hub, raw):
    """Nothing says whose question it is, so with two calls under way nobody is asked."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(Raw.call, raw, "slow", ms=600)
        time.sleep(0.2)
        c = Raw(hub, hub.token)
        c.initialize({"sampling": {}})
        answer = c.call("test_sampling", prompt="p")
        assert "several calls" in answer.text
        assert "logged" in c.call("test_tool_with_logging").json()["result"]["content"][0]["text"]
        assert "result" in slow.result().json()


def test_progress_under_the_token_of_each(hub):
    def go(token):
        c = Raw(hub, hub.token)
        c.initialize()
        r = c.post(c.message("tools/call", {"name": "test_tool_with_progress", "arguments": {},
                                            "_meta": {"progressToken": token}}, "same"), stream=True)
        return list(events(r))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for token, got in zip((1, "one", 1, "1"), pool.map(go, (1, "one", 1, "1"))):
            assert [e["params"]["progress"] for e in got[:-1]] == [0, 50, 100]
            assert all(e["params"]["progressToken"] == token for e in got[:-1])
            assert got[-1]["id"] == "same" and got[-1]["result"]


def test_the_level_of_the_log(hub, raw):
    r = raw.call("test_tool_with_logging")
    assert [e["params"]["data"] for e in events(r) if e.get("method") == "notifications/message"] == [
        "Tool execution started", "Tool processing data", "Tool execution completed"]
    refused(raw.ask("logging/setLevel", {"level": "loud"}), 200, -32602)
    assert raw.result("logging/setLevel", {"level": "error"}) == {}
    assert raw.call("test_tool_with_logging").headers["Content-Type"] == "application/json"
    assert raw.result("logging/setLevel", {"level": "debug"}) == {}
    assert len(list(events(raw.call("test_tool_with_logging")))) == 4


def cancelled(c):
    return int(c.call("cancelled").json()["result"]["content"][0]["text"])


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_cancelling(hub, raw):
    before = cancelled(raw)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(raw.post, raw.message("tools/call", {"name": "slow", "arguments": {"ms": 3500}}, "mine"))
        time.sleep(0.3)
        other = Raw(hub, hub.token)  # another session's id means nothing
        other.initialize()
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "mine"}}
        assert other.post(note).status_code == 202
        time.sleep(0.2)
        assert not slow.done()
        second = Raw(hub, hub.token)
        second.http.headers.update(raw.http.headers)
        assert second.post(note).status_code == 202
        body = refused(slow.result(2), 200, -32800)
        assert body["id"] == "mine"
    until(lambda: cancelled(raw) == before + 1)
    rows = hub.rows_of(slow.result().headers["X-Aegis-Request-Id"])
    assert rows[-1]["reason"] == "agent_gone" and "cancelled" in rows[-1]["detail"]


def test_an_agent_that_leaves_cancels(raw):
    before = cancelled(raw)
    with pytest.raises(requests.exceptions.Timeout):
        raw.http.post(raw.url, data=json.dumps(raw.message("tools/call", {
            "name": "slow", "arguments": {"ms": 3500}})), timeout=0.3)
    until(lambda: cancelled(raw) == before + 1)


def test_time_is_up(raw):
    body = refused(raw.call("slow", ms=8000), 200, -32000)
    assert "in time" in body["error"]["message"] and body["id"] == raw.number


def test_large_answers_and_large_messages(hub, raw):
    for octets in (1000, 60000, 800000):
        assert len(raw.call("large", octets=octets).json()["result"]["content"][0]["text"]) == octets
    refused(raw.call("large", octets=1100000), 200, -32000)
    text = "y" * 500000
    assert text in raw.call("echo", message=text).json()["result"]["content"][0]["text"]
    assert raw.call("echo", message="z" * 1100000).status_code == 413


def test_calls_at_once(hub):
    def go(i):
        c = Raw(hub, hub.token)
        c.initialize()
        return c.call("echo", message=f"number {i}").json()["result"]["content"][0]["text"]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(go, range(64))) == [f"Echo: number {i}" for i in range(64)]


def test_what_the_judge_tells(hub):
    c, other = Raw(hub, hub.token), Raw(hub, hub.narrow)
    c.initialize()
    other.initialize()
    first = c.http.get(c.url, stream=True, timeout=10)
    assert first.status_code == 200 and first.headers["Content-Type"] == "text/event-stream"
    second = c.http.get(c.url, stream=True, timeout=10)
    assert first.raw.read() == b": open\n\n", "a session has one stream; the newer one counts"
    stream, quiet = events(second), other.http.get(other.url, stream=True, timeout=10)
    talk = Raw(hub, hub.token)
    talk.http.headers.update(c.http.headers)
    assert talk.result("resources/subscribe", {"uri": "test://watched-resource"}) == {}
    talk.call("touch")
    assert next(stream) == {"jsonrpc": "2.0", "method": "notifications/resources/updated",
                            "params": {"uri": "test://watched-resource"}}
    assert talk.result("resources/unsubscribe", {"uri": "test://watched-resource"}) == {}
    talk.call("touch")
    talk.call("add_tool")
    assert next(stream)["method"] == "notifications/tools/list_changed"
    assert any(t["name"].startswith("added_") for t in talk.result("tools/list")["tools"])
    assert other.http.delete(other.url, timeout=5).status_code == 204
    seen = quiet.raw.read()
    assert b"resources/updated" not in seen, "somebody else's subscription"


def test_pages(fresh, place):
    """More tools than an answer holds."""
    program = place / "many.py"
    program.write_text('''
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m.get("method") == "initialize":
        r = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "m", "version": "1"}}
    elif m.get("method") == "tools/list":
        at = int(m.get("params", {}).get("cursor", "0"))
        r = {"tools": [{"name": f"many.{i}", "description": "d" * 300, "inputSchema": {"type": "object"}}
                       for i in range(at, at + 100)]}
        if at < 400:
            r["nextCursor"] = str(at + 100)
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}), flush=True)
''')
    program.chmod(0o644)
    lab = fresh(tools=f"""\
tools:
  mcp_servers:
    - {{name: many, executable: /usr/bin/python3, args: ["{program}"], paths: ["{program}"], capabilities: ["many.*"]}}
""", contexts="contexts: [{name: c, capabilities: [{tool_pattern: many.*}]}]\n").start()
    c = Raw(lab, lab.agent("bot", contexts=["c"]))
    c.initialize()
    until(lambda: len(c.result("tools/list")["tools"]) > 1, 15)
    names, cursor, pages = [], None, 0
    while cursor is not None or pages == 0:
        page = c.result("tools/list", {"cursor": cursor} if cursor else {})
        names += [t["name"] for t in page["tools"]]
        cursor, pages = page.get("nextCursor"), pages + 1
    assert names == [f"many.{i}" for i in range(500)] and pages > 3
    refused(c.ask("tools/list", {"cursor": "x"}), 200, -32602)
    assert Raw(lab, None).initialize().status_code == 401, "a token is required unless the configuration says otherwise"
    # idle streams do not hold up the end
    stream = c.http.get(c.url, stream=True, timeout=20)
    assert stream.status_code == 200
    began = time.monotonic()
    lab.stop()
    assert time.monotonic() - began < 5


# -- 2026-07-28: requests that stand alone --

KEY = "io.modelcontextprotocol/"


class Alone(Raw):
    """A client of MCP 2026-07-28, by hand."""

    def ask(self, method, params=None, meta=None, **more):
        m = self.message(method, params)
        m["params"]["_meta"] = {KEY + "protocolVersion": "2026-07-28", KEY + "clientCapabilities": {}, **(meta or {})}
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method,
                   "Mcp-Name": m["params"].get("name", m["params"].get("uri")), **more}
        return self.post(m, headers=headers)


def test_the_python_sdk_of_today(hub):
    async def go():
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {hub.token}"}, timeout=20) as http:
            async with Client(streamable_http_client(f"{hub.url}/mcp", http_client=http)) as c:
                assert c.protocol_version == "2026-07-28"
                assert c.server_info.name == "aegis" and c.server_capabilities.prompts
                assert "echo" in [t.name for t in (await c.list_tools()).tools]
                assert "by today's" in said(await c.call_tool("echo", {"message": "by today's"}))
                assert said(await c.call_tool("large", {"octets": 100000})) == "x" * 100000
                read = await c.read_resource("test://static-text")
                assert read.contents[0].text == "This is the content of the static text resource."
                got = await c.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
                assert got.messages[0].content.text == "Prompt with arguments: arg1='a', arg2='b'"
                seen = []

                async def progress(done, total, message):
                    seen.append((done, total))
                await c.call_tool("test_tool_with_progress", {}, progress_callback=progress)
                assert seen == [(0, 100), (50, 100), (100, 100)]
                with pytest.raises(MCPError) as e:
                    await c.call_tool("write_file", {"path": "/x", "content": "x"})
                assert e.value.error.code == 2001
                with pytest.raises(MCPError, match="no session in which it could be asked"):
                    await c.call_tool("test_sampling", {"prompt": "p"})
    run(go())


def test_requests_that_stand_alone(hub):
    c = Alone(hub, hub.token)
    answer = c.ask("server/discover")
    found = answer.json()["result"]
    assert "Mcp-Session-Id" not in answer.headers
    assert found["supportedVersions"] == ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
    assert found["resultType"] == "complete" and found["cacheScope"] == "private" and found["extensions"]["seal"]
    assert c.ask("tools/list").json()["result"]["resultType"] == "complete"
    answer = c.ask("tools/call", {"name": "echo", "arguments": {"message": "x"}})
    assert answer.json()["result"]["resultType"] == "complete" and "Echo: x" in answer.text
    row = hub.rows_of(answer.headers["X-Aegis-Request-Id"])[0]
    assert row["agent"] == "bot" and row["context"] == "open" and "session" not in row
    assert c.ask("resources/read", {"uri": "test://static-text"}).json()["result"]["ttlMs"] == 0
    for gone in ("ping", "initialize", "logging/setLevel", "resources/subscribe", "subscriptions/listen"):
        refused(c.ask(gone), 404, -32601)
    call = ("tools/call", {"name": "echo", "arguments": {"message": "x"}})
    refused(c.ask(*call, meta={KEY + "protocolVersion": "2025-11-25"}), 400, -32020)
    refused(c.ask(*call, **{"Mcp-Method": "tools/list"}), 400, -32020)
    refused(c.ask(*call, **{"Mcp-Name": "get-sum"}), 400, -32020)
    refused(c.ask(*call, **{"Mcp-Name": "=?base64?!?="}), 400, -32020)
    assert c.ask(*call, **{"Mcp-Name": "=?base64?ZWNobw==?="}).status_code == 200
    refused(c.ask(*call, meta={KEY + "clientCapabilities": None}), 400, -32602)
    refused(c.ask("tools/call", {"name": "echo", "arguments": 3}), 400, -32602)
    modern = {"MCP-Protocol-Version": "2026-07-28"}
    assert c.http.get(c.url, headers=modern, timeout=5).headers["Allow"] == "POST"
    assert c.post({"jsonrpc": "2.0", "method": "notifications/x"}, headers=modern).status_code == 202
    refused(c.post({"jsonrpc": "2.0", "id": 1, "result": {}}, headers=modern), 400, -32600)
    # a log is sent to whoever wants one
    assert c.ask("tools/call", {"name": "test_tool_with_logging"}).headers["Content-Type"] == "application/json"
    logged = c.ask("tools/call", {"name": "test_tool_with_logging"}, meta={KEY + "logLevel": "info"})
    assert len(list(events(logged))) == 4
    both = Alone(hub, hub.agent("alone", contexts=["open", "narrow"]))
    refused(both.ask("tools/list"), 403, -32000)
    assert len(both.ask("tools/list", **{"X-Aegis-Context": "narrow"}).json()["result"]["tools"]) == 5


def test_a_secret_in_a_notification(fresh, place):
    """What comes ahead of a result is searched as the result is."""
    program = place / "leaky.py"
    program.write_text('''
import json, os, sys
def say(**m):
    print(json.dumps({"jsonrpc": "2.0", **m}), flush=True)
for line in sys.stdin:
    m = json.loads(line)
    if m.get("method") == "initialize":
        say(id=m["id"], result={"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "logging": {}},
                                "serverInfo": {"name": "l", "version": "1"}})
    elif m.get("method") == "tools/list":
        say(id=m["id"], result={"tools": [{"name": "leak", "inputSchema": {"type": "object"}}]})
    elif m.get("method") == "tools/call":
        token = m["params"]["_meta"]["progressToken"]
        for i, text in enumerate(["clean", os.environ["KEY"], "clean"]):
            say(method="notifications/progress", params={"progressToken": token, "progress": i, "message": text})
            say(method="notifications/message", params={"level": "info", "data": {"at": i, "text": text}})
        say(id=m["id"], result={"content": [{"type": "text", "text": "done"}]})
''')
    program.chmod(0o644)
    lab = fresh(tools=f"""\
tools:
  mcp_servers:
    - name: leaky
      executable: /usr/bin/python3
      args: ["{program}"]
      paths: ["{program}"]
      capabilities: [leak]
      credentials: {{KEY: "secret:key"}}
""", contexts="contexts: [{name: c, capabilities: [{tool_pattern: leak}]}]\n")
    lab.credential("key", "key", "planted-5e7d1c/+=secret", "key.invalid")
    lab.start()
    c = Raw(lab, lab.agent("bot", contexts=["c"]))
    c.initialize()
    r = c.ask("tools/call", {"name": "leak", "arguments": {}, "_meta": {"progressToken": 1}})
    seen = list(events(r))
    assert [e["params"]["progress"] for e in seen if e.get("method") == "notifications/progress"] == [0, 2]
    assert [e["params"]["data"]["at"] for e in seen if e.get("method") == "notifications/message"] == [0, 2]
    assert seen[-1]["result"]["content"][0]["text"] == "done" and "planted" not in json.dumps(seen)


def test_toolhost_and_judge_die(fresh, cache, place):
    """A call's stream breaks off or ends with an error; a session ends with the judge."""
    program = place / "conformance_server.mjs"
    shutil.copy(LIB / "conformance_server.mjs", program)
    program.chmod(0o644)
    modules = cache / "node/node_modules"
    lab = fresh(tools=f"""\
tools:
  mcp_servers:
    - name: conformance
      executable: {cache}/bin/node
      args: ["{program}", "{modules}/@modelcontextprotocol/sdk"]
      paths: ["{modules}", "{program}"]
      capabilities: ["*"]
""", contexts='contexts: [{name: c, capabilities: [{tool_pattern: "*"}]}]\n').start()
    c = Raw(lab, lab.agent("bot", contexts=["c"]))
    c.initialize()
    until(lambda: "result" in c.call("cancelled").json(), 15)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(c.call, "slow", ms=5000)
        time.sleep(0.3)
        os.kill(lab.pids("toolhostd: toolhost")[0], signal.SIGKILL)
        assert slow.result().status_code == 502
    until(lambda: "result" in c.call("cancelled").json(), 15)
    stream = c.http.get(c.url, stream=True, timeout=10)
    os.kill(lab.pids("keymasterd: judge")[0], signal.SIGKILL)
    assert stream.raw.read().startswith(b": open"), "the stream ends with the judge, whole"

    def gone():
        r = c.ask("ping")
        assert r.status_code in (404, 503), r.text
        return r.status_code == 404
    until(gone, 10)
    del c.http.headers["Mcp-Session-Id"]
    assert c.initialize().status_code == 200 and c.result("ping") == {}

# SPDX-License-Identifier: Apache-2.0
"""aegis mcp serve: the official SDKs as hosts, over standard input and over HTTP, and what a
hostile model could put into the arguments."""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import requests
from lab import CommandFailed, Lab, free_port, wait_port
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

LIB = Path(__file__).parent.parent / "lib"
TOOLS = ["aegis_proxy_request", "aegis_list_services", "aegis_health"]
KEY = "sk-of-the-bridge-5d1f"


def respond(r):
    path = r.path.partition("?")[0]
    if path == "/slow":
        time.sleep(1.5)
    if path == "/big":
        r.answer(body=b"x" * (5 << 20))
    elif path == "/octets":
        r.answer(body=b"\xff\x00\xfe")
    elif path == "/gone":
        r.answer(410, b'{"gone":true}', [("X-Note", "one"), ("X-Note", "two")])
    elif path == "/chunks":
        r.send_response(200)
        r.send_header("transfer-encoding", "chunked")
        r.end_headers()
        for piece in (b"a", b"b" * 40000, b"c"):
            r.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        r.wfile.write(b"0\r\n\r\n")
    else:
        r.answer(body=json.dumps({"method": r.command, "path": r.path,
                                  "body": r.body.decode()}).encode())


@pytest.fixture(scope="module")
def site(prefix, module_place):
    sys.path.insert(0, str(Path(__file__).parent))
    from conftest import Upstream

    up = Upstream(respond)
    lab = Lab(prefix, module_place / "bridge")
    lab.init()
    lab.start()
    for name in ("api", "other"):
        lab.credential(name, name, KEY, f"localhost:{up.port}", "--upstream",
                       f"http://localhost:{up.port}", "--allow-private")
    lab.token, lab.poor = lab.agent("bot", "api"), lab.agent("poor")
    lab.up = up
    yield lab
    lab.stop()
    up.stop()


@asynccontextmanager
async def stdio(lab, token):
    """A session of the official Python SDK, with a process of its own."""
    env = {"AEGIS_GATE_URL": lab.url, **({"AEGIS_AGENT_TOKEN": token} if token else {})}
    async with stdio_client(StdioServerParameters(
            command=str(lab.bin), args=["mcp", "serve"], env=env)) as streams:
        async with ClientSession(*streams) as s:
            s.hello = await s.initialize()
            yield s


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def text(result):
    assert len(result.content) == 1 and result.content[0].type == "text"
    return result.content[0].text


async def call(s, **args):
    got = await s.call_tool("aegis_proxy_request", args)
    return text(got) if got.is_error else json.loads(text(got))


def fields(site):
    """The header of the newest request upstream."""
    return {k.lower(): v for k, v in site.up.seen[-1][2].items()}


def test_the_python_sdk(site):
    async def go():
        async with stdio(site, site.token) as s:
            assert s.hello.server_info.name == "aegis"
            assert [t.name for t in (await s.list_tools()).tools] == TOOLS
            got = await call(s, service="api", path="/v1/things?a=b")
            assert got["status"] == 200 and got["headers"]["x-aegis-request-id"]
            assert json.loads(got["body"])["path"] == "/v1/things?a=b"
            assert fields(site)["authorization"] == f"Bearer {KEY}"
            got = await call(s, service="api", path="no-slash", method="POST", body='{"a":1}',
                             headers={"X-Mine": "1"}, targetHost=f"localhost:{site.up.port}")
            assert json.loads(got["body"]) == {"method": "POST", "path": "/no-slash",
                                               "body": '{"a":1}'}
            seen = fields(site)
            assert seen["content-type"] == "application/json" and seen["x-mine"] == "1"
            listed = json.loads(text(await s.call_tool("aegis_list_services", {})))
            assert listed["total"] == 1 and listed["services"][0]["service"] == "api"
            assert set(listed["services"][0]) == {"name", "service", "authType", "domains",
                                                  "scopes", "expiresAt", "rateLimit"}
            health = json.loads(text(await s.call_tool("aegis_health", {})))
            assert health["status"] == "ok" and health["authenticatedAgent"]["name"] == "bot"
            assert KEY not in json.dumps([got, listed, health])
    run(go())


def test_the_typescript_sdk(site, cache):
    sdk = cache / "node/node_modules/@modelcontextprotocol/sdk"
    done = subprocess.run([cache / "bin/node", LIB / "mcp_bridge_client.mjs", sdk, site.bin, site.url,
                           site.token], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)
    assert saw["server"] == "aegis" and saw["tools"] == TOOLS and saw["call"]["status"] == 200
    assert saw["services"]["total"] == 1 and saw["health"]["authenticatedAgent"]["name"] == "bot"
    assert saw["wrong"] == {"failed": True, "text": "Error: path is a text without blanks; "
                                                    "encode them as %20"}


def test_the_gate_decides(site):
    """No more than over HTTP: without grants nothing, a foreign host and no token refused."""
    async def go():
        async with stdio(site, site.poor) as s:
            listed = json.loads(text(await s.call_tool("aegis_list_services", {})))
            assert listed == {"services": [], "total": 0}
            assert (await call(s, service="api", path="/"))["status"] == 403
        async with stdio(site, site.token) as s:
            before = len(site.up.seen)
            got = await call(s, service="api", path="/", targetHost="evil.example")
            assert got["status"] == 403
            assert (await call(s, service="api", path="/../../etc"))["status"] == 400
            assert (await call(s, service="nothing", path="/"))["status"] == 404
            assert len(site.up.seen) == before
        async with stdio(site, None) as s:
            assert (await call(s, service="api", path="/"))["status"] == 401
            for tool in TOOLS[1:]:
                got = await s.call_tool(tool, {})
                assert got.is_error and text(got).startswith("Error: ")
        async with stdio(site, "aegis_nobody") as s:
            assert (await call(s, service="api", path="/"))["status"] == 401
    run(go())
    for row in site.ledger()[-12:]:
        assert "evil" not in row.get("credential", "")


WRONG = [
    {"service": "api"}, {"path": "/"}, {"service": "a/b", "path": "/"}, {"service": "", "path": "/"},
    {"service": "api", "path": "/ HTTP/1.1\r\nHost: evil"}, {"service": "api", "path": "/\tx"},
    {"service": "api", "path": "/", "method": "TRACE"}, {"service": "api", "path": "/", "method": 1},
    {"service": "api", "path": "/", "headers": {"X": "a\r\nHost: evil"}},
    {"service": "api", "path": "/", "headers": {"X Y": "a"}},
    {"service": "api", "path": "/", "headers": {"X": 1}},
    {"service": "api", "path": "/", "headers": ["X"]},
    {"service": "api", "path": "/", "targetHost": "a\r\nX: b"},
    {"service": "api", "path": "/", "body": {"a": 1}}, {"service": "api", "path": "/" + "x" * 9000},
]


def test_what_a_model_may_not_say(site):
    async def go():
        async with stdio(site, site.token) as s:
            before = len(site.up.seen)
            for args in WRONG:
                got = await call(s, **args)
                assert isinstance(got, str) and got.startswith("Error: "), args
            assert len(site.up.seen) == before
            for name in ("Host", "host", "X-Aegis-Agent", "x-target-host", "Content-Length",
                         "Transfer-Encoding", "Connection", "Upgrade", "Authorization"):
                assert (await call(s, service="api", path="/", headers={name: "7"}))["status"] == 200
                seen = fields(site)
                assert seen["host"] == f"localhost:{site.up.port}"
                assert seen["authorization"] == f"Bearer {KEY}" and "x-aegis-agent" not in seen
    run(go())


def test_answers_of_all_kinds(site):
    async def go():
        async with stdio(site, site.token) as s:
            got = await call(s, service="api", path="/octets")
            assert got["bodyEncoding"] == "base64" and got["body"] == "/wD+"
            got = await call(s, service="api", path="/gone")
            assert (got["status"], got["body"], got["headers"]["x-note"]) == (410, '{"gone":true}', "one")
            got = await call(s, service="api", path="/chunks")
            assert got["body"] == "a" + "b" * 40000 + "c"
            assert "longer than 4 MiB" in await call(s, service="api", path="/big")
            assert (await call(s, service="api", path="/", method="HEAD"))["body"] == ""
            began = time.monotonic()
            slow = [asyncio.create_task(call(s, service="api", path="/slow")) for _ in range(4)]
            await asyncio.sleep(0.1)
            assert (await call(s, service="api", path="/"))["status"] == 200  # overtakes them
            assert time.monotonic() - began < 1.4
            assert [r["status"] for r in await asyncio.gather(*slow)] == [200] * 4
            assert time.monotonic() - began < 4
    run(go())


def test_messages_that_are_none(site):
    process = subprocess.Popen(
        [site.bin, "mcp", "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={"AEGIS_GATE_URL": site.url, "AEGIS_AGENT_TOKEN": site.token})

    def say(line):
        process.stdin.write(line + "\n")
        process.stdin.flush()

    def error(line):
        say(line)
        got = json.loads(process.stdout.readline())
        return got["error"]["code"], got["id"]

    try:
        assert error("not JSON") == (-32700, None)
        assert error('{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}') == (-32700, None)
        assert error("[]") == (-32600, None) and error('{"id":3,"method":"ping"}') == (-32600, 3)
        assert error('{"jsonrpc":"2.0","id":null,"method":"ping"}')[0] == -32600
        assert error('{"jsonrpc":"2.0","id":4,"method":"nothing"}') == (-32601, 4)
        assert error('{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"no"}}') == (
            -32602, "x")
        say('{"jsonrpc":"2.0","method":"notifications/initialized"}')
        say('{"jsonrpc":"2.0","id":9,"result":{}}\r')
        say("")
        say('{"jsonrpc":"2.0","id":12345678901234567890,"method":"ping"}')
        assert process.stdout.readline() == '{"jsonrpc":"2.0","id":12345678901234567890,"result":{}}\n'
        environ = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert site.token.encode() not in environ
        say('{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"aegis_proxy_request",'
            '"arguments":{"service":"api","path":"/slow"}}}')
        process.stdin.close()  # what is under way ends first
        assert json.loads(process.stdout.readline())["id"] == 5 and process.wait(5) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def served(site):
    port = free_port()
    process = subprocess.Popen(
        [site.bin, "mcp", "serve", "--transport", "streamable-http", "--port", str(port)],
        # a token that lies in the environment is not lent to who comes by
        env={"AEGIS_GATE_URL": site.url, "AEGIS_AGENT_TOKEN": site.token}, stderr=subprocess.PIPE)
    wait_port(port, process=process)
    yield f"http://127.0.0.1:{port}/mcp"
    assert process.poll() is None
    process.terminate()
    process.wait(5)


def test_over_http_with_the_sdk(site, served):
    async def go(token, granted):
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=20) as http:
            async with streamable_http_client(served, http_client=http) as streams:
                async with ClientSession(streams[0], streams[1]) as s:
                    await s.initialize()
                    assert [t.name for t in (await s.list_tools()).tools] == TOOLS
                    listed = json.loads(text(await s.call_tool("aegis_list_services", {})))
                    assert listed["total"] == granted
                    return (await call(s, service="api", path="/"))["status"]
    async def both():  # two sessions at once, each its own agent
        return await asyncio.gather(go(site.token, 1), go(site.poor, 0), go(site.token, 1))
    assert run(both()) == [200, 403, 200]


def test_over_http_to_the_letter(site, served):
    base = served.removesuffix("/mcp")
    auth = {"Authorization": f"Bearer {site.token}"}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "1999-01-01"}}

    def ask(method="POST", url=served, json=ping, **headers):
        return requests.request(method, url, json=json, headers={**auth, **headers}, timeout=10)

    def error(r):
        return r.status_code, r.json()["error"]

    assert requests.post(served, json=ping, timeout=10).status_code == 401
    assert requests.post(served, json=ping, headers={"Authorization": "Basic eA=="}, timeout=10).status_code == 401
    assert error(ask(url=base + "/else")) == (404, "Not found. MCP endpoint is at /mcp")
    assert error(ask(Host="evil.example")) == (403, "Only programs of this machine may ask")
    for origin in ("http://evil.example", "http://localhost.evil.example", "null"):
        assert ask(Origin=origin).status_code == 403
    assert ask(Origin="http://localhost:9999", json=hello).status_code == 200
    assert error(ask()) == (400, "Missing or invalid session ID")
    assert error(ask("GET")) == (400, "Missing or invalid session ID")
    assert error(ask("DELETE", **{"Mcp-Session-Id": "x" * 32})) == (404, "Session not found")
    assert error(ask("PUT")) == (405, "Method not allowed")
    r = ask(json=hello)
    assert r.json()["result"]["protocolVersion"] == "2025-11-25"
    sid = {"Mcp-Session-Id": r.headers["Mcp-Session-Id"]}
    assert ask(**sid).json() == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert ask(json={"jsonrpc": "2.0", "method": "notifications/initialized"}, **sid).status_code == 202
    assert ask("GET", **sid).status_code == 405
    assert ask("DELETE", **sid).status_code == 200 and ask(**sid).status_code == 404
    assert requests.post(served, data=b"{}", headers=auth, timeout=10).status_code == 415
    assert requests.post(served, data=b"x" * (2 << 20), headers=auth, timeout=10).status_code in (400, 413)


def test_what_hosts_are_told(site):
    for host in ("claude", "cursor", "vscode", "cline", "windsurf"):
        done = site.aegis("mcp", "config", host, env={"AEGIS_AGENT_TOKEN": site.token})
        told = json.loads(done.stdout)
        entry = told["servers" if host == "vscode" else "mcpServers"]["aegis"]
        assert entry["args"] == ["mcp", "serve", "--transport", "stdio"]
        assert Path(entry["command"]) == site.bin and Path(entry["env"]["AEGIS_CONFIG"]).exists()
        assert entry.get("disabled") is (False if host == "cline" else None)
        http = json.loads(site.aegis("mcp", "config", host, "--transport", "streamable-http",
                                     "--port", "4567").stdout)
        assert "http://127.0.0.1:4567/mcp" in json.dumps(http)
        everything = done.stdout + done.stderr + json.dumps(http)
        assert site.token not in everything and "MASTER_KEY" not in everything
    with pytest.raises(CommandFailed) as e:
        site.aegis("mcp", "config", "emacs")
    assert e.value.code == 2 and "claude, cursor, vscode, cline or windsurf" in str(e.value)

# SPDX-License-Identifier: Apache-2.0
"""POST /mcp: the official SDKs as clients, official servers behind the gate, and the MCP
conformance suite against it."""

import asyncio
import json
import re
import shutil
import subprocess
import time
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import mcp.types as types
import pytest
import requests
from lab import Lab
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

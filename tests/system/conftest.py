# SPDX-License-Identifier: Apache-2.0
"""The whole system on real parts, started once a module where tests do not disturb it."""

import json
import os
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lab import Lab, Nginx, TestCA
from openbao import OpenBao

SECRET = "sk-planted-7f3e9A/b+c==d8"
WORKSPACE_NOTE = "a note\n"


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    return TestCA(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def place():
    """A directory that tool servers of other users may enter."""
    path = Path(tempfile.mkdtemp(prefix="aegis-test-"))
    path.chmod(0o711)
    yield path
    import shutil

    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def module_place():
    path = Path(tempfile.mkdtemp(prefix="aegis-test-"))
    path.chmod(0o711)
    yield path
    import shutil

    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def openbao_server(cache, ca, tmp_path_factory):
    """One for all modules; each makes namespaces of its own in it, and leaves it unsealed."""
    server = OpenBao(cache, tmp_path_factory.mktemp("openbao"), ca)
    yield server
    server.stop()


class Upstream(ThreadingHTTPServer):
    """A hostile or odd upstream: `handler(request)` does what the test wants."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, respond):
        self.seen = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self):
                if self.headers.get("transfer-encoding") == "chunked":
                    self.body = b""
                    while size := int(self.rfile.readline(), 16):
                        self.body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    length = int(self.headers.get("content-length") or 0)
                    self.body = self.rfile.read(length) if length else b""
                self.server.seen.append((self.command, self.path, dict(self.headers), self.body))
                respond(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_any

            def log_message(self, *args):
                pass

            def answer(self, status=200, body=b"{}", headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        super().__init__(("127.0.0.1", 0), Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


@pytest.fixture
def upstream():
    made = []

    def make(respond=lambda r: r.answer()):
        made.append(Upstream(respond))
        return made[-1]

    yield make
    for u in made:
        u.stop()


def tools_yaml(cache, workspace, extra=""):
    modules = cache / "node" / "node_modules" / "@modelcontextprotocol"
    node = cache / "bin" / "node"
    return f"""\
tools:
  mcp_servers:
    - name: filesystem
      executable: {node}
      args: ["{modules}/server-filesystem/dist/index.js", "{workspace}"]
      capabilities: [read_text_file, write_file, list_directory]
      paths: ["{modules.parent}", {{path: "{workspace}", mode: rw}}]
    - name: everything
      executable: {node}
      args: ["{modules}/server-everything/dist/index.js", "stdio"]
      capabilities: [echo, get-sum, get-env]
      paths: ["{modules.parent}"]
      credentials:
        PLANTED: "secret:api"
{extra}"""


def contexts_yaml(workspace):
    return f"""\
contexts:
  - name: reader
    capabilities:
      - tool_pattern: read_text_file
        path_allowlist: ["{workspace}/*"]
      - tool_pattern: echo
      - tool_pattern: get-sum
      - tool_pattern: get-env
    deny_list: [write_file]
"""


@pytest.fixture(scope="module")
def system(prefix, cache, ca, module_place):
    """nginx, two credentials, two official tool servers, one agent; running."""
    workspace = module_place / "workspace"
    workspace.mkdir(mode=0o755)
    (workspace / "note.txt").write_text(WORKSPACE_NOTE)
    (workspace / "note.txt").chmod(0o644)
    nginx = Nginx(module_place / "nginx", ca, SECRET)
    lab = Lab(prefix, module_place / "aegis", ca=ca, tools=tools_yaml(cache, workspace),
              contexts=contexts_yaml(workspace))
    lab.init()
    lab.credential("api", "api", SECRET, f"localhost:{nginx.tls}",
                   "--upstream", f"https://localhost:{nginx.tls}", "--allow-private")
    lab.credential("plain", "plain", SECRET, f"127.0.0.1:{nginx.plain}",
                   "--upstream", f"http://127.0.0.1:{nginx.plain}", "--allow-private")
    lab.start()
    lab.token = lab.agent("bot", "api", "plain", contexts=["reader"])
    lab.nginx, lab.workspace, lab.secret = nginx, workspace, SECRET
    yield lab
    lab.stop()
    nginx.stop()
    if os.environ.get("AEGIS_KEEP_LOGS"):
        Path(os.environ["AEGIS_KEEP_LOGS"]).mkdir(exist_ok=True)
        Path(os.environ["AEGIS_KEEP_LOGS"], "gate.log").write_bytes(lab.log.read_bytes())


@pytest.fixture
def fresh(prefix, cache, ca, place):
    """A lab of the test's own: fresh(tools=..., contexts=..., gate=...) -> not started."""
    labs = []

    def make(**kwargs):
        labs.append(Lab(prefix, place / f"aegis{len(labs)}", ca=ca, **kwargs))
        return labs[-1].init()

    yield make
    for lab in labs:
        lab.stop()

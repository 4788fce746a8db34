# SPDX-License-Identifier: Apache-2.0
"""Agents that have to be a certain process: over the gate's local socket, by user, program,
the program's contents and cgroup."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lab import Lab

HERE = os.path.realpath(sys.executable)
# What an agent runs: sends what it gets on its standard input, says what comes back.
AGENT = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
out = b""
while piece := s.recv(65536):
    out += piece
sys.stdout.buffer.write(out)
"""


class Place:
    def __init__(self, prefix, top, upstream):
        self.path = str(top / "gate.sock")
        self.program = str(top / "agent")  # Python under another name: another program
        shutil.copy(HERE, self.program)
        self.lab = Lab(prefix, top / "lab", contexts="contexts:\n  - name: work\n"
                       "    capabilities: [{tool_pattern: x}]\n",
                       gate=f"  socket: {self.path}\n  socket_mode: \"0666\"\n")
        self.lab.init().start()
        self.lab.credential("c", "api", "sk-0123456789abcdef", f"localhost:{upstream}",
                            "--upstream", f"http://localhost:{upstream}", "--allow-private")

    def agent(self, name, *required):
        token = self.lab.agent(name, "c", contexts=["work"])
        self.require(name, *required)
        return token

    def require(self, name, *required):
        self.lab.aegis("agent", "set-process", "--name", name, *required)

    def rows(self, **want):
        return [r for r in self.lab.ledger() if all(r.get(k) == v for k, v in want.items())]

    def run(self, octets, program=None):
        """The answer when this program has connected: status and body."""
        home = {"PYTHONHOME": sys.base_prefix}
        out = subprocess.run([program or self.program, "-c", AGENT, self.path], input=octets,
                             stdout=subprocess.PIPE, check=True, timeout=20, env=home).stdout
        return read(out)


def read(out):
    head, _, body = out.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body[:1] == b"{" else body


def proxied(token):
    return (f"GET /api/x HTTP/1.1\r\nHost: gate\r\nX-Aegis-Agent: {token}\r\n"
            "Connection: close\r\n\r\n").encode()


def attest(token):
    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    body = json.dumps({"public_key": base64.b64encode(public).decode(),
                       "security_context": "work"})
    return (f"POST /v1/seal/attest HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\n\r\n{body}").encode()


def tcp(place, octets):
    with socket.create_connection(("127.0.0.1", place.lab.port)) as s:
        s.sendall(octets)
        out = b""
        while piece := s.recv(65536):
            out += piece
    return read(out)


@pytest.fixture(scope="module")
def place(prefix):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    top = Path(tempfile.mkdtemp(prefix="aegis-proc-", dir="/tmp"))
    top.chmod(0o755)  # the daemons, other users, work below it
    made = Place(prefix, top, server.server_address[1])
    yield made
    made.lab.remove()
    server.shutdown()
    server.server_close()
    assert not os.path.exists(made.path), "the socket's name is left behind"
    shutil.rmtree(top)


def own_cgroup():
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    both = [x.split(":", 2) for x in lines]
    two = [x[2] for x in both if x[0] == "0" and x[2] != "/"]
    named = [x[2] for x in both if x[1] == "name=systemd"]
    return (two or named or ["/"])[0]


def must_serve(place, token, program=None):
    assert place.run(proxied(token), program) == (200, b"ok")
    status, body = place.run(attest(token), program)
    assert (status, body["status"]) == (200, "success")


def must_refuse(place, name, token, why, run):
    before = place.lab.ledger()[-1]["seq"]
    status, body = run(proxied(token))
    assert status == 403 and why in body["error"], body
    status, body = run(attest(token))
    assert (status, body["error"]["code"]) == (401, 3000) and why in body["message"], body
    rows = [r for r in place.lab.ledger() if r["seq"] > before and r.get("decision") == "blocked"]
    assert [r.get("code") for r in rows] == ["process_refused", "3000"], rows
    assert rows[0]["agent"] == name and all(why in r["reason"] for r in rows)


def test_a_local_socket_is_a_gate_like_another(place):
    token = place.agent("anybody")
    must_serve(place, token)
    assert tcp(place, proxied(token)) == (200, b"ok")
    row, = place.rows(kind="decision", service="api", agent="anybody", peer="local")
    assert row["decision"] == "allowed"
    assert os.stat(place.path).st_mode & 0o777 == 0o666
    # many, one after the other: none is kept in mind
    for _ in range(50):
        assert place.lab.process.poll() is None
        s = socket.socket(socket.AF_UNIX)
        s.connect(place.path)
        s.close()
    must_serve(place, token)


def test_by_user(place):
    token = place.agent("mine", "--uid", os.getuid())
    must_serve(place, token)
    place.require("mine", "--uid", os.getuid() + 1)
    must_refuse(place, "mine", token, "another user", place.run)
    place.require("mine")
    must_serve(place, token)


def test_by_program(place):
    token = place.agent("program", "--exe", place.program)
    must_serve(place, token)
    must_refuse(place, "program", token, "another program", lambda o: place.run(o, HERE))


def test_by_contents(place):
    other = place.program + "-2"
    shutil.copy(HERE, other)
    token = place.agent("contents", "--exe", other, "--exe-sha256")
    must_serve(place, token, other)
    with open(other, "ab") as f:
        f.write(b"\0")
    must_refuse(place, "contents", token, "another program", lambda o: place.run(o, other))
    place.require("contents", "--exe", other, "--exe-sha256")
    must_serve(place, token, other)


def test_by_cgroup(place):
    token = place.agent("grouped", "--cgroup", own_cgroup())
    must_serve(place, token)
    place.require("grouped", "--cgroup", "*")
    must_serve(place, token)
    place.require("grouped", "--cgroup", "/nowhere/*")
    must_refuse(place, "grouped", token, "another cgroup", place.run)


def test_all_of_it(place):
    token = place.agent("all", "--uid", os.getuid(), "--exe", place.program, "--exe-sha256",
                        "--cgroup", own_cgroup())
    must_serve(place, token)
    must_refuse(place, "all", token, "another program", lambda o: place.run(o, HERE))
    shown = next(a for a in place.lab.json("agent", "list") if a["name"] == "all")["process"]
    assert (shown["uid"], shown["exe"]) == (os.getuid(), place.program)
    assert len(shown["exe_sha256"]) == 64 and shown["cgroup"] == own_cgroup()


def test_not_over_tcp(place):
    token = place.agent("local", "--uid", os.getuid())
    must_refuse(place, "local", token, "local socket", lambda o: tcp(place, o))


def test_sessions_end_when_another_process_is_required(place):
    token = place.agent("moves", "--uid", os.getuid())
    status, body = place.run(attest(token))
    assert status == 200
    place.require("moves", "--uid", os.getuid() + 1)
    row, = place.rows(session=body["session_id"], reason="agent's process changed")
    assert row["agent"] == "moves"


def test_what_cannot_be_required(place):
    place.agent("odd")
    for flags in (["--uid", "me"], ["--uid", "-1"], ["--uid", "4294967295"], ["--exe-sha256"],
                  ["--exe", "/nowhere/at/all"]):
        done = place.lab.aegis("agent", "set-process", "--name", "odd", *flags, check=False)
        assert done.returncode != 0 and done.stderr, flags
    assert "process" not in next(a for a in place.lab.json("agent", "list") if a["name"] == "odd")


def connect_and_die(path):
    """A connection whose maker has ended, and the number that it had."""
    s = socket.socket(socket.AF_UNIX)
    pid = os.fork()
    if pid == 0:
        s.connect(path)
        os._exit(0)
    os.waitpid(pid, 0)
    return s, pid


def start_as(pid, program):
    """The program, with this process number if we may choose it."""
    try:
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    except PermissionError:
        pass  # then it is hit by chance or not
    return subprocess.Popen([program, "-c", "import time; time.sleep(60)"],
                            env={"PYTHONHOME": sys.base_prefix})


def test_a_number_that_has_gone_on(place):
    """The maker of a connection ends before it is looked at; the program that is required gets
    its number. Whatever the order of these, the number does not speak for the connection."""
    token = place.agent("reused", "--exe", place.program)
    gates = place.lab.pids("gated")
    hits = 0
    for _ in range(10):
        for g in gates:
            os.kill(g, signal.SIGSTOP)
        s, pid = connect_and_die(place.path)
        right = start_as(pid, place.program)
        try:
            end = time.monotonic() + 5
            while os.readlink(f"/proc/{right.pid}/exe") != place.program:
                assert time.monotonic() < end
            hits += right.pid == pid
            for g in gates:
                os.kill(g, signal.SIGCONT)
            with s:
                s.sendall(proxied(token))
                out = b""
                while piece := s.recv(65536):
                    out += piece
            assert read(out)[0] == 403, out
        finally:
            for g in gates:
                os.kill(g, signal.SIGCONT)
            right.kill()
            right.wait()
    if os.geteuid() == 0:
        assert hits >= 5, "the number was never used again: this shows nothing"
    must_serve(place, token)


def test_makers_that_end_at_once(place):
    """The same with nothing stopped: forks that connect, execute and end as they like."""
    token = place.agent("racing", "--exe", place.program)
    for n in range(60):
        s, pid = connect_and_die(place.path)
        right = start_as(pid, place.program) if n % 6 == 0 else None
        with s:
            s.sendall(proxied(token))
            out = b""
            while piece := s.recv(65536):
                out += piece
        assert read(out)[0] == 403, out
        if right is not None:
            right.kill()
            right.wait()
    must_serve(place, token)

# SPDX-License-Identifier: Apache-2.0
"""Judge, vault, dispatcher, toolhost and workers as they are installed, linked as the
master links them. In the place of the master a thread of the test; in the place of the
gates the test itself; in the place of the upstream and of a tool server two threads that
write down what reaches them."""

import base64
import json
import os
import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import proto
import puppet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from puppet import CONF_EGRESS, AdminSocket, Puppet, conf_judge, conf_vault
from seal_client import canonical

SECRETS = {"planted": "sk-planted-7f3e9A/b+c==d8", "other": "sk-other-Q2w+/4x&9%zz-c0ffee"}
VARIABLE = "variable-of-files-6Yh/8+uJ=="
CONTEXT = {"name": "work", "capabilities": [{"tool_pattern": "files.*"}]}
TOOL = dict(server=3, name="files", capabilities="files.*", health_method="ping",
            health_interval_ms=0, health_timeout_ms=1000, call_timeout_ms=3000,
            max_output_bytes=1 << 20, at_start=1)
TOOLS = [{"name": "files.read", "description": "Reads.", "inputSchema": {"type": "object"}},
         {"name": "files.write", "description": "Writes.", "inputSchema": {"type": "object"}}]


class Upstream:
    """Answers 200 to everybody and keeps what came; /echo/FORM says the credential back."""

    def __init__(self):
        self.seen, keep = [], self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (ConnectionResetError, BrokenPipeError, ValueError):
                    self.close_connection = True

            def answer(self):
                n = int(self.headers.get("content-length", 0))
                body = self.rfile.read(n)
                if self.headers.get("transfer-encoding") == "chunked":
                    body = self.chunks()
                if len(body) == n or n == 0:  # else it was cut: no request
                    keep.seen.append((self.command, self.path, self.headers.items(), body))
                out = b'{"you":"reached it"}'
                if self.path.startswith("/echo/"):
                    key = self.headers["authorization"].removeprefix("Bearer ").encode()
                    out = {"plain": key, "base64": base64.b64encode(key), "hex": key.hex().encode(),
                           "percent": "".join(f"%{b:02x}" for b in key).encode(),
                           }[self.path.split("/")[2]]
                self.send_response(200)
                self.send_header("content-length", str(len(out)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(out)

            def chunks(self):
                body = b""
                while (n := int(self.rfile.readline().split(b";")[0], 16)) > 0:
                    body += self.rfile.read(n)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return self.answer
                raise AttributeError(name)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class ToolServer:
    """An MCP server on two pipes."""

    def __init__(self):
        self.calls = []
        stdin, self.stdin_fd = os.pipe()
        self.stdout_fd, stdout = os.pipe()
        threading.Thread(target=self.run, args=(open(stdin, "rb"), open(stdout, "wb", 0)),
                         daemon=True).start()

    def run(self, lines, out):
        with lines, out:
            for line in lines:
                m = json.loads(line)
                result = {}
                if m["method"] == "initialize":
                    result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                              "serverInfo": {"name": "files", "version": "1"}}
                elif m["method"] == "tools/list":
                    result = {"tools": TOOLS}
                elif m["method"] == "tools/call":
                    self.calls.append(m["params"])
                    result = {"content": [{"type": "text", "text": "done"}]}
                if "id" in m:
                    out.write(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": result})
                              .encode() + b"\n")


class Realm:
    GATES = 3  # the attacker has the doors of this many gates

    def __init__(self, prefix):
        self.prefix, self.children, self.lock = prefix, {}, threading.RLock()
        self.tap, self.misbehaved, self.last_instance, self.gates = [], {}, 100, {}
        self.upstream, self.tool = Upstream(), ToolServer()
        self.directories = {r: puppet.Directory(r) for r in ("JUDGE", "VAULT")}
        variables = [("files", "KEY", "", VARIABLE)]
        for role, conf in (
                ("VAULT", conf_vault(variables=variables)),
                ("JUDGE", conf_judge(tools=[TOOL], contexts=[("work", json.dumps(CONTEXT))])),
                ("DISPATCH", [("conf_egress", CONF_EGRESS)]),
                ("TOOLHOST", [("conf_tool", TOOL)])):
            self.start(role, conf)
        self.running, self.idle, self.over = True, threading.Event(), threading.Event()
        self.master = threading.Thread(target=self._master, daemon=True)
        self.master.start()
        self.sockets = [AdminSocket(self[role]) for role in ("JUDGE", "VAULT")]
        self.admin, self.admin_of_vault = (s.door() for s in self.sockets)
        self.judge = self.door("JUDGE")
        self._populate()

    def _populate(self):
        """Two credentials; an agent that may use one, and attest into a context."""
        url = f"http://127.0.0.1:{self.upstream.port}"
        for name, secret in SECRETS.items():
            for _ in range(200):
                sealed = dict(name=name, service=name, domains="127.0.0.1", auth_type="bearer",
                              allow_private=1)
                offer = self.admin_of_vault.ask(
                    "secret_offer", tenant="default", add=1, scheme="http",
                    port=self.upstream.port, secret=puppet.memfd(secret), **sealed)
                got = self.admin.ask("credential_add", scopes="*", upstream=url,
                                     offer=offer["offer"], **sealed)
                if got["code"] == 0 or "vault" not in got["message"].lower():
                    break
                time.sleep(0.02)
            assert got["code"] == 0, got
        self.token = self.agent("ann")
        self.act("agent_grant", agent="ann", credential="planted")
        self.act("agent_context", agent="ann", context="work")
        self.both = self.agent("bob")
        for name in SECRETS:
            self.act("agent_grant", agent="bob", credential=name)
        self.wait(lambda: "files.read" in str(self.act("tool_list")["rows"]), "the tool server")

    # -- the master's part --

    def __getitem__(self, role):
        return next(c for c in self.children.values() if c.role == role)

    def start(self, role, conf, name=""):
        with self.lock:
            self.last_instance += 1
            child = Puppet(self.prefix, role, conf, instance=self.last_instance, name=name,
                           directory=self.directories.get(role)).ready()
            for other in self.children.values():
                if proto.table_name(role, other.role) is None:
                    continue
                a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                child.give(other.role, a, other.instance, other.name)
                other.give(role, b, child.instance, child.name)
            self.children[child.instance] = child
            if role == "WORKER":
                for gate in self.gates:
                    self._door(child, gate)
        return child

    def _master(self):
        while self.running:
            with self.lock:
                masters = {c.master.fileno(): c for c in self.children.values()
                           if c.status is None}
            poll = select.poll()
            for fd in masters:
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll(50):
                self._hear(masters[fd])
        self.idle.set()
        self.over.wait()  # children are killed when the thread that started them ends

    def _hear(self, child):
        try:
            while True:
                got = child.master.recv(0)
                if got.name == "misbehaved":
                    self.misbehaved.setdefault(got.fields["instance"], []).append(
                        (child.role, got.fields["reason"]))
                elif got.name == "worker_spawn":
                    worker = self.start("WORKER", [("conf_egress", CONF_EGRESS)],
                                        got.fields["credential"])
                    child.master.send("spawned", got.reqid, instance=worker.instance)
                elif got.name == "tool_spawn":
                    child.master.send("spawned", got.reqid, instance=9999,
                                      stdin_fd=self.tool.stdin_fd, stdout_fd=self.tool.stdout_fd)
                    os.close(self.tool.stdin_fd)
                    os.close(self.tool.stdout_fd)
        except (TimeoutError, proto.Closed):
            child.alive()

    # -- the gates' part --

    def _door(self, child, gate):
        door = child.door("GATE", instance=gate, tap=self.tap)
        self.gates[gate][child.instance] = door
        return door

    def door(self, where, gate=None):
        """A door to a role, or to the process of this instance; of a gate that has none
        there yet when no gate is named."""
        with self.lock:
            child = self[where] if isinstance(where, str) else self.children[where]
            if gate is None:
                gate = next((g for g, doors in self.gates.items()
                             if child.instance not in doors), None)
            if gate is None:
                self.last_instance += 1
                gate = self.last_instance
            self.gates.setdefault(gate, {})
            return self._door(child, gate)

    def fresh(self, where):
        """The door of a gate that has just been started; its `instance` is the gate's."""
        with self.lock:
            self.last_instance += 1
            self.gates[self.last_instance] = {}
            return self.door(where, self.last_instance)

    def worker(self, name):
        return next(c for c in self.children.values() if c.role == "WORKER" and c.name == name)

    def authorize(self, target="/planted/path", token=None, door=None, **more):
        fields = dict(peer="192.0.2.1", token=self.token if token is None else token,
                      method="GET", target=target, headers=b"accept: */*\r\n", body_len=0)
        fields.update(more)
        got = (door or self.judge).ask("proxy_authorize", **fields)
        return dict(got, asked=fields)

    def grant(self, target="/planted/path", token=None, **more):
        got = self.authorize(target, token, **more)
        assert got["verdict"] == proto.VERDICTS["PROXY"], got["body"]
        return got

    @staticmethod
    def opened(grant, /, **changes):
        """proxy_open for a grant, or for what somebody makes of it."""
        fields = {k: grant[k] for k in ("request_id", "grant", "not_after", "mac", "authority",
                                        "target", "timeout_ms", "max_body")}
        fields.update({k: grant["asked"][k] for k in ("method", "headers", "body_len")})
        fields.update(changes)
        return fields

    def redeem(self, grant, door=None, /, **changes):
        if door is None:
            door = self.gates_door(grant["redeemer"])
        return door.ask("proxy_open", **self.opened(grant, **changes))

    def gates_door(self, instance, nth=0):
        """An open door to this process, made at first need."""
        while True:
            doors = [d[instance] for d in self.gates.values()
                     if instance in d and d[instance].sock.fileno() >= 0
                     and not getattr(d[instance], "spent", False)]
            if len(doors) > nth:
                return doors[nth]
            self.fresh(instance)

    # -- agents --

    def attest(self):
        key = Ed25519PrivateKey.generate()
        public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        got = self.judge.ask(
            "api_request", peer="192.0.2.1", method="POST", target="/v1/seal/attest",
            content_type="application/json", token=self.token, host="h",
            body=json.dumps({"public_key": public.decode(), "workload_id": "wl",
                             "security_context": "work"}).encode())
        assert got["status"] == 200, got["body"]
        return Session(key, json.loads(got["body"])["security_token"])

    def call(self, envelope, door=None, big=False):
        how = {"big": puppet.memfd(envelope)} if big else {"envelope": envelope}
        got = (door or self.judge).ask("seal_authorize", peer="192.0.2.1",
                                       target="/v1/seal/invoke", **how)
        if big:
            os.close(how["big"])
        return dict(got, envelope=envelope)

    @staticmethod
    def called(grant, /, **changes):
        at = grant["payload_off"]
        fields = {k: grant[k] for k in ("request_id", "grant", "not_after", "mac", "server",
                                        "timeout_ms", "max_response")}
        fields["payload"] = grant["envelope"][at:at + grant["payload_len"]]
        fields.update(changes)
        return fields

    # -- administrators --

    def act(self, message, **fields):
        got = self.admin.ask(message, **fields)
        assert got["code"] == 0, got["message"]
        return got

    def agent(self, name):
        return json.loads(self.act("agent_add", name=name)["json"])["token"]

    def last_row(self):
        return json.loads(self.act("ledger_read", newest_first=1, limit=1)["json"])["last"]

    def rows(self, after, **want):
        out = []
        while True:
            got = self.act("ledger_read", after=after, limit=500)
            out += [json.loads(r["json"])["row"] for r in got["rows"]]
            end = json.loads(got["json"])
            if not end["more"]:
                return [r for r in out if all(r.get(k) == v for k, v in want.items())]
            after = end["next"]

    def wait_rows(self, after, count=1, seconds=5, **want):
        rows = []

        def enough():
            rows[:] = self.rows(after, **want)
            return len(rows) >= count
        self.wait(enough, f"{count} rows {want}", seconds)
        return rows

    def blamed(self, door):
        """What the master heard of the gate of this door: [(by whom, why)]"""
        self.wait(lambda: door.instance in self.misbehaved, "an accusation")
        return self.misbehaved[door.instance]

    @staticmethod
    def wait(fn, what, seconds=5):
        end = time.monotonic() + seconds
        while not fn():
            assert time.monotonic() < end, f"waited in vain for {what}"
            time.sleep(0.02)

    # -- the end --

    def check_alive(self):
        dead = [(c.role, c.status, c.log()[-2000:]) for c in self.children.values()
                if not c.alive()]
        assert not dead, dead

    def stop(self):
        """{role: exit status}"""
        self.running = False
        self.idle.wait()
        self.admin.close()
        self.admin_of_vault.close()
        ends = {}
        for role in ("TOOLHOST", "WORKER", "DISPATCH", "JUDGE", "VAULT"):
            for c in list(self.children.values()):
                if c.role != role:
                    continue
                if role == "TOOLHOST" and c.alive():  # it waits for its tool servers to go
                    c.tell("stop", drain_ms=0)
                    c.tell("child_exited", instance=9999, status=0)
                ends[role, c.name] = c.stop()
        self.over.set()
        self.master.join()
        self.upstream.close()
        for d in self.directories.values():
            d.remove()
        for s in self.sockets:
            s.remove()
        return ends


class Session:
    def __init__(self, key, token):
        self.key, self.token, self.count = key, token, 0

    def envelope(self, name="files.read", **arguments):
        self.count += 1
        payload = {"jsonrpc": "2.0", "id": self.count, "method": "tools/call",
                   "params": {"name": name, "arguments": arguments}}
        at = int(time.time())
        signature = self.key.sign(canonical(payload, self.token, at))
        return json.dumps({"protocol": "seal/v1", "security_token": self.token,
                           "signature": base64.b64encode(signature).decode(),
                           "payload": payload, "timestamp": at}).encode()

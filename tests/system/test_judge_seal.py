# SPDX-License-Identifier: Apache-2.0
"""The judge's SEAL half: a real judge and a real vault, with the test in the place of gate,
toolhost and administrator."""

import base64
import hashlib
import json
import os
import re
import signal
import socket
import struct
import time
import uuid

import proto
import puppet
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from seal_client import canonical

CONTEXT = {
    "name": "work",
    "capabilities": [
        {"tool_pattern": "fs.*", "path_allowlist": ["/w"], "max_response_size": 4096},
        {"tool_pattern": "limited", "rate_limit": {"calls": 2, "per_seconds": 3600}},
        {"tool_pattern": "nowhere.*"},
    ],
    "deny_list": ["fs.delete"],
}
CONFIGURED = {"name": "configured", "capabilities": [{"tool_pattern": "fs.read"}]}
TOOL = dict(server=1, name="files", capabilities="fs.* limited", call_timeout_ms=7000,
            health_method="tools/list", health_interval_ms=0, health_timeout_ms=0,
            max_output_bytes=1 << 20, at_start=0)
CATALOGUE = [
    {"name": "fs.read", "description": "Reads.", "inputSchema": {"type": "object", "x": 1}},
    {"name": "fs.read", "description": "Again."},
    {"name": "fs.delete", "description": "Denied."},
    {"name": "limited", "inputSchema": []},
    {"name": "stolen", "description": "Not among the capabilities."},
    {"name": 1}, 7,
]


def pub64(key):
    return base64.b64encode(key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)).decode()


class Judge:
    """A judge with what belongs to it; may be killed and started again."""

    def __init__(self, prefix, **conf):
        self.prefix, self.conf = prefix, conf
        self.dir, self.vault_dir = puppet.Directory("JUDGE"), puppet.Directory("VAULT")
        self.vault = puppet.Puppet(prefix, "VAULT", puppet.conf_vault(),
                                   directory=self.vault_dir).ready()
        self.start()

    def start(self, with_vault=True):
        conf = puppet.conf_judge(tools=[TOOL],
                                 contexts=[("configured", json.dumps(CONFIGURED))], **self.conf)
        self.judge = puppet.Puppet(self.prefix, "JUDGE", conf, directory=self.dir).ready()
        if with_vault:
            self.link_vault()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = str(self.dir.top / f"admin-{uuid.uuid4()}")
        self.listener.bind(path)
        self.listener.listen()
        self.judge.listen(puppet.LISTEN_ADMIN, self.listener)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(path)
        self.admin = proto.Door(sock)
        self.admin.hello("ADMIN")
        self.gate = self.judge.door("GATE")
        self.toolhost = self.judge.door("TOOLHOST")
        self.key = self.toolhost.wait("grant_key").fields["key"]
        self.toolhost.send("redeemer_ready")
        self.catalogue(json.dumps(CATALOGUE))
        if with_vault:
            self.wait_keys()

    def catalogue(self, text):
        """Says what the tools are, and waits until the judge has read it."""
        self.catalogues = getattr(self, "catalogues", 0) + 1
        mark = f"number {self.catalogues}"
        what = {"tools": text} if len(text) < 40000 else {"big": puppet.memfd(text)}
        self.toolhost.raw(*proto.encode("tool_catalogue", 0, dict(
            server=1, state=3, message=mark, **what)))
        end = time.monotonic() + 5
        while mark not in str(self.act("tool_list")["rows"]):
            assert time.monotonic() < end
            time.sleep(0.005)

    def link_vault(self):
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.judge.give("VAULT", a, 50)
        self.vault.give("JUDGE", b, 51)
        a.close()
        b.close()

    def wait_keys(self):
        end = time.monotonic() + 5
        while self.api("GET", "/.well-known/jwks.json")[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.02)

    def kill(self):
        os.kill(self.judge.pid, signal.SIGKILL)
        while self.judge.alive():
            time.sleep(0.005)
        self.gate.close()
        self.toolhost.close()
        self.admin.close()

    def stop(self):
        assert self.judge.alive(), self.judge.log()
        self.admin.close()
        assert self.judge.stop() == 0
        assert self.vault.stop() == 0
        self.dir.remove()
        self.vault_dir.remove()

    # -- what the peers say --

    def act(self, message, ok=True, **fields):
        got = self.admin.ask(message, **fields)
        assert (got["code"] == 0) == ok, got
        return got

    def agent(self, name, *contexts):
        token = json.loads(self.act("agent_add", name=name)["json"])["token"]
        for c in contexts:
            self.act("agent_context", agent=name, context=c)
        return token

    def api(self, method, target, body=None, token="", authorization="",
            content_type="application/json"):
        got = self.gate.ask("api_request", peer="192.0.2.7", method=method, target=target,
                            content_type=content_type if body is not None else "",
                            authorization=authorization, token=token, host="h", origin="",
                            body=b"" if body is None else
                            body if isinstance(body, bytes) else json.dumps(body).encode())
        assert got["verdict"] == proto.VERDICTS["ANSWER"]
        return got["status"], json.loads(got["body"]), got["headers"]

    def envelope(self, octets, big=False):
        if not isinstance(octets, bytes):
            octets = json.dumps(octets).encode()
        if big:
            return self.gate.ask("seal_authorize", peer="192.0.2.7", target="/v1/seal/invoke",
                                 big=puppet.memfd(octets))
        return self.gate.ask("seal_authorize", peer="192.0.2.7", target="/v1/seal/invoke",
                             envelope=octets)

    def rows(self, **want):
        """Ledger rows, oldest first, that have these members."""
        out, after = [], 0
        while True:
            got = self.act("ledger_read", after=after, limit=500)
            out += [json.loads(r["json"])["row"] for r in got["rows"]]
            end = json.loads(got["json"])
            if not end["more"]:
                break
            after = end["next"]
        out = [json.loads(r) if isinstance(r, str) else r for r in out]
        return [r for r in out if all(r.get(k) == v for k, v in want.items())]


class Session:
    def __init__(self, judge, token, context="work", **more):
        self.judge, self.key, self.count = judge, Ed25519PrivateKey.generate(), 0
        body = dict({"public_key": pub64(self.key), "workload_id": "wl",
                     "security_context": context}, **more)
        self.status, self.answer, self.headers = judge.api(
            "POST", "/v1/seal/attest", body, token)
        if self.status == 200:
            self.token, self.id = self.answer["security_token"], self.answer["session_id"]

    def make(self, method, params=None, at=None, key=None, identifier=None):
        self.count += 1
        payload = {"jsonrpc": "2.0", "id": identifier or f"r{self.count}", "method": method}
        if params is not None:
            payload["params"] = params
        at = int(time.time()) if at is None else at
        signature = (key or self.key).sign(canonical(payload, self.token, at))
        return {"protocol": "seal/v1", "security_token": self.token,
                "signature": base64.b64encode(signature).decode(), "payload": payload,
                "timestamp": at}

    def call(self, name, **arguments):
        return self.judge.envelope(self.make("tools/call", {"name": name, "arguments": arguments}))

    def refused(self, got, status, code, reason=None):
        """The answer is this refusal, in a body that every client can read."""
        assert got["verdict"] == proto.VERDICTS["ANSWER"]
        body = json.loads(got["body"])
        assert (got["status"], body["error"]["code"]) == (status, code), body
        assert body["protocol"] == "seal/v1" and body["status"] == "error"
        assert body["error"]["message"] and body["error"]["timestamp"].endswith("Z")
        if reason:
            assert body["error"]["details"]["reason"] == reason
        return body

    def result(self, got):
        body = json.loads(got["body"])
        assert got["status"] == 200 and body["status"] == "success", body
        assert body["protocol"] == "seal/v1" and body["payload"]["jsonrpc"] == "2.0"
        return body["payload"]


@pytest.fixture(scope="module")
def judge(prefix):
    j = Judge(prefix)
    j.act("context_put", json=json.dumps(CONTEXT))
    j.token = j.agent("ann", "work", "configured", "read-only-research")
    yield j
    j.stop()


@pytest.fixture(scope="module")
def session(judge):
    s = Session(judge, judge.token)
    assert s.status == 200, s.answer
    return s


# -- attestation --

def test_token_is_ours(judge, session):
    header, claims, signature = session.token.split(".")
    unpad = lambda s: base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))  # noqa: E731
    head, claims_ = json.loads(unpad(header)), json.loads(unpad(claims))
    keys = judge.api("GET", "/.well-known/jwks.json")[1]["keys"]
    jwk = next(k for k in keys if k["kid"] == head["kid"])
    assert head["alg"] == "EdDSA" and jwk["alg"] == "EdDSA" and jwk["crv"] == "Ed25519"
    Ed25519PublicKey.from_public_bytes(unpad(jwk["x"])).verify(
        unpad(signature), f"{header}.{claims}".encode())
    assert claims_["scp"] == "work" and claims_["wid"] == "wl" and claims_["tenant_id"] == "default"
    assert claims_["exp"] - claims_["iat"] == 3600
    for name in ("sub", "jti", "exec_id"):
        assert str(uuid.UUID(claims_[name])) == claims_[name]
    assert claims_["jti"] == session.id and session.answer["status"] == "success"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", session.answer["expires_at"])
    row = judge.rows(session=session.id, event="AttestationSucceeded")[0]
    assert row["agent"] == "ann" and row["context"] == "work" and row["workload"] == "wl"


def spellings(key):
    raw = key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    yield "public_key", raw.hex()
    yield "public_key", base64.b64encode(raw).decode()
    yield "public_key", base64.urlsafe_b64encode(raw).decode()
    yield "public_key", base64.urlsafe_b64encode(raw).decode().rstrip("=")
    yield "public_key", base64.b64encode(der).decode()
    yield "public_key_pem", pem.decode()
    yield "agent_public_key", base64.b64encode(raw).decode()


def test_request_spellings(judge):
    key = Ed25519PrivateKey.generate()
    for name, text in spellings(key):
        status, body, _ = judge.api("POST", "/v1/smcp/attest", {
            name: text, "container_id": "c", "requested_scope": "work", "user_id": None},
            authorization="Bearer " + judge.token)
        assert status == 200, (name, text, body)


@pytest.mark.parametrize("change,token,code", [
    ({}, "", 3000), ({}, "aegis_wrong", 3000),
    ({"security_context": "nothing"}, None, 3001), ({"security_context": None}, None, 3001),
    ({"security_context": "code-assistant"}, None, 3001),
    ({"security_context": "../work"}, None, 3001), ({"security_context": 1}, None, 3001),
    ({"public_key": None}, None, 3002), ({"public_key": "x"}, None, 3002),
    ({"public_key": "00" * 32}, None, 3002), ({"public_key": "01" + "00" * 31}, None, 3002),
    ({"workload_id": "x" * 257}, None, 3002), ({"task_summary": 1}, None, 3002),
])
def test_attest_refusals(judge, change, token, code):
    body = {"public_key": pub64(Ed25519PrivateKey.generate()), "workload_id": "wl",
            "security_context": "work"}
    body.update(change)
    status, got, _ = judge.api("POST", "/v1/seal/attest", body,
                               judge.token if token is None else token)
    assert (status, got["error"]["code"], got["error_code"]) == (401, code, code)
    assert got["status"] == "error" and got["message"] == got["error"]["message"]
    row = judge.rows(event="AttestationFailed")[-1]
    assert row["decision"] == "blocked" and row["code"] == str(code) and row["reason"]


def test_attest_bodies(judge):
    for octets in (b"", b"[]", b"{", b'{"public_key":1,"public_key":2}'):
        status, got, _ = judge.api("POST", "/v1/seal/attest", octets, judge.token)
        assert (status, got["error"]["code"]) == (401, 3002)


def test_attest_is_limited(prefix):
    j = Judge(prefix, attest_per_minute=2)
    token = j.agent("bob", "configured")
    assert [Session(j, token, "configured").status for _ in range(2)] == [200, 200]
    third = Session(j, token, "configured")
    assert third.status == 429 and third.answer["error"]["code"] == 2005
    assert re.search(r"Retry-After: \d+\r\n", third.headers)
    j.stop()


def test_vault_away(prefix):
    j = Judge(prefix)
    token = j.agent("bob", "configured")
    s = Session(j, token, "configured")
    assert s.status == 200
    assert s.call("fs.read")["verdict"] == proto.VERDICTS["TOOL"]
    os.kill(j.vault.pid, signal.SIGKILL)
    time.sleep(0.2)
    late = Session(j, token, "configured")
    assert late.status == 503 and late.answer["error"]["message"]
    assert s.call("fs.read")["verdict"] == proto.VERDICTS["TOOL"]
    j.vault.alive()
    j.vault = puppet.Puppet(prefix, "VAULT", puppet.conf_vault(create=False),
                            directory=j.vault_dir).ready()
    j.link_vault()
    end = time.monotonic() + 5
    while Session(j, token, "configured").status != 200:
        assert time.monotonic() < end
        time.sleep(0.1)
    j.stop()


# -- the API beside --

def test_routes(judge):
    assert judge.api("GET", "/v1/seal/nothing")[0] == 404
    status, body, headers = judge.api("GET", "/v1/seal/attest")
    assert status == 405 and headers == "Allow: POST\r\n" and body["status"] == "error"
    status, body, headers = judge.api("POST", "/.well-known/jwks.json", {})
    assert status == 405 and headers == "Allow: GET\r\n" and body["error"]["message"]
    assert judge.api("POST", "/v1/seal/attest", {}, content_type="text/plain")[0] == 415
    assert judge.api("POST", "/v1/seal/attest", {}, content_type="application/json; charset=utf-8",
                     token=judge.token)[0] == 401


def test_tools_of_a_context(judge):
    status, plain, _ = judge.api("GET", "/v1/seal/tools")
    assert status == 200 and plain["tools"] == [] and plain["security_context"] is None
    assert plain["attestation_endpoint"] == "/v1/seal/attest"
    assert judge.api("GET", "/v1/seal/tools?security_context=coder")[0] == 401
    got = judge.api("GET", "/v1/seal/tools", token=judge.token)[1]
    assert got["tools"] == [] and got["security_context"] is None
    got = judge.api("GET", "/v1/seal/tools?x=1&security_context=w%6Frk", token=judge.token)[1]
    assert [t["name"] for t in got["tools"]] == ["fs.read", "limited"]
    assert got["invoke_endpoint"] == "/v1/seal/invoke"
    assert judge.api("GET", "/v1/seal/tools?security_context=code-assistant",
                     token=judge.token)[0] == 401


# -- calls --

def test_grant(judge, session):
    wire = session.make("tools/call", {"name": "fs.read", "arguments": {"path": "/w/a", "é": "\n"}})
    octets = json.dumps(wire, ensure_ascii=False, indent=1).encode()
    got = judge.envelope(octets)
    assert got["verdict"] == proto.VERDICTS["TOOL"], got["body"]
    assert (got["server"], got["timeout_ms"], got["max_response"], got["wrap"]) == (1, 7000, 4096, 1)
    assert got["redeemer"] == judge.toolhost.instance
    payload = octets[got["payload_off"]:got["payload_off"] + got["payload_len"]]
    assert json.loads(payload) == wire["payload"]
    digest = hashlib.sha256(b"aegis-tool-2" + struct.pack(">I", 1)
                            + struct.pack(">I", 0) + payload).digest()
    mac = hashlib.blake2b(got["request_id"] + got["grant"] + struct.pack(">Q", got["not_after"])
                          + digest, key=judge.key, digest_size=32).digest()
    assert mac == got["mac"]
    row = judge.rows(request=got["request_id"].hex(), kind="decision")[0]
    assert row["decision"] == "allowed" and row["tool"] == "fs.read" and row["server"] == "files"
    assert row["proof"] == wire["signature"] and row["session"] == session.id
    assert row["context"] == "work" and row["agent"] == "ann" and row["peer"] == "192.0.2.7"
    assert row["judged"] == digest.hex()
    judge.toolhost.send("done", request_id=got["request_id"], grant=got["grant"], outcome=1,
                        status=200, bytes_in=1, bytes_out=2, duration_us=3)
    end = time.monotonic() + 5
    while not judge.rows(request=got["request_id"].hex(), kind="completion"):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_big_envelope(judge, session):
    wire = session.make("tools/call", {"name": "fs.read", "arguments": {
        "path": "/w/a", "content": "x" * 300000}})
    octets = json.dumps(wire).encode()
    got = judge.envelope(octets, big=True)
    assert got["verdict"] == proto.VERDICTS["TOOL"], got["body"]
    assert octets[got["payload_off"]:][:got["payload_len"]] == json.dumps(wire["payload"]).encode()
    session.refused(judge.envelope(b" " * (11 << 20), big=True), 413, 413)


def test_no_grant_for_what_toolhost_will_not_take(prefix):
    j = Judge(prefix, max_body_bytes=64 << 20)
    s = Session(j, j.agent("bob", "configured"), "configured")
    s.refused(j.envelope(b" " * ((16 << 20) + 1), big=True), 413, 413)
    j.stop()


@pytest.mark.parametrize("tool,arguments,status,code", [
    ("fs.delete", {"path": "/w/a"}, 403, 2001), ("fs.read", {"path": "/etc/passwd"}, 403, 2002),
    ("fs.read", {"path": "/w/../etc/passwd"}, 403, 2002), ("fs.read", {}, 403, 2002),
    ("web.search", {"query": "x"}, 403, 2000), ("fs", {"path": "/w"}, 403, 2000),
    ("x" * 129, {}, 403, 2000), ("", {}, 403, 2000),
])
def test_policy(judge, session, tool, arguments, status, code):
    got = session.call(tool, **arguments)
    body = session.refused(got, status, code)
    assert body["error"]["request_id"] == f"r{session.count}"
    row = judge.rows(request=got["request_id"].hex())[0]
    assert (row["decision"], row["code"], row["status"]) == ("blocked", str(code), status)
    assert row["proof"] and row["session"] == session.id


def test_unserved_tool(judge, session):
    got = session.call("nowhere.at.all")
    assert session.result(got)["error"]["code"] == -32602
    assert judge.rows(request=got["request_id"].hex())[0]["code"] == "unknown_tool"


@pytest.mark.parametrize("params", [None, [], {}, {"name": 1}, {"name": "fs.read", "arguments": []},
                                    {"name": "fs.read", "arguments": None}])
def test_call_params(judge, session, params):
    session.refused(judge.envelope(session.make("tools/call", params)), 401, 1000, "malformed")


def test_methods(judge, session):
    ask = lambda m, p=None, i=None: session.result(  # noqa: E731
        judge.envelope(session.make(m, p, identifier=i)))
    assert ask("ping")["result"] == {}
    assert ask("ping", i=12345678901234567890123)["id"] == 12345678901234567890123
    seal = ask("initialize", {"protocolVersion": "x"})["result"]["extensions"]["seal"]
    assert seal == {"supported": True, "version": "v1", "attestation_endpoint": "/v1/seal/attest"}
    tools = ask("tools/list")["result"]["tools"]
    assert tools == [{"name": "fs.read", "description": "Reads.",
                      "inputSchema": {"type": "object", "x": 1}},
                     {"name": "limited", "inputSchema": {"type": "object"}}]
    assert ask("tools/list", {"cursor": "x"})["error"]["code"] == -32602
    assert ask("resources/read", {"uri": "x"})["error"]["code"] == -32601


def test_long_tool_lists_come_in_pages(judge, session):
    many = [{"name": f"fs.t{i}", "description": "d" * 900} for i in range(200)]
    many[60]["description"] = "x" * 60000  # fits on no page
    judge.catalogue(json.dumps(many))
    names, params, pages = [], {}, 0
    while True:
        result = session.result(judge.envelope(session.make("tools/list", params)))["result"]
        names += [t["name"] for t in result["tools"]]
        pages += 1
        if "nextCursor" not in result:
            break
        params = {"cursor": result["nextCursor"]}
    assert names == [f"fs.t{i}" for i in range(200) if i != 60] and pages >= 5
    for bad in ("{}", "[", json.dumps([{"name": "fs.x"}] * 5000)):
        judge.catalogue(bad)
        # what cannot be read leaves the names of the configuration
        result = session.result(judge.envelope(session.make("tools/list")))["result"]
        assert [t["name"] for t in result["tools"]] == ["limited"]
    judge.catalogue(json.dumps(CATALOGUE))


def test_rate_limit(judge):
    s = Session(judge, judge.token)
    assert [s.call("limited")["verdict"] for _ in range(2)] == [proto.VERDICTS["TOOL"]] * 2
    got = s.call("limited")
    s.refused(got, 429, 2005)
    assert re.fullmatch(r"Retry-After: 3[56]\d\d\r\n", got["headers"])
    # another session has its own window
    assert Session(judge, judge.token).call("limited")["verdict"] == proto.VERDICTS["TOOL"]


# -- envelopes that are not to be believed --

def test_replay_and_time(judge, session):
    wire = session.make("ping")
    session.result(judge.envelope(wire))
    got = judge.envelope(wire)
    session.refused(got, 401, 1003, "replay")
    assert judge.rows(request=got["request_id"].hex())[0]["detail"] == "replay"
    now = int(time.time())
    for at in (now - 40, now + 40):
        session.refused(judge.envelope(session.make("ping", at=at)), 401, 1003, "stale_timestamp")


def test_wrong_signatures(judge, session):
    wire = session.make("ping", key=Ed25519PrivateKey.generate())
    got = judge.envelope(wire)
    session.refused(got, 401, 1001, "signature")
    row = judge.rows(request=got["request_id"].hex())[0]
    assert row["proof"] == wire["signature"] and "signed" not in row
    assert row["session"] == session.id and row["agent"] == "ann"
    other = Session(judge, judge.token)
    wire = session.make("ping")
    wire["security_token"] = other.token
    other.refused(judge.envelope(wire), 401, 1001)
    wire = session.make("ping")
    wire["payload"]["method"] = "tools/list"
    session.refused(judge.envelope(wire), 401, 1001)
    head, claims, signature = session.token.split(".")
    wire["security_token"] = f"{head}.e30.{signature}"
    session.refused(judge.envelope(wire), 401, 1005, "unknown_session")
    session.refused(judge.envelope(b"nonsense"), 401, 1000, "malformed")


def test_flood_of_refusals_is_summed(judge, session):
    before = len(judge.rows())
    for _ in range(300):
        session.refused(judge.envelope(b"{}"), 401, 1000)
    assert len(judge.rows()) - before < 100


# -- what outlives a restart --

def test_kill_and_start_again(prefix):
    j = Judge(prefix)
    j.act("context_put", json=json.dumps(CONTEXT))
    token = j.agent("ann", "work")
    s, gone = Session(j, token), Session(j, token)
    used = [s.make("ping") for _ in range(3)]
    for wire in used:
        s.result(j.envelope(wire))
    j.act("session_revoke", session=gone.id, reason="test")
    for _ in range(3):
        j.kill()
        j.start()
        for wire in used:
            s.refused(j.envelope(wire), 401, 1003, "replay")
        used.append(s.make("ping"))
        s.result(j.envelope(used[-1]))
        gone.refused(j.envelope(gone.make("ping")), 401, 1006, "revoked")
        assert s.call("fs.read", path="/w/a")["verdict"] == proto.VERDICTS["TOOL"]
    j.stop()


def test_a_second_judge_on_the_same_ledger_is_refused(judge):
    second = puppet.Puppet(judge.prefix, "JUDGE", puppet.conf_judge(), directory=judge.dir)
    with pytest.raises(proto.Closed):
        second.master.wait("ready", 10)
    assert second.stop() == 1
    assert "another gate writes this ledger: stop that one first" in second.log()
    judge.agent("after-a-second-one")
    assert judge.rows(event="agent.add", agent="after-a-second-one")


def test_windows_outlive_a_kill(prefix):
    j = Judge(prefix)
    j.act("context_put", json=json.dumps(CONTEXT))
    token = j.agent("ann", "work")
    a, b, c = (Session(j, token) for _ in range(3))
    grant = proto.VERDICTS["TOOL"]
    assert [a.call("limited")["verdict"] for _ in range(2)] == [grant, grant]
    assert b.call("limited")["verdict"] == grant
    time.sleep(6)  # saved in between
    for s in (b, c):
        assert s.call("limited")["verdict"] == grant
    for _ in range(2):
        j.kill()
        j.start()
        a.refused(a.call("limited"), 429, 2005)
        b.refused(b.call("limited"), 429, 2005)
    assert c.call("limited")["verdict"] == grant
    c.refused(c.call("limited"), 429, 2005)
    j.stop()


# -- administration --

def test_contexts(judge):
    bad = judge.act("context_put", ok=False, json='{"name":"x","capabilities":[{"tool_pattern":1}]}')
    assert bad["message"].startswith("capabilities[0].tool_pattern:")
    new = {"name": "temp", "capabilities": [{"tool_pattern": "fs.read"}]}
    assert json.loads(judge.act("context_put", json=json.dumps(new))["json"])["version"] == 1
    judge.act("context_put", ok=False, json=json.dumps(new))
    got = judge.act("context_put", json=json.dumps(new), replace=1)
    got = json.loads(got["json"])
    assert (got["name"], got["version"], got["sessions"]) == ("temp", 2, 0)
    assert json.loads(judge.act("context_show", name="temp")["json"]) == new
    names = {r["name"]: r for r in
             (json.loads(r["json"]) for r in judge.act("context_list")["rows"])}
    assert {n: r["origin"] for n, r in names.items()} == {
        "read-only-research": "built-in", "code-assistant": "built-in",
        "configured": "configuration", "work": "administrator", "temp": "administrator"}
    judge.act("context_put", ok=False, json=json.dumps(dict(new, name="configured")), replace=1)
    judge.act("context_remove", ok=False, name="configured")
    judge.act("context_remove", ok=False, name="read-only-research")
    judge.act("context_remove", name="temp")
    judge.act("context_show", ok=False, name="temp")
    assert [r["event"] for r in judge.rows(context="temp")] == [
        "context.put", "context.put", "context.remove"]


def test_context_test(judge):
    def ask(tool, arguments):
        return json.loads(judge.act("context_test", name="work", tool=tool,
                                    arguments=json.dumps(arguments))["json"])
    got = ask("fs.read", {"path": "/w/a"})
    assert got.pop("steps") == [
        {"rule": "deny_list[0]", "entry": "fs.delete", "result": "does not apply"},
        {"rule": "capabilities[0]", "tool_pattern": "fs.*", "result": "allows"}]
    assert got == {"allowed": True, "rule": "capabilities[0]",
                   "reason": "capabilities[0] allows it", "server": "files"}
    assert ask("nowhere.x", {})["server"] is None
    got = ask("fs.read", {"path": "/etc"})
    assert (got["allowed"], got["code"]) == (False, 2002) and "/etc" in got["reason"]
    assert "deny_list[0]" in ask("fs.delete", {})["reason"]
    judge.act("context_test", ok=False, name="work", tool="x", arguments="[]")
    judge.act("context_test", ok=False, name="none", tool="x", arguments="{}")


def test_replaced_context_counts_at_once(judge):
    judge.act("context_put", json=json.dumps(dict(CONTEXT, name="changing")))
    judge.act("agent_context", agent="ann", context="changing")
    s = Session(judge, judge.token, "changing")
    assert s.call("fs.read", path="/w/a")["verdict"] == proto.VERDICTS["TOOL"]
    judge.act("context_put", json='{"name":"changing","capabilities":[]}', replace=1)
    s.refused(s.call("fs.read", path="/w/a"), 403, 2000)
    judge.act("context_remove", name="changing")
    s.refused(s.call("fs.read", path="/w/a"), 403, 2000, "context_gone")
    judge.act("context_put", json=json.dumps(dict(CONTEXT, name="changing")))
    assert s.call("fs.read", path="/w/a")["verdict"] == proto.VERDICTS["TOOL"]


def test_sessions(judge):
    s = Session(judge, judge.token)
    listed = {r["session"]: r for r in
              (json.loads(r["json"]) for r in judge.act("session_list")["rows"])}
    assert listed[s.id]["state"] == "active" and listed[s.id]["agent"] == "ann"
    assert s.token not in json.dumps(listed)
    s.result(judge.envelope(s.make("ping")))
    judge.act("session_revoke", session=s.id, reason="lost laptop")
    s.refused(judge.envelope(s.make("ping")), 401, 1006, "revoked")
    judge.act("session_revoke", ok=False, session=s.id)
    judge.act("session_revoke", ok=False, session="none")
    row = judge.rows(event="SessionRevoked", session=s.id)[0]
    assert row["reason"] == "lost laptop" and row["kind"] == "admin"


def test_acts_that_end_sessions(judge):
    token = judge.agent("eve", "work", "configured")
    a, b = Session(judge, token, "work"), Session(judge, token, "configured")
    a.result(judge.envelope(a.make("ping")))
    b.result(judge.envelope(b.make("ping")))
    judge.act("agent_context", agent="eve", context="work", revoke=1)
    a.refused(judge.envelope(a.make("ping")), 401, 1006, "revoked")
    b.result(judge.envelope(b.make("ping")))
    assert Session(judge, token, "work").status == 401
    token = json.loads(judge.act("agent_regenerate", name="eve")["json"])["token"]
    b.refused(judge.envelope(b.make("ping")), 401, 1006, "revoked")
    b = Session(judge, token, "configured")
    b.result(judge.envelope(b.make("ping")))
    judge.act("agent_remove", name="eve")
    b.refused(judge.envelope(b.make("ping")), 401, 1006, "revoked")
    assert Session(judge, token, "configured").status == 401


def run_of(judge, name, ttl_s):
    got = json.loads(judge.act("agent_run", name=name, ttl_s=ttl_s)["json"])
    return got["run"], got["token"]


def test_sessions_end_with_their_run(judge):
    own = judge.agent("runner", "configured")
    (run, token), (other, other_token) = run_of(judge, "runner", 600), run_of(judge, "runner", 600)
    mine, its, others = (Session(judge, t, "configured") for t in (own, token, other_token))
    # a session does not outlive the token that it was attested with
    until = {e["run"]: e["expires_at"] for r in judge.act("agent_list")["rows"]
             for e in json.loads(r["json"])["runs"]}
    assert its.answer["expires_at"][:19] == until[run][:19]
    assert mine.answer["expires_at"] > its.answer["expires_at"]
    for s in (mine, its, others):
        s.result(judge.envelope(s.make("ping")))
    judge.act("agent_run_end", run=run)
    its.refused(judge.envelope(its.make("ping")), 401, 1006, "revoked")
    row, = judge.rows(event="SessionRevoked", session=its.id)
    assert (row["reason"], row["agent"]) == ("run ended", "runner")
    for s in (mine, others):
        s.result(judge.envelope(s.make("ping")))
    assert Session(judge, token, "configured").answer["error"]["code"] == 3000
    judge.act("agent_run_end", run=other)
    others.refused(judge.envelope(others.make("ping")), 401, 1006, "revoked")
    mine.result(judge.envelope(mine.make("ping")))


def test_sessions_end_when_their_run_is_over(judge):
    judge.agent("brief", "configured")
    _, token = run_of(judge, "brief", 3)
    s = Session(judge, token, "configured")
    s.result(judge.envelope(s.make("ping")))
    time.sleep(3)
    s.refused(judge.envelope(s.make("ping")), 401, 1003)


@pytest.mark.parametrize("act", ["agent_run_end", "agent_regenerate", "agent_context"])
def test_what_ends_while_vault_signs_gets_no_session(prefix, act):
    j = Judge(prefix)
    token = j.agent("bob", "configured")
    fields = {"agent_regenerate": {"name": "bob"},
              "agent_context": {"agent": "bob", "context": "configured", "revoke": 1}}
    if act == "agent_run_end":
        run, token = run_of(j, "bob", 600)
        fields[act] = {"run": run}
    os.kill(j.vault.pid, signal.SIGSTOP)
    body = {"public_key": pub64(Ed25519PrivateKey.generate()), "security_context": "configured"}
    j.gate.send("api_request", 77, peer="192.0.2.7", method="POST", target="/v1/seal/attest",
                content_type="application/json", authorization="", token=token, host="h",
                origin="", body=json.dumps(body).encode())
    j.gate.send("api_request", 78, peer="192.0.2.7", method="GET", target="/v1/nothing",
                content_type="", authorization="", token="", host="h", origin="", body=b"")
    assert j.gate.recv().reqid == 78  # so the other waits for vault
    j.act(act, **fields[act])
    os.kill(j.vault.pid, signal.SIGCONT)
    got = j.gate.recv()
    assert (got.reqid, got.fields["status"]) == (77, 401), got
    assert j.act("session_list")["rows"] == []
    row = j.rows(event="AttestationFailed")[-1]
    assert row["decision"] == "blocked" and "session" not in row
    j.stop()


def test_runs_are_remembered_across_a_restart(prefix):
    j = Judge(prefix)
    j.agent("bob", "configured")
    run, token = run_of(j, "bob", 600)
    s = Session(j, token, "configured")
    s.result(j.envelope(s.make("ping")))
    j.kill()
    j.start()
    s.result(j.envelope(s.make("ping")))
    j.act("agent_run_end", run=run)
    s.refused(j.envelope(s.make("ping")), 401, 1006, "revoked")
    j.stop()


def test_tool_list(judge):
    rows = [json.loads(r["json"]) for r in judge.act("tool_list")["rows"]]
    assert rows[0].pop("message").startswith("number ")
    # what the tests before this one called
    assert all(rows[0].pop(n) >= 0 for n in ("calls", "failed", "in_flight"))
    assert rows == [{"server": "files", "state": "running", "processes": 0, "restarts": 0,
                     "tool_count": 3, "instances": "shared", "capabilities": ["fs.*", "limited"],
                     "tools": ["fs.read", "fs.delete", "limited"]}]

# SPDX-License-Identifier: Apache-2.0
"""The configuration read again while everything runs: by `aegis daemon reload` and by SIGHUP."""

import base64
import json
import os
import pathlib
import re
import signal
import ssl
import socket
import time

import lab as labs
import pytest
import requests
import urllib3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lab import Lab

urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

CONTEXT = """
contexts:
  - name: work
    capabilities: [{{tool_pattern: "{pattern}"}}]
"""


def eventually(what, seconds=10):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return found


class Reloaded(Lab):
    def __init__(self, prefix, place):
        self.ca = labs.TestCA(place / "one")
        self.jwks = place / "operators.json"
        self.operator = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.write_keys(self.operator)
        super().__init__(prefix, place / "lab", gate=f"  tls: {{cert: {self.ca.cert}, key: {self.ca.key}}}",
                         contexts=CONTEXT.format(pattern="a.*"),
                         extra=f"operators: {{jwks_file: {self.jwks}, issuer: idp}}")
        self.url = f"https://localhost:{self.port}"
        self.api = labs.free_port()
        self.text = self.text.replace("observability:\n", "observability:\n  dashboard: {enabled: true, "
                                      f"port: {self.api}}}\n")

    def write_keys(self, key):
        n = key.public_key().public_numbers()
        text = [base64.urlsafe_b64encode(x.to_bytes(size, "big")).decode().rstrip("=")
                for x, size in ((n.n, 256), (n.e, 3))]
        self.jwks.write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "k", "n": text[0], "e": text[1]}]}))

    def write(self, *changes):
        for old, new in changes:
            assert old in self.text, old
            self.text = self.text.replace(old, new)
        self.config.write_text(self.text)

    def reload(self, **more):
        return json.loads(self.aegis("daemon", "reload", "--json", **more).stdout)

    def mark(self):
        return len(self.log.read_text())

    def system(self, event):
        return [r for r in self.ledger("--system") if r["event"] == event]

    @staticmethod
    def web(verify=False):
        session = requests.Session()
        session.trust_env = False  # no proxy, no other authorities
        session.verify = str(verify) if verify else False
        return session

    def healthy(self):
        return self.web().get(f"{self.url}/health", timeout=5).status_code == 200

    def certificate(self, port=None):
        """What a client is shown, as octets."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", port or self.port), 5) as s, \
                context.wrap_socket(s, server_hostname="localhost") as t:
            return t.getpeercert(binary_form=True)

    def as_operator(self, key):
        """The status of the API for a token of an operator."""
        now = int(time.time())
        parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=")
                 for p in ({"alg": "RS256", "typ": "JWT", "kid": "k"},
                           {"iss": "idp", "aud": "aegis-gateway", "sub": "o", "iat": now,
                            "exp": now + 60, "aegis_role": "aegis:admin"})]
        signature = key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
        token = b".".join(parts + [base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()
        answer = self.web().get(f"{self.url}/v1/seal/sessions", timeout=10,
                                headers={"Authorization": f"Bearer {token}"})
        return answer.status_code


@pytest.fixture(scope="module")
def gate(prefix, module_place):
    lab = Reloaded(prefix, module_place)
    lab.init().start()
    yield lab
    lab.stop()


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_nothing_changed(gate):
    pids = set(gate.children())
    assert gate.reload() == {"result": "applied", "changed": [], "restart": [], "errors": []}
    assert set(gate.children()) == pids
    said = gate.system("daemon.reloaded")[-1]
    assert said["detail"] == "unchanged" and said["reason"] == "administrator"
    assert [r["event"] for r in gate.ledger("--admin")][-1] == "daemon.reload"


def test_contexts(gate):
    def allowed(tool):
        return gate.aegis("context", "test", "work", tool, check=False).returncode == 0

    assert allowed("a.x") and not allowed("b.x")
    gate.write(('"a.*"', '"b.*"'))
    assert gate.reload()["changed"] == ["context work"]
    assert not allowed("a.x") and allowed("b.x")
    assert {c["name"]: c.get("version") for c in gate.json("context", "list")}["work"] == 2
    # one that comes and one that goes, from a directory beside the file
    (gate.dir / "contexts").mkdir()
    other = gate.dir / "contexts" / "more.yaml"
    other.write_text('name: more\ncapabilities: [{tool_pattern: "c.*"}]\n')
    assert "context more (new)" in gate.reload()["changed"]
    assert "more" in [c["name"] for c in gate.json("context", "list")]
    other.unlink()
    assert gate.reload()["changed"] == ["context more (gone)"]
    assert "more" not in [c["name"] for c in gate.json("context", "list")]
    assert [r["context"] for r in gate.system("context.unconfigured")] == ["more"]


def test_the_certificate_of_the_gate(gate, module_place):
    assert gate.certificate() == der(gate.ca.cert)
    kept = gate.web(gate.ca.ca)  # a connection from before goes on
    assert kept.get(f"{gate.url}/health", timeout=5).status_code == 200
    other = labs.TestCA(module_place / "two")
    gate.write((str(gate.ca.cert), str(other.cert)), (str(gate.ca.key), str(other.key)))
    assert gate.reload()["changed"] == ["gate.tls.cert", "gate.tls.key"]
    assert gate.certificate() == gate.certificate(gate.api) == der(other.cert)
    assert kept.get(f"{gate.url}/health", timeout=5).status_code == 200
    # the same names, other contents: read again, too
    third = labs.TestCA(module_place / "three")
    other.cert.write_text(third.cert.read_text())
    other.key.write_text(third.key.read_text())
    gate.reload()
    assert gate.certificate() == der(third.cert)
    # a key that is not the certificate's changes nothing, for nobody
    gate.write(('"b.*"', '"never.*"'))
    other.key.write_text((module_place / "one" / "server.key").read_text())
    refused = gate.aegis("daemon", "reload", check=False)
    assert refused.returncode == 1 and "gate.tls.key holds no key of that certificate" in refused.stderr
    assert gate.certificate() == der(third.cert)
    assert gate.aegis("context", "test", "work", "b.x", check=False).returncode == 0
    said = gate.system("daemon.reload_refused")[-1]
    assert "gated: gate: gate.tls.key holds no key" in said["detail"]
    gate.write(('"never.*"', '"b.*"'))
    other.key.write_text(third.key.read_text())
    assert gate.reload()["changed"] == []


def test_who_starts_during_a_refusal(gate, module_place):
    """A judge that comes up while a reload is under way lives by what counts in the end."""
    key, before = pathlib.Path(re.search(r"key: ([^}]+)}", gate.text)[1]), gate.text
    good = key.read_text()
    gate.write(('"b.*"', '"never.*"'))
    key.write_text(labs.TestCA(module_place / "four").key.read_text())  # which the gate's process refuses
    (vault,), (judge,) = gate.pids("keymasterd: vault"), gate.pids("keymasterd: judge")
    mark = gate.mark()
    os.kill(vault, signal.SIGSTOP)  # its answer is waited for
    try:
        os.kill(gate.process.pid, signal.SIGHUP)
        os.kill(judge, signal.SIGKILL)
        eventually(lambda: gate.pids("keymasterd: judge") not in ([], [judge]))
    finally:
        os.kill(vault, signal.SIGCONT)
    eventually(lambda: "event=reload.refused" in gate.log.read_text()[mark:])
    gate.text = before
    gate.write()
    key.write_text(good)
    eventually(gate.healthy)
    eventually(lambda: gate.aegis("context", "list", check=False).returncode == 0)
    assert gate.aegis("context", "test", "work", "b.x", check=False).returncode == 0
    assert gate.aegis("context", "test", "work", "never.x", check=False).returncode == 3
    assert gate.reload()["changed"] == []


def test_keys_of_operators(gate):
    assert gate.as_operator(gate.operator) == 200
    fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert gate.as_operator(fresh) == 401
    gate.write_keys(fresh)
    assert gate.reload()["changed"] == ["operators.jwks_file (its keys)"]
    assert gate.as_operator(fresh) == 200 and gate.as_operator(gate.operator) == 401


def test_what_wants_a_restart_is_named(gate):
    before = gate.text
    gate.write((f"listen: 127.0.0.1:{gate.port}", f"listen: 127.0.0.1:{labs.free_port()}"),
               ("log_level: info", "log_level: debug"),
               ("admin:", "cluster: {enabled: true}\nadmin:"))
    done = gate.aegis("daemon", "reload")
    assert "gate.listen changed: restart needed" in done.stderr
    assert "cluster.enabled changed: restart needed" in done.stderr
    assert "observability.log_level: in force" in done.stderr
    said = gate.system("daemon.reloaded")[-1]["detail"]
    assert said == "changed: observability.log_level; restart needed: gate.listen, cluster.enabled"
    assert gate.healthy()
    # every daemon logs by it; a new one too
    mark = gate.mark()
    vault, = gate.pids("keymasterd: vault")
    os.kill(vault, signal.SIGKILL)
    eventually(lambda: "level=debug" in gate.log.read_text()[mark:])
    eventually(lambda: gate.aegis("vault", "refresh", check=False).returncode == 0)
    gate.text = before
    gate.write()
    assert gate.reload()["changed"] == ["observability.log_level"]


def test_tool_servers_want_a_restart(gate):
    before = gate.text
    gate.write(("admin:", "tools: {mcp_servers: [{name: echo, executable: /bin/cat, "
                "capabilities: [x.y]}]}\nadmin:"))
    assert gate.reload()["restart"] == ["tools.mcp_servers (echo)"]
    gate.text = before
    gate.write()
    assert gate.reload()["restart"] == []


def test_a_wrong_file_changes_nothing(gate):
    rows, pids = len(gate.system("daemon.reload_refused")), set(gate.children())
    before, mark = gate.text, gate.mark()
    gate.write(("log_level: info", "log_level: loud"), ("admin:", "gatte: 1\nadmin:"))
    os.kill(gate.process.pid, signal.SIGHUP)
    eventually(lambda: len(gate.log.read_text()[mark:].split("event=reload.refused")) == 3)
    said = gate.log.read_text()[mark:]
    line = 1 + gate.text[:gate.text.index("gatte")].count("\n")
    assert f"{gate.config}:{line}:1" in said and "log_level" in said
    gate.text = before
    gate.write()
    refused = gate.system("daemon.reload_refused")[rows:]
    assert [r["reason"] for r in refused] == ["SIGHUP"]
    assert "log_level" in refused[0]["detail"] and set(gate.children()) == pids
    mark = gate.mark()
    os.kill(gate.process.pid, signal.SIGHUP)
    eventually(lambda: "event=reload " in gate.log.read_text()[mark:])
    assert gate.system("daemon.reloaded")[-1]["reason"] == "SIGHUP"
    assert gate.healthy()


def test_under_load_no_request_fails(gate):
    """Limits and rules change between requests, never within one."""
    session = gate.web()
    end, n = time.monotonic() + 1.0, 0
    while time.monotonic() < end:
        if n % 20 == 0:
            os.kill(gate.process.pid, signal.SIGHUP)
        assert session.get(f"{gate.url}/health", timeout=5).status_code == 200
        n += 1
    assert n > 50 and not [x for x in gate.log.read_text().splitlines() if "permit" in x]

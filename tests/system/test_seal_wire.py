# SPDX-License-Identifier: Apache-2.0
"""SEAL as each of its clients writes it, and as each of them reads the answers."""

import base64
import concurrent.futures
import json
import os
import secrets
import shutil
import signal
import socket
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lab import Lab
from sdk_rules import (Raised, check_refusal, python_attest, python_invoke, typescript_attest,
                       typescript_invoke)
from seal_client import SealClient, canonical
from test_operator import b64url, jwt, number

ISSUER = "https://orchestrator.example"


def raw(key):
    return key.public_key().public_bytes_raw()


def b64(data):
    return base64.b64encode(data).decode()


class Issuer:
    """Somebody else who mints security tokens, with a key of either kind."""

    def __init__(self, path):
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ed = Ed25519PrivateKey.generate()
        n = self.rsa.public_key().public_numbers()
        path.write_text(json.dumps({"keys": [
            {"kty": "RSA", "kid": "r", "alg": "RS256", "use": "sig", "n": number(n.n), "e": number(n.e)},
            {"kty": "OKP", "kid": "e", "crv": "Ed25519", "x": b64url(raw(self.ed))}]}))

    def token(self, execution, alg="RS256", sub="the-agent", scp="reader", header=None, **change):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": ["x", "aegis-agents"], "sub": sub, "scp": scp, "wid": "container-1",
                  "iat": now, "exp": now + 600, "jti": str(uuid.uuid4()), "exec_id": execution, "tenant_id": "default"}
        claims.update(change)
        claims = {k: v for k, v in claims.items() if v is not None}
        if alg == "RS256":
            sign = lambda t: self.rsa.sign(t, padding.PKCS1v15(), hashes.SHA256())
        else:
            sign = self.ed.sign
        return jwt(header or {"alg": alg, "typ": "JWT", "kid": alg[0].lower()}, claims, sign)


@pytest.fixture(scope="module")
def issuer(module_place):
    return Issuer(module_place / "issuer.json")


def make_lab(prefix, place, ca, seal=""):
    program = place / "echo_tool.py"
    shutil.copy(Path(__file__).parent.parent / "lib" / "echo_tool.py", program)
    program.chmod(0o755)
    return Lab(prefix, place / "aegis", ca=ca, extra=seal, tools=f"""\
tools:
  mcp_servers:
    - name: echo
      executable: /usr/bin/python3
      args: ["{program}"]
      paths: ["{program}"]
      capabilities: [fs.read, web.get, echo, sleep, die]
      call_timeout: 1s
""", contexts="""\
contexts:
  - name: reader
    capabilities:
      - {tool_pattern: "fs.*", path_allowlist: ["/workspace"]}
      - {tool_pattern: "echo"}
      - {tool_pattern: "sleep"}
      - {tool_pattern: "die"}
      - {tool_pattern: "web.get", rate_limit: {calls: 1, per_seconds: 60}}
    deny_list: [fs.delete]
  - name: other
    capabilities: [{tool_pattern: "echo"}]
""", gate="  workers: 2\n  max_body_size: 300000\n  body_timeout: 1s\n")


@pytest.fixture(scope="module")
def lab(prefix, ca, module_place, issuer):
    lab = make_lab(prefix, module_place, ca, seal=f"""\
seal:
  compat_spaced: true
  attest_per_minute: 1000
  issuers:
    - issuer: {ISSUER}
      jwks_file: {module_place}/issuer.json
""")
    lab.init()
    lab.start()
    lab.token = lab.agent("bot", contexts=["reader"])
    lab.operator = lab.json("operator", "token", "--name", "op")["token"]
    yield lab
    lab.stop()


@pytest.fixture
def client(lab):
    c = SealClient(lab.url, lab.token, "reader")
    c.attest()
    return c


def api(lab, method, path, body=None, token=None):
    return requests.request(method, lab.url + path, json=body, timeout=10,
                            headers={"Authorization": "Bearer " + (token or lab.operator)})


def say(lab, octets, path="/v1/seal/invoke"):
    return requests.post(lab.url + path, data=octets, headers={"Content-Type": "application/json"}, timeout=10)


def echoed(answer):
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["protocol"] == "seal/v1" and body["status"] == "success"
    for rule in (python_invoke, typescript_invoke):
        result = rule(answer.status_code, answer.text)
        assert json.loads(result["content"][0]["text"])["name"] == "echo"
    return json.loads(result["content"][0]["text"])["arguments"]


# ---- envelopes as each client writes them ----

ARGUMENTS = {"b": [1, 2.5, None, True], "a": {"z": "é \u2028 😀 / \" \\ \n", "Z": ""}, "": 0}


def call(identifier, arguments=None):
    return {"jsonrpc": "2.0", "id": identifier, "method": "tools/call",
            "params": {"name": "echo", "arguments": ARGUMENTS if arguments is None else arguments}}


def stamp(now, digits):
    text = now.strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{now.microsecond:06d}"[:digits + 1] if digits else "") + "Z"


def python_form(c, now):
    payload = call("req-" + secrets.token_hex(8))
    e = {"protocol": "seal/v1", "security_token": c.token, "payload": payload, "timestamp": stamp(now, 3),
         "signature": b64(c.key.sign(canonical(payload, c.token, int(now.timestamp()))))}
    return json.dumps(e)


def typescript_form(c, now):
    payload = call("req-" + secrets.token_hex(4))
    e = {"protocol": "seal/v1", "payload": payload, "timestamp": stamp(now, 3), "security_token": c.token,
         "signature": b64(c.key.sign(canonical(payload, c.token, int(now.timestamp()))))}
    return json.dumps(e, separators=(",", ":"), ensure_ascii=False)


def typescript_numbers(c, now):
    """1e21 and 0.00001 as JavaScript writes them: their wire text is what is signed."""
    text = '{"arguments":{"n":[1e21,0.00001,1e-7,-0,12345678901234567000]},"name":"echo"}'
    token, second = c.token, int(now.timestamp())
    canon = '{"payload":{"id":7,"jsonrpc":"2.0","method":"tools/call","params":%s},"security_token":"%s","timestamp":%d}' % (
        text, token, second)
    return '{"protocol":"seal/v1","timestamp":"%s","signature":"%s","security_token":"%s","payload":%s}' % (
        stamp(now, 3), b64(c.key.sign(canon.encode())), token,
        '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":%s}' % text)


def appendix_form(c, now):
    """Six digits; ASCII arguments, as its ASCII escapes would not be what is signed."""
    payload = call("a-" + secrets.token_hex(4), {"x": "plain"})
    e = {"payload": payload, "signature": b64(c.key.sign(canonical(payload, c.token, int(now.timestamp())))),
         "timestamp": stamp(now, 6), "security_token": c.token, "protocol": "seal/v1"}
    return json.dumps(e)


def bootstrap_form(c, now):
    """An integer, and a signature over json.dumps() as it comes."""
    payload = call(f"req-{int(now.timestamp() * 1000)}", {"x": "é"})
    second = int(now.timestamp())
    signed = json.dumps({"payload": payload, "security_token": c.token, "timestamp": second}, sort_keys=True)
    return json.dumps({"protocol": "seal/v1", "security_token": c.token, "payload": payload, "timestamp": second,
                       "signature": b64(c.key.sign(signed.encode())), "container_id": "not signed"})


def gateway_form(c, now):
    payload = call(str(uuid.uuid4()))
    second = int(now.timestamp())
    return json.dumps({"protocol": "seal/v1", "security_token": c.token, "payload": payload, "timestamp": second,
                       "signature": b64(c.key.sign(canonical(payload, c.token, second)))}, sort_keys=True)


def offset_form(c, now):
    """RFC 3339 with an offset and nine digits, as the orchestrator's own tests have it."""
    payload = call(secrets.randbelow(2**31))
    there = now.astimezone(timezone(timedelta(hours=-5, minutes=-30)))
    text = there.strftime("%Y-%m-%dT%H:%M:%S") + ".123456789-05:30"
    return json.dumps({"protocol": "seal/v1", "security_token": c.token, "payload": payload, "timestamp": text,
                       "signature": b64(c.key.sign(canonical(payload, c.token, int(now.timestamp()))))})


def old_name_form(c, now):
    payload = call("smcp-" + secrets.token_hex(4))
    return json.dumps({"protocol": "smcp/v1", "security_token": c.token, "payload": payload, "timestamp": stamp(now, 0),
                       "signature": b64(c.key.sign(canonical(payload, c.token, int(now.timestamp()))))})


FORMS = [python_form, typescript_form, typescript_numbers, appendix_form, bootstrap_form, gateway_form, offset_form,
         old_name_form]


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("path", ["/v1/seal/invoke", "/v1/invoke", "/v1/smcp/invoke"])
def test_envelopes(lab, client, form, path):
    answer = say(lab, form(client, datetime.now(timezone.utc)).encode(), path)
    assert echoed(answer) is not None
    payload = json.loads(answer.request.body)["payload"]
    assert answer.json()["payload"]["id"] == payload["id"] and answer.json()["payload"]["jsonrpc"] == "2.0"


def test_spaced_form_takes_an_option(prefix, ca, fresh, place):
    plain = fresh(contexts="contexts:\n  - name: reader\n    capabilities: [{tool_pattern: echo}]\n").start()
    c = SealClient(plain.url, plain.agent("bot", contexts=["reader"]), "reader")
    c.attest()
    answer = say(plain, bootstrap_form(c, datetime.now(timezone.utc)).encode())
    assert check_refusal(answer.status_code, answer.text)["error"]["code"] == 1001
    answer = say(plain, gateway_form(c, datetime.now(timezone.utc)).encode())
    assert answer.json()["payload"]["error"]["message"] == "Unknown tool"
    for rule in (python_invoke, typescript_invoke):
        with pytest.raises(Raised, match="MCP Tool Error"):
            rule(answer.status_code, answer.text)


@pytest.mark.parametrize("text", ["2026-02-17 14:32:01Z", "2026-02-17T14:32:01", "1771338721", 1771338721.5, 1e9, None,
                                  True, [], "now", "2026-02-17T14:32:01.1234567890Z", -1, 10**15])
def test_timestamps_refused(lab, client, text):
    e = client.envelope("ping")
    e["timestamp"] = text
    answer = say(lab, json.dumps(e).encode())
    assert check_refusal(answer.status_code, answer.text)["error"]["code"] == 1000


# ---- attestation ----

def spellings(key):
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    url = base64.urlsafe_b64encode(raw(key)).decode()
    return {"base64": b64(raw(key)), "url": url, "unpadded": url.rstrip("="), "spki": b64(spki), "pem": pem,
            "crlf": pem.replace("\n", "\r\n"), "hex": raw(key).hex(), "HEX": raw(key).hex().upper()}


@pytest.mark.parametrize("spelling", ["base64", "url", "unpadded", "spki", "pem", "crlf", "hex", "HEX"])
@pytest.mark.parametrize("member", ["public_key", "public_key_pem", "agent_public_key"])
def test_keys(lab, spelling, member):
    c = SealClient(lab.url, lab.token, "reader")
    answer = requests.post(lab.url + "/v1/smcp/attest", headers={"X-Aegis-Agent": lab.token}, timeout=10,
                           json={member: spellings(c.key)[spelling], "security_context": "reader", "workload_id": "w"})
    c.token, expires = python_attest(answer.status_code, answer.text)
    assert typescript_attest(answer.status_code, answer.text) == (c.token, expires)
    assert c.call("echo", {})


BODIES = {
    "sdk": {"workload_id": "w", "security_context": "reader"},
    "bootstrap": {"container_id": "c", "security_context": "reader", "agent_id": "a", "execution_id": "e"},
    "documents": {"workload_id": "w", "requested_scope": "reader"},
    "orchestrator": {"security_context": "reader", "principal_subject": "p", "user_id": "u", "zaru_tier": "pro",
                     "tenant_id": "elsewhere", "task_summary": "tidy up", "agent_id": None, "workload_id": None},
}


@pytest.mark.parametrize("form", BODIES)
def test_attest_bodies(lab, form):
    c = SealClient(lab.url, lab.token, "reader")
    for headers in ({"X-Aegis-Agent": lab.token}, {"Authorization": "Bearer " + lab.token}):
        answer = requests.post(lab.url + "/v1/seal/attest", headers=headers, timeout=10,
                               json={"public_key": c.public_key(), **BODIES[form]})
        c.token, _ = python_attest(answer.status_code, answer.text)
        body = answer.json()
        assert body["status"] == "success" and body["session_id"]
        claims = json.loads(base64.urlsafe_b64decode(c.token.split(".")[1] + "=="))
        assert claims["scp"] == "reader" and claims["tenant_id"] == "default"
        assert claims["wid"] == (BODIES[form].get("workload_id") or BODIES[form].get("container_id") or "bot")
        assert c.call("echo", {})


SMALL_ORDER = ["0" * 64, "01" + "0" * 62, "ec" + "ff" * 30 + "7f", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
               "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"]
NOT_CANONICAL = ["ed" + "ff" * 30 + "7f", "ee" + "ff" * 30 + "7f", "ff" * 32, "01" + "00" * 30 + "80"]


@pytest.mark.parametrize("key", SMALL_ORDER + NOT_CANONICAL + ["", "x", "AAAA", b64(b"x" * 31), b64(b"x" * 33), "zz" * 32,
                                                                 "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", 7, None, []])
def test_keys_refused(lab, key):
    answer = requests.post(lab.url + "/v1/seal/attest", headers={"X-Aegis-Agent": lab.token}, timeout=10,
                           json={"public_key": key, "security_context": "reader"})
    body = check_refusal(answer.status_code, answer.text)
    assert answer.status_code == 401 and body["error_code"] == 3002 and body["message"] == body["error"]["message"]
    answer = api(lab, "POST", "/v1/seal/sessions", {"execution_id": "k", "sub": "s", "security_context": "reader",
                                                    "public_key_b64": key})
    check_refusal(answer.status_code, answer.text)
    assert answer.status_code == 400


def test_attest_rate(fresh):
    lab = fresh(contexts="contexts:\n  - name: reader\n    capabilities: []\n", extra="seal:\n  attest_per_minute: 3\n").start()
    tokens = [lab.agent(n, contexts=["reader"]) for n in ("one", "two")]
    for token in tokens:
        for _ in range(3):
            SealClient(lab.url, token, "reader").attest()
        answer = requests.post(lab.url + "/v1/seal/attest", headers={"X-Aegis-Agent": token}, timeout=10,
                               json={"public_key": "x", "security_context": "reader"})
        assert answer.status_code == 429 and 1 <= int(answer.headers["Retry-After"]) <= 60
        assert check_refusal(429, answer.text)["error"]["details"]["retry_after"] >= 1


# ---- every refusal is one to both clients ----

def exchange(lab, octets, wait=4):
    with socket.create_connection(("127.0.0.1", lab.port), 5) as s:
        s.settimeout(wait)
        s.sendall(octets)
        data = b""
        while True:
            try:
                more = s.recv(65536)
            except (TimeoutError, ConnectionResetError):
                break
            if not more:
                break
            data += more
            head, _, body = data.partition(b"\r\n\r\n")
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:") and len(body) >= int(line.split(b":")[1]):
                    return int(head.split()[1]), head.decode(), body.decode()
    raise AssertionError(f"no whole answer: {data!r}")


J = b"Content-Type: application/json\r\n"
PATHS = ["/v1/seal/invoke", "/v1/invoke", "/v1/smcp/invoke", "/v1/seal/attest", "/v1/seal/sessions", "/cluster/attest"]


@pytest.mark.parametrize("path", PATHS)
def test_refusals_of_http(lab, path):
    p = path.encode()
    over = 400000
    expected = {
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}" % p: 415,
        b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" % p: 415,
        b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n" % (p, J, over): 413,
        b"POST %s HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
            p, J, over, b" " * over): 413,
        b"PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" % p: 405,
        b"OPTIONS %s HTTP/1.1\r\nHost: x\r\n\r\n" % p: 405,
        b"POST %s?%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 0\r\n\r\n" % (p, b"a" * 3000, J): 414,
        b"POST %s HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (p, b"y" * 20000): 431,
        b"POST %s HTTP/1.1\r\nHost: x\r\n%sExpect: tea\r\nContent-Length: 0\r\n\r\n" % (p, J): 417,
        b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}" % (p, J): 400,
        b"POST %s HTTP/1.1\r\n%sContent-Length: 0\r\n\r\n" % (p, J): 400,
        b"POST http://x%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 0\r\n\r\n" % (p, J): 400,
        b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 9\r\n\r\n{" % (p, J): 408,
        b"POST %s HTTP/2.0\r\nHost: x\r\n%sContent-Length: 0\r\n\r\n" % (p, J): 505,
    }
    for octets, status in expected.items():
        got, head, body = exchange(lab, octets)
        check_refusal(got, body)
        assert got == status, (octets[:80], got, body)
        assert "application/json" in head
        if got == 405:
            assert "\r\nAllow: " in head


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/seal", "/v1/seal/invoke/x", "/v1/smcp/x",
                                  "/.well-known/x", "/cluster/x", "/cluster"])
def test_not_found(lab, path):
    for method in ("GET", "POST"):
        answer = api(lab, method, path, {})
        assert answer.status_code == 404
        check_refusal(404, answer.text)


def alive(client):
    """Waits until a tool server that ended has started anew."""
    end = time.monotonic() + 10
    while client.post(client.envelope("tools/call", {"name": "echo", "arguments": {}})).status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_refusals_of_calls(lab, client):
    """Policy, rate, tools that hang or die: the same rule, and a row for each."""
    for name, arguments, status, code in (
            ("fs.read", {"path": "/etc/passwd"}, 403, 2002), ("fs.delete", {"path": "/workspace/x"}, 403, 2001),
            ("nothing", {}, 403, 2000), ("sleep", {}, 504, 504), ("die", {}, 502, 502)):
        answer = client.post(client.envelope("tools/call", {"name": name, "arguments": arguments}))
        assert answer.status_code == status, answer.text
        assert check_refusal(status, answer.text)["error"]["code"] == code
        assert lab.rows_of(answer.headers["X-Aegis-Request-Id"])
    alive(client)
    assert client.call("web.get", {"url": "https://x.example/"})
    answer = client.post(client.envelope("tools/call", {"name": "web.get", "arguments": {"url": "https://x.example/"}}))
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1
    assert check_refusal(429, answer.text)["error"]["code"] == 2005


def test_without_a_judge(lab, client):
    """The gate's own words, while the judge starts anew."""
    os.kill(lab.pids("keymasterd: judge")[0], signal.SIGSTOP)
    pid = lab.pids("keymasterd: judge")[0]
    seen = set()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(api, lab, "GET", "/v1/seal/sessions") for _ in range(2)]
        jobs += [pool.submit(say, lab, b"{}") for _ in range(2)]
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        for job in jobs:
            answer = job.result()
            check_refusal(answer.status_code, answer.text)
            assert "Retry-After" in answer.headers
            seen.add(answer.status_code)
    assert seen == {503}
    end = time.monotonic() + 10
    while api(lab, "GET", "/v1/seal/sessions").status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    alive(client)


# ---- sessions of operators, tokens of others ----

def create(lab, key, execution=None, **change):
    body = {"execution_id": execution or str(uuid.uuid4()), "sub": "the-agent", "security_context_name": "reader",
            "public_key_b64": b64(raw(key)), "allowed_tool_patterns": ["*"]}
    body.update(change)
    return api(lab, "POST", "/v1/seal/sessions", {k: v for k, v in body.items() if v is not None})


def caller(lab, key, token):
    c = SealClient(lab.url, "", "reader")
    c.key, c.token = key, token
    return c


def test_sessions_both_spellings(lab):
    key = Ed25519PrivateKey.generate()
    for change in ({}, {"sub": None, "agent_id": "the-agent"}, {"security_context_name": None, "security_context": "reader"},
                   {"public_key_b64": raw(key).hex()}, {"allowed_tool_patterns": None}, {"allowed_tool_patterns": []},
                   {"session_status": "Active"}, {"tenant_id": "default"},
                   {"expires_at": (datetime.now(timezone.utc) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")}):
        execution = str(uuid.uuid4())
        answer = create(lab, key, execution, **change)
        assert answer.status_code == 200, answer.text
        made = answer.json()
        assert made["status"] == "success" and made["saved"] is True and made["session_status"] == "Active"
        assert made["execution_id"] == execution and made["sub"] == made["agent_id"] == "the-agent"
        assert made["security_context"] == made["security_context_name"] == "reader"
        assert made["public_key_b64"] == b64(raw(key)) and made["allowed_tool_patterns"] == ["*"]
        assert made["tenant_id"] == "default"
        assert caller(lab, key, made["security_token"]).call("echo", {"x": 1})
        row = lab.rows_of(answer.headers["X-Aegis-Request-Id"])[0]
        assert (row["kind"], row["event"], row["operator"], row["exec"]) == ("admin", "session.create", "op", execution)
        assert made["security_token"] not in json.dumps(row)
        got = api(lab, "GET", "/v1/seal/sessions/" + execution).json()
        assert got["session_id"] == made["session_id"] and "security_token" not in got
        assert execution in [s["execution_id"] for s in api(lab, "GET", "/v1/seal/sessions?limit=1000").json()]


@pytest.mark.parametrize("change", [
    {"execution_id": ""}, {"execution_id": None}, {"execution_id": 7}, {"execution_id": "x" * 65}, {"execution_id": "a\u0000b"},
    {"sub": None}, {"sub": ""}, {"security_context_name": None}, {"security_context_name": "no-such"},
    {"public_key_b64": None}, {"allowed_tool_patterns": "*"}, {"allowed_tool_patterns": [1]}, {"allowed_tool_patterns": [""]},
    {"allowed_tool_patterns": ["a*b*"]}, {"allowed_tool_patterns": ["x" * 100] * 30}, {"session_status": "Revoked"},
    {"tenant_id": "other"}, {"expires_at": "soon"}, {"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "2090-01-01T00:00:00Z"},
    {"security_token": 7}, {"security_token": "x"}, {"security_token": "a.b.c"}])
def test_sessions_refused(lab, change):
    change = dict(change)
    body = {"execution_id": str(uuid.uuid4()), "sub": "s", "security_context_name": "reader",
            "public_key_b64": b64(raw(Ed25519PrivateKey.generate()))}
    body.update(change)
    answer = api(lab, "POST", "/v1/seal/sessions", {k: v for k, v in body.items() if v is not None})
    assert answer.status_code == 400, answer.text
    check_refusal(400, answer.text)


def test_patterns(lab):
    key = Ed25519PrivateKey.generate()
    for patterns, good in ((["echo"], True), (["e*"], True), (["*o"], True), (["e*o"], True), (["ec*ho"], True),
                           (["echo*"], False), (["web.*", "*"], True), (["Echo"], False), (["ech"], False), (["echo*o"], False)):
        c = caller(lab, key, create(lab, key, allowed_tool_patterns=patterns).json()["security_token"])
        answer = c.post(c.envelope("tools/call", {"name": "echo", "arguments": {}}))
        assert answer.status_code == (200 if good else 403), patterns
        if not good:
            assert check_refusal(403, answer.text)["error"]["code"] == 2000
        names = {t["name"] for t in c.invoke("tools/list")["tools"]}
        assert ("echo" in names) is good


def test_final_states(lab):
    key, execution = Ed25519PrivateKey.generate(), str(uuid.uuid4())
    first = create(lab, key, execution).json()
    second = create(lab, key, execution).json()  # replaces the first
    assert first["session_id"] != second["session_id"]
    old, new = caller(lab, key, first["security_token"]), caller(lab, key, second["security_token"])
    answer = old.post(old.envelope("ping"))
    assert check_refusal(answer.status_code, answer.text)["error"]["code"] == 1006
    assert new.invoke("ping") == {}
    answer = api(lab, "DELETE", "/v1/seal/sessions/" + execution)
    assert answer.json()["status"] == "success" and answer.json()["session_status"] == "Revoked" and answer.json()["revoked_at"]
    answer = new.post(new.envelope("ping"))
    assert check_refusal(answer.status_code, answer.text)["error"]["code"] == 1006
    assert create(lab, key, execution).status_code == 409
    soon = (datetime.now(timezone.utc) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = create(lab, key, expires_at=soon).json()
    c = caller(lab, key, made["security_token"])
    assert c.invoke("ping") == {}
    time.sleep(2.1)
    answer = c.post(c.envelope("ping"))
    assert check_refusal(answer.status_code, answer.text)["error"]["code"] == 1003
    assert api(lab, "GET", "/v1/seal/sessions/" + made["execution_id"]).json()["session_status"] == "Expired"
    assert made["execution_id"] not in api(lab, "GET", "/v1/seal/sessions?limit=1000").text
    assert made["execution_id"] in api(lab, "GET", "/v1/seal/sessions?limit=1000&status=expired").text
    assert create(lab, key, made["execution_id"]).status_code == 409


def test_pages(lab):
    key = Ed25519PrivateKey.generate()
    made = {create(lab, key).json()["execution_id"] for _ in range(7)}
    path, found = "/v1/seal/sessions?limit=3", []
    while path:
        answer = api(lab, "GET", path)
        assert len(answer.json()) <= 3
        found += [s["execution_id"] for s in answer.json()]
        path = answer.links.get("next", {}).get("url")
    assert made <= set(found) and len(found) == len(set(found))
    for bad in ("limit=0", "limit=x", "limit=5000", "offset=-1", "status=no"):
        assert api(lab, "GET", "/v1/seal/sessions?" + bad).status_code == 400


@pytest.mark.parametrize("alg", ["RS256", "EdDSA"])
def test_tokens_of_others(lab, issuer, alg):
    key, execution = Ed25519PrivateKey.generate(), str(uuid.uuid4())
    answer = create(lab, key, execution, security_token=issuer.token(execution, alg))
    assert answer.status_code == 200, answer.text
    c = caller(lab, key, answer.json()["security_token"])
    assert c.call("echo", {}) and c.call("echo", {})
    c.token = issuer.token(execution, alg)  # the issuer renews its own
    assert c.call("echo", {})
    own = create(lab, key).json()["security_token"]
    c.token = own
    assert c.call("echo", {})


def test_tokens_of_others_refused(lab, issuer):
    key, execution = Ed25519PrivateKey.generate(), str(uuid.uuid4())
    now = int(time.time())
    create(lab, key, execution, security_token=issuer.token(execution))
    pem = issuer.rsa.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    import hashlib
    import hmac
    good = issuer.token(execution)
    claims = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
    bad = {
        "expired": (issuer.token(execution, exp=now - 1, iat=now - 10), 1003),
        "audience": (issuer.token(execution, aud="x"), 1004),
        "operators' audience": (issuer.token(execution, aud="aegis-operators"), 1004),
        "our issuer": (issuer.token(execution, iss="aegis"), 1004),
        "unknown issuer": (issuer.token(execution, iss="https://evil.example"), 1004),
        "too long": (issuer.token(execution, exp=now + 100000), 1004),
        "no iat": (issuer.token(execution, iat=None), 1004),
        "not yet": (issuer.token(execution, nbf=now + 100), 1004),
        "sub": (issuer.token(execution, sub="mallory"), 1004),
        "scp": (issuer.token(execution, scp="other"), 1004),
        "no wid": (issuer.token(execution, wid=None), 1004),
        "tenant": (issuer.token(execution, tenant_id="other"), 1005),
        "execution": (issuer.token("somebody-else"), 1005),
        "HS256": (jwt({"alg": "HS256", "kid": "r"}, claims, lambda t: hmac.new(pem, t, hashlib.sha256).digest()), 1004),
        "none": (jwt({"alg": "none"}, claims, lambda t: b"x"), 1004),
        "no signature": (good.rsplit(".", 1)[0] + ".", 1004),
        "EdDSA under the RSA kid": (issuer.token(execution, "EdDSA", header={"alg": "EdDSA", "kid": "r"}), 1004),
        "RS256 under the Ed25519 kid": (issuer.token(execution, header={"alg": "RS256", "kid": "e"}), 1004),
        "kid": (issuer.token(execution, header={"alg": "RS256", "kid": "../r"}), 1004),
        "no kid": (issuer.token(execution, header={"alg": "RS256"}), 1004),
        "crit": (issuer.token(execution, header={"alg": "RS256", "kid": "r", "crit": ["b64"]}), 1004),
    }
    for what, (token, code) in bad.items():
        c = caller(lab, key, token)
        answer = c.post(c.envelope("ping"))
        assert answer.status_code == 401, what
        assert check_refusal(401, answer.text)["error"]["code"] == code, what
        if what not in ("execution",):
            answer = create(lab, key, str(uuid.uuid4()), security_token=token)
            assert answer.status_code == 400, what
            check_refusal(400, answer.text)


def test_one_call_a_token(fresh, place, prefix, ca):
    lab = make_lab(prefix, place, ca, seal="seal:\n  jti_once: true\n  token_leeway: 60s\n").init().start()
    try:
        c = SealClient(lab.url, lab.agent("bot", contexts=["reader"]), "reader")
        c.attest()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: c.post(c.envelope("ping")), range(16)))
        assert sorted(a.status_code for a in answers) == [200] + [401] * 15
        os.kill(lab.pids("keymasterd: judge")[0], signal.SIGKILL)
        time.sleep(0.5)
        answer = c.post(c.envelope("ping"))
        body = check_refusal(answer.status_code, answer.text)
        assert body["error"]["code"] == 1003 and body["error"]["details"]["reason"] == "replay"
        operator = lab.json("operator", "token")["token"]
        key = Ed25519PrivateKey.generate()
        made = requests.post(lab.url + "/v1/seal/sessions", headers={"Authorization": "Bearer " + operator}, timeout=10, json={
            "execution_id": "e", "sub": "s", "security_context": "reader", "public_key_b64": b64(raw(key)),
            "expires_at": (datetime.now(timezone.utc) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")})
        time.sleep(2.2)
        assert caller(lab, key, made.json()["security_token"]).invoke("ping") == {}  # within the leeway
    finally:
        lab.stop()


# ---- the seven events ----

def test_events(lab, issuer):
    c = SealClient(lab.url, lab.token, "reader", workload="pod-7")
    c.attest()

    def row(answer, event):
        rows = [r for r in lab.rows_of(answer.headers["X-Aegis-Request-Id"]) if r.get("event") == event]
        assert len(rows) == 1, (event, lab.rows_of(answer.headers["X-Aegis-Request-Id"]))
        assert rows[0]["time"] and rows[0]["tenant"] == "default"
        return rows[0]

    execution = c.attest()["execution_id"]
    r = [r for r in lab.ledger() if r.get("event") == "AttestationSucceeded"][-1]
    assert (r["workload"], r["context"], r["exec"], r["agent"]) == ("pod-7", "reader", execution, "bot")
    bad = requests.post(lab.url + "/v1/seal/attest", headers={"X-Aegis-Agent": lab.token}, timeout=10,
                        json={"public_key": c.public_key(), "workload_id": "pod-8", "security_context": "none-such"})
    r = row(bad, "AttestationFailed")
    assert r["workload"] == "pod-8" and r["reason"] and r["code"] == "3001"

    arguments = {"path": "/workspace/a", "password": "hunter2", "deep": {"apiKey": "k", "x": "Bearer abcdefgh"},
                 "long": "y" * 5000, "n": [1, 2]}
    e = c.envelope("tools/call", {"name": "fs.read", "arguments": arguments})
    answer = c.post(e)
    r = row(answer, "ToolCallAuthorized")
    assert (r["tool"], r["context"], r["exec"], r["proof"]) == ("fs.read", "reader", execution, e["signature"])
    kept = json.loads(r["arguments"])
    assert kept["path"] == "/workspace/a" and kept["n"] == [1, 2] and len(kept["long"]) < 300
    assert "hunter2" not in json.dumps(r) and kept["deep"] == {"apiKey": "***", "x": "***"}

    e = c.envelope("tools/call", {"name": "fs.read", "arguments": {"path": "/etc/shadow"}})
    r = row(c.post(e), "PolicyViolationBlocked")
    assert (r["code"], r["tool"], r["context"], r["exec"], r["proof"]) == ("2002", "fs.read", "reader", execution, e["signature"])

    e = c.envelope("ping")
    e["payload"]["method"] = "pong"
    r = row(c.post(e), "SignatureVerificationFailed")
    assert (r["exec"], r["proof"], r["code"]) == (execution, e["signature"], "1001") and "signed" not in r

    key, soon = Ed25519PrivateKey.generate(), str(uuid.uuid4())
    create(lab, key, soon)
    exp = int(time.time()) - 5
    late = caller(lab, key, issuer.token(soon, exp=exp, iat=exp - 100))
    e = late.envelope("ping")
    r = row(late.post(e), "SecurityTokenExpired")
    assert r["exec"] == soon and r["proof"] == e["signature"]
    assert r["detail"] == "expired_at " + datetime.fromtimestamp(exp, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    r = row(api(lab, "DELETE", "/v1/seal/sessions/" + soon), "SessionRevoked")
    assert r["exec"] == soon and r["session"] and r["reason"] == "by an operator" and r["operator"] == "op"
    lab.aegis("session", "revoke", c.session_id, "--reason", "enough")
    r = [r for r in lab.ledger() if r.get("event") == "SessionRevoked"][-1]
    assert r["session"] == c.session_id and r["reason"] == "enough" and r["exec"] == execution


# ---- keys ----

def jwks(lab):
    return [k["kid"] for k in requests.get(lab.url + "/.well-known/jwks.json", timeout=10).json()["keys"]]


def header_kid(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]


@pytest.fixture
def own_lab(prefix, ca, place):
    lab = make_lab(prefix, place, ca).init().start()
    lab.token = lab.agent("bot", contexts=["reader"])
    yield lab
    lab.stop()


def test_rotation(own_lab):
    lab = own_lab
    operator = lab.json("operator", "token")["token"]
    old = SealClient(lab.url, lab.token, "reader")
    old.attest()
    first, = jwks(lab)
    assert header_kid(old.token) == first
    second = lab.json("key", "rotate", "--overlap", "6s")["kid"]
    rotated = time.monotonic()
    assert jwks(lab) == [second, first]
    new = SealClient(lab.url, lab.token, "reader")
    new.attest()
    assert header_kid(new.token) == second
    assert old.invoke("ping") == new.invoke("ping") == {}
    assert api(lab, "GET", "/v1/seal/sessions", token=operator).status_code == 200
    for title in ("keymasterd: vault", "keymasterd: judge"):  # neither has forgotten
        os.kill(lab.pids(title)[0], signal.SIGKILL)
    deadline = time.monotonic() + 4
    while old.post(old.envelope("ping")).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert new.invoke("ping") == {} and jwks(lab) == [second, first]
    rows = {r["kid"]: r for r in lab.json("key", "list")}
    assert rows[second]["state"] == "signs" and rows[first]["state"] == "verifies" and rows[first]["retires_at"]
    time.sleep(max(0, rotated + 7.2 - time.monotonic()))
    answer = old.post(old.envelope("ping"))  # verified before, and yet no more
    assert check_refusal(answer.status_code, answer.text)["error"]["code"] == 1004
    assert new.invoke("ping") == {} and jwks(lab) == [second]
    assert api(lab, "GET", "/v1/seal/sessions", token=operator).status_code == 401
    third = lab.json("key", "rotate", "--overlap", "0")["kid"]
    assert jwks(lab) == [third]
    assert new.post(new.envelope("ping")).status_code == 401
    rows = [r for r in lab.ledger() if r.get("event") == "key.rotate"]
    assert [r["detail"].split()[1] for r in rows] == [first, second] and rows[0]["kind"] == "admin"
    lab.stop()
    lab.start()
    assert jwks(lab) == [third]
    for bad in ("31d", "-1", "x"):
        assert lab.aegis("key", "rotate", "--overlap", bad, check=False).returncode == 2


def test_rotation_under_load(own_lab):
    """Calls and attestations go on while keys change, and none fails."""
    lab, stop, bad, done = own_lab, [], [], []
    clients = [SealClient(lab.url, lab.token, "reader") for _ in range(4)]
    for c in clients:
        c.attest()

    def work(c):
        while not stop:
            answer = c.post(c.envelope("ping"))
            (done if answer.status_code == 200 else bad).append(answer.text)

    def attest(_):
        for _ in range(12):
            c = SealClient(lab.url, lab.token, "reader")
            try:
                c.attest()
                done.append(c.invoke("ping"))
            except Exception as e:
                bad.append(repr(e))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(work, c) for c in clients] + [pool.submit(attest, i) for i in range(2)]
        try:
            kids = [lab.json("key", "rotate")["kid"] for _ in range(5)]
            for job in jobs[4:]:
                job.result()
        finally:
            stop.append(True)
    assert bad == [] and len(done) > 40 and len(set(kids)) == 5
    assert len(jwks(lab)) == 6


# ---- hostile agents ----

def connection(lab):
    s = requests.Session()
    s.headers["Content-Type"] = "application/json"
    return lambda octets: s.post(lab.url + "/v1/seal/invoke", data=octets, timeout=10)


def test_one_bit(lab, client):
    """Every bit of a whole envelope flipped, one at a time: never a call that was not signed."""
    send, accepted = connection(lab), []
    for method in ("ping",):
        e = client.envelope(method)
        octets = json.dumps(e, separators=(",", ":")).encode()
        fresh = time.monotonic()
        for i in range(len(octets)):
            for bit in (1 << (i % 8), 1 << ((i * 5 + 3) % 8)):
                if time.monotonic() - fresh > 15:  # the rest is judged for itself, too
                    e = client.envelope(method)
                    octets = json.dumps(e, separators=(",", ":")).encode()
                    fresh = time.monotonic()
                if i >= len(octets):
                    continue
                changed = octets[:i] + bytes([octets[i] ^ bit]) + octets[i + 1:]
                answer = send(changed)
                if answer.status_code == 200:
                    accepted.append((i, bit, changed))
                    e = client.envelope(method)
                    octets = json.dumps(e, separators=(",", ":")).encode()
                else:
                    assert check_refusal(answer.status_code, answer.text)["error"]["code"] in (1000, 1001, 1003, 1004, 1005)
    # what is not signed may differ: the fraction of a second
    for i, bit, changed in accepted:
        seen = json.loads(changed)
        assert seen["payload"]["method"] == "ping" and seen["security_token"] == client.token
        assert b'"timestamp":"' in changed[:i] and changed[i:].count(b'"') == 1, changed[max(0, i - 30):i + 5]


def test_every_length(lab, client):
    send = connection(lab)
    octets = client_octets = json.dumps(client.envelope("tools/call", {"name": "echo", "arguments": {"é": [1, "\n"]}})).encode()
    for n in range(len(octets)):
        answer = send(octets[:n])
        assert answer.status_code == 401, n
        assert check_refusal(401, answer.text)["error"]["code"] == 1000
    assert send(client_octets).status_code == 200


def test_nesting_and_duplicates(lab, client):
    send = connection(lab)
    good = client.envelope("tools/call", {"name": "echo", "arguments": {"path": "/workspace/a"}})
    text = json.dumps(good)
    for bad in ("[" * 100000, '{"payload":' * 20000, text.replace('"payload": {', '"payload": ' + '{"x":' * 2000 + "{", 1),
                text.replace('"path"', '"path": "/etc/passwd", "path"'), text.replace('"name"', '"name": "die", "name"'),
                text.replace('"name"', '"n\\u0061me": "die", "name"'), text.replace('"signature"', '"signature": "x", "signature"'),
                text.replace('"security_token"', '"security_token": "x", "security_token"'),
                text.replace('"timestamp"', '"timestamp": 1, "timestamp"'), text + text, text + "\0", "\ufeff" + text,
                text.replace("/workspace/a", "\\ud800"), text.replace("/workspace/a", "\\u0000x\udc80")):
        answer = send(bad.encode("utf-8", "surrogateescape"))
        assert answer.status_code == 401, bad[:80]
        assert check_refusal(401, answer.text)["error"]["code"] in (1000, 1001)
    assert send(text.encode()).status_code == 200


@pytest.mark.parametrize("seconds,good", [(-29, True), (29, True), (-30, True), (30, True), (-32, False), (32, False),
                                          (-3600, False), (3600, False)])
def test_clock_skew(lab, client, seconds, good):
    # early in a second, so that the gate's is the same
    time.sleep((1.05 - time.time() % 1) % 1)
    answer = client.post(client.envelope("ping", now=datetime.now(timezone.utc) + timedelta(seconds=seconds)))
    if good:
        assert answer.status_code == 200, answer.text
        return
    error = check_refusal(answer.status_code, answer.text)["error"]
    assert (answer.status_code, error["code"], error["details"]["reason"]) == (401, 1003, "stale_timestamp")


def test_thirty_one_seconds(lab, client):
    for seconds in (-31, 31):
        time.sleep((1.05 - time.time() % 1) % 1)
        now = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        answer = client.post(client.envelope("ping", now=now))
        assert check_refusal(answer.status_code, answer.text)["error"]["code"] == 1003


def test_somebody_elses(lab, client):
    """Another session's token, another context's, a session of nobody, another tenant's."""
    other = SealClient(lab.url, lab.token, "reader")
    other.attest()
    mixed = caller(lab, client.key, other.token)
    answer = mixed.post(mixed.envelope("ping"))
    assert check_refusal(answer.status_code, answer.text)["error"]["code"] == 1001
    for context in ("other", "none-such", "code-assistant", "unrestricted", "", "reader\0", "../reader"):
        c = SealClient(lab.url, lab.token, context)
        answer = requests.post(lab.url + "/v1/seal/attest", headers={"X-Aegis-Agent": lab.token}, timeout=10,
                               json={"public_key": c.public_key(), "security_context": context})
        assert answer.status_code == 401
        assert check_refusal(401, answer.text)["error"]["code"] in (3001, 3002)


def test_exactly_one(own_lab):
    """N identical envelopes at once through all gates, and again after the judge was killed."""
    lab = own_lab
    c = SealClient(lab.url, lab.token, "reader")
    c.attest()
    assert len(lab.pids("gated: gate")) == 2
    for kill in (False, True):
        octets = json.dumps(c.envelope("ping")).encode()
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            jobs = [pool.submit(say, lab, octets) for _ in range(48)]
            if kill:
                while sum(j.done() for j in jobs) < 10:
                    time.sleep(0.001)
                os.kill(lab.pids("keymasterd: judge")[0], signal.SIGKILL)
            answers = [j.result() for j in jobs]
        good = [a for a in answers if a.status_code == 200]
        for a in answers:
            if a.status_code != 200:
                assert check_refusal(a.status_code, a.text)["error"]["code"] in (1003, 503, 4503)
        assert len(good) <= 1 and (kill or len(good) == 1)
        end = time.monotonic() + 10
        while (again := say(lab, octets)).status_code == 503:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert again.status_code == (401 if good else again.status_code), again.text
        if again.status_code == 401:
            assert again.json()["error"]["details"]["reason"] == "replay"
        rows = [r for r in lab.ledger() if r.get("proof") == json.loads(octets)["signature"] and r["decision"] == "allowed"]
        assert len(rows) == 1

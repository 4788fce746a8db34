# SPDX-License-Identifier: Apache-2.0
"""Nodes: attestation, envelopes, and what is none."""

import base64
import json
import os
import signal
import time
import uuid
from datetime import datetime, timezone

import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sdk_rules import check_refusal
from seal_client import SealClient


class Node:
    def __init__(self, lab, **more):
        self.lab, self.more = lab, more
        self.id, self.key, self.token = str(uuid.uuid4()), Ed25519PrivateKey.generate(), None

    def body(self, **change):
        body = {"node_id": self.id, "public_key": base64.b64encode(self.key.public_key().public_bytes_raw()).decode(),
                "nonce": str(uuid.uuid4()), **self.more}
        body.update(change)
        return body

    def attest(self, **change):
        return requests.post(self.lab.url + "/cluster/attest", json=self.body(**change), timeout=15)

    def begin(self):
        answer = self.attest()
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "success" and answer.json()["expires_at"]
        self.token = answer.json()["node_security_token"]
        return self

    def envelope(self, op="heartbeat", text=True, **change):
        payload = {"op": op, "node_id": self.id}
        now = datetime.now(timezone.utc)
        second = int(now.timestamp())
        signed = json.dumps({"node_security_token": self.token, "payload": payload, "timestamp": second},
                            sort_keys=True, separators=(",", ":")).encode()
        e = {"protocol": "seal/v1", "node_security_token": self.token, "payload": payload,
             "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z" if text else second,
             "signature": base64.b64encode(self.key.sign(signed)).decode()}
        e.update(change)
        return e

    def send(self, envelope):
        return requests.post(self.lab.url + "/cluster/invoke", json=envelope, timeout=10)


@pytest.fixture(scope="module")
def lab(prefix, module_place):
    from lab import Lab

    lab = Lab(prefix, module_place / "aegis", extra="cluster:\n  enabled: true\n  attest_per_minute: 1000\n",
              contexts="contexts:\n  - name: reader\n    capabilities: []\n").init().start()
    lab.token = lab.agent("bot", contexts=["reader"])
    lab.operator = lab.json("operator", "token")["token"]
    yield lab
    lab.stop()


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    assert check_refusal(status, answer.text)["error"]["code"] == code


def test_the_life_of_a_node(lab):
    node = Node(lab, role="controller").begin()
    head, claims, signature = node.token.split(".")
    decode = lambda t: base64.urlsafe_b64decode(t + "=" * (-len(t) % 4))
    header, said = json.loads(decode(head)), json.loads(decode(claims))
    assert header["alg"] == "RS256" and said["sub"] == said["nid"] == node.id and said["role"] == "controller"
    assert 0 < said["exp"] - said["iat"] <= 3600
    key = next(k for k in requests.get(lab.url + "/.well-known/jwks.json", timeout=10).json()["keys"]
               if k["kid"] == header["kid"])
    n, e = (int.from_bytes(decode(key[x]), "big") for x in "ne")
    rsa.RSAPublicNumbers(e, n).public_key().verify(
        decode(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    refused(node.send(node.envelope()), 401, 1005)  # not registered
    answer = node.send(node.envelope("register"))
    assert answer.status_code == 200 and answer.json()["payload"]["registered"] is True
    row, = lab.rows_of(answer.headers["X-Aegis-Request-Id"])
    assert (row["event"], row["workload"], row["decision"]) == ("NodeRegistered", node.id, "allowed") and row["proof"]
    for text in (True, False):
        time.sleep(1)  # another second, another signature
        e = node.envelope(text=text)
        answer = node.send(e)
        assert answer.status_code == 200, answer.text
        refused(node.send(e), 401, 1003)
    first = node.token
    time.sleep(1)
    assert node.begin().token != first and node.send(node.envelope("register")).status_code == 200
    listed = requests.get(lab.url + "/v1/cluster/nodes", headers={"Authorization": "Bearer " + lab.operator}, timeout=10).json()
    mine = next(x for x in listed if x["node_id"] == node.id)
    assert mine["registered"] and mine["role"] == "controller" and mine["seen_at"]
    assert [r for r in lab.ledger() if r.get("event") == "NodeAttestationSucceeded" and r["workload"] == node.id]
    assert requests.get(lab.url + "/v1/cluster/nodes", timeout=10).status_code == 401


def test_attest_refused(lab):
    node = Node(lab)
    for change, code in (({"node_id": "x"}, 3002), ({"node_id": None}, 3002), ({"nonce": "y"}, 3002), ({"nonce": 7}, 3002),
                         ({"public_key": "AAAA"}, 3002), ({"public_key": "0" * 64}, 3002), ({"role": "boss"}, 3002)):
        refused(node.attest(**change), 401, code)
    for octets in (b"", b"[]", b"{", b'{"node_id":1,"node_id":2}'):
        answer = requests.post(lab.url + "/cluster/attest", data=octets, headers={"Content-Type": "application/json"}, timeout=10)
        refused(answer, 401, 3002)
    nonce = str(uuid.uuid4())
    assert node.attest(nonce=nonce).status_code == 200
    refused(node.attest(nonce=nonce), 401, 3002)
    refused(Node(lab).attest(nonce=nonce), 401, 3002)
    thief = Node(lab)
    thief.id = node.id
    refused(thief.attest(), 401, 3000)


def test_envelopes_refused(lab):
    node, other = Node(lab).begin(), Node(lab).begin()
    good = node.envelope("register")
    answer = node.send({**good, "payload": {"op": "heartbeat", "node_id": node.id}})
    refused(answer, 401, 1001)
    row = lab.rows_of(answer.headers["X-Aegis-Request-Id"])[0]
    assert row["proof"] == good["signature"] and row["decision"] == "blocked" and "signed" not in row
    refused(node.send({**good, "node_security_token": other.token}), 401, 1001)
    refused(node.send({**good, "timestamp": "2020-01-01T00:00:00Z"}), 401, 1003)
    refused(node.send({**good, "protocol": "x"}), 401, 1000)
    refused(node.send({k: v for k, v in good.items() if k != "node_security_token"}), 401, 1000)
    refused(node.send({**good, "node_security_token": node.token[:-6] + "AAAAAA"}), 401, 1004)
    refused(node.send(node.envelope("open-a-shell")), 401, 1000)
    wrong = Node(lab)
    wrong.key, wrong.token = node.key, node.token
    refused(wrong.send(wrong.envelope("register")), 401, 1000)  # its payload names another node
    assert node.send(good).status_code == 200


def test_tokens_are_not_interchangeable(lab):
    node = Node(lab).begin()
    agent = SealClient(lab.url, lab.token, "reader")
    agent.attest()
    for token in (agent.token, lab.operator, lab.token):
        n = Node(lab)
        n.token = token
        assert n.send(n.envelope("register")).status_code == 401
    agent.token = node.token
    assert agent.post(agent.envelope("ping")).status_code == 401
    answer = requests.get(lab.url + "/v1/seal/sessions", headers={"Authorization": "Bearer " + node.token}, timeout=10)
    assert answer.status_code == 401
    attest = requests.post(lab.url + "/v1/seal/attest", headers={"Authorization": "Bearer " + node.token}, timeout=10,
                           json={"public_key": agent.public_key(), "security_context": "reader"})
    assert attest.status_code == 401


def test_across_a_restart(lab):
    node = Node(lab).begin()
    e, nonce = node.envelope("register"), str(uuid.uuid4())
    assert node.send(e).status_code == 200 and node.attest(nonce=nonce).status_code == 200
    for title in ("keymasterd: judge", "keymasterd: vault"):
        os.kill(lab.pids(title)[0], signal.SIGKILL)
    end = time.monotonic() + 10
    while node.send(e).status_code == 503:
        assert time.monotonic() < end
        time.sleep(0.05)
    end = time.monotonic() + 10
    while (answer := node.send(e)).json()["error"]["code"] == 1004:  # the judge waits for vault's keys
        assert time.monotonic() < end
        time.sleep(0.05)
    refused(answer, 401, 1003)
    refused(node.attest(nonce=nonce), 401, 3002)
    time.sleep(1.1)
    assert node.send(node.envelope()).status_code == 200  # known, and by the same token


def test_rate_and_off(fresh):
    lab = fresh(extra="cluster:\n  enabled: true\n  attest_per_minute: 2\n").start()
    keys = lambda: len(requests.get(lab.url + "/.well-known/jwks.json", timeout=10).json()["keys"])
    assert keys() == 1  # none for nodes before there is one
    for _ in range(2):
        assert Node(lab).attest().status_code == 200
    assert keys() == 2
    answer = Node(lab).attest()
    refused(answer, 429, 2005)
    assert int(answer.headers["Retry-After"]) >= 1
    off = fresh().start()
    for path in ("/cluster/attest", "/cluster/invoke"):
        refused(requests.post(off.url + path, json={}, timeout=10), 404, 404)

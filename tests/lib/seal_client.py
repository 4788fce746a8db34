# SPDX-License-Identifier: Apache-2.0
"""A SEAL client with the wire form of the published Python client: requests.post(json=...),
ASCII escapes and spaces on the wire, sorted compact UTF-8 under the signature, timestamps
with three digits and Z, ids "req-" + 16 hex digits. Written from the description alone."""

import base64
import json
import secrets
from datetime import datetime, timezone

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class SealError(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.code = (body.get("error") or {}).get("code") if isinstance(body, dict) else None


def canonical(payload, token, seconds):
    return json.dumps(
        {"payload": payload, "security_token": token, "timestamp": seconds},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


class SealClient:
    def __init__(self, base, agent_token, context, workload="test-workload", verify=True):
        self.base = base.rstrip("/")
        self.agent_token = agent_token
        self.context = context
        self.workload = workload
        self.verify = verify
        self.key = Ed25519PrivateKey.generate()
        self.token = None
        self.session_id = None

    def public_key(self):
        raw = self.key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        return base64.b64encode(raw).decode()

    def attest(self):
        answer = requests.post(
            self.base + "/v1/seal/attest",
            json={
                "public_key": self.public_key(),
                "workload_id": self.workload,
                "security_context": self.context,
            },
            headers={"X-Aegis-Agent": self.agent_token},
            timeout=10,
            verify=self.verify,
        )
        body = answer.json()
        if answer.status_code != 200 or body.get("status") == "error":
            raise SealError(answer.status_code, body)
        self.token = body["security_token"]
        self.session_id = body.get("session_id")
        assert body["expires_at"]
        return body

    def envelope(self, method, params=None, now=None, identifier=None):
        payload = {
            "jsonrpc": "2.0",
            "id": identifier or "req-" + secrets.token_hex(8),
            "method": method,
        }
        if params is not None:
            payload["params"] = params
        now = now or datetime.now(timezone.utc)
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
        signature = self.key.sign(canonical(payload, self.token, int(now.timestamp())))
        return {
            "protocol": "seal/v1",
            "security_token": self.token,
            "signature": base64.b64encode(signature).decode(),
            "payload": payload,
            "timestamp": stamp,
        }

    def post(self, envelope, path="/v1/seal/invoke", timeout=30):
        return requests.post(
            self.base + path, json=envelope, timeout=timeout, verify=self.verify
        )

    def call(self, name, arguments, timeout=30):
        return self.invoke("tools/call", {"name": name, "arguments": arguments}, timeout)

    def invoke(self, method, params=None, timeout=30):
        answer = self.post(self.envelope(method, params), timeout=timeout)
        body = answer.json()
        if answer.status_code != 200:
            raise SealError(answer.status_code, body)
        payload = body["payload"]
        if "error" in payload:
            raise SealError(200, payload)
        return payload["result"]

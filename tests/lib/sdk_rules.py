# SPDX-License-Identifier: Apache-2.0
"""How the published SEAL clients for Python and TypeScript read what a gateway answers,
written from their description: what they raise, and what they hand to their caller. An
answer that is a refusal must never come out as a result."""

import json


class Raised(Exception):
    """What the caller of the client sees."""


def python_invoke(status, text):
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not 200 <= status < 300:
        if not isinstance(body, dict):
            raise Raised(f"HTTPError {status}")
        if body.get("status") == "error":
            raise Raised(body["error"]["message"])
    elif body is None:
        raise Raised("no JSON")
    if body.get("status") == "error":
        raise Raised(body["error"]["message"])
    payload = body.get("payload", {})
    if "error" in payload:
        raise Raised("MCP Tool Error: " + str(payload["error"]))
    return payload.get("result", {})


def typescript_invoke(status, text):
    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    if not 200 <= status < 300:
        error = body.get("error") if isinstance(body, dict) else None
        message = error.get("message") if isinstance(error, dict) else None
        raise Raised(message or f"SEAL Gateway error: HTTP {status}")
    if "error" in body["payload"]:
        raise Raised("MCP Tool Error: " + str(body["payload"]["error"]))
    return body["payload"].get("result") or {}


def python_attest(status, text):
    if not 200 <= status < 300:
        raise Raised(f"HTTPError {status}")
    body = json.loads(text)
    if body.get("status") == "error":
        raise Raised("Attestation failed: " + body["message"])
    return body["security_token"], body["expires_at"]


def typescript_attest(status, text):
    body = json.loads(text)
    if not 200 <= status < 300:
        message = (body.get("error") or {}).get("message")
        raise Raised(message or f"HTTP {status}")
    if body.get("status") == "error":
        raise Raised(body["message"])
    return body["security_token"], body["expires_at"]


def check_refusal(status, text):
    """The words of a refusal, which both clients must find; raises AssertionError."""
    assert status >= 400, status
    body = json.loads(text)
    assert body["protocol"] == "seal/v1" and body["status"] == "error", text
    error = body["error"]
    assert isinstance(error["code"], int) and error["request_id"] and error["timestamp"], text
    seen = []
    for rule in (python_invoke, typescript_invoke, typescript_attest):
        try:
            result = rule(status, text)
        except Raised as e:
            seen.append(str(e))
        else:
            raise AssertionError(f"{rule.__name__} took {status} {text} for {result!r}")
    assert seen == [error["message"]] * 3 and error["message"], seen
    return body

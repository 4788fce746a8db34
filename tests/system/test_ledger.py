# SPDX-License-Identifier: Apache-2.0
"""Proofs from the ledger: receipts over the command line and HTTP, signatures of agents,
heads kept elsewhere; each checked by `aegis ledger verify` and by a verifier that was written
from the document alone."""

import base64
import hashlib
import json
import time

import ledger_verify
import pytest
import requests
from conftest import contexts_yaml, tools_yaml
from lab import Lab
from ledger_verify import Wrong
from seal_client import SealClient, SealError


@pytest.fixture(scope="module")
def lab(prefix, cache, ca, module_place):
    workspace = module_place / "workspace"
    workspace.mkdir(mode=0o755)
    lab = Lab(prefix, module_place / "aegis", ca=ca, tools=tools_yaml(cache, workspace),
              contexts=contexts_yaml(workspace), extra="seal:\n  compat_spaced: true\n")
    lab.init()
    lab.credential("api", "api", "sk-never-used", "localhost")
    lab.start()
    lab.token = lab.agent("bot", "api", contexts=["reader"])
    lab.other = lab.agent("rival", contexts=["reader"])
    key = lab.aegis("ledger", "key").stdout.strip()
    lab.public = lab.dir / "ledger.pub"
    lab.public.write_text(key + "\n")
    lab.key = base64.b64decode(key)
    lab.files = lab.data / "judge" / "ledger"
    yield lab
    lab.stop()


@pytest.fixture
def client(lab):
    c = SealClient(lab.url, lab.token, "reader")
    c.attest()
    return c


def call(lab, client):
    """A tool call that is done: its request id."""
    answer = client.post(client.envelope(
        "tools/call", {"name": "echo", "arguments": {"message": "hé"}}))
    assert answer.status_code == 200
    request = answer.headers["X-Aegis-Request-Id"]
    end = time.monotonic() + 10
    while len(lab.rows_of(request)) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    return request


def get(lab, what, **headers):
    return requests.get(f"{lab.url}/v1/receipts/{what}", headers=headers, timeout=30)


def verify(lab, *args):
    done = lab.aegis("ledger", "verify", "--key", lab.public, "--json", *args, check=False)
    return done.returncode, json.loads(done.stdout)


# -- receipts --

def test_receipt_of_a_call(lab, client):
    request = call(lab, client)
    file = lab.dir / "receipt.json"
    lab.aegis("ledger", "receipt", request, "--out", file)
    assert file.stat().st_mode & 0o777 == 0o600
    code, report = verify(lab, "--receipt", file)
    decision, completion = lab.rows_of(request)
    assert code == 0 and report["row"] == decision and report["completion"] == completion["seq"]
    said = lab.aegis("ledger", "verify", "--receipt", file)  # the key of the running judge
    assert f"Row {decision['seq']} is in the ledger" in said.stdout
    assert ledger_verify.receipt(file.read_text(), lab.key) == (decision, completion)
    # by number, on standard output; what is older than the last head needs no new one
    text = lab.aegis("ledger", "receipt", completion["seq"]).stdout
    assert ledger_verify.receipt(text, lab.key) == (completion, None)
    again = json.loads(lab.aegis("ledger", "receipt", completion["seq"]).stdout)
    assert again["checkpoint"] == json.loads(text)["checkpoint"]


def test_receipt_of_a_refusal_and_of_the_first_row(lab):
    answer = requests.get(lab.url + "/none/x", headers={"X-Aegis-Agent": lab.token}, timeout=10)
    request = answer.headers["X-Aegis-Request-Id"]
    row, completion = ledger_verify.receipt(lab.aegis("ledger", "receipt", request).stdout, lab.key)
    assert row["decision"] == "blocked" and row["request"] == request and completion is None
    first, _ = ledger_verify.receipt(lab.aegis("ledger", "receipt", "1").stdout, lab.key)
    assert first["seq"] == 1


def test_a_changed_octet_is_no_receipt(lab, client):
    text = lab.aegis("ledger", "receipt", call(lab, client)).stdout.rstrip("\n").encode()
    file = lab.dir / "changed.json"
    for at, octet in enumerate(text):
        changed = text[:at] + bytes([octet ^ 1 << at % 7]) + text[at + 1:]
        with pytest.raises(Wrong):
            ledger_verify.receipt(changed.decode(errors="replace"), lab.key)
        if at % 40 == 0:  # tests/unit/receipt.c changes each bit of each octet
            file.write_bytes(changed)
            done = lab.aegis("ledger", "verify", "--receipt", file, "--key", lab.public, check=False)
            assert done.returncode == 1 and "no receipt of that ledger" in done.stderr, at
    file.write_bytes(text)
    wrong = lab.aegis("ledger", "verify", "--receipt", file, "--key",
                      "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", check=False)
    assert wrong.returncode == 1 and "another key" in wrong.stderr


def test_no_such_row(lab):
    for what in ("0" * 32, "99999999", "0", "x", "f" * 40, "-1", "1x"):
        done = lab.aegis("ledger", "receipt", "--", what, check=False)
        assert done.returncode == 3 and "There is no such row" in done.stderr, what
    for args in ((), ("f" * 41,)):
        done = lab.aegis("ledger", "receipt", *args, check=False)
        assert done.returncode == 2 and "X-Aegis-Request-Id" in done.stderr


def test_receipts_over_http(lab, client):
    request = call(lab, client)
    answer = get(lab, request, **{"X-Aegis-Agent": lab.token})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    row, completion = ledger_verify.receipt(answer.text, lab.key)
    assert row["request"] == request and row["agent"] == "bot" and completion is not None
    by_number = get(lab, row["seq"], Authorization=f"Bearer {lab.token}")
    assert ledger_verify.receipt(by_number.text, lab.key)[0] == row
    # an operator sees all rows of the tenant
    operator = lab.aegis("operator", "token").stdout.strip()
    seen = get(lab, request, Authorization=f"Bearer {operator}")
    assert ledger_verify.receipt(seen.text, lab.key)[0] == row
    first = get(lab, 1, Authorization=f"Bearer {operator}")
    assert ledger_verify.receipt(first.text, lab.key)[0]["seq"] == 1
    rows = [r for r in lab.ledger() if r.get("event") == "receipt.read"]
    assert [r["detail"] for r in rows] == [request, "1"] and all(r["operator"] for r in rows)


def test_receipts_of_others_are_unknown(lab, client):
    request = call(lab, client)
    number = lab.rows_of(request)[0]["seq"]
    bodies = set()
    for what in (request, number, 1, "0" * 32, 10 ** 9, "x", "%00", "x" * 200):
        answer = get(lab, what, **{"X-Aegis-Agent": lab.other})
        assert answer.status_code == 404, what
        bodies.add(answer.json()["error"]["message"])
    assert len(bodies) == 1
    for headers in ({}, {"X-Aegis-Agent": "aegis_nobody"}, {"Authorization": "Bearer x.y.z"}):
        assert get(lab, request, **headers).status_code == 401
    # an agent of the same name is another agent
    lab.aegis("agent", "remove", "--name", "rival")
    mine = call_as(lab, lab.agent("rival", contexts=["reader"]))
    lab.aegis("agent", "remove", "--name", "rival")
    time.sleep(0.01)
    lab.other = lab.agent("rival", contexts=["reader"])
    assert get(lab, mine, **{"X-Aegis-Agent": lab.other}).status_code == 404
    own = call_as(lab, lab.other)
    assert get(lab, own, **{"X-Aegis-Agent": lab.other}).status_code == 200
    assert requests.post(f"{lab.url}/v1/receipts/{own}", headers={"X-Aegis-Agent": lab.other},
                         timeout=10).status_code == 405
    # nor what administrators did about it
    lab.aegis("agent", "set-process", "--name", "rival", "--uid", "12345")
    lab.aegis("agent", "set-process", "--name", "rival")
    about = [r for r in lab.ledger() if r.get("agent") == "rival" and r["kind"] == "admin"]
    assert about[-1]["event"] == "agent.process"
    for row in about:
        assert get(lab, row["seq"], **{"X-Aegis-Agent": lab.other}).status_code == 404, row


def call_as(lab, token):
    answer = requests.get(lab.url + "/none/x", headers={"X-Aegis-Agent": token}, timeout=10)
    return answer.headers["X-Aegis-Request-Id"]


# -- signatures --

def utf16(value):
    """Canonical, but with names in the order of JavaScript."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda n: n.encode("utf-16-be"))
        return "{" + ",".join(utf16(n) + ":" + utf16(value[n]) for n in names) + "}"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def send(client, form, token=None):
    e = client.envelope("tools/call", {"name": "echo", "arguments": {
        "message": "a\"b/\\c", "\U0001F600": 1, "\ufb01": {"é": [1.0, 1e3, None]}}})
    now = int(time.time())
    e["timestamp"] = now
    e["security_token"] = token or client.token
    signed = {"payload": e["payload"], "security_token": e["security_token"], "timestamp": now}
    text = {"plain": lambda: json.dumps(signed, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
            "utf16": lambda: utf16(signed),
            "spaced": lambda: json.dumps(signed, sort_keys=True)}[form]()
    e["signature"] = base64.b64encode(client.key.sign(text.encode())).decode()
    return client.post(e)


def export(lab, name, *flags):
    file = lab.dir / name
    lab.aegis("ledger", "export", "-f", "jsonl", "-o", file, *flags)
    return file


def test_every_envelope_in_the_ledger(lab, client):
    assert client.invoke("ping") == {}  # a time as text
    for form in ("plain", "utf16", "spaced"):
        assert send(client, form).status_code == 200, form
    with pytest.raises(SealError):
        client.call("write_file", {"path": "/x", "content": ""})  # signed, and refused
    stale = client.envelope("ping")
    stale["payload"]["method"] = "tools/list"
    assert client.post(stale).status_code == 401  # signed, but not this: no evidence
    file = export(lab, "signed.jsonl")
    code, report = verify(lab, file, "--signatures")
    rows, sealed, verified = ledger_verify.ledger(file.read_text().split("\n")[:-1], lab.key)
    named = [r for r in rows if "signed" in r]
    assert [r["event"] for r in rows if "proof" in r and "signed" not in r] == ["SignatureVerificationFailed"]
    assert code == 0 and report["findings"] == [] and report["merkle"]
    assert report["signatures"] == verified == len(named) >= 5
    assert report["without_evidence"] == report["bad_signatures"] == 0
    assert sealed == report["sealed"] == len(rows)
    forms = file.read_text()
    assert '"form":"utf16"' in forms and '"form":"spaced"' in forms
    # the running ledger, and its files as they lie there
    assert lab.aegis("ledger", "verify", "--signatures").returncode == 0
    code, report = verify(lab, lab.files, "--signatures")
    assert code == 0 and report["signatures"] >= verified
    lines = "".join(f.read_text() for f in sorted(lab.files.glob("*.jsonl"))).split("\n")[:-1]
    assert ledger_verify.ledger(lines, lab.key)[2] >= verified


def test_a_hostile_agent_cannot_spoil_the_proof(lab, client):
    """Signed by the session's key, over a token that is another's or nobody's."""
    rival = SealClient(lab.url, lab.token, "reader")
    rival.attest()
    claims = client.token.split(".")[1]
    claims += "=" * (-len(claims) % 4)
    execution = json.loads(base64.urlsafe_b64decode(claims))["exec_id"]
    mine = base64.urlsafe_b64encode(json.dumps({"exec_id": execution}).encode()).decode().rstrip("=")
    header = client.token.split(".")[0]
    asked = []
    for token in (f"{header}.{mine}.c2ln", f"{header}.{mine}.c2ln" + "A" * 300, rival.token):
        for form in ("plain", "utf16", "spaced"):
            answer = send(client, form, token)
            assert answer.status_code == 401, (token[:60], form)
            asked.append(answer.headers["X-Aegis-Request-Id"])
    file = export(lab, "hostile.jsonl")
    code, report = verify(lab, file, "--signatures")
    assert code == 0 and report["findings"] == []
    rows = ledger_verify.ledger(file.read_text().split("\n")[:-1], lab.key)[0]
    assert sum("signed" in r for r in rows if r.get("request") in asked) == 6


def test_what_was_signed_may_look_like_a_hash(lab, client):
    """Wherever it stands in the line: the judge goes on, and all can be verified."""
    for n in range(45):
        answer = client.post(client.envelope("tools/call", {"name": "echo", "arguments": {
            "a": {}, "hash": "0" * n, "message": "m"}, }))
        assert answer.status_code == 200, n
        answer = client.post(client.envelope("tools/call", {"arguments": {
            "a": {}, "hash": "0" * n}, "name": "echo"}))
        assert "X-Aegis-Request-Id" in answer.headers, n
    assert any('"hash":"000' in f.read_text() for f in lab.files.glob("*.jsonl"))
    file = export(lab, "hash.jsonl")
    code, report = verify(lab, file, "--signatures")
    assert code == 0 and report["findings"] == [] and report["bad_signatures"] == 0
    lab.stop()
    lab.start()
    assert not [r for r in lab.ledger() if r.get("event") == "ledger.recovered"]
    assert len(lab.ledger()) > 90


def test_forged_evidence_is_named(lab, client):
    send(client, "plain")
    lines = export(lab, "forge.jsonl").read_text().splitlines(keepends=True)
    at = max(i for i, line in enumerate(lines) if '"signed":{"payload"' in line)
    seq = json.loads(lines[at])["row"]["seq"]
    file = lab.dir / "forged.jsonl"

    def forged(old, new):
        file.write_text("".join(lines[:at] + [lines[at].replace(old, new)] + lines[at + 1:]))
        code, report = verify(lab, file, "--signatures")
        assert code == 1 and report["findings"][0]["first"] == seq
        return report["findings"][0]["kind"]

    assert forged('"signed":{"payload":{', '"signed":{"payload":{ ') == "foreign_evidence"
    assert forged('"tool":"echo"', '"tool":"ecno"') == "changed"
    done = lab.aegis("ledger", "verify", file, "--key", lab.public, check=False)
    assert done.returncode == 1 and f"row {seq} was changed" in done.stderr


def test_a_judge_that_invents_askedis_found(lab, client):
    """Whoever has the ledger's key can write rows, but not what agents sign."""
    send(client, "plain")
    lines = export(lab, "invent.jsonl").read_text().splitlines()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    own = Ed25519PrivateKey.generate()
    public = own.public_key().public_bytes_raw()
    chain = json.loads(lines[0])["chain"]
    head, leaves, out = bytes.fromhex(json.loads(lines[0])["prev"]), [], [lines[0]]
    at = max(i for i, line in enumerate(lines) if '"signed":{"payload"' in line)
    for i, line in enumerate(lines):
        m = ledger_verify.ROW.fullmatch(line)
        if m is None:
            continue
        text, evidence = m[1], line[m.end(2) + 1:]
        if i == at:
            seq = json.loads(text)["seq"]
            seen = ledger_verify.SIGNED.fullmatch(m[3])
            _, session = max((json.loads(x)["row"]["seq"], json.loads(x)) for x in lines[:at]
                             if '"token":"' in x and json.loads(x)["row"].get("session") == json.loads(text)["session"])
            payload = seen[1].replace('"echo"', '"erase"')
            octets = '{"payload":%s,"security_token":"%s","timestamp":%s}' % (payload, session["token"], seen[2])
            text = text.replace(json.loads(text)["signed"], hashlib.sha256(octets.encode()).hexdigest())
            evidence = evidence.replace(seen[1], payload)
        head = hashlib.sha256(head + text.encode()).digest()
        leaves.append(hashlib.sha256(b"\0" + head).digest())
        out.append('{"row":%s,"hash":"%s"%s' % (text, head.hex(), evidence))
    signed = [chain, str(len(leaves)), head.hex(), ledger_verify.root(leaves).hex(), "2031-05-06T07:08:09.000000Z"]
    signature = own.sign("\n".join(["aegis-checkpoint-2", *signed, ""]).encode())
    out.append('{"checkpoint":{"chain":"%s","seq":%s,"head":"%s","root":"%s","time":"%s","kid":"%s"},"signature":"%s"}' % (
        *signed, hashlib.sha256(public).hexdigest()[:16], base64.b64encode(signature).decode()))
    file, key = lab.dir / "invented.jsonl", base64.b64encode(public).decode()
    file.write_text("\n".join(out) + "\n")
    assert lab.aegis("ledger", "verify", file, "--key", key).returncode == 0
    done = lab.aegis("ledger", "verify", file, "--key", key, "--signatures", check=False)
    assert done.returncode == 1
    assert f"the request of row {seq} was not signed by its session's key" in done.stderr
    with pytest.raises(Wrong, match="signature"):
        ledger_verify.ledger(out, public)


def test_export_without_evidence(lab, client):
    assert send(client, "plain").status_code == 200
    full = verify(lab, export(lab, "full.jsonl"), "--signatures")[1]
    file = export(lab, "bare.jsonl", "--no-evidence")
    assert client.token not in file.read_text() and '"payload"' not in file.read_text()
    code, report = verify(lab, file, "--signatures")
    assert code == 0 and report["complete"] and report["signatures"] == 0
    assert report["without_evidence"] >= full["signatures"] > 0
    ledger_verify.ledger(file.read_text().split("\n")[:-1], lab.key)
    done = lab.aegis("ledger", "export", "-f", "csv", "--no-evidence", check=False)
    assert done.returncode == 2 and "jsonl" in done.stderr


# -- heads kept elsewhere --

def test_a_head_tells_an_old_copy(lab, client):
    old = export(lab, "old.jsonl")
    head = lab.aegis("ledger", "verify", old, "--key", lab.public).stdout.split("head ")[1].strip()
    send(client, "plain")
    new = export(lab, "new.jsonl")
    for kept in (head, old):
        code, report = verify(lab, new, "--head", kept)
        assert code == 0 and report["complete"]
    assert lab.aegis("ledger", "verify", "--head", head).returncode == 0
    code, report = verify(lab, old, "--head", new)
    assert code == 1 and report["findings"][0]["kind"] == "old"
    assert report["findings"][0]["first"] == int(head.split(":")[0]) + 1
    row, digest = head.split(":")
    other = f"{row}:{'0' * 64}"
    code, report = verify(lab, new, "--head", other)
    assert code == 1 and report["findings"][0]["kind"] == "other_history"
    done = lab.aegis("ledger", "verify", new, "--key", lab.public, "--head", "x", check=False)
    assert done.returncode == 2 and "ROW:HASH" in done.stderr

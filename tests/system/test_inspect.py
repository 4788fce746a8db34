# SPDX-License-Identifier: Apache-2.0
"""The body inspector on real requests: what is blocked reaches no upstream, not even in
part; what is not arrives as it was sent. What counts as a credential is the corpus'
business (tests/corpora/inspect_corpus.py)."""

import gzip
import json
import secrets
import socket
import time

import pytest
import requests
from lab import Lab

TOKEN = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
ORDINARY = {"text": "Basic information about key management", "id": "0b6f6c3e-6b53-4b5e-9d0e-0f2f6c1d9a11",
            "sha": "9d5ed678fe57bcca610140957afab571e6f2c6ee"}


@pytest.fixture(scope="module")
def site(prefix, module_place):
    from conftest import Upstream

    up = Upstream(lambda r: r.answer(body=b'{"got":%d}' % len(r.body)))
    lab = Lab(prefix, module_place / "aegis", gate="  max_body_size: 64M").init()
    for mode in ("block", "warn", "off"):
        lab.credential(mode, mode, "the-injected-secret", f"localhost:{up.port}", "--upstream",
                       f"http://localhost:{up.port}", "--allow-private", "--body-inspection", mode)
    lab.start()
    lab.up = up
    lab.token = lab.agent("bot", "block", "warn", "off")
    yield lab
    lab.stop()
    up.stop()


def send(site, mode, body, path="/x", **headers):
    before = len(site.up.seen)
    r = requests.post(f"{site.url}/{mode}{path}", data=body, timeout=20,
                      headers={"X-Aegis-Agent": site.token, "Content-Type": "application/json", **headers})
    return r, site.up.seen[before:]


def blocked(site, r, seen, name):
    assert r.status_code == 403, r.text
    body = r.json()
    assert body["error"] == "Request body contains credential-like patterns"
    assert body["mode"] == "block" and name in body["matches"][0] and TOKEN not in r.text
    assert "warn" in body["hint"]
    assert not any(TOKEN.encode() in b for *_, b in seen)
    rows = site.rows_of(r.headers["X-Aegis-Request-Id"])
    (row,) = [x for x in rows if x.get("event") == "body.blocked"]
    assert row["decision"] == "blocked" and row["code"] == "body_inspection" and name in row["detail"]
    assert TOKEN not in json.dumps(rows)


def test_a_token_in_json_is_blocked(site):
    r, seen = send(site, "block", json.dumps({"note": f"use {TOKEN}"}))
    blocked(site, r, seen, "GitHub token")
    assert not seen


@pytest.mark.parametrize("mode", ["block", "warn"])
def test_a_token_in_a_path_is_not_in_the_ledger(site, mode):
    r, seen = send(site, mode, json.dumps(ORDINARY), path=f"/use/{TOKEN}/now")
    assert r.status_code == (403 if mode == "block" else 200) and bool(seen) == (mode == "warn")
    rows = site.rows_of(r.headers["X-Aegis-Request-Id"])
    assert {x["path"] for x in rows if "path" in x} >= {"/use/[redacted]/now"}
    assert TOKEN not in json.dumps(rows)
    told = [x for x in rows if x.get("event") == ("body.blocked" if mode == "block" else "body.warned")]
    assert [(x["tenant"], x["agent"], x["credential"]) for x in told] == [("default", "bot", mode)]


def test_the_default_is_to_block(site):
    site.aegis("vault", "add", "--name", "plain", "--service", "plain", "--domains", "api.example",
               "--secret-stdin", stdin="x" * 20)
    (row,) = [c for c in site.json("vault", "list") if c["name"] == "plain"]
    assert row["body_inspection"] == "block"
    bad = site.aegis("vault", "update", "--name", "plain", "--body-inspection", "maybe", check=False)
    assert bad.returncode != 0 and "off, warn or block" in bad.stderr
    site.aegis("vault", "update", "--name", "plain", "--body-inspection", "off")
    (row,) = [r for r in site.ledger() if r.get("event") == "credential.update" and r["credential"] == "plain"]
    assert row["detail"] == "api.example; body inspection off"


@pytest.mark.parametrize("mode", ["block", "warn", "off"])
def test_ordinary_bodies_pass_unchanged(site, mode):
    r, seen = send(site, mode, json.dumps(ORDINARY))
    assert r.status_code == 200
    assert json.loads(seen[0][3]) == ORDINARY


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_other_modes_let_pass_and_say_so_or_not(site, mode):
    r, seen = send(site, mode, json.dumps({"note": TOKEN}))
    assert r.status_code == 200 and TOKEN.encode() in seen[0][3]
    rows = [x for x in site.rows_of(r.headers["X-Aegis-Request-Id"]) if x.get("event") == "body.warned"]
    assert len(rows) == (mode == "warn")
    assert all("GitHub token" in x["detail"] and TOKEN not in json.dumps(x) for x in rows)


def test_what_only_looks_like_one_is_a_warning(site):
    r, seen = send(site, "block", json.dumps({"password": "correct7horse9battery"}))
    assert r.status_code == 200 and seen
    assert [x["detail"] for x in site.rows_of(r.headers["X-Aegis-Request-Id"]) if x.get("event") == "body.warned"]


def raw(site, octets, answers):
    """Sends it all at once; the status codes of that many answers."""
    got = b""
    with socket.create_connection(("127.0.0.1", site.port)) as agent:
        agent.settimeout(15)
        agent.sendall(octets)
        while got.count(b"HTTP/1.1 ") < answers and (more := agent.recv(65536)):
            got += more
    return [int(part[:3]) for part in got.split(b"HTTP/1.1 ")[1:]]


def head(site, line, *fields):
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", f"X-Aegis-Agent: {site.token}", *fields, "", ""]).encode()


def test_two_codings_in_two_fields_are_not_taken_for_the_first(site):
    body = gzip.compress(TOKEN.encode())
    before = len(site.up.seen)
    for first in ("identity", ""):
        assert raw(site, head(site, "POST /block/x", f"Content-Encoding: {first}", "Content-Encoding: gzip",
                              f"Content-Length: {len(body)}") + body, 1) == [415]
    assert len(site.up.seen) == before


@pytest.mark.parametrize("filler", [0, 100_000, 3_000_000])
def test_a_request_behind_a_blocked_one_is_answered(site, filler):
    body = b"ordinary words " * (filler // 15) + TOKEN.encode()
    more = head(site, "GET /block/next")
    codes = raw(site, head(site, "POST /block/x", f"Content-Length: {len(body)}") + body + more, 2)
    assert codes == [403, 200]


def test_what_is_blocked_by_its_head_is_not_asked_for_its_body(site):
    assert raw(site, head(site, f"POST /block/x?t={TOKEN}", "Expect: 100-continue", "Content-Length: 10"), 1) == [403]


def test_target_and_fields_are_looked_at(site):
    r, seen = send(site, "block", b"{}", path=f"/x/{TOKEN}/y")
    assert r.status_code == 403 and "GitHub token" in r.json()["matches"][0]
    r, seen = send(site, "block", b"{}", path=f"/x?a=b&t={TOKEN}")
    blocked(site, r, seen, "GitHub token")
    r, seen = send(site, "block", b"{}", path="/x?t=" + "".join(f"%{ord(c):02x}" for c in TOKEN))
    blocked(site, r, seen, "GitHub token")
    r, seen = send(site, "block", b"{}", **{"X-My-Key": TOKEN})
    blocked(site, r, seen, "GitHub token")
    assert not seen


def test_compressed_bodies_are_looked_into(site):
    body = gzip.compress(json.dumps({"note": "x " * 5000 + TOKEN}).encode())
    r, seen = send(site, "block", body, **{"Content-Encoding": "gzip"})
    blocked(site, r, seen, "GitHub token")
    body = gzip.compress(json.dumps(ORDINARY).encode())
    r, seen = send(site, "block", body, **{"Content-Encoding": "gzip"})
    assert r.status_code == 200 and body in [b for *_, b in seen]


@pytest.mark.parametrize("coding, body", [
    ("gzip", b"\x1f\x8b\x08\x00not compressed at all"),
    ("gzip", gzip.compress(b"{}" * 1000, mtime=0)[:-9]),
    ("gzip", gzip.compress(b"\0" * 50_000_000, mtime=0)),
    ("br", b"\x0b\x02\x80{}\x03"),
    ("identity, gzip", gzip.compress(TOKEN.encode(), mtime=0)),
])
def test_what_cannot_be_looked_into_is_refused(site, coding, body):
    r, seen = send(site, "block", body, **{"Content-Encoding": coding})
    assert r.status_code == 415 and "cannot be inspected" in r.json()["error"]
    assert not any(b == body for *_, b in seen)
    r, seen = send(site, "warn", body, **{"Content-Encoding": coding})
    assert r.status_code == 200 and body in [b for *_, b in seen]


def test_a_large_clean_body_streams_through_unchanged(site):
    body = (secrets.token_hex(3000) + " é\\u00e9%41 ").encode() * 1500
    r, seen = send(site, "block", body)
    assert r.status_code == 200 and body in [b for *_, b in seen]

    def pieces():
        for at in range(0, len(body), 70001):
            yield body[at:at + 70001]

    r, seen = send(site, "block", pieces())
    assert r.status_code == 200 and body in [b for *_, b in seen]


def test_a_token_at_the_end_of_a_large_body_stops_it(site):
    body = b"ordinary words " * 400_000 + TOKEN.encode() + b" and more"
    r, seen = send(site, "block", body)
    blocked(site, r, seen, "GitHub token")
    assert not any(len(b) >= len(body) for *_, b in seen)


def test_no_part_of_a_token_leaves_before_its_end_is_seen(site):
    """An upstream that writes down every octet, an agent that dawdles in the token's middle."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        site.credential("raw", "raw", "the-injected-secret", f"localhost:{port}", "--upstream",
                        f"http://localhost:{port}", "--allow-private", "--body-inspection", "block")
        site.aegis("agent", "grant", "--agent", "bot", "--credential", "raw")
        filler = b"ordinary words " * 20_000
        body = filler + TOKEN.encode() + b" end"
        with socket.create_connection(("127.0.0.1", site.port)) as agent:
            agent.settimeout(10)
            agent.sendall(b"POST /raw/x HTTP/1.1\r\nHost: x\r\nX-Aegis-Agent: %s\r\nContent-Length: %d\r\n\r\n"
                          % (site.token.encode(), len(body)))
            cut = len(filler) + 20
            agent.sendall(body[:cut])
            listener.settimeout(10)
            upstream, _ = listener.accept()
            upstream.settimeout(1)
            got = b""
            end = time.monotonic() + 5
            while time.monotonic() < end and len(got) < len(filler):
                try:
                    got += upstream.recv(1 << 20)
                except TimeoutError:
                    break
            assert len(got) > len(filler) - 2000, "what is clean goes on"
            assert b"ghp_" not in got
            agent.sendall(body[cut:])
            answer = agent.recv(65536)
            assert answer.startswith(b"HTTP/1.1 403"), answer
            upstream.settimeout(5)
            try:
                while more := upstream.recv(1 << 20):
                    got += more
            except (TimeoutError, ConnectionError):
                pass
            assert b"ghp_" not in got
            upstream.close()

# SPDX-License-Identifier: Apache-2.0
"""Proxied requests through the whole system: what the agent gets, what the upstream sees."""

import base64
import concurrent.futures
import json
import socket
import time

import pytest
import requests
from conftest import SECRET
from memory import forms


def call(lab, path, method="GET", token=None, **kwargs):
    headers = {"X-Aegis-Agent": token or lab.token, **kwargs.pop("headers", {})}
    return requests.request(method, lab.url + path, headers=headers, timeout=20, **kwargs)


def test_injects_what_the_agent_never_sees(system):
    for service in ("api", "plain"):
        answer = call(system, f"/{service}/hello?x=1")
        assert answer.status_code == 200, answer.text
        assert answer.json()["path"] == "/hello?x=1"
        assert SECRET not in answer.text + str(answer.headers)


def test_every_answer_has_its_rows(system):
    answer = call(system, "/api/rows")
    rows = system.rows_of(answer.headers["X-Aegis-Request-Id"])
    assert [r["kind"] for r in rows] == ["decision", "completion"]
    decision, completion = rows
    assert decision["decision"] == "allowed" and decision["agent"] == "bot"
    assert decision["credential"] == "api" and decision["method"] == "GET"
    assert completion["status"] == 200 and completion["bytes_out"] > 0


@pytest.mark.parametrize("path,headers,status,word", [
    ("/api/x", {"X-Target-Host": "evil.example.com"}, 403, "Domain not in credential allowlist"),
    ("/api/../x", {}, 400, "traversal"),
    ("/api/%2e%2e/x", {}, 400, "traversal"),
    ("/api/..%2fx", {}, 400, ""),
    ("/api/%252e%252e/x", {}, 400, ""),
    ("/api/a%00b", {}, 400, ""),
    ("/nosuch/x", {}, 404, "No credential registered for service"),
    ("/", {}, 400, "Missing service name"),
])
def test_refusals(system, path, headers, status, word):
    with socket.create_connection(("127.0.0.1", system.port)) as s:
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"X-Aegis-Agent: {system.token}",
                 *(f"{k}: {v}" for k, v in headers.items()), "Connection: close", "", ""]
        s.sendall("\r\n".join(lines).encode())
        raw = b""
        while chunk := s.recv(65536):
            raw += chunk
    head, _, body = raw.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status, raw
    assert word.lower() in json.loads(body)["error"].lower()
    ident = [line.split(b": ")[1].decode() for line in head.split(b"\r\n")
             if line.lower().startswith(b"x-aegis-request-id")][0]
    rows = system.rows_of(ident)
    assert len(rows) == 1 and rows[0]["decision"] == "blocked", rows


def test_agent_must_be_known(system):
    answer = requests.get(system.url + "/api/x", timeout=5)
    assert answer.status_code == 401 and "Agent authentication required" in answer.text
    answer = call(system, "/api/x", token="aegis_00000000-0000-4000-8000-000000000000_0000000000000000")
    assert answer.status_code == 401 and "Invalid agent token" in answer.text


def test_agent_needs_the_grant(system):
    token = system.agent("stranger")
    answer = call(system, "/api/x", token=token)
    assert answer.status_code == 403 and "not granted" in answer.text
    system.aegis("agent", "grant", "--agent", "stranger", "--credential", "api")
    assert call(system, "/api/x", token=token).status_code == 200
    system.aegis("agent", "revoke", "--agent", "stranger", "--credential", "api")
    assert call(system, "/api/x", token=token).status_code == 403


def test_a_regenerated_token_ends_the_old_one(system):
    old = system.agent("renewed", "api")
    assert call(system, "/api/x", token=old).status_code == 200
    new = system.json("agent", "regenerate", "--name", "renewed")["token"]
    assert call(system, "/api/x", token=old).status_code == 401
    assert call(system, "/api/x", token=new).status_code == 200


@pytest.mark.parametrize("auth,flags,check", [
    ("bearer", [], lambda h, p: h.get("Authorization") == f"Bearer {SECRET}"),
    ("header", ["--header-name", "X-Private-Token"], lambda h, p: h.get("X-Private-Token") == SECRET),
    ("basic", [], lambda h, p: h.get("Authorization") ==
     "Basic " + base64.b64encode(SECRET.encode()).decode()),
    ("query", ["--query-param", "api_key"], lambda h, p: "api_key=sk-planted-7f3e9A%2Fb%2Bc%3D%3Dd8" in p),
])
def test_auth_types(system, upstream, auth, flags, check):
    u = upstream()
    name = f"auth-{auth}"
    system.credential(name, name, SECRET, f"127.0.0.1:{u.port}", "--auth-type", auth, *flags,
                      "--upstream", f"http://127.0.0.1:{u.port}", "--allow-private")
    token = system.agent(f"agent-{auth}", name)
    answer = call(system, f"/{name}/p?a=b", token=token, headers={
        "Authorization": "Bearer mine", "X-API-Key": "mine", "X-HTTP-Method-Override": "mine",
        **({"X-Private-Token": "mine"} if auth == "header" else {}),
        "Connection": "keep-alive, X-Drop", "X-Drop": "1", "X-Keep": "2"})
    assert answer.status_code == 200, answer.text
    method, path, headers, body = u.seen[0]
    assert check(headers, path), (headers, path)
    assert "mine" not in str(headers) and "X-Drop" not in headers
    assert headers["X-Keep"] == "2" and headers["Host"].startswith("127.0.0.1")
    assert not [h for h in headers if h.lower().startswith("x-aegis")]


ECHOES = {
    "plain": lambda s: s.encode(), "in-json": lambda s: json.dumps({"k": s}).encode(),
    **{name: (lambda f: lambda s: f)(form) for name, form in forms(SECRET).items()
       if name not in ("utf-16", "reversed")},
}


@pytest.mark.parametrize("form", sorted(ECHOES))
def test_an_echoed_secret_does_not_reach_the_agent(system, upstream, form):
    planted = ECHOES[form](SECRET)

    def respond(r):
        if r.path.endswith("/header"):
            r.answer(200, b"{}", [("X-Echo", planted.decode())])
        elif r.path.endswith("/big"):
            r.answer(200, b"x" * 70000 + planted + b"y" * 70000)
        elif r.path.endswith("/chunked"):
            r.send_response(200)
            r.send_header("transfer-encoding", "chunked")
            r.end_headers()
            body = b"a" * 30000 + planted + b"b" * 10
            for i in range(0, len(body), 7 if len(body) < 2000 else 29999):
                piece = body[i:i + (7 if len(body) < 2000 else 29999)]
                r.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                r.wfile.flush()
            r.wfile.write(b"0\r\n\r\n")
        else:
            r.answer(200, b"before " + planted + b" after")

    u = upstream(respond)
    name = "echo-" + form.lower().replace("_", "-") + ("2" if form == "HEX" else "")
    system.credential(name, name, SECRET, f"127.0.0.1:{u.port}", "--upstream",
                      f"http://127.0.0.1:{u.port}", "--allow-private")
    token = system.agent(f"a-{name}", name)
    for path in ("small", "header", "big", "chunked"):
        try:
            answer = call(system, f"/{name}/{path}", token=token)
            got = answer.content + str(dict(answer.headers)).encode()
            assert answer.status_code == 502 or path in ("big", "chunked"), (path, answer.content[:200])
        except requests.exceptions.RequestException as e:
            got = str(e).encode()  # cut in the middle: right for a streamed answer
            assert path in ("big", "chunked")
        for f in forms(SECRET).values():
            assert f not in got
    assert any(r.get("outcome") == "secret_echoed" or "secret" in json.dumps(r)
               for r in system.ledger() if r.get("credential") == name and r["kind"] == "completion")


def test_a_post_is_never_sent_twice(system, upstream):
    """A kept-alive connection that dies under a POST: the agent is told, nothing is repeated."""
    count = []

    def respond(r):
        count.append(r.command)
        if len(count) == 1:
            r.answer()
        else:
            r.connection.shutdown(socket.SHUT_RDWR)
            r.close_connection = True

    u = upstream(respond)
    system.credential("once", "once", SECRET, f"127.0.0.1:{u.port}", "--upstream",
                      f"http://127.0.0.1:{u.port}", "--allow-private")
    token = system.agent("a-once", "once")
    assert call(system, "/once/x", token=token).status_code == 200
    answer = call(system, "/once/x", "POST", token=token, data=b"pay")
    assert answer.status_code == 502
    assert count == ["GET", "POST"]


def test_redirects_are_not_followed(system, upstream):
    target = upstream()
    u = upstream(lambda r: r.answer(302, b"", [("Location", f"http://127.0.0.1:{target.port}/")]))
    system.credential("redir", "redir", SECRET, f"127.0.0.1:{u.port}", "--upstream",
                      f"http://127.0.0.1:{u.port}", "--allow-private")
    answer = call(system, "/redir/x", token=system.agent("a-redir", "redir"), allow_redirects=False)
    assert answer.status_code == 302 and not target.seen


def test_private_addresses_need_permission(system, upstream):
    u = upstream()
    system.credential("inside", "inside", SECRET, f"127.0.0.1:{u.port}", "--upstream",
                      f"http://127.0.0.1:{u.port}")
    answer = call(system, "/inside/x", token=system.agent("a-inside", "inside"))
    assert answer.status_code in (403, 502) and not u.seen, answer.text
    assert "aegis vault update --name NAME --allow-private" in answer.json()["hint"]
    system.credential("meta", "meta", SECRET, "169.254.169.254", "--upstream",
                      "http://169.254.169.254", "--allow-private")
    answer = call(system, "/meta/latest/", token=system.agent("a-meta", "meta"))
    assert answer.status_code in (403, 502), answer.text


def test_upstream_away_and_slow(system, upstream):
    from lab import free_port

    port = free_port()
    system.credential("away", "away", SECRET, f"127.0.0.1:{port}", "--upstream",
                      f"http://127.0.0.1:{port}", "--allow-private")
    answer = call(system, "/away/x", token=system.agent("a-away", "away"))
    assert answer.status_code == 502 and "Failed to reach upstream service" in answer.text


def test_server_sent_events_arrive_as_they_are_sent(system, upstream):
    def respond(r):
        r.send_response(200)
        r.send_header("content-type", "text/event-stream")
        r.send_header("connection", "close")
        r.end_headers()
        for i in range(3):
            r.wfile.write(b"data: %d\n\n" % i)
            r.wfile.flush()
            time.sleep(0.4)
        r.close_connection = True

    u = upstream(respond)
    system.credential("sse", "sse", SECRET, f"127.0.0.1:{u.port}", "--upstream",
                      f"http://127.0.0.1:{u.port}", "--allow-private")
    began, times = time.monotonic(), []
    answer = call(system, "/sse/x", token=system.agent("a-sse", "sse"), stream=True)
    for line in answer.iter_lines(chunk_size=1):
        if line:
            times.append(time.monotonic() - began)
    assert len(times) == 3 and times[0] < 0.3 and times[1] - times[0] > 0.2, times


@pytest.mark.parametrize("size", [0, 1, 24575, 24576, 24577, 100_000, 5_000_000])
def test_bodies_both_ways(system, upstream, size):
    u = upstream(lambda r: r.answer(200, r.body))
    name = f"size{size}"
    system.credential(name, name, SECRET, f"127.0.0.1:{u.port}", "--upstream",
                      f"http://127.0.0.1:{u.port}", "--allow-private")
    token = system.agent(f"a-{name}", name)
    body = bytes(i * 7 % 251 for i in range(size))
    limit = 1 << 20
    answer = call(system, f"/{name}/x", "POST", token=token, data=body)
    if size > limit:
        assert answer.status_code == 413 and not u.seen
        return
    assert answer.status_code == 200 and answer.content == body
    if 0 < size <= limit:  # the same without a length
        pieces = iter([body[i:i + 5000] for i in range(0, size, 5000)])
        answer = call(system, f"/{name}/x", "POST", token=token, data=pieces)
        assert answer.status_code == 200 and answer.content == body


def test_a_gigabyte_in_constant_memory(system, upstream):
    import re
    from pathlib import Path

    block = b"z" * 65536

    def respond(r):
        r.send_response(200)
        r.send_header("content-length", str(1 << 30))
        r.end_headers()
        try:
            for _ in range((1 << 30) // len(block)):
                r.wfile.write(block)
        except OSError:
            pass

    u = upstream(respond)
    system.credential("giga", "giga", SECRET, f"127.0.0.1:{u.port}", "--upstream",
                      f"http://127.0.0.1:{u.port}", "--allow-private")
    token = system.agent("a-giga", "giga")

    def rss():
        return {p: int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{p}/status").read_text())[1])
                for t in ("gated", "egressd", "keymasterd") for p in system.pids(t)}

    total = 0
    with call(system, "/giga/x", token=token, stream=True) as answer:
        before = rss()
        for piece in answer.iter_content(1 << 20):
            total += len(piece)
        after = rss()
    assert total == 1 << 30
    assert all(after[p] - before[p] < 4096 for p in before if p in after), (before, after)


def test_rate_limits(system):
    token = system.json("agent", "add", "--name", "limited", "--rate-limit", "5/min")["token"]
    system.aegis("agent", "grant", "--agent", "limited", "--credential", "plain")
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: call(system, "/plain/x", token=token), range(20)))
    codes = [a.status_code for a in answers]
    assert codes.count(200) == 5 and codes.count(429) == 15
    refused = next(a for a in answers if a.status_code == 429)
    assert int(refused.headers["Retry-After"]) > 0 and "rate limit" in refused.text.lower()


def test_scopes_and_ttl(system):
    system.credential("ro", "ro", SECRET, f"127.0.0.1:{system.nginx.plain}", "--scopes", "read",
                      "--upstream", f"http://127.0.0.1:{system.nginx.plain}", "--allow-private")
    token = system.agent("a-ro", "ro")
    assert call(system, "/ro/x", token=token).status_code == 200
    answer = call(system, "/ro/x", "POST", token=token, data=b"x")
    assert answer.status_code == 403 and "scopes" in answer.text


def test_rotation_takes_effect_at_once(system, upstream):
    u = upstream()
    system.credential("turn", "turn", "first-secret-value", f"127.0.0.1:{u.port}", "--upstream",
                      f"http://127.0.0.1:{u.port}", "--allow-private")
    token = system.agent("a-turn", "turn")
    assert call(system, "/turn/x", token=token).status_code == 200
    system.aegis("vault", "rotate", "--name", "turn", "--secret-stdin", stdin="second-secret-value")
    assert call(system, "/turn/x", token=token).status_code == 200
    assert [h["Authorization"] for _, _, h, _ in u.seen] == [
        "Bearer first-secret-value", "Bearer second-secret-value"]
    for i in range(50):
        system.aegis("vault", "rotate", "--name", "turn", "--secret-stdin",
                     stdin=f"another-secret-value-{i}")
        assert call(system, "/turn/x", token=token).status_code == 200
        assert u.seen[-1][2]["Authorization"] == f"Bearer another-secret-value-{i}"
    system.aegis("vault", "remove", "--name", "turn")
    assert call(system, "/turn/x", token=token).status_code == 404

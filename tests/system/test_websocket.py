# SPDX-License-Identifier: Apache-2.0
"""WebSockets through the whole system: the library `websockets` on both sides, Node's own
client, nginx in between, and upstreams that do what no library does."""

import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests
from conftest import SECRET, Upstream
from lab import Lab, Nginx
from memory import forms
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

KEY = "ghp_" + "A1b2C3d4" * 4 + "E5f6"  # what the inspector takes for a token
MAX_BODY = 2 * 1024 * 1024
POLICY = "agent: ruled\nrules: [{{service: ws, methods: [{}], paths: [^/echo$], rate_limit: 2/hour}}]\n"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Echo:
    """Says what it hears; and on other paths, what the test wants."""

    def __init__(self, port=0):
        self.seen, self.codes, self.sent = [], [], 0
        self.server = serve(self.handle, "127.0.0.1", port, process_request=self.check,
                            max_size=None, ping_interval=None, close_timeout=5,
                            subprotocols=["chat"],
                            select_subprotocol=lambda ws, offered: "chat" if "chat" in offered else None)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def check(self, ws, request):
        self.seen.append(request.headers)
        if request.headers.get("authorization") != f"Bearer {SECRET}":
            return ws.respond(403, "wrong key")
        if request.path == "/no":
            return ws.respond(418, "a teapot")

    def handle(self, ws):
        try:
            if ws.request.path == "/flood":
                while True:
                    ws.send(b"x" * 65536)
                    self.sent += 65536
            if ws.request.path == "/bye":
                ws.close(4001, "enough")
            for message in ws:
                ws.send(json.loads(message)["say"] if ws.request.path == "/say" else message)
        except ConnectionClosed:
            pass
        finally:
            self.codes.append(ws.close_code)

    def stop(self):
        self.server.shutdown()


def accept(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def switch(r, extra="", **change):
    """The answer of an upstream that switches, and may do it wrongly."""
    fields = {"Upgrade": "websocket", "Connection": "Upgrade",
              "Sec-WebSocket-Accept": accept(r.headers.get("sec-websocket-key", "")), **change}
    head = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items() if v is not None)
    r.wfile.write(f"HTTP/1.1 101 Switching Protocols\r\n{head}{extra}\r\n".encode())


def frame(payload, opcode=1, fin=True, first=None):
    n = len(payload)
    head = bytes([first if first is not None else (0x80 if fin else 0) | opcode])
    head += bytes([n]) if n < 126 else b"\x7e" + n.to_bytes(2, "big") if n < 65536 else b"\x7f" + n.to_bytes(8, "big")
    return head + payload


def masked(payload, opcode=1, fin=True):
    return bytes([(0x80 if fin else 0) | opcode, 0x80 | len(payload)]) + bytes(4) + payload


ODD = {}  # path -> what is written behind the 101


def odd(r):
    """Octets of the test's choice; the path says which."""
    name = r.path.split("?")[0]
    if name == "/plain":
        r.answer(200, b'{"plain":true}')
        return
    r.close_connection = True
    if name == "/accept":
        switch(r, **{"Sec-WebSocket-Accept": accept("AAAAAAAAAAAAAAAAAAAAAA==")})
    elif name == "/other":
        switch(r, Upgrade="h2c")
    elif name == "/unnamed":
        switch(r, Connection=None)
    elif name == "/extension":
        switch(r, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
    elif name == "/protocol":
        switch(r, "Sec-WebSocket-Protocol: never-offered\r\n")
    elif name == "/head":
        switch(r, f"X-Token: {SECRET}\r\n")
    else:
        switch(r)
        for piece in ODD[name]:
            r.wfile.write(piece)
            r.wfile.flush()
        if name in ("/hold", "/half"):
            r.rfile.read(1)  # until somebody closes


@pytest.fixture(scope="module")
def site(prefix, ca, module_place):
    echo, hostile = Echo(), Upstream(odd)
    nginx = Nginx(module_place / "nginx", ca, SECRET, extra=f"""
    location /through/ {{
      proxy_pass http://127.0.0.1:{echo.port}/; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
    }}""")
    policies = module_place / "policies"
    policies.mkdir()
    lab = Lab(prefix, module_place / "aegis", ca=ca,
              gate=f"  max_body_size: {MAX_BODY}\n  websocket_idle: 3s\n  workers: 1\n"
                   f"  policies_dir: {policies}\n  policy_default: allow\n")
    lab.policy = policies / "ruled.yaml"
    lab.policy.write_text(POLICY.format("GET"))
    lab.init()

    def credential(name, port, *flags):
        lab.credential(name, name, SECRET, f"127.0.0.1:{port}", "--upstream",
                       f"http://127.0.0.1:{port}", "--allow-private", *flags)

    credential("ws", echo.port)
    credential("odd", hostile.port)
    credential("read", echo.port, "--scopes", "read")
    credential("getonly", echo.port, "--allow-methods", "GET")
    credential("paths", echo.port, "--allow-methods", "WEBSOCKET", "--allow-paths", "/echo")
    credential("few", echo.port, "--rate-limit", "1/hour")
    credential("block", echo.port, "--body-inspection", "block")
    credential("warn", echo.port, "--body-inspection", "warn")
    lab.credential("tls", "tls", SECRET, f"localhost:{nginx.tls}", "--upstream",
                   f"https://localhost:{nginx.tls}", "--allow-private")
    lab.names = ("ws", "odd", "read", "getonly", "paths", "few", "block", "warn", "tls")
    lab.start()
    lab.token = lab.agent("bot", *lab.names)
    lab.viewer = lab.json("operator", "token", "--name", "v", "--role", "readonly")["token"]
    lab.echo, lab.hostile = echo, hostile
    yield lab
    lab.stop()
    for part in (echo, hostile, nginx):
        part.stop()


def ws(lab, path, token=None, **kwargs):
    headers = {"X-Aegis-Agent": token or lab.token, **kwargs.pop("headers", {})}
    kwargs = {"max_size": None, "ping_interval": None, "close_timeout": 5, "compression": None, **kwargs}
    return connect(f"ws://127.0.0.1:{lab.port}{path}", additional_headers=headers,
                   proxy=None, **kwargs)


def until(what, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


def rows(lab, ident, n):
    return until(lambda: len(found := lab.rows_of(ident)) >= n and found)


def closed(connection, timeout=5):
    """What it still says, and the code and reason that end it."""
    said = []
    try:
        while True:
            said.append(connection.recv(timeout))
    except ConnectionClosed as e:
        return said, e.rcvd.code if e.rcvd else None, e.rcvd.reason if e.rcvd else None


def status(call):
    with pytest.raises(InvalidStatus) as e:
        call()
    return e.value.response


# ---- what passes ----

def test_text_and_binary_both_ways(site):
    big = os.urandom(1024 * 1024)
    with ws(site, "/ws/echo", subprotocols=["other", "chat"], compression="deflate") as c:
        assert c.subprotocol == "chat" and c.protocol.extensions == []
        for message in ("hello", "", "grüße" * 1000, b"", big, big.hex()[:1024 * 1024]):
            c.send(message)
            assert c.recv(10) == message
        c.send(iter(["in ", "three ", "pieces"]))
        assert c.recv(5) == "in three pieces"
        assert c.ping("still there?").wait(5)
        ident = c.response.headers["X-Aegis-Request-Id"]
    seen = site.echo.seen[-1]
    assert "sec-websocket-extensions" not in seen and "x-aegis-agent" not in seen
    assert until(lambda: site.echo.codes and site.echo.codes[-1] == 1000)
    decision, opened, end = rows(site, ident, 3)
    assert (decision["kind"], decision["decision"], decision["method"]) == ("decision", "allowed", "WEBSOCKET")
    assert (opened["kind"], opened["event"], opened["status"]) == ("system", "websocket.open", 101)
    assert (end["kind"], end["reason"], end["status"]) == ("completion", "ok", 101)
    assert end["bytes_in"] > 2 * len(big) and end["bytes_out"] > 2 * len(big)


def test_through_nginx_and_tls(site):
    with ws(site, "/tls/through/echo") as c:
        c.send(b"z" * 300000)
        assert c.recv(5) == b"z" * 300000


def test_nodes_own_client(site, cache):
    script = """
const ws = new WebSocket(process.argv[1], {headers: {'X-Aegis-Agent': process.argv[2]}})
ws.onopen = () => ws.send('x'.repeat(100000))
ws.onmessage = (m) => { console.log(m.data.length); ws.close(1000, 'done') }
ws.onclose = (e) => console.log(e.code, e.wasClean)
ws.onerror = (e) => { console.log('error', e.message); process.exit(1) }"""
    done = subprocess.run([cache / "bin" / "node", "-e", script,
                           f"ws://127.0.0.1:{site.port}/ws/echo", site.token],
                          capture_output=True, text=True, timeout=20)
    assert done.stdout == "100000\n1000 true\n", done.stdout + done.stderr


def test_many_at_once_and_metrics(site):
    def one(i):
        with ws(site, "/ws/echo") as c:
            for n in range(5):
                c.send(f"{i} {n}")
                assert c.recv(10) == f"{i} {n}"
            barrier.wait(10)
            shown.wait(10)
        return True

    barrier, shown = threading.Barrier(31), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        all_of_them = [pool.submit(one, i) for i in range(30)]
        barrier.wait(10)
        text = requests.get(site.url + "/_aegis/metrics", headers={"Authorization": f"Bearer {site.viewer}"}, timeout=5).text
        shown.set()
        assert all(f.result() for f in all_of_them)
    assert "aegis_websockets 30" in text.splitlines(), text


def test_the_upstreams_goodbye(site):
    with ws(site, "/ws/bye") as c:
        assert closed(c) == ([], 4001, "enough")
        ident = c.response.headers["X-Aegis-Request-Id"]
    assert rows(site, ident, 3)[-1]["reason"] == "ok"


def test_another_answer_is_an_ordinary_one(site):
    answer = status(lambda: ws(site, "/ws/no"))
    assert answer.status_code == 418 and b"teapot" in answer.body
    assert answer.headers["Connection"] == "close"


# ---- what does not ----

@pytest.mark.parametrize("path,kwargs,code,word", [
    ("/ws/echo", {"headers": {"X-Target-Host": "evil.example"}}, 403, "Domain"),
    ("/read/echo", {}, 403, "scopes"),
    ("/getonly/echo", {}, 403, "Method not permitted"),
    ("/paths/other", {}, 403, "Path not permitted"),
    ("/nosuch/echo", {}, 404, "No credential"),
    ("/ws/../echo", {}, 400, "traversal"),
    ("/ws/echo", {"token": "aegis_00000000-0000-4000-8000-000000000000_0000000000000000"}, 401, "token"),
])
def test_the_same_checks(site, path, kwargs, code, word):
    answer = status(lambda: ws(site, path, **kwargs))
    assert answer.status_code == code and word in json.loads(answer.body)["error"]
    assert site.rows_of(answer.headers["X-Aegis-Request-Id"])[0]["decision"] == "blocked"


def test_a_path_and_a_rate_that_allow_it(site):
    for service in ("paths", "few"):
        with ws(site, f"/{service}/echo") as c:
            c.send("x")
            assert c.recv(5) == "x"
    answer = status(lambda: ws(site, "/few/echo"))
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0


def test_policies(site):
    """GET does not mean a WebSocket; a policy that changes closes what it no longer allows."""
    token = site.agent("ruled", "ws")
    answer = status(lambda: ws(site, "/ws/echo", token))
    assert answer.status_code == 403 and json.loads(answer.body)["violation"] == "method"
    site.policy.write_text(POLICY.format("WEBSOCKET"))
    site.aegis("policy", "reload")
    assert status(lambda: ws(site, "/ws/other", token)).status_code == 403
    with ws(site, "/ws/echo", token) as c, ws(site, "/ws/echo", token) as d:
        assert status(lambda: ws(site, "/ws/echo", token)).status_code == 429
        d.send("x")
        assert d.recv(5) == "x"
        site.policy.write_text(POLICY.format("GET"))
        site.aegis("policy", "reload")
        assert closed(c)[1] == closed(d)[1] == 1008


HANDSHAKE = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade",
             "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def raw(lab, line="GET /ws/echo HTTP/1.1", behind=b"", **change):
    fields = dict(HANDSHAKE, **{"X-Aegis-Agent": lab.token}, **{k.replace("_", "-"): v for k, v in change.items()})
    s = socket.create_connection(("127.0.0.1", lab.port), 10)
    head = "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v is not None)
    s.sendall(f"{line}\r\n{head}\r\n".encode() + behind)
    return s


def everything(s):
    got = b""
    try:
        while piece := s.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


@pytest.mark.parametrize("change,code", [
    ({"line": "POST /ws/echo HTTP/1.1"}, 400),
    ({"line": "GET /ws/echo HTTP/1.0"}, 400),
    ({"Content_Length": "3", "behind": b"abc"}, 400),
    ({"Transfer_Encoding": "chunked", "behind": b"0\r\n\r\n"}, 400),
    ({"Upgrade": None}, 426),
    ({"Upgrade": "websocket, h2c"}, 426),
    ({"Connection": "keep-alive"}, 426),
    ({"Sec_WebSocket_Version": "8"}, 426),
    ({"Sec_WebSocket_Version": None}, 426),
    ({"Sec_WebSocket_Key": None}, 400),
    ({"Sec_WebSocket_Key": "c2hvcnQ="}, 400),
    ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ"}, 400),
])
def test_a_handshake_is_right_or_refused(site, change, code):
    before = len(site.echo.seen)
    got = everything(raw(site, **change))
    head, _, body = got.partition(b"\r\n\r\n")
    assert int(head.split()[1]) == code, got
    assert json.loads(body)["detail"] and b"\r\nConnection: close" in head
    if code == 426:
        assert b"Sec-WebSocket-Version: 13" in head and b"Upgrade: websocket" in head
    assert len(site.echo.seen) == before and got.count(b"HTTP/1.1 4") == 1


def test_what_stands_behind_the_handshake_is_no_request(site):
    """Whether it is switched or not: nothing before the answer, nothing after another answer."""
    smuggled = f"GET /odd/plain HTTP/1.1\r\nHost: x\r\nX-Aegis-Agent: {site.token}\r\n\r\n".encode()
    for line in ("GET /ws/echo HTTP/1.1", "GET /ws/no HTTP/1.1", "GET /odd/accept HTTP/1.1"):
        got = everything(raw(site, line, behind=smuggled))
        assert got.count(b"HTTP/1.1 ") == 1 and b"plain" not in got, got
        assert int(got.split()[1]) == 400


def test_other_upgrades_are_not_offered(site):
    answer = requests.get(site.url + "/odd/plain", timeout=5, headers={
        "X-Aegis-Agent": site.token, "Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings",
        "HTTP2-Settings": "AAMAAABk"})
    assert answer.json() == {"plain": True}


def test_a_101_that_nobody_asked_for(site):
    ODD["/unasked"] = []
    answer = requests.get(site.url + "/odd/unasked", timeout=5, headers={"X-Aegis-Agent": site.token})
    assert answer.status_code == 502 and "switched" in answer.text


@pytest.mark.parametrize("path", ["accept", "other", "unnamed", "extension", "protocol", "head"])
def test_a_101_that_is_wrong(site, path):
    answer = status(lambda: ws(site, f"/odd/{path}"))
    assert answer.status_code == 502, answer
    assert SECRET.encode() not in answer.body + str(answer.headers).encode()


# ---- frames ----

@pytest.mark.parametrize("name,octets,code", [
    ("reserved", frame(b"x", first=0xc1), 1011),
    ("opcode", frame(b"x", 3), 1011),
    ("masked", b"\x81\x81abcdx", 1011),
    ("length", b"\x81\x7e\x00\x01x", 1011),
    ("continuation", frame(b"x", 0), 1011),
    ("nested", frame(b"x", 1, False) + frame(b"y", 1), 1011),
    ("control", frame(b"x", 9, False), 1011),
    ("eof", b"", 1011),
    ("cut", b"\x81\x05ab", 1011),
])
def test_frames_of_a_hostile_upstream(site, name, octets, code):
    ODD[f"/{name}"] = [frame(b"good"), octets]
    with ws(site, f"/odd/{name}") as c:
        said, got, _ = closed(c)
        ident = c.response.headers["X-Aegis-Request-Id"]
    assert said == ["good"] and got == code
    assert rows(site, ident, 3)[-1]["reason"] == "upstream_broken"


@pytest.mark.parametrize("octets,code", [
    (b"\x81\x01x", 1002),                                             # not masked
    (b"\xc1\x81abcdx", 1002),                                         # a reserved bit
    (b"\x89\xfe\x00\x80abcd" + b"x" * 128, 1002),                     # a long ping
    (b"\x80\x81abcdx", 1002),                                         # a continuation of nothing
    (b"\x82\xff" + (MAX_BODY + 1).to_bytes(8, "big") + b"abcd", 1009),  # more than allowed
])
@pytest.mark.parametrize("service", ["ws", "block"])
def test_frames_of_a_hostile_agent(site, octets, code, service):
    s = raw(site, f"GET /{service}/echo HTTP/1.1")
    while b"\r\n\r\n" not in s.recv(65536):
        pass
    s.sendall(octets)
    got = everything(s)
    assert got[:1] == b"\x88" and int.from_bytes(got[2:4], "big") == code, got
    assert until(lambda: site.echo.codes and site.echo.codes.pop() == 1001)


def test_the_secret_is_withheld(site):
    """In every spelling, however it is cut into frames and pieces, in text and binary."""
    spelled = {n: f for n, f in forms(SECRET).items() if n not in ("utf-16", "reversed")}
    for i, (name, form) in enumerate(spelled.items()):
        text = b"before " + form + b" after"
        at = 7 + len(form) // 2
        bad = {
            "whole": [frame(text)],
            "fragments": [frame(text[:at], 2, False), frame(b"ping", 9), frame(text[at:], 0)],
            "octets": [frame(text[:1], 1, False)] + [frame(text[j:j + 1], 0, False) for j in range(1, len(text))],
            "messages": [frame(text[:at], 2) + frame(text[at:], 2)],
        }
        for way in ("whole", "messages") if i else bad:
            ODD["/hold"] = [frame(b"good"), *bad[way]]
            with ws(site, "/odd/hold") as c:
                said, code, reason = closed(c)
            assert (said[0], code) == ("good", 1008), (name, way, said)
            got = b"".join(m.encode() if isinstance(m, str) else m for m in said)
            assert form not in got and form[at - 7:] not in got, (name, way)
    for octets in (frame(SECRET.encode(), 9), frame(b"\x03\xe8" + SECRET.encode(), 8)):
        ODD["/hold"] = [octets]
        with ws(site, "/odd/hold") as c:
            assert closed(c)[1] == 1008
            ident = c.response.headers["X-Aegis-Request-Id"]
    assert rows(site, ident, 3)[-1]["reason"] == "secret_echoed"


def test_what_could_begin_the_secret_waits_for_its_rest(site):
    half = SECRET[:12].encode()
    ODD["/half"] = [frame(b"a" + half, 1, False)]
    s = raw(site, "GET /odd/half HTTP/1.1")
    got = b""
    while not got.endswith(b"\x01\x01a"):
        got += s.recv(65536)
    s.settimeout(0.3)
    with pytest.raises(TimeoutError):
        s.recv(1)
    s.close()


# ---- the inspector ----

@pytest.mark.parametrize("pieces", [
    [f"take {KEY} please"],
    ["take " + KEY[:9], KEY[9:] + " please"],
    list(f"a {KEY} b"),
    [json.dumps({"key": f"\u0001{KEY}"})],
    [f"take {KEY}".encode()],
])
def test_the_inspector_blocks_messages(site, pieces):
    with ws(site, "/block/echo") as c:
        c.send("hello")
        assert c.recv(5) == "hello"
        seen = len(site.echo.codes)
        with contextlib.suppress(ConnectionClosed):  # before the last piece, perhaps
            c.send(iter(pieces) if len(pieces) > 1 else pieces[0])
        said, code, reason = closed(c)
        ident = c.response.headers["X-Aegis-Request-Id"]
    assert (said, code) == ([], 1008) and "credential" in reason
    until(lambda: len(site.echo.codes) > seen)
    assert KEY not in json.dumps(rows(site, ident, 3))


def finding(lab, service):
    """The row about a message with a key. A gate has twenty such rows a second, and tests are quick."""
    def look():
        with ws(lab, f"/{service}/echo") as c:
            c.send(KEY)
            said = closed(c) if service == "block" else c.recv(5)
        found = rows(lab, c.response.headers["X-Aegis-Request-Id"], 3)
        return said, [r["event"] for r in found if "event" in r and r["event"].startswith("body.")]
    return until(lambda: (got := look())[1] and got)


def test_what_the_inspector_finds_is_a_row(site):
    said, events = finding(site, "block")
    assert said[:2] == ([], 1008) and events == ["body.blocked"]
    assert finding(site, "warn") == (KEY, ["body.warned"])


def test_the_inspector_looks_at_control_frames(site):
    """And one inside a message does not hide what the message says."""
    for send in (lambda c: c.ping(KEY), lambda c: c.close(4000, KEY),
                 lambda c: c.socket.sendall(masked(KEY[:9].encode(), 1, False) + masked(b"ping", 9)
                                            + masked(KEY[9:].encode(), 0))):
        with ws(site, "/block/echo") as c:
            send(c)
            assert closed(c)[1] == 1008


def test_the_inspector_lets_the_rest_pass(site):
    big = os.urandom(200000)
    with ws(site, "/block/echo") as c:
        for message in ("x", "", "word " * 60000, "y" * 100000, big):
            c.send(message)
            assert c.recv(10) == message
        c.send(iter(["ghp_", "no", "thing"]))
        assert c.recv(5) == "ghp_nothing"


# ---- limits and ends ----

def test_too_large_a_message(site):
    with ws(site, "/ws/echo") as c:
        with contextlib.suppress(ConnectionClosed):
            c.send(iter([b"x" * MAX_BODY, b"y"]))
        assert closed(c)[1] == 1009
        ident = c.response.headers["X-Aegis-Request-Id"]
    assert rows(site, ident, 3)[-1]["reason"] == "too_large"


def test_idle(site):
    """Silence ends it, a ping does not."""
    with ws(site, "/ws/echo") as silent, ws(site, "/ws/echo") as busy:
        began = time.monotonic()
        while time.monotonic() < began + 3.3:
            assert busy.ping().wait(2)
            time.sleep(0.2)
        assert closed(silent)[1:] == (1001, "idle")
        busy.send("here")
        assert busy.recv(5) == "here"


def rss(lab, title):
    return sum(int(line.split()[1]) for p in lab.pids(title)
               for line in open(f"/proc/{p}/status") if line.startswith("VmRSS"))


def test_a_slow_reader_costs_no_memory(site):
    s = raw(site, "GET /ws/flood HTTP/1.1")
    s.recv(1000)
    before, sent = (rss(site, "gated"), rss(site, "egressd: worker ws")), -1
    while sent != site.echo.sent:  # until everything in between is full
        sent = site.echo.sent
        time.sleep(0.1)
    assert sent < 32 * 1024 * 1024
    assert rss(site, "gated") < before[0] + 16384 and rss(site, "egressd: worker ws") < before[1] + 16384
    taken = 0
    while taken < 16 * 1024 * 1024:
        taken += len(s.recv(1 << 20))
    assert site.echo.sent > sent
    s.close()
    assert until(lambda: site.echo.codes[-1:] == [1006] or site.echo.codes[-1:] == [1001])


def test_an_agent_that_dies(site):
    seen = len(site.echo.codes)
    s = raw(site)
    head = s.recv(65536)
    ident = head.lower().split(b"x-aegis-request-id: ")[1][:32].decode()
    s.close()
    until(lambda: len(site.echo.codes) > seen)
    assert rows(site, ident, 3)[-1]["reason"] == "agent_gone"


def test_revoked_while_open(site):
    """Whatever it was judged by: once it is gone, so is the WebSocket, within a second or so."""
    tokens = {act: site.agent(f"a-{act}", "ws") for act in ("regenerate", "remove", "revoke", "run", "stays")}
    run = subprocess.Popen([str(site.bin), "run", "--agent", "a-run", "--", "sh", "-c",
                            "echo $AEGIS_AGENT_TOKEN; read line"], env=site.env, cwd=site.dir,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    tokens["run"] = run.stdout.readline().strip()
    with contextlib.ExitStack() as stack:
        c = {act: stack.enter_context(ws(site, "/ws/echo", token=t)) for act, t in tokens.items()}
        for act in ("regenerate", "remove"):
            site.aegis("agent", act, "--name", f"a-{act}")
        site.aegis("agent", "revoke", "--agent", "a-revoke", "--credential", "ws")
        run.communicate("\n", 10)
        for act in ("regenerate", "remove", "revoke", "run"):
            assert closed(c[act])[1:] == (1008, "no longer allowed"), act
            assert rows(site, c[act].response.headers["X-Aegis-Request-Id"], 3)[-1]["reason"] == "closed"
        c["stays"].send("x")
        assert c["stays"].recv(5) == "x"


def test_a_credential_that_changes(site):
    with ws(site, "/ws/echo") as c:
        c.send("x")
        assert c.recv(5) == "x"
        site.aegis("vault", "rotate", "--name", "ws", "--secret-stdin", stdin=SECRET)
        assert closed(c)[1] == 1012
    with ws(site, "/ws/echo") as c:
        c.send("y")
        assert c.recv(5) == "y"


def test_a_worker_that_dies(site):
    with ws(site, "/ws/echo") as c:
        ident = c.response.headers["X-Aegis-Request-Id"]
        os.kill(site.pids("egressd: worker ws")[0], signal.SIGKILL)
        assert closed(c)[1] is None
    assert rows(site, ident, 3)[-1]["reason"] == "lost"


def works(lab):
    try:
        with ws(lab, "/ws/echo") as c:
            c.send("z")
            return c.recv(5) == "z"
    except InvalidStatus:
        return False


def test_a_judge_that_dies(site):
    with ws(site, "/ws/echo") as c:
        os.kill(site.pids("keymasterd: judge")[0], signal.SIGKILL)
        assert closed(c)[1] == 1012
    until(lambda: works(site), 10)


def test_a_vault_that_is_sealed(site):
    shares = site.json("vault", "split", "-t", "2", "-s", "2")["shares"]
    with ws(site, "/ws/echo") as c:
        site.aegis("vault", "seal")
        assert closed(c)[1] is None  # who holds a secret ends at once, without a word
    assert status(lambda: ws(site, "/ws/echo")).status_code == 503
    site.aegis("vault", "unseal", stdin="\n".join(shares) + "\n")
    until(lambda: works(site), 10)


def test_the_gate_stops(site):
    """The last test: with a Close, not with a reset."""
    with ws(site, "/ws/echo") as c, ws(site, "/block/echo") as d:
        c.send("x")
        assert c.recv(5) == "x"
        site.process.send_signal(signal.SIGTERM)
        assert closed(c)[1] == 1001 and closed(d)[1] == 1001
    began = time.monotonic()
    site.stop()
    assert time.monotonic() < began + 5

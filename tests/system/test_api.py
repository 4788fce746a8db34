# SPDX-License-Identifier: Apache-2.0
"""The data API and its feed: a process of its own, on loopback, for who may; and slow
readers and strangers' pages get nothing."""

import contextlib
import json
import os
import re
import signal
import socket
import time

import ledgerdb
import procs
import pytest
import requests
from lab import Lab, Nginx, free_port
from test_operator import Provider
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

PATIENCE = 8


@pytest.fixture(scope="module")
def lab(prefix, module_place, ca):
    nginx = Nginx(module_place / "nginx", ca, "the-key")
    provider = Provider(module_place / "operators.json")
    lab = Lab(prefix, module_place / "lab", ca=ca, gate="  workers: 1", extra=f"""\
operators:
  jwks_file: {module_place}/operators.json
  issuer: https://login.example/realms/aegis
""")
    lab.provider = provider
    lab.api_port = free_port()
    lab.api = f"http://127.0.0.1:{lab.api_port}"
    lab.text = lab.text.replace(
        "observability:\n",
        f"observability:\n  dashboard:\n    enabled: true\n    port: {lab.api_port}\n")
    lab.init().start()
    lab.credential("web-key", "web", "the-key", "localhost", "--upstream",
                   f"https://localhost:{nginx.tls}", "--allow-private", "--rate-limit", "900/min")
    lab.credential("second", "second", "s", "b.example,a.example", "--ttl", "3", "--scopes", "read")
    lab.agent("other")
    lab.token = lab.agent("asker", "web-key")
    lab.tokens = {r: lab.json("operator", "token", "--name", r, "--role", r)["token"]
                  for r in ("readonly", "operator", "admin")}
    yield lab
    lab.stop()
    nginx.stop()


def call(lab, method, path, **headers):
    return requests.request(method, lab.url + path, timeout=10,
                            headers={"x-aegis-agent": lab.token, **headers})


def get(lab, path, role="admin", **kw):
    headers = {"authorization": f"Bearer {lab.tokens.get(role, role)}"} if role else {}
    return requests.get(lab.api + path, timeout=10, headers={**headers, **kw.pop("headers", {})}, **kw)


def test_a_process_of_its_own(lab):
    """As the kernel tells it: its box, its user, and what it holds."""
    found = procs.by_role(lab)
    (pid,) = found["api"]
    status, nothing = procs.status(pid), "0" * 16
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    for caps in ("CapEff", "CapPrm", "CapInh", "CapAmb") + (("CapBnd",) if os.getuid() == 0 else ()):
        assert status[caps] == nothing, caps
    if os.getuid() == 0:
        uids = {tuple(procs.status(p)["Uid"].split()) for r in ("api", "gate", "judge") for p in found[r]}
        assert len(uids) == 3 and not [u for u in uids if "0" in u or len(set(u)) != 1]
        assert status["Groups"].strip() == ""
    held = set(re.sub(r":\[\d+\]$", "", what) for what in procs.descriptors(pid).values())
    assert held <= {"socket", "pipe", "anon_inode:[eventpoll]", "anon_inode:[eventfd]", "/dev/null",
                    str(lab.log)}, held
    assert not procs.environ(pid) and not [m for m in procs.maps(pid) if "w" in m[0] and "x" in m[0]]
    with socket.create_connection(("127.0.0.1", lab.api_port)):
        pass
    # it serves agents nothing, and the gate serves people nothing
    assert get(lab, "/web/a").status_code == 404
    assert call(lab, "GET", "/api/health").status_code == 404


def test_lists(lab):
    health = get(lab, "/api/health", "readonly").json()
    assert health["status"] == "ok" and health["gate"] == {"running": True, "port": lab.port}
    creds = {c["name"]: c for c in get(lab, "/api/credentials", "readonly").json()}
    assert creds["web-key"]["rateLimit"] == "900/min" and creds["web-key"]["authType"] == "bearer"
    assert creds["second"]["domains"] == ["b.example", "a.example"]
    assert creds["second"]["scopes"] == ["read"] and creds["second"]["expiresAt"].endswith("Z")
    assert "the-key" not in json.dumps(creds)
    agents = {a["name"]: a for a in get(lab, "/api/agents", "operator").json()}
    assert agents["asker"]["grants"] == [creds["web-key"]["id"]] and agents["other"]["grants"] == []
    assert lab.token.startswith(agents["asker"]["tokenPrefix"])
    assert lab.token not in json.dumps(agents)
    assert get(lab, "/api/users").json() == []
    r = get(lab, "/api/credentials?limit=1&offset=1")
    assert len(r.json()) == 1 and r.headers["x-aegis-total"] == "2"
    assert get(lab, "/api/credentials?limit=x").status_code == 400
    assert set(get(lab, "/api/stats").json()) == {"total", "allowed", "blocked", "system", "byService"}


def test_requests(lab):
    call(lab, "GET", "/web/quote%22d?x=1")
    for i in range(7):
        call(lab, "GET", f"/nobody/{i}")
    end = time.monotonic() + PATIENCE
    while True:
        rows = get(lab, "/api/requests?limit=500").json()
        mine = [r for r in rows if r.get("service") == "web"]
        if mine and "responseCode" in mine[0]:
            break
        assert time.monotonic() < end
    assert [r["id"] for r in rows] == sorted((r["id"] for r in rows), reverse=True)
    row = mine[0]
    assert row["status"] == "allowed" and row["responseCode"] == 200 and row["durationUs"] > 0
    assert row["agentName"] == "asker" and row["credentialName"] == "web-key"
    assert row["channel"] == "gate" and row["method"] == "GET" and row["targetDomain"].startswith("localhost:")
    assert lab.token.startswith(row["agentTokenPrefix"])
    blocked = get(lab, "/api/requests?status=blocked&service=nobody&limit=3")
    assert [r["path"] for r in blocked.json()] == ["/6", "/5", "/4"]
    assert blocked.json()[0]["responseCode"] == 404 and blocked.json()[0]["blockedReason"]
    rest = get(lab, f"/api/requests?status=blocked&service=nobody&before={blocked.headers['x-aegis-next']}")
    assert [r["path"] for r in rest.json()] == ["/3", "/2", "/1", "/0"]
    assert {r["event"] for r in get(lab, "/api/requests?agent=other").json()} == {"agent.add"}
    assert {r["status"] for r in get(lab, "/api/requests?status=system").json()} == {"system"}
    for bad in ("limit=501", "limit=-1", "status=odd", "since=yesterdayish", "before=x"):
        assert get(lab, "/api/requests?" + bad).status_code == 400, bad


def test_a_ledger_that_cannot_be_read(lab):
    """Refused in a later turn than it was asked in: there is a row all the same."""
    assert call(lab, "GET", "/nobody/unread").status_code == 404
    with open(ledgerdb.files(lab)[-1], "r+b", buffering=0) as f:
        octets = f.read()
        at = octets.rindex(b"\n", 0, octets.rindex(b"/unread")) + 1
        was = octets[at:at + 1]
        os.pwrite(f.fileno(), b"!", at)
        try:
            seen = [get(lab, path).status_code for path in ("/api/stats", "/api/requests")]
        finally:
            os.pwrite(f.fileno(), was, at)
    assert seen == [503, 503]
    rows = [r for r in lab.ledger() if r.get("status") == 503]
    assert [(r["path"], r["operator"], r["decision"], r["reason"]) for r in rows] == [
        (path, "admin", "blocked", "The ledger could not be read") for path in ("/api/stats", "/api/requests")]
    assert get(lab, "/api/requests").ok and get(lab, "/api/stats").ok


def test_who_may(lab):
    paths = {"/api/health": "readonly", "/api/stats": "readonly", "/api/credentials": "readonly",
             "/api/requests": "readonly", "/api/agents": "operator", "/api/users": "admin",
             "/_aegis/metrics": "readonly", "/_aegis/stats": "readonly"}
    roles = ["readonly", "operator", "admin"]
    for path, least in paths.items():
        for role in roles:
            want = 200 if roles.index(role) >= roles.index(least) else 403
            assert get(lab, path, role).status_code == want, (path, role)
        for token in (None, "nonsense", lab.token, "aegis_user_x_y"):
            assert get(lab, path, token).status_code == 401, (path, token)
    # errors are as there: {"error": text}
    missing = get(lab, "/api/nothing")
    assert missing.status_code == 404 and missing.json() == {"error": "There is nothing at this path"}
    for r in (get(lab, "/api/stats", None), get(lab, "/api/users", "readonly"),
              get(lab, "/api/requests?limit=x"), call(lab, "GET", "/_aegis/stats"),
              get(lab, "/api/health", headers={"host": "evil.example"})):
        assert list(r.json()) == ["error"] and isinstance(r.json()["error"], str), r.text
    assert requests.post(lab.api + "/api/stats", timeout=10, json={}).status_code == 405
    assert [r for r in lab.ledger() if r.get("operator") == "readonly" and r["status"] == 403]


def test_pages_of_strangers(lab):
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"},
                    {"host": f"evil.example:{lab.api_port}"}):
        r = get(lab, "/api/health", headers=headers)
        assert r.status_code == 403 and "access-control-allow-origin" not in r.headers
    assert get(lab, "/api/health", headers={"origin": f"http://localhost:{lab.api_port}"}).ok
    assert requests.options(lab.api + "/api/health", timeout=10).status_code == 405


def feed(lab, role="readonly", **kw):
    return connect(f"ws://127.0.0.1:{lab.api_port}/ws", open_timeout=10, additional_headers={
        "authorization": f"Bearer {lab.tokens.get(role, role)}"}, **kw)


def row_of(ws, **want):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        row = json.loads(ws.recv(timeout=PATIENCE))
        if all(row.get(k) == v for k, v in want.items()):
            return row
    raise TimeoutError(want)


def test_feed(lab):
    with feed(lab) as ws, feed(lab, "admin") as second:
        r = call(lab, "GET", "/web/live")
        rid = r.headers["x-aegis-request-id"]
        row = row_of(ws, requestId=rid, status="allowed")
        assert row["path"] == "/live" and row["agentName"] == "asker"
        assert row_of(ws, requestId=rid, status="completed")["responseCode"] == 200
        assert row_of(second, requestId=rid, status="allowed") == row
        call(lab, "GET", "/nobody/live")
        assert row_of(ws, status="blocked", path="/live")["code"] == "no_credential"
        ws.ping().wait(PATIENCE)
    # a browser shows its token as a subprotocol, and gets the other one back
    with connect(f"ws://127.0.0.1:{lab.api_port}/ws",
                 subprotocols=["aegis.v1", "bearer." + lab.tokens["readonly"]]) as ws:
        assert ws.subprotocol == "aegis.v1"
        call(lab, "GET", "/nobody/browser")
        row_of(ws, path="/browser")


def test_feed_refused(lab):
    for token in ("nonsense", lab.token):
        with pytest.raises(InvalidStatus) as e:
            feed(lab, token)
        assert e.value.response.status_code == 401
    with pytest.raises(InvalidStatus) as e:
        feed(lab, origin="https://evil.example")
    assert e.value.response.status_code == 403
    assert get(lab, "/ws").status_code == 400
    with feed(lab) as ws:
        with pytest.raises(ConnectionClosed):
            ws.send("x" * 100000)
            ws.recv(timeout=PATIENCE)


def upgrade(lab, role):
    return (f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Authorization: Bearer {lab.tokens[role]}\r\n\r\n").encode()


def handshake(lab, role):
    s = socket.create_connection(("127.0.0.1", lab.api_port))
    s.sendall(upgrade(lab, role))
    return s


def feeds_open(lab):
    return int(get(lab, "/_aegis/metrics").text.split('aegis_api_feeds{process="api",name=""} ')[1].split()[0])


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def connections(port):
    """Those to this port of loopback that its owner has not closed."""
    lines = [line.split() for line in open("/proc/net/tcp").read().splitlines()[1:]]
    return [x for x in lines if x[1] == f"0100007F:{port:04X}" and x[3] in ("01", "08")]


def feed_soon(lab):
    """The judge hears a moment later that others are closed."""
    end = time.monotonic() + 10
    while True:
        try:
            return feed(lab)
        except InvalidStatus as e:
            assert e.response.status_code == 429 and time.monotonic() < end
        time.sleep(0.05)


def test_feeds_that_nobody_waits_for(lab):
    """Whoever leaves before the judge has answered leaves no feed behind."""
    (judge,) = lab.pids("keymasterd: judge")
    os.kill(judge, signal.SIGSTOP)
    try:
        for s in [handshake(lab, "readonly") for _ in range(8)]:
            s.close()
        until(lambda: not connections(lab.api_port))
    finally:
        os.kill(judge, signal.SIGCONT)
    with feed_soon(lab) as ws:
        call(lab, "GET", "/nobody/still")
        row_of(ws, path="/still")
        assert feeds_open(lab) == 1


def test_feeds_of_one_user(lab):
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(feed(lab))
        with pytest.raises(InvalidStatus) as e:
            feed(lab)
        assert e.value.response.status_code == 429 and e.value.response.headers["retry-after"]
        with feed(lab, "operator") as ws:
            call(lab, "GET", "/nobody/other")
            row_of(ws, path="/other")
    with feed_soon(lab):  # theirs are closed, so there is room
        pass


def test_feed_ends_with_its_token(lab):
    """An operator's token: it expires, or is revoked, and the others' feeds go on."""
    with feed(lab) as other:
        with feed(lab, lab.provider.token(exp=int(time.time()) + 2)) as ws:
            assert closed(ws) == (1001, "show the token again")
        made = lab.json("operator", "token", "--name", "taken", "--role", "admin")
        with feed(lab, made["token"]) as ws:
            lab.aegis("operator", "revoke", "--name", "taken")
            assert closed(ws) == (1008, "the token does not count any more")
        assert row_of(other, event="operator.revoke")
    numbers = get(lab, "/_aegis/metrics").text
    for reason in ("expired", "revoked"):
        assert f'aegis_api_feeds_cut_total{{process="api",name="",reason="{reason}"}} 1' in numbers


def closed(ws):
    """How it was closed, which came before any row about that."""
    end = time.monotonic() + PATIENCE
    with pytest.raises(ConnectionClosed) as e:
        while time.monotonic() < end:
            row = json.loads(ws.recv(timeout=PATIENCE))
            assert row.get("event") not in ("operator.revoke", "user.role", "user.remove",
                                            "user.regenerate"), row
    return e.value.rcvd.code, e.value.rcvd.reason


def rss(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * 4096


def test_slow_reader_is_cut(lab):
    """It reads nothing; what is kept for it is bounded, and others get everything."""
    (pid,) = lab.pids("gated: api")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", lab.api_port))
    s.sendall(upgrade(lab, "readonly"))
    hello = s.recv(1000)
    assert b" 101 " in hello, (hello, lab.log.read_text()[-1500:])
    before = rss(pid)
    session = requests.Session()
    end = time.monotonic() + 4 * PATIENCE

    def cut():
        return 'aegis_api_feeds_cut_total{process="api",name="",reason="slow"} 1' in \
            get(lab, "/_aegis/metrics").text
    with feed(lab, max_queue=None) as reader:
        n = 0
        while not cut():
            assert time.monotonic() < end
            for _ in range(200):
                n += 1
                session.get(lab.url + f"/nobody/{n}?" , timeout=10, headers={
                    "x-aegis-agent": lab.token, "x-pad": "p"})
                session.get(lab.url + "/nobody/" + "long" * 500, timeout=10,
                            headers={"x-aegis-agent": lab.token})
            assert rss(pid) - before < 16 << 20
        row_of(reader, path=f"/{n}")
    s.close()


def test_requests_far_back(lab):
    """What many rows lie in front of is found page by page."""
    call(lab, "GET", "/web/live")
    session = requests.Session()
    for i in range(300):
        session.get(f"{lab.url}/nobody/{i}", timeout=10, headers={"x-aegis-agent": lab.token})
    page, found, pages = get(lab, "/api/requests?service=web&limit=500"), [], 1
    while True:
        found += page.json()
        if "x-aegis-next" not in page.headers:
            break
        page = get(lab, f"/api/requests?service=web&limit=500&before={page.headers['x-aegis-next']}")
        pages += 1
    ids = [r["id"] for r in found]
    assert ids == sorted(ids, reverse=True) and max(ids) < get(lab, "/api/requests").json()[0]["id"] - 256
    assert {r["path"] for r in found if r["status"] == "allowed"} >= {"/live"}, pages


# -- logs --

OF_A_REQUEST = ("gate.answer", "gate.alone", "judge.silent", "worker.request", "address.refused",
                "domain.refused", "access.refused", "grant.refused", "secret.echoed", "ledger.row")
NASTY = '/nobody/%0a%0d"event=fake level=error\\u001b[31m'


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_log_format(prefix, place, form):
    """observability.log_format is obeyed by every process; a line is one event, whatever
    agents send; a request's number stands in the lines about it."""
    lab = Lab(prefix, place / form, gate="  workers: 1", log_level="debug")
    lab.text = lab.text.replace("log_format: logfmt", f"log_format: {form}")
    lab.init().start()
    try:
        with socket.create_connection(("127.0.0.1", lab.port)) as s:
            s.sendall(f"GET {NASTY.replace(' ', '')} HTTP/1.1\r\nHost: x\r\nX-A: \x1b[31m\r\n\r\n".encode())
            s.recv(100)
        call(lab_with(lab), "GET", "/nobody/x")
        lab.credential("c", "svc", "s", "localhost", "--upstream", "http://localhost:1", "--allow-private")
        token = lab.agent("a", "c")
        r = requests.get(lab.url + "/svc/x", timeout=10, headers={"x-aegis-agent": token})
        assert r.status_code == 502
        away = r.headers["x-aegis-request-id"]
        assert [x["kind"] for x in lab.rows_of(away)] == ["decision", "completion"]
        lab.credential("d", "guarded", "s", "localhost", "--upstream", "http://localhost:1")
        lab.aegis("agent", "grant", "--agent", "a", "--credential", "d")
        r = requests.get(lab.url + "/guarded/x", timeout=10, headers={"x-aegis-agent": token})
        guarded = r.headers["x-aegis-request-id"]
    finally:
        lab.stop()
    lines = [x for x in lab.log.read_bytes().split(b"\n") if x and b"is ready on" not in x]
    roles, events, requests_seen, answers = set(), set(), {}, []
    for line in lines:
        assert not [c for c in line if c < 0x20 or c == 0x7f], line
        if form == "json":
            fields = json.loads(line)
        else:
            assert line.startswith(b"ts="), line
            fields = dict(f.split("=", 1) for f in line.decode().split(" ") if "=" in f)
        assert {"ts", "level", "role", "pid", "event"} <= set(fields), line
        roles.add(fields["role"])
        events.add(fields["event"])
        if "request" in fields:
            requests_seen.setdefault(fields["request"], []).append((fields["role"], fields["event"]))
        else:
            assert fields["event"] not in OF_A_REQUEST, line
        if fields["event"] == "gate.answer":
            answers.append(fields["request"])
    # one request through everybody's lines, by what its answer said
    assert sorted(requests_seen[away]) == [("gate", "gate.answer"), ("judge", "ledger.row"),
                                           ("judge", "ledger.row"), ("worker", "worker.request")]
    assert ("worker", "address.refused") in requests_seen[guarded]
    assert len(answers) == len(set(answers)) == 4
    assert roles >= {"master", "gate", "judge", "vault", "dispatcher", "worker", "toolhost"}
    assert "fake" not in events


def lab_with(lab):
    lab.token = "aegis_none"
    return lab


def test_feed_ends_with_its_user(lab):
    """Another role, another token, no user any more: each ends the feed. Last but one, since
    from now on the command line takes a token."""
    boss = lab.json("user", "add", "--name", "boss", "--role", "admin")["token"]
    lab.env["AEGIS_USER_TOKEN"] = boss
    token = lab.json("user", "add", "--name", "reader", "--role", "viewer")["token"]
    with feed(lab, boss) as other:
        for act in (["role", "--role", "operator"], ["regenerate-token"], ["remove", "--confirm"]):
            with feed(lab, token) as ws:
                made = lab.aegis("user", act[0], "--name", "reader", *act[1:], "--json")
                assert closed(ws) == (1008, "the token does not count any more"), act
            assert row_of(other, event="user." + act[0].split("-")[0])
            token = json.loads(made.stdout)["token"] if act[0] == "regenerate-token" else token
        with pytest.raises(InvalidStatus) as e:
            feed(lab, token)
        assert e.value.response.status_code == 401


def test_everything_listens_on_loopback(lab):
    inodes = set()
    for pid in lab.children():
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if link.startswith("socket:["):
                inodes.add(link[8:-1])
    bound = set()
    for name, loopback in (("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")):
        for line in open(f"/proc/net/{name}").read().splitlines()[1:]:
            local, state, inode = line.split()[1], line.split()[3], line.split()[9]
            if state == "0A" and inode in inodes:
                assert local.split(":")[0] == loopback, line
                bound.add(int(local.split(":")[1], 16))
    assert bound == {lab.port, lab.api_port}

# SPDX-License-Identifier: Apache-2.0
"""Somebody has taken over a gate: they have its doors and whatever agents send, and the
judge, vault, workers and toolhost are the real ones. Nothing that they try gets them a
request that was not judged, another credential, or a secret; each try is in the ledger;
and the daemons live on."""

import hashlib
import json
import os
import random
import select
import socket
import threading
import time

import proto
import pytest
from memory import forms
from proto import MESSAGES, OUTCOMES, ROLES, UNKNOWN_LEN, VERDICTS, encode, frame
from puppet import MASTER_KEY, memfd
from realm import SECRETS, VARIABLE, Realm
from samples import REQID, least

REACHABLE = ("JUDGE", "TOOLHOST", "WORKER")
MUTATIONS = 10000
# so many answers of 400 octets fit what a door keeps for a peer that does not read (8 MiB in
# chan.c); one more and the peer would lose its door, as it should, and the test its answers
FLOOD = 15000
ANSWER, PROXY, TOOL = VERDICTS["ANSWER"], VERDICTS["PROXY"], VERDICTS["TOOL"]


def boot():
    """Seconds of the clock that grants are timed by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.fixture(scope="module")
def realm(prefix):
    r = Realm(prefix)
    yield r
    ends = r.stop()
    # whatever was tried, nothing that came through the attacker's doors holds a secret
    heard = b"".join(r.tap)
    assert len(heard) > 1000
    for name, secret in [*SECRETS.items(), ("variable", VARIABLE), ("master key", MASTER_KEY)]:
        found = [form for form, octets in forms(secret).items() if octets in heard]
        assert not found, f"the gate learned {name}: {found}"
    assert set(ends.values()) == {0}, ends


@pytest.fixture(autouse=True)
def all_live(realm):
    yield
    realm.check_alive()


@pytest.fixture
def since(realm):
    """The number of the newest row before the test."""
    return realm.last_row()


@pytest.fixture
def quiet_since(realm):
    """The same, in a second of its own: of peers' sins twenty a second get their own rows."""
    time.sleep(1.1)
    return realm.last_row()


@pytest.fixture
def toolhost(realm):
    return realm.gates_door(realm["TOOLHOST"].instance)


@pytest.fixture(scope="module")
def session(realm):
    return realm.attest()


def hexed(grant):
    return grant["request_id"].hex()


def flipped(octets, bit=0):
    out = bytearray(octets)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def must_refuse(realm, grant, door=None, /, **changes):
    """The worker words a refusal of its own and asks its upstream nothing."""
    seen = len(realm.upstream.seen)
    got = realm.redeem(grant, door, **changes)
    assert (got["status"], got["made"]) == (403, 1), (changes, got)
    assert b"Grant refused" in got["body"]
    assert len(realm.upstream.seen) == seen, changes


def refused_rows(realm, since, count, request=None, **want):
    want = {"reason": "grant_refused", "kind": "completion", "status": 403, **want}
    if request is not None:
        want["request"] = request
    return realm.wait_rows(since, count, **want)


# -- grants for requests --

def test_an_honest_gate_is_served(realm, since):
    grant = realm.grant(method="POST", body_len=5)
    got = realm.redeem(grant, body=b"hello")
    assert (got["status"], got["made"], got["body"]) == (200, 0, b'{"you":"reached it"}')
    method, path, headers, body = realm.upstream.seen[-1]
    assert (method, path, body) == ("POST", "/path", b"hello")
    assert [v for k, v in headers if k.lower() == "authorization"] == [
        "Bearer " + SECRETS["planted"]]
    decision, completion = realm.wait_rows(since, 2, request=hexed(grant))
    assert (decision["kind"], decision["decision"]) == ("decision", "allowed")
    assert (completion["kind"], completion["reason"]) == ("completion", "ok")


CHANGES = {
    "mac of zeros": lambda g: {"mac": bytes(32)},
    "mac of the request": lambda g: {"mac": hashlib.sha256(g["mac"]).digest()},
    "another grant id": lambda g: {"grant": flipped(g["grant"])},
    "another request id": lambda g: {"request_id": flipped(g["request_id"], 127)},
    "ids in each other's place": lambda g: {"grant": g["request_id"], "request_id": g["grant"]},
    "a millisecond more": lambda g: {"not_after": g["not_after"] + 1},
    "a day more": lambda g: {"not_after": g["not_after"] + 86400000},
    "for ever": lambda g: {"not_after": 2**64 - 1},
    "no time": lambda g: {"not_after": 0},
    "another method": lambda g: {"method": "DELETE"},
    "the method in small letters": lambda g: {"method": "post"},
    "no method": lambda g: {"method": ""},
    "another host": lambda g: {"authority": "127.0.0.2:" + g["authority"].split(":")[1]},
    "another port": lambda g: {"authority": "127.0.0.1:1"},
    "no port": lambda g: {"authority": "127.0.0.1"},
    "a user before the host": lambda g: {"authority": "a@" + g["authority"]},
    "another path": lambda g: {"target": "/admin"},
    "a query": lambda g: {"target": g["target"] + "?x=1"},
    "an escaped path": lambda g: {"target": "/%70ath"},
    "another case": lambda g: {"target": "/Path"},
    "no target": lambda g: {"target": ""},
    "a header more": lambda g: {"headers": g["asked"]["headers"] + b"x-more: 1\r\n"},
    "no headers": lambda g: {"headers": b""},
    "a header's case": lambda g: {"headers": b"Accept: */*\r\n"},
    "a blank in a header": lambda g: {"headers": b"accept:  */*\r\n"},
    "part of the target in the headers":
        lambda g: {"target": "/pat", "headers": b"h" + g["asked"]["headers"]},
    "a longer body": lambda g: {"body_len": 6, "body": b"hello!"},
    "an empty body": lambda g: {"body_len": 0, "body": b""},
    "a longer body at most": lambda g: {"max_body": g["max_body"] + 1},
    "any body": lambda g: {"max_body": 2**64 - 1},
    "a body without an end": lambda g: {"body_len": UNKNOWN_LEN, "body": b"hello"},
}


def test_nothing_of_a_grant_can_be_changed(realm, since):
    grant = realm.grant(method="POST", body_len=5)
    for what, change in CHANGES.items():
        must_refuse(realm, grant, **{"body": b"hello", **change(grant)})
    for bit in range(256):
        must_refuse(realm, grant, body=b"hello", mac=flipped(grant["mac"], bit))
    # a forgery neither uses the grant up nor is forgotten
    assert realm.redeem(grant, body=b"hello")["status"] == 200
    rows = refused_rows(realm, since, 20, hexed(grant))
    assert {r["detail"] for r in rows} == {"not sealed for this request"}
    # but for those with another request id; after the first of a second they are counted
    worker = f"of worker {grant['redeemer']}"

    def told():
        summed = [r for r in realm.rows(since, event="refusals.summed", code="grant")
                  if r["detail"].endswith(worker)]
        return (len(realm.rows(since, request=hexed(grant), reason="grant_refused")) +
                sum(int(r["detail"].split()[0]) for r in summed))
    realm.wait(lambda: told() == len(CHANGES) + 256 - 2, "all refusals in the ledger")
    assert realm.wait_rows(since, 1, request=hexed(grant), reason="ok")


def test_a_grant_for_a_request_opens_no_websocket(realm, since):
    """Nor the other way round: messages may do what a GET may not."""
    plain, switched = realm.grant(), realm.grant(upgrade=1)
    must_refuse(realm, plain, upgrade=1)
    must_refuse(realm, switched, upgrade=0)
    assert realm.redeem(plain)["status"] == 200
    # to an upstream that does not switch, it is a request like others
    assert realm.redeem(switched, upgrade=1)["status"] == 200
    assert [v for k, v in realm.upstream.seen[-1][2] if k.lower() == "upgrade"] == ["websocket"]
    answer = realm.authorize("/planted/path", method="WEBSOCKET")
    assert (answer["verdict"], answer["status"]) == (proto.VERDICTS["ANSWER"], 400)
    for more in (dict(method="POST"), dict(body_len=1), dict(body_len=UNKNOWN_LEN)):
        assert realm.authorize("/planted/path", upgrade=1, **more)["status"] == 400


def test_a_grant_is_good_once(realm, quiet_since):
    grant = realm.grant()
    assert realm.redeem(grant)["status"] == 200
    for _ in range(5):
        must_refuse(realm, grant)
    other = realm.fresh(grant["redeemer"])
    must_refuse(realm, grant, other)
    rows = refused_rows(realm, quiet_since, 6, hexed(grant))
    assert {r["detail"] for r in rows} == {"used before"}


def test_a_grant_is_good_once_on_two_doors_at_the_same_time(realm, quiet_since):
    seen = len(realm.upstream.seen)
    grants = [realm.grant() for _ in range(20)]
    doors = [realm.fresh(grants[0]["redeemer"]) for _ in range(2)]
    start, got = threading.Barrier(len(doors)), []

    def send(door):
        frames = [encode("proxy_open", 10 + n * len(grants) + i, realm.opened(g))[0]
                  for n in range(4) for i, g in enumerate(grants)]
        start.wait()
        for octets in frames:
            door.raw(octets)
        got.extend(door.recv().fields["status"] for _ in frames)

    threads = [threading.Thread(target=send, args=(d,)) for d in doors]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    assert sorted(got) == [200] * 20 + [403] * 140
    assert len(realm.upstream.seen) == seen + 20
    assert len(refused_rows(realm, quiet_since, 20)) >= 20  # and the rest as a number
    realm.wait(lambda: len(realm.rows(quiet_since, reason="ok")) == 20, "the completions")


def test_a_grant_ends(realm, quiet_since, toolhost, session):
    grant, call = realm.grant(), realm.call(session.envelope(path="/late"))
    assert 9000 < grant["not_after"] - boot() * 1000 <= 10000
    time.sleep(max(0, grant["not_after"] / 1000 - boot()) + 0.05)
    must_refuse(realm, grant)
    must_refuse(realm, grant, not_after=int(boot() * 1000) + 5000)
    calls = len(realm.tool.calls)
    assert toolhost.ask("tool_call", **realm.called(call))["outcome"] == OUTCOMES["GRANT_REFUSED"]
    assert len(realm.tool.calls) == calls
    details = [r["detail"] for r in refused_rows(realm, quiet_since, 3)]
    assert details == ["too late", "not sealed for this request", "too late"]


def test_a_grant_is_for_one_redeemer(realm, quiet_since, toolhost, session):
    """A grant of one credential at the worker of another; of a tool at a worker."""
    mine, theirs = realm.grant("/planted/path", realm.both), realm.grant("/other/path", realm.both)
    assert mine["redeemer"] != theirs["redeemer"]
    for grant, door in ((mine, realm.gates_door(theirs["redeemer"])),
                        (theirs, realm.gates_door(mine["redeemer"]))):
        must_refuse(realm, grant, door)
    call = realm.call(session.envelope(path="/x"))
    for redeemer in (mine["redeemer"], theirs["redeemer"]):
        must_refuse(realm, mine, realm.gates_door(redeemer), **{
            k: call[k] for k in ("request_id", "grant", "not_after", "mac")})
    got = toolhost.ask("tool_call", **realm.called(call, **{
        k: mine[k] for k in ("request_id", "grant", "not_after", "mac")}))
    assert got["outcome"] == OUTCOMES["GRANT_REFUSED"]
    refused_rows(realm, quiet_since, 5)
    # each is still good where it belongs
    assert realm.redeem(mine)["status"] == realm.redeem(theirs)["status"] == 200
    keys = [dict(s[2])["Authorization"] for s in realm.upstream.seen[-2:]]
    assert keys == ["Bearer " + SECRETS["planted"], "Bearer " + SECRETS["other"]]


def test_no_grant_no_request(realm, quiet_since):
    grant = realm.grant()
    good = realm.opened(grant)
    for fields in ({k: v for k, v in good.items() if k not in ("mac", "grant", "not_after")},
                   dict(good, mac=os.urandom(32), grant=os.urandom(16)),
                   dict(good, mac=b"\xff" * 32, request_id=b"\xff" * 16)):
        got = realm.gates_door(grant["redeemer"]).ask("proxy_open", **fields)
        assert (got["status"], got["made"]) == (403, 1)
    refused_rows(realm, quiet_since, 3)


def test_decisions_cannot_be_swapped(realm, quiet_since):
    """Two grants of the same moment: neither carries the other's request."""
    a = realm.grant("/planted/a", method="GET")
    b = realm.grant("/planted/b", method="DELETE")
    seal = ("request_id", "grant", "not_after", "mac")
    must_refuse(realm, a, **{k: b[k] for k in seal})
    must_refuse(realm, b, **{k: a[k] for k in seal})
    for k in seal:
        if a[k] != b[k]:
            must_refuse(realm, a, **{k: b[k]})
    refused_rows(realm, quiet_since, 5)


# -- what the gate asks to be judged --

@pytest.mark.parametrize("token, target, status", [
    ("", "/planted/x", 401), ("aegis_forged", "/planted/x", 401), ("ann", "/other/x", 403),
    ("ann", "/planted/../other/x", 400), ("ann", "/planted/%2e%2e/other/x", 400),
    ("ann", "/other%2fx/../planted", 400), ("ann", "//other/x", 400), ("ann", "/nothing/x", 404),
    ("ann", "/v1/seal/attest", 404), ("ann", "other/x", 400), ("ann", "http://other/x", 400),
])
def test_another_credential_is_not_given(realm, since, token, target, status):
    got = realm.authorize(target, realm.token if token == "ann" else token)
    assert (got["verdict"], got["status"]) == (ANSWER, status), got["body"]
    assert got["mac"] == bytes(32) and got["grant"] == bytes(16)
    row = realm.wait_rows(since, 1, request=hexed(got))[0]
    assert row["decision"] == "blocked" and row["status"] == status


@pytest.mark.parametrize("host", [
    "127.0.0.2", "localhost", "169.254.169.254", "127.0.0.1:1", "127.0.0.1@evil", "[::1]",
    "127.0.0.1\\@evil", "127.0.0.1#evil", "2130706433", "0x7f.1", "127.1", "evil.example",
    "127.0.0.1.evil.example", " 127.0.0.1", "127.0.0.1 ", "", "a" * 300])
def test_another_host_is_not_given(realm, since, host):
    got = realm.authorize(has_target_host=1, target_host=host)
    assert (got["verdict"], got["status"]) == (ANSWER, 403), got
    assert b"Domain not in credential allowlist" in got["body"]
    row = realm.wait_rows(since, 1, request=hexed(got))[0]
    assert row["code"] == "domain_guard"


HOSTILE_PARTS = {
    "a request in a header": {"headers": b"a: b\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"},
    "a line feed": {"headers": b"a: b\ngot: /smuggled\r\n"},
    "a carriage return": {"headers": b"a: b\rGET /smuggled\r\n"},
    "a NUL": {"headers": b"a: b\0c\r\n"},
    "a folded line": {"headers": b"a: b\r\n /smuggled\r\n"},
    "a header without its end": {"headers": b"a: b"},
    "a header without a colon": {"headers": b"ab\r\n"},
    "a header without a name": {"headers": b": b\r\n"},
    "a blank before the colon": {"headers": b"content-length : 40\r\n"},
    "a method with a line": {"method": "GET /smuggled HTTP/1.1\r\nx:"},
    "a method with a blank": {"method": "GET /smuggled"},
    "CONNECT": {"method": "CONNECT"},
}


@pytest.mark.parametrize("what", HOSTILE_PARTS)
def test_no_request_inside_a_request(realm, since, what):
    """The judge sees heads as the gate tells them; what a strict gate would never send
    must not become a second request of the worker's."""
    seen = len(realm.upstream.seen)
    got = realm.authorize(**HOSTILE_PARTS[what])
    if got["verdict"] == PROXY:
        answer = realm.redeem(got)
        assert answer["made"] == 1 and answer["status"] in (400, 403), answer
        row = realm.wait_rows(since, 2, request=hexed(got))[1]
        assert row["reason"] == "grant_refused"
    else:
        assert got["status"] >= 400
        assert realm.wait_rows(since, 1, request=hexed(got))[0]["decision"] == "blocked"
    time.sleep(0.05)
    assert len(realm.upstream.seen) == seen


def test_the_gates_own_heads_are_dropped(realm):
    hostile = (b"host: evil.example\r\nHOST: evil\r\nauthorization: Bearer mine\r\n"
               b"Authorization: Basic eA==\r\nproxy-authorization: x\r\ncontent-length: 40\r\n"
               b"transfer-encoding: chunked\r\nTransfer_Encoding: chunked\r\n"
               b"connection: keep-alive, authorization\r\nte: trailers\r\ntrailer: x\r\n"
               b"upgrade: h2c\r\nhttp2-settings: AAA\r\nexpect: 100-continue\r\n"
               b"x-aegis-agent: aegis_x\r\nx-target-host: evil\r\nx-api-key: mine\r\nkept: yes\r\n")
    grant = realm.grant(headers=hostile)
    assert realm.redeem(grant)["status"] == 200
    heads = [(k.lower(), v) for k, v in realm.upstream.seen[-1][2]]
    assert [v for k, v in heads if k == "host"] == [grant["authority"]]
    assert [v for k, v in heads if k.endswith("authorization")] == ["Bearer " + SECRETS["planted"]]
    assert ("kept", "yes") in heads
    for name in ("content-length", "transfer-encoding", "transfer_encoding", "te", "trailer",
                 "upgrade", "http2-settings", "expect", "x-aegis-agent", "x-target-host",
                 "x-api-key", "proxy-authorization"):
        assert name not in dict(heads), name


@pytest.mark.parametrize("judged, sent", [(5, b"hello, and more"), (5, b"hel"), (0, b"hello")])
def test_a_stream_is_as_long_as_was_judged(realm, since, judged, sent):
    grant = realm.grant(method="POST", body_len=judged)
    ours, theirs = socket.socketpair()
    seen, door = len(realm.upstream.seen), realm.gates_door(grant["redeemer"])
    door.send("proxy_open", 4242, **realm.opened(grant, stream=theirs))
    theirs.close()
    try:
        ours.sendall(sent)
    except BrokenPipeError:
        pass
    ours.close()
    got = door.recv(10)
    assert got.reqid == 4242
    # one request with just what was judged, or none
    new = realm.upstream.seen[seen:]
    assert len(new) <= 1 and all(s[3] == sent[:judged] for s in new), new
    if len(sent) < judged:
        assert not new
    assert realm.wait_rows(since, 1, kind="completion", request=hexed(grant))


def test_a_body_of_unknown_length_has_a_limit(realm, since):
    """What the configuration allows is sealed into the grant; no gate can send more."""
    grant = realm.grant(method="POST", body_len=UNKNOWN_LEN)
    most = grant["max_body"]
    assert most == 10 << 20  # puppet.conf_judge()
    seen, door = len(realm.upstream.seen), realm.gates_door(grant["redeemer"])
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    with ours, theirs:
        door.send("proxy_open", 4243, **realm.opened(grant, stream=theirs))
        theirs.close()
        sent = 0
        try:
            while sent < 2 * most:
                sent += ours.send(b"x" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = door.recv()
    assert sent < 2 * most, "the worker never stopped reading"
    assert (got.reqid, got.fields["status"], got.fields["made"]) == (4243, 413, 1)
    row, = realm.wait_rows(since, 1, request=hexed(grant), kind="completion")
    assert (row["reason"], row["status"]) == ("too_large", 413)
    assert row["bytes_in"] <= most
    assert len(realm.upstream.seen) == seen, "a cut body looked whole"


def test_a_body_is_as_long_as_was_judged(realm):
    grant = realm.grant(method="POST", body_len=5)
    seen = len(realm.upstream.seen)
    for body in (b"", b"hell", b"hello!", b"h" * 24576):
        door = realm.fresh(grant["redeemer"])
        door.send("proxy_open", 1, **realm.opened(grant, body=body))
        assert door.closed() and not door.kept
        assert realm.blamed(door) == [("WORKER", "refused by its handler")]
    assert len(realm.upstream.seen) == seen


def test_streams_that_are_no_streams(realm, since):
    """Directories, devices, files, epolls, listening sockets in a body's place."""
    listener = socket.create_server(("127.0.0.1", 0))
    epoll = select.epoll()
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    read, write = os.pipe()
    hostile = {"directory": os.open("/", os.O_RDONLY), "zero": os.open("/dev/zero", os.O_RDONLY),
               "null": os.open("/dev/null", os.O_RDWR), "file": memfd(b"hello, and more"),
               "listener": listener.fileno(), "epoll": epoll.fileno(), "datagrams": theirs.fileno(),
               "write only": write, "path": os.open("/etc", os.O_PATH)}
    mine.send(b"hello")
    seen, requests = len(realm.upstream.seen), []
    for length in (5, UNKNOWN_LEN):
        for what, fd in hostile.items():
            if what == "zero" and length == UNKNOWN_LEN:
                continue  # a body without end, which is what was judged
            grant = realm.grant(method="POST", body_len=length)
            door = realm.fresh(grant["redeemer"])
            door.send("proxy_open", 1, **realm.opened(grant, stream=fd, timeout_ms=300))
            requests.append((what, door, grant))
    started = time.monotonic()
    assert realm.redeem(realm.grant())["status"] == 200
    assert time.monotonic() - started < 2, "one gate's descriptors hold up the others"
    for what, door, grant in requests:
        try:
            assert door.recv(5).name == "proxy_head", what
        except proto.Closed:
            realm.blamed(door)
        door.close()
        assert realm.wait_rows(since, 1, request=hexed(grant), kind="completion"), what
    bodies = {s[3] for s in realm.upstream.seen[seen:]}
    assert all(len(b) < 100 for b in bodies)
    epoll.close()
    for fd in ("directory", "zero", "null", "file", "path"):
        os.close(hostile[fd])
    for fd in (read, write):
        os.close(fd)
    for sock in (listener, mine, theirs):
        sock.close()


@pytest.mark.parametrize("form", ["plain", "base64", "hex", "percent"])
def test_an_echoing_upstream_gives_nothing_away(realm, since, form):
    """The gate may ask for a page that says the credential back; the worker cuts it."""
    grant = realm.grant(f"/planted/echo/{form}")
    got = realm.redeem(grant)
    assert got["made"] == 1 and got["status"] == 502
    octets = json.dumps({k: str(v) for k, v in got.items()}).encode() + got["body"]
    assert not [f for f, o in forms(SECRETS["planted"]).items() if o in octets]
    row = realm.wait_rows(since, 1, kind="completion", request=hexed(grant))[0]
    assert row["reason"] == "secret_echoed"


# -- tools --

def refuse_call(realm, door, call, /, **changes):
    calls = len(realm.tool.calls)
    got = door.ask("tool_call", **realm.called(call, **changes))
    assert (got["outcome"], got["status"]) == (OUTCOMES["GRANT_REFUSED"], 403), (changes, got)
    assert got["body"] == b"" and len(realm.tool.calls) == calls


def test_a_tool_call_is_what_was_judged(realm, quiet_since, toolhost, session):
    call = realm.call(session.envelope(path="/judged"))
    assert call["verdict"] == TOOL
    payload = realm.called(call)["payload"]
    changed = json.loads(payload)
    changed["params"]["arguments"]["path"] = "/etc/shadow"
    again = json.dumps(json.loads(payload), separators=(",", ":")).encode()
    for what in ({"payload": json.dumps(changed).encode()}, {"payload": again},
                 {"payload": payload + b" "}, {"payload": payload[:-1]}, {"payload": b""},
                 {"payload": payload.replace(b"files.read", b"files.rm__")},
                 {"payload": payload[:-1] + b',"params":{"name":"files.write"}}'},
                 {"server": 0}, {"server": 4}, {"server": 0xffffffff},
                 {"mac": flipped(call["mac"], 255)}, {"mac": bytes(32)},
                 {"grant": flipped(call["grant"])}, {"request_id": flipped(call["request_id"])},
                 {"not_after": call["not_after"] + 1}):
        refuse_call(realm, toolhost, call, **what)
    got = toolhost.ask("tool_call", **realm.called(call))
    assert got["outcome"] == OUTCOMES["OK"] and b'"done"' in got["body"]
    assert realm.tool.calls[-1] == {"name": "files.read", "arguments": {"path": "/judged"}}
    refuse_call(realm, toolhost, call)
    refuse_call(realm, realm.fresh("TOOLHOST"), call)
    rows = refused_rows(realm, quiet_since, 17)
    assert len([r for r in rows if r["detail"] == "used before"]) == 2
    ok = realm.wait_rows(quiet_since, 1, request=hexed(call), reason="ok")
    assert ok[0]["server"] == "files" and ok[0]["tool"] == "files.read"


def test_memory_that_changes_after_the_decision(realm, since, toolhost, session):
    """The envelope comes in memory that the gate can still write."""
    big = session.envelope(path="/judged", padding="x" * 60000)
    fd = memfd(big)
    call = dict(realm.judge.ask("seal_authorize", peer="192.0.2.1", target="/v1/seal/invoke",
                                big=fd), envelope=big)
    assert call["verdict"] == TOOL, call["body"]
    payload = realm.called(call)["payload"]
    calls = len(realm.tool.calls)
    for octets in (payload.replace(b"/judged", b"/etc/sh"), payload + b" ", payload[:100]):
        other = memfd(octets)
        got = toolhost.ask("tool_call", **realm.called(call, payload=b"", big=other))
        assert got["outcome"] == OUTCOMES["GRANT_REFUSED"]
        os.close(other)
    refused_rows(realm, since, 3, hexed(call))
    # rewritten all the time while it is read: what runs is what was judged, or nothing
    right, wrong = memfd(payload), payload.replace(b"/judged", b"/etc/sh")
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            os.pwrite(right, wrong, 0)
            os.pwrite(right, payload, 0)
    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        for _ in range(300):
            got = toolhost.ask("tool_call", **realm.called(call, payload=b"", big=right))
            if got["outcome"] == OUTCOMES["OK"]:
                break
    finally:
        stop.set()
        thread.join()
    new = realm.tool.calls[calls:]
    assert len(new) <= 1 and all(c["arguments"]["path"] == "/judged" for c in new)
    os.close(right)
    os.close(fd)


def test_descriptors_that_are_no_memory(realm, toolhost, session):
    """Pipes, sockets, directories, devices, endless files: an answer or a shut door, at once."""
    call = realm.call(session.envelope(path="/x"))
    read, write = os.pipe()
    ours, theirs = socket.socketpair()
    sparse = os.memfd_create("sparse")
    os.ftruncate(sparse, 1 << 42)
    hostile = [read, write, ours.fileno(), os.open("/", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY),
               os.open("/proc/self/mem", os.O_RDONLY), os.memfd_create("empty"), sparse]
    calls = len(realm.tool.calls)
    for fd in hostile:
        for where, message, fields in (
                ("TOOLHOST", "tool_call", realm.called(call, payload=b"", big=fd)),
                ("JUDGE", "seal_authorize", dict(peer="192.0.2.1", target="/v1/seal/invoke", big=fd))):
            door = realm.fresh(where)
            door.send(message, 7, **fields)
            try:
                got = door.recv(3).fields
                assert got.get("verdict", ANSWER) == ANSWER and got.get("outcome") != OUTCOMES["OK"]
            except proto.Closed:
                assert realm.blamed(door)
            door.close()
    assert len(realm.tool.calls) == calls
    for fd in hostile[3:]:
        os.close(fd)
    os.close(read)
    os.close(write)
    ours.close()
    theirs.close()


def test_envelopes_cannot_be_forged_or_replayed(realm, since, session):
    good = session.envelope(path="/once")
    first = realm.call(good)
    assert first["verdict"] == TOOL
    refused = [realm.call(good)]
    forged = json.loads(session.envelope(path="/a"))
    forged["payload"]["params"]["arguments"]["path"] = "/b"
    refused.append(realm.call(json.dumps(forged).encode()))
    other = json.loads(session.envelope(path="/c"))
    other["security_token"] = realm.attest().token
    refused.append(realm.call(json.dumps(other).encode()))
    late = json.loads(session.envelope(path="/d"))
    late["timestamp"] += 5
    refused.append(realm.call(json.dumps(late).encode()))
    refused.append(realm.call(session.envelope("shell.run", command="id")))
    for got in refused:
        assert got["verdict"] == ANSWER and got["status"] >= 400 or b'"error"' in got["body"]
        assert got["mac"] == bytes(32)
        assert realm.wait_rows(since, 1, request=hexed(got))[0]["decision"] == "blocked"


def test_cancelling_what_is_not_ours(realm, since):
    """A gate cannot end another gate's request."""
    mine, theirs = realm.fresh("TOOLHOST"), realm.fresh("TOOLHOST")
    call = realm.call(realm.attest().envelope(path="/slow"))
    mine.send("tool_call", 5, **realm.called(call))
    theirs.send("tool_cancel", request_id=call["request_id"])
    assert mine.recv().fields["outcome"] == OUTCOMES["OK"]
    grant = realm.grant()
    a, b = realm.fresh(grant["redeemer"]), realm.fresh(grant["redeemer"])
    b.send("proxy_cancel", request_id=grant["request_id"])
    a.send("proxy_open", 5, **realm.opened(grant))
    b.send("proxy_cancel", request_id=grant["request_id"])
    assert a.recv().fields["status"] == 200


# -- messages that are not a gate's --

@pytest.mark.parametrize("where", REACHABLE, ids=str.lower)
def test_asking_what_others_may_ask(realm, quiet_since, where):
    """Secrets, signatures, keys, administration: at every process that a gate reaches."""
    realm.redeem(realm.grant())  # there is a worker
    for name in ("credential_fetch", "env_fetch", "token_sign", "checkpoint_sign",
                 "credential_seal", "secret_offer", "vault_keys", "worker_want", "grant_key", "resolve", "done",
                 "redeemer_ready", "agent_add", "agent_grant", "ledger_read", "credential_list",
                 "conf_vault", "peer", "stop", "worker_spawn", "tool_spawn"):
        since = realm.last_row()
        door = realm.fresh(where)
        fields = least(name)
        m = MESSAGES[name]
        door.raw(*encode(name, REQID if m.kind == "ASK" else 0, fields))
        assert door.closed(), f"{where} listens to {name}"
        assert not [k for k in door.kept if k.reqid == REQID]
        row = realm.wait_rows(since, 1, event="permit.refused")[0]
        assert row["code"] == name and row["reason"] == "no permit"
        assert row["detail"] == (f"gate {door.instance} sent type {m.type:#06x} to "
                                 f"{where.lower()}")
        assert realm.blamed(door) == [(where, "no permit")]
        time.sleep(0.06)  # fewer than are summed


@pytest.mark.parametrize("where", REACHABLE, ids=str.lower)
def test_being_somebody_else(realm, quiet_since, where):
    for role in sorted(set(ROLES) - {"GATE", "MAX"}):
        since = realm.last_row()
        with realm.lock:
            realm.last_instance += 1
            instance = realm.last_instance
            door = realm[where].door("GATE", instance=instance, greet=False, tap=realm.tap)
        door.hello(role)
        assert door.closed() and not door.kept
        row = realm.wait_rows(since, 1, event="permit.refused")[0]
        assert row["code"] == "hello" and row["reason"] == "no proper HELLO"
        assert f"gate {instance} " in row["detail"]
        time.sleep(0.06)


@pytest.mark.parametrize("where", REACHABLE, ids=str.lower)
def test_oversize(realm, where):
    for octets in (frame(0x0200, b"x" * 65513), frame(0x0200, b"x" * 150000), b"\xff" * 65536,
                   frame(0x0200, b"x" * 60000, length=0xffffffff), b"\0" * 100000):
        door = realm.fresh(where)
        door.raw(octets)
        assert door.closed() and not door.kept
        assert realm.blamed(door)


def test_lies_about_others(realm, quiet_since):
    """A gate may accuse others; nothing but a row comes of it, and not many."""
    door = realm.fresh("JUDGE")
    for i in range(300):
        door.send("permit_refused", role=ROLES["VAULT"], instance=i, type=0x0510, reason="a lie")
    assert realm.authorize(door=door)["verdict"] == PROXY
    time.sleep(1.3)
    rows = realm.rows(quiet_since, event="permit.refused", reason="a lie")
    assert 20 <= len(rows) <= 60
    summed = realm.rows(quiet_since, event="refusals.summed", code="peer")
    assert len(rows) + sum(int(r["detail"].split()[0]) for r in summed) == 300
    assert realm.redeem(realm.grant())["status"] == 200


def test_a_gate_cannot_be_a_process(realm, since):
    """An agent has to be a process of a certain user. A gate brings descriptors of its own making,
    numbers of its own making, and the number of another gate's connection."""
    token = realm.agent("carl")
    realm.act("agent_grant", agent="carl", credential="planted")
    realm.act("agent_process", name="carl", has_uid=1, uid=0xfffffff0)
    mine, theirs = realm.fresh("JUDGE"), realm.fresh("JUDGE")
    a, b = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    over_tcp = socket.create_connection(listener.getsockname())
    numbers = []
    with a, b, listener, over_tcp:
        for fd in (memfd(b"no socket"), os.open("/dev/null", os.O_RDONLY), over_tcp.fileno(),
                   listener.fileno()):
            assert mine.ask("process_seen", conn=fd)["process"] == 0
        for end in (a, b):  # who made them is the gate itself, not that user
            numbers.append(mine.ask("process_seen", conn=end.fileno())["process"])
    assert all(numbers) and len(set(numbers)) == 2
    for n in [0, 1, 2**64 - 1, *numbers, *(n + 1 for n in numbers)]:
        got = realm.authorize(token=token, door=mine, process=n)
        assert (got["verdict"], got["status"]) == (ANSWER, 403), n
    rows = realm.wait_rows(since, 7, agent="carl", code="process_refused")
    assert len(rows) == 7
    # as the user that made it: served, and by no other gate's leave taken away
    realm.act("agent_process", name="carl", has_uid=1, uid=os.getuid())
    assert realm.authorize(token=token, door=mine, process=numbers[0])["verdict"] == PROXY
    theirs.send("process_gone", process=numbers[0])
    realm.authorize(door=theirs)
    assert realm.authorize(token=token, door=mine, process=numbers[0])["verdict"] == PROXY
    mine.send("process_gone", process=numbers[0])
    assert realm.authorize(token=token, door=mine, process=numbers[0])["status"] == 403


def test_made_up_refusals_are_few_and_hide_nobody(realm, quiet_since):
    """A gate may report refusals that did not happen: a number, and the rows of other gates
    are there as before."""
    liar, honest = realm.fresh("JUDGE"), realm.fresh("JUDGE")
    lie = dict(peer="192.0.2.66", reason=1, status=400, method="GET", target="/a-lie")
    for i in range(300):
        assert liar.ask("refusal_record", **lie)["status"] == 400
    for i in range(300):
        made_up = dict(lie, request_id=os.urandom(16))
        assert liar.ask("refusal_record", **made_up)["status"] == 400
    got = honest.ask("refusal_record", peer="192.0.2.1", reason=1, status=400, target="/the-truth")
    assert got["status"] == 400
    assert len(realm.wait_rows(quiet_since, 1, path="/the-truth")) == 1
    time.sleep(1.3)
    rows = realm.rows(quiet_since, path="/a-lie")
    assert 20 <= len(rows) <= 80
    summed = [r for r in realm.rows(quiet_since, event="refusals.summed", code="http")
              if r["detail"].endswith(f"of gate {liar.instance}")]
    assert len(rows) + sum(int(r["detail"].split()[0]) for r in summed) == 600


# -- floods --

def flood(realm, where, message, make):
    """Sends as fast as the daemon takes it, and reads nothing meanwhile. How many went
    out before it pushed back, and the door."""
    door = realm.fresh(where)
    door.sock.setblocking(False)
    sent, stuck = 0, 0
    frames = [encode(message, n + 1, make(n))[0] for n in range(64)]
    while sent < FLOOD and stuck < 20:
        octets = frames[sent % 64]
        try:
            door.sock.send(octets[:8] + (sent + 1).to_bytes(8, "big") + octets[16:])
            sent, stuck = sent + 1, 0
        except BlockingIOError:
            poll = select.poll()
            poll.register(door.sock, select.POLLOUT)
            stuck = 0 if poll.poll(50) else stuck + 1
        except (BrokenPipeError, ConnectionResetError):
            break
    return sent, door


FLOODS = {
    "authorize": ("JUDGE", "proxy_authorize", lambda n: dict(
        peer="192.0.2.1", token=f"aegis_{n}", method="GET", target="/planted/x")),
    "authorize-long": ("JUDGE", "proxy_authorize", lambda n: dict(
        peer="192.0.2.1", token="aegis_no", method="GET", target="/planted/" + "x" * 8000,
        headers=b"a: " + b"b" * 16000 + b"\r\n")),
    "seal": ("JUDGE", "seal_authorize", lambda n: dict(
        peer="192.0.2.1", target="/v1/seal/invoke", envelope=b'{"a":' * 9000)),
    "api": ("JUDGE", "api_request", lambda n: dict(
        peer="192.0.2.1", method="POST", target="/v1/seal/attest", body=b"x" * 30000)),
    "open": ("WORKER", "proxy_open", lambda n: dict(
        method="POST", target="/x", authority="127.0.0.1", body=b"x" * 24576, body_len=24576)),
    "call": ("TOOLHOST", "tool_call", lambda n: dict(server=3, payload=b"x" * 49152)),
}


@pytest.mark.parametrize("what", FLOODS)
def test_floods(realm, since, what):
    where, message, make = FLOODS[what]
    realm.redeem(realm.grant())
    daemon = realm[where]
    before = daemon.rss_kib()
    sent, door = flood(realm, where, message, make)
    peak = daemon.rss_kib()
    assert peak - before < 48 * 1024, f"{before} KiB became {peak} after {sent} messages"
    # others are served while this one does not read
    started = time.monotonic()
    assert realm.redeem(realm.grant())["status"] == 200
    assert time.monotonic() - started < 5
    door.sock.setblocking(True)
    answers = 0
    try:
        while answers < sent:
            got = door.recv(3)
            assert got.name in (MESSAGES[message].answer, "error")
            assert got.fields.get("verdict", ANSWER) == ANSWER
            assert got.fields.get("status", 400) >= 400
            answers += 1
    except (proto.Closed, TimeoutError):
        pass
    assert sent >= 1000 and answers >= sent // 2, (sent, answers)
    door.close()
    # what was refused is in the ledger: row by row at first, then as sums
    time.sleep(1.3)
    rows = realm.rows(since)
    assert len(rows) < 2000
    assert [r for r in rows if r.get("event") == "refusals.summed"]


# -- 10,000 mutations for each door of a gate --

def mutate(rng, octets):
    out = bytearray(octets)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(out)) if out else 0
        what = rng.randrange(9)
        if what == 0 and out:
            out[at] ^= 1 << rng.randrange(8)
        elif what == 1 and out:
            out[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
        elif what == 2:
            del out[at:]
        elif what == 3:
            out[at:at] = rng.randbytes(rng.choice((1, 2, 4, 24, 300)))
        elif what == 4:
            del out[at:at + rng.choice((1, 2, 4, 8))]
        elif what == 5 and len(out) >= 4:
            at = min(at, len(out) - 4)
            out[at:at + 4] = rng.choice((0, 1, 0xffffffff, 0x7fffffff, 0x80000000, len(out),
                                         rng.randrange(70000))).to_bytes(4, "big")
        elif what == 6:
            out[at:at + 8] = out[:8]
        elif what == 7 and len(out) >= 24:  # a header that is right about what remains
            out[4:8] = (len(out) - 24).to_bytes(4, "big")
        elif what == 8:
            out += octets[:rng.randrange(len(octets) + 1)]
    return bytes(out[:70000])


def valid_messages(realm, session, where):
    """What a gate says there, with a grant that is good."""
    if where == "JUDGE":
        messages = [
            ("proxy_authorize", 9, dict(peer="192.0.2.1", token=realm.token, method="GET",
                                        target="/planted/path?a=b", headers=b"accept: */*\r\n",
                                        has_target_host=1, target_host="127.0.0.1")),
            ("seal_authorize", 9, dict(peer="192.0.2.1", target="/v1/seal/invoke",
                                       envelope=session.envelope(path="/m"))),
            ("api_request", 9, dict(peer="192.0.2.1", method="POST", target="/v1/seal/attest",
                                    content_type="application/json", token=realm.token, host="h",
                                    body=b'{"public_key":"AAAA","security_context":"work"}')),
            ("refusal_record", 9, dict(peer="192.0.2.1", reason=1, status=400, method="GET",
                                       target="/x", detail="framing")),
            ("permit_refused", 0, dict(role=6, instance=5, type=0x510, reason="no permit"))]
    elif where == "WORKER":
        grant = realm.grant("/planted/mutated", method="POST", body_len=5)
        messages = [("proxy_open", 9, realm.opened(grant, body=b"hello")),
                    ("proxy_cancel", 0, dict(request_id=grant["request_id"]))]
    else:
        call = realm.call(session.envelope(path="/mutated"))
        messages = [("tool_call", 9, realm.called(call)),
                    ("tool_cancel", 0, dict(request_id=call["request_id"]))]
    return [encode(name, reqid, fields)[0] for name, reqid, fields in messages]


@pytest.mark.parametrize("where", REACHABLE, ids=str.lower)
def test_mutations(realm, session, where):
    realm.redeem(realm.grant())
    rng = random.Random(f"{where} 1")
    daemon = realm[where]
    before = daemon.rss_kib()
    fds = daemon.fds() if os.geteuid() == 0 else 0
    seen, calls, left = len(realm.upstream.seen), len(realm.tool.calls), MUTATIONS
    sentinel = frame(proto.UNUSED_TYPE)
    while left > 0:
        # grants are good for ten seconds only
        valid = valid_messages(realm, session, where)
        for _ in range(min(left, 1000) // 50):
            doors = []
            for _ in range(50):
                door, theirs = proto.Door.pair(realm.tap)
                with realm.lock:
                    realm.last_instance += 1
                    daemon.give("GATE", theirs, realm.last_instance)
                door.hello("GATE")
                door.raw(mutate(rng, rng.choice(valid)))
                door.raw(sentinel)
                doors.append(door)
            for door in doors:
                assert door.closed(10), "neither the mutation nor what follows shuts the door"
                door.close()
            left -= 50
    assert daemon.alive()
    # some mutations leave alone what a grant is for: the request runs as judged, once
    new = realm.upstream.seen[seen + 1:]
    assert len(new) <= MUTATIONS // 1000 + 1 and all(s[1] == "/mutated" for s in new)
    ran = realm.tool.calls[calls:]
    assert len(ran) <= MUTATIONS // 1000 and all(
        c == {"name": "files.read", "arguments": {"path": "/mutated"}} for c in ran)
    assert daemon.rss_kib() - before < 16 * 1024
    if os.geteuid() == 0:
        realm.wait(lambda: daemon.fds() <= fds + 1, "descriptors to be given back")
    assert realm.redeem(realm.grant())["status"] == 200

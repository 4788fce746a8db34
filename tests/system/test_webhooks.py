# SPDX-License-Identifier: Apache-2.0
"""Webhooks to a real receiver with TLS that checks every signature: events, retries from a
queue that outlives us, address rules, what the command line says."""

import contextlib
import hashlib
import hmac
import json
import os
import re
import signal
import sqlite3
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from lab import CommandFailed, Lab, Nginx, free_port

PATIENCE = 8
FOUND = "ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
SECRET = "a-signing-secret"
EVENTS = ("blocked_request,credential_expiry,rate_limit_exceeded,agent_auth_failure,"
          "body_inspection,ledger_checkpoint")


class Receiver(ThreadingHTTPServer):
    """Verifies both signatures before it believes a word."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, ca, port=0, secret=SECRET):
        self.got, self.bad, self.status, self.ca, self.secret = [], [], 200, ca.ca, secret
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                key = outer.secret.encode()
                plain = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
                stamp = self.headers["x-aegis-timestamp"]
                timed = hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
                good = (hmac.compare_digest(plain, self.headers["x-aegis-signature"])
                        and self.headers["x-aegis-signature-v2"] == f"t={stamp},v1={timed}"
                        and abs(time.time() - int(stamp)) < 60)
                message = json.loads(body)
                good = good and message["id"] == self.headers["x-aegis-delivery"] \
                    and message["event"] == self.headers["x-aegis-event"] \
                    and self.headers["user-agent"].startswith("Aegis-Webhook/")
                (outer.got if good else outer.bad).append((self.path, message))
                self.send_response(outer.status if good else 401)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        super().__init__(("127.0.0.1", port), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(ca.cert, ca.key)
        self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path="/hook"):
        return f"https://localhost:{self.port}{path}"

    def handle_error(self, *args):
        pass  # who hangs up in the middle of a handshake

    def wait(self, **want):
        """The first message whose details (or event) are as wanted."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for _, m in list(self.got):
                flat = {**m["details"], "event": m["event"]}
                if all(flat.get(k) == v for k, v in want.items()):
                    return m
            time.sleep(0.02)
        raise TimeoutError(f"no {want} among {self.got}; bad {self.bad}")

    def stop(self):
        self.shutdown()
        self.server_close()


def add(lab, url, *flags, events=EVENTS, secret=SECRET):
    return lab.json("webhook", "add", "--url", url, "--events", events, "--secret-stdin",
                    *flags, stdin=secret)["id"]


def metrics(lab):
    text = requests.get(lab.url + "/_aegis/metrics", timeout=10,
                        headers={"authorization": f"Bearer {lab.viewer}"}).text
    return dict(re.findall(r"^(aegis_webhook\S*) (\d+)$", text, re.M))


@pytest.fixture(scope="module")
def receiver(ca):
    r = Receiver(ca)
    yield r
    r.stop()
    assert r.bad == []


@pytest.fixture(scope="module")
def lab(prefix, module_place, ca, receiver):
    nginx = Nginx(module_place / "nginx", ca, "the-key")
    lab = Lab(prefix, module_place / "lab", ca=ca, gate="  workers: 1",
              extra="  webhook_attempts: 2").init()
    lab.start()
    lab.credential("web-key", "web", "the-key", "localhost", "--upstream",
                   f"https://localhost:{nginx.tls}", "--allow-private", "--rate-limit", "5/day")
    lab.credential("scoped", "scoped", "other", "localhost", "--scopes", "read",
                   "--body-inspection", "block", "--allow-private", "--ttl", "3")
    lab.token = lab.agent("teller", "web-key", "scoped")
    lab.viewer = lab.json("operator", "token", "--name", "v", "--role", "readonly")["token"]
    lab.hook = add(lab, receiver.url("/hook?tenant=x"), "--label", "main", "--allow-private")
    yield lab
    lab.stop()
    nginx.stop()


def call(lab, method, path, token=None, **kw):
    return requests.request(method, lab.url + path, timeout=10, headers={
        "x-aegis-agent": token or lab.token, **kw.pop("headers", {})}, **kw)


def test_every_event(lab, receiver):
    assert call(lab, "GET", "/nobody/x?secret=1").status_code == 404
    m = receiver.wait(event="blocked_request", reason="no_credential")
    assert m["details"] == {"service": "nobody", "reason": "no_credential", "agent": "teller",
                            "method": "GET", "path": "/x"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", m["timestamp"])
    call(lab, "POST", "/scoped/x", data="a")
    m = receiver.wait(reason="credential_scope")
    assert m["details"]["scopes"] == ["read"] and m["details"]["credential"] == "scoped"
    call(lab, "GET", "/web/x", headers={"x-target-host": "evil.example"})
    m = receiver.wait(reason="domain_guard")
    assert m["details"]["targetDomain"] == "evil.example"
    assert m["details"]["allowedDomains"] == ["localhost"]
    for _ in range(6):
        last = call(lab, "GET", "/web/x")
    assert last.status_code == 429
    m = receiver.wait(event="rate_limit_exceeded")
    assert m["details"]["type"] == "credential" and m["details"]["limit"] == "5/day"
    assert m["details"]["retryAfter"] == int(last.headers["retry-after"])
    call(lab, "GET", "/web/x", token="aegis_wrong")
    m = receiver.wait(event="agent_auth_failure", reason="Invalid agent token")
    assert m["details"]["service"] == "web" and m["details"]["path"] == "/web/x"
    call(lab, "GET", f"/nobody/{FOUND}/y")  # nobody is told what an agent put where it must not be
    assert receiver.wait(service="nobody", path="/[redacted]/y")
    requests.get(lab.url + "/web/x", timeout=10)
    receiver.wait(event="agent_auth_failure", reason="Missing X-Aegis-Agent header", service="web")
    lab.aegis("vault", "update", "--name", "scoped", "--scopes", "*")
    r = call(lab, "POST", "/scoped/x", data=json.dumps({"k": FOUND}),
             headers={"content-type": "application/json"})
    assert r.status_code == 403
    m = receiver.wait(event="body_inspection")
    assert m["details"]["agent"] == "teller" and m["details"]["credential"] == "scoped"
    assert m["details"]["matches"]
    assert FOUND not in json.dumps(m)
    lab.aegis("ledger", "export", "-f", "jsonl", "-o", lab.dir / "out.jsonl")
    m = receiver.wait(event="ledger_checkpoint")
    assert re.fullmatch("[0-9a-f]{64}", m["details"]["head"]) and m["details"]["seq"] > 0


def test_expiry_once_a_day(lab, receiver):
    rows = lab.json("webhook", "check-expiry")
    assert [(r["credential"], r["status"], r["daysRemaining"]) for r in rows] == [
        ("scoped", "expiring_soon", 3)]
    m = receiver.wait(event="credential_expiry", credential="scoped")
    assert m["details"]["status"] == "expiring_soon" and m["details"]["expiresAt"]
    lab.json("webhook", "check-expiry", "--threshold", "30")
    assert lab.json("webhook", "check-expiry", "--threshold", "1") == []
    call(lab, "GET", "/nobody/after")
    receiver.wait(path="/after")
    told = [m for _, m in receiver.got if m["event"] == "credential_expiry"]
    assert len(told) == 1


def test_names_and_numbers(lab, receiver):
    (row,) = lab.json("webhook", "list")
    assert row["id"] == lab.hook and row["label"] == "main"
    assert row["events"] == EVENTS.split(",") and row["allow_private"] is True
    assert SECRET not in lab.aegis("webhook", "list").stdout
    assert all(path == "/hook?tenant=x" for path, _ in receiver.got)
    end = time.monotonic() + PATIENCE
    while metrics(lab)["aegis_webhook_pending"] != "0":
        assert time.monotonic() < end
    now = metrics(lab)
    assert int(now['aegis_webhook_deliveries_total{event="blocked_request",outcome="delivered"}']) >= 3
    added = [r["detail"] for r in lab.ledger() if r.get("event") == "webhook.add"]
    assert added[0] == f"{lab.hook} https://localhost:{receiver.port}; allow private"  # the rest may be secret
    # its worker has the secret, and only that one
    assert lab.pids(f"egressd: worker webhook.{lab.hook}")


def test_test_says_what_happened(lab, ca, receiver):
    said = lab.json("webhook", "test", "--id", lab.hook)
    assert said["delivered"] is True and said["status"] == 200
    assert f"localhost:{receiver.port} 127.0.0.1" in said["detail"]
    receiver.wait(test=True)
    before = len(receiver.got)
    refused = add(lab, receiver.url("/private"), events="blocked_request")
    with pytest.raises(CommandFailed) as e:
        lab.aegis("webhook", "test", "--id", refused)
    assert "address_refused" in e.value.err and "loopback" in e.value.err
    meta = add(lab, "http://169.254.169.254/latest", "--allow-private", events="blocked_request")
    with pytest.raises(CommandFailed) as e:
        lab.aegis("webhook", "test", "--id", meta)
    assert "metadata" in e.value.err
    closed = add(lab, f"https://localhost:{free_port()}/", "--allow-private",
                 events="credential_expiry")
    with pytest.raises(CommandFailed) as e:
        lab.aegis("webhook", "test", "--id", closed)
    assert "upstream_unreachable" in e.value.err and "refused" in e.value.err.lower()
    receiver.status = 500
    with pytest.raises(CommandFailed) as e:
        lab.aegis("webhook", "test", "--id", lab.hook)
    receiver.status = 200
    assert "status 500" in e.value.err
    # the tests reached the one they were for, and nobody else
    assert [p for p, m in receiver.got[before:] if not m["details"].get("test")] == []
    for hook in (refused, meta, closed):
        lab.aegis("webhook", "remove", "--id", hook)
    with pytest.raises(CommandFailed):
        lab.aegis("webhook", "test", "--id", refused)


def test_what_is_refused(lab):
    for flags, word in ((("--url", "ftp://x/", "--events", "blocked_request"), "https://"),
                        (("--url", "https://u:p@x.example/", "--events", "blocked_request"), "host"),
                        (("--url", "https://x.example/", "--events", "blocked"), "no event")):
        with pytest.raises(CommandFailed) as e:
            lab.aegis("webhook", "add", *flags)
        assert word in e.value.err
    said = lab.json("webhook", "add", "--url", "https://x.example/", "--events", "blocked_request")
    assert re.fullmatch("[0-9a-f]{64}", said["secret"])
    lab.aegis("webhook", "remove", "--id", said["id"])


def test_given_up_and_listed(lab, ca):
    port = free_port()
    dead = add(lab, f"https://localhost:{port}/", "--allow-private", events="agent_auth_failure")
    call(lab, "GET", "/web/x", token="aegis_wrong")
    end = time.monotonic() + PATIENCE
    while not (rows := [r for r in lab.json("webhook", "list", "--dead") if r["webhook"] == dead]):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert rows[0]["attempts"] == 2 and "upstream_unreachable" in rows[0]["last"]
    assert [r for r in lab.ledger() if r.get("event") == "webhook.dead" and dead in r["detail"]]
    assert int(metrics(lab)["aegis_webhook_dead"]) >= 1
    lab.aegis("webhook", "remove", "--id", dead)


def test_a_cheap_event_crowds_no_other_out(flooded):
    """250 of one event wait for a receiver that is away; the next event still finds room."""
    lab = flooded
    hook = add(lab, f"https://localhost:{free_port()}/", "--allow-private",
               events="blocked_request,agent_auth_failure")
    session = requests.Session()
    for i in range(260):
        session.get(f"{lab.url}/nobody/{i}", timeout=10, headers={"x-aegis-agent": lab.token})
    call(lab, "GET", "/nobody/x", token="aegis_wrong")
    (row,) = lab.json("webhook", "list")
    assert row["pending"] == 251
    now = metrics(lab)
    assert now['aegis_webhook_deliveries_total{event="blocked_request",outcome="dropped"}'] == "10"
    assert not [k for k in now if "agent_auth_failure" in k and "dropped" in k]
    end = time.monotonic() + PATIENCE
    while not (rows := [r for r in lab.ledger() if r.get("event") == "webhook.dropped"]):
        assert time.monotonic() < end
    assert rows[-1]["code"] == "blocked_request" and hook in rows[-1]["detail"]
    lab.aegis("webhook", "remove", "--id", hook)


@pytest.fixture
def flooded(prefix, place, ca):
    lab = Lab(prefix, place / "lab", ca=ca, gate="  workers: 1").init().start()
    lab.token = lab.agent("flood")
    lab.viewer = lab.json("operator", "token", "--name", "v", "--role", "readonly")["token"]
    yield lab
    lab.stop()


def test_queue_survives_kill_9(prefix, place, ca):
    port = free_port()
    lab = Lab(prefix, place / "lab", ca=ca, gate="  workers: 1").init().start()
    late = None
    try:
        hook = add(lab, f"https://localhost:{port}/late", "--allow-private",
                   events="agent_auth_failure")
        for i in range(3):
            call(lab, "GET", f"/web/{i}", token="aegis_wrong")
        assert lab.json("webhook", "list")[0]["pending"] == 3
        lab.kill()
        with contextlib.closing(sqlite3.connect(lab.data / "judge" / "judge.db")) as db, db:
            # one began to wait when the clock was ten years fast
            assert db.execute("UPDATE webhook_queue SET next_at = next_at + 315360000000 "
                              "WHERE number = (SELECT min(number) FROM webhook_queue)").rowcount == 1
        late = Receiver(ca, port)
        lab.start()
        end = time.monotonic() + 2 * PATIENCE
        while lab.json("webhook", "list")[0]["pending"] > 0:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert len({m["id"] for _, m in late.got}) == 3 and late.bad == []
        assert lab.json("webhook", "list")[0]["id"] == hook
    finally:
        lab.stop()
        if late:
            late.stop()


def queued(lab):
    with contextlib.closing(sqlite3.connect(lab.data / "judge" / "judge.db")) as db:
        return db.execute("SELECT count(*) FROM webhook_queue").fetchone()[0]


def test_webhooks_of_the_configuration(prefix, place, receiver):
    """What the file names is told, too; its secret is never shown."""
    lab = Lab(prefix, place / "lab", ca=None, gate="  workers: 1")
    lab.text = lab.text.replace("egress:\n", f"egress:\n  ca_file: {receiver.ca}\n") + f"""
webhooks:
  - url: {receiver.url("/configured")}
    events: [agent_auth_failure]
    secret: {SECRET}
    allow_private: true
"""
    lab.init().start()
    try:
        (row,) = lab.json("webhook", "list")
        assert row["configured"] is True and row["events"] == ["agent_auth_failure"]
        call(lab, "GET", "/configured", token="aegis_wrong")
        end = time.monotonic() + PATIENCE
        while not [m for p, m in receiver.got if p == "/configured"]:
            assert time.monotonic() < end, receiver.bad
            time.sleep(0.02)
        assert SECRET not in lab.aegis("config", "show").stdout + lab.log.read_text()
        with pytest.raises(CommandFailed) as e:
            lab.aegis("webhook", "remove", "--id", row["id"])
        assert "configuration" in e.value.err
        # what waits when it is taken out of the file goes at the next start, too
        receiver.status = 500
        call(lab, "GET", "/waits", token="aegis_wrong")
        assert lab.json("webhook", "list")[0]["pending"] > 0
        lab.stop()
        assert queued(lab) > 0
        lab.config.write_text(lab.text[:lab.text.index("webhooks:")])
        lab.start()
        assert lab.json("webhook", "list") == []
        lab.stop()
        assert queued(lab) == 0
    finally:
        receiver.status = 200
        lab.stop()
    lab.config.write_text(lab.text.replace("agent_auth_failure", "no_such_event"))
    with pytest.raises(RuntimeError, match="webhook.events.*no_such_event"):
        lab.start()
    lab.stop()
    assert receiver.url("/configured") not in lab.log.read_text()  # for many it is as good as a secret


def test_webhooks_of_the_configuration_again(prefix, place, ca):
    """`aegis daemon reload`: one comes, one changes, one gets another secret, one goes."""
    def hook(path, events, secret=SECRET):
        return (f"  - {{url: '{receiver.url(path)}', events: [{events}], secret: {secret},\n"
                "     allow_private: true}\n")

    def write(*hooks):
        lab.config.write_text(lab.text + "\nwebhooks:\n" + "".join(hooks))

    def reload():
        done = lab.json("daemon", "reload")
        assert done["restart"] == []
        return [c.split(" ", 2)[2] for c in done["changed"]]

    receiver = Receiver(ca)
    lab = Lab(prefix, place / "lab", ca=ca, gate="  workers: 1").init()
    write(hook("/one", "agent_auth_failure"))
    lab.start()
    try:
        lab.token = lab.agent("a")
        write(hook("/one", "agent_auth_failure"), hook("/two", "blocked_request"))
        assert reload() == ["(localhost), new"]
        call(lab, "GET", "/nobody/1")
        receiver.wait(event="blocked_request", path="/1")
        # other events; and what was told before goes nowhere any more
        write(hook("/one", "blocked_request"), hook("/two", "blocked_request"))
        assert reload() == ["(localhost)"]
        call(lab, "GET", "/web/x", token="aegis_wrong")
        call(lab, "GET", "/nobody/2")
        end = time.monotonic() + PATIENCE
        while {p for p, m in receiver.got if m["details"].get("path") == "/2"} != {"/one", "/two"}:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert not [m for _, m in receiver.got if m["event"] == "agent_auth_failure"]
        # another secret, also in the worker that runs
        receiver.secret = "another-secret"
        write(hook("/one", "blocked_request", "another-secret"))
        assert reload() == ["(localhost)", "(localhost), gone"]
        call(lab, "GET", "/nobody/3")
        receiver.wait(path="/3")
        (row,) = lab.json("webhook", "list")
        assert row["url"] == receiver.url("/one") and row["events"] == ["blocked_request"]
        while lab.pids("egressd: worker webhook.") != lab.pids(f"egressd: worker webhook.{row['id']}"):
            assert time.monotonic() < end
        # what is wrong changes nothing
        write(hook("/one", "no_such_event", "third"))
        refused = lab.aegis("daemon", "reload", check=False)
        assert refused.returncode == 1 and "no_such_event" in refused.stderr
        write(hook("/one", "blocked_request"), hook("/one", "agent_auth_failure"))
        refused = lab.aegis("daemon", "reload", check=False)
        assert refused.returncode == 1 and "found the url of webhooks[0]" in refused.stderr
        write(hook("/token-of-one#", "blocked_request"))
        refused = lab.aegis("daemon", "reload", check=False)
        assert refused.returncode == 1 and "webhooks[0]" in refused.stderr and "its path has" in refused.stderr
        os.kill(lab.process.pid, signal.SIGHUP)
        while "its path has" not in lab.log.read_text():
            assert time.monotonic() < end + PATIENCE
            time.sleep(0.02)
        write(hook("/one", "blocked_request", "another-secret"))
        refusals = [r["detail"] for r in lab.ledger("--system") if r["event"] == "daemon.reload_refused"]
        assert "its path has" in refusals[-1]
        assert "token-of-one" not in refused.stderr + refusals[-1] + lab.log.read_text()
        call(lab, "GET", "/nobody/4")
        receiver.wait(path="/4")
        # a judge and a vault that come anew know what counts now
        for who in ("keymasterd: judge", "keymasterd: vault"):
            os.kill(lab.pids(who)[0], signal.SIGKILL)
        while call(lab, "GET", "/nobody/5").status_code != 404:
            assert time.monotonic() < end + PATIENCE
            time.sleep(0.05)
        receiver.wait(path="/5")
        assert {p for p, m in receiver.got if m["details"]["path"] in ("/3", "/4", "/5")} == {"/one"}
        write(hook("/one", "blocked_request", "another-secret"))
        told = [r["detail"] for r in lab.ledger("--system") if r["event"] == "daemon.reloaded"]
        assert f"changed: webhook {row['id']} (localhost)" in told[-1]
        assert "another-secret" not in lab.log.read_text() + "".join(told)
    finally:
        lab.stop()
        receiver.stop()

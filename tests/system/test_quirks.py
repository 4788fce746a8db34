# SPDX-License-Identifier: Apache-2.0
"""Faults of the established tool that are not here: what is configured counts, what is sent arrives
as it was sent, what is odd harms nobody. The other ones are shown where their matter is tested;
doc/compatibility.md says where."""

import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest
import requests
from conftest import SECRET, Upstream
from lab import Lab

TOP = Path(__file__).resolve().parents[2]
DENY = "agent: nobody\nrules:\n  - service: none\n"


class Odd(threading.Thread):
    """An upstream that says whatever it is told to, octet by octet, and closes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.says = b""
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                c, _ = self.listener.accept()
                with c, contextlib.suppress(OSError):
                    c.settimeout(5)
                    while b"\r\n\r\n" not in c.recv(65536):
                        pass
                    c.sendall(self.says)


@pytest.fixture(scope="module")
def upstream():
    server = Upstream(lambda r: r.answer())
    yield server
    server.stop()


@pytest.fixture(scope="module")
def odd():
    return Odd()


@pytest.fixture(scope="module")
def lab(prefix, module_place, upstream, odd):
    lab = Lab(prefix, module_place / "lab", gate="  workers: 1\n").init()
    (lab.dir / "policies").mkdir()
    (lab.dir / "policies" / "nobody.yaml").write_text(DENY)
    lab.start()
    for name, port in (("api", upstream.port), ("odd", odd.port), ("away", 1)):
        lab.credential(name, name, SECRET, "127.0.0.1", "--allow-private",
                       "--upstream", f"http://127.0.0.1:{port}")
    lab.credential("ported", "ported", SECRET, f"127.0.0.1:{upstream.port},localhost:{upstream.port}",
                   "--allow-private", "--upstream", "http://")
    lab.token = lab.agent("bot", "api", "odd", "away", "ported")
    yield lab
    lab.stop()


def call(lab, path, method="GET", headers=(), **more):
    return requests.request(method, lab.url + path, timeout=20, **more,
                            headers={"X-Aegis-Agent": lab.token, **dict(headers)})


def raw(lab, octets):
    """All that comes back for these octets, until the gate closes."""
    with socket.create_connection(("127.0.0.1", lab.port), 5) as s:
        s.sendall(octets)
        return b"".join(iter(lambda: s.recv(65536), b""))


def test_what_is_turned_off_is_off(lab):
    """Q1, Q2: authentication and policies, by each of the three ways."""
    lab.stop()
    text = lab.text.replace("gate:\n", "gate:\n  policies_dir: policies\n")
    for off, env, flags in (
            ("  require_agent_auth: false\n  policy_mode: off\n", {}, ()),
            ("", {"AEGIS_REQUIRE_AGENT_AUTH": "false", "AEGIS_POLICY_MODE": "off"}, ()),
            ("", {}, ("--no-agent-auth", "--policy-mode", "off"))):
        lab.config.write_text(text.replace("gate:\n", "gate:\n" + off))
        with subprocess.Popen([lab.bin, "gate", *flags], cwd=lab.dir, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, env={**lab.env, **env}) as gate:
            try:
                assert gate.stdout.readline().startswith("Aegis is ready")
                assert requests.get(lab.url + "/api/x", timeout=20).status_code == 200
                shown = lab.json("status")
                assert shown["policies"] == {"mode": "off"} and shown["require_agent_auth"] is False
            finally:
                gate.terminate()
                gate.wait(20)
    lab.config.write_text(lab.text)
    lab.start()
    assert requests.get(lab.url + "/api/x", timeout=20).status_code == 401


def test_what_init_writes_can_all_be_used(prefix, place):
    """Q5: every key in the file that init writes is one; Q9: its flags stand in any order."""
    where = place
    done = subprocess.run([prefix / "bin" / "aegis", "init", "--env-file", "--generate-cert"], cwd=where, text=True,
                          env={"PATH": "/usr/bin:/bin", "HOME": str(where)}, capture_output=True, timeout=20)
    assert done.returncode == 0 and (where / ".env").exists() and (where / "certs" / "aegis.key").exists()
    shown = subprocess.run([prefix / "bin" / "aegis", "config", "show", "--json"], cwd=where, text=True, timeout=20,
                           capture_output=True, env={"PATH": "/usr/bin:/bin", "HOME": str(where)}, check=True)
    keys = json.loads(shown.stdout)["keys"]
    text, path, used = (where / "aegis.config.yaml").read_text(), [], set()
    for line in text.splitlines():
        if (m := re.fullmatch(r"( *)(?:# ?( *))?([a-z_]+):(?: .*)?", line)) is None:
            continue
        depth = (len(m[1]) + len(m[2] or "")) // 2
        path = [*path[:depth], m[3]]
        used.add(".".join(path))
    leaves = {u for u in used if not any(v.startswith(u + ".") for v in used)}
    assert len(leaves & set(keys)) > 60
    assert not [u for u in leaves - set(keys) if u.split(".")[0] in ("gate", "vault", "observability", "policies")]


def test_each_variable_counts(prefix, place):
    """Flags before variables before .env before the file before the default, and it is said which."""
    manual = (TOP / "doc" / "aegis.config.yaml.5").read_text()
    overrides = re.findall(r"^\.It Ic ([a-z_.]+)\n(?:(?!\.It).*\n)*?\.Pq (.*); overridden by (AEGIS_\w+)$", manual, re.M)
    secret = {"vault.master_key", "vault.master_key_file", "secrets.openbao.addr"}  # these need others
    values = {k: {"boolean": "false", "number": "7", "path": str(place / "x")}.get(kind.split(";")[0], "x")
              for k, kind, _ in overrides if k not in secret}
    values.update({"gate.listen": "127.0.0.2:7777", "gate.policy_mode": "dry-run", "vault.provider": "embedded",
                   "observability.log_level": "debug", "observability.log_format": "logfmt"})
    names = {k: v for k, _, v in overrides}
    assert len(values) >= 15

    def shown(env, *flags):
        done = subprocess.run([prefix / "bin" / "aegis", "config", "show", "--json", *flags], cwd=place, text=True,
                              capture_output=True, timeout=20, env={"PATH": "/usr/bin:/bin", "HOME": str(place), **env})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["keys"]

    (place / "x").mkdir()
    keys = shown({names[k]: v for k, v in values.items()})
    for key, value in values.items():
        got = keys[key]["value"][0] if isinstance(keys[key]["value"], list) else keys[key]["value"]
        if key not in ("gate.listen", "vault.data_dir", "admin.socket"):  # made of others, too
            assert str(got).lower() == value.lower(), key
        assert keys[key]["from"] == "environment", key
    (place / "aegis.config.yaml").write_text("gate:\n  workers: 2\n  policy_mode: off\n  port: 1111\nvault:\n  name: a\n")
    (place / ".env").write_text("AEGIS_WORKERS=3\nAEGIS_POLICY_MODE=dry-run\nAEGIS_VAULT=b\n")
    (place / ".env").chmod(0o600)
    keys = shown({"AEGIS_WORKERS": "4"}, "--data-dir", str(place / "x"))
    assert keys["gate.workers"] == {"value": 4, "from": "environment"}
    assert keys["gate.policy_mode"] == {"value": "dry-run", "from": ".env"}
    assert keys["gate.port"] == {"value": 1111, "from": "file"}
    assert keys["gate.max_body_size"]["from"] == "default"
    assert keys["vault.data_dir"]["from"] == "flag" and keys["vault.name"]["value"] == "b"


def test_a_key_that_was_given_is_the_vaults(lab):
    """Q7: vault create --master-key."""
    key = "5e" * 32
    lab.aegis("vault", "create", "--name", "given", "--master-key", "-", stdin=key)
    (lab.data / "vaults" / "given" / ".master-key").unlink(missing_ok=True)
    own = {"AEGIS_VAULT": "given", "AEGIS_CONFIG": str(lab.dir / "given.yaml")}
    (lab.dir / "given.yaml").write_text(f"vault:\n  data_dir: {lab.data}\n")
    assert lab.aegis("vault", "list", env={**own, "AEGIS_MASTER_KEY": key}).returncode == 0
    done = lab.aegis("vault", "list", env={**own, "AEGIS_MASTER_KEY": "5f" * 32}, check=False)
    assert done.returncode == 1 and "Invalid master key" in done.stderr


def test_domains_with_ports(lab, upstream):
    """Q10: they can be reached; Q21: of several none is chosen for the agent."""
    for host in ("127.0.0.1", "localhost"):
        assert call(lab, "/ported/x", headers={"X-Target-Host": f"{host}:{upstream.port}"}).status_code == 200
        assert upstream.seen[-1][2]["Host"] == f"{host}:{upstream.port}"
    before = len(upstream.seen)
    answer = call(lab, "/ported/x")
    assert answer.status_code == 400 and answer.json()["error"] == "X-Target-Host is required"
    assert answer.json()["allowed"] == [f"127.0.0.1:{upstream.port}", f"localhost:{upstream.port}"]
    row, = lab.rows_of(answer.headers["X-Aegis-Request-Id"])
    assert (row["code"], row["agent"], row["credential"]) == ("target_missing", "bot", "ported")
    assert call(lab, "/ported/x", headers={"X-Target-Host": "127.0.0.1"}).status_code == 403
    assert len(upstream.seen) == before


@pytest.mark.parametrize("path", ["/a/", "/a//b", "/a//", "/a/?b=//c/", "/", ""])
def test_a_path_arrives_as_it_was_sent(lab, upstream, path):
    """Q11: slashes are part of it."""
    answer = raw(lab, f"GET /api{path} HTTP/1.1\r\nHost: x\r\nX-Aegis-Agent: {lab.token}\r\n"
                 "Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert upstream.seen[-1][1] == (path or "/")


def test_an_old_client_gets_no_chunks(lab, odd):
    """Q14: HTTP/1.0 has none, whatever the upstream's framing is."""
    odd.says = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 20000 + b"0\r\n\r\n")
    answer = raw(lab, f"GET /odd/x HTTP/1.0\r\nX-Aegis-Agent: {lab.token}\r\n\r\n".encode())
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b"chunked" not in head.lower() and body == b"hello" * 20000


def test_a_body_arrives_as_it_was_sent(lab, upstream):
    """Q17: chunks, and what is too long is refused and not merely not looked at."""
    answer = call(lab, "/api/x", "POST", data=iter([b"one", b"two"]))
    assert answer.status_code == 200 and upstream.seen[-1][3] == b"onetwo"
    before = len(upstream.seen)
    answer = call(lab, "/api/x", "POST", data=b"x" * ((1 << 20) + 1))
    assert answer.status_code == 413 and len(upstream.seen) == before
    row = lab.rows_of(answer.headers["X-Aegis-Request-Id"])[0]
    # Q19
    assert (row["decision"], row["agent"], row["credential"]) == ("blocked", "bot", "api")


def test_who_is_away_has_blocked_nothing(lab):
    """Q19, Q20: what fails at the upstream was allowed, by whom is said, and it failed."""
    blocked = lab.json("ledger", "stats")["blocked"]
    answer = call(lab, "/away/x")
    assert answer.status_code == 502
    decision, completion = lab.rows_of(answer.headers["X-Aegis-Request-Id"])
    assert (decision["decision"], decision["agent"], decision["credential"]) == ("allowed", "bot", "away")
    assert completion["kind"] == "completion" and completion["reason"] == "upstream_unreachable"
    assert completion["agent"] == "bot" and completion["status"] == 502
    assert lab.json("ledger", "stats")["blocked"] == blocked


def test_a_row_names_the_service_once(lab):
    """Q23: also of one that nobody knows."""
    answer = call(lab, "/zzz/y?q=1")
    assert answer.status_code == 404
    row, = lab.rows_of(answer.headers["X-Aegis-Request-Id"])
    line = next(x for x in lab.aegis("ledger", "show", "--blocked").stdout.splitlines() if "zzz" in x)
    assert "GET zzz/y [404] [bot]" in line and "zzz/zzz" not in line, (line, row)


def test_a_lock_of_somebody_else_stops_nothing(lab):
    """Q24: a request writes nothing into the database."""
    db = sqlite3.connect(lab.data / "judge" / "judge.db", timeout=1, isolation_level=None)
    try:
        with contextlib.suppress(sqlite3.OperationalError):
            db.execute("BEGIN EXCLUSIVE")
        assert [call(lab, "/api/x").status_code for _ in range(5)] == [200] * 5
        assert lab.pids("keymasterd: judge")
    finally:
        db.close()
    assert call(lab, "/api/x").status_code == 200


@pytest.mark.parametrize("request_head,says,status", [
    ("Trailer: X-Sum\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
    ("", b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nok", 200),
    ("", b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok", 502),
    ("", b"HTTP/1.1 42 Odd\r\nContent-Length: 2\r\n\r\nok", 502),
    ("", b"HTTP/1.1 1000 Odd\r\nContent-Length: 2\r\n\r\nok", 502),
    ("", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 502),
    ("", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", 502),
    ("", b"", 502),
])
def test_an_odd_message_harms_nobody(lab, odd, request_head, says, status):
    """Q25, and others of its kind: the next request is answered by the same processes."""
    before = {p for title in ("gated: gate", "keymasterd: judge", "egressd: worker odd") for p in lab.pids(title)}
    odd.says = says
    answer = raw(lab, f"GET /odd/x HTTP/1.1\r\nHost: x\r\nX-Aegis-Agent: {lab.token}\r\n{request_head}"
                 "Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert call(lab, "/api/x").status_code == 200
    assert before <= {p for title in ("gated: gate", "keymasterd: judge", "egressd: worker odd")
                      for p in lab.pids(title)}


def test_what_has_expired_can_be_revived(lab, odd):
    """Q26: by update and by rotate, and the grants stay."""
    odd.says = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    lab.stop()
    with contextlib.closing(sqlite3.connect(lab.data / "judge" / "judge.db")) as db, db:
        assert db.execute("UPDATE credentials SET expires_at = 1000 WHERE name IN ('api', 'odd')").rowcount == 2
    lab.start()
    for name, change in (("api", ("update",)), ("odd", ("rotate", "--secret-stdin"))):
        answer = call(lab, f"/{name}/x")
        assert answer.status_code == 403 and answer.json()["error"] == "Credential has expired"
        assert f"aegis vault rotate --name {name} --ttl <days>" in answer.json()["hint"]
        lab.aegis("vault", change[0], "--name", name, *change[1:], "--ttl", "30", stdin=SECRET)
        assert call(lab, f"/{name}/x").status_code == 200

# SPDX-License-Identifier: Apache-2.0
"""The master key in shares: split, seal under load, look for every secret in the memory of every
process, start again while sealed, unseal with any shares that suffice and with none that do not.

As in test_canary.py memfd_secret(2) is taken away, so that there is something to see."""

import hashlib
import json
import os
import pty
import re
import secrets
import shutil
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import procs
import pytest
import requests
from lab import Lab
from memory import forms, scan_files, scan_processes

LIB = Path(__file__).parents[1] / "lib"
SECRET, OF_TOOL = (f"sk-{name}-{secrets.token_hex(12)}" for name in ("api", "tool"))
HINT = "aegis vault unseal"
SEALED = "The vault is sealed"


def wait_until(what, seconds=10):
    end = time.monotonic() + seconds
    while not (got := what()):
        assert time.monotonic() < end, "it does not come to be"
        time.sleep(0.01)
    return got


class Site:
    """An API, a tool server with a secret, an agent; with the eyes of root."""

    def __init__(self, prefix, place, upstream):
        self.upstream = upstream
        program = place / "echo_tool.py"
        shutil.copy(LIB / "echo_tool.py", program)
        program.chmod(0o755)
        tools = f"""\
tools:
  mcp_servers:
    - name: echo
      executable: /usr/bin/python3
      args: ["{program}"]
      paths: ["{program}"]
      capabilities: [echo]
      credentials:
        PLANTED: "secret:tool"
"""
        self.lab = lab = Lab(prefix, place / "aegis", tools=tools)
        lab.init()
        self.key = (lab.data / ".master-key").read_text().strip()
        self.program = lab.bin
        self.gate = place / "gate"
        self.gate.write_text(f'#!/bin/sh\nexec {sys.executable} {LIB}/hide_memfd_secret.py {lab.bin} "$@"\n')
        self.gate.chmod(0o755)
        for name, secret in (("api", SECRET), ("tool", OF_TOOL)):
            lab.credential(name, name, secret, f"127.0.0.1:{upstream.port}", "--upstream",
                           f"http://127.0.0.1:{upstream.port}", "--allow-private")
        self.start()
        self.token = lab.agent("bot", "api")
        self.operator = lab.json("operator", "token", "--role", "admin", "--ttl", "1h")["token"]

    def start(self):
        self.lab.bin = self.gate
        try:
            self.lab.start()
        finally:
            self.lab.bin = self.program

    def restart(self):
        self.lab.stop()
        self.start()

    def get(self, path="/api/x", **kw):
        return requests.get(self.lab.url + path, headers={"X-Aegis-Agent": self.token}, timeout=10, **kw)

    def serves(self):
        answer = self.get()
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    def unseal(self, *shares, how="stdin"):
        if how == "flags":
            args = [x for s in shares for x in ("--key-share", s)]
            return self.lab.aegis("vault", "unseal", *args, check=False)
        return self.lab.aegis("vault", "unseal", stdin="\n".join(shares) + "\n", check=False)

    def split(self, threshold, shares, *flags, stdin=None):
        done = self.lab.aegis("vault", "split", "-t", threshold, "-s", shares, "--json", *flags, stdin=stdin)
        got = json.loads(done.stdout)
        assert got["threshold"] == threshold and len(got["shares"]) == len(set(got["shares"])) == shares
        return got["shares"]

    def needles(self):
        raw = bytes.fromhex(self.key)
        found = {f"{n}/{f}": x for n, s in (("api", SECRET), ("tool", OF_TOOL)) for f, x in forms(s).items()
                 if f in ("plain", "hex", "base64-0", "base64-1", "base64-2", "reversed")}
        return {**found, "key/text": self.key.encode(), "key/TEXT": self.key.upper().encode(),
                "key/raw": raw, "key/front": raw[:16], "key/back": raw[16:],
                "key/text-front": self.key[:32].encode(), "key/text-back": self.key[32:].encode()}

    def seen(self, more=None):
        """{(role, needle)}: what is in the memory of which process."""
        while True:
            pids = {pid: role for role, pids in procs.by_role(self.lab).items() for pid in pids}
            try:
                found = scan_processes(pids, {**self.needles(), **(more or {})})
            except (FileNotFoundError, ProcessLookupError):
                continue  # one was ending: all once more
            return {(pids[pid], name) for pid, hits in found.items() for name in hits}

    def key_descriptors(self):
        return {(role, what) for role, pids in procs.by_role(self.lab).items() for pid in pids
                for what in procs.descriptors(pid).values() if "master-key" in what}


@pytest.fixture(scope="module")
def upstream_server():
    from conftest import Upstream

    def respond(r):
        if r.path == "/slow":
            time.sleep(0.3)
        good = r.headers.get("authorization") == f"Bearer {SECRET}"
        r.answer(200 if good else 403)

    server = Upstream(respond)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def site(prefix, module_place, upstream_server):
    s = Site(prefix, module_place, upstream_server)
    yield s
    s.lab.stop()


@pytest.fixture(scope="module")
def shares(site):
    return site.split(3, 5)


def test_without_shares_it_is_not_sealed(site):
    done = site.lab.aegis("vault", "seal", check=False)
    assert done.returncode == 3 and "Key splitting is not configured" in done.stderr
    assert site.serves()
    done = site.unseal("aegis_share_01_00")
    assert done.returncode == 3 and "The vault is not sealed." in done.stderr


@pytest.mark.parametrize("threshold,number,why", [
    (1, 5, "one alone is the key"), (6, 5, "more shares would be needed than there are"),
    (2, 256, "255 shares at most"), (0, 0, "one alone is the key")])
def test_numbers_that_cannot_be(site, threshold, number, why):
    done = site.lab.aegis("vault", "split", "-t", threshold, "-s", number, check=False)
    assert done.returncode == 3 and why in done.stderr and "aegis_share" not in done.stdout


def test_shares_are_shown_once_and_kept_nowhere(site, shares):
    more = {f"share {i}": s.encode() for i, s in enumerate(shares)}
    more |= {f"octets {i}": bytes.fromhex(s[27:91]) for i, s in enumerate(shares)}
    more |= {f"digits {i}": s[27:91].encode() for i, s in enumerate(shares)}
    assert not [n for _, n in site.seen(more) if n.split()[0] in ("share", "octets", "digits")]
    assert not scan_files(site.lab.dir, more)
    kept = site.lab.data / "vault" / "default.split"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and kept.stat().st_size == 26 + 5 * 32
    checks = {c["check"]: c for c in site.lab.json("doctor")}
    assert checks["master key"]["result"] == "warn" and "shares" in checks["master key"]["detail"]
    assert "3 of 5" in site.lab.aegis("status").stdout
    assert site.serves(), "a split changes nothing else"


def test_sealed_under_load(site, shares):
    lab = site.lab
    wait_until(site.serves)
    wait_until(lambda: procs.by_role(lab).get("server"))
    assert {("worker", "api/plain"), ("server", "environ: tool/plain")} <= site.seen(), "the search sees nothing"
    assert {role for role, _ in site.key_descriptors()} == {"master"}
    answers, stop = [], threading.Event()

    def agent(path):
        with requests.Session() as session:
            while not stop.is_set():
                begun = time.monotonic()
                try:
                    r = session.get(lab.url + path, headers={"X-Aegis-Agent": site.token}, timeout=10)
                    answers.append((begun, r.status_code, r.text))
                except requests.ConnectionError:
                    answers.append((begun, 0, ""))

    threads = [threading.Thread(target=agent, args=(path,)) for path in ("/api/x", "/api/x", "/api/slow", "/api/slow")]
    for t in threads:
        t.start()
    wait_until(lambda: len(answers) > 50)
    done = lab.aegis("vault", "seal")
    sealed_at = time.monotonic()
    assert HINT in done.stdout and ".master-key in the data directory" in done.stdout
    wait_until(lambda: sum(begun > sealed_at for begun, *_ in answers) > 50)
    stop.set()
    for t in threads:
        t.join()
    before = {status for begun, status, _ in answers if begun <= sealed_at}
    after = {status for begun, status, _ in answers if begun > sealed_at}
    assert before == {200, 503}, "those under way, too"
    assert after == {503}
    told = [json.loads(text) for _, status, text in answers if status == 503]
    assert all((t["error"], t["status"]) == (SEALED, "sealed") and HINT in t["hint"] for t in told), told

    # who had secrets is gone, and nobody else has any
    children = lab.children().values()
    assert not [c for c in children if "worker" in c or "toolexec" in c or "echo_tool" in c], children
    wait_until(lambda: {"master", "gate", "judge", "vault", "toolhost", "dispatcher"} <= set(procs.by_role(lab)))
    assert not site.seen()
    assert not site.key_descriptors()
    assert scan_files(lab.dir, site.needles()).keys() == {str(lab.data / ".master-key")}
    events = [r["event"] for r in lab.ledger() if "event" in r]
    assert events.count("vault.split") == events.count("vault.split.given") == 1
    assert events[-2:] == ["vault.seal", "vault.sealed"] or "vault.sealed" in events
    lab.aegis("ledger", "verify")


def test_every_request_is_refused_while_sealed(site):
    """Whatever was asked for: 503, JSON, what is the matter, and what to do."""
    for method, path in (("GET", "/api/x"), ("POST", "/api/x"), ("GET", "/nothing"), ("GET", "/"),
                         ("POST", "/v1/seal/invoke"), ("POST", "/v1/seal/attest"), ("GET", "/v1/services"),
                         ("GET", "/v1/health"), ("GET", "/.well-known/jwks.json"), ("POST", "/mcp"),
                         ("GET", "/health"), ("GET", "/_aegis/health"), ("POST", "/cluster/attest")):
        r = requests.request(method, site.lab.url + path, timeout=10, data=b"{}" if method == "POST" else None,
                             headers={"X-Aegis-Agent": site.token, "Content-Type": "application/json"})
        assert r.status_code == 503, (method, path, r.status_code, r.text)
        assert SEALED in json.dumps(r.json()) and HINT in json.dumps(r.json()), (path, r.text)
    numbers = requests.get(site.lab.url + "/_aegis/metrics", headers={"Authorization": f"Bearer {site.operator}"})
    assert numbers.status_code == 200 and "\naegis_vault_sealed 1\n" in numbers.text
    assert "Sealed         yes" in site.lab.aegis("status").stdout

    def rows(path):  # more than 20 in a second are one row
        requests.post(site.lab.url + path, timeout=10)
        return [r for r in site.lab.ledger() if r.get("path") == path and r.get("reason", "").startswith(SEALED)]

    for path in ("/api/x", "/mcp", "/v1/services", "/v1/seal/invoke"):
        assert {r["status"] for r in wait_until(lambda p=path: rows(p))} == {503}


def test_what_the_command_line_says_while_sealed(site):
    lab = site.lab
    assert lab.json("vault", "list"), "what is no secret can be read"
    done = lab.aegis("vault", "add", "--name", "x", "--service", "x", "--domains", "x.example", "--secret-stdin",
                     stdin="y", check=False)
    assert done.returncode != 0 and "sealed" in done.stderr and HINT in done.stderr
    for command in (("vault", "seal"), ("vault", "split")):
        done = lab.aegis(*command, check=False)
        assert done.returncode == 3 and "sealed" in done.stderr and "aegis_share" not in done.stdout, done.stderr
    checks = {c["check"]: c for c in json.loads(lab.aegis("doctor", "--json", check=False).stdout)}
    assert checks["vault"]["result"] == "warn" and HINT in checks["vault"]["detail"]


def test_the_configuration_can_be_read_again(site):
    site.lab.aegis("daemon", "reload")
    assert not site.serves()


def test_a_person_types_it_unseen(site, shares):
    """At a terminal: asked for, not shown, and Enter ends."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(str(site.lab.bin), ["aegis", "vault", "unseal"], site.lab.env)
    shown = b""
    for prompt, typed in ((b"Share 1 of 3", mistyped(shares[0])), (b"Share 1 of 3", "")):
        while not shown.rstrip().endswith(b"(Enter ends):"):
            shown += os.read(terminal, 1000)
        assert prompt in shown
        os.write(terminal, typed.encode() + b"\n")
        seen, shown = shown, b""
    try:
        while chunk := os.read(terminal, 1000):
            shown += chunk
    except OSError:
        pass  # the other end is closed
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert b"mistyped" in seen and mistyped(shares[0])[27:].encode() not in seen + shown
    assert not site.serves()


def mistyped(share):
    return share[:50] + ("0" if share[50] != "0" else "1") + share[51:]


def test_wrong_shares_lose_nothing(site, shares, prefix):
    other = forged(prefix, shares[0])
    done = site.unseal(shares[0], mistyped(shares[1]), shares[0], other, "hello", shares[1][:-1])
    assert done.returncode == 3 and "1 of 3 shares" in done.stdout and "2 of 3" not in done.stdout
    for why in ("mistyped", "brought already", "of another split", "not a share", "not whole",
                "What was brought before still counts"):
        assert why in done.stderr, done.stderr
    assert not any(s[27:] in done.stdout + done.stderr for s in (*shares, other)), "it shows a share"
    assert not site.serves()
    done = site.unseal(shares[4], how="flags")
    assert done.returncode == 0 and "2 of 3 shares" in done.stdout and "1 more is needed" in done.stdout
    assert "warning: what is on the command line" in done.stderr
    assert not site.serves(), "two are not enough"
    rows = [r for r in site.lab.ledger() if r.get("event", "").startswith("unseal.")]
    assert [r["event"] for r in rows].count("unseal.share") == 2
    assert [r["event"] for r in rows].count("unseal.refused") == 6, "and one that a person typed"
    assert all("uid 0" in r["peer"] for r in rows)


def forged(prefix, share):
    """A share of another split of another key; its checksum is right."""
    other = f"{'0' if share[19] != '0' else '1'}{share[20:91]}"
    raw = bytes.fromhex(share[12:14] + share[15:19] + other)
    check = hashlib.blake2b(b"aegis-share-check-1" + raw, digest_size=32).digest()[:4]
    return share[:15] + share[15:19] + other + check.hex()


def test_a_restart_does_not_open_it(site, shares):
    """Not although the key is still in its file: sealed is sealed. The shares brought so far are gone."""
    assert (site.lab.data / ".master-key").exists()
    site.restart()
    assert "The vault is sealed" in site.lab.log.read_text().rsplit("is ready on", 1)[1]
    assert not site.serves() and not site.seen()
    for role in ("vault", "judge"):
        old = procs.by_role(site.lab)[role][0]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda r=role, o=old: procs.by_role(site.lab).get(r, [o]) != [o])
    wait_until(lambda: site.get().status_code == 503 and SEALED in site.get().text)
    done = site.unseal(*shares[1:3])
    assert "1 of 3" in done.stdout and "2 of 3" in done.stdout and not site.serves()
    done = site.unseal(shares[3])
    assert done.returncode == 0 and "3 of 3" in done.stdout and "serves again" in done.stdout
    assert site.get().status_code == 200
    assert not (site.lab.data / ".sealed").exists()
    # the master lends it, and nobody keeps a copy
    assert not [n for _, n in site.seen() if n.startswith("key/")]
    assert {role for role, _ in site.key_descriptors()} == {"master"}
    # with the key, as before: a vault that dies has it again
    os.kill(procs.by_role(site.lab)["vault"][0], signal.SIGKILL)
    wait_until(lambda: site.lab.aegis("vault", "rotate", "--name", "tool", "--secret-stdin", stdin=OF_TOOL,
                                      check=False).returncode == 0)
    wait_until(lambda: procs.by_role(site.lab).get("server"))
    events = [r["event"] for r in site.lab.ledger() if "event" in r]
    assert "vault.unsealed" in events and "key.changed" not in events
    site.lab.aegis("ledger", "verify")


def test_with_shares_only(site, shares):
    """The key leaves its file: from then on nobody has it alone."""
    lab = site.lab
    new = lab.aegis("vault", "split", "--threshold", "2", "--shares", "3", "--remove-key", check=False,
                    stdin="\n".join(shares[2:5]))
    assert new.returncode == 0, new.stderr
    assert "needs as many of them" not in new.stdout and "The key is gone" in new.stdout
    new = [x.strip() for x in new.stdout.splitlines() if x.startswith("  aegis_share_")]
    assert len(new) == 3 and not (lab.data / ".master-key").exists()
    assert not scan_files(lab.dir, site.needles()), "it is written nowhere"
    lab.aegis("daemon", "reload")
    assert site.serves(), "the gate has it still"
    site.restart()
    assert not site.serves()
    site.new = new
    done = site.unseal(shares[0], new[2])
    assert "of another split" in done.stderr and "1 of 2" in done.stdout and not site.serves()
    done = site.unseal(new[0], how="flags")
    assert done.returncode == 0 and site.get().status_code == 200
    assert not scan_files(lab.dir, site.needles()), "it is written nowhere"
    # one administrator alone cannot have it out of the open vault
    done = lab.aegis("vault", "split", "-t", "2", "-s", "2", stdin="", check=False)
    assert done.returncode == 3 and "Not enough shares. Provided 0, need 2." in done.stderr
    assert "aegis_share" not in done.stdout
    lab.aegis("vault", "seal")
    assert not site.serves() and not site.seen()


def test_without_a_gate(site):
    """Commands that start a keymaster of their own find a sealed one; unsealing needs a gate."""
    lab = site.lab
    lab.stop()
    assert lab.json("vault", "list")
    done = site.unseal("x")
    assert done.returncode == 4 and "aegis gate" in done.stderr
    assert "sealed" in lab.aegis("vault", "rotate", "--name", "api", "--secret-stdin", stdin="x", check=False).stderr


def test_each_vault_has_its_own(site):
    lab = site.lab
    lab.aegis("vault", "create", "--name", "other", check=False)
    env = {"AEGIS_VAULT": "other"}
    done = lab.aegis("vault", "split", "-t", "2", "-s", "2", "--json", env=env)
    mine = json.loads(done.stdout)["shares"]
    listed = {v["name"]: v["sealed"] for v in lab.json("vault", "vaults")}
    assert listed == {"default": True, "other": False}
    lab.aegis("vault", "seal", env=env)
    assert (lab.data / "vaults" / "other" / ".sealed").exists()
    assert len(mine) == 2 and not (lab.data / "vaults" / "other" / "vault" / "default.split").exists()
    assert re.search(r"^other .*sealed$", lab.aegis("vault", "vaults").stdout, re.M)


def test_a_backup_has_no_share_and_opens_with_shares(site, place):
    """Of a vault whose key lies nowhere; brought back elsewhere it is sealed."""
    lab = site.lab
    lab.aegis("db", "backup", "-o", place / "saved")
    assert (place / "saved" / "default.split").exists() and not scan_files(place / "saved", site.needles())
    lab.aegis("db", "restore", "--input", place / "saved", "--data-dir", place / "new")
    other = lab.aegis("key", "where", "--data-dir", place / "new")
    assert "in shares" in other.stdout
    assert lab.aegis("vault", "list", "--data-dir", place / "new").stdout


def test_the_key_leaves_dotenv_alone(prefix, place):
    """What else is in the file stays; without a file of ours nothing is changed, and no share is shown."""
    lab = Lab(prefix, place / "dotenv")
    lab.aegis("init", "--env-file", "--data-dir", lab.data, env={"AEGIS_CONFIG": ""})
    lab.config.write_text(lab.text)
    dotenv = lab.dir / ".env"
    key = dotenv.read_text().strip()
    dotenv.write_text(f"# ours\nOTHER=1\n{key}\nAEGIS_MASTER_KEY_X=2\n")
    done = lab.aegis("vault", "split", "--remove-key", env={"AEGIS_MASTER_KEY": key.split("=")[1]}, check=False)
    assert done.returncode == 3 and "remove it by hand" in done.stderr and not done.stdout
    done = lab.aegis("vault", "split", "--remove-env-key")
    assert done.stdout.count("aegis_share_") == 5, "five, of which three, when nothing is said"
    assert "Any 3 of these 5" in done.stdout
    assert dotenv.read_text() == "# ours\nOTHER=1\nAEGIS_MASTER_KEY_X=2\n" and stat.S_IMODE(dotenv.stat().st_mode) == 0o600
    assert "sealed" in lab.aegis("vault", "add", "-n", "x", "-s", "x", "-d", "x.example", "--secret-stdin", stdin="y",
                                 check=False).stderr


def test_whom_it_takes_once_there_are_users(site):
    """To seal and to split a role; to unseal enough shares, and nothing else."""
    lab = site.lab
    site.start()
    ada = {"AEGIS_USER_TOKEN": lab.json("user", "add", "--name", "ada", "--role", "admin")["token"]}
    done = lab.aegis("user", "add", "--name", "otto", "--role", "operator", "--json", env=ada)
    otto = {"AEGIS_USER_TOKEN": json.loads(done.stdout)["token"]}
    assert "serves again" in site.unseal(*site.new[:2]).stdout and site.get().status_code == 200
    for who in ({}, otto):
        for command in (("vault", "seal"), ("vault", "split", "-t", "2", "-s", "2", "--key-share", site.new[0],
                                            "--key-share", site.new[2])):
            done = lab.aegis(*command, env=who, check=False)
            assert done.returncode == 3 and "aegis_share" not in done.stdout, (command, done)
    assert site.serves()
    lab.aegis("vault", "seal", env=ada)
    assert not site.serves()
    denied = [r for r in json.loads(lab.aegis("ledger", "show", "-n", "200", "--json", env=ada).stdout)
              if r.get("event") == "admin.denied"]
    assert len(denied) == 4 and {r["reason"].split(":")[0] for r in denied} == {"vault_seal", "vault_split"}
    lab.stop()

# SPDX-License-Identifier: Apache-2.0
"""Where secrets are (goals S4, S5): planted credentials, thousands of calls of every kind, then
a search of all memory, files, arguments, environments and answers.

The search looks with root's eyes. So that there is something to see, memfd_secret(2) is
taken away in the first test: secrets lie in ordinary locked memory then, as on a kernel
without it. The second test has it, and finds nothing at all."""

import base64
import glob
import json
import os
import random
import resource
import secrets
import signal
import socket
import string
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import ledgerdb
import procs
import pytest
import requests
from conftest import contexts_yaml, tools_yaml
from lab import Lab
from memory import forms, scan_files, scan_processes
from seal_client import SealClient

CALLS = int(os.environ.get("AEGIS_CANARY_CALLS", "3000"))
THREADS = 8
AUTH = ("bearer", "header", "basic", "query")
ODD = string.ascii_letters + string.digits + string.punctuation
IDLE_S = 4


def odd(length):
    return "".join(secrets.choice(ODD) for _ in range(length))


# How every planted secret of this run begins and ends: what has no form of either need not
# be searched for each of them.
BEGIN, END = odd(9), odd(9)
MARKS = [x for mark in (BEGIN, END) for x in forms(mark).values()]


def planted(length):
    return BEGIN + odd(length - len(BEGIN + END)) + END


def needles_of(named):
    """Every form of every value, and its halves: freed memory is overwritten from the front."""
    found = {}
    for name, value in named.items():
        for form, octets in forms(value).items():
            found[f"{name}/{form}"] = octets
        raw = value.encode()
        half = max(len(raw) // 2, len(BEGIN) + 6)
        found[f"{name}/front"], found[f"{name}/back"] = raw[:half], raw[-half:]
    return found


def tokens_of(named):
    return {f"{name}/plain": value.encode() for name, value in named.items()}


class Hits:
    """What a search found: by_name[name] = {form: copies}."""

    def __init__(self, hits):
        self.by_name = {}
        for needle, n in hits.items():
            name, form = needle.rsplit("/", 1)
            self.by_name.setdefault(name, {})[form] = n

    def copies(self, name):
        """Plain copies, whole or half."""
        found = self.by_name.get(name, {})
        return max((found.get(f, 0) for f in ("plain", "front", "back")), default=0)

    def encoded(self, name):
        return {f: n for f, n in self.by_name.get(name, {}).items()
                if f not in ("plain", "front", "back")}

    def but(self, *names):
        return {k: v for k, v in self.by_name.items() if k.removeprefix("environ: ") not in names}


def search(pids, needles):
    marks = [*MARKS, *(x for n, x in needles.items() if n.startswith(("key", "token", "seal")))]
    return {pid: Hits(h) for pid, h in scan_processes(pids, needles, marks).items()}


def plain_in_request(auth, r):
    """The secret as the upstream got it."""
    if auth == "bearer":
        return r.headers["Authorization"].removeprefix("Bearer ")
    if auth == "header":
        return r.headers["X-Secret-Key"]
    if auth == "basic":
        return base64.b64decode(r.headers["Authorization"].removeprefix("Basic ")).decode()
    return unquote(urlsplit(r.path).query.rsplit("api_key=", 1)[1])


class Site:
    """Credentials, agents, tools; one upstream for all that behaves as the path asks it to."""

    def __init__(self, lab, upstream, workspace):
        self.lab, self.workspace = lab, workspace
        self.wrong, self.old, self.tokens, self.leaks = [], {}, [], []
        self.served, self.lock, self.go = Counter(), threading.Lock(), threading.Event()
        self.upstream = upstream(self.respond)
        self.upstream.handle_error = lambda *_: None  # agents that go, workers that hang up
        self.secrets = {f"c{i}": planted(random.randint(20, 80)) for i in range(12)}
        self.auth = {f"c{i}": AUTH[i % 4] for i in range(12)}
        self.secrets["tool"] = planted(48)
        self.auth["tool"] = "bearer"
        self.acceptable = {n: {s} for n, s in self.secrets.items()}
        here = f"127.0.0.1:{self.upstream.port}"
        for name, secret in self.secrets.items():
            flags = {"header": ["--header-name", "X-Secret-Key"],
                     "query": ["--query-param", "api_key"]}.get(self.auth[name], [])
            lab.credential(name, name, secret, here, "--auth-type", self.auth[name], *flags,
                           "--upstream", f"http://{here}", "--allow-private")

    def start(self):
        self.lab.start()
        mine = sorted(self.secrets)[:-1]
        self.tokens = [self.lab.agent(f"agent{i}", *mine, contexts=["reader"]) for i in range(3)]
        self.clients = [SealClient(self.lab.url, t, "reader") for t in self.tokens]
        for c in self.clients:
            c.attest()
        end = time.monotonic() + 20
        while True:
            try:
                assert self.clients[0].call("get-sum", {"a": 1, "b": 1})
                return self
            except Exception:
                assert time.monotonic() < end, "the tool server does not come"
                time.sleep(0.1)

    def named_secrets(self):
        return {**self.secrets, **self.old}

    def agents_tokens(self):
        return {**{f"token{i}": t for i, t in enumerate(self.tokens)},
                **{f"seal{i}": c.token for i, c in enumerate(self.clients)}}

    # -- the upstream --

    def respond(self, r):
        _, what, name, *rest = urlsplit(r.path).path.split("/")
        with self.lock:
            self.served[what] += 1
        got = plain_in_request(self.auth[name], r)
        if got not in self.acceptable[name]:
            self.wrong.append((name, self.auth[name], got))
        if what == "echo":
            spelled = forms(got)[rest[0]]
            return r.answer(200, b'{"you sent": "' + spelled + b'"}')
        if what == "echohead":
            return r.answer(200, b"{}", [("X-Echo", got)])
        if what == "echobig":
            return r.answer(200, b"." * 100_000 + got.encode() + b"." * 100_000)
        if what == "slow":
            self.go.wait(3)
            try:
                return r.answer()
            except OSError:
                return None  # the agent went, so the worker hung up
        if what == "fail":
            r.close_connection = True
            return r.connection.shutdown(socket.SHUT_RDWR)
        if what == "half":
            r.send_response(200)
            r.send_header("content-length", "100000")
            r.end_headers()
            r.wfile.write(b"x" * 30_000)
            r.close_connection = True
            return r.connection.shutdown(socket.SHUT_RDWR)
        if what == "error":
            return r.answer(500, b'{"error": "Authorization: [hidden], try again"}')
        if what == "big":
            return r.answer(200, b"b" * 1_500_000)
        return r.answer(200, r.body or b'{"ok": true}')

    # -- the agents --

    def look(self, octets, what):
        if any(mark in octets for mark in MARKS):
            self.leaks += [(what, n) for n, x in self.needles.items() if x in octets]

    def call(self, rng, session):
        token, name = rng.choice(self.tokens), f"c{rng.randrange(12)}"
        what = rng.choices(
            ("ok", "post", "query", "echo", "echohead", "echobig", "fail", "half", "error", "big",
             "slow", "nobody", "noservice", "foreign", "host", "traversal", "toolcred", "tool",
             "toolenv", "denied", "tampered", "garbage"),
            (30, 6, 6, 5, 2, 1, 3, 2, 3, 2, 2, 3, 3, 2, 3, 3, 2, 8, 1, 3, 3, 2))[0]
        url, headers, method, body = f"/{name}/ok/{name}", {"X-Aegis-Agent": token}, "GET", None
        if what in ("tool", "toolenv", "denied", "tampered", "garbage"):
            return what, self.seal(rng, what)
        if what == "slow":
            return what, self.cancelled(f"/{name}/slow/{name}", token, rng.uniform(0.02, 0.3))
        if what in ("fail", "half", "error", "big", "echohead", "echobig"):
            url = f"/{name}/{what}/{name}"
        elif what == "echo":
            # the usual spellings; who wants to give its own secret away will find another one
            spelling = rng.choice([f for f in forms(self.secrets[name])
                                   if f not in ("utf-16", "reversed")])
            url = f"/{name}/echo/{name}/{spelling}"
        elif what == "query":
            url += "?q=" + "v" * rng.randrange(2000)
        elif what == "post":
            method, body = "POST", os.urandom(rng.choice((10, 1000, 24_000, 25_000, 300_000)))
        elif what == "nobody":
            headers = rng.choice(({}, {"X-Aegis-Agent": "aegis_" + "0" * 36 + "_" + "0" * 16}))
        elif what == "noservice":
            url = "/nosuch/x"
        elif what == "foreign":
            headers["Authorization"] = "Bearer mine"
        elif what == "host":
            headers["X-Target-Host"] = "evil.example.com"
        elif what == "traversal":
            url = f"/{name}/%2e%2e/x"
        elif what == "toolcred":
            url = "/tool/ok/tool"
        answer = session.request(method, self.lab.url + url, headers=headers, data=body, timeout=20)
        self.look(answer.content + str(answer.headers).encode(), what)
        assert what != "post" or answer.content == body or answer.status_code != 200
        return what, answer.status_code

    def cancelled(self, path, token, seconds):
        with socket.create_connection(("127.0.0.1", self.lab.port)) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Aegis-Agent: {token}\r\n\r\n".encode())
            time.sleep(seconds)
        return 0

    def seal(self, rng, what):
        client = rng.choice(self.clients)
        name, arguments = {
            "toolenv": ("get-env", {}),
            "denied": ("write_file", {"path": str(self.workspace / "x"), "content": "x"}),
        }.get(what, rng.choice((("get-sum", {"a": 1, "b": 2}), ("echo", {"message": "m" * 500}))))
        e = client.envelope("tools/call", {"name": name, "arguments": arguments})
        if what == "tampered":
            e["payload"]["params"]["arguments"]["more"] = 1
        if what == "garbage":
            answer = requests.post(self.lab.url + "/v1/seal/invoke", data=json.dumps(e)[:-9],
                                   headers={"Content-Type": "application/json"}, timeout=20)
        else:
            answer = client.post(e)
        self.look(answer.content + str(answer.headers).encode(), what)
        return answer.status_code

    def work(self, calls):
        """All agents; meanwhile credentials are rotated and changed."""
        self.needles = needles_of(self.secrets)
        seen, problems, stop = Counter(), [], threading.Event()

        def agent(n):
            rng, session = random.Random(), requests.Session()
            for _ in range(n):
                try:
                    what, status = self.call(rng, session)
                except requests.exceptions.RequestException as e:
                    self.look(repr(e).encode(), "exception")
                    what, status = "cut", 0
                except Exception as e:
                    problems.append(e)
                    return
                with self.lock:
                    seen[what, status] += 1

        def administrator():
            for i in range(10**6):
                if stop.wait(0.6):
                    return
                name = f"c{i * 5 % 12}"
                if i % 2 == 0:
                    new = planted(random.randint(20, 80))
                    self.old[f"{name}-old{i}"] = self.secrets[name]
                    self.secrets[name] = new
                    self.acceptable[name].add(new)
                    self.needles = {**self.needles, **needles_of({f"{name}-new{i}": new})}
                    self.lab.aegis("vault", "rotate", "--name", name, "--secret-stdin", stdin=new)
                else:
                    self.lab.aegis("vault", "update", "--name", name, "--domains",
                                   f"127.0.0.1:{self.upstream.port},second.example.com:{i + 1}")

        threads = [threading.Thread(target=agent, args=(calls // THREADS + 1,))
                   for _ in range(THREADS)]
        admin = threading.Thread(target=administrator)
        for t in (*threads, admin):
            t.start()
        for t in threads:
            t.join(200)
            assert not t.is_alive()
        stop.set()
        admin.join(30)
        self.go.set()
        assert not problems, problems[:3]
        return seen


def make_site(prefix, cache, ca, place, upstream, hidden):
    workspace = place / "workspace"
    workspace.mkdir(mode=0o755)
    tools = tools_yaml(cache, workspace).replace("secret:api", "secret:tool")
    lab = Lab(prefix, place / "aegis", ca=ca, tools=tools, contexts=contexts_yaml(workspace),
              log_level="debug").init()
    site = Site(lab, upstream, workspace)
    if not hidden:
        gate = place / "gate"
        wrap = Path(__file__).parents[1] / "lib" / "hide_memfd_secret.py"
        gate.write_text(f"#!/bin/sh\nexec {sys.executable} {wrap} {lab.bin} \"$@\"\n")
        gate.chmod(0o755)
        program, lab.bin = lab.bin, gate
        try:
            return site.start()
        finally:
            lab.bin = program
    return site.start()


@pytest.fixture
def make(prefix, cache, ca, place, upstream):
    sites = []

    def make_one(hidden):
        sites.append(make_site(prefix, cache, ca, place, upstream, hidden))
        return sites[-1]

    yield make_one
    for s in sites:
        s.go.set()
        s.lab.stop()


def owner_of(lab, pid):
    """The credential whose worker or tool server this is, or None."""
    title = lab.children().get(pid, "")
    if title.startswith("egressd: worker "):
        return title.removeprefix("egressd: worker ")
    if title == "toolhostd: toolexec everything" or "server-everything" in title:
        return "tool"
    return None


def master_key(lab):
    text = (lab.data / ".master-key").read_text().strip()
    assert len(text) == 64
    return {"key/plain": text.encode(), "key/HEX": text.upper().encode(),
            "key/raw": bytes.fromhex(text), "key/front": text[:32].encode(),
            "key/back": text[32:].encode(), "key/raw-back": bytes.fromhex(text[32:]),
            "key/base64": base64.b64encode(bytes.fromhex(text))[:40]}


def only_where_they_may_be(lab, needles):
    """The master key in its file. SecurityTokens in the ledger, where they are a part of the
    proof of who asked (doc/ledger-format.md): without the session's key they open nothing."""
    found = scan_files(lab.data, needles)
    ledger = {str(f) for f in ledgerdb.files(lab)}
    assert set(found) <= {str(lab.data / ".master-key"), *ledger}, found
    assert str(lab.data / ".master-key") in found, "the search finds nothing"
    for path, names in found.items():
        if path in ledger:
            assert all(n.startswith("seal") and n.endswith("/plain") for n in names), (path, names)


def test_secrets_are_where_they_belong(make, capsys):
    site = make(hidden=False)
    lab = site.lab
    assert "memlock=hidden" not in lab.log.read_text(), "memfd_secret is there: nothing to see"
    seen = site.work(CALLS)
    assert sum(seen.values()) >= CALLS
    # each kind of call did happen, with the answer that it must have
    kinds = {k: {s for what, s in seen if what == k} for k, _ in seen}
    assert kinds["ok"] == kinds["query"] == kinds["big"] == kinds["foreign"] == {200}, kinds
    assert kinds["error"] == {500} and kinds["fail"] == {502}, kinds
    assert kinds["nobody"] == {401} and kinds["noservice"] == {404}, kinds
    assert kinds["host"] == kinds["toolcred"] == {403} and kinds["traversal"] == {400}, kinds
    assert kinds["denied"] == {403} and kinds["tampered"] == kinds["garbage"] == {401}, kinds
    assert kinds["tool"] == {200} and 502 in kinds["echo"] and 502 in kinds["echohead"], kinds
    assert seen["cut", 0] > 0 and site.served["slow"] > 0
    assert not site.wrong, site.wrong[:3]
    assert not site.leaks, Counter(site.leaks).most_common(5)

    time.sleep(IDLE_S)
    named, agents = site.named_secrets(), site.agents_tokens()
    needles = {**needles_of(named), **tokens_of(agents), **master_key(lab)}
    everybody = procs.by_role(lab)
    # workers first: an idle one leaves after a minute, and a search can take as long
    in_turn = sorted(everybody.items(), key=lambda r: r[0] != "worker")
    owners = {pid: owner_of(lab, pid) for _, pids in in_turn for pid in pids}
    # the search sees: what is in our own memory, and in the tool server that owns it
    own = search([os.getpid()], needles)[os.getpid()]
    assert all(own.copies(n) > 0 for n in {**named, **agents}), "it finds nothing in ourselves"
    found = search(owners, needles)
    server = [p for p in everybody["server"] if owners[p] == "tool"]
    assert len(server) == 1 and found[server[0]].copies("tool") >= 1
    assert found[server[0]].by_name.get("environ: tool"), "it has it in its environment"

    said, wrong = [], []
    for role, pids in sorted(everybody.items()):
        for pid in pids:
            hits, mine = found[pid], owners[pid]
            if hits.by_name:
                said.append(f"  {role} {mine or ''}: {hits.by_name}")
            allowed = set()
            if role in ("worker", "toolexec", "server"):
                allowed = {mine}
            if role == "vault":
                allowed = {*site.secrets, "key", *(n for n in agents if n.startswith("seal"))}
            if role in ("gate", "judge"):
                allowed = set(agents)  # what agents send is theirs to hold; nothing else is
            if hits.but(*allowed):
                wrong.append((role, mine, hits.but(*allowed)))
            if role == "worker" and hits.copies(mine) > 1:
                wrong.append((role, mine, hits.by_name))
            if role == "vault" and max(hits.copies(n) for n in site.secrets) > 1:
                wrong.append((role, hits.by_name))
    with capsys.disabled():
        print(f"\n  {sum(seen.values())} calls, {len(needles)} spellings, {len(owners)} processes, "
              f"{IDLE_S} s after the last call:")
        print("\n".join(said))
    assert not wrong, wrong
    in_log = [n for n, x in needles.items() if x in lab.log.read_bytes()]
    assert not in_log, in_log
    only_where_they_may_be(lab, needles)
    assert ledgerdb.files(lab), "the ledger was searched"
    assert ledgerdb.check_chain(lab) > CALLS
    lab.stop()
    only_where_they_may_be(lab, needles)
    assert not [n for n, x in needles.items() if x in lab.log.read_bytes()]


def test_hidden_memory_shows_nothing(make):
    """With memfd_secret(2) not even root reads the owners' memory; without it, one copy."""
    site = make(hidden=True)
    seen = site.work(CALLS // 8)
    assert seen["ok", 200] > 0 and not site.leaks and not site.wrong
    time.sleep(1)
    lab, named = site.lab, site.named_secrets()
    boxes = [x for x in lab.log.read_text().splitlines() if " event=start " in x]
    hidden = all("memlock=hidden" in x for x in boxes)
    assert boxes and (hidden or not any("memlock=hidden" in x for x in boxes)), boxes
    everybody = procs.by_role(lab)
    pids = [p for r in ("master", "gate", "judge", "vault", "dispatcher", "worker", "toolhost",
                        "toolexec", "reaper") for p in everybody[r]]
    needles = {**needles_of(named), **master_key(lab)}
    found = search(pids, needles)
    for role, mine in everybody.items():
        for pid in mine:
            if role == "server":
                continue
            owner = owner_of(lab, pid)
            # toolexec reads what the server says, which may be its secret, as get-env does
            if hidden and role != "toolexec":
                assert not found[pid].by_name, (role, owner, found[pid].by_name)
            elif role != "vault":
                assert not found[pid].but(owner), (role, owner, found[pid].by_name)


def test_no_core_file_ever(fresh, upstream, place):
    """SIGABRT to each process, with every limit lifted and the directory open to all."""
    u, lab = upstream(), fresh()
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    where = [lab.dir, *([Path(pattern).parent] if pattern.startswith("/") else [])]
    lab.dir.chmod(0o777)

    def cores():
        return {p for d in where for p in glob.glob(f"{d}/**/*core*", recursive=True)
                if Path(p).is_file() and Path(p).stat().st_size > 0}

    lab.credential("one", "one", "planted-in-a-core", f"127.0.0.1:{u.port}", "--upstream",
                   f"http://127.0.0.1:{u.port}", "--allow-private")
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    assert hard == resource.RLIM_INFINITY, "the hard limit of core files is not the kernel's own"
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        before = cores()
        lab.start()
        token = lab.agent("bot", "one")

        def serves():
            answer = requests.get(lab.url + "/one/x", headers={"X-Aegis-Agent": token}, timeout=10)
            return answer.status_code == 200

        assert serves()
        for role in ("gate", "worker", "dispatcher", "toolhost", "judge", "vault"):
            pid = procs.by_role(lab)[role][0]
            os.kill(pid, signal.SIGABRT)
            end = time.monotonic() + 10
            while procs.alive(pid) or role not in procs.by_role(lab):
                assert time.monotonic() < end, f"{role} is not back"
                time.sleep(0.02)
                if role == "worker":
                    serves()
            assert "status=6" in lab.log.read_text(), "it ended in another way"
        lab.process.send_signal(signal.SIGABRT)
        assert lab.process.wait(10) == -signal.SIGABRT
        lab.process = None
        time.sleep(0.2)
        assert cores() == before, cores() - before
        # control: the kernel does write such files here, or counts what it hands over
        control = subprocess.Popen(["sleep", "60"], cwd=lab.dir)
        time.sleep(0.1)
        control.send_signal(signal.SIGABRT)
        _, code = os.waitpid(control.pid, 0)
        assert os.WCOREDUMP(code), "this kernel dumps nothing, so nothing was shown"
        assert pattern.startswith("|") or cores() - before
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
        for p in cores() - before:
            os.unlink(p)

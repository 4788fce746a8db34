# SPDX-License-Identifier: Apache-2.0
"""Each allocation of a request, a call and an administrator's act fails once, in each process
in turn (goal R12): a right answer or an error, no crash, all works again, and vault, database
and ledger are whole afterwards."""

import mmap
import re
import struct
import subprocess
import time
from pathlib import Path

import ledgerdb
import pytest
import requests
from conftest import SECRET
from lab import CommandFailed, Lab
from seal_client import SealClient, SealError

SOURCE = Path(__file__).resolve().parents[1] / "lib" / "no_memory.c"
PROGRAMS = {"gate": "gated", "judge": "keymasterd-judge", "vault": "keymasterd-vault",
            "worker": "egressd-worker", "dispatcher": "egressd-dispatcher", "toolhost": "toolhostd"}
MOST = 2000
AGAIN_S = 30.0  # who has ended often is started again more slowly


class Page:
    """What no_memory.c reads in a daemon."""

    def __init__(self, path):
        path.write_bytes(bytes(4096))
        path.chmod(0o666)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)

    def arm(self, left):
        self.map[:24] = struct.pack("qqq", left, 0, 0)

    def failed(self):
        left, fails, _ = struct.unpack("qqq", self.map[:24])
        self.map[:24] = bytes(24)
        return fails


class Site:
    def __init__(self, prefix, place, upstream):
        libexec = place / "libexec"
        libexec.mkdir()
        self.pages = {}
        shim = place / "no_memory.so"
        cc = ["cc", "-O1", "-D_GNU_SOURCE", str(SOURCE)]
        subprocess.run([*cc, "-shared", "-fPIC", "-o", str(shim)], check=True)
        for real in (prefix / "libexec" / "aegis").iterdir():
            role = next((r for r, p in PROGRAMS.items() if p == real.name), None)
            if role is None:
                (libexec / real.name).symlink_to(real)
                continue
            page = place / f"page-{role}"
            self.pages[role] = Page(page)
            subprocess.run([*cc, "-o", str(libexec / real.name), f'-DPROGRAM="{real}"',
                            f'-DLIBRARY="{shim}"', f'-DPAGE="{page}"'], check=True)
        self.upstream = upstream(lambda r: r.answer(200, b'{"you asked":"%s"}' % r.path.encode()))
        self.lab = Lab(prefix, place / "aegis", gate="  workers: 1\n", tools=f"""\
tools:
  mcp_servers:
    - name: quick
      executable: {quick_tool(place)}
      capabilities: [noop]
""", extra="seal:\n  attest_per_minute: 100000\n", contexts="contexts:\n  - name: all\n    capabilities: [{tool_pattern: noop}]\n").init()
        self.lab.env["AEGIS_LIBEXEC"] = str(libexec)
        self.lab.credential("one", "one", SECRET, f"127.0.0.1:{self.upstream.port}", "--upstream",
                            f"http://127.0.0.1:{self.upstream.port}", "--allow-private")
        self.lab.start()
        self.agent = self.lab.agent("bot", "one", contexts=["all"])
        self.client = SealClient(self.lab.url, self.agent, "all")
        self.client.attest()
        self.n = 0

    # -- what is done: True when it worked; an error of ours is one that is said well --

    def get(self):
        self.n += 1
        try:
            r = requests.get(f"{self.lab.url}/one/{self.n}", headers={"X-Aegis-Agent": self.agent}, timeout=10)
        except requests.ConnectionError:
            return False
        if r.status_code == 200:
            assert r.json() == {"you asked": f"/{self.n}"}
            return True
        assert r.status_code in (401, 404, 429, 500, 502, 503, 504), (r.status_code, r.text)
        assert r.json()["error"]
        return False

    def post(self):
        self.n += 1
        try:
            r = requests.post(f"{self.lab.url}/one/{self.n}", data=b"x" * 100_000,
                              headers={"X-Aegis-Agent": self.agent}, timeout=10)
        except requests.ConnectionError:
            return False
        if r.status_code == 200:
            assert self.upstream.seen[-1][3] == b"x" * 100_000
        return r.status_code == 200

    def call(self):
        try:
            self.client.call("noop", {})
            return True
        except (SealError, requests.ConnectionError, requests.JSONDecodeError):
            return False

    def attest(self):
        try:
            SealClient(self.lab.url, self.agent, "all").attest()
            return True
        except (SealError, requests.ConnectionError, requests.JSONDecodeError):
            return False

    def add(self):
        self.n += 1
        try:
            self.lab.aegis("agent", "add", "--name", f"a{self.n}")
            return True
        except CommandFailed:
            return False

    def show(self):
        try:
            return len(self.lab.json("ledger", "show", "--limit", "20")) == 20
        except CommandFailed:
            return False

    def rotate(self):
        try:
            self.lab.aegis("vault", "rotate", "--name", "one", "--secret-stdin", stdin=SECRET)
            return True
        except CommandFailed:
            return False

    def well(self):
        """Everything works (again); how long it took."""
        began = time.monotonic()
        while not (self.get() and self.call()):
            assert time.monotonic() - began < AGAIN_S, self.lab.log.read_text()[-3000:]
            time.sleep(0.05)
        return time.monotonic() - began


def quick_tool(place):
    out = place / "quick_tool"
    source = SOURCE.parents[1] / "bench" / "quick_tool.c"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", str(out), str(source)], check=True)
    out.chmod(0o755)
    return out


@pytest.fixture
def site(prefix, place, upstream):
    s = Site(prefix, place, upstream)
    yield s
    s.lab.stop()


WHERE = {"get": ("gate", "judge", "worker"), "post": ("gate", "judge", "worker"),
         "call": ("gate", "judge", "toolhost"), "attest": ("gate", "judge", "vault"),
         "add": ("judge",), "show": ("judge",), "rotate": ("judge", "vault", "worker")}


def test_no_allocation_is_trusted(site, capsys):
    site.well()
    counts = {}
    for what, roles in WHERE.items():
        for role in roles:
            n, tried, good, began, slow = 0, 0, 0, time.monotonic(), 0.0
            while n < MOST:
                n += 1
                site.pages[role].arm(n)
                worked = getattr(site, what)()
                good += worked
                if not site.pages[role].failed():
                    break
                tried += 1
                slow = max(slow, site.well())
            counts[what, role] = tried
            with capsys.disabled():
                print(f"  {what:<7} {role:<9} {tried:>4} failed, {good:>4} went well, at most "
                      f"{slow * 1000:.0f} ms, {time.monotonic() - began:.1f} s")
    # what is done again and again allocates little or nothing
    assert sum(counts.values()) > 50, counts
    log = site.lab.log.read_text()
    ends = [e for e in re.findall(r"event=child.exit .*", log) if "child=toolexec" not in e]
    assert ends
    assert not [e for e in ends if not e.endswith("how=exit status=1")]
    site.lab.stop()
    assert ledgerdb.check_chain(site.lab) > 0
    site.lab.start()  # vault, database and ledger open
    site.well()
    assert SECRET not in log

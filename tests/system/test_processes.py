# SPDX-License-Identifier: Apache-2.0
"""What each process of the running system may do and holds, as the kernel tells it; and how
`aegis gate` starts, or clearly does not, when something is wrong."""

import concurrent.futures
import errno
import hashlib
import json
import os
import pwd
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import ledgerdb
import procs
import pytest
import requests
import root
from conftest import SECRET
from lab import CommandFailed, Lab, free_port
from seal_client import SealClient

ROOT = root.IS_ROOT
DAEMONS = ("gate", "judge", "vault", "dispatcher", "worker", "toolhost")
BOXED = (*DAEMONS, "toolexec", "reaper", "server")


def get(lab, path, token=None, **kwargs):
    return requests.get(lab.url + path, headers={"X-Aegis-Agent": token or lab.token},
                        timeout=20, **kwargs)


@pytest.fixture(scope="module")
def everybody(system):
    """{role: [pid]} with every kind of process running."""
    for service in ("api", "plain"):
        assert get(system, f"/{service}/x").status_code == 200
    client = SealClient(system.url, system.token, "reader")
    client.attest()
    assert client.call("get-sum", {"a": 1, "b": 1})
    end = time.monotonic() + 10
    while len(procs.by_role(system).get("server", ())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    found = procs.by_role(system)
    counts = {role: len(pids) for role, pids in found.items()}
    assert counts.pop("gate") >= 1
    assert counts == {"master": 1, "judge": 1, "vault": 1, "dispatcher": 1, "worker": 2,
                      "toolhost": 1, "toolexec": 2, "reaper": 2, "server": 2}
    return found


def pids_of(everybody, roles):
    return [(role, pid) for role in roles for pid in everybody[role]]


# -- the kernel's view --


def test_each_process_is_in_its_box(everybody):
    for role, pid in pids_of(everybody, BOXED):
        s = procs.status(pid)
        seen = {k: s[k] for k in ("Seccomp", "NoNewPrivs", "CapEff", "CapPrm", "CapInh", "CapAmb")}
        nothing = "0" * 16
        assert seen == {"Seccomp": "2", "NoNewPrivs": "1", "CapEff": nothing, "CapPrm": nothing,
                        "CapInh": nothing, "CapAmb": nothing}, (role, pid)
        # only who has CAP_SETPCAP can empty the bounding set; no_new_privs makes it void else
        assert not ROOT or s["CapBnd"] == nothing, (role, pid)
        assert s["Groups"].strip() == "" or not ROOT, (role, pid)


def test_users(everybody):
    """As root one user for each role and each tool server, none of them root."""

    def expected(role):
        if role == "master" or not ROOT:
            return os.getuid(), os.getgid()
        _, name, offset = procs.ROLES[role]
        try:
            return pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid
        except KeyError:
            return procs.UID_BASE + offset, procs.UID_BASE + offset

    def ids(pid):
        s = procs.status(pid)
        uids, gids = set(s["Uid"].split()), set(s["Gid"].split())
        assert len(uids) == len(gids) == 1, "real, effective, saved and filesystem id agree"
        return int(uids.pop()), int(gids.pop())

    for role in ("master", *DAEMONS):
        for pid in everybody[role]:
            assert ids(pid) == expected(role), role
    if ROOT:
        assert len({expected(role) for role in DAEMONS}) == len(DAEMONS)
    # the pump, the reaper and the server of one tool server share its user
    tools = {}
    for role, pid in pids_of(everybody, ("toolexec", "reaper", "server")):
        tools.setdefault(ids(pid), set()).add(role)
    if ROOT:
        assert tools == {(uid, uid): {"toolexec", "reaper", "server"}
                         for uid in (procs.TOOL_UID_BASE, procs.TOOL_UID_BASE + 1)}
    else:
        assert set(tools) == {expected("master")}
        assert len({os.readlink(f"/proc/{p}/ns/user") for p in everybody["server"]}) == 2


SOCKET, PIPE, NULL = "socket", "pipe", "/dev/null"


def kinds(pid):
    """{descriptor: what it is, a socket or pipe without its number}"""
    return {fd: re.sub(r"^(socket|pipe):\[\d+\]$", r"\1", what)
            for fd, what in procs.descriptors(pid).items()}


LOOP = {SOCKET, PIPE, "anon_inode:[eventpoll]", "anon_inode:[eventfd]", NULL}


def test_descriptors(system, everybody):
    """Nobody holds a descriptor of a kind that it has no use for."""
    database, ledger = str(system.data / "judge" / "judge.db"), str(system.data / "judge" / "ledger")
    log = str(system.log)
    allowed = {
        "master": LOOP | {log, str(system.data / "lock"), "/memfd:master-key (deleted)"},
        "gate": LOOP | {log},
        "judge": LOOP | {log, database, database + "-wal", database + "-shm", ledger,
                         ledger + "/index", ledger + "/head", ledger + "/marks-0", ledger + "/marks-1",
                         *map(str, ledgerdb.files(system))},
        "vault": LOOP | {log, str(system.data / "vault")},
        "dispatcher": LOOP | {log},
        "worker": LOOP | {log},
        "toolhost": LOOP | {log},
        "toolexec": {SOCKET, PIPE, log, "anon_inode:[pidfd]"},
        "reaper": {PIPE, log},
    }
    for role, pid in pids_of(everybody, allowed):
        found = kinds(pid)
        assert found and set(found.values()) <= allowed[role], (role, found)
    # control: the database is seen where it is
    assert database in kinds(everybody["judge"][0]).values()
    # memory that only root's own processes could have got hold of
    for role, pid in pids_of(everybody, BOXED):
        assert not [d for d in kinds(pid).values() if "master-key" in d]
    for pid in everybody["server"]:
        found = kinds(pid)
        assert all(found[n] == PIPE for n in (0, 1, 2)), found
        assert not [d for d in found.values() if d == SOCKET or str(system.data) in d], found


def test_doors_and_listeners(everybody):
    """Only master and gate have the agents' port, judge and vault an admin socket each; no other
    process has a socket that is not one end of a pair, but for workers' connections."""
    tcp, listening = {}, {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        f = line.split()
        tcp[f[9]] = f[3]
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        f = line.split()
        if int(f[3], 16) & 0x10000:
            listening[f[6]] = f[7]
    for role, pid in pids_of(everybody, ("master", *DAEMONS, "toolexec")):
        for what in procs.descriptors(pid).values():
            m = re.match(r"socket:\[(\d+)\]", what)
            if m is None:
                continue
            if m[1] in tcp:
                assert role in ("master", "gate") or (role == "worker" and tcp[m[1]] != "0A"), role
            elif m[1] in listening:
                theirs = {"judge": "/admin.sock", "vault": "/admin.sock.vault"}
                assert role == "master" or listening[m[1]].endswith(theirs[role]), role


def test_memory_is_never_writable_and_executable(everybody):
    for role, pid in pids_of(everybody, ("master", *DAEMONS, "toolexec", "reaper")):
        found = procs.maps(pid)
        assert any("x" in p for p, _ in found)
        assert not [m for m in found if "w" in m[0] and "x" in m[0]], role


def test_no_dumps(everybody):
    """What a process without dumps has in /proc is root's, so its own user cannot look."""
    for role, pid in pids_of(everybody, ("master", *DAEMONS, "toolexec", "reaper")):
        for name in ("mem", "environ", "maps", "fd"):
            assert os.stat(f"/proc/{pid}/{name}").st_uid == 0, (role, name)
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0\s", limits), role
    if not ROOT:  # control: our own is ours
        assert os.stat("/proc/self/mem").st_uid == os.getuid()
    if ROOT:
        for role, pid in pids_of(everybody, DAEMONS):
            uid = int(procs.status(pid)["Uid"].split()[0])
            for name in ("mem", "environ", "maps"):
                done = as_user(uid, f"open('/proc/{pid}/{name}', 'rb').read(1)")
                assert "PermissionError" in done.stderr, (role, name, done)


def test_titles(everybody):
    def title(pid):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()

    assert [title(p) for p in everybody["judge"]] == ["keymasterd: judge"]
    assert [title(p) for p in everybody["vault"]] == ["keymasterd: vault"]
    assert [title(p) for p in everybody["dispatcher"]] == ["egressd: dispatcher"]
    assert [title(p) for p in everybody["toolhost"]] == ["toolhostd: toolhost"]
    assert sorted(title(p) for p in everybody["worker"]) == [
        "egressd: worker api", "egressd: worker plain"]
    assert {title(p) for p in everybody["toolexec"]} == {
        "toolhostd: toolexec everything", "toolhostd: toolexec filesystem"}
    assert sorted(title(p) for p in everybody["gate"]) == [
        f"gated: gate {i}" for i in range(len(everybody["gate"]))]


def test_nothing_in_the_environment(everybody):
    for role, pid in pids_of(everybody, (*DAEMONS, "toolexec", "reaper")):
        assert procs.environ(pid) == b"", role


# -- the admin socket --


def as_user(uid, code):
    """Runs Python as somebody else."""
    return root.run(sys.executable, "-c", code, user=uid, cwd="/")


ASK_ADMIN = """
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(5)
s.connect({!r})
try:
    print("got", len(s.recv(65536)))
except ConnectionResetError:
    print("got 0")
"""


@pytest.mark.parametrize("behind", ["", ".vault"])
def test_the_admin_sockets_are_for_their_owner(system, behind):
    path = system.admin.with_name(system.admin.name + behind)
    code = ASK_ADMIN.format(str(path))
    assert os.stat(path).st_mode & 0o777 == 0o600
    own = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert int(own.stdout.split()[1]) > 0, own  # the greeting
    assert "PermissionError" in as_user(65534, code).stderr
    # were the file's mode wrong, judge and vault would still look who it is
    path.chmod(0o666)
    try:
        assert as_user(65534, code).stdout == "got 0\n"
    finally:
        path.chmod(0o600)
    assert "event=admin.refused uid=65534" in system.log.read_text()
    assert system.aegis("agent", "list").returncode == 0


# -- starting, and not starting --


def start_fails(lab, *args, env=None, seconds=20):
    """Exit code and what it said."""
    done = subprocess.run([str(lab.bin), "gate", *args], env={**lab.env, **(env or {})},
                          cwd=lab.dir, capture_output=True, text=True, timeout=seconds)
    return done.returncode, done.stdout + done.stderr


def contents(directory):
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(Path(directory).rglob("*")) if p.is_file()}


def with_credential(lab, port):
    lab.credential("one", "one", SECRET, f"127.0.0.1:{port}", "--upstream",
                   f"http://127.0.0.1:{port}", "--allow-private")
    return lab.agent("bot", "one")


def test_from_start_to_the_first_answer(fresh, upstream, capsys):
    u, lab, times = upstream(), fresh(), []
    token = with_credential(lab, u.port)
    for _ in range(5):
        began = time.monotonic()
        lab.start()
        ready = time.monotonic() - began
        assert get(lab, "/one/x", token).status_code == 200
        times.append((ready, time.monotonic() - began))
        lab.stop()
    ready, first = (sorted(t[i] for t in times)[2] for i in (0, 1))
    with capsys.disabled():
        print(f"\n  start to ready {ready * 1000:.0f} ms, to the first answer {first * 1000:.0f} ms"
              f" (medians of 5)")
    assert first < 10


def test_one_gate_for_one_data_directory(fresh, upstream):
    lab, u = fresh(), upstream()
    token = with_credential(lab, u.port)
    lab.start()
    second = Lab(lab.prefix, lab.dir / "second")
    second.config.write_text(second.text.replace(str(second.data), str(lab.data)))
    code, said = start_fails(second)
    assert code == 1 and "another aegis is running on it; stop that one first" in said
    assert get(lab, "/one/x", token).status_code == 200


def test_a_port_in_use(fresh):
    lab = fresh()
    with socket.create_server(("127.0.0.1", lab.port)):
        code, said = start_fails(lab)
    assert code == 1
    assert said.strip() == (f"Port {lab.port} is already in use. Use \"aegis gate --port "
                            f"{lab.port + 1}\" or stop the other process.")


def test_a_wrong_master_key(fresh, upstream):
    lab = fresh()
    with_credential(lab, upstream().port)
    before = contents(lab.data / "vault")
    code, said = start_fails(lab, env={"AEGIS_MASTER_KEY": "0123456789abcdef" * 4})
    assert code == 1 and "Invalid master key" in said
    assert contents(lab.data / "vault") == before
    lab.start()


@pytest.mark.parametrize("where", ["front", "middle", "last", "short", "empty"])
def test_a_damaged_vault_is_refused_and_left_alone(fresh, upstream, where):
    lab = fresh()
    with_credential(lab, upstream().port)
    path = lab.data / "vault" / "default.vault"
    good = path.read_bytes()
    bad = bytearray(good)
    if where == "short":
        bad = bad[:-7]
    elif where == "empty":
        bad = bad[:0]
    else:
        bad[{"front": 3, "middle": len(bad) // 2, "last": -1}[where]] ^= 0x10
    path.write_bytes(bad)
    code, said = start_fails(lab)
    assert code == 1 and str(path) in said, said
    assert re.search("damaged|not a vault|changed|Invalid master key", said), said
    assert path.read_bytes() == bad, "a damaged vault must not be written over"
    assert not list(path.parent.glob("*.tmp*"))
    path.write_bytes(good)
    lab.start()


@pytest.mark.parametrize("how", ["header", "zero", "row", "cut", "gone"])
def test_a_damaged_database_or_ledger_is_refused_and_left_alone(fresh, upstream, how):
    lab = fresh()
    with_credential(lab, upstream().port)
    path = lab.data / "judge" / "judge.db"
    assert not path.with_name("judge.db-wal").exists(), "closed cleanly"
    if how in ("row", "cut", "gone"):
        path, = ledgerdb.files(lab)
    keep = path.read_bytes()
    data = bytearray(keep)
    if how == "header":
        data[:16] = b"not a database!!"
    elif how == "zero":
        data[len(data) // 2:] = bytes(len(data) - len(data) // 2)
    elif how == "row":  # says something else now
        data = data.replace(b'"seq":2,"time":"2', b'"seq":2,"time":"3')
    elif how == "cut":  # the last row and what was signed about it
        del data[data.rindex(b'{"row":'):]
    assert how == "gone" or data != keep
    path.write_bytes(data)
    if how == "gone":
        path.unlink()
    before = contents(lab.data)
    code, said = start_fails(lab)
    assert code == 1, said
    assert re.search("broken|damaged|corrupt|malformed|not a database|cannot be read|removed|gone",
                     said), said
    assert contents(lab.data / "judge").get(str(path)) == before.get(str(path))
    assert contents(lab.data / "vault") == {k: v for k, v in before.items() if "/vault/" in k}
    for extra in (lab.data / "judge").glob("judge.db-*"):
        extra.unlink()
    path.write_bytes(keep)
    path.chmod(0o600)
    root.run("chown", "--reference", str(lab.data / "judge"), str(path))
    lab.start()


# -- the disk is full --


@pytest.fixture
def small_disk(place):
    """A file system of 4 MB."""
    path = place / "small"
    path.mkdir(mode=0o755)
    done = root.run("mount", "-t", "tmpfs", "-o", f"size=4m,mode=0755,uid={os.getuid()}", "none",
                   str(path))
    assert done.returncode == 0, done.stderr
    yield path
    assert root.run("umount", "-l", str(path)).returncode == 0


def test_a_full_disk_stops_everything_and_space_starts_it(fresh, upstream, small_disk, prefix):
    """No row, no request (goal R5): 503, and nothing reaches the upstream."""
    u = upstream()
    lab = Lab(prefix, small_disk / "aegis")
    lab.log = small_disk.parent / "gate.log"
    lab.init()
    token = with_credential(lab, u.port)
    lab.start()
    try:
        assert get(lab, "/one/before", "aegis_unknown").status_code == 401
        assert get(lab, "/one/before", token).status_code == 200
        filler = small_disk / "filler"
        with open(filler, "wb", 0) as f:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError as e:
                    assert e.errno == errno.ENOSPC
        # the page that the ledger's file has already may hold a few rows more
        end, refused = time.monotonic() + 20, None
        while refused is None and time.monotonic() < end:
            answer = get(lab, "/one/filling", token)
            if answer.status_code != 200:
                refused = answer
        assert refused is not None and refused.status_code == 503, refused
        assert refused.json()["error"] == "Ledger cannot be written"
        before = len(u.seen)

        def one(i):
            kind = i % 3
            path = ("/one/full", "/nosuch/full", "/one/full")[kind]
            return get(lab, path, token if kind < 2 else "aegis_unknown")

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            codes = [a.status_code for a in pool.map(one, range(150))]
        assert set(codes[0::3] + codes[1::3]) == {503}, codes
        # of unknown tokens only so many rows are written each second; the others are counted
        assert set(codes[2::3]) <= {401, 503}, codes
        assert len(u.seen) == before, "a request went out without a row"
        with pytest.raises(CommandFailed) as e:
            lab.aegis("agent", "add", "--name", "nobody")
        assert "ledger cannot be written" in str(e.value)
        filler.unlink()
        began = time.monotonic()
        while get(lab, "/one/after", token).status_code != 200:
            assert time.monotonic() - began < 2, "space is back"
            time.sleep(0.02)
        assert {p for _, p, _, _ in u.seen[before:]} == {"/after"}
    finally:
        lab.stop()
    rows = ledgerdb.rows(lab)
    ledgerdb.check_chain(lab)
    assert [r for r in rows if r.get("event") == "ledger.gap"], "the gap is told"
    allowed = ledgerdb.requests_of(rows)
    assert len(allowed) == len(u.seen)
    assert "nobody" not in json.dumps(rows)

# SPDX-License-Identifier: Apache-2.0
"""One real daemon with the test in its master's place: the socket pair on descriptor 3,
HELLO, configuration, doors of any role, READY. The program and its box are the real ones."""

import atexit
import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import proto

PROGRAMS = {"GATE": "gated", "JUDGE": "keymasterd-judge", "VAULT": "keymasterd-vault",
            "DISPATCH": "egressd-dispatcher", "WORKER": "egressd-worker",
            "TOOLHOST": "toolhostd", "TOOLEXEC": "toolexec", "API": "gated-api"}
LISTEN_AGENTS, LISTEN_ADMIN, LISTEN_VAULT = 1, 2, 3
LEVELS = ("debug", "info", "warn", "error")
UID_BASE = int(re.search(r"ROLE_UID_BASE (\d+)", (proto.ROOT / "common/role.h").read_text())
               .group(1))
UID_OFFSET = {role: i for i, role in enumerate(
    ("GATE", "JUDGE", "VAULT", "DISPATCH", "WORKER", "TOOLHOST", "TOOLEXEC", "API"), 1)}
MASTER_KEY = "00112233445566778899aabbccddeeff" * 2

CONF_GATE = dict(worker=0, workers=1, max_connections=200, max_header_bytes=16384,
                 max_body_bytes=10 << 20, header_timeout_ms=5000, body_timeout_ms=5000,
                 idle_timeout_ms=5000, request_timeout_ms=5000, drain_timeout_ms=1000)
CONF_EGRESS = dict(connect_timeout_ms=2000, idle_exit_ms=0, keepalive_ms=5000,
                   max_idle_upstream=8, max_workers=8)


def memfd(octets, name="test"):
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(fd, octets if isinstance(octets, bytes) else octets.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def conf_vault(create=True, key=MASTER_KEY, variables=()):
    """variables: (server, name, reference or "", value or "")"""
    conf = [("conf_tool_secret", dict(server=s, variable=v, reference=r, value=value))
            for s, v, r, value in variables]
    return conf + [("conf_vault", dict(vault_name="main", create=int(create), admin_uid=os.geteuid(),
                                       master_key=memfd(key)))]


def conf_judge(tools=(), contexts=(), **more):
    conf = dict(admin_uid=os.geteuid(), require_agent_auth=1, max_connections_per_agent=100000,
                max_body_bytes=10 << 20, request_timeout_ms=5000, checkpoint_rows=1000,
                checkpoint_seconds=60, seal_window_s=30, seal_calls_per_second=0, seal_token_ttl_s=3600,
                attest_per_minute=1000, issuer="http://127.0.0.1:1", audience="aegis",
                gate_url="http://127.0.0.1:1")
    conf.update(more)
    return ([("conf_judge", conf)]
            + [("conf_context", dict(name=n, json=j)) for n, j in contexts]
            + [("conf_tool", dict(t)) for t in tools])


class Directory:
    """A directory that only the daemon of this role may read, below a public one."""

    def __init__(self, role):
        self.top = Path(tempfile.mkdtemp(prefix="aegis-puppet-", dir="/tmp"))
        self.top.chmod(0o711)
        self.path = self.top / role.lower()
        self.path.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.path, UID_BASE + UID_OFFSET[role], UID_BASE + UID_OFFSET[role])
        atexit.register(self.remove)  # also when what was to use it does not start

    def remove(self):
        shutil.rmtree(self.top, ignore_errors=True)


class AdminSocket:
    """A name on which judge or vault listens, and doors of administrators there."""

    def __init__(self, puppet):
        self.directory = tempfile.TemporaryDirectory(prefix="aegis-admin-", dir="/tmp")
        self.path = str(Path(self.directory.name) / "admin.sock")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.path)
        listener.listen(64)
        puppet.listen(LISTEN_VAULT if puppet.role == "VAULT" else LISTEN_ADMIN, listener)

    def door(self, greet=True):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(self.path)
        door = proto.Door(sock)
        if greet:
            door.hello("ADMIN")
        return door

    def remove(self):
        self.directory.cleanup()


BOARD_ENCRYPT, BOARD_ENCRYPT_NEW_KEY, BOARD_DECRYPT = 1, 2, 3


def board(judge, admin, act, tenant, obj, octets):
    """Octets of a blackboard, at vault, by an administrator whom the judge confirms."""
    what = dict(tenant=tenant, object=obj, act=act)
    offered = admin.ask("board_offer", **what)
    assert offered["code"] == 0, offered
    assert judge.ask("board_confirm", offer=offered["offer"], **what)["code"] == 0
    if act == BOARD_DECRYPT:
        return admin.ask("board_decrypt", text=octets)
    return admin.ask("board_encrypt", plain=octets)


class Puppet:
    def __init__(self, prefix, role, conf=(), instance=1, name="", tenant="default",
                 directory=None, log_level="info", tap=None, then=b""):
        """then: frames in one datagram with the end of the configuration"""
        self.role, self.instance, self.name, self.tenant = role, instance, name, tenant
        self.tap, self.last_instance, self.doors = tap, 1000, []
        program = Path(prefix) / "libexec" / "aegis" / PROGRAMS[role]
        assert os.access(program, os.X_OK), f"{program} is missing: make install first"
        self.log_file = tempfile.TemporaryFile(prefix="aegis-log-")
        # the daemon writes at the end wherever we read
        fcntl.fcntl(self.log_file, fcntl.F_SETFL, os.O_APPEND)
        self.master, theirs = proto.Door.pair()
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self.pid = os.posix_spawn(
            program, [f"puppet {role.lower()} {name}"],
            {k: v for k, v in os.environ.items() if k in ("ASAN_OPTIONS", "UBSAN_OPTIONS")},
            file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1),
                          (os.POSIX_SPAWN_DUP2, self.log_file.fileno(), 2),
                          (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)])
        self.status = None
        os.close(null)
        theirs.close()
        self.master.hello("MASTER")
        uid = UID_BASE + UID_OFFSET[role] if os.geteuid() == 0 else os.geteuid()
        self.tell("conf_common", instance=instance, name=name, tenant=tenant,
                  log_level=LEVELS.index(log_level), log_format=0, uid=uid,
                  gid=uid if os.geteuid() == 0 else os.getegid(),
                  dir=str(directory.path) if directory else "")
        with contextlib.suppress(proto.Closed):  # it may end meanwhile: ready() or wait() tells
            for message, fields in conf:
                self.tell(message, **fields)
        self.master.raw(proto.encode("conf_done")[0] + then)

    def tell(self, message, /, **fields):
        """A note of the master. Descriptors in it are closed here."""
        self.master.send(message, **fields)
        for f in proto.MESSAGES[message].fields:
            if f.kind in ("FD", "OPTFD") and fields.get(f.name) is not None:
                fd = fields[f.name]
                os.close(fd) if isinstance(fd, int) else fd.close()

    def ready(self, timeout=10):
        try:
            self.level = self.master.wait("ready", timeout).fields["level"]
        except (proto.Closed, TimeoutError) as e:
            raise AssertionError(f"{self.role} is not ready: {e!r}\n{self.log()}") from None
        return self

    def give(self, role, theirs, instance, name="", tenant="default"):
        """Hands a door to the daemon; what the other end says is the other end's affair."""
        self.tell("peer", role=proto.ROLES[role], instance=instance, tenant=tenant, name=name,
                  fd=theirs)

    def door(self, role, instance=None, name="", tenant="default", greet=True, tap=None):
        """A door with the test in the place of a peer of this role."""
        if instance is None:
            self.last_instance += 1
            instance = self.last_instance
        door, theirs = proto.Door.pair(self.tap if tap is None else tap)
        door.instance = instance
        self.doors.append(door)
        self.give(role, theirs, instance, name, tenant)
        if greet:
            door.hello(role)
        return door

    def listen(self, kind, sock):
        self.tell("listen", kind=kind, fd=sock)

    def log(self, start=0):
        """What it has written from this octet on. (The daemon shares our file offset.)"""
        size = os.fstat(self.log_file.fileno()).st_size
        return os.pread(self.log_file.fileno(), size - start, start).decode("latin-1")

    def alive(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def fds(self):
        """How many descriptors it has; only root may look."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss_kib(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", status).group(1))

    def stop(self, timeout=5):
        """Ends it as its master would. The exit status; negative: a signal."""
        try:
            self.tell("stop", drain_ms=0)
        except proto.Closed:
            pass
        return self.wait(timeout)

    def wait(self, timeout=5):
        """Its end, which is made after that time. The exit status; negative: a signal."""
        end = time.monotonic() + timeout
        while self.alive() and time.monotonic() < end:
            time.sleep(0.005)
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        for door in self.doors + [self.master]:
            door.close()
        return self.status

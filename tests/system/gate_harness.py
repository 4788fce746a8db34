# SPDX-License-Identifier: Apache-2.0
"""Plays master, judge, workers and toolhost for one real gated process.

The messages come from common/proto/*.def, so nothing of the protocol is written twice.
A peer's behaviour is a function (name, fields) -> list of (name, fields); a test swaps it.
"""
import array
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DEFS = re.findall(r"common/(\S+\.def)", re.search(
    r"^PROTO = (.*?[^\\])$", open(os.path.join(ROOT, "common/local.mk")).read(), re.S | re.M).group(1))
ROLES = ["none", "master", "gate", "judge", "vault", "dispatch", "worker", "toolhost",
         "toolexec", "admin", "api"]
UNKNOWN = 2**64 - 1
VERSION = int(re.search(r"#define MSG_VERSION (\d+)",
                        open(os.path.join(ROOT, "common/msg.h")).read()).group(1))


def load():
    texts = [open(os.path.join(ROOT, "common", d), "rb").read() for d in DEFS]
    schema = hashlib.sha256(b"".join(texts)).digest()
    messages, current = {}, None
    for text in texts[2:]:
        text = re.sub(rb"/\*.*?\*/", b"", text, flags=re.S).decode()
        for m in re.finditer(r"\b(ASK|ANSWER|NOTE|END|F_[A-Z0-9]+)\(([^)]*)\)", text):
            word, args = m.group(1), [a.strip() for a in m.group(2).split(",")]
            if word in ("ASK", "ANSWER", "NOTE"):
                current = {"name": args[0], "type": int(args[1], 16), "kind": word,
                           "fields": []}
                messages[args[0]] = current
            elif word != "END":
                current["fields"].append((word[2:], args[0],
                                          int(args[1]) if len(args) > 1 else 0))
    return schema, messages


SCHEMA, MESSAGES = load()
BY_TYPE = {m["type"]: m for m in MESSAGES.values()}


def encode(message, reqid=0, /, **given):
    m, out, fds = MESSAGES[message], b"", []
    for kind, field, size in m["fields"]:
        v = given.pop(field, None)
        if kind in ("U8", "U32", "U64"):
            out += struct.pack({"U8": ">B", "U32": ">I", "U64": ">Q"}[kind], v or 0)
        elif kind == "FIX":
            out += (v or b"").ljust(size, b"\0")
        elif kind in ("STR", "BLOB", "SECRET"):
            v = v.encode() if isinstance(v, str) else (v or b"")
            out += struct.pack(">I", len(v)) + v
        else:
            have = v is not None and v >= 0
            if kind == "OPTFD":
                out += bytes([have])
            if have:
                fds.append(v)
    assert not given, given
    head = struct.pack(">HHIQIBBBB", VERSION, m["type"], len(out), reqid, 0, 0, 0, len(fds), 0)
    return head + out, fds


def decode(data, fds):
    version, mtype, length, reqid, _, _, _, nfds, _ = struct.unpack(">HHIQIBBBB", data[:24])
    assert version == VERSION and length == len(data) - 24 and nfds == len(fds)
    m, off, out = BY_TYPE[mtype], 24, {}
    fds = list(fds)
    for kind, field, size in m["fields"]:
        if kind in ("U8", "U32", "U64"):
            n = {"U8": 1, "U32": 4, "U64": 8}[kind]
            out[field] = int.from_bytes(data[off:off + n], "big")
            off += n
        elif kind == "FIX":
            out[field] = data[off:off + size]
            off += size
        elif kind in ("STR", "BLOB", "SECRET"):
            n = int.from_bytes(data[off:off + 4], "big")
            assert n <= size, (m["name"], field, n)
            out[field] = data[off + 4:off + 4 + n]
            off += 4 + n
        elif kind == "OPTFD":
            out[field] = fds.pop(0) if data[off] else -1
            off += 1
        else:
            out[field] = fds.pop(0)
    assert off == len(data) and not fds
    return m["name"], reqid, out


class Door:
    """One end of a door. With a handler, a thread answers what comes in."""

    def __init__(self, sock, role, handler=None):
        self.sock, self.role, self.handler = sock, role, handler
        self.seen, self.lock = [], threading.Condition()
        self.pending = []
        self.send("hello", version=VERSION, schema=SCHEMA, role=ROLES.index(role))
        if handler is not None:
            threading.Thread(target=self.run, daemon=True).start()

    def send(self, message, reqid=0, /, **fields):
        data, fds = encode(message, reqid, **fields)
        anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], anc)
        except (BrokenPipeError, OSError):
            pass  # the gate ended; the test notices when it matters

    def recv(self):
        """The next message; one datagram may bring several."""
        while not self.pending:
            data, anc, flags, _ = self.sock.recvmsg(65537, socket.CMSG_SPACE(16))
            fds = array.array("i")
            for level, kind, octets in anc:
                fds.frombytes(octets[:len(octets) - len(octets) % 4])
            if not data:
                raise EOFError
            assert not fds or len(data) == 24 + int.from_bytes(data[4:8], "big")
            while data:
                n = 24 + int.from_bytes(data[4:8], "big")
                self.pending.append(decode(data[:n], fds))
                data = data[n:]
        return self.pending.pop(0)

    def run(self):
        try:
            while True:
                name, reqid, f = self.recv()
                with self.lock:
                    self.seen.append((name, f))
                    self.lock.notify_all()
                if name == "hello":
                    continue
                for reply, fields in self.handler(name, f) or []:
                    if callable(reply):
                        reply(self, reqid, f)
                        continue
                    fds = [v for v in fields.values() if isinstance(v, Fd)]
                    kind = MESSAGES[reply]["kind"]
                    self.send(reply, reqid if kind == "ANSWER" else 0, **fields)
                    for fd in fds:
                        os.close(fd)
        except (EOFError, OSError):
            pass

    def wait(self, name, timeout=5, count=1):
        """The fields of the count-th message of this name."""
        end = time.monotonic() + timeout
        with self.lock:
            while True:
                found = [f for n, f in self.seen if n == name]
                if len(found) >= count:
                    return found[count - 1]
                left = end - time.monotonic()
                if left <= 0 or not self.lock.wait(left):
                    if len([1 for n, _ in self.seen if n == name]) >= count:
                        continue
                    raise AssertionError("no %s within %s s; seen %s" %
                                         (name, timeout, [n for n, _ in self.seen]))

    def count(self, name):
        with self.lock:
            return sum(1 for n, _ in self.seen if n == name)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Fd(int):
    """A descriptor that is closed here once it was sent."""


def answer(status, body=b'{"error":"no"}', **more):
    fields = dict(verdict=1, request_id=os.urandom(16), status=status, body=body)
    fields.update(more)
    return [("decision", fields)]


def grant(verdict=2, redeemer=100, **more):
    fields = dict(verdict=verdict, request_id=os.urandom(16), redeemer=redeemer,
                  grant=os.urandom(16), not_after=int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) + 10000,
                  mac=os.urandom(32), authority="api.example:443", target="/up",
                  timeout_ms=3000)
    fields.update(more)
    return [("decision", fields)]


def default_judge(name, f):
    if name == "proxy_authorize":
        return grant(target=b"/" + f["target"].split(b"/", 2)[-1])
    if name == "seal_authorize":
        return grant(verdict=3, redeemer=50, server=1, payload_off=0,
                     payload_len=len(f["envelope"]), wrap=1)
    if name == "api_request":
        return answer(200, b'{"api":true}')
    if name == "refusal_record":
        return answer(f["status"], b'{"error":"%s"}' % f["detail"])
    return None


def read_fd(fd):
    out = []
    while True:
        piece = os.read(fd, 65536)
        if not piece:
            os.close(fd)
            return b"".join(out)
        out.append(piece)


def echo_worker(name, f):
    """Answers with what it was asked; a streamed body is read to its end first."""
    if name != "proxy_open":
        return None

    def reply(door, reqid, f):
        def late():
            body = f["body"] if f["stream"] < 0 else read_blocking(f["stream"])
            door.send("proxy_head", reqid, status=200,
                      headers=b"content-type: text/plain\r\nx-target: " + f["target"] + b"\r\n",
                      body_len=len(body), body=body[:24576])
        if f["stream"] < 0:
            late()
        else:
            threading.Thread(target=late, daemon=True).start()
    return [(reply, None)]


def read_blocking(fd):
    os.set_blocking(fd, True)
    return read_fd(fd)


def stream_worker(pieces, complete=1, body_len=UNKNOWN, delay=0.0, headers=b"", bytes_=None,
                  close_door=False):
    """Streams the pieces (an iterable of bytes)."""
    def handler(name, f):
        if name != "proxy_open":
            return None

        def reply(door, reqid, f):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            door.send("proxy_head", reqid, status=200, headers=headers, body_len=body_len,
                      stream=theirs.fileno())
            theirs.close()

            def run():
                total = 0
                try:
                    for p in pieces() if callable(pieces) else pieces:
                        ours.sendall(p)
                        total += len(p)
                        if delay:
                            time.sleep(delay)
                except OSError:
                    complete_ = 0
                else:
                    complete_ = complete
                if close_door:
                    door.close()
                    ours.close()
                    return
                ours.close()
                door.send("proxy_end", request_id=f["request_id"], complete=complete_,
                          bytes=total if bytes_ is None else bytes_)
            threading.Thread(target=run, daemon=True).start()
        return [(reply, None)]
    return handler


class Gate:
    CONF = dict(worker=0, workers=1, max_connections=200, max_header_bytes=16384,
                max_body_bytes=10 << 20, header_timeout_ms=1000, body_timeout_ms=1000,
                idle_timeout_ms=2000, request_timeout_ms=3000, drain_timeout_ms=2000)

    def __init__(self, program, judge=default_judge, conf=None, tls=None, level=2,
                 worker=echo_worker, toolhost=None, with_judge=True):
        self.doors = []
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()

        def child():
            os.dup2(fd, 3, inheritable=True)
        self.process = subprocess.Popen([program], preexec_fn=child, close_fds=False,
                                        env={"ASAN_OPTIONS": "detect_leaks=0"})
        theirs.close()
        self.judge_fn, self.worker_fn, self.toolhost_fn = judge, worker, toolhost
        self.master = Door(ours, "master", lambda n, f: None)
        root = os.getuid() == 0
        self.master.send("conf_common", instance=1, name="", tenant="default",
                         log_level=level, log_format=0, uid=61000 if root else os.getuid(),
                         gid=61000 if root else os.getgid(), dir="")
        settings = dict(self.CONF, **(conf or {}))
        if tls:
            settings["tls_cert"] = os.open(tls[0], os.O_RDONLY)
            settings["tls_key"] = os.open(tls[1], os.O_RDONLY)
        self.master.send("conf_gate", **settings)
        self.master.send("conf_done")
        self.master.wait("ready", 10)
        if with_judge:
            self.judge = self.peer("judge", 10, lambda n, f: self.judge_fn(n, f))
        if worker is not None:
            self.worker = self.peer("worker", 100, lambda n, f: self.worker_fn(n, f))
        if toolhost is not None:
            self.toolhost = self.peer("toolhost", 50, lambda n, f: self.toolhost_fn(n, f))
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1024)
        self.address = self.listener.getsockname()
        self.master.send("listen", kind=1, fd=self.listener.fileno())

    def peer(self, role, instance, handler):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.master.send("peer", role=ROLES.index(role), instance=instance, tenant="default",
                         name=role, fd=theirs.fileno())
        theirs.close()
        door = Door(ours, role, handler)
        door.wait("hello")
        self.doors.append(door)
        return door

    def connect(self, timeout=10):
        return socket.create_connection(self.address, timeout)

    def alive(self):
        return self.process.poll() is None

    def rss_kib(self):
        with open("/proc/%d/status" % self.process.pid) as status:
            return int(re.search(r"VmRSS:\s*(\d+)", status.read()).group(1))

    def cpu_s(self):
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def close(self):
        for d in self.doors:
            d.close()
        self.master.close()
        self.listener.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        return self.process.returncode


class Client:
    """A minimal HTTP reader that shows everything."""

    def __init__(self, sock):
        self.sock, self.buf = sock, b""

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise EOFError(self.buf)
        self.buf += piece

    def take(self, n):
        while len(self.buf) < n:
            self.more()
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def head(self):
        while b"\r\n\r\n" not in self.buf:
            self.more()
        raw, self.buf = self.buf.split(b"\r\n\r\n", 1)
        lines = raw.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            k, v = line.split(": ", 1)
            assert k.lower() not in fields, "repeated " + k
            fields[k.lower()] = v
        return int(lines[0].split()[1]), fields

    def answer(self, method="GET"):
        status, fields = self.head()
        while status == 100:
            status, fields = self.head()
        body = b""
        if method == "HEAD" or status in (204, 304):
            pass
        elif "content-length" in fields:
            body = self.take(int(fields["content-length"]))
        elif fields.get("transfer-encoding") == "chunked":
            while True:
                while b"\r\n" not in self.buf:
                    self.more()
                size, self.buf = self.buf.split(b"\r\n", 1)
                n = int(size, 16)
                piece = self.take(n + 2)
                assert piece.endswith(b"\r\n")
                if n == 0:
                    break
                body += piece[:-2]
        else:
            try:
                while True:
                    self.more()
            except EOFError:
                body, self.buf = self.buf, b""
        return status, fields, body

    def closed(self, timeout=5):
        """'fin', 'reset', or None when it stays open."""
        self.sock.settimeout(timeout)
        try:
            while self.sock.recv(65536):
                pass
            return "fin"
        except ConnectionResetError:
            return "reset"
        except socket.timeout:
            return None

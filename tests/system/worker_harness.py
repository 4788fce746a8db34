# SPDX-License-Identifier: Apache-2.0
"""Plays master, judge, vault, dispatcher and gate for one real egressd-worker, and its
upstreams."""
import hashlib
import os
import queue
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

from gate_harness import ROLES, UNKNOWN, Door, read_fd

SECRET = b"sk_live_51Hx/9+Zq-Ty_canary~77"


def digest_proxy(f):
    h = hashlib.sha256(b"aegis-proxy-3")
    for part in ("method", "authority", "target", "headers"):
        h.update(struct.pack(">I", len(f[part])) + f[part])
    h.update(struct.pack(">QQQ", f["body_len"], f["max_body"], f.get("upgrade", 0)))
    return h.digest()


def seal(key, request_id, grant, not_after, digest):
    return hashlib.blake2b(request_id + grant + struct.pack(">Q", not_after) + digest,
                           key=key, digest_size=32).digest()


class Answer:
    """What came back for one request."""

    def __init__(self):
        self.head, self.end, self.body = None, None, b""
        self.stream = queue.Queue()

    def first(self, timeout=10):
        """The next piece of a streamed body, b"" at its end."""
        return self.stream.get(timeout=timeout)


class Worker:
    CONF = dict(connect_timeout_ms=1500, idle_exit_ms=60000, keepalive_ms=5000,
                max_idle_upstream=16, max_workers=0)
    CREDENTIAL = dict(code=0, tenant="default", name="cred", service="api",
                      domains="localhost:*", auth_type="bearer", header_name="",
                      query_param="", scheme="http", port=0, allow_private=1, secret=SECRET)

    def __init__(self, program, conf=None, names=None, level=2, leave=1, late=0, **credential):
        self.credential = dict(self.CREDENTIAL, **credential)
        self.names = names if names is not None else {"localhost": ["127.0.0.1"]}
        self.leave, self.resolves, self.key = leave, [], os.urandom(32)
        self.answers, self.lock, self.reqid = {}, threading.Condition(), 0
        self.by_request, self.dones = {}, {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()

        def child():
            os.dup2(fd, 3, inheritable=True)
        self.process = subprocess.Popen([program], preexec_fn=child, close_fds=False,
                                        env={"ASAN_OPTIONS": "detect_leaks=0"})
        theirs.close()
        self.doors = []
        self.master = Door(ours, "master", lambda n, f: None)
        root = os.getuid() == 0
        self.master.send("conf_common", instance=7, name="cred", tenant="default",
                         log_level=level, log_format=0, uid=61000 if root else os.getuid(),
                         gid=61000 if root else os.getgid(), dir="")
        conf = dict(self.CONF, **(conf or {}))
        if "ca" in conf:
            conf["ca_bundle"] = os.open(conf.pop("ca"), os.O_RDONLY)
        self.master.send("conf_egress", **conf)
        self.master.send("conf_done")
        self.master.wait("ready", 10)
        if not late:
            self.dispatch = self.peer("dispatch", 3, self.on_dispatch)
        self.vault = self.peer("vault", 2, self.on_vault)
        self.judge = self.peer("judge", 1, self.on_judge)
        self.judge.send("grant_key", key=self.key)
        if late:  # the dispatcher's door comes last
            time.sleep(late)
            self.early = self.judge.count("redeemer_ready")
            self.dispatch = self.peer("dispatch", 3, self.on_dispatch)
        self.ready = self.judge.wait("redeemer_ready", 10)
        self.gate = self.peer("gate", 10, None)
        threading.Thread(target=self.read_gate, args=(self.gate,), daemon=True).start()

    def peer(self, role, instance, handler):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.master.send("peer", role=ROLES.index(role), instance=instance, tenant="default",
                         name=role, fd=theirs.fileno())
        theirs.close()
        door = Door(ours, role, handler)
        if handler is not None:
            door.wait("hello")
        self.doors.append(door)
        return door

    def on_dispatch(self, name, f):
        if name != "resolve":
            return None
        host = f["host"].decode()
        self.resolves.append(host)
        if self.names.get(host) is None:
            return [("resolved", dict(code=2, message="Name or service not known"))]
        out = b""
        for a in self.names[host]:
            if ":" in a:
                out += b"\6\0" + socket.inet_pton(socket.AF_INET6, a)
            else:
                out += b"\4\0" + socket.inet_aton(a) + bytes(12)
        return [("resolved", dict(code=0, addresses=out))]

    def on_vault(self, name, f):
        if name == "credential_fetch":
            return [("credential_secret", self.credential)]
        return None

    def on_judge(self, name, f):
        if name == "worker_leave":
            return [("worker_may_leave", dict(yes=self.leave))]
        if name == "done":
            with self.lock:
                assert f["request_id"] not in self.dones or f["outcome"] == 9, "two completions"
                self.dones[f["request_id"]] = f
                self.lock.notify_all()
        return None

    def read_gate(self, door):
        try:
            while True:
                name, reqid, f = door.recv()
                if name == "proxy_head":
                    a = self.answers.pop(reqid)
                    if f["stream"] >= 0:
                        threading.Thread(target=self.read_stream, args=(a, f["stream"]),
                                         daemon=True).start()
                    with self.lock:
                        a.head = f
                        self.lock.notify_all()
                elif name == "proxy_end":
                    with self.lock:
                        self.by_request[f["request_id"]].end = f
                        self.lock.notify_all()
        except (EOFError, OSError):
            pass

    hold_streams = None  # an Event: streams are not read before it is set

    def read_stream(self, a, fd):
        os.set_blocking(fd, True)
        if self.hold_streams is not None:
            self.hold_streams.wait()
        while True:
            piece = os.read(fd, 1 << 18)
            a.stream.put(piece)
            if not piece:
                os.close(fd)
                return

    def open(self, port=None, target=b"/x", method=b"GET", headers=b"", body=b"", body_len=None,
             stream=None, authority=None, timeout_ms=5000, not_after=None, max_body=1 << 30, **change):
        """Sends a granted request. change: fields altered after the grant was sealed."""
        self.reqid += 1
        f = dict(request_id=os.urandom(16), grant=os.urandom(16),
                 not_after=not_after or int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) + 10000, method=method,
                 authority=authority or b"localhost:%d" % port, target=target,
                 headers=headers, body_len=len(body) if body_len is None else body_len,
                 max_body=max_body, body=body, timeout_ms=timeout_ms)
        f["mac"] = seal(self.key, f["request_id"], f["grant"], f["not_after"], digest_proxy(f))
        if stream is not None:
            f["stream"] = stream
        f.update(change)
        a = Answer()
        a.request, a.fields = f["request_id"], f
        self.answers[self.reqid] = self.by_request[a.request] = a
        self.gate.send("proxy_open", self.reqid, **f)
        if stream is not None:
            os.close(stream)
        return a

    def until(self, what, timeout=10):
        end = time.monotonic() + timeout
        with self.lock:
            while not what():
                left = end - time.monotonic()
                assert left > 0, "timed out"
                self.lock.wait(left)

    def wait_head(self, a, timeout=10):
        self.until(lambda: a.head is not None, timeout)
        return a.head

    def done(self, a, timeout=10):
        self.until(lambda: a.request in self.dones, timeout)
        return self.dones[a.request]

    def get(self, *args, timeout=15, **kw):
        """A request and its whole answer: head, body, done."""
        a = self.open(*args, **kw)
        h = self.wait_head(a, timeout)
        if h["stream"] >= 0:
            while True:
                piece = a.stream.get(timeout=timeout)
                if not piece:
                    break
                a.body += piece
            self.until(lambda: a.end is not None, timeout)
        else:
            a.body = h["body"]
        a.done = self.done(a, timeout)
        return a

    def alive(self):
        return self.process.poll() is None

    def cpu_s(self):
        f = open("/proc/%d/stat" % self.process.pid).read().rsplit(")", 1)[1].split()
        return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kib(self):
        for line in open("/proc/%d/status" % self.process.pid):
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        return 0

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def close(self):
        for d in self.doors:
            d.close()
        self.master.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        return self.process.returncode


class Request:
    def __init__(self, head, body, connection, number):
        self.raw, self.body, self.connection, self.number = head, body, connection, number
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:] if line]

    def get(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]


class Upstream:
    """An HTTP server under the test's thumb: handler(request, socket) returns the octets of
    the answer, None to close; it may use the socket itself."""

    def __init__(self, handler, tls=None, read_body=True):
        self.handler, self.requests, self.connections = handler, [], 0
        self.read_body, self.tls = read_body, tls
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(128)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(c, self.connections), daemon=True).start()

    def serve(self, c, connection):
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.tls is not None:
                c = self.tls.wrap_socket(c, server_side=True)
            buf, number = b"", 0
            while True:
                while b"\r\n\r\n" not in buf:
                    piece = c.recv(65536)
                    if not piece:
                        return
                    buf += piece
                head, buf = buf.split(b"\r\n\r\n", 1)
                number += 1
                r = Request(head, b"", connection, number)
                if self.read_body:
                    r.body, buf = self.body(c, r, buf)
                else:
                    r.rest, buf = buf, b""
                self.requests.append(r)
                out = self.handler(r, c)
                if out is None:
                    return
                c.sendall(out)
        except (OSError, ssl.SSLError):
            pass
        finally:
            c.close()

    @staticmethod
    def body(c, r, buf):
        def need(n):
            nonlocal buf
            while len(buf) < n:
                piece = c.recv(1 << 18)
                if not piece:
                    raise OSError("cut")
                buf += piece
        if r.get("content-length"):
            n = int(r.get("content-length")[0])
            need(n)
            return buf[:n], buf[n:]
        if r.get("transfer-encoding") != ["chunked"]:
            return b"", buf
        out = []
        while True:
            while b"\r\n" not in buf:
                need(len(buf) + 1)
            size, buf = buf.split(b"\r\n", 1)
            n = int(size, 16)
            need(n + 2)
            out.append(buf[:n])
            assert buf[n:n + 2] == b"\r\n"
            buf = buf[n + 2:]
            if n == 0:
                return b"".join(out), buf

    def close(self):
        self.sock.close()


def ok(body=b"hello", headers=b"", status=b"200 OK"):
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n" % len(body) + headers + \
        b"\r\n" + body


__all__ = ["Worker", "Upstream", "Answer", "ok", "SECRET", "UNKNOWN", "read_fd"]

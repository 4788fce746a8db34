#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real egressd-worker between played peers and upstreams: test_worker.py [unittest
arguments]; the program is $EGRESS_WORKER."""
import base64
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from worker_harness import SECRET, UNKNOWN, Upstream, Worker, ok  # noqa: E402

PROGRAM = os.environ.get("EGRESS_WORKER", "egressd/egressd-worker")
(OK, AGENT_GONE, UNREACHABLE, TIMEOUT, BROKEN, ADDRESS, DOMAIN, ECHOED, GRANT,
 TOO_LARGE) = range(1, 11)
ACCESS_REFUSED = 16


class Base(unittest.TestCase):
    def setUp(self):
        self.workers, self.upstreams = [], []

    def tearDown(self):
        for w in self.workers:
            alive = w.alive()
            code = w.close()
            self.assertTrue(alive or getattr(w, "may_end", False), "the worker died")
            self.assertEqual(code, 0)
        for u in self.upstreams:
            u.close()

    def upstream(self, handler, **kw):
        u = Upstream(handler, **kw)
        self.upstreams.append(u)
        return u

    def worker(self, port=None, **kw):
        if port is not None:
            kw.setdefault("port", port)
            kw.setdefault("domains", "localhost,127.0.0.1")
        w = Worker(PROGRAM, **kw)
        self.workers.append(w)
        return w

    def pair(self, handler, **kw):
        u = self.upstream(handler)
        return u, self.worker(u.port, **kw)


class Injection(Base):
    def test_bearer(self):
        u, w = self.pair(lambda r, c: ok(b"hi", b"X-A: 1\r\nSet-Cookie: s=1\r\nTrailer: x\r\n"
                                         b"Connection: x-b\r\nX-B: 2\r\nProxy-Authenticate: b\r\n"))
        a = w.get(u.port, b"/a/b?c=d", headers=b"accept: */*\r\naccept-encoding: gzip\r\n"
                  b"authorization: Bearer mine\r\nx-api-key: q\r\nX_Api_Key: q\r\n"
                  b"x-forwarded-authorization: z\r\nexpect: 100-continue\r\nx-keep: 1\r\n")
        self.assertEqual((a.head["status"], a.body, a.head["made"]), (200, b"hi", 0))
        self.assertEqual(a.head["headers"].lower(), b"x-a: 1\r\n")
        r = u.requests[0]
        self.assertEqual((r.method, r.target, r.version), ("GET", "/a/b?c=d", "HTTP/1.1"))
        self.assertEqual(r.get("authorization"), ["Bearer " + SECRET.decode()])
        self.assertEqual(r.get("host"), ["localhost:%d" % u.port])
        self.assertEqual(r.get("accept-encoding"), ["identity"])
        self.assertEqual(sorted(k.lower() for k, _ in r.headers),
                         ["accept", "accept-encoding", "authorization", "host", "x-keep"])
        d = a.done
        self.assertEqual((d["outcome"], d["status"], d["bytes_in"], d["bytes_out"]),
                         (OK, 200, 0, 2))
        self.assertEqual(d["detail"], b"localhost:%d 127.0.0.1" % u.port)

    def test_header(self):
        u, w = self.pair(lambda r, c: ok(), auth_type="header", header_name="X-Token")
        w.get(u.port, headers=b"x-token: mine\r\nX_Token: mine\r\n")
        self.assertEqual(u.requests[0].get("x-token"), [SECRET.decode()])
        self.assertEqual(u.requests[0].get("x_token"), [])

    def test_basic(self):
        u, w = self.pair(lambda r, c: ok(), auth_type="basic", secret=b"user:pass:word1")
        w.get(u.port)
        self.assertEqual(u.requests[0].get("authorization"),
                         ["Basic " + base64.b64encode(b"user:pass:word1").decode()])

    def test_query(self):
        u, w = self.pair(lambda r, c: ok(), auth_type="query", query_param="api key")
        want = "api%20key=" + urllib.parse.quote(SECRET, safe="")
        for sent, got in ((b"/p", "/p?"), (b"/p?a=1", "/p?a=1&"), (b"/p?", "/p?"),
                          (b"/p?a&", "/p?a&")):
            w.get(u.port, sent)
            self.assertEqual(u.requests[-1].target, got + want)

    def test_secret_with_line_break_is_refused(self):
        w = self.worker(1, secret=b"abc\r\nX: y")
        self.assertEqual(w.ready["code"], 1)
        self.assertIn(b"line break", w.ready["message"])
        w.may_end = True

    def test_another_credential_is_refused(self):
        w = self.worker(1, name="other")
        self.assertEqual(w.ready["code"], 1)
        w.may_end = True

    def test_rotation(self):
        u, w = self.pair(lambda r, c: ok())
        w.get(u.port)
        w.credential["secret"] = b"the new secret 12345"
        w.vault.send("credential_changed", gone=0)
        w.vault.wait("credential_fetch", count=2)
        time.sleep(0.2)
        w.get(u.port)
        self.assertEqual(u.requests[-1].get("authorization"), ["Bearer the new secret 12345"])

    def test_renewal(self):
        """Ready is told once more, with the order's number, and the new secret is used from then
        on; of orders that overtake each other the last one is told, after the last fetch."""
        u, w = self.pair(lambda r, c: ok())
        for version in range(1, 20):
            secret = w.credential["secret"] = b"the new secret %d" % version
            w.judge.send("credential_renew", version=version)
            ready = w.judge.wait("redeemer_ready", 5, version + 1)
            self.assertEqual((ready["code"], ready["version"]), (0, version))
            w.get(u.port)
            self.assertEqual(u.requests[-1].get("authorization"), ["Bearer " + secret.decode()])
        fetched = w.vault.count("credential_fetch")
        for version in range(20, 40):
            w.judge.send("credential_renew", version=version)
        n = w.judge.count("redeemer_ready")
        while ready["version"] != 39:
            n += 1
            ready = w.judge.wait("redeemer_ready", 5, n)
        self.assertGreater(w.vault.count("credential_fetch"), fetched)

    def test_no_connection_outlives_what_allowed_it(self):
        u, w = self.pair(lambda r, c: time.sleep(0.5 if r.target == "/slow" else 0) or ok())
        w.get(u.port)
        slow = w.open(u.port, b"/slow")
        time.sleep(0.2)
        w.credential["allow_private"] = 0
        w.judge.send("credential_renew", version=1)
        w.judge.wait("redeemer_ready", 5, 2)
        for _ in range(2):
            a = w.get(u.port)
            self.assertEqual((a.head["status"], a.done["outcome"]), (502, ADDRESS))
            self.assertEqual(w.wait_head(slow)["status"], 200)
            w.done(slow)
        self.assertEqual(len(u.requests), 2)

    def test_gone(self):
        u, w = self.pair(lambda r, c: ok())
        w.get(u.port)
        w.vault.send("credential_changed", gone=1)
        self.assertEqual(w.process.wait(5), 0)
        w.may_end = True


class Grants(Base):
    def refused(self, **change):
        u, w = self.pair(lambda r, c: ok())
        a = w.get(u.port, **change)
        self.assertEqual((a.head["status"], a.head["made"]), (403, 1))
        self.assertEqual(a.done["outcome"], GRANT)
        self.assertEqual(u.connections, 0)
        self.assertEqual(w.get(u.port).head["status"], 200)

    def test_not_ready_before_names_can_be_resolved(self):
        w = self.worker(late=0.5)
        self.assertEqual(w.early, 0)
        self.assertEqual(w.ready["code"], 0)

    def test_changed_target(self):
        self.refused(target=b"/x", mac=bytes(32))

    def test_each_field_is_sealed(self):
        u, w = self.pair(lambda r, c: ok())
        for change in (dict(target=b"/other"), dict(method=b"POST"), dict(headers=b"a: b\r\n"),
                       dict(authority=b"127.0.0.1:%d" % u.port), dict(body_len=UNKNOWN),
                       dict(body_len=1, body=b"x"), dict(not_after=int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) + 11000),
                       dict(max_body=(1 << 30) + 1), dict(upgrade=1), dict(request_id=os.urandom(16)), dict(grant=os.urandom(16))):
            self.assertEqual(self.changed(w, u, change).head["status"], 403, change)
        self.assertEqual(u.connections, 0)

    def changed(self, w, u, change):
        """A request whose field was changed after the seal."""
        import worker_harness as h
        f = dict(request_id=os.urandom(16), grant=os.urandom(16),
                 not_after=int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) + 9000, method=b"GET",
                 authority=b"localhost:%d" % u.port, target=b"/x", headers=b"", body_len=0,
                 max_body=1 << 30, body=b"", timeout_ms=1000)
        f["mac"] = h.seal(w.key, f["request_id"], f["grant"], f["not_after"], h.digest_proxy(f))
        f.update(change)
        w.reqid += 1
        a = h.Answer()
        a.request = f["request_id"]
        w.answers[w.reqid] = w.by_request[a.request] = a
        w.gate.send("proxy_open", w.reqid, **f)
        w.wait_head(a)
        return a

    def test_late(self):
        self.refused(not_after=int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) - 1)

    def test_too_early(self):
        self.refused(not_after=int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) + 3600000)

    def test_once(self):
        u, w = self.pair(lambda r, c: ok())
        a = w.get(u.port)
        b = self.changed(w, u, {k: a.fields[k] for k in ("request_id", "grant", "not_after", "mac")
                                } | {"target": a.fields["target"]})
        self.assertEqual(b.head["status"], 403)
        self.assertIn(b"used before", b.head["body"])

    def test_new_key(self):
        u, w = self.pair(lambda r, c: ok())
        old, w.key = w.key, os.urandom(32)
        w.judge.send("grant_key", key=w.key)
        self.assertEqual(w.get(u.port).head["status"], 200)
        w.key = old  # what was granted before is still good
        self.assertEqual(w.get(u.port).head["status"], 200)


class Targets(Base):
    def test_domains(self):
        u = self.upstream(lambda r, c: ok())
        w = self.worker(domains="localhost:%d,*.good.test" % u.port,
                        names={"localhost": ["127.0.0.1"]})
        self.assertEqual(w.get(u.port).head["status"], 200)
        for authority in (b"evil.test", b"good.test", b"127.0.0.1:%d" % u.port,
                          b"localhost", b"localhost:1", b"x.good.test:81"):
            a = w.get(authority=authority)
            self.assertEqual((a.head["status"], a.done["outcome"]), (403, DOMAIN), authority)
        for authority in (b"user@localhost", b"localhost:%d@x" % u.port, b"", b"a b"):
            a = w.get(authority=authority or b" ")
            self.assertEqual((a.head["status"], a.done["outcome"]), (403, DOMAIN), authority)
        a = w.get(authority=b"x.good.test")
        self.assertEqual((a.head["status"], a.done["outcome"]), (502, UNREACHABLE))
        self.assertIn(b'"cause":"resolve', a.head["body"])

    def test_methods_and_paths_as_sealed(self):
        """Whatever the judge has granted."""
        u = self.upstream(lambda r, c: ok())
        w = self.worker(u.port, methods="GET,POST", allow_paths="/a/**", deny_paths="/a/*/no")
        for method, target, headers, status in (
                (b"GET", b"/a/b?c=/x", b"", 200), (b"POST", b"/a", b"", 200),
                (b"PUT", b"/a/b", b"", 403), (b"GET", b"/b", b"", 403),
                (b"GET", b"/a/b/NO", b"", 403), (b"GET", b"/a//b;x/no", b"", 403),
                (b"GET", b"/a/b", b"x-http-method-override: DELETE\r\n", 403),
                (b"GET", b"/a/b", b"x-original-url: /b\r\n", 403)):
            a = w.get(u.port, target, method=method, headers=headers)
            self.assertEqual(a.head["status"], status, (method, target, headers))
            self.assertEqual(a.done["outcome"], OK if status == 200 else ACCESS_REFUSED, target)

    def test_private_addresses(self):
        names = {"a.test": ["127.0.0.1"], "b.test": ["10.1.2.3", "::1"], "c.test": ["::ffff:127.0.0.1"],
                 "d.test": ["169.254.169.254"], "e.test": ["fe80::1"], "f.test": ["0.0.0.0"]}
        w = self.worker(443, names=names, allow_private=0,
                        domains=",".join(names) + ",127.0.0.1,[::1]")
        for host in list(names) + ["127.0.0.1", "[::1]"]:
            a = w.get(authority=host.encode())
            self.assertEqual((a.head["status"], a.done["outcome"]), (502, ADDRESS), host)

    def test_metadata_always(self):
        names = {"d.test": ["169.254.169.254", "fd00:ec2::254"]}
        w = self.worker(443, names=names, domains="d.test,169.254.169.254")
        for host in (b"d.test", b"169.254.169.254"):
            a = w.get(authority=host)
            self.assertEqual((a.head["status"], a.done["outcome"]), (502, ADDRESS), host)

    def test_second_address(self):
        u = self.upstream(lambda r, c: ok())
        w = self.worker(u.port, names={"localhost": ["::1", "127.0.0.1"]})
        self.assertEqual(w.get(u.port).head["status"], 200)

    def test_refused_connection(self):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        w = self.worker(s.getsockname()[1])
        a = w.get(s.getsockname()[1])
        self.assertEqual((a.head["status"], a.done["outcome"]), (502, UNREACHABLE))
        self.assertIn(b"connect: Connection refused", a.head["body"])
        s.close()

    def test_literal_needs_no_resolver(self):
        u, w = self.pair(lambda r, c: ok())
        self.assertEqual(w.get(authority=b"127.0.0.1").head["status"], 200)
        self.assertEqual(w.resolves, [])


class Answers(Base):
    def test_bodies(self):
        big = os.urandom(300000)
        cases = {
            "/len": (ok(b"x" * 1000), b"x" * 1000),
            "/inline": (ok(b"y" * 24576), b"y" * 24576),
            "/large": (ok(big), big),
            "/chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                         b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n", b"abcde"),
            "/bigchunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                          b"".join(b"%x\r\n%s\r\n" % (7777, big[i:i + 7777])
                                   for i in range(0, 7777 * 38, 7777)) + b"0\r\n\r\n",
                          big[:7777 * 38]),
            "/empty": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
            "/interim": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                         b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"z"), b"z"),
        }
        u, w = self.pair(lambda r, c: cases[r.target][0])
        for path, (_, body) in cases.items():
            for _ in range(3):
                a = w.get(u.port, path.encode())
                self.assertEqual(a.body, body, path)
                self.assertEqual(a.done["outcome"], OK, path)
                self.assertEqual(a.done["bytes_out"], len(body))
                if a.head["stream"] >= 0:
                    self.assertEqual((a.end["complete"], a.end["bytes"]), (1, len(body)))
        self.assertEqual(u.connections, 1, "connections are kept")

    def test_every_split(self):
        raw = (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
               b"X: y\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

        def handler(r, c):
            n = int(r.target[1:])
            c.sendall(raw[:n])
            time.sleep(0.01)
            return raw[n:]
        u, w = self.pair(handler)
        for n in range(1, len(raw)):
            a = w.get(u.port, b"/%d" % n)
            self.assertEqual((a.head["status"], a.body), (200, b"hello world"), n)
        self.assertEqual(u.connections, 1)

    def test_until_close(self):
        def handler(r, c):
            c.sendall(b"HTTP/1.1 200 OK\r\n\r\nabc")
            time.sleep(0.05)
            c.sendall(b"def")
            return None
        u, w = self.pair(handler)
        a = w.get(u.port)
        self.assertEqual((a.body, a.end["complete"]), (b"abcdef", 1))

    def test_head_request(self):
        u, w = self.pair(lambda r, c: b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
        for _ in range(2):
            a = w.get(u.port, method=b"HEAD")
            self.assertEqual((a.body, a.head["body_len"]), (b"", 0))
            self.assertEqual(a.head["headers"].lower(), b"content-length: 999\r\n")
        self.assertEqual(u.connections, 1)

    def test_redirects_are_not_followed(self):
        u, w = self.pair(lambda r, c: ok(b"", b"Location: /y\r\n", b"302 Found"))
        a = w.get(u.port)
        self.assertEqual(a.head["status"], 302)
        self.assertEqual(len(u.requests), 1)

    def test_server_sent_events(self):
        go = threading.Event()

        def handler(r, c):
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n")
            for i in range(3):
                go.wait()
                go.clear()
                c.sendall(b"8\r\ndata: %d\n\r\n" % i)
            return b"0\r\n\r\n"
        u, w = self.pair(handler)
        a = w.open(u.port)
        self.assertGreaterEqual(w.wait_head(a)["stream"], 0)
        for i in range(3):
            go.set()
            began = time.monotonic()
            self.assertEqual(a.first(), b"data: %d\n" % i)
            self.assertLess(time.monotonic() - began, 0.2)
        self.assertEqual(a.first(), b"")
        self.assertEqual(w.done(a)["outcome"], OK)

    def test_no_ranges(self):
        """Pieces of the agent's choice would give an echoed secret away."""
        u, w = self.pair(lambda r, c: ok(b"whole"))
        a = w.get(u.port, headers=b"range: bytes=0-4\r\nIf-Range: x\r\nRANGE: bytes=1-2\r\n"
                  b"x-keep: 1\r\n")
        self.assertEqual((a.head["status"], a.body), (200, b"whole"))
        self.assertEqual(sorted(k.lower() for k, _ in u.requests[0].headers),
                         ["accept-encoding", "authorization", "host", "x-keep"])

    def test_unasked_parts(self):
        cases = {
            "/206": ok(SECRET[:5], b"Content-Range: bytes 0-4/99\r\n", b"206 Partial Content"),
            "/large": ok(b"x" * 50000, b"", b"206 Partial Content"),
            "/multi": ok(SECRET[:5], b"Content-Type: Multipart/ByteRanges; boundary=x\r\n"),
        }
        u, w = self.pair(lambda r, c: cases[r.target])
        for path in cases:
            a = w.get(u.port, path.encode())
            self.assertEqual((a.head["status"], a.done["outcome"]), (502, BROKEN), path)
            self.assertIn(b"cannot be searched", a.head["body"])
            self.assertNotIn(SECRET[:5], a.head["body"])

    def test_broken(self):
        cases = {
            "/garbage": b"not http at all\r\n\r\n",
            "/both": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "/two": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "/lf": b"HTTP/1.1 200 OK\nA: b\n\n",
            "/fold": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "/chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "/101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "/gzip": ok(b"abc", b"Content-Encoding: gzip\r\n"),
            "/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "/cuthead": b"HTTP/1.1 200 OK\r\nConte",
            "/1xx": b"HTTP/1.1 100 Continue\r\n\r\n" * 17,
            "/huge": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 40000 + b"\r\n\r\n",
            "/99": b"HTTP/1.1 099 Low\r\n\r\n",
        }

        def handler(r, c):
            c.sendall(cases[r.target])
            return None
        u, w = self.pair(handler)
        for path in cases:
            a = w.get(u.port, path.encode())
            self.assertEqual((a.head["status"], a.head["made"], a.done["outcome"]),
                             (502, 1, BROKEN), path)
            self.assertIn(b'"service":"api"', a.body)

    def test_cut_stream(self):
        def handler(r, c):
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"a" * 50000)
            return None
        u, w = self.pair(handler)
        a = w.get(u.port)
        self.assertEqual((a.end["complete"], a.done["outcome"]), (0, BROKEN))
        self.assertEqual(len(a.body), 50000)

    def test_back_pressure(self):
        total, sent = 64 << 20, [0]

        def handler(r, c):
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
            for _ in range(total >> 16):
                c.sendall(b"b" * 65536)
                sent[0] += 65536
            return b""
        u, w = self.pair(handler)
        w.hold_streams = threading.Event()
        before = w.rss_kib()
        a = w.open(u.port, timeout_ms=20000)
        w.wait_head(a)
        time.sleep(0.5)
        self.assertLess(sent[0], 24 << 20, "the worker reads on although nobody takes it")
        self.assertLess(w.rss_kib() - before, 4096)
        w.hold_streams.set()
        n = 0
        while True:
            piece = a.first()
            if not piece:
                break
            n += len(piece)
        self.assertEqual(n, total)
        self.assertEqual(w.done(a)["outcome"], OK)
        self.assertEqual(w.get(u.port, timeout=30).done["outcome"], OK)

    def test_slow_agent(self):
        """Whatever stopped when the agent paused goes on when it reads again."""
        u, w = self.pair(lambda r, c: ok(bytes(int(r.target[1:]))))
        for n in list(range(1 << 20, 5 << 20, 131072)) + [123457 * i for i in range(1, 20)]:
            w.hold_streams = threading.Event()
            a = w.open(u.port, b"/%d" % n)
            w.wait_head(a)
            time.sleep(0.02)
            w.hold_streams.set()
            got = 0
            while True:
                piece = a.first(3)
                if not piece:
                    break
                got += len(piece)
            self.assertEqual((got, w.done(a)["outcome"]), (n, OK))

    def test_time_out(self):
        u, w = self.pair(lambda r, c: time.sleep(3) or None)
        a = w.get(u.port, timeout_ms=300)
        self.assertEqual((a.head["status"], a.done["outcome"]), (504, TIMEOUT))
        self.assertEqual(a.body, b'{"error":"Upstream request timed out","service":"api"}')

    def test_time_out_in_stream(self):
        def handler(r, c):
            c.sendall(b"HTTP/1.1 200 OK\r\n\r\n(((")
            time.sleep(3)
            return None
        u, w = self.pair(handler)
        a = w.get(u.port, timeout_ms=300)
        self.assertEqual((a.body, a.end["complete"], a.done["outcome"]), (b"(((", 0, TIMEOUT))


class Echoes(Base):
    def forms(self):
        s = SECRET
        b64 = base64.b64encode
        return {
            "plain": s, "upper": s.upper(), "base64": b64(s), "base64 1": b64(b"u" + s),
            "base64 2": b64(b"us" + s + b"x"), "url-safe": base64.urlsafe_b64encode(s),
            "percent": urllib.parse.quote(s, safe="").encode(),
            "percent lower": urllib.parse.quote(s, safe="").lower().encode(),
            "form": urllib.parse.quote_plus(s).encode(),
            "all percent": b"".join(b"%%%02X" % c for c in s),
            "json": s.replace(b"/", b"\\/"), "json all": b"".join(b"\\u%04x" % c for c in s),
            "hex": s.hex().encode(), "HEX": s.hex().upper().encode(),
        }

    def test_small_bodies(self):
        for name, form in self.forms().items():
            u, w = self.pair(lambda r, c: ok(b"{'you': '" + form + b"'}"))
            a = w.get(u.port)
            self.assertEqual((a.head["status"], a.done["outcome"]), (502, ECHOED), name)
            self.assertIn(b"contained the credential and was withheld", a.body)
            self.assertEqual((a.head["made"], a.done["status"]), (1, 502))

    def test_headers(self):
        for name, form in self.forms().items():
            u, w = self.pair(lambda r, c: ok(b"", b"Location: http://h/?k=" + form + b"\r\n",
                                             b"302 Found"))
            a = w.get(u.port)
            self.assertEqual((a.head["status"], a.done["outcome"]), (502, ECHOED), name)

    def test_streams_at_every_split(self):
        def handler(r, c):
            n = int(r.target[1:])
            c.sendall(b"HTTP/1.1 200 OK\r\n\r\nbefore ")
            c.sendall(SECRET[:n])
            time.sleep(0.02)
            c.sendall(SECRET[n:] + b" after")
            return None
        u, w = self.pair(handler)
        for n in range(1, len(SECRET)):
            a = w.get(u.port, b"/%d" % n)
            if a.head["made"]:
                continue
            self.assertEqual(a.done["outcome"], ECHOED)
            self.assertEqual(a.end["complete"], 0)
            self.assertTrue(b"before ".startswith(a.body), a.body)

    def test_prefix_is_passed_on_when_it_is_none(self):
        def handler(r, c):
            c.sendall(b"HTTP/1.1 200 OK\r\n\r\nbefore " + SECRET[:-1])
            time.sleep(0.02)
            return None
        u, w = self.pair(handler)
        a = w.get(u.port)
        self.assertEqual(a.body, b"before " + SECRET[:-1])
        self.assertEqual(a.done["outcome"], OK)

    def test_large(self):
        big = os.urandom(1 << 20)
        u, w = self.pair(lambda r, c: ok(big + SECRET + big))
        a = w.get(u.port)
        self.assertEqual((a.end["complete"], a.done["outcome"]), (0, ECHOED))
        self.assertTrue((big + SECRET).startswith(a.body) and len(a.body) <= len(big))

    def test_password(self):
        u, w = self.pair(lambda r, c: ok(b"pass=correct horse"), auth_type="basic",
                         secret=b"user:correct horse")
        self.assertEqual(w.get(u.port).done["outcome"], ECHOED)

    def test_cookie_does_not_cross_anyway(self):
        u, w = self.pair(lambda r, c: ok(b"x", b"Set-Cookie: t=" + SECRET + b"\r\n"))
        self.assertEqual(w.get(u.port).done["outcome"], OK)


class Bodies(Base):
    def test_inline(self):
        u, w = self.pair(lambda r, c: ok(r.body))
        for n in (0, 1, 24576):
            body = os.urandom(n)
            a = w.get(u.port, method=b"POST", body=body)
            self.assertEqual(a.body, body)
            self.assertEqual(a.done["bytes_in"], n)
        a = w.get(u.port, method=b"POST", body=b"abc", body_len=UNKNOWN)
        self.assertEqual(a.body, b"abc")

    def stream(self, w, u, pieces, body_len, delay=0.0, close=True, **kw):
        ours, theirs = socket.socketpair()
        a = w.open(u.port, method=b"POST", body_len=body_len, stream=theirs.detach(), **kw)

        def run():
            try:
                for p in pieces:
                    ours.sendall(p)
                    time.sleep(delay)
            except OSError:
                pass
            if close:
                ours.shutdown(socket.SHUT_WR)
        threading.Thread(target=run, daemon=True).start()
        return a, ours

    def test_streams(self):
        u, w = self.pair(lambda r, c: ok(b"%d" % len(r.body)))
        for n in (0, 1, 100000, 20 << 20):
            for length in (n, UNKNOWN):
                body = os.urandom(n)
                a, _ = self.stream(w, u, [body], length)
                w.wait_head(a, 20)
                self.assertEqual(a.head["body"], b"%d" % n)
                self.assertEqual(u.requests[-1].body, body)
                self.assertEqual(w.done(a)["bytes_in"], n)
        self.assertEqual(u.connections, 1)

    def test_short(self):
        u, w = self.pair(lambda r, c: ok())
        a, _ = self.stream(w, u, [b"abc"], 10)
        self.assertEqual(w.wait_head(a)["status"], 400)
        self.assertEqual(w.done(a)["outcome"], AGENT_GONE)
        self.assertEqual(u.requests, [])

    def test_too_long(self):
        """A body of unknown length ends where the judge said; what was sent does not look whole."""
        u, w = self.pair(lambda r, c: ok(b"%d" % len(r.body)))
        for n in (0, 1, 99999, 100000):
            a, _ = self.stream(w, u, [b"x" * n], UNKNOWN, max_body=100000)
            self.assertEqual(w.wait_head(a)["body"], b"%d" % n)
            self.assertEqual(w.done(a)["outcome"], OK)
        seen = len(u.requests)
        for n, most in ((100001, 100000), (1, 0), (1 << 20, 100000)):
            a, _ = self.stream(w, u, [b"x" * n], UNKNOWN, max_body=most, close=False)
            self.assertEqual(w.wait_head(a)["status"], 413)
            done = w.done(a)
            self.assertEqual(done["outcome"], TOO_LARGE)
            self.assertLessEqual(done["bytes_in"], most)
        a = w.get(u.port, method=b"POST", body=b"abc", body_len=UNKNOWN, max_body=2)
        self.assertEqual((a.head["status"], a.done["outcome"]), (413, TOO_LARGE))
        time.sleep(0.1)
        self.assertEqual(len(u.requests), seen)

    def test_death_of_the_gate(self):
        """Descriptors of a process that dies are closed one by one: the stream may be first."""
        u, w = self.pair(lambda r, c: ok())
        a, ours = self.stream(w, u, [b"abc"], UNKNOWN, close=False)
        time.sleep(0.1)
        ours.close()
        self.assertEqual(w.wait_head(a)["status"], 400)
        self.assertEqual(w.done(a)["outcome"], AGENT_GONE)
        time.sleep(0.1)
        self.assertEqual(u.requests, [], "a body that broke off must not look complete")

    def test_cancel(self):
        u, w = self.pair(lambda r, c: ok())
        a, ours = self.stream(w, u, [b"abc"], UNKNOWN, close=False)
        time.sleep(0.1)
        w.gate.send("proxy_cancel", request_id=a.request)
        self.assertEqual(w.done(a)["outcome"], AGENT_GONE)
        time.sleep(0.1)
        self.assertEqual(u.requests, [], "a cancelled body must not look complete")
        ours.close()

    def test_early_answer(self):
        def handler(r, c):
            c.sendall(ok(b"too much", b"Connection: close\r\n", b"413 Content Too Large"))
            time.sleep(0.5)
            return None
        u = self.upstream(handler, read_body=False)
        w = self.worker(u.port)
        a, _ = self.stream(w, u, [b"x" * 65536] * 400, 65536 * 400)
        self.assertEqual(w.wait_head(a)["status"], 413)
        self.assertEqual(a.head["body"], b"too much")
        self.assertEqual(w.done(a)["outcome"], OK)

    def test_full_duplex(self):
        def handler(r, c):
            c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            buf = r.rest
            while b"0\r\n\r\n" not in buf:
                if buf:
                    c.sendall(b"%x\r\n%s\r\n" % (len(buf), buf))
                buf = c.recv(65536)
            return b"0\r\n\r\n"
        u = self.upstream(handler, read_body=False)
        w = self.worker(u.port)
        a, ours = self.stream(w, u, [], UNKNOWN, close=False)
        for i in range(5):
            ours.sendall(b"ping%d" % i)
            self.assertIn(b"ping%d" % i, a.first())
        ours.shutdown(socket.SHUT_WR)
        while a.first():
            pass
        self.assertEqual(w.done(a)["outcome"], OK)

    def test_dishonest_gate(self):
        u, w = self.pair(lambda r, c: ok())
        w.open(u.port, method=b"POST", body=b"abc", body_len=2)
        self.assertEqual(w.master.wait("misbehaved")["instance"], 10)
        self.assertEqual(w.judge.wait("permit_refused")["role"], 2)


class Connections(Base):
    def test_reuse_and_death(self):
        """A kept connection dies: GET once more, POST never twice."""
        def handler(r, c):
            if r.number == 2:
                return None  # close instead of an answer
            return ok(b"%d" % r.connection)
        u, w = self.pair(handler)
        self.assertEqual(w.get(u.port).body, b"1")
        a = w.get(u.port)
        self.assertEqual((a.body, len(u.requests)), (b"2", 3))
        n = len(u.requests)
        a = w.get(u.port, method=b"POST", body=b"x")
        self.assertEqual((a.head["status"], a.done["outcome"]), (502, BROKEN))
        self.assertEqual(len(u.requests), n + 1)
        self.assertIn(b"was not repeated", a.body)

    def test_not_twice_on_a_fresh_connection(self):
        u, w = self.pair(lambda r, c: None)
        a = w.get(u.port)
        self.assertEqual((a.head["status"], len(u.requests)), (502, 1))

    def test_closed_while_idle(self):
        def handler(r, c):
            c.sendall(ok())
            return None
        u, w = self.pair(handler)
        for i in range(5):
            a = w.get(u.port, method=b"POST", body=b"x")
            self.assertEqual((a.head["status"], a.done["outcome"]), (200, OK))
            time.sleep(0.05)  # the end is on its way
        self.assertEqual(len(u.requests), 5)

    def test_many(self):
        u, w = self.pair(lambda r, c: time.sleep(0.3) or ok(r.target.encode()))
        answers = [(i, w.open(u.port, b"/%d" % i)) for i in range(100)]
        for i, a in answers:
            self.assertEqual(w.wait_head(a)["body"], b"/%d" % i)
            self.assertEqual(w.done(a)["outcome"], OK)
        self.assertGreater(u.connections, 50)

    def test_limit(self):
        u, w = self.pair(lambda r, c: time.sleep(1) or ok())
        answers = [w.open(u.port, b"/%d" % i) for i in range(300)]
        got = [w.wait_head(a)["status"] for a in answers]
        self.assertEqual(sorted(set(got)), [200, 503])
        self.assertEqual(got.count(200), 256)

    def test_gate_dies(self):
        u, w = self.pair(lambda r, c: time.sleep(5))
        a = w.open(u.port)
        time.sleep(0.2)
        w.gate.close()
        self.assertEqual(w.done(a)["outcome"], AGENT_GONE)

    def test_agent_leaves_a_stream(self):
        def handler(r, c):
            c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                c.sendall(b"x" * 1000)
                time.sleep(0.01)
        u, w = self.pair(handler)
        a = w.open(u.port)
        w.wait_head(a)
        w.gate.send("proxy_cancel", request_id=a.request)
        self.assertEqual(w.done(a)["outcome"], AGENT_GONE)

    def test_no_descriptors_are_lost(self):
        big = b"q" * 100000
        u, w = self.pair(lambda r, c: ok(big if r.target == "/b" else b"s"))
        w.get(u.port)
        w.get(u.port, b"/b")
        n = w.fds()
        for _ in range(50):
            w.get(u.port, b"/b")
            w.get(u.port)
        self.assertLessEqual(w.fds(), n)

    def test_idle_exit(self):
        u = self.upstream(lambda r, c: ok())
        w = self.worker(u.port, conf=dict(idle_exit_ms=300), leave=0)
        w.get(u.port)
        w.judge.wait("worker_leave", 3, 2)
        self.assertTrue(w.alive())
        w.leave = 1
        self.assertEqual(w.process.wait(5), 0)
        w.may_end = True

    def test_judge_comes_back(self):
        u, w = self.pair(lambda r, c: ok())
        w.judge.close()
        time.sleep(0.2)
        a = w.open(u.port)  # the old key is still good; the row waits
        self.assertEqual(w.wait_head(a)["status"], 200)
        w.judge = w.peer("judge", 11, w.on_judge)
        w.key = os.urandom(32)
        w.judge.send("grant_key", key=w.key)
        self.assertEqual(w.judge.wait("redeemer_ready")["code"], 0)
        self.assertEqual(w.done(a)["outcome"], OK)
        self.assertEqual(w.get(u.port).done["outcome"], OK)

    def test_stop_drains(self):
        u, w = self.pair(lambda r, c: time.sleep(0.5) or ok())
        a = w.open(u.port)
        time.sleep(0.1)
        w.master.send("stop", drain_ms=5000)
        self.assertEqual(w.wait_head(a)["status"], 200)
        self.assertEqual(w.process.wait(5), 0)
        w.may_end = True


class Tls(Base):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        os.chmod(cls.dir.name, 0o755)
        d = cls.dir.name
        for name, san in (("good", "DNS:localhost,IP:127.0.0.1"), ("other", "DNS:other.test")):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                            "/CN=" + name, "-addext", "subjectAltName=" + san, "-keyout",
                            d + "/" + name + ".key", "-out", d + "/" + name + ".pem"],
                           check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    def context(self, name, version=None):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain("%s/%s.pem" % (self.dir.name, name), "%s/%s.key" % (self.dir.name, name))
        if version is not None:
            c.maximum_version = version
        return c

    def tls(self, handler, name="good", ca="good", version=None, **kw):
        u = self.upstream(handler, tls=self.context(name, version))
        conf = dict(ca="%s/%s.pem" % (self.dir.name, ca))
        return u, self.worker(u.port, scheme="https", conf=conf, **kw)

    def test_works(self):
        big = os.urandom(1 << 20)
        for version in (None, ssl.TLSVersion.TLSv1_2):
            u, w = self.tls(lambda r, c: ok(big if r.target == "/big" else r.body),
                            version=version)
            for authority in (None, b"127.0.0.1:%d" % u.port):
                for i in range(3):
                    a = w.get(u.port, method=b"POST", body=b"b%d" % i, authority=authority)
                    self.assertEqual(a.body, b"b%d" % i)
                self.assertEqual(w.get(u.port, b"/big", authority=authority).body, big)
            self.assertEqual(u.connections, 2)

    def test_resumption(self):
        seen = []

        def handler(r, c):
            seen.append(c.session_reused)
            c.sendall(ok(b"", b"Connection: close\r\n"))
            c.unwrap()
            return None
        u, w = self.tls(handler)
        for _ in range(3):
            self.assertEqual(w.get(u.port).done["outcome"], OK)
        self.assertEqual(seen, [False, True, True])

    def test_wrong_name(self):
        u, w = self.tls(lambda r, c: ok(), name="other", ca="other")
        a = w.get(u.port)
        self.assertEqual((a.head["status"], a.done["outcome"]), (502, UNREACHABLE))
        self.assertIn(b'"cause":"tls: ', a.body)
        self.assertEqual(u.requests, [])

    def test_unknown_authority(self):
        u, w = self.tls(lambda r, c: ok(), ca="other")
        a = w.get(u.port)
        self.assertIn(b'"cause":"tls: ', a.body)
        self.assertEqual(u.requests, [])

    def test_plain_server(self):
        u = self.upstream(lambda r, c: ok())
        w = self.worker(u.port, scheme="https", conf=dict(ca=self.dir.name + "/good.pem"))
        self.assertIn(b'"cause":"tls: ', w.get(u.port).body)

    def test_silent_server(self):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen(5)
        port = s.getsockname()[1]
        w = self.worker(port, scheme="https", conf=dict(
            ca=self.dir.name + "/good.pem", connect_timeout_ms=400))
        self.assertIn(b'"cause":"tls: timed out', w.get(port).body)
        s.close()

    def test_truncation_shows(self):
        def handler(r, c):
            c.sendall(b"HTTP/1.1 200 OK\r\n\r\nabc")
            time.sleep(0.1)
            socket.socket(fileno=os.dup(c.fileno())).shutdown(socket.SHUT_RDWR)
            return None
        u, w = self.tls(handler)
        a = w.get(u.port)
        self.assertEqual((a.end["complete"], a.done["outcome"]), (0, BROKEN))


if __name__ == "__main__":
    unittest.main()

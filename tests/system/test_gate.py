#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real gated between played peers: test_gate.py PROGRAM [unittest arguments]."""
import contextlib
import os
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gate_harness import (Client, Fd, Gate, UNKNOWN, answer, default_judge,  # noqa: E402
                          echo_worker, grant, read_blocking, stream_worker)

PROGRAM = os.environ.get("GATED", "gated/gated")

try:
    import pytest
except ImportError:
    pass  # unittest is enough
else:
    @pytest.fixture(scope="module", autouse=True)
    def installed(request):
        global PROGRAM
        if "GATED" not in os.environ:
            PROGRAM = str(request.getfixturevalue("prefix")) + "/libexec/aegis/gated"
GET = b"GET /svc/%s HTTP/1.1\r\nHost: x\r\n\r\n"


def toolhost_echo(name, f):
    if name == "tool_call":
        return [("tool_result", dict(outcome=1, body=b'{"echo":' + f["payload"] + b"}"))]
    return None


class Base(unittest.TestCase):
    def gate(self, **kw):
        g = Gate(PROGRAM, **kw)
        self.gates.append(g)
        return g

    def setUp(self):
        self.gates = []

    def tearDown(self):
        for g in self.gates:
            alive = g.alive()
            code = g.close()
            self.assertTrue(alive or getattr(g, "may_end", False), "gated died")
            self.assertEqual(code, 0)

    def client(self, g):
        c = Client(g.connect())
        self.addCleanup(c.sock.close)
        return c


class Small(Base):
    def test_health(self):
        g = self.gate()
        c = self.client(g)
        c.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        status, f, body = c.answer()
        self.assertEqual(status, 200)
        self.assertRegex(body, rb'^\{"status":"ok","version":"[^"]+"\}\n$')
        self.assertRegex(f["x-aegis-request-id"], "^[0-9a-f]{32}$")
        self.assertNotEqual(f["x-aegis-request-id"], "0" * 32)
        c.send(b"HEAD /_aegis/health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        status, f, body = c.answer("HEAD")
        self.assertEqual((status, body), (200, b""))
        self.assertEqual(c.answer()[0], 200)
        self.assertEqual(g.judge.count("proxy_authorize"), 0)

    def test_health_wrong_method(self):
        g = self.gate()
        c = self.client(g)
        c.send(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(c.answer()[0], 405)

    def test_what_the_judge_sees(self):
        g = self.gate()
        c = self.client(g)
        c.send(b"PUT /svc/a%20b?q=1 HTTP/1.1\r\nHost: gate:1\r\nX-Aegis-Agent: tok\r\n"
               b"X-Target-Host: h.example\r\nAuthorization: Bearer s\r\nX-Api-Key: k\r\n"
               b"Accept: */*\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nhi")
        status, f, body = c.answer()
        self.assertEqual((status, body), (200, b"hi"))
        ask = g.judge.wait("proxy_authorize")
        self.assertEqual(ask["peer"], b"127.0.0.1")
        self.assertEqual(ask["token"], b"tok")
        self.assertEqual(ask["method"], b"PUT")
        self.assertEqual(ask["target"], b"/svc/a%20b?q=1")
        self.assertEqual((ask["has_target_host"], ask["target_host"]), (1, b"h.example"))
        self.assertEqual(ask["headers"], b"Accept: */*\r\n")
        self.assertEqual(ask["body_len"], 2)
        job = g.worker.wait("proxy_open")
        self.assertEqual(job["headers"], ask["headers"])
        self.assertEqual((job["body"], job["body_len"], job["stream"]), (b"hi", 2, -1))
        self.assertEqual(f["x-aegis-request-id"], job["request_id"].hex())

    def test_refused_by_the_judge(self):
        g = self.gate(judge=lambda n, f: answer(
            429, b'{"error":"Rate limit exceeded"}', headers="Retry-After: 3\r\n")
            if n == "proxy_authorize" else None)
        c = self.client(g)
        c.send(GET % b"a" + GET % b"b")
        for _ in range(2):
            status, f, body = c.answer()
            self.assertEqual((status, f["retry-after"]), (429, "3"))
            self.assertEqual(f["content-type"], "application/json")
            self.assertEqual(body, b'{"error":"Rate limit exceeded"}')

    def test_close_on_decision(self):
        g = self.gate(judge=lambda n, f: answer(403, close=1))
        c = self.client(g)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[1]["connection"], "close")
        self.assertEqual(c.closed(), "fin")

    def test_repeated_agent_header(self):
        g = self.gate()
        for name in (b"X-Aegis-Agent", b"X-Target-Host"):
            c = self.client(g)
            c.send(b"GET /s/ HTTP/1.1\r\nHost: x\r\n%s: a\r\n%s: b\r\n\r\n" % (name, name.lower()))
            status, _, body = c.answer()
            self.assertEqual(status, 400)
            self.assertIn(b"more than one " + name, body)
        self.assertEqual(g.judge.count("proxy_authorize"), 0)

    def test_target_forms(self):
        g = self.gate()
        for line, status in ((b"GET http://localhost:3100/a HTTP/1.1", 400),
                             (b"CONNECT a:443 HTTP/1.1", 405), (b"OPTIONS * HTTP/1.1", 400)):
            c = self.client(g)
            c.send(line + b"\r\nHost: x\r\n\r\n")
            got, f, body = c.answer()
            self.assertEqual((got, f["connection"]), (status, "close"))
            self.assertEqual(c.closed(), "fin")
        self.assertIn(b"proxy setting", g.judge.wait("refusal_record")["detail"])

    def test_bad_heads(self):
        g = self.gate()
        for raw, status in ((b"GET / HTTP/1.1\r\n\r\n", 400), (b"\x16\x03\x01\x02", 400),
                            (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
                            (b"GET /" + b"a" * 9000, 414),
                            (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 17000, 431),
                            (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n", 417),
                            (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                             b"Transfer-Encoding: chunked\r\n\r\n", 400)):
            c = self.client(g)
            c.send(raw)
            got, f, body = c.answer()
            self.assertEqual(got, status, raw[:40])
            self.assertEqual(f["connection"], "close")
            self.assertEqual(c.closed(), "fin")
        self.assertEqual(g.judge.count("refusal_record"), 7)

    def test_bad_head_on_seal_route(self):
        g = self.gate()
        c = self.client(g)
        c.send(b"POST /v1/seal/invoke HTTP/1.1\nHost: x\n\n")
        c.answer()
        row = g.judge.wait("refusal_record")
        self.assertEqual((row["seal"], row["method"], row["target"]),
                         (1, b"POST", b"/v1/seal/invoke"))

    def test_pipelining_keeps_order(self):
        def judge(n, f):
            if n != "proxy_authorize":
                return None
            if f["target"] == b"/svc/slow":
                return [(lambda d, r, f: threading.Timer(0.3, lambda: d.send(
                    "decision", r, **answer(200, b"slow")[0][1])).start(), None)]
            return answer(200, f["target"])
        g = self.gate(judge=judge)
        c = self.client(g)
        c.send(GET % b"1" + GET % b"slow" + GET % b"2" + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + GET % b"3")
        self.assertEqual([c.answer()[2][:9] for _ in range(5)],
                         [b"/svc/1", b"slow", b"/svc/2", b'{"status"', b"/svc/3"])

    def test_pipelining_many(self):
        g = self.gate()
        c = self.client(g)
        n = 3000
        threading.Thread(target=lambda: c.send(b"".join(GET % (b"%d" % i) for i in range(n))),
                         daemon=True).start()
        for i in range(n):
            self.assertEqual(c.answer()[1]["x-target"], "/%d" % i)

    def test_split_everywhere(self):
        g = self.gate()
        raw = (b"POST /svc/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"3;e=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n" + GET % b"y")
        for step in (1, 7):
            c = self.client(g)
            c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(0, len(raw), step):
                c.send(raw[i:i + step])
                if step == 7:
                    time.sleep(0.002)
            self.assertEqual(c.answer()[2], b"abcde")
            self.assertEqual(c.answer()[1]["x-target"], "/y")

    def test_http10(self):
        g = self.gate(worker=stream_worker([b"abc", b"def"]))
        c = self.client(g)
        c.send(b"GET /svc/x HTTP/1.0\r\n\r\n")
        status, f, body = c.answer()
        self.assertEqual((f["connection"], body), ("close", b"abcdef"))
        self.assertNotIn("transfer-encoding", f)
        c = self.client(g)
        c.send(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
        self.assertEqual(c.answer()[1]["connection"], "keep-alive")
        self.assertEqual(c.answer()[0], 200)

    def test_head(self):
        g = self.gate(worker=lambda n, f: [("proxy_head", dict(
            status=200, headers=b"Content-Length: 77\r\n"))])
        c = self.client(g)
        c.send(b"HEAD /svc/x HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        for _ in range(2):
            self.assertEqual(c.answer("HEAD")[1]["content-length"], "77")

    def test_no_content(self):
        g = self.gate(worker=lambda n, f: [("proxy_head", dict(status=204))])
        c = self.client(g)
        c.send(GET % b"a" * 2)
        for _ in range(2):
            status, f, _ = c.answer()
            self.assertEqual(status, 204)
            self.assertNotIn("content-length", f)

    def test_worker_cannot_split(self):
        g = self.gate(worker=lambda n, f: [("proxy_head", dict(
            status=200, headers=b"A: b\r\n\r\nHTTP/1.1 200 OK\r\n"))] if n == "proxy_open" else None)
        c = self.client(g)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[0], 502)

    def test_browser_cannot_post(self):
        g = self.gate()
        for kind in (b"", b"Content-Type: text/plain\r\n"):
            for path in (b"/v1/seal/attest", b"/v1/invoke", b"/v1/security-contexts"):
                c = self.client(g)
                c.send(b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 2\r\n\r\n{}" % (path, kind))
                self.assertEqual(c.answer()[0], 415)
        self.assertEqual(g.judge.count("api_request") + g.judge.count("seal_authorize"), 0)


class Api(Base):
    POST = (b"POST %s HTTP/1.1\r\nHost: gate:3100\r\nContent-Type: application/json; charset=utf-8\r\n"
            b"%sContent-Length: %d\r\n\r\n%s")

    def post(self, c, path, body, more=b""):
        c.send(self.POST % (path, more, len(body), body))
        return c.answer()

    def test_api_fields(self):
        g = self.gate()
        c = self.client(g)
        status, _, body = self.post(c, b"/v1/seal/attest?x", b'{"a":1}',
                                    b"Authorization: Bearer j\r\nOrigin: http://o\r\nX-Aegis-Agent: t\r\n")
        self.assertEqual((status, body), (200, b'{"api":true}'))
        ask = g.judge.wait("api_request")
        self.assertEqual((ask["method"], ask["target"], ask["host"], ask["origin"], ask["body"],
                          ask["authorization"], ask["token"]),
                         (b"POST", b"/v1/seal/attest?x", b"gate:3100", b"http://o", b'{"a":1}',
                          b"Bearer j", b"t"))
        c.send(b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(c.answer()[0], 200)

    def test_api_too_large(self):
        g = self.gate()
        c = self.client(g)
        c.send(b"POST /v1/seal/attest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               b"Content-Length: 32769\r\n\r\n")
        self.assertEqual(c.answer()[0], 413)
        c = self.client(g)
        c.send(b"POST /v1/seal/attest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n9000\r\n" + b"a" * 0x9000)
        self.assertEqual(c.answer()[0], 413)

    def test_seal_call(self):
        g = self.gate(toolhost=toolhost_echo, judge=lambda n, f: grant(
            verdict=3, redeemer=50, server=7, payload_off=3, payload_len=5, wrap=1))
        c = self.client(g)
        status, f, body = self.post(c, b"/v1/seal/invoke", b"abc[1,2]xyz")
        self.assertEqual(body, b'{"protocol":"seal/v1","status":"success","payload":{"echo":[1,2]}}\n')
        call = g.toolhost.wait("tool_call")
        self.assertEqual((call["payload"], call["server"]), (b"[1,2]", 7))

    def test_tool_without_wrap(self):
        g = self.gate(toolhost=toolhost_echo, judge=lambda n, f: grant(
            verdict=3, redeemer=50, payload_off=0, payload_len=2, wrap=0))
        status, f, body = self.post(self.client(g), b"/v1/invoke", b"{}")
        self.assertEqual(body, b'{"echo":{}}')

    def test_slice_out_of_bounds(self):
        for off, length in ((0, 4), (4, 0), (2**32 - 1, 2), (1, 2**32 - 1)):
            g = self.gate(toolhost=toolhost_echo, judge=lambda n, f: grant(
                verdict=3, redeemer=50, payload_off=off, payload_len=length)
                if n != "refusal_record" else answer(f["status"]))
            status, _, _ = self.post(self.client(g), b"/v1/invoke", b"abc")
            self.assertEqual(status, 502)
            self.assertEqual(g.toolhost.count("tool_call"), 0)

    def test_large_envelope_and_result(self):
        seen = {}

        def judge(n, f):
            seen["envelope"] = os.pread(f["big"], 1 << 20, 0)
            os.close(f["big"])
            return grant(verdict=3, redeemer=50, payload_off=1, payload_len=99998, wrap=1)

        def toolhost(n, f):
            payload = os.pread(f["big"], 1 << 20, 0)
            os.close(f["big"])
            fd = os.memfd_create("r", os.MFD_ALLOW_SEALING)
            os.write(fd, payload)
            import fcntl
            fcntl.fcntl(fd, 1033, 0x2 | 0x8)  # F_ADD_SEALS, SHRINK | WRITE
            return [("tool_result", dict(outcome=1, big=Fd(fd)))]
        g = self.gate(judge=judge, toolhost=toolhost)
        body = b"[" + b"5" * 99998 + b"]"
        status, f, got = self.post(self.client(g), b"/v1/seal/invoke", body)
        self.assertEqual(seen["envelope"], body)
        self.assertEqual(got, b'{"protocol":"seal/v1","status":"success","payload":' + b"5" * 99998 + b"}\n")

    def test_unsealed_result_is_refused(self):
        def toolhost(n, f):
            return [("tool_result", dict(outcome=1, big=Fd(os.memfd_create("r"))))]
        g = self.gate(toolhost=toolhost)
        self.assertEqual(self.post(self.client(g), b"/v1/invoke", b"{}")[0], 502)

    def test_tool_failures(self):
        g = self.gate(toolhost=lambda n, f: [("tool_result", dict(
            outcome=12, status=504, message="too slow"))])
        c = self.client(g)
        self.assertEqual(self.post(c, b"/v1/invoke", b"{}")[0], 504)
        row = g.judge.wait("refusal_record")
        self.assertEqual((row["seal"], row["detail"], row["reason"]), (1, b"too slow", 14))
        self.assertNotEqual(row["request_id"], bytes(16))
        g.toolhost_fn = lambda n, f: [(lambda d, r, f: d.close(), None)]
        self.assertEqual(self.post(c, b"/v1/invoke", b"{}")[0], 502)

    def test_seal_wrong_method(self):
        g = self.gate()
        c = self.client(g)
        c.send(b"GET /v1/seal/invoke HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(c.answer()[0], 405)
        self.assertEqual(g.judge.wait("refusal_record")["seal"], 1)

    def test_expect_on_seal(self):
        g = self.gate(toolhost=toolhost_echo)
        c = self.client(g)
        c.send(b"POST /v1/invoke HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        self.assertEqual(c.head()[0], 100)
        c.send(b"{}")
        self.assertEqual(c.answer()[0], 200)


class Alone(Base):
    def test_no_judge(self):
        g = self.gate(with_judge=False)
        c = self.client(g)
        c.send(GET % b"a")
        status, f, body = c.answer()
        self.assertEqual(status, 503)
        self.assertIn(b'"error":"Aegis cannot decide right now"', body)
        self.assertRegex(f["x-aegis-request-id"], "^[0-9a-f]{32}$")
        c.send(b"POST /v1/seal/invoke HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
               b"Content-Length: 2\r\n\r\n{}")
        status, f, body = c.answer()
        self.assertEqual(status, 503)
        self.assertIn(b'{"protocol":"seal/v1","status":"error","error":{"code":4503,"message":', body)
        c.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(c.answer()[0], 400)

    def test_judge_dies_while_asked(self):
        g = self.gate(judge=lambda n, f: [(lambda d, r, f: d.close(), None)])
        c = self.client(g)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[0], 503)
        g.judge = g.peer("judge", 11, default_judge)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[0], 200)

    def test_door_comes_late(self):
        g = self.gate(worker=None, judge=lambda n, f: grant(redeemer=333, target="/" + "x" * 5000))
        c = self.client(g)
        c.send(GET % b"a")
        time.sleep(0.3)
        g.peer("worker", 332, echo_worker)
        g.peer("worker", 333, echo_worker)
        self.assertEqual(c.answer()[1]["x-target"], "/" + "x" * 5000)

    def test_door_never_comes(self):
        g = self.gate(worker=None)
        c = self.client(g)
        c.send(GET % b"a")
        t = time.monotonic()
        self.assertEqual(c.answer()[0], 503)
        self.assertLess(time.monotonic() - t, 3)
        c.send(GET % b"a")
        time.sleep(0.1)
        c.sock.close()  # while it waits for the door
        time.sleep(0.2)
        g.peer("worker", 100, echo_worker)

    def test_worker_dies(self):
        g = self.gate(worker=lambda n, f: [(lambda d, r, f: d.close(), None)])
        c = self.client(g)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[0], 502)
        row = g.judge.wait("refusal_record")
        self.assertEqual(row["reason"], 13)
        self.assertEqual(row["request_id"], g.worker.wait("proxy_open")["request_id"])

    def test_worker_died_before_it_was_asked(self):
        """A door that was there and is shut does not come back, so nobody waits for it."""
        g = self.gate()
        g.worker.close()
        time.sleep(0.2)
        c, t = self.client(g), time.monotonic()
        c.send(GET % b"a")
        self.assertEqual(c.answer()[0], 503)
        self.assertLess(time.monotonic() - t, 1)

    def test_worker_silent(self):
        g = self.gate(judge=lambda n, f: grant(timeout_ms=1) if n == "proxy_authorize"
                      else answer(f["status"]), worker=lambda n, f: None)
        c = self.client(g)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[0], 504)
        g.worker.wait("proxy_cancel")

    def test_a_stream_that_was_opened_for_nobody_is_given_back(self):
        go = threading.Event()
        granted = answer(200, b"", verdict=4)[0][1]

        def judge(n, f):
            def reply(door, reqid, f):
                go.wait(5)
                door.send("decision", reqid, **granted)
            return [(reply, None)] if n == "mcp_request" else default_judge(n, f)
        g = self.gate(judge=judge)
        c = self.client(g)
        c.send(b"GET /mcp HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        g.judge.wait("mcp_request")
        held = g.fds()
        c.sock.close()
        end = time.monotonic() + 5
        while g.fds() >= held:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        go.set()
        self.assertEqual(g.judge.wait("mcp_gone")["stream"], granted["request_id"])

    def test_misbehaving_worker_loses_its_door(self):
        g = self.gate(worker=lambda n, f: [("hello", {})])
        c = self.client(g)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[0], 502)
        self.assertEqual(g.master.wait("misbehaved")["instance"], 100)

    def test_foreign_proxy_end(self):
        """A worker cannot end another worker's answer."""
        ids = []

        def pieces():
            yield b"a" * 10
            time.sleep(0.5)
            yield b"b" * 10
        g = self.gate(worker=stream_worker(pieces))
        other = g.peer("worker", 101, lambda n, f: None)
        c = self.client(g)
        c.send(GET % b"a")
        time.sleep(0.2)
        ids.append(g.worker.wait("proxy_open")["request_id"])
        other.send("proxy_end", request_id=ids[0], complete=0, bytes=0)
        self.assertEqual(c.answer()[2], b"a" * 10 + b"b" * 10)


class Times(Base):
    def test_slow_head(self):
        g = self.gate()
        c = self.client(g)
        c.send(b"GET / HT")
        t = time.monotonic()
        self.assertEqual(c.answer()[0], 408)
        self.assertLess(time.monotonic() - t, 2)
        self.assertEqual(c.closed(), "fin")

    def test_trickled_head(self):
        g = self.gate()
        c = self.client(g)
        t = time.monotonic()
        try:
            for b in b"GET /svc/x HTTP/1.1\r\nHost: " + b"x" * 50:
                c.send(bytes([b]))
                time.sleep(0.05)
        except OSError:
            pass
        self.assertLess(time.monotonic() - t, 4)  # time-out and lingering
        self.assertEqual(g.judge.count("proxy_authorize"), 0)

    def test_silent_connection(self):
        g = self.gate()
        c = self.client(g)
        t = time.monotonic()
        self.assertEqual(c.closed(), "fin")
        self.assertLess(time.monotonic() - t, 2)
        self.assertEqual(g.judge.count("refusal_record"), 0)

    def test_idle_connection(self):
        g = self.gate()
        c = self.client(g)
        c.send(GET % b"a")
        c.answer()
        t = time.monotonic()
        self.assertEqual(c.closed(), "fin")
        self.assertTrue(1.5 < time.monotonic() - t < 3)

    def test_slow_body(self):
        g = self.gate()
        for head in (b"Content-Length: 10\r\n", b"Content-Length: 100000\r\n",
                     b"Transfer-Encoding: chunked\r\n"):
            c = self.client(g)
            c.send(b"POST /svc/a HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n5\r\nab")
            self.assertEqual(c.answer()[0], 408)
            self.assertEqual(c.closed(), "fin")

    def test_trickled_body(self):
        g = self.gate()
        c = self.client(g)
        c.send(b"POST /svc/a HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n")
        t = time.monotonic()
        try:
            for _ in range(100):
                c.send(b"x")
                time.sleep(0.05)
        except OSError:
            pass
        self.assertLess(time.monotonic() - t, 4)  # time-out and lingering
        self.assertEqual(g.judge.count("proxy_authorize"), 0)

    def test_agent_does_not_read(self):
        g = self.gate(worker=stream_worker(lambda: (b"x" * 65536 for _ in range(1000))))
        c = self.client(g)
        c.send(GET % b"a")
        g.worker.wait("proxy_cancel", 10)
        self.assertLess(g.rss_kib(), 30000)


class Bodies(Base):
    POST = b"POST /svc/up HTTP/1.1\r\nHost: x\r\n%s\r\n"

    def test_inline_limit(self):
        g = self.gate()
        c = self.client(g)
        for n in (1, 24575, 24576):
            c.send(self.POST % (b"Content-Length: %d\r\n" % n) + b"y" * n)
            self.assertEqual(len(c.answer()[2]), n)
        self.assertEqual([f["stream"] for k, f in g.worker.seen if k == "proxy_open"], [-1] * 3)

    def test_streamed(self):
        got = []

        def worker(n, f):
            if n != "proxy_open":
                return None

            def reply(door, reqid, f):
                def late():
                    got.append(read_blocking(f["stream"]))
                    door.send("proxy_head", reqid, status=200, body_len=2, body=b"ok")
                threading.Thread(target=late, daemon=True).start()
            return [(reply, None)]
        g = self.gate(worker=worker)
        c = self.client(g)
        body = os.urandom(5 << 20)
        c.send(self.POST % b"Content-Length: 5242880\r\n" + body)
        self.assertEqual(c.answer()[0], 200)
        self.assertEqual(got[0], body)
        job = g.worker.wait("proxy_open")
        self.assertEqual((job["body_len"], job["body"]), (5242880, b""))
        c.send(self.POST % b"Transfer-Encoding: chunked\r\n")
        for i in range(0, 1 << 20, 65536):
            c.send(b"10000\r\n" + body[i:i + 65536] + b"\r\n")
        c.send(b"0\r\n\r\n")
        self.assertEqual(c.answer()[0], 200)
        self.assertEqual(got[1], body[:1 << 20])
        self.assertEqual(g.worker.wait("proxy_open", count=2)["body_len"], UNKNOWN)

    def test_expect(self):
        g = self.gate()
        c = self.client(g)
        c.send(self.POST % b"Expect: 100-continue\r\nContent-Length: 3\r\n")
        self.assertEqual(c.head()[0], 100)
        c.send(b"abc" + GET % b"next")
        self.assertEqual(c.answer()[2], b"abc")
        self.assertEqual(c.answer()[1]["x-target"], "/next")

    def test_expect_refused(self):
        g = self.gate(judge=lambda n, f: answer(403))
        c = self.client(g)
        c.send(self.POST % b"Expect: 100-continue\r\nContent-Length: 300000\r\n")
        status, f = c.head()
        self.assertEqual((status, f["connection"]), (403, "close"))

    def test_refused_while_sending(self):
        """The answer arrives although the agent goes on sending."""
        g = self.gate(judge=lambda n, f: answer(403, b"no"))
        c = self.client(g)
        c.send(self.POST % b"Content-Length: 300000\r\n" + b"x" * 100000)
        time.sleep(0.2)
        try:
            c.send(b"x" * 100000)
        except OSError:
            pass
        status, f, body = c.answer()
        self.assertEqual((status, f["connection"], body), (403, "close", b"no"))

    def test_chunked_too_large(self):
        g = self.gate(conf=dict(max_body_bytes=100000))
        c = self.client(g)
        c.send(self.POST % b"Transfer-Encoding: chunked\r\n")
        try:
            for _ in range(10):
                c.send(b"4000\r\n" + b"z" * 0x4000 + b"\r\n")
                time.sleep(0.02)
        except OSError:
            pass
        self.assertEqual(c.answer()[0], 413)
        g.worker.wait("proxy_cancel")

    def test_bad_chunk(self):
        g = self.gate()
        c = self.client(g)
        c.send(self.POST % b"Transfer-Encoding: chunked\r\n" + b"5\r\nabcdeX")
        self.assertEqual(c.answer()[0], 400)

    def test_broken_body_is_no_end(self):
        """The worker's stream must not end before the cancel is known."""
        order = []

        def worker(n, f):
            if n == "proxy_cancel":
                order.append("cancel")
                return None
            if n != "proxy_open":
                return None

            def reply(door, reqid, f):
                def late():
                    read_blocking(f["stream"])
                    order.append("end")
                threading.Thread(target=late, daemon=True).start()
                self.reqid = reqid
            return [(reply, None)]
        g = self.gate(worker=worker)
        c = self.client(g)
        c.send(self.POST % b"Transfer-Encoding: chunked\r\n" + b"5\r\nabcde\r\n")
        g.worker.wait("proxy_open")
        c.sock.close()
        g.worker.wait("proxy_cancel")
        time.sleep(0.3)
        self.assertEqual(order, ["cancel"])
        g.worker.send("error", self.reqid, code=1, message="cancelled")
        time.sleep(0.3)
        self.assertEqual(order, ["cancel", "end"])

    def test_slow_worker_holds_the_agent_back(self):
        held = threading.Event()

        def worker(n, f):
            if n != "proxy_open":
                return None

            def reply(door, reqid, f):
                def late():
                    held.wait(10)
                    n = len(read_blocking(f["stream"]))
                    door.send("proxy_head", reqid, status=200, body=b"%d" % n)
                threading.Thread(target=late, daemon=True).start()
            return [(reply, None)]
        g = self.gate(worker=worker, conf=dict(max_body_bytes=1 << 30))
        c = self.client(g)
        c.send(self.POST % b"Content-Length: 50000000\r\n")
        sent = [0]

        def feed():
            piece = b"q" * 100000
            while sent[0] < 50000000:
                c.sock.sendall(piece)
                sent[0] += len(piece)
        threading.Thread(target=feed, daemon=True).start()
        time.sleep(1.5)  # longer than body_timeout: the agent is not to blame
        self.assertLess(sent[0], 20000000)
        self.assertLess(g.rss_kib(), 30000)
        held.set()
        self.assertEqual(c.answer()[2], b"50000000")

    def test_early_answer(self):
        g = self.gate(worker=lambda n, f: [(lambda d, r, f: (
            os.close(f["stream"]), d.send("proxy_head", r, status=413, body=b"early")), None)]
            if n == "proxy_open" else None)
        c = self.client(g)
        c.send(self.POST % b"Content-Length: 3000000\r\n" + b"x" * 200000)
        status, f, body = c.answer()
        self.assertEqual((status, body, f["connection"]), (413, b"early", "close"))


class Streams(Base):
    def test_chunked_answer(self):
        pieces = [b"a", b"b" * 65536, b"c" * 100000]
        g = self.gate(worker=stream_worker(pieces, headers=b"Content-Type: text/x\r\n"))
        c = self.client(g)
        c.send(GET % b"a" * 2)
        for _ in range(2):
            status, f, body = c.answer()
            self.assertEqual(body, b"".join(pieces))
            self.assertEqual((f["transfer-encoding"], f["content-type"]), ("chunked", "text/x"))

    def test_answer_with_length(self):
        g = self.gate(worker=stream_worker([b"d" * 100000] * 3, body_len=300000))
        c = self.client(g)
        c.send(GET % b"a" * 2)
        for _ in range(2):
            self.assertEqual(len(c.answer()[2]), 300000)

    def test_events_pass_at_once(self):
        g = self.gate(worker=stream_worker([b"data: 1\n\n", b"data: 2\n\n"], delay=0.5))
        c = self.client(g)
        t = time.monotonic()
        c.send(GET % b"a")
        c.head()
        while b"data: 1" not in c.buf:
            c.more()
        self.assertLess(time.monotonic() - t, 0.4)

    def test_cut_answers_are_reset(self):
        for kw in (dict(complete=0), dict(bytes_=7), dict(body_len=30), dict(body_len=5),
                   dict(close_door=True), dict(body_len=30, close_door=True)):
            g = self.gate(worker=stream_worker([b"0123456789"], **kw))
            c = self.client(g)
            c.send(GET % b"a")
            c.head()
            self.assertEqual(c.closed(), "reset", kw)
            self.assertNotIn(b"0\r\n\r\n", c.buf)

    def test_worker_dies_after_the_last_octet(self):
        g = self.gate(worker=stream_worker([b"0123456789"], body_len=10, close_door=True))
        c = self.client(g)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[2], b"0123456789")

    def test_agent_leaves(self):
        def forever():
            while True:
                yield b"data: x\n\n"
        g = self.gate(worker=stream_worker(forever, delay=0.01))
        counts = []
        for i in (1, 2, 3):
            c = self.client(g)
            c.send(GET % b"a")
            c.head()
            c.sock.close()
            g.worker.wait("proxy_cancel", count=i)
            time.sleep(0.3)
            counts.append(g.fds())
        self.assertEqual(counts, counts[:1] * 3)

    def test_agent_leaves_before_the_answer(self):
        g = self.gate(worker=lambda n, f: None, toolhost=lambda n, f: None)
        for raw, door, note in ((GET % b"a", g.worker, "proxy_cancel"),
                                (b"POST /v1/invoke HTTP/1.1\r\nHost: x\r\nContent-Type: "
                                 b"application/json\r\nContent-Length: 2\r\n\r\n{}",
                                 g.toolhost, "tool_cancel")):
            c = self.client(g)
            c.send(raw)
            time.sleep(0.1)
            c.sock.close()
            door.wait(note)

    def test_agent_leaves_before_the_decision(self):
        asked = threading.Event()

        def judge(n, f):
            return [(lambda d, r, f: (setattr(self, "r", r), asked.set()), None)]
        g = self.gate(judge=judge)
        c = self.client(g)
        c.send(GET % b"a")
        asked.wait(5)
        c.sock.close()
        time.sleep(0.2)
        g.judge.send("decision", self.r, **grant()[0][1])
        time.sleep(0.2)
        self.assertEqual(g.worker.count("proxy_open"), 0)
        g.judge_fn = default_judge
        c = self.client(g)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[0], 200)

    def test_gigabyte(self):
        size = 1 << 30
        block = b"G" * (1 << 20)
        g = self.gate(worker=stream_worker(lambda: (block for _ in range(size >> 20)),
                                           body_len=size))
        c = self.client(g)
        t, cpu = time.monotonic(), g.cpu_s()
        c.send(GET % b"a")
        c.head()
        left = size - len(c.buf)
        view = memoryview(bytearray(1 << 20))
        while left > 0:
            n = c.sock.recv_into(view)
            self.assertGreater(n, 0)
            left -= n
        self.assertEqual(left, 0)
        print("1 GiB in %.1f s, gated %.2f s of CPU, %d KiB resident" %
              (time.monotonic() - t, g.cpu_s() - cpu, g.rss_kib()), file=sys.stderr)
        self.assertLess(g.rss_kib(), 40000)

    def test_slow_agents_cost_little(self):
        def worker(n, f):
            return stream_worker(lambda: (b"x" * 65536 for _ in range(100)))(n, f)
        g = self.gate(worker=worker, conf=dict(body_timeout_ms=20000))
        before = g.rss_kib()
        clients = [self.client(g) for _ in range(50)]
        for c in clients:
            c.send(GET % b"a")
        time.sleep(1)
        self.assertLess(g.rss_kib() - before, 50 * 150)
        for c in clients:
            c.sock.close()


class Limits(Base):
    def test_full_house(self):
        g = self.gate(conf=dict(max_connections=5, idle_timeout_ms=60000, header_timeout_ms=60000))
        first = [self.client(g) for _ in range(5)]
        for c in first:
            c.send(GET % b"a")
            self.assertEqual(c.answer()[0], 200)
        late = self.client(g)
        late.send(GET % b"b")
        late.sock.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            late.more()
        first[0].sock.close()
        late.sock.settimeout(5)
        self.assertEqual(late.answer()[0], 200)

    def test_idle_connections_cost_little(self):
        n = 2000
        g = self.gate(conf=dict(max_connections=5000, idle_timeout_ms=60000))
        before = g.rss_kib()
        clients = []
        for i in range(n):
            c = self.client(g)
            c.send(GET % b"a")
            c.answer()
            clients.append(c)
        each = (g.rss_kib() - before) / n
        print("%.2f KiB for an idle connection" % each, file=sys.stderr)
        self.assertLess(each, 10)
        for c in clients:
            c.sock.close()

    def test_many_pipelined_without_reading(self):
        g = self.gate(conf=dict(body_timeout_ms=1000))
        c = self.client(g)
        c.sock.settimeout(3)
        try:
            while True:
                c.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        except OSError:
            pass
        self.assertLess(g.rss_kib(), 30000)


class Storm(Base):
    """Everything at once, chosen by a seed; what counts is what is left afterwards."""
    SECONDS = int(os.environ.get("STORM_SECONDS", "5"))
    SEED = int(os.environ.get("STORM_SEED", "1"))

    def worker(self, rng):
        ways = [echo_worker, echo_worker, stream_worker([b"s" * 50000] * 4),
                stream_worker([b"s" * 50000] * 4, body_len=200000),
                stream_worker([b"cut"], complete=0), lambda n, f: None,
                lambda n, f: [("proxy_head", dict(status=200, headers=b"bad\n"))],
                lambda n, f: [(lambda d, r, f: d.send("error", r, code=1, message="x"), None)],
                lambda n, f: [(lambda d, r, f: d.close(), None)]]

        def handler(n, f):
            if n != "proxy_open":
                return None
            way = ways[rng.randrange(len(ways) if rng.random() < 0.2 else 4)]
            replies = way(n, f)
            if f["stream"] >= 0 and way is not echo_worker:
                os.close(f["stream"])
            return replies
        return handler

    def requests(self, rng):
        n = rng.choice([0, 10, 5000, 24576, 24577, 200000])
        up = b"POST /svc/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % n + b"u" * n
        chunked = (b"POST /svc/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                   + (b"%x\r\n" % n + b"u" * n + b"\r\n" if n else b"") + b"0\r\n\r\n")
        seal = (b"POST /v1/invoke HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % n + b"u" * n)
        expect = (b"POST /svc/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                  b"Content-Length: 5\r\n\r\nabcde")
        bad = b"GET / HTTP/1.1\nHost: x\n\n"
        out = b"".join(rng.choice([GET % b"a", GET % b"b", up, chunked, seal, expect,
                                   b"HEAD /svc/x HTTP/1.1\r\nHost: x\r\n\r\n"])
                       for _ in range(rng.randrange(1, 5)))
        return out + bad if rng.random() < 0.1 else out

    def agent(self, g, seed, until):
        rng = random.Random(seed)
        while time.monotonic() < until:
            try:
                s = g.connect(3)
                data = self.requests(rng)
                if rng.random() < 0.3:
                    data = data[:rng.randrange(len(data))]
                while data:
                    n = rng.choice([1, 100, 5000, 10**6])
                    s.sendall(data[:n])
                    data = data[n:]
                s.settimeout(rng.choice([0.001, 0.02, 0.1]))
                while s.recv(rng.choice([10, 65536])):
                    pass
            except OSError:
                pass
            s.close()

    def test_storm(self):
        rng = random.Random(self.SEED)
        g = self.gate(toolhost=toolhost_echo, worker=self.worker(rng), judge=lambda n, f:
                      [(lambda d, r, f: (f.get("big", -1) >= 0 and os.close(f["big"]), d.send(
                          "decision", r, **(default_judge(n, f) or answer(200))[0][1])), None)],
                      conf=dict(max_connections=30))
        until = time.monotonic() + self.SECONDS
        threads = [threading.Thread(target=self.agent, args=(g, 100 * self.SEED + i, until)) for i in range(16)]
        for t in threads:
            t.start()
        while time.monotonic() < until:
            time.sleep(0.1)
            if g.worker.sock.fileno() < 0:  # the master starts it anew
                g.worker = g.peer("worker", 100, lambda n, f: g.worker_fn(n, f))
        for t in threads:
            t.join()
        g.worker_fn = echo_worker
        if g.worker.sock.fileno() < 0:
            g.worker = g.peer("worker", 100, lambda n, f: g.worker_fn(n, f))
        def sockets():
            place, n = "/proc/%d/fd/" % g.process.pid, 0
            for fd in os.listdir(place):
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    n += os.readlink(place + fd).startswith("socket:")
            return n

        end = time.monotonic() + 30  # a machine with other work; nothing is kept longer than 10 s
        while sockets() != 5 and time.monotonic() < end:
            time.sleep(0.1)
        self.assertTrue(g.alive())
        self.assertEqual(sockets(), 5)  # master, judge, toolhost, worker, listener
        c = self.client(g)
        c.send(GET % b"after")
        self.assertEqual(c.answer()[1]["x-target"], "/after")
        print("%d decisions, %d refusals" % (g.judge.count("proxy_authorize"),
                                             g.judge.count("refusal_record")), file=sys.stderr)


class Drain(Base):
    def test_drain(self):
        def slow():
            yield b"a"
            time.sleep(1)
            yield b"b"
        g = self.gate(worker=stream_worker(slow))
        g.may_end = True
        idle, busy = self.client(g), self.client(g)
        idle.send(GET % b"a")
        idle.answer()
        busy.send(GET % b"a")
        time.sleep(0.2)
        g.master.send("stop", drain_ms=5000)
        self.assertEqual(idle.closed(1), "fin")
        self.assertTrue(g.alive())
        self.assertEqual(busy.answer()[2], b"ab")
        self.assertEqual(busy.closed(), "fin")
        self.assertEqual(g.process.wait(2), 0)

    def test_drain_says_close(self):
        def judge(n, f):
            return [(lambda d, r, f: threading.Timer(0.5, lambda: d.send(
                "decision", r, **answer(200)[0][1])).start(), None)]
        g = self.gate(judge=judge)
        g.may_end = True
        c = self.client(g)
        c.send(GET % b"a")
        time.sleep(0.2)
        g.master.send("stop", drain_ms=5000)
        self.assertEqual(c.answer()[1]["connection"], "close")
        self.assertEqual(g.process.wait(2), 0)

    def test_drain_has_an_end(self):
        g = self.gate(worker=lambda n, f: None)
        g.may_end = True
        c = self.client(g)
        c.send(GET % b"a")
        time.sleep(0.2)
        t = time.monotonic()
        g.master.send("stop", drain_ms=700)
        self.assertEqual(g.process.wait(3), 0)
        self.assertGreater(time.monotonic() - t, 0.5)


class Tls(Base):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        cls.cert, cls.key = cls.dir.name + "/c.pem", cls.dir.name + "/k.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", cls.key, "-out", cls.cert,
                        "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost"], check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    def tls(self, g, alpn=None, **kw):
        ctx = ssl.create_default_context(cafile=self.cert)
        if alpn:
            ctx.set_alpn_protocols(alpn)
        for k, v in kw.items():
            setattr(ctx, k, v)
        c = Client(ctx.wrap_socket(g.connect(), server_hostname="localhost"))
        self.addCleanup(c.sock.close)
        return c

    def test_tls(self):
        g = self.gate(tls=(self.cert, self.key))
        c = self.tls(g, ["h2", "http/1.1"])
        self.assertEqual(c.sock.selected_alpn_protocol(), "http/1.1")
        c.send(GET % b"a" + GET % b"b")
        self.assertEqual(c.answer()[1]["x-target"], "/a")
        self.assertEqual(c.answer()[1]["x-target"], "/b")
        body = os.urandom(20000)
        for _ in range(5):
            c.send(b"POST /svc/p HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + body)
            self.assertEqual(c.answer()[2], body)

    def test_tls_streams(self):
        g = self.gate(tls=(self.cert, self.key),
                      worker=stream_worker(lambda: (b"t" * 100000 for _ in range(100))))
        c = self.tls(g)
        c.send(GET % b"a")
        self.assertEqual(len(c.answer()[2]), 10000000)
        got = []

        def worker(n, f):
            def reply(door, reqid, f):
                def late():
                    got.append(len(read_blocking(f["stream"])))
                    door.send("proxy_head", reqid, status=200, body=b"ok")
                threading.Thread(target=late, daemon=True).start()
            return [(reply, None)]
        g.worker_fn = worker
        c.send(b"POST /svc/p HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + b"u" * 3000000)
        self.assertEqual(c.answer()[2], b"ok")
        self.assertEqual(got, [3000000])

    def test_tls_cut(self):
        g = self.gate(tls=(self.cert, self.key), worker=stream_worker([b"x"], complete=0))
        c = self.tls(g)
        c.send(GET % b"a")
        with self.assertRaises((ssl.SSLError, OSError, EOFError)):
            c.answer()

    def test_versions_and_alpn(self):
        g = self.gate(tls=(self.cert, self.key))
        c = self.tls(g, maximum_version=ssl.TLSVersion.TLSv1_2)
        c.send(GET % b"a")
        self.assertEqual(c.answer()[0], 200)
        with self.assertRaises((ssl.SSLError, OSError)):
            self.tls(g, maximum_version=ssl.TLSVersion.TLSv1_1,
                     minimum_version=ssl.TLSVersion.TLSv1)
        with self.assertRaises((ssl.SSLError, OSError)):
            c = self.tls(g, ["h2"])
            c.send(GET % b"a")
            c.answer()

    def test_plain_client(self):
        g = self.gate(tls=(self.cert, self.key))
        c = self.client(g)
        c.send(GET % b"a")
        self.assertIn(c.closed(), ("fin", "reset"))

    def test_silent_handshake(self):
        g = self.gate(tls=(self.cert, self.key))
        c = self.client(g)
        self.assertIsNotNone(c.closed(3))

    def test_refused_tls_upload(self):
        g = self.gate(tls=(self.cert, self.key), judge=lambda n, f: answer(403, b"no"))
        c = self.tls(g)
        c.send(b"POST /svc/p HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + b"u" * 100000)
        self.assertEqual(c.answer()[0], 403)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-") and os.path.exists(sys.argv[1]):
        PROGRAM = sys.argv.pop(1)
    unittest.main()

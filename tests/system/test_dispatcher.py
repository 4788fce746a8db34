#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real egressd-dispatcher between played peers; the program is $EGRESS_DISPATCHER."""
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gate_harness import ROLES, Door  # noqa: E402

PROGRAM = os.environ.get("EGRESS_DISPATCHER", "egressd/egressd-dispatcher")


class Dispatcher:
    def __init__(self, max_workers=3):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = theirs.fileno()

        def child():
            os.dup2(fd, 3, inheritable=True)
        self.process = subprocess.Popen([PROGRAM], preexec_fn=child, close_fds=False,
                                        env={"ASAN_OPTIONS": "detect_leaks=0"})
        theirs.close()
        self.code, self.instance, self.spawned = 0, 100, []
        self.master = Door(ours, "master", self.on_master)
        root = os.getuid() == 0
        self.master.send("conf_common", instance=3, log_level=3, log_format=0,
                         uid=61000 if root else os.getuid(), gid=61000 if root else os.getgid())
        self.master.send("conf_egress", connect_timeout_ms=1000, max_workers=max_workers)
        self.master.send("conf_done")
        self.master.wait("ready", 10)
        self.doors, self.reqid = [], 0
        self.judge, self.worker = self.peer("judge", 1), self.peer("worker", 50)

    def on_master(self, name, f):
        if name != "worker_spawn":
            return None
        self.spawned.append(f["credential"].decode())
        self.instance += 1
        return [("spawned", dict(code=self.code, message="no" if self.code else "",
                                 instance=self.instance))]

    def peer(self, role, instance):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.master.send("peer", role=ROLES.index(role), instance=instance, tenant="default",
                         name=role, fd=theirs.fileno())
        theirs.close()
        door = Door(ours, role, lambda n, f: None)
        door.wait("hello")
        self.doors.append(door)
        return door

    def resolve(self, host):
        self.reqid += 1
        n = self.worker.count("resolved")
        self.worker.send("resolve", self.reqid, host=host, port=443)
        return self.worker.wait("resolved", 8, n + 1)

    def want(self, credential, tenant="t"):
        """Whether a worker was started (True), a failure told (its reason), or neither."""
        starts, fails = len(self.spawned), self.judge.count("worker_failed")
        self.judge.send("worker_want", tenant=tenant, credential=credential)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            if len(self.spawned) > starts:
                time.sleep(0.1)
                return True
            if self.judge.count("worker_failed") > fails:
                return self.judge.wait("worker_failed", 1, fails + 1)["reason"].decode()
            time.sleep(0.01)
        return None

    def exited(self, status, instance=None):
        self.master.send("child_exited", instance=instance or self.instance, status=status)
        time.sleep(0.1)

    def close(self):
        for d in self.doors:
            d.close()
        self.master.close()
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            return self.process.wait()


class Test(unittest.TestCase):
    def setUp(self):
        self.d = Dispatcher()

    def tearDown(self):
        alive = self.d.process.poll() is None
        self.assertEqual(self.d.close(), 0)
        self.assertTrue(alive, "the dispatcher died")

    def test_resolve(self):
        f = self.d.resolve("localhost")
        self.assertEqual(f["code"], 0)
        self.assertEqual(len(f["addresses"]) % 18, 0)
        self.assertIn(bytes.fromhex("04007f000001") + bytes(12), f["addresses"])
        self.assertEqual(self.d.resolve("localhost")["addresses"], f["addresses"])
        self.assertIn(b"\4\0\1\2\3\4", self.d.resolve("1.2.3.4")["addresses"])

    def test_failures(self):
        for name in ("no.such.name.invalid", "no.such.name.invalid", "", "a b", "-", "x" * 256):
            f = self.d.resolve(name)
            self.assertNotEqual(f["code"], 0, name)
            self.assertEqual(f["addresses"], b"")
            self.assertNotEqual(f["message"], b"")

    def test_flood(self):
        """More questions than the queue holds: each has one answer all the same."""
        for i in range(600):
            self.d.worker.send("resolve", i + 1, host="n%d.invalid" % i, port=1)
        self.d.worker.wait("resolved", 10, 600)

    def test_worker_leaves_with_questions(self):
        other = self.d.peer("worker", 51)
        for i in range(50):
            other.send("resolve", i + 1, host="m%d.invalid" % i, port=1)
        other.close()
        self.assertEqual(self.d.resolve("localhost")["code"], 0)

    def test_the_worker_of_an_earlier_dispatcher(self):
        """Its door is how we know of it: it is not started twice, and again when it is gone."""
        self.assertIsNone(self.d.want("worker", "default"))
        self.d.worker.close()
        time.sleep(0.2)
        self.assertEqual(self.d.spawned, ["worker"])

    def test_one_at_a_time(self):
        # the limit of three holds for the one that is there as well
        self.assertEqual(self.d.want("a"), True)
        self.assertEqual(self.d.want("a"), None)
        self.assertEqual(self.d.want("b"), True)
        self.assertIn("too many workers", self.d.want("c"))
        self.assertEqual(self.d.spawned, ["a", "b"])

    def test_wanted_while_it_ends(self):
        self.d.want("a")
        self.assertEqual(self.d.want("a"), None)
        self.d.exited(0)
        self.assertEqual(self.d.spawned, ["a", "a"])

    def test_gives_its_place_back(self):
        self.d.want("a")
        self.d.want("b")
        self.d.exited(0)
        self.assertEqual(self.d.want("c"), True)

    def test_crashes(self):
        """Two starts anew at once, then a pause that the judge is told of."""
        self.d.want("a")
        for _ in range(2):
            self.d.exited(11)
        self.assertEqual(self.d.spawned, ["a"] * 3)
        self.d.exited(11)
        self.assertEqual(self.d.spawned, ["a"] * 3)
        self.assertIn("3 times in a row", self.d.judge.wait("worker_failed")["reason"].decode())
        self.assertIn("3 times in a row", self.d.want("a"))
        time.sleep(0.6)
        self.assertEqual(self.d.want("a"), True)

    def test_cannot_be_started(self):
        self.d.code = 12
        self.d.want("a")
        self.assertIn(b"cannot be started: no", self.d.judge.wait("worker_failed")["reason"])
        self.d.code = 0
        self.assertEqual(self.d.want("a"), True)

    def test_strange_child(self):
        self.d.exited(0, 4711)
        self.assertEqual(self.d.want("a"), True)

    def test_permits(self):
        self.d.worker.send("worker_want", tenant="t", credential="evil")
        self.assertEqual(self.d.master.wait("misbehaved")["instance"], 50)
        self.assertEqual(self.d.judge.wait("permit_refused")["role"], ROLES.index("worker"))
        self.assertEqual(self.d.spawned, [])
        self.d.judge.send("resolve", 1, host="localhost", port=1)
        self.assertEqual(self.d.master.wait("misbehaved", count=2)["instance"], 1)


if __name__ == "__main__":
    unittest.main()

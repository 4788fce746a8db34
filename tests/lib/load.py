# SPDX-License-Identifier: Apache-2.0
"""Agents at work: threads that call without a pause, and remember each call."""

import http.client
import itertools
import json
import random
import secrets
import threading
import time
from dataclasses import dataclass, field

DEADLINE = 5.0  # seconds within which a caller has an answer or an error


@dataclass
class Call:
    kind: str
    path: str
    began: float
    ended: float = 0.0
    status: int = 0  # 0: no whole answer came
    request: str = ""
    good: bool = False  # 200 and every octet as it must be
    wrong: str = ""  # complete, but not what was to come
    error: str = ""

    @property
    def took(self):
        return self.ended - self.began


class Agent(threading.Thread):
    """One agent with one kept-alive connection. `what(agent)` makes one call."""

    def __init__(self, load, what):
        super().__init__(daemon=True)
        self.load, self.what = load, what
        self.random = random.Random(secrets.token_bytes(8))
        self.connection = None

    def run(self):
        while not self.load.stopping:
            self.what(self)
            time.sleep(self.load.pause)
        self.close()

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def call(self, kind, method, path, headers, body, check):
        """check(status, octets) -> "" when a 200 is what it must be, else why not."""
        c = Call(kind, path, time.monotonic())
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    "127.0.0.1", self.load.lab.port, timeout=DEADLINE)
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            octets = answer.read()  # raises when it ends before it is whole
            c.status = answer.status
            c.request = answer.getheader("X-Aegis-Request-Id") or ""
            if answer.status == 200:
                c.wrong = check(answer.status, octets)
                c.good = not c.wrong
            else:
                c.error = octets[:200].decode(errors="replace")
            if answer.will_close:
                self.close()
        except (OSError, http.client.HTTPException) as e:
            c.error = f"{type(e).__name__}: {e}"
            self.close()
        c.ended = time.monotonic()
        self.load.done(c)
        return c


@dataclass
class Load:
    lab: object
    pause: float = 0.004
    calls: list = field(default_factory=list)
    stopping: bool = False

    def __post_init__(self):
        self.agents = []
        self.changed = threading.Condition()
        self.count = itertools.count(1)

    def done(self, c):
        with self.changed:
            self.calls.append(c)
            self.changed.notify_all()

    def start(self, *what):
        for w in what:
            self.agents.append(Agent(self, w))
            self.agents[-1].start()
        return self

    def stop(self):
        self.stopping = True
        for a in self.agents:
            a.join(DEADLINE + 5)
            assert not a.is_alive(), "an agent waits for ever"

    def wait_good(self, kinds, since, seconds):
        """{kind: seconds from `since` to the first good answer to a call begun after it}."""
        found, at = {}, len(self.calls)
        while at > 0 and self.calls[at - 1].ended >= since:
            at -= 1
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                for c in self.calls[at:]:
                    if c.good and c.began >= since and c.kind in kinds:
                        found.setdefault(c.kind, c.ended - since)
                at = len(self.calls)
                left = end - time.monotonic()
                if len(found) == len(kinds) or left <= 0:
                    return found
                self.changed.wait(left)

    # -- what agents do --

    def proxied(self, token, service, expect, method="GET", body=None, kind="proxy"):
        """Calls to nginx; each has a path of its own. expect(path) -> the octets to come."""

        def what(agent):
            path = f"/{kind}/{next(self.count)}-{agent.random.randrange(1 << 30)}"
            whole = expect(path)

            def check(status, octets):
                return "" if octets == whole else f"{len(octets)} octets of {len(whole)}"

            agent.call(kind, method, f"/{service}{path}", {"X-Aegis-Agent": token}, body, check)

        return what

    def sums(self, client, kind="seal"):
        """tools/call of get-sum."""

        def what(agent):
            a, b = agent.random.randrange(10**6), agent.random.randrange(10**6)
            envelope = client.envelope("tools/call", {"name": "get-sum",
                                                      "arguments": {"a": a, "b": b}})

            def check(status, octets):
                text = json.dumps(json.loads(octets)["payload"].get("result", ""))
                return "" if f"is {a + b}." in text else "an error of the tool"

            agent.call(kind, "POST", "/v1/seal/invoke", {"Content-Type": "application/json"},
                       json.dumps(envelope), check)

        return what

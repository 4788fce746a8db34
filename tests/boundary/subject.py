# SPDX-License-Identifier: Apache-2.0
"""One daemon under attack: honest peers beside it, so that it has somebody to report to,
and batches of doors on which somebody misbehaves."""

import os
import re
import select
import socket
import time
from collections import namedtuple

import proto
from puppet import (CONF_EGRESS, CONF_GATE, LISTEN_AGENTS, AdminSocket, Directory, Puppet, conf_judge,
                    conf_vault)

# What every session has that never ends by itself: the roles with a loop of their own.
DAEMONS = ("GATE", "JUDGE", "VAULT", "DISPATCH", "WORKER", "TOOLHOST", "API")
CREDENTIAL = "planted"
TOOL = dict(server=0, name="files", capabilities="files.*", health_method="ping",
            health_interval_ms=0, health_timeout_ms=1000, call_timeout_ms=1000,
            max_output_bytes=1 << 20, at_start=0)
EAGAIN = 11
VAULT_REFUSED = 7

# frames: [(octets, descriptors)]; reason: why the door must be shut, or None: the frames
# are permitted and only what comes after them is not. answer: wait for one to this frame.
Case = namedtuple("Case", "what frames reason answer greet", defaults=(None, False, True))
Result = namedtuple("Result", "shut reason master judge answers")

SENTINEL = proto.frame(proto.UNUSED_TYPE)
SENTINEL_REASON = "unknown type"


class Subject:
    def __init__(self, prefix, role):
        self.role, self.honest, self.heard = role, {}, {}
        self.refused_notes, self.misbehaved, self.log_at = {}, {}, 0
        self.directory = Directory(role) if role in ("JUDGE", "VAULT") else None
        conf = {
            "GATE": lambda: [("conf_gate", CONF_GATE)],
            "API": lambda: [("conf_gate", CONF_GATE)],
            "JUDGE": lambda: conf_judge(tools=[TOOL]),
            "VAULT": lambda: conf_vault(variables=[("files", "KEY", "", "planted-variable")]),
            "DISPATCH": lambda: [("conf_egress", CONF_EGRESS)],
            "WORKER": lambda: [("conf_egress", CONF_EGRESS)],
            "TOOLHOST": lambda: [("conf_tool", TOOL)],
        }[role]()
        self.puppet = Puppet(prefix, role, conf, directory=self.directory,
                             name=CREDENTIAL if role == "WORKER" else "")
        self.puppet.ready()
        if role in ("JUDGE", "VAULT"):
            self.admin = AdminSocket(self.puppet)
            self.admins = 0
        for peer in self.peers():
            if peer in ("JUDGE", "VAULT"):
                self.restore(peer)
        self.settle()

    def peers(self):
        return sorted({e.source for e in proto.EDGES if e.target == self.role}
                      | {e.target for e in proto.EDGES if e.source == self.role})

    def close(self):
        """The exit status. Honest peers answer to the end: the judge has its ledger sealed."""
        self.puppet.tell("stop", drain_ms=0)
        end = time.monotonic() + 5
        while self.puppet.alive() and time.monotonic() < end:
            try:
                self.pump(0.02)
            except AssertionError:
                break  # it ended
        status = self.puppet.stop()
        for door in self.honest.values():
            door.close()
        if self.directory:
            self.directory.remove()
        for agent in getattr(self, "agents", []):
            agent.close()
        if self.role in ("JUDGE", "VAULT"):
            self.admin.remove()
        return status

    # -- honest peers --

    def restore(self, peer):
        """An honest door of this role, the newest one, which is the one that counts."""
        if peer in self.honest:
            self.honest.pop(peer).close()
        if peer in ("JUDGE", "VAULT"):
            door = self.honest[peer] = self.puppet.door(peer)
            self.puppet.doors.remove(door)
            if self.role == "WORKER" and peer == "JUDGE":
                door.send("grant_key", key=b"k" * 32)

    def answer(self, door, got):
        """What honest peers and the master say to questions."""
        if got.name in ("worker_spawn", "tool_spawn"):
            door.send("spawned", got.reqid, code=EAGAIN, message="not in this test")
        elif got.name == "credential_fetch":
            door.send("credential_secret", got.reqid, tenant="default", name=CREDENTIAL,
                      service=CREDENTIAL, domains="127.0.0.1", auth_type="bearer", scheme="http",
                      secret="planted-credential")
        elif got.name == "vault_keys":
            door.send("vault_key_set", got.reqid, token_kid="t", ledger_kid="l")
        elif proto.MESSAGES[got.name].kind == "ASK":
            answer = proto.MESSAGES[got.name].answer
            door.send(answer, got.reqid, code=VAULT_REFUSED, message="not in this test")

    def pump(self, seconds=0.0, more=()):
        """Lets master and honest peers hear and answer. True when `more` has something."""
        poll = select.poll()
        doors = {d.fileno(): d for d in [self.puppet.master, *self.honest.values()]}
        for fd in [*doors, *(d.fileno() for d in more)]:
            poll.register(fd, select.POLLIN)
        ready = poll.poll(seconds * 1000)
        for fd, _ in ready:
            if fd in doors:
                self._hear(doors[fd])
        return bool(ready)

    def _hear(self, door):
        """All that is there."""
        try:
            while True:
                got = door.recv(0)
                if got.name == "misbehaved":
                    self.misbehaved[got.fields["instance"]] = got.fields["reason"]
                elif got.name == "permit_refused":
                    self.refused_notes[got.fields["instance"]] = got.fields
                else:
                    self.answer(door, got)
        except TimeoutError:
            pass
        except proto.Closed:
            self.puppet.alive()
            raise AssertionError(f"{self.role} shut an honest door (exit status "
                                 f"{self.puppet.status})\n{self.puppet.log()[-3000:]}")

    def settle(self):
        while self.pump(0.05):
            pass

    def refusals_logged(self):
        """{(peer, instance): (type, reason)} of the log's new lines."""
        line = re.compile(r'event=permit\.refused peer=(\w+) instance=(\d+) type=(\d+) '
                          r'reason=("[^"]*"|\S+)')
        text = self.puppet.log(self.log_at)
        self.log_at += len(text)
        for m in line.finditer(text):
            self.heard[(m[1], int(m[2]))] = (int(m[3]), m[4].strip('"'))
        return self.heard

    # -- attackers --

    def agent(self):
        """An agent's request to a gate; nobody waits for its answer."""
        if not hasattr(self, "agents"):
            self.agents = []
            listener = socket.create_server(("127.0.0.1", 0))
            self.address = listener.getsockname()
            self.puppet.listen(LISTEN_AGENTS, listener)
        self.agents.append(socket.create_connection(self.address))
        self.agents[-1].sendall(b"GET /service/path HTTP/1.1\r\nhost: gate\r\n\r\n")

    def attack_door(self, sender, greet=True):
        if sender != "ADMIN":
            return self.puppet.door(sender, name=CREDENTIAL, greet=greet)
        door = self.admin.door(greet)
        self.admins += 1
        door.instance = self.admins
        self.puppet.doors.append(door)
        return door

    def run(self, sender, cases, batch=48):
        """Each case on a fresh door; results in the same order, up to the first batch of
        which a door stays open (each such door takes seconds, and one is enough)."""
        results = []
        cases = list(cases)
        if sender == "ADMIN":
            batch = 12
        for i in range(0, len(cases), batch):
            results += self._batch(sender, cases[i:i + batch])
            if not all(r.shut for r in results):
                break
        self.restore(sender)
        self.settle()
        return results

    def _batch(self, sender, cases):
        doors = []
        for case in cases:
            door = self.attack_door(sender, case.greet)
            doors.append(door)
            for octets, fds in case.frames:
                door.raw(octets, fds)
        answers = [self._answer(d, c) if c.answer else None for d, c in zip(doors, cases)]
        for door, case in zip(doors, cases):
            if case.reason is None:
                door.raw(SENTINEL)
        shut = self._wait_shut(doors)
        reported = [d for d, s in zip(doors, shut) if s]
        end = time.monotonic() + 2
        while time.monotonic() < end and not all(
                self._told(sender, d.instance) for d in reported):
            self.pump(0.05)
        log = self.refusals_logged()
        name = role_text(sender)
        out = [Result(s, log.get((name, d.instance)), self.misbehaved.get(d.instance),
                      self.refused_notes.get(d.instance), a)
               for d, s, a in zip(doors, shut, answers)]
        for door in doors:
            door.close()
            self.puppet.doors.remove(door)
        return out

    def _told(self, sender, instance):
        """Have all heard of it that must?"""
        if sender == "ADMIN":
            return True
        return instance in self.misbehaved and (
            not told_to_judge(sender, self.role) or instance in self.refused_notes)

    def _answer(self, door, case):
        """The name of the answer to the case's question, or what came instead."""
        reqid = int.from_bytes(case.frames[-1][0][8:16], "big")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            self.pump(0.02, [door])
            try:
                got = door.recv(0)
            except TimeoutError:
                continue
            except proto.Closed:
                return "shut"
            if got.reqid == reqid and proto.MESSAGES[got.name].kind == "ANSWER":
                return got.name
        return "silence"

    def _wait_shut(self, doors, timeout=5.0):
        """Which of the doors the daemon shuts; honest peers are served meanwhile."""
        open_, end = dict(enumerate(doors)), time.monotonic() + timeout
        while open_ and time.monotonic() < end:
            self.pump(0.05, open_.values())
            for i, door in list(open_.items()):
                try:
                    while True:
                        close_fds(door.recv(0))
                except TimeoutError:
                    pass
                except proto.Closed:
                    del open_[i]
        return [i not in open_ for i in range(len(doors))]


def close_fds(got):
    for f in proto.MESSAGES[got.name].fields:
        if f.kind in ("FD", "OPTFD") and got.fields[f.name] is not None:
            os.close(got.fields[f.name])


def role_text(role):
    """As role_name() says it in logs."""
    text = (proto.ROOT / "common/role.c").read_text()
    return re.search(rf'\[ROLE_{role}\] = \{{"(\w+)"', text).group(1)


def told_to_judge(sender, receiver):
    """A judge that misbehaves is not told so; and the judge itself writes a row."""
    return receiver != "JUDGE" and sender not in ("JUDGE", "ADMIN")


def judge_verdict(sender, receiver, case, result):
    """What is wrong with a result, or None."""
    wanted = case.reason or SENTINEL_REASON
    if case.answer and result.answers not in (proto.MESSAGES[
            proto.BY_TYPE[int.from_bytes(case.frames[-1][0][2:4], "big")].name].answer, "error"):
        return f"was not answered: {result.answers}, {result.reason}"
    if not result.shut:
        return "the door stays open"
    if result.reason is None or result.reason[1] != wanted:
        return f"shut for {result.reason}, not for {wanted!r}"
    if sender != "ADMIN" and result.master != wanted:
        return f"the master heard {result.master!r}"
    if told_to_judge(sender, receiver):
        note = result.judge
        if note is None:
            return "the judge heard nothing"
        if (note["role"], note["type"], note["reason"]) != (
                proto.ROLES[sender], result.reason[0], wanted):
            return f"the judge heard {note}"
    return None

# SPDX-License-Identifier: Apache-2.0
"""The protocol between the processes, read from the sources: messages from
common/proto/*.def, permit tables from the C files, edges from common/edges.def. Nothing
of it is written here a second time, so a test that uses this cannot agree with an old
version by mistake."""

import array
import hashlib
import os
import re
import select
import socket
import struct
import time
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADER = 24

Field = namedtuple("Field", "kind name max")
Message = namedtuple("Message", "name type kind answer fields")
Row = namedtuple("Row", "message states flags handler")
Edge = namedtuple("Edge", "source target at_target at_source purpose")
Received = namedtuple("Received", "name reqid fields raw")


def _text(path):
    return re.sub(r"/\*.*?\*/", " ", (ROOT / path).read_text(), flags=re.S)


def _define(path, name):
    return int(re.search(rf"#define\s+{name}\s+(\d+)", _text(path)).group(1))


def _messages(paths):
    found, current = {}, None
    word = re.compile(r"\b(ASK|ANSWER|NOTE|END|F_[A-Z0-9]+)\(([^)]*)\)")
    for path in paths:
        for m in word.finditer(_text(path)):
            args = [a.strip() for a in m.group(2).split(",")]
            if m.group(1) in ("ASK", "ANSWER", "NOTE"):
                assert current is None, f"{path}: {args[0]} within {current}"
                current = Message(args[0], int(args[1], 16), m.group(1),
                                  args[2] if len(args) > 2 else None, [])
            elif m.group(1) == "END":
                assert current.name == args[0], f"{path}: END({args[0]})"
                assert current.name not in found
                found[current.name] = current
                current = None
            else:
                current.fields.append(Field(m.group(1)[2:], args[0],
                                            int(args[1]) if len(args) > 1 else 0))
    return found


def _schema():
    make = (ROOT / "common/local.mk").read_text()
    names = re.search(r"^PROTO = (.*?[^\\])$", make, re.S | re.M).group(1)
    paths = names.replace("\\", " ").split()
    return paths, hashlib.sha256(b"".join((ROOT / p).read_bytes() for p in paths)).digest()


def _tables():
    found = {}
    for path in sorted(ROOT.glob("*/permit.c")) + sorted(ROOT.glob("*/*/permit.c")):
        text = _text(path)
        for t in re.finditer(r"const struct permit (\w+)\[\]\s*=\s*\{(.*?)\};", text, re.S):
            body, rows = t.group(2), []
            for r in re.finditer(r"\{([^{}]*)\}", body):
                mtype, states, flags, handler = [c.strip() for c in r.group(1).split(",")]
                rows.append(Row(mtype.removeprefix("MSG_"), _bits(states), _bits(flags), handler))
            assert "PERMIT_LAST" in body and len(rows) == body.count("MSG_"), t.group(1)
            assert t.group(1) not in found, t.group(1)
            found[t.group(1)] = rows
    return found


def _bits(text):
    return frozenset(b.strip() for b in text.split("|") if b.strip() != "0")


def _edges():
    edge = re.compile(r'EDGE\((\w+),\s*(\w+),\s*(\w+),\s*(\w+),\s*"([^"]*)"\)')
    return [Edge(*m.groups()) for m in edge.finditer(_text("common/edges.def"))]


def _enum(path, name, prefix):
    body = re.search(rf"enum {name} \{{(.*?)\}}", _text(path), re.S).group(1)
    out, value = {}, -1
    for item in filter(None, (i.strip() for i in body.split(","))):
        key, _, given = (p.strip() for p in item.partition("="))
        value = int(given, 0) if given else value + 1
        out[key.removeprefix(prefix)] = value
    return out


PROTO_FILES, SCHEMA = _schema()
MESSAGES = _messages([p for p in PROTO_FILES if not p.endswith(("edges.def", "all.def"))])
BY_TYPE = {m.type: m for m in MESSAGES.values()}
TABLES = _tables()
EDGES = _edges()
ROLES = _enum("common/role.h", "role", "ROLE_")
OUTCOMES = _enum("common/proto.h", "outcome", "OUTCOME_")
VERDICTS = _enum("common/proto.h", "verdict", "VERDICT_")
VERSION = _define("common/msg.h", "MSG_VERSION")
MSG_MAX = _define("common/msg.h", "MSG_MAX")
MAX_FDS = _define("common/wire.h", "WIRE_MAX_FDS")
UNKNOWN_LEN = 2**64 - 1
UNUSED_TYPE = next(t for t in range(0x06fe, 0, -1) if t not in BY_TYPE)
assert len(BY_TYPE) == len(MESSAGES)


def table_name(receiver, sender):
    """Which table judges what `sender` says to `receiver`; None without an edge."""
    for e in EDGES:
        if (e.target, e.source) == (receiver, sender):
            return e.at_target
        if (e.source, e.target) == (receiver, sender):
            return e.at_source
    return None


def permitted(receiver, sender):
    """{message: row} of what `sender` may say to `receiver` unasked."""
    return {r.message: r for r in TABLES.get(table_name(receiver, sender), [])}


# -- encoding --

SIZES = {"U8": 1, "U32": 4, "U64": 8}


def body(message, fields):
    """(octets, descriptors). Nothing is checked: tests also want what must be refused."""
    fields, out, fds = dict(fields), b"", []
    for f in MESSAGES[message].fields:
        v = fields.pop(f.name, None)
        if f.kind in SIZES:
            out += (v or 0).to_bytes(SIZES[f.kind], "big")
        elif f.kind == "FIX":
            out += (v or b"").ljust(f.max, b"\0")
        elif f.kind in ("STR", "BLOB", "SECRET"):
            v = v.encode() if isinstance(v, str) else (v or b"")
            out += struct.pack(">I", len(v)) + v
        else:
            if f.kind == "OPTFD":
                out += bytes([v is not None])
            if v is not None:
                fds.append(v if isinstance(v, int) else v.fileno())
    assert not fields, f"{message} has no {sorted(fields)}"
    return out, fds


def frame(mtype, octets=b"", reqid=0, nfds=0, version=VERSION, length=None, deadline=0, flags=0,
          reserved=0):
    return struct.pack(">HHIQIHBB", version, mtype, len(octets) if length is None else length,
                       reqid, deadline, flags, nfds, reserved) + octets


def encode(message, reqid=0, fields=None):
    octets, fds = body(message, fields or {})
    return frame(MESSAGES[message].type, octets, reqid, len(fds)), fds


def hello(role, version=VERSION, schema=SCHEMA):
    return encode("hello", 0, {"version": version, "schema": schema, "role": ROLES[role]})[0]


def decode(data, fds):
    """The messages of a datagram; only one that is alone brings descriptors."""
    out = []
    while data:
        length = int.from_bytes(data[4:8], "big")
        out.append(_decode(data[:HEADER + length], fds))
        data = data[HEADER + length:]
        assert not (data and fds), "descriptors in a datagram of several messages"
    return out


def _decode(data, fds):
    version, mtype, length, reqid, _, flags, nfds, reserved = struct.unpack(
        ">HHIQIHBB", data[:HEADER])
    assert (version, length, nfds, flags, reserved) == (
        VERSION, len(data) - HEADER, len(fds), 0, 0), data[:HEADER].hex()
    m, at, out, fds = BY_TYPE[mtype], HEADER, {}, list(fds)
    for f in m.fields:
        if f.kind in SIZES:
            n = SIZES[f.kind]
            out[f.name] = int.from_bytes(data[at:at + n], "big")
        elif f.kind == "FIX":
            n = f.max
            out[f.name] = data[at:at + n]
        elif f.kind in ("STR", "BLOB", "SECRET"):
            n = int.from_bytes(data[at:at + 4], "big")
            assert n <= f.max, f"{m.name}.{f.name} has {n} octets"
            at += 4
            out[f.name] = data[at:at + n].decode() if f.kind == "STR" else data[at:at + n]
        elif f.kind == "OPTFD":
            n = 1
            out[f.name] = fds.pop(0) if data[at] else None
        else:
            n = 0
            out[f.name] = fds.pop(0)
        at += n
    assert at == len(data) and not fds, f"{m.name}: octets or descriptors left over"
    return Received(m.name, reqid, out, data)


# -- doors --

class Closed(Exception):
    """The other side shut the door."""


class Refused(Exception):
    """The answer was `error`."""


class Door:
    """Our end of a door. `tap` (a list) keeps every octet that came through it."""

    def __init__(self, sock, tap=None):
        self.sock, self.tap, self.last = sock, tap, 0
        self.queue = []  # came in the same datagram as what was read last
        self.kept = []  # passed over by wait()
        self.greeted = None

    @classmethod
    def pair(cls, tap=None):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours, tap), theirs

    def fileno(self):
        return self.sock.fileno()

    def raw(self, data, fds=()):
        """Sends one datagram as it is. False when the door is shut already."""
        try:
            self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                        array.array("i", fds))] if fds else [])
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def send(self, message, reqid=0, /, **fields):
        data, fds = encode(message, reqid, fields)
        if not self.raw(data, fds):
            raise Closed(message)

    def hello(self, role):
        self.raw(hello(role))

    def recv(self, timeout=5.0):
        """The next message; hello is remembered, not shown. Closed at the end."""
        end = time.monotonic() + timeout
        while not self.queue:
            left = max(0, end - time.monotonic())
            poll = select.poll()
            poll.register(self.sock, select.POLLIN)
            if not poll.poll(left * 1000):
                raise TimeoutError("nothing came")
            try:
                data, anc, flags, _ = self.sock.recvmsg(MSG_MAX + 1, socket.CMSG_SPACE(4 * MAX_FDS))
            except ConnectionResetError:
                raise Closed() from None
            if not data:
                raise Closed()
            fds = array.array("i")
            for _, _, octets in anc:
                fds.frombytes(octets[:len(octets) - len(octets) % fds.itemsize])
            assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
            if self.tap is not None:
                self.tap.append(data)
            for got in decode(data, fds):
                if got.name == "hello":
                    self.greeted = got.fields
                else:
                    self.queue.append(got)
        return self.queue.pop(0)

    def wait(self, name, timeout=5.0):
        """The next message of this name; others are kept in order for later waits."""
        end = time.monotonic() + timeout
        for i, got in enumerate(self.kept):
            if got.name == name:
                return self.kept.pop(i)
        while True:
            got = self.recv(max(0, end - time.monotonic()))
            if got.name == name:
                return got
            self.kept.append(got)

    def ask(self, message, timeout=10.0, /, **fields):
        """The answer's fields. `rows` of admin_done: the notes that came before it."""
        self.last += 1
        reqid, rows, end = self.last, [], time.monotonic() + timeout
        self.send(message, reqid, **fields)
        while True:
            got = self.recv(max(0, end - time.monotonic()))
            if got.reqid == reqid and got.name == "error":
                raise Refused(got.fields["message"])
            if got.reqid == reqid and got.name == MESSAGES[message].answer:
                return dict(got.fields, rows=rows) if rows or "admin" in got.name else got.fields
            if got.reqid == reqid:
                rows.append(got.fields)
            else:
                self.kept.append(got)

    def closed(self, timeout=5.0):
        """True when the other side shuts it in time; what came before is kept."""
        end = time.monotonic() + timeout
        try:
            while True:
                self.kept.append(self.recv(max(0, end - time.monotonic())))
        except Closed:
            return True
        except TimeoutError:
            return False

    def close(self):
        for got in self.kept + self.queue:
            for f in MESSAGES[got.name].fields:
                if f.kind in ("FD", "OPTFD") and got.fields[f.name] is not None:
                    os.close(got.fields[f.name])
        self.kept, self.queue = [], []
        self.sock.close()

# SPDX-License-Identifier: Apache-2.0
"""Messages to send: well-formed ones of both ends of the scale, and every way of being
malformed that the description of a message gives."""

import os

import proto
from proto import HEADER, MAX_FDS, MESSAGES, MSG_MAX, encode, frame
from puppet import memfd
from subject import Case

REQID = 0x7777  # of questions; as the number of an answer it belongs to no question

# Fields for which nothing or the most would not be a message that a peer can mean.
LEAST = {
    "grant_key": {"key": b"k" * 32},
    "admin_record": {"act": "x"},
    "refusal_record": {"reason": 1, "status": 400},
}
MOST = {
    "grant_key": {"key": b"k" * 32},
    "credential_changed": {"gone": 0},  # 1: the worker has to end
    "proxy_open": {"body_len": 24576, "stream": None, "upgrade": 0},
    "refusal_record": {"reason": 14, "status": 599},
    "tool_catalogue": {"server": 0},  # of the configuration
    "tool_features": {"server": 0},
    "proxy_authorize": {"body_len": proto.UNKNOWN_LEN},
    "resolve": {"host": "a" * 256},  # no name server is asked for a label this long
}
NUMBERS = {"U8": 0xff, "U32": 0xffffffff, "U64": 0xffffffffffffffff}


def least(message):
    fields = {f.name: memfd(b"x") for f in MESSAGES[message].fields if f.kind == "FD"}
    return dict(fields, **LEAST.get(message, {}))


def most(message):
    fields = {}
    for f in MESSAGES[message].fields:
        if f.kind in NUMBERS:
            fields[f.name] = NUMBERS[f.kind]
        elif f.kind in ("FD", "OPTFD"):
            fields[f.name] = memfd(b"x" * 10)
        else:
            fields[f.name] = b"\xc3\xa9" * (f.max // 2) + b"a" * (f.max % 2)
    for name, value in MOST.get(message, {}).items():
        if value is None:
            os.close(fields.pop(name))
        else:
            fields[name] = value
    return fields


class Malformed:
    """The cases of one message. `canary` is a descriptor that must not stay anywhere."""

    def __init__(self, message, canary, once=False):
        self.message, self.canary, self.m = message, canary, MESSAGES[message]
        self.once = once
        self.reqid = REQID if self.m.kind == "ASK" else 0
        self.fields = {}
        for f in self.m.fields:
            if f.kind in ("STR", "BLOB", "SECRET"):
                self.fields[f.name] = b"abc"[:f.max]
            elif f.kind == "FD":
                self.fields[f.name] = canary
        self.octets, self.fds = proto.body(message, self.fields)

    def _case(self, what, octets=None, fds=None, reason="cannot be decoded", **head):
        octets = self.octets if octets is None else octets
        fds = self.fds if fds is None else fds
        head = {"nfds": len(fds), "reqid": self.reqid, **head}
        return Case(f"{self.message}: {what}", [(frame(self.m.type, octets, **head), fds)], reason)

    def _with(self, what, field, value):
        octets, fds = proto.body(self.message, {**self.fields, field: value})
        too_long = HEADER + len(octets) > MSG_MAX
        return self._case(what, octets, fds, "bad header" if too_long else "cannot be decoded")

    def cases(self):
        yield from self.lengths()
        yield from self.followed()
        yield from self.header()
        yield from self.descriptors()
        for f in self.m.fields:
            if f.kind in ("STR", "BLOB", "SECRET"):
                yield from self.counted(f)
            if f.kind == "STR":
                yield from self.text(f)
            if f.kind == "OPTFD":
                yield from self.optional(f)

    def lengths(self):
        for n in range(len(self.octets)):
            yield self._case(f"cut to {n} octets", self.octets[:n])
        yield self._case("an octet more", self.octets + b"\0")
        yield self._case("many octets more", self.octets + b"\0" * 4096)

    def followed(self):
        """A datagram may hold several messages; a right one does not excuse the next."""
        least_, fds = encode(self.message, self.reqid, least(self.message))
        if fds:
            for fd in fds:
                os.close(fd)
            octets = frame(self.m.type, self.octets, self.reqid, len(self.fds))
            for what, rest in (("itself", octets), ("hello", proto.hello("GATE")), ("junk", b"x")):
                yield Case(f"{self.message} and {what} behind its descriptors",
                           [(octets + rest, self.fds)], "bad header")
            return
        answer = encode("error", REQID)[0]
        for what, rest, reason in (
                ("an octet", b"\0", "bad header"), ("half a header", answer[:12], "bad header"),
                ("a cut message", answer[:-1], "bad header"),
                ("octets", b"\0" * HEADER, "bad header"),
                ("an answer", answer, "answer without a question"),
                ("an unknown type", frame(proto.UNUSED_TYPE), "unknown type"),
                ("hello", proto.hello("GATE"), "no permit")):
            yield Case(f"{self.message} and {what} behind it", [(least_ + rest, [])], reason)
            yield Case(f"{self.message} twice and {what} behind it", [(least_ * 2 + rest, [])],
                       "only once" if self.once else reason)
        yield Case(f"{self.message} twice with a descriptor", [(least_ * 2, [self.canary])],
                   "bad header")

    def header(self):
        bad = {"reason": "bad header"}
        for version in {0, proto.VERSION - 1, proto.VERSION + 1, 0xffff} - {proto.VERSION}:
            yield self._case(f"version {version}", version=version, **bad)
        n = len(self.octets)
        for length in (n + 1, n + HEADER, 0x7fffffff, 0xffffffff):
            yield self._case(f"length {length} instead of {n}", length=length, **bad)
        # what is beyond the length is the next message, if descriptors do not forbid one
        for length in {0, n - 1} - {n, -1}:
            yield self._case(f"length {length} instead of {n}", length=length,
                             reason="bad header" if self.fds else "cannot be decoded")
        for flags in (1, 0x8000, 0xffff):
            yield self._case(f"flags {flags:#x}", flags=flags, **bad)
        for reserved in (1, 0xff):
            yield self._case(f"reserved {reserved}", reserved=reserved, **bad)
        if self.m.kind == "ASK":
            yield self._case("no id", reqid=0, reason="question without an id")

    def descriptors(self):
        n, wrong = len(self.fds), "wrong number of descriptors"
        for more in (1, 2, MAX_FDS):
            fds = self.fds + [self.canary] * more
            if len(fds) > MAX_FDS + 1:
                fds = fds[:MAX_FDS + 1]
            reason = "cannot be decoded" if len(fds) <= MAX_FDS else "cut datagram"
            if len(fds) == MAX_FDS + 1:
                # fits what is read, not what a header may say
                reason = "bad header"
            yield self._case(f"{len(fds)} descriptors, and says so", fds=fds, reason=reason)
            if len(fds) <= MAX_FDS:
                yield self._case(f"{len(fds)} descriptors, says {n}", fds=fds, nfds=n, reason=wrong)
                yield self._case(f"says {len(fds)} descriptors, has {n}", nfds=len(fds),
                                 reason=wrong)
        yield self._case("far too many descriptors", fds=[self.canary] * 40, nfds=0,
                         reason="cut datagram")
        if n > 0:
            yield self._case("no descriptors", fds=[])
            yield self._case(f"no descriptors, says {n}", fds=[], nfds=n, reason=wrong)

    def counted(self, f):
        yield self._with(f"{f.name} is one octet too long", f.name, b"a" * (f.max + 1))
        at = self._offset(f)
        for n in (0x7fffffff, 0xffffffff, f.max + 1, f.max):
            octets = self.octets[:at] + n.to_bytes(4, "big") + self.octets[at + 4:]
            if octets != self.octets and n > len(self.octets) - at:
                yield self._case(f"{f.name} claims {n} octets", octets)

    def text(self, f):
        for what, octets in {
                "NUL": b"a\0", "NUL alone": b"\0", "a lone continuation": b"\x80",
                "a cut sequence": b"a\xc3", "an overlong slash": b"\xc0\xaf",
                "an overlong NUL": b"\xc0\x80", "a surrogate": b"\xed\xa0\x80",
                "beyond U+10FFFF": b"\xf4\x90\x80\x80", "Latin-1": b"caf\xe9",
                "0xff": b"\xff", "0xfe": b"\xfe"}.items():
            yield self._with(f"{f.name} with {what}", f.name, octets[:f.max])

    def optional(self, f):
        at = self._offset(f)
        for value, fds in ((2, []), (0xff, []), (2, [self.canary]), (1, []), (0, [self.canary])):
            octets = self.octets[:at] + bytes([value]) + self.octets[at + 1:]
            yield self._case(f"{f.name} is {value} with {len(fds)} descriptors", octets,
                             self.fds + fds)

    def _offset(self, field):
        before = MESSAGES[self.message].fields
        at = 0
        for f in before:
            if f.name == field.name:
                return at
            if f.kind in proto.SIZES:
                at += proto.SIZES[f.kind]
            elif f.kind == "FIX":
                at += f.max
            elif f.kind == "OPTFD":
                at += 1
            elif f.kind != "FD":
                at += 4 + len(self.fields[f.name])
        raise KeyError(field.name)


def well_formed(message, fields, reason, what):
    m = MESSAGES[message]
    octets, fds = encode(message, REQID if m.kind != "NOTE" else 0, fields)
    return Case(f"{message} ({what})", [(octets, fds)], reason,
                answer=reason is None and m.kind == "ASK")

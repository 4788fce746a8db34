#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares common/json.c and common/canon.c with seal_model.py on random documents.

usage: canon_differential.py PATH-TO-canon_dump [DOCUMENTS [SEED]]

Good documents, mutated ones and ones with planted mistakes; both sides must accept the
same ones and write the same bytes in all three forms. Deterministic for a given seed.
"""
import random
import struct
import subprocess
import sys

import seal_model as model

CHARS = ["a", "b", "Z", "0", "9", " ", ".", "/", "<", "&", "'", "\"", "\\", "\b", "\f", "\n",
         "\r", "\t", "\x01", "\x0b", "\x1f", "\x7f", "\x80", "\u00e9", "\u07ff", "\u0800",
         "\u2028", "\ud7ff", "\ue000", "\ufb01", "\ufffd", "\ufffe", "\uffff", "\U00010000",
         "\U0001f600", "\U0001f601", "\U000fffff", "\U0010ffff"]
SHORT = {"\"": "\\\"", "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n",
         "\r": "\\r", "\t": "\\t"}
NUMBERS = ["0", "-0", "1", "-1", "0.0", "-0.0", "1.0", "1e5", "1E5", "1e+05", "1E-0", "0e0",
           "0.5", "3.141592653589793", "9007199254740993", "12345678901234567890", "1e400",
           "-9223372036854775808", "18446744073709551616", "1e-07", "0.00001", "1e+21",
           "100000000000000000000000000000000000000000", "2.5E+10"]
BAD = [b"01", b"-01", b"1.", b".5", b"+1", b"1e", b"1e+", b"-", b"0x1", b"NaN", b"Infinity",
       b"-Infinity", b"nul", b"TRUE", b"truex", b"'a'", b"\"\\x41\"", b"\"\\u12\"",
       b"\"\\u00zz\"", b"\"\\ud800\"", b"\"\\udc00\\ud800\"", b"\"\\ud83d\\u0041\"",
       b"\"\\ud83dx\"", b"\"\\u0000\"", b"\"a\\u0000b\"", b"\"\x00\"", b"\"\n\"", b"\"\x1f\"",
       b"\"\xff\"", b"\"\xc0\x80\"", b"\"\xe0\x80\xaf\"", b"\"\xed\xa0\x80\"", b"\"\xc3\"",
       b"\"\xf4\x90\x80\x80\"", b"\"\xf0\x9f\x98\"", b"[1,]", b"[,]", b"[1 1]", b"{,}",
       b"{\"a\"}", b"{\"a\":}", b"{\"a\":1,}", b"{a:1}", b"{1:1}", b"{null:1}", b"[", b"]",
       b"{", b"}", b"\"", b"/**/1", b"1//", b"\xef\xbb\xbf1", b"\x0c1", b"\xc2\xa01", b"",
       b"{\"a\":1,\"a\":1}", b"{\"a\":1,\"\\u0061\":1}", b"{\"\":1,\"\":2}",
       b"{\"\xc3\xa9\":1,\"\\u00E9\":2}", b"{\"\\uD83D\\uDE00\":1,\"\xf0\x9f\x98\x80\":2}",
       b"1_0", b"1e1.0", b"--1", b"\xd9\xa1", b"\"\\u+041\"", b"\"\\u0_41\"", b"\"\\u 041\""]


class Generator:
    """Random documents as bytes."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def space(self):
        return "" if self.r.random() < 0.7 else "".join(
            self.r.choice(" \t\r\n") for _ in range(self.r.randrange(3)))

    def escape(self, c):
        if c in SHORT and self.r.random() < 0.5:
            return SHORT[c]
        units = c.encode("utf-16-be")
        form = self.r.choice(["\\u%04x", "\\u%04X"])
        return "".join(form % unit for unit in struct.unpack(f">{len(units) // 2}H", units))

    def text(self, chars, often):
        return "\"" + "".join(
            self.escape(c) if c < " " or c in "\"\\" or self.r.random() < often else c
            for c in chars) + "\""

    def string(self):
        n = self.r.choice([0, 1, 1, 2, 3, 5, 9, 20])
        return self.text([self.r.choice(CHARS) for _ in range(n)],
                         self.r.choice([0, 0, 0.3, 1]))

    def number(self):
        if self.r.random() < 0.6:
            return self.r.choice(NUMBERS)
        s = self.r.choice(["", "-"]) + str(self.r.randrange(10 ** self.r.randrange(1, 25)))
        if self.r.random() < 0.3:
            s += "." + "".join(self.r.choice("0123456789")
                               for _ in range(self.r.randrange(1, 20)))
        if self.r.random() < 0.3:
            s += (self.r.choice("eE") + self.r.choice(["", "+", "-"]) +
                  str(self.r.randrange(500)).zfill(self.r.randrange(1, 5)))
        return s

    def names(self, n):
        """Distinct names, most of the time."""
        seen = {}
        while len(seen) < n:
            k = self.r.choice([0, 1, 1, 2, 2, 3, 8])
            name = "".join(self.r.choice(CHARS) for _ in range(k))
            seen[name] = None
        names = list(seen)
        if n > 1 and self.r.random() < 0.01:
            names[self.r.randrange(n)] = self.r.choice(names)
        return [self.text(name, self.r.choice([0, 0, 0.3, 1])) for name in names]

    def value(self, depth):
        kind = self.r.random()
        if depth == 0 or kind < 0.35:
            return self.r.choice([self.string, self.string, self.number,
                                  lambda: self.r.choice(["true", "false", "null"])])()
        n = self.r.choice([0, 1, 2, 3, 4, 8, 14, 30]) if depth < 3 else self.r.randrange(4)
        sep = lambda items: (self.space() + "," + self.space()).join(items)
        if kind < 0.55:
            return "[" + self.space() + sep(
                self.value(depth - 1) for _ in range(n)) + self.space() + "]"
        return "{" + self.space() + sep(
            name + self.space() + ":" + self.space() + self.value(depth - 1)
            for name in self.names(n)) + self.space() + "}"

    def mutate(self, doc):
        doc = bytearray(doc)
        for _ in range(self.r.choice([1, 1, 1, 2, 4])):
            at = self.r.randrange(len(doc) + 1)
            what = self.r.randrange(5)
            if what == 0:
                doc[at:at + 1] = b""
            elif what == 1:
                doc[at:at] = bytes([self.r.choice(b"{}[]\",:\\0123456789.eE+-tfn u\x00\x7f")])
            elif what == 2 and at < len(doc):
                doc[at] = self.r.randrange(256)
            elif what == 3:
                doc[at:at] = self.r.choice(BAD)
            elif at < len(doc):
                other = self.r.randrange(len(doc))
                doc[at], doc[other] = doc[other], doc[at]
        return bytes(doc)

    def nest(self):
        """Depth around the limit."""
        n = self.r.randrange(60, 70)
        out, end = "", ""
        for _ in range(n):
            if self.r.random() < 0.5:
                out, end = out + "[", "]" + end
            else:
                out, end = out + "{\"a\":", "}" + end
        return (out + self.r.choice(["1", "[]", "{}", "\"x\""]) + end).encode()

    def planted(self):
        bad = self.r.choice(BAD)
        where = self.r.randrange(5)
        if where == 0:
            return bad
        if where == 1:
            return b"[" + bad + b"]"
        if where == 2:
            return b"{\"k\":" + bad + b"}"
        if where == 3:
            return b"{" + bad + b":1}"
        return self.value(2).encode("utf-8") + bad

    def document(self):
        kind = self.r.random()
        if kind < 0.02:
            return self.nest()
        if kind < 0.12:
            return self.planted()
        doc = (self.space() + self.value(self.r.randrange(6)) + self.space()).encode("utf-8")
        return self.mutate(doc) if kind < 0.45 else doc


def expect(doc):
    """What the model says: None, or (ambiguous, utf8, utf16, boot)."""
    try:
        v = model.parse(doc)
    except model.Refused:
        return None
    utf8 = model.canonical(v).encode("utf-8")
    utf16 = model.canonical(v, model.utf16_order).encode("utf-8")
    return (utf8 != utf16, utf8, utf16, model.canonical(v, boot=True).encode("utf-8"))


class Reader:
    """Takes canon_dump's answers apart."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        piece = self.data[self.at:self.at + n]
        assert len(piece) == n, "canon_dump stopped early"
        self.at += n
        return piece

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def answer(self, doc):
        if self.take(1) == b"\0":
            assert 1 <= self.u32() <= 14 and self.u32() <= len(doc)
            return None
        ambiguous = self.take(1) == b"\1"
        return (ambiguous,) + tuple(self.take(self.u32()) for _ in range(3))


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    generator = Generator(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    model.check_vectors(sys.path[0] + "/seal.json")
    docs = [generator.document() for _ in range(count)]
    blob = b"".join(struct.pack(">I", len(d)) + d for d in docs)
    run = subprocess.run([sys.argv[1]], input=blob, stdout=subprocess.PIPE, check=True)
    reader = Reader(run.stdout)
    accepted = ambiguous = wrong = 0
    for doc in docs:
        want, got = expect(doc), reader.answer(doc)
        if want != got:
            wrong += 1
            if wrong <= 10:
                print(f"DIFFERENT {doc!r}\n  model {want!r}\n  C     {got!r}")
        accepted += want is not None
        ambiguous += want is not None and want[0]
    assert reader.at == len(run.stdout)
    print(f"{count} documents, {accepted} accepted, {count - accepted} refused, "
          f"{ambiguous} ambiguous, {wrong} different")
    # a generator that no longer reaches both sides would prove nothing
    if wrong or not 0.2 < accepted / count < 0.9 or ambiguous < count / 200:
        sys.exit(1)


if __name__ == "__main__":
    main()

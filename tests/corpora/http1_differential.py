#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hold common/http1 against h11, a second strict parser, over the corpus.

Whatever common/http1 accepts h11 must accept too, and read the same way:
method, target, version, fields, decoded body, and where the message ends.
What h11 accepts and common/http1 refuses is listed and is no error.

With --mutate it goes on with that many random variations of the corpus.

usage: http1_differential.py [--mutate COUNT [--seed SEED]] HTTP1_DUMP
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys

import h11

ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


def unescape(text):
    def one(match):
        what = match.group(1)
        return bytes([int(what[1:], 16)]) if what[:1] == b"x" else ESCAPES[what]

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|[rnt0\\])", one, text)


def read_corpus(path):
    name, data = None, b""
    for line in path.read_bytes().split(b"\n"):
        if not line or line.startswith(b"#"):
            continue
        if line.startswith(b"case "):
            name, data = line[5:].decode(), b""
            continue
        match = re.fullmatch(rb"in(?:\*(\d+))?(?: (.*))?", line)
        if match:
            data += unescape(match.group(2) or b"") * int(match.group(1) or 1)
        else:
            yield name, data, line.decode()


def read_ours(dump, data):
    done = subprocess.run([dump], input=data, stdout=subprocess.PIPE, check=True)
    got = json.loads(done.stdout)
    if got["verdict"] != "accept":
        return got["verdict"], got["why"]
    fields = []
    for field in got["headers"]:
        name, value = bytes.fromhex(field["name"]).lower(), bytes.fromhex(field["value"])
        if name == b"transfer-encoding":
            value = value.lower()  # h11 does
        fields.append((name, value))
    return "accept", {
        "method": bytes.fromhex(got["method"]),
        "target": bytes.fromhex(got["target"]),
        "version": b"1.%d" % got["minor"],
        "fields": fields,
        "body": bytes.fromhex(got["body"]),
        "rest": bytes.fromhex(got["rest"]),
    }


def read_h11(data):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    got = None
    try:
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return "incomplete", None
            if isinstance(event, h11.Request):
                got = {
                    "method": event.method,
                    "target": event.target,
                    "version": event.http_version,
                    "fields": list(event.headers),
                    "body": b"",
                }
            elif isinstance(event, h11.Data):
                got["body"] += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                got["rest"] = connection.trailing_data[0]
                return "accept", got
            else:
                return "refuse", repr(event)
    except h11.RemoteProtocolError as error:
        return "refuse", str(error)


def disagreement(dump, data):
    """Our verdict, our reason, h11's verdict, and what is wrong, if anything is."""
    verdict, ours = read_ours(dump, data)
    other, theirs = read_h11(data)
    wrong = None
    if verdict == "accept" and other != "accept":
        wrong = f"we accept, h11: {other} {theirs}"
    elif verdict == "accept" and ours != theirs:
        wrong = f"read differently\n  ours {ours}\n  h11  {theirs}"
    return verdict, ours, other, wrong


def mutate(rng, data):
    """One to three small changes, of bytes that matter to the grammar."""
    bits = [b"\r", b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b",", b";", b"0", b"5", b"f", b"x", b"\x80", b"/", b"-"]
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data = data[:at] + rng.choice(bits) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + rng.randint(1, 3):]
        elif kind == 2:
            data = data[:at] + rng.choice(bits) + data[at + 1:]
        else:
            lines = data.split(b"\r\n")
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
            data = b"\r\n".join(lines)
    return data


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dump")
    parser.add_argument("--mutate", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    corpus = list(read_corpus(pathlib.Path(__file__).parent / "http1_requests.txt"))
    accepted = stricter = wrong = 0
    for name, data, expected in corpus:
        verdict, ours, other, problem = disagreement(args.dump, data)
        if verdict != expected.split()[0] or (verdict == "refuse" and ours != expected.split()[1]):
            problem = f"corpus says {expected}, we say {verdict} {ours}"
        if problem:
            wrong += 1
            print(f"WRONG {name}: {problem}")
        accepted += verdict == "accept"
        if verdict == "refuse" and other == "accept":
            stricter += 1
            print(f"{name}: we refuse ({ours}), h11 accepts")
    print(f"{len(corpus)} cases, {accepted} accepted by both alike, {stricter} refused by us alone, {wrong} wrong")

    rng = random.Random(args.seed)
    short = [data for _, data, _ in corpus if len(data) < 1000]
    accepted = 0
    for _ in range(args.mutate):
        data = mutate(rng, rng.choice(short))
        verdict, _, _, problem = disagreement(args.dump, data)
        accepted += verdict == "accept"
        if problem:
            wrong += 1
            print(f"WRONG {data!r}: {problem}")
    if args.mutate:
        print(f"{args.mutate} variations, {accepted} accepted by both alike, {wrong} wrong in all")
    sys.exit(1 if wrong or len(corpus) < 380 else 0)


if __name__ == "__main__":
    main()

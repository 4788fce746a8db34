#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An independent model of the SEAL canonical form, on Python's own JSON parser.

It shares no code with common/json.c and common/canon.c. Numbers keep their wire text
through the parse hooks. Run as a program it checks every vector of seal.json.
"""
import hashlib
import json
import os
import sys

MAX_DEPTH = 64
MAX_NODES = 65536
MAX_SIZE = 1 << 20


class Refused(ValueError):
    """The document is not acceptable."""


class Number:
    """A number as it stood on the wire."""

    def __init__(self, text):
        self.text = text


def _pairs(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise Refused("duplicate name")
    return dict(pairs)


def _constant(text):
    raise Refused(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=Number, parse_int=Number,
                            parse_constant=_constant, strict=True)


def _check_text(text):
    if "\0" in text:
        raise Refused("U+0000")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as e:
        raise Refused("lone surrogate") from e


def _check(value, depth=1):
    """Refuses bad strings and too much depth; returns the number of nodes."""
    if isinstance(value, str):
        _check_text(value)
        return 1
    if isinstance(value, (dict, list)) and depth > MAX_DEPTH:
        raise Refused("depth")
    nodes = 1
    if isinstance(value, dict):
        for name, member in value.items():
            _check_text(name)
            nodes += 1 + _check(member, depth + 1)
    elif isinstance(value, list):
        for element in value:
            nodes += _check(element, depth + 1)
    return nodes


def parse(data):
    """Parses bytes strictly; raises Refused."""
    if len(data) > MAX_SIZE:
        raise Refused("size")
    try:
        text = data.decode("utf-8")
        stripped = text.lstrip(" \t\r\n")
        value, end = _DECODER.raw_decode(stripped)
    except (ValueError, RecursionError) as e:
        raise Refused(str(e)) from e
    if stripped[end:].strip(" \t\r\n"):
        raise Refused("trailing data")
    if _check(value) > MAX_NODES:
        raise Refused("nodes")
    return value


def utf8_order(name):
    return name.encode("utf-8")


def utf16_order(name):
    return name.encode("utf-16-be")


_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
          "\t": "\\t"}


def _string(text, ascii_only):
    if ascii_only:
        return json.dumps(text, ensure_ascii=True)
    return '"' + "".join(
        _SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text) + '"'


def canonical(value, order=utf8_order, boot=False):
    """The canonical text of a parsed value, as str."""
    comma, colon = (", ", ": ") if boot else (",", ":")
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        return _string(value, boot)
    if isinstance(value, list):
        return "[" + comma.join(canonical(v, order, boot) for v in value) + "]"
    return "{" + comma.join(
        _string(name, boot) + colon + canonical(value[name], order, boot)
        for name in sorted(value, key=order)) + "}"


def ambiguous(value):
    """True when the UTF-16 order of names matters."""
    return canonical(value) != canonical(value, utf16_order)


def seal(payload, token, unix, order=utf8_order, boot=False, node=False):
    """The bytes an envelope's signature covers."""
    message = {"payload": payload, "timestamp": Number(str(unix)),
               "node_security_token" if node else "security_token": token}
    return canonical(message, order, boot).encode("utf-8")


def check_vectors(path):
    """Compares the model with every vector; returns how many there were."""
    with open(path, encoding="utf-8") as f:
        vectors = json.load(f)["vectors"]
    for v in vectors:
        name = v["name"].split()[0]
        order = utf16_order if name == "V9" else utf8_order
        if name == "V11":
            payload = parse(b'{"op":"heartbeat",'
                            b'"node_id":"a1b2c3d4-e5f6-7890-abcd-ef1234567890"}')
            got = seal(payload, "aaa.bbb.ccc", v["unix"], node=True)
        else:
            payload = parse(v["payload_wire"].encode("utf-8"))
            got = seal(payload, v["token"], v["unix"], order, boot=name == "V10")
        assert got == v["canonical"].encode("utf-8"), name
        assert len(got) == v["canonical_len"], name
        assert hashlib.sha256(got).hexdigest() == v["sha256"], name
    assert len(vectors) == 11
    return len(vectors)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    print(check_vectors(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "seal.json")),
          "vectors agree")

# SPDX-License-Identifier: Apache-2.0
"""A verifier of ledgers and receipts, written from doc/ledger-format.md alone, with nothing
of Aegis. Each function returns what it read, or raises Wrong."""

import base64
import json
import re
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEX, B64 = r"([0-9a-f]{64})", r"([A-Za-z0-9+/]+=*)"
HEADER = re.compile(rf'{{"ledger":"aegis-2","chain":"([^"\\]+)","from":([1-9]\d*),"prev":"{HEX}"}}')
ROW = re.compile(rf'{{"row":(.*?}}),"hash":"{HEX}"(?:,"signed":({{.*}})|,"token":"([^"\\]+)")?}}', re.S)
TEXT = re.compile(r'{"seq":([1-9]\d*),"time":"[^"\\]+","chain":"([^"\\]+)".*}', re.S)
CHECKPOINT = (rf'{{"chain":"([^"\\]+)","seq":([1-9]\d*),"head":"{HEX}","root":"{HEX}",'
              rf'"time":"([^"\\]+)","kid":"([0-9a-f]{{16}})"}},"signature":"{B64}"')
SHOWN = rf'"row":(.*?}}),"hash":"{HEX}","prev":"{HEX}","index":([1-9]\d*),"path":\[((?:"{HEX}",?)*)\]'
RECEIPT = re.compile(rf'{{"receipt":"aegis-1",{SHOWN}(?:,"completion":{{{SHOWN}}})?,'
                     rf'"checkpoint":{CHECKPOINT},"public_key":"{B64}"}}\n?', re.S)
SIGNED = re.compile(r'{"payload":(.*),"timestamp":(\d+)}', re.S)


class Wrong(Exception):
    pass


def check(good, what, *where):
    if not good:
        raise Wrong(what, *where)


def digest(*parts):
    return sha256(b"".join(parts)).digest()


def root(leaves):
    """Of a list of leaves, smallest trees first."""
    while len(leaves) > 1:
        odd = leaves[-1:] if len(leaves) % 2 else []
        leaves = [digest(b"\1", a, b) for a, b in zip(leaves[::2], leaves[1::2])] + odd
    return leaves[0]


def unbase64(text, length):
    octets = base64.b64decode(text, validate=True)
    check(len(octets) == length and base64.b64encode(octets).decode() == text, "base64", text)
    return octets


def signature(key, octets, text, *where):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(unbase64(text, 64), octets)
    except (InvalidSignature, ValueError) as e:
        raise Wrong("signature", *where) from e


def checkpoint(key, chain, seq, head, top, when, kid, signed):
    check(kid == digest(key).hex()[:16], "kid", seq)
    signature(key, f"aegis-checkpoint-2\n{chain}\n{seq}\n{head}\n{top}\n{when}\n".encode(), signed, seq)


def envelope(row, evidence, sessions):
    """Whether the session's key signed what the row names; None without evidence."""
    if evidence is None or row.get("session") not in sessions:
        return None
    key, token = sessions[row["session"]]
    if token is None:
        return None
    plain = SIGNED.fullmatch(evidence)
    octets = ('{"payload":%s,"security_token":"%s","timestamp":%s}' % (plain[1], token, plain[2])
              if plain else json.loads(evidence)["text"])
    check(digest(octets.encode()).hex() == row["signed"], "evidence", row["seq"])
    signature(key, octets.encode(), row["proof"], row["seq"])
    return True


def ledger(lines, key):
    """Rows as dictionaries, and how many envelopes were verified."""
    rows, hashes, sealed, chain, sessions, verified = [], [], 0, None, {}, 0
    for number, line in enumerate(lines, 1):
        if m := HEADER.fullmatch(line):
            check(chain in (None, m[1]) and int(m[2]) == len(rows) + 1, "header", number)
            chain = m[1]
            hashes = hashes or [digest(b"aegis-ledger-1", chain.encode())]
            check(m[3] == hashes[-1].hex(), "prev", number)
        elif m := ROW.fullmatch(line):
            text = TEXT.fullmatch(m[1])
            check(text and int(text[1]) == len(rows) + 1 and text[2] == chain, "order", number)
            hashes.append(digest(hashes[-1], m[1].encode()))
            check(hashes[-1].hex() == m[2], "changed", int(text[1]))
            row = json.loads(m[1])
            if "key" in row:
                check(m[4] is None or digest(m[4].encode()).hex() == row["token"], "token", row["seq"])
                sessions[row["session"]] = unbase64(row["key"], 32), m[4]
            if "signed" in row and envelope(row, m[3], sessions):
                verified += 1
            rows.append(row)
        elif m := re.fullmatch(rf'{{"checkpoint":{CHECKPOINT}}}', line):
            seq = int(m[2])
            check(m[1] == chain and sealed < seq <= len(rows), "checkpoint", number)
            checkpoint(key, *m.groups())
            check(m[3] == hashes[seq].hex(), "head", seq)
            check(m[4] == root([digest(b"\0", h) for h in hashes[1:seq + 1]]).hex(), "root", seq)
            sealed = seq
        else:
            raise Wrong("line", number)
    return rows, sealed, verified


def shown(text, claimed, prev, index, path, chain, size, top):
    m = TEXT.fullmatch(text)
    check(m and m[1] == index and m[2] == chain, "row")
    check(digest(bytes.fromhex(prev), text.encode()).hex() == claimed, "hash")
    r, f, s = digest(b"\0", bytes.fromhex(claimed)), int(index) - 1, size - 1
    check(path == "" or path.count('"') == 2 * len(path.split(",")), "path")
    for p in re.findall(HEX, path):
        check(s > 0, "path")
        if f % 2 or f == s:
            r = digest(b"\1", bytes.fromhex(p), r)
            while f % 2 == 0 and f:
                f, s = f // 2, s // 2
        else:
            r = digest(b"\1", r, bytes.fromhex(p))
        f, s = f // 2, s // 2
    check(s == 0 and r.hex() == top, "path")
    return json.loads(text)


def receipt(text, key):
    """The row, and its completion or None."""
    m = RECEIPT.fullmatch(text)
    check(m and unbase64(m[20], 32) == key, "form or key")
    checkpoint(key, *m.groups()[12:19])
    tree = m[13], int(m[14]), m[16]
    row = shown(*m.groups()[0:5], *tree)
    if m[7] is None:
        return row, None
    completion = shown(*m.groups()[6:11], *tree)
    check(completion["kind"] == "completion" and completion["request"] == row["request"] and
          completion["seq"] > row["seq"], "completion")
    return row, completion

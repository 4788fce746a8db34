# SPDX-License-Identifier: Apache-2.0
"""The ledger as it lies in the judge's files, read past the program, and its chain computed
anew from what doc/design.md says."""

import hashlib
import json


def files(lab):
    """The files, oldest first."""
    return sorted((lab.data / "judge" / "ledger").glob("*.jsonl"))


def _lines(lab):
    """Every whole line, as the file's octets. The last may be one that is just written."""
    for file in files(lab):
        yield from (line for line in file.read_bytes().splitlines(keepends=True)
                    if line.endswith(b"\n"))


def _text(line):
    """The text of a row: the octets that are hashed."""
    return line[len(b'{"row":'):line.index(b',"hash":"')]


def rows(lab):
    """Every row, oldest first, as dictionaries."""
    return [json.loads(_text(line)) for line in _lines(lab) if line.startswith(b'{"row":')]


def _node(nodes):
    """The root over the nodes of a level, by RFC 9162 section 2.1.1."""
    if len(nodes) == 1:
        return nodes[0]
    split = 1 << (len(nodes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _node(nodes[:split]) + _node(nodes[split:])).digest()


def check_chain(lab):
    """Numbers without a gap, every hash right, each file's header and each checkpoint as the
    rows are, the last checkpoint's root that of the tree over its rows; what hangs on a row
    has the hash in it. Returns the number of rows."""
    chain, last, hashes, sealed = None, None, [], 0
    for line in _lines(lab):
        entry = json.loads(line)
        if "ledger" in entry:
            chain = chain or entry["chain"]
            last = last or hashlib.sha256(b"aegis-ledger-1" + chain.encode()).digest()
            assert entry == {"ledger": "aegis-2", "chain": chain, "from": len(hashes) + 1,
                             "prev": last.hex()}, entry
        elif "checkpoint" in entry:
            point = entry["checkpoint"]
            assert point["chain"] == chain and sealed < point["seq"] <= len(hashes), point
            sealed = point["seq"]
            assert point["head"] == hashes[sealed - 1].hex(), f"row {sealed} was signed otherwise"
            root = point["root"]
        else:
            row = entry["row"]
            assert row["seq"] == len(hashes) + 1, f"row {len(hashes) + 1} has number {row['seq']}"
            last = hashlib.sha256(last + _text(line)).digest()
            assert last.hex() == entry["hash"], f"row {row['seq']} does not follow"
            if "token" in entry:
                assert row["token"] == hashlib.sha256(entry["token"].encode()).hexdigest()
            assert "signed" not in entry or len(row["signed"]) == 64 and "proof" in row
            hashes.append(last)
    if sealed:
        assert root == _node([hashlib.sha256(b"\0" + h).digest() for h in hashes[:sealed]]).hex()
    return len(hashes)


def requests_of(all_rows, kind="decision", decision="allowed"):
    """{request id: row} of the decisions (or completions)."""
    return {r["request"]: r for r in all_rows
            if r["kind"] == kind and (kind != "decision" or r["decision"] == decision)}

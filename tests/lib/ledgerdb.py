# SPDX-License-Identifier: Apache-2.0
"""The ledger as it lies in the judge's database, read past the program, and its chain
computed anew from what doc/design.md says."""

import hashlib
import json
import sqlite3


def _open(lab):
    db = lab.data / "judge" / "judge.db"
    # a reader of a database in WAL mode wants the WAL's index; a closed one has none
    how = "mode=ro" if db.with_name("judge.db-wal").exists() else "immutable=1"
    return sqlite3.connect(f"file:{db}?{how}", uri=True, timeout=10)


def rows(lab):
    """Every row, oldest first, as dictionaries."""
    db = _open(lab)
    try:
        return [json.loads(text) for text, in db.execute("SELECT text FROM ledger ORDER BY seq")]
    finally:
        db.close()


def check_chain(lab):
    """Numbers without a gap, every hash right, each checkpoint's head that of its row.
    Returns the number of rows."""
    db = _open(lab)
    try:
        chain, = db.execute("SELECT value FROM meta WHERE key = 'chain'").fetchone()
        heads = dict(db.execute("SELECT seq, head FROM checkpoints"))
        last = hashlib.sha256(b"aegis-ledger-1" + chain.encode()).digest()
        expect = 0
        for seq, text, stored in db.execute("SELECT seq, text, hash FROM ledger ORDER BY seq"):
            expect += 1
            row = json.loads(text)
            assert seq == expect == row["seq"], f"row {expect} has number {seq}, {row['seq']}"
            last = hashlib.sha256(last + text.encode()).digest()
            assert last == stored, f"row {seq} does not follow from the one before"
            assert heads.get(seq, last) == last, f"the checkpoint at row {seq} is of another row"
        assert all(seq <= expect for seq in heads)
        return expect
    finally:
        db.close()


def requests_of(all_rows, kind="decision", decision="allowed"):
    """{request id: row} of the decisions (or completions)."""
    return {r["request"]: r for r in all_rows
            if r["kind"] == kind and (kind != "decision" or r["decision"] == decision)}

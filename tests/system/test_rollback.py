# SPDX-License-Identifier: Apache-2.0
"""Somebody puts an old copy of the vault's file back while Aegis is down."""

import re

import pytest
from lab import Lab


@pytest.fixture
def lab(prefix, place):
    made = Lab(prefix, place / "lab").init()
    yield made
    made.remove()


def told(lab, event):
    return [r["detail"] for r in lab.ledger() if r.get("event") == event]


def doctor(lab):
    """Does it speak of the vault's file?"""
    return re.findall(r"vault file.*", lab.aegis("doctor", check=False).stdout)


def test_an_older_vault_is_noticed(lab):
    vault, = lab.data.glob("vault/*.vault")
    lab.start()
    lab.credential("one", "one", "sk-old-0123456789", "api.example.com")
    lab.stop()
    old = vault.read_bytes()
    lab.start()
    assert (told(lab, "vault.rollback"), doctor(lab)) == ([], [])
    lab.aegis("vault", "rotate", "--name", "one", "--secret-stdin", stdin="sk-new-0123456789")
    lab.aegis("vault", "update", "--name", "one", "--domains", "other.example.com")
    assert told(lab, "vault.save") == ["save 2", "save 3", "save 4"]
    lab.stop()
    # an honest restart says nothing
    lab.start()
    assert (told(lab, "vault.rollback"), doctor(lab)) == ([], [])
    lab.stop()
    assert "vault.rollback" not in lab.log.read_text()
    newest = vault.read_bytes()
    assert newest != old
    with open(vault, "r+b") as f:  # the same file, owner and mode
        f.write(old)
        f.truncate()
    lab.start()
    text, = told(lab, "vault.rollback")
    assert re.match("vault's file is that of save 2, save 4 was made", text)
    assert "rotate" in text
    said, = doctor(lab)
    assert "older than the newest by 2 saves" in said
    line, = [x for x in lab.log.read_text().splitlines() if "event=vault.rollback" in x]
    assert "level=error" in line and "saves=2" in line and "known=4" in line
    # it can be gone on with, and is told once; what was sealed is not taken from the judge
    got = lab.aegis("vault", "rotate", "--name", "one", "--secret-stdin", stdin="sk-newer-012345678",
                    check=False)
    assert got.returncode == 1 and "aegis vault update --domains" in got.stderr
    lab.aegis("vault", "update", "--name", "one", "--domains", "other.example.com")
    lab.aegis("vault", "rotate", "--name", "one", "--secret-stdin", stdin="sk-newer-012345678")
    assert told(lab, "vault.save")[-1] == "save 4"
    lab.stop()
    lab.start()
    assert len(told(lab, "vault.rollback")) == 1 and doctor(lab) == []

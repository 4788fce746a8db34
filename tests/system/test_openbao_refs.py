# SPDX-License-Identifier: Apache-2.0
"""Secrets by reference: what is in OpenBao and what of it comes here, for whom, and what the
ledger says of it."""

import secrets

import pytest
from connected import Connected, eventually, platform

NS = "references"
TOOL = "tool-planted-" + secrets.token_hex(12)


@pytest.fixture(scope="module")
def bao(openbao_server):
    platform(openbao_server, NS)
    return openbao_server


@pytest.fixture(scope="module")
def gate(prefix, module_place, bao, ca):
    bao.put("kv/tools/search", NS, value=TOOL)
    bao.put("kv/tools/search", NS, value=TOOL)
    lab = Connected(prefix, module_place, bao, ca,
                    {"SECRET_VALUE": "vault:kv/tools/search", "SECRET_OLD": "vault:kv/tools/search#value@1"},
                    namespace=NS)
    yield lab.begin()
    lab.stop()


def accesses(lab, since=0, **want):
    rows = [r for r in lab.ledger() if r.get("event") == "AccessContext" and r["seq"] > since]
    return [r for r in rows if all(r.get(k) == v for k, v in want.items())]


def newest(lab):
    return lab.ledger()[-1]["seq"]


# -- what the ledger says --


def test_each_resolution_is_a_row(gate):
    assert gate.has("SECRET_VALUE", TOOL)
    rows = eventually(lambda: len(found := accesses(gate, server="odd")) >= 2 and found)
    by = {r["detail"].split("variable ")[1].split()[0]: r for r in rows}
    row = by["SECRET_VALUE"]
    assert row["code"] == "ok" and row["kind"] == "system" and row["tenant"] == "default"
    assert row["detail"].startswith("vault:kv/tools/search; version 2; variable")
    assert 0 < row["duration_us"] < 4_000_000
    assert by["SECRET_OLD"]["detail"].startswith("vault:kv/tools/search#value@1; version 1;")
    assert not [r for r in gate.ledger() if TOOL in str(r)]

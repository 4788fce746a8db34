# SPDX-License-Identifier: Apache-2.0
"""Secrets by reference: what is in OpenBao and what of it comes here, for whom, and what the
ledger says of it."""

import secrets

import pytest
from connected import Connected, Vault, eventually, platform

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


# -- tenants --

TENANTS = ("acme", "globex", "acme-corp")
OWN = {t: f"{t}-planted-{secrets.token_hex(8)}" for t in TENANTS}
PLATFORM = "platform-planted-" + secrets.token_hex(8)
# where acme's own secret is asked for first, then everything that could lead to another's
HOSTILE = ["secret:shared/key", "secret:shared/key#value", "vault:kv/shared/key@1",
           "secret:shared/../../tenant-globex/kv/data/shared/key",
           "secret:../../../references/tenant-globex/kv/shared/key",
           "vault:../tenant-globex/kv/shared/key",
           "vault:kv/../../../tenant-globex/kv/data/shared/key",
           "vault:kv/data/../../../tenant-globex/kv/data/shared/key",
           "vault:tenant-globex/kv/shared/key", "vault:tenant-globex/kv/data/shared/key",
           "vault:references/tenant-globex/kv/shared/key", "vault:ns/tenant-globex/kv/shared/key",
           "vault:/references/tenant-globex/kv/shared/key", "secret:/shared/key",
           "secret:tenant-globex/kv/shared/key", "vault:kv/tenant-globex/shared/key",
           "secret:%2e%2e/%2e%2e/tenant-globex/kv/shared/key", "vault:kv/..%2ftenant-globex%2fkey",
           "vault:kv%2f..%2f..%2ftenant-globex/kv/shared/key", "vault:kv/shared/key?namespace=tenant-globex",
           "secret:shared/key@1&namespace=references/tenant-globex",
           "secret:shared/key HTTP/1.1\r\nX-Vault-Namespace: references/tenant-globex\r\n\r\n",
           "vault:kv/shared\\..\\key", "secret:\u2025/key", "vault:sys/namespaces/tenant-globex",
           "vault:sys/raw/core", "vault:auth/token/lookup-self", "vault:cubbyhole/x", "secret:."]
GOOD = 3


@pytest.fixture(scope="module")
def tenants(prefix, bao):
    bao.put("kv/shared/key", NS, value=PLATFORM)
    for t in TENANTS:
        bao.call("POST", f"sys/namespaces/tenant-{t}", NS)
        bao.mount("kv", "kv", f"{NS}/tenant-{t}", version="2")
        bao.put("kv/shared/key", f"{NS}/tenant-{t}", value=OWN[t])
        bao.mount("transit", "transit", f"{NS}/tenant-{t}")
        bao.call("POST", "transit/keys/blackboard", f"{NS}/tenant-{t}", type="aes256-gcm96")
    vault = Vault(prefix, bao, NS, HOSTILE, board_key="blackboard")
    yield vault
    assert vault.stop() == 0


def asked(vault, tenant, index):
    door = vault.door("TOOLEXEC", name="hostile", tenant=tenant)
    got = door.ask("env_fetch", index=index)
    door.close()
    return got


def test_each_tenant_has_its_own(tenants):
    for tenant in TENANTS:
        for i in range(GOOD):
            got = asked(tenants, tenant, i)
            assert (got["code"], got["value"]) == (0, OWN[tenant].encode()), (tenant, got)
    for tenant in ("default", "aegis-system"):
        assert asked(tenants, tenant, 0)["value"] == PLATFORM.encode()


def test_no_reference_leads_to_another_tenant(tenants, bao):
    before = len(bao.requests(""))
    for i, reference in enumerate(HOSTILE[GOOD:], GOOD):
        got = asked(tenants, "acme", i)
        assert got["code"] != 0 and got["message"] and not got["value"], (reference, got)
    # OpenBao itself was asked for nothing outside acme's namespace, and of nothing but data
    rows = [r["request"] for r in bao.requests("")[before:]]
    rows = [r for r in rows if r["path"] != "auth/token/lookup-self"]
    assert rows
    for r in rows:
        assert r["namespace"]["path"] == f"{NS}/tenant-acme/", r
        assert r["operation"] == "read" and r["path"].split("/")[1] == "data", r


@pytest.mark.parametrize("tenant", ["../tenant-globex", "globex/", "GLOBEX", "-globex", "glo%62ex",
                                    "globex\r\nX-Vault-Namespace: x", "a" * 64, "globex/../globex", "."])
def test_no_tenant_is_a_path(tenants, bao, tenant):
    before = len(bao.requests(""))
    got = asked(tenants, tenant, 0)
    assert got["code"] != 0 and "namespace" in got["message"]
    assert len(bao.requests("")) == before


def test_a_tenant_without_a_namespace(tenants):
    got = asked(tenants, "initech", 0)
    assert got["code"] != 0 and "OpenBao" in got["message"]
    rows = [tenants.judge.wait("access_context").fields for _ in range(5)]
    assert {r["reference"] for r in rows} <= set(HOSTILE) and all(r["tenant"] for r in rows)

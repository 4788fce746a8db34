# SPDX-License-Identifier: Apache-2.0
"""Database credentials that exist only while their execution does, with a real OpenBao and a
real PostgreSQL; whether any is left behind those two are asked."""

import secrets

import pytest
from connected import eventually
from leasing import Leasing, ask, database, leases, role, settled, whoami
from postgres import Postgres

NS = "leases"
PER_SESSION = "      instances: session\n      max_instances: 40\n      instance_idle: 60s\n"


@pytest.fixture(scope="module")
def postgres():
    server = Postgres(secrets.token_hex(16))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def bao(openbao_server, postgres):
    database(openbao_server, postgres, NS)
    role(openbao_server, NS, "app", "60s", "600s")
    return openbao_server


@pytest.fixture(scope="module")
def gate(prefix, module_place, bao, ca, postgres):
    lab = Leasing(prefix, module_place, bao, ca, postgres, NS,
                  {"pg": ({"PG": "vault:database/creds/app"}, PER_SESSION)})
    yield lab.begin()
    lab.stop()


def test_a_lease_for_each_session(gate, bao, postgres):
    one, two = gate.session(), gate.session()
    first, second = whoami(one), whoami(two)
    assert first != second and first == whoami(one)
    assert ask(one, "same") == "True"
    assert sorted(postgres.users()) == sorted([first, second])
    assert len(leases(bao, NS, "app")) == 2
    rows = gate.open_leases()
    assert len(rows) == 2 and {r["state"] for r in rows} == {"held"}
    gate.aegis("session", "revoke", "--session", one.session_id)
    eventually(lambda: postgres.users() == [second])
    assert len(leases(bao, NS, "app")) == 1
    assert whoami(two) == second
    gate.aegis("session", "revoke", "--session", two.session_id)
    settled(bao, postgres, NS, "app")

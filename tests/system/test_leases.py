# SPDX-License-Identifier: Apache-2.0
"""Database credentials that exist only while their execution does, with a real OpenBao and a
real PostgreSQL; whether any is left behind those two are asked."""

import concurrent.futures
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time

import pytest
from connected import POLICIES, Vault, eventually
from leasing import (LEASE_POLICIES, Leasing, ask, database, engine, lease_tokens, leases, role, settled,
                     whoami)
from postgres import Postgres
from seal_client import SealError

NS = "leases"
PER_SESSION = "      instances: session\n      max_instances: 40\n      instance_idle: 60s\n"
MANY = [f"many{i}" for i in range(25)]


@pytest.fixture(scope="module")
def postgres():
    server = Postgres(secrets.token_hex(16))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def bao(openbao_server, postgres):
    database(openbao_server, postgres, NS)
    role(openbao_server, NS, "app", "60s", "600s")
    role(openbao_server, NS, "short", "6s", "9s")
    for name in MANY:
        role(openbao_server, NS, name, "300s", "600s")
    return openbao_server


@pytest.fixture(scope="module")
def gate(prefix, module_place, bao, ca, postgres):
    short = {"PG": "vault:database/creds/short"}
    lab = Leasing(prefix, module_place, bao, ca, postgres, NS, {
        "pg": ({"PG": "vault:database/creds/app"}, PER_SESSION),
        "shared": (short, ""),
        "short": (short, PER_SESSION),
        "many": ({f"MANY_{n}": f"vault:database/creds/{n}#username" for n in MANY}, PER_SESSION)})
    yield lab.begin()
    lab.stop()


def end(gate, *clients):
    for c in clients:
        gate.aegis("session", "revoke", "--session", c.session_id)


def works(client):
    """The user, once whoever was killed is back."""
    def check():
        try:
            return whoami(client)
        except SealError as e:
            assert e.status in (502, 503), e
            return None

    return eventually(check, 20)


def rows(gate, since, act):
    return [r for r in gate.ledger() if r["seq"] > since and r.get("event") == "AccessContext"
            and r["detail"].startswith(act)]


def test_a_lease_for_each_session(gate, bao, postgres):
    seq = gate.ledger()[-1]["seq"]
    one, two = gate.session(), gate.session()
    first, second = whoami(one), whoami(two)
    assert first != second and first == whoami(one)
    assert ask(one, "same") == "True"
    assert sorted(postgres.users("app")) == sorted([first, second])
    assert len(leases(bao, NS, "app")) == 2 and len(lease_tokens(bao, NS)) == 1
    shown = gate.open_leases()
    assert len(shown) == 2 and {r["state"] for r in shown} == {"held"}
    assert {r["reference"] for r in shown} == {"vault:database/creds/app"}
    eventually(lambda: gate.json("status")["vault"]["leases"]["open"] == 2)
    # the user's name may be seen, the password never
    assert ask(one, "env", variable="PG_USERNAME") == first
    with pytest.raises(SealError) as e:
        ask(one, "env", variable="PG_PASSWORD")
    assert "withheld" in str(e.value)
    end(gate, one)
    eventually(lambda: postgres.users("app") == [second])
    eventually(lambda: len(leases(bao, NS, "app")) == 1)
    assert whoami(two) == second
    end(gate, two)
    settled(bao, postgres, NS, "app")
    # each of three variables of each server, and each end
    assert len(rows(gate, seq, "vault:database/creds/app")) == 6
    told = eventually(lambda: len(found := rows(gate, seq, "revoked: ")) == 2 and found)
    assert {r["server"] for r in told} == {"pg"} and len({r["exec"] for r in told}) == 2
    assert {r["detail"].split("lease ")[1].split()[0] for r in told} == {r["lease"] for r in shown}


def test_replaced_before_the_maximum_without_a_failed_call(gate, bao, postgres):
    """A shared process and one of a session under a steady stream of calls."""
    client = gate.session()
    mark, stop, failures = gate.mark(), threading.Event(), []
    users = {"shared": [], "short": []}

    def stream(server, sql):
        own = gate.session()
        own = client if server == "short" else own
        while not stop.is_set():
            try:
                user = json.loads(ask(own, f"{server}.query", sql=sql))[0][0]
                if user not in users[server]:
                    users[server].append(user)
            except Exception as e:  # any failure is one
                failures.append(e)

    threads = [threading.Thread(target=stream, args=(s, q)) for s in users
               for q in ("SELECT current_user", "SELECT current_user, pg_sleep(0.4)")]
    for t in threads:
        t.start()
    try:
        eventually(lambda: all(len(u) >= 2 for u in users.values()), 25)
        # the old ones end when they have answered, and their leases with them
        eventually(lambda: not {u[0] for u in users.values()} & set(postgres.users()))
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not failures, failures[:3]
    assert gate.lines("lease.old", mark) and len(gate.lines("tool.replaced", mark)) >= 2
    end(gate, client)
    # the shared one lives on, with a lease of its own whatever happens to it
    for pid in gate.pids("toolhostd: toolexec shared"):
        os.kill(pid, 9)
    eventually(lambda: len(found := postgres.users("short")) == 1
               and found[0] not in users["shared"] + users["short"])


def test_whoever_is_killed_no_lease_is_left(gate, bao, postgres):
    one, two = gate.session(), gate.session()
    first, second = whoami(one), whoami(two)
    for title in ("keymasterd: vault", "keymasterd: judge", "gated: gate 0"):
        for pid in gate.pids(title):
            os.kill(pid, 9)
        assert works(one) == first and works(two) == second, f"{title} went, the leases stay"
    eventually(lambda: gate.lines("lease.restored"))
    eventually(lambda: {r["renewals"] for r in gate.open_leases() if r["server"] == "pg"} == {1})
    # a server's end while vault does not look, too
    for title in ("keymasterd: vault", "toolhostd: toolexec pg"):
        for pid in gate.pids(title):
            os.kill(pid, 9)
    eventually(lambda: not {first, second} & set(postgres.users()))
    third, fourth = works(one), works(two)
    assert len({first, second, third, fourth}) == 4
    host, = gate.pids("toolhostd: toolhost")
    os.kill(host, 9)
    eventually(lambda: not {third, fourth} & set(postgres.users()))
    end(gate, one, two)
    settled(bao, postgres, NS, "app")


def test_two_hundred_leases_and_nothing_left(gate, bao, postgres):
    """Vault is killed while they are being obtained, then all of it, as if the power had gone."""
    clients = [gate.session() for _ in range(8)]

    def use(client):
        def check():
            try:
                return json.loads(ask(client, "many.hashes"))
            except SealError as e:
                assert e.status in (502, 503), e
                return None

        return eventually(check, 60)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(use, c) for c in clients]
        eventually(lambda: len(postgres.users("many")) > 40, 30)
        for pid in gate.pids("keymasterd: vault"):
            os.kill(pid, 9)
        hashes = [h for w in waiting for h in w.result().values()]
    assert len(set(hashes)) == 200
    # those whose answers were lost go a little later
    eventually(lambda: len([r for r in gate.open_leases() if r["server"] == "many"]) == 200, 30)
    eventually(lambda: sum(len(leases(bao, NS, n)) for n in MANY) == 200)
    # A request that breaks off while OpenBao makes a user can leave one that OpenBao itself does not
    # know (version 2.7); at most four requests are under way. It has an end of its own.
    held = {u for u in postgres.users("many") if hashlib.sha256(u.encode()).hexdigest() in hashes}
    assert len(held) == 200
    eventually(lambda: len(set(postgres.users("many")) - held) <= 4)
    unknown = set(postgres.users("many")) - held
    ends = dict(postgres.query("SELECT rolname, extract(epoch FROM rolvaliduntil) FROM pg_roles"))
    assert all(ends[u] < time.time() + 310 for u in unknown)
    gate.kill()
    assert set(postgres.users("many")) == held | unknown
    gate.start()
    began = time.monotonic()
    eventually(lambda: not [x for n in MANY for x in leases(bao, NS, n)], 30)
    eventually(lambda: set(postgres.users("many")) == unknown)
    print(f"200 leases revoked in {time.monotonic() - began:.1f} s; {len(unknown)} users unknown to OpenBao")
    for user in unknown:
        postgres.query(f'REVOKE ALL ON notes FROM "{user}"')
        postgres.query(f'DROP ROLE "{user}"')
    # nor does anybody know a token that OpenBao made for the vault that was killed: nothing hangs on it
    eventually(lambda: len(lease_tokens(bao, NS)) <= 1 and gate.open_leases() == [])
    for accessor in lease_tokens(bao, NS):
        bao.call("POST", "auth/token/revoke-accessor", NS, accessor=accessor)


def test_postgres_and_openbao_away(gate, bao, postgres):
    one, two = gate.session(), gate.session()
    first, second = whoami(one), whoami(two)
    postgres.kill()
    end(gate, one)
    row = eventually(lambda: next((r for r in gate.open_leases() if r["tries"] > 1), None))
    assert row["state"] == "ending" and "database behind OpenBao" in row["trouble"]
    with pytest.raises(SealError) as e:
        whoami(gate.session())
    assert e.value.status in (502, 503)
    eventually(lambda: gate.json("status")["vault"]["leases"]["ending"] >= 1)
    assert not gate.lines("openbao.away"), "OpenBao itself is there"
    for pid in gate.pids("keymasterd: vault"):
        os.kill(pid, 9)
    bao.seal()
    end(gate, two)
    postgres.start()
    assert {first, second} <= set(postgres.users())
    bao.unseal()
    settled(bao, postgres, NS, "app", seconds=20)
    eventually(lambda: gate.open_leases() == [])


def test_a_stop_leaves_nothing(gate, bao, postgres):
    works(gate.session())
    assert leases(bao, NS, "app")
    gate.stop()
    assert not leases(bao, NS, "app") and not postgres.users() and not lease_tokens(bao, NS)
    gate.start()


def test_a_run_is_an_execution(gate, bao, postgres):
    """The lease lives for as long as the program that `aegis run` has started, however that ends."""
    gate.session()  # so that there is the agent
    script = ("import os, sys\n"
              "from leasing import ask, whoami\n"
              "from seal_client import SealClient\n"
              "client = SealClient(os.environ['AEGIS_GATE_URL'], os.environ['AEGIS_AGENT_TOKEN'], 'all')\n"
              "client.attest()\n"
              "print(os.getpid(), whoami(client), flush=True)\n"
              "sys.stdin.readline()\n"
              "print(whoami(client), flush=True)\n"
              "sys.stdin.readline()\n")
    for killed in (False, True):
        run = subprocess.Popen(
            [gate.bin, "run", "--agent", "bot", "--", sys.executable, "-c", script], text=True,
            env={**gate.env, "PYTHONPATH": os.pathsep.join(sys.path)}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        pid, user = run.stdout.readline().split()
        assert postgres.users("app") == [user] and len(leases(bao, NS, "app")) == 1
        run.stdin.write("\n")
        run.stdin.flush()
        assert run.stdout.readline().strip() == user
        if killed:
            os.kill(int(pid), signal.SIGKILL)
        run.stdin.close()
        run.wait(10)
        settled(bao, postgres, NS, "app")


# -- tenants --

TENANTS = ("acme", "globex")


@pytest.fixture(scope="module")
def tenants(prefix, bao, postgres):
    """Vault alone, in front of a namespace for each tenant with a database engine of its own."""
    bao.policy("tenantdb", LEASE_POLICIES["tenantdb"], NS)
    for t in TENANTS:
        bao.call("POST", f"sys/namespaces/tenant-{t}", NS)
        engine(bao, postgres, f"{NS}/tenant-{t}")
        role(bao, f"{NS}/tenant-{t}", t, "60s", "600s")
    vault = Vault(prefix, bao, NS, [f"vault:database/creds/{t}" for t in TENANTS], role="tenants",
                  policies=[*POLICIES, "tenantdb"], lease_role="aegis-lease")
    yield vault
    assert vault.stop(20) == 0


def test_leases_of_tenants(tenants, bao, postgres):
    doors = {t: tenants.door("TOOLEXEC", name="hostile", tenant=t) for t in TENANTS}
    users = {}
    for i, t in enumerate(TENANTS):
        got = doors[t].ask("env_fetch", index=i)
        assert got["code"] == 0, got
        users[t] = got["value"].split(b":")[0].decode()
        assert postgres.users(t) == [users[t]]
        assert len(leases(bao, f"{NS}/tenant-{t}", t)) == 1
        # the other's role is none of its own namespace
        assert doors[t].ask("env_fetch", index=1 - i)["code"] != 0
    assert not leases(bao, NS, "acme") and len(postgres.users("acme")) == 1
    tenants.tell("tool_ended", instance=doors["acme"].instance)
    settled(bao, postgres, f"{NS}/tenant-acme", "acme")
    assert postgres.users("globex") == [users["globex"]]
    tenants.tell("tool_ended", instance=doors["globex"].instance)
    settled(bao, postgres, f"{NS}/tenant-globex", "globex")

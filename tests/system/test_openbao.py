# SPDX-License-Identifier: Apache-2.0
"""Secrets in a real OpenBao: AppRole login over TLS, KV secrets of tool servers, and its bad
days."""

import base64
import concurrent.futures
import json
import os
import secrets
import threading
import time
from pathlib import Path

import lab as labs
import memory
import pytest
import requests
from connected import NAMESPACE, POLICIES, Connected, eventually, platform
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from openbao import Delay
from seal_client import SealClient, SealError

TRANSIT = """\
    transit_keys:
      seal_signing: seal
"""
NOTHING = """
path "kv/data/elsewhere" { capabilities = ["read"] }
"""


@pytest.fixture(scope="module")
def bao(openbao_server):
    platform(openbao_server)
    return openbao_server


SEARCH = "kv-planted-" + secrets.token_hex(12)
PINNED = "kv-first-" + secrets.token_hex(12)
ONLY = "kv-only-" + secrets.token_hex(12) + "-\"quoted\\ é"


@pytest.fixture(scope="module")
def connected(prefix, module_place, bao, ca):
    bao.put("kv/tools/search", NAMESPACE, value=SEARCH, other="x")
    assert bao.put("kv/tools/pinned", NAMESPACE, key=PINNED) == 1
    bao.put("kv/tools/pinned", NAMESPACE, key="a later one")
    bao.put("kv/tools/only", NAMESPACE, anything=ONLY)
    (module_place / "main").mkdir(mode=0o711)
    lab = Connected(prefix, module_place / "main", bao, ca, {
        "SECRET_VALUE": "vault:kv/tools/search",
        "SECRET_PINNED": "vault:kv/tools/pinned#key@1",
        "SECRET_NEWEST": "vault:kv/tools/pinned#key",
        "SECRET_ONLY": "vault:kv/tools/only"}, port=None)
    yield lab.begin()
    lab.stop()


def test_a_tool_server_gets_its_secrets(connected):
    assert connected.has("SECRET_VALUE", SEARCH)
    assert connected.has("SECRET_PINNED", PINNED)
    assert connected.has("SECRET_NEWEST", "a later one")
    assert connected.has("SECRET_ONLY", ONLY)
    assert len(connected.tokens()) == 1, "one login, not one for each secret"


def test_its_key_is_not_ours_to_split(connected):
    """The secrets are in OpenBao, which seals itself."""
    done = connected.aegis("vault", "split", check=False)
    assert done.returncode == 3 and "vault.provider is openbao" in done.stderr and not done.stdout
    done = connected.aegis("vault", "seal", check=False)
    assert done.returncode == 3 and "Key splitting is not configured" in done.stderr


def test_refresh_reads_a_new_value(connected, bao):
    bao.put("kv/tools/search", NAMESPACE, value="another value", other="x")
    connected.fresh_start()
    assert connected.has("SECRET_VALUE", "another value")
    bao.put("kv/tools/search", NAMESPACE, value=SEARCH, other="x")
    # not refreshed: what was read stays for its seconds
    for pid in connected.pids("toolhostd: toolexec odd"):
        os.kill(pid, 9)
    eventually(lambda: connected.has("SECRET_VALUE", "another value"))
    assert connected.pids("toolhostd: toolexec odd")
    connected.fresh_start()
    eventually(lambda: connected.has("SECRET_VALUE", SEARCH))
    assert [r for r in connected.ledger("--admin") if r["event"] == "vault.refresh"]


def test_only_vault_speaks_with_openbao(connected, bao):
    """Every descriptor of every process: who holds a socket to OpenBao's port?"""
    wanted = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[2].rpartition(":")[2], 16) == bao.port and fields[3] == "01":
                wanted.add(f"socket:[{fields[9]}]")
    holders, others = set(), set()
    for pid, title in connected.children().items():
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                link = os.readlink(fd)
            except FileNotFoundError:
                continue
            if link in wanted:
                holders.add(title)
    assert holders == {"keymasterd: vault"}
    # and vault has no other connection of the internet
    vault, = connected.pids("keymasterd: vault")
    mine = {os.readlink(fd) for fd in Path(f"/proc/{vault}/fd").iterdir() if fd.is_symlink()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in mine:
                others.add(int(fields[2].rpartition(":")[2], 16))
    assert others == {bao.port}


def test_no_secret_is_anywhere_else(connected, bao):
    assert connected.has("SECRET_VALUE", SEARCH)
    secret_id = connected.secret_file.read_text().strip()
    planted = {"search": SEARCH, "secret id": secret_id}
    needles = {f"{n}: {form}": x for n, s in planted.items() for form, x in memory.forms(s).items()}
    vault = connected.pids("keymasterd: vault")
    # the tool server and the toolexec that started it are the receivers
    receivers = vault + connected.pids("toolhostd: toolexec odd") + connected.pids("/usr/bin/python3")
    others = [p for p in [connected.process.pid, *connected.children()] if p not in receivers]
    assert len(others) >= 5
    for pid, hits in memory.scan_processes(others, needles).items():
        assert not hits, (pid, hits)
    log = connected.log.read_bytes()
    for name, needle in needles.items():
        assert needle not in log, name
    for path in connected.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [n for n, x in needles.items() if x in data], path


def test_a_revoked_token_is_replaced(connected, bao):
    before = connected.tokens()
    for accessor, _ in before:
        bao.revoke(accessor, NAMESPACE)
    mark = connected.mark()
    connected.fresh_start()
    assert connected.has("SECRET_VALUE", SEARCH), "the first call after it"
    assert len(connected.lines("openbao.login", mark)) == 1
    assert {a for a, _ in connected.tokens()}.isdisjoint({a for a, _ in before})


def test_a_narrowed_policy_is_named(connected, bao):
    connected.has("SECRET_VALUE", SEARCH)
    before = dict(connected.tokens()).keys()
    bao.policy("kv", NOTHING, NAMESPACE)
    mark = connected.mark()
    connected.fresh_start()
    assert not connected.has("SECRET_VALUE", SEARCH)
    eventually(lambda: [x for x in connected.lines("vault.env", mark) if "does not allow it" in x])
    assert dict(connected.tokens()).keys() == before, "a new login would not help and is not tried"
    bao.policy("kv", POLICIES["kv"], NAMESPACE)
    eventually(lambda: connected.has("SECRET_VALUE", SEARCH), 15)


def test_a_secret_that_is_missing(connected, bao):
    bao.call("DELETE", "kv/data/tools/only", NAMESPACE)
    mark = connected.mark()
    connected.fresh_start()
    assert not connected.has("SECRET_VALUE", SEARCH)
    eventually(lambda: [x for x in connected.lines("vault.env", mark)
                        if "there is no such secret in OpenBao" in x])
    bao.put("kv/tools/only", NAMESPACE, anything=ONLY)
    eventually(lambda: connected.has("SECRET_ONLY", ONLY), 15)


def test_a_killed_vault_comes_back(connected):
    vault, = connected.pids("keymasterd: vault")
    os.kill(vault, 9)
    eventually(lambda: connected.pids("keymasterd: vault") not in ([], [vault]))
    eventually(lambda: connected.aegis("vault", "refresh", check=False).returncode == 0)
    connected.fresh_start()
    eventually(lambda: connected.has("SECRET_VALUE", SEARCH), 15)


def test_the_secret_id_is_rotated_without_a_restart(connected, bao):
    master = connected.process.pid
    old = connected.rotate()
    bao.call("POST", f"auth/approle/role/{connected.role}/secret-id-accessor/destroy", NAMESPACE,
             secret_id_accessor=old)
    for accessor, _ in connected.tokens():
        bao.revoke(accessor, NAMESPACE)
    connected.fresh_start()
    assert connected.has("SECRET_VALUE", SEARCH)
    # one that is wrong is named, and the next good one is taken
    good = connected.secret_file.read_text()
    connected.secret_file.write_text("not-a-secret-id\n")
    for accessor, _ in connected.tokens():
        bao.revoke(accessor, NAMESPACE)
    mark = connected.mark()
    connected.fresh_start()
    assert not connected.has("SECRET_VALUE", SEARCH)
    eventually(lambda: [x for x in connected.lines("openbao.login", mark)
                        if "secret id is wrong" in x])
    connected.secret_file.write_text(good)
    eventually(lambda: connected.has("SECRET_VALUE", SEARCH), 20)
    assert connected.process.pid == master and "not-a-secret-id" not in connected.log.read_text()


def test_another_authority_is_not_believed(prefix, bao, ca, place):
    other = labs.TestCA(place / "other-ca")
    lab = Connected(prefix, place, bao, ca, {"SECRET_VALUE": "vault:kv/tools/search"}, role="tls")
    lab.text = lab.text.replace(f"ca_cert: {bao.ca.ca}", f"ca_cert: {other.ca}")
    try:
        lab.begin()  # everything else works
        assert not lab.has("SECRET_VALUE", SEARCH)
        eventually(lambda: [x for x in lab.lines("openbao.away") if "certificate" in x])
        assert not lab.tokens()
    finally:
        lab.stop()


# -- tokens signed by Transit --


@pytest.fixture(scope="module")
def transit(prefix, module_place, bao, ca, connected):
    (module_place / "transit").mkdir(mode=0o711)
    relay = Delay(bao.port)
    lab = Connected(prefix, module_place / "transit", bao, ca,
                    {"SECRET_VALUE": "vault:kv/tools/search"}, port=relay.port, role="transit",
                    more=TRANSIT)
    lab.relay = relay
    yield lab.begin()
    lab.stop()
    relay.stop()


def jwks(lab):
    return {k["kid"]: k["x"] for k in requests.get(f"{lab.url}/.well-known/jwks.json",
                                                   timeout=10).json()["keys"]}


def in_openbao(bao):
    """Public keys of the Transit key's versions, newest first."""
    keys = bao.call("GET", "transit/keys/seal", NAMESPACE)["data"]["keys"]
    return [base64.urlsafe_b64encode(base64.b64decode(keys[v]["public_key"])).decode().rstrip("=")
            for v in sorted(keys, key=int, reverse=True)]


def kid_of(token):
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


def attested(lab):
    client = SealClient(lab.url, lab.client.agent_token, "all")
    client.attest()
    return client


def test_tokens_are_signed_by_transit(transit, bao):
    newest, = in_openbao(bao)
    keys = jwks(transit)
    client = attested(transit)
    assert keys == {kid_of(client.token): newest}
    signed, _, signature = client.token.rpartition(".")
    Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(newest + "=")).verify(
        base64.urlsafe_b64decode(signature + "=="), signed.encode())
    assert client.call("odd.cancelled", {})
    # an operator's token, too
    token = transit.json("operator", "token", "--name", "ops")["token"]
    assert kid_of(token) == kid_of(client.token)
    refused = transit.aegis("key", "rotate", check=False)
    assert refused.returncode != 0 and "rotate it there" in refused.stdout + refused.stderr


def test_rotation_in_openbao_without_a_failed_call(transit, bao):
    old = attested(transit)
    stop, failures, calls = threading.Event(), [], []

    def load():
        while not stop.is_set():
            try:
                client = attested(transit)
                client.call("odd.cancelled", {})
                old.call("odd.cancelled", {})
                calls.append(kid_of(client.token))
            except Exception as e:  # any failure is one
                failures.append(e)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    bao.call("POST", "transit/keys/seal/rotate", NAMESPACE)
    time.sleep(0.3)
    transit.aegis("vault", "refresh")
    eventually(lambda: len(set(calls)) == 2)
    stop.set()
    for t in threads:
        t.join()
    assert not failures and calls[-1] != kid_of(old.token)
    assert set(jwks(transit).values()) == set(in_openbao(bao)) and len(in_openbao(bao)) == 2
    assert [r for r in transit.ledger("--system") if r["event"] == "key.changed"]


def test_many_at_once_share_requests(transit, bao):
    before = len(bao.requests("sign/seal"))
    clients = [SealClient(transit.url, transit.agent(f"many{i}", contexts=["all"]), "all")
               for i in range(24)]
    transit.relay.seconds = 0.5  # so that they do wait together
    try:
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            list(pool.map(lambda c: c.attest(), clients))
    finally:
        transit.relay.seconds = 0
    signed = bao.requests("sign/seal")[before:]
    assert 1 <= len(signed) <= 12
    assert len({c.token for c in clients}) == 24


def test_two_gates_verify_each_others_tokens(prefix, place, bao, ca, transit):
    other = Connected(prefix, place, bao, ca, {"SECRET_VALUE": "vault:kv/tools/search"},
                      role="second", more=TRANSIT)
    try:
        other.begin()
        assert jwks(other) == jwks(transit)
        assert kid_of(attested(other).token) == kid_of(attested(transit).token)
    finally:
        other.stop()


def test_without_openbao_tokens_verify_and_none_is_made(transit, bao):
    client = attested(transit)
    bao.seal()
    began = time.monotonic()
    with pytest.raises(SealError) as e:
        attested(transit)
    assert e.value.status == 503 and time.monotonic() - began < 6
    assert client.call("odd.cancelled", {}), "sessions go on"
    eventually(lambda: transit.lines("openbao.away"))
    began = time.monotonic()
    with pytest.raises(SealError):
        attested(transit)
    assert time.monotonic() - began < 1, "the circuit is open"
    # a gate that starts meanwhile serves what it can, and heals
    transit.stop()
    transit.start()
    with pytest.raises(SealError):
        attested(transit)
    bao.unseal()

    def works():
        try:
            return attested(transit).call("odd.cancelled", {})
        except SealError:
            return None

    eventually(works, 20)


@pytest.mark.parametrize("change, says", [
    (("https://localhost", "http://openbao.example"), "expected https://"),
    (("secret_id: file:", "secret_id: "), "expected file:PATH"),
    (("namespace: platform", "namespace: ../other"), "secrets.openbao.namespace"),
    (("provider: openbao", "provider: embedded"), "vault.provider"),
    (("vault:kv/tools/search", "vault:kv/../sys/search"), "expected vault:MOUNT/PATH"),
    (("vault:kv/tools/search", "vault:kv/%2e%2e/search"), "expected vault:MOUNT/PATH"),
    (("vault:kv/tools/search", "vault:db/creds/role@2"), "database"),
])
def test_mistakes_in_the_configuration(prefix, bao, ca, place, change, says):
    lab = Connected(prefix, place, bao, ca, {"SECRET_VALUE": "vault:kv/tools/search"}, role="conf")
    lab.init()
    assert change[0] in lab.text
    lab.config.write_text(lab.text.replace(*change))
    done = lab.aegis("config", "validate", check=False)
    assert done.returncode != 0 and says in done.stdout + done.stderr
    assert lab.secret_file.name in change[0] or lab.secret_file.read_text().strip() not in done.stderr

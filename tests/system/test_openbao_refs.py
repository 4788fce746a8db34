# SPDX-License-Identifier: Apache-2.0
"""Secrets by reference: what is in OpenBao and what of it comes here, for whom, and what the
ledger says of it."""

import os
import secrets
import subprocess
import threading
import time

import memory
import pytest
import requests
from conftest import Upstream
from connected import Connected, Vault, eventually, platform
from lab import CommandFailed
from puppet import BOARD_DECRYPT, BOARD_ENCRYPT, BOARD_ENCRYPT_NEW_KEY, board
from prometheus_client.parser import text_string_to_metric_families

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


class Api:
    """An upstream that takes the keys in `good`; what it saw is in `used`."""

    def __init__(self):
        self.good, self.used = set(), []
        self.server = Upstream(self.respond)

    def respond(self, request):
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.used.append(key)
        request.answer(200 if key in self.good else 401)


@pytest.fixture(scope="module")
def api():
    api = Api()
    yield api
    api.server.stop()


def add(lab, api, name, reference, *flags):
    port = api.server.port
    lab.aegis("vault", "add", "--name", name, "--service", name, "--domains", f"127.0.0.1:{port}",
              "--upstream", f"http://127.0.0.1:{port}", "--allow-private", "--secret-ref", reference,
              *flags)
    lab.aegis("agent", "grant", "--agent", "bot", "--credential", name)


def get(lab, name, **kwargs):
    return requests.get(f"{lab.url}/{name}/x", headers={"X-Aegis-Agent": lab.client.agent_token},
                        timeout=20, **kwargs)


def new(name):
    return f"{name}-planted-{secrets.token_hex(10)}"


class Load:
    """Requests without a pause, until stopped; every answer must be 200."""

    def __init__(self, lab, name):
        self.lab, self.name, self.bad, self.count, self.running = lab, name, [], 0, True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.running:
            answer = get(self.lab, self.name)
            self.count += 1
            if answer.status_code != 200:
                self.bad.append((answer.status_code, answer.text))
            time.sleep(0.05)

    def stop(self):
        self.running = False
        self.thread.join()


@pytest.fixture(scope="module", autouse=True)
def unattended(gate, bao, api):
    """A secret is changed in OpenBao under load, and nobody says a word here; what came of it
    the last test sees, so that the others need not wait for it."""
    old, fresh = new("old"), new("fresh")
    api.good |= {old, fresh}
    bao.put("kv/gate/unattended", NS, key=old)
    add(gate, api, "unattended", "vault:kv/gate/unattended#key")
    load = Load(gate, "unattended")
    eventually(lambda: old in api.used)
    bao.put("kv/gate/unattended", NS, key=fresh)
    began = time.monotonic()
    yield load, fresh, began
    load.stop()


def accesses(lab, since=0, **want):
    rows = [r for r in lab.ledger("--system") if r.get("event") == "AccessContext" and r["seq"] > since]
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


# -- credentials of the gate --


@pytest.fixture(scope="module")
def key(gate, bao, api):
    """The credential `main`, and what it is at first."""
    value = new("main")
    api.good.add(value)
    bao.put("kv/gate/main", NS, value=value, note="x")
    add(gate, api, "main", "secret:gate/main")
    return value


def test_a_credential_is_read_from_openbao(gate, api, key):
    since = newest(gate)
    assert get(gate, "main").status_code == 200 and api.used.count(key) == 1
    row, = accesses(gate, since, credential="main")
    assert row["code"] == "ok" and row["agent"] == "bot" and row["service"] == "main"
    assert row["detail"].startswith("secret:gate/main; version 1; for request ")
    decision, = [r for r in gate.ledger() if r["seq"] > since and r.get("decision") and r.get("credential") == "main"]
    assert row["detail"].endswith(decision["request"])


def test_lists_show_the_reference(gate, key):
    shown = gate.aegis("vault", "show", "--name", "main").stdout
    listed = gate.aegis("vault", "list").stdout
    assert "secret:gate/main" in shown and "secret:gate/main" in listed
    assert gate.json("vault", "show", "--name", "main")["secret_ref"] == "secret:gate/main"
    assert key not in shown + listed + str(gate.json("vault", "list"))
    assert gate.aegis("vault", "show", "--name", "none", check=False).returncode != 0


def test_rotate_says_what_to_do_instead(gate, key):
    with pytest.raises(CommandFailed) as e:
        gate.aegis("vault", "rotate", "--name", "main", "--secret-stdin", stdin="a-new-secret")
    assert "secret:gate/main" in e.value.err and "vault refresh" in e.value.err
    assert get(gate, "main").status_code == 200
    assert "a-new-secret" not in str(gate.ledger()) + gate.log.read_text()


def test_refresh_under_load(gate, bao, api, key):
    """A new key in OpenBao: no request fails, and refresh brings it at once."""
    fresh = new("second")
    api.good.add(fresh)
    load = Load(gate, "main")
    eventually(lambda: load.count > 5)
    bao.put("kv/gate/main", NS, value=fresh, note="x")
    gate.aegis("vault", "refresh", "--name", "main")
    eventually(lambda: api.used[-1] == fresh or get(gate, "main") and api.used[-1] == fresh, 2)
    load.stop()
    assert not load.bad
    workers = gate.pids("egressd: worker main")
    assert len(workers) == 1
    row, = accesses(gate, credential="main", detail="secret:gate/main; version 2; for an administrator")
    assert row["code"] == "ok"
    # the one before is taken from the upstream
    api.good.discard(key)
    assert get(gate, "main").status_code == 200 and gate.pids("egressd: worker main") == workers


def test_another_place(gate, bao, api, key):
    value = new("moved")
    api.good.add(value)
    bao.put("kv/gate/moved", NS, key=value)
    gate.aegis("vault", "update", "--name", "main", "--secret-ref", "vault:kv/gate/moved#key@1")
    assert get(gate, "main").status_code == 200 and api.used.count(value) == 1
    gate.aegis("vault", "update", "--name", "main", "--domains", f"127.0.0.1:{api.server.port},localhost")
    assert get(gate, "main").status_code == 200
    assert gate.json("vault", "show", "--name", "main")["secret_ref"] == "vault:kv/gate/moved#key@1"


@pytest.mark.parametrize("reference, says, code", [
    ("vault:kv/gate/nowhere", "no such secret", "missing"),
    ("vault:kv/gate/moved#other", "no such field", "refused"),
    ("vault:kv/gate/moved#key@7", "not in this version", "missing"),
    ("vault:elsewhere/gate/moved", "does not allow it", "denied")])
def test_what_cannot_be_read(gate, bao, api, reference, says, code):
    name = code + "-" + str(abs(hash(reference)) % 1000)
    bao.put("kv/gate/moved", NS, key="v")
    add(gate, api, name, reference)
    since = newest(gate)
    answer = get(gate, name)
    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert answer.json()["error"] and says in answer.text
    rows = accesses(gate, since, credential=name)
    assert rows and {r["code"] for r in rows} == {code} and says in rows[0]["reason"]
    assert reference in rows[0]["detail"]
    failed = gate.aegis("vault", "refresh", "--name", name, check=False)
    assert failed.returncode != 0 and says in failed.stderr
    gate.aegis("vault", "remove", "--name", name)


def test_what_comes_later_is_found(gate, bao, api):
    value = new("later")
    api.good.add(value)
    add(gate, api, "later", "secret:gate/later#key")
    assert get(gate, "later").status_code == 503
    bao.put("kv/gate/later", NS, key=value)
    eventually(lambda: get(gate, "later").status_code == 200, 5)


def test_what_is_taken_away_is_gone(gate, bao, api):
    value = new("taken")
    api.good.add(value)
    bao.put("kv/gate/taken", NS, key=value)
    add(gate, api, "taken", "secret:gate/taken#key")
    assert get(gate, "taken").status_code == 200
    bao.call("DELETE", "kv/data/gate/taken", NS)
    assert "no such secret" in gate.aegis("vault", "refresh", "--name", "taken", check=False).stderr
    answer, = eventually(lambda: (a := get(gate, "taken")).status_code != 200 and [a], 3)
    assert answer.status_code == 503 and "no such secret" in answer.text


def test_no_secret_is_used_past_its_end(gate, bao, api):
    value = new("ends")
    api.good.add(value)
    bao.call("POST", "kv/metadata/gate/ends", NS, delete_version_after="4s")
    bao.put("kv/gate/ends", NS, key=value)
    end = time.monotonic() + 4
    add(gate, api, "ends", "secret:gate/ends#key")
    assert get(gate, "ends").status_code == 200
    answer, = eventually(lambda: (a := get(gate, "ends")).status_code != 200 and [a])
    assert answer.status_code == 503 and time.monotonic() - end < 4


@pytest.mark.parametrize("reference", ["kv/a", "vault:kv", "vault:kv/../a", "secret:", "vault:tenant-b/a",
                                       "vault:kv/a#", "secret:a@0", "literal:x"])
def test_references_that_are_none(gate, api, reference):
    with pytest.raises(CommandFailed) as e:
        add(gate, api, "bad", reference)
    assert "vault:MOUNT/PATH" in e.value.err or "namespace" in e.value.err
    assert "bad" not in gate.aegis("vault", "list").stdout


def test_a_vault_of_its_own_takes_no_reference(fresh):
    lab = fresh()
    done = lab.aegis("vault", "add", "--name", "a", "--service", "a", "--domains", "a.example",
                     "--secret-ref", "vault:kv/a", check=False)
    assert done.returncode != 0 and "vault.provider: openbao" in done.stderr


def test_credentials_while_openbao_is_away(gate, bao, api, key):
    """Workers keep what they have, also when vault is started anew meanwhile."""
    assert get(gate, "main").status_code == 200
    bao.seal()
    try:
        assert get(gate, "main").status_code == 200
        vault, = gate.pids("keymasterd: vault")
        os.kill(vault, 9)
        eventually(lambda: gate.pids("keymasterd: vault") not in ([], [vault]))
        eventually(lambda: b"event=credential.kept" in gate.log.read_bytes())
        assert get(gate, "main").status_code == 200
        # who has nothing yet is told why
        add(gate, api, "unread", "secret:gate/unread")
        answer = get(gate, "unread")
        assert answer.status_code == 503 and "OpenBao" in answer.text
        assert accesses(gate, credential="unread", code="away")
    finally:
        bao.unseal()
    bao.put("kv/gate/unread", NS, value=key)
    api.good.add(key)
    eventually(lambda: get(gate, "unread").status_code == 200, 15)
    assert get(gate, "main").status_code == 200


def test_numbers(gate, bao, key):
    """As they are at the end of all that; read by Prometheus' own parser."""
    operator = gate.json("operator", "token", "--name", "meter", "--role", "readonly")["token"]
    text = requests.get(f"{gate.url}/_aegis/metrics", timeout=10,
                        headers={"authorization": f"Bearer {operator}"}).text
    found = {(s.name, *sorted(s.labels.values())): s.value for f in text_string_to_metric_families(text)
             for s in f.samples if s.name.startswith("aegis_openbao_")}
    # vault is younger than the gate: it was started anew while OpenBao was away
    assert found["aegis_openbao_requests_total", "ok", "read"] >= 1
    assert found["aegis_openbao_request_seconds_total", "read"] > 0
    assert found["aegis_openbao_token_renewals_total", "ok"] >= 1
    assert found["aegis_openbao_token_ttl_seconds",] > 60
    assert sum(v for k, v in found.items() if "failed" in k) >= 1, "while it was sealed"
    assert found["aegis_openbao_away",] == 0 and found["aegis_openbao_leases",] == 0
    assert found["aegis_openbao_cache_total", "miss"] >= 1


def test_secrets_are_nowhere_else(gate, api, unattended, key):
    planted = {"main": key, "unattended": unattended[1]}
    needles = {f"{n}: {form}": x for n, s in planted.items() for form, x in memory.forms(s).items()}
    holders = gate.pids("keymasterd: vault") + gate.pids("egressd: worker")
    others = [p for p in [gate.process.pid, *gate.children()] if p not in holders]
    assert len(others) >= 4
    for pid, hits in memory.scan_processes(others, needles).items():
        assert not hits, (pid, hits)
    for path in [gate.log, *(p for p in gate.data.rglob("*") if p.is_file())]:
        data = path.read_bytes()
        assert not [n for n, x in needles.items() if x in data], path


def test_a_change_is_noticed_by_itself(gate, api, unattended):
    load, fresh, began = unattended
    eventually(lambda: fresh in api.used, 30)
    took = time.monotonic() - began
    load.stop()
    assert not load.bad and load.count > 20
    rows = accesses(gate, credential="unattended", code="ok")
    assert [r["detail"].split("; ")[1] for r in rows][:2] == ["version 1", "version 2"]
    noticed = [r for r in rows if "version 2" in r["detail"]][0]
    assert took > 0 and noticed["time"] > rows[0]["time"]


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


# -- blackboards --

PLAIN = b"board-planted-" + secrets.token_hex(8).encode() + b"\0\xff"


def boxed(vault, tenant, obj, plain=PLAIN, act=BOARD_ENCRYPT):
    door = vault.admins.door()
    got = board(vault.judge, door, act, tenant, obj, plain)
    door.close()
    return got


def opened(vault, tenant, obj, text):
    door = vault.admins.door()
    got = board(vault.judge, door, BOARD_DECRYPT, tenant, obj, text)
    door.close()
    return got


def test_transit_binds_tenant_and_object(tenants, bao):
    got = boxed(tenants, "acme", "exec-1/board")
    assert got["code"] == 0 and got["text"].startswith("vault:v1:") and got["version"] == 1
    again = opened(tenants, "acme", "exec-1/board", got["text"])
    assert (again["code"], again["plain"], again["version"]) == (0, PLAIN, 1)
    for tenant, obj in (("acme", "exec-2/board"), ("globex", "exec-1/board"), ("acme-corp", "exec-1/board"),
                        ("acme", "exec-1/board/"), ("initech", "exec-1/board"), ("../acme", "exec-1/board")):
        refused = opened(tenants, tenant, obj, got["text"])
        assert refused["code"] != 0 and not refused["plain"] and refused["message"], (tenant, obj)
    # by hand, without the associated data, OpenBao refuses it too
    bao.call("POST", "transit/decrypt/blackboard", f"{NS}/tenant-acme", (400,), ciphertext=got["text"])


def test_transit_key_versions(tenants, bao):
    old = boxed(tenants, "globex", "o")["text"]
    bao.call("POST", "transit/keys/blackboard/rotate", f"{NS}/tenant-globex")
    new_one = boxed(tenants, "globex", "o")
    assert new_one["version"] == 2 and new_one["text"].startswith("vault:v2:")
    for text in (old, new_one["text"]):
        assert opened(tenants, "globex", "o", text)["plain"] == PLAIN
    refused = boxed(tenants, "globex", "o", act=BOARD_ENCRYPT_NEW_KEY)
    assert refused["code"] != 0 and "rotate" in refused["message"]


@pytest.mark.parametrize("text", ["", "vault:v1:", "vault:v0:AAAA", "vault:v1:AAAA\",\"x\":\"", "vault:v1:A\nA",
                                  "vault:v99:AAAA", "aegis:v1:AAAA", "aegis:v1:" + "A" * 60, "x" * 49152])
def test_what_nobody_encrypted(tenants, text):
    got = opened(tenants, "acme", "o", text)
    assert got["code"] != 0 and got["message"] and not got["plain"]


def test_as_large_as_may_be(tenants):
    plain = os.urandom(32768)
    got = boxed(tenants, "acme", "large", plain)
    assert got["code"] == 0 and opened(tenants, "acme", "large", got["text"])["plain"] == plain


def test_an_administrator_encrypts(fresh):
    """The vault's own key, from the command line, without a gate and with it."""
    lab = fresh()

    def aegis(*args, data):
        return subprocess.run([str(lab.bin), "vault", *args], input=data, env=lab.env, cwd=lab.dir,
                              capture_output=True, timeout=30)

    text = aegis("encrypt", "--object", "exec-1", data=PLAIN).stdout
    assert text.startswith(b"aegis:v1:")
    lab.start()
    assert aegis("decrypt", "--object", "exec-1", data=text).stdout == PLAIN
    for more in (("--object", "exec-2"), ("--object", "exec-1", "--tenant", "acme")):
        done = aegis("decrypt", *more, data=text)
        assert done.returncode != 0 and not done.stdout and b"not encrypted for this" in done.stderr
    second = aegis("encrypt", "--object", "exec-1", "--new-key", data=b"x").stdout
    assert second.startswith(b"aegis:v2:")
    assert aegis("decrypt", "--object", "exec-1", data=text).stdout == PLAIN
    assert aegis("encrypt", "--object", "exec-1", data=b"").returncode != 0
    rows = accesses(lab)
    assert [r["detail"].split(";")[0] for r in rows if r["code"] == "ok"] == [
        "encrypted: blackboard exec-1", "decrypted: blackboard exec-1",
        "encrypted: blackboard exec-1", "decrypted: blackboard exec-1"]
    # that of another tenant is among that tenant's rows
    assert len([r for r in rows if r["code"] == "refused"]) == 1
    assert PLAIN[:20] not in lab.log.read_bytes() and PLAIN[:20].decode() not in str(lab.ledger())

# SPDX-License-Identifier: Apache-2.0
"""`aegis openbao setup` on an OpenBao that has nothing, and `aegis doctor` in front of it."""

import json
import subprocess

import pytest
from connected import POLICIES, eventually
from lab import Lab

HERE = "fresh"


class Set(Lab):
    """A gate whose part of OpenBao was made by `aegis openbao setup`."""

    def __init__(self, prefix, place, bao, ca):
        super().__init__(prefix, place, ca=ca)
        self.bao = bao
        self.token = place / "token"
        self.token.touch(mode=0o600)
        self.token.write_text(bao.root + "\n")
        self.secret_file = place / "secret-id"

    def setup(self, *more, check=True, how="--apply"):
        flags = {"--token-file": self.token, "--address": self.bao.addr, "--ca-file": self.bao.ca.ca,
                 "--namespace": HERE, "--secret-id-file": self.secret_file}
        given = [x for f, v in flags.items() if f not in more for x in (f, v)]
        return self.aegis("openbao", "setup", how, *given, *more, check=check)

    def configure(self, made):
        vault, _, secrets = made.partition("secrets:\n")
        assert vault == "vault:\n  provider: openbao\n"
        self.text = self.text.replace("vault:\n", vault, 1) + "secrets:\n" + secrets + """\
tools:
  mcp_servers:
    - name: odd
      executable: /bin/cat
      capabilities: ["odd.*"]
      start: on_demand
      credentials: {KEY: "secret:tools/search"}
"""
        self.config.write_text(self.text)

    def doctor(self):
        """{check: [(result, message)]} of what concerns OpenBao."""
        found = {}
        for line in json.loads(self.aegis("doctor", "--json", check=False).stdout):
            if line["check"].startswith("openbao"):
                found.setdefault(line["check"], []).append((line["result"], line["detail"]))
        return found


@pytest.fixture(scope="module")
def fresh(prefix, module_place, openbao_server, ca):
    lab = Set(prefix, module_place, openbao_server, ca).init()
    lab.first = lab.setup()
    lab.configure(lab.first.stdout)
    openbao_server.put("kv/tools/search", HERE, value="x")
    yield lab.start()
    lab.stop()


def test_it_makes_what_is_needed_and_no_more(fresh, openbao_server):
    assert {x[2:] for x in fresh.first.stderr.splitlines() if x.startswith("+")} == {
        "namespace fresh", "KV version 2 engine kv", "policy aegis-session", "policy aegis-kv",
        "Transit engine transit", "key transit/seal", "policy aegis-transit", "AppRole method approle",
        f"secret id in {fresh.secret_file}"}
    secret = fresh.secret_file.read_text().strip()
    assert len(secret) == 36 and fresh.secret_file.stat().st_mode & 0o777 == 0o600
    assert secret not in fresh.first.stdout + fresh.first.stderr
    for name in ("session", "kv", "transit"):
        made = openbao_server.call("GET", f"sys/policies/acl/aegis-{name}", HERE)["data"]["policy"]
        shipped = "\n".join(x for x in POLICIES[name].splitlines() if not x.startswith("#"))
        assert made.strip() == shipped.strip()
    role = openbao_server.call("GET", "auth/approle/role/aegis", HERE)["data"]
    assert sorted(role["token_policies"]) == ["aegis-kv", "aegis-session", "aegis-transit"]
    assert role["token_no_default_policy"]


def test_a_second_time_it_changes_nothing(fresh):
    secret = fresh.secret_file.read_text()
    again = fresh.setup()
    assert not [x for x in again.stderr.splitlines() if x.startswith("+")]
    assert again.stdout == fresh.first.stdout and fresh.secret_file.read_text() == secret
    # unless a new secret id is wanted; wrapped, that is a token which wraps one
    assert "+ secret id" in fresh.setup("--new-secret-id", "--show-secret-id").stderr
    assert fresh.secret_file.read_text() != secret
    assert "wrapped: true" in fresh.setup("--new-secret-id", "--wrap", "5m").stdout
    wrapping = fresh.secret_file.read_text().strip()
    assert openbao_unwraps(fresh, wrapping) != wrapping
    fresh.setup("--new-secret-id")


def openbao_unwraps(lab, token):
    return lab.bao.call("POST", "sys/wrapping/unwrap", HERE, token=token)["data"]["secret_id"]


def test_the_script_says_what_it_would_do(fresh, place):
    text = fresh.setup(how="--print").stdout
    script = place / "setup.sh"
    script.write_text(text)
    subprocess.run(["shellcheck", "-s", "sh", str(script)], check=True)
    assert fresh.bao.root not in text and 'path "transit/sign/seal"' in text
    # printed or applied: the same text
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, timeout=60,
                          env={"PATH": "/usr/bin:/bin", "BAO_TOKEN_FILE": str(fresh.token)})
    assert done.returncode == 0, done.stderr
    assert done.stdout == fresh.first.stdout
    assert not [x for x in done.stderr.splitlines() if x.startswith("+")]


def test_with_a_database_engine(fresh, openbao_server):
    made = {x[2:] for x in fresh.setup("--database-mount", "database").stderr.splitlines() if x[0] == "+"}
    assert made == {"database engine database", "policy aegis-database", "policy aegis-lease"}
    role = openbao_server.call("GET", "auth/token/roles/aegis-lease", HERE)["data"]
    assert role["orphan"] and role["allowed_policies"] == ["aegis-lease"] and not role["renewable"]
    policies = openbao_server.call("GET", "auth/approle/role/aegis", HERE)["data"]["token_policies"]
    assert "aegis-database" in policies and "aegis-lease" not in policies
    made = {x[2:] for x in fresh.setup("--database-mount", "database", "--tenants").stderr.splitlines()
            if x[0] == "+"}
    assert made == {"policy aegis-tenants", "policy aegis-tenantdb"}
    found = openbao_server.call("GET", "sys/policies/acl/aegis-tenantdb", HERE)["data"]["policy"]
    assert 'path "+/auth/token/create/aegis-lease"' in found
    fresh.setup()  # as it was


@pytest.mark.parametrize("flags, says", [
    (["--address", "https://x:1';rm"], "found"),
    (["--token-file", "/nowhere"], "Name a file with a token"),
    (["--print"], "exclude each other"),
    (["--namespace", "no/such"], "OpenBao says"),
])
def test_what_is_wrong_is_said(fresh, flags, says):
    done = fresh.setup(*flags, check=False)
    assert done.returncode != 0 and says in done.stderr


def test_a_token_that_may_not(fresh, place, openbao_server):
    openbao_server.policy("nothing", 'path "kv/data/x" { capabilities = ["read"] }', HERE)
    fresh.token.write_text(openbao_server.call("POST", "auth/token/create", HERE, policies=["nothing"],
                                               no_default_policy=True)["auth"]["client_token"])
    try:
        done = fresh.setup(check=False)
    finally:
        fresh.token.write_text(openbao_server.root)
    assert done.returncode == 1 and "OpenBao says 403" in done.stderr


def test_the_doctor_finds_all_good(fresh):
    eventually(lambda: fresh.json("status")["openbao"]["state"] == "ready")
    found = fresh.doctor()
    assert {k: [r for r, _ in v] for k, v in found.items()} == {
        f"openbao {k}": ["pass"] for k in ("connection", "token", "clock", "policy", "key")}
    assert "nothing else that was tried" in found["openbao policy"][0][1]


def test_the_doctor_finds_too_little_and_too_much(fresh, openbao_server):
    openbao_server.policy("aegis-kv", 'path "kv/data/other" { capabilities = ["read"] }', HERE)
    (result, text), = fresh.doctor()["openbao policy"]
    assert result == "fail" and text.startswith("read is not allowed on kv/data/tools/search (tool server odd)")
    openbao_server.policy("aegis-kv", 'path "*" { capabilities = ["read", "update", "sudo"] }', HERE)
    said = fresh.doctor()["openbao policy"]
    assert ("pass", "all that is needed is allowed (6 paths)") in said
    assert [t for r, t in said if r == "warn" and "writing policies" in t]
    assert [t for r, t in said if r == "warn" and "sudo on kv/data/tools/search" in t]
    openbao_server.policy("aegis-kv", POLICIES["kv"], HERE)
    # without the right to look
    openbao_server.policy("aegis-session", POLICIES["session"].replace("sys/capabilities-self", "sys/x"), HERE)
    said = fresh.doctor()["openbao policy"]
    assert [r for r, t in said if "sys/capabilities-self" in t] == ["warn"]
    openbao_server.policy("aegis-session", POLICIES["session"], HERE)


def test_the_doctor_looks_at_the_key(fresh, openbao_server):
    openbao_server.call("POST", "transit/keys/seal/config", HERE, deletion_allowed=True)
    assert "may be deleted" in fresh.doctor()["openbao key"][1][1]
    openbao_server.call("POST", "transit/keys/seal/config", HERE, deletion_allowed=False)


def test_the_doctor_on_a_bad_day(fresh, openbao_server):
    openbao_server.seal()
    try:
        (result, text), = fresh.doctor()["openbao token"]
        assert result == "fail" and "sealed" in text
    finally:
        openbao_server.unseal()
    eventually(lambda: fresh.doctor()["openbao token"][0][0] == "pass", 5)

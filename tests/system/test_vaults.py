# SPDX-License-Identifier: Apache-2.0
"""Several vaults: own keys, own databases, own ledgers, and who may make and destroy them."""

import json
import re

import pytest
from lab import CommandFailed, Lab

PLANTED = "sk-of-staging-71c2"


@pytest.fixture
def lab(prefix, place):
    lab = Lab(prefix, place / "vaults")
    lab.init()
    yield lab
    lab.stop()


def test_each_has_its_own(lab):
    staging = {"AEGIS_VAULT": "staging"}
    out = lab.aegis("vault", "create", "--name", "staging").stdout
    where = lab.data / "vaults" / "staging"
    key = (where / ".master-key").read_text()
    assert re.fullmatch("[0-9a-f]{64}", key) and key not in out and str(where) in out
    assert (where / ".master-key").stat().st_mode & 0o777 == 0o600
    add = ("vault", "add", "--name", "api", "--service", "api", "--domains", "api.example",
           "--secret-stdin")
    lab.aegis(*add, stdin=PLANTED, env=staging)
    lab.aegis(*add, stdin="sk-of-default")  # same name and service, another vault
    lab.aegis("agent", "add", "--name", "here", env=staging)
    assert lab.aegis("agent", "list").stdout.startswith("No agents")
    assert "here" in lab.aegis("agent", "list", env=staging).stdout
    # the key of one opens nothing of the other
    moved = where / "moved"
    (where / ".master-key").rename(moved)
    with pytest.raises(CommandFailed) as e:
        lab.aegis("vault", "list",
                  env={**staging, "AEGIS_MASTER_KEY": (lab.data / ".master-key").read_text()})
    assert "Invalid master key" in str(e.value)
    assert "api" in lab.aegis("vault", "list", env={**staging, "AEGIS_MASTER_KEY": key}).stdout
    moved.rename(where / ".master-key")
    acts = [r["event"] for r in json.loads(lab.aegis("ledger", "export", "-f", "json",
                                                     env=staging).stdout) if r["kind"] == "admin"]
    assert "credential.add" in acts and "vault.create" not in acts
    rows = [r for r in lab.ledger() if r.get("event") == "vault.create"]
    assert [r["detail"] for r in rows] == ["staging"]


def test_a_gate_serves_one_of_them(lab):
    lab.aegis("vault", "create", "-n", "staging")
    assert json.loads(lab.aegis("vault", "vaults", "--json").stdout) == [
        {"name": "default", "active": True, "sealed": False, "data_dir": str(lab.data)},
        {"name": "staging", "active": False, "sealed": False, "data_dir": str(lab.data / "vaults/staging")}]
    lab.env["AEGIS_VAULT"] = "staging"
    assert re.search("^staging .*← active$", lab.aegis("vault", "vaults").stdout, re.M)
    lab.start()
    try:
        agent = lab.agent("bot")
        assert agent.startswith("aegis_")
        with pytest.raises(CommandFailed) as e:
            lab.aegis("vault", "destroy", "-n", "staging", "--confirm")
        assert e.value.code == 3 and "a gate is running" in str(e.value)
    finally:
        lab.stop()
    assert (lab.data / "vaults/staging/vault").exists()


def test_destroying_keeps_the_ledger(lab):
    staging = {"AEGIS_VAULT": "staging"}
    key = "ab" * 32
    lab.aegis("vault", "create", "-n", "staging", "--master-key", "-", stdin=key)
    place = lab.data / "vaults" / "staging"
    assert not (place / ".master-key").exists()
    staging["AEGIS_MASTER_KEY"] = key
    lab.aegis("vault", "add", "--name", "api", "--service", "api", "--domains", "api.example",
              "--secret-stdin", stdin=PLANTED, env=staging)
    with pytest.raises(CommandFailed) as e:
        lab.aegis("vault", "destroy", "-n", "staging")
    assert e.value.code == 2 and "--confirm" in str(e.value) and (place / "vault").exists()
    done = json.loads(lab.aegis("vault", "destroy", "-n", "staging", "--confirm", "--json").stdout)
    assert not place.exists()
    kept = place.parent / done["ledger"].rpartition("/")[2]
    assert list((kept / "judge" / "ledger").glob("*.jsonl")) and not (kept / "vault").exists()
    assert [v["name"] for v in json.loads(lab.aegis("vault", "vaults", "--json").stdout)] == ["default"]
    with pytest.raises(CommandFailed) as e:
        lab.aegis("agent", "list", env=staging)
    assert "aegis vault create --name staging" in str(e.value)
    assert [r["detail"] for r in lab.ledger() if r.get("event") == "vault.destroy"] == ["staging"]
    lab.aegis("vault", "create", "-n", "staging")  # the name is free again


def test_where_the_key_is(lab):
    key = (lab.data / ".master-key").read_text()

    def used(**env):
        done = lab.aegis("key", "where", "--json", env=env)
        assert key not in done.stdout + done.stderr
        return [p["place"] for p in json.loads(done.stdout) if p["state"] == "used"]

    assert used() == ["file in the data directory"]
    assert [p["state"] for p in lab.json("key", "where")] == ["-"] * 5 + ["used"], "none else is there"
    assert used(AEGIS_MASTER_KEY=key) == ["AEGIS_MASTER_KEY of the environment"]
    (lab.dir / ".env").write_text(f"AEGIS_MASTER_KEY={key}\n")
    assert used() == ["AEGIS_MASTER_KEY in .env"]
    states = {p["place"]: p["state"] for p in json.loads(lab.aegis(
        "key", "where", "--json", env={"AEGIS_MASTER_KEY": key}).stdout)}
    assert states["AEGIS_MASTER_KEY in .env"] == states["file in the data directory"] == "there"
    (lab.dir / ".env").unlink()
    lab.aegis("vault", "create", "-n", "staging")
    assert used(AEGIS_VAULT="staging") == ["the vault's own file"]
    assert used(AEGIS_VAULT="staging", AEGIS_MASTER_KEY=key) == ["the vault's own file"]
    (lab.data / ".master-key").unlink()
    assert used() == [] and "No master key" in lab.aegis("key", "where").stdout


@pytest.mark.parametrize("name", ["", "a/b", "..", ".", "a b", "x" * 65, "é"])
def test_names_that_are_none(lab, name):
    for args in (("create", "-n", name), ("destroy", "-n", name, "--confirm")):
        with pytest.raises(CommandFailed) as e:
            lab.aegis("vault", *args)
        assert e.value.code == 2
    if name:
        with pytest.raises(CommandFailed):
            lab.aegis("vault", "list", env={"AEGIS_VAULT": name})
    assert not (lab.data / "vaults").exists()


def test_who_may(lab):
    def user(name, role, token=""):
        done = lab.aegis("user", "add", "-n", name, "-r", role, "--json", env={"AEGIS_USER_TOKEN": token})
        return json.loads(done.stdout)["token"]

    lab.start()
    admin = user("ada", "admin")
    viewer = {"AEGIS_USER_TOKEN": user("vic", "viewer", admin)}
    with pytest.raises(CommandFailed) as e:
        lab.aegis("vault", "create", "-n", "staging", env=viewer)
    assert 'does not have "vault:manage"' in str(e.value) and not (lab.data / "vaults").exists()
    lab.aegis("vault", "create", "-n", "staging", env={"AEGIS_USER_TOKEN": admin})
    assert "staging" in lab.aegis("vault", "vaults", env=viewer).stdout
    with pytest.raises(CommandFailed):
        lab.aegis("vault", "vaults")
    with pytest.raises(CommandFailed):
        lab.aegis("vault", "destroy", "-n", "staging", "--confirm", env=viewer)
    assert (lab.data / "vaults/staging/vault").exists()
    for refused in (("create", "-n", "default"), ("create", "-n", "staging"),
                    ("destroy", "-n", "default", "--confirm"), ("destroy", "-n", "no", "--confirm")):
        with pytest.raises(CommandFailed):
            lab.aegis("vault", *refused, env={"AEGIS_USER_TOKEN": admin})

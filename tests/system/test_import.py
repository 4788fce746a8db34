# SPDX-License-Identifier: Apache-2.0
"""Coming from the established tool: its configuration and policies, none of its secrets."""

import json
import os
import subprocess

import pytest

CONFIG = """\
# aegis.config.yaml
gate:
  port: 3177
  tls:
    cert: ./certs/aegis.crt
    key: ./certs/aegis.key
  require_agent_auth: true
  policies_dir: ./rules
  policy_mode: dry-run
  max_body_size: 2097152
  request_timeout: 45000
  max_connections_per_agent: 25
  colour: blue
vault:
  name: default
  data_dir: ./.aegis
  master_key: "%s"
observability:
  log_level: debug
  log_format: pretty
  metrics: true
  dashboard:
    enabled: true
    port: 3200
mcp:
  transport: stdio
  port: 3200
policies:
  dir: ./policies
  mode: enforce
webhooks:
  - url: https://hooks.example/x
    secret: "%s"
    events: [blocked_request, credential_expiring]
"""
POLICY = """\
agent: research-bot
rules:
  - service: github
    methods: [GET]
    paths: ["^/repos/.*"]
    rate_limit: 100/hour
"""
KEY, HOOK = "c0" * 32, "hook-secret-4f81"


@pytest.fixture
def old(place):
    """What the other tool leaves behind."""
    there = place / "old"
    (there / "rules").mkdir(parents=True)
    (there / "aegis.config.yaml").write_text(CONFIG % (KEY, HOOK))
    (there / "rules" / "bot.yaml").write_text(POLICY)
    (there / "rules" / "notes.txt").write_text("nothing")
    (there / ".aegis").mkdir()
    (there / ".aegis" / "aegis.db").write_bytes(b"encrypted")
    (there / ".aegis" / "vaults.json").write_text(json.dumps({"vaults": [
        {"name": name, "dbPath": f".aegis/vaults/{name}.db", "salt": "5a" * 32, "createdAt": "2026-03-01T00:00:00Z"}
        for name in ("default", "staging")]}))
    (there / ".aegis" / ".seal-config.json").write_text('{"threshold": 2, "totalShares": 3}')
    return there


def aegis(prefix, cwd, *args):
    return subprocess.run([prefix / "bin" / "aegis", *args], cwd=cwd, text=True,
                          capture_output=True, env={"PATH": "/usr/bin:/bin", "HOME": str(cwd)})


def test_configuration_and_policies_come_over(prefix, place, old):
    before = {p: (p.read_bytes(), p.stat().st_atime_ns) for p in old.rglob("*") if p.is_file()}
    done = aegis(prefix, place, "import", "--from", "getaegis", old, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    text = (place / "aegis.config.yaml").read_text()
    assert KEY not in text + done.stdout + done.stderr and HOOK not in text + done.stdout
    assert (place / "policies" / "bot.yaml").read_text() == POLICY
    assert not (place / "policies" / "notes.txt").exists()
    left = {x["what"]: x["why"] for x in said["not_taken"]}
    assert set(left) == {"gate.tls", "gate.policies_dir", "gate.colour", "vault.name", "vault.data_dir",
                         "vault.master_key", "observability.dashboard", "webhooks", "vault staging",
                         "shares of the master key", "policies.dir", "policies.mode"}
    assert left["vault staging"] == "aegis vault create --name staging"
    assert "gate.policies_dir" in left["policies.dir"]
    assert left["webhooks"] == ("aegis webhook add --url 'https://hooks.example/x' --events "
                                "blocked_request,credential_expiring")
    assert {p: p.read_bytes() for p in before} == {p: b for p, (b, _) in before.items()}
    database = old / ".aegis" / "aegis.db"
    assert database.stat().st_atime_ns == before[database][1], "its store was opened"

    done = aegis(prefix, place, "init", "--keep-config")
    assert done.returncode == 0, done.stderr
    assert (place / "aegis.config.yaml").read_text() == text
    shown = json.loads(aegis(prefix, place, "config", "show", "--json").stdout)
    values = {k: v["value"] for k, v in shown["keys"].items()}
    for key, want in (("gate.port", 3177), ("gate.max_body_size", 2097152),
                      ("gate.max_connections_per_agent", 25), ("gate.require_agent_auth", True),
                      ("gate.policy_mode", "dry-run"), ("observability.log_level", "debug"),
                      ("observability.log_format", "logfmt"), ("mcp.transport", "stdio"),
                      ("mcp.port", 3200)):
        assert str(values[key]).lower() == str(want).lower(), (key, values[key])
    assert values["gate.request_timeout"] in ("45s", "45000ms", 45000)
    done = aegis(prefix, place, "policy", "test", "-a", "research-bot", "-s", "github", "-m", "GET",
                 "--path", "/repos/x")
    assert done.returncode == 0 and "ALLOWED" in done.stdout.upper(), done.stdout + done.stderr


def test_nothing_is_overwritten(prefix, place, old):
    (place / "aegis.config.yaml").write_text("gate: {}\n")
    done = aegis(prefix, place, "import", "--from", "getaegis", old)
    assert done.returncode == 1 and "exists" in done.stderr and not (place / "policies").exists()
    (place / "aegis.config.yaml").unlink()
    (place / "policies").mkdir()
    (place / "policies" / "bot.yaml").write_text("mine\n")
    done = aegis(prefix, place, "import", "--from", "getaegis", old)
    assert done.returncode == 1 and "bot.yaml" in done.stderr
    assert (place / "policies" / "bot.yaml").read_text() == "mine\n"
    assert not (place / "aegis.config.yaml").exists()


def test_what_is_wrong_is_said(prefix, place, old):
    (old / "rules" / "bad.yaml").write_text("agent: x\nrules: [{service: 1, methods: GETT}]\n")
    done = aegis(prefix, place, "import", "--from", "getaegis", old)
    assert done.returncode == 0 and "bad.yaml" in done.stderr and "bad.yaml" in done.stdout
    assert os.listdir(place / "policies") == ["bot.yaml"]
    for args in (("--from", "other", str(old)), ("--from", "getaegis"), (str(old),)):
        assert aegis(prefix, place, "import", *args).returncode == 2
    done = aegis(prefix, place, "import", "--from", "getaegis", place / "nowhere", "--config", "b.yaml")
    assert done.returncode == 1 and "nowhere" in done.stderr
    (old / "aegis.config.yaml").write_text("gate: [\n")
    done = aegis(prefix, place, "import", "--from", "getaegis", old, "--config", "b.yaml")
    assert done.returncode == 1 and "no configuration" in done.stderr and not (place / "b.yaml").exists()

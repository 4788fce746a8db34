# SPDX-License-Identifier: Apache-2.0
"""The main job on a real OpenBao and a real PostgreSQL, shown: tokens signed by Transit, a tool
server with a secret of KV, and one with a database user that exists only while its execution
does. Started by contrib/run --openbao."""

import argparse
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from demo import TOP, Show

sys.path.insert(0, str(TOP / "tests" / "lib"))

NAMESPACE = "platform"


def wait(check, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.05)
    return None


def configuration(directory, postgres):
    """Two tool servers, one for both kinds of secrets."""
    venv = Path(sys.executable).parent.parent
    for name in ("odd_tool.py", "pg_tool.py"):
        shutil.copy(TOP / "tests" / "lib" / name, directory / name)
        (directory / name).chmod(0o755)
    return f"""\
tools:
  mcp_servers:
    - name: odd
      executable: /usr/bin/python3
      args: ["{directory}/odd_tool.py"]
      paths: ["{directory}/odd_tool.py"]
      capabilities: ["odd.*"]
      start: on_demand
      credentials: {{API_KEY: "secret:tools/search"}}
    - name: pg
      executable: {venv}/bin/python3
      args: ["{directory}/pg_tool.py"]
      paths: ["{directory}/pg_tool.py", "{venv}", "{postgres.dir}"]
      capabilities: ["pg.*"]
      start: on_demand
      instances: session
      env: {{PG_HOST: "{postgres.dir}", PG_PORT: "{postgres.port}", PG_NAME: pg}}
      credentials: {{PG: "vault:database/creds/app"}}
"""


def set_up(show, lab, bao, postgres, directory, api_key):
    show.step("1. A fresh OpenBao, set up for this gate: engines, key, least policies, AppRole.")
    token = directory / "token"
    token.touch(mode=0o600)
    token.write_text(bao.root)
    command = ["openbao", "setup", "--apply", "--token-file", token, "--address", bao.addr, "--ca-file",
               bao.ca.ca, "--namespace", NAMESPACE, "--database-mount", "database",
               "--secret-id-file", directory / "secret-id"]
    show.command("aegis " + " ".join(map(str, command)))
    done = lab.aegis(*command)
    token.unlink()
    for line in done.stderr.splitlines():
        print(f"  {line}")
    vault, _, made = done.stdout.partition("secrets:\n")
    lab.text = lab.text.replace("vault:\n", vault, 1) + "secrets:\n" + made
    lab.text += configuration(directory, postgres)
    lab.config.write_text(lab.text)
    # what the operators of the database do
    bao.put("kv/tools/search", NAMESPACE, value=api_key)
    from postgres import CREATE, DROP

    postgres.query("CREATE TABLE notes (note text)")
    postgres.query("INSERT INTO notes VALUES ('a note in PostgreSQL')")
    bao.call("POST", "database/config/main", NAMESPACE, plugin_name="postgresql-database-plugin",
             allowed_roles=["*"], username="keeper", password=postgres.password,
             connection_url="postgresql://{{username}}:{{password}}@127.0.0.1:%d/postgres?sslmode=disable"
             % postgres.port)
    bao.call("POST", "database/roles/app", NAMESPACE, db_name="main", creation_statements=CREATE,
             revocation_statements=DROP, default_ttl="1h", max_ttl="24h")


def doctor(show, lab):
    show.step("2. The doctor looks at the living token: all it needs, and nothing else.")
    wait(lambda: lab.json("status")["openbao"]["state"] == "ready")
    show.command("aegis doctor")
    lines = [x for x in lab.aegis("doctor", check=False).stdout.splitlines() if "openbao" in x]
    show.result(len(lines) >= 5 and all("pass" in x for x in lines), f"{len(lines)} checks")
    print("\n".join(f"  {x}" for x in lines))


def signed(show, lab, bao, agent):
    from seal_client import SealClient

    show.step("3. A SEAL session: its token is signed by Transit, the key never leaves OpenBao.")
    client = SealClient(lab.url, agent, "demo")
    client.attest()
    show.command("POST /v1/seal/attest")
    key = bao.call("GET", "transit/keys/seal", NAMESPACE)["data"]
    asked = len(bao.requests("transit/sign/seal"))
    show.result(asked > 0, f"token {client.token[:24]}…, by version {key['latest_version']} of {key['type']} "
                           f"key transit/seal; OpenBao's audit log has {asked} signature(s)")
    return client


def kv(show, client, api_key):
    show.step("4. A tool server with a secret of KV. Agent and gate never had it.")
    show.command('POST /v1/seal/invoke  {"name": "odd.hash", "arguments": {"variable": "API_KEY"}}')
    got = client.call("odd.hash", {"variable": "API_KEY"})["content"][0]["text"]
    show.result(got == hashlib.sha256(api_key.encode()).hexdigest(), f"SHA-256 of what it has: {got[:32]}…")


def database(show, lab, bao, postgres, client):
    show.step("5. A PostgreSQL tool: its user is made for this execution, and gone with it.")
    before = postgres.users()
    show.command('POST /v1/seal/invoke  {"name": "pg.query", "arguments": {"sql": "SELECT …"}}')
    sql = "SELECT current_user, note FROM notes"
    text = client.call("pg.query", {"sql": sql}, timeout=30)["content"][0]["text"]
    user, note = json.loads(text)[0]
    show.result(before == [] and postgres.users() == [user], f"as {user}: {note}")
    leases = bao.call("LIST", "sys/leases/lookup/database/creds/app", NAMESPACE)["data"]["keys"]
    show.result(len(leases) == 1, f"OpenBao says: lease database/creds/app/{leases[0]}")
    show.command(f"aegis session revoke --session {client.session_id}")
    lab.aegis("session", "revoke", "--session", client.session_id)
    show.result(wait(lambda: not postgres.users()) is True, "PostgreSQL says: no such user any more")


def outage(show, lab, bao, agent):
    from seal_client import SealClient, SealError

    show.step("6. OpenBao sealed: what runs goes on, what is new is refused with the cause; then it heals.")
    client = SealClient(lab.url, agent, "demo")
    client.attest()
    client.call("odd.cancelled", {})

    def fresh():
        try:
            other = SealClient(lab.url, agent, "demo")
            other.attest()
            return "attested"
        except SealError as e:
            return e.status

    bao.seal()
    show.result(fresh() == 503 and client.call("odd.cancelled", {}) is not None,
                "a new session: 503; a call in the old one: done")
    wait(lambda: fresh() == 503 and lab.json("status")["openbao"]["state"] == "away")
    state = lab.json("status")["openbao"]
    show.result(state["state"] == "away", f"aegis status: {state['state']}, {state['why']}")
    bao.unseal()
    began = time.monotonic()
    show.result(wait(lambda: fresh() == "attested") is True,
                f"unsealed: a new session after {time.monotonic() - began:.1f} s, without a restart")


def ledger(show, lab):
    show.step("7. Who got which secret, in the ledger; the values are nowhere.")
    rows = [r for r in lab.ledger() if "/tools/search" in str(r) or "creds/app" in str(r)
            or r.get("event", "").startswith("openbao.")]
    for row in rows[:12]:
        print("  " + " ".join(f"{k}={row[k]}" for k in ("seq", "event", "server", "exec", "detail") if k in row)[:150])
    show.result(len(rows) > 3, f"{len(rows)} rows")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--prefix", type=Path)
    args = parser.parse_args()
    from lab import Lab, TestCA
    from openbao import OpenBao
    from postgres import Postgres

    directory = Path(tempfile.mkdtemp(prefix="aegis-demo-"))
    os.chmod(directory, 0o711)
    api_key = "kv-" + secrets.token_hex(16)
    started = []
    try:
        ca = TestCA(directory / "ca")
        bao = OpenBao(args.cache, directory / "openbao", ca)
        started.append(bao)
        postgres = Postgres(secrets.token_hex(16))
        started.append(postgres)
        lab = Lab(args.prefix, directory / "aegis", contexts="""\
contexts:
  - name: demo
    capabilities: [{tool_pattern: "odd.*"}, {tool_pattern: "pg.*"}]
""")
        lab.init()
        show = Show(lab)
        show.step("0. A real OpenBao (TLS, raft) and a real PostgreSQL are running.")
        set_up(show, lab, bao, postgres, directory, api_key)
        lab.start()
        started.append(lab)
        doctor(show, lab)
        agent = lab.agent("demo-agent", contexts=["demo"])
        client = signed(show, lab, bao, agent)
        kv(show, client, api_key)
        database(show, lab, bao, postgres, client)
        outage(show, lab, bao, agent)
        ledger(show, lab)
        text = lab.log.read_bytes() + b"".join(p.read_bytes() for p in lab.data.rglob("*") if p.is_file())
        show.result(api_key.encode() not in text and not re.search(rb"\bs\.[A-Za-z0-9]{24,}", text),
                    "no secret and no token of OpenBao's in log, ledger or data directory")
        print(f"\n{'all as expected' if show.failed == 0 else f'{show.failed} not as expected'}")
        return 1 if show.failed else 0
    finally:
        for each in reversed(started):
            each.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

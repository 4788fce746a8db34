# SPDX-License-Identifier: Apache-2.0
"""An Aegis whose tool servers get users of a real PostgreSQL by leases of a real OpenBao."""

import json
import shutil
import sys
from pathlib import Path

from connected import FILES, POLICIES, Connected, eventually, platform
from postgres import CREATE, DROP
from seal_client import SealClient

LEASE_POLICIES = {**POLICIES, **{p: (FILES / f"{p}.hcl").read_text() for p in ("database", "sweep", "tenantdb")}}


def database(bao, postgres, namespace):
    """What an operator sets up in this namespace: as contrib/openbao says."""
    platform(bao, namespace)
    for name in ("database", "sweep"):
        bao.policy(name, LEASE_POLICIES[name], namespace)
    engine(bao, postgres, namespace)


def engine(bao, postgres, namespace):
    """The database engine, and the token role that leases hang on."""
    bao.policy("lease", (FILES / "lease.hcl").read_text(), namespace)
    bao.call("POST", "auth/token/roles/aegis-lease", namespace, orphan=True, allowed_policies=["lease"],
             token_no_default_policy=True, renewable=False)
    bao.mount("database", "database", namespace)
    postgres.query("CREATE TABLE IF NOT EXISTS notes (note text)")
    bao.call("POST", "database/config/main", namespace, plugin_name="postgresql-database-plugin",
             allowed_roles=["*"], username="keeper", password=postgres.password,
             connection_url="postgresql://{{username}}:{{password}}@127.0.0.1:%d/postgres?sslmode=disable"
             % postgres.port, max_open_connections=8)


def role(bao, namespace, name, ttl, max_ttl):
    bao.call("POST", f"database/roles/{name}", namespace, db_name="main", creation_statements=CREATE,
             revocation_statements=DROP, default_ttl=ttl, max_ttl=max_ttl)


def leases(bao, namespace, name):
    """Ids of those that live, by OpenBao's own word."""
    found = bao.call("LIST", f"sys/leases/lookup/database/creds/{name}", namespace, status=(200, 404))
    return sorted(found.get("data", {}).get("keys", [])) if found else []


def settled(bao, postgres, namespace, *roles, seconds=10):
    """Nothing is left, neither in OpenBao nor in PostgreSQL."""
    eventually(lambda: not [x for r in roles for x in leases(bao, namespace, r)], seconds)
    eventually(lambda: not [u for u in postgres.users() if any(f"-{r}-" in u for r in roles)], seconds)


class Leasing(Connected):
    """servers: {name: (variables, more lines of its configuration)}."""

    def __init__(self, prefix, place, bao, ca, postgres, namespace, servers, **more):
        self.postgres = postgres
        program = place / "pg_tool.py"
        shutil.copy(Path(__file__).parent / "pg_tool.py", program)
        venv = Path(sys.executable).parent.parent
        text = "tools:\n  mcp_servers:\n"
        for name, (variables, extra) in servers.items():
            text += f"""\
    - name: {name}
      executable: {venv}/bin/python3
      args: ["{program}"]
      paths: ["{program}", "{venv}", "{postgres.dir}"]
      capabilities: ["{name}.*"]
      start: on_demand
{extra}      env:
        PG_HOST: "{postgres.dir}"
        PG_PORT: "{postgres.port}"
        PG_NAME: {name}
      credentials:
""" + "".join(f'        {k}: "{v}"\n' for k, v in variables.items())
        policies = {p: text for p, text in LEASE_POLICIES.items() if p != "tenantdb"}
        super().__init__(prefix, place, bao, ca, {}, namespace=namespace, policies=policies,
                         tools=text, more="    lease_sweep: true\n", **more)

    def session(self, name="bot"):
        if not hasattr(self, "agents"):
            self.agents = {}
        if name not in self.agents:
            self.agents[name] = self.agent(name, contexts=["all"])
        client = SealClient(self.url, self.agents[name], "all")
        client.attest()
        return client

    def begin(self):
        self.init()
        self.start()
        return self

    def open_leases(self):
        return self.json("vault", "leases")


def lease_tokens(bao, namespace):
    """Tokens that leases hang on, those of leases that were lost too."""
    found = []
    for accessor in bao.call("LIST", "auth/token/accessors", namespace)["data"]["keys"]:
        answer = bao.call("POST", "auth/token/lookup-accessor", namespace, accessor=accessor,
                          status=(200, 400, 403, 404))  # it ended meanwhile
        if answer.get("data", {}).get("role") == "aegis-lease":
            found.append(accessor)
    return found


def ask(client, tool, timeout=30, **arguments):
    """"server.tool"; a result that says isError is one."""
    result = client.call(tool if "." in tool else f"pg.{tool}", arguments, timeout=timeout)
    assert not result.get("isError"), result
    return result["content"][0]["text"]


def whoami(client, server="pg"):
    return json.loads(ask(client, f"{server}.query", sql="SELECT current_user"))[0][0]

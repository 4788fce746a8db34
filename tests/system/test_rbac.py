# SPDX-License-Identifier: Apache-2.0
"""People: three roles, sixteen permissions, and every message of the command line walked role
by role. The table of rights stands here a second time, from the description and not from
the program."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import proto
import pytest
from lab import CommandFailed, Lab

TOP = Path(__file__).resolve().parents[2]
RIGHTS = {  # permission: admin, operator, viewer
    "vault:read": "aov", "vault:write": "a", "vault:manage": "a", "agent:read": "ao",
    "agent:write": "ao", "ledger:read": "aov", "ledger:export": "ao", "gate:start": "ao",
    "policy:read": "ao", "policy:write": "a", "webhook:read": "ao", "webhook:write": "a",
    "user:read": "a", "user:write": "a", "dashboard:view": "aov", "doctor:run": "aov",
}
ROLES = ("admin", "operator", "viewer")
NOBODY = "Authentication required. Set AEGIS_USER_TOKEN=<your-api-key>"
LEAST = {"admin_record": {"act": "x"}}  # nothing would not be a message there
WRONG = "Invalid API key. Token not recognized."


def needs():
    """Message: permission, of the program's table."""
    text = (TOP / "keymasterd/judge/permission.def").read_text()
    names = dict(re.findall(r'^PERMISSION\((\w+), "([a-z:]+)"', text, re.M))
    return {m: names[p] for m, p in re.findall(r"^NEEDS\((\w+), (\w+)\)", text, re.M)}


def asks():
    text = (TOP / "common/proto/admin.def").read_text()
    return re.findall(r"^ASK\((\w+),", text, re.M)


def denied(role, permission):
    return f'Permission denied. Role "{role}" does not have "{permission}".'


def user(lab, name, role, token=None):
    env = {"AEGIS_USER_TOKEN": token} if token else {}
    done = lab.aegis("user", "add", "--name", name, "--role", role, "--json", env=env)
    return json.loads(done.stdout)["token"]


@pytest.fixture(scope="module")
def site(prefix, module_place):
    lab = Lab(prefix, module_place / "rbac")
    lab.init()
    lab.start()
    tokens = {"admin": user(lab, "ada", "admin")}
    tokens["operator"] = user(lab, "otto", "operator", tokens["admin"])
    tokens["viewer"] = user(lab, "vic", "viewer", tokens["admin"])
    yield lab, tokens
    lab.stop()


class Admin:
    """A connection of the command line."""

    def __init__(self, lab, token=None):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(str(lab.admin))
        self.door = proto.Door(sock)
        self.door.hello("ADMIN")
        self.login = self.door.ask("user_login", token=token.encode()) if token else None

    def ask(self, message, **fields):
        """What it was told, and with which code."""
        fields = {**LEAST.get(message, {}), **fields}
        kinds = {f.name: f.kind for f in proto.MESSAGES[message].fields}
        for name in (n for n, kind in kinds.items() if kind == "FD"):
            fields[name] = os.memfd_create("nothing")
        got = self.door.ask(message, **fields)
        return got["code"], got["message"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.door.close()


def rows(lab, token):
    done = lab.aegis("ledger", "export", "-f", "json", env={"AEGIS_USER_TOKEN": token})
    return json.loads(done.stdout)


def test_the_table_is_the_one_that_was_described():
    text = (TOP / "keymasterd/judge/permission.def").read_text()
    least = {"USER_ADMIN": "a", "USER_OPERATOR": "ao", "USER_VIEWER": "aov"}
    found = {name: least[who] for name, who in
             re.findall(r'^PERMISSION\(\w+, "([a-z:]+)", (\w+)\)', text, re.M)}
    assert found == RIGHTS and len(RIGHTS) == 16


def test_each_message_has_a_permission():
    missing = set(asks()) - set(needs()) - {"user_login", "permission_ask"}
    assert not missing, f"without a line in permission.def: {missing}"
    assert not set(needs()) - set(asks())


@pytest.mark.parametrize("role", ROLES)
def test_each_message_role_by_role(site, role):
    lab, tokens = site
    wrong = []
    with Admin(lab, tokens[role]) as who:
        assert who.login["code"] == 0
        for message, permission in needs().items():
            code, text = who.ask(message)
            may = role[0] in RIGHTS[permission]
            if (text == denied(role, permission)) == may or (not may and code != 3):
                wrong.append((message, permission, code, text))
    assert not wrong, wrong
    last = [r for r in rows(lab, tokens["admin"]) if r.get("event") == "admin.denied"]
    name = {"admin": "ada", "operator": "otto", "viewer": "vic"}[role]
    mine = [r for r in last if r["peer"].endswith(f" user {name}")]
    assert len(mine) == sum(role[0] not in RIGHTS[p] for p in needs().values())


@pytest.mark.parametrize("token,answer", [(None, NOBODY), ("aegis_user_nobody", WRONG)])
def test_without_a_key_nothing(site, token, answer):
    lab, _ = site
    with Admin(lab, token) as who:
        if token:
            assert who.login["code"] == 3 and who.login["message"] == WRONG
        for message in needs():
            assert who.ask(message) == (3, answer), message


def test_an_export_is_more_than_reading(site):
    lab, tokens = site
    with Admin(lab, tokens["viewer"]) as who:
        assert who.ask("ledger_read", limit=1)[0] == 0
        for more in ({"exported": 1}, {"lines": 1}):
            assert who.ask("ledger_read", limit=1, **more) == (
                3, denied("viewer", "ledger:export"))
    env = {"AEGIS_USER_TOKEN": tokens["viewer"]}
    assert "user.add" in lab.aegis("ledger", "show", "-n", "1000", env=env).stdout
    with pytest.raises(CommandFailed) as e:  # lines as they are hold evidence, tokens among it
        lab.aegis("ledger", "verify", env=env)
    assert denied("viewer", "ledger:export") in str(e.value)
    assert "Integrity" in lab.aegis("ledger", "verify",
                                    env={"AEGIS_USER_TOKEN": tokens["operator"]}).stdout
    for form in ("csv", "json", "jsonl"):
        with pytest.raises(CommandFailed) as e:
            lab.aegis("ledger", "export", "-f", form, env=env)
        assert e.value.code == 3 and denied("viewer", "ledger:export") in str(e.value)


def test_the_command_line_says_it(site):
    lab, tokens = site
    for env, text in (({}, NOBODY), ({"AEGIS_USER_TOKEN": "x" * 60}, WRONG),
                      ({"AEGIS_USER_TOKEN": tokens["viewer"]}, denied("viewer", "agent:read"))):
        with pytest.raises(CommandFailed) as e:
            lab.aegis("agent", "list", env=env)
        assert e.value.code == 3 and text in str(e.value)
    with pytest.raises(CommandFailed) as e:
        lab.aegis("agent", "list", env={"AEGIS_USER_TOKEN": "x" * 129})
    assert e.value.code == 3 and "no user's key" in str(e.value)
    assert "No agents" in lab.aegis("agent", "list",
                                    env={"AEGIS_USER_TOKEN": tokens["operator"]}).stdout


def test_vault_asks_who_is_at_its_own_door(site):
    """It knows no users: what an administrator wants of a blackboard needs the judge's word, and
    whoever leaves the judge out gets nothing but a row."""
    lab, tokens = site

    def vault(*args, role, data):
        env = {**lab.env, "AEGIS_USER_TOKEN": tokens[role]}
        return subprocess.run([str(lab.bin), "vault", *args, "--object", "exec-1"], input=data, env=env,
                              cwd=lab.dir, capture_output=True, timeout=30)

    text = vault("encrypt", role="admin", data=b"plain").stdout
    assert vault("decrypt", role="admin", data=text).stdout == b"plain"
    for role in ("operator", "viewer"):
        for what, data in (("encrypt", b"x"), ("decrypt", text)):
            done = vault(what, role=role, data=data)
            assert (done.returncode, done.stdout) == (3, b"")
            assert denied(role, "vault:write") in done.stderr.decode()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(f"{lab.admin}.vault")
    door = proto.Door(sock)
    door.hello("ADMIN")
    assert door.ask("board_offer", tenant="default", object="exec-1", act=3)["code"] == 0
    got = door.ask("board_decrypt", text=text.strip())
    assert got["code"] != 0 and not got["plain"] and "judge" in got["message"]
    door.close()
    mine = [r for r in rows(lab, tokens["admin"]) if "blackboard" in r.get("detail", "")]
    assert [(r["event"], r.get("code")) for r in mine] == [
        ("vault.encrypt", None), ("AccessContext", "ok"), ("vault.decrypt", None), ("AccessContext", "ok"),
        ("AccessContext", "refused")]
    assert mine[0]["peer"].endswith(" user ada") and mine[0]["detail"] == "blackboard exec-1 of default"


def test_a_key_that_was_replaced_is_dead_at_once(site):
    lab, tokens = site
    old = user(lab, "tim", "operator", tokens["admin"])
    env = {"AEGIS_USER_TOKEN": tokens["admin"]}
    with Admin(lab, old) as who:
        assert who.ask("agent_list")[0] == 0
        new = json.loads(lab.aegis("user", "regenerate-token", "-n", "tim", "--json",
                                   env=env).stdout)["token"]
        assert who.ask("agent_list") == (3, WRONG)
    with Admin(lab, new) as who:
        assert who.ask("agent_list")[0] == 0
        lab.aegis("user", "role", "-n", "tim", "-r", "viewer", env=env)
        assert who.ask("agent_list") == (3, denied("viewer", "agent:read"))
        lab.aegis("user", "remove", "-n", "tim", "--confirm", env=env)
        assert who.ask("agent_list") == (3, WRONG)
    assert "tim" not in lab.aegis("user", "list", env=env).stdout


def test_the_last_admin_stays(site):
    lab, tokens = site
    env = {"AEGIS_USER_TOKEN": tokens["admin"]}
    for args in (("remove", "-n", "ada", "--confirm"), ("role", "-n", "ada", "-r", "viewer")):
        with pytest.raises(CommandFailed) as e:
            lab.aegis("user", *args, env=env)
        assert e.value.code == 3 and "ada is the last admin" in str(e.value)
    with pytest.raises(CommandFailed) as e:
        lab.aegis("user", "remove", "-n", "vic", env=env)
    assert e.value.code == 2 and "--confirm" in str(e.value)
    user(lab, "eve", "admin", tokens["admin"])
    lab.aegis("user", "role", "-n", "ada", "-r", "operator", env=env)
    with Admin(lab, tokens["admin"]) as who:
        assert who.ask("user_list") == (3, denied("operator", "user:read"))


def test_keys_are_kept_as_hashes_only(site):
    lab, tokens = site
    for path in Path(lab.data).rglob("*"):
        if path.is_file():
            octets = path.read_bytes()
            assert not [r for r, t in tokens.items() if t.encode() in octets], path
    assert not [r for r, t in tokens.items() if t in lab.log.read_text()]


def test_the_first_has_to_be_an_admin(prefix, place):
    lab = Lab(prefix, place / "first")
    lab.init()
    assert "No users" in lab.aegis("user", "list").stdout
    with pytest.raises(CommandFailed) as e:
        user(lab, "vic", "viewer")
    assert e.value.code == 3 and "first user has to be an admin" in str(e.value)
    admin = user(lab, "ada", "admin")
    with pytest.raises(CommandFailed) as e:
        user(lab, "eve", "admin")
    assert NOBODY in str(e.value)
    for role in ("root", "Admin", ""):
        with pytest.raises(CommandFailed):
            user(lab, "x", role, admin)
    starts(lab, admin)


def starts(lab, admin):
    """Who may start the gate; a judge that comes again is not somebody who starts it."""
    tokens = {r: user(lab, r, r, admin) for r in ("operator", "viewer")}
    for env, text in (({}, NOBODY), ({"AEGIS_USER_TOKEN": tokens["viewer"]},
                                     denied("viewer", "gate:start"))):
        with pytest.raises(CommandFailed) as e:
            lab.aegis("gate", env=env)
        assert text in str(e.value).replace('\\"', '"')
    lab.env["AEGIS_USER_TOKEN"] = tokens["operator"]
    lab.start()
    try:
        environ = Path(f"/proc/{lab.process.pid}/environ")
        judge = lab.pids("keymasterd: judge")[0]
        assert tokens["operator"].encode() not in Path(f"/proc/{judge}/environ").read_bytes()
        assert environ.exists()
        lab.aegis("user", "regenerate-token", "-n", "operator",
                  env={"AEGIS_USER_TOKEN": admin})
        subprocess.run(["kill", f"-{int(signal.SIGKILL)}", str(judge)], check=True)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                with Admin(lab, admin) as who:
                    assert who.ask("user_list")[0] == 0
                    break
            except (OSError, proto.Closed):
                time.sleep(0.05)
        else:
            raise AssertionError("no judge came again")
        got = [r for r in rows(lab, admin) if r.get("event") == "start.denied"]
        assert len(got) == 2
    finally:
        lab.stop()

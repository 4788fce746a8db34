# SPDX-License-Identifier: Apache-2.0
"""SecurityContexts as administrators, operators and agents meet them: every row of the
decision table as a signed call to a running judge, versions, files, the API, limits of size."""

import hashlib
import json
import shutil
import time
from pathlib import Path

import proto
import pytest
import requests
import test_judge_seal
from lab import Lab
from seal_client import SealClient, SealError
from test_judge_seal import Judge, Session
from test_operator import Provider

VECTORS = Path(__file__).parent.parent / "vectors" / "contexts.txt"
RULES = {"name": "mine", "capabilities": [{"tool_pattern": "fs.read", "path_allowlist": ["/w"]}]}


def digest(rules):
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def judge(prefix):
    j = Judge(prefix, attest_per_minute=1000)
    j.act("context_put", json=json.dumps(test_judge_seal.CONTEXT))
    j.token = j.agent("ann", "work", "configured")
    yield j
    j.stop()


def table():
    """(context, [(answer, tool, arguments)]) of the decision table, as far as no limit is used up."""
    out = []
    for line in VECTORS.read_text().splitlines():
        if not line or line[0] == "#":
            continue
        kind, rest = line.split("\t", 1)
        if kind == "used":
            out[-1] = (out[-1][0], out[-1][1], True)
        elif len(out) > 0 and len(out[-1]) == 3 and kind != "context":
            continue  # limits that are used up have tests of their own
        elif kind == "context":
            out.append((json.loads(rest), []))
        else:
            tool, arguments = rest.split("\t", 1)
            out[-1][1].append((kind, tool, json.loads(arguments)))
    return out


def test_decision_table_as_calls(judge):
    asked, wrong = 0, []
    for number, (rules, rows, *_) in enumerate(table()):
        rules = dict(rules, name=f"table-{number}")
        judge.act("context_put", json=json.dumps(rules))
        judge.act("agent_context", agent="ann", context=rules["name"])
        s = Session(judge, judge.token, rules["name"])
        for want, tool, arguments in rows:
            got = s.call(tool, **arguments)
            body = json.loads(got["body"]) if got["verdict"] == proto.VERDICTS["ANSWER"] else {}
            if got["verdict"] == proto.VERDICTS["TOOL"] or body.get("status") == "success":
                answer = "allow"  # no server has most of these tools; the context let them pass
            else:
                answer = str(body["error"]["code"])
                assert got["status"] == 403 and body["protocol"] == "seal/v1"
            asked += 1
            if answer != want:
                wrong.append((number, tool, arguments, answer, want))
    assert not wrong, wrong[:10]
    assert asked >= 1000


def test_versions(judge):
    def show(version, ok=True):
        got = judge.act("context_show", ok=ok, name="mine", version=version)
        return json.loads(got["json"]) if ok else got["message"]

    judge.act("context_put", ok=False, json=json.dumps(RULES), replace=2)
    first = json.loads(judge.act("context_put", json=json.dumps(RULES, indent=3))["json"])
    assert (first["version"], first["sha256"]) == (1, digest(RULES))
    second = dict(RULES, deny_list=["fs.read:/w/ü"])
    got = json.loads(judge.act("context_put", json=json.dumps(second), replace=2)["json"])
    assert (got["version"], got["sha256"]) == (2, digest(second))
    assert show(0) == show(2) == second and show(1) == RULES
    assert "no version 3" in show(3, ok=False)
    judge.kill()
    judge.start()
    assert show(0) == second and show(1) == RULES
    listed = {json.loads(r["json"])["name"]: json.loads(r["json"])
              for r in judge.act("context_list")["rows"]}
    assert listed["mine"]["version"] == 2 and listed["mine"]["sha256"] == digest(second)
    judge.act("context_remove", name="mine")
    judge.act("context_remove", ok=False, name="mine")
    show(0, ok=False)
    assert show(1) == RULES and show(2) == second, "history outlives the context"
    assert json.loads(judge.act("context_put", json=json.dumps(RULES))["json"])["version"] == 3
    judge.act("context_remove", name="mine")
    rows = judge.rows(context="mine", kind="admin")
    assert [(r["event"], r["detail"]) for r in rows] == [
        ("context.put", f"version 1 sha256 {digest(RULES)}"),
        ("context.put", f"version 2 sha256 {digest(second)}"),
        ("context.remove", f"version 2 sha256 {digest(second)}"),
        ("context.put", f"version 3 sha256 {digest(RULES)}"),
        ("context.remove", f"version 3 sha256 {digest(RULES)}")]


def test_sessions_follow_the_newest_version(judge):
    rules = json.loads(json.dumps(dict(RULES, name="follow")))
    judge.act("context_put", json=json.dumps(rules))
    judge.act("agent_context", agent="ann", context="follow")
    s = Session(judge, judge.token, "follow")

    def code(**arguments):
        got = s.call("fs.read", **arguments)
        return 0 if got["verdict"] == proto.VERDICTS["TOOL"] else json.loads(got["body"])["error"]["code"]

    assert (code(path="/w/a"), code(path="/v/a")) == (0, 2002)
    rules["capabilities"][0]["path_allowlist"] = ["/v"]
    judge.act("context_put", json=json.dumps(rules), replace=1)
    assert (code(path="/w/a"), code(path="/v/a")) == (2002, 0)
    assert json.loads(judge.act("context_remove", name="follow")["json"])["sessions"] == 1
    s.refused(s.call("fs.read", path="/v/a"), 403, 2000, "context_gone")
    s.result(judge.envelope(s.make("ping")))
    assert Session(judge, judge.token, "follow").status == 401, "nobody attests into it"
    judge.act("context_put", json=json.dumps(RULES | {"name": "follow"}))
    assert (code(path="/w/a"), code(path="/v/a")) == (0, 2002)


def test_the_configuration_has_versions_too(prefix, monkeypatch):
    judge = Judge(prefix)
    try:
        judge.act("context_put", ok=False, json=json.dumps(dict(RULES, name="configured")), replace=1)
        judge.act("context_put", json=json.dumps(dict(RULES, name="other")))
        old, new = test_judge_seal.CONFIGURED, {"name": "configured", "capabilities": []}
        judge.kill()
        judge.start()
        monkeypatch.setattr(test_judge_seal, "CONFIGURED", new)
        judge.kill()
        judge.start()
        assert json.loads(judge.act("context_show", name="configured")["json"]) == new
        assert json.loads(judge.act("context_show", name="configured", version=1)["json"]) == old
        # one of a name that an administrator used: the configuration's is in force
        monkeypatch.setattr(test_judge_seal.puppet, "conf_judge", renamed(
            test_judge_seal.puppet.conf_judge, dict(new, name="other")))
        judge.kill()
        judge.start()
        assert json.loads(judge.act("context_show", name="other")["json"])["capabilities"] == []
        judge.act("context_remove", ok=False, name="other")
        judge.act("context_show", ok=False, name="configured")
        monkeypatch.undo()
        judge.kill()
        judge.start()
        assert json.loads(judge.act("context_show", name="other")["json"])["capabilities"] != []
        seen = [(r["event"], r["context"], r["detail"].split()[1])
                for r in judge.rows(kind="system") if r.get("event", "").startswith("context.")]
        assert seen == [("context.configured", "configured", "1"),
                        ("context.configured", "configured", "2"),
                        ("context.configured", "other", "1"),
                        ("context.unconfigured", "configured", "3"),
                        ("context.configured", "configured", "4"),
                        ("context.unconfigured", "other", "2")]
        assert digest(new) in judge.rows(event="context.configured")[1]["detail"]
    finally:
        judge.kill()
        judge.vault.stop()


def renamed(conf_judge, context):
    """conf_judge with another context than `configured`."""
    def conf(*args, **kwargs):
        kwargs["contexts"] = [(context["name"], json.dumps(context))]
        return conf_judge(*args, **kwargs)
    return conf


def test_explanations(judge):
    rules = {"name": "explain", "deny_list": ["a.b", "*:secret"], "capabilities": [
        {"tool_pattern": "x"}, {"tool_pattern": "limited", "path_allowlist": ["/w"]},
        {"tool_pattern": "limited", "command_allowlist": ["ls"], "subcommand_allowlist": {"ls": []}},
        {"tool_pattern": "limited", "domain_allowlist": ["x.org"],
         "rate_limit": {"calls": 1, "per_seconds": 3600}}]}
    judge.act("context_put", json=json.dumps(rules))
    judge.act("agent_context", agent="ann", context="explain")

    def ask(tool, session="", **arguments):
        return json.loads(judge.act("context_test", name="explain", tool=tool, session=session,
                                    arguments=json.dumps(arguments))["json"])

    got = ask("limited", path="/etc")
    assert (got["allowed"], got["code"], got["status"]) == (False, 2002, 403)
    assert [(s["rule"], s["result"], s.get("constraint"), s.get("code")) for s in got["steps"]] == [
        ("deny_list[0]", "does not apply", None, None), ("deny_list[1]", "does not apply", None, None),
        ("capabilities[0]", "does not apply", None, None),
        ("capabilities[1]", "refuses", "path_allowlist", 2002),
        ("capabilities[2]", "refuses", "command_allowlist, subcommand_allowlist", 2003),
        ("capabilities[3]", "refuses", "domain_allowlist", 2004)]
    got = ask("a.b")
    assert got["code"] == 2001 and [s["result"] for s in got["steps"]] == ["denies"]
    assert ask("limited", path="/w/Secret")["steps"][-1] == {
        "rule": "deny_list[1]", "entry": "*:secret", "result": "denies"}
    assert ask("nothing")["code"] == 2000
    s = Session(judge, judge.token, "explain")
    assert ask("limited", s.id, url="https://x.org")["rule"] == "capabilities[3]"
    assert s.call("limited", url="https://x.org")["verdict"] == proto.VERDICTS["TOOL"]
    assert ask("limited", url="https://x.org")["allowed"], "without a session no limit counts"
    got = ask("limited", s.id, url="https://x.org")
    assert not got["allowed"] and (got["code"], got["status"]) == (2005, 429)
    assert got["steps"][-1]["constraint"] == "rate_limit" and 3590 <= got["retry_after"] <= 3600
    assert ask("limited", s.id, path="/w")["allowed"], "another capability has no limit"
    judge.act("context_test", ok=False, name="explain", tool="x", session="nobody")
    judge.act("context_test", ok=False, name="work", tool="x", session=s.id)


def test_calls_at_once(judge):
    judge.act("context_put", json=json.dumps({"name": "once", "capabilities": [
        {"tool_pattern": "limited", "max_concurrent": 2}, {"tool_pattern": "fs.*"}]}))
    judge.act("agent_context", agent="ann", context="once")
    s, other = Session(judge, judge.token, "once"), Session(judge, judge.token, "once")
    first, second = s.call("limited"), s.call("limited")
    assert [c["verdict"] for c in (first, second)] == [proto.VERDICTS["TOOL"]] * 2
    got = s.call("limited")
    s.refused(got, 429, 2005)
    assert "Retry-After: 1\r\n" in got["headers"]
    assert s.call("fs.read")["verdict"] == proto.VERDICTS["TOOL"]
    assert other.call("limited")["verdict"] == proto.VERDICTS["TOOL"]
    asked = json.loads(judge.act("context_test", name="once", tool="limited", session=s.id)["json"])
    assert (asked["code"], asked["steps"][0]["constraint"]) == (2005, "max_concurrent")
    judge.toolhost.send("done", request_id=first["request_id"], grant=first["grant"], outcome=1,
                        status=200, bytes_in=1, bytes_out=2, duration_us=3)
    end = time.monotonic() + 5
    while not judge.rows(request=first["request_id"].hex(), kind="completion"):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert s.call("limited")["verdict"] == proto.VERDICTS["TOOL"]
    s.refused(s.call("limited"), 429, 2005)


def test_calls_in_a_second(prefix):
    judge = Judge(prefix, seal_calls_per_second=3)
    try:
        judge.act("context_put", json=json.dumps(test_judge_seal.CONTEXT))
        token = judge.agent("ann", "work")
        s, other = Session(judge, token), Session(judge, token)
        began = time.monotonic()
        got = [judge.envelope(s.make("ping")) for _ in range(5)]
        assert time.monotonic() - began < 1
        assert [g["status"] for g in got] == [200, 200, 200, 429, 429]
        s.refused(got[4], 429, 2005, "session_rate")
        other.result(judge.envelope(other.make("ping")))
        time.sleep(1.01)
        s.result(judge.envelope(s.make("ping")))
    finally:
        judge.stop()


def operator(judge, role="ADMIN"):
    number = {"READONLY": 1, "OPERATOR": 2, "ADMIN": 3}[role]
    got = judge.act("operator_token", role=number, ttl_s=300, name="olga")
    return "Bearer " + json.loads(got["json"])["token"]


def test_api(judge):
    admin, reader = operator(judge), operator(judge, "READONLY")
    path = "/v1/security-contexts"
    rules = {"name": "api", "description": "by the API", "deny_list": [{"tool_pattern": "fs.rm"}], "capabilities": [
        {"tool_pattern": "fs.*", "constraints": {"path_allowlist": ["/w"]}, "max_response_size": None},
        {"tool_pattern": "web.get", "rate_limit": {"calls": 1, "per_seconds": 2}}]}
    for auth in ("", "Bearer x", "Bearer " + judge.token):
        assert judge.api("GET", path, authorization=auth)[0] == 401
        assert judge.api("POST", path, rules, authorization=auth)[0] == 401
    for auth in (reader, operator(judge, "OPERATOR")):
        assert judge.api("POST", path, rules, authorization=auth)[0] == 403
        assert judge.api("DELETE", path + "/api", authorization=auth)[0] == 403
    assert judge.api("GET", path + "/api", authorization=reader)[0] == 404
    status, body, _ = judge.api("POST", path, rules, authorization=admin)
    assert status == 200 and body == {"saved": True, "name": "api", "version": 1, "sha256": digest(rules)}
    status, body, _ = judge.api("GET", path + "/api", authorization=reader)
    assert status == 200 and body.pop("updated_at")
    assert body == {
        "name": "api", "description": "by the API", "tenant_id": "default", "origin": "administrator",
        "version": 1, "sha256": digest(rules), "deny_list": ["fs.rm"], "capabilities": [
            {"tool_pattern": "fs.*", "path_allowlist": ["/w"], "command_allowlist": None,
             "subcommand_allowlist": None, "domain_allowlist": None, "max_response_size": None},
            {"tool_pattern": "web.get", "path_allowlist": None, "command_allowlist": None,
             "subcommand_allowlist": None, "domain_allowlist": None, "max_response_size": None,
             "rate_limit": {"calls": 1, "per_seconds": 2}}]}
    # what is read can be written again, but for what the gate adds
    again = {k: body[k] for k in ("name", "description", "capabilities", "deny_list")}
    assert judge.api("POST", path, again, authorization=admin)[1]["version"] == 2
    names, following = [], path
    while following:  # what does not fit into one answer comes with the next
        status, listed, headers = judge.api("GET", following, authorization=reader)
        assert status == 200 and listed
        names += [c["name"] for c in listed]
        following = headers[headers.index("<") + 1:headers.index(">")] if "Link: <" in headers else ""
    assert {"api", "work", "read-only-research"} <= set(names)
    assert len(names) == len(set(names))
    for bad, want in (({"name": "api"}, 400), ({**rules, "x": 1}, 400), ({**rules, "name": "A"}, 400), ("{", 400),
                      ({**rules, "name": "configured"}, 409)):
        body = bad.encode() if isinstance(bad, str) else bad
        status, answer, _ = judge.api("POST", path, body, authorization=admin)
        assert status == want and answer["error"]["message"], answer
    assert judge.api("DELETE", path + "/configured", authorization=admin)[0] == 409
    status, body, _ = judge.api("DELETE", path + "/api", authorization=admin)
    assert status == 200 and body["deleted"] is True
    assert judge.api("DELETE", path + "/api", authorization=admin)[0] == 404
    rows = judge.rows(context="api", kind="admin")
    assert [(r["event"], r["detail"].split()[1]) for r in rows] == [
        ("context.put", "1"), ("context.put", "2"), ("context.remove", "2")]
    assert all(r["operator"] == "olga" for r in rows)
    assert judge.api("PUT", path, rules, authorization=admin)[0] == 405


def test_tenants(fresh, place):
    """Another tenant's context looks the same as none, and a tenant's own is its own."""
    provider = Provider(place / "operators.json")
    lab = fresh(extra=f"""\
operators:
  jwks_file: {place}/operators.json
  issuer: https://login.example/realms/aegis
""")
    lab.start()
    path = lab.url + "/v1/security-contexts"

    def ask(tenant, method="GET", name="", rules=None):
        answer = requests.request(method, path + name, json=rules, timeout=10, headers={
            "Authorization": "Bearer " + provider.token(tenant_id=tenant)})
        return answer.status_code, answer.json()

    ours, theirs = dict(RULES, name="shared", description="ours"), dict(RULES, name="shared", description="theirs")
    assert ask("default", "POST", rules=ours)[1]["version"] == 1
    for method in ("GET", "DELETE"):
        a, b = ask("other", method, "/shared"), ask("other", method, "/never-was")
        for status, body in (a, b):
            assert status == 404
            del body["error"]["timestamp"], body["error"]["request_id"]
        assert json.dumps(a).replace("shared", "X") == json.dumps(b).replace("never-was", "X")
    assert "shared" not in [c["name"] for c in ask("other")[1]]
    assert ask("other", "POST", rules=theirs)[1]["version"] == 1, "versions of another tenant do not count"
    assert ask("other", "GET", "/shared")[1]["description"] == "theirs"
    assert ask("other", "GET", "/shared")[1]["tenant_id"] == "other"
    assert ask("default", "GET", "/shared")[1]["description"] == "ours"
    assert ask("other", "DELETE", "/shared")[0] == 200
    assert ask("default", "GET", "/shared")[0] == 200
    assert json.loads(lab.aegis("context", "show", "shared").stdout)["description"] == "ours"


# -- files and the command line --

@pytest.fixture
def lab(prefix, place):
    lab = Lab(prefix, place / "lab").init()
    yield lab
    lab.remove()


BAD = [
    ("a.yaml", "name: a\ncapabilities:\n  - tool_pattern: fs.*\n    path_allowlist: [/ok, relative]\n",
     "a.yaml:4:27: capabilities[0].path_allowlist[1]: must begin"),
    ("a.yaml", "name: a\ncapabilities: []\nextra: 1\n", "a.yaml:3:1: extra: not known here"),
    ("a.yaml", "name: a\ncapabilities: []\nname: b\n", "a.yaml:3:1: "),
    ("a.yaml", "name: a\ncapabilities:\n  - tool_pattern: x\n    max_response_size: 1MB\n",
     "a.yaml:4:24: capabilities[0].max_response_size: must be"),
    ("a.yaml", "- name: a\n  capabilities: []\n- name: b\n  capabilities: {}\n",
     "a.yaml:4:17: capabilities: must be a list"),
    ("a.yaml", "- name: a\n  capabilities: []\n- name: a\n  capabilities: []\n",
     "a.yaml:3:3: a: found this context again"),
    ("a.json", '{"name": "a",\n "capabilities": [{"tool_pattern": "x",\n   "tools": 1}]}',
     "a.json:3:4: capabilities[0].tools: not known here"),
    ("a.json", '{"name": "a",\n "capabilities": [],\n "name": "b"}', "a.json:3:2: this is not JSON"),
    ("a.json", '{"name": "Ü",\n "capabilities": []}', "a.json:1:10: name: must be small"),
    ("a.json", '[{"name": "a", "capabilities": []}, 7]', "a.json:1:37: a SecurityContext must be an object"),
    ("a.yml", "", "a.yml:1:1: the file is empty"),
]


@pytest.mark.parametrize("name,text,message", BAD)
def test_bad_files_end_the_start(lab, name, text, message):
    (lab.dir / "contexts").mkdir()
    (lab.dir / "contexts" / name).write_text(text)
    got = lab.aegis("config", "validate", check=False)
    assert got.returncode != 0 and message in got.stderr + got.stdout, got
    got = lab.aegis("gate", check=False)
    assert got.returncode != 0 and message in got.stderr, got
    assert not lab.admin.exists()


def test_files_beside_the_configuration(lab):
    folder = lab.dir / "contexts"
    folder.mkdir()
    (folder / "one.yaml").write_text("name: one\ncapabilities:\n  - tool_pattern: fs.*\n    constraints: {path_allowlist: [/w]}\n")
    (folder / "more.json").write_text(json.dumps([dict(RULES, name="two"), dict(RULES, name="three")]))
    (folder / "readme.txt").write_text("not one of them")
    (folder / ".hidden.yaml").write_text("nor this")
    lab.config.write_text(lab.text + "contexts:\n  - {name: four, capabilities: []}\n")
    lab.start()
    try:
        listed = {c["name"]: c for c in lab.json("context", "list")}
        assert {n for n, c in listed.items() if c["origin"] == "configuration"} == {"one", "two", "three", "four"}
        assert listed["two"]["sha256"] == digest(dict(RULES, name="two")) and listed["two"]["version"] == 1
        for command in (["update", "-"], ["add", "-"]):
            got = lab.aegis("context", *command, stdin=json.dumps(RULES | {"name": "two"}), check=False)
            assert got.returncode == 3 and "configuration" in got.stderr
        got = lab.aegis("context", "test", "one", "fs.read", '{"path": "/etc"}', check=False)
        assert got.returncode == 3 and "path_allowlist" in got.stdout and "2002" in got.stderr
        assert lab.aegis("context", "test", "one", "fs.read", '{"path": "/w/x"}').returncode == 0
        assert lab.json("context", "test", "one", "fs.read", '{"path": "/w/x"}')["rule"] == "capabilities[0]"
        got = lab.aegis("context", "test", "one", "fs.read", "{", check=False)
        assert got.returncode == 3 and "not JSON" in got.stderr

        file = lab.dir / "list.yaml"
        file.write_text("- name: five\n  capabilities: []\n- name: six\n  capabilities: [{tool_pattern: x}]\n")
        assert [c["version"] for c in lab.json("context", "add", file)] == [1, 1]
        file.write_text("- name: five\n  capabilities: [{tool_pattern: y}]\n- name: six\n  capabilities: 7\n")
        got = lab.aegis("context", "update", file, check=False)
        assert got.returncode == 2 and "list.yaml:4:17: capabilities: must be a list" in got.stderr
        assert json.loads(lab.aegis("context", "show", "five").stdout)["capabilities"] == [], "all or nothing"
        assert lab.aegis("context", "update", "-", stdin="{name: none, capabilities: []}", check=False).returncode == 3
        lab.json("context", "update", "-", stdin="{name: five, capabilities: [{tool_pattern: z}]}")
        assert json.loads(lab.aegis("context", "show", "five", "--version", "1").stdout)["capabilities"] == []
        assert lab.json("context", "remove", "five")["version"] == 2
    finally:
        lab.stop()


# -- the whole way of a call --

def test_an_answer_that_is_too_large(fresh, place):
    program = place / "odd_tool.py"
    shutil.copy(Path(__file__).parent.parent / "lib" / "odd_tool.py", program)
    program.chmod(0o644)
    lab = fresh(tools=f"""\
tools:
  mcp_servers:
    - name: odd
      executable: /usr/bin/python3
      args: ["{program}"]
      capabilities: [odd.*]
      paths: ["{program}"]
""", contexts="""\
contexts:
  - name: small
    capabilities:
      - {tool_pattern: odd.*, max_response_size: 2000, rate_limit: {calls: 3, per_seconds: 3600}}
""")
    lab.start()
    c = SealClient(lab.url, lab.agent("bot", contexts=["small"]), "small")
    c.attest()
    assert "x" * 1000 in json.dumps(c.call("odd.huge", {"bytes": 1000}))
    answer = c.post(c.envelope("tools/call", {"name": "odd.huge", "arguments": {"bytes": 100000}}))
    assert answer.status_code == 403 and len(answer.content) < 1000
    error = answer.json()["error"]
    assert error["code"] == 2006 and error["details"] == {"reason": "max_response_size", "limit": 2000}
    rows = lab.rows_of(answer.headers["X-Aegis-Request-Id"])
    assert "2006" in [r.get("code") for r in rows] and "too_large" in json.dumps(rows)
    c.call("odd.huge", {"bytes": 10})
    with pytest.raises(SealError) as e:
        c.call("odd.huge", {"bytes": 10})
    assert (e.value.status, e.value.code) == (429, 2005)
    answer = c.post(c.envelope("tools/call", {"name": "odd.huge", "arguments": {"bytes": 10}}))
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert answer.json()["error"]["details"]["retry_after"] == int(answer.headers["Retry-After"])
    assert requests.get(lab.url + "/v1/security-contexts", timeout=5).status_code == 401

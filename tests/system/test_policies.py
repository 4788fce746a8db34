# SPDX-License-Identifier: Apache-2.0
"""Policies on the running system: what agents may do, how often and when, what dry-run notes,
what a reload and a death of the judge leave as it was."""

import concurrent.futures
import datetime
import json
import os
import signal
import subprocess
import time

import pytest
import requests
from conftest import SECRET, Upstream
from lab import Lab

RULES = """\
agent: bot
rules:
  - service: api
    methods: [GET]
    paths:
      - ^/repos/[^/]+/issues$
      - ^/open/
  - service: api
    methods: [post]
    paths: ["^/repos/mine/"]
  - service: api
    methods: [HEAD]
  - service: night
    time_window: {start: "%(start)s", end: "%(end)s", timezone: %(zone)s}
  - service: slow
    methods: [GET]
    rate_limit: 5/hour
  - service: slow
    methods: [POST]
    rate_limit: 2/hour
"""


def policy(start="00:00", end="23:59", zone="UTC"):
    return RULES % {"start": start, "end": end, "zone": zone}


@pytest.fixture(scope="module")
def upstream():
    server = Upstream(lambda r: r.answer())
    yield server
    server.stop()


@pytest.fixture(scope="module")
def lab(prefix, module_place, upstream):
    files = module_place / "lab" / "policies"
    lab = Lab(prefix, module_place / "lab", 
              gate="  workers: 2\n  policies_dir: policies\n  policy_watch: false\n").init()
    lab.files = files
    files.mkdir()
    (files / "bot.yaml").write_text(policy())
    lab.start()
    for service in ("api", "night", "slow", "other"):
        lab.credential(service, service, SECRET, "127.0.0.1", "--allow-private",
                       "--upstream", f"http://127.0.0.1:{upstream.port}")
    lab.token = lab.agent("bot", "api", "night", "slow", "other")
    lab.stranger = lab.agent("stranger", "api")
    yield lab
    lab.stop()


def call(lab, path, method="GET", token=None, **headers):
    return requests.request(method, lab.url + path, timeout=20,
                            headers={"X-Aegis-Agent": token or lab.token, **headers})


def row_of(lab, answer):
    return lab.rows_of(answer.headers["X-Aegis-Request-Id"])[0]


def reload(lab, text=None, name="bot.yaml"):
    if text is not None:
        (lab.files / name).write_text(text)
    return lab.aegis("policy", "reload", check=False)


def kill_judge(lab):
    old, = lab.pids("keymasterd: judge")
    os.kill(old, signal.SIGKILL)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if (pids := lab.pids("keymasterd: judge")) and pids != [old] and \
                lab.aegis("status", check=False).returncode == 0:
            return
        time.sleep(0.02)
    raise TimeoutError("no new judge")


@pytest.mark.parametrize("method,path,violation", [
    ("GET", "/api/repos/a/issues", None),
    ("GET", "/api/repos/a/issues?state=all", None),
    ("GET", "/api/repos/%61/issues", None),
    ("GET", "/api/open/anything/at/all", None),
    ("POST", "/api/repos/mine/x", None),
    ("HEAD", "/api/whatever", None),
    ("GET", "/night/x", None),
    ("GET", "/api/repos/a/issues/", "path"),  # what is judged is what is forwarded
    ("GET", "/api//open/x", "path"),
    ("GET", "/api/repos/a/b/issues", "path"),
    ("GET", "/api/repos//issues", "path"),
    ("GET", "/api/repos/;x/issues", "path"),
    ("GET", "/api/x%2frepos/a/issues", 400),
    ("GET", "/api/open/..%2fadmin", 400),
    ("GET", "/api/open/%2e%2e/admin", 400),
    ("GET", "/api/open/%252e%252e/admin", 400),
    ("GET", "/api/repos/a/issues%3Fx", "path"),
    ("GET", "/api/repos/a%23/issues", "path"),
    ("GET", "/api/open/any%3Fthing%23", None),
    ("PUT", "/api/repos/mine/x", "method"),
    ("POST", "/api/repos/other/x", "method"),
    ("TRACE", "/api/open/x", "method"),
    ("PROPFIND", "/api/open/x", "method"),
    ("GET", "/other/x", "no_matching_rule"),
])
def test_enforced(lab, upstream, method, path, violation):
    before = len(upstream.seen)
    with requests.Session() as s:
        request = s.prepare_request(requests.Request(
            method, lab.url, headers={"X-Aegis-Agent": lab.token}))
        request.url = lab.url + path  # not normalised on the way
        answer = s.send(request, timeout=20)
    row = row_of(lab, answer)
    if violation is None:
        assert answer.status_code == 200, answer.text
        assert row["decision"] == "allowed" and row["policy"].startswith("rule ")
        assert upstream.seen[-1][1] == "/" + path.split("/", 2)[2]
        return
    assert len(upstream.seen) == before, "nothing was forwarded"
    assert row["decision"] == "blocked" and row["agent"] == "bot" if violation != 400 else True
    if violation == 400:
        assert answer.status_code == 400
        return
    body = answer.json()
    assert (answer.status_code, body["error"]) == (403, "Policy violation")
    assert body["agent"] == "bot" and body["violation"] == violation and body["reason"]
    assert "aegis policy test" in body["hint"]
    assert (row["code"], row["policy"]) == ("policy_violation", f"refused: {violation}")
    assert row["path"] == path.split("?")[0][len("/" + row["service"]):]


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"])
def test_a_method_cannot_be_changed_by_a_header(lab, header):
    answer = call(lab, "/api/repos/a/issues", **{header: "DELETE"})
    assert answer.status_code == 403 and answer.json()["violation"] == "method"
    assert header.lower() in answer.json()["reason"]
    assert call(lab, "/night/x", **{header: "DELETE"}).status_code == 200, "all methods are allowed"


@pytest.mark.parametrize("header", ["X-Original-URL", "X-Rewrite-URL"])
def test_a_path_cannot_be_changed_by_a_header(lab, header):
    answer = call(lab, "/api/open/x", **{header: "/admin"})
    assert answer.status_code == 403 and answer.json()["violation"] == "path"


def test_without_a_policy_nothing_is_allowed(lab):
    answer = call(lab, "/api/open/x", token=lab.stranger)
    assert answer.status_code == 403 and answer.json()["violation"] == "no_policy"
    assert row_of(lab, answer)["agent"] == "stranger"


def zone_for(now, hour):
    """A zone in which it is about this hour now: Etc/GMT-5 is five hours east."""
    east = (hour - now.hour + 12) % 24 - 12
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"


@pytest.mark.parametrize("start,end,hour,allowed", [
    ("09:00", "17:59", 12, True),
    ("09:00", "17:59", 20, False),
    ("22:00", "05:59", 23, True),
    ("22:00", "05:59", 2, True),
    ("22:00", "05:59", 12, False),
])
def test_time_windows(lab, start, end, hour, allowed):
    now = datetime.datetime.now(datetime.timezone.utc)
    assert reload(lab, policy(start, end, zone_for(now, hour))).returncode == 0
    answer = call(lab, "/night/x")
    assert answer.status_code == (200 if allowed else 403), answer.text
    if not allowed:
        assert answer.json()["violation"] == "time_window"
        assert f"from {start} to {end}" in answer.json()["reason"]


def test_rates_are_exact_and_survive(lab):
    assert reload(lab, policy()).returncode == 0
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        got = list(pool.map(lambda _: call(lab, "/slow/x"), range(24)))  # by two gates
    assert sorted(a.status_code for a in got) == [200] * 5 + [429] * 19
    refused = [a for a in got if a.status_code == 429][0]
    body = refused.json()
    assert (body["error"], body["agent"], body["limit"]) == ("Policy rate limit exceeded", "bot", "5/hour")
    assert int(refused.headers["Retry-After"]) == body["retryAfter"] > 3500
    row = row_of(lab, refused)
    assert (row["code"], row["agent"], row["decision"]) == ("policy_rate_limit", "bot", "blocked")
    # each rule counts its own
    assert call(lab, "/slow/x", "POST").status_code == 200
    kill_judge(lab)
    assert call(lab, "/slow/x").status_code == 429
    assert call(lab, "/slow/x", "POST").status_code == 200
    assert call(lab, "/slow/x", "POST").status_code == 429
    # a reload refills nothing: not with a rule before it, not with another limit, not after a
    # time without the rule
    text = policy()
    assert reload(lab, text.replace("rules:", "rules:\n  - service: zero")).returncode == 0
    assert call(lab, "/slow/x").status_code == 429
    assert reload(lab, text.replace("5/hour", "7/hour")).returncode == 0
    assert [call(lab, "/slow/x").status_code for _ in range(3)] == [200, 200, 429]
    assert reload(lab, text.split("  - service: slow")[0]).returncode == 0
    kill_judge(lab)
    assert call(lab, "/slow/x").json()["violation"] == "no_matching_rule"
    assert reload(lab, text).returncode == 0
    assert call(lab, "/slow/x").status_code == 429


def test_rates_of_agents_and_credentials_survive_a_kill(lab):
    """Counted are those that passed the limits, whatever became of them later."""
    token = lab.agent("paced", "other")
    assert reload(lab, "agent: paced\nrules: [{service: other}]\n", "paced.yaml").returncode == 0
    lab.aegis("agent", "set-rate-limit", "--agent", "paced", "--limit", "6/hour")
    lab.aegis("vault", "update", "--name", "other", "--rate-limit", "4/hour")
    assert call(lab, "/other/x", token=token).status_code == 200
    assert call(lab, "/other/x", token=token, **{"X-Target-Host": "evil.example"}).status_code == 403
    big = requests.post(lab.url + "/other/x", data=b"x" * (1 << 20 | 1), timeout=20,
                        headers={"X-Aegis-Agent": token})
    assert big.status_code == 413
    kill_judge(lab)
    assert call(lab, "/other/x", token=token).status_code == 200
    answer = call(lab, "/other/x", token=token)
    assert (answer.status_code, answer.json()["error"]) == (429, "Rate limit exceeded")
    assert int(answer.headers["Retry-After"]) > 3500
    lab.aegis("vault", "update", "--name", "other", "--rate-limit", "none")
    assert [call(lab, "/other/x", token=token).status_code for _ in range(3)] == [200, 200, 429]
    kill_judge(lab)
    answer = call(lab, "/other/x", token=token)
    assert (answer.status_code, answer.json()["error"]) == (429, "Agent rate limit exceeded")
    assert int(answer.headers["Retry-After"]) > 3500


def test_a_wrong_file_changes_nothing(lab):
    assert reload(lab, policy()).returncode == 0
    before = call(lab, "/api/repos/x/y")
    assert before.status_code == 403
    bad = reload(lab, "agent: bot\nrules:\n  - service: api\n    method: [GET]\n")
    assert bad.returncode == 3
    assert "policies/bot.yaml:4:5: rules[0]: unknown key \"method\"" in bad.stderr
    assert "still are" in bad.stderr
    assert call(lab, "/api/repos/x/y").status_code == 403
    assert call(lab, "/api/repos/x/issues").status_code == 200
    # one wrong file among right ones, and a judge that starts anew meanwhile
    assert reload(lab, "agent: other\nrules: [", "z.yaml").returncode == 3
    kill_judge(lab)
    assert call(lab, "/api/repos/x/y").status_code == 403
    assert call(lab, "/api/repos/x/issues").status_code == 200
    (lab.files / "z.yaml").unlink()
    (lab.files / "bot.yaml").write_text(policy())
    told = lab.aegis("doctor", check=False).stdout  # the files are right, and what is in force is older
    assert "fail  policies         2 errors, " in told and "bot.yaml:4:5: " in told
    good = reload(lab, policy().replace("^/open/", "^/repos/"))
    assert good.returncode == 0 and "in force" in good.stdout
    assert call(lab, "/api/repos/x/y").status_code == 200
    events = [(r["event"], r["kind"]) for r in lab.ledger("--system")
              if r.get("event", "").startswith("policy.")]
    assert ("policy.refused", "system") in events and events[-1] == ("policy.loaded", "system")
    assert [r for r in lab.ledger("--admin") if r["event"] == "policy.reload"]
    listed = {p["agent"]: p for p in lab.json("policy", "list")}
    assert listed["bot"]["mode"] == "enforce" and "api" in listed["bot"]["services"]


def test_a_reload_of_the_configuration_reads_policies_too(lab):
    """`aegis daemon reload` and SIGHUP: all or nothing."""
    assert reload(lab, policy()).returncode == 0
    (lab.files / "bot.yaml").write_text(policy().replace("^/open/", "^/repos/"))
    assert "policies" in lab.json("daemon", "reload")["changed"]
    assert call(lab, "/api/repos/x/y").status_code == 200
    assert "policies" not in lab.json("daemon", "reload")["changed"]
    (lab.files / "bot.yaml").write_text("agent: bot\nrules: []\n")
    done = lab.aegis("daemon", "reload", check=False)
    assert done.returncode == 1 and "bot.yaml:2:8: rules: expected" in done.stdout + done.stderr
    assert call(lab, "/api/repos/x/y").status_code == 200
    (lab.files / "bot.yaml").write_text(policy())
    loaded = len([r for r in lab.ledger("--system") if r["event"] == "policy.loaded"])
    lab.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 10
    while len([r for r in lab.ledger("--system") if r["event"] == "policy.loaded"]) == loaded:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert call(lab, "/api/repos/x/y").status_code == 403


def test_validate_says_what_and_where(lab, tmp_path):
    files = tmp_path / "p"
    files.mkdir()
    (files / "a.yaml").write_text(policy())
    (files / "b.yml").write_text("""\
- agent: b
  rules:
    - service: s
      methods: [GET, GTE]
- agent: c
  rules:
    - service: s
      time_window: {start: "09:00", end: "10:00", timezone: Mars/Olympus}
- agent: bot
  rules:
    - service: s
- agent: d
  rules:
    - service: s
      paths: ['^/a', '^/u/{id}']
""")
    (files / "ignored.txt").write_text("{")
    (files / "c.yaml").write_text("agent: e\nrules:\n  - service: s\n    service: t\n")
    done = lab.aegis("policy", "validate", "--policies-dir", files, check=False)
    assert done.returncode == 1
    for line in (f"{files}/b.yml:4:22: rules[0].methods[1]: found \"GTE\", expected GET, POST",
                 f"{files}/b.yml:7:7: time_window.timezone: \"Mars/Olympus\" is not in",
                 f"{files}/b.yml:9:3: found another policy for agent bot, expected each agent once: "
                 f"the first is in {files}/a.yaml, line 1",
                 f"{files}/b.yml:15:22: rules[0].paths[1]: \"^/u/{{id}}\": at character 6: ",
                 f"{files}/c.yaml:4:5: service: found this key again"):
        assert line in done.stderr, done.stderr
    assert "5 errors" in done.stderr
    told = lab.aegis("policy", "validate", files, "--json", check=False)
    assert told.returncode == 1 and len(json.loads(told.stdout)["errors"]) == 5
    (files / "b.yml").unlink(), (files / "c.yaml").unlink()
    assert lab.json("policy", "validate", files) == {"valid": True, "files": 1, "policies": 1}
    assert lab.json("policy", "validate", files / "a.yaml")["policies"] == 1
    assert [p["agent"] for p in lab.json("policy", "list", files)] == ["bot"]
    assert lab.json("policy", "show", "bot", "--policies-dir", files)["rules"][1]["methods"] == ["post"]
    assert lab.aegis("policy", "validate", files / "none", check=False).returncode == 1
    (files / "a.yaml").write_text("")
    assert "the file is empty" in lab.aegis("policy", "validate", files, check=False).stderr


@pytest.mark.parametrize("method,service,path,allowed,rule,words", [
    ("get", "api", "/repos/x/issues?a=b", True, 1, "rule 1 allows it"),
    ("GET", "api", "/repos/%78/issues", True, 1, ""),
    ("POST", "api", "/repos/mine/x", True, 2, ""),
    ("POST", "slow", "/", True, 6, "at most 2/hour"),
    ("DELETE", "api", "/open/x", False, 1, "(method): rule 1 allows GET, not DELETE"),
    ("GET", "api", "/x", False, 1, "(path): no pattern of rule 1 matches the path /x"),
    ("GET", "none", "/x", False, None, "(no_matching_rule): no rule of the policy names service none"),
    ("GET", "api", "/open/../x", False, None, "before policies are asked: path traversal"),
])
def test_policy_test_explains(lab, tmp_path, method, service, path, allowed, rule, words):
    (tmp_path / "p.yaml").write_text(policy())
    asked = ("policy", "test", tmp_path / "p.yaml", "-a", "bot", "-s", service, "-m", method, "--path", path)
    done = lab.aegis(*asked)  # exits with 0 whatever the answer
    assert ("ALLOWED" if allowed else "DENIED") in done.stdout and words in done.stdout
    got = lab.json(*asked)
    assert got["allowed"] is allowed
    if rule is not None:
        assert got["rule"] == rule and got["steps"][rule - 1]["line"] == [3, 8, 11, 13, 15, 18][rule - 1]
    assert lab.aegis(*asked, "--exit-code", check=False).returncode == (0 if allowed else 3)


def test_policy_test_knows_the_time_and_the_agent(lab, tmp_path):
    (tmp_path / "p.yaml").write_text(policy("02:00", "02:59", "Europe/Berlin"))

    def night(when, agent="bot"):
        return lab.aegis("policy", "test", tmp_path / "p.yaml", "-a", agent, "-s", "night", "-m", "GET",
                         "--path", "/", "--time", when, check=False)

    # an hour that is there twice, and one that is not there at all
    assert "ALLOWED" in night("2026-10-25T00:30:00Z").stdout
    assert "ALLOWED" in night("2026-10-25T01:30:00Z").stdout
    assert "ALLOWED" in night("2026-03-28T01:30:00Z").stdout
    refused = night("2026-03-29T01:30:00Z").stdout
    assert "from 02:00 to 02:59 Europe/Berlin, and it is 03:30 there" in refused
    assert night("2026-03-29T01:30:00Z", "nobody").returncode == 1
    assert night("yesterday").returncode == 2


def restarted(lab, **keys):
    lab.stop()
    text = lab.text.replace("  policies_dir: policies\n", "".join(
        f"  {k}: {v}\n" for k, v in {"policies_dir": "policies", **keys}.items()))
    lab.config.write_text(text)
    lab.start()


def test_dry_run_notes_what_would_be_refused(lab):
    (lab.files / "bot.yaml").write_text(policy())
    restarted(lab, policy_mode="dry-run")
    answer = call(lab, "/api/repos/x/y")
    assert answer.status_code == 200
    row = row_of(lab, answer)
    assert row["decision"] == "allowed" and row["policy"].startswith("would refuse: path: ")
    row = row_of(lab, call(lab, "/slow/x"))
    assert row["decision"] == "allowed" and row["policy"] == "would refuse: policy_rate_limit: 5/hour"
    assert row_of(lab, call(lab, "/api/open/x"))["policy"].startswith("rule 1 ")
    row = row_of(lab, call(lab, "/api/x", token=lab.stranger))
    assert row["policy"].startswith("would refuse: no_policy")


def test_off_is_off_and_default_allow_allows(lab):
    restarted(lab, policy_mode="off")
    assert "policy" not in row_of(lab, call(lab, "/api/repos/x/y"))
    assert call(lab, "/slow/x").status_code == 200
    assert "off" in lab.aegis("policy", "reload", check=False).stderr
    restarted(lab, policy_default="allow")
    assert call(lab, "/api/x", token=lab.stranger).status_code == 200
    assert call(lab, "/api/repos/x/y").status_code == 403
    assert [call(lab, "/slow/x").status_code for _ in range(6)][-1] == 429


def starts(lab, *flags, env=None):
    """Does the gate come up, with flags and variables beside the file?"""
    with subprocess.Popen([lab.bin, "gate", *flags], env={**lab.env, **(env or {})}, cwd=lab.dir,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as gate:
        ready = "is ready on" in gate.stdout.readline()
        gate.terminate()
        return ready, gate.communicate(timeout=20)[1]


def test_the_gate_does_not_start_with_wrong_policies(lab):
    lab.stop()
    (lab.files / "bot.yaml").write_text("agent: bot\nrules:\n  - service: api\n    paths: ['a(']\n")
    for flags, env in (((), {}), (("--policy-mode", "dry-run"), {}), (("--policy-mode", "enforce"),
                       {"AEGIS_POLICY_MODE": "off"})):
        ready, said = starts(lab, *flags, env=env)
        assert not ready and "bot.yaml:4:13: rules[0].paths[0]" in said, said
        assert lab.aegis("config", "validate", check=False).returncode == 1
    # flags count more than the environment, that more than the file; off is off in each of them
    assert starts(lab, "--policy-mode", "off", env={"AEGIS_POLICY_MODE": "enforce"})[0]
    assert starts(lab, env={"AEGIS_POLICY_MODE": "off"})[0]
    good = lab.dir / "good.yaml"
    good.write_text(policy())
    assert starts(lab, "--policies-dir", "good.yaml")[0]
    assert starts(lab, env={"AEGIS_POLICIES_DIR": str(good)})[0]
    assert "expected one of off|dry-run|enforce" in starts(lab, "--policy-mode", "sometimes")[1]
    assert "no/such" in starts(lab, "--policies-dir", "no/such")[1]


def test_what_init_writes_is_read(prefix, place):
    """The keys of its commented configuration count once they are no comments."""
    fresh = Lab(prefix, place / "fresh")
    fresh.aegis("init", "--data-dir", fresh.data, env={"AEGIS_CONFIG": ""})
    text = fresh.config.read_text()
    for key in ("policies_dir", "policy_mode", "policy_default"):
        assert f"  # {key}:" in text, text
    fresh.config.write_text(text.replace("# policies_dir:", "policies_dir: x #").replace(
        "# policy_mode:", "policy_mode: dry-run #"))
    shown = fresh.aegis("config", "show").stdout
    assert "dry-run" in shown and str(fresh.dir / "x") in shown


# ---- limits of credentials: no policies needed ----

@pytest.fixture(scope="module")
def limited(lab, upstream):
    lab.stop()
    lab.config.write_text(lab.text.replace("  policies_dir: policies\n", ""))
    lab.start()
    lab.credential("lent", "lent", SECRET, "127.0.0.1", "--allow-private",
                   "--upstream", f"http://127.0.0.1:{upstream.port}",
                   "--allow-methods", "get, HEAD", "--allow-paths", "/repos/**,/user",
                   "--deny-paths", "/repos/*/secrets/**")
    lab.aegis("agent", "grant", "--agent", "bot", "--credential", "lent")
    return lab


@pytest.mark.parametrize("method,path,code", [
    ("GET", "/repos", None),
    ("GET", "/repos/a/b", None),
    ("HEAD", "/user?x=/admin", None),
    ("POST", "/repos/a", "credential_method"),
    ("get", "/repos/a", "credential_method"),
    ("OPTIONS", "/user", "credential_method"),
    ("GET", "/users", "credential_path"),
    ("GET", "/user/", "credential_path"),
    ("GET", "/", "credential_path"),
    ("GET", "/repos/a/secrets", "credential_path"),
    ("GET", "/repos/a/secrets/key", "credential_path"),
    ("GET", "/repos/a/%73ecrets/key", "credential_path"),
    ("GET", "/repos/a/SECRETS/key", "credential_path"),
    ("GET", "/repos/a//secrets/key", "credential_path"),
    ("GET", "/repos/a/secrets;x=1/key", "credential_path"),
    ("GET", "/repos/a/secrets/%E2%80%A8", "credential_path"),
    ("GET", "/repos/a/secrets%3Fx", "credential_path"),
    ("GET", "/repos/a/secrets%23x/key", "credential_path"),
    ("GET", "/repos/a/heads/fix%2312", None),
])
def test_credentials_are_limited(limited, upstream, method, path, code):
    before = len(upstream.seen)
    with requests.Session() as s:
        request = s.prepare_request(requests.Request(
            method, limited.url, headers={"X-Aegis-Agent": limited.token}))
        request.method, request.url = method, limited.url + "/lent" + path
        answer = s.send(request, timeout=20)
    row = row_of(limited, answer)
    if code is None:
        assert answer.status_code == 200 and row["decision"] == "allowed", answer.text
        return
    body = answer.json()
    assert answer.status_code == 403 and (row["code"], row["agent"]) == (code, "bot")
    assert "aegis vault update --name lent" in body["hint"] and len(upstream.seen) == before
    assert body["allowed"] == (["GET", "HEAD"] if code == "credential_method" else ["/repos/**", "/user"])


def test_limits_are_changed_and_listed(limited):
    def lent():
        return {c["name"]: c for c in limited.json("vault", "list")}["lent"]

    assert lent()["allow_methods"] == ["GET", "HEAD"] and lent()["deny_paths"] == ["/repos/*/secrets/**"]
    assert call(limited, "/lent/repos/x", **{"X-HTTP-Method-Override": "DELETE"}).status_code == 403
    limited.aegis("vault", "update", "--name", "lent", "--allow-methods", "GET,POST")
    assert call(limited, "/lent/repos/x", "POST").status_code == 200
    assert call(limited, "/lent/repos/x/secrets").status_code == 403, "only one of them was changed"
    limited.aegis("vault", "update", "--name", "lent", "--allow-paths", "none", "--deny-paths", "none",
                  "--allow-methods", "none")
    assert "allow_paths" not in lent() and "allow_methods" not in lent()
    assert call(limited, "/lent/anything", "DELETE").status_code == 200
    limited.aegis("vault", "update", "--name", "lent", "--deny-paths", "/private/**")
    limited.stop()
    limited.start()
    assert call(limited, "/lent/private/x").status_code == 403
    limited.aegis("vault", "rotate", "--name", "lent", "--secret-stdin", stdin=SECRET)
    assert call(limited, "/lent/private").status_code == 403
    detail = [r["detail"] for r in limited.ledger("--admin") if r["event"] == "credential.add" and r["credential"] == "lent"]
    assert "; methods GET,HEAD; paths /repos/**,/user; denied paths /repos/*/secrets/**" in detail[0]


@pytest.mark.parametrize("flag,value,word", [
    ("--allow-methods", "GTE", "another word than GET"),
    ("--allow-paths", "repos/**", "does not begin with /"),
    ("--deny-paths", "/a?b", "holds one of"),
    ("--deny-paths", "/a,,/b", "does not begin with /"),
    ("--allow-paths", "/" + "a" * 200, "too long"),
    ("--allow-paths", ",".join(["/a"] * 33), "too long"),
])
def test_wrong_limits(limited, flag, value, word):
    done = limited.aegis("vault", "update", "--name", "lent", flag, value, check=False)
    assert done.returncode == 3 and word in done.stderr, done.stderr

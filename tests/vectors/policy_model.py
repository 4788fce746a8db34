# SPDX-License-Identifier: Apache-2.0
"""An independent model of policies: Python's re, its zoneinfo, its URL decoding.

    policy_model.py                  prints policies.txt
    policy_model.py --random N SEED  made-up policies and requests, in the same form

Lines: "policy JSON", then for requests to it "ANSWER RULE SERVICE METHOD PATH TIME", all with
tabs between; ANSWER is allow or the violation, RULE the rule that decided (0: none), TIME a
Unix second."""

import datetime
import itertools
import json
import random
import re
import sys
import urllib.parse
import zoneinfo


def minutes(text):
    return int(text[:2]) * 60 + int(text[3:])


def careless(path):
    return re.sub("/+", "/", re.sub(r";[^/]*", "", path))


def readings(path):
    """By who collapses and drops parameters, who ends the path at a ? or a #, and who does both, in either order."""
    forms = {path, careless(path)}
    for mark in "?#":
        forms |= {path.split(mark)[0], careless(path).split(mark)[0], careless(path.split(mark)[0])}
    return forms


def rule_says(rule, service, method, path, when):
    if rule["service"] != service:
        return "no_matching_rule"
    if "methods" in rule and method not in [m.upper() for m in rule["methods"]]:
        return "method"
    if "paths" in rule:
        decoded = urllib.parse.unquote(path)
        for form in readings(decoded):
            if not any(re.search(p, form, re.ASCII) for p in rule["paths"]):
                return "path"
    if "time_window" in rule:
        w = rule["time_window"]
        at = datetime.datetime.fromtimestamp(when, zoneinfo.ZoneInfo(w.get("timezone", "UTC")))
        now, start, end = at.hour * 60 + at.minute, minutes(w["start"]), minutes(w["end"])
        if not (start <= now <= end if start <= end else now >= start or now <= end):
            return "time_window"
    return None


def decide(policy, *request):
    first = ("no_matching_rule", 0)
    for number, rule in enumerate(policy["rules"], 1):
        says = rule_says(rule, *request)
        if says is None:
            return "allow", number
        if says != "no_matching_rule" and first[1] == 0:
            first = says, number
    return first


def emit(policy, requests):
    print("policy", json.dumps(policy, ensure_ascii=False), sep="\t")
    for r in requests:
        print(*decide(policy, *r), *r, sep="\t")


def utc(text):
    return int(datetime.datetime.fromisoformat(text + "+00:00").timestamp())


NOON = utc("2026-03-10T12:00:30")
SAMPLE = {"agent": "research-bot", "rules": [
    {"service": "slack", "methods": ["GET"], "paths": ["/api/conversations.*", "/api/users.*"],
     "rate_limit": "100/hour", "time_window": {"start": "09:00", "end": "18:00", "timezone": "UTC"}},
    {"service": "github", "methods": ["GET", "POST"], "paths": ["/repos/myorg/.*"],
     "rate_limit": "200/hour"}]}
STRICT = {"agent": "a", "rules": [
    {"service": "s", "methods": ["get", "Head"], "paths": ["^/v1/items/[0-9]{1,6}$", "^/v1/é$"]},
    {"service": "s", "methods": ["POST"], "paths": ["^/v1/items$"]},
    {"service": "s", "paths": ["^/open(/|$)"]},
    {"service": "t"}]}
PATHS = ["/", "/v1/items/1", "/v1/items/1234567", "/v1/items/%31", "/v1/items/1/", "//v1/items/1",
         "/v1//items/1", "/v1/items;a=b/1", "/v1/items/1;x", "/v1/items", "/v1/items/",
         "/v1/%C3%A9", "/v1/é", "/open", "/open/", "/open/x/y", "/openx", "/x/open", "/open;y", "/;/open", "/open%3Fx",
         "/open%23/y", "/v1/items/1%3F", "/v1/items/1%3Fx", "/v1/items/%231", "/v1/items;a%3F/1", "/v1/items/1;%3Fx/%23"]
ZONES = [  # zone, window, and the second at which something happens
    ("Europe/Berlin", "01:30", "01:59", "2026-03-29T01:00:00"),    # into summer time
    ("Europe/Berlin", "02:00", "02:59", "2026-03-29T01:00:00"),    # an hour that is not there
    ("Europe/Berlin", "02:00", "02:59", "2026-10-25T01:00:00"),    # and one that is there twice
    ("Europe/Berlin", "23:00", "02:30", "2026-10-25T00:30:00"),
    ("America/New_York", "01:00", "01:59", "2026-11-01T06:00:00"),
    ("America/New_York", "22:00", "03:00", "2026-03-08T07:00:00"),
    ("Australia/Lord_Howe", "01:30", "01:59", "2026-04-04T15:00:00"),  # by half an hour
    ("Asia/Kathmandu", "00:00", "00:44", "2026-06-01T18:59:00"),       # 5:45 east
    ("Pacific/Kiritimati", "00:00", "11:59", "2026-06-01T10:00:00"),   # 14 east
    ("Africa/Casablanca", "02:00", "03:00", "2026-02-15T02:00:00"),    # Ramadan
    ("America/Sao_Paulo", "00:00", "00:59", "2026-01-01T03:00:00"),    # no summer time any more
    ("UTC", "23:59", "00:00", "2026-12-31T23:59:30"),
    ("Europe/London", "08:00", "08:00", "2030-03-31T07:00:00"),        # one minute
    ("Europe/Berlin", "02:00", "02:59", "2040-10-28T01:00:00"),        # after 2037
]


def table():
    emit(SAMPLE, [(s, m, p, t) for s, p in (
        ("slack", "/api/conversations.list"), ("slack", "/api/users.info"), ("slack", "/api/chat.post"),
        ("slack", "/v2/api/users.x"), ("github", "/repos/myorg/x"), ("github", "/repos/other/x"),
        ("github", "/repos/myorg"), ("jira", "/"))
        for m in ("GET", "POST", "DELETE")
        for t in (NOON, utc("2026-03-10T08:59:59"), utc("2026-03-10T18:00:59"))])
    emit(STRICT, [(s, m, p, NOON) for s in ("s", "t", "S") for m in ("GET", "HEAD", "POST", "get", "TRACE")
                  for p in PATHS if s == "s" or p == "/"])
    for zone, start, end, event in ZONES:
        rule = {"service": "z", "time_window": {"start": start, "end": end, "timezone": zone}}
        emit({"agent": "a", "rules": [rule]},
             [("z", "GET", "/", utc(event) + d)
              for d in (-86400, -7200, -3601, -3600, -1801, -1800, -60, -1, 0, 1, 59, 60, 1799, 1800,
                        3599, 3600, 7200, 10800, 86400)])


def made_up(count, seed):
    r = random.Random(seed)
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    parts = ["a", "b", "api", "v1", "é", "x y", "a;q=1", "", "a?b", "b#", "?", "v1;#?x"]
    patterns = ["^/a", "b$", "/api/", "^/v1/[^/]+$", "^/$", r"\bapi\b", "(a|b)/{1,2}", "é", "^/(a/?)*$", "."]
    zones = [z[0] for z in ZONES]

    def path():
        return "/" + "/".join(urllib.parse.quote(p, safe=";=é") if r.random() < 0.5 else
                              urllib.parse.quote(p, safe=";=") for p in r.choices(parts, k=r.randint(0, 4)))

    def rule():
        out = {"service": r.choice("st")}
        if r.random() < 0.6:
            out["methods"] = r.sample(methods, r.randint(1, 4))
        if r.random() < 0.6:
            out["paths"] = r.sample(patterns, r.randint(1, 3))
        if r.random() < 0.4:
            out["time_window"] = {"start": f"{r.randint(0, 23):02}:{r.randint(0, 59):02}",
                                  "end": f"{r.randint(0, 23):02}:{r.randint(0, 59):02}",
                                  "timezone": r.choice(zones)}
        return out

    for _ in range(count):
        emit({"agent": "a", "rules": [rule() for _ in range(r.randint(1, 4))]},
             [(r.choice("stu"), r.choice([*methods, "TRACE"]), path(),
               r.randint(utc("2001-01-01T00:00:00"), utc("2040-01-01T00:00:00"))) for _ in range(10)])


if len(sys.argv) > 1:
    made_up(int(sys.argv[2]), int(sys.argv[3]))
else:
    table()

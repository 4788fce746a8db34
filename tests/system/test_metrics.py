# SPDX-License-Identifier: Apache-2.0
"""Metrics of the whole system: read by Prometheus' own parser, bounded, and nobody's word
but the process's whose numbers they are."""

import http.client
import time

import pytest
import requests
from lab import Lab, Nginx
from prometheus_client.parser import text_string_to_metric_families

PATIENCE = 5


def scrape(lab, token):
    r = requests.get(lab.url + "/_aegis/metrics", timeout=10,
                     headers={"authorization": f"Bearer {token}"})
    assert r.status_code == 200, r.text
    assert r.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return r.text


def read(text):
    """{name: {frozenset of labels: value}}, of every sample."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type in ("counter", "gauge", "histogram"), family
        for s in family.samples:
            key = frozenset(s.labels.items())
            assert key not in found.setdefault(s.name, {}), f"{s.name} twice: {s.labels}"
            found[s.name][key] = s.value
    return found


def value(found, name, /, **labels):
    return found.get(name, {}).get(frozenset(labels.items()), 0)


@pytest.fixture(scope="module")
def lab(prefix, module_place, ca):
    nginx = Nginx(module_place / "nginx", ca, "the-key")
    lab = Lab(prefix, module_place / "lab", ca=ca, gate="  workers: 2").init()
    lab.start()
    lab.credential("web-key", "web", "the-key", "localhost", "--upstream",
                   f"https://localhost:{nginx.tls}", "--allow-private", "--rate-limit", "1000/min")
    lab.credential("odd", 'slow', "other-secret", "localhost", "--upstream",
                   f"http://localhost:{nginx.plain}", "--allow-private", "--scopes", "read",
                   "--ttl", "3")
    lab.token = lab.agent("meter", "web-key", "odd")
    lab.viewer = lab.json("operator", "token", "--name", "vic", "--role", "readonly")["token"]
    yield lab
    lab.stop()
    nginx.stop()


def call(lab, method, path, **kw):
    return requests.request(method, lab.url + path, timeout=10,
                            headers={"x-aegis-agent": lab.token, **kw.pop("headers", {})}, **kw)


def test_established_names_and_what_they_count(lab):
    before = read(scrape(lab, lab.viewer))
    for _ in range(3):
        assert call(lab, "GET", "/web/a?b").status_code == 200
    assert call(lab, "POST", "/slow/a", data="x").status_code == 403
    assert call(lab, "GET", "/slow/a").status_code == 403  # the upstream's own
    assert call(lab, "BREW", "/web/pot").status_code == 200
    assert requests.get(lab.url + "/web/a", timeout=10).status_code == 401
    end = time.monotonic() + PATIENCE
    while True:
        now = read(scrape(lab, lab.viewer))

        def grew(name, /, **labels):
            return value(now, name, **labels) - value(before, name, **labels)
        if grew("aegis_requests_total", service="web", method="other", status="200", agent="meter"):
            break
        assert time.monotonic() < end
    assert grew("aegis_requests_total", service="web", method="GET", status="200", agent="meter") == 3
    assert grew("aegis_requests_total", service="slow", method="GET", status="403", agent="meter") == 1
    assert grew("aegis_requests_blocked_total", service="slow", reason="credential_scope",
                agent="meter") == 1
    assert grew("aegis_requests_blocked_total", service="", reason="agent_auth_missing", agent="") == 1
    assert grew("aegis_request_duration_seconds_count", service="web") == 4
    assert now["aegis_request_duration_seconds_sum"][frozenset({("service", "web")})] > 0
    buckets = sorted((float(dict(k)["le"]), v) for k, v in
                     now["aegis_request_duration_seconds_bucket"].items()
                     if dict(k)["service"] == "web")
    assert [b for b, _ in buckets] == [.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30,
                                       float("inf")]
    assert [n for _, n in buckets] == sorted(n for _, n in buckets)
    assert buckets[-1][1] == value(now, "aegis_request_duration_seconds_count", service="web")
    assert now["aegis_credentials_total"] == {
        frozenset({("status", "active")}): 1, frozenset({("status", "expiring_soon")}): 1,
        frozenset({("status", "expired")}): 0}


def test_numbers_of_every_process(lab):
    call(lab, "GET", "/web/a")
    now = read(scrape(lab, lab.viewer))
    processes = {(dict(k)["process"], dict(k)["name"]) for k in now["aegis_process_cpu_seconds_total"]}
    assert processes >= {("master", ""), ("judge", ""), ("vault", ""), ("gate", "0"), ("gate", "1"),
                         ("dispatcher", ""), ("toolhost", ""), ("worker", "web-key")}
    for name in ("aegis_process_resident_memory_bytes", "aegis_process_open_fds"):
        assert {(dict(k)["process"], dict(k)["name"]) for k in now[name]} == processes
        assert all(v > 0 for v in now[name].values())
    rss = value(now, "aegis_process_resident_memory_bytes", process="judge", name="")
    pages = int(open(f"/proc/{lab.pids('keymasterd: judge')[0]}/statm").read().split()[1])
    assert abs(rss - pages * 4096) < 4 << 20
    assert value(now, "aegis_process_starts_total", process="gate") == 2
    assert value(now, "aegis_worker_starts_total") >= 1
    assert value(now, "aegis_workers") >= 1
    assert value(now, "aegis_grants_open", redeemer="worker") == 0
    assert sum(now["aegis_gate_requests_total"].values()) > 5
    assert sum(now["aegis_gate_connections"].values()) >= 1
    assert value(now, "aegis_upstream_connects_total", process="worker", name="web-key") >= 1
    assert value(now, "aegis_ledger_rows_total") >= lab.ledger()[-1]["seq"] - 5
    # nobody waits for us but the judge, who is asking
    assert value(now, "aegis_ledger_unsynced_rows") < 1000
    assert value(now, "aegis_requests_waiting") == 0


def test_ledger_lag_ends(lab):
    call(lab, "GET", "/web/a")
    end = time.monotonic() + PATIENCE
    while value(read(scrape(lab, lab.viewer)), "aegis_ledger_unsynced_rows") > 0:
        assert time.monotonic() < end


def test_labels_are_bounded(lab):
    """What agents may choose freely is no label: services, methods, tokens, paths."""
    def series():
        return sum(len(v) for v in read(scrape(lab, lab.viewer)).values())
    c = http.client.HTTPConnection("127.0.0.1", lab.port)
    for i in range(2):
        for token in ({}, {"x-aegis-agent": "aegis_made-up"}, {"x-aegis-agent": lab.token}):
            c.request(f"M{i}", f"/made-up-{i}/x", headers=token)
            c.getresponse().read()
    before = series()
    for i in range(2, 400):
        token = ({}, {"x-aegis-agent": f"aegis_{i}"}, {"x-aegis-agent": lab.token})[i % 3]
        c.request(f"M{i}", f"/made-up-{i}/x{i}", headers=token)
        c.getresponse().read()
    found = read(scrape(lab, lab.viewer))
    assert sum(len(v) for v in found.values()) - before <= 3  # queues come and go
    assert value(found, "aegis_requests_blocked_total", service="unknown", reason="no_credential",
                 agent="meter") == 135
    names = {dict(k).get("service") for k in found["aegis_requests_blocked_total"]}
    assert names <= {"", "unknown", "web", "slow"}


def test_who_may_read(lab):
    for path in ("/_aegis/metrics", "/_aegis/stats"):
        r = requests.get(lab.url + path, timeout=10)
        assert r.status_code == 401 and r.headers["www-authenticate"] == "Bearer"
        r = requests.get(lab.url + path, timeout=10, headers={"x-aegis-agent": lab.token,
                                                              "authorization": f"Bearer {lab.token}"})
        assert r.status_code == 401
        assert requests.post(lab.url + path, timeout=10, json={}).status_code == 405
    r = requests.get(lab.url + "/_aegis/health", timeout=10)
    assert r.status_code == 200 and r.json()["status"] == "ok"
    assert any(row.get("event") == "operator.refused" and row["path"] == "/_aegis/metrics"
               for row in lab.ledger())


def test_stats(lab):
    r = requests.get(lab.url + "/_aegis/stats", timeout=10,
                     headers={"authorization": f"Bearer {lab.viewer}"})
    assert r.status_code == 200
    ours, theirs = r.json(), lab.json("ledger", "stats")
    assert set(ours) == {"total", "allowed", "blocked", "system", "byService"}
    assert ours["total"] == ours["allowed"] + ours["blocked"]
    assert ours["allowed"] == theirs["allowed"] and ours["byService"] == theirs["by_service"]


def test_off_and_open(prefix, place):
    lab = Lab(prefix, place / "open", extra="", gate="  workers: 1")
    lab.text = lab.text.replace("observability:\n", "observability:\n  metrics_auth: false\n")
    lab.init().start()
    try:
        text = requests.get(lab.url + "/_aegis/metrics", timeout=10).text
        assert value(read(text), "aegis_workers") == 0
        lab.stop()
        lab.config.write_text(lab.text.replace("metrics_auth: false", "metrics: false"))
        lab.start()
        r = requests.get(lab.url + "/_aegis/metrics", timeout=10)
        assert r.status_code == 404 and r.json()["error"] == "Metrics not enabled"
    finally:
        lab.stop()

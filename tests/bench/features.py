# SPDX-License-Identifier: Apache-2.0
"""What each feature costs a request, in CPU of all processes together and as a ratio to the same
request without it. One running gate: the feature is chosen by agent, credential, or somebody who
scrapes. Every request is a POST of 1 KiB of JSON. Used by bench.py."""

import contextlib
import http.client
import json
import statistics
import sys
import threading

CONNECTIONS = (10, 50)
SERVICES = ("slack", "github", "stripe", "FEATURE")
SHORT = "abc"  # too short for the search: everything would match
LIMIT = "1000000/sec"
NONE = "none of them"
SEARCH = "the search for the secret in answers, beside a secret too short for it (it is always on)"


def body():
    """What an agent says to a chat completion, 1 KiB."""
    text = {"model": "some-model-4", "temperature": 0.2, "max_tokens": 800, "stream": False, "messages": [
        {"role": "system", "content": "You answer questions about invoices. Be brief and name your sources."},
        {"role": "user", "content": ""}]}
    words = "Which of the invoices of March are over 30 days late, and who was told? (see #4711, order-0815) "
    text["messages"][1]["content"] = (words * 20)[:1024 - len(json.dumps(text))]
    return json.dumps(text)


def policy(agent, service):
    """20 rules, five of each service; the last but one of FEATURE's is it."""
    rules = []
    for name in SERVICES:
        for methods, paths in (("[GET]", [r"^/v\d+/models$", "^/status"]),
                               ("[GET, HEAD]", [r"^/repos/[^/]+/[^/]+/(issues|pulls)(/\d+)?$"]),
                               ("[DELETE]", ["^/v1/files/[0-9a-f]{8,32}$"]),
                               ("[POST, PUT]", ["^/repos/mine/", r"^/check/v\d+/(chat/completions|responses|messages)$"]),
                               ("[POST]", ["^/admin/"])):
            rules.append(f"  - service: {name.replace('FEATURE', service)}\n    methods: {methods}\n"
                         f"    paths: {json.dumps(paths)}\n    rate_limit: {LIMIT}\n"
                         "    time_window: {start: '00:00', end: '23:59', timezone: Europe/Berlin}\n")
    return f"agent: {agent}\nrules:\n" + "".join(rules)


class Scraper:
    """GET /_aegis/metrics each second."""

    def __init__(self, port, token):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.headers = {"authorization": f"Bearer {token}"}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while True:
            self.connection.request("GET", "/_aegis/metrics", headers=self.headers)
            answer = self.connection.getresponse()
            if answer.status != 200 or b"aegis_requests_total" not in answer.read():
                raise RuntimeError(f"metrics: {answer.status}")
            if self.over.wait(1):
                return

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.connection.close()


def place(answer):
    """Part of the upstream's configuration: what wants the short secret."""
    return f"""
    location /short/ {{
      if ($http_authorization != "Bearer {SHORT}") {{ return 403; }}
      return 200 '{answer}';
    }}"""


def settings(directory):
    """Lines of the gate's configuration; the policies."""
    directory.mkdir()
    for agent, service in (("ruled", "off"), ("all", "both")):
        (directory / f"{agent}.yaml").write_text(policy(agent, service))
    return f"  policies_dir: {directory}\n  policy_default: allow\n"


def script(directory):
    """Makes wrk send the body."""
    file = directory / "post.lua"
    file.write_text(f"wrk.method = 'POST'\nwrk.body = [[{body()}]]\n"
                    "wrk.headers['Content-Type'] = 'application/json'\n")
    return file


def requests_of(lab, port, key):
    """{feature: (token, path, scraped)}; the gate runs."""
    target = ("--upstream", f"http://localhost:{port}", "--allow-private")
    for name, secret, more in (("off", key, ()), ("short", SHORT, ()), ("limited", key, ("--rate-limit", LIMIT)),
                               ("inspected", key, ("--body-inspection", "block")),
                               ("both", key, ("--body-inspection", "block", "--rate-limit", LIMIT))):
        lab.credential(name, name, secret, f"localhost:{port}", *target, *more)
    free = lab.agent("free", "off", "inspected", "short")
    ruled, limited, every = lab.agent("ruled", "off"), lab.agent("limited", "limited"), lab.agent("all", "both")
    for name in ("limited", "all"):
        lab.aegis("agent", "set-rate-limit", "--agent", name, "--limit", LIMIT)
    path = "check/v1/chat/completions"
    return {
        NONE: (free, f"off/{path}", False),
        SEARCH: (free, "short/short/v1/chat/completions", False),
        "policies, 20 rules": (ruled, f"off/{path}", False),
        "`--body-inspection block`": (free, f"inspected/{path}", False),
        "metrics, scraped each second": (free, f"off/{path}", True),
        "rate limits, of agent and credential": (limited, f"limited/{path}", False),
        "all together": (every, f"both/{path}", True),
    }


def features_table(lab, upstream, key, directory, rounds, measure):
    """measure(url, connections, headers, script): {"cpu_us": …}, one slice."""
    requests = requests_of(lab, upstream.plain, key)
    operator = lab.json("operator", "token", "--name", "prometheus", "--role", "readonly")["token"]
    post = script(directory)

    def one(name, connections):
        token, path, scraped = requests[name]
        with Scraper(lab.port, operator) if scraped else contextlib.nullcontext():
            return measure(f"{lab.url}/{path}", connections, (f"X-Aegis-Agent: {token}",), post)["cpu_us"]

    found = {}
    for name in requests:
        one(name, 10)  # its worker starts
    for n in range(rounds):
        for connections in CONNECTIONS:
            for name in requests:
                found.setdefault((name, connections), []).append(one(name, connections))
                print(f"  round {n + 1} c={connections:<3} {found[name, connections][-1]:6.1f} us  {name}",
                      file=sys.stderr)
    lines = ["| on | " + " | ".join(f"CPU/request at {c} | to none" for c in CONNECTIONS) + " |",
             "|---|" + "---|---|" * len(CONNECTIONS)]
    for name in requests:
        row = f"| {name} |"
        for c in CONNECTIONS:
            ours, none = found[name, c], found[NONE, c]
            if name == SEARCH:  # the others have it, this one has not
                ours, none = none, ours
            ratio = statistics.median(a / b for a, b in zip(ours, none))
            row += f" {statistics.median(ours):.1f} µs | **{ratio:.2f}** |"
        lines.append(row)
    return "\n".join(lines)

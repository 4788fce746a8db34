# SPDX-License-Identifier: Apache-2.0
"""What other gateways reached, as ratios to nginx. Recorded once, on the machine that the
first figures of doc/performance.md are from, in the same set-up as bench.py's plain rows:
nginx upstream, 1 KiB body, kept-alive connections, a header injected. They do not run here."""

RECORDED = (  # who, ratio to nginx at 10 and at 50 connections, CPU per request at 50 in µs
    ("HAProxy", 0.97, 0.92, 10),
    ("two nginx, one behind the other", 0.69, 0.56, 17),
    ("Envoy", 0.30, 0.28, 34),
    ("Warden (TLS upstream, audit on)", 0.25, 0.26, 110),
    ("Caddy", 0.19, 0.14, 67),
    ("iron-proxy, wardgate", 0.14, 0.12, 130),
    ("Infisical agent-vault", 0.06, 0.05, 320),
    ("getaegis", 0.03, 0.02, 480),
    ("mitmproxy", 0.01, 0.01, 950),
)


def peers_table(ours):
    """ours: {connections: ratio to nginx in this run}"""
    lines = ["Beside others. **Theirs are recorded, not measured in this run**; their ratio to nginx "
             "on another day, ours to nginx today.\n",
             "| | ratio to nginx at 10, recorded | at 50, recorded | CPU/request at 50, recorded "
             "| ours over theirs at 10 | at 50 |",
             "|---|---|---|---|---|---|"]
    for who, at10, at50, cpu in RECORDED:
        lines.append(f"| {who} | {at10:.2f} | {at50:.2f} | {cpu} µs | {ours[10] / at10:.1f} "
                     f"| {ours[50] / at50:.1f} |")
    lines.append(f"| **ours, in this run** | {ours[10]:.2f} | {ours[50]:.2f} | | | |")
    return "\n".join(lines)

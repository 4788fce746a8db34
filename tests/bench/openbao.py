# SPDX-License-Identifier: Apache-2.0
"""Tokens a second through the gate, signed by Transit, beside raw signatures of the same key; a tool
server's start with a database user of its own beside the raw request for one. Same OpenBao, same
client (Python, kept connections), in turns in one run.

    tests/bench/openbao.py PREFIX CACHE [SECONDS [CLIENTS]]"""

import os
import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from connected import eventually  # noqa: E402
from lab import TestCA  # noqa: E402
from leasing import Leasing, ask, database, role  # noqa: E402
from openbao import OpenBao  # noqa: E402
from postgres import Postgres  # noqa: E402
from seal_client import SealClient  # noqa: E402

HERE = "bench"
PER_SESSION = "      instances: session\n      max_instances: 40\n      instance_idle: 60s\n"


def session(verify):
    s = requests.Session()
    s.trust_env, s.verify = False, verify
    return s


def load(seconds, clients, make):
    """make() gives one client's function; how many a second, and the 99th of a hundred, in ms."""
    times, end = [], time.monotonic() + seconds

    def client():
        one = make()
        while time.monotonic() < end:
            began = time.monotonic()
            one()
            times.append(time.monotonic() - began)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    times.sort()
    return len(times) / seconds, times[len(times) * 99 // 100] * 1000


def line(name, value):
    print(f"{name:42} {value[0]:8.0f}/s   p99 {value[1]:6.1f} ms", flush=True)


def main():
    prefix, cache = sys.argv[1], sys.argv[2]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 3
    clients = int(sys.argv[4]) if len(sys.argv) > 4 else 8
    place = Path(tempfile.mkdtemp(prefix="aegis-bench-"))
    os.chmod(place, 0o711)
    ca = TestCA(place / "ca")
    bao, postgres, lab = OpenBao(cache, place / "bao", ca), Postgres(secrets.token_hex(16)), None
    try:
        database(bao, postgres, HERE)
        role(bao, HERE, "app", "1h", "2h")
        lab = Leasing(prefix, place, bao, ca, postgres, HERE,
                      {"pg": ({"PG": "vault:database/creds/app"}, PER_SESSION)})
        lab.text = lab.text.replace("    auth:\n", "    transit_keys: {seal_signing: seal}\n    auth:\n", 1)
        lab.begin()
        eventually(lambda: lab.json("status")["openbao"]["state"] == "ready", 30)
        agent = lab.agent("load", contexts=["all"])
        body = {"public_key": SealClient("http://x", "", "").public_key(), "workload_id": "w",
                "security_context": "all"}

        def tokens():
            s = session(True)
            s.headers["X-Aegis-Agent"] = agent

            def one():
                answer = s.post(f"{lab.url}/v1/seal/attest", json=body, timeout=20)
                assert answer.status_code == 200, answer.text
            return one

        def raw(path, method="POST", **fields):
            def make():
                s = session(str(ca.ca))
                s.headers.update({"X-Vault-Token": bao.root, "X-Vault-Namespace": HERE})

                def one():
                    answer = s.request(method, f"{bao.addr}/v1/{path}", json=fields or None, timeout=20)
                    assert answer.status_code == 200, answer.text
                return one
            return make

        line(f"raw Transit sign, {clients} clients", load(seconds, clients, raw("transit/sign/seal", input="eA==")))
        line(f"security tokens, {clients} clients", load(seconds, clients, tokens))
        line("raw Transit sign, 1 client", load(seconds, 1, raw("transit/sign/seal", input="eA==")))
        line("security tokens, 1 client", load(seconds, 1, tokens))
        starts = []
        for _ in range(10):
            client = lab.session("starts")
            began = time.monotonic()
            ask(client, "same")
            starts.append(time.monotonic() - began)
            lab.aegis("session", "revoke", "--session", client.session_id)
        users, one = [], raw("database/creds/app", "GET")()
        for _ in range(10):
            began = time.monotonic()
            one()
            users.append(time.monotonic() - began)
        for name, times in (("raw request for a database user", users),
                            ("first call of a tool server with one", starts)):
            times.sort()
            print(f"{name:42} p50 {times[5] * 1000:6.1f} ms   p90 {times[9] * 1000:6.1f} ms", flush=True)
    finally:
        if lab is not None:
            lab.stop()
        postgres.stop()
        bao.stop()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The main job, shown: an agent without keys reaches a real API and a real tool. Started by
contrib/run."""

import argparse
import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
STATE = TOP / "demo.env"
BOLD, DIM, GREEN, RED, END = (
    ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("",) * 5
)


def stop():
    if not STATE.exists():
        print("nothing is running (no demo.env)")
        return 0
    values = dict(line.split("=", 1) for line in STATE.read_text().splitlines() if "=" in line)
    pids = [int(p) for p in values["AEGIS_STOP_PIDS"].strip('"').split()]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
    end = time.monotonic() + 20
    while time.monotonic() < end and any(Path(f"/proc/{p}").exists() for p in pids):
        time.sleep(0.1)
    STATE.unlink()
    print("stopped")
    return 0


class Show:
    def __init__(self, lab):
        self.lab = lab
        self.failed = 0

    def step(self, title):
        print(f"\n{BOLD}{title}{END}")

    def command(self, text):
        print(f"  {DIM}$ {text}{END}")

    def result(self, good, text, request_id=None):
        print(f"  {GREEN if good else RED}{'ok' if good else 'NOT AS EXPECTED'}{END}  {text}")
        self.failed += not good
        if request_id:
            for row in self.lab.rows_of(request_id):
                words = [f"#{row['seq']}", row["kind"]]
                words += [f"{k}={row[k]}" for k in ("decision", "agent", "service", "credential",
                          "domain", "tool", "server", "event", "code", "status", "reason",
                          "bytes_out") if k in row]
                print(f"  {DIM}ledger{END} {' '.join(words)}")


def tools_config(cache, workspace):
    modules = cache / "node" / "node_modules" / "@modelcontextprotocol"
    node = cache / "bin" / "node"
    return f"""\
tools:
  mcp_servers:
    - name: filesystem
      executable: {node}
      args: ["{modules}/server-filesystem/dist/index.js", "{workspace}"]
      capabilities: [read_text_file, write_file, list_directory]
      paths: ["{modules.parent}", {{path: "{workspace}", mode: rw}}]
    - name: everything
      executable: {node}
      args: ["{modules}/server-everything/dist/index.js", "stdio"]
      capabilities: [echo, get-sum]
      paths: ["{modules.parent}"]
      credentials:
        DEMO_API_KEY: "secret:demo-api"
"""


def contexts_config(workspace):
    return f"""\
contexts:
  - name: demo
    description: one folder, and the tools of the demonstration
    capabilities:
      - tool_pattern: read_text_file
        path_allowlist: ["{workspace}/*"]
      - tool_pattern: echo
      - tool_pattern: get-sum
    deny_list: [write_file]
"""


def proxied(show, lab, nginx, token, secret):
    import requests

    show.step("1. An API call. The agent sends no key; nginx answers only to the right one.")
    url = f"{lab.url}/demo/hello?x=1"
    show.command(f"curl -H 'X-Aegis-Agent: aegis_…' {url}")
    answer = requests.get(url, headers={"X-Aegis-Agent": token}, timeout=10)
    show.result(answer.status_code == 200 and secret not in answer.text,
                f"{answer.status_code} {answer.text}", answer.headers["X-Aegis-Request-Id"])

    show.step("2. The same call towards another host: refused before anything leaves.")
    show.command(f"curl -H 'X-Target-Host: evil.example.com' … {url}")
    answer = requests.get(url, headers={"X-Aegis-Agent": token,
                                        "X-Target-Host": "evil.example.com"}, timeout=10)
    show.result(answer.status_code == 403, f"{answer.status_code} {answer.text}",
                answer.headers["X-Aegis-Request-Id"])


def seal(show, lab, token, workspace):
    from seal_client import SealClient, SealError

    client = SealClient(lab.url, token, "demo")
    client.attest()
    (workspace / "note.txt").write_text("a note that the agent may read\n")
    os.chmod(workspace / "note.txt", 0o644)

    def invoke(title, envelope, good):
        show.step(title)
        show.command("POST /v1/seal/invoke  " + json.dumps(envelope["payload"]["params"]))
        answer = client.post(envelope)
        show.result(good(answer), f"{answer.status_code} {answer.text[:300]}",
                    answer.headers["X-Aegis-Request-Id"])

    def call(name, arguments):
        return client.envelope("tools/call", {"name": name, "arguments": arguments})

    invoke("3. A signed SEAL call to a tool server nobody here wrote.",
           call("read_text_file", {"path": str(workspace / "note.txt")}),
           lambda a: a.status_code == 200 and "may read" in a.text)
    invoke("4. Outside its path: refused by the context.",
           call("read_text_file", {"path": "/etc/passwd"}),
           lambda a: a.status_code == 403 and a.json()["error"]["code"] == 2002)
    tampered = call("get-sum", {"a": 1, "b": 2})
    tampered["payload"]["params"]["arguments"]["b"] = 40
    invoke("5. Signed for 1 + 2, sent as 1 + 40: refused by the signature.", tampered,
           lambda a: a.status_code == 401 and a.json()["error"]["code"] == 1001)
    return SealError


def ledger(show, lab, directory):
    show.step("6. The ledger, exported and checked with the public key alone.")
    export, key = directory / "ledger.jsonl", directory / "ledger.pub"
    lab.aegis("ledger", "export", "-f", "jsonl", "-o", export)
    key.write_text(lab.aegis("ledger", "key").stdout)
    show.command(f"aegis ledger verify {export} --key {key}")
    done = lab.aegis("ledger", "verify", export, "--key", key, check=False)
    show.result(done.returncode == 0, done.stdout.strip().replace("\n", "\n      "))
    lines = export.read_text().splitlines()
    bad = next(i for i, line in enumerate(lines) if '"decision":"blocked"' in line)
    lines[bad] = lines[bad].replace('"decision":"blocked"', '"decision":"allowed"')
    export.write_text("\n".join(lines) + "\n")
    show.command("aegis ledger verify … after one word of one row was changed")
    done = lab.aegis("ledger", "verify", export, "--key", key, check=False)
    show.result(done.returncode != 0,
                (done.stdout + done.stderr).strip().replace("\n", "\n      "))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--prefix", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--stop", action="store_true")
    args = parser.parse_args()
    if args.stop:
        return stop()
    if STATE.exists() and args.keep:
        print("already running: end it with contrib/run --stop", file=sys.stderr)
        return 1
    sys.path.insert(0, str(TOP / "tests" / "lib"))
    from lab import Lab, Nginx, TestCA

    directory = Path(tempfile.mkdtemp(prefix="aegis-demo-"))
    os.chmod(directory, 0o711)
    workspace = directory / "workspace"
    workspace.mkdir(mode=0o755)
    secret = "demo-" + base64.urlsafe_b64encode(secrets.token_bytes(24)).decode().rstrip("=")
    ca = TestCA(directory / "ca")
    nginx = Nginx(directory / "nginx", ca, secret)
    lab = Lab(args.prefix, directory / "aegis", ca=ca, tools=tools_config(args.cache, workspace),
              contexts=contexts_config(workspace))
    keep = False
    try:
        lab.init()
        lab.credential("demo-api", "demo", secret, f"localhost:{nginx.tls}",
                       "--upstream", f"https://localhost:{nginx.tls}", "--allow-private")
        lab.start()
        token = lab.agent("demo-agent", "demo-api", contexts=["demo"])
        show = Show(lab)
        show.step("0. Separate processes: the gate parses, only vault and one worker know the key.")
        proxied(show, lab, nginx, token, secret)
        seal(show, lab, token, workspace)
        ledger(show, lab, directory)
        show.step("The processes, as ps shows them")
        for pid, title in sorted(lab.children().items()):
            print(f"  {pid:>7} {title[:90]}")
        keep = args.keep and show.failed == 0
        if keep:
            STATE.write_text("".join(f'{k}="{v}"\n' for k, v in {
                "AEGIS_GATE_URL": lab.url,
                "AEGIS_AGENT_TOKEN": token,
                "AEGIS_DEMO_SECRET": secret,
                "AEGIS_CA": ca.ca,
                "AEGIS_DATA_DIR": lab.data,
                "AEGIS_ADMIN_SOCKET": lab.admin,
                "AEGIS_CONFIG": lab.config,
                "AEGIS_BIN": lab.bin,
                "AEGIS_PIDS": " ".join(map(str, lab.children())),
                "AEGIS_STOP_PIDS": f"{lab.process.pid} {nginx.process.pid}",
            }.items()))
            os.chmod(STATE, 0o600)
            print(f"\nLeft running; {STATE} says where. End it with: contrib/run --stop")
        print(f"\n{'all as expected' if show.failed == 0 else f'{show.failed} not as expected'}")
        return 1 if show.failed else 0
    finally:
        if not keep:
            lab.stop()
            nginx.stop()


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""A real OpenBao on loopback, with TLS and a store on disk: it can be killed, started again,
sealed and unsealed. What an operator does with it goes through its HTTP API."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import requests
from lab import free_port


class OpenBao:
    def __init__(self, cache, directory, ca):
        self.program = Path(cache) / "bin" / "bao"
        self.dir = Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.ca = ca
        self.port = free_port()
        self.addr = f"https://localhost:{self.port}"
        self.log = self.dir / "openbao.log"
        self.config = self.dir / "openbao.hcl"
        self.config.write_text(f"""
storage "raft" {{
  path = "{self.dir}/data"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{self.port}"
  tls_cert_file = "{ca.cert}"
  tls_key_file = "{ca.key}"
}}
api_addr = "{self.addr}"
cluster_addr = "https://127.0.0.1:{free_port()}"
disable_mlock = true
audit "file" "trail" {{
  options = {{ file_path = "{self.dir}/audit.log" }}
}}
""")
        (self.dir / "data").mkdir()
        self.process = None
        self.session = requests.Session()
        self.session.verify = str(ca.ca)
        self.session.trust_env = False  # no proxy, no other authorities
        self.root = self.key = None
        self.start()
        made = self.call("PUT", "sys/init", secret_shares=1, secret_threshold=1)
        self.key, self.root = made["keys_base64"][0], made["root_token"]
        self.session.headers["X-Vault-Token"] = self.root
        self.unseal()

    def start(self):
        # on its own log, and without this shell's settings
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.program), "server", f"-config={self.config}"], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": str(self.dir)})
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                self.session.get(f"{self.addr}/v1/sys/seal-status", timeout=1)
                return self
            except requests.RequestException:
                time.sleep(0.05)
        raise TimeoutError(self.log.read_text()[-3000:])

    def unseal(self):
        self.call("PUT", "sys/unseal", key=self.key)
        end = time.monotonic() + 20
        while self.session.get(f"{self.addr}/v1/sys/health", timeout=5).status_code != 200:
            assert time.monotonic() < end, "not unsealed"
            time.sleep(0.05)

    def seal(self):
        self.call("PUT", "sys/seal")

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    stop = kill

    def call(self, method, path, namespace=None, status=(200, 204), **body):
        headers = {"X-Vault-Namespace": namespace} if namespace else {}
        # one that was killed has left dead connections behind
        for attempt in (1, 2):
            try:
                answer = self.session.request(method, f"{self.addr}/v1/{path}",
                                              json=body or None, headers=headers, timeout=20)
                break
            except requests.ConnectionError:
                if attempt == 2:
                    raise
        assert answer.status_code in status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    # -- what an operator sets up --

    def mount(self, path, kind, namespace=None, **options):
        self.call("POST", f"sys/mounts/{path}", namespace, type=kind, options=options)

    def put(self, path, namespace=None, **fields):
        """A secret of a KV version 2 engine: put("kv/tools/search", value="...")."""
        mount, _, rest = path.partition("/")
        end = time.monotonic() + 10
        while True:  # a new engine is not there at once
            made = self.call("POST", f"{mount}/data/{rest}", namespace, (200, 400), data=fields)
            if "data" in made:
                return made["data"]["version"]
            assert "Upgrading" in str(made) and time.monotonic() < end, made
            time.sleep(0.02)

    def policy(self, name, text, namespace=None):
        self.call("PUT", f"sys/policies/acl/{name}", namespace, policy=text)

    def approle(self, name, namespace=None, policies=(), **settings):
        """Its role id. Method and role are made when they are not there."""
        if "approle/" not in self.call("GET", "sys/auth", namespace)["data"]:
            self.call("POST", "sys/auth/approle", namespace, type="approle")
        self.call("POST", f"auth/approle/role/{name}", namespace,
                  token_policies=list(policies), **settings)
        return self.call("GET", f"auth/approle/role/{name}/role-id", namespace)["data"]["role_id"]

    def secret_id(self, name, namespace=None):
        made = self.call("POST", f"auth/approle/role/{name}/secret-id", namespace)["data"]
        return made["secret_id"], made["secret_id_accessor"]

    def requests(self, suffix):
        """What was asked for on paths that end so, by the audit log."""
        lines = (json.loads(x) for x in (self.dir / "audit.log").read_text().splitlines())
        return [x for x in lines
                if x["type"] == "request" and x["request"]["path"].endswith(suffix)]

    def accessors(self, role, namespace=None):
        """Of the living tokens of an AppRole, newest last."""
        found = []
        for accessor in self.call("LIST", "auth/token/accessors", namespace)["data"]["keys"]:
            try:
                data = self.call("POST", "auth/token/lookup-accessor", namespace,
                                 accessor=accessor)["data"]
            except AssertionError:
                continue  # it ended meanwhile
            if (data.get("meta") or {}).get("role_name") == role:
                found.append((data["creation_time"], accessor, data))
        return [(accessor, data) for _, accessor, data in sorted(found, key=lambda f: f[0])]

    def revoke(self, accessor, namespace=None):
        self.call("POST", "auth/token/revoke-accessor", namespace, accessor=accessor)


class Delay:
    """A relay to a port; `seconds` is how late it passes on what the server says."""

    def __init__(self, port, seconds=0.0):
        self.to, self.seconds = port, seconds
        self.open = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            try:
                there = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                here.close()
                continue
            self.open += [here, there]
            threading.Thread(target=self._pump, args=(here, there, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(there, here, True), daemon=True).start()

    def _pump(self, source, sink, late):
        try:
            while data := source.recv(65536):
                if late and self.seconds:
                    time.sleep(self.seconds)
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.listener.close()
        for s in self.open:
            s.close()

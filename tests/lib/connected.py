# SPDX-License-Identifier: Apache-2.0
"""An Aegis in front of a real OpenBao, for the tests of both."""

import hashlib
import os
import shutil
import threading
import time
from pathlib import Path

import proto
from lab import Lab
from puppet import AdminSocket, Directory, Puppet, conf_vault, memfd
from seal_client import SealClient, SealError

NAMESPACE = "platform"
FILES = Path(__file__).resolve().parents[2] / "contrib" / "openbao"
POLICIES = {p: (FILES / f"{p}.hcl").read_text() for p in ("session", "kv", "transit", "board", "tenants")}


def platform(server, namespace=NAMESPACE):
    """A namespace with what an operator makes there: engines, policies, the signing key."""
    server.call("POST", f"sys/namespaces/{namespace}")
    server.mount("kv", "kv", namespace, version="2")
    for name, text in POLICIES.items():
        server.policy(name, text, namespace)
    server.mount("transit", "transit", namespace)
    server.call("POST", "transit/keys/seal", namespace, type="ed25519")


def eventually(check, seconds=10):
    """The first true answer; a failure is the last one's."""
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, f"not within {seconds} s: {check.__doc__ or check}"
        time.sleep(0.05)
    return found


class Vault(Puppet):
    """The vault alone on this OpenBao, with the test in its master's and its peers' places: so
    it can be asked in the name of any tenant, and what it gets has not been checked before."""

    def __init__(self, prefix, bao, namespace, references=(), role="alone", policies=POLICIES, **more):
        self.directory = Directory("VAULT")
        role_id = bao.approle(role, namespace, policies, token_no_default_policy=True)
        self.secret_id, _ = bao.secret_id(role, namespace)
        conf = dict(addresses="127.0.0.1", port=bao.port, tls=1, host="localhost",
                    name_space=namespace, auth_mount="approle", role_id=role_id, renew_ms=1800000,
                    transit_mount="transit", kv_mount="kv", ca_bundle=memfd(bao.ca.ca.read_bytes()))
        conf.update(more)
        super().__init__(prefix, "VAULT", [("conf_openbao", conf), *conf_vault(
            variables=[("hostile", f"V{i}", r, "") for i, r in enumerate(references)])],
            directory=self.directory)
        self.ready()
        self.judge = self.door("JUDGE")
        self.admins = AdminSocket(self)
        self.running = True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        """Brings the secret id, as the master does."""
        while self.running:
            try:
                got = self.master.recv(0.1)
            except TimeoutError:
                continue
            except proto.Closed:
                return
            if got.name == "secret_id_want":
                fd = memfd(self.secret_id)
                self.master.send("secret_id", got.reqid, fd=fd)
                os.close(fd)

    def stop(self, timeout=5):
        self.running = False
        self.thread.join()
        status = super().stop(timeout)
        self.directory.remove()
        self.admins.remove()
        return status


class Connected(Lab):
    """An Aegis on this OpenBao with one tool server that can be asked for its variables."""

    def __init__(self, prefix, place, bao, ca, variables, port=None, role="aegis", more="",
                 namespace=NAMESPACE, policies=POLICIES, tools=None, **role_settings):
        self.bao, self.role, self.namespace = bao, role, namespace
        self.secret_file = place / "secret-id"
        role_id = bao.approle(role, namespace, policies, token_no_default_policy=True,
                              **role_settings)
        self.rotate()
        program = place / "odd_tool.py"
        shutil.copy(Path(__file__).parent / "odd_tool.py", program)
        program.chmod(0o755)
        lines = "".join(f'        {name}: "{ref}"\n' for name, ref in variables.items())
        super().__init__(prefix, place / "aegis", ca=ca, tools=tools or f"""\
tools:
  mcp_servers:
    - name: odd
      executable: /usr/bin/python3
      args: ["{program}"]
      paths: ["{program}"]
      capabilities: ["odd.*"]
      start: on_demand
      credentials:
{lines}""", contexts="""\
contexts:
  - name: all
    capabilities: [{tool_pattern: "*"}]
""", extra=f"""\
secrets:
  openbao:
    addr: https://localhost:{port or bao.port}
    ca_cert: {bao.ca.ca}
    namespace: {namespace}
    auth:
      role_id: {role_id}
      secret_id: file:{self.secret_file}
{more}""")
        self.text = self.text.replace("vault:\n", "vault:\n  provider: openbao\n", 1)
        self.text += "seal:\n  attest_per_minute: 100000\n"

    def rotate(self):
        """A new secret id in the file; the accessor of the old one."""
        old = getattr(self, "secret_id_accessor", None)
        value, self.secret_id_accessor = self.bao.secret_id(self.role, self.namespace)
        self.secret_file.touch(mode=0o600)
        self.secret_file.write_text(value + "\n")
        return old

    def begin(self):
        self.init()
        self.start()
        self.client = SealClient(self.url, self.agent("bot", contexts=["all"]), "all")
        self.client.attest()
        return self

    def fresh_start(self):
        """The tool server's next start reads its secrets again. The tool host goes, too, so that
        it does not remember how often that failed."""
        self.aegis("vault", "refresh")
        host, = self.pids("toolhostd: toolhost")
        os.kill(host, 9)
        eventually(lambda: self.pids("toolhostd: toolhost") not in ([], [host]))

    def hash(self, variable):
        """As the tool server has it. 503: the tool host is not back yet."""
        end = time.monotonic() + 10
        while True:
            try:
                return self.client.call("odd.hash", {"variable": variable})["content"][0]["text"]
            except SealError as e:
                if e.status != 503 or time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def has(self, variable, value):
        try:
            return self.hash(variable) == hashlib.sha256(value.encode()).hexdigest()
        except SealError as e:
            self.refused = e
            return False

    def lines(self, event, since=0):
        text = self.log.read_bytes()[since:].decode(errors="replace")
        return [line for line in text.splitlines() if f"event={event}" in line]

    def mark(self):
        return self.log.stat().st_size

    def tokens(self):
        return self.bao.accessors(self.role, self.namespace)

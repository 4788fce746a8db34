# SPDX-License-Identifier: Apache-2.0
"""Who speaks with OpenBao: every connection that is begun in a network of its own, seen on the
wire. And two hosts on one OpenBao."""

import base64
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests
from connected import Connected, eventually, platform
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from lab import Nginx
from openbao import OpenBao
from seal_client import SealClient, SealError

HERE = "hosts"
VALUE = "kv-planted-for-two-hosts"
KEYS = """\
    transit_keys:
      seal_signing: seal
"""
CLONE_NEWNET = 0x40000000


def in_a_network_of_its_own(work):
    """work() with nothing but a loopback interface; what it starts is there, too."""
    result = {}

    def body():
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            result["got"] = work()
        except BaseException as e:  # told to who waits
            result["error"] = e

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result["got"]


class Wire:
    """Every TCP connection that anybody begins here: (uid, port it goes to)."""

    def __init__(self):
        self.seen, self.unknown = set(), []
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        self.socket.settimeout(0.1)
        self.running = True
        self.thread = threading.Thread(target=self._look, daemon=True)  # in this network, too
        self.thread.start()

    @staticmethod
    def _owner(port):
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port and fields[3] in ("01", "02"):
                    return int(fields[7])
        return None

    def _look(self):
        known = set()
        while self.running:
            try:
                packet = self.socket.recv(65536)[14:]
            except TimeoutError:
                continue
            if packet[0] >> 4 == 4 and packet[9] == 6:
                tcp = packet[(packet[0] & 15) * 4:]
            elif packet[0] >> 4 == 6 and packet[6] == 6:
                tcp = packet[40:]
            else:
                continue
            source, target = struct.unpack("!HH", tcp[:4])
            if tcp[13] & 0x12 != 0x02 or (source, tcp[4:8]) in known:  # SYN alone; lo shows it twice
                continue
            known.add((source, tcp[4:8]))
            uid = self._owner(source)
            if uid is None:
                self.unknown.append(target)
            else:
                self.seen.add((uid, target))

    def stop(self):
        self.running = False
        self.thread.join()
        self.socket.close()


def uid_of(pid):
    return int(next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines()
                    if x.startswith("Uid:")).split()[1])


def test_only_vault_goes_to_openbao_and_nowhere_else(prefix, place, ca, cache):
    def work():
        server = OpenBao(cache, place / "bao", ca)
        nginx = Nginx(place / "nginx", ca, "upstream-key")
        platform(server, HERE)
        server.put("kv/tools/search", HERE, value=VALUE)
        wire = Wire()  # once both listen: who is refused is gone before anybody can ask who it was
        lab = None
        try:
            lab = Connected(prefix, place, server, ca, {"SECRET_VALUE": "vault:kv/tools/search"},
                            role="net", namespace=HERE, more=KEYS)
            lab.init()
            lab.credential("up", "up", "upstream-key", f"localhost:{nginx.tls}", "--upstream",
                           f"https://localhost:{nginx.tls}", "--allow-private")
            lab.start()
            agent = lab.agent("bot", "up", contexts=["all"])
            eventually(lambda: lab.json("status")["openbao"]["state"] == "ready", 30)
            lab.client = SealClient(lab.url, agent, "all")
            lab.client.attest()
            eventually(lambda: lab.has("SECRET_VALUE", VALUE), 30)
            answer = requests.get(f"{lab.url}/up/x", headers={"X-Aegis-Agent": agent}, timeout=10)
            assert answer.status_code == 200
            lab.aegis("daemon", "reload")
            os.kill(lab.pids("keymasterd: vault")[0], signal.SIGKILL)
            eventually(lambda: lab.aegis("vault", "refresh", check=False).returncode == 0, 30)
            lab.fresh_start()
            eventually(lambda: lab.has("SECRET_VALUE", VALUE), 30)
            owners = {uid_of(p): title for p, title in lab.children().items()}
            worker, = lab.pids("egressd: worker")
            vault, = lab.pids("keymasterd: vault")
            users = uid_of(vault), uid_of(worker)
        finally:
            if lab is not None:
                lab.stop()
            wire.stop()
            nginx.stop()
            server.stop()
        return wire, owners, users, server.port, nginx.tls, lab.port

    assert os.geteuid() == 0, "a network of its own takes root"
    wire, owners, (vault, worker), port, upstream, agents = in_a_network_of_its_own(work)
    # this test's own requests to the gate end sooner than one can ask whose they were
    assert set(wire.unknown) <= {agents}, wire.unknown
    mine = {(uid, to) for uid, to in wire.seen if uid != 0}  # 0: this test, and the server itself
    assert {uid for uid, to in wire.seen if to == port} <= {0, vault} and (vault, port) in mine
    assert {to for uid, to in mine if uid == vault} == {port}, "vault goes nowhere else"
    assert (worker, upstream) in mine and vault != worker
    assert {uid for uid, _ in mine} == {vault, worker}, "and nobody else goes anywhere"
    assert len(owners) >= 5


@pytest.fixture(scope="module")
def bao(openbao_server):
    platform(openbao_server, HERE)
    openbao_server.put("kv/tools/search", HERE, value=VALUE)
    return openbao_server


class Host(Connected):
    """A host of its own: its own data, master key, ledger and AppRole."""

    def __init__(self, prefix, place, bao, ca, name):
        (place / name).mkdir(mode=0o711)
        super().__init__(prefix, place / name, bao, ca, {"SECRET_VALUE": "vault:kv/tools/search"},
                         role=name, namespace=HERE, more=KEYS)
        self.init()
        self.start()
        self.agent_token = self.agent("bot", contexts=["all"])
        eventually(lambda: self.json("status")["openbao"]["state"] == "ready", 30)
        self.client = eventually(self.attest, 30)

    def attest(self):
        try:
            client = SealClient(self.url, self.agent_token, "all")
            client.attest()
            return client
        except SealError as e:
            assert e.status == 503

    def operator(self):
        return self.json("operator", "token", "--name", "ops", "--role", "admin")["token"]

    def as_operator(self, token):
        return requests.get(f"{self.url}/v1/seal/sessions", timeout=10,
                            headers={"Authorization": f"Bearer {token}"}).status_code

    def verifies(self, token):
        """By the key set that this host publishes."""
        head, body, signature = token.split(".")
        raw = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        kid = json.loads(raw(head))["kid"]
        keys = requests.get(f"{self.url}/.well-known/jwks.json", timeout=10).json()["keys"]
        key, = (k for k in keys if k["kid"] == kid)
        Ed25519PublicKey.from_public_bytes(raw(key["x"])).verify(raw(signature), f"{head}.{body}".encode())
        return True


def test_two_hosts_on_one_openbao(prefix, place, bao, ca):
    one, two = (Host(prefix, place, bao, ca, n) for n in ("one", "two"))
    try:
        assert one.verifies(two.client.token) and two.verifies(one.client.token)
        # a token of an operator is good on either, whoever had it signed
        for signer, other in ((one, two), (two, one)):
            token = signer.operator()
            assert signer.as_operator(token) == other.as_operator(token) == 200
            assert other.as_operator(token[:-8] + "AAAAAAAA") == 401
        assert one.has("SECRET_VALUE", VALUE) and two.has("SECRET_VALUE", VALUE)
        # the first one is lost, with all that it knew
        token = one.operator()
        os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait(10)
        assert two.as_operator(token) == 200 and two.client.call("odd.cancelled", {})
        assert two.attest().call("odd.cancelled", {}) and two.has("SECRET_VALUE", VALUE)
        # a rotation that the lost one did not see
        bao.call("POST", "transit/keys/seal/rotate", HERE)
        two.aegis("vault", "refresh")
        eventually(lambda: two.attest().token.split(".")[0] != token.split(".")[0])
        assert two.as_operator(token) == 200, "what the version before signed is good till it ends"
        # it comes back, and the other one is lost
        one.start()
        eventually(lambda: one.json("status")["openbao"]["state"] == "ready", 30)
        fresh = two.operator()
        os.kill(two.process.pid, signal.SIGKILL)
        two.process.wait(10)
        eventually(lambda: one.as_operator(fresh) == 200)
        assert eventually(one.attest).call("odd.cancelled", {})
    finally:
        one.stop()
        two.stop()

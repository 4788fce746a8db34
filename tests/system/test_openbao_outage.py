# SPDX-License-Identifier: Apache-2.0
"""OpenBao's bad days, on the real server: what the agent sees meanwhile, and how soon after its
return all is well. The table in doc/openbao.md is of these."""

import json
import os
import re
import signal
import threading
import time

import pytest
from connected import POLICIES, Connected, eventually, platform
from openbao import Delay
from seal_client import SealClient, SealError

HERE = "outage"
HEALED = 3.0  # seconds after it is back; less than two on a machine that has time
VALUE = "kv-planted-for-an-outage"
KEYS = """\
    transit_keys:
      seal_signing: seal
"""


@pytest.fixture(scope="module")
def bao(openbao_server):
    platform(openbao_server, HERE)
    openbao_server.put("kv/tools/search", HERE, value=VALUE)
    return openbao_server


class Gate(Connected):
    """A gate behind a relay that can be slow, whose tokens Transit signs."""

    def __init__(self, prefix, place, bao, ca, **more):
        self.relay = Delay(bao.port)
        super().__init__(prefix, place, bao, ca, {"SECRET_VALUE": "vault:kv/tools/search"},
                         port=self.relay.port, namespace=HERE, more=KEYS, **more)

    def begin(self):
        self.init()
        self.start()
        self.token = self.agent("bot", contexts=["all"])
        eventually(lambda: self.json("status")["openbao"]["state"] == "ready", 30)
        self.client = eventually(self.try_attest, 30)
        # once the tool server runs it has its secret
        eventually(lambda: self.has("SECRET_VALUE", VALUE), 30)
        return self

    def try_attest(self):
        try:
            return self.attest()
        except SealError as e:
            assert e.status == 503

    def attest(self):
        """A new session: needs a signature of Transit."""
        client = SealClient(self.url, self.token, "all")
        client.attest()
        return client

    def refused(self, *says):
        """A new session is refused with 503, nobody waits long, and what runs goes on."""
        began = time.monotonic()
        with pytest.raises(SealError) as e:
            self.attest()
        assert e.value.status == 503 and time.monotonic() - began < 6
        assert self.client.call("odd.cancelled", {}), "sessions and tool servers go on"

    def healed(self, since, within=HEALED):
        """A new session can be made; how long after `since`."""
        def works():
            try:
                return self.attest().call("odd.cancelled", {})
            except SealError:
                return None
        eventually(works, 10)
        took = time.monotonic() - since
        print(f"healed after {took:.2f} s")
        assert took <= within, f"healed after {took:.1f} s"
        return took

    def rows(self, event):
        return [r for r in self.ledger("--system") if r["event"] == event]

    def open_circuit(self):
        def away():
            try:
                self.attest()
            except SealError:
                return self.json("status")["openbao"]["state"] == "away"
        eventually(away)
        began = time.monotonic()
        self.refused()
        assert time.monotonic() - began < 1, "the circuit is open: nobody waits"
        return self.json("status")["openbao"]["why"]


@pytest.fixture(scope="module")
def gate(prefix, module_place, bao, ca):
    lab = Gate(prefix, module_place, bao, ca, role="outage")
    try:
        yield lab.begin()
    finally:
        lab.stop()
        lab.relay.stop()


def test_killed(gate, bao):
    bao.kill()
    gate.refused()
    assert "cannot be reached" in gate.open_circuit()
    bao.start()
    bao.unseal()
    gate.healed(time.monotonic())
    assert gate.rows("openbao.away") and gate.rows("openbao.back")


def test_sealed(gate, bao):
    bao.seal()
    gate.refused()
    assert "sealed" in gate.open_circuit()
    bao.unseal()
    gate.healed(time.monotonic())


def test_slow(gate):
    gate.relay.seconds = 0.4
    assert gate.attest(), "slow is not away"
    gate.relay.seconds = 30
    try:
        gate.refused()
        assert "in time" in gate.open_circuit()
    finally:
        gate.relay.seconds = 0
    gate.healed(time.monotonic(), HEALED + 2)  # a probe that is under way may be as late as it likes


def test_restarted_with_its_store(gate, bao):
    logins, mark = len(gate.tokens()), gate.mark()
    bao.process.send_signal(signal.SIGTERM)
    bao.process.wait(20)
    bao.start()
    bao.unseal()
    gate.healed(time.monotonic())
    assert len(gate.tokens()) == logins and not gate.lines("openbao.login", mark), "the token is still good"


def test_frozen(gate, bao):
    """It answers nothing for ten seconds, and does not shut a connection either."""
    os.kill(bao.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        gate.refused()
        assert "in time" in gate.open_circuit()
        while time.monotonic() - began < 10:
            gate.refused()
            time.sleep(0.25)
    finally:
        os.kill(bao.process.pid, signal.SIGCONT)
    gate.healed(time.monotonic())


def test_the_token_is_revoked(gate, bao):
    for accessor, _ in gate.tokens():
        bao.revoke(accessor, HERE)
    assert gate.attest().call("odd.cancelled", {}), "nobody sees it"
    assert len(gate.tokens()) == 1


def test_the_policy_is_narrowed(gate, bao):
    before = dict(gate.tokens()).keys()
    bao.policy("transit", 'path "kv/data/elsewhere" { capabilities = ["read"] }', HERE)
    gate.refused()
    found = [x for x in json.loads(gate.aegis("doctor", "--json", check=False).stdout)
             if x["check"] == "openbao policy" and x["result"] == "fail"]
    assert [x for x in found if "transit/sign/seal" in x["detail"]]
    assert dict(gate.tokens()).keys() == before, "a new login would not help and is not tried"
    bao.policy("transit", POLICIES["transit"], HERE)
    gate.healed(time.monotonic())


def test_vault_stands_still_longer_than_its_token_lives(prefix, bao, ca, place):
    """As if its clock had jumped: it wakes with a token that has ended. And before that, tokens
    whose max TTL comes every few seconds, which nobody may see."""
    lab = Gate(prefix, place, bao, ca, role="short", token_ttl="2s", token_max_ttl="4s")
    try:
        lab.begin()
        end, n = time.monotonic() + 5, 0
        while time.monotonic() < end:
            lab.attest()
            n += 1
        assert len(lab.lines("openbao.renew")) >= 1 and len(lab.lines("openbao.login")) >= 2
        vault, = lab.pids("keymasterd: vault")
        os.kill(vault, signal.SIGSTOP)
        time.sleep(2.5)  # its token ends
        os.kill(vault, signal.SIGCONT)
        lab.healed(time.monotonic())
        assert n > 10
    finally:
        lab.stop()
        lab.relay.stop()


def test_the_namespace_is_deleted(prefix, bao, ca, place):
    """And made again with the same names, role id and secret id."""
    there = "doomed"

    def make(lab=None):
        platform(bao, there)
        bao.put("kv/tools/search", there, value=VALUE)
        if lab is not None:
            bao.approle("doomed", there, POLICIES, token_no_default_policy=True)
            bao.call("POST", "auth/approle/role/doomed/role-id", there, role_id=lab.role_id)
            bao.call("POST", "auth/approle/role/doomed/custom-secret-id", there,
                     secret_id=lab.secret_file.read_text().strip())

    make()
    lab = Connected(prefix, place, bao, ca, {"SECRET_VALUE": "vault:kv/tools/search"}, namespace=there,
                    role="doomed", more=KEYS)
    lab.role_id = re.search(r"role_id: (\S+)", lab.text)[1]
    lab.__class__ = type("Doomed", (Gate,), {})
    try:
        lab.begin()
        bao.call("DELETE", f"sys/namespaces/{there}", status=(200, 202, 204))

        def gone():
            try:
                lab.attest()
            except SealError as e:
                return e.status == 503
        eventually(gone)
        eventually(lambda: lab.json("status")["openbao"]["state"] == "refused")
        why = lab.json("status")["openbao"]["why"]
        assert "namespace" in why and lab.rows("openbao.refused")[-1]["detail"] == why
        lab.refused()
        eventually(lambda: there + "/" not in (bao.call("LIST", "sys/namespaces")["data"]["keys"]))
        before = lab.client
        make(lab)
        lab.healed(time.monotonic())
        # the key is another one, and what the old one signed counts no more
        with pytest.raises(SealError) as e:
            before.call("odd.cancelled", {})
        assert e.value.status in (401, 403)
    finally:
        lab.stop()


def test_many_agents_through_an_outage(gate, bao):
    """Everybody gets a session or a clear refusal, and all of them one in the end."""
    stop, odd, good = threading.Event(), [], []

    def agent():
        while not stop.is_set():
            try:
                gate.attest().call("odd.cancelled", {})
                good.append(time.monotonic())
            except SealError as e:
                if e.status != 503:
                    odd.append(e)
            except Exception as e:  # a broken connection is no clear refusal
                odd.append(e)

    threads = [threading.Thread(target=agent) for _ in range(8)]
    for t in threads:
        t.start()
    try:
        eventually(lambda: len(good) > 20)
        bao.seal()
        try:
            eventually(lambda: gate.json("status")["openbao"]["state"] == "away")
        finally:
            bao.unseal()
        back = time.monotonic()
        eventually(lambda: good[-1] > back)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert min(g for g in good if g > back) - back < HEALED
    assert not odd, odd[:3]


def test_no_secret_is_in_any_log(gate, bao):
    """After all that."""
    secret = gate.secret_file.read_text().strip()
    texts = [gate.log.read_bytes()]
    texts += [p.read_bytes() for p in gate.data.rglob("*") if p.is_file()]
    for text in texts:
        assert VALUE.encode() not in text and secret.encode() not in text
        # a token of OpenBao's: s. and 24 or more characters
        assert not re.search(rb"\b(hv)?s\.[A-Za-z0-9]{24,}", text)

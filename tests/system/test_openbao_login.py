# SPDX-License-Identifier: Apache-2.0
"""How vault comes to its token on a real OpenBao: secret ids that are wrapped, that change, that
somebody else took; and what is left of the token when the gate stops."""

import os
import signal

import pytest
import requests
from connected import Connected, eventually, platform

HERE = "logins"  # a namespace of these tests' own
VALUE = "kv-planted-behind-a-wrapping"


@pytest.fixture(scope="module")
def bao(openbao_server):
    platform(openbao_server, HERE)
    openbao_server.put("kv/tools/search", HERE, value=VALUE)
    return openbao_server


def wrap(bao, path, ttl="60s", namespace=HERE, **body):
    """The wrapping token of what OpenBao answers there."""
    answer = requests.post(f"{bao.addr}/v1/{path}", json=body, verify=str(bao.ca.ca), timeout=10, headers={
        "X-Vault-Token": bao.root, "X-Vault-Namespace": namespace, "X-Vault-Wrap-TTL": ttl})
    return answer.json()["wrap_info"]["token"]


class Wrapped(Connected):
    def __init__(self, *args, **more):
        super().__init__(*args, namespace=HERE, **more)
        self.text = self.text.replace("      secret_id:", "      wrapped: true\n      secret_id:")

    def rotate(self):
        self.put(wrap(self.bao, f"auth/approle/role/{self.role}/secret-id"))

    def put(self, text):
        self.secret_file.touch(mode=0o600)
        self.secret_file.write_text(text + "\n")

    def events(self):
        return [r["event"] for r in self.ledger("--system") if r["event"].startswith("openbao.")]

    def secret_ids(self):
        return self.bao.call("LIST", f"auth/approle/role/{self.role}/secret-id", HERE)["data"]["keys"]

    def revoke_all(self):
        for accessor, _ in self.tokens():
            self.bao.revoke(accessor, HERE)


@pytest.fixture(scope="module")
def wrapped(prefix, module_place, bao, ca):
    lab = Wrapped(prefix, module_place, bao, ca, {"SECRET_VALUE": "vault:kv/tools/search"}, role="wrapped")
    yield lab.begin()
    lab.stop()


def test_it_is_unwrapped_once_and_kept_sealed(wrapped, bao):
    token = wrapped.secret_file.read_text().strip()
    assert wrapped.has("SECRET_VALUE", VALUE)
    assert wrapped.events()[:2] == ["openbao.unwrapped", "openbao.login"]
    # nobody can take it out of the wrapping again
    with pytest.raises(AssertionError, match="400"):
        bao.call("POST", "sys/wrapping/unwrap", HERE, token=token)
    # another login, and a vault that died, need no new one
    wrapped.revoke_all()
    wrapped.fresh_start()
    assert wrapped.has("SECRET_VALUE", VALUE)
    vault, = wrapped.pids("keymasterd: vault")
    os.kill(vault, signal.SIGKILL)
    eventually(lambda: wrapped.aegis("vault", "refresh", check=False).returncode == 0)
    wrapped.fresh_start()
    eventually(lambda: wrapped.has("SECRET_VALUE", VALUE))
    wrapped.stop()
    wrapped.start()
    eventually(lambda: wrapped.has("SECRET_VALUE", VALUE))
    assert wrapped.events().count("openbao.unwrapped") == 1
    assert token not in wrapped.log.read_text()


def test_a_new_wrapping_is_taken_without_a_restart(wrapped, bao):
    master, before = wrapped.process.pid, wrapped.secret_ids()
    wrapped.rotate()
    fresh = [a for a in wrapped.secret_ids() if a not in before]
    for old in before:
        bao.call("POST", f"auth/approle/role/{wrapped.role}/secret-id-accessor/destroy", HERE,
                 secret_id_accessor=old)
    wrapped.revoke_all()
    wrapped.fresh_start()
    assert wrapped.has("SECRET_VALUE", VALUE) and wrapped.process.pid == master
    assert wrapped.events().count("openbao.unwrapped") == 2 and wrapped.secret_ids() == fresh


@pytest.mark.parametrize("how", ["used", "expired", "foreign"])
def test_a_wrapping_that_somebody_touched_is_reported(wrapped, bao, how):
    path = f"auth/approle/role/{wrapped.role}/secret-id"
    if how == "foreign":
        token = wrap(bao, "sys/wrapping/wrap", secret_id="of somebody else")
    else:
        token = wrap(bao, path, ttl="1s" if how == "expired" else "60s")
    if how == "used":
        bao.call("POST", "sys/wrapping/unwrap", HERE, token=token)
    if how == "expired":
        def gone():
            try:
                return bao.call("POST", "sys/wrapping/lookup", HERE, token=token) is None
            except AssertionError:
                return True
        eventually(gone)
    wrapped.put(token)
    wrapped.revoke_all()
    wrapped.fresh_start()
    assert not wrapped.has("SECRET_VALUE", VALUE)
    event = "openbao.wrap_foreign" if how == "foreign" else "openbao.wrap_used"
    row = eventually(lambda: [r for r in wrapped.ledger("--system") if r["event"] == event])[-1]
    assert ("exchanged" if how == "foreign" else "may be stolen") in row["detail"]
    state = wrapped.json("status")["openbao"]
    assert state["state"] == "refused" and state["why"] == row["detail"]
    if how == "foreign":  # it was not even taken out
        assert bao.call("POST", "sys/wrapping/unwrap", HERE, token=token)["data"]
    # a good one heals it, at once with a reload
    wrapped.rotate()
    wrapped.aegis("daemon", "reload")
    eventually(lambda: wrapped.json("status")["openbao"]["state"] == "ready", 2)
    eventually(lambda: wrapped.has("SECRET_VALUE", VALUE))
    assert token not in wrapped.log.read_text()


def test_the_token_is_revoked_at_the_end(wrapped, bao):
    assert wrapped.has("SECRET_VALUE", VALUE)
    newest = wrapped.tokens()[-1][0]
    wrapped.stop()
    bao.call("POST", "auth/token/lookup-accessor", HERE, status=(400, 403, 404), accessor=newest)
    wrapped.start()
    eventually(lambda: wrapped.has("SECRET_VALUE", VALUE))


def test_another_role_by_a_reload(wrapped, bao):
    role_id = bao.approle("second", HERE, ["kv", "session"], token_no_default_policy=True)
    old = wrapped.role
    wrapped.role = "second"
    wrapped.rotate()
    before = wrapped.text
    line = next(x for x in before.splitlines() if "role_id:" in x)
    wrapped.text = before.replace(line, f"      role_id: {role_id}")
    wrapped.config.write_text(wrapped.text)
    done = wrapped.json("daemon", "reload")
    assert done["changed"] == ["secrets.openbao.auth.role_id"] and not done["restart"]
    eventually(wrapped.tokens)
    wrapped.fresh_start()
    assert wrapped.has("SECRET_VALUE", VALUE)
    assert wrapped.role != old

# SPDX-License-Identifier: Apache-2.0
"""What the master says while a daemon starts: nothing of it ends the daemon but a stop, and nothing
is lost that came in one datagram with the end of the configuration."""

import proto
import pytest
from puppet import CONF_EGRESS, CONF_GATE, Directory, Puppet, conf_judge, conf_vault

CONF = {"GATE": lambda: [("conf_gate", CONF_GATE)], "API": lambda: [("conf_gate", CONF_GATE)],
        "JUDGE": conf_judge, "VAULT": conf_vault, "DISPATCH": lambda: [("conf_egress", CONF_EGRESS)],
        "WORKER": lambda: [("conf_egress", CONF_EGRESS)], "TOOLHOST": lambda: []}
EARLY = ("tool_ended", "tool_old", "child_exited")


@pytest.fixture(params=sorted(CONF))
def start(request, prefix):
    role = request.param
    directory = Directory(role) if role in ("JUDGE", "VAULT") else None

    def begin(early=(), **more):
        conf = [(m, {}) for m in early] + CONF[role]()
        return Puppet(prefix, role, conf, directory=directory,
                      name="github" if role == "WORKER" else "", **more)

    yield begin
    if directory:
        directory.remove()


def test_early_news_end_nobody(start):
    puppet = start(EARLY).ready()
    assert [m for m in EARLY if f"event=early message={m}" not in puppet.log()] == []
    assert puppet.stop() == 0


def test_stopped_before_it_is_configured(start):
    puppet = start(["stop"])
    assert puppet.wait() == 0 and "level=error" not in puppet.log()


def test_stopped_with_the_end_of_the_configuration(start):
    puppet = start(then=proto.encode("stop", fields=dict(drain_ms=0))[0])
    assert puppet.wait() == 0


def test_judge_is_stopped_before_it_has_met_vault(prefix):
    """As in `aegis init`: its last rows are sealed all the same."""
    directory = Directory("JUDGE")
    judge = Puppet(prefix, "JUDGE", conf_judge(), directory=directory).ready()
    judge.tell("stop", drain_ms=0)
    vault = judge.door("VAULT")
    asked = vault.wait("checkpoint_sign")
    vault.send("checkpoint_signed", asked.reqid, kid="l", signature=b"s" * 64)
    assert judge.wait() == 0 and "stop.checkpoint" not in judge.log()
    directory.remove()


def test_judge_serves_when_it_has_met_vault(prefix):
    """Its master says "ready" to the world then, and not before."""
    directory = Directory("JUDGE")
    judge = Puppet(prefix, "JUDGE", conf_judge(), directory=directory).ready()
    with pytest.raises(TimeoutError):
        judge.master.wait("serving", 0.3)
    vault = judge.door("VAULT")
    asked = vault.wait("vault_keys")
    vault.send("vault_key_set", asked.reqid, token_kid="t", ledger_kid="l")
    judge.master.wait("serving")
    vault.close()
    judge.stop()
    directory.remove()

# SPDX-License-Identifier: Apache-2.0
"""The master against a child that was taken over: a program of ours in the place of one
daemon, everything else real."""

import re
import sys
import time
from pathlib import Path

import pytest
import requests
from lab import Lab

LIB = Path(__file__).resolve().parents[1] / "lib"
HEAD = f"""\
#!{sys.executable}
import socket, sys
sys.path.insert(0, {str(LIB)!r})
import proto
door = proto.Door(socket.socket(fileno=3))
door.hello(ROLE)
while door.recv(10).name != "conf_done":
    pass
door.send("ready", level="taken over")
"""


@pytest.fixture
def captured(prefix, place):
    """Starts a system in which `text` runs in the place of one program."""
    labs = []

    def start(program, role, text, first=False):
        """first: only the first process of it is taken over."""
        libexec = place / "libexec"
        libexec.mkdir()
        for real in (prefix / "libexec" / "aegis").iterdir():
            (libexec / real.name).symlink_to(real)
        (libexec / program).unlink()
        real = f"""#!{sys.executable}
import os, sys
try:
    os.unlink({str(libexec / "first")!r})
except FileNotFoundError:
    os.execv({str(prefix / "libexec" / "aegis" / program)!r}, sys.argv)
"""
        (libexec / "first").touch()
        (libexec / program).write_text((real if first else "") + HEAD.replace("ROLE", repr(role)) + text)
        (libexec / program).chmod(0o755)
        lab = Lab(prefix, place / "lab", log_level="debug").init()
        lab.env["AEGIS_LIBEXEC"] = str(libexec)
        labs.append(lab)
        return lab

    yield start
    for lab in labs:
        lab.remove()


def test_only_peers_can_be_accused(captured):
    """A worker has doors to gate and dispatcher; toolhost is none of its business."""
    lab = captured("egressd-worker", "WORKER", """
for instance in range(1, 200):
    door.send("misbehaved", instance=instance, reason="I say so")
while door.recv(60).name != "stop":
    pass
""")
    lab.start()
    before = {name: lab.pids(name) for name in ("toolhostd", "keymasterd")}
    assert all(before.values())
    lab.credential("victim", "api", "sk-0123456789abcdef", "localhost")
    token = lab.agent("bot", "victim")
    try:
        requests.get(lab.url + "/api/x", headers={"X-Aegis-Agent": token}, timeout=10)
    except requests.ConnectionError:
        pass  # its gate was ended
    end = time.monotonic() + 5
    while "child.misbehaved" not in lab.log.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)
    accused = set(re.findall(r"child.misbehaved.* child=(\w+)", lab.log.read_text()))
    assert accused <= {"gate", "dispatcher"} and accused, accused
    assert {name: lab.pids(name) for name in before} == before


def test_who_accuses_too_often_is_ended(captured):
    """Gates and dispatcher are started anew as often as somebody says; but only three times a
    minute by the same child, which is then ended itself."""
    lab = captured("egressd-worker", "WORKER", """
import time
for instance in list(range(1, 60)) * 400:
    door.send("misbehaved", instance=instance, reason="I say so")
    time.sleep(0.001)
while door.recv(60).name != "stop":
    pass
""")
    lab.start()
    lab.credential("victim", "api", "sk-0123456789abcdef", "localhost")
    token = lab.agent("bot", "victim")
    try:
        requests.get(lab.url + "/api/x", headers={"X-Aegis-Agent": token}, timeout=10)
    except requests.ConnectionError:
        pass  # its gate was ended
    end = time.monotonic() + 10
    while "child.accuser" not in lab.log.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    text = lab.log.read_text()
    accuser = re.search(r"child.accuser.* child=worker instance=(\d+)", text)[1]
    assert len(re.findall(rf"child.misbehaved.* by=worker by_instance={accuser}\b", text)) == 3
    # it is gone, and the ledger says why
    lab.ledger()  # the judge is there
    rows = [r for r in lab.ledger() if r.get("event") == "process.ended"]
    mine = [r for r in rows if f"worker {accuser}" in r["detail"]]
    assert [r["code"] for r in mine] == ["accused"] * 3 + ["accuses_too_often"], rows
    assert all(r["reason"] == "I say so" for r in mine)
    assert re.search(rf"child.exit.* instance={accuser}\b", text := lab.log.read_text()), text
    end = time.monotonic() + 10
    while not lab.pids("gated") and time.monotonic() < end:
        time.sleep(0.05)
    assert lab.pids("gated") and lab.pids("egressd: dispatcher")


def test_who_comes_in_its_place_is_not_believed(captured, place):
    """A gate that was taken over, and is again as soon as it is started anew: what it says is
    counted by its place, not by its process."""
    lab = captured("gated", "GATE", """
import os, time
while not os.path.exists(GO):
    time.sleep(0.01)
for instance in list(range(1, 60)) * 20:
    door.send("misbehaved", instance=instance, reason="I say so")
    time.sleep(0.001)
print("all said", file=sys.stderr, flush=True)
while door.recv(60).name != "stop":
    pass
""".replace("GO", repr(str(place / "go"))))
    lab.start()
    (place / "go").touch()
    end = time.monotonic() + 20
    while "all said" not in lab.log.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    text = lab.log.read_text()
    assert "all said" in text
    places = len(re.findall(r"child.start role=gate", text.split("is ready on")[0]))
    by_gates = re.findall(r"child.misbehaved.* child=(\w+) .*by=gate", text)
    assert places >= 1 and 3 <= len(by_gates) <= 3 * places and set(by_gates) <= {"toolhost", "worker"}, text


def test_a_sealed_vault_that_is_taken_over_opens_nothing(captured):
    """It may bring any key as that of shares; what does not open the vault does not unseal it."""
    lab = captured("keymasterd-vault", "VAULT", """
door.send("key_joined", key=b"0" * 64)
while door.recv(60).name != "stop":
    pass
""", first=True)
    hostile = lab.env.pop("AEGIS_LIBEXEC")
    lab.aegis("vault", "split", "-t", "2", "-s", "3")
    lab.aegis("vault", "seal")
    lab.env["AEGIS_LIBEXEC"] = hostile
    lab.start()
    end = time.monotonic() + 20
    while "event=unseal.failed" not in lab.log.read_text() and time.monotonic() < end:
        time.sleep(0.05)
    assert "event=unseal.failed" in lab.log.read_text()
    assert (lab.data / ".sealed").exists()
    while not (sealed := requests.get(lab.url + "/api/x", timeout=10)).status_code == 503:
        assert time.monotonic() < end
    assert "sealed" in sealed.text
    # although the key is still in its file
    lab.stop()
    assert (lab.data / ".master-key").exists()
    lab.start()
    assert "sealed" in requests.get(lab.url + "/api/x", timeout=10).text


def test_children_are_counted(captured):
    lab = captured("egressd-dispatcher", "DISPATCH", """
for i in range(300):
    door.send("worker_spawn", i + 1, tenant="default", credential="no-%d" % i)
codes = []
while len(codes) < 300:
    got = door.recv(10)
    if got.name == "spawned":
        codes.append(got.fields["code"])
print("refused=%d" % sum(code != 0 for code in codes), file=sys.stderr, flush=True)
while door.recv(60).name != "stop":
    pass
""")
    lab.config.write_text(lab.text.replace("egress:\n", "egress:\n  max_workers: 3\n"))
    lab.start()
    end = time.monotonic() + 10
    while "refused=" not in lab.log.read_text() and time.monotonic() < end:
        assert len(lab.pids("egressd: worker")) <= 6
        time.sleep(0.05)
    assert int(re.search(r"refused=(\d+)", lab.log.read_text())[1]) >= 200

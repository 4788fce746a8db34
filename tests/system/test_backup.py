# SPDX-License-Identifier: Apache-2.0
"""aegis db backup and restore: under load, after loss, damaged, and nothing overwritten."""

import json
import shutil
import threading

import pytest
import requests
from lab import CommandFailed, Lab, Nginx

KEY = "sk-of-the-backup-19ee"


@pytest.fixture
def lab(prefix, place, ca):
    up = Nginx(place / "up", ca, KEY)
    lab = Lab(prefix, place / "backup", ca=ca)
    lab.init()
    lab.start()
    lab.credential("api", "api", KEY, f"localhost:{up.plain}", "--upstream",
                   f"http://localhost:{up.plain}", "--allow-private")
    lab.token = lab.agent("bot", "api")
    yield lab
    lab.stop()
    up.stop()


def call(lab):
    return requests.get(f"{lab.url}/api/x", headers={"X-Aegis-Agent": lab.token}, timeout=10).status_code


def refused(lab, *args):
    with pytest.raises(CommandFailed) as e:
        lab.aegis(*args)
    return e.value.code, str(e.value)


def test_while_a_gate_runs_and_after_everything_is_lost(lab):
    done, stop = [], threading.Event()

    def load():
        while not stop.is_set():
            done.append(call(lab))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    while len(done) < 50:
        pass
    said = lab.json("db", "backup", "-o", "saved")
    stop.set()
    for t in threads:
        t.join()
    assert set(done) == {200}
    saved = lab.dir / "saved"
    assert said["files"] == len(json.loads((saved / "backup.json").read_text())["files"]) >= 3
    assert saved.stat().st_mode & 0o777 == 0o700
    assert not [p for p in saved.iterdir() if KEY.encode() in p.read_bytes()]
    assert not [p for p in saved.iterdir() if (lab.data / ".master-key").read_bytes() in p.read_bytes()]
    assert any(r.get("event") == "db.backup" for r in lab.ledger())
    assert refused(lab, "db", "backup", "-o", "saved")[0] == 1
    code, text = refused(lab, "db", "restore", "-i", "saved", "--force")
    assert code == 3 and "a gate is running" in text
    lab.stop()

    shutil.rmtree(lab.data / "judge")
    shutil.rmtree(lab.data / "vault")
    lab.aegis("db", "restore", "-i", "saved")
    lab.start()
    assert call(lab) == 200
    assert "Integrity" in lab.aegis("ledger", "verify").stdout
    rows = lab.ledger()
    assert any(r.get("event") == "db.restore" for r in rows)
    assert sum(r.get("event") == "agent.add" for r in rows) == 1


def test_what_is_there_steps_aside(lab):
    lab.aegis("db", "backup")
    lab.aegis("agent", "add", "-n", "later")
    lab.stop()
    code, text = refused(lab, "db", "restore", "-i", "aegis-backup")
    assert code == 3 and "--force" in text and "later" in lab.aegis("agent", "list").stdout
    lab.aegis("db", "restore", "-i", "aegis-backup", "--force")
    agents = lab.aegis("agent", "list").stdout
    assert "bot" in agents and "later" not in agents
    assert len(list(lab.data.glob("judge.before-*"))) == len(list(lab.data.glob("vault.before-*"))) == 1


def test_a_damaged_backup_is_refused(lab):
    lab.aegis("db", "backup", "-o", "saved")
    lab.stop()
    saved = lab.dir / "saved"
    for name in ("judge.db", "default.vault", "ledger-00000000000000000001.jsonl"):
        good = (saved / name).read_bytes()
        for bad in (good[:-1], good[:40] + bytes([good[40] ^ 1]) + good[41:], b""):
            (saved / name).write_bytes(bad)
            code, text = refused(lab, "db", "restore", "-i", "saved", "--force")
            assert code == 1 and name in text
        (saved / name).unlink()
        assert refused(lab, "db", "restore", "-i", "saved", "--force")[0] == 1
        (saved / name).write_bytes(good)
    listed = (saved / "backup.json").read_text()
    for bad in ("", "{}", listed.replace("judge.db", "../judge.db"), listed.replace("ledger-", "/ledger-")):
        (saved / "backup.json").write_text(bad)
        assert refused(lab, "db", "restore", "-i", "saved", "--force")[0] == 1
    (saved / "backup.json").write_text(listed)
    assert not list(lab.data.glob("*.before-*"))
    lab.aegis("db", "restore", "-i", "saved", "--force")
    assert "bot" in lab.aegis("agent", "list").stdout

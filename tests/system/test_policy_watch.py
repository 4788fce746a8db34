# SPDX-License-Identifier: Apache-2.0
"""Files of policies change while the gate runs, in all the ways in which files change: what is
right is in force by itself half a second later, what is wrong is said and changes nothing."""

import os
import shutil
import time

import pytest
import requests
from conftest import SECRET, Upstream
from lab import Lab

RULE = "agent: bot\nrules:\n  - service: api\n    paths: [%s]\n"


@pytest.fixture(scope="module")
def lab(prefix, module_place):
    upstream = Upstream(lambda r: r.answer())
    lab = Lab(prefix, module_place / "lab", gate="  workers: 1\n  policies_dir: etc/policies\n").init()
    lab.files = lab.dir / "etc" / "policies"
    lab.files.mkdir(parents=True)
    (lab.files / "bot.yaml").write_text(RULE % "^/one")
    lab.start()
    lab.credential("api", "api", SECRET, "127.0.0.1", "--allow-private",
                   "--upstream", f"http://127.0.0.1:{upstream.port}")
    lab.token = lab.agent("bot", "api")
    yield lab
    lab.stop()
    upstream.stop()


def allowed(lab, path):
    answer = requests.get(f"{lab.url}/api/{path}", headers={"X-Aegis-Agent": lab.token}, timeout=10)
    assert answer.status_code in (200, 403), answer.text
    return answer.status_code == 200


def until(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def rows(lab, event):
    return [r for r in lab.ledger("--system") if r["event"] == event]


def put(lab, path):
    """As editors do it: another file takes the name."""
    (lab.files / ".bot.new").write_text(RULE % path)
    os.rename(lab.files / ".bot.new", lab.files / "bot.yaml")
    until(lambda: allowed(lab, path.strip("^/")))


def test_what_changes_is_in_force(lab):
    assert allowed(lab, "one") and not allowed(lab, "two")
    with open(lab.files / "bot.yaml", "r+") as f:  # in place, slowly
        for octet in RULE % "^/two":
            f.write(octet)
            f.flush()
            time.sleep(0.002)
        f.truncate()
    until(lambda: allowed(lab, "two"))
    assert not allowed(lab, "one")
    put(lab, "^/three")
    assert not allowed(lab, "two")
    (lab.files / "notes.txt").write_text("no policy")
    (lab.files / "bot.yaml").unlink()  # its policy is gone with it
    until(lambda: not allowed(lab, "three"))
    put(lab, "^/one")
    # nothing is read in the middle of it, and nothing is said twice
    loaded = [r["detail"] for r in rows(lab, "policy.loaded")]
    assert len(loaded) == 5, loaded
    assert not rows(lab, "policy.refused")


def test_a_link_is_exchanged(lab):
    """As Kubernetes puts a new version of files into a volume: ..data leads elsewhere."""
    for version in ("one", "two"):
        (lab.files / f"..{version}").mkdir()
        (lab.files / f"..{version}" / "bot.yaml").write_text(RULE % f"^/{version}")
    (lab.files / "..data").symlink_to("..one")
    (lab.files / "link").symlink_to("..data/bot.yaml")
    os.rename(lab.files / "link", lab.files / "bot.yaml")
    until(lambda: allowed(lab, "one"))
    (lab.files / "..tmp").symlink_to("..two")
    os.rename(lab.files / "..tmp", lab.files / "..data")
    until(lambda: allowed(lab, "two"))
    assert not allowed(lab, "one")
    (lab.files / "..two" / "bot.yaml").write_text(RULE % "^/three")  # behind the link
    until(lambda: allowed(lab, "three"))
    (lab.files / "bot.yaml").unlink()
    put(lab, "^/one")


def test_what_is_wrong_changes_nothing_and_is_said(lab):
    (lab.files / "z.yaml").write_text("agent: other\nrules:\n  - service: api\n    method: [GET]\n")
    until(lambda: "refused" in lab.json("status")["policies"])
    assert allowed(lab, "one") and not allowed(lab, "two")
    refused, = rows(lab, "policy.refused")
    words = "z.yaml:4:5: rules[0]: unknown key"
    assert words in refused["reason"] and "still are" in refused["reason"]
    assert words in lab.aegis("status").stdout
    assert "policy.refused" in lab.log.read_text()
    doctor = lab.aegis("doctor", check=False)
    assert doctor.returncode == 1 and words in doctor.stderr
    # a judge that starts anew has what was in force, and says it too
    judge, = lab.pids("keymasterd: judge")
    os.kill(judge, 9)
    until(lambda: lab.pids("keymasterd: judge") not in ([], [judge])
          and lab.aegis("status", check=False).returncode == 0)
    assert words in lab.json("status")["policies"]["refused"]
    assert allowed(lab, "one") and not allowed(lab, "two")
    token = lab.json("operator", "token", "--name", "watch", "--role", "readonly")["token"]
    numbers = requests.get(lab.url + "/_aegis/metrics", timeout=10,
                           headers={"Authorization": f"Bearer {token}"}).text
    assert "\naegis_policies_refused 1\n" in numbers
    (lab.files / "z.yaml").unlink()
    until(lambda: "refused" not in lab.json("status")["policies"])
    assert "pass  policies         1, enforce" in lab.aegis("doctor", check=False).stdout
    assert len(rows(lab, "policy.refused")) == 1


def test_a_file_with_any_name(lab):
    """Names of files need not be text. What is wrong is said all the same, also to a judge that starts."""
    name = os.path.join(os.fsencode(lab.files), b"\xff" + "\u00e9".encode() * 100 + b".yaml")
    with open(name, "w") as f:
        f.write("agent: [")
    until(lambda: "refused" in lab.json("status")["policies"])
    said = lab.json("status")["policies"]["refused"]
    assert "/?\u00e9\u00e9" in said and ".yaml:2:1: " in said
    assert "1 error" in lab.aegis("policy", "reload", check=False).stderr
    judge, = lab.pids("keymasterd: judge")
    os.kill(judge, 9)
    until(lambda: lab.pids("keymasterd: judge") not in ([], [judge])
          and lab.aegis("status", check=False).returncode == 0)
    assert lab.json("status")["policies"]["refused"] == said
    assert allowed(lab, "one") and not allowed(lab, "two")
    os.unlink(name)
    until(lambda: "refused" not in lab.json("status")["policies"])


def test_the_directory_goes_and_comes_back(lab):
    os.rename(lab.files, lab.dir / "aside")
    until(lambda: "refused" in lab.json("status")["policies"])
    assert "No such file" in lab.json("status")["policies"]["refused"]
    assert allowed(lab, "one") and not allowed(lab, "two")
    shutil.rmtree(lab.dir / "etc")  # the one above it, too
    (lab.dir / "aside" / "bot.yaml").write_text(RULE % "^/two")
    (lab.dir / "new").mkdir()
    os.rename(lab.dir / "aside", lab.dir / "new" / "policies")
    (lab.dir / "etc").symlink_to("new")
    until(lambda: allowed(lab, "two"))
    assert "refused" not in lab.json("status")["policies"]
    put(lab, "^/one")  # and is watched as before

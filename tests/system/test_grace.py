# SPDX-License-Identifier: Apache-2.0
"""`vault rotate --grace-period`: for a while there are two secrets, and requests succeed whichever
the upstream takes; then the old one is gone, from the file and from everybody's memory."""

import datetime
import time

import pytest
import requests
from conftest import Upstream
from lab import Lab

OLD, NEW = "old-7f3e9A-planted", "new-Xc2w8K-planted"


@pytest.fixture(scope="module")
def upstream():
    def answer(r):
        r.server.used.append((r.command, r.headers["Authorization"]))
        if r.headers["Authorization"] not in r.server.takes:
            return r.answer(401, b"who?")
        if r.path == "/echo":
            return r.answer(200, b"x" * 100 + r.server.echo)
        return r.answer()

    server = Upstream(answer)
    server.used, server.takes, server.echo = [], set(), b""
    yield server
    server.stop()


@pytest.fixture(scope="module")
def lab(prefix, module_place, upstream):
    lab = Lab(prefix, module_place / "lab", gate="  workers: 1\n").init()
    lab.start()
    lab.credential("api", "api", OLD, "127.0.0.1", "--allow-private",
                   "--upstream", f"http://127.0.0.1:{upstream.port}")
    lab.token = lab.agent("bot", "api")
    yield lab
    lab.stop()


def call(lab, method="GET", path="/x", **more):
    return requests.request(method, lab.url + "/api" + path, timeout=20,
                            headers={"X-Aegis-Agent": lab.token}, **more)


def rotate(lab, secret, *flags):
    lab.aegis("vault", "rotate", "--name", "api", "--secret-stdin", *flags, stdin=secret)


def used(upstream):
    """What came since the last look: method and secret."""
    seen = [(m, s.removeprefix("Bearer ")) for m, s in upstream.used]
    upstream.used.clear()
    return seen


def takes(upstream, *secrets):
    upstream.takes = {f"Bearer {s}" for s in secrets}
    upstream.used.clear()


def shown(lab):
    return lab.json("vault", "list")[0]


def test_whichever_the_upstream_takes(lab, upstream):
    takes(upstream, OLD)
    assert call(lab).status_code == 200
    rotate(lab, NEW, "--grace-period", "0.5")
    assert "grace_until" in shown(lab)
    assert "OLD SECRET UNTIL" in lab.aegis("vault", "list").stdout
    row = [r for r in lab.ledger("--admin") if r["event"] == "credential.rotate"][-1]
    assert "the secret before is kept until " in row["detail"]
    # the upstream knows the old one only: what may be repeated is
    used(upstream)
    assert call(lab, "PUT", data=b"a body").status_code == 200
    assert used(upstream) == [("PUT", NEW), ("PUT", OLD)]
    # and from then on nothing has to be, not even what may not be
    answer = call(lab, "POST", data=b"a body")
    assert answer.status_code == 200 and used(upstream) == [("POST", OLD)]
    done = lab.rows_of(answer.headers["X-Aegis-Request-Id"])[-1]
    assert done["kind"] == "completion" and "the secret before the rotation" in done["detail"]
    # now it switches: a POST is never repeated, it only teaches
    takes(upstream, NEW)
    assert call(lab, "POST").status_code == 401 and used(upstream) == [("POST", OLD)]
    assert call(lab, "POST").status_code == 200 and used(upstream) == [("POST", NEW)]
    # a 401 for another reason costs one more try and changes nothing
    takes(upstream)
    assert call(lab).status_code == 401 and used(upstream) == [("GET", NEW), ("GET", OLD)]
    takes(upstream, NEW)
    assert call(lab, "POST").status_code == 200 and used(upstream) == [("POST", NEW)]


def test_a_restart_keeps_it(lab, upstream):
    takes(upstream, OLD)
    lab.stop()
    lab.start()
    assert "grace_until" in shown(lab)
    # what is never repeated finds it, too, the second time
    assert call(lab, "POST").status_code == 401
    assert call(lab, "POST").status_code == 200


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_neither_comes_back(lab, upstream, secret):
    takes(upstream, OLD, NEW)
    upstream.echo = secret.encode()
    assert call(lab, path="/echo").status_code == 502
    assert secret not in lab.log.read_text()


def test_the_end_comes_by_itself(lab, upstream):
    rotate(lab, NEW + "2", "--grace-period", "0.0004")
    takes(upstream, OLD)  # one rotation further back: gone at once
    assert call(lab).status_code == 401
    takes(upstream, NEW)
    assert call(lab).status_code == 200
    end = time.monotonic() + 15
    while not (over := [r for r in lab.ledger("--system") if r["event"] == "credential.grace_over"]):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert over[0]["detail"] == "the time of the secret before is over"  # vault wipes by itself
    assert over[0]["credential"] == "api" and "grace_until" not in shown(lab)
    used(upstream)
    assert call(lab).status_code == 401 and used(upstream) == [("GET", NEW + "2")]
    assert "vault.grace_over" in lab.log.read_text()
    takes(upstream, NEW + "2")
    assert call(lab).status_code == 200


def test_without_it_the_old_one_is_gone_at_once(lab, upstream):
    rotate(lab, NEW, "--grace-period", "100")
    rotate(lab, OLD)
    assert "grace_until" not in shown(lab)
    takes(upstream, NEW, NEW + "2")
    assert call(lab).status_code == 401 and used(upstream) == [("GET", OLD)]


def test_it_ends_while_nothing_runs(lab, upstream):
    rotate(lab, NEW, "--grace-period", "0.0002")
    over = datetime.datetime.fromisoformat(shown(lab)["grace_until"])
    lab.stop()
    while datetime.datetime.now(datetime.timezone.utc) <= over:
        time.sleep(0.02)
    before = next(lab.data.rglob("*.vault")).stat().st_size
    lab.start()
    assert next(lab.data.rglob("*.vault")).stat().st_size < before
    takes(upstream, OLD)
    assert call(lab).status_code == 401 and used(upstream) == [("GET", NEW)]


@pytest.mark.parametrize("hours", ["-1", "soon", "", "1e3", "8761", "0x10"])
def test_what_is_no_time(lab, hours):
    done = lab.aegis("vault", "rotate", "--name", "api", "--secret-stdin", "--grace-period", hours,
                     stdin=NEW, check=False)
    assert done.returncode == 2 and "expected hours, 0 to 8760" in done.stderr


def test_too_long_to_be_kept(lab):
    rotate(lab, "x" * 16385)
    done = lab.aegis("vault", "rotate", "--name", "api", "--secret-stdin", "--grace-period", "1",
                     stdin=NEW, check=False)
    assert done.returncode == 1 and "rotate without --grace-period" in done.stderr
    rotate(lab, NEW)

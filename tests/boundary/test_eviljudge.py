# SPDX-License-Identifier: Apache-2.0
"""Somebody has taken over the judge. Vault is real, an administrator and a worker are honest; the
test holds the judge's door and says everything to it that could lead a credential elsewhere."""

import os

import pytest
from puppet import (BOARD_DECRYPT, BOARD_ENCRYPT, BOARD_ENCRYPT_NEW_KEY, AdminSocket, Directory, Puppet, board,
                    MASTER_KEY, conf_vault, memfd)

SECRET = "sk-of-the-administrator-5f/+Q=="
SEALED = dict(tenant="default", name="github", service="github", domains="api.github.com",
              auth_type="bearer", scheme="https", methods="GET", deny_paths="/admin/**")
OTHERWISE = {
    "another name": dict(name="gitlab"),
    "another tenant": dict(tenant="other"),
    "another service": dict(service="other"),
    "another domain": dict(domains="evil.example"),
    "a domain more": dict(domains="api.github.com,evil.example"),
    "no domain": dict(domains=""),
    "into the query": dict(auth_type="query", query_param="q"),
    "into another header": dict(auth_type="header", header_name="x-other"),
    "a header's name": dict(header_name="x-other"),
    "a parameter's name": dict(query_param="q"),
    "in clear": dict(scheme="http"),
    "another port": dict(port=8443),
    "private addresses": dict(allow_private=1),
    "a method more": dict(methods="GET,POST"),
    "any method": dict(methods=""),
    "other paths": dict(allow_paths="/x"),
    "denied paths": dict(deny_paths=""),
}


class Site:
    def __init__(self, prefix, conf=None, directory=None):
        self.tap = []
        self.directory = directory or Directory("VAULT")
        self.vault = Puppet(prefix, "VAULT", conf or conf_vault(), directory=self.directory).ready()
        self.judge = self.vault.door("JUDGE", tap=self.tap)
        self.socket = AdminSocket(self.vault)
        self.admin = self.socket.door()

    def bring(self, door=None, secret=SECRET, **changes):
        fields = dict({**SEALED, "add": 1}, **changes)
        if secret is not None:
            fields["secret"] = memfd(secret)
        got = (door or self.admin).ask("secret_offer", **fields)
        assert got["code"] == 0, got
        return got["offer"]

    def seal(self, offer=b"", replace=0, **changes):
        return self.judge.ask("credential_seal", offer=offer, replace=replace,
                              **{**SEALED, **changes})["code"]

    def close(self):
        self.admin.close()
        assert self.vault.stop() == 0
        self.socket.remove()
        self.directory.remove()


REFUSED, MISSING = 7, 2


@pytest.fixture(scope="module")
def site(prefix):
    s = Site(prefix)
    assert s.seal(s.bring()) == 0
    s.worker = s.vault.door("WORKER", name="github")
    yield s
    s.close()


def unchanged(site):
    got = site.worker.ask("credential_fetch")
    assert got["code"] == 0 and got["secret"] == SECRET.encode()
    assert {k: got[k] for k in SEALED} == SEALED and got["port"] == got["allow_private"] == 0


@pytest.mark.parametrize("replace", [0, 1], ids=["new", "again"])
@pytest.mark.parametrize("offer", [b"", b"\xff" * 16], ids=["none", "guessed"])
def test_alone(site, offer, replace):
    for changes in ({}, *OTHERWISE.values()):
        assert site.seal(offer, replace, **changes) == REFUSED, changes
    unchanged(site)


@pytest.mark.parametrize("changes", OTHERWISE.values(), ids=OTHERWISE)
def test_otherwise_than_it_was_brought(site, changes):
    """While the administrator rotates it, and while one of another name is added."""
    assert site.seal(site.bring(add=0, set=0), 1, **changes) == REFUSED
    offer = site.bring(name="second", service="second")
    for replace in (0, 1):
        assert site.seal(offer, replace, **{**dict(name="second", service="second"),
                                            **changes}) == REFUSED
    unchanged(site)


def test_a_change_of_one_thing_is_none_of_another(site):
    offer = site.bring(secret=None, add=0, set=1 << 3, query_param="q")
    assert site.seal(offer, 1, domains="evil.example", query_param="q") == REFUSED
    assert site.seal(offer, 0, query_param="q") == REFUSED
    unchanged(site)


def test_what_was_brought_counts_once_and_while_its_bringer_is_there(site):
    offer = site.bring(name="third", service="third")
    assert site.seal(offer, name="third", service="third") == 0
    assert site.seal(offer, 1, name="third", service="third") == REFUSED
    assert site.judge.ask("credential_drop", tenant="default", name="third")["code"] == 0
    assert site.seal(offer, name="third", service="third") == REFUSED
    other = site.socket.door()
    offer = site.bring(other, name="third", service="third")
    other.close()
    site.bring()  # vault has seen the other one go
    assert site.seal(offer, name="third", service="third") == REFUSED


# -- blackboards: what an administrator wants done, once the judge has confirmed it --

BOARD = dict(tenant="default", object="exec-1")
ACCESS_BOARD = 4
PLAIN = b"board-of-the-administrator-7/+Q=="


def text_of(site):
    got = board(site.judge, site.admin, BOARD_ENCRYPT, *BOARD.values(), PLAIN)
    assert got["code"] == 0
    return got["text"]


def confirm(site, offer, act=BOARD_DECRYPT, **changes):
    return site.judge.ask("board_confirm", offer=offer, act=act, **{**BOARD, **changes})["code"]


def decrypt(door, text):
    got = door.ask("board_decrypt", text=text)
    assert (got["code"] == 0) == (got["plain"] == PLAIN) and (got["code"] == 0) == (not got["message"])
    return got["code"]


def offer_board(door, act=BOARD_DECRYPT):
    return door.ask("board_offer", act=act, **BOARD)["offer"]


def test_no_administrator_uses_a_blackboard_without_the_judge(site):
    text, door = text_of(site), site.socket.door()
    assert decrypt(door, text) == REFUSED
    offer_board(door)
    assert decrypt(door, text) == REFUSED
    assert door.ask("board_encrypt", plain=PLAIN)["code"] == REFUSED
    offer = offer_board(door)
    assert confirm(site, offer) == 0 and decrypt(door, text) == 0
    assert decrypt(door, text) == REFUSED  # once
    assert confirm(site, offer) == REFUSED
    rows = []
    while len(rows) < 6:
        row = site.judge.wait("access_context").fields
        rows += [row] if row["use"] == ACCESS_BOARD else []
    assert [r["code"] for r in rows] == [0, REFUSED, REFUSED, REFUSED, 0, REFUSED]
    assert [r["reference"] for r in rows[2:5]] == ["blackboard exec-1", "blackboard", "blackboard exec-1"]
    door.close()


def test_the_judge_does_not_use_a_blackboard_alone(site):
    text = text_of(site)
    door, other = site.socket.door(), site.socket.door()
    for offer in (b"", b"\xff" * 16):
        assert confirm(site, offer) == REFUSED
    for changes in (dict(tenant="other"), dict(object="exec-2"), dict(object=""),
                    dict(act=BOARD_ENCRYPT), dict(act=0)):
        assert confirm(site, offer_board(door), **changes) == REFUSED, changes
        assert decrypt(door, text) == REFUSED, changes
    # confirmed for one connection, one act, and while its administrator is there
    offer_board(other)
    assert confirm(site, offer_board(door)) == 0
    assert decrypt(other, text) == REFUSED
    assert door.ask("board_encrypt", plain=PLAIN)["code"] == REFUSED
    assert decrypt(door, text) == REFUSED
    assert confirm(site, offer_board(door, BOARD_ENCRYPT), BOARD_ENCRYPT_NEW_KEY) == REFUSED
    old = offer_board(door)
    offer_board(door)
    assert confirm(site, old) == REFUSED
    offer = offer_board(other)
    other.close()
    site.bring()  # vault has seen the other one go
    assert confirm(site, offer) == REFUSED
    door.close()


def test_nothing_that_the_judge_was_told_holds_a_secret(site):
    told = b"".join(site.tap)
    assert b"brought" in told  # vault's refusals
    assert SECRET.encode()[3:20] not in told and PLAIN[6:20] not in told


# -- the master key in shares: as an administrator wants it, once the judge has allowed it --

LOCKED, SHARES_NEEDED = 5, 10


def wish(site, threshold=2, shares=3, door=None):
    got = (door or site.admin).ask("split_offer", threshold=threshold, shares=shares)
    assert got["code"] == 0, got
    return got["offer"]


def allow(site, offer, threshold=2, shares=3):
    return site.judge.ask("split_allow", offer=offer, threshold=threshold, shares=shares)["code"]


def make(site, door=None):
    """Has the shares made; the test is the master, too, which lends the key for it."""
    door = door or site.admin
    door.send("split_make", 77)
    asked = site.vault.master.wait("key_want")
    key = memfd(MASTER_KEY)
    site.vault.master.send("key_lent", asked.reqid, key=key)
    os.close(key)
    return door.wait("split_made").fields


def no_shares(door):
    got = door.ask("split_make")
    assert got["code"] != 0 and not got["shares"]
    assert door.ask("split_keep")["code"] != 0


def test_the_judge_alone_has_no_shares_made(site):
    for offer in (b"", b"\xff" * 16):
        assert allow(site, offer) == REFUSED
    no_shares(site.admin)


def test_an_administrator_alone_has_no_shares_made(site):
    wish(site)
    no_shares(site.admin)


def test_a_split_is_made_as_it_was_asked_for_and_for_who_asked(site):
    offer = wish(site)
    for threshold, shares in ((1, 3), (2, 2), (2, 255), (3, 3)):
        assert allow(site, offer, threshold, shares) == REFUSED
        no_shares(site.admin)
    other = site.socket.door()
    assert other.ask("split_offer", threshold=2, shares=2)["code"] == REFUSED, "one at a time"
    assert allow(site, offer) == 0
    no_shares(other)
    got = make(site)
    assert got["code"] == 0 and got["shares"].count(b"aegis_share_") == 3
    no_shares(other)
    assert site.admin.ask("split_make")["code"] == REFUSED, "once"
    other.close()


def test_what_was_allowed_ends_with_who_asked(site):
    other = site.socket.door()
    assert site.admin.ask("split_keep")["code"] == 0  # that of the test before
    offer = wish(site, door=other)
    assert allow(site, offer) == 0
    other.close()
    site.bring()  # vault has seen it go
    no_shares(site.admin)
    assert allow(site, offer) == REFUSED


@pytest.fixture(scope="module")
def split_vault(prefix):
    """A directory with a vault whose key was split, 2 of 3; and the shares."""
    s = Site(prefix)
    assert allow(s, wish(s)) == 0
    shares = make(s)["shares"].split()
    assert s.admin.ask("split_keep")["code"] == 0
    s.admin.close()
    assert s.vault.stop() == 0
    s.socket.remove()
    yield s.directory, shares
    s.directory.remove()


class SealedSite(Site):
    def __init__(self, prefix, directory, **conf):
        conf = dict(vault_name="main", admin_uid=os.geteuid(), sealed=1, **conf)
        self.tap, self.directory = [], directory
        self.vault = Puppet(prefix, "VAULT", [("conf_vault", conf)], directory=directory).ready()
        self.judge = self.vault.door("JUDGE", tap=self.tap)
        self.socket = AdminSocket(self.vault)
        self.admin = self.socket.door()

    def stop(self):
        self.admin.close()
        status = self.vault.stop()
        self.socket.remove()
        return status


@pytest.fixture
def sealed(prefix, split_vault):
    s = SealedSite(prefix, split_vault[0])
    yield s
    assert s.stop() == 0


def test_a_sealed_vault_has_nothing_for_anybody(sealed):
    worker, toolexec = sealed.vault.door("WORKER", name="github"), sealed.vault.door("TOOLEXEC", name="t")
    got = worker.ask("credential_fetch")
    assert got["code"] == LOCKED and not got["secret"]
    assert toolexec.ask("env_fetch", index=0)["code"] != 0
    keys = sealed.judge.ask("vault_keys")
    assert keys["code"] == LOCKED and (keys["threshold"], keys["shares"]) == (2, 3)
    for message in ("token_sign", "checkpoint_sign", "operator_sign", "node_sign", "key_rotate",
                    "credential_seal", "credential_drop"):
        assert sealed.judge.ask(message)["code"] != 0, message
    assert sealed.admin.ask("split_offer", threshold=2, shares=2)["code"] == LOCKED
    no_shares(sealed.admin)


def test_shares_make_the_key_and_only_the_master_gets_it(sealed, split_vault):
    shares = split_vault[1]
    assert sealed.admin.ask("share_bring", share=shares[2])["have"] == 1
    other = sealed.socket.door()
    got = other.ask("share_bring", share=shares[0] + b"\n")
    assert (got["code"], got["open"], got["have"]) == (0, 1, 2)
    assert sealed.vault.master.wait("key_joined").fields["key"] == MASTER_KEY.encode()
    seen = b"".join(sealed.tap)
    assert not [s for s in shares if s in seen] and MASTER_KEY.encode() not in seen
    assert bytes.fromhex(MASTER_KEY) not in seen


def test_shares_of_a_key_that_is_not_this_vaults(prefix, sealed, split_vault):
    """Somebody has put another vault's file in the place of this one's."""
    shares, path = split_vault[1], split_vault[0].path
    other = Site(prefix, conf_vault(key="ab" * 32))
    right = (path / "main.vault").read_bytes()
    try:
        (path / "main.vault").write_bytes((other.directory.path / "main.vault").read_bytes())
        assert sealed.admin.ask("share_bring", share=shares[0])["code"] == 0
        got = sealed.admin.ask("share_bring", share=shares[1])
        assert got["code"] == REFUSED and "Key verification failed" in got["message"] and not got["open"]
        with pytest.raises(TimeoutError):
            sealed.vault.master.wait("key_joined", 0.2)
    finally:
        (path / "main.vault").write_bytes(right)
        other.close()


def test_without_a_judge_no_share_is_taken(prefix, split_vault):
    """Nobody would write the row."""
    s = SealedSite(prefix, split_vault[0])
    s.judge.close()
    other = s.vault.door("JUDGE", greet=False)
    got = s.admin.ask("share_bring", share=split_vault[1][0])
    assert got["code"] == REFUSED and "judge" in got["message"]
    other.close()
    assert s.stop() == 0


def test_another_split_of_a_key_that_was_joined_takes_its_shares(prefix, split_vault):
    s = SealedSite(prefix, split_vault[0])
    assert s.stop() == 0
    conf = conf_vault(create=False)
    conf[0][1]["joined"] = 1
    s = Site(prefix, conf, split_vault[0])
    got = s.admin.ask("split_offer", threshold=2, shares=2)
    assert got["code"] == SHARES_NEEDED and not got["offer"].strip(b"\0")
    assert s.admin.ask("share_bring", share=split_vault[1][0], split=1)["have"] == 1
    assert s.admin.ask("split_offer", threshold=2, shares=2)["code"] == SHARES_NEEDED
    assert s.admin.ask("share_bring", share=split_vault[1][1], split=1)["open"] == 1
    assert allow(s, wish(s, 2, 2), 2, 2) == 0
    assert make(s)["shares"].count(b"aegis_share_") == 2
    s.admin.close()
    assert s.vault.stop() == 0
    s.socket.remove()

# SPDX-License-Identifier: Apache-2.0
"""Every daemon, every peer, every message: what a peer may say is what the permit tables
in the sources say, and nothing else; and nothing that it says can hurt.

What is expected comes from the tables as parsed (lib/proto.py). The tables themselves
are checked at the top: no row there may give away what the design keeps apart."""

import json
import os
import re
import select
import time

import proto
import pytest
from proto import EDGES, HEADER, MESSAGES, MSG_MAX, ROLES, TABLES, encode, frame, permitted
from samples import REQID, Malformed, least, most, well_formed
from subject import DAEMONS, Case, Subject, judge_verdict, role_text

LINES = sorted([(e.target, e.source) for e in EDGES if e.target in DAEMONS]
               + [(e.source, e.target) for e in EDGES if e.source in DAEMONS])
NAMES = [f"{sender.lower()}-to-{receiver.lower()}" for receiver, sender in LINES]
every_line = pytest.mark.parametrize("receiver, sender", LINES, ids=NAMES)


# -- the tables themselves --

def test_edges_are_those_of_the_design():
    assert {(e.source, e.target) for e in EDGES} == {
        ("GATE", "JUDGE"), ("GATE", "WORKER"), ("GATE", "TOOLHOST"),
        ("JUDGE", "VAULT"), ("JUDGE", "DISPATCH"), ("JUDGE", "WORKER"), ("JUDGE", "TOOLHOST"),
        ("WORKER", "VAULT"), ("WORKER", "DISPATCH"), ("TOOLEXEC", "VAULT"), ("TOOLEXEC", "DISPATCH"),
        ("ADMIN", "JUDGE"), ("ADMIN", "VAULT"), ("API", "JUDGE")}
    assert len(EDGES) == 14
    # the agents' side has no line to secrets, nor to whoever starts processes
    assert not {(e.source, e.target) for e in EDGES} & {
        ("GATE", "VAULT"), ("VAULT", "GATE"), ("GATE", "DISPATCH"), ("DISPATCH", "GATE"),
        ("TOOLHOST", "VAULT"), ("DISPATCH", "VAULT")}


def test_tables_are_those_of_the_edges():
    named = {e.at_target: e.target for e in EDGES} | {e.at_source: e.source for e in EDGES}
    for name, owner in named.items():
        # toolexec and the command line have no loop: they ask and take the answer only
        assert (name in TABLES) == (owner in DAEMONS), name
    for name in set(TABLES) - set(named):
        assert name.endswith("_master"), f"{name} is on no edge"
    for name, rows in TABLES.items():
        assert len({r.message for r in rows}) == len(rows), f"{name}: a message stands twice"
        for row in rows:
            assert row.message in MESSAGES, f"{name}: {row.message}"
            assert MESSAGES[row.message].kind in ("ASK", "NOTE"), f"{name}: {row.message}"
            assert row.states <= {"CHAN_READY", "CHAN_ANY"} and row.states, f"{name}: {row}"
            assert row.flags <= {"PERMIT_ONCE", "PERMIT_HOT"}, f"{name}: {row}"
            assert row.handler != "NULL"


def who_may(message):
    return {(s, r) for r in DAEMONS for s in ROLES if message in permitted(r, s)}


def family(name):
    text = (proto.ROOT / "common/proto" / name).read_text()
    return set(re.findall(r"^(?:ASK|NOTE|ANSWER)\((\w+)", text, re.M))


def test_tables_give_nothing_away():
    for message in family("vault.def"):
        for sender, receiver in who_may(message):
            assert "VAULT" in (sender, receiver) and "GATE" not in (sender, receiver), message
    assert who_may("credential_fetch") == {("WORKER", "VAULT")}
    assert who_may("env_fetch") == {("TOOLEXEC", "VAULT")}
    for message in ("token_sign", "credential_seal", "credential_drop", "checkpoint_sign",
                    "vault_keys", "board_confirm", "split_allow"):
        assert who_may(message) == {("JUDGE", "VAULT")}, message
    assert who_may("secret_offer") == who_may("board_offer") == {("ADMIN", "VAULT")}
    # shares of the master key pass between a person and vault, and nobody else
    for message in ("split_offer", "split_make", "split_keep", "share_bring"):
        assert who_may(message) == {("ADMIN", "VAULT")}, message
    assert who_may("share_event") == {("VAULT", "JUDGE")}
    assert who_may("grant_key") == {("JUDGE", "WORKER"), ("JUDGE", "TOOLHOST")}
    assert who_may("proxy_open") == {("GATE", "WORKER")}
    assert who_may("tool_call") == {("GATE", "TOOLHOST")}
    assert who_may("client_ask") == {("TOOLHOST", "JUDGE")}
    assert who_may("tool_withdraw") == {("JUDGE", "TOOLHOST")}
    assert who_may("tunnel_open") == {("TOOLEXEC", "DISPATCH")}
    assert who_may("tunnel_record") == {("DISPATCH", "JUDGE")}
    assert who_may("worker_want") == {("JUDGE", "DISPATCH")}
    assert {s for s, _ in who_may("stats")} == {"JUDGE"}
    assert who_may("hook_send") == {("JUDGE", "WORKER")}
    for message in family("admin.def"):
        assert who_may(message) <= {("ADMIN", "JUDGE")}, message
    # what comes from the master comes on the master's own door
    for message in family("control.def"):
        assert who_may(message) == set(), message


def test_secrets_are_brought_to_vault_alone():
    """An administrator gives the judge no descriptor and no secret to pass on, and the judge
    gives vault none: there is nothing to see for one that was captured."""
    assert {name for name in family("admin.def")
            if [f for f in MESSAGES[name].fields if f.kind in ("FD", "OPTFD", "SECRET")]
            } == {"user_login", "db_copy"}  # a person's key; and a file for it to write to
    for name in permitted("VAULT", "JUDGE"):
        assert not [f for f in MESSAGES[name].fields if f.kind in ("FD", "OPTFD", "SECRET")], name
    assert set(permitted("VAULT", "ADMIN")) == {"secret_offer", "board_offer", "board_encrypt", "board_decrypt",
                                                 "split_offer", "split_make", "split_keep", "share_bring"}


def test_the_gate_is_asked_nothing_but_its_numbers():
    """It is told how an answer goes on, and by whom: nothing that it would act on."""
    told = {m: s for r, s in LINES if r == "GATE" for m in permitted(r, s)}
    assert told == {"proxy_end": "WORKER", "mcp_event": "JUDGE", "answer_part": "JUDGE",
                    "vault_state": "JUDGE", "stats": "JUDGE", "tool_event": "TOOLHOST"}
    assert [m for m in told if MESSAGES[m].kind != "NOTE"] == ["stats"]


def test_the_data_api_reads_only():
    """It has one door, and says nothing there that changes anything."""
    assert {e.target for e in EDGES if e.source == "API"} == {"JUDGE"}
    assert set(permitted("JUDGE", "API")) == {"api_request", "feed_gone", "refusal_record",
                                              "permit_refused"}
    assert set(permitted("API", "JUDGE")) == {"answer_part", "feed_row", "feed_end", "stats"}


def test_no_secret_leaves_but_to_its_user():
    """Answers with a secret in them belong to three questions, all to vault."""
    carriers = {m.name for m in MESSAGES.values()
                if any(f.kind == "SECRET" for f in m.fields)}
    keys_of_people = {"user_login", "conf_starter"}  # to the judge, which hashes them
    assert carriers == {"credential_secret", "env_item", "conf_tool_secret",
                        "conf_webhook_secret", "grant_key", "board_encrypt", "board_decrypted",
                        "split_made", "share_bring", "key_joined"} | keys_of_people
    # octets of blackboards are given back to whom vault's own socket lets in
    assert who_may("board_decrypt") == who_may("board_encrypt") == {("ADMIN", "VAULT")}
    for answer, question in (("credential_secret", "credential_fetch"), ("env_item", "env_fetch"),
                             ("split_made", "split_make")):
        assert [m.name for m in MESSAGES.values() if m.answer == answer] == [question]


def test_every_message_fits_its_datagram():
    for m in MESSAGES.values():
        octets = sum({"U8": 1, "U32": 4, "U64": 8, "FD": 0, "OPTFD": 1}.get(f.kind, f.max)
                     + (4 if f.kind in ("STR", "BLOB", "SECRET") else 0) for f in m.fields)
        assert HEADER + octets <= MSG_MAX, m.name
        assert sum(f.kind in ("FD", "OPTFD") for f in m.fields) <= proto.MAX_FDS, m.name


# -- the daemons --

@pytest.fixture(scope="module")
def subjects(prefix):
    made = {}

    def get(role):
        if role not in made:
            made[role] = Subject(prefix, role)
        return made[role]
    yield get
    ends = {role: s.close() for role, s in made.items()}
    assert all(status == 0 for status in ends.values()), f"exit status: {ends}"


@pytest.fixture
def attack(subjects):
    """attack(receiver, sender, cases): each as it must be, the daemon alive, all
    descriptors given back."""
    def go(receiver, sender, cases):
        s = subjects(receiver)
        before = s.puppet.fds() if os.geteuid() == 0 else None
        cases = list(cases)
        results = s.run(sender, cases)
        assert s.puppet.alive(), f"{receiver} ended with {s.puppet.status}\n{s.puppet.log()[-3000:]}"
        wrong = [f"{c.what}: {v}" for c, r in zip(cases, results)
                 if (v := judge_verdict(sender, receiver, c, r))]
        assert len(results) == len(cases) or wrong
        assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong[:40])
        if before is not None:
            assert s.puppet.fds() == before, "descriptors were kept"
        return results
    return go


class Canary:
    """A pipe whose writing end goes into hostile messages. Once ours is closed too, the
    reading end says whether anybody kept one."""

    def __enter__(self):
        self.read, self.write = os.pipe()
        return self.write

    def __exit__(self, *error):
        os.close(self.write)
        poll = select.poll()
        poll.register(self.read, select.POLLIN)
        gone = bool(poll.poll(5000))
        os.close(self.read)
        if error[0] is None:
            assert gone, "somebody kept a descriptor of a refused message"


def reason_unless_permitted(receiver, sender, message):
    if MESSAGES[message].kind == "ANSWER":
        return "answer without a question"
    return None if message in permitted(receiver, sender) else "no permit"


def close_all(cases):
    for case in cases:
        for _, fds in case.frames:
            for fd in fds:
                os.close(fd)


@every_line
def test_every_message(attack, receiver, sender):
    cases = [well_formed(name, make(name), reason_unless_permitted(receiver, sender, name), what)
             for name in MESSAGES for make, what in ((least, "least"), (most, "most"))]
    try:
        attack(receiver, sender, cases)
    finally:
        close_all(cases)


@every_line
def test_before_hello(attack, receiver, sender):
    cases = []
    for name in MESSAGES:
        if name != "hello":
            octets, fds = encode(name, REQID if MESSAGES[name].kind != "NOTE" else 0, least(name))
            cases.append(Case(name, [(octets, fds)], "message before HELLO", greet=False))
    try:
        attack(receiver, sender, cases)
    finally:
        close_all(cases)


@every_line
def test_hello(attack, receiver, sender):
    bad, cases = "no proper HELLO", []

    def case(what, octets, reason=bad, fds=()):
        cases.append(Case(what, [(octets, list(fds))], reason, greet=False))

    with Canary() as canary:
        for role in set(ROLES) - {sender, "MAX"}:
            case(f"as {role}", proto.hello(role))
        good = proto.hello(sender)
        case("role 255", good[:-1] + b"\xff")
        for version in (0, proto.VERSION + 1, 0xffffffff):
            case(f"version {version}", proto.hello(sender, version=version))
        for bit in (0, 100, 255):
            schema = bytearray(proto.SCHEMA)
            schema[bit // 8] ^= 1 << bit % 8
            case(f"bit {bit} of the schema", proto.hello(sender, schema=bytes(schema)))
        body = good[HEADER:]
        for n in range(len(body)):
            case(f"cut to {n}", frame(1, body[:n]), "cannot be decoded")
        case("longer", frame(1, body + b"\0"), "cannot be decoded")
        case("with a descriptor", frame(1, body, nfds=1), "cannot be decoded", [canary])
        case("with a hidden descriptor", good, "wrong number of descriptors", [canary])
        cases.append(Case("twice", [(good, [])], "no permit"))
        unknown = frame(proto.UNUSED_TYPE)
        case("and a message at once", good + unknown, "unknown type")
        case("twice at once", good + good, "no permit")
        case("after a message at once", unknown + good, "unknown type")
        case("after an answer at once", encode("error")[0] + good, "message before HELLO")
        attack(receiver, sender, cases)


@every_line
def test_malformed(attack, receiver, sender):
    """What may be said, said wrongly."""
    cases = []
    with Canary() as canary:
        for name, row in permitted(receiver, sender).items():
            cases += Malformed(name, canary, "PERMIT_ONCE" in row.flags).cases()
            if "PERMIT_ONCE" in row.flags:
                once = encode(name, 0, least(name))
                assert not once[1]
                cases.append(Case(f"{name} twice", [once, once], "only once"))
        good = proto.hello(sender)
        for n in range(1, HEADER):
            cases.append(Case(f"{n} octets", [(good[:n], [])], "bad header"))
        for n, reason in ((MSG_MAX + 1, "bad header"), (MSG_MAX + 2, "cut datagram"),
                          (150000, "cut datagram")):
            cases.append(Case(f"{n} octets", [(frame(1, b"\0" * (n - HEADER)), [])], reason))
        cases.append(Case("descriptors and octets of nothing", [(b"\xff" * 300, [canary] * 4)],
                          "bad header"))
        attack(receiver, sender, cases)


@pytest.mark.parametrize("receiver", ["WORKER", "TOOLHOST"], ids=str.lower)
def test_weak_grant_keys(attack, receiver):
    """Even the judge cannot make a redeemer believe in a key of less than 256 bits."""
    attack(receiver, "JUDGE", [
        Case(f"{n} octets", [encode("grant_key", 0, {"key": b"k" * n})], "refused by its handler")
        for n in (0, 1, 16, 31)])


@every_line
def test_unknown_types(attack, receiver, sender):
    types = [t for t in (*range(0x0720), 0x7fff, 0xffff) if t not in proto.BY_TYPE]
    step = max(1, len(types) // 150)
    attack(receiver, sender, [Case(f"type {t:#06x}", [(frame(t, reqid=r), [])], "unknown type")
                              for t in types[::step] + types[-3:] for r in (0, 1)])


@pytest.mark.parametrize("receiver", DAEMONS, ids=str.lower)
def test_doors_of_strangers(subjects, receiver):
    """Only the master hands out doors; but even it cannot give one that no edge has."""
    s = subjects(receiver)
    before = s.puppet.fds() if os.geteuid() == 0 else None
    for role in sorted(set(ROLES) - set(s.peers()) - {"MAX"}):
        door = s.puppet.door(role)
        assert door.closed(), f"{receiver} took a door of {role}"
        assert not door.kept and door.greeted is None
        s.puppet.doors.remove(door)
        door.close()
    assert s.puppet.alive()
    if before is not None:
        assert s.puppet.fds() == before


# -- answers --

def a_question(s, sender):
    """A door on which the daemon has just asked something, and the question."""
    door = s.attack_door(sender)
    if s.role == "GATE":  # it asks when an agent does
        while door.greeted is None:
            try:
                door.recv(0.01)
            except TimeoutError:
                pass
        s.agent()
    got = door.recv()
    while MESSAGES[got.name].kind != "ASK":
        got = door.recv()
    return door, got


ASKED = {("WORKER", "VAULT"): "credential_fetch", ("JUDGE", "VAULT"): "vault_keys",
         ("GATE", "JUDGE"): "proxy_authorize"}


@pytest.mark.parametrize("receiver, sender", ASKED, ids=str.lower)
def test_wrong_answers(subjects, receiver, sender):
    s = subjects(receiver)
    asked = ASKED[receiver, sender]
    right = MESSAGES[asked].answer
    answers = [m.name for m in MESSAGES.values() if m.kind == "ANSWER"]
    cases = [(name, 0, "wrong answer") for name in answers if name not in (right, "error")]
    cases += [(right, by, "answer without a question") for by in (1, -1, 1 << 16, 1 << 40)]
    for name, by, reason in cases:
        door, question = a_question(s, sender)
        assert question.name == asked
        door.send(name, question.reqid + by)
        check_shut(s, sender, door, reason, name)
    # a right answer is one answer
    if receiver == "JUDGE":
        door, question = a_question(s, sender)
        for _ in range(2):
            door.send(right, question.reqid, token_kid="t", ledger_kid="l")
        check_shut(s, sender, door, "answer without a question", "twice")
    s.restore(sender)
    s.settle()
    assert s.puppet.alive()


def check_shut(s, sender, door, reason, what):
    assert door.closed(), what
    for _ in range(100):
        if door.instance in s.misbehaved:
            break
        s.pump(0.05)
    assert s.misbehaved.get(door.instance) == reason, what
    s.puppet.doors.remove(door)
    door.close()


# -- the ledger --

def test_refusals_become_rows(subjects):
    """Each as a row of its own while they are few; a flood as a number."""
    s = subjects("JUDGE")
    time.sleep(1.1)  # the second of what came before is over
    admin = s.attack_door("ADMIN")
    newest = admin.ask("ledger_read", newest_first=1, limit=1)
    last = json.loads(newest["json"])["last"]
    few = [Case("fetch", [(encode("credential_fetch", 1)[0], [])], "no permit")] * 3
    for sender in ("GATE", "WORKER", "TOOLHOST", "DISPATCH"):
        assert all(r.shut for r in s.run(sender, few))
    rows = rows_after(admin, last)
    assert len(rows) == 12
    for sender, row in zip([x for x in ("gate", "worker", "toolhost", "dispatcher") for _ in "123"],
                           rows):
        assert row["kind"] == "system" and row["event"] == "permit.refused"
        assert row["code"] == "credential_fetch" and row["reason"] == "no permit"
        assert re.fullmatch(rf"{sender} \d+ sent type 0x0510 to judge", row["detail"])
    time.sleep(1.1)
    last = rows[-1]["seq"]
    s.run("GATE", few * 100)
    time.sleep(1.3)
    rows = rows_after(admin, last)
    summed = [r for r in rows if r["event"] == "refusals.summed" and r["code"] == "peer"]
    single = [r for r in rows if r["event"] == "permit.refused"]
    assert summed and len(rows) < 60
    assert len(single) + sum(int(r["detail"].split()[0]) for r in summed) == 300
    s.puppet.doors.remove(admin)
    admin.close()


def test_others_reports_become_rows(subjects):
    """What a peer of another daemon did, as that daemon tells it."""
    s = subjects("JUDGE")
    time.sleep(1.1)
    admin = s.attack_door("ADMIN")
    last = json.loads(admin.ask("ledger_read", newest_first=1, limit=1)["json"])["last"]
    for teller in ("GATE", "WORKER", "TOOLHOST", "DISPATCH", "VAULT"):
        door = s.attack_door(teller)
        door.send("permit_refused", role=ROLES["GATE"], instance=77, type=0x0510,
                  reason="no permit")
        rows = []
        for _ in range(100):
            rows = rows_after(admin, last)
            if rows:
                break
            s.pump(0.02)
        assert [r["detail"] for r in rows] == [
            f"gate 77 sent type 0x0510 to {role_text(teller)}"]
        last = rows[-1]["seq"]
        s.puppet.doors.remove(door)
        door.close()
    s.restore("VAULT")
    s.settle()
    s.puppet.doors.remove(admin)
    admin.close()


def rows_after(admin, seq):
    got = admin.ask("ledger_read", after=seq, limit=1000)
    return [json.loads(r["json"])["row"] for r in got["rows"]]

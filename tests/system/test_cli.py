# SPDX-License-Identifier: Apache-2.0
"""The command line: what it makes, what it refuses, what it says, and that secrets stay
where they belong."""

import csv
import hashlib
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Lab, free_port

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def lab(prefix, place):
    lab = Lab(prefix, place / "lab").init()
    yield lab
    lab.remove()


@pytest.fixture
def gate(lab):
    lab.credential("echo-key", "echo", "s3cret-value", "127.0.0.1", "--allow-private")
    lab.token = lab.agent("bot", "echo-key")
    return lab.start()


def bare(prefix, place, **env):
    """A runner in an empty directory, as a newcomer has it."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), **env}

    def run(*args, stdin=None):
        return subprocess.run([str(prefix / "bin" / "aegis"), *args], cwd=place, text=True,
                              env=environment, capture_output=True, input=stdin, timeout=60)
    return run


# -- init --

def test_init_says_where_the_key_is_and_never_shows_it(prefix, place):
    aegis = bare(prefix, place)
    done = aegis("init")
    assert done.returncode == 0, done.stderr
    file = place / ".aegis" / ".master-key"
    key = file.read_text()
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert file.stat().st_mode & 0o777 == 0o600
    assert str(file) in done.stdout and key not in done.stdout + done.stderr
    assert aegis("config", "validate").returncode == 0
    assert aegis("vault", "list").returncode == 0


def test_init_write_secrets_and_env_file(prefix, place):
    for flag, name in (("--write-secrets", "aegis.config.yaml"), ("--env-file", ".env")):
        where = place / name.strip(".")
        where.mkdir()
        aegis = bare(prefix, where)
        assert aegis("init", flag).returncode == 0
        assert (where / name).stat().st_mode & 0o777 == 0o600
        key = re.search("[0-9a-f]{64}", (where / name).read_text()).group()
        assert not (where / ".aegis" / ".master-key").exists()
        assert aegis("vault", "list").returncode == 0
        shown = aegis("config", "show")
        assert key not in shown.stdout and "********" in shown.stdout
    assert bare(prefix, place)("init", "--write-secrets", "--env-file").returncode == 2


def test_init_overwrites_nothing(prefix, place):
    aegis = bare(prefix, place)
    assert aegis("init").returncode == 0
    assert aegis("agent", "add", "-n", "keep").returncode == 0
    before = {p: p.read_bytes() for p in (place / ".aegis" / "vault").iterdir()}
    again = aegis("init")
    assert again.returncode == 1 and "exists" in again.stderr
    (place / "aegis.config.yaml").rename(place / "moved.yaml")
    again = aegis("init")
    assert again.returncode == 1 and "holds a vault" in again.stderr
    assert before and {p: p.read_bytes() for p in (place / ".aegis" / "vault").iterdir()} == before
    assert "keep" in aegis("agent", "list", "--config", "moved.yaml").stdout


def test_init_where_the_daemons_cannot_go(prefix, place):
    """As root they are other users: a closed directory above theirs is named, and how to open it."""
    place.chmod(0o700)
    done = bare(prefix, place)("init")
    if os.geteuid() != 0:
        assert done.returncode == 0
        return
    assert done.returncode == 1 and f"chmod o+x {place}" in done.stderr
    assert not list(place.iterdir())
    place.chmod(0o711)
    assert bare(prefix, place)("init").returncode == 0


def test_init_that_fails_leaves_nothing(prefix, place):
    done = bare(prefix, place, AEGIS_LIBEXEC="/nowhere")("init", "--generate-cert")
    assert done.returncode == 1
    assert [p for p in place.rglob("*") if p.is_file()] == []
    assert bare(prefix, place)("init").returncode == 0


def test_init_takes_a_key_of_the_environment(prefix, place):
    key = "5a" * 32
    aegis = bare(prefix, place, AEGIS_MASTER_KEY=key)
    assert aegis("init").returncode == 0
    assert not (place / ".aegis" / ".master-key").exists()
    assert aegis("vault", "list").returncode == 0
    assert key not in (place / "aegis.config.yaml").read_text()
    wrong = bare(prefix, place, AEGIS_MASTER_KEY="a5" * 32)("vault", "list")
    assert wrong.returncode == 1 and "Invalid master key" in wrong.stderr
    none = bare(prefix, place)("vault", "list")
    assert none.returncode == 1 and "AEGIS_MASTER_KEY is not set" in none.stderr


# -- usage --

def test_usage_errors_exit_2_and_guess(prefix, place):
    aegis = bare(prefix, place)
    for args, words in ((["vualt", "list"], "aegis vault"),
                        (["vault", "lst"], "aegis vault list"),
                        (["vault", "add", "--nam", "x"], "--name"),
                        (["vault", "add"], "--service SERVICE is missing"),
                        (["vault", "list", "extra"], "one word too many"),
                        (["gate", "--port", "x"], "expected a number"),
                        (["gate", "--port", "70000"], "1 to 65535"),
                        (["agent", "add", "-n"], "needs a value"),
                        (["agent", "add", "-n", "a", "-n", "b"], "given twice"),
                        (["ledger", "export", "-f", "xml"], "csv, json or jsonl"),
                        (["ledger", "verify", "x"], "--key KEY is missing")):
        done = aegis(*args)
        assert done.returncode == 2 and words in done.stderr, (args, done)
        assert done.stderr.startswith("✗ ") and done.stdout == ""
    assert aegis().returncode == 2
    assert aegis("--version").stdout == aegis("version").stdout


def test_help_and_completion_know_every_command(prefix, place):
    aegis = bare(prefix, place)
    commands = re.findall(r"^  aegis ([a-z-]+(?: [a-z-]+)?)", aegis("help").stdout, re.M)
    assert len(commands) > 35
    manual = subprocess.run(["mandoc", "-Tascii", TOP / "doc" / "aegis.1"], text=True, check=True,
                            capture_output=True).stdout
    manual = " ".join(re.sub(".\b", "", manual).split())
    for command in commands:
        shown = aegis(*command.split(), "--help")
        assert shown.returncode == 0 and shown.stdout.startswith(f"aegis {command}")
        assert command in manual
        for flag in re.findall(r"--([a-z-]+)", shown.stdout):
            assert f"-{flag}" in manual, (command, flag)
    for shell, check in (("bash", ["bash", "-n"]), ("zsh", None), ("fish", None)):
        script = aegis("completion", shell).stdout
        for word in ("vault", "set-rate-limit", "secret-stdin"):
            assert word in script
        if check:
            subprocess.run(check, input=script, text=True, check=True)


def test_bash_completion_completes(prefix, place):
    script = bare(prefix, place)("completion", "bash").stdout

    def complete(*words):
        probe = script + f"\nCOMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}\n" \
            "_aegis; printf '%s\\n' \"${COMPREPLY[@]}\"\n"
        return subprocess.run(["bash"], input=probe, text=True, capture_output=True,
                              check=True).stdout.split()

    assert complete("aegis", "va") == ["vault"]
    assert set(complete("aegis", "vault", "")) == {
        "add", "create", "decrypt", "destroy", "encrypt", "leases", "list", "refresh", "remove",
        "rotate", "seal", "show", "split", "unseal", "update", "vaults"}
    assert complete("aegis", "vault", "add", "--dom") == ["--domains"]
    assert complete("aegis", "gate", "--no-a") == ["--no-agent-auth"]


def test_manual_names_every_key(prefix, place):
    shown = json.loads(bare(prefix, place)("config", "show", "--json").stdout)
    manual = (TOP / "doc" / "aegis.config.yaml.5").read_text()
    for key in shown["keys"]:
        assert f".It Ic {key}\n" in manual, key


# -- secrets --

def test_secret_of_argv_is_not_in_the_list_of_processes(lab):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(lab.admin))
    listener.listen()
    process = subprocess.Popen(
        [str(lab.bin), "vault", "add", "-n", "a", "-s", "a", "-d", "a.example.com", "--secret",
         "hunter2hunter2"], env=lab.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peer, _ = listener.accept()  # it waits for a greeting now
    line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    peer.close()
    listener.close()
    err = process.communicate(timeout=30)[1]
    assert b"vault" in line and b"hunter2" not in line
    assert "warning" in err and "hunter2" not in err
    assert process.returncode == 4


def test_ways_to_give_a_secret(lab, place):
    file = place / "secret"
    file.write_text("from a file\n")
    add = ["vault", "add", "-d", "a.example.com"]
    lab.aegis(*add, "-n", "a", "-s", "a", "--secret-file", file)
    lab.aegis(*add, "-n", "b", "-s", "b", "--secret", "-", stdin="from stdin\n")
    lab.aegis(*add, "-n", "c", "-s", "c", "--secret-stdin", stdin="x" * 32768 + "\n")
    for args, stdin, words in ((["--secret-stdin"], "x" * 32769, "more than"),
                               (["--secret-stdin"], "\n", "empty"),
                               ([], "", "the secret is missing"),
                               (["--secret-file", place / "no"], "", "No such file"),
                               (["--secret-file", file, "--secret-stdin"], "x", "more than one")):
        done = lab.aegis(*add, "-n", "d", "-s", "d", *args, stdin=stdin, check=False)
        assert done.returncode == 2 and words in done.stderr, (args, done)
    assert [c["name"] for c in lab.json("vault", "list")] == ["a", "b", "c"]


def test_secret_is_asked_for_without_echo(lab):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(str(lab.bin), ["aegis", "vault", "add", "-n", "p", "-s", "p", "-d",
                                 "p.example.com"], lab.env)
    shown = b""
    while b"Secret: " not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"topsecret\n")
    try:
        while chunk := os.read(terminal, 1000):
            shown += chunk
    except OSError:
        pass  # the other end is closed
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    assert b"topsecret" not in shown and b"is in the vault" in shown


def test_master_key_leaves_the_gates_environment(lab):
    key = (lab.data / ".master-key").read_text()
    lab.env["AEGIS_MASTER_KEY"] = key
    lab.start()
    if os.geteuid() == 0:
        for pid in [lab.process.pid, *lab.children()]:
            assert key.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


# -- commands without a gate, at the same time --

def test_commands_at_the_same_time(lab):
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: lab.aegis("agent", "add", "-n", f"a{i}", check=False), range(8)))
    assert [d.returncode for d in done] == [0] * 8, [d.stderr for d in done]
    assert len(lab.json("agent", "list")) == 8
    assert not lab.admin.exists()


def test_codes_of_refusals(lab):
    lab.agent("one")
    assert lab.aegis("agent", "add", "-n", "one", check=False).returncode == 3
    assert lab.aegis("agent", "grant", "--agent", "one", "--credential", "no", check=False).returncode == 3
    assert lab.aegis("run", "--agent", "one", "--", "true", check=False).returncode == 4
    assert lab.aegis("context", "test", "code-assistant", "--tool", "fs.delete",
                     check=False).returncode == 3
    assert lab.aegis("context", "test", "code-assistant", "--tool", "fs.read", "--arguments",
                     '{"path":"/workspace/a"}').returncode == 0


def test_contexts_from_yaml_and_json(lab, place):
    file = place / "c.yaml"
    file.write_text("name: mine\ncapabilities:\n  - tool_pattern: fs.read\n")
    lab.aegis("context", "add", file)
    assert lab.aegis("context", "add", file, check=False).returncode == 3
    lab.aegis("context", "update", "-", stdin='{"name":"mine","capabilities":[]}')
    assert json.loads(lab.aegis("context", "show", "mine").stdout)["capabilities"] == []
    assert lab.aegis("context", "add", "-", stdin="name: [", check=False).returncode == 2
    lab.aegis("context", "remove", "mine")
    assert "mine" not in [c["name"] for c in lab.json("context", "list")]


# -- run --

def test_run_gives_a_token_that_ends_with_the_program(gate):
    script = 'env; curl -s -o /dev/null -w "%{http_code}\\n" -H "X-Aegis-Agent: $AEGIS_AGENT_TOKEN" ' \
        '$AEGIS_GATE_URL/none/x; exit 7'
    done = gate.aegis("run", "--agent", "bot", "--", "sh", "-c", script, check=False,
                      env={"AEGIS_MASTER_KEY": "ab" * 32, "AEGIS_USER_TOKEN": "x", "OTHER": "stays"})
    assert done.returncode == 7
    env = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert {k for k in env if k.startswith("AEGIS_")} == {
        "AEGIS_GATE_URL", "AEGIS_SEAL_URL", "AEGIS_AGENT_TOKEN", "AEGIS_AGENT"}
    assert env["AEGIS_GATE_URL"] == gate.url and env["OTHER"] == "stays"
    assert "404" in done.stdout.splitlines()  # known, and no such service
    after = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H",
         f"X-Aegis-Agent: {env['AEGIS_AGENT_TOKEN']}", f"{gate.url}/none/x"],
        text=True, capture_output=True)
    assert after.stdout == "401"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_run_passes_signals_on(gate, how):
    process = subprocess.Popen([str(gate.bin), "run", "--agent", "bot", "--", "sh", "-c",
                                "echo ready; exec sleep 30"],
                               env=gate.env, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(how)
    assert process.wait(10) == 128 + how
    events = [r.get("event") for r in gate.ledger()]
    assert events.count("agent.run") == events.count("agent.run.end") == 1


def test_run_of_what_cannot_run(gate):
    assert gate.aegis("run", "--agent", "bot", "--", "/nonexistent", check=False).returncode == 127
    assert gate.aegis("run", "--agent", "bot", "--", "/etc/passwd", check=False).returncode == 126
    assert gate.aegis("run", "--agent", "bot", check=False).returncode == 2
    assert gate.aegis("run", "--agent", "who", "--", "true", check=False).returncode == 3


# -- the ledger --

def test_export_verifies_and_every_change_shows(gate, place):
    for i in range(5):
        subprocess.run(["curl", "-s", "-H", f"X-Aegis-Agent: {gate.token}", f"{gate.url}/none/{i}"],
                       capture_output=True, check=True)
    key = gate.aegis("ledger", "key").stdout.strip()
    file = place / "ledger.jsonl"
    gate.aegis("ledger", "export", "-f", "jsonl", "-o", file)
    assert file.stat().st_mode & 0o777 == 0o600
    good = gate.aegis("ledger", "verify", file, "--key", key)
    assert "Integrity" in good.stdout and "Completeness" in good.stdout
    (place / "key").write_text(key + "\n")
    report = json.loads(gate.aegis("ledger", "verify", file, "-k", place / "key", "--json").stdout)
    assert report["integrity"] and report["complete"] and report["findings"] == []

    lines = file.read_text().splitlines(keepends=True)
    rows = [i for i, line in enumerate(lines) if '"path":"/3"' in line or "none/3" in line]
    seq = json.loads(lines[rows[0]])["row"]["seq"]

    def verify(changed):
        file.write_text("".join(changed))
        done = gate.aegis("ledger", "verify", file, "--key", key, "--json", check=False)
        assert done.returncode == 1
        return json.loads(done.stdout)

    i = rows[0]
    changed = verify(lines[:i] + [lines[i].replace("blocked", "allowed")] + lines[i + 1:])
    assert (changed["findings"][0]["kind"], changed["findings"][0]["first"]) == ("changed", seq)
    missing = verify(lines[:i] + lines[i + 1:])
    assert (missing["findings"][0]["kind"], missing["findings"][0]["first"]) == ("missing", seq)
    cut = verify(lines[:-1])
    assert cut["findings"][0]["kind"] == "cut" and not cut["integrity"] and not cut["complete"]
    # rows that somebody chained anew, with nothing to seal them
    forged, chain = [lines[0]], bytes.fromhex(json.loads(lines[0])["prev"])
    for line in lines[1:]:
        if line.startswith('{"row":'):
            text = line[7:line.rindex(',"hash":')].replace("blocked", "allowed")
            chain = hashlib.sha256(chain + text.encode()).digest()
            forged.append('{"row":%s,"hash":"%s"}\n' % (text, chain.hex()))
    report = verify(forged)
    assert not report["integrity"] and report["sealed"] == 0
    spoken = gate.aegis("ledger", "verify", file, "--key", key, check=False)
    assert "as they were written" not in spoken.stdout + spoken.stderr
    other = gate.aegis("ledger", "verify", file, "--key", "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
                       check=False)
    assert other.returncode == 1
    # the ledger itself, while it is in use
    assert gate.aegis("ledger", "verify").returncode == 0


def test_csv_is_rfc_4180_and_no_formula(gate):
    subprocess.run(["curl", "-s", "-g", "-H", f"X-Aegis-Agent: {gate.token}",
                    f"{gate.url}/none/a,b%22?q=1"], capture_output=True, check=True)
    raw = subprocess.run([str(gate.bin), "ledger", "export"], env=gate.env, capture_output=True,
                         check=True).stdout
    assert raw.endswith(b"\r\n") and raw.count(b"\n") == raw.count(b"\r\n")
    rows = list(csv.DictReader(io.StringIO(raw.decode(), newline=""), strict=True))
    known = gate.json("ledger", "show", "--limit", "1000")
    assert any("a,b" in r["path"] for r in rows)
    by_seq = {str(r["seq"]): r for r in known}
    for row in rows:
        for name in ("kind", "event", "agent", "path", "reason", "status"):
            assert row[name].lstrip("'") == str(by_seq[row["seq"]].get(name, ""))


def test_show_filters(gate):
    subprocess.run(["curl", "-s", "-H", f"X-Aegis-Agent: {gate.token}", f"{gate.url}/none/x"],
                   capture_output=True, check=True)
    blocked = gate.json("ledger", "show", "--blocked")
    assert [r["service"] for r in blocked] == ["none"]
    assert gate.json("ledger", "show", "--request", blocked[0]["request"]) == blocked
    assert {r["kind"] for r in gate.json("ledger", "show", "--admin")} == {"admin"}
    assert {r["kind"] for r in gate.json("ledger", "show", "--system")} == {"system"}
    assert len(gate.json("ledger", "show", "-n", "2")) == 2
    assert gate.json("ledger", "show", "--since", "1h") and not gate.json("ledger", "show", "--since", "2100-01-01")
    assert gate.aegis("ledger", "show", "--since", "yesterday", check=False).returncode == 3
    stats = gate.json("ledger", "stats")
    assert stats["blocked"] == 1 and stats["total"] == 1
    exported = json.loads(gate.aegis("ledger", "export", "-f", "json", "-s", "none").stdout)
    assert [r["service"] for r in exported] == ["none"]


# -- doctor, gate --

def test_doctor(lab, gate):
    checks = {c["check"]: c["result"] for c in lab.json("doctor")}
    for name in ("gate", "gate address", "judge", "vault", "dispatcher", "master key", "data directory"):
        assert checks[name] == "pass", checks
    lab.stop()
    lab.data.chmod(0o777)
    try:
        done = lab.aegis("doctor", "--json", check=False)
    finally:
        lab.data.chmod(0o711 if os.geteuid() == 0 else 0o700)
    assert done.returncode == 1
    checks = {c["check"]: c["result"] for c in json.loads(done.stdout)}
    assert checks["data directory"] == "fail" and checks["gate"] == "warn" and checks["vault"] == "pass"


def test_doctor_sees_a_closed_way(lab):
    """As root the daemons have users of their own; others run everything as themselves."""
    lab.dir.chmod(0o700)
    done = lab.aegis("doctor", check=False)
    assert (done.returncode == 1 and f"chmod o+x {lab.dir}" in done.stdout) == (os.geteuid() == 0)


def test_gate_refuses_what_it_cannot_serve(lab):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        done = lab.aegis("gate", "--port", port, check=False)
    assert done.returncode == 1 and f"Port {port} is already in use" in done.stderr
    done = lab.aegis("gate", "--tls", check=False)
    assert done.returncode == 1 and "gate.tls.cert" in done.stderr
    lab.start()
    done = lab.aegis("gate", "--port", free_port(), check=False)
    assert done.returncode == 1 and "another aegis" in done.stderr
    text = lab.config.read_text()
    lab.config.write_text(text.replace("gate:\n", "gate:\n  prot: 1\n"))
    done = lab.aegis("config", "validate", check=False)
    assert done.returncode == 1 and "gate.port?" in done.stderr

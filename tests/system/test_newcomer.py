# SPDX-License-Identifier: Apache-2.0
"""What somebody does who types this for the first time: each mistake is answered with what to do
next, and the configuration that the established tool's manual shows works as it stands."""

import json
import os
import shutil
import signal
import socket
import subprocess

import pytest
import requests
from lab import Lab, free_port

NEW = ("vault", "add", "--name", "new", "--service", "new", "--secret-file", "secret", "--domains")


@pytest.fixture(scope="module")
def lab(prefix, module_place):
    lab = Lab(prefix, module_place / "lab", gate="  workers: 1\n").init()
    (lab.dir / "secret").write_text("a-secret-of-some-length")
    (lab.dir / "bad.yaml").write_text("gate:\n  prot: 3100\n  port: eighty\n  require_agent_auth: maybe\n"
                                      "  request_timeout: 5\nobservability:\n  log_level: loud\n")
    (lab.dir / "tab.yaml").write_text("gate:\n  port: 3100\n\tworkers: 1\n")
    lab.start()
    lab.credential("known", "known", "a-secret-of-some-length", "api.example.com")
    lab.agent("bot", "known")
    yield lab
    lab.stop()


@pytest.mark.parametrize("words,code,said", [
    # what was typed
    ("valt list", 2, 'no command "valt" Did you mean aegis vault?'),
    ("vault lst", 2, "Did you mean aegis vault list?"),
    ("vault add --nam x", 2, "Did you mean --name?"),
    ("vault update --name known --secret x", 2, "no flag --secret aegis vault rotate has it."),
    ("--json vault list", 2, "Flags come behind the command: aegis COMMAND --json"),
    ("gate start", 2, '"start" is one word too many'),
    ("gate --port 99999", 2, "--port: found 99999, expected 1 to 65535"),
    ("vault add --name x", 2, "--service SERVICE is missing: First part of the path agents use"),
    ("completion csh", 2, "bash, zsh or fish"),
    ("mcp config emacs", 2, "claude, cursor, vscode, cline or windsurf"),
    ("mcp serve --transport sse", 2, "--transport: found sse, expected stdio or streamable-http"),
    ("ledger export -f xml", 2, '--format: found "xml", expected csv, json or jsonl'),
    ("vault add --name x --service x --domains a.com --ttl soon --secret-file secret", 2,
     '--ttl: found "soon", expected a number'),
    ("user remove --name x", 2, "Say so with --confirm."),
    # what it means
    (NEW + ("https://api.example.com/",), 3, '"https://api.example.com/": malformed'),
    (NEW + ("https://api.example.com/",), 3, "without https:// and path"),
    (NEW + ("*.com",), 3, "strangers have names, too: name yours, such as *.example.com"),
    (NEW + ("*",), 3, "wildcard over a public suffix"),
    (NEW + ("intranet",), 3, "name without a dot: hosts are named like api.example.com"),
    (NEW + ("a.com", "--auth-type", "oauth"), 3, "bearer, header, basic or query"),
    (NEW + ("a.com", "--scopes", "reed"), 3, "read, write or *"),
    (NEW + ("a.com", "--rate-limit", "100"), 3, "such as 10/sec, 100/min"),
    (("agent", "add", "--name", "a b"), 3, "letters, digits, _ and - only"),
    ("vault add --name known --service other --domains a.com --secret-file secret", 3,
     "There is a credential named known already. Change it with `aegis vault update`"),
    ("vault add --name other --service known --domains a.com --secret-file secret", 3,
     "a service has one credential"),
    ("vault rotate --name nope --secret-file secret", 3, "See them with: aegis vault list"),
    ("vault rotate --name known --secret-file nope", 2, "nope: No such file or directory"),
    ("vault rotate --name known", 2, "Write it to standard input with --secret-stdin"),
    ("vault update --name known", 2, "Name what to change"),
    ("agent grant --agent nobody --credential known", 3, "Make it with: aegis agent add --name nobody"),
    ("agent grant --agent bot --credential nope", 3, "See them with: aegis vault list"),
    ("agent add --name bot", 3, "aegis agent regenerate --name bot"),
    ("user add --name x --role viewer", 3, "aegis user add --name NAME --role admin"),
    ("webhook test --id nope", 3, "See them with: aegis webhook list"),
    ("webhook add --url ftp://x --events all", 2, "Write it as https://host/path."),
    ("ledger show --since yesterday", 3, "--since takes 2026-03-01, a time of RFC 3339 or an age such as 2h"),
    ("policy validate", 2, "set gate.policies_dir"),
    ("db restore -i nope", 1, '--input is a directory that "aegis db backup" made.'),
    ("db backup -o .", 1, "name another with --output"),
    # the configuration
    ("config validate --file nope", 1, "nope: No such file or directory: name an existing file"),
    ("config validate --file tab.yaml", 1, "tab.yaml:3:1: this is not YAML: found a tab character"),
    ("config validate --file bad.yaml", 1, "bad.yaml:2:3: gate.prot: found an unknown key, expected perhaps gate.port?"),
    ("config validate --file bad.yaml", 1, 'bad.yaml:3:9: gate.port: found "eighty", expected a number from 1 to 65535'),
    ("config validate --file bad.yaml", 1, 'gate.request_timeout: found "5", expected milliseconds from 1000'),
    ("config validate --file bad.yaml", 1, "expected one of debug|info|warn|error"),
    ("gate --policy-mode maybe", 1, "expected one of off|dry-run|enforce"),
    ("gate --tls", 1, '"aegis init --generate-cert" makes one'),
    ("gate --policies-dir nope", 1, "expected a policy file or a directory of them"),
    ("init", 1, "init overwrites nothing"),
    ("gate", 1, "another aegis is running on it; stop that one first"),
])
def test_a_mistake_is_answered_with_what_to_do(lab, words, code, said):
    words = words if isinstance(words, tuple) else words.split()
    done = lab.aegis(*words, check=False)
    assert done.returncode == code, done.stderr
    assert said in " ".join(done.stderr.split()), done.stderr


@pytest.mark.parametrize("variables,said", [
    ({"AEGIS_MASTER_KEY": "xyz"}, "AEGIS_MASTER_KEY: found 3 characters, expected 64 hexadecimal digits"),
    ({"AEGIS_PORT": "abc"}, 'AEGIS_PORT: found "abc", expected a number from 1 to 65535'),
    ({"AEGIS_VAULT": "nope"}, 'Make it with "aegis vault create --name nope"'),
    ({"AEGIS_CONFIG": "/nope"}, "name an existing file with --config"),
])
def test_a_variable_that_cannot_be_used(lab, variables, said):
    done = lab.aegis("vault", "list", check=False, env=variables)
    assert done.returncode == 1 and said in " ".join(done.stderr.split())


def test_without_a_gate(lab, place):
    """Nothing made yet, and then nothing started yet."""
    def aegis(*args, **env):
        return subprocess.run([lab.bin, *args], cwd=place, text=True, capture_output=True, timeout=20,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(place), **env})

    for words in (("vault", "list"), ("gate",)):
        done = aegis(*words)
        assert done.returncode == 1 and 'Run "aegis init" first' in done.stderr
    done = aegis("doctor")
    assert done.returncode == 1 and 'run "aegis init"' in done.stdout
    assert aegis("init").returncode == 0
    for words in (("status",), ("daemon", "reload"), ("policy", "reload")):
        done = aegis(*words)
        assert done.returncode == 4 and 'Start it with "aegis gate".' in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = aegis("gate", "--port", str(port))
        assert done.returncode == 1 and f"Port {port} is already in use" in done.stderr
        done = aegis("dashboard", "--gate-port", str(free_port()), "--port", str(port))
        assert done.returncode == 1 and f'Use "aegis dashboard --port {port + 1}"' in done.stderr
    if os.getuid() == 0:
        os.chmod(place, 0o755)
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", lab.bin, "vault", "list"],
                              cwd=place, capture_output=True, text=True, timeout=20,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(place)})
        assert done.returncode == 1 and 'run this as the user who ran "aegis init", or as root' in done.stderr
    done = aegis("vault", "list", AEGIS_MASTER_KEY="a" * 64)
    assert done.returncode == 1 and done.stderr.startswith("✗ Invalid master key"), "a sentence, no log line"
    data = place / ".aegis"
    (data / ".master-key").rename(place / "key")
    done = aegis("gate")
    assert done.returncode == 1 and "AEGIS_MASTER_KEY is not set" in done.stderr
    (place / "key").rename(data / ".master-key")
    shutil.copy(data / "judge" / "judge.db", place / "good.db")
    (data / "judge" / "judge.db").write_bytes(b"no database at all" * 100)
    done = aegis("vault", "list")
    assert done.returncode == 1 and done.stderr.startswith("✗ Database file is corrupted")
    assert "aegis db restore" in done.stderr


def test_the_configuration_of_the_manual(lab, place):
    """Of the established tool, with other ports and addresses; its certificate and its directory of
    policies are still to be made."""
    gate, api, mcp = free_port(), free_port(), free_port()
    (place / "aegis.config.yaml").write_text(f"""\
gate:
  port: {gate}
  tls:
    cert: ./certs/aegis.crt
    key: ./certs/aegis.key
  require_agent_auth: true
  policy_mode: enforce
  policies_dir: ./policies
vault:
  name: default
  data_dir: ./elsewhere
observability:
  log_level: info
  log_format: json
  metrics: true
  dashboard:
    enabled: false
    port: {api}
mcp:
  transport: streamable-http
  port: {mcp}
webhooks:
  - url: https://your-webhook-endpoint.com/aegis
    events: [blocked_request, credential_expiry]
    secret: your-hmac-secret
""")
    (place / "aegis.config.yaml").chmod(0o600)
    (place / "policies").mkdir()
    place.chmod(0o711)

    def aegis(*args):
        return subprocess.run([lab.bin, *args], cwd=place, text=True, capture_output=True, timeout=20,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(place)})

    done = aegis("init", "--keep-config", "--generate-cert")
    assert done.returncode == 0, done.stderr
    assert (place / "elsewhere" / "vault").exists() and (place / "certs" / "aegis.key").exists()
    assert aegis("config", "validate").returncode == 0
    assert aegis("vault", "list").returncode == 0, "without a gate, whatever there is about webhooks"
    told = aegis("mcp", "config", "claude").stdout
    assert json.loads(told)["mcpServers"]["aegis"]["url"] == f"http://127.0.0.1:{mcp}/mcp"
    assert told.startswith('{\n  "mcpServers": {\n    "aegis": {\n')
    assert len(aegis("mcp", "config", "claude", "--json").stdout.splitlines()) == 1
    # the data API runs because it is asked for
    process = subprocess.Popen([lab.bin, "dashboard"], cwd=place, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "HOME": str(place)})
    try:
        assert process.stdout.readline() == f"Aegis is ready on https://127.0.0.1:{gate}\n"
        assert process.stdout.readline() == f"Its data API is on https://127.0.0.1:{api}/api/\n"
        ca = place / "certs" / "aegis.crt"
        assert requests.get(f"https://localhost:{gate}/_aegis/health", verify=ca, timeout=10).json()["status"] == "ok"
        assert requests.get(f"https://localhost:{api}/api/health", verify=ca, timeout=10).status_code == 401
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()


def test_tables_show_what_there_is(lab):
    """Columns in which nothing stands are left out for people; programs get all there is to know."""
    head, row = lab.aegis("vault", "list").stdout.splitlines()
    assert head.split() == ["NAME", "SERVICE", "DOMAINS", "AUTH", "SCOPES", "BODY", "STATUS"]
    lab.aegis("vault", "update", "--name", "known", "--rate-limit", "5/min")
    assert "RATE" in lab.aegis("vault", "list").stdout
    assert lab.json("vault", "list")[0]["rate_limit"] == "5/min"
    assert "\033" not in head + row

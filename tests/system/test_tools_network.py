# SPDX-License-Identifier: Apache-2.0
"""network: {hosts: [...]}: a tool server reaches the hosts that are named for it, through its
proxy, and nothing else, whatever it tries; each host that it was refused is a row."""

import json
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from lab import Lab
from seal_client import SealClient


@pytest.fixture(scope="module")
def upstream():
    """Sends back what it gets, until the other end is done."""
    def serve(conn):
        with conn:
            while octets := conn.recv(65536):
                conn.sendall(octets)

    def accept():
        while True:
            try:
                conn, _ = s.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(conn,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as s, socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=accept, daemon=True).start()
        yield s.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def site(prefix, module_place, upstream):
    program = module_place / "net_tool.py"
    shutil.copy(Path(__file__).parent.parent / "lib" / "net_tool.py", program)
    port = upstream[0]

    def server(name, network):
        return f"""\
    - name: {name}
      executable: /usr/bin/python3
      args: ["{program}", "{name}"]
      paths: ["{program}"]
      capabilities: ["{name}.*"]
      network: {network}
"""
    lab = Lab(prefix, module_place / "aegis", tools="tools:\n  mcp_servers:\n" + server(
        "named", f'{{hosts: ["localhost:{port}", "*.nowhere.invalid", "169.254.169.254:80"], allow_private: true}}') +
        server("public", f'{{hosts: ["localhost:{port}"]}}') + server("none", "false"),
        contexts="contexts:\n  - name: all\n    capabilities: [{tool_pattern: \"*\"}]\n").init().start()
    lab.client = SealClient(lab.url, lab.agent("bot", contexts=["all"]), "all")
    lab.client.attest()
    yield lab
    lab.stop()


def tries(lab, name, *what):
    return json.loads(lab.client.call(f"{name}.try", {"tries": what})["content"][0]["text"])


def refused(lab):
    return [(r["server"], r["domain"], r["code"]) for r in lab.ledger("--system")
            if r.get("event") == "tool.host_refused"]


def test_a_named_host_is_reached(site, upstream):
    host = f"localhost:{upstream[0]}"
    env, through, upper, early = tries(site, "named", ["env", 0], ["tunnel", host],
                                       ["tunnel", host.upper()], ["early", host])
    assert env["HTTPS_PROXY"] == env["https_proxy"] == env["HTTP_PROXY"] and "127.0.0.1" in env["NO_PROXY"]
    assert through == upper == "200 300000"
    assert early == "200 6", "octets that came with the request go on"
    assert [r["domain"] for r in site.ledger("--system") if r.get("event") == "tool.connected"][:1] == [host]


def test_nothing_else_is_reached(site, upstream):
    port, other = upstream
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        name_server.bind(("127.0.0.1", 0))
        direct = tries(site, "named", ["direct", ["127.0.0.1", port]], ["direct", ["127.0.0.1", site.port]],
                       ["direct", ["::1", port]], ["direct", ["192.0.2.1", 443]], ["direct", ["169.254.169.254", 80]],
                       ["udp", ["192.0.2.1", 53]], ["udp", name_server.getsockname()],
                       ["resolve", "example.com"])
    assert all(d.startswith("failed: ") for d in direct), direct
    before = len(refused(site))
    hosts = {f"localhost:{other}": "host_not_named", f"127.0.0.1:{port}": "host_not_named",
             f"[::1]:{port}": "host_not_named", "10.0.0.1:443": "host_not_named",
             "localhost:443": "host_not_named", "example.com:443": "host_not_named",
             "169.254.169.254:80": "address_refused", "invalid:443": "host_not_named",
             f"[::ffff:127.0.0.1]:{port}": "host_not_named",
             f"localhost.example.com:{port}": "host_not_named"}
    said = tries(site, "named", *(["tunnel", h] for h in hosts))
    assert all(s.startswith("403 ") for s in said), said
    assert refused(site)[before:] == [("named", h, code) for h, code in hosts.items()]


def test_a_named_host_with_a_private_address(site, upstream):
    host = f"localhost:{upstream[0]}"
    said, = tries(site, "public", ["tunnel", host])
    assert said.startswith("403 ") and "allow_private" in said
    assert ("public", host, "address_refused") in refused(site)
    # a name of the list that does not exist is not its fault
    assert tries(site, "named", ["tunnel", "a.nowhere.invalid:443"])[0].startswith("502 ")


def test_what_is_no_tunnel(site, upstream):
    host = f"localhost:{upstream[0]}"
    get, url = tries(site, "named", ["raw", f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"],
                     ["url", f"http://{host}/"])
    # urllib leaves localhost alone, as NO_PROXY says
    assert get.startswith("405 ") and "CONNECT" in get and url.startswith("failed: ")
    bad = ["CONNECT " + host + " HTTP/1.1\n\n", "CONNECT " + host + " HTTP/2.0\r\n\r\n", "\x16\x03\x01\x02",
           "CONNECT  " + host + " HTTP/1.1\r\n\r\n", "CONNECT " + host + " HTTP/1.1\r\nA : b\r\n\r\n",
           "CONNECT " + host + " HTTP/1.1\r\n folded\r\n\r\n", "CONNECT a@" + host + " HTTP/1.1\r\n\r\n",
           "CONNECT localhost HTTP/1.1\r\n\r\n", "CONNECT 2130706433:80 HTTP/1.1\r\n\r\n",
           "CONNECT 0x7f.1:80 HTTP/1.1\r\n\r\n", "CONNECT " + "a" * 9000]
    said = tries(site, "named", *(["raw", b] for b in bad))
    assert all(s.startswith("400 ") for s in said), said
    assert ("named", "", "malformed") in [(a, b or "", c) for a, b, c in
                                          ((r["server"], r.get("domain"), r["code"]) for r in site.ledger("--system")
                                           if r.get("event") == "tool.host_refused")]


def test_many_at_once_and_no_network_at_all(site, upstream):
    assert tries(site, "named", *[["tunnel", f"localhost:{upstream[0]}"]] * 20) == ["200 300000"] * 20
    assert tries(site, "none", ["env", 0], ["direct", ["127.0.0.1", 3128]])[0] == {}
    # nor does /proc tell of the host's connections
    listening = f":{upstream[0]:04X}"
    for net in tries(site, "named", ["net", 1], ["net", "self"]) + tries(site, "none", ["net", 1]):
        assert listening not in net and "lo:" in net
        assert len(net.splitlines()) < 60


def test_a_new_dispatcher_and_no_relay(site, upstream):
    host = f"localhost:{upstream[0]}"
    os.kill(next(p for p, c in site.children().items() if c.startswith("egressd: dispatcher")), signal.SIGKILL)
    until = time.monotonic() + 10
    while tries(site, "named", ["tunnel", host]) != ["200 300000"]:
        assert time.monotonic() < until
    # the relay is the one that holds no pipe to the tool server; without it the server is started anew
    def parent(p):
        return int(Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()[1])

    mine = [p for p, c in site.children().items() if c.startswith("toolhostd: toolexec named")]
    pump = next(p for p in mine if parent(p) == site.process.pid)
    relay = next(p for p in mine if parent(p) == pump and
                 not Path(f"/proc/{p}/task/{p}/children").read_text().strip())
    os.kill(relay, signal.SIGKILL)
    while Path(f"/proc/{pump}").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    while True:
        try:
            if tries(site, "named", ["tunnel", host]) == ["200 300000"]:
                break
        except Exception:  # noqa: BLE001
            assert time.monotonic() < until + 10
            time.sleep(0.1)


def test_tool_test_shows_it(site, upstream):
    found = site.json("tool", "test", "named")
    assert "network=named" in found["room"]
    reached = {a["attempt"]: a["reached"] for a in found["attempts"] if "by way of the proxy" in a["attempt"]}
    assert reached == {f"connect localhost:{upstream[0]} (by way of the proxy)": True,
                       "connect not-named.invalid:443 (by way of the proxy)": False,
                       "connect 169.254.169.254:80 (by way of the proxy)": False}
    assert not [a for a in found["attempts"] if a["attempt"].startswith("connect") and a["reached"] and
                "proxy" not in a["attempt"]]


@pytest.mark.parametrize("network, why", [
    ("{hosts: []}", "expected a list"), ('{hosts: ["*"]}', "strangers"), ('{hosts: ["*.co.uk"]}', "strangers"),
    ('{hosts: ["http://a.example"]}', "expected a host"), ("{host: [a.example]}", "expected hosts"),
    ("maybe", "true, false, or"), ('{hosts: ["a.example"], allow_private: perhaps}', "allow_private")])
def test_configuration(fresh, network, why):
    lab = fresh(tools=f"""\
tools:
  mcp_servers:
    - name: a
      executable: /bin/true
      capabilities: [a]
      network: {network}
""")
    r = lab.aegis("config", "validate", check=False)
    assert r.returncode != 0 and why in r.stdout + r.stderr, r.stdout + r.stderr

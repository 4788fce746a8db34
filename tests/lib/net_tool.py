#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An MCP tool server that tries every way out of its room."""

import json
import os
import socket
import sys
import urllib.request


def attempt(what):
    try:
        return what()
    except OSError as e:
        return f"failed: {e}"


def direct(host, port):
    with socket.create_connection((host, port), timeout=1):
        return "connected"


def udp(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        s.sendto(b"\0\0\1\0\0\1\0\0\0\0\0\0", (host, port))
        return f"received {s.recv(512)!r}"


def raw(octets, then=b""):
    """What the proxy says to these octets; `then` is sent on a connection that it made, and
    what comes back until its end is counted."""
    host, port = os.environ["HTTPS_PROXY"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        s.sendall(octets)
        said = b""
        while b"\r\n\r\n" not in said:
            got = s.recv(65536)
            if not got:
                return said.decode("latin1")
            said += got
        head, rest = said.split(b"\r\n\r\n", 1)
        status = head.split(b" ")[1].decode()
        if status == "200" and then:
            import threading
            sender = threading.Thread(target=lambda: (s.sendall(then), s.shutdown(socket.SHUT_WR)))
            sender.start()
        while got := s.recv(65536):
            rest += got
        return f"{status} {len(rest) if then and status == '200' else rest.decode('latin1')}"


TRIES = {
    "direct": lambda a: direct(*a), "udp": lambda a: udp(*a),
    "resolve": lambda a: str(socket.getaddrinfo(a, 443)),
    "raw": lambda a: raw(a.encode("latin1")),
    "tunnel": lambda a: raw(f"CONNECT {a} HTTP/1.1\r\nHost: {a}\r\n\r\n".encode(), b"x" * 300000),
    "early": lambda a: raw(f"CONNECT {a} HTTP/1.0\r\n\r\nearly".encode(), b"!"),
    "url": lambda a: urllib.request.urlopen(a, timeout=5).read().decode(),
    "env": lambda a: {k: v for k, v in os.environ.items() if "proxy" in k.lower()},
    "net": lambda a: open(f"/proc/{a}/net/tcp").read() + open(f"/proc/{a}/net/dev").read(),
}


def main():
    for line in sys.stdin:
        m = json.loads(line)
        if "id" not in m:
            continue
        method, p = m["method"], m.get("params", {})
        if method == "initialize":
            r = {"protocolVersion": p["protocolVersion"], "capabilities": {"tools": {}},
                 "serverInfo": {"name": "net", "version": "1"}}
        elif method == "tools/list":
            r = {"tools": [{"name": sys.argv[1] + ".try", "inputSchema": {"type": "object"}}]}
        elif method == "tools/call":
            said = [attempt(lambda k=k, a=a: TRIES[k](a)) for k, a in p["arguments"]["tries"]]
            r = {"content": [{"type": "text", "text": json.dumps(said)}]}
        else:
            r = {}
        print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": r}), flush=True)


main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An MCP tool server over stdio that does what its tests want, good and bad. Standard
library only: it runs as a user of its own, outside any virtual environment."""

import json
import os
import signal
import sys
import threading
import time

lock = threading.Lock()
cancelled = set()


def send(message):
    with lock:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": value}]}


def call(ident, name, a):
    if name == "odd.sleep":
        end = time.monotonic() + a["seconds"]
        while time.monotonic() < end and ident not in cancelled:
            time.sleep(0.01)
        result = text(f"slept {a['seconds']} tag {a.get('tag')}")
    elif name == "odd.cancelled":
        result = text(str(len(cancelled)))
    elif name == "odd.env":
        result = text(json.dumps({k: ("set" if k.startswith("SECRET") else v)
                                  for k, v in os.environ.items()}))
    elif name == "odd.leak":
        result = text(os.environ["SECRET_KEY"])
    elif name == "odd.see":
        found = {}
        for what in a["paths"]:
            try:
                found[what] = sorted(os.listdir(what)) if os.path.isdir(what) else open(what, "rb").read(64).hex()
            except OSError as e:
                found[what] = e.strerror
        found["fds"] = sorted(int(f) for f in os.listdir("/proc/self/fd"))
        found["uid"], found["pids"] = os.getuid(), sorted(p for p in os.listdir("/proc") if p.isdigit())
        result = text(json.dumps(found))
    elif name == "odd.connect":
        import socket
        try:
            socket.create_connection((a["host"], a["port"]), 2).close()
            result = text("connected")
        except OSError as e:
            result = text(f"refused: {e}")
    elif name == "odd.die":
        os._exit(3)
    elif name == "odd.garbage":
        with lock:
            sys.stdout.write("not json\n{\"jsonrpc\":\"2.0\",\"id\":999999,\"result\":{}}\n[]\n\n\xff\n")
            sys.stdout.flush()
        result = text("after garbage")
    elif name == "odd.huge":
        result = text("x" * a["bytes"])
    elif name == "odd.flood":
        for _ in range(a["lines"]):
            sys.stderr.write("noise " * 20 + os.environ["SECRET_KEY"] + "\n")
        sys.stderr.flush()
        result = text("flooded")
    elif name == "odd.fail":
        send({"jsonrpc": "2.0", "id": ident, "error": {"code": -32050, "message": "on purpose"}})
        return
    elif name == "odd.never":
        return
    elif name == "odd.close":
        os.close(1)
        time.sleep(60)
        return
    else:
        send({"jsonrpc": "2.0", "id": ident, "error": {"code": -32602, "message": "no such tool"}})
        return
    send({"jsonrpc": "2.0", "id": ident, "result": result})


NAMES = ["sleep", "cancelled", "env", "leak", "see", "connect", "die", "garbage", "huge", "flood",
         "fail", "never", "close"]


def main():
    if "--deaf" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--dead" in sys.argv:
        sys.exit(1)
    for line in sys.stdin:
        message = json.loads(line)
        method, ident = message.get("method"), message.get("id")
        if method == "initialize":
            send({"jsonrpc": "2.0", "id": ident, "result": {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}}, "serverInfo": {"name": "odd", "version": "1"}}})
        elif method == "tools/list":
            send({"jsonrpc": "2.0", "id": ident, "result": {"tools": [
                {"name": f"odd.{n}", "inputSchema": {"type": "object"}} for n in NAMES]}})
        elif method == "notifications/cancelled":
            cancelled.add(message["params"]["requestId"])
        elif method == "tools/call":
            p = message["params"]
            threading.Thread(target=call, args=(ident, p["name"], p.get("arguments", {})),
                             daemon=True).start()


main()

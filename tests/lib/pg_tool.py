# SPDX-License-Identifier: Apache-2.0
"""An MCP tool server over stdio that asks a PostgreSQL, as the user it was given."""

import hashlib
import json
import os
import sys
import threading

import psycopg

lock = threading.Lock()
NAME = os.environ.get("PG_NAME", "pg")  # before the dot of its tools


def send(message):
    with lock:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def connect():
    return psycopg.connect(host=os.environ["PG_HOST"], port=os.environ["PG_PORT"], dbname="postgres",
                           user=os.environ["PG_USERNAME"], password=os.environ["PG_PASSWORD"])


def call(name, a):
    if name == "query":
        with connect() as c:
            return json.dumps(c.execute(a["sql"]).fetchall(), default=str)
    if name == "same":  # do both halves and the whole belong together?
        return str(os.environ["PG"] == os.environ["PG_USERNAME"] + ":" + os.environ["PG_PASSWORD"])
    if name == "env":
        return os.environ.get(a["variable"], "")
    if name == "hashes":
        return json.dumps({k: hashlib.sha256(v.encode()).hexdigest() for k, v in os.environ.items()
                           if k.startswith("MANY_")})
    return "?"


def answer(ident, params):
    try:
        result = {"content": [{"type": "text", "text": call(params["name"].partition(".")[2], params.get("arguments", {}))}]}
    except psycopg.Error as e:
        result = {"isError": True, "content": [{"type": "text", "text": str(e)}]}
    send({"jsonrpc": "2.0", "id": ident, "result": result})


for line in sys.stdin:
    message = json.loads(line)
    ident, method = message.get("id"), message.get("method")
    if method == "initialize":
        send({"jsonrpc": "2.0", "id": ident, "result": {
            "protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
            "serverInfo": {"name": "pg", "version": "1"}}})
    elif method == "tools/list":
        send({"jsonrpc": "2.0", "id": ident, "result": {"tools": [
            {"name": f"{NAME}.{n}", "inputSchema": {"type": "object"}}
            for n in ("query", "same", "env", "hashes")]}})
    elif method == "tools/call":
        threading.Thread(target=answer, args=(ident, message["params"]), daemon=True).start()
    elif ident is not None:
        send({"jsonrpc": "2.0", "id": ident, "result": {}})

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An MCP tool server over stdio that says what it was called with. Standard library only."""

import json
import sys

NAMES = ["fs.read", "web.get", "echo", "sleep", "die"]

for line in sys.stdin:
    message = json.loads(line)
    method, ident = message.get("method"), message.get("id")
    if method == "initialize":
        result = {"protocolVersion": message["params"]["protocolVersion"],
                  "capabilities": {"tools": {}}, "serverInfo": {"name": "echo", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": n, "inputSchema": {"type": "object"}} for n in NAMES]}
    elif method == "tools/call":
        params = message["params"]
        if params["name"] == "die":
            sys.exit(3)
        if params["name"] == "sleep":
            continue
        result = {"content": [{"type": "text", "text": json.dumps(params)}]}
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": ident, "result": result}), flush=True)

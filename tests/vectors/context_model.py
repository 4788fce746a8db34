#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second reading of doc/contexts.md, in Python, to compare the judge's with.

context_model.py FILE            checks the rows of FILE (tests/vectors/contexts.txt)
context_model.py --random N SEED prints N made-up rows with this model's answers
context_model.py --unicode       prints rows about every character that normalisation changes

The judge has tables of characters and walks over the document as it was written; the model asks
unicodedata and walks over Python's objects.
"""
import ipaddress
import json
import random
import re
import sys
import unicodedata

PATHS = (
    "path paths file files file_path filepath filename source destination src dst dest "
    "old_path new_path directory dir filePath filePaths file_paths fileName oldPath newPath "
    "sourcePath source_path destinationPath destination_path targetPath target_path "
    "repo_path repoPath dirPath dir_path directoryPath directory_path folder folderPath "
    "folder_path rootPath root_path inputPath input_path outputPath output_path inputFile "
    "input_file outputFile output_file "
).split()
URLS = "url urls uri uris href link endpoint base_url".split()
OTHER = "cmd commands argv script subcommand".split()
TEXTS = (
    "content contents text body message comment description title prompt query q regex newText oldText "
    "new_text old_text newString oldString new_string old_string new_str old_str file_text insert_text"
).split()
WORDS = "command commands cmd args argv script".split()
# what str.strip() of Python or trim() of JavaScript takes away, and all control characters
BLANKS = "".join(chr(c) for c in range(0x10000) if chr(c).isspace() or c < 32 or c in (0x7f, 0xfeff))


class Bad(Exception):
    pass


def tool_match(pattern, tool):
    if not tool or len(tool.encode()) > 128:
        return False
    if pattern == "*":
        return True
    if len(pattern) > 2 and pattern.endswith(".*"):
        return tool.startswith(pattern[:-1]) and tool != pattern[:-1]
    return tool == pattern


def dotdot(comp):
    """Is the component "..", for a program that trims or normalises?"""
    return unicodedata.normalize("NFKC", comp.strip(BLANKS)) == ".."


def in_front(path):
    """A home directory or a variable that something may put in."""
    first = unicodedata.normalize("NFKC", path[:1])
    return first == "~" or (first == "$" and re.match(r"[A-Za-z_{]|[^\x00-\x7f]", path[1:]) is not None)


def escape(path):
    return re.search(r"%(2e|2f|5c|00|25)", path, re.I) is not None


def parts(path):
    """(relative, components) of a path, or Bad."""
    if not isinstance(path, str) or not 0 < len(path.encode()) < 4096:
        raise Bad
    if re.search(r"[\x00-\x1f\x7f\\]", path) or path.strip(BLANKS) != path or in_front(path) or escape(path):
        raise Bad
    folded = unicodedata.normalize("NFKC", path)
    if any(folded.count(c) != path.count(c) for c in "/\\%"):
        raise Bad
    if path[0] != "/" and ":" in unicodedata.normalize("NFKC", path.split("/")[0]):
        raise Bad
    comps = [c for c in path.split("/") if c not in ("", ".")]
    if any(dotdot(c) for c in comps):
        raise Bad
    return path[0] != "/", comps


def path_like(s):
    s = s.strip(BLANKS)
    if not s or re.match(r"https?://", s, re.I):
        return False
    # one character may become several; only those that become a separator and nothing else count
    folded = [unicodedata.normalize("NFKC", c) for c in s]
    seps = [i for i, c in enumerate(folded) if c in ("/", "\\")]
    if seps[:1] == [0] or in_front(s) or escape(s) or re.match(r"[A-Za-z]:[/\\]|file:", s, re.I):
        return True
    edges = [-1] + seps + [len(s)]
    return any(dotdot(s[a + 1:b]) for a, b in zip(edges, edges[1:]))


def url_like(s):
    s = s.strip(BLANKS)
    if re.match(r"[/\\]{2}|[A-Za-z][A-Za-z0-9+.-]*://", s):
        return True
    return "://" in s and not re.search(r"[\x00-\x20]", s)


def comp_match(pattern, comp):
    rx = ".*".join(re.escape(p) for p in pattern.split("*"))
    return re.fullmatch(rx, comp, re.S) is not None


def entry_parts(entry):
    comps = [c for c in entry.split("/") if c not in ("", ".")]
    if comps and comps[-1] in ("*", "**"):
        comps.pop()
    return comps


def under(entry, comps):
    e = entry_parts(entry)
    return len(comps) >= len(e) and all(comp_match(a, b) for a, b in zip(e, comps))


def names_of(ctx, kind, caps):
    """Names of arguments that a context and some of its capabilities add."""
    out = list(ctx.get(kind) or [])
    for cap in caps:
        out += cap.get(kind) or []
        out += (cap.get("constraints") or {}).get(kind) or []
    return out


def values(ctx, tool, cap, args, urls=False):
    """All values to be judged as paths (or URLs), and how many arguments are there by name."""
    kind, usual, like = (("url_arguments", URLS, url_like) if urls
                         else ("path_arguments", PATHS, path_like))
    covering = [cap] if cap else [c for c in ctx["capabilities"] if tool_match(c["tool_pattern"], tool)]
    named = set(usual) | set(names_of(ctx, kind, covering))
    text = set(TEXTS) | set(names_of(ctx, "text_arguments", [cap] if cap else []))
    found, top = [], 0

    def loose(v, name):
        if "*" in text or name in text:
            return
        if not urls and name in WORDS:
            for word in re.split(r"[\x00-\x20]+", v):
                pieces = [word] + word.split("=", 1)[1:] if word.startswith("-") else [word]
                found.extend(p for p in pieces if like(p))
        if like(v):
            found.append(v)

    def visit(v, name):
        if name in named:
            found.extend(v if isinstance(v, list) else [v])
        elif isinstance(v, str):
            loose(v, name)
        elif isinstance(v, list):
            for x in v:
                visit(x, name)
        elif isinstance(v, dict):
            for k, x in v.items():
                loose(k, None)
                visit(x, k)

    for k, v in args.items():
        loose(k, None)
        visit(v, k)
        if k in named:
            top += len(v) if isinstance(v, list) else 1
    return found, top


def host_of(url):
    """(host, is_address), or Bad."""
    if not isinstance(url, str) or len(url.encode()) >= 4096:
        raise Bad
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise Bad
    m = re.match(r"https?://([^/?#]*)", url, re.I)
    if not m:
        raise Bad
    auth = m.group(1)
    if auth.count("@") > 1:
        raise Bad
    return normal_host(auth.split("@")[-1])


def normal_host(text):
    if not text.isascii():
        raise Bad
    m = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](:(\d+))?", text)
    if m:
        if m.group(2) is not None:
            check_port(m.group(3))
        try:
            return str(ipaddress.IPv6Address(m.group(1))), True
        except ValueError:
            raise Bad from None
    name, colon, port = text.partition(":")
    if colon:
        check_port(port)
    dotted = name.endswith(".")
    name = name[:-1] if dotted else name
    if not name or len(name) > 253:
        raise Bad
    labels = name.lower().split(".")
    for lab in labels:
        if not re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", lab):
            raise Bad
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        if dotted:
            raise Bad
        try:
            return str(ipaddress.IPv4Address(name)), True
        except ValueError:
            raise Bad from None
    return ".".join(labels), False


def check_port(p):
    if not re.fullmatch(r"[1-9]\d{0,4}", p) or int(p) > 65535:
        raise Bad


def domain_match(entry, host, is_address):
    below = entry.startswith("*.")
    e, addr = normal_host(entry[2:] if below else entry.lstrip("."))
    if addr or is_address:
        return addr and is_address and e == host
    return host.endswith("." + e) or (host == e and not below)


def words_of(args):
    """None without a command, the words, or Bad."""
    if any(n in args for n in OTHER):
        raise Bad
    if "command" not in args and "args" not in args:
        return None
    cmd, rest = args.get("command"), args.get("args", [])
    if not isinstance(rest, list):
        raise Bad
    seen = cmd if isinstance(cmd, list) else [cmd]
    for w in seen + rest:
        if not isinstance(w, str) or re.search(r"[\x00-\x08\x0a-\x1f\x7f;&|$`()<>]", w):
            raise Bad
    words = list(cmd) if isinstance(cmd, list) else re.split(r"[ \t]+", cmd.strip(" \t"))
    if not isinstance(cmd, list):
        words = [w for w in words if w]
    if not words:
        raise Bad
    return words + rest


def search(tool, args):
    return ((tool in ("web.search", "web_search") or re.fullmatch(r"web-search\..+", tool))
            and (isinstance(args.get("query"), str) or isinstance(args.get("q"), str)))


def constraint_code(ctx, cap, tool, args):
    def has(name):
        return cap.get(name) is not None
    if has("path_allowlist"):
        vals, top = values(ctx, tool, cap, args)
        if not top:
            return 2002
        for v in vals:
            try:
                rel, comps = parts(v)
            except Bad:
                return 2002
            if not any(rel or under(e, comps) for e in cap["path_allowlist"]):
                return 2002
    if has("command_allowlist") or has("subcommand_allowlist"):
        try:
            words = words_of(args)
        except Bad:
            return 2003
        if words is None:
            return 2003
        if has("command_allowlist") and words[0] not in cap["command_allowlist"]:
            return 2003
        if has("subcommand_allowlist"):
            sub, allow = words[1:2], cap["subcommand_allowlist"]
            if isinstance(allow, dict):
                if words[0] not in allow:
                    return 2003
                if allow[words[0]] and (not sub or sub[0] not in allow[words[0]]):
                    return 2003
            elif not sub or sub[0] not in allow:
                return 2003
    if has("domain_allowlist"):
        vals, top = values(ctx, tool, cap, args, urls=True)
        if not top and not search(tool, args):
            return 2004
        for v in vals:
            try:
                host = host_of(v)
            except Bad:
                return 2004
            if not any(domain_match(e, *host) for e in cap["domain_allowlist"]):
                return 2004
    return 0


def lower(text):
    """Denied names are compared in either case; ASCII letters only."""
    return re.sub("[A-Z]+", lambda m: m.group().lower(), text)


def denied(ctx, entry, tool, args):
    entry = entry["tool_pattern"] if isinstance(entry, dict) else entry
    pattern, colon, arg = entry.partition(":")
    if not tool_match(pattern, tool):
        return False
    if not colon or arg == "*":
        return True
    for v in values(ctx, tool, None, args)[0]:
        try:
            rel, comps = parts(v)
        except Bad:
            return True
        if arg[0] == "/":
            if rel or under(lower(arg), [lower(c) for c in comps]):
                return True
        else:
            a, comps = [c for c in lower(arg).split("/") if c], [lower(c) for c in comps]
            if any(all(comp_match(x, y) for x, y in zip(a, comps[i:])) and len(comps) - i >= len(a)
                   for i in range(len(comps))):
                return True
    if arg[0] == "/":
        return False
    try:
        words = words_of(args)
    except Bad:
        return True
    if words is not None:
        want = [w for w in arg.split(" ") if w]
        base = [words[0].split("/")[-1]] + words[1:]
        if words[:len(want)] == want or base[:len(want)] == want:
            return True
    for v in values(ctx, tool, None, args, urls=True)[0]:
        try:
            host = host_of(v)
        except Bad:
            return True
        try:
            if domain_match(arg, *host):
                return True
        except Bad:
            pass
    return False


def judge(ctx, tool, args, used=0):
    """'allow' or the code; used: a bit for each capability whose rate limit is used up."""
    if any(denied(ctx, e, tool, args) for e in ctx.get("deny_list") or []):
        return 2001
    codes = []
    for number, cap in enumerate(ctx["capabilities"]):
        if not tool_match(cap["tool_pattern"], tool):
            continue
        flat = dict(cap)
        flat.update(cap.get("constraints") or {})
        code = constraint_code(ctx, flat, tool, args)
        if code == 0 and flat.get("rate_limit") and used >> number & 1:
            code = 2005
        if code == 0:
            return "allow"
        codes.append(code)
    if 2005 in codes:  # it would pass later
        return 2005
    return codes[0] if codes else 2000


def check(path):
    ctx, rows, wrong, used = None, 0, 0, 0
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if not line or line[0] == "#":
            continue
        kind, _, rest = line.partition("\t")
        if kind == "context":
            ctx, used = json.loads(rest), 0
            continue
        if kind == "used":
            used = int(rest)
            continue
        tool, _, args = rest.partition("\t")
        rows += 1
        got = str(judge(ctx, tool, json.loads(args), used))
        if got != kind:
            wrong += 1
            print(f"{path}:{number}: {tool} {args}: {got}, expected {kind}")
    print(f"{rows} rows, {wrong} wrong")
    return 1 if wrong or rows < 900 else 0


def made_up(count, seed):
    """Contexts and calls from a seed: mostly what is nearly right."""
    rnd = random.Random(seed)
    pick = rnd.choice
    atoms = ["a", "b", "..", ".", "", "x*", "ws", "WS", "etc", "~", "%2e", "%41", "C:", "é", "e\u0301", "a b", "...", "\\", ".env", ".ENV",
             "\uff0e\uff0e", "\u2025", ".\u2024", "\u2026", ".. ", "\u00a0..", "x\uff0fy", "\uff3c", "\u2100", "$HOME", "$5",
             "\uff5e", "a:b", "\uff1a", "{", "\ufeff", "\u0085"]
    tools = ["fs.read", "fs.write", "fsx", "fs", "cmd.run", "web.get", "web.search", "t", "fs.", "fs.a.b", "fs.read", "cmd.run", "web.get"]
    hosts = ["a.com", "x.a.com", "b.org", "c.b.org", "xa.com", "A.COM.", "1.2.3.4", "1.2.3", "[::1]", "é.com", "a.com:80",
             "u@a.com", "a@b@a.com", "a.com\\", "a..com", "", "a.com%2e", "[::0:1]:443", "a.com:0", "1.2.3.4.", "\uff41.com"]
    cmds = ["ls", "git", "rm", "/bin/ls", "git status", "git push", "ls;x", " ls", "", "ls\t-l", "ls /ws/a", "ls /etc", "git --C=/etc",
            "ls --x=/ws", "git status ../x", "ls\u00a0-l", "LS"]
    names = ["path", "file", "paths", "source", "url", "uri", "command", "args", "query", "cmd", "content", "x", "y", "where", "page",
             "note", "options", "text", "/etc", "..", "https://b.org"]
    wrapped = ["options", "x", "content", "path", "url", "/ws/k", "//a.com", "edits"]

    def path():
        front = ["/", "", "/ws/", "//", "/ws/", " /ws/", "\\", "C:/", "file:", "\uff0f", "\n/"]
        return pick(front) + "/".join(pick(atoms) for _ in range(rnd.randint(0, 4))) + pick(["", "", "", "", " ", "/"])

    def url():
        return (pick(["https://", "http://", "HTTP://", "", "ftp://", "//", "view-source:https://", "see https://", " https://"]) +
                pick(hosts) + pick(["", "/", "/@a.com", "?x", "#y", "/../", " "]))

    def word():
        return pick([path, path, url, lambda: pick(cmds), lambda: pick(atoms)])()

    def maybe(v):
        return pick([v, v, v, v, [v], [v, v], None, 1, {"y": v}, [[v]], [{"path": v}], True])

    def args(depth=0):
        out = {}
        for _ in range(rnd.randint(0, 3)):
            n = pick(names)
            if depth < 3 and rnd.random() < .15:
                out[pick(wrapped)] = pick([lambda: args(depth + 1), lambda: [args(depth + 1), word()]])()
            elif n in ("url", "uri", "page"):
                out[n] = maybe(url())
            elif n == "args":
                out[n] = pick([[pick(cmds)], [], "x", ["status"], ["push", "x"], [path()]])
            elif n in ("command", "cmd"):
                out[n] = maybe(pick(cmds))
            elif n in ("path", "file", "paths", "source", "where"):
                out[n] = maybe(path())
            else:
                out[n] = maybe(word())
        return out

    def constraints():
        c = {}
        if rnd.random() < .5:
            c["path_allowlist"] = [pick(["/ws", "/ws/*", "/", "/a/*/b", "/ws/x*", "/etc/**", "/ws/é"]) for _ in range(rnd.randint(0, 2))]
        if rnd.random() < .3:
            c["command_allowlist"] = [pick(["ls", "git"]) for _ in range(rnd.randint(0, 2))]
        if rnd.random() < .3:
            c["subcommand_allowlist"] = pick([["status"], [], {"git": ["status"]}, {"ls": [], "git": ["push"]}])
        if rnd.random() < .4:
            c["domain_allowlist"] = [pick(["a.com", "*.b.org", ".a.com", "1.2.3.4", "[::1]"]) for _ in range(rnd.randint(0, 2))]
        for kind, words in (("path_arguments", ["where", "x"]), ("url_arguments", ["page", "y"]), ("text_arguments", ["note", "x", "*"])):
            if rnd.random() < .15:
                c[kind] = [pick(words)]
        if rnd.random() < .1:
            c[pick(["path_allowlist", "domain_allowlist", "command_allowlist"])] = None
        if rnd.random() < .3:
            c["rate_limit"] = {"calls": rnd.randint(1, 9), "per_seconds": rnd.randint(1, 99)}
        return c

    def cap():
        c = {"tool_pattern": pick(["*", "*", "fs.*", "fs.*", "fs.read", "cmd.run", "web.*", "t"])}
        if rnd.random() < .3:
            c["constraints"] = constraints()
        else:
            c.update(constraints())
        return c

    deny = ["fs.write", "web.*", "fs.read:/etc", "cmd.run:rm", "*:.env", "web.get:b.org", "*:git push", "t:*", "*:/ws/b", "fs.*:a/b",
            {"tool_pattern": "fs.a.b"}, "cmd.run:ls /etc", "*:1.2.3.4"]
    for i in range(count):
        if i % 5 == 0:
            ctx = {"name": "r", "capabilities": [cap() for _ in range(pick([0, 1, 2, 2, 3, 3, 4]))],
                   "deny_list": [pick(deny) for _ in range(pick([0, 0, 0, 1, 2]))]}
            for kind, words in (("path_arguments", ["where"]), ("text_arguments", ["y", "note"])):
                if rnd.random() < .2:
                    ctx[kind] = [pick(words)]
            used = rnd.randint(0, 15)
            print("context\t" + json.dumps(ctx))
            print(f"used\t{used}")
        tool, a = pick(tools), args()
        print(f"{judge(ctx, tool, a, used)}\t{tool}\t{json.dumps(a, ensure_ascii=rnd.random() < .5)}")


def unicode_rows():
    """A path around every character that normalisation changes or somebody trims."""
    ctx = {"name": "u", "capabilities": [{"tool_pattern": "t", "path_allowlist": ["/w"]}]}
    print("context\t" + json.dumps(ctx))
    odd = [chr(c) for c in range(0x80, 0x30000) if not 0xd800 <= c < 0xe000 and
           (unicodedata.normalize("NFKC", chr(c)) != chr(c) or chr(c) in BLANKS)]
    for c in odd:
        for args in ({"path": f"/w/{c}/x"}, {"path": f"{c}x"}, {"path": f"/w/.{c}/x"}, {"path": "/w", "x": f"{c}etc"},
                     {"path": "/w", "x": f"a{c}../b"}):
            print(f"{judge(ctx, 't', args)}\tt\t{json.dumps(args)}")


if __name__ == "__main__":
    if sys.argv[1] == "--random":
        made_up(int(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1] == "--unicode":
        unicode_rows()
    else:
        sys.exit(check(sys.argv[1]))

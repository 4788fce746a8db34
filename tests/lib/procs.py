# SPDX-License-Identifier: Apache-2.0
"""What /proc says about the processes of a running Aegis, and who is who among them."""

import os
import re
from pathlib import Path

import root

UID_BASE, TOOL_UID_BASE = 61000, 61100

# role: the beginning of its title (common/role.c), its system user, its number without one
ROLES = {
    "gate": ("gated: gate", "aegis-gate", 1),
    "judge": ("keymasterd: judge", "aegis-judge", 2),
    "vault": ("keymasterd: vault", "aegis-vault", 3),
    "dispatcher": ("egressd: dispatcher", "aegis-dispatch", 4),
    "worker": ("egressd: worker", "aegis-worker", 5),
    "toolhost": ("toolhostd: toolhost", "aegis-toolhost", 6),
    "toolexec": ("toolhostd: toolexec", "aegis-tool", 7),
    "api": ("gated: api", "aegis-api", 8),
}


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def role_of(lab, pid, title):
    if pid == lab.process.pid:
        return "master"
    for role, (begin, _, _) in ROLES.items():
        if title.startswith(begin):
            return role
    return "server"


def by_role(lab):
    """{role: [pid]}; of toolexec's two processes the pump only, the other is "reaper"."""
    found = {}
    for pid, title in lab.children().items():
        try:
            role = role_of(lab, pid, title)
            if role == "toolexec" and parent(pid) != lab.process.pid:
                role = "reaper"
            found.setdefault(role, []).append(pid)
        except FileNotFoundError:
            pass
    return found


def status(pid):
    """/proc/PID/status as a dictionary of texts."""
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M))


def _inside(pid):
    """Of a process without dumps only root may see these."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[fd] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            pass
    return [found, Path(f"/proc/{pid}/maps").read_text(),
            Path(f"/proc/{pid}/environ").read_bytes().hex()]


def descriptors(pid):
    """{number: what it is}: "socket:[1]", "pipe:[2]", "anon_inode:[eventpoll]", "/a/path"."""
    return {int(fd): what for fd, what in root.call(_inside, pid)[0].items()}


def maps(pid):
    """[(permissions, path or "")]"""
    lines = root.call(_inside, pid)[1].splitlines()
    return [(m[1], m[2]) for m in (re.match(r"\S+ (\S+) \S+ \S+ \S+\s*(.*)", x) for x in lines)]


def environ(pid):
    return bytes.fromhex(root.call(_inside, pid)[2]).strip(b"\0")


def alive(pid):
    try:
        return status(pid)["State"][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False

# SPDX-License-Identifier: Apache-2.0
"""What takes root: done at once when we are root, else by sudo without a password, else a
failure that says so. CI runs the tests as root."""

import json
import os
import subprocess
import sys

IS_ROOT = os.geteuid() == 0


class NeedsRoot(AssertionError):
    pass


def run(*command, user=0, timeout=60, **more):
    """A command as root, or as another user (a number)."""
    more = {"capture_output": True, "text": True, "timeout": timeout, **more}
    if IS_ROOT:
        if user != 0:
            more.update(user=user, group=user, extra_groups=[])
        return subprocess.run(command, **more)
    try:
        done = subprocess.run(["sudo", "-n", "-u", f"#{user}", *command], **more)
        problem = done.stderr if done.stderr.startswith("sudo:") else ""
    except OSError as e:
        problem = str(e)
    if problem:
        raise NeedsRoot(f"this test takes root, or sudo without a password: {problem.strip()}")
    return done


def call(function, *args):
    """function(*args), of a module of this folder; all in JSON when it takes another process."""
    if IS_ROOT:
        return function(*args)
    done = run(sys.executable, "-B", __file__, function.__module__, function.__name__,
               input=json.dumps(args), timeout=200)
    if done.returncode != 0:
        raise NeedsRoot(done.stderr)
    return json.loads(done.stdout)


if __name__ == "__main__":
    wanted = getattr(__import__(sys.argv[1]), sys.argv[2])
    json.dump(wanted(*json.load(sys.stdin)), sys.stdout)

# SPDX-License-Identifier: Apache-2.0
"""doc/compatibility.md says what is there: commands, flags, keys and tests that it names exist."""

import re
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TEXT = (TOP / "doc" / "compatibility.md").read_text()


def section(name):
    return re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", TEXT, re.S | re.M).group(1)


def rows(name):
    found = [[c.strip() for c in line.strip("|").split("|")] for line in section(name).splitlines()
             if line.startswith("| ") and not line.startswith("| there")]
    assert found
    return found


def test_each_test_exists():
    named = re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", TEXT)
    assert len(named) > 40
    missing = []
    for file, name in named:
        path = TOP / "tests" / "system" / file
        if not path.exists() or (name and not re.search(rf"^\s*def {name}\(", path.read_text(), re.M)):
            missing.append((file, name))
    assert not missing, missing


def test_each_row_has_a_test_or_says_that_it_is_missing():
    for there, here, shown in rows("Commands") + rows("HTTP") + rows("Webhooks") + rows("Data API"):
        assert shown.startswith("`test_") or here.startswith("not yet"), there


def test_each_command_and_flag_exists(prefix):
    for there, here, _ in rows("Commands"):
        if here.startswith("not yet") or there == "`dashboard`":
            continue
        words = there.strip("`").split()
        command = [w for w in words if not w.startswith("--")]
        done = subprocess.run([prefix / "bin" / "aegis", *command, "--help"], text=True, capture_output=True)
        assert done.returncode == 0, there
        for flag in (w for w in words if w.startswith("--")):
            assert re.search(rf"{flag}\b", done.stdout), f"{command}: {flag}"


def test_each_key_exists():
    table = (TOP / "aegis" / "key_table.c").read_text()
    for there, here in rows("Configuration"):
        for key in re.findall(r"`([a-z_.]+)`", there):
            if "the same" in here:
                assert f'KEY("{key}"' in table, key
    for variable in re.findall(r"`(AEGIS_\w+)`", section("Configuration")):
        if variable not in ("AEGIS_SALT", "AEGIS_USER_TOKEN"):
            assert f'"{variable}"' in table, variable

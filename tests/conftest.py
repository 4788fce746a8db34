# SPDX-License-Identifier: Apache-2.0
"""Shared by all Python tests: where the installed programs and the parts are."""

import os
import signal
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent
sys.path.insert(0, str(TOP / "lib"))


def pytest_addoption(parser):
    parser.addoption("--prefix", default=os.environ.get("AEGIS_PREFIX"))
    parser.addoption("--cache", default=os.environ.get("AEGIS_CACHE", "/var/cache/aegis-parts"))


def pytest_configure(config):
    """Tests of one daemon run the installed one, unless told otherwise."""
    # started in the background, we and our children would ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prefix = config.getoption("--prefix")
    for variable, name in (("GATED", "gated"), ("EGRESS_WORKER", "egressd-worker"),
                           ("EGRESS_DISPATCHER", "egressd-dispatcher")):
        if prefix:
            os.environ.setdefault(variable, str(Path(prefix) / "libexec" / "aegis" / name))


@pytest.fixture(scope="session")
def prefix(request):
    value = request.config.getoption("--prefix")
    assert value and (Path(value) / "bin" / "aegis").exists(), "give --prefix DIR (contrib/test does)"
    return Path(value)


@pytest.fixture(scope="session")
def cache(request):
    value = Path(request.config.getoption("--cache"))
    assert (value / "node").exists(), "run contrib/setup"
    return value

# SPDX-License-Identifier: Apache-2.0
"""Deadlines instead of sleeps: everything that waits in the tests waits here."""

import os
import shutil
import sys
import tempfile
import time
import unittest

from . import skips


def slow_factor():
    """Deadlines are multiplied by this; for machines slower than ours."""
    return float(os.environ.get("ENTREPOT_TEST_SLOW", "1"))


def is_full():
    return os.environ.get("ENTREPOT_FULL", "") not in ("", "0")


def wait_until(condition, seconds, what, every=0.01):
    """Ask `condition` until it gives something true, which is returned. AssertionError at the deadline."""
    deadline = time.monotonic() + seconds * slow_factor()
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(every)


def need(condition, what, in_debian=True):
    """Skip the test when the machine lacks something; on CI that is a failure, for what Debian has."""
    if condition:
        return
    if skips.is_on_ci() and in_debian:
        raise AssertionError(f"this machine lacks: {what}")
    raise unittest.SkipTest(f"needs {what}")


def need_root():
    need(os.geteuid() == 0, "root")


def need_program(*paths):
    for path in paths:
        need(shutil.which(path), *skips.describe(path))


class Folder:
    """A temporary folder that goes when the test is over, and stays when it failed and KEEP is set."""

    def __init__(self, prefix):
        self.path = tempfile.mkdtemp(prefix=f"entrepot-{prefix}-")

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def remove(self):
        if os.environ.get("ENTREPOT_TEST_KEEP"):
            print(f"kept: {self.path}", file=sys.stderr)
            return
        shutil.rmtree(self.path, ignore_errors=True)

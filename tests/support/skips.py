# SPDX-License-Identifier: Apache-2.0
"""Tests that a machine cannot run: each is said by name with its reason to the file that ENTREPOT_SKIPPED names, which
tests/run lists at its end. What is missing on CI is a failure, unless it is no package of this Debian."""

import os
import sys

SKIPPED = 77  # SKIP_RETURN_CODE of the tests that may be


def is_on_ci():
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def describe(program):
    """What to call a program that is missing, and whether this Debian has it: tests/run says in ENTREPOT_ABSENT which
    it does not have."""
    if program in os.environ.get("ENTREPOT_ABSENT", "").split():
        return f"{program}, which this release of Debian does not have", False
    return program, True


def note(test, reason):
    path = os.environ.get("ENTREPOT_SKIPPED")
    if path:
        with open(path, "a", encoding="utf-8") as out:
            out.write(f"{test}: {' '.join(reason.split())[:300]}\n")


def end(test, reason):
    """Ends this process, which is a whole test of ctest's, as skipped."""
    print(f"{test}: {reason}")
    note(test, reason)
    sys.exit(SKIPPED)

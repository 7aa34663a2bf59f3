#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail when clang-format 14 would change a file: others write the same style in other ways. Skipped without it."""
import subprocess
import sys

import csource

PROGRAM = "clang-format-14"


def check(root):
    paths = [str(path) for path in csource.files(root, ("src", "include", "tests"))]
    if not paths:
        return []
    result = subprocess.run([PROGRAM, "--dry-run", "-Werror", *paths], cwd=root, capture_output=True, text=True,
                            check=False)
    return [line for line in result.stderr.splitlines() if "error:" in line] if result.returncode else []


if __name__ == "__main__":
    csource.need("format", PROGRAM)
    sys.exit(csource.report("format", check(csource.root_of(sys.argv))))

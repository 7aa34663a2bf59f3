#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail when clang-format 14 would change a file; skipped where it is not installed."""
import shutil
import subprocess
import sys

import csource

PROGRAM = "clang-format-14"
SKIPPED = 77


def check(root):
    paths = [str(path) for path in csource.files(root, ("src", "include", "tests"))]
    if not paths:
        return []
    result = subprocess.run([PROGRAM, "--dry-run", "-Werror", *paths], cwd=root, capture_output=True, text=True,
                            check=False)
    return [line for line in result.stderr.splitlines() if "error:" in line] if result.returncode else []


if __name__ == "__main__":
    if not shutil.which(PROGRAM):
        print(f"format: skipped, {PROGRAM} is not installed")
        sys.exit(SKIPPED)
    sys.exit(csource.report("format", check(csource.root_of(sys.argv))))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail when a tracked file names a folder of the machine it was written on."""
import re
import subprocess
import sys

import csource

# Put together here so that this file does not find itself.
FOLDERS = ["/" + name + "/" for name in ("work", "root", "home/[a-z]+")]
PATTERN = re.compile(rb"(?<![\w.~>)}$*-])(%s)" % "|".join(FOLDERS).encode())


def tracked(root):
    result = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=False)
    if result.returncode == 0:
        return [name for name in result.stdout.decode().split("\0") if name]
    return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and "build" not in path.parts]


def check(root):
    bad = []
    for name in tracked(root):
        path = root / name
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            match = PATTERN.search(line)
            if match:
                bad.append(f"{name}:{number}: names {match.group().decode()}, a folder of somebody's machine")
    return bad


if __name__ == "__main__":
    sys.exit(csource.report("paths", check(csource.root_of(sys.argv))))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail when a file, a function, a struct or a parameter list outgrows its limit.

size_exceptions.txt names what may, one "path" or "path:name" a line with the reason after a '#'.
"""
import collections
import json
import subprocess
import sys

import csource

LIMITS = {"file lines": 800, "function lines": 80, "parameters": 6, "struct fields": 30}


def count_parameters(signature):
    inside = signature.strip()[1:-1].strip()
    if inside in ("", "void"):
        return 0
    depth, commas = 0, 0
    for char in inside:
        depth += (char == "(") - (char == ")")
        commas += char == "," and depth == 0
    return commas + 1


def read_tags(root, paths):
    command = ["ctags", "--languages=C", "--map-C=+.h", "--kinds-C=fm", "--fields=+neSs", "--output-format=json",
               "-L", "-", "-f", "-"]
    listing = "\n".join(str(root / path) for path in paths)
    result = subprocess.run(command, input=listing, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def check(root):
    paths = csource.files(root)
    allowed, bad = csource.exceptions(root, "size_exceptions.txt")
    found = [(len((root / path).read_text().splitlines()), "file lines", str(path)) for path in paths]
    fields = collections.Counter()
    for tag in read_tags(root, paths):
        path = tag["path"].removeprefix(f"{root}/")
        if tag["kind"] == "member":
            fields[f"{path}:{tag.get('scope', '?')}"] += 1
        elif "end" in tag:
            where = f"{path}:{tag['name']}"
            found.append((tag["end"] - tag["line"] + 1, "function lines", where))
            found.append((count_parameters(tag.get("signature", "()")), "parameters", where))
    found += [(count, "struct fields", where) for where, count in fields.items()]
    bad += [f"{where}: {count} {what}, limit {LIMITS[what]}"
            for count, what, where in found if count > LIMITS[what] and where not in allowed]
    names = {where for _, _, where in found}
    bad += [f"size_exceptions.txt: {name} is not there any more" for name in allowed - names]
    return sorted(bad)


if __name__ == "__main__":
    csource.need("sizes", "ctags")
    sys.exit(csource.report("sizes", check(csource.root_of(sys.argv))))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail when ten or more lines of code stand in two places of src/.

Comments, blank lines, lines of braces and #include lines do not count, nor does spacing.
"""
import collections
import re
import sys

import csource

LENGTH = 10
NOTHING = re.compile(r"[{}();,\s]*$|\s*#\s*include\b")


def comments_out(text):
    def replace(match):
        return csource.blank(match.group()) if match.group()[0] == "/" else match.group()

    return csource.SKIP.sub(replace, text)


def lines_of(text):
    """(line number, line without spacing) of what counts."""
    return [(number, " ".join(line.split())) for number, line in enumerate(comments_out(text).splitlines(), 1)
            if not NOTHING.match(line)]


def find_runs(sources):
    """(a, i, b, j, length) of runs that are the same, longest first seen; a and b are paths."""
    places = collections.defaultdict(list)
    for path, lines in sources.items():
        for i in range(len(lines) - LENGTH + 1):
            places[tuple(line for _, line in lines[i:i + LENGTH])].append((path, i))
    seen = set()
    for spots in places.values():
        for n, (a, i) in enumerate(spots):
            for b, j in spots[n + 1:]:
                if (a, i - 1, b, j - 1) not in seen and not (a == b and j - i < LENGTH):
                    yield a, i, b, j
                seen.add((a, i, b, j))


def check(root):
    sources = {path: lines_of((root / path).read_text()) for path in csource.files(root, ("src",))}
    bad = []
    for a, i, b, j in find_runs(sources):
        length = 0
        while (i + length < len(sources[a]) and j + length < len(sources[b])
               and sources[a][i + length][1] == sources[b][j + length][1]):
            length += 1
        bad.append(f"{a}:{sources[a][i][0]}: {length} lines are the same as {b}:{sources[b][j][0]}")
    return sorted(bad)


if __name__ == "__main__":
    sys.exit(csource.report("duplicates", check(csource.root_of(sys.argv))))

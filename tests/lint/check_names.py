#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail when one noun means two things: a struct, union or enum tag that is defined twice, or a function that
is not static and has the name of another. All parts are linked into one program.

name_exceptions.txt names what may be defined twice, one name a line with the reason after a '#'.
"""
import collections
import re
import sys

import csource

TAG = re.compile(r"\b(struct|union|enum)\s+(?:__attribute__\s*\(\(.*?\)\)\s*)?(\w+)\s*\{", re.S)
FUNCTION = re.compile(r"^(?![#{}\s])([^;{}#]*?)\b(\w+)\s*\([^;{}]*\)[^;{}()]*\n\{", re.M)
MACRO = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)


def definitions(root):
    """(what it is, name, where) of every tag and external function."""
    for path in csource.files(root, endings=(".c", ".h", ".def")):
        # Of a macro the lines stay: tags made by one are made from a table, which has no two equal rows.
        text = MACRO.sub(lambda match: csource.blank(match.group()), csource.code((root / path).read_text()))
        for match in TAG.finditer(text):
            yield "tag", match.group(2), (path, csource.line_of(text, match.start(2)), match.group(1))
        for match in FUNCTION.finditer(text):
            if not {"static", "inline"} & set(match.group(1).split()):
                yield "function", match.group(2), (path, csource.line_of(text, match.start(2)), "function")


def judge(name, places):
    """One line for a name that is defined at several places."""
    (path, line, kind), *others = places
    rest = ", ".join(f"{other}:{number}" for other, number, _ in others)
    parts = sorted({csource.part_of(place) for place, _, _ in places})
    where = f"in {' and '.join(parts)}" if len(parts) > 1 else f"twice in {parts[0]}"
    return f"{path}:{line}: {kind} {name} is defined {where}, also at {rest}"


def check(root):
    allowed, bad = csource.exceptions(root, "name_exceptions.txt")
    found = collections.defaultdict(list)
    for what, name, place in definitions(root):
        found[what, name].append(place)
    twice = {(what, name): places for (what, name), places in found.items() if len(places) > 1}
    bad += [judge(name, places) for (_, name), places in twice.items() if name not in allowed]
    bad += [f"name_exceptions.txt: {name} is not defined twice any more"
            for name in allowed - {name for _, name in twice}]
    return sorted(bad)


if __name__ == "__main__":
    sys.exit(csource.report("names", check(csource.root_of(sys.argv))))

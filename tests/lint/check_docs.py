#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail when a declaration in include/ has no comment: above it, on it, or as the first line of its group.

A group ends at a blank line. The struct, enum or table that is named like its file is what the comment at
the head of the file is about.
"""
import re
import sys

import csource

TOKEN = re.compile(r"/\*.*?\*/|\n|\\\n|[{}();]|[^\n{}();/]+|/", re.S)
FORWARD = re.compile(r"(struct|enum|union)\s+\w+\s*;")
NAME = re.compile(r"(?:struct|enum|union)\s+(\w+)\s*\{|\b(\w+)\s*\(")


class Declaration:
    """Something up to its semicolon, with what was said about it."""

    def __init__(self, line, is_documented):
        self.line, self.text, self.is_documented = line, "", is_documented


def without_preprocessor(text):
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda match: csource.blank(match.group()) + "#", text, flags=re.M)


def declarations(text):
    """Every declaration at the top level. A line that was a directive ends in a lone '#'."""
    line, depth, current, last = 1, 0, None, None
    said, group_said, is_group_start = False, False, True
    newlines = 2
    for token in TOKEN.findall(without_preprocessor(text)):
        if token == "\n":
            newlines += 1
            if newlines >= 2 and not current:
                said, group_said, is_group_start, last = False, False, True, None
        elif token.startswith("/*"):
            if current:
                current.is_documented |= line == current.line
            elif last and newlines == 0:
                last.is_documented = True
            else:
                said = True
                group_said |= is_group_start
                is_group_start = False
            newlines = 0
        elif token.strip() == "#":
            newlines, said, last = 0, said, None
        elif token.strip():
            if not current:
                current = Declaration(line, said or group_said)
                said, is_group_start = False, False
            current.text += token
            newlines = 0
            depth += (token in "{(") - (token in ")}")
            if token == ";" and depth == 0:
                yield current
                last, current = current, None
        line += token.count("\n")


def name_of(declaration):
    match = NAME.search(declaration.text)
    return next(part for part in match.groups() if part) if match else "?"


def check_file(path, text):
    body = text[text.find("#ifndef"):] if "#ifndef" in text else text
    first = csource.line_of(text, text.find(body)) - 1
    for found in list(declarations(body)):
        name = name_of(found)
        if not found.is_documented and not FORWARD.fullmatch(found.text.strip()) and name != path.stem:
            yield f"{path}:{first + found.line}: {name} is not documented"


def check(root):
    return [problem for path in csource.files(root, ("include",), (".h",))
            for problem in check_file(path, (root / path).read_text())]


if __name__ == "__main__":
    sys.exit(csource.report("docs", check(csource.root_of(sys.argv))))

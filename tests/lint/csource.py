# SPDX-License-Identifier: Apache-2.0
"""C source as the lints see it: which files there are, code without comments and strings, functions."""
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import skips, waiting  # noqa: E402

SKIP = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
FUNCTION = re.compile(r"^(?![#{}\s])[^;{}#]*?\b(\w+)\s*\([^;{}]*\)[^;{}()]*\n\{", re.M)


def files(root, folders=("src", "include"), endings=(".c", ".h")):
    """Paths below the folders, sorted, relative to the root."""
    found = (path for folder in folders for path in (root / folder).rglob("*") if path.suffix in endings)
    return sorted(path.relative_to(root) for path in found if "build" not in path.relative_to(root).parts)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def code(text, keep_line_comments=False):
    """Comments and the insides of strings become spaces; lines stay where they are."""

    def replace(match):
        found = match.group()
        if found.startswith("//") and keep_line_comments:
            return found
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[0]
        return blank(found)

    return SKIP.sub(replace, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def functions(stripped):
    """(name, position of the opening brace, position after the closing one) of each definition."""
    for match in FUNCTION.finditer(stripped):
        end = stripped.find("\n}", match.end())
        head = match.group()
        name = match.group(1)
        first = re.search(r"\b(?!__attribute__)(\w+)\s*\((?!\()", head)
        yield (first.group(1) if first else name), match.end() - 1, (end + 2 if end >= 0 else len(stripped))


def part_of(path):
    """src/PART/… and include/PART/…; what lies directly in src/ is the main program."""
    return path.parts[1] if len(path.parts) > 2 else "main"


def exceptions(root, name):
    """What a list in tests/lint allows, and complaints about its lines without a reason."""
    path = root / "tests/lint" / name
    allowed, bad = set(), []
    for line in path.read_text().splitlines() if path.exists() else []:
        entry, _, reason = line.partition("#")
        if entry.strip():
            allowed.add(entry.strip())
            if not reason.strip():
                bad.append(f"{name}: no reason for {entry.strip()}")
    return allowed, bad


def need(title, program):
    """Ends the lint as skipped where the program is not installed."""
    try:
        waiting.need_program(program)
    except unittest.SkipTest as lack:
        skips.end(f"lint.{title}", str(lack))


def report(title, problems):
    """Print what was found; the exit status."""
    print("\n".join(problems) or f"{title}: ok")
    return 1 if problems else 0


def root_of(arguments):
    return pathlib.Path(arguments[1] if len(arguments) > 1 else ".").resolve()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail on functions that are banned, `//` comments, a TODO without an issue, a state that is set outside
the one function that may, and files without their first lines."""
import re
import sys

import csource

BANNED = {  # function -> the only file that may call it; None: nobody
    **dict.fromkeys("strcpy stpcpy strcat strncpy strncat sprintf vsprintf strtok gets atoi atol atoll atof sscanf "
                    "localtime gmtime ctime asctime alloca system popen mktemp tmpnam strerror".split(), None),
    **dict.fromkeys("malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf".split(),
                    "src/base/alloc.c"),
    **dict.fromkeys("strtol strtoul strtoll strtoull strtoimax strtoumax strtod strtof".split(), "src/base/text.c"),
}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
SET_STATE = re.compile(r"->state\s*=(?!=)")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
SPDX = "SPDX-License-Identifier: Apache-2.0"


def check_code(path, text):
    stripped = csource.code(text)
    for match in CALL.finditer(stripped):
        if BANNED[match.group(1)] != str(path):
            where = BANNED[match.group(1)]
            yield match.start(), f"{match.group(1)} is banned" + (f" outside {where}" if where else "")
    for match in re.finditer("//", csource.code(text, keep_line_comments=True)):
        yield match.start(), "a // comment; write /* */"
    for match in SET_STATE.finditer(stripped):
        inside = [name for name, start, end in csource.functions(stripped) if start < match.start() < end]
        if not any(name.endswith("set_state") for name in inside):
            yield match.start(), "sets ->state outside a function called …_set_state"


def check_head(path, text):
    """The SPDX line, and in src/ and include/ a comment that says what the file is."""
    if SPDX not in "\n".join(text.splitlines()[:3]):
        yield 0, "has no SPDX line"
    elif path.parts[0] in ("src", "include") and not re.match(r"/\*[^\n]*\*/\s*/\*", text):
        yield 0, "has no comment under the SPDX line that says what it is"


def check(root):
    bad = []
    for path in csource.files(root, ("src", "include", "tests"), (".c", ".h", ".def", ".py", ".sh")):
        text = (root / path).read_text()
        found = list(check_head(path, text))
        if path.name not in ("check_words.py", "test_lints.py"):
            found += [(match.start(), f"{match.group()} without an issue: {match.group()}(#123)")
                      for match in UNFINISHED.finditer(text)]
        if path.parts[0] in ("src", "include"):
            found += check_code(path, text)
        bad += [f"{path}:{csource.line_of(text, position)}: {problem}" for position, problem in sorted(found)]
    return bad


if __name__ == "__main__":
    sys.exit(csource.report("words", check(csource.root_of(sys.argv))))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail where C is written in another dialect than the rest of the tree; with --fix, write it in ours.

The dialect: `!p` and `p`, not comparisons with NULL; `sizeof(x)`; a status is called `rc`; a blank line after the
declarations at the top of a block; a body of one line stands without braces, unless another branch needs them.
"""
import pathlib
import re
import sys

import csource

FOLDERS = ("src", "include", "tests")
ENDINGS = (".c", ".h")
STATUS = re.compile(r"\bint (result|failed|ret|res)\b(?= =|;|,|\))")
CONTROL = re.compile(r"(?:if|while|for|else if|LIST_EACH|LIST_EACH_SAFE|MAP_EACH) ?\(")
NOT_A_TYPE = {"return", "goto", "else", "case", "break", "continue", "do", "if", "while", "for", "switch", "default",
              "typedef", "sizeof", "LIST_EACH", "LIST_EACH_SAFE", "MAP_EACH"}
DECLARATION = re.compile(r"\s+(\w+)[\s*]+(?:\w+[\s*]+)*\(?\*?\w+\)?(?:\[[^\]]*\])*(?:\([^;]*)?\s*(?:=.*|;|,.*|)$")
TYPE_BODY = re.compile(r"\s+(?:static )?(?:const )?(?:struct|union|enum)(?: \w+)? \{$")


class Source:
    """One file: its text, and the same with comments and strings blanked, line by line."""

    def __init__(self, text):
        self.text = text
        self.lines = text.split("\n")
        self.code = csource.code(text).split("\n")

    def is_macro(self, number):
        return self.lines[number].endswith("\\") or self.code[number].lstrip().startswith("#")


# ---- comparisons with NULL, sizeof, names of a status: edits (start, end, new text, what is wrong) ----

def operand_start(code, end):
    """Where the operand that ends before `end` begins: a postfix expression with its unary stars."""
    at = end
    while at > 0:
        if code[at - 1] in ")]":
            depth = 0
            while at > 0:
                at -= 1
                depth += (code[at] in ")]") - (code[at] in "([")
                if depth == 0:
                    break
        elif re.match(r"\w", code[at - 1]):
            while at > 0 and re.match(r"\w", code[at - 1]):
                at -= 1
        else:
            break
        if code[at - 2:at] == "->":
            at -= 2
        elif code[at - 1:at] == ".":
            at -= 1
        elif not (code[at] in "([" and at > 0 and re.match(r"[\w)\]]", code[at - 1])):
            break
    while at > 0 and code[at - 1] in "*&" and (at < 2 or not re.match(r"[\w)\]] ?", code[at - 2:at])):
        at -= 1
    return at


def null_edits(text, code):
    for match in re.finditer(r"\s+([!=]=)\s+NULL\b", code):
        start = operand_start(code, match.start())
        if code[start:start + 1] == "*" and code[start - 1:start] == " " and re.search(r"\w $", code[:start]) and \
                not re.search(r"\b(return|case) $", code[:start]):
            continue
        operand = text[start:match.start()]
        yield start, match.end(), ("!" if match.group(1) == "==" else "") + operand, "a comparison with NULL"


def sizeof_edits(text, code):
    for match in re.finditer(r"\bsizeof ([*&]*\w+(?:(?:->|\.)\w+|\[[^\]]*\])*)", code):
        if code[match.end():match.end() + 1] != "(":
            yield match.start(), match.end(), f"sizeof({text[match.start(1):match.end(1)]})", "sizeof without parentheses"


def status_edits(text, code):
    for name, start, end in csource.functions(code):
        head = code.rfind("\n\n", 0, start) + 1
        for match in STATUS.finditer(code, head, end):
            if re.search(r"\brc\b", code[head:end]):
                yield match.start(), match.start(), "", f"a status called {match.group(1)} in {name}"
                continue
            for use in re.finditer(rf"(?<![\w.>]){match.group(1)}\b", code[head:end]):
                yield head + use.start(), head + use.end(), "rc", f"a status called {match.group(1)} in {name}"
            break


# ---- blank lines after declarations: (line before which one is missing) ----

def end_of_statement(source, number):
    """The line on which what begins on this line ends: with a semicolon outside parentheses and braces."""
    depth = 0
    for at in range(number, len(source.code)):
        line = source.code[at]
        depth += line.count("(") + line.count("{") + line.count("[")
        depth -= line.count(")") + line.count("}") + line.count("]")
        if depth <= 0 and line.rstrip().endswith(";"):
            return at
    return len(source.code) - 1


def is_declaration(source, number):
    line = source.code[number].rstrip()
    if TYPE_BODY.match(line):
        return True
    match = DECLARATION.match(line)
    return bool(match) and match.group(1) not in NOT_A_TYPE


def opens_block(source, number):
    line = source.code[number].rstrip()
    if line == "{":
        return True
    return bool(re.search(r"(\)|\belse|\bdo|:) \{$", line)) and not re.search(r"=\s*\(.*\) \{$", line)


def missing_blanks(source):
    for number in range(len(source.lines) - 1):
        if not opens_block(source, number) or source.is_macro(number):
            continue
        at, last = number + 1, None
        while at < len(source.lines):
            if not source.code[at].strip() and source.lines[at].strip():  # a comment
                at += 1
            elif source.code[at].strip() and is_declaration(source, at):
                last = end_of_statement(source, at)
                at = last + 1
            else:
                break
        if last is not None and last + 1 < len(source.lines):
            following = source.lines[last + 1].strip()
            if following and not following.startswith("}"):
                yield last + 1


# ---- braces ----

class Branch:
    """One branch of an if chain, or one loop: where its head and its body are."""

    def __init__(self, head, head_end, has_braces, first, last):
        self.head, self.head_end, self.has_braces, self.first, self.last = head, head_end, has_braces, first, last

    def is_one_line(self, source):
        has_comment = self.has_braces and not source.lines[self.head_end].rstrip().endswith("{")
        if self.first != self.last or has_comment:
            return False
        line = source.code[self.first].strip()
        return line.endswith(";") and not CONTROL.match(line) and not is_declaration(source, self.first)


def end_of_head(source, number):
    depth = 0
    for at in range(number, len(source.code)):
        depth += source.code[at].count("(") - source.code[at].count(")")
        if depth == 0:
            return at
    return number


def indent(line):
    return len(line) - len(line.lstrip())


def branch_at(source, number):
    text = source.code[number].lstrip("} ")
    head_end = number if text.startswith("else") and not text.startswith("else if") else end_of_head(source, number)
    if source.code[head_end].rstrip().endswith("{"):
        depth = indent(source.lines[number])
        last = head_end + 1
        while not (source.lines[last].strip().startswith("}") and indent(source.lines[last]) == depth):
            last += 1
        return Branch(number, head_end, True, head_end + 1, last - 1)
    first = head_end + 1
    while not source.code[first].strip():
        first += 1
    if CONTROL.match(source.code[first].strip()) or source.code[first].strip().startswith("switch"):
        return Branch(number, head_end, False, first, last_line(source, first))
    return Branch(number, head_end, False, head_end + 1, end_of_statement(source, first))


def chain_at(source, number):
    """The branches of the statement that begins on this line."""
    chain = [branch_at(source, number)]
    while True:
        branch = chain[-1]
        after = branch.last + 1
        if after >= len(source.lines):
            return chain
        line = source.code[after].strip()
        if re.match(r"} else\b" if branch.has_braces else r"else\b", line):
            chain.append(branch_at(source, after))
        else:
            return chain


def last_line(source, number):
    if source.code[number].strip().startswith("switch"):
        depth, at = indent(source.lines[number]), number + 1
        while not (source.lines[at].strip() == "}" and indent(source.lines[at]) == depth):
            at += 1
        return at
    branch = chain_at(source, number)[-1]
    return branch.last + (1 if branch.has_braces else 0)


def wrong_braces(source):
    """(chain, whether it needs braces) of those that are written the other way."""
    for number, line in enumerate(source.code):
        if CONTROL.match(line.strip()) and not source.is_macro(number) and not line.rstrip().endswith(";"):
            chain = chain_at(source, number)
            needs = not all(branch.is_one_line(source) for branch in chain)
            if any(branch.has_braces != needs for branch in chain):
                yield chain, needs


def with_braces(source, chain, needs):
    lines = source.lines
    pad = " " * indent(lines[chain[0].head])
    result = []
    for place, branch in enumerate(chain):
        head = [line.rstrip() for line in lines[branch.head:branch.head_end + 1]]
        length = len(source.code[branch.head_end].rstrip())
        comment = head[-1][length:]
        head[-1] = head[-1][:length - 1].rstrip() if branch.has_braces else head[-1][:length]
        head[0] = pad + head[0].lstrip("} ")
        if place and needs:
            head[0] = pad + "} " + head[0].lstrip()
        head[-1] += (" {" if needs else "") + comment
        result += head + lines[branch.first:branch.last + 1]
    if needs:
        result.append(pad + "}")
    last = chain[-1].last + (1 if chain[-1].has_braces else 0)
    return lines[:chain[0].head] + result + lines[last + 1:]


# ---- all of it ----

def edits(text):
    code = csource.code(text)
    for rule in (null_edits, sizeof_edits, status_edits):
        yield from rule(text, code)


def fix_text(text):
    for rule in (null_edits, sizeof_edits, status_edits):
        for start, end, new, _ in sorted(set(rule(text, csource.code(text))), reverse=True):
            if new or start != end:
                text = text[:start] + new + text[end:]
    while True:
        source = Source(text)
        wrong = next(wrong_braces(source), None)
        if wrong is None:
            break
        text = "\n".join(with_braces(source, *wrong))
    source = Source(text)
    for number in sorted(missing_blanks(source), reverse=True):
        source.lines.insert(number, "")
    return "\n".join(source.lines)


def problems(text):
    source = Source(text)
    found = [(csource.line_of(text, start), what) for start, _, _, what in edits(text)]
    found += [(number + 1, "no blank line after the declarations") for number in missing_blanks(source)]
    for chain, needs in wrong_braces(source):
        found.append((chain[0].head + 1, "braces are missing" if needs else "braces around one line"))
    return sorted(set(found))


def check(root):
    bad = []
    for path in csource.files(root, FOLDERS, ENDINGS):
        bad += [f"{path}:{line}: {what}" for line, what in problems((root / path).read_text())]
    return bad


def fix(root):
    for path in csource.files(root, FOLDERS, ENDINGS):
        text = (root / path).read_text()
        new = fix_text(text)
        if new != text:
            (root / path).write_text(new)


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv if argument != "--fix"]
    if "--fix" in sys.argv:
        fix(csource.root_of(arguments))
    sys.exit(csource.report("dialect", check(csource.root_of(arguments))))

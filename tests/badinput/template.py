# SPDX-License-Identifier: Apache-2.0
"""Rows of bad input as data: what a table says, turned into bytes and expectations.

A table is tab-separated: id, description, request, expectation. A line whose id is "+" is the next request of the
row above it, on the same names. Lines of other tables may have other columns; see read_table.

In a request:
  \\r \\n \\t \\0 \\\\ \\xHH   bytes
  ${name}              a variable, see run.py: host (a Host line), end (the same and the end of the head), repo, …
  ${text*count}        `text` (with escapes) repeated
  ${length}            the number of bytes behind the first empty line
  ${hexlength}         of a chunked body of one chunk: its size

An expectation is one or more answers separated by ";", each
  STATUS[c|?][|STATUS…] [CODE[|CODE…]] [Header[=value[|value…]]] [!Header]
where "c" says that the connection must be closed, "?" that it may be, and without either it stays usable; CODE is that of
the JSON body; "~" in a value is a space. "-" is no answer at all, and the end of the connection.
"""

import os
import re

ROWS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rows")
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
TOKEN = re.compile(rb"\\x([0-9a-fA-F]{2})|\\(.)|\$\{([^}]*)\}", re.DOTALL)
ANSWER = re.compile(r"^(-|[0-9]+)([c?]?)$")


class Expected:
    """One answer."""

    def __init__(self, text):
        words = text.split()
        found = [ANSWER.match(part) for part in words[0].split("|")]
        if not all(found):
            raise ValueError(f"no expectation: {text!r}")
        self.text = text
        self.may_be_silence = any(part.group(1) == "-" for part in found)
        self.statuses = [int(part.group(1)) for part in found if part.group(1) != "-"]
        marks = {part.group(2) for part in found}
        self.must_close = "c" in marks or not self.statuses
        self.may_close = "?" in marks
        self.codes, self.headers, self.absent = [], {}, []
        for word in words[1:]:
            if word.startswith("!"):
                self.absent.append(word[1:].lower())
            elif re.match(r"^[A-Z_|]+$", word):
                self.codes = word.split("|")
            else:
                name, _, value = word.partition("=")
                self.headers[name.lower()] = value.replace("~", " ").split("|") if value else []

    def complaint(self, answer):
        """What is wrong with an answer (None: no answer came), or None."""
        if answer is None:
            return None if self.may_be_silence else f"expected {self.text}, the connection ended without an answer"
        if answer.status not in self.statuses:
            return f"expected {self.text}, got {answer}"
        if self.codes and answer.code not in self.codes:
            return f"expected {self.text}, got {answer}"
        for name, values in self.headers.items():
            if name not in answer.headers or (values and answer.headers[name] not in values):
                return f"expected {self.text}, got {name}: {answer.headers.get(name)}"
        wrong = [name for name in self.absent if name in answer.headers]
        return f"expected no {wrong[0]}: {answer.headers[wrong[0]]}" if wrong else None


class Step:
    def __init__(self, request, expect):
        self.request = request
        self.expect = [Expected(part) for part in expect.split(";")]


class Row:
    def __init__(self, key, table, description):
        self.key = key
        self.table = table
        self.description = description
        self.steps = []
        self.flags = set()


def _escape(found):
    if found.group(1) is not None:
        return bytes([int(found.group(1), 16)])
    return ESCAPES[found.group(2).decode()]


def expand(text, variables):
    """The bytes of a request."""
    def replace(found):
        if found.group(3) is None:
            return _escape(found)
        inside = found.group(3).decode()
        if inside in ("length", "hexlength"):
            return found.group(0)  # when the body is known
        part, star, count = inside.rpartition("*")
        if star and count.isdigit():
            return expand(part, variables) * int(count)
        value = variables[inside]
        return value if isinstance(value, bytes) else value.encode("latin-1")
    result = TOKEN.sub(replace, text.encode("utf-8"))
    body = result.partition(b"\r\n\r\n")[2]
    chunk = len(body) - len(b"${hexlength}\r\n\r\n0\r\n\r\n")
    result = result.replace(b"${hexlength}", b"%x" % max(chunk, 0))
    return result.replace(b"${length}", b"%d" % len(body))


def read_table(name):
    """Lists of columns, without comments; "+" lines keep their mark."""
    with open(os.path.join(ROWS, name + ".tsv"), encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            columns = line.split("\t")
            if len(columns) < 3:
                raise ValueError(f"{name}.tsv:{number}: too few columns")
            yield number, columns


def read_requests(name):
    """Rows of a table of requests. The description may begin with flags in brackets: [slow] and such."""
    rows, seen = [], {}
    for number, columns in read_table(name):
        try:
            if columns[0] == "+":
                rows[-1].steps.append(Step(*columns[2:4]))
                continue
            key, description, request, expect = columns
        except (ValueError, IndexError) as error:
            raise ValueError(f"{name}.tsv:{number}: {error}") from None
        row = make_row(key, name, description, seen)
        row.steps.append(Step(request, expect))
        rows.append(row)
    return rows


def make_row(key, table, description, seen):
    """`seen` counts the rows of one id."""
    seen[key] = seen.get(key, 0) + 1
    row = Row(f"{key}.{seen[key]}", table, description)
    found = re.match(r"^\[([a-z ]+)\] *(.*)", description)
    if found:
        row.flags, row.description = set(found.group(1).split()), found.group(2)
    return row


def read_manifests(name):
    """Rows of a table of manifests: reference, Content-Type ("-": none), body, expectation."""
    rows, seen = [], {}
    for number, columns in read_table(name):
        try:
            key, description, reference, content_type, body, expect = columns
        except ValueError as error:
            raise ValueError(f"{name}.tsv:{number}: {error}") from None
        row = make_row(key, name, description, seen)
        head = f"PUT /v2/{'${repo}' if 'other' in row.flags else 'seed/app'}/manifests/{reference} HTTP/1.1${{host}}"
        if content_type != "-":
            head += f"Content-Type: {content_type}\\r\\n"
        if "gzip" in row.flags:
            head += "Content-Encoding: gzip\\r\\n"
        if "chunked" in row.flags:
            row.steps.append(Step(head + "Transfer-Encoding: chunked\\r\\n\\r\\n${hexlength}\\r\\n" + body +
                                  "\\r\\n0\\r\\n\\r\\n", expect))
        else:
            row.steps.append(Step(head + "Content-Length: ${length}\\r\\n\\r\\n" + body, expect))
        rows.append(row)
    return rows

# SPDX-License-Identifier: Apache-2.0
"""A page of the manual as something to follow: its sections, and their blocks of code.

A block is the content of a file when the paragraph above it names one in backticks and ends with a colon; it is added
to the file's end when that paragraph has the word "Add". In a block of `console` a line after "$ " is a command, and
the lines up to the next one are all that it prints.
"""

import os
import re
from dataclasses import dataclass

from .server import ROOT

FILE = re.compile(r"`(/[^`…]+)`")
FENCE = re.compile(r"```(\w*)")
HEADING = re.compile(r"#+ (.*)")


@dataclass
class Block:
    section: str
    kind: str  # console, json, toml, …; empty: none was said
    text: str
    paragraph: str  # above it

    @property
    def file(self):
        """Where it belongs, or None."""
        if self.kind in ("console", "text", "") or not self.paragraph.endswith(":"):
            return None
        found = FILE.findall(self.paragraph)
        return found[0] if found else None

    @property
    def is_addition(self):
        return re.search(r"\bAdd\b", self.paragraph) is not None

    def commands(self):
        """[(command, what it prints)]"""
        found = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append([line[2:].partition("  # ")[0].rstrip(), ""])
            else:
                found[-1][1] += line + "\n"
        return [tuple(entry) for entry in found]


def read_blocks(name):
    """All blocks of a page of this tree, in order."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as source:
        lines = source.read().splitlines()
    blocks, section, paragraph, inside = [], "", [], None
    for line in lines:
        fence = FENCE.match(line.strip())
        if inside is not None:
            if fence:
                blocks.append(Block(section, inside[0], "".join(inside[1]), " ".join(paragraph)))
                inside, paragraph = None, []
            else:
                inside[1].append(line + "\n")
        elif fence:
            inside = (fence.group(1), [])
        elif HEADING.match(line):
            section, paragraph = HEADING.match(line).group(1), []
        elif not line and paragraph and not paragraph[-1].endswith(":"):
            paragraph = []
        elif line:
            paragraph.append(line)
    return blocks

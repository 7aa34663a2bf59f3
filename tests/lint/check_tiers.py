#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fail when a part includes a part, or a library, that it may not use; the tables are the architecture."""
import fnmatch
import re
import sys

import csource

SERVICES = {"base", "oci", "config", "store", "net", "ipc"}
MAY_USE = {  # part -> the parts it may include; everybody may include itself
    "base": set(),
    "oci": {"base"},
    "config": {"base", "oci"},
    "store": {"base", "oci"},
    "net": {"base"},
    "ipc": {"base", "oci", "net"},
    "rules": {"base", "oci", "config", "store"},  # no loop, no messages
    "master": SERVICES - {"store"},
    "worker": SERVICES | {"rules"},
    "fetcher": SERVICES | {"rules"},
    "keeper": SERVICES | {"rules"},
    "cli": SERVICES,
    "main": SERVICES | {"rules", "master", "worker", "fetcher", "keeper", "cli"},
}
DOOR = {  # library header -> the only files that may include it
    r"lmdb\.h": ["src/store/ledger*.c", "src/store/ledger*.h"],
    r"jansson\.h": ["src/base/jsonio.c"],
    r"curl/": ["src/net/transfer*.c", "src/net/transfer*.h"],
    r"openssl/": ["src/base/hash.c", "src/base/base64.c", "src/base/certificate.c"],
    r"event2?/": ["src/net/loop.c"],
    r"yaml\.h": ["src/config/config_yaml.c"],
    r"ut(hash|list|array|string)\.h": ["src/base/map.c"],
    # threads, and the ledger's lock around a map that grows
    r"pthread\.h": ["src/base/pool.c", "src/base/detached.c", "src/base/thread.*", "src/store/ledger.c"],
}
# Worker and fetcher read what repositories have through rules/visible, which wants a permit. The administrator sees all.
LEDGER_READS = re.compile(
    r"\b(blob_find|link_each\w*|link_find\w*|manifest_find\w*|referred_\w+|referrer_each|repository_each"
    r"|repository_find|repository_name|tag_each|tag_find)\s*\(")
BY_PERMIT = {"worker", "fetcher"}
WITHOUT_PERMIT = "src/worker/control_*.c"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def judge_ours(root, path, name):
    part, head = csource.part_of(path), name.split("/")[0]
    if ".." in name:
        return f"includes {name} by a relative path"
    if "/" not in name:
        folder = root / "src" / part if part != "main" else root / "src"
        return None if (folder / name).exists() else f"includes {name}, which is not beside it"
    if head != part and head not in MAY_USE.get(part, set()):
        return f"{part}/ may not use {head}/ ({name})"
    return None


def judge_library(path, name):
    for pattern, allowed in DOOR.items():
        if re.match(pattern, name) and not any(fnmatch.fnmatch(str(path), glob) for glob in allowed):
            return f"only {', '.join(allowed)} may include <{name}>"
    return None


def judge_reads(path, text):
    if csource.part_of(path) not in BY_PERMIT or fnmatch.fnmatch(str(path), WITHOUT_PERMIT):
        return
    for match in LEDGER_READS.finditer(csource.code(text)):
        yield f"{path}:{csource.line_of(text, match.start(1))}: {match.group(1)}() reads the ledger without a permit"


def check(root):
    bad = []
    for path in csource.files(root, endings=(".c", ".h", ".def")):
        text = (root / path).read_text()
        if csource.part_of(path) not in MAY_USE:
            bad.append(f"{path}: {csource.part_of(path)}/ is not in the table of parts")
        bad += judge_reads(path, text)
        for match in INCLUDE.finditer(text):
            kind, name = match.groups()
            problem = judge_ours(root, path, name) if kind == '"' else judge_library(path, name)
            if problem:
                bad.append(f"{path}:{csource.line_of(text, match.start(1))}: {problem}")
    return bad


if __name__ == "__main__":
    sys.exit(csource.report("tiers", check(csource.root_of(sys.argv))))

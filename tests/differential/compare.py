# SPDX-License-Identifier: Apache-2.0
"""What of two answers must be the same, and the list of differences that are meant.

An answer becomes {aspect: value}. `intended.tsv` has one difference a line: request ids, aspect=value of ours, the
same of theirs (patterns as of a shell, `-` for "has none"), and why; `sometimes: ` before it when there need not be one.
"""

import fnmatch
import os
import re
from dataclasses import dataclass

HEADERS = ("docker-content-digest", "content-type", "content-range", "range", "etag", "accept-ranges", "oci-subject",
           "cache-control", "docker-distribution-api-version")
SESSION = re.compile(r"(.*/blobs/uploads/)[^/?]+")
NONE = "-"


def _location(value):
    """Path alone, without the session's name and state."""
    path = re.sub(r"^https?://[^/]+", "", value)
    path = re.sub(r"[?&]_state=[^&]*", "", path)
    return SESSION.sub(r"\1ID", path)


def _link(value):
    """Parameters in order, whatever surrounds them."""
    target, _, rest = value.partition(">")
    path, _, query = target.lstrip("<").partition("?")
    return f"{path}?{'&'.join(sorted(query.split('&')))};{rest.replace(' ', '').lstrip(';')}"


def _body(answer, kind):
    if answer.status >= 400 or not answer.body:
        return NONE
    if kind.startswith("application/json"):
        return repr(answer.json())
    if kind.startswith("multipart/"):
        return "multipart"
    return answer.digest


def _content_length(answer, kind):
    """Of what is made up for the answer it says nothing; none and 0 are the same where no body can be."""
    if answer.status >= 400 or kind.startswith(("application/json", "multipart/")):
        return NONE
    length = answer.headers.get("content-length", NONE)
    return NONE if answer.status in (202, 204, 304) and length == "0" else length


def status(request, answer):
    """"404 BLOB_UNKNOWN"; a HEAD has no code."""
    code = answer.code if request.method != "HEAD" else ""
    return f"{answer.status} {code}".strip()


def aspects(request, answer):
    """{aspect: value}; what an answer lacks is `-`."""
    headers = answer.headers
    found = {name: headers.get(name, NONE) for name in HEADERS}
    kind = found["content-type"]
    if kind.startswith("multipart/"):
        found["content-type"] = "multipart/byteranges"
    found["status"] = status(request, answer)
    found["location"] = _location(headers["location"]) if "location" in headers else NONE
    found["link"] = _link(headers["link"]) if "link" in headers else NONE
    found["docker-upload-uuid"] = "ID" if "docker-upload-uuid" in headers else NONE
    found["allow"] = ",".join(sorted(part.strip() for part in headers.get("allow", NONE).split(",")))
    found["content-length"] = _content_length(answer, kind)
    found["body"] = _body(answer, kind)
    return found


@dataclass
class Difference:
    id: str
    aspect: str
    ours: str
    theirs: str

    def __str__(self):
        return f"{self.id}\t{self.aspect}={self.ours}\t{self.aspect}={self.theirs}"


def differences(request, ours, theirs):
    """Of answers with another status the status alone: all else follows from it."""
    mine, other = aspects(request, ours), aspects(request, theirs)
    names = ["status"] if ours.status != theirs.status else list(mine)
    return [Difference(request.id, name, mine[name], other[name]) for name in names if mine[name] != other[name]]


@dataclass
class Intended:
    where: str
    ids: str
    ours: str
    theirs: str
    reason: str
    uses: int = 0

    @property
    def is_sometimes(self):
        """The reference answers now so, now so."""
        return self.reason.startswith("sometimes: ")

    def covers(self, difference):
        return (any(fnmatch.fnmatchcase(difference.id, part) for part in self.ids.split())
                and fnmatch.fnmatchcase(f"{difference.aspect}={difference.ours}", self.ours)
                and fnmatch.fnmatchcase(f"{difference.aspect}={difference.theirs}", self.theirs))


def read_intended(name):
    """The rows of a list beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    found = []
    with open(path, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            if line.strip() and not line.startswith("#"):
                fields = line.rstrip("\n").split("\t")
                if len(fields) != 4 or not all(fields):
                    raise AssertionError(f"{name}:{number}: ids, ours, theirs and reason, with tabs between")
                found.append(Intended(f"{name}:{number}", *fields))
    return found

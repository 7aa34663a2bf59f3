# SPDX-License-Identifier: Apache-2.0
"""What can go wrong at an upstream: one fault says which requests it meets and what it does to them."""

import asyncio
import re
import threading
from dataclasses import dataclass, field, fields

# Kinds of requests: token, base, manifest, blob (answered by a redirect), cdn (the bytes), tags, referrers.


@dataclass
class Fault:
    # which
    kind: str = None          # None: every kind
    name: str = None          # regular expression over the repository's name
    reference: str = None     # regular expression over tag or digest
    method: str = None
    skip: int = 0             # leave so many matching requests alone first
    times: int = None         # then meet so many; None: all
    # what, of the head
    head_delay: float = None  # seconds before the head
    hold: bool = None         # no head before release()
    close: bool = None        # close instead of answering
    status: int = None        # this status with a small body instead of the answer
    retry_after: str = None
    html: bool = None         # 200 with a page of a captive portal
    digest_header: str = None  # this Docker-Content-Digest
    ignore_range: bool = None  # 200 with everything
    content_range: str = None  # this Content-Range
    chunked: bool = None      # no Content-Length
    no_length: bool = None    # neither; the end of the connection is the end
    encoding: str = None      # this Content-Encoding
    location: str = None      # of the redirect of a blob
    # what, of the body
    rate: float = None        # bytes a second
    flip_at: int = None       # this byte (of the whole blob; negative: from its end) is wrong
    short: int = None         # so many bytes less, with a length that says so
    long: int = None          # so many bytes more, with a length that says so
    cut_after: int = None     # end the connection after so many bytes of this answer
    cut: str = None           # "rst" (default) or "fin"
    stall_after: int = None   # wait after so many bytes of this answer until release()
    stall_for: float = None   # or for so long
    met: int = field(default=0, compare=False)
    released: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)

    def release(self):
        self.released.set()

    def meets(self, request):
        if self.kind is not None and self.kind != request.kind:
            return False
        if self.method is not None and self.method != request.method:
            return False
        if self.name is not None and not re.search(self.name, request.name):
            return False
        if self.reference is not None and not re.search(self.reference, request.reference):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None and self.met >= self.times:
            return False
        self.met += 1
        return True

    async def wait_released(self, seconds):
        """Until release() or the end of `seconds`, whichever is first."""
        waited = 0.0
        while not self.released.is_set() and (seconds is None or waited < seconds):
            await asyncio.sleep(0.01)
            waited += 0.01


class Trouble:
    """All faults that meet one request, as one."""

    def __init__(self, faults):
        self._faults = faults

    def __getattr__(self, name):
        for fault in self._faults:
            value = getattr(fault, name)
            if value is not None:
                return value
        return None

    async def wait_released(self, seconds=None):
        for fault in self._faults:
            if fault.hold or fault.stall_after is not None:
                await fault.wait_released(seconds)


def fault_from_json(document):
    known = {entry.name for entry in fields(Fault)} - {"met", "released"}
    unknown = set(document) - known
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    return Fault(**document)

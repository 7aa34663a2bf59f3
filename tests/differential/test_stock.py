# SPDX-License-Identifier: Apache-2.0
"""Debian's docker-registry as the oracle: it is sent what we are sent, and must be answered alike."""

import unittest

from support.case import Scenario
from support.client import path_of, request
from support.stock import StockRegistry

from . import addresses, blobs, lists, manifests, uploads
from .compare import differences, read_intended
from .script import Script

SHOWN = 200
NO_BODY = (204, 304)


def whole_script():
    script = Script()
    for part in (lists.catalog_first, addresses.base, addresses.methods, addresses.names, addresses.tags,
                 addresses.digests, uploads.ways, uploads.refused, uploads.mounts, blobs.reads, blobs.deletes,
                 manifests.types, manifests.artifacts, manifests.documents, manifests.deletes, lists.tags,
                 lists.catalog_last):
        part(script)
    return script.requests


class Side:
    """One of the two servers, and the upload sessions it gave."""

    def __init__(self, port):
        self._port = port
        self._sessions = {}

    def send(self, entry):
        body = iter(entry.body) if entry.chunked else entry.body
        answer = request(self._port, entry.method, entry.target(self._sessions), headers=entry.headers, body=body,
                         chunked=entry.chunked)
        if entry.save and "location" in answer.headers:
            self._sessions[entry.save] = path_of(answer.headers["location"])
        return answer


class StockTest(Scenario):
    def test_answers_are_those_of_the_reference_registry(self):
        stock = self.daemon(StockRegistry())
        server = self.server(start=False)
        server.start(flags=["--config", server.config_file, "--set", "upstreams={}"])
        ours, theirs = Side(server.port), Side(stock.port)
        intended = read_intended()
        found, known = [], 0
        script = whole_script()
        for entry in script:
            answer, other = ours.send(entry), theirs.send(entry)
            self.assertTrue(answer.status and answer.is_complete or answer.status in NO_BODY, f"{entry.id}: {answer}")
            self.check_digest(entry, answer)
            for difference in differences(entry, answer, other):
                covering = [row for row in intended if row.covers(difference)]
                for row in covering[:1]:
                    row.uses += 1
                known += bool(covering)
                found += [] if covering else [str(difference)]
        unused = [f"intended.tsv:{row.line}: {row.ids}: no such difference any more" for row in intended if not row.uses]
        print(f"{len(script)} requests to both, {known} differences intended, {len(found)} not")
        if found + unused:
            self.fail("\n".join([""] + (found + unused)[:SHOWN]))

    def check_digest(self, entry, answer):
        """Whatever the other says: what we call by a digest has it."""
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status == 200 and entry.method == "GET" and digest.startswith("sha256:"):
            self.assertEqual(answer.digest, digest, entry.id)


if __name__ == "__main__":
    unittest.main()

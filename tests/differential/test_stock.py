# SPDX-License-Identifier: Apache-2.0
"""Debian's docker-registry as the oracle: it is sent what we are sent, and must be answered alike."""

import unittest

from support.stock import StockRegistry

from . import addresses, blobs, lists, manifests, uploads
from .compare import read_intended
from .oracle import OracleTest
from .script import Script


def whole_script():
    script = Script()
    for part in (lists.catalog_first, addresses.base, addresses.methods, addresses.names, addresses.tags,
                 addresses.digests, uploads.ways, uploads.refused, uploads.mounts, blobs.reads, blobs.deletes,
                 manifests.types, manifests.artifacts, manifests.documents, manifests.deletes, manifests.moves,
                 lists.tags, lists.catalog_last):
        part(script)
    return script.requests


class StockTest(OracleTest):
    def test_answers_are_those_of_the_reference_registry(self):
        stock = self.daemon(StockRegistry())
        server = self.server(start=False)
        server.start(flags=["--config", server.config_file, "--set", "upstreams={}"])
        intended = read_intended("intended.tsv")
        self.compare(whole_script(), server.port, stock.port, intended, intended)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""What every scenario has: a Hub, a server in front of it, and their end whatever happens."""

import sys
import unittest

from . import tls
from .client import Client
from .hub import Hub
from .server import Server
from .waiting import Folder

_shared = {}


def authority():
    """One authority for all tests of a process: keys take a moment."""
    if "authority" not in _shared:
        _shared["folder"] = Folder("authority")
        _shared["authority"] = tls.Authority(_shared["folder"].path)
        unittest.addModuleCleanup(_forget_authority)
    return _shared["authority"]


def _forget_authority():
    _shared.pop("authority", None)
    _shared.pop("folder").remove()


class Scenario(unittest.TestCase):
    """hub(), server(), client() make what a test needs; all of it ends with the test."""

    maxDiff = 2000

    def has_failed(self):
        outcome = getattr(self, "_outcome", None)
        if outcome is None:
            return False
        result = getattr(outcome, "result", None)
        bad = list(getattr(result, "errors", [])) + list(getattr(result, "failures", []))
        return not outcome.success or any(test is self for test, _ in bad)

    def hub(self, **options):
        hub = Hub(authority(), **options).start()
        self.addCleanup(self._end_hub, hub)
        return hub

    def _end_hub(self, hub):
        if self.has_failed():
            print(f"---- what the Hub was asked last:\n{hub.story()}", file=sys.stderr)
        hub.stop()

    def server(self, hub=None, settings=None, start=True, **options):
        upstreams = options.pop("upstreams", None) or ({"docker.io": hub} if hub else {})
        server = Server(upstreams, settings, **options)
        self.addCleanup(lambda: server.close(self.has_failed()))
        return server.start() if start else server

    def client(self, server, **options):
        return Client(server.port, **options)

    def daemon(self, thing):
        """Something with stop(), ended with the test."""
        self.addCleanup(thing.stop)
        return thing

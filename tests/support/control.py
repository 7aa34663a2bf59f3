# SPDX-License-Identifier: Apache-2.0
"""A client of the administrator's socket."""

import http.client
import json
import socket


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Control:
    def __init__(self, server, path=None, timeout=60):
        self.path = path or f"{server.data}/control.sock"
        self._timeout = timeout

    def request(self, method, address, body=None):
        """(status, the document)."""
        connection = _Connection(self.path, self._timeout)
        try:
            connection.request(method, f"/api/v1/{address}", body=None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def get(self, address):
        status, document = self.request("GET", address)
        if status != 200:
            raise AssertionError(f"GET {address}: {status} {document}")
        return document

    def message(self, method, address, expected, body=None):
        """The text of an error with this status."""
        status, document = self.request(method, address, body)
        if status != expected:
            raise AssertionError(f"{method} {address}: {status} {document}")
        return document["errors"][0]["message"]

    def pages(self, address, key):
        """All entries of a list, page by page."""
        found, after = [], None
        while True:
            joint = "&" if "?" in address else "?"
            page = self.get(address if after is None else f"{address}{joint}after={after}")
            found += page[key]
            after = page.get("next", "").replace("%", "%25").replace(" ", "%20")
            if not after:
                return found

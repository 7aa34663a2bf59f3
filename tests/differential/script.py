# SPDX-License-Identifier: Apache-2.0
"""A script of requests that does not know whom it is sent to.

A path may begin with `{NAME}`: the upload session whose Location an earlier request saved under that name, as that
server gave it. Order is state: a script is sent whole, to each server in turn.
"""

from dataclasses import dataclass, field

from support.images import sha256

ABSENT = "sha256:" + "0" * 64
BYTES = {"Content-Type": "application/octet-stream"}


@dataclass
class Request:
    id: str
    method: str
    path: str
    headers: dict = field(default_factory=dict)
    body: object = None
    save: str = ""         # keep the answer's Location under this name
    chunked: bool = False  # Transfer-Encoding instead of Content-Length

    def target(self, sessions):
        """The request target for a server whose sessions are these."""
        if not self.path.startswith("{"):
            return self.path
        name, _, query = self.path[1:].partition("}")
        location = sessions.get(name, f"/v2/lost/{name}")
        if not query:
            return location
        return location + ("&" if "?" in location else "?") + query.lstrip("?")


class Script:
    def __init__(self):
        self.requests = []
        self._ids = set()

    def add(self, id, method, path, headers=None, body=None, save="", chunked=False):
        if id in self._ids:
            raise ValueError(f"two requests are called {id}")
        self._ids.add(id)
        headers = dict(headers or {})
        if body is None and method in ("POST", "PUT", "PATCH"):
            headers.setdefault("Content-Length", "0")
        self.requests.append(Request(id, method, path, headers, body, save, chunked))

    def get(self, id, path, headers=None):
        self.add(id, "GET", path, headers)

    def head(self, id, path, headers=None):
        self.add(id, "HEAD", path, headers)

    def read(self, id, path, headers=None):
        """GET and HEAD."""
        self.get(f"{id}.get", path, headers)
        self.head(f"{id}.head", path, headers)

    # ---- what others build on ----

    def begin(self, id, name, save, query=""):
        self.add(id, "POST", f"/v2/{name}/blobs/uploads/{query}", save=save)

    def patch(self, id, session, body, headers=None, chunked=False):
        self.add(id, "PATCH", "{%s}" % session, dict(BYTES, **(headers or {})), body, save=session, chunked=chunked)

    def finish(self, id, session, digest, body=None, headers=None):
        self.add(id, "PUT", "{%s}?digest=%s" % (session, digest), dict(BYTES, **(headers or {})), body)

    def push_blob(self, id, name, content):
        session = f"{id}-session"
        self.begin(f"{id}.post", name, session)
        self.finish(f"{id}.put", session, sha256(content), content)
        return sha256(content)

    def push_manifest(self, id, name, reference, manifest):
        self.add(id, "PUT", f"/v2/{name}/manifests/{reference}", {"Content-Type": manifest.media_type}, manifest.content)

    def push_image(self, id, name, tag, image):
        for number, content in enumerate(image.blobs.values()):
            self.push_blob(f"{id}.blob{number}", name, content)
        for number, manifest in enumerate(image.manifests):
            reference = tag if manifest is image.top else manifest.digest
            self.push_manifest(f"{id}.manifest{number}", name, reference, manifest)

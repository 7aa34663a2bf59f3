# SPDX-License-Identifier: Apache-2.0
"""A Docker Hub in small: registry, token service and content network on three origins, over TLS.

    hub = Hub(tls.Authority(folder)).start()
    image = hub.publish("library/hello", "latest", images.hello_image())
    hub.fault(kind="cdn", reference=image.layers[0], cut_after=1000, times=1)
    ... hub.url, hub.ca_file ... hub.count(kind="cdn", reference=digest)
    hub.stop()

The content network refuses requests that carry Authorization, as the real one's signed URLs do. It runs in a
thread of the test, or alone: `python3 -m support.hub_main --image library/hello:latest`.
"""

import asyncio
import base64
import json
import secrets
import ssl
import threading
import time
from urllib.parse import quote

from . import hub_http
from .faults import Fault, Trouble, fault_from_json
from .hub_http import Answer
from .images import OCI_INDEX, sha256, to_json

SERVICE = "registry.docker.io"
JSON = {"Content-Type": "application/json"}


def _error(status, code, headers=None):
    body = to_json({"errors": [{"code": code, "message": code.lower()}]})
    return Answer(status, dict(JSON, **(headers or {})), body)


def _common_name(certificate):
    """Of a client's certificate; "" without one."""
    names = [pair[1] for entry in (certificate or {}).get("subject", ()) for pair in entry if pair[0] == "commonName"]
    return names[0] if names else ""


class Repository:
    def __init__(self, private=False):
        self.private = private
        self.tags = {}       # tag -> digest
        self.manifests = {}  # digest -> Manifest
        self.blobs = set()


class Hub:
    def __init__(self, authority=None, users=None, needs_token=True, redirects=True, token_ttl=300, pull_limit=100,
                 cdn_host="127.0.0.1"):
        """`cdn_host`: the content network's; on the registry's, clients may think that it is the registry."""
        self.authority = authority  # None: plain HTTP
        self._hosts = {"cdn": cdn_host}
        self.users = users or {}
        self.needs_token = needs_token
        self.redirects = redirects
        self.token_ttl = token_ttl
        self.pull_limit = pull_limit
        self.page = 100
        self.base = ""  # a path before /v2/
        self.token_path = "/token"  # in challenges; another one redirects to /token
        self.has_referrers = True
        self.asks_certificate = False  # of clients, at all three origins; request.certificate says whether one came
        self.needs_certificate = ()    # the origins that take no client without one
        self.hosts = {}  # registry, cdn, token -> a name that only a proxy knows, instead of the address
        self.pages_by_token = False  # as quay.io: the next page has a name of its own
        self.repositories = {}
        self.blobs = {}
        self.faults = []
        self.requests = []
        self.pulls = 0
        self.authorized_cdn_requests = 0
        self.ports = {"registry": 0, "cdn": 0, "token": 0, "control": 0}
        self._tokens = {}
        self._changed = threading.Condition()
        self._servers = {}
        self._writers = set()
        self._loop = None
        self._thread = None

    # ---- life ----

    def start(self):
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="hub", daemon=True)
        self._thread.start()
        ready.wait()
        self._call(self._open_control())
        self.up()
        return self

    def stop(self):
        if self._loop is None:
            return
        self.down()
        self._call(self._close("control"))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop = None

    def up(self):
        """Listen, on the same ports as before."""
        for host in ("registry", "cdn", "token"):
            self._call(self._open(host))

    def down(self):
        """Refuse connections, and end those that are open."""
        self._release_all()
        for host in ("registry", "cdn", "token"):
            self._call(self._close(host))

    def _run(self, ready):
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)
        self._loop.call_soon(ready.set)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _open(self, host):
        if host in self._servers:
            return
        context = self.authority.server_context() if self.authority else None
        if context and (self.asks_certificate or host in self.needs_certificate):
            context.load_verify_locations(self.authority.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED if host in self.needs_certificate else ssl.CERT_OPTIONAL
        server = await asyncio.start_server(lambda reader, writer: self._serve(host, reader, writer),
                                            self._address(host), self.ports[host], ssl=context,
                                            limit=hub_http.HEAD_MAX, backlog=512)
        self.ports[host] = server.sockets[0].getsockname()[1]
        self._servers[host] = server

    async def _open_control(self):
        server = await asyncio.start_server(lambda reader, writer: self._serve("control", reader, writer),
                                            "127.0.0.1", 0)
        self.ports["control"] = server.sockets[0].getsockname()[1]
        self._servers["control"] = server

    async def _close(self, host):
        server = self._servers.pop(host, None)
        if server is None:
            return
        server.close()
        for owner, writer in list(self._writers):
            if owner == host:
                writer.transport.abort()
        await server.wait_closed()

    # ---- addresses ----

    def _address(self, host):
        return self._hosts.get(host, "127.0.0.1")

    def _url(self, host):
        if host in self.hosts:
            return f"{'https' if self.authority else 'http'}://{self.hosts[host]}"
        return f"{'https' if self.authority else 'http'}://{self._address(host)}:{self.ports[host]}"

    @property
    def url(self):
        return self._url("registry")

    @property
    def cdn_url(self):
        return self._url("cdn")

    @property
    def token_url(self):
        return self._url("token")

    @property
    def control_url(self):
        return f"http://127.0.0.1:{self.ports['control']}"

    @property
    def ca_file(self):
        return self.authority.ca_file if self.authority else None

    # ---- content ----

    def publish(self, name, tag, image, private=False):
        """Make an image (images.Image) available; returns it."""
        repository = self.repositories.setdefault(name, Repository(private))
        repository.private = private
        for manifest in image.manifests:
            repository.manifests[manifest.digest] = manifest
        self.blobs.update(image.blobs)
        repository.blobs.update(image.blobs)
        if tag is not None:
            repository.tags[tag] = image.digest
        return image

    def publish_blob(self, name, content):
        digest = sha256(content)
        self.blobs[digest] = content
        self.repositories.setdefault(name, Repository()).blobs.add(digest)
        return digest

    def delete_tag(self, name, tag):
        self.repositories[name].tags.pop(tag, None)

    # ---- trouble ----

    def fault(self, **what):
        """Order trouble; see faults.Fault. Returns it, for release() and `met`."""
        fault = Fault(**what)
        self.faults.append(fault)
        return fault

    def _release_all(self):
        for fault in self.faults:
            fault.release()

    def clear_faults(self):
        self._release_all()
        self.faults = []

    def expire_tokens(self):
        self._tokens.clear()

    # ---- what happened ----

    def asked(self, **which):
        """The requests whose fields have these values (reference, kind, method, host, name, status)."""
        with self._changed:
            return [request for request in self.requests
                    if all(getattr(request, key) == value for key, value in which.items())]

    def count(self, **which):
        return len(self.asked(**which))

    def sent(self, **which):
        """Bytes of body sent for such requests."""
        return sum(request.sent for request in self.asked(**which))

    def wait(self, condition, seconds, what="something at the Hub"):
        """Until condition() is true, looking whenever something happened here."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {seconds} s: {what}\n" + self.story())
                self._changed.wait(min(left, 0.5))

    def forget(self):
        """Start counting anew."""
        with self._changed:
            self.requests = []
            self.pulls = 0
            self.authorized_cdn_requests = 0

    def story(self):
        with self._changed:
            return "\n".join(str(request) for request in self.requests[-60:])

    def counts(self):
        with self._changed:
            kinds = {}
            gets = {}
            for request in self.requests:
                key = f"{request.method} {request.kind}"
                kinds[key] = kinds.get(key, 0) + 1
                if request.kind == "cdn" and request.method == "GET":
                    gets[request.reference] = gets.get(request.reference, 0) + 1
            return {"requests": kinds, "gets": gets, "pulls": self.pulls, "bytes": self.sent(kind="cdn"),
                    "authorized_cdn_requests": self.authorized_cdn_requests}

    def _note(self):
        with self._changed:
            self._changed.notify_all()

    # ---- answering ----

    async def _serve(self, host, reader, writer):
        entry = (host, writer)
        self._writers.add(entry)
        try:
            while True:
                request = await hub_http.read_request(reader, host)
                if request is not None:
                    request.certificate = _common_name(writer.get_extra_info("peercert"))
                if request is None or not await self._answer(request, writer):
                    break
        except (ConnectionError, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(entry)
            writer.close()

    async def _answer(self, request, writer):
        if request.host == "control":
            return await hub_http.send(request, writer, self._control(request), Trouble([]), lambda: None)
        handler = {"registry": self._registry, "cdn": self._cdn, "token": self._token}[request.host]
        self._classify(request)
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        trouble = Trouble([fault for fault in list(self.faults) if fault.meets(request)])
        try:
            return await hub_http.send(request, writer, handler(request), trouble, self._note)
        finally:
            request.is_done = True
            self._note()

    def _classify(self, request):
        if request.host == "token":
            request.kind = "token"
            return
        path = request.path
        if request.host == "registry" and not path.startswith(self.base + "/"):
            return
        path = path.removeprefix(self.base if request.host == "registry" else "")
        parts = path.split("/")
        if request.host == "cdn":
            request.kind, request.reference = "cdn", parts[-1]
            request.name = "/".join(parts[2:-1])
        elif path in ("/v2", "/v2/"):
            request.kind = "base"
        elif len(parts) >= 5 and parts[-2] in ("manifests", "blobs", "referrers"):
            request.kind = {"manifests": "manifest", "blobs": "blob", "referrers": "referrers"}[parts[-2]]
            request.name, request.reference = "/".join(parts[2:-2]), parts[-1]
        elif path.endswith("/tags/list"):
            request.kind, request.name = "tags", "/".join(parts[2:-2])

    # the token service

    def _user(self, request):
        """The user of a Basic header; None: wrong; "": none given."""
        if not request.authorization:
            return ""
        try:
            user, _, password = base64.b64decode(request.authorization.partition(" ")[2]).decode().partition(":")
        except ValueError:
            return None
        return user if self.users.get(user) == password else None

    def _token(self, request):
        user = self._user(request)
        if request.path == self.token_path != "/token":
            return Answer(307, {"Location": request.target.replace(self.token_path, "/token", 1)}, b"")
        if request.path != "/token" or request.query.get("service") != SERVICE:
            return _error(404, "NOT_FOUND")
        if user is None:
            return _error(401, "UNAUTHORIZED")
        token = secrets.token_urlsafe(300)
        self._tokens[token] = (request.query.get("scope", ""), user, time.monotonic() + self.token_ttl)
        return Answer(200, dict(JSON), to_json({"token": token, "access_token": token, "expires_in": self.token_ttl,
                                                "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}))

    def _challenge(self, name, error=""):
        scope = f',scope="repository:{name}:pull"' if name else ""
        value = f'Bearer realm="{self.token_url}{self.token_path}",service="{SERVICE}"{scope}{error}'
        return _error(401, "UNAUTHORIZED", {"Www-Authenticate": value})

    def _refusal(self, request):
        """None when the request may see the repository."""
        if not self.needs_token:
            return None
        scheme, _, token = request.authorization.partition(" ")
        if scheme.lower() != "bearer":
            return self._challenge(request.name)
        scope, user, expires = self._tokens.get(token, ("", "", 0))
        if time.monotonic() >= expires:
            return self._challenge(request.name, ',error="invalid_token"')
        if request.name and f"repository:{request.name}:pull" not in scope.split():
            return self._challenge(request.name, ',error="insufficient_scope"')
        repository = self.repositories.get(request.name)
        if repository is not None and repository.private and not user:
            return self._challenge(request.name, ',error="insufficient_scope"')
        return None

    # the registry

    def _registry(self, request):
        if request.method not in ("GET", "HEAD"):
            return _error(405, "UNSUPPORTED")
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if request.kind == "base":
            return Answer(200, dict(JSON), b"{}")
        repository = self.repositories.get(request.name)
        if repository is None:
            return _error(404, "NAME_UNKNOWN")
        handler = {"manifest": self._manifest, "blob": self._blob, "tags": self._tags,
                   "referrers": self._referrers}.get(request.kind)
        return handler(request, repository) if handler else _error(404, "UNSUPPORTED")

    def _manifest(self, request, repository):
        digest = repository.tags.get(request.reference, request.reference)
        manifest = repository.manifests.get(digest)
        limits = {}
        if self.pull_limit is not None:
            left = max(0, self.pull_limit - self.pulls)
            limits = {"ratelimit-limit": f"{self.pull_limit};w=21600", "ratelimit-remaining": f"{left};w=21600"}
            if left == 0 and request.method == "GET":
                return _error(429, "TOOMANYREQUESTS", dict(limits, **{"Retry-After": "60"}))
        if manifest is None:
            return _error(404, "MANIFEST_UNKNOWN")
        if request.method == "GET":
            self.pulls += 1
        headers = {"Content-Type": manifest.media_type, "Docker-Content-Digest": digest, "Etag": f'"{digest}"'}
        return Answer(200, dict(headers, **limits), manifest.content, 0, len(manifest.content))

    def _blob(self, request, repository):
        digest = request.reference
        if digest not in repository.blobs:
            return _error(404, "BLOB_UNKNOWN")
        if self.redirects and request.method == "GET":
            location = f"{self.cdn_url}/data/{request.name}/{digest}?verify={secrets.token_hex(16)}"
            return Answer(307, {"Location": location, "Content-Type": "text/html"}, b"")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        return hub_http.ranged(request, self.blobs[digest], headers)

    def _cdn(self, request):
        if request.authorization:
            self.authorized_cdn_requests += 1
            return Answer(400, {"Content-Type": "application/xml"}, b"<Error>only one auth mechanism allowed</Error>")
        content = self.blobs.get(request.reference)
        if content is None or "verify" not in request.query:
            return Answer(403, {"Content-Type": "application/xml"}, b"<Error>AccessDenied</Error>")
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        return hub_http.ranged(request, content, headers)

    def _tags(self, request, repository):
        tags = sorted(repository.tags)
        last = request.query.get("next_page" if self.pages_by_token else "last")
        if last is not None:
            tags = [tag for tag in tags if tag > last]
        page = min(self.page, int(request.query.get("n", self.page)))
        headers = dict(JSON)
        if len(tags) > page:
            tags = tags[:page]
            last = quote(tags[-1]) if tags else ""
            key = "next_page" if self.pages_by_token else "last"
            headers["Link"] = f'<{self.base}/v2/{request.name}/tags/list?{key}={last}&n={page}>; rel="next"'
        return Answer(200, headers, to_json({"name": request.name, "tags": tags}))

    def _referrers(self, request, repository):
        if not self.has_referrers:
            return _error(404, "NOT_FOUND")
        found = []
        for manifest in repository.manifests.values():
            document = manifest.document
            if (document.get("subject") or {}).get("digest") == request.reference:
                found.append({"mediaType": manifest.media_type, "digest": manifest.digest,
                              "size": len(manifest.content), "artifactType": document.get("artifactType", "")})
        wanted = request.query.get("artifactType")
        headers = {"Content-Type": OCI_INDEX}
        if wanted:
            found = [entry for entry in found if entry["artifactType"] == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        first = int(request.query.get("next_page", 0))
        if first + self.page < len(found):
            path = f"{self.base}/v2/{request.name}/referrers/{request.reference}?next_page={first + self.page}"
            headers["Link"] = f'<{path}>; rel="next"'
        found = found[first:first + self.page]
        return Answer(200, headers, to_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}))

    # the control port, for a Hub in a process of its own

    def _control(self, request):
        query = request.query
        path = request.path
        if path == "/counts":
            return Answer(200, dict(JSON), to_json(self.counts()))
        if path == "/requests":
            return Answer(200, dict(JSON), to_json([str(entry) for entry in self.asked()]))
        if path == "/fault":
            try:
                self.faults.append(fault_from_json(json.loads(query.get("fault", "{}"))))
            except (ValueError, TypeError) as error:
                return Answer(400, dict(JSON), to_json({"error": str(error)}))
            return Answer(200, dict(JSON), b"{}")
        if path == "/clear":
            self.clear_faults()
            return Answer(200, dict(JSON), b"{}")
        if path == "/forget":
            self.forget()
            return Answer(200, dict(JSON), b"{}")
        if path == "/expire":
            self.expire_tokens()
            return Answer(200, dict(JSON), b"{}")
        return Answer(404, dict(JSON), b"{}")

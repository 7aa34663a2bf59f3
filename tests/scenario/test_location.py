# SPDX-License-Identifier: Apache-2.0
"""Location: relative behind every proxy, whole for clients that need it and can have it."""

import http.client
import unittest
import urllib.parse

from support import images
from support.case import Scenario
from support.client import Raw, check_ok, path_of
from support.images import sha256

CONTENT = images.random_bytes(100_000, "location")


def follow(method, url, body=b"", headers=None):
    """Like a library that takes whole URLs only: (status, headers)."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise AssertionError(f"unsupported protocol scheme: {url!r}")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, dict({"Content-Length": str(len(body))}, **(headers or {})))
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


class LocationScenario(Scenario):
    def setUp(self, **settings):
        self.registry = self.server(settings=settings, listens=["127.0.0.1:0", "[::1]:0"])
        self.api = self.client(self.registry)

    def ask(self, request, *fields, version="1.1", body=b""):
        """(status, headers); Host is among the fields."""
        head = [f"{request} HTTP/{version}", *fields, f"Content-Length: {len(body)}"]
        with Raw(self.registry.port) as raw:
            raw.send("\r\n".join(head + ["", ""]).encode() + body)
            status, headers, _ = raw.read_answer()
        return status, headers

    def begin(self, *fields, **options):
        status, headers = self.ask("POST /v2/team/app/blobs/uploads/", *fields, **options)
        self.assertEqual(status, 202)
        path = f"/v2/team/app/blobs/uploads/{headers['docker-upload-uuid']}?_state=0"
        self.assertTrue(headers["location"].endswith(path), headers)
        return headers["location"].removesuffix(path)


class AutoTest(LocationScenario):
    def test_beginning_of_a_location(self):
        here = f"127.0.0.1:{self.registry.port}"
        https = "X-Forwarded-Proto: https"
        rows = [
            # nothing but Host: only our very address is believed
            ((f"Host: {here}",), f"http://{here}"),
            ((f"Host: localhost:{self.registry.port}",), ""),
            (("Host: registry.example",), ""),
            (("Host: 127.0.0.1",), ""),
            ((f"Host: 127.0.0.2:{self.registry.port}",), ""),
            ((f"Host: 127.0.0.1:{self.registry.port + 1}",), ""),
            ((f"Host: [::1]:{self.registry.port}",), ""),
            # a proxy that says nothing of use
            ((f"Host: {here}", "Via: 1.1 proxy"), ""),
            ((f"Host: {here}", "X-Forwarded-For: 10.0.0.9"), ""),
            ((f"Host: {here}", "X-Real-IP: 10.0.0.9"), ""),
            ((f"Host: {here}", "Forwarded: for=10.0.0.9"), ""),
            ((f"Host: {here}", "X-Forwarded-Host: a.example"), ""),
            ((f"Host: {here}", "X-Forwarded-Proto: gopher"), ""),
            # one that does
            (("Host: a.example", https), "https://a.example"),
            (("Host: a.example:8443", https), "https://a.example:8443"),
            (("Host: inner", https, "X-Forwarded-Host: a.example"), "https://a.example"),
            (("Host: inner", "X-Forwarded-Proto: http", "X-Forwarded-Host: a.example:81"), "http://a.example:81"),
            (("Host: inner", "Forwarded: proto=https;host=a.example"), "https://a.example"),
            (("Host: inner", https, "X-Forwarded-Host: a.example/evil"), ""),
            (("Host: inner", https, "X-Forwarded-Host: a@b.example"), ""),
            (("Host: a.example", https, "X-Forwarded-Port: 8443"), ""),
            (("Host: inner", https, "X-Forwarded-Host: a.example", "X-Forwarded-Port: 443", "X-Forwarded-Server: t",
              "X-Real-Ip: 10.0.0.9"), "https://a.example"),
        ]
        for fields, beginning in rows:
            with self.subTest(fields=fields):
                self.assertEqual(self.begin(*fields), beginning)

    def test_http_1_0_is_a_proxy(self):
        here = f"127.0.0.1:{self.registry.port}"
        self.assertEqual(self.begin(f"Host: {here}", version="1.0"), "")
        self.assertEqual(self.begin(version="1.0"), "")
        self.assertEqual(self.begin("Host: a.example", "X-Forwarded-Proto: https", version="1.0"), "https://a.example")

    def test_ipv6(self):
        port = self.registry.listens[1]
        connection = http.client.HTTPConnection("::1", port, timeout=20)
        self.addCleanup(connection.close)
        connection.request("POST", "/v2/team/app/blobs/uploads/", headers={"Content-Length": "0"})
        location = connection.getresponse().headers["Location"]
        self.assertTrue(location.startswith(f"http://[::1]:{port}/v2/team/app/blobs/uploads/"), location)

    def test_every_answer_with_a_location(self):
        """Each request has its own headers: the session keeps nothing of how it was begun."""
        whole = ("Host: a.example", "X-Forwarded-Proto: https")
        for fields, beginning in ((whole, "https://a.example"), (("Host: a.example",), "")):
            session = self.begin("Host: x") + self.api.begin_upload("team/app")
            path = session.partition("?")[0]
            for request, status, body in ((f"PATCH {session}", 202, CONTENT), (f"GET {session}", 204, b""),
                                          (f"PATCH {path}", 202, b"!")):
                answer, headers = self.ask(request, *fields, body=body)
                self.assertEqual((answer, headers["location"]), (status, beginning + session))
                self.assertEqual(headers.get("cache-control"), "no-store" if beginning else None)
            answer, headers = self.ask(f"PATCH {session}", *fields, "Content-Range: 5-7", body=b"xyz")
            self.assertEqual((answer, headers["location"]), (416, beginning + session))
            digest = sha256(CONTENT + b"!")
            answer, headers = self.ask(f"PUT {session}&digest={digest}", *fields)
            self.assertEqual((answer, headers["location"]), (201, f"{beginning}/v2/team/app/blobs/{digest}"))
            answer, headers = self.ask(f"POST /v2/team/app/blobs/uploads/?mount={digest}&from=team/app", *fields)
            self.assertEqual((answer, headers["location"]), (201, f"{beginning}/v2/team/app/blobs/{digest}"))
            image = images.hello_image()
            for content in image.blobs.values():
                self.api.push_blob_at_once("team/app", content)
            answer, headers = self.ask("PUT /v2/team/app/manifests/1", *fields,
                                       f"Content-Type: {image.top.media_type}", body=image.top.content)
            self.assertEqual((answer, headers["location"]), (201, f"{beginning}/v2/team/app/manifests/{image.digest}"))

    def test_links_stay_relative(self):
        image = images.hello_image()
        for tag in ("1", "2"):
            self.api.push("team/app", tag, image)
        _, headers = self.ask("GET /v2/team/app/tags/list?n=1", "Host: a.example", "X-Forwarded-Proto: https")
        self.assertTrue(headers["link"].startswith("</v2/team/app/tags/list?"), headers)


class HabitTest(LocationScenario):
    """How clients that are particular about Location push a blob."""

    def check(self):
        check_ok(self.api.blob("team/app", sha256(CONTENT)), sha256(CONTENT))

    def begin_at(self):
        return follow("POST", f"{self.registry.url}/v2/team/app/blobs/uploads/")

    def test_takes_the_location_for_a_url_and_adds_a_parameter_to_its_query(self):
        """Ollama: pieces with a range, each to the Location of the one before; the last request has no body."""
        status, headers = self.begin_at()
        self.assertEqual(status, 202)
        for start in range(0, len(CONTENT), 40_000):
            piece = CONTENT[start:start + 40_000]
            status, headers = follow("PATCH", headers["location"], piece,
                                     {"Content-Range": f"{start}-{start + len(piece) - 1}", "X-Redirect-Uploads": "1",
                                      "Content-Type": "application/octet-stream"})
            self.assertEqual(status, 202)
        parts = urllib.parse.urlsplit(headers["location"])
        query = urllib.parse.parse_qsl(parts.query, keep_blank_values=True) + [("digest", sha256(CONTENT)), ("etag", "x-3")]
        url = parts._replace(query=urllib.parse.urlencode(query)).geturl()
        self.assertEqual(follow("PUT", url)[0], 201)
        self.check()

    def test_appends_to_a_query_that_it_takes_for_granted(self):
        """makisu."""
        _, headers = self.begin_at()
        status, headers = follow("PATCH", headers["location"], CONTENT)
        self.assertEqual(status, 202)
        self.assertEqual(follow("PUT", f"{headers['location']}&digest={sha256(CONTENT)}")[0], 201)
        self.check()

    def test_sends_all_with_the_last_request(self):
        """Charliecloud: POST, then one PUT to a whole URL."""
        _, headers = self.begin_at()
        mark = "&" if "?" in headers["location"] else "?"
        url = f"{headers['location']}{mark}{urllib.parse.urlencode({'digest': sha256(CONTENT)})}"
        self.assertEqual(follow("PUT", url, CONTENT)[0], 201)
        self.check()

    def test_drops_the_query(self):
        """Clients that make the address from the session's id, as Docker-Upload-UUID has it."""
        _, headers = self.begin_at()
        path = path_of(headers["location"]).partition("?")[0]
        self.assertTrue(path.endswith(headers["docker-upload-uuid"]))
        self.assertEqual(follow("PUT", f"{self.registry.url}{path}?digest={sha256(CONTENT)}", CONTENT)[0], 201)
        self.check()


class RelativeTest(LocationScenario):
    def setUp(self):
        super().setUp(location="relative")

    def test_whatever_proxies_say(self):
        self.assertEqual(self.begin(f"Host: 127.0.0.1:{self.registry.port}"), "")
        self.assertEqual(self.begin("Host: a.example", "X-Forwarded-Proto: https"), "")
        self.assertEqual(self.begin("Host: x", "Forwarded: proto=https;host=a.example"), "")


class AbsoluteTest(LocationScenario):
    def setUp(self):
        super().setUp(location="absolute")

    def test_of_the_proxies_word_or_host(self):
        self.assertEqual(self.begin("Host: a.example:81"), "http://a.example:81")
        self.assertEqual(self.begin("Host: a.example", "Via: 1.0 x", version="1.0"), "http://a.example")
        self.assertEqual(self.begin("Host: a.example", "X-Forwarded-Proto: https"), "https://a.example")
        self.assertEqual(self.begin("Host: a", "Forwarded: proto=https;host=b.example"), "https://b.example")
        self.assertEqual(self.begin(version="1.0"), "")
        self.assertEqual(self.begin(f"Host: {'a' * 256}"), "")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""docs/proxies.md: its configurations are executed with the real proxies, over TLS, with docker and skopeo. Besides,
nginx as careless people write it, and what Traefik sends."""

import hashlib
import http.client
import os
import re
import ssl
import unittest
import urllib.parse

from support import images
from support.case import Scenario, authority
from support.dockerd import Dockerd, need_docker
from support.images import sha256
from support.page import read_blocks
from support.proxies import caddy, forwarder, free_port, haproxy, nginx, nginx_stream
from support.skopeo import Skopeo

CLIENT = "127.0.0.9"
LARGE = images.random_bytes(24 << 20, "proxies")
DOCKERFILE = 'FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "echo", "through a proxy"]\n'


def read_page():
    """{file: what the page puts into it}"""
    return {block.file: block.text for block in read_blocks("docs/proxies.md") if block.file}


class ProxyScenario(Scenario):
    """One registry, and an engine that is empty at first."""

    listens = None
    settings = {"trusted_proxies": "127.0.0.1"}

    def setUp(self):
        self.hub_of_test = self.hub()
        self.image = self.hub_of_test.publish("library/hello", "latest", images.hello_image())
        self.registry = self.server(self.hub_of_test, settings=self.settings, listens=self.listens)
        self.port = free_port()

    def configuration(self, file):
        """What the page says, with the addresses and certificates of this test."""
        both = self.registry.folder / "both.pem"
        with open(both, "w", encoding="ascii") as out:
            for path in (authority().cert_file, authority().key_file):
                with open(path, encoding="ascii") as source:
                    out.write(source.read())
        text = read_page()[file]
        changes = [("127.0.0.1:32000", self.registry.address), ("health_port 32001", f"health_port {self.registry.admin}"),
                   ("port 32001", f"port {self.registry.admin}"), ("listen 443", f"listen 127.0.0.1:{self.port}"),
                   ("bind :443", f"bind 127.0.0.1:{self.port}"), ("registry.example {", f"https://127.0.0.1:{self.port} {{"),
                   ("registry.example", "127.0.0.1"), ("/etc/ssl/registry/both.pem", both),
                   ("/etc/ssl/registry/cert.pem", authority().cert_file),
                   ("/etc/ssl/registry/key.pem", authority().key_file)]
        for old, new in changes:
            text = text.replace(old, new)
        return text

    # ---- a client that is particular ----

    def ask(self, method, url, body=b"", headers=None):
        """A relative URL is resolved as docker does. -> (status, headers, body)"""
        url = urllib.parse.urljoin(self.base, url)
        parts = urllib.parse.urlsplit(url)
        self.assertEqual(parts.netloc, f"127.0.0.1:{self.port}", url)
        self.assertEqual(parts.scheme, urllib.parse.urlsplit(self.base).scheme, url)
        options = {"timeout": 60, "source_address": (CLIENT, 0)}
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=authority().ca_file)
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, **options)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, **options)
        try:
            chunked = not isinstance(body, bytes)
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body,
                               dict(headers or {}), encode_chunked=chunked)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content
        finally:
            connection.close()

    def check_requests(self, beginning):
        """`beginning`: of every Location."""
        status, headers, _ = self.ask("POST", "/v2/team/large/blobs/uploads/", headers={"Content-Length": "0"})
        self.assertEqual(status, 202)
        half = len(LARGE) // 2
        pieces = (LARGE[start:start + 65536] for start in range(0, half, 65536))
        for body, fields in ((pieces, {"Transfer-Encoding": "chunked"}),
                             (LARGE[half:], {"Content-Range": f"{half}-{len(LARGE) - 1}"})):
            self.assertTrue(headers["location"].startswith(f"{beginning}/v2/team/large/blobs/uploads/"), headers)
            status, headers, _ = self.ask("PATCH", headers["location"], body, fields)
            self.assertEqual(status, 202)
        self.assertEqual(headers["range"], f"0-{len(LARGE) - 1}")
        digest = sha256(LARGE)
        status, headers, _ = self.ask("PUT", f"{headers['location']}&digest={digest}", headers={"Content-Length": "0"})
        self.assertEqual((status, headers["location"]), (201, f"{beginning}/v2/team/large/blobs/{digest}"))
        status, headers, content = self.ask("GET", headers["location"])
        self.assertEqual((status, hashlib.sha256(content).hexdigest()), (200, digest.partition(":")[2]))
        status, headers, content = self.ask("GET", f"/v2/team/large/blobs/{digest}", headers={"Range": "bytes=70000-99999"})
        self.assertEqual((status, content), (206, LARGE[70_000:100_000]))
        self.assertEqual(headers["content-range"], f"bytes 70000-99999/{len(LARGE)}")
        status, headers, _ = self.ask("HEAD", f"/v2/team/large/blobs/{digest}")
        self.assertEqual((status, headers["content-length"]), (200, str(len(LARGE))))

    def check_client(self):
        line = self.registry.log.access(method="POST")[0]
        self.assertEqual(line["client"].partition(":")[0], CLIENT, line.text)

    def check_skopeo(self):
        skopeo = self.daemon(Skopeo())
        path, _ = skopeo.to_folder(f"docker://{self.address}/docker.io/library/hello:latest", "hub")
        skopeo.copy(f"dir:{path}", f"docker://{self.address}/team/copied:1")
        back, _ = skopeo.to_folder(f"docker://{self.address}/team/copied:1", "back")
        for digest in self.image.blobs:
            with open(os.path.join(back, digest.partition(":")[2]), "rb") as source:
                self.assertEqual(sha256(source.read()), digest)

    def check_docker(self):
        need_docker()
        engine = self.daemon(Dockerd())
        reference = f"{self.address}/team/app:1"
        with open(images.BUSYBOX, "rb") as source:
            engine.build(reference, {"busybox": source.read()}, DOCKERFILE)
        engine.docker("push", reference)
        engine.docker("rmi", "-f", reference)
        self.assertIn("through a proxy", engine.run(reference))
        hello = f"{self.address}/docker.io/library/hello"
        self.assertIn("hello from the hub", engine.run(hello))

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def check(self, scheme="https", beginning=None, tools=True):
        self.base = f"{scheme}://{self.address}/"
        self.check_requests(self.base[:-1] if beginning is None else beginning)
        if tools:
            self.check_skopeo()
            self.check_docker()


class PageTest(ProxyScenario):
    def test_every_configuration_is_executed_here(self):
        self.assertEqual(sorted(read_page()), ["/etc/caddy/Caddyfile", "/etc/haproxy/haproxy-tcp.cfg",
                                               "/etc/haproxy/haproxy.cfg", "/etc/nginx/conf.d/registry.conf",
                                               "/etc/nginx/nginx.conf"])

    def test_nginx(self):
        self.daemon(nginx(self.port, self.configuration("/etc/nginx/conf.d/registry.conf")))
        self.check()
        self.check_client()

    def test_haproxy(self):
        self.daemon(haproxy(self.port, self.configuration("/etc/haproxy/haproxy.cfg")))
        self.check()
        self.check_client()

    def test_caddy(self):
        self.daemon(caddy(self.port, self.configuration("/etc/caddy/Caddyfile")))
        self.check()
        self.check_client()

    def test_what_traefik_sends(self):
        self.daemon(forwarder(self.port, self.registry.address, authority().cert_file, authority().key_file))
        self.check()
        self.check_client()

    def test_what_traefik_sends_without_tls(self):
        self.daemon(forwarder(self.port, self.registry.address))
        self.check("http", tools=False)


class ProtocolPageTest(ProxyScenario):
    """The same for proxies that speak the PROXY protocol."""

    listens = [{"address": "127.0.0.1:0", "proxy_protocol": True}]

    def test_haproxy(self):
        self.daemon(haproxy(self.port, self.configuration("/etc/haproxy/haproxy-tcp.cfg")))
        self.check(beginning="")
        self.check_client()

    def test_nginx(self):
        text = self.configuration("/etc/nginx/nginx.conf")
        self.daemon(nginx_stream(self.port, re.fullmatch(r"stream \{\n(.*)\}\n", text, re.S).group(1)))
        self.check(beginning="")
        self.check_client()


class CarelessNginxTest(ProxyScenario):
    """nginx with as few lines as possible, plain HTTP in front: what is answered must not name our inner address."""

    settings = {}

    def nginx(self, *lines):
        server = "\n".join((f"server {{ listen {self.address}; client_max_body_size 0;", "location / {", *lines, "} }"))
        self.daemon(nginx(self.port, server))

    def pass_to(self, host=None):
        return f"proxy_pass http://{host or self.registry.address};"

    def test_plain(self):
        self.nginx(self.pass_to())
        self.check("http", "")

    def test_redirect_off(self):
        self.nginx(self.pass_to(), "proxy_redirect off;")
        self.check("http", "", tools=False)

    def test_variable(self):
        self.nginx(f"set $inner {self.registry.address};", self.pass_to("$inner"))
        self.check("http", "", tools=False)

    def test_named_upstream_with_keep_alive(self):
        server = (f"upstream registry {{ server {self.registry.address}; keepalive 4; }}\n"
                  f"server {{ listen {self.address}; client_max_body_size 0; location / {{ {self.pass_to('registry')}"
                  'proxy_redirect off; proxy_http_version 1.1; proxy_set_header Connection ""; } }')
        self.daemon(nginx(self.port, server))
        self.check("http", "", tools=False)

    def test_http_1_1(self):
        """Location names the inner address and is rewritten by nginx, to a whole URL of its own."""
        self.nginx(self.pass_to(), "proxy_http_version 1.1;")
        self.check("http", tools=False)

    def test_host_alone(self):
        self.nginx(self.pass_to(), "proxy_http_version 1.1; proxy_set_header Host $http_host;")
        self.check("http", "", tools=False)

    def test_host_without_the_port(self):
        self.nginx(self.pass_to(), "proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto $scheme;",
                   "proxy_set_header X-Forwarded-Port $server_port;")
        self.check("http", "", tools=False)


class CheckTest(ProxyScenario):
    """HAProxy's own ways of asking whether we live."""

    def haproxy(self, *lines):
        text = "\n    ".join(("defaults\n    mode http\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m",
                              )) + f"\nlisten registry\n    bind {self.address}\n    "
        self.daemon(haproxy(self.port, text + "\n    ".join(lines) + "\n"))

    def check_answer(self, *lines):
        self.haproxy(*lines)
        line = self.registry.log.wait(lambda line: line.has(method="OPTIONS", status=204), 20, "a check")
        self.assertEqual(line["status"], "204")
        self.base = f"http://{self.address}/"
        self.assertEqual(self.ask("GET", "/v2/")[0], 200)

    def test_default(self):
        self.check_answer("option httpchk", f"server one {self.registry.address} check inter 200ms")

    def test_base(self):
        self.check_answer("option httpchk OPTIONS /v2/", f"server one {self.registry.address} check inter 200ms")


if __name__ == "__main__":
    unittest.main()

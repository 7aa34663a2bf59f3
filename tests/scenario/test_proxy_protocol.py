# SPDX-License-Identifier: Apache-2.0
"""Who the client is when proxies are in between: trusted_proxies, and the PROXY protocol of HAProxy and nginx."""

import http.client
import json
import re
import signal
import socket
import struct
import unittest

from support import images
from support.case import Scenario
from support.client import Client, Raw, check_ok, check_status
from support.images import sha256
from support.proxies import free_port, haproxy, nginx_stream
from support.waiting import wait_until

CLIENT = "127.0.0.9"  # where the tests' clients come from, to be told from the proxies
V2 = b"\r\n\r\n\0\r\nQUIT\n"

HAPROXY = """defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
listen registry
    bind 127.0.0.1:{port}
    option httpchk OPTIONS /v2/
    server one 127.0.0.1:{upstream} {send} check inter 200ms
"""
NGINX = """server {{
    listen 127.0.0.1:{port};
    proxy_pass 127.0.0.1:{upstream};
    proxy_protocol on;
}}
"""


def ask(port, path="/v2/", headers=None, source=CLIENT, method="GET", body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20, source_address=(source, 0))
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer
    finally:
        connection.close()


class TrustedTest(Scenario):
    """X-Forwarded-For and Forwarded."""

    def check(self, registry, headers, client, proxy=None, **options):
        agent = f"agent-{len(registry.log.access())}"
        self.assertEqual(ask(registry.port, headers=dict(headers, **{"User-Agent": agent}), **options).status, 200)
        line = registry.log.wait(lambda line: line.has(log="access", agent=agent), 10, "its access line")
        self.assertEqual((line["client"].rpartition(":")[0] or line["client"]) if proxy is None else line["client"], client)
        self.assertEqual(line.get("proxy", "").rpartition(":")[0] or None, proxy)

    def test_client_in_the_log(self):
        registry = self.server(settings={"trusted_proxies": [CLIENT, "10.0.0.0/8"]})
        self.check(registry, {}, CLIENT)
        self.check(registry, {"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1", CLIENT)
        self.check(registry, {"X-Forwarded-For": "203.0.113.9, 192.0.2.1, 10.1.1.1"}, "192.0.2.1", CLIENT)
        self.check(registry, {"Forwarded": 'for="[2001:db8::1]:4711"'}, "[2001:db8::1]:4711", CLIENT)
        self.check(registry, {"X-Forwarded-For": "192.0.2.1\tx"}, CLIENT)
        self.check(registry, {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=203.0.113.9"}, CLIENT)
        self.check(registry, {"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1", source="127.0.0.1")

    def test_nobody_is_trusted_by_default(self):
        registry = self.server()
        self.check(registry, {"X-Forwarded-For": "192.0.2.1"}, CLIENT)

    def test_setting_changes_with_a_reload(self):
        registry = self.server(settings={"trusted_proxies": CLIENT}, workers=1)
        self.check(registry, {"X-Forwarded-For": "192.0.2.1"}, "192.0.2.1", CLIENT)
        registry.settings["trusted_proxies"] = "10.0.0.0/8"
        with open(registry.config_file, "w", encoding="utf-8") as out:
            json.dump(registry.settings, out)
        registry.send_signal(signal.SIGHUP)
        registry.log.wait(lambda line: "reload: " in line.text, 20, "reloaded")

        def is_changed():
            ask(registry.port, headers={"X-Forwarded-For": "192.0.2.1"})
            return registry.log.access()[-1]["client"].startswith(CLIENT)
        wait_until(is_changed, 10, "the other setting")

    def test_unix_socket(self):
        registry = self.server(settings={"trusted_proxies": "unix"}, start=False)
        path = registry.folder / "socket"
        registry.settings["listen"] = ["127.0.0.1:0", f"unix:{path}"]
        registry.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n")
            self.assertIn(b"200 OK", client.recv(4096))
        registry.log.wait(lambda line: line.has(client="192.0.2.1", proxy="unix"), 10, "its access line")

    def test_location_is_for_trusted_proxies(self):
        registry = self.server(settings={"trusted_proxies": CLIENT})
        headers = {"Host": "a.example", "X-Forwarded-Proto": "https", "Content-Length": "0"}
        for source, beginning in ((CLIENT, "https://a.example/v2/"), ("127.0.0.1", "/v2/")):
            answer = ask(registry.port, "/v2/team/app/blobs/uploads/", headers, source, "POST")
            self.assertTrue(answer.headers["Location"].startswith(beginning), answer.headers["Location"])


class ProtocolScenario(Scenario):
    def setUp(self, **settings):
        self.registry = self.server(settings=dict({"limits": {"head_timeout": "2s"}}, **settings),
                                    listens=[{"address": "127.0.0.1:0", "proxy_protocol": True}, "127.0.0.1:0"])

    def line(self, agent):
        return self.registry.log.wait(lambda line: line.has(log="access", agent=agent), 10, f"the line of {agent}")

    def wait_text(self, text):
        return self.registry.log.wait(lambda line: text in line.text, 10, text)


class ProtocolTest(ProtocolScenario):
    def send(self, header, agent="a"):
        with Raw(self.registry.port) as raw:
            raw.send(header + f"GET /v2/ HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n".encode())
            return raw.read_answer()[0]

    def test_versions(self):
        inet = bytes([192, 0, 2, 1, 192, 0, 2, 2]) + struct.pack(">HH", 4711, 443)
        rows = {
            "v1": (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", "192.0.2.1:4711"),
            "v1-6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n", "[2001:db8::1]:4711"),
            "v1-unknown": (b"PROXY UNKNOWN\r\n", None),
            "v2": (V2 + b"\x21\x11" + struct.pack(">H", len(inet)) + inet, "192.0.2.1:4711"),
            "v2-tlv": (V2 + b"\x21\x11" + struct.pack(">H", len(inet) + 1000) + inet + bytes(1000), "192.0.2.1:4711"),
            "v2-local": (V2 + b"\x20\x00\x00\x00", None),
            "v2-unix": (V2 + b"\x21\x31\x00\xd8" + bytes(216), "unix"),
        }
        for agent, (header, client) in rows.items():
            with self.subTest(agent):
                self.assertEqual(self.send(header, agent), 200)
                found = self.line(agent)["client"]
                self.assertEqual(found if client else found.rpartition(":")[0], client or "127.0.0.1")

    def test_byte_by_byte(self):
        with Raw(self.registry.port) as raw:
            raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n":
                raw.send(bytes([byte]))
            self.assertEqual(raw.read_answer()[0], 200)
        self.registry.log.wait(lambda line: line.has(client="192.0.2.1:4711"), 10, "its access line")

    def test_malformed_or_missing_is_closed_with_a_line(self):
        for header, words in ((b"", "the header of the PROXY protocol is missing"),
                              (b"PROXY TCP4 here there 1 2\r\n", "the line of the PROXY protocol is malformed"),
                              (b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n", "the line of the PROXY protocol is too long"),
                              (V2 + b"\x31\x11\x00\x0c", "unknown version or command"),
                              (V2 + b"\x21\x11\x10\x00", "the header of the PROXY protocol is too long")):
            self.assertEqual(self.send(header), 0)
            self.wait_text(words)
        self.assertEqual(self.registry.log.access(), [])

    def test_bounded_wait(self):
        with Raw(self.registry.port) as raw, Raw(self.registry.port) as silent:
            raw.send(b"PROXY TCP4 192.0.2.1")
            self.assertEqual(raw.read_all(), b"")
            self.assertEqual(silent.read_all(), b"")
        self.wait_text("it did not end in time")

    def test_who_only_knocks_is_not_logged(self):
        Raw(self.registry.port).close()
        self.assertEqual(self.send(b"PROXY UNKNOWN\r\n", "after"), 200)
        self.line("after")
        self.assertFalse([line for line in self.registry.log.lines() if "handshake" in line.text])

    def test_other_addresses_name_it(self):
        with Raw(self.registry.listens[1]) as raw:
            raw.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b"PROXY protocol (listen: proxy_protocol)", raw.read_all())

    def test_location_is_relative(self):
        """Whoever speaks the protocol is between us and the client."""
        with Raw(self.registry.port) as raw:
            raw.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\nPOST /v2/team/app/blobs/uploads/ HTTP/1.1\r\n"
                     b"Host: 127.0.0.1:%d\r\nContent-Length: 0\r\n\r\n" % self.registry.port)
            self.assertTrue(raw.read_answer()[1]["location"].startswith("/v2/"))


class ProtocolOnSocketFileTest(Scenario):
    def test_client(self):
        registry = self.server(settings={"trusted_proxies": "unix"}, start=False)
        path = registry.folder / "socket"
        registry.settings["listen"] = ["127.0.0.1:0", {"address": f"unix:{path}", "proxy_protocol": True}]
        registry.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\n"
                           b"Connection: close\r\n\r\n")
            self.assertIn(b"200 OK", client.recv(4096))
        registry.log.wait(lambda line: line.has(client="192.0.2.1:4711"), 10, "its access line")


class ProtocolOfTrustedTest(ProtocolScenario):
    def setUp(self):
        super().setUp(trusted_proxies=[CLIENT, "198.51.100.0/24"])

    def send(self, source, header, fields=b""):
        with socket.create_connection(("127.0.0.1", self.registry.port), 20, (source, 0)) as client:
            client.sendall(header + b"POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: a.example\r\n"
                           b"User-Agent: u\r\nContent-Length: 0\r\n" + fields + b"Connection: close\r\n\r\n")
            try:
                return client.recv(65536)
            except ConnectionResetError:
                return b""

    def test_only_they_may_use_it(self):
        self.assertEqual(self.send("127.0.0.1", b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"), b"")
        self.wait_text("it is not in trusted_proxies")
        answer = self.send(CLIENT, b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", b"X-Forwarded-For: 203.0.113.9\r\n"
                           b"X-Forwarded-Proto: https\r\n")
        self.assertIn(b"\r\nLocation: https://a.example/v2/", answer)
        self.assertEqual(self.line("u")["client"], "192.0.2.1:4711")

    def test_a_trusted_proxy_behind_it_names_the_client(self):
        answer = self.send(CLIENT, b"PROXY TCP4 198.51.100.7 192.0.2.2 4711 443\r\n", b"X-Forwarded-For: 192.0.2.1\r\n")
        self.assertIn(b" 202 Accepted", answer)
        line = self.line("u")
        self.assertEqual((line["client"], line["proxy"]), ("192.0.2.1", "198.51.100.7:4711"))


class RealProxyTest(ProtocolScenario):
    def setUp(self):
        super().setUp(trusted_proxies="127.0.0.1")

    def check(self, proxy):
        content = images.random_bytes(3_000_000, "proxy protocol")
        api = Client(proxy.port)
        digest = api.push_blob("team/app", content)
        self.assertEqual(digest, sha256(content))
        check_ok(api.blob("team/app", digest), digest)
        part = check_status(api.blob("team/app", digest, headers={"Range": "bytes=1000-1999"}), 206)
        self.assertEqual(part.length, 1000)
        self.assertEqual(ask(proxy.port, headers={"User-Agent": "it"}).status, 200)
        self.assertRegex(self.line("it")["client"], f"^{re.escape(CLIENT)}:[0-9]+$")

    def haproxy(self, send):
        port = free_port()
        proxy = self.daemon(haproxy(port, HAPROXY.format(port=port, upstream=self.registry.port, send=send)))
        # Its checks are connections of its own, and name it as the client.
        self.registry.log.wait(lambda line: line.has(method="OPTIONS", status=204), 20, "a check")
        self.check(proxy)
        trouble = [line.text for line in self.registry.log.lines() if "handshake failed" in line.text]
        self.assertEqual(trouble, [])

    def test_haproxy_v1(self):
        self.haproxy("send-proxy")

    def test_haproxy_v2(self):
        self.haproxy("send-proxy-v2")

    def test_haproxy_v2_with_more(self):
        self.haproxy("send-proxy-v2 proxy-v2-options unique-id,crc32c")

    def test_nginx_stream(self):
        port = free_port()
        self.check(self.daemon(nginx_stream(port, NGINX.format(port=port, upstream=self.registry.port))))


if __name__ == "__main__":
    unittest.main()

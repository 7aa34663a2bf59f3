# SPDX-License-Identifier: Apache-2.0
"""Proxies towards upstreams: an upstream whose names only the proxy knows is mirrored through it, as curl would ask."""

import base64
import json
import os
import signal
import subprocess
import unittest

from support import images
from support.case import Scenario
from support.client import check_ok
from support.hub import Hub
from support.proxy import Proxy
from support.server import binary, environment
from support.waiting import Folder

NAMES = {"registry": "registry.test", "cdn": "cdn.test", "token": "auth.test"}
LOGIN = ("me", "se:cr@t/#%")


class ProxyScenario(Scenario):
    """Registry, token server and content network have names under .test, which this machine cannot look up."""

    login = LOGIN

    def setUp(self):
        self.docker = self.hub(users={"robot": "upstream password"})
        self.docker.hosts = dict(NAMES)
        self.image = self.docker.publish("library/hello", "latest", images.hello_image(), private=True)
        ports = {NAMES[host]: self.docker.ports[host] for host in NAMES}
        self.proxy = self.daemon(Proxy(ports, self.login).start())
        self.secrets = Folder("secrets")
        self.addCleanup(self.secrets.remove)
        self.password = self.secrets / "password"
        with open(self.password, "w", encoding="ascii") as out:
            out.write("upstream password\n")
        os.chmod(self.password, 0o600)

    def upstream(self, **more):
        return {"url": self.docker.url, "ca_file": self.docker.ca_file, "default": True, "username": "robot",
                "password_file": self.password, "expose": True, "auth_hosts": ["auth.test"], **more}

    def start(self, variables=None, settings=None, **more):
        self.registry = self.server(upstreams={"docker.io": self.upstream(**more)}, settings=settings,
                                    variables=variables)
        return self.client(self.registry)

    def check_pull(self, api):
        self.assertIn(self.image.layers[0], api.pull("library/hello", "latest"))

    def check_failure(self, api, *texts):
        answer = api.manifest("library/hello", "latest")
        self.assertEqual(answer.status, 502, answer.body)
        for text in texts:
            self.assertIn(text, answer.body.decode())
        self.check_no_password()

    def check_no_password(self):
        with open(self.registry.log.path, encoding="utf-8", errors="replace") as log:
            text = log.read()
        self.assertNotIn("cr%40t", text)
        self.assertNotIn("se:cr", text)


class ConnectTest(ProxyScenario):
    def test_everything_of_an_upstream_goes_through_it_and_no_secret_to_the_wrong_one(self):
        api = self.start({"HTTPS_PROXY": self.proxy.url()})
        self.check_pull(api)
        self.assertEqual({f"CONNECT {name}:443" for name in NAMES.values()}, set(self.proxy.asked))
        for head in self.proxy.heads:
            self.assertNotIn("\r\nauthorization:", head.lower())
            self.assertNotIn(base64.b64encode(b"robot:upstream password").decode(), head)
        for request in self.docker.asked():
            self.assertNotIn("proxy-authorization", request.headers)
        self.check_no_password()

    def test_start_names_it_without_its_password(self):
        self.start({"HTTPS_PROXY": self.proxy.url()})
        line = self.registry.log.find(origin="docker.io", proxy=f"http://me@127.0.0.1:{self.proxy.port}")
        self.assertEqual([entry["url"] for entry in line], ["https://registry.test"])
        self.check_no_password()

    def test_setting_for_one_upstream_and_for_all(self):
        self.check_pull(self.start(proxy=self.proxy.url()))
        self.check_pull(self.start(settings={"fetch": {"https_proxy": self.proxy.url()}}))
        self.check_pull(self.start({"HTTPS_PROXY": "http://127.0.0.1:1"}, proxy=self.proxy.url()))

    def test_lower_case_wins_and_a_scheme_may_be_left_out(self):
        url = self.proxy.url()[len("http://"):]
        self.check_pull(self.start({"https_proxy": url, "HTTPS_PROXY": "http://127.0.0.1:1"}))

    def test_all_proxy(self):
        self.check_pull(self.start({"ALL_PROXY": self.proxy.url()}))

    def test_wrong_password(self):
        api = self.start({"HTTPS_PROXY": self.proxy.url(login=("me", "se:cr@t wrong"))})
        self.check_failure(api, "the proxy answered 407 (it refuses the user and password)", "fetch.https_proxy",
                           f"127.0.0.1:{self.proxy.port}")

    def test_no_password(self):
        api = self.start(proxy=f"http://127.0.0.1:{self.proxy.port}")
        self.check_failure(api, "the proxy answered 407 (it wants a user and a password)", "upstreams.docker.io.proxy")

    def test_proxy_that_is_not_there(self):
        self.proxy.stop()
        api = self.start({"HTTPS_PROXY": "http://me:se:cr%40t@127.0.0.1:1"})
        self.check_failure(api, "127.0.0.1:1", "Connection refused", "fetch.https_proxy")

    def test_proxy_that_cannot_reach_the_host(self):
        self.proxy.names = {}
        self.check_failure(self.start(proxy=self.proxy.url()), "the proxy answered 502")

    def test_capitals_of_the_other_scheme_are_not_for_https(self):
        api = self.start({"HTTP_PROXY": self.proxy.url(), "http_proxy": self.proxy.url()})
        self.assertEqual(api.manifest("library/hello", "latest").status, 502)
        self.assertEqual(self.proxy.asked, [])

    def test_reload_takes_another_one(self):
        api = self.start(proxy="http://127.0.0.1:1")
        self.check_failure(api, "Connection refused")
        self.registry.settings["upstreams"]["docker.io"]["proxy"] = self.proxy.url()
        with open(self.registry.config_file, "w", encoding="utf-8") as out:
            json.dump(self.registry.settings, out)
        self.registry.send_signal(signal.SIGHUP)
        self.registry.log.wait(lambda line: "reload: the new" in line.text, 20, "reloaded")
        self.check_pull(api)


class WithoutProxyTest(ProxyScenario):
    """The upstream has an address here; the proxy, if it were asked, would refuse."""

    login = None

    def setUp(self):
        super().setUp()
        self.docker.hosts = {}
        self.proxy.answer = 403

    def test_no_proxy(self):
        for value in ("127.0.0.1", "*", "10.0.0.0/8, 127.0.0.0/8", "127.0.0.1 other.test"):
            self.check_pull(self.start({"NO_PROXY": value}, proxy=self.proxy.url()))
            self.assertEqual(self.proxy.asked, [], value)
            self.assertEqual(self.registry.log.find(origin="docker.io", proxy=self.proxy.url()), [])

    def test_what_no_proxy_does_not_say(self):
        for value in ("27.0.0.1", "127.0.0.1:1", "128.0.0.0/8", "example.com"):
            api = self.start({"no_proxy": value, "NO_PROXY": "*"}, proxy=self.proxy.url())
            self.check_failure(api, "the proxy answered 403")

    def test_this_machine_needs_none_unless_the_upstream_says_so(self):
        self.check_pull(self.start({"HTTPS_PROXY": self.proxy.url()}))
        self.check_pull(self.start(settings={"fetch": {"https_proxy": self.proxy.url()}}))
        self.check_pull(self.start({"HTTPS_PROXY": self.proxy.url(), "NO_PROXY": "example.com"}, proxy="none"))
        self.assertEqual(self.proxy.asked, [])


class SocksTest(ProxyScenario):
    def test_names_are_the_proxys_to_look_up(self):
        self.check_pull(self.start({"HTTPS_PROXY": self.proxy.url("socks5h")}))
        self.assertEqual({f"SOCKS {name}:443" for name in NAMES.values()}, set(self.proxy.asked))
        self.check_no_password()

    def test_names_are_ours_to_look_up(self):
        api = self.start({"HTTPS_PROXY": self.proxy.url("socks5")})
        self.check_failure(api, "registry.test")
        self.assertEqual(self.proxy.asked, [])

    def test_wrong_password(self):
        api = self.start(proxy=self.proxy.url("socks5h", login=("me", "se:cr@t wrong")))
        self.check_failure(api, "the proxy refuses the user and password")

    def test_unknown_host(self):
        self.proxy.names = {}
        self.check_failure(self.start(proxy=self.proxy.url("socks5h")), "the proxy cannot reach the host")


class PlainTest(ProxyScenario):
    """http:// upstreams: the proxy passes each request on, and its password stays with it."""

    def hub(self, **options):
        hub = Hub(None, **options).start()
        self.addCleanup(hub.stop)
        return hub

    def test_lower_case_variable_is_used_and_capitals_are_warned_of(self):
        self.check_pull(self.start({"http_proxy": self.proxy.url()}))
        self.assertIn("GET http://registry.test/v2/library/hello/manifests/latest",
                      [asked.replace("HEAD", "GET") for asked in self.proxy.asked])
        for request in self.docker.asked():
            self.assertNotIn("proxy-authorization", request.headers)
        self.start({"HTTP_PROXY": self.proxy.url()})
        self.assertTrue([line for line in self.registry.log.lines() if "HTTP_PROXY" in line.text
                         and "http_proxy" in line.text])

    def test_wrong_password(self):
        api = self.start({"http_proxy": self.proxy.url(login=("me", "wrong"))})
        self.check_failure(api, "the proxy answered 407", "fetch.http_proxy")


class ValueTest(unittest.TestCase):
    """`entrepot check`: what is no proxy is told, with the place, and without its password."""

    def check(self, variables=None, **settings):
        flags = [flag for path, value in settings.items() for flag in ("--set", f"{path.replace('__', '.')}={value}")]
        result = subprocess.run([binary(), "check", "--data", self.folder.path] + flags, capture_output=True, text=True,
                                check=False, env={**environment(), **(variables or {})})
        return result.returncode, result.stderr

    def setUp(self):
        self.folder = Folder("check")
        self.addCleanup(self.folder.remove)

    def test_badly_formed(self):
        for value in ("ftp://me:secret@proxy.test", "http://me:secret@", "http://me:secret@proxy.test:70000",
                      "http://me:secret@proxy.test/path", "http://me:se#cret@proxy.test", "://", "http://[::1",
                      "http://:secret@proxy.test", "http://me:secret@" + "p" * 1100):
            for where, arguments in (("HTTPS_PROXY", {"variables": {"HTTPS_PROXY": value}}),
                                     ("fetch.http_proxy", {"fetch__http_proxy": value}),
                                     ("upstreams.docker.io.proxy", {"upstreams__docker.io__proxy": value})):
                status, text = self.check(**arguments)
                self.assertEqual(status, 1, (where, value, text))
                self.assertIn(where, text)
                self.assertIn("is not a proxy", text)
                self.assertNotIn("secret", text)

    def test_what_no_proxy_cannot_be(self):
        status, text = self.check(fetch__no_proxy="http://registry.test")
        self.assertEqual((status, "is no host" in text), (1, True), text)
        status, text = self.check({"NO_PROXY": "http://registry.test,a.test", "HTTPS_PROXY": "proxy.test:3128"})
        self.assertEqual(status, 0, text)
        self.assertIn("it is ignored", text)

    def test_more_than_a_thousand_entries(self):
        names = ",".join(f"h{number}" for number in range(1001))
        for arguments in ({"variables": {"NO_PROXY": names}}, {"fetch__no_proxy": names}):
            status, text = self.check(**arguments)
            self.assertEqual((status, "there are 1001 entries" in text), (1, True), text)
        self.assertEqual(self.check(fetch__no_proxy=names.rpartition(",")[0])[0], 0)

    def test_good_ones(self):
        for value in ("none", "proxy.test:3128", "socks5://[::1]:1080", "https://me@proxy.test/", "socks5h://p"):
            self.assertEqual(self.check({"HTTPS_PROXY": value}, fetch__http_proxy=value)[0], 0, value)

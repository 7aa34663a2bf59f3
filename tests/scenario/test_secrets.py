# SPDX-License-Identifier: Apache-2.0
"""Passwords, certificates and keys of upstreams: which are right, whom they are shown to, and what happens when they
are replaced while the server runs."""

import base64
import json
import os
import shutil
import subprocess
import unittest

from support import images
from support.case import Scenario, authority
from support.client import check_ok
from support.server import binary, environment
from support.waiting import Folder, wait_until

KEY = json.dumps({"type": "service_account", "private_key": "-----BEGIN\nX\n"}, indent=2)


def write(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    os.chmod(path, mode)


class SecretScenario(Scenario):
    hub_options = {"users": {"robot": "first"}}
    pulls = 0

    def setUp(self):
        self.secrets = Folder("secrets")
        self.addCleanup(self.secrets.remove)
        self.password = self.secrets / "password"
        write(self.password, "first\n")
        self.docker = self.hub(**self.hub_options)
        self.image = self.docker.publish("team/private", "1", images.make_image([b"private"]), private=True)

    def upstream(self, **more):
        return {"url": self.docker.url, "ca_file": self.docker.ca_file, "default": True, "username": "robot",
                "password_file": self.password, "expose": True, "tags": [{"match": "*", "ttl": "0s"}], **more}

    def start(self, settings=None, **more):
        self.registry = self.server(upstreams={"docker.io": self.upstream(**more)},
                                    settings=settings or {"fetch": {"negative_ttl": "0s"}})
        self.api = self.client(self.registry)
        return self.api

    def said(self, *texts):
        return [line for line in self.registry.log.lines() if all(text in line.text for text in texts)]

    def wait_said(self, *texts):
        return self.registry.log.wait(lambda line: all(text in line.text for text in texts), 20, " ".join(texts))

    def check_pull(self):
        """Of something new: what is cached would be served without the upstream."""
        self.pulls += 1
        self.docker.publish("team/private", f"pull-{self.pulls}", images.make_image([b"%d" % self.pulls]), private=True)
        check_ok(self.api.manifest("team/private", f"pull-{self.pulls}"))


class PasswordTest(SecretScenario):
    def rotate(self, password):
        """The upstream takes another password only; tokens of before are worth nothing."""
        self.docker.users = {"robot": password}
        self.docker.expire_tokens()

    def test_it_is_read_again_when_it_changes(self):
        self.start()
        self.check_pull()
        self.rotate("second")
        write(f"{self.password}.new", "second\n")
        os.rename(f"{self.password}.new", self.password)
        self.wait_said("have changed and were read again")
        self.check_pull()
        self.assertEqual(self.said("refuses our login"), [])

    def test_it_is_read_again_before_the_login_is_called_refused(self):
        self.start()
        self.check_pull()
        for number in range(3):
            self.rotate(f"password {number}")
            write(self.password, f"password {number}\n")
            self.check_pull()
            self.assertEqual(self.said("refuses our login"), [])

    def test_a_link_that_is_turned_to_another_folder(self):
        """As Kubernetes replaces the files of a Secret."""
        for name in ("first", "second"):
            os.mkdir(self.secrets / name)
            write(self.secrets / name + "/password", f"{name}\n")
        os.symlink("first", self.secrets / "..data")
        os.unlink(self.password)
        os.symlink("..data/password", self.password)
        self.start()
        self.check_pull()
        self.rotate("second")
        os.symlink("second", self.secrets / "..data_tmp")
        os.rename(self.secrets / "..data_tmp", self.secrets / "..data")
        self.check_pull()
        self.assertEqual(self.said("refuses our login"), [])

    def test_what_cannot_be_used_changes_nothing_and_is_told_once(self):
        self.start()
        self.check_pull()
        for what, text in ((lambda: os.unlink(self.password), "No such file"),
                           (lambda: write(self.password, ""), "must contain a password"),
                           (lambda: write(self.password, "\x01\n"), "must contain a password"),
                           (lambda: write(self.password, "x" * 20000), "must contain a password"),
                           (lambda: write(self.password, "x" * 600000), "is longer than")):
            count = len(self.said("stays in use"))
            what()
            wait_until(lambda: self.said("stays in use")[count:], 20, lambda: text)
            self.assertIn(text, self.said("stays in use")[-1].text)
            self.docker.expire_tokens()
            self.check_pull()
            self.assertEqual(len(self.said("stays in use")), count + 1)
        write(self.password, "second\n")
        self.rotate("second")
        self.check_pull()

    def test_a_refused_login_is_told_and_asked_for_once_a_second_at_most(self):
        self.start()
        self.check_pull()
        self.rotate("second")
        for _ in range(5):
            self.assertNotEqual(self.api.manifest("team/private", "2").status, 200)
        self.wait_said("refuses our login", "password_file")
        self.assertEqual(self.said("control message ignored"), [])

    def test_several_lines_are_one_password(self):
        self.docker.users = {"robot": KEY}
        write(self.password, KEY + "\n")
        self.start()
        self.check_pull()
        pair = base64.b64encode(f"robot:{KEY}".encode()).decode()
        self.assertIn(f"Basic {pair}", [request.authorization for request in self.docker.asked(kind="token")])
        self.assertEqual(self.said("several lines"), [])

    def test_several_lines_that_are_no_key_are_warned_of(self):
        self.docker.users = {"robot": "first\nsecond"}
        write(self.password, "first\nsecond\r\n")
        self.start()
        self.check_pull()
        self.assertEqual(len(self.said("several lines")), 1)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to run as another user")
    def test_a_file_that_only_root_can_read(self):
        os.chmod(self.secrets.path, 0o700)
        shutil.copy(self.docker.ca_file, self.secrets / "ca.pem")
        os.chmod(self.secrets / "ca.pem", 0o600)
        self.registry = self.server(upstreams={"docker.io": self.upstream(ca_file=self.secrets / "ca.pem")},
                                    settings={"user": "65534:65534", "fetch": {"negative_ttl": "0s"}}, start=False)
        os.chmod(self.registry.folder.path, 0o755)
        self.registry.start()
        self.api = self.client(self.registry)
        self.check_pull()
        self.rotate("second")
        write(self.password, "second\n")
        self.check_pull()


class BasicTest(SecretScenario):
    """A registry with Basic authentication that says 403 for a password that has expired."""

    def test_403_may_be_about_the_password(self):
        self.start()
        self.check_pull()
        fault = self.docker.fault(kind="manifest", reference="2", status=403, times=1)
        self.docker.publish("team/private", "2", images.make_image([b"two"]), private=True)
        write(self.password, "second\n")
        self.docker.users = {"robot": "second"}
        check_ok(self.api.manifest("team/private", "2"))
        self.assertEqual(fault.met, 1)


class CertificateTest(SecretScenario):
    """The registry and its token server want a certificate; the content network would see one that it should not."""

    def setUp(self):
        super().setUp()
        self.docker.down()
        self.docker.asks_certificate = True
        self.docker.needs_certificate = ("registry", "token")
        self.docker.up()
        cert, key = authority().issue("one")
        self.cert, self.key = self.secrets / "client.pem", self.secrets / "client.key"
        shutil.copy(cert, self.cert)
        shutil.copy(key, self.key)

    def shown(self):
        return {host: {request.certificate for request in self.docker.asked(host=host)}
                for host in ("registry", "token", "cdn")}

    def test_it_is_shown_to_the_registry_and_its_token_server_alone(self):
        self.start(client_cert=self.cert, client_key=self.key)
        self.assertIn(self.image.layers[0], self.api.pull("team/private", "1"))
        self.assertEqual(self.shown(), {"registry": {"one"}, "token": {"one"}, "cdn": {""}})

    def test_certificate_and_key_in_one_file(self):
        with open(self.key, encoding="ascii") as key, open(self.cert, "a", encoding="ascii") as cert:
            cert.write(key.read())
        self.start(client_cert=self.cert)
        self.assertIn(self.image.layers[0], self.api.pull("team/private", "1"))

    def test_without_it_the_text_names_the_upstream(self):
        self.start()
        answer = self.api.manifest("team/private", "1")
        self.assertEqual(answer.status, 502)
        self.assertIn("docker.io", answer.body.decode())

    def test_without_expose_it_is_not_used(self):
        self.start(client_cert=self.cert, client_key=self.key, expose=False)
        self.assertEqual(len(self.said("client certificate is not used", "expose")), 1)
        self.assertEqual(self.api.manifest("team/private", "1").status, 502)

    def test_it_is_replaced_while_the_server_runs(self):
        self.start(client_cert=self.cert, client_key=self.key)
        self.check_pull()
        cert, key = authority().issue("two")
        shutil.copy(cert, self.cert)  # for a moment they do not fit
        self.wait_said("not that of the certificate", "stays in use")
        self.check_pull()
        shutil.copy(key, self.key)
        self.wait_said("have changed and were read again")
        self.docker.forget()
        wait_until(lambda: self.check_pull() or self.shown()["registry"] == {"two"} or self.docker.forget(), 20,
                   lambda: str(self.shown()))


class AuthorityTest(SecretScenario):
    def test_one_for_all_upstreams(self):
        self.start(settings={"fetch": {"ca_file": self.docker.ca_file}}, ca_file=None)
        self.check_pull()

    def test_it_is_replaced_while_the_server_runs(self):
        path = self.secrets / "ca.pem"
        shutil.copy(authority().issue("other")[0], path)
        self.start(ca_file=path)
        answer = self.api.manifest("team/private", "1")
        self.assertEqual(answer.status, 502)
        self.assertIn("ca_file", answer.body.decode())
        write(path, "no certificate")
        self.wait_said("is not PEM", "stays in use")
        shutil.copy(self.docker.ca_file, path)
        self.wait_said("have changed and were read again")
        wait_until(lambda: self.api.manifest("team/private", "1").status == 200, 20, lambda: "trusted")

    def test_without_verification_each_start_warns(self):
        self.start(ca_file=None, tls_verify=False)
        self.check_pull()
        self.assertEqual(len(self.said("warn", "upstreams.docker.io", "tls_verify: false", "laboratory")), 1)
        self.registry.stop()
        self.registry.start()
        self.assertEqual(len(self.said("tls_verify: false")), 1)

    def test_other_hosts_are_verified_all_the_same(self):
        """The content network of this upstream is another host, which nothing names."""
        self.docker = self.hub(cdn_host="127.0.0.2", **self.hub_options)
        self.image = self.docker.publish("team/private", "1", images.make_image([b"private"]))
        self.start(ca_file=None, tls_verify=False)
        self.check_pull()
        answer = self.api.blob("team/private", self.image.layers[0])
        self.assertEqual((answer.status, "certificate" in answer.body.decode()), (502, True), answer.body)
        self.registry.stop()
        self.start(ca_file=None, tls_verify=False, redirects=["127.0.0.2"])
        check_ok(self.api.blob("team/private", self.image.layers[0]))


class EnvironmentTest(Scenario):
    def test_no_process_but_the_master_has_the_variables_of_the_configuration(self):
        secrets = {"https_proxy": "http://me:hidden-1@127.0.0.1:9", "ALL_PROXY": "http://me:hidden-2@127.0.0.1:9",
                   "REGISTRY_PROXY_REMOTEURL": "https://a.example", "REGISTRY_PROXY_USERNAME": "me",
                   "REGISTRY_PROXY_PASSWORD": "hidden-3", "ENTREPOT_FETCH_HTTP_PROXY": "http://me:hidden-4@127.0.0.1:9"}
        with open(__file__, "rb") as stdin:
            registry = self.server(upstreams={}, variables={**secrets, "TZ": "UTC-3"}, failpoints=[], stdin=stdin)
        children = registry.children()
        self.assertEqual({child.role for child in children}, {"keeper", "fetcher", "worker"})
        for child in children:
            with open(f"/proc/{child.pid}/environ", encoding="utf-8") as environ:
                variables = environ.read().split("\0")
            self.assertEqual([entry for entry in variables if "hidden" in entry], [], child.role)
            self.assertIn("TZ=UTC-3", variables)  # others are theirs
            self.assertEqual(os.readlink(f"/proc/{child.pid}/fd/0"), "/dev/null")  # ours may be a password's file


class CheckTest(unittest.TestCase):
    """`entrepot check` says what is wrong with such a file."""

    def setUp(self):
        self.folder = Folder("check")
        self.addCleanup(self.folder.remove)
        self.cert, self.key = authority().issue("client")
        self.other = authority().issue("stranger")[1]
        self.old = authority().issue("expired", days=0)

    def check(self, **upstream):
        path = self.folder / "entrepot.yaml"
        write(path, json.dumps({"storage": {"path": self.folder / "data"}, "upstreams": {"a.example": upstream}}))
        result = subprocess.run([binary(), "check", "--config", path], capture_output=True, text=True, check=False,
                                env=environment())
        lines = [line for line in result.stderr.splitlines() if "there is no user entrepot" not in line]
        return result.returncode, "\n".join(lines)

    def file(self, text):
        path = self.folder / "file"
        write(path, text)
        return path

    def test_good(self):
        for given in ({"client_cert": self.cert, "client_key": self.key}, {"ca_file": authority().ca_file}):
            self.assertEqual(self.check(expose=True, **given), (0, ""))

    def test_wrong(self):
        locked = self.folder / "locked"
        subprocess.run(["openssl", "pkey", "-in", self.key, "-aes256", "-passout", "pass:x", "-out", locked], check=True,
                       capture_output=True)
        broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        pair = {"client_cert": self.cert, "client_key": self.key}
        for given, *texts in (
                ({**pair, "client_key": "/nonexistent"}, "client_key: /nonexistent cannot be read", "No such file"),
                ({**pair, "client_cert": "/nonexistent"}, "client_cert: /nonexistent cannot be read"),
                ({"ca_file": self.folder.path}, "ca_file: ", "cannot be read"),
                ({"ca_file": self.file("hello\n")}, "ca_file: ", "is not PEM"),
                ({"ca_file": self.key}, "ca_file: ", "there is no certificate in it"),
                ({"ca_file": "/dev/null"}, "ca_file: ", "is not PEM"),
                ({**pair, "client_key": self.cert}, "client_key: ", "there is no private key in it"),
                ({**pair, "client_cert": self.key}, "client_cert: ", "there is no certificate in it"),
                ({**pair, "client_key": self.other}, "client_key: ", "not that of the certificate"),
                ({**pair, "client_key": locked}, "client_key: ", "needs a passphrase"),
                ({"client_cert": self.cert}, "client_key: ", "there is no private key in it"),
                ({"client_key": self.key}, "client_key: set client_cert as well"),
                ({"tls_verify": "perhaps"}, "tls_verify", "neither true nor false"),
                ({"password_file": "/nonexistent", "username": "me"}, "password_file: /nonexistent cannot be read")):
            status, text = self.check(expose=True, **given)
            self.assertEqual(status, 1, (given, text))
            for part in texts:
                self.assertIn(part, text)
            self.assertIn("upstreams.a.example", text)
        status, text = self.check(ca_file=self.file(broken))
        self.assertEqual((status, "certificate 1 is broken" in text), (1, True), text)
        status, text = self.check(ca_file=self.file("-----BEGIN X-----\n" + "A" * 600000))
        self.assertEqual((status, "is longer than" in text), (1, True), text)

    def test_expired(self):
        status, text = self.check(client_cert=self.old[0], client_key=self.old[1], expose=True)
        self.assertEqual((status, "expired certificate" in text), (0, True), text)

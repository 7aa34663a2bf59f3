# SPDX-License-Identifier: Apache-2.0
"""The mirror: what is asked of an upstream, how often, with which credentials, and what happens when it fails."""

import os
import unittest

from support import images
from support.case import Scenario
from support.client import Client, Many, Raw, check_ok, check_status
from support.images import sha256
from support.stock import StockRegistry
from support.waiting import Folder, wait_until

MIB = 1 << 20


class MirrorScenario(Scenario):
    """A Hub with library/hello:latest, and a server whose tags are asked again after `ttl`."""

    ttl = "1h"
    hub_options = {}
    upstream_options = {}
    fetch = {"stall_timeout": "2s", "negative_ttl": "0s"}

    def setUp(self):
        self.docker = self.hub(**self.hub_options)
        self.layer = images.random_bytes(300_000, 1)
        self.image = self.docker.publish("library/hello", "latest", images.make_image([self.layer]))
        upstream = {"url": self.docker.url, "ca_file": self.docker.ca_file, "default": True,
                    "tags": [{"match": "*", "ttl": self.ttl}]}
        upstream.update(self.upstream_options)
        self.registry = self.server(upstreams={"docker.io": upstream}, settings={"fetch": self.fetch}, workers=2)
        self.api = self.client(self.registry)

    def publish(self, tag, content=b"moved"):
        return self.docker.publish("library/hello", tag, images.make_image([content]))

    def big(self, size, seed=7):
        content = images.random_bytes(size, seed)
        return content, self.docker.publish_blob("library/hello", content)


class PullTest(MirrorScenario):
    def test_each_byte_comes_from_upstream_once(self):
        for _ in range(3):
            self.assertIn(self.image.layers[0], self.api.pull("library/hello", "latest"))
        self.assertEqual(self.docker.pulls, 1)
        for digest in self.image.blobs:
            self.assertEqual(self.docker.count(kind="cdn", method="GET", reference=digest), 1, self.docker.story())

    def test_second_pull_is_from_disk(self):
        self.api.pull("library/hello", "latest")
        self.registry.settle()
        self.docker.down()
        self.api.pull("library/hello", "latest")
        def both():  # an access line is written after the last byte was sent
            lines = self.registry.log.access(method="GET", ref=self.image.layers[0])
            return lines if len(lines) == 2 else None
        lines = wait_until(both, 10, "the access lines of both pulls")
        self.assertEqual([line["source"] for line in lines][1:], ["disk"])
        self.assertIn(lines[0]["source"], ("flight", "upstream"))

    def test_index_and_only_the_platform_that_is_asked_for(self):
        image = images.make_image([b"amd64 layer"], platforms=["amd64", "arm64"], oci=True)
        self.docker.publish("library/multi", "1", image)
        got = self.api.pull("library/multi", "1")
        self.assertIn(image.digest, got)
        self.assertEqual(self.docker.pulls, 2, self.docker.story())
        self.docker.down()
        self.assertEqual(set(self.api.pull("library/multi", "1")), set(got))

    def test_manifest_by_digest_is_never_asked_again(self):
        check_ok(self.api.manifest("library/hello", self.image.digest), self.image.digest)
        self.docker.forget()
        check_ok(self.api.manifest("library/hello", self.image.digest), self.image.digest)
        self.assertEqual(self.docker.requests, [])

    def test_head_of_a_tag_costs_no_pull(self):
        answer = check_status(self.api.manifest("library/hello", "latest", "HEAD"), 200)
        self.assertEqual(answer.headers["docker-content-digest"], self.image.digest)
        self.assertEqual(answer.headers["content-length"], str(len(self.image.top.content)))

    def test_head_of_a_blob_by_prefix_says_its_size(self):
        prefixed = self.client(self.registry, prefix="docker.io/")
        answer = check_status(prefixed.blob("library/hello", self.image.layers[0], "HEAD"), 200)
        self.assertEqual(answer.headers["content-length"], str(len(self.layer)))
        self.assertEqual(self.docker.count(kind="cdn", method="GET"), 0)

    def test_lists_come_from_upstream(self):
        self.publish("v1")
        self.publish("v2")
        self.assertEqual(self.api.tags("library/hello").json(), {"name": "library/hello",
                                                                 "tags": ["latest", "v1", "v2"]})
        artifact = images.make_artifact(self.image.top, "application/x.signature", b"signed")
        self.docker.publish("library/hello", None, artifact)
        found = self.api.request("GET", f"/v2/library/hello/referrers/{self.image.digest}")
        self.assertEqual([entry["digest"] for entry in found.json()["manifests"]], [artifact.digest])

    def test_lists_in_pages_whatever_the_upstream_calls_them(self):
        artifacts = {self.docker.publish("library/hello", None, images.make_artifact(
            self.image.top, "application/x.signature", b"%d" % number)).digest for number in range(5)}
        for number in range(5):
            self.publish(f"v{number}")
        self.docker.page = 2
        for by_token in (False, True):
            self.docker.pages_by_token = by_token
            pages = self.api.pages("/v2/library/hello/tags/list?ns=docker.io")
            self.assertEqual([page.json()["tags"] for page in pages], [["latest", "v0"], ["v1", "v2"], ["v3", "v4"]])
        pages = self.api.pages(f"/v2/docker.io/library/hello/referrers/{self.image.digest}")
        self.assertEqual([len(page.json()["manifests"]) for page in pages], [2, 2, 1])
        self.assertEqual({entry["digest"] for page in pages for entry in page.json()["manifests"]}, artifacts)

    def test_referrers_of_an_upstream_without_the_api_are_under_a_tag(self):
        self.docker.has_referrers = False
        path = f"/v2/library/hello/referrers/{self.image.digest}"
        self.assertEqual(self.api.request("GET", path).json()["manifests"], [])
        entry = {"mediaType": images.OCI_MANIFEST, "digest": sha256(b"signature"), "size": 9, "artifactType": "a/b"}
        index = images.Manifest(images.OCI_INDEX, images.to_json({
            "schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": [entry]}))
        tag = self.image.digest.replace(":", "-")
        self.docker.publish("library/hello", tag, images.Image(index, [index], {}, []))
        for _ in range(2):
            answer = check_status(self.api.request("GET", path), 200)
            self.assertEqual((answer.headers["content-type"], answer.json()["manifests"]), (images.OCI_INDEX, [entry]))
            self.registry.settle()

    def test_nobody_elses_push_changes_the_type_of_a_cached_image(self):
        """An index that does not say what it is, pushed elsewhere under the other type it could have."""
        index = images.Manifest(images.OCI_INDEX, images.to_json({"schemaVersion": 2, "manifests": []}))
        other = images.Manifest(images.DOCKER_LIST, index.content)
        check_status(self.api.push_manifest("evil", "1", other), 201)
        self.docker.publish("library/index", "1", images.Image(index, [index], {}, []))
        def types(client, name, reference):
            return {client.manifest(name, reference, method).headers["content-type"] for method in ("GET", "HEAD")}
        self.assertEqual(types(self.api, "library/index", "1"), {images.OCI_INDEX})
        self.registry.settle()
        check_status(self.api.push_manifest("evil", "2", other), 201)
        for reference in ("1", index.digest):
            self.assertEqual(types(self.api, "library/index", reference), {images.OCI_INDEX})
            self.assertEqual(types(self.client(self.registry, ns="docker.io"), "library/index", reference),
                             {images.OCI_INDEX})
        self.assertEqual(types(self.api, "evil", index.digest), {images.DOCKER_LIST})

    def test_what_is_not_there_is_404(self):
        self.assertEqual(check_status(self.api.manifest("library/hello", "none"), 404).code, "MANIFEST_UNKNOWN")
        self.assertEqual(self.api.manifest("library/nobody", "latest").status, 404)
        self.assertEqual(self.api.blob("library/hello", sha256(b"nothing")).status, 404)

    def test_answers_hide_what_the_upstream_says_of_itself(self):
        self.docker.fault(kind="manifest", digest_header="sha256:" + "1" * 64)
        answer = check_ok(self.api.manifest("library/hello", "latest"), self.image.digest)
        self.assertEqual(answer.headers["docker-content-digest"], self.image.digest)
        for name in ("www-authenticate", "ratelimit-remaining", "set-cookie", "location"):
            self.assertNotIn(name, answer.headers)


class CredentialsTest(MirrorScenario):
    def test_token_is_asked_once_and_never_seen_by_the_content_network(self):
        self.api.pull("library/hello", "latest")
        self.assertEqual(self.docker.authorized_cdn_requests, 0)
        self.assertEqual(self.docker.count(kind="token"), 1, self.docker.story())

    def test_expired_token_is_asked_for_anew(self):
        self.api.pull("library/hello", "latest")
        self.docker.expire_tokens()
        image = self.publish("v2")
        check_ok(self.api.manifest("library/hello", "v2"), image.digest)
        self.assertLessEqual(self.docker.count(kind="token"), 3, self.docker.story())

    def test_private_image_is_refused_to_the_anonymous(self):
        self.docker.publish("team/private", "1", images.make_image([b"private"]), private=True)
        self.assertIn(self.api.manifest("team/private", "1").status, (401, 403, 404))


class UserTest(MirrorScenario):
    hub_options = {"users": {"robot": "pass word"}}

    def setUp(self):
        self.secrets = Folder("secrets")
        self.addCleanup(self.secrets.remove)
        path = self.secrets / "password"
        with open(path, "w", encoding="ascii") as out:
            out.write("pass word\n")
        os.chmod(path, 0o600)
        self.upstream_options = {"username": "robot", "password_file": path, "expose": True}
        super().setUp()
        self.private = self.docker.publish("team/private", "1", images.make_image([b"private"]), private=True)

    def test_user_reaches_private_images_and_the_content_network_sees_nothing(self):
        got = self.api.pull("team/private", "1")
        self.assertIn(self.private.layers[0], got)
        self.assertEqual(self.docker.authorized_cdn_requests, 0)
        with open(self.registry.log.path, encoding="utf-8", errors="replace") as log:
            self.assertNotIn("pass word", log.read())


class TagTest(MirrorScenario):
    """A tag that is asked every time. Who asks while an answer is being stored shares that answer."""

    ttl = "0s"

    def pull(self):
        answer = self.api.manifest("library/hello", "latest")
        self.registry.settle()
        return answer

    def test_moved_tag_is_noticed(self):
        check_ok(self.pull(), self.image.digest)
        moved = self.publish("latest")
        check_ok(self.pull(), moved.digest)

    def test_check_is_a_head_and_no_pull(self):
        check_ok(self.pull(), self.image.digest)
        self.docker.forget()
        for _ in range(3):
            check_ok(self.pull(), self.image.digest)
        self.assertEqual(self.docker.pulls, 0, self.docker.story())
        self.assertEqual(self.docker.count(kind="manifest", method="HEAD"), 3, self.docker.story())

    def test_a_large_manifest_is_one_question_too(self):
        large = images.make_artifact(self.image.top, "application/x.text", b"text", {"pad": "x" * 100_000})
        self.docker.publish("library/hello", "latest", large)
        check_ok(self.pull(), large.digest)
        self.docker.forget()
        check_ok(self.pull(), large.digest)
        self.assertEqual(self.docker.count(kind="manifest"), 1, self.docker.story())
        fault = self.docker.fault(kind="manifest", hold=True)
        answer = check_ok(self.pull(), large.digest)
        self.assertIn("299", answer.headers.get("warning", ""), answer)
        self.assertLess(answer.ended - answer.began, 6)
        fault.release()

    def test_upstream_down_serves_the_tag_marked(self):
        check_ok(self.pull(), self.image.digest)
        self.docker.down()
        answer = check_ok(self.pull(), self.image.digest)
        self.assertIn("299", answer.headers.get("warning", ""), answer)
        self.docker.up()
        wait_until(lambda: "warning" not in self.api.manifest("library/hello", "latest").headers, 20,
                   "no warning once the upstream is back")

    def test_5xx_and_429_serve_the_tag_marked(self):
        check_ok(self.pull(), self.image.digest)
        for status in (500, 503, 429):
            fault = self.docker.fault(kind="manifest", status=status, retry_after="1" if status == 429 else None)
            answer = check_ok(self.pull(), self.image.digest)
            self.assertIn("299", answer.headers.get("warning", ""), status)
            self.assertGreaterEqual(fault.met, 1)
            self.docker.clear_faults()
            wait_until(lambda: "warning" not in self.api.manifest("library/hello", "latest").headers, 20,
                       "no warning once the upstream is well")

    def test_404_hides_a_tag_while_the_upstream_can_be_asked(self):
        check_ok(self.pull(), self.image.digest)
        self.docker.delete_tag("library/hello", "latest")
        self.assertEqual(self.pull().status, 404)
        check_ok(self.api.manifest("library/hello", self.image.digest), self.image.digest)
        self.docker.down()
        answer = check_ok(self.pull(), self.image.digest)
        self.assertIn("warning", answer.headers)

    def test_refused_login_does_not_take_a_cached_tag_away(self):
        check_ok(self.pull(), self.image.digest)
        self.docker.fault(kind="manifest", status=401)
        answer = check_ok(self.pull(), self.image.digest)
        self.assertIn("warning", answer.headers)
        self.docker.clear_faults()
        self.docker.expire_tokens()
        self.docker.fault(kind="token", status=403)
        answer = check_ok(self.pull(), self.image.digest)
        self.assertIn("warning", answer.headers)

    def test_slow_check_does_not_hold_a_pull_up(self):
        check_ok(self.pull(), self.image.digest)
        fault = self.docker.fault(kind="manifest", hold=True)
        answer = check_ok(self.pull(), self.image.digest)
        self.assertLess(answer.ended - answer.began, 6)
        fault.release()


class TtlTest(MirrorScenario):
    ttl = "1h"

    def test_fresh_tag_is_not_asked_again(self):
        check_ok(self.api.manifest("library/hello", "latest"), self.image.digest)
        self.publish("latest")
        self.docker.forget()
        check_ok(self.api.manifest("library/hello", "latest"), self.image.digest)
        self.assertEqual(self.docker.requests, [])


class NegativeTest(MirrorScenario):
    fetch = {"negative_ttl": "1h"}

    def test_absence_is_remembered(self):
        for _ in range(3):
            self.assertEqual(self.api.manifest("library/hello", "none").status, 404)
        asked = [entry for entry in self.docker.asked(kind="manifest", reference="none")]
        self.assertLessEqual(len([entry for entry in asked if entry.status == 404]), 2, self.docker.story())


class FailureTest(MirrorScenario):
    fetch = {"stall_timeout": "1s", "head_timeout": "2s", "deadline": "5s", "negative_ttl": "0s"}

    def test_cut_downloads_go_on_where_they_were(self):
        content, digest = self.big(5 * MIB)
        self.docker.fault(kind="cdn", reference=digest, cut_after=1 * MIB, times=2)
        check_ok(self.api.blob("library/hello", digest), digest)
        asked = self.docker.asked(kind="cdn", reference=digest)
        self.assertEqual(len(asked), 3, self.docker.story())
        self.assertTrue(asked[1].headers.get("range", "").startswith("bytes="), asked[1])
        self.assertLess(self.docker.sent(kind="cdn", reference=digest), len(content) + 2 * MIB)
        self.assertGreaterEqual(self.registry.metric("flights_resumed"), 2)

    def test_stalled_download_goes_on(self):
        _, digest = self.big(3 * MIB)
        self.docker.fault(kind="cdn", reference=digest, stall_after=1 * MIB, times=1)
        check_ok(self.api.blob("library/hello", digest), digest)
        self.assertEqual(self.docker.count(kind="cdn", reference=digest), 2)

    def test_upstream_without_range_starts_over_and_the_bytes_are_right(self):
        _, digest = self.big(4 * MIB)
        self.docker.fault(kind="cdn", reference=digest, cut_after=2 * MIB, times=1)
        self.docker.fault(kind="cdn", reference=digest, ignore_range=True)
        answer = self.api.blob("library/hello", digest)
        if answer.is_complete:
            self.assertEqual(answer.digest, digest)
        check_ok(self.api.blob("library/hello", digest), digest)

    def test_5xx_then_well(self):
        _, digest = self.big(100_000)
        self.docker.fault(kind="cdn", reference=digest, status=503, times=1)
        check_ok(self.api.blob("library/hello", digest), digest)

    def test_head_that_never_comes_is_an_error_in_time(self):
        _, digest = self.big(100_000)
        self.docker.fault(kind="cdn", reference=digest, hold=True)
        answer = self.api.blob("library/hello", digest)
        self.assertIn(answer.status, (502, 503, 504), answer)
        self.assertLess(answer.ended - answer.began, 15)
        self.docker.clear_faults()

    def test_upstream_down_is_an_error_in_time_and_well_again_soon(self):
        self.docker.down()
        answer = self.api.manifest("library/hello", "latest")
        self.assertIn(answer.status, (502, 503, 504), answer)
        self.docker.up()
        wait_until(lambda: self.api.manifest("library/hello", "latest").status == 200, 20, "well again")

    def test_html_for_a_manifest_or_a_blob_is_not_believed(self):
        self.docker.fault(kind="manifest", html=True)
        self.assertGreaterEqual(self.api.manifest("library/hello", "latest").status, 500)
        self.docker.clear_faults()
        self.docker.fault(kind="cdn", html=True)
        self.assertGreaterEqual(self.api.blob("library/hello", self.image.layers[0]).status, 500)
        self.docker.clear_faults()
        self.api.pull("library/hello", "latest")

    def test_unknown_length_and_wrong_encoding(self):
        _, digest = self.big(400_000, 8)
        self.docker.fault(kind="cdn", reference=digest, chunked=True)
        check_ok(self.api.blob("library/hello", digest), digest)
        _, digest = self.big(400_000, 9)
        self.docker.fault(kind="cdn", reference=digest, encoding="gzip", times=1)
        answer = self.api.blob("library/hello", digest)
        self.assertNotIn("content-encoding", answer.headers)
        if answer.is_complete and answer.status == 200:
            self.assertEqual(answer.digest, digest)
        self.docker.clear_faults()
        check_ok(self.api.blob("library/hello", digest), digest)

    def test_429_of_a_cold_pull_is_told_and_obeyed(self):
        self.docker.fault(kind="manifest", status=429, retry_after="1", times=1)
        answer = self.api.manifest("library/hello", "latest")
        self.assertIn(answer.status, (200, 429, 502, 503), answer)
        wait_until(lambda: self.api.manifest("library/hello", "latest").status == 200, 20, "well again")

    def test_redirect_to_elsewhere_is_not_followed_to_other_schemes(self):
        _, digest = self.big(100_000, 11)
        self.docker.fault(kind="blob", reference=digest, location="file:///etc/passwd")
        answer = self.api.blob("library/hello", digest)
        self.assertGreaterEqual(answer.status, 500, answer)
        self.assertNotIn(b"root:", answer.body)


class StallTest(MirrorScenario):
    """The times as they are by default."""

    fetch = {"negative_ttl": "0s"}

    def test_manifest_that_stalls_once_is_here_before_the_client_gives_up(self):
        for reference in ("latest", self.image.digest):
            self.docker.fault(kind="manifest", reference=reference, stall_after=10, times=1)
            name = "library/hello" if reference == "latest" else "docker.io/library/hello"
            check_ok(self.api.manifest(name, reference), self.image.digest)
            self.registry.settle()


class FlightTest(MirrorScenario):
    def test_first_client_leaves_and_the_others_get_everything(self):
        _, digest = self.big(8 * MIB)
        fault = self.docker.fault(kind="cdn", reference=digest, stall_after=4 * MIB)
        first = self.api.blob("library/hello", digest, stop_after=1 * MIB)
        self.assertEqual(first.error, "left")
        many = Many()
        arrived = []
        for number in range(4):
            many.start(self.api.blob, "library/hello", digest, keep=False,
                       progress=lambda length, number=number: arrived.append(number))
        wait_until(lambda: len(set(arrived)) == 4, 20, "four followers")
        fault.release()
        for answer in many.join():
            check_ok(answer, digest)
        self.assertEqual(self.docker.count(kind="cdn", reference=digest), 1, self.docker.story())

    def test_questions_of_clients_that_left_are_withdrawn(self):
        """Long before their deadline, and what the upstream has not answered by then is let go of."""
        self.docker.fault(kind="manifest", name="library/nothing", hold=True)
        clients = [Raw(self.registry.port) for _ in range(300)]
        for number, client in enumerate(clients):
            client.send(f"GET /v2/library/nothing/manifests/t{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: self.registry.metric("flights") == 300, 20, "all are asked")
        for client in clients:
            client.close()
        wait_until(lambda: self.registry.metric("flights") == 0, 5, "none is asked any more")

    def test_fetcher_dies_in_flight_and_the_pull_ends_well(self):
        content, digest = self.big(8 * MIB)
        fault = self.docker.fault(kind="cdn", reference=digest, stall_after=4 * MIB, times=1)
        many = Many()
        arrived = []
        for _ in range(3):
            many.start(self.api.blob, "library/hello", digest, keep=False, progress=arrived.append)
        wait_until(lambda: max(arrived, default=0) > 2 * MIB, 20, "some bytes")
        old = self.registry.kill("fetcher")
        self.registry.wait_respawn("fetcher", None, old)
        fault.release()
        for answer in many.join():
            check_ok(answer, digest)
        check_ok(self.api.blob("library/hello", digest), digest)
        self.assertLess(self.docker.sent(kind="cdn", reference=digest), 2 * len(content))

    def test_several_ranges_of_a_blob_that_is_not_here(self):
        content, digest = self.big(3 * MIB)
        answer = self.api.blob("library/hello", digest, headers={"Range": "bytes=0-9,2000000-2000009"})
        check_status(answer, 206)
        self.assertIn(content[:10], answer.body)
        self.assertIn(content[2_000_000:2_000_010], answer.body)
        one = self.api.blob("library/hello", digest, headers={"Range": "bytes=1000000-1999999"})
        self.assertEqual((one.status, one.body), (206, content[1_000_000:2_000_000]))
        self.assertEqual(self.docker.count(kind="cdn", reference=digest), 1, self.docker.story())

    def test_many_ranges_of_a_blob_that_is_coming(self):
        content, digest = self.big(8 * MIB)
        fault = self.docker.fault(kind="cdn", reference=digest, rate=4 * MIB)
        spans = [(8000 * number, 8000 * number + number) for number in range(1024)]
        header = {"Range": "bytes=" + ",".join("%d-%d" % span for span in spans)}
        many = Many()
        for order in (1, -1, 1):
            many.start(self.api.blob, "library/hello", digest, headers={
                "Range": "bytes=" + ",".join("%d-%d" % span for span in spans[::order])})
        answers = many.join()
        self.assertEqual(fault.met, 1)
        for order, answer in zip((1, -1, 1), answers):
            check_status(answer, 206)
            self.assertTrue(answer.is_complete, answer)
            boundary = b"\r\n--" + answer.headers["content-type"].partition("boundary=")[2].encode()
            parts = (b"\r\n" + answer.body).split(boundary)[1:-1]
            self.assertEqual([part.partition(b"\r\n\r\n")[2] for part in parts],
                             [content[first:last + 1] for first, last in spans[::order]])
        self.assertEqual(self.docker.count(kind="cdn", reference=digest), 1, self.docker.story())
        check_status(self.api.blob("library/hello", digest, headers=header), 206)

    def test_too_many_ranges_bring_nothing(self):
        _, digest = self.big(3 * MIB)
        answer = self.api.blob("library/hello", digest, headers={
            "Range": "bytes=" + ",".join(f"{2 * number}-{2 * number}" for number in range(1025))})
        self.assertEqual((answer.status, answer.code), (400, "RANGE_INVALID"))
        self.assertEqual(self.docker.count(kind="cdn", reference=digest), 0, self.docker.story())

    def test_restart_of_the_server_keeps_what_is_cached(self):
        self.api.pull("library/hello", "latest")
        self.registry.stop()
        self.docker.down()
        self.registry.start()
        self.client(self.registry).pull("library/hello", "latest")


class StrictTest(MirrorScenario):
    upstream_options = {"verify": "strict"}

    def test_nothing_leaves_before_it_is_verified(self):
        _, digest = self.big(4 * MIB)
        fault = self.docker.fault(kind="cdn", reference=digest, stall_after=3 * MIB, stall_for=1)
        seen = []
        answer = check_ok(self.api.blob("library/hello", digest, progress=seen.append), digest)
        whole = self.docker.asked(kind="cdn", reference=digest)[0]
        self.assertGreater(answer.first_byte, whole.began + 1)
        self.assertEqual(fault.met, 1)


class SecondUpstreamTest(Scenario):
    """Debian's own registry as another upstream, by prefix and by ns."""

    def test_prefix_and_ns_reach_it(self):
        stock = self.daemon(StockRegistry())
        image = images.make_image([images.random_bytes(2 * MIB, 5)], platforms=["amd64", "arm64"])
        Client(stock.port).push("team/app", "1", image)
        hub = self.hub()
        registry = self.server(upstreams={"docker.io": hub, "stock.example": {"url": stock.url}})
        self.client(registry, prefix="stock.example/").pull("team/app", "1")
        stock.stop()
        Client(registry.port, ns="stock.example").pull("team/app", "1")
        self.assertEqual(hub.requests, [])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""A push does not take a name that the Hub has, also when nobody has pulled it here."""

import unittest

from support import images
from support.case import Scenario
from support.client import check_ok, check_status


class ShadowTest(Scenario):
    def setUp(self):
        self.docker = self.hub()
        self.theirs = self.docker.publish("org/app", "v1", images.make_image([b"theirs"]))
        self.mine = images.make_image([b"mine"])

    def begin(self, api, name):
        return api.request("POST", f"/v2/{name}/blobs/uploads/", headers={"Content-Length": "0"})

    def test_name_of_the_hub_is_denied(self):
        api = self.client(self.server(self.docker))
        refused = check_status(self.begin(api, "org/app"), 403)
        self.assertEqual(refused.code, "DENIED")
        self.assertIn(b"hosted.shadow_check", refused.body)
        api.push("team/app", "v1", self.mine)
        api.push("app", "v1", self.mine)
        check_ok(api.manifest("org/app", "v1"), self.theirs.digest)

    def test_without_the_hub(self):
        registry = self.server(self.docker)
        strict = self.server(self.docker, {"hosted": {"shadow_check": "strict"}})
        self.docker.stop()
        check_status(self.begin(self.client(strict), "org/app"), 503)
        self.client(registry).push("org/app", "v1", self.mine)


if __name__ == "__main__":
    unittest.main()

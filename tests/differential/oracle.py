# SPDX-License-Identifier: Apache-2.0
"""Two servers, one script, and what became of the differences."""

from support.case import Scenario
from support.client import path_of, request

from .compare import differences

SHOWN = 200
NO_BODY = (204, 304)


class Side:
    """One of the two servers, and the upload sessions it gave."""

    def __init__(self, port):
        self._port = port
        self._sessions = {}

    def send(self, entry):
        body = iter(entry.body) if entry.chunked else entry.body
        answer = request(self._port, entry.method, entry.target(self._sessions), headers=entry.headers, body=body,
                         chunked=entry.chunked)
        if entry.save and "location" in answer.headers:
            self._sessions[entry.save] = path_of(answer.headers["location"])
        return answer


class OracleTest(Scenario):
    def compare(self, script, ours, theirs, intended, must_be_used):
        """Fails for every difference that no row of `intended` covers, and every row of `must_be_used` without one."""
        ours, theirs = Side(ours), Side(theirs)
        found, known = [], 0
        for entry in script:
            answer, other = ours.send(entry), theirs.send(entry)
            self.assertTrue(answer.status and answer.is_complete or answer.status in NO_BODY, f"{entry.id}: {answer}")
            self.check_digest(entry, answer)
            for difference in differences(entry, answer, other):
                covering = [row for row in intended if row.covers(difference)]
                for row in covering[:1]:
                    row.uses += 1
                known += bool(covering)
                found += [] if covering else [str(difference)]
        unused = [f"{row.where}: {row.ids}: no such difference any more" for row in must_be_used
                  if not row.uses and not row.is_sometimes]
        print(f"{len(script)} requests to both, {known} differences intended, {len(found)} not")
        if found + unused:
            self.fail("\n".join([""] + (found + unused)[:SHOWN]))

    def check_digest(self, entry, answer):
        """Whatever the other says: what we call by a digest has it."""
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status == 200 and entry.method == "GET" and digest.startswith("sha256:"):
            self.assertEqual(answer.digest, digest, entry.id)

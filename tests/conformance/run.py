#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The conformance suite of the OCI distribution specification against the real program, with nothing left out.

The suite is a Go program, built as support.gotools says. Without Go the test is skipped (77).
"""

import os
import re
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support import network, skips  # noqa: E402
from support.gotools import gotool  # noqa: E402
from support.server import Server  # noqa: E402
from support.waiting import Folder, slow_factor  # noqa: E402

RUN_SECONDS = 120

REPOSITORIES = ("conformance/one", "conformance/two")
# Version of the specification: how many groups of tests its run has; fewer would mean that some were left out.
GROUPS = {"1.1": 25, "dev": 27}
# What the specification leaves to the registry, and how we answer; everything else must pass.
MAY_SKIP = ("Blob anonymous mount",)
MAY_SKIP_CASE = "/blob-mount-anonymous"

SWITCHES = """
API_PING API_PULL API_PUSH API_BLOBS_ATOMIC API_BLOBS_DELETE API_BLOBS_DIGEST_HEADER API_BLOBS_MOUNT_ANONYMOUS
API_BLOBS_UPLOAD_CANCEL API_MANIFESTS_ATOMIC API_MANIFESTS_DELETE API_MANIFESTS_DIGEST_HEADER API_TAGS_ATOMIC
API_TAGS_DELETE API_TAGS_LIST API_REFERRER
DATA_IMAGE DATA_INDEX DATA_INDEX_LIST DATA_SPARSE DATA_ARTIFACT DATA_SUBJECT DATA_SUBJECT_MISSING DATA_ARTIFACT_LIST
DATA_SUBJECT_LIST DATA_DATA_FIELD DATA_NONDISTRIBUTABLE DATA_CUSTOM_FIELDS DATA_NO_LAYERS DATA_EMPTY_BLOB DATA_SHA512
""".split()
# Only the development version has it: in the released one it adds groups that are not that version's.
DEVELOPMENT_SWITCHES = ["API_MANIFESTS_TAG_PARAM"]


def run_suite(program, version, port, folder):
    """Its output; results in the folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCI_")}
    environment.update({f"OCI_{name}": "true" for name in SWITCHES})
    environment.update({f"OCI_{name}": str(version == "dev").lower() for name in DEVELOPMENT_SWITCHES})
    environment.update(OCI_VERSION=version, OCI_REGISTRY=f"127.0.0.1:{port}", OCI_TLS="disabled",
                       OCI_REPO1=REPOSITORIES[0], OCI_REPO2=REPOSITORIES[1], OCI_RESULTS_DIR=folder)
    done = subprocess.run([program], env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=RUN_SECONDS * slow_factor(), check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def groups_of(output):
    """The groups of the printed tree, {name: result}: its second level."""
    tree = output.partition("Test results\n")[2].partition("\n\n")[0]
    found = re.findall(r"^  (\S[^\n]*): (\w+)$", tree, re.MULTILINE)
    return {name: result for name, result in found}


def results_of(output, title):
    """One of the tables behind the tree, {what: result}."""
    table = output.partition(f"{title} conformance:\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^  (.*?)\.*: +(\w+)$", table, re.MULTILINE))


def junit_troubles(path):
    suites = ElementTree.parse(path).getroot()
    troubles = [f"{kind}: {suites.get(kind)}" for kind in ("failures", "errors") if int(suites.get(kind) or 0)]
    cases = list(suites.iter("testcase"))
    if not cases:
        troubles.append("no test cases")
    for case in cases:
        is_left_to_us = case.get("status") == "skipped" and case.get("name", "").endswith(MAY_SKIP_CASE)
        if case.get("status") != "passed" and not is_left_to_us:
            troubles.append(f"{case.get('status')}: {case.get('name')}\n{case.findtext('system-out')}")
    return troubles


def verdict(version, status, output, folder):
    """What is wrong with one run, a list of sentences."""
    troubles = junit_troubles(os.path.join(folder, "junit.xml"))
    if status:
        troubles.append(f"the suite ended with {status}")
    groups = groups_of(output)
    if len(groups) != GROUPS[version]:
        troubles.append(f"{len(groups)} groups instead of {GROUPS[version]}")
    troubles += [f"group {name}: {result}" for name, result in groups.items() if result != "Pass"]
    for title in ("API", "Data"):
        results = results_of(output, title)
        if not results:
            troubles.append(f"no table of {title} conformance")
        for what, result in results.items():
            if result != "Pass" and what not in MAY_SKIP and not is_left_out(version, what, result):
                troubles.append(f"{title}, {what}: {result}")
    return troubles


def is_left_out(version, what, result):
    return version != "dev" and result in ("Disabled", "Unknown") and "tag param" in what.lower()


def check(program, version):
    """Run one version against a fresh server; True when nothing is wrong."""
    results = Folder("conformance")
    server = Server({}, {"hosted": {"sparse": [REPOSITORIES[0]]}})
    is_good = False
    try:
        server.start()
        began = time.monotonic()
        status, output = run_suite(program, version, server.port, results.path)
        troubles = verdict(version, status, output, results.path)
        is_good = not troubles
        if troubles:
            print(output)
        print(f"version {version}: {len(groups_of(output))} groups, {len(troubles)} troubles, "
              f"{time.monotonic() - began:.1f} s")
        print("".join(f"  {trouble}\n" for trouble in troubles), end="", flush=True)
    finally:
        server.close(not is_good)
        results.remove()
    return is_good


def main():
    network.seal()
    try:
        program = gotool("conformance")
    except unittest.SkipTest as lack:
        skips.end("conformance.oci", str(lack))
    results = [check(program, version) for version in GROUPS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

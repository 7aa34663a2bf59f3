#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All rows of bad input against a running server, each in several ways of delivery.

    run.py [--only B60] [--table framing] [--bombs 500] [--verbose]

Prints a line for every row that fails and "N rows, M deliveries, K failed"; the environment's ENTREPOT_BINARY is the
program. After rows that must close the connection a request to a canary follows: it must never be answered or logged.
"""

import argparse
import concurrent.futures
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from badinput import content, deliver, special, template, upstream  # noqa: E402
from support import network  # noqa: E402
from support.server import Server, is_sanitized  # noqa: E402

TABLES = ("request_line", "headers", "framing", "names", "uploads", "ranges", "queries")
WAYS = {"whole": deliver.pieces_whole, "bytes": deliver.pieces_bytes, "lines": deliver.pieces_lines,
        "pipelined": deliver.pieces_whole}
GAPS = {"lines": 0.001}
THREADS = 8
FIRST = b"GET /v2/ HTTP/1.1\r\nHost: registry.test\r\n\r\n"


class Bench:
    """One server and what is counted about it."""

    def __init__(self, server, options):
        self.server = server
        self.verbose = options.verbose
        self.bombs = options.bombs
        self.lock = threading.Lock()
        self.deliveries = 0
        self.failed = {}
        self.shared = content.publish(server.port)

    def fail(self, key, way, text):
        with self.lock:
            self.failed.setdefault(key, []).append(f"{way}: {text}")

    def variables(self, row, way):
        suffix = f"{row.key.lower().replace('.', '-')}-{row.table.replace('_', '-')}-{way}"
        values = dict(self.shared)
        values["repo"] = f"rows/{suffix}"
        values["canary"] = f"canary/{suffix}"
        if any("${session" in step.request or "${SESSION" in step.request for step in row.steps):
            values.update(content.begin_upload(self.server.port, values["repo"]))
        return values

    def run_row(self, row, way):
        with self.lock:
            self.deliveries += 1
        try:
            values = self.variables(row, way)
            for number, step in enumerate(row.steps, 1):
                complaint = self.run_step(row, step, way, values)
                if complaint:
                    self.fail(row.key, way, f"{row.description}: request {number}: {complaint}")
                    return
        except (OSError, deliver.Broken, AssertionError) as error:
            self.fail(row.key, way, f"{row.description}: {type(error).__name__}: {error}")

    def run_step(self, row, step, way, values):
        data = template.expand(step.request, values)
        expect = list(step.expect)
        stop = any(flag in row.flags for flag in ("fin", "stopfin")) and step is row.steps[0]
        closes = expect[-1].must_close
        tail = b""
        if not stop and step.request:
            path = f"/v2/{values['canary']}/manifests/canary" if closes else "/v2/"
            tail = f"GET {path} HTTP/1.1\r\nHost: registry.test\r\n\r\n".encode()
        if way == "pipelined":
            data = FIRST + data
            expect.insert(0, template.Expected("200"))
        connection = deliver.Connection(self.server.port)
        began = time.monotonic()
        try:
            connection.send(WAYS[way](data) + ([tail] if tail and closes else []), GAPS.get(way, 0))
            if stop or not step.request:
                connection.half_close()
            is_head = data.startswith(b"HEAD ") if way != "pipelined" else b"\r\n\r\nHEAD " in data[:60]
            complaint = judge(connection, expect, is_head, tail)
        finally:
            connection.close()
        if not complaint and "quick" in row.flags and way == "whole" and not is_sanitized():
            seconds = time.monotonic() - began
            complaint = f"{seconds * 1000:.0f} ms" if seconds > 2 else None
        return complaint


def judge(connection, expect, is_head, probe):
    """Read the answers; what is wrong, or None."""
    for number, expected in enumerate(expect):
        answer = connection.read_answer(is_head and number == len(expect) - 1)
        complaint = expected.complaint(answer)
        if complaint:
            return complaint
        if answer is None:
            return None
        if answer.headers.get("content-type") == "application/json" and answer.body:
            json.loads(answer.body)
    if expect[-1].must_close:
        if "connection" not in answer.headers:
            return f"{answer.status} without Connection: close"
        rest = connection.read_end()
        return f"something behind the answer: {rest[:60]!r}" if rest else None
    if "connection" in answer.headers and "close" in answer.headers["connection"]:
        return None if expect[-1].may_close else f"{answer.status} closes the connection"
    if not probe:
        return None
    connection.send([probe])
    again = connection.read_answer(False)
    return None if again and again.status == 200 else f"the next request got {again}"


def ways_of(row):
    ways = ["whole", "bytes", "lines", "pipelined"]
    if row.flags & {"first", "notpipelined", "fin", "stopfin"}:
        ways.remove("pipelined")
    if "big" in row.flags:
        ways = ["whole"]
    return ways


def load(options):
    rows = [row for table in TABLES for row in template.read_requests(table)]
    rows += template.read_manifests("manifests")
    if options.table:
        rows = [row for row in rows if row.table in options.table]
    if options.only:
        rows = [row for row in rows if row.key.split(".")[0] in options.only or row.key in options.only]
    return rows


def run_tables(bench, rows):
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(bench.run_row, row, way) for row in rows for way in ways_of(row)]
        for job in jobs:
            job.result()


def check_canaries(bench):
    """The control must be in the log (else nothing is proved), no canary may."""
    with special.Opened(bench.server.port) as connection:
        connection.send([b"GET /v2/control/control/manifests/canary HTTP/1.1\r\nHost: a\r\n\r\n"])
        connection.read_answer(False)
    bench.server.log.wait(lambda line: "control/control" in line.text, 10, "the control")
    sung = {line.get("repo") for line in bench.server.log.lines() if "canary/" in line.text}
    for repo in sorted(text for text in sung if text):
        bench.fail("canary", "log", f"{repo} was taken for a request")


def settings():
    return {
        "names": ["own.test"], "hosted": {"delete": True}, "storage": {"blob_max": "1MiB"},
        "limits": {"uploads": 10000, "uploads_per_repository": 100},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--table", action="append", default=[])
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--bombs", type=int, default=50, help="manifest bombs at the same time")
    options = parser.parse_args()
    network.seal()
    rows = load(options)
    began = time.monotonic()
    server = Server({}, settings()).start()
    try:
        bench = Bench(server, options)
        before = special.Usage(server)
        run_tables(bench, rows)
        count = len(rows) + (0 if options.table else special.run_all(bench, options.only))
        check_canaries(bench)
        special.check_usage(bench, before)
        special.check_numbers(bench)
        count += 0 if options.table else upstream.run_all(bench, options.only)
    finally:
        server.close(False)
    report(bench, count, time.monotonic() - began)
    return 1 if bench.failed else 0


def report(bench, count, seconds):
    for key in sorted(bench.failed, key=natural):
        texts = bench.failed[key]
        print(f"{key}  {texts[0]}" + (f"  [and {len(texts) - 1} more]" if len(texts) > 1 else ""))
        if bench.verbose:
            for text in texts[1:]:
                print(f"      {text}")
    print(f"{count} rows, {bench.deliveries} deliveries, {len(bench.failed)} failed, {seconds:.0f} s")


def natural(key):
    head, _, tail = key.partition(".")
    digits = "".join(char for char in head if char.isdigit())
    return (int(digits or 0), int(tail) if tail.isdigit() else 0, key)


if __name__ == "__main__":
    sys.exit(main())

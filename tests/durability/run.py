#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many kills and power cuts: is all that was acknowledged there? As root.

    tests/durability/run.py --kills 1000 --cuts 400 [--seed N]    cuts: half on ext4, half on XFS (xfsprogs)

The program is build/dev/entrepot, or ENTREPOT_BINARY."""

import argparse
import os
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from support.durability import Disk, Trial  # pylint: disable=wrong-import-position
from support.server import Server  # pylint: disable=wrong-import-position


def run(name, count, seed, disk, folder):
    storage = {"grace": "1s"}
    if disk:
        storage["path"] = f"{disk.path}/data"
    server = Server(settings={"storage": storage, "log": {"level": "info", "access": False}})
    if disk:
        server.data = storage["path"]
    server.start()
    trial = Trial(server, folder, seed)
    trial.begin()
    began = time.monotonic()
    try:
        for done in range(count):
            if disk:
                trial.cut(disk)
            else:
                trial.kill()
            if trial.trouble:
                break
            if done % 50 == 49:
                print(f"{name}: {done + 1} of {count}, {trial.journal.count} acknowledged", flush=True)
    finally:
        trial.end()
        server.end()
    print(f"{name}: {trial.faults} faults, {trial.journal.count} acknowledged writes, {len(trial.trouble)} lost or wrong, "
          f"{time.monotonic() - began:.0f} s", flush=True)
    for text in trial.trouble:
        print(f"    {text}")
    return not trial.trouble


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--cuts", type=int, default=0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    wish = parser.parse_args()
    if wish.cuts and "ENTREPOT_APART" not in os.environ:
        # A container engine that starts meanwhile would copy our mounts, and a file system with a copy keeps its lost power.
        os.environ["ENTREPOT_APART"] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, "-B", *sys.argv])
    print(f"seed {wish.seed}")
    folder = tempfile.mkdtemp()
    is_right = True
    try:
        if wish.kills:
            is_right = run("kills", wish.kills, wish.seed, None, folder)
        for kind in ("ext4", "xfs") if wish.cuts else ():
            disk = Disk(folder, kind)
            try:
                is_right = run(f"power cuts on {kind}", wish.cuts // 2, wish.seed, disk, folder) and is_right
            finally:
                disk.unmount()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())

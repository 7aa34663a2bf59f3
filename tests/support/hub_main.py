# SPDX-License-Identifier: Apache-2.0
"""The Hub as a process of its own, for measuring and trying by hand (from tests/: python3 -m support.hub_main).

Prints one line of JSON with its addresses, runs until its standard input ends or a signal comes. Controlled over
HTTP: GET /counts, /requests, /fault?fault={...}, /clear, /forget, /expire on the control address.
"""

import argparse
import json
import signal
import sys
import threading

from . import images, tls
from .hub import Hub
from .waiting import Folder


def _parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--plain", action="store_true", help="HTTP instead of TLS")
    parser.add_argument("--no-token", action="store_true", help="ask for no token")
    parser.add_argument("--no-redirect", action="store_true", help="send blobs from the registry's own address")
    parser.add_argument("--user", default="", metavar="NAME:PASSWORD")
    parser.add_argument("--pull-limit", type=int, default=None)
    parser.add_argument("--hello", action="append", default=[], metavar="NAME:TAG", help="an image that runs")
    parser.add_argument("--image", action="append", default=[], metavar="NAME:TAG=SIZE[,SIZE...]",
                        help="an image with layers of so many random bytes")
    parser.add_argument("--rate", type=float, default=None, help="bytes a second of every blob")
    return parser.parse_args()


def main():
    options = _parse()
    folder = Folder("hub")
    users = dict([options.user.split(":", 1)]) if options.user else {}
    hub = Hub(None if options.plain else tls.Authority(folder.path), users, not options.no_token,
              not options.no_redirect, pull_limit=options.pull_limit).start()
    published = {}
    for text in options.hello:
        name, _, tag = text.partition(":")
        published[text] = hub.publish(name, tag, images.hello_image(text))
    for number, text in enumerate(options.image):
        reference, _, sizes = text.partition("=")
        name, _, tag = reference.partition(":")
        layers = [images.random_bytes(int(size), (number, index).__hash__())
                  for index, size in enumerate(sizes.split(","))]
        published[reference] = hub.publish(name, tag, images.make_image(layers))
    if options.rate:
        hub.fault(kind="cdn", rate=options.rate)
    print(json.dumps({
        "url": hub.url, "cdn": hub.cdn_url, "token": hub.token_url, "control": hub.control_url, "ca_file": hub.ca_file,
        "images": {key: {"digest": image.digest, "layers": image.layers} for key, image in published.items()},
    }), flush=True)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
    done.wait()
    hub.stop()
    folder.remove()


if __name__ == "__main__":
    main()

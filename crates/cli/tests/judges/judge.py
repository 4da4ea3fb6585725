"""What the judges share: named parts, being refused, and the world's control address.

`SCRIPT.py PART…` tries these parts, each of which stands by itself; without a name, all of them.
"""

import json
import os
import sys
import urllib.request

CONTROL = os.environ["BOUQUET_GREENHOUSE"] + "/_greenhouse"


def run(who, parts, **others):
    """Runs the parts named on the command line, or all; `others` run only when they are named, as `NAME=ARGUMENT`."""
    for word in sys.argv[1:] or parts:
        name, _, argument = word.partition("=")
        if name in parts:
            parts[name]()
        else:
            others[name](argument)
    print(f"{who} is content")


def control(method, path, body=None):
    """Asks the control address."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{CONTROL}/{path}", data=data, method=method)) as response:
        return json.load(response)


class fault:
    """A fault rule for the length of a `with`."""

    def __init__(self, rule):
        self.rule = rule

    def __enter__(self):
        self.id = control("POST", "faults", {"rule": self.rule})["id"]

    def __exit__(self, *_):
        control("DELETE", f"faults/{self.id}")


def calls(vendor, method, path):
    """Statuses of the calls of this method and path so far."""
    journal = control("GET", "requests")
    return [call["status"] for call in journal if (call["to"], call["method"], call["path"]) == (vendor, method, path)]


def same(got, wanted, what=""):
    assert got == wanted, f"{what}: {got!r} instead of {wanted!r}"

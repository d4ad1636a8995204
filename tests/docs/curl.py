"""As much of curl as the pages use, for machines without it: curl [-s] [-f] [-i] [-N] [-d BODY] URL."""

from __future__ import annotations

import argparse
import sys

import httpx

parser = argparse.ArgumentParser()
parser.add_argument("-s", action="store_true")
parser.add_argument("-f", action="store_true")
parser.add_argument("-i", action="store_true")
parser.add_argument("-N", action="store_true")
parser.add_argument("-d")
parser.add_argument("-o")
parser.add_argument("url")
asked = parser.parse_args()
url = asked.url if "://" in asked.url else f"http://{asked.url}"
try:
    reply = httpx.request("POST" if asked.d else "GET", url, content=asked.d, timeout=30, trust_env=False)
except httpx.TransportError:
    sys.exit(7)
if asked.f and reply.status_code >= 400:
    sys.exit(22)
if asked.o is None:
    if asked.i:
        head = [f"HTTP/1.1 {reply.status_code} {reply.reason_phrase}", *(f"{k}: {v}" for k, v in reply.headers.items())]
        sys.stdout.write("\r\n".join([*head, "", ""]))
    sys.stdout.write(reply.text)

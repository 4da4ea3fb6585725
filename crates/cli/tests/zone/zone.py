"""Cloudflare's own client in a zone that a cluster has too: `plant` makes what belongs to others, `list` prints all."""

import json
import os
import sys

import cloudflare

api = cloudflare.Cloudflare(api_token=os.environ["CLOUDFLARE_API_TOKEN"])
zone = next(iter(api.zones.list()))
HERITAGE = '"heritage=external-dns,external-dns/owner=default,external-dns/resource=ingress/shop/shop"'
OTHERS = [
    {"type": "A", "name": f"mail.{zone.name}", "content": "203.0.113.5", "ttl": 300},
    {"type": "A", "name": f"shop.{zone.name}", "content": "203.0.113.6", "ttl": 300},
    {"type": "TXT", "name": f"a-shop.{zone.name}", "content": HERITAGE, "ttl": 300},
    {"type": "A", "name": f"lb.other.{zone.name}", "content": "203.0.113.7", "ttl": 60, "comment": "bouquet/other/lily"},
]

if sys.argv[1] == "plant":
    for record in OTHERS:
        api.dns.records.create(zone_id=zone.id, **record)
records = api.dns.records.list(zone_id=zone.id)
seen = [[record.name, record.type, record.content, record.comment or ""] for record in records]
print(json.dumps(sorted(seen)))

"""Cloudflare's own client: zones, records of every kind that bouquet writes, filters, pages, batches, refusals, and how the
client itself goes on. (Not `cloudflare.py`: that is the client's own name.)
"""

import os
from itertools import islice

import cloudflare

from judge import calls, fault, run, same

# The world's zone has some records already; a list is never this long.
MANY = 150


def client(token, **options):
    return cloudflare.Cloudflare(api_token=token, **options)


API = client(os.environ["CLOUDFLARE_API_TOKEN"])
OTHER = client(os.environ["CLOUDFLARE_API_TOKEN_OTHER"])
RECORDS = API.dns.records
ZONE = next(iter(API.zones.list()))
NAME = ZONE.name


def codes(error):
    """Codes of a refusal and of what is chained to them."""
    found = []
    for one in error.body["errors"]:
        found += [one["code"], *(chained["code"] for chained in one.get("error_chain", []))]
    return found


# What the API answers though its types do not know it.
UNDOCUMENTED = {"Zone": {"vanity_name_servers_ips"}, "Zone.owner": {"email"}}


def whole(model):
    """A model has all that the vendor's own types require, and nothing that they do not know."""
    type(model).model_validate(model.to_dict())
    known(model, type(model).__name__)
    return model


def known(model, at):
    unknown = model.model_extra.keys() - UNDOCUMENTED.get(at, set())
    assert not unknown, f"{at} has no {sorted(unknown)}"
    for name in type(model).model_fields:
        value = getattr(model, name)
        if hasattr(value, "model_extra"):
            known(value, f"{at}.{name}")


def refused(status, code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except cloudflare.APIStatusError as error:
        assert error.status_code == status and code in codes(error), (error.status_code, error.body, (status, code))
        same((error.body["success"], error.body["result"]), (False, None))
        return
    raise AssertionError(f"{call.__name__} was not refused with {status} {code}")


def listed(**filters):
    """All records, each once; the client asks until a page is empty."""
    found = [whole(record) for record in islice(RECORDS.list(zone_id=ZONE.id, **filters), MANY)]
    assert len(found) < MANY, "pages come to an end"
    same(len(found), len({record.id for record in found}), "no record twice")
    return found


def make(name, content, kind="A", **more):
    return whole(RECORDS.create(zone_id=ZONE.id, name=name, content=content, type=kind, **({"ttl": 60} | more)))


def delete(*records):
    for record in records:
        same(RECORDS.delete(record.id, zone_id=ZONE.id).id, record.id)


def tokens():
    refused(403, 9109, lambda: client("x" * 40).zones.list())
    refused(400, 6003, lambda: client("short").zones.list())
    same(whole(API.user.tokens.verify()).status, "active")
    refused(401, 1000, client("x" * 40).user.tokens.verify)
    refused(403, 10_000, lambda: OTHER.dns.records.list(zone_id=ZONE.id))
    refused(403, 10_000, OTHER.zones.get, zone_id=ZONE.id)
    refused(403, 10_000, OTHER.dns.records.create, zone_id=ZONE.id, name="x", type="A", content="192.0.2.1", ttl=60)


def zones():
    same([zone.name for zone in API.zones.list(name=NAME)], [NAME])
    same([zone.name for zone in API.zones.list(name="example.invalid")], [])
    found = whole(API.zones.get(zone_id=ZONE.id))
    same((found.name, found.status, found.paused, found.type), (NAME, "active", False, "full"))
    assert len(found.name_servers) == 2 and found.account.id
    elsewhere = next(iter(OTHER.zones.list()))
    assert elsewhere.name != NAME
    refused(403, 10_000, API.zones.get, zone_id=elsewhere.id)
    refused(404, 7003, API.zones.get, zone_id="no-zone")
    with fault(f"cloudflare zone-hidden for {NAME}"):
        same(list(API.zones.list(name=NAME)), [])
        refused(403, 10_000, API.zones.get, zone_id=ZONE.id)
    ranges = whole(API.ips.list())
    assert ranges.ipv4_cidrs and ranges.ipv6_cidrs and ranges.etag


def records():
    made = [
        make("judge", "192.0.2.1", comment="bouquet/judge/rose"),
        make("Judge", "2001:DB8:0:0::1", "AAAA"),
        make(f"web.{NAME}", f"Judge.{NAME}.", "CNAME", ttl=1),
        make("_acme-challenge.judge", '"a token"', "TXT", ttl=120),
        make("*.judge", "192.0.2.2"),
        make("judge", "mail.example.org", "MX", priority=5),
        RECORDS.create(
            zone_id=ZONE.id, name="judge", type="CAA", ttl=300, data={"flags": 0, "tag": "issue", "value": "letsencrypt.org"}
        ),
        make("seen", "192.0.2.3", proxied=True),
    ]
    wanted = [
        ("A", "judge", "192.0.2.1", 60), ("AAAA", "judge", "2001:db8::1", 60), ("CNAME", "web", f"judge.{NAME}", 1),
        ("TXT", "_acme-challenge.judge", '"a token"', 120), ("A", "*.judge", "192.0.2.2", 60),
        ("MX", "judge", "mail.example.org", 60), ("CAA", "judge", '0 issue "letsencrypt.org"', 300),
        ("A", "seen", "192.0.2.3", 1),
    ]
    for record, (kind, name, content, ttl) in zip(made, wanted, strict=True):
        shown = RECORDS.get(record.id, zone_id=ZONE.id)
        same((shown.type, shown.name, shown.content, shown.ttl), (kind, f"{name}.{NAME}", content, ttl))
        same(shown.to_dict(), record.to_dict(), "a record is shown as it was made")
        same(shown.proxiable, kind in ("A", "AAAA", "CNAME"))
        assert shown.created_on and shown.modified_on
    same((made[0].comment, made[0].comment_modified_on is None, made[5].priority), ("bouquet/judge/rose", False, 5))
    same((made[1].comment, made[1].tags, made[7].proxied), (None, [], True))
    delete(*made)
    for record in made[:2]:
        refused(404, 81_044, RECORDS.delete, record.id, zone_id=ZONE.id)
        refused(404, 81_044, RECORDS.get, record.id, zone_id=ZONE.id)


def changes():
    record = make("judge", "192.0.2.1", comment="bouquet/judge/rose")
    at = {"dns_record_id": record.id, "zone_id": ZONE.id}
    moved = RECORDS.edit(**at, name=record.name, type="A", ttl=60, content="192.0.2.9")
    same((moved.id, moved.content, moved.comment), (record.id, "192.0.2.9", "bouquet/judge/rose"), "a PATCH keeps the rest")
    same(moved.created_on, record.created_on)
    anew = RECORDS.update(**at, name="judge", type="A", ttl=120, content="192.0.2.9")
    same((anew.id, anew.ttl, anew.comment), (record.id, 120, None), "a PUT does not")
    refused(404, 81_044, RECORDS.edit, **(at | {"dns_record_id": "0" * 32}), name="x", type="A", ttl=60)
    delete(record)


def invalid():
    there = [make("judge", "192.0.2.1"), make("alias", f"judge.{NAME}", "CNAME")]
    for status, code, order in (
        (400, 81_058, {"name": "judge", "content": "192.0.2.1", "ttl": 300}),
        (400, 81_053, {"name": "judge", "content": "example.org", "kind": "CNAME"}),
        (400, 81_054, {"name": "alias", "content": "192.0.2.1"}),
        (400, 81_053, {"name": "alias", "content": "example.org", "kind": "CNAME"}),
        (400, 9005, {"name": "other", "content": "192.0.2.256"}),
        (400, 9006, {"name": "other", "content": "192.0.2.1", "kind": "AAAA"}),
        (400, 9007, {"name": "other", "content": "no host", "kind": "CNAME"}),
        (400, 9021, {"name": "other", "content": "192.0.2.1", "ttl": 59}),
        (400, 9021, {"name": "other", "content": "192.0.2.1", "ttl": 86_401}),
        (400, 9000, {"name": "an..other", "content": "192.0.2.1"}),
        (400, 9004, {"name": "other", "content": "192.0.2.1", "kind": "WEB"}),
        (400, 9313, {"name": "other", "content": "192.0.2.1", "comment": "x" * 101}),
        (400, 9300, {"name": "other", "content": "192.0.2.1", "tags": ["owner:judge"]}),
        (400, 9003, {"name": "other", "content": "10.0.0.1", "proxied": True}),
        (400, 9041, {"name": "other", "content": '"x"', "kind": "TXT", "proxied": True}),
    ):
        refused(status, code, make, **order)
    longest = make("other", "192.0.2.1", comment="ü" * 100)
    same(len(longest.comment), 100, "characters, not bytes")
    refused(404, 7003, RECORDS.get, "no-id", zone_id=ZONE.id)
    delete(*there, longest)


def lists():
    made = [make("pool", f"192.0.2.{at}", comment=f"bouquet/judge/n{at}") for at in range(1, 8)]
    made += [make("pool2", "192.0.2.1"), make("pool", "2001:db8::1", "AAAA")]
    pool = f"pool.{NAME}"
    same({record.content for record in listed(name={"exact": pool}, type="A")}, {f"192.0.2.{at}" for at in range(1, 8)})
    same(len(listed(name={"exact": pool.upper()})), 8, "names know no case")
    same((len(listed(name={"startswith": "pool"})), listed(name={"exact": "pool"})), (9, []))
    same(len(listed(content={"exact": "192.0.2.1"})), 2)
    same([record.content for record in listed(comment={"exact": "bouquet/judge/n3"})], ["192.0.2.3"])
    same(len(listed(comment={"startswith": "bouquet/judge/"})), 7)
    same(len(listed(comment={"startswith": "bouquet/judge/"}, content={"exact": "2001:db8::1"}, match="any")), 8)
    same(len(listed(comment={"absent": "true"}, name={"startswith": "pool"})), 2)
    ordered = [record.content for record in listed(name={"exact": pool}, type="A", order="content", direction="desc")]
    same(ordered, sorted(ordered, reverse=True))
    everything = {record.id for record in listed()}
    assert {record.id for record in made} < everything
    for size in (2, 5):
        same({record.id for record in listed(per_page=size)}, everything, f"{size} a page")
    page = RECORDS.list(zone_id=ZONE.id, per_page=5, page=2)
    same((page.result_info.page, page.result_info.per_page, len(page.result)), (2, 5, 5))
    same(page.result_info.to_dict()["total_count"], len(everything))
    delete(*made)


def batches():
    old, stays = make("judge", "192.0.2.1"), make("judge", "192.0.2.2", comment="kept")
    done = RECORDS.batch(
        zone_id=ZONE.id,
        deletes=[{"id": old.id}],
        patches=[{"id": stays.id, "ttl": 120}],
        posts=[{"name": "judge", "type": "A", "content": "192.0.2.1", "ttl": 60, "comment": "new"}],
    )
    same([record.id for record in done.deletes], [old.id])
    same([(record.ttl, record.comment) for record in done.patches], [(120, "kept")])
    new = done.posts[0]
    assert new.id != old.id
    at_first = {record.id: record.to_dict() for record in listed()}
    bad = {"name": "judge", "type": "A", "content": "nowhere", "ttl": 60}
    good = {"name": "fine", "type": "A", "content": "192.0.2.5", "ttl": 60}
    refused(400, 9005, RECORDS.batch, zone_id=ZONE.id, deletes=[{"id": new.id}], posts=[good, bad])
    refused(404, 81_044, RECORDS.batch, zone_id=ZONE.id, deletes=[{"id": old.id}], posts=[good])
    refused(400, 81_058, RECORDS.batch, zone_id=ZONE.id, posts=[good, good])
    refused(400, 9207, RECORDS.batch, zone_id=ZONE.id, posts=[good | {"name": f"n{at}"} for at in range(201)])
    same({record.id: record.to_dict() for record in listed()}, at_first, "a batch is all or nothing")
    RECORDS.batch(zone_id=ZONE.id, deletes=[{"id": new.id}, {"id": stays.id}])
    same([record.id for record in listed(name={"exact": f"judge.{NAME}"})], [])


def patience():
    """What the client repeats by itself: 429 and whatever is the server's own fault."""
    path = f"/client/v4/zones/{ZONE.id}"
    for status in (429, 503, 500):
        with fault(f"cloudflare status={status} on GET {path} times 1"):
            before = len(calls("cloudflare", "GET", path))
            same(API.zones.get(zone_id=ZONE.id).id, ZONE.id)
            same(calls("cloudflare", "GET", path)[before:], [status, 200])
    with fault(f"cloudflare status=403 on GET {path} times 1"):
        refused(403, 10_000, API.zones.get, zone_id=ZONE.id)


PARTS = {
    part.__name__: part for part in (tokens, zones, records, changes, invalid, lists, batches, patience)
}

if __name__ == "__main__":
    run("cloudflare", PARTS)

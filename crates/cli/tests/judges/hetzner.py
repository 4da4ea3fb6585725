"""Hetzner's own client: every call that bouquet makes, every way in which it is refused, and how the client itself
goes on; and it lists and deletes what apply made for a cluster (`sweep=CLUSTER`).

With `JUDGE_ANSWERS` set, every answer is noted in that file for whoever knows the shapes.
"""

import json
import os

from hcloud import APIException, Client
from hcloud.actions.domain import ActionFailedException
from hcloud.firewalls import FirewallResource, FirewallRule
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType
from hcloud.servers import ServerCreatePublicNetwork

from judge import calls, fault, run, same

KEYS = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChAHSR2k1ZJ5KcQdBDCcb2CdS2kTJ8sQ4PhvQ4a" + letter for letter in "HIJKLMN"
]
LABELS = {"judge": "hcloud"}
ANSWERS = os.environ.get("JUDGE_ANSWERS")


def client(token):
    api = Client(token=token, api_endpoint=os.environ["HCLOUD_ENDPOINT"], poll_interval=0.05, poll_max_retries=400)
    if ANSWERS:
        api._client._session.hooks["response"].append(note)
    return api


def note(response, *_, **__):
    body = response.json() if response.content else None
    path = response.request.path_url.partition("?")[0].removeprefix("/v1")
    with open(ANSWERS, "a") as file:
        said = {"method": response.request.method, "path": path, "status": response.status_code, "body": body}
        file.write(json.dumps(said) + "\n")


API = client(os.environ["HCLOUD_TOKEN"])


def refused(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except APIException as error:
        same(error.code, code, call.__name__)
        assert error.message, "a refusal says what it is about"
        return error
    raise AssertionError(f"{call.__name__} was not refused with {code}")


def paged(resource, per_page=1, **filters):
    """Everything, page by page; the same as all at once, and nothing twice."""
    found, page = [], 1
    while page is not None:
        items, meta = resource.get_list(page=page, per_page=per_page, **filters)
        same((meta.pagination.page, meta.pagination.per_page), (page, per_page))
        assert len(items) <= per_page
        found += items
        page = meta.pagination.next_page
    same([item.id for item in found], [item.id for item in resource.get_all(**filters)], "pages and all at once")
    same(len(found), meta.pagination.total_entries, "total_entries")
    same(len(found), len({item.id for item in found}), "nothing stands on two pages")
    return found


def debian():
    return API.images.get_by_name_and_architecture("debian-12", "arm")


def wanted(name, **more):
    order = {
        "name": name, "server_type": ServerType(name="cax11"), "image": debian(), "location": Location(name="hel1"),
        "labels": LABELS, "user_data": "#cloud-config\n", "start_after_create": False,
    }
    return order | more


def machine(name, **more):
    made = API.servers.create(**wanted(name, **more))
    made.action.wait_until_finished()
    for action in made.next_actions:
        action.wait_until_finished()
    return API.servers.get_by_id(made.server.id)


def gone(server):
    action = API.servers.delete(server)
    same(action.command, "delete_server")
    action.wait_until_finished()
    refused("not_found", API.servers.get_by_id, server.id)
    refused("not_found", API.servers.delete, server)


def tokens():
    assert refused("unauthorized", client("x" * 64).servers.get_all).correlation_id
    refused("unauthorized", client("").servers.get_all)
    reader = client(os.environ["HCLOUD_TOKEN_READONLY"])
    reader.servers.get_all()
    refused("token_readonly", reader.ssh_keys.create, "judge", KEYS[0])


def catalogue():
    types = {server_type.name: server_type for server_type in API.server_types.get_all()}
    assert {"cax11", "cax21"} <= types.keys(), sorted(types)
    cax11 = types["cax11"]
    same((cax11.architecture, cax11.cores, cax11.memory, cax11.disk), ("arm", 2, 4, 40))
    assert any(price["location"] == "hel1" and float(price["price_monthly"]["net"]) > 0 for price in cax11.prices)
    assert {at.location.name for at in cax11.locations} >= {"fsn1", "nbg1", "hel1"}, cax11.locations
    same(API.server_types.get_by_name("cax21").id, types["cax21"].id)
    same(API.server_types.get_by_id(cax11.id).name, "cax11")
    refused("not_found", API.server_types.get_by_id, 1)
    locations = {location.name: location for location in API.locations.get_all()}
    same(locations["hel1"].network_zone, "eu-central")
    same(API.locations.get_by_id(locations["hel1"].id).name, "hel1")
    system = paged(API.images, type="system", architecture="arm", status="available")
    assert system and {image.architecture for image in system} == {"arm"}
    same(API.images.get_by_id(debian().id).name, "debian-12")
    same([API.isos.get_by_name("nothing"), API.volumes.get_all(), API.networks.get_all()], [None, [], []])
    same(API.load_balancers.get_all(), [])
    pricing = API.request("GET", "/pricing")["pricing"]
    of_type = next(entry for entry in pricing["server_types"] if entry["name"] == "cax11")
    same(of_type["prices"], cax11.prices, "the price list and the catalogue agree")
    addresses = {entry["type"]: entry["prices"][0]["price_monthly"]["net"] for entry in pricing["primary_ips"]}
    assert float(addresses["ipv4"]) > float(addresses["ipv6"]) == 0
    refused("deprecated_api_endpoint", API.request, "GET", "/datacenters")
    refused("not_found", API.request, "GET", "/gardens")
    with fault("hetzner sold-out for cax21"):
        offered = {at.location.name: at.available for at in API.server_types.get_by_name("cax21").locations}
        same(set(offered.values()), {False})


def keys():
    made = [API.ssh_keys.create(f"judge-{at}", key, LABELS | {"at": str(at)}) for at, key in enumerate(KEYS)]
    same(API.ssh_keys.get_by_fingerprint(made[3].fingerprint).id, made[3].id)
    same(API.ssh_keys.get_by_name("judge-2").id, made[2].id)
    error = refused("uniqueness_error", API.ssh_keys.create, "judge-0", KEYS[0])
    same(error.details["fields"][0]["name"], "name")
    refused("uniqueness_error", API.ssh_keys.create, "another", KEYS[0])
    refused("invalid_input", API.ssh_keys.create, "broken", "ssh-ed25519 AAAA")
    same(API.ssh_keys.update(made[0], name="renamed", labels={"at": "x"}).labels, {"at": "x"})
    same(API.ssh_keys.get_by_id(made[0].id).name, "renamed")
    for key in made:
        API.ssh_keys.delete(key)
    refused("not_found", API.ssh_keys.delete, made[0])
    refused("not_found", API.ssh_keys.get_by_id, made[0].id)


def lists():
    """Pages, selectors, sorting."""
    made = [
        API.ssh_keys.create(f"judge-{at}", key, {"at": str(at), "odd" if at % 2 else "even": "", "a.example/b": "c"})
        for at, key in enumerate(KEYS)
    ]
    same([key.name for key in paged(API.ssh_keys, per_page=3)], [key.name for key in made])
    chosen = {
        "odd": "135", "!odd": "0246", "at=3": "3", "at==3": "3", "at!=3,odd": "15", "at in (1,2)": "12",
        "at notin (1, 2),a.example/b=c": "03456", "even,at in (1,2)": "2", "a.example/b=d": "", "odd,even": "",
    }
    for selector, numbers in chosen.items():
        found = paged(API.ssh_keys, per_page=2, label_selector=selector)
        same("".join(key.labels["at"] for key in found), numbers, selector)
    refused("invalid_input", API.ssh_keys.get_list, label_selector="at in 3")
    beyond, meta = API.ssh_keys.get_list(page=9, per_page=5)
    same((beyond, meta.pagination.last_page, meta.pagination.next_page), ([], 2, None))
    ordered = API.request("GET", "/ssh_keys", params={"sort": "name:desc"})["ssh_keys"]
    same([key["name"] for key in ordered], sorted((key.name for key in made), reverse=True), "sort=name:desc")
    for key in made:
        API.ssh_keys.delete(key)


def firewalls():
    web = FirewallRule(direction="in", protocol="tcp", port="443", source_ips=["0.0.0.0/0", "::/0"], description="web")
    mesh = FirewallRule(direction="in", protocol="udp", port="41641", source_ips=["0.0.0.0/0"])
    made = API.firewalls.create("judge", rules=[web], labels=LABELS)
    same({action.command for action in made.actions}, {"set_firewall_rules"})
    firewall = made.firewall
    refused("uniqueness_error", API.firewalls.create, "judge")
    for wrong in (
        FirewallRule(direction="in", protocol="tcp", source_ips=["0.0.0.0/0"]),
        FirewallRule(direction="in", protocol="icmp", port="1", source_ips=["0.0.0.0/0"]),
        FirewallRule(direction="in", protocol="tcp", port="80", source_ips=["nowhere"]),
        FirewallRule(direction="in", protocol="tcp", port="80", source_ips=[]),
        FirewallRule(direction="in", protocol="sctp", port="80", source_ips=["0.0.0.0/0"]),
    ):
        refused("invalid_input", API.firewalls.set_rules, firewall, [wrong])
    API.firewalls.set_rules(firewall, [web, mesh])
    same([rule.port for rule in API.firewalls.get_by_name("judge").rules], ["443", "41641"])
    server = machine("judge-wall", firewalls=[firewall])
    same([(bound.firewall.id, bound.status) for bound in server.public_net.firewalls], [(firewall.id, "applied")])
    resource = FirewallResource(type="server", server=server)
    same([one.server.id for one in API.firewalls.get_by_id(firewall.id).applied_to], [server.id])
    refused("resource_in_use", API.firewalls.delete, firewall)
    refused("firewall_already_applied", API.firewalls.apply_to_resources, firewall, [resource])
    API.firewalls.remove_from_resources(firewall, [resource])
    same(API.firewalls.get_by_id(firewall.id).applied_to, [])
    API.firewalls.apply_to_resources(firewall, [resource])
    same(API.firewalls.update(firewall, name="walls", labels={}).name, "walls")
    assert len(API.firewalls.get_actions(firewall)) >= 4
    gone(server)
    API.firewalls.delete(firewall)
    refused("not_found", API.firewalls.get_by_id, firewall.id)


def servers():
    key = API.ssh_keys.create("judge", KEYS[0], LABELS)
    made = API.servers.create(
        **wanted("judge", ssh_keys=[key], public_net=ServerCreatePublicNetwork(enable_ipv4=True, enable_ipv6=True))
    )
    same((made.root_password, made.next_actions, made.action.command), (None, [], "create_server"))
    made.action.wait_until_finished()
    server = API.servers.get_by_name("judge")
    same((server.id, server.status, server.labels, server.locked), (made.server.id, "off", LABELS, False))
    same((server.server_type.name, server.location.name, server.image.id), ("cax11", "hel1", debian().id))
    assert server.public_net.ipv4.ip and server.public_net.ipv6.ip.endswith("/64")
    same(server.public_net.floating_ips, [])
    own = [address for address in API.primary_ips.get_all() if address.assignee_id == server.id]
    same({address.type: address.ip for address in own}, {"ipv4": server.public_net.ipv4.ip, "ipv6": server.public_net.ipv6.ip})
    power(server)
    same(API.servers.update(server, labels={"more": ""}).labels, {"more": ""})
    same([one.id for one in paged(API.servers, label_selector="more")], [server.id])
    ids = [made.action.id, API.servers.get_actions(server)[-1].id]
    several = API.request("GET", "/actions", params={"id": ids, "sort": ["status", "id:desc"]})["actions"]
    same([(action["id"], action["status"]) for action in several], [(at, "success") for at in reversed(ids)])
    refused("deprecated_api_endpoint", API.request, "GET", "/actions")
    same(len(API.servers.get_actions(server, status=["error"])), 0)
    gone(server)
    alone = API.servers.create(**wanted("judge", public_net=ServerCreatePublicNetwork(enable_ipv4=False)))
    alone.action.wait_until_finished()
    assert alone.root_password and API.servers.get_by_id(alone.server.id).public_net.ipv4 is None
    gone(alone.server)
    API.ssh_keys.delete(key)


def power(server):
    for act, status in (
        (API.servers.power_on, "running"), (API.servers.reboot, "running"), (API.servers.reset, "running"),
        (API.servers.shutdown, "off"), (API.servers.power_on, "running"), (API.servers.power_off, "off"),
    ):
        act(server).wait_until_finished()
        same(API.servers.get_by_id(server.id).status, status, act.__name__)
    API.servers.change_type(server, ServerType(name="cax21"), upgrade_disk=False).wait_until_finished()
    same(API.servers.get_by_id(server.id).server_type.name, "cax21")


def orders():
    """Orders that are refused, each for its own reason."""
    server = machine("judge")
    error = refused("uniqueness_error", API.servers.create, **wanted("judge"))
    same(error.details["fields"][0]["name"], "name")
    x86 = API.images.get_by_name_and_architecture("debian-12", "x86")
    for field, wrong in (
        ("user_data", {"user_data": "x" * 32_769}),
        ("server_type", {"server_type": ServerType(name="cax99")}),
        ("location", {"location": Location(name="mars")}),
        ("image", {"image": Image(id=1)}),
        (None, {"image": x86}),
        (None, {"location": Location(name="ash")}),
        ("labels", {"labels": {"-": "x"}}),
    ):
        error = refused("invalid_input", API.servers.create, **wanted("other", **wrong))
        if field:
            same(error.details["fields"][0]["name"], field)
    refused("invalid_input", API.servers.create, **wanted("no host name"))
    same(API.servers.get_by_name("other"), None, "nothing was made")
    gone(machine("other", user_data="x" * 32_768))
    gone(server)


def snapshots():
    server = machine("judge")
    taken = API.servers.create_image(server, type="snapshot", description="judge", labels=LABELS)
    same((taken.image.status, taken.action.command), ("creating", "create_image"))
    taken.action.wait_until_finished()
    image = API.images.get_by_id(taken.image.id)
    same((image.type, image.status, image.architecture, image.labels), ("snapshot", "available", "arm", LABELS))
    same((image.created_from.id, image.description, image.name), (server.id, "judge", None))
    assert image.image_size > 0 and image.disk_size == 40
    same([one.id for one in paged(API.images, type="snapshot", label_selector="judge=hcloud")], [image.id])
    same(API.images.update(image, description="other", labels={}).description, "other")
    copy = machine("copy", image=image)
    same(copy.image.id, image.id)
    gone(copy)
    gone(server)
    API.images.delete(image)
    refused("not_found", API.images.get_by_id, image.id)
    refused("protected", API.images.delete, debian())


def rescue():
    key = API.ssh_keys.create("judge", KEYS[0])
    server = machine("judge")
    armed = API.servers.enable_rescue(server, type="linux64", ssh_keys=[key.id])
    assert armed.root_password, "the password is said once"
    armed.action.wait_until_finished()
    assert API.servers.get_by_id(server.id).rescue_enabled
    API.servers.disable_rescue(server).wait_until_finished()
    assert not API.servers.get_by_id(server.id).rescue_enabled
    API.servers.enable_rescue(server, ssh_keys=[key.id]).action.wait_until_finished()
    API.servers.power_on(server).wait_until_finished()
    assert not API.servers.get_by_id(server.id).rescue_enabled, "it is for one boot"
    refused("invalid_input", API.servers.enable_rescue, server, type="freebsd64")
    refused("invalid_input", API.servers.enable_rescue, server, ssh_keys=[1])
    gone(server)
    API.ssh_keys.delete(key)


def failures():
    """Actions that end in an error, stock, quotas, locks."""
    with fault("hetzner action-error for judge"):
        made = API.servers.create(**wanted("judge"))
        try:
            made.action.wait_until_finished()
        except ActionFailedException as error:
            same((error.action.status, error.action.error["code"]), ("error", "unknown_error"))
        else:
            raise AssertionError("the action did not fail")
    server = API.servers.get_by_name("judge")
    same(server.status, "off", "the server is there all the same")
    with fault("hetzner locked for judge times 1"):
        refused("locked", API.servers.power_on, server)
    path = f"/v1/servers/{server.id}/actions/poweron"
    same(calls("hetzner", "POST", path), [423], "the client does not repeat what is locked")
    API.servers.power_on(server).wait_until_finished()
    gone(server)
    for rule, code, status in (
        ("no-capacity for cax11", "resource_unavailable", 412), ("location-disabled for hel1", "resource_unavailable", 412),
        ("quota", "resource_limit_exceeded", 403),
    ):
        with fault(f"hetzner {rule}"):
            before = len(calls("hetzner", "POST", "/v1/servers"))
            refused(code, API.servers.create, **wanted("judge"))
            same(calls("hetzner", "POST", "/v1/servers")[before:], [status], "not repeated")


def patience():
    """What the client repeats by itself: 429, 409 and 502, each after a second or two."""
    for status in (429, 409, 502):
        with fault(f"hetzner status={status} on GET /v1/locations times 1"):
            before = len(calls("hetzner", "GET", "/v1/locations"))
            assert API.locations.get_all()
            same(calls("hetzner", "GET", "/v1/locations")[before:], [status, 200])
    with fault("hetzner status=503 on GET /v1/locations times 1"):
        refused("unavailable", API.locations.get_all)


def sweep(cluster):
    """Lists what apply made, and deletes it."""
    ours = f"bouquet.dev/cluster={cluster}"
    servers = paged(API.servers, label_selector=ours)
    assert len(servers) < len(API.servers.get_all()), "the decoy is there and is not ours"
    for server in servers:
        found = API.servers.get_by_name(server.name)
        same((found.id, found.status), (server.id, "running"))
        same([bound.status for bound in found.public_net.firewalls], ["applied"])
        same((found.image.type, found.server_type.architecture), ("snapshot", "arm"))
        same({action.status for action in API.servers.get_actions(found)}, {"success"})
    firewalls = paged(API.firewalls, label_selector=ours)
    for firewall in firewalls:
        applied = {resource.server.id for resource in firewall.applied_to if resource.type == "server"}
        same(applied, {server.id for server in servers})
        refused("resource_in_use", API.firewalls.delete, firewall)
    images = paged(API.images, type="snapshot", label_selector=ours)
    same([(image.architecture, image.status) for image in images], [("arm", "available")])
    same(paged(API.ssh_keys, label_selector=ours), [], "the key of the image's making is gone")
    for server in servers:
        gone(server)
    for resource, items in ((API.firewalls, firewalls), (API.images, images)):
        for item in items:
            resource.delete(item)
            refused("not_found", resource.get_by_id, item.id)
    for resource in (API.servers, API.firewalls, API.images, API.ssh_keys):
        same(resource.get_all(label_selector=ours), [])


PARTS = {
    part.__name__: part
    for part in (
        tokens, catalogue, keys, lists, firewalls, servers, orders, snapshots, rescue, failures, patience,
    )
}

if __name__ == "__main__":
    run("hcloud", PARTS, sweep=sweep)

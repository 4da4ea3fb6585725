"""Hetzner's own client: lists and deletes what apply made for a cluster, and tries every call that bouquet makes."""

import os
import sys

from hcloud import APIException, Client
from hcloud.firewalls import FirewallRule
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType
from hcloud.servers import ServerCreatePublicNetwork

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChAHSR2k1ZJ5KcQdBDCcb2CdS2kTJ8sQ4PhvQ4aH judge"
OURS = "bouquet.dev/cluster={}"


def client(token):
    return Client(token=token, api_endpoint=os.environ["HCLOUD_ENDPOINT"], poll_interval=0.05)


def refused(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except APIException as error:
        assert error.code == code, f"{call.__name__}: {error.code} instead of {code}: {error.message}"
        return
    raise AssertionError(f"{call.__name__} was not refused with {code}")


def paged(resource, **filters):
    """Everything, one item a page; the same as all at once."""
    found, page = [], 1
    while page is not None:
        result = resource.get_list(page=page, per_page=1, **filters)
        found += result[0]
        page = result[1].pagination.next_page
    assert sorted(item.id for item in found) == sorted(item.id for item in resource.get_all(**filters))
    return found


def catalogue(api):
    types = {server_type.name: server_type for server_type in api.server_types.get_all()}
    assert {"cax11", "cax21"} <= types.keys(), sorted(types)
    assert types["cax11"].architecture == "arm"
    assert any(price["location"] == "hel1" for price in types["cax11"].prices)
    assert api.server_types.get_by_name("cax21").id == types["cax21"].id
    assert {"fsn1", "hel1", "nbg1"} <= {location.name for location in api.locations.get_all()}
    assert len(paged(api.images, type="system", architecture="arm", status="available")) > 0


def lists(api, ours):
    servers = paged(api.servers, label_selector=ours)
    assert len(servers) < len(api.servers.get_all()), "the decoy is there and is not ours"
    for server in servers:
        same = api.servers.get_by_name(server.name)
        assert same.id == server.id and same.status == "running", same.status
        assert same.public_net.ipv4.ip and same.public_net.ipv6.ip.endswith("/64")
        assert [bound.status for bound in same.public_net.firewalls] == ["applied"]
        assert same.image.type == "snapshot" and same.server_type.architecture == "arm"
        assert {action.status for action in api.servers.get_actions(same)} == {"success"}
    firewalls = paged(api.firewalls, label_selector=ours)
    for firewall in firewalls:
        applied = {resource.server.id for resource in firewall.applied_to if resource.type == "server"}
        assert applied == {server.id for server in servers}
        refused("resource_in_use", api.firewalls.delete, firewall)
    images = paged(api.images, type="snapshot", label_selector=ours)
    assert [image.architecture for image in images] == ["arm"], images
    assert api.images.get_by_id(images[0].id).status == "available"
    assert paged(api.ssh_keys, label_selector=ours) == [], "the key of the image's making is gone"
    addresses = {address.ip for address in api.primary_ips.get_all()}
    assert {server.public_net.ipv4.ip for server in servers} <= addresses
    return servers, firewalls, images


def one_machine(api, image):
    """What making a node and an image is made of."""
    labels = {"judge": "hcloud"}
    key = api.ssh_keys.create("judge", PUBLIC_KEY, labels)
    refused("uniqueness_error", api.ssh_keys.create, "judge", PUBLIC_KEY)
    refused("invalid_input", api.ssh_keys.create, "judge2", "ssh-ed25519 AAAA")
    rules = [FirewallRule(direction="in", protocol="tcp", port="443", source_ips=["0.0.0.0/0", "::/0"])]
    firewall = api.firewalls.create("judge", rules=rules, labels=labels).firewall
    wanted = {
        "name": "judge", "server_type": ServerType(name="cax11"), "image": Image(id=image.id),
        "location": Location(name="hel1"), "ssh_keys": [key], "firewalls": [firewall], "labels": labels,
        "user_data": "#cloud-config\n", "start_after_create": False,
        "public_net": ServerCreatePublicNetwork(enable_ipv4=True, enable_ipv6=True),
    }
    made = api.servers.create(**wanted)
    made.action.wait_until_finished(100)
    server = made.server
    refused("uniqueness_error", api.servers.create, **wanted)
    refused("invalid_input", api.servers.create, **{**wanted, "name": "judge2", "user_data": "x" * 32769})
    assert api.servers.get_by_id(server.id).status == "off"
    rescue = api.servers.enable_rescue(server, type="linux64", ssh_keys=[key.id])
    assert rescue.root_password
    rescue.action.wait_until_finished(100)
    api.servers.power_on(server).wait_until_finished(100)
    api.servers.power_off(server).wait_until_finished(100)
    taken = api.servers.create_image(server, type="snapshot", description="judge", labels=labels)
    taken.action.wait_until_finished(1000)
    assert api.images.get_by_id(taken.image.id).created_from.id == server.id
    assert api.servers.update(server, labels={**labels, "more": ""}).labels == {**labels, "more": ""}
    actions = [made.action.id, taken.action.id]
    several = api.request("GET", "/actions", params={"id": actions})["actions"]
    assert {action["id"] for action in several} == set(actions)
    gone = api.servers.delete(server)
    gone.wait_until_finished(100)
    refused("not_found", api.servers.get_by_id, server.id)
    api.firewalls.set_rules(firewall, [])
    api.firewalls.delete(firewall)
    api.images.delete(taken.image)
    api.ssh_keys.delete(key)


def main(cluster):
    api, ours = client(os.environ["HCLOUD_TOKEN"]), OURS.format(cluster)
    refused("unauthorized", client("x" * 64).servers.get_all)
    reader = client(os.environ["HCLOUD_TOKEN_READONLY"])
    refused("token_readonly", reader.ssh_keys.create, "judge", "ssh-ed25519 AAAA")
    catalogue(api)
    servers, firewalls, images = lists(api, ours)
    one_machine(api, images[0])
    for server in servers:
        api.servers.delete(server).wait_until_finished(100)
        print("deleted server", server.name)
    for resource, items in ((api.firewalls, firewalls), (api.images, images)):
        for item in items:
            resource.delete(item)
            refused("not_found", resource.get_by_id, item.id)
            print("deleted", item.name or item.description)
    for resource in (api.servers, api.firewalls, api.images, api.ssh_keys):
        assert resource.get_all(label_selector=ours) == []
    print("hcloud is content")


if __name__ == "__main__":
    main(sys.argv[1])

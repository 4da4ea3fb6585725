"""Oracle's own SDK on the emulated cloud: identity, network, compute, images and the bucket they come from.

With a cluster's name it lists and deletes what apply made for it; without one it makes what a node needs by itself.
"""

import base64
import os
import sys
import uuid

import oci
from oci.core.models import (
    AddNetworkSecurityGroupSecurityRulesDetails,
    AddSecurityRuleDetails,
    CreateInternetGatewayDetails,
    CreateNetworkSecurityGroupDetails,
    CreateSubnetDetails,
    CreateVcnDetails,
    CreateVnicDetails,
    InstanceSourceViaImageDetails,
    LaunchInstanceDetails,
    LaunchInstanceShapeConfigDetails,
    PortRange,
    RouteRule,
    TcpOptions,
    UpdateInstanceDetails,
    UpdateRouteTableDetails,
)
from oci.pagination import list_call_get_all_results as everything

SHAPE = "VM.Standard.A1.Flex"
TAGS = {"judge": "oci"}
CONFIG = oci.config.from_file(os.environ["OCI_CLI_CONFIG_FILE"])
TENANCY = CONFIG["tenancy"]


def open_client(kind):
    return kind(CONFIG, service_endpoint=os.environ["BOUQUET_OCI_ENDPOINT"], retry_strategy=oci.retry.NoneRetryStrategy())


def refused(status, code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except oci.exceptions.ServiceError as error:
        assert (error.status, error.code) == (status, code), f"{call.__name__}: {error.status} {error.code} {error.message}"
        return
    raise AssertionError(f"{call.__name__} was not refused with {status} {code}")


def wait(client, response, state, seconds=120):
    oci.wait_until(
        client, response, "lifecycle_state", state, max_interval_seconds=0.1, max_wait_seconds=seconds,
        succeed_on_not_found=state in ("TERMINATED", "DELETED"),
    )


def delete(client, kind, item_id):
    """Deletes and waits: what was deleted is on its way out for a while, and holds what it refers to."""
    there = getattr(client, f"get_{kind}")(item_id)
    getattr(client, f"delete_{kind}")(item_id)
    wait(client, there, "DELETED" if kind == "image" else "TERMINATED")


def identity():
    client = open_client(oci.identity.IdentityClient)
    domains = client.list_availability_domains(TENANCY).data
    assert len(domains) == 3 and all(domain.name.endswith(f"AD-{at}") for at, domain in enumerate(domains, 1)), domains
    assert len(client.list_fault_domains(TENANCY, domains[0].name).data) == 3
    assert client.get_tenancy(TENANCY).data.id == TENANCY
    subscribed = client.list_region_subscriptions(TENANCY).data
    assert [region.region_name for region in subscribed if region.is_home_region] == [CONFIG["region"]]
    everything(client.list_compartments, TENANCY)
    wrong = {**CONFIG, "fingerprint": "00:" * 15 + "00"}
    other = oci.identity.IdentityClient(
        wrong, service_endpoint=os.environ["BOUQUET_OCI_ENDPOINT"], retry_strategy=oci.retry.NoneRetryStrategy()
    )
    refused(401, "NotAuthenticated", other.list_availability_domains, TENANCY)
    return domains[0].name


def network(client):
    details = CreateVcnDetails(compartment_id=TENANCY, cidr_blocks=["10.7.0.0/16"], display_name="judge", freeform_tags=TAGS)
    token = uuid.uuid4().hex
    vcn = client.create_vcn(details, opc_retry_token=token).data
    assert client.create_vcn(details, opc_retry_token=token).data.id == vcn.id, "a retry token makes one thing"
    wait(client, client.get_vcn(vcn.id), "AVAILABLE")
    gateway = client.create_internet_gateway(
        CreateInternetGatewayDetails(compartment_id=TENANCY, vcn_id=vcn.id, is_enabled=True, freeform_tags=TAGS)
    ).data
    rules = [RouteRule(destination="0.0.0.0/0", destination_type="CIDR_BLOCK", network_entity_id=gateway.id)]
    table = client.get_route_table(vcn.default_route_table_id)
    changed = client.update_route_table(
        table.data.id, UpdateRouteTableDetails(route_rules=rules), if_match=table.headers["etag"]
    ).data
    assert [rule.network_entity_id for rule in changed.route_rules] == [gateway.id]
    refused(412, "NoEtagMatch", client.update_route_table, table.data.id, UpdateRouteTableDetails(route_rules=[]), if_match="x")
    group = client.create_network_security_group(
        CreateNetworkSecurityGroupDetails(compartment_id=TENANCY, vcn_id=vcn.id, display_name="judge", freeform_tags=TAGS)
    ).data
    rule = AddSecurityRuleDetails(
        direction="INGRESS", protocol="6", source="0.0.0.0/0", source_type="CIDR_BLOCK",
        tcp_options=TcpOptions(destination_port_range=PortRange(min=443, max=443)),
    )
    client.add_network_security_group_security_rules(
        group.id, AddNetworkSecurityGroupSecurityRulesDetails(security_rules=[rule])
    )
    kept = everything(client.list_network_security_group_security_rules, group.id, limit=1).data
    assert [one.tcp_options.destination_port_range.min for one in kept] == [443]
    subnet = client.create_subnet(
        CreateSubnetDetails(
            compartment_id=TENANCY, vcn_id=vcn.id, cidr_block="10.7.1.0/24", display_name="judge", freeform_tags=TAGS
        )
    ).data
    wait(client, client.get_subnet(subnet.id), "AVAILABLE")
    assert client.get_security_list(vcn.default_security_list_id).data.vcn_id == vcn.id
    return vcn, gateway, group, subnet


def shapes(client, domain, image):
    offered = everything(client.list_shapes, TENANCY, availability_domain=domain, limit=2).data
    assert SHAPE in [shape.shape for shape in offered]
    ours = everything(client.list_shapes, TENANCY, image_id=image.id).data
    assert SHAPE in [shape.shape for shape in ours]


def instance(client, vcns, domain, image, group, subnet):
    details = LaunchInstanceDetails(
        availability_domain=domain, compartment_id=TENANCY, shape=SHAPE, display_name="judge", freeform_tags=TAGS,
        shape_config=LaunchInstanceShapeConfigDetails(ocpus=1, memory_in_gbs=6),
        source_details=InstanceSourceViaImageDetails(image_id=image.id, boot_volume_size_in_gbs=50),
        create_vnic_details=CreateVnicDetails(subnet_id=subnet.id, assign_public_ip=True, nsg_ids=[group.id]),
        metadata={"user_data": base64.b64encode(b"#cloud-config\n").decode()},
    )
    launched = client.launch_instance(details)
    assert launched.headers["opc-work-request-id"]
    wait(client, client.get_instance(launched.data.id), "RUNNING")
    flexless = LaunchInstanceDetails(
        availability_domain=domain, compartment_id=TENANCY, shape=SHAPE,
        source_details=details.source_details, create_vnic_details=details.create_vnic_details,
    )
    refused(400, "InvalidParameter", client.launch_instance, flexless)
    attached = everything(client.list_vnic_attachments, TENANCY, instance_id=launched.data.id).data
    assert [attachment.lifecycle_state for attachment in attached] == ["ATTACHED"]
    vnic = vcns.get_vnic(attached[0].vnic_id).data
    assert vnic.private_ip.startswith("10.7.1.") and vnic.public_ip and vnic.nsg_ids == [group.id]
    renamed = client.update_instance(launched.data.id, UpdateInstanceDetails(freeform_tags={**TAGS, "more": "x"})).data
    assert renamed.freeform_tags == {**TAGS, "more": "x"}
    found = everything(client.list_instances, TENANCY, display_name="judge", lifecycle_state="RUNNING", limit=1).data
    assert [one.id for one in found] == [launched.data.id]
    volumes = client.list_boot_volume_attachments(domain, TENANCY, instance_id=launched.data.id).data
    assert len(volumes) == 1
    for action, state in (("STOP", "STOPPED"), ("START", "RUNNING")):
        client.instance_action(launched.data.id, action)
        wait(client, client.get_instance(launched.data.id), state)
    return launched.data


def storage(client):
    namespace = client.get_namespace().data
    bucket = oci.object_storage.models.CreateBucketDetails(name="judge", compartment_id=TENANCY, freeform_tags=TAGS)
    client.create_bucket(namespace, bucket)
    refused(409, "BucketAlreadyExists", client.create_bucket, namespace, bucket)
    for number in range(3):
        client.put_object(namespace, "judge", f"a dir/{number}", b"x" * number)
    got = client.get_object(namespace, "judge", "a dir/2")
    assert got.data.content == b"xx"
    assert int(client.head_object(namespace, "judge", "a dir/1").headers["content-length"]) == 1
    listed = oci.pagination.list_call_get_all_results(client.list_objects, namespace, "judge", limit=1, fields="name,size")
    assert [one.name for one in listed.data.objects] == ["a dir/0", "a dir/1", "a dir/2"]
    refused(404, "ObjectNotFound", client.get_object, namespace, "judge", "nothing")
    refused(409, "BucketNotEmpty", client.delete_bucket, namespace, "judge")
    for number in range(3):
        client.delete_object(namespace, "judge", f"a dir/{number}")
    client.delete_bucket(namespace, "judge")
    assert everything(client.list_buckets, namespace, TENANCY, limit=1).data == []


def teardown(compute, vcns, made):
    vcn, gateway, group, subnet, launched = made
    refused(409, "Conflict", vcns.delete_subnet, subnet.id)
    compute.terminate_instance(launched.id, preserve_boot_volume=False)
    wait(compute, compute.get_instance(launched.id), "TERMINATED")
    detached(compute, launched.id)
    delete(vcns, "subnet", subnet.id)
    delete(vcns, "network_security_group", group.id)
    refused(409, "Conflict", vcns.delete_internet_gateway, gateway.id)
    vcns.update_route_table(vcn.default_route_table_id, UpdateRouteTableDetails(route_rules=[]))
    delete(vcns, "internet_gateway", gateway.id)
    delete(vcns, "vcn", vcn.id)


def live_vcns(client):
    return [vcn.id for vcn in everything(client.list_vcns, TENANCY, limit=1).data if vcn.lifecycle_state != "TERMINATED"]


def ours(items, cluster):
    gone = ("TERMINATED", "DELETED", "TERMINATING")
    marked = [item for item in items if item.freeform_tags.get("bouquet.dev/cluster") == cluster]
    return [item for item in marked if item.lifecycle_state not in gone]


def detached(compute, instance_id):
    oci.wait_until(
        compute, compute.list_vnic_attachments(TENANCY, instance_id=instance_id),
        evaluate_response=lambda answer: all(one.lifecycle_state == "DETACHED" for one in answer.data),
        max_interval_seconds=0.1, max_wait_seconds=120,
    )


def sweep(cluster):
    """What apply made, in the order in which the cloud lets it go."""
    compute, vcns = open_client(oci.core.ComputeClient), open_client(oci.core.VirtualNetworkClient)
    instances = ours(everything(compute.list_instances, TENANCY, limit=1).data, cluster)
    assert [one.lifecycle_state for one in instances] == ["RUNNING"], instances
    for one in instances:
        attached = compute.list_vnic_attachments(TENANCY, instance_id=one.id).data
        assert vcns.get_vnic(attached[0].vnic_id).data.public_ip, "it has a public address"
        compute.terminate_instance(one.id, preserve_boot_volume=False)
        wait(compute, compute.get_instance(one.id), "TERMINATED")
        detached(compute, one.id)
        print("deleted instance", one.display_name)
    networks = ours(everything(vcns.list_vcns, TENANCY, limit=1).data, cluster)
    assert len(networks) == 1, networks
    vcn = networks[0].id
    for one in ours(everything(vcns.list_subnets, TENANCY, vcn_id=vcn, limit=1).data, cluster):
        delete(vcns, "subnet", one.id)
    for one in vcns.list_route_tables(TENANCY, vcn_id=vcn).data:
        vcns.update_route_table(one.id, UpdateRouteTableDetails(route_rules=[]))
    for kind in ("route_table", "security_list", "network_security_group", "internet_gateway"):
        found = everything(getattr(vcns, f"list_{kind}s"), compartment_id=TENANCY, vcn_id=vcn, limit=1).data
        for one in ours(found, cluster):
            delete(vcns, kind, one.id)
            print("deleted", kind, one.display_name)
    delete(vcns, "vcn", vcn)
    images = ours(everything(compute.list_images, TENANCY, limit=2).data, cluster)
    assert [image.lifecycle_state for image in images] == ["AVAILABLE"], images
    for image in images:
        assert SHAPE in [entry.shape for entry in compute.list_image_shape_compatibility_entries(image.id).data]
        delete(compute, "image", image.id)
    for kind, found in (
        ("vcn", everything(vcns.list_vcns, TENANCY).data), ("image", everything(compute.list_images, TENANCY).data)
    ):
        assert ours(found, cluster) == [], kind


def main():
    domain = identity()
    compute, vcns = open_client(oci.core.ComputeClient), open_client(oci.core.VirtualNetworkClient)
    before = live_vcns(vcns)
    images = everything(compute.list_images, TENANCY, shape=SHAPE, limit=2).data
    assert images, "Oracle has images of its own"
    shapes(compute, domain, images[0])
    storage(open_client(oci.object_storage.ObjectStorageClient))
    vcn, gateway, group, subnet = network(vcns)
    launched = instance(compute, vcns, domain, images[0], group, subnet)
    teardown(compute, vcns, (vcn, gateway, group, subnet, launched))
    assert live_vcns(vcns) == before


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sweep(sys.argv[1])
    else:
        main()
    print("oci is content")

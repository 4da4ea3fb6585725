"""Oracle's own SDK on the emulated cloud: every call that bouquet makes, how each is refused, and how the SDK itself goes on;
and it lists and deletes what apply made for a cluster (`sweep=CLUSTER`).
"""

from oci.core.models import UpdateRouteTableDetails
from oci.pagination import list_call_get_all_results as everything

from judge import run, same
from oracle_account import identity, patience, signatures
from oracle_cloud import COMPUTE, NETWORK, SHAPE, TENANCY, delete, paged, wait
from oracle_compute import detached, instances
from oracle_images import images
from oracle_network import networks, pages, tables, tokens
from oracle_storage import multipart, storage


def ours(items, cluster):
    gone = ("TERMINATED", "DELETED", "TERMINATING")
    marked = [item for item in items if item.freeform_tags.get("bouquet.dev/cluster") == cluster]
    return [item for item in marked if item.lifecycle_state not in gone]


def sweep(cluster):
    """What apply made, in the order in which the cloud lets it go."""
    running = ours(paged(COMPUTE.list_instances, TENANCY), cluster)
    same([one.lifecycle_state for one in running], ["RUNNING"])
    for one in running:
        vnic = COMPUTE.list_vnic_attachments(TENANCY, instance_id=one.id).data[0].vnic_id
        assert NETWORK.get_vnic(vnic).data.public_ip, "it has a public address"
        COMPUTE.terminate_instance(one.id, preserve_boot_volume=False)
        wait(COMPUTE.get_instance, one.id, "TERMINATED")
        detached(one.id)
    vcns = ours(paged(NETWORK.list_vcns, TENANCY), cluster)
    same(len(vcns), 1)
    vcn = vcns[0].id
    for one in ours(paged(NETWORK.list_subnets, TENANCY, vcn_id=vcn), cluster):
        delete(NETWORK, "subnet", one.id)
    for one in NETWORK.list_route_tables(TENANCY, vcn_id=vcn).data:
        NETWORK.update_route_table(one.id, UpdateRouteTableDetails(route_rules=[]))
    for kind in ("route_table", "security_list", "network_security_group", "internet_gateway"):
        found = everything(getattr(NETWORK, f"list_{kind}s"), compartment_id=TENANCY, vcn_id=vcn, limit=1).data
        for one in ours(found, cluster):
            delete(NETWORK, kind, one.id)
    delete(NETWORK, "vcn", vcn)
    imported = ours(everything(COMPUTE.list_images, TENANCY, limit=2).data, cluster)
    same([image.lifecycle_state for image in imported], ["AVAILABLE"])
    for image in imported:
        assert SHAPE in [entry.shape for entry in COMPUTE.list_image_shape_compatibility_entries(image.id).data]
        delete(COMPUTE, "image", image.id)
    for found in (everything(NETWORK.list_vcns, TENANCY).data, everything(COMPUTE.list_images, TENANCY).data):
        same(ours(found, cluster), [])


PARTS = {
    part.__name__: part
    for part in (
        signatures, identity, networks, tables, tokens, pages, instances, storage, multipart, images, patience,
    )
}

if __name__ == "__main__":
    run("oci", PARTS, sweep=sweep)

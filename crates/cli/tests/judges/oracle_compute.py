"""Instances: launch, what is refused, power, addresses, and a VNIC that outlives them."""

import base64

import oci
from oci.core.models import (
    CreateCapacityReportShapeAvailabilityDetails,
    CreateComputeCapacityReportDetails,
    CreateVnicDetails,
    InstanceSourceViaImageDetails,
    LaunchInstanceDetails,
    LaunchInstanceShapeConfigDetails,
    UpdateInstanceDetails,
)
from oci.pagination import list_call_get_all_results as everything

from judge import fault, same
from oracle_cloud import COMPUTE, NETWORK, QUICK, SHAPE, TAGS, TENANCY, WORK, available, domain, paged, refused, wait
from oracle_network import network, take_down


def order(subnet, group, image, **more):
    details = {
        "availability_domain": domain(), "compartment_id": TENANCY, "shape": SHAPE, "display_name": "judge",
        "freeform_tags": TAGS, "shape_config": LaunchInstanceShapeConfigDetails(ocpus=2, memory_in_gbs=12),
        "source_details": InstanceSourceViaImageDetails(image_id=image.id, boot_volume_size_in_gbs=50),
        "create_vnic_details": CreateVnicDetails(subnet_id=subnet.id, assign_public_ip=True, nsg_ids=[group.id]),
        "metadata": {"user_data": base64.b64encode(b"#cloud-config\n").decode()},
    }
    return LaunchInstanceDetails(**(details | more))


def instances():
    capacity()
    images = everything(COMPUTE.list_images, TENANCY, shape=SHAPE, limit=2).data
    assert images, "Oracle has images of its own"
    offered = everything(COMPUTE.list_shapes, TENANCY, availability_domain=domain(), limit=2).data
    assert SHAPE in [shape.shape for shape in offered]
    assert SHAPE in [shape.shape for shape in everything(COMPUTE.list_shapes, TENANCY, image_id=images[0].id).data]
    vcn, gateway, group, subnet = network()
    used = available("standard-a1-core-count", domain()).used
    bad_orders(subnet, group, images[0])
    operations = oci.core.ComputeClientCompositeOperations(COMPUTE, WORK)
    done = operations.launch_instance_and_wait_for_work_request(order(subnet, group, images[0]), waiter_kwargs=QUICK)
    same((done.data.status, done.data.operation_type, done.data.percent_complete), ("SUCCEEDED", "LaunchInstance", 100))
    made = [one for one in done.data.resources if one.entity_type == "instance"][0]
    same(made.action_type, "CREATED")
    assert WORK.list_work_request_logs(done.data.id).data and not WORK.list_work_request_errors(done.data.id).data
    instance = COMPUTE.get_instance(made.identifier).data
    same((instance.lifecycle_state, instance.shape_config.ocpus, instance.freeform_tags), ("RUNNING", 2.0, TAGS))
    same(available("standard-a1-core-count", domain()).used, used + 2, "cores are counted")
    volumes = COMPUTE.list_boot_volume_attachments(instance.availability_domain, TENANCY, instance_id=instance.id).data
    same(len(volumes), 1)
    attached(instance, subnet, group)
    addresses(instance)
    changed = COMPUTE.update_instance(instance.id, UpdateInstanceDetails(freeform_tags={"more": "x"})).data
    same(changed.freeform_tags, {"more": "x"})
    found = paged(COMPUTE.list_instances, TENANCY, display_name="judge", lifecycle_state="RUNNING")
    same([one.id for one in found], [instance.id])
    for action, state in (("STOP", "STOPPED"), ("START", "RUNNING"), ("SOFTRESET", "RUNNING")):
        COMPUTE.instance_action(instance.id, action)
        wait(COMPUTE.get_instance, instance.id, state)
    end(instance, subnet)
    take_down(vcn, gateway, group, subnet)


def attached(instance, subnet, group):
    found = paged(COMPUTE.list_vnic_attachments, TENANCY, instance_id=instance.id)
    same([one.lifecycle_state for one in found], ["ATTACHED"])
    vnic = NETWORK.get_vnic(found[0].vnic_id).data
    same((vnic.subnet_id, vnic.nsg_ids, vnic.is_primary), (subnet.id, [group.id], True))
    assert vnic.private_ip.startswith("10.7.1.") and vnic.public_ip, vnic


def addresses(instance):
    """The instance's addresses, as the address calls show them."""
    vnic = NETWORK.get_vnic(COMPUTE.list_vnic_attachments(TENANCY, instance_id=instance.id).data[0].vnic_id).data
    private = NETWORK.list_private_ips(vnic_id=vnic.id).data
    same([(one.ip_address, one.is_primary) for one in private], [(vnic.private_ip, True)])
    at = {"scope": "AVAILABILITY_DOMAIN", "availability_domain": instance.availability_domain}
    public = [one for one in everything(NETWORK.list_public_ips, compartment_id=TENANCY, **at).data]
    same([(one.ip_address, one.private_ip_id, one.lifetime) for one in public], [(vnic.public_ip, private[0].id, "EPHEMERAL")])
    same(NETWORK.list_public_ips("REGION", TENANCY).data, [])
    refused(400, "MissingParameter", NETWORK.list_public_ips, "AVAILABILITY_DOMAIN", TENANCY)


def capacity():
    """The report that says beforehand what a launch will say."""
    asked = [CreateCapacityReportShapeAvailabilityDetails(instance_shape=name) for name in (SHAPE, "VM.Wonder")]
    details = CreateComputeCapacityReportDetails(
        compartment_id=TENANCY, availability_domain=domain(), shape_availabilities=asked
    )
    said = lambda: [
        (one.instance_shape, one.availability_status)
        for one in COMPUTE.create_compute_capacity_report(details).data.shape_availabilities
    ]
    same(said(), [(SHAPE, "AVAILABLE"), ("VM.Wonder", "HARDWARE_NOT_SUPPORTED")])
    with fault(f"oci no-capacity for {SHAPE}"):
        same(said()[0], (SHAPE, "OUT_OF_HOST_CAPACITY"))
    details.availability_domain = "nowhere"
    refused(400, "InvalidParameter", COMPUTE.create_compute_capacity_report, details)


def end(instance, subnet):
    """The VNIC outlives its instance for a while, and holds the subnet."""
    refused(409, "Conflict", NETWORK.delete_subnet, subnet.id)
    with fault("oci vnic-stuck=3000 for judge times 1"):
        answer = COMPUTE.terminate_instance(instance.id, preserve_boot_volume=False)
        refused(409, "IncorrectState", COMPUTE.instance_action, instance.id, "START")
        wait(COMPUTE.get_instance, instance.id, "TERMINATED")
    held = COMPUTE.list_vnic_attachments(TENANCY, instance_id=instance.id).data
    same([one.lifecycle_state for one in held], ["DETACHING"])
    refused(409, "Conflict", NETWORK.delete_subnet, subnet.id)
    same(WORK.get_work_request(answer.headers["opc-work-request-id"]).data.status, "SUCCEEDED")
    detached(instance.id)


def detached(instance_id):
    oci.wait_until(
        COMPUTE, COMPUTE.list_vnic_attachments(TENANCY, instance_id=instance_id),
        evaluate_response=lambda answer: all(one.lifecycle_state == "DETACHED" for one in answer.data),
        max_interval_seconds=1, max_wait_seconds=120,
    )


def bad_orders(subnet, group, image):
    launch = COMPUTE.launch_instance
    refused(400, "InvalidParameter", launch, order(subnet, group, image, shape_config=None))
    refused(400, "InvalidParameter", launch, order(subnet, group, image, availability_domain="nowhere"))
    refused(404, "NotAuthorizedOrNotFound", launch, order(subnet, group, image, shape="VM.Wonder"))
    huge = LaunchInstanceShapeConfigDetails(ocpus=76, memory_in_gbs=456)
    refused(400, "LimitExceeded", launch, order(subnet, group, image, shape_config=huge))
    long = base64.b64encode(b"x" * 32_000).decode()
    refused(400, "InvalidParameter", launch, order(subnet, group, image, metadata={"user_data": long}))
    refused(400, "InvalidParameter", launch, order(subnet, group, image, metadata={"user_data": "no base64!"}))
    for rule, status, code in (
        ("no-capacity", 500, "InternalError"), ("limit-exceeded", 400, "LimitExceeded"),
        ("shape-not-found", 404, "NotAuthorizedOrNotFound"), ("image-shape", 400, "InvalidParameter"),
    ):
        with fault(f"oci {rule} for {SHAPE}"):
            refused(status, code, launch, order(subnet, group, image))
    same(COMPUTE.list_instances(TENANCY, display_name="judge").data, [], "nothing was made")

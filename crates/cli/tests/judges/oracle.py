"""Oracle's own SDK on the emulated cloud: signatures, identity, limits, network, compute, images and the bucket they come
from; how each is refused; and it lists and deletes what apply made for a cluster (`sweep=CLUSTER`).
"""

import base64
import email.utils
import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
import uuid

import oci
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from oci.core.models import (
    AddNetworkSecurityGroupSecurityRulesDetails,
    AddSecurityRuleDetails,
    CreateImageDetails,
    CreateInternetGatewayDetails,
    CreateNetworkSecurityGroupDetails,
    CreateSubnetDetails,
    CreateVcnDetails,
    CreateVnicDetails,
    ImageSourceViaObjectStorageTupleDetails,
    InstanceSourceViaImageDetails,
    LaunchInstanceDetails,
    LaunchInstanceShapeConfigDetails,
    PortRange,
    RouteRule,
    TcpOptions,
    UpdateInstanceDetails,
    UpdateRouteTableDetails,
    UpdateVcnDetails,
)
from oci.object_storage import UploadManager
from oci.object_storage.models import CommitMultipartUploadDetails, CommitMultipartUploadPartDetails
from oci.object_storage.models import CreateBucketDetails, CreateMultipartUploadDetails
from oci.pagination import list_call_get_all_results as everything

from judge import calls, fault, run, same

SHAPE = "VM.Standard.A1.Flex"
TAGS = {"judge": "oci"}
CONFIG = oci.config.from_file(os.environ["OCI_CLI_CONFIG_FILE"])
TENANCY = CONFIG["tenancy"]
ENDPOINT = os.environ["BOUQUET_OCI_ENDPOINT"]
SIGNER = oci.Signer(TENANCY, CONFIG["user"], CONFIG["fingerprint"], CONFIG["key_file"])
# Talos without extensions, as the Image Factory names it.
SCHEMATIC = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"
DISK = f"{os.environ['BOUQUET_FACTORY_URL']}/image/{SCHEMATIC}/v1.14.6/oracle-arm64.qcow2"


def open_client(kind, config=CONFIG, strategy=None):
    strategy = strategy or oci.retry.NoneRetryStrategy()
    return kind(config, service_endpoint=ENDPOINT, retry_strategy=strategy)


IDENTITY = open_client(oci.identity.IdentityClient)
LIMITS = open_client(oci.limits.LimitsClient)
NETWORK = open_client(oci.core.VirtualNetworkClient)
COMPUTE = open_client(oci.core.ComputeClient)
STORAGE = open_client(oci.object_storage.ObjectStorageClient)
WORK = open_client(oci.work_requests.WorkRequestClient)
QUICK = {"max_interval_seconds": 1, "max_wait_seconds": 20}


def refused(status, code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except oci.exceptions.ServiceError as error:
        same((error.status, error.code), (status, code), f"{call.__name__}: {error.message}")
        assert error.message and error.request_id
        return
    raise AssertionError(f"{call.__name__} was not refused with {status} {code}")


def wait(get, item_id, *states):
    """Until it is in one of these states, or gone; sooner than the SDK's own waiter, whose first look takes a second."""
    for _ in range(600):
        try:
            found = get(item_id).data
        except oci.exceptions.ServiceError as error:
            if error.status == 404 and {"TERMINATED", "DELETED"} & set(states):
                return None
            raise
        if found.lifecycle_state in states:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{item_id} stays {found.lifecycle_state}")


def delete(client, kind, item_id):
    getattr(client, f"delete_{kind}")(item_id)
    wait(getattr(client, f"get_{kind}"), item_id, "DELETED" if kind == "image" else "TERMINATED")


def paged(call, *arguments, **filters):
    """Everything, one a page; the same as in one page, and nothing twice."""
    found = everything(call, *arguments, limit=1, **filters).data
    same([item.id for item in found], [item.id for item in call(*arguments, limit=1000, **filters).data], call.__name__)
    same(len(found), len({item.id for item in found}))
    return found


def domain():
    return IDENTITY.list_availability_domains(TENANCY).data[0].name


def raw(method, path, body=None, signer=SIGNER, headers=None, tamper=None):
    """A request that is signed and then changed; its status and error code."""
    head = {"content-type": "application/json"} if body is not None else {}
    request = requests.Request(method, ENDPOINT + path, data=body, headers=head | (headers or {})).prepare()
    if signer:
        signer(request)
    if tamper:
        tamper(request)
    answer = requests.Session().send(request, verify=os.environ["REQUESTS_CA_BUNDLE"])
    return answer.status_code, answer.json().get("code") if answer.content and not answer.ok else None


def signatures():
    domains, vcns = f"/20160918/availabilityDomains?compartmentId={TENANCY}", "/20160918/vcns"
    body = json.dumps({"compartmentId": TENANCY, "cidrBlocks": ["10.8.0.0/16"]})
    denied = (401, "NotAuthenticated")
    same(raw("GET", domains), (200, None))
    same(raw("GET", domains, signer=None), denied)
    stranger = oci.Signer(TENANCY, CONFIG["user"], CONFIG["fingerprint"], CONFIG["key_file"])
    stranger.create_signers(
        stranger.api_key, rsa.generate_private_key(65537, 2048), ["date", "(request-target)", "host"], []
    )
    same(raw("GET", domains, signer=stranger), denied, "another's key")
    unknown = oci.Signer(TENANCY, CONFIG["user"], "00:" * 15 + "00", CONFIG["key_file"])
    same(raw("GET", domains, signer=unknown), denied, "a fingerprint that nobody has uploaded")

    def elsewhere(request):
        request.url = request.url.replace("availabilityDomains", "faultDomains")

    same(raw("GET", domains, tamper=elsewhere), denied, "another target")
    for minutes, wanted in ((-6, denied), (6, denied), (-4, (200, None)), (4, (200, None))):
        date = email.utils.formatdate(time.time() + 60 * minutes, usegmt=True)
        same(raw("GET", domains, headers={"date": date}), wanted, f"a clock that is {minutes} minutes off")

    def forge(request):
        request.body = body.replace("10.8.", "10.9.").encode()

    same(raw("POST", vcns, body, tamper=forge), denied, "another body")
    generic, needed = ["date", "(request-target)", "host"], ["content-length", "content-type", "x-content-sha256"]
    for left_out in (*generic, *needed):
        lazy = oci.Signer(TENANCY, CONFIG["user"], CONFIG["fingerprint"], CONFIG["key_file"])
        kept = [[name for name in names if name != left_out] for names in (generic, needed)]
        lazy.create_signers(lazy.api_key, lazy.private_key, *kept)
        same(raw("POST", vcns, body, signer=lazy), denied, f"{left_out} is not signed")
    same([vcn for vcn in NETWORK.list_vcns(TENANCY).data if vcn.cidr_block != "10.0.0.0/16"], [], "nothing was made")
    with fault("oci clock-skew times 1"):
        refused(401, "NotAuthenticated", IDENTITY.list_availability_domains, TENANCY)


def identity():
    domains = IDENTITY.list_availability_domains(TENANCY).data
    assert len(domains) == 3 and all(one.name.endswith(f"AD-{at}") for at, one in enumerate(domains, 1)), domains
    same(len(IDENTITY.list_fault_domains(TENANCY, domains[0].name).data), 3)
    same(IDENTITY.get_tenancy(TENANCY).data.id, TENANCY)
    subscribed = IDENTITY.list_region_subscriptions(TENANCY).data
    same([region.region_name for region in subscribed if region.is_home_region], [CONFIG["region"]])
    assert CONFIG["region"] in [region.name for region in IDENTITY.list_regions().data]
    everything(IDENTITY.list_compartments, TENANCY)
    nowhere = TENANCY[:-4] + "none"
    refused(404, "NotAuthorizedOrNotFound", NETWORK.list_vcns, nowhere)
    refused(404, "NotAuthorizedOrNotFound", NETWORK.get_vcn, TENANCY.replace("tenancy", "vcn"))
    assert available("standard-a1-core-count", domains[0].name).available > 0
    with fault("oci suspended"):
        refused(404, "NotAuthorizedOrNotFound", NETWORK.list_vcns, TENANCY)
        same(available("standard-a1-core-count", domains[0].name).available, 0)


def available(name, at):
    return LIMITS.get_resource_availability("compute", name, TENANCY, availability_domain=at).data


def make_vcn(name="judge", **more):
    details = CreateVcnDetails(compartment_id=TENANCY, cidr_blocks=["10.7.0.0/16"], display_name=name, freeform_tags=TAGS)
    return NETWORK.create_vcn(details, **more)


def network():
    made = make_vcn().data
    vcn = wait(NETWORK.get_vcn, made.id, "AVAILABLE")
    same((vcn.cidr_blocks, vcn.display_name, vcn.freeform_tags), (["10.7.0.0/16"], "judge", TAGS))
    response = NETWORK.update_vcn(vcn.id, UpdateVcnDetails(freeform_tags={"other": "tag"}))
    same(response.data.freeform_tags, {"other": "tag"}, "tags are replaced")
    same(NETWORK.get_vcn(vcn.id).headers["etag"], response.headers["etag"])
    gateway = NETWORK.create_internet_gateway(
        CreateInternetGatewayDetails(compartment_id=TENANCY, vcn_id=vcn.id, is_enabled=True, freeform_tags=TAGS)
    ).data
    rules = [RouteRule(destination="0.0.0.0/0", destination_type="CIDR_BLOCK", network_entity_id=gateway.id)]
    table = NETWORK.get_route_table(vcn.default_route_table_id)
    details = UpdateRouteTableDetails(route_rules=rules)
    refused(412, "NoEtagMatch", NETWORK.update_route_table, table.data.id, details, if_match="x")
    changed = NETWORK.update_route_table(table.data.id, details, if_match=table.headers["etag"]).data
    same([rule.network_entity_id for rule in changed.route_rules], [gateway.id])
    refused(412, "NoEtagMatch", NETWORK.update_route_table, table.data.id, details, if_match=table.headers["etag"])
    group = NETWORK.create_network_security_group(
        CreateNetworkSecurityGroupDetails(compartment_id=TENANCY, vcn_id=vcn.id, display_name="judge", freeform_tags=TAGS)
    ).data
    add = [
        AddSecurityRuleDetails(
            direction="INGRESS", protocol="6", source="0.0.0.0/0", source_type="CIDR_BLOCK",
            tcp_options=TcpOptions(destination_port_range=PortRange(min=port, max=port)),
        )
        for port in (80, 443)
    ]
    NETWORK.add_network_security_group_security_rules(
        group.id, AddNetworkSecurityGroupSecurityRulesDetails(security_rules=add)
    )
    kept = paged(NETWORK.list_network_security_group_security_rules, group.id)
    same(sorted(one.tcp_options.destination_port_range.min for one in kept), [80, 443])
    wrong = CreateSubnetDetails(compartment_id=TENANCY, vcn_id=vcn.id, cidr_block="10.99.1.0/24")
    refused(400, "InvalidParameter", NETWORK.create_subnet, wrong)
    subnet = NETWORK.create_subnet(
        CreateSubnetDetails(
            compartment_id=TENANCY, vcn_id=vcn.id, cidr_block="10.7.1.0/24", display_name="judge", freeform_tags=TAGS
        )
    ).data
    wait(NETWORK.get_subnet, subnet.id, "AVAILABLE")
    refused(400, "InvalidParameter", NETWORK.create_subnet, CreateSubnetDetails(
        compartment_id=TENANCY, vcn_id=vcn.id, cidr_block="10.7.1.128/25"))
    same(NETWORK.get_security_list(vcn.default_security_list_id).data.vcn_id, vcn.id)
    return vcn, gateway, group, subnet


def take_down(vcn, gateway, group, subnet):
    """In the one order that is allowed; every other is refused."""
    refused(409, "IncorrectState", NETWORK.delete_vcn, vcn.id)
    refused(409, "Conflict", NETWORK.delete_internet_gateway, gateway.id)
    NETWORK.update_route_table(vcn.default_route_table_id, UpdateRouteTableDetails(route_rules=[]))
    same(delete_quickly(NETWORK.delete_internet_gateway, gateway.id), 204)
    wait(NETWORK.get_internet_gateway, gateway.id, "TERMINATED")
    refused(409, "Conflict", NETWORK.delete_vcn, vcn.id)
    delete(NETWORK, "subnet", subnet.id)
    refused(409, "Conflict", NETWORK.delete_vcn, vcn.id)
    delete(NETWORK, "network_security_group", group.id)
    with fault("oci vcn-busy for judge times 1"):
        refused(409, "IncorrectState", NETWORK.delete_vcn, vcn.id)
    operations = oci.core.VirtualNetworkClientCompositeOperations(NETWORK)
    operations.delete_vcn_and_wait_for_state(vcn.id, ["TERMINATED"], waiter_kwargs=QUICK | {"succeed_on_not_found": True})
    refused(404, "NotAuthorizedOrNotFound", NETWORK.get_vcn, vcn.id)


def delete_quickly(call, item_id):
    return call(item_id).status


def networks():
    take_down(*network())


def tokens():
    """Retry tokens: one thing for each."""
    token = uuid.uuid4().hex
    vcn = make_vcn(opc_retry_token=token).data
    same(make_vcn(opc_retry_token=token).data.id, vcn.id, "a retry token makes one thing")
    refused(409, "InvalidatedRetryToken", make_vcn, "other", opc_retry_token=token)
    wait(NETWORK.get_vcn, vcn.id, "AVAILABLE")
    delete(NETWORK, "vcn", vcn.id)
    refused(409, "InvalidatedRetryToken", make_vcn, opc_retry_token=token)


def pages():
    before = len(paged(NETWORK.list_vcns, TENANCY))
    made = [make_vcn(f"judge-{at}").data.id for at in range(5)]
    for vcn in made:
        wait(NETWORK.get_vcn, vcn, "AVAILABLE")
    found = paged(NETWORK.list_vcns, TENANCY)
    same([vcn.id for vcn in found[:5]], made[::-1], "the newest first")
    same(len(found), before + 5)
    ordered = paged(NETWORK.list_vcns, TENANCY, sort_by="DISPLAYNAME", sort_order="ASC")
    same([vcn.display_name for vcn in ordered], sorted(vcn.display_name for vcn in found))
    same([vcn.id for vcn in paged(NETWORK.list_vcns, TENANCY, display_name="judge-3")], [made[3]])
    first = NETWORK.list_vcns(TENANCY, limit=2)
    assert first.has_next_page and len(first.data) == 2
    same([vcn.id for vcn in NETWORK.list_vcns(TENANCY, limit=2, page=first.next_page).data], made[2:0:-1])
    refused(400, "InvalidParameter", NETWORK.list_vcns, TENANCY, page="no page")
    for vcn in made:
        delete(NETWORK, "vcn", vcn)


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


def end(instance, subnet):
    """The VNIC outlives its instance for a while, and holds the subnet."""
    refused(409, "Conflict", NETWORK.delete_subnet, subnet.id)
    answer = COMPUTE.terminate_instance(instance.id, preserve_boot_volume=False)
    refused(409, "IncorrectState", COMPUTE.instance_action, instance.id, "START")
    with fault("oci vnic-stuck=300 for judge times 1"):
        wait(COMPUTE.get_instance, instance.id, "TERMINATED")
    same(WORK.get_work_request(answer.headers["opc-work-request-id"]).data.status, "SUCCEEDED")
    held = COMPUTE.list_vnic_attachments(TENANCY, instance_id=instance.id).data
    same([one.lifecycle_state for one in held], ["DETACHING"])
    refused(409, "Conflict", NETWORK.delete_subnet, subnet.id)
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


def bucket():
    namespace = STORAGE.get_namespace().data
    details = CreateBucketDetails(name="judge", compartment_id=TENANCY, freeform_tags=TAGS)
    STORAGE.create_bucket(namespace, details)
    refused(409, "BucketAlreadyExists", STORAGE.create_bucket, namespace, details)
    return namespace, "judge"


def empty(namespace, name):
    for one in everything(STORAGE.list_objects, namespace, name).data.objects:
        STORAGE.delete_object(namespace, name, one.name)
    STORAGE.delete_bucket(namespace, name)


def storage():
    at = bucket()
    for number in range(3):
        STORAGE.put_object(*at, f"a dir/{number}", b"x" * number)
    same(STORAGE.get_object(*at, "a dir/2").data.content, b"xx")
    same(int(STORAGE.head_object(*at, "a dir/1").headers["content-length"]), 1)
    listed = everything(STORAGE.list_objects, *at, limit=1, fields="name,size").data.objects
    same([(one.name, one.size) for one in listed], [(f"a dir/{number}", number) for number in range(3)])
    refused(412, "IfNoneMatchFailed", STORAGE.put_object, *at, "a dir/1", b"other", if_none_match="*")
    refused(412, "IfMatchFailed", STORAGE.put_object, *at, "a dir/1", b"other", if_match="x")
    md5 = base64.b64encode(hashlib.md5(b"right").digest()).decode()
    STORAGE.put_object(*at, "sum", b"right", content_md5=md5)
    refused(400, "UnmatchedContentMD5", STORAGE.put_object, *at, "sum", b"wrong", content_md5=md5)
    same(STORAGE.get_object(*at, "sum").data.content, b"right")
    same(STORAGE.get_object(*at, "sum", range="bytes=1-3").data.content, b"igh")
    refused(416, "InvalidRange", STORAGE.get_object, *at, "sum", range="bytes=9-")
    refused(404, "ObjectNotFound", STORAGE.get_object, *at, "nothing")
    refused(404, "ObjectNotFound", STORAGE.delete_object, *at, "nothing")
    refused(404, "BucketNotFound", STORAGE.get_object, at[0], "nowhere", "nothing")
    refused(404, "NamespaceNotFound", STORAGE.get_bucket, "nobody", at[1])
    refused(409, "BucketNotEmpty", STORAGE.delete_bucket, *at)
    empty(*at)
    same(everything(STORAGE.list_buckets, at[0], TENANCY, limit=1).data, [])


def multipart():
    """By the SDK's own manager, and by hand."""
    at = bucket()
    body = os.urandom(3 << 20)
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        manager = UploadManager(STORAGE, allow_parallel_uploads=True)
        manager.upload_file(*at, "large", file.name, part_size=1 << 20)
    UploadManager(STORAGE).upload_stream(*at, "stream", io.BytesIO(body), part_size=1 << 20)
    for name in ("large", "stream"):
        got = STORAGE.get_object(*at, name)
        same(got.data.content == body, True, name)
        assert got.headers["opc-multipart-md5"].endswith("-3"), got.headers
    upload = STORAGE.create_multipart_upload(*at, CreateMultipartUploadDetails(object="by hand")).data.upload_id
    tags = [STORAGE.upload_part(*at, "by hand", upload, number, b"x").headers["etag"] for number in (1, 2)]
    parts = [CommitMultipartUploadPartDetails(part_num=number, etag=tag) for number, tag in enumerate(tags, 1)]
    details = CommitMultipartUploadDetails(parts_to_commit=parts[:1])
    refused(400, "InvalidUploadPart", STORAGE.commit_multipart_upload, *at, "by hand", upload, details)
    refused(409, "BucketNotEmpty", STORAGE.delete_bucket, *at)
    STORAGE.abort_multipart_upload(*at, "by hand", upload)
    details = CommitMultipartUploadDetails(parts_to_commit=parts)
    refused(404, "NoSuchUpload", STORAGE.commit_multipart_upload, *at, "by hand", upload, details)
    empty(*at)


def archive(disk):
    """The form that Oracle exports and imports: a disk and what is to be known of it."""
    options = {
        "firmware": "UEFI_64", "networkType": "PARAVIRTUALIZED", "bootVolumeType": "PARAVIRTUALIZED",
        "remoteDataVolumeType": "PARAVIRTUALIZED", "localDataVolumeType": "PARAVIRTUALIZED",
        "launchOptionsSource": "PARAVIRTUALIZED", "pvAttachmentVersion": 2, "pvEncryptionInTransitEnabled": True,
        "consistentVolumeNamingEnabled": True,
    }
    described = {
        "version": 2, "externalLaunchOptions": options, "operatingSystem": "Talos", "operatingSystemVersion": "1.14.6",
        "additionalMetadata": {"shapeCompatibilities": [{"internalShapeName": SHAPE}]},
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in (("image_metadata.json", json.dumps(described).encode()), ("output.QCOW2", disk)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def source(at, name, kind=None):
    details = ImageSourceViaObjectStorageTupleDetails(
        namespace_name=at[0], bucket_name=at[1], object_name=name, source_image_type=kind,
        operating_system="Talos", operating_system_version="1.14.6",
    )
    return CreateImageDetails(
        compartment_id=TENANCY, display_name="judge", freeform_tags=TAGS, launch_mode="PARAVIRTUALIZED",
        image_source_details=details,
    )


def images():
    at = bucket()
    disk = requests.get(DISK).content
    STORAGE.put_object(*at, "disk.qcow2", disk)
    STORAGE.put_object(*at, "disk.oci", archive(disk))
    STORAGE.put_object(*at, "no disk", b"no disk at all")
    refused(404, "NotAuthorizedOrNotFound", COMPUTE.create_image, source(at, "nothing"))
    operations = oci.core.ComputeClientCompositeOperations(COMPUTE, WORK)
    bad = operations.create_image_and_wait_for_work_request(source(at, "no disk"), waiter_kwargs=QUICK).data
    same(bad.status, "FAILED")
    assert [error.message for error in WORK.list_work_request_errors(bad.id).data]
    made = []
    for name, kind in (("disk.qcow2", "QCOW2"), ("disk.oci", None)):
        done = operations.create_image_and_wait_for_work_request(source(at, name, kind), waiter_kwargs=QUICK).data
        said = [error.message for error in WORK.list_work_request_errors(done.id).data]
        same((done.status, done.operation_type, said), ("SUCCEEDED", "CreateImage", []), name)
        made.append(COMPUTE.get_image(done.resources[0].identifier).data)
        same((made[-1].lifecycle_state, made[-1].freeform_tags, made[-1].size_in_mbs > 0), ("AVAILABLE", TAGS, True))
    same(made[1].launch_options.firmware, "UEFI_64")
    listed = paged(COMPUTE.list_images, TENANCY, display_name="judge", lifecycle_state="AVAILABLE")
    same({image.id for image in listed}, {image.id for image in made})
    shapes = lambda: [entry.shape for entry in COMPUTE.list_image_shape_compatibility_entries(made[1].id).data]
    assert SHAPE not in shapes(), "an imported image lacks it"
    COMPUTE.add_image_shape_compatibility_entry(made[1].id, SHAPE)
    assert SHAPE in shapes()
    for image in made:
        delete(COMPUTE, "image", image.id)
    empty(*at)


def patience():
    """What the SDK's default strategy repeats: 429 and 5xx; and what it does not."""
    client = open_client(oci.identity.IdentityClient, strategy=oci.retry.DEFAULT_RETRY_STRATEGY)
    path = "/20160918/regions"
    for status in (429, 500):
        with fault(f"oci status={status} on GET {path} times 1"):
            before = len(calls("oci", "GET", path))
            assert client.list_regions().data
            same(calls("oci", "GET", path)[before:], [status, 200])
    with fault(f"oci status=404 on GET {path} times 1"):
        refused(404, "NotAuthorizedOrNotFound", client.list_regions)


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
    for part in (signatures, identity, networks, tokens, pages, instances, storage, multipart, images, patience)
}

if __name__ == "__main__":
    run("oci", PARTS, sweep=sweep)

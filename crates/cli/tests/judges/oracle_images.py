"""Images: imported from objects, as work requests tell of it, and what may be said of them."""

import io
import json
import os
import tarfile

import oci
import requests
from oci.core.models import (
    CreateComputeImageCapabilitySchemaDetails,
    CreateImageDetails,
    EnumStringImageCapabilitySchemaDescriptor,
    ImageSourceViaObjectStorageTupleDetails,
    UpdateImageDetails,
)

from judge import same
from oracle_cloud import COMPUTE, QUICK, SHAPE, STORAGE, TAGS, TENANCY, WORK, delete, paged, refused
from oracle_storage import bucket, empty

# Talos without extensions, as the Image Factory names it.
SCHEMATIC = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"
DISK = f"{os.environ['BOUQUET_FACTORY_URL']}/image/{SCHEMATIC}/v1.14.6/oracle-arm64.qcow2"


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
    same(COMPUTE.update_image(made[0].id, UpdateImageDetails(freeform_tags={"more": "x"})).data.freeform_tags, {"more": "x"})
    capabilities(made[0])
    for image in made:
        delete(COMPUTE, "image", image.id)
    empty(*at)


def capabilities(image):
    """The schema that says which firmware an image is started with."""
    known = COMPUTE.list_compute_global_image_capability_schemas().data[0]
    firmware = lambda *words: {
        "Compute.Firmware": EnumStringImageCapabilitySchemaDescriptor(source="IMAGE", values=words, default_value=words[0])
    }
    details = CreateComputeImageCapabilitySchemaDetails(
        compartment_id=TENANCY, image_id=image.id, schema_data=firmware("UEFI_64"),
        compute_global_image_capability_schema_version_name=known.current_version_name,
    )
    made = COMPUTE.create_compute_image_capability_schema(details).data
    same(made.schema_data["Compute.Firmware"].values, ["UEFI_64"])
    refused(409, "Conflict", COMPUTE.create_compute_image_capability_schema, details)
    found = paged(COMPUTE.list_compute_image_capability_schemas, compartment_id=TENANCY, image_id=image.id)
    same([one.id for one in found], [made.id])
    details.schema_data = firmware("COREBOOT")
    refused(400, "InvalidParameter", COMPUTE.create_compute_image_capability_schema, details)
    COMPUTE.delete_compute_image_capability_schema(made.id)
    refused(404, "NotAuthorizedOrNotFound", COMPUTE.get_compute_image_capability_schema, made.id)

"""Oracle's own SDK, opened on the emulated cloud; what all its parts share."""

import json
import os
import time

import oci
from oci.pagination import list_call_get_all_results as everything

from judge import same

SHAPE = "VM.Standard.A1.Flex"
TAGS = {"judge": "oci"}
CONFIG = oci.config.from_file(os.environ["OCI_CLI_CONFIG_FILE"])
TENANCY = CONFIG["tenancy"]
ENDPOINT = os.environ["BOUQUET_OCI_ENDPOINT"]


def open_client(kind, config=CONFIG, strategy=None):
    """A client; every answer it gets is compared with the vendor's own models, which the SDK itself reads leniently."""
    client = kind(config, service_endpoint=ENDPOINT, retry_strategy=strategy or oci.retry.NoneRetryStrategy())
    read = client.base_client.deserialize_response_data

    def read_and_compare(data, *arguments):
        found = read(data, *arguments)
        compare(json.loads(data), found)
        return found

    client.base_client.deserialize_response_data = read_and_compare
    return client


# The models call it required; images of the vendor's own have none all the same.
NULL_IN_LIFE = {"Image.compartmentId"}
PRIMITIVES = {"str": str, "bool": bool, "int": int, "float": (int, float)}


def compare(raw, found):
    """A model has no other fields, all that are required, no word that its enumerations lack, no value of another type."""
    if isinstance(found, list):
        for part, model in zip(raw, found, strict=True):
            compare(part, model)
    elif isinstance(found, dict):
        for name, model in found.items():
            compare(raw[name], model)
    elif hasattr(found, "attribute_map"):
        kind = type(found)
        unknown = raw.keys() - found.attribute_map.values()
        assert not unknown, f"{kind.__name__} has no {sorted(unknown)}"
        for attribute, name in found.attribute_map.items():
            value, told = getattr(found, attribute), raw.get(name)
            is_needed = "**[Required]**" in (getattr(kind, attribute).__doc__ or "")
            is_needed &= f"{kind.__name__}.{name}" not in NULL_IN_LIFE
            assert value is not None or not is_needed, f"{kind.__name__}.{name} is missing"
            assert not (isinstance(value, str) and value == "UNKNOWN_ENUM_VALUE"), f"{kind.__name__}.{name} is never {told!r}"
            wanted = PRIMITIVES.get(found.swagger_types[attribute], object)
            assert told is None or isinstance(told, wanted), f"{kind.__name__}.{name} is no {wanted}: {told!r}"
            compare(told, value)


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


def available(name, at):
    return LIMITS.get_resource_availability("compute", name, TENANCY, availability_domain=at).data

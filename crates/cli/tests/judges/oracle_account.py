"""Who is asking: signatures, the tenancy, and how the SDK itself goes on."""

import email.utils
import json
import os
import time

import oci
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from oci.pagination import list_call_get_all_results as everything

from judge import calls, fault, same
from oracle_cloud import CONFIG, ENDPOINT, IDENTITY, NETWORK, TENANCY, available, open_client, refused

SIGNER = oci.Signer(TENANCY, CONFIG["user"], CONFIG["fingerprint"], CONFIG["key_file"])


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

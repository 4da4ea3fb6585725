"""Amazon's own client on the emulated object storage: every call that backups make, and how each is refused."""

import base64
import datetime
import hashlib
import os
import tempfile
import urllib.error
import urllib.request
import zlib
from contextlib import contextmanager
from unittest import mock

import boto3
import crc32c
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from judge import calls, fault, run, same

ENDPOINT = os.environ["AWS_ENDPOINT_URL_S3"]
BUCKET = "judged-by-boto3"
KEY = "a dir/ü&<key>+.txt"
AT = {"Bucket": BUCKET, "Key": KEY}


def client(retries=None, **options):
    secrets = {name: options.pop(name) for name in ("aws_access_key_id", "aws_secret_access_key") if name in options}
    config = Config(retries=retries or {"total_max_attempts": 1}, **options)
    return boto3.client("s3", region_name="nbg1", config=config, **secrets)


S3 = client()


def refused(code, status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ClientError as error:
        got = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        same(got, (code, status), getattr(call, "__name__", call))
        return
    raise AssertionError(f"{call} was not refused with {code}")


@contextmanager
def bucket():
    S3.create_bucket(Bucket=BUCKET)
    yield
    for page in S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            S3.delete_object(Bucket=BUCKET, Key=item["Key"])
    S3.delete_bucket(Bucket=BUCKET)


def sums(body):
    """Every checksum of a body that can be made here, as it is sent."""
    made = {
        "CRC32": zlib.crc32(body).to_bytes(4, "big"), "CRC32C": crc32c.crc32c(body).to_bytes(4, "big"),
        "SHA1": hashlib.sha1(body).digest(), "SHA256": hashlib.sha256(body).digest(),
    }
    return {kind: base64.b64encode(digest).decode() for kind, digest in made.items()}


def buckets():
    refused("404", 404, S3.head_bucket, Bucket=BUCKET)
    refused("NoSuchBucket", 404, S3.list_objects_v2, Bucket=BUCKET)
    refused("NoSuchBucket", 404, S3.put_object, **AT, Body=b"")
    S3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "nbg1"})
    S3.create_bucket(Bucket=BUCKET)
    refused("BucketAlreadyExists", 409, S3.create_bucket, Bucket="backups")
    elsewhere = {"LocationConstraint": "eu-west-1"}
    refused("InvalidLocationConstraint", 400, S3.create_bucket, Bucket="other", CreateBucketConfiguration=elsewhere)
    S3.head_bucket(Bucket=BUCKET)
    S3.get_waiter("bucket_exists").wait(Bucket=BUCKET, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    same([found["Name"] for found in S3.list_buckets()["Buckets"]], [BUCKET])
    same(S3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"], "nbg1")
    assert "Status" not in S3.get_bucket_versioning(Bucket=BUCKET)
    versioned = {"Status": "Enabled"}
    refused("NotImplemented", 501, S3.put_bucket_versioning, Bucket=BUCKET, VersioningConfiguration=versioned)
    refused("NotImplemented", 501, S3.list_object_versions, Bucket=BUCKET)
    refused("NoSuchLifecycleConfiguration", 404, S3.get_bucket_lifecycle_configuration, Bucket=BUCKET)
    refused("NoSuchBucketPolicy", 404, S3.get_bucket_policy, Bucket=BUCKET)
    S3.put_object(**AT, Body=b"")
    refused("NotImplemented", 501, S3.get_object, **AT, VersionId="1")
    refused("BucketNotEmpty", 409, S3.delete_bucket, Bucket=BUCKET)
    S3.delete_object(**AT)
    S3.delete_bucket(Bucket=BUCKET)
    same(S3.list_buckets()["Buckets"], [])


def objects():
    with bucket():
        body = b"tulips and lilies"
        kept = {"ContentType": "text/plain", "CacheControl": "no-store", "Metadata": {"made-by": "boto3"}}
        put = S3.put_object(**AT, Body=body, **kept)
        same(put["ETag"], f'"{hashlib.md5(body).hexdigest()}"')
        head = S3.head_object(**AT)
        same({name: head[name] for name in kept} | {"ContentLength": head["ContentLength"]}, kept | {"ContentLength": 17})
        same(S3.get_object(**AT)["Body"].read(), body)
        refused("NoSuchKey", 404, S3.get_object, Bucket=BUCKET, Key="nothing")
        refused("404", 404, S3.head_object, Bucket=BUCKET, Key="nothing")
        refused("KeyTooLongError", 400, S3.put_object, Bucket=BUCKET, Key="k" * 1025, Body=b"")
        S3.copy_object(Bucket=BUCKET, Key="copy", CopySource=AT)
        copy = S3.get_object(Bucket=BUCKET, Key="copy")
        same((copy["Body"].read(), copy["Metadata"], copy["ContentType"]), (body, {"made-by": "boto3"}, "text/plain"))
        itself = {"Bucket": BUCKET, "Key": "copy"}
        S3.copy_object(**itself, CopySource=itself, MetadataDirective="REPLACE", Metadata={"x": "y"})
        same(S3.head_object(**itself)["Metadata"], {"x": "y"})
        refused("InvalidRequest", 400, S3.copy_object, **itself, CopySource=itself)
        refused("NoSuchKey", 404, S3.copy_object, **itself, CopySource={"Bucket": BUCKET, "Key": "nothing"})
        S3.delete_object(**itself)
        S3.delete_object(**itself)
        listed = S3.list_objects_v2(Bucket=BUCKET)["Contents"]
        same([(entry["Key"], entry["ETag"], entry["Size"]) for entry in listed], [(KEY, put["ETag"], len(body))])


def ranges():
    with bucket():
        body = bytes(range(100))
        S3.put_object(**AT, Body=body)
        for asked, first, last in (("7-9", 7, 9), ("0-0", 0, 0), ("90-", 90, 99), ("-5", 95, 99), ("50-999", 50, 99)):
            part = S3.get_object(**AT, Range=f"bytes={asked}")
            same(part["Body"].read(), body[first : last + 1], asked)
            same((part["ContentRange"], part["ContentLength"]), (f"bytes {first}-{last}/100", last - first + 1))
            same(part["ResponseMetadata"]["HTTPStatusCode"], 206)
        refused("InvalidRange", 416, S3.get_object, **AT, Range="bytes=100-")


def conditions():
    with bucket():
        put = S3.put_object(**AT, Body=b"one", IfNoneMatch="*")
        refused("PreconditionFailed", 412, S3.put_object, **AT, Body=b"two", IfNoneMatch="*")
        refused("PreconditionFailed", 412, S3.put_object, **AT, Body=b"two", IfMatch='"0"')
        refused("NoSuchKey", 404, S3.put_object, Bucket=BUCKET, Key="nothing", Body=b"two", IfMatch=put["ETag"])
        same(S3.get_object(**AT)["Body"].read(), b"one", "nothing was written")
        changed = S3.put_object(**AT, Body=b"two", IfMatch=put["ETag"])
        same(S3.get_object(**AT, IfMatch=changed["ETag"])["Body"].read(), b"two")
        refused("PreconditionFailed", 412, S3.get_object, **AT, IfMatch=put["ETag"])
        refused("304", 304, S3.get_object, **AT, IfNoneMatch=changed["ETag"])
        modified = S3.head_object(**AT)["LastModified"]
        refused("304", 304, S3.get_object, **AT, IfModifiedSince=modified)
        refused("PreconditionFailed", 412, S3.get_object, **AT, IfUnmodifiedSince=modified - datetime.timedelta(hours=1))


def checksums():
    with bucket():
        body = b"tulips"
        for kind, value in sums(body).items():
            put = S3.put_object(**AT, Body=body, **{f"Checksum{kind}": value})
            same(put[f"Checksum{kind}"], value)
            got = S3.get_object(**AT, ChecksumMode="ENABLED")
            same((got["Body"].read(), got[f"Checksum{kind}"]), (body, value))
            wrong = {f"Checksum{kind}": sums(b"lilies")[kind]}
            refused("BadDigest", 400, S3.put_object, **AT, Body=body, **wrong)
        for kind in ("CRC32", "SHA1", "SHA256"):
            put = S3.put_object(**AT, Body=body, ChecksumAlgorithm=kind)
            same(put[f"Checksum{kind}"], sums(body)[kind], "made by the client")
        refused("BadDigest", 400, S3.put_object, **AT, Body=body, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
        refused("InvalidDigest", 400, S3.put_object, **AT, Body=body, ContentMD5="no digest")
        quiet = client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
        quiet.put_object(**AT, Body=b"no checksum")
        same(quiet.get_object(**AT)["Body"].read(), b"no checksum")
        with open(__file__, "rb") as file:
            # A stream goes in chunks, its checksum in a trailer.
            S3.put_object(**AT, Body=file)
        with open(__file__, "rb") as file:
            same(S3.get_object(**AT)["Body"].read(), file.read())
        with fault(f"s3 no-trailers for {BUCKET}"), open(__file__, "rb") as file:
            refused("XAmzContentSHA256Mismatch", 400, S3.put_object, **AT, Body=file)


def listings():
    with bucket():
        keys = sorted(f"{folder}/{number:03}" for folder in ("kopia", "velero", "z&") for number in range(17)) + ["zz"]
        for key in keys:
            S3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        for method in ("list_objects_v2", "list_objects"):
            pages = list(S3.get_paginator(method).paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 7}))
            same([entry["Key"] for page in pages for entry in page["Contents"]], keys, method)
            same(len(pages), 8)
            pages = S3.get_paginator(method).paginate(Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": 1})
            pages = list(pages)
            same([common["Prefix"] for page in pages for common in page.get("CommonPrefixes", [])], ["kopia/", "velero/", "z&/"])
            same([entry["Key"] for page in pages for entry in page.get("Contents", [])], ["zz"])
        some = S3.list_objects_v2(Bucket=BUCKET, Prefix="velero/", StartAfter="velero/014")
        same([entry["Key"] for entry in some["Contents"]], ["velero/015", "velero/016"])
        same((some["KeyCount"], some["IsTruncated"]), (2, False))
        same(S3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)["KeyCount"], 0)
        refused("InvalidArgument", 400, S3.list_objects_v2, Bucket=BUCKET, ContinuationToken="no token")
        named = {"Objects": [{"Key": "never was"}, *({"Key": key} for key in keys)]}
        gone = S3.delete_objects(Bucket=BUCKET, Delete=named)
        same((len(gone["Deleted"]), gone.get("Errors")), (len(keys) + 1, None))
        same(S3.list_objects_v2(Bucket=BUCKET)["KeyCount"], 0)


def part(upload, number, body):
    tag = S3.upload_part(**AT, UploadId=upload, PartNumber=number, Body=body)["ETag"]
    return {"PartNumber": number, "ETag": tag}


def complete(upload, parts, **more):
    return S3.complete_multipart_upload(**AT, UploadId=upload, MultipartUpload={"Parts": parts}, **more)


def multipart():
    with bucket():
        first, last = os.urandom(5 << 20), b"the rest"
        upload = S3.create_multipart_upload(**AT, ContentType="application/x-large")["UploadId"]
        parts = [part(upload, 2, last), part(upload, 1, first)][::-1]
        listed = S3.list_parts(**AT, UploadId=upload, MaxParts=1)
        same((len(listed["Parts"]), listed["IsTruncated"]), (1, True))
        pages = S3.get_paginator("list_parts").paginate(**AT, UploadId=upload, PaginationConfig={"PageSize": 1})
        same([one["Size"] for page in pages for one in page["Parts"]], [len(first), len(last)])
        found = S3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
        same([(one["Key"], one["UploadId"]) for one in found], [(KEY, upload)])
        refused("InvalidPartOrder", 400, complete, upload, parts[::-1])
        refused("InvalidPart", 400, complete, upload, [{"PartNumber": 1, "ETag": '"0"'}])
        refused("NoSuchKey", 404, S3.get_object, **AT)
        done = complete(upload, parts, IfNoneMatch="*")
        digests = hashlib.md5(first).digest() + hashlib.md5(last).digest()
        same(done["ETag"], f'"{hashlib.md5(digests).hexdigest()}-2"')
        got = S3.get_object(**AT)
        same((got["Body"].read() == first + last, got["ContentType"]), (True, "application/x-large"))
        refused("NoSuchUpload", 404, complete, upload, parts)
        upload = S3.create_multipart_upload(**AT)["UploadId"]
        refused("EntityTooSmall", 400, complete, upload, [part(upload, 1, b"x"), part(upload, 2, b"x")])
        S3.abort_multipart_upload(**AT, UploadId=upload)
        refused("NoSuchUpload", 404, S3.list_parts, **AT, UploadId=upload)
        assert "Uploads" not in S3.list_multipart_uploads(Bucket=BUCKET)


def presigned():
    with bucket():
        put = S3.generate_presigned_url("put_object", Params=AT, ExpiresIn=60)
        same(fetch(urllib.request.Request(put, data=b"by url", method="PUT", headers={"Content-Type": ""}))[0], 200)
        get = S3.generate_presigned_url("get_object", Params=AT, ExpiresIn=60)
        same(fetch(get), (200, b"by url"))
        same(fetch(get.replace("a%20dir", "other"))[0], 403, "another key needs another signature")
        same(fetch(urllib.request.Request(get, method="DELETE"))[0], 403, "and so does another method")
        assert b"SignatureDoesNotMatch" in fetch(get[:-1] + ("0" if get[-1] != "0" else "1"))[1]
        with clock_off(minutes=-2):
            late = S3.generate_presigned_url("get_object", Params=AT, ExpiresIn=60)
        same(fetch(late)[0], 403, "its time is over")
        assert b"<Code>AccessDenied</Code>" in fetch(f"{ENDPOINT}/{BUCKET}/x")[1], "buckets are private"


def fetch(request):
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def clock_off(**by):
    """The client's clock is off."""
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**by)
    return mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: then)


def signatures():
    access, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    refused("InvalidAccessKeyId", 403, client(aws_access_key_id="A" * 20, aws_secret_access_key="x").list_buckets)
    refused("SignatureDoesNotMatch", 403, client(aws_access_key_id=access, aws_secret_access_key="x").list_buckets)
    with clock_off(minutes=-16):
        refused("RequestTimeTooSkewed", 403, S3.list_buckets)
    with clock_off(minutes=14):
        S3.list_buckets()
    with bucket():
        client(s3={"payload_signing_enabled": True}).put_object(**AT, Body=b"signed body")
        same(S3.get_object(**AT)["Body"].read(), b"signed body")
        request = AWSRequest("PUT", f"{ENDPOINT}/{BUCKET}/x", data=b"signed", headers={"X-Amz-Content-SHA256": "0"})
        request.headers.replace_header("X-Amz-Content-SHA256", hashlib.sha256(b"signed").hexdigest())
        SigV4Auth(Credentials(access, secret), "s3", "nbg1").add_auth(request)
        headers = dict(request.headers.items())
        forged = urllib.request.Request(f"{ENDPOINT}/{BUCKET}/x", data=b"forged", method="PUT", headers=headers)
        status, said = fetch(forged)
        assert status == 400 and b"XAmzContentSHA256Mismatch" in said, (status, said)


def transfers():
    """boto3's own transfer manager: multipart both ways, in threads."""
    with bucket(), tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "large")
        with open(path, "wb") as file:
            file.write(os.urandom(12 << 20))
        S3.upload_file(path, BUCKET, KEY)
        S3.download_file(BUCKET, KEY, path + ".back")
        with open(path, "rb") as sent, open(path + ".back", "rb") as back:
            same(sent.read() == back.read(), True)


def patience():
    """What the client repeats by itself: 503 and 500, twice unless told otherwise."""
    patient = client(retries={"mode": "standard", "total_max_attempts": 3})
    with bucket():
        S3.put_object(Bucket=BUCKET, Key="x", Body=b"x")
        path = f"/{BUCKET}/x"
        for status in (503, 500):
            with fault(f"s3 status={status} on GET {path} times 2"):
                before = len(calls("s3", "GET", path))
                same(patient.get_object(Bucket=BUCKET, Key="x")["Body"].read(), b"x")
                same(calls("s3", "GET", path)[before:], [status, status, 200])


PARTS = {
    part.__name__: part
    for part in (
        buckets, objects, ranges, conditions, checksums, listings, multipart, presigned, signatures, transfers, patience,
    )
}

if __name__ == "__main__":
    run("boto3", PARTS)

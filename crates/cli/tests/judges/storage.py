"""Amazon's own client on the emulated object storage: every call that backups make, and how each is refused."""

import hashlib
import os
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["AWS_ENDPOINT_URL_S3"]
BUCKET = "judged-by-boto3"


def client(**options):
    secrets = {name: options.pop(name) for name in ("aws_access_key_id", "aws_secret_access_key") if name in options}
    config = Config(retries={"max_attempts": 1}, **options)
    return boto3.client("s3", region_name="nbg1", config=config, **secrets)


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        got = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert got == (code, status), f"{call.__name__}: {got} instead of {(code, status)}"
        return
    raise AssertionError(f"{call.__name__} was not refused with {code}")


def buckets(s3):
    refused("404", 404, s3.head_bucket, Bucket=BUCKET)
    refused("NoSuchBucket", 404, s3.list_objects_v2, Bucket=BUCKET)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "nbg1"})
    s3.create_bucket(Bucket=BUCKET)
    refused("BucketAlreadyExists", 409, s3.create_bucket, Bucket="backups")
    refused(
        "InvalidLocationConstraint", 400, s3.create_bucket,
        Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )
    s3.head_bucket(Bucket=BUCKET)
    s3.get_waiter("bucket_exists").wait(Bucket=BUCKET, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [BUCKET]
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == "nbg1"
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    refused("NoSuchLifecycleConfiguration", 404, s3.get_bucket_lifecycle_configuration, Bucket=BUCKET)


def objects(s3):
    body = b"tulips and lilies"
    put = s3.put_object(
        Bucket=BUCKET, Key="a dir/ü&<key>+.txt", Body=body, ContentType="text/plain", CacheControl="no-store",
        Metadata={"made-by": "boto3"},
    )
    etag = hashlib.md5(body).hexdigest()
    assert put["ETag"] == f'"{etag}"', put["ETag"]
    head = s3.head_object(Bucket=BUCKET, Key="a dir/ü&<key>+.txt")
    assert (head["ContentLength"], head["ContentType"], head["CacheControl"]) == (len(body), "text/plain", "no-store")
    assert head["Metadata"] == {"made-by": "boto3"}
    got = s3.get_object(Bucket=BUCKET, Key="a dir/ü&<key>+.txt", ChecksumMode="ENABLED")
    assert got["Body"].read() == body and "ChecksumCRC32" in got
    part = s3.get_object(Bucket=BUCKET, Key="a dir/ü&<key>+.txt", Range="bytes=7-9")
    assert (part["Body"].read(), part["ContentRange"]) == (b"and", f"bytes 7-9/{len(body)}")
    at = {"Bucket": BUCKET, "Key": "a dir/ü&<key>+.txt"}
    refused("InvalidRange", 416, s3.get_object, **at, Range="bytes=99-")
    refused("304", 304, s3.get_object, **at, IfNoneMatch=put["ETag"])
    refused("304", 304, s3.get_object, **at, IfModifiedSince=head["LastModified"])
    refused("PreconditionFailed", 412, s3.get_object, **at, IfMatch='"0"')
    refused("PreconditionFailed", 412, s3.put_object, **at, Body=b"", IfNoneMatch="*")
    refused("PreconditionFailed", 412, s3.put_object, **at, Body=b"", IfMatch='"0"')
    refused("NoSuchKey", 404, s3.get_object, Bucket=BUCKET, Key="nothing")
    refused("404", 404, s3.head_object, Bucket=BUCKET, Key="nothing")
    refused("BadDigest", 400, s3.put_object, Bucket=BUCKET, Key="x", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    s3.put_object(Bucket=BUCKET, Key="new", Body=b"", IfNoneMatch="*")
    s3.put_object(Bucket=BUCKET, Key="sum", Body=b"sum", ChecksumAlgorithm="SHA256")
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "a dir/ü&<key>+.txt"})
    copy = s3.get_object(Bucket=BUCKET, Key="copy")
    assert (copy["Body"].read(), copy["Metadata"]) == (body, {"made-by": "boto3"})
    for key in ("new", "sum", "copy", "copy"):
        s3.delete_object(Bucket=BUCKET, Key=key)
    listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [entry["Key"] for entry in listed] == ["a dir/ü&<key>+.txt"], listed
    assert (listed[0]["ETag"], listed[0]["Size"]) == (f'"{etag}"', len(body))
    s3.delete_object(**at)


def listings(s3):
    keys = sorted(f"{folder}/{number:03}" for folder in ("kopia", "velero", "z&") for number in range(17)) + ["zz"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    for method in ("list_objects_v2", "list_objects"):
        pages = list(s3.get_paginator(method).paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 7}))
        assert len(pages) == 8 and [entry["Key"] for page in pages for entry in page["Contents"]] == keys, method
        pages = s3.get_paginator(method).paginate(Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": 1})
        found = [common["Prefix"] for page in pages for common in page.get("CommonPrefixes", [])]
        assert found == ["kopia/", "velero/", "z&/"], (method, found)
    some = s3.list_objects_v2(Bucket=BUCKET, Prefix="velero/", StartAfter="velero/014")
    assert [entry["Key"] for entry in some["Contents"]] == ["velero/015", "velero/016"] and some["KeyCount"] == 2
    refused("InvalidArgument", 400, s3.list_objects_v2, Bucket=BUCKET, ContinuationToken="no token")
    refused("BucketNotEmpty", 409, s3.delete_bucket, Bucket=BUCKET)
    gone = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in [*keys, "never was"]]})
    assert len(gone["Deleted"]) == len(keys) + 1 and "Errors" not in gone
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def multipart(s3):
    first, last = os.urandom(5 << 20), b"the rest"
    at = {"Bucket": BUCKET, "Key": "large/one"}
    upload = s3.create_multipart_upload(**at, ContentType="application/x-large")["UploadId"]
    parts = []
    for number, body in ((1, first), (2, last)):
        tag = s3.upload_part(**at, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    listed = s3.list_parts(**at, UploadId=upload, MaxParts=1)
    assert (len(listed["Parts"]), listed["IsTruncated"]) == (1, True)
    pages = s3.get_paginator("list_parts").paginate(**at, UploadId=upload, PaginationConfig={"PageSize": 1})
    assert [part["Size"] for page in pages for part in page["Parts"]] == [len(first), len(last)]
    found = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [(one["Key"], one["UploadId"]) for one in found] == [("large/one", upload)]
    complete = lambda **more: s3.complete_multipart_upload(**at, UploadId=upload, **more)
    complete.__name__ = "complete_multipart_upload"
    refused("InvalidPartOrder", 400, complete, MultipartUpload={"Parts": parts[::-1]})
    wrong = [{"PartNumber": 1, "ETag": '"0"'}]
    refused("InvalidPart", 400, complete, MultipartUpload={"Parts": wrong})
    done = complete(MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    digests = hashlib.md5(first).digest() + hashlib.md5(last).digest()
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    got = s3.get_object(**at)
    assert (got["Body"].read(), got["ContentType"]) == (first + last, "application/x-large")
    refused("NoSuchUpload", 404, complete, MultipartUpload={"Parts": parts})

    upload = s3.create_multipart_upload(**at)["UploadId"]
    small = [
        {"PartNumber": number, "ETag": s3.upload_part(**at, UploadId=upload, PartNumber=number, Body=b"x")["ETag"]}
        for number in (1, 2)
    ]
    refused("EntityTooSmall", 400, complete_of(s3, at, upload), MultipartUpload={"Parts": small})
    s3.abort_multipart_upload(**at, UploadId=upload)
    refused("NoSuchUpload", 404, s3.list_parts, **at, UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    s3.delete_object(**at)


def complete_of(s3, at, upload):
    def complete_multipart_upload(**more):
        return s3.complete_multipart_upload(**at, UploadId=upload, **more)

    return complete_multipart_upload


def presigned(s3):
    put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "pre signed"}, ExpiresIn=60)
    fetch(urllib.request.Request(put, data=b"by url", method="PUT", headers={"Content-Type": ""}))
    get = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "pre signed"}, ExpiresIn=60)
    assert fetch(get) == (200, b"by url")
    assert fetch(get.replace("pre%20signed", "other"))[0] == 403, "another key needs another signature"
    assert b"SignatureDoesNotMatch" in fetch(get[:-1] + ("0" if get[-1] != "0" else "1"))[1]
    late = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "pre signed"}, ExpiresIn=-1)
    assert fetch(late)[0] == 403
    assert b"<Code>AccessDenied</Code>" in fetch(f"{ENDPOINT}/{BUCKET}/pre%20signed")[1], "buckets are private"
    s3.delete_object(Bucket=BUCKET, Key="pre signed")


def fetch(request):
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def signatures():
    refused("InvalidAccessKeyId", 403, client(aws_access_key_id="A" * 20, aws_secret_access_key="x").list_buckets)
    access = os.environ["AWS_ACCESS_KEY_ID"]
    refused(
        "SignatureDoesNotMatch", 403, client(aws_access_key_id=access, aws_secret_access_key="x").list_buckets
    )
    signed = client(s3={"payload_signing_enabled": True})
    signed.put_object(Bucket=BUCKET, Key="signed", Body=b"signed body")
    quiet = client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    quiet.put_object(Bucket=BUCKET, Key="signed", Body=b"no checksum")
    assert quiet.get_object(Bucket=BUCKET, Key="signed")["Body"].read() == b"no checksum"
    with open(__file__, "rb") as file:
        client().put_object(Bucket=BUCKET, Key="signed", Body=file)
    with open(__file__, "rb") as file:
        assert client().get_object(Bucket=BUCKET, Key="signed")["Body"].read() == file.read()
    client().delete_object(Bucket=BUCKET, Key="signed")


def transfers(s3, folder):
    """boto3's own transfer manager: multipart both ways, in threads."""
    path = os.path.join(folder, "large")
    with open(path, "wb") as file:
        file.write(os.urandom(12 << 20))
    s3.upload_file(path, BUCKET, "transfer")
    s3.download_file(BUCKET, "transfer", path + ".back")
    with open(path, "rb") as sent, open(path + ".back", "rb") as back:
        assert sent.read() == back.read()
    s3.delete_object(Bucket=BUCKET, Key="transfer")


if __name__ == "__main__":
    import tempfile

    s3 = client()
    buckets(s3)
    objects(s3)
    listings(s3)
    multipart(s3)
    presigned(s3)
    signatures()
    with tempfile.TemporaryDirectory() as folder:
        transfers(s3, folder)
    s3.delete_bucket(Bucket=BUCKET)
    assert s3.list_buckets()["Buckets"] == []
    print("boto3 is content")

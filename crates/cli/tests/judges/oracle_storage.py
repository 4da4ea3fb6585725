"""Buckets and objects, in one piece and in parts."""

import base64
import hashlib
import io
import os
import tempfile

from oci.object_storage import UploadManager
from oci.object_storage.models import (
    CommitMultipartUploadDetails,
    CommitMultipartUploadPartDetails,
    CreateBucketDetails,
    CreateMultipartUploadDetails,
)
from oci.pagination import list_call_get_all_results as everything

from judge import same
from oracle_cloud import STORAGE, TAGS, TENANCY, refused


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
    same([one.object for one in everything(STORAGE.list_multipart_uploads, *at, limit=1).data], ["by hand"])
    refused(409, "BucketNotEmpty", STORAGE.delete_bucket, *at)
    STORAGE.abort_multipart_upload(*at, "by hand", upload)
    details = CommitMultipartUploadDetails(parts_to_commit=parts)
    refused(404, "NoSuchUpload", STORAGE.commit_multipart_upload, *at, "by hand", upload, details)
    empty(*at)

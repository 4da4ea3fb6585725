//! Errors, in S3's words and Ceph's shape.

use super::xml::Writer;
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;

/// What a call comes to.
pub(super) type Answer = Result<Response, Refusal>;

/// Code, status, and what Ceph says with it; it says nothing with most.
const CODES: &[(&str, u16, &str)] = &[
    ("AccessDenied", 403, ""),
    ("AuthorizationHeaderMalformed", 400, "The authorization header is malformed"),
    ("BadDigest", 400, ""),
    ("BucketAlreadyExists", 409, ""),
    ("BucketNotEmpty", 409, ""),
    ("EntityTooLarge", 400, ""),
    ("EntityTooSmall", 400, ""),
    ("IncompleteBody", 400, ""),
    ("InvalidAccessKeyId", 403, ""),
    ("InvalidArgument", 400, ""),
    ("InvalidBucketName", 400, ""),
    ("InvalidDigest", 400, ""),
    ("InvalidLocationConstraint", 400, "The specified location-constraint is not valid"),
    ("InvalidPart", 400, ""),
    ("InvalidPartOrder", 400, ""),
    ("InvalidRange", 416, ""),
    ("InvalidRequest", 400, ""),
    ("KeyTooLongError", 400, ""),
    ("MalformedXML", 400, ""),
    ("MethodNotAllowed", 405, ""),
    ("MissingContentLength", 411, ""),
    ("NoSuchBucket", 404, ""),
    ("NoSuchBucketPolicy", 404, "The bucket policy does not exist"),
    ("NoSuchCORSConfiguration", 404, "The CORS configuration does not exist"),
    ("NoSuchKey", 404, ""),
    ("NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"),
    ("NoSuchTagSet", 404, "The TagSet does not exist"),
    ("NoSuchUpload", 404, ""),
    ("NotImplemented", 501, ""),
    ("ObjectLockConfigurationNotFoundError", 404, ""),
    ("PreconditionFailed", 412, ""),
    ("RequestTimeTooSkewed", 403, ""),
    ("ServerSideEncryptionConfigurationNotFoundError", 404, ""),
    ("SignatureDoesNotMatch", 403, ""),
    ("TooManyBuckets", 400, ""),
    ("XAmzContentSHA256Mismatch", 400, ""),
];

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub code: &'static str,
    message: String,
}

impl Refusal {
    /// With what Ceph says.
    pub(super) fn of(code: &'static str) -> Self {
        let message = CODES.iter().find(|(known, _, _)| *known == code).map_or("", |(_, _, message)| message);
        Refusal { code, message: message.to_owned() }
    }

    /// With words of its own.
    pub(super) fn saying(code: &'static str, message: impl Into<String>) -> Self {
        Refusal { code, message: message.into() }
    }

    pub(super) fn response(&self, bucket: &str, request_id: &str, is_head: bool) -> Response {
        let status = CODES.iter().find(|(known, _, _)| *known == self.code).map_or(500, |(_, status, _)| *status);
        let mut xml = Writer::new();
        xml.within("Error", |xml| {
            xml.element("Code", self.code);
            xml.element("Message", &self.message);
            if !bucket.is_empty() {
                xml.element("BucketName", bucket);
            }
            xml.element("RequestId", request_id);
            xml.element("HostId", "greenhouse-nbg1-prod1-ceph3");
        });
        let body = if is_head { Body::empty() } else { Body::from(xml.done()) };
        let response = Response::builder().status(status).header("content-type", "application/xml");
        response.body(body).unwrap_or_default()
    }
}

/// An XML document.
pub(super) fn document(xml: Writer) -> Response {
    let response = Response::builder().header("content-type", "application/xml").body(Body::from(xml.done()));
    response.unwrap_or_default()
}

/// No words.
pub(super) fn empty(status: StatusCode) -> Response {
    Response::builder().status(status).header("content-length", "0").body(Body::empty()).unwrap_or_default()
}

/// 204, which has no length.
pub(super) fn no_content() -> Response {
    Response::builder().status(StatusCode::NO_CONTENT).body(Body::empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_each_there_once() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}

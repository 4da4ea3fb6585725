//! Object storage: the bucket that images pass through, and objects in many parts.

use super::Oci;
use super::api::{Ask, Payload, Service, escape, header};
use super::change::gone_is_fine;
use super::mark;
use super::model::{Bucket, null_is_default};
use super::sort::json;
use crate::{Error, Why};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use wire::{Line, Repeat};

/// An object's place.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub region: String,
    pub namespace: String,
    pub bucket: String,
    pub name: String,
}

impl Object {
    fn path(&self, kind: char) -> String {
        format!("/n/{}/b/{}/{kind}/{}", escape(&self.namespace), escape(&self.bucket), escape(&self.name))
    }
}

/// A part that has arrived.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// From 1.
    pub number: u32,
    pub etag: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Upload {
    upload_id: String,
    #[serde(default)]
    object: String,
}

#[derive(Clone, Deserialize)]
struct Objects {
    #[serde(default, deserialize_with = "null_is_default")]
    objects: Vec<Named>,
    #[serde(default, rename = "nextStartWith")]
    next: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Named {
    name: String,
}

impl Oci {
    /// The tenancy's object storage namespace.
    pub(super) async fn namespace(&self, line: &Line, region: &str) -> Result<String, Error> {
        let ask = Ask::<String>::get("oci GET /n", Service::ObjectStorage, "/n".to_owned());
        self.send(line, region, &ask).await
    }

    /// Makes the bucket, or finds that it is there with our mark.
    pub(super) async fn ensure_bucket(&self, line: &Line, object: &Object, cluster: &str) -> Result<(), Error> {
        let (namespace, bucket) = (escape(&object.namespace), escape(&object.bucket));
        let body = json!({
            "name": object.bucket,
            "compartmentId": self.config.compartment,
            "publicAccessType": "NoPublicAccess",
            "freeformTags": mark::shared(cluster),
        });
        let get = Ask::<Bucket>::get("oci GET /b/ID", Service::ObjectStorage, format!("/n/{namespace}/b/{bucket}"));
        let there = match self.send(line, &object.region, &get).await {
            Ok(there) => there,
            Err(error) if error.why == Why::NotFound => {
                let post =
                    Ask::<Bucket>::post("oci POST /b", Service::ObjectStorage, format!("/n/{namespace}/b"), &body);
                match self.send(line, &object.region, &post).await {
                    Ok(_) => return Ok(()),
                    // Another image's making came first.
                    Err(error) if error.why == Why::Taken => self.send(line, &object.region, &get).await?,
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        if mark::is_of(&there.freeform_tags, cluster) {
            return Ok(());
        }
        let message = format!("there is a bucket {} without the mark of cluster {cluster}", object.bucket);
        Err(Error { call: "oci POST /b", why: Why::Taken, vendor_code: None, message })
    }

    /// Whether the object is there: one that is, is whole, as parts show only once they are committed.
    pub(super) async fn has_object(&self, line: &Line, object: &Object) -> Result<bool, Error> {
        let ask = Ask::plain("oci HEAD /o/ID", Service::ObjectStorage, Method::HEAD, object.path('o'));
        match self.send(line, &object.region, &ask).await {
            Ok(()) => Ok(true),
            Err(error) if error.why == Why::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete_object(&self, line: &Line, object: &Object) -> Result<(), Error> {
        let ask = Ask::plain("oci DELETE /o/ID", Service::ObjectStorage, Method::DELETE, object.path('o'));
        gone_is_fine(self.send(line, &object.region, &ask).await)
    }

    pub(super) async fn begin_upload(&self, line: &Line, object: &Object) -> Result<String, Error> {
        let path = format!("/n/{}/b/{}/u", escape(&object.namespace), escape(&object.bucket));
        let ask = Ask::<Upload>::post("oci POST /u", Service::ObjectStorage, path, &json!({"object": object.name}));
        Ok(self.send(line, &object.region, &ask).await?.upload_id)
    }

    pub(super) async fn upload_part(
        &self,
        line: &Line,
        object: &Object,
        upload: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<Part, Error> {
        let path = format!("{}?uploadId={}&uploadPartNum={number}", object.path('u'), escape(upload));
        let ask: Ask<String> = Ask {
            body: Payload::Bytes(bytes),
            ..Ask::new("oci PUT /u/ID", Service::ObjectStorage, Method::PUT, path, |call, answer| {
                header(call, answer, "etag")
            })
        };
        Ok(Part { number, etag: self.send(line, &object.region, &ask).await? })
    }

    pub(super) async fn commit_upload(
        &self,
        line: &Line,
        object: &Object,
        upload: &str,
        parts: &[Part],
    ) -> Result<(), Error> {
        let parts: Vec<_> = parts.iter().map(|part| json!({"partNum": part.number, "etag": part.etag})).collect();
        let path = format!("{}?uploadId={}", object.path('u'), escape(upload));
        let ask = Ask {
            body: Payload::Json(json!({"partsToCommit": parts}).to_string().into()),
            repeat: Repeat::Never,
            ..Ask::plain("oci POST /u/ID", Service::ObjectStorage, Method::POST, path)
        };
        self.send(line, &object.region, &ask).await
    }

    /// Drops what earlier runs left half sent: of `only` one object, or of all. Parts cost money until they are gone.
    pub(super) async fn abort_uploads(&self, line: &Line, bucket: &Object, only: Option<&str>) -> Result<(), Error> {
        let path = format!("/n/{}/b/{}/u", escape(&bucket.namespace), escape(&bucket.bucket));
        let ask = Ask::list("oci GET /u", Service::ObjectStorage, &path, &[]);
        let uploads: Vec<Upload> = self.all(line, &bucket.region, ask).await?;
        for upload in uploads.into_iter().filter(|upload| only.is_none_or(|name| upload.object == name)) {
            let object = Object { name: upload.object, ..bucket.clone() };
            let path = format!("{}?uploadId={}", object.path('u'), escape(&upload.upload_id));
            let ask = Ask::plain("oci DELETE /u/ID", Service::ObjectStorage, Method::DELETE, path);
            gone_is_fine(self.send(line, &bucket.region, &ask).await)?;
        }
        Ok(())
    }

    /// Empties and deletes a bucket of ours.
    pub(super) async fn delete_bucket(&self, line: &Line, region: &str, name: &str) -> Result<(), Error> {
        let bucket = Object {
            region: region.to_owned(),
            namespace: self.namespace(line, region).await?,
            bucket: name.to_owned(),
            name: String::new(),
        };
        match self.empty(line, &bucket).await {
            Err(error) if error.why == Why::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.drop_bucket(line, &bucket).await,
        }
    }

    async fn empty(&self, line: &Line, bucket: &Object) -> Result<(), Error> {
        self.abort_uploads(line, bucket, None).await?;
        let base = format!("/n/{}/b/{}/o", escape(&bucket.namespace), escape(&bucket.bucket));
        let mut start = String::new();
        loop {
            let path = format!("{base}?limit=1000&start={}", escape(&start));
            let ask = Ask::new("oci GET /o", Service::ObjectStorage, Method::GET, path, json::<Objects>);
            let page = self.send(line, &bucket.region, &ask).await?;
            for one in page.objects {
                self.delete_object(line, &Object { name: one.name, ..bucket.clone() }).await?;
            }
            match page.next {
                // The listing only ever goes forward; a server that says otherwise would keep us for ever.
                Some(next) if next > start => start = next,
                _ => return Ok(()),
            }
        }
    }

    /// Deletes the bucket, which must be empty.
    pub(super) async fn drop_bucket(&self, line: &Line, bucket: &Object) -> Result<(), Error> {
        let path = format!("/n/{}/b/{}", escape(&bucket.namespace), escape(&bucket.bucket));
        let ask = Ask::plain("oci DELETE /b/ID", Service::ObjectStorage, Method::DELETE, path);
        gone_is_fine(self.send(line, &bucket.region, &ask).await)
    }
}

//! Making a custom image: factory → `.oci` archive in a bucket → import → bucket emptied → shapes, firmware → mark.
//!
//! Each step looks for what an earlier run has left and goes on from there: a bootable image, an image under way, a
//! whole object, half an upload (dropped). Only an image that went all the way gets the tag that makes it usable.

use super::Oci;
use super::api::{Ask, Payload, Service, escape};
use super::archive::{ARM_SHAPE, Archive, firmware, metadata};
use super::create::invalid;
use super::find::place;
use super::found::{Names, found};
use super::mark::{self, IMAGE, OCI};
use super::model::{Image as ImageDetail, Listed};
use super::sort::json as read_json;
use super::source::{Source, wrong};
use super::storage::Object;
use crate::{Arch, Error, Found, Image, ImageOrder, Progress, State, Why};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use wire::{Line, Pace, Repeat};

/// Part of an upload: Oracle takes 10 MiB to 50 GiB, 10,000 parts at most; one is held in memory.
const PART_BYTES: usize = 32 << 20;
/// Imports take tens of minutes; what takes longer than this hangs.
const IMPORT_MAX: Duration = Duration::from_mins(90);

type ListedImage = Listed<ImageDetail>;

/// What an import answers with.
struct Import {
    image: ListedImage,
    work_request: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GlobalSchema {
    #[serde(default)]
    current_version_name: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Words {
    #[serde(default)]
    message: String,
}

impl Oci {
    pub(super) async fn image(&self, line: &Line, order: &ImageOrder, progress: &dyn Progress) -> Result<Found, Error> {
        let key = mark::image_key(&order.cluster, &order.image);
        let region = order.image.region.as_str();
        let before = self.images(line, order).await?;
        if let Some(usable) = before.iter().find_map(|one| usable(one, order)) {
            return Ok(usable);
        }
        let object = Object {
            region: region.to_owned(),
            namespace: self.namespace(line, region).await?,
            bucket: mark::bucket_name(&order.cluster),
            name: format!("{}.oci", key.name),
        };
        let under_way = before.into_iter().find(|one| !is_lost(one));
        let (image, work_request) = if let Some(image) = under_way {
            (image, None)
        } else {
            self.upload(line, &object, order, progress).await?;
            let import = self.import(line, &object, order).await?;
            (import.image, import.work_request)
        };
        let imported = self.imported(line, region, &image.id, work_request.as_deref(), progress).await;
        if imported.is_ok() || imported.as_ref().is_err_and(|error| error.why == Why::Invalid) {
            // Before the tag that ends it all, so that a run which is cut off comes by here again; and an archive that
            // Oracle could not import is not offered to it twice.
            self.clear_up(line, &object).await?;
        }
        imported?;
        self.fit_shapes(line, order, &image.id).await?;
        self.fit_firmware(line, order, &image.id).await?;
        let done = self.tag_bootable(line, order, &image.id).await?;
        usable(&done, order).ok_or_else(|| invalid("oci PUT /images/ID", "the image lost its mark".to_owned()))
    }

    /// All images of this name that bear the mark.
    async fn images(&self, line: &Line, order: &ImageOrder) -> Result<Vec<ListedImage>, Error> {
        let none = || invalid("oci GET /images", "images are not listed anywhere".to_owned());
        let place = place(IMAGE).ok_or_else(none)?;
        let name = mark::image_key(&order.cluster, &order.image).name;
        let query = [("compartmentId", self.config.compartment.as_str()), ("displayName", name.as_str())];
        let ask = Ask::list(place.list, Service::Core, place.path, &query);
        let mut all: Vec<ListedImage> = self.all(line, &order.image.region, ask).await?;
        all.retain(|one| {
            let is_same = mark::image_of(&one.freeform_tags, &order.image.region).as_ref() == Some(&order.image);
            is_same && mark::is_of(&one.freeform_tags, &order.cluster)
        });
        Ok(all)
    }

    async fn upload(
        &self,
        line: &Line,
        object: &Object,
        order: &ImageOrder,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        self.ensure_bucket(line, object, &order.cluster).await?;
        if self.has_object(line, object).await? {
            return Ok(());
        }
        self.abort_uploads(line, object, Some(&object.name)).await?;
        let mut source = Source::open(line, &order.source).await?;
        let cut = |error: std::io::Error| wrong(Why::Trouble, error.to_string());
        let mut archive = Archive::new(&metadata(&order.image), source.bytes).map_err(cut)?;
        let upload = self.begin_upload(line, object).await?;
        let (mut parts, mut done_bytes) = (Vec::new(), 0);
        while let Some(piece) = source.next(line).await? {
            archive.write(&piece).map_err(cut)?;
            done_bytes += piece.len() as u64;
            progress.at("uploading image", done_bytes, source.bytes);
            while let Some(part) = archive.take(PART_BYTES) {
                parts.push(self.part(line, object, &upload, parts.len(), part).await?);
            }
        }
        let last = archive.finish().map_err(cut)?;
        parts.push(self.part(line, object, &upload, parts.len(), last).await?);
        self.commit_upload(line, object, &upload, &parts).await
    }

    async fn part(
        &self,
        line: &Line,
        object: &Object,
        upload: &str,
        before: usize,
        bytes: Vec<u8>,
    ) -> Result<super::storage::Part, Error> {
        let number = u32::try_from(before + 1).unwrap_or(u32::MAX);
        self.upload_part(line, object, upload, number, Bytes::from(bytes)).await
    }

    /// No retry token: it would outlive an image that was deleted for being broken. The look before is what guards.
    async fn import(&self, line: &Line, object: &Object, order: &ImageOrder) -> Result<Import, Error> {
        let body = json!({
            "compartmentId": self.config.compartment,
            "displayName": mark::image_key(&order.cluster, &order.image).name,
            "freeformTags": mark::image(&order.cluster, &order.image, false),
            // Without a type: what is in the archive, and how it starts, the archive says.
            "imageSourceDetails": {
                "sourceType": "objectStorageTuple",
                "namespaceName": object.namespace,
                "bucketName": object.bucket,
                "objectName": object.name,
                "operatingSystem": "Talos",
                "operatingSystemVersion": order.image.talos,
            },
        });
        let ask = Ask::new("oci POST /images", Service::Core, Method::POST, "/images".to_owned(), |call, answer| {
            let work_request = answer.header("opc-work-request-id").map(str::to_owned);
            Ok(Import { image: read_json(call, answer)?, work_request })
        });
        let ask = Ask { body: Payload::Json(body.to_string().into()), repeat: Repeat::Never, ..ask };
        self.send(line, &object.region, &ask).await
    }

    async fn imported(
        &self,
        line: &Line,
        region: &str,
        id: &str,
        work_request: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let ask = Ask::<ListedImage>::get("oci GET /images/ID", Service::Core, format!("/images/{}", escape(id)));
        let began = line.time().now();
        loop {
            let image = self.send(line, region, &ask).await?;
            if image.lifecycle_state.as_deref() == Some("AVAILABLE") {
                return Ok(());
            }
            if is_lost(&image) {
                let message = self.work_request_words(line, region, work_request).await?;
                return Err(invalid("oci POST /images", message));
            }
            let waited = line.time().now().duration_since(began);
            let waited = Duration::try_from(waited).unwrap_or_default();
            if waited > IMPORT_MAX {
                let message = format!("the import is not done after {} min", IMPORT_MAX.as_secs() / 60);
                return Err(Error { call: "oci POST /images", why: Why::Trouble, vendor_code: None, message });
            }
            progress.at("importing image", 0, 0);
            line.time().sleep(Pace::IMAGE.next(waited)).await;
        }
    }

    /// Why an import failed: only its work request says.
    async fn work_request_words(&self, line: &Line, region: &str, id: Option<&str>) -> Result<String, Error> {
        let Some(id) = id else { return Ok("the import failed; Oracle did not say why".to_owned()) };
        let path = format!("/workRequests/{}/errors", escape(id));
        let ask = Ask::list("oci GET /workRequests/ID/errors", Service::Core, &path, &[]);
        let words: Vec<Words> = self.all(line, region, ask).await?;
        let words: Vec<String> = words.into_iter().map(|one| one.message).collect();
        Ok(format!("the import failed: {}", words.join("; ")))
    }

    /// Imported images lack the ARM shapes, whatever their metadata says (facts B7).
    async fn fit_shapes(&self, line: &Line, order: &ImageOrder, id: &str) -> Result<(), Error> {
        if order.image.arch != Arch::Arm64 {
            return Ok(());
        }
        let builder = Some(order.builder.machine.as_str()).filter(|_| order.builder.cloud == OCI);
        let mut shapes = vec![ARM_SHAPE];
        shapes.extend(builder.filter(|shape| *shape != ARM_SHAPE));
        for shape in shapes {
            let path = format!("/images/{}/shapes/{}", escape(id), escape(shape));
            let ask = Ask::plain("oci PUT /images/ID/shapes/ID", Service::Core, Method::PUT, path);
            let ask = Ask { body: Payload::Json(Bytes::from_static(b"{}")), ..ask };
            self.send(line, &order.image.region, &ask).await?;
        }
        Ok(())
    }

    async fn fit_firmware(&self, line: &Line, order: &ImageOrder, id: &str) -> Result<(), Error> {
        let region = order.image.region.as_str();
        let path = "/computeImageCapabilitySchemas";
        let query = [("compartmentId", self.config.compartment.as_str()), ("imageId", id)];
        let list = Ask::list("oci GET /computeImageCapabilitySchemas", Service::Core, path, &query);
        let there: Vec<serde_json::Value> = self.all(line, region, list).await?;
        if !there.is_empty() {
            return Ok(());
        }
        let call = "oci GET /computeGlobalImageCapabilitySchemas";
        let list = Ask::list(call, Service::Core, "/computeGlobalImageCapabilitySchemas", &[]);
        let global: Vec<GlobalSchema> = self.all(line, region, list).await?;
        let version = global.into_iter().find_map(|schema| schema.current_version_name);
        let version = version.ok_or_else(|| invalid(call, "there is no global schema".to_owned()))?;
        let body = json!({
            "compartmentId": self.config.compartment,
            "computeGlobalImageCapabilitySchemaVersionName": version,
            "imageId": id,
            "displayName": mark::image_key(&order.cluster, &order.image).name,
            "freeformTags": mark::shared(&order.cluster),
            "schemaData": {"Compute.Firmware": firmware()},
        });
        let call = "oci POST /computeImageCapabilitySchemas";
        let ask = Ask::<serde_json::Value>::post(call, Service::Core, path, &body);
        self.send(line, region, &ask).await.map(|_| ())
    }

    async fn tag_bootable(&self, line: &Line, order: &ImageOrder, id: &str) -> Result<ListedImage, Error> {
        let body = json!({"freeformTags": mark::image(&order.cluster, &order.image, true)});
        let path = format!("/images/{}", escape(id));
        let ask = Ask::<ListedImage>::put("oci PUT /images/ID", Service::Core, path, &body);
        self.send(line, &order.image.region, &ask).await
    }

    /// The bucket goes with its last object: another image may be on its way through it.
    async fn clear_up(&self, line: &Line, object: &Object) -> Result<(), Error> {
        self.delete_object(line, object).await?;
        match self.drop_bucket(line, object).await {
            Err(error) if error.vendor_code.as_deref().is_some_and(|code| code.ends_with("BucketNotEmpty")) => Ok(()),
            other => other,
        }
    }
}

fn is_lost(image: &ListedImage) -> bool {
    matches!(image.lifecycle_state.as_deref(), Some("DELETED" | "DISABLED"))
}

fn usable(image: &ListedImage, order: &ImageOrder) -> Option<Found> {
    found(image, &order.cluster, &order.image.region, &Names::new())
        .filter(|found| found.ours && found.state == State::Ready)
}

/// [`crate::Cloud::image_of`].
pub(super) fn image_of(found: &Found) -> Option<Image> {
    let is_image = found.key.cloud == OCI && found.key.kind == IMAGE;
    is_image.then(|| mark::image_of(&found.labels, &found.key.region)).flatten()
}

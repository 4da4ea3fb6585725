//! Compute: shapes, images, instances and what hangs on them.
//!
//! An instance is a record here and a machine in the world. The record walks through its states by itself; the machine
//! is made with it and gets power when it reaches RUNNING.

mod archive;
mod attachments;
mod capacity;
mod console;
mod details;
mod images;
mod import;
mod instances;
mod launch;
mod life;
mod schemas;
mod shapes;
mod volumes;

pub(super) use attachments::VnicAttachment;
pub(super) use console::ConsoleHistory;
pub(super) use images::{Image, platform_images};
pub(super) use instances::{Instance, has_ended, power_changed};
pub(super) use schemas::CapabilitySchema;
pub(super) use shapes::SHAPES;
pub(super) use volumes::{BootVolume, BootVolumeAttachment};

use super::call::Site;
use axum::Router;

/// All calls of the service.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .merge(shapes::routes())
        .merge(capacity::routes())
        .merge(images::routes())
        .merge(schemas::routes())
        .merge(instances::routes())
        .merge(attachments::routes())
        .merge(volumes::routes())
        .merge(console::routes())
}

//! Images to boot from: snapshots, found by their marks.

use super::Hetzner;
use super::{api, found, marks, types::Snapshot};
use crate::rest::refused;
use crate::{Error, Found, ImageOrder, Progress, State, Why};
use wire::Line;

impl Hetzner {
    /// The snapshot of this order, if there is one.
    pub(super) async fn make_image(
        &self,
        line: &Line,
        order: &ImageOrder,
        progress: &dyn Progress,
    ) -> Result<Found, Error> {
        progress.at("looking for the snapshot", 0, 0);
        let key = marks::image_key(&order.cluster, &order.image);
        let all: Vec<Snapshot> = api::all(&self.rest, line, &api::SNAPSHOTS).await?;
        all.into_iter()
            .map(|snapshot| found::snapshot(&order.cluster, snapshot))
            .find(|found| found.ours && found.key == key && found.state == State::Ready)
            .ok_or_else(|| refused("hetzner make image", Why::NotFound, format!("there is no snapshot {}", key.name)))
    }
}

//! The Kubernetes API's Lease, with compare-and-swap as etcd's.

use super::At;
use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::Lease;
use std::time::Duration;
use watcher::lease::{LeaseTrouble, LeaseView, Leases};
use wire::Time;

/// As long as a real call waits with the default times.
const TIMEOUT: Duration = Duration::from_secs(5);
const CALL_MS: (u64, u64) = (2, 30);

/// The object, and how often it was written.
#[derive(Default)]
pub(super) struct Kept {
    object: Option<Lease>,
    version: u64,
}

impl At {
    async fn api(&self) -> Result<(), LeaseTrouble> {
        self.nap(CALL_MS, "api").await;
        if self.world.state().reaches_api(self.node) {
            return Ok(());
        }
        self.world.time.sleep(TIMEOUT).await;
        Err(LeaseTrouble::Lost("no answer".into()))
    }
}

#[async_trait]
impl Leases for At {
    fn time(&self) -> &Time {
        &self.time
    }

    async fn read(&self) -> Result<Option<LeaseView>, LeaseTrouble> {
        self.api().await?;
        let object = self.world.state().lease.object.clone();
        Ok(object.map(LeaseView::of))
    }

    async fn write(&self, object: &Lease) -> Result<LeaseView, LeaseTrouble> {
        self.api().await?;
        let written = {
            let kept = &mut self.world.state().lease;
            let version = kept.object.as_ref().and_then(|object| object.metadata.resource_version.clone());
            if version != object.metadata.resource_version {
                return Err(LeaseTrouble::Conflict);
            }
            kept.version += 1;
            let mut written = object.clone();
            written.metadata.resource_version = Some(kept.version.to_string());
            kept.object = Some(written.clone());
            written
        };
        // The answer may be lost where the request was not.
        self.api().await?;
        Ok(LeaseView::of(written))
    }
}

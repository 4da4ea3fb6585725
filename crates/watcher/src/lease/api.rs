//! The calls.

use super::{Candidacy, LEASE, LeaseView, Step};
use crate::permit::Roll;
use crate::process::ms;
use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use std::time::Duration;
use wire::Time;

/// Why the Lease was not read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseTrouble {
    /// Somebody else was first: read anew.
    #[error("the Lease has changed meanwhile")]
    Conflict,
    /// The role does not allow it.
    #[error("the Kubernetes API forbids the Lease bouquet-watcher: {0}; apply the watcher's Role again")]
    Forbidden(String),
    /// No answer, or none that says something: it is unknown whether it was written.
    #[error("the Kubernetes API does not answer: {0}")]
    Lost(String),
}

/// Where the Lease is kept: two calls, and what is made of them.
#[async_trait]
pub trait Leases: Send + Sync {
    /// The clock of whoever calls.
    fn time(&self) -> &Time;

    /// etcd's own word, not a cache's; `None`: there is no Lease.
    async fn read(&self) -> Result<Option<LeaseView>, LeaseTrouble>;

    /// Makes it or writes over exactly the version that it was drafted from.
    async fn write(&self, object: &Lease) -> Result<LeaseView, LeaseTrouble>;

    /// One round: looks, decides, and writes what is decided, with a change of the roll if the Lease is ours. True if it was written.
    async fn turn(&self, candidacy: &mut Candidacy, aside: bool, change: Option<&Roll>) -> Result<bool, LeaseTrouble> {
        let view = self.read().await?;
        candidacy.saw(ms(self.time()), view);
        let step = candidacy.next(ms(self.time()), aside);
        let change = change.filter(|_| step == Step::Renew);
        let Some(object) = candidacy.draft(&step, change, self.time().now()) else { return Ok(false) };
        let sent_ms = ms(self.time());
        let view = self.write(&object).await?;
        candidacy.wrote(sent_ms, ms(self.time()), view);
        Ok(true)
    }

    /// Gives it back. The holder must have stopped writing before.
    async fn release(&self, candidacy: &mut Candidacy) -> Result<(), LeaseTrouble> {
        let Some(object) = candidacy.draft_release(self.time().now()) else { return Ok(()) };
        let view = self.write(&object).await?;
        candidacy.wrote(ms(self.time()), ms(self.time()), view);
        Ok(())
    }
}

/// The Lease in the cluster.
#[derive(Clone)]
pub struct LeaseApi {
    leases: Api<Lease>,
    time: Time,
    timeout: Duration,
}

#[async_trait]
impl Leases for LeaseApi {
    fn time(&self) -> &Time {
        &self.time
    }

    async fn read(&self) -> Result<Option<LeaseView>, LeaseTrouble> {
        Ok(self.within(self.leases.get_opt(LEASE)).await?.map(LeaseView::of))
    }

    async fn write(&self, object: &Lease) -> Result<LeaseView, LeaseTrouble> {
        let params = PostParams::default();
        let written = if object.metadata.resource_version.is_none() {
            self.within(self.leases.create(&params, object)).await
        } else {
            self.within(self.leases.replace(LEASE, &params, object)).await
        };
        written.map(LeaseView::of)
    }
}

impl LeaseApi {
    /// In this namespace. `timeout` is a call's: less than the renew deadline.
    pub fn new(client: kube::Client, namespace: &str, time: Time, timeout: Duration) -> Self {
        LeaseApi { leases: Api::namespaced(client, namespace), time, timeout }
    }

    async fn within<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, LeaseTrouble> {
        match self.time.within(self.timeout, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(LeaseTrouble::Conflict),
            // It was deleted between reading and writing.
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(LeaseTrouble::Conflict),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => Err(LeaseTrouble::Forbidden(status.message)),
            Ok(Err(error)) => Err(LeaseTrouble::Lost(error.to_string())),
            Err(expired) => Err(LeaseTrouble::Lost(expired.to_string())),
        }
    }
}

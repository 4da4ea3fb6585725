//! Makes snapshots to boot from. Hetzner takes no uploads, so a temporary machine writes the image onto its own disk
//! from the rescue system, and is snapshotted and deleted.
//!
//! Whatever a run that was cut off left behind is known by name and mark: a snapshot on the way is waited for, the
//! machine and its key are deleted first thing and last thing. The machine has no firewall: only the rescue system's
//! SSH ever listens on it, for one key, for minutes.

#[cfg(test)]
mod tests;
mod wait;
mod write;

use super::effects::id_of;
use super::types::{Server, Snapshot, SshKey};
use super::{Hetzner, api, found, marks};
use crate::rescue::Login;
use crate::rest::{Ask, refused};
use crate::{Arch, Error, Found, ImageOrder, Key, Progress, State, Why};
use serde_json::json;
use std::time::Duration;
use wait::Wait;
use wire::{Line, Pace};

const CALL: &str = "hetzner make image";
/// Creating, starting, stopping and deleting a server take seconds, on bad days minutes.
const SERVER: Duration = Duration::from_mins(5);
/// A snapshot of a small machine takes two to five minutes; Hetzner's queue has been seen to add as much again.
const SNAPSHOT: Duration = Duration::from_mins(30);

/// One order on its way.
struct Build<'a> {
    cloud: &'a Hetzner,
    line: &'a Line,
    order: &'a ImageOrder,
    progress: &'a dyn Progress,
    /// Of the temporary machine, and of its key.
    name: String,
}

impl Hetzner {
    /// See [`crate::Cloud::make_image`].
    pub(super) async fn make_image(
        &self,
        line: &Line,
        order: &ImageOrder,
        progress: &dyn Progress,
    ) -> Result<Found, Error> {
        let name = format!("{}-image-{}", order.cluster, order.image.arch);
        let build = Build { cloud: self, line, order, progress, name };
        let made = match build.there().await? {
            Some(there) => Ok(there),
            None => build.afresh().await,
        };
        // Best effort: what this leaves bears the mark, and the next look at the project sees it.
        if let Err(error) = build.clear().await {
            tracing::warn!(%error, "the temporary machine of an image is left behind");
        }
        made
    }
}

impl Build<'_> {
    /// The snapshot, if there is one or one is on the way. A broken one is removed.
    async fn there(&self) -> Result<Option<Found>, Error> {
        self.say("looking for the snapshot");
        loop {
            let mut all = self.snapshots().await?;
            all.sort_by_key(|found| found.state != State::Ready);
            let Some(found) = all.into_iter().next() else { return Ok(None) };
            match self.finished(found).await? {
                found if found.state == State::Ready => return Ok(Some(found)),
                broken => self.cloud.delete(self.line, &broken).await?,
            }
        }
    }

    async fn snapshots(&self) -> Result<Vec<Found>, Error> {
        let key = self.key();
        let all: Vec<Snapshot> = api::all(&self.cloud.rest, self.line, &api::SNAPSHOTS).await?;
        let all = all.into_iter().map(|snapshot| found::snapshot(&self.order.cluster, snapshot));
        Ok(all.filter(|found| found.ours && found.key == key).collect())
    }

    fn key(&self) -> Key {
        marks::image_key(&self.order.cluster, &self.order.image)
    }

    /// Waits until a snapshot is ready or broken.
    async fn finished(&self, snapshot: Found) -> Result<Found, Error> {
        let wait = Wait::new(self.line, "the snapshot to be taken", SNAPSHOT);
        let mut snapshot = snapshot;
        while snapshot.state == State::Pending {
            self.say("taking the snapshot");
            wait.pause(Pace::IMAGE).await?;
            let ask = Ask::get("hetzner GET /images/{id}", format!("/images/{}", snapshot.id));
            let now: Snapshot = self.line.send(api::one(&self.cloud.rest, ask)?).await?;
            snapshot = found::snapshot(&self.order.cluster, now);
        }
        Ok(snapshot)
    }

    async fn afresh(&self) -> Result<Found, Error> {
        self.clear().await?;
        let mut rng = self.line.time().rng(&format!("rescue login {}", self.name));
        let login = Login::drawn(&mut rng);
        let key_id = self.let_in(&login).await?;
        let server = self.machine(key_id).await?;
        self.boot_rescue(&server, key_id).await?;
        self.write_disk(&server, &login).await?;
        self.act("hetzner POST /servers/{id}/actions/poweroff", &server, "poweroff").await?;
        self.reached(&server, &State::Off).await?;
        let snapshot = self.snapshot(&server).await?;
        let done = self.finished(snapshot).await?;
        match &done.state {
            State::Broken(why) => Err(refused(CALL, Why::Trouble, why.clone())),
            _ => Ok(done),
        }
    }

    /// Deletes the machine and the key of an earlier run, and waits until the machine's name is free.
    async fn clear(&self) -> Result<(), Error> {
        let key = marks::key("server", "", self.name.as_str());
        let wait = Wait::new(self.line, "the earlier machine to go", SERVER);
        while let Some(server) = self.cloud.named(self.line, &self.order.cluster, &key).await? {
            self.refuse_foreign(&server)?;
            if server.state != State::Leaving {
                self.say("removing the temporary machine");
                self.cloud.delete(self.line, &server).await?;
            }
            wait.pause(Pace::VENDOR).await?;
        }
        let key = marks::key("ssh_key", "", self.name.as_str());
        if let Some(ssh_key) = self.cloud.named(self.line, &self.order.cluster, &key).await? {
            self.refuse_foreign(&ssh_key)?;
            self.cloud.delete(self.line, &ssh_key).await?;
        }
        Ok(())
    }

    fn refuse_foreign(&self, found: &Found) -> Result<(), Error> {
        if found.ours {
            return Ok(());
        }
        let message = format!("the name {} is taken by {} {}, which is not ours", self.name, found.key.kind, found.id);
        Err(refused(CALL, Why::Taken, message))
    }

    async fn let_in(&self, login: &Login) -> Result<u64, Error> {
        let body = json!({
            "name": self.name, "public_key": login.public(), "labels": marks::builder(&self.order.cluster),
        });
        let rest = &self.cloud.rest;
        let make = || api::one::<SshKey>(rest, Ask::create("hetzner POST /ssh_keys", "/ssh_keys", body.clone()));
        let read = |ssh_key| found::ssh_key(&self.order.cluster, ssh_key);
        let key = marks::key("ssh_key", "", self.name.as_str());
        id_of(&self.cloud.make(self.line, &self.order.cluster, &key, make, read).await?)
    }

    /// The machine, switched off and with nothing of ours on it yet.
    async fn machine(&self, key_id: u64) -> Result<Found, Error> {
        self.say("ordering a temporary machine");
        let body = json!({
            "name": self.name,
            "server_type": self.order.builder.machine,
            "location": self.order.builder.region,
            "image": self.any_stock_image().await?,
            "labels": marks::builder(&self.order.cluster),
            // The stock system never runs, but without a key Hetzner mails a password to the account's owner.
            "ssh_keys": [key_id],
            "public_net": { "enable_ipv4": true, "enable_ipv6": true },
            "start_after_create": false,
        });
        let rest = &self.cloud.rest;
        let make = || api::one::<Server>(rest, Ask::create("hetzner POST /servers", "/servers", body.clone()));
        let read = |server| found::server(&self.order.cluster, server, &[]);
        let key = marks::key("server", &self.order.builder.region, self.name.as_str());
        let server = self.cloud.make(self.line, &self.order.cluster, &key, make, read).await?;
        self.reached(&server, &State::Off).await
    }

    /// A server cannot be made without an image, whichever; it is overwritten.
    async fn any_stock_image(&self) -> Result<u64, Error> {
        let architecture = match self.order.image.arch {
            Arch::Arm64 => "arm",
            Arch::Amd64 => "x86",
        };
        let filter = [("type", "system"), ("architecture", architecture), ("status", "available")];
        let list = api::List { filter: &filter, ..api::SNAPSHOTS };
        let all: Vec<Snapshot> = api::all(&self.cloud.rest, self.line, &list).await?;
        let newest = all.iter().map(|image| image.id).max();
        newest.ok_or_else(|| refused(CALL, Why::NotFound, format!("Hetzner lists no system image for {architecture}")))
    }

    async fn boot_rescue(&self, server: &Found, key_id: u64) -> Result<(), Error> {
        self.say("starting its rescue system");
        let path = format!("/servers/{}/actions/enable_rescue", server.id);
        let body = json!({ "type": "linux64", "ssh_keys": [key_id] });
        let ask = Ask::act("hetzner POST /servers/{id}/actions/enable_rescue", path, body);
        self.line.send(self.cloud.rest.unit(ask)?).await?;
        self.act("hetzner POST /servers/{id}/actions/poweron", server, "poweron").await?;
        self.reached(server, &State::Ready).await.map(drop)
    }

    async fn act(&self, name: &'static str, server: &Found, action: &str) -> Result<(), Error> {
        let path = format!("/servers/{}/actions/{action}", server.id);
        self.line.send(api::act(&self.cloud.rest, name, path)?).await
    }

    async fn reached(&self, server: &Found, state: &State) -> Result<Found, Error> {
        let wait = Wait::new(self.line, "the temporary machine to change its state", SERVER);
        loop {
            let ask = Ask::get("hetzner GET /servers/{id}", format!("/servers/{}", server.id));
            let now: Server = self.line.send(api::one(&self.cloud.rest, ask)?).await?;
            let now = found::server(&self.order.cluster, now, &[]);
            if now.state == *state {
                return Ok(now);
            }
            wait.pause(Pace::VENDOR).await?;
        }
    }

    /// Names of snapshots are not unique, so one whose answer was lost is looked for by its mark; only when there is
    /// none is another asked for.
    async fn snapshot(&self, server: &Found) -> Result<Found, Error> {
        self.say("taking the snapshot");
        let labels = marks::image(&self.order.cluster, &self.order.image);
        let body = json!({ "type": "snapshot", "description": self.key().name, "labels": labels });
        let ask = || {
            let path = format!("/servers/{}/actions/create_image", server.id);
            let ask = Ask::create("hetzner POST /servers/{id}/actions/create_image", path, body.clone());
            api::one::<Snapshot>(&self.cloud.rest, ask)
        };
        let snapshot = match self.line.send(ask()?).await {
            Err(error) if error.why == Why::Trouble => match self.snapshots().await?.into_iter().next() {
                Some(there) => return Ok(there),
                None => self.line.send(ask()?).await?,
            },
            other => other?,
        };
        Ok(found::snapshot(&self.order.cluster, snapshot))
    }

    fn say(&self, what: &str) {
        self.progress.at(what, 0, 0);
    }
}

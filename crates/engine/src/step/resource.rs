use crate::Error;
use crate::deadline;
use crate::event::{Event, Listener};
use crate::site::Site;
use clouds::{Cloud, Found, Given, Image, ImageOrder, Key, Progress, State, Wanted, Why};
use spec::CloudPlace;
use std::sync::{Arc, Mutex, PoisonError};
use wire::Pace;

pub(super) fn cloud<'a>(site: &'a Site, name: &str) -> Result<&'a Arc<dyn Cloud>, Error> {
    site.reach.cloud(name).ok_or_else(|| Error::Unknown(format!("the file names no cloud called {name}")))
}

/// Makes a resource and waits until it can be used.
pub(super) async fn create(site: &Arc<Site>, wanted: &Wanted) -> Result<(), Error> {
    let given = Given { ids: site.ids(), user_data: None };
    let found = cloud(site, &wanted.key.cloud)?.create(&site.reach.line, wanted, &given).await?;
    settle(site, found).await
}

pub(super) async fn update(site: &Arc<Site>, found: &Found, wanted: &Wanted) -> Result<(), Error> {
    let given = Given { ids: site.ids(), user_data: None };
    let found = cloud(site, &wanted.key.cloud)?.update(&site.reach.line, found, wanted, &given).await?;
    settle(site, found).await
}

async fn settle(site: &Arc<Site>, found: Found) -> Result<(), Error> {
    site.remember(found.clone());
    if found.state == State::Ready {
        return Ok(());
    }
    let look = site.look(&found.key.cloud, &found.key.kind);
    let settled = look.until(Pace::VENDOR, deadline::RESOURCE, |all| {
        let now = all.iter().find(|now| now.id == found.id)?;
        match &now.state {
            State::Ready => Some(Ok(now.clone())),
            State::Broken(why) => Some(Err(why.clone())),
            _ => None,
        }
    });
    match settled.await? {
        Some(Ok(now)) => {
            site.remember(now);
            Ok(())
        }
        Some(Err(reason)) => Err(Error::Machine { subject: found.key.to_string(), reason }),
        None => Err(late(&found.key, "was not ready")),
    }
}

/// Deletes a resource and waits until it is gone, because what it stood on cannot go before it.
pub(super) async fn delete(site: &Arc<Site>, found: &Found) -> Result<(), Error> {
    let cloud = cloud(site, &found.key.cloud)?;
    let time = site.reach.line.time();
    let began = time.now();
    // The line has retried for minutes when it gives up; OCI's lagging VNICs need more of that.
    while found.state != State::Leaving
        && let Err(error) = cloud.delete(&site.reach.line, found).await
    {
        let waited = time.now().duration_since(began).unsigned_abs();
        if error.why != Why::Busy || waited > deadline::RESOURCE {
            return Err(error.into());
        }
        time.sleep(Pace::VENDOR.next(waited)).await;
    }
    let look = site.look(&found.key.cloud, &found.key.kind);
    let gone =
        look.until(Pace::VENDOR, deadline::RESOURCE, |all| (!all.iter().any(|now| now.id == found.id)).then_some(()));
    gone.await?.ok_or_else(|| late(&found.key, "was not gone"))?;
    site.forget(found);
    Ok(())
}

fn late(key: &Key, what: &'static str) -> Error {
    Error::Late { subject: key.to_string(), what, limit: deadline::RESOURCE, diagnosis: None }
}

/// Makes a bootable image.
pub(super) async fn make_image(
    site: &Arc<Site>,
    id: &str,
    name: &str,
    image: &Image,
    builder: &CloudPlace,
    listener: &Listener,
) -> Result<(), Error> {
    let cloud = cloud(site, name)?;
    // The Factory serves only schematics that it has been given once.
    let schematic = talos::Schematic::new([talos::TAILSCALE]);
    site.reach.line.send(site.reach.factory.post_schematic(&schematic)).await?;
    let order = ImageOrder {
        cluster: site.subject.cluster.name.clone(),
        image: image.clone(),
        source: site.reach.disk_image(cloud.as_ref(), image, site.subject.cluster.talos),
        builder: builder.clone(),
    };
    let progress = Told { id: id.to_owned(), listener: listener.clone(), last: Mutex::default() };
    let found = cloud.make_image(&site.reach.line, &order, &progress).await?;
    site.remember_image(name, image, found);
    Ok(())
}

/// Passes on what is new.
struct Told {
    id: String,
    listener: Listener,
    last: Mutex<Option<(String, u64, u64)>>,
}

impl Progress for Told {
    fn at(&self, what: &str, done_bytes: u64, total_bytes: u64) {
        let now = Some((what.to_owned(), done_bytes, total_bytes));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != now {
            *last = now;
            (self.listener)(Event::Progress { id: self.id.clone(), what: what.to_owned(), done_bytes, total_bytes });
        }
    }
}

//! Everything that can be known before anything is spent.

use crate::reach::{Reach, Subject};
use clouds::{Cloud, Finding, Stock};
use futures::future::join_all;
use plan::{CloudSeen, Observed};
use spec::{CloudPlace, Place};

/// Looks at every account, scope, quota and stock that the file needs; changes nothing. What is fine is a finding too.
pub async fn check(reach: &Reach, subject: &Subject) -> Vec<Finding> {
    let clouds = join_all(reach.clouds.iter().map(|cloud| one_cloud(reach, subject, cloud.as_ref())));
    let tailnet = reach.tailnet.check(&reach.line, &subject.cluster.name);
    let zone = async {
        match (&reach.zone, &subject.cluster.domain) {
            (Some(zone), Some(domain)) => zone.check(&reach.line, domain).await,
            _ => Vec::new(),
        }
    };
    let (clouds, tailnet, zone, watcher) = futures::join!(clouds, tailnet, zone, watcher(reach, subject));
    clouds.into_iter().flatten().chain(tailnet).chain(zone).chain(watcher).collect()
}

/// What the watcher's own token may do.
async fn watcher(reach: &Reach, subject: &Subject) -> Vec<Finding> {
    let (Some(zone), Some(domain)) = (&reach.watcher_zone, &subject.cluster.domain) else { return Vec::new() };
    let about = |finding: Finding| Finding {
        subject: "watcher".into(),
        message: format!("{}: {}", addons::TOKEN_VARIABLE, finding.message),
        ..finding
    };
    zone.check(&reach.line, domain).await.into_iter().map(about).collect()
}

async fn one_cloud(reach: &Reach, subject: &Subject, cloud: &dyn Cloud) -> Vec<Finding> {
    let places = subject.cluster.nodes.values().flat_map(|node| &node.places);
    let mut here: Vec<CloudPlace> = places
        .filter_map(|place| match place {
            Place::Cloud(place) if place.cloud == cloud.name() => Some(place.clone()),
            _ => None,
        })
        .collect();
    here.sort();
    here.dedup();
    let offers = match cloud.offers(&reach.line, &here).await {
        Ok(offers) => offers,
        Err(error) => return vec![Finding::of(cloud.name(), &error)],
    };
    let mut findings: Vec<Finding> = offers
        .iter()
        .map(|offer| match &offer.stock {
            Stock::Available => Finding::fine(offer.place.to_string(), "offered"),
            Stock::Out => Finding {
                subject: offer.place.to_string(),
                code: Some("BQ0204".into()),
                fatal: false,
                message: "out of stock, says the catalogue, which is often wrong".into(),
                help: Some("name another place after it in `on`".into()),
            },
            Stock::Unknown(why) => Finding {
                subject: offer.place.to_string(),
                code: Some("BQ0414".into()),
                fatal: true,
                message: why.clone(),
                help: Some("choose a machine type that the region offers".into()),
            },
        })
        .collect();
    let seen = CloudSeen { offers, ..CloudSeen::default() };
    let observed = Observed { clouds: [(cloud.name().to_owned(), seen)].into(), ..Observed::default() };
    findings.extend(cloud.check(&reach.line, &plan::need_of(cloud, &reach.wish(subject), &observed)).await);
    findings
}

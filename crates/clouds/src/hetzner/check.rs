//! What `bouquet check` can say of a Hetzner project before anything is spent.

use super::types::Named;
use super::{Hetzner, api};
use crate::rest::Ask;
use crate::{Error, Finding, Need, Offer, Stock, Why};
use serde_json::json;
use wire::Line;

const TOKEN: &str = "HCLOUD_TOKEN";
const HELP: &str = "docs/accounts.md#hetzner";

impl Hetzner {
    pub(super) async fn check(&self, line: &Line, need: &Need) -> Vec<Finding> {
        if let Err(error) = api::all::<Named>(&self.rest, line, &api::LOCATIONS).await {
            return vec![Finding::of(TOKEN, &error)];
        }
        let mut findings = vec![self.may_write(line).await];
        let places: Vec<_> = need.machines.iter().map(|machine| machine.place.clone()).collect();
        match self.offers(line, &places).await {
            Ok(offers) => {
                let machines = need.machines.iter().zip(offers);
                findings.extend(machines.map(|(machine, offer)| of_offer(&machine.node, machine.image.arch, &offer)));
            }
            Err(error) => findings.push(Finding::of("machine types", &error)),
        }
        findings.push(Finding::fine(
            "project limits",
            "Hetzner shows them in its console only; a limit that is met is reported when it is met",
        ));
        findings
    }

    /// A key without a name and a public key cannot be made, so this changes nothing; but a token that may only read
    /// is turned away before the body is looked at (403 `token_readonly`), and one that may write after (422).
    async fn may_write(&self, line: &Line) -> Finding {
        let ask = Ask::create("hetzner POST /ssh_keys", "/ssh_keys", json!({}));
        let answer = match self.rest.unit(ask) {
            Ok(call) => line.send(call).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(()) | Err(Error { why: Why::Invalid, .. }) => Finding::fine(TOKEN, "it is valid and may write"),
            Err(error) if error.why == Why::Forbidden => Finding {
                message: "the token may only read; making a cluster needs read and write access".to_owned(),
                help: Some(format!("make a token with \"Read & Write\" in the project's Security page: {HELP}")),
                ..Finding::of(TOKEN, &error)
            },
            Err(error) => Finding::of(TOKEN, &error),
        }
    }
}

fn of_offer(node: &str, arch: crate::Arch, offer: &Offer) -> Finding {
    let place = &offer.place;
    let (why, fatal, message, help) = match &offer.stock {
        Stock::Available if offer.arch != arch => (
            Why::Invalid,
            true,
            format!("{} is a {} machine, but its image would be {arch}", place.machine, offer.arch),
            "this is a mistake in bouquet: please report it with your file".to_owned(),
        ),
        Stock::Available => return Finding::fine(format!("{node}: {place}"), "in stock"),
        Stock::Out => (
            Why::Capacity,
            false,
            format!("{} is out of stock in {}", place.machine, place.region),
            format!("name alternatives: `on: [{place}, …]`; bouquet comes up without what cannot be had"),
        ),
        Stock::Unknown(what) => {
            (Why::Invalid, true, what.clone(), format!("change `on` of {node}; `hcloud server-type list` shows all"))
        }
    };
    Finding { subject: format!("{node}: {place}"), code: Some(why.code().to_owned()), fatal, message, help: Some(help) }
}

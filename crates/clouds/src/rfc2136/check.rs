//! What a key may do, found out without changing anything.

use super::names::beside;
use super::{Change, Data, Rfc2136, Update};
use crate::{Finding, Why, Zones};
use wire::Line;

const SUBJECT: &str = "dns";
const HELP: &str = "docs/accounts.md#rfc2136";

pub(super) async fn check(server: &Rfc2136, line: &Line, domain: &str) -> Vec<Finding> {
    let zone = match server.zone_of(line, domain).await {
        Ok(zone) => zone.name,
        Err(error) => return vec![Finding::of(SUBJECT, &error)],
    };
    let seen = Finding::fine(SUBJECT, format!("the server keeps the zone {zone} that {domain} lives in"));
    vec![seen, may_change(server, line, &zone, domain).await]
}

/// Removes, at the names that bouquet will change, records that cannot be there: that changes neither the zone nor its
/// serial number, and is refused where a change would be.
async fn may_change(server: &Rfc2136, line: &Line, zone: &str, domain: &str) -> Finding {
    let name = format!("api.{domain}");
    let nobody = Data::address(std::net::IpAddr::from([0, 0, 0, 0]));
    let changes = vec![
        Change::Remove(beside(&name), Data::text("may this key change this name?")),
        Change::Remove(name.clone(), nobody),
    ];
    match server.update(line, zone, &Update { prerequisites: Vec::new(), changes }).await {
        Ok(_) => Finding::fine(SUBJECT, format!("the key may change {name} and {}", beside(&name))),
        Err(error) if error.why == Why::Forbidden => Finding {
            help: Some(format!("let the key change A, AAAA and TXT records of {name} and below: {HELP}")),
            ..Finding::of(SUBJECT, &error)
        },
        Err(error) => Finding::of(SUBJECT, &error),
    }
}

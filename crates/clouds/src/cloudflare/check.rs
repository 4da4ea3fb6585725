//! What a token may do, found out without changing anything.

use super::{Cloudflare, TOKEN, records_path, result};
use crate::rest::Ask;
use crate::{Error, Finding, Why, Zones};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::Line;

const HELP: &str = "docs/accounts.md#cloudflare";

#[derive(Deserialize)]
struct Verified {
    /// `active`, `disabled` or `expired`.
    status: String,
}

pub(super) async fn check(cloudflare: &Cloudflare, line: &Line, domain: &str) -> Vec<Finding> {
    // Asked first, as tokens that an account owns are good and yet unknown to `/user/tokens/verify`.
    let zone = match cloudflare.zone_of(line, domain).await {
        Ok(zone) => zone,
        Err(error) if error.vendor_code.is_none() && error.why == Why::Forbidden => {
            let help = format!("give the token Zone:Read and DNS:Edit on the zone of {domain}: {HELP}");
            return vec![Finding { help: Some(help), ..Finding::of(TOKEN, &error) }];
        }
        Err(error) => return vec![unusable(cloudflare, line, &error).await],
    };
    let seen = Finding::fine(TOKEN, format!("it is valid and sees the zone {} that {domain} lives in", zone.name));
    vec![seen, may_edit(cloudflare, line, &zone.id, &zone.name).await]
}

/// Why zones cannot be listed; a token that has run out says so nowhere else.
async fn unusable(cloudflare: &Cloudflare, line: &Line, error: &Error) -> Finding {
    let ask = Ask::get("cloudflare GET /user/tokens/verify", "/user/tokens/verify");
    let verified = match result::<Verified>(&cloudflare.rest, ask) {
        Ok(call) => line.send(call).await,
        Err(error) => Err(error),
    };
    match verified {
        Ok(Verified { status }) if status != "active" => Finding {
            code: Some(Why::Unauthenticated.code().to_owned()),
            message: format!("the token is {status}"),
            help: Some(format!("make a new token: {HELP}")),
            ..Finding::of(TOKEN, error)
        },
        _ => Finding::of(TOKEN, error),
    }
}

/// A record without a name and a type cannot be made, so this changes nothing; but a token that may only read is
/// turned away before the body is looked at.
async fn may_edit(cloudflare: &Cloudflare, line: &Line, zone: &str, name: &str) -> Finding {
    let ask = Ask::create("cloudflare POST /zones/{id}/dns_records", records_path(zone), json!({}));
    let answer = match result::<Value>(&cloudflare.rest, ask) {
        Ok(call) => line.send(call).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(_) | Err(Error { why: Why::Invalid, .. }) => {
            Finding::fine(TOKEN, format!("it may change records of {name}"))
        }
        Err(error) if matches!(error.why, Why::Forbidden | Why::Unauthenticated) => Finding {
            message: format!("the token may not change records of {name}: {}", error.message),
            help: Some(format!("give the token DNS:Edit on {name}: {HELP}")),
            ..Finding::of(TOKEN, &error)
        },
        Err(error) => Finding::of(TOKEN, &error),
    }
}

//! What `bouquet check` can say of a Hetzner project before anything is spent. Stock is [`Hetzner::offers`]'s to tell.

use super::types::Named;
use super::{Hetzner, api};
use crate::rest::Ask;
use crate::{Error, Finding, Why};
use serde_json::json;
use wire::Line;

const TOKEN: &str = "HCLOUD_TOKEN";
const HELP: &str = "docs/accounts.md#hetzner";

impl Hetzner {
    pub(super) async fn check(&self, line: &Line) -> Vec<Finding> {
        if let Err(error) = api::all::<Named>(&self.rest, line, &api::LOCATIONS).await {
            return vec![Finding::of(TOKEN, &error)];
        }
        let mut findings = vec![self.may_write(line).await];
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

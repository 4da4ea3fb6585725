//! What the tailnet must allow before a cluster can live on it. Nothing is written to the policy: what is missing is
//! printed as it would stand there.

use super::Tailnet;
use super::policy::{Asker, Policy, Wish};
use crate::{Error, Finding, Why};
use wire::Line;

const POLICY: &str = "tailnet policy";
const HELP: &str = "docs/accounts.md#tailscale";
/// Long enough for the one call that takes the key back, and gone by itself if that call is cut off.
const TRIAL_EXPIRY_S: u64 = 60;

const fn tcp(port: u16) -> Wish {
    Wish { protocol: "tcp", port }
}

/// The Talos and the Kubernetes API.
const OPERATOR_NEEDS: &[Wish] = &[tcp(50_000), tcp(6443)];
/// Besides those: trustd, kubelet, etcd, and flannel's VXLAN, which carries the pods.
const NODES_NEED: &[Wish] =
    &[tcp(50_000), tcp(50_001), tcp(6443), tcp(10_250), tcp(2379), tcp(2380), Wish { protocol: "udp", port: 4789 }];

pub(super) async fn check(tailnet: &Tailnet, line: &Line, cluster: &str) -> Vec<Finding> {
    let tag = format!("tag:bouquet-{cluster}");
    let credential = tailnet.tokens.variable();
    if let Err(error) = tailnet.devices(line).await {
        return vec![in_scope(credential, "devices:core", &error)];
    }
    let mut findings = vec![Finding::fine(credential, "it is valid and sees the tailnet's devices")];
    let policy = tailnet.policy(line).await.map(|text| Policy::read(&text));
    // Of a tag that nobody owns it is known that no key can be made.
    if !matches!(&policy, Ok(Some(policy)) if !policy.owns(&tag)) {
        findings.push(trial_key(tailnet, line, cluster, &tag, credential).await);
    }
    match policy {
        Ok(Some(policy)) => findings.extend(judged(&policy, &tag)),
        Ok(None) => findings.push(wrong(Why::Garbled, false, "it cannot be read as HuJSON".into(), "")),
        // Without the scope the policy cannot be judged, which stops nothing.
        Err(error) if matches!(error.why, Why::Forbidden | Why::NotFound) => findings.push(Finding {
            fatal: false,
            message: "it cannot be read with this credential, so whether it lets the nodes in is not known".into(),
            help: Some(format!("give the credential the scope policy_file:read: {HELP}")),
            ..Finding::of(POLICY, &error)
        }),
        Err(error) => findings.push(Finding::of(POLICY, &error)),
    }
    findings
}

/// Whether keys for the tag can be made is told by nothing but making one: an OAuth client may have the scope and not
/// the tag. The key lives a minute at most, and bears a description by which a later run would take it back.
async fn trial_key(tailnet: &Tailnet, line: &Line, cluster: &str, tag: &str, credential: &str) -> Finding {
    let description: String = format!("bouquet {cluster} check").chars().take(50).collect();
    let minted = match tailnet.mint_key(line, &[tag.to_owned()], &description, TRIAL_EXPIRY_S).await {
        Ok(minted) => minted,
        Err(error) if error.message.contains("tag") => {
            return Finding {
                message: format!("no key for {tag} can be made: {}", error.message),
                help: Some(format!("give the OAuth client the tag {tag}, or a tag that owns it in tagOwners: {HELP}")),
                ..Finding::of(credential, &error)
            };
        }
        Err(error) => return in_scope(credential, "auth_keys", &error),
    };
    match tailnet.delete_key(line, &minted.id).await {
        Ok(()) | Err(Error { why: Why::NotFound, .. }) => {
            Finding::fine(credential, format!("it may make and take back keys for {tag}"))
        }
        Err(error) => in_scope(credential, "auth_keys", &error),
    }
}

/// A call that failed, with the scope that it needs.
fn in_scope(credential: &str, scope: &str, error: &Error) -> Finding {
    let mut finding = Finding::of(credential, error);
    if matches!(error.why, Why::Forbidden | Why::Unauthenticated) {
        finding.help = Some(format!("the credential needs the scope {scope}: {HELP}"));
    }
    finding
}

fn judged(policy: &Policy, tag: &str) -> Vec<Finding> {
    let owners = if policy.owns(tag) {
        Finding::fine(POLICY, format!("{tag} has an owner"))
    } else {
        let message = format!("tagOwners does not name {tag}, so no key for it can be made");
        wrong(Why::Forbidden, true, message, &format!("add to \"tagOwners\": \"{tag}\": [\"autogroup:admin\"]"))
    };
    let operator = reach(policy, Asker::Operator, tag, OPERATOR_NEEDS);
    let nodes = reach(policy, Asker::Nodes, tag, NODES_NEED);
    vec![owners, operator, nodes]
}

fn reach(policy: &Policy, asker: Asker, tag: &str, needs: &[Wish]) -> Finding {
    let (who, source) = match asker {
        Asker::Operator => ("anybody but the nodes", "autogroup:admin"),
        Asker::Nodes => ("the nodes", tag),
    };
    let missing = policy.missing(asker, tag, needs);
    if missing.is_empty() {
        return Finding::fine(POLICY, format!("{tag} can be reached by {who}"));
    }
    let ports: Vec<String> = missing.iter().map(|wish| format!("{}:{}", wish.protocol, wish.port)).collect();
    let message = format!("no rule lets {who} reach {} of {tag}", ports.join(", "));
    let listed: Vec<String> = ports.iter().map(|port| format!("\"{port}\"")).collect();
    let help = format!(
        "add to \"grants\": {{\"src\": [\"{source}\"], \"dst\": [\"{tag}\"], \"ip\": [{}]}}",
        listed.join(", ")
    );
    // A rule about a host or an IP set may well mean the nodes.
    wrong(Why::Forbidden, policy.is_understood(), message, &help)
}

fn wrong(why: Why, fatal: bool, message: String, add: &str) -> Finding {
    let help = if add.is_empty() { HELP.to_owned() } else { format!("{add}: {HELP}") };
    Finding { subject: POLICY.into(), code: Some(why.code().into()), fatal, message, help: Some(help) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        // who may tag
        "tagOwners": { "tag:bouquet-bouquet": ["autogroup:admin"], },
        /* and who may talk */
        "grants": [
            {"src": ["autogroup:admin"], "dst": ["tag:bouquet-bouquet"], "ip": ["tcp:50000", "tcp:6443"]},
            {"src": ["tag:bouquet-bouquet"], "dst": ["tag:bouquet-bouquet"], "ip": ["*"]},
        ],
    }"#;

    fn judged(text: &str, tag: &str) -> Vec<Finding> {
        super::judged(&Policy::read(text).unwrap(), tag)
    }

    #[test]
    fn a_policy_with_owner_and_grants_is_fine() {
        assert!(judged(GOOD, "tag:bouquet-bouquet").iter().all(|finding| finding.code.is_none()));
    }

    #[test]
    fn what_is_missing_is_printed_as_it_would_stand_in_the_policy() {
        let findings = judged(GOOD, "tag:bouquet-garden");
        assert!(findings.iter().all(|finding| finding.fatal), "{findings:?}");
        let help: Vec<&str> = findings.iter().filter_map(|finding| finding.help.as_deref()).collect();
        assert!(help[0].contains(r#""tag:bouquet-garden": ["autogroup:admin"]"#), "{help:?}");
        let grant = r#"{"src": ["autogroup:admin"], "dst": ["tag:bouquet-garden"], "ip": ["tcp:50000", "tcp:6443"]}"#;
        assert!(help[1].contains(grant), "{help:?}");
        assert!(help[2].contains(r#""udp:4789""#), "{help:?}");
    }

    #[test]
    fn rules_that_are_not_understood_stop_nothing() {
        let text = r#"{"tagOwners": {"tag:a": []}, "acls": [{"action": "accept", "src": ["*"], "dst": ["nodes:*"]}]}"#;
        let findings = judged(text, "tag:a");
        assert!(findings.iter().skip(1).all(|finding| finding.code.is_some() && !finding.fatal), "{findings:?}");
    }
}

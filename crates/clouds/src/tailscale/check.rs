//! What the tailnet must allow before a cluster can live on it.

use super::Tailnet;
use crate::{Finding, Why};
use serde_json::Value;
use wire::Line;

const POLICY: &str = "tailnet policy";
const HELP: &str = "docs/accounts.md#tailscale";

pub(super) async fn check(tailnet: &Tailnet, line: &Line, cluster: &str) -> Vec<Finding> {
    let mut findings = vec![match tailnet.devices(line).await {
        Ok(devices) => Finding::fine("tailnet devices", format!("{} can be seen", devices.len())),
        Err(error) => return vec![Finding::of("TAILSCALE credential", &error)],
    }];
    findings.push(match tailnet.keys(line).await {
        Ok(_) => Finding::fine("tailnet auth keys", "can be seen"),
        Err(error) => Finding::of("tailnet auth keys (scope auth_keys)", &error),
    });
    match tailnet.policy(line).await {
        Ok(text) => findings.extend(policy(&text, cluster)),
        // Without the scope the policy cannot be judged, which stops nothing.
        Err(error) if matches!(error.why, Why::Forbidden | Why::NotFound) => findings.push(Finding {
            subject: POLICY.into(),
            code: Some(error.why.code().into()),
            fatal: false,
            message: "cannot be read with this credential, so that it is not known whether it lets the nodes in".into(),
            help: Some(format!("give the credential the scope policy_file:read; {HELP}")),
        }),
        Err(error) => findings.push(Finding::of(POLICY, &error)),
    }
    findings
}

fn policy(text: &str, cluster: &str) -> Vec<Finding> {
    let tag = format!("tag:bouquet-{cluster}");
    let Ok(policy) = serde_json::from_str::<Value>(&plain_json(text)) else {
        return vec![Finding {
            subject: POLICY.into(),
            code: Some(Why::Garbled.code().into()),
            fatal: false,
            message: "the policy cannot be read as HuJSON".into(),
            help: None,
        }];
    };
    let owned = policy["tagOwners"].get(&tag).is_some();
    let mut findings = vec![if owned {
        Finding::fine(POLICY, format!("{tag} has an owner"))
    } else {
        Finding {
            subject: POLICY.into(),
            code: Some(Why::Forbidden.code().into()),
            fatal: true,
            message: format!("nobody owns {tag}, so that no key for it can be made"),
            help: Some(format!("add to tagOwners: \"{tag}\": [\"autogroup:admin\"]; {HELP}")),
        }
    }];
    findings.push(if names(&policy, &tag) {
        Finding::fine(POLICY, format!("a rule speaks of {tag}"))
    } else {
        Finding {
            subject: POLICY.into(),
            code: Some(Why::Forbidden.code().into()),
            fatal: true,
            message: format!("no grant or ACL lets anybody reach {tag}"),
            help: Some(format!(
                "add to grants: {{\"src\": [\"autogroup:admin\", \"{tag}\"], \"dst\": [\"{tag}\"], \"ip\": [\"*\"]}}; {HELP}"
            )),
        }
    });
    findings
}

/// Whether any rule has the tag, or everything, as its destination.
fn names(policy: &Value, tag: &str) -> bool {
    let rules = [&policy["grants"], &policy["acls"]].into_iter().filter_map(Value::as_array).flatten();
    rules.filter_map(|rule| rule["dst"].as_array()).flatten().filter_map(Value::as_str).any(|to| {
        to == "*" || to == "*:*" || to == tag || to.strip_prefix(tag).is_some_and(|ports| ports.starts_with(':'))
    })
}

/// HuJSON without its comments and trailing commas.
fn plain_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match (next, rest.peek()) {
            ('"', _) => {
                out.push('"');
                while let Some(inside) = rest.next() {
                    out.push(inside);
                    if inside == '\\' {
                        out.extend(rest.next());
                    } else if inside == '"' {
                        break;
                    }
                }
            }
            ('/', Some('/')) => while rest.next_if(|next| *next != '\n').is_some() {},
            ('/', Some('*')) => {
                rest.next();
                let mut last = ' ';
                for next in rest.by_ref() {
                    if last == '*' && next == '/' {
                        break;
                    }
                    last = next;
                }
            }
            (']' | '}', _) => {
                let kept = out.trim_end().trim_end_matches(',').len();
                out.truncate(kept);
                out.push(next);
            }
            _ => out.push(next),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
        // who may tag
        "tagOwners": { "tag:bouquet-bouquet": ["autogroup:admin"], },
        /* and who may talk */
        "grants": [{"src": ["*"], "dst": ["tag:bouquet-bouquet"], "ip": ["*"]},],
    }"#;

    #[test]
    fn a_policy_with_owner_and_grant_is_fine() {
        assert!(policy(GOOD, "bouquet").iter().all(|finding| finding.code.is_none()));
    }

    #[test]
    fn what_is_missing_for_another_cluster_is_printed_to_be_pasted() {
        let findings = policy(GOOD, "garden");
        assert!(findings.iter().all(|finding| finding.fatal), "{findings:?}");
        assert!(findings[0].help.as_deref().unwrap().contains(r#""tag:bouquet-garden": ["autogroup:admin"]"#));
    }

    #[test]
    fn a_slash_in_a_string_begins_no_comment() {
        assert_eq!(plain_json(r#"{"a": "http://x\"//", }"#), r#"{"a": "http://x\"//"}"#);
    }
}

//! What a tailnet policy says of a cluster's nodes. Syntax: <https://tailscale.com/kb/1337/policy-syntax>.
//!
//! Only as much is understood as the question needs: who may open which ports of a tag. A rule that names hosts or IP
//! sets of the policy's own is not understood, which [`Policy::is_understood`] tells.

use serde_json::Value;

/// A policy, read.
pub(super) struct Policy {
    /// Tags that somebody owns.
    owned: Vec<String>,
    /// `None`: the policy has no section of rules at all, which lets everybody reach everything.
    rules: Option<Vec<Rule>>,
    understood: bool,
}

/// One grant, or one ACL.
struct Rule {
    from: Vec<String>,
    to: Vec<To>,
}

/// A destination with its own ports.
struct To {
    host: String,
    ports: Vec<Ports>,
}

/// Ports that are open.
struct Ports {
    /// `None`: all.
    protocol: Option<String>,
    first: u16,
    last: u16,
}

/// A port that something must be able to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub protocol: &'static str,
    pub port: u16,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// The machine that bouquet runs on: a person's, or one with another tag. Which of them cannot be known, so any
    /// rule that lets in somebody besides the nodes counts.
    Operator,
    /// The cluster's nodes.
    Nodes,
}

impl Policy {
    /// `None` if it is not even HuJSON with an object in it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(&plain_json(text)).ok()?;
        let sections = json.as_object()?;
        let owned = sections.get("tagOwners").and_then(Value::as_object);
        let owned = owned.map(|owners| owners.keys().cloned().collect()).unwrap_or_default();
        let grants = sections.get("grants").map(|section| entries(section).map(grant).collect::<Vec<Rule>>());
        let acls = sections.get("acls").map(|section| entries(section).filter_map(acl).collect());
        let rules = match (grants, acls) {
            (None, None) => None,
            (grants, acls) => Some(grants.into_iter().chain(acls).flatten().collect::<Vec<Rule>>()),
        };
        let hosts = rules.iter().flatten().flat_map(|rule| &rule.to).map(|to| to.host.as_str());
        let understood = hosts.into_iter().all(is_plain);
        Some(Policy { owned, rules, understood })
    }

    pub(super) fn owns(&self, tag: &str) -> bool {
        self.owned.iter().any(|owned| owned == tag)
    }

    /// Whether no rule leads to something that this room does not resolve.
    pub(super) fn is_understood(&self) -> bool {
        self.understood
    }

    /// Those of `wishes` that no rule lets `asker` reach on devices with `tag`.
    pub(super) fn missing(&self, asker: Asker, tag: &str, wishes: &[Wish]) -> Vec<Wish> {
        let Some(rules) = &self.rules else { return Vec::new() };
        let open = |wish: &Wish| {
            let from = rules.iter().filter(|rule| rule.from.iter().any(|from| is_asker(from, asker, tag)));
            from.flat_map(|rule| &rule.to).any(|to| is_destination(&to.host, tag) && to.opens(wish))
        };
        wishes.iter().filter(|wish| !open(wish)).copied().collect()
    }
}

impl To {
    fn opens(&self, wish: &Wish) -> bool {
        self.ports.iter().any(|ports| {
            let protocol = ports.protocol.as_deref().is_none_or(|protocol| protocol == wish.protocol);
            protocol && (ports.first..=ports.last).contains(&wish.port)
        })
    }
}

/// All mesh addresses.
const MESH: &str = "100.64.0.0/10";

fn is_asker(from: &str, asker: Asker, tag: &str) -> bool {
    match asker {
        Asker::Operator => from != tag && from != "autogroup:tagged",
        Asker::Nodes => is_destination(from, tag),
    }
}

fn is_destination(host: &str, tag: &str) -> bool {
    host == tag || matches!(host, "*" | "autogroup:tagged" | "autogroup:danger-all" | MESH)
}

/// Whether a destination is a selector that [`is_destination`] judges rightly.
fn is_plain(host: &str) -> bool {
    let prefixes = ["tag:", "autogroup:", "group:", "svc:"];
    host == "*" || host == MESH || host.contains('@') || prefixes.iter().any(|prefix| host.starts_with(prefix))
}

fn entries(section: &Value) -> impl Iterator<Item = &Value> {
    section.as_array().into_iter().flatten()
}

/// `{"src": […], "dst": ["tag:x"], "ip": ["tcp:443", "8000-9000", "*"]}`. Without `ip` it opens no port.
fn grant(grant: &Value) -> Rule {
    let ports: Vec<&str> = words(grant.get("ip")).collect();
    let to = words(grant.get("dst"));
    let to =
        to.map(|host| To { host: host.to_owned(), ports: ports.iter().filter_map(|text| granted(text)).collect() });
    Rule { from: words(grant.get("src")).map(str::to_owned).collect(), to: to.collect() }
}

fn granted(text: &str) -> Option<Ports> {
    let (protocol, ports) = match text.split_once(':') {
        Some((protocol, ports)) => (Some(protocol.to_owned()), ports),
        None => (None, text),
    };
    let (first, last) = range(ports)?;
    Some(Ports { protocol, first, last })
}

/// `{"action": "accept", "src": […], "dst": ["tag:x:80,443"], "proto": "tcp"}`; `users` and `ports` are the old names.
fn acl(acl: &Value) -> Option<Rule> {
    if acl.get("action").and_then(Value::as_str) != Some("accept") {
        return None;
    }
    let protocol = acl.get("proto").and_then(Value::as_str).filter(|text| !text.is_empty());
    let to = words(acl.get("dst").or_else(|| acl.get("ports"))).filter_map(|text| {
        let (host, ports) = text.rsplit_once(':')?;
        let ports = ports.split(',').filter_map(range);
        let ports = ports.map(|(first, last)| Ports { protocol: protocol.map(str::to_owned), first, last });
        Some(To { host: host.to_owned(), ports: ports.collect() })
    });
    let from = words(acl.get("src").or_else(|| acl.get("users"))).map(str::to_owned).collect();
    Some(Rule { from, to: to.collect() })
}

fn range(text: &str) -> Option<(u16, u16)> {
    let text = text.trim();
    if text == "*" {
        return Some((0, u16::MAX));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

fn words(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
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
                let kept = out.trim_end();
                let kept = kept.strip_suffix(',').unwrap_or(kept).len();
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
    use proptest::prelude::*;

    const TAG: &str = "tag:bouquet-bouquet";
    const TALOS: Wish = Wish { protocol: "tcp", port: 50_000 };
    const VXLAN: Wish = Wish { protocol: "udp", port: 4789 };

    fn missing(asker: Asker, policy: &str) -> Vec<Wish> {
        Policy::read(policy).unwrap().missing(asker, TAG, &[TALOS, VXLAN])
    }

    #[test]
    fn a_grant_opens_its_ports_to_its_sources() {
        let grant =
            |src: &str, ip: &str| format!(r#"{{"grants": [{{"src": ["{src}"], "dst": ["{TAG}"], "ip": [{ip}]}}]}}"#);
        assert_eq!(missing(Asker::Operator, &grant("autogroup:admin", r#""*""#)), []);
        assert_eq!(missing(Asker::Operator, &grant("autogroup:admin", r#""tcp:*""#)), [VXLAN]);
        assert_eq!(missing(Asker::Operator, &grant("group:ops", r#""4789", "tcp:49999-50001""#)), []);
        assert_eq!(missing(Asker::Operator, &grant(TAG, r#""*""#)), [TALOS, VXLAN]);
        assert_eq!(missing(Asker::Nodes, &grant(TAG, r#""*""#)), []);
        assert_eq!(missing(Asker::Nodes, &grant("autogroup:admin", r#""*""#)), [TALOS, VXLAN]);
        assert_eq!(missing(Asker::Nodes, &grant("*", r#""tcp:50000", "udp:4788""#)), [VXLAN]);
    }

    #[test]
    fn an_acl_opens_the_ports_behind_its_last_colon() {
        let acl = |dst: &str, more: &str| {
            format!(r#"{{"acls": [{{"action": "accept", "src": ["*"], "dst": ["{dst}"]{more}}}]}}"#)
        };
        assert_eq!(missing(Asker::Nodes, &acl("*:*", "")), []);
        assert_eq!(missing(Asker::Nodes, &acl(&format!("{TAG}:443,50000"), "")), [VXLAN]);
        assert_eq!(missing(Asker::Nodes, &acl("*:*", r#", "proto": "tcp""#)), [VXLAN]);
        assert_eq!(missing(Asker::Nodes, &acl("tag:other:*", "")), [TALOS, VXLAN]);
    }

    #[test]
    fn no_rules_at_all_let_everybody_in_and_empty_rules_nobody() {
        assert_eq!(missing(Asker::Nodes, "{}"), []);
        assert_eq!(missing(Asker::Nodes, r#"{"acls": []}"#), [TALOS, VXLAN]);
    }

    #[test]
    fn rules_about_hosts_of_the_policys_own_are_said_not_to_be_understood() {
        let policy = |dst: &str| Policy::read(&format!(r#"{{"acls": [{{"action": "accept", "dst": ["{dst}:*"]}}]}}"#));
        assert!(policy("tag:x").unwrap().is_understood());
        assert!(!policy("my-servers").unwrap().is_understood());
        assert!(!policy("100.64.0.7").unwrap().is_understood());
    }

    #[test]
    fn comments_and_trailing_commas_go_and_strings_stay() {
        let text = "{ // who\n \"tagOwners\": {\"tag:a//b\": [\"x\",],}, /* and * more */ }";
        assert!(Policy::read(text).unwrap().owns("tag:a//b"));
        assert_eq!(plain_json(r#"{"a": "http://x\"//", }"#), r#"{"a": "http://x\"//"}"#);
        assert_eq!(plain_json(r#"{"a": "x",,}"#), r#"{"a": "x",}"#);
    }

    proptest! {
        #[test]
        fn no_policy_panics(text in r#"[\[\]{}":,/*\\ a-z0-9-]{0,80}"#) {
            if let Some(policy) = Policy::read(&text) {
                policy.missing(Asker::Operator, TAG, &[TALOS]);
            }
        }

        #[test]
        fn plain_json_stays_what_it_is(value in proptest::collection::vec(".{0,12}", 0..5)) {
            let text = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&plain_json(&text)).unwrap(), value);
        }
    }
}

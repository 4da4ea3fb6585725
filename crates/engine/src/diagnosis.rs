//! What is wrong with a node that is late: what was seen in, plain words out.
//!
//! Certain causes are stated; where several fit what was seen, they are named as such, likeliest first.

use jiff::Timestamp;
use spec::Role;
use talos::{ClientError, Service};
use wire::Lost;

/// What became of the auth key that a machine was launched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeySeen {
    /// No key of this launch is known: it was made by a run that ended, and is no longer listed.
    Unknown,
    /// Good, and never used.
    Unused,
    /// Ran out at this time.
    Expired(Timestamp),
    /// Used or taken back.
    Spent,
}

/// What can be seen of a node that is not on the tailnet.
#[derive(Debug)]
pub(crate) struct Absent {
    /// Its auth key.
    pub key: KeySeen,
    /// The name it has on the tailnet because another device holds its own.
    pub renamed: Option<String>,
    /// Devices with the cluster's tag that are no node of the file.
    pub strangers: Vec<String>,
    /// What its cloud tells.
    pub cloud: Option<String>,
    /// Whether the cloud's words come from the machine's console.
    pub shows_console: bool,
}

/// Why a node is not on the tailnet.
pub(crate) fn absent(seen: &Absent) -> Option<String> {
    let mut words = Vec::new();
    if let Some(name) = &seen.renamed {
        words.push(format!("it is on the tailnet as {name:?}, because an older device holds the name"));
    }
    for name in &seen.strangers {
        words.push(format!(
            "a device called {name:?} has joined with this cluster's tag, and the file names no such node: if it is this \
             machine, it was given another host name"
        ));
    }
    match seen.key {
        KeySeen::Expired(at) => {
            words.push(format!("its auth key expired at {}, so the tailnet refuses it", at.strftime("%F %T UTC")));
        }
        KeySeen::Spent if seen.strangers.is_empty() && seen.renamed.is_none() => {
            words.push("its auth key has been used up or taken back, so the tailnet refuses it".to_owned());
        }
        KeySeen::Spent | KeySeen::Unknown => {}
        KeySeen::Unused => words.push("its auth key was never used".to_owned()),
    }
    words.extend(seen.cloud.clone());
    if seen.key == KeySeen::Unused && !seen.shows_console {
        words.push(
            "so it never got as far as logging in to the tailnet. Its cloud shows no console to programs; look there for one of: \
             user data that it cannot read (truncated, or not ours); an image that does not boot on it (architecture, \
             firmware); an image from another installer, or without the tailscale extension; a login with another auth \
             key; no way to the internet"
                .to_owned(),
        );
    }
    (!words.is_empty()).then(|| words.join("; "))
}

/// Why a node that is on the tailnet does not answer on its machine API.
pub(crate) fn closed(error: &ClientError, role: Option<Role>) -> String {
    match error {
        ClientError::Lost(Lost { error: wire::Error::Tls { reason, .. }, .. })
            if ["UnknownIssuer", "BadSignature"].iter().any(|sign| reason.contains(sign)) =>
        {
            "its machine API shows a certificate of another certificate authority than the bundle's: it runs with a \
             configuration that was not made from this bundle"
                .to_owned()
        }
        ClientError::Lost(Lost { error: wire::Error::Tls { reason, .. }, .. }) if reason.contains("UnknownCA") => {
            "its machine API does not accept our certificate: it runs with another certificate authority than the bundle's"
                .to_owned()
        }
        // The certificate comes from trustd: it must be vouched for by the authority, and wants the token.
        ClientError::Lost(Lost { error: wire::Error::Refused(_), .. }) if role == Some(Role::Worker) => {
            "its machine API is closed, as a worker's is until a control plane has signed its certificate: the \
             certificate authority or the token in its configuration is not the cluster's, or it reaches no control plane"
                .to_owned()
        }
        ClientError::Lost(Lost { error: wire::Error::Refused(_), .. }) => {
            "its machine API is closed: Talos has not come as far as starting it".to_owned()
        }
        ClientError::Lost(Lost { error: wire::Error::TimedOut(_), .. }) => format!(
            "nothing answers at its machine API: the firewall in its configuration lets another subnet in than the \
             tailnet's ({}), or the tailnet's policy keeps us out",
            talos::MESH_RANGE
        ),
        other => other.to_string(),
    }
}

/// Services that are not as they should be, each with its last words.
pub(crate) fn unwell(services: &[Service]) -> Vec<String> {
    let bad = services.iter().filter(|service| {
        let runs = matches!(service.state.as_str(), "Running" | "Finished" | "Skipped");
        !runs || service.healthy == Some(false)
    });
    let words = bad.map(|service| {
        let message =
            if service.last_message.is_empty() { String::new() } else { format!(": {}", service.last_message) };
        format!("service {} is {}{message}", service.id, service.state)
    });
    words.collect()
}

/// Where a node's configuration is not what the file says. `paths`: of [`talos::differences`], without values.
pub(crate) fn misconfigured(paths: &[String]) -> Option<String> {
    let words: Vec<String> = paths
        .iter()
        .map(|path| match meaning(path) {
            Some(meaning) => format!("the {meaning} ({path})"),
            None => path.clone(),
        })
        .collect();
    (!words.is_empty()).then(|| format!("its configuration is not what it should be in {}", words.join(", ")))
}

fn meaning(path: &str) -> Option<&'static str> {
    const MEANINGS: &[(&str, &str)] = &[
        ("machine.ca", "certificate authority"),
        ("machine.token", "token"),
        ("cluster.token", "bootstrap token"),
        ("cluster.ca", "certificate authority of Kubernetes"),
        ("cluster.controlPlane.endpoint", "endpoint"),
        ("machine.kubelet.nodeIP", "subnet of its node address"),
        ("cluster.etcd.advertisedSubnets", "subnet of etcd"),
        ("HostnameConfig", "host name"),
        ("NetworkRuleConfig", "subnets of its firewall"),
        ("ExtensionServiceConfig/tailscale", "settings of Tailscale"),
    ];
    MEANINGS.iter().find(|(prefix, _)| path.starts_with(prefix)).map(|(_, meaning)| *meaning)
}

/// The last line of a service's log that tells of an error, shortened; control characters are left out, because what a
/// machine logs is not to be trusted on a terminal.
pub(crate) fn last_error(log: &str) -> Option<String> {
    const SHOWN_CHARS: usize = 200;
    const SIGNS: &[&str] = &["error", "fail", "unable", "unauthorized", "no such host", "refused", "denied"];
    let is_error = |line: &&str| {
        let line = line.to_lowercase();
        SIGNS.iter().any(|sign| line.contains(sign))
    };
    let line = log.lines().rev().find(is_error)?;
    Some(line.chars().filter(|letter| !letter.is_control()).take(SHOWN_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(key: KeySeen) -> Absent {
        Absent { key, renamed: None, strangers: Vec::new(), cloud: None, shows_console: false }
    }

    #[test]
    fn an_expired_key_is_the_cause_and_nothing_else_is_guessed() {
        let words = absent(&seen(KeySeen::Expired(Timestamp::UNIX_EPOCH))).unwrap();
        assert_eq!(words, "its auth key expired at 1970-01-01 00:00:00 UTC, so the tailnet refuses it");
    }

    #[test]
    fn an_unused_key_leaves_several_causes_unless_a_console_was_seen() {
        let words = absent(&seen(KeySeen::Unused)).unwrap();
        assert!(words.contains("one of: user data"), "{words}");
        let console = Some("its console stands in the UEFI Shell".to_owned());
        let words = absent(&Absent { cloud: console, shows_console: true, ..seen(KeySeen::Unused) }).unwrap();
        assert_eq!(words, "its auth key was never used; its console stands in the UEFI Shell");
    }

    #[test]
    fn a_stranger_with_our_tag_explains_a_used_key() {
        let words = absent(&Absent { strangers: vec!["daisy".into()], ..seen(KeySeen::Spent) }).unwrap();
        assert!(words.contains("\"daisy\"") && words.contains("host name") && !words.contains("taken back"), "{words}");
    }

    #[test]
    fn nothing_seen_is_nothing_said() {
        assert_eq!(absent(&seen(KeySeen::Unknown)), None);
        assert_eq!(misconfigured(&[]), None);
        assert_eq!(last_error("I0101 started\n"), None);
    }

    #[test]
    fn what_a_machine_logs_cannot_move_the_cursor() {
        assert_eq!(last_error("ok\n\u{1b}[2Jfailed: no\nok").as_deref(), Some("[2Jfailed: no"));
    }

    #[test]
    fn fields_are_named_in_words_and_by_path() {
        let words = misconfigured(&["HostnameConfig: hostname".into(), "machine.sysctls".into()]).unwrap();
        assert!(words.ends_with("in the host name (HostnameConfig: hostname), machine.sysctls"), "{words}");
    }
}

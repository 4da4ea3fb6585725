//! Traefik's arguments: `--path.to.option=value`, names in any case.

use std::collections::BTreeMap;
use std::time::Duration;

/// The port that Traefik's own entry point has unless told otherwise.
const OWN_PORT: u16 = 8080;
const OWN: &str = "traefik";

/// What Traefik has been told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    pub entry_points: BTreeMap<String, EntryPoint>,
    /// `providers.kubernetesIngress`.
    pub ingress: bool,
    /// `providers.kubernetesIngress.ingressClass`; empty: whatever is Traefik's.
    pub class: String,
    /// `providers.kubernetesIngress.allowEmptyServices`.
    pub empty_services: bool,
    /// The entry point of `/ping`.
    pub ping: Option<String>,
    /// `transport.lifeCycle.requestAcceptGraceTimeout`, the longest of all entry points.
    pub accepts_after_term: Duration,
}

/// A port that Traefik listens on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryPoint {
    pub port: u16,
    /// `http.tls`: every router of it has TLS.
    pub tls: bool,
    /// `http.redirections.entryPoint.to`: an entry point or `:PORT`.
    pub redirects_to: Option<String>,
    /// `http.redirections.entryPoint.permanent`.
    pub permanent: bool,
}

impl EntryPoint {
    /// Whether connections begin with TLS. In life a port takes both; here one that is named or told to be secure takes TLS alone.
    pub(super) fn speaks_tls(&self, name: &str) -> bool {
        self.tls || name.contains("secure") || name == "https"
    }
}

impl Arguments {
    /// `None` where Traefik would exit: an option that is none, an address without a port.
    pub(super) fn read(args: &[String]) -> Option<Self> {
        let mut all = Arguments::default();
        let (mut pings, mut ping_at) = (false, OWN.to_owned());
        for arg in args {
            let option = arg.strip_prefix("--")?;
            let (name, value) = option.split_once('=').unwrap_or((option, "true"));
            let name = name.to_ascii_lowercase();
            let is_on = value != "false";
            match name.split('.').collect::<Vec<_>>().as_slice() {
                ["entrypoints", entry, rest @ ..] => {
                    let point = all.entry_points.entry((*entry).to_owned()).or_insert_with(EntryPoint::fresh);
                    match rest {
                        ["address"] => point.port = port(value)?,
                        ["http", "tls"] => point.tls = is_on,
                        ["http", "tls", ..] => point.tls = true,
                        ["http", "redirections", "entrypoint", "to"] => {
                            point.redirects_to = Some(value.to_ascii_lowercase());
                        }
                        ["http", "redirections", "entrypoint", "permanent"] => point.permanent = is_on,
                        ["transport", "lifecycle", "requestacceptgracetimeout"] => {
                            all.accepts_after_term = all.accepts_after_term.max(duration(value)?);
                        }
                        _ => {}
                    }
                }
                ["providers", "kubernetesingress"] => all.ingress = is_on,
                ["providers", "kubernetesingress", option] => {
                    all.ingress = true;
                    match *option {
                        "ingressclass" => value.clone_into(&mut all.class),
                        "allowemptyservices" => all.empty_services = is_on,
                        _ => {}
                    }
                }
                ["ping"] => pings = is_on,
                ["ping", option] => {
                    pings = true;
                    if *option == "entrypoint" {
                        ping_at = value.to_ascii_lowercase();
                    }
                }
                _ => {}
            }
        }
        if pings {
            if ping_at == OWN {
                all.entry_points
                    .entry(OWN.to_owned())
                    .or_insert_with(|| EntryPoint { port: OWN_PORT, ..EntryPoint::fresh() });
            }
            all.ping = Some(ping_at);
        }
        if all.entry_points.is_empty() {
            all.entry_points.insert("http".to_owned(), EntryPoint { port: 80, ..EntryPoint::fresh() });
        }
        all.entry_points.values().all(|point| point.port > 0).then_some(all)
    }

    /// Where an entry point redirects to: the port as the client is to write it.
    pub(super) fn redirection(&self, from: &EntryPoint) -> Option<u16> {
        let to = from.redirects_to.as_deref()?;
        if let Some(number) = to.strip_prefix(':') {
            return number.parse().ok();
        }
        self.entry_points.get(to).map(|point| point.port)
    }
}

impl EntryPoint {
    fn fresh() -> Self {
        EntryPoint { permanent: true, ..EntryPoint::default() }
    }
}

/// `:8000/tcp`, `0.0.0.0:80`, `[::]:443`.
fn port(address: &str) -> Option<u16> {
    address.split('/').next()?.rsplit_once(':')?.1.parse().ok()
}

/// `10`, `10s`, `2m`, `500ms`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match text.get(digits.len()..)? {
        "" | "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "m" => Some(Duration::from_secs(number.saturating_mul(60))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Option<Arguments> {
        Arguments::read(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_in_any_case_and_with_or_without_values() {
        let all = read(&[
            "--entryPoints.web.address=:8000/tcp",
            "--entrypoints.websecure.address=0.0.0.0:8443",
            "--entryPoints.websecure.http.tls=true",
            "--entryPoints.web.http.redirections.entryPoint.to=:443",
            "--entryPoints.web.transport.lifeCycle.requestAcceptGraceTimeout=10s",
            "--providers.kubernetesIngress.ingressClass=traefik",
            "--ping",
        ])
        .unwrap();
        assert_eq!((all.entry_points["web"].port, all.entry_points["websecure"].port), (8000, 8443));
        assert!(all.entry_points["websecure"].tls && all.ingress && all.class == "traefik");
        assert_eq!(all.redirection(&all.entry_points["web"]), Some(443));
        assert_eq!((all.ping.as_deref(), all.entry_points["traefik"].port), (Some("traefik"), 8080));
        assert_eq!(all.accepts_after_term, Duration::from_secs(10));
    }

    #[test]
    fn an_address_without_a_port_ends_it() {
        assert_eq!(read(&["--entryPoints.web.address=here"]), None);
        assert_eq!(read(&["entryPoints"]), None);
    }
}

//! Faults are rules, consulted in the order in which they were added; the first that matches strikes.
//!
//! Grammar: `VENDOR EFFECT[=ARG] [on METHOD PATH] [for SUBJECT] [after N] [times M]`. `VENDOR` may be `*`. `PATH` matches
//! as a prefix, and `*` in it matches one segment. `after N` lets N matches pass first; `times M` strikes M times, else
//! for ever.

/// Every effect there is: vendor (`*`: any), effect, what it does. The source of `docs/faults.md`.
pub const CATALOGUE: &[(&str, &str, &str)] = &[
    ("*", "lose-request", "the connection breaks before the call is handled"),
    ("*", "lose-answer", "the call takes effect, then the connection breaks"),
    ("*", "hang", "the call never gets an answer"),
    ("*", "slow", "the answer takes `=SECONDS` longer"),
    ("*", "html", "a proxy's HTML page with status 502 instead of an answer"),
    ("*", "garbage", "status 200 and bytes that are no JSON"),
    ("*", "truncate", "the answer's body ends half-way"),
    ("*", "status", "the vendor's own error shape with status `=CODE`"),
    ("*", "rate-limit", "the vendor's own 429"),
    ("hetzner", "no-capacity", "412 resource_unavailable on server create; SUBJECT is the machine type or region"),
    ("hetzner", "sold-out", "the catalogue says that a server type is not available; SUBJECT is the type"),
    ("hetzner", "location-disabled", "412 with the location named; SUBJECT is the region"),
    ("hetzner", "action-error", "the create action ends in error/unknown_error, the server exists but stays off"),
    ("hetzner", "action-locked", "the create action ends in `server is locked`, the server comes up all the same"),
    ("hetzner", "locked", "423 locked on the next change of a server; SUBJECT is its name"),
    ("hetzner", "rescue-refused", "SSH of the rescue system is refused for `=SECONDS` after boot (default 120)"),
    ("hetzner", "in-use", "422 resource_in_use on deleting a firewall"),
    ("hetzner", "quota", "403 resource_limit_exceeded on create"),
    ("hetzner", "no-boot", "the machine runs and never boots; SUBJECT is its name"),
    ("oci", "no-capacity", "500 Out of host capacity on launch; SUBJECT is the shape"),
    ("oci", "shape-not-found", "404 on launch for a shape that exists"),
    ("oci", "limit-exceeded", "400 LimitExceeded on launch"),
    ("oci", "suspended", "404 everywhere, limits zero"),
    ("oci", "no-boot", "RUNNING but never boots; SUBJECT is the display name"),
    ("oci", "image-shape", "400: the image is not valid for the shape"),
    ("oci", "no-address", "the public address appears only `=SECONDS` after RUNNING (default 20)"),
    ("oci", "subnet-in-use", "409 Conflict on deleting a subnet while a VNIC lags"),
    ("oci", "vcn-busy", "409 IncorrectState on deleting a VCN"),
    ("oci", "vnic-stuck", "the VNIC stays DETACHING for `=SECONDS` (default 900)"),
    ("oci", "clock-skew", "401 NotAuthenticated as for a clock that is off"),
    ("tailscale", "key-expired", "an auth key turns out expired when a node uses it; SUBJECT is the host name"),
    ("tailscale", "name-taken", "a stale device holds the host name, the node becomes NAME-1"),
    ("tailscale", "tags-refused", "400: requested tags are invalid or not permitted"),
    ("cloudflare", "zone-hidden", "the token does not see the zone"),
    ("cloudflare", "stale", "for `=SECONDS` after a change lists show the zone as it was before; SUBJECT is the zone"),
    (
        "s3",
        "no-trailers",
        "400 XAmzContentSHA256Mismatch for a body with its checksum in a trailer; SUBJECT is the bucket",
    ),
    ("factory", "image-missing", "404 for a disk image"),
    ("node", "dies", "the machine loses power when it reaches stage SUBJECT:STAGE"),
    ("node", "ingress-hangs", "ports that pods publish on node SUBJECT accept connections and never answer"),
    ("node", "ingress-silent", "connections to ports that pods publish on node SUBJECT are dropped"),
    ("node", "no-api", "node SUBJECT reaches no API server, neither its kubelet nor its pods, until this is healed"),
    ("node", "no-mesh", "packets over the mesh, and of pods, are lost from FROM to TO; SUBJECT is FROM:TO"),
    (
        "node",
        "no-path",
        "packets to a node's public addresses are lost; SUBJECT is FROM:TO, FROM may be `operator`, TO a host such as `1.1.1.1`",
    ),
    ("node", "no-routes", "Traefik on node SUBJECT has no routes: 404 for every name"),
    ("node", "wrong-certificate", "Traefik on node SUBJECT shows its default certificate for every name"),
];

/// Why a rule cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Not `VENDOR EFFECT …`.
    #[error("fault rule {0:?} is not written VENDOR EFFECT[=ARG] [on METHOD PATH] [for SUBJECT] [after N] [times M]")]
    Grammar(String),
    /// The vendor has no such effect.
    #[error("there is no fault {effect:?} for {vendor:?}; see docs/faults.md")]
    Unknown {
        /// As written.
        vendor: String,
        /// As written.
        effect: String,
    },
}

struct Rule {
    id: u64,
    vendor: String,
    effect: String,
    arg: String,
    call: Option<(String, String)>,
    subject: Option<String>,
    after: u64,
    times: Option<u64>,
}

/// What happens to a call on its way, whoever it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    LoseRequest,
    LoseAnswer,
    Hang,
    Slow(u64),
    Html,
    Garbage,
    Truncate,
    Status(u16),
}

#[derive(Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    next: u64,
}

impl Faults {
    pub(crate) fn read(rules: &[String]) -> Result<Self, FaultError> {
        let mut faults = Faults::default();
        for rule in rules {
            faults.add(rule)?;
        }
        Ok(faults)
    }

    pub(crate) fn add(&mut self, text: &str) -> Result<u64, FaultError> {
        self.next += 1;
        let rule = parse(self.next, text)?;
        self.rules.push(rule);
        Ok(self.next)
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id != id);
        self.rules.len() < before
    }

    /// Whether a rule for this effect matches now; counts the match. Returns the rule's argument.
    pub(crate) fn strike(&mut self, vendor: &str, effect: &str, subject: &str) -> Option<String> {
        self.rules.iter_mut().find_map(|rule| {
            let fits = (rule.vendor == vendor || rule.vendor == "*")
                && rule.effect == effect
                && rule.call.is_none()
                && rule.subject.as_deref().is_none_or(|wanted| wanted == subject);
            (fits && rule.spend()).then(|| rule.arg.clone())
        })
    }

    /// Whether a rule for this effect would strike now; counts nothing. For what only foretells.
    pub(crate) fn stands(&self, vendor: &str, effect: &str, subject: &str) -> bool {
        self.rules.iter().any(|rule| {
            (rule.vendor == vendor || rule.vendor == "*")
                && rule.effect == effect
                && rule.call.is_none()
                && rule.subject.as_deref().is_none_or(|wanted| wanted == subject)
                && rule.after == 0
                && rule.times != Some(0)
        })
    }

    /// What happens to a call to `vendor` on its way.
    pub(crate) fn transport(&mut self, vendor: &str, method: &str, path: &str) -> Option<Transport> {
        self.rules.iter_mut().find_map(|rule| {
            if rule.vendor != vendor && rule.vendor != "*" || !rule.matches_call(method, path) {
                return None;
            }
            let transport = match rule.effect.as_str() {
                "lose-request" => Transport::LoseRequest,
                "lose-answer" => Transport::LoseAnswer,
                "hang" => Transport::Hang,
                "slow" => Transport::Slow(rule.arg.parse().unwrap_or(5)),
                "html" => Transport::Html,
                "garbage" => Transport::Garbage,
                "truncate" => Transport::Truncate,
                "status" => Transport::Status(rule.arg.parse().unwrap_or(503)),
                "rate-limit" => Transport::Status(429),
                _ => return None,
            };
            rule.spend().then_some(transport)
        })
    }
}

impl Rule {
    fn spend(&mut self) -> bool {
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    fn matches_call(&self, method: &str, path: &str) -> bool {
        let Some((wanted_method, wanted_path)) = &self.call else { return true };
        let mut segments = path.split('/');
        (wanted_method == "*" || wanted_method == method)
            && wanted_path.split('/').all(|wanted| {
                segments.next().is_some_and(|segment| wanted == "*" || wanted == segment || wanted.is_empty())
            })
    }
}

fn parse(id: u64, text: &str) -> Result<Rule, FaultError> {
    let wrong = || FaultError::Grammar(text.to_owned());
    let mut words = text.split_whitespace();
    let vendor = words.next().ok_or_else(wrong)?.to_owned();
    let effect = words.next().ok_or_else(wrong)?;
    let (effect, arg) = effect.split_once('=').unwrap_or((effect, ""));
    let known = CATALOGUE.iter().any(|(of, name, _)| *name == effect && (*of == "*" || *of == vendor || vendor == "*"));
    if !known {
        return Err(FaultError::Unknown { vendor, effect: effect.to_owned() });
    }
    let (effect, arg) = (effect.to_owned(), arg.to_owned());
    let mut rule = Rule { id, vendor, effect, arg, call: None, subject: None, after: 0, times: None };
    while let Some(word) = words.next() {
        let mut next = || words.next().ok_or_else(wrong);
        match word {
            "on" => rule.call = Some((next()?.to_owned(), next()?.to_owned())),
            "for" => rule.subject = Some(next()?.to_owned()),
            "after" => rule.after = next()?.parse().map_err(|_| wrong())?,
            "times" => rule.times = Some(next()?.parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        }
    }
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use std::path::Path;

    /// `docs/faults.md`, as it should be.
    fn page() -> String {
        let mut text = String::from(
            "# Faults\n\nWhat can be made to go wrong in the simulated world, in the words of `--fault`, of the control address and of tests.\n\n\
             ```\nVENDOR EFFECT[=ARG] [on METHOD PATH] [for SUBJECT] [after N] [times M]\n```\n\n\
             Rules are consulted in the order in which they were added; the first that matches strikes. `VENDOR` may be `*`. `PATH` matches by\n\
             segments as a prefix, `*` is any one of them. `after N` lets N matches pass first; `times M` strikes M times, else for ever.\n\n\
             | vendor | effect | what happens |\n|---|---|---|\n",
        );
        for (vendor, effect, what) in CATALOGUE {
            writeln!(text, "| `{vendor}` | `{effect}` | {what} |").unwrap();
        }
        text
    }

    #[test]
    fn the_page_of_faults_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md");
        if std::env::var_os("BOUQUET_UPDATE").is_some() {
            std::fs::write(&path, page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page(), "BOUQUET_UPDATE=1 rewrites it");
    }

    #[test]
    fn a_rule_strikes_after_n_and_then_m_times() {
        let mut faults = Faults::read(&["hetzner no-capacity for cax11 after 1 times 2".into()]).unwrap();
        let mut strike = |subject: &str| faults.strike("hetzner", "no-capacity", subject).is_some();
        assert!(!strike("cax21"), "another subject neither strikes nor counts");
        assert_eq!([strike("cax11"), strike("cax11"), strike("cax11"), strike("cax11")], [false, true, true, false]);
    }

    #[test]
    fn a_path_matches_by_segments() {
        let mut faults = Faults::read(&["hetzner status=503 on POST /v1/servers/*/actions".into()]).unwrap();
        assert_eq!(faults.transport("hetzner", "POST", "/v1/servers"), None);
        assert_eq!(faults.transport("hetzner", "GET", "/v1/servers/1/actions/poweron"), None);
        let struck = faults.transport("hetzner", "POST", "/v1/servers/1/actions/poweron");
        assert_eq!(struck, Some(Transport::Status(503)));
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_grammar() {
        for wrong in ["", "hetzner", "hetzner no-capacity times", "hetzner no-capacity now", "oci fly"] {
            assert!(Faults::read(&[wrong.into()]).is_err(), "{wrong}");
        }
    }
}

//! Hosts: what routes name, and what their annotations ask for.

use super::annotations::{self, Asks};
use super::names::{host, shown};
use super::objects::{HttpRoute, Ingress, IngressRoute, IngressRouteTcp, Kept, Key, Kind, Meta, Note, Objects, Unread};
use super::{Complaint, Host, Settings, Source, gateway};
use std::collections::BTreeMap;

const BAD_ANNOTATION: &str = "BadAnnotation";
const BAD_HOST: &str = "BadHost";
const BAD_RULE: &str = "BadRule";
const CONFLICT: &str = "ConflictingAnnotation";

/// One object and the names that its rules serve, as written.
struct Claim<'a> {
    kind: Kind,
    key: &'a Key,
    meta: &'a Meta,
    hosts: Vec<Box<str>>,
    unread: &'a [Unread],
}

impl<'a> Claim<'a> {
    fn new<K: Kept>(key: &'a Key, meta: &'a Meta, hosts: impl IntoIterator<Item = Box<str>>) -> Self {
        Claim { kind: K::KIND, key, meta, hosts: hosts.into_iter().collect(), unread: &[] }
    }

    fn complaint(&self, reason: &'static str, message: String) -> Complaint {
        self.kind.complaint(self.key, self.meta, reason, message)
    }
}

/// Every host that is served, with what is asked for it. Of objects that differ, the first by namespace, name and kind is heard.
pub(super) fn hosts(objects: &Objects, settings: &Settings, complaints: &mut Vec<Complaint>) -> BTreeMap<String, Host> {
    let mut claims = claims(objects, settings);
    claims.sort_by_key(|claim| (claim.key, claim.kind.name));
    let mut hosts = BTreeMap::new();
    for claim in &claims {
        match annotations::read(&claim.meta.annotations) {
            Ok(asks) if asks.is_excluded => {}
            Ok(asks) => serve(claim, &asks, &mut hosts, complaints),
            Err(faults) => {
                complaints.extend(faults.into_iter().map(|fault| claim.complaint(BAD_ANNOTATION, fault)));
            }
        }
    }
    hosts
}

fn claims<'a>(objects: &'a Objects, settings: &Settings) -> Vec<Claim<'a>> {
    let mut claims = Vec::new();
    for source in &settings.sources {
        match source {
            Source::Ingress => claims.extend(
                objects
                    .ingresses
                    .iter()
                    .filter(|(_, ingress)| is_ours(ingress, settings))
                    .map(|(key, ingress)| Claim::new::<Ingress>(key, &ingress.meta, ingress.hosts.iter().cloned())),
            ),
            Source::IngressRoute => {
                claims.extend(objects.ingress_routes.iter().map(|(key, IngressRoute(routes))| Claim {
                    unread: &routes.unread,
                    ..Claim::new::<IngressRoute>(key, &routes.meta, routes.hosts.iter().cloned())
                }));
            }
            Source::IngressRouteTcp => {
                claims.extend(objects.ingress_route_tcps.iter().map(|(key, IngressRouteTcp(routes))| Claim {
                    unread: &routes.unread,
                    ..Claim::new::<IngressRouteTcp>(key, &routes.meta, routes.hosts.iter().cloned())
                }));
            }
            Source::HttpRoute => claims.extend(objects.http_routes.iter().map(|(key, route)| {
                let class = settings.gateway_class.as_deref();
                Claim::new::<HttpRoute>(key, &route.meta, gateway::hosts((key, route), &objects.gateways, class))
            })),
        }
    }
    // Traefik takes its own kinds without a class, whatever it is configured to; one that names another is another's.
    let is_foreign = |claim: &Claim<'_>| {
        let asked = claim.meta.annotations.get(Note::Class).filter(|class| !class.is_empty());
        claim.kind.group == IngressRoute::KIND.group
            && settings.ingress_class.as_deref().zip(asked).is_some_and(|(ours, asked)| ours != asked)
    };
    claims.retain(|claim| !is_foreign(claim));
    claims
}

/// `spec.ingressClassName` goes before the annotation, as the API's documentation and Traefik have it.
fn is_ours(ingress: &Ingress, settings: &Settings) -> bool {
    let Some(ours) = settings.ingress_class.as_deref() else { return true };
    let annotated = || ingress.meta.annotations.get(Note::Class);
    match ingress.class.as_deref().or_else(annotated).filter(|class| !class.is_empty()) {
        Some(class) => class == ours,
        None => settings.is_default_class,
    }
}

fn serve(claim: &Claim<'_>, asks: &Asks, hosts: &mut BTreeMap<String, Host>, complaints: &mut Vec<Complaint>) {
    for Unread { rule, why } in claim.unread {
        complaints.push(claim.complaint(BAD_RULE, format!("the rule `{}` is not served: {why}", shown(rule))));
    }
    let mut names = Vec::new();
    for written in &claim.hosts {
        match host(written) {
            Ok(name) => names.extend(name),
            Err(why) => {
                complaints
                    .push(claim.complaint(BAD_HOST, format!("the host `{}` is not served: {why}", shown(written))));
            }
        }
    }
    names.extend_from_slice(&asks.hosts);
    names.sort_unstable();
    names.dedup();
    let mut unheard: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for name in names {
        let host = hosts.entry(name.clone()).or_default();
        for (is_heard, what) in [
            (agree(&mut host.ttl_s, asks.ttl_s.as_ref()), "ttl"),
            (agree(&mut host.proxied, asks.proxied.as_ref()), "cloudflare-proxied"),
            (agree(&mut host.pool, asks.pool.as_ref()), "pool"),
        ] {
            if !is_heard {
                unheard.entry(what).or_default().push(name.clone());
            }
        }
        host.sources.push(claim.kind.object(claim.key, claim.meta));
    }
    for (what, names) in unheard {
        let more = if names.len() > 1 { format!(" and {} more", names.len() - 1) } else { String::new() };
        let name = names.first().map(String::as_str).unwrap_or_default();
        let first = hosts.get(name).and_then(|host| host.sources.first());
        let first = first.map(|first| format!("{} {}/{}", first.kind, first.namespace, first.name)).unwrap_or_default();
        let message = format!(
            "another {what} is asked for `{name}`{more} by {first}, which goes first: let them ask for the same"
        );
        complaints.push(claim.complaint(CONFLICT, message));
    }
}

/// Takes what is asked for where nothing was asked for yet; whether it is now as asked.
fn agree<T: Clone + PartialEq>(held: &mut Option<T>, asked: Option<&T>) -> bool {
    let Some(asked) = asked else { return true };
    held.get_or_insert_with(|| asked.clone()) == asked
}

//! Names that an HTTPRoute gets through the listeners of its Gateways.
//!
//! Gateway API, `HTTPRoute.spec.hostnames`: a route serves what its names and those of a listener that takes it have in
//! common, where a wildcard stands for one label or more; a route without names serves those of the listener.

use super::objects::{Gateway, HttpRoute, Key, Listener, Parent, Shelf};
use std::collections::BTreeSet;

/// The names that a route serves, as written. `class` is that of the Gateways which count.
pub(super) fn hosts(route: (&Key, &HttpRoute), gateways: &Shelf<Gateway>, class: Option<&str>) -> BTreeSet<Box<str>> {
    let (key, route) = route;
    let mut hosts = BTreeSet::new();
    for parent in &route.parents {
        let namespace = parent.namespace.clone().unwrap_or_else(|| key.0.clone());
        let is_stranger = namespace != key.0;
        let Some(gateway) = gateways.get(&(namespace, parent.name.clone())) else { continue };
        if class.is_some_and(|class| class != &*gateway.class) {
            continue;
        }
        let takes = |listener: &&Listener| is_meant(parent, listener) && (listener.takes_strangers || !is_stranger);
        for listener in gateway.listeners.iter().filter(takes) {
            match (&*route.hosts, listener.hostname.as_deref()) {
                ([], Some(listened)) => {
                    hosts.insert(listened.into());
                }
                (asked, None) => hosts.extend(asked.iter().cloned()),
                (asked, Some(listened)) => hosts.extend(asked.iter().filter_map(|asked| common(asked, listened))),
            }
        }
    }
    hosts
}

fn is_meant(parent: &Parent, listener: &Listener) -> bool {
    parent.section_name.as_ref().is_none_or(|name| *name == listener.name)
        && parent.port.is_none_or(|port| port == listener.port)
}

/// What two names have in common: the narrower, if the other covers it.
fn common(asked: &str, listened: &str) -> Option<Box<str>> {
    let (asked, listened) = (asked.to_ascii_lowercase(), listened.to_ascii_lowercase());
    if covers(&listened, &asked) { Some(asked.into()) } else { covers(&asked, &listened).then(|| listened.into()) }
}

/// Whether every name that `narrow` stands for is one of `wide`'s.
fn covers(wide: &str, narrow: &str) -> bool {
    let Some(suffix) = wide.strip_prefix('*') else { return wide == narrow };
    // `.example.com` of `*.example.com` ends `a.example.com`, `a.b.example.com` and `*.b.example.com`, but not `example.com`.
    narrow == wide || (narrow.len() > suffix.len() && narrow.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_meet_as_the_gateway_api_has_it() {
        for (asked, listened, both) in [
            ("a.example.com", "a.example.com", Some("a.example.com")),
            ("A.example.com", "a.Example.com", Some("a.example.com")),
            ("a.example.com", "b.example.com", None),
            ("a.example.com", "*.example.com", Some("a.example.com")),
            ("a.b.example.com", "*.example.com", Some("a.b.example.com")),
            ("example.com", "*.example.com", None),
            ("*.example.com", "a.example.com", Some("a.example.com")),
            ("*.example.com", "*.example.com", Some("*.example.com")),
            ("*.example.com", "*.b.example.com", Some("*.b.example.com")),
            ("*.b.example.com", "*.example.com", Some("*.b.example.com")),
            ("*.b.example.com", "*.c.example.com", None),
            ("xexample.com", "*.example.com", None),
        ] {
            assert_eq!(common(asked, listened).as_deref(), both, "{asked} {listened}");
        }
    }
}

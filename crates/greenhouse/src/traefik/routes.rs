//! The table of routes, from the objects that the API holds. Pure.

use super::arguments::Arguments;
use super::objects::Snapshot;
use crate::net::{ClientAuth, OwnTls};
use base64::Engine as _;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

const CONTROLLER: &str = "traefik.io/ingress-controller";
const CLASS: &str = "kubernetes.io/ingress.class";

/// What is served.
#[derive(Default)]
pub(super) struct Table {
    /// Those that win first.
    pub routes: Vec<Route>,
    /// By the names that they are for.
    pub certificates: BTreeMap<String, Arc<OwnTls>>,
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        let leaves = |table: &Self| -> Vec<(String, Option<Vec<u8>>)> {
            table.certificates.iter().map(|(name, tls)| (name.clone(), tls.chain.first().cloned())).collect()
        };
        self.routes == other.routes && leaves(self) == leaves(other)
    }
}

/// Which requests go where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Empty: any. `*.` as the first label stands for any one.
    pub host: String,
    pub path: String,
    pub exact: bool,
    /// Requests over TLS alone; else those without, unless the entry point has TLS for all.
    pub tls: bool,
    pub endpoints: Vec<(IpAddr, u16)>,
}

impl Route {
    fn matches(&self, host: &str, path: &str) -> bool {
        let is_host = match self.host.strip_prefix("*.") {
            Some(rest) => host.split_once('.').is_some_and(|(_, of)| of == rest),
            None => self.host.is_empty() || self.host == host,
        };
        // Traefik's PathPrefix is one of text: `/a` takes `/ab` too, unless it is told to be strict.
        let is_path = if self.exact { path == self.path } else { path.starts_with(&self.path) };
        is_host && is_path
    }

    /// Traefik lets the longest rule win.
    fn rule(&self) -> usize {
        let host = if self.host.is_empty() { 0 } else { "Host(``)".len() + self.host.len() };
        let path = match (self.path.as_str(), self.exact) {
            ("", _) => 0,
            (path, true) => "Path(``)".len() + path.len(),
            (path, false) => "PathPrefix(``)".len() + path.len(),
        };
        host + path
    }
}

impl Table {
    pub(super) fn of(objects: &Snapshot, arguments: &Arguments) -> Self {
        let mut table = Table::default();
        for ingress in objects.ingresses.values().filter(|ingress| is_ours(objects, arguments, ingress)) {
            table.take(objects, arguments, ingress);
        }
        table.routes.sort_by_key(|route| Reverse(route.rule()));
        table
    }

    /// The route for a request. `tls`: it came over TLS; `all_tls`: at an entry point where every route has it.
    pub(super) fn find(&self, host: &str, path: &str, tls: bool, all_tls: bool) -> Option<&Route> {
        self.routes.iter().find(|route| tls == (route.tls || all_tls) && route.matches(host, path))
    }

    fn take(&mut self, objects: &Snapshot, arguments: &Arguments, ingress: &Value) {
        let namespace = ingress["metadata"]["namespace"].as_str().unwrap_or_default();
        let spec = &ingress["spec"];
        let secured = spec["tls"].as_array().map(Vec::as_slice).unwrap_or_default();
        for secret in secured.iter().filter_map(|tls| tls["secretName"].as_str()) {
            if let Some((names, tls)) =
                objects.secrets.get(&(namespace.to_owned(), secret.to_owned())).and_then(certificate)
            {
                self.certificates.extend(names.into_iter().map(|name| (name, tls.clone())));
            }
        }
        let mut add = |host: &str, path: &str, exact: bool, backend: &Value| {
            let Some(endpoints) = endpoints(objects, namespace, &backend["service"]) else { return };
            // Without `allowEmptyServices` a service without endpoints makes no route.
            if !endpoints.is_empty() || arguments.empty_services {
                let (host, path) = (host.to_ascii_lowercase(), path.to_owned());
                self.routes.push(Route { host, path, exact, tls: !secured.is_empty(), endpoints });
            }
        };
        if spec["defaultBackend"].is_object() {
            add("", "/", false, &spec["defaultBackend"]);
        }
        for rule in spec["rules"].as_array().into_iter().flatten() {
            let host = rule["host"].as_str().unwrap_or_default();
            for path in rule["http"]["paths"].as_array().into_iter().flatten() {
                let exact = path["pathType"] == "Exact";
                add(host, path["path"].as_str().unwrap_or_default(), exact, &path["backend"]);
            }
        }
    }
}

/// By class name where there is one, whose class must be Traefik's; else by the old annotation.
fn is_ours(objects: &Snapshot, arguments: &Arguments, ingress: &Value) -> bool {
    if let Some(class) = ingress["spec"]["ingressClassName"].as_str() {
        let is_traefiks = objects
            .classes
            .get(&(String::new(), class.to_owned()))
            .is_some_and(|class| class["spec"]["controller"] == CONTROLLER);
        return is_traefiks && (arguments.class.is_empty() || arguments.class == class);
    }
    match (ingress["metadata"]["annotations"][CLASS].as_str().unwrap_or_default(), arguments.class.as_str()) {
        (annotated, "") => annotated.is_empty() || annotated == "traefik",
        (annotated, wanted) => annotated == wanted,
    }
}

/// The ready endpoints of a backend; `None` without such a service or port.
fn endpoints(objects: &Snapshot, namespace: &str, backend: &Value) -> Option<Vec<(IpAddr, u16)>> {
    let name = backend["name"].as_str()?;
    let service = objects.services.get(&(namespace.to_owned(), name.to_owned()))?;
    let is_port = |port: &&Value| match backend["port"]["number"].as_u64() {
        Some(number) => port["port"] == number,
        None => port["name"] == backend["port"]["name"] && port["name"].is_string(),
    };
    let port = service["spec"]["ports"].as_array()?.iter().find(is_port)?;
    let port_name = port["name"].as_str().unwrap_or_default();
    let mut all = Vec::new();
    for slice in objects.slices.values() {
        let labels = &slice["metadata"]["labels"];
        if slice["metadata"]["namespace"] != *namespace || labels["kubernetes.io/service-name"] != *name {
            continue;
        }
        let ports = slice["ports"].as_array().into_iter().flatten();
        let inside = ports.into_iter().find(|port| port["name"].as_str().unwrap_or_default() == port_name);
        let Some(inside) = inside.and_then(|port| u16::try_from(port["port"].as_u64()?).ok()) else { continue };
        let ready = slice["endpoints"].as_array().into_iter().flatten().filter(|at| at["conditions"]["ready"] != false);
        let addresses = ready.flat_map(|at| at["addresses"].as_array().into_iter().flatten());
        all.extend(addresses.filter_map(|address| Some((address.as_str()?.parse().ok()?, inside))));
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// The certificate of a TLS Secret, and the names that it says it is for.
fn certificate(secret: &Value) -> Option<(Vec<String>, Arc<OwnTls>)> {
    let text = |key: &str| base64::engine::general_purpose::STANDARD.decode(secret["data"][key].as_str()?).ok();
    let blocks = pem::parse_many(text("tls.crt")?).ok()?;
    let chain = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE").map(pem::Pem::into_contents);
    let chain: Vec<Vec<u8>> = chain.collect();
    let key = pem::parse_many(text("tls.key")?).ok()?.into_iter().find(|block| block.tag() == "PRIVATE KEY")?;
    let names = names_of(chain.first()?)?;
    Some((names, Arc::new(OwnTls { chain, key: key.into_contents(), clients: ClientAuth::Nobody })))
}

fn names_of(leaf: &[u8]) -> Option<Vec<String>> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let common = leaf.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let mut names: Vec<String> = common.map(str::to_ascii_lowercase).collect();
    if let Ok(Some(others)) = leaf.subject_alternative_name() {
        let dns = others.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        names.extend(dns);
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: &str, path: &str, exact: bool) -> Route {
        Route { host: host.into(), path: path.into(), exact, tls: false, endpoints: Vec::new() }
    }

    #[test]
    fn the_longest_rule_wins_and_hosts_are_whole() {
        let mut routes =
            vec![route("a.example", "/", false), route("a.example", "/api", false), route("*.b.example", "", false)];
        routes.sort_by_key(|route| Reverse(route.rule()));
        let table = Table { routes, ..Table::default() };
        let find = |host: &str, path: &str| table.find(host, path, false, false).map(|route| route.path.as_str());
        assert_eq!(find("a.example", "/api/x"), Some("/api"));
        assert_eq!(find("a.example", "/other"), Some("/"));
        assert_eq!(find("x.b.example", "/"), Some(""));
        assert_eq!((find("x.y.b.example", "/"), find("aa.example", "/")), (None, None));
        assert_eq!(table.find("a.example", "/", true, false), None, "a route without TLS serves none over TLS");
    }
}

//! The JSON Schema of the cluster file, for editors. It takes whatever [`crate::read`] takes; what needs more than one
//! place in the file to judge is left to the reader. Draft 7, which yaml-language-server knows best.

use crate::backup::BACKUP_KEYS;
use crate::catalogue::{ADDRESS, CLOUDS};
use crate::document::CLUSTER_KEYS;
use crate::labels::EFFECTS;
use crate::network::NETWORK_KEYS;
use crate::nodes::{FIRST_CONTACTS, NODE_KEYS, ROLES};
use crate::place::PLACE_KEYS;
use crate::services::{CERTIFICATES_KEYS, DNS_KEYS, EXTRA_KEYS, INGRESS_KEYS, MESH_KEYS, WATCHER_KEYS};
use serde_json::{Map, Value, json};

/// The schema that `bouquet schema` writes and `examples/bouquet.schema.json` holds.
pub fn json_schema() -> Value {
    let mut schema = object(
        "A cluster of bouquet: its machines, and what runs on and around them.",
        &["cluster", "nodes"],
        CLUSTER_KEYS,
        cluster_key,
    );
    let head = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "title": "bouquet cluster file" });
    if let (Value::Object(schema), Value::Object(head)) = (&mut schema, head) {
        schema.extend(head);
        schema.insert("dependencies".to_owned(), json!({ "dns": ["domain"] }));
    }
    schema
}

fn cluster_key(key: &str) -> Value {
    match key {
        "cluster" => label("Name of the cluster, unique among the owner's. Marks on every system carry it."),
        "domain" => text(
            "Domain whose names the cluster serves; in a zone of the DNS provider. Needed where there is `dns`.",
            r"^[a-z0-9-]+(\.[a-z0-9-]+)+$",
        ),
        "talos" => version("Talos version; default: the one this release of bouquet was made with."),
        "kubernetes" => version("Kubernetes version; Talos decides which ones fit."),
        "nodes" => nodes(),
        "network" => object("Address ranges inside the cluster (IPv4).", &[], NETWORK_KEYS, network_key),
        "mesh" => short_or_long(
            "What joins the nodes.",
            &["tailscale"],
            &object("The mesh and its settings.", &["provider"], MESH_KEYS, mesh_key),
        ),
        "dns" => short_or_long(
            "Who serves the domain's records. Left out: you do.",
            &["cloudflare"],
            &object("The DNS provider and its settings.", &["provider"], DNS_KEYS, dns_key),
        ),
        "storage" => words("What stores volumes; default openebs.", &["openebs", "none"]),
        "ingress" => short_or_long(
            "What serves HTTP; default traefik on every worker.",
            &["traefik", "none"],
            &object("What serves HTTP, and where.", &["kind"], INGRESS_KEYS, ingress_key),
        ),
        "certificates" => short_or_long(
            "Who issues certificates; default with `dns`: letsencrypt, by DNS-01.",
            &["letsencrypt", "none"],
            &object("The issuer and the account for it.", &["issuer"], CERTIFICATES_KEYS, certificates_key),
        ),
        "backup" => json!({ "description": "Where backups go; best not where the nodes are.", "anyOf": [
            location(),
            { "const": "none" },
            object("Where backups go, how often, and for how long.", &["to"], BACKUP_KEYS, backup_key),
        ] }),
        "watcher" => object("How the watcher runs.", &[], WATCHER_KEYS, watcher_key),
        "first-contact" => first_contact(),
        "patches" => patches("Talos patches for every node, merged before a node's own."),
        "extra" => object("What is added beside the add-ons.", &[], EXTRA_KEYS, extra_key),
        _ => json!({}),
    }
}

fn nodes() -> Value {
    json!({
        "description": "The machines, by name. A name is the node's identity: renaming it is a new node.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "pattern": LABEL },
        "additionalProperties": object("A machine.", &["role", "on"], NODE_KEYS, node_key),
    })
}

fn node_key(key: &str) -> Value {
    match key {
        "role" => words("What it does. Control planes are odd in number.", &known(ROLES)),
        "on" => {
            let place = json!({ "anyOf": [place_text(), place_object()] });
            json!({
                "description": "Where it lives: cloud/region/machine, or address/IP for a machine of your own that waits \
                                in Talos maintenance mode. A list is in order of preference.",
                "anyOf": [place_text(), place_object(), { "type": "array", "minItems": 1, "items": place }],
            })
        }
        "labels" => json!({
            "description": "Kubernetes labels.",
            "type": "object",
            "additionalProperties": { "type": "string", "maxLength": 63 },
        }),
        "taints" => json!({
            "description": "Kubernetes taints: key=value:effect, or key:effect.",
            "type": "array",
            "items": text("A taint.", &format!("^[^:]+:({})$", EFFECTS.join("|"))),
        }),
        "first-contact" => first_contact(),
        "patches" => patches("Talos patches for this node, merged in order."),
        size => place_key(size),
    }
}

fn place_key(key: &str) -> Value {
    match key {
        "at" => place_text(),
        "cpus" => json!({
            "description": "Cores of a machine that leaves its size open (OCI: OCPUs).",
            "type": "integer", "minimum": 1, "examples": [4],
        }),
        "memory" => size("Memory of a machine that leaves its size open.", "24GiB"),
        "disk" => size("System disk of a machine that leaves its size open; default 50GiB.", "200GiB"),
        _ => json!({}),
    }
}

fn place_text() -> Value {
    let clouds: Vec<&str> = CLOUDS.iter().map(|known| known.cloud).collect();
    let pattern = format!("^(({})/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+|{ADDRESS}/[0-9a-fA-F:.]+)$", clouds.join("|"));
    let mut place = text("cloud/region/machine, or address/IP.", &pattern);
    if let Value::Object(place) = &mut place {
        let examples = json!([
            "hetzner/hel1/cax11",
            "hetzner/fsn1/cpx22",
            "oci/eu-frankfurt-1/VM.Standard.A1.Flex",
            "address/203.0.113.7",
        ]);
        place.insert("examples".to_owned(), examples);
    }
    place
}

fn place_object() -> Value {
    object("A place with a size of its own.", &["at"], PLACE_KEYS, place_key)
}

fn network_key(key: &str) -> Value {
    let range = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]+$";
    match key {
        "pods" => text("Pods; each node takes a /24 of it. Default 10.244.0.0/16.", range),
        _ => text("Services, /12 or smaller. Default 10.96.0.0/12.", range),
    }
}

fn mesh_key(key: &str) -> Value {
    match key {
        "provider" => words("The mesh.", &["tailscale"]),
        _ => plain("Name of the tailnet; default: the credential's own."),
    }
}

fn dns_key(key: &str) -> Value {
    match key {
        "provider" => words("The DNS provider.", &["cloudflare", "rfc2136"]),
        "server" => plain("rfc2136: host or host:port that takes dynamic updates."),
        _ => plain("rfc2136: path of the TSIG key file, seen from this file."),
    }
}

fn ingress_key(key: &str) -> Value {
    match key {
        "kind" => words("What serves.", &["traefik", "none"]),
        _ => json!({
            "description": "Names of the nodes that serve; default: every worker, or every node if there is none.",
            "type": "array", "minItems": 1, "items": { "type": "string" },
        }),
    }
}

fn certificates_key(key: &str) -> Value {
    match key {
        "issuer" => words("Who issues.", &["letsencrypt", "none"]),
        "email" => plain("Who is told about trouble with certificates."),
        _ => plain("Directory URL of another ACME server."),
    }
}

fn backup_key(key: &str) -> Value {
    match key {
        "to" => location(),
        "every" => duration("How often; default 24h.", "24h"),
        _ => duration("How long a backup is kept; default 30d.", "30d"),
    }
}

fn watcher_key(key: &str) -> Value {
    match key {
        "image" => plain("Image reference; default: the one of this release of bouquet."),
        _ => words("How quickly it decides.", &["default", "fast"]),
    }
}

fn extra_key(key: &str) -> Value {
    match key {
        "manifests" => json!({
            "description": "Kubernetes objects, or text that names them.",
            "type": "array", "items": { "type": ["object", "string"] },
        }),
        _ => json!({ "description": "Helm charts.", "type": "array", "items": { "type": "object" } }),
    }
}

fn first_contact() -> Value {
    let about = "How a node gets its machine configuration: in the cloud's user data, or over Talos's maintenance API. \
                 Default user-data; maintenance for control planes on oci and for machines of your own.";
    words(about, &known(FIRST_CONTACTS))
}

fn patches(about: &str) -> Value {
    json!({ "description": about, "type": "array", "items": { "type": ["object", "string"] } })
}

const LABEL: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

fn label(about: &str) -> Value {
    text(about, LABEL)
}

fn version(about: &str) -> Value {
    text(about, r"^v?[0-9]+\.[0-9]+\.[0-9]+$")
}

fn location() -> Value {
    text("s3://bucket@cloud/region, or s3://bucket on the server of AWS_ENDPOINT_URL_S3.", "^s3://")
}

fn size(about: &str, example: &str) -> Value {
    quantity(about, "^[0-9]+ *(GiB|GB|MiB)$", example)
}

fn duration(about: &str, example: &str) -> Value {
    quantity(about, "^[0-9]+ *[dhms]$", example)
}

fn quantity(about: &str, pattern: &str, example: &str) -> Value {
    json!({ "description": about, "type": "string", "pattern": pattern, "examples": [example] })
}

fn text(about: &str, pattern: &str) -> Value {
    json!({ "description": about, "type": "string", "pattern": pattern })
}

fn plain(about: &str) -> Value {
    json!({ "description": about, "type": "string" })
}

fn words(about: &str, words: &[&str]) -> Value {
    json!({ "description": about, "enum": words })
}

fn known<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(word, _)| *word).collect()
}

fn short_or_long(about: &str, short: &[&str], long: &Value) -> Value {
    json!({ "description": about, "anyOf": [{ "enum": short }, long] })
}

fn object(about: &str, required: &[&str], keys: &[&str], key: impl Fn(&str) -> Value) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|name| ((*name).to_owned(), key(name))).collect();
    json!({
        "description": about,
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

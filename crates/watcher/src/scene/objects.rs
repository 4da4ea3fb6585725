//! Objects of Kubernetes, of which only the fields are kept that matter here.
//!
//! A cluster may have ten thousand Ingresses of many kilobytes each, most of it managed fields and annotations of others.
//! What is not kept is passed over while the JSON is read and never takes memory.

mod kinds;

pub(super) use kinds::{
    Gateway, HttpRoute, Ingress, IngressRoute, IngressRouteTcp, Listener, Node, Parent, Pod, Unread,
};

use super::{Complaint, ObjectRef};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// Namespace (empty for objects of the cluster) and name.
pub(super) type Key = (Box<str>, Box<str>);
/// Objects of one kind.
pub(super) type Shelf<K> = BTreeMap<Key, K>;

/// Everything that is kept of a cluster.
#[derive(Default)]
pub struct Objects {
    pub(super) nodes: Shelf<Node>,
    pub(super) ingress_pods: Shelf<Pod>,
    pub(super) own_pods: Shelf<Pod>,
    pub(super) ingresses: Shelf<Ingress>,
    pub(super) ingress_routes: Shelf<IngressRoute>,
    pub(super) ingress_route_tcps: Shelf<IngressRouteTcp>,
    pub(super) http_routes: Shelf<HttpRoute>,
    pub(super) gateways: Shelf<Gateway>,
}

/// What the API calls a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) name: &'static str,
    pub(super) plural: &'static str,
}

impl Kind {
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of its objects, in one namespace or in all.
    pub(super) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let space = namespace.map(|name| format!("namespaces/{name}/")).unwrap_or_default();
        format!("/{root}/{}/{space}{}", self.api_version(), self.plural)
    }

    pub(super) fn object(&self, key: &Key, meta: &Meta) -> ObjectRef {
        ObjectRef {
            api_version: self.api_version(),
            kind: self.name.to_owned(),
            namespace: key.0.to_string(),
            name: key.1.to_string(),
            uid: meta.uid.to_string(),
        }
    }

    pub(super) fn complaint(&self, key: &Key, meta: &Meta, reason: &'static str, message: String) -> Complaint {
        Complaint { object: self.object(key, meta), reason, message }
    }
}

/// A kind of which something is kept.
pub(super) trait Kept: Clone + PartialEq + Send + 'static {
    const KIND: Kind;
    /// Fields of `spec`.
    type Spec: DeserializeOwned + Default;
    /// Fields of `status`.
    type Status: DeserializeOwned + Default;

    fn keep(meta: Meta, spec: Self::Spec, status: Self::Status) -> Self;
}

/// An object as a list or a watch brings it.
#[derive(Clone)]
pub(super) struct Listed<K> {
    pub(super) key: Key,
    pub(super) resource_version: String,
    pub(super) kept: K,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>, T: Deserialize<'de>"))]
struct Shape<S, T> {
    metadata: MetaShape,
    spec: Option<S>,
    status: Option<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaShape {
    name: Box<str>,
    namespace: Option<Box<str>>,
    uid: Option<Box<str>>,
    resource_version: Option<String>,
    annotations: Option<Notes>,
    labels: Option<Notes>,
    deletion_timestamp: Option<IgnoredAny>,
}

impl<'de, K: Kept> Deserialize<'de> for Listed<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Shape { metadata, spec, status } = Shape::<K::Spec, K::Status>::deserialize(from)?;
        let meta = Meta {
            uid: metadata.uid.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            labels: metadata.labels.unwrap_or_default(),
            is_leaving: metadata.deletion_timestamp.is_some(),
        };
        Ok(Listed {
            key: (metadata.namespace.unwrap_or_default(), metadata.name),
            resource_version: metadata.resource_version.unwrap_or_default(),
            kept: K::keep(meta, spec.unwrap_or_default(), status.unwrap_or_default()),
        })
    }
}

/// What is kept of `metadata`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Meta {
    pub(super) uid: Box<str>,
    pub(super) annotations: Notes,
    pub(super) labels: Notes,
    /// Whether it is being deleted.
    pub(super) is_leaving: bool,
}

impl Meta {
    /// What an annotation says, else a label of the same name.
    pub(super) fn says(&self, note: Note) -> Option<&str> {
        self.annotations.get(note).or_else(|| self.labels.get(note))
    }
}

/// A key of annotations or labels that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    Class,
    Exclude,
    Hostname,
    HostnameBefore,
    Ingress,
    Pin,
    PinUntil,
    Pool,
    Proxied,
    ProxiedBefore,
    PublicAddress,
    Region,
    Site,
    Ttl,
    TtlBefore,
}

/// Keys as they are written; those of `…Before` are of external-dns' older prefix.
const NOTES: &[(Note, &str)] = &[
    (Note::Class, "kubernetes.io/ingress.class"),
    (Note::Exclude, "bouquet.dev/exclude"),
    (Note::Hostname, "external-dns.kubernetes.io/hostname"),
    (Note::HostnameBefore, "external-dns.alpha.kubernetes.io/hostname"),
    (Note::Ingress, "bouquet.dev/ingress"),
    (Note::Pin, "bouquet.dev/pin"),
    (Note::PinUntil, "bouquet.dev/pin-until"),
    (Note::Pool, "bouquet.dev/pool"),
    (Note::Proxied, "external-dns.kubernetes.io/cloudflare-proxied"),
    (Note::ProxiedBefore, "external-dns.alpha.kubernetes.io/cloudflare-proxied"),
    (Note::PublicAddress, "bouquet.dev/public-address"),
    (Note::Region, "topology.kubernetes.io/region"),
    (Note::Site, "bouquet.dev/site"),
    (Note::Ttl, "external-dns.kubernetes.io/ttl"),
    (Note::TtlBefore, "external-dns.alpha.kubernetes.io/ttl"),
];

impl Note {
    fn of(key: &str) -> Option<Note> {
        NOTES.iter().find(|(_, written)| *written == key).map(|(note, _)| *note)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = NOTES.iter().find(|(note, _)| note == self).map(|(_, written)| *written);
        f.write_str(written.unwrap_or_default())
    }
}

/// Annotations or labels, those that mean something here.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Notes(Box<[(Note, Box<str>)]>);

impl Notes {
    pub(super) fn get(&self, note: Note) -> Option<&str> {
        self.0.iter().find(|(held, _)| *held == note).map(|(_, value)| &**value)
    }
}

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Notes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Notes, A::Error> {
                let mut notes = Vec::new();
                while let Some(Name(note)) = map.next_key()? {
                    match note {
                        Some(note) => notes.push((note, map.next_value()?)),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Notes(notes.into()))
            }
        }
        from.deserialize_map(Reader)
    }
}

/// A key, compared where it lies in the text.
struct Name(Option<Note>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Name, E> {
                Ok(Name(Note::of(key)))
            }
        }
        from.deserialize_str(Reader)
    }
}

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1 as core;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use wire::Secret;

/// What tells an object from all others in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Id {
    /// `v1`, `apps/v1`, …
    pub api_version: String,
    /// `Deployment`, …
    pub kind: String,
    /// `deployments`, …: how its kind stands in paths.
    pub plural: String,
    /// `None` if it belongs to the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl Id {
    /// Where the API has it.
    pub fn path(&self) -> String {
        let root = if self.api_version.contains('/') { "apis" } else { "api" };
        let within = self.namespace.as_ref().map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
        format!("/{root}/{}{within}/{}/{}", self.api_version, self.plural, self.name)
    }

    /// Whether both name the same object, in whichever version of its API.
    pub fn is_same(&self, other: &Id) -> bool {
        let group = |id: &Id| id.api_version.rsplit_once('/').map(|(group, _)| group.to_owned());
        let key = |id: &Id| (group(id), id.kind.clone(), id.namespace.clone(), id.name.clone());
        key(self) == key(other)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        write!(f, "{} {within}{}", self.kind, self.name)
    }
}

/// A Kubernetes object as bouquet wants it: only the fields that bouquet decides.
#[derive(Clone)]
pub struct Object {
    id: Id,
    body: Value,
    /// `data` of a Secret, not encoded. In `body` there is none.
    secret: BTreeMap<String, Secret>,
}

/// Without secret values.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.body)
    }
}

impl Object {
    /// From a typed one. Its name, and its namespace if it has one, must be set.
    pub fn of<K: k8s_openapi::Resource + Serialize>(typed: &K) -> Self {
        // The writer fails only on maps without text keys, which no type of Kubernetes has.
        let body = serde_json::to_value(typed).unwrap_or_default();
        let text = |field: &str| body.pointer(field).and_then(Value::as_str).map(str::to_owned);
        let id = Id {
            api_version: K::API_VERSION.to_owned(),
            kind: K::KIND.to_owned(),
            plural: K::URL_PATH_SEGMENT.to_owned(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name").unwrap_or_default(),
        };
        Object { id, body, secret: BTreeMap::new() }
    }

    /// A Secret whose values are kept apart from the rest of it.
    pub(crate) fn secret(typed: &core::Secret, values: BTreeMap<String, Secret>) -> Self {
        Object { secret: values, ..Object::of(typed) }
    }

    /// What it is.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// All of it but secret values.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// What is sent: JSON, with secret values.
    pub fn to_json(&self) -> Secret {
        if self.secret.is_empty() {
            return Secret::new(self.body.to_string());
        }
        let encoded = |(name, value): (&String, &Secret)| {
            let quoted = Value::from(name.as_str());
            format!("{quoted}:\"{}\"", STANDARD.encode(value.expose()))
        };
        let data: Vec<String> = self.secret.iter().map(encoded).collect();
        // Joined as text, so that no copy is left in a value that does not wipe itself.
        let rest = self.body.to_string();
        let rest = rest.strip_suffix('}').unwrap_or(&rest);
        Secret::new(format!("{rest},\"data\":{{{}}}}}", data.join(",")))
    }

    /// SHA-256 of what is wanted, in hexadecimal. Secret values take no part in it: it is written where all may read it.
    pub fn digest(&self) -> String {
        let names: Vec<&String> = self.secret.keys().collect();
        hex::encode(Sha256::digest(format!("{}{names:?}", self.body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::{apps::v1::Deployment, core::v1::Namespace};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    fn named(namespace: Option<&str>, name: &str) -> ObjectMeta {
        ObjectMeta { namespace: namespace.map(str::to_owned), name: Some(name.to_owned()), ..ObjectMeta::default() }
    }

    #[test]
    fn an_object_is_where_its_kind_is() {
        let namespace = Object::of(&Namespace { metadata: named(None, "a"), ..Namespace::default() });
        assert_eq!(namespace.id().path(), "/api/v1/namespaces/a");
        let deployment = Object::of(&Deployment { metadata: named(Some("a"), "b"), ..Deployment::default() });
        assert_eq!(deployment.id().path(), "/apis/apps/v1/namespaces/a/deployments/b");
    }

    #[test]
    fn a_secret_is_sent_but_neither_shown_nor_digested() {
        let secret = |value: &str| {
            let typed = core::Secret { metadata: named(Some("a"), "b"), ..core::Secret::default() };
            Object::secret(&typed, [("token".to_owned(), Secret::new(value))].into())
        };
        let (one, other) = (secret("hunter2"), secret("hunter3"));
        let sent: Value = serde_json::from_str(one.to_json().expose()).unwrap();
        assert_eq!(sent["data"]["token"], "aHVudGVyMg==");
        assert_eq!(sent["kind"], "Secret");
        assert!(!format!("{one:?}{}", one.body()).contains("aHVudGVyMg"));
        assert_eq!(one.digest(), other.digest());
    }
}

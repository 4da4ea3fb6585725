//! The suite: every case is a conversation in a namespace of its own.

mod apply;
mod custom;
mod deletion;
mod discovery;
mod lists;
mod objects;
mod patches;
mod roles;
mod watches;
mod workloads;

use crate::talk::Talk;
use futures::future::BoxFuture;
use serde_json::{Value, json};

/// A claim, and the conversation that shows it.
pub struct Case {
    /// Unique; also names its namespace.
    pub name: &'static str,
    pub run: for<'a> fn(&'a Talk<'a>) -> BoxFuture<'a, ()>,
}

/// Lists cases by the names of their functions.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(super) const CASES: &[$crate::cases::Case] =
            &[$($crate::cases::Case { name: stringify!($name), run: |talk| Box::pin($name(talk)) }),*];
    };
}
use cases;

/// Every case.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        objects::CASES,
        patches::CASES,
        apply::CASES,
        lists::CASES,
        watches::CASES,
        deletion::CASES,
        workloads::CASES,
        discovery::CASES,
        roles::CASES,
        custom::CASES,
    ]
    .into_iter()
    .flatten()
}

impl Case {
    /// A namespace that no other case has.
    pub fn namespace(&self) -> String {
        self.name.replace('_', "-").chars().take(60).collect::<String>().trim_end_matches('-').to_owned()
    }
}

fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "example.com/web:1", "ports": [{"containerPort": 80}]}]},
            },
        },
    })
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "example.com/web"}]},
    })
}

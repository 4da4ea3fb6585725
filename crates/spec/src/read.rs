use crate::cluster::Cluster;
use crate::fault::{Fault, Faults, Severity, Span, help};
use crate::tree::{Entry, Node, Value};
use crate::{code, document, yaml};
use std::collections::BTreeMap;

/// What a cluster file says, or everything that is wrong with it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The cluster, unless a fault is an error.
    pub cluster: Option<Cluster>,
    /// All faults, in the order of the text. Warnings may stand beside a cluster.
    pub faults: Vec<Fault>,
    /// Where things stand, by path: `nodes.rose.on[0]`, `backup.to`. A mapping is pointed at by its key, anything else
    /// by its value. A single place is `on[0]` as well.
    pub spans: BTreeMap<String, Span>,
}

impl Reading {
    /// Whether any fault is an error.
    pub fn has_errors(&self) -> bool {
        self.faults.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// Where `path` stands, or the nearest thing around it that the text has: a default is pointed at by its owner.
    pub fn span(&self, path: &str) -> Option<Span> {
        let mut path = path;
        loop {
            if let Some(span) = self.spans.get(path) {
                return Some(span.clone());
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }
}

/// Reads a cluster file: parses it, applies defaults, and checks all that can be known without asking anybody.
///
/// Every fault of the text is reported at once, except behind a syntax error, after which nothing can be trusted.
pub fn read(text: &str) -> Reading {
    let mut faults = Faults::default();
    let mut spans = BTreeMap::new();
    let cluster = match yaml::parse(text) {
        Ok(root) => {
            index(&root, "", &mut spans);
            document::read(&root, &mut faults)
        }
        Err(refusal) => {
            let span = refusal.span.unwrap_or_default();
            let message = format!("this is not YAML: {}", refusal.message);
            faults.error(
                code::NOT_YAML,
                &span,
                message,
                help("indent with spaces, and quote text that holds `: ` or `#`"),
            );
            None
        }
    };
    let cluster = cluster.filter(|_| !faults.any_error());
    Reading { cluster, faults: faults.into_sorted(), spans }
}

/// Of a key that stands twice, the first is kept, as the readers do.
fn index(node: &Node, path: &str, spans: &mut BTreeMap<String, Span>) {
    match &node.value {
        Value::Map(entries) => {
            let dot = if path.is_empty() { "" } else { "." };
            for Entry { key, key_span, value } in entries {
                let path = format!("{path}{dot}{key}");
                let is_map = matches!(value.value, Value::Map(_));
                spans.entry(path.clone()).or_insert_with(|| if is_map { key_span } else { &value.span }.clone());
                if key == "on" && !matches!(value.value, Value::List(_)) {
                    spans.entry(format!("{path}[0]")).or_insert_with(|| value.span.clone());
                }
                index(value, &path, spans);
            }
        }
        Value::List(items) => {
            for (number, item) in items.iter().enumerate() {
                let path = format!("{path}[{number}]");
                spans.entry(path.clone()).or_insert_with(|| item.span.clone());
                index(item, &path, spans);
            }
        }
        _ => {}
    }
}

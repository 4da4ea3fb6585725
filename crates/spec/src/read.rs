use crate::cluster::Cluster;
use crate::fault::{Fault, Faults, Severity, Span, help};
use crate::tree::{Node, Value};
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

fn index(node: &Node, path: &str, spans: &mut BTreeMap<String, Span>) {
    let mut child = |path: String, span: &Span, node: &Node| {
        let is_map = matches!(node.value, Value::Map(_));
        // Of a key that stands twice, the first is kept.
        spans.entry(path.clone()).or_insert_with(|| if is_map { span.clone() } else { node.span.clone() });
        if path.starts_with("nodes.") && path.ends_with(".on") && !matches!(node.value, Value::List(_)) {
            spans.entry(format!("{path}[0]")).or_insert_with(|| node.span.clone());
        }
        index(node, &path, spans);
    };
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                child(format!("{path}{dot}{}", entry.key), &entry.key_span, &entry.value);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                child(format!("{path}[{index}]"), &item.span, item);
            }
        }
        _ => {}
    }
}

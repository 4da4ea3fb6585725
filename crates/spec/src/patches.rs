use crate::code;
use crate::fault::{Faults, NO_HELP, help};
use crate::fields::{list, wrong_shape};
use crate::tree::{Node, Value};
use crate::yaml;

/// Reads Talos patches: YAML text or mappings, each merged by Talos's strategic merge. Returns YAML text.
pub(crate) fn read_patches(node: &Node, owner: &str, faults: &mut Faults) -> Vec<String> {
    let items = list(node, &format!("`patches` of {owner}"), faults).unwrap_or_default();
    items.iter().filter_map(|item| read_patch(item, owner, faults)).collect()
}

fn read_patch(node: &Node, owner: &str, faults: &mut Faults) -> Option<String> {
    match &node.value {
        Value::Text(text) => check_text(text, node, owner, faults).then(|| text.clone()),
        Value::Map(_) => match yaml::write(&node.to_json()) {
            Ok(text) => Some(text),
            Err(error) => {
                let message = format!("a patch of {owner} cannot be written as YAML: {error}");
                faults.error(code::BAD_PATCH, &node.span, message, help("write it as text, after `- |`"));
                None
            }
        },
        _ => {
            wrong_shape(node, &format!("a patch of {owner}"), "a mapping or YAML text", faults);
            None
        }
    }
}

fn check_text(text: &str, node: &Node, owner: &str, faults: &mut Faults) -> bool {
    let refused = match yaml::parse_all(text) {
        Ok(documents) if documents.is_empty() => Some("it is empty".to_owned()),
        Ok(documents) => documents
            .iter()
            .find(|document| !matches!(document.value, Value::Map(_)))
            .map(|document| format!("a document of it is {}", document.shape())),
        Err(refusal) => Some(refusal.message),
    };
    if let Some(why) = &refused {
        let remedy = if text.starts_with('@') {
            help("write the patch itself: files are not read from here")
        } else if text.trim_start().starts_with('[') || text.trim_start().starts_with("- ") {
            help("write a strategic merge patch: lists of JSON patch operations are not taken")
        } else {
            NO_HELP
        };
        faults.error(code::BAD_PATCH, &node.span, format!("a patch of {owner} is no YAML mapping: {why}"), remedy);
    }
    refused.is_none()
}

use crate::cluster::Taint;
use crate::code;
use crate::fault::{Faults, did_you_mean, help};
use crate::fields::{list, mapping, shown, text};
use crate::names::{is_qualified_name, is_qualified_part};
use crate::tree::{Entry, Node, Value};
use std::collections::BTreeMap;

pub(crate) const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
const KEY_RULE: &str = "a key is [prefix/]name: a domain name, then up to 63 letters, digits, `-`, `_` and `.`";
const VALUE_RULE: &str = "a value has up to 63 letters, digits, `-`, `_` and `.`";

pub(crate) fn read_labels(node: &Node, owner: &str, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let what = format!("`labels` of {owner}");
    for entry in mapping(node, &what, faults).unwrap_or_default() {
        if !is_qualified_name(&entry.key) {
            let message = format!("`{}` cannot be a label's key", shown(&entry.key));
            faults.error(code::LABEL_OR_TAINT, &entry.key_span, message, help(KEY_RULE));
        }
        if let Some(value) = read_label_value(entry, faults) {
            labels.insert(entry.key.clone(), value.to_owned());
        }
    }
    labels
}

fn read_label_value<'a>(entry: &'a Entry, faults: &mut Faults) -> Option<&'a str> {
    let Entry { key, value, .. } = entry;
    let what = format!("the label `{}`", shown(key));
    if let Value::Number(_) | Value::Bool(_) = value.value {
        // YAML's own trap, and easily mended.
        let message = format!("{what} is text, but {} was found", value.shape());
        faults.error(code::WRONG_SHAPE, &value.span, message, help("put it in quotes"));
        return None;
    }
    let text = text(value, &what, faults)?.value;
    if !text.is_empty() && !is_qualified_part(text) {
        let message = format!("`{}` cannot be a label's value", shown(text));
        faults.error(code::LABEL_OR_TAINT, &value.span, message, help(VALUE_RULE));
    }
    Some(text)
}

pub(crate) fn read_taints(node: &Node, owner: &str, faults: &mut Faults) -> Vec<Taint> {
    let items = list(node, &format!("`taints` of {owner}"), faults).unwrap_or_default();
    items.iter().filter_map(|item| read_taint(item, faults)).collect()
}

fn read_taint(node: &Node, faults: &mut Faults) -> Option<Taint> {
    let written = text(node, "a taint", faults)?;
    let Some((left, effect)) = written.value.rsplit_once(':') else {
        let message = format!("the taint `{}` has no effect", shown(written.value));
        let form = help("write key=value:NoSchedule, or key:NoSchedule");
        faults.error(code::LABEL_OR_TAINT, &node.span, message, form);
        return None;
    };
    let (key, value) = left.split_once('=').unwrap_or((left, ""));
    if !EFFECTS.contains(&effect) {
        let effects = format!("effects are {}", EFFECTS.join(", "));
        let remedy = did_you_mean(effect, EFFECTS.iter().copied(), effects);
        faults.error(code::LABEL_OR_TAINT, &node.span, format!("`{}` is no effect of a taint", shown(effect)), remedy);
    }
    if !is_qualified_name(key) {
        let message = format!("`{}` cannot be a taint's key", shown(key));
        faults.error(code::LABEL_OR_TAINT, &node.span, message, help(KEY_RULE));
    }
    if !value.is_empty() && !is_qualified_part(value) {
        let message = format!("`{}` cannot be a taint's value", shown(value));
        faults.error(code::LABEL_OR_TAINT, &node.span, message, help(VALUE_RULE));
    }
    Some(Taint { key: key.to_owned(), value: value.to_owned(), effect: effect.to_owned() })
}

//! Rules of documents other than v1alpha1, and of labels.

use super::present;
use crate::talos::config::{port_range, text_at, texts_at};
use crate::talos::subnet::Subnet;
use serde_json::Value;

/// `ip rule` and KubeSpan keep these priorities for themselves; KubeSpan's second is new in 1.14.
const RESERVED_PRIORITIES: &[(u32, u32)] = &[(0, 0), (32_500, 0), (32_501, 14), (32_766, 0), (32_767, 0)];
const NAME_MOST: usize = 34;

/// Checks one document.
pub(super) fn check(kind: &str, document: &Value, v1alpha1: Option<&Value>, minor: u32, errors: &mut Vec<String>) {
    let name = text_at(document, "/name").unwrap_or_default();
    let needs_name = [
        "ExtensionServiceConfig",
        "NetworkRuleConfig",
        "StaticHostConfig",
        "RoutingRuleConfig",
        "TrustedRootsConfig",
        "UserVolumeConfig",
        "VolumeConfig",
    ];
    if needs_name.contains(&kind) && name.is_empty() {
        errors.push("name is required".into());
        return;
    }
    match kind {
        "HostnameConfig" => hostname(document, v1alpha1, errors),
        "ExtensionServiceConfig" if !present(document, "/configFiles/0") && !present(document, "/environment/0") => {
            errors.push(format!("no config files found for extension {name:?}"));
        }
        "NetworkDefaultActionConfig" => one_of(document, "/ingress", &["accept", "block"], "DefaultAction", errors),
        "NetworkRuleConfig" => network_rule(document, errors),
        "StaticHostConfig" => {
            if name.parse::<std::net::IpAddr>().is_err() {
                errors.push("name must be a valid IP address".into());
            }
            if texts_at(document, "/hostnames").is_empty() {
                errors.push("at least one hostname is required".into());
            }
        }
        "RoutingRuleConfig" => routing_rule(document, &name, minor, errors),
        "VolumeConfig" => {
            if !["EPHEMERAL", "STATE", "IMAGECACHE"].contains(&name.as_str()) {
                errors.push(format!("only [\"STATE\" \"EPHEMERAL\" \"IMAGECACHE\"] volumes are supported: {name:?}"));
            }
            sizes(document, errors);
        }
        "UserVolumeConfig" => user_volume(document, &name, errors),
        _ => {}
    }
}

fn one_of(document: &Value, pointer: &str, values: &[&str], what: &str, errors: &mut Vec<String>) {
    let text = text_at(document, pointer).unwrap_or_default();
    if !values.contains(&text.as_str()) {
        errors.push(format!("{text} does not belong to {what} values"));
    }
}

fn network_rule(document: &Value, errors: &mut Vec<String>) {
    let ports = texts_at(document, "/portSelector/ports");
    if ports.is_empty() {
        errors.push("portSelector.ports is required".into());
    }
    let wrong = ports.iter().filter(|text| port_range(text).is_none());
    errors.extend(wrong.map(|text| format!("invalid port range: {text}")));
    if present(document, "/portSelector/protocol") {
        one_of(document, "/portSelector/protocol", &["tcp", "udp", "icmp", "icmpv6"], "Protocol", errors);
    }
    for source in document.pointer("/ingress").and_then(Value::as_array).into_iter().flatten() {
        prefix(source, "/subnet", errors);
        if present(source, "/except") {
            prefix(source, "/except", errors);
        }
    }
}

/// A range in CIDR form; here a bare address is none.
fn prefix(document: &Value, pointer: &str, errors: &mut Vec<String>) {
    let text = text_at(document, pointer).unwrap_or_default();
    if !text.contains('/') || text.starts_with('!') || Subnet::read(&text).is_none() {
        errors.push(format!("netip.ParsePrefix({text:?}): no '/'"));
    }
}

fn hostname(document: &Value, v1alpha1: Option<&Value>, errors: &mut Vec<String>) {
    let auto = text_at(document, "/auto");
    let name = text_at(document, "/hostname").unwrap_or_default();
    match auto.as_deref() {
        None if name.is_empty() => errors.push("either 'auto' or 'hostname' must be set".into()),
        None | Some("off" | "stable") => {}
        Some(other) => errors.push(format!("invalid value for 'auto': {other}")),
    }
    if auto.as_deref() == Some("stable") && !name.is_empty() {
        errors.push("'auto' and 'hostname' cannot be set at the same time".into());
    }
    let label = name.split('.').next().unwrap_or_default();
    if !name.is_empty() && (label.is_empty() || label.len() > 63 || name.len() > 253) {
        errors.push(format!("invalid hostname {label:?}"));
    }
    if v1alpha1.is_some_and(|document| present(document, "/machine/network/hostname")) {
        errors.push("static hostname is already set in v1alpha1 config".into());
    }
    if v1alpha1.and_then(|document| document.pointer("/machine/features/stableHostname")) == Some(&Value::Bool(true)) {
        errors.push("stable hostname is already set in v1alpha1 config".into());
    }
}

fn routing_rule(document: &Value, name: &str, minor: u32, errors: &mut Vec<String>) {
    let reserved = |priority| RESERVED_PRIORITIES.iter().any(|(own, since)| *own == priority && minor >= *since);
    match name.parse::<u32>() {
        Err(_) => errors.push("invalid name: must be priority parsable unsigned integer".into()),
        Ok(priority) if reserved(priority) => {
            errors.push("priority must be between 1 and 32765 (excluding reserved priorities)".into());
        }
        Ok(_) => {}
    }
    let actions = ["", "unicast", "blackhole", "unreachable", "prohibit"];
    one_of(document, "/action", &actions, "RoutingRuleAction", errors);
    let action = text_at(document, "/action").unwrap_or_default();
    if !present(document, "/table") && ["", "unicast"].contains(&action.as_str()) {
        errors.push("either table or a non-unicast action must be specified".into());
    }
    for pointer in ["/src", "/dst"].into_iter().filter(|pointer| present(document, pointer)) {
        prefix(document, pointer, errors);
    }
}

fn user_volume(document: &Value, name: &str, errors: &mut Vec<String>) {
    if name.len() > NAME_MOST {
        errors.push(format!("name must be between 1 and {NAME_MOST} characters long"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        errors.push("name can only contain lowercase and uppercase ASCII letters, digits, and hyphens".into());
    }
    let kind = text_at(document, "/volumeType").unwrap_or_else(|| "partition".into());
    let sized = present(document, "/provisioning/minSize") || present(document, "/provisioning/maxSize");
    let selected = present(document, "/provisioning/diskSelector/match");
    match kind.as_str() {
        "directory" => {
            for key in ["provisioning", "encryption", "filesystem", "mount"] {
                if present(document, &format!("/{key}")) {
                    errors.push(format!("{key} spec is invalid for volumeType directory"));
                }
            }
        }
        "disk" | "partition" => {
            if !selected {
                errors.push("disk selector is required".into());
            }
            if kind == "partition" && !sized {
                errors.push("min size or max size is required".into());
            }
            if kind == "disk" && (sized || present(document, "/provisioning/grow")) {
                errors.push("min size, max size and grow are not supported".into());
            }
            if present(document, "/filesystem/type") {
                one_of(document, "/filesystem/type", &["none", "xfs", "ext4"], "FilesystemType", errors);
            }
        }
        other => errors.push(format!("unsupported volume type {other:?}")),
    }
    sizes(document, errors);
}

fn sizes(document: &Value, errors: &mut Vec<String>) {
    let bytes = |key: &str| {
        let text = text_at(document, &format!("/provisioning/{key}"))?;
        Some((size(&text), text))
    };
    for (read, text) in ["minSize", "maxSize"].iter().filter_map(|key| bytes(key)) {
        if read.is_none() {
            errors.push(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"));
        }
    }
    let value = |key: &str| bytes(key).and_then(|(read, _)| read).filter(|size| *size > 0.0);
    let relative = text_at(document, "/provisioning/maxSize").is_some_and(|text| text.ends_with('%'));
    if value("minSize").zip(value("maxSize")).is_some_and(|(min, max)| min > max && !relative) {
        errors.push("min size is greater than max size".into());
    }
}

/// `10GB`, `10GiB`, `50%`, a bare number of bytes.
fn size(text: &str) -> Option<f64> {
    let text = text.trim();
    let at = text.find(|letter: char| !letter.is_ascii_digit() && !".-".contains(letter)).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at)?;
    let scale = match unit.trim().to_ascii_lowercase().trim_end_matches('b') {
        "" | "%" => 1.0,
        "k" => 1e3,
        "ki" => 1024.0,
        "m" => 1e6,
        "mi" => 1_048_576.0,
        "g" => 1e9,
        "gi" => 1_073_741_824.0,
        "t" => 1e12,
        "ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * scale)
}

/// Node labels, by Kubernetes's rules.
pub(super) fn labels(document: &Value, errors: &mut Vec<String>) {
    let word = |text: &str, most: usize| {
        let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let inner = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        text.len() <= most && inner && ends(text.bytes().next()) && ends(text.bytes().last())
    };
    for (key, value) in document.pointer("/machine/nodeLabels").and_then(Value::as_object).into_iter().flatten() {
        let (prefix, name) = key.rsplit_once('/').map_or((None, key.as_str()), |(prefix, name)| (Some(prefix), name));
        if !word(name, 63) || prefix.is_some_and(|prefix| !word(prefix, 253)) {
            errors.push(format!("invalid machine node labels: name {key:?} is invalid"));
        }
        let value = text_at(value, "").unwrap_or_default();
        if !value.is_empty() && !word(&value, 63) {
            errors.push(format!("invalid machine node labels: label value {value:?} is invalid"));
        }
    }
}

use crate::cluster::Version;
use crate::code;
use crate::fault::{Faults, help};
use crate::fields::{At, shown, spelling};
use crate::tree::Node;

/// Talos where the file names none.
pub const DEFAULT_TALOS: Version = Version { major: 1, minor: 14, patch: 6 };
/// Kubernetes where the file names none.
pub const DEFAULT_KUBERNETES: Version = Version { major: 1, minor: 37, patch: 1 };

/// Minors of Kubernetes that a minor of Talos takes: Talos's own compatibility check, `pkg/machinery/compatibility`.
const MATRIX: &[(u32, std::ops::RangeInclusive<u32>)] = &[(13, 31..=36), (14, 32..=37), (15, 33..=38)];

pub(crate) fn read_version(node: &Node, what: &str, default: Version, faults: &mut Faults) -> Option<At<Version>> {
    let written = spelling(node, &format!("the {what} version"), faults)?;
    if let Ok(value) = written.value.parse() {
        return Some(At { value, span: written.span });
    }
    let remedy = if written.value.contains('-') || written.value.contains('+') {
        format!("write a release, such as {default}: previews are not taken")
    } else {
        format!("write three numbers, such as {default}")
    };
    let message = format!("`{}` is no {what} version", shown(written.value));
    faults.error(code::BAD_VERSION, &node.span, message, help(remedy));
    None
}

/// Checks the pair; `None` is a version that the file does not name.
pub(crate) fn check_pair(talos: Option<&At<Version>>, kubernetes: Option<&At<Version>>, faults: &mut Faults) {
    let (talos_span, kubernetes_span) = (talos.map(|at| &at.span), kubernetes.map(|at| &at.span));
    let (talos, kubernetes) =
        (talos.map_or(DEFAULT_TALOS, |at| at.value), kubernetes.map_or(DEFAULT_KUBERNETES, |at| at.value));
    let oldest = MATRIX.first().map_or(0, |(minor, _)| *minor);
    let newest = MATRIX.last().map_or(0, |(minor, _)| *minor);
    let at_talos = talos_span.or(kubernetes_span).cloned().unwrap_or_default();
    if talos.major != 1 || talos.minor < oldest {
        let message = format!("Talos {talos} is not supported");
        faults.error(code::VERSION_PAIR, &at_talos, message, help(format!("write 1.{oldest}.x to 1.{newest}.x")));
        return;
    }
    let Some((_, minors)) = MATRIX.iter().find(|(minor, _)| *minor == talos.minor) else {
        let message = format!("Talos {talos} is newer than this bouquet, which knows Talos up to 1.{newest}");
        faults.warning(code::VERSION_PAIR, &at_talos, message, help("look for a newer bouquet"));
        return;
    };
    if kubernetes.major != 1 || !minors.contains(&kubernetes.minor) {
        let by_default = if kubernetes_span.is_none() { ", the default," } else { "" };
        let message = format!("Talos {talos} does not run Kubernetes {kubernetes}{by_default}");
        let at = kubernetes_span.cloned().unwrap_or(at_talos);
        let remedy = format!("Talos 1.{} takes Kubernetes 1.{} to 1.{}", talos.minor, minors.start(), minors.end());
        let remedy = if kubernetes_span.is_none() { format!("name `kubernetes`: {remedy}") } else { remedy };
        faults.error(code::VERSION_PAIR, &at, message, help(remedy));
    }
}

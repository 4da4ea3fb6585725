//! Rules of names: DNS labels, domain names, Kubernetes' qualified names, and what the mesh makes of them.

use crate::code;
use crate::fault::{Faults, help};
use crate::fields::{At, shown};

/// RFC 1123, and Kubernetes' rule for node names made of one label.
const LABEL_MAX: usize = 63;
/// RFC 1035 §2.3.4, as text without the root's dot.
const DOMAIN_MAX: usize = 253;
/// A Cloudflare record's comment holds 100 characters, of which `bouquet/` and `/api/` take 13.
const CLUSTER_AND_NODE_MAX: usize = 87;

pub(crate) fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=LABEL_MAX).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// Says what is wrong with the name of a node or cluster, if anything.
pub(crate) fn check_label(name: &At<&str>, what: &str, faults: &mut Faults) -> bool {
    let fine = is_label(name.value);
    if !fine {
        let message = format!("{what} cannot be called `{}`", shown(name.value));
        let rule = "use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";
        faults.error(code::BAD_NAME, &name.span, message, help(rule));
    }
    fine
}

/// Marks name cluster and node together, and the shortest of them is a record's comment.
pub(crate) fn check_marks<'a>(cluster: &str, nodes: impl IntoIterator<Item = &'a At<String>>, faults: &mut Faults) {
    for node in nodes {
        let length = cluster.len() + node.value.len();
        if length > CLUSTER_AND_NODE_MAX {
            let message = format!("the names of cluster and node have {length} characters together");
            let rule = format!("shorten one of them: {CLUSTER_AND_NODE_MAX} fit into the mark on a DNS record");
            faults.error(code::BAD_NAME, &node.span, message, help(rule));
        }
    }
}

/// A machine that joins again while its old device is still listed is called `<name>-1` on the tailnet.
pub(crate) fn check_mesh(nodes: &[&At<String>], faults: &mut Faults) {
    for node in nodes {
        let Some((stem, number)) = node.value.rsplit_once('-') else { continue };
        let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        if is_number && nodes.iter().any(|other| other.value == stem) {
            let message =
                format!("Tailscale calls a second `{stem}` `{}`, so the two could not be told apart", node.value);
            faults.error(code::MESH_NAMES, &node.span, message, help(format!("rename `{}`", node.value)));
        }
    }
}

/// Says what is wrong with a domain name, if anything.
pub(crate) fn check_domain(domain: &At<&str>, faults: &mut Faults) -> bool {
    let name = domain.value;
    let labels: Vec<&str> = name.split('.').collect();
    let numeric_end = labels.last().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    let fine =
        labels.len() >= 2 && labels.iter().all(|label| is_label(label)) && !numeric_end && name.len() <= DOMAIN_MAX;
    if !fine {
        let remedy = if name.contains("://") || name.contains('/') {
            "write the bare name, without scheme or path"
        } else if name.ends_with('.') {
            "leave out the dot at the end"
        } else if !name.is_ascii() {
            "write it in its ASCII form (xn--…)"
        } else {
            "write a name such as bouquet.example.com, in lower case"
        };
        let message = format!("`{}` is no domain name", shown(name));
        faults.error(code::BAD_DOMAIN, &domain.span, message, help(remedy));
    }
    fine
}

/// A name part of Kubernetes' qualified names, and every label value: 63 characters, alphanumeric at both ends.
pub(crate) fn is_qualified_part(part: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    part.len() <= LABEL_MAX && part.chars().all(inner) && edge(part.chars().next()) && edge(part.chars().last())
}

/// `[prefix/]name`, where the prefix is a DNS subdomain.
pub(crate) fn is_qualified_name(name: &str) -> bool {
    let Some((prefix, rest)) = name.split_once('/') else { return is_qualified_part(name) };
    prefix.len() <= DOMAIN_MAX && prefix.split('.').all(is_label) && is_qualified_part(rest)
}

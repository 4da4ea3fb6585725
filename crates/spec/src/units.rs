//! Quantities: a whole number and its unit, always written.

use crate::code;
use crate::fault::{Faults, help};
use crate::fields::{At, shown, wrong_shape};
use crate::tree::{Node, Value};

const SIZE_HELP: &str = "write a whole number with its unit, such as 24GiB; units are GiB, GB and MiB";
const TIME_HELP: &str = "write a whole number with its unit, such as 24h; units are d, h, m and s";

/// A size in whole GiB. `GB` is taken for GiB, because that is what clouds mean by it in the names of their machines
/// (OCI's `memoryInGBs` and `bootVolumeSizeInGBs` count GiB).
pub(crate) fn gib(node: &Node, what: &str, faults: &mut Faults) -> Option<At<u32>> {
    let (number, unit) = quantity(node, what, SIZE_HELP, faults)?;
    let gib = match unit {
        "GiB" | "GB" => Some(number),
        "MiB" if number.is_multiple_of(1024) => Some(number / 1024),
        "MiB" => {
            let message = format!("{what} is {number} MiB, which is no whole number of GiB");
            let below = number / 1024;
            faults.error(
                code::BAD_QUANTITY,
                &node.span,
                message,
                help(format!("write {below}GiB or {}GiB", below + 1)),
            );
            return None;
        }
        _ => None,
    };
    let Some(gib) = gib else {
        faults.error(code::BAD_QUANTITY, &node.span, unknown_unit(what, unit), help(SIZE_HELP));
        return None;
    };
    whole(node, what, gib, faults)
}

/// A duration in seconds, at least one.
pub(crate) fn seconds(node: &Node, what: &str, faults: &mut Faults) -> Option<At<u64>> {
    let (number, unit) = quantity(node, what, TIME_HELP, faults)?;
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => {
            faults.error(code::BAD_QUANTITY, &node.span, unknown_unit(what, unit), help(TIME_HELP));
            return None;
        }
    };
    let value = number.checked_mul(unit_s).filter(|seconds| *seconds > 0);
    if value.is_none() {
        faults.error(code::BAD_QUANTITY, &node.span, format!("{what} is out of range"), help(TIME_HELP));
    }
    value.map(|value| At { value, span: node.span.clone() })
}

/// A count without a unit, at least one.
pub(crate) fn count(node: &Node, what: &str, faults: &mut Faults) -> Option<At<u32>> {
    let Value::Number(spelling) = &node.value else {
        wrong_shape(node, what, "a whole number without a unit", faults);
        return None;
    };
    if let Ok(number) = spelling.parse() {
        return whole(node, what, number, faults);
    }
    let message = format!("{what} is no whole number: {spelling}");
    faults.error(code::BAD_QUANTITY, &node.span, message, help("write a whole number, such as 4"));
    None
}

fn whole(node: &Node, what: &str, number: u64, faults: &mut Faults) -> Option<At<u32>> {
    let value = u32::try_from(number).ok().filter(|number| *number > 0);
    if value.is_none() {
        let message = format!("{what} is out of range: {number}");
        let remedy = if number == 0 { "write 1 or more" } else { "write less" };
        faults.error(code::BAD_QUANTITY, &node.span, message, help(remedy));
    }
    value.map(|value| At { value, span: node.span.clone() })
}

fn quantity<'a>(node: &'a Node, what: &str, form: &str, faults: &mut Faults) -> Option<(u64, &'a str)> {
    let text = match &node.value {
        Value::Text(text) => text,
        Value::Number(spelling) => {
            faults.error(code::BAD_QUANTITY, &node.span, format!("{what} has no unit: {spelling}"), help(form));
            return None;
        }
        _ => {
            wrong_shape(node, what, "a number with a unit", faults);
            return None;
        }
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if let Ok(number) = number.parse() {
        Some((number, unit.trim_start_matches(' ')))
    } else {
        let message = format!("{what} is no number with a unit: `{}`", shown(text));
        faults.error(code::BAD_QUANTITY, &node.span, message, help(form));
        None
    }
}

fn unknown_unit(what: &str, unit: &str) -> String {
    if unit.is_empty() {
        format!("{what} has no unit")
    } else {
        format!("{what} has an unknown unit `{}`", shown(unit))
    }
}

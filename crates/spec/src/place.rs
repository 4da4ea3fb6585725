use crate::Span;
use crate::catalogue::{self, ADDRESS, CLOUDS, Catalogue};
use crate::cluster::{CloudPlace, Place};
use crate::code;
use crate::fault::{Faults, NO_HELP, did_you_mean, help};
use crate::fields::{At, Fields, shown, text};
use crate::size::Sizes;
use crate::tree::{Node, Value};
use std::net::IpAddr;

/// Keys of an entry of `on` that carries its own size.
pub(crate) const PLACE_KEYS: &[&str] = &["at", "cpus", "memory", "disk"];

const FORM: &str = "write cloud/region/machine, such as hetzner/hel1/cax11, or address/203.0.113.7";

/// Reads `on`: one place, or several in order of preference. The size beside `on` is for entries whose machine leaves
/// it open; an entry's own size goes before it. `None` if any place was unreadable.
pub(crate) fn read_on(on: &Node, owner: &str, beside: &Sizes, faults: &mut Faults) -> Option<Vec<At<Place>>> {
    let entries = match &on.value {
        Value::List(items) if items.is_empty() => {
            faults.error(code::BAD_PLACE, &on.span, format!("{owner} has no place to live"), help(FORM));
            return None;
        }
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(on),
    };
    let entries: Vec<_> = entries.iter().map(|entry| Alternative::read(entry, owner, faults)).collect();
    let known: Option<Vec<&Alternative>> = entries.iter().map(Option::as_ref).collect();
    // Whether the size beside `on` has a use is known only when every entry is.
    if let Some(known) = &known
        && !known.iter().any(|alternative| alternative.is_flexible())
        && let Some(first) = known.first()
    {
        beside.refuse(&first.place.value.to_string(), faults);
    }
    let settled: Vec<_> =
        entries.into_iter().map(|alternative| alternative.and_then(|it| it.settle(beside, faults))).collect();
    let places: Vec<At<Place>> = settled.into_iter().collect::<Option<_>>()?;
    for (index, place) in places.iter().enumerate() {
        if places.iter().take(index).any(|earlier| earlier.value == place.value) {
            let message = format!("{owner} lists `{}` twice", place.value);
            faults.warning(code::SAME_PLACE_TWICE, &place.span, message, help("remove one of them"));
        }
    }
    Some(places)
}

struct Alternative {
    place: At<Place>,
    own: Sizes,
}

impl Alternative {
    fn read(node: &Node, owner: &str, faults: &mut Faults) -> Option<Alternative> {
        if !matches!(node.value, Value::Map(_)) {
            let written = text(node, &format!("the place of {owner}"), faults)?;
            return Some(Alternative { place: place(written, faults)?, own: Sizes::default() });
        }
        let fields = Fields::read(node, &format!("a place of {owner}"), &node.span, PLACE_KEYS, faults)?;
        let own = Sizes::read(&fields, owner, faults);
        let at = fields.require("at", "oci/eu-frankfurt-1/VM.Standard.A1.Flex", faults)?;
        let written = text(at, &format!("the place of {owner}"), faults)?;
        Some(Alternative { place: place(written, faults)?, own })
    }

    fn is_flexible(&self) -> bool {
        matches!(&self.place.value, Place::Cloud(place) if flexible(place))
    }

    fn settle(self, beside: &Sizes, faults: &mut Faults) -> Option<At<Place>> {
        let At { value, span } = self.place;
        let value = match value {
            Place::Cloud(mut place) if flexible(&place) => {
                place.size = Some(self.own.or(beside.clone()).settle(&place, &span, faults)?);
                Place::Cloud(place)
            }
            fixed => {
                self.own.refuse(&fixed.to_string(), faults);
                fixed
            }
        };
        Some(At { value, span })
    }
}

fn flexible(place: &CloudPlace) -> bool {
    catalogue::find(&place.cloud).is_some_and(|cloud| (cloud.is_flexible)(&place.machine))
}

fn place(written: At<&str>, faults: &mut Faults) -> Option<At<Place>> {
    let At { value: text, span } = written;
    let Some((cloud, rest)) = text.split_once('/') else {
        faults.error(code::BAD_PLACE, &span, format!("`{}` is no place", shown(text)), help(FORM));
        return None;
    };
    if cloud == ADDRESS {
        let address = address(rest, &span, faults)?;
        return Some(At { value: Place::Address(address), span });
    }
    let Some(known) = catalogue::find(cloud) else {
        let clouds: Vec<_> = CLOUDS.iter().map(|known| known.cloud).chain([ADDRESS]).collect();
        let help = did_you_mean(cloud, clouds.iter().copied(), format!("known are {}", clouds.join(", ")));
        faults.error(code::UNKNOWN_CLOUD, &span, format!("there is no cloud `{}`", shown(cloud)), help);
        return None;
    };
    let parts = rest.split_once('/').filter(|(region, machine)| is_name(region) && is_name(machine));
    let Some((region, machine)) = parts else {
        let form =
            format!("write {cloud}/region/machine, such as {cloud}/{}/{}", first(known.regions), first(known.machines));
        faults.error(code::BAD_PLACE, &span, format!("`{}` is no place", shown(text)), help(form));
        return None;
    };
    if known.regions.contains(&machine) && known.machines.contains(&region) {
        let message = format!("`{text}` names the machine before the region");
        faults.error(code::BAD_PLACE, &span, message, help(format!("write {cloud}/{machine}/{region}")));
        return None;
    }
    look_up(known, region, machine, &span, faults);
    let place =
        CloudPlace { cloud: cloud.to_owned(), region: region.to_owned(), machine: machine.to_owned(), size: None };
    Some(At { value: Place::Cloud(place), span })
}

fn look_up(known: &Catalogue, region: &str, machine: &str, span: &Span, faults: &mut Faults) {
    for (kind, word, list) in [("region", region, known.regions), ("machine", machine, known.machines)] {
        if !list.contains(&word) {
            let message = format!("{} is not known to have a {kind} `{}`", known.cloud, shown(word));
            let otherwise = "`bouquet check` asks the cloud itself";
            let help = did_you_mean(word, list.iter().copied(), otherwise);
            faults.warning(code::NOT_IN_CATALOGUE, span, message, help);
        }
    }
}

fn address(text: &str, span: &Span, faults: &mut Faults) -> Option<IpAddr> {
    let Ok(address) = text.parse::<IpAddr>() else {
        let message = format!("`{}` is no IP address", shown(text));
        faults.error(code::BAD_PLACE, span, message, help("write address/ and the machine's IP address"));
        return None;
    };
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || broadcast {
        let message = format!("{address} cannot be a machine's address");
        faults.error(code::BAD_PLACE, span, message, NO_HELP);
        return None;
    }
    Some(address)
}

fn is_name(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn first<'a>(list: &[&'a str]) -> &'a str {
    list.first().copied().unwrap_or_default()
}

//! Stock and prices.

use super::types::{Price, Pricing, ServerType};
use super::{Hetzner, api};
use crate::rest::Ask;
use crate::{Arch, Error, Money, Offer, Stock};
use spec::CloudPlace;
use wire::Line;

/// When [`TABLE`] was read from Hetzner's public price list.
const TABLE_DATE: &str = "2026-09-03";
/// Machine type, and a month of it with its IPv4 address, net, in thousandths of a euro. For when the API is silent.
const TABLE: &[(&str, i64)] = &[("cax11", 6_490), ("cax21", 10_990), ("cpx12", 11_990), ("cpx22", 19_990)];

impl Hetzner {
    /// Two calls, however many places.
    pub(super) async fn offers(&self, line: &Line, places: &[CloudPlace]) -> Result<Vec<Offer>, Error> {
        let ask = Ask::get("hetzner GET /pricing", "/pricing");
        let (types, pricing) = tokio::join!(
            biased;
            api::all::<ServerType>(&self.rest, line, &api::SERVER_TYPES),
            line.send(api::one::<Pricing>(&self.rest, ask)?),
        );
        // Without prices a plan is still a plan.
        let (types, pricing) = (types?, pricing.ok());
        Ok(places.iter().map(|place| offer(place, &types, pricing.as_ref())).collect())
    }
}

fn offer(place: &CloudPlace, types: &[ServerType], pricing: Option<&Pricing>) -> Offer {
    let machine = place.machine.to_ascii_lowercase();
    let (price, price_source) = price(place, types, pricing);
    let Some(kind) = types.iter().find(|kind| kind.name.eq_ignore_ascii_case(&machine)) else {
        let arch = if machine.starts_with("cax") { Arch::Arm64 } else { Arch::Amd64 };
        let stock = Stock::Unknown(format!("Hetzner has no machine type {}", place.machine));
        return Offer { place: place.clone(), stock, arch, cores: 0, memory_gib: 0, disk_gib: 0, price, price_source };
    };
    Offer {
        place: place.clone(),
        stock: stock(place, kind),
        arch: if kind.architecture == "arm" { Arch::Arm64 } else { Arch::Amd64 },
        cores: kind.cores,
        memory_gib: whole(kind.memory),
        disk_gib: whole(kind.disk),
        price,
        price_source,
    }
}

/// The catalogue's flag and real placement disagree at times, both ways: it is a hint, never a promise.
fn stock(place: &CloudPlace, kind: &ServerType) -> Stock {
    let listed = kind.locations.iter().find(|location| location.name == place.region);
    let priced = kind.prices.iter().any(|price| price.location == place.region);
    match listed {
        Some(location) if location.available == Some(false) => Stock::Out,
        Some(_) => Stock::Available,
        None if kind.locations.is_empty() && priced => Stock::Available,
        None => Stock::Unknown(format!("Hetzner has no {} in {}", kind.name, place.region)),
    }
}

/// The machine and its IPv4 address for a month, net, and where that is from.
fn price(place: &CloudPlace, types: &[ServerType], pricing: Option<&Pricing>) -> (Option<Money>, String) {
    let at = |prices: &[Price]| {
        let price = prices.iter().find(|price| price.location == place.region)?;
        milli(&price.price_monthly.net)
    };
    let live = || {
        let pricing = pricing?;
        let kind = types.iter().find(|kind| kind.name.eq_ignore_ascii_case(&place.machine))?;
        let address = pricing.primary_ips.iter().find(|ip| ip.kind == "ipv4")?;
        let milli = at(&kind.prices)?.checked_add(at(&address.prices)?)?;
        Some(Money { currency: pricing.currency.clone(), milli })
    };
    if let Some(money) = live() {
        return (Some(money), "live".to_owned());
    }
    let row = TABLE.iter().find(|(name, _)| name.eq_ignore_ascii_case(&place.machine));
    (row.map(|(_, milli)| Money { currency: "EUR".to_owned(), milli: *milli }), TABLE_DATE.to_owned())
}

/// `5.9900000000` is 5990; rounded half up. Read as text: money is never a float.
fn milli(decimal: &str) -> Option<i64> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let tenths_of_milli: i64 = format!("{fraction:0<4}").get(..4)?.parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add((tenths_of_milli + 5) / 10)
}

/// Sizes come as floats that hold whole numbers. Zero for what is none.
fn whole(size: f64) -> u32 {
    format!("{size:.0}").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::wanted::tests::place;
    use super::*;

    /// The API's example, shortened, with the stock flags of 2026-04-01.
    fn types() -> Vec<ServerType> {
        let text = r#"[{"id": 45, "name": "cax11", "architecture": "arm", "cores": 2, "memory": 4.0, "disk": 40,
            "deprecation": null, "category": "Shared vCPU",
            "locations": [{"id": 1, "name": "fsn1", "deprecation": null, "available": false, "recommended": false},
                          {"id": 3, "name": "hel1", "deprecation": null, "available": true, "recommended": true}],
            "prices": [{"location": "hel1", "price_hourly": {"net": "0.0095", "gross": "0.0113"},
                        "price_monthly": {"net": "5.9900000000", "gross": "7.1281"}, "included_traffic": 1}]}]"#;
        serde_json::from_str(text).unwrap()
    }

    fn pricing() -> Pricing {
        let text = r#"{"currency": "EUR", "vat_rate": "19.00", "primary_ips": [
            {"type": "ipv6", "prices": []},
            {"type": "ipv4", "prices": [{"location": "hel1", "price_hourly": {"net": "0.0008", "gross": "0"},
                                         "price_monthly": {"net": "0.5000", "gross": "0.595"}}]}]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_price_is_the_machine_and_its_address() {
        let offer = offer(&place("hel1", "cax11"), &types(), Some(&pricing()));
        assert_eq!(offer.price, Some(Money { currency: "EUR".into(), milli: 6490 }));
        assert_eq!((offer.price_source.as_str(), offer.stock), ("live", Stock::Available));
        assert_eq!((offer.arch, offer.cores, offer.memory_gib, offer.disk_gib), (Arch::Arm64, 2, 4, 40));
    }

    #[test]
    fn a_silent_price_list_falls_back_on_the_dated_table() {
        let offer = offer(&place("hel1", "cax11"), &types(), None);
        assert_eq!((offer.price.map(|money| money.milli), offer.price_source.as_str()), (Some(6490), TABLE_DATE));
    }

    #[test]
    fn stock_is_out_unknown_or_there() {
        let stock = |region, machine| offer(&place(region, machine), &types(), None).stock;
        assert_eq!(stock("fsn1", "cax11"), Stock::Out);
        assert_eq!(stock("ash", "cax11"), Stock::Unknown("Hetzner has no cax11 in ash".into()));
        assert_eq!(stock("hel1", "cax99"), Stock::Unknown("Hetzner has no machine type cax99".into()));
    }

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        assert_eq!(milli("5.9900000000"), Some(5990));
        assert_eq!(milli("12"), Some(12_000));
        assert_eq!(milli("0.0005"), Some(1));
        for wrong in ["", ".5", "-1", "1e3", "1.x", "9999999999999999999"] {
            assert_eq!(milli(wrong), None, "{wrong}");
        }
    }
}

use crate::make::Wish;
use crate::observed::Observed;
use clouds::{Money, Offer};
use serde::Serialize;
use spec::Place;
use std::collections::BTreeMap;

/// What the cluster costs a month, as the file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// A line a node, in order of names.
    pub lines: Vec<BillLine>,
    /// What clouds forgive, if the account uses it for nothing else: `oci Always Free`, and how much.
    pub allowances: Vec<(String, Money)>,
    /// Sums, by currency; currencies are never added up. Thousandths of the unit.
    pub total_milli: BTreeMap<String, i64>,
}

/// What one node costs a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BillLine {
    /// Node.
    pub node: String,
    /// Where it is, or would be.
    pub place: String,
    /// `None` if nobody knows, or it is the owner's own machine.
    pub price: Option<Money>,
    /// `live`, or the date of the table.
    pub source: String,
}

/// Adds up what every node costs at the place it has, or at the first place that it would get.
pub fn bill(wish: &Wish<'_>, observed: &Observed) -> Bill {
    let mut bill = Bill::default();
    let mut taken: BTreeMap<&str, Vec<&Offer>> = BTreeMap::new();
    for (name, node) in &wish.cluster.nodes {
        let at = observed.machine(name).and_then(|found| found.place.clone());
        let first = node.places.iter().find(|place| match place {
            Place::Cloud(place) => !observed.refused.contains(place),
            Place::Address(_) => true,
        });
        let offer = match (&at, first) {
            (Some(place), _) | (None, Some(Place::Cloud(place))) => observed.offer(place),
            _ => None,
        };
        if let Some(offer) = offer {
            taken.entry(offer.place.cloud.as_str()).or_default().push(offer);
        }
        let price = offer.and_then(|offer| offer.price.clone());
        if let Some(price) = &price {
            *bill.total_milli.entry(price.currency.clone()).or_default() += price.milli;
        }
        let place = at.map(|place| place.to_string()).or_else(|| first.map(ToString::to_string)).unwrap_or_default();
        let source = offer.map(|offer| offer.price_source.clone()).unwrap_or_default();
        bill.lines.push(BillLine { node: name.clone(), place, price, source });
    }
    for cloud in wish.clouds {
        let offers = taken.get(cloud.name()).map(Vec::as_slice).unwrap_or_default();
        let Some((what, money)) = cloud.allowance(offers) else { continue };
        *bill.total_milli.entry(money.currency.clone()).or_default() += money.milli;
        bill.allowances.push((format!("{} {what}", cloud.name()), money));
    }
    bill
}

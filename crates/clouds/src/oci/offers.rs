use super::Oci;
use super::api::{Ask, Service};
use super::config::is_region;
use super::mark::OCI;
use crate::{Arch, Error, Money, Offer, Stock, Why};
use serde::Deserialize;
use serde_json::json;
use spec::{CloudPlace, Size};
use std::collections::{BTreeMap, BTreeSet};
use wire::Line;

/// Date of [`price`]'s table. Oracle has no pricing call for a tenancy; the table is its price list of that day. The
/// free part is the tenancy's, not a machine's, and is not taken off.
const PRICES_OF: &str = "2026-11-22";
/// The boot volume that Oracle gives where none is asked for, in GiB.
const BOOT_VOLUME_GIB: u32 = 50;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shape {
    #[serde(rename = "shape")]
    name: String,
    #[serde(default)]
    processor_description: Option<String>,
    #[serde(default)]
    ocpus: Option<f64>,
    #[serde(default, rename = "memoryInGBs")]
    memory_in_gbs: Option<f64>,
    #[serde(default)]
    ocpu_options: Option<Bounds>,
    #[serde(default)]
    memory_options: Option<MemoryBounds>,
}

#[derive(Clone, Debug, Deserialize)]
struct Bounds {
    #[serde(default)]
    min: Option<f64>,
    #[serde(default)]
    max: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
struct MemoryBounds {
    #[serde(default, rename = "minInGBs")]
    min: Option<f64>,
    #[serde(default, rename = "maxInGBs")]
    max: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    #[serde(default)]
    shape_availabilities: Vec<Availability>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Availability {
    instance_shape: String,
    #[serde(default)]
    instance_shape_config: Option<super::model::ShapeConfig>,
    #[serde(default, rename = "availabilityStatus")]
    status: Option<String>,
}

impl Oci {
    pub(super) async fn offers_of(&self, line: &Line, places: &[CloudPlace]) -> Result<Vec<Offer>, Error> {
        let ours: BTreeSet<&CloudPlace> = places.iter().filter(|place| place.cloud == OCI).collect();
        let mut by_region: BTreeMap<&str, Vec<&CloudPlace>> = BTreeMap::new();
        for place in ours {
            by_region.entry(&place.region).or_default().push(place);
        }
        let mut offers = Vec::new();
        for (region, places) in by_region {
            if !is_region(region) {
                let unknown = Stock::Unknown(format!("{region} is no region"));
                offers.extend(places.into_iter().map(|place| offer(place, None, unknown.clone())));
                continue;
            }
            let query = [("compartmentId", self.config.compartment.as_str())];
            let ask = Ask::list("oci GET /shapes", Service::Core, "/shapes", &query);
            let shapes: Vec<Shape> = self.all(line, region, ask).await?;
            let known: Vec<&CloudPlace> =
                places.iter().copied().filter(|place| shapes.iter().any(|shape| shape.name == place.machine)).collect();
            let stocked = self.stocked(line, region, &known).await?;
            for place in places {
                let shape = shapes.iter().find(|shape| shape.name == place.machine);
                offers.push(offer(place, shape, stock(place, shape, stocked.as_deref())));
            }
        }
        Ok(offers)
    }

    /// What the capacity reports of all availability domains say; `None` if the user may not ask for any.
    async fn stocked(
        &self,
        line: &Line,
        region: &str,
        places: &[&CloudPlace],
    ) -> Result<Option<Vec<Availability>>, Error> {
        if places.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let asked: Vec<_> = places
            .iter()
            .map(|place| match place.size {
                Some(size) => json!({
                    "instanceShape": place.machine,
                    "instanceShapeConfig": {"ocpus": size.cpus, "memoryInGBs": size.memory_gib},
                }),
                None => json!({"instanceShape": place.machine}),
            })
            .collect();
        let mut all = Vec::new();
        for domain in self.availability_domains(line, region).await? {
            let body = json!({
                // Reports are made in the root compartment only.
                "compartmentId": self.config.tenancy,
                "availabilityDomain": domain,
                "shapeAvailabilities": asked,
            });
            let call = "oci POST /computeCapacityReports";
            let mut ask = Ask::<Report>::post(call, Service::Core, "/computeCapacityReports", &body);
            // It makes nothing that stays.
            ask.repeat = wire::Repeat::Safe;
            match self.send(line, region, &ask).await {
                Ok(report) => all.extend(report.shape_availabilities),
                Err(error) if matches!(error.why, Why::NotFound | Why::Forbidden) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(all))
    }
}

/// Without a report the catalogue's word has to do: whether there is any is seen at launch.
fn stock(place: &CloudPlace, shape: Option<&Shape>, stocked: Option<&[Availability]>) -> Stock {
    let Some(shape) = shape else {
        return Stock::Unknown(format!("{} has no shape {}", place.region, place.machine));
    };
    if let Some(misfit) = place.size.and_then(|size| misfit(shape, size)) {
        return Stock::Unknown(misfit);
    }
    let Some(stocked) = stocked else { return Stock::Available };
    let is_asked = |one: &&Availability| {
        one.instance_shape == place.machine
            && match (place.size, &one.instance_shape_config) {
                (Some(size), Some(config)) => config.ocpus.is_none_or(|ocpus| is_same(ocpus, size.cpus)),
                _ => true,
            }
    };
    let mut here = stocked.iter().filter(is_asked);
    if here.any(|one| one.status.as_deref() == Some("AVAILABLE")) { Stock::Available } else { Stock::Out }
}

fn is_same(number: f64, count: u32) -> bool {
    (number - f64::from(count)).abs() < 0.01
}

/// Why the shape cannot have this size.
fn misfit(shape: &Shape, size: Size) -> Option<String> {
    let cores = shape.ocpu_options.as_ref().map_or((None, None), |bounds| (bounds.min, bounds.max));
    let memory = shape.memory_options.as_ref().map_or((None, None), |bounds| (bounds.min, bounds.max));
    let is_off = |(min, max): (Option<f64>, Option<f64>), asked: u32| {
        let asked = f64::from(asked);
        min.is_some_and(|min| asked < min) || max.is_some_and(|max| asked > max)
    };
    let said = |(min, max): (Option<f64>, Option<f64>)| (min.unwrap_or(0.0), max.unwrap_or(f64::INFINITY));
    if is_off(cores, size.cpus) {
        let (min, max) = said(cores);
        return Some(format!("{} has {min} to {max} OCPUs", shape.name));
    }
    if is_off(memory, size.memory_gib) {
        let (min, max) = said(memory);
        return Some(format!("{} has {min} to {max} GiB of memory", shape.name));
    }
    None
}

fn offer(place: &CloudPlace, shape: Option<&Shape>, stock: Stock) -> Offer {
    let fixed = |number: Option<f64>| {
        let whole = number.unwrap_or(0.0).clamp(0.0, f64::from(u32::MAX));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let whole = whole as u32;
        whole
    };
    let size = place.size.unwrap_or_else(|| Size {
        cpus: fixed(shape.and_then(|shape| shape.ocpus)),
        memory_gib: fixed(shape.and_then(|shape| shape.memory_in_gbs)),
        disk_gib: BOOT_VOLUME_GIB,
    });
    Offer {
        place: place.clone(),
        stock,
        arch: arch(&place.machine, shape),
        cores: size.cpus,
        memory_gib: size.memory_gib,
        disk_gib: size.disk_gib,
        price: price(&place.machine, size),
        price_source: PRICES_OF.to_owned(),
    }
}

fn arch(machine: &str, shape: Option<&Shape>) -> Arch {
    let processor = shape.and_then(|shape| shape.processor_description.as_deref()).unwrap_or_default();
    let is_arm = processor.contains("Ampere") || [".A1.", ".A2.", ".A4."].iter().any(|family| machine.contains(family));
    if is_arm { Arch::Arm64 } else { Arch::Amd64 }
}

/// A month of 730 hours. Boot volumes are not in it: the first 200 GB of a tenancy are free.
/// Source: oracle.com's price list, pay as you go: A1 $0.01 an OCPU-hour, $0.0015 a GB-hour; E2.1.Micro always free.
fn price(machine: &str, size: Size) -> Option<Money> {
    const HOURS: i64 = 730;
    let usd = |milli| Some(Money { currency: "USD".to_owned(), milli });
    match machine {
        // Tenths of a thousandth of a dollar an hour: 100 an OCPU, 15 a GB.
        "VM.Standard.A1.Flex" => usd((i64::from(size.cpus) * 100 + i64::from(size.memory_gib) * 15) * HOURS / 10),
        "VM.Standard.E2.1.Micro" => usd(0),
        _ => None,
    }
}

/// What Always Free takes off the A1 machines of a tenancy that has no others: 1,500 OCPU hours and 9,000 GB hours a
/// month. Source: Oracle's documents as of June 2026.
pub(super) fn always_free(offers: &[&Offer]) -> Option<Money> {
    const HOURS: i64 = 730;
    let arm = offers.iter().filter(|offer| offer.place.machine == "VM.Standard.A1.Flex");
    let (cpus, memory_gib) =
        arm.fold((0, 0), |(cpus, gib), offer| (cpus + i64::from(offer.cores), gib + i64::from(offer.memory_gib)));
    // $0.01 an OCPU hour is 10 thousandths, $0.0015 a GB hour one and a half.
    let milli = (cpus * HOURS).min(1_500) * 10 + (memory_gib * HOURS).min(9_000) * 15 / 10;
    (milli > 0).then(|| Money { currency: "USD".to_owned(), milli: -milli })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tulip() -> CloudPlace {
        CloudPlace {
            cloud: OCI.into(),
            region: "eu-frankfurt-1".into(),
            machine: "VM.Standard.A1.Flex".into(),
            size: Some(Size { cpus: 4, memory_gib: 24, disk_gib: 200 }),
        }
    }

    fn a1() -> Shape {
        serde_json::from_value(json!({
            "shape": "VM.Standard.A1.Flex", "processorDescription": "3.0 GHz Ampere® Altra™", "ocpus": 1.0,
            "memoryInGBs": 6.0, "isFlexible": true, "ocpuOptions": {"min": 1.0, "max": 80.0},
            "memoryOptions": {"minInGBs": 1.0, "maxInGBs": 512.0},
        }))
        .unwrap()
    }

    fn said(status: &str) -> Availability {
        serde_json::from_value(json!({"instanceShape": "VM.Standard.A1.Flex", "availabilityStatus": status})).unwrap()
    }

    #[test]
    fn one_domain_with_stock_is_enough() {
        let out = said("OUT_OF_HOST_CAPACITY");
        let stock = |said: &[Availability]| super::stock(&tulip(), Some(&a1()), Some(said));
        assert_eq!(stock(&[out.clone(), said("AVAILABLE")]), Stock::Available);
        assert_eq!(stock(&[out.clone(), out]), Stock::Out);
        assert_eq!(super::stock(&tulip(), Some(&a1()), None), Stock::Available);
        assert!(matches!(super::stock(&tulip(), None, None), Stock::Unknown(_)));
    }

    #[test]
    fn a_size_that_the_shape_cannot_have_is_said() {
        let mut place = tulip();
        place.size = Some(Size { cpus: 100, memory_gib: 24, disk_gib: 50 });
        let stock = super::stock(&place, Some(&a1()), Some(&[said("AVAILABLE")]));
        assert_eq!(stock, Stock::Unknown("VM.Standard.A1.Flex has 1 to 80 OCPUs".into()));
    }

    #[test]
    fn always_free_takes_off_what_it_holds_and_no_more_than_there_is() {
        let offer = |cpus, memory_gib| {
            let size = Size { cpus, memory_gib, disk_gib: 50 };
            offer(&CloudPlace { size: Some(size), ..tulip() }, None, Stock::Available)
        };
        let milli = |offers: &[&Offer]| always_free(offers).map(|money| money.milli);
        assert_eq!(milli(&[&offer(4, 24)]), Some(-28_500));
        assert_eq!(milli(&[&offer(1, 6)]), Some(-13_870), "all of one small machine: 7.30 + 6.57");
        assert_eq!(milli(&[&offer(2, 12), &offer(2, 12)]), Some(-28_500));
        assert_eq!(milli(&[]), None);
    }

    #[test]
    fn tulips_list_price_is_the_tables() {
        let offer = offer(&tulip(), Some(&a1()), Stock::Available);
        // 4 × $0.01 × 730 h + 24 × $0.0015 × 730 h.
        assert_eq!(offer.price, Some(Money { currency: "USD".into(), milli: 55_480 }));
        assert_eq!((offer.arch, offer.cores, offer.memory_gib), (Arch::Arm64, 4, 24));
    }
}

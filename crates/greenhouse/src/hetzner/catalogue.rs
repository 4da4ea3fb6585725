//! Locations, server types, prices. Sizes and names are the vendor's; prices those of September 2026 (net, EUR a month).

use super::answer::{Answer, Refusal, ok};
use super::input::{Id, Query};
use super::list;
use crate::machine::Arch;
use crate::world::World;
use axum::Router;
use axum::extract::State as Handle;
use axum::routing::get;
use serde_json::{Value, json};

/// id, name, city, country, network zone, whether it has ARM machines.
const LOCATIONS: &[(u64, &str, &str, &str, &str, bool)] = &[
    (1, "fsn1", "Falkenstein", "DE", "eu-central", true),
    (2, "nbg1", "Nuremberg", "DE", "eu-central", true),
    (3, "hel1", "Helsinki", "FI", "eu-central", true),
    (4, "ash", "Ashburn, VA", "US", "us-east", false),
    (5, "hil", "Hillsboro, OR", "US", "us-west", false),
    (6, "sin", "Singapore", "SG", "ap-southeast", false),
];

/// A machine type.
pub(super) struct ServerType {
    pub(super) id: u64,
    pub(super) name: &'static str,
    pub(super) cores: u32,
    pub(super) memory_gib: u64,
    pub(super) disk_gib: u64,
    pub(super) arch: Arch,
    dedicated: bool,
    /// Thousandths of a euro a month, net, without address.
    price_milli: u64,
}

const fn shared(id: u64, name: &'static str, size: (u32, u64, u64), arch: Arch, price_milli: u64) -> ServerType {
    let (cores, memory_gib, disk_gib) = size;
    ServerType { id, name, cores, memory_gib, disk_gib, arch, dedicated: false, price_milli }
}

pub(super) const TYPES: &[ServerType] = &[
    shared(45, "cax11", (2, 4, 40), Arch::Arm64, 5_990),
    shared(93, "cax21", (4, 8, 80), Arch::Arm64, 10_490),
    shared(94, "cax31", (8, 16, 160), Arch::Arm64, 20_490),
    shared(95, "cax41", (16, 32, 320), Arch::Arm64, 40_490),
    shared(110, "cpx12", (1, 2, 40), Arch::Amd64, 11_490),
    shared(111, "cpx22", (2, 4, 80), Arch::Amd64, 19_490),
    shared(112, "cpx32", (4, 8, 160), Arch::Amd64, 35_490),
    shared(113, "cpx42", (8, 16, 320), Arch::Amd64, 69_490),
    shared(114, "cx23", (2, 4, 40), Arch::Amd64, 5_490),
    shared(115, "cx33", (4, 8, 80), Arch::Amd64, 9_490),
    ServerType { dedicated: true, ..shared(96, "ccx13", (2, 8, 80), Arch::Amd64, 17_490) },
    ServerType { dedicated: true, ..shared(97, "ccx23", (4, 16, 160), Arch::Amd64, 33_490) },
];

/// A public IPv4 address, thousandths of a euro a month, net.
const IPV4_MILLI: u64 = 500;
const HOURS_A_MONTH: u64 = 730;

pub(super) fn server_type(reference: &str) -> Option<&'static ServerType> {
    TYPES.iter().find(|kind| kind.name == reference || kind.id.to_string() == reference)
}

/// Name of a location by name or id.
pub(super) fn location_name(reference: &str) -> Option<&'static str> {
    LOCATIONS.iter().find(|(id, name, ..)| *name == reference || id.to_string() == reference).map(|at| at.1)
}

/// Whether the type is sold there at all.
pub(super) fn is_sold(kind: &ServerType, location: &str) -> bool {
    LOCATIONS.iter().any(|at| at.1 == location && (kind.arch == Arch::Amd64 || at.5))
}

pub(super) fn arch_word(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "arm",
        Arch::Amd64 => "x86",
    }
}

pub(super) fn location(name: &str) -> Value {
    let Some((id, name, city, country, zone, _)) = LOCATIONS.iter().find(|at| at.1 == name) else { return Value::Null };
    json!({
        "id": id, "name": name, "description": format!("{city} DC Park 1"), "country": country, "city": city,
        "latitude": 50.47612, "longitude": 12.370_071, "network_zone": zone,
    })
}

impl ServerType {
    pub(super) fn json(&self) -> Value {
        let sold = LOCATIONS.iter().filter(|at| is_sold(self, at.1));
        let locations: Vec<Value> = sold
            .clone()
            .map(|at| json!({"id": at.0, "name": at.1, "deprecation": null, "available": true, "recommended": true}))
            .collect();
        let prices: Vec<Value> = sold.map(|at| price(at.1, self.price_milli)).collect();
        json!({
            "id": self.id, "name": self.name, "description": self.name.to_uppercase(), "cores": self.cores,
            "memory": self.memory_gib, "disk": self.disk_gib, "prices": prices, "storage_type": "local",
            "cpu_type": if self.dedicated { "dedicated" } else { "shared" }, "category": "Shared vCPU",
            "architecture": arch_word(self.arch), "deprecation": null, "locations": locations,
        })
    }
}

fn price(location: &str, milli: u64) -> Value {
    json!({
        "location": location, "price_hourly": amount(milli * 1000 / HOURS_A_MONTH, 1_000_000),
        "price_monthly": amount(milli, 1000), "included_traffic": 21_990_232_555_520_u64,
        "price_per_tb_traffic": amount(1000, 1000),
    })
}

/// Net and gross (19 % tax) as strings with ten digits.
fn amount(parts: u64, per_unit: u64) -> Value {
    let text = |parts: u64| {
        format!("{}.{:0<10}", parts / per_unit, format!("{:0width$}", parts % per_unit, width = digits(per_unit)))
    };
    json!({"net": text(parts), "gross": text(parts * 119 / 100)})
}

fn digits(per_unit: u64) -> usize {
    per_unit.to_string().len() - 1
}

pub(super) fn routes() -> Router<World> {
    Router::new()
        .route("/locations", get(locations))
        .route("/locations/{id}", get(one_location))
        .route("/server_types", get(types))
        .route("/server_types/{id}", get(one_type))
        .route("/pricing", get(pricing))
        .route("/isos", get(|query: Query| async move { list::page(&query, "isos", Vec::new(), &["id"]) }))
        .route(
            "/load_balancer_types",
            get(|query: Query| async move { list::page(&query, "load_balancer_types", Vec::new(), &["id"]) }),
        )
}

async fn locations(query: Query) -> Answer {
    list::page(&query, "locations", LOCATIONS.iter().map(|at| location(at.1)).collect(), &["id", "name"])
}

async fn one_location(Id(id): Id) -> Answer {
    match LOCATIONS.iter().find(|at| at.0 == id) {
        Some(at) => ok(json!({"location": location(at.1)})),
        None => Err(Refusal::not_found("location", id)),
    }
}

async fn types(Handle(world): Handle<World>, query: Query) -> Answer {
    let items = TYPES.iter().map(|kind| {
        let mut item = kind.json();
        // The catalogue may say that something is out of stock, rightly or not.
        if world.fault("hetzner", "sold-out", kind.name).is_some() {
            for at in item["locations"].as_array_mut().into_iter().flatten() {
                at["available"] = false.into();
            }
        }
        item
    });
    list::page(&query, "server_types", items.collect(), &["id", "name"])
}

async fn one_type(Id(id): Id) -> Answer {
    match TYPES.iter().find(|kind| kind.id == id) {
        Some(kind) => ok(json!({"server_type": kind.json()})),
        None => Err(Refusal::not_found("server_type", id)),
    }
}

async fn pricing() -> Answer {
    let types: Vec<Value> = TYPES
        .iter()
        .map(|kind| {
            let prices: Vec<Value> =
                LOCATIONS.iter().filter(|at| is_sold(kind, at.1)).map(|at| price(at.1, kind.price_milli)).collect();
            json!({"id": kind.id, "name": kind.name, "prices": prices})
        })
        .collect();
    let address = |milli| {
        LOCATIONS.iter().map(move |at| {
        json!({"location": at.1, "price_hourly": amount(milli * 1000 / HOURS_A_MONTH, 1_000_000), "price_monthly": amount(milli, 1000)})
    })
    };
    let addresses = json!([
        {"type": "ipv4", "prices": address(IPV4_MILLI).collect::<Vec<_>>()},
        {"type": "ipv6", "prices": address(0).collect::<Vec<_>>()},
    ]);
    ok(json!({"pricing": {
        "currency": "EUR", "vat_rate": "19.00", "image": {"price_per_gb_month": amount(14, 1000)},
        "floating_ip": {"price_monthly": amount(3000, 1000)}, "floating_ips": [], "primary_ips": addresses,
        "server_backup": {"percentage": "20.00"}, "server_types": types, "load_balancer_types": [],
        "volume": {"price_per_gb_month": amount(57, 1000)},
    }}))
}

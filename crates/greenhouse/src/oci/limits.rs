//! Service limits, and how much of them is used.

use super::State;
use super::call::{Call, Site};
use super::compute::{Instance, SHAPES};
use super::reply::{Answer, Refusal, document};
use super::resource::Lifecycle;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Limits at the start: those of a paid account some months old. Those of a shape hold in each availability domain.
const DEFAULTS: &[(&str, u64)] = &[("vcn-count", 50), ("custom-image-count", 100)];
const CORES: u64 = 64;
const MEMORY_GIB: u64 = 384;
const MICRO_INSTANCES: u64 = 2;

/// Name → value.
pub(super) fn defaults() -> BTreeMap<&'static str, u64> {
    let mut all: BTreeMap<&'static str, u64> = DEFAULTS.iter().copied().collect();
    for shape in SHAPES {
        let [cores, memory] = shape.limits;
        let is_counted = cores == memory;
        all.insert(memory, MEMORY_GIB);
        all.insert(cores, if is_counted { MICRO_INSTANCES } else { CORES });
    }
    all
}

impl State {
    /// The value of a limit; 0 for one that does not exist.
    pub(super) fn limit(&self, name: &str) -> u64 {
        self.limits.get(name).copied().unwrap_or(0)
    }

    /// How much of a shape's limit the instances of an availability domain use.
    pub(super) fn used(&self, site: &Site, name: &str, domain: &str) -> f64 {
        let holds = |instance: &&Instance| {
            site.holds(&instance.common.id)
                && instance.availability_domain == domain
                && instance.common.lifecycle != Lifecycle::Terminated
        };
        let amount = |instance: &Instance| match instance.shape.limits {
            [cores, _] if cores == name => instance.ocpus,
            [_, memory] if memory == name => instance.memory_gib,
            _ => 0.0,
        };
        self.instances.values().filter(holds).map(amount).sum()
    }
}

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/20190729/services", get(services))
        .route("/20190729/services/{service}/limits/{name}/resourceAvailability", get(availability))
        .route("/20190729/limitValues", get(values))
        .route("/20190729/limitDefinitions", get(definitions))
}

/// The service that a limit belongs to.
fn service(name: &str) -> &'static str {
    if name == "vcn-count" { "vcn" } else { "compute" }
}

fn is_regional(name: &str) -> bool {
    DEFAULTS.iter().any(|(known, _)| *known == name)
}

async fn services(call: Call) -> Answer {
    check_root(&call)?;
    let shown = |(name, description): (&str, &str)| json!({"name": name, "description": description});
    call.page([("compute", "Compute"), ("vcn", "Virtual Cloud Network")].into_iter().map(shown).collect())
}

/// Most calls here are for the whole tenancy: only its root compartment may ask.
fn check_root(call: &Call) -> Result<(), Refusal> {
    let id = call.required("compartmentId")?;
    if call.site.world.with(|state| state.oci.tenancy == id) { Ok(()) } else { Err(Refusal::not_found()) }
}

async fn availability(Path((of, name)): Path<(String, String)>, call: Call) -> Answer {
    let compartment = call.required("compartmentId")?;
    let domain = call.query("availabilityDomain");
    call.site.world.with(|state| {
        let known = state.oci.limits.contains_key(name.as_str()) && service(&name) == of;
        if !known || !state.oci.has_compartment(compartment) {
            return Err(Refusal::not_found());
        }
        let regional = is_regional(&name);
        if !regional && domain.is_none_or(|domain| !state.oci.has_domain(call.site.region, domain)) {
            return Err(Refusal::invalid("availabilityDomain is required for a limit of scope AD, and must exist"));
        }
        if regional && domain.is_some() {
            return Err(Refusal::invalid("availabilityDomain must not be given for a limit of scope REGION"));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let used = match name.as_str() {
            _ if call.lies("oci-usage-uncounted") => 0.0,
            "vcn-count" => state.oci.vcns.keys().filter(|id| call.site.holds(id)).count() as f64,
            "custom-image-count" => state.oci.images.values().filter(|image| !image.is_platform).count() as f64,
            other => state.oci.used(&call.site, other, domain.unwrap_or_default()),
        };
        let total = if call.suspended { 0 } else { state.oci.limit(&name) };
        // Cores and gigabytes are whole, checked at launch.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, small and not negative")]
        let used = used as u64;
        Ok(document(&json!({
            "used": used,
            "available": total.saturating_sub(used),
            "fractionalUsage": used,
            "fractionalAvailability": total.saturating_sub(used),
            "effectiveQuotaValue": null,
        })))
    })
}

async fn values(call: Call) -> Answer {
    check_root(&call)?;
    let of = call.required("serviceName")?;
    let (wanted, domain) = (call.query("name"), call.query("availabilityDomain"));
    let all = call.site.world.with(|state| {
        let domains = call.site.region.availability_domains(&state.oci.prefix);
        let limits = state.oci.limits.iter().filter(|(name, _)| service(name) == of);
        let limits = limits.filter(|(name, _)| wanted.is_none_or(|wanted| wanted == **name));
        let rows = limits.flat_map(|(name, value)| -> Vec<Value> {
            let value = if call.suspended { 0 } else { *value };
            if is_regional(name) {
                return vec![json!({"name": name, "scopeType": "REGION", "availabilityDomain": null, "value": value})];
            }
            let row = |domain: &String| json!({"name": name, "scopeType": "AD", "availabilityDomain": domain, "value": value});
            domains.iter().map(row).collect()
        });
        rows.filter(|row| domain.is_none_or(|domain| row["availabilityDomain"] == domain)).collect()
    });
    call.page(all)
}

async fn definitions(call: Call) -> Answer {
    check_root(&call)?;
    let of = call.query("serviceName");
    let all = call.site.world.with(|state| {
        let names = state.oci.limits.keys().filter(|name| of.is_none_or(|of| of == service(name)));
        let shown = names.map(|name| {
            json!({
                "name": name,
                "serviceName": service(name),
                "description": name.replace('-', " "),
                "scopeType": if is_regional(name) { "REGION" } else { "AD" },
                "areQuotasSupported": true,
                "isResourceAvailabilitySupported": true,
                "isDeprecated": false,
                "isEligibleForLimitIncrease": true,
                "isDynamic": false,
            })
        });
        shown.collect()
    });
    call.page(all)
}

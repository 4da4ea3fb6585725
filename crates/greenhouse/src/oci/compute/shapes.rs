//! Shapes: what machines there are.

use super::super::call::{Call, Site};
use super::super::reply::{Answer, Refusal};
use super::Image;
use crate::machine::Arch;
use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

/// A kind of machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(in crate::oci) name: &'static str,
    pub(super) processor: &'static str,
    pub(in crate::oci) arch: Arch,
    /// A fixed shape's size, a flexible one's largest.
    pub(super) ocpus_max: u32,
    pub(super) memory_gib_max: u32,
    /// Memory of a fixed shape; a flexible one gives this for each OCPU if nothing is said.
    pub(super) memory_gib_default: u32,
    pub(super) memory_gib_per_ocpu_max: u32,
    pub(super) is_flexible: bool,
    /// Names of the limits on OCPUs and GB; none for those counted by instances.
    pub(in crate::oci) limits: [&'static str; 2],
}

/// The shapes of this world, with the bounds of <https://docs.oracle.com/iaas/Content/Compute/References/computeshapes.htm>.
pub(in crate::oci) const SHAPES: &[Shape] = &[
    Shape {
        name: "VM.Standard.A1.Flex",
        processor: "3.0 GHz Ampere® Altra™",
        arch: Arch::Arm64,
        ocpus_max: 80,
        memory_gib_max: 512,
        memory_gib_default: 6,
        memory_gib_per_ocpu_max: 64,
        is_flexible: true,
        limits: ["standard-a1-core-count", "standard-a1-memory-count"],
    },
    Shape {
        name: "VM.Standard.A2.Flex",
        processor: "3.0 GHz AmpereOne®",
        arch: Arch::Arm64,
        ocpus_max: 78,
        memory_gib_max: 946,
        memory_gib_default: 12,
        memory_gib_per_ocpu_max: 64,
        is_flexible: true,
        limits: ["standard-a2-core-count", "standard-a2-memory-count"],
    },
    Shape {
        name: "VM.Standard.E4.Flex",
        processor: "2.55 GHz AMD EPYC™ 7J13 (Milan)",
        arch: Arch::Amd64,
        ocpus_max: 114,
        memory_gib_max: 1760,
        memory_gib_default: 16,
        memory_gib_per_ocpu_max: 64,
        is_flexible: true,
        limits: ["standard-e4-core-count", "standard-e4-memory-count"],
    },
    Shape {
        name: "VM.Standard.E5.Flex",
        processor: "2.4 GHz AMD EPYC™ 9J14 (Genoa)",
        arch: Arch::Amd64,
        ocpus_max: 126,
        memory_gib_max: 1049,
        memory_gib_default: 12,
        memory_gib_per_ocpu_max: 64,
        is_flexible: true,
        limits: ["standard-e5-core-count", "standard-e5-memory-count"],
    },
    Shape {
        name: "VM.Standard3.Flex",
        processor: "2.6 GHz Intel® Xeon® Platinum 8358 (Ice Lake)",
        arch: Arch::Amd64,
        ocpus_max: 56,
        memory_gib_max: 896,
        memory_gib_default: 16,
        memory_gib_per_ocpu_max: 64,
        is_flexible: true,
        limits: ["standard3-core-count", "standard3-memory-count"],
    },
    Shape {
        name: "VM.Standard.E2.1.Micro",
        processor: "2.0 GHz AMD EPYC™ 7551 (Naples)",
        arch: Arch::Amd64,
        ocpus_max: 1,
        memory_gib_max: 1,
        memory_gib_default: 1,
        memory_gib_per_ocpu_max: 1,
        is_flexible: false,
        limits: ["standard-e2-micro-core-count", "standard-e2-micro-core-count"],
    },
];

impl Shape {
    pub(in crate::oci) fn named(name: &str) -> Option<&'static Shape> {
        SHAPES.iter().find(|shape| shape.name == name)
    }

    /// OCPUs and memory in GB of an instance with this `shapeConfig`.
    pub(super) fn size(&self, ocpus: Option<f64>, memory: Option<f64>) -> Result<(f64, f64), Refusal> {
        let most = (f64::from(self.ocpus_max), f64::from(self.memory_gib_max));
        if !self.is_flexible {
            return Ok(most);
        }
        let wrong = |what: String| Refusal::invalid(format!("Invalid ShapeConfig: {what}"));
        let Some(ocpus) = ocpus else {
            return Err(wrong("null (Cannot launch flexible instance without ShapeConfig)".into()));
        };
        let memory = memory.unwrap_or(ocpus * f64::from(self.memory_gib_default));
        if ocpus.fract() != 0.0 || !(1.0..=most.0).contains(&ocpus) {
            return Err(wrong(format!("ocpus {ocpus} must be a whole number between 1 and {}", most.0)));
        }
        let per_ocpu = f64::from(self.memory_gib_per_ocpu_max);
        if !(ocpus..=(ocpus * per_ocpu).min(most.1)).contains(&memory) {
            return Err(wrong(format!(
                "memoryInGBs {memory} must be 1 to {per_ocpu} for each OCPU, at most {}",
                most.1
            )));
        }
        Ok((ocpus, memory))
    }

    /// Cores that the operating system sees: an OCPU is one core of Arm, or two threads of x86.
    pub(super) fn vcpus(&self, ocpus: f64) -> u32 {
        let per_ocpu = match self.arch {
            Arch::Arm64 => 1.0,
            Arch::Amd64 => 2.0,
        };
        // Whole and small: checked against the shape's bounds.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2 × 126")]
        let vcpus = (per_ocpu * ocpus) as u32;
        vcpus
    }

    fn shown(&self) -> Value {
        let (ocpus, memory) = if self.is_flexible {
            (1.0, f64::from(self.memory_gib_default))
        } else {
            (f64::from(self.ocpus_max), f64::from(self.memory_gib_max))
        };
        let options = json!({
            "minInGBs": 1.0,
            "maxInGBs": f64::from(self.memory_gib_max),
            "defaultPerOcpuInGBs": f64::from(self.memory_gib_default),
            "minPerOcpuInGBs": 1.0,
            "maxPerOcpuInGBs": f64::from(self.memory_gib_per_ocpu_max),
        });
        json!({
            "shape": self.name,
            "processorDescription": self.processor,
            "ocpus": ocpus,
            "memoryInGBs": memory,
            "isFlexible": self.is_flexible,
            "ocpuOptions": self.is_flexible.then(|| json!({"min": 1.0, "max": f64::from(self.ocpus_max)})),
            "memoryOptions": self.is_flexible.then_some(options),
            "networkPorts": 1,
            "networkingBandwidthInGbps": 1.0,
            "maxVnicAttachments": 2,
            "gpus": 0,
            "localDisks": 0,
            "isLiveMigrationSupported": true,
            "isBilledForStoppedInstance": false,
            "billingType": if self.name == "VM.Standard.E2.1.Micro" { "ALWAYS_FREE" } else { "PAID" },
            "quotaNames": self.limits,
        })
    }
}

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/20160918/shapes", get(list))
}

async fn list(call: Call) -> Answer {
    let compartment = call.required("compartmentId")?;
    let shapes = call.site.world.with(|state| {
        if !state.oci.has_compartment(compartment) {
            return Err(Refusal::not_found());
        }
        let image = call.query("imageId").map(|id| call.site.find::<Image>(&state.oci, id)).transpose()?;
        let wanted = call.query("shape");
        let fits = |shape: &&Shape| {
            image.is_none_or(|image| image.shapes.contains(shape.name)) && wanted.is_none_or(|name| name == shape.name)
        };
        Ok(SHAPES.iter().filter(fits).map(Shape::shown).collect())
    })?;
    call.page(shapes)
}

use crate::catalogue;
use crate::cluster::{CloudPlace, Size};
use crate::code;
use crate::fault::{Faults, help};
use crate::fields::{At, Fields};
use crate::{Span, units};

/// What is written of a machine's size, beside `on` or in one of its entries.
#[derive(Clone, Default)]
pub(crate) struct Sizes {
    cpus: Written<u32>,
    memory_gib: Written<u32>,
    disk_gib: Written<u32>,
}

/// A field that may be absent, and may have been unreadable, which is another fault already.
#[derive(Clone, Default)]
enum Written<T> {
    #[default]
    Absent,
    Unreadable,
    Value(At<T>),
}

impl<T> Written<T> {
    fn or(self, beside: Self) -> Self {
        if matches!(self, Written::Absent) { beside } else { self }
    }

    fn value(&self) -> Option<&At<T>> {
        if let Written::Value(at) = self { Some(at) } else { None }
    }
}

impl<T> From<Option<At<T>>> for Written<T> {
    fn from(read: Option<At<T>>) -> Self {
        read.map_or(Written::Unreadable, Written::Value)
    }
}

/// The smallest boot volume OCI makes, and more than Talos needs.
const DISK_GIB_DEFAULT: u32 = 50;

impl Sizes {
    pub(crate) fn read(fields: &Fields<'_>, owner: &str, faults: &mut Faults) -> Sizes {
        let of = |key: &str| format!("`{key}` of {owner}");
        Sizes {
            cpus: fields.get("cpus").map_or(Written::Absent, |node| units::count(node, &of("cpus"), faults).into()),
            memory_gib: fields
                .get("memory")
                .map_or(Written::Absent, |node| units::gib(node, &of("memory"), faults).into()),
            disk_gib: fields.get("disk").map_or(Written::Absent, |node| units::gib(node, &of("disk"), faults).into()),
        }
    }

    pub(crate) fn or(self, beside: Sizes) -> Sizes {
        Sizes {
            cpus: self.cpus.or(beside.cpus),
            memory_gib: self.memory_gib.or(beside.memory_gib),
            disk_gib: self.disk_gib.or(beside.disk_gib),
        }
    }

    /// Says that a size was written where the machine type says it all.
    pub(crate) fn refuse(&self, machine: &str, faults: &mut Faults) {
        let first = [&self.cpus, &self.memory_gib, &self.disk_gib].into_iter().find_map(Written::value);
        if let Some(at) = first {
            let message = format!("`{machine}` has a fixed size");
            faults.error(
                code::SIZE_AND_MACHINE,
                &at.span,
                message,
                help("remove `cpus`, `memory` and `disk`, or name a flexible machine such as VM.Standard.A1.Flex"),
            );
        }
    }

    /// The size of a flexible machine, checked against its limits where they are known.
    pub(crate) fn settle(self, place: &CloudPlace, span: &Span, faults: &mut Faults) -> Option<Size> {
        let missing: Vec<&str> = [("cpus", &self.cpus), ("memory", &self.memory_gib)]
            .into_iter()
            .filter(|(_, written)| matches!(written, Written::Absent))
            .map(|(name, _)| name)
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "`{}` leaves its size open, and the file does not give `{}`",
                place.machine,
                missing.join("` and `")
            );
            let example = help("add `cpus: 4, memory: 24GiB, disk: 200GiB`, as needed");
            faults.error(code::SIZE_AND_MACHINE, span, message, example);
        }
        self.check_limits(place, faults);
        Some(Size {
            cpus: self.cpus.value()?.value,
            memory_gib: self.memory_gib.value()?.value,
            disk_gib: match &self.disk_gib {
                Written::Absent => DISK_GIB_DEFAULT,
                Written::Unreadable => return None,
                Written::Value(at) => at.value,
            },
        })
    }

    fn check_limits(&self, place: &CloudPlace, faults: &mut Faults) {
        let mut beyond = |at: &At<u32>, message: String, remedy: String| {
            faults.error(code::SIZE_LIMITS, &at.span, message, help(remedy));
        };
        if let (Some(disk), Some(range)) = (self.disk_gib.value(), catalogue::disk_gib(place))
            && !range.contains(&disk.value)
        {
            let (min, max) = (range.start(), range.end());
            let message = format!("{} makes no system disk of {} GiB", place.cloud, disk.value);
            beyond(disk, message, format!("write {min}GiB to {max}GiB"));
        }
        let Some(limits) = catalogue::limits(place) else { return };
        if let Some(cpus) = self.cpus.value().filter(|cpus| cpus.value > limits.cpus) {
            let message = format!("`{}` has no {} OCPUs", place.machine, cpus.value);
            beyond(cpus, message, format!("write 1 to {}", limits.cpus));
        }
        let (Some(cpus), Some(memory)) = (self.cpus.value(), self.memory_gib.value()) else { return };
        let most = limits.memory_gib.min(cpus.value.saturating_mul(limits.memory_gib_per_cpu));
        // Each OCPU needs at least one GiB. The cores are at fault if they are beyond their own limit.
        let least = cpus.value.min(limits.cpus);
        if !(least..=most).contains(&memory.value) {
            let message = format!("`{}` with {} OCPUs has no {} GiB", place.machine, cpus.value, memory.value);
            beyond(memory, message, format!("write {least}GiB to {most}GiB"));
        }
    }
}

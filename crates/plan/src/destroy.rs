use crate::draft::Draft;
use crate::make::Wish;
use crate::observed::Observed;
use crate::removal::delete_in_order;
use crate::steps::{Plan, Report, Step, StepId, Verb};
use clouds::Found;

/// What a destroy leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spare {
    /// Images, so that the next cluster comes up sooner.
    pub images: bool,
}

/// Plans the removal of everything that bears the cluster's mark, and of what its controllers left on its machines.
pub fn destroy(wish: &Wish<'_>, observed: &Observed, spare: Spare) -> (Plan, Report) {
    let mut draft = Draft::new();
    let mut machines: Vec<StepId> = Vec::new();
    // It would put back the records that are removed below, and needs the API to be told.
    let stopped = observed.addons.contains_key(addons::WATCHER).then(|| draft.add(Step::StopWatcher, []));
    for cloud in wish.clouds {
        let Some(seen) = observed.clouds.get(cloud.name()) else { continue };
        let is_image = |found: &Found| seen.images.iter().any(|(_, image)| image.id == found.id);
        let doomed: Vec<&Found> = seen
            .found
            .iter()
            .filter(|found| found.ours || found.left_behind)
            .filter(|found| !(spare.images && is_image(found)))
            .collect();
        delete_in_order(cloud.kinds(), &doomed, &mut draft);
        let here = doomed.iter().filter(|found| found.place.is_some());
        machines.extend(here.map(|found| Step::DeleteResource { found: (*found).clone() }.id()));
        for machine in &machines {
            draft.wait(machine, stopped.clone());
        }
        for found in doomed.iter().filter(|found| found.left_behind) {
            draft.note(found.key.name.clone(), format!("{} was made by a controller in the cluster", found.key));
        }
        if spare.images {
            for (image, found) in seen.images.iter().filter(|(_, found)| found.ours) {
                draft.note(found.key.name.clone(), format!("the {} image is kept", image.arch));
            }
        }
    }
    for key in &observed.keys {
        draft.add(Step::DeleteKey { id: key.id.clone() }, []);
    }
    // A device whose machine still runs would come back.
    for device in observed.devices.iter().filter(|device| device.ours) {
        draft.add(Step::DeleteDevice { id: device.id.clone(), name: device.name.clone() }, machines.clone());
    }
    for record in observed.zone.iter().flat_map(|zone| &zone.records).filter(|record| record.ours) {
        // A watcher that could not be stopped ends with its machines.
        let after = stopped.iter().chain(machines.iter().filter(|_| addons::has_watcher(wish.cluster)));
        let step = Step::DeleteRecord { id: record.id.clone(), name: record.name.clone() };
        draft.add(step, after.cloned());
    }
    draft.finish(Verb::Destroy, &wish.cluster.name, observed)
}

use addons::Object;
use std::collections::BTreeMap;

/// What must be there before what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wave {
    Namespaces,
    /// Custom kinds.
    Kinds,
    /// Accounts, rights, configuration, services: what workloads refer to.
    Ground,
    Workloads,
}

pub(super) fn wave(kind: &str) -> Wave {
    match kind {
        "Namespace" => Wave::Namespaces,
        "CustomResourceDefinition" => Wave::Kinds,
        "Deployment" | "DaemonSet" | "StatefulSet" | "Job" | "CronJob" | "Pod" => Wave::Workloads,
        _ => Wave::Ground,
    }
}

/// Objects by wave; within one, as they came.
pub(super) fn waves(objects: &[Object]) -> BTreeMap<Wave, Vec<&Object>> {
    let mut waves: BTreeMap<Wave, Vec<&Object>> = BTreeMap::new();
    for object in objects {
        waves.entry(wave(&object.id().kind)).or_default().push(object);
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_refer_to_comes_first() {
        let cluster = spec::read(include_str!("../../../../examples/bouquet.yaml")).cluster.unwrap();
        let addons = addons::all(&cluster, addons::Given::default());
        for addon in addons {
            let waves = waves(&addon.objects);
            let kinds: Vec<&str> = waves.values().flatten().map(|object| object.id().kind.as_str()).collect();
            let place = |kind: &str| kinds.iter().position(|at| *at == kind);
            let workload = place("Deployment").or(place("DaemonSet")).unwrap();
            for before in ["ServiceAccount", "ClusterRoleBinding", "ConfigMap", "Service", "CustomResourceDefinition"] {
                assert!(place(before).is_none_or(|at| at < workload), "{before} in {kinds:?}");
            }
            assert_eq!(kinds[0], "Namespace");
            assert_eq!(kinds.len(), addon.objects.len());
        }
    }
}

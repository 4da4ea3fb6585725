//! Which resources the API has, and how a path names one.

use super::custom::Custom;
use super::schema::Shape;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A kind of object, as discovery shows it.
#[derive(Debug)]
pub(super) struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
    pub short: &'static [&'static str],
    pub namespaced: bool,
    /// `status` is a subresource: writes to the object leave it alone, and the other way round.
    pub status: bool,
    /// `metadata.generation` counts changes of what is wanted.
    pub generation: bool,
    /// A client's own kind.
    pub custom: Option<&'static Custom>,
}

static SHAPES: LazyLock<BTreeMap<&'static str, Shape>> =
    LazyLock::new(|| RESOURCES.iter().map(|at| (at.kind, Shape::Named(at.kind.to_owned()))).collect());

impl Resource {
    const fn namespaced(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
        short: &'static [&'static str],
    ) -> Self {
        Resource {
            group,
            version,
            plural,
            kind,
            short,
            namespaced: true,
            status: false,
            generation: false,
            custom: None,
        }
    }

    const fn global(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
        short: &'static [&'static str],
    ) -> Self {
        Resource {
            group,
            version,
            plural,
            kind,
            short,
            namespaced: false,
            status: false,
            generation: false,
            custom: None,
        }
    }

    const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    const fn numbered(mut self) -> Self {
        self.generation = true;
        self
    }

    const fn counted(mut self) -> Self {
        self.status = true;
        self.generation = true;
        self
    }

    /// What its objects look like.
    pub(super) fn shape(&self) -> &'static Shape {
        match self.custom {
            Some(custom) => &custom.shape,
            // Another type of the same name as the core's; nothing here merges or owns its parts.
            None if self.group == "events.k8s.io" => &Shape::Any,
            None => SHAPES.get(self.kind).unwrap_or(&Shape::Any),
        }
    }

    /// Whether an update makes what is not there.
    pub(super) fn made_by_update(&self) -> bool {
        let roles = ["roles", "rolebindings", "clusterroles", "clusterrolebindings"];
        self.custom.is_none()
            && (matches!(self.plural, "leases" | "services" | "endpoints" | "events") || roles.contains(&self.plural))
    }

    /// Whether a deletion answers with the object that went.
    pub(super) fn shows_what_went(&self) -> bool {
        let kinds =
            ["pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "storageclasses"];
        self.custom.is_none() && kinds.contains(&self.plural)
    }

    /// `apps/v1`, `v1`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`, `nodes`: how messages name it.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}

const APPS: &str = "apps";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Everything served: what clusters are born with and what the product puts into them. Shapes are not validated.
pub(super) static RESOURCES: &[Resource] = &[
    Resource::global("", "v1", "namespaces", "Namespace", &["ns"]).with_status(),
    Resource::global("", "v1", "nodes", "Node", &["no"]).with_status(),
    Resource::global("", "v1", "persistentvolumes", "PersistentVolume", &["pv"]).with_status(),
    Resource::namespaced("", "v1", "configmaps", "ConfigMap", &["cm"]),
    Resource::namespaced("", "v1", "endpoints", "Endpoints", &["ep"]),
    Resource::namespaced("", "v1", "events", "Event", &["ev"]),
    Resource::namespaced("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"]).with_status(),
    Resource::namespaced("", "v1", "pods", "Pod", &["po"]).counted(),
    Resource::namespaced("", "v1", "secrets", "Secret", &[]),
    Resource::namespaced("", "v1", "serviceaccounts", "ServiceAccount", &["sa"]),
    Resource::namespaced("", "v1", "services", "Service", &["svc"]).with_status(),
    Resource::namespaced(APPS, "v1", "daemonsets", "DaemonSet", &["ds"]).counted(),
    Resource::namespaced(APPS, "v1", "deployments", "Deployment", &["deploy"]).counted(),
    Resource::namespaced(APPS, "v1", "replicasets", "ReplicaSet", &["rs"]).counted(),
    Resource::namespaced(APPS, "v1", "statefulsets", "StatefulSet", &["sts"]).counted(),
    Resource::namespaced("coordination.k8s.io", "v1", "leases", "Lease", &[]),
    Resource::namespaced("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", &[]).numbered(),
    Resource::namespaced("events.k8s.io", "v1", "events", "Event", &["ev"]),
    Resource::namespaced("networking.k8s.io", "v1", "ingresses", "Ingress", &["ing"]).counted(),
    Resource::global("networking.k8s.io", "v1", "ingressclasses", "IngressClass", &[]).numbered(),
    Resource::namespaced("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", &["pdb"]).counted(),
    Resource::global(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", &[]),
    Resource::global(RBAC, "v1", "clusterroles", "ClusterRole", &[]),
    Resource::namespaced(RBAC, "v1", "rolebindings", "RoleBinding", &[]),
    Resource::namespaced(RBAC, "v1", "roles", "Role", &[]),
    Resource::global(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        &["crd", "crds"],
    )
    .counted(),
    Resource::global("storage.k8s.io", "v1", "storageclasses", "StorageClass", &["sc"]),
];

/// The resource of this name.
pub(super) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|at| at.group == group && at.version == version && at.plural == plural)
}

/// What a path under `/api` or `/apis` is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub plural: &'a str,
    /// Empty: all namespaces, or a cluster-scoped resource.
    pub namespace: &'a str,
    /// Empty: the collection.
    pub name: &'a str,
    /// Empty: the object itself.
    pub subresource: &'a str,
}

impl<'a> Place<'a> {
    /// Reads `/api/V/…` and `/apis/G/V/…` as the API server's request info does; `None` for other paths and for
    /// those that end before a resource.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let (group, version) = match segments.next()? {
            "api" => ("", segments.next()?),
            "apis" => (segments.next()?, segments.next()?),
            _ => return None,
        };
        let rest: Vec<&str> = segments.collect();
        let (namespace, rest) = match rest.as_slice() {
            // `namespaces/x/status` is a namespace's own subresource, anything else after the name lives in it.
            ["namespaces", namespace, resource, tail @ ..] if !matches!(*resource, "status" | "finalize") => {
                (*namespace, [&[*resource], tail].concat())
            }
            all => ("", all.to_vec()),
        };
        let (plural, name, subresource) = match rest.as_slice() {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource] => (*plural, *name, *subresource),
            _ => return None,
        };
        Some(Place { group, version, plural, namespace, name, subresource })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_namespace_object_and_subresource() {
        let eviction = Place::of("/api/v1/namespaces/kube-system/pods/coredns-1/eviction").unwrap();
        assert_eq!((eviction.namespace, eviction.plural, eviction.name), ("kube-system", "pods", "coredns-1"));
        assert_eq!(eviction.subresource, "eviction");
        let deployments = Place::of("/apis/apps/v1/deployments").unwrap();
        assert_eq!((deployments.group, deployments.namespace, deployments.name), ("apps", "", ""));
    }

    #[test]
    fn a_namespace_is_an_object_and_a_place() {
        let itself = Place::of("/api/v1/namespaces/x").unwrap();
        assert_eq!((itself.plural, itself.name, itself.namespace), ("namespaces", "x", ""));
        let its_status = Place::of("/api/v1/namespaces/x/status").unwrap();
        assert_eq!((its_status.plural, its_status.name, its_status.subresource), ("namespaces", "x", "status"));
        assert_eq!(Place::of("/api/v1"), None);
    }
}

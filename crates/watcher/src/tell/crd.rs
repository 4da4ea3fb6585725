//! The custom kind `ingressnodes.bouquet.dev`: what `kubectl get ingressnodes` shows.

/// Its group.
pub const GROUP: &str = "bouquet.dev";
/// Its only version so far.
pub const VERSION: &str = "v1alpha1";
/// As objects name it.
pub const KIND: &str = "IngressNode";
/// As paths name it.
pub const PLURAL: &str = "ingressnodes";

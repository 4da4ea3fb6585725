//! The codes of this crate's faults. Each has a page in `docs/errors`.

pub(crate) const NOT_YAML: &str = "BQ0101";
pub(crate) const WRONG_SHAPE: &str = "BQ0102";
pub(crate) const UNKNOWN_KEY: &str = "BQ0103";
pub(crate) const DUPLICATE_KEY: &str = "BQ0104";
pub(crate) const MISSING_KEY: &str = "BQ0105";
pub(crate) const UNKNOWN_WORD: &str = "BQ0106";
pub(crate) const BAD_QUANTITY: &str = "BQ0107";
pub(crate) const BAD_NAME: &str = "BQ0108";
pub(crate) const MESH_NAMES: &str = "BQ0109";
pub(crate) const BAD_DOMAIN: &str = "BQ0110";
pub(crate) const DOMAIN_AND_DNS: &str = "BQ0111";
pub(crate) const BAD_PLACE: &str = "BQ0112";
pub(crate) const UNKNOWN_CLOUD: &str = "BQ0113";
pub(crate) const NOT_IN_CATALOGUE: &str = "BQ0114";
pub(crate) const SIZE_AND_MACHINE: &str = "BQ0115";
pub(crate) const SIZE_LIMITS: &str = "BQ0116";
pub(crate) const ALWAYS_FREE: &str = "BQ0117";
pub(crate) const QUORUM: &str = "BQ0118";
pub(crate) const VERSION_PAIR: &str = "BQ0119";
pub(crate) const BAD_VERSION: &str = "BQ0120";
pub(crate) const ADDRESS_RANGE: &str = "BQ0121";
pub(crate) const NO_SUCH_NODE: &str = "BQ0122";
pub(crate) const BAD_BACKUP: &str = "BQ0123";
pub(crate) const BACKUP_BESIDE_NODE: &str = "BQ0124";
pub(crate) const LABEL_OR_TAINT: &str = "BQ0125";
pub(crate) const BAD_PATCH: &str = "BQ0126";
pub(crate) const SAME_PLACE_TWICE: &str = "BQ0127";
pub(crate) const FIRST_CONTACT: &str = "BQ0128";
pub(crate) const BAD_LOCK: &str = "BQ0129";

/// Every code of this crate with its title, in order. A page `docs/errors/<code>.md` begins with `# <code>: <title>`.
pub const CODES: &[(&str, &str)] = &[
    (NOT_YAML, "The file is not YAML"),
    (WRONG_SHAPE, "A value has the wrong shape"),
    (UNKNOWN_KEY, "A key is unknown"),
    (DUPLICATE_KEY, "A key stands twice"),
    (MISSING_KEY, "A key is missing"),
    (UNKNOWN_WORD, "A word is not among the choices"),
    (BAD_QUANTITY, "A quantity or its unit is wrong"),
    (BAD_NAME, "A name cannot be used"),
    (MESH_NAMES, "Two node names would be confused on the mesh"),
    (BAD_DOMAIN, "The domain is not a domain name"),
    (DOMAIN_AND_DNS, "Domain, DNS and certificates do not fit together"),
    (BAD_PLACE, "A place is not cloud/region/machine or address/IP"),
    (UNKNOWN_CLOUD, "The cloud is unknown"),
    (NOT_IN_CATALOGUE, "A region or machine is not in the known catalogue"),
    (SIZE_AND_MACHINE, "Size and machine do not fit together"),
    (SIZE_LIMITS, "A size is outside the machine's limits"),
    (ALWAYS_FREE, "The machines exceed OCI's Always Free limits"),
    (QUORUM, "The number of control planes is not odd"),
    (VERSION_PAIR, "Talos and Kubernetes versions do not fit together"),
    (BAD_VERSION, "A version is not three numbers"),
    (ADDRESS_RANGE, "An address range is wrong or overlaps another"),
    (NO_SUCH_NODE, "A node is named that the file does not have"),
    (BAD_BACKUP, "The backup's location or schedule is wrong"),
    (BACKUP_BESIDE_NODE, "The backup lies where a node lives"),
    (LABEL_OR_TAINT, "A label or taint breaks Kubernetes' rules"),
    (BAD_PATCH, "A Talos patch is not a YAML mapping"),
    (SAME_PLACE_TWICE, "A place is named twice"),
    (FIRST_CONTACT, "The first contact does not fit the place"),
    (BAD_LOCK, "The lock file cannot be read"),
];

//! What a probe can end with.

use serde::{Deserialize, Serialize};

/// How a probe of a target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The canary's own answer came back.
    Pass,
    /// It did not.
    Fail(Cause),
}

/// Why a probe failed: how far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cause {
    /// No answer in time: the node or the way to it is gone.
    Silent,
    /// The node says that nobody listens.
    Refused,
    /// TLS failed, or the certificate is wrong or expired.
    Certificate,
    /// The ingress controller answers and does not know the canary's route.
    NoRoute,
    /// The controller is well and what stands behind it is not: 502, 503, 504, or silence after TLS.
    Behind,
    /// Some other answer than the canary's.
    Wrong,
}

impl Cause {
    /// In plain words.
    pub fn words(self) -> &'static str {
        match self {
            Cause::Silent => "no answer",
            Cause::Refused => "connection refused",
            Cause::Certificate => "the certificate is wrong",
            Cause::NoRoute => "the ingress controller has no routes",
            Cause::Behind => "nothing answers behind the ingress controller",
            Cause::Wrong => "somebody else answers",
        }
    }
}

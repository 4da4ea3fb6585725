use std::error::Error as _;
use std::time::Duration;
use tonic::{Code, Status};
use wire::{Fate, Lost, Sorted};

/// What came of a call to a node instead of its answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nothing came back.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// Nothing came back in the time allowed.
    #[error("{asked}: no answer within {} s", .limit.as_secs())]
    TimedOut {
        /// Who was asked what.
        asked: Asked,
        /// The time allowed.
        limit: Duration,
    },
    /// The node said no.
    #[error("{asked}: {message} ({code:?})")]
    Refused {
        /// Who was asked what.
        asked: Asked,
        /// What it means for us.
        refusal: Refusal,
        /// gRPC's own code.
        code: Code,
        /// The node's words.
        message: String,
    },
    /// The answer is not what the API promises.
    #[error("{asked}: {what}")]
    Garbled {
        /// Who was asked what.
        asked: Asked,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The installer ran on the node and failed, which the call itself does not report as an error.
    #[error("{asked}: the installer ended with exit code {exit_code}: {last_words}")]
    InstallerFailed {
        /// Who was asked what.
        asked: Asked,
        /// Never 0.
        exit_code: i32,
        /// The last line it wrote.
        last_words: String,
    },
}

/// Who was asked what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{node}: {call}")]
pub struct Asked {
    /// Address and port.
    pub node: String,
    /// The call's name.
    pub call: &'static str,
}

impl Asked {
    /// What a status means: what our own [`wire::Wire`] said, if it was that, else what the node said.
    pub(super) fn refused(&self, status: &Status) -> ClientError {
        let mut cause = status.source();
        while let Some(error) = cause {
            if let Some(ours) = error.downcast_ref::<wire::Error>() {
                return ClientError::Lost(Lost { call: self.call, error: ours.clone() });
            }
            cause = error.source();
        }
        let (refusal, message) = (Refusal::of(status.code()), status.message().to_owned());
        ClientError::Refused { asked: self.clone(), refusal, code: status.code(), message }
    }

    /// An error that came inside an answer.
    pub(super) fn told(&self, message: String) -> ClientError {
        ClientError::Refused { asked: self.clone(), refusal: Refusal::Other, code: Code::Unknown, message }
    }

    pub(super) fn garbled(&self, what: &'static str) -> ClientError {
        ClientError::Garbled { asked: self.clone(), what }
    }
}

/// The sorts of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Services are starting or restarting, as apid does when it leaves maintenance.
    Unavailable,
    /// Something must happen on the node first (another sequence, time not in sync, installation).
    NotReady,
    /// It has been done already; for Bootstrap: this node's etcd has data.
    AlreadyExists,
    /// Our certificate's role does not allow it, or the node is in maintenance and allows it to nobody.
    Forbidden,
    /// This node does not serve the call: a worker asked about etcd, an older Talos.
    Unimplemented,
    /// What was sent is refused as wrong, such as a configuration that does not validate.
    Invalid,
    /// It is not there.
    NotFound,
    /// Everything else.
    Other,
}

impl ClientError {
    /// The sort of refusal, if the node refused.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            ClientError::Refused { refusal, .. } => Some(*refusal),
            _ => None,
        }
    }

    /// Whether the handshake failed: the node is of another cluster, still in maintenance, or does not know us.
    pub fn is_tls(&self) -> bool {
        matches!(self, ClientError::Lost(Lost { error: wire::Error::Tls { .. }, .. }))
    }

    /// The code that `bouquet explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            ClientError::Lost(_) if self.is_tls() => "BQ0321",
            ClientError::Lost(_) | ClientError::TimedOut { .. } => "BQ0320",
            ClientError::Refused { refusal, .. } => match refusal {
                Refusal::Unavailable | Refusal::NotReady => "BQ0322",
                Refusal::AlreadyExists => "BQ0323",
                Refusal::Forbidden => "BQ0324",
                Refusal::Unimplemented => "BQ0325",
                Refusal::Invalid => "BQ0326",
                Refusal::NotFound => "BQ0327",
                Refusal::Other => "BQ0328",
            },
            ClientError::Garbled { .. } => "BQ0329",
            ClientError::InstallerFailed { .. } => "BQ0330",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            ClientError::Lost(_) if self.is_tls() => {
                "check that the bundle is this cluster's; a node in maintenance mode or of another cluster shows another authority"
            }
            ClientError::Lost(_) | ClientError::TimedOut { .. } => {
                "check that this machine is on the tailnet or that BOUQUET_MESH_PROXY leads into it, and that the node is up"
            }
            ClientError::Refused { refusal, .. } => refusal.help(),
            ClientError::Garbled { .. } => "something between this machine and the node answers in its place",
            ClientError::InstallerFailed { .. } => {
                "the node still runs what it ran; `bouquet logs` shows the installer's words"
            }
        }
    }
}

impl Refusal {
    fn of(code: Code) -> Self {
        match code {
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded => Refusal::Unavailable,
            Code::FailedPrecondition | Code::Aborted | Code::ResourceExhausted => Refusal::NotReady,
            Code::AlreadyExists => Refusal::AlreadyExists,
            Code::PermissionDenied | Code::Unauthenticated => Refusal::Forbidden,
            Code::Unimplemented => Refusal::Unimplemented,
            Code::InvalidArgument | Code::OutOfRange => Refusal::Invalid,
            Code::NotFound => Refusal::NotFound,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Refusal::Other,
        }
    }

    fn help(self) -> &'static str {
        match self {
            Refusal::Unavailable | Refusal::NotReady => {
                "wait for the node to finish what it is doing, then run the command again"
            }
            Refusal::AlreadyExists => "it has been done before; look at `bouquet status`",
            Refusal::Forbidden => {
                "use a certificate with the role os:admin; a node in maintenance mode must be configured first"
            }
            Refusal::Unimplemented => "ask a control plane, or upgrade Talos on the node",
            Refusal::Invalid => "the node's words name the field; patches of the cluster file are the usual cause",
            Refusal::NotFound => "run `bouquet status` to see what is there",
            Refusal::Other => "the node's own words are all there is; `bouquet logs` may show more",
        }
    }
}

impl Sorted for ClientError {
    fn fate(&self) -> Fate {
        match self {
            ClientError::Lost(_) if self.is_tls() => Fate::User,
            ClientError::Lost(_) | ClientError::TimedOut { .. } => Fate::Now,
            ClientError::Refused { refusal, .. } => match refusal {
                Refusal::Unavailable | Refusal::Other => Fate::Now,
                Refusal::NotReady => Fate::Later(None),
                Refusal::AlreadyExists | Refusal::Forbidden | Refusal::Invalid => Fate::User,
                Refusal::Unimplemented | Refusal::NotFound => Fate::Bug,
            },
            ClientError::InstallerFailed { .. } => Fate::User,
            ClientError::Garbled { .. } => Fate::Bug,
        }
    }
}

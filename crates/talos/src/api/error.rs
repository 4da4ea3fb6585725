use tonic::{Code, Status};
use wire::{Fate, Lost, Sorted};

/// Why a node, or the Image Factory, did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The node answered with a gRPC error.
    #[error("{node}: {call}: {message} ({code:?})")]
    Refused {
        /// Address of the node.
        node: String,
        /// Method.
        call: &'static str,
        /// gRPC code.
        code: Code,
        /// The node's words.
        message: String,
    },
    /// Nothing came back, or the handshake failed.
    #[error("{call}: {error}")]
    Unreachable {
        /// Method.
        call: &'static str,
        /// What happened.
        error: wire::Error,
    },
    /// The answer is not what the interface says.
    #[error("{call}: {what}")]
    Garbled {
        /// Method.
        call: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl ClientError {
    pub(crate) fn garbled(call: &'static str, what: &str) -> Self {
        ClientError::Garbled { call, what: what.to_owned() }
    }

    /// An HTTP status that says it all.
    pub(crate) fn status(call: &'static str, status: u16) -> Self {
        ClientError::Garbled { call, what: format!("refused with status {status}") }
    }

    /// What a failed call means: what never reached the node is told apart by the error that tonic carries along.
    pub(crate) fn of(node: &str, call: &'static str, status: &Status) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(status);
        while let Some(at) = cause {
            if let Some(error) = at.downcast_ref::<wire::Error>() {
                return ClientError::Unreachable { call, error: error.clone() };
            }
            cause = at.source();
        }
        let (code, message) = (status.code(), status.message().to_owned());
        ClientError::Refused { node: node.to_owned(), call, code, message }
    }

    /// The code that `bouquet explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            ClientError::Refused { .. } => "BQ0320",
            ClientError::Unreachable { error: wire::Error::Tls { .. }, .. } => "BQ0321",
            ClientError::Unreachable { .. } => "BQ0322",
            ClientError::Garbled { .. } => "BQ0323",
        }
    }

    /// Whether the same call may well be taken in a moment: a node that boots, restarts its API or is not ready for it.
    pub fn is_transient(&self) -> bool {
        match self {
            ClientError::Refused { code, .. } => matches!(
                code,
                Code::FailedPrecondition | Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Aborted
            ),
            // A handshake may fail while apid changes its certificate; one that goes on failing runs out its time.
            ClientError::Unreachable { .. } => true,
            ClientError::Garbled { .. } => false,
        }
    }

    /// Whether it has been done already.
    pub fn is_already_exists(&self) -> bool {
        matches!(self, ClientError::Refused { code: Code::AlreadyExists, .. })
    }

    /// Whether the node asks who we are, which one in maintenance mode never does.
    pub fn is_certificate_required(&self) -> bool {
        let asks = |error: &wire::Error| matches!(error, wire::Error::Tls { reason, .. } if reason.to_lowercase().contains("certificaterequired"));
        matches!(self, ClientError::Unreachable { error, .. } if asks(error))
    }
}

impl Sorted for ClientError {
    fn fate(&self) -> Fate {
        match self {
            _ if self.is_transient() => Fate::Now,
            ClientError::Refused { code: Code::PermissionDenied | Code::Unauthenticated, .. } => Fate::User,
            _ => Fate::Bug,
        }
    }
}

impl From<Lost> for ClientError {
    fn from(lost: Lost) -> Self {
        ClientError::Unreachable { call: lost.call, error: lost.error }
    }
}

use crate::objects::Failure;
use wire::{Fate, Sorted};

/// Why a step, or a look at the world, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A vendor said no, or nothing.
    #[error(transparent)]
    Vendor(#[from] clouds::Error),
    /// A node said no, or nothing.
    #[error(transparent)]
    Node(#[from] talos::ClientError),
    /// The Image Factory said no, or nothing.
    #[error(transparent)]
    Factory(#[from] talos::FactoryError),
    /// The Kubernetes API said no, or nothing.
    #[error("Kubernetes: {0}")]
    Kubernetes(String),
    /// An add-on's objects could not be applied or removed.
    #[error(transparent)]
    Objects(Box<Failure>),
    /// A configuration cannot be rendered.
    #[error(transparent)]
    Config(#[from] talos::ConfigError),
    /// The configuration is larger than the cloud takes.
    #[error(transparent)]
    TooLong(#[from] talos::TooLong),
    /// A certificate cannot be issued.
    #[error(transparent)]
    Pki(#[from] talos::PkiError),
    /// Something did not come about in time; what could be found out is in the words.
    #[error("{subject} {what} within {} min{}", .limit.as_secs() / 60, .diagnosis.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Late {
        /// Node or resource.
        subject: String,
        /// `did not appear on the tailnet`, …
        what: &'static str,
        /// How long was waited.
        limit: std::time::Duration,
        /// What looking closer has shown.
        diagnosis: Option<String>,
    },
    /// The machine is broken or gone.
    #[error("{subject}: {reason}")]
    Machine {
        /// Node.
        subject: String,
        /// In the cloud's words.
        reason: String,
    },
    /// The cluster was bootstrapped on another machine.
    #[error("etcd was meant to be bootstrapped on machine {0}, which is not this one")]
    BootstrappedElsewhere(String),
    /// The plan speaks of something that this build or this file does not know.
    #[error("{0}")]
    Unknown(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Objects(Box::new(failure))
    }
}

impl Error {
    /// The code that `bouquet explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Vendor(error) => error.why.code(),
            Error::Node(error) => error.code(),
            Error::Factory(error) => error.code(),
            Error::Objects(failure) if matches!(**failure, Failure::Conflict { .. }) => "BQ0507",
            Error::Kubernetes(_) | Error::Objects(_) => "BQ0501",
            Error::Config(error) => error.code(),
            Error::TooLong(error) => error.code(),
            Error::Pki(_) => "BQ0502",
            Error::Late { .. } => "BQ0503",
            Error::Machine { .. } => "BQ0504",
            Error::BootstrappedElsewhere(_) => "BQ0505",
            Error::Unknown(_) => "BQ0506",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Error::Vendor(error) => error.help(),
            Error::Node(error) => Some(error.help().to_owned()),
            Error::Factory(error) => Some(error.help().to_owned()),
            Error::TooLong(error) => Some(error.help().to_owned()),
            Error::Objects(failure) if matches!(**failure, Failure::Conflict { .. }) => {
                Some("take the field back from whoever set it, or let bouquet take it: `bouquet apply --adopt`".into())
            }
            Error::Late { .. } => {
                let text = "look at the machine's console, then run `bouquet apply` again: it goes on from here, and makes \
                            a machine anew that never joined. If what another was launched with is wrong (user data, \
                            auth key), delete the machine first; and the image, if it is that";
                Some(text.into())
            }
            Error::Machine { .. } => {
                Some("run `bouquet apply` again; if it stays, delete the machine and apply".into())
            }
            Error::BootstrappedElsewhere(_) => Some("restore the cluster from a backup, or destroy it".into()),
            _ => None,
        }
    }

    /// Whether the same would work at another place.
    pub fn is_capacity(&self) -> bool {
        matches!(self, Error::Vendor(error) if error.fate() == Fate::Elsewhere)
    }
}

/// Codes of this crate, with their titles.
pub const CODES: &[(&str, &str)] = &[
    ("BQ0501", "the Kubernetes API refused or did not answer"),
    ("BQ0502", "a certificate could not be issued"),
    ("BQ0503", "something did not come about in time"),
    ("BQ0504", "a machine is broken or gone"),
    ("BQ0505", "the cluster was bootstrapped on another machine"),
    ("BQ0506", "the plan does not fit this build or this file"),
    ("BQ0507", "somebody else manages a field of an add-on's object"),
];

//! The Image Factory: which Talos versions and extensions there are, and images by schematic. Calls are values.

use crate::schematic::Schematic;
use bytes::Bytes;
use http::{Method, StatusCode, Uri, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use wire::{Answer, Call, Fate, Lost, Repeat, Sorted, Target};

/// Sidero Labs' own.
pub const FACTORY_URL: &str = "https://factory.talos.dev";
/// The bucket its calls draw from.
pub const FACTORY_BUCKET: &str = "factory";
const TIMEOUT: Duration = Duration::from_secs(30);
/// So much of a refusal is shown.
const WORDS_MAX: usize = 200;

/// An Image Factory at some address.
#[derive(Clone, Debug)]
pub struct Factory {
    target: Target,
    base: String,
}

/// An official extension as built for one Talos version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Extension {
    /// `siderolabs/tailscale`.
    pub name: String,
    /// Image with tag.
    #[serde(rename = "ref")]
    pub image: String,
    /// `sha256:…`.
    pub digest: String,
}

/// What the factory said instead of what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactoryError {
    /// No answer.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It asks for patience.
    #[error("{call}: too many requests")]
    TooFast {
        /// The call's name.
        call: &'static str,
        /// For how long, if it said.
        after: Option<Duration>,
    },
    /// It said no.
    #[error("{call}: {status}: {words}")]
    Refused {
        /// The call's name.
        call: &'static str,
        /// HTTP status.
        status: u16,
        /// The beginning of what it said.
        words: String,
    },
    /// The answer is not what its documents say.
    #[error("{call}: the answer is not the Image Factory's")]
    Garbled {
        /// The call's name.
        call: &'static str,
    },
    /// It made another id of our schematic than we did: it would build another image than the one the lock names.
    #[error("the Image Factory calls the schematic {theirs}, not {ours}")]
    OtherId {
        /// What we computed.
        ours: String,
        /// What it answered.
        theirs: String,
    },
}

impl FactoryError {
    /// The code that `bouquet explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            FactoryError::Lost(_) | FactoryError::TooFast { .. } => "BQ0310",
            FactoryError::Refused { .. } => "BQ0311",
            FactoryError::Garbled { .. } => "BQ0312",
            FactoryError::OtherId { .. } => "BQ0313",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            FactoryError::Lost(_) | FactoryError::TooFast { .. } => {
                "try again later, or set BOUQUET_FACTORY_URL to an Image Factory that answers"
            }
            FactoryError::Refused { .. } => "check the Talos version and the extensions of the cluster file",
            FactoryError::Garbled { .. } => "check BOUQUET_FACTORY_URL: a proxy or another server answers there",
            FactoryError::OtherId { .. } => "report this as a bug of bouquet; nothing has been created",
        }
    }
}

impl Sorted for FactoryError {
    fn fate(&self) -> Fate {
        match self {
            FactoryError::Lost(_) => Fate::Now,
            FactoryError::TooFast { after, .. } => Fate::Later(*after),
            FactoryError::Refused { status, .. } if *status >= 500 => Fate::Now,
            FactoryError::Refused { .. } => Fate::User,
            FactoryError::Garbled { .. } | FactoryError::OtherId { .. } => Fate::Bug,
        }
    }
}

impl Factory {
    /// `None` if `base` is not an `http` or `https` URL with a host.
    pub fn new(base: &Uri) -> Option<Self> {
        let target = Target::of_uri(base)?;
        Some(Factory { target, base: base.to_string().trim_end_matches('/').to_owned() })
    }

    /// The URL of a path such as [`crate::image_path`] gives.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Makes a schematic known; its images can be fetched from then on. The answer is its id, which is checked to be ours.
    /// Twice is the same as once.
    pub fn post_schematic(&self, schematic: &Schematic) -> Call<String, FactoryError> {
        const CALL: &str = "factory POST /schematics";
        #[derive(Deserialize)]
        struct Made {
            id: String,
        }
        let ours = schematic.id();
        self.call(CALL, Method::POST, "/schematics", schematic.canonical().into(), move |answer| {
            let made: Made = parse(CALL, answer)?;
            if made.id == ours {
                Ok(made.id)
            } else {
                Err(FactoryError::OtherId { ours: ours.clone(), theirs: made.id })
            }
        })
    }

    /// The official extensions for a Talos version.
    pub fn extensions(&self, talos: spec::Version) -> Call<Vec<Extension>, FactoryError> {
        const CALL: &str = "factory GET /version/…/extensions/official";
        let path = format!("/version/v{talos}/extensions/official");
        self.call(CALL, Method::GET, &path, Bytes::new(), |answer| parse(CALL, answer))
    }

    /// The Talos versions that there are images of, pre-releases left out, oldest first.
    pub fn versions(&self) -> Call<Vec<spec::Version>, FactoryError> {
        const CALL: &str = "factory GET /versions";
        self.call(CALL, Method::GET, "/versions", Bytes::new(), |answer| {
            let tags: Vec<String> = parse(CALL, answer)?;
            let mut versions: Vec<spec::Version> = tags.iter().filter_map(|tag| tag.parse().ok()).collect();
            versions.sort_unstable();
            Ok(versions)
        })
    }

    fn call<T>(
        &self,
        name: &'static str,
        method: Method,
        path: &str,
        body: Bytes,
        read: impl Fn(&Answer) -> Result<T, FactoryError> + Send + Sync + 'static,
    ) -> Call<T, FactoryError> {
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        // Base and path are both valid, so their concatenation is; an empty URI would be refused by the wire.
        *request.uri_mut() = self.url(path).parse().unwrap_or_default();
        request.headers_mut().insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
        Call {
            name,
            bucket: FACTORY_BUCKET,
            target: self.target.clone(),
            request,
            repeat: Repeat::Safe,
            timeout: TIMEOUT,
            read: Box::new(read),
        }
    }
}

fn parse<T: DeserializeOwned>(call: &'static str, answer: &Answer) -> Result<T, FactoryError> {
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        return Err(FactoryError::TooFast { call, after: answer.retry_after() });
    }
    if !answer.status.is_success() {
        let words = String::from_utf8_lossy(&answer.body).trim().chars().take(WORDS_MAX).collect();
        return Err(FactoryError::Refused { call, status: answer.status.as_u16(), words });
    }
    serde_json::from_slice(&answer.body).map_err(|_| FactoryError::Garbled { call })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn factory() -> Factory {
        Factory::new(&"https://factory.example.com/base/".parse().unwrap()).unwrap()
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn a_schematic_is_sent_as_it_is_hashed_and_its_id_checked() {
        let schematic = Schematic::new(["siderolabs/tailscale"]);
        let call = factory().post_schematic(&schematic);
        assert_eq!(call.request.uri(), "https://factory.example.com/base/schematics");
        assert_eq!(call.request.body(), &schematic.canonical());
        let ours = schematic.id();
        assert_eq!((call.read)(&answer(201, &format!(r#"{{"id":"{ours}","schematic":""}}"#))), Ok(ours.clone()));
        let other = (call.read)(&answer(201, r#"{"id":"abc"}"#));
        assert_eq!(other, Err(FactoryError::OtherId { ours, theirs: "abc".into() }));
    }

    #[test]
    fn versions_are_sorted_and_final() {
        let call = factory().versions();
        let read = (call.read)(&answer(200, r#"["v1.14.0-rc.1","v1.14.10","v1.14.6","v1.13.9"]"#)).unwrap();
        assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1.13.9", "1.14.6", "1.14.10"]);
    }

    #[test]
    fn extensions_are_read() {
        let call = factory().extensions("1.14.6".parse().unwrap());
        assert_eq!(call.request.uri().path(), "/base/version/v1.14.6/extensions/official");
        let body = r#"[{"name":"siderolabs/tailscale","ref":"ghcr.io/x:1","digest":"sha256:0","author":"a"}]"#;
        assert_eq!((call.read)(&answer(200, body)).unwrap()[0].image, "ghcr.io/x:1");
    }

    #[test]
    fn refusals_and_garbage_are_told_apart() {
        let read = factory().versions().read;
        for (status, body, code, fate) in [
            (400, "unknown extension", "BQ0311", Fate::User),
            (502, "<html>", "BQ0311", Fate::Now),
            (429, "", "BQ0310", Fate::Later(None)),
            (200, "<html>", "BQ0312", Fate::Bug),
            (200, r#"{"versions":"#, "BQ0312", Fate::Bug),
        ] {
            let error = read(&answer(status, body)).unwrap_err();
            assert_eq!((error.code(), error.fate()), (code, fate), "{status} {body}");
        }
    }

    #[test]
    fn an_address_that_is_no_url_is_refused() {
        assert!(Factory::new(&"/only/a/path".parse().unwrap()).is_none());
    }
}

//! The half that speaks.

use super::{PORT, Papers, SERVER_NAME, Told};
use crate::permit::{Ask, Release, Reply};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use std::net::IpAddr;
use std::time::Duration;
use wire::{Answer, Call, Fate, Line, Lost, Repeat, Roots, Route, Sorted, Target, Tls};

/// Another vantage, as it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its pod's address.
    pub address: IpAddr,
    /// [`PORT`] but in tests.
    pub port: u16,
    /// A message that takes longer is given up: at most a second, and a third of a permit's term.
    pub within: Duration,
}

/// Why a peer was not heard. Nothing is sent again: the next message is newer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// No answer.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// An answer that a vantage of this version does not give.
    #[error("{call}: the peer answers {status}: {said}")]
    Strange {
        /// The call's name.
        call: &'static str,
        /// HTTP status.
        status: u16,
        /// Why it could not be read.
        said: String,
    },
}

impl Sorted for Unheard {
    fn fate(&self) -> Fate {
        match self {
            Unheard::Lost(_) => Fate::Now,
            Unheard::Strange { .. } => Fate::Bug,
        }
    }
}

impl Peer {
    /// The vantage at this address.
    pub fn at(address: IpAddr, within: Duration) -> Self {
        Peer { address, port: PORT, within }
    }

    /// Tells one's state and learns the other's.
    pub async fn tell(&self, line: &Line, papers: &Papers, told: &Told) -> Result<Told, Unheard> {
        line.send(self.call("peer POST /v1/told", "/v1/told", papers, told, json)?).await
    }

    /// Asks for a permit.
    pub async fn ask(&self, line: &Line, papers: &Papers, ask: &Ask) -> Result<Reply, Unheard> {
        line.send(self.call("peer POST /v1/ask", "/v1/ask", papers, ask, json)?).await
    }

    /// Gives a permit back.
    pub async fn release(&self, line: &Line, papers: &Papers, release: &Release) -> Result<(), Unheard> {
        let nothing = |_, _: &Answer| Ok(());
        line.send(self.call("peer POST /v1/release", "/v1/release", papers, release, nothing)?).await
    }

    fn call<T>(
        &self,
        name: &'static str,
        path: &'static str,
        papers: &Papers,
        message: &impl Serialize,
        read: fn(&'static str, &Answer) -> Result<T, Unheard>,
    ) -> Result<Call<T, Unheard>, Unheard>
    where
        T: 'static,
    {
        let strange = |status, said: String| Unheard::Strange { call: name, status, said };
        let body = serde_json::to_vec(message).map_err(|error| strange(0, error.to_string()))?;
        let request = http::Request::post(path).header(CONTENT_TYPE, "application/json").body(Bytes::from(body));
        let tls = Tls {
            server_name: SERVER_NAME.to_owned(),
            roots: Roots::Only(vec![papers.authority_der().to_vec()]),
            identity: Some(papers.identity()),
        };
        Ok(Call {
            name,
            bucket: "peer",
            target: Target { route: Route::Direct, host: self.address.to_string(), port: self.port, tls: Some(tls) },
            request: request.map_err(|error| strange(0, error.to_string()))?,
            repeat: Repeat::Never,
            timeout: self.within,
            read: Box::new(move |answer| {
                if answer.status.is_success() {
                    return read(name, answer);
                }
                let said = String::from_utf8_lossy(answer.body.get(..200).unwrap_or(&answer.body)).into_owned();
                Err(Unheard::Strange { call: name, status: answer.status.as_u16(), said })
            }),
        })
    }
}

fn json<T: serde::de::DeserializeOwned>(call: &'static str, answer: &Answer) -> Result<T, Unheard> {
    let strange =
        |error: serde_json::Error| Unheard::Strange { call, status: answer.status.as_u16(), said: error.to_string() };
    serde_json::from_slice(&answer.body).map_err(strange)
}

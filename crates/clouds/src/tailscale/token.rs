use crate::Error;
use crate::rest::{Ask, Content, Rest, query};
use jiff::Timestamp;
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use wire::{Line, Secret};

/// The variables that hold the credential.
pub(super) const API_KEY: &str = "TAILSCALE_API_KEY";
pub(super) const CLIENT_ID: &str = "TAILSCALE_OAUTH_CLIENT_ID";
pub(super) const CLIENT_SECRET: &str = "TAILSCALE_OAUTH_CLIENT_SECRET";

/// A token is not used in its last minutes: a call made with it must still find it good.
const MARGIN: Duration = Duration::from_mins(5);

/// How a user proves to be the tailnet's administrator.
pub(super) enum Credential {
    /// A personal key, used as it is.
    ApiKey(Secret),
    /// An OAuth client, which is exchanged for a token that is good for an hour.
    OAuth { id: Secret, secret: Secret },
}

/// The credential and the token that it was last exchanged for.
pub(super) struct Tokens {
    credential: Credential,
    last: Mutex<Option<(Secret, Timestamp)>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl Tokens {
    pub(super) fn new(credential: Credential) -> Self {
        Tokens { credential, last: Mutex::new(None) }
    }

    /// The variable that the credential is from, to be named when it is refused.
    pub(super) fn variable(&self) -> &'static str {
        match self.credential {
            Credential::ApiKey(_) => API_KEY,
            Credential::OAuth { .. } => CLIENT_SECRET,
        }
    }

    /// What goes after `Bearer`.
    pub(super) async fn bearer(&self, line: &Line, rest: &Rest) -> Result<Secret, Error> {
        let (id, secret) = match &self.credential {
            Credential::ApiKey(key) => return Ok(key.clone()),
            Credential::OAuth { id, secret } => (id, secret),
        };
        let now = line.time().now();
        if let Some((token, until)) = self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
            && now < *until
        {
            return Ok(token.clone());
        }
        let form = query(&[
            ("client_id", id.expose()),
            ("client_secret", secret.expose()),
            ("grant_type", "client_credentials"),
        ]);
        let ask = Ask {
            body: Content::Form(form),
            ..Ask::act("tailscale POST /oauth/token", "/api/v2/oauth/token", ().into())
        };
        let token: Token = line.send(rest.json(ask)?).await?;
        let lasts = Duration::from_secs(token.expires_in).saturating_sub(MARGIN);
        let until = now.saturating_add(lasts).unwrap_or(now);
        let token = Secret::new(token.access_token);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), until));
        Ok(token)
    }
}

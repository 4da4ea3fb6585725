//! Hears what is secret on the wire: what the product shows to servers, and what servers give it.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, header};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use wire::{Body, Error, SharedWire, Stream, Target, Wire};

/// Larger bodies are parts of images.
const HEARD_BYTES_MAX: u64 = 1 << 20;
/// Of user data, which begins alike everywhere: enough of its middle.
const USER_DATA: std::ops::Range<usize> = 100..160;
/// Fields of JSON whose values are secret, by vendor: an auth key, an OAuth token, a rescue system's password.
const SECRET_FIELDS: &[&str] = &["access_token", "root_password"];

/// Secrets that have passed.
pub type Heard = Arc<Mutex<BTreeSet<String>>>;

pub struct Ear {
    pub inner: SharedWire,
    pub heard: Heard,
}

impl Wire for Ear {
    fn call(&self, target: &Target, request: Request<Body>) -> BoxFuture<'static, Result<Response<Body>, Error>> {
        use http_body::Body as _;
        let (inner, heard, target) = (self.inner.clone(), self.heard.clone(), target.clone());
        let is_long = request.body().size_hint().exact().is_none_or(|length| length > HEARD_BYTES_MAX);
        // Images come in pieces from elsewhere; nodes speak gRPC and Kubernetes, whose keys are the bundle's.
        if target.port != 443 || is_long || target.host == "factory.talos.dev" {
            return inner.call(&target, request);
        }
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect(usize::MAX).await.expect("a request's body");
            hear_headers(&heard, &parts.headers);
            hear_body(&heard, &body);
            let (parts, body) = inner.call(&target, Request::from_parts(parts, body.into())).await?.into_parts();
            match body.collect(usize::MAX).await {
                Ok(body) => {
                    hear_body(&heard, &body);
                    Ok(Response::from_parts(parts, body.into()))
                }
                Err(error) => Err(Error::Broken { host: target.authority(), reason: error.to_string() }),
            }
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
        self.inner.open(target)
    }
}

fn hear(heard: &Heard, secret: &str) {
    heard.lock().unwrap().insert(secret.to_owned());
}

/// `Bearer X`, `Basic X`, and the signature of a signed request.
fn hear_headers(heard: &Heard, headers: &HeaderMap) {
    let Some(shown) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else { return };
    let signature = shown.split_once("signature=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(text, _)| text);
    let credential = signature.or_else(|| shown.split_once(' ').map(|(_, credential)| credential));
    hear(heard, credential.unwrap_or(shown));
}

fn hear_body(heard: &Heard, body: &Bytes) {
    if let Ok(value) = serde_json::from_slice(body) {
        hear_value(heard, &value);
    }
}

fn hear_value(heard: &Heard, value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| hear_value(heard, item)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if SECRET_FIELDS.contains(&name.as_str()) || text.starts_with("tskey-") => {
                        hear(heard, text);
                    }
                    Some(text) if name == "user_data" => hear(heard, text.get(USER_DATA).unwrap_or(text)),
                    _ => hear_value(heard, value),
                }
            }
        }
        _ => {}
    }
}

//! The disk image's way here: a download that streams.

use crate::{Error, Why};
use bytes::Bytes;
use http_body_util::BodyExt;
use std::time::Duration;
use wire::{Body, Line, Lost, Target};

const CALL: &str = "factory GET image";
/// The Image Factory builds an image at its first asking, before it answers.
const HEAD_TIMEOUT: Duration = Duration::from_mins(10);
/// A download that brings nothing for this long is dead.
const STALL: Duration = Duration::from_mins(1);
const REDIRECTS_MAX: usize = 5;

/// A download under way.
pub(super) struct Source {
    body: Body,
    /// Size of the whole.
    pub bytes: u64,
}

impl Source {
    /// Opens `url`, following redirects: factories hand out signed links to their storage.
    pub(super) async fn open(line: &Line, url: &str) -> Result<Self, Error> {
        let mut url: http::Uri = url.parse().map_err(|_| wrong(Why::Invalid, format!("{url} is no URL")))?;
        for _ in 0..REDIRECTS_MAX {
            let response = get(line, &url).await?;
            let header = |name: http::HeaderName| {
                response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
            };
            if response.status().is_redirection() {
                let to = header(http::header::LOCATION);
                let to = to.and_then(|to| resolved(&url, &to));
                url = to.ok_or_else(|| wrong(Why::Garbled, "it redirects to nowhere".to_owned()))?;
                continue;
            }
            if !response.status().is_success() {
                return Err(refused(&response));
            }
            let bytes = header(http::header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
            let bytes = bytes.ok_or_else(|| wrong(Why::Garbled, "it does not say how long it is".to_owned()))?;
            return Ok(Source { body: response.into_body(), bytes });
        }
        Err(wrong(Why::Garbled, format!("it redirects more than {REDIRECTS_MAX} times")))
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self, line: &Line) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = line.time().within(STALL, self.body.frame()).await;
            let stalled = |_| wrong(Why::Trouble, format!("nothing came for {} s", STALL.as_secs()));
            match frame.map_err(stalled)? {
                None => return Ok(None),
                Some(Err(error)) => return Err(wrong(Why::Trouble, error.to_string())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

async fn get(line: &Line, url: &http::Uri) -> Result<http::Response<Body>, Error> {
    let no_url = || wrong(Why::Invalid, format!("{url} is no http or https URL"));
    let target = Target::of_uri(url).ok_or_else(no_url)?;
    let authority = url.authority().ok_or_else(no_url)?.as_str();
    let request = http::Request::get(url.clone()).header(http::header::HOST, authority).body(Body::default());
    let request = request.map_err(|_| no_url())?;
    let answer = line.time().within(HEAD_TIMEOUT, line.wire().call(&target, request)).await;
    let late = |_| wire::Error::TimedOut(target.authority());
    answer.map_err(late).flatten().map_err(|error| Lost { call: CALL, error }.into())
}

/// `Location` may be a path alone.
fn resolved(from: &http::Uri, to: &str) -> Option<http::Uri> {
    let uri: http::Uri = to.parse().ok()?;
    if uri.authority().is_some() {
        return Some(uri);
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = Some(uri.path_and_query()?.clone());
    http::Uri::from_parts(parts).ok()
}

fn refused(response: &http::Response<Body>) -> Error {
    let why = match response.status().as_u16() {
        404 => Why::NotFound,
        429 => Why::TooFast(None),
        401 | 403 => Why::Forbidden,
        400..500 => Why::Invalid,
        _ => Why::Trouble,
    };
    let vendor_code = Some(response.status().as_u16().to_string());
    Error { vendor_code, ..wrong(why, "the disk image cannot be had".to_owned()) }
}

pub(super) fn wrong(why: Why, message: String) -> Error {
    Error { call: CALL, why, vendor_code: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_to_a_path_stays_on_its_host() {
        let from: http::Uri = "https://factory.example/image/a?x=1".parse().unwrap();
        let to = |location: &str| resolved(&from, location).map(|uri| uri.to_string());
        assert_eq!(to("/b?y=2").as_deref(), Some("https://factory.example/b?y=2"));
        assert_eq!(to("http://store.example/c").as_deref(), Some("http://store.example/c"));
        assert_eq!(to(""), None);
    }
}

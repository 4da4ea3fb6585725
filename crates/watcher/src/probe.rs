//! One probe of one public address: TCP, TLS with the canary's name, and a request that only an ingress controller with its
//! routes loaded can answer.

use bytes::Bytes;
use detect::{Cause, Outcome, Policy};
use futures::future::{Either, select};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;
use wire::{Error, Roots, Route, SharedWire, Target, Time, Tls};

/// The canary's answer is a line; more is somebody else's.
const ANSWER_BYTES_MAX: usize = 4 << 10;
/// A controller that works says at once that it does not know a host.
const UNKNOWN_HOST_TIMEOUT: Duration = Duration::from_secs(1);

/// What is asked of every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// SNI and Host.
    pub host: String,
    /// The nodes' public port.
    pub port: u16,
    /// Whom to believe about the certificate; `None`: plain HTTP.
    pub tls: Option<Roots>,
}

impl Canary {
    fn target(&self, address: IpAddr, host: &str) -> Target {
        let tls = self.tls.clone().map(|roots| Tls { server_name: host.to_owned(), roots, identity: None });
        Target { route: Route::Direct, host: address.to_string(), port: self.port, tls }
    }
}

/// A pod that is dead with its node stays an endpoint for most of a minute, and the controller sends every so many requests
/// there. What fails behind a controller that is well is asked for again: round robin leads elsewhere.
const BEHIND_TRIES: usize = 2;

/// Probes once; ends within [`Policy::timeout_ms`], and some seconds later where it must be found out who is to blame.
pub async fn probe(
    wire: &SharedWire,
    time: &Time,
    policy: &Policy,
    canary: &Canary,
    address: IpAddr,
    nonce: &str,
) -> Outcome {
    let connect = Duration::from_millis(policy.connect_timeout_ms);
    let all = Duration::from_millis(policy.timeout_ms);
    let path = format!("/.well-known/bouquet/{nonce}");
    let asked = ask(wire, time, canary.target(address, &canary.host), connect, &path);
    let said = time.within(all, asked).await.unwrap_or(Err(Cause::Behind));
    let outcome = judged(said, nonce);
    if outcome != Outcome::Fail(Cause::Behind) {
        return outcome;
    }
    let cause = blame(wire, time, canary, address, nonce).await;
    if cause != Cause::Behind {
        return Outcome::Fail(cause);
    }
    let again = Duration::from_millis(policy.suspect_after_ms);
    for _ in 0..BEHIND_TRIES {
        let asked = ask(wire, time, canary.target(address, &canary.host), again, &path);
        if let Ok(said) = time.within(again, asked).await
            && judged(said, nonce) == Outcome::Pass
        {
            return Outcome::Pass;
        }
    }
    outcome
}

fn judged(said: Result<Answer, Cause>, nonce: &str) -> Outcome {
    said.map_or_else(Outcome::Fail, |answer| answer.judge(nonce))
}

/// Nothing came from behind the controller. One that hangs itself does not even say that a host is unknown.
async fn blame(wire: &SharedWire, time: &Time, canary: &Canary, address: IpAddr, nonce: &str) -> Cause {
    let target =
        Target { tls: canary.tls.as_ref().map(|_| unverified(nonce)), ..canary.target(address, &unknown(nonce)) };
    let asked = ask(wire, time, target, UNKNOWN_HOST_TIMEOUT, "/");
    match time.within(UNKNOWN_HOST_TIMEOUT, asked).await {
        Ok(Ok(answer)) if answer.status == 404 => Cause::Behind,
        _ => Cause::Silent,
    }
}

fn unknown(nonce: &str) -> String {
    format!("{}.invalid", nonce.to_ascii_lowercase())
}

fn unverified(nonce: &str) -> Tls {
    Tls { server_name: unknown(nonce), roots: Roots::Unverified, identity: None }
}

struct Answer {
    status: u16,
    body: Bytes,
}

impl Answer {
    fn judge(&self, nonce: &str) -> Outcome {
        match self.status {
            200 if self.body.split(|byte| *byte == b' ').next() == Some(nonce.as_bytes()) => Outcome::Pass,
            404 => Outcome::Fail(Cause::NoRoute),
            502..=504 => Outcome::Fail(Cause::Behind),
            _ => Outcome::Fail(Cause::Wrong),
        }
    }
}

/// One request over a connection of its own: a pooled one would say nothing about who can still connect.
async fn ask(wire: &SharedWire, time: &Time, target: Target, connect: Duration, path: &str) -> Result<Answer, Cause> {
    let host = target.tls.as_ref().map_or_else(|| target.authority(), |tls| tls.server_name.clone());
    let stream = match time.within(connect, wire.open(&target)).await {
        Err(_) | Ok(Err(Error::TimedOut(_) | Error::NoSuchHost(_) | Error::Proxy { .. })) => return Err(Cause::Silent),
        Ok(Err(Error::Refused(_) | Error::Broken { .. })) => return Err(Cause::Refused),
        Ok(Err(Error::Tls { .. })) => return Err(Cause::Certificate),
        Ok(Ok(stream)) => stream,
    };
    let request = http::Request::get(path)
        .header(http::header::HOST, host)
        .header(http::header::USER_AGENT, concat!("bouquet-watcher/", env!("CARGO_PKG_VERSION")))
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| Cause::Wrong)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Cause::Refused)?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(|_| Cause::Refused)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|_| Cause::Wrong)?;
        Ok(Answer { status, body: body.to_bytes() })
    };
    match select(pin!(exchange), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // The connection has ended; what it brought is still to be had.
        Either::Right((_, exchange)) => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::BoxFuture;
    use jiff::Timestamp;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use wire::{Body, Rng, Stream, Wire};

    /// A node of which is known what it says to the canary's host and to any other.
    struct Node {
        /// The last one is said for ever.
        canary: Mutex<Vec<Says>>,
        unknown: Says,
    }

    impl Node {
        fn next(&self) -> Says {
            let mut canary = self.canary.lock().unwrap();
            if canary.len() > 1 { canary.remove(0) } else { canary[0] }
        }
    }

    #[derive(Clone, Copy)]
    enum Says {
        Echo,
        Status(u16),
        Nothing,
        Closes,
        NoConnection,
        Error(fn() -> Error),
    }

    impl Wire for Node {
        fn call(&self, _: &Target, _: http::Request<Body>) -> BoxFuture<'static, Result<http::Response<Body>, Error>> {
            unreachable!("a probe has connections of its own")
        }

        fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
            let is_canary = target.tls.as_ref().is_some_and(|tls| tls.server_name == "canary.example.com");
            let says = if is_canary { self.next() } else { self.unknown };
            Box::pin(async move {
                match says {
                    Says::NoConnection => std::future::pending().await,
                    Says::Error(error) => return Err(error()),
                    _ => {}
                }
                let (ours, mut theirs) = tokio::io::duplex(4096);
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    let read = theirs.read(&mut request).await.unwrap_or(0);
                    let request = String::from_utf8_lossy(&request[..read]).into_owned();
                    let nonce = request.split_whitespace().nth(1).unwrap().rsplit('/').next().unwrap().to_owned();
                    let (status, body) = match says {
                        Says::Echo => (200, format!("{nonce} bouquet watcher-1\n")),
                        Says::Status(status) => (status, "page\n".to_owned()),
                        Says::Nothing => std::future::pending().await,
                        _ => return,
                    };
                    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    theirs.write_all(answer.as_bytes()).await.unwrap();
                });
                Ok(Box::new(ours) as Box<dyn Stream>)
            })
        }
    }

    async fn outcome(canary: Says, unknown: Says) -> (Outcome, Duration) {
        outcomes(vec![canary], unknown).await
    }

    async fn outcomes(canary: Vec<Says>, unknown: Says) -> (Outcome, Duration) {
        let canary = Mutex::new(canary);
        let time = Time::starting_at(Timestamp::UNIX_EPOCH, Rng::seeded(1));
        let wire: SharedWire = Arc::new(Node { canary, unknown });
        let asked = Canary { host: "canary.example.com".into(), port: 443, tls: Some(Roots::System) };
        let address = "198.51.100.7".parse().unwrap();
        let outcome = probe(&wire, &time, &Policy::default(), &asked, address, "a1b2").await;
        (outcome, time.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_says_how_far_it_came_and_ends_in_time() {
        let unknown = Says::Status(404);
        let cases = [
            (Says::Echo, unknown, Outcome::Pass, 0),
            (Says::Status(200), unknown, Outcome::Fail(Cause::Wrong), 0),
            (Says::Status(404), unknown, Outcome::Fail(Cause::NoRoute), 0),
            (Says::Status(301), unknown, Outcome::Fail(Cause::Wrong), 0),
            (Says::Closes, unknown, Outcome::Fail(Cause::Refused), 0),
            (Says::NoConnection, unknown, Outcome::Fail(Cause::Silent), 3),
            (Says::Error(|| Error::Refused("node".into())), unknown, Outcome::Fail(Cause::Refused), 0),
            (
                Says::Error(|| Error::Tls { host: "node".into(), reason: "expired".into() }),
                unknown,
                Outcome::Fail(Cause::Certificate),
                0,
            ),
        ];
        for (number, (canary, unknown, expected, seconds)) in cases.into_iter().enumerate() {
            assert_eq!(outcome(canary, unknown).await, (expected, Duration::from_secs(seconds)), "case {number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_behind_a_controller_that_answers_others_is_not_its_fault() {
        let behind = Outcome::Fail(Cause::Behind);
        for status in [502, 503, 504] {
            assert_eq!(outcome(Says::Status(status), Says::Status(404)).await, (behind, Duration::ZERO));
        }
        assert_eq!(outcome(Says::Nothing, Says::Status(404)).await, (behind, Duration::from_secs(6)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_dead_pod_behind_a_controller_is_no_failure_of_the_node() {
        for first in [Says::Status(502), Says::Nothing] {
            assert_eq!(outcomes(vec![first, Says::Echo], Says::Status(404)).await.0, Outcome::Pass);
            assert_eq!(outcomes(vec![first, Says::Nothing, Says::Echo], Says::Status(404)).await.0, Outcome::Pass);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_controller_that_answers_nobody_hangs_itself() {
        let silent = Outcome::Fail(Cause::Silent);
        for unknown in [Says::Nothing, Says::NoConnection, Says::Status(503), Says::Closes] {
            assert_eq!(outcome(Says::Nothing, unknown).await.0, silent);
        }
        assert_eq!(outcome(Says::Nothing, Says::Nothing).await.1, Duration::from_secs(5));
    }
}

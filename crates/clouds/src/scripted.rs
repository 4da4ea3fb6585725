//! A wire for tests: answers each request from a function, and remembers what was asked.

use crate::rescue::sshd::Sshd;
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex};
use wire::{Body, Line, Rng, SharedWire, Stream, Target, Time, Wire};

/// What the other side does with a request.
pub(crate) enum Reply {
    /// Answers.
    Say(u16, String),
    /// Breaks the connection: nobody knows whether the request took effect.
    Break,
}

/// A request as the other side sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `GET /v1/servers?page=1`.
    pub line: String,
    pub authorization: String,
    pub body: String,
}

type Other = dyn FnMut(&Asked) -> Reply + Send;

struct Scripted {
    other: Arc<Mutex<Box<Other>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// What answers on every machine's port 22, once the other side has a key to let in.
    ssh: Option<Arc<Mutex<Sshd>>>,
}

/// A line to `other` at the epoch, and the requests it gets. Needs a runtime with paused time.
pub(crate) fn line(other: impl FnMut(&Asked) -> Reply + Send + 'static) -> (Line, Arc<Mutex<Vec<Asked>>>) {
    with_ssh(other, None)
}

/// The same, with SSH on its machines; nothing listens while no key is authorised.
pub(crate) fn with_ssh(
    other: impl FnMut(&Asked) -> Reply + Send + 'static,
    ssh: Option<Arc<Mutex<Sshd>>>,
) -> (Line, Arc<Mutex<Vec<Asked>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let wire = Scripted { other: Arc::new(Mutex::new(Box::new(other))), asked: asked.clone(), ssh };
    let time = Time::starting_at(jiff::Timestamp::UNIX_EPOCH, Rng::seeded(1));
    (Line::new(Arc::new(wire), time, &[]), asked)
}

/// A wire to nothing but a machine's SSH.
pub(crate) fn ssh_only(sshd: Sshd) -> SharedWire {
    let other: Box<Other> = Box::new(|_| Reply::Break);
    let ssh = Some(Arc::new(Mutex::new(sshd)));
    Arc::new(Scripted { other: Arc::new(Mutex::new(other)), asked: Arc::default(), ssh })
}

/// The request lines, in order.
pub(crate) fn lines(asked: &Mutex<Vec<Asked>>) -> Vec<String> {
    asked.lock().unwrap().iter().map(|asked| asked.line.clone()).collect()
}

impl Wire for Scripted {
    fn call(
        &self,
        target: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, wire::Error>> {
        let (other, seen, host) = (self.other.clone(), self.asked.clone(), target.authority());
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = String::from_utf8(body.collect(1 << 20).await.unwrap().to_vec()).unwrap();
            let path = head.uri.path_and_query().unwrap();
            let authorization =
                head.headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
            let asked = Asked { line: format!("{} {path}", head.method), authorization, body };
            let reply = (*other.lock().unwrap())(&asked);
            seen.lock().unwrap().push(asked);
            match reply {
                Reply::Break => Err(wire::Error::Broken { host, reason: "reset".into() }),
                Reply::Say(status, body) => {
                    let body = Body::from(bytes::Bytes::from(body));
                    Ok(http::Response::builder().status(status).body(body).unwrap())
                }
            }
        })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, wire::Error>> {
        let host = target.authority();
        let sshd =
            self.ssh.as_ref().map(|sshd| sshd.lock().unwrap().clone()).filter(|sshd| !sshd.authorized.is_empty());
        Box::pin(async move {
            let sshd = sshd.ok_or(wire::Error::Refused(host))?;
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(sshd.serve(theirs));
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

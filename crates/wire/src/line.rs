use crate::rate::Bucket;
use crate::{Answer, Body, Call, Error, Fate, Lost, Rate, Repeat, SharedWire, Sorted, Talk, Time};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The largest answer that is read: vendors' pages are a few hundred kilobytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Tries of one call, the first included.
const TRIES_MAX: u32 = 8;
/// The longest single wait between two tries, unless the vendor asked for more.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Sends [`Call`]s: draws from rate buckets, times out, retries what may be retried, counts.
///
/// Clones share buckets and tally.
#[derive(Clone)]
pub struct Line {
    wire: SharedWire,
    time: Time,
    /// Where it is set, nothing is sent twice, and no exchange takes longer.
    once_within: Option<Duration>,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    buckets: BTreeMap<&'static str, Bucket>,
    tally: Tally,
    rng: crate::Rng,
}

/// What a [`Line`] has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent, by call name; retries count.
    pub calls: BTreeMap<&'static str, u64>,
    /// Time spent waiting for a rate bucket, by bucket, in milliseconds.
    pub rate_wait_ms: BTreeMap<&'static str, u64>,
}

impl Line {
    /// `rates` names each vendor's limit; a call whose bucket is not named is not limited.
    pub fn new(wire: SharedWire, time: Time, rates: &[(&'static str, Rate)]) -> Self {
        let now = time.now();
        let buckets = rates.iter().map(|(name, rate)| (*name, Bucket::full(*rate, now))).collect();
        let shared = Shared { buckets, tally: Tally::default(), rng: time.rng("line") };
        Line { wire, time, once_within: None, shared: Arc::new(Mutex::new(shared)) }
    }

    /// The same line for callers with a pace of their own: each call is sent once, whatever comes of it, and is given up after
    /// `limit` if its own limit is longer.
    pub fn once_within(&self, limit: Duration) -> Self {
        Line { once_within: Some(limit), ..self.clone() }
    }

    /// The clock and seed of this run.
    pub fn time(&self) -> &Time {
        &self.time
    }

    /// The wire itself, for streams and gRPC.
    pub fn wire(&self) -> &SharedWire {
        &self.wire
    }

    /// What has been done so far.
    pub fn tally(&self) -> Tally {
        self.locked(|shared| shared.tally.clone())
    }

    /// Sends `call` until it is answered for good: success, or an error that waiting does not mend.
    pub async fn send<T, E: Sorted>(&self, call: Call<T, E>) -> Result<T, E> {
        let mut attempt = 1;
        loop {
            let error = match self.once(&call).await {
                Ok(answer) => match (call.read)(&answer) {
                    Ok(value) => return Ok(value),
                    Err(error) => error,
                },
                Err(error) => {
                    let safe = error.is_before_sending() || call.repeat == Repeat::Safe;
                    let error = E::from(Lost { call: call.name, error });
                    if !safe {
                        return Err(error);
                    }
                    error
                }
            };
            if !self.waited(call.name, error.fate(), call.repeat, attempt).await {
                return Err(error);
            }
            attempt += 1;
        }
    }

    /// Talks over a stream of its own until it is answered for good, by the rules of [`Line::send`].
    pub async fn talk<T, E: Sorted>(&self, talk: Talk<'_, T, E>) -> Result<T, E> {
        let mut attempt = 1;
        loop {
            let error = match self.talk_once(&talk).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(error) => {
                    let safe = error.is_before_sending() || talk.repeat == Repeat::Safe;
                    let error = E::from(Lost { call: talk.name, error });
                    if !safe {
                        return Err(error);
                    }
                    error
                }
            };
            if !self.waited(talk.name, error.fate(), talk.repeat, attempt).await {
                return Err(error);
            }
            attempt += 1;
        }
    }

    async fn talk_once<T, E>(&self, talk: &Talk<'_, T, E>) -> Result<Result<T, E>, Error> {
        self.drawn(talk.name, talk.bucket).await;
        let exchange = async {
            let stream = self.wire.open(&talk.target).await?;
            let broken =
                |error: std::io::Error| Error::Broken { host: talk.target.authority(), reason: error.to_string() };
            (talk.speak)(stream).await.map_err(broken)
        };
        let said = self.time.within(self.limit(talk.timeout), exchange).await;
        said.map_err(|_| Error::TimedOut(talk.target.authority()))?
    }

    /// Waits before the next try; false if there is to be none.
    async fn waited(&self, call: &'static str, fate: Fate, repeat: Repeat, attempt: u32) -> bool {
        let wait = match fate {
            Fate::Now if repeat == Repeat::Safe => self.backoff(attempt),
            Fate::Later(after) => after.unwrap_or_else(|| self.backoff(attempt)),
            _ => return false,
        };
        if attempt >= TRIES_MAX || self.once_within.is_some() {
            return false;
        }
        tracing::debug!(call, attempt, wait_ms = wait.as_millis(), "again");
        self.time.sleep(wait).await;
        true
    }

    fn limit(&self, own: Duration) -> Duration {
        self.once_within.map_or(own, |limit| limit.min(own))
    }

    async fn drawn(&self, call: &'static str, bucket: &'static str) {
        let wait = self.locked(|shared| shared.draw(call, bucket, self.time.now()));
        if !wait.is_zero() {
            self.time.sleep(wait).await;
        }
    }

    async fn once<T, E>(&self, call: &Call<T, E>) -> Result<Answer, Error> {
        self.drawn(call.name, call.bucket).await;
        let timed_out = || Error::TimedOut(call.target.authority());
        let exchange = async {
            let request = call.request.clone().map(Body::from);
            let response = self.wire.call(&call.target, request).await?;
            let (head, body) = response.into_parts();
            let body = body
                .collect(ANSWER_BYTES_MAX)
                .await
                .map_err(|error| Error::Broken { host: call.target.authority(), reason: error.to_string() })?;
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        let answer = self.time.within(self.limit(call.timeout), exchange).await.map_err(|_| timed_out())??;
        tracing::debug!(call = call.name, status = answer.status.as_u16(), "answered");
        if let Some(left) = answer.header("ratelimit-remaining").and_then(|text| text.parse().ok()) {
            self.locked(|shared| shared.buckets.get_mut(call.bucket).map(|bucket| bucket.believe(left)));
        }
        Ok(answer)
    }

    /// Exponential from one second, with up to a quarter taken off at random, so that many callers part.
    fn backoff(&self, attempt: u32) -> Duration {
        let full = Duration::from_secs(1 << attempt.saturating_sub(1).min(5)).min(BACKOFF_MAX);
        let off = self.locked(|shared| shared.rng.below(250));
        full.saturating_sub(full / 1000 * u32::try_from(off).unwrap_or(0))
    }

    fn locked<R>(&self, work: impl FnOnce(&mut Shared) -> R) -> R {
        work(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn draw(&mut self, call: &'static str, bucket: &'static str, now: jiff::Timestamp) -> Duration {
        *self.tally.calls.entry(call).or_default() += 1;
        let wait = self.buckets.get_mut(bucket).map_or(Duration::ZERO, |bucket| bucket.take(now));
        if !wait.is_zero() {
            let waited_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            *self.tally.rate_wait_ms.entry(bucket).or_default() += waited_ms;
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rng, Stream, Target, Wire};
    use bytes::Bytes;
    use futures::future::BoxFuture;
    use http::StatusCode;

    /// Answers with the given statuses in turn, 0 for a broken connection.
    struct Script(Mutex<Vec<u16>>);

    impl Wire for Script {
        fn call(
            &self,
            target: &Target,
            _: http::Request<Body>,
        ) -> BoxFuture<'static, Result<http::Response<Body>, Error>> {
            let status = self.0.lock().unwrap().pop().unwrap();
            let host = target.authority();
            Box::pin(async move {
                if status == 0 {
                    return Err(Error::Broken { host, reason: "reset".into() });
                }
                Ok(http::Response::builder().status(status).body(Body::default()).unwrap())
            })
        }

        fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, Error>> {
            let host = target.authority();
            Box::pin(async move { Err(Error::Refused(host)) })
        }
    }

    #[derive(Debug, PartialEq)]
    enum Failed {
        Status(u16),
        Lost(Lost),
    }

    impl From<Lost> for Failed {
        fn from(lost: Lost) -> Self {
            Failed::Lost(lost)
        }
    }

    impl Sorted for Failed {
        fn fate(&self) -> Fate {
            match self {
                Failed::Status(429) => Fate::Later(Some(Duration::from_mins(1))),
                Failed::Status(404) => Fate::User,
                _ => Fate::Now,
            }
        }
    }

    fn call(repeat: Repeat) -> Call<u16, Failed> {
        Call {
            name: "test GET /",
            bucket: "test",
            target: Target::plain("a.example", 80),
            request: http::Request::new(Bytes::new()),
            repeat,
            timeout: Duration::from_secs(10),
            read: Box::new(|answer| match answer.status {
                StatusCode::OK => Ok(200),
                other => Err(Failed::Status(other.as_u16())),
            }),
        }
    }

    fn line(mut statuses: Vec<u16>) -> Line {
        statuses.reverse();
        let time = Time::starting_at(jiff::Timestamp::UNIX_EPOCH, Rng::seeded(1));
        Line::new(Arc::new(Script(Mutex::new(statuses))), time, &[])
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_survives_broken_connections() {
        let line = line(vec![0, 503, 200]);
        assert_eq!(line.send(call(Repeat::Safe)).await, Ok(200));
        assert_eq!(line.tally().calls["test GET /"], 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_create_of_unknown_outcome_is_never_sent_again() {
        let lost = line(vec![0, 200]).send(call(Repeat::Never)).await;
        assert!(matches!(lost, Err(Failed::Lost(_))), "{lost:?}");
        assert_eq!(line(vec![500, 200]).send(call(Repeat::Never)).await, Err(Failed::Status(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_create_waits_as_long_as_the_vendor_says() {
        let line = line(vec![429, 200]);
        assert_eq!(line.send(call(Repeat::Never)).await, Ok(200));
        assert_eq!(line.time().now().as_second(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_with_no_patience_sends_once_and_sleeps_through_nothing() {
        for status in [0, 429, 503] {
            let line = line(vec![status, 200]);
            let once = line.once_within(Duration::from_secs(5));
            assert!(once.send(call(Repeat::Safe)).await.is_err());
            assert_eq!((line.tally().calls["test GET /"], line.time().now().as_second()), (1, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_user_must_mend_is_not_retried() {
        let line = line(vec![404, 200]);
        assert_eq!(line.send(call(Repeat::Safe)).await, Err(Failed::Status(404)));
    }
}

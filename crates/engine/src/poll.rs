//! Looking at the world on behalf of many who wait: one request serves them all.

use futures::future::BoxFuture;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use wire::{Pace, Time};

type Look<T, E> = Arc<dyn Fn() -> BoxFuture<'static, Result<T, E>> + Send + Sync>;

/// Something that many wait for a change of.
pub(crate) struct Poll<T, E> {
    time: Time,
    look: Look<T, E>,
    last: Mutex<Option<(Timestamp, Arc<T>)>>,
}

impl<T: Send + Sync, E> Poll<T, E> {
    pub(crate) fn new(time: Time, look: impl Fn() -> BoxFuture<'static, Result<T, E>> + Send + Sync + 'static) -> Self {
        Poll { time, look: Arc::new(look), last: Mutex::new(None) }
    }

    /// What is there now, or was no longer ago than `age`.
    pub(crate) async fn fresh(&self, age: Duration) -> Result<Arc<T>, E> {
        // The lock is held while looking, so that whoever comes meanwhile shares the answer.
        let mut last = self.last.lock().await;
        let now = self.time.now();
        if let Some((at, seen)) = last.as_ref()
            && now.duration_since(*at).unsigned_abs() <= age
        {
            return Ok(seen.clone());
        }
        let seen = Arc::new((self.look)().await?);
        *last = Some((self.time.now(), seen.clone()));
        Ok(seen)
    }

    /// Looks until `done` says so, at `pace`, for no longer than `limit`; `Ok(None)` is the end of that time.
    pub(crate) async fn until<R>(
        &self,
        pace: Pace,
        limit: Duration,
        mut done: impl FnMut(&T) -> Option<R>,
    ) -> Result<Option<R>, E> {
        let began = self.time.now();
        loop {
            let waited = self.time.now().duration_since(began).unsigned_abs();
            let pause = pace.next(waited);
            if let Some(result) = done(self.fresh(pause / 2).await?.as_ref()) {
                return Ok(Some(result));
            }
            if waited >= limit {
                return Ok(None);
            }
            self.time.sleep(pause).await;
        }
    }
}

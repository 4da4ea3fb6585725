//! Whole watchers in virtual time, for tests and for the bench alike.

pub mod deaths;
pub mod troubles;
pub mod world;

/// Runs a world to its end, alone in a virtual time of its own: with it all ends that it has begun.
pub fn alone<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(story)
}

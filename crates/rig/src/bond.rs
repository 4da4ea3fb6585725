//! What ties a rig to the process that brought it up.

use crate::failure::Failure;
use std::os::unix::net::UnixListener;
use std::process::Child;

/// The children that this process has to bury, and the lock of a tied rig. Dropped while tied, it takes the rig down.
#[derive(Debug, Default)]
pub struct Bond {
    /// The first one holds the pipe that a tied rig lives by.
    children: Vec<Child>,
    /// Keeps other processes from taking a tied rig for one that was left behind.
    tied: Option<UnixListener>,
}

impl Bond {
    /// Tied where there is a lock. `keeper` holds the pipe.
    pub fn new(keeper: Child, tied: Option<UnixListener>) -> Self {
        Self { children: vec![keeper], tied }
    }

    /// One more to bury.
    pub fn bears(&mut self, child: Child) {
        self.children.push(child);
    }

    /// Takes the rig down, tied or not.
    pub fn end(&mut self) -> Result<(), Failure> {
        self.tied = None;
        let ended = crate::down();
        for child in &mut self.children {
            // One that led to a machine without power has ended; the others end with the rig.
            let _ = child.kill().and_then(|()| child.wait());
        }
        self.children.clear();
        ended
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        if self.tied.is_some() {
            // Whoever drops it in the middle of a failure has a reason to tell already.
            let _ = self.end();
        }
    }
}

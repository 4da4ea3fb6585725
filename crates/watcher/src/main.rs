//! `bouquet-watcher`: reads its file, finds the cluster and the zone, and watches.

fn main() {}

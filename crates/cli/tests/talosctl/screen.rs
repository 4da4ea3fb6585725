//! `talosctl dashboard`, on a terminal that tmux plays.

use crate::desk::Desk;
use std::process::Command;

/// A tmux of this test alone.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn tmux(&self, words: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn shows(&self, desk: &Desk, wanted: &[&str]) {
        let shown = |wanted: &str| self.tmux(&["capture-pane", "-p"]).contains(&desk.resolved(wanted));
        for wanted in wanted {
            // Each look is a program of its own; data comes every three seconds.
            let found = (0..4_000).any(|_| shown(wanted));
            assert!(found, "the dashboard does not show {wanted:?}:\n{}", self.tmux(&["capture-pane", "-p"]));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

pub fn dashboard(desk: &Desk) {
    if Command::new("tmux").arg("-V").output().is_err() {
        return assets::skip("talosctl's dashboard", "no tmux here; `apt-get install tmux` installs it");
    }
    let terminal = Terminal { socket: format!("bouquet-{}", std::process::id()) };
    let words = desk.shell("dashboard -n @rose,@lily");
    terminal.tmux(&["new-session", "-d", "-x", "170", "-y", "50", &words]);
    // Nodes stand in the order of their addresses; the arrows go from one to the next.
    let (first, second) = if desk.lily < desk.rose { ("lily", "rose") } else { ("rose", "lily") };
    terminal.shows(desk, &[&format!("{first} Talos (v1.13.9)"), "bouquet (2 machines)"]);
    terminal.tmux(&["send-keys", "Right"]);
    terminal.shows(desk, &[&format!("{second} Talos (v1.13.9)")]);
    if second != "rose" {
        terminal.tmux(&["send-keys", "Left"]);
    }
    let summary = [
        "rose Talos (v1.13.9)",
        "controlplane",
        "bouquet (2 machines)",
        "v1.36.2",
        "@rose/32",
        "√ Running",
        "√ True",
        "KUBELET            √ Healthy",
        "APISERVER          √ Healthy",
        "CONNECTIVITY √ OK",
        "[talos] boot sequence: done",
    ];
    terminal.shows(desk, &summary);
    terminal.tmux(&["send-keys", "F2"]);
    terminal.shows(desk, &["/usr/bin/kubelet", "LOAD AVG", "tailscale"]);
    terminal.tmux(&["send-keys", "C-c"]);
}

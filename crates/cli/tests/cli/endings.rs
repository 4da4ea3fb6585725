//! How a run ends: exit codes, signals, and readers that go away.

use crate::desk::{Desk, ROSE, Said};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

#[test]
fn wrong_usage_exits_2() {
    let desk = Desk::new("usage");
    for args in [&["aply"][..], &["plan", "--nonsense"], &["-o", "xml", "plan"], &["greenhouse"]] {
        assert_eq!(desk.run(args).exit, Some(2), "{args:?}");
    }
    assert!(desk.run(&["aply"]).err.contains("apply"));
}

#[test]
fn a_reader_that_goes_away_is_nobodys_fault() {
    let desk = Desk::new("pipe");
    for args in [&["explain"][..], &["schema", "-"], &["completions", "bash"], &["--help"], &["-o", "json", "demo"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = desk.bouquet(args).stdout(writer).stderr(Stdio::piped()).spawn().and_then(Child::wait_with_output);
        let said = Said::from(output.expect("bouquet runs"));
        assert_eq!(said.exit, Some(0), "{args:?}: {said:?}");
        assert!(!said.err.contains("panicked"), "{args:?}: {}", said.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let desk = Desk::new("full");
    let full = std::fs::File::create("/dev/full").expect("/dev/full");
    let output =
        desk.bouquet(&["explain"]).stdout(full).stderr(Stdio::piped()).spawn().and_then(Child::wait_with_output);
    let said = Said::from(output.expect("bouquet runs"));
    assert_eq!(said.exit, Some(1), "{said:?}");
    assert!(said.err.contains("error[BQ0602]: stdout: "), "{}", said.err);
}

/// Runs `args` against vendors that take a connection and never answer, and sends `signal` once they are called.
#[cfg(unix)]
fn interrupted(name: &str, signal: &str, args: &[&str]) -> Said {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", silent.local_addr().expect("an address"));
    let desk = Desk::new(name);
    desk.write("bouquet.yaml", ROSE);
    let mut command = desk.bouquet(args);
    command.envs([("HCLOUD_TOKEN", "t"), ("TAILSCALE_API_KEY", "k"), desk.trust()]);
    for endpoint in ["HCLOUD_ENDPOINT", "TAILSCALE_BASE_URL", "BOUQUET_FACTORY_URL"] {
        command.env(endpoint, &address);
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bouquet runs");
    let called = silent.accept().expect("a call");
    let kill = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", child.id())).status();
    assert!(kill.expect("sh runs").success());
    let said = Said::from(child.wait_with_output().expect("bouquet ends"));
    drop(called);
    assert_eq!(desk.names(), ["bouquet.yaml", "ca.pem"], "{said:?}");
    said
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_every_verb_with_130_and_its_last_line() {
    for signal in ["INT", "TERM"] {
        for verb in [&["check"][..], &["plan"], &["apply", "--yes"], &["destroy", "--yes"], &["status"]] {
            let name = format!("interrupted-{signal}-{}", verb[0]);
            let said = interrupted(&name, signal, &[&["-o", "json"], verb].concat());
            assert_eq!(said.exit, Some(130), "{verb:?}: {said:?}");
            assert_eq!(said.events()[0]["code"], "BQ0607", "{said:?}");
            assert_eq!(said.summary()["changed"], 0, "{said:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_person_is_told_of_an_interrupt_once() {
    let said = interrupted("interrupted-person", "INT", &["apply", "--yes"]);
    assert_eq!(said.exit, Some(130), "{said:?}");
    assert_eq!(said.err.matches("BQ0607").count(), 1, "{}", said.err);
    assert_eq!(said.out, "");
}

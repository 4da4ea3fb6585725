//! Verbs against a simulated world over real sockets.

use crate::desk::{Desk, ROSE, Said};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A desk with a world beside it, served by the binary itself.
struct Served {
    desk: Desk,
    variables: Vec<(String, String)>,
    child: Child,
}

impl Served {
    fn new(name: &str) -> Self {
        let desk = Desk::new(name);
        desk.write("bouquet.yaml", ROSE);
        let mut command = desk.bouquet(&["greenhouse", "serve", "--dir", "world", "--speed", "1000"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("bouquet runs");
        let mut ready = String::new();
        let out = child.stdout.take().expect("its stdout");
        BufReader::new(out).read_line(&mut ready).expect("a line");
        assert_eq!(ready, "ready world/env\n");
        let variables = desk.read("world/env");
        let variables = variables.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        });
        Served { variables: variables.collect(), desk, child }
    }

    fn run(&self, args: &[&str]) -> Said {
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Said::of(self.desk.bouquet(args).envs(variables))
    }

    /// Ends the world as its user would; its exit code.
    fn stop(mut self) -> Option<i32> {
        let kill = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status();
        assert!(kill.expect("sh runs").success());
        self.child.wait().expect("the world ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn looking_writes_nothing_and_tells_by_its_exit_what_there_is_to_do() {
    let world = Served::new("world-look");
    let before = world.desk.names();
    assert_eq!(world.run(&["check"]).exit, Some(0));
    assert_eq!(world.run(&["plan"]).exit, Some(0));
    assert_eq!(world.run(&["plan", "--exit-code"]).exit, Some(3));
    assert_eq!(world.run(&["plan", "--exit-code", "--destroy"]).exit, Some(0));
    assert_eq!(world.run(&["status"]).exit, Some(0));
    assert_eq!(world.run(&["node", "list"]).exit, Some(0));
    assert_eq!(world.desk.names(), before);
}

#[test]
fn a_document_is_one_line_and_its_own_summary() {
    let world = Served::new("world-documents");
    for (args, key) in [(&["check"][..], "findings"), (&["plan"], "plan"), (&["status"], "nodes")] {
        let said = world.run(&[&["-o", "json"], args].concat());
        assert_eq!((said.exit, said.events().len()), (Some(0), 1), "{said:?}");
        let document = said.summary();
        assert!(!document[key].is_null(), "{document}");
        assert_eq!(document["verb"], args[0], "{document}");
    }
    let nodes = world.run(&["-o", "json", "status"]).summary()["nodes"].clone();
    assert_eq!(nodes[0]["name"], "rose", "{nodes}");
}

#[test]
fn the_graph_is_dot_and_names_every_step_once() {
    let world = Served::new("world-graph");
    let said = world.run(&["graph"]);
    assert_eq!(said.exit, Some(0), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(
        lines.first().is_some_and(|line| line.starts_with("digraph ")) && lines.last() == Some(&"}"),
        "{}",
        said.out
    );
    let nodes: Vec<&str> =
        lines.iter().filter(|line| line.starts_with("  \"") && !line.contains("->")).map(|line| line.trim()).collect();
    let edges: Vec<&str> = lines.iter().filter(|line| line.contains(" -> ")).map(|line| line.trim()).collect();
    assert!(nodes.contains(&"\"launch/rose\";"), "{nodes:?}");
    for edge in edges {
        let (from, to) = edge.split_once(" -> ").expect("an edge");
        assert!(nodes.contains(&format!("{from};").as_str()) && nodes.contains(&to), "{edge}");
    }
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_changed() {
    let world = Served::new("world-ask");
    let before = world.desk.names();
    for verb in ["apply", "destroy"] {
        let said = world.run(&["-o", "json", verb]);
        assert_eq!(said.exit, Some(1), "{said:?}");
        assert_eq!(said.events()[0]["code"], "BQ0603", "{said:?}");
        assert_eq!(said.summary()["changed"], 0);
        assert!(said.err.contains("--yes"), "{}", said.err);
    }
    assert_eq!(world.desk.names(), before);
}

#[test]
fn destroying_what_is_not_there_is_done_at_once_and_proved() {
    let world = Served::new("world-destroy");
    let said = world.run(&["destroy", "--yes"]);
    assert_eq!(said.exit, Some(0), "{said:?}");
    assert!(said.err.contains("nothing of the cluster is left"), "{}", said.err);
}

#[test]
fn a_lock_that_no_longer_fits_the_file_is_told() {
    let world = Served::new("world-lock");
    let lock = "format: 1\ntalos: 1.13.0\nkubernetes: 1.37.1\nextensions: []\nimages: {}\n";
    world.desk.write("bouquet.lock", lock);
    for verb in ["check", "plan"] {
        let said = world.run(&[verb]);
        assert_eq!(said.exit, Some(0), "{said:?}");
        assert!(said.err.contains("the lock is for Talos 1.13.0"), "{}", said.err);
    }
    assert_eq!(world.desk.read("bouquet.lock"), lock);

    world.desk.write("bouquet.lock", "format: 1\ntalos: newest\n");
    let said = world.run(&["plan"]);
    assert_eq!(said.exit, Some(1), "{said:?}");
    assert!(said.err.contains("error[BQ0129]") && said.err.contains("bouquet.lock:2:"), "{}", said.err);
}

#[test]
fn the_world_ends_with_0_when_it_is_told_to() {
    assert_eq!(Served::new("world-stop").stop(), Some(0));
}

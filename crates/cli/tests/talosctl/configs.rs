//! `apply-config` on configured nodes, in each mode.

use crate::desk::Desk;

/// Takes effect at once.
const LIVE: &str = "{\"machine\":{\"sysctls\":{\"net.core.somaxconn\":\"MARK\"}}}";
/// Is read at boot.
const RIGID: &str = "{\"machine\":{\"env\":{\"MARK\":\"set\"}}}";

/// The worker's configuration with a patch that holds `mark`, in a file of that name.
fn patched(desk: &Desk, patch: &str, mark: &str) -> String {
    desk.keep_config("@lily", "lily.yaml");
    let (patch, file) = (patch.replace("MARK", mark), format!("{mark}.yaml"));
    let said = desk.run(&["machineconfig", "patch", "lily.yaml", "--patch", &patch, "-o", &file]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    file
}

/// Which of the worker's configurations hold the mark: the active one, the saved one.
fn held(desk: &Desk, mark: &str) -> (bool, bool) {
    let holds = |id: &str| {
        let said = desk.talosctl(&format!("get machineconfig {id} -n @lily -o jsonpath={{.spec}}"));
        said.text.contains(mark)
    };
    (holds("v1alpha1"), holds("persistent"))
}

pub fn dry_runs(desk: &Desk) {
    let live = patched(desk, LIVE, "1001");
    let wanted = ["Dry run summary:", "Applied configuration without a reboot (skipped in dry-run).", "Config diff:"];
    let said = desk.says(&format!("apply-config -f {live} -n @lily --dry-run"), &wanted);
    assert!(said.lines().any(|line| line.starts_with('+') && line.contains("1001")), "{said}");
    let rigid = patched(desk, RIGID, "A1002");
    let wanted = ["Applied configuration with a reboot (skipped in dry-run)."];
    desk.says(&format!("apply-config -f {rigid} -n @lily --dry-run"), &wanted);
    desk.keep_config("@lily", "same.yaml");
    desk.says("apply-config -f same.yaml -n @lily --dry-run", &["No changes."]);
    assert_eq!((held(desk, "1001"), held(desk, "A1002")), ((false, false), (false, false)));
}

pub fn at_once(desk: &Desk) {
    let live = patched(desk, LIVE, "1003");
    let wanted = ["Applied configuration without a reboot"];
    desk.says(&format!("apply-config -f {live} -n @lily --mode auto"), &wanted);
    assert_eq!(held(desk, "1003"), (true, true));
    let live = patched(desk, LIVE, "1004");
    desk.says(&format!("apply-config -f {live} -n @lily --mode no-reboot"), &wanted);
    assert_eq!(held(desk, "1004"), (true, true));
    let patch = LIVE.replace("MARK", "1005");
    let said = desk.run(&["patch", "machineconfig", "-n", &desk.lily, "--mode", "no-reboot", "--patch", &patch]);
    assert!(said.code == Some(0) && said.text.contains("patched MachineConfigs.config.talos.dev/v1alpha1"), "{said:?}");
    assert_eq!((held(desk, "1005"), held(desk, "1004")), ((true, true), (false, false)));
}

pub fn tried(desk: &Desk) {
    let file = patched(desk, LIVE, "1006");
    // Ten minutes, which pass sixty times faster here.
    let wanted = ["The config is applied in 'try' mode and will be automatically reverted back in 10m0s"];
    desk.says(&format!("apply-config -f {file} -n @lily --mode try --timeout 10m"), &wanted);
    assert_eq!(held(desk, "1006"), (true, false));
    desk.until("the old configuration is back", || held(desk, "1006") == (false, false));
}

pub fn staged(desk: &Desk) {
    let file = patched(desk, LIVE, "1007");
    let wanted = ["Staged configuration to be applied after the next reboot"];
    desk.says(&format!("apply-config -f {file} -n @lily --mode staged"), &wanted);
    assert_eq!(held(desk, "1007"), (false, true));
}

pub fn refused(desk: &Desk) {
    let rigid = patched(desk, RIGID, "A1008");
    for mode in ["no-reboot", "try"] {
        let wanted = ["code = InvalidArgument", "this config change can't be applied in immediate mode", "A1008"];
        desk.fails(&format!("apply-config -f {rigid} -n @lily --mode {mode}"), &wanted);
    }
    assert_eq!(held(desk, "A1008"), (false, false));
    desk.write("words.yaml", "hello: world\n");
    desk.fails("apply-config -f words.yaml -n @lily", &["code = InvalidArgument"]);
    desk.write("rule.yaml", "apiVersion: v1alpha1\nkind: NetworkDefaultActionConfig\ningress: accept\n");
    let wanted = ["code = InvalidArgument", "doesn't contain v1alpha1 config, did you mean to patch"];
    desk.fails("apply-config -f rule.yaml -n @lily", &wanted);
}

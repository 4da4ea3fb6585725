//! The machine API, called as an operator calls it.

use super::super::proto::cosi::state_client::StateClient;
use super::super::proto::cosi::{EventType, ListRequest, WatchOptions, WatchRequest, WriteRequest};
use super::super::proto::machine::image_service_client::ImageServiceClient;
use super::super::proto::machine::lifecycle_service_client::LifecycleServiceClient;
use super::super::proto::machine::lifecycle_service_progress::Response as Progress;
use super::super::proto::machine::machine_service_client::MachineServiceClient;
use super::super::proto::machine::{
    ApplyConfigurationRequest, BootstrapRequest, EtcdMemberListRequest, EtcdRemoveMemberByIdRequest, EventsRequest,
    ImageServicePullRequest, InstallArtifactsSource, LifecycleServiceUpgradeRequest, MachineStatusEvent, ReadRequest,
    RebootRequest, ResetPartitionSpec, ResetRequest, TaskEvent,
};
use super::rig::{Recipe, Rig, TALOS, packed};
use futures::StreamExt as _;
use prost::Message as _;
use std::io::Read as _;
use tonic::{Code, Request};

const ENDPOINT: &str = "https://198.51.100.1:6443";

fn apply(text: &str, mode: i32) -> ApplyConfigurationRequest {
    ApplyConfigurationRequest { data: text.as_bytes().to_vec(), mode, ..ApplyConfigurationRequest::default() }
}

#[tokio::test(start_paused = true)]
async fn anybody_may_configure_a_machine_in_maintenance_and_nobody_may_do_more() {
    let rig = Rig::new();
    let rose = rig.machine(1, None);
    rig.on(rose);
    rig.wait(30).await;
    let mut nobody = MachineServiceClient::new(rig.channel(rose, None));
    assert_eq!(nobody.version(()).await.unwrap().into_inner().messages[0].platform.as_ref().unwrap().name, "hcloud");
    let refused = nobody.bootstrap(BootstrapRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "not authorized"));
    let wrong = nobody.apply_configuration(apply("machine: {typo: 1}\n", 1)).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    let text = Recipe::new("rose", true, ENDPOINT).text(&rig.secrets);
    let done = nobody.apply_configuration(apply(&text, 0)).await.unwrap().into_inner();
    assert_eq!(done.messages[0].mode, 2, "REBOOT is taken as NO_REBOOT");
    assert!(rig.talos(rose).version(()).await.is_err(), "apid starts anew");
    rig.wait(30).await;
    rig.bootstrap(rose).await.unwrap();
    rig.wait(60).await;
    assert!(rig.ready(rose), "{}", rig.console(rose));
}

#[tokio::test(start_paused = true)]
async fn bootstrap_happens_once() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    assert_eq!(rig.bootstrap(rose).await.unwrap_err().code(), Code::AlreadyExists);
    let lily = rig.machine(2, Some(packed(&Recipe::new("lily", false, ENDPOINT).text(&rig.secrets))));
    rig.on(lily);
    rig.wait(60).await;
    assert_eq!(rig.bootstrap(lily).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_says_who_may_do_what() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let mut reader = MachineServiceClient::new(rig.channel(rose, Some(rig.secrets.os.client("os:reader"))));
    assert!(reader.version(()).await.is_ok());
    assert_eq!(reader.reboot(RebootRequest { mode: 0 }).await.unwrap_err().code(), Code::PermissionDenied);
    let other = super::rig::Authority::new("talos", &rcgen::PKCS_ED25519);
    let mut stranger = MachineServiceClient::new(rig.channel(rose, Some(other.client("os:admin"))));
    assert!(stranger.version(()).await.is_err());
    let mut nobody = MachineServiceClient::new(rig.channel(rose, None));
    assert!(nobody.version(()).await.is_err(), "configured nodes ask for a certificate");
}

#[tokio::test(start_paused = true)]
async fn the_configuration_comes_back_as_it_was_applied_and_a_change_shows() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let text = Recipe::new("rose", true, ENDPOINT).text(&rig.secrets);
    let read = |resource: super::super::proto::cosi::Resource| {
        serde_saphyr::from_str::<String>(&resource.spec.unwrap().yaml_spec).unwrap()
    };
    assert_eq!(read(rig.resource(rose, "MachineConfigs.config.talos.dev", "v1alpha1").await.unwrap()), text);
    let changed = text.replace("certSANs: [127.0.0.1]", "certSANs: [127.0.0.1, rose.example.com]");
    let done = rig.talos(rose).apply_configuration(apply(&changed, 1)).await.unwrap().into_inner();
    assert_eq!(done.messages[0].mode_details, "Applied configuration without a reboot");
    let active = rig.resource(rose, "MachineConfigs.config.talos.dev", "v1alpha1").await.unwrap();
    assert_eq!(active.metadata.as_ref().unwrap().version, "2");
    assert_eq!(read(active), changed);
    let firewall_only = "apiVersion: v1alpha1\nkind: NetworkDefaultActionConfig\ningress: block\n";
    let refused = rig.talos(rose).apply_configuration(apply(firewall_only, 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test(start_paused = true)]
async fn resources_can_be_read_by_those_who_may_and_never_written() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let mut reader = StateClient::new(rig.channel(rose, Some(rig.secrets.os.client("os:reader"))));
    let list = |kind: &str| ListRequest { namespace: String::new(), r#type: kind.into() };
    let members = reader.list(list("Members.cluster.talos.dev")).await.unwrap().into_inner().collect::<Vec<_>>().await;
    assert_eq!(members.len(), 1);
    let secret = reader.list(list("MachineConfigs.config.talos.dev")).await.unwrap_err();
    assert_eq!(secret.code(), Code::PermissionDenied);
    assert_eq!(reader.list(list("Nosuch.talos.dev")).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(reader.create(WriteRequest {}).await.unwrap_err().message(), "not authorized");
    let mut admin = StateClient::new(rig.channel(rose, Some(rig.secrets.os.client("os:admin"))));
    assert_eq!(admin.create(WriteRequest {}).await.unwrap_err().message(), "write access is not allowed");
    let missing = rig.resource(rose, "Services.v1alpha1.talos.dev", "nosuch").await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_watch_begins_with_an_empty_message_and_then_tells_of_changes() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let mut client = StateClient::new(rig.channel(rose, Some(rig.secrets.os.client("os:admin"))));
    let request = WatchRequest {
        namespace: "runtime".into(),
        r#type: "MachineStatuses.runtime.talos.dev".into(),
        id: None,
        options: Some(WatchOptions { bootstrap_contents: true, tail_events: 0 }),
        api_version: 1,
    };
    let mut watch = client.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.next().await.unwrap().unwrap().event, []);
    let kinds = |events: &[super::super::proto::cosi::Event]| {
        events.iter().map(super::super::proto::cosi::Event::event_type).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&watch.next().await.unwrap().unwrap().event), [EventType::Created, EventType::Bootstrapped]);
    rig.talos(rose).reboot(RebootRequest { mode: 0 }).await.unwrap();
    let changed = watch.next().await.unwrap().unwrap().event;
    assert_eq!(kinds(&changed), [EventType::Updated]);
    assert!(changed[0].resource.as_ref().unwrap().spec.as_ref().unwrap().yaml_spec.contains("rebooting"));
}

async fn boot_id(rig: &Rig, id: u64) -> Vec<u8> {
    let request = ReadRequest { path: "/proc/sys/kernel/random/boot_id".into() };
    rig.talos(id).read(request).await.unwrap().into_inner().next().await.unwrap().unwrap().bytes
}

#[tokio::test(start_paused = true)]
async fn a_reboot_cuts_connections_changes_the_boot_id_and_keeps_everything_else() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let before = boot_id(&rig, rose).await;
    let request = EventsRequest::default();
    let mut events = rig.talos(rose).events(request).await.unwrap().into_inner();
    assert_eq!(events.next().await.unwrap().unwrap().data, None, "the hello");
    rig.change(rose, |machine| machine.user_data = None);
    let reply = rig.talos(rose).reboot(RebootRequest { mode: 0 }).await.unwrap().into_inner();
    assert!(!reply.messages[0].actor_id.is_empty());
    let cut = events.by_ref().filter_map(|event| std::future::ready(event.err())).next().await.unwrap();
    assert_eq!(cut.code(), Code::Unavailable);
    rig.wait(120).await;
    assert_ne!(boot_id(&rig, rose).await, before);
    assert!(rig.ready(rose), "from STATE, etcd's data kept: {}", rig.console(rose));
    assert_eq!(rig.bootstrap(rose).await.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_ready_machine_says_so_in_an_event() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let request = EventsRequest { tail_events: -1, ..EventsRequest::default() };
    let events = rig.talos(rose).events(request).await.unwrap().into_inner();
    let ready = events.filter_map(|event| {
        let data = event.unwrap().data.unwrap_or_default();
        let status = (data.type_url == "talos/runtime/machine.MachineStatusEvent")
            .then(|| MachineStatusEvent::decode(data.value.as_slice()).unwrap());
        std::future::ready(status.filter(|status| status.stage == 4 && status.status.as_ref().unwrap().ready))
    });
    assert!(std::pin::pin!(ready).next().await.is_some());
}

fn partition(label: &str) -> ResetPartitionSpec {
    ResetPartitionSpec { label: label.into(), wipe: true }
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_everything_leaves_nothing_to_boot() {
    let rig = Rig::new();
    rig.control_plane().await;
    let lily = rig.machine(2, Some(packed(&Recipe::new("lily", false, ENDPOINT).text(&rig.secrets))));
    rig.on(lily);
    rig.wait(90).await;
    let mut events = rig.talos(lily).events(EventsRequest::default()).await.unwrap().into_inner();
    let request = ResetRequest { graceful: true, reboot: true, ..ResetRequest::default() };
    rig.talos(lily).reset(request).await.unwrap();
    let mut tasks = Vec::new();
    while let Some(Ok(event)) = events.next().await {
        let data = event.data.unwrap_or_default();
        if data.type_url == "talos/runtime/machine.TaskEvent" {
            tasks.push(TaskEvent::decode(data.value.as_slice()).unwrap().task);
        }
    }
    assert_eq!(tasks, ["stopAllServices"]);
    rig.wait(60).await;
    assert!(rig.console(lily).contains("UEFI Interactive Shell"), "{}", rig.console(lily));
}

#[tokio::test(start_paused = true)]
async fn the_last_etcd_member_cannot_leave_gracefully() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let graceful = ResetRequest { graceful: true, reboot: true, ..ResetRequest::default() };
    assert_eq!(rig.talos(rose).reset(graceful).await.unwrap_err().code(), Code::FailedPrecondition);
    let wipe = vec![partition("STATE"), partition("EPHEMERAL")];
    let request =
        ResetRequest { graceful: false, reboot: true, system_partitions_to_wipe: wipe, ..ResetRequest::default() };
    rig.talos(rose).reset(request).await.unwrap();
    rig.wait(90).await;
    // The user data is still there and makes it a control plane again, with an empty etcd.
    rig.bootstrap(rose).await.unwrap();
}

/// Three control planes, of which the first was bootstrapped.
async fn three() -> Rig {
    let rig = Rig::new();
    rig.control_plane().await;
    for (id, name) in [(2, "lily"), (3, "tulip")] {
        let recipe = Recipe { name, ..Recipe::new("", true, ENDPOINT) };
        rig.machine(id, Some(packed(&recipe.text(&rig.secrets))));
        rig.on(id);
    }
    rig.wait(180).await;
    rig
}

async fn members(rig: &Rig, id: u64) -> Vec<(u64, String, bool)> {
    let list = rig.talos(id).etcd_member_list(EtcdMemberListRequest::default()).await.unwrap().into_inner();
    let members = list.messages.into_iter().flat_map(|message| message.members);
    let mut members: Vec<_> = members.map(|member| (member.id, member.hostname, member.is_learner)).collect();
    members.sort_by(|one, other| one.1.cmp(&other.1));
    members
}

#[tokio::test(start_paused = true)]
async fn control_planes_join_one_after_the_other_and_a_dead_one_can_be_taken_out() {
    let rig = three().await;
    let all = members(&rig, 1).await;
    assert_eq!(
        all.iter().map(|(_, name, learner)| (name.as_str(), *learner)).collect::<Vec<_>>(),
        [("lily", false), ("rose", false), ("tulip", false)]
    );
    assert!((1..=3).all(|id| rig.ready(id)));
    rig.greenhouse.kill("tulip").unwrap();
    let kube = |rig: &Rig| rig.world().with(|state| super::super::etcd::of(state, 1).unwrap().0.kube);
    assert!(
        rig.world().with(|state| super::super::has_quorum(state, super::super::etcd::of(state, 1).unwrap().0.kube))
    );
    let tulip = all[2].0;
    rig.talos(1).etcd_remove_member_by_id(EtcdRemoveMemberByIdRequest { member_id: tulip }).await.unwrap();
    let again = rig.talos(1).etcd_remove_member_by_id(EtcdRemoveMemberByIdRequest { member_id: tulip }).await;
    assert_eq!(again.unwrap_err().code(), Code::NotFound);
    assert_eq!(members(&rig, 2).await.len(), 2);
    rig.greenhouse.kill("lily").unwrap();
    let cluster = kube(&rig);
    assert!(!rig.world().with(|state| super::super::has_quorum(state, cluster)), "one of two is no majority");
    let stuck = rig.talos(1).etcd_remove_member_by_id(EtcdRemoveMemberByIdRequest { member_id: all[0].0 }).await;
    assert_eq!(stuck.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_leader_hands_over_and_a_member_leaves() {
    let rig = three().await;
    let leader =
        |rig: &Rig| rig.world().with(|state| super::super::etcd::of(state, 1).map(|(cluster, _)| cluster.leader));
    let before = leader(&rig);
    let moved = rig.talos(1).etcd_forfeit_leadership(()).await.unwrap().into_inner();
    assert_ne!(moved.messages[0].member, "");
    assert_ne!(leader(&rig), before);
    rig.talos(3).etcd_leave_cluster(()).await.unwrap();
    assert_eq!(members(&rig, 1).await.len(), 2);
    let status = rig.talos(1).etcd_status(()).await.unwrap().into_inner();
    assert_eq!(status.messages[0].member_status.as_ref().unwrap().leader, leader(&rig).unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_boots_the_new_system_and_a_rollback_the_old_one() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let schematic = rig.world().with(|state| super::super::node(state, rose).unwrap().system.schematic.clone());
    let reference = format!("factory.talos.dev/hcloud-installer/{schematic}:v1.14.5");
    let admin = || rig.channel(rose, Some(rig.secrets.os.client("os:admin")));
    let request = ImageServicePullRequest { containerd: None, image_ref: reference.clone() };
    let pulled = ImageServiceClient::new(admin()).pull(request).await.unwrap().into_inner().collect::<Vec<_>>().await;
    assert_eq!(pulled.len(), 1);
    let upgrade = |reference: String| {
        let source = Some(InstallArtifactsSource { image_name: reference });
        let mut client = LifecycleServiceClient::new(admin());
        async move {
            let request = LifecycleServiceUpgradeRequest { containerd: None, source };
            let stream = client.upgrade(request).await.unwrap().into_inner();
            stream.map(|line| line.unwrap().progress.unwrap().response.unwrap()).collect::<Vec<_>>().await
        }
    };
    assert_eq!(
        upgrade("factory.talos.dev/hcloud-installer/nosuch:v1.14.5".into()).await.pop(),
        Some(Progress::ExitCode(1))
    );
    assert_eq!(upgrade(reference).await.pop(), Some(Progress::ExitCode(0)));
    let version =
        || async { rig.talos(rose).version(()).await.unwrap().into_inner().messages[0].version.clone().unwrap().tag };
    assert_eq!(version().await, format!("v{TALOS}"), "not before a reboot");
    rig.talos(rose).reboot(RebootRequest { mode: 0 }).await.unwrap();
    rig.wait(120).await;
    assert_eq!(version().await, "v1.14.5");
    rig.talos(rose).rollback(()).await.unwrap();
    rig.wait(120).await;
    assert_eq!(version().await, format!("v{TALOS}"));
    assert!(rig.ready(rose));
}

#[tokio::test(start_paused = true)]
async fn the_kubeconfig_is_a_tar_with_an_admin_in_it() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let parts = rig.talos(rose).kubeconfig(()).await.unwrap().into_inner();
    let packed: Vec<u8> = parts.flat_map(|part| futures::stream::iter(part.unwrap().bytes)).collect().await;
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut tar).unwrap();
    assert!(tar.starts_with(b"kubeconfig\0"));
    let text = String::from_utf8(tar[512..].to_vec()).unwrap();
    assert!(text.contains("server: https://198.51.100.1:6443"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_passes_calls_on_and_a_worker_does_not() {
    let rig = Rig::new();
    let rose = rig.control_plane().await;
    let lily = rig.machine(2, Some(packed(&Recipe::new("lily", false, ENDPOINT).text(&rig.secrets))));
    rig.on(lily);
    rig.wait(90).await;
    let (at_rose, at_lily) = (Rig::address(rose).to_string(), Rig::address(lily).to_string());
    let with = |headers: &[(&'static str, &str)]| {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        request
    };
    let one = rig.talos(rose).hostname(with(&[("node", &at_lily)])).await.unwrap().into_inner();
    assert_eq!((one.messages[0].hostname.as_str(), &one.messages[0].metadata), ("lily", &None));
    let both =
        rig.talos(rose).hostname(with(&[("nodes", &at_rose), ("nodes", &at_lily), ("nodes", "198.51.100.99")])).await;
    let both = both.unwrap().into_inner().messages;
    let names: Vec<_> = both
        .iter()
        .map(|message| (message.hostname.as_str(), message.metadata.as_ref().unwrap().error.is_empty()))
        .collect();
    assert_eq!(names, [("rose", true), ("lily", true), ("", false)]);
    let twice = rig.talos(rose).hostname(with(&[("node", &at_rose), ("node", &at_lily)])).await.unwrap_err();
    assert_eq!(twice.code(), Code::InvalidArgument);
    let refused = rig.talos(lily).hostname(with(&[("node", &at_rose)])).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "no request forwarding"));
    let mut reader = MachineServiceClient::new(rig.channel(rose, Some(rig.secrets.os.client("os:reader"))));
    let mut reboot = Request::new(RebootRequest { mode: 0 });
    reboot.metadata_mut().append("node", at_lily.parse().unwrap());
    assert_eq!(reader.reboot(reboot).await.unwrap_err().code(), Code::PermissionDenied, "roles go with the call");
}

#[tokio::test(start_paused = true)]
async fn the_ingress_firewall_decides_who_reaches_a_port() {
    let rig = Rig::new();
    let text = Recipe::new("rose", true, ENDPOINT).text(&rig.secrets)
        + "---\napiVersion: v1alpha1\nkind: NetworkDefaultActionConfig\ningress: block\n";
    let rose = rig.machine(1, Some(packed(&text)));
    rig.on(rose);
    rig.wait(60).await;
    let dropped = rig.talos(rose).version(()).await.unwrap_err();
    assert!(dropped.to_string().contains("did not answer in time"), "{dropped}");
}

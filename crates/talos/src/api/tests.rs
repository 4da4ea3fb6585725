use super::proto::{common, cosi, machine};
use super::*;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream;
use http::HeaderMap;
use http_body_util::StreamBody;
use prost::Message as _;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::Code;
use wire::{Body, Fate, Identity, Lost, Rng, Roots, Route, Secret, Sorted as _, Stream, Target, Time, Wire};

/// Answers every call with one scripted outcome and remembers what was asked of whom.
struct Node {
    outcome: Outcome,
    asked: Mutex<Vec<(Target, String, Bytes)>>,
}

enum Outcome {
    Messages(Vec<Vec<u8>>),
    Status(Code, &'static str),
    Lost(wire::Error),
    Silence,
}

impl Wire for Node {
    fn call(
        &self,
        target: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, wire::Error>> {
        let (head, body) = request.into_parts();
        assert_eq!(head.uri.authority().unwrap().as_str(), target.authority());
        let sent = futures::executor::block_on(body.collect(1 << 20)).unwrap();
        self.asked.lock().unwrap().push((target.clone(), head.uri.path().to_owned(), sent.slice(5..)));
        let answer = match &self.outcome {
            Outcome::Messages(messages) => Ok(grpc(messages, Code::Ok, "")),
            Outcome::Status(code, message) => Ok(grpc(&[], *code, message)),
            Outcome::Lost(error) => Err(error.clone()),
            Outcome::Silence => return Box::pin(std::future::pending()),
        };
        Box::pin(async move { answer })
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, wire::Error>> {
        let host = target.authority();
        Box::pin(async move { Err(wire::Error::Refused(host)) })
    }
}

/// A response as gRPC frames it: length-prefixed messages, then the status in trailers.
fn grpc(messages: &[Vec<u8>], code: Code, message: &str) -> http::Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", (code as i32).into());
    trailers.insert("grpc-message", message.replace(' ', "%20").parse().unwrap());
    let frames = messages.iter().map(|message| {
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).unwrap());
        frame.put_slice(message);
        http_body::Frame::data(frame.freeze())
    });
    let frames: Vec<Result<_, Infallible>> = frames.chain([http_body::Frame::trailers(trailers)]).map(Ok).collect();
    let body = Body::new(StreamBody::new(stream::iter(frames)));
    http::Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

fn client_of(outcome: Outcome) -> (Client, Arc<Node>) {
    let node = Arc::new(Node { outcome, asked: Mutex::default() });
    let time = Time::starting_at(jiff::Timestamp::UNIX_EPOCH, Rng::seeded(1));
    let peer = Peer::configured("100.64.0.1", b"authority".to_vec(), Identity::new(vec![], vec![]));
    (Client::new(node.clone(), time, &peer).unwrap(), node)
}

fn answering(message: &impl prost::Message) -> (Client, Arc<Node>) {
    client_of(Outcome::Messages(vec![message.encode_to_vec()]))
}

fn asked<M: prost::Message + Default>(node: &Node) -> (String, M) {
    let (_, path, body) = node.asked.lock().unwrap().pop().unwrap();
    (path, M::decode(body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_configured_node_is_asked_over_the_mesh_with_its_cluster_s_authority() {
    let version = machine::Version {
        version: Some(machine::VersionInfo { tag: "v1.14.6".into(), arch: "arm64".into(), ..Default::default() }),
        platform: Some(machine::PlatformInfo { name: "hcloud".into(), mode: "cloud".into() }),
        ..Default::default()
    };
    let (client, node) = answering(&machine::VersionResponse { messages: vec![version] });
    let version = client.version().await.unwrap();
    assert_eq!(version.parsed(), "1.14.6".parse().ok());
    assert_eq!((version.arch.as_str(), version.platform.as_str()), ("arm64", "hcloud"));
    let (target, path, _) = node.asked.lock().unwrap().pop().unwrap();
    assert_eq!(path, "/machine.MachineService/Version");
    assert_eq!((target.route, target.authority().as_str()), (Route::Mesh, "100.64.0.1:50000"));
    let tls = target.tls.unwrap();
    assert_eq!(tls.server_name, "100.64.0.1");
    assert_eq!(tls.roots, Roots::Only(vec![b"authority".to_vec()]));
    assert!(tls.identity.is_some());
}

#[test]
fn a_node_in_maintenance_is_not_asked_who_it_is() {
    let peer = Peer::in_maintenance("2001:db8::1");
    assert_eq!((peer.route, peer.roots, peer.identity), (Route::Direct, Roots::Unverified, None));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_goes_whole_with_its_mode() {
    let applied =
        machine::ApplyConfiguration { warnings: vec!["w".into()], mode_details: "d".into(), ..Default::default() };
    let (client, node) = answering(&machine::ApplyConfigurationResponse { messages: vec![applied] });
    let config = Secret::new("machine: {}\n");
    let applied = client.apply_configuration(&config, ApplyMode::Try(Duration::from_mins(1)), true).await.unwrap();
    assert_eq!(applied, Applied { warnings: vec!["w".into()], details: "d".into() });
    let (path, sent): (_, machine::ApplyConfigurationRequest) = asked(&node);
    assert_eq!(path, "/machine.MachineService/ApplyConfiguration");
    assert_eq!((sent.data.as_slice(), sent.mode, sent.dry_run), (&b"machine: {}\n"[..], 4, true));
    assert_eq!(sent.try_mode_timeout.map(|timeout| timeout.seconds), Some(60));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_sorted_by_their_code() {
    for (code, refusal, explained, fate) in [
        (Code::Unavailable, Refusal::Unavailable, "BQ0322", Fate::Now),
        (Code::FailedPrecondition, Refusal::NotReady, "BQ0322", Fate::Later(None)),
        (Code::AlreadyExists, Refusal::AlreadyExists, "BQ0323", Fate::User),
        (Code::PermissionDenied, Refusal::Forbidden, "BQ0324", Fate::User),
        (Code::Unimplemented, Refusal::Unimplemented, "BQ0325", Fate::Bug),
        (Code::InvalidArgument, Refusal::Invalid, "BQ0326", Fate::User),
        (Code::NotFound, Refusal::NotFound, "BQ0327", Fate::Bug),
        (Code::Unknown, Refusal::Other, "BQ0328", Fate::Now),
    ] {
        let error = client_of(Outcome::Status(code, "in its words")).0.bootstrap().await.unwrap_err();
        assert_eq!(error.refusal(), Some(refusal));
        assert_eq!((error.code(), error.fate()), (explained, fate));
        assert_eq!(error.to_string(), format!("100.64.0.1:50000: Talos Bootstrap: in its words ({code:?})"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_authority_is_told_apart_from_a_node_that_is_down() {
    let host = "100.64.0.1:50000".to_owned();
    let tls = wire::Error::Tls { host: host.clone(), reason: "UnknownIssuer".into() };
    for (error, is_tls, explained, fate) in
        [(tls, true, "BQ0321", Fate::User), (wire::Error::Refused(host), false, "BQ0320", Fate::Now)]
    {
        let found = client_of(Outcome::Lost(error.clone())).0.services().await.unwrap_err();
        assert_eq!(found, ClientError::Lost(Lost { call: "Talos ServiceList", error }));
        assert_eq!((found.is_tls(), found.code(), found.fate()), (is_tls, explained, fate));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_the_time_allowed() {
    let (client, _) = client_of(Outcome::Silence);
    let error = client.with_timeout(Duration::from_secs(3)).version().await.unwrap_err();
    assert_eq!(error.to_string(), "100.64.0.1:50000: Talos Version: no answer within 3 s");
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_an_error_and_not_a_success() {
    let error = answering(&machine::BootstrapResponse { messages: vec![] }).0.bootstrap().await.unwrap_err();
    assert_eq!((error.code(), error.fate()), ("BQ0329", Fate::Bug));
    let error = client_of(Outcome::Messages(vec![b"<html>".to_vec()])).0.bootstrap().await.unwrap_err();
    assert_eq!(error.code(), "BQ0328");
}

#[tokio::test(start_paused = true)]
async fn services_without_a_check_are_neither_healthy_nor_ill() {
    let health = |unknown, healthy| machine::ServiceHealth { unknown, healthy, last_message: String::new() };
    let events = Some(machine::ServiceEvents { events: vec![machine::ServiceEvent { msg: "Started".into() }] });
    let service = |id: &str, health| machine::ServiceInfo {
        id: id.into(),
        state: "Running".into(),
        events: events.clone(),
        health,
    };
    let services = vec![
        service("etcd", Some(health(false, true))),
        service("kubelet", Some(health(false, false))),
        service("machined", Some(health(true, false))),
        service("udevd", None),
    ];
    let list = machine::ServiceList { metadata: None, services };
    let (client, _) = answering(&machine::ServiceListResponse { messages: vec![list] });
    let services = client.services().await.unwrap();
    assert!(services.iter().all(|service| service.last_message == "Started"), "no check has said anything yet");
    let healthy: Vec<_> = services.into_iter().map(|service| service.healthy).collect();
    assert_eq!(healthy, [Some(true), Some(false), None, None]);
}

#[tokio::test(start_paused = true)]
async fn etcd_members_and_status_are_read() {
    let member = machine::EtcdMember { id: 0xfeed, hostname: "rose".into(), is_learner: true, ..Default::default() };
    let members = machine::EtcdMembers { metadata: None, members: vec![member] };
    let (client, node) = answering(&machine::EtcdMemberListResponse { messages: vec![members] });
    let found = client.etcd_members(true).await.unwrap();
    assert_eq!((found[0].id, found[0].hostname.as_str(), found[0].is_learner), (0xfeed, "rose", true));
    assert!(asked::<machine::EtcdMemberListRequest>(&node).1.query_local);

    let status = machine::EtcdMemberStatus { member_id: 0xfeed, leader: 0xfeed, db_size: 7, ..Default::default() };
    let status = machine::EtcdStatus { metadata: None, member_status: Some(status) };
    let (client, _) = answering(&machine::EtcdStatusResponse { messages: vec![status] });
    assert_eq!(client.etcd_status().await.unwrap().db_size_bytes, 7);

    let (client, node) = answering(&machine::EtcdRemoveMemberByIdResponse { messages: vec![machine::Done::default()] });
    client.etcd_remove_member(0xfeed).await.unwrap();
    let (path, sent): (_, machine::EtcdRemoveMemberByIdRequest) = asked(&node);
    assert_eq!((path.as_str(), sent.member_id), ("/machine.MachineService/EtcdRemoveMemberByID", 0xfeed));
}

#[tokio::test(start_paused = true)]
async fn a_reset_to_be_booted_again_spares_the_boot_partitions() {
    let begun = machine::Begun { metadata: None, actor_id: "actor".into() };
    let (client, node) = answering(&machine::ResetResponse { messages: vec![begun] });
    assert_eq!(client.reset(ResetScope::StateAndData, true, true).await.unwrap(), "actor");
    let sent = asked::<machine::ResetRequest>(&node).1;
    let labels: Vec<_> = sent.system_partitions_to_wipe.iter().map(|part| part.label.as_str()).collect();
    assert_eq!((labels, sent.graceful, sent.reboot), (vec!["STATE", "EPHEMERAL"], true, true));
}

fn installing(response: machine::lifecycle_service_install_progress::Response) -> Vec<u8> {
    let progress = Some(machine::LifecycleServiceInstallProgress { response: Some(response) });
    machine::LifecycleServiceUpgradeResponse { progress }.encode_to_vec()
}

#[tokio::test(start_paused = true)]
async fn an_installer_that_fails_fails_the_upgrade() {
    use machine::lifecycle_service_install_progress::Response::{ExitCode, Message};
    let limit = Duration::from_mins(10);
    let line = installing(Message("no space left".into()));
    let mut lines = Vec::new();
    let (client, node) = client_of(Outcome::Messages(vec![line.clone(), installing(ExitCode(0))]));
    client.upgrade("installer:v1", limit, |progress| lines.push(progress)).await.unwrap();
    assert_eq!(lines, [Progress::Line("no space left".into())]);
    let (path, sent): (_, machine::LifecycleServiceUpgradeRequest) = asked(&node);
    assert_eq!(path, "/machine.LifecycleService/Upgrade");
    assert_eq!(sent.source.unwrap().image_name, "installer:v1");
    assert_eq!(sent.containerd, Some(common::ContainerdInstance { driver: 1, namespace: 1 }));

    let (client, _) = client_of(Outcome::Messages(vec![line.clone(), installing(ExitCode(3))]));
    let error = client.upgrade("installer:v1", limit, |_| ()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::InstallerFailed { exit_code: 3, ref last_words, .. } if last_words == "no space left")
    );
    let (client, _) = client_of(Outcome::Messages(vec![line]));
    assert_eq!(client.upgrade("installer:v1", limit, |_| ()).await.unwrap_err().code(), "BQ0329");
}

#[tokio::test(start_paused = true)]
async fn a_pull_ends_with_the_image_s_name() {
    use machine::image_service_pull_response::Response::{Name, PullProgress};
    let progress = machine::ImageServicePullLayerProgress { offset: 5, total: 9 };
    let progress = machine::ImageServicePullProgress { layer_id: "sha256:a".into(), progress: Some(progress) };
    let message = |response| machine::ImageServicePullResponse { response: Some(response) }.encode_to_vec();
    let (client, _) =
        client_of(Outcome::Messages(vec![message(PullProgress(progress)), message(Name("installer:v1".into()))]));
    let mut seen = Vec::new();
    let name = client.pull_installer("installer:v1", Duration::from_mins(1), |progress| seen.push(progress)).await;
    assert_eq!(name.unwrap(), "installer:v1");
    assert_eq!(seen, [Progress::Layer { layer: "sha256:a".into(), done_bytes: 5, total_bytes: 9 }]);
}

#[tokio::test(start_paused = true)]
async fn logs_come_in_pieces_and_can_be_cut() {
    let piece = |text: &str| common::Data { metadata: None, bytes: text.into() }.encode_to_vec();
    let pieces = || Outcome::Messages(vec![piece("one\n"), piece("two\n"), piece("three\n")]);
    let (client, node) = client_of(pieces());
    let mut logs = client.logs("etcd", 100, false).await.unwrap();
    assert_eq!(logs.next().await.unwrap().as_deref(), Some(&b"one\n"[..]));
    assert_eq!(logs.collect(1000).await.unwrap(), b"two\nthree\n");
    let (_, sent): (_, machine::LogsRequest) = asked(&node);
    assert_eq!((sent.namespace.as_str(), sent.id.as_str(), sent.tail_lines), ("system", "etcd", 100));
    assert_eq!(client_of(pieces()).0.dmesg(false).await.unwrap().collect(6).await.unwrap(), b"one\ntw");
}

fn stage(version: &str, yaml: &str) -> cosi::Resource {
    let metadata = cosi::Metadata {
        namespace: "runtime".into(),
        r#type: "MachineStatuses.runtime.talos.dev".into(),
        id: "machine".into(),
        version: version.into(),
        ..Default::default()
    };
    cosi::Resource { metadata: Some(metadata), spec: Some(cosi::Spec { proto_spec: vec![], yaml_spec: yaml.into() }) }
}

#[tokio::test(start_paused = true)]
async fn resources_are_read_as_yaml() {
    const KIND: &str = "MachineStatuses.runtime.talos.dev";
    let found = stage("3", "stage: running\n");
    let (client, node) = answering(&cosi::GetResponse { resource: Some(found.clone()) });
    let resource = client.resource("runtime", KIND, "machine").await.unwrap();
    assert_eq!((resource.yaml.as_str(), resource.version.as_str()), ("stage: running\n", "3"));
    assert!(!format!("{resource:?}").contains("running"), "sensitive content must not be printable");
    assert_eq!(asked::<cosi::GetRequest>(&node).0, "/cosi.resource.State/Get");

    let listed = cosi::ListResponse { resource: Some(found) }.encode_to_vec();
    let (client, _) = client_of(Outcome::Messages(vec![listed.clone(), listed]));
    assert_eq!(client.resources("runtime", KIND).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_passes_over_the_empty_first_message_and_says_when_it_has_caught_up() {
    let event = |event_type: cosi::EventType, resource| cosi::Event {
        event_type: event_type.into(),
        resource,
        ..Default::default()
    };
    let batch = |event| cosi::WatchResponse { event }.encode_to_vec();
    let (client, node) = client_of(Outcome::Messages(vec![
        batch(vec![]),
        batch(vec![
            event(cosi::EventType::Created, Some(stage("1", "stage: booting\n"))),
            event(cosi::EventType::Bootstrapped, None),
        ]),
        batch(vec![
            event(cosi::EventType::Noop, None),
            event(cosi::EventType::Updated, Some(stage("2", "stage: running\n"))),
        ]),
    ]));
    let mut watch = client.watch("runtime", "MachineStatuses.runtime.talos.dev", None).await.unwrap();
    let mut seen = Vec::new();
    while let Some(changed) = watch.next().await.unwrap() {
        seen.push(match changed {
            Changed::Resource(change, resource) => format!("{change:?} {}", resource.version),
            Changed::CaughtUp => "caught up".into(),
        });
    }
    assert_eq!(seen, ["Created 1", "caught up", "Updated 2"]);
    let (_, sent): (_, cosi::WatchRequest) = asked(&node);
    assert_eq!((sent.api_version, sent.options.unwrap().bootstrap_contents), (1, true));
}

#[tokio::test(start_paused = true)]
async fn the_saved_configuration_is_unwrapped_from_its_string() {
    let config = "machine:\n    type: worker\n---\nkind: HostnameConfig\n";
    let spec = crate::yaml::write(&config);
    let (client, node) = answering(&cosi::GetResponse { resource: Some(stage("1", &spec)) });
    assert_eq!(client.machine_config().await.unwrap().expose(), config);
    assert_eq!(asked::<cosi::GetRequest>(&node).1.id, "persistent");
    let (client, _) = answering(&cosi::GetResponse { resource: Some(stage("1", "a: [b]")) });
    assert_eq!(client.machine_config().await.unwrap_err().code(), "BQ0329");
}

//! `machine.MachineService`: one line a call here; the work is in the modules beside.

use super::super::proto::common::Data;
use super::super::proto::machine::machine_service_server::MachineService;
use super::super::proto::machine::{self as wire, ServiceChangeResponse, ServiceRequest};
use super::{Answers, Api, Caller};
use tonic::{Request, Response, Status};

type Reply<T> = Result<Response<T>, Status>;

fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request.extensions().get::<Caller>().cloned().ok_or_else(|| Status::internal("a call that passed no gate"))
}

#[tonic::async_trait]
impl MachineService for Api {
    type DmesgStream = Answers<Data>;
    type EventsStream = Answers<wire::Event>;
    type EtcdSnapshotStream = Answers<Data>;
    type KubeconfigStream = Answers<Data>;
    type LogsStream = Answers<Data>;
    type ReadStream = Answers<Data>;

    async fn apply_configuration(
        &self,
        request: Request<wire::ApplyConfigurationRequest>,
    ) -> Reply<wire::ApplyConfigurationResponse> {
        let maintenance = caller(&request)?.maintenance;
        self.apply(request.into_inner(), maintenance).map(Response::new)
    }

    async fn bootstrap(&self, request: Request<wire::BootstrapRequest>) -> Reply<wire::BootstrapResponse> {
        self.bootstrap_etcd(request.get_ref().recover_etcd)?;
        Ok(Response::new(wire::BootstrapResponse { messages: vec![wire::Bootstrap::default()] }))
    }

    async fn cpu_freq_stats(&self, _request: Request<()>) -> Reply<wire::CpuFreqStatsResponse> {
        self.frequencies().map(Response::new)
    }

    async fn cpu_info(&self, _request: Request<()>) -> Reply<wire::CpuInfoResponse> {
        self.processors().map(Response::new)
    }

    async fn disk_stats(&self, _request: Request<()>) -> Reply<wire::DiskStatsResponse> {
        self.disk_load().map(Response::new)
    }

    async fn dmesg(&self, request: Request<wire::DmesgRequest>) -> Reply<Self::DmesgStream> {
        self.kernel_log(request.get_ref().follow).map(Response::new)
    }

    async fn events(&self, request: Request<wire::EventsRequest>) -> Reply<Self::EventsStream> {
        self.event_stream(request.get_ref()).map(Response::new)
    }

    async fn etcd_alarm_disarm(&self, _request: Request<()>) -> Reply<wire::EtcdAlarmResponse> {
        self.alarms("etcd alarm disarm").map(Response::new)
    }

    async fn etcd_alarm_list(&self, _request: Request<()>) -> Reply<wire::EtcdAlarmResponse> {
        self.alarms("etcd alarm list").map(Response::new)
    }

    async fn etcd_defragment(&self, _request: Request<()>) -> Reply<wire::EtcdDefragmentResponse> {
        self.defragment().map(Response::new)
    }

    async fn etcd_member_list(
        &self,
        _request: Request<wire::EtcdMemberListRequest>,
    ) -> Reply<wire::EtcdMemberListResponse> {
        self.member_list().map(Response::new)
    }

    async fn etcd_remove_member_by_id(
        &self,
        request: Request<wire::EtcdRemoveMemberByIdRequest>,
    ) -> Reply<wire::EtcdRemoveMemberByIdResponse> {
        self.remove_member(request.get_ref().member_id)?;
        Ok(Response::new(wire::EtcdRemoveMemberByIdResponse { messages: vec![wire::EtcdRemoveMemberById::default()] }))
    }

    async fn etcd_leave_cluster(&self, _request: Request<()>) -> Reply<wire::EtcdLeaveClusterResponse> {
        self.leave_cluster()?;
        Ok(Response::new(wire::EtcdLeaveClusterResponse { messages: vec![wire::EtcdLeaveCluster::default()] }))
    }

    async fn etcd_forfeit_leadership(&self, _request: Request<()>) -> Reply<wire::EtcdForfeitLeadershipResponse> {
        let member = self.forfeit_leadership()?;
        let messages = vec![wire::EtcdForfeitLeadership { metadata: None, member }];
        Ok(Response::new(wire::EtcdForfeitLeadershipResponse { messages }))
    }

    async fn etcd_snapshot(&self, _request: Request<()>) -> Reply<Self::EtcdSnapshotStream> {
        self.snapshot().map(Response::new)
    }

    async fn etcd_status(&self, _request: Request<()>) -> Reply<wire::EtcdStatusResponse> {
        self.member_status().map(Response::new)
    }

    async fn generate_client_configuration(
        &self,
        request: Request<wire::GenerateClientConfigurationRequest>,
    ) -> Reply<wire::GenerateClientConfigurationResponse> {
        self.client_configuration(request.get_ref()).map(Response::new)
    }

    async fn hostname(&self, _request: Request<()>) -> Reply<wire::HostnameResponse> {
        self.host_name().map(Response::new)
    }

    async fn kubeconfig(&self, _request: Request<()>) -> Reply<Self::KubeconfigStream> {
        self.admin_kubeconfig().map(Response::new)
    }

    async fn load_avg(&self, _request: Request<()>) -> Reply<wire::LoadAvgResponse> {
        self.load_average().map(Response::new)
    }

    async fn logs(&self, request: Request<wire::LogsRequest>) -> Reply<Self::LogsStream> {
        self.service_log(request.get_ref()).map(Response::new)
    }

    async fn memory(&self, _request: Request<()>) -> Reply<wire::MemoryResponse> {
        self.memory_info().map(Response::new)
    }

    async fn network_device_stats(&self, _request: Request<()>) -> Reply<wire::NetworkDeviceStatsResponse> {
        self.network_load().map(Response::new)
    }

    async fn processes(&self, _request: Request<()>) -> Reply<wire::ProcessesResponse> {
        self.process_list().map(Response::new)
    }

    async fn read(&self, request: Request<wire::ReadRequest>) -> Reply<Self::ReadStream> {
        self.read_file(&request.get_ref().path).map(Response::new)
    }

    async fn reboot(&self, _request: Request<wire::RebootRequest>) -> Reply<wire::RebootResponse> {
        let actor_id = self.begin_reboot()?;
        Ok(Response::new(wire::RebootResponse { messages: vec![wire::Reboot { metadata: None, actor_id }] }))
    }

    async fn reset(&self, request: Request<wire::ResetRequest>) -> Reply<wire::ResetResponse> {
        let actor_id = self.begin_reset(request.get_ref())?;
        Ok(Response::new(wire::ResetResponse { messages: vec![wire::Reset { metadata: None, actor_id }] }))
    }

    async fn rollback(&self, _request: Request<()>) -> Reply<wire::RollbackResponse> {
        self.roll_back()?;
        Ok(Response::new(wire::RollbackResponse { messages: vec![wire::Rollback::default()] }))
    }

    async fn service_list(&self, _request: Request<()>) -> Reply<wire::ServiceListResponse> {
        self.services().map(Response::new)
    }

    async fn service_restart(&self, request: Request<ServiceRequest>) -> Reply<ServiceChangeResponse> {
        self.change_service(&request.get_ref().id, super::small::Change::Restart).map(Response::new)
    }

    async fn service_start(&self, request: Request<ServiceRequest>) -> Reply<ServiceChangeResponse> {
        self.change_service(&request.get_ref().id, super::small::Change::Start).map(Response::new)
    }

    async fn service_stop(&self, request: Request<ServiceRequest>) -> Reply<ServiceChangeResponse> {
        self.change_service(&request.get_ref().id, super::small::Change::Stop).map(Response::new)
    }

    async fn shutdown(&self, _request: Request<wire::ShutdownRequest>) -> Reply<wire::ShutdownResponse> {
        let actor_id = self.begin_shutdown()?;
        Ok(Response::new(wire::ShutdownResponse { messages: vec![wire::Shutdown { metadata: None, actor_id }] }))
    }

    async fn system_stat(&self, _request: Request<()>) -> Reply<wire::SystemStatResponse> {
        self.system_info().map(Response::new)
    }

    async fn upgrade(&self, request: Request<wire::UpgradeRequest>) -> Reply<wire::UpgradeResponse> {
        let (ack, actor_id) = self.legacy_upgrade(request.get_ref())?;
        Ok(Response::new(wire::UpgradeResponse { messages: vec![wire::Upgrade { metadata: None, ack, actor_id }] }))
    }

    async fn version(&self, _request: Request<()>) -> Reply<wire::VersionResponse> {
        self.version_info().map(Response::new)
    }
}

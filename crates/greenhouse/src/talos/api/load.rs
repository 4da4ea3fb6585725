//! What the node's processors, memory, disk and network are doing: what `talosctl dashboard` draws. No process runs here, so
//! the numbers are those of an idle machine of this size, and grow with its uptime as an idle machine's do.

use super::super::node;
use super::super::proto::machine as wire;
use super::Api;
use crate::machine::Arch;
use tonic::Status;

/// Seconds of an uptime; more than a century is a century.
fn float(seconds: u64) -> f64 {
    f64::from(u32::try_from(seconds).unwrap_or(u32::MAX))
}

impl Api {
    /// Seconds since the boot, and the machine's cores.
    fn uptime(&self) -> Result<(u64, u32), Status> {
        self.look(|state| {
            let now = state.now();
            let since = node(state, self.boot.id).map_or(0, |node| now.duration_since(node.started).as_secs());
            let cores = state.machines.get(&self.boot.id).map_or(1, |machine| machine.cores);
            (u64::try_from(since).unwrap_or(0), cores)
        })
    }

    pub(super) fn memory_info(&self) -> Result<wire::MemoryResponse, Status> {
        self.look(|state| {
            let mib = state.machines.get(&self.boot.id).map_or(0, |machine| machine.memory_mib);
            // In KiB, as /proc/meminfo; the kernel keeps a little for itself.
            let memtotal = mib * 1024 * 97 / 100;
            let info = wire::MemInfo {
                memtotal,
                memfree: memtotal / 2,
                memavailable: memtotal * 7 / 10,
                buffers: memtotal / 100,
                cached: memtotal / 5,
            };
            wire::MemoryResponse { messages: vec![wire::Memory { metadata: None, meminfo: Some(info) }] }
        })
    }

    pub(super) fn system_info(&self) -> Result<wire::SystemStatResponse, Status> {
        let (seconds, cores) = self.uptime()?;
        let boot_time = self.look(|state| node(state, self.boot.id).map_or(0, |node| node.started.as_second()))?;
        // Of each core's time, 2 % goes to programs and 1 % to the kernel.
        let busy = |cores: u32| {
            let whole = float(seconds) * f64::from(cores);
            wire::CpuStat { user: whole * 0.02, nice: 0.0, system: whole * 0.01, idle: whole * 0.97 }
        };
        let message = wire::SystemStat {
            metadata: None,
            boot_time: u64::try_from(boot_time).unwrap_or(0),
            cpu_total: Some(busy(cores)),
            cpu: (0..cores).map(|_| busy(1)).collect(),
            process_running: 1,
        };
        Ok(wire::SystemStatResponse { messages: vec![message] })
    }

    pub(super) fn load_average(&self) -> Result<wire::LoadAvgResponse, Status> {
        self.look(|_| ())?;
        let messages = vec![wire::LoadAvg { metadata: None, load1: 0.3, load5: 0.2, load15: 0.1 }];
        Ok(wire::LoadAvgResponse { messages })
    }

    /// Cloud machines do not tell: their hypervisors hide the frequency governor.
    pub(super) fn frequencies(&self) -> Result<wire::CpuFreqStatsResponse, Status> {
        self.look(|_| ())?;
        Ok(wire::CpuFreqStatsResponse { messages: vec![wire::CpUsFreqStats::default()] })
    }

    pub(super) fn processors(&self) -> Result<wire::CpuInfoResponse, Status> {
        let (_, cores) = self.uptime()?;
        let arm =
            self.look(|state| state.machines.get(&self.boot.id).is_some_and(|machine| machine.arch == Arch::Arm64))?;
        let (vendor_id, model_name) = if arm { ("ARM", "Neoverse-N1") } else { ("AuthenticAMD", "AMD EPYC Processor") };
        let cpu_info = (0..cores).map(|processor| wire::CpuInfo {
            processor,
            vendor_id: vendor_id.into(),
            model_name: model_name.into(),
            // An ARM kernel does not tell.
            cpu_mhz: if arm { 0.0 } else { 2445.4 },
            siblings: cores,
            cpu_cores: cores,
        });
        let message = wire::CpUsInfo { metadata: None, cpu_info: cpu_info.collect() };
        Ok(wire::CpuInfoResponse { messages: vec![message] })
    }

    pub(super) fn disk_load(&self) -> Result<wire::DiskStatsResponse, Status> {
        let (seconds, _) = self.uptime()?;
        let disk = |name: &str| wire::DiskStat {
            name: name.into(),
            read_completed: 9_000,
            read_sectors: 900_000,
            write_completed: 2_000 + 3 * seconds,
            write_sectors: 60_000 + 48 * seconds,
        };
        let message = wire::DiskStats { metadata: None, total: Some(disk("total")), devices: vec![disk("sda")] };
        Ok(wire::DiskStatsResponse { messages: vec![message] })
    }

    pub(super) fn network_load(&self) -> Result<wire::NetworkDeviceStatsResponse, Status> {
        let (seconds, _) = self.uptime()?;
        let device = |name: &str, share: u64| wire::NetDev {
            name: name.into(),
            rx_bytes: share * (1 << 20) + 400 * share * seconds,
            rx_packets: share * 1_000 + 4 * share * seconds,
            tx_bytes: share * (1 << 19) + 300 * share * seconds,
            tx_packets: share * 700 + 3 * share * seconds,
        };
        let devices = vec![device("lo", 1), device("eth0", 3), device("tailscale0", 2)];
        let message = wire::NetworkDeviceStats { metadata: None, total: Some(device("total", 6)), devices };
        Ok(wire::NetworkDeviceStatsResponse { messages: vec![message] })
    }

    /// machined, and one process a service that runs.
    pub(super) fn process_list(&self) -> Result<wire::ProcessesResponse, Status> {
        let (seconds, _) = self.uptime()?;
        let names = self.look(|state| {
            let services = node(state, self.boot.id).into_iter().flat_map(|node| node.services.iter());
            let running = services.filter(|(id, service)| *id != "machined" && service.state == "Running");
            running.map(|(id, _)| id.trim_start_matches("ext-").to_owned()).collect::<Vec<_>>()
        })?;
        let process = |(pid, name): (i32, &str)| wire::ProcessInfo {
            pid,
            ppid: i32::from(pid != 1),
            state: "S".into(),
            threads: 12,
            cpu_time: float(seconds) / 100.0,
            virtual_memory: 1_300 << 20,
            resident_memory: 60 << 20,
            command: name.into(),
            executable: format!("/usr/bin/{name}"),
            args: format!("/usr/bin/{name}"),
        };
        let all = [(1, "machined")].into_iter().chain((2_000..).zip(names.iter().map(String::as_str)));
        let message = wire::Process { metadata: None, processes: all.map(process).collect() };
        Ok(wire::ProcessesResponse { messages: vec![message] })
    }
}

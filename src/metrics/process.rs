//! `process_*`, as every Prometheus client has it. What the system does not tell is left out.

use std::{
    fmt, fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
    registry::Unit,
};
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// This process.
#[derive(Debug)]
pub(super) struct Process {
    /// Seconds since 1970.
    started: f64,
}

impl Process {
    pub(super) fn started_now() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: started.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Time that the process has had on a CPU.";
        let seconds = Some(&Unit::Seconds);
        let family =
            encoder.encode_descriptor("process_cpu", help, seconds, MetricType::Counter)?;
        ConstCounter::new(cpu().as_secs_f64()).encode(family)?;
        let mut gauge = |name, help, unit: Option<&Unit>, value: Option<f64>| match value {
            Some(value) => {
                encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
            }
            None => Ok(()),
        };
        let bytes = Some(&Unit::Bytes);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let memory = |name| bytes_of(&status, name);
        gauge(
            "process_start_time",
            "When the process began, since 1970.",
            seconds,
            Some(self.started),
        )?;
        gauge("process_resident_memory", "Resident memory.", bytes, memory("VmRSS:"))?;
        gauge("process_virtual_memory", "Virtual memory.", bytes, memory("VmSize:"))?;
        gauge("process_open_fds", "Open file descriptors.", None, open_files())?;
        let most = getrlimit(Resource::Nofile).current;
        gauge("process_max_fds", "Most file descriptors that may be open.", None, most.map(as_f64))
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// A value of `/proc/self/status`, which counts in kB and means 1024 bytes.
fn bytes_of(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(as_f64(kib * 1024))
}

/// The one that reads the folder is not counted.
fn open_files() -> Option<f64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?.count().checked_sub(1)?;
    Some(as_f64(entries as u64))
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status =
            "Name:\thydra-operator\nVmSize:\t  123456 kB\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        assert_eq!(bytes_of(status, "VmRSS:"), Some(2_097_152.0));
        assert_eq!(bytes_of(status, "VmSwap:"), None);
        assert_eq!(bytes_of(status, "Threads:"), None);
    }
}

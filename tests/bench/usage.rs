//! What a process uses, by the kernel's account.

use std::{fs, time::Duration};

use crate::figures::Memory;

/// Its memory.
pub fn memory(pid: i32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    Memory { resident: bytes(&status, "VmRSS:"), peak: bytes(&status, "VmHWM:") }
}

fn bytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_else(|| panic!("no {name} in /proc/PID/status")) * 1024
}

/// The time that its threads have spent on a processor. `schedstat` counts nanoseconds, `stat` hundredths of a second,
/// which is too coarse for a restart.
pub fn processor_time(pid: i32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let spent = threads.flatten().filter_map(|thread| {
        let account = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        account.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

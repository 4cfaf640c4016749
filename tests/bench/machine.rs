//! What the figures were measured on.

use std::{fs, thread};

/// One line: cores, memory, kernel, and how busy others keep it, which decides how much the figures are worth.
pub fn describe() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let model = field(&read("/proc/cpuinfo"), "model name").unwrap_or("unknown model").to_owned();
    let memory = read("/proc/meminfo");
    let memory =
        field(&memory, "MemTotal").and_then(|value| value.strip_suffix(" kB")?.parse().ok());
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("unknown");
    let kernel = read("/proc/sys/kernel/osrelease");
    let gibibytes = memory.unwrap_or(0_u64).div_ceil(1024 * 1024);
    let kernel = kernel.trim();
    format!(
        "{cores} cores ({model}), {gibibytes} GiB of memory, Linux {kernel}, load average {load} before the run"
    )
}

/// The first value of `name` in a file of the form `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

//! What the machine is, and what a process has used of it. Linux tells it in `/proc`; elsewhere the
//! figures that need it cannot be measured.

use std::fs;
use std::time::Duration;

use anyhow::{Context, anyhow};

/// The unit of times in `/proc`: `USER_HZ`, which is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// One line about the machine.
pub(crate) fn description() -> String {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let after_colon = |line: &str| {
        line.split_once(':')
            .map(|(_, value)| value.trim().to_owned())
    };
    let model = cpu_info
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(after_colon);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = field_kb(&memory, "MemTotal:").unwrap_or_default();
    format!(
        "{} cores of {}, {:.0} GB of memory, {} {}",
        cores(),
        model.unwrap_or_else(|| "an unknown processor".to_owned()),
        memory as f64 / 1e6,
        std::env::consts::OS,
        std::env::consts::ARCH,
    )
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn field_kb(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The most memory that this process has had, in MB of 10^6 bytes.
pub(crate) fn peak_mb() -> anyhow::Result<f64> {
    peak_mb_of("self")
}

/// The most memory that a process has had, in MB of 10^6 bytes.
pub(crate) fn peak_mb_of(process: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let kb = field_kb(&status, "VmHWM:").ok_or_else(|| anyhow!("the peak memory is not told"))?;
    Ok(kb as f64 * 1_024.0 / 1e6)
}

/// The time that this thread has been computing. What others do on the machine is not in it.
pub(crate) fn thread_time() -> anyhow::Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    nanoseconds
        .map(Duration::from_nanos)
        .ok_or_else(|| anyhow!("{path} holds no time"))
}

/// The time that all threads of this process have been computing, for the kernel included.
pub(crate) fn process_time() -> anyhow::Result<Duration> {
    process_time_of("self")
}

/// The time that all threads of a process have been computing, for the kernel included.
pub(crate) fn process_time_of(process: &str) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    own_ticks(&stat, 0)
        .map(ticks)
        .ok_or_else(|| anyhow!("{path} holds no times"))
}

/// `utime` and `stime` of a `stat` line, or, two places on, those of the children waited for.
fn own_ticks(stat: &str, further: usize) -> Option<u64> {
    // The program's name stands in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11 + further);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

fn ticks(count: u64) -> Duration {
    TICK.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Tells how busy others kept the machine meanwhile: what makes a figure smaller than it is.
pub(crate) struct BusyMeter(Option<Busy>);

#[derive(Clone, Copy)]
struct Busy {
    all: u64,
    idle: u64,
    own: u64,
}

impl BusyMeter {
    pub(crate) fn start() -> Self {
        Self(busy())
    }

    /// How many cores were busy with anything but this process and the children it waited for.
    pub(crate) fn others_cores(&self) -> Option<f64> {
        let (before, after) = (self.0?, busy()?);
        let passed = (after.all - before.all) as f64;
        let busy = passed - (after.idle - before.idle) as f64;
        let others = (busy - (after.own - before.own) as f64).max(0.0);
        (passed > 0.0).then(|| others / passed * cores() as f64)
    }
}

fn busy() -> Option<Busy> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().next()?;
    let times: Vec<u64> = line
        .split_whitespace()
        .filter_map(|t| t.parse().ok())
        .collect();
    // user, nice, system, idle, waiting for input, two kinds of interrupts, stolen
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    Some(Busy {
        all: times.iter().take(8).sum(),
        idle: times.iter().skip(3).take(2).sum(),
        own: own_ticks(&own, 0)? + own_ticks(&own, 2)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_process_are_found_behind_whatever_it_is_called() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 5 6 20 0 1 0 99";
        assert_eq!(own_ticks(stat, 0), Some(42));
        assert_eq!(own_ticks(stat, 2), Some(11));
        assert_eq!(own_ticks("7 (a) S 1", 0), None);
    }

    #[test]
    fn a_field_of_proc_is_found_by_its_name() {
        let status = "Name:\tx\nVmHWM:\t  1234 kB\n";
        assert_eq!(field_kb(status, "VmHWM:"), Some(1_234));
        assert_eq!(field_kb(status, "VmPeak:"), None);
    }
}

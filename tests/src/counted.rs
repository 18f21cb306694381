//! Metrics that a test can read, of a function by its name.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use weir_runtime::{Clock, Metric, Metrics, Namespace};

#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a function has counted since it began. That it counts only what it is said to is asserted.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Where it counts.
    pub metrics: Metrics,
    written: Written,
}

impl Counted {
    /// Nothing yet of a function.
    pub fn of(function: &str, clock: &Clock) -> Self {
        let written = Written::default();
        let namespace = Namespace::default();
        Self {
            metrics: Metrics::new(namespace, function, clock.clone(), written.clone()),
            written,
        }
    }

    /// What a count has come to.
    pub fn sum(&self, metric: Metric) -> u64 {
        self.metrics.flush();
        let written = self.written.0.lock().unwrap();
        let lines = written.split(|byte| *byte == b'\n');
        lines
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice::<Value>(line).unwrap())
            .filter_map(|line| line[metric.name()].as_u64())
            .sum()
    }
}

//! What the log says of details that an action had to leave out.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use weir_domain::BatchAction;
use weir_runtime::telemetry::{self, TelemetryOptions};
use weir_tests::rig::Rig;

use super::actions_hand::{act, charges, taken};

/// Lines that are named, each by a line of the log.
const NAMED_MAX: u32 = 1_000;

#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn of_more_details_that_cannot_be_read_than_are_named_the_log_says_how_many() {
    let rig = Rig::start().await;
    let file = taken(&rig, &charges(NAMED_MAX + 3)).await;
    let batch = rig.batch(file, 1).await;
    let mut damaged = 0;
    for (count, beyond) in [
        (NAMED_MAX - 1, None),
        (NAMED_MAX, None),
        (NAMED_MAX + 1, Some(1)),
        (NAMED_MAX + 2, Some(2)),
    ] {
        while damaged < count {
            damaged += 1;
            rig.parts.damage(batch.id, damaged, None).await;
        }
        let logged = Logged::default();
        let (writer, clock) = (logged.clone(), rig.parts.timeline.clock().clone());
        let options = TelemetryOptions::default();
        let subscriber = telemetry::subscriber(&options, clock, move || writer.clone());
        let guard = tracing::subscriber::set_default(subscriber);
        act(&rig, file, BatchAction::Cancel).await.unwrap();
        drop(guard);
        let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        let named = lines.iter().filter(|line| line["detail_id"].is_string());
        assert_eq!(named.count(), count.min(NAMED_MAX) as usize);
        let summed = |line: &Value| Some(line.get("count")?.as_u64().unwrap());
        let summed: Vec<u64> = lines.iter().filter_map(summed).collect();
        assert_eq!(summed, beyond.into_iter().collect::<Vec<_>>(), "{count}");
    }
}

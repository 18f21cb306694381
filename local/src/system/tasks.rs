//! The tasks that go on as long as the system does, each with the name of the part that it is of.

use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinSet};

/// The tasks. Dropping them ends them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tasks: JoinSet<()>,
    parts: HashMap<Id, &'static str>,
}

impl Tasks {
    pub(super) fn spawn(
        &mut self,
        part: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(task);
        self.parts.insert(handle.id(), part);
    }

    /// Waits until one of them has ended or panicked, and tells of which part it was. Without any
    /// tasks it waits for ever.
    pub(super) async fn ended(&mut self) -> &'static str {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.parts.remove(&id).unwrap_or("a task")
    }

    /// Ends them all.
    pub(super) async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_told_which_part_has_ended_or_panicked() {
        let mut tasks = Tasks::default();
        tasks.spawn("endless", std::future::pending());
        tasks.spawn("short", async {});
        assert_eq!(tasks.ended().await, "short");
        tasks.spawn("broken", async { panic!("on purpose") });
        assert_eq!(tasks.ended().await, "broken");
        tasks.stop().await;
    }
}

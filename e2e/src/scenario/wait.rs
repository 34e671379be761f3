//! Waiting for something to become true, and saying what was seen last when it did not.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Long enough for a pod to start on two busy cores.
pub const MINUTE: Duration = Duration::from_secs(60);
/// How often one looks. Kubernetes tells of changes through watches; a story is easier to read without them.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Looks until `look` succeeds. Its error says what is not as it should be; the last one is shown at the deadline.
pub async fn wait_until<T>(what: &str, deadline: Duration, look: impl AsyncFn() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let mut tick = interval(LOOK_AGAIN);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = anyhow!("nothing yet");
    loop {
        tick.tick().await;
        let left = deadline.saturating_sub(began.elapsed());
        match timeout(left, look()).await {
            Ok(Ok(value)) => {
                println!("  {:>5.1} s  {what}", began.elapsed().as_secs_f32());
                return Ok(value);
            }
            Ok(Err(error)) if !left.is_zero() => seen = error,
            Ok(Err(error)) => seen = error.context("at the deadline"),
            Err(_) => {}
        }
        if began.elapsed() >= deadline {
            return Err(anyhow!("waited {deadline:?} until {what}; last seen: {seen:#}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anyhow::ensure;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_true_later_is_awaited() {
        let looks = Cell::new(0);
        let found = wait_until("three looks are over", MINUTE, async || {
            looks.set(looks.get() + 1);
            ensure!(looks.get() > 3, "only {} looks", looks.get());
            Ok(looks.get())
        });
        assert_eq!(found.await.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_deadline_the_last_sight_is_told_even_when_a_look_hangs() {
        let looks = Cell::new(0);
        let never = wait_until("it is Ready", MINUTE, async || {
            looks.set(looks.get() + 1);
            if looks.get() > 2 {
                std::future::pending::<()>().await;
            }
            Err::<(), _>(anyhow!("phase is Pending"))
        });
        let error = never.await.unwrap_err().to_string();
        assert!(
            error.contains("until it is Ready") && error.ends_with("last seen: phase is Pending"),
            "{error}"
        );
    }
}

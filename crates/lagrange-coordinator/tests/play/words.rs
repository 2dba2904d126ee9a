//! Commands in words.

use lagrange_coordinator::{Command, RunEvent, WorkerId};
use lagrange_protocol::{Job, WorkHeader};

/// One line for `command`.
pub fn of(command: &Command, name: impl Fn(WorkerId) -> String) -> String {
    match command {
        Command::Send { worker, header, .. } => given(&name(*worker), header),
        Command::Drop {
            worker,
            reason,
            may_return,
        } => {
            let how = match may_return {
                true => "may return",
                false => "for good",
            };
            format!("drop {}, {how}: {reason}", name(*worker))
        }
        Command::Release { worker } => format!("release {}", name(*worker)),
        Command::Report(report) => format!("report {}", reported(report, name)),
        Command::Checkpoint(snapshot) => format!("checkpoint of step {}", snapshot.facts.steps().0),
        Command::End(Ok(outcome)) => {
            let how = match outcome.interrupted {
                true => ", interrupted",
                false => "",
            };
            format!("end with a result of {} steps{how}", outcome.steps)
        }
        Command::End(Err(error)) => {
            format!("end without a result: {}", named(&error.to_string(), name))
        }
    }
}

fn given(name: &str, header: &WorkHeader) -> String {
    let WorkHeader { round, attempt, .. } = header;
    let job = match header.job {
        Job::InitialCentroids { stage } => format!("initial centroids of stage {}", stage + 1),
        Job::Cluster { stage } => format!("clusters of stage {}", stage + 1),
        Job::Moments { stage } => format!("moments of stage {}", stage + 1),
        Job::Round(round) if round.stage == 0 => format!("step {}", round.step + 1),
        Job::Round(round) => format!("step {} part {}", round.step + 1, round.stage + 1),
        Job::Evaluate { split } => format!("evaluate {split:?}").to_lowercase(),
    };
    let shards = ranges(&header.shards);
    match header.replay {
        true => format!("{name} redoes {job}: shards {shards}"),
        false => format!("{name} gets {round}.{attempt}, {job}: shards {shards}"),
    }
}

/// Shards as `0-3 6`.
fn ranges(shards: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &shard in shards {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == shard => *last = shard,
            _ => ranges.push((shard, shard)),
        }
    }
    let words = ranges.iter().map(|&(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn reported(report: &RunEvent, name: impl Fn(WorkerId) -> String) -> String {
    match report {
        RunEvent::Membership { workers, change } => {
            format!("{workers} present: {}", named(change, name))
        }
        RunEvent::Start { stage, round } => format!("{round} of stage {} done", stage + 1),
        RunEvent::Step(step) => format!("step {} of {} done", step.step, step.total),
        RunEvent::Rollback { step, to, .. } => format!("step {step} went wrong, back to step {to}"),
        RunEvent::Evaluation(evaluation) => {
            let split = format!("{:?}", evaluation.split).to_lowercase();
            format!("{split} evaluated after step {}", evaluation.step)
        }
        RunEvent::FailedCheck(failed) => {
            format!(
                "{} failed in step {}",
                failed.failed.tally.check, failed.step
            )
        }
        RunEvent::Best(best) => format!("best so far after step {}", best.evaluation.step),
        RunEvent::Workers { present, .. } => format!("{} workers", present.len()),
        RunEvent::Iterate { step, .. } => format!("weights of step {step}"),
    }
}

/// `text` with `worker 3` as the name that it has in the case.
fn named(text: &str, name: impl Fn(WorkerId) -> String) -> String {
    let number = text.strip_prefix("worker ").and_then(|rest| {
        let (number, rest) = rest.split_once(' ')?;
        Some((number.parse().ok()?, rest))
    });
    match number {
        Some((worker, rest)) => format!("{} {rest}", name(worker)),
        None => text.to_owned(),
    }
}

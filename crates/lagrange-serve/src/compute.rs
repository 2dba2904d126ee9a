//! The thread that computes.

use lagrange::Model;
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Images of a request, and where their scores go.
struct Order {
    pixels: Vec<u8>,
    done: oneshot::Sender<Vec<f32>>,
}

/// Where images wait for their scores.
#[derive(Clone)]
pub(crate) struct Queue(mpsc::Sender<Order>);

/// Starts the thread, which ends when the last queue is gone. At most `room` requests wait.
pub(crate) fn start(model: Arc<Model>, room: usize) -> io::Result<Queue> {
    let (sender, mut orders) = mpsc::channel::<Order>(room.max(1));
    let work = move || {
        let mut scorer = model.scorer();
        while let Some(first) = orders.blocking_recv() {
            let mut waiting = vec![first];
            // Whatever has come meanwhile is computed with it.
            while let Ok(next) = orders.try_recv() {
                waiting.push(next);
            }
            let pixels: Vec<u8> = waiting
                .iter()
                .flat_map(|order| &order.pixels)
                .copied()
                .collect();
            let mut scores = Vec::new();
            scorer.each(&pixels, |outputs| scores.extend_from_slice(outputs));
            let mut scores = scores.into_iter();
            for Order { pixels, done } in waiting {
                let count = pixels.len() / scorer.image() * scorer.outputs();
                // Who does not wait any more has hung up.
                let _ = done.send(scores.by_ref().take(count).collect());
            }
        }
    };
    std::thread::Builder::new()
        .name("compute".to_owned())
        .spawn(work)?;
    Ok(Queue(sender))
}

impl Queue {
    /// The scores of images, `[n, O]`; none if the thread is gone. `pixels` are whole images.
    pub(crate) async fn scores(&self, pixels: Vec<u8>) -> Option<Vec<f32>> {
        let (done, scores) = oneshot::channel();
        self.0.send(Order { pixels, done }).await.ok()?;
        scores.await.ok()
    }
}

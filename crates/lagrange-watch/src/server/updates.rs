//! Changes of the page, as server-sent events: each browser is sent the parts that it does not have yet, as
//! fast as it takes them and no faster than they are drawn.

use super::routes::Shared;
use crate::page::Parts;
use axum::response::sse::{Event, KeepAlive, Sse};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

/// Time between two looks at the run.
const PAUSE: Duration = Duration::from_secs(1);

/// The changes from now on; first of all, every part.
pub(super) fn updates(
    shared: Arc<Shared>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    // A browser that does not listen has one update waiting, and no more are drawn for it.
    let (sender, events) = channel(1);
    tokio::spawn(tell(shared, sender));
    Sse::new(ReceiverStream::new(events)).keep_alive(KeepAlive::default())
}

/// Sends changes until the browser is gone or the run is over.
async fn tell(shared: Arc<Shared>, browser: Sender<Result<Event, Infallible>>) {
    let mut over = shared.watch.over();
    let mut shown = Arc::new(Parts::new());
    loop {
        let is_over = *over.borrow_and_update();
        let parts = shared.parts();
        let changed: Parts = parts
            .iter()
            .filter(|(id, part)| shown.get(*id) != Some(*part))
            .map(|(id, part)| (id.clone(), part.clone()))
            .collect();
        shown = parts;
        if !changed.is_empty() {
            let Ok(event) = Event::default().event("parts").json_data(&changed) else {
                return;
            };
            if browser.send(Ok(event)).await.is_err() {
                return;
            }
        }
        if is_over {
            // Browsers pass over an event without data.
            let over = Event::default().event("over").data("over");
            let _ = browser.send(Ok(over)).await;
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = over.changed() => {}
            () = browser.closed() => return,
        }
    }
}

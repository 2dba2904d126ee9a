//! A run of the library with a page that shows it: `cargo run --release --example page -- 127.0.0.1:7401`.

use lagrange::{Cluster, Dataset, Sources};
use lagrange_watch::{Access, Dashboard, Watch};
use std::net::TcpListener;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0"))?;
    let watch = Watch::default();
    let dashboard = Dashboard::start(listener, watch.clone(), Access::default())?;
    watch.say(&format!("this page is {}", dashboard.url()));

    let data = Arc::new(Dataset::load(None)?);
    let sources = Sources::default().preset("quick");
    let config = sources.set("schedule.evaluate-every=20")?.resolve()?;
    let run = Cluster::in_process(2)
        .observe(watch.observer())
        .train_blocking(config, data);
    let error = run.as_ref().err().map(ToString::to_string);
    // Pages that are open are told of the end.
    watch.end(run.as_ref().ok().map(|run| &run.result), error);
    drop(dashboard);
    run?;
    Ok(())
}

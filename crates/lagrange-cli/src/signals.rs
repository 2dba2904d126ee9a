//! When to stop: Ctrl-C, SIGTERM, or a parent that is gone.

/// Resolves at the first Ctrl-C or SIGTERM. The second one ends the process at once.
pub async fn interrupted() {
    next_signal().await;
    tokio::spawn(async {
        next_signal().await;
        std::process::exit(130);
    });
}

#[cfg(unix)]
async fn next_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => ctrl_c().await,
    }
}

#[cfg(not(unix))]
async fn next_signal() {
    ctrl_c().await;
}

async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Takes Ctrl-C from the default handler, which would end the process.
pub fn absorb_interrupts() {
    tokio::spawn(async {
        loop {
            ctrl_c().await;
        }
    });
}

/// Resolves when stdin closes. A thread of its own waits for that: a read of stdin cannot be cancelled.
pub async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = wait.await;
}

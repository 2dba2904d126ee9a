//! The standard health service: what probes are told, and how little they can take from a run.

use crate::binary::coordinator::{Coordinator, certificates};
use crate::binary::path;
use crate::binary::process::wait_until;
use lagrange_coordinator::{Rules, Stop, connections_of, serve};
use lagrange_protocol::limits::{ADMISSION_BYTES, MAX_STRANGERS};
use lagrange_tests::{Prepared, bars, small_config};
use std::path::Path;
use std::time::Duration;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const JOIN: &str = "lagrange.v1.Training";

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn plain(address: &str) -> Result<HealthClient<Channel>, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(HealthClient::new(endpoint.connect().await?))
}

/// Asks after both services that there are, once and by watching, and after one that there is not.
async fn assert_serving(mut client: HealthClient<Channel>) {
    for service in ["", JOIN] {
        let answer = client.check(about(service)).await.expect("an answer");
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
        let watch = client.watch(about(service)).await.expect("a stream");
        let answer = watch.into_inner().message().await.expect("an answer");
        assert_eq!(
            answer.map(|answer| answer.status()),
            Some(ServingStatus::Serving)
        );
    }
    let other = client.check(about("other")).await.expect_err("unknown");
    assert_eq!(other.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_need_no_token() {
    let folder = tempfile::tempdir().expect("folder");
    let made = certificates(folder.path(), "made");
    let token = made.join("token");
    let coordinator = Coordinator::start(folder.path(), 1, &["--token-file", path(&token)]);
    assert_serving(plain(&coordinator.address).await.expect("connects")).await;
    assert_eq!(coordinator.kill(), "", "a probe is no news");
}

/// A client that believes the authority of a folder.
fn believing(folder: &Path) -> ClientTlsConfig {
    let authority = std::fs::read(folder.join("ca.pem")).expect("read");
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority))
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_probes_need_a_certificate() {
    let folder = tempfile::tempdir().expect("folder");
    let made = certificates(folder.path(), "made");
    let coordinator = Coordinator::start(folder.path(), 1, &["--tls", path(&made)]);
    let probe = async |tls: ClientTlsConfig| {
        let endpoint = Endpoint::from_shared(format!("https://{}", coordinator.address));
        let endpoint = endpoint.expect("address").tls_config(tls).expect("files");
        endpoint.connect().await.map(HealthClient::new)
    };
    // In TLS 1.3 a client hears only afterwards that it is refused.
    let refused = match probe(believing(&made)).await {
        Ok(mut client) => client.check(about("")).await.is_err(),
        Err(_) => true,
    };
    assert!(refused);

    let read = |name: &str| std::fs::read(made.join(name)).expect("read");
    let identity = Identity::from_pem(read("worker.pem"), read("worker.key"));
    let client = probe(believing(&made).identity(identity)).await;
    assert_serving(client.expect("connects")).await;
    coordinator.wait_for_log("it shows no certificate");
    let _ = coordinator.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_sees_the_run_end() {
    let dataset = bars(200, 20);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("port");
    let address = listener.local_addr().expect("address").to_string();
    let options = Prepared::options(dataset.sha256());
    let training = Prepared::new(&small_config(4), &dataset).begin(Rules::default());
    let (interrupt, interrupted) = tokio::sync::oneshot::channel();
    let run = tokio::spawn(serve(connections_of(listener), training, options, async {
        let _ = interrupted.await;
        Stop::Wished
    }));
    let mut client = plain(&address).await.expect("connects");
    let watch = client.watch(about(JOIN)).await.expect("a stream");
    let mut watch = watch.into_inner();
    let mut next = async || {
        let answer = watch.message().await.expect("an answer or the end");
        answer.map(|answer| answer.status())
    };
    assert_eq!(next().await, Some(ServingStatus::Serving));
    interrupt.send(()).expect("still there");
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    assert_eq!(next().await, None);
    // Nobody holds it up by watching.
    let ended = tokio::time::timeout(Duration::from_secs(2), run).await;
    assert!(
        ended.expect("in time").expect("joins").is_err(),
        "interrupted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_without_end_is_cut_off() {
    let folder = tempfile::tempdir().expect("folder");
    let coordinator = Coordinator::start(folder.path(), 1, &[]);
    let mut client = plain(&coordinator.address).await.expect("connects");
    let mut answers = 0;
    while client.check(about(JOIN)).await.is_ok() {
        answers += 1;
        assert!(answers < ADMISSION_BYTES, "more answers than bytes allowed");
    }
    assert!(answers > 100, "{answers}: enough for any probe");
    // That was one connection.
    assert_serving(plain(&coordinator.address).await.expect("connects")).await;
    let _ = coordinator.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_probes_keeps_no_worker_out() {
    let folder = tempfile::tempdir().expect("folder");
    let coordinator = Coordinator::start(folder.path(), 8, &[]);
    let address = coordinator.address.clone();
    let (first, flooded) = tokio::sync::oneshot::channel();
    let flood = tokio::spawn(async move {
        let mut first = Some(first);
        let mut open = Vec::new();
        while let Ok(mut client) = plain(&address).await {
            // Whoever leaves connections open, with a question out on each.
            let watch = client.watch(about("")).await;
            open.push((client, watch));
            if open.len() == 3 * MAX_STRANGERS
                && let Some(first) = first.take()
            {
                let _ = first.send(());
            }
            // Two cores are to train meanwhile.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        open.len()
    });
    flooded.await.expect("the flood goes on");
    let run = tokio::task::spawn_blocking(move || {
        let mut worker = coordinator.worker(&[]);
        let result = coordinator.result();
        wait_until("the worker's end", || {
            worker.try_wait().expect("a child").is_some()
        });
        result
    });
    let result = run.await.expect("the run ends well");
    assert_eq!(result["steps"], 64);
    let opened = flood.await.expect("ends with the coordinator");
    println!("{opened} connections");
}

//! Who may join: peers of another version, dataset or network are refused on both sides, with words.

use crate::binary::lagrange;
use lagrange_coordinator::{Rules, connections_of, serve};
use lagrange_protocol::limits::PROTOCOL_VERSION;
use lagrange_protocol::v1::training_client::TrainingClient;
use lagrange_protocol::v1::training_server::{Training as Service, TrainingServer};
use lagrange_protocol::v1::{self, worker_message::Kind};
use lagrange_tests::{Prepared, bars, small_config, write_idx};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

/// A coordinator of a small run that waits for workers until the test ends.
async fn coordinator() -> (SocketAddr, [u8; 32]) {
    let dataset = bars(200, 20);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("address");
    let options = Prepared::options(dataset.sha256());
    let training = Prepared::new(&small_config(4), &dataset).begin(Rules::default());
    let incoming = connections_of(listener);
    tokio::spawn(serve(incoming, training, options, std::future::pending()));
    (address, dataset.sha256())
}

async fn join(
    address: SocketAddr,
    messages: Vec<Kind>,
) -> Result<Streaming<v1::CoordinatorMessage>, Status> {
    let mut client = TrainingClient::connect(format!("http://{address}"))
        .await
        .expect("connects");
    let messages = messages
        .into_iter()
        .map(|kind| v1::WorkerMessage { kind: Some(kind) });
    // The stream stays open behind its last message.
    let stream = tokio_stream::iter(messages).chain(tokio_stream::pending());
    client.join(stream).await.map(Response::into_inner)
}

fn hello(dataset: [u8; 32]) -> v1::Hello {
    v1::Hello {
        protocol_version: PROTOCOL_VERSION,
        dataset_sha256: dataset.to_vec(),
        threads: 1,
        ..v1::Hello::default()
    }
}

#[tokio::test]
async fn the_coordinator_refuses_strangers() {
    let (address, dataset) = coordinator().await;
    let refused = async |hello: v1::Hello| {
        let status = join(address, vec![Kind::Hello(hello)])
            .await
            .expect_err("refused");
        assert_eq!(status.code(), tonic::Code::FailedPrecondition);
        status.message().to_owned()
    };
    let version = refused(v1::Hello {
        protocol_version: 99,
        ..hello(dataset)
    })
    .await;
    assert!(
        version.contains(&format!(
            "protocol version 99 where {PROTOCOL_VERSION} is spoken"
        )),
        "{version}"
    );
    let data = refused(hello([0; 32])).await;
    assert!(
        data.contains("dataset 000000000000") && data.contains("--data"),
        "{data}"
    );
    let network = refused(v1::Hello {
        architecture: "28x28x1".to_owned(),
        ..hello(dataset)
    })
    .await;
    assert!(network.contains("architecture `28x28x1`"), "{network}");

    let early = join(address, vec![Kind::Ready(v1::Ready::default())])
        .await
        .expect_err("refused");
    assert!(early.message().contains("first message must be a hello"));
    let ready = Kind::Ready(v1::Ready {
        spec_sha256: vec![7; 32],
    });
    let mut stream = join(address, vec![Kind::Hello(hello(dataset)), ready])
        .await
        .expect("welcome");
    assert!(matches!(stream.message().await, Ok(Some(_))));
    let late = stream.message().await.expect_err("refused");
    assert!(late.message().contains("another run"), "{late}");
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_ends_the_connection() {
    let (address, dataset) = coordinator().await;
    let run = Prepared::new(&small_config(4), &bars(200, 20)).spec;
    let ready = Kind::Ready(v1::Ready {
        spec_sha256: run.sha256().to_vec(),
    });
    let reply = Kind::Reply(v1::Reply {
        run: "test".to_owned(),
        payload_floats: u64::MAX,
        ..v1::Reply::default()
    });
    let mut stream = join(address, vec![Kind::Hello(hello(dataset)), ready, reply])
        .await
        .expect("welcome");
    let error = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(status) => break status,
        }
    };
    assert!(error.message().contains("nobody asked for"), "{error}");
}

/// A coordinator of a later release, which speaks another version.
struct Later;

#[tonic::async_trait]
impl Service for Later {
    type JoinStream =
        std::pin::Pin<Box<dyn Stream<Item = Result<v1::CoordinatorMessage, Status>> + Send>>;

    async fn join(
        &self,
        _: Request<Streaming<v1::WorkerMessage>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let refusal = lagrange_protocol::Refusal::ProtocolVersion {
            theirs: PROTOCOL_VERSION,
            ours: 99,
        };
        Err(refusal.into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_version_ends_with_the_coordinators_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("address").to_string();
    let server = tonic::transport::Server::builder().add_service(TrainingServer::new(Later));
    tokio::spawn(
        server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)),
    );
    let output =
        tokio::task::spawn_blocking(move || lagrange(&["worker", "--connect", &address]).output());
    let output = output.await.expect("joins").expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains(&format!(
            "refused by the coordinator: protocol version {PROTOCOL_VERSION} where 99 is spoken"
        )),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_other_data_is_refused() {
    let (address, _) = coordinator().await;
    let folder = tempfile::tempdir().expect("folder");
    write_idx(&bars(100, 20), folder.path());
    let output = tokio::task::spawn_blocking(move || {
        let directory = folder.path().to_str().expect("UTF-8");
        lagrange(&[
            "worker",
            "--connect",
            &address.to_string(),
            "--data",
            directory,
        ])
        .output()
    });
    let output = output.await.expect("joins").expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("refused by the coordinator: dataset"),
        "{stderr}"
    );
}

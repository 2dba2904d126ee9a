//! The standard health service of gRPC, `grpc.health.v1.Health`, for probes. It asks for no token, and a
//! probe never becomes more than a stranger.

use crate::service::Service;
use lagrange_protocol::v1::training_server::TrainingServer;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health as Probed, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

/// What is asked about: the server as a whole, which has no name, and the service that workers join.
const SERVICES: [&str; 2] = ["", <TrainingServer<Service> as NamedService>::NAME];

/// What probes are told.
#[derive(Debug, Clone)]
pub(crate) struct Health(HealthReporter);

impl Health {
    /// Serving, and the service that says so.
    pub(crate) async fn serving() -> (Self, HealthServer<impl Probed>) {
        let (reporter, server) = health_reporter();
        let health = Self(reporter);
        health.tell(ServingStatus::Serving).await;
        (health, server)
    }

    /// The run is over: nobody may join it any more.
    pub(crate) async fn over(&self) {
        self.tell(ServingStatus::NotServing).await;
    }

    /// Ends the streams of those who watch, which nothing else would.
    pub(crate) async fn close(mut self) {
        for service in SERVICES {
            self.0.clear_service_status(service).await;
        }
    }

    async fn tell(&self, status: ServingStatus) {
        for service in SERVICES {
            self.0.set_service_status(service, status).await;
        }
    }
}

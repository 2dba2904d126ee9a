//! Requests.

use crate::Options;
use crate::compute::Queue;
use crate::inference::{Request, answer, metadata};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use lagrange::Model;
use lagrange_import::unlabelled_picture;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tonic::metadata::MetadataMap;

/// What all requests share.
struct Shared {
    model: Arc<Model>,
    queue: Queue,
    options: Options,
    places: Semaphore,
}

type Server = State<Arc<Shared>>;

/// An answer that is none: a status and what is wrong.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn bad(fault: impl ToString) -> Refused {
    Refused(StatusCode::BAD_REQUEST, fault.to_string())
}

pub(crate) fn router(model: Arc<Model>, queue: Queue, options: Options) -> Router {
    let limit = DefaultBodyLimit::max(options.body);
    let shared = Arc::new(Shared {
        places: Semaphore::new(options.requests.max(1)),
        model,
        queue,
        options,
    });
    let judging = Router::new()
        .route("/predict", post(predict))
        .route("/v2/models/{name}/infer", post(infer))
        .layer(limit)
        .layer(from_fn_with_state(Arc::clone(&shared), limited));
    Router::new()
        .route("/v2", get(server))
        .route("/v2/models/{name}", get(model_metadata))
        .route("/v2/models/{name}/ready", get(model_ready))
        .merge(judging)
        .layer(from_fn_with_state(Arc::clone(&shared), known))
        // Probes have no token.
        .route("/v2/health/live", get(async || StatusCode::OK))
        .route("/v2/health/ready", get(async || StatusCode::OK))
        .fallback(async || Refused(StatusCode::NOT_FOUND, "there is no such address".to_owned()))
        .with_state(shared)
}

/// Lets only those in who show the token, if one is asked for.
async fn known(
    State(shared): Server,
    headers: HeaderMap,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let shown =
        |token: &lagrange_protocol::Token| token.is_shown(&MetadataMap::from_headers(headers));
    match shared.options.token.as_ref().is_none_or(shown) {
        true => next.run(request).await,
        false => Refused(
            StatusCode::UNAUTHORIZED,
            "the token is missing or wrong".to_owned(),
        )
        .into_response(),
    }
}

/// Lets only so many in at once, and each for so long.
async fn limited(State(shared): Server, request: axum::extract::Request, next: Next) -> Response {
    let Options {
        requests, patience, ..
    } = shared.options;
    let Ok(_place) = shared.places.try_acquire() else {
        let fault = format!("{requests} requests are under way; try again");
        return Refused(StatusCode::SERVICE_UNAVAILABLE, fault).into_response();
    };
    let answer = tokio::time::timeout(patience, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let seconds = patience.as_secs_f64();
        let fault = format!("not sent and answered within {seconds} s (--patience)");
        Refused(StatusCode::REQUEST_TIMEOUT, fault).into_response()
    })
}

/// How much is said of a picture.
#[derive(Deserialize)]
struct Detail {
    /// Most probable classes; all where none is given.
    top: Option<usize>,
}

async fn predict(
    State(shared): Server,
    Query(detail): Query<Detail>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let shape = shared.model.network.input();
    let decoded = tokio::task::spawn_blocking(move || unlabelled_picture(&body, shape)).await;
    let pixels = decoded
        .map_err(|_| gone())?
        .map_err(|fault| bad(format!("the body: {fault}")))?;
    let scores = shared.queue.scores(pixels).await.ok_or_else(gone)?;
    let model = &shared.model;
    let names = model.question.names();
    let ranked = model.ranked(&scores);
    let classes = ranked.iter().take(detail.top.unwrap_or(usize::MAX));
    let classes =
        classes.map(|&(class, share)| json!({ "label": names[class], "probability": share }));
    Ok(Json(json!({
        "label": ranked.first().map(|&(class, _)| &names[class]),
        "classes": classes.collect::<Vec<_>>(),
        "scores": scores,
    })))
}

async fn infer(
    State(shared): Server,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    shared.check(&name)?;
    let request: Request =
        serde_json::from_slice(&body).map_err(|fault| bad(format!("the body: {fault}")))?;
    let (id, pixels) = request.images(&shared.model).map_err(bad)?;
    let scores = shared.queue.scores(pixels).await.ok_or_else(gone)?;
    Ok(Json(answer(&shared.model, &name, id, &scores)))
}

async fn server() -> Json<Value> {
    Json(json!({ "name": "lagrange", "version": env!("CARGO_PKG_VERSION"), "extensions": [] }))
}

async fn model_metadata(
    State(shared): Server,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refused> {
    shared.check(&name)?;
    Ok(Json(metadata(&shared.model, &name)))
}

async fn model_ready(
    State(shared): Server,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    shared.check(&name).map(|()| StatusCode::OK)
}

impl Shared {
    /// Refuses other models.
    fn check(&self, name: &str) -> Result<(), Refused> {
        let own = &self.options.name;
        match name == own {
            true => Ok(()),
            false => Err(Refused(
                StatusCode::NOT_FOUND,
                format!("the model here is called `{own}`"),
            )),
        }
    }
}

/// The thread that computes is gone: a defect of Lagrange.
fn gone() -> Refused {
    let fault = "the computing thread died; please report this";
    Refused(StatusCode::INTERNAL_SERVER_ERROR, fault.to_owned())
}

//! Requests.

use super::{door, updates};
use crate::page::{Parts, SCRIPT, STYLE, door as door_page, page, parts};
use crate::{RunState, Watch, run_json};
use axum::extract::{Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use lagrange_protocol::Token;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A page that is younger is not drawn again, however many browsers ask.
const FRESH: Duration = Duration::from_millis(500);
/// Nothing but what this server has, and nobody else's page around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What all requests share.
pub(super) struct Shared {
    pub(super) watch: Watch,
    token: Option<Token>,
    address: SocketAddr,
    drawn: Mutex<Option<Drawn>>,
}

/// The parts of the page as they were drawn last.
struct Drawn {
    at: Instant,
    over: bool,
    parts: Arc<Parts>,
}

impl Shared {
    /// The parts of the page, as they are now or were a moment ago.
    pub(super) fn parts(&self) -> Arc<Parts> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let over = self.watch.look(|state| state.ending().is_some());
        if let Some(last) = &*drawn
            && last.over == over
            && (over || last.at.elapsed() < FRESH)
        {
            return Arc::clone(&last.parts);
        }
        let parts = Arc::new(parts(&self.state(), self.watch.elapsed()));
        *drawn = Some(Drawn {
            at: Instant::now(),
            over,
            parts: Arc::clone(&parts),
        });
        parts
    }

    /// A copy of the state: drawing takes longer than the run's events may wait.
    fn state(&self) -> RunState {
        self.watch.look(RunState::clone)
    }
}

type Server = State<Arc<Shared>>;

pub(super) fn router(watch: Watch, token: Option<Token>, address: SocketAddr) -> Router {
    let shared = Arc::new(Shared {
        watch,
        token,
        address,
        drawn: Mutex::default(),
    });
    Router::new()
        .route("/", get(whole))
        .route("/updates", get(changes))
        .route("/api/run", get(run))
        .route("/api/curves", get(curves))
        .layer(from_fn_with_state(Arc::clone(&shared), known))
        // They say nothing of the run.
        .route("/style.css", get(async || text("text/css", STYLE.concat())))
        .route(
            "/live.js",
            get(async || text("text/javascript", SCRIPT.to_owned())),
        )
        .fallback(async || refused(StatusCode::NOT_FOUND, "there is no such address"))
        .layer(from_fn_with_state(Arc::clone(&shared), guarded))
        .with_state(shared)
}

async fn whole(State(shared): Server) -> Html<String> {
    let parts = shared.parts();
    Html(page(&shared.state(), &parts))
}

async fn changes(State(shared): Server) -> impl IntoResponse {
    updates::updates(shared)
}

async fn run(State(shared): Server) -> Json<Value> {
    let elapsed = shared.watch.elapsed();
    Json(shared.watch.look(|state| run_json(state, elapsed)))
}

async fn curves(State(shared): Server) -> Json<Value> {
    let curves = shared.watch.look(|state| state.curves.clone());
    Json(curves.to_json())
}

/// Lets only those in who show the token, if one is asked for. People are asked for it.
async fn known(State(shared): Server, request: Request, next: Next) -> Response {
    let shown = |token: &Token| door::shows(token, request.headers(), request.uri());
    if shared.token.as_ref().is_none_or(shown) {
        return next.run(request).await;
    }
    match request.uri().path() {
        "/" => (StatusCode::UNAUTHORIZED, Html(door_page())).into_response(),
        _ => refused(StatusCode::UNAUTHORIZED, "the token is missing or wrong"),
    }
}

/// Answers questions only, and only those for this machine; nothing is kept by a browser, framed or sniffed.
async fn guarded(State(shared): Server, request: Request, next: Next) -> Response {
    let mut response = if !door::is_own_name(request.headers(), shared.address) {
        let fault =
            "this machine is asked for under a foreign name: use localhost or its IP address";
        refused(StatusCode::FORBIDDEN, fault)
    } else if ![Method::GET, Method::HEAD].contains(request.method()) {
        let refused = refused(
            StatusCode::METHOD_NOT_ALLOWED,
            "there is nothing to change here",
        );
        ([(ALLOW, "GET, HEAD")], refused).into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn refused(status: StatusCode, fault: &str) -> Response {
    (status, Json(json!({ "error": fault }))).into_response()
}

fn text(kind: &'static str, text: String) -> Response {
    let kind = format!("{kind}; charset=utf-8");
    ([(CONTENT_TYPE, kind)], text).into_response()
}

//! `lagrange serve`: a trained model over HTTP.

use crate::args::{SecurityArgs, seconds};
use crate::output::tell;
use crate::security;
use crate::signals::Stop;
use crate::trained::model_at;
use anyhow::{Context as _, Result};
use clap::Args;
use lagrange_protocol::listen_address;
use lagrange_serve::{Options, serve};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// `lagrange serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A run folder, or a model.safetensors file.
    pub model: PathBuf,
    /// Address to listen on; one that other machines reach needs --tls.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7402", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// Name of the model in addresses.
    #[arg(long, default_value = "model")]
    pub name: String,
    /// Most megabytes of a request; larger ones are refused.
    #[arg(long, value_name = "MB", default_value = "16")]
    pub body_limit: NonZeroU16,
    /// Most requests at once; more are refused until some are answered.
    #[arg(long, value_name = "N", default_value = "64")]
    pub requests: NonZeroU16,
    /// Most seconds that a request may take, from its head to its answer, and a connection be without one.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub patience: Duration,
    /// Its safety.
    #[command(flatten)]
    pub security: SecurityArgs,
}

/// Serves until a signal comes.
///
/// # Errors
/// If the model cannot be read, or the address is taken.
pub async fn run(args: &ServeArgs) -> Result<()> {
    let stop = Stop::listen();
    let security = security::of_coordinator(&args.security, args.listen)?;
    let (path, model) = model_at(&args.model)?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("--listen {}: cannot listen", args.listen))?;
    let options = Options {
        name: args.name.clone(),
        body: usize::from(args.body_limit.get()) << 20,
        requests: args.requests.get().into(),
        patience: args.patience,
        token: security.token,
        tls: security.tls,
    };
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let address = listener.local_addr()?;
    tell(format_args!(
        "{} on {scheme}://{address}: POST a picture to /predict",
        path.display()
    ));
    Ok(serve(listener, Arc::new(model), options, stop.wished()).await?)
}

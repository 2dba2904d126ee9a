//! Certificates, token and plain text: what the flags say, checked and read.

use crate::args::SecurityArgs;
use crate::certs::{AUTHORITY, COORDINATOR, Role, TOKEN, WORKER};
use anyhow::{Context as _, Result, bail};
use lagrange_protocol::Token;
use lagrange_worker::WorkerError;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// What a coordinator that listens on `listen` asks of its workers.
///
/// # Errors
/// If a file cannot be read, or others could read what is sent.
pub fn of_coordinator(
    args: &SecurityArgs,
    listen: SocketAddr,
) -> Result<lagrange_coordinator::Security> {
    check_plain_text(args, &format!("--listen {listen}"), is_local(listen.ip()))?;
    let tls = args.tls.as_deref().map(|folder| {
        let (authority, identity) = pair(folder, &COORDINATOR)?;
        let config = ServerTlsConfig::new().identity(identity);
        anyhow::Ok(config.client_ca_root(authority))
    });
    Ok(lagrange_coordinator::Security {
        tls: tls.transpose()?,
        token: token(args)?,
    })
}

/// What a worker that dials `address` shows.
///
/// # Errors
/// If `address` is none, a file cannot be read, or others could read what is sent.
pub fn of_worker(args: &SecurityArgs, address: &str) -> Result<lagrange_worker::Security> {
    let (host, _) = address
        .rsplit_once(':')
        .ok_or_else(|| WorkerError::BadAddress {
            address: address.to_owned(),
        })?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let local = host == "localhost" || host.parse().is_ok_and(is_local);
    check_plain_text(args, &format!("--connect {address}"), local)?;
    let tls = args.tls.as_deref().map(|folder| {
        let (authority, identity) = pair(folder, &WORKER)?;
        let config = ClientTlsConfig::new().ca_certificate(authority);
        anyhow::Ok(config.identity(identity))
    });
    Ok(lagrange_worker::Security {
        tls: tls.transpose()?,
        token: token(args)?,
    })
}

fn is_local(address: IpAddr) -> bool {
    address.is_loopback()
}

/// Plain text leaves this machine only if it is asked to.
fn check_plain_text(args: &SecurityArgs, what: &str, local: bool) -> Result<()> {
    if args.tls.is_none() && !args.insecure && !local {
        bail!(
            "{what} leaves this machine, and without --tls everybody on the way can read and change what is sent; \
             make certificates with `lagrange certs DIR` and give --tls DIR, or accept that with --insecure"
        );
    }
    Ok(())
}

/// The authority's certificate, and a role's own with its key.
fn pair(folder: &Path, role: &Role) -> Result<(Certificate, Identity)> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).with_context(|| {
            format!(
                "--tls {}: {name} cannot be read; `lagrange certs` makes what is needed",
                folder.display()
            )
        })
    };
    let identity = Identity::from_pem(read(role.certificate)?, read(role.key)?);
    Ok((Certificate::from_pem(read(AUTHORITY)?), identity))
}

/// The join token: of its own file, or of the certificates' folder if there is one in it.
fn token(args: &SecurityArgs) -> Result<Option<Token>> {
    let beside = || {
        let path = args.tls.as_ref()?.join(TOKEN);
        path.exists().then_some(path)
    };
    let Some(path): Option<PathBuf> = args.token_file.clone().or_else(beside) else {
        return Ok(None);
    };
    let shown = path.display();
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("{shown}: cannot be read"))?;
    let token = Token::new(&text).with_context(|| shown.to_string())?;
    Ok(Some(token))
}

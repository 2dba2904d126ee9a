//! Certificates, token and plain text: what the flags say, checked and read.

use crate::args::SecurityArgs;
use crate::certs::{AUTHORITY, AUTHORITY_KEY, COORDINATOR, Role, TOKEN, WORKER};
use anyhow::{Context as _, Result, bail};
use lagrange_protocol::certificates::{
    CertificateFileError, authority, certificates, client_config, private_key, server_config,
};
use lagrange_protocol::{Address, Token};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a coordinator that listens on `listen` asks of its workers.
///
/// # Errors
/// If a file cannot be read, or others could read what is sent.
pub fn of_coordinator(
    args: &SecurityArgs,
    listen: SocketAddr,
) -> Result<lagrange_coordinator::Security> {
    check_plain_text(
        args,
        &format!("--listen {listen}"),
        listen.ip().is_loopback(),
    )?;
    warn_of_open_secrets(args);
    let tls = args
        .tls
        .as_deref()
        .map(|folder| config(folder, &COORDINATOR, server_config));
    Ok(lagrange_coordinator::Security {
        tls: tls.transpose()?,
        token: token(args)?,
    })
}

/// Whom a page of the run at `address` is shown to. Certificates are for those who come from elsewhere: they
/// have to be given to a browser first.
///
/// # Errors
/// If a file cannot be read, or others could read what is sent.
pub fn of_dashboard(args: &SecurityArgs, address: SocketAddr) -> Result<lagrange_watch::Access> {
    let local = address.ip().is_loopback();
    check_plain_text(args, &format!("--dashboard {address}"), local)?;
    let folder = args.tls.as_deref().filter(|_| !local);
    let tls = folder.map(|folder| config(folder, &COORDINATOR, server_config));
    Ok(lagrange_watch::Access {
        tls: tls.transpose()?,
        token: token(args)?,
    })
}

/// What a worker that dials `address` shows.
///
/// # Errors
/// If a file cannot be read, or others could read what is sent.
pub fn of_worker(args: &SecurityArgs, address: &Address) -> Result<lagrange_worker::Security> {
    check_plain_text(
        args,
        &format!("--connect {address}"),
        address.host.is_loopback(),
    )?;
    let tls = args
        .tls
        .as_deref()
        .map(|folder| config(folder, &WORKER, client_config));
    Ok(lagrange_worker::Security {
        tls: tls.transpose()?,
        token: token(args)?,
    })
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

/// How a role speaks TLS, by the files in `folder`.
fn config<C>(
    folder: &Path,
    role: &Role,
    config: impl FnOnce(
        Vec<CertificateDer<'static>>,
        PrivateKeyDer<'static>,
        Arc<RootCertStore>,
    ) -> Result<C, CertificateFileError>,
) -> Result<Arc<C>> {
    let shown = folder.display();
    let read = |name: &str| {
        std::fs::read(folder.join(name)).with_context(|| {
            format!("--tls {shown}: {name} cannot be read; `lagrange certs` makes what is needed")
        })
    };
    let in_file = |name: &str| format!("--tls {shown}: {name}");
    let chain =
        certificates(&read(role.certificate)?).with_context(|| in_file(role.certificate))?;
    let key = private_key(&read(role.key)?).with_context(|| in_file(role.key))?;
    let authority = certificates(&read(AUTHORITY)?)
        .and_then(authority)
        .with_context(|| in_file(AUTHORITY))?;
    let config = config(chain, key, authority)
        .with_context(|| in_file(&format!("{} and {}", role.certificate, role.key)))?;
    Ok(Arc::new(config))
}

/// Keys and token are for their owner: who reads them can join, or take the coordinator's place.
pub fn warn_of_open_secrets(args: &SecurityArgs) {
    let in_folder = args.tls.iter().flat_map(|folder| {
        let names = [COORDINATOR.key, WORKER.key, AUTHORITY_KEY, TOKEN];
        names.map(|name| folder.join(name))
    });
    for file in in_folder.chain(args.token_file.clone()) {
        if is_open(&file) {
            tracing::warn!(
                file = %file.display(),
                "everybody on this machine can read this secret; chmod 600 it"
            );
        }
    }
}

/// Whether users of this machine can read a file who are neither its owner nor of its group, to whom a
/// container may have given it.
#[cfg(unix)]
fn is_open(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
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

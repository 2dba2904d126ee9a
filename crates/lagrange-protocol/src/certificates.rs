//! Certificates and keys from PEM files, and the TLS configurations made of them: both sides show a
//! certificate and trust one authority.

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, InconsistentKeys, RootCertStore, ServerConfig};
use std::io;
use std::sync::Arc;

/// The name of HTTP/2 in a TLS handshake.
const HTTP2: &[u8] = b"h2";

/// Error of certificate and key files.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// No certificate in a file that should have one.
    #[error("no certificate in it: it must be in PEM form, with a line BEGIN CERTIFICATE")]
    NoCertificate,
    /// No key in a file that should have one.
    #[error("no private key in it: it must be in PEM form, and without a passphrase")]
    NoKey,
    /// PEM that cannot be decoded.
    #[error("damaged PEM: copy it again")]
    Damaged(#[source] pem::Error),
    /// A certificate and a key that do not belong together.
    #[error("the key is not that of the certificate: copy both from where they were made")]
    KeyMismatch,
    /// PEM of an invalid key or certificate.
    #[error("it cannot be used: {0}")]
    Unusable(rustls::Error),
}

/// The certificates in a PEM file: that of an authority, or that of a role followed by the intermediate ones.
///
/// # Errors
/// [`CertificateFileError`] if there is none, or the PEM is damaged.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateFileError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(CertificateFileError::Damaged)?;
    if all.is_empty() {
        return Err(CertificateFileError::NoCertificate);
    }
    Ok(all)
}

/// The first private key in a PEM file.
///
/// # Errors
/// [`CertificateFileError`] if there is none, or the PEM is damaged.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateFileError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateFileError::NoKey,
        error => CertificateFileError::Damaged(error),
    })
}

/// Trust store with the authority of both sides.
///
/// # Errors
/// [`CertificateFileError::Unusable`] for an invalid certificate.
pub fn authority(
    certificates: Vec<CertificateDer<'static>>,
) -> Result<Arc<RootCertStore>, CertificateFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(CertificateFileError::Unusable)?;
    }
    Ok(Arc::new(roots))
}

/// TLS configuration of a coordinator: its own certificate and key, and workers with a certificate of
/// `authority`.
///
/// # Errors
/// [`CertificateFileError`] if key and certificate do not belong together, or cannot be used.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authority: Arc<RootCertStore>,
) -> Result<ServerConfig, CertificateFileError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(authority, provider())
        .build()
        .map_err(|error| {
            CertificateFileError::Unusable(rustls::Error::General(error.to_string()))
        })?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(CertificateFileError::Unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(mismatch)?;
    config.alpn_protocols.push(HTTP2.to_vec());
    Ok(config)
}

/// TLS configuration of a worker: its own certificate and key, and a coordinator with a certificate of
/// `authority`.
///
/// # Errors
/// [`CertificateFileError`] if key and certificate do not belong together, or cannot be used.
pub fn client_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authority: Arc<RootCertStore>,
) -> Result<ClientConfig, CertificateFileError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(CertificateFileError::Unusable)?
        .with_root_certificates(authority)
        .with_client_auth_cert(chain, key)
        .map_err(mismatch)?;
    config.alpn_protocols.push(HTTP2.to_vec());
    // Every connection shows its certificates anew.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn mismatch(error: rustls::Error) -> CertificateFileError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            CertificateFileError::KeyMismatch
        }
        error => CertificateFileError::Unusable(error),
    }
}

/// The TLS error within an error of a connection, if there is one.
#[must_use]
pub fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether the peer negotiated HTTP/2 with us.
#[must_use]
pub fn speaks_http2(connection: &rustls::ClientConnection) -> bool {
    connection.alpn_protocol() == Some(HTTP2)
}

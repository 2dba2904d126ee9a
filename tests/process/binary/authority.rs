//! Certificates with a fault that `lagrange certs` does not make.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use std::path::{Path, PathBuf};

/// The host in a sound coordinator's certificate.
pub const HOST: &str = "127.0.0.1";
/// A time that is not over, of the past, and of the future: first and last year.
pub const VALID: (i32, i32) = (2000, 2999);
/// Over.
pub const EXPIRED: (i32, i32) = (2000, 2001);
/// To come.
pub const FUTURE: (i32, i32) = (2998, 2999);

/// An authority and the folders that it makes.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, called as all others are.
    #[must_use]
    pub fn new() -> Self {
        let mut params = params(VALID, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        Self {
            certificate: params.self_signed(&key).expect("signed").pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A folder as `lagrange certs` makes it, without a token: the coordinator's certificate for `host`.
    #[must_use]
    pub fn folder(
        &self,
        path: PathBuf,
        host: &str,
        coordinator: (i32, i32),
        worker: (i32, i32),
    ) -> PathBuf {
        std::fs::create_dir(&path).expect("folder");
        std::fs::write(path.join("ca.pem"), &self.certificate).expect("written");
        let server = [ExtendedKeyUsagePurpose::ServerAuth];
        let client = [ExtendedKeyUsagePurpose::ClientAuth];
        self.write(&path, "coordinator", params(coordinator, &[host]), server);
        self.write(&path, "worker", params(worker, &[]), client);
        path
    }

    /// A folder with nothing wrong in it.
    #[must_use]
    pub fn sound(&self, path: PathBuf) -> PathBuf {
        self.folder(path, HOST, VALID, VALID)
    }

    fn write(
        &self,
        folder: &Path,
        role: &str,
        mut params: CertificateParams,
        purpose: [ExtendedKeyUsagePurpose; 1],
    ) {
        params.extended_key_usages = purpose.to_vec();
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed").pem();
        for (extension, text) in [("pem", certificate), ("key", key.serialize_pem())] {
            let path = folder.join(role).with_extension(extension);
            std::fs::write(&path, text).expect("written");
            restrict(&path);
        }
    }
}

fn params((first, last): (i32, i32), hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("hosts");
    params.distinguished_name.push(DnType::CommonName, "test");
    params.not_before = date_time_ymd(first, 1, 1);
    params.not_after = date_time_ymd(last, 1, 1);
    params
}

#[cfg(unix)]
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, owner).expect("restricted");
}

#[cfg(not(unix))]
fn restrict(_: &Path) {}

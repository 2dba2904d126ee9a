//! `lagrange certs`: a private authority, certificates of it for coordinator and workers, and a join token.

use crate::output::tell;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use lagrange_coordinator::{Access, hexadecimal, write_whole};
use lagrange_protocol::{Host, HostError};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// `lagrange certs`
#[derive(Debug, Args)]
pub struct CertsArgs {
    /// Folder to make them in.
    pub folder: PathBuf,
    /// Host names and addresses by which workers dial the coordinator, without ports.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_values = ["localhost", "127.0.0.1", "::1"],
        value_parser = certifiable
    )]
    pub host: Vec<Host>,
    /// Days that they are good for.
    #[arg(long, value_name = "N", default_value = "365", value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub days: u16,
    /// Do nothing if the folder has certificates already.
    #[arg(long)]
    pub keep: bool,
}

/// The authority's certificate, which everybody needs, and its key, which nobody needs to make a run.
pub(crate) const AUTHORITY: &str = "ca.pem";
pub(crate) const AUTHORITY_KEY: &str = "ca.key";
/// The join token.
pub(crate) const TOKEN: &str = "token";

/// Certificate and key of a role.
pub(crate) struct Role {
    /// What it is called.
    pub(crate) name: &'static str,
    /// Its certificate.
    pub(crate) certificate: &'static str,
    /// Its key.
    pub(crate) key: &'static str,
}

/// The coordinator, which workers know by its host names.
pub(crate) const COORDINATOR: Role = Role {
    name: "coordinator",
    certificate: "coordinator.pem",
    key: "coordinator.key",
};

/// The workers, which share a certificate: who has it may join.
pub(crate) const WORKER: Role = Role {
    name: "worker",
    certificate: "worker.pem",
    key: "worker.key",
};

/// Why a name cannot be in a coordinator's certificate.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// It is no host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// It stands for all addresses of a machine.
    #[error("{0} is only for listening: give the names or addresses that workers dial")]
    Unspecified(IpAddr),
}

/// A host that can be dialled, and so certified.
///
/// # Errors
/// [`NameError`]
pub fn certifiable(text: &str) -> Result<Host, NameError> {
    match text.parse()? {
        Host::Ip(ip) if ip.is_unspecified() => Err(NameError::Unspecified(ip)),
        host => Ok(host),
    }
}

/// Makes everything, unless it is there already and may be kept.
///
/// # Errors
/// If the folder holds an authority already, or cannot be written.
pub fn run(args: &CertsArgs) -> Result<()> {
    let folder = &args.folder;
    let shown = folder.display();
    if folder.join(AUTHORITY).exists() {
        if args.keep {
            tell(format_args!("{shown}: kept as it is"));
            return Ok(());
        }
        bail!("{shown} holds certificates already; choose another folder, or remove it");
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{shown}: cannot be made"))?;
    let authority = authority(args.days)?;
    let hosts = distinct(&args.host);
    for (role, hosts) in [(COORDINATOR, &hosts[..]), (WORKER, &[])] {
        let (certificate, key) = certificate(&role, hosts, args.days, &authority.issuer)?;
        write(&folder.join(role.certificate), &certificate, Access::Usual)?;
        write(&folder.join(role.key), &key, Access::Owner)?;
    }
    let mut token = [0; 32];
    getrandom::fill(&mut token).context("the system has no random numbers")?;
    write(
        &folder.join(TOKEN),
        &(hexadecimal(&token) + "\n"),
        Access::Owner,
    )?;
    write(&folder.join(AUTHORITY_KEY), &authority.key, Access::Owner)?;
    // Last: a folder with this file is complete.
    write(
        &folder.join(AUTHORITY),
        &authority.certificate,
        Access::Usual,
    )?;
    tell(format_args!(
        "{shown}: made for {}, good for {} days\n\
         coordinator: lagrange coordinator --tls {shown}\n\
         workers:     {AUTHORITY}, {}, {} and {TOKEN} in a folder, and lagrange worker --tls FOLDER\n\
         keep {AUTHORITY_KEY} away from both: who has it can make certificates",
        hosts
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        args.days,
        WORKER.certificate,
        WORKER.key,
    ));
    Ok(())
}

/// Each host once, in the order given.
fn distinct(hosts: &[Host]) -> Vec<Host> {
    let mut distinct = Vec::new();
    for host in hosts {
        if !distinct.contains(host) {
            distinct.push(host.clone());
        }
    }
    distinct
}

struct Authority {
    certificate: String,
    key: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority(days: u16) -> Result<Authority> {
    let mut params = parameters("lagrange authority", &[], days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    Ok(Authority {
        certificate: params.self_signed(&key)?.pem(),
        key: key.serialize_pem(),
        issuer: Issuer::new(params, key),
    })
}

/// Certificate and key of `role`, signed by `issuer`.
fn certificate(
    role: &Role,
    hosts: &[Host],
    days: u16,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(String, String)> {
    let mut params = parameters(&format!("lagrange {}", role.name), hosts, days)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![if hosts.is_empty() {
        ExtendedKeyUsagePurpose::ClientAuth
    } else {
        ExtendedKeyUsagePurpose::ServerAuth
    }];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn parameters(name: &str, hosts: &[Host], days: u16) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    for host in hosts {
        params.subject_alt_names.push(match host {
            Host::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Host::Ip(ip) => SanType::IpAddress(*ip),
        });
    }
    params.distinguished_name.push(DnType::CommonName, name);
    let today = jiff::tz::Offset::UTC
        .to_datetime(jiff::Timestamp::now())
        .date();
    let day = |offset: i64| {
        let date = today.saturating_add(jiff::Span::new().days(offset));
        date_time_ymd(date.year().into(), date.month() as u8, date.day() as u8)
    };
    // Clocks differ: good from yesterday on.
    params.not_before = day(-1);
    params.not_after = day(days.into());
    Ok(params)
}

fn write(path: &Path, text: &str, access: Access) -> Result<()> {
    write_whole(path, text.as_bytes(), access)
        .with_context(|| format!("{}: cannot be written", path.display()))
}

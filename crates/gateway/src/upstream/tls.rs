//! TLS towards providers: the system's certificate authorities and those that the operator adds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Builds the TLS configuration for upstream calls. Reads files, so it is done when the first TLS connection is made.
pub fn client_config(extra: &[PathBuf], protocols: &[&[u8]]) -> Result<ClientConfig, String> {
    let (mut roots, known) = roots();
    for path in extra {
        for authority in authorities(path)? {
            roots
                .add(authority)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    if known == 0 && extra.is_empty() {
        return Err(
            "the system has no certificate authorities; install ca-certificates, set SSL_CERT_FILE, or `network.ca`"
                .to_owned(),
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// The system's certificate authorities, and how many they are.
pub fn roots() -> (RootCertStore, usize) {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let (known, _) = roots.add_parsable_certificates(system.certs);
    (roots, known)
}

/// The certificates in a PEM file.
pub fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(format!("{shown} holds no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("{shown} is not PEM: {error}")),
    }
}

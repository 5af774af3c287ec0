//! A server with a certificate of a cluster's own authority, as every real one has.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use source::Wanted;

use crate::authority::Authority;
use crate::server::{Server, TOKEN, compile, empty, kubeconfig, read};

impl Authority {
    /// A server that takes clients with a certificate of this authority, or also those without one.
    fn serve(&self, without: bool) -> Server {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let clients = if without { clients.allow_unauthenticated() } else { clients };
        let (certificate, key) = self.sign();
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        Server::start_as("https", empty(), move |stream| {
            StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
        })
    }
}

#[test]
fn the_kubeconfigs_authority_is_trusted_and_no_other() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = authority.serve(true);
    let read_with = |trusted: &Authority| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, trusted.0.pem()).unwrap();
        let cluster = json!({"server": server.url, "certificate-authority": path});
        read(&cluster, &json!({"token": TOKEN}), Wanted::Mesh, None).0
    };
    read_with(&authority).unwrap();
    let asked = server.requests.lock().unwrap().len();
    let connections = server.connections.load(Ordering::Relaxed);
    let error = format!("{:#}", read_with(&other).unwrap_err());
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert_eq!(server.requests.lock().unwrap().len(), asked);
    assert_eq!(server.connections.load(Ordering::Relaxed), connections + 1, "not tried again");
}

#[test]
fn the_environments_proxy_is_used_and_its_exceptions_are_not() {
    let authority = Authority::new();
    let server = authority.serve(true);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, authority.0.pem()).unwrap();
    let cluster = json!({"server": server.url, "certificate-authority": path});
    let config = kubeconfig(&cluster, &json!({"token": TOKEN}));
    let nobody = ("HTTPS_PROXY", "http://127.0.0.1:1");
    // All is read, and there is nothing.
    let error = compile(&config, &[nobody, ("NO_PROXY", "127.0.0.1")]).unwrap_err();
    assert!(error.contains("no objects of the mesh were read"), "{error}");
    let asked = server.requests.lock().unwrap().len();
    let error = compile(&config, &[nobody, ("NO_PROXY", "127.0.0.2")]).unwrap_err();
    assert!(error.contains("list namespaces: "), "{error}");
    assert_eq!(server.requests.lock().unwrap().len(), asked);
}

#[test]
fn a_client_certificate_is_shown() {
    let authority = Authority::new();
    let server = authority.serve(false);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (certificate, key) = authority.sign();
    let trusted = file("ca.pem", authority.0.pem());
    let cluster = json!({"server": server.url, "certificate-authority": trusted});
    let user = json!({
        "token": TOKEN,
        "client-certificate": file("client.pem", certificate.pem()),
        "client-key": file("client.key", key.serialize_pem()),
    });
    read(&cluster, &user, Wanted::Mesh, None).0.unwrap();
    assert!(!server.requests.lock().unwrap().is_empty());
}

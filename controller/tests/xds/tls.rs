//! Certificates: whose are accepted, and files that change.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use controller::listen::Security;
use controller::tls::{Files, Tls};
use controller::xds::Timing;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::authority::Authority;
use crate::harness::{Running, Sotw, assert_closed};

/// Writes a certificate of that authority, as the kubelet does: a new folder, then a link that is moved.
fn write(folder: &Path, authority: &Authority, clients: &Authority) {
    let (certificate, key) = authority.sign();
    let new = tempfile::tempdir_in(folder).unwrap().keep();
    fs::write(new.join("tls.crt"), certificate.pem()).unwrap();
    fs::write(new.join("tls.key"), key.serialize_pem()).unwrap();
    fs::write(new.join("ca.crt"), clients.0.pem()).unwrap();
    swap(folder, &new);
}

fn swap(folder: &Path, new: &Path) {
    std::os::unix::fs::symlink(new, folder.join("next")).unwrap();
    fs::rename(folder.join("next"), folder.join("data")).unwrap();
}

fn files(folder: &Path, mutual: bool) -> Files {
    let data = folder.join("data");
    Files {
        certificate: data.join("tls.crt"),
        key: data.join("tls.key"),
        client_ca: mutual.then(|| data.join("ca.crt")),
    }
}

/// A client that trusts one authority and has a certificate of another, if any.
fn connector(trusted: &Authority, own: Option<&Authority>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.0.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let (certificate, key) = own.sign();
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            config.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn shake_hands(
    address: SocketAddr,
    connector: TlsConnector,
) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    connector.connect(name, tcp).await
}

/// Connects to the server, trusting one authority and with a certificate of another, if any.
async fn connect(
    server: &Running,
    trusted: &Authority,
    own: Option<&Authority>,
) -> Result<Channel, tonic::transport::Error> {
    let (address, connector) = (server.address, connector(trusted, own));
    let connect = service_fn(move |_| {
        let connector = connector.clone();
        async move { shake_hands(address, connector).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://127.0.0.1").connect_with_connector(connect).await
}

/// Whether a client can open a stream and is sent a resource.
async fn served(server: &Running, trusted: &Authority, own: Option<&Authority>) -> bool {
    // A client may learn only later that its certificate was refused, so a connection alone says nothing.
    let Ok(channel) = connect(server, trusted, own).await else { return false };
    let Ok(mut stream) = Sotw::try_open(channel).await else { return false };
    stream.subscribe("a", "").await;
    stream.next().await.is_ok()
}

#[tokio::test]
async fn only_clients_of_the_authority_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    write(folder.path(), &authority, &clients);
    let tls = Arc::new(Tls::load(files(folder.path(), true)).unwrap());
    let server = Running::start_with(Security::Tls(tls), Timing::default()).await;
    server.serve("a", "1");
    assert!(served(&server, &authority, Some(&clients)).await);
    assert!(!served(&server, &authority, Some(&other)).await);
    assert!(!served(&server, &authority, None).await);
    assert!(!served(&server, &other, Some(&clients)).await);
    server.stop().await;
}

#[tokio::test]
async fn new_files_are_used_and_bad_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (Authority::new(), Authority::new());
    write(folder.path(), &first, &first);
    let tls = Arc::new(Tls::load(files(folder.path(), false)).unwrap());
    let server = Running::start_with(Security::Tls(Arc::clone(&tls)), Timing::default()).await;
    server.serve("a", "1");
    assert!(served(&server, &first, None).await);
    assert!(!tls.reload().unwrap());

    write(folder.path(), &second, &first);
    assert!(tls.reload().unwrap());
    assert!(served(&server, &second, None).await);
    assert!(!served(&server, &first, None).await);

    // A key of another certificate, no certificate, and no file: each is said once.
    let new = tempfile::tempdir_in(folder.path()).unwrap().keep();
    let bad_key =
        |folder: &Path| fs::write(folder.join("tls.key"), first.sign().1.serialize_pem()).unwrap();
    fs::copy(folder.path().join("data/tls.crt"), new.join("tls.crt")).unwrap();
    bad_key(&new);
    swap(folder.path(), &new);
    let error = format!("{:#}", tls.reload().unwrap_err());
    assert!(error.contains("tls.key") && error.contains("KeyMismatch"), "{error}");
    assert!(!tls.reload().unwrap());
    fs::write(new.join("tls.crt"), "").unwrap();
    assert!(format!("{:#}", tls.reload().unwrap_err()).contains("holds no certificate"));
    fs::remove_file(new.join("tls.crt")).unwrap();
    tls.reload().unwrap_err();
    assert!(!tls.reload().unwrap());
    assert!(served(&server, &second, None).await);

    write(folder.path(), &first, &first);
    let following = tokio::spawn(tls.follow(Duration::from_millis(10)));
    while !served(&server, &first, None).await {}
    following.abort();
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_shake_hands_keeps_no_one_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    write(folder.path(), &authority, &authority);
    let tls = Arc::new(Tls::load(files(folder.path(), false)).unwrap());
    let timing = Timing { handshake: Duration::from_secs(1), ..Timing::default() };
    let server = Running::start_with(Security::Tls(tls), timing).await;
    server.serve("a", "1");
    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert!(served(&server, &authority, None).await);
    for client in &mut slow {
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "closed after the time is over");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_only_shakes_hands_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    write(folder.path(), &authority, &authority);
    let tls = Arc::new(Tls::load(files(folder.path(), false)).unwrap());
    let timing = Timing { handshake: Duration::from_secs(1), ..Timing::default() };
    let server = Running::start_with(Security::Tls(tls), timing).await;
    let mut client = shake_hands(server.address, connector(&authority, None)).await.unwrap();
    assert_closed(&mut client).await;
    server.stop().await;
}

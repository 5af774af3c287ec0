//! Connections that end, hang or are slow.

use std::time::Duration;

use controller::listen::Security;
use controller::xds::Timing;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::transport::Endpoint;

use crate::harness::{Running, Sotw, assert_closed};

#[tokio::test]
async fn streams_end_when_the_server_does() {
    let server = Running::start().await;
    server.serve("a", "1");
    let mut stream = Sotw::open(server.channel().await).await;
    stream.subscribe("a", "").await;
    stream.version("a").await;
    let proxies = server.proxies.clone();
    server.stop().await;
    assert_eq!(stream.next().await.unwrap_err().code(), Code::Unavailable);
    assert!(proxies.snapshot().is_empty());
}

/// A relay stands between client and server. It stops to relay and holds its sockets open, as if a cable were cut.
#[tokio::test]
async fn a_proxy_that_does_not_answer_pings_is_gone() {
    let timing = Timing {
        keepalive_interval: Duration::from_millis(200),
        keepalive_timeout: Duration::from_millis(200),
        ..Timing::default()
    };
    let server = Running::start_with(Security::Plaintext, timing).await;
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", relay.local_addr().unwrap());
    let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    let opening = tokio::spawn(Sotw::open(channel));
    let mut near = relay.accept().await.unwrap().0;
    let mut far = TcpStream::connect(server.address).await.unwrap();
    let (sockets, stream);
    {
        let (mut near_read, mut near_write) = near.split();
        let (mut far_read, mut far_write) = far.split();
        tokio::select! {
            _ = copy(&mut near_read, &mut far_write) => panic!("the client is gone"),
            _ = copy(&mut far_read, &mut near_write) => panic!("the server is gone"),
            opened = async {
                let opened = opening.await.unwrap();
                opened.subscribe("a", "").await;
                server.until("connected", |server| server.proxies.snapshot().len() == 1).await;
                opened
            } => stream = opened,
        }
    }
    sockets = (near, far);
    server.until("noticed", |server| server.proxies.snapshot().is_empty()).await;
    drop((sockets, stream));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_speaks_no_http2_is_closed() {
    let server = Running::start().await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Reset or closed.
    let _ = client.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    server.stop().await;
}

/// The server's half of HTTP/2 begins only with the client's, so it would wait for ever.
#[tokio::test]
async fn a_client_that_does_not_begin_http2_is_closed() {
    let timing = Timing { handshake: Duration::from_millis(200), ..Timing::default() };
    let server = Running::start_with(Security::Plaintext, timing).await;
    server.serve("a", "1");
    for sent in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        client.write_all(sent.as_bytes()).await.unwrap();
        assert_closed(&mut client).await;
    }
    let mut stream = Sotw::open(server.channel().await).await;
    stream.subscribe("a", "").await;
    stream.version("a").await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_only_the_preface_is_closed() {
    let timing = Timing {
        keepalive_interval: Duration::from_millis(200),
        keepalive_timeout: Duration::from_millis(200),
        ..Timing::default()
    };
    let server = Running::start_with(Security::Plaintext, timing).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    assert_closed(&mut client).await;
    server.stop().await;
}

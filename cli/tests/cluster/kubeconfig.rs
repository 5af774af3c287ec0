//! What a kubeconfig and the environment say of the way to the server.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{SERVICES, TOKEN, compile, kubeconfig, page, with};

#[test]
fn a_line_break_behind_a_token_does_not_matter() {
    let server = with(&[(SERVICES, vec![page(&["a"], None)])]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    compile(&kubeconfig(&json!({"server": server.url}), &json!({"tokenFile": file})), &[]).unwrap();
}

#[test]
fn what_a_context_names_has_to_be_there() {
    let server = with(&[(SERVICES, vec![page(&["a"], None)])]);
    let mut config = kubeconfig(&json!({"server": server.url}), &json!({"token": TOKEN}));
    config["contexts"][0]["context"]["user"] = json!("gone");
    let error = compile(&config, &[]).unwrap_err();
    let expected = "no user \"gone\" in the kubeconfig, which its context \"here\" names";
    assert!(error.contains(expected), "{error}");
    config["contexts"][0]["name"] = json!("there");
    let error = compile(&config, &[]).unwrap_err();
    let expected = "no context \"here\" in the kubeconfig, only: there, elsewhere";
    assert!(error.contains(expected), "{error}");
    assert!(server.requests.lock().unwrap().is_empty());
}

#[test]
fn a_proxy_is_used() {
    let server = with(&[(SERVICES, vec![page(&["a"], None)])]);
    let cluster = json!({"server": "http://cluster.invalid:80", "proxy-url": server.url});
    compile(&kubeconfig(&cluster, &json!({"token": TOKEN})), &[]).unwrap();
    assert_eq!(server.requests.lock().unwrap()[0], "cluster.invalid:80");
    assert_eq!(server.requests(SERVICES).len(), 1);
}

#[test]
fn a_silent_server_is_given_up_soon() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let cluster = json!({"server": format!("https://{}", silent.local_addr().unwrap())});
    let begin = Instant::now();
    let error = compile(&kubeconfig(&cluster, &json!({"token": TOKEN})), &[]).unwrap_err();
    assert!(error.contains("list namespaces: "), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

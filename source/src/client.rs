//! A client of the cluster's API server.

use std::time::Duration;

use anyhow::{Context as _, bail};
use hyper_util::client::proxy::matcher::Matcher;
use kube::client::ClientBuilder;
use kube::client::retry::RetryPolicy;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;

/// Objects a page of a list: what is held at once.
pub const PAGE: u32 = 500;

/// For one page and all tries to get it.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a request is sent, or a list started.
pub const TRIES: u32 = 5;

/// For a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits between the tries of an overloaded server, if it asks for no longer one.
const WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// A client for the cluster of a kubeconfig's context, or for the one that this runs in, and the API server's address.
/// It tries again if the server is overloaded.
pub async fn connect(context: Option<&str>) -> anyhow::Result<(Client, String)> {
    let (config, url) = of_context(context).await?;
    let [shortest, longest] = WAITS;
    let policy = RetryPolicy::new(shortest, longest, TRIES - 1, true)?;
    let builder = ClientBuilder::try_from(config).with_context(|| unusable(&url))?;
    let client =
        builder.with_layer(&BufferLayer::new(1)).with_layer(&RetryLayer::new(policy)).build();
    Ok((client, url))
}

/// The same, for callers that try again themselves: a request is sent once.
pub async fn connect_once(context: Option<&str>) -> anyhow::Result<(Client, String)> {
    let (config, url) = of_context(context).await?;
    let client = ClientBuilder::try_from(config).with_context(|| unusable(&url))?.build();
    Ok((client, url))
}

fn unusable(url: &str) -> String {
    format!("cannot use the account for {url}")
}

/// The configuration of every client, and the API server's address.
async fn of_context(context: Option<&str>) -> anyhow::Result<(Config, String)> {
    let mut config = config(context).await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.headers.push((
        "user-agent".parse()?,
        concat!("ingress-waypoint/", env!("CARGO_PKG_VERSION")).parse()?,
    ));
    // The client's own tries go on for hours.
    config.default_retry = false;
    let url = config.cluster_url.to_string();
    Ok((config, url))
}

async fn config(context: Option<&str>) -> anyhow::Result<Config> {
    let kubeconfig = match Kubeconfig::read() {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if context.is_some() => return Err(error).context("cannot read the kubeconfig"),
        Err(error) => return of_pod(&error.to_string()),
    };
    let current = kubeconfig.current_context.clone().filter(|name| !name.is_empty());
    let Some(name) = context.map(str::to_owned).or(current) else {
        return of_pod("it has no current context");
    };
    let named = kubeconfig.contexts.iter().find(|context| context.name == name);
    let Some(context) = named.and_then(|named| named.context.as_ref()) else {
        let known: Vec<_> = kubeconfig.contexts.iter().map(|c| c.name.as_str()).collect();
        bail!("no context {name:?} in the kubeconfig, only: {}", known.join(", "));
    };
    // The client would go on without an account.
    if let Some(user) = context.user.as_deref().filter(|user| !user.is_empty())
        && !kubeconfig.auth_infos.iter().any(|known| known.name == user)
    {
        bail!("no user {user:?} in the kubeconfig, which its context {name:?} names");
    }
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster);
    let cluster = cluster.and_then(|named| named.cluster.as_ref());
    let names_proxy =
        cluster.and_then(|it| it.proxy_url.as_deref()).is_some_and(|url| !url.is_empty());
    let options = KubeConfigOptions { context: Some(name.clone()), ..Default::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .with_context(|| format!("cannot use the kubeconfig's context {name:?}"))?;
    // The client knows HTTPS_PROXY, but not NO_PROXY.
    if !names_proxy && Matcher::from_env().intercept(&config.cluster_url).is_none() {
        config.proxy_url = None;
    }
    // An editor's line break at the end of a file is not part of the token.
    let auth = &mut config.auth_info;
    if let (None, Some(file)) = (&auth.token, &auth.token_file) {
        let content = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the token file {file}"))?;
        let token = content.trim();
        if token.len() < content.len() {
            auth.token = Some(token.to_owned().into());
        }
    }
    Ok(config)
}

/// The configuration of a pod's account.
fn of_pod(kubeconfig: &str) -> anyhow::Result<Config> {
    Config::incluster().with_context(|| {
        format!(
            "no cluster: neither a kubeconfig (KUBECONFIG, ~/.kube/config: {kubeconfig}) nor a pod's account"
        )
    })
}

//! One page of a list out of the API server, with bounded patience.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use kube::api::{ListParams, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::{Client, Config};
use tokio::time::{sleep, timeout};

/// Objects a page: what is held as JSON at once.
const PAGE: u32 = 500;

/// For one page, from the request to its last byte.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Waits between tries; one more try than waits.
const WAITS: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why there is no page.
#[derive(Debug)]
pub enum Failure {
    /// 404: the resource is not served.
    NotServed,
    /// 410: the continue token expired.
    Expired,
    /// 401, with the server's words.
    Unauthorized(String),
    /// 403, with the server's words.
    Forbidden(String),
    /// Anything else, after all tries.
    Other(anyhow::Error),
}

/// The API server and how to name it.
pub struct Api {
    client: Client,
    /// Its address.
    pub url: String,
}

impl Api {
    /// The cluster of a kubeconfig's context, or the one that this runs in.
    pub async fn connect(context: Option<&str>) -> anyhow::Result<Self> {
        let mut config = match context {
            Some(context) => {
                let kubeconfig = Kubeconfig::read().context("cannot read the kubeconfig")?;
                let known: Vec<_> = kubeconfig.contexts.iter().map(|c| c.name.as_str()).collect();
                if !known.contains(&context) {
                    return Err(anyhow!(
                        "no context {context:?} in the kubeconfig, only: {}",
                        known.join(", ")
                    ));
                }
                let options =
                    KubeConfigOptions { context: Some(context.to_owned()), ..Default::default() };
                Config::from_custom_kubeconfig(kubeconfig, &options)
                    .await
                    .with_context(|| format!("cannot use the kubeconfig's context {context:?}"))?
            }
            None => Config::infer().await.context(
                "no cluster: neither a kubeconfig (KUBECONFIG, ~/.kube/config) nor a pod's account",
            )?,
        };
        // Its own tries go on for hours.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(10));
        config.read_timeout = Some(TIMEOUT);
        let url = config.cluster_url.to_string();
        let client = Client::try_from(config)
            .with_context(|| format!("cannot use the account for {url}"))?;
        Ok(Self { client, url })
    }

    /// One page of the list at `path`, as JSON.
    pub async fn page(
        &self,
        path: &str,
        selector: Option<&str>,
        token: Option<&str>,
    ) -> Result<String, Failure> {
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = selector.map(str::to_owned);
        params.continue_token = token.map(str::to_owned);
        let mut waits = WAITS.iter();
        loop {
            let request = Request::new(path).list(&params).map_err(other)?;
            let wait = waits.next().copied();
            let failure = match timeout(TIMEOUT, self.client.request_text(request)).await {
                Ok(Ok(page)) => return Ok(page),
                Ok(Err(kube::Error::Api(status))) => match status.code {
                    401 => return Err(Failure::Unauthorized(status.message)),
                    403 => return Err(Failure::Forbidden(status.message)),
                    404 => return Err(Failure::NotServed),
                    410 => return Err(Failure::Expired),
                    429 | 500..=599 => {
                        if let Some(wait) = wait {
                            sleep(asked_wait(&status).unwrap_or(wait)).await;
                            continue;
                        }
                        anyhow!("the server answered {}: {}", status.code, status.message)
                    }
                    code => return Err(other(anyhow!("the server answered {code}: {status}"))),
                },
                // What the credentials' own tooling says cannot change by asking again.
                Ok(Err(error @ kube::Error::Auth(_))) => {
                    return Err(Failure::Unauthorized(format!("{:#}", anyhow::Error::new(error))));
                }
                Ok(Err(error)) => anyhow::Error::new(error),
                Err(_) => anyhow!("no answer within {} s", TIMEOUT.as_secs()),
            };
            match wait {
                Some(wait) => sleep(wait).await,
                None => {
                    let tries = WAITS.len() + 1;
                    return Err(other(failure.context(format!("gave up after {tries} tries"))));
                }
            }
        }
    }
}

fn other(error: impl Into<anyhow::Error>) -> Failure {
    Failure::Other(error.into())
}

/// The wait that an overloaded server asks for.
fn asked_wait(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    (seconds > 0).then(|| Duration::from_secs(seconds.into()).min(LONGEST_WAIT))
}

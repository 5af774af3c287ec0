//! A connection to the API server whose credentials may change.

use std::time::Duration;

use kube::Client;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::client::connect_once;

/// How often the credentials are read again at most.
const RENEWAL: Duration = Duration::from_secs(10);

/// The API server of a kubeconfig's context, or of the cluster that this runs in.
#[derive(Debug)]
pub struct Connection {
    context: Option<String>,
    url: String,
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    /// Of this client: how many there were before.
    number: u64,
    renewed: Option<Instant>,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Whether credentials or certificates that changed may be why a request failed: by the server's status, or 0 if it
/// could not be asked.
pub fn may_be_account(code: u16) -> bool {
    matches!(code, 0 | 401)
}

impl Connection {
    /// Reads the kubeconfig or the account. The server is not asked yet, and may be away.
    ///
    /// # Errors
    /// If there is neither, or it cannot be used.
    pub async fn open(context: Option<&str>) -> anyhow::Result<Self> {
        let (client, url) = connect_once(context).await?;
        let current = Mutex::new(Current { client, number: 0, renewed: None });
        Ok(Self { context: context.map(str::to_owned), url, current })
    }

    /// The API server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The client of now, and its number for [`Self::renew`]. It sends each request once.
    pub async fn client(&self) -> (Client, u64) {
        let current = self.current.lock().await;
        (current.client.clone(), current.number)
    }

    /// Reads the kubeconfig or the account again after the client of this number failed as [`may_be_account`] says.
    /// `false` if there is no newer client.
    pub async fn renew(&self, number: u64) -> bool {
        let mut current = self.current.lock().await;
        if current.number != number {
            return true;
        }
        if current.renewed.is_some_and(|at| at.elapsed() < RENEWAL) {
            return false;
        }
        current.renewed = Some(Instant::now());
        let (context, runtime) = (self.context.clone(), Handle::current());
        // Reads files and may run a program that gets a token.
        let client = spawn_blocking(move || runtime.block_on(connect_once(context.as_deref())));
        // What is wrong with the files is not told: the server's answer is.
        let Ok(Ok((client, _))) = client.await else { return false };
        current.client = client;
        current.number += 1;
        true
    }
}

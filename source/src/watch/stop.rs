//! Why a follower stops what it does.

use kube::core::Status;

use crate::kinds::Resource;

/// Why the follower stops what it does.
pub enum Stop {
    /// Nobody takes the events.
    Closed,
    Failed(Failure),
}

pub enum Failure {
    /// What the server says.
    Status(Box<Status>),
    Other(anyhow::Error),
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        Self::Failed(match error {
            kube::Error::Api(status) => Failure::Status(status),
            error => Failure::Other(error.into()),
        })
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(Failure::Other(error))
    }
}

impl From<Box<Status>> for Stop {
    fn from(status: Box<Status>) -> Self {
        Self::Failed(Failure::Status(status))
    }
}

impl Failure {
    /// The server's status; 0 if it is something else that is wrong.
    pub fn code(&self) -> u16 {
        match self {
            Self::Status(status) => status.code,
            Self::Other(_) => 0,
        }
    }

    /// What is wrong and what to do, for the one who runs this.
    pub fn reason(&self, url: &str, resource: &Resource, has_objects: bool) -> String {
        let name = resource.full_name();
        let status = match self {
            Self::Other(error) => return format!("{url}: watch {name}: {error:#}"),
            Self::Status(status) => status,
        };
        let message = status.message.trim();
        match status.code {
            401 => format!(
                "{url}: watch {name}: the credentials are not accepted (401: {message}): they expired, or belong to \
                 another cluster"
            ),
            403 => format!(
                "{url}: this account may not list or watch {name} (403: {message}): grant it the verbs list and watch"
            ),
            404 if resource.group.is_empty() => {
                format!("{url}: watch {name}: not found (404): is this a Kubernetes API server?")
            }
            404 if has_objects => format!(
                "{url}: the cluster no longer serves {name} (404), and the last objects stay: install its CRD again, \
                 or restart this program to go on without"
            ),
            404 => format!(
                "{url}: the cluster does not serve {} (no CRD {name}): read as if there were none",
                resource.kind
            ),
            410 => format!(
                "{url}: watch {name}: changes were missed (410: {message}): all objects are listed again"
            ),
            code => format!("{url}: watch {name}: the server answered {code}: {message}"),
        }
    }
}

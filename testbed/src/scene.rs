//! The whole picture on one machine: endpoints, the stand-in waypoint on the Service VIPs, and the
//! ingress gateway in front of them, from the files in `envoy/`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::client::{self, Connection, Request, Version};
use crate::envoy::{Envoy, EnvoyOptions, socket_address};
use crate::example::{Example, Ports};
use crate::native;
use crate::outcome::text;
pub use crate::outcome::{GrpcOutcome, Outcome};
use crate::ports::free;
use crate::servers::{Echo, Greeter};

/// The HTTP endpoints, with the ports that the examples give them.
const ENDPOINTS: [(&str, u16); 4] =
    [("reviews", 18_081), ("ratings", 18_082), ("billing", 18_083), ("payments", 18_084)];
const GREETER: (&str, u16) = ("greeter", 18_085);
const INGRESS: u16 = 10_000;
const ADMIN: u16 = 9901;

/// A change to a configuration before it is run.
pub type Edit = Box<dyn FnOnce(&mut Example) -> Result<()> + Send>;

/// What to vary.
#[allow(missing_docs)]
pub struct SceneOptions {
    /// The ingress gateway's file under `envoy/`.
    pub example: String,
    /// `INGRESS_USE_WAYPOINTS` in the filter's VM; `None` leaves the file as it is.
    pub switch: Option<bool>,
    /// Edits the ingress gateway's configuration.
    pub edit: Edit,
    /// Edits the waypoint's configuration.
    pub edit_waypoint: Edit,
    pub concurrency: u32,
    pub log_level: String,
    pub component_log_level: Option<String>,
}

impl Default for SceneOptions {
    fn default() -> Self {
        Self {
            example: "filter-state.yaml".into(),
            switch: None,
            edit: Box::new(|_| Ok(())),
            edit_waypoint: Box::new(|_| Ok(())),
            concurrency: 2,
            log_level: "info".into(),
            component_log_level: None,
        }
    }
}

impl SceneOptions {
    /// The defaults, with an edit of the ingress gateway's configuration.
    pub fn edited(edit: impl FnOnce(&mut Example) -> Result<()> + Send + 'static) -> Self {
        Self { edit: Box::new(edit), ..Self::default() }
    }
}

/// Everything, running.
#[allow(missing_docs)]
pub struct Scene {
    // In the order in which they are to end: from the client's side inwards.
    pub ingress: Envoy,
    pub waypoint: Envoy,
    pub greeter: Greeter,
    pub endpoints: Vec<Echo>,
    pub ports: Ports,
    /// The ingress gateway's configuration as it was started.
    pub example: Example,
    /// The service at each address, VIP or endpoint.
    names: BTreeMap<SocketAddr, String>,
    options: EnvoyOptions,
}

impl Scene {
    /// Starts everything, and waits until it is ready.
    pub async fn start(options: SceneOptions) -> Result<Self> {
        Self::start_on(Ports::choose()?, options).await
    }

    /// The same, on ports that are chosen already.
    pub async fn start_on(ports: Ports, options: SceneOptions) -> Result<Self> {
        let mut example = Example::load(&options.example, &ports)?;
        if let Some(on) = options.switch {
            example.set_switch(on)?;
        }
        (options.edit)(&mut example)?;
        let mut mesh = Example::load("waypoint.yaml", &ports)?;
        (options.edit_waypoint)(&mut mesh)?;

        let mut names = BTreeMap::new();
        let listeners =
            mesh.at("/static_resources/listeners")?.as_array().cloned().unwrap_or_default();
        for listener in listeners {
            let vip = socket_address(listener.pointer("/address/socket_address"))
                .context("a listener of the waypoint")?;
            names.insert(
                vip,
                listener.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            );
        }
        let mut endpoints = Vec::new();
        for (name, port) in ENDPOINTS {
            let endpoint = Echo::start(name, local(ports.get(port))).await?;
            names.insert(endpoint.address(), name.into());
            endpoints.push(endpoint);
        }
        let greeter = Greeter::start(local(ports.get(GREETER.1))).await?;
        names.insert(greeter.address(), GREETER.0.into());

        let waypoint =
            Envoy::start(EnvoyOptions::new(mesh.config)).await.context("starting the waypoint")?;
        let options = EnvoyOptions {
            text: example.text.clone(),
            env: native::environment(&example.env),
            concurrency: options.concurrency,
            log_level: options.log_level,
            component_log_level: options.component_log_level,
            ..EnvoyOptions::new(example.config.clone())
        };
        let ingress =
            Envoy::start(options.clone()).await.context("starting the ingress gateway")?;
        Ok(Self { ingress, waypoint, greeter, endpoints, ports, example, names, options })
    }

    /// Stops the ingress gateway and starts it with another value of the mesh-wide switch.
    pub async fn restart_with_switch(self, on: bool) -> Result<Self> {
        self.restart(|example| example.set_switch(on)).await
    }

    /// Stops the ingress gateway and starts it on the same ports with another configuration.
    pub async fn restart(mut self, edit: impl FnOnce(&mut Example) -> Result<()>) -> Result<Self> {
        edit(&mut self.example)?;
        self.options.config = self.example.config.clone();
        self.options.text = self.example.text.clone();
        self.options.env = native::environment(&self.example.env);
        let Self { ingress, waypoint, greeter, endpoints, ports, example, names, options } = self;
        drop(ingress); // its ports are free once it is gone
        let ingress =
            Envoy::start(options.clone()).await.context("starting the ingress gateway")?;
        Ok(Self { ingress, waypoint, greeter, endpoints, ports, example, names, options })
    }

    /// Starts an ingress gateway with the same configuration on ports of its own, and does not wait.
    pub fn another_ingress(&self) -> Result<Envoy> {
        let mut options = self.options.clone();
        for port in [INGRESS, ADMIN] {
            let own = free(&[Ipv4Addr::LOCALHOST.into()])?;
            let config = options.config.to_string();
            let (old, new) = (self.ports.get(port), own);
            let config =
                config.replace(&format!("\"port_value\":{old}"), &format!("\"port_value\":{new}"));
            options.config = serde_json::from_str(&config)?;
        }
        Envoy::launch(&options)
    }

    /// Where the ingress gateway listens.
    pub fn address(&self) -> SocketAddr {
        local(self.ports.get(INGRESS))
    }

    /// The VIP of a service, with the port that the waypoint listens on there.
    pub fn vip(&self, service: &str) -> Option<SocketAddr> {
        self.address_of(service, |address| *address.ip() != Ipv4Addr::LOCALHOST)
    }

    /// The endpoint of a service.
    pub fn endpoint(&self, service: &str) -> Option<SocketAddr> {
        self.address_of(service, |address| *address.ip() == Ipv4Addr::LOCALHOST)
    }

    fn address_of(
        &self,
        service: &str,
        wanted: impl Fn(&std::net::SocketAddrV4) -> bool,
    ) -> Option<SocketAddr> {
        let mut named = self.names.iter().filter(|(_, name)| *name == service);
        named.find_map(|(address, _)| {
            matches!(address, SocketAddr::V4(v4) if wanted(v4)).then_some(*address)
        })
    }

    /// The service at an address, be it the VIP or the endpoint.
    pub fn service_at(&self, address: &str) -> Option<&str> {
        self.names.get(&address.parse().ok()?).map(String::as_str)
    }

    /// GET over HTTP/1.1 through the ingress gateway.
    pub async fn get(
        &self,
        authority: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Outcome> {
        let request = headers
            .iter()
            .fold(Request::get(authority, path), |request, (k, v)| request.header(k, v));
        self.send(Version::Http1, request).await
    }

    /// Sends a request through the ingress gateway, on a connection of its own.
    pub async fn send(&self, version: Version, request: Request) -> Result<Outcome> {
        let mut connection = Connection::open(self.address(), version).await?;
        self.send_on(&mut connection, request).await
    }

    /// Sends a request to the ingress gateway on a connection that is open already.
    pub async fn send_on(
        &self,
        connection: &mut Connection,
        mut request: Request,
    ) -> Result<Outcome> {
        // By its query, a request is found again in the access log.
        let separator = if request.path.contains('?') { '&' } else { '?' };
        request.path = format!("{}{separator}call={}", request.path, next_call());
        let response = connection.send(&request).await?;
        let log = self
            .ingress
            .wait_for_access_log(|entry| text(entry, "path") == Some(&request.path))
            .await?;
        Ok(Outcome::new(response, log))
    }

    /// A gRPC health check of greeter, through the ingress gateway.
    pub async fn health_check(
        &self,
        authority: &str,
        metadata: &[(&'static str, String)],
    ) -> Result<GrpcOutcome> {
        let call = next_call().to_string();
        let metadata =
            [&[("x-call", call.clone()), ("x-request-id", request_id(&call))], metadata].concat();
        let result = client::health_check(self.address(), authority, &metadata).await?;
        let seen = self.greeter.call_with("x-call", &call);
        // Without `use_remote_address` Envoy keeps the client's request id.
        let log = self
            .ingress
            .wait_for_access_log(|entry| text(entry, "request_id") == Some(&request_id(&call)))
            .await?;
        Ok(GrpcOutcome { result, seen, log })
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn next_call() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    CALLS.fetch_add(1, Ordering::Relaxed)
}

fn request_id(call: &str) -> String {
    format!("call-{call}")
}

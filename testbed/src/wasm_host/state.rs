//! What the mocked host remembers.

use std::collections::{BTreeMap, HashMap};

use super::Request;

/// The statuses of the ABI that the host answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(i32)]
pub enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    Empty = 7,
    CasMismatch = 8,
    InternalFailure = 10,
}

/// One host call, its arguments decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// The name of the import without `proxy_`: `get_property`.
    pub name: &'static str,
    /// Names and values as text; the message of a foreign function call is decoded too.
    pub arguments: Vec<String>,
}

/// One line of the log; what the module writes to standard output and error counts as one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// 0 trace, 1 debug, 2 info, 3 warning, 4 error, 5 critical
    pub level: u32,
    /// The message.
    pub message: String,
}

/// A value of the filter state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterState {
    /// The value as it was given.
    pub value: Vec<u8>,
    /// Envoy's life span: 0 filter chain, 1 request, 2 connection.
    pub span: u64,
}

/// A response that the filter sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct LocalResponse {
    pub status: u32,
    /// The response code details, as in the access log.
    pub details: String,
    pub body: String,
    pub headers: Vec<(String, Vec<u8>)>,
    /// -1 leaves it to Envoy.
    pub grpc_status: i32,
}

/// What belongs to one request.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub properties: BTreeMap<String, Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub failing: BTreeMap<String, Status>,
    pub filter_state: BTreeMap<String, FilterState>,
    pub local_response: Option<LocalResponse>,
    pub calls: Vec<HostCall>,
}

/// Everything behind the imports.
#[derive(Debug)]
pub(super) struct Host {
    /// How often the VM was entered, to allocate what a host call returns too.
    pub entries: u64,
    pub env: Vec<(String, String)>,
    pub plugin_configuration: Vec<u8>,
    pub logs: Vec<LogLine>,
    pub log_level: u32,
    /// Name and value; the id is the index.
    pub metrics: Vec<(String, u64)>,
    pub shared_data: HashMap<Vec<u8>, (Vec<u8>, u32)>,
    pub tick: Option<u32>,
    pub stream: Stream,
}

impl Host {
    pub fn new(env: &[(&str, &str)]) -> Self {
        Self {
            entries: 0,
            env: env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            plugin_configuration: Vec::new(),
            logs: Vec::new(),
            log_level: 2,
            metrics: Vec::new(),
            shared_data: HashMap::new(),
            tick: None,
            stream: Stream::default(),
        }
    }

    pub fn begin(&mut self, request: Request) {
        let Request { properties, headers, failing } = request;
        self.stream = Stream { properties, headers, failing, ..Stream::default() };
    }

    pub fn end(&mut self) -> Stream {
        std::mem::take(&mut self.stream)
    }

    /// Records a call; the status that it is to fail with, if it is.
    pub fn record(&mut self, name: &'static str, arguments: &[&[u8]]) -> Option<Status> {
        let text = |bytes: &&[u8]| String::from_utf8_lossy(bytes).into_owned();
        let arguments = arguments.iter().map(text).collect();
        self.stream.calls.push(HostCall { name, arguments });
        self.stream.failing.get(name).copied()
    }

    pub fn property(&self, path: &str) -> Option<Vec<u8>> {
        match path {
            "plugin_name" => Some(b"ingress_waypoint".to_vec()),
            "plugin_root_id" => Some(Vec::new()),
            _ => {
                let state = self.stream.filter_state.get(&format!("wasm.{path}"));
                self.stream.properties.get(path).cloned().or(state.map(|s| s.value.clone()))
            }
        }
    }

    pub fn define_metric(&mut self, name: String) -> u32 {
        let known = self.metrics.iter().position(|(known, _)| *known == name);
        let index = known.unwrap_or_else(|| {
            self.metrics.push((name, 0));
            self.metrics.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    pub fn metric(&mut self, id: u32) -> Option<&mut u64> {
        self.metrics.get_mut(id as usize).map(|(_, value)| value)
    }
}

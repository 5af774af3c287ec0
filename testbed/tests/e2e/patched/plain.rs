//! The example as an Envoy that knows nothing of the filter, there and back by `patch`.

use anyhow::{Context, Result};
use gateway::envoy::Form;
use gateway::envoy::native::Module;
use gateway::weave;
use serde_json::{Value, json};
use testbed::example::Example;
use testbed::native;

/// The forms that the Envoy of the tests can run in a patched configuration.
pub fn forms() -> Vec<Form> {
    let specifiers = native::examples().unwrap().contains(&native::SPECIFIERS[0]);
    let module = specifiers.then(|| Form::Module(Module::default()));
    std::iter::once(Form::default()).chain(module).collect()
}

/// `patch` on a configuration as it is run here, which is JSON.
pub fn patched(plain: &Value, config: &str, form: &Form) -> Value {
    let patched = weave::apply(&plain.to_string(), config, form).unwrap();
    serde_json::from_str(&patched.text).unwrap()
}

/// `patch --remove` likewise.
pub fn removed(patched: &Value) -> Value {
    serde_json::from_str(&weave::remove(&patched.to_string()).unwrap().text).unwrap()
}

/// Settings of every kind that can be seen from outside, and those without a meaning at one VIP.
fn with_settings(plain: &Value) -> Value {
    let mutation = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3";
    let previous_hosts = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3";
    let add = |key: &str, value: &str| json!([{"header": {"key": key, "value": value}}]);
    let mut route = plain.clone();
    route["name"] = json!("api");
    route["match"] = json!({"prefix": "/api/"});
    let action = &mut route["route"];
    action["timeout"] = json!("0.5s");
    action["prefix_rewrite"] = json!("/rewritten/");
    action["host_rewrite_literal"] = json!("rewritten.example.com");
    action["hash_policy"] = json!([{"cookie": {"name": "session", "ttl": "60s"}}]);
    action["metadata_match"] = json!({"filter_metadata": {"envoy.lb": {"a": "b"}}});
    action["retry_policy"] = json!({
        "retry_on": "connect-failure",
        "retry_host_predicate": [{
            "name": "previous_hosts",
            "typed_config": {"@type": format!("{previous_hosts}.PreviousHostsPredicate")},
        }],
    });
    route["request_headers_to_add"] = add("x-route", "api");
    route["request_headers_to_remove"] = json!(["x-secret"]);
    route["response_headers_to_add"] = add("x-answer", "api");
    route["typed_per_filter_config"] = json!({"marker": {
        "@type": format!("{mutation}.HeaderMutationPerRoute"),
        "mutations": {"response_mutations": [{"append": add("x-per-route", "api")[0]}]},
    }});
    route
}

/// The example without the filter, and the configuration that the filter had.
pub fn without_the_filter(ingress: &mut Example) -> Result<String> {
    let config = Value::Object(ingress.plugin()?).to_string();
    ingress.config = removed(&ingress.config);
    assert!(ingress.filter().is_err());
    Ok(config)
}

/// The delays that requests ask for, at the first listener of the waypoint.
pub fn add_delays(waypoint: &mut Example) -> Result<()> {
    let fault = json!({"name": "fault", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "delay": {"header_delay": {}, "percentage": {"numerator": 100}},
    }});
    waypoint.http_filters()?.insert(0, fault);
    Ok(())
}

/// Before each service's own route one with settings, and what makes them visible.
pub fn prepare(ingress: &mut Example) -> Result<()> {
    // By the path a request is found again in the access log, and this one is rewritten.
    let log = ingress.connection_manager()?.get_mut("access_log").context("access_log")?;
    let format =
        log.pointer_mut("/0/typed_config/log_format/json_format").context("json_format")?;
    format["path"] = json!("%REQ(x-envoy-original-path?:path)%");
    let marker = json!({"name": "marker", "typed_config": {"@type":
        "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"}});
    ingress.http_filters()?.insert(0, marker);
    for host in ["reviews", "ratings"] {
        let routes = ingress.routes(host)?;
        assert_eq!(routes.len(), 1);
        let with_settings = with_settings(&routes[0]);
        routes.insert(0, with_settings);
    }
    Ok(())
}

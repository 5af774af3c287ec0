//! What a changed file does, and who shares its table.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ingress_waypoint::Policy;
use serde_json::{Value, json};

use super::{REVIEWS, config, filter, on_route, specifier, within};
use crate::abi::fake::metrics;
use crate::filter::Filter;
use crate::specifier::Specifier;

/// Replaces a file as a whole.
fn replace(path: &Path, config: &Value) {
    fs::write(path.with_extension("new"), config.to_string()).unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
}

fn within_a_second(what: &str, holds: impl FnMut() -> bool) {
    within(Duration::from_secs(1), what, holds);
}

fn table(specifier: &Specifier) -> Arc<Policy> {
    specifier.source().policy().clone().unwrap()
}

#[test]
fn a_file_is_followed_and_a_bad_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services.json");
    let file = json!({"file": path});
    let (nothing, _) = metrics();
    assert!(Specifier::new(b"ingress_waypoint", file.to_string().as_bytes(), nothing).is_none());

    replace(&path, &config("original-dst-header"));
    let (specifier, values) = specifier(&file);
    assert_eq!(on_route(&specifier, REVIEWS).1.len(), 3);
    let result =
        |which: &str| values.get(&format!("ingress_waypoint.result.{which}.reloads_total"));

    let mut changed = config("original-dst-header");
    changed["services"][0]["vips"] = json!(["10.96.0.99"]);
    replace(&path, &changed);
    within_a_second("the new address", || {
        on_route(&specifier, REVIEWS).1[1] == "metadata destination 10.96.0.99:9080"
    });
    assert_eq!(result("accepted"), 1);

    for bad in [json!({"services": [{}]}), config("cluster-header"), json!("nothing")] {
        let before = result("refused");
        replace(&path, &bad);
        within_a_second("the refusal", || result("refused") == before + 1);
        assert_eq!(on_route(&specifier, REVIEWS).1[1], "metadata destination 10.96.0.99:9080");
    }
    fs::remove_file(&path).unwrap();
    within_a_second("the refusal of nothing", || result("refused") == 4);
    assert_eq!(on_route(&specifier, REVIEWS).1.len(), 3);

    changed["services"][0]["ingressUseWaypoint"] = json!(false);
    replace(&path, &changed);
    within_a_second("the way back", || on_route(&specifier, REVIEWS).1.is_empty());
    assert_eq!(values.get("ingress_waypoint.services.opted_in.true"), 2);
    specifier.close();
}

/// Moves something that is not a regular file into the place of one.
fn replace_by(path: &Path, make: impl FnOnce(&Path)) {
    let new = path.with_extension("new");
    make(&new);
    fs::rename(new, path).unwrap();
}

fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Whoever opens a FIFO waits for a writer, and this one has none.
#[test]
fn a_fifo_device_or_socket_is_refused_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services.json");
    let file = json!({"file": path});
    fifo(&path);
    let (sender, receiver) = std::sync::mpsc::channel();
    let text = file.to_string();
    std::thread::spawn(move || {
        let (counters, _) = metrics();
        let is_none = Specifier::new(b"ingress_waypoint", text.as_bytes(), counters).is_none();
        sender.send(is_none).unwrap();
    });
    assert!(receiver.recv_timeout(Duration::from_secs(5)).expect("a FIFO is refused at once"));

    let mut services = config("original-dst-header");
    replace(&path, &services);
    let (specifier, values) = specifier(&file);
    let result =
        |which: &str| values.get(&format!("ingress_waypoint.result.{which}.reloads_total"));
    let makers: [fn(&Path); 4] = [
        // Sparse: it has no blocks.
        |path| std::fs::File::create(path).unwrap().set_len((256 << 20) + 1).unwrap(),
        fifo,
        |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
    ];
    for (i, make) in makers.into_iter().enumerate() {
        let round = u64::try_from(i).unwrap() + 1;
        replace_by(&path, make);
        within_a_second("the refusal", || result("refused") == round);
        assert_eq!(on_route(&specifier, REVIEWS).1.len(), 3, "the old table stays");

        // A file comes back, and is followed as before.
        services["services"][0]["vips"] = json!([format!("10.96.0.{}", 100 + i)]);
        replace(&path, &services);
        let wanted = format!("metadata destination 10.96.0.{}:9080", 100 + i);
        within_a_second("the new address", || on_route(&specifier, REVIEWS).1[1] == wanted);
        assert_eq!((result("refused"), result("accepted")), (round, round));
    }
    specifier.close();
}

/// As the kubelet does it: the file is a link into `..data`, which is a link that is swapped.
#[test]
fn a_config_map_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let publish = |version: &str, config: &Value| {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("services.json"), config.to_string()).unwrap();
        std::os::unix::fs::symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    publish("..1", &config("original-dst-header"));
    std::os::unix::fs::symlink("..data/services.json", at("services.json")).unwrap();
    let (specifier, _) = specifier(&json!({"file": at("services.json")}));
    assert_eq!(on_route(&specifier, REVIEWS).1.len(), 3);

    let mut changed = config("original-dst-header");
    changed["services"][0]["ingressUseWaypoint"] = json!(false);
    publish("..2", &changed);
    within_a_second("the new table", || on_route(&specifier, REVIEWS).1.is_empty());
}

/// A table is freed when it is no longer read, and not before.
#[test]
fn a_replaced_table_goes_with_its_last_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services.json");
    let mut services = config("filter-state");
    replace(&path, &services);
    let (specifier, values) = specifier(&json!({"file": path}));
    let accepted = || values.get("ingress_waypoint.result.accepted.reloads_total");
    let first = Arc::downgrade(&table(&specifier));

    // The same text again is the same table.
    replace(&path, &services);
    within_a_second("the same again", || accepted() == 1);
    assert_eq!(Arc::as_ptr(&table(&specifier)), first.as_ptr());

    let reader = specifier.source().policy();
    services["annotate"] = json!(true);
    replace(&path, &services);
    within_a_second("another table", || accepted() == 2);
    within_a_second("what is read now", || table(&specifier).annotate());
    std::thread::sleep(Duration::from_millis(600));
    assert!(!reader.as_ref().unwrap().annotate());
    drop(reader);
    within_a_second("the end of the first table", || first.strong_count() == 0);
}

#[test]
fn one_file_is_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services.json");
    replace(&path, &config("filter-state"));
    let file = json!({"file": path});
    let (first, _) = specifier(&file);
    let (second, _) = specifier(&file);
    let (third, _) = filter(&file);
    let Filter::Ingress(third) = &third else { panic!() };
    assert!(first.shares_table_with(second.source()));
    assert!(first.shares_table_with(third.source()));
    let (other, _) = specifier(&config("filter-state"));
    assert!(!first.shares_table_with(other.source()));
}

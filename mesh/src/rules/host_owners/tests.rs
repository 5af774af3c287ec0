use super::*;

/// `kind namespace/name year host,…`, with `!` in front for a required one, `~` for a hidden one, `^`
/// for one that is exported to the ingress by name and `-` for one that the mesh does not know.
fn claimants(lines: &[&str]) -> Vec<Claimant> {
    let claimant = |line: &&str| {
        let mut parts = line.split(' ');
        let mut next = || parts.next().unwrap();
        let (kind, name, year, hosts) = (next(), next(), next(), next());
        let (marks, kind) = kind.split_at(kind.find(char::is_alphabetic).unwrap());
        let (namespace, name) = name.split_once('/').unwrap();
        let created = format!("{year}-01-01T00:00:00Z").parse().ok();
        let kind = if kind == "Service" { Kind::Service } else { Kind::ServiceEntry };
        let known = !marks.contains('-');
        let key = Key { namespace: namespace.into(), name: name.into() };
        let hosts = hosts.split(',').filter(|_| kind != Kind::Service);
        Claimant {
            id: Arc::new(Id { key, kind }),
            created,
            sight: match marks {
                _ if marks.contains('~') => Sight::Hidden,
                _ if marks.contains('^') => Sight::Named,
                _ => Sight::Seen,
            },
            known,
            captured: known,
            required: marks.contains('!'),
            hosts: hosts.map(str::to_owned).collect(),
        }
    };
    lines.iter().map(claimant).collect()
}

/// The standing of each claimant to each of its hosts, in one word, and what is rejected.
fn decide(lines: &[&str], required: &[&str], by_authority: bool) -> (Vec<String>, Vec<String>) {
    let claimants = claimants(lines);
    let mut hosts = Hosts::new("cluster.local", by_authority);
    hosts.require(required.iter().map(|&it| it.to_owned()).collect());
    for claimant in &claimants {
        hosts.set(&claimant.id, Some(claimant.clone()));
    }
    hosts.decide();
    let mut standings = Vec::new();
    for claimant in &claimants {
        let service =
            claimant.is_service().then(|| service_host(&claimant.id.key, "cluster.local"));
        for host in service.iter().chain(&claimant.hosts) {
            standings.push(match hosts.standing(&claimant.id, host) {
                Standing::Owner => "owner".to_owned(),
                Standing::Shadowed(by) => format!("shadowed by {}", by.name),
                Standing::Ambiguous(with) => format!("ambiguous with {}", with.name),
                Standing::Lost(to) => format!("lost to {}", to.name),
            });
        }
    }
    (standings, hosts.rejected().map(|it| it.host.clone()).collect())
}

#[test]
fn one_owner_a_host_and_namespace() {
    let (found, rejected) = decide(
        &[
            "Entry a/newer 2025 h",
            "Entry a/older 2024 h",
            "Entry a/new none h",
            "Entry b/oldest 2020 h",
            "Entry c/young 2026 h",
            "Entry a/own 2026 other",
        ],
        &[],
        false,
    );
    let expected = [
        "lost to older",
        "shadowed by oldest",
        "lost to older",
        "owner",
        "shadowed by oldest",
        "owner",
    ];
    assert_eq!(found, expected);
    assert!(rejected.is_empty());
}

#[test]
fn a_service_goes_before_all() {
    let lines = [
        "Service a/s 2026 s.a.svc.cluster.local",
        "!Entry a/same 2020 s.a.svc.cluster.local",
        "!Entry b/other 2020 s.a.svc.cluster.local",
    ];
    let (found, rejected) = decide(&lines, &["a"], true);
    assert_eq!(found, ["owner", "lost to s", "shadowed by s"]);
    assert!(rejected.is_empty());
}

#[test]
fn who_is_of_one_second_goes_by_namespace_and_name() {
    let lines = ["Entry b/a 2024 h", "Entry a/y 2024 h", "Entry a/x 2024 h"];
    assert_eq!(decide(&lines, &[], false).0, ["shadowed by x", "lost to x", "owner"]);
    // What is not applied yet is the newest.
    let lines = ["Entry a/new none h", "Entry b/old 2026 h"];
    assert_eq!(decide(&lines, &[], false).0, ["shadowed by old", "owner"]);
}

#[test]
fn another_namespace_takes_nothing_from_a_required_one() {
    for (victim, taker) in [("2025", "2024"), ("2024", "2025"), ("none", "2024"), ("2024", "none")]
    {
        for mark in ["", "!"] {
            let lines =
                [format!("!Entry a/victim {victim} h"), format!("{mark}Entry b/taker {taker} h")];
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let (found, rejected) = decide(&lines, &[], false);
            let required_owner = victim == "2024" && mark.is_empty();
            if required_owner {
                // It has the host itself: nothing is taken.
                assert_eq!(found, ["owner", "shadowed by victim"], "{lines:?}");
                assert!(rejected.is_empty());
            } else {
                assert_eq!(found, ["ambiguous with taker", "ambiguous with victim"], "{lines:?}");
                assert_eq!(rejected, ["h"]);
            }
        }
    }
}

#[test]
fn in_its_own_namespace_a_required_one_loses_only_to_what_is_required_too() {
    let (found, rejected) = decide(&["!Entry a/new 2025 h", "Entry a/old 2024 h"], &[], false);
    assert_eq!(found, ["lost to old", "ambiguous with new"]);
    assert_eq!(rejected, ["h"]);
    let (found, rejected) = decide(&["!Entry a/new 2025 h", "!Entry a/old 2024 h"], &[], false);
    assert_eq!(found, ["lost to old", "owner"]);
    assert!(rejected.is_empty());
}

#[test]
fn what_the_ingress_does_not_see_takes_nothing() {
    let (found, rejected) = decide(&["~Entry a/old 2020 h", "!Entry b/new 2025 h"], &[], false);
    assert_eq!(found, ["shadowed by new", "owner"]);
    assert!(rejected.is_empty());
    // Nor is anything taken from it.
    let (found, rejected) = decide(&["~!Entry a/old 2020 h", "Entry b/new 2025 h"], &[], false);
    assert_eq!(found, ["shadowed by new", "owner"]);
    assert!(rejected.is_empty());
}

#[test]
fn what_names_the_ingress_goes_before_what_all_see() {
    let (found, _) = decide(&["Entry a/old 2020 h", "^Entry b/new 2025 h"], &[], false);
    assert_eq!(found, ["shadowed by new", "owner"]);
    let (found, _) =
        decide(&["Service a/s 2025 -", "^Entry b/e 2020 s.a.svc.cluster.local"], &[], false);
    assert_eq!(found, ["owner", "shadowed by s"]);
}

#[test]
fn what_the_mesh_does_not_know_wins_nothing() {
    let (found, _) = decide(&["-Entry a/old 2020 h", "Entry a/new 2025 h"], &[], false);
    assert_eq!(found, ["shadowed by new", "owner"]);
    let (found, rejected) = decide(&["-!Entry a/old 2020 h", "Entry b/new 2025 h"], &[], false);
    assert_eq!(found, ["ambiguous with new", "ambiguous with old"]);
    assert_eq!(rejected, ["h"]);
}

#[test]
fn a_required_namespace_keeps_the_hosts_of_services_that_are_not_there_yet() {
    let lines = [
        "Entry b/taker 2020 soon.a.svc.cluster.local",
        "Entry a/own 2020 later.a.svc.cluster.local",
    ];
    let (found, rejected) = decide(&lines, &["a"], false);
    assert_eq!(found, ["ambiguous with a", "owner"]);
    assert_eq!(rejected, ["soon.a.svc.cluster.local"]);
    assert!(decide(&lines, &[], false).1.is_empty());
}

#[test]
fn by_authority_nothing_closer_takes_from_a_required_wildcard() {
    let lines = [
        "!Entry a/wild 2024 *.example.com",
        "Entry a/near 2024 near.example.com",
        "Entry b/closer 2024 x.example.com,*.y.example.com,x.example.org",
        "~Entry b/unseen 2024 z.example.com",
    ];
    let (found, rejected) = decide(&lines, &[], true);
    assert_eq!(
        found,
        [
            "owner",
            "owner",
            "ambiguous with wild",
            "ambiguous with wild",
            "owner",
            "shadowed by wild"
        ]
    );
    assert_eq!(rejected, ["*.y.example.com", "x.example.com"]);
    // By their clusters' names they are told apart.
    assert!(decide(&lines, &[], false).1.is_empty());
}

#[test]
fn by_authority_nothing_takes_the_other_names_of_a_required_service() {
    // Whether the ingress sees the taker or not.
    for mark in ["", "~"] {
        let lines = [
            "!Service a/s 2024 s.a.svc.cluster.local".to_owned(),
            "Service a/open 2024 open.a.svc.cluster.local".to_owned(),
            format!("{mark}Entry b/taker 2020 s.a,*.svc,open.a"),
            format!("{mark}Entry b/wide 2020 *.cluster.local"),
        ];
        let (found, rejected) = decide(&lines.each_ref().map(String::as_str), &["c"], true);
        assert_eq!(found, ["owner", "owner", "ambiguous with s", "owner", "owner", "owner"]);
        assert_eq!(rejected, ["*.c.svc.cluster.local", "s.a", "s.a.svc"]);
    }
}

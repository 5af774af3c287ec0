use super::*;

fn labels(key: &str, value: &str) -> Labels {
    [(key.to_owned(), value.to_owned())].into()
}

#[test]
fn discovery_selectors_are_alternatives_of_requirements() {
    let config = MeshConfig::from_yaml(
        "discoverySelectors:\n\
         - matchLabels: {mesh: 'yes'}\n\
         - matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [named]}]\n\
         -\n",
    )
    .unwrap();
    for (namespace, labels, expected) in [
        ("a", Some(labels("mesh", "yes")), true),
        ("a", Some(labels("mesh", "no")), false),
        ("a", None, false),
        ("named", None, true),
    ] {
        assert_eq!(config.selects(namespace, labels.as_ref()), expected, "{namespace} {labels:?}");
    }
    assert!(MeshConfig::from_yaml("discoverySelectors: [{}]").unwrap().selects("a", None));
    assert!(MeshConfig::from_yaml("").unwrap().selects("a", None));
    assert!(!MeshConfig::from_yaml("discovery_selectors: [null]").unwrap().selects("a", None));
}

#[test]
fn the_first_policy_that_matches_decides_on_visibility() {
    let config = MeshConfig::from_yaml(
        "serviceEntryVisibility:\n\
         \x20 defaultVisibility: NAMESPACE\n\
         \x20 policies:\n\
         \x20 - {visibility: NONE, matchingRules: [{namespaceSelector: {matchLabels: {tier: bad}}}]}\n\
         \x20 - {visibility: PUBLIC, matchingRules: [{hostnameSuffix: x}]}\n\
         \x20 - {visibility: 3, matchingRules: [{namespaceSelector: {matchLabels: {tier: good}}}]}\n",
    )
    .unwrap();
    let of = |tier: &str| config.visibility("a", Some(&labels("tier", tier)));
    assert_eq!(of("bad"), Visibility::None);
    assert_eq!(of("good"), Visibility::Public);
    assert_eq!(of("other"), Visibility::Namespace);
    assert_eq!(MeshConfig::default().visibility("a", None), Visibility::Public);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_field() {
    for (text, field) in [
        (
            "discoverySelectors: [{matchExpressions: [{key: a, operator: Near}]}]",
            "discoverySelectors[0]",
        ),
        ("discoverySelectors: yes", "discoverySelectors"),
        (
            "serviceEntryVisibility: {defaultVisibility: ALL}",
            "serviceEntryVisibility.defaultVisibility",
        ),
        ("[", "line 1"),
    ] {
        let error = MeshConfig::from_yaml(text).unwrap_err();
        assert!(error.contains(field), "{text}: {error}");
    }
}

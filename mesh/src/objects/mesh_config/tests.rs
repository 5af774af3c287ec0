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
    for (text, expected) in [
        (
            "discoverySelectors: [{matchExpressions: [{key: a, operator: Near}]}]",
            "discoverySelectors[0]: \"a\" Near is not a requirement (In and NotIn need values, Exists and DoesNotExist take none)",
        ),
        ("discoverySelectors: yes", "discoverySelectors: true is not a list"),
        ("discoverySelectors: [5]", "discoverySelectors[0]: 5 is not an object"),
        (
            "discovery_selectors: [{matchLabels: {mesh: true}}]",
            "discovery_selectors[0].matchLabels.mesh: true is not a string (put it in quotes)",
        ),
        (
            "discoverySelectors: [{matchLabels: [mesh]}]",
            "discoverySelectors[0].matchLabels: [\"mesh\"] is not an object",
        ),
        (
            "discoverySelectors: [{matchExpressions: [{key: a}]}]",
            "discoverySelectors[0].matchExpressions[0]: operator is missing",
        ),
        ("defaultServiceExportTo: .", "defaultServiceExportTo: \".\" is not a list"),
        (
            "serviceEntryVisibility: {defaultVisibility: ALL}",
            "serviceEntryVisibility.defaultVisibility: \"ALL\" is not NONE, NAMESPACE or PUBLIC",
        ),
        (
            "serviceEntryVisibility: {defaultVisibility: [ALL]}",
            "serviceEntryVisibility.defaultVisibility: [\"ALL\"] is not NONE, NAMESPACE or PUBLIC",
        ),
        ("5", "5 is not an object"),
        (
            "{discoverySelectors: [], discovery_selectors: []}",
            "discovery_selectors: is given under another name too",
        ),
    ] {
        assert_eq!(MeshConfig::from_yaml(text), Err(expected.to_owned()), "{text}");
    }
    let long = format!("discoverySelectors: {}", "x".repeat(100));
    let shown = format!("discoverySelectors: \"{}… is not a list", "x".repeat(59));
    assert_eq!(MeshConfig::from_yaml(&long), Err(shown));
    assert!(MeshConfig::from_yaml("[").unwrap_err().contains("line 1"));
}

//! Pods as identities of their own: tokens good and bad, many pods at once, and what is left of
//! them on the node.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value as Json, json};
use simulation::cloud::{Forgery, Hop, ServiceAccountToken, standard};
use simulation::kubelet::{Exit, Outcome, encode_request};

use crate::node::{ACME, Node, V1, across_accounts, entry};

const ROLE_NAME: &str = "pod-identity.alibabacloud.com/role-name";
const INHOUSE: &str = "inhouse-registry.cn-hangzhou.cr.aliyuncs.com";

/// A node whose token file would do for the entry, if it were taken.
fn node(overlay: &str, entries: &str) -> Node {
    let mut node = Node::new(overlay);
    let file = node.folder.join("token");
    let helper = ("kube-system", "aliyun-acr-credential-helper");
    let token = node.cloud.service_account_token(standard::OIDC_PROVIDER, helper.0, helper.1);
    fs::write(&file, token.mint()).unwrap();
    node.settings = format!("{}  oidcTokenFile: {}\n", node.settings, file.display());
    node.configure_all(&format!("rrsa: {{enable: true}}\nacr-registry-info:\n{entries}"));
    node
}

fn ask(node: &Node, image: &str, token: &str, role: Option<&str>) -> Outcome {
    let annotations = role.map(|role| (ROLE_NAME.to_owned(), role.to_owned()));
    let annotations: BTreeMap<String, String> = annotations.into_iter().collect();
    node.exec(&[]).run(&encode_request(V1, image, Some(token), &annotations)).unwrap()
}

fn pod<'c>(node: &'c Node, namespace: &str) -> ServiceAccountToken<'c> {
    node.cloud.service_account_token(standard::OIDC_PROVIDER, namespace, "app")
}

/// Refused with exit code 3, and the first line says this.
fn refused(node: &Node, token: &str, says: &str) {
    let outcome = ask(node, &format!("{ACME}/team/app"), token, None);
    let stderr = outcome.stderr_text();
    assert_eq!(outcome.exit, Exit::Code(3), "{says}: {stderr}");
    assert_eq!(outcome.stdout, b"", "{says}");
    let first = stderr.lines().next().unwrap();
    assert!(first.contains(says), "{says}: {first}");
    assert!(stderr.lines().count() <= 5 && stderr.len() < 3000, "{stderr}");
    assert!(stderr.lines().all(|line| !line.chars().any(char::is_control)), "{stderr:?}");
    assert_eq!(node.cloud.leaks(&stderr), [], "{stderr}");
    assert!(token.len() < 2 || !stderr.contains(token), "{stderr}");
}

/// Told apart from the claims alone: the cloud gets no call, and the token file is not taken.
#[test]
fn what_no_sts_would_take_is_refused_before_any_call() {
    let node = node("{}", &across_accounts(standard::RRSA_ROLE));
    let claims = |changes: &[(&str, Json)]| {
        let pod = pod(&node, "team-a");
        changes.iter().fold(pod, |pod, (name, value)| pod.claim(name, value.clone())).mint()
    };
    let now = node.cloud.now().as_second();
    let good = claims(&[]);
    let parts: Vec<&str> = good.split('.').collect();
    for (token, says) in [
        ("made-up".to_owned(), "is not a JWT"),
        (" ".to_owned(), "is not a JWT"),
        (format!("{}.{}", parts[0], parts[1]), "is not a JWT"),
        (format!("{good}.{}", parts[2]), "is not a JWT"),
        (format!("{good}\n"), "is not a JWT"),
        (format!("{}.!!!.{}", parts[0], parts[2]), "is not a JWT"),
        (format!("{}.{}.{}", parts[0], "W10", parts[2]), "is not a JWT"),
        ("a".repeat(20_000), "is not a JWT"),
        ("a".repeat(20_001), "has 20001 characters, and STS takes 20000"),
        (claims(&[("pad", json!("x".repeat(500_000)))]), "and STS takes 20000"),
        (claims(&[("aud", json!("api"))]), "for audience `api`, not `sts.aliyuncs.com`"),
        (claims(&[("aud", json!(["api", "vault"]))]), "for audience `api, vault`, not"),
        (claims(&[("aud", json!(["sts.aliyuncs.com.evil"]))]), "not `sts.aliyuncs.com`"),
        (claims(&[("aud", json!("STS.aliyuncs.com"))]), "not `sts.aliyuncs.com`"),
        (claims(&[("aud", json!("a\nerror: b\u{1b}[31m"))]), "for audience `a error: b"),
        (claims(&[("aud", json!("x".repeat(10_000)))]), "not `sts.aliyuncs.com`"),
        (claims(&[("aud", json!([]))]), "has no audience"),
        (claims(&[("aud", json!(7))]), "has no audience"),
        (claims(&[("aud", Json::Null)]), "has no audience"),
        (claims(&[("exp", json!(now - 1))]), "expired at"),
        (claims(&[("exp", json!(0))]), "expired at 1970-01-01T00:00:00Z"),
        (claims(&[("exp", json!(-1.5))]), "expired at 1969-12-31T23:59:59Z"),
        (claims(&[("exp", json!(now.to_string()))]), "has no time in `exp`"),
        (claims(&[("exp", Json::Null)]), "has no time in `exp`"),
        (claims(&[("exp", json!(1e300))]), "has no time in `exp`"),
    ] {
        refused(&node, &token, says);
    }
    assert_eq!(node.cloud.call_lines(), [""; 0]);
}

/// A claim says nothing that is believed: STS checks the signature, and its refusal is the answer.
#[test]
fn what_only_sts_can_tell_is_left_to_it_and_nothing_else_is_tried() {
    for forgery in
        [Forgery::ForeignKey, Forgery::ChangedPayload, Forgery::Unsigned, Forgery::OtherAlgorithm]
    {
        let node = node("{}", &across_accounts(standard::RRSA_ROLE));
        let helper = node.cloud.service_account_token(
            standard::OIDC_PROVIDER,
            "kube-system",
            "aliyun-acr-credential-helper",
        );
        refused(&node, &helper.forged(forgery).mint(), "AuthenticationFail.OIDCToken.Invalid");
        assert_eq!(node.cloud.calls().len(), 1, "{forgery:?}: {:?}", node.cloud.call_lines());
    }
    let node = node("{}", &across_accounts(standard::TEAM_A_ROLE));
    let other = pod(&node, "team-a").issuer("https://other.example.com").mint();
    refused(&node, &other, "AuthenticationFail.OIDCToken.IssuerNotMatch");
    refused(&node, &pod(&node, "team-ab").mint(), "AuthenticationFail.NoPermission");
    assert_eq!(node.cloud.calls().len(), 2, "{:?}", node.cloud.call_lines());
}

#[test]
fn forms_of_good_claims() {
    let node = node("{}", &across_accounts(standard::TEAM_A_ROLE));
    let now = node.cloud.now().as_second();
    for (name, value) in [
        ("aud", json!("sts.aliyuncs.com")),
        ("aud", json!(["api", "sts.aliyuncs.com"])),
        ("more", json!({"aud": "api", "exp": 0})),
    ] {
        let outcome = ask(
            &node,
            &format!("{ACME}/team/app"),
            &pod(&node, "team-a").claim(name, value).mint(),
            None,
        );
        node.pulled(ACME, &outcome);
    }
    let ends = json!(now + 900);
    let token = pod(&node, "team-a").claim("exp", ends).mint();
    let outcome = ask(&node, &format!("{ACME}/team/app"), &token, None);
    let cache = node.pulled(ACME, &outcome).cache;
    assert!((860..=870).contains(&cache), "the token's end, less the margin: {cache}");
}

/// Two teams with a role each, which may pull nothing but the team's own repositories.
fn two_teams() -> Node {
    let role = |team: &str| {
        json!({
            "trust": {"Version": "1", "Statement": [{
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Federated": [standard::OIDC_PROVIDER]},
                "Condition": {"StringEquals": {
                    "oidc:aud": "sts.aliyuncs.com",
                    "oidc:iss": "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0000000000000000000000000000000a",
                    "oidc:sub": format!("system:serviceaccount:{team}:app"),
                }},
            }]},
            "policies": {"pull-images": {"Version": "1", "Statement": [
                {"Effect": "Allow", "Action": "cr:GetAuthorizationToken", "Resource": "*"},
                {"Effect": "Allow", "Action": "cr:PullRepository", "Resource": format!("acs:cr:*:*:repository/{}/{team}/*", standard::INHOUSE)},
            ]}},
        })
    };
    let roles = json!({"team-a-puller": role("team-a"), "team-b-puller": role("team-b")});
    let overlay = json!({
        "accounts": {standard::CLUSTER_ACCOUNT: {"roles": roles}},
        "faults": {"get-authorization-token": [{"delay-ms": 100}]},
    });
    let entry = format!(
        "  - instanceId: {}\n    regionId: cn-hangzhou\n    domains: {INHOUSE}\n    podIdentity: required\n    allowedRoles: team-*-puller\n    rrsaOIDCProviderRoleARN: {}\n",
        standard::INHOUSE,
        standard::OIDC_PROVIDER
    );
    let mut node = node(&overlay.to_string(), "");
    node.settings = format!("{}  accountId: \"{}\"\n", node.settings, standard::CLUSTER_ACCOUNT);
    node.configure_all(&format!("acr-registry-info:\n{entry}"));
    node
}

/// User name and password of an answer.
fn login(outcome: &Outcome) -> (String, String) {
    let answer = outcome.answer(V1).unwrap_or_else(|why| panic!("{why:?}\n{outcome:?}"));
    let login = &answer.auth.unwrap()[INHOUSE];
    (login.username.clone(), login.password.clone())
}

#[test]
fn twenty_pods_at_once_get_their_own_teams() {
    let node = two_teams();
    let image = format!("{INHOUSE}/any/app");
    let tokens = ["team-a", "team-b"].map(|team| (team, pod(&node, team).mint()));
    let outcomes: Vec<(&str, Outcome)> = thread::scope(|scope| {
        let started: Vec<_> = (0..20)
            .map(|number| {
                let (team, token) = &tokens[number % 2];
                let (node, image, role) = (&node, &image, format!("{team}-puller"));
                scope.spawn(move || (*team, ask(node, image, token, Some(&role))))
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (team, outcome) in &outcomes {
        let (user, password) = login(outcome);
        for other in ["team-a", "team-b"] {
            let repository = format!("{other}/app");
            let pulls =
                node.cloud.login_allows_pull(&user, &password, standard::INHOUSE, &repository);
            assert_eq!(pulls.is_ok(), *team == other, "{team} at {repository}");
        }
    }
    let calls = node.calls(Hop::AssumeRoleWithOidc);
    assert!((2..20).contains(&calls), "{calls}");
}

/// Ten pods of one service account, each with a token of its own; STS takes its time.
fn ten_pods(faults: &str) -> (Node, Vec<Outcome>) {
    let node = node(&format!("{{faults: {{{faults}}}}}"), &across_accounts(standard::TEAM_A_ROLE));
    let tokens = tokens(&node, 10);
    let image = format!("{ACME}/team/app");
    let outcomes = thread::scope(|scope| {
        let ask = |token| ask(&node, &image, token, None);
        let started: Vec<_> = tokens.iter().map(|token| scope.spawn(move || ask(token))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    (node, outcomes)
}

fn tokens(node: &Node, number: usize) -> Vec<String> {
    let mint = |number| {
        let claim = json!({"namespace": "team-a", "pod": {"name": format!("app-{number}")}});
        pod(node, "team-a").claim("kubernetes.io", claim).mint()
    };
    (0..number).map(mint).collect()
}

const SLOW: &str = "assume-role-with-oidc: [{delay-ms: 4000}]";

/// How often each of three hops was called.
fn three_calls(node: &Node) -> [usize; 3] {
    [Hop::AssumeRoleWithOidc, Hop::AssumeRole, Hop::GetAuthorizationToken]
        .map(|hop| node.calls(hop))
}

#[test]
fn pods_of_one_service_account_share_what_one_of_them_gets() {
    let (node, outcomes) = ten_pods(SLOW);
    for outcome in &outcomes {
        assert!(node.pulled(ACME, outcome).is_whole());
    }
    assert_eq!(three_calls(&node), [1, 1, 1]);
    assert_eq!(kinds(&files(&node)), ["trace", "trace.lock0"], "nothing of it is on disk");
    // Who comes later does not get it.
    node.pulled(ACME, &ask(&node, &format!("{ACME}/team/app"), &tokens(&node, 1)[0], None));
    assert_eq!(three_calls(&node), [2, 2, 2]);
}

#[test]
fn they_share_a_refusal_too_unless_it_may_be_of_one_token_alone() {
    let denied = "[{instead: {error: {status: 403, code: NoPermission}}}]";
    let (node, outcomes) = ten_pods(&format!("{SLOW}, assume-role: {denied}"));
    assert!(outcomes.iter().all(|outcome| outcome.exit == Exit::Code(4)), "{outcomes:?}");
    assert_eq!(three_calls(&node), [1, 1, 0]);
    let first = "{calls: 1, delay-ms: 4000, instead: {error: {status: 400, code: AuthenticationFail.OIDCToken.Expired}}}";
    let (_, outcomes) = ten_pods(&format!("assume-role-with-oidc: [{first}]"));
    let refused = outcomes.iter().filter(|outcome| outcome.exit == Exit::Code(3)).count();
    assert_eq!(refused, 1, "{outcomes:?}");
}

/// The bound of a pod's own token holds, whichever process has fetched the login.
#[test]
fn a_shared_login_ends_with_the_token_of_each_pod() {
    let node = node(&format!("{{faults: {{{SLOW}}}}}"), &across_accounts(standard::TEAM_A_ROLE));
    let ends = json!(node.cloud.now().as_second() + 900);
    let (long, short) =
        (pod(&node, "team-a").mint(), pod(&node, "team-a").claim("exp", ends).mint());
    let image = format!("{ACME}/team/app");
    thread::scope(|scope| {
        let first = scope.spawn(|| ask(&node, &image, &long, None));
        while node.cloud.calls().is_empty() && !first.is_finished() && !is_under_way(&node) {
            thread::sleep(Duration::from_millis(10));
        }
        let second = ask(&node, &image, &short, None);
        let cache = node.pulled(ACME, &second).cache;
        assert!((850..=870).contains(&cache), "the token's end, less the margin: {cache}");
        assert!(node.pulled(ACME, &first.join().unwrap()).is_whole());
    });
    assert_eq!(three_calls(&node), [1, 1, 1]);
}

/// `podLoginLife: session`: the kubelet may keep a login as long as it lives, for the pod that got it and for one
/// that shares it. The next run asks the cloud again.
#[test]
fn with_session_life_a_shared_login_outlives_the_token_and_is_not_kept() {
    let entry = across_accounts(standard::TEAM_A_ROLE) + "    podLoginLife: session\n";
    let node = node(&format!("{{faults: {{{SLOW}}}}}"), &entry);
    let ends = json!(node.cloud.now().as_second() + 900);
    let short = || pod(&node, "team-a").claim("exp", ends.clone()).mint();
    let (one, other) = (short(), short());
    let image = format!("{ACME}/team/app");
    thread::scope(|scope| {
        let first = scope.spawn(|| ask(&node, &image, &one, None));
        while node.cloud.calls().is_empty() && !first.is_finished() && !is_under_way(&node) {
            thread::sleep(Duration::from_millis(10));
        }
        let second = ask(&node, &image, &other, None);
        for outcome in [second, first.join().unwrap()] {
            assert!(node.pulled(ACME, &outcome).is_whole(), "{outcome:?}");
        }
    });
    assert_eq!(three_calls(&node), [1, 1, 1]);
    assert!(node.pulled(ACME, &ask(&node, &image, &one, None)).is_whole());
    assert_eq!(three_calls(&node), [2, 2, 2]);
}

/// Whether one process is ready to hand over what it gets.
fn is_under_way(node: &Node) -> bool {
    let files = fs::read_dir(node.cache()).into_iter().flatten();
    files.flatten().any(|file| file.file_name().to_string_lossy().ends_with(".socket"))
}

/// Another service account, or the same with another role, gets a login of its own.
#[test]
fn only_pods_of_the_same_service_account_and_role_share() {
    let node = two_teams();
    let slow = "{faults: {assume-role-with-oidc: [{delay-ms: 3000}]}}";
    node.cloud.change(slow).unwrap();
    let image = format!("{INHOUSE}/any/app");
    let (own, other) = (pod(&node, "team-a").mint(), pod(&node, "team-b").mint());
    thread::scope(|scope| {
        let first = scope.spawn(|| ask(&node, &image, &own, Some("team-a-puller")));
        while !first.is_finished() && !is_under_way(&node) {
            thread::sleep(Duration::from_millis(10));
        }
        for (token, role) in [(&other, "team-a-puller"), (&own, "team-b-puller")] {
            let refused = ask(&node, &image, token, Some(role));
            assert_eq!(refused.exit, Exit::Code(3), "{refused:?}");
        }
        login(&first.join().unwrap());
    });
}

/// A socket and a lock, both empty. The next run takes them over, and nothing is left.
#[test]
fn a_process_that_is_killed_leaves_empty_names() {
    let hang = "assume-role-with-oidc: [{calls: 1, connection: hang}]";
    let node = node(&format!("{{faults: {{{hang}}}}}"), &across_accounts(standard::TEAM_A_ROLE));
    let (token, image) = (tokens(&node, 1).remove(0), format!("{ACME}/team/app"));
    let request = encode_request(V1, &image, Some(&token), &BTreeMap::new());
    let mut child = node.start_with(&request);
    while node.calls(Hop::AssumeRoleWithOidc) == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = fs::read_dir(node.cache()).unwrap().map(|file| file.unwrap());
    for file in left.filter(|file| file.file_type().unwrap().is_file()) {
        assert_eq!(file.metadata().unwrap().len(), 0, "{file:?}");
    }
    assert!(is_under_way(&node), "the socket is still there");
    node.pulled(ACME, &ask(&node, &image, &token, None));
    let names = files(&node);
    assert!(!names.keys().any(|name| name.contains("overlap")), "{names:?}");
}

/// A pod cannot have the other team's role by naming it: its trust policy has another subject.
#[test]
fn an_annotation_does_not_open_the_role_of_others() {
    let node = two_teams();
    let token = pod(&node, "team-a").mint();
    let outcome = ask(&node, &format!("{INHOUSE}/a/app"), &token, Some("team-b-puller"));
    assert_eq!(outcome.exit, Exit::Code(3), "{outcome:?}");
    assert!(outcome.stderr_text().contains("AuthenticationFail.NoPermission"), "{outcome:?}");
}

/// All that pods leave on the node is that runs were made: no token, nothing of its claims, no
/// role, no session, no login. Failures may speak of all that, and are not written down.
#[test]
fn nothing_of_a_pod_is_on_disk() {
    let node = two_teams();
    let token = pod(&node, "team-a").mint();
    let image = format!("{INHOUSE}/a/app");
    let runs = || {
        login(&ask(&node, &image, &token, Some("team-a-puller")));
        for role in ["team-b-puller", "admin"] {
            assert_eq!(ask(&node, &image, &token, Some(role)).exit, Exit::Code(3));
        }
    };
    runs();
    assert_eq!(kinds(&files(&node)), ["trace", "trace.lock0"], "nothing but the list of runs");

    // Where the node keeps its own, pods change nothing but that list either.
    let own = entry(ACME, standard::ACME, standard::PULLER);
    let both = fs::read_to_string(node.config()).unwrap();
    let both = both.replacen("acr-registry-info:\n", &format!("acr-registry-info:\n{own}"), 1);
    fs::write(node.config(), both).unwrap();
    node.pull(ACME);
    let before = files(&node);
    runs();
    let after = files(&node);
    let is_trace = |name: &String| name.ends_with("-trace");
    let others = |files: &BTreeMap<String, String>| {
        files.clone().into_iter().filter(|(name, _)| !is_trace(name)).collect::<Vec<_>>()
    };
    assert_eq!(others(&before), others(&after));
    let (_, trace) = after.iter().find(|(name, _)| is_trace(name)).unwrap();
    assert_eq!(node.cloud.leaks(trace), [], "{trace}");
    let claims = token.split('.').nth(1).unwrap();
    for word in [token.as_str(), claims, "team-a", "team-b", "serviceaccount", "admin", "-puller"] {
        assert!(!trace.contains(word), "{word} in {trace}");
    }
    // What a person needs for seeing where time went is there.
    assert!(trace.contains(INHOUSE) && trace.contains("AssumeRoleWithOIDC"), "{trace}");
    assert!(trace.contains("\"failed\""), "{trace}");
}

/// What is in the cache, without the configuration's place that each name begins with.
fn kinds(files: &BTreeMap<String, String>) -> Vec<&str> {
    files.keys().map(|name| name.split_once('-').unwrap().1).collect()
}

/// Names and contents of what is in the cache.
fn files(node: &Node) -> BTreeMap<String, String> {
    let files = fs::read_dir(node.cache()).unwrap().map(|file| file.unwrap());
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    files.map(|file| (file.file_name().to_string_lossy().into_owned(), read(file.path()))).collect()
}

/// It has no pod's token, and that is no fault of the node. What other checks find on this
/// machine, a kubelet among them, is not asked about.
#[test]
fn doctor_does_not_fail_where_a_pod_is_needed() {
    let node = two_teams();
    let outcome = node.exec(&["doctor", "--json"]).run(&[]).unwrap();
    let document: Json = serde_json::from_slice(&outcome.stdout).unwrap();
    let check = |name: &str| {
        let checks = document["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap().clone()
    };
    assert_eq!(check("entry")["status"], "ok", "{document:#}");
    let entry = check("entry")["details"].to_string();
    assert!(entry.contains("is for pods with their own token, by entry 1"), "{entry}");
    assert!(entry.contains("its keys: instanceId (line 2)"), "{entry}");
    for name in ["identity", "role", "token"] {
        assert_eq!(check(name)["status"], "skipped", "{document:#}");
    }
    // What needs no login is looked at, and nobody is told that all is well.
    for name in ["endpoints", "registry"] {
        assert_ne!(check(name)["status"], "skipped", "{document:#}");
    }
    assert_eq!(
        node.cloud
            .calls()
            .iter()
            .filter(|call| call.hop != Hop::RegistryChallenge && call.hop != Hop::RegistryAuth)
            .count(),
        0
    );
    let outcome = node.exec(&["doctor"]).run(&[]).unwrap();
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert!(text.contains("Not checked: identity, role, token."), "{text}");
}

//! What is decided about a fleet, and what its status says.

use crds::fleet::{ReflectorFleet, validate};
use crds::reflector::Reflector;
use kube::ResourceExt as _;

use super::decide::{Decision, Step, decide, to_prune};
use super::fetch::{Found, Node};
use super::names::CHANGED_WHILE_READY;
use super::status::{Progress, is_in, status};
use super::testing::{at, fleet, found, member, node, ready};

const HOME: &str = "{ nodeSelector: { site: home }, template: { spec: { network: { port: 4100 } } } }";
const PRUNED: &str = "{ nodeSelector: { site: home }, template: { spec: {} }, prune: true }";

fn home() -> ReflectorFleet {
    fleet(HOME)
}

/// The same fleet after an edit of its template.
fn edited() -> ReflectorFleet {
    fleet(&HOME.replace("4100", "4200"))
}

fn elsewhere(name: &str) -> Node {
    Node { labels: [("site".to_owned(), "work".to_owned())].into(), ..node(name) }
}

fn decided(found: &Found) -> Decision {
    let valid = validate(&found.fleet).unwrap();
    decide(found, &valid).unwrap()
}

/// `make homes-a`, `change homes-b`, `remove homes-c`.
fn steps(decision: &Decision) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Make(member) => format!("make {}", member.name_any()),
        Step::Change { there, desired } => {
            assert_eq!(there.name_any(), desired.name_any());
            format!("change {}", there.name_any())
        }
        Step::Remove(member) => format!("remove {}", member.name_any()),
    };
    decision.steps.iter().map(word).collect()
}

/// `Ready`'s status and reason, then `Reconciling` or `Stalled`, and what it says.
fn said(fleet: &ReflectorFleet, decision: &Decision) -> (String, String) {
    let status = status(fleet, &Progress::Applied(decision, None), at(9));
    let all: Vec<String> = status
        .conditions
        .iter()
        .map(|one| match one.type_.as_str() {
            "Ready" => format!("{} {}", one.status, one.reason),
            other => other.to_owned(),
        })
        .collect();
    (all.join(" "), status.conditions[0].message.clone())
}

/// `desired ready updated unavailable`
fn numbers(fleet: &ReflectorFleet, decision: &Decision) -> [i64; 4] {
    let status = status(fleet, &Progress::Applied(decision, None), at(9));
    [status.desired, status.ready, status.updated, status.unavailable].map(Option::unwrap)
}

fn down(mut member: Reflector) -> Reflector {
    let generation = member.metadata.generation.unwrap();
    member.status.as_mut().unwrap().conditions = vec![ready("False", generation)];
    member
}

#[test]
fn a_change_that_restarts_nothing_reaches_every_member_at_once_and_interrupts_none() {
    let limited = fleet(&HOME.replace("port: 4100 }", "port: 4100 }, quotas: { testsPerHour: 7 }"));
    let nodes = vec![node("a"), node("b"), node("c")];
    let members: Vec<Reflector> = ["a", "b", "c"].map(|name| member(&home(), name)).into();
    let decision = decided(&found(limited.clone(), nodes.clone(), members));
    assert_eq!(steps(&decision), ["change homes-a", "change homes-b", "change homes-c"]);
    for step in &decision.steps {
        let Step::Change { desired, .. } = step else { panic!("{step:?}") };
        assert!(!desired.annotations().contains_key(CHANGED_WHILE_READY), "{desired:?}");
    }
    assert_eq!(numbers(&limited, &decision), [3, 3, 3, 0]);

    // Written, and nobody has looked at them yet: they serve on, so the next restart takes its turn.
    let unseen = |name: &str| {
        let mut member = member(&limited, name);
        member.metadata.generation = Some(6);
        member
    };
    let moved = fleet(&HOME.replace("port: 4100 }", "port: 4200 }, quotas: { testsPerHour: 7 }"));
    let decision = decided(&found(moved, nodes, ["a", "b", "c"].map(unseen).into()));
    assert_eq!(steps(&decision), ["change homes-a"]);
}

/// F2
#[test]
fn each_node_that_matches_has_a_member_and_no_other() {
    let fleet = home();
    let all = found(fleet.clone(), vec![node("a"), node("b"), elsewhere("c")], vec![]);
    let decision = decided(&all);
    assert_eq!(steps(&decision), ["make homes-a", "make homes-b"]);
    assert_eq!(numbers(&fleet, &decision), [2, 0, 2, 2]);
    let (conditions, _) = said(&fleet, &decision);
    assert_eq!(conditions, "False MembersNotReady Reconciling");

    let members = vec![member(&fleet, "a"), member(&fleet, "b")];
    let calm = decided(&found(fleet.clone(), vec![node("a"), node("b")], members.clone()));
    assert!(calm.steps.is_empty(), "{:?}", steps(&calm));
    assert_eq!(numbers(&fleet, &calm), [2, 2, 2, 0]);
    assert_eq!(said(&fleet, &calm).0, "True AllReady");

    let moved = decided(&found(fleet, vec![elsewhere("a"), node("b"), node("d")], members));
    assert_eq!(steps(&moved), ["remove homes-a", "make homes-d"], "and b is left alone");
}

#[test]
fn a_node_that_is_gone_keeps_its_member_out_of_the_counts_and_finds_it_again() {
    let fleet = home();
    let members = vec![member(&fleet, "a"), member(&fleet, "b")];
    for nodes in [vec![node("b")], vec![Node { leaves: true, ..node("a") }, node("b")]] {
        let decision = decided(&found(fleet.clone(), nodes, members.clone()));
        assert!(decision.steps.is_empty(), "{:?}", steps(&decision));
        assert_eq!(numbers(&fleet, &decision), [1, 1, 1, 0]);
        let (conditions, words) = said(&fleet, &decision);
        assert_eq!(conditions, "True AllReady");
        assert!(words.contains("Kept for nodes that are gone: homes-a"), "{words}");
        let shown = status(&fleet, &Progress::Applied(&decision, None), at(9)).members;
        assert_eq!(shown.len(), 2, "peers keep their entry on it");
        assert_eq!((shown[0].node.as_deref(), shown[0].ready), (Some("a"), Some(false)));
    }
    let back = decided(&found(fleet, vec![node("a"), node("b")], members));
    assert!(back.steps.is_empty() && back.desired == 2, "the same member, the same identity");
}

#[test]
fn a_pruned_member_goes_only_when_its_claim_goes_with_it() {
    let fleet = fleet(PRUNED);
    let mut gone = member(&fleet, "a");
    let mut all = found(fleet.clone(), vec![node("b")], vec![gone.clone(), member(&fleet, "b")]);
    let valid = validate(&fleet).unwrap();
    let names: Vec<String> = to_prune(&all, &valid).into_iter().map(Reflector::name_any).collect();
    assert_eq!(names, ["homes-a"]);
    all.kept_claims.insert("homes-a".into(), true);
    let first = decided(&all);
    assert_eq!(steps(&first), ["change homes-a"]);
    let Step::Change { desired, .. } = &first.steps[0] else { panic!("{first:?}") };
    assert_eq!(desired.spec.identity.as_ref().and_then(|identity| identity.retain), Some(false));
    assert!(first.look_again_soon);

    let mut nameless = gone.clone();
    nameless.annotations_mut().clear();
    let mut other = found(fleet.clone(), vec![node("b")], vec![nameless, member(&fleet, "b")]);
    other.kept_claims.insert("homes-a".into(), true);
    assert_eq!(steps(&decided(&other)), ["change homes-a"], "whoever took its annotation away");

    gone.spec = desired.spec.clone();
    gone.metadata.generation = Some(6);
    let look = |gone: &Reflector, kept: bool| {
        let mut all = found(fleet.clone(), vec![node("b")], vec![gone.clone(), member(&fleet, "b")]);
        all.kept_claims.insert("homes-a".into(), kept);
        decided(&all)
    };
    assert!(steps(&look(&gone, false)).is_empty(), "its own controller has not seen it");
    gone.status.as_mut().unwrap().observed_generation = Some(6);
    assert!(steps(&look(&gone, true)).is_empty(), "its claim would stay");
    let last = look(&gone, false);
    assert_eq!(steps(&last), ["remove homes-a"]);
    assert_eq!(last.rows.len(), 1, "and its entry goes");

    let mut back =
        decided(&found(fleet.clone(), vec![node("a"), node("b")], vec![gone, member(&fleet, "b")]));
    assert_eq!(steps(&back), ["change homes-a"], "a node that returns in between is not pruned");
    let Some(Step::Change { desired, .. }) = back.steps.pop() else { panic!("{back:?}") };
    assert_eq!(desired.spec.identity, None);
}

#[test]
fn a_node_that_is_about_to_go_is_not_pruned() {
    let fleet = fleet(PRUNED);
    let leaving = Node { leaves: true, ..node("a") };
    let all = found(fleet.clone(), vec![leaving, node("b")], vec![member(&fleet, "a"), member(&fleet, "b")]);
    assert!(to_prune(&all, &validate(&fleet).unwrap()).is_empty());
    assert!(decided(&all).steps.is_empty());
}

#[test]
fn a_change_reaches_one_member_and_the_next_only_when_that_serves() {
    let (old, new) = (home(), edited());
    let nodes = || vec![node("a"), node("b")];
    let first = decided(&found(new.clone(), nodes(), vec![member(&old, "a"), member(&old, "b")]));
    assert_eq!(steps(&first), ["change homes-a"]);
    let Step::Change { desired, .. } = &first.steps[0] else { panic!("{first:?}") };
    assert!(desired.annotations().contains_key(CHANGED_WHILE_READY));
    assert_eq!(said(&new, &first).0, "False RollingOut Reconciling");
    assert_eq!(numbers(&new, &first), [2, 1, 1, 1], "it counts as changed, and as not serving yet");

    // As the server answers: a generation nobody has looked at.
    let mut a = member(&new, "a");
    a.annotations_mut().insert(CHANGED_WHILE_READY.into(), "true".into());
    a.metadata.generation = Some(6);
    let waits = decided(&found(new.clone(), nodes(), vec![a.clone(), member(&old, "b")]));
    assert!(waits.steps.is_empty(), "what it said before the change does not count: {:?}", steps(&waits));
    let (conditions, words) = said(&new, &waits);
    assert_eq!(conditions, "False RollingOut Reconciling");
    assert!(words.contains("1 of 2 are updated; not Ready: homes-a"), "{words}");

    let status = a.status.as_mut().unwrap();
    (status.observed_generation, status.conditions) = (Some(6), vec![ready("True", 6)]);
    let next = decided(&found(new.clone(), nodes(), vec![a, member(&old, "b")]));
    assert_eq!(steps(&next), ["change homes-a", "change homes-b"]);
    let Step::Change { desired, .. } = &next.steps[0] else { panic!("{next:?}") };
    assert!(!desired.annotations().contains_key(CHANGED_WHILE_READY), "the note is taken back, no more");
}

#[test]
fn a_member_that_is_off_is_changed_first_and_not_waited_for() {
    let (old, new) = (home(), edited());
    let nodes = || vec![node("a"), node("b")];
    let first = decided(&found(new.clone(), nodes(), vec![member(&old, "a"), down(member(&old, "b"))]));
    assert_eq!(steps(&first), ["change homes-b"]);
    let Step::Change { desired, .. } = &first.steps[0] else { panic!("{first:?}") };
    assert!(!desired.annotations().contains_key(CHANGED_WHILE_READY));
    let next = decided(&found(new.clone(), nodes(), vec![member(&old, "a"), down(member(&new, "b"))]));
    assert_eq!(steps(&next), ["change homes-a"]);
}

#[test]
fn an_edit_of_a_member_is_taken_back_and_its_suspend_is_not() {
    let fleet = home();
    let mut edited = member(&fleet, "a");
    edited.spec.network.as_mut().unwrap().health_port = Some(7400);
    let decision = decided(&found(fleet.clone(), vec![node("a")], vec![edited]));
    assert_eq!(steps(&decision), ["change homes-a"]);
    let mut suspended = down(member(&fleet, "a"));
    suspended.spec.suspend = Some(true);
    let decision = decided(&found(fleet.clone(), vec![node("a")], vec![suspended]));
    assert!(decision.steps.is_empty(), "{:?}", steps(&decision));
    let (conditions, words) = said(&fleet, &decision);
    assert_eq!(conditions, "False MembersNotReady");
    assert!(words.contains("not Ready: homes-a"), "{words}");
}

#[test]
fn there_are_at_most_64_members_those_of_nodes_that_are_gone_among_them() {
    let fleet = home();
    let nodes: Vec<Node> = (0..65).map(|at| node(&format!("n{at:02}"))).collect();
    let none = decided(&found(fleet.clone(), nodes.clone(), vec![]));
    assert!(none.steps.is_empty(), "which 64 is not ours to choose");
    let (conditions, words) = said(&fleet, &none);
    assert_eq!(conditions, "False TooManyNodes Stalled");
    assert!(words.contains("there would be 65 members"), "{words}");
    assert_eq!(steps(&decided(&found(fleet.clone(), nodes[..64].to_vec(), vec![]))).len(), 64);

    let members: Vec<Reflector> = nodes.iter().take(64).map(|node| member(&fleet, &node.name)).collect();
    let full = decided(&found(fleet.clone(), nodes.clone(), members.clone()));
    assert!(full.steps.is_empty(), "those that are there stay");
    let gone = decided(&found(fleet.clone(), nodes[1..].to_vec(), members));
    assert!(gone.steps.is_empty());
    let words = said(&fleet, &gone).1;
    assert!(words.contains("there would be 65 members, 1 of nodes that are gone"), "{words}");
}

#[test]
fn a_reflector_of_somebody_else_is_named_and_left_alone() {
    let fleet = home();
    let mut all = found(fleet.clone(), vec![node("a"), node("b")], vec![]);
    all.others.insert("homes-a".into());
    let decision = decided(&all);
    assert_eq!(steps(&decision), ["make homes-b"]);
    let (conditions, words) = said(&fleet, &decision);
    assert_eq!(conditions, "False NameTaken Stalled");
    assert!(words.contains("homes-a"), "{words}");
}

#[test]
fn a_member_of_a_newer_release_is_neither_changed_nor_in_the_way() {
    let fleet = home();
    let mut all =
        found(fleet.clone(), vec![node("a"), node("b")], vec![member(&fleet, "a"), member(&fleet, "b")]);
    all.members[0].readable = false;
    let bare = Reflector { metadata: all.members[0].object.metadata.clone(), ..Reflector::default() };
    all.members[0].object = bare.into();
    let decision = decided(&all);
    assert!(decision.steps.is_empty(), "{:?}", steps(&decision));
    let (conditions, words) = said(&fleet, &decision);
    assert_eq!(conditions, "False MembersNotReady");
    assert!(words.contains("not Ready: homes-a"), "{words}");
}

#[test]
fn a_fleet_without_nodes_says_so() {
    let fleet = home();
    let decision = decided(&found(fleet.clone(), vec![elsewhere("a")], vec![]));
    assert_eq!(said(&fleet, &decision).0, "False NoMatchingNodes");
}

#[test]
fn a_refused_or_failed_fleet_keeps_its_members_and_a_second_look_says_nothing_new() {
    let mut fleet = home();
    let decision = decided(&found(fleet.clone(), vec![node("a")], vec![member(&fleet, "a")]));
    let good = status(&fleet, &Progress::Applied(&decision, None), at(1));
    assert!(!is_in(&good, &fleet));
    fleet.status = Some(good.clone());
    assert!(is_in(&status(&fleet, &Progress::Applied(&decision, None), at(2)), &fleet), "a clock is no news");

    let problems =
        validate(&super::testing::fleet("{ nodeSelector: {}, template: { spec: {} } }")).unwrap_err();
    for (progress, expected) in [
        (Progress::Refused(&problems), "InvalidSpec Stalled"),
        (Progress::Failed("no answer"), "ApplyFailed Reconciling"),
        (Progress::Applied(&decision, Some("forbidden")), "ApplyFailed Reconciling"),
    ] {
        let now = status(&fleet, &progress, at(3));
        assert_eq!(now.members, good.members, "{expected}");
        let said: Vec<&str> = [now.conditions[0].reason.as_str()]
            .into_iter()
            .chain(now.conditions[1..].iter().map(|one| one.type_.as_str()))
            .collect();
        assert_eq!(said.join(" "), expected);
        assert!(!is_in(&now, &fleet));
    }
    let first = status(&home(), &Progress::Begun, at(1));
    assert_eq!(first.conditions[0].status, "Unknown");
    assert_eq!(first.conditions[1].type_, "Reconciling");
}

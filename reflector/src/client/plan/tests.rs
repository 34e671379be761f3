use super::*;

const GRACE: Features =
    Features::of(&[Feature::Throughput, Feature::UdpEcho, Feature::EchoToken, Feature::Tunnel]);

fn hello(longest: u64, remaining: Option<u64>, allowed: &[TestType]) -> ServerHello {
    ServerHello {
        version: "1.0".to_owned(),
        features: Vec::new(),
        policy_summary: PolicySummary {
            max_test_duration_sec: longest,
            max_concurrent_tests: 1,
            max_tests_per_hour: 10,
            allowed_test_types: allowed.to_vec(),
        },
        network_position: None,
        bytes_remaining: remaining,
        succession: None,
    }
}

fn usual() -> ServerHello {
    hello(60, None, &[TestType::Throughput, TestType::UdpEcho])
}

fn usual_tests() -> [TestType; 1] {
    [TestType::Throughput]
}

fn planned(wish: &Wish, hello: &ServerHello) -> Plan {
    plan(wish, Limits { hello: Some(hello), features: GRACE }).unwrap()
}

fn names(plan: &Plan) -> Vec<&'static str> {
    plan.phases.iter().map(|phase| phase.name).collect()
}

/// E11
#[test]
fn by_default_a_download_and_an_upload_have_echo_before_them_and_during_them() {
    let plan = planned(&Wish::default(), &usual());
    assert_eq!(names(&plan), ["down", "up"]);
    assert_eq!(
        plan.phases.iter().map(|p| (p.echo_idle, p.echo_loaded)).collect::<Vec<_>>(),
        [(true, true), (true, true)]
    );
    assert!(plan.phases.iter().all(|p| p.route == Route::PreferDirect && p.seconds == 10 && p.streams == 4));
    assert_eq!((plan.cost.seconds, plan.cost.tests), (26, 1), "two halves of one test");
    assert!(plan.notes.is_empty());
}

#[test]
fn without_echo_there_is_none_and_without_a_reflector_no_budget() {
    let only_throughput = hello(60, None, &[TestType::Throughput]);
    let plan = planned(&Wish::default(), &only_throughput);
    assert!(plan.phases.iter().all(|p| !p.echo_idle && !p.echo_loaded));
    let stock = super::plan(&Wish::default(), Limits { hello: None, features: Features::NONE }).unwrap();
    assert_eq!((stock.cost.tests_an_hour, stock.cost.remaining), (None, None));
    assert!(!stock.phases.iter().any(|p| p.echo_loaded));
}

#[test]
fn flags_choose_directions_protocol_and_size() {
    let wish = Wish {
        directions: vec![Direction::Up, Direction::Bidir],
        udp: Some(20_000_000),
        seconds: Some(3),
        streams: Some(2),
        tunnel: true,
        compare: false,
    };
    let plan = planned(&wish, &usual());
    assert_eq!(names(&plan), ["udp_up", "udp_bidir"]);
    assert!(plan.phases.iter().all(|p| p.route == Route::Tunneled && p.streams == 2 && p.rate == wish.udp));
    // 20 Mbit/s × 3 s / 8, once and twice.
    assert_eq!((plan.cost.bytes, plan.cost.assumed, plan.cost.tests), (22_500_000, false, 2));
    let one = planned(&Wish { udp: Some(1_000_000), ..Wish::default() }, &usual());
    assert_eq!(one.phases[0].streams, 1);
}

/// X8
#[test]
fn a_comparison_alternates_direct_and_tunneled_twice() {
    let plan = planned(&Wish { compare: true, ..Wish::default() }, &usual());
    assert_eq!(names(&plan), ["direct", "tunneled", "direct", "tunneled"]);
    assert!(plan.phases.iter().all(|p| p.seconds == 5 && p.echo_idle));
    assert_eq!(plan.phases[0].route, Route::Direct, "a fallback would compare the tunnel with itself");
    assert_eq!(plan.cost.tests, 4);
}

#[test]
fn a_longer_wish_than_allowed_is_shortened_aloud() {
    let plan = planned(&Wish { seconds: Some(100), ..Wish::default() }, &usual());
    assert!(plan.phases.iter().all(|p| p.seconds == 60));
    assert!(plan.notes[0].contains("60 s") && plan.notes[0].contains("100 s"), "{:?}", plan.notes);
}

/// G6
#[test]
fn what_the_budget_cannot_pay_is_said_before_anything_moves() {
    let plan = planned(&Wish::default(), &hello(60, Some(1_000_000_000), &[TestType::Throughput]));
    assert_eq!(plan.cost.bytes, 2_500_000_000);
    assert!(plan.notes[0].contains("1.0 GB are left today"), "{:?}", plan.notes);
    let exact = Wish { udp: Some(8_000_000_000), ..Wish::default() };
    let plan = planned(&exact, &hello(60, Some(1_000_000_000), &[TestType::Throughput]));
    assert!(plan.notes[0].contains("lower the rate"), "{:?}", plan.notes);
    let nothing = hello(60, Some(0), &[TestType::Throughput]);
    let refused = super::plan(&Wish::default(), Limits { hello: Some(&nothing), features: GRACE });
    assert_eq!(refused, Err(PlanError::NothingLeft));
}

/// G6
#[test]
fn what_tcp_will_move_is_said_as_an_assumption_and_what_is_known_as_known() {
    let said = |wish: &Wish, remaining| planned(wish, &hello(60, remaining, &usual_tests())).cost.to_string();
    let usual = Wish::default();
    assert_eq!(
        said(&usual, None),
        "about 22 s, 1 test of the 10 an hour, as many bytes as the path carries (2.5 GB if it is 1 Gbit/s); no byte limit"
    );
    assert!(said(&usual, Some(4_400_000_000)).ends_with(", at most the 4.4 GB left today"));
    let exact = Wish { udp: Some(20_000_000), seconds: Some(3), ..Wish::default() };
    assert_eq!(
        said(&exact, Some(4_400_000_000)),
        "about 8 s, 1 test of the 10 an hour, 15.0 MB; 4.4 GB left today"
    );
}

#[test]
fn what_would_be_refused_is_not_asked_for() {
    let refused = |wish: &Wish, allowed: &[TestType], features| {
        super::plan(wish, Limits { hello: Some(&hello(60, None, allowed)), features }).unwrap_err()
    };
    let echo = refused(&Wish::default(), &[TestType::UdpEcho], GRACE);
    assert_eq!(echo, PlanError::NotAllowed { allowed: "only udp_echo".to_owned() });
    for (wish, option) in [
        (Wish { tunnel: true, ..Wish::default() }, "tunnel"),
        (Wish { compare: true, ..Wish::default() }, "compare"),
    ] {
        let without = refused(&wish, &[TestType::Throughput], Features::of(&[Feature::Throughput]));
        assert_eq!(without, PlanError::NoTunnel { option });
    }
}

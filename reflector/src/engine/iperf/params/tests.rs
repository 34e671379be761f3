use proptest::prelude::*;

use super::*;

fn refused(json: &str) -> Code {
    Parameters::parse(json.as_bytes()).unwrap_err().code()
}

/// As sent by a stock client of 3.12: `-P 2 -R -t 3 -O 1 -J --get-server-output`.
#[test]
fn parameters_of_a_stock_client_are_read() {
    let text = br#"{"tcp":true,"omit":1,"time":3,"num":0,"blockcount":0,"parallel":2,"reverse":true,"len":131072,"pacing_timer":1000,"get_server_output":1,"client_version":"3.12"}"#;
    let expected = Parameters {
        omit: 1,
        time: 3,
        parallel: 2,
        reverse: true,
        wants_server_output: true,
        client_version: Some("3.12".into()),
        ..Parameters::default()
    };
    assert_eq!(Parameters::parse(text), Ok(expected));
}

#[test]
fn nothing_is_required_and_the_unknown_is_ignored() {
    assert_eq!(Parameters::parse(b"{}"), Ok(Parameters::default()));
    let odd =
        br#"{"parallel":"4","tcp":1,"udp":"true","reverse":1,"time":null,"server_affinity":3,"mptcp":true,
        "flowlabel":5,"authtoken":"x","gso":1,"title":7}"#;
    assert_eq!(Parameters::parse(odd), Ok(Parameters::default()));
}

#[test]
fn numbers_out_of_range_have_the_code_of_their_key() {
    let table = [
        (r#"{"time":86401}"#, Code::Time),
        (r#"{"time":18446744073709551615}"#, Code::Time),
        (r#"{"time":0.5}"#, Code::Time),
        (r#"{"omit":601}"#, Code::Omit),
        (r#"{"parallel":0}"#, Code::Streams),
        (r#"{"parallel":129}"#, Code::Streams),
        (r#"{"parallel":-1}"#, Code::Streams),
        (r#"{"len":1048577}"#, Code::Length),
        (r#"{"udp":true,"len":65508}"#, Code::UdpLength),
        (r#"{"udp":true,"len":15}"#, Code::UdpLength),
        (r#"{"window":536870913}"#, Code::Window),
        (r#"{"MSS":32768}"#, Code::Mss),
        (r#"{"TOS":256}"#, Code::Tos),
        (r#"{"burst":1001}"#, Code::Burst),
        (r#"{"bandwidth":-1}"#, Code::Rate),
        (r#"{"fqrate":1e300}"#, Code::Rate),
        (r#"{"num":1.5}"#, Code::Parameters),
        (r#"{"blockcount":-7}"#, Code::Parameters),
    ];
    for (text, code) in table {
        assert_eq!(refused(text), code, "{text}");
    }
}

#[test]
fn parameters_have_a_limit() {
    let title = |n: usize| format!(r#"{{"title":"{}"}}"#, "a".repeat(n));
    let frame = title(0).len();
    let longest = Parameters::parse(title(MAX_BYTES - frame).as_bytes()).unwrap();
    assert_eq!(longest.title.map(|title| title.len()), Some(MAX_TEXT));
    assert_eq!(refused(&title(MAX_BYTES - frame + 1)), Code::Parameters);
}

#[test]
fn what_is_no_object_is_refused() {
    for text in ["", "[]", "1", "{", r#"{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}}}}"#] {
        assert_eq!(refused(text), Code::Parameters, "{text}");
    }
}

#[test]
fn a_block_of_zero_leaves_the_choice_to_us() {
    assert_eq!(Parameters::parse(br#"{"len":0}"#).unwrap().length, 131_072);
    assert_eq!(Parameters::parse(br#"{"udp":true,"len":0}"#).unwrap().length, 1448);
}

prop_compose! {
    fn parameters()(
        numbers in (0..=86_400_u32, 0..=600_u32, 0..=MAX_COUNT, 0..=MAX_COUNT, 1..=128_u32, 16..=65_507_u32),
        rates in (0..=MAX_COUNT, 0..=MAX_COUNT, 0..=1000_u32, 1..=1_000_000_u32, 0..=512_u32 << 20, 0..=32_767_u32),
        flags in any::<[bool; 10]>(),
        udp in any::<bool>(),
        tos in any::<u8>(),
        texts in proptest::array::uniform3(proptest::option::of("[a-zé\"\\\\]{0,100}")),
    ) -> Parameters {
        let [title, extra_data, client_version] = texts;
        Parameters {
            transport: if udp { Transport::Udp } else { Transport::Tcp },
            time: numbers.0, omit: numbers.1, bytes: numbers.2, blocks: numbers.3, parallel: numbers.4,
            length: numbers.5, bandwidth: rates.0, fair_queue_rate: rates.1, burst: rates.2, pacing_timer: rates.3,
            window: rates.4, mss: rates.5, tos,
            reverse: flags[0], bidirectional: flags[1], no_delay: flags[2], zerocopy: flags[3],
            wide_counters: flags[4], repeating_payload: flags[5], dont_fragment: flags[6],
            wants_server_output: flags[7], discards: flags[8],
            congestion: flags[9].then(|| "cubic".to_owned()),
            title, extra_data, client_version,
        }
    }
}

proptest! {
    #[test]
    fn what_the_client_role_writes_the_server_role_reads(parameters in parameters()) {
        prop_assert_eq!(Parameters::parse(&parameters.to_json()), Ok(parameters));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Parameters::parse(&bytes);
    }
}

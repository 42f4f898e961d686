//! The cursor against serde_json, on text that is JSON and on text that nearly is.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value as Serde;

use super::value::number_of;
use super::{Cursor, Fault, Object, Shapes, Value, fault, object};
use crate::RejectCode;

/// What a decoder would make of an object of two keys.
fn pair(text: &[u8]) -> Result<(Option<u64>, Option<i64>), Fault> {
    let mut c = Cursor::new(text, Shapes::default());
    let (mut a, mut b) = (None, None);
    object!(c, {
        "a" => a = Some(c.unsigned()?),
        "b" => b = Some(c.price(9)?),
    });
    c.end()?;
    Ok((a, b))
}

#[test]
fn any_layout_of_an_object_means_the_same() {
    let expected = (Some(7), Some(1_500_000_000));
    for text in [
        r#"{"a":7,"b":"1.5"}"#,
        r#"{"b":"1.50","a":7}"#,
        " {\n\"a\" : 7 ,\t\"b\" : \"1.5\" }\r\n",
        r#"{"x":[{"a":1}],"a":7,"y":{"a":2,"b":null},"b":"1.5","z":-1.5e-7}"#,
        r#"{"\u0061":7,"\u0062":"1\u002e5"}"#,
    ] {
        assert_eq!(pair(text.as_bytes()).unwrap(), expected, "{text}");
    }
    assert_eq!(pair(b"{}").unwrap(), (None, None));
    assert_eq!(pair(b" { } ").unwrap(), (None, None));
}

#[test]
fn nineteen_digits_are_held_as_far_as_64_bits_go() {
    let price = |text: &str| {
        let quoted = format!("\"{text}\", and more than a word behind it");
        let mut c = Cursor::new(quoted.as_bytes(), Shapes::default());
        let fast = c.price(9).map_err(|fault| fault.code);
        let mut c = Cursor::new(quoted.as_bytes(), Shapes::default());
        assert_eq!(
            fast,
            c.quoted_seconds().map_err(|fault| fault.code),
            "{text}"
        );
        fast
    };
    assert_eq!(price("1618678123.481570"), Ok(1_618_678_123_481_570_000));
    assert_eq!(price("9223372036.854775807"), Ok(i64::MAX));
    for beyond in [
        "9223372036.854775808",
        "9999999999.999999999",
        "10000000000.0",
    ] {
        assert_eq!(price(beyond), Err(RejectCode::Overflow), "{beyond}");
    }
}

#[test]
fn refusals_have_their_codes() {
    use RejectCode::{BadJson, BadValue, DuplicateKey, Negative, Overflow, Precision};
    let deep = "[".repeat(200) + &"]".repeat(200);
    let cases = [
        (r#"{"a":7,"a":7}"#.to_string(), DuplicateKey),
        (r#"{"a":7,"\u0061":7}"#.to_string(), DuplicateKey),
        (r#"{"x":7,"a":1,"x":7}"#.to_string(), DuplicateKey),
        (r#"{"x":{"y":1,"y":1}}"#.to_string(), DuplicateKey),
        (r#"{"a":7,}"#.to_string(), BadJson),
        (r#"{"a":7 "b":"1"}"#.to_string(), BadJson),
        (r#"{"a":7}}"#.to_string(), BadJson),
        (r#"{"a":7"#.to_string(), BadJson),
        (r#"{"a":07}"#.to_string(), BadJson),
        (r#"{a:7}"#.to_string(), BadJson),
        (r#"{"x":"\q"}"#.to_string(), BadJson),
        ("{\"x\":\"\n\"}".to_string(), BadJson),
        (r#"{"x":nul}"#.to_string(), BadJson),
        (format!("{{\"x\":{deep}}}"), BadJson),
        (r#"{"a":-7}"#.to_string(), BadValue),
        (r#"{"a":7.0}"#.to_string(), BadValue),
        (r#"{"a":"7"}"#.to_string(), BadValue),
        (r#"{"a":18446744073709551616}"#.to_string(), BadValue),
        (r#"{"b":1.5}"#.to_string(), BadValue),
        (r#"{"b":"1e5"}"#.to_string(), BadValue),
        (r#"{"b":"1."}"#.to_string(), BadValue),
        (r#"{"b":""}"#.to_string(), BadValue),
        (r#"{"b":"-1"}"#.to_string(), Negative),
        (r#"{"b":"0.0000000001"}"#.to_string(), Precision),
        (r#"{"b":"10000000000"}"#.to_string(), Overflow),
        ("[]".to_string(), BadValue),
        (String::new(), BadValue),
    ];
    for (text, code) in cases {
        let refusal = pair(text.as_bytes()).unwrap_err();
        assert_eq!(refusal.code, code, "{text}: {refusal}");
    }
    // More keys than are compared one by one.
    let many: Vec<String> = (0..60).map(|i| format!("\"k{i}\":{i}")).collect();
    assert!(pair(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
    for twice in ["\"k3\":0", "\"k59\":0"] {
        let text = format!("{{{},{twice}}}", many.join(","));
        assert_eq!(pair(text.as_bytes()).unwrap_err().code, DuplicateKey);
    }
}

#[test]
fn numbers_are_exact_also_with_exponents() {
    let cases: [(&[u8], u8, Result<i64, RejectCode>); 12] = [
        (b"0.0015", 9, Ok(1_500_000)),
        (b"4714.0", 9, Ok(4_714_000_000_000)),
        (b"1e-05", 9, Ok(10_000)),
        (b"1.0E-5", 9, Ok(10_000)),
        (b"1.5e3", 9, Ok(1_500_000_000_000)),
        (b"0e-500", 9, Ok(0)),
        (b"1e-10", 9, Err(RejectCode::Precision)),
        (b"1e-500", 9, Err(RejectCode::Overflow)),
        (b"1e10", 9, Err(RejectCode::Overflow)),
        (b"1e500", 9, Err(RejectCode::Overflow)),
        (b"-1", 9, Err(RejectCode::Negative)),
        (b"12345678901234567", 1, Ok(123_456_789_012_345_670)),
    ];
    for (text, scale, expected) in cases {
        let name = String::from_utf8_lossy(text);
        let found = number_of(text, scale).map_err(|(code, _)| code);
        assert_eq!(found, expected, "{name}");
        let listed = [b"[", text, b"]"].concat();
        let mut c = Cursor::new(&listed, Shapes::default());
        c.mark(b'[').unwrap();
        let found = c.number(scale).map_err(|fault| fault.code);
        assert_eq!(found, expected, "{name} by the cursor");
    }
    let mut c = Cursor::new(b"007]", Shapes::default());
    assert_eq!(c.number(9).unwrap_err().code, RejectCode::BadJson);
}

#[test]
fn times_are_read() {
    let time = |text: &str| {
        let quoted = format!("\"{text}\"");
        Cursor::new(quoted.as_bytes(), Shapes::default())
            .rfc3339()
            .ok()
    };
    assert_eq!(time("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(
        time("2026-08-09T21:05:48.483587501Z"),
        Some(1_786_309_548_483_587_501)
    );
    assert_eq!(
        time("2000-02-29T23:59:59.5Z"),
        Some(951_868_799_500_000_000)
    );
    for bad in [
        "2026-08-09T21:05:48",
        "2026-08-09 21:05:48Z",
        "2026-13-09T21:05:48Z",
        "2025-02-29T21:05:48Z",
        "2026-08-09T24:05:48Z",
        "2026-08-09T21:05:48.Z",
        "2026-08-09T21:05:48.0000000001Z",
        "2026-08-09T21:05:48.12x45678Z",
        "9999-12-31T00:00:00Z",
        "Z",
        "",
    ] {
        assert_eq!(time(bad), None, "{bad}");
    }
}

/// Any JSON, as text with whitespace here and there.
fn json() -> impl Strategy<Value = Serde> {
    let leaf = prop_oneof![
        Just(Serde::Null),
        any::<bool>().prop_map(Serde::from),
        any::<u64>().prop_map(Serde::from),
        any::<i64>().prop_map(Serde::from),
        (-1e9..1e9f64).prop_map(Serde::from),
        "[ -~\u{e9}\u{4e2d}\n\"\\\\]{0,12}".prop_map(Serde::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Serde::from),
            prop::collection::hash_map("[a-c\"\\\\\u{e9}]{0,3}", inner, 0..5)
                .prop_map(|map| Serde::Object(map.into_iter().collect())),
        ]
    })
}

fn same(ours: Value<'_>, theirs: &Serde) -> bool {
    match theirs {
        Serde::Null => ours.is_null(),
        Serde::Bool(truth) => ours.truth() == Some(*truth),
        Serde::Number(number) => {
            ours.unsigned() == number.as_u64() && ours.float() == number.as_f64()
        }
        Serde::String(text) => ours.text().as_deref() == Some(text.as_bytes()),
        Serde::Array(items) => {
            let list = ours.list().unwrap();
            list.len() == items.len() && list.iter().zip(items).all(|(o, t)| same(*o, t))
        }
        Serde::Object(map) => {
            let object = ours.object().unwrap();
            object.members().count() == map.len()
                && map.iter().all(|(k, v)| same(object.get(k).unwrap(), v))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn json_is_read_as_it_was_written(value in json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let found = Value::parse(text.as_bytes()).unwrap();
            prop_assert!(same(found, &value), "{}", text);
        }
    }

    /// What we take of damaged text, others call JSON too; what they do not is refused.
    #[test]
    fn damaged_json_is_never_taken_for_json(
        value in json(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        change in 0..4,
    ) {
        let mut text = value.to_string().into_bytes();
        let at = place.index(text.len());
        match change {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            2 => drop(text.remove(at)),
            _ => text.truncate(at),
        }
        let theirs = serde_json::from_slice::<IgnoredAny>(&text);
        if Value::parse(&text).is_ok() {
            prop_assert!(theirs.is_ok(), "{}", String::from_utf8_lossy(&text));
        }
        let _ = Object::parse(&text, "text");
        let _ = pair(&text);
    }
}

#[test]
fn a_fault_is_one_word() {
    assert_eq!(size_of::<Fault>(), size_of::<usize>());
    assert_eq!(fault(RejectCode::BadJson, "x").code, RejectCode::BadJson);
}

#[test]
fn a_key_that_no_decoder_names_stands_once_among_many() {
    let names = |count: u32| {
        (0..count)
            .map(|n| format!("k{n}x"))
            .chain(["a".into(), "b".into()])
    };
    for count in [0, 3, 22, 23, 80] {
        let members: Vec<String> = names(count)
            .map(|n| format!("\"{n}\":[{{\"a\":1}},2]"))
            .collect();
        let text = format!("{{{}}}", members.join(","));
        assert!(Value::parse(text.as_bytes()).is_ok(), "{text}");
        for again in names(count) {
            let text = format!("{{{},\"{again}\":0}}", members.join(","));
            let fault = Value::parse(text.as_bytes()).unwrap_err();
            assert_eq!(fault.code, RejectCode::DuplicateKey, "{text}");
        }
    }
}

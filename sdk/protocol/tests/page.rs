//! The page (README.md) agrees with the schema and with both encodings.
//!
//! The transcript at its end is replayed against the host by `tests/it/transcript.rs`.

use std::collections::BTreeSet;

use scenehost_protocol::v1::Code;
use scenehost_protocol::{Encoding, FRAME_BYTES_MAX, Payload, SUBPROTOCOLS, close_code};

const PAGE: &str = include_str!("../README.md");
/// The schema's files, and the pages on which their names are explained: the page itself, and one for each feature.
const AREAS: [(&str, &str); 12] = [
    (include_str!("../proto/scenehost/v1/client.proto"), PAGE),
    (include_str!("../proto/scenehost/v1/matching.proto"), include_str!("../features/matching.md")),
    (include_str!("../proto/scenehost/v1/profile.proto"), include_str!("../features/profile.md")),
    (include_str!("../proto/scenehost/v1/records.proto"), include_str!("../features/records.md")),
    (include_str!("../proto/scenehost/v1/chat.proto"), include_str!("../features/chat.md")),
    (include_str!("../proto/scenehost/v1/guild.proto"), include_str!("../features/guild.md")),
    (include_str!("../proto/scenehost/v1/party.proto"), include_str!("../features/party.md")),
    (include_str!("../proto/scenehost/v1/friends.proto"), include_str!("../features/friends.md")),
    (include_str!("../proto/scenehost/v1/inbox.proto"), include_str!("../features/inbox.md")),
    (include_str!("../proto/scenehost/v1/scenes.proto"), include_str!("../features/scenes.md")),
    (include_str!("../proto/scenehost/v1/standing.proto"), include_str!("../features/standing.md")),
    (include_str!("../proto/scenehost/v1/shop.proto"), include_str!("../features/shop.md")),
];

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect()
}

/// The fields and enum values of the schema.
fn names(schema: &str) -> Vec<&str> {
    let lines = schema.lines().filter(|line| !line.trim_start().starts_with("//"));
    let names = lines.filter_map(|line| line.split_once(" = ")?.0.split_whitespace().last());
    names.filter(|name| *name != "syntax").collect()
}

/// An example: who sends it, its JSON, and its protobuf in hexadecimal digits if the page shows it.
struct Example {
    line: usize,
    from_client: bool,
    json: String,
    hex: String,
}

/// The lines of the page's blocks of frames; the hexadecimal digits are indented.
fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for (line, text) in (1..).zip(page.lines()) {
        match (inside, text) {
            (false, "```frames") => inside = true,
            (true, "```") => inside = false,
            (true, digits) if digits.starts_with(' ') => {
                let example = examples.last_mut().expect("digits belong to the frame above them");
                example.hex.extend(digits.split_whitespace());
            }
            (true, frame) => {
                let (from, json) = frame.split_once(' ').expect("a direction and a frame");
                assert!(matches!(from, ">" | "<"), "line {line}: {from:?} is no direction");
                examples.push(Example { line, from_client: from == ">", json: json.to_owned(), hex: String::new() });
            }
            (false, _) => {}
        }
    }
    examples
}

#[test]
fn every_name_of_the_schema_is_explained() {
    let of_client = names(AREAS[0].0);
    assert!(of_client.contains(&"scene_token") && of_client.contains(&"TAKEN_OVER"), "{of_client:?}");
    for (schema, page) in AREAS {
        let words = words(page);
        let missing: Vec<&str> = names(schema).into_iter().filter(|name| !words.contains(name)).collect();
        assert!(missing.is_empty(), "not on its page: {missing:?}");
    }
}

fn codes() -> Vec<Code> {
    (0..).map_while(|number| Code::try_from(number).ok()).collect()
}

/// What the page says of a close code: the codes of `syn_closing` that go with it.
fn close_row(close: u16) -> &'static str {
    let start = format!("| {close} | ");
    let row = PAGE.lines().find_map(|line| line.strip_prefix(start.as_str()));
    row.and_then(|row| row.split(" | ").next()).unwrap_or_else(|| panic!("the page lacks the close code {close}"))
}

#[test]
fn every_close_code_has_its_row() {
    for code in codes() {
        let row = close_row(close_code(code));
        let told: Vec<&str> = row.split(", ").collect();
        assert!(row == "any other" || told.contains(&code.as_str_name()), "{code:?} is not in {row:?}");
        for name in told.into_iter().filter(|_| row != "any other") {
            let told = Code::from_str_name(name).unwrap_or_else(|| panic!("{name:?} is no code"));
            assert_eq!(close_code(told), close_code(code), "{name}");
        }
    }
}

#[test]
fn every_refusal_has_its_row() {
    let codes = codes();
    assert_eq!(codes.last(), Some(&Code::Closed));
    for code in codes {
        let row = format!("| {} | `{}` |", code as i32, code.as_str_name());
        assert!(PAGE.contains(&row), "the page lacks the row {row}");
    }
}

#[test]
fn the_examples_are_what_both_encodings_write() {
    let examples: Vec<Example> = AREAS.iter().flat_map(|(_, page)| examples(page)).collect();
    assert!(examples.iter().any(|it| it.from_client && !it.hex.is_empty()), "a client's frame in hexadecimal digits");
    assert!(examples.iter().any(|it| !it.from_client && !it.hex.is_empty()), "a host's frame in hexadecimal digits");
    for Example { line, from_client, json, hex } in examples {
        let [in_json, in_proto] = if from_client {
            let frame = Encoding::Json.decode_client(json.as_str());
            let frame = frame.unwrap_or_else(|error| panic!("line {line}: {error}"));
            [Encoding::Json.encode_client(&frame), Encoding::Proto.encode_client(&frame)]
        } else {
            let frame = Encoding::Json.decode_server(json.as_str());
            let frame = frame.unwrap_or_else(|error| panic!("line {line}: {error}"));
            [Encoding::Json.encode_server(&frame), Encoding::Proto.encode_server(&frame)]
        };
        assert_eq!(in_json, Payload::Text(json), "line {line}");
        let digits: String = in_proto.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(hex.is_empty() || hex == digits, "line {line}: the frame is {digits}");
    }
}

#[test]
fn the_page_has_the_crates_numbers() {
    assert_eq!(FRAME_BYTES_MAX, 65_536, "the page says 65,536");
    assert!(PAGE.contains("| a frame to the host | 65,536 bytes"));
    for subprotocol in SUBPROTOCOLS {
        assert!(PAGE.contains(&format!("| `{subprotocol}` |")), "the page lacks {subprotocol}");
    }
}

//! What an answer says of the points that were refused.
//!
//! ```text
//! ExportMetricsServiceResponse { ExportMetricsPartialSuccess partial_success = 1; }
//! ExportMetricsPartialSuccess  { int64 rejected_data_points = 1; string error_message = 2; }
//! ```
//!
//! That of logs has the same fields, the first of which is called `rejected_log_records`.

use prost::encoding::{WireType, decode_key, decode_varint};

use super::json::Json;
use super::proto::Protobuf;
use super::request::Wire;
use crate::formats::body::Content;
use crate::formats::format::{Answered, Written};

/// What an answer says was written. What cannot be understood, a page for instance, says nothing.
pub fn written(_: &Content, answer: &Answered<'_>) -> Written {
    let kind = (answer.header)("Content-Type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let partial = if kind.eq_ignore_ascii_case(Protobuf::CONTENT_TYPE) {
        of_protobuf(answer.body)
    } else if kind.eq_ignore_ascii_case(Json::CONTENT_TYPE) {
        of_json(answer.body)
    } else {
        None
    };
    match partial {
        Some((rejected, why)) if rejected > 0 || !why.is_empty() => Written::AllBut(rejected, why),
        _ => Written::Unsaid,
    }
}

/// What was rejected, and why. The body may be cut where it was too long to be kept: what is in front counts.
fn of_protobuf(body: &[u8]) -> Option<(u64, String)> {
    let mut rest = body;
    let (1, WireType::LengthDelimited) = decode_key(&mut rest).ok()? else { return None };
    let mut partial = begin(&mut rest)?;
    let (mut rejected, mut why) = (0, String::new());
    while let Ok(key) = decode_key(&mut partial) {
        match key {
            (1, WireType::Varint) => rejected = decode_varint(&mut partial).ok()?,
            (2, WireType::LengthDelimited) => why = String::from_utf8_lossy(begin(&mut partial)?).into_owned(),
            _ => break,
        }
    }
    // Less than none is no count.
    Some((i64::try_from(rejected).unwrap_or(0).unsigned_abs(), why))
}

/// What there is of the next bytes of a field.
fn begin<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let len = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let (bytes, left) = rest.split_at(len.min(rest.len()));
    *rest = left;
    Some(bytes)
}

fn of_json(body: &[u8]) -> Option<(u64, String)> {
    let whole: serde_json::Value = serde_json::from_slice(body).ok()?;
    let partial = whole.get("partialSuccess")?;
    // A 64-bit number is a string there, and taken as a number too.
    let rejected = match partial.get("rejectedDataPoints").or_else(|| partial.get("rejectedLogRecords")) {
        Some(serde_json::Value::String(text)) => text.parse().ok()?,
        Some(number) => number.as_u64().unwrap_or(0),
        None => 0,
    };
    let why = partial.get("errorMessage").and_then(|why| why.as_str()).unwrap_or_default();
    Some((rejected, why.to_owned()))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };
    use prost::Message;

    use super::*;
    use crate::formats::body::content;

    fn of(kind: &str, body: &[u8]) -> Written {
        let header = |name: &str| (name == "Content-Type").then_some(kind);
        written(&content(&[]), &Answered { status: 200, header: &header, body, sent: b"" })
    }

    fn answer(rejected_data_points: i64, error_message: &str) -> ExportMetricsServiceResponse {
        let error_message = error_message.to_owned();
        let partial_success = Some(ExportMetricsPartialSuccess { rejected_data_points, error_message });
        ExportMetricsServiceResponse { partial_success }
    }

    #[test]
    fn a_partial_success_is_read_in_both_encodings() {
        for (rejected, why, expected) in [
            (3, "too old", Written::AllBut(3, "too old".to_owned())),
            (0, "be careful", Written::AllBut(0, "be careful".to_owned())),
            (0, "", Written::Unsaid),
            (-1, "", Written::Unsaid),
        ] {
            let answer = answer(rejected, why);
            assert_eq!(of("application/x-protobuf", &answer.encode_to_vec()), expected);
        }
        let json = br#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old"}}"#;
        assert_eq!(of("application/json; charset=utf-8", json), Written::AllBut(3, "too old".to_owned()));
        let json = br#"{"partialSuccess":{"rejectedDataPoints":3}}"#;
        assert_eq!(of("application/json", json), Written::AllBut(3, String::new()));
        let logs = br#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}"#;
        assert_eq!(of("application/json", logs), Written::AllBut(2, "too old".to_owned()));
        assert_eq!(of("application/json", b"{\"partialSuccess\":{}}"), Written::Unsaid);
    }

    #[test]
    fn what_is_no_such_answer_says_nothing() {
        let protobuf = answer(3, "too old").encode_to_vec();
        for (kind, body) in [
            ("application/x-protobuf", &b""[..]),
            ("application/x-protobuf", b"<html>"),
            ("application/x-protobuf", b"{}"),
            ("application/json", b""),
            ("application/json", b"[]"),
            ("application/json", b"{\"partialSuccess\":{\"rejectedDataPoints\":\"-1\"}}"),
            ("application/json", &protobuf),
            ("text/html", &protobuf),
            ("", &protobuf),
        ] {
            assert_eq!(of(kind, body), Written::Unsaid, "{kind} {body:?}");
        }
    }

    #[test]
    fn of_an_answer_that_is_cut_counts_what_is_there() {
        let whole = answer(7, &"x".repeat(10_000)).encode_to_vec();
        let Written::AllBut(7, why) = of("application/x-protobuf", &whole[..4096]) else { panic!("nothing said") };
        assert!(why.len() > 4000);
        (0..whole.len()).for_each(|end| _ = of("application/x-protobuf", &whole[..end]));
    }
}

//! What OTLP over HTTP says of requests and answers, whatever their signal.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>: an answer is in the encoding of its request; that of one that
//! was taken is an empty message, that of one that was not a `google.rpc.Status`, whose second field says why.

use prost::encoding::string;

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Encoding {
    /// That of a request with this `Content-Type`; none: it is neither.
    pub fn of(content_type: &str) -> Option<Encoding> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let all = [Encoding::Protobuf, Encoding::Json];
        all.into_iter().find(|encoding| kind.eq_ignore_ascii_case(encoding.content_type()))
    }

    /// The `Content-Type` of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }

    /// The answer to a request of which all was taken.
    pub fn taken(self) -> Vec<u8> {
        match self {
            Encoding::Protobuf => Vec::new(),
            Encoding::Json => b"{}".to_vec(),
        }
    }

    /// The answer to one that was not taken.
    pub fn refused(self, why: &str) -> Vec<u8> {
        match self {
            Encoding::Protobuf => {
                let mut out = Vec::new();
                string::encode(2, &why.to_owned(), &mut out);
                out
            }
            Encoding::Json => serde_json::json!({ "message": why }).to_string().into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_the_content_type_s() {
        for (text, encoding) in [
            ("application/x-protobuf", Some(Encoding::Protobuf)),
            ("Application/JSON; charset=utf-8", Some(Encoding::Json)),
            ("application/jsonl", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(Encoding::of(text), encoding, "{text}");
        }
    }

    #[test]
    fn an_answer_says_why() {
        assert_eq!(Encoding::Json.refused("no \"room\""), br#"{"message":"no \"room\""}"#);
        // Field 2, of text, two bytes long.
        assert_eq!(Encoding::Protobuf.refused("no"), b"\x12\x02no");
        assert_eq!((Encoding::Protobuf.taken(), Encoding::Json.taken()), (Vec::new(), b"{}".to_vec()));
    }
}

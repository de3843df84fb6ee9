//! A secret among a format's own settings: itself, or the file that holds it.

use std::fmt;

/// As it was written. Nothing prints it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Key {
    /// The secret itself.
    pub value: Option<String>,
    /// The path of its file.
    pub file: Option<String>,
}

impl Key {
    /// Whether it is given, either way.
    pub fn is_given(&self) -> bool {
        self.value.is_some() || self.file.is_some()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_ref().map(|_| "<secret>");
        f.debug_struct("Key").field("value", &value).field("file", &self.file).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_printed() {
        let key = Key { value: Some("s3cr3t".into()), file: Some("/etc/key".into()) };
        assert_eq!(format!("{key:?}"), r#"Key { value: Some("<secret>"), file: Some("/etc/key") }"#);
        assert!(key.is_given() && !Key::default().is_given());
    }
}

//! The join token: a secret that a worker shows with its first request.

use std::fmt;
use subtle::ConstantTimeEq as _;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// Metadata key of the token.
const HEADER: &str = "authorization";
const SCHEME: &str = "Bearer ";
/// Shortest and longest token; shorter ones can be guessed.
const LEAST: usize = 16;
const MOST: usize = 512;

/// A join token. It is never shown, and compared in a time that does not depend on where it differs.
///
/// ```
/// use lagrange_protocol::Token;
/// use tonic::metadata::MetadataMap;
///
/// let token = Token::new("correct-horse-battery-staple")?;
/// let mut metadata = MetadataMap::new();
/// token.show(&mut metadata);
/// assert!(token.is_shown(&metadata));
/// assert!(!Token::new("another-sixteen-letters")?.is_shown(&metadata));
/// # Ok::<(), lagrange_protocol::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

/// Error: a text that is not a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a join token has {LEAST} to {MOST} visible characters without spaces")]
pub struct TokenError;

impl Token {
    /// The token of `text`, without the blanks and line ends around it.
    ///
    /// # Errors
    /// [`TokenError`] if the text is too short or too long, or has other than visible ASCII characters.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let sound =
            (LEAST..=MOST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let value = sound
            .then(|| format!("{SCHEME}{text}").parse().ok())
            .flatten();
        let mut value: MetadataValue<Ascii> = value.ok_or(TokenError)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Adds the token to a request's metadata.
    pub fn show(&self, metadata: &mut MetadataMap) {
        metadata.insert(HEADER, self.0.clone());
    }

    /// Whether a request's metadata has this token.
    #[must_use]
    pub fn is_shown(&self, metadata: &MetadataMap) -> bool {
        let shown = metadata.get(HEADER).map(MetadataValue::as_encoded_bytes);
        shown.is_some_and(|shown| bool::from(shown.ct_eq(self.0.as_encoded_bytes())))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_is_the_token() {
        let token = Token::new(" 0123456789abcdef\n").expect("long enough");
        let mut metadata = MetadataMap::new();
        assert!(!token.is_shown(&metadata));
        for other in ["0123456789abcdeF", "0123456789abcdef0"] {
            Token::new(other).expect("long enough").show(&mut metadata);
            assert!(!token.is_shown(&metadata));
        }
        token.show(&mut metadata);
        assert!(token.is_shown(&metadata));
        assert!(!format!("{token:?} {metadata:?}").contains("0123456789"));
        for bad in [
            "",
            "short",
            "0123456789 abcdef",
            "0123456789abcdéf",
            &"x".repeat(513),
        ] {
            assert_eq!(Token::new(bad).err(), Some(TokenError), "{bad}");
        }
    }
}
